//! Announcements in single file: `vrrp_garp_interval`, `vrrp_gna_interval` and
//! `garp_group` ask for a pause between two of them on an interface, for
//! switches that drop what comes faster. Decides what leaves when; sends nothing.

use super::time::Time;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// Announcements that may wait in one lane; what comes on top is dropped and counted.
pub const MOST: usize = 4096;

/// A pause that some interfaces share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Interfaces by number.
    pub indices: Vec<u32>,
    /// Neighbour advertisements (gratuitous ARP otherwise).
    pub v6: bool,
    /// Between two announcements; never zero.
    pub pause: Duration,
}

#[derive(Debug)]
struct Lane {
    rule: Rule,
    free_from: Time,
    waiting: VecDeque<(u32, IpAddr)>,
}

/// All lanes. An announcement without a lane leaves at once.
#[derive(Debug, Default)]
pub struct Pace {
    lanes: Vec<Lane>,
    /// Announcements that found their lane full.
    pub dropped: u64,
}

impl Pace {
    /// Takes new rules; what waits in a lane whose rule stays goes on waiting, the rest is void.
    pub fn configure(&mut self, rules: Vec<Rule>) {
        let mut old = std::mem::take(&mut self.lanes);
        for rule in rules {
            let known = old.iter().position(|l| l.rule == rule);
            self.lanes.push(match known {
                Some(at) => old.swap_remove(at),
                None => Lane {
                    rule,
                    free_from: Time::default(),
                    waiting: VecDeque::new(),
                },
            });
        }
    }

    /// Whether this announcement may leave now; otherwise it waits for its turn.
    pub fn ask(&mut self, now: Time, index: u32, address: IpAddr) -> bool {
        let fits =
            |l: &&mut Lane| l.rule.v6 == address.is_ipv6() && l.rule.indices.contains(&index);
        let Some(lane) = self.lanes.iter_mut().find(fits) else {
            return true;
        };
        if lane.waiting.is_empty() && now >= lane.free_from {
            lane.free_from = now + lane.rule.pause;
            return true;
        }
        if lane.waiting.len() < MOST {
            lane.waiting.push_back((index, address));
        } else {
            self.dropped += 1;
        }
        false
    }

    /// The next announcement whose turn has come.
    pub fn due(&mut self, now: Time) -> Option<(u32, IpAddr)> {
        let ready = |l: &&mut Lane| !l.waiting.is_empty() && now >= l.free_from;
        let lane = self.lanes.iter_mut().find(ready)?;
        lane.free_from = now + lane.rule.pause;
        lane.waiting.pop_front()
    }

    /// When [`Pace::due`] has something next.
    pub fn deadline(&self) -> Option<Time> {
        let waiting = self.lanes.iter().filter(|l| !l.waiting.is_empty());
        waiting.map(|l| l.free_from).min()
    }

    /// The role is lost: nothing more is said about these addresses.
    pub fn cancel(&mut self, addresses: &[IpAddr]) {
        for lane in &mut self.lanes {
            lane.waiting.retain(|(_, a)| !addresses.contains(a));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(10);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn paced(indices: &[u32]) -> Pace {
        let mut pace = Pace::default();
        pace.configure(vec![Rule {
            indices: indices.to_vec(),
            v6: false,
            pause: PAUSE,
        }]);
        pace
    }

    #[test]
    fn announcements_keep_their_order_and_the_pause_between_them() {
        let mut pace = paced(&[2]);
        let start = Time::default();
        assert!(pace.ask(start, 2, address(1)));
        assert!(!pace.ask(start, 2, address(2)));
        assert!(!pace.ask(start, 2, address(3)));
        assert_eq!(pace.due(start), None);
        assert_eq!(pace.deadline(), Some(start + PAUSE));
        assert_eq!(pace.due(start + PAUSE), Some((2, address(2))));
        assert_eq!(pace.due(start + PAUSE), None);
        assert_eq!(pace.due(start + PAUSE * 2), Some((2, address(3))));
        assert_eq!(pace.deadline(), None);
        assert!(pace.ask(start + PAUSE * 3, 2, address(4)));
    }

    #[test]
    fn a_group_shares_one_lane_and_other_interfaces_and_families_wait_for_nobody() {
        let mut pace = paced(&[2, 3]);
        let start = Time::default();
        assert!(pace.ask(start, 2, address(1)));
        assert!(!pace.ask(start, 3, address(1)));
        assert!(pace.ask(start, 4, address(1)));
        assert!(pace.ask(start, 2, "fe80::1".parse().expect("an address")));
    }

    #[test]
    fn what_waits_is_void_once_the_role_is_lost() {
        let mut pace = paced(&[2]);
        for last in 1..4 {
            pace.ask(Time::default(), 2, address(last));
        }
        pace.cancel(&[address(2)]);
        assert_eq!(pace.due(Time::default() + PAUSE), Some((2, address(3))));
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn a_full_lane_drops_and_counts() {
        let mut pace = paced(&[2]);
        for _ in 0..MOST + 3 {
            pace.ask(Time::default(), 2, address(1));
        }
        assert_eq!(pace.dropped, 2);
    }
}
