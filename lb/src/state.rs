//! What the running balancer is: shared by the data threads, the checks, the
//! runtime CLI, the statistics and the reload.
//!
//! A [`Generation`] is one configuration at work: its proxies and servers do
//! not change, but point to live parts ([`FrontLive`], [`BackLive`],
//! [`ServerLive`]) that the next generation takes over by name. So sessions
//! keep the rules that they began under, while counters, states and limits
//! are those of the subject, whatever generation counts in them.
//!
//! Change a server only through [`Runtime::change`]: it also moves waiting
//! sessions, ends those that must end, passes the change on to servers that
//! track this one, and tells [`Hooks::on_change`].

mod assign;
mod change;
mod connection_error;
mod generation;
mod mailbox;
mod proxy;
mod record;
mod server;
mod slot;
mod variables;

pub use crate::listener::Admission;
pub use assign::{Assigned, Request};
pub use change::{Administered, ENDED_BY_OPERATORS, StateChange};
pub use connection_error::ConnectionError;
pub use generation::Generation;
pub use mailbox::{Dismissal, Kill, Mailbox, Message, SessionId, SessionView, Victims, WAKE};
pub use proxy::{BackLive, FrontLive, ListenerLive, Proxy};
pub use record::{
    Cause, Connections, End, HandedOver, HttpRecord, Peer, Phase, Proxied, SessionRecord, Timers,
};
pub use server::{CheckAt, Endpoint, Server, ServerLive};
pub use slot::{Answer, Slot, Ticket, Waiter, WaitingRoom};
pub use variables::Variables;

use crate::counters::{Clock, Counters, Gauge, Rate};
use arc_swap::ArcSwap;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed},
};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// The process: everything that outlives a reload.
pub struct Runtime {
    /// Milliseconds since the start; all `*_ms` of the state are read from it.
    pub clock: Clock,
    /// When the process started.
    pub started: SystemTime,
    /// Sums over the whole process.
    pub process: ProcessLive,
    /// Variables that every session sees.
    pub variables: Variables,
    /// What the data path calls at its edges.
    pub hooks: Hooks,
    threads: Vec<Arc<Mailbox>>,
    generation: ArcSwap<Generation>,
    serial: AtomicU64,
}

/// A function that is set at most once.
type Hook<F> = OnceLock<Box<F>>;

/// What the data path and [`Runtime::change`] call; each is set at most once,
/// before the data threads start.
#[derive(Default)]
pub struct Hooks {
    /// A session's line: at its end, and at its start where the frontend asks for that.
    /// Runs on the data thread: must not block.
    pub log: Hook<dyn Fn(&SessionRecord) + Send + Sync>,
    /// What `unique-id-format` of its frontend gives for a session.
    #[allow(clippy::type_complexity)]
    pub unique_id: Hook<dyn Fn(&SessionRecord) -> Option<String> + Send + Sync>,
    /// A server or backend changed its state.
    pub on_change: Hook<dyn Fn(&StateChange) + Send + Sync>,
    /// A connection was accepted on a frontend that speaks HTTP.
    pub http: Hook<dyn Fn(HandedOver) + Send + Sync>,
    /// Ends sessions that no data thread holds (HTTP).
    pub kill: Hook<dyn Fn(&Kill) + Send + Sync>,
    /// A session saw this server fail (`true`) or work: for `observe`.
    #[allow(clippy::type_complexity)]
    pub observed: Hook<dyn Fn(&Arc<Server>, bool) + Send + Sync>,
    /// Something an operator should know (accept paused, ...), once per occasion.
    pub warn: Hook<dyn Fn(&str) + Send + Sync>,
}

/// Sums and limits of the process.
#[derive(Debug)]
pub struct ProcessLive {
    /// Connections from clients.
    pub connections: Gauge,
    /// `maxconn` of the process; changeable at run time.
    pub maxconn: AtomicU32,
    /// Connections a second; its limit is `maxconnrate` (0: none).
    pub connection_rate: Rate,
    /// See `connection_rate`.
    pub max_connection_rate: AtomicU32,
    /// Sessions a second; its limit is `maxsessrate` (0: none).
    pub session_rate: Rate,
    /// See `session_rate`.
    pub max_session_rate: AtomicU32,
    /// Connections, sessions, requests and bytes of everything.
    pub counters: Counters,
    /// Pipes held for splicing.
    pub pipes: Gauge,
    /// Listeners stopped accepting: a limit or the descriptors ran out.
    pub accept_paused: AtomicBool,
    /// Until then, on the process clock, nobody is told again that the descriptors ran out.
    pub pause_told_until_ms: AtomicU64,
    /// The process ends softly: listeners are closed, sessions go on.
    pub stopping: AtomicBool,
}

impl Runtime {
    /// A runtime for these data threads (their mailboxes in the order of their
    /// numbers), without proxies. Tests may give none.
    pub fn new(threads: Vec<Arc<Mailbox>>) -> Arc<Runtime> {
        let count = threads.len();
        Arc::new(Runtime {
            clock: Clock::new(),
            started: SystemTime::now(),
            process: ProcessLive {
                connections: Gauge::default(),
                maxconn: AtomicU32::new(u32::MAX),
                connection_rate: Rate::default(),
                max_connection_rate: AtomicU32::new(0),
                session_rate: Rate::default(),
                max_session_rate: AtomicU32::new(0),
                counters: Counters::new(count),
                pipes: Gauge::default(),
                accept_paused: AtomicBool::new(false),
                pause_told_until_ms: AtomicU64::new(0),
                stopping: AtomicBool::new(false),
            },
            variables: Variables::default(),
            hooks: Hooks::default(),
            threads,
            generation: ArcSwap::from_pointee(Generation::default()),
            serial: AtomicU64::new(1),
        })
    }

    /// The generation that new sessions belong to.
    pub fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Makes `generation` the one for new sessions. The data threads are told
    /// by whoever also changed the listeners: see `worker::DataPath::apply`.
    pub fn install(&self, generation: Arc<Generation>) {
        let global = &generation.conf.global;
        let process = &self.process;
        process
            .max_connection_rate
            .store(global.maxconnrate, Relaxed);
        process.max_session_rate.store(global.maxsessrate, Relaxed);
        if let Some(maxconn) = global.maxconn {
            process.maxconn.store(maxconn, Relaxed);
        }
        self.generation.store(generation.clone());
        for (_, server) in generation.servers() {
            self.release(server);
        }
    }

    /// Milliseconds of the process clock.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The data threads' mailboxes, by thread number.
    pub fn threads(&self) -> &[Arc<Mailbox>] {
        &self.threads
    }

    /// It stops and has no connection left, nor will one come: every data thread has served
    /// whoever was waiting when it stopped to listen.
    pub fn is_spent(&self) -> bool {
        let process = &self.process;
        process.stopping.load(Relaxed)
            && !self.threads.iter().any(|t| t.accepts.load(Acquire))
            && process.connections.get() == 0
    }

    /// A number that no other call got.
    pub fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Relaxed)
    }

    /// Gives every data thread a message.
    pub fn tell_all(&self, message: impl Fn() -> Message) {
        for thread in &self.threads {
            thread.post(message());
        }
    }

    /// Ends sessions; they are logged with `kill.cause`.
    pub fn kill(&self, kill: &Kill) {
        if let Some(others) = self.hooks.kill.get() {
            others(kill);
        }
        match kill.victims {
            Victims::One(id) => {
                if let Some(thread) = self.threads.get(id.thread().0 as usize) {
                    thread.post(Message::Kill(kill.clone()));
                }
            }
            Victims::OfServer(_) | Victims::OfBackups(_) | Victims::OfFrontend(_) => {
                self.tell_all(|| Message::Kill(kill.clone()));
            }
        }
    }

    /// Asks every data thread for its sessions that `wanted` accepts; `answer`
    /// is called once per thread, from that thread. Gives the number of threads.
    pub fn sessions(
        &self,
        answer: impl Fn(Vec<SessionView>) + Send + Sync + Clone + 'static,
    ) -> usize {
        self.tell_all(|| Message::Sessions(Box::new(answer.clone())));
        self.threads.len()
    }

    /// Tells an operator, through [`Hooks::warn`].
    pub fn warn(&self, text: &str) {
        if let Some(warn) = self.hooks.warn.get() {
            warn(text);
        }
    }

    /// Lets paused listeners try again, if any is paused.
    pub fn resume_accept(&self) {
        let paused = &self.process.accept_paused;
        if paused.load(Relaxed) && paused.swap(false, Relaxed) {
            self.tell_all(|| Message::ResumeAccept);
        }
    }
}
