//! Small batches that somebody waits for, written past the system's page cache: one system call writes them and returns
//! when they are durable. It costs about two thirds of a write and a sync.
//!
//! Such writes are whole blocks, so the block in which the log ends is kept here and written again with what follows.
//! A disk that writes sectors whole leaves what was in it before as it was.

use super::disk::DiskFile;
use std::io;
use std::sync::Arc;

/// Places, lengths and memory of straight writes are multiples of this.
const BLOCK: usize = 4096;
/// Larger batches are left to the page cache, from which they can be read again soon.
pub(super) const LARGEST: usize = 128 << 10;

/// The straight way into one segment.
pub(super) struct Straight {
    file: Arc<dyn DiskFile>,
    /// What is in the block in which the log ends, up to the end.
    last: Vec<u8>,
    /// Where that block begins.
    at: u64,
    /// Length of the file, which must not grow.
    length: u64,
    buffer: Vec<u8>,
}

impl Straight {
    /// For a file in which the log begins at `at`, the beginning of a block; nothing where there is no such way.
    pub fn new(file: &dyn DiskFile, at: u32) -> Option<Straight> {
        debug_assert!((at as usize).is_multiple_of(BLOCK));
        Some(Straight {
            file: file.straight()?,
            last: Vec::new(),
            at: u64::from(at),
            length: file.length().ok()?,
            buffer: Vec::new(),
        })
    }

    /// Notes what was written behind the end in the usual way.
    pub fn note(&mut self, bytes: &[u8]) {
        let end = self.last.len() + bytes.len();
        let whole = end - end % BLOCK;
        if whole > 0 {
            self.at += whole as u64;
            let kept = bytes.len() - (end - whole);
            self.last.clear();
            self.last.extend_from_slice(&bytes[kept..]);
        } else {
            self.last.extend_from_slice(bytes);
        }
    }

    /// Writes behind the end what is durable then. False when it does not fit.
    pub fn write(&mut self, pieces: &[&[u8]]) -> io::Result<bool> {
        let new: usize = pieces.iter().map(|piece| piece.len()).sum();
        let length = (self.last.len() + new).next_multiple_of(BLOCK);
        if self.at + length as u64 > self.length {
            return Ok(false);
        }
        if self.buffer.len() < length + BLOCK {
            self.buffer = vec![0; length + BLOCK];
        }
        let skip = self.buffer.as_ptr().align_offset(BLOCK);
        let block = self.buffer.get_mut(skip..skip + length);
        let block = block.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut end = 0;
        for piece in std::iter::once(&self.last[..]).chain(pieces.iter().copied()) {
            block[end..end + piece.len()].copy_from_slice(piece);
            end += piece.len();
        }
        block[end..].fill(0);
        self.file.write_all_at(block, self.at)?;
        pieces.iter().for_each(|piece| self.note(piece));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::{Directory, Disk, read_exact_at};

    #[test]
    fn what_is_written_either_way_stands_in_a_row() {
        // not every file system below a temporary directory has the straight way
        let here = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let disk = Directory::open(here.path()).unwrap();
        let file = disk.open("a").unwrap();
        file.reserve(1 << 20).unwrap();
        let Some(mut straight) = Straight::new(&*file, 4096) else {
            return;
        };
        let mut expected = Vec::new();
        for (step, length) in [1, 100, 4000, 5000, 8192, 3, 20_000, 4096, 7]
            .into_iter()
            .enumerate()
        {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 7 + step) as u8).collect();
            if step % 3 == 2 {
                file.write_all_at(&bytes, 4096 + expected.len() as u64)
                    .unwrap();
                straight.note(&bytes);
            } else {
                let (front, back) = bytes.split_at(length / 3);
                assert!(straight.write(&[front, back]).unwrap());
            }
            expected.extend(bytes);
            let mut found = vec![0; expected.len()];
            read_exact_at(&*file, &mut found, 4096).unwrap();
            assert!(found == expected, "after step {step}");
        }
        assert_eq!(file.length().unwrap(), 1 << 20);
        assert!(
            !straight.write(&[&vec![0; 1 << 20]]).unwrap(),
            "the file does not grow"
        );
    }
}
