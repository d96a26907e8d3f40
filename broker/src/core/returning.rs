//! Deliveries that go back to their queues, when they are so many that others would have to wait for them.
//!
//! A turn takes back so many, of whichever channels, and the rest stands in line. A queue that waits for such ones rests:
//! nothing is taken from it before all are in their old places, so that its order stays. They count as unacknowledged
//! until then; who asks how many it has ready is told what will be.

use super::Core;
use super::channel::{Held, Unacked};
use super::connection::At;
use super::queue::Queue;
use super::vhost::QueueId;

/// Deliveries that one turn takes back.
pub(super) const RETURNED: usize = 4096;

/// What is on its way back from one channel.
#[derive(Debug)]
pub(super) struct Returning {
    /// The channel, as long as it is open.
    at: Option<At>,
    held: Unacked,
}

impl Returning {
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        self.held.iter_mut()
    }
}

impl Core {
    /// Gives deliveries of a channel back to their queues, the last first: at once, or in the turns to come.
    pub(super) fn give_back(&mut self, at: At, mut returned: Unacked) {
        if let Some(left) = self.takes_back.checked_sub(returned.len()) {
            self.takes_back = left;
            self.give_back_at_once(at, std::iter::from_fn(|| returned.take_last()));
            return;
        }
        self.begin_returns(&returned);
        self.returning.push_back(Returning {
            at: Some(at),
            held: returned,
        });
    }

    fn begin_returns(&mut self, returned: &Unacked) {
        let mut held = returned.iter().peekable();
        while let Some(first) = held.next() {
            let (mut count, mut bytes) = (1, u64::from(first.entry.size));
            while let Some(next) = held.next_if(|next| next.queue == first.queue) {
                count += 1;
                bytes += u64::from(next.entry.size);
            }
            self.begin_return(first.queue, count, bytes);
        }
    }

    /// The queue rests until so many more are back. What waits there for a free consumer is served before, where it would
    /// make way for what comes back.
    fn begin_return(&mut self, id: QueueId, count: usize, bytes: u64) {
        let resting = self.queue(id).is_some_and(Queue::rests);
        if !resting && self.queue(id).is_some_and(Queue::drops_returned) {
            self.run_queue(id);
        }
        if let Some(queue) = self.queue_mut(id) {
            queue.returning += count;
            queue.returning_bytes += bytes;
        }
    }

    /// Takes back as many as a turn may.
    pub(super) fn take_some_back(&mut self) {
        self.takes_back = RETURNED;
        while self.takes_back > 0 && self.take_next_back() {
            self.takes_back -= 1;
        }
    }

    /// Takes back everything that is on its way, for the node stops.
    pub fn take_all_back(&mut self) {
        while self.take_next_back() {}
    }

    /// Takes back at once what a queue waits for, for somebody who cannot wait.
    pub(super) fn take_back_all_of(&mut self, id: QueueId) {
        while self.queue(id).is_some_and(Queue::rests) && self.take_next_back() {}
    }

    /// Takes back the next delivery; whether there was one.
    fn take_next_back(&mut self) -> bool {
        while let Some(first) = self.returning.front_mut() {
            if let Some(held) = first.held.take_last() {
                let at = first.at;
                self.take_back(at, held);
                return true;
            }
            self.returning.pop_front();
            // of a queue that has gone they come to nothing, and who waits for it is to hear of that
            self.resume_gets();
        }
        false
    }

    fn take_back(&mut self, at: Option<At>, held: Held) {
        let (id, size) = (held.queue, u64::from(held.entry.size));
        if let Some(at) = at {
            self.free_room(at, &held);
        }
        self.put_back(held);
        let Some(queue) = self.queue_mut(id) else {
            return;
        };
        queue.returning -= 1;
        queue.returning_bytes -= size;
        if !queue.rests() {
            self.end_rest(id);
        }
    }

    /// All are back: what is too much goes before consumers are served.
    fn end_rest(&mut self, id: QueueId) {
        if self.queue(id).is_some_and(Queue::drops_returned) {
            self.drop_excess(id);
        }
        self.schedule(id);
        self.resume_gets();
    }

    /// The channel ends: what is on its way back from there makes room for nobody.
    pub(super) fn forget_returning(&mut self, at: At) {
        for returning in &mut self.returning {
            returning.at.take_if(|of| *of == at);
        }
    }
}
