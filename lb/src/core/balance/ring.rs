//! Consistent hashing: each server has many points on a ring of 32 bit
//! numbers, a key goes to the nearest point; a server that comes or goes
//! moves only its own keys.

use super::hash::avalanche;
use super::{Pool, Servers};

#[derive(Debug)]
pub(super) struct Ring {
    /// Percent of the average load that a server may carry; 0: no bound.
    factor: u32,
    points: Vec<(u32, u32)>,
    built_for: Option<(u64, Pool)>,
}

impl Ring {
    pub(super) fn new(factor: u32) -> Ring {
        Ring {
            factor,
            points: Vec::new(),
            built_for: None,
        }
    }

    pub(super) fn nearest(
        &mut self,
        servers: &impl Servers,
        pool: Pool,
        key: u32,
        avoid: Option<usize>,
    ) -> Option<usize> {
        self.refresh(servers, pool);
        if self.points.is_empty() {
            return None;
        }
        let after = self.points.partition_point(|(point, _)| *point < key) % self.points.len();
        let before = (after + self.points.len() - 1) % self.points.len();
        let up = self.points[after].0.wrapping_sub(key);
        let down = key.wrapping_sub(self.points[before].0);
        let start = if down <= up { before } else { after };
        let fits = |index: usize| {
            self.factor == 0 || servers.load(index) < self.room(servers, pool, index)
        };
        let walk = (0..self.points.len()).map(|n| {
            let at = (start + n) % self.points.len();
            self.points[at].1 as usize
        });
        let mut walk = walk.filter(|i| fits(*i));
        let first = walk.next()?;
        match Some(first) == avoid {
            true => walk.find(|i| Some(*i) != avoid).or(Some(first)),
            false => Some(first),
        }
    }

    /// Bounded loads: how many sessions a server may carry. `factor` percent of all
    /// sessions, the new one included, are dealt out in whole sessions by weight; at least one.
    fn room(&self, servers: &impl Servers, pool: Pool, index: usize) -> u32 {
        let (mut sessions, mut before, mut all) = (1, 0, 0);
        for member in pool.members(servers) {
            sessions += u64::from(servers.load(member));
            all += u64::from(servers.weight(member));
            if member < index {
                before = all;
            }
        }
        let rooms = (sessions * u64::from(self.factor)).div_ceil(100);
        let own = u64::from(servers.weight(index));
        let up_to = |weight: u64| weight * rooms / all.max(1);
        (up_to(before + own) - up_to(before)).max(1) as u32
    }

    fn refresh(&mut self, servers: &impl Servers, pool: Pool) {
        let now = Some((servers.epoch(), pool));
        if self.built_for == now {
            return;
        }
        self.built_for = now;
        self.points.clear();
        for index in pool.members(servers) {
            for n in 0..servers.weight(index) {
                let seed = servers.id(index).wrapping_mul(4096).wrapping_add(n);
                self.points.push((avalanche(seed), index as u32));
            }
        }
        self.points.sort_unstable();
    }
}
