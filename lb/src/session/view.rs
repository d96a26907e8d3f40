//! A session as `show sess` lists it, and whom a kill means.

use super::{Context, Session};
use crate::state::{Peer, SessionView, Victims};
use crate::trace::Place;

impl Session {
    /// What `show sess` says about it.
    pub fn view(&self, cx: &Context<'_>) -> SessionView {
        let record = self.record(cx, Default::default(), false);
        let active = self.client_ms.max(self.server_ms);
        SessionView {
            id: cx.id,
            frontend: record.frontend,
            backend: self.routed.as_ref().map(|r| r.proxy.clone()),
            server: record.server,
            client: record.client,
            local: record.local,
            outgoing: record.outgoing,
            remote: record.remote,
            phase: self.phase(),
            age_ms: cx.now_ms - self.accepted_ms,
            idle_ms: cx.now_ms.saturating_sub(active),
            expires_ms: self.deadline_ms().map(|d| d.saturating_sub(cx.now_ms)),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            pending: [self.upstream.waiting(), self.downstream.waiting()],
            client_ended: self.upstream.ended || self.client.ending,
            server_ended: self.downstream.ended,
            outdated: false,
        }
    }

    /// The client and the frontend.
    pub fn origin(&self) -> (&Peer, &str) {
        (&self.client_peer, self.frontend().name())
    }

    /// Where it stands, for a trace.
    pub fn place(&self) -> Place {
        let server = self.attached.as_ref().map(|attached| {
            let server = &attached.server;
            let address = crate::admin::address::endpoint(&server.endpoint());
            format!("{}/{} at {address}", self.backend().name(), server.name())
        });
        Place {
            phase: self.phase(),
            backend: self
                .routed
                .as_ref()
                .map(|routed| routed.proxy.name().to_owned()),
            server,
        }
    }

    /// Bytes from the client, bytes to the client, and age in milliseconds.
    pub fn sums(&self, now_ms: u64) -> (u64, u64, u64) {
        let age_ms = now_ms.saturating_sub(self.accepted_ms);
        (self.bytes_in, self.bytes_out, age_ms)
    }

    /// Whether a kill means this session (of any generation).
    pub fn is_victim(&self, victims: &Victims) -> bool {
        let server = self.attached.as_ref().map(|a| &a.server);
        match victims {
            Victims::One(_) => false,
            Victims::OfServer(live) => {
                server.is_some_and(|s| std::sync::Arc::ptr_eq(&s.live, live))
            }
            Victims::OfBackups(backend) => {
                self.backend().name() == backend && server.is_some_and(|s| s.conf.backup)
            }
            Victims::OfFrontend(frontend) => self.frontend().name() == frontend,
        }
    }
}
