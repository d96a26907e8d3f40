//! What lives in which segment, on the engine's side: when a segment may go, and which to move messages out of.
//!
//! A segment holds messages and says of others that they are settled. It may go when all its messages are settled and
//! every segment that its settlements concern is gone; otherwise a restart would find those messages unsettled again.

use super::tail::Sealed;
use crate::core::journal::{QueueKey, Stored};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Segments for messages moved out of others are numbered from here.
pub(super) const COLD: u32 = 1 << 31;

/// A message's reference that is settled: where the message begins, and what it was in which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SettledReference {
    pub offset: u32,
    pub queue: QueueKey,
    pub seq: u64,
}

/// How much of what is settled in a segment a move out of it had taken into account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub segment: u32,
    /// Of [`Segment::dead`], and of [`Segment::partly`].
    pub dead: usize,
    pub partly: usize,
}

#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Messages with at least one unsettled reference.
    pub live: u32,
    pub live_bytes: u64,
    pub bytes: u64,
    /// Where settled messages begin.
    pub dead: Vec<u32>,
    /// Messages in several queues: how many references are unsettled.
    pub shared: HashMap<u32, u32, foldhash::fast::FixedState>,
    /// Settled references of messages that have others unsettled.
    pub partly: Vec<SettledReference>,
    pub depends_on: Vec<u32>,
    pub sealed: bool,
    /// A unit that began in an older segment ends here.
    pub ends_unit: bool,
    /// It says something that does not count, for the unit's end is missing.
    pub torn: bool,
    /// Asked to go, or its messages are being moved.
    pub leaving: bool,
}

#[derive(Debug, Default)]
pub(super) struct Segments {
    all: BTreeMap<u32, Segment>,
    /// Where messages are now that were moved: by the place that the engine knows.
    moved: HashMap<(u32, u32), Stored, foldhash::fast::FixedState>,
    /// Something changed that may let a segment go.
    unswept: bool,
}

impl Segments {
    pub fn get_mut(&mut self, segment: u32) -> &mut Segment {
        self.all.entry(segment).or_default()
    }

    /// A message was written.
    pub fn add(&mut self, stored: Stored, references: u32) {
        let segment = self.all.entry(stored.segment).or_default();
        segment.live += 1;
        segment.live_bytes += u64::from(stored.length);
        if references > 1 {
            segment.shared.insert(stored.offset, references);
        }
    }

    /// Where a message is now.
    pub fn locate(&self, stored: Stored) -> Stored {
        if self.moved.is_empty() {
            return stored;
        }
        self.moved
            .get(&(stored.segment, stored.offset))
            .copied()
            .unwrap_or(stored)
    }

    /// A reference to a message is settled; gives the segment that holds it.
    pub fn settle(&mut self, stored: Stored, queue: QueueKey, seq: u64) -> u32 {
        let now = self.locate(stored);
        let Some(segment) = self.all.get_mut(&now.segment) else {
            return now.segment;
        };
        if !segment.shared.is_empty()
            && let Some(left) = segment.shared.get_mut(&now.offset)
        {
            *left -= 1;
            if *left > 0 {
                segment.partly.push(SettledReference {
                    offset: now.offset,
                    queue,
                    seq,
                });
                return now.segment;
            }
            segment.shared.remove(&now.offset);
        }
        segment.dead.push(now.offset);
        segment.live = segment.live.saturating_sub(1);
        segment.live_bytes = segment.live_bytes.saturating_sub(u64::from(now.length));
        self.unswept |= segment.live == 0 && segment.sealed;
        if now != stored {
            self.moved.remove(&(stored.segment, stored.offset));
        }
        now.segment
    }

    /// The tail has gone on: this segment gets no more.
    pub fn seal(&mut self, sealed: Sealed) {
        let segment = self.all.entry(sealed.segment).or_default();
        segment.sealed = true;
        segment.bytes = sealed.bytes;
        segment.depends_on.extend(sealed.depends_on);
        segment.ends_unit = sealed.ends_unit;
        self.unswept = true;
    }

    pub fn mark_unswept(&mut self) {
        self.unswept = true;
    }

    /// The segments that may go now, in this order; each is given once. `hot` is the one being written: those behind it are complete.
    pub fn sweep(&mut self, hot: u32) -> Vec<u32> {
        if !std::mem::take(&mut self.unswept) {
            return Vec::new();
        }
        let mut going: Vec<u32> = Vec::new();
        // Cold segments first: they depend on nothing. Those that go together go in this order, each for good before
        // the next, so one may depend on those before it.
        for (&number, segment) in self.all.range(COLD..).chain(self.all.range(..COLD)) {
            let gone = |n: &u32| !self.all.contains_key(n) || going.contains(n);
            let ready = segment.sealed
                && !segment.leaving
                && segment.live == 0
                && segment.depends_on.iter().all(gone);
            let complete = number >= COLD || number < hot;
            if ready && complete {
                going.push(number);
            }
            self.unswept |= ready && !complete;
        }
        for number in &going {
            self.get_mut(*number).leaving = true;
        }
        going
    }

    /// Segments are gone for good.
    pub fn gone(&mut self, segments: &[u32]) {
        for segment in segments {
            self.all.remove(segment);
        }
        self.unswept = true;
    }

    /// Bytes in all segments, and in unsettled messages.
    pub fn totals(&self) -> (u64, u64) {
        self.all.values().fold((0, 0), |(bytes, live), segment| {
            (bytes + segment.bytes, live + segment.live_bytes)
        })
    }

    /// Segments that a settled one must outlive because a unit begun there ends in it.
    fn pinning(&self) -> HashSet<u32> {
        self.all
            .values()
            .filter(|segment| segment.sealed && segment.ends_unit && segment.live == 0)
            .flat_map(|segment| segment.depends_on.iter().copied())
            .collect()
    }

    /// The segments whose messages are worth moving so that they can go: mostly settled ones, and those that keep the
    /// end of a large unit. Those with the least left first, up to `budget` bytes to move.
    pub fn sparse(&self, hot: u32, budget: u64) -> Vec<u32> {
        let pinning = self.pinning();
        let mut found: Vec<(u64, u32)> = self
            .all
            .iter()
            .filter(|&(&number, segment)| {
                segment.sealed
                    && !segment.leaving
                    && segment.live > 0
                    && (segment.live_bytes * 2 < segment.bytes || pinning.contains(&number))
                    && (number >= COLD || number + 1 < hot)
            })
            .map(|(&number, segment)| (segment.live_bytes, number))
            .collect();
        found.sort_unstable();
        let mut left = budget;
        found.retain(|&(bytes, _)| {
            let fits = bytes <= left;
            left -= if fits { bytes } else { 0 };
            fits
        });
        found.into_iter().map(|(_, number)| number).collect()
    }

    /// Settled segments that stay only because they settle messages in others that stay: up to `most`, the oldest
    /// first, with those others.
    pub fn blocked(&mut self, hot: u32, most: usize) -> Vec<(u32, Vec<u32>)> {
        let stays = |n: &u32| self.all.get(n).is_some_and(|segment| segment.live > 0);
        let found: Vec<(u32, Vec<u32>)> = self
            .all
            .range(..hot.saturating_sub(1))
            .filter(|(_, segment)| {
                segment.sealed
                    && !segment.leaving
                    && segment.live == 0
                    && !segment.ends_unit
                    && !segment.torn
            })
            .filter_map(|(&number, segment)| {
                let holders: Vec<u32> = segment
                    .depends_on
                    .iter()
                    .copied()
                    .filter(|n| self.all.contains_key(n))
                    .collect();
                (holders.iter().any(stays)).then_some((number, holders))
            })
            .take(most)
            .collect();
        for (number, _) in &found {
            self.get_mut(*number).leaving = true;
        }
        found
    }

    /// What a segment settles is logged again elsewhere, durably: it depends on nothing any more.
    pub fn unblock(&mut self, segment: u32) {
        if let Some(segment) = self.all.get_mut(&segment) {
            segment.depends_on.clear();
            segment.leaving = false;
        }
        self.unswept = true;
    }

    /// Messages were moved to `cold`, out of the segments in `seen`. True when more was settled meanwhile.
    pub fn apply_moves(&mut self, cold: u32, moves: &[Move], seen: &[Seen]) -> bool {
        // The engine may know a place from before an earlier move.
        let known: HashMap<(u32, u32), (u32, u32)> = self
            .moved
            .iter()
            .map(|(&origin, now)| ((now.segment, now.offset), origin))
            .collect();
        let mut target = Segment {
            sealed: true,
            ..Segment::default()
        };
        let mut settled: HashSet<(u32, u32)> = HashSet::new();
        for left in seen {
            if let Some(segment) = self.all.get(&left.segment) {
                let late = segment.dead[left.dead..].iter();
                settled.extend(late.map(|&offset| (left.segment, offset)));
            }
        }
        for step in moves {
            target.bytes += u64::from(step.to.length);
            let from = (step.from.segment, step.from.offset);
            let origin = known.get(&from).copied().unwrap_or(from);
            if settled.contains(&from) {
                target.dead.push(step.to.offset);
                self.moved.remove(&origin);
                continue;
            }
            target.live += 1;
            target.live_bytes += u64::from(step.to.length);
            if let Some(source) = self.all.get(&step.from.segment) {
                if let Some(&left) = source.shared.get(&step.from.offset) {
                    target.shared.insert(step.to.offset, left);
                }
                let left = seen.iter().find(|left| left.segment == step.from.segment);
                let late = left.map_or(&[][..], |left| &source.partly[left.partly..]);
                let of_message = late.iter().filter(|s| s.offset == step.from.offset);
                target.partly.extend(of_message.map(|s| SettledReference {
                    offset: step.to.offset,
                    ..*s
                }));
            }
            self.moved.insert(origin, step.to);
        }
        for left in seen {
            if let Some(segment) = self.all.get_mut(&left.segment) {
                (segment.live, segment.live_bytes) = (0, 0);
                segment.leaving = false;
                segment.shared.clear();
            }
        }
        let late = !target.dead.is_empty() || !target.partly.is_empty();
        self.all.insert(cold, target);
        self.unswept = true;
        late
    }

    /// The sealed segments that settled something since segment `from` must outlive `cold`.
    pub fn depend_since(&mut self, from: u32, cold: u32) {
        for (_, segment) in self.all.range_mut(from..COLD) {
            segment.depends_on.push(cold);
        }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }
}

/// One message's move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub from: Stored,
    pub to: Stored,
}
