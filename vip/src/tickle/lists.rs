//! The other hosts' lists of connections, as they came: packed, in parts.

use crate::core::connections::{Connection, MOST_PARTS, Part, unpack};
use crate::core::heartbeat::BootId;
use std::time::{Duration, Instant};

/// Processes whose lists are kept; the one that was silent longest goes first.
const MOST_SENDERS: usize = 4;
/// A list that was not told again for this long is forgotten.
const KEPT: Duration = Duration::from_secs(120);

/// The lists of all hosts.
#[derive(Debug, Default)]
pub struct Lists {
    senders: Vec<Sender>,
}

#[derive(Debug)]
struct Sender {
    boot: BootId,
    heard_at: Instant,
    newest: List,
    /// The one before, until the newest is whole.
    before: Option<List>,
}

#[derive(Debug)]
struct List {
    number: u32,
    parts: Vec<Option<Box<[u8]>>>,
}

impl List {
    fn new(part: &Part) -> List {
        List {
            number: part.list,
            parts: vec![None; usize::from(part.of.min(MOST_PARTS))],
        }
    }

    fn add(&mut self, part: Part) {
        if let Some(place) = self.parts.get_mut(usize::from(part.number)) {
            *place = Some(part.packed);
        }
    }

    fn is_whole(&self) -> bool {
        self.parts.iter().all(Option::is_some)
    }

    fn each(&self, each: &mut impl FnMut(Connection)) {
        for packed in self.parts.iter().flatten() {
            unpack(packed, &mut *each);
        }
    }
}

impl Lists {
    /// A part came from the process with this boot id.
    pub fn add(&mut self, now: Instant, boot: BootId, part: Part) {
        self.senders.retain(|s| now - s.heard_at < KEPT);
        let at = match self.senders.iter().position(|s| s.boot == boot) {
            Some(at) => at,
            None => self.learn(now, boot, &part),
        };
        let sender = &mut self.senders[at];
        sender.heard_at = now;
        if part.list != sender.newest.number {
            // an older list, come late
            if part.list.wrapping_sub(sender.newest.number) > u32::MAX / 2 {
                return;
            }
            let last = std::mem::replace(&mut sender.newest, List::new(&part));
            if last.is_whole() {
                sender.before = Some(last);
            }
        }
        sender.newest.add(part);
        if sender.newest.is_whole() {
            sender.before = None;
        }
    }

    fn learn(&mut self, now: Instant, boot: BootId, part: &Part) -> usize {
        if self.senders.len() >= MOST_SENDERS {
            let silent = self.senders.iter().enumerate();
            let oldest = silent.min_by_key(|(_, s)| s.heard_at).map(|(at, _)| at);
            self.senders.remove(oldest.unwrap_or_default());
        }
        self.senders.push(Sender {
            boot,
            heard_at: now,
            newest: List::new(part),
            before: None,
        });
        self.senders.len() - 1
    }

    /// Every connection that is known, some perhaps twice.
    pub fn each(&self, mut each: impl FnMut(Connection)) {
        for sender in &self.senders {
            sender.newest.each(&mut each);
            if let Some(before) = &sender.before {
                before.each(&mut each);
            }
        }
    }

    /// How many are known.
    pub fn count(&self) -> usize {
        let mut count = 0;
        for sender in &self.senders {
            let list = sender.before.as_ref().unwrap_or(&sender.newest);
            list.each(&mut |_| count += 1);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::connections::pack;
    use std::net::Ipv4Addr;

    fn list(number: u32, clients: std::ops::Range<u32>) -> Vec<Part> {
        let one = |i: u32| Connection {
            own: ([192, 0, 2, 10], 5672).into(),
            client: (Ipv4Addr::from(0x0a00_0000 + i), 1024).into(),
        };
        pack(number, clients.map(one).collect())
    }

    fn known(lists: &Lists) -> usize {
        let mut known = Vec::new();
        lists.each(|c| known.push(c));
        known.sort_unstable();
        known.dedup();
        known.len()
    }

    #[test]
    fn a_new_list_replaces_the_old_one_when_it_is_whole() {
        let now = Instant::now();
        let mut lists = Lists::default();
        for part in list(1, 0..500) {
            lists.add(now, [1; 16], part);
        }
        assert_eq!((known(&lists), lists.count()), (500, 500));
        let mut new = list(2, 500..1000);
        let last = new.pop().expect("several parts");
        for part in new {
            lists.add(now, [1; 16], part);
        }
        assert!(known(&lists) > 600, "both as far as they came");
        assert_eq!(lists.count(), 500);
        lists.add(now, [1; 16], last);
        assert_eq!((known(&lists), lists.count()), (500, 500));
    }

    #[test]
    fn an_older_list_that_comes_late_changes_nothing() {
        let now = Instant::now();
        let mut lists = Lists::default();
        for (number, clients) in [(u32::MAX, 0..3), (0, 0..2), (u32::MAX, 0..3)] {
            for part in list(number, clients) {
                lists.add(now, [1; 16], part);
            }
        }
        assert_eq!(known(&lists), 2);
    }

    #[test]
    fn an_empty_list_forgets() {
        let now = Instant::now();
        let mut lists = Lists::default();
        for part in list(1, 0..3).into_iter().chain(list(2, 0..0)) {
            lists.add(now, [1; 16], part);
        }
        assert_eq!(known(&lists), 0);
    }

    #[test]
    fn few_processes_are_remembered_and_not_for_ever() {
        let now = Instant::now();
        let mut lists = Lists::default();
        for boot in 0..10u8 {
            for part in list(1, 0..1) {
                lists.add(now + Duration::from_secs(boot.into()), [boot; 16], part);
            }
        }
        assert_eq!(lists.senders.len(), MOST_SENDERS);
        assert!(lists.senders.iter().all(|s| s.boot[0] >= 6));
        for part in list(2, 0..1) {
            lists.add(now + KEPT * 2, [9; 16], part);
        }
        assert_eq!(lists.senders.len(), 1);
    }
}
