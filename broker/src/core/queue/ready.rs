//! A queue's ready messages: per priority in the order of arrival, with what came back in its old place.

use crate::core::journal::Stored;
use crate::core::message::Message;
use std::collections::{BTreeMap, VecDeque};

/// One message in one queue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the queue.
    pub seq: u64,
    /// The message, or nothing when only the journal holds it at the moment.
    pub message: Option<Message>,
    pub stored: Option<Stored>,
    /// The journal has it only to save memory.
    pub spilled: bool,
    /// On the engine's clock; 0 = never.
    pub expires_ms: u64,
    /// How often it was delivered and came back.
    pub returns: u32,
    /// Body bytes.
    pub size: u32,
    pub priority: u8,
    pub redelivered: bool,
}

impl Entry {
    /// Bytes that it holds in memory besides itself.
    pub fn footprint(&self) -> u64 {
        self.message
            .as_ref()
            .map_or(0, |message| message.footprint() as u64)
    }

    /// Whether its time to live had ended by then.
    pub fn has_expired(&self, upto_ms: u64) -> bool {
        self.expires_ms != 0 && self.expires_ms <= upto_ms
    }

    /// Where it is to be read, when only the journal holds it.
    pub fn cold(&self) -> Option<Stored> {
        match self.message {
            Some(_) => None,
            None => self.stored,
        }
    }

    /// Whether it survives a restart.
    pub fn is_persistent(&self) -> bool {
        self.stored.is_some() && !self.spilled
    }
}

/// A message's place among the ready ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    priority: u8,
    seq: u64,
}

impl Place {
    pub fn of(entry: &Entry) -> Place {
        Place {
            priority: entry.priority,
            seq: entry.seq,
        }
    }
}

/// Ready messages by priority.
#[derive(Debug, Default)]
pub struct Ready {
    first: Level,
    /// The levels above 0, lowest first.
    higher: Vec<Level>,
    count: usize,
    bytes: u64,
    /// Bytes of the messages that are in memory.
    resident: u64,
}

#[derive(Debug, Default)]
struct Level {
    fresh: VecDeque<Entry>,
    returned: BTreeMap<u64, Entry>,
}

impl Level {
    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }

    fn returned_is_next(&self) -> bool {
        match (self.returned.first_key_value(), self.fresh.front()) {
            (Some((seq, _)), Some(front)) => *seq < front.seq,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    fn front(&self) -> Option<&Entry> {
        if self.returned_is_next() {
            self.returned.first_key_value().map(|(_, entry)| entry)
        } else {
            self.fresh.front()
        }
    }

    /// The first message from this one on.
    fn from(&mut self, seq: u64) -> Option<&mut Entry> {
        let at = self.fresh.partition_point(|entry| entry.seq < seq);
        let fresh = self.fresh.get_mut(at);
        let returned = self
            .returned
            .range_mut(seq..)
            .next()
            .map(|(_, entry)| entry);
        match (returned, fresh) {
            (Some(returned), Some(fresh)) if fresh.seq < returned.seq => Some(fresh),
            (Some(returned), _) => Some(returned),
            (None, fresh) => fresh,
        }
    }

    fn pop(&mut self) -> Option<Entry> {
        if !self.returned.is_empty() && self.returned_is_next() {
            return self.returned.pop_first().map(|(_, entry)| entry);
        }
        let entry = self.fresh.pop_front();
        if self.fresh.is_empty() && self.fresh.capacity() > 1024 {
            self.fresh = VecDeque::new();
        }
        entry
    }
}

impl Ready {
    /// Room for priorities up to `max`.
    pub fn with_priorities(max: u8) -> Ready {
        Ready {
            higher: (0..max).map(|_| Level::default()).collect(),
            ..Ready::default()
        }
    }

    /// All of it; nothing is left.
    pub fn take(&mut self) -> Ready {
        let empty = Ready::with_priorities(self.higher.len() as u8);
        std::mem::replace(self, empty)
    }

    /// How many of them survive a restart.
    pub fn persistent(&self) -> usize {
        let levels = std::iter::once(&self.first).chain(&self.higher);
        let entries = levels.flat_map(|level| level.fresh.iter().chain(level.returned.values()));
        entries.filter(|entry| entry.is_persistent()).count()
    }

    /// Makes room for so many messages of the lowest priority at once.
    pub fn reserve(&mut self, count: usize) {
        self.first.fresh.reserve_exact(count);
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Messages by priority, the lowest first.
    pub fn by_priority(&self) -> impl Iterator<Item = usize> {
        std::iter::once(&self.first)
            .chain(&self.higher)
            .map(|level| level.fresh.len() + level.returned.len())
    }

    /// Body bytes of all.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the messages that are in memory.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// Takes messages out of memory, the newest first, until `wanted` bytes are freed; `keep` puts one elsewhere and
    /// says whether that was possible. Answers how many bytes were freed.
    pub fn let_go(&mut self, wanted: u64, mut keep: impl FnMut(&mut Entry) -> bool) -> u64 {
        let mut freed = 0;
        for level in std::iter::once(&mut self.first).chain(&mut self.higher) {
            for entry in level.fresh.iter_mut().rev() {
                let footprint = entry.footprint();
                if freed >= wanted || footprint == 0 || !keep(entry) {
                    break;
                }
                freed += footprint;
            }
        }
        self.resident -= freed;
        freed
    }

    /// A new message, behind all others of its priority.
    pub fn push(&mut self, entry: Entry) {
        self.count += 1;
        self.bytes += u64::from(entry.size);
        self.resident += entry.footprint();
        self.level(entry.priority).fresh.push_back(entry);
    }

    /// A message that came back, to its old place.
    pub fn put_back(&mut self, entry: Entry) {
        self.count += 1;
        self.bytes += u64::from(entry.size);
        self.resident += entry.footprint();
        self.level(entry.priority).returned.insert(entry.seq, entry);
    }

    /// The message that would be delivered next.
    pub fn front(&self) -> Option<&Entry> {
        let mut levels = self.higher.iter().rev().chain(std::iter::once(&self.first));
        levels.find_map(Level::front)
    }

    /// The message behind that place in the order of delivery, the first one without a place. It must not be given or
    /// take away bytes.
    pub fn after(&mut self, place: Option<Place>) -> Option<&mut Entry> {
        let highest = self.higher.len() as u8;
        let (priority, seq) = place.map_or((highest, 0), |place| {
            (place.priority.min(highest), place.seq + 1)
        });
        let levels = std::iter::once(&mut self.first).chain(&mut self.higher);
        let mut levels: Vec<&mut Level> = levels.take(usize::from(priority) + 1).collect();
        let first = levels.pop().and_then(|level| level.from(seq));
        first.or_else(|| levels.into_iter().rev().find_map(|level| level.from(0)))
    }

    pub fn pop(&mut self) -> Option<Entry> {
        let entry = match self.higher.iter_mut().rev().find(|level| !level.is_empty()) {
            Some(level) => level.pop(),
            None => self.first.pop(),
        }?;
        self.took(&entry);
        Some(entry)
    }

    /// The message that `pop_expired` would take.
    pub fn expired(&self, upto_ms: u64) -> Option<&Entry> {
        std::iter::once(&self.first)
            .chain(&self.higher)
            .filter_map(Level::front)
            .find(|entry| entry.has_expired(upto_ms))
    }

    /// Takes a message that has expired off the head of any priority.
    pub fn pop_expired(&mut self, upto_ms: u64) -> Option<Entry> {
        let expired = |level: &&mut Level| {
            level
                .front()
                .is_some_and(|entry| entry.has_expired(upto_ms))
        };
        let entry = std::iter::once(&mut self.first)
            .chain(&mut self.higher)
            .find(expired)?
            .pop()?;
        self.took(&entry);
        Some(entry)
    }

    /// When the next head expires.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        let heads = std::iter::once(&self.first)
            .chain(&self.higher)
            .filter_map(Level::front);
        heads
            .map(|entry| entry.expires_ms)
            .filter(|ms| *ms != 0)
            .min()
    }

    fn took(&mut self, entry: &Entry) {
        self.count -= 1;
        self.bytes -= u64::from(entry.size);
        self.resident -= entry.footprint();
    }

    fn level(&mut self, priority: u8) -> &mut Level {
        match priority.min(self.higher.len() as u8) {
            0 => &mut self.first,
            n => &mut self.higher[n as usize - 1],
        }
    }

    /// All messages in no particular order, for the store to look over.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        std::iter::once(&mut self.first)
            .chain(&mut self.higher)
            .flat_map(|level| level.returned.values_mut().chain(level.fresh.iter_mut()))
    }
}
