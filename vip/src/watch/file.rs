//! `vrrp_track_file`: the number in a file, read whenever the file changes. Its folder may go and
//! come again, as that of a service in /run does.

use crate::core::track::Level;
use conf::vip::model::TrackedFile;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::warn;

/// Longest content that is looked at.
const LONGEST: u64 = 128;

/// Between two looks for a folder that is not there.
const AGAIN: Duration = Duration::from_secs(1);

/// The folders of the tracked files, and whether something happens in them.
pub struct Folders {
    inotify: Inotify,
    paths: Vec<PathBuf>,
    /// One of them is not there: when to look again.
    again: Option<Instant>,
}

impl Folders {
    /// Watches these folders; those that are not there, from when they are.
    pub fn watch<'p>(paths: impl Iterator<Item = &'p Path>) -> io::Result<Folders> {
        let mut folders = Folders {
            inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?,
            paths: paths.map(Path::to_owned).collect(),
            again: None,
        };
        folders.paths.sort();
        folders.paths.dedup();
        for (folder, error) in folders.add(Instant::now()) {
            warn!(folder = %folder.display(), %error, "cannot watch the folder of a tracked file");
        }
        Ok(folders)
    }

    /// Adds what is not watched yet; gives what cannot be.
    fn add(&mut self, now: Instant) -> Vec<(&Path, nix::Error)> {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE_SELF;
        let watch = |folder: &PathBuf| self.inotify.add_watch(folder, flags).err();
        let each = self
            .paths
            .iter()
            .map(|folder| (folder.as_path(), watch(folder)));
        let failed: Vec<_> = each.filter_map(|(f, error)| Some((f, error?))).collect();
        self.again = (!failed.is_empty()).then(|| now + AGAIN);
        failed
    }

    /// Whether files may have changed.
    pub fn changed(&mut self, now: Instant) -> bool {
        let Ok(events) = self.inotify.read_events() else {
            return false;
        };
        let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF;
        if events.iter().any(|e| e.mask.intersects(gone)) {
            self.add(now);
        }
        true
    }

    /// Looks for a folder that was not there. Then files may have changed, and this is when to
    /// look next.
    pub fn tick(&mut self, now: Instant) -> Option<Instant> {
        let due = self.again?;
        if now >= due {
            self.add(now);
        }
        Some(self.again.unwrap_or(due))
    }
}

impl AsFd for Folders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Writes the initial value, if the configuration asks for it.
pub fn prepare(file: &TrackedFile) {
    let Some((value, overwrite)) = file.init else {
        return;
    };
    if (overwrite || !file.path.exists())
        && let Err(error) = fs::write(&file.path, format!("{value}\n"))
    {
        warn!(path = %file.path.display(), %error, "cannot write the initial value of a tracked file");
    }
}

/// The level that the file says now. A missing file counts as 0, as in keepalived.
pub fn level(path: &Path) -> Level {
    match read(path) {
        Ok(text) => match text.trim().parse::<i64>() {
            Ok(value) => Level::Value(value),
            Err(_) if text.trim().is_empty() => Level::Value(0),
            Err(_) => {
                warn!(path = %path.display(), "a tracked file holds no number: it counts as 0");
                Level::Value(0)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Level::Value(0),
        Err(error) => {
            warn!(path = %path.display(), %error, "cannot read a tracked file: it counts as 0");
            Level::Value(0)
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_goes_and_comes_again_is_watched_again() {
        let above = tempfile::tempdir().expect("a folder");
        let folder = above.path().join("service");
        fs::create_dir(&folder).expect("writable");
        let mut folders = Folders::watch([folder.as_path()].into_iter()).expect("inotify");
        let now = Instant::now();
        assert!(!folders.changed(now) && folders.tick(now).is_none());
        fs::remove_dir(&folder).expect("empty");
        assert!(folders.changed(now));
        assert_eq!(folders.tick(now), Some(now + AGAIN));
        fs::create_dir(&folder).expect("writable");
        let later = now + AGAIN;
        assert!(
            folders.tick(later).is_some(),
            "read once more: it may hold a number"
        );
        assert!(folders.tick(later).is_none());
        fs::write(folder.join("health"), "-20").expect("writable");
        assert!(folders.changed(later));
        // renamed away, and a new one made in its place
        fs::rename(&folder, above.path().join("old")).expect("writable");
        fs::create_dir(&folder).expect("writable");
        assert!(folders.changed(later));
        fs::write(folder.join("health"), "-10").expect("writable");
        assert!(folders.changed(later));
    }

    #[test]
    fn a_file_says_its_number_and_a_missing_one_zero() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("health");
        assert_eq!(level(&path), Level::Value(0));
        for (text, value) in [("-20\n", -20), ("", 0), ("junk", 0), (" 7 ", 7)] {
            fs::write(&path, text).expect("writable");
            assert_eq!(level(&path), Level::Value(value), "{text:?}");
        }
    }
}
