//! What is known so far of one request and its answer; at the end it becomes a log line and
//! counts.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use conf::lb::model::RuleLine;

use super::captures::Captured;
use super::gate::Live;
use crate::core::queue::Priority;
use crate::counters::Cells;
use crate::state::{
    Cause, Connections, End, HttpRecord, Peer, Phase, Proxy, Runtime, Server, SessionRecord, Timers,
};

/// One exchange.
pub struct Draft {
    /// When the request's first byte came.
    pub began: Instant,
    pub requested: SystemTime,
    pub idle_ms: u32,
    pub request_ms: Option<u32>,
    pub queue_ms: Option<u32>,
    pub connect_ms: Option<u32>,
    pub response_ms: Option<u32>,
    pub request_line: Vec<u8>,
    pub status: Option<u16>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub end: End,
    pub backend: Option<Arc<Proxy>>,
    pub server: Option<Arc<Server>>,
    pub outgoing: Peer,
    pub remote: Peer,
    pub retries: u32,
    pub redispatched: bool,
    pub server_queue: u32,
    pub backend_queue: u32,
    /// `set-log-level`.
    pub level: Option<conf::lb::model::LogLevel>,
    /// What the line shows of headers and cookies.
    pub captured: Captured,
    /// A rule refused the answer.
    pub answer_denied: bool,
    /// The rule that ended the last list of rules.
    pub last_rule: Option<RuleLine>,
    /// No line is written: monitors.
    pub silent: bool,
    /// Answered here: counts as intercepted.
    pub intercepted: bool,
}

impl Draft {
    pub fn new(idle_ms: u32) -> Self {
        Self {
            began: Instant::now(),
            requested: SystemTime::now(),
            idle_ms,
            request_ms: None,
            queue_ms: None,
            connect_ms: None,
            response_ms: None,
            request_line: Vec::new(),
            status: None,
            bytes_in: 0,
            bytes_out: 0,
            end: End::default(),
            backend: None,
            server: None,
            outgoing: Peer::None,
            remote: Peer::None,
            retries: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            level: None,
            captured: Captured::default(),
            answer_denied: false,
            last_rule: None,
            silent: false,
            intercepted: false,
        }
    }

    /// Milliseconds since the request's first byte.
    pub fn elapsed_ms(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    /// Ends it with these letters.
    pub fn ended(&mut self, cause: Cause, phase: Phase) {
        self.end = End { cause, phase };
    }

    /// One line about the exchange, for those who watch the session.
    pub fn summary(&self) -> String {
        let status = self
            .status
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        let here = if self.intercepted { ", made here" } else { "" };
        format!(
            "request done {} status {status}{here}, {} ms, {} bytes in, {} out",
            self.end,
            self.elapsed_ms(),
            self.bytes_in,
            self.bytes_out
        )
    }

    /// Adds to the counters of frontend, backend and server.
    pub fn count(&self, runtime: &Runtime, frontend: &Proxy) {
        let class = self.status.map(|status| match status {
            100..=599 => usize::from(status / 100) - 1,
            _ => 5,
        });
        let each = |cells: &Cells, is_request: bool| {
            cells.bytes_in.add_shared(self.bytes_in);
            cells.bytes_out.add_shared(self.bytes_out);
            if let (Some(class), true) = (class, is_request) {
                cells.responses[class].add_shared(1);
            }
        };
        let process = runtime.process.counters.shared();
        process.bytes_in.add_shared(self.bytes_in);
        process.bytes_out.add_shared(self.bytes_out);
        process.requests.add_shared(1);
        let now_ms = runtime.now_ms();
        if let Some(front) = &frontend.front {
            let cells = front.counters.shared();
            each(cells, true);
            cells.requests.add_shared(1);
            front.request_rate.add(now_ms);
            cells.intercepted.add_shared(u64::from(self.intercepted));
            self.count_refusals(cells);
        }
        // what is answered here counts its bytes in the backend of the same name, too
        let backend = self
            .backend
            .as_deref()
            .or_else(|| frontend.back.as_ref().map(|_| frontend));
        if let Some((proxy, back)) = backend.and_then(|proxy| Some((proxy, proxy.back.as_ref()?))) {
            let routed = self.backend.is_some();
            let cells = back.counters.shared();
            each(cells, routed);
            cells.requests.add_shared(u64::from(routed));
            if routed {
                self.count_ends(cells);
            }
            if let Some(server) = self.server.as_ref().filter(|_| routed) {
                let cells = server.counters.shared();
                each(cells, self.response_ms.is_some());
                cells
                    .requests
                    .add_shared(u64::from(self.response_ms.is_some()));
                self.count_ends(cells);
                self.time(&server.times);
            }
            if routed {
                self.time(&back.times);
            }
            let _ = proxy;
        }
    }

    fn count_refusals(&self, cells: &Cells) {
        match (self.end.cause, self.end.phase, self.status) {
            (Cause::Proxy, _, Some(400))
            | (Cause::Client | Cause::ClientTimeout, Phase::Request, _) => {
                cells.bad_requests.add_shared(1);
            }
            (Cause::Proxy, Phase::Request, _) => cells.denied_requests.add_shared(1),
            (Cause::Proxy, Phase::Headers, _) if self.answer_denied => {
                cells.denied_responses.add_shared(1);
            }
            _ => {}
        }
    }

    fn count_ends(&self, cells: &Cells) {
        match (self.end.cause, self.end.phase) {
            (Cause::Proxy, Phase::Headers) if self.answer_denied => {
                cells.denied_responses.add_shared(1);
            }
            (Cause::Proxy, Phase::Headers) => cells.failed_responses.add_shared(1),
            (Cause::Server | Cause::ServerTimeout, Phase::Headers | Phase::Data) => {
                cells.failed_responses.add_shared(1);
                if self.end.cause == Cause::Server {
                    cells.server_aborts.add_shared(1);
                }
            }
            (Cause::Client, Phase::Headers | Phase::Data | Phase::Queue | Phase::Connect) => {
                cells.client_aborts.add_shared(1);
            }
            (Cause::Server | Cause::ServerTimeout, Phase::Connect | Phase::Queue) => {
                cells.failed_connects.add_shared(1);
            }
            _ => {}
        }
    }

    fn time(&self, times: &crate::counters::Times) {
        let Some(response_ms) = self.response_ms else {
            return;
        };
        times.queue.add(self.queue_ms.unwrap_or(0));
        times.connect.add(self.connect_ms.unwrap_or(0));
        times.response.add(response_ms);
        times.total.add(self.elapsed_ms());
    }
}

impl Draft {
    /// The record that the access log writes.
    pub(super) fn record(self, runtime: &Runtime, origin: &Live) -> SessionRecord {
        let active_ms = self.elapsed_ms();
        let gauge = |proxy: &Proxy| proxy.back.as_ref().map_or(0, |back| back.sessions.get());
        let front = origin.frontend.front.as_ref();
        let connections = Connections {
            process: runtime.process.connections.get(),
            frontend: front.map_or(0, |front| front.connections.get()),
            backend: self.backend.as_ref().map_or(0, |proxy| gauge(proxy)),
            server: self
                .server
                .as_ref()
                .map_or(0, |server| server.sessions.get()),
        };
        SessionRecord {
            failure: None,
            last_rule: self.last_rule,
            id: origin.id.number(),
            at_start: false,
            frontend: origin.frontend.clone(),
            listener: origin.listener,
            backend: self.backend.unwrap_or_else(|| origin.frontend.clone()),
            server: self.server,
            client: origin.client.clone(),
            socket: (None, None),
            local: origin.local.clone(),
            outgoing: self.outgoing,
            remote: self.remote,
            accepted: origin.accepted,
            timers: Timers {
                handshake_ms: 0,
                queue_ms: self.queue_ms,
                connect_ms: self.connect_ms,
                total_ms: active_ms.saturating_add(self.idle_ms),
            },
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            end: self.end,
            connections,
            retries: self.retries,
            redispatched: self.redispatched,
            server_queue: self.server_queue,
            backend_queue: self.backend_queue,
            level: self.level,
            captures: Vec::new(),
            proxied: None,
            unique_id: None,
            priority: Priority::default(),
            variables: Vec::new(),
            tcp_info: None,
            http: Some(Box::new(HttpRecord {
                request_line: self.request_line,
                status: self.status,
                requested: self.requested,
                idle_ms: self.idle_ms,
                request_ms: self.request_ms,
                response_ms: self.response_ms,
                active_ms,
                cookie_letters: ['-', '-'],
                request_cookie: self.captured.request_cookie,
                response_cookie: self.captured.response_cookie,
                request_headers: self.captured.request_headers,
                response_headers: self.captured.response_headers,
            })),
        }
    }
}
