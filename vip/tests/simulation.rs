//! Several routers and a client on a model LAN that loses, parts and delays,
//! with crashes: what must hold for every seed. A failing seed is printed with
//! the command that replays it.

use sim::lan::{Lan, Weather};
use sim::rng::Rng;
use std::net::IpAddr;
use std::time::Duration;
use vip::core::advert::Heard;
use vip::core::router::{Action, Event, GRACE, Phase, Router, SHORTEST, Settings};
use vip::core::{Cause, Time};

use conf::vip::model::Version;

const SEEDS: u64 = 500;

#[derive(Clone, Debug)]
enum Frame {
    Advert { priority: u8, interval: Duration },
    Announce,
}

struct Host {
    router: Router,
    alive: bool,
    /// Whether the kernel has the addresses; survives nothing but the lease here.
    holds: bool,
    /// The process gets no processor until then; what comes meanwhile waits in its socket.
    asleep_until: Option<Duration>,
    inbox: Vec<Heard>,
}

impl Host {
    fn new(router: Router, alive: bool) -> Host {
        Host {
            router,
            alive,
            holds: false,
            asleep_until: None,
            inbox: Vec::new(),
        }
    }

    /// When it does something by itself.
    fn wakes_at(&self) -> Option<Duration> {
        let deadline = self.router.deadline()?.since_start();
        Some(deadline.max(self.asleep_until.unwrap_or_default()))
    }
}

/// Everything of one run. The client is the last station of the LAN.
struct World {
    rng: Rng,
    lan: Lan<Frame>,
    hosts: Vec<Host>,
    now: Duration,
    /// Whose link-layer address the client has for the virtual address.
    arp: Option<usize>,
    /// When two hosts were active while they heard each other, in total.
    both_active: Duration,
    /// Number of times that the role began somewhere.
    elections: u32,
    /// Adverts with a priority above 0, by sender: times.
    adverts: Vec<Vec<Duration>>,
    /// Whether every step is printed: when one seed is replayed.
    trace: bool,
}

fn address(host: usize) -> IpAddr {
    IpAddr::from([10, 77, 0, 11 + host as u8])
}

fn settings(host: usize, priority: u8, version: Version, interval: Duration) -> Settings {
    Settings {
        version,
        priority,
        interval,
        down_adverts: 3,
        preempt: true,
        preempt_delay: Duration::ZERO,
        address: address(host),
        burst: 5,
        second_burst: Some(Duration::from_secs(5)),
        refresh: Some(Duration::from_secs(1)),
        refresh_in_pair: Some(Duration::from_secs(30)),
        refresh_burst: 1,
        lower_burst: 5,
        lower_second: Some(Duration::from_secs(5)),
        answer_lower: true,
        last_advert: true,
        grace: GRACE,
    }
}

const CALM: Weather = Weather {
    delay_min: Duration::from_micros(50),
    delay_max: Duration::from_micros(800),
    loss_percent: 0,
};

impl World {
    fn new(seed: u64, priorities: &[u8], version: Version, interval: Duration) -> World {
        let mut rng = Rng::new(seed);
        let mut routers = Vec::new();
        for (host, priority) in priorities.iter().enumerate() {
            routers.push(Router::new(settings(host, *priority, version, interval)));
        }
        let hosts = routers.into_iter().map(|router| Host::new(router, false));
        World {
            lan: Lan::new(priorities.len() + 1, CALM, rng.next_u64()),
            hosts: hosts.collect(),
            rng,
            now: Duration::ZERO,
            arp: None,
            both_active: Duration::ZERO,
            elections: 0,
            adverts: vec![Vec::new(); priorities.len()],
            trace: std::env::var_os("EVENKEEL_SEED").is_some(),
        }
    }

    fn client(&self) -> usize {
        self.hosts.len()
    }

    fn active(&self) -> Vec<usize> {
        let active = |h: &usize| {
            let host = &self.hosts[*h];
            host.alive && host.asleep_until.is_none() && host.router.is_active()
        };
        (0..self.hosts.len()).filter(active).collect()
    }

    fn start(&mut self, host: usize) {
        let settings = self.hosts[host].router.settings().clone();
        self.hosts[host] = Host::new(Router::new(settings), true);
        self.event(host, Event::Startup);
    }

    fn crash(&mut self, host: usize) {
        self.hosts[host].alive = false;
        self.hosts[host].holds = false;
    }

    /// What came meanwhile is read before the timers fire.
    fn wake(&mut self, host: usize) {
        self.hosts[host].asleep_until = None;
        for heard in std::mem::take(&mut self.hosts[host].inbox) {
            self.event(host, Event::Received(heard));
        }
    }

    fn event(&mut self, host: usize, event: Event) {
        if !self.hosts[host].alive {
            return;
        }
        let mut out = Vec::new();
        let now = Time::new(self.now);
        let told = self.trace.then(|| format!("{event:?}"));
        self.hosts[host].router.step(now, event, &mut out);
        if let Some(told) = told.filter(|_| !out.is_empty()) {
            println!("{:?} host {host}: {told} -> {out:?}", self.now);
        }
        for action in out {
            self.perform(host, action);
        }
        let router = &self.hosts[host].router;
        assert_eq!(
            self.hosts[host].holds,
            router.holds_addresses(),
            "host {host}: the kernel and the state machine disagree"
        );
    }

    fn perform(&mut self, host: usize, action: Action) {
        match action {
            Action::Advertise { priority } => {
                let interval = self.hosts[host].router.settings().interval;
                if priority > 0 {
                    self.adverts[host].push(self.now);
                }
                let frame = Frame::Advert { priority, interval };
                self.lan.broadcast(self.now, host, &frame);
            }
            Action::Hasten { priority } => {
                let interval = SHORTEST;
                let frame = Frame::Advert { priority, interval };
                self.lan.broadcast(self.now, host, &frame);
            }
            Action::AddAddresses => self.hosts[host].holds = true,
            Action::RemoveAddresses => self.hosts[host].holds = false,
            Action::Announce { .. } => self.lan.broadcast(self.now, host, &Frame::Announce),
            Action::Changed { to, .. } => self.elections += u32::from(to == Phase::Master),
            Action::Gone => self.crash(host),
            Action::EndConnections | Action::Report(_) => {}
        }
    }

    fn deliver(&mut self) {
        let Some(delivery) = self.lan.next_delivery() else {
            return;
        };
        match (delivery.to == self.client(), delivery.frame) {
            (true, Frame::Announce) => self.arp = Some(delivery.from),
            (false, Frame::Advert { priority, interval }) => {
                let heard = Heard {
                    sender: address(delivery.from),
                    priority,
                    interval,
                    same_addresses: true,
                };
                match self.hosts[delivery.to].asleep_until {
                    Some(_) => self.hosts[delivery.to].inbox.push(heard),
                    None => self.event(delivery.to, Event::Received(heard)),
                }
            }
            (true, Frame::Advert { .. }) | (false, Frame::Announce) => {}
        }
    }

    fn two_active_that_hear_each_other(&self) -> bool {
        let active = self.active();
        let pairs = active
            .iter()
            .flat_map(|a| active.iter().map(move |b| (*a, *b)));
        pairs
            .filter(|(a, b)| a < b)
            .any(|(a, b)| self.lan.hears(a, b) && self.lan.hears(b, a))
    }

    /// Runs until `end`: the earliest of frames and deadlines, again and again.
    fn run_until(&mut self, end: Duration) {
        loop {
            let deadline = (0..self.hosts.len())
                .filter(|h| self.hosts[*h].alive)
                .filter_map(|h| Some((self.hosts[h].wakes_at()?, h)))
                .min();
            let frame = self.lan.next_at();
            let timer_first = match (deadline, frame) {
                (Some((at, _)), Some(frame)) => at <= frame,
                (Some(_), None) => true,
                (None, _) => false,
            };
            let next = if timer_first {
                deadline.map(|d| d.0)
            } else {
                frame
            };
            let Some(next) = next.filter(|at| *at <= end) else {
                break;
            };
            self.pass(next);
            match deadline.filter(|_| timer_first) {
                // the process may wake a little late
                Some((_, host)) => {
                    self.wake(host);
                    self.event(host, Event::Timeout);
                }
                None => self.deliver(),
            }
        }
        self.pass(end);
    }

    fn pass(&mut self, to: Duration) {
        if to > self.now {
            if self.two_active_that_hear_each_other() {
                self.both_active += to - self.now;
            }
            self.now = to;
        }
    }

    fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// A random fault; gives what it did.
    fn fault(&mut self) -> String {
        let host = self.rng.below(self.hosts.len() as u64) as usize;
        let other = self.rng.below(self.hosts.len() as u64 + 1) as usize;
        match self.rng.below(8) {
            0 => {
                self.crash(host);
                format!("crash {host}")
            }
            1 if !self.hosts[host].alive => {
                self.start(host);
                format!("start {host}")
            }
            2 => {
                self.wake(host);
                self.event(host, Event::Shutdown(Cause::Stop));
                format!("stop {host}")
            }
            3 if other != host => {
                self.lan.part(host, other, true);
                format!("part {host} -> {other}")
            }
            4 => {
                for station in 0..=self.hosts.len() {
                    if station != host {
                        self.lan.part(host, station, true);
                        self.lan.part(station, host, true);
                    }
                }
                format!("isolate {host}")
            }
            5 => {
                let loss_percent = self.rng.below(60);
                self.lan.set_weather(Weather {
                    loss_percent,
                    ..CALM
                });
                format!("loss {loss_percent} %")
            }
            6 if self.hosts[host].alive => {
                let long = Duration::from_millis(self.rng.below(4000));
                self.hosts[host].asleep_until = Some(self.now + long);
                format!("sleep {host} for {long:?}")
            }
            _ => {
                self.lan.heal();
                "heal".to_owned()
            }
        }
    }

    /// Ends all faults and brings everybody back.
    fn mend(&mut self) {
        self.lan.heal();
        for host in 0..self.hosts.len() {
            self.wake(host);
            let ending = self.hosts[host].router.phase() == Phase::Stop
                || self.hosts[host].router.is_leaving();
            if !self.hosts[host].alive || ending {
                self.start(host);
            }
        }
    }

    fn longest_down_interval(&self) -> Duration {
        let intervals = self.hosts.iter().map(|h| h.router.master_down_interval());
        intervals.max().unwrap_or_default()
    }

    fn best(&self) -> usize {
        let key = |h: &usize| (self.hosts[*h].router.priority(), *h);
        (0..self.hosts.len()).max_by_key(key).expect("hosts exist")
    }
}

/// Runs `check` for every seed, or for the one in EVENKEEL_SEED.
fn for_seeds(test: &str, count: u64, check: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let only = std::env::var("EVENKEEL_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => {
            let more = std::env::var("EVENKEEL_SEEDS").ok();
            0..more.and_then(|s| s.parse().ok()).unwrap_or(count)
        }
    };
    for seed in seeds {
        if std::panic::catch_unwind(|| check(seed)).is_err() {
            panic!(
                "seed {seed} fails; replay with:\n    EVENKEEL_SEED={seed} cargo test -p evenkeel-vip --test simulation {test} -- --nocapture"
            );
        }
    }
}

fn shape(seed: u64) -> (Vec<u8>, Version, Duration) {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let hosts = 2 + rng.below(2) as usize;
    let priorities = (0..hosts).map(|_| 1 + rng.below(254) as u8).collect();
    let (version, interval) = match rng.below(3) {
        0 => (Version::V2, Duration::from_secs(1)),
        1 => (Version::V3, Duration::from_secs(1)),
        _ => (Version::V3, Duration::from_millis(100)),
    };
    (priorities, version, interval)
}

const DELIVERY: Duration = Duration::from_millis(2);

// Invariant 41.
#[test]
fn without_faults_the_best_router_alone_is_active() {
    for_seeds("without_faults", SEEDS, |seed| {
        let (priorities, version, interval) = shape(seed);
        let mut world = World::new(seed, &priorities, version, interval);
        for host in 0..priorities.len() {
            let wait = world.rng.below(interval.as_nanos() as u64 * 4);
            world.run_for(Duration::from_nanos(wait));
            world.start(host);
        }
        let settle = world.longest_down_interval() + interval * 2;
        world.run_for(settle);
        let active = world.active();
        assert_eq!(active.len(), 1, "priorities {priorities:?}");
        // an equal router that came later is not preempted: RFC 9568 §6.4.2
        assert_eq!(priorities[active[0]], priorities[world.best()]);
        world.run_for(interval * 50);
        assert_eq!(world.active(), active);
        assert_eq!(world.arp, active.first().copied());
    });
}

// Invariant 42.
#[test]
fn after_the_last_fault_one_is_active_and_the_client_finds_it() {
    for_seeds("after_the_last_fault", SEEDS, |seed| {
        let (priorities, version, interval) = shape(seed);
        let mut world = World::new(seed, &priorities, version, interval);
        for host in 0..priorities.len() {
            world.start(host);
        }
        world.run_for(world.longest_down_interval() * 2);
        let mut faults = Vec::new();
        for _ in 0..world.rng.below(12) {
            faults.push(world.fault());
            let span = world.rng.below(interval.as_nanos() as u64 * 5);
            world.run_for(Duration::from_nanos(span));
        }
        world.mend();
        world.run_for(world.longest_down_interval() + interval);
        assert_eq!(world.active().len(), 1, "after {faults:?}");
        // a rival that crashed unheard left no trace but the client's entry: the refresh mends it
        let refresh = Duration::from_secs(1);
        world.run_for(interval.max(refresh) + DELIVERY);
        assert_eq!(
            world.arp,
            world.active().first().copied(),
            "after {faults:?}"
        );
    });
}

// Invariant 43.
#[test]
fn two_that_hear_each_other_are_active_together_for_an_advert_at_most() {
    for_seeds("two_that_hear", SEEDS, |seed| {
        let (priorities, version, interval) = shape(seed);
        let mut world = World::new(seed, &priorities, version, interval);
        for host in 0..priorities.len() {
            world.start(host);
        }
        world.run_for(world.longest_down_interval() * 2);
        let mut events = priorities.len() as u32;
        let mut faults = Vec::new();
        for _ in 0..10 {
            faults.push(world.fault());
            world.run_for(interval * 5);
            world.mend();
            world.run_for(interval * 10);
            events += 2;
        }
        let bound = (interval + DELIVERY) * events * priorities.len() as u32;
        assert!(
            world.both_active <= bound,
            "{:?} after {faults:?}",
            world.both_active
        );
        let quiet = world.both_active;
        world.run_for(interval * 20);
        assert_eq!(world.both_active, quiet, "nothing happens without a fault");
    });
}

// Invariant 44: worse adverts may add answers, but never move the next own advert.
#[test]
fn worse_adverts_never_stretch_the_cadence() {
    for_seeds("worse_adverts", SEEDS, |seed| {
        let (_, version, interval) = shape(seed);
        let mut world = World::new(seed, &[200, 100], version, interval);
        world.start(0);
        world.run_for(world.longest_down_interval() + interval * 2);
        world.adverts[0].clear();
        let end = world.now + interval * 20;
        while world.now < end {
            let priority = world.rng.below(200) as u8;
            let heard = Heard {
                sender: address(1),
                priority,
                interval: Duration::from_millis(10 + world.rng.below(40_000)),
                same_addresses: world.rng.chance(50),
            };
            world.event(0, Event::Received(heard));
            let span = world.rng.below(interval.as_nanos() as u64 / 4);
            world.run_for(Duration::from_nanos(span));
        }
        let gaps = world.adverts[0].windows(2).map(|w| w[1] - w[0]);
        assert!(gaps.max().is_some_and(|gap| gap <= interval));
        assert!(world.adverts[0].len() <= 41, "answers are limited");
    });
}

// Invariant 45.
#[test]
fn two_equal_routers_swap_once_at_most() {
    for_seeds("two_equal", SEEDS, |seed| {
        let (_, version, interval) = shape(seed);
        let mut world = World::new(seed, &[100, 100], version, interval);
        let order = if world.rng.chance(50) { [0, 1] } else { [1, 0] };
        for host in order {
            world.start(host);
            let wait = world.rng.below(interval.as_nanos() as u64 * 6);
            world.run_for(Duration::from_nanos(wait));
        }
        world.run_for(interval * 40);
        assert_eq!(world.active().len(), 1);
        assert!(world.elections <= 2, "{} elections", world.elections);
    });
}

// The planned ways out: somebody holds the addresses at every moment.
#[test]
fn a_planned_stop_or_demotion_never_leaves_the_addresses_without_a_holder() {
    for_seeds("a_planned_stop", SEEDS, |seed| {
        let (mut priorities, version, interval) = shape(seed);
        priorities.truncate(2);
        let mut world = World::new(seed, &priorities, version, interval);
        world.start(0);
        world.start(1);
        world.run_for(world.longest_down_interval() * 2);
        let wait = world.rng.below(interval.as_nanos() as u64 * 2);
        world.run_for(Duration::from_nanos(wait));
        let active = world.active()[0];
        let event = match world.rng.chance(50) {
            true => Event::Shutdown(Cause::Stop),
            false => Event::Demote,
        };
        world.event(active, event);
        let end = world.now + interval * 8;
        while world.now < end {
            world.run_for(Duration::from_micros(500));
            let held = world.hosts.iter().any(|h| h.holds);
            assert!(held, "nobody holds the addresses at {:?}", world.now);
        }
        assert_eq!(world.active(), [1 - active]);
        assert_eq!(world.arp, Some(1 - active));
    });
}
