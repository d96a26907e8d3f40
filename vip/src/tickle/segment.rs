//! The segment of no effect: an acknowledgement with numbers that no connection
//! has, and the socket that sends it.

use crate::core::advert::{checksum_from, pseudo_sum_for};
use crate::core::connections::Connection;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

const TCP: u8 = 6;
const HOPS: u8 = 64;
const ACK: u8 = 0x10;
const SEGMENT: usize = 20;

/// Sends segments from one virtual address.
#[derive(Debug)]
pub struct Speaker {
    socket: Socket,
}

impl Speaker {
    /// Opens a socket that sends packets with a header of their own, and hears nothing. It is
    /// bound to the address, so that rules that look at the source of a packet apply.
    pub fn new(address: IpAddr) -> io::Result<Speaker> {
        let domain = match address {
            IpAddr::V4(_) => Domain::IPV4,
            IpAddr::V6(_) => Domain::IPV6,
        };
        let protocol = Some(Protocol::from(libc::IPPROTO_RAW));
        let socket = Socket::new(domain, Type::RAW, protocol)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::new(address, 0).into())?;
        Ok(Speaker { socket })
    }

    /// Asks the client of a connection.
    pub fn ask(&self, connection: &Connection) -> io::Result<()> {
        let packet = packet(connection);
        let to = SockAddr::from(SocketAddr::new(connection.client.ip(), 0));
        self.socket.send_to(&packet, &to).map(drop)
    }
}

/// The whole packet. The kernel fills number and checksum of an IPv4 header in.
fn packet(connection: &Connection) -> Vec<u8> {
    let Connection { own, client } = connection;
    let mut out = Vec::with_capacity(60);
    let length = SEGMENT as u16;
    if own.is_ipv4() {
        let [high, low] = (20 + length).to_be_bytes();
        out.extend([0x45, 0, high, low, 0, 0, 0, 0, HOPS, TCP, 0, 0]);
    } else {
        let [high, low] = length.to_be_bytes();
        out.extend([0x60, 0, 0, 0, high, low, TCP, HOPS]);
    }
    for address in [own.ip(), client.ip()] {
        match address {
            IpAddr::V4(a) => out.extend(a.octets()),
            IpAddr::V6(a) => out.extend(a.octets()),
        }
    }
    let at = out.len();
    out.extend(own.port().to_be_bytes());
    out.extend(client.port().to_be_bytes());
    // sequence and acknowledgement
    out.extend([0; 8]);
    // five words, ACK, no window, no checksum yet, not urgent
    out.extend([0x50, ACK, 0, 0, 0, 0, 0, 0]);
    // RFC 9293, 3.1: over addresses, protocol, length and segment
    let start = pseudo_sum_for(own.ip(), client.ip(), TCP, SEGMENT);
    let sum = checksum_from(start, &out[at..]).to_be_bytes();
    out[at + 16..at + 18].copy_from_slice(&sum);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn connection(own: &str, client: &str) -> Connection {
        Connection {
            own: own.parse().expect("an address with a port"),
            client: client.parse().expect("an address with a port"),
        }
    }

    #[test]
    #[ignore = "needs root for a raw socket; tests/run runs it"]
    fn a_connection_that_lives_is_not_disturbed() {
        let listener = TcpListener::bind("127.7.7.9:0").expect("a listener");
        let own = listener.local_addr().expect("an address");
        let mut stream = TcpStream::connect(own).expect("a connection");
        let client = stream.local_addr().expect("an address");
        let (mut accepted, _) = listener.accept().expect("it came");
        let speaker = Speaker::new(own.ip()).expect("a raw socket");
        for word in [*b"one", *b"two"] {
            speaker.ask(&Connection { own, client }).expect("sent");
            accepted.write_all(&word).expect("it stands");
            let mut read = [0; 3];
            stream.read_exact(&mut read).expect("it stands");
            assert_eq!(read, word);
        }
    }

    #[test]
    fn the_segment_is_as_another_program_makes_it() {
        let packet = packet(&connection("192.0.2.10:5672", "198.51.100.7:40001"));
        let expected = [
            0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 10, 198, 51, 100, 7, // IP
            0x16, 0x28, 0x9c, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0x11, 0x26, 0, 0,
        ];
        assert_eq!(packet, expected);
    }

    #[test]
    fn the_checksum_makes_the_sum_of_all_nothing() {
        for (own, client) in [
            ("192.0.2.10:5672", "198.51.100.7:40001"),
            ("[fd00::10]:5672", "[2001:db8::7]:1024"),
        ] {
            let connection = connection(own, client);
            let packet = packet(&connection);
            let segment = &packet[if own.starts_with('[') { 40 } else { 20 }..];
            assert_eq!(segment.len(), SEGMENT);
            let start = pseudo_sum_for(connection.own.ip(), connection.client.ip(), TCP, SEGMENT);
            assert_eq!(checksum_from(start, segment), 0, "{own}");
        }
    }
}
