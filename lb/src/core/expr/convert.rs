//! Converters: what is done to a value on its way.

use super::{Sample, World};
use crate::core::balance::hash;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use conf::lb::model::{ArithmeticOp, Converter, Operand};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The converted value; nothing when the converter does not apply to it.
pub(super) fn convert(
    converter: &Converter,
    value: Sample,
    world: &mut dyn World,
) -> Option<Sample> {
    use Converter as C;
    let int = |value: &Sample| value.to_int();
    Some(match converter {
        C::Arithmetic(operator, operand) => {
            let right = match operand {
                Operand::Int(n) => *n,
                Operand::Var(name) => world.variable(name)?.to_int()?,
            };
            Sample::Int(calculate(*operator, int(&value)?, right))
        }
        C::Neg => Sample::Int(int(&value)?.wrapping_neg()),
        C::Cpl => Sample::Int(!int(&value)?),
        C::Not => Sample::Bool(!value.to_bool()),
        C::Bool => Sample::Bool(value.to_bool()),
        C::Even => Sample::Bool(int(&value)? & 1 == 0),
        C::Odd => Sample::Bool(int(&value)? & 1 == 1),
        C::Lower => Sample::Text(raw(value).to_ascii_lowercase()),
        C::Upper => Sample::Text(raw(value).to_ascii_uppercase()),
        C::Length => Sample::Int(raw(value).len() as i64),
        C::Bytes(at, count) => {
            let bytes = raw(value);
            let tail = bytes.get(*at..)?;
            Sample::Bytes(tail[..count.unwrap_or(tail.len()).min(tail.len())].to_vec())
        }
        C::Field(index, delimiters, count) => {
            Sample::Text(part(&raw(value), *index, delimiters, *count, false)?)
        }
        C::Word(index, delimiters, count) => {
            Sample::Text(part(&raw(value), *index, delimiters, *count, true)?)
        }
        C::Hex => Sample::Text(hex(&value.to_bytes())),
        C::Hex2i => {
            let text = raw(value);
            let text = std::str::from_utf8(&text).ok()?;
            Sample::Int(i64::from_str_radix(text.trim(), 16).ok()?)
        }
        C::Be2dec(separator, chunk, truncate) => {
            let number = |part: &[u8]| {
                let n = part.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
                n.to_string().into_bytes()
            };
            Sample::Text(chunks(
                &value.to_bytes(),
                separator,
                *chunk,
                *truncate,
                number,
            ))
        }
        C::Be2hex(separator, chunk, truncate) => {
            Sample::Text(chunks(&value.to_bytes(), separator, *chunk, *truncate, hex))
        }
        C::Base64 => Sample::text(STANDARD.encode(value.to_bytes())),
        C::UrlBase64 => Sample::text(URL_SAFE_NO_PAD.encode(value.to_bytes())),
        C::Base64Decode => Sample::Bytes(STANDARD.decode(raw(value)).ok()?),
        C::UrlBase64Decode => {
            let text = raw(value);
            let end = text.iter().rposition(|b| *b != b'=').map_or(0, |n| n + 1);
            Sample::Bytes(URL_SAFE_NO_PAD.decode(&text[..end]).ok()?)
        }
        C::UrlDecode => Sample::Text(url_decode(&raw(value))?),
        C::UrlEncode => Sample::Text(url_encode(&raw(value))),
        C::IpMask(v4, v6) => Sample::Ip(mask(value.to_ip()?, *v4, *v6)?),
        C::Hash32(function, avalanche) => {
            let plain = hash::hash(*function, &value.to_bytes());
            Sample::Int(i64::from(spread(plain, *avalanche)))
        }
        C::Crc32c(avalanche) => {
            let plain = crc32c::crc32c(&value.to_bytes());
            Sample::Int(i64::from(spread(plain, *avalanche)))
        }
        C::Regsub { regex, with, all } => {
            let text = raw(value);
            let with = groups(with);
            let limit = if *all { 0 } else { 1 };
            let replaced = regex.compiled.replacen(&text, limit, with.as_slice());
            Sample::Text(replaced.into_owned())
        }
        C::Concat(start, name, end) => {
            let mut text = raw(value);
            text.extend(start.as_bytes());
            if let Some(name) = name {
                text.extend(
                    world
                        .variable(name)
                        .map(|v| v.to_text())
                        .unwrap_or_default(),
                );
            }
            text.extend(end.as_bytes());
            Sample::Text(text)
        }
        C::Iif(yes, no) => Sample::text(if value.to_bool() { yes.as_str() } else { no }),
        C::Ltime(format, offset) => time(int(&value)?, *offset, format, true)?,
        C::Utime(format, offset) => time(int(&value)?, *offset, format, false)?,
        C::Strcmp(name) => {
            let other = world.variable(name)?.to_text();
            Sample::Int(strcmp(&raw(value), &other))
        }
        C::Json => Sample::Text(json(&raw(value))),
        C::SetVar(name) => {
            world.set_variable(name, Some(value.clone()));
            value
        }
        C::UnsetVar(name) => {
            world.set_variable(name, None);
            value
        }
        C::Htonl => Sample::Bytes((int(&value)? as u32).to_be_bytes().to_vec()),
        C::Debug => value,
        C::Ltrim(chars) => {
            let text = raw(value);
            let start = text.iter().position(|b| !chars.as_bytes().contains(b));
            Sample::Text(text[start.unwrap_or(text.len())..].to_vec())
        }
        C::Rtrim(chars) => {
            let text = raw(value);
            let end = text.iter().rposition(|b| !chars.as_bytes().contains(b));
            Sample::Text(text[..end.map_or(0, |n| n + 1)].to_vec())
        }
        C::Nbsrv => {
            let name = String::from_utf8(raw(value)).ok()?;
            world.fetch(&conf::lb::model::Fetch::Nbsrv(name)).value?
        }
        C::SrvQueue => {
            let text = String::from_utf8(raw(value)).ok()?;
            let (backend, server) = text.split_once('/').unwrap_or(("", text.as_str()));
            let server = conf::lb::model::ServerRef {
                backend: backend.to_owned(),
                server: server.to_owned(),
            };
            world
                .fetch(&conf::lb::model::Fetch::SrvQueue(server))
                .value?
        }
    })
}

/// Text or bytes as they are; other values as text.
fn raw(value: Sample) -> Vec<u8> {
    match value {
        Sample::Bytes(bytes) | Sample::Text(bytes) => bytes,
        other => other.to_text(),
    }
}

/// Upper case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let pair = |b: &u8| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]];
    bytes.iter().flat_map(pair).collect()
}

fn spread(hash: u32, avalanche: bool) -> u32 {
    match avalanche {
        true => hash::avalanche(hash),
        false => hash,
    }
}

fn calculate(operator: ArithmeticOp, left: i64, right: i64) -> i64 {
    match operator {
        ArithmeticOp::Add => left.saturating_add(right),
        ArithmeticOp::Sub => left.saturating_sub(right),
        ArithmeticOp::Mul => left.saturating_mul(right),
        // As HAProxy: a division by zero gives the greatest number, its rest 0.
        ArithmeticOp::Div => left.checked_div(right).unwrap_or(i64::MAX),
        ArithmeticOp::Mod => left.checked_rem(right).unwrap_or(0),
        ArithmeticOp::And => left & right,
        ArithmeticOp::Or => left | right,
        ArithmeticOp::Xor => left ^ right,
    }
}

/// Field or word number `index` (from 1; negative: from the end) and those
/// behind it, `count` in all (0: the rest). Words never are empty.
fn part(text: &[u8], index: i64, delimiters: &str, count: i64, words: bool) -> Option<Vec<u8>> {
    let is_delimiter = |b: &u8| delimiters.as_bytes().contains(b);
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    for end in (0..=text.len()).filter(|n| text.get(*n).is_none_or(is_delimiter)) {
        if !words || end > start {
            parts.push((start, end));
        }
        start = end + 1;
    }
    if index < 0 {
        parts.reverse();
    }
    let first = usize::try_from(index.unsigned_abs()).ok()?.checked_sub(1)?;
    let taken = parts.get(first..)?;
    let taken = match usize::try_from(count) {
        Ok(0) | Err(_) => taken,
        Ok(count) => &taken[..count.min(taken.len())],
    };
    let start = taken.iter().map(|(start, _)| *start).min()?;
    let end = taken.iter().map(|(_, end)| *end).max()?;
    Some(text[start..end].to_vec())
}

fn chunks(
    bytes: &[u8],
    separator: &str,
    size: usize,
    truncate: bool,
    print: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let size = size.clamp(1, 8);
    let whole = bytes
        .chunks(size)
        .filter(|c| !truncate || c.len() == size)
        .map(print)
        .collect::<Vec<_>>();
    whole.join(separator.as_bytes())
}

fn url_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    Some(out)
}

fn url_encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for b in text {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*b),
            b => {
                out.push(b'%');
                out.extend(hex(&[*b]));
            }
        }
    }
    out
}

fn mask(ip: IpAddr, v4: Ipv4Addr, v6: Option<Ipv6Addr>) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => Some(IpAddr::from(Ipv4Addr::from(u32::from(ip) & u32::from(v4)))),
        IpAddr::V6(ip) => {
            let mask = v6?;
            Some(IpAddr::from(Ipv6Addr::from(
                u128::from(ip) & u128::from(mask),
            )))
        }
    }
}

/// `\1` as the regex crate writes it; its own `$` is escaped.
fn groups(with: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = with.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (*first, tail.first()) {
            (b'\\', Some(digit @ b'0'..=b'9')) => {
                out.extend([b'$', b'{', *digit, b'}']);
                rest = &tail[1..];
            }
            (b'\\', Some(other)) => {
                out.push(*other);
                rest = &tail[1..];
            }
            (b'$', _) => out.extend(b"$$"),
            (byte, _) => out.push(byte),
        }
    }
    out
}

fn time(seconds: i64, offset: i64, format: &str, local: bool) -> Option<Sample> {
    let stamp = jiff::Timestamp::from_second(seconds.checked_add(offset)?).ok()?;
    let zone = match local {
        true => jiff::tz::TimeZone::system(),
        false => jiff::tz::TimeZone::UTC,
    };
    let text = jiff::fmt::strtime::format(format, &stamp.to_zoned(zone)).ok()?;
    Some(Sample::text(text))
}

/// The difference of the first bytes that differ, else of the lengths.
fn strcmp(a: &[u8], b: &[u8]) -> i64 {
    let differing = a.iter().zip(b).find(|(a, b)| a != b);
    match differing {
        Some((a, b)) => i64::from(*a) - i64::from(*b),
        None => a.len() as i64 - b.len() as i64,
    }
}

fn json(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let quoted = serde_json::Value::from(text.as_ref()).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}
