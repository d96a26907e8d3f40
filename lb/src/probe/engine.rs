//! The timetable of all checks, and the thread that keeps it.

use super::agent::Agent;
use super::attempt::{Attempt, Outcome, Route};
use super::dialogue::{Dialogue, Finding};
use super::external::{self, Program, Programs};
use super::plan::{Plan, Role};
use super::verdict::{Teller, conclude};
use crate::core::health::{first_check_after, spread};
use crate::process::host_name;
use crate::state::{Generation, Runtime, Server};
use conf::lb::model::{CheckKind, ExternalCheck};
use mio::{Events, Poll, Token, Waker};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Token of wake-ups; checks have their index.
const WAKE: Token = Token(usize::MAX);

/// Events taken at a time.
const EVENT_CAPACITY: usize = 1024;

/// Longest sleep, so that a clock that jumps does no lasting harm.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Checks may be late by this part of the smallest interval, and at most by so much: then one
/// wake-up serves several of many.
const SLACK_PART: u32 = 256;
const MOST_SLACK: Duration = Duration::from_millis(4);

/// Intervals up to this do not count for the spread of the first checks.
const SPREAD_THRESHOLD: Duration = Duration::from_secs(1);

enum Command {
    Plans(Arc<Generation>),
    Sooner(Arc<Server>),
    Stop,
}

/// Handle of the thread that checks.
pub struct Prober {
    commands: Mutex<Vec<Command>>,
    waker: Waker,
}

impl Prober {
    fn tell(&self, command: Command) {
        self.commands
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(command);
        // a full eventfd is a wake-up that is still pending
        let _ = self.waker.wake();
    }

    /// Checks the servers of this generation from now on; servers known
    /// already keep their place in the timetable.
    pub fn follow(&self, generation: Arc<Generation>) {
        self.tell(Command::Plans(generation));
    }

    /// Checks this server after `fastinter`, if that is sooner than planned.
    pub fn sooner(&self, server: Arc<Server>) {
        self.tell(Command::Sooner(server));
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.tell(Command::Stop);
    }
}

/// Starts the thread; it has nothing to check until [`Prober::follow`].
///
/// # Errors
/// The system gives no poller or no thread.
pub fn start(runtime: Arc<Runtime>, tell: Teller) -> io::Result<(Arc<Prober>, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let prober = Arc::new(Prober {
        commands: Mutex::default(),
        waker: Waker::new(poll.registry(), WAKE)?,
    });
    let engine = Engine {
        poll,
        prober: prober.clone(),
        runtime,
        tell,
        checks: Vec::new(),
        due: BinaryHeap::new(),
        random: Random::seeded(),
        node: String::new(),
        spread_percent: 0,
        slack: Duration::ZERO,
        programs: Programs::default(),
    };
    let thread = std::thread::Builder::new()
        .name("checks".into())
        .spawn(move || engine.run())?;
    Ok((prober, thread))
}

/// One server's check and its place in the timetable.
struct Check {
    plan: Plan,
    running: Option<Running>,
    /// When it is due or, while under way, too late.
    at: Instant,
    /// How late it began: the next one is not to be late for that.
    late: Duration,
}

/// A check under way.
pub enum Running {
    /// Over a socket.
    Socket(Box<Attempt>),
    /// By a program.
    Program(Box<Program>),
}

impl Running {
    fn started(&self) -> Instant {
        match self {
            Running::Socket(attempt) => attempt.started(),
            Running::Program(program) => program.started(),
        }
    }
}

struct Engine {
    poll: Poll,
    prober: Arc<Prober>,
    runtime: Arc<Runtime>,
    tell: Teller,
    checks: Vec<Check>,
    /// Times and indexes; an entry that no longer equals its check's `at` is stale.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    random: Random,
    node: String,
    spread_percent: u32,
    slack: Duration,
    programs: Programs,
}

impl Engine {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENT_CAPACITY);
        loop {
            if !self.take_commands() {
                return;
            }
            self.run_due();
            let next = self.next_due().into_iter().chain(self.programs.tidy());
            let sleep = next.min().map_or(LONGEST_SLEEP, |at| {
                // rounded up: waking a little early would only mean another turn
                let slack = self.slack + Duration::from_micros(900);
                at.saturating_duration_since(Instant::now()) + slack
            });
            match self.poll.poll(&mut events, Some(sleep.min(LONGEST_SLEEP))) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.runtime
                        .warn(&format!("health checks: cannot wait for events: {error}"));
                    return;
                }
            }
            let now = Instant::now();
            for event in &events {
                let Token(index) = event.token();
                self.ready(index, now);
            }
        }
    }

    fn take_commands(&mut self) -> bool {
        let commands = std::mem::take(
            &mut *self
                .prober
                .commands
                .lock()
                .unwrap_or_else(|e| e.into_inner()),
        );
        for command in commands {
            match command {
                Command::Plans(generation) => self.follow(&generation),
                Command::Sooner(server) => self.sooner(&server),
                Command::Stop => {
                    self.end_programs();
                    return false;
                }
            }
        }
        true
    }

    /// Replaces the timetable by that of a generation.
    fn follow(&mut self, generation: &Generation) {
        let global = &generation.conf.global;
        self.spread_percent = global.spread_checks;
        self.node = global.node.clone().unwrap_or_else(host_name);
        self.programs.allow(global);
        let plans: Vec<Plan> = generation
            .servers()
            .flat_map(|(backend, server)| Plan::all(backend, server))
            .collect();
        let smallest = plans
            .iter()
            .map(|plan| plan.interval())
            .filter(|interval| *interval > SPREAD_THRESHOLD)
            .min()
            .unwrap_or_default();
        let shortest = plans.iter().map(|plan| plan.intervals.shortest()).min();
        self.slack = (shortest.unwrap_or_default() / SLACK_PART).min(MOST_SLACK);
        let now = Instant::now();
        let mut old = std::mem::take(&mut self.checks);
        for check in &mut old {
            // a check under way belongs to the configuration before
            if let Some(running) = check.running.take() {
                self.programs.abandon(running);
                check.plan.health().running = false;
                check.at = now;
            }
        }
        let count = plans.len();
        self.due.clear();
        for (position, plan) in plans.into_iter().enumerate() {
            let known = old.iter().find(|check| check.plan.is(&plan));
            let wait = || {
                let own = plan.interval();
                first_check_after(position, count, smallest, own, global.max_spread_checks)
            };
            let at = match known {
                Some(check) => check.at.min(now + plan.interval()),
                None => now + wait(),
            };
            self.due.push(Reverse((at, position)));
            self.checks.push(Check {
                plan,
                running: None,
                at,
                late: Duration::ZERO,
            });
        }
    }

    fn sooner(&mut self, server: &Server) {
        let Some(index) = self
            .checks
            .iter()
            .position(|check| check.plan.role == Role::Health && check.plan.server.is(server))
        else {
            return;
        };
        let check = &self.checks[index];
        let Some(fast) = check.plan.intervals.fast else {
            return;
        };
        let at = Instant::now() + fast;
        if check.running.is_none() && at < check.at {
            self.plan(index, at);
        }
    }

    fn plan(&mut self, index: usize, at: Instant) {
        self.checks[index].at = at;
        self.due.push(Reverse((at, index)));
    }

    fn next_due(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, index))) = self.due.peek().copied() {
            if self.checks.get(index).is_some_and(|check| check.at == at) {
                return Some(at);
            }
            self.due.pop();
        }
        None
    }

    fn run_due(&mut self) {
        let now = Instant::now();
        while self.next_due().is_some_and(|at| at <= now) {
            let Some(Reverse((_, index))) = self.due.pop() else {
                return;
            };
            match self.checks[index].running.take() {
                Some(Running::Socket(attempt)) => {
                    let finding = attempt.timed_out();
                    self.over(index, attempt.started(), finding, now);
                }
                Some(running @ Running::Program(_)) => {
                    let started = running.started();
                    self.programs.abandon(running);
                    self.over(index, started, external::timed_out(), now);
                }
                None => self.begin(index, now),
            }
        }
    }

    fn begin(&mut self, index: usize, now: Instant) {
        let check = &mut self.checks[index];
        check.late = now.saturating_duration_since(check.at).min(self.slack);
        let plan = check.plan.clone();
        let route = (!plan.rests()).then(|| plan.route()).flatten();
        let kind = plan.check().map(|check| &check.kind);
        let (Some(route), Some(kind)) = (route, kind) else {
            return self.rest(index, now);
        };
        let dialogue = match (plan.role, kind) {
            (Role::Agent, _) => Dialogue::Agent(Box::new(Agent::new(plan.agent_send()))),
            (Role::Health, CheckKind::External(settings)) => {
                return self.launch(index, settings, &route, now);
            }
            (Role::Health, kind) => {
                let facts = plan.facts(&self.runtime, &self.node, &route.target);
                match Dialogue::new(kind, &facts) {
                    Some(dialogue) => dialogue,
                    None => return self.rest(index, now),
                }
            }
        };
        plan.health().running = true;
        let registry = self.poll.registry();
        let (attempt, outcome) = Attempt::start(dialogue, route, registry, Token(index), now);
        self.go_on(index, Box::new(attempt), outcome, now);
    }

    /// Starts the program of an external check, or lets it wait for others to end.
    fn launch(&mut self, index: usize, settings: &ExternalCheck, route: &Route, now: Instant) {
        if self.programs.are_many() {
            return self.plan(index, now + external::WAIT);
        }
        let plan = self.checks[index].plan.clone();
        let deadline = now + route.connect_timeout;
        match self.programs.start(&plan, settings, &route.target, now) {
            Ok(program) => {
                plan.health().running = true;
                let registered = program.register(self.poll.registry(), Token(index));
                self.checks[index].running = Some(Running::Program(Box::new(program)));
                // without a word from the system the deadline still ends it
                if let Err(error) = registered {
                    self.runtime
                        .warn(&format!("health checks: cannot watch a program: {error}"));
                }
                self.plan(index, deadline);
            }
            Err(finding) => self.over(index, now, finding, now),
        }
    }

    fn end_programs(&mut self) {
        for check in &mut self.checks {
            if let Some(running) = check.running.take() {
                self.programs.abandon(running);
            }
        }
        self.programs.kill_all();
    }

    fn rest(&mut self, index: usize, now: Instant) {
        let interval = self.checks[index].plan.interval();
        self.plan(index, now + interval);
    }

    fn ready(&mut self, index: usize, now: Instant) {
        let Some(check) = self.checks.get_mut(index) else {
            return;
        };
        match check.running.take() {
            None => {}
            Some(Running::Socket(mut attempt)) => {
                let outcome = attempt.ready(self.poll.registry(), Token(index), now);
                self.go_on(index, attempt, outcome, now);
            }
            Some(Running::Program(mut program)) => match program.finding() {
                Some(finding) => {
                    let started = program.started();
                    drop(program);
                    self.programs.ended();
                    self.over(index, started, finding, now);
                }
                None => check.running = Some(Running::Program(program)),
            },
        }
    }

    fn go_on(&mut self, index: usize, attempt: Box<Attempt>, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Over(finding) => {
                let started = attempt.started();
                drop(attempt);
                self.over(index, started, finding, now);
            }
            Outcome::Waits => {
                let deadline = attempt.deadline();
                self.checks[index].running = Some(Running::Socket(attempt));
                if self.checks[index].at != deadline {
                    self.plan(index, deadline);
                }
            }
        }
    }

    fn over(&mut self, index: usize, started: Instant, finding: Finding, now: Instant) {
        let took = now.max(Instant::now()).saturating_duration_since(started);
        let plan = &self.checks[index].plan;
        conclude(&self.runtime, &self.tell, plan, finding, took);
        let interval = spread(plan.interval(), self.spread_percent, self.random.next());
        let late = self.checks[index].late;
        self.plan(index, now + interval.saturating_sub(late));
    }
}

/// A small generator for jitter; nothing depends on its quality.
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        static SEED: AtomicU64 = AtomicU64::new(0x9E37_79B9_7F4A_7C15);
        let seed = SEED.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        Random((seed ^ u64::from(std::process::id())) | 1)
    }

    /// A number in 0..1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
