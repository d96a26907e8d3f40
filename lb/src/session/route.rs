//! Greet, inspect, route: from accept to the choice of a backend.

use super::{Context, Routed, Session, Stage, Turn};
use crate::core::proxy_protocol;
use crate::listener::Admission;
use crate::relay::Side;
use crate::state::{Cause, End, HandedOver, Peer, Phase, Proxy};
use conf::lb::model::Mode;
use mio::unix::SourceFd;
use nix::sys::socket::{MsgFlags, recv};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::SystemTime;

impl Session {
    /// The first step after accept and registration.
    pub fn begin(&mut self, cx: &mut Context<'_>) -> Turn {
        let listener = self.admission.listener().clone();
        if listener.conf().is_some_and(|b| b.accept_proxy) {
            let timeout = listener.proxy.conf.front.as_ref();
            let timeout = timeout.and_then(|f| f.timeouts.client);
            let until = timeout.map(|t| cx.now_ms + t.as_millis() as u64);
            self.stage = Stage::Greet { until };
            // The header often comes with the connection.
            return self.greet(cx);
        }
        self.admitted(cx)
    }

    fn admitted(&mut self, cx: &mut Context<'_>) -> Turn {
        self.admission.count_session(cx.thread(), cx.now_ms);
        self.log_start(cx, true);
        self.route(cx)
    }

    /// Reads the PROXY header, which other bytes may follow.
    pub(super) fn greet(&mut self, cx: &mut Context<'_>) -> Turn {
        let refuse = |session: &mut Session, cx: &mut Context<'_>| {
            let end = End {
                cause: Cause::Proxy,
                phase: Phase::Request,
            };
            session.logged = true;
            session.finish(cx, end)
        };
        let buffer = &mut cx.shop.buffer[..proxy_protocol::MAX];
        let size = match peek(&self.client, buffer) {
            Peek::Bytes(size) => size,
            Peek::Nothing => return Turn::Rearm,
            Peek::Ended => return refuse(self, cx),
        };
        match proxy_protocol::parse(&buffer[..size]) {
            Ok(None) if self.client.ending => refuse(self, cx),
            Ok(None) => Turn::Rearm,
            Err(_) => refuse(self, cx),
            Ok(Some((header, length))) => {
                // Taken out of the socket; what follows stays there.
                let taken = recv(
                    self.client.socket.as_raw_fd(),
                    &mut buffer[..length],
                    MsgFlags::empty(),
                );
                if taken != Ok(length) {
                    return refuse(self, cx);
                }
                self.client.readable = true;
                if let Some((from, to)) = header.addresses {
                    self.client_peer = Peer::Inet(from);
                    self.extra().local = Some(Peer::Inet(to));
                }
                self.admitted(cx)
            }
        }
    }

    pub(super) fn greeting_late(&mut self, cx: &mut Context<'_>) -> Turn {
        self.logged = true;
        self.finish(
            cx,
            End {
                cause: Cause::ClientTimeout,
                phase: Phase::Request,
            },
        )
    }

    /// Content rules, then the backend.
    pub(super) fn route(&mut self, cx: &mut Context<'_>) -> Turn {
        let frontend = self.frontend().clone();
        if frontend.conf.mode == Mode::Http {
            return self.hand_over(cx);
        }
        let name = frontend
            .conf
            .front
            .as_ref()
            .and_then(|f| f.default_backend.clone());
        let backend = match name {
            Some(name) => cx.generation.backend(&name).cloned(),
            None => frontend.back.is_some().then(|| frontend.clone()),
        };
        self.enter_backend(cx, backend)
    }

    fn enter_backend(&mut self, cx: &mut Context<'_>, backend: Option<Arc<Proxy>>) -> Turn {
        let Some(backend) = backend else {
            return self.finish(
                cx,
                End {
                    cause: Cause::Server,
                    phase: Phase::Connect,
                },
            );
        };
        self.routed = Some(Routed::new(backend, cx.thread(), cx.now_ms));
        self.ask_for_server(cx)
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
        self.finish(cx, End::default())
    }

    pub(super) fn judge_response(&mut self, _cx: &mut Context<'_>) -> bool {
        true
    }

    pub(super) fn held(&mut self, _cx: &mut Context<'_>, again: bool) -> Turn {
        match again {
            true => Turn::Again,
            false => Turn::Rearm,
        }
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
