//! Reads a segment record by record: the tail after a crash, and a sealed segment whose summary is lost.

use super::record::{self, HEAD, Kind, Record, u32_at};
use super::segment::DATA;
use super::summary::Summary;
use crate::core::journal::QueueKey;
use std::collections::HashMap;

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub summary: Summary,
    /// Where the sound records end.
    pub end: u32,
    /// Damage before the durable end.
    pub damage: Vec<Damage>,
}

/// Something durable that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub segment: u32,
    pub offset: u32,
    /// The queue whose messages are missing; nothing when the damage hides even that.
    pub queue: Option<QueueKey>,
    /// How many messages.
    pub messages: u32,
}

/// Reads the size and priority of a message for the summary.
pub(super) type Measure = fn(&[u8]) -> Option<(u32, u8)>;

struct Scanner<'a> {
    bytes: &'a [u8],
    segment: u32,
    seed: u32,
    /// All of the segment is durable.
    complete: bool,
    measure: Measure,
    /// Each queue's last ordinal.
    ordinals: HashMap<QueueKey, u32>,
    /// Where the last hole is, until each queue's next ordinal tells what was in it.
    holes: Vec<u32>,
    found: Scan,
}

/// Scans a segment's bytes. `complete`: all of it is known to be durable, so whatever does not fit is damage.
pub(super) fn scan(
    bytes: &[u8],
    segment: u32,
    seed: u32,
    complete: bool,
    measure: Measure,
) -> Scan {
    let mut scanner = Scanner {
        bytes,
        segment,
        seed,
        complete,
        measure,
        ordinals: HashMap::new(),
        holes: Vec::new(),
        found: Scan::default(),
    };
    scanner.run();
    scanner.found
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut at = DATA as usize;
        while at + HEAD <= self.bytes.len() {
            match Record::read(&self.bytes[at..], self.seed) {
                Ok(record) if self.take(&record, at) => at += record::padded(record.length),
                _ => match self.behind_damage(at) {
                    Some(next) => at = next,
                    None => break,
                },
            }
        }
        self.found.end = at.min(self.bytes.len()) as u32;
    }

    /// Takes a record; false when its message is torn.
    fn take(&mut self, record: &Record<'_>, at: usize) -> bool {
        if record.kind != Kind::Publish {
            self.found.summary.put_record(record, at as u32, 0, 0);
            return true;
        }
        let measured = record.message(self.seed).and_then(self.measure);
        if measured.is_none() && !self.is_durable(at) {
            return false;
        }
        self.check_ordinals(record, at);
        match measured {
            Some((size, priority)) => self
                .found
                .summary
                .put_record(record, at as u32, size, priority),
            None => {
                let damage = |queue| Damage {
                    segment: self.segment,
                    offset: at as u32,
                    queue,
                    messages: 1,
                };
                let queues = record
                    .references()
                    .map(|numbered| Some(numbered.reference.queue));
                self.found.damage.extend(queues.map(damage));
            }
        }
        true
    }

    /// A queue's records are numbered; a number left out is a record lost in a hole.
    fn check_ordinals(&mut self, record: &Record<'_>, at: usize) {
        for numbered in record.references() {
            let queue = numbered.reference.queue;
            let last = self.ordinals.insert(queue, numbered.ordinal);
            let missing = last.map_or(0, |last| {
                numbered.ordinal.wrapping_sub(last).wrapping_sub(1)
            });
            if missing > 0 && missing < u32::MAX / 2 && !self.holes.is_empty() {
                let offset = self.holes.last().copied().unwrap_or(at as u32);
                self.found.damage.push(Damage {
                    segment: self.segment,
                    offset,
                    queue: Some(queue),
                    messages: missing,
                });
            }
        }
    }

    fn is_durable(&self, at: usize) -> bool {
        self.complete
            || record::highest_mark(self.bytes, at, self.seed).is_some_and(|end| end as usize > at)
    }

    /// Where to go on behind a place that makes no sense; nothing when that is the log's end.
    fn behind_damage(&mut self, at: usize) -> Option<usize> {
        // Nothing was ever written here, as far as this segment is concerned: the usual end.
        if self.complete
            && u32_at(self.bytes, at) == 0
            && record::next_sound(self.bytes, at, self.seed).is_none()
        {
            return None;
        }
        if !self.is_durable(at) {
            return None;
        }
        let next = record::next_sound(self.bytes, at + record::ALIGN, self.seed)?;
        self.holes.push(at as u32);
        self.found.damage.push(Damage {
            segment: self.segment,
            offset: at as u32,
            queue: None,
            messages: 0,
        });
        Some(next)
    }
}
