//! Connections of an address that another host has taken: ended by the kernel
//! (`sock_diag(7)`, `SOCK_DESTROY`) while the address is still here, so that
//! the client hears of it. Without that a client that only waits for the
//! server, as a consumer does, would wait until its own keep-alive.
//! Not here: when that is right (the router's core says so).

use crate::netlink::{self, DUMP, Message, NLMSG_ERROR, REQUEST, error_of, messages};
use nix::sys::socket::{MsgFlags, SockFlag, SockProtocol, recv, send};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;

/// Connections of one address that are ended at most; more end by themselves.
const MOST: usize = 65_536;
/// Requests that one message to the kernel carries.
const BATCH: usize = 256;
/// Length of `struct inet_diag_sockid`, which follows the first four bytes of an answer.
const ID: usize = 48;
/// Every state with a peer that may wait: established, half open, half closed
/// (bits as in `tcp_states.h`). Not listeners, and not what has ended.
const STATES: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// Resets every TCP connection whose own end is `address`, and says how many
/// were there. An error of kind `Unsupported` if the kernel cannot do it
/// (`CONFIG_INET_DIAG_DESTROY`).
pub fn end_connections(address: IpAddr) -> io::Result<usize> {
    let fd = open()?;
    let mut ended = 0;
    for family in families(address) {
        let ids = dump(&fd, *family, address)?;
        for batch in ids.chunks(BATCH) {
            destroy(&fd, *family, batch)?;
        }
        ended += ids.len();
    }
    Ok(ended)
}

fn open() -> io::Result<OwnedFd> {
    netlink::open(SockProtocol::NetlinkSockDiag, 0, SockFlag::empty())
}

/// Sockets of IPv6 carry IPv4 too.
fn families(address: IpAddr) -> &'static [u8] {
    const V4: u8 = libc::AF_INET as u8;
    const V6: u8 = libc::AF_INET6 as u8;
    match address {
        IpAddr::V4(_) => &[V4, V6],
        IpAddr::V6(_) => &[V6],
    }
}

/// `struct inet_diag_req_v2` for one socket, or for a dump with no socket.
fn request(kind: u16, flags: u16, family: u8, id: &[u8; ID]) -> Message {
    let mut message = Message::new(kind, flags);
    message
        .bytes
        .extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    message.bytes.extend(STATES.to_ne_bytes());
    message.bytes.extend(id);
    message
}

/// A program of one condition: the own address is `address` (`struct
/// inet_diag_bc_op` with `INET_DIAG_BC_S_COND`, then `struct inet_diag_hostcond`).
fn own_address_is(address: IpAddr) -> Vec<u8> {
    const S_COND: u8 = 7;
    let (family, bytes) = match address {
        IpAddr::V4(a) => (libc::AF_INET as u8, a.octets().to_vec()),
        IpAddr::V6(a) => (libc::AF_INET6 as u8, a.octets().to_vec()),
    };
    let length = 12 + bytes.len();
    let mut program = vec![S_COND, length as u8];
    // a jump behind the end is a no
    program.extend((length as u16 + 4).to_ne_bytes());
    program.extend([family, bytes.len() as u8 * 8, 0, 0]);
    // any port
    program.extend((-1i32).to_ne_bytes());
    program.extend(bytes);
    program
}

fn dump(fd: &OwnedFd, family: u8, address: IpAddr) -> io::Result<Vec<[u8; ID]>> {
    const BYTECODE: u16 = 1;
    let mut message = request(BY_FAMILY, REQUEST | DUMP, family, &[0; ID]);
    message.attribute(BYTECODE, &own_address_is(address));
    let mut found = Vec::new();
    netlink::dump(fd, message, 1, |kind, body| {
        let id = body.get(4..).and_then(|rest| rest.first_chunk::<ID>());
        found.extend(id.filter(|_| kind == BY_FAMILY && found.len() < MOST));
    })?;
    Ok(found)
}

/// Ends these; only failures are answered, and one that has ended meanwhile is none.
fn destroy(fd: &OwnedFd, family: u8, ids: &[[u8; ID]]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(ids.len() * 72);
    for id in ids {
        let mut message = request(DESTROY, REQUEST, family, id);
        message.finish(2);
        bytes.extend_from_slice(&message.bytes);
    }
    send(fd.as_raw_fd(), &bytes, MsgFlags::empty())?;
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
        for (kind, _, body) in messages(&buffer[..length]) {
            let answer = if kind == NLMSG_ERROR {
                error_of(body)
            } else {
                Ok(())
            };
            if let Err(error) = answer
                && error.raw_os_error() == Some(libc::EOPNOTSUPP)
            {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this kernel cannot end connections (CONFIG_INET_DIAG_DESTROY)",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_is_as_long_as_it_says() {
        for address in ["10.0.0.1", "fd00::1"] {
            let address: IpAddr = address.parse().expect("an address");
            let program = own_address_is(address);
            assert_eq!(usize::from(program[1]), program.len());
            let no = u16::from_ne_bytes([program[2], program[3]]);
            assert_eq!(usize::from(no), program.len() + 4);
        }
    }

    #[test]
    fn nothing_is_found_for_an_address_that_nobody_has() {
        let none: IpAddr = "203.0.113.77".parse().expect("an address");
        let fd = open().expect("a socket");
        for family in families(none) {
            assert!(dump(&fd, *family, none).expect("a list").is_empty());
        }
    }

    #[test]
    fn a_connection_is_found_by_its_own_address() {
        let listener = std::net::TcpListener::bind("127.7.7.7:0").expect("a listener");
        let at = listener.local_addr().expect("an address");
        let _client = std::net::TcpStream::connect(at).expect("a connection");
        let fd = open().expect("a socket");
        let found = dump(&fd, libc::AF_INET as u8, at.ip()).expect("a list");
        assert_eq!(found.len(), 1, "the accepted end, not the listener");
        assert_eq!(found[0][..2], at.port().to_be_bytes());
    }
}
