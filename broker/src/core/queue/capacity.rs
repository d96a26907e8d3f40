//! The part of time in which a queue's consumers could take at once what came.

/// Beyond this much time on record, older time counts half.
const MEMORY_MS: u64 = 20_000;

/// Time with consumers, and the part of it in which no message had to wait for them.
#[derive(Debug, Default, Clone, Copy)]
pub struct Capacity {
    since_ms: u64,
    watched: bool,
    able: bool,
    able_ms: u64,
    all_ms: u64,
}

impl Capacity {
    /// Notes how things are from now on: whether there are consumers, and whether nothing waits for them.
    #[inline]
    pub fn note(&mut self, now_ms: u64, consumers: bool, able: bool) {
        (self.able_ms, self.all_ms) = self.upto(now_ms);
        if self.all_ms > MEMORY_MS {
            self.able_ms /= 2;
            self.all_ms /= 2;
        }
        (self.since_ms, self.watched, self.able) = (now_ms, consumers, able);
    }

    fn upto(&self, now_ms: u64) -> (u64, u64) {
        let passed = match self.watched {
            true => now_ms.saturating_sub(self.since_ms),
            false => 0,
        };
        let able = if self.able { passed } else { 0 };
        (self.able_ms + able, self.all_ms + passed)
    }

    /// From 0 to 1; 0 without consumers.
    pub fn ratio(&self, now_ms: u64) -> f64 {
        match self.upto(now_ms) {
            _ if !self.watched => 0.0,
            (_, 0) => f64::from(u8::from(self.able)),
            (able, all) => able as f64 / all as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_messages_waited_for_consumers_counts_against_them() {
        let mut capacity = Capacity::default();
        assert_eq!(capacity.ratio(5_000), 0.0, "no consumers");
        capacity.note(5_000, true, true);
        assert_eq!(capacity.ratio(5_000), 1.0);
        capacity.note(8_000, true, false);
        assert_eq!(capacity.ratio(9_000), 0.75);
        capacity.note(9_000, false, true);
        capacity.note(50_000, true, true);
        assert_eq!(
            capacity.ratio(50_000),
            0.75,
            "time without consumers is not counted"
        );
        capacity.note(80_000, true, false);
        assert!(capacity.ratio(1_000_000) < 0.1, "old time fades");
    }
}
