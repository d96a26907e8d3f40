//! Addresses: `10.0.0.1:5672`, `*:80`, `[::1]:80`, `ipv6@:80`, `unix@/path`,
//! `abns@name`, `fd@3`, port ranges and offsets.

use super::model::{Family, Host, IpNet};
use crate::diagnostic::Diagnostic;
use crate::keyword::Word;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// An address as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// Host and port.
    Inet {
        /// The host; `None` for nothing and `*`.
        host: Option<Host>,
        /// The family that was asked for by a prefix.
        family: Option<Family>,
        /// The port.
        port: Port,
    },
    /// `/path` or `unix@path`.
    Unix(PathBuf),
    /// `abns@name`.
    Abstract(String),
    /// `fd@n`.
    Fd(i32),
}

/// A port as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// None.
    None,
    /// One.
    One(u16),
    /// `1000-1010`.
    Range(u16, u16),
    /// `+10`, `-10`.
    Offset(i32),
}

impl Address {
    /// The host with nothing and `*` as the any-address of the family.
    pub fn host_or_any(host: Option<Host>, family: Option<Family>) -> Host {
        host.unwrap_or(Host::Ip(match family {
            Some(Family::V6) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }))
    }
}

/// Reads an address; `${VAR}` and `$VAR` inside of it are looked up with `env`:
/// in addresses the language does so even outside of quotes.
pub fn parse(word: &Word, env: &dyn Fn(&str) -> Option<String>) -> Result<Address, Diagnostic> {
    let text = expand(&word.text, env);
    if text.is_empty() && !word.text.is_empty() {
        return Err(bad(word, format!("`{}` gives an empty address", word.text))
            .label("is the environment variable set?"));
    }
    let (prefix, rest) = split_prefix(&text);
    match prefix {
        "" if rest.starts_with('/') => Ok(Address::Unix(PathBuf::from(rest))),
        "" | "ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6" | "udp" | "udp4" | "udp6" => {
            inet(word, family_of(prefix), rest)
        }
        "unix" | "uxst" | "uxdg" if !rest.is_empty() => Ok(Address::Unix(PathBuf::from(rest))),
        "abns" if !rest.is_empty() => Ok(Address::Abstract(rest.to_owned())),
        "fd" | "stdout" | "stderr" => rest
            .parse::<i32>()
            .ok()
            .filter(|fd| *fd >= 0)
            .map(Address::Fd)
            .ok_or_else(|| {
                bad(word, format!("`{text}` names no file descriptor"))
                    .label("expected a number behind `fd@`")
                    .help("\"fd@${NAME}\" takes the number from the environment variable NAME")
            }),
        "sockpair" | "quic4" | "quic6" | "rhttp" => Err(not_yet(word, prefix)),
        _ => Err(bad(word, format!("`{prefix}@` is not a kind of address"))
            .label("expected ipv4@, ipv6@, tcp@, udp@, unix@, abns@ or fd@")),
    }
}

fn family_of(prefix: &str) -> Option<Family> {
    match prefix {
        "ipv4" | "tcp4" | "udp4" => Some(Family::V4),
        "ipv6" | "tcp6" | "udp6" => Some(Family::V6),
        _ => None,
    }
}

fn split_prefix(text: &str) -> (&str, &str) {
    let text = text
        .strip_prefix("stream+")
        .or_else(|| text.strip_prefix("dgram+"))
        .unwrap_or(text);
    match text.split_once('@') {
        Some((prefix, rest)) if !prefix.contains(['/', ':', '.']) => (prefix, rest),
        _ => ("", text),
    }
}

fn inet(word: &Word, family: Option<Family>, text: &str) -> Result<Address, Diagnostic> {
    let (host, port) = match text.rfind([':', ']']) {
        Some(at) if text.as_bytes()[at] == b':' => (&text[..at], &text[at + 1..]),
        _ => (text, ""),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    Ok(Address::Inet {
        host: parse_host(word, family, host)?,
        family,
        port: parse_port(word, port)?,
    })
}

fn parse_host(word: &Word, family: Option<Family>, host: &str) -> Result<Option<Host>, Diagnostic> {
    if host.is_empty() || host == "*" {
        return Ok(None);
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        let fits = match family {
            None => true,
            Some(Family::V4) => ip.is_ipv4(),
            Some(Family::V6) => ip.is_ipv6(),
        };
        return if fits {
            Ok(Some(Host::Ip(ip)))
        } else {
            Err(bad(
                word,
                format!("`{host}` is not of the family that was asked for"),
            ))
        };
    }
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') || b >= 0x80;
    if !host.bytes().all(name) {
        return Err(bad(
            word,
            format!("`{host}` is neither an address nor a host name"),
        )
        .label("expected an address or a name"));
    }
    Ok(Some(Host::Name(host.to_owned(), family)))
}

fn parse_port(word: &Word, text: &str) -> Result<Port, Diagnostic> {
    if text.is_empty() {
        return Ok(Port::None);
    }
    let invalid = |port: &str| {
        bad(word, format!("invalid port `{port}`")).label("a port is a number from 1 to 65535")
    };
    let one = |port: &str| {
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| port.parse::<u16>().ok()).flatten();
        number.ok_or_else(|| invalid(port))
    };
    if let Some(offset) = text.strip_prefix('+') {
        return Ok(Port::Offset(i32::from(one(offset)?)));
    }
    if let Some(offset) = text.strip_prefix('-') {
        return Ok(Port::Offset(-i32::from(one(offset)?)));
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (one(first)?, one(last)?);
        if first == 0 || first > last {
            return Err(bad(word, format!("invalid port range `{text}`"))
                .label("expected the lower port first"));
        }
        return Ok(Port::Range(first, last));
    }
    one(text).map(Port::One)
}

fn bad(word: &Word, message: String) -> Diagnostic {
    Diagnostic::error("E1001", word.span, message)
}

fn not_yet(word: &Word, prefix: &str) -> Diagnostic {
    let message = format!("`{prefix}@` addresses are known, but not there yet");
    Diagnostic::error("E0007", word.span, message)
}

fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let found = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}'),
            None => Some(after.split_at(end.unwrap_or(after.len()))),
        };
        let Some((name, left)) = found.filter(|(name, _)| !name.is_empty()) else {
            break;
        };
        out.push_str(before);
        out.push_str(&env(name).unwrap_or_default());
        rest = left;
    }
    out.push_str(rest);
    out
}

/// Reads `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32` or one address.
pub fn network(text: &str) -> Option<IpNet> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) => Some(IpNet::V4(ip, mask4(mask)?)),
        IpAddr::V6(ip) => Some(IpNet::V6(ip, mask6(mask)?)),
    }
}

/// An IPv4 mask as a length or dotted.
pub fn mask4(mask: Option<&str>) -> Option<Ipv4Addr> {
    match mask {
        None => Some(Ipv4Addr::BROADCAST),
        Some(mask) if mask.contains('.') => mask.parse().ok(),
        Some(mask) => {
            let bits: u32 = mask.parse().ok().filter(|b| *b <= 32)?;
            Some(u32::MAX.checked_shl(32 - bits).unwrap_or(0).into())
        }
    }
}

/// An IPv6 mask as a length or an address.
pub fn mask6(mask: Option<&str>) -> Option<Ipv6Addr> {
    match mask {
        None => Some(Ipv6Addr::from(u128::MAX)),
        Some(mask) if mask.contains(':') => mask.parse().ok(),
        Some(mask) => {
            let bits: u32 = mask.parse().ok().filter(|b| *b <= 128)?;
            Some(u128::MAX.checked_shl(128 - bits).unwrap_or(0).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, Diagnostic> {
        let word = Word {
            text: text.to_owned(),
            span: Default::default(),
        };
        parse(&word, &|name| (name == "FD").then(|| "7".to_owned()))
    }

    fn ip(text: &str, port: Port) -> Address {
        Address::Inet {
            host: Some(Host::Ip(text.parse().expect("an address"))),
            family: None,
            port,
        }
    }

    #[test]
    fn every_form_of_address_is_read() {
        assert_eq!(
            read("10.0.0.1:5672").ok(),
            Some(ip("10.0.0.1", Port::One(5672)))
        );
        assert_eq!(read("[::1]:80").ok(), Some(ip("::1", Port::One(80))));
        assert_eq!(read(":::80").ok(), Some(ip("::", Port::One(80))));
        assert_eq!(read("[::1]").ok(), Some(ip("::1", Port::None)));
        assert_eq!(
            read("1.2.3.4:10-20").ok(),
            Some(ip("1.2.3.4", Port::Range(10, 20)))
        );
        assert_eq!(
            read("1.2.3.4:+10").ok(),
            Some(ip("1.2.3.4", Port::Offset(10)))
        );
        assert_eq!(
            read("/run/x.sock").ok(),
            Some(Address::Unix("/run/x.sock".into()))
        );
        assert_eq!(read("abns@x").ok(), Some(Address::Abstract("x".into())));
        assert_eq!(read("fd@${FD}").ok(), Some(Address::Fd(7)));
        assert_eq!(
            read("1.2.3.$FD:${FD}00").ok(),
            Some(ip("1.2.3.7", Port::One(700)))
        );
        assert!(read("$:80").is_err() && read("${FD:80").is_err());
        assert_eq!(
            read("ipv6@:80").ok(),
            Some(Address::Inet {
                host: None,
                family: Some(Family::V6),
                port: Port::One(80)
            })
        );
        for text in [
            "1.2.3.4:99999",
            "x@1",
            "fd@x",
            "ipv6@1.2.3.4:1",
            "a b:1",
            "1.2.3.4:9-2",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let net = network("10.0.0.0/8").expect("a network");
        assert!(net.contains("10.9.8.7".parse().expect("an address")));
        assert!(!net.contains("11.0.0.1".parse().expect("an address")));
        assert!(net.contains("::ffff:10.0.0.1".parse().expect("an address")));
        assert!(network("10.0.0.0/33").is_none());
        assert!(network("::/0").is_some());
    }
}
