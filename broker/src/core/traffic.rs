//! Who publishes where and who takes from where, for listings: counted along with routing and delivery, in bounded tables.
//!
//! Publishes are counted in the channels' caches of routes and entered here when somebody looks, so that the usual
//! publish costs one addition.

use super::Core;
use super::connection::At;
use super::vhost::QueueId;
use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;

/// Exchanges, and queues, by which one channel's traffic is told apart; beyond that the oldest is forgotten.
const TOLD_APART: usize = 64;
/// Queues by which an exchange's messages are told apart; beyond that the others count in the sum only.
const OUTGOING: usize = 10_000;

/// What one channel did, by exchange and by queue.
#[derive(Debug, Default)]
pub struct Traffic {
    published: Vec<(Arc<str>, u64)>,
    taken: Vec<(QueueId, Taken)>,
}

/// What was taken from queues: by a channel from one of them, by everybody from one, by a channel from all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    pub deliver: u64,
    pub deliver_no_ack: u64,
    pub get: u64,
    pub get_no_ack: u64,
    pub get_empty: u64,
    pub ack: u64,
    pub redeliver: u64,
}

impl Taken {
    /// Adds another's.
    pub fn add(&mut self, other: &Taken) {
        self.deliver += other.deliver;
        self.deliver_no_ack += other.deliver_no_ack;
        self.get += other.get;
        self.get_no_ack += other.get_no_ack;
        self.get_empty += other.get_empty;
        self.ack += other.ack;
        self.redeliver += other.redeliver;
    }
}

impl Traffic {
    /// Publishes by exchange.
    pub fn published(&self) -> &[(Arc<str>, u64)] {
        &self.published
    }

    /// What was taken, by queue.
    pub fn taken(&self) -> &[(QueueId, Taken)] {
        &self.taken
    }

    fn publish(&mut self, exchange: &Arc<str>, count: u64) {
        if let Some((_, sum)) = self.published.iter_mut().find(|(name, _)| name == exchange) {
            *sum += count;
            return;
        }
        if self.published.len() == TOLD_APART {
            self.published.remove(0);
        }
        self.published.push((exchange.clone(), count));
    }

    /// The counts of one queue, to be added to.
    #[inline]
    pub fn of_queue(&mut self, queue: QueueId) -> &mut Taken {
        let index = match self.taken.iter().position(|(id, _)| *id == queue) {
            Some(index) => index,
            None => {
                if self.taken.len() == TOLD_APART {
                    self.taken.remove(0);
                }
                self.taken.push((queue, Taken::default()));
                self.taken.len() - 1
            }
        };
        &mut self.taken[index].1
    }
}

/// Messages published to an exchange, and those that it led to queues.
#[derive(Debug, Default)]
pub struct Passed {
    pub published_in: u64,
    pub published_out: u64,
    queues: HashMap<QueueId, u64>,
}

impl Passed {
    /// Messages that went to one queue.
    pub fn to_queue(&self, id: QueueId) -> u64 {
        self.queues.get(&id).copied().unwrap_or(0)
    }

    /// Messages by queue.
    pub fn by_queue(&self) -> impl Iterator<Item = (QueueId, u64)> {
        self.queues.iter().map(|(id, count)| (*id, *count))
    }

    fn add(&mut self, queues: &[QueueId], count: u64) {
        self.published_in += count;
        self.published_out += count * queues.len() as u64;
        for id in queues {
            if let Some(sum) = self.queues.get_mut(id) {
                *sum += count;
            } else if self.queues.len() < OUTGOING {
                self.queues.insert(*id, count);
            }
        }
    }

    fn forget(&mut self, is_there: impl Fn(QueueId) -> bool) {
        self.queues.retain(|id, _| is_there(*id));
        if self.queues.is_empty() {
            self.queues = HashMap::new();
        }
    }
}

impl Core {
    /// Counts what was taken from a queue: for the node, the queue, and the channel that it was for.
    #[inline]
    pub(super) fn note_taken(&mut self, id: QueueId, by: Option<At>, taken: &Taken) {
        self.statistics.taken.add(taken);
        if let Some(queue) = self.queue_mut(id) {
            queue.counters.taken.add(taken);
        }
        let Some(at) = by else {
            return;
        };
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            channel.counters.taken.add(taken);
            channel.traffic.of_queue(id).add(taken);
        }
    }

    /// Enters the publishes that a channel's cache has counted.
    pub(super) fn note_publishes(&mut self, at: At) {
        let connection = &mut self.connections[at.connection as usize];
        let Some(vhost) = self.metadata.vhosts.get_mut(&*connection.vhost) else {
            return;
        };
        let Some(channel) = connection.channel_mut(at.channel) else {
            return;
        };
        let traffic = &mut channel.traffic;
        channel.routes.take_counts(|exchange, queues, count| {
            if let Some((name, exchange)) = vhost.exchange_with_name(exchange) {
                traffic.publish(&name, count);
                exchange.passed.add(queues, count);
            }
        });
    }

    /// Enters one publish that no cache has counted.
    pub(super) fn note_publish(
        &mut self,
        at: Option<At>,
        vhost: &str,
        exchange: &str,
        queues: &[QueueId],
    ) {
        let Some(vhost) = self.metadata.vhosts.get_mut(vhost) else {
            return;
        };
        let Some((name, exchange)) = vhost.exchange_with_name(exchange.as_bytes()) else {
            return;
        };
        exchange.passed.add(queues, 1);
        let channel = at.and_then(|at| {
            let connection = self.connections.get_mut(at.connection as usize)?;
            connection.channel_mut(at.channel)
        });
        if let Some(channel) = channel {
            channel.traffic.publish(&name, 1);
        }
    }

    /// Brings the counts of all channels and exchanges up to date, and forgets queues that are gone.
    pub fn settle_traffic(&mut self) {
        let channels = self.connections.iter().flat_map(|(index, connection)| {
            connection.channels().map(move |(channel, _)| At {
                connection: index as u32,
                channel,
            })
        });
        for at in channels.collect::<Vec<_>>() {
            self.note_publishes(at);
        }
        let queues = &self.queues;
        let is_there = |id: QueueId| {
            let at = queues.get(id.index as usize).and_then(Option::as_deref);
            at.is_some_and(|queue| queue.id == id)
        };
        for vhost in self.metadata.vhosts.values_mut() {
            for exchange in vhost.exchanges.values_mut() {
                exchange.passed.forget(is_there);
            }
        }
        for (_, connection) in &mut self.connections {
            for (_, channel) in connection.channels_mut() {
                channel.traffic.taken.retain(|(id, _)| is_there(*id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(index: u32) -> QueueId {
        QueueId {
            index,
            generation: 1,
        }
    }

    #[test]
    fn a_channel_forgets_the_oldest_of_too_many() {
        let mut traffic = Traffic::default();
        for index in 0..100 {
            traffic.of_queue(queue(index)).ack += 1;
            traffic.publish(&format!("x{index}").into(), 1);
        }
        traffic.of_queue(queue(99)).ack += 1;
        assert_eq!(traffic.taken().len(), TOLD_APART);
        assert_eq!(traffic.taken()[TOLD_APART - 1].1.ack, 2);
        assert_eq!(&*traffic.published()[0].0, "x36");
    }

    #[test]
    fn an_exchange_counts_all_even_where_it_cannot_tell_apart() {
        let mut passed = Passed::default();
        let all: Vec<_> = (0..OUTGOING as u32 + 5).map(queue).collect();
        passed.add(&all, 2);
        assert_eq!(passed.published_in, 2);
        assert_eq!(passed.published_out, 2 * (OUTGOING as u64 + 5));
        assert_eq!(passed.by_queue().count(), OUTGOING);
        passed.forget(|id| id.index < 3);
        assert_eq!(passed.by_queue().count(), 3);
        assert_eq!(passed.to_queue(queue(0)), 2);
    }
}
