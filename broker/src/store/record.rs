//! The records of the log: their bytes, and nothing about where they are kept.
//!
//! ```text
//! 0  length u32    of the whole record, without the padding to 8 bytes
//! 4  crc u32       CRC-32C, seeded by the segment, of the length and of everything from 8 to the message
//! 8  kind u8 | flags u8 | count u16
//! 12 message crc u32 (Publish), else 0
//! 16 count references of 32 bytes (Publish), count ranges of 24 bytes (Settle), ...
//! .. the message (Publish) or the bytes (Command), to the record's end
//! ```
//!
//! Two checksums, because a rotten body must not hide whose message it was. The seed differs from segment to segment,
//! so a record that an earlier use of the same file left behind never passes.

use crate::core::journal::{QueueKey, Reference};

/// Bytes before a record's references.
pub(super) const HEAD: usize = 16;
const REFERENCE: usize = 32;
const RANGE: usize = 24;
/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;
/// No record is longer: the largest message plus its references.
pub(super) const MAX_LENGTH: usize = 768 << 20;

/// The record is one of a unit that counts only when its end is there too.
pub(super) const IN_UNIT: u8 = 1;
/// The message needs not survive a restart: it is here to save memory.
pub(super) const TRANSIENT: u8 = 2;

/// How a scan finds marks behind damage: no length that a record may have begins so.
const MARK_MAGIC: u64 = 0x6b72_614d_6c65_654b;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Publish = 1,
    Settle = 2,
    Return = 3,
    UnitEnd = 4,
    Mark = 5,
    Command = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Publish,
            2 => Kind::Settle,
            3 => Kind::Return,
            4 => Kind::UnitEnd,
            5 => Kind::Mark,
            6 => Kind::Command,
            _ => return None,
        })
    }
}

/// A range of a queue's sequence numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub queue: QueueKey,
    pub from: u64,
    pub to: u64,
}

/// A reference with the number of the queue's records so far, by which a scan notices that one is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberedReference {
    pub reference: Reference,
    pub ordinal: u32,
}

/// Length in the log, padding included.
pub(super) fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGN)
}

/// Length of a Publish record, without padding.
pub(super) fn publish_length(references: usize, message: usize) -> usize {
    HEAD + references * REFERENCE + message
}

fn begin(out: &mut Vec<u8>, length: usize, kind: Kind, flags: u8, count: usize) -> usize {
    debug_assert!(out.len().is_multiple_of(ALIGN));
    let start = out.len();
    out.reserve(padded(length));
    out.extend((length as u32).to_le_bytes());
    out.extend([0; 4]);
    out.extend([kind as u8, flags]);
    out.extend((count as u16).to_le_bytes());
    out.extend([0; 4]);
    start
}

/// Fills in the checksum over `start..covered` and pads.
fn finish(out: &mut Vec<u8>, start: usize, covered: usize, seed: u32) {
    let crc = head_crc(seed, &out[start..covered]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    out.resize(padded(out.len()), 0);
}

/// The checksum of a record's part before its message; bytes 4 to 8, the checksum itself, are left out.
fn head_crc(seed: u32, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &head[..4]), &head[8..])
}

pub(super) fn put_publish(
    out: &mut Vec<u8>,
    seed: u32,
    flags: u8,
    references: impl ExactSizeIterator<Item = NumberedReference>,
    message: &[u8],
) {
    let count = references.len();
    let start = begin(
        out,
        publish_length(count, message.len()),
        Kind::Publish,
        flags,
        count,
    );
    let crc = crc32c::crc32c_append(seed, message);
    out[start + 12..start + 16].copy_from_slice(&crc.to_le_bytes());
    for NumberedReference { reference, ordinal } in references {
        out.extend(reference.queue.0.to_le_bytes());
        out.extend(reference.seq.to_le_bytes());
        out.extend(reference.expires_ms.to_le_bytes());
        out.extend(ordinal.to_le_bytes());
        out.extend([0; 4]);
    }
    let covered = out.len();
    out.extend_from_slice(message);
    finish(out, start, covered, seed);
}

/// At most `u16::MAX` ranges.
pub(super) fn put_settle(out: &mut Vec<u8>, seed: u32, flags: u8, ranges: &[Range]) {
    let start = begin(
        out,
        settle_length(ranges.len()),
        Kind::Settle,
        flags,
        ranges.len(),
    );
    for range in ranges {
        out.extend(range.queue.0.to_le_bytes());
        out.extend(range.from.to_le_bytes());
        out.extend(range.to.to_le_bytes());
    }
    finish(out, start, out.len(), seed);
}

pub(super) fn settle_length(ranges: usize) -> usize {
    HEAD + ranges * RANGE
}

pub(super) fn put_return(
    out: &mut Vec<u8>,
    seed: u32,
    flags: u8,
    queue: QueueKey,
    seq: u64,
    count: u32,
) {
    let start = begin(out, RETURN_LENGTH, Kind::Return, flags, 0);
    out.extend(queue.0.to_le_bytes());
    out.extend(seq.to_le_bytes());
    out.extend(count.to_le_bytes());
    finish(out, start, out.len(), seed);
}

pub(super) const RETURN_LENGTH: usize = HEAD + 20;

pub(super) fn put_unit_end(out: &mut Vec<u8>, seed: u32) {
    let start = begin(out, HEAD, Kind::UnitEnd, 0, 0);
    finish(out, start, out.len(), seed);
}

/// Says that the segment was durable up to `durable` when this was written.
pub(super) fn put_mark(out: &mut Vec<u8>, seed: u32, durable: u32) {
    let start = begin(out, MARK_LENGTH, Kind::Mark, 0, 0);
    out.extend(MARK_MAGIC.to_le_bytes());
    out.extend(u64::from(durable).to_le_bytes());
    finish(out, start, out.len(), seed);
}

pub(super) const MARK_LENGTH: usize = HEAD + 16;

pub(super) fn put_command(out: &mut Vec<u8>, seed: u32, bytes: &[u8]) {
    let start = begin(out, HEAD + bytes.len(), Kind::Command, 0, 0);
    out.extend_from_slice(bytes);
    finish(out, start, out.len(), seed);
}

/// A record found in the log whose head is sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub kind: Kind,
    pub flags: u8,
    /// Without padding.
    pub length: usize,
    count: usize,
    bytes: &'a [u8],
}

/// Why there is no record at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsound;

impl<'a> Record<'a> {
    /// The record at the beginning of `bytes`.
    pub fn read(bytes: &'a [u8], seed: u32) -> Result<Record<'a>, Unsound> {
        let head = bytes.get(..HEAD).ok_or(Unsound)?;
        let length = u32_at(head, 0) as usize;
        if !(HEAD..=MAX_LENGTH).contains(&length) || length > bytes.len() {
            return Err(Unsound);
        }
        let kind = Kind::from_byte(head[8]).ok_or(Unsound)?;
        let count = usize::from(u16::from_le_bytes([head[10], head[11]]));
        let covered = match kind {
            Kind::Publish => HEAD + count * REFERENCE,
            Kind::Settle => settle_length(count),
            Kind::Return => RETURN_LENGTH,
            Kind::UnitEnd => HEAD,
            Kind::Mark => MARK_LENGTH,
            Kind::Command => length,
        };
        let exact = kind != Kind::Publish;
        if covered > length || (exact && covered != length) {
            return Err(Unsound);
        }
        if head_crc(seed, &bytes[..covered]) != u32_at(head, 4) {
            return Err(Unsound);
        }
        Ok(Record {
            kind,
            flags: head[9],
            length,
            count,
            bytes: &bytes[..length],
        })
    }

    /// The message of a Publish, when its checksum fits.
    pub fn message(&self, seed: u32) -> Option<&'a [u8]> {
        let message = self.unchecked_message();
        (crc32c::crc32c_append(seed, message) == u32_at(self.bytes, 12)).then_some(message)
    }

    pub fn unchecked_message(&self) -> &'a [u8] {
        &self.bytes[HEAD + self.count * REFERENCE..]
    }

    pub fn references(&self) -> impl ExactSizeIterator<Item = NumberedReference> + 'a {
        let count = if self.kind == Kind::Publish {
            self.count
        } else {
            0
        };
        let bytes = self.bytes;
        (0..count).map(move |n| {
            let at = HEAD + n * REFERENCE;
            NumberedReference {
                reference: Reference {
                    queue: QueueKey(u64_at(bytes, at)),
                    seq: u64_at(bytes, at + 8),
                    expires_ms: u64_at(bytes, at + 16),
                },
                ordinal: u32_at(bytes, at + 24),
            }
        })
    }

    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range> + 'a {
        let count = if self.kind == Kind::Settle {
            self.count
        } else {
            0
        };
        let bytes = self.bytes;
        (0..count).map(move |n| {
            let at = HEAD + n * RANGE;
            Range {
                queue: QueueKey(u64_at(bytes, at)),
                from: u64_at(bytes, at + 8),
                to: u64_at(bytes, at + 16),
            }
        })
    }

    /// Queue, sequence number and count of a Return.
    pub fn returned(&self) -> (QueueKey, u64, u32) {
        debug_assert_eq!(self.kind, Kind::Return);
        (
            QueueKey(u64_at(self.bytes, HEAD)),
            u64_at(self.bytes, HEAD + 8),
            u32_at(self.bytes, HEAD + 16),
        )
    }

    /// What a Mark says was durable.
    pub fn durable(&self) -> u32 {
        debug_assert_eq!(self.kind, Kind::Mark);
        u64_at(self.bytes, HEAD + 8) as u32
    }

    pub fn command(&self) -> &'a [u8] {
        &self.bytes[HEAD..]
    }
}

/// The highest durable place that a sound mark behind `from` tells of.
pub(super) fn highest_mark(bytes: &[u8], from: usize, seed: u32) -> Option<u32> {
    let magic = MARK_MAGIC.to_le_bytes();
    let rest = bytes.get(from..)?;
    memchr::memmem::find_iter(rest, &magic)
        .filter_map(|at| (from + at).checked_sub(HEAD))
        .filter(|start| start.is_multiple_of(ALIGN))
        .filter_map(|start| Record::read(&bytes[start..], seed).ok())
        .filter(|record| record.kind == Kind::Mark)
        .map(|record| record.durable())
        .max()
}

/// Where the next sound record behind damage begins.
pub(super) fn next_sound(bytes: &[u8], from: usize, seed: u32) -> Option<usize> {
    (from.next_multiple_of(ALIGN)..bytes.len())
        .step_by(ALIGN)
        .find(|&at| Record::read(&bytes[at..], seed).is_ok())
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbered(queue: u64, seq: u64) -> NumberedReference {
        let reference = Reference {
            queue: QueueKey(queue),
            seq,
            expires_ms: seq * 3,
        };
        NumberedReference {
            reference,
            ordinal: seq as u32,
        }
    }

    #[test]
    fn every_kind_of_record_reads_back() {
        let (seed, mut out) = (7, Vec::new());
        let references = [numbered(1, 9), numbered(2, 10)];
        let ranges = [
            Range {
                queue: QueueKey(4),
                from: 1,
                to: 5,
            },
            Range {
                queue: QueueKey(5),
                from: 7,
                to: 7,
            },
        ];
        put_publish(&mut out, seed, IN_UNIT, references.into_iter(), b"message");
        put_settle(&mut out, seed, 0, &ranges);
        put_return(&mut out, seed, 0, QueueKey(3), 8, 2);
        put_unit_end(&mut out, seed);
        put_mark(&mut out, seed, 4096);
        put_command(&mut out, seed, b"{}");
        let mut at = 0;
        let mut next = || {
            let record = Record::read(&out[at..], seed).unwrap();
            at += padded(record.length);
            record
        };
        let publish = next();
        assert_eq!((publish.kind, publish.flags), (Kind::Publish, IN_UNIT));
        assert_eq!(publish.references().collect::<Vec<_>>(), references);
        assert_eq!(publish.message(seed), Some(&b"message"[..]));
        assert_eq!(next().ranges().collect::<Vec<_>>(), ranges);
        assert_eq!(next().returned(), (QueueKey(3), 8, 2));
        assert_eq!(next().kind, Kind::UnitEnd);
        assert_eq!(next().durable(), 4096);
        assert_eq!(next().command(), b"{}");
        assert_eq!(at, out.len());
    }

    #[test]
    fn a_rotten_message_still_tells_whose_it_was() {
        let mut out = Vec::new();
        put_publish(&mut out, 1, 0, [numbered(6, 1)].into_iter(), b"message");
        out[HEAD + REFERENCE] ^= 1;
        let record = Record::read(&out, 1).unwrap();
        assert_eq!(record.message(1), None);
        assert_eq!(record.references().next(), Some(numbered(6, 1)));
    }

    #[test]
    fn a_record_of_another_seed_is_unsound() {
        let mut out = Vec::new();
        put_command(&mut out, 1, b"x");
        assert!(Record::read(&out, 1).is_ok());
        assert!(Record::read(&out, 2).is_err());
    }

    #[test]
    fn marks_and_records_behind_damage_are_found() {
        let mut out = Vec::new();
        put_command(&mut out, 3, b"lost");
        let second = out.len();
        put_command(&mut out, 3, b"kept");
        put_mark(&mut out, 3, 24);
        out[17] ^= 255;
        assert_eq!(next_sound(&out, 8, 3), Some(second));
        assert_eq!(highest_mark(&out, 0, 3), Some(24));
        assert_eq!(highest_mark(&out, 0, 4), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..8) {
            let mut bytes = bytes;
            if bytes.len() > 9 {
                bytes[8] = kind;
            }
            if let Ok(record) = Record::read(&bytes, 0) {
                let _ = (record.references().count(), record.ranges().count(), record.message(0));
            }
            let _ = (highest_mark(&bytes, 0, 0), next_sound(&bytes, 0, 0));
        }

        #[test]
        fn one_flipped_bit_is_noticed(message in proptest::collection::vec(any::<u8>(), 0..100), bit in 0usize..4000) {
            let mut out = Vec::new();
            put_publish(&mut out, 5, 0, [numbered(1, 2)].into_iter(), &message);
            let length = publish_length(1, message.len());
            let bit = bit % (length * 8);
            out[bit / 8] ^= 1 << (bit % 8);
            let sound = Record::read(&out, 5).ok().and_then(|record| record.message(5));
            prop_assert!(sound.is_none());
        }
    }
}
