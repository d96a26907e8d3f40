//! Moving bytes from one socket to another, one way: by a buffer that the
//! whole thread shares, or by splicing when it comes in bulk.
//!
//! A flow owns memory only while its target does not take what was read, so
//! quiet connections cost nothing and a slow reader slows its writer down.
//! Sockets report edges: `readable` stays true until a read came short.

use crate::batch::{Batch, Move, SLICE};
use crate::core::amqp_frames::{Progress, Talk};
use crate::splice::{Pipe, Pool};
use crate::trace::Tap;
use crate::uring::Outcome;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, shutdown};
use socket2::Socket;
use std::io;
use std::os::fd::AsRawFd;

/// Rounds of one flow before others get their turn.
const BUDGET: u32 = 16;
/// Full reads in a row of at least this size make a flow bulk.
const BULK: usize = 16 * 1024;
const STREAK: u8 = 2;
/// What is read of a followed conversation at the beginning of a frame, while a pipe waits for
/// the rest: enough for the heads in front of a message's body.
const PIECE: usize = 1024;

/// A socket of a session with what is known about its readiness.
pub struct Side {
    /// The socket.
    pub socket: Socket,
    /// A read may give something.
    pub readable: bool,
    /// A write may be taken.
    pub writable: bool,
    /// The peer's FIN is here, perhaps behind data.
    pub ending: bool,
    /// The poll tells when a write may be taken again.
    pub hears_room: bool,
}

impl Side {
    /// A connection that may be written to, about which nothing else is known.
    pub fn new(socket: Socket) -> Side {
        Side {
            socket,
            readable: false,
            writable: true,
            ending: false,
            hears_room: false,
        }
    }

    /// One whose handshake is not over: the poll tells when it is.
    pub fn connecting(socket: Socket) -> Side {
        Side {
            writable: false,
            hears_room: true,
            ..Side::new(socket)
        }
    }

    /// A write was not taken, and nobody would tell when the next one may be.
    pub fn is_stuck(&self) -> bool {
        !self.writable && !self.hears_room
    }
}

/// One direction of a session.
#[derive(Default)]
pub struct Flow {
    /// Read, but not yet taken by the target.
    pending: Option<Box<Pending>>,
    pipe: Option<Box<Pipe>>,
    streak: u8,
    /// The source has ended.
    pub ended: bool,
    /// The target was told.
    pub passed_on: bool,
}

struct Pending {
    bytes: Vec<u8>,
    sent: usize,
}

/// Which socket failed.
#[derive(Debug)]
pub enum Fault {
    /// Reading from the source.
    Source(io::Error),
    /// Writing to the target.
    Target(io::Error),
}

/// What a thread lends to its flows.
pub struct Workshop {
    /// The buffer that all flows of the thread share.
    pub buffer: Box<[u8]>,
    /// Pipes.
    pub pipes: Pool,
    /// Calls of many sessions together, where the system has that.
    pub batch: Option<Batch>,
    /// Watches the session at work, if somebody watches that one.
    pub tap: Option<Box<Tap>>,
}

/// A conversation that is followed while it passes, so that it can be ended between two frames.
/// Sessions of other backends have none, and nothing is looked at.
pub struct Watch<'a> {
    /// The conversation; gone once it turns out to be something else.
    pub talk: &'a mut Option<Box<Talk>>,
    /// Whose bytes these are.
    pub of_client: bool,
}

impl Watch<'_> {
    fn see(&mut self, bytes: &[u8]) {
        let Some(talk) = self.talk else {
            return;
        };
        match self.of_client {
            true => talk.from_client(bytes),
            false => talk.from_server(bytes),
        }
        if talk.progress == Progress::Foreign {
            *self.talk = None;
        }
    }

    /// Bytes that may pass unseen.
    fn spliceable(&self) -> usize {
        match (&self.talk, self.of_client) {
            (None, _) => usize::MAX,
            (Some(talk), true) => talk.up.spliceable(),
            (Some(talk), false) => talk.down.spliceable(),
        }
    }

    fn skip(&mut self, bytes: usize) {
        match (self.talk.as_mut(), self.of_client) {
            (None, _) => {}
            (Some(talk), true) => talk.up.skip(bytes),
            (Some(talk), false) => talk.down.skip(bytes),
        }
    }
}

/// What a turn of a flow did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Bytes taken from the source.
    pub read: u64,
    /// Bytes given to the target.
    pub written: u64,
    /// There is more to do: come back after others had their turn.
    pub again: bool,
}

impl Flow {
    /// Bytes to be sent before anything else, such as a PROXY header.
    pub fn prepend(&mut self, bytes: Vec<u8>) {
        self.pending = Some(Box::new(Pending { bytes, sent: 0 }));
    }

    /// Bytes read but not yet taken by the target.
    pub fn waiting(&self) -> usize {
        let pending = self.pending.as_ref().map_or(0, |p| p.bytes.len() - p.sent);
        pending + self.pipe.as_ref().map_or(0, |p| p.filled)
    }

    /// What [`Flow::pump`] will do first, if that is to receive and to send on and nothing else
    /// can come before it.
    pub fn next_move(&self, source: &Side, target: &Side, ending: bool) -> Option<Move> {
        let plain = self.waiting() == 0 && !self.ended && self.pipe.is_none() && self.streak == 0;
        (plain && target.writable).then(|| Move {
            source: source.socket.as_raw_fd(),
            target: target.socket.as_raw_fd(),
            ending: source.ending || ending,
        })
    }

    /// [`Flow::pump`] will do nothing.
    pub fn is_idle(&self, source: &Side) -> bool {
        !source.readable && self.waiting() == 0 && (!self.ended || self.passed_on)
    }

    /// Everything has been passed on, the end included.
    pub fn is_over(&self) -> bool {
        self.ended && self.waiting() == 0
    }

    /// Gives back what was lent.
    pub fn release(&mut self, pipes: &mut Pool) {
        if let Some(pipe) = self.pipe.take() {
            pipes.give_back(pipe);
        }
    }

    /// Moves what can be moved. `last` says that the other direction is over,
    /// so that the sockets will be closed rather than half-closed.
    pub fn pump(
        &mut self,
        source: &mut Side,
        target: &mut Side,
        shop: &mut Workshop,
        may_splice: bool,
        last: bool,
        mut watch: Watch<'_>,
    ) -> Result<Pumped, Fault> {
        let mut done = Pumped::default();
        for _ in 0..BUDGET {
            if self.waiting() > 0 && !self.flush(target, &mut done)? {
                return Ok(done);
            }
            if self.ended {
                self.pass_on(target, last)?;
                return Ok(done);
            }
            if !source.readable {
                self.rest(shop);
                return Ok(done);
            }
            if self.pipe.is_some() && watch.spliceable() >= BULK {
                self.splice_in(source, shop, &mut watch, &mut done)?;
            } else {
                self.copy(source, target, shop, may_splice, &mut watch, &mut done)?;
            }
        }
        done.again = source.readable || self.ended || (self.waiting() > 0 && target.writable);
        Ok(done)
    }

    fn copy(
        &mut self,
        source: &mut Side,
        target: &mut Side,
        shop: &mut Workshop,
        may_splice: bool,
        watch: &mut Watch<'_>,
        done: &mut Pumped,
    ) -> Result<(), Fault> {
        let batch = shop.batch.as_mut();
        let ahead = batch.and_then(Batch::take);
        let (room, received) = match &ahead {
            Some(moved) => (SLICE, moved.received),
            None => {
                let room = match self.pipe {
                    None => shop.buffer.len(),
                    Some(_) => watch.spliceable() + PIECE,
                };
                let buffer = &mut shop.buffer[..room];
                let received = recv(&source.socket, buffer, RecvFlags::empty());
                (room, received.map(|(size, _)| size))
            }
        };
        let size = match received {
            Ok(0) => {
                self.ended = true;
                return Ok(());
            }
            Ok(size) => size,
            Err(Errno::WOULDBLOCK) => {
                source.readable = false;
                return Ok(());
            }
            Err(Errno::INTR) => return Ok(()),
            Err(e) => return Err(Fault::Source(e.into())),
        };
        done.read += size as u64;
        let bytes = match (&ahead, &shop.batch) {
            (Some(moved), Some(batch)) => batch.bytes(moved),
            _ => &shop.buffer[..size],
        };
        if let Some(tap) = &mut shop.tap {
            tap.read(bytes);
        }
        watch.see(bytes);
        if size < room {
            // Drained: what comes later is a new edge. With the FIN already
            // here nothing comes later.
            source.readable = false;
            self.ended = source.ending;
        }
        if self.pipe.is_none() {
            let streak = self.streak.saturating_add(1);
            self.streak = if size >= BULK { streak } else { 0 };
        }
        let sent = send(
            target,
            bytes,
            self.ended,
            ahead.and_then(|moved| moved.sent),
        )?;
        done.written += sent as u64;
        if sent < size {
            self.prepend(bytes[sent..].to_vec());
        }
        let pays = watch.spliceable() >= BULK;
        if self.pipe.is_some() && !pays {
            // small frames: looking at each of them costs more than copying
            self.give_back_empty(shop);
            self.streak = 0;
        } else if may_splice && pays && self.streak >= STREAK && !self.ended && self.pipe.is_none()
        {
            self.pipe = shop.pipes.lend();
            // A handshake's last segment may have waited for the first bytes; a bulk sender wants
            // its acknowledgements soon. Only sockets that are not TCP have no such thing.
            let _ = source.socket.set_tcp_quickack(true);
        }
        Ok(())
    }

    fn splice_in(
        &mut self,
        source: &mut Side,
        shop: &mut Workshop,
        watch: &mut Watch<'_>,
        done: &mut Pumped,
    ) -> Result<(), Fault> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        match pipe.fill(&source.socket, watch.spliceable()) {
            Ok(0) => self.ended = true,
            Ok(size) => {
                watch.skip(size);
                done.read += size as u64;
                if size >= BULK {
                    self.streak = STREAK;
                } else if self.streak > 0 {
                    self.streak -= 1;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                source.readable = false;
                self.streak = self.streak.saturating_sub(1);
            }
            Err(e) => {
                self.release(&mut shop.pipes);
                // Some sockets cannot be spliced: copying always works.
                if e.raw_os_error() != Some(libc::EINVAL) {
                    return Err(Fault::Source(e));
                }
            }
        }
        if self.ended || (self.streak == 0 && self.waiting() == 0) {
            self.give_back_empty(shop);
        }
        Ok(())
    }

    fn give_back_empty(&mut self, shop: &mut Workshop) {
        if self.pipe.as_ref().is_some_and(|p| p.filled == 0) {
            self.release(&mut shop.pipes);
        }
    }

    /// Nothing comes at the moment: a flow that got slow gives its pipe back.
    fn rest(&mut self, shop: &mut Workshop) {
        if self.streak == 0 {
            self.give_back_empty(shop);
        }
    }

    /// Adds bytes behind those that wait in memory; what waits in a pipe must be gone.
    pub fn append(&mut self, bytes: &[u8]) {
        debug_assert!(self.pipe.as_ref().is_none_or(|p| p.filled == 0));
        match &mut self.pending {
            Some(pending) => pending.bytes.extend_from_slice(bytes),
            None if bytes.is_empty() => {}
            None => self.prepend(bytes.to_vec()),
        }
    }

    /// Sends what waits and reads nothing; true when all of it is gone.
    pub fn send_rest(&mut self, target: &mut Side) -> Result<bool, Fault> {
        match self.waiting() {
            0 => Ok(true),
            _ => self.flush(target, &mut Pumped::default()),
        }
    }

    /// Forgets what waits: its target is gone.
    pub fn abandon(&mut self, pipes: &mut Pool) {
        self.pending = None;
        self.release(pipes);
    }

    /// Sends what waits; true when all of it is gone.
    fn flush(&mut self, target: &mut Side, done: &mut Pumped) -> Result<bool, Fault> {
        if !target.writable {
            return Ok(false);
        }
        if let Some(pending) = &mut self.pending {
            let sent = send(target, &pending.bytes[pending.sent..], self.ended, None)?;
            pending.sent += sent;
            done.written += sent as u64;
            if pending.sent < pending.bytes.len() {
                return Ok(false);
            }
            self.pending = None;
        }
        let Some(pipe) = &mut self.pipe else {
            return Ok(true);
        };
        while pipe.filled > 0 {
            match pipe.empty(&target.socket, self.ended) {
                Ok(size) => done.written += size as u64,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    target.writable = false;
                    return Ok(false);
                }
                Err(e) => return Err(Fault::Target(e)),
            }
        }
        Ok(true)
    }

    fn pass_on(&mut self, target: &Side, last: bool) -> Result<(), Fault> {
        if self.passed_on || last {
            return Ok(());
        }
        self.passed_on = true;
        match shutdown(&target.socket, Shutdown::Write) {
            // The peer is gone already: the other direction will say so.
            Err(Errno::NOTCONN) | Ok(()) => Ok(()),
            Err(e) => Err(Fault::Target(e.into())),
        }
    }
}

/// Sends what the target takes. The first call's outcome may be known already.
fn send(
    target: &mut Side,
    bytes: &[u8],
    more: bool,
    mut known: Option<Outcome>,
) -> Result<usize, Fault> {
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::MORE, more);
    let mut sent = 0;
    while sent < bytes.len() {
        let outcome = match known.take() {
            Some(outcome) => outcome,
            None => rustix::net::send(&target.socket, &bytes[sent..], flags),
        };
        match outcome {
            Ok(size) => {
                sent += size;
                if sent < bytes.len() {
                    // A short write means a full socket; the edge comes when it has room.
                    target.writable = false;
                    break;
                }
            }
            Err(Errno::WOULDBLOCK) => {
                target.writable = false;
                break;
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(Fault::Target(e.into())),
        }
    }
    Ok(sent)
}
