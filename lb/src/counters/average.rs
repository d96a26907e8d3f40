//! Times of sessions: averages over the last of them, longest ones, histograms.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

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

#[cfg(test)]
mod tests {
    use super::*;

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
