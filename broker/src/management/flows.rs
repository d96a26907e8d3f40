//! The lists of traffic that an exchange, a queue and a channel show: who publishes to it, where that goes, who takes it.

use super::render::{Scene, channel_details};
use super::view::{ChannelName, Counters, Flow, Pair, With};
use crate::core::Core;
use crate::core::connection::Connection;
use crate::core::traffic::Taken;
use crate::core::vhost::QueueId;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What a list of traffic is about.
pub struct Flows<'a> {
    /// The engine, with its counts up to date.
    core: &'a Core,
}

/// A queue's number for rates: unique while the node runs.
pub fn number(id: QueueId) -> u64 {
    u64::from(id.index) << 32 | u64::from(id.generation)
}

/// How a channel is named in the lists of others.
pub fn channel_name(connection: &Connection, number: u16) -> ChannelName {
    let peer = &connection.peer.address;
    ChannelName {
        connection_id: connection.serial,
        connection: connection.peer.name(),
        number,
        peer: (peer.ip().to_canonical().to_string(), peer.port()),
        user: connection.user.to_string(),
    }
}

fn published(count: u64) -> Counters {
    Counters {
        publish: count,
        ..Counters::default()
    }
}

/// What was taken from queues.
pub fn taken(t: &Taken) -> Counters {
    Counters {
        deliver: t.deliver,
        deliver_no_ack: t.deliver_no_ack,
        get: t.get,
        get_no_ack: t.get_no_ack,
        get_empty: t.get_empty,
        ack: t.ack,
        redeliver: t.redeliver,
        ..Counters::default()
    }
}

impl<'a> Flows<'a> {
    /// Of an engine, whose counts are brought up to date.
    pub fn of(core: &'a mut Core) -> Flows<'a> {
        core.settle_traffic();
        Flows { core }
    }

    /// All the pairs between which anything went, for their rates; `most` of them.
    pub fn all(&self, most: usize) -> Vec<(Pair, Counters)> {
        let connections = self.core.connections.iter();
        let channels = connections.flat_map(|(_, c)| c.channels().map(move |(n, ch)| (c, n, ch)));
        let of_channels = channels.flat_map(|(c, n, channel)| {
            let traffic = &channel.traffic;
            let publishing = traffic.published().iter();
            let publishing = publishing.map(move |(exchange, count)| {
                let pair = Pair::Publishing(c.serial, n, exchange.clone());
                (pair, published(*count))
            });
            let taking = traffic.taken().iter();
            let taking =
                taking.map(move |(id, t)| (Pair::Taking(c.serial, n, number(*id)), taken(t)));
            publishing.chain(taking)
        });
        let routing = self.exchanges().flat_map(|(vhost, name, passed)| {
            passed.by_queue().map(move |(id, count)| {
                let pair = Pair::Routing(vhost.clone(), name.clone(), number(id));
                (pair, published(count))
            })
        });
        of_channels.chain(routing).take(most).collect()
    }

    /// Messages in and out of every exchange that has seen any.
    pub fn exchanges(
        &self,
    ) -> impl Iterator<Item = (Arc<str>, Arc<str>, &'a crate::core::traffic::Passed)> {
        let vhosts = self.core.metadata.vhosts.values();
        vhosts.flat_map(|vhost| {
            let shared: Arc<str> = vhost.name().into();
            let used = vhost.exchanges.iter();
            let used = used.filter(|(_, exchange)| exchange.passed.published_in > 0);
            used.map(move |(name, x)| (shared.clone(), name.clone(), &x.passed))
        })
    }

    /// A channel's publishes by exchange and what it took by queue.
    pub fn of_channel(&self, serial: u64, number_: u16) -> (Vec<Flow>, Vec<Flow>) {
        let mut connections = self.core.connections.iter();
        let found = connections.find(|(_, c)| c.serial == serial);
        let Some(channel) = found.and_then(|(_, c)| c.channel(number_)) else {
            return (Vec::new(), Vec::new());
        };
        let publishes = channel
            .traffic
            .published()
            .iter()
            .map(|(exchange, count)| Flow {
                pair: Pair::Publishing(serial, number_, exchange.clone()),
                with: With::Exchange(exchange.to_string()),
                counters: published(*count),
            });
        let deliveries = channel.traffic.taken().iter().filter_map(|(id, t)| {
            Some(Flow {
                pair: Pair::Taking(serial, number_, number(*id)),
                with: With::Queue(self.core.queue(*id)?.name.to_string()),
                counters: taken(t),
            })
        });
        (publishes.collect(), deliveries.collect())
    }

    /// Where a queue's messages come from, by exchange, and who takes them, by channel.
    pub fn of_queue(&self, vhost: &str, name: &str) -> (Vec<Flow>, Vec<Flow>) {
        let Some(id) = self.core.find_queue(vhost, name).map(|queue| queue.id) else {
            return (Vec::new(), Vec::new());
        };
        let here = self.exchanges().filter(|(at, _, _)| **at == *vhost);
        let incoming = here.filter_map(|(at, exchange, passed)| {
            let count = passed.to_queue(id);
            (count > 0).then(|| Flow {
                with: With::Exchange(exchange.to_string()),
                pair: Pair::Routing(at, exchange, number(id)),
                counters: published(count),
            })
        });
        let mut deliveries = Vec::new();
        for (_, connection) in &self.core.connections {
            for (n, channel) in connection.channels() {
                let mut of_queue = channel.traffic.taken().iter();
                if let Some((_, t)) = of_queue.find(|(at, _)| *at == id) {
                    deliveries.push(Flow {
                        pair: Pair::Taking(connection.serial, n, number(id)),
                        with: With::Channel(channel_name(connection, n)),
                        counters: taken(t),
                    });
                }
            }
        }
        (incoming.collect(), deliveries)
    }

    /// Who publishes to an exchange, by channel, and where that goes, by queue.
    pub fn of_exchange(&self, vhost: &str, name: &str) -> (Vec<Flow>, Vec<Flow>) {
        let mut incoming = Vec::new();
        let here = self.core.connections.iter();
        for (_, connection) in here.filter(|(_, c)| *c.vhost == *vhost) {
            for (n, channel) in connection.channels() {
                let mut to = channel.traffic.published().iter();
                if let Some((exchange, count)) = to.find(|(exchange, _)| **exchange == *name) {
                    incoming.push(Flow {
                        pair: Pair::Publishing(connection.serial, n, exchange.clone()),
                        with: With::Channel(channel_name(connection, n)),
                        counters: published(*count),
                    });
                }
            }
        }
        let mut found = self.exchanges();
        let found = found.find(|(at, exchange, _)| **at == *vhost && **exchange == *name);
        let outgoing = found.into_iter().flat_map(|(at, exchange, passed)| {
            passed.by_queue().filter_map(move |(id, count)| {
                Some(Flow {
                    pair: Pair::Routing(at.clone(), exchange.clone(), number(id)),
                    with: With::Queue(self.core.queue(id)?.name.to_string()),
                    counters: published(count),
                })
            })
        });
        (incoming, outgoing.collect())
    }
}

/// A list of traffic as the API shows it.
pub fn rendered(scene: Scene<'_>, vhost: &str, flows: &[Flow]) -> Value {
    let one = |flow: &Flow| {
        let shown: &[&str] = match flow.pair {
            Pair::Publishing(..) | Pair::Routing(..) => &["publish"],
            Pair::Taking(..) => &[
                "ack",
                "deliver",
                "deliver_get",
                "deliver_no_ack",
                "get",
                "get_empty",
                "get_no_ack",
                "redeliver",
            ],
        };
        let mut stats = scene.sampler.pair_stats(&flow.pair, &flow.counters);
        stats.retain(|name, _| shown.contains(&name.trim_end_matches("_details")));
        let (key, with) = match &flow.with {
            With::Channel(name) => ("channel_details", channel_details(scene, name)),
            With::Exchange(name) => ("exchange", json!({"name": name, "vhost": vhost})),
            With::Queue(name) => ("queue", json!({"name": name, "vhost": vhost})),
        };
        Value::Object(Map::from_iter([
            (key.to_owned(), with),
            ("stats".to_owned(), Value::Object(stats)),
        ]))
    };
    flows.iter().map(one).collect()
}
