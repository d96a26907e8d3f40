//! `ring` sections: log lines kept in memory and passed on over TCP.

use super::address::{self, Address, Port};
use super::env::Env;
use super::known;
use super::model::{Host, Place, Ring, RingServer};
use super::proxy::logging::HEADERS;
use super::value::{self, Unit};
use crate::diagnostic::{Diagnostic, Report};
use crate::keyword::{Args, Keyword, Word, lookup, unknown, wrong};
use std::net::Ipv4Addr;
use std::path::PathBuf;

type Applied = Result<(), Diagnostic>;

/// Options of `server` that make no difference to a stream of log lines.
const WITHOUT_EFFECT: &[&str] = &["check", "no-check", "disabled", "enabled"];

/// A section in the making.
#[derive(Clone, Debug, Default)]
pub struct RingDraft {
    /// The result so far.
    pub ring: Ring,
    /// Variables, for addresses.
    pub env: Env,
    /// Findings besides the one that `apply` returns.
    pub diagnostics: Vec<Diagnostic>,
}

fn server(d: &mut RingDraft, a: &mut Args<'_>) -> Applied {
    let name = a.expect("a name")?;
    let word = a.expect("an address with a port")?;
    let lookup = |name: &str| d.env.get(name).map(str::to_owned);
    let (host, port) = match address::parse(word, &lookup)? {
        Address::Inet {
            host,
            port: Port::One(port),
            ..
        } if port > 0 => (host, port),
        _ => return Err(wrong(word, "an address with a port")),
    };
    let mut server = RingServer {
        name: name.text.clone(),
        host: host.unwrap_or(Host::Ip(Ipv4Addr::LOCALHOST.into())),
        port,
        octet_count: false,
        place: Place(word.span),
    };
    while let Some(word) = a.take() {
        match word.text.as_str() {
            "log-proto" => {
                server.octet_count =
                    a.choose("a form", &[("octet-count", true), ("legacy", false)])?;
            }
            text if WITHOUT_EFFECT.contains(&text) => {
                d.diagnostics.push(known::without_effect(word.span, text));
            }
            text if known::SERVER_OPTIONS.contains(&text) => {
                let what = format!("`{text}` of a server in a ring");
                return Err(known::not_yet(word.span, &what));
            }
            _ => return Err(wrong(word, "`log-proto`")),
        }
    }
    d.ring.servers.push(server);
    Ok(())
}

fn timeout(a: &mut Args<'_>) -> Result<Option<std::time::Duration>, Diagnostic> {
    let time = value::take_time(a, "a time", Unit::Millis)?;
    a.finish()?;
    Ok((!time.is_zero()).then_some(time))
}

/// The lines.
pub static KEYWORDS: &[Keyword<RingDraft>] = &[
    Keyword {
        name: "backing-file",
        args: "<path>",
        doc: "A file of at most `size` bytes, mode 0600, that holds the latest lines as text and \
              outlives the process. What is there at a start is renamed to `.bak` first.",
        example: "backing-file /var/lib/evenkeel/lines",
        apply: |d, a| {
            d.ring.backing_file = Some(PathBuf::from(&a.expect("a path")?.text));
            a.finish()
        },
    },
    Keyword {
        name: "description",
        args: "<text>",
        doc: "What `show events` says about the ring.",
        example: "description \"lines for the collector\"",
        apply: |d, a| {
            d.ring.description = Some(a.expect("a text")?.text.clone());
            a.finish()
        },
    },
    Keyword {
        name: "format",
        args: "{ iso | local | raw | rfc3164 | rfc5424 | short | priority | timed }",
        doc: "Header of the lines that are kept. Default `raw`.",
        example: "format rfc5424",
        apply: |d, a| {
            d.ring.format = a.choose("a form", HEADERS)?;
            a.finish()
        },
    },
    Keyword {
        name: "maxlen",
        args: "<bytes>",
        doc: "Longest line kept, header included; longer ones are cut. Default 1024.",
        example: "maxlen 1200",
        apply: |d, a| {
            d.ring.max_len = value::take_number(a, "a length", 1, 65535)? as u32;
            a.finish()
        },
    },
    Keyword {
        name: "size",
        args: "<size>",
        doc: "Bytes of lines that are kept; the oldest make room. Default 16384.",
        example: "size 32768",
        apply: |d, a| {
            let word = a.expect("a size")?;
            let size = value::size(&word.text).map_or(0, |size| size.0);
            if !(d.ring.size..=1 << 30).contains(&size) {
                let least = d.ring.size;
                return Err(wrong(word, "a size")
                    .label(format!("{least} bytes, which it has, to 1 GB are possible")));
            }
            d.ring.size = size;
            a.finish()
        },
    },
    Keyword {
        name: "timeout connect",
        args: "<time>",
        doc: "Longest time for connecting to a server of the ring. Default 5s.",
        example: "timeout connect 5s",
        apply: |d, a| {
            d.ring.connect_timeout = timeout(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout server",
        args: "<time>",
        doc: "Longest time that a server of the ring may take nothing while lines wait.",
        example: "timeout server 10s",
        apply: |d, a| {
            d.ring.server_timeout = timeout(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "server",
        args: "<name> <address>:<port> [log-proto { octet-count | legacy }]",
        doc: "Passes every line on over TCP: with its length in front (`octet-count`, RFC 6587) \
              or ended by a line feed (`legacy`, the default). A server that is away or slow \
              misses what the ring no longer holds.",
        example: "server collector 192.0.2.50:6514 log-proto octet-count",
        apply: server,
    },
];

/// Reads a line of the section.
pub(super) fn line(draft: &mut RingDraft, words: &[Word], report: &mut Report) {
    let Some((row, count)) = lookup(KEYWORDS, words) else {
        let names = KEYWORDS.iter().map(|row| row.name);
        report.push(unknown(&words[0], "a `ring` section", names));
        return;
    };
    let result = row.run(draft, words, count);
    report.diagnostics.append(&mut draft.diagnostics);
    if let Err(e) = result {
        report.push(e);
    }
}
