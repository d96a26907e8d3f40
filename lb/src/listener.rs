//! Listening sockets: binding them, carrying them over a reload, accepting.
//!
//! Where the system allows it, each data thread has a socket of its own for
//! an address (`SO_REUSEPORT`); otherwise the threads share one.

mod bound;

pub use bound::{BindError, Bound};

use crate::counters::Thread;
use crate::state::{FrontLive, Generation, ListenerLive, Peer, Proxy, Runtime};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// One address of a frontend of one generation.
pub struct Listener {
    /// The frontend.
    pub proxy: Arc<Proxy>,
    /// Index of its bind line among the frontend's.
    pub index: u16,
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

    /// The frontend's live part.
    pub fn front(&self) -> Option<&Arc<FrontLive>> {
        self.proxy.front.as_ref()
    }
}

/// Binds what `generation` listens on and takes over from `old` what is bound
/// already; all errors at once. Disabled proxies listen on nothing.
pub fn open(
    runtime: &Runtime,
    generation: &Generation,
    old: &[Arc<Listener>],
) -> Result<ListenerSet, Vec<BindError>> {
    let threads = match generation.conf.global.disable.reuseport {
        true => 1,
        false => runtime.threads().len().max(1),
    };
    let mut set = Vec::new();
    let mut errors = Vec::new();
    for proxy in &generation.proxies {
        let Some(front) = proxy.conf.front.as_ref().filter(|_| !proxy.conf.disabled) else {
            continue;
        };
        for (index, bind) in front.binds.iter().enumerate() {
            for key in bound::keys(bind) {
                let known = old.iter().find(|l| l.bound.serves(&key, bind));
                let (bound, live) = match known {
                    Some(old) => (old.bound.clone(), old.live.clone()),
                    None => match Bound::open(key, bind, front.backlog, threads) {
                        Ok(bound) => (Arc::new(bound), ListenerLive::new(runtime)),
                        Err(error) => {
                            errors.push(error.of(proxy.name()));
                            continue;
                        }
                    },
                };
                set.push(Arc::new(Listener {
                    proxy: proxy.clone(),
                    index: index as u16,
                    bound,
                    live,
                }));
            }
        }
    }
    match errors.is_empty() {
        true => Ok(Arc::new(set)),
        false => Err(errors),
    }
}

/// A connection just accepted, on its way to its session.
pub struct Accepted {
    /// The socket.
    pub socket: socket2::Socket,
    /// The client's address.
    pub client: Peer,
    /// When.
    pub at: SystemTime,
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
    /// Counts a new connection if every limit allows it.
    pub fn ask(
        runtime: &Arc<Runtime>,
        listener: &Arc<Listener>,
        now_ms: u64,
    ) -> Result<Admission, Full> {
        let process = &runtime.process;
        let Some(front) = listener.front() else {
            return Err(Full::Connections);
        };
        let too_fast = |rate: &crate::counters::Rate, limit: u32| {
            let (count, left_ms) = rate.this_second(now_ms);
            (limit > 0 && count >= limit).then_some(Full::Rate(left_ms))
        };
        let limits = [
            (&process.connection_rate, &process.max_connection_rate),
            (&process.session_rate, &process.max_session_rate),
            (&front.session_rate, &front.max_session_rate),
        ];
        for (rate, limit) in limits {
            if let Some(full) = too_fast(rate, limit.load(Relaxed)) {
                return Err(full);
            }
        }
        let up = |gauge: &crate::counters::Gauge, limit: u32| gauge.up_within(limit).is_some();
        if !up(&process.connections, process.maxconn.load(Relaxed)) {
            return Err(Full::Connections);
        }
        if !up(&front.connections, front.maxconn.load(Relaxed)) {
            process.connections.down();
            return Err(Full::Connections);
        }
        let own = listener.conf().and_then(|b| b.maxconn);
        if !up(&listener.live.connections, own.unwrap_or(u32::MAX)) {
            process.connections.down();
            front.connections.down();
            return Err(Full::Connections);
        }
        Ok(Admission {
            runtime: runtime.clone(),
            listener: listener.clone(),
        })
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
