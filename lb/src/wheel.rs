//! Deadlines of many sessions, cheaply: setting one costs a few stores, and
//! traffic does not move it. A session whose wheel turn comes says when its
//! real deadline is and is set again.
//!
//! Two rings: one of milliseconds for what is less than a second away, one of
//! half seconds for the rest. Only the first asks for a wake-up in time; the
//! other needs [`Wheel::advance`] at least every [`HEARTBEAT_MS`], so that a
//! thread whose deadlines are all far away waits without a timer of its own
//! (arming one at each wait costs more than a small message's whole user
//! time). Not here: what a deadline means.

const NONE: u32 = u32::MAX;
const FINE_SLOTS: u64 = 1024;
const COARSE_SLOTS: u64 = 1024;
const COARSE_MS: u64 = 512;

/// The longest pause between two calls of [`Wheel::advance`].
pub const HEARTBEAT_MS: u64 = 400;

/// Deadlines by index (that of a slab).
pub struct Wheel {
    fine: Ring,
    coarse: Ring,
    links: Vec<Link>,
}

#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    /// Slot in the fine ring, or in the coarse one plus `FINE_SLOTS`; `NONE`: not set.
    slot: u32,
}

struct Ring {
    heads: Vec<u32>,
    /// One bit for each slot that is not empty.
    taken: Vec<u64>,
    /// Slots that are not empty: mostly none of the fine ring, then nothing is searched.
    count: usize,
    /// The next tick to be looked at.
    next: u64,
    /// No slot that is not empty is due before this tick: a thread that turns for each message
    /// need not search every time.
    earliest: u64,
}

impl Ring {
    fn new(slots: u64, next: u64) -> Ring {
        Ring {
            heads: vec![NONE; slots as usize],
            taken: vec![0; slots as usize / 64],
            count: 0,
            next,
            earliest: u64::MAX,
        }
    }

    fn slots(&self) -> u64 {
        self.heads.len() as u64
    }

    fn take(&mut self, slot: u64, tick: u64) {
        self.earliest = self.earliest.min(tick);
        let (word, bit) = (&mut self.taken[slot as usize / 64], 1 << (slot % 64));
        self.count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    fn free(&mut self, slot: u64) {
        self.taken[slot as usize / 64] &= !(1 << (slot % 64));
        self.count -= 1;
    }

    /// The first tick from `self.next` on whose slot is not empty.
    fn first_taken(&self) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let slots = self.slots();
        let start = self.next % slots;
        let words = self.taken.len() as u64;
        for n in 0..=words {
            let word = (start / 64 + n) % words;
            let mut bits = self.taken[word as usize];
            if n == 0 {
                bits &= !0 << (start % 64);
            } else if n == words {
                bits &= !(!0 << (start % 64));
            }
            if bits != 0 {
                let slot = word * 64 + u64::from(bits.trailing_zeros());
                return Some(self.next + (slot + slots - start) % slots);
            }
        }
        None
    }
}

impl Wheel {
    /// An empty wheel whose time is `now_ms`.
    pub fn new(now_ms: u64) -> Wheel {
        Wheel {
            fine: Ring::new(FINE_SLOTS, now_ms),
            coarse: Ring::new(COARSE_SLOTS, now_ms / COARSE_MS),
            links: Vec::new(),
        }
    }

    /// Looks at `index` at `at_ms` (or earlier, if that is far away).
    pub fn set(&mut self, index: usize, at_ms: u64) {
        self.remove(index);
        if index >= self.links.len() {
            let free = Link {
                previous: NONE,
                next: NONE,
                slot: NONE,
            };
            self.links.resize(index + 1, free);
        }
        let at_ms = at_ms.max(self.fine.next);
        let near = at_ms - self.fine.next < FINE_SLOTS;
        let (ring, tick, offset) = match near {
            true => (&mut self.fine, at_ms, 0),
            false => {
                let last = self.coarse.next + COARSE_SLOTS - 1;
                // A slot early: a heartbeat may come late by nearly a slot.
                let tick = (at_ms / COARSE_MS - 1).clamp(self.coarse.next, last);
                (&mut self.coarse, tick, FINE_SLOTS)
            }
        };
        let slot = tick % ring.slots();
        let head = std::mem::replace(&mut ring.heads[slot as usize], index as u32);
        ring.take(slot, tick);
        self.links[index] = Link {
            previous: NONE,
            next: head,
            slot: (slot + offset) as u32,
        };
        if head != NONE {
            self.links[head as usize].previous = index as u32;
        }
    }

    /// Forgets the deadline of `index`.
    pub fn remove(&mut self, index: usize) {
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        let Link {
            previous,
            next,
            slot,
        } = *link;
        if slot == NONE {
            return;
        }
        link.slot = NONE;
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        if previous != NONE {
            self.links[previous as usize].next = next;
            return;
        }
        let (ring, slot) = match u64::from(slot) < FINE_SLOTS {
            true => (&mut self.fine, u64::from(slot)),
            false => (&mut self.coarse, u64::from(slot) - FINE_SLOTS),
        };
        ring.heads[slot as usize] = next;
        if next == NONE {
            ring.free(slot);
        }
    }

    /// When [`Wheel::advance`] has something to do next, if that is before
    /// the heartbeat.
    pub fn next_ms(&self) -> Option<u64> {
        self.fine.first_taken()
    }

    /// Moves to `now_ms` and appends everybody whose turn came to `due`.
    pub fn advance(&mut self, now_ms: u64, due: &mut Vec<usize>) {
        take_due(&mut self.coarse, now_ms / COARSE_MS, &mut self.links, due);
        take_due(&mut self.fine, now_ms, &mut self.links, due);
    }
}

fn take_due(ring: &mut Ring, now: u64, links: &mut [Link], due: &mut Vec<usize>) {
    while ring.earliest <= now {
        let first = ring.first_taken();
        ring.earliest = first.unwrap_or(u64::MAX);
        let Some(tick) = first.filter(|tick| *tick <= now) else {
            break;
        };
        let slot = tick % ring.slots();
        let mut index = std::mem::replace(&mut ring.heads[slot as usize], NONE);
        ring.free(slot);
        while index != NONE {
            due.push(index as usize);
            let link = &mut links[index as usize];
            link.slot = NONE;
            index = link.next;
        }
    }
    ring.next = ring.next.max(now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nobody_is_looked_at_late_or_more_than_a_turn_early(
            deadlines in prop::collection::vec(0_u64..1_200_000, 1..60),
            removed in prop::collection::vec(any::<bool>(), 60),
            steps in prop::collection::vec(150_u64..=HEARTBEAT_MS, 10..20),
        ) {
            let start = 77_777;
            let mut wheel = Wheel::new(start);
            let mut open: Vec<Option<u64>> = Vec::new();
            for (index, after) in deadlines.iter().enumerate() {
                wheel.set(index, start + after);
                open.push(Some(start + after));
            }
            for (index, gone) in removed.iter().enumerate().take(open.len()) {
                if *gone {
                    wheel.remove(index);
                    open[index] = None;
                }
            }
            let mut now = start;
            for step in steps.iter().cycle().take(10_000) {
                now += step;
                let mut due = Vec::new();
                wheel.advance(now, &mut due);
                for index in due {
                    let deadline = open[index].expect("removed ones never come");
                    if deadline > now {
                        wheel.set(index, deadline);
                    } else {
                        prop_assert!(now - deadline <= *step, "late by {}", now - deadline);
                        open[index] = None;
                    }
                }
                // Whoever is due before the next heartbeat has a wake-up in time.
                let soon = open.iter().flatten().filter(|d| **d <= now + HEARTBEAT_MS).min();
                if let Some(soon) = soon {
                    prop_assert!(wheel.next_ms().is_some_and(|n| n <= *soon));
                }
                if open.iter().all(Option::is_none) {
                    break;
                }
            }
            prop_assert!(open.iter().all(Option::is_none));
            prop_assert_eq!(wheel.next_ms(), None);
        }
    }
}
