//! Several calls on sockets by one entry into the kernel (`io_uring(7)`).
//!
//! Only calls that end at once are made: sockets do not block, and the calls say so once more. So
//! nothing is under way when [`Ring::run`] comes back, and no memory is lent to the kernel for longer.
#![allow(unsafe_code)]

use io_uring::{IoUring, opcode, squeue, types};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// Calls that one entry may make.
pub const MOST: usize = 32;
/// How often the kernel may refuse to take what is queued before the ring counts as broken.
const PATIENCE: u32 = 1_000;

/// What a call gave.
pub type Outcome = Result<usize, Errno>;

/// What the kernel says of a call: a size, or an error below zero.
#[derive(Clone, Copy, Debug)]
pub struct Answer(i32);

impl Answer {
    /// The call was not made.
    pub const NONE: Answer = Answer(i32::MIN);

    /// What the call gave, if it was made.
    pub fn outcome(self) -> Option<Outcome> {
        match self.0 {
            i32::MIN => None,
            size if size >= 0 => Some(Ok(size as usize)),
            error => Some(Err(Errno::from_raw_os_error(-error))),
        }
    }

    /// How much was moved.
    pub fn size(self) -> usize {
        self.0.max(0) as usize
    }
}

/// A call on a socket.
pub enum Job<'a> {
    /// `recv(2)`.
    Receive { from: RawFd, into: &'a mut [u8] },
    /// `send(2)`, with `MSG_MORE` or without.
    Send {
        to: RawFd,
        bytes: &'a [u8],
        more: bool,
    },
}

/// A thread's own ring: nobody else may use it.
pub struct Ring {
    ring: IoUring,
}

impl Ring {
    /// Opens a ring for the calling thread. Kernels before 6.0 and systems that forbid rings
    /// (`kernel.io_uring_disabled`, seccomp) refuse.
    pub fn open() -> io::Result<Ring> {
        let ring = IoUring::builder()
            .dontfork()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_submit_all()
            .build(MOST as u32)?;
        Ok(Ring { ring })
    }

    /// Makes the calls in their order, at most [`MOST`], and tells what each gave. After an error,
    /// the calls without an answer were not made, and the ring is of no use any more.
    pub fn run<'a>(
        &mut self,
        jobs: impl Iterator<Item = Job<'a>>,
        answers: &mut Vec<Answer>,
    ) -> io::Result<()> {
        self.enter(jobs.map(entry), answers)
    }

    /// Closes sockets, at most [`MOST`].
    pub fn close(
        &mut self,
        sockets: &mut Vec<OwnedFd>,
        answers: &mut Vec<Answer>,
    ) -> io::Result<()> {
        let number = |socket: &OwnedFd| types::Fd(socket.as_raw_fd());
        let entries = sockets
            .iter()
            .map(number)
            .map(|fd| opcode::Close::new(fd).build());
        let result = self.enter(entries, answers);
        for (socket, answer) in sockets.drain(..).zip(answers) {
            if answer.outcome().is_some() {
                // it is closed, whatever `close` said
                let _ = socket.into_raw_fd();
            }
        }
        result
    }

    /// Has these done in their order. What they point to must live until this returns.
    fn enter(
        &mut self,
        entries: impl Iterator<Item = squeue::Entry>,
        answers: &mut Vec<Answer>,
    ) -> io::Result<()> {
        answers.clear();
        let mut queue = self.ring.submission();
        for entry in entries.take(MOST) {
            let entry = entry.user_data(answers.len() as u64);
            // SAFETY: both callers keep alive what an entry points to, and the loop below leaves
            // only when the kernel is done with all it has taken.
            if unsafe { queue.push(&entry) }.is_err() {
                break;
            }
            answers.push(Answer::NONE);
        }
        drop(queue);
        let mut left = answers.len();
        let mut patience = PATIENCE;
        while left > 0 {
            let result = self.ring.submit_and_wait(left);
            for done in self.ring.completion() {
                if let Some(answer) = answers.get_mut(done.user_data() as usize) {
                    *answer = Answer(done.result());
                    left -= 1;
                }
            }
            if let Err(e) = result {
                patience -= 1;
                if patience == 0 {
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}

fn entry(job: Job<'_>) -> squeue::Entry {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    match job {
        Job::Receive { from, into } => {
            let size = into.len() as u32;
            opcode::Recv::new(types::Fd(from), into.as_mut_ptr(), size)
                .flags(libc::MSG_DONTWAIT)
                .build()
        }
        Job::Send { to, bytes, more } => {
            let flags = if more { flags | libc::MSG_MORE } else { flags };
            opcode::Send::new(types::Fd(to), bytes.as_ptr(), bytes.len() as u32)
                .flags(flags)
                .build()
        }
    }
}
