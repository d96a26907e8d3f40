//! The daemon's clock: monotonic for decisions, wall time for people.

use crate::core::Time;
use std::time::Instant;

/// Where time starts.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts now.
    pub fn new() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// The time that has passed.
    pub fn now(self) -> Time {
        Time::new(self.start.elapsed())
    }
}

/// The wall clock as people and logs want it.
pub fn wall() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}
