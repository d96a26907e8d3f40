//! The way into the engine from other threads: a closure that runs on the core thread.
//!
//! The queue of closures is bounded; a caller that finds it full is told so instead of growing it. Each closure runs
//! between two turns of the loop, so it must be short: long lists are gathered as plain data and formatted outside.
//! The answer of one that changed what must survive a restart is held back until the change is on the disk.

use crate::core::Core;
use crate::core::journal::Position;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// How many closures may wait at once.
const CAPACITY: usize = 1024;

type Job = Box<dyn FnOnce(&mut Core) -> Option<Late> + Send>;

/// An answer that waits for the journal.
struct Late {
    after: Position,
    tell: Box<dyn FnOnce() + Send>,
}

/// Wakes the core thread out of its poll.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A cloneable way to run closures on the core thread.
#[derive(Clone)]
pub struct Handle {
    jobs: SyncSender<Job>,
    wake: Wake,
}

/// The core thread's end.
pub struct Jobs {
    waiting: Receiver<Job>,
    /// In the journal's order.
    late: VecDeque<Late>,
}

/// Why a closure did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleError {
    /// Too many closures wait already.
    Busy,
    /// The broker is stopping.
    Stopped,
}

impl std::fmt::Display for HandleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            HandleError::Busy => "the broker is too busy to answer",
            HandleError::Stopped => "the broker is stopping",
        })
    }
}

impl std::error::Error for HandleError {}

/// A handle and the end that the core thread drains.
pub fn handle(wake: Wake) -> (Handle, Jobs) {
    let (jobs, receiver) = sync_channel(CAPACITY);
    let jobs_end = Jobs {
        waiting: receiver,
        late: VecDeque::new(),
    };
    (Handle { jobs, wake }, jobs_end)
}

impl Handle {
    /// Runs `action` on the core thread; the answer arrives when it has, and what it changed is on the disk.
    pub fn start<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<oneshot::Receiver<R>, HandleError> {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |core| {
            core.begin_request();
            let made = action(core);
            let Some(after) = core.answer_waits_for() else {
                drop(answer.send(made));
                return None;
            };
            let tell = Box::new(move || drop(answer.send(made)));
            Some(Late { after, tell })
        });
        match self.jobs.try_send(job) {
            Ok(()) => (self.wake)(),
            Err(TrySendError::Full(_)) => return Err(HandleError::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(HandleError::Stopped),
        }
        Ok(receiver)
    }

    /// Runs `action` on the core thread and waits for its answer.
    pub async fn with<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        self.start(action)?.await.map_err(|_| HandleError::Stopped)
    }

    /// The same for a thread that may block.
    pub fn with_blocking<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        self.start(action)?
            .blocking_recv()
            .map_err(|_| HandleError::Stopped)
    }
}

impl Jobs {
    /// Runs what waits now, at most a queueful. What is asked because of an answer waits for the next turn: this one has
    /// yet to deliver, and to hold queues to their limits.
    pub fn run(&mut self, core: &mut Core) -> usize {
        let waiting: Vec<Job> = self.waiting.try_iter().take(CAPACITY).collect();
        let count = waiting.len();
        self.late
            .extend(waiting.into_iter().filter_map(|job| job(core)));
        count
    }

    /// Gives the answers whose changes are on the disk by now.
    pub fn tell_late(&mut self, core: &Core) {
        if self.late.is_empty() {
            return;
        }
        let durable = core.journal.durable();
        let is_due = |late: &Late| late.after <= durable;
        while self.late.front().is_some_and(is_due)
            && let Some(late) = self.late.pop_front()
        {
            (late.tell)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::journal::Volatile;
    use crate::core::settings::Settings;

    #[test]
    fn what_is_asked_because_of_an_answer_waits_for_the_next_turn() {
        let mut core = Core::new(Settings::default(), Box::new(Volatile), [0; 32]);
        let (handle, mut jobs) = handle(Arc::new(|| {}));
        let asking = handle.clone();
        let first = handle.start(move |_| asking.start(|_| ()));
        assert_eq!(jobs.run(&mut core), 1);
        let mut asked = first
            .expect("room")
            .try_recv()
            .expect("an answer")
            .expect("room");
        assert!(asked.try_recv().is_err(), "not in the same turn");
        assert_eq!(jobs.run(&mut core), 1);
        assert!(asked.try_recv().is_ok());
        assert_eq!(jobs.run(&mut core), 0);
    }
}
