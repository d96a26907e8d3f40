//! Queue and connect: a slot at a server, tries, rests and redispatch.

use super::route::{Peek, peek};
use super::{Attached, Context, Session, Stage, Turn};
use crate::core::balance;
use crate::core::expr::{Sample, content};
use crate::core::proxy_protocol::{self, Extras};
use crate::core::server::Operation;
use crate::relay::Side;
use crate::state::{Answer, Assigned, Cause, End, Endpoint, Phase, Proxy, Request, Server, Waiter};
use conf::lb::model::{Balance, Expr, Fetch};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long a slot that was granted at the last moment may be on its way.
const GRACE_MS: u64 = 60_000;

/// A FIN within this time after accept is a half-close, later one an abort.
const PATIENT_MS: u64 = 50;

/// The algorithm chose a server, and not the one of the try before.
fn count_choice(cx: &Context<'_>, backend: &Proxy, request: &Request, server: &Arc<Server>) {
    let another = request
        .avoid
        .as_ref()
        .is_none_or(|before| !before.is(server));
    if another && request.pinned.is_none() && backend.direct.is_none() {
        server.counters.of(cx.thread()).balanced.add(1);
        if let Some(back) = &backend.back {
            back.counters.of(cx.thread()).balanced.add(1);
        }
    }
}

/// Why a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server answered with an error: a rest before the same server again.
    Refused,
    /// No answer within `timeout connect`.
    Timeout,
    /// The system refused at once (no route, no port left): again without a rest.
    Local,
    /// No descriptor is left.
    Resource,
}

impl Session {
    pub(super) fn ask_for_server(&mut self, cx: &mut Context<'_>) -> Turn {
        let backend = self.backend().clone();
        let key = self.balance_key(cx, &backend);
        let extra = self.extra.as_deref();
        let request = Request {
            pinned: extra.and_then(|e| e.pinned.clone()),
            key,
            avoid: extra.and_then(|e| e.avoid.clone()),
            priority: self.priority(),
        };
        let waiter = || Waiter::Session(cx.mailbox.clone(), cx.id);
        match backend.assign(cx.runtime, &request, waiter) {
            Assigned::Slot(slot) => {
                count_choice(cx, &backend, &request, slot.server());
                self.queued_ms = Some((cx.now_ms - self.accepted_ms) as u32);
                self.note_choice(cx, slot.server());
                self.slot = Some(slot);
                self.connect(cx)
            }
            Assigned::Queued(ticket, server) => {
                if let Some(server) = &server {
                    count_choice(cx, &backend, &request, server);
                }
                self.extra().server = server;
                let timeouts = backend.conf.back.as_ref().map(|b| &b.timeouts);
                let timeout = timeouts.and_then(|t| t.queue.or(t.connect));
                let until = timeout.map(|t| cx.now_ms + t.as_millis() as u64);
                self.stage = Stage::Queue { ticket, until };
                Turn::Rearm
            }
            Assigned::Full(server) => {
                count_choice(cx, &backend, &request, &server);
                let redispatch = backend
                    .conf
                    .back
                    .as_ref()
                    .is_some_and(|b| b.redispatch != 0);
                if redispatch && request.pinned.is_some() {
                    self.extra().pinned = None;
                    return self.ask_for_server(cx);
                }
                server.counters.of(cx.thread()).failed_connects.add(1);
                self.extra().server = Some(server);
                self.give_up(cx, Cause::Server, Phase::Queue)
            }
            Assigned::NoServer => self.give_up(cx, Cause::Server, Phase::Connect),
        }
    }

    /// The session ends because no server took it.
    fn give_up(&mut self, cx: &mut Context<'_>, cause: Cause, phase: Phase) -> Turn {
        if let Some(back) = self.routed.as_ref().and_then(super::Routed::back) {
            back.counters.of(cx.thread()).failed_connects.add(1);
        }
        self.finish(cx, End { cause, phase })
    }

    fn balance_key(&mut self, cx: &mut Context<'_>, backend: &Arc<Proxy>) -> Option<u32> {
        let back = backend.conf.back.as_ref()?;
        match &back.balance {
            Balance::Source => Some(balance::key_of_source(back, self.client_peer.ip()?)),
            Balance::Hash(expr) => {
                let found = self.on_request(cx, true, |facts| facts.value(expr));
                Some(balance::key_of(back, &found?.to_bytes()))
            }
            Balance::RdpCookie(name) => {
                let cookie = self.rdp_cookie(cx, name)?;
                Some(balance::key_of(back, &cookie.to_bytes()))
            }
            Balance::RoundRobin
            | Balance::StaticRr
            | Balance::LeastConn
            | Balance::First
            | Balance::Random(_)
            | Balance::Uri(_)
            | Balance::UrlParam(_)
            | Balance::Header(..) => None,
        }
    }

    /// The value of the client's RDP cookie of this name.
    fn rdp_cookie(&mut self, cx: &mut Context<'_>, name: &str) -> Option<Sample> {
        let cookie = Expr {
            fetch: Fetch::ReqRdpCookie(Some(name.to_owned())),
            converters: Vec::new(),
            text: String::new(),
        };
        self.on_request(cx, true, |facts| facts.value(&cookie))
    }

    /// `persist rdp-cookie`: the server that the client's cookie names.
    pub(super) fn persisted(
        &mut self,
        cx: &mut Context<'_>,
        backend: &Proxy,
    ) -> Option<Arc<Server>> {
        let back = backend.conf.back.as_ref()?;
        let name = back.persist_rdp_cookie.as_ref()?;
        let cookie = self.rdp_cookie(cx, name)?;
        let named = Endpoint::Inet(content::rdp_server(&cookie.to_bytes())?.into());
        let fits = |server: &&Arc<Server>| {
            let stopped = server.status().operation == Operation::Stopped;
            *server.endpoint() == named && (back.persist || !stopped)
        };
        backend.servers.iter().find(fits).cloned()
    }

    /// A try at another server than the last is a redispatch, at the same one a retry.
    fn note_choice(&mut self, cx: &mut Context<'_>, server: &Arc<Server>) {
        let thread = cx.thread();
        let Some(before) = self.extra.as_mut().and_then(|e| e.avoid.take()) else {
            return;
        };
        let back = self.backend().back.clone();
        if before.is(server) {
            before.counters.of(thread).retries.add(1);
            if let Some(back) = back {
                back.counters.of(thread).retries.add(1);
            }
            return;
        }
        self.redispatched = true;
        before.counters.of(thread).redispatches.add(1);
        if let Some(back) = back {
            back.counters.of(thread).redispatches.add(1);
        }
    }

    pub(super) fn wait_ended(&mut self, cx: &mut Context<'_>, answer: Answer) -> Turn {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let Stage::Queue { ticket, .. } = stage else {
            self.stage = stage;
            return Turn::Wait;
        };
        self.note_wait(cx, ticket.passed());
        match answer {
            Answer::Granted(slot) => {
                self.queued_ms = Some((cx.now_ms - self.accepted_ms) as u32);
                self.note_choice(cx, slot.server());
                self.slot = Some(slot);
                self.connect(cx)
            }
            Answer::Redistribute => {
                self.extra().server = None;
                self.ask_for_server(cx)
            }
        }
    }

    /// A wait in a queue is over: how long it took, and behind how many.
    pub(super) fn note_wait(&mut self, cx: &Context<'_>, place: u32) {
        self.queued_ms = Some((cx.now_ms - self.accepted_ms) as u32);
        let extra = self.extra();
        match extra.server {
            Some(_) => extra.server_queue += place,
            None => extra.backend_queue += place,
        }
    }

    pub(super) fn queued_too_long(&mut self, cx: &mut Context<'_>) -> Turn {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let Stage::Queue { ticket, until } = stage else {
            self.stage = stage;
            return Turn::Wait;
        };
        let passed = ticket.passed() + 1;
        if !ticket.leave() {
            // The slot is on its way: take it.
            self.stage = Stage::Queue {
                ticket,
                until: until.map(|_| cx.now_ms + GRACE_MS),
            };
            return Turn::Rearm;
        }
        self.note_wait(cx, passed);
        if let Some(server) = self.extra.as_ref().and_then(|e| e.server.clone()) {
            server.counters.of(cx.thread()).failed_connects.add(1);
        }
        self.give_up(cx, Cause::ServerTimeout, Phase::Queue)
    }

    /// One try at the server of the slot.
    pub(super) fn connect(&mut self, cx: &mut Context<'_>) -> Turn {
        let Some(server) = self.slot.as_ref().map(|s| s.server().clone()) else {
            return self.ask_for_server(cx);
        };
        server.counters.of(cx.thread()).connects.add(1);
        if let Some(back) = self.routed.as_ref().and_then(super::Routed::back) {
            back.counters.of(cx.thread()).connects.add(1);
        }
        let opened = self.open_socket(cx, &server).and_then(|socket| {
            // A handshake on this machine is over when the call returns.
            let here = rustix::net::getpeername(&socket).is_ok();
            let interest = match here {
                true => Interest::READABLE,
                false => Interest::READABLE | Interest::WRITABLE,
            };
            let token = Token(cx.id.index() * 2 + 1);
            cx.registry
                .register(&mut SourceFd(&socket.as_raw_fd()), token, interest)?;
            Ok((socket, here))
        });
        match opened {
            Ok((socket, here)) => {
                server.counters.of(cx.thread()).sessions.add(1);
                server.session_rate.add(cx.now_ms);
                server.last_session_ms.store(cx.now_ms, Relaxed);
                if let Some(back) = &self.backend().back {
                    back.last_session_ms.store(cx.now_ms, Relaxed);
                }
                self.attached = Some(Attached::new(server));
                if here {
                    self.server = Some(Side::new(socket));
                    return self.connected(cx);
                }
                self.server = Some(Side::connecting(socket));
                let timeout = self.backend().conf.back.as_ref();
                let timeout = timeout.and_then(|b| b.timeouts.connect);
                let until = timeout.map(|t| cx.now_ms + t.as_millis() as u64);
                self.stage = Stage::Connect { until };
                Turn::Rearm
            }
            Err(error) => {
                let failure = match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        Failure::Resource
                    }
                    Some(libc::ECONNREFUSED | libc::ENOENT) => Failure::Refused,
                    _ => Failure::Local,
                };
                self.connect_failed(cx, failure)
            }
        }
    }

    /// The server accepted.
    pub(super) fn connected(&mut self, cx: &mut Context<'_>) -> Turn {
        let total = (cx.now_ms - self.accepted_ms) as u32;
        self.connected_ms = Some(total.saturating_sub(self.queued_ms.unwrap_or(0)));
        self.stage = Stage::Relay;
        (self.client_ms, self.server_ms) = (cx.now_ms, cx.now_ms);
        let mut silent = true;
        if let Some(attached) = &self.attached {
            cx.observed(&attached.server, false);
            if attached.server.conf.send_proxy.is_some() {
                let server = attached.server.clone();
                if let Some(header) = self.proxy_header(cx, &server) {
                    self.upstream.prepend(header);
                    silent = false;
                }
            }
        }
        let rules = self.backend().conf.back.as_ref();
        let leaves = rules.is_some_and(|b| b.rebalance.is_some() || b.drain_sessions.is_some());
        self.hold_response = rules.is_some_and(|b| !b.response_rules.is_empty());
        self.talk = leaves.then(Box::default);
        self.log_start(cx, false);
        let turn = self.relay(cx);
        silent &= self.bytes_in == 0;
        match turn {
            // No bytes yet that the handshake's last segment could go out with.
            Turn::Wait | Turn::Rearm if silent && self.server_speaks_first() => {
                self.end_handshake();
                Turn::Rearm
            }
            Turn::Wait | Turn::Rearm if silent => Turn::HoldHandshake,
            Turn::Wait => Turn::Rearm,
            turn => turn,
        }
    }

    /// The server was given nothing yet that could tell it that the connection stands.
    pub fn holds_handshake(&self) -> bool {
        self.server.is_some() && self.bytes_in == 0 && self.bytes_out == 0
    }

    /// Tells the server that the connection stands, unless it knows. (A unix socket has no such
    /// segment and refuses.)
    pub(super) fn end_handshake(&self) -> Turn {
        if let Some(server) = self.server.as_ref().filter(|_| self.holds_handshake()) {
            let _ = server.socket.set_tcp_quickack(true);
        }
        Turn::Wait
    }

    fn server_speaks_first(&self) -> bool {
        let back = self.routed.as_ref().and_then(super::Routed::back);
        back.is_some_and(|back| back.servers_speak_first.load(Relaxed))
    }

    /// The first bytes of the session came: from the server, or from the client.
    pub(super) fn learn_who_speaks_first(&self, server: bool) {
        let back = self.routed.as_ref().and_then(super::Routed::back);
        // Read before it is written: it hardly ever changes, and all threads have it.
        if let Some(back) = back.filter(|b| b.servers_speak_first.load(Relaxed) != server) {
            back.servers_speak_first.store(server, Relaxed);
        }
    }

    fn proxy_header(&mut self, cx: &Context<'_>, server: &Server) -> Option<Vec<u8>> {
        let wanted = server.conf.send_proxy?;
        let from = self.client_peer.inet();
        let addresses = from.zip(self.local_address().and_then(|l| l.inet()));
        if !wanted.v2 {
            return Some(proxy_protocol::v1(addresses));
        }
        if wanted.unique_id
            && let Some(name) = cx.runtime.hooks.unique_id.get()
        {
            let own = name(&self.record(cx, End::default(), true));
            self.extra().name = own;
        }
        let extra = self.extra.as_deref();
        let own = extra.and_then(|e| e.name.as_deref());
        let extras = Extras {
            no_tls: wanted.ssl,
            crc32c: wanted.crc32c,
            authority: extra
                .and_then(|e| e.authority.as_deref())
                .filter(|_| wanted.authority),
            unique_id: own
                .map(str::as_bytes)
                .or_else(|| extra.and_then(|e| e.unique_id.as_deref()))
                .or(Some(b""))
                .filter(|_| wanted.unique_id),
        };
        Some(proxy_protocol::v2(addresses, extras))
    }

    /// One try failed: again here, elsewhere, or the end.
    pub(super) fn connect_failed(&mut self, cx: &mut Context<'_>, failure: Failure) -> Turn {
        self.server = None;
        self.attached = None;
        let Some(server) = self.slot.as_ref().map(|s| s.server().clone()) else {
            return Turn::Wait;
        };
        cx.observed(&server, true);
        let backend = self.backend().clone();
        let (Some(conf), Some(live)) = (&backend.conf.back, &backend.back) else {
            return Turn::Wait;
        };
        if u32::from(self.retries) >= conf.retries {
            server.counters.of(cx.thread()).failed_connects.add(1);
            self.extra().server = Some(server);
            let cause = match failure {
                Failure::Timeout => Cause::ServerTimeout,
                Failure::Resource => Cause::Resource,
                Failure::Refused | Failure::Local => Cause::Server,
            };
            return self.give_up(cx, cause, Phase::Connect);
        }
        self.retries += 1;
        let by_key = backend.is_balanced_by_key();
        let others = live.active.load(Relaxed) > 1;
        let pinned = self.extra.as_ref().is_some_and(|e| e.pinned.is_some());
        let elsewhere = conf.redispatch != 0
            && (server.status().operation == Operation::Stopped
                || is_turn(
                    i64::from(conf.redispatch),
                    i64::from(self.retries),
                    conf.retries,
                )
                || (!pinned && others && !by_key));
        if elsewhere {
            self.extra().avoid = Some(server);
            self.extra().pinned = None;
            self.slot = None;
        } else {
            server.counters.of(cx.thread()).retries.add(1);
            live.counters.of(cx.thread()).retries.add(1);
        }
        let rest = failure == Failure::Refused && !(elsewhere && others);
        if !rest {
            return self.connect(cx);
        }
        // The same server would most likely refuse again at once.
        let second = Duration::from_secs(1);
        let rest = conf.timeouts.connect.unwrap_or(second).min(second);
        self.stage = Stage::Rest {
            until: cx.now_ms + rest.as_millis() as u64,
        };
        Turn::Rearm
    }

    /// The client ended its side before a server was there, and that means
    /// that it left: under `option abortonclose` always, else when it waited a
    /// while and has sent nothing. (A client that only reads ends its side at once.)
    pub(super) fn left_early(&mut self, now_ms: u64) -> bool {
        let back = self
            .routed
            .as_ref()
            .and_then(|r| r.proxy.conf.back.as_ref());
        back.is_some_and(|b| b.abortonclose)
            || now_ms - self.accepted_ms >= PATIENT_MS
                && matches!(peek(&self.client, &mut [0; 1]), Peek::Ended)
    }
}

/// `option redispatch <n>`: whether the retry with this number (from 1) goes elsewhere.
fn is_turn(every: i64, retry: i64, retries: u32) -> bool {
    match every {
        0 => false,
        1.. => retry % every == 0,
        _ => {
            let last = i64::from(retries) + 1 + every;
            last > 0 && retry % last == 0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_turn;

    #[test]
    fn redispatch_without_a_number_is_for_the_last_retry() {
        let turns = |every| {
            (1..=3)
                .filter(|n| is_turn(every, *n, 3))
                .collect::<Vec<_>>()
        };
        assert_eq!(turns(-1), [3]);
        assert_eq!(turns(1), [1, 2, 3]);
        assert_eq!(turns(2), [2]);
        assert_eq!(turns(0), Vec::<i64>::new());
    }
}
