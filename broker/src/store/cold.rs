//! Reads that have to wait for the disk, on a thread of their own: the engine goes on meanwhile.
//!
//! The engine asks for a place and goes away; what was read waits for it in a list that it takes in at the beginning of
//! a turn. At most as many reads are on their way as the reader has windows.

use super::disk::DiskFile;
use super::reader::{AHEAD, WINDOWS};
use super::shared::Shared;
use crate::core::journal::Stored;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

/// Behind what is read the disk is told to go on: a backlog is read from front to back.
const SOON: u64 = 1 << 20;

/// A place to read from.
pub(super) struct Wanted {
    stored: Stored,
    file: Arc<dyn DiskFile>,
}

/// What came of it.
pub(super) struct Arrived {
    pub stored: Stored,
    pub bytes: io::Result<Vec<u8>>,
}

type List = Arc<Mutex<Vec<Arrived>>>;

/// The engine's end.
pub(super) struct ColdReads {
    wanted: Option<SyncSender<Wanted>>,
    arrived: List,
    /// On their way.
    asked: Vec<Stored>,
    /// Could not be read; whoever fetches them is to be told.
    failed: Vec<Stored>,
}

/// The thread's end.
pub(super) struct ColdReader {
    wanted: Receiver<Wanted>,
    arrived: List,
    shared: Arc<Shared>,
}

/// Both ends.
pub(super) fn cold_reads(shared: Arc<Shared>) -> (ColdReads, ColdReader) {
    let (sender, receiver) = std::sync::mpsc::sync_channel(WINDOWS);
    let arrived = List::default();
    let reads = ColdReads {
        wanted: Some(sender),
        arrived: arrived.clone(),
        asked: Vec::new(),
        failed: Vec::new(),
    };
    let reader = ColdReader {
        wanted: receiver,
        arrived,
        shared,
    };
    (reads, reader)
}

impl ColdReads {
    /// Asks for a place, unless it is on its way or enough others are; whoever asked tries again when anything arrives.
    pub fn ask(&mut self, stored: Stored, file: Arc<dyn DiskFile>) {
        if self.asked.len() >= WINDOWS || self.asked.contains(&stored) {
            return;
        }
        if let Some(wanted) = &self.wanted
            && wanted.try_send(Wanted { stored, file }).is_ok()
        {
            self.asked.push(stored);
        }
    }

    /// What has arrived since the last time.
    pub fn take(&mut self) -> Vec<Arrived> {
        let arrived =
            std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        self.failed.clear();
        for read in &arrived {
            self.asked.retain(|asked| *asked != read.stored);
            if read.bytes.is_err() {
                self.failed.push(read.stored);
            }
        }
        arrived
    }

    /// Whether reading this was tried and failed, so that waiting for it is in vain.
    pub fn has_failed(&self, stored: Stored) -> bool {
        self.failed.contains(&stored)
    }

    /// What arrived is not what was asked for.
    pub fn fail(&mut self, stored: Stored) {
        self.failed.push(stored);
    }

    /// Lets the thread end.
    pub fn close(&mut self) {
        self.wanted = None;
    }
}

impl ColdReader {
    /// The thread; ends when the engine's end is closed.
    pub fn run(self) {
        while let Ok(wanted) = self.wanted.recv() {
            self.perform(wanted);
        }
    }

    fn perform(&self, wanted: Wanted) {
        let Wanted { stored, file } = wanted;
        let bytes = read(&*file, stored);
        if let Ok(bytes) = &bytes {
            file.will_read(u64::from(stored.offset) + bytes.len() as u64, SOON);
        }
        self.arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arrived { stored, bytes });
        self.shared.wake();
    }

    /// Reads one place that is asked for, if any is.
    #[cfg(test)]
    pub fn turn(&self) -> bool {
        match self.wanted.try_recv() {
            Ok(wanted) => {
                self.perform(wanted);
                true
            }
            Err(_) => false,
        }
    }
}

/// The record and what is behind it.
fn read(file: &dyn DiskFile, stored: Stored) -> io::Result<Vec<u8>> {
    let length = stored.length as usize;
    let mut bytes = vec![0; length.max(AHEAD)];
    let mut filled = 0;
    while filled < length {
        match file.read_at(
            &mut bytes[filled..],
            u64::from(stored.offset) + filled as u64,
        )? {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
