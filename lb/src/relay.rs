//! Moving bytes from one socket to another, one way: by a buffer that the
//! whole thread shares, or by splicing when it comes in bulk.
//!
//! A flow owns memory only while its target does not take what was read, so
//! quiet connections cost nothing and a slow reader slows its writer down.
//! Sockets report edges: `readable` stays true until a read came short.

use crate::splice::{Pipe, Pool};
use crate::trace::Tap;
use socket2::Socket;
use std::io::{self, Read};
use std::net::Shutdown;

/// Rounds of one flow before others get their turn.
const BUDGET: u32 = 16;
/// Full reads in a row of at least this size make a flow bulk.
const BULK: usize = 16 * 1024;
const STREAK: u8 = 2;

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
}

impl Side {
    /// A fresh connection about which nothing is known.
    pub fn new(socket: Socket) -> Side {
        Side {
            socket,
            readable: false,
            writable: false,
            ending: false,
        }
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
    /// Watches the session at work, if somebody watches that one.
    pub tap: Option<Box<Tap>>,
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
            if self.pipe.is_some() {
                self.splice_in(source, shop, &mut done)?;
            } else {
                self.copy(source, target, shop, may_splice, &mut done)?;
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
        done: &mut Pumped,
    ) -> Result<(), Fault> {
        let size = match (&source.socket).read(&mut shop.buffer) {
            Ok(0) => {
                self.ended = true;
                return Ok(());
            }
            Ok(size) => size,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                source.readable = false;
                return Ok(());
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(e) => return Err(Fault::Source(e)),
        };
        done.read += size as u64;
        if let Some(tap) = &mut shop.tap {
            tap.read(&shop.buffer[..size]);
        }
        if size < shop.buffer.len() {
            // Drained: what comes later is a new edge. With the FIN already
            // here nothing comes later.
            source.readable = false;
            self.ended = source.ending;
        }
        let streak = self.streak.saturating_add(1);
        self.streak = if size >= BULK { streak } else { 0 };
        let sent = send(target, &shop.buffer[..size], self.ended)?;
        done.written += sent as u64;
        if sent < size {
            self.prepend(shop.buffer[sent..size].to_vec());
        }
        if may_splice && self.streak >= STREAK && !self.ended {
            self.pipe = shop.pipes.lend();
        }
        Ok(())
    }

    fn splice_in(
        &mut self,
        source: &mut Side,
        shop: &mut Workshop,
        done: &mut Pumped,
    ) -> Result<(), Fault> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        match pipe.fill(&source.socket) {
            Ok(0) => self.ended = true,
            Ok(size) => {
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

    /// Sends what waits; true when all of it is gone.
    fn flush(&mut self, target: &mut Side, done: &mut Pumped) -> Result<bool, Fault> {
        if !target.writable {
            return Ok(false);
        }
        if let Some(pending) = &mut self.pending {
            let sent = send(target, &pending.bytes[pending.sent..], self.ended)?;
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
        match target.socket.shutdown(Shutdown::Write) {
            // The peer is gone already: the other direction will say so.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            Err(e) => Err(Fault::Target(e)),
            Ok(()) => Ok(()),
        }
    }
}

fn send(target: &mut Side, bytes: &[u8], more: bool) -> Result<usize, Fault> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    let mut sent = 0;
    while sent < bytes.len() {
        match target.socket.send_with_flags(&bytes[sent..], flags) {
            Ok(size) => {
                sent += size;
                if sent < bytes.len() {
                    // A short write means a full socket; the edge comes when it has room.
                    target.writable = false;
                    break;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                target.writable = false;
                break;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Fault::Target(e)),
        }
    }
    Ok(sent)
}
