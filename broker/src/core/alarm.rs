//! Resource alarms: while one is set, connections that publish are not read and are told why.

use super::Core;
use super::connection::{At, Connection, State};
use super::journal::Congestion;
use super::method::Method;

/// What may run short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    Memory,
    Disk,
}

/// What is short now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarms {
    pub memory: bool,
    pub disk: bool,
}

impl Alarms {
    pub fn any(self) -> bool {
        self.memory || self.disk
    }

    fn reason(self) -> &'static str {
        match (self.memory, self.disk) {
            (true, true) => "low on memory & disk",
            (true, false) => "low on memory",
            (false, _) => "low on disk",
        }
    }
}

impl Core {
    /// Sets or clears an alarm; clients that asked to know are told.
    pub fn set_alarm(&mut self, alarm: Alarm, on: bool) {
        let before = self.alarms;
        match alarm {
            Alarm::Memory => self.alarms.memory = on,
            Alarm::Disk => self.alarms.disk = on,
        }
        if self.alarms == before {
            return;
        }
        tracing::warn!(?alarm, on, "resource alarm changed");
        self.journal.short_of_space(self.alarms.disk);
        for index in self.connection_indexes() {
            self.tell_blocked(index);
        }
    }

    /// The connection publishes: alarms hold it back from now on.
    #[inline]
    pub(super) fn note_publisher(&mut self, at: At) {
        let connection = &mut self.connections[at.connection as usize];
        if !connection.publishes {
            connection.publishes = true;
            self.tell_blocked(at.connection);
        }
    }

    /// Tells a publishing connection whether it is blocked, when that has changed.
    pub(super) fn tell_blocked(&mut self, index: u32) {
        let blocked = self.alarms.any();
        let connection = &mut self.connections[index as usize];
        if connection.state != State::Running
            || !connection.publishes
            || connection.told_blocked == blocked
        {
            return;
        }
        connection.told_blocked = blocked;
        if !connection.capabilities.connection_blocked {
            return;
        }
        let method = match blocked {
            true => Method::ConnectionBlocked {
                reason: self.alarms.reason(),
            },
            false => Method::ConnectionUnblocked,
        };
        self.send(index, 0, &method);
    }

    /// Whether the journal is too far behind for this publisher: for one whose own messages it has not written yet, for
    /// all when there is much too much.
    fn must_wait(&self, connection: &Connection) -> bool {
        match self.journal.congestion() {
            Congestion::None => false,
            Congestion::Some => connection.journaled > self.journal.written(),
            Congestion::Much => true,
        }
    }

    /// Whether the connection's socket should be read now.
    pub fn wants_input(&self, index: u32) -> bool {
        let Some(connection) = self.connections.get(index as usize) else {
            return false;
        };
        !self.leaves_unread(connection) && connection.output.len() < super::deliver::OUTPUT_STOP
    }

    /// Whether the connection's socket is not read for a reason of ours: nothing that it sends, heartbeats either, is seen.
    pub(super) fn leaves_unread(&self, connection: &Connection) -> bool {
        let held_back = connection.publishes && (self.alarms.any() || self.must_wait(connection));
        connection.state == State::Verifying || connection.is_held() || held_back
    }
}
