//! The one way in which a server's state changes.

use super::slot::{redistribute, serve_waiting};
use super::{Cause, Endpoint, Kill, Proxy, Runtime, Server, Victims};
use crate::core::server::{Admin, Change, Operation, Status, Transition};
use std::sync::Arc;

/// A change of a server's state, told to [`super::Hooks::on_change`].
pub struct StateChange {
    /// The server's backend.
    pub backend: Arc<Proxy>,
    /// The server.
    pub server: Arc<Server>,
    /// From and to.
    pub transition: Transition,
    /// What asked for it.
    pub change: Change,
    /// Why, in the words of who asked: a check's result, `via <be>/<srv>`.
    pub reason: String,
    /// Usable servers left that are not backups.
    pub active: u32,
    /// Usable backup servers left.
    pub backups: u32,
    /// Sessions that the server had.
    pub sessions: u32,
    /// Sessions that moved from a queue because of this.
    pub requeued: usize,
    /// Sessions that wait in the backend's queue now.
    pub waiting: usize,
    /// This took the backend's last usable server.
    pub backend_down: bool,
}

/// States that an operator or an agent puts a server into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Administered {
    /// Neither maintenance nor drain.
    Ready,
    /// No new sessions.
    Drain,
    /// Maintenance.
    Maint,
}

/// The kinds of maintenance that an operator ends.
pub const ENDED_BY_OPERATORS: Admin = Admin(Admin::FORCED_MAINT.0 | Admin::CONFIG_MAINT.0);

impl Runtime {
    /// Puts a server into an administrative state.
    pub fn administer(&self, server: &Arc<Server>, state: Administered) {
        match state {
            Administered::Ready => {
                self.change(server, Change::Clear(Admin::FORCED_DRAIN), "");
                self.change(server, Change::Clear(ENDED_BY_OPERATORS), "");
            }
            Administered::Drain => {
                self.change(server, Change::Set(Admin::FORCED_DRAIN), "");
                self.change(server, Change::Clear(ENDED_BY_OPERATORS), "");
            }
            Administered::Maint => {
                self.change(server, Change::Set(Admin::FORCED_MAINT), "");
                self.change(server, Change::Clear(Admin::FORCED_DRAIN), "");
            }
        }
    }

    /// Gives a server another address; one that waited for any is released.
    pub fn relocate(&self, server: &Arc<Server>, endpoint: Endpoint) {
        server.set_endpoint(endpoint);
        self.release(server);
    }

    /// Ends a maintenance whose reason is gone: a name without an address, a `disabled` that the
    /// file had.
    pub fn release(&self, server: &Arc<Server>) {
        let admin = server.status().admin;
        if admin.has(Admin::UNRESOLVED) && *server.endpoint() != Endpoint::Unresolved {
            self.change(server, Change::Clear(Admin::UNRESOLVED), "");
        }
        if admin.has(Admin::CONFIG_MAINT) && !server.conf.disabled {
            self.change(server, Change::Clear(Admin::CONFIG_MAINT), "");
        }
    }

    /// Changes a server's state or weight, with everything that must follow.
    /// False: nothing changed.
    pub fn change(&self, server: &Arc<Server>, change: Change, reason: &str) -> bool {
        let now_ms = self.now_ms();
        let weight = server.weight();
        let transition = {
            let mut status = server.status();
            server.live.rest_or_wake(status.admin, change);
            let healthy = server.is_healthy();
            let transition = status.apply(now_ms, change, healthy);
            server.live.mirror(&status, now_ms);
            transition
        };
        let Some(backend) = server.proxy() else {
            return false;
        };
        if server.weight() != weight || transition.is_some() {
            self.follow(&backend, server, change, transition.clone(), reason);
        }
        if let Some(transition) = transition {
            self.pass_on(server, &transition, reason);
            return true;
        }
        server.weight() != weight
    }

    fn follow(
        &self,
        backend: &Arc<Proxy>,
        server: &Arc<Server>,
        change: Change,
        transition: Option<Transition>,
        reason: &str,
    ) {
        let (before, after) = backend.count_usable(self.now_ms());
        let mut requeued = 0;
        let sessions = server.sessions.get();
        if let Some(transition) = &transition {
            if transition.went_down() {
                if matches!(change, Change::Down | Change::Set(_)) {
                    server.counters.shared().went_down.add_shared(1);
                }
                if server.conf.on_marked_down_shutdown {
                    self.kill(&Kill {
                        victims: Victims::OfServer(server.live.clone()),
                        cause: Cause::Down,
                    });
                }
                requeued = redistribute(server);
            }
            if transition.came_up() && server.conf.on_marked_up_shutdown_backup {
                self.kill(&Kill {
                    victims: Victims::OfBackups(backend.name().to_owned()),
                    cause: Cause::Up,
                });
            }
        }
        if server.is_usable() {
            requeued += serve_waiting(server);
        }
        let (Some(transition), Some(tell)) = (transition, self.hooks.on_change.get()) else {
            return;
        };
        tell(&StateChange {
            backend: backend.clone(),
            server: server.clone(),
            transition,
            change,
            reason: reason.to_owned(),
            active: after.0,
            backups: after.1,
            sessions,
            requeued,
            waiting: backend.waiting(),
            backend_down: before != (0, 0) && after == (0, 0),
        });
    }

    /// Servers that track this one follow it.
    fn pass_on(&self, server: &Arc<Server>, transition: &Transition, reason: &str) {
        for tracker in server.trackers() {
            for change in inherited(transition) {
                self.change(&tracker, change, reason);
            }
        }
    }

    /// Lets the weights of starting servers grow; call it every second.
    pub fn tick(&self) {
        let now_ms = self.now_ms();
        for (backend, server) in self.generation().servers() {
            let starting = server.status().operation == Operation::Starting;
            if starting && !self.change(server, Change::Tick, "") {
                let status: Status = server.status().clone();
                server.live.mirror(&status, now_ms);
                backend.count_usable(now_ms);
            }
        }
    }
}

/// What a tracking server does after its tracked server's transition.
fn inherited(transition: &Transition) -> Vec<Change> {
    let mut changes = Vec::new();
    let (from, to) = (transition.from.1, transition.to.1);
    match (from.in_maintenance(), to.in_maintenance()) {
        (false, true) => changes.push(Change::Set(Admin::INHERITED_MAINT)),
        (true, false) => changes.push(Change::Clear(Admin::INHERITED_MAINT)),
        (true, true) | (false, false) => {}
    }
    match (from.in_drain(), to.in_drain()) {
        (false, true) => changes.push(Change::Set(Admin::INHERITED_DRAIN)),
        (true, false) => changes.push(Change::Clear(Admin::INHERITED_DRAIN)),
        (true, true) | (false, false) => {}
    }
    if to.in_maintenance() {
        return changes;
    }
    match transition.to.0 {
        Operation::Stopped => changes.push(Change::Down),
        Operation::Starting | Operation::Running => changes.push(Change::Up),
        Operation::Stopping => changes.push(Change::Stopping),
    }
    changes
}

#[cfg(test)]
mod tests;
