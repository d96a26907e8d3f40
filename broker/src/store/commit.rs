//! Group commit: take everything appended, write it, sync, say how far it got. While one sync runs the next batch
//! gathers, so the disk's own speed is the batch window and no timer is.
//!
//! [`Committer::turn`] is the whole of it; the thread around it only waits. Tests call it directly, and so does the
//! engine's thread when a lone client waits for one message: two thread switches cost more than the sync.

use super::disk::DiskFile;
use super::metadata_log::MetadataLog;
use super::segment::{self, Header, Role};
use super::shared::{Health, Operation, Shared, Turn};
use super::slots::Slots;
use smallvec::SmallVec;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// A full disk is tried again this often.
const RETRY: Duration = Duration::from_millis(500);

/// The committer, for the thread of that name and for the engine's. Whoever holds the lock commits.
#[derive(Clone)]
pub(super) struct Committers {
    shared: Arc<Shared>,
    committer: Arc<Mutex<Committer>>,
}

impl Committers {
    pub fn new(
        shared: Arc<Shared>,
        slots: Arc<Slots>,
        salt: u32,
        metadata: MetadataLog,
    ) -> Committers {
        let committer = Committer {
            shared: shared.clone(),
            slots,
            salt,
            hot: None,
            metadata,
            written: 0,
            durable: 0,
            failed: None,
        };
        Committers {
            shared,
            committer: Arc::new(Mutex::new(committer)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Committer> {
        self.committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    pub fn run(self) {
        loop {
            let turn = self.shared.wait();
            let before = self.shared.durable();
            let health = self.turn(turn != Turn::Work);
            if self.shared.durable() != before {
                self.shared.wake();
            }
            match health {
                Health::Failed(_) => return,
                Health::Full(_) if self.shared.wait_for_space(RETRY) => return,
                Health::Full(_) => {}
                Health::Good if turn == Turn::Stop => return,
                Health::Good => {}
            }
        }
    }

    /// Writes what is pending, and syncs when somebody waits for it or `sync` says so.
    pub fn turn(&self, sync: bool) -> Health {
        self.lock().turn(sync)
    }

    /// The same on the engine's thread; false when the committer's thread must do it.
    pub fn try_turn(&self) -> bool {
        match self.committer.try_lock() {
            Ok(mut committer) => committer.turn(false) == Health::Good,
            Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => false,
        }
    }
}

struct Committer {
    shared: Arc<Shared>,
    slots: Arc<Slots>,
    salt: u32,
    hot: Option<Hot>,
    metadata: MetadataLog,
    /// Position up to which everything is written.
    written: u64,
    durable: u64,
    /// A sync failed: nothing is reported durable any more, whoever asks.
    failed: Option<String>,
}

/// The segment being written.
struct Hot {
    segment: u32,
    file: Arc<dyn DiskFile>,
    end: u32,
    dirty: bool,
}

impl Committer {
    fn turn(&mut self, sync: bool) -> Health {
        if let Some(reason) = &self.failed {
            return Health::Failed(reason.clone());
        }
        let (operations, wanted) = self.shared.pending();
        let mut health = Health::Good;
        let mut done = 0;
        let mut rest = &operations[..];
        while let Some((first, _)) = rest.split_first() {
            let (now, later) = rest.split_at(adjacent_writes(rest).max(1));
            if let Err(error) = self.perform(now) {
                health = describe(&first.1, &error);
                break;
            }
            self.written = now[now.len() - 1].0;
            done += now.len();
            rest = later;
        }
        drop(operations);
        self.shared.set_written(self.written);
        self.shared.written_through(done);
        let due = self.durable < self.written && (sync || wanted > self.durable);
        if due
            && !matches!(health, Health::Failed(_))
            && let Err(error) = self.sync()
        {
            // The kernel may have dropped the pages that it could not write: trying again would report success.
            health = Health::Failed(format!("cannot sync the message log: {error}"));
        }
        if let Health::Failed(reason) = &health {
            self.failed = Some(reason.clone());
        }
        self.shared.set_health(health.clone());
        health
    }

    /// Performs one operation, or several writes that are one behind the other.
    fn perform(&mut self, operations: &[(u64, Operation)]) -> io::Result<()> {
        match &operations[0].1 {
            Operation::Open { segment, length } => self.open(*segment, *length),
            Operation::Write {
                segment, offset, ..
            } => self.write(*segment, *offset, operations),
            Operation::Seal {
                segment,
                offset,
                summary,
                messages,
            } => {
                let Some(hot) = self.hot.as_mut().filter(|hot| hot.segment == *segment) else {
                    return Err(io::Error::other("sealing a segment that is not open"));
                };
                hot.dirty = true;
                segment::write_seal(&*hot.file, *segment, *offset, summary, *messages)
            }
            Operation::Command { bytes } => self.metadata.append(bytes),
        }
    }

    /// A later segment's header says that the earlier ones are complete, so they are synced first.
    fn open(&mut self, segment: u32, length: u64) -> io::Result<()> {
        self.sync_hot()?;
        let slot = self.slots.take(length)?;
        let file = slot.file.clone();
        let header = Header::Segment {
            id: segment,
            role: Role::Hot,
            salt: self.salt,
        };
        if let Err(error) = segment::write_header(&*file, header) {
            self.slots.put_back(slot);
            return Err(error);
        }
        self.slots.assign(segment, slot);
        self.hot = Some(Hot {
            segment,
            file,
            end: segment::DATA,
            dirty: true,
        });
        self.shared.set_hot(segment);
        Ok(())
    }

    fn write(&mut self, segment: u32, offset: u32, writes: &[(u64, Operation)]) -> io::Result<()> {
        let Some(hot) = self.hot.as_mut().filter(|hot| hot.segment == segment) else {
            return Err(io::Error::other("writing to a segment that is not open"));
        };
        hot.dirty = true;
        let mut pieces: SmallVec<[IoSlice<'_>; 8]> = writes
            .iter()
            .filter_map(|(_, write)| match write {
                Operation::Write { bytes, .. } => Some(IoSlice::new(bytes)),
                _ => None,
            })
            .collect();
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        hot.file.write_pieces_at(&mut pieces, u64::from(offset))?;
        hot.end = offset + length as u32;
        Ok(())
    }

    fn sync_hot(&mut self) -> io::Result<()> {
        match &mut self.hot {
            Some(hot) if hot.dirty => {
                hot.file.sync().map_err(no_retry)?;
                hot.dirty = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_hot()?;
        self.metadata.sync()?;
        self.metadata.shorten()?;
        self.durable = self.written;
        let place = self
            .hot
            .as_ref()
            .map_or((0, 0), |hot| (hot.segment, hot.end));
        self.shared.set_durable(self.durable, place);
        Ok(())
    }
}

/// How many of the first operations are writes one behind the other: one system call does for them.
fn adjacent_writes(operations: &[(u64, Operation)]) -> usize {
    let mut next = None;
    let follows = |(_, operation): &&(u64, Operation)| match operation {
        Operation::Write {
            segment,
            offset,
            bytes,
        } => {
            let fits = next.is_none_or(|end| end == (*segment, *offset));
            next = Some((*segment, offset + bytes.len() as u32));
            fits
        }
        Operation::Open { .. } | Operation::Seal { .. } | Operation::Command { .. } => false,
    };
    operations.iter().take_while(follows).count()
}

/// A failed sync is never "full, try again", whatever the number says.
fn no_retry(error: io::Error) -> io::Error {
    io::Error::other(format!("sync failed: {error}"))
}

fn describe(operation: &Operation, error: &io::Error) -> Health {
    let what = match operation {
        Operation::Open { .. } => "begin a segment of the message log",
        Operation::Write { .. } => "write the message log",
        Operation::Seal { .. } => "seal a segment of the message log",
        Operation::Command { .. } => "write the metadata log",
    };
    let text = format!("cannot {what}: {error}");
    let is_passing = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
    match is_passing {
        true => Health::Full(text),
        false => Health::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(segment: u32, offset: u32, length: usize) -> (u64, Operation) {
        let bytes = Arc::new(vec![0; length]);
        let write = Operation::Write {
            segment,
            offset,
            bytes,
        };
        (u64::from(offset), write)
    }

    #[test]
    fn writes_one_behind_the_other_are_one() {
        let command = || {
            let bytes = Arc::new(vec![0; 10]);
            (0, Operation::Command { bytes })
        };
        let adjacent = |operations: &[(u64, Operation)]| adjacent_writes(operations);
        assert_eq!(adjacent(&[]), 0);
        assert_eq!(adjacent(&[command(), write(1, 64, 10)]), 0);
        assert_eq!(
            adjacent(&[write(1, 64, 10), write(1, 74, 5), write(1, 79, 1)]),
            3
        );
        assert_eq!(adjacent(&[write(1, 64, 10), write(1, 80, 5)]), 1, "a gap");
        assert_eq!(
            adjacent(&[write(1, 64, 10), write(2, 74, 5)]),
            1,
            "another segment"
        );
        assert_eq!(
            adjacent(&[write(1, 64, 10), command(), write(1, 74, 5)]),
            1,
            "something between"
        );
    }
}
