//! A table of servers, each as often as its weight says: `static-rr` walks
//! through it, map-based hashing looks up in it.

use super::{Pool, Servers};

#[derive(Debug, Default)]
pub(super) struct Map {
    slots: Vec<u32>,
    built_for: Option<(u64, Pool)>,
    /// The next slot of `static-rr`; behind the last one it stays until the next choice, when the table may be longer.
    position: usize,
}

impl Map {
    pub(super) fn next(&mut self, servers: &impl Servers, pool: Pool) -> Option<usize> {
        self.refresh(servers, pool);
        for _ in 0..self.slots.len() {
            if self.position >= self.slots.len() {
                self.position = 0;
            }
            let index = self.slots[self.position] as usize;
            self.position += 1;
            if !servers.is_full(index) {
                return Some(index);
            }
        }
        None
    }

    pub(super) fn at(&mut self, servers: &impl Servers, pool: Pool, key: u32) -> Option<usize> {
        self.refresh(servers, pool);
        let slot = key.checked_rem(self.slots.len() as u32)?;
        Some(self.slots[slot as usize] as usize)
    }

    fn refresh(&mut self, servers: &impl Servers, pool: Pool) {
        let now = Some((servers.epoch(), pool));
        if self.built_for == now {
            return;
        }
        self.built_for = now;
        let weights: Vec<(usize, u32)> = pool
            .members(servers)
            .map(|i| (i, servers.user_weight(i).max(1)))
            .collect();
        // Common factors would only make the table longer.
        let all = (0..servers.count()).map(|i| servers.user_weight(i));
        let common = all
            .filter(|w| *w > 0)
            .fold(0, greatest_common_divisor)
            .max(1);
        let weights: Vec<(usize, i64)> = weights
            .into_iter()
            .map(|(i, w)| (i, i64::from(w.div_ceil(common))))
            .collect();
        let total: i64 = weights.iter().map(|(_, w)| w).sum();
        self.slots.clear();
        let mut scores = vec![0_i64; weights.len()];
        for _ in 0..total {
            let mut best = 0;
            let mut best_value = i64::MIN;
            for (n, (_, weight)) in weights.iter().enumerate() {
                scores[n] += weight;
                let value = (scores[n] + total) / total;
                if value > best_value {
                    (best, best_value) = (n, value);
                }
            }
            scores[best] -= total;
            self.slots.push(weights[best].0 as u32);
        }
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        _ => greatest_common_divisor(b, a % b),
    }
}
