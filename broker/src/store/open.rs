//! How a store is opened: what is on the disk, the parts that work on it, and their threads.

use super::cold::{ColdReader, cold_reads};
use super::commit::Committers;
use super::disk::Disk;
use super::housekeeping::House;
use super::keeper::{self, Job, Keeper, Outcomes};
use super::metadata_log::{MetadataLog, Squash};
use super::reader::Reader;
use super::recovery::recover;
use super::shared::{Shared, Wake};
use super::slots::{Slot, Slots, slot_number};
use super::squash;
use super::tail::Tail;
use super::{OpenError, Recovered, Store, scan};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

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

/// The parts that do the store's work on their own threads.
pub(super) struct Workers {
    pub(super) committer: Committers,
    pub(super) keeper: Keeper,
    pub(super) jobs: Receiver<Job>,
    pub(super) cold: ColdReader,
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
    pub(super) fn assemble(
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
            house: House::new(found.next_cold),
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
}
