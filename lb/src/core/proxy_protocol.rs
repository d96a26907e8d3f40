//! The PROXY protocol, versions 1 and 2, both ways: the first bytes of a
//! connection say whom it is for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Source and destination; `None`: the connection is the proxy's own
    /// (LOCAL, UNKNOWN), the socket's addresses hold.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// PP2_TYPE_AUTHORITY: the host name that the client asked for.
    pub authority: Option<Vec<u8>>,
    /// PP2_TYPE_UNIQUE_ID.
    pub unique_id: Option<Vec<u8>>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Neither version's signature.
    Signature,
    /// A signature, and then something that the protocol does not allow.
    Malformed,
    /// A protocol that it does not know.
    Protocol,
    /// The checksum in the header is not that of the header.
    Checksum,
}

const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, the line's end included.
const V1_MAX: usize = 107;
/// Longest header of version 2 that is taken: addresses and a good deal of TLVs.
pub const MAX: usize = 4096;

const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_CRC32C: u8 = 0x03;
const TYPE_SSL: u8 = 0x20;
const TYPE_UNIQUE_ID: u8 = 0x05;

/// Reads a header from the start of `bytes`; `None`: more bytes are needed.
/// Gives also the header's length.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Bad> {
    let starts = |signature: &[u8]| {
        let common = bytes.len().min(signature.len());
        bytes[..common] == signature[..common]
    };
    if starts(V2) {
        return match bytes.len() >= 16 {
            true => parse_v2(bytes),
            false => Ok(None),
        };
    }
    if starts(b"PROXY ") {
        return parse_v1(bytes);
    }
    Err(Bad::Signature)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<(Header, usize)>, Bad> {
    let window = &bytes[..bytes.len().min(V1_MAX)];
    let family = window.get(6..).unwrap_or_default();
    let known = |name: &[u8]| {
        let common = family.len().min(name.len());
        family[..common] == name[..common]
    };
    if ![&b"TCP4 "[..], b"TCP6 ", b"UNKNOWN"].into_iter().any(known) {
        return Err(Bad::Protocol);
    }
    let Some(end) = window.windows(2).position(|w| w == b"\r\n") else {
        return match bytes.len() >= V1_MAX {
            true => Err(Bad::Malformed),
            false => Ok(None),
        };
    };
    let line = std::str::from_utf8(&window[6..end]).map_err(|_| Bad::Malformed)?;
    let mut words = line.split(' ');
    let addresses = match words.next() {
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut ip = || {
                let ip: IpAddr = words.next()?.parse().ok()?;
                (ip.is_ipv4() == (family == "TCP4")).then_some(ip)
            };
            let (from, to) = (ip().ok_or(Bad::Malformed)?, ip().ok_or(Bad::Malformed)?);
            let mut port = || words.next().and_then(|w| w.parse::<u16>().ok());
            let (from_port, to_port) = (port(), port());
            let (Some(from_port), Some(to_port), None) = (from_port, to_port, words.next()) else {
                return Err(Bad::Malformed);
            };
            Some((
                SocketAddr::new(from, from_port),
                SocketAddr::new(to, to_port),
            ))
        }
        _ => return Err(Bad::Protocol),
    };
    let header = Header {
        addresses,
        ..Header::default()
    };
    Ok(Some((header, end + 2)))
}

fn parse_v2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Bad> {
    let (version, command) = (bytes[12] >> 4, bytes[12] & 0x0f);
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if version != 2 {
        return Err(Bad::Signature);
    }
    if command > 1 || length + 16 > MAX {
        return Err(Bad::Malformed);
    }
    let Some(body) = bytes.get(16..16 + length) else {
        return Ok(None);
    };
    let (addresses, rest) = match bytes[13] {
        0x11 => (v4_addresses(body)?, &body[12..]),
        0x21 => (v6_addresses(body)?, &body[36..]),
        // Unix sockets and datagrams: no address that means anything here.
        0x31 | 0x32 => (None, body.get(216..).ok_or(Bad::Malformed)?),
        0x00 | 0x12 | 0x22 => return Ok(Some((Header::default(), 16 + length))),
        _ => return Err(Bad::Malformed),
    };
    let mut header = Header {
        addresses: addresses.filter(|_| command == 1),
        ..Header::default()
    };
    let tlvs_at = 16 + length - rest.len();
    read_tlvs(&bytes[..16 + length], tlvs_at, &mut header)?;
    Ok(Some((header, 16 + length)))
}

type Pair = Option<(SocketAddr, SocketAddr)>;

fn v4_addresses(body: &[u8]) -> Result<Pair, Bad> {
    let body: &[u8; 12] = body.first_chunk().ok_or(Bad::Malformed)?;
    let ip = |at: usize| {
        IpAddr::from(Ipv4Addr::new(
            body[at],
            body[at + 1],
            body[at + 2],
            body[at + 3],
        ))
    };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    Ok(Some((
        SocketAddr::new(ip(0), port(8)),
        SocketAddr::new(ip(4), port(10)),
    )))
}

fn v6_addresses(body: &[u8]) -> Result<Pair, Bad> {
    let body: &[u8; 36] = body.first_chunk().ok_or(Bad::Malformed)?;
    let ip = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&body[at..at + 16]);
        IpAddr::from(Ipv6Addr::from(octets))
    };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    Ok(Some((
        SocketAddr::new(ip(0), port(32)),
        SocketAddr::new(ip(16), port(34)),
    )))
}

fn read_tlvs(all: &[u8], start: usize, header: &mut Header) -> Result<(), Bad> {
    let mut at = start;
    while at < all.len() {
        let head: &[u8; 3] = all[at..].first_chunk().ok_or(Bad::Malformed)?;
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let value_at = at + 3;
        let value = all.get(value_at..value_at + length).ok_or(Bad::Malformed)?;
        match head[0] {
            TYPE_AUTHORITY => header.authority = Some(value.to_vec()),
            TYPE_UNIQUE_ID if length <= 128 => header.unique_id = Some(value.to_vec()),
            TYPE_CRC32C => {
                let stated: [u8; 4] = value.try_into().map_err(|_| Bad::Malformed)?;
                let mut copy = all.to_vec();
                copy[value_at..value_at + 4].fill(0);
                if crc32c::crc32c(&copy) != u32::from_be_bytes(stated) {
                    return Err(Bad::Checksum);
                }
            }
            _ => {}
        }
        at = value_at + length;
    }
    Ok(())
}

/// Version 1 for these addresses; `UNKNOWN` without.
pub fn v1(addresses: Pair) -> Vec<u8> {
    let Some((from, to)) = addresses.map(same_family) else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        from.ip(),
        to.ip(),
        from.port(),
        to.port()
    )
    .into_bytes()
}

/// What version 2 may carry besides the addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'a> {
    /// Host name that the client asked for.
    pub authority: Option<&'a [u8]>,
    /// Unique id of the session.
    pub unique_id: Option<&'a [u8]>,
    /// Say that the client came without TLS.
    pub no_tls: bool,
    /// Add a checksum.
    pub crc32c: bool,
}

/// Version 2 for these addresses; LOCAL without.
pub fn v2(addresses: Pair, extras: Extras<'_>) -> Vec<u8> {
    let mut out = V2.to_vec();
    match addresses.map(same_family) {
        None => out.extend([0x20, 0x00, 0, 0]),
        Some((SocketAddr::V4(from), SocketAddr::V4(to))) => {
            out.extend([0x21, 0x11, 0, 0]);
            out.extend(from.ip().octets());
            out.extend(to.ip().octets());
            out.extend(from.port().to_be_bytes());
            out.extend(to.port().to_be_bytes());
        }
        Some((from, to)) => {
            out.extend([0x21, 0x21, 0, 0]);
            out.extend(v6_octets(from.ip()));
            out.extend(v6_octets(to.ip()));
            out.extend(from.port().to_be_bytes());
            out.extend(to.port().to_be_bytes());
        }
    }
    let mut tlv = |kind: u8, value: &[u8]| {
        out.push(kind);
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value);
    };
    if let Some(name) = extras.authority {
        tlv(TYPE_AUTHORITY, &name[..name.len().min(255)]);
    }
    if let Some(id) = extras.unique_id {
        tlv(TYPE_UNIQUE_ID, &id[..id.len().min(128)]);
    }
    if extras.no_tls {
        // no flag of the client, and nothing was verified
        tlv(TYPE_SSL, &[0; 5]);
    }
    if extras.crc32c {
        tlv(TYPE_CRC32C, &[0; 4]);
    }
    let length = (out.len() - 16) as u16;
    out[14..16].copy_from_slice(&length.to_be_bytes());
    if extras.crc32c {
        let sum = crc32c::crc32c(&out).to_be_bytes();
        let at = out.len() - 4;
        out[at..].copy_from_slice(&sum);
    }
    out
}

/// Both as IPv4 if both are (also when mapped), else both as IPv6.
fn same_family((from, to): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    let (a, b) = (from.ip().to_canonical(), to.ip().to_canonical());
    let wide = |ip: IpAddr| IpAddr::from(v6_octets(ip));
    let (a, b) = match (a, b) {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => (a, b),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => (wide(a), wide(b)),
    };
    (
        SocketAddr::new(a, from.port()),
        SocketAddr::new(b, to.port()),
    )
}

fn v6_octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(from: &str, to: &str) -> Pair {
        Some((from.parse().expect("address"), to.parse().expect("address")))
    }

    #[test]
    fn version_1_is_one_readable_line() {
        let line = v1(pair("192.0.2.1:5000", "192.0.2.2:5672"));
        assert_eq!(line, b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 5672\r\n");
        assert_eq!(v1(None), b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn a_truncated_header_asks_for_more_and_garbage_is_refused_at_once() {
        let whole = v2(
            pair("[2001:db8::1]:1", "[2001:db8::2]:2"),
            Extras::default(),
        );
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), Ok(None));
        }
        assert_eq!(parse(b"AMQP\0\0\x09\x01"), Err(Bad::Signature));
        assert_eq!(
            parse(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n"),
            Err(Bad::Malformed)
        );
        assert_eq!(
            parse(&[b"PROXY TCP4 ".as_slice(), &[b'1'; 110]].concat()),
            Err(Bad::Malformed)
        );
        assert_eq!(parse(b"PROXY TCP5"), Err(Bad::Protocol));
        let third = [V2.as_slice(), &[0x31, 0x11, 0, 0]].concat();
        assert_eq!(parse(&third), Err(Bad::Signature));
    }

    #[test]
    fn a_wrong_checksum_is_noticed() {
        let extras = Extras {
            crc32c: true,
            ..Extras::default()
        };
        let mut header = v2(pair("192.0.2.1:1", "192.0.2.2:2"), extras);
        assert!(matches!(parse(&header), Ok(Some(_))));
        header[17] ^= 1;
        assert_eq!(parse(&header), Err(Bad::Checksum));
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_back(
            from in any::<SocketAddr>(), to in any::<SocketAddr>(), crc32c: bool,
            name in prop::option::of("[a-z.]{1,60}"), behind in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let plain = |a: SocketAddr| SocketAddr::new(a.ip(), a.port());
            let addresses = Some((plain(from), plain(to)));
            let want = addresses.map(same_family);
            let authority = name.as_ref().map(String::as_bytes);
            for header in [v1(addresses), v2(addresses, Extras { authority, unique_id: None, no_tls: crc32c, crc32c })] {
                let length = header.len();
                let bytes = [header, behind.clone()].concat();
                let (read, used) = parse(&bytes).expect("valid").expect("whole");
                prop_assert_eq!(used, length);
                let got = read.addresses.map(same_family);
                prop_assert_eq!(got, want);
            }
        }

        #[test]
        fn any_bytes_are_answered_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), v2_like: bool) {
            let bytes = if v2_like { [V2.to_vec(), bytes].concat() } else { bytes };
            let _ = parse(&bytes);
        }
    }
}
