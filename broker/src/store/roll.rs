//! The roll of the log's files: a list beside them of all that there must be, so that one that is lost (removed by hand, or by
//! a repair of the file system) is told at the next start rather than taken for one that never was.
//!
//! The list is text, for operators: a head, a name a line, a checksum. It is written anew when a file is made, and before one
//! is removed; files come and go rarely, for settled segments' files are used again. It is a help and no part of the
//! log: where it cannot be written it is removed, and without it nothing is missed.

use super::disk::{Disk, read_exact_at};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const NAME: &str = "files.list";
const DRAFT: &str = "files.list.new";
const HEAD: &str = "evenkeel files of the log 1";
/// A longer file is not ours: a hundred thousand names, 3 TiB of segments.
const LONGEST: u64 = 2 << 20;

pub(super) struct Roll {
    disk: Arc<dyn Disk>,
    names: Mutex<BTreeSet<String>>,
}

impl Roll {
    pub fn new(disk: Arc<dyn Disk>) -> Roll {
        let names = Mutex::default();
        Roll { disk, names }
    }

    /// Takes the files that are there for the roll; answers those that the list has and that are not there.
    pub fn call(&self, there: BTreeSet<String>) -> Vec<String> {
        let listed = self.read().ok().flatten().unwrap_or_default();
        let missing = listed.difference(&there).cloned().collect();
        *self.lock() = there;
        missing
    }

    /// Writes the list as it is now.
    pub fn write(&self) {
        self.write_or_drop(&self.lock());
    }

    /// A file has been made.
    pub fn add(&self, name: String) {
        let mut names = self.lock();
        if names.insert(name) {
            self.write_or_drop(&names);
        }
    }

    /// A file is about to go.
    pub fn strike(&self, name: &str) {
        let mut names = self.lock();
        if names.remove(name) {
            self.write_or_drop(&names);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An old list would miss what went since.
    fn write_or_drop(&self, names: &BTreeSet<String>) {
        if self.replace(names).is_err() {
            let _ = self.disk.remove(DRAFT);
            let _ = self.disk.remove(NAME);
            let _ = self.disk.sync_names();
        }
    }

    fn replace(&self, names: &BTreeSet<String>) -> io::Result<()> {
        let text = text_of(names);
        let file = self.disk.open(DRAFT)?;
        file.truncate(0)?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync()?;
        self.disk.rename(DRAFT, NAME)?;
        self.disk.sync_names()
    }

    /// Nothing when there is no list, or none that can be believed.
    fn read(&self) -> io::Result<Option<BTreeSet<String>>> {
        if !self.disk.list()?.iter().any(|name| name == NAME) {
            return Ok(None);
        }
        let file = self.disk.open(NAME)?;
        let length = file.length()?;
        if length > LONGEST {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        read_exact_at(&*file, &mut bytes, 0)?;
        Ok(std::str::from_utf8(&bytes).ok().and_then(names_of))
    }
}

fn text_of(names: &BTreeSet<String>) -> String {
    let mut text = format!("{HEAD}\n");
    for name in names {
        text.push_str(name);
        text.push('\n');
    }
    let sum = crc32c::crc32c(text.as_bytes());
    text.push_str(&format!("{sum:08x}\n"));
    text
}

fn names_of(text: &str) -> Option<BTreeSet<String>> {
    let lines = text.strip_prefix(HEAD)?.strip_prefix('\n')?.lines();
    let mut names: BTreeSet<String> = lines.map(str::to_owned).collect();
    let sum = text.lines().next_back()?;
    names.remove(sum);
    (text_of(&names) == text).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::Directory;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_is_listed_and_not_there_is_missing_once() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = Arc::new(Directory::open(temporary.path()).unwrap());
        let roll = Roll::new(disk.clone());
        assert!(roll.call(names(&["a", "b"])).is_empty());
        roll.write();
        roll.add("c".to_owned());
        roll.strike("a");
        let next = Roll::new(disk.clone());
        assert_eq!(next.call(names(&["c", "d"])), ["b"]);
        next.write();
        assert!(Roll::new(disk).call(names(&["c", "d"])).is_empty());
    }

    #[test]
    fn a_list_that_was_changed_is_not_believed() {
        let text = text_of(&names(&["segment-000001.log", "segment-000002.log"]));
        assert_eq!(names_of(&text).map(|names| names.len()), Some(2));
        assert_eq!(names_of(&text_of(&names(&[]))), Some(names(&[])));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(names_of(&String::from_utf8(bytes).unwrap()), None, "{at}");
            assert_eq!(names_of(&text[..at]), None, "{at}");
        }
    }
}
