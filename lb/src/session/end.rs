//! The end of a session: closing, counting, the log record.

use super::{Context, Session, Stage, Turn};
use crate::counters::{Cell, Cells};
use crate::state::{Cause, Connections, End, Peer, Phase, Proxied, SessionRecord, Timers};
use crate::tcp_info::{self, TcpInfo};
use conf::lb::model::SessionFormat;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How much of a client's unread bytes is taken at the end.
const UNREAD_LIMIT: usize = 256 * 1024;

impl Session {
    /// A RST came while no server was connected yet.
    pub(super) fn client_reset(&mut self, cx: &mut Context<'_>) -> Turn {
        if let (Stage::Inspect { .. }, Some(front)) = (&self.stage, &self.frontend().front) {
            front.counters.of(cx.thread()).bad_requests.add(1);
        }
        let phase = match self.stage {
            Stage::Greet { .. } | Stage::Inspect { .. } => Phase::Request,
            _ => Phase::Data,
        };
        self.reset_both();
        self.finish(
            cx,
            End {
                cause: Cause::Client,
                phase,
            },
        )
    }

    /// `option abortonclose`: the client ended its side before a server was there.
    pub(super) fn client_closed_early(&mut self, cx: &mut Context<'_>) -> Turn {
        let phase = self.phase();
        self.finish(
            cx,
            End {
                cause: Cause::Client,
                phase,
            },
        )
    }

    /// Closing will send RST rather than FIN.
    pub(super) fn reset_both(&mut self) {
        let abort = Some(Duration::ZERO);
        // Fails only on sockets that have no connection to reset.
        let _ = self.client.socket.set_linger(abort);
        if let Some(server) = &self.server {
            let _ = server.socket.set_linger(abort);
        }
    }

    /// `option nolinger`: the side of its proxy closes by RST.
    fn no_linger(&self) {
        let abort = Some(Duration::ZERO);
        if self.frontend().conf.tcp.nolinger {
            let _ = self.client.socket.set_linger(abort);
        }
        let back = self.routed.as_ref().map(|routed| &routed.proxy);
        if back.is_some_and(|proxy| proxy.conf.tcp.nolinger)
            && let Some(server) = &self.server
        {
            let _ = server.socket.set_linger(abort);
        }
    }

    /// Takes what the client has sent and no server was given, so that it is
    /// counted and closing sends FIN: unread bytes would make it a RST.
    fn take_unread(&mut self, cx: &mut Context<'_>) {
        if self.upstream.ended {
            return;
        }
        let mut left = UNREAD_LIMIT;
        while left > 0 {
            match (&self.client.socket).read(&mut cx.shop.buffer) {
                Ok(size) if size > 0 => {
                    self.bytes_in += size as u64;
                    self.count_in(cx.thread(), size as u64);
                    left = left.saturating_sub(size);
                }
                _ => return,
            }
        }
    }

    /// Closes, counts and logs.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>, end: End) -> Turn {
        self.take_unread(cx);
        self.close(cx, end)
    }

    /// As `finish`, with what the client sent left in its socket.
    pub(super) fn close(&mut self, cx: &mut Context<'_>, end: End) -> Turn {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        if let Stage::Queue { ticket, .. } = stage {
            ticket.leave();
            self.note_wait(cx, ticket.passed() + 1);
        }
        self.count_end(cx, end);
        if let Some(tap) = &mut cx.shop.tap {
            tap.end = Some(end);
        }
        self.no_linger();
        if !self.logged && !self.is_silent() {
            self.log(cx, end, false);
        }
        self.upstream.release(&mut cx.shop.pipes);
        self.downstream.release(&mut cx.shop.pipes);
        Turn::Over
    }

    /// `option dontlognull`: nothing came from the client.
    fn is_silent(&self) -> bool {
        self.bytes_in == 0 && self.frontend().conf.logging.dont_log_null
    }

    fn count_end(&self, cx: &Context<'_>, end: End) {
        let thread = cx.thread();
        let server = self.attached.as_ref().map(|a| &a.server);
        let back = self.routed.as_ref().and_then(super::Routed::back);
        match end.cause {
            Cause::Client | Cause::ClientTimeout if end.phase.has_data() => {
                if let Some(back) = back {
                    back.counters.of(thread).client_aborts.add(1);
                }
                // between two tries it is at the server that it has a slot of
                let chosen = || self.slot.as_ref().map(|slot| slot.server());
                if let Some(server) = server.or_else(chosen) {
                    server.counters.of(thread).client_aborts.add(1);
                }
                if let Some(front) = &self.frontend().front {
                    front.counters.of(thread).client_aborts.add(1);
                }
            }
            Cause::Server | Cause::ServerTimeout if self.connected_ms.is_some() => {
                if let Some(back) = back {
                    back.counters.of(thread).server_aborts.add(1);
                }
                if let Some(server) = server {
                    server.counters.of(thread).server_aborts.add(1);
                }
                if let Some(front) = &self.frontend().front {
                    front.counters.of(thread).server_aborts.add(1);
                }
            }
            Cause::Rebalanced => self.count_moved(cx, |cells| &cells.rebalanced),
            Cause::Drained => self.count_moved(cx, |cells| &cells.drained),
            _ => {}
        }
        let Some(connected_ms) = self.connected_ms else {
            return;
        };
        let total = (cx.now_ms - self.accepted_ms) as u32;
        let all = [back.map(|b| &b.times), server.map(|s| &s.times)];
        for times in all.into_iter().flatten() {
            times.total.add(total);
            times.queue.add(self.queued_ms.unwrap_or(0));
            times.connect.add(connected_ms);
        }
    }

    fn count_moved(&self, cx: &Context<'_>, cell: fn(&Cells) -> &Cell) {
        if let Some(back) = self.routed.as_ref().and_then(super::Routed::back) {
            cell(back.counters.of(cx.thread())).add(1);
        }
        if let Some(attached) = &self.attached {
            cell(attached.server.counters.of(cx.thread())).add(1);
        }
    }

    /// The line at the session's start: `Connect from` at accept, or the whole
    /// line once connected under `option logasap`.
    pub(super) fn log_start(&mut self, cx: &mut Context<'_>, at_accept: bool) {
        let logging = &self.frontend().conf.logging;
        if logging.start_and_end && !logging.targets.is_empty() {
            if at_accept && !logging.dont_log_normal {
                self.log(cx, End::default(), true);
            }
            return;
        }
        let wanted = match logging.format {
            SessionFormat::Connect => at_accept,
            _ => !at_accept && logging.as_soon_as_possible,
        };
        if wanted && !self.logged && !logging.targets.is_empty() {
            self.logged = true;
            self.log(cx, End::default(), true);
        } else if at_accept && logging.targets.is_empty() {
            self.logged = true;
        }
    }

    /// What the kernel knows of the client's or the server's connection.
    pub(super) fn kernel_info(&self, server: bool) -> Option<TcpInfo> {
        let socket = match server {
            true => &self.server.as_ref()?.socket,
            false => &self.client.socket,
        };
        tcp_info::of(socket).ok()
    }

    fn log(&mut self, cx: &mut Context<'_>, end: End, at_start: bool) {
        if let Some(log) = cx.runtime.hooks.log.get() {
            let record = self.record(cx, end, at_start);
            if at_start && self.frontend().conf.logging.start_and_end {
                // the line at the end tells the same date
                self.extra().accepted = Some(record.accepted);
            }
            if !at_start {
                // the line's counters are those without this session
                self.leave_counts();
            }
            log(&record);
        }
    }

    /// Counts no more behind the frontend; the server's slot is the next one's.
    fn leave_counts(&mut self) {
        self.attached = None;
        self.routed = None;
        self.slot = None;
    }

    pub(super) fn record(&self, cx: &Context<'_>, end: End, at_start: bool) -> SessionRecord {
        let age = cx.now_ms - self.accepted_ms;
        let extra = self.extra.as_deref();
        let server = self.slot.as_ref().map(|s| s.server().clone());
        let server = server.or_else(|| extra.and_then(|e| e.server.clone()));
        let backend = self.backend().clone();
        let front = self.frontend().front.as_ref();
        let logging = &self.frontend().conf.logging;
        let outgoing = self
            .server
            .as_ref()
            .and_then(|s| s.socket.local_addr().ok());
        let remote = server.as_ref();
        let remote = remote.and_then(|s| s.endpoint().inet(|| self.dialled()));
        // At its end a session counts no more behind the frontend.
        let over = matches!(self.stage, Stage::Over);
        let in_backend = u32::from(over && self.routed.is_some());
        let at_server = u32::from(over && self.attached.is_some());
        SessionRecord {
            id: cx.id.number(),
            at_start,
            frontend: self.frontend().clone(),
            listener: self.admission.listener().index,
            connections: Connections {
                process: cx.runtime.process.connections.get(),
                frontend: front.map_or(0, |f| f.connections.get()),
                backend: backend
                    .back
                    .as_ref()
                    .map_or(0, |b| b.sessions.get().saturating_sub(in_backend)),
                server: server
                    .as_ref()
                    .map_or(0, |s| s.sessions.get().saturating_sub(at_server)),
            },
            backend,
            server,
            client: self.client_peer.clone(),
            local: self.local_address().unwrap_or_default(),
            socket: extra.map(|e| e.socket.clone()).unwrap_or_default(),
            outgoing: outgoing.map_or(Peer::None, |a| crate::listener::peer(&a)),
            remote: remote.map_or(Peer::None, Peer::Inet),
            accepted: extra
                .and_then(|e| e.accepted)
                .unwrap_or_else(|| SystemTime::now() - Duration::from_millis(age)),
            timers: Timers {
                handshake_ms: extra.map_or(0, |e| e.handshake_ms),
                queue_ms: self.queued_ms,
                connect_ms: self.connected_ms,
                total_ms: age as u32,
            },
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            end,
            retries: u32::from(self.retries),
            redispatched: self.redispatched,
            server_queue: extra.map_or(0, |e| e.server_queue),
            backend_queue: extra.map_or(0, |e| e.backend_queue),
            level: extra.and_then(|e| e.level),
            captures: extra.map(|e| e.captures.clone()).unwrap_or_default(),
            variables: extra
                .map(|e| &e.variables)
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            unique_id: extra.and_then(|e| e.name.clone()),
            priority: self.priority(),
            proxied: extra.filter(|e| e.greeted).map(|e| Proxied {
                authority: e.authority.clone(),
                unique_id: e.unique_id.clone(),
            }),
            http: None,
            tcp_info: (logging.wants_tcp_info && (over || at_start && logging.as_soon_as_possible))
                .then(|| Box::new([false, true].map(|server| self.kernel_info(server)))),
            failure: None,
            last_rule: extra.and_then(|e| e.last_rule.clone()),
        }
    }
}

impl Context<'_> {
    /// `observe`: a try at this server worked or failed.
    pub(super) fn observed(&self, server: &Arc<crate::state::Server>, failed: bool) {
        if server.conf.observe.is_none() {
            return;
        }
        if let Some(observed) = self.runtime.hooks.observed.get() {
            observed(server, failed);
        }
    }
}
