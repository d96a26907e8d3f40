//! The node's series: what `/metrics` shows.

use super::{Kind, Page};
use crate::management::engine;
use crate::management::reply::Reply;
use crate::management::state::{Management, now_ms};
use crate::management::system;
use crate::management::view::{Counters, NodeView};
use Kind::{Counter, Gauge, Info};
use serde_json::{Value, json};

const CLASSIC: &str = "rabbit_classic_queue";
const QUORUM: &str = "rabbit_quorum_queue";

/// All series of the node.
pub async fn page(m: &Management) -> Result<String, Reply> {
    let (view, cluster) = m
        .with(|core| (engine::node(core), core.settings.cluster_name.clone()))
        .await?;
    let mut page = Page::default();
    process(&mut page, m, &view);
    churn(&mut page, &view);
    logins(&mut page, m);
    queues(&mut page, &view);
    channels(&mut page, &view);
    connections(&mut page, m);
    objects(&mut page, &view);
    identity(&mut page, m, &cluster);
    global(&mut page, &view);
    ours(&mut page, &view);
    page.text(&m.facts.identity.prometheus());
    Ok(page.finish())
}

/// How the node stands, as JSON in the words that all daemons share.
pub async fn status(m: &Management) -> Result<Value, Reply> {
    let view = m.with(|core| engine::node(core)).await?;
    let [connections, channels, consumers, exchanges, queues] = view.open;
    let own = json!({
        "node": m.facts.name,
        "connections": connections,
        "connections_total": view.connections.0,
        "channels": channels,
        "consumers": consumers,
        "exchanges": exchanges,
        "queues": queues,
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

fn process(page: &mut Page, m: &Management, view: &NodeView) {
    let process = system::process();
    let limits = m.limits();
    let started = m.facts.started_ms / 1000;
    let uptime = now_ms().saturating_sub(m.facts.started_ms) as f64 / 1000.0;
    let alarm = |on: bool| u8::from(on);
    let free = system::disk_free(&m.facts.data_dir);
    let short = process.files_max > 0 && process.files * 100 > process.files_max * 97;
    let rows: [(Kind, &str, &str, f64); 16] = [
        (
            Gauge,
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            started as f64,
        ),
        (
            Gauge,
            "rabbitmq_alarms_file_descriptor_limit",
            "is 1 if file descriptor limit alarm is in effect",
            alarm(short).into(),
        ),
        (
            Gauge,
            "rabbitmq_alarms_free_disk_space_watermark",
            "is 1 if free disk space watermark alarm is in effect",
            alarm(view.alarms.1).into(),
        ),
        (
            Gauge,
            "rabbitmq_alarms_memory_used_watermark",
            "is 1 if VM memory watermark alarm is in effect",
            alarm(view.alarms.0).into(),
        ),
        (
            Gauge,
            "rabbitmq_process_open_fds",
            "Open file descriptors",
            process.files as f64,
        ),
        (
            Gauge,
            "rabbitmq_process_open_tcp_sockets",
            "Open TCP sockets",
            view.open[0] as f64,
        ),
        (
            Gauge,
            "rabbitmq_process_resident_memory_bytes",
            "Memory used in bytes",
            process.memory as f64,
        ),
        (
            Gauge,
            "rabbitmq_disk_space_available_bytes",
            "Disk space available in bytes",
            free as f64,
        ),
        (
            Gauge,
            "rabbitmq_process_max_fds",
            "Open file descriptors limit",
            process.files_max as f64,
        ),
        (
            Gauge,
            "rabbitmq_process_max_tcp_sockets",
            "Open TCP sockets limit",
            process.files_max as f64,
        ),
        (
            Gauge,
            "rabbitmq_resident_memory_limit_bytes",
            "Memory high watermark in bytes",
            limits.memory as f64,
        ),
        (
            Gauge,
            "rabbitmq_disk_space_available_limit_bytes",
            "Free disk space low watermark in bytes",
            limits.disk as f64,
        ),
        (
            Gauge,
            "rabbitmq_erlang_processes_used",
            "Threads of the process",
            process.threads as f64,
        ),
        (
            Gauge,
            "rabbitmq_erlang_processes_limit",
            "Threads limit",
            1_048_576.0,
        ),
        (
            Gauge,
            "rabbitmq_erlang_net_ticktime_seconds",
            "Inter-node heartbeat interval",
            60.0,
        ),
        (
            Gauge,
            "rabbitmq_erlang_uptime_seconds",
            "Node uptime",
            uptime,
        ),
    ];
    for (kind, name, help, value) in rows {
        page.one(kind, name, help, value);
    }
    let store = system::store(&m.facts.data_dir);
    page.one(
        Counter,
        "rabbitmq_io_write_bytes_total",
        "Total number of I/O bytes written",
        store.written,
    );
    page.one(
        Counter,
        "rabbitmq_io_read_bytes_total",
        "Total number of I/O bytes read",
        store.read,
    );
    page.one(
        Gauge,
        "evenkeel_store_files",
        "Files of the message log",
        store.files,
    );
    page.one(
        Gauge,
        "evenkeel_store_disk_bytes",
        "Bytes of the message log on disk",
        store.disk_bytes,
    );
}

fn churn(page: &mut Page, view: &NodeView) {
    let rows = [
        (
            "connections_opened",
            "connections opened",
            view.connections.0,
        ),
        (
            "connections_closed",
            "connections closed or terminated",
            view.connections.1,
        ),
        ("channels_opened", "channels opened", view.channels.0),
        ("channels_closed", "channels closed", view.channels.1),
        ("queues_declared", "queues declared", view.queues.0),
        ("queues_created", "queues created", view.queues.1),
        ("queues_deleted", "queues deleted", view.queues.2),
    ];
    for (name, help, value) in rows {
        let name = format!("rabbitmq_{name}_total");
        page.one(Counter, &name, &format!("Total number of {help}"), value);
    }
}

fn logins(page: &mut Page, m: &Management) {
    let (good, bad) = m.login_counts();
    let http = [good + bad, good, bad];
    let names = ["attempts", "attempts_succeeded", "attempts_failed"];
    for (index, name) in names.into_iter().enumerate() {
        let name = format!("rabbitmq_auth_{name}_total");
        page.family(Counter, &name, "Total number of authorization attempts");
        page.series(&name, &[("protocol", "http")], http[index]);
    }
}

fn queues(page: &mut Page, view: &NodeView) {
    let (ready, unacked) = view.messages;
    let (ready_bytes, unacked_bytes) = view.message_bytes;
    let rows = [
        (
            "messages_ready",
            "Messages ready to be delivered to consumers",
            ready,
        ),
        (
            "messages_unacked",
            "Messages delivered to consumers but not yet acknowledged",
            unacked,
        ),
        (
            "messages",
            "Sum of ready and unacknowledged messages - total queue depth",
            ready + unacked,
        ),
        ("consumers", "Consumers on a queue", view.open[2]),
        (
            "messages_ready_bytes",
            "Size in bytes of ready messages",
            ready_bytes,
        ),
        (
            "messages_unacked_bytes",
            "Size in bytes of all unacknowledged messages",
            unacked_bytes,
        ),
        (
            "messages_bytes",
            "Size in bytes of ready and unacknowledged messages",
            ready_bytes + unacked_bytes,
        ),
    ];
    for (name, help, value) in rows {
        page.one(Gauge, &format!("rabbitmq_queue_{name}"), help, value);
    }
    let name = "rabbitmq_queue_messages_published_total";
    page.one(
        Counter,
        name,
        "Total number of messages published to queues",
        view.counters.publish,
    );
}

/// The counters of channels: series name, help, value.
pub fn channel_counters(c: &Counters) -> [(&'static str, &'static str, u64); 11] {
    [
        (
            "messages_published_total",
            "Total number of messages published into an exchange on a channel",
            c.publish,
        ),
        (
            "messages_confirmed_total",
            "Total number of messages published into an exchange and confirmed on the channel",
            c.confirm,
        ),
        (
            "messages_unroutable_returned_total",
            "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
            c.return_unroutable,
        ),
        (
            "messages_unroutable_dropped_total",
            "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
            c.drop_unroutable,
        ),
        (
            "get_ack_total",
            "Total number of messages fetched with basic.get in manual acknowledgement mode",
            c.get,
        ),
        (
            "get_total",
            "Total number of messages fetched with basic.get in automatic acknowledgement mode",
            c.get_no_ack,
        ),
        (
            "messages_delivered_ack_total",
            "Total number of messages delivered to consumers in manual acknowledgement mode",
            c.deliver,
        ),
        (
            "messages_delivered_total",
            "Total number of messages delivered to consumers in automatic acknowledgement mode",
            c.deliver_no_ack,
        ),
        (
            "messages_redelivered_total",
            "Total number of messages redelivered to consumers",
            c.redeliver,
        ),
        (
            "messages_acked_total",
            "Total number of messages acknowledged by consumers",
            c.ack,
        ),
        (
            "get_empty_total",
            "Total number of times basic.get operations fetched no message",
            c.get_empty,
        ),
    ]
}

fn channels(page: &mut Page, view: &NodeView) {
    for (name, help, value) in channel_counters(&view.counters) {
        page.one(Counter, &format!("rabbitmq_channel_{name}"), help, value);
    }
    page.one(
        Gauge,
        "rabbitmq_channel_consumers",
        "Consumers on a channel",
        view.open[2],
    );
    page.one(
        Gauge,
        "rabbitmq_channel_messages_unacked",
        "Delivered but not yet acknowledged messages",
        view.messages.1,
    );
}

fn connections(page: &mut Page, m: &Management) {
    let octets = m.sampler().node_looks().last().map_or((0, 0), |n| n.octets);
    page.one(
        Counter,
        "rabbitmq_connection_incoming_bytes_total",
        "Total number of bytes received on a connection",
        octets.0,
    );
    page.one(
        Counter,
        "rabbitmq_connection_outgoing_bytes_total",
        "Total number of bytes sent on a connection",
        octets.1,
    );
}

fn objects(page: &mut Page, view: &NodeView) {
    let [connections, channels, consumers, _, queues] = view.open;
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
    page.one(
        Gauge,
        "rabbitmq_connection_channels",
        "Channels on a connection",
        channels,
    );
}

fn identity(page: &mut Page, m: &Management, cluster: &str) {
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
        ("rabbitmq_cluster", cluster),
        ("rabbitmq_cluster_permanent_id", cluster),
    ];
    page.series("rabbitmq_identity_info", &labels, 1);
}

fn global(page: &mut Page, view: &NodeView) {
    let c = &view.counters;
    let plain = [
        (
            "messages_received_total",
            "Total number of messages received from publishers",
            c.publish,
        ),
        (
            "messages_received_confirm_total",
            "Total number of messages received from publishers expecting confirmations",
            view.publish_confirm,
        ),
        (
            "messages_confirmed_total",
            "Total number of messages confirmed to publishers",
            c.confirm,
        ),
        (
            "messages_routed_total",
            "Total number of messages routed to queues",
            c.publish
                .saturating_sub(c.return_unroutable + c.drop_unroutable),
        ),
        (
            "messages_unroutable_returned_total",
            "Total number of messages that could not be routed and returned to the publisher",
            c.return_unroutable,
        ),
        (
            "messages_unroutable_dropped_total",
            "Total number of messages that could not be routed and dropped",
            c.drop_unroutable,
        ),
    ];
    for (name, help, value) in plain {
        let name = format!("rabbitmq_global_{name}");
        page.family(Counter, &name, help);
        page.series(&name, &[("protocol", "amqp091")], value);
    }
    page.family(
        Gauge,
        "rabbitmq_global_publishers",
        "Publishers currently connected",
    );
    page.series(
        "rabbitmq_global_publishers",
        &[("protocol", "amqp091")],
        view.publishers,
    );
    page.family(
        Gauge,
        "rabbitmq_global_consumers",
        "Consumers currently connected",
    );
    page.series(
        "rabbitmq_global_consumers",
        &[("protocol", "amqp091")],
        view.open[2],
    );
    let q = &view.quorum;
    let by_type = [
        (
            "messages_acknowledged_total",
            "Total number of messages acknowledged by consumers",
            c.ack,
            q.ack,
        ),
        (
            "messages_delivered_total",
            "Total number of messages delivered to consumers",
            c.deliver_get(),
            q.deliver_get(),
        ),
        (
            "messages_delivered_consume_manual_ack_total",
            "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
            c.deliver,
            q.deliver,
        ),
        (
            "messages_delivered_consume_auto_ack_total",
            "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
            c.deliver_no_ack,
            q.deliver_no_ack,
        ),
        (
            "messages_delivered_get_manual_ack_total",
            "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
            c.get,
            q.get,
        ),
        (
            "messages_delivered_get_auto_ack_total",
            "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
            c.get_no_ack,
            q.get_no_ack,
        ),
        (
            "messages_get_empty_total",
            "Total number of times basic.get operations fetched no message",
            c.get_empty,
            q.get_empty,
        ),
        (
            "messages_redelivered_total",
            "Total number of messages redelivered to consumers",
            c.redeliver,
            q.redeliver,
        ),
    ];
    for (name, help, all, quorum) in by_type {
        let name = format!("rabbitmq_global_{name}");
        page.family(Counter, &name, help);
        let labels = |kind| [("protocol", "amqp091"), ("queue_type", kind)];
        page.series(&name, &labels(CLASSIC), all.saturating_sub(quorum));
        page.series(&name, &labels(QUORUM), quorum);
    }
}

fn ours(page: &mut Page, view: &NodeView) {
    let names = ["expired", "maxlen", "rejected", "delivery_limit"];
    let name = "evenkeel_dead_letters_total";
    page.family(
        Counter,
        name,
        "Messages that left a queue undelivered, by reason",
    );
    for (reason, value) in names.into_iter().zip(view.dead_letters) {
        page.series(name, &[("reason", reason)], value);
    }
}
