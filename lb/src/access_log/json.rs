//! `option json-log`: a session's line as one JSON object. Fields have the
//! names that HAProxy's manual gives those of the TCP and HTTP formats.

use super::clock;
use super::clock::Moment;
use super::line::{self, Context};
use crate::state::{HttpRecord, SessionRecord};
use conf::lb::model::{Mode, SessionFormat, TcpFigure};

/// Members of an object, one after the other.
struct Object(String);

impl Object {
    fn new() -> Object {
        Object(String::from("{"))
    }

    fn raw(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(value);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.raw(name, &quoted(value));
    }

    fn number(&mut self, name: &str, value: impl Into<u64>) {
        let mut buffer = itoa::Buffer::new();
        self.raw(name, buffer.format(value.into()));
    }

    /// A time that was perhaps not reached: -1.
    fn time(&mut self, name: &str, ms: Option<u32>) {
        match ms {
            Some(ms) => self.number(name, ms),
            None => self.raw(name, "-1"),
        }
    }

    fn list(&mut self, name: &str, slots: &[Option<Vec<u8>>]) {
        let texts: Vec<String> = slots
            .iter()
            .map(|slot| quoted(&line::text_of(slot.as_deref())))
            .collect();
        self.raw(name, &format!("[{}]", texts.join(",")));
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    // a string always has a JSON form
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// The line at a session's start.
pub fn start(record: &SessionRecord) -> String {
    let mut out = Object::new();
    out.text("event", "start");
    begin(
        &mut out,
        record,
        Moment::from(record.accepted),
        "accept_date",
    );
    out.finish()
}

/// The line of a session or request; with `so_far` its sums are not final.
pub fn session(record: &SessionRecord, context: &Context<'_>) -> String {
    let mut out = Object::new();
    out.text("event", if context.so_far { "connected" } else { "end" });
    match (&record.http, record.frontend.conf.mode) {
        (Some(http), Mode::Http) => of_http(&mut out, record, http),
        (Some(_) | None, _) => of_tcp(&mut out, record),
    }
    out.number("bytes_uploaded", record.bytes_in);
    out.text("close_reason", &record.end.words());
    if !context.unique_id.is_empty() {
        out.text("unique_id", context.unique_id);
    }
    if matches!(
        record.frontend.conf.logging.format,
        SessionFormat::Json(true)
    ) {
        kernel(&mut out, record);
    }
    out.finish()
}

fn begin(out: &mut Object, record: &SessionRecord, date: Moment, name: &str) {
    out.text("session_id", &format!("{:#x}", record.id));
    out.text("client_ip", &line::ip(&record.client));
    if let Some(port) = record.client.port() {
        out.number("client_port", port);
    }
    out.text(name, &clock::with_millis(date));
    out.text("frontend_name", &record.frontend.conf.name);
}

fn of_tcp(out: &mut Object, record: &SessionRecord) {
    begin(out, record, Moment::from(record.accepted), "accept_date");
    out.text("backend_name", &record.backend.conf.name);
    out.text("server_name", line::server_name(record));
    out.time("Tw", record.timers.queue_ms);
    out.time("Tc", record.timers.connect_ms);
    out.number("Tt", record.timers.total_ms);
    out.number("bytes_read", record.bytes_out);
    out.text("termination_state", &record.end.to_string());
    counts(out, record);
}

fn of_http(out: &mut Object, record: &SessionRecord, http: &HttpRecord) {
    begin(out, record, Moment::from(http.requested), "request_date");
    out.text("backend_name", &record.backend.conf.name);
    out.text("server_name", line::server_name(record));
    out.time("TR", http.request_ms);
    out.time("Tw", record.timers.queue_ms);
    out.time("Tc", record.timers.connect_ms);
    out.time("Tr", http.response_ms);
    out.number("Ta", http.active_ms);
    match http.status {
        Some(status) => out.number("status_code", status),
        None => out.raw("status_code", "-1"),
    }
    out.number("bytes_read", record.bytes_out);
    let cookie = |bytes: &Option<Vec<u8>>| line::text_of(bytes.as_deref());
    out.text("captured_request_cookie", &cookie(&http.request_cookie));
    out.text("captured_response_cookie", &cookie(&http.response_cookie));
    let letters: String = http.cookie_letters.iter().collect();
    out.text("termination_state", &format!("{}{letters}", record.end));
    counts(out, record);
    out.list("captured_request_headers", &http.request_headers);
    out.list("captured_response_headers", &http.response_headers);
    out.text("http_request", &line::request_line(Some(http)));
}

fn counts(out: &mut Object, record: &SessionRecord) {
    let names = ["actconn", "feconn", "beconn", "srv_conn"];
    for (name, count) in names.into_iter().zip(record.connections.in_order()) {
        out.number(name, count);
    }
    out.number("retries", record.retries);
    out.raw(
        "redispatched",
        if record.redispatched { "true" } else { "false" },
    );
    out.number("srv_queue", record.server_queue);
    out.number("backend_queue", record.backend_queue);
}

/// What the kernel knew of both connections at the end.
fn kernel(out: &mut Object, record: &SessionRecord) {
    let figures = [
        ("rtt_us", TcpFigure::Rtt),
        ("rttvar_us", TcpFigure::RttVariation),
        ("retransmits", TcpFigure::AllRetransmitted),
        ("lost", TcpFigure::Lost),
    ];
    for (side, server) in [("client", false), ("server", true)] {
        for (name, figure) in figures {
            if let Some(value) = record.tcp_figure(server, figure, true) {
                out.number(&format!("{side}_{name}"), value);
            }
        }
    }
}
