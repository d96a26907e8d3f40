//! Witnesses: third hosts that answer pings, by which two hosts that do not
//! hear each other still do. A heartbeat goes to the witness as an ICMP echo
//! request whose source is the peer's address, so that the witness answers the
//! peer, heartbeat and all; it needs to know nothing of this (RFC 792: "the
//! data received in the echo message must be returned in the echo reply").
//! Only IPv4. Not here: what a heartbeat heard this way means.

use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::core::Time;
use crate::core::advert::internet_checksum;

/// Identifier of our echo requests: what else pings on this host is left alone.
const IDENTIFIER: u16 = 0x454b;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const IP_HEAD: usize = 20;
const ICMP_HEAD: usize = 8;
const ICMP: u8 = 1;
/// Hops of a request: witnesses are on the hosts' own network, or a few routers away.
const HOPS: u8 = 16;

/// The witnesses of the configuration and the socket that speaks to them.
#[derive(Debug, Default)]
pub struct Witnesses {
    socket: Option<Socket>,
    /// Each with the time at which it last brought a heartbeat.
    known: Vec<(Ipv4Addr, Option<Time>)>,
}

impl Witnesses {
    /// Takes the list of the configuration; an error when there is no socket for it.
    pub fn configure(&mut self, list: &[Ipv4Addr]) -> io::Result<()> {
        let heard = |a: &Ipv4Addr| self.known.iter().find(|(k, _)| k == a).and_then(|k| k.1);
        self.known = list.iter().map(|a| (*a, heard(a))).collect();
        if list.is_empty() {
            self.socket = None;
        } else if self.socket.is_none() {
            self.socket = Some(open()?);
        }
        Ok(())
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The socket, to be polled.
    pub fn socket(&self) -> Option<&Socket> {
        self.socket.as_ref()
    }

    /// Sends a heartbeat to `peer` by way of every witness. Losses are judged by silence.
    pub fn send(&self, peer: Ipv4Addr, sequence: u64, heartbeat: &[u8]) {
        let Some(socket) = &self.socket else {
            return;
        };
        for (witness, _) in &self.known {
            let packet = request(peer, *witness, sequence as u16, heartbeat);
            let to = SocketAddr::V4(SocketAddrV4::new(*witness, 0));
            let _ = socket.send_to(&packet, &to.into());
        }
    }

    /// The next answer of a witness: which one, and where the heartbeat in `buffer` is.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(Ipv4Addr, std::ops::Range<usize>)> {
        let mut socket = self.socket.as_ref()?;
        let length = socket.read(buffer).ok()?;
        let (from, at) = payload(&buffer[..length]).unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        Some((from, at..length))
    }

    /// Whether this address is one of the witnesses.
    pub fn knows(&self, address: Ipv4Addr) -> bool {
        self.known.iter().any(|(known, _)| *known == address)
    }

    /// A heartbeat came by this witness.
    pub fn heard(&mut self, now: Time, witness: Ipv4Addr) {
        for (_, at) in self.known.iter_mut().filter(|(k, _)| *k == witness) {
            *at = Some(now);
        }
    }

    /// Each with the time at which it last brought a heartbeat.
    pub fn list(&self) -> impl Iterator<Item = (IpAddr, Option<Time>)> + '_ {
        self.known.iter().map(|(a, at)| (IpAddr::V4(*a), *at))
    }
}

fn open() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_nonblocking(true)?;
    socket.set_header_included_v4(true)?;
    socket.attach_filter(&our_answers())?;
    let _ = socket.set_recv_buffer_size(64 * 1024);
    Ok(socket)
}

/// Classic BPF: echo replies with our identifier.
fn our_answers() -> [SockFilter; 7] {
    [
        // x = length of the IP header
        SockFilter::new(0xb1, 0, 0, 0),
        SockFilter::new(0x50, 0, 0, 0),
        SockFilter::new(0x15, 0, 3, u32::from(ECHO_REPLY)),
        SockFilter::new(0x48, 0, 0, 4),
        SockFilter::new(0x15, 0, 1, u32::from(IDENTIFIER)),
        SockFilter::new(0x06, 0, 0, 0xffff),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}

/// An IPv4 packet with an echo request; the kernel fills length, number and checksum of the IP
/// header in.
fn request(source: Ipv4Addr, witness: Ipv4Addr, sequence: u16, data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(IP_HEAD + ICMP_HEAD + data.len());
    packet.extend([0x45, 0xc0, 0, 0, 0, 0, 0, 0, HOPS, ICMP, 0, 0]);
    packet.extend(source.octets());
    packet.extend(witness.octets());
    packet.extend([ECHO_REQUEST, 0, 0, 0]);
    packet.extend(IDENTIFIER.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(data);
    let sum = internet_checksum(&packet[IP_HEAD..]).to_be_bytes();
    packet[IP_HEAD + 2..IP_HEAD + 4].copy_from_slice(&sum);
    packet
}

/// Who answered, and where the data begins; nothing for what is no echo reply of ours.
fn payload(packet: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let head = usize::from(packet.first()? & 0x0f) * 4;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let icmp = packet.get(head..head + ICMP_HEAD)?;
    let ours = icmp[0] == ECHO_REPLY && icmp[4..6] == IDENTIFIER.to_be_bytes();
    (head >= IP_HEAD && ours).then(|| (source.into(), head + ICMP_HEAD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 12);
    const WITNESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 21);

    /// What a witness makes of a request.
    fn answered(mut packet: Vec<u8>) -> Vec<u8> {
        let (source, witness) = (packet[12..16].to_vec(), packet[16..20].to_vec());
        packet[12..16].copy_from_slice(&witness);
        packet[16..20].copy_from_slice(&source);
        packet[IP_HEAD] = ECHO_REPLY;
        packet
    }

    #[test]
    fn a_request_names_the_peer_as_its_source_and_its_answer_brings_the_data() {
        let packet = request(PEER, WITNESS, 7, b"heartbeat");
        assert_eq!(packet[12..16], PEER.octets());
        assert_eq!(
            internet_checksum(&packet[IP_HEAD..]),
            0,
            "the sum over all is zero"
        );
        assert_eq!(payload(&packet), None, "a request is no answer");
        let answer = answered(packet);
        let (from, at) = payload(&answer).expect("an answer of ours");
        assert_eq!((from, &answer[at..]), (WITNESS, &b"heartbeat"[..]));
    }

    #[test]
    fn a_witness_on_loopback_answers() {
        let Ok(socket) = open() else {
            eprintln!("skipped: no right to raw sockets");
            return;
        };
        socket.set_nonblocking(false).expect("a socket");
        let limit = std::time::Duration::from_secs(5);
        socket.set_read_timeout(Some(limit)).expect("a socket");
        let host = Ipv4Addr::LOCALHOST;
        let witnesses = Witnesses {
            socket: Some(socket),
            known: vec![(host, None)],
        };
        witnesses.send(Ipv4Addr::new(127, 0, 0, 9), 1, b"beat");
        let mut buffer = [0; 512];
        // a namespace whose loopback is down has no route
        if let Some((from, range)) = witnesses.receive(&mut buffer) {
            assert_eq!((from, &buffer[range]), (host, &b"beat"[..]));
        }
    }

    proptest! {
        #[test]
        fn any_packet_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some((_, at)) = payload(&bytes) {
                prop_assert!(at <= bytes.len());
            }
        }
    }
}
