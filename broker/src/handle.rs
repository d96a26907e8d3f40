//! The way into the engine from other threads: a closure that runs on the core thread.
//!
//! The queue of closures is bounded; a caller that finds it full is told so instead of growing it. Each closure runs
//! between two turns of the loop, so it must be short: long lists are gathered as plain data and formatted outside.

use crate::core::Core;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// How many closures may wait at once.
const CAPACITY: usize = 1024;

type Job = Box<dyn FnOnce(&mut Core) + Send>;

/// Wakes the core thread out of its poll.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A cloneable way to run closures on the core thread.
#[derive(Clone)]
pub struct Handle {
    jobs: SyncSender<Job>,
    wake: Wake,
}

/// The core thread's end.
pub struct Jobs(Receiver<Job>);

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
    (Handle { jobs, wake }, Jobs(receiver))
}

impl Handle {
    /// Runs `action` on the core thread; the answer arrives when it has.
    pub fn start<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<oneshot::Receiver<R>, HandleError> {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |core| drop(answer.send(action(core))));
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
    pub fn run(&self, core: &mut Core) -> usize {
        let waiting: Vec<Job> = self.0.try_iter().take(CAPACITY).collect();
        let count = waiting.len();
        waiting.into_iter().for_each(|job| job(core));
        count
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
        let (handle, jobs) = handle(Arc::new(|| {}));
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
