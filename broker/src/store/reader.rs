//! Reads messages back. Several queues that are drained at once each get their own window to read ahead in.

use super::disk::DiskFile;
use super::record::{Kind, Record};
use crate::core::journal::Stored;
use std::io;

const WINDOWS: usize = 8;
/// How much is read at once when messages are read one after another.
const AHEAD: usize = 128 << 10;
/// Reading on this close behind the last place counts as one after another.
const NEAR: u32 = 64 << 10;

/// Why a message cannot be given back.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    /// The bytes are there and their checksum does not fit.
    Damaged,
}

#[derive(Default)]
pub(super) struct Reader {
    windows: Vec<Window>,
    clock: u64,
}

struct Window {
    segment: u32,
    offset: u32,
    bytes: Vec<u8>,
    used: u64,
}

impl Window {
    fn end(&self) -> u32 {
        self.offset + self.bytes.len() as u32
    }

    fn slice(&self, stored: Stored) -> Option<&[u8]> {
        if self.segment != stored.segment || stored.offset < self.offset {
            return None;
        }
        let from = (stored.offset - self.offset) as usize;
        self.bytes.get(from..from + stored.length as usize)
    }
}

/// The message in a record's bytes.
pub(super) fn message_in(record: &[u8], seed: u32) -> Option<&[u8]> {
    let record = Record::read(record, seed).ok()?;
    if record.kind == Kind::Publish {
        record.message(seed)
    } else {
        None
    }
}

impl Reader {
    /// The message of a record that is written.
    pub fn read(
        &mut self,
        file: &dyn DiskFile,
        stored: Stored,
        seed: u32,
    ) -> Result<&[u8], ReadError> {
        self.clock += 1;
        let found = self
            .windows
            .iter()
            .position(|window| window.slice(stored).is_some());
        // A window may hold what was there before the record was written.
        let sound = found.filter(|&at| {
            self.windows[at]
                .slice(stored)
                .is_some_and(|bytes| message_in(bytes, seed).is_some())
        });
        let at = match sound {
            Some(at) => at,
            None => self.fill(file, stored)?,
        };
        let window = &mut self.windows[at];
        window.used = self.clock;
        window
            .slice(stored)
            .and_then(|bytes| message_in(bytes, seed))
            .ok_or(ReadError::Damaged)
    }

    fn fill(&mut self, file: &dyn DiskFile, stored: Stored) -> Result<usize, ReadError> {
        let follows = self.windows.iter().position(|window| {
            window.segment == stored.segment
                && stored.offset >= window.offset
                && stored.offset.saturating_sub(window.end()) <= NEAR
        });
        let length = stored.length as usize;
        let wanted = if follows.is_some() {
            length.max(AHEAD)
        } else {
            length
        };
        let at = follows.unwrap_or_else(|| self.free_window());
        let window = &mut self.windows[at];
        (window.segment, window.offset) = (stored.segment, stored.offset);
        window.bytes.resize(wanted, 0);
        let mut filled = 0;
        while filled < length {
            match file.read_at(
                &mut window.bytes[filled..],
                u64::from(stored.offset) + filled as u64,
            ) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => {
                    window.bytes.clear();
                    return Err(ReadError::Io(error));
                }
            }
        }
        window.bytes.truncate(filled);
        window.bytes.shrink_to(AHEAD);
        Ok(at)
    }

    fn free_window(&mut self) -> usize {
        if self.windows.len() < WINDOWS {
            self.windows.push(Window {
                segment: 0,
                offset: 0,
                bytes: Vec::new(),
                used: 0,
            });
            return self.windows.len() - 1;
        }
        let oldest = self
            .windows
            .iter()
            .enumerate()
            .min_by_key(|(_, window)| window.used);
        oldest.map_or(0, |(at, _)| at)
    }

    /// Forgets what was read of a segment.
    pub fn forget(&mut self, segment: u32) {
        self.windows.retain(|window| window.segment != segment);
    }
}
