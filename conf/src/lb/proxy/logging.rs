//! Where lines go and what they look like.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::address::{self, Address, Port};
use crate::lb::draft::{Draft, Negation};
use crate::lb::env::Env;
use crate::lb::format;
use crate::lb::model::{
    Facility, Host, Level, LogAddress, LogHeader, LogSample, LogTarget, Place, SessionFormat,
};
use crate::lb::proxy::options::set_format;
use crate::lb::value;
use std::net::Ipv4Addr;

/// Syslog levels by name.
pub const LEVELS: &[(&str, Level)] = &[
    ("emerg", Level::Emerg),
    ("alert", Level::Alert),
    ("crit", Level::Crit),
    ("err", Level::Err),
    ("warning", Level::Warning),
    ("notice", Level::Notice),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

const FACILITIES: &[(&str, u8)] = &[
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("auth2", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("audit", 13),
    ("alert", 14),
    ("cron2", 15),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// What may stand between address and facility, in this order.
const PARTS: &[&str] = &["len", "format", "sample"];

/// Headers of lines by name.
pub const HEADERS: &[(&str, LogHeader)] = &[
    ("local", LogHeader::Local),
    ("rfc3164", LogHeader::Rfc3164),
    ("rfc5424", LogHeader::Rfc5424),
    ("priority", LogHeader::Priority),
    ("short", LogHeader::Short),
    ("timed", LogHeader::Timed),
    ("iso", LogHeader::Iso),
    ("raw", LogHeader::Raw),
];

/// Reads the arguments of a `log` line that names a target.
pub fn target(a: &mut Args<'_>, env: &Env) -> Result<LogTarget, Diagnostic> {
    let word = a.expect("an address")?;
    let mut target = LogTarget {
        address: log_address(word, env)?,
        max_len: 1024,
        format: None,
        sample: None,
        facility: Facility(16),
        max_level: Level::Debug,
        min_level: Level::Emerg,
        place: Place(word.span),
    };
    if a.take_if("len").is_some() {
        target.max_len = value::take_number(a, "a length", 80, 65535)? as u32;
    }
    if a.take_if("format").is_some() {
        target.format = Some(a.choose("a form", HEADERS)?);
    }
    if a.take_if("sample").is_some() {
        target.sample = Some(sample(a)?);
    }
    if let Some(late) = a.peek().filter(|w| PARTS.contains(&w.text.as_str())) {
        return Err(out_of_order(late));
    }
    target.facility = Facility(a.choose("a facility", FACILITIES)?);
    if a.peek().is_some() {
        target.max_level = a.choose("a level", LEVELS)?;
    }
    if a.peek().is_some() {
        target.min_level = a.choose("a level", LEVELS)?;
    }
    a.finish()?;
    Ok(target)
}

fn out_of_order(word: &Word) -> Diagnostic {
    wrong(word, "a facility").help("`len`, `format` and `sample` stand in this order, each once")
}

fn log_address(word: &Word, env: &Env) -> Result<LogAddress, Diagnostic> {
    match word.text.as_str() {
        "stdout" => return Ok(LogAddress::Fd(1)),
        "stderr" => return Ok(LogAddress::Fd(2)),
        _ => {}
    }
    if let Some(name) = word.text.strip_prefix("ring@") {
        return Ok(LogAddress::Ring(name.to_owned()));
    }
    match address::parse(word, &|name| env.get(name).map(str::to_owned))? {
        Address::Unix(path) => Ok(LogAddress::Unix(path)),
        Address::Abstract(name) => Ok(LogAddress::Abstract(name)),
        Address::Fd(fd) => Ok(LogAddress::Fd(fd)),
        Address::Inet { host, port, .. } => {
            let port = match port {
                Port::None | Port::One(0) => 514,
                Port::One(port) => port,
                _ => return Err(wrong(word, "a log target with one port")),
            };
            let local = Host::Ip(Ipv4Addr::LOCALHOST.into());
            let host = host.unwrap_or(local);
            Ok(LogAddress::Udp { host, port })
        }
    }
}

fn sample(a: &mut Args<'_>) -> Result<LogSample, Diagnostic> {
    let word = a.expect("<ranges>:<size>")?;
    let bad = || {
        wrong(word, "a sample")
            .label("expected ranges, a colon and the number of lines, as in `1,3-4:5`")
    };
    let (ranges, size) = word.text.rsplit_once(':').ok_or_else(bad)?;
    let size: u32 = size.parse().ok().filter(|s| *s > 0).ok_or_else(bad)?;
    let mut previous = 0;
    let mut parsed = Vec::new();
    for range in ranges.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let low: u32 = low.parse().map_err(|_| bad())?;
        let high: u32 = high.parse().map_err(|_| bad())?;
        if low <= previous || high < low || high > size {
            return Err(bad());
        }
        previous = high;
        parsed.push((low, high));
    }
    Ok(LogSample {
        seen: Default::default(),
        ranges: parsed,
        size,
    })
}

fn log(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    if d.negation != Negation::Plain {
        d.proxy.logging.targets.clear();
        return a.finish();
    }
    if a.peek().is_some_and(|w| w.text == "global") && a.take_if("global").is_some() {
        a.finish()?;
        for target in d.around.clone().global_logs.iter() {
            if !d.proxy.logging.targets.contains(target) {
                d.proxy.logging.targets.push(target.clone());
            }
        }
        return Ok(());
    }
    let target = target(a, &d.around.env.clone())?;
    d.proxy.logging.targets.push(target);
    Ok(())
}

fn one_format(d: &mut Draft, a: &mut Args<'_>) -> Result<super::super::model::Format, Diagnostic> {
    let word = a.expect("a format")?;
    let format = format::parse(d, word)?;
    a.finish()?;
    Ok(format)
}

/// Of both sides.
pub static BOTH: &[Keyword<Draft>] = &[
    Keyword {
        name: "log",
        args: "{ global | <address> [len <n>] [format <form>] [sample <ranges>:<n>] <facility> \
               [<max> [<min>]] }",
        doc: "Where lines go: `global` repeats the targets of the global section. An address is \
              a host with a UDP port (514), a path of a socket, `stdout`, `stderr`, `fd@n`. \
              Several lines add up; `no log` forgets them.",
        example: "log 127.0.0.1:514 local0 info",
        apply: log,
    },
    Keyword {
        name: "log-tag",
        args: "<text>",
        doc: "The program's name in lines.",
        example: "log-tag amqp-lb",
        apply: |d, a| {
            d.proxy.logging.tag = Some(a.expect("a text")?.text.clone());
            a.finish()
        },
    },
];

/// Of the side of the clients.
pub static FRONT: &[Keyword<Draft>] = &[
    Keyword {
        name: "log-format",
        args: "<format>",
        doc: "Own form of session lines, with `%tag`s and `%[expression]`s.",
        example: "log-format \"%ci:%cp [%t] %ft %b/%s %ts\"",
        apply: |d, a| {
            let format = one_format(d, a)?;
            d.marks.log_format = Some(a.head());
            set_format(d, a, SessionFormat::Custom(format))
        },
    },
    Keyword {
        name: "error-log-format",
        args: "<format>",
        doc: "Form of the lines of connections that failed before they were sessions.",
        example: "error-log-format \"%ci:%cp [%t] %ft\"",
        apply: |d, a| {
            d.proxy.logging.error_format = Some(one_format(d, a)?);
            Ok(())
        },
    },
    Keyword {
        name: "log-format-sd",
        args: "<format>",
        doc: "Structured data of rfc5424 lines.",
        example: "log-format-sd \"[id@1 src=%{+Q}ci]\"",
        apply: |d, a| {
            d.proxy.logging.structured_data = Some(one_format(d, a)?);
            Ok(())
        },
    },
    Keyword {
        name: "unique-id-format",
        args: "<format>",
        doc: "How the unique id of a session is made.",
        example: "unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid",
        apply: |d, a| {
            d.proxy.logging.unique_id = Some(one_format(d, a)?);
            Ok(())
        },
    },
];
