//! Pipes for moving bulk data between sockets inside the kernel.
//!
//! Each data thread keeps a few empty pipes for the next bulk transfer. Not
//! here: when splicing pays, see `relay`.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Wanted size of a pipe; without privileges the system may give less.
const SIZE: usize = 1 << 20;
/// Pipes kept for later by a thread.
const SPARE: usize = 16;

/// Bytes that went out through pipes of all threads. One addition a call, which moves many
/// kilobytes, costs nothing beside it.
static SENT: AtomicU64 = AtomicU64::new(0);

/// Bytes that this process sent through pipes since its start.
pub fn sent() -> u64 {
    SENT.load(Relaxed)
}

/// A pipe with what is in it.
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// What fits.
    pub size: usize,
    /// Bytes that it holds.
    pub filled: usize,
}

/// Spare pipes of one thread.
pub struct Pool {
    // Boxed because flows hold them so: a flow without a pipe stays small.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Pipe>>,
    size: usize,
    in_use: usize,
    limit: usize,
}

impl Pool {
    /// A pool that lends at most `limit` pipes of `size` bytes (0: the default).
    pub fn new(limit: usize, size: usize) -> Pool {
        Pool {
            spare: Vec::new(),
            size: if size == 0 { SIZE } else { size },
            in_use: 0,
            limit,
        }
    }

    /// Lends an empty pipe, if the limits allow one.
    pub fn lend(&mut self) -> Option<Box<Pipe>> {
        if self.in_use >= self.limit {
            return None;
        }
        let pipe = match self.spare.pop() {
            Some(pipe) => pipe,
            None => Box::new(Pipe::open(self.size).ok()?),
        };
        self.in_use += 1;
        Some(pipe)
    }

    /// Takes a pipe back; one that still holds data is closed.
    pub fn give_back(&mut self, pipe: Box<Pipe>) {
        self.in_use -= 1;
        if pipe.filled == 0 && self.spare.len() < SPARE {
            self.spare.push(pipe);
        }
    }

    /// Closes the spare pipes: descriptors are needed elsewhere.
    pub fn shrink(&mut self) {
        self.spare.clear();
    }

    /// Pipes lent or spare.
    pub fn open(&self) -> usize {
        self.in_use + self.spare.len()
    }
}

impl Pipe {
    fn open(size: usize) -> io::Result<Pipe> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Over the user's limit of pipe pages the kernel refuses: stay small.
        let size = fcntl(&write, FcntlArg::F_SETPIPE_SZ(size as i32)).unwrap_or(65_536);
        Ok(Pipe {
            read,
            write,
            size: size.max(4096) as usize,
            filled: 0,
        })
    }

    /// Moves what the socket has, at most `limit` bytes, into the pipe; 0: the peer ended its side.
    pub fn fill(&mut self, from: &impl AsFd, limit: usize) -> io::Result<usize> {
        let room = self.size.saturating_sub(self.filled).clamp(1, limit.max(1));
        let moved = retry(|| splice(from, None, &self.write, None, room, flags(false)))?;
        self.filled += moved;
        Ok(moved)
    }

    /// Moves what the pipe holds to the socket; `more` says that more follows.
    pub fn empty(&mut self, to: &impl AsFd, more: bool) -> io::Result<usize> {
        let moved = retry(|| splice(&self.read, None, to, None, self.filled, flags(more)))?;
        self.filled -= moved.min(self.filled);
        SENT.fetch_add(moved as u64, Relaxed);
        Ok(moved)
    }
}

fn flags(more: bool) -> SpliceFFlags {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    match more {
        true => flags | SpliceFFlags::SPLICE_F_MORE,
        false => flags,
    }
}

fn retry(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_leaves_a_pipe_is_counted() {
        let pair = || UnixStream::pair().expect("two connected sockets");
        let ((mut client, from), (to, mut server)) = (pair(), pair());
        client.write_all(&[7; 1000]).expect("it fits");
        let mut pool = Pool::new(1, 0);
        let mut pipe = pool.lend().expect("a pipe");
        assert_eq!(pipe.fill(&from, 600).expect("bytes are there"), 600);
        let before = sent();
        assert_eq!(pipe.empty(&to, false).expect("it fits"), 600);
        // other tests count, too
        assert!(sent() >= before + 600);
        pool.give_back(pipe);
        let mut got = [0; 600];
        server.read_exact(&mut got).expect("they came through");
    }
}
