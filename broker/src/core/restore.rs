//! Puts back what a start found in the journal.

use super::Core;
use super::journal::{Kept, QueueKey};
use super::queue::Entry;
use std::collections::HashMap;

impl Core {
    /// Gives queues the messages that the journal kept, all to be flagged as redelivered; answers how many.
    ///
    /// `last_seqs` are the places that the journal says anything of: they are not given out again. Messages of queues
    /// that are not there any more are settled.
    pub fn restore(
        &mut self,
        mut messages: HashMap<QueueKey, Vec<Kept>>,
        last_seqs: &HashMap<QueueKey, u64>,
    ) -> usize {
        let highest = last_seqs.keys().chain(messages.keys()).max();
        if let Some(highest) = highest {
            self.metadata.skip_keys(*highest);
        }
        let mut count = 0;
        let ids: Vec<_> = self.queues().map(|queue| (queue.key, queue.id)).collect();
        for (key, id) in ids {
            let Some(queue) = self.queue_mut(id) else {
                continue;
            };
            if let Some(&last) = last_seqs.get(&key) {
                queue.skip_seqs(last);
            }
            let Some(kept) = messages.remove(&key) else {
                continue;
            };
            count += kept.len();
            let clock = self.clock;
            let Some(queue) = self.queue_mut(id) else {
                continue;
            };
            let most = queue.settings.max_priority;
            queue.persistent += kept.len();
            if most == 0 {
                queue.ready.reserve(kept.len());
            }
            for message in kept {
                queue.skip_seqs(message.seq);
                let expires_ms = match message.expires_ms {
                    0 => 0,
                    at => (at.saturating_sub(clock.wall_ms) + clock.now_ms).max(1),
                };
                queue.ready.push(Entry {
                    seq: message.seq,
                    message: None,
                    stored: Some(message.stored),
                    spilled: false,
                    expires_ms,
                    returns: message.returns,
                    size: message.size,
                    priority: message.priority.min(most),
                    redelivered: true,
                });
            }
            self.schedule(id);
        }
        for (key, orphans) in messages {
            for orphan in orphans {
                self.journal.settle(key, orphan.seq, orphan.stored);
            }
            self.journal.forget(key);
        }
        count
    }
}
