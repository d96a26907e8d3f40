//! A queue: ready messages, counters of what is out, consumers, limits and times.
//!
//! It decides about its own messages only. Who is told, where dead letters go and what the journal keeps is composed
//! by the engine around it.

mod capacity;
mod consumers;
mod ready;
mod settings;

pub use capacity::Capacity;
pub use consumers::{ConsumerKey, Consumers};
pub use ready::{Entry, Place, Ready};
pub use settings::{
    Durability, LONGEST_MS, Overflow, QueueSettings, check_arguments, check_type, foreign_argument,
};

use super::journal::QueueKey;
use super::letters::Reason;
use super::traffic::Taken;
use super::vhost::{QueueId, QueueRecord};
use std::collections::VecDeque;
use std::sync::Arc;

/// What has happened in a queue since it was declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounters {
    pub publish: u64,
    pub taken: Taken,
    /// Messages read back from the journal, and written to it.
    pub disk_reads: u64,
    pub disk_writes: u64,
}

impl QueueCounters {
    /// Adds another queue's.
    pub fn add(&mut self, other: &QueueCounters) {
        self.publish += other.publish;
        self.taken.add(&other.taken);
        self.disk_reads += other.disk_reads;
        self.disk_writes += other.disk_writes;
    }
}

/// A live queue.
#[derive(Debug)]
pub struct Queue {
    pub id: QueueId,
    pub key: QueueKey,
    pub vhost: Arc<str>,
    pub name: Arc<str>,
    pub durable: bool,
    pub quorum: bool,
    pub auto_delete: bool,
    /// The serial number of the connection that alone may use it.
    pub owner: Option<u64>,
    pub settings: QueueSettings,
    /// A limit came while it still dropped from the head: what is over it goes, whatever `overflow` says now.
    trims: bool,
    pub ready: Ready,
    /// Rejected, and waiting for the disk to give them so that they can go to the dead-letter exchange.
    pub(super) condemned: VecDeque<(Entry, Reason)>,
    pub consumers: Consumers,
    pub capacity: Capacity,
    /// Messages out, unacknowledged, and their body bytes.
    pub unacked: usize,
    pub unacked_bytes: u64,
    /// How many of these are on their way back, and their body bytes. The queue rests until all are there.
    pub(super) returning: usize,
    pub(super) returning_bytes: u64,
    pub persistent: usize,
    pub counters: QueueCounters,
    /// Last time that somebody used it, for `x-expires` and for listings.
    pub used_ms: u64,
    /// What the engine counts it with of its memory budget.
    pub counted: u64,
    /// Some of what is ready had to leave the memory.
    pub paged: bool,
    /// Whether it stands in the engine's list of queues to run.
    pub scheduled: bool,
    /// Whether its next message is being read from the disk.
    pub reading: bool,
    /// The deadlines entered in the engine's timers; 0 = none.
    pub expiry_timer_ms: u64,
    pub unused_timer_ms: u64,
    next_seq: u64,
}

impl Queue {
    pub fn new(vhost: Arc<str>, record: &QueueRecord, now_ms: u64) -> Queue {
        let spec = &record.spec;
        let quorum = spec.is_quorum();
        let settings = QueueSettings::new(&spec.arguments, &record.policy.definition, quorum);
        let priorities = settings.max_priority;
        Queue {
            id: record.id,
            key: spec.key,
            vhost,
            name: spec.name.as_str().into(),
            durable: spec.is_kept(),
            quorum,
            auto_delete: spec.auto_delete,
            owner: spec.owner,
            consumers: Consumers::new(settings.single_active),
            ready: if priorities > 0 {
                Ready::with_priorities(priorities)
            } else {
                Ready::default()
            },
            settings,
            trims: false,
            condemned: VecDeque::new(),
            capacity: Capacity::default(),
            unacked: 0,
            unacked_bytes: 0,
            returning: 0,
            returning_bytes: 0,
            persistent: 0,
            counters: QueueCounters::default(),
            used_ms: now_ms,
            counted: 0,
            paged: false,
            scheduled: false,
            reading: false,
            expiry_timer_ms: 0,
            unused_timer_ms: 0,
            next_seq: 1,
        }
    }

    /// The place of the next message.
    pub fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// Makes sure that places up to `seq` are not given out again, after a restart.
    pub fn skip_seqs(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq + 1);
    }

    /// When a message arriving now expires, from the queue's and its own time to live; 0 = never.
    pub fn expiry(&self, own_ttl_ms: Option<u64>, now_ms: u64) -> u64 {
        let ttl = match (own_ttl_ms, self.settings.message_ttl_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        ttl.map_or(0, |ttl| (now_ms + ttl).max(1))
    }

    /// Whether persistent messages go to the journal.
    #[inline]
    pub fn keeps(&self) -> bool {
        self.durable && self.settings.durability != Durability::Memory
    }

    /// Notes whether anything waits for consumers now.
    #[inline]
    pub fn note_capacity(&mut self, now_ms: u64) {
        let consumers = !self.consumers.is_empty();
        self.capacity.note(now_ms, consumers, self.ready.is_empty());
    }

    /// Messages ready and out.
    pub fn messages(&self) -> usize {
        self.ready.len() + self.unacked
    }

    /// Messages for the next who come: ready, or about to be.
    pub fn waiting(&self) -> usize {
        self.ready.len() + self.returning
    }

    fn waiting_bytes(&self) -> u64 {
        self.ready.bytes() + self.returning_bytes
    }

    /// Whether nothing is to be taken from it now, for what belongs ahead is on its way back.
    #[inline]
    pub fn rests(&self) -> bool {
        self.returning > 0
    }

    /// Whether one more message of `size` bytes would be one too many.
    pub fn is_full_for(&self, size: usize) -> bool {
        let settings = &self.settings;
        settings
            .max_length
            .is_some_and(|max| self.waiting() as u64 >= max)
            || settings
                .max_length_bytes
                .is_some_and(|max| self.waiting_bytes() + size as u64 > max)
    }

    /// Whether it holds more than it may.
    pub fn is_over_limit(&self) -> bool {
        let settings = &self.settings;
        settings
            .max_length
            .is_some_and(|max| self.waiting() as u64 > max)
            || settings
                .max_length_bytes
                .is_some_and(|max| self.waiting_bytes() > max)
    }

    /// Takes what policies now say. A limit that comes together with a refusing `overflow` still takes what is over it
    /// from the head, as RabbitMQ does: the overflow changes last.
    pub fn change_settings(&mut self, settings: QueueSettings) {
        let dropped = self.settings.overflow == Overflow::DropHead;
        self.settings = settings;
        self.trims |= dropped && self.is_over_limit();
    }

    /// Whether the message at the head has to go for a limit's sake.
    pub fn drops_from_head(&mut self) -> bool {
        self.trims &= self.is_over_limit();
        self.trims || (self.settings.overflow == Overflow::DropHead && self.is_over_limit())
    }

    /// Whether what comes back may push the head out. Quorum queues serve consumers first.
    pub fn drops_returned(&self) -> bool {
        let settings = &self.settings;
        let bounded = settings.max_length.is_some() || settings.max_length_bytes.is_some();
        bounded && settings.overflow == Overflow::DropHead && !self.quorum
    }

    /// Notes that a message went out to be acknowledged.
    pub fn went_out(&mut self, entry: &Entry) {
        self.unacked += 1;
        self.unacked_bytes += u64::from(entry.size);
    }

    /// Notes that a message that was out is settled or back.
    pub fn came_in(&mut self, entry: &Entry) {
        self.unacked = self.unacked.saturating_sub(1);
        self.unacked_bytes = self.unacked_bytes.saturating_sub(u64::from(entry.size));
    }

    /// Puts a message that was out back to its old place, to be flagged when it goes out again.
    pub fn put_back(&mut self, mut entry: Entry) {
        entry.redelivered = true;
        entry.returns += 1;
        self.ready.put_back(entry);
    }
}
