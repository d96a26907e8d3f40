//! Greet, inspect, route: from accept to the choice of a backend.

use super::facts::Facts;
use super::{Context, Routed, Session, Stage, Turn};
use crate::core::expr::{Window, holds};
use crate::core::proxy_protocol::{self, Bad};
use crate::core::rules::{Verdict, judge};
use crate::core::server::Operation;
use crate::counters::{Cell, Cells};
use crate::listener::Admission;
use crate::relay::Side;
use crate::state::{Cause, ConnectionError, End, HandedOver, Peer, Phase, Proxy, Server};
use crate::sys;
use conf::lb::model::{BackendName, Mode, TcpRule};
use mio::unix::SourceFd;
use nix::sys::socket::{MsgFlags, recv};
use socket2::TcpKeepalive;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

impl Session {
    /// The first step after accept and registration.
    pub fn begin(&mut self, cx: &mut Context<'_>) -> Turn {
        let turn = self.greeted_or_admitted(cx);
        self.watch_room(cx, turn)
    }

    fn greeted_or_admitted(&mut self, cx: &mut Context<'_>) -> Turn {
        let proxy = self.frontend().clone();
        let Some(front) = &proxy.conf.front else {
            return self.refuse(cx, Cause::Internal);
        };
        if !front.connection_rules.is_empty() {
            let nothing = (Window::default(), Window::default());
            let verdict = self.with_facts(cx, nothing, |facts| {
                judge(&front.connection_rules, &proxy.conf.acls, true, facts)
            });
            if verdict != Verdict::Accept {
                self.count_refused(cx, verdict, |cells| &cells.denied_connections);
                self.drop_silently(verdict);
                return self.refuse(cx, Cause::Proxy);
            }
            // what these rules set holds for the connection itself
            self.extra().socket = (None, None);
        }
        self.keep_alive();
        let listener = self.admission.listener();
        let by_rule = self.extra.as_ref().is_some_and(|e| e.expects_header);
        if by_rule || listener.conf().is_some_and(|b| b.accept_proxy) {
            let timeout = front.timeouts.client;
            let until = timeout.map(|t| cx.now_ms + t.as_millis() as u64);
            self.stage = Stage::Greet { until };
            // The header often comes with the connection.
            return self.greet(cx);
        }
        self.admitted(cx)
    }

    /// `option clitcpka`: probes towards the client.
    fn keep_alive(&self) {
        let options = &self.frontend().conf.tcp;
        if !options.client_keepalive {
            return;
        }
        let mut probes = TcpKeepalive::new();
        if let Some(idle) = options.client_keepalive_idle {
            probes = probes.with_time(idle);
        }
        if let Some(interval) = options.client_keepalive_interval {
            probes = probes.with_interval(interval);
        }
        if let Some(count) = options.client_keepalive_count {
            probes = probes.with_retries(count);
        }
        // Fails only on unix sockets, which need no probes.
        let socket = &self.client.socket;
        let _ = socket.set_keepalive(true);
        let _ = socket.set_tcp_keepalive(&probes);
    }

    /// Ends the connection before it was a session: by a single RST and
    /// without a log line.
    fn refuse(&mut self, cx: &mut Context<'_>, cause: Cause) -> Turn {
        self.logged = true;
        let phase = Phase::Request;
        self.reset_both();
        self.close(cx, End { cause, phase })
    }

    /// A connection or session rule ended it.
    fn count_refused(&self, cx: &Context<'_>, verdict: Verdict, cell: fn(&Cells) -> &Cell) {
        match (&self.frontend().front, verdict) {
            (_, Verdict::Drop) => self.count_denied(cx),
            (Some(front), _) => cell(front.counters.of(cx.thread())).add(1),
            (None, _) => {}
        }
    }

    /// `silent-drop`: what tells the client is not to get far.
    fn drop_silently(&self, verdict: Verdict) {
        if verdict == Verdict::Drop {
            let socket = &self.client.socket;
            // Needs CAP_NET_ADMIN: closed without a word.
            if sys::set_repair(socket).is_ok() {
                return;
            }
            // A RST that the first router discards.
            let _ = socket.set_ttl_v4(1);
            let _ = socket.set_unicast_hops_v6(1);
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }

    fn admitted(&mut self, cx: &mut Context<'_>) -> Turn {
        let proxy = self.frontend().clone();
        let rules = proxy.conf.front.as_ref().map(|f| &f.session_rules);
        if let Some(rules) = rules.filter(|r| !r.is_empty()) {
            let nothing = (Window::default(), Window::default());
            let verdict = self.with_facts(cx, nothing, |facts| {
                judge(rules, &proxy.conf.acls, true, facts)
            });
            if verdict != Verdict::Accept {
                self.count_refused(cx, verdict, |cells| &cells.denied_sessions);
                self.drop_silently(verdict);
                // the handshake is over: unlike a refused connection it ends by FIN
                self.logged = true;
                let (cause, phase) = (Cause::Proxy, Phase::Request);
                return self.close(cx, End { cause, phase });
            }
        }
        self.admission.count_session(cx.thread(), cx.now_ms);
        self.log_start(cx, true);
        self.route(cx)
    }

    /// Reads the PROXY header, which other bytes may follow.
    pub(super) fn greet(&mut self, cx: &mut Context<'_>) -> Turn {
        let buffer = &mut cx.shop.buffer[..proxy_protocol::MAX];
        let size = match peek(&self.client, buffer) {
            Peek::Bytes(size) => size,
            Peek::Nothing => return Turn::Rearm,
            Peek::Ended => return self.header_failed(cx, ConnectionError::HeaderMissing, 0),
        };
        match proxy_protocol::parse(&buffer[..size]) {
            Ok(None) if self.client.ending => {
                self.header_failed(cx, ConnectionError::HeaderTruncated, size)
            }
            Ok(None) => Turn::Rearm,
            Err(Bad::Signature) if size < 16 => {
                self.header_failed(cx, ConnectionError::HeaderTruncated, size)
            }
            Err(Bad::Signature) => self.header_failed(cx, ConnectionError::HeaderForeign, size),
            Err(Bad::Protocol) => self.header_failed(cx, ConnectionError::HeaderOfOther, size),
            Err(Bad::Malformed | Bad::Checksum) => {
                self.header_failed(cx, ConnectionError::HeaderInvalid, size)
            }
            Ok(Some((header, length))) => {
                // Taken out of the socket; what follows stays there.
                let fd = self.client.socket.as_raw_fd();
                if recv(fd, &mut buffer[..length], MsgFlags::empty()) != Ok(length) {
                    return self.header_failed(cx, ConnectionError::HeaderTruncated, size);
                }
                self.client.readable = true;
                let waited = (cx.now_ms - self.accepted_ms) as u32;
                if let Some((from, to)) = header.addresses {
                    let local = self.local_address();
                    let before = std::mem::replace(&mut self.client_peer, Peer::Inet(from));
                    self.extra().socket = (Some(before), local);
                    self.extra().local = Some(Peer::Inet(to));
                }
                let extra = self.extra();
                extra.greeted = true;
                extra.handshake_ms = waited;
                (extra.authority, extra.unique_id) = (header.authority, header.unique_id);
                self.admitted(cx)
            }
        }
    }

    pub(super) fn greeting_late(&mut self, cx: &mut Context<'_>) -> Turn {
        match peek(&self.client, &mut [0; 1]) {
            Peek::Bytes(size) => self.header_failed(cx, ConnectionError::HeaderTruncated, size),
            Peek::Nothing | Peek::Ended => self.header_failed(cx, ConnectionError::HeaderLate, 0),
        }
    }

    /// No PROXY header came: one line says why, unless nothing came at all
    /// and such connections are not to be logged.
    fn header_failed(&mut self, cx: &mut Context<'_>, why: ConnectionError, size: usize) -> Turn {
        let logging = &self.frontend().conf.logging;
        let silent = size == 0 && logging.dont_log_null || logging.targets.is_empty();
        if let Some(log) = cx.runtime.hooks.log.get().filter(|_| !silent) {
            let end = End {
                cause: Cause::Proxy,
                phase: Phase::Request,
            };
            let mut record = self.record(cx, end, true);
            record.failure = Some(why);
            log(&record);
        }
        self.refuse(cx, Cause::Proxy)
    }

    /// Content rules, the choice of the backend, the backend's rules.
    pub(super) fn route(&mut self, cx: &mut Context<'_>) -> Turn {
        let frontend = self.frontend().clone();
        if frontend.conf.mode == Mode::Http {
            return self.hand_over(cx);
        }
        let Some(front) = &frontend.conf.front else {
            return self.refuse(cx, Cause::Internal);
        };
        if self.routed.is_none() {
            let rules = (front.content_rules.as_slice(), front.inspect_delay);
            if let Some(turn) = self.inspect(cx, &frontend, rules, false) {
                return turn;
            }
            let Some(backend) = self.choose_backend(cx, &frontend) else {
                let end = End {
                    cause: Cause::Server,
                    phase: Phase::Connect,
                };
                return self.finish(cx, end);
            };
            self.routed = Some(Routed::new(backend, cx.thread(), cx.now_ms));
        }
        let backend = self.backend().clone();
        let Some(back) = &backend.conf.back else {
            return self.ask_for_server(cx);
        };
        let rules = (back.content_rules.as_slice(), back.inspect_delay);
        if let Some(turn) = self.inspect(cx, &backend, rules, true) {
            return turn;
        }
        let mut pinned = None;
        if !back.use_server.is_empty() {
            pinned = self.use_server(cx, &backend);
        }
        if pinned.is_none() && back.persist_rdp_cookie.is_some() {
            pinned = self.persisted(cx, &backend);
        }
        if pinned.is_some() {
            self.extra().pinned = pinned;
        }
        self.ask_for_server(cx)
    }

    /// Content rules: nothing once the session may go on.
    fn inspect(
        &mut self,
        cx: &mut Context<'_>,
        proxy: &Arc<Proxy>,
        (rules, delay): (&[TcpRule], Option<Duration>),
        of_backend: bool,
    ) -> Option<Turn> {
        if rules.is_empty() {
            return None;
        }
        let until = match &self.stage {
            Stage::Inspect {
                until,
                of_backend: same,
            } if *same == of_backend => *until,
            _ => delay.map(|d| cx.now_ms + d.as_millis() as u64),
        };
        let over = until.is_none_or(|until| until <= cx.now_ms);
        let verdict = self.on_request(cx, over, |facts| {
            let complete = facts.request.complete;
            judge(rules, &proxy.conf.acls, complete, facts)
        });
        match verdict {
            Verdict::Accept | Verdict::Close => None,
            Verdict::Wait => {
                self.stage = Stage::Inspect { until, of_backend };
                Some(Turn::Rearm)
            }
            Verdict::Reject | Verdict::Drop => {
                self.count_denied(cx);
                if let (Verdict::Drop, true, Some(back)) = (verdict, of_backend, &proxy.back) {
                    back.counters.of(cx.thread()).denied_requests.add(1);
                }
                self.drop_silently(verdict);
                let end = End {
                    cause: Cause::Proxy,
                    phase: Phase::Request,
                };
                Some(self.finish(cx, end))
            }
        }
    }

    /// A content rule, whether the frontend's or the backend's, or a silent drop: the frontend counts it.
    fn count_denied(&self, cx: &Context<'_>) {
        if let Some(front) = &self.frontend().front {
            front.counters.of(cx.thread()).denied_requests.add(1);
        }
    }

    /// Looks at the session with what the client has sent so far; the bytes
    /// stay in the socket. `over`: no more are waited for.
    pub(super) fn on_request<T>(
        &mut self,
        cx: &mut Context<'_>,
        over: bool,
        look: impl FnOnce(&mut Facts<'_>) -> T,
    ) -> T {
        let limit = cx.generation.conf.global.tune.bufsize;
        let limit = limit.map_or(16_384, |b| b.0 as usize);
        // Taken out for the time of the look, which may need the rest of the thread.
        let mut buffer = std::mem::take(&mut cx.shop.buffer);
        let limit = limit.min(buffer.len());
        let (size, ended) = match peek(&self.client, &mut buffer[..limit]) {
            Peek::Bytes(size) => (size, self.client.ending || size == limit),
            Peek::Nothing => (0, false),
            Peek::Ended => (0, true),
        };
        let request = Window {
            bytes: &buffer[..size],
            complete: over || ended,
        };
        let result = self.with_facts(cx, (request, Window::default()), look);
        cx.shop.buffer = buffer;
        result
    }

    fn choose_backend(
        &mut self,
        cx: &mut Context<'_>,
        frontend: &Arc<Proxy>,
    ) -> Option<Arc<Proxy>> {
        let front = frontend.conf.front.as_ref()?;
        if !front.use_backend.is_empty() {
            let acls = &frontend.conf.acls;
            let name = self.on_request(cx, true, |facts| {
                front.use_backend.iter().find_map(|rule| {
                    let applies = holds(rule.condition.as_ref(), acls, facts).settled();
                    let name = applies.then(|| name_of(&rule.backend, facts))?;
                    // A computed name that no backend has is passed over.
                    facts.generation.backend(&name).map(|_| name)
                })
            });
            if let Some(name) = name {
                return cx.generation.backend(&name).cloned();
            }
        }
        match &front.default_backend {
            Some(name) => cx.generation.backend(name).cloned(),
            None => frontend.back.is_some().then(|| frontend.clone()),
        }
    }

    fn use_server(&mut self, cx: &mut Context<'_>, backend: &Arc<Proxy>) -> Option<Arc<Server>> {
        let back = backend.conf.back.as_ref()?;
        self.on_request(cx, true, |facts| {
            back.use_server.iter().find_map(|rule| {
                let applies = holds(rule.condition.as_ref(), &backend.conf.acls, facts);
                let name = applies.settled().then(|| name_of(&rule.server, facts))?;
                let server = backend.server(&name)?;
                // One that is down is passed over, unless `option persist`; one that drains is not.
                let stopped = server.status().operation == Operation::Stopped;
                (back.persist || !stopped).then(|| server.clone())
            })
        })
    }

    /// An HTTP frontend behind a PROXY header: others serve what follows.
    fn hand_over(&mut self, cx: &mut Context<'_>) -> Turn {
        self.logged = true;
        let fd = self.client.socket.as_raw_fd();
        let removed = cx.registry.deregister(&mut SourceFd(&fd));
        let copy = removed.and_then(|()| self.client.socket.try_clone());
        if let (Ok(socket), Some(http)) = (copy, cx.runtime.hooks.http.get()) {
            let listener = self.admission.listener();
            http(HandedOver {
                socket: socket.into(),
                frontend: listener.proxy.clone(),
                listener: listener.index,
                client: self.client_peer.clone(),
                local: self.local_address().unwrap_or_default(),
                accepted: SystemTime::now(),
                accepted_ms: self.accepted_ms,
                admission: Admission::new(cx.runtime, listener),
            });
        }
        self.close(cx, End::default())
    }

    /// `tcp-response content`: whether the server's bytes may pass.
    pub(super) fn judge_response(&mut self, cx: &mut Context<'_>) -> Option<Turn> {
        let backend = self.backend().clone();
        let (Some(back), Some(server)) = (&backend.conf.back, &self.server) else {
            return None;
        };
        if !server.readable {
            return Some(Turn::Wait);
        }
        let mut buffer = std::mem::take(&mut cx.shop.buffer);
        let (size, ended) = match peek(server, &mut buffer[..16_384]) {
            Peek::Bytes(size) => (size, server.ending || size == 16_384),
            Peek::Nothing => (0, false),
            Peek::Ended => (0, true),
        };
        let deadline = self.extra.as_ref().and_then(|e| e.response_until);
        let until = deadline.or_else(|| {
            let delay = back.response_inspect_delay?;
            Some(cx.now_ms + delay.as_millis() as u64)
        });
        let complete = ended || until.is_none_or(|until| until <= cx.now_ms);
        let response = Window {
            bytes: &buffer[..size],
            complete,
        };
        let verdict = self.with_facts(cx, (Window::default(), response), |facts| {
            judge(&back.response_rules, &backend.conf.acls, complete, facts)
        });
        cx.shop.buffer = buffer;
        match verdict {
            Verdict::Wait => {
                self.extra().response_until = until;
                Some(Turn::Rearm)
            }
            Verdict::Accept => {
                self.hold_response = false;
                self.extra().response_until = None;
                None
            }
            Verdict::Close => {
                self.take_response(cx, size, true);
                Some(self.finish(cx, End::default()))
            }
            Verdict::Reject | Verdict::Drop => {
                self.take_response(cx, size, false);
                if let Some(front) = &self.frontend().front {
                    front.counters.of(cx.thread()).denied_responses.add(1);
                }
                if let Some(live) = &backend.back {
                    live.counters.of(cx.thread()).denied_responses.add(1);
                }
                if let Some(attached) = &self.attached {
                    let counters = attached.server.counters.of(cx.thread());
                    counters.denied_responses.add(1);
                }
                let end = End {
                    cause: Cause::Proxy,
                    phase: Phase::Data,
                };
                Some(self.finish(cx, end))
            }
        }
    }
}

impl Session {
    /// The last bytes of a server that a rule decided about: counted, and the
    /// client gets them or not.
    fn take_response(&mut self, cx: &mut Context<'_>, size: usize, passed_on: bool) {
        let Some(server) = &self.server else {
            return;
        };
        let buffer = &mut cx.shop.buffer[..size];
        let Ok(size) = (&server.socket).read(buffer) else {
            return;
        };
        if passed_on {
            // What the client's socket does not take now is lost with the session.
            let _ = (&self.client.socket).write(&buffer[..size]);
        }
        self.bytes_out += size as u64;
        self.count_out(cx.thread(), size as u64);
    }
}

fn name_of(name: &BackendName, facts: &mut Facts<'_>) -> String {
    match name {
        BackendName::Fixed(name) => name.clone(),
        BackendName::Format(format) => String::from_utf8_lossy(&facts.text(format)).into_owned(),
    }
}

/// What looking into a socket without taking found.
pub(super) enum Peek {
    Bytes(usize),
    Nothing,
    Ended,
}

pub(super) fn peek(side: &Side, buffer: &mut [u8]) -> Peek {
    match recv(side.socket.as_raw_fd(), buffer, MsgFlags::MSG_PEEK) {
        Ok(0) => Peek::Ended,
        Ok(size) => Peek::Bytes(size),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Peek::Nothing,
        Err(_) => Peek::Ended,
    }
}
