//! The PROXY protocol's header, versions 1 and 2: who the client behind a balancer is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest version 1 line.
const LINE: usize = 107;

/// A header that is all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes that the header takes.
    pub length: usize,
    /// Source and destination, where the header names them.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// Looks for a header at the front; `None` until it is all there.
pub fn parse(data: &[u8]) -> Result<Option<Header>, &'static str> {
    let seen = data.len().min(12);
    if data[..seen] == SIGNATURE[..seen] && seen > 0 {
        return version_2(data);
    }
    let seen = data.len().min(6);
    if data[..seen] == b"PROXY "[..seen] {
        return version_1(data);
    }
    Err("the connection does not begin with a PROXY protocol header")
}

fn version_1(data: &[u8]) -> Result<Option<Header>, &'static str> {
    let Some(end) = data.iter().take(LINE).position(|b| *b == b'\n') else {
        return if data.len() >= LINE {
            Err("the PROXY line has no end")
        } else {
            Ok(None)
        };
    };
    let line = std::str::from_utf8(&data[..end]).map_err(|_| "the PROXY line is not text")?;
    let line = line
        .strip_suffix('\r')
        .ok_or("the PROXY line does not end in CR LF")?;
    let words: Vec<&str> = line.split(' ').collect();
    let addresses = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        [
            "PROXY",
            family @ ("TCP4" | "TCP6"),
            source,
            destination,
            source_port,
            destination_port,
        ] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().ok()?;
                let fits = ip.is_ipv4() == (family == "TCP4");
                fits.then_some(SocketAddr::new(ip, port.parse().ok()?))
            };
            let pair = address(source, source_port).zip(address(destination, destination_port));
            Some(pair.ok_or("an address in the PROXY line cannot be read")?)
        }
        _ => return Err("the PROXY line has another form"),
    };
    Ok(Some(Header {
        length: end + 1,
        addresses,
    }))
}

fn version_2(data: &[u8]) -> Result<Option<Header>, &'static str> {
    let Some(head) = data.first_chunk::<16>() else {
        return Ok(None);
    };
    if head[12] >> 4 != 2 {
        return Err("the PROXY header's version is not 2");
    }
    let length = 16 + usize::from(u16::from_be_bytes([head[14], head[15]]));
    let Some(body) = data.get(16..length) else {
        return Ok(None);
    };
    let addresses = match (head[12] & 15, head[13]) {
        (0, _) => None,
        (1, 0x11) => Some(ipv4(body).ok_or("the PROXY header is too short for its addresses")?),
        (1, 0x21) => Some(ipv6(body).ok_or("the PROXY header is too short for its addresses")?),
        (1, _) => None,
        _ => return Err("the PROXY header's command is unknown"),
    };
    Ok(Some(Header { length, addresses }))
}

fn ipv4(body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let body = body.first_chunk::<12>()?;
    let ip = |at: usize| {
        IpAddr::V4(Ipv4Addr::new(
            body[at],
            body[at + 1],
            body[at + 2],
            body[at + 3],
        ))
    };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    Some((
        SocketAddr::new(ip(0), port(8)),
        SocketAddr::new(ip(4), port(10)),
    ))
}

fn ipv6(body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let body = body.first_chunk::<36>()?;
    let ip = |at: usize| {
        let bytes: [u8; 16] = std::array::from_fn(|n| body[at + n]);
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    Some((
        SocketAddr::new(ip(0), port(32)),
        SocketAddr::new(ip(16), port(34)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_versions_name_the_client() {
        let expected = Some((
            "10.0.0.9:4242".parse().unwrap(),
            "10.0.0.1:5672".parse().unwrap(),
        ));
        let line = b"PROXY TCP4 10.0.0.9 10.0.0.1 4242 5672\r\nAMQP";
        assert_eq!(
            parse(line),
            Ok(Some(Header {
                length: 40,
                addresses: expected
            }))
        );
        let mut binary = SIGNATURE.to_vec();
        binary.extend([
            0x21, 0x11, 0, 12, 10, 0, 0, 9, 10, 0, 0, 1, 0x10, 0x92, 0x16, 0x28,
        ]);
        assert_eq!(
            parse(&binary),
            Ok(Some(Header {
                length: 28,
                addresses: expected
            }))
        );
        for cut in 0..28 {
            assert_eq!(parse(&binary[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn a_health_check_of_the_balancer_names_nobody() {
        let mut local = SIGNATURE.to_vec();
        local.extend([0x20, 0, 0, 0]);
        assert_eq!(
            parse(&local),
            Ok(Some(Header {
                length: 16,
                addresses: None
            }))
        );
        assert_eq!(
            parse(b"PROXY UNKNOWN\r\n"),
            Ok(Some(Header {
                length: 15,
                addresses: None
            }))
        );
    }

    #[test]
    fn addresses_of_another_family_than_the_line_names_are_refused() {
        for line in [
            "PROXY TCP4 2001:db8::7 2001:db8::9 1 5672\r\n",
            "PROXY TCP6 10.0.0.9 10.0.0.1 1 5672\r\n",
            "PROXY TCP4 10.0.0.9 2001:db8::9 1 5672\r\n",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::9 1 5672\r\n";
        assert!(parse(line).is_ok_and(|header| header.is_some()));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60), proxy: bool) {
            let mut data = if proxy { SIGNATURE.to_vec() } else { b"PROXY ".to_vec() };
            data.extend(bytes);
            let _ = parse(&data);
        }
    }
}
