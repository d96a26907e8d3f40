//! What a server is to the balancer: operational state, administrative state
//! and weight, and how they change. Not here: who checks it, who is told.

use std::time::Duration;

/// Operational state; the numbers are those of `show servers state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// Down, or in maintenance.
    Stopped = 0,
    /// Up, its weight still growing (`slowstart`).
    Starting = 1,
    /// Up.
    Running = 2,
    /// Finishes its sessions and wants no new ones (NOLB).
    Stopping = 3,
}

/// Administrative flags; the bits are those of `show servers state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admin(pub u8);

impl Admin {
    /// Maintenance asked for by an operator.
    pub const FORCED_MAINT: Admin = Admin(0x01);
    /// Maintenance of the server that this one tracks.
    pub const INHERITED_MAINT: Admin = Admin(0x02);
    /// Maintenance by the configuration (`disabled`).
    pub const CONFIG_MAINT: Admin = Admin(0x04);
    /// Drain asked for by an operator.
    pub const FORCED_DRAIN: Admin = Admin(0x08);
    /// Drain of the server that this one tracks.
    pub const INHERITED_DRAIN: Admin = Admin(0x10);
    /// Maintenance because the name has no address.
    pub const UNRESOLVED: Admin = Admin(0x20);

    const MAINT: u8 = 0x01 | 0x02 | 0x04 | 0x20;
    const DRAIN: u8 = 0x08 | 0x10;

    /// Any kind of maintenance.
    pub fn in_maintenance(self) -> bool {
        self.0 & Self::MAINT != 0
    }

    /// Any kind of drain.
    pub fn in_drain(self) -> bool {
        self.0 & Self::DRAIN != 0
    }

    /// All bits of `flag` are set.
    pub fn has(self, flag: Admin) -> bool {
        self.0 & flag.0 == flag.0
    }

    /// What it is after a change.
    pub fn after(self, change: Change) -> Admin {
        match change {
            Change::Set(flag) => self.with(flag),
            Change::Clear(flag) => self.without(flag),
            Change::Up | Change::Stopping | Change::Down | Change::Weight(_) | Change::Tick => self,
        }
    }

    fn with(self, flag: Admin) -> Admin {
        Admin(self.0 | flag.0)
    }

    fn without(self, flag: Admin) -> Admin {
        Admin(self.0 & !flag.0)
    }
}

/// What may happen to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Checks (or the tracked server) say that it works.
    Up,
    /// It works, but wants no new sessions.
    Stopping,
    /// It does not work.
    Down,
    /// An administrative flag is set.
    Set(Admin),
    /// Administrative flags are taken back.
    Clear(Admin),
    /// The user's weight, 0..=256.
    Weight(u32),
    /// Time went on: the weight of a starting server grows.
    Tick,
}

/// Scale between the user's weight and the effective one.
pub const WEIGHT_SCALE: u32 = 16;

/// State and weight of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Operational state.
    pub operation: Operation,
    /// Administrative state.
    pub admin: Admin,
    /// The user's weight.
    pub weight: u32,
    /// Weight of the configuration.
    pub initial_weight: u32,
    /// `slowstart`.
    pub slowstart: Option<Duration>,
    /// Process clock of the last change that is told as one, in milliseconds: of the operational
    /// state, into or out of drain, out of maintenance.
    pub changed_ms: u64,
    /// Time spent down before `changed_ms`.
    pub down_ms: u64,
}

/// A change that was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: (Operation, Admin),
    /// After.
    pub to: (Operation, Admin),
}

impl Transition {
    /// It was usable before and is not after.
    pub fn went_down(&self) -> bool {
        self.from.0 != Operation::Stopped && self.to.0 == Operation::Stopped
    }

    /// It was not running before and is after.
    pub fn came_up(&self) -> bool {
        let runs = matches!(self.to.0, Operation::Starting | Operation::Running);
        self.from.0 == Operation::Stopped && runs
    }
}

impl Status {
    /// A running server of this weight.
    pub fn new(weight: u32, slowstart: Option<Duration>, now_ms: u64) -> Status {
        Status {
            operation: Operation::Running,
            admin: Admin::default(),
            weight,
            initial_weight: weight,
            slowstart,
            changed_ms: now_ms,
            down_ms: 0,
        }
    }

    /// Applies a change at `now_ms`. `healthy` says whether its checks let it
    /// run: it decides what it is after maintenance. Nothing when nothing changed.
    pub fn apply(&mut self, now_ms: u64, change: Change, healthy: bool) -> Option<Transition> {
        let from = (self.operation, self.admin);
        match change {
            Change::Up if self.admin.in_maintenance() => {}
            Change::Up => match self.operation {
                Operation::Stopped => self.start(now_ms),
                Operation::Stopping => self.become_operation(Operation::Running, now_ms),
                Operation::Starting | Operation::Running => {}
            },
            Change::Stopping if self.admin.in_maintenance() => {}
            Change::Stopping => match self.operation {
                Operation::Stopped if !healthy => {}
                Operation::Stopping => {}
                Operation::Stopped | Operation::Starting | Operation::Running => {
                    self.become_operation(Operation::Stopping, now_ms);
                }
            },
            Change::Down => self.stop(now_ms),
            Change::Set(_) | Change::Clear(_) => self.administer(now_ms, change, healthy),
            Change::Weight(weight) => self.weight = weight.min(256),
            Change::Tick => self.grow(now_ms),
        }
        let to = (self.operation, self.admin);
        (from != to).then_some(Transition { from, to })
    }

    fn administer(&mut self, now_ms: u64, change: Change, healthy: bool) {
        let before = self.admin;
        self.admin = before.after(change);
        match (before.in_maintenance(), self.admin.in_maintenance()) {
            (_, true) => self.stop(now_ms),
            (true, false) if healthy => self.start(now_ms),
            (true, false) => self.become_operation(Operation::Stopped, now_ms),
            (false, false) if before.in_drain() != self.admin.in_drain() => {
                self.become_operation(self.operation, now_ms);
            }
            (false, false) => {}
        }
    }

    fn start(&mut self, now_ms: u64) {
        let started = match self.slowstart {
            Some(_) => Operation::Starting,
            None => Operation::Running,
        };
        self.become_operation(started, now_ms);
    }

    fn stop(&mut self, now_ms: u64) {
        if self.operation != Operation::Stopped {
            self.become_operation(Operation::Stopped, now_ms);
        }
    }

    fn become_operation(&mut self, operation: Operation, now_ms: u64) {
        if self.operation == Operation::Stopped {
            self.down_ms += now_ms.saturating_sub(self.changed_ms);
        }
        self.changed_ms = now_ms;
        self.operation = operation;
    }

    fn grow(&mut self, now_ms: u64) {
        if self.operation == Operation::Starting && self.grown(now_ms) >= 100 {
            self.become_operation(Operation::Running, now_ms);
        }
    }

    /// How much of its weight a starting server has, in percent; 100 for others.
    pub fn grown(&self, now_ms: u64) -> u32 {
        let (Operation::Starting, Some(slowstart)) = (self.operation, self.slowstart) else {
            return 100;
        };
        let total = slowstart.as_millis().max(1) as u64;
        let elapsed = now_ms.saturating_sub(self.changed_ms);
        (elapsed * 100 / total).clamp(1, 100) as u32
    }

    /// New sessions may be sent to it by balancing.
    pub fn usable(&self) -> bool {
        matches!(self.operation, Operation::Starting | Operation::Running)
            && !self.admin.in_maintenance()
            && !self.admin.in_drain()
    }

    /// Weight for balancing, in sixteenths; 0: gets no new sessions.
    pub fn effective_weight(&self, now_ms: u64) -> u32 {
        let full = self.full_weight();
        match self.grown(now_ms) {
            100 => full,
            percent => (full * percent).div_ceil(100),
        }
    }

    /// The same where weights do not grow.
    pub fn full_weight(&self) -> u32 {
        if !self.usable() {
            return 0;
        }
        self.weight * WEIGHT_SCALE
    }

    /// Time spent down up to now, in milliseconds.
    pub fn downtime_ms(&self, now_ms: u64) -> u64 {
        match self.operation {
            Operation::Stopped => self.down_ms + now_ms.saturating_sub(self.changed_ms),
            _ => self.down_ms,
        }
    }

    /// Takes over from the same server of the generation before, which `enters` maintenance
    /// because the file says so now and did not before.
    pub fn carry_over(&mut self, old: &Status, enters: bool) {
        let now_ms = self.changed_ms;
        let weight_changed = self.initial_weight != old.initial_weight;
        let weight = if weight_changed {
            self.weight
        } else {
            old.weight
        };
        let (initial_weight, slowstart) = (self.initial_weight, self.slowstart);
        *self = old.clone();
        (self.weight, self.initial_weight, self.slowstart) = (weight, initial_weight, slowstart);
        if enters {
            self.apply(now_ms, Change::Set(Admin::CONFIG_MAINT), false);
        }
    }
}

/// What a server's limit of slots depends on besides its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Sessions of the backend.
    pub sessions: u32,
    /// The backend's `fullconn`.
    pub full: u32,
    /// How far the server has started, in percent.
    pub grown: u32,
}

/// Slots that a server may have taken: `maxconn`, or between `minconn` and
/// `maxconn` in proportion to the backend's load; less while it starts.
pub fn slot_limit(maxconn: u32, minconn: u32, load: Load) -> u32 {
    let dynamic = minconn > 0 && minconn < maxconn && load.sessions < load.full;
    let limit = match dynamic {
        true => {
            let share = u64::from(load.sessions) * u64::from(maxconn) / u64::from(load.full);
            minconn.max(share as u32)
        }
        false => maxconn,
    };
    match load.grown {
        100 => limit,
        grown => (limit * grown / 100).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_the_load_between_minconn_and_maxconn() {
        let at = |sessions| Load {
            sessions,
            full: 1000,
            grown: 100,
        };
        assert_eq!(slot_limit(100, 10, at(0)), 10);
        assert_eq!(slot_limit(100, 10, at(500)), 50);
        assert_eq!(slot_limit(100, 10, at(1000)), 100);
        assert_eq!(slot_limit(100, 0, at(1)), 100);
    }

    fn running() -> Status {
        Status::new(10, None, 1000)
    }

    #[test]
    fn a_server_in_maintenance_ignores_its_checks_until_it_is_released() {
        let mut status = running();
        let entered = status.apply(2000, Change::Set(Admin::FORCED_MAINT), true);
        assert!(entered.is_some_and(|t| t.went_down()));
        assert_eq!(status.apply(3000, Change::Up, true), None);
        let left = status.apply(5000, Change::Clear(Admin::FORCED_MAINT), true);
        assert!(left.is_some_and(|t| t.came_up()));
        assert_eq!(status.down_ms, 3000);
    }

    #[test]
    fn a_server_leaves_maintenance_stopped_when_its_checks_fail() {
        let mut status = running();
        status.apply(2000, Change::Set(Admin::FORCED_MAINT), true);
        status.apply(3000, Change::Clear(Admin::FORCED_MAINT), false);
        assert_eq!(status.operation, Operation::Stopped);
    }

    #[test]
    fn drain_and_the_end_of_maintenance_are_told_as_changes_and_keep_the_time_spent_down() {
        let mut status = running();
        status.apply(2000, Change::Set(Admin::FORCED_DRAIN), true);
        assert_eq!(status.changed_ms, 2000);
        status.apply(3000, Change::Down, false);
        status.apply(5000, Change::Clear(Admin::FORCED_DRAIN), false);
        assert_eq!((status.changed_ms, status.down_ms), (5000, 2000));
        status.apply(6000, Change::Set(Admin::FORCED_MAINT), false);
        assert_eq!(status.changed_ms, 5000, "it was down already");
        status.apply(8000, Change::Clear(Admin::FORCED_MAINT), false);
        assert_eq!((status.changed_ms, status.downtime_ms(9000)), (8000, 6000));
    }

    #[test]
    fn a_server_that_is_down_may_be_told_to_finish_once_it_is_healthy() {
        let mut status = running();
        status.apply(2000, Change::Down, false);
        assert_eq!(status.apply(3000, Change::Stopping, false), None);
        let finishes = status.apply(4000, Change::Stopping, true);
        assert!(finishes.is_some_and(|t| !t.came_up()));
        assert_eq!(
            (status.operation, status.changed_ms),
            (Operation::Stopping, 4000)
        );
    }

    #[test]
    fn a_draining_server_stays_up_without_weight() {
        let mut status = running();
        status.apply(2000, Change::Set(Admin::FORCED_DRAIN), true);
        assert_eq!(status.operation, Operation::Running);
        assert_eq!(status.effective_weight(2000), 0);
        status.apply(2000, Change::Clear(Admin::FORCED_DRAIN), true);
        assert_eq!(status.effective_weight(2000), 160);
    }

    #[test]
    fn a_starting_server_gains_weight_until_it_runs() {
        let mut status = Status::new(100, Some(Duration::from_secs(10)), 0);
        status.apply(0, Change::Down, false);
        status.apply(1000, Change::Up, true);
        assert_eq!(status.operation, Operation::Starting);
        assert_eq!(status.effective_weight(6000), 800);
        status.apply(11_000, Change::Tick, true);
        assert_eq!(status.operation, Operation::Running);
        assert_eq!(status.effective_weight(11_000), 1600);
        // that is a change of its own
        assert_eq!(status.changed_ms, 11_000);
    }

    #[test]
    fn a_reload_keeps_a_weight_set_at_run_time_unless_the_file_changed_it() {
        let mut old = running();
        old.apply(0, Change::Weight(77), true);
        let mut same = running();
        same.carry_over(&old, false);
        assert_eq!(same.weight, 77);
        let mut changed = Status::new(20, None, 0);
        changed.carry_over(&old, false);
        assert_eq!(changed.weight, 20);
    }

    #[test]
    fn a_reload_keeps_what_an_operator_did_about_a_disabled_server() {
        let mut old = Status::new(10, None, 0);
        old.apply(0, Change::Set(Admin::CONFIG_MAINT), true);
        old.apply(5, Change::Clear(Admin::CONFIG_MAINT), true);
        let mut still_disabled = Status::new(10, None, 9);
        still_disabled.carry_over(&old, false);
        assert!(still_disabled.usable());
        let mut disabled_now = Status::new(10, None, 9);
        disabled_now.carry_over(&old, true);
        assert!(disabled_now.admin.has(Admin::CONFIG_MAINT));
        assert_eq!(disabled_now.operation, Operation::Stopped);
    }
}
