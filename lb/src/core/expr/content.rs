//! What the bytes of a connection say: payload, TLS hello, RDP cookie.

use super::{Found, Sample, Window};
use conf::lb::model::{LvStart, PayloadLv};
use std::net::SocketAddrV4;

/// Bytes that are there.
pub(super) fn length(window: Window<'_>) -> Found {
    Found {
        value: Some(Sample::Int(window.bytes.len() as i64)),
        open: !window.complete,
    }
}

fn too_short(window: Window<'_>) -> Found {
    Found {
        value: None,
        open: !window.complete,
    }
}

/// `payload(at,length)`; length 0: what is there from `at` on.
pub(super) fn payload(window: Window<'_>, at: usize, length: usize) -> Found {
    if length == 0 {
        return match window.bytes.get(at..).filter(|b| !b.is_empty()) {
            Some(bytes) => Found {
                value: Some(Sample::Bytes(bytes.to_vec())),
                open: !window.complete,
            },
            None => too_short(window),
        };
    }
    let end = at.saturating_add(length);
    match window.bytes.get(at..end) {
        Some(bytes) => Found::just(Sample::Bytes(bytes.to_vec())),
        None => too_short(window),
    }
}

/// `payload_lv`: bytes whose length stands before them.
pub(super) fn payload_lv(window: Window<'_>, lv: PayloadLv) -> Found {
    let end = lv.length_at.saturating_add(lv.length_size);
    let Some(field) = window.bytes.get(lv.length_at..end) else {
        return too_short(window);
    };
    let fold = |n: usize, b: &u8| {
        n.checked_mul(256)
            .and_then(|n| n.checked_add(usize::from(*b)))
    };
    let Some(length) = field.iter().try_fold(0_usize, fold).filter(|n| *n > 0) else {
        return Found::missing();
    };
    let start = match lv.start {
        LvStart::Behind(offset) => end.saturating_add_signed(offset),
        LvStart::At(at) => at,
    };
    payload(window, start, length)
}

/// Whether the bytes are the head of an HTTP request.
pub(super) fn looks_like_http(window: Window<'_>) -> Found {
    let mut slots = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(window.bytes) {
        Ok(httparse::Status::Complete(_)) => Found::just(Sample::Bool(true)),
        Ok(httparse::Status::Partial) if !window.complete => Found::later(),
        Ok(httparse::Status::Partial) | Err(_) => Found::just(Sample::Bool(false)),
    }
}

/// A reader that knows "not there yet" from "not there".
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count)?;
        self.bytes = tail;
        Some(head)
    }

    fn number(&mut self, size: usize) -> Option<usize> {
        let field = self.take(size)?;
        Some(field.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    /// A field behind its own length.
    fn sized(&mut self, size: usize) -> Option<Reader<'a>> {
        let length = self.number(size)?;
        Some(Reader {
            bytes: self.take(length)?,
        })
    }
}

/// The handshake message of the first TLS record, once it is there.
enum Hello<'a> {
    Whole {
        kind: u8,
        version: u16,
        body: &'a [u8],
    },
    Short,
    Other,
}

fn hello(bytes: &[u8]) -> Hello<'_> {
    if bytes.first().is_some_and(|b| *b != 0x16) || bytes.get(1).is_some_and(|b| *b != 3) {
        return Hello::Other;
    }
    let mut reader = Reader { bytes };
    let Some(version) = reader
        .take(3)
        .map(|_| u16::from_be_bytes([bytes[1], bytes[2]]))
    else {
        return Hello::Short;
    };
    let Some(mut record) = reader.sized(2) else {
        return match bytes.len() > 16_384 + 5 {
            true => Hello::Other,
            false => Hello::Short,
        };
    };
    let Some(kind) = record.number(1) else {
        return Hello::Other;
    };
    match record.number(3) {
        Some(_) => Hello::Whole {
            kind: kind as u8,
            version,
            body: record.bytes,
        },
        None => Hello::Other,
    }
}

fn of_hello(window: Window<'_>, read: impl FnOnce(u8, u16, &[u8]) -> Option<Sample>) -> Found {
    match hello(window.bytes) {
        Hello::Whole {
            kind,
            version,
            body,
        } => Found::maybe(read(kind, version, body)),
        Hello::Short => too_short(window),
        Hello::Other => Found::missing(),
    }
}

/// 1 for a client's hello, 2 for a server's.
pub(super) fn hello_type(window: Window<'_>) -> Found {
    of_hello(window, |kind, _, _| Some(Sample::Int(i64::from(kind))))
}

/// Version of the client's hello as `major << 16 + minor`.
pub(super) fn tls_version(window: Window<'_>) -> Found {
    of_hello(window, |kind, record, body| {
        let version = match kind {
            1 => u16::from_be_bytes(*body.first_chunk()?),
            _ => record,
        };
        let [major, minor] = version.to_be_bytes();
        Some(Sample::Int(i64::from(major) << 16 | i64::from(minor)))
    })
}

/// The extension `wanted` of a client's hello.
fn extension(kind: u8, body: &[u8], wanted: usize) -> Option<Reader<'_>> {
    if kind != 1 {
        return None;
    }
    let mut reader = Reader { bytes: body };
    reader.take(2 + 32)?;
    reader.sized(1)?;
    reader.sized(2)?;
    reader.sized(1)?;
    let mut extensions = reader.sized(2)?;
    loop {
        let number = extensions.number(2)?;
        let value = extensions.sized(2)?;
        if number == wanted {
            return Some(value);
        }
    }
}

/// The host name that a TLS client asks for.
pub(super) fn sni(window: Window<'_>) -> Found {
    of_hello(window, |kind, _, body| {
        let mut names = extension(kind, body, 0)?.sized(2)?;
        loop {
            let name_type = names.number(1)?;
            let name = names.sized(2)?;
            if name_type == 0 {
                return Some(Sample::text(name.bytes));
            }
        }
    })
}

/// The first protocol of the client's ALPN list.
pub(super) fn alpn(window: Window<'_>) -> Found {
    of_hello(window, |kind, _, body| {
        let mut protocols = extension(kind, body, 16)?.sized(2)?;
        Some(Sample::text(protocols.sized(1)?.bytes))
    })
}

/// The client's hello has the "supported groups" extension.
pub(super) fn has_ec_extension(window: Window<'_>) -> Found {
    of_hello(window, |kind, _, body| {
        Some(Sample::Bool(extension(kind, body, 10).is_some()))
    })
}

/// The session ticket extension of the client's hello: 0 when it has none, 1
/// when it is empty, 2 with a ticket.
pub(super) fn ticket_extension(window: Window<'_>) -> Found {
    of_hello(window, |kind, _, body| {
        let value = extension(kind, body, 35);
        Some(Sample::Int(match value.map(|v| v.bytes.len()) {
            None => 0,
            Some(0) => 1,
            Some(_) => 2,
        }))
    })
}

/// The server that an RDP cookie of the form `<address>.<port>.<reserved>` names:
/// decimal numbers whose bytes are, in the order of a little-endian machine's
/// memory, those of the address and the port.
pub fn rdp_server(cookie: &[u8]) -> Option<SocketAddrV4> {
    let text = std::str::from_utf8(cookie).ok()?;
    let mut parts = text.split('.');
    let address: u32 = parts.next()?.parse().ok()?;
    let port: u16 = parts.next()?.parse().ok()?;
    parts.next()?;
    Some(SocketAddrV4::new(
        address.to_le_bytes().into(),
        port.swap_bytes(),
    ))
}

/// The cookie (`mstshash=` or the named one) of an RDP connection request.
pub(super) fn rdp_cookie(window: Window<'_>, name: Option<&str>) -> Found {
    const COOKIE: &[u8] = b"Cookie: ";
    let Some(text) = window.bytes.get(11..) else {
        return too_short(window);
    };
    let common = text.len().min(COOKIE.len());
    if text[..common] != COOKIE[..common] {
        return Found::missing();
    }
    let Some(end) = text.windows(2).position(|w| w == b"\r\n") else {
        return too_short(window);
    };
    let cookie = text.get(COOKIE.len()..end).unwrap_or_default();
    let Some(at) = cookie.iter().position(|b| *b == b'=') else {
        return Found::missing();
    };
    let named = name.is_none_or(|n| cookie[..at].eq_ignore_ascii_case(n.as_bytes()));
    Found::maybe(named.then(|| Sample::text(&cookie[at + 1..])))
}
