//! The few things that the store asks of a disk, and the real one. The simulated twin, which loses and tears what was
//! not synced, is in the test kit.

use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// Pieces that one system call takes (IOV_MAX).
const MOST_PIECES: usize = 1024;

/// A directory of files.
pub trait Disk: Send + Sync {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file, or makes an empty one.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file; durable after `sync_names`.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Gives a file a new name, replacing what had it; durable after `sync_names`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes names created, removed and changed so far durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// One file, read and written at positions.
pub trait DiskFile: Send + Sync {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Reads only what needs no wait for the disk; `WouldBlock` when that is nothing.
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Says that this will be read soon.
    fn will_read(&self, offset: u64, length: u64);
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Writes pieces one behind the other.
    fn write_pieces_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut at = offset;
        for piece in pieces {
            self.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
    /// Reserves room up to this length, so that later writes neither fail for want of space nor change the size.
    fn reserve(&self, length: u64) -> io::Result<()>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    fn length(&self) -> io::Result<u64>;
    /// Returns when everything written to this file is durable.
    fn sync(&self) -> io::Result<()>;
}

/// Reads exactly `buffer.len()` bytes; a shorter file is an error.
pub(super) fn read_exact_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(())
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    /// Opens a directory and makes it when it is not there.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Directory> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        let handle = File::open(&path)?;
        Ok(Directory { path, handle })
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        Ok(Arc::new(RealFile(options.open(self.path.join(name))?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        let mut buffers = [io::IoSliceMut::new(buffer)];
        match preadv2(&self.0, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
            // Not every file system can say; then somebody else waits.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            result => Ok(result?),
        }
    }

    fn will_read(&self, offset: u64, length: u64) {
        let (offset, length) = (offset as i64, length as i64);
        // advice only
        let _ = posix_fadvise(
            &self.0,
            offset,
            length,
            PosixFadviseAdvice::POSIX_FADV_WILLNEED,
        );
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn write_pieces_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        use rustix::io::{Errno, pwritev};
        let (mut left, mut offset) = (pieces, offset);
        // gives away empty pieces: nothing to be written is not a disk that takes nothing
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let most = left.len().min(MOST_PIECES);
            match pwritev(&self.0, &left[..most], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        use nix::errno::Errno;
        let wanted = i64::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        match fallocate(&self.0, FallocateFlags::empty(), 0, wanted) {
            Ok(()) => Ok(()),
            // Not every file system can; then a full disk shows when writing.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => match self.0.metadata()?.len() < length {
                true => self.0.set_len(length),
                false => Ok(()),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_pieces_are_written_one_behind_the_other() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = Directory::open(temporary.path()).unwrap();
        let file = disk.open("pieces").unwrap();
        let texts: Vec<String> = (0..3 * MOST_PIECES)
            .map(|n| "x".repeat(n % 3) + ".")
            .collect();
        let mut pieces: Vec<IoSlice<'_>> = vec![IoSlice::new(b"")];
        pieces.extend(texts.iter().map(|text| IoSlice::new(text.as_bytes())));
        pieces.push(IoSlice::new(b""));
        file.write_pieces_at(&mut pieces, 7).unwrap();
        let expected = texts.concat();
        assert_eq!(file.length().unwrap(), 7 + expected.len() as u64);
        let mut found = vec![0; expected.len()];
        read_exact_at(&*file, &mut found, 7).unwrap();
        assert_eq!(found, expected.as_bytes());
        file.write_pieces_at(&mut [], 0).unwrap();
        file.write_pieces_at(&mut [IoSlice::new(b"")], 0).unwrap();
    }

    #[test]
    fn a_directory_keeps_reads_renames_and_removes_files() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = Directory::open(temporary.path().join("log")).unwrap();
        let file = disk.open("one").unwrap();
        file.reserve(4096).unwrap();
        file.write_all_at(b"hello", 10).unwrap();
        file.sync().unwrap();
        disk.rename("one", "two").unwrap();
        disk.sync_names().unwrap();
        assert_eq!(disk.list().unwrap(), ["two"]);
        let file = disk.open("two").unwrap();
        assert_eq!(file.length().unwrap(), 4096);
        let mut buffer = [0; 5];
        read_exact_at(&*file, &mut buffer, 10).unwrap();
        assert_eq!(&buffer, b"hello");
        assert!(read_exact_at(&*file, &mut buffer, 4093).is_err());
        file.truncate(3).unwrap();
        assert_eq!(file.length().unwrap(), 3);
        disk.remove("two").unwrap();
        assert!(disk.list().unwrap().is_empty());
    }
}
