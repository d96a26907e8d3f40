//! `log-format` strings: text, `%tag`s with `%{flags}`, `%[expression]`s.

use super::draft::Draft;
use super::known::not_yet;
use super::model::{Expr, Format, FormatFlags, FormatPart, Tag};
use super::sample::{self, When};
use crate::diagnostic::Diagnostic;
use crate::keyword::Word;
use crate::suggest;

/// Every tag with its letters and what it shows.
pub static TAGS: &[(&str, Tag, &str)] = &[
    ("o", Tag::Nothing, "nothing; carries flags for what follows"),
    ("B", Tag::BytesRead, "bytes from server to client"),
    ("U", Tag::BytesUploaded, "bytes from client to server"),
    ("CC", Tag::RequestCookie, "captured request cookie"),
    ("CS", Tag::ResponseCookie, "captured response cookie"),
    ("H", Tag::Hostname, "name of this host"),
    ("HM", Tag::HttpMethod, "HTTP method"),
    (
        "HP",
        Tag::HttpPath,
        "HTTP path with the query left out when the request has a scheme",
    ),
    ("HPO", Tag::HttpPathOnly, "HTTP path without query"),
    ("HQ", Tag::HttpQuery, "HTTP query with its question mark"),
    ("HU", Tag::HttpUri, "HTTP URI"),
    ("HV", Tag::HttpVersion, "HTTP version"),
    ("ID", Tag::UniqueId, "unique id"),
    ("ST", Tag::Status, "HTTP status"),
    ("T", Tag::DateGmt, "date and time of the accept, GMT"),
    (
        "Tl",
        Tag::DateLocal,
        "date and time of the accept, local with zone",
    ),
    ("Ts", Tag::Timestamp, "accept, seconds since 1970"),
    (
        "t",
        Tag::Date,
        "date and time of the accept, local, with milliseconds",
    ),
    (
        "tr",
        Tag::RequestDate,
        "date and time of the request, with milliseconds",
    ),
    (
        "trg",
        Tag::RequestDateGmt,
        "date and time of the request, GMT",
    ),
    (
        "trl",
        Tag::RequestDateLocal,
        "date and time of the request, local with zone",
    ),
    ("ms", Tag::Millis, "milliseconds of the accept"),
    (
        "Ta",
        Tag::ActiveTime,
        "time from the request's first byte to the answer's last, ms",
    ),
    ("Tc", Tag::ConnectTime, "time to connect, ms"),
    ("Td", Tag::DataTime, "time of data transfer, ms"),
    (
        "Th",
        Tag::HandshakeTime,
        "time of handshakes (PROXY header), ms",
    ),
    ("Ti", Tag::IdleTime, "idle time ahead of the request, ms"),
    ("Tq", Tag::QueryTime, "Th + Ti + TR"),
    ("TR", Tag::RequestTime, "time to receive the request, ms"),
    (
        "Tr",
        Tag::ResponseTime,
        "time until the answer's headers, ms",
    ),
    ("Tt", Tag::TotalTime, "time from accept to end, ms"),
    ("Tu", Tag::UserTime, "time as the user saw it, ms"),
    ("Tw", Tag::WaitTime, "time in queues, ms"),
    ("ac", Tag::ActiveConns, "sessions of the process"),
    ("fc", Tag::FrontendConns, "sessions of the frontend"),
    ("bc", Tag::BackendConns, "sessions of the backend"),
    ("sc", Tag::ServerConns, "sessions of the server"),
    ("rc", Tag::Retries, "retries, with + when redispatched"),
    ("sq", Tag::ServerQueue, "place in the server's queue"),
    ("bq", Tag::BackendQueue, "place in the backend's queue"),
    ("lc", Tag::LogCounter, "number of the line of this frontend"),
    ("rt", Tag::RequestCounter, "number of the session"),
    ("b", Tag::Backend, "backend"),
    ("s", Tag::Server, "server"),
    ("f", Tag::Frontend, "frontend"),
    ("ft", Tag::FrontendTransport, "frontend, with ~ over TLS"),
    ("pid", Tag::Pid, "process id"),
    ("ci", Tag::ClientIp, "client's address"),
    ("cp", Tag::ClientPort, "client's port"),
    (
        "fi",
        Tag::FrontendIp,
        "address that the client connected to",
    ),
    ("fp", Tag::FrontendPort, "port that the client connected to"),
    ("bi", Tag::BackendIp, "own address towards the server"),
    ("bp", Tag::BackendPort, "own port towards the server"),
    ("si", Tag::ServerIp, "server's address"),
    ("sp", Tag::ServerPort, "server's port"),
    ("hr", Tag::RequestHeaders, "captured request headers"),
    (
        "hrl",
        Tag::RequestHeadersList,
        "captured request headers as a list",
    ),
    ("hs", Tag::ResponseHeaders, "captured response headers"),
    (
        "hsl",
        Tag::ResponseHeadersList,
        "captured response headers as a list",
    ),
    ("r", Tag::RequestLine, "HTTP request line"),
    ("sslc", Tag::SslCipher, "TLS cipher, - without"),
    ("sslv", Tag::SslVersion, "TLS version, - without"),
    ("ts", Tag::TermState, "termination state"),
    (
        "tsc",
        Tag::TermStateCookie,
        "termination state with cookie letters",
    ),
];

/// Parses a format that a line of a log is written by.
pub fn parse(d: &mut Draft, word: &Word) -> Result<Format, Diagnostic> {
    run(d, word, When::Log, false)
}

/// Parses a format of a health check.
pub fn parse_check(d: &mut Draft, word: &Word) -> Result<Format, Diagnostic> {
    run(d, word, When::Check, false)
}

/// Parses a format that is evaluated while a session or a request is under
/// way: tags become the expressions that they stand for, and what is not known
/// by then is refused.
pub fn parse_live(d: &mut Draft, word: &Word, when: When) -> Result<Format, Diagnostic> {
    run(d, word, when, true)
}

fn run(d: &mut Draft, word: &Word, when: When, live: bool) -> Result<Format, Diagnostic> {
    let mut parser = Parser {
        d,
        word,
        when,
        live,
        rest: &word.text,
        parts: Vec::new(),
        text: String::new(),
        defaults: FormatFlags::default(),
    };
    parser.run()?;
    Ok(Format {
        parts: parser.parts,
        text: word.text.clone(),
    })
}

/// A format that is this text and nothing else.
pub fn fixed(text: &str) -> Format {
    Format {
        parts: vec![FormatPart::Text(text.to_owned())],
        text: text.to_owned(),
    }
}

struct Parser<'a, 'd> {
    d: &'d mut Draft,
    word: &'a Word,
    /// When the format is evaluated.
    when: When,
    /// It is evaluated before the end.
    live: bool,
    rest: &'a str,
    parts: Vec<FormatPart>,
    text: String,
    defaults: FormatFlags,
}

impl Parser<'_, '_> {
    /// Reads to the end; of several mistakes the last is given and the others are left with the draft.
    fn run(&mut self) -> Result<(), Diagnostic> {
        let mut mistake = None;
        while let Some(c) = self.rest.chars().next() {
            match c {
                '%' => {
                    if let Err(error) = self.percent() {
                        self.d.diagnostics.extend(mistake.replace(error));
                    }
                }
                ' ' => {
                    self.flush();
                    self.rest = self.rest.trim_start_matches(' ');
                    self.parts.push(FormatPart::Space);
                }
                _ => {
                    self.text.push(c);
                    self.rest = &self.rest[c.len_utf8()..];
                }
            }
        }
        self.flush();
        mistake.map_or(Ok(()), Err)
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.parts
                .push(FormatPart::Text(std::mem::take(&mut self.text)));
        }
    }

    /// Byte offset of what is still to be read.
    fn at(&self) -> usize {
        self.word.text.len() - self.rest.len()
    }

    /// An error about the next `length` bytes and the percent sign ahead.
    fn error(&self, length: usize, message: String) -> Diagnostic {
        let (start, end) = (self.at().saturating_sub(1), self.at() + length);
        let place = self.word.part(start, end.min(self.word.text.len()));
        Diagnostic::error("E1007", place.span, message)
    }

    fn percent(&mut self) -> Result<(), Diagnostic> {
        self.rest = &self.rest[1..];
        if let Some(rest) = self.rest.strip_prefix('%') {
            self.text.push('%');
            self.rest = rest;
            return Ok(());
        }
        self.flush();
        let flags = self.flags()?;
        if self.rest.starts_with('[') {
            return self.expression(flags);
        }
        self.tag(flags)
    }

    /// `{+Q,-X}`: flags of one tag, or of all that follow when the tag is `o`.
    fn flags(&mut self) -> Result<FormatFlags, Diagnostic> {
        let mut flags = self.defaults;
        let Some(rest) = self.rest.strip_prefix('{') else {
            return Ok(flags);
        };
        let Some((list, rest)) = rest.split_once('}') else {
            return Err(self.error(1, "`%{` is never closed".to_owned()));
        };
        for flag in list.split(',').filter(|f| !f.is_empty()) {
            let on = !flag.starts_with('-');
            match flag.trim_start_matches(['+', '-']) {
                "Q" => flags.quote = on,
                "X" => flags.hex = on,
                "E" => flags.escape = on,
                "M" => flags.mandatory = on,
                _ => {
                    return Err(self
                        .error(
                            list.len() + 2,
                            format!("`{flag}` is not a flag of a format"),
                        )
                        .help("flags are Q (quotes), X (hexadecimal), E (escapes), with + or -"));
                }
            }
        }
        self.rest = rest;
        Ok(flags)
    }

    fn expression(&mut self, flags: FormatFlags) -> Result<(), Diagnostic> {
        let inner = &self.rest[1..];
        let (end, _) = sample::outside(inner)
            .find(|(_, c)| *c == ']')
            .ok_or_else(|| self.error(1, "`%[` is never closed".to_owned()))?;
        let start = self.at() + 1;
        let word = sample::piece(self.word, start, start + end);
        let expr = sample::parse_text(self.d, &word, self.when)?;
        self.parts.push(FormatPart::Expr(Box::new(expr), flags));
        self.rest = &inner[end + 1..];
        Ok(())
    }

    fn tag(&mut self, flags: FormatFlags) -> Result<(), Diagnostic> {
        let letters = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(self.rest.len());
        let name = &self.rest[..letters];
        let Some((_, tag, _)) = TAGS.iter().find(|(text, ..)| *text == name) else {
            let near = suggest::nearest(name, TAGS.iter().map(|(text, ..)| *text));
            let error = self.error(letters, format!("no such format tag: `%{name}`"));
            return Err(match near {
                Some(near) => error.help(format!("did you mean `%{near}`?")),
                None => error.help("write `%%` for a percent sign"),
            });
        };
        if *tag == Tag::Nothing {
            self.defaults = flags;
        } else if self.live && flags.hex {
            let place = self.word.part(self.at() - 1, self.at() + letters);
            return Err(not_yet(
                place.span,
                "flag `X` of a tag outside of `log-format`",
            ));
        } else if self.live {
            let expr = self.fetch_of(*tag, letters)?;
            self.parts.push(FormatPart::Expr(Box::new(expr), flags));
        } else {
            self.parts.push(FormatPart::Tag(*tag, flags));
        }
        self.rest = &self.rest[letters..];
        Ok(())
    }
}

impl Parser<'_, '_> {
    /// The expression that a tag stands for; E0007 for what only a line of a log knows.
    fn fetch_of(&mut self, tag: Tag, letters: usize) -> Result<Expr, Diagnostic> {
        let name = &self.rest[..letters];
        // ahead of the choice of a backend there is none to name
        let early = tag == Tag::Backend && matches!(self.when, When::Content | When::HttpRequest);
        let known = LIVE_TAGS.iter().find(|(known, _)| *known == tag && !early);
        let Some((_, fetch)) = known else {
            let place = self.word.part(self.at() - 1, self.at() + letters);
            return Err(not_yet(
                place.span,
                &format!("format tag `%{name}` in {}", self.when.place()),
            ));
        };
        let place = self.word.part(self.at() - 1, self.at() + letters);
        let word = Word {
            text: (*fetch).to_owned(),
            span: place.span,
        };
        sample::parse_text(self.d, &word, self.when)
    }
}

/// Tags that are known before the end, and the fetches that give the same.
const LIVE_TAGS: &[(Tag, &str)] = &[
    (Tag::Hostname, "hostname"),
    (Tag::Pid, "pid"),
    (Tag::ActiveConns, "act_conn"),
    (Tag::FrontendConns, "fe_conn"),
    (Tag::Frontend, "fe_name"),
    (Tag::ClientIp, "src"),
    (Tag::ClientPort, "src_port"),
    (Tag::FrontendIp, "dst"),
    (Tag::FrontendPort, "dst_port"),
    (Tag::Backend, "be_name"),
    (Tag::Server, "srv_name"),
    (Tag::BackendIp, "bc_src"),
    (Tag::BackendPort, "bc_src_port"),
    (Tag::ServerIp, "bc_dst"),
    (Tag::ServerPort, "bc_dst_port"),
    (Tag::HttpMethod, "method"),
    (Tag::HttpUri, "url"),
    (Tag::Status, "status"),
];
