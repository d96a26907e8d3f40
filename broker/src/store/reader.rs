//! Reads messages back. Several queues that are drained at once each get their own window to read ahead in.

use super::disk::DiskFile;
use super::record::{Kind, Record};
use crate::core::journal::Stored;
use std::io;

/// Windows kept, and cold reads on their way at most.
pub(super) const WINDOWS: usize = 8;
/// How much is read at once when messages are read one after another.
pub(super) const AHEAD: usize = 128 << 10;
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
    /// A sound record and the window that has it, found last.
    known: Option<(Stored, usize)>,
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

/// How a window is filled.
type Read = fn(&dyn DiskFile, &mut [u8], u64) -> io::Result<usize>;

impl Reader {
    /// The message of a record that is written and that no window has; waits for the disk when it must.
    pub fn read(
        &mut self,
        file: &dyn DiskFile,
        stored: Stored,
        seed: u32,
    ) -> Result<&[u8], ReadError> {
        let read: Read = |file, buffer, offset| file.read_at(buffer, offset);
        let at = self.fill(file, stored, read).map_err(ReadError::Io)?;
        self.windows[at]
            .slice(stored)
            .and_then(|bytes| message_in(bytes, seed))
            .ok_or(ReadError::Damaged)
    }

    /// Whether a window has this record.
    pub fn has(&mut self, stored: Stored, seed: u32) -> bool {
        self.find(stored, seed).is_some()
    }

    /// The message of a record that a window has.
    pub fn found(&mut self, stored: Stored, seed: u32) -> Option<&[u8]> {
        let at = self.find(stored, seed)?;
        let record = Record::read(self.windows[at].slice(stored)?, seed).ok()?;
        // its checksum was looked at when it was found
        Some(record.unchecked_message())
    }

    /// Whether a record that no window has can be read without waiting for the disk.
    pub fn is_at_hand(&mut self, file: &dyn DiskFile, stored: Stored) -> bool {
        let read: Read = |file, buffer, offset| file.read_now(buffer, offset);
        match self.fill(file, stored, read) {
            // whole and not sound: `read` is to say so
            Ok(at) => self.windows[at].slice(stored).is_some(),
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Takes in what was read beside.
    pub fn put(&mut self, segment: u32, offset: u32, bytes: Vec<u8>) {
        self.known = None;
        self.clock += 1;
        let at = self.free_window();
        self.windows[at] = Window {
            segment,
            offset,
            bytes,
            used: self.clock,
        };
    }

    /// The window that has a record whole and sound: it may also hold what was there before the record was written.
    fn find(&mut self, stored: Stored, seed: u32) -> Option<usize> {
        if let Some((known, at)) = self.known
            && known == stored
        {
            return Some(at);
        }
        let at = self.windows.iter().position(|window| {
            window
                .slice(stored)
                .is_some_and(|bytes| message_in(bytes, seed).is_some())
        })?;
        self.clock += 1;
        self.windows[at].used = self.clock;
        self.known = Some((stored, at));
        Some(at)
    }

    fn fill(&mut self, file: &dyn DiskFile, stored: Stored, read: Read) -> io::Result<usize> {
        self.known = None;
        self.clock += 1;
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
        window.used = self.clock;
        (window.segment, window.offset) = (stored.segment, stored.offset);
        window.bytes.resize(wanted, 0);
        let mut filled = 0;
        while filled < length {
            let offset = u64::from(stored.offset) + filled as u64;
            match read(file, &mut window.bytes[filled..], offset) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => {
                    window.bytes.clear();
                    return Err(error);
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
        self.known = None;
        self.windows.retain(|window| window.segment != segment);
    }
}
