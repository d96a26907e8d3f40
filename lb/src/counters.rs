//! Counters that cost nothing to traffic: each data thread adds in its own
//! row without locking, readers sum the rows.
//!
//! The last row belongs to everybody else (control thread, CLI) and is added
//! to atomically. Not here: what the numbers are printed as.

use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Index of a data thread, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thread(pub u16);

/// One number with one writer.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds; only the row's own thread may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds from any thread: for the shared row.
    pub fn add_shared(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! cells {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One thread's counters of one frontend, backend, server or listener.
        #[derive(Debug, Default)]
        #[repr(align(64))]
        pub struct Cells {
            $($(#[$doc])* pub $name: Cell,)*
            /// Answers by class: 1xx to 5xx, then others.
            pub responses: [Cell; 6],
        }

        /// The sums over all threads.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Totals {
            $($(#[$doc])* pub $name: u64,)*
            /// Answers by class: 1xx to 5xx, then others.
            pub responses: [u64; 6],
        }

        impl Totals {
            fn add(&mut self, row: &Cells) {
                $(self.$name = self.$name.wrapping_add(row.$name.get());)*
                for (sum, cell) in self.responses.iter_mut().zip(&row.responses) {
                    *sum = sum.wrapping_add(cell.get());
                }
            }

            /// What came on top of `earlier`; nothing where it went down, as
            /// after a clear.
            pub fn since(&self, earlier: &Totals) -> Totals {
                let mut more = Totals {
                    $($name: self.$name.saturating_sub(earlier.$name),)*
                    responses: self.responses,
                };
                for (sum, before) in more.responses.iter_mut().zip(&earlier.responses) {
                    *sum = sum.saturating_sub(*before);
                }
                more
            }

            fn subtract(&mut self, base: &Totals) {
                $(self.$name = self.$name.wrapping_sub(base.$name);)*
                for (sum, base) in self.responses.iter_mut().zip(&base.responses) {
                    *sum = sum.wrapping_sub(*base);
                }
            }
        }
    };
}

cells! {
    /// Bytes from the client.
    bytes_in,
    /// Bytes to the client.
    bytes_out,
    /// Connections accepted (frontend, listener).
    connections,
    /// Sessions.
    sessions,
    /// Sessions that a server was chosen for by balancing.
    balanced,
    /// Connections that were tried towards servers.
    connects,
    /// Requests or sessions denied by rules.
    denied_requests,
    /// Answers denied by rules.
    denied_responses,
    /// Connections denied by `tcp-request connection`.
    denied_connections,
    /// Sessions denied by `tcp-request session`.
    denied_sessions,
    /// Bad requests.
    bad_requests,
    /// Connections to servers that failed after all tries.
    failed_connects,
    /// Bad or missing answers.
    failed_responses,
    /// Tries on the same server again.
    retries,
    /// Tries on another server.
    redispatches,
    /// Sessions ended by the client before the end.
    client_aborts,
    /// Sessions ended by the server before the end.
    server_aborts,
    /// HTTP requests.
    requests,
    /// Requests answered by ourselves.
    intercepted,
    /// Rewrites that failed.
    failed_rewrites,
    /// Faults of our own.
    internal_errors,
    /// Server connections used again.
    reuses,
    /// Failed checks.
    failed_checks,
    /// Times that it went from up to down.
    went_down,
    /// Errors seen in live traffic (`observe`).
    observed_errors,
    /// Sessions ended to even servers out (`rebalance`).
    rebalanced,
    /// Sessions ended to empty a server (`drain-sessions`).
    drained,
}

/// The rows of one subject.
#[derive(Debug)]
pub struct Counters {
    rows: Box<[Cells]>,
    base: Mutex<Totals>,
}

impl Counters {
    /// Rows for this many data threads and one for the rest.
    pub fn new(threads: usize) -> Counters {
        Counters {
            rows: (0..=threads).map(|_| Cells::default()).collect(),
            base: Mutex::new(Totals::default()),
        }
    }

    /// The thread's own row.
    #[inline]
    pub fn of(&self, thread: Thread) -> &Cells {
        &self.rows[(thread.0 as usize).min(self.rows.len() - 1)]
    }

    /// The row of everybody who is no data thread: use [`Cell::add_shared`] on it.
    pub fn shared(&self) -> &Cells {
        &self.rows[self.rows.len() - 1]
    }

    /// Sums since the last [`Counters::clear`].
    pub fn totals(&self) -> Totals {
        let mut sum = self.raw();
        sum.subtract(&self.base.lock().unwrap_or_else(|e| e.into_inner()));
        sum
    }

    /// Starts from zero again for readers.
    pub fn clear(&self) {
        *self.base.lock().unwrap_or_else(|e| e.into_inner()) = self.raw();
    }

    /// Counts for readers what another process counted.
    pub fn carry(&self, more: &Totals) {
        let mut base = self.base.lock().unwrap_or_else(|e| e.into_inner());
        base.subtract(more);
    }

    fn raw(&self) -> Totals {
        let mut sum = Totals::default();
        for row in &self.rows {
            sum.add(row);
        }
        sum
    }
}

/// A number that goes up and down, and the highest that it was.
#[derive(Debug, Default)]
pub struct Gauge {
    now: AtomicU32,
    max: AtomicU32,
}

impl Gauge {
    /// One more; gives the new value.
    pub fn up(&self) -> u32 {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        if now > self.max.load(Relaxed) {
            self.max.fetch_max(now, Relaxed);
        }
        now
    }

    /// One more unless that passes `limit`; the maximum follows.
    pub fn up_within(&self, limit: u32) -> Option<u32> {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        if now > limit {
            self.now.fetch_sub(1, Relaxed);
            return None;
        }
        self.max.fetch_max(now, Relaxed);
        Some(now)
    }

    /// One less; gives the new value.
    pub fn down(&self) -> u32 {
        self.now.fetch_sub(1, Relaxed).wrapping_sub(1)
    }

    /// The value now.
    pub fn get(&self) -> u32 {
        self.now.load(Relaxed)
    }

    /// The highest value since the start or the last [`Gauge::clear_max`].
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Forgets the highest value.
    pub fn clear_max(&self) {
        self.max.store(self.get(), Relaxed);
    }

    /// It was this high in another process.
    pub fn raise_max(&self, max: u32) {
        self.max.fetch_max(max, Relaxed);
    }
}

/// Events a second: what the last full second and the running one say.
#[derive(Debug, Default)]
pub struct Rate {
    /// Second in the upper half, count in that second in the lower half.
    now: AtomicU64,
    before: AtomicU32,
    max: AtomicU32,
}

impl Rate {
    /// Counts one event at `now_ms` of the process clock.
    pub fn add(&self, now_ms: u64) {
        let second = now_ms / 1000;
        let mut seen = self.now.load(Relaxed);
        loop {
            let (then, count) = (seen >> 32, seen as u32);
            let next = match then == second {
                true => seen + 1,
                false => (second << 32) | 1,
            };
            match self.now.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) if then == second => {
                    // mostly not: a load is cheaper than an exchange
                    if count + 1 > self.max.load(Relaxed) {
                        self.max.fetch_max(count + 1, Relaxed);
                    }
                    return;
                }
                Ok(_) => {
                    let last = if then + 1 == second { count } else { 0 };
                    self.before.store(last, Relaxed);
                    self.max.fetch_max(1, Relaxed);
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Events in the last second, the part of the second before included.
    pub fn per_second(&self, now_ms: u64) -> u32 {
        let seen = self.now.load(Relaxed);
        let (then, count) = (seen >> 32, u64::from(seen as u32));
        let (second, into) = (now_ms / 1000, now_ms % 1000);
        let before = u64::from(self.before.load(Relaxed));
        let sum = match second.wrapping_sub(then) {
            0 => count + before * (1000 - into) / 1000,
            // a very low rate would flap between 0 and 1
            1 if count <= 1 => count,
            1 => count * (1000 - into) / 1000,
            _ => 0,
        };
        sum as u32
    }

    /// Events in the running second, and how long until it ends in milliseconds.
    pub fn this_second(&self, now_ms: u64) -> (u32, u64) {
        let seen = self.now.load(Relaxed);
        let count = match seen >> 32 == now_ms / 1000 {
            true => seen as u32,
            false => 0,
        };
        (count, 1000 - now_ms % 1000)
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

/// An [`Average`] as another process may go on with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptAverage {
    sum: u64,
    samples: u32,
    max: u32,
    buckets: Vec<u64>,
    sum_ms: u64,
}

/// A time over the last 1024 sessions in milliseconds, and the longest.
#[derive(Debug, Default)]
pub struct Average {
    sum: AtomicU64,
    samples: AtomicU32,
    max: AtomicU32,
    /// How all of them were distributed.
    pub spread: Histogram,
}

/// Durations by size, since the start: for histograms.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; Histogram::LIMITS_MS.len() + 1],
    sum_ms: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Durations up to each of [`Histogram::LIMITS_MS`] and above the one before.
    pub buckets: [u64; Histogram::LIMITS_MS.len()],
    /// All durations, longer ones included.
    pub count: u64,
    /// Their sum.
    pub sum_ms: u64,
}

impl Histogram {
    /// Upper limits of the buckets: from a connection in the same rack to a session of a day.
    pub const LIMITS_MS: [u32; 16] = [
        1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000, 60_000, 600_000, 3_600_000,
        86_400_000,
    ];

    fn add(&self, ms: u32) {
        let bucket = Self::LIMITS_MS.partition_point(|limit| *limit < ms);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_ms.fetch_add(u64::from(ms), Relaxed);
    }

    /// The distribution so far.
    pub fn get(&self) -> Spread {
        let mut spread = Spread {
            sum_ms: self.sum_ms.load(Relaxed),
            ..Spread::default()
        };
        for (index, bucket) in self.buckets.iter().enumerate() {
            let count = bucket.load(Relaxed);
            spread.count += count;
            if let Some(kept) = spread.buckets.get_mut(index) {
                *kept = count;
            }
        }
        spread
    }
}

impl Average {
    const SAMPLES: u64 = 1024;

    /// Adds a sample.
    pub fn add(&self, ms: u32) {
        self.spread.add(ms);
        let sum = self.sum.load(Relaxed);
        let seen = self.samples.load(Relaxed);
        let kept = match u64::from(seen) < Self::SAMPLES {
            true => {
                self.samples.store(seen + 1, Relaxed);
                sum
            }
            false => sum - sum.div_ceil(Self::SAMPLES).min(sum),
        };
        self.sum.store(kept + u64::from(ms), Relaxed);
        if ms > self.max.load(Relaxed) {
            self.max.fetch_max(ms, Relaxed);
        }
    }

    /// What another process needs to go on.
    pub fn keep(&self) -> KeptAverage {
        let buckets = self.spread.buckets.iter();
        KeptAverage {
            sum: self.sum.load(Relaxed),
            samples: self.samples.load(Relaxed),
            max: self.max(),
            buckets: buckets.map(|b| b.load(Relaxed)).collect(),
            sum_ms: self.spread.sum_ms.load(Relaxed),
        }
    }

    /// Goes on where another process stood; for one that has no sample yet.
    pub fn resume(&self, kept: &KeptAverage) {
        let samples = u64::from(kept.samples).min(Self::SAMPLES);
        self.sum.store(kept.sum, Relaxed);
        self.samples.store(samples as u32, Relaxed);
        self.max.fetch_max(kept.max, Relaxed);
        if kept.buckets.len() == self.spread.buckets.len() {
            for (bucket, count) in self.spread.buckets.iter().zip(&kept.buckets) {
                bucket.fetch_add(*count, Relaxed);
            }
            self.spread.sum_ms.fetch_add(kept.sum_ms, Relaxed);
        }
    }

    /// The average.
    pub fn get(&self) -> u32 {
        let samples = u64::from(self.samples.load(Relaxed)).max(1);
        self.sum.load(Relaxed).div_ceil(samples) as u32
    }

    /// The longest.
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Forgets the longest.
    pub fn clear_max(&self) {
        self.max.store(0, Relaxed);
    }
}

/// Average and longest times of sessions: `qtime`, `ctime`, `rtime`, `ttime`.
#[derive(Debug, Default)]
pub struct Times {
    /// In queues.
    pub queue: Average,
    /// Connecting.
    pub connect: Average,
    /// Waiting for an answer's headers (HTTP).
    pub response: Average,
    /// From accept to end.
    pub total: Average,
}

/// What the process clock shows at the start: so much of the past, which a
/// saved state may tell of, has a time of its own.
const BEFORE_MS: u64 = 400 * 86_400 * 1000;

/// Milliseconds of the process clock, which runs since the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now, well above 0, so that "a month ago" exists.
    pub fn new() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// Milliseconds since long before the start.
    pub fn now_ms(&self) -> u64 {
        self.ms_of(Instant::now())
    }

    /// What [`Clock::now_ms`] gave at that instant.
    pub fn ms_of(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_millis() as u64 + BEFORE_MS
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_all_threads_are_summed_and_cleared_for_readers() {
        let counters = Counters::new(2);
        counters.of(Thread(0)).bytes_in.add(5);
        counters.of(Thread(1)).bytes_in.add(7);
        counters.shared().failed_checks.add_shared(1);
        assert_eq!(counters.totals().bytes_in, 12);
        assert_eq!(counters.totals().failed_checks, 1);
        counters.clear();
        counters.of(Thread(0)).bytes_in.add(1);
        assert_eq!(counters.totals().bytes_in, 1);
    }

    #[test]
    fn a_gauge_keeps_its_highest_value_and_respects_a_limit() {
        let gauge = Gauge::default();
        assert_eq!(gauge.up_within(2), Some(1));
        assert_eq!(gauge.up_within(2), Some(2));
        assert_eq!(gauge.up_within(2), None);
        gauge.down();
        assert_eq!((gauge.get(), gauge.max()), (1, 2));
    }

    #[test]
    fn a_rate_fades_over_the_second_that_follows() {
        let rate = Rate::default();
        for _ in 0..10 {
            rate.add(5_500);
        }
        assert_eq!(rate.per_second(5_900), 10);
        assert_eq!(rate.per_second(6_500), 5);
        rate.add(6_500);
        assert_eq!(rate.per_second(6_500), 6);
        assert_eq!(rate.per_second(9_000), 0);
        assert_eq!(rate.max(), 10);
    }

    #[test]
    fn an_average_converges_to_a_constant_sample() {
        let average = Average::default();
        for _ in 0..10_000 {
            average.add(100);
        }
        assert!((99..=101).contains(&average.get()));
        assert_eq!(average.max(), 100);
    }
}
