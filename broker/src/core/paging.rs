//! Bounded memory for messages: beyond a budget only the journal holds them.
//!
//! What waits in a queue counts, and what is out to be acknowledged. The newest go first, for they are delivered last.

use super::journal::{Journal, QueueKey, Reference};
use super::queue::Entry;
use super::vhost::QueueId;
use super::{Core, in_place};

impl Core {
    /// Counts what a queue holds in memory, and lets the journal hold what is too much.
    pub(super) fn page(&mut self, id: QueueId) {
        let budget = self.settings.message_memory;
        let Some(queue) = in_place(&mut self.queues, id) else {
            return;
        };
        let resident = queue.ready.resident();
        self.resident = self.resident + resident - queue.counted;
        queue.counted = resident;
        queue.paged &= !queue.ready.is_empty();
        if self.resident <= budget {
            return;
        }
        let (key, clock) = (queue.key, self.clock);
        let excess = self.resident - budget;
        let freed = queue.ready.let_go(excess, |entry| {
            let wall_ms = match entry.expires_ms {
                0 => 0,
                at => at.saturating_sub(clock.now_ms) + clock.wall_ms,
            };
            let_go(&mut *self.journal, key, entry, wall_ms)
        });
        self.resident -= freed;
        queue.counted -= freed;
        queue.paged |= freed > 0;
    }

    /// A queue is gone: what it held does not count any more.
    pub(super) fn uncount(&mut self, counted: u64) {
        self.resident = self.resident.saturating_sub(counted);
    }
}

/// Makes the journal the only holder of a message; false when it cannot be.
pub(super) fn let_go(
    journal: &mut dyn Journal,
    queue: QueueKey,
    entry: &mut Entry,
    expires_ms: u64,
) -> bool {
    if entry.stored.is_none() {
        let Some(message) = &entry.message else {
            return true;
        };
        let reference = Reference {
            queue,
            seq: entry.seq,
            expires_ms,
        };
        entry.stored = journal.spill(message, reference);
        entry.spilled = entry.stored.is_some();
    }
    if entry.stored.is_none() {
        return false;
    }
    entry.message = None;
    true
}
