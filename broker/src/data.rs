//! The data directory: opened at start, and the engine's state put back.
//!
//! ```text
//! DIR/lock            held by the running node
//! DIR/log/            metadata log and message log, see the store
//! ```

use crate::core::Core;
use crate::core::journal::QueueKey;
use crate::core::metadata::Command;
use crate::core::settings::Settings;
use crate::handle::Wake;
use crate::store::{Damage, Directory, Monitor, OpenError, Options, Recovered, Store, Threads};
use nix::fcntl::{Flock, FlockArg};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// An open data directory: held until the node has stopped.
pub struct DataDir {
    pub path: PathBuf,
    threads: Threads,
    pub monitor: Monitor,
    _lock: Flock<File>,
}

/// Why a data directory cannot be used.
#[derive(Debug)]
pub enum DataError {
    /// Another node runs on it.
    InUse(PathBuf),
    Io(PathBuf, io::Error),
    Store(PathBuf, OpenError),
    /// A command in the metadata log is not understood.
    Metadata(PathBuf, String),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataError::InUse(path) => {
                write!(f, "{}: another node is running on it", path.display())
            }
            DataError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            DataError::Store(path, error) => write!(f, "{}: {error}", path.display()),
            DataError::Metadata(path, why) => {
                write!(f, "{}: the metadata log: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for DataError {}

/// What was there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// There was no node in the directory before.
    pub is_new: bool,
    pub messages: usize,
}

/// Opens a data directory and puts back what it has. `wake` is called when something became durable.
///
/// A new node is empty, without any vhost or user.
pub fn open(
    path: &Path,
    settings: Settings,
    seed: [u8; 32],
    wake: Wake,
) -> Result<(Core, DataDir, Found), DataError> {
    let io = |error| DataError::Io(path.to_owned(), error);
    std::fs::create_dir_all(path).map_err(io)?;
    let lock = lock(path)?;
    let disk = Directory::open(path.join("log")).map_err(io)?;
    let wake = Box::new(move || wake());
    let (store, threads, mut recovered) =
        Store::open_for_engine(Arc::new(disk), Options::default(), wake)
            .map_err(|error| DataError::Store(path.to_owned(), error))?;
    let monitor = store.monitor();
    let mut core = Core::new(settings, Box::new(store), seed);
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    core.clock.wall_ms = wall.as_millis() as u64;
    for bytes in &recovered.commands {
        let command: Command = serde_json::from_slice(bytes)
            .map_err(|error| DataError::Metadata(path.to_owned(), error.to_string()))?;
        core.replay(&command);
    }
    report(&core, &recovered);
    let messages = std::mem::take(&mut recovered.messages);
    let found = Found {
        is_new: recovered.commands.is_empty(),
        messages: core.restore(messages, &recovered.last_seqs),
    };
    core.journal.flush();
    let data = DataDir {
        path: path.to_owned(),
        threads,
        monitor,
        _lock: lock,
    };
    Ok((core, data, found))
}

fn lock(path: &Path) -> Result<Flock<File>, DataError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join("lock"))
        .map_err(|error| DataError::Io(path.to_owned(), error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| DataError::InUse(path.to_owned()))
}

/// Damage is told queue by queue: what is lost is lost, but never in silence.
fn report(core: &Core, recovered: &Recovered) {
    let names: HashMap<QueueKey, String> = core
        .queues()
        .map(|queue| {
            (
                queue.key,
                format!("'{}' in vhost '{}'", queue.name, queue.vhost),
            )
        })
        .collect();
    let mut lost: BTreeMap<String, u32> = BTreeMap::new();
    for Damage {
        segment,
        offset,
        queue,
        messages,
    } in &recovered.damage
    {
        match queue {
            Some(key) => {
                let name = names
                    .get(key)
                    .cloned()
                    .unwrap_or_else(|| "a deleted queue".to_owned());
                *lost.entry(name).or_default() += messages;
            }
            None => tracing::error!(segment, offset, "the message log is damaged"),
        }
    }
    for (queue, messages) in lost {
        tracing::error!(queue, messages, "durable messages cannot be read any more");
    }
    for file in &recovered.aside {
        tracing::error!(
            file,
            "a file of the message log cannot be read and was put aside; its messages are missing"
        );
    }
    for file in &recovered.missing {
        tracing::error!(
            file,
            "a file of the message log is gone, and with it the messages that it may have held"
        );
    }
}

impl DataDir {
    /// Writes and syncs everything that the engine left in its journal; the directory is free afterwards.
    pub fn close(self, mut core: Core) {
        core.journal.close();
        self.threads.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::vhost::{QueueSpec, VhostSpec};

    fn wake() -> Wake {
        Arc::new(|| {})
    }

    #[test]
    fn a_directory_serves_one_node_at_a_time_and_keeps_what_was_declared() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        let (mut core, data, found) = open(path, Settings::default(), [0; 32], wake()).unwrap();
        assert_eq!(
            found,
            Found {
                is_new: true,
                messages: 0
            }
        );
        assert!(matches!(
            open(path, Settings::default(), [0; 32], wake()),
            Err(DataError::InUse(_))
        ));
        core.execute(Command::PutVhost(VhostSpec {
            name: "/".to_owned(),
            ..VhostSpec::default()
        }));
        let key = core.metadata.new_key();
        let queue = QueueSpec {
            name: "kept".to_owned(),
            durable: true,
            auto_delete: false,
            owner: None,
            arguments: Default::default(),
            key,
        };
        core.execute(Command::DeclareQueue {
            vhost: "/".to_owned(),
            queue,
        });
        data.close(core);
        let (core, data, found) = open(path, Settings::default(), [0; 32], wake()).unwrap();
        assert!(!found.is_new && core.find_queue("/", "kept").is_some());
        data.close(core);
    }
}
