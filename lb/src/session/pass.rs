//! Relay: both ways until both sides have ended, and what is counted and
//! timed meanwhile.

use super::{Context, Ready, Routed, Session, Stage, Turn};
use crate::batch::Move;
use crate::counters::Thread;
use crate::relay::{Fault, Flow, Watch};
use crate::state::{Cause, End, Proxy};
use std::io;

impl Session {
    /// Both ways, as far as sockets and budgets allow.
    pub(super) fn relay(&mut self, cx: &mut Context<'_>) -> Turn {
        let Some(server) = &mut self.server else {
            return Turn::Wait;
        };
        let halves = (self.upstream.passed_on, self.downstream.passed_on);
        let options = &self.admission.listener().proxy.conf.tcp;
        let mut splice = !options.splice_forbidden && !cx.generation.conf.global.disable.splice;
        if let Some(tap) = &mut cx.shop.tap {
            // bytes in a pipe cannot be watched
            splice = false;
            tap.upstream = true;
        }
        let up = self.upstream.pump(
            &mut self.client,
            server,
            cx.shop,
            splice,
            self.downstream.is_over(),
            Watch {
                talk: &mut self.talk,
                of_client: true,
            },
        );
        let up = match up {
            Ok(pumped) => pumped,
            Err(fault) => return self.broken(cx, fault, true),
        };
        if up.read > 0 {
            if self.bytes_in == 0 && self.bytes_out == 0 {
                self.learn_who_speaks_first(false);
            }
            self.client_ms = cx.now_ms;
            self.bytes_in += up.read;
            self.count_in(cx.thread(), up.read);
        }
        if up.written > 0 && self.counts_written(&self.upstream, self.backend()) {
            self.server_ms = cx.now_ms;
        }
        if self.hold_response
            && let Some(turn) = self.judge_response(cx)
        {
            return match turn {
                Turn::Wait | Turn::Rearm if up.again => Turn::Again,
                turn => turn,
            };
        }
        let Some(server) = &mut self.server else {
            return Turn::Wait;
        };
        if let Some(tap) = &mut cx.shop.tap {
            tap.upstream = false;
        }
        let down = self.downstream.pump(
            server,
            &mut self.client,
            cx.shop,
            splice,
            self.upstream.is_over(),
            Watch {
                talk: &mut self.talk,
                of_client: false,
            },
        );
        let down = match down {
            Ok(pumped) => pumped,
            Err(fault) => return self.broken(cx, fault, false),
        };
        if down.read > 0 {
            if self.bytes_in == 0 && self.bytes_out == 0 {
                self.learn_who_speaks_first(true);
            }
            self.server_ms = cx.now_ms;
            self.bytes_out += down.read;
            self.count_out(cx.thread(), down.read);
        }
        if down.written > 0 && self.counts_written(&self.downstream, self.frontend()) {
            self.client_ms = cx.now_ms;
        }
        if self.upstream.is_over() && self.downstream.is_over() {
            return self.finish(cx, End::default());
        }
        match halves == (self.upstream.passed_on, self.downstream.passed_on) {
            _ if up.again || down.again => Turn::Again,
            true => Turn::Wait,
            false => Turn::Rearm,
        }
    }

    /// The calls that this edge of the client's socket, or of the server's, will lead to, if
    /// nothing else can come before them: what is not moved already, and both flows are quiet.
    pub fn next_move(&self, of_client: bool, ready: Ready) -> Option<Move> {
        let server = self.server.as_ref().filter(|_| !ready.error)?;
        if !matches!(self.stage, Stage::Relay) || !(ready.readable || ready.ending) {
            return None;
        }
        match of_client {
            true => self.upstream.next_move(&self.client, server, ready.ending),
            false if self.hold_response || !self.upstream.is_idle(&self.client) => None,
            false => self
                .downstream
                .next_move(server, &self.client, ready.ending),
        }
    }

    /// The server accepted and reset before it was written to.
    pub(super) fn reset_at_once(&mut self, cx: &mut Context<'_>, error: io::Error) -> Turn {
        let total = (cx.now_ms - self.accepted_ms) as u32;
        self.connected_ms = Some(total.saturating_sub(self.queued_ms.unwrap_or(0)));
        self.stage = Stage::Relay;
        self.broken(cx, Fault::Source(error), false)
    }

    /// What a side takes shows that it lives; under `option
    /// independent-streams` only while it has more to take.
    fn counts_written(&self, flow: &Flow, proxy: &Proxy) -> bool {
        !proxy.conf.tcp.independent_streams || flow.waiting() > 0
    }

    fn broken(&mut self, cx: &mut Context<'_>, fault: Fault, upstream: bool) -> Turn {
        let by_client = match fault {
            Fault::Source(_) => upstream,
            Fault::Target(_) => !upstream,
        };
        let cause = match by_client {
            true => Cause::Client,
            false => Cause::Server,
        };
        if !by_client {
            self.count_failed_response(cx.thread());
        }
        self.reset_both();
        let phase = self.phase();
        self.finish(cx, End { cause, phase })
    }

    fn count_failed_response(&self, thread: Thread) {
        if let Some(back) = self.routed.as_ref().and_then(Routed::back) {
            back.counters.of(thread).failed_responses.add(1);
        }
        if let Some(attached) = &self.attached {
            let counters = attached.server.counters.of(thread);
            counters.failed_responses.add(1);
        }
    }

    pub(super) fn count_in(&self, thread: Thread, bytes: u64) {
        if let Some(front) = &self.frontend().front {
            front.counters.of(thread).bytes_in.add(bytes);
        }
        // Before the choice of a backend, a listen section is its own.
        let back = match &self.routed {
            Some(routed) => routed.back(),
            None => self.frontend().back.as_ref(),
        };
        if let Some(back) = back {
            back.counters.of(thread).bytes_in.add(bytes);
        }
        let chosen = || self.slot.as_ref().map(|slot| slot.server());
        let attached = self.attached.as_ref().map(|attached| &attached.server);
        if let Some(server) = attached.or_else(chosen) {
            server.counters.of(thread).bytes_in.add(bytes);
        }
        let listener = &self.admission.listener().live;
        listener.counters.of(thread).bytes_in.add(bytes);
    }

    pub(super) fn count_out(&self, thread: Thread, bytes: u64) {
        if let Some(front) = &self.frontend().front {
            front.counters.of(thread).bytes_out.add(bytes);
        }
        if let Some(back) = self.routed.as_ref().and_then(Routed::back) {
            back.counters.of(thread).bytes_out.add(bytes);
        }
        if let Some(attached) = &self.attached {
            attached.server.counters.of(thread).bytes_out.add(bytes);
        }
        let listener = &self.admission.listener().live;
        listener.counters.of(thread).bytes_out.add(bytes);
    }

    /// When the client and the server have been silent for too long.
    pub(super) fn relay_timers(&self) -> (Option<u64>, Option<u64>) {
        let (front, back) = (&self.frontend().conf.front, &self.backend().conf.back);
        let (Some(front), Some(back)) = (front, back) else {
            return (None, None);
        };
        let (front, back) = (&front.timeouts, &back.timeouts);
        let (up, down) = (&self.upstream, &self.downstream);
        // A tunnel's timeout replaces both while both sides are open.
        let tunnel = back.tunnel.filter(|_| !up.ended && !down.ended);
        let client = match down.passed_on {
            true => front.client_fin.or(front.client),
            false => tunnel.or(front.client),
        };
        let server = match up.passed_on {
            true => back.server_fin.or(back.server),
            false => tunnel.or(back.server),
        };
        // A side is waited for when we want to read from it or it has to take something.
        let client_owes = !up.ended && up.waiting() == 0 || down.waiting() > 0;
        let server_owes = !down.ended && down.waiting() == 0 || up.waiting() > 0;
        let at = |since: u64, timeout: Option<std::time::Duration>, owes: bool| {
            let timeout = timeout.filter(|_| owes)?;
            Some(since + timeout.as_millis() as u64)
        };
        (
            at(self.client_ms, client, client_owes),
            at(self.server_ms, server, server_owes),
        )
    }

    pub(super) fn relay_deadline(&mut self, cx: &mut Context<'_>) -> Turn {
        let over = |at: Option<u64>| at.is_some_and(|at| at <= cx.now_ms);
        if over(self.extra.as_ref().and_then(|e| e.response_until)) {
            return self.relay(cx);
        }
        let (client, server) = self.relay_timers();
        let cause = match (over(client), over(server)) {
            (true, _) => Cause::ClientTimeout,
            (false, true) => Cause::ServerTimeout,
            (false, false) => return Turn::Rearm,
        };
        let phase = self.phase();
        self.finish(cx, End { cause, phase })
    }
}
