//! Deadlines: an ordered set, at most a few per connection and queue, so that an idle node sleeps.

use super::connection::State;
use super::frame;
use super::vhost::QueueId;
use super::{Core, in_place};
use std::collections::BTreeSet;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The connection must be open by now, or its close answered.
    Handshake { connection: u32, serial: u64 },
    /// Time to send a heartbeat or to notice that none came.
    Heartbeat { connection: u32, serial: u64 },
    /// The queue's first message expires.
    Message(QueueId),
    /// The queue has been unused for long enough to be deleted.
    Unused(QueueId),
    /// Look for deliveries that have been out too long.
    Deliveries,
}

/// A client is gone when it was silent for so many halves of the heartbeat interval.
const MISSED_AT_MOST: u8 = 5;

/// Deadlines on the engine's clock, soonest first.
#[derive(Debug, Default)]
pub struct Timers(BTreeSet<(u64, Timer)>);

impl Timers {
    pub fn set(&mut self, at_ms: u64, timer: Timer) {
        self.0.insert((at_ms, timer));
    }

    pub fn clear(&mut self, at_ms: u64, timer: Timer) {
        self.0.remove(&(at_ms, timer));
    }

    fn next_due(&mut self, now_ms: u64) -> Option<Timer> {
        let first = *self.0.first()?;
        if first.0 > now_ms {
            return None;
        }
        self.0.remove(&first);
        Some(first.1)
    }

    fn first_ms(&self) -> Option<u64> {
        self.0.first().map(|(at, _)| *at)
    }
}

/// How often deliveries are looked over for the consumer timeout.
const DELIVERIES_EVERY_MS: u64 = 10_000;

impl Core {
    /// When the engine next has something to do by itself, on its own clock.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.timers.first_ms()
    }

    pub(super) fn run_timers(&mut self) {
        while let Some(timer) = self.timers.next_due(self.clock.now_ms) {
            match timer {
                Timer::Handshake { connection, serial } => {
                    self.handshake_overdue(connection, serial)
                }
                Timer::Heartbeat { connection, serial } => self.heartbeat(connection, serial),
                Timer::Message(id) => {
                    if let Some(queue) = self.queue_mut(id) {
                        queue.expiry_timer_ms = 0;
                    }
                    self.schedule(id);
                }
                Timer::Unused(id) => self.queue_unused(id),
                Timer::Deliveries => self.look_over_deliveries(),
            }
        }
    }

    /// Starts the periodic work; called once.
    pub fn start(&mut self) {
        self.timers
            .set(self.clock.now_ms + DELIVERIES_EVERY_MS, Timer::Deliveries);
    }

    fn handshake_overdue(&mut self, index: u32, serial: u64) {
        let Some(connection) = self
            .connections
            .get(index as usize)
            .filter(|c| c.serial == serial)
        else {
            return;
        };
        if connection.state != State::Running {
            if !matches!(
                connection.state,
                State::Closing | State::Closed | State::Refused
            ) {
                tracing::warn!(peer = %connection.peer.address, state = ?connection.state, "handshake timed out");
            }
            self.hang_up(index);
        }
    }

    /// Something has come from a client, whether it is read now or later: it is not silent.
    #[inline]
    pub fn heard(&mut self, index: u32) {
        if let Some(connection) = self.connections.get_mut(index as usize) {
            connection.received_ms = self.clock.now_ms;
        }
    }

    /// Sends a heartbeat after half the interval without output, hangs up after two and a half without input.
    /// Who is held back is not heard, and so not silent.
    fn heartbeat(&mut self, index: u32, serial: u64) {
        let now_ms = self.clock.now_ms;
        let connection = self.connections.get(index as usize);
        let Some(connection) = connection.filter(|c| c.serial == serial) else {
            return;
        };
        let unread = self.leaves_unread(connection);
        let connection = &mut self.connections[index as usize];
        if unread {
            // its silence counts from when it is read again
            connection.received_ms = now_ms;
        }
        let interval_ms = u64::from(connection.heartbeat_s) * 1000;
        if interval_ms == 0 || connection.state == State::Closed {
            return;
        }
        let silent_ms = now_ms.saturating_sub(connection.received_ms);
        // a clock that jumps, because this process stood still and read nothing, is one look
        connection.missed = match silent_ms >= interval_ms / 2 {
            true => connection.missed + 1,
            false => 0,
        };
        if connection.missed >= MISSED_AT_MOST {
            tracing::warn!(
                name = connection.peer.name(),
                silent_ms,
                "closing: missed heartbeats from client"
            );
            self.hang_up(index);
            return;
        }
        if connection.output.is_empty()
            && now_ms.saturating_sub(connection.sent_ms) + 50 >= interval_ms / 2
        {
            connection
                .output
                .buffer()
                .extend_from_slice(&frame::HEARTBEAT_FRAME);
            connection.counters.sent_frames += 1;
            connection.sent_ms = now_ms;
            self.touch(index);
        }
        let timer = Timer::Heartbeat {
            connection: index,
            serial,
        };
        self.timers.set(now_ms + (interval_ms / 2).max(1), timer);
        let connection = &mut self.connections[index as usize];
        connection.output.release();
    }

    fn look_over_deliveries(&mut self) {
        self.timers
            .set(self.clock.now_ms + DELIVERIES_EVERY_MS, Timer::Deliveries);
        self.close_overdue_channels();
    }

    /// Enters or moves the timer of a queue's first expiry.
    pub(super) fn arm_expiry(&mut self, id: QueueId) {
        let Some(queue) = in_place(&mut self.queues, id) else {
            return;
        };
        let due = queue.ready.next_expiry_ms().unwrap_or(0);
        if due == queue.expiry_timer_ms {
            return;
        }
        if queue.expiry_timer_ms != 0 {
            self.timers.clear(queue.expiry_timer_ms, Timer::Message(id));
        }
        queue.expiry_timer_ms = due;
        if due != 0 {
            self.timers.set(due, Timer::Message(id));
        }
    }

    /// Enters the timer of a queue that is deleted when unused.
    pub(super) fn arm_unused(&mut self, id: QueueId) {
        let now_ms = self.clock.now_ms;
        let Some(queue) = in_place(&mut self.queues, id) else {
            return;
        };
        if queue.unused_timer_ms != 0 {
            self.timers.clear(queue.unused_timer_ms, Timer::Unused(id));
            queue.unused_timer_ms = 0;
        }
        if let (Some(expires_ms), true) = (queue.settings.expires_ms, queue.consumers.is_empty()) {
            let due = (queue.used_ms + expires_ms).max(now_ms + 1);
            queue.unused_timer_ms = due;
            self.timers.set(due, Timer::Unused(id));
        }
    }

    fn queue_unused(&mut self, id: QueueId) {
        let now_ms = self.clock.now_ms;
        let Some(queue) = self.queue_mut(id) else {
            return;
        };
        queue.unused_timer_ms = 0;
        let Some(expires_ms) = queue.settings.expires_ms else {
            return;
        };
        if !queue.consumers.is_empty() {
            return;
        }
        if queue.used_ms + expires_ms > now_ms {
            self.arm_unused(id);
            return;
        }
        let (vhost, name) = (queue.vhost.to_string(), queue.name.to_string());
        tracing::info!(vhost, queue = name, "queue expired: unused");
        self.execute(super::metadata::Command::DeleteQueue { vhost, name });
    }
}
