//! What the engine needs of a durable log: the seam between queues and the store.
//!
//! The engine appends records in order and learns later, by a rising durable position, that they are on disk. It never
//! waits. [`Volatile`] is the journal of a node without a disk; the store is the other implementation.

use super::message::Message;
use super::metadata::Command;
use serde::{Deserialize, Serialize};

/// A place in the journal. Everything appended earlier has a smaller one; 0 is before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Position(pub u64);

/// A queue's identity in the journal: unique for ever, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueKey(pub u64);

/// Where one message's bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub segment: u32,
    pub offset: u32,
    pub length: u32,
}

/// A message's place in one queue: the queue's key and the sequence number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    pub queue: QueueKey,
    pub seq: u64,
    /// When it expires, in milliseconds of wall time; 0 = never.
    pub expires_ms: u64,
}

/// A message that a start found in a queue. It may have been delivered before: it counts as redelivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub seq: u64,
    pub stored: Stored,
    /// When it expires, in milliseconds of wall time; 0 = never.
    pub expires_ms: u64,
    /// Bytes of its body.
    pub size: u32,
    /// How often it came back to the queue, as far as the journal says.
    pub returns: u32,
    pub priority: u8,
}

/// How far the writer is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Congestion {
    None,
    /// Those who append much should wait.
    Some,
    /// Everybody should.
    Much,
}

/// The stored bytes of one message cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged(pub String);

/// Where the engine writes down what must survive: messages of durable queues, and commands to the metadata.
pub trait Journal: Send {
    /// Appends one message for all the durable queues that it was routed to.
    fn publish(&mut self, message: &Message, references: &[Reference]) -> (Position, Stored);
    /// Appends a message that need not survive a restart, so that it need not stay in memory; nothing when there is no
    /// room for it.
    fn spill(&mut self, message: &Message, reference: Reference) -> Option<Stored>;
    /// A message left its queue for good: acknowledged, expired, dropped, dead-lettered.
    fn settle(&mut self, queue: QueueKey, seq: u64, stored: Stored);
    /// A message came back to its queue unsettled, delivered `count` times so far.
    fn returned(&mut self, queue: QueueKey, seq: u64, count: u32);
    /// Everything ready in the queue up to and including `seq` left it.
    fn purge(&mut self, queue: QueueKey, seqs: &[(u64, Stored)]);
    /// The queue is deleted with all it has.
    fn forget(&mut self, queue: QueueKey);
    /// Appends a change of the durable metadata.
    fn command(&mut self, command: &Command) -> Position;
    /// Marks the records appended since the last call as one atomic unit (a transaction's commit).
    fn begin_unit(&mut self);
    /// Ends the unit; the position is 0 when nothing in it must survive.
    fn end_unit(&mut self) -> Position;
    /// Whether `fetch` gives a message without waiting for the disk. When not, it is read beside; `arrived` says when
    /// to ask again.
    fn at_hand(&mut self, _stored: Stored) -> bool {
        true
    }
    /// Takes in what was read beside; whether there was anything.
    fn arrived(&mut self) -> bool {
        false
    }
    /// Reads a message back that the engine let go of.
    fn fetch(&mut self, stored: Stored) -> Result<Message, Damaged>;
    /// Hands everything appended to the writer. Called once at the end of each turn of the loop.
    fn flush(&mut self);
    /// Whether `flush` may leave a small batch that somebody waits for to the caller, when the writer rests.
    fn may_hold(&mut self, _may: bool) {}
    /// Whether `flush` left a batch: then `commit_held` or `hand_over` must follow soon.
    fn holds(&self) -> bool {
        false
    }
    /// Makes what was held durable before it returns: the one call that waits for the disk.
    fn commit_held(&mut self) {}
    /// Leaves what was held to the writer.
    fn hand_over(&mut self) {}
    /// The position up to which everything is on disk.
    fn durable(&self) -> Position;
    /// The position up to which the operating system has everything. Never behind the durable one.
    fn written(&self) -> Position;
    /// Asks to be woken when everything up to here is written, not only when it is durable.
    fn await_written(&mut self, position: Position);
    /// The position of the last record appended.
    fn appended(&self) -> Position;
    /// Says whether the disk is short of space.
    fn short_of_space(&mut self, _is_short: bool) {}
    /// How much is appended and not yet written.
    fn congestion(&self) -> Congestion {
        Congestion::None
    }
    /// Hands over what is left; nothing is appended any more.
    fn close(&mut self);
}

/// A journal that keeps nothing: for a node without a data directory, and for tests.
#[derive(Debug, Default)]
pub struct Volatile;

impl Journal for Volatile {
    fn publish(&mut self, _message: &Message, _references: &[Reference]) -> (Position, Stored) {
        (
            Position(0),
            Stored {
                segment: 0,
                offset: 0,
                length: 0,
            },
        )
    }

    fn spill(&mut self, _message: &Message, _reference: Reference) -> Option<Stored> {
        None
    }

    fn settle(&mut self, _queue: QueueKey, _seq: u64, _stored: Stored) {}

    fn returned(&mut self, _queue: QueueKey, _seq: u64, _count: u32) {}

    fn purge(&mut self, _queue: QueueKey, _seqs: &[(u64, Stored)]) {}

    fn forget(&mut self, _queue: QueueKey) {}

    fn command(&mut self, _command: &Command) -> Position {
        Position(0)
    }

    fn begin_unit(&mut self) {}

    fn end_unit(&mut self) -> Position {
        Position(0)
    }

    fn fetch(&mut self, _stored: Stored) -> Result<Message, Damaged> {
        Err(Damaged("this node keeps no messages on disk".to_owned()))
    }

    fn flush(&mut self) {}

    fn durable(&self) -> Position {
        Position(u64::MAX)
    }

    fn written(&self) -> Position {
        Position(u64::MAX)
    }

    fn await_written(&mut self, _position: Position) {}

    fn appended(&self) -> Position {
        Position(0)
    }

    fn close(&mut self) {}
}
