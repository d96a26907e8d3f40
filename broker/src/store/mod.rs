//! The message store: one append-only log that all queues share, made durable by group commit.
//!
//! Records are appended on the engine's thread into a buffer, handed to the committer's thread once a turn
//! ([`Store::flush`]), written, synced, and reported by a rising durable position. Nothing here waits for the disk but
//! [`Store::fetch`] of what is not [at hand](Store::at_hand), and [`Store::commit_held`]. A third thread keeps house, a
//! fourth reads what is not in memory any more.
//!
//! What is kept: messages of durable queues with their settlements, and the log of metadata commands. What a start
//! finds is in [`Recovered`]. Which message is where the engine remembers ([`Stored`]), twelve bytes a message; the
//! store remembers per segment what is settled.

mod cold;
mod commit;
mod disk;
mod engine;
mod error;
mod housekeeping;
mod keeper;
mod metadata_log;
mod open;
mod range_set;
mod read_back;
mod reader;
mod record;
mod recovery;
mod roll;
mod scan;
mod segment;
mod segments;
mod shared;
mod slots;
mod squash;
mod summary;
mod tail;
#[cfg(test)]
mod tests;

pub use disk::{Directory, Disk, DiskFile};
pub use error::OpenError;
pub use metadata_log::Squash;
pub use open::{Options, Threads};
pub use read_back::Unreadable;
pub use recovery::Recovered;
pub use scan::Damage;
pub use shared::{Health, Wake};

use crate::core::journal::{Congestion, QueueKey, Reference, Stored};
use cold::ColdReads;
use commit::Committers;
use housekeeping::House;
use keeper::{Job, Jobs, Outcomes};
use reader::Reader;
use record::{NumberedReference, Range};
use segments::Segments;
use shared::Shared;
use slots::Slots;
use std::collections::HashMap;
use std::sync::Arc;
use tail::{Draft, Tail};

/// Appended and not written: beyond this, publishers wait for what they appended themselves.
const CONGESTED_BYTES: usize = 8 << 20;
/// Beyond this, all of them wait.
const FLOODED_BYTES: usize = 4 * CONGESTED_BYTES;

/// A message to append.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    pub bytes: &'a [u8],
    /// Bytes of its body.
    pub size: u32,
    pub priority: u8,
    /// It is here to save memory and need not survive a restart.
    pub spilled: bool,
}

/// What the store is about, for statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub segments: usize,
    /// Bytes in all segments, and in unsettled messages.
    pub bytes: u64,
    pub live_bytes: u64,
    /// Bytes appended and not yet written.
    pub pending_bytes: usize,
}

/// Looks at the store's health.
#[derive(Clone)]
pub struct Monitor(Arc<Shared>);

impl Monitor {
    pub fn health(&self) -> Health {
        self.0.health()
    }
}

/// The engine's end of the store.
pub struct Store {
    shared: Arc<Shared>,
    slots: Arc<Slots>,
    outcomes: Arc<Outcomes>,
    committers: Committers,
    /// Nothing once closed: then the keeper ends.
    jobs: Option<Jobs>,
    options: Options,
    tail: Tail,
    segments: Segments,
    reader: Reader,
    cold: ColdReads,
    /// Each queue's number of records so far.
    ordinals: HashMap<QueueKey, u32, foldhash::fast::FixedState>,
    /// Settled in this turn and not yet in the log.
    settled: Vec<Range>,
    /// The segments that hold what is settled.
    settled_in: Vec<u32>,
    /// In which segment the open unit began.
    unit: Option<u32>,
    /// Where the log stood then.
    unit_from: u64,
    /// The position that somebody waits for.
    wanted: u64,
    house: House,
    /// A small batch may be left to the engine's thread.
    may_hold: bool,
    /// One was.
    held: bool,
}

impl Store {
    fn ask(&self, job: Job) -> bool {
        self.jobs
            .as_ref()
            .is_some_and(|jobs| keeper::ask(jobs, job).is_ok())
    }

    fn flags(&self) -> u8 {
        if self.unit.is_some() {
            record::IN_UNIT
        } else {
            0
        }
    }

    /// Appends one message for all the queues that it was routed to; spilled ones need not survive a restart.
    ///
    /// At most 65 535 references.
    pub fn publish(&mut self, content: Content<'_>, references: &[Reference]) -> Stored {
        let flags = self.flags()
            | if content.spilled {
                record::TRANSIENT
            } else {
                0
            };
        let draft = Draft {
            bytes: content.bytes,
            size: content.size,
            priority: content.priority,
            flags,
        };
        let stored = match references {
            [one] => {
                let numbered = [self.number(*one)];
                self.tail.publish(draft, numbered.into_iter())
            }
            _ => {
                let numbered: Vec<NumberedReference> =
                    references.iter().map(|&one| self.number(one)).collect();
                self.tail.publish(draft, numbered.into_iter())
            }
        };
        self.segments.add(stored, references.len() as u32);
        stored
    }

    fn number(&mut self, reference: Reference) -> NumberedReference {
        let ordinal = self.ordinals.entry(reference.queue).or_default();
        *ordinal = ordinal.wrapping_add(1);
        NumberedReference {
            reference,
            ordinal: *ordinal,
        }
    }

    /// A message left its queue for good. Logged at the end of the turn, or of the unit.
    pub fn settle(&mut self, queue: QueueKey, seq: u64, stored: Stored) {
        let holder = self.segments.settle(stored, queue, seq);
        if self.settled_in.last() != Some(&holder) && !self.settled_in.contains(&holder) {
            self.settled_in.push(holder);
        }
        match self.settled.last_mut() {
            Some(last) if last.queue == queue && last.to.wrapping_add(1) == seq => last.to = seq,
            _ => self.settled.push(Range {
                queue,
                from: seq,
                to: seq,
            }),
        }
        if self.settled.len() >= 4096 {
            self.log_settled();
        }
    }

    fn log_settled(&mut self) {
        if !self.settled.is_empty() {
            let ranges = std::mem::take(&mut self.settled);
            let flags = self.flags();
            let before = self.tail.segment();
            self.tail.settle(&ranges, flags);
            for &holder in &self.settled_in {
                self.tail.depend_on(holder);
            }
            if before != self.tail.segment() {
                // Some of them are in the segment before, which must outlive the same; this one must outlive it.
                self.tail.depend_on(before);
                let holders = self
                    .settled_in
                    .iter()
                    .copied()
                    .filter(|&holder| holder != before);
                self.segments.get_mut(before).depends_on.extend(holders);
            }
            self.settled_in.clear();
            self.settled = ranges;
            self.settled.clear();
        }
    }

    /// A queue is gone; what it had was settled before.
    pub fn forget(&mut self, queue: QueueKey) {
        self.ordinals.remove(&queue);
    }

    /// A message came back to its queue, delivered `count` times so far.
    pub fn returned(&mut self, queue: QueueKey, seq: u64, count: u32) {
        let flags = self.flags();
        self.tail.returned(queue, seq, count, flags);
    }

    /// A change of the durable metadata. Returns its position.
    pub fn command(&mut self, bytes: Vec<u8>) -> u64 {
        self.tail.command(bytes)
    }

    /// What is appended from here to `end_unit` counts after a restart only as a whole.
    pub fn begin_unit(&mut self) {
        self.log_settled();
        self.unit = Some(self.tail.segment());
        self.unit_from = self.tail.position();
    }

    /// Ends the unit; returns its position, or 0 when nothing is in it.
    pub fn end_unit(&mut self) -> u64 {
        self.log_settled();
        let begun = self.unit.take();
        if self.tail.position() == self.unit_from {
            return 0;
        }
        if let Some(begun) = begun {
            self.tail.unit_end(begun);
        }
        self.tail.position()
    }

    /// Somebody waits for everything up to this position to be durable.
    pub fn want(&mut self, position: u64) {
        self.wanted = self.wanted.max(position);
    }

    /// The position behind everything appended. What `settle` collected counts only after `flush`.
    pub fn position(&self) -> u64 {
        self.tail.position()
    }

    /// The position up to which everything is on the disk.
    pub fn durable(&self) -> u64 {
        self.shared.durable()
    }

    /// The position up to which everything is at least with the operating system: it survives the end of the process.
    pub fn written(&self) -> u64 {
        self.shared.written()
    }

    /// Asks for a wake when everything up to here is written.
    pub fn await_written(&self, position: u64) {
        self.shared.await_written(position);
    }

    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Says whether the disk is short of space: then as little as possible is kept for later.
    pub fn short_of_space(&mut self, is_short: bool) {
        self.slots.set_short(is_short);
        if is_short {
            self.ask(Job::Trim);
        }
    }

    /// How much is appended and not yet written.
    pub fn congestion(&self) -> Congestion {
        let waiting = self.tail.buffered() + self.shared.pending_bytes();
        if waiting <= CONGESTED_BYTES {
            Congestion::None
        } else if waiting <= FLOODED_BYTES {
            Congestion::Some
        } else {
            Congestion::Much
        }
    }

    /// Ends a turn: hands everything to the committer, and sees to the house.
    pub fn flush(&mut self) {
        self.log_settled();
        if !self.tail.is_idle() {
            let (operations, sealed) = self.tail.end_turn(self.shared.durable_place());
            let any_sealed = !sealed.is_empty();
            let wanted = if self.wanted > self.shared.durable() {
                self.wanted
            } else {
                0
            };
            self.held = self.shared.push(operations, wanted, self.may_hold);
            sealed
                .into_iter()
                .for_each(|sealed| self.segments.seal(sealed));
            if any_sealed {
                self.ask(Job::Prepare { written: false });
            }
            self.tail.use_buffer(self.shared.buffer());
        }
        self.keep_house();
    }

    /// Whether `flush` may leave a small batch that somebody waits for to the caller, while the committer rests.
    pub fn may_hold(&mut self, may: bool) {
        self.may_hold = may;
    }

    /// Whether `flush` left a batch to the caller: to `commit_held` or to `hand_over`.
    pub fn holds(&self) -> bool {
        self.held
    }

    /// Writes and syncs what was held on this thread. Waits for the disk.
    pub fn commit_held(&mut self) {
        if std::mem::take(&mut self.held) {
            if self.committers.try_turn() {
                self.shared.let_go();
            } else {
                self.shared.nudge();
            }
        }
    }

    /// Leaves what was held to the committer.
    pub fn hand_over(&mut self) {
        if std::mem::take(&mut self.held) {
            self.shared.nudge();
        }
    }

    /// How much room is taken, and by what.
    pub fn usage(&self) -> Usage {
        let (bytes, live_bytes) = self.segments.totals();
        Usage {
            segments: self.segments.len() + 1,
            bytes: bytes + self.tail.bytes(),
            live_bytes,
            pending_bytes: self.tail.buffered() + self.shared.pending_bytes(),
        }
    }

    /// Hands over what is left and asks the threads to write it, sync it and end.
    pub fn close(&mut self) {
        self.flush();
        self.hand_over();
        self.jobs = None;
        self.cold.close();
        self.shared.stop();
    }

    /// A way to look at the store's health from other threads.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.shared.clone())
    }
}
