//! `balance random(n)`: n draws by weight, and the least loaded of them.

use super::{Pool, Servers};

#[derive(Debug)]
pub(super) struct Draws {
    draws: u32,
    state: u64,
}

impl Draws {
    pub(super) fn new(draws: u32, seed: u64) -> Draws {
        Draws {
            draws: draws.max(1),
            state: seed | 1,
        }
    }

    pub(super) fn choose(
        &mut self,
        servers: &impl Servers,
        pool: Pool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        let mut best: Option<usize> = None;
        for _ in 0..self.draws {
            let drawn = self.draw(servers, pool, avoid)?;
            let heavier = |than: usize| {
                let ours = u64::from(servers.load(drawn)) * u64::from(servers.weight(than));
                let theirs = u64::from(servers.load(than)) * u64::from(servers.weight(drawn));
                ours > theirs
            };
            if best.is_none_or(|b| !heavier(b)) {
                best = Some(drawn);
            }
        }
        // A full one means: wait in the backend's queue.
        best.filter(|b| !servers.is_full(*b))
    }

    fn draw(&mut self, servers: &impl Servers, pool: Pool, avoid: Option<usize>) -> Option<usize> {
        let others = pool.members(servers).any(|i| Some(i) != avoid);
        let may = |i: &usize| !others || Some(*i) != avoid;
        let total: u64 = pool
            .members(servers)
            .filter(may)
            .map(|i| u64::from(servers.weight(i)))
            .sum();
        let mut point = self.random().checked_rem(total)?;
        for index in pool.members(servers).filter(may) {
            let weight = u64::from(servers.weight(index));
            if point < weight {
                return Some(index);
            }
            point -= weight;
        }
        None
    }

    /// Xorshift with a multiplication (Vigna 2014): even enough for balancing.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 1
    }
}
