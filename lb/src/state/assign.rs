//! A server for a session: the balancer's choice, or a given one, and the
//! slot there or the place in a queue.

use super::slot::serve_waiting;
use super::{Proxy, Runtime, Server, Slot, Ticket, Waiter};
use crate::core::balance::{Servers, Wish};
use crate::core::queue::Priority;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What a session asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// This server, whatever the balancer would say (`use-server`, persistence).
    pub pinned: Option<Arc<Server>>,
    /// Hash of the balancing key.
    pub key: Option<u32>,
    /// The server that just failed.
    pub avoid: Option<Arc<Server>>,
    /// Place in queues.
    pub priority: Priority,
}

/// What it gets.
pub enum Assigned {
    /// A slot: connect.
    Slot(Slot),
    /// A place in the queue of this server, or of the backend.
    Queued(Ticket, Option<Arc<Server>>),
    /// This server and its queue (`maxqueue`) are full.
    Full(Arc<Server>),
    /// No server is usable.
    NoServer,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.name())
    }
}

impl Servers for Vec<Arc<Server>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn weight(&self, index: usize) -> u32 {
        self[index].live.weight()
    }

    fn user_weight(&self, index: usize) -> u32 {
        match self[index].is_usable() {
            true => self[index].status().weight,
            false => 0,
        }
    }

    fn load(&self, index: usize) -> u32 {
        self[index].served.load(Relaxed) + self[index].queue.len() as u32
    }

    fn is_full(&self, index: usize) -> bool {
        self[index].is_full()
    }

    fn is_backup(&self, index: usize) -> bool {
        self[index].conf.backup
    }

    fn id(&self, index: usize) -> u32 {
        self[index].conf.id
    }

    fn epoch(&self) -> u64 {
        self.first().map_or(0, |s| s.backend.epoch.load(Relaxed))
    }
}

impl Server {
    /// Its limit of sessions is reached, or others wait for it.
    pub fn is_full(&self) -> bool {
        match self.slot_limit() {
            None => false,
            Some(limit) => self.served.load(Relaxed) >= limit || !self.queue.is_empty(),
        }
    }
}

impl Proxy {
    /// Finds a server for a session and takes a slot there, or a place in a
    /// queue; `waiter` is told when the wait is over.
    pub fn assign(
        &self,
        runtime: &Runtime,
        request: &Request,
        waiter: impl FnOnce() -> Waiter,
    ) -> Assigned {
        let Some(back) = &self.back else {
            return Assigned::NoServer;
        };
        if let Some(direct) = &self.direct {
            return Assigned::Slot(Slot::take(direct.clone()));
        }
        let chosen = match &request.pinned {
            Some(server) => Some(server.clone()),
            None if !self.is_up() => return Assigned::NoServer,
            None => self.balance(request),
        };
        let enter = |room: &super::slot::WaitingRoom| {
            let serial = runtime.next_serial();
            room.enter(runtime.now_ms(), request.priority, serial, waiter())
        };
        let Some(server) = chosen else {
            let ticket = enter(&back.queue);
            // A slot may have become free between the choice and the queue.
            for server in self.servers.iter().filter(|s| s.is_usable()) {
                serve_waiting(server);
            }
            return Assigned::Queued(ticket, None);
        };
        if let Some(slot) = Slot::try_take(&server) {
            return Assigned::Slot(slot);
        }
        let max = server.conf.maxqueue.unwrap_or(0) as usize;
        if max > 0 && server.queue.len() >= max {
            return Assigned::Full(server);
        }
        let ticket = enter(&server.queue);
        serve_waiting(&server);
        Assigned::Queued(ticket, Some(server))
    }

    fn balance(&self, request: &Request) -> Option<Arc<Server>> {
        let avoid = request
            .avoid
            .as_ref()
            .and_then(|a| self.servers.iter().position(|s| s.is(a)));
        let wish = Wish {
            key: request.key,
            avoid,
        };
        let mut balancer = self
            .balancer
            .as_ref()?
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        let index = balancer.choose(&self.servers, wish)?;
        self.servers.get(index).cloned()
    }

    /// Servers are chosen by a key of the session.
    pub fn is_balanced_by_key(&self) -> bool {
        self.balancer
            .as_ref()
            .is_some_and(|b| b.lock().unwrap_or_else(|e| e.into_inner()).is_by_key())
    }
}
