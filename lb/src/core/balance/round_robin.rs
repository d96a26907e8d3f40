//! `balance roundrobin`: in turn, as smoothly as the weights allow, in the
//! order that HAProxy's operators know.
//!
//! Time is a counter of choices. A server of weight w among a total of t comes
//! every t/w choices (the remainder is carried on), so each has a place where
//! it is due next. Servers wait in one of three lanes: `now` by that place;
//! `ready` by weight, those that have no place in this round yet; `later`
//! those whose place lies behind the round's end. When nobody is left in the
//! first two, a new round begins with those of `later`.

use super::{Pool, Servers};
use std::collections::BTreeSet;

/// The greatest effective weight: 256 sixteen times.
const MOST: u64 = 256 * 16;

#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    active: Group,
    backups: Group,
    known: Option<u64>,
}

/// Servers that take turns with each other.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Member>,
    now: Lane,
    ready: Lane,
    later: Lane,
    /// Where the counter of choices stands.
    position: u64,
    /// Sum of the weights when the round began.
    round: u64,
    /// Sum of the weights as they are.
    total: u64,
    arrivals: u64,
}

/// Members in order; equals in order of arrival.
type Lane = BTreeSet<(u64, u64, usize)>;

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    weight: u64,
    /// Where it was due, and is due next.
    last: u64,
    due: u64,
    /// Fractions of a place carried on, in units of the weight.
    carry: u64,
    at: Option<(LaneName, (u64, u64, usize))>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneName {
    Now,
    Ready,
    Later,
}

impl RoundRobin {
    pub(super) fn choose(
        &mut self,
        servers: &impl Servers,
        pool: Pool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        self.refresh(servers);
        let free = |index: usize| !servers.is_full(index);
        match pool {
            Pool::Active => self.active.choose(free, avoid),
            Pool::Backups => self.backups.choose(free, avoid),
            Pool::Only(index) => free(index).then_some(index),
        }
    }

    /// Takes weights and states over when one has changed.
    fn refresh(&mut self, servers: &impl Servers) {
        let now = Some(servers.epoch());
        if self.known == now {
            return;
        }
        for (group, backup) in [(&mut self.active, false), (&mut self.backups, true)] {
            let weight = |index| match servers.is_backup(index) == backup {
                true => u64::from(servers.weight(index)),
                false => 0,
            };
            match self.known {
                None => group.begin((0..servers.count()).map(weight)),
                Some(_) => (0..servers.count()).for_each(|i| group.weigh(i, weight(i))),
            }
        }
        self.known = now;
    }
}

impl Group {
    fn begin(&mut self, weights: impl Iterator<Item = u64>) {
        for (index, weight) in weights.enumerate() {
            self.members.push(Member {
                weight,
                ..Member::default()
            });
            self.total += weight;
            if weight > 0 {
                self.put_ready(index);
            }
        }
        self.round = self.total;
        self.position = self.total;
    }

    /// A member's weight is this now; 0: it takes no part.
    fn weigh(&mut self, index: usize, weight: u64) {
        if self.members.len() <= index {
            self.members.resize(index + 1, Member::default());
        }
        let before = self.members[index].weight;
        if before == weight {
            return;
        }
        self.total = self.total - before + weight;
        self.members[index].weight = weight;
        let lane = self.members[index].at.map(|(lane, _)| lane);
        self.take_out(index);
        if weight == 0 {
            return;
        }
        match lane {
            Some(LaneName::Ready) => self.put_ready(index),
            Some(lane) => self.move_place(index, lane),
            None => {
                let left = (self.total + self.round).saturating_sub(self.position);
                self.members[index].due = self.position + left / weight;
                self.put(index);
            }
        }
    }

    /// Another weight for one that waits for its place: not later than
    /// before, and not in the past.
    fn move_place(&mut self, index: usize, lane: LaneName) {
        let step = self.total / self.members[index].weight;
        let later = match lane {
            LaneName::Later => self.round,
            LaneName::Now | LaneName::Ready => 0,
        };
        let member = &mut self.members[index];
        let before = member.due + later;
        member.carry = 0;
        member.due = (member.last + step).min(before);
        if member.due < self.position + 2 {
            member.due = self.position + step;
        }
        self.put(index);
    }

    fn choose(&mut self, free: impl Fn(usize) -> bool, avoid: Option<usize>) -> Option<usize> {
        if self.round == 0 {
            self.round = self.total;
        }
        let mut passed = Vec::new();
        let mut avoided = None;
        let mut turned = false;
        let chosen = loop {
            let Some(index) = self.next() else {
                if turned {
                    break avoided;
                }
                turned = true;
                std::mem::swap(&mut self.ready, &mut self.later);
                self.rename_lanes();
                self.round = self.total;
                self.position = self.round;
                continue;
            };
            self.advance(index);
            self.take_out(index);
            self.position += 1;
            if free(index) {
                if avoid != Some(index) {
                    break Some(index);
                }
                avoided = Some(index);
            }
            passed.push(index);
        };
        if let Some(index) = chosen {
            self.put(index);
        }
        // Those passed over keep their places, unless the round is over.
        for index in passed.into_iter().rev().filter(|i| Some(*i) != chosen) {
            match turned {
                true => self.put_ready(index),
                false => self.put(index),
            }
        }
        chosen
    }

    /// Who is due, or has no place yet; nobody when the round is over.
    fn next(&mut self) -> Option<usize> {
        let waiting = self.now.first().map(|(.., index)| *index);
        if let Some(index) = waiting
            && self.members[index].due <= self.position
        {
            return Some(index);
        }
        match self.ready.first() {
            Some((.., index)) => {
                let index = *index;
                self.members[index].due = 0;
                self.members[index].carry = 0;
                Some(index)
            }
            None => waiting,
        }
    }

    /// One turn is taken: when is the next one due?
    fn advance(&mut self, index: usize) {
        let member = &mut self.members[index];
        if member.due == 0 {
            member.due = self.position;
        }
        member.last = member.due;
        member.due += self.total / member.weight;
        member.carry += self.total % member.weight;
        if member.carry >= member.weight {
            member.carry -= member.weight;
            member.due += 1;
        }
    }

    fn put(&mut self, index: usize) {
        let member = &mut self.members[index];
        if member.due >= 2 * self.round || member.due >= self.round + self.total {
            member.due = member.due.saturating_sub(self.round);
            return self.insert(index, LaneName::Later, MOST - self.members[index].weight);
        }
        let rest = (MOST + member.carry - member.weight) / 16;
        let key = 256 * member.due + rest;
        self.insert(index, LaneName::Now, key);
    }

    fn put_ready(&mut self, index: usize) {
        self.insert(index, LaneName::Ready, MOST - self.members[index].weight);
    }

    fn insert(&mut self, index: usize, lane: LaneName, key: u64) {
        self.arrivals += 1;
        let place = (key, self.arrivals, index);
        self.members[index].at = Some((lane, place));
        self.lane(lane).insert(place);
    }

    fn take_out(&mut self, index: usize) {
        if let Some((lane, place)) = self.members[index].at.take() {
            self.lane(lane).remove(&place);
        }
    }

    fn lane(&mut self, name: LaneName) -> &mut Lane {
        match name {
            LaneName::Now => &mut self.now,
            LaneName::Ready => &mut self.ready,
            LaneName::Later => &mut self.later,
        }
    }

    /// After the swap that begins a round, `later` is empty.
    fn rename_lanes(&mut self) {
        for (.., index) in &self.ready {
            if let Some((lane, _)) = &mut self.members[*index].at {
                *lane = LaneName::Ready;
            }
        }
    }
}
