//! A backend with clients that come back: what rebalancing does to it.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const STEP_MS: u64 = 250;

/// How clients that come back are spread.
#[derive(Clone, Copy, Debug)]
enum Balance {
    Least,
    RoundRobin,
    /// Each to where it was.
    Sticky,
}

/// A backend whose clients come back some seconds after they were ended.
struct World {
    core: Rebalance,
    policy: Policy,
    servers: Vec<Seen>,
    now_ms: u64,
    returning: VecDeque<(u64, usize)>,
    next: usize,
    balance: Balance,
    seed: u64,
    ended: Vec<(u64, u32)>,
    told: Vec<String>,
}

fn server(name: usize, sessions: u32, weight: u32) -> Seen {
    Seen {
        name: format!("s{name}"),
        weight,
        user_weight: weight,
        sessions,
        ..Seen::default()
    }
}

impl World {
    fn new(servers: Vec<Seen>, balance: Balance, seed: u64) -> World {
        World {
            core: Rebalance::default(),
            policy: Policy {
                rate_percent: 20,
                within_percent: 5,
                settle: Duration::from_secs(5),
            },
            servers,
            now_ms: 1000,
            returning: VecDeque::new(),
            next: 0,
            balance,
            seed,
            ended: Vec::new(),
            told: Vec::new(),
        }
    }

    fn dice(&mut self) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }

    fn total(&self) -> u32 {
        self.servers.iter().map(|s| s.sessions).sum()
    }

    fn take_in(&mut self, from: usize) {
        let usable = |s: &Seen| s.weight > 0;
        let target = match self.balance {
            Balance::Sticky => Some(from),
            Balance::Least => (0..self.servers.len())
                .filter(|i| usable(&self.servers[*i]))
                .min_by_key(|i| self.servers[*i].sessions * 1000 / self.servers[*i].weight),
            Balance::RoundRobin => {
                let count = self.servers.len();
                let turn = (0..count).map(|n| (self.next + n) % count);
                let found = turn.into_iter().find(|i| usable(&self.servers[*i]));
                self.next = found.map_or(0, |i| i + 1);
                found
            }
        };
        if let Some(target) = target {
            self.servers[target].sessions += 1;
        }
    }

    fn step(&mut self) {
        self.now_ms += STEP_MS;
        while self
            .returning
            .front()
            .is_some_and(|(at, _)| *at <= self.now_ms)
        {
            if let Some((_, from)) = self.returning.pop_front() {
                self.take_in(from);
            }
        }
        let jitter = self.dice() as f64 / (1u64 << 31) as f64;
        let mut out = Vec::new();
        self.core.step(
            self.now_ms,
            Some(&self.policy),
            &self.servers,
            jitter,
            &mut out,
        );
        for action in out {
            match action {
                Action::End { server, count, .. } => {
                    assert!(self.servers[server].sessions >= count);
                    self.servers[server].sessions -= count;
                    self.ended.push((self.now_ms, count));
                    let delay = 500 + self.dice() % 5000;
                    for _ in 0..count {
                        self.returning.push_back((self.now_ms + delay, server));
                    }
                }
                Action::Tell(text) => self.told.push(text),
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 1000 / STEP_MS {
            self.step();
        }
    }

    fn all_ended(&self) -> u32 {
        self.ended.iter().map(|(_, n)| n).sum()
    }

    /// The most that any 60 seconds saw.
    fn worst_minute(&self) -> u32 {
        let minute = |from: u64| {
            let within = self
                .ended
                .iter()
                .filter(|(at, _)| *at >= from && *at < from + 60_000);
            within.map(|(_, n)| n).sum::<u32>()
        };
        self.ended
            .iter()
            .map(|(at, _)| minute(*at))
            .max()
            .unwrap_or(0)
    }
}

#[test]
fn a_start_moves_nothing() {
    let mut world = World::new(vec![server(0, 90, 16), server(1, 0, 16)], Balance::Least, 1);
    world.run(120);
    assert_eq!(world.all_ended(), 0);
}

#[test]
fn a_server_that_came_back_gets_its_share_and_then_it_is_quiet() {
    let mut world = World::new(
        vec![server(0, 50, 16), server(1, 50, 16), server(2, 0, 0)],
        Balance::Least,
        1,
    );
    world.step();
    world.servers[2].weight = 16;
    world.run(600);
    let sessions: Vec<_> = world.servers.iter().map(|s| s.sessions).collect();
    assert!(
        sessions.iter().all(|n| (31..=36).contains(n)),
        "{sessions:?}"
    );
    assert!(world.all_ended() <= 38, "{}", world.all_ended());
    let ended = world.all_ended();
    world.run(3600);
    assert_eq!(world.all_ended(), ended, "{:?}", world.told);
}

#[test]
fn a_heavier_weight_is_followed() {
    let mut world = World::new(
        vec![server(0, 100, 16), server(1, 100, 16)],
        Balance::Least,
        7,
    );
    world.step();
    (world.servers[1].weight, world.servers[1].user_weight) = (48, 48);
    world.run(900);
    assert!(
        (142..=158).contains(&world.servers[1].sessions),
        "{}",
        world.servers[1].sessions
    );
}

#[test]
fn nothing_is_ended_while_a_server_is_broken_and_it_goes_on_later() {
    let mut world = World::new(
        vec![server(0, 90, 16), server(1, 0, 0), server(2, 0, 16)],
        Balance::Least,
        3,
    );
    (world.servers[2].weight, world.servers[2].broken) = (0, true);
    world.step();
    world.servers[1].weight = 16;
    world.run(300);
    assert_eq!(world.all_ended(), 0);
    assert_eq!(world.core.held_back_by(), Some("s2"));
    (world.servers[2].weight, world.servers[2].broken) = (16, false);
    world.run(900);
    let sessions: Vec<_> = world.servers.iter().map(|s| s.sessions).collect();
    assert!(
        sessions.iter().all(|n| (28..=32).contains(n)),
        "{sessions:?}"
    );
}

#[test]
fn clients_that_insist_on_their_server_are_left_alone_after_a_while() {
    let mut world = World::new(
        vec![server(0, 200, 16), server(1, 0, 0)],
        Balance::Sticky,
        5,
    );
    world.step();
    world.servers[1].weight = 16;
    world.run(3600);
    assert!(
        world.told.iter().any(|t| t.contains("same servers")),
        "{:?}",
        world.told
    );
    assert!(world.all_ended() < 200, "{}", world.all_ended());
}

#[test]
fn a_server_that_flaps_never_settles_and_moves_nothing() {
    let mut world = World::new(
        vec![server(0, 100, 16), server(1, 0, 16)],
        Balance::Least,
        5,
    );
    for round in 0..100 {
        world.servers[1].weight = if round % 2 == 0 { 16 } else { 0 };
        world.servers[1].broken = round % 2 == 1;
        world.run(3);
    }
    assert_eq!(world.all_ended(), 0);
}

#[test]
fn a_drained_server_is_emptied_at_its_rate() {
    let mut world = World::new(
        vec![server(0, 100, 0), server(1, 100, 16)],
        Balance::Least,
        9,
    );
    world.servers[0].drain_percent = Some(25);
    world.run(60);
    assert!(
        (15..=25).contains(&world.all_ended()),
        "{}",
        world.all_ended()
    );
    world.run(300);
    assert_eq!(world.servers[0].sessions, 0);
    assert_eq!(world.told, ["s0 is drained"]);
    assert!(world.worst_minute() <= 25);
}

#[test]
fn a_drain_waits_for_somewhere_to_go() {
    let mut world = World::new(vec![server(0, 100, 0)], Balance::Least, 9);
    world.servers[0].drain_percent = Some(25);
    world.run(120);
    assert_eq!(world.all_ended(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the servers, weights and clients: the bound holds in every 60 seconds, it comes
    /// to an end, and with clients that go where there is room the servers are even then.
    #[test]
    fn it_converges_within_its_bound_and_stays_quiet(
        sessions in prop::collection::vec(0u32..300, 2..8),
        weights in prop::collection::vec(1u32..20, 8),
        least in any::<bool>(),
        rate in 1u32..60, within in 1u32..30, seed in any::<u64>(),
    ) {
        let balance = if least { Balance::Least } else { Balance::RoundRobin };
        let servers = sessions.iter().enumerate().map(|(i, n)| {
            // rounds of equal weight, so that round robin leads to even
            server(i, *n, if least { weights[i] * 16 } else { 16 })
        });
        let mut world = World::new(servers.collect(), balance, seed);
        (world.policy.rate_percent, world.policy.within_percent) = (rate, within);
        let weight = world.servers[0].weight;
        world.servers[0].weight = 0;
        world.step();
        world.servers[0].weight = weight;
        let total = world.total();
        let mut hours = 0;
        loop {
            world.run(3600);
            hours += 1;
            if *world.core.state() == State::Idle {
                break;
            }
            prop_assert!(hours < 20, "{:?}", world.core.state());
        }
        prop_assert!(world.worst_minute() <= bound(total, rate), "{}", world.worst_minute());
        world.run(20);
        prop_assert_eq!(world.total(), total);
        if least {
            let shares = world.core.shares(&world.servers);
            prop_assert!(is_even(&world.servers, &shares, within + 2), "{:?}", world.servers);
        }
        let ended = world.all_ended();
        world.run(3600);
        prop_assert_eq!(world.all_ended(), ended);
    }

    /// Servers that come, go, break and change their weights at random.
    #[test]
    fn chaos_keeps_the_bound_and_never_ends_a_session_while_one_is_broken(
        events in prop::collection::vec((0usize..4, 0u8..5, 1u64..40), 1..60),
        seed in any::<u64>(),
    ) {
        let servers = (0..4).map(|i| server(i, 60, 16)).collect();
        let mut world = World::new(servers, Balance::Least, seed);
        let total = world.total();
        for (index, event, seconds) in events {
            let server = &mut world.servers[index];
            match event {
                0 => (server.weight, server.broken) = (0, true),
                1 => (server.weight, server.broken) = (server.user_weight, false),
                2 => server.user_weight = 32,
                3 => server.user_weight = 8,
                _ => {}
            }
            if server.weight > 0 {
                server.weight = server.user_weight;
            }
            let (before, broken) = (world.all_ended(), world.servers.iter().any(|s| s.broken));
            world.run(seconds);
            if broken {
                prop_assert_eq!(world.all_ended(), before);
            }
        }
        prop_assert!(world.worst_minute() <= bound(total, 20));
    }
}
