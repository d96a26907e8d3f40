//! The store as the engine's journal, and the engine's state out of what a start found.

use super::{Content, Health, OpenError, Options, Recovered, Store, Threads, Wake};
use crate::core::journal::{Congestion, Damaged, Journal, Position, QueueKey, Reference, Stored};
use crate::core::message::Message;
use crate::core::metadata::Command;
use crate::store::Disk;
use std::sync::Arc;

/// Body size and priority of a message in the log.
fn measure(bytes: &[u8]) -> Option<(u32, u8)> {
    let message = Message::from_bytes(bytes)?;
    Some((message.size() as u32, message.priority()))
}

impl Store {
    /// Opens the store for an engine.
    pub fn open_for_engine(
        disk: Arc<dyn Disk>,
        options: Options,
        wake: Wake,
    ) -> Result<(Store, Threads, Recovered), OpenError> {
        Store::open(disk, options, measure, wake)
    }
}

fn content(message: &Message, spilled: bool) -> Content<'_> {
    Content {
        bytes: message.as_bytes(),
        size: message.size() as u32,
        priority: message.priority(),
        spilled,
    }
}

impl Journal for Store {
    fn publish(&mut self, message: &Message, references: &[Reference]) -> (Position, Stored) {
        let stored = Store::publish(self, content(message, false), references);
        let position = self.position();
        self.want(position);
        (Position(position), stored)
    }

    fn spill(&mut self, message: &Message, reference: Reference) -> Option<Stored> {
        let has_room = self.health() == Health::Good && Store::congestion(self) == Congestion::None;
        has_room.then(|| Store::publish(self, content(message, true), &[reference]))
    }

    fn settle(&mut self, queue: QueueKey, seq: u64, stored: Stored) {
        Store::settle(self, queue, seq, stored);
    }

    fn returned(&mut self, queue: QueueKey, seq: u64, count: u32) {
        Store::returned(self, queue, seq, count);
    }

    fn purge(&mut self, queue: QueueKey, seqs: &[(u64, Stored)]) {
        for &(seq, stored) in seqs {
            Store::settle(self, queue, seq, stored);
        }
    }

    fn forget(&mut self, queue: QueueKey) {
        Store::forget(self, queue);
    }

    fn command(&mut self, command: &Command) -> Position {
        // Plain data without maps keyed by anything but strings: it cannot fail to become JSON.
        let bytes = serde_json::to_vec(command).expect("a command is plain data");
        let position = Store::command(self, bytes);
        self.want(position);
        Position(position)
    }

    fn begin_unit(&mut self) {
        Store::begin_unit(self);
    }

    fn end_unit(&mut self) -> Position {
        let position = Store::end_unit(self);
        self.want(position);
        Position(position)
    }

    fn at_hand(&mut self, stored: Stored) -> bool {
        Store::at_hand(self, stored)
    }

    fn arrived(&mut self) -> bool {
        Store::arrived(self)
    }

    fn fetch(&mut self, stored: Stored) -> Result<Message, Damaged> {
        Store::fetch(self, stored, Message::from_bytes).map_err(|unreadable| Damaged(unreadable.0))
    }

    fn flush(&mut self) {
        Store::flush(self);
    }

    fn may_hold(&mut self, may: bool) {
        Store::may_hold(self, may);
    }

    fn holds(&self) -> bool {
        Store::holds(self)
    }

    fn commit_held(&mut self) {
        Store::commit_held(self);
    }

    fn hand_over(&mut self) {
        Store::hand_over(self);
    }

    fn durable(&self) -> Position {
        Position(Store::durable(self))
    }

    fn written(&self) -> Position {
        // the two are read one after the other
        Position(Store::written(self).max(Store::durable(self)))
    }

    fn await_written(&mut self, position: Position) {
        Store::await_written(self, position.0);
    }

    fn appended(&self) -> Position {
        Position(self.position())
    }

    fn short_of_space(&mut self, is_short: bool) {
        Store::short_of_space(self, is_short);
    }

    fn congestion(&self) -> Congestion {
        Store::congestion(self)
    }

    fn close(&mut self) {
        Store::close(self);
    }
}
