//! What the sessions of one turn read and write, by two entries into the kernel for all of them.
//!
//! A poll often tells of many sockets at once, and most of them want the same: what came is
//! received and sent on. These calls are made ahead, all receives by one entry into the kernel and
//! then all sends by another; after that each session has its turn as always, and finds in the
//! place of its two calls what they gave. A session knows no difference, so it is right by the
//! same tests; without a ring (old kernel, forbidden) there are no calls ahead.

use crate::uring::{Job, MOST, Outcome, Ring};
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

/// The moves of a turn.
pub struct Batch {
    /// Gone once it failed: everybody makes their own calls then.
    ring: Option<Ring>,
    /// One for each move.
    slices: Box<[u8]>,
    moves: Vec<(Move, Option<Moved>)>,
    /// What was moved for the session that has its turn.
    current: Option<Moved>,
    outcomes: Vec<Option<Outcome>>,
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
            outcomes: Vec::with_capacity(MOST),
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
        self.moves.push((new, None));
        self.moves.len() - 1
    }

    /// Makes the calls, unless there are too few of them, and tells for how many moves.
    pub fn run(&mut self) -> io::Result<usize> {
        let Some(ring) = self.ring.as_mut().filter(|_| self.moves.len() >= WORTH) else {
            return Ok(0);
        };
        let slices = self.slices.chunks_mut(STRIDE);
        let receives = self.moves.iter().zip(slices);
        let receives = receives.map(|((one, _), slice)| Job::Receive {
            from: one.source,
            into: &mut slice[..SLICE],
        });
        let mut result = ring.run(receives, &mut self.outcomes);
        let moves = self.moves.iter_mut().zip(&self.outcomes);
        for (slice, ((_, moved), received)) in moves.enumerate() {
            *moved = received.map(|received| Moved {
                received,
                sent: None,
                slice,
            });
        }
        if result.is_ok() {
            result = send(
                ring,
                &mut self.moves,
                &self.slices,
                &mut self.sending,
                &mut self.outcomes,
            );
        }
        self.only_if_well(result)?;
        Ok(self.moves.len())
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
        self.current = self.moves.get(number).and_then(|(_, moved)| *moved);
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
        bytes_of(&self.slices, moved)
    }

    /// Closes sockets, at most [`MOST`], and leaves none.
    pub fn close(&mut self, sockets: &mut Vec<OwnedFd>) -> io::Result<()> {
        let Some(ring) = self.ring.as_mut().filter(|_| sockets.len() >= WORTH) else {
            sockets.clear();
            return Ok(());
        };
        let result = ring.close(sockets, &mut self.outcomes);
        self.only_if_well(result)
    }
}

/// Sends what was received, except where more seems to wait behind it.
fn send(
    ring: &mut Ring,
    moves: &mut [(Move, Option<Moved>)],
    slices: &[u8],
    sending: &mut Vec<usize>,
    outcomes: &mut Vec<Option<Outcome>>,
) -> io::Result<()> {
    let short = |moved: &Moved| moved.received.is_ok_and(|size| size > 0 && size < SLICE);
    let of = |(n, (_, moved)): (usize, &(Move, Option<Moved>))| moved.filter(short).map(|_| n);
    sending.clear();
    sending.extend(moves.iter().enumerate().filter_map(of));
    let sends = sending.iter().filter_map(|&n| {
        let (one, moved) = moves[n];
        Some(Job::Send {
            to: one.target,
            bytes: bytes_of(slices, &moved?),
            more: one.ending,
        })
    });
    let result = ring.run(sends, outcomes);
    for (&n, sent) in sending.iter().zip(outcomes) {
        if let Some(moved) = &mut moves[n].1 {
            moved.sent = *sent;
        }
    }
    result
}

fn bytes_of<'a>(slices: &'a [u8], moved: &Moved) -> &'a [u8] {
    let start = moved.slice * STRIDE;
    let size = moved.received.unwrap_or(0);
    &slices[start..start + size]
}
