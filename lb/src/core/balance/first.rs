//! `balance first`: the first server, by id, that has a slot free.

use super::{Pool, Servers};

pub(super) fn choose(servers: &impl Servers, pool: Pool) -> Option<usize> {
    pool.members(servers)
        .filter(|i| !servers.is_full(*i))
        .min_by_key(|i| servers.id(*i))
}
