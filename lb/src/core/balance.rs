//! How a server is chosen for a new session: one file per algorithm.
//!
//! A [`Balancer`] keeps what an algorithm must remember between two choices
//! (position, table, ring); weights and loads are read from [`Servers`] at
//! each choice. Not here: queues, stickiness, taking the slot.

mod first;
pub mod hash;
mod least_conn;
mod map;
mod random;
mod ring;
mod round_robin;

use conf::lb::model::{Back, Balance};
use hash::Hasher;
use map::Map;
use random::Draws;
use ring::Ring;
use round_robin::RoundRobin;

/// What a balancer sees of a backend's servers, by index in the file's order.
pub trait Servers {
    /// How many there are.
    fn count(&self) -> usize;
    /// Effective weight in sixteenths; 0: not usable.
    fn weight(&self, index: usize) -> u32;
    /// The user's weight while usable, else 0.
    fn user_weight(&self, index: usize) -> u32;
    /// Sessions that it serves, waiting ones included.
    fn load(&self, index: usize) -> u32;
    /// Its limit of sessions is reached.
    fn is_full(&self, index: usize) -> bool;
    /// `backup`.
    fn is_backup(&self, index: usize) -> bool;
    /// Its id.
    fn id(&self, index: usize) -> u32;
    /// Differs when a weight or state changed.
    fn epoch(&self) -> u64;
}

/// What one choice depends on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Hash of what the algorithm looks at; `None`: it is not there.
    pub key: Option<u32>,
    /// Server that just failed: another one is preferred.
    pub avoid: Option<usize>,
}

/// A balancing algorithm with its memory.
#[derive(Debug)]
pub struct Balancer {
    algorithm: Algorithm,
    all_backups: bool,
    /// Where sessions go whose key is not there.
    fallback: RoundRobin,
}

#[derive(Debug)]
enum Algorithm {
    RoundRobin(Box<RoundRobin>),
    StaticRr(Map),
    LeastConn(least_conn::LeastConn),
    First,
    Random(Draws),
    HashMap(Map),
    HashRing(Ring),
}

impl Balancer {
    /// The balancer of a backend; `seed` starts its randomness.
    pub fn new(back: &Back, seed: u64) -> Balancer {
        let hashing = || match back.hash.consistent {
            true => Algorithm::HashRing(Ring::new(back.hash_balance_factor)),
            false => Algorithm::HashMap(Map::default()),
        };
        let algorithm = match &back.balance {
            Balance::RoundRobin => Algorithm::RoundRobin(Box::default()),
            Balance::StaticRr => Algorithm::StaticRr(Map::default()),
            Balance::LeastConn => Algorithm::LeastConn(least_conn::LeastConn::default()),
            Balance::First => Algorithm::First,
            Balance::Random(draws) => Algorithm::Random(Draws::new(*draws, seed)),
            Balance::Source
            | Balance::Hash(_)
            | Balance::Uri(_)
            | Balance::UrlParam(_)
            | Balance::Header(..)
            | Balance::RdpCookie(_) => hashing(),
        };
        Balancer {
            algorithm,
            all_backups: back.allbackups,
            fallback: RoundRobin::default(),
        }
    }

    /// Chooses a server; `None`: none is usable, or all that may be chosen are full.
    pub fn choose(&mut self, servers: &impl Servers, wish: Wish) -> Option<usize> {
        let pool = Pool::of(servers, self.all_backups);
        match &mut self.algorithm {
            Algorithm::RoundRobin(it) => it.choose(servers, pool, wish.avoid),
            Algorithm::StaticRr(it) => it.next(servers, pool),
            Algorithm::LeastConn(it) => it.choose(servers, pool, wish.avoid),
            Algorithm::First => first::choose(servers, pool),
            Algorithm::Random(it) => it.choose(servers, pool, wish.avoid),
            Algorithm::HashMap(it) => match wish.key {
                Some(key) => it.at(servers, pool, key),
                None => self.fallback.choose(servers, pool, wish.avoid),
            },
            Algorithm::HashRing(it) => match wish.key {
                Some(key) => it.nearest(servers, pool, key, wish.avoid),
                None => self.fallback.choose(servers, pool, wish.avoid),
            },
        }
    }

    /// Servers are chosen by a key, so that the same server follows after a
    /// failed try unless it is avoided.
    pub fn is_by_key(&self) -> bool {
        match self.algorithm {
            Algorithm::HashMap(_) | Algorithm::HashRing(_) => true,
            Algorithm::RoundRobin(_)
            | Algorithm::StaticRr(_)
            | Algorithm::Random(_)
            | Algorithm::LeastConn(_)
            | Algorithm::First => false,
        }
    }
}

/// Hash of a `balance` key, or of an address for `balance source`.
pub fn key_of(back: &Back, bytes: &[u8]) -> u32 {
    Hasher::of(back.hash).key(bytes)
}

/// Hash of a client's address for `balance source`.
pub fn key_of_source(back: &Back, address: std::net::IpAddr) -> u32 {
    Hasher::of(back.hash).source(address)
}

/// Who may be chosen now: the active servers, or else the first backup (or all).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    Active,
    Backups,
    Only(usize),
}

impl Pool {
    fn of(servers: &impl Servers, all_backups: bool) -> Pool {
        let mut first_backup = None;
        for index in (0..servers.count()).filter(|i| servers.weight(*i) > 0) {
            match servers.is_backup(index) {
                false => return Pool::Active,
                true => first_backup = first_backup.or(Some(index)),
            }
        }
        match first_backup {
            Some(index) if !all_backups => Pool::Only(index),
            _ => Pool::Backups,
        }
    }

    fn members(self, servers: &impl Servers) -> impl Iterator<Item = usize> {
        (0..servers.count()).filter(move |i| self.has(servers, *i))
    }

    fn has(self, servers: &impl Servers, index: usize) -> bool {
        servers.weight(index) > 0
            && match self {
                Pool::Active => !servers.is_backup(index),
                Pool::Backups => servers.is_backup(index),
                Pool::Only(only) => index == only,
            }
    }
}

#[cfg(test)]
mod tests;
