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
        let fits = |index: usize| self.factor == 0 || self.has_room(servers, pool, index);
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

    /// Bounded loads: no server carries more than `factor` percent of its
    /// share of all sessions, the new one included.
    fn has_room(&self, servers: &impl Servers, pool: Pool, index: usize) -> bool {
        let (mut load, mut weight) = (1, 0);
        for member in pool.members(servers) {
            load += u64::from(servers.load(member));
            weight += u64::from(servers.weight(member));
        }
        let share = load * u64::from(self.factor) * u64::from(servers.weight(index));
        u64::from(servers.load(index)) < share.div_ceil(100 * weight.max(1)).max(1)
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
