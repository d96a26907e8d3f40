//! How others reach a data thread: messages and a wake-up.

use super::{Answer, Cause, Peer, Phase, Proxy, Server, ServerLive};
use crate::counters::Thread;
use crate::listener::ListenerSet;
use mio::{Poll, Token, Waker};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Names a session: its thread, its place there, and a serial number, so that
/// a late message cannot meet the session that came after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(u64);

impl SessionId {
    const INDEX_BITS: u32 = 22;
    const SERIAL_BITS: u32 = 32;

    /// The id of session `index` of a thread; only the low bits of `serial` count.
    pub fn new(thread: Thread, index: usize, serial: u32) -> SessionId {
        let place = (u64::from(thread.0) << Self::INDEX_BITS) | index as u64;
        SessionId((place << Self::SERIAL_BITS) | u64::from(serial))
    }

    /// As `show sess` prints it.
    pub fn number(self) -> u64 {
        self.0
    }

    /// From what `show sess` printed.
    pub fn from_number(number: u64) -> SessionId {
        SessionId(number)
    }

    /// Its thread.
    pub fn thread(self) -> Thread {
        Thread((self.0 >> (Self::SERIAL_BITS + Self::INDEX_BITS)) as u16)
    }

    /// Its place in the thread.
    pub fn index(self) -> usize {
        ((self.0 >> Self::SERIAL_BITS) & ((1 << Self::INDEX_BITS) - 1)) as usize
    }
}

/// Ends sessions from outside.
#[derive(Clone)]
pub struct Kill {
    /// Which ones.
    pub victims: Victims,
    /// What their log lines say.
    pub cause: Cause,
}

/// Sessions to end.
#[derive(Clone)]
pub enum Victims {
    /// This one.
    One(SessionId),
    /// All on this server.
    OfServer(Arc<ServerLive>),
    /// All on backup servers of this backend (by name).
    OfBackups(String),
    /// All that came in through this frontend (by name).
    OfFrontend(String),
}

/// Ends some sessions of a server politely (`rebalance`, `drain-sessions`).
#[derive(Clone)]
pub struct Dismissal {
    /// Their server; its `leaving` counts them already.
    pub server: Arc<ServerLive>,
    /// How many. What one thread does not have, the next one is asked for.
    pub count: u32,
    /// Threads that have not been asked yet.
    pub hops: u16,
    /// What their log lines say.
    pub cause: Cause,
    /// Time for goodbyes, in milliseconds.
    pub wait_ms: u64,
    /// What clients are told.
    pub reason: Arc<str>,
    /// Where the search among a thread's sessions begins.
    pub start: u32,
}

/// One session as `show sess` lists it.
#[derive(Clone)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Where it came in.
    pub frontend: Arc<Proxy>,
    /// Where it was routed, if it was.
    pub backend: Option<Arc<Proxy>>,
    /// Its server, if it has one.
    pub server: Option<Arc<Server>>,
    /// The client.
    pub client: Peer,
    /// What the client connected to.
    pub local: Peer,
    /// Our address towards the server.
    pub outgoing: Peer,
    /// The server's address.
    pub remote: Peer,
    /// What it is doing.
    pub phase: Phase,
    /// Age in milliseconds.
    pub age_ms: u64,
    /// Milliseconds since the last byte either way.
    pub idle_ms: u64,
    /// Milliseconds until its next timeout, if it has one.
    pub expires_ms: Option<u64>,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// Bytes that wait for the server and for the client to take them.
    pub pending: [usize; 2],
    /// The client has ended its side.
    pub client_ended: bool,
    /// The server has ended its side.
    pub server_ended: bool,
    /// A reload has changed or removed what it goes by.
    pub outdated: bool,
}

/// What a data thread may be told.
pub enum Message {
    /// These listeners from now on; known ones go on as they are.
    Listeners(ListenerSet),
    /// A connection accepted by another thread.
    Accepted(Box<crate::listener::Accepted>),
    /// The wait in a queue ended.
    Queue(SessionId, Answer),
    /// End sessions.
    Kill(Kill),
    /// End some sessions politely.
    Dismiss(Dismissal),
    /// List the sessions.
    Sessions(Box<dyn FnOnce(Vec<SessionView>) + Send>),
    /// Listeners that paused at a limit may try again.
    ResumeAccept,
    /// Somebody watches sessions from now on.
    Watch(Arc<crate::trace::Order>),
    /// And no more.
    Unwatch(u64),
    /// End: sessions still there are closed and logged.
    Stop,
}

/// A data thread as the others see it.
pub struct Mailbox {
    /// Its number.
    pub thread: Thread,
    /// Sessions that it has.
    pub load: AtomicU32,
    /// Turns of its loop.
    pub loops: AtomicU64,
    /// Receives and sends that were made together with those of other sessions.
    pub moves_ahead: AtomicU64,
    /// Time that it spent working rather than waiting, in microseconds.
    pub busy_us: AtomicU64,
    /// It may still accept: it listens, or has not heard yet that it is to stop.
    pub accepts: AtomicBool,
    messages: Mutex<Vec<Message>>,
    signalled: AtomicBool,
    waker: Waker,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({:?})", self.thread)
    }
}

/// The poll token of wake-ups.
pub const WAKE: Token = Token(usize::MAX);

impl Mailbox {
    /// A mailbox that wakes this poll with [`WAKE`].
    pub fn new(thread: Thread, poll: &Poll) -> io::Result<Mailbox> {
        Ok(Mailbox {
            thread,
            load: AtomicU32::new(0),
            loops: AtomicU64::new(0),
            moves_ahead: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            accepts: AtomicBool::new(true),
            messages: Mutex::default(),
            signalled: AtomicBool::new(false),
            waker: Waker::new(poll.registry(), WAKE)?,
        })
    }

    /// Leaves a message and wakes the thread if it was not woken already.
    pub fn post(&self, message: Message) {
        self.messages
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(message);
        if !self.signalled.swap(true, Ordering::AcqRel) {
            // A full eventfd is a wake-up that is still pending.
            let _ = self.waker.wake();
        }
    }

    /// Takes all messages; for the thread itself.
    pub fn take(&self) -> Vec<Message> {
        self.signalled.store(false, Ordering::Release);
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(|e| e.into_inner()))
    }
}
