//! How often something happens, over a second that slides.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Events a second: those of the running period of 1000 ms, and of the one before as
/// large a part as lies within the last 1000 ms. Periods follow each other; after a
/// time without events the first one begins another.
#[derive(Debug, Default)]
pub struct Rate {
    /// When the running period began and how many events it has: see [`pack`].
    now: AtomicU64,
    before: AtomicU32,
    max: AtomicU32,
}

/// Bits of the count; what is above them is the process clock in milliseconds.
const COUNT_BITS: u32 = 24;

/// Milliseconds of a period.
const PERIOD_MS: u64 = 1000;

fn pack(start_ms: u64, count: u64) -> u64 {
    start_ms << COUNT_BITS | count.min((1 << COUNT_BITS) - 1)
}

fn unpack(packed: u64) -> (u64, u64) {
    (packed >> COUNT_BITS, packed & ((1 << COUNT_BITS) - 1))
}

impl Rate {
    /// Counts one event at `now_ms` of the process clock.
    pub fn add(&self, now_ms: u64) {
        let mut seen = self.now.load(Relaxed);
        loop {
            let (start_ms, count) = unpack(seen);
            // another thread may have looked at the clock a moment later
            let (next, before) = match now_ms.saturating_sub(start_ms) / PERIOD_MS {
                0 => (pack(start_ms, count + 1), None),
                1 => (pack(start_ms + PERIOD_MS, 1), Some(count as u32)),
                _ => (pack(now_ms, 1), Some(0)),
            };
            match self.now.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => {
                    if let Some(before) = before {
                        self.before.store(before, Relaxed);
                    }
                    let count = unpack(next).1 as u32;
                    // mostly not: a load is cheaper than an exchange
                    if count > self.max.load(Relaxed) {
                        self.max.fetch_max(count, Relaxed);
                    }
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Events of the running period and of the one before, and how much of the
    /// running one is left.
    fn periods(&self, now_ms: u64) -> (u64, u64, u64) {
        let (start_ms, count) = unpack(self.now.load(Relaxed));
        let passed = now_ms.saturating_sub(start_ms);
        let left_ms = PERIOD_MS - passed % PERIOD_MS;
        match passed / PERIOD_MS {
            0 => (count, u64::from(self.before.load(Relaxed)), left_ms),
            1 => (0, count, left_ms),
            _ => (0, 0, PERIOD_MS),
        }
    }

    /// Events in the last second, the part of the second before included.
    pub fn per_second(&self, now_ms: u64) -> u32 {
        let (count, before, left_ms) = self.periods(now_ms);
        if count == 0 && before <= 1 {
            // a very low rate would flap between 0 and 1
            return before as u32;
        }
        (count + before * left_ms / PERIOD_MS) as u32
    }

    /// Whether one more event keeps the last second within `limit`, which is not 0.
    ///
    /// # Errors
    /// Not yet, but after this many milliseconds.
    pub fn room(&self, limit: u32, now_ms: u64) -> Result<(), u64> {
        let (count, before, left_ms) = self.periods(now_ms);
        let limit = u64::from(limit) * PERIOD_MS;
        // The window slides over `before` thousandths of an event in a millisecond ...
        let Some(over) = (count * PERIOD_MS + before * left_ms).checked_sub(limit) else {
            return Ok(());
        };
        let wait_ms = over / before.max(1) + 1;
        if before > 0 && wait_ms <= left_ms {
            return Err(wait_ms);
        }
        // ... and from the next period on over what came in this one.
        let over = (count * PERIOD_MS).saturating_sub(limit);
        Err(left_ms + over / count.max(1) + 1)
    }

    /// The most in one second.
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Forgets the most.
    pub fn clear_max(&self) {
        self.max.store(0, Relaxed);
    }

    /// It was this much in another process.
    pub fn raise_max(&self, max: u32) {
        self.max.fetch_max(max, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_fades_over_the_second_that_follows() {
        let rate = Rate::default();
        for _ in 0..10 {
            rate.add(5_500);
        }
        assert_eq!(rate.per_second(6_400), 10);
        assert_eq!(rate.per_second(7_000), 5);
        rate.add(7_000);
        assert_eq!(rate.per_second(7_000), 6);
        // a thread whose clock is a moment behind takes nothing back
        rate.add(6_400);
        assert_eq!(rate.per_second(7_000), 7);
        assert_eq!(rate.per_second(9_500), 0);
        assert_eq!(rate.max(), 10);
    }

    #[test]
    fn after_a_burst_events_may_follow_as_the_second_slides_over_it() {
        let rate = Rate::default();
        for _ in 0..10 {
            assert_eq!(rate.room(10, 5_000), Ok(()));
            rate.add(5_000);
        }
        let mut now_ms = 5_000;
        let mut at = Vec::new();
        while at.len() < 20 {
            match rate.room(10, now_ms) {
                Ok(()) => {
                    rate.add(now_ms);
                    at.push(now_ms);
                }
                Err(wait_ms) => {
                    assert!(rate.room(10, now_ms + wait_ms - 1).is_err());
                    now_ms += wait_ms;
                    assert_eq!(rate.room(10, now_ms), Ok(()));
                }
            }
        }
        // one each 100 ms from the end of the burst's second on, never ten at once
        let expected: Vec<u64> = (0..20).map(|n| 6_001 + n * 100).collect();
        assert_eq!(at, expected);
    }

    #[test]
    fn a_rate_far_above_a_lowered_limit_waits_for_both_seconds() {
        let rate = Rate::default();
        for _ in 0..100 {
            rate.add(5_500);
        }
        let Err(wait_ms) = rate.room(10, 5_500) else {
            panic!("there is room");
        };
        assert_eq!(wait_ms, 1000 + 901);
        assert_eq!(rate.room(10, 5_500 + wait_ms), Ok(()));
    }
}
