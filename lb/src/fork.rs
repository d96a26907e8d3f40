//! Becoming two processes, for `daemon` and the master.
//!
//! Only while the process has a single thread: the child goes on as a normal
//! program.
#![allow(unsafe_code)]

use nix::unistd::{ForkResult, Pid, fork};
use std::io;

/// Which of the two processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that was there before; knows the other.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Forks.
///
/// # Errors
/// There is more than one thread, or the system refuses.
pub fn split() -> io::Result<Side> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count());
    if threads > 1 {
        return Err(io::Error::other("cannot fork: threads are running already"));
    }
    // SAFETY: there is no other thread that could hold a lock, so the child
    // may do everything that this process may.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Ok(Side::Parent(child)),
        Ok(ForkResult::Child) => Ok(Side::Child),
        Err(error) => Err(error.into()),
    }
}
