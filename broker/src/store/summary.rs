//! What a segment's records say, without their messages: enough to know after a restart which messages are where.
//! Kept as a segment's footer, so that a start reads megabytes instead of gigabytes.

use super::record::{ALIGN, IN_UNIT, Kind, Range, Record, TRANSIENT};
use crate::core::journal::{QueueKey, Reference};
use smallvec::SmallVec;

const PUBLISH: u8 = 1;
const SETTLE: u8 = 2;
const RETURN: u8 = 3;
const UNIT_END: u8 = 4;
/// Bits of a fact's first byte beside its kind.
const UNIT_BIT: u8 = 0x10;
const TRANSIENT_BIT: u8 = 0x20;
const EXPIRES_BIT: u8 = 0x40;

/// One thing that a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Publish(Published),
    Settle {
        range: Range,
        in_unit: bool,
    },
    Return {
        queue: QueueKey,
        seq: u64,
        count: u32,
        in_unit: bool,
    },
    UnitEnd,
}

/// A message in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub offset: u32,
    pub length: u32,
    /// Bytes of the message's body.
    pub size: u32,
    pub priority: u8,
    pub transient: bool,
    pub in_unit: bool,
    pub references: SmallVec<[Reference; 1]>,
}

/// Facts in a compact form, in the order of the records.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    bytes: Vec<u8>,
    /// Where the message before the next one ended, in units of the alignment.
    end: u32,
    messages: u32,
}

impl Summary {
    /// Takes bytes that a checksum has passed; facts that make no sense end the reading.
    pub fn from_bytes(bytes: Vec<u8>) -> Summary {
        Summary {
            bytes,
            end: 0,
            messages: 0,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many messages were put in.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(1 << 20);
        self.end = 0;
        self.messages = 0;
    }

    pub fn put_publish(&mut self, published: &Published) {
        let expires = published
            .references
            .iter()
            .any(|reference| reference.expires_ms != 0);
        let mut tag = PUBLISH;
        tag |= if published.in_unit { UNIT_BIT } else { 0 };
        tag |= if published.transient {
            TRANSIENT_BIT
        } else {
            0
        };
        tag |= if expires { EXPIRES_BIT } else { 0 };
        self.bytes.push(tag);
        let start = published.offset / ALIGN as u32;
        self.put(u64::from(start.wrapping_sub(self.end)));
        self.put(u64::from(published.length));
        self.put(u64::from(published.size));
        self.bytes.push(published.priority);
        self.put(published.references.len() as u64);
        for reference in &published.references {
            self.put(reference.queue.0);
            self.put(reference.seq);
            if expires {
                self.put(reference.expires_ms);
            }
        }
        self.end = start + published.length.div_ceil(ALIGN as u32);
        self.messages += 1;
    }

    pub fn put_settle(&mut self, range: Range, in_unit: bool) {
        self.bytes.push(SETTLE | if in_unit { UNIT_BIT } else { 0 });
        self.put(range.queue.0);
        self.put(range.from);
        self.put(range.to.wrapping_sub(range.from));
    }

    pub fn put_return(&mut self, queue: QueueKey, seq: u64, count: u32, in_unit: bool) {
        self.bytes.push(RETURN | if in_unit { UNIT_BIT } else { 0 });
        self.put(queue.0);
        self.put(seq);
        self.put(u64::from(count));
    }

    /// A fact outside of any unit that says nothing.
    pub fn put_nothing(&mut self) {
        self.put_return(QueueKey(0), 0, 0, false);
    }

    pub fn put_unit_end(&mut self) {
        self.bytes.push(UNIT_END);
    }

    /// Adds what a record in the log says; `size` and `priority` are of its message.
    pub fn put_record(&mut self, record: &Record<'_>, offset: u32, size: u32, priority: u8) {
        let in_unit = record.flags & IN_UNIT != 0;
        match record.kind {
            Kind::Publish => self.put_publish(&Published {
                offset,
                length: record.length as u32,
                size,
                priority,
                transient: record.flags & TRANSIENT != 0,
                in_unit,
                references: record
                    .references()
                    .map(|numbered| numbered.reference)
                    .collect(),
            }),
            Kind::Settle => record
                .ranges()
                .for_each(|range| self.put_settle(range, in_unit)),
            Kind::Return => {
                let (queue, seq, count) = record.returned();
                self.put_return(queue, seq, count, in_unit);
            }
            Kind::UnitEnd => self.put_unit_end(),
            Kind::Mark | Kind::Command => {}
        }
    }

    /// A number in seven bits a byte, the lowest first.
    fn put(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            bytes: &self.bytes,
            end: 0,
        }
    }
}

/// Reads a summary.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    bytes: &'a [u8],
    end: u32,
}

impl Facts<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    fn publish(&mut self, tag: u8) -> Option<Fact> {
        let start = (self.number()? as u32).wrapping_add(self.end);
        let length = self.number()? as u32;
        let size = self.number()? as u32;
        let priority = self.byte()?;
        let count = self.number()?;
        let mut references = SmallVec::new();
        for _ in 0..count {
            let queue = QueueKey(self.number()?);
            let seq = self.number()?;
            let expires_ms = if tag & EXPIRES_BIT != 0 {
                self.number()?
            } else {
                0
            };
            references.push(Reference {
                queue,
                seq,
                expires_ms,
            });
        }
        self.end = start.wrapping_add(length.div_ceil(ALIGN as u32));
        Some(Fact::Publish(Published {
            offset: start.wrapping_mul(ALIGN as u32),
            length,
            size,
            priority,
            transient: tag & TRANSIENT_BIT != 0,
            in_unit: tag & UNIT_BIT != 0,
            references,
        }))
    }
}

impl Iterator for Facts<'_> {
    type Item = Fact;

    fn next(&mut self) -> Option<Fact> {
        let tag = self.byte()?;
        let in_unit = tag & UNIT_BIT != 0;
        match tag & 0x0f {
            PUBLISH => self.publish(tag),
            SETTLE => {
                let queue = QueueKey(self.number()?);
                let from = self.number()?;
                let to = from.wrapping_add(self.number()?);
                Some(Fact::Settle {
                    range: Range { queue, from, to },
                    in_unit,
                })
            }
            RETURN => {
                let (queue, seq) = (QueueKey(self.number()?), self.number()?);
                Some(Fact::Return {
                    queue,
                    seq,
                    count: self.number()? as u32,
                    in_unit,
                })
            }
            UNIT_END => Some(Fact::UnitEnd),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn published(offset: u32, length: u32, queue: u64, seq: u64, expires_ms: u64) -> Published {
        Published {
            offset,
            length,
            size: length / 2,
            priority: 3,
            transient: expires_ms % 2 == 1,
            in_unit: seq % 2 == 1,
            references: [Reference {
                queue: QueueKey(queue),
                seq,
                expires_ms,
            }]
            .into_iter()
            .collect(),
        }
    }

    #[test]
    fn a_summary_gives_back_its_facts_in_order() {
        let mut summary = Summary::default();
        let range = Range {
            queue: QueueKey(1),
            from: 5,
            to: u64::MAX,
        };
        let first = published(4096, 100, 1, 5, 0);
        let second = published(4200, 50, 900_000, u64::MAX, 1_700_000_000_001);
        summary.put_publish(&first);
        summary.put_settle(range, true);
        summary.put_publish(&second);
        summary.put_return(QueueKey(2), 3, 4, false);
        summary.put_unit_end();
        let facts: Vec<Fact> = summary.facts().collect();
        assert_eq!(
            facts,
            [
                Fact::Publish(first),
                Fact::Settle {
                    range,
                    in_unit: true
                },
                Fact::Publish(second),
                Fact::Return {
                    queue: QueueKey(2),
                    seq: 3,
                    count: 4,
                    in_unit: false
                },
                Fact::UnitEnd,
            ]
        );
        assert_eq!(summary.messages(), 2);
    }

    #[test]
    fn a_message_next_to_the_last_costs_few_bytes() {
        let mut summary = Summary::default();
        for n in 0..1000 {
            summary.put_publish(&published(n * 104, 104, 1, u64::from(n), 0));
        }
        assert!(
            summary.bytes().len() < 9 * 1000,
            "{}",
            summary.bytes().len()
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Summary::from_bytes(bytes).facts().count();
        }
    }
}
