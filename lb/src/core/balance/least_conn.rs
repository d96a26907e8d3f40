//! `balance leastconn`: the server with the fewest sessions for its weight;
//! round robin among equals.

use super::{Pool, Servers};

#[derive(Debug, Default)]
pub(super) struct LeastConn {
    last: usize,
}

impl LeastConn {
    pub(super) fn choose(
        &mut self,
        servers: &impl Servers,
        pool: Pool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        let count = servers.count();
        let score = |index: usize| match servers.load(index) {
            0 => 0,
            load => (u64::from(load) + 1) * 4096 / u64::from(servers.weight(index)),
        };
        // The turn begins behind the last choice, so equals take turns.
        let turn = (0..count).map(|n| (self.last + 1 + n) % count);
        let free = turn.filter(|i| pool.has(servers, *i) && !servers.is_full(*i));
        let best = free.min_by_key(|i| (Some(*i) == avoid, score(*i)))?;
        self.last = best;
        Some(best)
    }
}

impl LeastConn {
    #[cfg(test)]
    pub(super) fn starting_before(first: usize) -> LeastConn {
        LeastConn { last: first }
    }
}
