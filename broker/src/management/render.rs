//! What was gathered, as JSON with RabbitMQ's names.

use super::sampler::{Range, Sampler};
use super::view::{ChannelName, ChannelView, ConnectionView, ConsumerView, Counters, QueueView};
use crate::core::definitions::json::to_json;
use serde_json::{Map, Value, json};

/// Milliseconds since 1970 as RabbitMQ writes them.
pub fn date(ms: u64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms as i64).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}

/// The identity of things among which a queue, channel or connection is shown.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// This node.
    pub node: &'a str,
    /// Rates.
    pub sampler: &'a Sampler,
    /// Leave out counters and rates.
    pub plain: bool,
    /// The part of the history that is wanted.
    pub range: Option<Range>,
    /// When the node started, in seconds since 1970.
    pub creation: u64,
}

/// A name in the form of Erlang's process identifiers, out of which scripts
/// read the node's name and with which they close connections.
pub fn pid(node: &str, creation: u64, id: u64) -> String {
    format!("<{node}.{creation}.{id}.0>")
}

/// The identifier of a channel: its connection's and its number.
fn channel_pid(scene: Scene<'_>, connection: u64, number: u16) -> String {
    pid(
        scene.node,
        scene.creation,
        connection << 16 | u64::from(number),
    )
}

/// One queue of a list.
pub fn queue(scene: Scene<'_>, id: u64, q: &QueueView) -> Map<String, Value> {
    let (ready_rate, unacked_rate) = scene.sampler.queue_depth_rates(id);
    let total = q.ready + q.unacked;
    let kind = if q.quorum { "quorum" } else { "classic" };
    let Value::Object(mut map) = json!({
        "arguments": to_json(&q.arguments),
        "auto_delete": q.auto_delete,
        "durable": q.durable,
        "exclusive": q.exclusive,
        "name": q.name,
        "node": scene.node,
        "pid": pid(scene.node, scene.creation, id & 0xffff_ffff | id >> 32),
        "policy": q.policy.policy,
        "state": "running",
        "type": kind,
        "vhost": q.vhost,
    }) else {
        return Map::new();
    };
    if q.quorum {
        map.insert("leader".into(), scene.node.into());
        map.insert("members".into(), json!([scene.node]));
        map.insert("online".into(), json!([scene.node]));
    }
    if scene.plain {
        return map;
    }
    let details = |rate: f64| json!({"rate": rate});
    let Value::Object(more) = json!({
        "backing_queue_status": backing_queue_status(scene, id, q),
        "consumer_capacity": q.capacity,
        "consumer_utilisation": q.capacity,
        "consumers": q.consumers,
        "effective_policy_definition": q.policy.definition,
        "exclusive_consumer_tag": q.exclusive_consumer,
        "head_message_timestamp": q.head_timestamp,
        "memory": memory(q),
        "message_bytes": q.ready_bytes + q.unacked_bytes,
        "message_bytes_paged_out": (q.ready_bytes + q.unacked_bytes).saturating_sub(q.in_memory_bytes),
        "message_bytes_persistent": if q.persistent == total { q.ready_bytes + q.unacked_bytes } else { 0 },
        "message_bytes_ram": q.in_memory_bytes,
        "message_bytes_ready": q.ready_bytes,
        "message_bytes_unacknowledged": q.unacked_bytes,
        "messages": total,
        "messages_details": details(ready_rate + unacked_rate),
        "messages_paged_out": total.saturating_sub(q.in_memory),
        "messages_persistent": q.persistent,
        "messages_ram": q.in_memory,
        "messages_ready": q.ready,
        "messages_ready_details": details(ready_rate),
        "messages_ready_ram": q.in_memory.min(q.ready),
        "messages_unacknowledged": q.unacked,
        "messages_unacknowledged_details": details(unacked_rate),
        "messages_unacknowledged_ram": q.unacked,
        "operator_policy": q.policy.operator_policy,
        "recoverable_slaves": null,
        "reductions": 0,
        "reductions_details": details(0.0),
        "single_active_consumer_tag": q.single_active,
        "garbage_collection": garbage_collection(),
    }) else {
        return map;
    };
    map.extend(more);
    if q.policy.definition.contains_key("ha-mode") && !q.quorum {
        map.insert("slave_nodes".into(), json!([]));
        map.insert("synchronised_slave_nodes".into(), json!([]));
        map.insert("recoverable_slaves".into(), json!([]));
    }
    let idle = scene.sampler.queue_idle_since(id, &q.counters, q.used_ms);
    if let Some(idle) = idle {
        map.insert("idle_since".into(), date(idle).into());
    }
    if let Some(owner) = &q.owner {
        map.insert("owner_pid_details".into(), json!({"name": owner}));
    }
    if let Some(stats) = scene.sampler.queue_stats(id, &q.counters, scene.range) {
        map.insert("message_stats".into(), stats);
    }
    map
}

/// The queue's inner numbers: `q4` is what is ready in memory, `delta` what is ready on disk only.
fn backing_queue_status(scene: Scene<'_>, id: u64, q: &QueueView) -> Value {
    let (ingress, egress, acked) = scene.sampler.queue_flow(id);
    let in_memory = q.in_memory.min(q.ready);
    let delivered = q.counters.deliver_get() - q.counters.redeliver.min(q.counters.deliver_get());
    let mut status = json!({
        "avg_ack_egress_rate": acked,
        "avg_ack_ingress_rate": egress,
        "avg_egress_rate": egress,
        "avg_ingress_rate": ingress,
        "delta": ["delta", "undefined", q.ready - in_memory, 0, "undefined"],
        "len": q.ready,
        "mode": q.arguments.get("x-queue-mode").and_then(|m| m.as_str()).unwrap_or("default"),
        "next_deliver_seq_id": delivered,
        "next_seq_id": q.counters.publish,
        "q1": 0,
        "q2": 0,
        "q3": 0,
        "q4": in_memory,
        "target_ram_count": "infinity",
        "version": 1,
    });
    if q.by_priority.len() > 1 {
        let lengths = q.by_priority.iter().enumerate();
        let lengths = lengths.map(|(priority, count)| (priority.to_string(), (*count).into()));
        status["priority_lengths"] = Value::Object(lengths.collect());
    }
    status
}

/// RabbitMQ's tools read this object; there is no collector here.
fn garbage_collection() -> Value {
    json!({
        "fullsweep_after": 0,
        "max_heap_size": 0,
        "min_bin_vheap_size": 0,
        "min_heap_size": 0,
        "minor_gcs": 0,
    })
}

/// Bytes of the queue itself and of what it holds in memory.
fn memory(q: &QueueView) -> u64 {
    512 + (q.ready + q.unacked) * 64 + q.in_memory_bytes
}

/// A channel in the lists of others.
pub fn channel_details(scene: Scene<'_>, c: &ChannelName) -> Value {
    json!({
        "connection_name": c.connection,
        "name": c.text(),
        "node": scene.node,
        "number": c.number,
        "pid": channel_pid(scene, c.connection_id, c.number),
        "peer_host": c.peer.0,
        "peer_port": c.peer.1,
        "user": c.user,
    })
}

/// One consumer.
pub fn consumer(scene: Scene<'_>, c: &ConsumerView) -> Value {
    json!({
        "arguments": to_json(&c.arguments),
        "ack_required": c.ack_required,
        "active": c.active,
        "activity_status": if c.active { "up" } else { "waiting" },
        "channel_details": channel_details(scene, &c.channel),
        "consumer_tag": c.tag,
        "exclusive": c.exclusive,
        "prefetch_count": c.prefetch,
        "queue": {"name": c.queue, "vhost": c.vhost},
    })
}

/// One channel.
pub fn channel(scene: Scene<'_>, connection: u64, c: &ChannelView) -> Map<String, Value> {
    let Value::Object(mut map) = json!({
        "acks_uncommitted": c.numbers.acks_uncommitted,
        "confirm": c.confirm,
        "connection_details": {
            "name": c.connection,
            "peer_host": c.peer.0,
            "peer_port": c.peer.1,
            "pid": channel_pid(scene, connection, 0),
        },
        "pid": channel_pid(scene, connection, c.number),
        "consumer_count": c.numbers.consumers,
        "garbage_collection": garbage_collection(),
        "global_prefetch_count": c.numbers.global_prefetch,
        "messages_unacknowledged": c.numbers.unacked,
        "messages_uncommitted": c.numbers.uncommitted,
        "messages_unconfirmed": c.numbers.unconfirmed,
        "name": c.name,
        "node": scene.node,
        "number": c.number,
        "pending_raft_commands": 0,
        "prefetch_count": c.numbers.prefetch,
        "reductions": 0,
        "reductions_details": {"rate": 0.0},
        "state": "running",
        "transactional": c.transactional,
        "user": c.user,
        "user_who_performed_action": c.user,
        "vhost": c.vhost,
    }) else {
        return Map::new();
    };
    let id = (connection, c.number);
    if let Some(idle) = scene.sampler.channel_idle_since(id, &c.counters) {
        map.insert("idle_since".into(), date(idle).into());
    }
    if let Some(stats) = scene.sampler.channel_stats(id, &c.counters) {
        map.insert("message_stats".into(), stats);
    }
    map
}

/// One connection.
pub fn connection(scene: Scene<'_>, c: &ConnectionView) -> Map<String, Value> {
    let (received, sent) = scene.sampler.connection_rates(c.id);
    let tls = c.tls.as_deref();
    let certificate = tls.and_then(|tls| tls.certificate.as_ref());
    let Value::Object(map) = json!({
        "auth_mechanism": c.mechanism,
        "channel_max": c.channel_max,
        "channels": c.channels,
        "client_properties": to_json(&c.client_properties),
        "connected_at": c.connected_at_ms,
        "frame_max": c.frame_max,
        "garbage_collection": garbage_collection(),
        "host": c.host.0,
        "name": c.name,
        "node": scene.node,
        "peer_cert_issuer": certificate.map(|c| &c.issuer),
        "peer_cert_subject": certificate.map(|c| &c.subject),
        "peer_cert_validity": certificate.map(|c| &c.validity),
        "peer_host": c.peer.0,
        "peer_port": c.peer.1,
        "pid": channel_pid(scene, c.id, 0),
        "port": c.host.1,
        "protocol": "AMQP 0-9-1",
        "recv_cnt": c.received_frames,
        "recv_oct": c.received,
        "recv_oct_details": {"rate": received},
        "reductions": 0,
        "reductions_details": {"rate": 0.0},
        "send_cnt": c.sent_frames,
        "send_oct": c.sent,
        "send_oct_details": {"rate": sent},
        "send_pend": c.pending,
        "ssl": tls.is_some(),
        "ssl_cipher": tls.map(|tls| &tls.cipher),
        "ssl_hash": tls.map(|tls| tls.hash),
        "ssl_key_exchange": tls.map(|tls| &tls.key_exchange),
        "ssl_protocol": tls.map(|tls| &tls.protocol),
        "state": c.state,
        "timeout": c.heartbeat_s,
        "type": "network",
        "user": c.user,
        "user_provided_name": c.user_provided_name,
        "user_who_performed_action": c.user,
        "vhost": c.vhost,
    }) else {
        return Map::new();
    };
    map
}

/// Whether anything was ever counted.
pub fn is_used(counters: &Counters) -> bool {
    counters.named().iter().any(|(_, n)| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_rabbitmq_writes_them() {
        assert_eq!(date(1_795_223_977_054), "2026-11-21T01:19:37.054+00:00");
    }
}
