//! When free memory is given back to the system.
//!
//! The allocator keeps what is freed in small blocks. After a backlog has gone that is nearly all of its size, and it
//! counts as used: the memory alarm, which goes by the resident size, would never end. It is given back when the node has
//! become quiet, and before an alarm is raised; never in the middle of ordinary work, which would take it again at once.

use std::time::Duration;

/// The processor time within a second up to which a node is quiet.
const QUIET: Duration = Duration::from_millis(50);
/// Growth that is worth the call, in bytes.
const WORTH: u64 = 8 << 20;
/// Seconds between two calls while memory is above its limit.
const PAUSE: u32 = 5;

/// What one look a second has seen so far.
#[derive(Debug, Default)]
pub struct Pressure {
    /// Processor time that the process had used at the last look.
    used: Duration,
    /// Resident bytes after free ones were given back.
    kept: u64,
    /// Looks since then.
    looks: u32,
}

impl Pressure {
    /// Whether to give free memory back now: `resident` and `limit` in bytes (0: none), `used` is the process's time.
    pub fn wants(&mut self, resident: u64, limit: u64, used: Duration) -> bool {
        let quiet = used.saturating_sub(self.used) <= QUIET;
        self.used = used;
        self.looks = self.looks.saturating_add(1);
        let above = limit > 0 && resident > limit && self.looks >= PAUSE;
        above || quiet && resident >= self.kept + WORTH
    }

    /// It has been given back; `resident` bytes are left.
    pub fn given_back(&mut self, resident: u64) {
        self.kept = resident;
        self.looks = 0;
    }
}

/// Processor time of this process, user and system.
pub fn processor_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::MAX;
    };
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(microseconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_a_backlog_leaves_is_given_back_once_when_the_node_is_quiet() {
        let mut pressure = Pressure::default();
        pressure.given_back(15 * MIB);
        assert!(!pressure.wants(200 * MIB, 0, ms(900)));
        assert!(!pressure.wants(200 * MIB, 0, ms(1_800)));
        assert!(pressure.wants(200 * MIB, 0, ms(1_810)));
        pressure.given_back(190 * MIB);
        assert!(!pressure.wants(190 * MIB, 0, ms(1_820)));
    }

    #[test]
    fn above_the_limit_it_is_given_back_at_work_too_but_not_each_second() {
        let mut pressure = Pressure::default();
        let mut given = Vec::new();
        for second in 1..=15u64 {
            if pressure.wants(200 * MIB, 100 * MIB, ms(900 * second)) {
                given.push(second);
                pressure.given_back(200 * MIB);
            }
        }
        assert_eq!(given, [5, 10, 15]);
    }

    #[test]
    fn the_time_of_this_process_grows() {
        assert!(processor_time() > Duration::ZERO);
    }
}
