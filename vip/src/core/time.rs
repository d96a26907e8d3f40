//! Points in time without a clock: a distance from a start that only the
//! caller knows.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time, as the distance from a fixed start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The point `since_start` after the start.
    pub fn new(since_start: Duration) -> Time {
        Time(since_start)
    }

    /// The distance from the start.
    pub fn since_start(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, distance: Duration) -> Time {
        Time(self.0.saturating_add(distance))
    }
}

/// The distance from the earlier point; zero when it is the later one.
impl Sub<Time> for Time {
    type Output = Duration;

    fn sub(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
