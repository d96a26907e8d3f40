//! Housekeeping beside the hot path, in a thread of its own: spare files made ready, settled segments given up,
//! messages moved out of mostly settled segments.

use super::disk::{DiskFile, read_exact_at};
use super::range_set::RangeSet;
use super::record::{self, Kind, NumberedReference, Range, Record};
use super::segment::{self, DATA, Header, Role};
use super::segments::{Move, Seen, SettledReference};
use super::shared::{Health, Shared};
use super::slots::Slots;
use super::summary::{Fact, Published, Summary};
use crate::core::journal::{QueueKey, Stored};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

/// Jobs waiting at most; the engine tries again later when there are more.
const JOBS: usize = 64;

pub(super) enum Job {
    /// Have spare files ready; `written` also writes them through.
    Prepare {
        written: bool,
    },
    /// Remove spare files that are too many.
    Trim,
    Retire(Vec<u32>),
    /// Say what a segment settles in older ones that stay, so that it can be logged again and the segment go.
    Settlements {
        segment: u32,
        holders: Vec<u32>,
    },
    /// Move what is unsettled in these segments to the segment `cold`.
    Move {
        cold: u32,
        victims: Vec<Victim>,
    },
}

/// A segment to move messages out of, and what of it is settled.
pub(super) struct Victim {
    pub segment: u32,
    pub dead: Vec<u32>,
    pub partly: Vec<SettledReference>,
}

/// What became of a job.
pub(super) enum Outcome {
    Retired(Vec<u32>),
    Moved {
        cold: u32,
        moves: Vec<Move>,
        seen: Vec<Seen>,
        untouched: Vec<u32>,
    },
    /// What `segment` settles in the holders.
    Settlements {
        segment: u32,
        holders: Vec<u32>,
        ranges: Vec<Range>,
    },
    /// What it settles cannot be read.
    NotFound {
        segment: u32,
        reason: String,
    },
    /// Nothing was changed; it may be tried again.
    NotMoved {
        victims: Vec<u32>,
        reason: String,
    },
}

/// Where outcomes wait for the engine.
#[derive(Default)]
pub(super) struct Outcomes(Mutex<Vec<Outcome>>);

impl Outcomes {
    pub fn push(&self, outcome: Outcome) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(outcome);
    }

    pub fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The engine's end of the line of jobs.
pub(super) type Jobs = SyncSender<Job>;

/// A line of jobs.
pub(super) fn line() -> (Jobs, Receiver<Job>) {
    std::sync::mpsc::sync_channel(JOBS)
}

/// Puts a job in line unless it is full.
pub(super) fn ask(jobs: &Jobs, job: Job) -> Result<(), Job> {
    jobs.try_send(job).map_err(|error| match error {
        TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
    })
}

pub(super) struct Keeper {
    pub shared: Arc<Shared>,
    pub slots: Arc<Slots>,
    pub outcomes: Arc<Outcomes>,
    pub salt: u32,
}

impl Keeper {
    /// The thread; ends when the engine's end of the line is dropped.
    pub fn run(self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            self.perform(job);
        }
    }

    /// Does one job and leaves its outcome for the engine.
    pub fn perform(&self, job: Job) {
        match job {
            // Without a spare file the committer makes one, or reports why it cannot.
            Job::Prepare { written } => {
                drop(self.slots.prepare(if written { 2 } else { 1 }, written))
            }
            // what could not be removed is used again
            Job::Trim => drop(self.slots.trim()),
            Job::Retire(segments) => match self.slots.retire(&segments) {
                Ok(()) => self.outcomes.push(Outcome::Retired(segments)),
                Err(error) => {
                    let text =
                        format!("cannot give up settled segments of the message log: {error}");
                    self.shared.set_health(Health::Failed(text));
                }
            },
            Job::Settlements { segment, holders } => {
                let outcome = match self.settlements(segment, &holders) {
                    Ok(ranges) => Outcome::Settlements {
                        segment,
                        holders,
                        ranges,
                    },
                    Err(error) => Outcome::NotFound {
                        segment,
                        reason: error.to_string(),
                    },
                };
                self.outcomes.push(outcome);
            }
            Job::Move { cold, victims } => {
                let numbers: Vec<u32> = victims.iter().map(|victim| victim.segment).collect();
                let outcome =
                    self.relocate(cold, victims)
                        .unwrap_or_else(|error| Outcome::NotMoved {
                            victims: numbers,
                            reason: error.to_string(),
                        });
                self.outcomes.push(outcome);
            }
        }
        self.shared.wake();
    }

    /// Copies the unsettled messages, those of one queue side by side, and makes the copy durable.
    fn relocate(&self, cold: u32, victims: Vec<Victim>) -> io::Result<Outcome> {
        let (mut found, mut seen, mut untouched) = (Vec::new(), Vec::new(), Vec::new());
        for victim in &victims {
            match self.unsettled(victim) {
                Ok(messages) => {
                    seen.push(Seen {
                        segment: victim.segment,
                        dead: victim.dead.len(),
                        partly: victim.partly.len(),
                    });
                    found.extend(messages);
                }
                // What cannot be read stays where it is, to be reported when it is asked for.
                Err(_) => untouched.push(victim.segment),
            }
        }
        found.sort_by_key(|message| message.1.references.first().map(|r| (r.queue, r.seq)));
        let seed = segment::seed(cold, self.salt);
        let mut bytes = Vec::new();
        let mut summary = Summary::default();
        let mut moves = Vec::with_capacity(found.len());
        for (source, message) in found {
            let from = Stored {
                segment: source,
                offset: message.offset,
                length: message.length,
            };
            let copy = self.copy(&mut bytes, seed, from, &message)?;
            let to = Stored {
                segment: cold,
                ..copy
            };
            summary.put_publish(&Published {
                offset: to.offset,
                length: to.length,
                in_unit: false,
                ..message
            });
            moves.push(Move { from, to });
        }
        self.write_cold(cold, &bytes, &summary)?;
        Ok(Outcome::Moved {
            cold,
            moves,
            seen,
            untouched,
        })
    }

    /// What of a segment is unsettled, with the unsettled references only; an error when any of it cannot be read.
    fn unsettled(&self, victim: &Victim) -> io::Result<Vec<(u32, Published)>> {
        let file = self.file(victim.segment)?;
        let dead: HashSet<u32> = victim.dead.iter().copied().collect();
        let partly: HashSet<SettledReference> = victim.partly.iter().copied().collect();
        let mut found = Vec::new();
        for fact in self.summary(victim.segment)?.facts() {
            let Fact::Publish(mut message) = fact else {
                continue;
            };
            if dead.contains(&message.offset) {
                continue;
            }
            let offset = message.offset;
            message.references.retain(|reference| {
                !partly.contains(&SettledReference {
                    offset,
                    queue: reference.queue,
                    seq: reference.seq,
                })
            });
            let stored = Stored {
                segment: victim.segment,
                offset,
                length: message.length,
            };
            self.read(&*file, stored)?;
            found.push((victim.segment, message));
        }
        Ok(found)
    }

    /// What a segment settles of the messages in other segments.
    fn settlements(&self, segment: u32, holders: &[u32]) -> io::Result<Vec<Range>> {
        let mut settled: HashMap<QueueKey, RangeSet> = HashMap::new();
        for fact in self.summary(segment)?.facts() {
            if let Fact::Settle { range, .. } = fact {
                settled
                    .entry(range.queue)
                    .or_default()
                    .insert(range.from, range.to);
            }
        }
        let mut found: HashMap<QueueKey, RangeSet> = HashMap::new();
        for &holder in holders {
            for fact in self.summary(holder)?.facts() {
                let Fact::Publish(message) = fact else {
                    continue;
                };
                for reference in message.references {
                    if settled
                        .get(&reference.queue)
                        .is_some_and(|set| set.contains(reference.seq))
                    {
                        found
                            .entry(reference.queue)
                            .or_default()
                            .insert(reference.seq, reference.seq);
                    }
                }
            }
        }
        let ranges = found.iter().flat_map(|(&queue, set)| {
            set.ranges()
                .map(move |(from, to)| Range { queue, from, to })
        });
        Ok(ranges.collect())
    }

    fn summary(&self, segment: u32) -> io::Result<Summary> {
        let file = self.file(segment)?;
        let (_, seal) = segment::read_header(&*file)?;
        let bytes = seal
            .and_then(|seal| segment::read_summary(&*file, seal))
            .ok_or_else(damaged)?;
        Ok(Summary::from_bytes(bytes))
    }

    fn file(&self, segment: u32) -> io::Result<Arc<dyn DiskFile>> {
        self.slots
            .file(segment)
            .ok_or_else(|| io::Error::other("the segment has no file"))
    }

    /// A record's bytes, sound ones.
    fn read(&self, file: &dyn DiskFile, stored: Stored) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; stored.length as usize];
        read_exact_at(file, &mut bytes, u64::from(stored.offset))?;
        let seed = segment::seed(stored.segment, self.salt);
        let sound = Record::read(&bytes, seed)
            .is_ok_and(|record| record.kind == Kind::Publish && record.message(seed).is_some());
        if sound { Ok(bytes) } else { Err(damaged()) }
    }

    fn copy(
        &self,
        out: &mut Vec<u8>,
        seed: u32,
        from: Stored,
        message: &Published,
    ) -> io::Result<Stored> {
        let bytes = self.read(&*self.file(from.segment)?, from)?;
        let old_seed = segment::seed(from.segment, self.salt);
        let record = Record::read(&bytes, old_seed).map_err(|_| damaged())?;
        let offset = DATA + out.len() as u32;
        let flags = record.flags & !record::IN_UNIT;
        let references = message
            .references
            .iter()
            .map(|&reference| NumberedReference {
                reference,
                ordinal: 0,
            });
        record::put_publish(out, seed, flags, references, record.unchecked_message());
        let length =
            record::publish_length(message.references.len(), record.unchecked_message().len())
                as u32;
        Ok(Stored {
            segment: 0,
            offset,
            length,
        })
    }

    /// The header comes last: with it the segment counts, and by then all of it is durable.
    fn write_cold(&self, cold: u32, bytes: &[u8], summary: &Summary) -> io::Result<()> {
        let offset = (DATA as usize + bytes.len()).next_multiple_of(DATA as usize);
        let slot = self.slots.take((offset + summary.bytes().len()) as u64)?;
        let write = || {
            slot.file.write_all_at(bytes, u64::from(DATA))?;
            segment::write_seal(
                &*slot.file,
                cold,
                offset as u32,
                summary.bytes(),
                summary.messages(),
            )?;
            slot.file.sync()?;
            segment::write_header(
                &*slot.file,
                Header::Segment {
                    id: cold,
                    role: Role::Cold,
                    salt: self.salt,
                },
            )?;
            slot.file.sync()
        };
        if let Err(error) = write() {
            // It may have become a segment half way; a spare it must be again, or the store does not go on.
            let undone =
                segment::write_header(&*slot.file, Header::Spare).and_then(|()| slot.file.sync());
            if let Err(error) = undone {
                self.shared.set_health(Health::Failed(format!(
                    "cannot undo moving messages: {error}"
                )));
            } else {
                self.slots.put_back(slot);
            }
            return Err(error);
        }
        self.slots.assign(cold, slot);
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "damaged")
}
