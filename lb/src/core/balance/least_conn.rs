//! `balance leastconn`: the server with the fewest sessions for its weight;
//! among equals the one that has been at this number for longest.

use super::{Pool, Servers};

#[derive(Debug, Default)]
pub(super) struct LeastConn {
    seen: Vec<Seen>,
    turn: u64,
}

/// A server when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    score: u64,
    /// Its weight; 0 while it was not among those to choose from.
    weight: u32,
    /// The turn since which it has both.
    since: u64,
}

impl LeastConn {
    pub(super) fn choose(
        &mut self,
        servers: &impl Servers,
        pool: Pool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        self.turn += 1;
        self.look(servers, pool);
        let rank = |index: usize| {
            let seen = &self.seen[index];
            (Some(index) == avoid, seen.score, seen.since, index)
        };
        let chosen = pool
            .members(servers)
            .filter(|index| !servers.is_full(*index))
            .min_by_key(|index| rank(*index))?;
        // Should its session be over by the next choice, it is the last of its equals.
        self.turn += 1;
        self.seen[chosen].since = self.turn;
        Some(chosen)
    }

    /// Who has another score or weight than before, or is back, is the last of its equals.
    fn look(&mut self, servers: &impl Servers, pool: Pool) {
        self.seen.resize(servers.count(), Seen::default());
        let first_time = self.turn == 1;
        for (index, seen) in self.seen.iter_mut().enumerate() {
            let (score, weight) = match pool.has(servers, index) {
                true => (score(servers, index), servers.weight(index)),
                false => (0, 0),
            };
            if (seen.score, seen.weight) != (score, weight) {
                let since = if first_time { 0 } else { self.turn };
                *seen = Seen {
                    score,
                    weight,
                    since,
                };
            }
        }
    }
}

fn score(servers: &impl Servers, index: usize) -> u64 {
    match servers.load(index) {
        0 => 0,
        load => (u64::from(load) + 1) * 4096 / u64::from(servers.weight(index).max(1)),
    }
}
