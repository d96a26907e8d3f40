//! How many long-lived sessions a backend ends, where and when: to even its
//! servers out after one came back, was added or weighs more (`rebalance`), and
//! to empty a server that is taken out (`drain-sessions`).
//!
//! ```text
//! idle      a server comes, or weighs more               -> settling
//! settling  `settle` has passed without a change         -> moving, or idle when even
//! moving    within x % of even, or no progress           -> idle
//!           a server falls out                           -> settling
//! ```
//!
//! Nothing is ended while a server that should work does not. A server is never
//! taken below its even share, and no 60 seconds see more ends than the bound,
//! so there is nothing that could swing. Which sessions, and how they are
//! ended: see `crate::rebalance` and `farewell`.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long ended sessions may be on their way back: the most sessions of so many seconds are
/// what there is to share.
const RETURN_S: u64 = 10;
/// Seconds that the bound looks back.
const MINUTE_S: usize = 60;

/// `rebalance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Most sessions of the backend that are ended in a minute, in percent.
    pub rate_percent: u32,
    /// Servers are even when all are within this of their share, in percent.
    pub within_percent: u32,
    /// Time without a change before anything is ended.
    pub settle: Duration,
}

/// A server at one moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Effective weight; 0: it gets no sessions.
    pub weight: u32,
    /// Weight of the file or the operator.
    pub user_weight: u32,
    /// Its weight still grows.
    pub starting: bool,
    /// Its sessions.
    pub sessions: u32,
    /// Those of them that are being ended already.
    pub leaving: u32,
    /// It should be usable, and is not.
    pub broken: bool,
    /// It is to be emptied, at most this many percent of its sessions in a minute.
    pub drain_percent: Option<u32>,
}

impl Seen {
    fn staying(&self) -> u32 {
        self.sessions.saturating_sub(self.leaving)
    }
}

/// Why sessions are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Others have less than their share.
    Uneven,
    /// Their server is being emptied.
    Drain,
}

/// What is to be done or told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// End `count` sessions of the server with this index.
    End {
        /// Index in what was seen.
        server: usize,
        /// How many.
        count: u32,
        /// Why.
        why: Why,
    },
    /// Something that an operator may want to read.
    Tell(String),
}

/// Where a backend stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing to do.
    Idle,
    /// Something changed; waits until nothing changes any more.
    Settling {
        /// What changed.
        cause: String,
        /// Since when nothing has.
        since_ms: u64,
    },
    /// Sessions are being moved.
    Moving {
        /// What changed.
        cause: String,
        /// Ended since it began.
        ended: u32,
        /// Fewest sessions above their servers' shares so far.
        best: u32,
        /// Ended since `best` was reached.
        vain: u32,
    },
}

/// Ends in the last minute, by second.
#[derive(Clone, Debug)]
struct Window {
    seconds: [u32; MINUTE_S + 1],
    now_s: u64,
}

impl Default for Window {
    fn default() -> Window {
        Window {
            seconds: [0; MINUTE_S + 1],
            now_s: 0,
        }
    }
}

impl Window {
    fn advance(&mut self, now_ms: u64) {
        let now_s = now_ms / 1000;
        let slots = self.seconds.len() as u64;
        for second in (self.now_s + 1..=now_s).take(self.seconds.len()) {
            self.seconds[(second % slots) as usize] = 0;
        }
        if now_s.saturating_sub(self.now_s) >= slots {
            self.seconds = [0; MINUTE_S + 1];
        }
        self.now_s = self.now_s.max(now_s);
    }

    fn add(&mut self, count: u32) {
        let slots = self.seconds.len() as u64;
        self.seconds[(self.now_s % slots) as usize] += count;
    }

    fn sum(&self) -> u32 {
        self.seconds.iter().sum()
    }

    fn last(&self, seconds: u64) -> u32 {
        let slots = self.seconds.len() as u64;
        (0..=seconds.min(self.now_s))
            .map(|ago| self.seconds[((self.now_s - ago) % slots) as usize])
            .sum()
    }
}

/// The most sessions of the last seconds.
#[derive(Clone, Debug, Default)]
struct Highest {
    seconds: [u32; RETURN_S as usize + 1],
    now_s: u64,
}

impl Highest {
    fn add(&mut self, now_ms: u64, count: u32) {
        let (now_s, slots) = (now_ms / 1000, self.seconds.len() as u64);
        for second in (self.now_s + 1..=now_s).take(self.seconds.len()) {
            self.seconds[(second % slots) as usize] = 0;
        }
        if now_s.saturating_sub(self.now_s) >= slots {
            self.seconds.fill(0);
        }
        self.now_s = self.now_s.max(now_s);
        let second = &mut self.seconds[(self.now_s % slots) as usize];
        *second = count.max(*second);
    }

    fn get(&self) -> u32 {
        self.seconds.iter().copied().max().unwrap_or(0)
    }
}

/// A bound on ends in a minute, spread over it with jitter.
#[derive(Clone, Debug, Default)]
struct Pace {
    window: Window,
    credit: f64,
}

impl Pace {
    /// How many may be ended now of `of` sessions; `elapsed_ms` since the last time.
    fn grant(&mut self, of: u32, percent: u32, elapsed_ms: u64, jitter: f64) -> u32 {
        let bound = bound(of, percent);
        let per_ms = f64::from(bound) / 60_000.0;
        // what was not used does not heap up to a burst
        let most = (f64::from(bound) / 30.0).max(1.0);
        self.credit = (self.credit + elapsed_ms as f64 * per_ms * 2.0 * jitter).min(most);
        let room = bound.saturating_sub(self.window.sum());
        (self.credit as u32).min(room)
    }

    fn spend(&mut self, count: u32) {
        self.credit -= f64::from(count);
        self.window.add(count);
    }
}

/// Most ends in a minute: `percent` of the sessions, but one at least.
pub fn bound(sessions: u32, percent: u32) -> u32 {
    let share = u64::from(sessions) * u64::from(percent) / 100;
    (share as u32).max(1)
}

#[derive(Clone, Debug)]
struct Known {
    usable: bool,
    user_weight: u32,
}

#[derive(Clone, Debug)]
struct Drain {
    /// Sessions when it began: what the percentage is of.
    base: u32,
    pace: Pace,
    told_empty: bool,
}

/// Rebalancing and draining of one backend.
#[derive(Clone, Debug)]
pub struct Rebalance {
    known: Option<BTreeMap<String, Known>>,
    state: State,
    pace: Pace,
    total: Highest,
    drains: BTreeMap<String, Drain>,
    last_ms: u64,
    held_back_by: Option<String>,
}

impl Default for Rebalance {
    fn default() -> Rebalance {
        Rebalance {
            known: None,
            state: State::Idle,
            pace: Pace::default(),
            total: Highest::default(),
            drains: BTreeMap::new(),
            last_ms: 0,
            held_back_by: None,
        }
    }
}

impl Rebalance {
    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The server that holds everything back, because it should work and does not.
    pub fn held_back_by(&self) -> Option<&str> {
        self.held_back_by.as_deref()
    }

    /// Sessions ended in the last minute to even servers out.
    pub fn last_minute(&self) -> u32 {
        self.pace.window.sum()
    }

    /// Begins as if a server had come.
    pub fn begin(&mut self, now_ms: u64, cause: &str) {
        self.become_settling(now_ms, cause.to_owned());
    }

    /// Looks at the backend; call it a few times a second. `jitter` is a fresh random number
    /// between 0 and 1.
    pub fn step(
        &mut self,
        now_ms: u64,
        policy: Option<&Policy>,
        servers: &[Seen],
        jitter: f64,
        out: &mut Vec<Action>,
    ) {
        let elapsed_ms = match self.last_ms {
            0 => 0,
            last => now_ms.saturating_sub(last).min(1000),
        };
        self.last_ms = now_ms;
        let cause = self.change(servers);
        self.held_back_by = servers.iter().find(|s| s.broken).map(|s| s.name.clone());
        self.drain(now_ms, servers, elapsed_ms, jitter, out);
        self.pace.window.advance(now_ms);
        let usable = servers.iter().filter(|s| s.weight > 0);
        self.total.add(now_ms, usable.map(Seen::staying).sum());
        let Some(policy) = policy else {
            self.state = State::Idle;
            return;
        };
        if let Some(cause) = cause {
            self.become_settling(now_ms, cause);
        }
        match &mut self.state {
            State::Idle => {}
            State::Settling { since_ms, .. } if self.held_back_by.is_some() => *since_ms = now_ms,
            State::Settling { since_ms, .. } => {
                if now_ms.saturating_sub(*since_ms) >= policy.settle.as_millis() as u64 {
                    self.become_moving(policy, servers, out);
                }
            }
            State::Moving { cause, .. } => match &self.held_back_by {
                Some(name) => {
                    out.push(Action::Tell(format!(
                        "rebalancing waits: {name} is not usable"
                    )));
                    let cause = cause.clone();
                    self.become_settling(now_ms, cause);
                }
                None => self.shift(policy, servers, elapsed_ms, jitter, out),
            },
        }
    }

    /// What changed since the last look that calls for rebalancing.
    fn change(&mut self, servers: &[Seen]) -> Option<String> {
        let fresh = servers.iter().map(|s| {
            let known = Known {
                usable: s.weight > 0,
                user_weight: s.user_weight,
            };
            (s.name.clone(), known)
        });
        let before = self.known.replace(fresh.collect())?;
        let cause = |s: &Seen| match before.get(&s.name) {
            _ if s.weight == 0 => None,
            None => Some(format!("{} was added", s.name)),
            Some(known) if !known.usable => Some(format!("{} came back", s.name)),
            Some(known) if known.user_weight < s.user_weight => {
                Some(format!("{} weighs more", s.name))
            }
            Some(_) => None,
        };
        servers.iter().find_map(cause)
    }

    fn become_settling(&mut self, now_ms: u64, cause: String) {
        self.total = Highest::default();
        self.state = State::Settling {
            cause,
            since_ms: now_ms,
        };
    }

    fn become_moving(&mut self, policy: &Policy, servers: &[Seen], out: &mut Vec<Action>) {
        let State::Settling { cause, .. } = &self.state else {
            return;
        };
        let starting = servers.iter().any(|s| s.starting);
        let shares = self.shares(servers);
        if !starting && is_even(servers, &shares, policy.within_percent) {
            self.state = State::Idle;
            return;
        }
        out.push(Action::Tell(format!(
            "rebalancing begins: {cause}; {} sessions above their servers' shares",
            above(servers, &shares)
        )));
        self.state = State::Moving {
            cause: cause.clone(),
            ended: 0,
            best: u32::MAX,
            vain: 0,
        };
    }

    /// Each server's even share; sessions on their way back are counted.
    fn shares(&self, servers: &[Seen]) -> Vec<f64> {
        let total = f64::from(self.total.get());
        let weights: f64 = servers.iter().map(|s| f64::from(s.weight)).sum();
        let share = |s: &Seen| total * f64::from(s.weight) / weights.max(1.0);
        servers.iter().map(share).collect()
    }

    fn shift(
        &mut self,
        policy: &Policy,
        servers: &[Seen],
        elapsed_ms: u64,
        jitter: f64,
        out: &mut Vec<Action>,
    ) {
        let shares = self.shares(servers);
        let starting = servers.iter().any(|s| s.starting);
        let surplus = above(servers, &shares);
        let State::Moving {
            ended, best, vain, ..
        } = &mut self.state
        else {
            return;
        };
        if surplus < *best {
            (*best, *vain) = (surplus, 0);
        }
        let even = is_even(servers, &shares, policy.within_percent);
        // many come back to where they were; some must not
        let in_vain = *vain > 16.max(8 * servers.len() as u32);
        let outcome = match (in_vain, even) {
            (true, _) => Some("clients come back to the same servers"),
            (false, true) => Some("servers are even"),
            (false, false) if surplus == 0 => Some("no server has more than its share"),
            (false, false) => None,
        };
        if let Some(outcome) = outcome.filter(|_| !starting) {
            // some may still be on their way back
            if in_vain || self.pace.window.last(RETURN_S) == 0 {
                out.push(Action::Tell(format!(
                    "rebalancing ends: {outcome}; {ended} sessions were moved"
                )));
                self.state = State::Idle;
            }
            return;
        }
        let sessions: u32 = servers.iter().map(|s| s.sessions).sum();
        let granted = self
            .pace
            .grant(sessions, policy.rate_percent, elapsed_ms, jitter);
        let mut gone = vec![0; servers.len()];
        for _ in 0..granted {
            match fullest(servers, &shares, &gone) {
                Some(index) => gone[index] += 1,
                None => break,
            }
        }
        let count: u32 = gone.iter().sum();
        self.pace.spend(count);
        *ended += count;
        *vain += count;
        for (server, count) in gone.into_iter().enumerate().filter(|(_, n)| *n > 0) {
            out.push(Action::End {
                server,
                count,
                why: Why::Uneven,
            });
        }
    }

    fn drain(
        &mut self,
        now_ms: u64,
        servers: &[Seen],
        elapsed_ms: u64,
        jitter: f64,
        out: &mut Vec<Action>,
    ) {
        let wanted = |name: &String| {
            let server = servers.iter().find(|s| s.name == *name);
            server.is_some_and(|s| s.drain_percent.is_some())
        };
        self.drains.retain(|name, _| wanted(name));
        for (index, server) in servers.iter().enumerate() {
            let Some(percent) = server.drain_percent else {
                continue;
            };
            let drain = self
                .drains
                .entry(server.name.clone())
                .or_insert_with(|| Drain {
                    base: server.sessions,
                    pace: Pace::default(),
                    told_empty: server.sessions == 0,
                });
            drain.pace.window.advance(now_ms);
            drain.base = drain.base.max(server.sessions);
            if server.sessions == 0 && !drain.told_empty {
                drain.told_empty = true;
                out.push(Action::Tell(format!("{} is drained", server.name)));
            }
            let elsewhere = servers.iter().any(|s| s.weight > 0);
            let held_back = servers.iter().any(|s| s.broken && s.name != server.name);
            if !elsewhere || held_back {
                continue;
            }
            let granted = drain.pace.grant(drain.base, percent, elapsed_ms, jitter);
            let count = granted.min(server.staying());
            drain.pace.spend(count);
            if count > 0 {
                out.push(Action::End {
                    server: index,
                    count,
                    why: Why::Drain,
                });
            }
        }
    }
}

/// All usable servers have their share, give or take `within` percent and the rounding.
fn is_even(servers: &[Seen], shares: &[f64], within: u32) -> bool {
    let slack = f64::from(within) / 100.0;
    let fits = |(s, share): (&Seen, &f64)| {
        let staying = f64::from(s.staying());
        staying <= (share * (1.0 + slack)).ceil() && staying >= (share * (1.0 - slack)).floor()
    };
    servers
        .iter()
        .zip(shares)
        .filter(|(s, _)| s.weight > 0)
        .all(fits)
}

/// Sessions that servers have above their shares.
fn above(servers: &[Seen], shares: &[f64]) -> u32 {
    let excess = |(s, share): (&Seen, &f64)| s.staying().saturating_sub(share.ceil() as u32);
    servers
        .iter()
        .zip(shares)
        .filter(|(s, _)| s.weight > 0)
        .map(excess)
        .sum()
}

/// The server that has the most of its share beyond it.
fn fullest(servers: &[Seen], shares: &[f64], gone: &[u32]) -> Option<usize> {
    let rest = |index: usize| f64::from(servers[index].staying()) - f64::from(gone[index]);
    (0..servers.len())
        .filter(|i| servers[*i].weight > 0 && rest(*i) >= shares[*i].ceil() + 1.0)
        .max_by(|a, b| (rest(*a) / shares[*a]).total_cmp(&(rest(*b) / shares[*b])))
}

#[cfg(test)]
mod tests;
