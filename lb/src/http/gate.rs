//! Where HTTP connections come in, and the registry of those that live.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use super::client::Client;
use super::readers::Readers;
use super::stream::{Duplex, LastByte};
use crate::admin::{Control, address};
use crate::counters::Thread;
use crate::state::{
    Cause, HandedOver, Kill, Peer, Phase, Proxy, Server, SessionId, SessionView, Victims,
};
use crate::trace::beside::Teller;
use crate::trace::word;

/// Ids of HTTP sessions say that they belong to no data thread.
const NO_THREAD: Thread = Thread(1023);

/// The way in for HTTP connections.
pub struct Gate {
    pub(super) control: Arc<Control>,
    /// Places of those who read pages and metrics.
    pub(super) readers: Readers,
    live: Mutex<HashMap<u64, Arc<Live>>>,
    serial: AtomicU32,
}

/// What others may see of a connection, and how they end it.
pub(super) struct Live {
    pub id: SessionId,
    pub frontend: Arc<Proxy>,
    pub listener: u16,
    pub client: Peer,
    pub local: Peer,
    pub accepted: SystemTime,
    pub accepted_ms: u64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub last: LastByte,
    control: Arc<Control>,
    teller: Teller,
    now: Mutex<Now>,
    killed: watch::Sender<Option<Cause>>,
}

/// What the connection is doing.
#[derive(Clone, Default)]
struct Now {
    phase: Phase,
    backend: Option<Arc<Proxy>>,
    server: Option<Arc<Server>>,
    outgoing: Peer,
    remote: Peer,
}

impl Live {
    /// Tells what the connection is doing.
    pub fn is_in(&self, phase: Phase) {
        lock(&self.now).phase = phase;
        self.trace(|| match phase {
            Phase::Request => "phase request".to_owned(),
            phase => format!("phase {}", word(phase)),
        });
    }

    /// Tells where the present request goes.
    pub fn goes_to(&self, backend: Option<Arc<Proxy>>, server: Option<Arc<Server>>) {
        match (&backend, &server) {
            (Some(backend), Some(server)) => self.trace(|| {
                let address = address::endpoint(&server.endpoint());
                format!("server {}/{} at {address}", backend.name(), server.name())
            }),
            (Some(backend), None) => self.trace(|| format!("backend {}", backend.name())),
            (None, _) => {}
        }
        let mut now = lock(&self.now);
        now.backend = backend;
        now.server = server;
    }

    /// A line for those who watch this session.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        self.control.watchers.tell(&self.teller, line);
    }

    /// Tells the addresses of the connection to the server.
    pub fn connected(&self, outgoing: Peer, remote: Peer) {
        let mut now = lock(&self.now);
        now.outgoing = outgoing;
        now.remote = remote;
    }

    /// What it was doing last.
    pub fn phase(&self) -> Phase {
        lock(&self.now).phase
    }

    /// Waits until somebody ends the connection.
    pub async fn killed(&self) -> Cause {
        let mut receiver = self.killed.subscribe();
        // the sender lives as long as `self`
        let cause = receiver
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|cause| *cause);
        match cause {
            Some(cause) => cause,
            None => std::future::pending().await,
        }
    }

    fn view(&self, now_ms: u64) -> SessionView {
        let now = lock(&self.now).clone();
        SessionView {
            id: self.id,
            frontend: self.frontend.clone(),
            backend: now.backend,
            server: now.server,
            client: self.client.clone(),
            local: self.local.clone(),
            outgoing: now.outgoing,
            remote: now.remote,
            phase: now.phase,
            age_ms: now_ms.saturating_sub(self.accepted_ms),
            idle_ms: now_ms.saturating_sub(self.last.get()),
            expires_ms: None,
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            pending: [0, 0],
            client_ended: false,
            server_ended: false,
            outdated: false,
        }
    }

    fn is_victim(&self, victims: &Victims) -> bool {
        let now = lock(&self.now);
        match victims {
            Victims::One(id) => *id == self.id,
            Victims::OfServer(live) => now
                .server
                .as_ref()
                .is_some_and(|server| Arc::ptr_eq(&server.live, live)),
            Victims::OfBackups(backend) => {
                now.backend.as_ref().is_some_and(|b| b.name() == backend)
                    && now.server.as_ref().is_some_and(|server| server.conf.backup)
            }
            Victims::OfFrontend(frontend) => self.frontend.name() == frontend,
        }
    }
}

impl Gate {
    /// Opens the gate: connections of HTTP frontends are served by this runtime from now on.
    pub fn open(control: &Arc<Control>, handle: &tokio::runtime::Handle) -> Arc<Self> {
        let gate = Arc::new(Self {
            control: control.clone(),
            readers: Readers::default(),
            live: Mutex::default(),
            serial: AtomicU32::new(1),
        });
        let (entry, spawner) = (gate.clone(), handle.clone());
        // set once per process; a second gate would never be called
        let _ = control
            .runtime
            .hooks
            .http
            .set(Box::new(move |handed| entry.enter(&spawner, handed)));
        let sessions = gate.clone();
        let _ = control
            .calls
            .http_sessions
            .set(Box::new(move || sessions.sessions()));
        let killer = gate.clone();
        let hooks = &control.runtime.hooks;
        let _ = hooks.kill.set(Box::new(move |kill| killer.kill(kill)));
        gate
    }

    fn enter(self: &Arc<Self>, handle: &tokio::runtime::Handle, handed: HandedOver) {
        let gate = self.clone();
        handle.spawn(gate.serve(handed));
    }

    async fn serve(self: Arc<Self>, handed: HandedOver) {
        let HandedOver {
            socket,
            frontend,
            listener,
            client,
            local,
            accepted,
            accepted_ms,
            admission,
        } = handed;
        let Some(stream) = adopt(socket, &client) else {
            return;
        };
        let serial = self.serial.fetch_add(1, Relaxed);
        let id = SessionId::new(NO_THREAD, 0, serial);
        let live = Arc::new(Live {
            id,
            control: self.control.clone(),
            teller: Teller::new(id, client.clone(), frontend.name()),
            frontend,
            listener,
            client,
            local,
            accepted,
            accepted_ms,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            last: LastByte::default(),
            now: Mutex::new(Now {
                phase: Phase::Request,
                ..Now::default()
            }),
            killed: watch::Sender::new(None),
        });
        live.last.set(accepted_ms);
        lock(&self.live).insert(id.number(), live.clone());
        let mut client = Client::new(&self, &live, stream);
        let cause = tokio::select! {
            () = client.run() => None,
            cause = live.killed() => Some(cause),
        };
        if let Some(cause) = cause {
            client.killed(cause);
        }
        drop(client);
        live.trace(|| {
            let age_ms = self.control.runtime.now_ms().saturating_sub(accepted_ms);
            let (in_, out) = (live.bytes_in.load(Relaxed), live.bytes_out.load(Relaxed));
            format!("end after {age_ms} ms, {in_} bytes in, {out} out")
        });
        drop(admission);
        lock(&self.live).remove(&id.number());
    }

    /// Connections that live.
    pub fn sessions(&self) -> Vec<SessionView> {
        let now_ms = self.control.runtime.now_ms();
        lock(&self.live)
            .values()
            .map(|live| live.view(now_ms))
            .collect()
    }

    /// Ends connections.
    pub fn kill(&self, kill: &Kill) {
        for live in lock(&self.live).values() {
            if live.is_victim(&kill.victims) {
                live.killed.send_replace(Some(kill.cause));
            }
        }
    }
}

/// The socket as a stream of this runtime; nothing when it cannot be one any more.
fn adopt(socket: OwnedFd, client: &Peer) -> Option<Box<dyn Duplex>> {
    match client {
        Peer::Unix(_) => {
            let stream = std::os::unix::net::UnixStream::from(socket);
            stream.set_nonblocking(true).ok()?;
            Some(Box::new(UnixStream::from_std(stream).ok()?))
        }
        Peer::Inet(_) | Peer::None => {
            let stream = std::net::TcpStream::from(socket);
            stream.set_nonblocking(true).ok()?;
            // small answers must not wait for more
            let _ = stream.set_nodelay(true);
            Some(Box::new(TcpStream::from_std(stream).ok()?))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
