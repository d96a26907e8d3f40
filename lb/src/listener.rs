//! Listening sockets: binding them, carrying them over a reload, accepting.
//!
//! Where the system allows it, each data thread has a socket of its own for
//! an address (`SO_REUSEPORT`); otherwise the threads share one.

mod bound;
mod inherited;

pub use bound::{BindError, Bound, Steered, peer};
pub use inherited::{Inherited, Offer};

use crate::counters::Thread;
use crate::state::{FrontLive, Generation, ListenerLive, Peer, Proxy, Runtime};
use conf::lb::model::Config;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// One address of a frontend of one generation.
pub struct Listener {
    /// The frontend.
    pub proxy: Arc<Proxy>,
    /// Index of its bind line among the frontend's.
    pub index: u16,
    /// Its number in the frontend, `id` or what was free.
    pub number: u32,
    /// The sockets; shared with other generations.
    pub bound: Arc<Bound>,
    /// Counters; shared with other generations.
    pub live: Arc<ListenerLive>,
}

/// All listeners of a generation.
pub type ListenerSet = Arc<Vec<Arc<Listener>>>;

impl Listener {
    /// Its bind line.
    pub fn conf(&self) -> Option<&conf::lb::model::Bind> {
        self.proxy
            .conf
            .front
            .as_ref()
            .and_then(|f| f.binds.get(self.index as usize))
    }

    /// The address that a client connected to. The bound one says it, unless it
    /// stands for several: the any-address, or those of others (`transparent`).
    pub fn local_of(&self, client: &socket2::Socket) -> Option<Peer> {
        let bound = self.bound.local();
        let transparent = self.conf().is_some_and(|b| b.transparent);
        match bound.inet() {
            Some(address) if transparent || address.ip().is_unspecified() => {
                client.local_addr().ok().map(|address| peer(&address))
            }
            _ => Some(bound.clone()),
        }
    }

    /// The frontend's live part.
    pub fn front(&self) -> Option<&Arc<FrontLive>> {
        self.proxy.front.as_ref()
    }
}

/// A socket for one address of a configuration, not yet part of a generation.
pub struct Opened {
    frontend: String,
    index: u16,
    number: u32,
    bound: Arc<Bound>,
    live: Arc<ListenerLive>,
}

/// Binds what `conf` listens on and takes over from `old` what is bound
/// already, and from another process what is `inherited`; all errors at once.
/// Disabled proxies listen on nothing.
pub fn bind_all(
    runtime: &Runtime,
    conf: &Config,
    old: &[Arc<Listener>],
    inherited: &mut Inherited,
) -> Result<Vec<Opened>, Vec<BindError>> {
    let threads = match conf.global.disable.reuseport {
        true => 1,
        false => runtime.threads().len().max(1),
    };
    let mut opened = Vec::new();
    let mut errors = Vec::new();
    for proxy in conf.proxies.iter().filter(|p| !p.disabled) {
        let Some(front) = &proxy.front else {
            continue;
        };
        let binds = front.binds.iter().enumerate();
        let keys = |(n, b)| bound::keys(b).into_iter().zip(0..).map(move |k| (n, b, k));
        for (index, bind, (key, offset)) in binds.flat_map(keys) {
            let known = old.iter().find(|l| l.bound.serves(&key, bind));
            // As many may wait as may be served.
            let backlog = front.backlog.or(front.maxconn);
            let fresh = || Bound::open(key, bind, backlog, threads, inherited);
            let (bound, live) = match known {
                Some(old) => (old.bound.clone(), old.live.clone()),
                None => match fresh() {
                    Ok(bound) => (Arc::new(bound), ListenerLive::new(runtime)),
                    Err(error) => {
                        errors.push(error.of(&proxy.name));
                        continue;
                    }
                },
            };
            opened.push(Opened {
                frontend: proxy.name.clone(),
                index: index as u16,
                number: bind.number + offset,
                bound,
                live,
            });
        }
    }
    match errors.is_empty() {
        true => Ok(opened),
        false => Err(errors),
    }
}

/// Makes bound sockets the listeners of a generation. Those of a paused frontend refuse connections,
/// new ones, too.
pub fn attach(generation: &Generation, opened: Vec<Opened>) -> ListenerSet {
    let listener = |o: Opened| {
        let proxy = generation.frontend(&o.frontend)?.clone();
        o.bound.settle();
        if proxy.front.as_ref().is_some_and(|f| f.paused.load(Relaxed)) {
            o.bound.pause();
        }
        Some(Arc::new(Listener {
            proxy,
            index: o.index,
            number: o.number,
            bound: o.bound,
            live: o.live,
        }))
    };
    Arc::new(opened.into_iter().filter_map(listener).collect())
}

/// A connection just accepted, on its way to its session.
pub struct Accepted {
    /// The socket.
    pub socket: socket2::Socket,
    /// The client's address.
    pub client: Peer,
    /// When, by the process clock.
    pub at_ms: u64,
    /// Keeps it counted.
    pub admission: Admission,
}

/// A connection is counted in process, frontend and listener as long as this lives.
pub struct Admission {
    runtime: Arc<Runtime>,
    listener: Arc<Listener>,
}

/// Why no connection may be accepted right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// A limit of connections: wait until one ends.
    Connections,
    /// A limit of a rate: wait this many milliseconds.
    Rate(u64),
}

impl Admission {
    /// Whether one more connection may be accepted.
    pub fn may(runtime: &Runtime, listener: &Listener, now_ms: u64) -> Result<(), Full> {
        let process = &runtime.process;
        let Some(front) = listener.front() else {
            return Err(Full::Connections);
        };
        let limits = [
            (&process.connection_rate, &process.max_connection_rate),
            (&process.session_rate, &process.max_session_rate),
            (&front.session_rate, &front.max_session_rate),
        ];
        for (rate, limit) in limits {
            let limit = limit.load(Relaxed);
            if limit > 0 {
                rate.room(limit, now_ms).map_err(Full::Rate)?;
            }
        }
        let own = listener.conf().and_then(|b| b.maxconn);
        let full = front.paused.load(Relaxed)
            || process.connections.get() >= process.maxconn.load(Relaxed)
            || front.connections.get() >= front.maxconn.load(Relaxed)
            || own.is_some_and(|own| listener.live.connections.get() >= own);
        match full {
            true => Err(Full::Connections),
            false => Ok(()),
        }
    }

    /// Counts a new connection.
    pub fn new(runtime: &Arc<Runtime>, listener: &Arc<Listener>) -> Admission {
        runtime.process.connections.up();
        listener.live.connections.up();
        if let Some(front) = listener.front() {
            front.connections.up();
        }
        Admission {
            runtime: runtime.clone(),
            listener: listener.clone(),
        }
    }

    /// Counts it as a connection of this thread.
    pub fn count_connection(&self, thread: Thread, now_ms: u64) {
        let process = &self.runtime.process;
        process.counters.of(thread).connections.add(1);
        process.connection_rate.add(now_ms);
        self.listener.live.counters.of(thread).connections.add(1);
        if let Some(front) = self.listener.front() {
            front.counters.of(thread).connections.add(1);
            front.connection_rate.add(now_ms);
        }
    }

    /// Counts it as a session of this thread.
    pub fn count_session(&self, thread: Thread, now_ms: u64) {
        let process = &self.runtime.process;
        process.counters.of(thread).sessions.add(1);
        process.session_rate.add(now_ms);
        self.listener.live.counters.of(thread).sessions.add(1);
        if let Some(front) = self.listener.front() {
            front.counters.of(thread).sessions.add(1);
            front.session_rate.add(now_ms);
        }
    }

    /// Where it came in.
    pub fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.runtime.process.connections.down();
        self.listener.live.connections.down();
        if let Some(front) = self.listener.front() {
            front.connections.down();
        }
        self.runtime.resume_accept();
    }
}
