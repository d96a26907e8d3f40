//! Notify fifos: a line for every event, for whoever reads. A missing or slow
//! reader loses lines and holds up nobody.

use crate::helper;
use conf::vip::model::{Command, NotifyFifo};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid};
use std::fs::{File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tracing::warn;

/// One fifo at work.
#[derive(Debug)]
struct Fifo {
    path: PathBuf,
    file: File,
    /// Its script was handed out.
    has_reader: bool,
}

impl Fifo {
    /// Whether a reader that opens the path finds this one.
    fn is_at_its_path(&self) -> bool {
        let place = |m: Metadata| (m.dev(), m.ino());
        let there = std::fs::metadata(&self.path).map(place).ok();
        there.is_some() && there == self.file.metadata().map(place).ok()
    }
}

/// The open fifos.
#[derive(Debug, Default)]
pub struct Fifos {
    open: Vec<Fifo>,
}

impl Fifos {
    /// Makes and opens all of them: while this process may still give a fifo away and open what
    /// belongs to somebody else.
    pub fn prepare(fifos: &[NotifyFifo]) -> Fifos {
        Fifos {
            open: fifos.iter().filter_map(ready).collect(),
        }
    }

    /// Opens what is new, or was deleted meanwhile, and closes what is no longer wanted; gives the scripts to start with
    /// the path that each reads.
    pub fn configure(&mut self, fifos: &[NotifyFifo]) -> Vec<(Command, String)> {
        let wanted = |open: &Fifo| fifos.iter().any(|f| f.path == open.path);
        self.open
            .retain(|open| wanted(open) && open.is_at_its_path());
        let mut readers = Vec::new();
        for fifo in fifos {
            if !self.open.iter().any(|o| o.path == fifo.path) {
                self.open.extend(ready(fifo));
            }
            let idle = |o: &&mut Fifo| o.path == fifo.path && !o.has_reader;
            if let (Some(open), Some(script)) = (self.open.iter_mut().find(idle), &fifo.script) {
                open.has_reader = true;
                readers.push((script.clone(), fifo.path.display().to_string()));
            }
        }
        readers
    }

    /// Writes a line into every fifo.
    pub fn write(&mut self, line: &str) {
        for fifo in &mut self.open {
            if let Err(error) = fifo.file.write_all(line.as_bytes()) {
                warn!(path = %fifo.path.display(), %error, "cannot write into the notify fifo: a line is lost");
            }
        }
    }
}

fn ready(fifo: &NotifyFifo) -> Option<Fifo> {
    if !fifo.path.exists() {
        make(fifo);
    }
    Some(Fifo {
        path: fifo.path.clone(),
        file: open(&fifo.path)?,
        has_reader: false,
    })
}

/// Makes a fifo that belongs to whoever reads it.
fn make(fifo: &NotifyFifo) {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let path = fifo.path.display();
    if let Err(error) = nix::unistd::mkfifo(&fifo.path, mode) {
        warn!(%path, %error, "cannot make the notify fifo");
        return;
    }
    let reader = fifo.script.as_ref().and_then(|s| s.user.as_ref());
    let Some(owner) = fifo.owner.as_ref().or(reader) else {
        return;
    };
    let given = helper::identity(&owner.user, owner.group.as_deref()).and_then(|(uid, gid)| {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        nix::unistd::chown(&fifo.path, Some(uid), Some(gid)).map_err(|e| e.to_string())
    });
    if let Err(error) = given {
        warn!(%path, user = owner.user, %error, "cannot give the notify fifo to its reader");
    }
}

/// Opens the fifo for both ends, so that a missing reader neither blocks nor breaks it.
fn open(path: &Path) -> Option<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    opened
        .inspect_err(|error| warn!(path = %path.display(), %error, "cannot open the notify fifo"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use conf::vip::model::Config;
    use std::io::Read;

    #[test]
    fn every_fifo_gets_every_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let text = format!(
            "global_defs {{\n notify_fifo {}\n vrrp_notify_fifo {}\n}}\n",
            path("a"),
            path("b")
        );
        let options = conf::vip::Options::default();
        let (config, report) = conf::vip::load_str("test.conf", &text, &options);
        let config: Config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        let mut fifos = Fifos::default();
        assert!(fifos.configure(&config.global.notify_fifos).is_empty());
        fifos.write("INSTANCE \"VI_1\" MASTER 100\n");
        assert_eq!(fifos.open.len(), 2);
        for fifo in &mut fifos.open {
            let mut read = [0; 64];
            let length = fifo.file.read(&mut read).expect("a line waits");
            assert_eq!(&read[..length], b"INSTANCE \"VI_1\" MASTER 100\n");
        }
        std::fs::remove_file(path("a")).expect("it is there");
        assert!(!fifos.open[0].is_at_its_path());
        fifos.configure(&config.global.notify_fifos);
        assert_eq!(fifos.open.len(), 2);
        assert!(fifos.open.iter().all(Fifo::is_at_its_path), "made again");
    }
}
