//! The directory of one `up`: its lock, its sockets, its hosts' files.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the end waits for files that are still written.
const PATIENCE: Duration = Duration::from_secs(10);

/// A locked directory; removed when dropped. The lock goes with the process,
/// so what a crashed run left is recognised and cleared by the next.
pub struct StateDir {
    path: PathBuf,
    keep: bool,
    _lock: Flock<File>,
}

/// Where `up` keeps its files unless told otherwise.
pub fn default_path() -> PathBuf {
    let user = nix::unistd::getuid();
    std::env::temp_dir().join(format!("evenkeel-up-{user}"))
}

impl StateDir {
    /// Takes the directory; says who has it, or why not, if it cannot.
    pub fn take(path: &Path) -> Result<StateDir, String> {
        let say = |what: &str, error: &dyn std::fmt::Display| {
            format!(
                "cannot {what} {}: {error}; choose another place with --state-dir DIR",
                path.display()
            )
        };
        std::fs::create_dir_all(path).map_err(|e| say("make", &e))?;
        private(path).map_err(|e| say("use", &e))?;
        let lock_path = path.join("lock");
        if !lock_path.exists() && is_used(path) {
            let why = "it holds files that are not of an earlier run";
            return Err(say("use", &why));
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|e| say("open the lock in", &e))?;
        let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(mut file, _)| {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            let place = match path == default_path() {
                true => String::new(),
                false => format!(" --state-dir {}", path.display()),
            };
            format!(
                "another `evenkeel up` (pid {}) runs in {}; end it with `evenkeel up{place} --do quit`, \
                 or run a second one with another --state-dir DIR and other ports",
                owner.trim(),
                path.display()
            )
        })?;
        clear(path, &lock_path);
        let _ = lock.set_len(0);
        let _ = writeln!(lock, "{}", std::process::id());
        Ok(StateDir {
            path: path.to_path_buf(),
            keep: false,
            _lock: lock,
        })
    }

    /// Leaves the files in place (after a failed start, for the logs).
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // processes that are being killed may still write; the lock goes last, so that
        // whatever stays is known as left over
        let lock = self.path.join("lock");
        let end = Instant::now() + PATIENCE;
        loop {
            clear(&self.path, &lock);
            let left = std::fs::read_dir(&self.path).map_or(0, |entries| entries.count());
            if left <= 1 {
                let _ = std::fs::remove_dir_all(&self.path);
            }
            if !self.path.exists() || Instant::now() > end {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether somebody keeps something there.
fn is_used(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// The directory must be ours, and nobody else may write to it; the sockets and
/// secrets in it are closed by modes of their own (RabbitMQ runs as another user).
fn private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let meta = std::fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    if !meta.is_dir() || meta.uid() != nix::unistd::getuid().as_raw() {
        return Err("it belongs to somebody else".to_owned());
    }
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).map_err(|e| e.to_string())
}

/// Removes what an earlier run left.
fn clear(path: &Path, but: &Path) {
    let Ok(entries) = std::fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten().map(|e| e.path()).filter(|p| p != but) {
        if entry.is_dir() {
            let _ = std::fs::remove_dir_all(entry);
        } else {
            let _ = std::fs::remove_file(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_somebodys_files_is_not_cleared() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("letter"), "dear").expect("written");
        let refused = StateDir::take(dir.path()).err().expect("refused");
        assert!(refused.contains("--state-dir"), "{refused}");
        assert!(dir.path().join("letter").exists());
    }

    #[test]
    fn a_second_run_is_refused_and_a_crashed_one_cleared() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("up");
        std::fs::create_dir_all(path.join("a")).expect("made");
        std::fs::write(path.join("lock"), "1\n").expect("written");
        let first = StateDir::take(&path).unwrap_or_else(|e| panic!("{e}"));
        assert!(!path.join("a").exists(), "left-overs are cleared");
        let refused = StateDir::take(&path).err().expect("locked");
        let pid = std::process::id().to_string();
        assert!(refused.contains(&pid), "{refused}");
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn the_end_waits_for_who_still_writes() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("up");
        let state = StateDir::take(&path).unwrap_or_else(|e| panic!("{e}"));
        let (place, end) = (path.join("n1"), Instant::now() + Duration::from_millis(200));
        let writer = std::thread::spawn(move || {
            let mut number = 0;
            while Instant::now() < end {
                number += 1;
                let _ = std::fs::create_dir(&place);
                let _ = std::fs::write(place.join(number.to_string()), "x");
            }
        });
        std::thread::sleep(Duration::from_millis(50));
        drop(state);
        writer.join().expect("it writes");
        let lock_stays_or_all_is_gone = !path.exists() || StateDir::take(&path).is_ok();
        assert!(lock_stays_or_all_is_gone);
    }
}
