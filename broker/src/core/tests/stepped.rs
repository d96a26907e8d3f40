//! A journal for tests of what waits for it.

use crate::core::journal::{Congestion, Damaged, Journal, Position, QueueKey, Reference, Stored};
use crate::core::message::Message;
use crate::core::metadata::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A journal whose disk moves only when the test says so.
#[derive(Debug, Default, Clone)]
pub struct Stepped {
    pub appended: Arc<AtomicU64>,
    pub written: Arc<AtomicU64>,
    pub durable: Arc<AtomicU64>,
    /// Commands have positions of their own, too.
    pub counts_commands: bool,
}

impl Journal for Stepped {
    fn publish(&mut self, _: &Message, _: &[Reference]) -> (Position, Stored) {
        let position = self.appended.fetch_add(1, Ordering::Relaxed) + 1;
        let stored = Stored {
            segment: 0,
            offset: position as u32,
            length: 1,
        };
        (Position(position), stored)
    }

    fn spill(&mut self, message: &Message, reference: Reference) -> Option<Stored> {
        Some(self.publish(message, &[reference]).1)
    }

    fn settle(&mut self, _: QueueKey, _: u64, _: Stored) {}

    fn returned(&mut self, _: QueueKey, _: u64, _: u32) {}

    fn purge(&mut self, _: QueueKey, _: &[(u64, Stored)]) {}

    fn forget(&mut self, _: QueueKey) {}

    fn command(&mut self, _: &Command) -> Position {
        let step = u64::from(self.counts_commands);
        let before = self.appended.fetch_add(step, Ordering::Relaxed);
        Position((before + step) * step)
    }

    fn begin_unit(&mut self) {}

    fn end_unit(&mut self) -> Position {
        Position(self.appended.load(Ordering::Relaxed))
    }

    fn fetch(&mut self, _: Stored) -> Result<Message, Damaged> {
        Err(Damaged("not kept".to_owned()))
    }

    fn flush(&mut self) {}

    fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Relaxed))
    }

    fn written(&self) -> Position {
        Position(self.written.load(Ordering::Relaxed))
    }

    fn await_written(&mut self, _: Position) {}

    fn appended(&self) -> Position {
        Position(self.appended.load(Ordering::Relaxed))
    }

    fn congestion(&self) -> Congestion {
        let [appended, written] =
            [&self.appended, &self.written].map(|n| n.load(Ordering::Relaxed));
        match appended - written {
            0..=2 => Congestion::None,
            3..=5 => Congestion::Some,
            _ => Congestion::Much,
        }
    }

    fn close(&mut self) {}
}
