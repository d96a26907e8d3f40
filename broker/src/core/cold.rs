//! Messages that only the disk has: nobody but those who want them waits for it.
//!
//! A queue whose next message is not in memory is left alone until the journal has read it beside; a `basic.get` holds
//! its own connection until then. Everybody else is served meanwhile.

use super::journal::Stored;
use super::queue::{Entry, Queue};
use super::vhost::QueueId;
use super::{Core, Effect};

impl Core {
    /// Whether the queue's next message can be had without waiting for the disk, or for what is on its way back. When
    /// not, the queue is run again once it was read.
    pub(super) fn is_next_at_hand(&mut self, id: QueueId) -> bool {
        if self.queue(id).is_some_and(Queue::rests) {
            return false;
        }
        let front = self.queue(id).and_then(|queue| queue.ready.front());
        front
            .and_then(Entry::cold)
            .is_none_or(|stored| self.is_at_hand(id, stored))
    }

    /// The same for any message of the queue that only the journal has.
    pub(super) fn is_at_hand(&mut self, id: QueueId, stored: Stored) -> bool {
        if self.journal.at_hand(stored) {
            return true;
        }
        if let Some(queue) = self.queue_mut(id)
            && !queue.reading
        {
            queue.reading = true;
            self.reading.push(id);
        }
        false
    }

    /// Holds a connection whose `basic.get` waits for its message: its bytes are given again later.
    pub(super) fn hold_get(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if !connection.getting {
            connection.getting = true;
            self.getting.push((index, connection.serial));
        }
    }

    /// Lets everything go on that waited for the disk, when something came from there.
    pub(super) fn take_arrived(&mut self) {
        if (self.reading.is_empty() && self.getting.is_empty()) || !self.journal.arrived() {
            return;
        }
        // the last one scheduled runs first: the longest waiting is to ask first for what it lacks
        for id in std::mem::take(&mut self.reading).into_iter().rev() {
            if let Some(queue) = self.queue_mut(id) {
                queue.reading = false;
            }
            self.schedule(id);
        }
        self.resume_gets();
    }

    /// Lets those try again whose `basic.get` waits.
    pub(super) fn resume_gets(&mut self) {
        for (index, serial) in std::mem::take(&mut self.getting) {
            if let Some(connection) = self.connections.get_mut(index as usize)
                && connection.serial == serial
            {
                connection.getting = false;
                self.effects.push(Effect::Resume { connection: index });
            }
        }
    }
}
