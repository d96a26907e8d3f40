//! Messages that are wanted again: from memory where they still are, from the disk where they are not.

use super::Store;
use super::reader::{self, ReadError};
use crate::core::journal::Stored;

/// Why a message cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Store {
    /// Whether `fetch` gives this message without waiting for the disk. When not, it is read beside.
    pub fn at_hand(&mut self, stored: Stored) -> bool {
        let now = self.segments.locate(stored);
        let seed = self.tail.seed_of(now.segment);
        if self.reader.has(now, seed)
            || self.tail.read(now).is_some()
            || self.shared.is_pending(now.segment, now.offset, now.length)
            || self.cold.has_failed(now)
        {
            return true;
        }
        let Some(file) = self.slots.file(now.segment) else {
            return true;
        };
        if self.reader.is_at_hand(&*file, now) {
            return true;
        }
        self.cold.ask(now, file);
        false
    }

    /// Takes in what was read beside; whether there was anything.
    pub fn arrived(&mut self) -> bool {
        let arrived = self.cold.take();
        let any = !arrived.is_empty();
        for read in arrived {
            if let Ok(bytes) = read.bytes {
                self.reader
                    .put(read.stored.segment, read.stored.offset, bytes);
                let seed = self.tail.seed_of(read.stored.segment);
                if !self.reader.has(read.stored, seed) {
                    self.cold.fail(read.stored);
                }
            }
        }
        any
    }

    /// Reads a message back and makes something of its bytes.
    pub fn fetch<T>(
        &mut self,
        stored: Stored,
        make: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Unreadable> {
        let now = self.segments.locate(stored);
        let seed = self.tail.seed_of(now.segment);
        let unreadable =
            |why: &str| Unreadable(format!("segment {} at {} {why}", now.segment, now.offset));
        let damaged = || unreadable("is damaged");
        if let Some(message) = self.reader.found(now, seed) {
            return make(message).ok_or_else(damaged);
        }
        if let Some(bytes) = self.tail.read(now) {
            return reader::message_in(bytes, seed)
                .and_then(make)
                .ok_or_else(damaged);
        }
        if let Some(bytes) = self
            .shared
            .read_pending(now.segment, now.offset, now.length)
        {
            return reader::message_in(&bytes, seed)
                .and_then(make)
                .ok_or_else(damaged);
        }
        let file = self
            .slots
            .file(now.segment)
            .ok_or_else(|| unreadable("is gone"))?;
        match self.reader.read(&*file, now, seed) {
            Ok(message) => make(message).ok_or_else(damaged),
            Err(ReadError::Damaged) => Err(damaged()),
            Err(ReadError::Io(error)) => Err(unreadable(&format!("cannot be read: {error}"))),
        }
    }
}
