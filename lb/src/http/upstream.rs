//! The way to a server: its slot, perhaps after a queue, and the connection, perhaps after
//! retries on the same server or another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use conf::lb::model::{Back, Host};
use tokio::net::{TcpSocket, UnixStream};
use tokio::sync::oneshot;

use super::client::Client;
use super::stream::{Duplex, Sink, Source, Stop, split, within};
use crate::counters::Gauge;
use crate::state::{
    Answer as Turn, Assigned, BackLive, Cause, Endpoint, Peer, Phase, Proxy, Request as Wish,
    Runtime, Server, Slot, Ticket, Waiter,
};

/// A connection to a server, with the slot that it takes there.
pub(super) struct Upstream {
    pub server: Arc<Server>,
    pub source: Source,
    pub sink: Sink,
    pub outgoing: Peer,
    pub remote: Peer,
    /// It has carried a request before.
    pub reused: bool,
    slot: Option<Slot>,
    counted: Option<Counted>,
}

impl Upstream {
    /// Gives the slot back and is counted no more; the connection itself may be used again.
    pub fn release(&mut self) {
        self.slot = None;
        self.counted = None;
    }
}

/// A session counted in a server, as long as this lives.
struct Counted(Arc<Server>);

impl Counted {
    fn new(server: &Arc<Server>, now_ms: u64) -> Self {
        server.sessions.up();
        server.session_rate.add(now_ms);
        server.counters.shared().sessions.add_shared(1);
        server.last_session_ms.store(now_ms, Relaxed);
        Self(server.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sessions.down();
    }
}

/// A session counted in a backend, as long as this lives.
pub(super) struct InBackend(Arc<BackLive>);

impl InBackend {
    pub fn new(live: &Arc<BackLive>, now_ms: u64) -> Self {
        let sessions: &Gauge = &live.sessions;
        sessions.up();
        live.session_rate.add(now_ms);
        live.counters.shared().sessions.add_shared(1);
        live.last_session_ms.store(now_ms, Relaxed);
        Self(live.clone())
    }
}

impl Drop for InBackend {
    fn drop(&mut self) {
        self.0.sessions.down();
    }
}

/// Why there is no connection: whose fault, at which step, and what to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub cause: Cause,
    pub phase: Phase,
    pub status: u16,
}

const NO_SERVER: Failed = Failed {
    cause: Cause::Server,
    phase: Phase::Connect,
    status: 503,
};

/// Pause before a retry on the same server, at most `timeout connect`.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Client {
    /// Finds a server of the backend and connects to it.
    pub async fn reach(&mut self, backend: &Arc<Proxy>, wish: Wish) -> Result<Upstream, Failed> {
        let Some(back) = backend.conf.back.as_ref() else {
            return Err(NO_SERVER);
        };
        let mut wish = wish;
        let mut slot = self.slot(backend, back, &wish).await?;
        if let Some(kept) = self.reuse(&slot) {
            return Ok(kept);
        }
        let began = Instant::now();
        let mut left = back.retries;
        loop {
            let server = slot.server().clone();
            self.tell(backend, &server);
            let runtime = self.gate.control.runtime.clone();
            let counted = Counted::new(&server, runtime.now_ms());
            count(backend, &server, |cells| cells.connects.add_shared(1));
            let connected = connect(&server, back, self.live.local.inet()).await;
            let stop = match connected {
                Ok((stream, outgoing, remote)) => {
                    observe(&runtime, &server, false);
                    if let Some(draft) = &mut self.draft {
                        draft.connect_ms = Some(began.elapsed().as_millis() as u32);
                    }
                    let (source, sink) = split(stream);
                    return Ok(Upstream {
                        server,
                        source,
                        sink,
                        outgoing,
                        remote,
                        slot: Some(slot),
                        counted: Some(counted),
                        reused: false,
                    });
                }
                Err(stop) => stop,
            };
            drop(counted);
            observe(&runtime, &server, true);
            if left == 0 {
                return Err(Failed {
                    cause: match stop {
                        Stop::TimedOut => Cause::ServerTimeout,
                        Stop::Closed | Stop::Broken => Cause::Server,
                    },
                    phase: Phase::Connect,
                    status: 503,
                });
            }
            left -= 1;
            let moves = redispatches(back, back.retries - left);
            if moves {
                count(backend, &server, |cells| cells.redispatches.add_shared(1));
                wish.pinned = None;
                wish.avoid = Some(server.clone());
                drop(slot);
                slot = self.slot(backend, back, &wish).await?;
            } else {
                count(backend, &server, |cells| cells.retries.add_shared(1));
                if stop != Stop::TimedOut {
                    let pause = back
                        .timeouts
                        .connect
                        .map_or(RETRY_PAUSE, |t| t.min(RETRY_PAUSE));
                    tokio::time::sleep(pause).await;
                }
            }
            if let Some(draft) = &mut self.draft {
                draft.retries += 1;
                draft.redispatched = moves;
            }
        }
    }

    /// The connection kept from the last request, if it leads to the chosen server.
    fn reuse(&mut self, slot: &Slot) -> Option<Upstream> {
        let mut kept = self.kept.take()?;
        let server = slot.server();
        let usable = kept.server.is(server)
            && kept.source.buffer.is_empty()
            && !kept.source.ended
            && *server.endpoint() == *kept.server.endpoint();
        if !usable {
            return None;
        }
        let now_ms = self.gate.control.runtime.now_ms();
        kept.counted = Some(Counted::new(server, now_ms));
        kept.slot = Some(Slot::take(server.clone()));
        kept.reused = true;
        server.counters.shared().reuses.add_shared(1);
        server.backend.counters.shared().reuses.add_shared(1);
        if let Some(draft) = &mut self.draft {
            draft.server = Some(server.clone());
            draft.connect_ms = Some(0);
        }
        Some(kept)
    }

    fn tell(&mut self, backend: &Arc<Proxy>, server: &Arc<Server>) {
        self.live.is_in(Phase::Connect);
        self.live
            .goes_to(Some(backend.clone()), Some(server.clone()));
        if let Some(draft) = &mut self.draft {
            draft.server = Some(server.clone());
        }
    }

    /// A slot at a server, perhaps after waiting for it.
    async fn slot(
        &mut self,
        backend: &Arc<Proxy>,
        back: &Back,
        wish: &Wish,
    ) -> Result<Slot, Failed> {
        let runtime = self.gate.control.runtime.clone();
        let began = Instant::now();
        let limit = back.timeouts.queue.or(back.timeouts.connect);
        loop {
            let (sender, receiver) = oneshot::channel();
            let waiter = move || {
                Waiter::Other(Box::new(move |turn| {
                    // a slot for somebody who left is given back when the turn is dropped
                    let _ = sender.send(turn);
                }))
            };
            let (ticket, server) = match backend.assign(&runtime, wish, waiter) {
                Assigned::Slot(slot) => {
                    let waited = began.elapsed().as_millis() as u32;
                    count_choice(backend, wish, slot.server());
                    if let Some(draft) = &mut self.draft {
                        draft.queue_ms = Some(draft.queue_ms.unwrap_or(0) + waited);
                    }
                    return Ok(slot);
                }
                Assigned::Queued(ticket, server) => (ticket, server),
                Assigned::Full(_) => {
                    return Err(Failed {
                        cause: Cause::Proxy,
                        phase: Phase::Queue,
                        status: 503,
                    });
                }
                Assigned::NoServer => return Err(NO_SERVER),
            };
            self.queued(&ticket, server.is_some());
            let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
            let turn = within(left, receiver).await;
            let waited = began.elapsed().as_millis() as u32;
            if let Some(draft) = &mut self.draft {
                draft.queue_ms = Some(waited);
            }
            match turn {
                Ok(Ok(Turn::Granted(slot))) => {
                    count_choice(backend, wish, slot.server());
                    return Ok(slot);
                }
                Ok(Ok(Turn::Redistribute) | Err(_)) => {}
                Err(_) => {
                    ticket.leave();
                    return Err(Failed {
                        cause: Cause::ServerTimeout,
                        phase: Phase::Queue,
                        status: 503,
                    });
                }
            }
        }
    }

    fn queued(&mut self, ticket: &Ticket, at_server: bool) {
        self.live.is_in(Phase::Queue);
        if let Some(draft) = &mut self.draft {
            if at_server {
                draft.server_queue = ticket.ahead + 1;
            } else {
                draft.backend_queue = ticket.ahead + 1;
            }
        }
    }
}

/// Counts that balancing chose a server; not when it is again the one that just failed.
fn count_choice(backend: &Proxy, wish: &Wish, server: &Arc<Server>) {
    if wish.avoid.as_ref().is_none_or(|before| !before.is(server)) {
        count(backend, server, |cells| cells.balanced.add_shared(1));
    }
}

fn count(backend: &Proxy, server: &Server, add: fn(&crate::counters::Cells)) {
    add(server.counters.shared());
    if let Some(back) = &backend.back {
        add(back.counters.shared());
    }
}

fn observe(runtime: &Runtime, server: &Arc<Server>, failed: bool) {
    if server.conf.observe.is_some()
        && let Some(observed) = runtime.hooks.observed.get()
    {
        observed(server, failed);
    }
}

/// Whether the n-th retry goes to another server.
fn redispatches(back: &Back, nth: u32) -> bool {
    match back.redispatch {
        0 => false,
        every if every > 0 => nth.is_multiple_of(every as u32),
        from_last => nth as i64 == i64::from(back.retries) + i64::from(from_last) + 1,
    }
}

async fn connect(
    server: &Server,
    back: &Back,
    dialled: Option<SocketAddr>,
) -> Result<(Box<dyn Duplex>, Peer, Peer), Stop> {
    let limit = back.timeouts.connect;
    match &*server.endpoint() {
        Endpoint::Unix(path) => {
            let stream = within(limit, UnixStream::connect(path)).await??;
            Ok((Box::new(stream), Peer::Unix(0), Peer::Unix(0)))
        }
        Endpoint::Abstract(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            let name = crate::sys::abstract_name(name);
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            let stream = UnixStream::from_std(stream)?;
            Ok((Box::new(stream), Peer::Unix(0), Peer::Unix(0)))
        }
        Endpoint::Unresolved => Err(Stop::Broken),
        endpoint @ (Endpoint::Inet(_) | Endpoint::Mapped(..)) => {
            let address = endpoint.inet(|| dialled).ok_or(Stop::Broken)?;
            let socket = if address.is_ipv6() {
                TcpSocket::new_v6()?
            } else {
                TcpSocket::new_v4()?
            };
            let source = server.conf.source.as_ref().or(back.source.as_ref());
            if let Some(Host::Ip(ip)) = source.map(|source| &source.host)
                && !ip.is_unspecified()
            {
                socket.bind(SocketAddr::new(*ip, 0))?;
            }
            let stream = within(limit, socket.connect(address)).await??;
            let _ = stream.set_nodelay(true);
            let outgoing = stream.local_addr().map_or(Peer::None, Peer::Inet);
            Ok((Box::new(stream), outgoing, Peer::Inet(address)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(retries: u32, redispatch: i32) -> Back {
        Back {
            retries,
            redispatch,
            ..Back::default()
        }
    }

    #[test]
    fn redispatch_happens_at_every_nth_retry_or_counted_from_the_last() {
        assert!(!redispatches(&back(3, 0), 3));
        assert!(redispatches(&back(3, -1), 3));
        assert!(!redispatches(&back(3, -1), 2));
        assert!(redispatches(&back(3, 1), 1));
        assert!(redispatches(&back(4, 2), 2) && !redispatches(&back(4, 2), 3));
    }
}
