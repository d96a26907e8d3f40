//! Accepting: limits, rests when descriptors run out, spreading over the threads.

use super::{Watched, Worker};
use crate::listener::{Accepted, Admission, Full, Listener};
use crate::session::{Context, Session};
use crate::state::{HandedOver, Message, Peer, SessionId};
use conf::lb::model::Mode;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, acceptfrom_with};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Connections accepted in a row from one listener.
const BATCH: usize = 64;
/// How long accept rests when the process has no descriptor left.
const REST_MS: u64 = 100;
/// How long an operator is not told again that none is left.
const TELL_AGAIN_MS: u64 = 10_000;

pub(super) enum Stop {
    /// The backlog is empty.
    Drained,
    /// More may come: others first.
    Budget,
    /// A limit; try again when something ends.
    Full,
    /// Try again at this time.
    Until(u64),
}

impl Worker {
    pub(super) fn accept_is_due(&self) -> bool {
        let due = |w: &Watched| w.ready && w.rests_until_ms <= self.now_ms;
        self.listeners.iter().any(due)
    }

    /// When the next of the listeners that rest may try again.
    pub(super) fn retry_accept_ms(&self) -> Option<u64> {
        let resting = self.listeners.iter().filter(|w| w.ready);
        resting.map(|w| w.rests_until_ms).min()
    }

    /// Takes what waits in the backlogs, as far as limits and budgets allow. A
    /// listener at its limit rests alone: the others go on.
    pub(super) fn accept_all(&mut self) {
        for n in 0..self.listeners.len() {
            let watched = &self.listeners[n];
            if !watched.ready || watched.rests_until_ms > self.now_ms {
                continue;
            }
            let (listener, socket) = (watched.listener.clone(), watched.socket.clone());
            let stop = self.accept_from(&listener, &socket);
            let watched = &mut self.listeners[n];
            match stop {
                Stop::Drained => watched.ready = false,
                Stop::Budget => {}
                Stop::Full => {
                    // Until something ends.
                    self.runtime.process.accept_paused.store(true, Relaxed);
                    watched.rests_until_ms = self.now_ms + REST_MS;
                }
                Stop::Until(at_ms) => watched.rests_until_ms = at_ms,
            }
        }
    }

    pub(super) fn accept_from(
        &mut self,
        listener: &Arc<Listener>,
        listening: &socket2::Socket,
    ) -> Stop {
        for _ in 0..BATCH {
            match Admission::may(&self.runtime, listener, self.now_ms) {
                Ok(()) => {}
                Err(Full::Connections) => return Stop::Full,
                Err(Full::Rate(left_ms)) => return Stop::Until(self.now_ms + left_ms),
            }
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let (socket, address) = match acceptfrom_with(listening, flags) {
                Ok(accepted) => accepted,
                // INVAL: it listens no more.
                Err(Errno::AGAIN | Errno::INVAL) => return Stop::Drained,
                Err(e @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    self.rest(&e.into());
                    return Stop::Until(self.now_ms + REST_MS);
                }
                // The client was gone before it was accepted.
                Err(_) => continue,
            };
            let socket = socket.into();
            crate::session::size_buffers(&socket, self.generation.conf.global.tune.client_buffers);
            let accepted = Accepted {
                socket,
                client: client_of(address),
                at_ms: self.now_ms,
                admission: Admission::new(&self.runtime, listener),
            };
            accepted
                .admission
                .count_connection(self.mailbox.thread, self.now_ms);
            self.place(accepted);
        }
        Stop::Budget
    }

    /// Descriptors ran out: spare pipes are closed, an operator is told, but not each time that one
    /// session ends and the next one takes its place.
    fn rest(&mut self, error: &io::Error) {
        self.shop.pipes.shrink();
        let process = &self.runtime.process;
        process.accept_paused.store(true, Relaxed);
        let told_until_ms = &process.pause_told_until_ms;
        let until_ms = told_until_ms.load(Relaxed);
        let again_ms = self.now_ms + TELL_AGAIN_MS;
        let first = || told_until_ms.compare_exchange(until_ms, again_ms, Relaxed, Relaxed);
        if self.now_ms >= until_ms && first().is_ok() {
            let count = self.runtime.process.connections.get();
            self.runtime.warn(&format!(
                "accept pauses with {count} connections: {error}; it goes on as soon as some end"
            ));
        }
    }

    /// Keeps the connection, or hands it to the thread with the fewest
    /// sessions when that has clearly less to do.
    fn place(&mut self, accepted: Accepted) {
        let threads = self.runtime.threads();
        if threads.len() > 1 {
            let own = self.sessions.len() as u32;
            let least = threads.iter().min_by_key(|t| t.load.load(Relaxed));
            if let Some(least) = least.filter(|t| t.thread != self.mailbox.thread) {
                let load = least.load.load(Relaxed);
                if own > load + load / 10 + 8 {
                    least.load.fetch_add(1, Relaxed);
                    least.post(Message::Accepted(Box::new(accepted)));
                    return;
                }
            }
        }
        self.admit(accepted);
    }

    /// Makes a session of a connection.
    pub(super) fn admit(&mut self, accepted: Accepted) {
        let listener = accepted.admission.listener();
        let conf = &listener.proxy.conf;
        let front = conf.front.as_ref();
        // rules about the connection are judged here, whatever it speaks
        let judged = front.is_some_and(|front| {
            !front.connection_rules.is_empty() || !front.session_rules.is_empty()
        });
        let greets = listener.conf().is_some_and(|b| b.accept_proxy);
        if conf.mode == Mode::Http && !greets && !judged {
            return self.hand_over(accepted);
        }
        self.serial = self.serial.wrapping_add(1);
        let entry = self.sessions.vacant_entry();
        let index = entry.key();
        let session = entry.insert(Session::new(accepted, self.serial, self.now_ms));
        let fd = session.client_socket().as_raw_fd();
        let registry = self.poll.registry();
        let reads = Interest::READABLE;
        if let Err(e) = registry.register(&mut SourceFd(&fd), Token(index * 2), reads) {
            self.runtime
                .warn(&format!("cannot watch a connection: {e}"));
            self.sessions.remove(index);
            return;
        }
        self.mailbox.load.store(self.sessions.len() as u32, Relaxed);
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let id = SessionId::new(self.mailbox.thread, index, self.serial);
        if let Some(tracer) = &mut self.tracer {
            self.shop.tap = tracer.before(id, session);
        }
        let mut cx = Context {
            runtime: &self.runtime,
            generation: &self.generation,
            mailbox: &self.mailbox,
            registry: self.poll.registry(),
            shop: &mut self.shop,
            now_ms: self.now_ms,
            id,
        };
        let turn = session.begin(&mut cx);
        self.follow(index, turn);
        self.tell_watchers(id);
    }

    fn hand_over(&self, accepted: Accepted) {
        let Accepted {
            socket,
            client,
            at_ms,
            admission,
        } = accepted;
        admission.count_session(self.mailbox.thread, self.now_ms);
        let listener = admission.listener().clone();
        let local = listener.local_of(&socket).unwrap_or_default();
        let handed = HandedOver {
            socket: socket.into(),
            frontend: listener.proxy.clone(),
            listener: listener.index,
            client,
            local,
            accepted: std::time::SystemTime::now(),
            accepted_ms: at_ms,
            admission,
        };
        match self.runtime.hooks.http.get() {
            Some(http) => http(handed),
            None => drop(handed),
        }
    }
}

/// Who connects, by the address that came with the connection.
fn client_of(address: Option<SocketAddrAny>) -> Peer {
    match address {
        Some(unix) if unix.address_family() == AddressFamily::UNIX => Peer::Unix(0),
        Some(address) => SocketAddr::try_from(address).map_or(Peer::None, Peer::Inet),
        None => Peer::None,
    }
}
