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
mod range_set;
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
pub use recovery::Recovered;
pub use scan::Damage;
pub use shared::{Health, Wake};

use crate::core::journal::{Congestion, QueueKey, Reference, Stored};
use cold::{ColdReader, ColdReads, cold_reads};
use commit::Committers;
use keeper::{Job, Jobs, Keeper, Outcomes};
use metadata_log::MetadataLog;
use reader::{ReadError, Reader};
use record::{NumberedReference, Range};
use recovery::recover;
use segments::Segments;
use shared::Shared;
use slots::{Slot, Slots, slot_number};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use tail::{Draft, Tail};

/// Appended and not written: beyond this, publishers wait for what they appended themselves.
const CONGESTED_BYTES: usize = 8 << 20;
/// Beyond this, all of them wait.
const FLOODED_BYTES: usize = 4 * CONGESTED_BYTES;

/// Sizes, for tests to make small.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Length of a segment's file.
    pub segment_bytes: u64,
    /// Write spare files through at start, so that the first messages are as cheap to sync as later ones.
    pub warm: bool,
    /// Settled space is tolerated up to as much as is unsettled and this many segments more.
    pub slack_segments: u64,
    /// Makes fewer metadata commands with the same outcome.
    pub squash: Squash,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 32 << 20,
            warm: true,
            slack_segments: 6,
            squash: squash::squash,
        }
    }
}

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

/// Why a message cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

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
    next_cold: u32,
    /// The tail segment when messages began to be moved, while they are.
    moving: Option<u32>,
    /// Segments whose settlements are logged again, and the position that must be durable before they go.
    relogged: Vec<(u32, u64)>,
    /// Segments whose settlements are being looked for.
    asked: usize,
    /// A small batch may be left to the engine's thread.
    may_hold: bool,
    /// One was.
    held: bool,
}

/// The parts that do the store's work on their own threads.
pub(crate) struct Workers {
    committer: Committers,
    keeper: Keeper,
    jobs: Receiver<Job>,
    cold: ColdReader,
}

/// The store's threads, to be joined after [`Store::close`].
#[derive(Debug)]
pub struct Threads {
    committer: JoinHandle<()>,
    keeper: JoinHandle<()>,
    cold: JoinHandle<()>,
}

impl Threads {
    /// Waits until everything is written and synced. Close the store before.
    pub fn join(self) {
        // A thread that panicked has said so itself.
        let _ = (self.committer.join(), self.keeper.join(), self.cold.join());
    }
}

impl Workers {
    fn spawn(self) -> io::Result<Threads> {
        let Workers {
            committer,
            keeper,
            jobs,
            cold,
        } = self;
        let named = |name: &str| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .stack_size(256 << 10)
        };
        Ok(Threads {
            committer: named("committer").spawn(move || committer.run())?,
            keeper: named("store-keeper").spawn(move || keeper.run(&jobs))?,
            cold: named("cold-reader").spawn(move || cold.run())?,
        })
    }
}

impl Store {
    /// Opens the store in a directory, starts its threads. `wake` is called from them.
    ///
    /// `measure` tells a message's body size and priority from its bytes.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        measure: fn(&[u8]) -> Option<(u32, u8)>,
        wake: Wake,
    ) -> Result<(Store, Threads, Recovered), OpenError> {
        let (store, workers, recovered) = Store::assemble(disk, options, measure, wake)?;
        let threads = workers.spawn()?;
        store.ask(Job::Prepare {
            written: options.warm,
        });
        Ok((store, threads, recovered))
    }

    /// Opens the store without threads, for tests that act in their place.
    fn assemble(
        disk: Arc<dyn Disk>,
        options: Options,
        measure: scan::Measure,
        wake: Wake,
    ) -> Result<(Store, Workers, Recovered), OpenError> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let (metadata, commands) =
            MetadataLog::open(disk.clone(), u32::from_le_bytes(random), options.squash)?;
        let salt = metadata.seed();
        let slots = Arc::new(Slots::new(disk.clone(), options.segment_bytes));
        let mut files = Vec::new();
        for name in disk.list()? {
            if let Some(number) = slot_number(&name) {
                files.push(Slot {
                    number,
                    file: disk.open(&name)?,
                });
            }
        }
        let missing = slots.call_roll(&files);
        let found = recover(&slots, files, salt, measure)?;
        slots.write_roll();
        let shared = Arc::new(Shared::new(wake));
        let outcomes = Arc::new(Outcomes::default());
        let (jobs, line) = keeper::line();
        let (cold, cold_reader) = cold_reads(shared.clone());
        let committers = Committers::new(shared.clone(), slots.clone(), salt, metadata);
        let workers = Workers {
            committer: committers.clone(),
            keeper: Keeper {
                shared: shared.clone(),
                slots: slots.clone(),
                outcomes: outcomes.clone(),
                salt,
            },
            jobs: line,
            cold: cold_reader,
        };
        let store = Store {
            shared,
            slots,
            outcomes,
            committers,
            jobs: Some(jobs),
            options,
            tail: Tail::new(found.next, salt, options.segment_bytes),
            segments: found.segments,
            reader: Reader::default(),
            cold,
            ordinals: HashMap::default(),
            settled: Vec::new(),
            settled_in: Vec::new(),
            unit: None,
            unit_from: 0,
            wanted: 0,
            next_cold: found.next_cold,
            moving: None,
            relogged: Vec::new(),
            asked: 0,
            may_hold: false,
            held: false,
        };
        let recovered = Recovered {
            commands,
            messages: found.messages,
            last_seqs: found.last_seqs,
            damage: found.damage,
            aside: found.aside,
            missing,
        };
        Ok((store, workers, recovered))
    }

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

    /// Whether `fetch` gives this message without waiting for the disk. When not, it is read beside.
    pub fn at_hand(&mut self, stored: Stored) -> bool {
        let now = self.segments.locate(stored);
        let seed = self.tail.seed_of(now.segment);
        if self.reader.has(now, seed)
            || self.tail.read(now).is_some()
            || self.shared.is_pending(now.segment, now.offset, now.length)
            || self.cold.has_failed(now)
        {
            return true;
        }
        let Some(file) = self.slots.file(now.segment) else {
            return true;
        };
        if self.reader.is_at_hand(&*file, now) {
            return true;
        }
        self.cold.ask(now, file);
        false
    }

    /// Takes in what was read beside; whether there was anything.
    pub fn arrived(&mut self) -> bool {
        let arrived = self.cold.take();
        let any = !arrived.is_empty();
        for read in arrived {
            if let Ok(bytes) = read.bytes {
                self.reader
                    .put(read.stored.segment, read.stored.offset, bytes);
                let seed = self.tail.seed_of(read.stored.segment);
                if !self.reader.has(read.stored, seed) {
                    self.cold.fail(read.stored);
                }
            }
        }
        any
    }

    /// Reads a message back and makes something of its bytes.
    pub fn fetch<T>(
        &mut self,
        stored: Stored,
        make: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Unreadable> {
        let now = self.segments.locate(stored);
        let seed = self.tail.seed_of(now.segment);
        let unreadable =
            |why: &str| Unreadable(format!("segment {} at {} {why}", now.segment, now.offset));
        let damaged = || unreadable("is damaged");
        if let Some(message) = self.reader.found(now, seed) {
            return make(message).ok_or_else(damaged);
        }
        if let Some(bytes) = self.tail.read(now) {
            return reader::message_in(bytes, seed)
                .and_then(make)
                .ok_or_else(damaged);
        }
        if let Some(bytes) = self
            .shared
            .read_pending(now.segment, now.offset, now.length)
        {
            return reader::message_in(&bytes, seed)
                .and_then(make)
                .ok_or_else(damaged);
        }
        let file = self
            .slots
            .file(now.segment)
            .ok_or_else(|| unreadable("is gone"))?;
        match self.reader.read(&*file, now, seed) {
            Ok(message) => make(message).ok_or_else(damaged),
            Err(ReadError::Damaged) => Err(damaged()),
            Err(ReadError::Io(error)) => Err(unreadable(&format!("cannot be read: {error}"))),
        }
    }

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
