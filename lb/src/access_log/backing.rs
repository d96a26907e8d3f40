//! A ring's file (`backing-file`): the latest lines as text, for a look after
//! the process is gone.
//!
//! Bounded by the ring's size: a file that is full goes on with the newest half
//! of the ring. Written by a thread of the ring and never waited for.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file.
pub struct Backing {
    /// Where it was created.
    pub path: PathBuf,
    /// Number of the ring's line that comes next.
    pub place: u64,
    file: File,
    size: u64,
    written: u64,
}

impl Backing {
    /// Creates the file for `size` bytes, mode 0600. What a process before
    /// left there is kept beside it as `.bak`, in place of an older one.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path, size: u64) -> io::Result<Backing> {
        if std::fs::metadata(path).is_ok_and(|about| about.len() > 0) {
            let mut kept = path.as_os_str().to_owned();
            kept.push(".bak");
            // without the right to rename, the operator wants no second file
            let _ = std::fs::rename(path, kept);
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Backing {
            path: path.to_owned(),
            place: 0,
            file: options.open(path)?,
            size,
            written: 0,
        })
    }

    /// Writes lines that follow those written before. `newest` gives the ring's
    /// newest lines, these included, up to a number of bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&mut self, lines: &[Arc<str>], newest: impl Fn(u64) -> String) -> io::Result<()> {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        if self.written + text.len() as u64 <= self.size {
            self.file.write_all_at(text.as_bytes(), self.written)?;
            self.written += text.len() as u64;
            return Ok(());
        }
        let mut text = newest(self.size / 2);
        if text.is_empty() {
            // a line of more than half of the file
            text = newest(self.size);
        }
        // written first and cut then: at no time is the file empty
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.written = text.len() as u64;
        self.file.set_len(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_file_is_bounded_private_and_what_was_there_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        for round in ["first", "second", "third"] {
            let mut backing = Backing::create(&path, 10).unwrap();
            backing
                .keep(&[round.into()], |_| unreachable!("it fits"))
                .unwrap();
        }
        assert_eq!(
            (read("ring"), read("ring.bak")),
            ("third\n".into(), "second\n".into())
        );
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let mut backing = Backing::create(&path, 10).unwrap();
        for _ in 0..2 {
            backing.keep(&["abcd".into()], |_| unreachable!()).unwrap();
        }
        let half = |bytes| {
            assert_eq!(bytes, 5);
            "efg\n".to_owned()
        };
        backing.keep(&["efg".into()], half).unwrap();
        assert_eq!(read("ring"), "efg\n");
    }
}
