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
