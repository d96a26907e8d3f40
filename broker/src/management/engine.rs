//! Where the management interface looks into the live engine (besides [`super::flows`]): gathers plain data, and asks
//! for the few live operations.

use super::flows::{self, Flows, channel_name, number};
use super::numbers::{ChannelNumbers, QueueNumbers};
use super::properties;
use super::sampler::{Look, NodeLook, Round};
use super::state::now_ms;
use super::view::{
    ChannelView, Churn, ConnectionView, ConsumerView, Counters, NodeView, QueueView,
};
use crate::core::browse::Browsed;
use crate::core::channel::{ChannelCounters, Mode};
use crate::core::connection::{Connection, State};
use crate::core::queue::{Queue, QueueCounters};
use crate::core::{Core, Statistics};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Ready and unacknowledged messages per virtual host.
pub fn depth_by_vhost(core: &Core) -> BTreeMap<String, (u64, u64)> {
    let mut out: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for queue in core.queues() {
        let depth = out.entry(queue.vhost.to_string()).or_default();
        depth.0 += queue.ready.len() as u64;
        depth.1 += queue.unacked as u64;
    }
    out
}

/// A queue's counters in the words of the API.
pub fn queue_counters(c: &QueueCounters) -> Counters {
    Counters {
        publish: c.publish,
        disk_reads: c.disk_reads,
        disk_writes: c.disk_writes,
        ..flows::taken(&c.taken)
    }
}

/// A channel's counters in the words of the API.
pub fn channel_counters(c: &ChannelCounters) -> Counters {
    Counters {
        publish: c.publish,
        confirm: c.confirm,
        return_unroutable: c.return_unroutable,
        drop_unroutable: c.drop_unroutable,
        ..flows::taken(&c.taken)
    }
}

fn node_counters(s: &Statistics) -> Counters {
    Counters {
        publish: s.publish,
        confirm: s.confirm,
        return_unroutable: s.return_unroutable,
        drop_unroutable: s.drop_unroutable,
        ..flows::taken(&s.taken)
    }
}

/// Names of connections by their serial number.
fn names(core: &Core) -> HashMap<u64, String> {
    let open = core.connections.iter();
    open.map(|(_, c)| (c.serial, c.peer.name())).collect()
}

/// The queues of virtual hosts that are kept, by virtual host and name.
pub fn queues(core: &Core, keep: &dyn Fn(&str) -> bool) -> Vec<(u64, QueueView)> {
    let owners = names(core);
    let kept = core.queues().filter(|queue| keep(&queue.vhost));
    let mut views: Vec<_> = kept.map(|queue| view(core, queue, &owners)).collect();
    views.sort_by(|(_, a), (_, b)| (&a.vhost, &a.name).cmp(&(&b.vhost, &b.name)));
    views
}

/// One queue.
pub fn queue(core: &Core, vhost: &str, name: &str) -> Option<(u64, QueueView)> {
    let queue = core.find_queue(vhost, name)?;
    Some(view(core, queue, &names(core)))
}

fn view(core: &Core, queue: &Queue, owners: &HashMap<u64, String>) -> (u64, QueueView) {
    let record = core
        .metadata
        .vhost(&queue.vhost)
        .and_then(|v| v.queues.get(&queue.name));
    let numbers = QueueNumbers::of(core, queue);
    let (ready, unacked) = numbers.messages;
    let since = core
        .clock
        .wall_ms
        .saturating_sub(core.clock.now_ms.saturating_sub(queue.used_ms));
    let tag = |key: Option<crate::core::queue::ConsumerKey>| consumer_tag(core, key?);
    let only = queue
        .consumers
        .is_exclusive()
        .then(|| queue.consumers.keys().next())
        .flatten();
    let view = QueueView {
        vhost: queue.vhost.to_string(),
        name: queue.name.to_string(),
        durable: record.is_some_and(|r| r.spec.durable),
        auto_delete: queue.auto_delete,
        owner: queue.owner.and_then(|serial| owners.get(&serial).cloned()),
        exclusive: queue.owner.is_some(),
        arguments: record.map(|r| r.spec.arguments.clone()).unwrap_or_default(),
        quorum: queue.quorum,
        policy: record.map(|r| r.policy.clone()).unwrap_or_default(),
        consumers: queue.consumers.len(),
        exclusive_consumer: tag(only),
        single_active: match queue.consumers.is_single_active() {
            true => tag(queue.consumers.active()),
            false => None,
        },
        ready,
        unacked,
        ready_bytes: numbers.bytes.0,
        unacked_bytes: numbers.bytes.1,
        persistent: numbers.persistent,
        in_memory: numbers.resident.0 + unacked,
        in_memory_bytes: numbers.resident.1 + numbers.bytes.1,
        by_priority: queue.ready.by_priority().collect(),
        used_ms: since,
        head_timestamp: numbers.head_timestamp,
        capacity: numbers.capacity,
        counters: numbers.counters,
    };
    (number(queue.id), view)
}

/// About how many ready messages have their bytes in memory: the store keeps
/// bytes, not messages.
pub fn ready_in_memory(queue: &Queue) -> u64 {
    let (ready, bytes) = (queue.ready.len() as u64, queue.ready.bytes());
    match queue.ready.resident() {
        0 => 0,
        resident if resident >= bytes => ready,
        resident => (u128::from(ready) * u128::from(resident) / u128::from(bytes)) as u64,
    }
}

fn consumer_tag(core: &Core, key: crate::core::queue::ConsumerKey) -> Option<String> {
    let connection = core.connections.get(key.at.connection as usize)?;
    let channel = connection.channel(key.at.channel)?;
    let consumer = channel.consumers.iter().find(|c| c.number == key.number)?;
    Some(consumer.tag.to_string())
}

fn address(at: &std::net::SocketAddr) -> (String, u16) {
    (at.ip().to_canonical().to_string(), at.port())
}

/// Consumers that are kept.
pub fn consumers(core: &Core, keep: &dyn Fn(&ConsumerView) -> bool) -> Vec<ConsumerView> {
    let mut views = Vec::new();
    for (_, connection) in &core.connections {
        for (number, channel) in connection.channels() {
            for consumer in &channel.consumers {
                let Some(queue) = core.queue(consumer.queue) else {
                    continue;
                };
                let single = queue.consumers.is_single_active();
                let active = queue.consumers.active();
                let view = ConsumerView {
                    vhost: queue.vhost.to_string(),
                    queue: queue.name.to_string(),
                    tag: consumer.tag.to_string(),
                    ack_required: !consumer.no_ack,
                    exclusive: consumer.exclusive,
                    active: !single
                        || active.is_some_and(|key| {
                            key.number == consumer.number
                                && key.at.channel == number
                                && core
                                    .connections
                                    .get(key.at.connection as usize)
                                    .is_some_and(|c| c.serial == connection.serial)
                        }),
                    prefetch: consumer.prefetch,
                    arguments: consumer.arguments.as_deref().cloned().unwrap_or_default(),
                    channel: channel_name(connection, number),
                };
                if keep(&view) {
                    views.push(view);
                }
            }
        }
    }
    views
}

/// Connections that have come as far as to have a name and a user.
pub fn open(core: &Core) -> impl Iterator<Item = (usize, &Connection)> {
    let shown = |c: &Connection| !matches!(c.state, State::Header | State::Refused);
    core.connections.iter().filter(move |(_, c)| shown(c))
}

/// All connections.
pub fn connections(core: &Core) -> Vec<ConnectionView> {
    let mut views: Vec<_> = open(core).map(|(_, c)| connection(core, c)).collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    views
}

fn connection(core: &Core, c: &Connection) -> ConnectionView {
    let blocked = core.alarms.any() && c.publishes && c.state == State::Running;
    ConnectionView {
        name: c.peer.name(),
        id: c.serial,
        user_provided_name: c.client_name().map(str::to_owned),
        peer: address(&c.peer.address),
        host: address(&c.peer.local),
        user: c.user.to_string(),
        vhost: c.vhost.to_string(),
        mechanism: c.mechanism.to_owned(),
        tls: c.peer.tls.clone(),
        state: if blocked { "blocked" } else { c.state_word() },
        channels: c.channels().len() as u64,
        channel_max: c.channel_max,
        frame_max: c.frame_max,
        heartbeat_s: c.heartbeat_s,
        client_properties: c.client_properties.as_deref().cloned().unwrap_or_default(),
        connected_at_ms: c.connected_wall_ms,
        received: c.counters.received_bytes,
        sent: c.counters.sent_bytes,
        received_frames: c.counters.received_frames,
        sent_frames: c.counters.sent_frames,
        pending: c.output.len() as u64,
    }
}

/// All channels, each with its connection's number.
pub fn channels(core: &Core) -> Vec<(u64, ChannelView)> {
    let mut views = Vec::new();
    for (_, c) in open(core) {
        for (number, channel) in c.channels() {
            let view = ChannelView {
                name: format!("{} ({number})", c.peer.name()),
                number,
                connection: c.peer.name(),
                peer: address(&c.peer.address),
                user: c.user.to_string(),
                vhost: c.vhost.to_string(),
                confirm: matches!(channel.mode, Mode::Confirm(_)),
                transactional: matches!(channel.mode, Mode::Transaction(_)),
                numbers: ChannelNumbers::of(channel),
                counters: channel_counters(&channel.counters),
            };
            views.push((c.serial, view));
        }
    }
    views.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    views
}

/// Closes the connections that are meant; says how many.
pub fn close_connections(
    core: &mut Core,
    reason: &str,
    which: &dyn Fn(&ConnectionView) -> bool,
) -> usize {
    let meant: Vec<_> = open(core)
        .filter(|(_, c)| which(&connection(core, c)))
        .map(|(index, _)| index as u32)
        .collect();
    for index in &meant {
        core.close_connection(*index, reason);
    }
    meant.len()
}

/// The node's numbers.
pub fn node(core: &Core) -> NodeView {
    let s = &core.statistics;
    let mut view = NodeView {
        counters: node_counters(s),
        churn: Churn {
            connections_created: s.connections_created,
            connections_closed: s.connections_closed,
            channels_created: s.channels_created,
            channels_closed: s.channels_closed,
            queues_declared: s.queues_declared,
            queues_created: s.queues_created,
            queues_deleted: s.queues_deleted,
        },
        alarms: (core.alarms.memory, core.alarms.disk),
        publish_confirm: s.publish_confirm,
        logins: s.logins,
        deaths: s.deaths,
        unreadable: s.unreadable,
        ..NodeView::default()
    };
    let (mut all, mut quorum) = (s.gone_classic, s.gone_quorum);
    all.add(&quorum);
    for queue in core.queues() {
        view.messages.0 += queue.ready.len() as u64;
        view.messages.1 += queue.unacked as u64;
        view.message_bytes.0 += queue.ready.bytes();
        view.message_bytes.1 += queue.unacked_bytes;
        view.open.consumers += queue.consumers.len() as u64;
        view.open.queues += 1;
        all.add(&queue.counters);
        if queue.quorum {
            quorum.add(&queue.counters);
        }
    }
    view.counters.disk_reads = all.disk_reads;
    view.counters.disk_writes = all.disk_writes;
    view.quorum = queue_counters(&quorum);
    for (_, connection) in open(core) {
        view.open.connections += 1;
        view.open.channels += connection.channels().len() as u64;
        let publishes = connection
            .channels()
            .filter(|(_, c)| c.counters.publish > 0);
        view.publishers += publishes.count() as u64;
    }
    let exchanges = core.metadata.vhosts.values();
    view.open.exchanges = exchanges.map(|v| v.exchanges.len() as u64).sum();
    view
}

/// Pairs of channels, exchanges and queues whose rates are kept.
const PAIRS: usize = 20_000;

/// One round of looking, for the rates.
pub fn sample(core: &mut Core) -> Round {
    let at_ms = now_ms();
    let mut round = Round {
        node: NodeLook::new(at_ms, &node(core)),
        ..Round::default()
    };
    let flows = Flows::of(core);
    let through = flows.exchanges();
    round.exchanges = through
        .map(|(vhost, name, passed)| ((vhost, name), [passed.published_in, passed.published_out]))
        .collect();
    let look = |(pair, counters)| {
        let look = Look {
            at_ms,
            counters,
            ..Look::default()
        };
        (pair, look)
    };
    round.pairs = flows.all(PAIRS).into_iter().map(look).collect();
    for queue in core.queues() {
        let counters = queue_counters(&queue.counters);
        if counters != Counters::default() {
            let look = Look {
                at_ms,
                counters,
                ready: queue.ready.len() as u64,
                unacked: queue.unacked as u64,
            };
            round.queues.push((number(queue.id), look));
        }
    }
    for (_, c) in open(core) {
        let octets = &c.counters;
        round.node.octets.0 += octets.received_bytes;
        round.node.octets.1 += octets.sent_bytes;
        let one = (c.serial, octets.received_bytes, octets.sent_bytes);
        round.connections.push(one);
        for (number, channel) in c.channels() {
            let counters = channel_counters(&channel.counters);
            if counters != Counters::default() {
                let look = Look {
                    at_ms,
                    counters,
                    ..Look::default()
                };
                round.channels.push(((c.serial, number), look));
            }
        }
    }
    round
}

/// A fetched message.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The body.
    pub body: Vec<u8>,
    /// Was out before.
    pub redelivered: bool,
    /// Where it was published to.
    pub exchange: String,
    /// With which key.
    pub routing_key: String,
    /// Messages ready behind it.
    pub left: usize,
    /// Properties as the API shows them.
    pub properties: Value,
}

impl From<&Browsed> for Fetched {
    fn from(browsed: &Browsed) -> Fetched {
        let message = &browsed.message;
        Fetched {
            body: message.body().to_vec(),
            redelivered: browsed.redelivered,
            exchange: String::from_utf8_lossy(message.exchange()).into_owned(),
            routing_key: String::from_utf8_lossy(message.routing_key()).into_owned(),
            left: browsed.left,
            properties: properties::to_json(message.header()),
        }
    }
}
