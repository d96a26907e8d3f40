//! `net_namespace`: the daemon and all that it starts run in a network namespace that
//! `ip netns add` made.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::path::Path;

/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

/// Takes this process, which has one thread, into a network namespace.
///
/// # Errors
/// When there is none of this name, or the right to enter it is missing.
pub fn enter(name: &str) -> io::Result<()> {
    let path = Path::new(FOLDER).join(name);
    let there = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let text = format!(
                "there is no {} (`ip netns add {name}` makes it)",
                path.display()
            );
            io::Error::new(io::ErrorKind::NotFound, text)
        }
        _ => error,
    })?;
    Ok(setns(there, CloneFlags::CLONE_NEWNET)?)
}
