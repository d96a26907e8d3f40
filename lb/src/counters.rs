//! Counters that cost nothing to traffic: each data thread adds in its own
//! row without locking, readers sum the rows.
//!
//! The last row belongs to everybody else (control thread, CLI) and is added
//! to atomically. Not here: what the numbers are printed as.

mod average;
mod rate;

pub use average::{Average, Histogram, KeptAverage, Spread, Times};
pub use rate::Rate;

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

    /// The same, but the times that it went down stay.
    pub fn clear_but_downs(&self) {
        let mut base = self.base.lock().unwrap_or_else(|e| e.into_inner());
        let went_down = base.went_down;
        *base = self.raw();
        base.went_down = went_down;
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
    fn a_gauge_keeps_its_highest_value() {
        let gauge = Gauge::default();
        assert_eq!((gauge.up(), gauge.up()), (1, 2));
        assert_eq!(gauge.down(), 1);
        assert_eq!((gauge.get(), gauge.max()), (1, 2));
    }
}
