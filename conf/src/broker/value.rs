//! A value with its place, read as what a setting wants.

use super::model::{DiskLimit, MemoryLimit};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A value as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A string; every value of `rabbitmq.conf` is one.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a point.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Given>),
    /// A date or table, which no setting takes.
    Other,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The value.
    pub item: Item,
    /// The place.
    pub span: Span,
}

type Read<T> = Result<T, Diagnostic>;

impl Given {
    /// The error that this is not `what` (E0005).
    pub fn wrong(&self, what: &str) -> Diagnostic {
        let found = match &self.item {
            Item::Text(text) => format!("`{text}`"),
            Item::Integer(n) => format!("`{n}`"),
            Item::Float(n) => format!("`{n}`"),
            Item::Bool(b) => format!("`{b}`"),
            Item::List(_) => "a list".to_owned(),
            Item::Other => "this value".to_owned(),
        };
        Diagnostic::error("E0005", self.span, format!("{found} is not {what}"))
            .label(format!("expected {what}"))
    }

    /// A string.
    pub fn text(&self) -> Read<String> {
        match &self.item {
            Item::Text(text) => Ok(text.clone()),
            _ => Err(self.wrong("a string in quotes")),
        }
    }

    /// A string that is not empty.
    pub fn name(&self) -> Read<String> {
        let text = self.text()?;
        if text.is_empty() {
            return Err(self.wrong("a name"));
        }
        Ok(text)
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Read<bool> {
        match &self.item {
            Item::Bool(b) => Ok(*b),
            Item::Text(t) if t == "true" || t == "on" => Ok(true),
            Item::Text(t) if t == "false" || t == "off" => Ok(false),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    /// A whole number within a range.
    pub fn integer(&self, range: RangeInclusive<i64>) -> Read<i64> {
        let number = match &self.item {
            Item::Integer(n) => Some(*n),
            Item::Text(text) => text.parse().ok(),
            _ => None,
        };
        self.within(range, number.ok_or_else(|| self.wrong("a whole number"))?)
    }

    /// Bytes within a range, as some keys of `rabbitmq.conf` have them: `KB`, `MB` and `GB` are powers of 1024.
    pub fn byte_size(&self, range: RangeInclusive<i64>) -> Read<i64> {
        let text = self.text()?.to_lowercase();
        let (digits, shift) = match text.get(text.len().saturating_sub(2)..) {
            Some("kb") => (&text[..text.len() - 2], 10),
            Some("mb") => (&text[..text.len() - 2], 20),
            Some("gb") => (&text[..text.len() - 2], 30),
            _ => (&text[..], 0),
        };
        let number = digits.parse::<i64>().ok();
        let bytes = number.and_then(|n| n.checked_mul(1 << shift));
        self.within(
            range,
            bytes.ok_or_else(|| self.wrong("a number of bytes such as `131072` or `128KB`"))?,
        )
    }

    fn within(&self, range: RangeInclusive<i64>, number: i64) -> Read<i64> {
        if range.contains(&number) {
            return Ok(number);
        }
        let (from, to) = (range.start(), range.end());
        let message = format!("{number} is out of range: {from} to {to}");
        Err(Diagnostic::error("E0006", self.span, message).label("out of range"))
    }

    /// One of a list of words.
    pub fn choose<T: Copy>(&self, choices: &[(&'static str, T)]) -> Read<T> {
        let text = self.text()?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*value);
        }
        let names = choices.iter().map(|(name, _)| *name);
        let near = suggest::nearest(&text, names.clone());
        let list = names.collect::<Vec<_>>().join("`, `");
        let error = self.wrong(&format!("one of `{list}`"));
        Err(match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        })
    }

    /// One value or a list of them.
    pub fn each<T>(&self, read: impl Fn(&Given) -> Read<T>) -> Read<Vec<T>> {
        match &self.item {
            Item::List(items) => items.iter().map(read).collect(),
            _ => Ok(vec![read(self)?]),
        }
    }

    /// `host:port`, `:port`, `*:port` or a port; addresses only, no names.
    pub fn address(&self, default_port: u16) -> Read<SocketAddr> {
        let parsed = match &self.item {
            Item::Integer(port) => u16::try_from(*port).ok().map(super::model::everywhere),
            Item::Text(text) => parse_address(text, default_port),
            _ => None,
        };
        parsed.ok_or_else(|| {
            self.wrong("an address such as `127.0.0.1:5672`, `[::]:5672`, `*:5672` or a port")
        })
    }

    /// A time with a unit.
    pub fn duration(&self) -> Read<Duration> {
        let what = "a time with a unit, such as `500ms`, `10s`, `30m` or `1h`";
        match &self.item {
            Item::Text(text) => parse_duration(text).ok_or_else(|| self.wrong(what)),
            Item::Integer(0) => Ok(Duration::ZERO),
            Item::Integer(n) => Err(self.wrong(what).help(format!(
                "write \"{n}s\" for seconds, \"{n}ms\" for milliseconds"
            ))),
            _ => Err(self.wrong(what)),
        }
    }

    /// A size in bytes, with or without a unit.
    pub fn size(&self) -> Read<u64> {
        let size = match &self.item {
            Item::Integer(n) => u64::try_from(*n).ok(),
            Item::Text(text) => parse_size(text),
            _ => None,
        };
        size.ok_or_else(|| self.wrong("a size such as `4096`, `128KiB` or `2GB`"))
    }

    /// A ratio from 0 to `most`, as `0.4` or `40%`.
    pub fn ratio(&self, most: f64) -> Read<f64> {
        let ratio = match &self.item {
            Item::Float(n) => Some(*n),
            Item::Integer(n) => Some(*n as f64),
            Item::Text(text) => match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok().map(|p| p / 100.0),
                None => text.parse().ok(),
            },
            _ => None,
        };
        let ratio = ratio.ok_or_else(|| self.wrong("a ratio such as `0.4` or `40%`"))?;
        if (0.0..=most).contains(&ratio) {
            return Ok(ratio);
        }
        let message = format!("{ratio} is out of range: 0 to {most}");
        Err(Diagnostic::error("E0006", self.span, message).label("out of range"))
    }

    /// A memory limit: a ratio or a size.
    pub fn memory(&self) -> Read<MemoryLimit> {
        if self.is_ratio() {
            return self.ratio(1.0).map(MemoryLimit::Ratio);
        }
        self.size().map(MemoryLimit::Absolute)
    }

    /// A disk limit: a ratio of memory or a size.
    pub fn disk(&self) -> Read<DiskLimit> {
        if self.is_ratio() {
            return self.ratio(1000.0).map(DiskLimit::MemoryRatio);
        }
        self.size().map(DiskLimit::Absolute)
    }

    fn is_ratio(&self) -> bool {
        match &self.item {
            Item::Float(_) => true,
            Item::Text(text) => {
                text.ends_with('%') || text.contains('.') && text.parse::<f64>().is_ok()
            }
            _ => false,
        }
    }
}

/// `10s`, `500ms`, `30m`, `1h`, `2d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.trim().parse().ok()?;
    let ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(ms).map(Duration::from_millis)
}

/// `4096`, `128KiB`, `64k`, `2GB`: units of RabbitMQ, powers of 1000 with a `B`
/// and of 1024 without or with `iB`.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.trim().parse().ok()?;
    let unit: f64 = match &text[digits.len()..] {
        "" | "B" => 1.0,
        "k" | "K" | "KiB" | "kiB" => 1024.0,
        "m" | "M" | "MiB" => 1024.0 * 1024.0,
        "g" | "G" | "GiB" => 1024.0 * 1024.0 * 1024.0,
        "t" | "T" | "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    let size = number * unit;
    (size.is_finite() && (0.0..1e18).contains(&size)).then_some(size as u64)
}

/// `host:port`, `:port`, `*:port`, `port` or an address alone.
pub fn parse_address(text: &str, default_port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, default_port));
    }
    if let Ok(port) = text.parse() {
        return Some(super::model::everywhere(port));
    }
    let (host, port) = text.rsplit_once(':')?;
    let ip = match host {
        "" | "*" | "::" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => host.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_rabbitmqs_units() {
        assert_eq!(parse_size("50MB"), Some(50_000_000));
        assert_eq!(parse_size("2GiB"), Some(2_147_483_648));
        assert_eq!(parse_size("64k"), Some(65_536));
        assert_eq!(parse_size("1.5GB"), Some(1_500_000_000));
        assert_eq!(parse_size("x"), None);
        assert_eq!(parse_size("-1"), None);
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("30m"), Some(Duration::from_secs(1800)));
        assert_eq!(parse_duration("30"), None);
    }

    #[test]
    fn addresses_may_leave_out_the_host_or_the_port() {
        let show = |text| parse_address(text, 5672).map(|a| a.to_string());
        assert_eq!(show("127.0.0.1:1"), Some("127.0.0.1:1".to_owned()));
        assert_eq!(show("*:1"), Some("[::]:1".to_owned()));
        assert_eq!(show(":1"), Some("[::]:1".to_owned()));
        assert_eq!(show("1"), Some("[::]:1".to_owned()));
        assert_eq!(show("::1"), Some("[::1]:5672".to_owned()));
        assert_eq!(show("10.0.0.1"), Some("10.0.0.1:5672".to_owned()));
        assert_eq!(show("localhost:9"), Some("127.0.0.1:9".to_owned()));
        assert_eq!(show("example:9"), None);
    }
}
