//! Packet sockets: frames out (announcements, probes) and claims of others in.

use crate::frame::{self, Claim};
use crate::sys;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

fn open(index: u32, ethertype: u16) -> io::Result<Socket> {
    // protocol 0: nothing is queued before the bind says which frames are wanted
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    socket.set_nonblocking(true)?;
    if ethertype == frame::IPV6 {
        socket.attach_filter(&neighbour_advertisements())?;
    }
    sys::bind_packet(socket.as_fd(), index, ethertype)?;
    Ok(socket)
}

/// Classic BPF: IPv6 frames whose next header is ICMPv6 and whose type is 136.
fn neighbour_advertisements() -> [SockFilter; 6] {
    [
        SockFilter::new(0x30, 0, 0, 20),
        SockFilter::new(0x15, 0, 3, 58),
        SockFilter::new(0x30, 0, 0, 54),
        SockFilter::new(0x15, 0, 1, 136),
        SockFilter::new(0x06, 0, 0, 256),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}

/// Sends frames on one interface.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
}

impl Sender {
    /// Opens a sender on an interface.
    pub fn new(index: u32) -> io::Result<Sender> {
        let socket = open(index, 0)?;
        Ok(Sender { socket })
    }

    /// Sends a whole frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }
}

/// Hears the claims of addresses on one interface.
#[derive(Debug)]
pub struct Ear {
    socket: Socket,
}

impl Ear {
    /// Opens an ear for ARP ([`frame::ARP`]) or neighbour advertisements ([`frame::IPV6`]).
    pub fn new(index: u32, ethertype: u16) -> io::Result<Ear> {
        let socket = open(index, ethertype)?;
        let _ = socket.set_recv_buffer_size(64 * 1024);
        Ok(Ear { socket })
    }

    /// The next claim; nothing when no more frames are there.
    pub fn next_claim(&mut self, budget: &mut u32) -> Option<Claim> {
        let mut buffer = [0; 256];
        while *budget > 0 {
            *budget -= 1;
            let length = (&self.socket).read(&mut buffer).ok()?;
            if let Some(claim) = frame::claim(&buffer[..length]) {
                return Some(claim);
            }
        }
        None
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
