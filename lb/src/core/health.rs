//! What one check's results say about a server: rise and fall counting.
//!
//! A [`Health`] is a number from 0 to `rise + fall - 1`; the server may run
//! while it is at least `rise`. A failure takes one off, and everything once it
//! falls below `rise`; a success adds one, and everything once it reaches
//! `rise`. So `fall` failures in a row take a server down and `rise` successes
//! bring it back, and anything between shows as `UP 2/3` or `DOWN 1/2`.
//!
//! Not here: connecting, scheduling (`probe`) or the server's state (`state`).

mod status;

pub use status::{CheckResult, CheckStatus};

use conf::lb::model::{InitState, OnError};
use std::fmt::{self, Write};
use std::time::Duration;

/// Room for a result as log lines show it, without its description.
const REASON_SIZE: usize = 160;

/// One finished check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was found.
    pub status: CheckStatus,
    /// The application's code (an HTTP status, an SMTP code, an exit status).
    pub code: u32,
    /// More in words; empty for none.
    pub description: String,
    /// From the check's start to its end; nothing for a result that no check
    /// took (`observe`).
    pub duration: Option<Duration>,
}

impl Outcome {
    /// An outcome without code and text.
    pub fn new(status: CheckStatus, duration: Duration) -> Outcome {
        Outcome {
            status,
            code: 0,
            description: String::new(),
            duration: Some(duration),
        }
    }
}

/// What a recorded outcome asks of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it be stopped.
    Stop,
    /// Let it run.
    Run,
    /// Let it finish its sessions without new ones.
    Drain,
    /// Nothing yet: more results are needed.
    Wait,
}

/// What [`Health::record`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What to do with the server now.
    pub verdict: Verdict,
    /// A failure that counts in `chkfail`.
    pub counts_as_failure: bool,
    /// The counter moved or the status differs from the last: worth a line
    /// under `option log-health-checks`.
    pub changed: bool,
}

/// The counter of one check and its last result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    rise: u32,
    fall: u32,
    value: u32,
    agent: bool,
    status: CheckStatus,
    code: u32,
    description: String,
    duration: Option<Duration>,
    /// The configuration has this check.
    pub configured: bool,
    /// Results count and checks run (`enable health`).
    pub enabled: bool,
    /// It rests since the server entered maintenance.
    paused: bool,
    /// What it begins with, at the start and behind a maintenance.
    start: InitState,
    /// A check is under way.
    pub running: bool,
}

impl Health {
    /// A configured and enabled check: `rise` successes bring up, `fall`
    /// failures take down (both at least 1).
    pub fn new(rise: u32, fall: u32, start: InitState) -> Health {
        let (rise, fall) = (rise.max(1), fall.max(1));
        let mut health = Health {
            rise,
            fall,
            value: 0,
            agent: false,
            status: CheckStatus::Initializing,
            code: 0,
            description: String::new(),
            duration: None,
            configured: true,
            enabled: true,
            paused: false,
            start,
            running: false,
        };
        health.begin();
        health
    }

    fn begin(&mut self) {
        self.value = match self.start {
            InitState::Up => self.rise,
            InitState::FullyUp => self.top(),
            InitState::Down => self.rise - 1,
            InitState::FullyDown => 0,
        };
    }

    /// The server enters maintenance: what was found before counts no more.
    pub fn rest(&mut self) {
        if self.configured {
            self.paused = self.enabled;
            self.value = 0;
        }
    }

    /// The server leaves maintenance: as at the start.
    pub fn wake(&mut self) {
        self.paused = false;
        if self.configured && self.enabled {
            self.begin();
        }
    }

    /// The place of a check that is not configured: always full.
    pub fn unchecked() -> Health {
        let mut health = Health::new(1, 1, InitState::Up);
        health.status = CheckStatus::Unknown;
        health.configured = false;
        health.enabled = false;
        health
    }

    /// The counter of an agent: only an explicit word of the agent
    /// ([`CheckStatus::L7Status`]) takes the server down, trouble in reaching
    /// the agent does not.
    pub fn agent(rise: u32, fall: u32) -> Health {
        Health {
            agent: true,
            ..Health::new(rise, fall, InitState::Up)
        }
    }

    /// Takes over counter and last result of the same server's check in the
    /// generation before; the numbers of the new configuration hold.
    pub fn carry_over(&mut self, old: &Health) {
        if !self.configured || !old.configured {
            return;
        }
        let missing = old.top() - old.value;
        self.value = match old.is_up() {
            true => self.top().saturating_sub(missing).max(self.rise),
            false => old.value.min(self.rise - 1),
        };
        self.status = old.status;
        self.code = old.code;
        self.description.clone_from(&old.description);
        self.duration = old.duration;
        (self.enabled, self.paused) = (old.enabled, old.paused);
    }

    fn top(&self) -> u32 {
        self.rise + self.fall - 1
    }

    /// Counts an outcome and keeps it as the last one.
    pub fn record(&mut self, outcome: &Outcome) -> Recorded {
        let differs = self.status != outcome.status;
        self.status = outcome.status;
        self.code = outcome.code;
        self.description.clone_from(&outcome.description);
        self.duration = outcome.duration;
        let result = outcome.status.result();
        let moved = match result {
            CheckResult::Unknown | CheckResult::Neutral => false,
            CheckResult::Failed => self.lose(),
            CheckResult::Passed | CheckResult::ConditionallyPassed => self.gain(),
        };
        Recorded {
            verdict: self.verdict(result),
            counts_as_failure: moved && result == CheckResult::Failed,
            changed: result != CheckResult::Neutral && (moved || differs),
        }
    }

    fn lose(&mut self) -> bool {
        let ignored = self.agent && !self.status.has_answer();
        if ignored || self.value == 0 {
            return false;
        }
        self.value -= 1;
        if self.value < self.rise {
            self.value = 0;
        }
        true
    }

    fn gain(&mut self) -> bool {
        if self.value >= self.top() {
            return false;
        }
        self.value += 1;
        if self.value >= self.rise {
            self.value = self.top();
        }
        true
    }

    fn verdict(&self, result: CheckResult) -> Verdict {
        match result {
            CheckResult::Unknown | CheckResult::Neutral => Verdict::Wait,
            CheckResult::Failed if self.agent && self.status != CheckStatus::L7Status => {
                Verdict::Wait
            }
            CheckResult::Failed if self.value == 0 => Verdict::Stop,
            CheckResult::Failed => Verdict::Wait,
            _ if self.value < self.rise => Verdict::Wait,
            CheckResult::Passed => Verdict::Run,
            CheckResult::ConditionallyPassed if self.agent => Verdict::Run,
            CheckResult::ConditionallyPassed => Verdict::Drain,
        }
    }

    /// An outcome that `observe` made up: `severity` says what the counter
    /// looked like just before it.
    pub fn record_observed(&mut self, severity: OnError, outcome: &Outcome) -> Recorded {
        match severity {
            OnError::Fastinter => {
                return Recorded {
                    verdict: Verdict::Wait,
                    counts_as_failure: false,
                    changed: false,
                };
            }
            OnError::FailCheck => {}
            OnError::SuddenDeath => self.value = self.value.min(self.rise + 1),
            OnError::MarkDown => self.value = self.rise,
        }
        self.record(outcome)
    }

    /// An operator says `up`: full health.
    pub fn force_up(&mut self) {
        self.value = self.top();
    }

    /// An operator says `down`: no health.
    pub fn force_down(&mut self) {
        self.value = 0;
    }

    /// Sets the counter, as read back from a state file; out of range is clamped.
    pub fn set_value(&mut self, value: u32) {
        self.value = value.min(self.top());
    }

    /// The last result, as read back from a saved state.
    pub fn set_last(&mut self, last: Outcome) {
        self.status = last.status;
        self.code = last.code;
        self.description = last.description;
        self.duration = last.duration;
    }

    /// The last result, as a saved state has it.
    pub fn last(&self) -> Outcome {
        Outcome {
            status: self.status,
            code: self.code,
            description: self.description.clone(),
            duration: self.duration,
        }
    }

    /// Whether this check lets the server run.
    pub fn is_up(&self) -> bool {
        self.value >= self.rise
    }

    /// Whether nothing is counted against or for a change.
    pub fn is_settled(&self) -> bool {
        self.value == self.top() || self.value == 0
    }

    /// The counter itself, 0 to `rise + fall - 1`.
    pub fn value(&self) -> u32 {
        self.value
    }

    /// Successes that bring a server up.
    pub fn rise(&self) -> u32 {
        self.rise
    }

    /// Failures that take a server down.
    pub fn fall(&self) -> u32 {
        self.fall
    }

    /// The fraction in `UP 2/3` and `DOWN 1/2`.
    pub fn fraction(&self) -> (u32, u32) {
        match self.is_up() {
            true => (self.value - self.rise + 1, self.fall),
            false => (self.value, self.rise),
        }
    }

    /// The last finished check's status.
    pub fn status(&self) -> CheckStatus {
        self.status
    }

    /// The last finished check's code; nothing when its kind has none.
    pub fn code(&self) -> Option<u32> {
        self.status.has_answer().then_some(self.code)
    }

    /// The last finished check's text; empty for none.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How long the last finished check took.
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// The bits of `show servers state`: 1 under way, 2 configured, 4 enabled,
    /// 8 paused, 16 agent.
    pub fn state_bits(&self) -> u8 {
        u8::from(self.running)
            | u8::from(self.configured) << 1
            | u8::from(self.enabled) << 2
            | u8::from(self.paused) << 3
            | u8::from(self.agent) << 4
    }

    /// `, reason: Layer4 timeout, info: "...", check duration: 1001ms`: the
    /// last result as log lines show it.
    pub fn reason(&self) -> String {
        // each check asks for it: with room from the start the allocator reuses one block of memory
        let mut text = String::with_capacity(REASON_SIZE + self.description.len());
        text.push_str(", reason: ");
        text.push_str(self.status.description());
        let mut add = |part: fmt::Arguments<'_>| text.write_fmt(part).expect("a String takes all");
        if let Some(code) = self.code() {
            add(format_args!(", code: {code}"));
        }
        if !self.description.is_empty() {
            add(format_args!(", info: \"{}\"", self.description));
        }
        if let Some(duration) = self.duration {
            add(format_args!(", check duration: {}ms", duration.as_millis()));
        }
        text
    }
}

/// The three intervals of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// While the server is fully up.
    pub inter: Duration,
    /// Between; `inter` when absent.
    pub fast: Option<Duration>,
    /// While the server is fully down; `inter` when absent.
    pub down: Option<Duration>,
}

impl Intervals {
    /// The interval that holds now.
    pub fn current(&self, health: &Health, stopped: bool) -> Duration {
        if health.value == health.top() {
            self.inter
        } else if stopped && health.value == 0 {
            self.down.unwrap_or(self.inter)
        } else {
            self.fast.unwrap_or(self.inter)
        }
    }

    /// The shortest that may hold.
    pub fn shortest(&self) -> Duration {
        let others = [self.fast, self.down].into_iter().flatten();
        others.fold(self.inter, Duration::min)
    }
}

/// When the `position`th of `count` checks runs first: spread over the
/// smallest interval of all (at least over its own, at most over
/// `max-spread-checks`).
pub fn first_check_after(
    position: usize,
    count: usize,
    smallest: Duration,
    own: Duration,
    limit: Option<Duration>,
) -> Duration {
    let span = smallest.max(own);
    let span = limit.map_or(span, |limit| span.min(limit));
    span.mul_f64(position as f64 / count.max(1) as f64)
}

/// An interval made longer or shorter by up to `percent` (`spread-checks`);
/// `random` is in 0..1.
pub fn spread(interval: Duration, percent: u32, random: f64) -> Duration {
    let share = f64::from(percent.min(50)) / 100.0;
    interval.mul_f64(1.0 + share - 2.0 * share * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
