//! A disk that lies like real ones: what was not synced may be lost, in any order and by single sectors; names may be
//! lost until the directory is synced; space may end; a sync may fail.
//!
//! A crash ([`Disk::crash`]) keeps of everything unsynced a random subset. A crash can be set for a later operation
//! ([`Disk::crash_after`]): from then on every operation fails, as if the process were gone.

use crate::rng::Rng;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a disk writes whole or not at all.
pub const SECTOR: usize = 512;

/// A simulated directory of files. Clones are the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

/// An open file of a simulated disk.
#[derive(Clone)]
pub struct File {
    disk: Disk,
    inode: usize,
}

struct State {
    rng: Rng,
    inodes: Vec<Inode>,
    /// Names as they are now, and as the last sync of the directory left them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Operations until the crash; nothing when none is set.
    fuse: Option<u64>,
    operations: u64,
    /// Bytes that may still be allocated.
    space: Option<u64>,
    failing_sync: bool,
}

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Unsynced changes in order: sectors written, and lengths set.
    changes: Vec<Change>,
}

enum Change {
    Sector { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Disk {
    pub fn new(seed: u64) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            fuse: None,
            operations: 0,
            space: None,
            failing_sync: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes: of what is unsynced a random part stays. Afterwards the disk works again.
    pub fn crash(&self) {
        let state = &mut *self.lock();
        state.fuse = None;
        state.failing_sync = false;
        for inode in &mut state.inodes {
            inode.crash(&mut state.rng);
        }
        // A directory's changes are journaled in order, so a crash keeps a prefix; all or none is enough here.
        if state.rng.chance(50) {
            state.names = state.durable_names.clone();
        } else {
            state.durable_names = state.names.clone();
        }
    }

    /// The process goes and the system stays: everything written stays.
    pub fn kill(&self) {
        let state = &mut *self.lock();
        state.fuse = None;
        state.failing_sync = false;
    }

    /// Lets this many operations succeed and all later ones fail.
    pub fn crash_after(&self, operations: u64) {
        self.lock().fuse = Some(operations);
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Sets how many more bytes files may grow by; `None`: without end.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.lock().space = bytes;
    }

    /// Lets every sync fail from now on.
    pub fn fail_syncs(&self) {
        self.lock().failing_sync = true;
    }

    /// Flips one bit of a file, durably.
    pub fn rot(&self, name: &str, byte: usize) {
        let state = &mut *self.lock();
        if let Some(&inode) = state.names.get(name) {
            let inode = &mut state.inodes[inode];
            for bytes in [&mut inode.bytes, &mut inode.durable] {
                if let Some(byte) = bytes.get_mut(byte) {
                    *byte ^= 4;
                }
            }
        }
    }

    /// A file's bytes.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state
            .names
            .get(name)
            .map(|&inode| state.inodes[inode].bytes.clone())
            .unwrap_or_default()
    }

    pub fn list(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// Opens a file, or makes an empty one.
    pub fn open(&self, name: &str) -> io::Result<File> {
        let mut state = self.lock();
        if let Some(&inode) = state.names.get(name) {
            return Ok(File {
                disk: self.clone(),
                inode,
            });
        }
        state.burn()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.insert(name.to_owned(), inode);
        Ok(File {
            disk: self.clone(),
            inode,
        })
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.burn()?;
        state
            .names
            .remove(name)
            .map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.burn()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    pub fn sync_names(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.burn()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl State {
    /// Counts an operation; fails once the crash is there.
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => return Err(io::Error::other("the simulated machine has crashed")),
            Some(left) => *left -= 1,
            None => {}
        }
        self.operations += 1;
        Ok(())
    }

    fn allocate(&mut self, bytes: usize) -> io::Result<()> {
        match &mut self.space {
            Some(space) if *space < bytes as u64 => Err(io::ErrorKind::StorageFull.into()),
            Some(space) => {
                *space -= bytes as u64;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Inode {
    fn crash(&mut self, rng: &mut Rng) {
        // One of three tempers: all of it lost, all of it kept, or every sector for itself.
        let temper = rng.below(3);
        let mut kept = std::mem::take(&mut self.durable);
        for change in self.changes.drain(..) {
            let keep = match temper {
                0 => false,
                1 => true,
                _ => rng.chance(50),
            };
            if keep {
                change.apply(&mut kept);
            }
        }
        self.bytes = kept.clone();
        self.durable = kept;
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(length, 0),
            Change::Sector { at, bytes: new } => {
                if bytes.len() < at + new.len() {
                    bytes.resize(at + new.len(), 0);
                }
                bytes[at..at + new.len()].copy_from_slice(&new);
            }
        }
    }
}

impl File {
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        let bytes = &state.inodes[self.inode].bytes;
        let from = (offset as usize).min(bytes.len());
        let length = buffer.len().min(bytes.len() - from);
        buffer[..length].copy_from_slice(&bytes[from..from + length]);
        Ok(length)
    }

    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.burn()?;
        let end = offset as usize + bytes.len();
        let grown = end.saturating_sub(state.inodes[self.inode].bytes.len());
        state.allocate(grown)?;
        let inode = &mut state.inodes[self.inode];
        if grown > 0 {
            inode.bytes.resize(end, 0);
        }
        inode.bytes[offset as usize..end].copy_from_slice(bytes);
        let mut at = offset as usize;
        while at < end {
            let next = ((at / SECTOR + 1) * SECTOR).min(end);
            let piece = inode.bytes[at..next].to_vec();
            inode.changes.push(Change::Sector { at, bytes: piece });
            at = next;
        }
        Ok(())
    }

    pub fn reserve(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.burn()?;
        let grown = (length as usize).saturating_sub(state.inodes[self.inode].bytes.len());
        state.allocate(grown)?;
        if grown > 0 {
            let inode = &mut state.inodes[self.inode];
            inode.bytes.resize(length as usize, 0);
            inode.changes.push(Change::Length(length as usize));
        }
        Ok(())
    }

    pub fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.burn()?;
        let inode = &mut state.inodes[self.inode];
        inode.bytes.resize(length as usize, 0);
        inode.changes.push(Change::Length(length as usize));
        Ok(())
    }

    pub fn length(&self) -> u64 {
        self.disk.lock().inodes[self.inode].bytes.len() as u64
    }

    pub fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.burn()?;
        if state.failing_sync {
            return Err(io::Error::other("simulated input/output error"));
        }
        let inode = &mut state.inodes[self.inode];
        inode.durable.clone_from(&inode.bytes);
        inode.changes.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_bytes_survive_and_unsynced_sectors_may_go_one_by_one() {
        let mut torn = false;
        for seed in 0..50 {
            let disk = Disk::new(seed);
            let file = disk.open("a").unwrap();
            file.write_all_at(&[1; SECTOR * 4], 0).unwrap();
            file.sync().unwrap();
            disk.sync_names().unwrap();
            file.write_all_at(&[2; SECTOR * 4], 0).unwrap();
            disk.crash();
            let bytes = disk.contents("a");
            assert_eq!(bytes.len(), SECTOR * 4);
            let sectors: Vec<u8> = bytes.chunks(SECTOR).map(|sector| sector[0]).collect();
            assert!(
                bytes
                    .chunks(SECTOR)
                    .all(|sector| sector.iter().all(|byte| *byte == sector[0]))
            );
            torn |= sectors.contains(&1) && sectors.contains(&2);
        }
        assert!(torn);
    }

    #[test]
    fn a_crash_that_was_set_stops_every_later_operation() {
        let disk = Disk::new(1);
        let file = disk.open("a").unwrap();
        disk.crash_after(1);
        file.write_all_at(b"x", 0).unwrap();
        assert!(file.write_all_at(b"y", 1).is_err());
        assert!(file.sync().is_err());
        disk.crash();
        assert!(disk.open("b").is_ok());
    }

    #[test]
    fn a_full_disk_says_so_and_has_room_again() {
        let disk = Disk::new(1);
        let file = disk.open("a").unwrap();
        disk.set_space(Some(10));
        file.write_all_at(&[0; 10], 0).unwrap();
        assert_eq!(
            file.write_all_at(&[0; 11], 0).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        file.write_all_at(&[1; 10], 0).unwrap();
        disk.set_space(None);
        file.write_all_at(&[0; 11], 0).unwrap();
    }
}
