//! When the core thread commits by itself instead of handing the batch to the committer's thread.
//!
//! A publisher that waits for each confirm is served soonest, and with the fewest thread switches, by a write and a sync
//! right where its message was read. While that lasts nobody else is served. So it is done only when nothing else is
//! ready; when it turns out that somebody came meanwhile who had to be answered, the committer's thread gets the
//! batches for a while, longer each time, so that others wait for at most a small part of the time.

use std::time::Duration;

/// How long the committer's thread commits after the first time that somebody waited, and at most.
const FIRST_PAUSE_MS: u64 = 10;
const LONGEST_PAUSE_MS: u64 = 2000;
/// A pause is at least so many times what the sync took.
const SHARE: u64 = 20;
/// So many commits in a row that nobody waited for make the next pause short again.
const TRUSTED: u32 = 64;

/// Whether the core thread may commit by itself, by what that cost others lately.
#[derive(Debug, Default)]
pub struct OwnCommit {
    /// Until then the committer's thread commits.
    paused_until_ms: u64,
    pause_ms: u64,
    alone: u32,
    /// How long the last commit took, until it is known whether anybody waited.
    took: Option<Duration>,
}

impl OwnCommit {
    /// Whether the next small batch may be committed on the core thread.
    pub fn may(&self, now_ms: u64) -> bool {
        now_ms >= self.paused_until_ms
    }

    /// The core thread has committed.
    pub fn took(&mut self, time: Duration) {
        self.took = Some(time);
    }

    /// The turn that followed has delivered; `waited`: there was somebody to be answered in it, besides the publisher.
    pub fn ended(&mut self, now_ms: u64, waited: bool) {
        let Some(took) = self.took.take() else {
            return;
        };
        if !waited {
            self.alone += 1;
            if self.alone >= TRUSTED {
                self.pause_ms = 0;
            }
            return;
        }
        self.alone = 0;
        let share = took.as_millis() as u64 * SHARE;
        self.pause_ms = (self.pause_ms * 2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        self.paused_until_ms = now_ms + self.pause_ms.max(share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(100);

    #[test]
    fn a_lone_publisher_is_committed_for_every_time() {
        let mut own = OwnCommit::default();
        for now_ms in 0..1000 {
            assert!(own.may(now_ms));
            own.took(QUICK);
            own.ended(now_ms, false);
        }
    }

    #[test]
    fn others_that_waited_send_the_batches_to_the_committer_longer_each_time() {
        let mut own = OwnCommit::default();
        let mut now_ms = 0;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            own.took(QUICK);
            own.ended(now_ms, true);
            let began = now_ms;
            while !own.may(now_ms) {
                now_ms += 1;
            }
            pauses.push(now_ms - began);
        }
        assert_eq!(pauses[0], FIRST_PAUSE_MS);
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE_MS));
    }

    #[test]
    fn a_slow_sync_that_others_waited_for_is_a_twentieth_of_the_time_at_most() {
        let mut own = OwnCommit::default();
        own.took(Duration::from_secs(1));
        own.ended(5, true);
        assert!(!own.may(5 + 19_999));
        assert!(own.may(5 + 20_000));
    }

    #[test]
    fn being_alone_for_long_makes_the_next_pause_short_again() {
        let mut own = OwnCommit::default();
        for _ in 0..5 {
            own.took(QUICK);
            own.ended(0, true);
        }
        for _ in 0..TRUSTED {
            own.took(QUICK);
            own.ended(10_000, false);
        }
        own.took(QUICK);
        own.ended(20_000, true);
        assert!(own.may(20_000 + FIRST_PAUSE_MS));
    }

    #[test]
    fn a_turn_without_a_commit_of_its_own_says_nothing() {
        let mut own = OwnCommit::default();
        own.ended(0, true);
        assert!(own.may(0));
    }
}
