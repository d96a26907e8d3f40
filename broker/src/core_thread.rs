//! The core thread: one poll loop that owns the engine, the listeners and every AMQP socket.
//!
//! A turn reads each ready socket once, lets the engine deliver and confirm, and writes what has gathered with one
//! system call per connection. Nothing in it waits but the poll, and the sync for a lone publisher (see `own_commit`).

use crate::client::{Client, Preamble, Progress};
use crate::core::connection::Peer;
use crate::core::{Core, Effect};
use crate::handle::{Handle, Jobs, Wake, handle};
use crate::listeners::{Listener, most_clients, set_listening};
use crate::own_commit::OwnCommit;
use crate::tls::TlsSession;
use crate::verifier::Verifier;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use service::{Notify, Watchdog};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WAKE: Token = Token(0);
/// Clients' tokens start here; the listeners' are below.
const CLIENTS: usize = 1024;
/// Read at once from one socket.
const BUFFER: usize = 256 * 1024;
/// Clients accepted in one turn.
const ACCEPTS: usize = 128;
/// Clients that are gone and cleared away after in one turn: thousands may go at once, and others are not to wait for all.
const GOODBYES: usize = 64;
/// How long a closed connection may take to read its last bytes.
const LINGER: Duration = Duration::from_secs(2);
/// How long accepting rests when no more files can be opened.
const REST: Duration = Duration::from_millis(500);
/// How often it is said at most that accepting rests.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// Turns that a batch may be held while others are served without an answer.
const HELD_TURNS: u32 = 4;
/// How long an orderly stop waits for clients to go.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The thread that owns the engine, the listeners and all AMQP sockets, with its own poll.
pub struct CoreThread {
    poll: Poll,
    core: Core,
    jobs: Jobs,
    listeners: Vec<Listener>,
    /// Whether clients can connect.
    listening: bool,
    /// Listeners that may have somebody waiting.
    pending: bool,
    /// Accepting rests until then.
    resting: Option<Instant>,
    /// When it was said last that accepting rests, and whether it is still to be said that it goes on.
    said_resting: Option<Instant>,
    owes_word: bool,
    /// As many clients as the limit of open files has room for.
    most_clients: usize,
    clients: Vec<Option<Box<Client>>>,
    /// Clients to look at in the next turn.
    ready: Vec<u32>,
    /// Clients with input that is not wanted now.
    held: Vec<u32>,
    lingering: VecDeque<(Instant, u32, u64)>,
    buffer: Vec<u8>,
    verifier: Verifier,
    started: Instant,
    stop_by: Option<Instant>,
    watchdog: Option<Watchdog>,
    own_commit: OwnCommit,
    held_turns: u32,
}

/// What a thread needs before it starts: made early, so that others can hold the handle.
pub struct Seat {
    poll: Poll,
    jobs: Jobs,
    pub handle: Handle,
    pub wake: Wake,
}

impl Seat {
    pub fn new() -> io::Result<Seat> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let wake: Wake = Arc::new(move || {
            // the poll is gone when this fails, and nobody is left to wake
            let _ = waker.wake();
        });
        let (handle, jobs) = handle(wake.clone());
        Ok(Seat {
            poll,
            jobs,
            handle,
            wake,
        })
    }
}

impl CoreThread {
    pub fn new(seat: Seat, core: Core, listeners: Vec<Listener>) -> io::Result<CoreThread> {
        let Seat {
            poll, jobs, handle, ..
        } = seat;
        let verifier = Verifier::start(handle, core.logins.clone());
        let mut thread = CoreThread {
            poll,
            core,
            jobs,
            listeners,
            listening: true,
            pending: true,
            resting: None,
            said_resting: None,
            owes_word: false,
            most_clients: most_clients(),
            clients: Vec::new(),
            ready: Vec::new(),
            held: Vec::new(),
            lingering: VecDeque::new(),
            buffer: vec![0; BUFFER],
            verifier,
            started: Instant::now(),
            stop_by: None,
            watchdog: Notify::from_environment().watchdog(std::process::id()),
            own_commit: OwnCommit::default(),
            held_turns: 0,
        };
        for (index, listener) in thread.listeners.iter_mut().enumerate() {
            thread.poll.registry().register(
                &mut listener.socket,
                Token(1 + index),
                Interest::READABLE,
            )?;
        }
        Ok(thread)
    }

    /// Serves until an orderly stop has ended; gives the engine back.
    pub fn run(mut self) -> Core {
        self.tell_time();
        self.core.start();
        let mut events = Events::with_capacity(1024);
        while !self.is_done() {
            let timeout = self.timeout();
            if !self.gather(&mut events, timeout) {
                break;
            }
            self.see_to_held(&mut events);
            self.turn();
        }
        self.core.take_all_back();
        self.core.let_all_go();
        self.core.journal.hand_over();
        self.core
    }

    /// Waits for events and notes them; false when that is not possible any more.
    fn gather(&mut self, events: &mut Events, timeout: Option<Duration>) -> bool {
        if let Err(error) = self.poll.poll(events, timeout)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "poll failed");
            return false;
        }
        self.tell_time();
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.beat(Instant::now());
        }
        for event in &*events {
            self.note(event);
        }
        true
    }

    /// Commits a batch that was held when nothing else is ready, and leaves it to the committer when much is.
    fn see_to_held(&mut self, events: &mut Events) {
        if !self.core.journal.holds() {
            self.held_turns = 0;
        } else if events.is_empty() && self.is_idle() {
            self.commit(events);
        } else if self.held_turns >= HELD_TURNS {
            self.core.journal.hand_over();
        } else {
            self.held_turns += 1;
        }
    }

    /// Syncs what one publisher waits for, for nobody else has anything to do; then sees whether that was so.
    fn commit(&mut self, events: &mut Events) {
        let began = Instant::now();
        self.core.journal.commit_held();
        self.own_commit.took(began.elapsed());
        self.gather(events, Some(Duration::ZERO));
    }

    fn is_done(&self) -> bool {
        match self.stop_by {
            Some(by) => self.clients.iter().all(Option::is_none) || Instant::now() >= by,
            None => false,
        }
    }

    fn tell_time(&mut self) {
        self.core.clock.now_ms = self.started.elapsed().as_millis() as u64;
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.core.clock.wall_ms = wall.as_millis() as u64;
    }

    /// Whether nothing is left of this turn for the next one.
    fn is_idle(&self) -> bool {
        self.ready.is_empty() && !self.core.has_work() && (!self.pending || self.resting.is_some())
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.is_idle() || self.core.journal.holds() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let engine = self.core.next_deadline_ms().map(|ms| {
            (self.started + Duration::from_millis(ms + 1)).saturating_duration_since(now)
        });
        let others = [
            self.lingering.front().map(|(at, ..)| *at),
            self.resting,
            self.stop_by,
            self.watchdog.as_ref().map(Watchdog::due),
            (!self.held.is_empty()).then(|| now + Duration::from_millis(20)),
        ];
        others
            .into_iter()
            .flatten()
            .map(|at| at.saturating_duration_since(now))
            .chain(engine)
            .min()
    }

    fn note(&mut self, event: &mio::event::Event) {
        match event.token() {
            WAKE => {}
            Token(listener) if listener < CLIENTS => self.pending = true,
            Token(token) => {
                let index = token - CLIENTS;
                let Some(Some(client)) = self.clients.get_mut(index) else {
                    return;
                };
                client.readable |=
                    event.is_readable() || event.is_read_closed() || event.is_error();
                client.read_closed |= event.is_read_closed() || event.is_error();
                client.writable |= event.is_writable() || event.is_write_closed();
                if event.is_readable() {
                    self.core.heard(index as u32);
                }
                self.look_at(index as u32);
            }
        }
    }

    fn look_at(&mut self, index: u32) {
        if let Some(Some(client)) = self.clients.get_mut(index as usize)
            && !client.queued
        {
            client.queued = true;
            self.ready.push(index);
        }
    }

    fn turn(&mut self) {
        self.jobs.run(&mut self.core);
        if self.core.is_stopping() && self.stop_by.is_none() {
            self.begin_stop();
        }
        self.see_to_listeners();
        self.accept();
        let held = std::mem::take(&mut self.held);
        held.into_iter().for_each(|index| self.look_at(index));
        let mut goodbyes = GOODBYES;
        for index in std::mem::take(&mut self.ready) {
            self.serve(index, &mut goodbyes);
        }
        self.core.deliver_all();
        let others = self.core.has_output();
        self.own_commit.ended(self.core.clock.now_ms, others);
        if others {
            self.core.journal.hand_over();
        }
        let alone = self.core.awaits_journal() && self.own_commit.may(self.core.clock.now_ms);
        self.core.journal.may_hold(alone);
        self.core.confirm_all();
        self.jobs.tell_late(&self.core);
        for effect in self.core.take_effects() {
            self.perform(effect);
        }
        while let Some(index) = self.core.next_dirty() {
            self.write(index);
        }
        self.end_lingering();
    }

    /// Reads once, and writes if the socket has become writable; one that goes may have to wait for a later turn.
    fn serve(&mut self, index: u32, goodbyes: &mut usize) {
        let Some(Some(client)) = self.clients.get_mut(index as usize) else {
            return;
        };
        client.queued = false;
        if client.read_closed {
            match goodbyes.checked_sub(1) {
                Some(left) => *goodbyes = left,
                None => return self.look_at(index),
            }
        }
        if client.readable
            && (client.lingering || client.read_closed || self.core.wants_input(index))
        {
            match client.read(&mut self.core, index, &mut self.buffer) {
                Progress::More => self.look_at(index),
                Progress::Blocked => client.readable = false,
                Progress::Ended => return self.drop_client(index),
            }
        } else if client.readable {
            self.held.push(index);
        }
        self.write(index);
    }

    fn write(&mut self, index: u32) {
        let Some(Some(client)) = self.clients.get_mut(index as usize) else {
            return;
        };
        if client.writable {
            match client.write(&mut self.core, index) {
                Progress::More => {}
                Progress::Blocked => client.writable = false,
                Progress::Ended => return self.drop_client(index),
            }
        }
        if client.closing && !client.lingering && client.is_drained(&self.core, index) {
            client.lingering = true;
            let _ = client.stream.shutdown(std::net::Shutdown::Write);
            client.readable = true;
            self.look_at(index);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Close { connection, serial } => {
                if let Some(Some(client)) = self.clients.get_mut(connection as usize)
                    && client.serial == serial
                {
                    client.closing = true;
                    self.lingering
                        .push_back((Instant::now() + LINGER, connection, serial));
                    self.write(connection);
                }
            }
            Effect::Verify {
                connection,
                serial,
                check,
            } => {
                if let Err(check) = self.verifier.submit(connection, serial, check) {
                    self.core.verified(connection, serial, &check, false);
                }
            }
            Effect::Resume { connection } => {
                if let Some(Some(client)) = self.clients.get_mut(connection as usize) {
                    client.resume(&mut self.core, connection);
                    self.look_at(connection);
                }
            }
        }
    }

    /// Pauses or resumes listening as the engine wants it.
    fn see_to_listeners(&mut self) {
        let wanted = self.core.wants_clients();
        if self.listening != wanted {
            self.listening = wanted;
            set_listening(&self.listeners, wanted);
            self.pending = true;
        }
    }

    fn accept(&mut self) {
        if let Some(until) = self.resting {
            if Instant::now() < until {
                return;
            }
            self.resting = None;
        }
        if !self.pending || !self.listening || self.stop_by.is_some() {
            self.pending = false;
            return;
        }
        let mut count = 0;
        for listener in 0..self.listeners.len() {
            while count < ACCEPTS {
                if self.core.connections.len() >= self.most_clients {
                    return self.rest("the limit of open files has room for no more clients");
                }
                match self.listeners[listener].socket.accept() {
                    Ok((stream, address)) => {
                        count += 1;
                        self.say_accepting();
                        if let Err(error) = self.admit(listener, stream, address) {
                            tracing::warn!(%error, %address, "a client could not be admitted");
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        self.accept_failed(&error);
                        return;
                    }
                }
            }
        }
        self.pending = count >= ACCEPTS;
    }

    fn accept_failed(&mut self, error: &io::Error) {
        if matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
        ) {
            self.rest(&error.to_string());
        }
    }

    /// Accepts nobody for a moment, or until a client goes.
    fn rest(&mut self, reason: &str) {
        let now = Instant::now();
        self.resting = Some(now + REST);
        if self.said_resting.is_none_or(|at| now - at >= SAY_EVERY) {
            let clients = self.core.connections.len();
            tracing::error!(
                clients,
                reason,
                "accepting rests: clients wait until others go"
            );
            self.said_resting = Some(now);
            self.owes_word = true;
        }
    }

    fn say_accepting(&mut self) {
        if std::mem::take(&mut self.owes_word) {
            let clients = self.core.connections.len();
            tracing::info!(clients, "accepting clients again");
        }
    }

    fn admit(
        &mut self,
        listener: usize,
        mut stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<()> {
        let local = stream.local_addr()?;
        let settings = &self.listeners[listener];
        let session = match &settings.tls {
            Some(secure) => {
                let connection = rustls::ServerConnection::new(secure.serving.current())
                    .map_err(io::Error::other)?;
                Some(Box::new(TlsSession::new(connection, secure.login_from)))
            }
            None => None,
        };
        let preamble = if settings.proxy_protocol {
            Preamble::Proxy
        } else {
            Preamble::None
        };
        let peer = Peer {
            address,
            local,
            tls: None,
            certificate: None,
        };
        let index = self.core.accept(peer);
        let serial = self.core.connections[index as usize].serial;
        let token = Token(CLIENTS + index as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, token, interest) {
            self.core.disconnected(index);
            return Err(error);
        }
        if self.clients.len() <= index as usize {
            self.clients.resize_with(index as usize + 1, || None);
        }
        self.clients[index as usize] =
            Some(Box::new(Client::new(stream, serial, session, preamble)));
        Ok(())
    }

    fn drop_client(&mut self, index: u32) {
        // a socket that is closed is out of the poll
        if let Some(client) = self.clients.get_mut(index as usize).and_then(Option::take) {
            drop(client);
            self.core.disconnected(index);
            if self.resting.is_some() {
                self.resting = Some(Instant::now());
            }
        }
    }

    /// Drops those who did not read their last bytes in time.
    fn end_lingering(&mut self) {
        let now = Instant::now();
        while let Some((_, index, serial)) = self
            .lingering
            .front()
            .copied()
            .filter(|(at, ..)| *at <= now)
        {
            self.lingering.pop_front();
            let same = |client: &Client| client.serial == serial;
            if self
                .clients
                .get(index as usize)
                .and_then(Option::as_deref)
                .is_some_and(same)
            {
                self.drop_client(index);
            }
        }
    }

    fn begin_stop(&mut self) {
        self.stop_by = Some(Instant::now() + STOP_WITHIN);
        for listener in &mut self.listeners {
            let _ = self.poll.registry().deregister(&mut listener.socket);
        }
        self.listeners.clear();
    }
}
