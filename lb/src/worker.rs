//! A data thread: one poll, its sessions, its share of the listeners.
//!
//! The thread waits for edges, steps the sessions that they concern, accepts,
//! gives those that used up their budget another turn, and looks at the
//! deadlines that are due. It takes no lock and makes no call per message
//! besides receive, send and the wait.

mod accept;
mod edges;
mod handshake;

use self::edges::Edge;
use self::handshake::Held;
use crate::batch::Batch;
use crate::listener::{Listener, ListenerSet};
use crate::relay::Workshop;
use crate::session::{Context, Event, Session, Turn};
use crate::splice::Pool;
use crate::state::{
    Cause, Dismissal, Generation, Kill, Mailbox, Message, Runtime, SessionId, SessionView, Victims,
    WAKE,
};
use crate::trace::Tracer;
use crate::uring::MOST;
use crate::wheel::{HEARTBEAT_MS, Wheel};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

/// Size of the buffer that a thread's sessions share.
const BUFFER: usize = 64 * 1024;
const EVENTS: usize = 512;
/// The heartbeat's token.
const HEARTBEAT: usize = usize::MAX - 1;
/// Tokens of listeners start here; below are two for each session.
const LISTENERS: usize = 1 << 40;

/// A data thread.
pub struct Worker {
    runtime: Arc<Runtime>,
    generation: Arc<Generation>,
    mailbox: Arc<Mailbox>,
    poll: Poll,
    sessions: Slab<Session>,
    /// Of this turn, not yet handled.
    edges: Vec<Edge>,
    /// Ended in this turn; their places stay taken until it is over, because
    /// more events for them may follow.
    ended: Vec<usize>,
    /// Theirs, to be closed together.
    closing: Vec<OwnedFd>,
    again: VecDeque<usize>,
    /// Handshakes with servers that wait for the client's first bytes.
    handshakes: Held,
    wheel: Wheel,
    shop: Workshop,
    listeners: Vec<Watched>,
    serial: u32,
    now_ms: u64,
    loops: u64,
    busy: Duration,
    stopping: bool,
    /// Who watches sessions.
    tracer: Option<Box<Tracer>>,
}

/// A timer that fires for ever.
fn heartbeat() -> io::Result<TimerFd> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
    let every = TimeSpec::milliseconds(HEARTBEAT_MS as i64);
    timer.set(Expiration::Interval(every), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// A listener's socket that this thread watches.
struct Watched {
    listener: Arc<Listener>,
    socket: Arc<socket2::Socket>,
    /// The poll's token; taken again only when the socket is gone.
    token: usize,
    ready: bool,
    /// Not asked before this moment: it is at a limit.
    rests_until_ms: u64,
}

impl Worker {
    /// A data thread's state; `poll` is the one that `mailbox` wakes.
    pub fn new(runtime: Arc<Runtime>, mailbox: Arc<Mailbox>, poll: Poll) -> Worker {
        let generation = runtime.generation();
        let global = &generation.conf.global;
        let threads = runtime.threads().len().max(1);
        let pipes = global.maxpipes.unwrap_or(u32::MAX) as usize / threads;
        let pipe_size = global.tune.pipesize.map_or(0, |s| s.0 as usize);
        let now_ms = runtime.now_ms();
        Worker {
            generation,
            mailbox,
            poll,
            sessions: Slab::new(),
            edges: Vec::with_capacity(MOST),
            ended: Vec::new(),
            closing: Vec::with_capacity(MOST),
            again: VecDeque::new(),
            handshakes: Held::default(),
            wheel: Wheel::new(now_ms),
            shop: Workshop {
                buffer: vec![0; BUFFER].into_boxed_slice(),
                pipes: Pool::new(pipes.max(1), pipe_size),
                batch: None,
                tap: None,
            },
            listeners: Vec::new(),
            serial: 0,
            now_ms,
            loops: 0,
            busy: Duration::ZERO,
            stopping: false,
            tracer: None,
            runtime,
        }
    }

    /// Works until it is told to stop.
    pub fn run(mut self) -> io::Result<()> {
        let heartbeat = heartbeat()?;
        let fd = heartbeat.as_fd().as_raw_fd();
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&fd), Token(HEARTBEAT), Interest::READABLE)?;
        // Where the system has no ring for us, each session makes its own calls.
        self.shop.batch = Batch::open().ok();
        let mut events = Events::with_capacity(EVENTS);
        let mut due = Vec::new();
        let mut rested = Instant::now();
        while !self.stopping {
            let patience = self.patience(self.runtime.clock.ms_of(rested));
            match self.poll.poll(&mut events, patience) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                    rested = Instant::now();
                    continue;
                }
                result => result?,
            }
            let woke = Instant::now();
            self.now_ms = self.runtime.clock.ms_of(woke);
            for event in &events {
                if event.token() == Token(HEARTBEAT) {
                    // a periodic timer goes on only once its expiry was read
                    let _ = heartbeat.wait();
                    continue;
                }
                self.dispatch(event);
            }
            self.step_edges();
            self.accept_all();
            self.turns();
            while let Some(index) = self.handshakes.take_due(self.now_ms) {
                // Another session may have the place by now; it is told nothing new.
                self.step(index, Event::EndHandshake);
            }
            self.wheel.advance(self.now_ms, &mut due);
            for index in due.drain(..) {
                self.step(index, Event::Deadline);
            }
            self.bury();
            self.loops += 1;
            rested = Instant::now();
            self.busy += rested.duration_since(woke);
            self.mailbox.loops.store(self.loops, Relaxed);
            self.mailbox
                .busy_us
                .store(self.busy.as_micros() as u64, Relaxed);
        }
        Ok(())
    }

    /// How long the poll may wait from this moment on.
    fn patience(&mut self, now_ms: u64) -> Option<Duration> {
        if !self.again.is_empty() || self.accept_is_due() {
            return Some(Duration::ZERO);
        }
        let still_held = |index| {
            self.sessions
                .get(index)
                .is_some_and(Session::holds_handshake)
        };
        let handshake = self.handshakes.next_ms(still_held);
        let deadlines = [self.wheel.next_ms(), self.retry_accept_ms(), handshake];
        let next = deadlines.into_iter().flatten().min()?;
        Some(Duration::from_millis(next.saturating_sub(now_ms)))
    }

    fn dispatch(&mut self, event: &mio::event::Event) {
        let token = event.token().0;
        if token == WAKE.0 {
            return self.messages();
        }
        if token >= LISTENERS {
            if let Some(watched) = self.listeners.iter_mut().find(|w| w.token == token) {
                watched.ready = true;
            }
            return;
        }
        self.note_edge(Edge::new(event));
    }

    /// Steps a session and does what it asks for.
    fn step(&mut self, index: usize, event: Event<'_>) {
        if self.tracer.is_some() {
            return self.watched_step(index, event);
        }
        self.plain_step(index, event);
    }

    fn plain_step(&mut self, index: usize, event: Event<'_>) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let mut cx = Context {
            runtime: &self.runtime,
            generation: &self.generation,
            mailbox: &self.mailbox,
            registry: self.poll.registry(),
            shop: &mut self.shop,
            now_ms: self.now_ms,
            id: SessionId::new(self.mailbox.thread, index, session.serial),
        };
        let turn = session.step(&mut cx, event);
        self.follow(index, turn);
    }

    /// A step while somebody watches sessions, perhaps this one.
    #[cold]
    fn watched_step(&mut self, index: usize, event: Event<'_>) {
        let id = |s: &Session| SessionId::new(self.mailbox.thread, index, s.serial);
        let Some(session) = self.sessions.get(index) else {
            return;
        };
        let id = id(session);
        if let Some(tracer) = &mut self.tracer {
            self.shop.tap = tracer.before(id, session);
        }
        self.plain_step(index, event);
        self.tell_watchers(id);
    }

    /// Passes on what the tap saw.
    pub(crate) fn tell_watchers(&mut self, id: SessionId) {
        let (Some(tap), Some(session)) = (self.shop.tap.take(), self.sessions.get(id.index()))
        else {
            return;
        };
        if let Some(tracer) = &mut self.tracer {
            tracer.after(id, session, tap, self.now_ms);
        }
    }

    fn follow(&mut self, index: usize, turn: Turn) {
        match turn {
            Turn::Wait => {}
            Turn::Again => self.again.push_back(index),
            Turn::Rearm => match self.sessions.get(index).and_then(Session::deadline_ms) {
                Some(at_ms) => self.wheel.set(index, at_ms),
                None => self.wheel.remove(index),
            },
            Turn::HoldHandshake => {
                self.handshakes.add(index, self.now_ms);
                self.follow(index, Turn::Rearm);
            }
            Turn::Over => {
                self.wheel.remove(index);
                self.ended.push(index);
            }
        }
    }

    /// Another turn for those whose budget was used up.
    fn turns(&mut self) {
        for _ in 0..self.again.len() {
            if let Some(index) = self.again.pop_front() {
                self.step(index, Event::Turn);
            }
        }
    }

    fn messages(&mut self) {
        for message in self.mailbox.take() {
            match message {
                Message::Listeners(set) => self.watch(&set),
                Message::Accepted(accepted) => self.admit(*accepted),
                Message::Queue(id, answer) => {
                    // A session that is gone drops the slot, which passes it on.
                    if self.knows(id) {
                        self.step(id.index(), Event::Queue(answer));
                    }
                }
                Message::Kill(kill) => self.kill(&kill),
                Message::Dismiss(dismissal) => self.dismiss(dismissal),
                Message::Sessions(answer) => answer(self.views()),
                Message::ResumeAccept => {
                    for watched in &mut self.listeners {
                        watched.rests_until_ms = 0;
                    }
                }
                Message::Watch(order) => self.tracer.get_or_insert_default().add(order),
                Message::Unwatch(number) => {
                    let others = self.tracer.as_mut().is_some_and(|t| t.remove(number));
                    if !others {
                        self.tracer = None;
                    }
                }
                Message::Stop => self.stop(),
            }
        }
    }

    fn knows(&self, id: SessionId) -> bool {
        let expected = |s: &Session| SessionId::new(self.mailbox.thread, id.index(), s.serial);
        self.sessions
            .get(id.index())
            .is_some_and(|s| expected(s) == id)
    }

    fn kill(&mut self, kill: &Kill) {
        let victims: Vec<usize> = match &kill.victims {
            Victims::One(id) => Some(id.index())
                .filter(|_| self.knows(*id))
                .into_iter()
                .collect(),
            victims => {
                let is_victim =
                    |(index, s): (usize, &Session)| s.is_victim(victims).then_some(index);
                self.sessions.iter().filter_map(is_victim).collect()
            }
        };
        for index in victims {
            self.step(index, Event::Kill(kill.cause));
        }
    }

    /// Sessions to end politely: found from a random place on, so that none is preferred.
    fn dismiss(&mut self, mut dismissal: Dismissal) {
        let now_ms = self.now_ms;
        let start = dismissal.start as usize % self.sessions.capacity().max(1);
        let all = (start..self.sessions.capacity()).chain(0..start);
        let fits = |index: &usize| {
            let session = self.sessions.get(*index);
            session.is_some_and(|s| s.may_be_dismissed(now_ms, &dismissal.server))
        };
        let chosen: Vec<usize> = all.filter(fits).take(dismissal.count as usize).collect();
        dismissal.count -= chosen.len() as u32;
        for index in chosen {
            self.step(index, Event::Dismiss(&dismissal));
        }
        self.pass_on(dismissal);
    }

    /// The next thread has the rest, unless all were asked.
    fn pass_on(&self, mut dismissal: Dismissal) {
        if dismissal.count == 0 {
            return;
        }
        let threads = self.runtime.threads();
        let next = (usize::from(self.mailbox.thread.0) + 1) % threads.len().max(1);
        match threads.get(next).filter(|_| dismissal.hops > 0) {
            Some(next) => {
                dismissal.hops -= 1;
                next.post(Message::Dismiss(dismissal));
            }
            None => {
                let leaving = &dismissal.server.leaving;
                leaving.fetch_sub(dismissal.count, Relaxed);
            }
        }
    }

    fn views(&mut self) -> Vec<SessionView> {
        let mut views = Vec::with_capacity(self.sessions.len());
        for (index, session) in &self.sessions {
            let cx = Context {
                runtime: &self.runtime,
                generation: &self.generation,
                mailbox: &self.mailbox,
                registry: self.poll.registry(),
                shop: &mut self.shop,
                now_ms: self.now_ms,
                id: SessionId::new(self.mailbox.thread, index, session.serial),
            };
            if !session.is_over() {
                views.push(session.view(&cx));
            }
        }
        views
    }

    fn stop(&mut self) {
        let all: Vec<usize> = self.sessions.iter().map(|(index, _)| index).collect();
        for index in all {
            self.step(index, Event::Kill(Cause::Killed));
        }
        self.listeners.clear();
        self.stopping = true;
    }

    /// Listens on exactly these from now on; new sessions belong to their generation.
    fn watch(&mut self, set: &ListenerSet) {
        self.generation = self.runtime.generation();
        let mut old = std::mem::take(&mut self.listeners);
        let mut next_token = old.iter().map(|w| w.token + 1).max().unwrap_or(LISTENERS);
        for listener in set.iter() {
            let is_known = |w: &mut Watched| Arc::ptr_eq(&w.listener.bound, &listener.bound);
            let known: Vec<Watched> = old.extract_if(.., is_known).collect();
            if known.is_empty() {
                self.watch_fresh(listener, &mut next_token);
            }
            self.listeners.extend(known.into_iter().map(|w| Watched {
                listener: listener.clone(),
                ready: true,
                rests_until_ms: 0,
                ..w
            }));
        }
        for gone in old {
            // Closed when the last thread lets it go; who has connected already is served.
            let fd = gone.socket.as_raw_fd();
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
            let (listener, socket) = (&gone.listener, &gone.socket);
            while matches!(self.accept_from(listener, socket), accept::Stop::Budget) {}
        }
        self.mailbox
            .accepts
            .store(!self.listeners.is_empty(), Release);
    }

    /// Watches this thread's share of a listener's sockets.
    fn watch_fresh(&mut self, listener: &Arc<Listener>, next_token: &mut usize) {
        let thread = usize::from(self.mailbox.thread.0);
        for socket in listener.bound.share(thread, self.runtime.threads().len()) {
            let fd = socket.as_raw_fd();
            let token = *next_token;
            *next_token += 1;
            let registry = self.poll.registry();
            match registry.register(&mut SourceFd(&fd), Token(token), Interest::READABLE) {
                Ok(()) => self.listeners.push(Watched {
                    listener: listener.clone(),
                    socket,
                    token,
                    ready: true,
                    rests_until_ms: 0,
                }),
                Err(e) => self.runtime.warn(&format!(
                    "thread {thread}: cannot watch {}: {e}",
                    listener.bound.name()
                )),
            }
        }
    }
}
