//! The log's growing end, on the engine's side: records are encoded here and leave in one buffer a turn.

use super::record::{self, NumberedReference, Range};
use super::segment::{self, DATA};
use super::shared::Operation;
use super::summary::{Published, Summary};
use crate::core::journal::{QueueKey, Stored};
use std::sync::Arc;

/// Room left in a segment for what a turn's end adds, marks, and for the summary to begin at a page.
const SLACK: usize = 8192;
/// A turn that appends more than this hands it over in pieces.
const PIECE: usize = 1 << 20;

/// What is to be published: the message's bytes and what the summary keeps of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft<'a> {
    pub bytes: &'a [u8],
    /// Bytes of the message's body.
    pub size: u32,
    pub priority: u8,
    /// `record::IN_UNIT`, `record::TRANSIENT`.
    pub flags: u8,
}

pub(super) struct Tail {
    segment: u32,
    seed: u32,
    salt: u32,
    segment_length: u64,
    buffer: Vec<u8>,
    /// Where the buffer's beginning goes.
    buffer_at: u32,
    summary: Summary,
    marked: u32,
    /// Older segments whose messages are settled or whose units are ended by records here.
    depends_on: Vec<u32>,
    ends_unit: bool,
    /// Bytes appended so far: the position.
    position: u64,
    operations: Vec<(u64, Operation)>,
    sealed: Vec<Sealed>,
}

/// A segment that the log has grown beyond.
#[derive(Debug)]
pub(super) struct Sealed {
    pub segment: u32,
    pub bytes: u64,
    pub depends_on: Vec<u32>,
    pub ends_unit: bool,
}

impl Tail {
    pub fn new(segment: u32, salt: u32, segment_length: u64) -> Tail {
        let open = Operation::Open {
            segment,
            length: segment_length,
        };
        Tail {
            segment,
            seed: segment::seed(segment, salt),
            salt,
            segment_length,
            buffer: Vec::new(),
            buffer_at: DATA,
            summary: Summary::default(),
            marked: DATA,
            depends_on: Vec::new(),
            ends_unit: false,
            position: 1,
            operations: vec![(1, open)],
            sealed: Vec::new(),
        }
    }

    pub fn segment(&self) -> u32 {
        self.segment
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes in the tail segment.
    pub fn bytes(&self) -> u64 {
        u64::from(self.end())
    }

    fn end(&self) -> u32 {
        self.buffer_at + self.buffer.len() as u32
    }

    /// Bytes appended and not yet handed over.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
            + self
                .operations
                .iter()
                .map(|(_, operation)| operation.bytes())
                .sum::<usize>()
    }

    /// Records here concern a message of that segment, so this segment must not go before that one.
    pub fn depend_on(&mut self, segment: u32) {
        if segment != self.segment
            && self.depends_on.last() != Some(&segment)
            && !self.depends_on.contains(&segment)
        {
            self.depends_on.push(segment);
        }
    }

    /// Begins the next segment when `length` more bytes do not fit. A record longer than a segment gets a longer file.
    fn make_room(&mut self, length: usize) {
        let needed =
            |end: usize, summary: usize| (end + record::padded(length) + summary + SLACK) as u64;
        if needed(self.end() as usize, self.summary.bytes().len()) <= self.segment_length
            || self.end() == DATA
        {
            return;
        }
        let alone = needed(DATA as usize, 0) + 256;
        self.roll(alone.max(self.segment_length));
    }

    /// Seals this segment and begins the next one.
    fn roll(&mut self, length: u64) {
        let (segment, bytes) = (self.segment, self.bytes());
        let offset = self.end().next_multiple_of(DATA);
        self.cut();
        self.position += 1;
        let seal = Operation::Seal {
            segment,
            offset,
            summary: Arc::new(self.summary.bytes().to_vec()),
            messages: self.summary.messages(),
        };
        self.operations.push((self.position, seal));
        self.sealed.push(Sealed {
            segment,
            bytes,
            depends_on: std::mem::take(&mut self.depends_on),
            ends_unit: std::mem::take(&mut self.ends_unit),
        });
        self.position += 1;
        self.segment += 1;
        self.operations.push((
            self.position,
            Operation::Open {
                segment: self.segment,
                length,
            },
        ));
        self.seed = segment::seed(self.segment, self.salt);
        self.summary.clear();
        (self.buffer_at, self.marked) = (DATA, DATA);
    }

    /// Turns the buffer into a write.
    fn cut(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let end = self.end();
        let bytes = Arc::new(std::mem::take(&mut self.buffer));
        let write = Operation::Write {
            segment: self.segment,
            offset: self.buffer_at,
            bytes,
        };
        self.operations.push((self.position, write));
        self.buffer_at = end;
    }

    fn appended(&mut self, from: u32) {
        self.position += u64::from(self.end() - from);
        if self.buffer.len() >= PIECE {
            self.cut();
        }
    }

    /// Appends a message with its references; in a new segment where this one is full.
    pub fn publish(
        &mut self,
        draft: Draft<'_>,
        references: impl ExactSizeIterator<Item = NumberedReference> + Clone,
    ) -> Stored {
        let length = record::publish_length(references.len(), draft.bytes.len());
        self.make_room(length);
        let offset = self.end();
        self.summary.put_publish(&Published {
            offset,
            length: length as u32,
            size: draft.size,
            priority: draft.priority,
            transient: draft.flags & record::TRANSIENT != 0,
            in_unit: draft.flags & record::IN_UNIT != 0,
            references: references
                .clone()
                .map(|numbered| numbered.reference)
                .collect(),
        });
        record::put_publish(
            &mut self.buffer,
            self.seed,
            draft.flags,
            references,
            draft.bytes,
        );
        self.appended(offset);
        Stored {
            segment: self.segment,
            offset,
            length: length as u32,
        }
    }

    /// Appends what left queues.
    pub fn settle(&mut self, ranges: &[Range], flags: u8) {
        for ranges in ranges.chunks(1024) {
            self.make_room(record::settle_length(ranges.len()));
            let from = self.end();
            record::put_settle(&mut self.buffer, self.seed, flags, ranges);
            ranges
                .iter()
                .for_each(|&range| self.summary.put_settle(range, flags & record::IN_UNIT != 0));
            self.appended(from);
        }
    }

    /// Appends that a message came back to its queue, delivered `count` times so far.
    pub fn returned(&mut self, queue: QueueKey, seq: u64, count: u32, flags: u8) {
        self.make_room(record::RETURN_LENGTH);
        let from = self.end();
        record::put_return(&mut self.buffer, self.seed, flags, queue, seq, count);
        self.summary
            .put_return(queue, seq, count, flags & record::IN_UNIT != 0);
        self.appended(from);
    }

    /// Ends a unit that began in segment `begun`.
    pub fn unit_end(&mut self, begun: u32) {
        self.make_room(record::HEAD);
        let from = self.end();
        record::put_unit_end(&mut self.buffer, self.seed);
        self.summary.put_unit_end();
        self.ends_unit |= begun != self.segment;
        (begun..self.segment).for_each(|segment| self.depend_on(segment));
        self.appended(from);
    }

    /// A change of the metadata, in order with the messages.
    pub fn command(&mut self, bytes: Vec<u8>) -> u64 {
        self.cut();
        self.position += bytes.len() as u64 + 1;
        self.operations.push((
            self.position,
            Operation::Command {
                bytes: Arc::new(bytes),
            },
        ));
        self.position
    }

    /// Ends a turn: what is to be handed over, and the segments that were sealed meanwhile.
    pub fn end_turn(
        &mut self,
        durable_place: (u32, u32),
    ) -> (&mut Vec<(u64, Operation)>, Vec<Sealed>) {
        let (segment, durable) = durable_place;
        if segment == self.segment && durable > self.marked && !self.buffer.is_empty() {
            let from = self.end();
            record::put_mark(&mut self.buffer, self.seed, durable);
            self.marked = durable;
            self.appended(from);
        }
        self.cut();
        (&mut self.operations, std::mem::take(&mut self.sealed))
    }

    pub fn use_buffer(&mut self, buffer: Vec<u8>) {
        if self.buffer.capacity() == 0 {
            self.buffer = buffer;
        }
    }

    /// Whether there is nothing to hand over.
    pub fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.operations.is_empty()
    }

    /// Bytes of the tail that are not handed over yet.
    pub fn read(&self, stored: Stored) -> Option<&[u8]> {
        let within = |at: u32, bytes: &[u8]| {
            let from = stored.offset.checked_sub(at)? as usize;
            (from + stored.length as usize <= bytes.len()).then_some(from)
        };
        if stored.segment == self.segment
            && let Some(from) = within(self.buffer_at, &self.buffer)
        {
            return Some(&self.buffer[from..from + stored.length as usize]);
        }
        self.operations
            .iter()
            .find_map(|(_, operation)| match operation {
                Operation::Write {
                    segment,
                    offset,
                    bytes,
                } if *segment == stored.segment => {
                    let from = within(*offset, bytes)?;
                    Some(&bytes[from..from + stored.length as usize])
                }
                _ => None,
            })
    }

    /// The checksum seed of any segment of this log.
    pub fn seed_of(&self, segment: u32) -> u32 {
        segment::seed(segment, self.salt)
    }
}
