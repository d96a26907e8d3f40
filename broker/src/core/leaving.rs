//! Ready messages that leave by a purge or with their queue, when they are so many that others would have to wait for them.
//!
//! They are gone at once for everybody who looks; that the journal hears of each, and that its memory is given back, is
//! done for so many in a turn. A node that dies before that finds those of a purge again, as it finds again what was
//! acknowledged in the last moment; those of a deleted queue it settles when it starts.

use super::Core;
use super::journal::QueueKey;
use super::queue::Ready;
use std::collections::VecDeque;

/// Messages that one turn lets go.
pub(super) const LEAVING: usize = 4096;

/// What has left and is still to be settled, by the queues that it was in.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    queues: VecDeque<(QueueKey, Ready)>,
}

impl Leaving {
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}

impl Core {
    /// Lets go what was ready in a queue: few messages at once, many in the turns to come.
    pub(super) fn let_go(&mut self, key: QueueKey, mut ready: Ready) {
        if ready.len() <= LEAVING {
            self.settle_some(key, &mut ready, LEAVING);
        } else {
            self.leaving.queues.push_back((key, ready));
        }
    }

    /// Settles as many as a turn may.
    pub(super) fn let_some_go(&mut self) {
        let mut left = LEAVING;
        while left > 0
            && let Some((key, mut ready)) = self.leaving.queues.pop_front()
        {
            left -= self.settle_some(key, &mut ready, left);
            if !ready.is_empty() {
                self.leaving.queues.push_front((key, ready));
            }
        }
    }

    /// Settles all that has left, for the node stops.
    pub fn let_all_go(&mut self) {
        while !self.leaving.is_empty() {
            self.let_some_go();
        }
    }

    /// Settles the first `most` of them; answers how many there were.
    fn settle_some(&mut self, key: QueueKey, ready: &mut Ready, most: usize) -> usize {
        let mut count = 0;
        let mut stored = Vec::new();
        while count < most
            && let Some(entry) = ready.pop()
        {
            count += 1;
            stored.extend(entry.stored.map(|stored| (entry.seq, stored)));
        }
        if !stored.is_empty() {
            self.journal.purge(key, &stored);
        }
        count
    }
}
