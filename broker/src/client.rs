//! One AMQP client's socket: bytes in, bytes out, plain or through TLS.

use crate::core::Core;
use crate::tls::{Found, TlsSession};
use mio::net::TcpStream;
use std::io::{self, IoSlice, Read, Write};

/// How many pieces one write takes at most.
const SLICES: usize = 64;

/// What came of reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more to do.
    More,
    /// The socket has no more at the moment.
    Blocked,
    /// The other side is gone.
    Ended,
}

/// What a connection begins with, before its AMQP bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    None,
    /// A PROXY protocol header is still to come.
    Proxy,
}

/// The socket of a connection, and what it waits for.
pub struct Client {
    pub stream: TcpStream,
    pub serial: u64,
    pub tls: Option<Box<TlsSession>>,
    pub preamble: Preamble,
    /// The bytes of an incomplete frame.
    leftover: Vec<u8>,
    pub readable: bool,
    /// The other side has closed its direction: reads go on until they say so.
    pub read_closed: bool,
    pub writable: bool,
    /// Stands in the loop's list of clients to look at.
    pub queued: bool,
    /// To be closed once everything is written.
    pub closing: bool,
    /// Everything is written and our direction closed; input is thrown away until the other side closes too.
    pub lingering: bool,
}

impl Client {
    pub fn new(
        stream: TcpStream,
        serial: u64,
        tls: Option<Box<TlsSession>>,
        preamble: Preamble,
    ) -> Client {
        Client {
            stream,
            serial,
            tls,
            preamble,
            leftover: Vec::new(),
            readable: false,
            read_closed: false,
            writable: true,
            queued: false,
            closing: false,
            lingering: false,
        }
    }

    /// Reads once and hands what came to the engine. `buffer` is the loop's, for all clients.
    pub fn read(&mut self, core: &mut Core, index: u32, buffer: &mut [u8]) -> Progress {
        if self.lingering {
            return self.discard(buffer);
        }
        if self.tls.is_some() {
            return self.read_tls(core, index, buffer);
        }
        let kept = self.leftover.len();
        if kept + 4096 > buffer.len() {
            return self.read_large(core, index);
        }
        buffer[..kept].copy_from_slice(&self.leftover);
        let count = match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => return Progress::Ended,
            Ok(count) => count,
            Err(error) => return progress_of(&error),
        };
        let filled = kept + count;
        let used = self.deliver(core, index, &buffer[..filled]);
        self.keep(&buffer[used..filled]);
        if filled == buffer.len() || self.read_closed {
            Progress::More
        } else {
            Progress::Blocked
        }
    }

    /// Bytes for the engine, behind the preamble; answers how many were used.
    fn deliver(&mut self, core: &mut Core, index: u32, data: &[u8]) -> usize {
        let mut used = 0;
        if self.preamble == Preamble::Proxy {
            match crate::proxy_protocol::parse(data) {
                Ok(None) => return 0,
                Ok(Some(header)) => {
                    used = header.length;
                    self.preamble = Preamble::None;
                    if let (Some((source, destination)), Some(connection)) =
                        (header.addresses, core.connections.get_mut(index as usize))
                    {
                        connection.peer.address = source;
                        connection.peer.local = destination;
                    }
                }
                Err(reason) => {
                    let peer = address_of(core, index);
                    tracing::warn!(%peer, reason, "closing: no PROXY protocol header where one must be");
                    core.abandon(index);
                    return data.len();
                }
            }
        }
        if used < data.len() {
            used += core.receive(index, &data[used..]);
        }
        used
    }

    fn keep(&mut self, rest: &[u8]) {
        self.leftover.clear();
        if rest.is_empty() {
            if self.leftover.capacity() > 0 {
                self.leftover = Vec::new();
            }
        } else {
            self.leftover.extend_from_slice(rest);
        }
    }

    /// A frame larger than the loop's buffer (only where frame_max is unlimited): read behind what is kept.
    fn read_large(&mut self, core: &mut Core, index: u32) -> Progress {
        let mut more = vec![0; 1 << 20];
        let count = match self.stream.read(&mut more) {
            Ok(0) => return Progress::Ended,
            Ok(count) => count,
            Err(error) => return progress_of(&error),
        };
        self.leftover.extend_from_slice(&more[..count]);
        let data = std::mem::take(&mut self.leftover);
        let used = self.deliver(core, index, &data);
        self.keep(&data[used..]);
        Progress::More
    }

    fn read_tls(&mut self, core: &mut Core, index: u32, buffer: &mut [u8]) -> Progress {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Progress::Ended,
            Ok(count) => count,
            Err(error) => return progress_of(&error),
        };
        let full = count == buffer.len();
        let mut cipher = buffer[..count].to_vec();
        if self.preamble == Preamble::Proxy {
            let mut data = std::mem::take(&mut self.leftover);
            data.append(&mut cipher);
            let used = self.deliver_preamble(core, index, &data);
            if self.preamble == Preamble::Proxy {
                self.leftover = data;
                return Progress::Blocked;
            }
            cipher = data.split_off(used);
        }
        let Some(mut session) = self.tls.take() else {
            return Progress::Ended;
        };
        let outcome = session.receive(&cipher, &mut |found| match found {
            Found::Peer(peer) => peer.note(core, index),
            Found::Plain(plain) => {
                let mut data = std::mem::take(&mut self.leftover);
                data.extend_from_slice(plain);
                let used = self.deliver(core, index, &data);
                self.keep(&data[used..]);
            }
        });
        self.tls = Some(session);
        match outcome {
            Ok(()) if full || self.read_closed => Progress::More,
            Ok(()) => Progress::Blocked,
            Err(error) => {
                let peer = address_of(core, index);
                tracing::warn!(%peer, %error, "closing: TLS failed");
                let _ = self.flush_tls();
                Progress::Ended
            }
        }
    }

    fn deliver_preamble(&mut self, core: &mut Core, index: u32, data: &[u8]) -> usize {
        match crate::proxy_protocol::parse(data) {
            Ok(Some(header)) => {
                self.deliver(core, index, &data[..header.length]);
                header.length
            }
            Ok(None) => 0,
            Err(_) => self.deliver(core, index, data),
        }
    }

    fn discard(&mut self, buffer: &mut [u8]) -> Progress {
        match self.stream.read(buffer) {
            Ok(0) => Progress::Ended,
            Ok(_) => Progress::More,
            Err(error) => progress_of(&error),
        }
    }

    /// Writes what waits, as far as the socket takes it.
    pub fn write(&mut self, core: &mut Core, index: u32) -> Progress {
        if self.tls.is_some() {
            return self.write_tls(core, index);
        }
        loop {
            let Some(connection) = core.connections.get(index as usize) else {
                return Progress::Ended;
            };
            if connection.output.is_empty() {
                return Progress::More;
            }
            let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(4);
            connection.output.slices(&mut slices, SLICES);
            let written = match &slices[..] {
                [only] => self.stream.write(only),
                slices => self.stream.write_vectored(slices),
            };
            match written {
                Ok(0) => return Progress::Ended,
                Ok(count) => core.written(index, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return progress_of(&error),
            }
        }
    }

    fn write_tls(&mut self, core: &mut Core, index: u32) -> Progress {
        loop {
            match self.flush_tls() {
                Progress::More => {}
                other => return other,
            }
            let Some(connection) = core.connections.get(index as usize) else {
                return Progress::Ended;
            };
            if connection.output.is_empty() {
                return Progress::More;
            }
            let Some(session) = &mut self.tls else {
                return Progress::Ended;
            };
            let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(4);
            connection.output.slices(&mut slices, SLICES);
            match session.send(&slices) {
                Ok(0) => return Progress::Blocked,
                Ok(count) => core.written(index, count),
                Err(_) => return Progress::Ended,
            }
        }
    }

    /// Writes the encrypted bytes that wait; `More` when none are left.
    pub fn flush_tls(&mut self) -> Progress {
        let Some(session) = &mut self.tls else {
            return Progress::More;
        };
        while session.wants_write() {
            match session.write_to(&mut self.stream) {
                Ok(0) => return Progress::Ended,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return progress_of(&error),
            }
        }
        Progress::More
    }

    /// Gives the bytes that wait for a password check to the engine again.
    pub fn resume(&mut self, core: &mut Core, index: u32) {
        if self.leftover.is_empty() {
            return;
        }
        let data = std::mem::take(&mut self.leftover);
        let used = self.deliver(core, index, &data);
        self.keep(&data[used..]);
    }

    /// Whether everything that was to be written is with the kernel.
    pub fn is_drained(&self, core: &Core, index: u32) -> bool {
        let output = core
            .connections
            .get(index as usize)
            .is_none_or(|connection| connection.output.is_empty());
        output
            && self
                .tls
                .as_ref()
                .is_none_or(|session| !session.wants_write())
    }
}

/// Where a client comes from, for the log.
fn address_of(core: &Core, index: u32) -> String {
    let connection = core.connections.get(index as usize);
    connection.map_or_else(String::new, |found| found.peer.name())
}

fn progress_of(error: &io::Error) -> Progress {
    match error.kind() {
        io::ErrorKind::WouldBlock => Progress::Blocked,
        io::ErrorKind::Interrupted => Progress::More,
        _ => Progress::Ended,
    }
}
