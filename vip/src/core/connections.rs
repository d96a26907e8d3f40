//! The pair channel's second message: which clients are connected to virtual
//! addresses of the sender, so that a successor can ask them whether they still
//! are. A list is told in parts, each with an HMAC over everything before it.
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | `EKVC` |
//! | 1 | version, 1 |
//! | 1 | zero |
//! | 2 | number of this part, from 0 |
//! | 2 | number of parts, at most 1024 |
//! | 2 | zero |
//! | 4 | number of the list, growing within a boot id |
//! | 16 | boot id of the sender |
//! | 16 | boot id last heard from the receiver |
//! | | groups of connections with the same own end |
//! | 16 | HMAC-SHA256 of all the above, cut to 128 bits |
//!
//! A group: family (4 or 6), zero, own port (2), own address (4 or 16), number of
//! clients (2), and for each its address (4 or 16) and port (2). All big-endian.

use super::heartbeat::{BootId, Secret, TAG, same};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most parts of a list.
pub const MOST_PARTS: u16 = 1024;
/// Most bytes of connections in a part: with its frame it fits into an Ethernet packet.
pub const ROOM: usize = 1200;
/// Size of the largest message.
pub const LARGEST: usize = HEAD + ROOM + TAG;
const MAGIC: [u8; 4] = *b"EKVC";
const VERSION: u8 = 1;
const HEAD: usize = 48;

/// A client's connection to a virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// The virtual address and the port that the client knows.
    pub own: SocketAddr,
    /// The client.
    pub client: SocketAddr,
}

/// A part of a list, as it is sent and heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number of the list.
    pub list: u32,
    /// Which part of it this is, from 0.
    pub number: u16,
    /// How many it has.
    pub of: u16,
    /// Its connections, packed.
    pub packed: Box<[u8]>,
}

/// Packs connections into parts; an empty list is one empty part. What does not fit into
/// [`MOST_PARTS`] is left out.
pub fn pack(list: u32, mut connections: Vec<Connection>) -> Vec<Part> {
    connections.sort_unstable();
    connections.dedup();
    let mut packed = vec![Vec::new()];
    for group in connections.chunk_by(|a, b| a.own == b.own) {
        pack_group(group, &mut packed);
    }
    packed.truncate(usize::from(MOST_PARTS));
    let of = packed.len() as u16;
    let part = |(number, packed): (u16, Vec<u8>)| Part {
        list,
        number,
        of,
        packed: packed.into(),
    };
    (0..).zip(packed).map(part).collect()
}

fn pack_group(group: &[Connection], parts: &mut Vec<Vec<u8>>) {
    let Some(Connection { own, .. }) = group.first() else {
        return;
    };
    let width = if own.is_ipv4() { 4 } else { 16 };
    let (head, entry) = (6 + width, width + 2);
    let mut rest = group;
    while !rest.is_empty() {
        let used = parts.last().map_or(ROOM, Vec::len);
        let fitting = ROOM.saturating_sub(used + head) / entry;
        let (now, later) = rest.split_at(fitting.min(rest.len()));
        if let (Some(part), false) = (parts.last_mut(), now.is_empty()) {
            part.extend([if own.is_ipv4() { 4 } else { 6 }, 0]);
            part.extend(own.port().to_be_bytes());
            put(part, own.ip());
            part.extend((now.len() as u16).to_be_bytes());
            for connection in now {
                put(part, connection.client.ip());
                part.extend(connection.client.port().to_be_bytes());
            }
        }
        rest = later;
        if !rest.is_empty() {
            parts.push(Vec::new());
        }
    }
}

fn put(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(a) => out.extend(a.octets()),
        IpAddr::V6(a) => out.extend(a.octets()),
    }
}

/// Gives each connection of a packed part to `each`, until the end or what cannot be read.
pub fn unpack(packed: &[u8], mut each: impl FnMut(Connection)) {
    let mut rest = packed;
    let mut one_group = || -> Option<()> {
        let family = take::<2>(&mut rest)?[0];
        let port = u16::from_be_bytes(take(&mut rest)?);
        let own = SocketAddr::new(address(family, &mut rest)?, port);
        let clients = u16::from_be_bytes(take(&mut rest)?);
        for _ in 0..clients {
            let from = address(family, &mut rest)?;
            let port = u16::from_be_bytes(take(&mut rest)?);
            let client = SocketAddr::new(from, port);
            each(Connection { own, client });
        }
        Some(())
    };
    while one_group().is_some() {}
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk::<N>()?;
    *rest = others;
    Some(*first)
}

fn address(family: u8, rest: &mut &[u8]) -> Option<IpAddr> {
    match family {
        4 => take(rest).map(|b: [u8; 4]| Ipv4Addr::from(b).into()),
        6 => take(rest).map(|b: [u8; 16]| Ipv6Addr::from(b).into()),
        _ => None,
    }
}

impl Part {
    /// The bytes to send from the process `boot` to the one with the boot id `echo`.
    pub fn encode(&self, boot: &BootId, echo: &BootId, secret: &Secret) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.packed.len() + TAG);
        out.extend(MAGIC);
        out.extend([VERSION, 0]);
        out.extend(self.number.to_be_bytes());
        out.extend(self.of.to_be_bytes());
        out.extend([0, 0]);
        out.extend(self.list.to_be_bytes());
        out.extend(boot);
        out.extend(echo);
        out.extend(&self.packed);
        let tag = secret.tag(&out);
        out.extend(tag);
        out
    }

    /// Whether a message is one of these, as far as its first bytes tell.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads a message for the process `own`: its sender's boot id and the part. Nothing when it
    /// is damaged, of another version or secret, or meant for another process.
    pub fn decode(bytes: &[u8], own: &BootId, secret: &Secret) -> Option<(BootId, Part)> {
        let (message, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let mut rest = message;
        let magic: [u8; 4] = take(&mut rest)?;
        let [version, _] = take(&mut rest)?;
        let number = u16::from_be_bytes(take(&mut rest)?);
        let of = u16::from_be_bytes(take(&mut rest)?);
        let _: [u8; 2] = take(&mut rest)?;
        let list = u32::from_be_bytes(take(&mut rest)?);
        let boot: BootId = take(&mut rest)?;
        let echo: BootId = take(&mut rest)?;
        let fits = number < of && of <= MOST_PARTS && rest.len() <= ROOM;
        if magic != MAGIC || version != VERSION || echo != *own || !fits {
            return None;
        }
        if !same(&secret.tag(message), tag) {
            return None;
        }
        let packed = rest.into();
        let part = Part {
            list,
            number,
            of,
            packed,
        };
        Some((boot, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn connection(own: &str, client: &str) -> Connection {
        Connection {
            own: own.parse().expect("an address with a port"),
            client: client.parse().expect("an address with a port"),
        }
    }

    fn unpacked(parts: &[Part]) -> Vec<Connection> {
        let mut all = Vec::new();
        for part in parts {
            unpack(&part.packed, |c| all.push(c));
        }
        all
    }

    #[test]
    fn a_list_is_read_back_and_each_connection_stands_once() {
        let mut list = vec![
            connection("192.0.2.10:5672", "198.51.100.7:40001"),
            connection("[fd00::10]:5672", "[fd00::7]:40002"),
            connection("192.0.2.10:5671", "198.51.100.8:40003"),
            connection("192.0.2.10:5672", "198.51.100.7:40001"),
        ];
        let parts = pack(7, list.clone());
        assert_eq!((parts.len(), parts[0].list, parts[0].of), (1, 7, 1));
        list.sort_unstable();
        list.dedup();
        assert_eq!(unpacked(&parts), list);
    }

    #[test]
    fn an_empty_list_is_one_empty_part() {
        let parts = pack(1, Vec::new());
        assert_eq!((parts.len(), parts[0].packed.len()), (1, 0));
    }

    #[test]
    fn a_long_list_has_parts_that_fit_and_an_end() {
        let one = |i: u32| Connection {
            own: ([192, 0, 2, 10], 5672).into(),
            client: (Ipv4Addr::from(0x0a00_0000 + i), 1024).into(),
        };
        let parts = pack(1, (0..20_000).map(one).collect());
        assert!(parts.iter().all(|p| p.packed.len() <= ROOM));
        assert_eq!(unpacked(&parts).len(), 20_000);
        assert_eq!(parts.last().map(|p| p.number + 1), Some(parts[0].of));
        let parts = pack(1, (0..300_000).map(one).collect());
        assert_eq!(parts.len(), usize::from(MOST_PARTS));
    }

    #[test]
    fn a_part_is_for_one_process_and_of_those_who_know_the_secret() {
        let secret = Secret::new([9; 32]);
        let part = pack(3, vec![connection("192.0.2.10:1", "192.0.2.20:2")]).remove(0);
        let bytes = part.encode(&[1; 16], &[2; 16], &secret);
        let read = |own: u8, key: u8| Part::decode(&bytes, &[own; 16], &Secret::new([key; 32]));
        assert_eq!(read(2, 9), Some(([1; 16], part)));
        assert_eq!(read(3, 9), None);
        assert_eq!(read(2, 8), None);
    }

    #[test]
    fn a_flipped_bit_or_a_cut_anywhere_is_noticed() {
        let secret = Secret::new([9; 32]);
        let part = pack(3, vec![connection("192.0.2.10:1", "192.0.2.20:2")]).remove(0);
        let bytes = part.encode(&[1; 16], &[2; 16], &secret);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Part::decode(&bad, &[2; 16], &secret), None);
            assert_eq!(Part::decode(&bytes[..at], &[2; 16], &secret), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_to_no_more_than_they_hold(bytes: Vec<u8>) {
            let mut count = 0;
            unpack(&bytes, |_| count += 1);
            prop_assert!(count * 6 <= bytes.len());
        }

        #[test]
        fn any_connections_are_read_back(
            ends in proptest::collection::vec(
                (any::<[u8; 16]>(), any::<u8>(), any::<u16>(), any::<bool>()), 0..400)
        ) {
            let of = |(address, own, port, v4): &([u8; 16], u8, u16, bool)| {
                let [a, b, c, d, ..] = *address;
                match v4 {
                    true => Connection {
                        own: ([192, 0, 2, *own], 5672).into(),
                        client: ([a, b, c, d], *port).into(),
                    },
                    false => Connection {
                        own: (Ipv6Addr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, *own]), 5672).into(),
                        client: (Ipv6Addr::from(*address), *port).into(),
                    },
                }
            };
            let mut list: Vec<Connection> = ends.iter().map(of).collect();
            let parts = pack(1, list.clone());
            list.sort_unstable();
            list.dedup();
            prop_assert_eq!(unpacked(&parts), list);
        }
    }
}
