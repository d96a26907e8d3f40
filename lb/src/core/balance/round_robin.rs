//! `balance roundrobin`: in turn, as smoothly as the weights allow.
//!
//! Each turn every server gains its weight and the richest pays for all, so a
//! server of weight 2 among two of weight 1 comes every other time.

use super::{Pool, Servers};

#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    credits: Vec<i64>,
}

impl RoundRobin {
    pub(super) fn choose(
        &mut self,
        servers: &impl Servers,
        pool: Pool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        self.credits.resize(servers.count(), 0);
        let mut total = 0;
        let mut best: Option<usize> = None;
        let mut second: Option<usize> = None;
        for index in pool.members(servers).filter(|i| !servers.is_full(*i)) {
            let weight = i64::from(servers.weight(index));
            total += weight;
            // A server that was away long must not come back with a heap of credit or debt.
            let bound = 2 * weight + total;
            self.credits[index] = (self.credits[index] + weight).clamp(-16 * bound, 16 * bound);
            let richer = |than: usize| self.credits[index] > self.credits[than];
            if best.is_none_or(richer) {
                second = best;
                best = Some(index);
            } else if second.is_none_or(richer) {
                second = Some(index);
            }
        }
        let chosen = match (best, second) {
            (best, Some(second)) if best == avoid => second,
            (best, _) => best?,
        };
        self.credits[chosen] -= total;
        Some(chosen)
    }
}
