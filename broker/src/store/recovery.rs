//! From files to messages: what a start finds.
//!
//! A message is there when a record of it is and no settlement of it is; the order of the two does not matter, for
//! sequence numbers are never given twice. So segments may be given up and messages moved in any order that keeps a
//! settlement as long as what it settles.

use super::disk::{DiskFile, read_exact_at};
use super::range_set::RangeSet;
use super::scan::{Damage, Measure, scan};
use super::segment::{self, DATA, Header, Role};
use super::segments::{COLD, Segments, SettledReference};
use super::slots::{Slot, Slots};
use super::summary::{Fact, Published, Summary};
use crate::core::journal::{Kept, QueueKey, Stored};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

/// What the segments hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By queue, in order of their sequence numbers.
    pub messages: HashMap<QueueKey, Vec<Kept>>,
    /// The highest sequence number that the log says anything of: lower ones must not be given again.
    pub last_seqs: HashMap<QueueKey, u64>,
    pub damage: Vec<Damage>,
    /// Damaged files, put aside under these names.
    pub aside: Vec<String>,
    pub segments: Segments,
    /// The next hot segment's number and the next cold one's.
    pub next: u32,
    pub next_cold: u32,
}

/// What a start found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Metadata commands, oldest first.
    pub commands: Vec<Vec<u8>>,
    /// By queue, in order. Queues that the metadata does not know are to be forgotten.
    pub messages: HashMap<QueueKey, Vec<Kept>>,
    /// The highest sequence number of each queue that the log says anything of.
    pub last_seqs: HashMap<QueueKey, u64>,
    /// Durable things that cannot be read: to be reported, never passed over.
    pub damage: Vec<Damage>,
    /// Files put aside because even what they are is not readable.
    pub aside: Vec<String>,
    /// Files that are gone.
    pub missing: Vec<String>,
}

/// Why the log cannot be used at all.
#[derive(Debug)]
pub(super) enum RecoveryError {
    Io(io::Error),
    Newer(u16),
    /// A segment was written by another node, or by one whose metadata log is gone.
    Foreign(u32),
}

impl From<io::Error> for RecoveryError {
    fn from(error: io::Error) -> RecoveryError {
        RecoveryError::Io(error)
    }
}

/// A segment as it was found.
struct Part {
    id: u32,
    summary: Summary,
    bytes: u64,
}

/// Finds what all slots hold; seals the segment that was being written.
pub(super) fn recover(
    slots: &Slots,
    files: Vec<Slot>,
    salt: u32,
    measure: Measure,
) -> Result<Found, RecoveryError> {
    let mut found = Found {
        next: 1,
        next_cold: COLD,
        ..Found::default()
    };
    let segments = sort_slots(slots, files, salt, &mut found)?;
    let last_hot = segments.keys().copied().rfind(|&id| id < COLD);
    let mut parts = Vec::with_capacity(segments.len());
    for (id, (slot, seal)) in segments {
        let next = if id < COLD {
            &mut found.next
        } else {
            &mut found.next_cold
        };
        *next = (*next).max(id + 1);
        let complete = Some(id) != last_hot;
        let summary = seal.filter(|_| complete).and_then(|seal| {
            Some((
                Summary::from_bytes(segment::read_summary(&*slot.file, seal)?),
                u64::from(seal.offset),
            ))
        });
        let part = match summary {
            Some((summary, bytes)) => Part { id, summary, bytes },
            None => rescan(
                &*slot.file,
                id,
                segment::seed(id, salt),
                complete,
                measure,
                &mut found.damage,
            )?,
        };
        slots.found(slot, id);
        parts.push(part);
    }
    debug_assert!(parts.is_sorted_by_key(|part| part.id));
    fold(parts, &mut found);
    Ok(found)
}

type Sorted = BTreeMap<u32, (Slot, Option<segment::Seal>)>;

fn sort_slots(
    slots: &Slots,
    files: Vec<Slot>,
    own: u32,
    found: &mut Found,
) -> Result<Sorted, RecoveryError> {
    let mut segments = Sorted::new();
    for slot in files {
        let (header, seal) = segment::read_header(&*slot.file)?;
        match header {
            Header::Spare => slots.found_spare(slot),
            Header::Newer(version) => return Err(RecoveryError::Newer(version)),
            Header::Segment { id, salt, .. } if salt != own => {
                return Err(RecoveryError::Foreign(id));
            }
            Header::Segment { id, role, .. }
                if (role == Role::Cold) == (id >= COLD) && !segments.contains_key(&id) =>
            {
                segments.insert(id, (slot, seal));
            }
            Header::Damaged if is_blank(&*slot.file)? => slots.found_spare(slot),
            Header::Segment { .. } | Header::Damaged => found.aside.push(slots.set_aside(&slot)?),
        }
    }
    Ok(segments)
}

/// Whether a file was being made when the node stopped.
fn is_blank(file: &dyn DiskFile) -> io::Result<bool> {
    let mut page = vec![0; file.length()?.min(u64::from(DATA)) as usize];
    read_exact_at(file, &mut page, 0)?;
    Ok(page.iter().all(|&byte| byte == 0))
}

/// Reads a segment that has no usable summary, and gives it one.
fn rescan(
    file: &dyn DiskFile,
    id: u32,
    seed: u32,
    complete: bool,
    measure: Measure,
    damage: &mut Vec<Damage>,
) -> io::Result<Part> {
    let mut bytes = vec![0; file.length()? as usize];
    read_exact_at(file, &mut bytes, 0)?;
    let mut scanned = scan(&bytes, id, seed, complete, measure);
    if !complete {
        // the end of a unit of the next life must not end one that this life left open
        scanned.summary.put_nothing();
    }
    let end = scanned.end.next_multiple_of(DATA).max(DATA);
    damage.extend(scanned.damage);
    segment::write_seal(
        file,
        id,
        end,
        scanned.summary.bytes(),
        scanned.summary.messages(),
    )?;
    file.sync()?;
    Ok(Part {
        id,
        summary: scanned.summary,
        bytes: u64::from(end),
    })
}

/// Gives the facts of all hot segments in order, then those of the cold ones; those of a unit only when its end is there.
fn effective(
    parts: &[Part],
    mut take: impl FnMut(u32, Fact),
    mut ends_unit_of: impl FnMut(u32, u32),
    mut torn: impl FnMut(u32),
) {
    let mut unit: Vec<(u32, Fact)> = Vec::new();
    for part in parts {
        for fact in part.summary.facts() {
            match &fact {
                Fact::UnitEnd => {
                    for (begun, fact) in unit.drain(..) {
                        if begun != part.id {
                            ends_unit_of(part.id, begun);
                        }
                        take(begun, fact);
                    }
                }
                Fact::Publish(Published { in_unit: true, .. })
                | Fact::Settle { in_unit: true, .. }
                | Fact::Return { in_unit: true, .. } => unit.push((part.id, fact)),
                Fact::Publish(_) | Fact::Settle { .. } | Fact::Return { .. } => {
                    // What follows a unit without an end shows that the node stopped inside it.
                    unit.drain(..).for_each(|(segment, _)| torn(segment));
                    take(part.id, fact);
                }
            }
        }
    }
    unit.drain(..).for_each(|(segment, _)| torn(segment));
}

/// The keys are our own numbers: nobody chooses them to collide.
type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A queue's numbers from the first to the last that a segment has to do with.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
}

impl Span {
    fn include(&mut self, other: Span) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    fn meets(self, other: Span) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// What the settlements of all segments say.
#[derive(Default)]
struct Settled {
    ranges: Map<QueueKey, RangeSet>,
    returns: Map<(QueueKey, u64), u32>,
    /// By queue: which segments settle something, and what at the most.
    spans: Map<QueueKey, Vec<(u32, Span)>>,
    /// Segments with a unit's end, and where the unit began.
    ends: HashSet<(u32, u32)>,
}

impl Settled {
    fn gather(parts: &[Part]) -> Settled {
        let mut settled = Settled::default();
        let mut ends = HashSet::new();
        let take = |segment, fact| match fact {
            Fact::Settle { range, .. } => {
                settled.settle(segment, range.queue, range.from, range.to)
            }
            Fact::Return {
                queue, seq, count, ..
            } => {
                let known = settled.returns.entry((queue, seq)).or_default();
                *known = (*known).max(count);
            }
            Fact::Publish(_) | Fact::UnitEnd => {}
        };
        let ends_unit_of = |end, begun| {
            ends.insert((end, begun));
        };
        effective(parts, take, ends_unit_of, |_| {});
        settled.ends = ends;
        settled
    }

    fn settle(&mut self, segment: u32, queue: QueueKey, from: u64, to: u64) {
        self.ranges.entry(queue).or_default().insert(from, to);
        let settled = Span {
            first: from,
            last: to,
        };
        let spans = self.spans.entry(queue).or_default();
        match spans.last_mut().filter(|(by, _)| *by == segment) {
            Some((_, span)) => span.include(settled),
            None => spans.push((segment, settled)),
        }
    }
}

fn fold(parts: Vec<Part>, found: &mut Found) {
    let settled = Settled::gather(&parts);
    let mut shared: Map<(u32, u32), Vec<(QueueKey, u64)>> = Map::default();
    // Which numbers of which queue a segment has messages of: settlements of these must outlive it.
    let mut held: Map<(u32, QueueKey), Span> = Map::default();
    for part in &parts {
        let segment = found.segments.get_mut(part.id);
        (segment.sealed, segment.bytes) = (true, part.bytes);
    }
    let take = |segment: u32, fact: Fact| {
        let Fact::Publish(message) = fact else {
            return;
        };
        let stored = Stored {
            segment,
            offset: message.offset,
            length: message.length,
        };
        if message.references.len() > 1 {
            shared.insert((segment, message.offset), Vec::new());
        }
        for reference in &message.references {
            let one = Span {
                first: reference.seq,
                last: reference.seq,
            };
            held.entry((segment, reference.queue))
                .or_insert(one)
                .include(one);
            let is_settled = settled
                .ranges
                .get(&reference.queue)
                .is_some_and(|set| set.contains(reference.seq));
            if is_settled || message.transient {
                continue;
            }
            found
                .messages
                .entry(reference.queue)
                .or_default()
                .push(Kept {
                    seq: reference.seq,
                    stored,
                    expires_ms: reference.expires_ms,
                    size: message.size,
                    returns: settled
                        .returns
                        .get(&(reference.queue, reference.seq))
                        .copied()
                        .unwrap_or(0),
                    priority: message.priority,
                });
        }
    };
    let mut torn = HashSet::new();
    effective(
        &parts,
        take,
        |_, _| {},
        |segment| {
            torn.insert(segment);
        },
    );
    for segment in torn {
        found.segments.get_mut(segment).torn = true;
    }
    let last_held = held.iter().map(|(&(_, queue), span)| (queue, span.last));
    let spans = settled.spans.iter();
    let last_settled =
        spans.flat_map(|(&queue, spans)| spans.iter().map(move |(_, span)| (queue, span.last)));
    for (queue, seq) in last_held.chain(last_settled) {
        let last = found.last_seqs.entry(queue).or_default();
        *last = (*last).max(seq);
    }
    drop_copies(&mut found.messages);
    count_live(&parts, found, &mut shared);
    set_dependencies(found, &settled, &held);
}

/// A message that was being moved when the node stopped is there twice.
fn drop_copies(messages: &mut HashMap<QueueKey, Vec<Kept>>) {
    for messages in messages.values_mut() {
        if !messages.is_sorted_by(|a, b| a.seq < b.seq) {
            messages.sort_by_key(|message| message.seq);
            messages.dedup_by_key(|message| message.seq);
        }
        messages.shrink_to_fit();
    }
}

fn count_live(
    parts: &[Part],
    found: &mut Found,
    shared: &mut Map<(u32, u32), Vec<(QueueKey, u64)>>,
) {
    let mut live: HashMap<u32, HashSet<u32, foldhash::fast::FixedState>> = HashMap::new();
    for (&queue, messages) in &found.messages {
        for message in messages {
            let stored = message.stored;
            let references =
                shared
                    .get_mut(&(stored.segment, stored.offset))
                    .map_or(1, |references| {
                        references.push((queue, message.seq));
                        references.len()
                    });
            if references == 1 {
                found.segments.add(stored, 1);
                live.entry(stored.segment)
                    .or_default()
                    .insert(stored.offset);
            }
        }
    }
    for part in parts {
        let live = live.get(&part.id);
        let segment = found.segments.get_mut(part.id);
        for fact in part.summary.facts() {
            let Fact::Publish(message) = fact else {
                continue;
            };
            if !live.is_some_and(|live| live.contains(&message.offset)) {
                segment.dead.push(message.offset);
                continue;
            }
            if let Some(left) = shared.get(&(part.id, message.offset)) {
                segment.shared.insert(message.offset, left.len() as u32);
                let references = message.references.iter().map(|r| (r.queue, r.seq));
                let settled = references.filter(|key| !left.contains(key));
                segment
                    .partly
                    .extend(settled.map(|(queue, seq)| SettledReference {
                        offset: message.offset,
                        queue,
                        seq,
                    }));
            }
        }
    }
}

fn set_dependencies(found: &mut Found, settled: &Settled, held: &Map<(u32, QueueKey), Span>) {
    for (&(holder, queue), &span) in held {
        for &(settler, settles) in settled.spans.get(&queue).into_iter().flatten() {
            if settler != holder && settles.meets(span) {
                let depends_on = &mut found.segments.get_mut(settler).depends_on;
                if !depends_on.contains(&holder) {
                    depends_on.push(holder);
                }
            }
        }
    }
    for &(end, begun) in &settled.ends {
        let segment = found.segments.get_mut(end);
        segment.depends_on.push(begun);
        segment.ends_unit = true;
    }
    found.segments.mark_unswept();
}
