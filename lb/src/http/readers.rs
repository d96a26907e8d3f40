//! How many answers about the process (pages, tables, metrics) are made at once.
//!
//! Each holds at most one piece of its answer, and for `;sessions` the list of
//! the sessions: with the bound, slow readers cost tens of megabytes however
//! many of them come. One too many gets 503 and the reason, and a line is
//! logged now and then.

use super::answer::Answer;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers at once. An answer takes milliseconds unless its reader is slow.
pub const READERS: usize = 64;
/// Longest time for one answer, after which a slow reader loses its place.
pub const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Time between lines about refused readers.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The places of readers.
pub struct Readers {
    places: Arc<Semaphore>,
    refused: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(READERS)),
            refused: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }
}

impl Readers {
    /// A place, given back when it is dropped; nothing when all are taken.
    pub fn enter(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// Counts a refused reader; gives a line to log when it is time for one.
    pub fn refuse(&self, now: Instant) -> Option<String> {
        self.refused.fetch_add(1, Relaxed);
        let mut told = self.told.lock().unwrap_or_else(|e| e.into_inner());
        if told.is_some_and(|told| now.duration_since(told) < TELL_EVERY) {
            return None;
        }
        *told = Some(now);
        let refused = self.refused.swap(0, Relaxed);
        Some(format!(
            "Statistics: {READERS} readers are being served, which is the most; {refused} more \
             were refused (503)."
        ))
    }
}

/// What one reader too many gets.
pub fn too_many() -> Answer {
    let fields = [
        ("cache-control", "no-cache"),
        ("content-type", "text/plain"),
        ("retry-after", "5"),
    ];
    let text = format!(
        "503 Service Unavailable\n{READERS} readers of the statistics are being served, which is \
         the most; try again in a moment.\n"
    );
    Answer::new(503, &fields, text.as_bytes()).closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let readers = Readers::default();
        let all: Vec<_> = (0..READERS).map_while(|_| readers.enter()).collect();
        assert_eq!(all.len(), READERS);
        assert!(readers.enter().is_none());
        drop(all);
        assert!(readers.enter().is_some());
    }

    #[test]
    fn refusals_are_told_now_and_then_with_their_number() {
        let (readers, start) = (Readers::default(), Instant::now());
        assert!(readers.refuse(start).unwrap().contains("; 1 more"));
        for _ in 0..1000 {
            assert_eq!(readers.refuse(start + Duration::from_secs(1)), None);
        }
        let later = readers.refuse(start + TELL_EVERY).unwrap();
        assert!(later.contains("; 1001 more"), "{later}");
    }
}
