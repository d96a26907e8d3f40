//! What the sessions of one turn read and write, by two entries into the kernel for all of them.
//!
//! A poll often tells of many sockets at once, and most of them want the same: what came is
//! received and sent on. These calls are made ahead, all receives by one entry into the kernel and
//! then all sends by another; after that each session has its turn as always, and finds in the
//! place of its two calls what they gave. A session knows no difference, so it is right by the
//! same tests; without a ring (old kernel, forbidden) there are no calls ahead.

use crate::uring::{Answer, Job, MOST, Outcome, Ring};
use std::io;
use std::os::fd::{OwnedFd, RawFd};

/// What is received of one socket ahead; who has more is read on in the session's own turn.
pub const SLICE: usize = 16 * 1024;
/// Slices are a little apart from multiples of their size, which would all share the same lines
/// of the processor's cache.
const STRIDE: usize = SLICE + 5 * 64;
/// Fewer moves than this are left to the sessions.
const WORTH: usize = 2;

/// What a session is going to do in its turn: receive once, and send on what came.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// Where bytes come from.
    pub source: RawFd,
    /// Where they go.
    pub target: RawFd,
    /// The source has ended behind these bytes: the end will follow them.
    pub ending: bool,
}

/// A move's calls, as far as they were made.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// What the receive gave.
    pub received: Outcome,
    /// What the send of all that was received gave.
    pub sent: Option<Outcome>,
    slice: usize,
}

/// A move and what its calls gave.
struct Planned {
    wanted: Move,
    received: Answer,
    sent: Answer,
}

/// The moves of a turn.
pub struct Batch {
    /// Gone once it failed: everybody makes their own calls then.
    ring: Option<Ring>,
    /// One for each move.
    slices: Box<[u8]>,
    moves: Vec<Planned>,
    /// What was moved for the session that has its turn.
    current: Option<Moved>,
    answers: Vec<Answer>,
    /// Which moves the sends belong to.
    sending: Vec<usize>,
}

impl Batch {
    /// For the calling thread; an error where rings are not to be had.
    pub fn open() -> io::Result<Batch> {
        Ok(Batch {
            ring: Some(Ring::open()?),
            slices: vec![0; STRIDE * MOST].into_boxed_slice(),
            moves: Vec::with_capacity(MOST),
            current: None,
            answers: Vec::with_capacity(MOST),
            sending: Vec::with_capacity(MOST),
        })
    }

    /// Forgets the moves of the turn before.
    pub fn clear(&mut self) {
        self.moves.clear();
    }

    /// Adds a move, of which there may be [`MOST`]; its number.
    pub fn add(&mut self, new: Move) -> usize {
        debug_assert!(self.moves.len() < MOST);
        self.moves.push(Planned {
            wanted: new,
            received: Answer::NONE,
            sent: Answer::NONE,
        });
        self.moves.len() - 1
    }

    /// Makes the calls, unless there are too few of them, and tells for how many moves.
    pub fn run(&mut self) -> io::Result<usize> {
        let Some(ring) = self.ring.as_mut().filter(|_| self.moves.len() >= WORTH) else {
            return Ok(0);
        };
        let slices = self.slices.chunks_mut(STRIDE);
        let receives = self.moves.iter().zip(slices);
        let receives = receives.map(|(one, slice)| Job::Receive {
            from: one.wanted.source,
            into: &mut slice[..SLICE],
        });
        let mut result = ring.run(receives, &mut self.answers);
        for (one, answer) in self.moves.iter_mut().zip(&self.answers) {
            one.received = *answer;
        }
        if result.is_ok() {
            result = self.send();
        }
        self.only_if_well(result)?;
        Ok(self.moves.len())
    }

    /// Sends what was received, except where more seems to wait behind it.
    fn send(&mut self) -> io::Result<()> {
        let Some(ring) = &mut self.ring else {
            return Ok(());
        };
        let short = |one: &Planned| (1..SLICE).contains(&one.received.size());
        let moves = self.moves.iter().enumerate();
        self.sending.clear();
        self.sending
            .extend(moves.filter(|(_, one)| short(one)).map(|(n, _)| n));
        let sends = self.sending.iter().map(|&n| {
            let one = &self.moves[n];
            Job::Send {
                to: one.wanted.target,
                bytes: bytes_of(&self.slices, n, one.received.size()),
                more: one.wanted.ending,
            }
        });
        let result = ring.run(sends, &mut self.answers);
        for (&n, answer) in self.sending.iter().zip(&self.answers) {
            self.moves[n].sent = *answer;
        }
        result
    }

    /// A ring that failed is not used again; what was moved still counts.
    fn only_if_well(&mut self, result: io::Result<()>) -> io::Result<()> {
        if result.is_err() {
            self.ring = None;
        }
        result
    }

    /// The session of this move has its turn.
    pub fn begin(&mut self, number: usize) {
        self.current = self.moves.get(number).and_then(|one| {
            Some(Moved {
                received: one.received.outcome()?,
                sent: one.sent.outcome(),
                slice: number,
            })
        });
    }

    /// Its turn is over.
    pub fn end(&mut self) {
        debug_assert!(self.current.is_none(), "moved, but not accounted for");
        self.current = None;
    }

    /// What was done ahead for the session that has its turn.
    pub fn take(&mut self) -> Option<Moved> {
        self.current.take()
    }

    /// The bytes that were received.
    pub fn bytes(&self, moved: &Moved) -> &[u8] {
        bytes_of(&self.slices, moved.slice, moved.received.unwrap_or(0))
    }

    /// Closes sockets, at most [`MOST`], and leaves none.
    pub fn close(&mut self, sockets: &mut Vec<OwnedFd>) -> io::Result<()> {
        let Some(ring) = self.ring.as_mut().filter(|_| sockets.len() >= WORTH) else {
            sockets.clear();
            return Ok(());
        };
        let result = ring.close(sockets, &mut self.answers);
        self.only_if_well(result)
    }
}

fn bytes_of(slices: &[u8], number: usize, size: usize) -> &[u8] {
    let start = number * STRIDE;
    &slices[start..start + size]
}
