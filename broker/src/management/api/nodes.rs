//! The overview, the node, and what tools ask about the installation.

use crate::management::caller::Caller;
use crate::management::engine;
use crate::management::history;
use crate::management::listing::{columns, list, one};
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Method, Request};
use crate::management::sampler::{NodeLook, Range, add_samples};
use crate::management::state::{Listener, Management, now_ms};
use crate::management::system;
use crate::management::view::{NodeView, Open};
use serde_json::{Map, Value, json};

/// Features of RabbitMQ 3.10 that are always on: name, what, by whom.
pub const FEATURE_FLAGS: [(&str, &str, &str); 9] = [
    (
        "classic_mirrored_queue_version",
        "Support setting version for classic mirrored queues",
        "rabbit",
    ),
    (
        "drop_unroutable_metric",
        "Count unroutable publishes to be dropped in stats",
        "rabbitmq_management_agent",
    ),
    (
        "empty_basic_get_metric",
        "Count AMQP `basic.get` on empty queues in stats",
        "rabbitmq_management_agent",
    ),
    (
        "implicit_default_bindings",
        "Default bindings are now implicit, instead of being stored in the database",
        "rabbit",
    ),
    (
        "maintenance_mode_status",
        "Maintenance mode status",
        "rabbit",
    ),
    ("quorum_queue", "Support queues of type `quorum`", "rabbit"),
    ("stream_queue", "Support queues of type `stream`", "rabbit"),
    (
        "user_limits",
        "Configure connection and channel limits for a user",
        "rabbit",
    ),
    (
        "virtual_host_metadata",
        "Virtual host metadata (description, tags, etc)",
        "rabbit",
    ),
];

/// Answers what concerns the node as a whole.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["overview"], _) => overview(m, caller, request).await,
        (["extensions"], _) => Ok(Reply::ok(json!([{"javascript": "dispatcher.js"}]))),
        (["feature-flags"], _) => {
            caller.must_be_administrator()?;
            Ok(list(request, feature_flags()))
        }
        (["rebalance", _], Method::Post) => {
            caller.must_be_administrator()?;
            Ok(Reply::no_content())
        }
        (["feature-flags", name, "enable"], _) => {
            caller.must_be_administrator()?;
            let known = feature_flags().iter().any(|flag| flag["name"] == **name);
            match known || *name == "all" {
                true => Ok(Reply::no_content()),
                false => Err(Reply::bad_request("unsupported")),
            }
        }
        (["reset", node @ ..], _) => {
            caller.must_be_administrator()?;
            if node.first().is_some_and(|node| *node != m.facts.name) {
                return Err(Reply::not_found());
            }
            *m.sampler() = Default::default();
            Ok(Reply::no_content())
        }
        (["chart"], _) => {
            caller.must_be_monitor()?;
            Ok(chart(m))
        }
        (["nodes"], _) => {
            caller.must_be_monitor()?;
            let node = node(m).await?;
            Ok(list(request, vec![node]))
        }
        (["nodes", name, rest @ ..], _) => {
            caller.must_be_monitor()?;
            if *name != m.facts.name {
                return Err(Reply::not_found());
            }
            match rest {
                [] => {
                    let mut node = node(m).await?;
                    if request.is_set("memory") {
                        node["memory"] = memory(m).await?;
                    }
                    Ok(one(request, node))
                }
                _ => Ok(Reply::ok(json!({"memory": memory(m).await?}))),
            }
        }
        _ => Err(Reply::not_found()),
    }
}

fn feature_flags() -> Vec<Value> {
    let flag = |(name, desc, by): &(&str, &str, &str)| {
        json!({
            "name": name,
            "desc": desc,
            "doc_url": "",
            "state": "enabled",
            "stability": "stable",
            "provided_by": by,
        })
    };
    FEATURE_FLAGS.iter().map(flag).collect()
}

fn exchange_types() -> Value {
    let of = |name: &str| {
        let text = format!("AMQP {name} exchange, as per the AMQP specification");
        json!({"name": name, "description": text, "enabled": true})
    };
    ["direct", "fanout", "headers", "topic"]
        .iter()
        .map(|t| of(t))
        .collect()
}

/// A listening socket as the API shows it.
pub fn listener(node: &str, l: &Listener) -> Value {
    json!({
        "node": node,
        "protocol": l.protocol,
        "ip_address": l.address.ip().to_string(),
        "port": l.address.port(),
        "socket_opts": {"backlog": 128, "nodelay": true},
    })
}

async fn overview(m: &Management, caller: &Caller, request: &Request) -> Answer {
    let (view, cluster_name) = m
        .with(|core| (engine::node(core), core.settings.cluster_name.clone()))
        .await?;
    let range = history::range(request);
    let mut value = json!({
        "management_version": m.facts.version,
        "rates_mode": "basic",
        "sample_retention_policies": {"global": [600], "basic": [600], "detailed": [600]},
        "exchange_types": exchange_types(),
        "product_version": m.facts.version,
        "product_name": m.facts.product,
        "rabbitmq_version": m.facts.version,
        "evenkeel_version": m.facts.our_version,
        "cluster_name": cluster_name,
        "erlang_version": "25.2.3",
        "erlang_full_version": format!("Evenkeel {} (no Erlang)", m.facts.our_version),
        "release_series_support_status": "supported",
        "disable_stats": false,
        "enable_queue_totals": false,
        "message_stats": m.sampler().node_stats(&view.counters, range).unwrap_or(json!({})),
        "churn_rates": churn(m, &view, range),
        "queue_totals": totals(m, &view, range),
        "object_totals": object_totals(&view),
        "statistics_db_event_queue": 0,
        "node": m.facts.name,
    });
    if caller.is_monitor() {
        let listeners = m.listeners();
        value["listeners"] = listeners
            .iter()
            .map(|l| listener(&m.facts.name, l))
            .collect();
        value["contexts"] = contexts(m);
    }
    match columns(request) {
        Some(_) => Ok(one(request, value)),
        None => Ok(Reply::ok(value)),
    }
}

fn contexts(m: &Management) -> Value {
    let pages = m.listeners();
    let of = |l: &Listener| {
        json!({
            "ssl_opts": [],
            "node": m.facts.name,
            "description": "RabbitMQ Management",
            "path": "/",
            "cowboy_opts": "[]",
            "ip": l.address.ip().to_string(),
            "port": l.address.port().to_string(),
        })
    };
    let http = pages.iter().filter(|l| l.protocol == "http");
    http.map(of).collect()
}

fn object_totals(view: &NodeView) -> Value {
    json!({
        "channels": view.open.channels,
        "connections": view.open.connections,
        "consumers": view.open.consumers,
        "exchanges": view.open.exchanges,
        "queues": view.open.queues,
    })
}

/// A number with its rate, and its history when wanted.
fn detailed(
    map: &mut Map<String, Value>,
    m: &Management,
    name: &str,
    now: u64,
    range: Option<Range>,
    of: impl Fn(&NodeLook) -> u64,
) {
    let sampler = m.sampler();
    let mut details = json!({"rate": sampler.node_rate(&of)});
    if let Some(range) = range {
        let points: Vec<_> = sampler
            .node_looks()
            .map(|n| (n.look.at_ms, of(n)))
            .collect();
        add_samples(&mut details, range, &points);
    }
    map.insert(name.to_owned(), now.into());
    map.insert(format!("{name}_details"), details);
}

fn add_churn(map: &mut Map<String, Value>, m: &Management, view: &NodeView, range: Option<Range>) {
    for (index, (name, now)) in view.churn.named().into_iter().enumerate() {
        detailed(map, m, name, now, range, |n| n.churn.named()[index].1);
    }
}

fn churn(m: &Management, view: &NodeView, range: Option<Range>) -> Value {
    let mut map = Map::new();
    add_churn(&mut map, m, view, range);
    Value::Object(map)
}

fn totals(m: &Management, view: &NodeView, range: Option<Range>) -> Value {
    let (ready, unacked) = view.messages;
    let mut map = Map::new();
    detailed(&mut map, m, "messages", ready + unacked, range, |n| {
        n.look.ready + n.look.unacked
    });
    detailed(&mut map, m, "messages_ready", ready, range, |n| {
        n.look.ready
    });
    detailed(
        &mut map,
        m,
        "messages_unacknowledged",
        unacked,
        range,
        |n| n.look.unacked,
    );
    Value::Object(map)
}

async fn node(m: &Management) -> Result<Value, Reply> {
    let view = m.with(|core| engine::node(core)).await?;
    let process = system::process();
    let limits = m.limits();
    let free = system::disk_free(&m.facts.data_dir);
    let log = m
        .facts
        .log_file
        .as_ref()
        .map_or("<stderr>".into(), |p| p.to_string_lossy().into_owned());
    let Value::Object(mut map) = json!({
        "partitions": [],
        "os_pid": std::process::id().to_string(),
        "fd_total": process.files_max,
        "sockets_total": process.files_max,
        "mem_limit": limits.memory,
        "mem_alarm": view.alarms.0,
        "disk_free_limit": limits.disk,
        "disk_free_alarm": view.alarms.1,
        "proc_total": 1_048_576,
        "rates_mode": "basic",
        "uptime": now_ms().saturating_sub(m.facts.started_ms),
        "run_queue": 0,
        "processors": system::processors(),
        "exchange_types": exchange_types(),
        "auth_mechanisms": [
            {"name": "AMQPLAIN", "description": "QPid AMQPLAIN mechanism", "enabled": true},
            {"name": "PLAIN", "description": "SASL PLAIN authentication mechanism", "enabled": true},
            {"name": "EXTERNAL", "description": "TLS client certificate", "enabled": true},
        ],
        "applications": [
            {"name": "rabbit", "description": m.facts.product, "version": m.facts.version},
            {"name": "evenkeel", "description": "Evenkeel broker", "version": m.facts.our_version},
        ],
        "contexts": contexts(m),
        "log_files": [log],
        "db_dir": m.facts.data_dir,
        "config_files": m.facts.config_files,
        "net_ticktime": 60,
        "enabled_plugins": ["rabbitmq_management", "rabbitmq_prometheus"],
        "mem_calculation_strategy": "rss",
        "ra_open_file_metrics": {"ra_log_wal": 0, "ra_log_segment_writer": 0},
        "name": m.facts.name,
        "type": "disc",
        "running": !m.is_stopped(),
        "being_drained": false,
        "cluster_links": [],
        "metrics_gc_queue_length": {
            "connection_closed": 0, "channel_closed": 0, "consumer_deleted": 0,
            "exchange_deleted": 0, "queue_deleted": 0, "vhost_deleted": 0,
            "node_node_deleted": 0, "channel_consumer_deleted": 0,
        },
    }) else {
        return Err(Reply::unavailable("the node's numbers cannot be shown"));
    };
    let counted: [(&str, u64); 5] = [
        ("mem_used", process.memory),
        ("fd_used", process.files),
        ("sockets_used", view.open.connections),
        ("proc_used", process.threads),
        ("disk_free", free),
    ];
    type Of = fn(&NodeLook) -> u64;
    let of: [Of; 5] = [
        |n| n.memory,
        |n| n.files,
        |n| n.sockets,
        |_| 0,
        |n| n.disk_free,
    ];
    for ((name, now), of) in counted.into_iter().zip(of) {
        detailed(&mut map, m, name, now, None, of);
    }
    add_io(&mut map, &m.facts.data_dir);
    add_churn(&mut map, m, &view, None);
    Ok(Value::Object(map))
}

fn add_io(map: &mut Map<String, Value>, data_dir: &std::path::Path) {
    let store = system::store(data_dir);
    // what only Erlang's runtime counts is 0: tools ask for the names
    let numbers: [(&str, Value); 16] = [
        ("io_sync_count", 0.into()),
        ("io_sync_avg_time", 0.0.into()),
        ("io_write_count", 0.into()),
        ("io_write_bytes", store.written.into()),
        ("io_write_avg_time", 0.0.into()),
        ("io_read_count", 0.into()),
        ("io_read_bytes", store.read.into()),
        ("io_read_avg_time", 0.0.into()),
        ("io_seek_count", 0.into()),
        ("io_seek_avg_time", 0.0.into()),
        ("io_reopen_count", 0.into()),
        ("msg_store_read_count", 0.into()),
        ("msg_store_write_count", 0.into()),
        ("mnesia_ram_tx_count", 0.into()),
        ("mnesia_disk_tx_count", 0.into()),
        ("context_switches", 0.into()),
    ];
    for (name, value) in numbers {
        map.insert(name.to_owned(), value);
        map.insert(format!("{name}_details"), json!({"rate": 0.0}));
    }
    for name in [
        "gc_num",
        "gc_bytes_reclaimed",
        "queue_index_read_count",
        "queue_index_write_count",
    ] {
        map.insert(name.to_owned(), 0.into());
        map.insert(format!("{name}_details"), json!({"rate": 0.0}));
    }
}

/// What a queue or a channel takes besides its messages, reckoned.
const OBJECT_BYTES: u64 = 512;
/// What a connection takes with its buffers, reckoned.
const CONNECTION_BYTES: u64 = 4096;

/// What the resident memory is taken by.
#[derive(Debug, PartialEq, Eq)]
struct Shares {
    messages: u64,
    connections: u64,
    channels: u64,
    queues: u64,
    rest: u64,
}

impl Shares {
    fn of(total: u64, message_bytes: u64, open: &Open) -> Shares {
        let messages = message_bytes.min(total);
        let connections = open.connections * CONNECTION_BYTES;
        let channels = open.channels * OBJECT_BYTES;
        let queues = open.queues * OBJECT_BYTES;
        Shares {
            messages,
            connections,
            channels,
            queues,
            rest: total.saturating_sub(messages + connections + channels + queues),
        }
    }
}

async fn memory(m: &Management) -> Result<Value, Reply> {
    let view = m.with(|core| engine::node(core)).await?;
    let total = system::process().memory;
    let (ready, out) = view.message_bytes;
    let shares = Shares::of(total, ready + out, &view.open);
    Ok(json!({
        "connection_readers": 0,
        "connection_writers": 0,
        "connection_channels": shares.channels,
        "connection_other": shares.connections,
        "queue_procs": shares.queues,
        "queue_slave_procs": 0,
        "quorum_queue_procs": 0,
        "plugins": 0,
        "other_proc": shares.rest,
        "metrics": 0,
        "mgmt_db": 0,
        "mnesia": 0,
        "other_ets": 0,
        "binary": shares.messages,
        "msg_index": 0,
        "code": 0,
        "atom": 0,
        "other_system": 0,
        "allocated_unused": 0,
        "reserved_unallocated": 0,
        "strategy": "rss",
        "total": {"erlang": 0, "rss": total, "allocated": total},
    }))
}

/// The node's history in columns, for the page's charts: much smaller than the
/// same in samples.
fn chart(m: &Management) -> Reply {
    let sampler = m.sampler();
    let looks: Vec<_> = sampler.node_looks().collect();
    let column = |of: &dyn Fn(&NodeLook) -> u64| -> Value {
        looks.iter().map(|look| Value::from(of(look))).collect()
    };
    Reply::ok(json!({
        "at": column(&|n| n.look.at_ms),
        "ready": column(&|n| n.look.ready),
        "unacked": column(&|n| n.look.unacked),
        "publish": column(&|n| n.look.counters.publish),
        "deliver": column(&|n| n.look.counters.deliver_get()),
        "ack": column(&|n| n.look.counters.ack),
        "confirm": column(&|n| n.look.counters.confirm),
        "redeliver": column(&|n| n.look.counters.redeliver),
        "return": column(&|n| n.look.counters.return_unroutable + n.look.counters.drop_unroutable),
        "connection_created": column(&|n| n.churn.connections_created),
        "connection_closed": column(&|n| n.churn.connections_closed),
        "memory": column(&|n| n.memory),
        "files": column(&|n| n.files),
        "disk_free": column(&|n| n.disk_free),
        "received": column(&|n| n.octets.0),
        "sent": column(&|n| n.octets.1),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_memory_are_together_all_of_it() {
        let open = Open {
            connections: 10,
            channels: 100,
            queues: 1000,
            ..Open::default()
        };
        let total = 1 << 24;
        let s = Shares::of(total, 5_000_000, &open);
        assert_eq!(s.channels, 51_200);
        let sum = s.messages + s.connections + s.channels + s.queues + s.rest;
        assert_eq!(sum, total);
        // messages may be more than is resident
        let all = Shares::of(total, total + 1, &open);
        assert_eq!((all.messages, all.rest), (total, 0));
    }
}
