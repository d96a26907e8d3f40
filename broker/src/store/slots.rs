//! The files that hold segments: which segment is in which, and spare ones to use again.
//!
//! Writing over blocks that were written before costs a sync half of what new blocks cost, so retired segments' files
//! are kept, a few of them.

use super::disk::{Disk, DiskFile};
use super::roll::Roll;
use super::segment::{DATA, Header, write_header};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Spare files kept; more are removed.
const SPARES: usize = 4;
/// The same while the disk is short of space.
const SPARES_WHEN_SHORT: usize = 1;
const SUFFIX: &str = ".log";

/// A file and its number, which is its name.
#[derive(Clone)]
pub(super) struct Slot {
    pub number: u32,
    pub file: Arc<dyn DiskFile>,
}

/// All slots. Shared by the threads of the store.
pub(super) struct Slots {
    disk: Arc<dyn Disk>,
    /// Length of a usual segment's file.
    length: u64,
    state: Mutex<State>,
    is_short: AtomicBool,
    roll: Roll,
}

#[derive(Default)]
struct State {
    segments: HashMap<u32, Slot>,
    spares: Vec<Slot>,
    next: u32,
}

/// The number in a slot's name.
pub(super) fn slot_number(name: &str) -> Option<u32> {
    name.strip_suffix(SUFFIX)?
        .strip_prefix("segment-")?
        .parse()
        .ok()
}

fn slot_name(number: u32) -> String {
    format!("segment-{number:06}{SUFFIX}")
}

impl Slots {
    pub fn new(disk: Arc<dyn Disk>, length: u64) -> Slots {
        Slots {
            roll: Roll::new(disk.clone()),
            disk,
            length,
            state: Mutex::default(),
            is_short: AtomicBool::new(false),
        }
    }

    /// Says which slots a start has found; answers the names of files that must be there and are not.
    pub fn call_roll(&self, files: &[Slot]) -> Vec<String> {
        let names = files.iter().map(|slot| slot_name(slot.number));
        self.roll.call(names.collect())
    }

    /// The start is over: what was missing has been told.
    pub fn write_roll(&self) {
        self.roll.write();
    }

    /// Says whether the disk is short of space.
    pub fn set_short(&self, is_short: bool) {
        self.is_short.store(is_short, Ordering::Relaxed);
    }

    fn spares_kept(&self) -> usize {
        match self.is_short.load(Ordering::Relaxed) {
            true => SPARES_WHEN_SHORT,
            false => SPARES,
        }
    }

    /// Removes the spare files that are too many.
    pub fn trim(&self) -> io::Result<()> {
        let mut removed = false;
        loop {
            let slot = {
                let mut state = self.lock();
                match state.spares.len() > self.spares_kept() {
                    true => state.spares.pop(),
                    false => None,
                }
            };
            let Some(slot) = slot else { break };
            self.remove(&slot)?;
            removed = true;
        }
        if removed {
            self.disk.sync_names()
        } else {
            Ok(())
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a slot found at start holds a segment.
    pub fn found(&self, slot: Slot, segment: u32) {
        let mut state = self.lock();
        state.next = state.next.max(slot.number + 1);
        state.segments.insert(segment, slot);
    }

    /// Says that a slot found at start is spare.
    pub fn found_spare(&self, slot: Slot) {
        let mut state = self.lock();
        state.next = state.next.max(slot.number + 1);
        state.spares.push(slot);
    }

    /// Puts a damaged slot's file out of the way, where an operator finds it.
    pub fn set_aside(&self, slot: &Slot) -> io::Result<String> {
        let mut state = self.lock();
        state.next = state.next.max(slot.number + 1);
        let aside = format!("{}.damaged", slot_name(slot.number));
        self.roll.strike(&slot_name(slot.number));
        self.disk.rename(&slot_name(slot.number), &aside)?;
        self.disk.sync_names()?;
        Ok(aside)
    }

    pub fn file(&self, segment: u32) -> Option<Arc<dyn DiskFile>> {
        self.lock()
            .segments
            .get(&segment)
            .map(|slot| slot.file.clone())
    }

    /// A file of at least this length: a spare one, else a new one. It is nobody's until `assign`.
    pub fn take(&self, length: u64) -> io::Result<Slot> {
        if length <= self.length
            && let Some(slot) = self.lock().spares.pop()
        {
            return Ok(slot);
        }
        self.create(length.max(self.length))
    }

    pub fn assign(&self, segment: u32, slot: Slot) {
        self.lock().segments.insert(segment, slot);
    }

    /// Puts a taken file back.
    pub fn put_back(&self, slot: Slot) {
        self.lock().spares.push(slot);
    }

    fn remove(&self, slot: &Slot) -> io::Result<()> {
        let name = slot_name(slot.number);
        self.roll.strike(&name);
        self.disk.remove(&name)
    }

    fn create(&self, length: u64) -> io::Result<Slot> {
        let number = {
            let mut state = self.lock();
            state.next += 1;
            state.next - 1
        };
        let name = slot_name(number);
        let file = self.disk.open(&name)?;
        let made = file
            .reserve(length)
            .and_then(|()| write_header(&*file, Header::Spare))
            .and_then(|()| file.sync())
            .and_then(|()| self.disk.sync_names());
        match made {
            Ok(()) => {
                self.roll.add(name);
                Ok(Slot { number, file })
            }
            Err(error) => {
                // A full disk must not be filled by what could not be used.
                let _ = self.disk.remove(&name);
                Err(error)
            }
        }
    }

    /// Makes sure that the next roll finds a spare file. `written` also writes it through, so that the first use is
    /// as cheap as later ones.
    pub fn prepare(&self, wanted: usize, written: bool) -> io::Result<()> {
        while self.lock().spares.len() < wanted {
            let slot = self.create(self.length)?;
            if written {
                let zeros = vec![0; 1 << 20];
                let mut at = u64::from(DATA);
                while at < self.length {
                    let length = (self.length - at).min(zeros.len() as u64) as usize;
                    slot.file.write_all_at(&zeros[..length], at)?;
                    at += length as u64;
                }
                slot.file.sync()?;
            }
            self.put_back(slot);
        }
        Ok(())
    }

    /// Gives up segments for good: durable when this returns. Their files become spare or go.
    pub fn retire(&self, segments: &[u32]) -> io::Result<()> {
        let mut removed = false;
        for segment in segments {
            let Some(slot) = self.lock().segments.get(segment).cloned() else {
                continue;
            };
            write_header(&*slot.file, Header::Spare)?;
            slot.file.sync()?;
            let usual = slot.file.length()? == self.length;
            let mut state = self.lock();
            state.segments.remove(segment);
            if usual && state.spares.len() < self.spares_kept() {
                state.spares.push(slot);
            } else {
                drop(state);
                self.remove(&slot)?;
                removed = true;
            }
        }
        if removed {
            self.disk.sync_names()
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::Directory;
    use crate::store::segment::{Role, read_header};

    fn files(disk: &Directory) -> usize {
        let names = disk.list().unwrap();
        names.iter().filter(|n| slot_number(n).is_some()).count()
    }

    #[test]
    fn a_retired_segments_file_is_used_again() {
        let temporary = tempfile::tempdir().unwrap();
        let slots = Slots::new(Arc::new(Directory::open(temporary.path()).unwrap()), 8192);
        slots.prepare(1, true).unwrap();
        let slot = slots.take(8192).unwrap();
        assert_eq!(slot.file.length().unwrap(), 8192);
        write_header(
            &*slot.file,
            Header::Segment {
                id: 5,
                role: Role::Hot,
                salt: 0,
            },
        )
        .unwrap();
        slots.assign(5, slot.clone());
        assert!(slots.file(5).is_some());
        slots.retire(&[5]).unwrap();
        assert!(slots.file(5).is_none());
        assert_eq!(read_header(&*slot.file).unwrap().0, Header::Spare);
        assert_eq!(slots.take(100).unwrap().number, slot.number);
    }

    #[test]
    fn spare_files_are_given_up_when_the_disk_is_short_of_space() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = Arc::new(Directory::open(temporary.path()).unwrap());
        let slots = Slots::new(disk.clone(), 8192);
        slots.prepare(3, false).unwrap();
        slots.trim().unwrap();
        assert_eq!(files(&disk), 3);
        slots.set_short(true);
        slots.trim().unwrap();
        assert_eq!(files(&disk), 1);
        let slot = slots.take(8192).unwrap();
        slots.assign(1, slot);
        slots.prepare(1, false).unwrap();
        slots.retire(&[1]).unwrap();
        assert_eq!(files(&disk), 1);
    }

    #[test]
    fn a_long_segments_file_goes_when_it_is_retired() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = Arc::new(Directory::open(temporary.path()).unwrap());
        let slots = Slots::new(disk.clone(), 8192);
        let slot = slots.take(100_000).unwrap();
        slots.assign(1, slot);
        slots.retire(&[1]).unwrap();
        assert_eq!(files(&disk), 0);
    }

    #[test]
    fn names_carry_the_slots_number() {
        assert_eq!(slot_number(&slot_name(12)), Some(12));
        assert_eq!(slot_number("segment-000001.log.damaged"), None);
        assert_eq!(slot_number("metadata-1.log"), None);
    }
}
