//! Series per queue, channel and connection: `/metrics/detailed`, which gives
//! the families that are asked for, and `/metrics/per-object`, which gives all.

use super::node::channel_counters;
use super::{Kind, Page};
use crate::management::engine;
use crate::management::reply::Reply;
use crate::management::request::Request;
use crate::management::state::Management;
use crate::management::view::{ChannelView, ConnectionView, QueueView};
use Kind::{Counter, Gauge};

const FAMILIES: [&str; 10] = [
    "queue_coarse_metrics",
    "queue_consumer_count",
    "queue_metrics",
    "queue_delivery_metrics",
    "connection_coarse_metrics",
    "connection_metrics",
    "channel_metrics",
    "channel_exchange_metrics",
    "vhost_status",
    "exchange_names",
];

/// The families that the query names, of the virtual hosts that it names.
pub async fn page(m: &Management, request: &Request) -> Result<String, Reply> {
    let all = |key: &str| -> Vec<String> {
        let values = request.query.iter().filter(|(name, _)| name == key);
        values.map(|(_, value)| value.clone()).collect()
    };
    let (families, vhosts) = (all("family"), all("vhost"));
    let wanted: Vec<_> = families.iter().map(String::as_str).collect();
    write(m, "rabbitmq_detailed", &wanted, vhosts).await
}

/// All families under the names of the node's series.
pub async fn per_object(m: &Management) -> Result<String, Reply> {
    let node = super::node::page(m).await?;
    let objects = write(m, "rabbitmq", &FAMILIES[..8], Vec::new()).await?;
    // a family may stand in a page only once: the objects' instead of the sums
    let detailed: Vec<_> = objects
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let kept = node.lines().filter(|line| {
        let name = line
            .trim_start_matches("# TYPE ")
            .trim_start_matches("# HELP ");
        let name = name.split([' ', '{']).next().unwrap_or("");
        !detailed.contains(&name)
    });
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    text.push_str(&objects);
    Ok(text)
}

async fn write(
    m: &Management,
    prefix: &str,
    families: &[&str],
    vhosts: Vec<String>,
) -> Result<String, Reply> {
    let mut page = Page::default();
    let wants = |family: &str| families.contains(&family);
    let keeps = move |vhost: &str| vhosts.is_empty() || vhosts.iter().any(|v| v == vhost);
    if FAMILIES[..4].iter().any(|f| wants(f)) {
        let keep = keeps.clone();
        let views = m.with(move |core| engine::queues(core, &keep)).await?;
        queues(&mut page, prefix, families, &views);
    }
    if wants("connection_coarse_metrics") || wants("connection_metrics") {
        let mut views = m.with(|core| engine::connections(core)).await?;
        views.retain(|c| keeps(&c.vhost));
        connections(&mut page, prefix, &views);
    }
    if wants("channel_metrics") || wants("channel_exchange_metrics") {
        let mut views = m.with(|core| engine::channels(core)).await?;
        views.retain(|(_, c)| keeps(&c.vhost));
        channels(&mut page, prefix, families, &views);
    }
    if wants("vhost_status") {
        let names = m
            .with(|core| core.metadata.vhosts.keys().cloned().collect::<Vec<_>>())
            .await?;
        let name = "rabbitmq_cluster_vhost_status";
        page.family(Gauge, name, "Whether a given vhost is running");
        for vhost in names.iter().filter(|v| keeps(v)) {
            page.series(name, &[("vhost", vhost)], 1);
        }
    }
    if wants("exchange_names") {
        let names = m
            .with(|core| {
                let vhosts = core.metadata.vhosts.values();
                let of = vhosts.flat_map(|v| {
                    v.exchanges
                        .values()
                        .map(|x| (v.name().to_owned(), x.spec.clone()))
                });
                of.collect::<Vec<_>>()
            })
            .await?;
        let name = "rabbitmq_cluster_exchange_name";
        page.family(
            Kind::Info,
            name,
            "Enumerates exchanges without any additional info",
        );
        for (vhost, spec) in names.iter().filter(|(v, s)| keeps(v) && !s.name.is_empty()) {
            let labels = [
                ("vhost", vhost.as_str()),
                ("exchange", &spec.name),
                ("type", &spec.kind),
            ];
            page.series(name, &labels, 1);
        }
    }
    Ok(page.finish())
}

type Column<V> = (Kind, &'static str, &'static str, fn(&V) -> u64);

fn queues(page: &mut Page, prefix: &str, families: &[&str], views: &[(u64, QueueView)]) {
    let coarse: &[Column<QueueView>] = &[
        (
            Gauge,
            "messages_ready",
            "Messages ready to be delivered to consumers",
            |q| q.ready,
        ),
        (
            Gauge,
            "messages_unacked",
            "Messages delivered to consumers but not yet acknowledged",
            |q| q.unacked,
        ),
        (
            Gauge,
            "messages",
            "Sum of ready and unacknowledged messages - total queue depth",
            |q| q.ready + q.unacked,
        ),
    ];
    let consumers: &[Column<QueueView>] = &[(Gauge, "consumers", "Consumers on a queue", |q| {
        q.consumers as u64
    })];
    let more: &[Column<QueueView>] = &[
        (
            Gauge,
            "messages_ram",
            "Ready and unacknowledged messages stored in memory",
            |q| q.in_memory,
        ),
        (
            Gauge,
            "messages_ram_bytes",
            "Size of ready and unacknowledged messages stored in memory",
            |q| q.in_memory_bytes,
        ),
        (Gauge, "messages_persistent", "Persistent messages", |q| {
            q.persistent
        }),
        (
            Gauge,
            "messages_bytes",
            "Size in bytes of ready and unacknowledged messages",
            |q| q.ready_bytes + q.unacked_bytes,
        ),
        (
            Gauge,
            "messages_ready_bytes",
            "Size in bytes of ready messages",
            |q| q.ready_bytes,
        ),
        (
            Gauge,
            "messages_unacked_bytes",
            "Size in bytes of all unacknowledged messages",
            |q| q.unacked_bytes,
        ),
        (
            Counter,
            "messages_published_total",
            "Total number of messages published to queues",
            |q| q.counters.publish,
        ),
    ];
    let delivery: &[Column<QueueView>] = &[
        (
            Counter,
            "messages_delivered_ack_total",
            "Deliveries in manual acknowledgement mode",
            |q| q.counters.deliver,
        ),
        (
            Counter,
            "messages_delivered_total",
            "Deliveries in automatic acknowledgement mode",
            |q| q.counters.deliver_no_ack,
        ),
        (Counter, "messages_redelivered_total", "Redeliveries", |q| {
            q.counters.redeliver
        }),
        (Counter, "messages_acked_total", "Acknowledgements", |q| {
            q.counters.ack
        }),
        (
            Counter,
            "get_ack_total",
            "Fetches in manual acknowledgement mode",
            |q| q.counters.get,
        ),
        (
            Counter,
            "get_total",
            "Fetches in automatic acknowledgement mode",
            |q| q.counters.get_no_ack,
        ),
        (
            Counter,
            "get_empty_total",
            "Fetches that found nothing",
            |q| q.counters.get_empty,
        ),
    ];
    let parts = [
        ("queue_coarse_metrics", coarse),
        ("queue_consumer_count", consumers),
        ("queue_metrics", more),
        ("queue_delivery_metrics", delivery),
    ];
    for (_, columns) in parts.iter().filter(|(family, _)| families.contains(family)) {
        for (kind, name, help, of) in *columns {
            let name = format!("{prefix}_queue_{name}");
            page.family(*kind, &name, help);
            for (_, q) in views {
                page.series(&name, &[("vhost", &q.vhost), ("queue", &q.name)], of(q));
            }
        }
    }
}

fn connections(page: &mut Page, prefix: &str, views: &[ConnectionView]) {
    let columns: &[Column<ConnectionView>] = &[
        (
            Counter,
            "incoming_bytes_total",
            "Total number of bytes received on a connection",
            |c| c.received,
        ),
        (
            Counter,
            "outgoing_bytes_total",
            "Total number of bytes sent on a connection",
            |c| c.sent,
        ),
        (
            Counter,
            "incoming_packets_total",
            "Total number of packets received on a connection",
            |c| c.received_frames,
        ),
        (
            Counter,
            "outgoing_packets_total",
            "Total number of packets sent on a connection",
            |c| c.sent_frames,
        ),
        (
            Gauge,
            "pending_packets",
            "Number of bytes waiting to be sent on a connection",
            |c| c.pending,
        ),
        (Gauge, "channels", "Channels on a connection", |c| {
            c.channels
        }),
    ];
    for (kind, name, help, of) in columns {
        let name = format!("{prefix}_connection_{name}");
        page.family(*kind, &name, help);
        for c in views {
            page.series(&name, &[("connection", &c.name)], of(c));
        }
    }
}

fn channels(page: &mut Page, prefix: &str, families: &[&str], views: &[(u64, ChannelView)]) {
    let columns: &[Column<ChannelView>] = &[
        (Gauge, "consumers", "Consumers on a channel", |c| {
            c.consumers
        }),
        (
            Gauge,
            "messages_unacked",
            "Delivered but not yet acknowledged messages",
            |c| c.unacked,
        ),
        (
            Gauge,
            "messages_unconfirmed",
            "Published but not yet confirmed messages",
            |c| c.unconfirmed,
        ),
        (
            Gauge,
            "messages_uncommitted",
            "Messages received in a transaction but not yet committed",
            |c| c.uncommitted,
        ),
        (
            Gauge,
            "acks_uncommitted",
            "Message acknowledgements in a transaction not yet committed",
            |c| c.acks_uncommitted,
        ),
        (
            Gauge,
            "prefetch",
            "Limit of unacknowledged messages on a channel",
            |c| c.global_prefetch.into(),
        ),
    ];
    if families.contains(&"channel_metrics") {
        for (kind, name, help, of) in columns {
            let name = format!("{prefix}_channel_{name}");
            page.family(*kind, &name, help);
            for (_, c) in views {
                page.series(&name, &[("channel", &c.name)], of(c));
            }
        }
    }
    if families.contains(&"channel_exchange_metrics") {
        let heads = channel_counters(&Default::default());
        for (index, (name, help, _)) in heads.into_iter().enumerate() {
            let name = format!("{prefix}_channel_{name}");
            page.family(Counter, &name, help);
            for (_, c) in views {
                let value = channel_counters(&c.counters)[index].2;
                page.series(&name, &[("channel", &c.name)], value);
            }
        }
    }
}
