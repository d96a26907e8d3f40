//! Slots at servers and the sessions that wait for one: `maxconn`, queues.

use super::{BackLive, Mailbox, Message, Server, SessionId};
use crate::core::queue::{Place, Priority, Queue};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// A session's place at a server; given back when dropped, and then the next
/// session that waits gets it.
pub struct Slot {
    server: Arc<Server>,
}

/// Somebody who waits for a slot.
pub enum Waiter {
    /// A session of a data thread.
    Session(Arc<Mailbox>, SessionId),
    /// Anybody else.
    Other(Box<dyn FnOnce(Answer) + Send>),
}

/// How waiting ends.
pub enum Answer {
    /// Go on with this slot.
    Granted(Slot),
    /// The server is gone: choose again.
    Redistribute,
}

/// Place in a queue, to leave it early.
pub struct Ticket {
    place: Place,
    room: Weak<dyn Room>,
    served_before: u32,
    /// Sessions that waited in the same queue already.
    pub ahead: u32,
}

trait Room: Send + Sync {
    fn served(&self) -> u32;
    fn leave(&self, place: Place) -> bool;
}

/// A queue with its length beside it.
#[derive(Default)]
pub struct WaitingRoom {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: Mutex<Queue<Waiter>>,
    len: AtomicU32,
    max: AtomicU32,
    /// Sessions that left with a slot.
    served: AtomicU32,
}

impl std::fmt::Debug for WaitingRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitingRoom({})", self.len())
    }
}

impl Room for Inner {
    fn served(&self) -> u32 {
        self.served.load(Relaxed)
    }

    fn leave(&self, place: Place) -> bool {
        let mut queue = self.lock();
        let was_there = queue.remove(place).is_some();
        self.len.store(queue.len() as u32, Relaxed);
        was_there
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue<Waiter>> {
        self.queue.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl WaitingRoom {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.inner.len.load(Relaxed) as usize
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most that waited at once.
    pub fn max(&self) -> u32 {
        self.inner.max.load(Relaxed)
    }

    /// So many waited in another process.
    pub fn raise_max(&self, max: u32) {
        self.inner.max.fetch_max(max, Relaxed);
    }

    /// Forgets the most.
    pub fn clear_max(&self) {
        self.inner.max.store(self.len() as u32, Relaxed);
    }

    /// Waits here; `serial` from `Runtime::next_serial`.
    pub fn enter(&self, now_ms: u64, priority: Priority, serial: u64, waiter: Waiter) -> Ticket {
        let mut queue = self.inner.lock();
        let ahead = queue.len() as u32;
        let place = queue.push(now_ms, priority, serial, waiter);
        self.inner.len.store(ahead + 1, Relaxed);
        self.inner.max.fetch_max(ahead + 1, Relaxed);
        let room: Weak<Inner> = Arc::downgrade(&self.inner);
        Ticket {
            place,
            room,
            served_before: self.inner.served.load(Relaxed),
            ahead,
        }
    }

    fn first(&self) -> Option<Place> {
        if self.is_empty() {
            return None;
        }
        self.inner.lock().first()
    }

    fn pop(&self) -> Option<Waiter> {
        let mut queue = self.inner.lock();
        let waiter = queue.pop();
        if waiter.is_some() {
            self.inner.served.fetch_add(1, Relaxed);
        }
        self.inner.len.store(queue.len() as u32, Relaxed);
        waiter
    }

    fn drain(&self) -> Vec<Waiter> {
        let mut queue = self.inner.lock();
        self.inner.len.store(0, Relaxed);
        queue.drain()
    }
}

impl Ticket {
    /// Sessions that this queue has served since the ticket was taken.
    pub fn passed(&self) -> u32 {
        let served = self.room.upgrade().map(|r| r.served());
        served.map_or(0, |served| served.wrapping_sub(self.served_before))
    }

    /// Leaves the queue; false if the wait had ended already: the answer is on
    /// its way.
    pub fn leave(&self) -> bool {
        self.room.upgrade().is_some_and(|r| r.leave(self.place))
    }
}

impl Waiter {
    fn answer(self, answer: Answer) {
        match self {
            Waiter::Session(mailbox, id) => mailbox.post(Message::Queue(id, answer)),
            Waiter::Other(call) => call(answer),
        }
    }
}

impl Slot {
    /// Takes a slot of the server whatever its limit is.
    pub fn take(server: Arc<Server>) -> Slot {
        server.served.fetch_add(1, Relaxed);
        Slot { server }
    }

    /// Takes a slot if the limit allows one more and nobody waits before us.
    pub fn try_take(server: &Arc<Server>) -> Option<Slot> {
        if server.slot_limit().is_some() && !server.queue.is_empty() {
            return None;
        }
        reserve(server).then(|| Slot {
            server: server.clone(),
        })
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

fn reserve(server: &Server) -> bool {
    let limit = server.slot_limit().unwrap_or(u32::MAX);
    let one_more = |served: u32| (served < limit).then_some(served + 1);
    server
        .served
        .fetch_update(Relaxed, Relaxed, one_more)
        .is_ok()
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.server.served.fetch_sub(1, Relaxed);
        if !self.server.queue.is_empty() || !self.server.backend.queue.is_empty() {
            serve_waiting(&self.server);
        }
    }
}

/// Gives free slots of the server to those who wait for it or for any server
/// of its backend; gives how many got one.
pub fn serve_waiting(server: &Arc<Server>) -> usize {
    let mut served = 0;
    while let Some(room) = next_room(server, &server.backend) {
        if !reserve(server) {
            break;
        }
        let Some(waiter) = room.pop() else {
            server.served.fetch_sub(1, Relaxed);
            continue;
        };
        waiter.answer(Answer::Granted(Slot {
            server: server.clone(),
        }));
        served += 1;
    }
    served
}

fn next_room<'a>(server: &'a Server, backend: &'a BackLive) -> Option<&'a WaitingRoom> {
    let own = server.queue.first();
    let shared = match server.is_usable() {
        true => backend.queue.first(),
        false => None,
    };
    match (own, shared) {
        (Some(own), Some(shared)) if shared.before(own) => Some(&backend.queue),
        (Some(_), _) => Some(&server.queue),
        (None, Some(_)) => Some(&backend.queue),
        (None, None) => None,
    }
}

/// Everybody who waits for this server chooses again; gives how many.
pub fn redistribute(server: &Server) -> usize {
    let waiting = server.queue.drain();
    let count = waiting.len();
    for waiter in waiting {
        waiter.answer(Answer::Redistribute);
    }
    count
}
