//! A session's text: tags and expressions of a log format.

use super::clock::{self, Moment};
use super::expression;
use crate::state::{HttpRecord, Peer, Runtime, SessionRecord};
use conf::lb::model::{Format, FormatFlags, FormatPart, Tag};

/// What a line may mention besides the session's record.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The host's name.
    pub host: &'a str,
    /// The process.
    pub pid: u32,
    /// `%lc`: number of this line among those of its frontend.
    pub log_counter: u64,
    /// `%rt`: number of this session or request in the process.
    pub request_counter: u64,
    /// `%ID`.
    pub unique_id: &'a str,
    /// Numbers that are not final carry a plus (`logasap`).
    pub so_far: bool,
    /// Where counters and names are looked up.
    pub runtime: Option<&'a Runtime>,
}

/// `%Tw`. In TCP mode HAProxy counts from the millisecond ahead of the accept,
/// and so do the tools that read its lines.
fn waited(record: &SessionRecord) -> Option<u32> {
    let ahead = u32::from(record.http.is_none());
    record.timers.queue_ms.map(|ms| ms + ahead)
}

/// `option tcplog`.
pub fn tcp(out: &mut String, record: &SessionRecord, context: &Context<'_>) {
    let timers = &record.timers;
    push_peer(out, &record.client);
    out.push_str(" [");
    out.push_str(&clock::with_millis(Moment::from(record.accepted)));
    out.push_str("] ");
    out.push_str(&record.frontend.conf.name);
    out.push(' ');
    out.push_str(&record.backend.conf.name);
    out.push('/');
    out.push_str(server_name(record));
    out.push(' ');
    push_time(out, waited(record));
    out.push('/');
    push_time(out, timers.connect_ms);
    out.push('/');
    push_plus(out, context.so_far);
    push_number(out, u64::from(timers.total_ms));
    out.push(' ');
    push_plus(out, context.so_far);
    push_number(out, record.bytes_out);
    out.push(' ');
    out.extend(record.end.letters());
    out.push(' ');
    push_counts(out, record);
}

/// `option httplog`.
pub fn http(out: &mut String, record: &SessionRecord, context: &Context<'_>) {
    let http = record.http.as_deref();
    push_peer(out, &record.client);
    out.push_str(" [");
    let requested = http.map_or(record.accepted, |http| http.requested);
    out.push_str(&clock::with_millis(Moment::from(requested)));
    out.push_str("] ");
    out.push_str(&record.frontend.conf.name);
    out.push(' ');
    out.push_str(&record.backend.conf.name);
    out.push('/');
    out.push_str(server_name(record));
    out.push(' ');
    push_time(out, http.and_then(|http| http.request_ms));
    out.push('/');
    push_time(out, record.timers.queue_ms);
    out.push('/');
    push_time(out, record.timers.connect_ms);
    out.push('/');
    push_time(out, http.and_then(|http| http.response_ms));
    out.push('/');
    push_plus(out, context.so_far);
    push_number(
        out,
        u64::from(http.map_or(record.timers.total_ms, |http| http.active_ms)),
    );
    out.push(' ');
    push_status(out, http);
    out.push(' ');
    push_plus(out, context.so_far);
    push_number(out, record.bytes_out);
    out.push(' ');
    out.push_str(&text_of(
        http.and_then(|http| http.request_cookie.as_deref()),
    ));
    out.push(' ');
    out.push_str(&text_of(
        http.and_then(|http| http.response_cookie.as_deref()),
    ));
    out.push(' ');
    out.extend(record.end.letters());
    out.extend(http.map_or(['-', '-'], |http| http.cookie_letters));
    out.push(' ');
    push_counts(out, record);
    push_captures(out, http.map(|http| &http.request_headers));
    push_captures(out, http.map(|http| &http.response_headers));
    out.push_str(" \"");
    out.push_str(&request_line(http));
    out.push('"');
}

/// `option httplog clf`.
pub fn clf(out: &mut String, record: &SessionRecord, context: &Context<'_>) {
    let http = record.http.as_deref();
    let requested = http.map_or(record.accepted, |http| http.requested);
    let timers = &record.timers;
    out.push_str(&ip(&record.client));
    out.push_str(" - - [");
    out.push_str(&clock::local(Moment::from(requested)));
    out.push_str("] \"");
    out.push_str(&request_line(http));
    out.push_str("\" ");
    push_status(out, http);
    out.push(' ');
    push_number(out, record.bytes_out);
    out.push_str(" \"\" \"\" ");
    out.push_str(&port(&record.client));
    out.push_str(&format!(" {:03} ", Moment::from(record.accepted).millis()));
    for text in [&record.frontend.conf.name, &record.backend.conf.name] {
        out.push_str(&format!("\"{text}\" "));
    }
    out.push_str(&format!("\"{}\" ", server_name(record)));
    push_time(out, http.and_then(|http| http.request_ms));
    for time in [timers.queue_ms, timers.connect_ms] {
        out.push(' ');
        push_time(out, time);
    }
    out.push(' ');
    push_time(out, http.and_then(|http| http.response_ms));
    out.push(' ');
    push_number(
        out,
        u64::from(http.map_or(timers.total_ms, |http| http.active_ms)),
    );
    out.push(' ');
    out.extend(record.end.letters());
    out.extend(http.map_or(['-', '-'], |http| http.cookie_letters));
    let [active, front, back, server] = record.connections.in_order();
    out.push_str(&format!(
        " {active} {front} {back} {server} {} {} {} ",
        retries(record),
        record.server_queue,
        record.backend_queue
    ));
    for cookie in [
        http.and_then(|h| h.request_cookie.as_deref()),
        http.and_then(|h| h.response_cookie.as_deref()),
    ] {
        let text = cookie.map(|text| String::from_utf8_lossy(text));
        out.push_str(&format!("\"{}\" ", text.unwrap_or_default()));
    }
    push_captures(out, http.map(|http| &http.request_headers));
    push_captures(out, http.map(|http| &http.response_headers));
    let _ = context;
}

/// The line of a proxy without a log format: who connected to what.
pub fn connect(out: &mut String, record: &SessionRecord) {
    let mode = match record.frontend.conf.mode {
        conf::lb::model::Mode::Tcp => "TCP",
        conf::lb::model::Mode::Http => "HTTP",
    };
    out.push_str(&format!(
        "Connect from {}:{} to {}:{} ({}/{mode})",
        ip(&record.client),
        port(&record.client),
        ip(&record.local),
        port(&record.local),
        record.frontend.conf.name,
    ));
}

/// The first line of `option log-start-end`: who, when, where, and the id.
pub fn start(out: &mut String, record: &SessionRecord) {
    push_peer(out, &record.client);
    out.push_str(&format!(
        " [{}] {} start id={:#x}",
        clock::with_millis(Moment::from(record.accepted)),
        record.frontend.conf.name,
        record.id
    ));
}

/// The line of a connection that never was a session: whence, where, why.
pub fn failure(out: &mut String, record: &SessionRecord, failure: &str) {
    let front = record.frontend.conf.front.as_ref();
    let bind = front.and_then(|f| f.binds.get(usize::from(record.listener)));
    let name = bind.and_then(|b| b.name.clone());
    out.push_str(&format!(
        "{}:{} [{}] {}/{}: {failure}",
        ip(&record.client),
        port(&record.client),
        clock::with_millis(Moment::from(record.accepted)),
        record.frontend.conf.name,
        name.unwrap_or_else(|| bind.map_or(0, |b| b.number).to_string()),
    ));
}

/// `log-format` and its relatives.
pub fn format(out: &mut String, format: &Format, record: &SessionRecord, context: &Context<'_>) {
    let start = out.len();
    for part in &format.parts {
        match part {
            FormatPart::Text(text) => out.push_str(text),
            FormatPart::Space if out.len() > start && !out.ends_with(' ') => out.push(' '),
            FormatPart::Space => {}
            FormatPart::Tag(tag, flags) => push_tag(out, *tag, *flags, record, context),
            FormatPart::Expr(expr, flags) => {
                let value = expression::value(expr, record, context).unwrap_or_default();
                push_text(out, &readable(&value), *flags);
            }
        }
    }
}

fn push_tag(
    out: &mut String,
    tag: Tag,
    flags: FormatFlags,
    record: &SessionRecord,
    context: &Context<'_>,
) {
    let http = record.http.as_deref();
    let timers = &record.timers;
    let accepted = Moment::from(record.accepted);
    let requested = http.map_or(accepted, |http| Moment::from(http.requested));
    let back = record.back_name();
    match tag {
        Tag::Nothing => {}
        Tag::BytesRead => push_sum(out, record.bytes_out, context.so_far),
        Tag::BytesUploaded => push_sum(out, record.bytes_in, context.so_far),
        Tag::RequestCookie => {
            push_bytes(out, http.and_then(|h| h.request_cookie.as_deref()), flags)
        }
        Tag::ResponseCookie => {
            push_bytes(out, http.and_then(|h| h.response_cookie.as_deref()), flags)
        }
        Tag::Hostname => push_text(out, context.host, flags),
        Tag::HttpMethod => push_text(out, request_part(http, 0), flags),
        Tag::HttpUri => push_text(out, request_part(http, 1), flags),
        Tag::HttpPath | Tag::HttpPathOnly => {
            let uri = request_part(http, 1);
            push_text(out, uri.split('?').next().unwrap_or_default(), flags);
        }
        Tag::HttpQuery => {
            let uri = request_part(http, 1);
            push_text(out, uri.find('?').map_or("", |at| &uri[at..]), flags);
        }
        Tag::HttpVersion => push_text(out, request_part(http, 2), flags),
        Tag::UniqueId => push_text(out, context.unique_id, flags),
        Tag::Status => push_status(out, http),
        Tag::DateGmt => push_text(out, &clock::gmt(accepted), flags),
        Tag::DateLocal => push_text(out, &clock::local(accepted), flags),
        Tag::Timestamp => push_hex(out, accepted.seconds as u64, flags),
        Tag::Date => push_text(out, &clock::with_millis(accepted), flags),
        Tag::RequestDate => push_text(out, &clock::with_millis(requested), flags),
        Tag::RequestDateGmt => push_text(out, &clock::gmt(requested), flags),
        Tag::RequestDateLocal => push_text(out, &clock::local(requested), flags),
        Tag::Millis => match flags.hex {
            true => out.push_str(&format!("{:02X}", accepted.millis())),
            false => out.push_str(&format!("{:03}", accepted.millis())),
        },
        Tag::ActiveTime => {
            push_sum(
                out,
                u64::from(http.map_or(timers.total_ms, |h| h.active_ms)),
                context.so_far,
            );
        }
        Tag::ConnectTime => push_time(out, timers.connect_ms),
        Tag::DataTime => push_time(out, data_time(record)),
        Tag::HandshakeTime => push_number(out, u64::from(timers.handshake_ms)),
        Tag::IdleTime => push_number(out, u64::from(http.map_or(0, |h| h.idle_ms))),
        Tag::QueryTime => push_time(
            out,
            http.and_then(|h| h.request_ms.map(|ms| ms + h.idle_ms + timers.handshake_ms)),
        ),
        Tag::RequestTime => push_time(out, http.and_then(|h| h.request_ms)),
        Tag::ResponseTime => push_time(out, http.and_then(|h| h.response_ms)),
        Tag::TotalTime => push_sum(out, u64::from(timers.total_ms), context.so_far),
        Tag::UserTime => {
            let idle = http.map_or(0, |h| h.idle_ms);
            push_sum(
                out,
                u64::from(timers.total_ms.saturating_sub(idle)),
                context.so_far,
            );
        }
        Tag::WaitTime => push_time(out, waited(record)),
        Tag::ActiveConns => push_number(out, u64::from(record.connections.process)),
        Tag::FrontendConns => push_number(out, u64::from(record.connections.frontend)),
        Tag::BackendConns => push_number(out, u64::from(record.connections.backend)),
        Tag::ServerConns => push_number(out, u64::from(record.connections.server)),
        Tag::Retries => out.push_str(&retries(record)),
        Tag::ServerQueue => push_number(out, u64::from(record.server_queue)),
        Tag::BackendQueue => push_number(out, u64::from(record.backend_queue)),
        Tag::LogCounter => push_hex(out, context.log_counter, flags),
        Tag::RequestCounter => push_hex(out, context.request_counter, flags),
        Tag::Backend => push_text(out, back, flags),
        Tag::Server => push_text(out, server_name(record), flags),
        Tag::Frontend | Tag::FrontendTransport => push_text(out, &record.frontend.conf.name, flags),
        Tag::Pid => push_hex(out, u64::from(context.pid), flags),
        Tag::ClientIp => push_ip(out, &record.client, flags),
        Tag::ClientPort => push_port(out, &record.client, flags),
        Tag::FrontendIp => push_ip(out, &record.local, flags),
        Tag::FrontendPort => push_port(out, &record.local, flags),
        Tag::BackendIp => push_ip(out, &record.outgoing, flags),
        Tag::BackendPort => push_port(out, &record.outgoing, flags),
        Tag::ServerIp => push_ip(out, &record.remote, flags),
        Tag::ServerPort => push_port(out, &record.remote, flags),
        Tag::RequestHeaders => push_braced(out, http.map(|h| &h.request_headers), flags),
        Tag::ResponseHeaders => push_braced(out, http.map(|h| &h.response_headers), flags),
        Tag::RequestHeadersList => push_list(out, http.map(|h| &h.request_headers), flags),
        Tag::ResponseHeadersList => push_list(out, http.map(|h| &h.response_headers), flags),
        Tag::RequestLine => push_text(out, &request_line(http), flags),
        Tag::SslCipher | Tag::SslVersion => push_text(out, "", flags),
        Tag::TermState => out.extend(record.end.letters()),
        Tag::TermStateCookie => {
            out.extend(record.end.letters());
            out.extend(http.map_or(['-', '-'], |h| h.cookie_letters));
        }
    }
}

/// Time of passing data: nothing before the connection was there.
fn data_time(record: &SessionRecord) -> Option<u32> {
    let timers = &record.timers;
    let before = timers.connect_ms? + timers.queue_ms.unwrap_or(0) + timers.handshake_ms;
    Some(timers.total_ms.saturating_sub(before))
}

impl SessionRecord {
    fn back_name(&self) -> &str {
        &self.backend.conf.name
    }
}

/// Name of the chosen server; `<STATS>` for the statistics page is set by who
/// answers it: as a local answer without a server in a proxy with statistics.
pub(super) fn server_name(record: &SessionRecord) -> &str {
    match &record.server {
        Some(server) => server.name(),
        None if record.end.cause == crate::state::Cause::Local
            && record.frontend.conf.stats.is_some() =>
        {
            "<STATS>"
        }
        None => "<NOSRV>",
    }
}

fn retries(record: &SessionRecord) -> String {
    let plus = if record.redispatched { "+" } else { "" };
    format!("{plus}{}", record.retries)
}

fn push_counts(out: &mut String, record: &SessionRecord) {
    for count in record.connections.in_order() {
        push_number(out, u64::from(count));
        out.push('/');
    }
    push_plus(out, record.redispatched);
    push_number(out, u64::from(record.retries));
    out.push(' ');
    push_number(out, u64::from(record.server_queue));
    out.push('/');
    push_number(out, u64::from(record.backend_queue));
}

fn push_plus(out: &mut String, wanted: bool) {
    if wanted {
        out.push('+');
    }
}

fn push_sum(out: &mut String, number: u64, so_far: bool) {
    push_plus(out, so_far);
    push_number(out, number);
}

fn push_number(out: &mut String, number: u64) {
    let mut buffer = itoa::Buffer::new();
    out.push_str(buffer.format(number));
}

fn push_time(out: &mut String, ms: Option<u32>) {
    match ms {
        Some(ms) => push_number(out, u64::from(ms)),
        None => out.push_str("-1"),
    }
}

fn push_hex(out: &mut String, number: u64, flags: FormatFlags) {
    match flags.hex {
        true => out.push_str(&format!("{number:04X}")),
        false => push_number(out, number),
    }
}

fn push_status(out: &mut String, http: Option<&HttpRecord>) {
    match http.and_then(|http| http.status) {
        Some(status) => push_number(out, u64::from(status)),
        None => out.push_str("-1"),
    }
}

fn push_peer(out: &mut String, peer: &Peer) {
    push_ip(out, peer, FormatFlags::default());
    out.push(':');
    push_port(out, peer, FormatFlags::default());
}

pub(super) fn ip(peer: &Peer) -> String {
    let mut out = String::new();
    push_ip(&mut out, peer, FormatFlags::default());
    out
}

fn port(peer: &Peer) -> String {
    let mut out = String::new();
    push_port(&mut out, peer, FormatFlags::default());
    out
}

fn push_ip(out: &mut String, peer: &Peer, flags: FormatFlags) {
    use std::fmt::Write;
    // writing to a string cannot fail
    let _ = match (peer, peer.ip()) {
        (_, Some(std::net::IpAddr::V4(ip))) if flags.hex => write!(out, "{:08X}", u32::from(ip)),
        (_, Some(std::net::IpAddr::V6(ip))) if flags.hex => write!(out, "{:032X}", u128::from(ip)),
        (_, Some(ip)) if flags.quote => write!(out, "\"{ip}\""),
        (_, Some(ip)) => write!(out, "{ip}"),
        (Peer::Unix(_), None) => write!(out, "unix"),
        (Peer::Inet(_) | Peer::None, None) => write!(out, "-"),
    };
}

fn push_port(out: &mut String, peer: &Peer, flags: FormatFlags) {
    match (peer, peer.port()) {
        (_, Some(port)) => push_hex(out, u64::from(port), flags),
        (Peer::Unix(id), None) => push_number(out, u64::from(*id)),
        (Peer::Inet(_) | Peer::None, None) => out.push('-'),
    }
}

pub(super) fn request_line(http: Option<&HttpRecord>) -> String {
    match http {
        Some(http) if !http.request_line.is_empty() => readable(&http.request_line),
        Some(_) | None => "<BADREQ>".to_owned(),
    }
}

fn request_part(http: Option<&HttpRecord>, index: usize) -> &str {
    let line = http.map_or(&[][..], |http| &http.request_line);
    let line = std::str::from_utf8(line).unwrap_or_default();
    match line.split(' ').nth(index) {
        Some(part) if !part.is_empty() => part,
        Some(_) | None => "<BADREQ>",
    }
}

/// Bytes as one line of text: control characters and what is not ASCII as `#XX`.
fn readable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            0x20..=0x7E => out.push(char::from(*byte)),
            _ => out.push_str(&format!("#{byte:02X}")),
        }
    }
    out
}

pub(super) fn text_of(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "-".to_owned(), readable)
}

fn push_bytes(out: &mut String, bytes: Option<&[u8]>, flags: FormatFlags) {
    push_text(out, &bytes.map(readable).unwrap_or_default(), flags);
}

fn push_text(out: &mut String, text: &str, flags: FormatFlags) {
    if flags.quote {
        out.push('"');
    }
    match (text.is_empty(), flags.escape) {
        (true, _) => out.push('-'),
        (false, false) => out.push_str(text),
        (false, true) => {
            for c in text.chars() {
                if matches!(c, '"' | '\\' | ']') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    if flags.quote {
        out.push('"');
    }
}

fn push_captures(out: &mut String, slots: Option<&Vec<Option<Vec<u8>>>>) {
    if slots.is_some_and(|slots| !slots.is_empty()) {
        out.push(' ');
        push_braced(out, slots, FormatFlags::default());
    }
}

fn push_braced(out: &mut String, slots: Option<&Vec<Option<Vec<u8>>>>, flags: FormatFlags) {
    let Some(slots) = slots.filter(|slots| !slots.is_empty()) else {
        return;
    };
    let texts: Vec<String> = slots
        .iter()
        .map(|slot| slot.as_deref().map(readable).unwrap_or_default())
        .collect();
    let quote = if flags.quote { "\"" } else { "" };
    out.push_str(&format!("{quote}{{{}}}{quote}", texts.join("|")));
}

fn push_list(out: &mut String, slots: Option<&Vec<Option<Vec<u8>>>>, flags: FormatFlags) {
    for (index, slot) in slots.into_iter().flatten().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        push_bytes(out, slot.as_deref(), flags);
    }
}
