//! Where the metrics look into the live engine: numbers without names, so that a page of sums copies no text.

use super::engine::{open, queue_counters, ready_in_memory};
use super::view::Counters;
use crate::core::Core;
use crate::core::channel::{Channel, Mode};
use crate::core::connection::Connection;
use crate::core::queue::Queue;

/// One queue's numbers.
#[derive(Clone, Copy, Debug)]
pub struct QueueNumbers {
    /// Consumers.
    pub consumers: u64,
    /// Messages ready, out.
    pub messages: (u64, u64),
    /// Bodies' bytes ready, out.
    pub bytes: (u64, u64),
    /// Messages that are on disk.
    pub persistent: u64,
    /// Ready messages whose bodies are in memory, and their bytes.
    pub resident: (u64, u64),
    /// The timestamp property of the message at the head.
    pub head_timestamp: Option<u64>,
    /// The part of time in which consumers could take at once what came.
    pub capacity: f64,
    /// What happened so far.
    pub counters: Counters,
}

impl QueueNumbers {
    /// Of a queue of this engine.
    pub fn of(core: &Core, queue: &Queue) -> QueueNumbers {
        let head = queue.ready.front().and_then(|entry| entry.message.as_ref());
        QueueNumbers {
            consumers: queue.consumers.len() as u64,
            messages: (queue.ready.len() as u64, queue.unacked as u64),
            bytes: (queue.ready.bytes(), queue.unacked_bytes),
            persistent: queue.persistent as u64,
            resident: (ready_in_memory(queue), queue.ready.resident()),
            head_timestamp: head.and_then(|message| {
                crate::core::properties::Properties::decode(message.header())
                    .ok()?
                    .timestamp
            }),
            capacity: queue.capacity.ratio(core.clock.now_ms),
            counters: queue_counters(&queue.counters),
        }
    }

    /// Messages ready and out.
    pub fn total(&self) -> u64 {
        self.messages.0 + self.messages.1
    }

    /// Bytes of the bodies that are on disk: known where all are or none.
    pub fn persistent_bytes(&self) -> u64 {
        match self.persistent == self.total() {
            true => self.bytes.0 + self.bytes.1,
            false => 0,
        }
    }
}

/// One channel's numbers.
#[derive(Clone, Copy, Debug)]
pub struct ChannelNumbers {
    /// Consumers.
    pub consumers: u64,
    /// Messages out.
    pub unacked: u64,
    /// Publishes not yet confirmed.
    pub unconfirmed: u64,
    /// Publishes of an open transaction.
    pub uncommitted: u64,
    /// Acknowledgements of an open transaction.
    pub acks_uncommitted: u64,
    /// Prefetch of new consumers.
    pub prefetch: u16,
    /// Prefetch of the whole channel.
    pub global_prefetch: u16,
}

impl ChannelNumbers {
    /// Of a channel.
    pub fn of(channel: &Channel) -> ChannelNumbers {
        let (unconfirmed, uncommitted, acks_uncommitted) = match &channel.mode {
            Mode::Plain => (0, 0, 0),
            Mode::Confirm(confirms) => (confirms.pending.len(), 0, 0),
            Mode::Transaction(t) => (0, t.publishes.len(), t.settlements.len()),
        };
        ChannelNumbers {
            consumers: channel.consumers.len() as u64,
            unacked: channel.unacked.len() as u64,
            unconfirmed: unconfirmed as u64,
            uncommitted: uncommitted as u64,
            acks_uncommitted: acks_uncommitted as u64,
            prefetch: channel.prefetch,
            global_prefetch: channel.global_prefetch,
        }
    }
}

/// One connection's numbers.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionNumbers {
    /// Bytes received, sent.
    pub bytes: (u64, u64),
    /// Frames received, sent.
    pub frames: (u64, u64),
    /// Bytes that wait to be sent.
    pub pending: u64,
    /// Open channels.
    pub channels: u64,
}

impl ConnectionNumbers {
    /// Of a connection.
    pub fn of(connection: &Connection) -> ConnectionNumbers {
        let counters = &connection.counters;
        ConnectionNumbers {
            bytes: (counters.received_bytes, counters.sent_bytes),
            frames: (counters.received_frames, counters.sent_frames),
            pending: connection.output.len() as u64,
            channels: connection.channels().len() as u64,
        }
    }
}

/// Every queue's.
pub fn queues(core: &Core) -> impl Iterator<Item = (&Queue, QueueNumbers)> {
    core.queues()
        .map(move |queue| (queue, QueueNumbers::of(core, queue)))
}

/// Every connection's.
pub fn connections(core: &Core) -> impl Iterator<Item = (&Connection, ConnectionNumbers)> {
    open(core).map(|(_, connection)| (connection, ConnectionNumbers::of(connection)))
}

/// Every channel's, with its connection and number.
pub fn channels(core: &Core) -> impl Iterator<Item = (&Connection, u16, &Channel)> {
    open(core).flat_map(|(_, connection)| {
        let channels = connection.channels();
        channels.map(move |(number, channel)| (connection, number, channel))
    })
}
