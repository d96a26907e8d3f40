//! Who is connected to a door: at most so many, and who has been idle longest goes when
//! another one comes. Not here: what they ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::task::AbortHandle;

/// Since when a connection waits for its client; nothing while its client waits for an answer.
#[derive(Clone, Debug)]
pub struct Idle(Arc<Mutex<Option<Instant>>>);

impl Idle {
    fn new() -> Idle {
        Idle(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    /// The client waits for an answer until `work` is done.
    pub async fn but<T>(&self, work: impl Future<Output = T>) -> T {
        self.set(None);
        let done = work.await;
        self.set(Some(Instant::now()));
        done
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections of one door.
#[derive(Debug)]
pub struct Guests {
    most: usize,
    open: Vec<(AbortHandle, Idle)>,
}

impl Guests {
    /// At most so many at the same time.
    pub fn new(most: usize) -> Guests {
        Guests {
            most,
            open: Vec::new(),
        }
    }

    /// Serves one more. When there are too many, the one that has been idle longest is ended;
    /// where none is, the new one is turned away.
    pub fn admit<W>(&mut self, serve: impl FnOnce(Idle) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        self.open.retain(|(task, _)| !task.is_finished());
        if self.open.len() >= self.most {
            let idle = self.open.iter().enumerate();
            let since = idle.filter_map(|(at, (_, idle))| Some((idle.since()?, at)));
            let Some((_, longest)) = since.min() else {
                return;
            };
            self.open.swap_remove(longest).0.abort();
        }
        let idle = Idle::new();
        let task = tokio::spawn(serve(idle.clone()));
        self.open.push((task.abort_handle(), idle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Lets every task run until it waits.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_was_idle_longest_makes_room() {
        let mut guests = Guests::new(2);
        let mut ends = Vec::new();
        for _ in 0..3 {
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            ends.push(ended);
            guests.admit(|_idle| async move {
                let _end = end;
                std::future::pending().await
            });
        }
        settle().await;
        let over = ends.iter_mut().map(|e| e.try_recv());
        use tokio::sync::oneshot::error::TryRecvError::{Closed, Empty};
        assert_eq!(
            over.collect::<Vec<_>>(),
            [Err(Closed), Err(Empty), Err(Empty)]
        );
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_stays_and_a_new_one_is_turned_away() {
        let mut guests = Guests::new(1);
        let served = Arc::new(AtomicU32::new(0));
        for _ in 0..3 {
            let served = served.clone();
            guests.admit(|idle| async move {
                served.fetch_add(1, Ordering::Relaxed);
                idle.but(std::future::pending::<()>()).await;
            });
            settle().await;
        }
        assert_eq!(served.load(Ordering::Relaxed), 1);
    }
}
