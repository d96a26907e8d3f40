//! Pid files. The lock is the file's lock, not the number in it: a dead or
//! unreaped process never blocks its successor.

use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Proof that this is the only daemon with this pid file; removed when dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: Flock<File>,
}

impl Lock {
    /// Locks the file; the lock stays with this process when it goes to the background.
    pub fn take(path: &Path) -> io::Result<Lock> {
        make_parent(path)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|e| named(path, &e))?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
            io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!(
                    "another daemon is running: it holds {}; stop it first, \
                     or give this one another `--run-dir`",
                    path.display()
                ),
            )
        })?;
        Ok(Lock {
            path: path.to_owned(),
            file,
        })
    }

    /// Writes our pid into the file.
    pub fn sign(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "{}", std::process::id()).map_err(|e| named(&self.path, &e))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes a pid into a file.
pub fn write(path: &Path, pid: u32) -> io::Result<()> {
    make_parent(path)?;
    std::fs::write(path, format!("{pid}\n")).map_err(|e| named(path, &e))
}

fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => std::fs::create_dir_all(parent).map_err(|e| named(path, &e)),
        None => Ok(()),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("the pid file {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/vip.pid");
        let first = Lock::take(&path).expect("free");
        let error = Lock::take(&path).expect_err("held");
        assert!(error.to_string().contains("another daemon is running"));
        drop(first);
        assert!(Lock::take(&path).is_ok());
    }
}
