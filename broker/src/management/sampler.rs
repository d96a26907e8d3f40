//! Rates and charts: counters looked at every few seconds, in bounded memory.
//!
//! The node keeps ten minutes. A queue, channel or connection keeps its last
//! two looks, which is what a rate needs; queues that somebody looks at keep
//! ten minutes too, a fixed number of them.

use super::view::{Churn, Counters, NodeView, Pair};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Looks kept of the node and of watched queues.
const HISTORY: usize = 121;
/// Watched queues at most.
const WATCHED: usize = 64;
/// Looks after which nobody watches any more.
const WATCH_LOOKS: u64 = 120;

/// One look at a queue or channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Counters.
    pub counters: Counters,
    /// Messages ready.
    pub ready: u64,
    /// Messages out.
    pub unacked: u64,
}

/// One look at the node.
#[derive(Clone, Debug, Default)]
pub struct NodeLook {
    /// Messages and counters.
    pub look: Look,
    /// What came and went since the node started.
    pub churn: Churn,
    /// Memory in use.
    pub memory: u64,
    /// Open files.
    pub files: u64,
    /// Sockets.
    pub sockets: u64,
    /// Free bytes on the disk.
    pub disk_free: u64,
    /// Bytes received and sent by all connections.
    pub octets: (u64, u64),
}

impl NodeLook {
    /// From what was gathered.
    pub fn new(at_ms: u64, node: &NodeView) -> NodeLook {
        NodeLook {
            look: Look {
                at_ms,
                counters: node.counters,
                ready: node.messages.0,
                unacked: node.messages.1,
            },
            churn: node.churn,
            ..NodeLook::default()
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Track {
    last: Look,
    before: Look,
    /// When its counters were first seen as they are.
    since_ms: u64,
    seen: u64,
}

/// An exchange by virtual host and name.
pub type ExchangeKey = (Arc<str>, Arc<str>);

/// Messages in and out of an exchange, each look with its time.
#[derive(Clone, Copy, Debug, Default)]
struct Through {
    last: (u64, [u64; 2]),
    before: (u64, [u64; 2]),
    seen: u64,
}

/// Bytes in and out of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Octets {
    last: (u64, u64, u64),
    before: (u64, u64, u64),
    seen: u64,
}

#[derive(Debug)]
struct Watched {
    looks: VecDeque<Look>,
    until: u64,
}

/// What is remembered.
#[derive(Debug, Default)]
pub struct Sampler {
    round: u64,
    node: VecDeque<NodeLook>,
    queues: HashMap<u64, Track>,
    channels: HashMap<(u64, u16), Track>,
    connections: HashMap<u64, Octets>,
    exchanges: HashMap<ExchangeKey, Through>,
    pairs: HashMap<Pair, Track>,
    watched: HashMap<u64, Watched>,
}

/// What one round of looking brings.
#[derive(Debug, Default)]
pub struct Round {
    /// The node.
    pub node: NodeLook,
    /// Queues that were ever used, by their number.
    pub queues: Vec<(u64, Look)>,
    /// Channels that were ever used, by connection and number.
    pub channels: Vec<((u64, u16), Look)>,
    /// Connections: number, received, sent.
    pub connections: Vec<(u64, u64, u64)>,
    /// Exchanges that were ever used: messages in and out.
    pub exchanges: Vec<(ExchangeKey, [u64; 2])>,
    /// Channels, exchanges and queues between which anything went.
    pub pairs: Vec<(Pair, Look)>,
}

impl Sampler {
    /// Takes in one round; forgets what was not in it.
    pub fn take(&mut self, round: Round) {
        self.round += 1;
        let (now, at) = (self.round, round.node.look.at_ms);
        if self.node.len() == HISTORY {
            self.node.pop_front();
        }
        self.node.push_back(round.node);
        for (id, look) in round.queues {
            track(self.queues.entry(id).or_default(), look, now);
            if let Some(watched) = self.watched.get_mut(&id) {
                if watched.looks.len() == HISTORY {
                    watched.looks.pop_front();
                }
                watched.looks.push_back(look);
            }
        }
        for (id, look) in round.channels {
            track(self.channels.entry(id).or_default(), look, now);
        }
        for (id, received, sent) in round.connections {
            let octets = self.connections.entry(id).or_default();
            octets.before = octets.last;
            octets.last = (at, received, sent);
            octets.seen = now;
        }
        for (key, counts) in round.exchanges {
            let through = self.exchanges.entry(key).or_default();
            through.before = match through.seen {
                0 => (at, counts),
                _ => through.last,
            };
            (through.last, through.seen) = ((at, counts), now);
        }
        for (pair, look) in round.pairs {
            track(self.pairs.entry(pair).or_default(), look, now);
        }
        self.exchanges.retain(|_, t| t.seen == now);
        self.pairs.retain(|_, t| t.seen == now);
        self.queues.retain(|_, t| t.seen == now);
        self.channels.retain(|_, t| t.seen == now);
        self.connections.retain(|_, o| o.seen == now);
        self.watched.retain(|_, w| w.until >= now);
    }

    /// Keeps a queue's looks from now on, for a while.
    pub fn watch(&mut self, queue: u64) {
        let until = self.round + WATCH_LOOKS;
        if let Some(watched) = self.watched.get_mut(&queue) {
            watched.until = until;
        } else if self.watched.len() < WATCHED {
            let looks = VecDeque::new();
            self.watched.insert(queue, Watched { looks, until });
        }
    }

    /// `message_stats` of a queue with its counters of now; nothing when it was never used.
    pub fn queue_stats(&self, id: u64, counters: &Counters, range: Option<Range>) -> Option<Value> {
        let looks = range.map(|range| (range, self.queue_looks(id)));
        let rates = self.queues.get(&id).map(|t| (t.before, t.last));
        let mut value = stats(
            counters,
            rates,
            looks.as_ref().map(|(r, l)| (*r, l.as_slice())),
        );
        if let Some(Value::Object(map)) = &mut value {
            // what happens before a message has a queue is not the queue's
            map.retain(|name, _| {
                let name = name.trim_end_matches("_details");
                !["confirm", "drop_unroutable", "return_unroutable"].contains(&name)
            });
        }
        value
    }

    /// Rates of ready and unacknowledged messages of a queue.
    pub fn queue_depth_rates(&self, id: u64) -> (f64, f64) {
        let Some(track) = self.queues.get(&id) else {
            return (0.0, 0.0);
        };
        let (a, b) = (track.before, track.last);
        (
            rate(a.at_ms, a.ready, b.at_ms, b.ready),
            rate(a.at_ms, a.unacked, b.at_ms, b.unacked),
        )
    }

    /// Rates at which a queue takes messages, gives them out and has them acknowledged.
    pub fn queue_flow(&self, id: u64) -> (f64, f64, f64) {
        let Some(track) = self.queues.get(&id) else {
            return (0.0, 0.0, 0.0);
        };
        let (a, b) = (track.before, track.last);
        let of = |count: fn(&Counters) -> u64| {
            rate(a.at_ms, count(&a.counters), b.at_ms, count(&b.counters))
        };
        (of(|c| c.publish), of(Counters::deliver_get), of(|c| c.ack))
    }

    /// The looks at a queue, oldest first.
    pub fn queue_looks(&self, id: u64) -> Vec<Look> {
        match (self.watched.get(&id), self.queues.get(&id)) {
            (Some(watched), _) if !watched.looks.is_empty() => {
                watched.looks.iter().copied().collect()
            }
            (_, Some(track)) => vec![track.before, track.last],
            _ => Vec::new(),
        }
    }

    /// Since when nothing has happened in a queue, in milliseconds since 1970; `used_ms` is when it was last used
    /// without messages. Nothing while something happens.
    pub fn queue_idle_since(&self, id: u64, counters: &Counters, used_ms: u64) -> Option<u64> {
        match self.queues.get(&id) {
            None => (*counters == Counters::default()).then_some(used_ms),
            Some(track) => track.idle_since(counters).map(|ms| ms.max(used_ms)),
        }
    }

    /// The same of a channel that was ever used.
    pub fn channel_idle_since(&self, id: (u64, u16), counters: &Counters) -> Option<u64> {
        self.channels.get(&id)?.idle_since(counters)
    }

    /// `message_stats` of an exchange with its counts of now; nothing when it was never used.
    pub fn exchange_stats(&self, key: &ExchangeKey, now: [u64; 2]) -> Option<Value> {
        if now == [0, 0] {
            return None;
        }
        let through = self.exchanges.get(key);
        let mut out = Map::new();
        for (index, name) in ["publish_in", "publish_out"].into_iter().enumerate() {
            let per_second = through.map_or(0.0, |t| {
                rate(t.before.0, t.before.1[index], t.last.0, t.last.1[index]).max(0.0)
            });
            out.insert(name.to_owned(), now[index].into());
            out.insert(format!("{name}_details"), json!({"rate": per_second}));
        }
        Some(Value::Object(out))
    }

    /// The numbers of what went between two things, with their rates.
    pub fn pair_stats(&self, pair: &Pair, counters: &Counters) -> Map<String, Value> {
        let rates = self.pairs.get(pair).map(|t| (t.before, t.last));
        match stats(counters, rates, None) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// `message_stats` of a channel.
    pub fn channel_stats(&self, id: (u64, u16), counters: &Counters) -> Option<Value> {
        let rates = self.channels.get(&id).map(|t| (t.before, t.last));
        let mut value = stats(counters, rates, None)?;
        if let Value::Object(map) = &mut value {
            map.retain(|name, _| !name.starts_with("disk_"));
        }
        Some(value)
    }

    /// Rates of bytes received and sent.
    pub fn connection_rates(&self, id: u64) -> (f64, f64) {
        let Some(o) = self.connections.get(&id) else {
            return (0.0, 0.0);
        };
        (
            rate(o.before.0, o.before.1, o.last.0, o.last.1),
            rate(o.before.0, o.before.2, o.last.0, o.last.2),
        )
    }

    /// `message_stats` of the node.
    pub fn node_stats(&self, counters: &Counters, range: Option<Range>) -> Option<Value> {
        let looks: Vec<_> = self.node.iter().map(|n| n.look).collect();
        let rates = self.last_two().map(|(a, b)| (a.look, b.look));
        stats(
            counters,
            rates,
            range.map(|range| (range, looks.as_slice())),
        )
    }

    /// The looks at the node, oldest first.
    pub fn node_looks(&self) -> impl Iterator<Item = &NodeLook> {
        self.node.iter()
    }

    /// The last two looks at the node.
    pub fn last_two(&self) -> Option<(&NodeLook, &NodeLook)> {
        let last = self.node.back()?;
        let before = self
            .node
            .len()
            .checked_sub(2)
            .and_then(|i| self.node.get(i))?;
        Some((before, last))
    }

    /// The rate of a number of the node.
    pub fn node_rate(&self, of: impl Fn(&NodeLook) -> u64) -> f64 {
        self.last_two()
            .map_or(0.0, |(a, b)| rate(a.look.at_ms, of(a), b.look.at_ms, of(b)))
    }
}

impl Track {
    /// Since when its counters are as they are; nothing when they moved since the last look.
    fn idle_since(&self, now: &Counters) -> Option<u64> {
        (self.last.counters == *now).then_some(self.since_ms)
    }
}

fn track(track: &mut Track, look: Look, round: u64) {
    if track.seen == 0 || track.last.counters != look.counters {
        track.since_ms = look.at_ms;
    }
    track.before = match track.seen {
        // first seen: it had nothing one interval ago, which is not known exactly
        0 => look,
        _ => track.last,
    };
    track.last = look;
    track.seen = round;
}

/// The part of the history that a chart wants.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Seconds back.
    pub age_s: u64,
    /// Seconds between points.
    pub step_s: u64,
}

/// Change a second between two looks; negative when it fell.
pub fn rate(from_ms: u64, from: u64, to_ms: u64, to: u64) -> f64 {
    if to_ms <= from_ms || from_ms == 0 {
        return 0.0;
    }
    let change = to as f64 - from as f64;
    change * 1000.0 / (to_ms - from_ms) as f64
}

fn stats(
    counters: &Counters,
    rates: Option<(Look, Look)>,
    looks: Option<(Range, &[Look])>,
) -> Option<Value> {
    let used = counters.named().iter().any(|(_, n)| *n > 0);
    if !used {
        return None;
    }
    let mut out = Map::new();
    for (index, (name, now)) in counters.named().into_iter().enumerate() {
        let of = |look: &Look| look.counters.named()[index].1;
        let per_second = rates.map_or(0.0, |(a, b)| rate(a.at_ms, of(&a), b.at_ms, of(&b)));
        let mut details = json!({"rate": per_second.max(0.0)});
        if let Some((range, looks)) = looks {
            let points: Vec<_> = looks.iter().map(|l| (l.at_ms, of(l))).collect();
            add_samples(&mut details, range, &points);
        }
        out.insert(name.to_owned(), now.into());
        out.insert(format!("{name}_details"), details);
    }
    Some(Value::Object(out))
}

/// Adds `samples` (newest first), `avg` and `avg_rate` to a details object.
pub fn add_samples(details: &mut Value, range: Range, points: &[(u64, u64)]) {
    let Some(&(newest, last)) = points.last() else {
        return;
    };
    let oldest = newest.saturating_sub(range.age_s * 1000);
    let mut next = u64::MAX;
    let mut samples = Vec::new();
    for (at, value) in points.iter().rev().filter(|(at, _)| *at >= oldest) {
        if *at <= next {
            samples.push((*at, *value));
            next = at.saturating_sub((range.step_s * 1000).saturating_sub(500));
        }
    }
    let sum: u64 = samples.iter().map(|(_, v)| *v).sum();
    let first = samples.last().copied().unwrap_or((newest, last));
    let listed = |(at, value): &(u64, u64)| json!({"sample": value, "timestamp": at});
    if let Value::Object(map) = details {
        map.insert(
            "avg".into(),
            (sum as f64 / samples.len().max(1) as f64).into(),
        );
        let average = rate(first.0, first.1, newest, last).max(0.0);
        map.insert("avg_rate".into(), average.into());
        map.insert("samples".into(), samples.iter().map(listed).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_s: u64, publish: u64) -> Look {
        let counters = Counters {
            publish,
            ..Counters::default()
        };
        Look {
            at_ms: 1_000_000 + at_s * 1000,
            counters,
            ready: publish,
            unacked: 0,
        }
    }

    fn round(at_s: u64, publish: u64) -> Round {
        let node = NodeLook {
            look: look(at_s, publish),
            ..NodeLook::default()
        };
        Round {
            node,
            queues: vec![(1, look(at_s, publish))],
            ..Round::default()
        }
    }

    #[test]
    fn a_rate_is_the_change_between_the_last_two_looks() {
        let mut sampler = Sampler::default();
        sampler.take(round(0, 100));
        sampler.take(round(5, 150));
        let counters = look(5, 160).counters;
        let stats = sampler.queue_stats(1, &counters, None).expect("was used");
        assert_eq!(stats["publish"], 160);
        assert_eq!(stats["publish_details"]["rate"], 10.0);
        let node = sampler.node_stats(&counters, None).expect("was used");
        assert_eq!(node["publish_details"]["rate"], 10.0);
    }

    #[test]
    fn what_is_gone_is_forgotten_and_the_history_is_bounded() {
        let mut sampler = Sampler::default();
        sampler.watch(1);
        for i in 0..500 {
            sampler.take(round(i * 5, i));
        }
        assert_eq!(sampler.node.len(), HISTORY);
        assert!(sampler.watched.is_empty(), "nobody has asked for it lately");
        sampler.take(Round::default());
        assert!(sampler.queues.is_empty());
        for id in 0..1000 {
            sampler.watch(id);
        }
        assert_eq!(sampler.watched.len(), WATCHED);
    }

    #[test]
    fn samples_go_back_as_far_as_asked_newest_first() {
        let mut sampler = Sampler::default();
        for i in 0..50 {
            sampler.take(round(i * 5, i));
        }
        let range = Range {
            age_s: 60,
            step_s: 10,
        };
        let stats = sampler.node_stats(&look(0, 49).counters, Some(range));
        let stats = stats.expect("was used");
        let samples = stats["publish_details"]["samples"]
            .as_array()
            .expect("a list");
        assert_eq!(samples.len(), 7);
        assert_eq!(samples[0]["sample"], 49);
        assert_eq!(samples[1]["sample"], 47);
    }

    #[test]
    fn nothing_ever_used_has_no_stats() {
        assert!(
            Sampler::default()
                .queue_stats(1, &Counters::default(), None)
                .is_none()
        );
    }
}
