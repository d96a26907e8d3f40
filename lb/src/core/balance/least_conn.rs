//! `balance leastconn`: the server with the fewest sessions for its weight;
//! among equals the one that has been at this number for longest.

use super::{Pool, Servers};

#[derive(Debug, Default)]
pub(super) struct LeastConn {
    /// Score of each server when last seen, and since which turn it has it.
    seen: Vec<(u64, u64)>,
    turn: u64,
}

impl LeastConn {
    pub(super) fn choose(
        &mut self,
        servers: &impl Servers,
        pool: Pool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        self.turn += 1;
        self.seen.resize(servers.count(), (0, 0));
        let mut best: Option<(bool, u64, u64, usize)> = None;
        for index in pool.members(servers) {
            let score = score(servers, index);
            if self.seen[index].0 != score {
                self.seen[index] = (score, self.turn);
            }
            if servers.is_full(index) {
                continue;
            }
            let rank = (Some(index) == avoid, score, self.seen[index].1, index);
            if best.is_none_or(|b| rank < b) {
                best = Some(rank);
            }
        }
        let (.., chosen) = best?;
        // Should its session be over by the next choice, it is the last of its equals.
        self.turn += 1;
        self.seen[chosen].1 = self.turn;
        Some(chosen)
    }
}

fn score(servers: &impl Servers, index: usize) -> u64 {
    match servers.load(index) {
        0 => 0,
        load => (u64::from(load) + 1) * 4096 / u64::from(servers.weight(index).max(1)),
    }
}
