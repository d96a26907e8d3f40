//! The node's series: what `/metrics` shows.

use super::columns::{CHANNELS, CONNECTIONS, PUBLISHES, QUEUES, ROUTED, TAKEN, sums, write_sums};
use super::facts::facts;
use super::{Kind, Page, global};
use crate::management::engine;
use crate::management::numbers::{self, ChannelNumbers};
use crate::management::reply::Reply;
use crate::management::state::Management;
use crate::management::system;
use crate::management::view::{NodeView, Open};
use Kind::{Gauge, Info};
use serde_json::{Value, json};

/// All series of the node.
pub async fn page(m: &Management) -> Result<String, Reply> {
    let (view, sums) = m.with(|core| (engine::node(core), Sums::of(core))).await?;
    let mut page = Page::default();
    alarms(&mut page, m, &view);
    for fact in facts(m, &view) {
        fact.write(&mut page, "rabbitmq");
    }
    sums.write(&mut page, m, &view);
    objects(&mut page, &view);
    identity(&mut page, m).await?;
    global::write(&mut page, &view);
    global::ours(&mut page, m, &view);
    page.text(&m.facts.identity.prometheus());
    Ok(page.finish())
}

/// How the node stands, as JSON in the words that all daemons share.
pub async fn status(m: &Management) -> Result<Value, Reply> {
    let view = m.with(|core| engine::node(core)).await?;
    let own = json!({
        "node": m.facts.name,
        "connections": view.open.connections,
        "connections_total": view.churn.connections_created,
        "channels": view.open.channels,
        "consumers": view.open.consumers,
        "exchanges": view.open.exchanges,
        "queues": view.open.queues,
        "messages_ready": view.messages.0,
        "messages_unacknowledged": view.messages.1,
        "published_total": view.counters.publish,
        "confirmed_total": view.counters.confirm,
        "acknowledged_total": view.counters.ack,
        "alarms": {"memory": view.alarms.0, "disk": view.alarms.1},
    });
    let mut status = m.facts.identity.head();
    if let Value::Object(own) = own {
        status.extend(own);
    }
    Ok(status.into())
}

fn alarms(page: &mut Page, m: &Management, view: &NodeView) {
    let process = system::process();
    let short = process.files_max > 0 && process.files * 100 > process.files_max * 97;
    page.one(
        Gauge,
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        m.facts.started_ms / 1000,
    );
    for (name, help, on) in [
        ("file_descriptor_limit", "file descriptor limit", short),
        (
            "free_disk_space_watermark",
            "free disk space watermark",
            view.alarms.1,
        ),
        (
            "memory_used_watermark",
            "VM memory watermark",
            view.alarms.0,
        ),
    ] {
        let help = format!("is 1 if {help} alarm is in effect");
        let name = format!("rabbitmq_alarms_{name}");
        page.one(Info, &name, &help, u8::from(on));
    }
}

/// Sums over what is open now.
struct Sums {
    queues: Vec<f64>,
    channels: Vec<f64>,
    connections: Vec<f64>,
    routed: u64,
}

impl Sums {
    fn of(core: &crate::core::Core) -> Sums {
        Sums {
            queues: sums(QUEUES, numbers::queues(core).map(|(_, numbers)| numbers)),
            channels: sums(
                CHANNELS,
                numbers::channels(core).map(|(_, _, channel)| ChannelNumbers::of(channel)),
            ),
            connections: sums(
                CONNECTIONS,
                numbers::connections(core).map(|(_, numbers)| numbers),
            ),
            routed: super::detailed::all_routed(core),
        }
    }

    /// What counts rises for ever: bytes of ended connections and publishes of ended channels are kept.
    fn write(mut self, page: &mut Page, m: &Management, view: &NodeView) {
        let octets = m.sampler().node_looks().last().map_or((0, 0), |n| n.octets);
        for (name, value) in [
            ("connection_incoming_bytes_total", octets.0),
            ("connection_outgoing_bytes_total", octets.1),
        ] {
            if let Some(index) = CONNECTIONS.iter().position(|column| column.name == name) {
                self.connections[index] = value as f64;
            }
        }
        write_sums(page, QUEUES, &self.queues);
        write_sums(page, CHANNELS, &self.channels);
        let all = || std::iter::once(view.counters);
        write_sums(page, PUBLISHES, &sums(PUBLISHES, all()));
        write_sums(page, TAKEN, &sums(TAKEN, all()));
        write_sums(page, CONNECTIONS, &self.connections);
        write_sums(page, ROUTED, &sums(ROUTED, std::iter::once(self.routed)));
    }
}

fn objects(page: &mut Page, view: &NodeView) {
    let Open {
        connections,
        channels,
        consumers,
        queues,
        exchanges: _,
    } = view.open;
    page.one(
        Gauge,
        "rabbitmq_connections",
        "Connections currently open",
        connections,
    );
    page.one(
        Gauge,
        "rabbitmq_channels",
        "Channels currently open",
        channels,
    );
    page.one(
        Gauge,
        "rabbitmq_consumers",
        "Consumers currently connected",
        consumers,
    );
    page.one(Gauge, "rabbitmq_queues", "Queues available", queues);
}

/// Which node of which cluster this is, and of which version.
pub async fn identity(page: &mut Page, m: &Management) -> Result<(), Reply> {
    let cluster = m.with(|core| core.settings.cluster_name.clone()).await?;
    page.family(
        Info,
        "rabbitmq_build_info",
        "RabbitMQ & Erlang/OTP version info",
    );
    let labels = [
        ("rabbitmq_version", m.facts.version.as_str()),
        ("prometheus_plugin_version", m.facts.version.as_str()),
        ("prometheus_client_version", "0"),
        ("erlang_version", "none"),
        ("evenkeel_version", m.facts.our_version),
    ];
    page.series("rabbitmq_build_info", &labels, 1);
    page.family(
        Info,
        "rabbitmq_identity_info",
        "RabbitMQ node & cluster identity info",
    );
    let labels = [
        ("rabbitmq_node", m.facts.name.as_str()),
        ("rabbitmq_cluster", cluster.as_str()),
        ("rabbitmq_cluster_permanent_id", cluster.as_str()),
    ];
    page.series("rabbitmq_identity_info", &labels, 1);
    Ok(())
}
