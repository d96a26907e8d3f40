//! TCP connections of virtual addresses, by `sock_diag(7)`. Those of an address
//! that another host has taken are ended by the kernel (`SOCK_DESTROY`) while
//! the address is still here, so that the client hears of it. Without that a
//! client that only waits for the server, as a consumer does, would wait until
//! its own keep-alive. Those that stand are listed for a successor.
//! Not here: when that is right (the router's core says so).

use crate::core::connections::Connection;
use crate::netlink::{self, DUMP, Message, NLMSG_ERROR, REQUEST, error_of, messages};
use nix::sys::socket::{MsgFlags, SockFlag, SockProtocol, recv, send};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;

/// Connections that are ended, or listed, at most; more end by themselves.
const MOST: usize = 65_536;
/// Addresses that one question names at most.
const MOST_ADDRESSES: usize = 1024;
/// Requests that one message to the kernel carries.
const BATCH: usize = 256;
/// Length of `struct inet_diag_sockid`, which follows the first four bytes of an answer.
const ID: usize = 48;
/// Every state with a peer that may wait: established, half open, half closed
/// (bits as in `tcp_states.h`). Not listeners, and not what has ended.
const STATES: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;
/// Established, and those whose client has ended its own direction: it waits for the rest.
const STANDING: u32 = 1 << 1 | 1 << 8;

/// Resets every TCP connection whose own end is `address`, and says how many
/// were there. An error of kind `Unsupported` if the kernel cannot do it
/// (`CONFIG_INET_DIAG_DESTROY`).
pub fn end_connections(address: IpAddr) -> io::Result<usize> {
    let fd = open()?;
    let mut ended = 0;
    for family in families(address) {
        let ids = dump(&fd, *family, STATES, &[address])?;
        for batch in ids.chunks(BATCH) {
            destroy(&fd, *family, batch)?;
        }
        ended += ids.len();
    }
    Ok(ended)
}

/// The connections that stand whose own end is one of these addresses.
pub fn connections(addresses: &[IpAddr]) -> io::Result<Vec<Connection>> {
    let addresses = &addresses[..addresses.len().min(MOST_ADDRESSES)];
    let fd = open()?;
    let v4 = addresses.iter().any(IpAddr::is_ipv4);
    let mut found = Vec::new();
    for family in if v4 { BOTH } else { V6_ONLY } {
        let ids = dump(&fd, *family, STANDING, addresses)?;
        found.extend(ids.iter().map(|id| connection(*family, id)));
    }
    Ok(found)
}

/// `struct inet_diag_sockid`: ports, then 16 bytes for each address.
fn connection(family: u8, id: &[u8; ID]) -> Connection {
    let end = |port: usize, at: usize| {
        let v4 = [id[at], id[at + 1], id[at + 2], id[at + 3]];
        let mut v6 = [0; 16];
        v6.copy_from_slice(&id[at..at + 16]);
        let address = match i32::from(family) {
            libc::AF_INET => IpAddr::from(v4),
            _ => Ipv6Addr::from(v6).to_canonical(),
        };
        SocketAddr::new(address, u16::from_be_bytes([id[port], id[port + 1]]))
    };
    Connection {
        own: end(0, 4),
        client: end(2, 20),
    }
}

fn open() -> io::Result<OwnedFd> {
    netlink::open(SockProtocol::NetlinkSockDiag, 0, SockFlag::empty())
}

const BOTH: &[u8] = &[libc::AF_INET as u8, libc::AF_INET6 as u8];
const V6_ONLY: &[u8] = &[libc::AF_INET6 as u8];

/// Sockets of IPv6 carry IPv4 too.
fn families(address: IpAddr) -> &'static [u8] {
    match address {
        IpAddr::V4(_) => BOTH,
        IpAddr::V6(_) => V6_ONLY,
    }
}

/// `struct inet_diag_req_v2` for one socket, or for a dump with no socket.
fn request(kind: u16, flags: u16, family: u8, states: u32, id: &[u8; ID]) -> Message {
    let mut message = Message::new(kind, flags);
    message
        .bytes
        .extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    message.bytes.extend(states.to_ne_bytes());
    message.bytes.extend(id);
    message
}

/// A condition: the own address is `address`; the next operation if it is so, the one after
/// that if not (`struct inet_diag_bc_op` with `INET_DIAG_BC_S_COND`, then `struct
/// inet_diag_hostcond`).
fn own_address_is(address: IpAddr) -> Vec<u8> {
    const S_COND: u8 = 7;
    let (family, bytes) = match address {
        IpAddr::V4(a) => (libc::AF_INET as u8, a.octets().to_vec()),
        IpAddr::V6(a) => (libc::AF_INET6 as u8, a.octets().to_vec()),
    };
    let length = 12 + bytes.len();
    let mut program = vec![S_COND, length as u8];
    program.extend((length as u16 + JUMP).to_ne_bytes());
    program.extend([family, bytes.len() as u8 * 8, 0, 0]);
    // any port
    program.extend((-1i32).to_ne_bytes());
    program.extend(bytes);
    program
}

/// Length of a jump, bytes.
const JUMP: u16 = 4;

/// So many bytes on from its own beginning (`INET_DIAG_BC_JMP`).
fn jump(by: u16) -> [u8; 4] {
    const JMP: u8 = 1;
    let [low, high] = by.to_ne_bytes();
    [JMP, JUMP as u8, low, high]
}

/// A program: the own address is one of these. Its end is a yes, a jump behind the end a no.
fn own_address_is_one_of(addresses: &[IpAddr]) -> Vec<u8> {
    let conditions: Vec<Vec<u8>> = addresses.iter().map(|a| own_address_is(*a)).collect();
    let length = |c: &Vec<u8>| c.len() as u16 + JUMP;
    let mut rest = conditions.iter().map(length).sum::<u16>() + JUMP;
    let mut program = Vec::new();
    for condition in conditions {
        rest -= condition.len() as u16;
        program.extend(condition);
        program.extend(jump(rest));
        rest -= JUMP;
    }
    program.extend(jump(2 * JUMP));
    program
}

fn dump(fd: &OwnedFd, family: u8, states: u32, addresses: &[IpAddr]) -> io::Result<Vec<[u8; ID]>> {
    const BYTECODE: u16 = 1;
    let mut message = request(BY_FAMILY, REQUEST | DUMP, family, states, &[0; ID]);
    message.attribute(BYTECODE, &own_address_is_one_of(addresses));
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
        let mut message = request(DESTROY, REQUEST, family, STATES, id);
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

    fn ip(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    #[test]
    fn a_program_says_yes_at_its_end_and_no_behind_it() {
        let program = own_address_is_one_of(&[ip("10.0.0.1"), ip("fd00::1")]);
        let mut at = 0;
        let mut jumps = Vec::new();
        while at < program.len() {
            let no = u16::from_ne_bytes([program[at + 2], program[at + 3]]);
            jumps.push(at + usize::from(no));
            at += usize::from(program[at + 1]);
        }
        assert_eq!(at, program.len());
        let (first, second) = (16 + 4, 16 + 4 + 28 + 4);
        assert_eq!(
            jumps,
            [first, at, second, at, at + 4],
            "to the next condition, or to the end"
        );
    }

    #[test]
    fn nothing_is_found_for_an_address_that_nobody_has() {
        let none = ip("203.0.113.77");
        let fd = open().expect("a socket");
        for family in families(none) {
            assert!(
                dump(&fd, *family, STATES, &[none])
                    .expect("a list")
                    .is_empty()
            );
        }
    }

    #[test]
    fn a_connection_is_found_by_its_own_address() {
        let listener = std::net::TcpListener::bind("127.7.7.7:0").expect("a listener");
        let at = listener.local_addr().expect("an address");
        let client = std::net::TcpStream::connect(at).expect("a connection");
        let fd = open().expect("a socket");
        let found = dump(&fd, libc::AF_INET as u8, STATES, &[at.ip()]).expect("a list");
        assert_eq!(found.len(), 1, "the accepted end, not the listener");
        assert_eq!(found[0][..2], at.port().to_be_bytes());
        let client = client.local_addr().expect("an address");
        let others = ["203.0.113.77", "fd00::77"].map(ip);
        let found = connections(&[others[0], at.ip(), others[1]]).expect("a list");
        assert_eq!(found, [Connection { own: at, client }]);
        assert_eq!(connections(&others).expect("a list"), []);
    }

    #[test]
    fn a_connection_of_an_ipv6_socket_with_ipv4_is_one_of_ipv4() {
        let listener = std::net::TcpListener::bind("[::]:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let at: SocketAddr = ([127, 7, 7, 8], port).into();
        let stream = std::net::TcpStream::connect(at).expect("a connection");
        let client = stream.local_addr().expect("an address");
        let found = connections(&[at.ip()]).expect("a list");
        assert_eq!(found, [Connection { own: at, client }]);
    }
}
