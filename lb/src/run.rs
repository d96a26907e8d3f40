//! The process that serves: everything opened, then rights given up, then
//! threads started (`start`), then the loop that waits for signals.

mod hooks;
mod start;

use crate::access_log::AccessLog;
use crate::admin::{Control, frontends};
use crate::daemon::Ready;
use crate::data_path::DataPath;
use crate::ebb::Ebb;
use crate::listener::Steered;
use crate::loading::Startup;
use crate::options::Options;
use crate::probe::Prober;
use crate::process::Identity;
use crate::reload::Reloader;
use crate::saved::keeping::Keeping;
use crate::signals::{Signals, die_of};
use crate::{console, dump, sys};
use conf::lb::Level;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use service::{Notify, Watchdog};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the loop looks around when no signal comes.
const TURN: Duration = Duration::from_millis(1000);

/// The same while the process waits for its last sessions.
const STOPPING_TURN: Duration = Duration::from_millis(50);

/// Time for handshakes under way to a socket that nobody takes over.
const HANDSHAKES: Duration = Duration::from_millis(500);

/// Time for a successor to hear the last numbers.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Serves until told to stop.
pub fn worker(
    options: &Options,
    startup: Startup,
    identity: &Identity,
    signals: Signals,
    ready: Ready,
) -> ExitCode {
    match Balancer::start(options, startup, identity, ready) {
        Ok(balancer) => balancer.serve(&signals),
        Err(refusals) => {
            for refusal in refusals {
                console::alert(&refusal.to_string());
            }
            ExitCode::FAILURE
        }
    }
}

/// A running balancer.
struct Balancer {
    data: Arc<DataPath>,
    reloader: Arc<Reloader>,
    log: Arc<AccessLog>,
    prober: Arc<Prober>,
    /// The thread of the checks, until it was waited for.
    checks: Mutex<Option<JoinHandle<()>>>,
    control: Arc<Control>,
    runtime: tokio::runtime::Runtime,
    notify: Arc<Notify>,
    watchdog: Option<Watchdog>,
    admin_path: PathBuf,
    stopping_since: Option<Instant>,
    /// Until then it still accepts what was under way to it.
    let_go_at: Option<Instant>,
    /// Listeners of ours that end beside one that another process has.
    steered: Vec<Steered>,
    /// The last connection of a process that stops ended then.
    empty_since: Option<Instant>,
    /// Turns of the data threads at the last sign of life.
    turns: Vec<u64>,
    /// Keeps the state (`--state-dir`).
    keeping: Option<Keeping>,
    ebb: Ebb,
}

impl Balancer {
    /// Waits for signals and looks after what needs a regular look.
    fn serve(mut self, signals: &Signals) -> ExitCode {
        let mut next_tick = Instant::now() + TURN;
        loop {
            let turn = if self.stopping_since.is_some() {
                STOPPING_TURN
            } else {
                TURN
            };
            let turn = turn.min(next_tick.saturating_duration_since(Instant::now()));
            let turn = self
                .watchdog
                .as_ref()
                .map_or(turn, |dog| turn.min(dog.every() / 4));
            let timeout = PollTimeout::try_from(turn).unwrap_or(PollTimeout::ZERO);
            let mut descriptors = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            // interrupted or not, the loop looks for signals next
            let _ = poll(&mut descriptors, timeout);
            while let Some(signal) = signals.next() {
                if let Some(status) = self.signal(signal) {
                    return status;
                }
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TURN;
                self.data.runtime().tick();
                self.give_memory_back();
                if let Some(keeping) = &mut self.keeping {
                    keeping.when_due(&self.control, &self.log);
                }
            }
            self.reassure();
            if self.let_go_at.is_some() {
                self.let_go();
            }
            self.steered.retain(|steered| !steered.is_done());
            if self.is_over() {
                self.end();
                return ExitCode::SUCCESS;
            }
        }
    }

    /// Gives memory back to the system when many connections have gone.
    fn give_memory_back(&mut self) {
        let runtime = self.data.runtime();
        let low = self.ebb.is_low(runtime.process.connections.get());
        if low && !runtime.generation().conf.global.tune.keep_memory {
            sys::trim_memory();
        }
    }

    /// The watchdog's sign of life, unless a data thread made no turn since the last one.
    fn reassure(&mut self) {
        let now = Instant::now();
        let Some(watchdog) = self.watchdog.as_mut().filter(|dog| dog.is_due(now)) else {
            return;
        };
        let threads = self.data.runtime().threads();
        let turns: Vec<u64> = threads.iter().map(|t| t.loops.load(Relaxed)).collect();
        let stuck = turns.iter().zip(&self.turns).any(|(now, last)| now == last);
        if !stuck {
            self.turns = turns;
            watchdog.alive(now);
        }
    }

    fn signal(&mut self, signal: Signal) -> Option<ExitCode> {
        match signal {
            Signal::SIGUSR1 => self.stop_softly(),
            Signal::SIGUSR2 => {
                self.notify.reloading();
                let (reloader, notify) = (self.reloader.clone(), self.notify.clone());
                self.runtime.spawn_blocking(move || {
                    // both outcomes are logged by the reload itself
                    let _ = reloader.reload();
                    notify.ready(std::process::id(), "Ready.");
                });
            }
            Signal::SIGHUP => {
                self.log.reopen();
                dump::states(self.data.runtime(), &self.log);
            }
            Signal::SIGINT | Signal::SIGTERM => {
                self.notify.stopping();
                self.end();
                return Some(die_of(signal));
            }
            Signal::SIGTTOU => frontends::pause_all(&self.control),
            Signal::SIGTTIN => frontends::resume_all(&self.control),
            Signal::SIGQUIT => {
                let used = self.control.info().memory_used;
                console::notice(&format!("SIGQUIT: {used} bytes of memory are in use."));
            }
            _ => {}
        }
        None
    }

    fn stop_softly(&mut self) {
        if self.stopping_since.is_some() {
            return;
        }
        let now = Instant::now();
        self.stopping_since = Some(now);
        let process = &self.data.runtime().generation().conf.global.process;
        if let Some(limit) = process.hard_stop_after {
            self.control.old.set_hard_stop(now + limit);
        }
        if let Some(keeping) = &self.keeping {
            keeping.all(&self.control, &self.log);
        }
        self.notify.stopping();
        dump::stopped(self.data.runtime(), &self.log);
        self.steered = self.data.steer();
        self.let_go_at = (!self.steered.is_empty()).then(|| now + HANDSHAKES);
        self.let_go();
    }

    /// Stops listening, once queues that nobody takes over have run dry.
    fn let_go(&mut self) {
        if self.let_go_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.let_go_at = None;
        self.reloader.sockets.let_ports_go();
        self.reloader.exporter.let_go();
        self.data.stop_listening();
        self.control.set_listeners(self.data.listeners());
    }

    /// A soft stop has come to its end: no session left, or no time.
    fn is_over(&mut self) -> bool {
        let Some(since) = self.stopping_since else {
            return false;
        };
        let runtime = self.data.runtime();
        if runtime.is_spent() {
            // a successor hears the last numbers first
            let empty_since = self.empty_since.get_or_insert_with(Instant::now);
            return !self.control.old.is_followed() || empty_since.elapsed() > LAST_WORD;
        }
        self.empty_since = None;
        let limit = runtime.generation().conf.global.process.hard_stop_after;
        let late = limit.is_some_and(|limit| since.elapsed() >= limit);
        if late {
            console::warning("soft-stop running for too long, performing a hard-stop.");
            self.log.process(
                Level::Warning,
                "soft-stop running for too long, performing a hard-stop.",
            );
            dump::hard_stopped(runtime, &self.log);
        }
        late
    }

    fn end(&self) {
        self.prober.stop();
        // it ends the programs of external checks, which must not outlive us
        let checks = self.checks.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(thread) = checks {
            let _ = thread.join();
        }
        self.data.stop();
        if let Some(keeping) = &self.keeping {
            keeping.all(&self.control, &self.log);
        }
        self.log.drain();
        // inside a chroot the file is out of reach; the next start removes it
        let _ = std::fs::remove_file(&self.admin_path);
    }
}
