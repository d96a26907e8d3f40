//! The metadata on disk: a log of commands in a file of its own, replaced by a shorter one when it has grown.
//!
//! ```text
//! 0   magic "EVKL-META" | version u16 | salt u32 | crc u32, in the first 64 bytes
//! 64  Command and Mark records
//! ```
//!
//! A rewrite writes the next file (`metadata-2.log` after `metadata-1.log`) under another name, syncs and renames it;
//! then the old one goes.

use super::disk::{Disk, DiskFile, read_exact_at};
use super::record::{self, Kind, MAX_LENGTH, Record, u32_at};
use std::io;
use std::sync::Arc;

const DATA: u64 = 64;
const MAGIC: &[u8; 9] = b"EVKL-META";
const VERSION: u16 = 1;

/// It is shortened when it has grown by this much and as much again as the last time.
const GROWTH: u64 = 4 << 20;

/// Makes fewer commands with the same outcome.
pub type Squash = fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>;

pub(super) struct MetadataLog {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    number: u64,
    seed: u32,
    end: u64,
    durable: u64,
    marked: u64,
    squash: Squash,
    /// Length from which it is shortened.
    long: u64,
}

/// Why a metadata log cannot be used.
#[derive(Debug)]
pub(super) enum MetadataError {
    Io(io::Error),
    Newer(u16),
    /// Durable commands cannot be read: the offset in the file of that name.
    Damaged(String, u64),
}

impl From<io::Error> for MetadataError {
    fn from(error: io::Error) -> MetadataError {
        MetadataError::Io(error)
    }
}

fn name(number: u64) -> String {
    format!("metadata-{number}.log")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("metadata-")?
        .strip_suffix(".log")?
        .parse()
        .ok()
}

impl MetadataLog {
    /// Opens the newest log, or a new one; gives its commands.
    pub fn open(
        disk: Arc<dyn Disk>,
        salt: u32,
        squash: Squash,
    ) -> Result<(MetadataLog, Vec<Vec<u8>>), MetadataError> {
        let mut numbers: Vec<u64> = disk
            .list()?
            .iter()
            .filter_map(|name| number_of(name))
            .collect();
        numbers.sort_unstable();
        let Some(number) = numbers.pop() else {
            let file = disk.open("metadata.new")?;
            let mut log = MetadataLog {
                disk,
                file,
                number: 0,
                seed: salt,
                end: 0,
                durable: 0,
                marked: 0,
                squash,
                long: 0,
            };
            log.rewrite(&[])?;
            return Ok((log, Vec::new()));
        };
        let file = disk.open(&name(number))?;
        let seed = read_head(&*file, &name(number))?;
        let mut bytes = vec![0; file.length()? as usize];
        read_exact_at(&*file, &mut bytes, 0)?;
        let (commands, end) =
            scan(&bytes, seed).map_err(|at| MetadataError::Damaged(name(number), at))?;
        // What is torn must not lie behind what comes next.
        file.truncate(end)?;
        file.sync()?;
        for old in numbers {
            disk.remove(&name(old))?;
        }
        let mut log = MetadataLog {
            disk,
            file,
            number,
            seed,
            end,
            durable: end,
            marked: end,
            squash,
            long: GROWTH,
        };
        log.shorten()?;
        Ok((log, commands))
    }

    /// The checksum seed, which is also the salt of this node's segments.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// Appends one command. Not durable before `sync`.
    pub fn append(&mut self, command: &[u8]) -> io::Result<()> {
        if command.len() + record::HEAD > MAX_LENGTH {
            return Err(io::Error::other("a metadata command is too long"));
        }
        let mut bytes =
            Vec::with_capacity(record::padded(record::HEAD + command.len()) + record::MARK_LENGTH);
        if self.durable > self.marked {
            record::put_mark(&mut bytes, self.seed, self.durable as u32);
        }
        record::put_command(&mut bytes, self.seed, command);
        self.file.write_all_at(&bytes, self.end)?;
        self.marked = self.durable;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.durable < self.end {
            self.file.sync()?;
            self.durable = self.end;
        }
        Ok(())
    }

    /// Replaces the log by one with fewer commands, when it has grown long.
    pub fn shorten(&mut self) -> io::Result<()> {
        if self.end < self.long {
            return Ok(());
        }
        let mut bytes = vec![0; self.end as usize];
        read_exact_at(&*self.file, &mut bytes, 0)?;
        let (commands, _) = scan(&bytes, self.seed).map_err(|at| {
            io::Error::other(format!("{} is damaged at byte {at}", name(self.number)))
        })?;
        self.rewrite(&(self.squash)(commands))
    }

    /// Replaces the log by these commands; durable when this returns.
    pub fn rewrite(&mut self, commands: &[Vec<u8>]) -> io::Result<()> {
        let temporary = "metadata.new";
        let mut bytes = head(self.seed);
        for command in commands {
            record::put_command(&mut bytes, self.seed, command);
        }
        // Commands of a rewrite are durable before the file has its name.
        let end = bytes.len() as u64;
        record::put_mark(&mut bytes, self.seed, end as u32);
        let file = self.disk.open(temporary)?;
        file.truncate(0)?;
        file.write_all_at(&bytes, 0)?;
        file.sync()?;
        self.disk.rename(temporary, &name(self.number + 1))?;
        self.disk.sync_names()?;
        if self.number > 0 {
            self.disk.remove(&name(self.number))?;
        }
        self.number += 1;
        self.file = file;
        self.end = bytes.len() as u64;
        (self.durable, self.marked) = (self.end, self.end);
        self.long = self.end * 2 + GROWTH;
        Ok(())
    }
}

fn head(seed: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.push(0);
    bytes.extend(seed.to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes.resize(DATA as usize, 0);
    bytes
}

fn read_head(file: &dyn DiskFile, name: &str) -> Result<u32, MetadataError> {
    let mut bytes = [0; DATA as usize];
    if file.length()? < DATA {
        return Err(MetadataError::Damaged(name.to_owned(), 0));
    }
    read_exact_at(file, &mut bytes, 0)?;
    let version = u16::from_le_bytes([bytes[9], bytes[10]]);
    if &bytes[..9] == MAGIC && version > VERSION {
        return Err(MetadataError::Newer(version));
    }
    if &bytes[..9] != MAGIC || crc32c::crc32c(&bytes[..16]) != u32_at(&bytes, 16) {
        return Err(MetadataError::Damaged(name.to_owned(), 0));
    }
    Ok(u32_at(&bytes, 12))
}

/// The sound commands and where they end; where damage is when a mark behind it says that it was durable.
fn scan(bytes: &[u8], seed: u32) -> Result<(Vec<Vec<u8>>, u64), u64> {
    let mut commands = Vec::new();
    let mut at = DATA as usize;
    while at < bytes.len() {
        match Record::read(&bytes[at..], seed) {
            Ok(record) => {
                if record.kind == Kind::Command {
                    commands.push(record.command().to_vec());
                }
                at = (at + record::padded(record.length)).min(bytes.len());
            }
            Err(_)
                if record::highest_mark(bytes, at, seed)
                    .is_some_and(|durable| durable as usize > at) =>
            {
                return Err(at as u64);
            }
            Err(_) => break,
        }
    }
    Ok((commands, at as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::Directory;

    fn commands(disk: &Arc<Directory>) -> Vec<Vec<u8>> {
        MetadataLog::open(disk.clone(), 1, |commands| commands)
            .unwrap()
            .1
    }

    #[test]
    fn commands_come_back_in_order_also_after_a_rewrite() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = Arc::new(Directory::open(temporary.path()).unwrap());
        let (mut log, none) = MetadataLog::open(disk.clone(), 1, |commands| commands).unwrap();
        assert!(none.is_empty());
        log.append(b"one").unwrap();
        log.sync().unwrap();
        log.append(b"two").unwrap();
        assert_eq!(commands(&disk), [b"one".to_vec(), b"two".to_vec()]);
        log.rewrite(&[b"both".to_vec()]).unwrap();
        log.append(b"three").unwrap();
        assert_eq!(commands(&disk), [b"both".to_vec(), b"three".to_vec()]);
        assert_eq!(disk.list().unwrap(), ["metadata-2.log"]);
    }

    #[test]
    fn a_torn_end_is_cut_and_damage_before_the_durable_end_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = Arc::new(Directory::open(temporary.path()).unwrap());
        let (mut log, _) = MetadataLog::open(disk.clone(), 1, |commands| commands).unwrap();
        log.append(b"first").unwrap();
        let torn = log.end;
        log.append(b"second").unwrap();
        log.file.write_all_at(b"?", torn + 17).unwrap();
        assert_eq!(commands(&disk), [b"first".to_vec()]);

        let (mut log, _) = MetadataLog::open(disk.clone(), 1, |commands| commands).unwrap();
        let damaged = log.end;
        log.append(b"confirmed").unwrap();
        log.sync().unwrap();
        log.append(b"later").unwrap();
        log.file.write_all_at(b"?", damaged + 17).unwrap();
        assert!(
            matches!(MetadataLog::open(disk, 1, |commands| commands), Err(MetadataError::Damaged(_, at)) if at == damaged)
        );
    }
}
