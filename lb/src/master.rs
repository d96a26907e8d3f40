//! The master of `-W`: starts the worker, passes signals on, offers a CLI of
//! its own, and ends with the worker. A reload happens inside the worker, so
//! there is one worker, except after an upgrade: when the program on disk was
//! replaced, a reload makes the master that program (`takeover::reexec`), which
//! starts a worker of its own, and the old worker ends with its sessions.

use crate::daemon::{Ready, outcome_of};
use crate::fork::{Side, split};
use crate::loading::Startup;
use crate::options::Options;
use crate::process::{self, Identity};
use crate::signals::Signals;
use crate::takeover::reexec::Program;
use crate::{console, master_cli, run};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use service::Notify;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// What the master knows about itself and its worker.
pub struct Master {
    /// The worker.
    pub worker: Pid,
    /// When both started.
    pub started: Instant,
    /// Reloads that worked.
    pub reloads: AtomicU32,
    /// Reloads that were refused since the last that worked.
    pub failed: AtomicU32,
    /// The worker's admin socket.
    pub socket: PathBuf,
    /// Workers of the programs before, which end with their sessions.
    pub old_workers: Mutex<Vec<Pid>>,
    /// They may do so also when the worker dies (`no-exit-on-failure`).
    pub no_exit_on_failure: bool,
    /// The program that runs, and whether another is in its place.
    pub program: Program,
    /// Tells systemd, once the service is up.
    pub notify: OnceLock<Notify>,
}

impl Master {
    /// Lets the worker reload, with a word to systemd before and after; gives what it says.
    ///
    /// # Errors
    /// The worker refuses or cannot be asked.
    pub fn reload(&self) -> Result<String, String> {
        if let Some(notify) = self.notify.get() {
            notify.reloading();
        }
        let result = self.reload_worker();
        if let Some(notify) = self.notify.get() {
            let status = match result {
                Ok(_) => "Ready.",
                Err(_) => "Ready. The latest reload was refused.",
            };
            notify.ready(std::process::id(), status);
        }
        result
    }

    fn reload_worker(&self) -> Result<String, String> {
        if self.program.was_replaced() {
            // the main loop, which the signal reaches, becomes the new program
            let outcome = self.program.check().map(|()| {
                let _ = kill(Pid::this(), Signal::SIGUSR2);
                "The program on disk has changed: it is started in the place of this one."
                    .to_owned()
            });
            self.count(outcome.is_ok());
            return outcome;
        }
        let answer = crate::diff::ask(&self.socket, "reload\n").map_err(|e| {
            format!(
                "the worker cannot be asked at {}: {e}",
                self.socket.display()
            )
        });
        let result = answer.and_then(|text| {
            match text.starts_with("Reload refused") || text.contains("[ALERT]") {
                true => Err(text),
                false => Ok(text),
            }
        });
        self.count(result.is_ok());
        result
    }

    fn count(&self, good: bool) {
        if good {
            self.reloads.fetch_add(1, Relaxed);
            self.failed.store(0, Relaxed);
        } else {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    /// Becomes the program that is on disk now, if that takes the
    /// configuration; comes back when it does not.
    fn upgrade(&self) {
        if let Err(text) = self.program.check() {
            self.count(false);
            console::alert(&format!("Reload refused: {text}"));
            return;
        }
        console::notice("The program on disk has changed: starting it.");
        let error = self.program.start(self.worker);
        self.count(false);
        console::alert(&format!("The new program cannot be started: {error}"));
    }

    /// Waits for old workers that have ended.
    fn bury(&self) {
        let mut old = self.old_workers.lock().unwrap_or_else(|e| e.into_inner());
        old.retain(|worker| match worker_end(*worker) {
            None => true,
            Some(status) => {
                console::notice(&format!(
                    "Former worker ({worker}) exited with code {status}"
                ));
                false
            }
        });
    }

    /// The old workers, and this one if it lives, hear a signal that ends them.
    fn pass_on(&self, signal: Signal, worker: Option<Pid>) {
        let old = self.old_workers.lock().unwrap_or_else(|e| e.into_inner());
        for worker in old.iter().copied().chain(worker) {
            // it may be gone already
            let _ = kill(worker, signal);
        }
    }

    /// The worker has ended without being told to.
    fn lost(&self, status: i32) {
        console::alert(&format!(
            "Current worker ({}) exited with code {status}",
            self.worker
        ));
        if !self.no_exit_on_failure {
            console::alert("exit-on-failure: killing every processes with SIGTERM");
            self.pass_on(Signal::SIGTERM, None);
        }
    }

    /// Whether old workers go on although the worker has died.
    fn is_waiting(&self) -> bool {
        let old = self.old_workers.lock().unwrap_or_else(|e| e.into_inner());
        self.no_exit_on_failure && !old.is_empty()
    }
}

/// Runs master and worker.
///
/// # Errors
/// The system refuses a pipe or a process.
pub fn run(
    options: &Options,
    startup: Startup,
    identity: &Identity,
    ready: Ready,
) -> io::Result<ExitCode> {
    let program = Program::running();
    let settings = &startup.config.global.process;
    let pidfile = settings.pidfile.clone();
    let no_exit_on_failure = settings
        .master_worker
        .as_ref()
        .is_some_and(|settings| settings.no_exit_on_failure);
    let cli = match master_cli::bind(&options.master_cli) {
        Ok(cli) => cli,
        Err(problem) => {
            console::alert(&format!(
                "[evenkeel] Cannot create the master CLI: {problem}"
            ));
            return Ok(ExitCode::FAILURE);
        }
    };
    let signals = Signals::block()?;
    let (reader, writer) = io::pipe()?;
    let worker = match split()? {
        Side::Parent(worker) => worker,
        Side::Child => {
            drop((reader, cli));
            let ready = Ready::to_parent(writer, None);
            return Ok(run::worker(options, startup, identity, signals, ready));
        }
    };
    drop((writer, startup));
    console::notice(&format!("New worker ({worker}) forked"));
    let outcome = outcome_of(worker, reader);
    let before = options.successor_of.map(Pid::from_raw);
    let mut old_workers: Vec<Pid> = before.into_iter().collect();
    let mut worker = worker;
    if outcome != ExitCode::SUCCESS {
        console::alert(&format!("[evenkeel] Worker ({worker}) failed to start."));
        // what served before the upgrade still does
        match old_workers.pop().filter(|old| worker_end(*old).is_none()) {
            Some(old) => worker = old,
            None => return Ok(outcome),
        }
    }
    if let Some(path) = pidfile
        && let Err(refusal) = process::write_pid(&path, std::process::id())
    {
        console::alert(&refusal.to_string());
        // a signal to a child that we know
        let _ = kill(worker, Signal::SIGTERM);
        return Ok(ExitCode::FAILURE);
    }
    console::notice("Loading success.");
    let run_dir = options.run_dir.clone();
    let run_dir = run_dir.unwrap_or_else(|| PathBuf::from(crate::admin::socket::RUN_DIR));
    let master = Arc::new(Master {
        worker,
        started: Instant::now(),
        reloads: AtomicU32::new(0),
        failed: AtomicU32::new(0),
        socket: crate::admin::socket::default_path(&run_dir, worker.as_raw() as u32),
        old_workers: Mutex::new(old_workers),
        no_exit_on_failure,
        program,
        notify: OnceLock::new(),
    });
    if let Some(cli) = cli {
        master_cli::serve(cli, master.clone())?;
    }
    let notify = master.notify.get_or_init(|| ready.announce());
    Ok(attend(&master, &signals, notify))
}

/// Waits for signals until the worker is gone, and whoever may outlive it.
fn attend(master: &Arc<Master>, signals: &Signals, notify: &Notify) -> ExitCode {
    let mut watchdog = notify.watchdog(std::process::id());
    let mut ending = None;
    let mut ended = None;
    loop {
        let mut descriptors = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        // interrupted or not, the loop looks for signals next
        let patience = watchdog
            .as_ref()
            .and_then(|dog| PollTimeout::try_from(dog.every() / 4).ok());
        let _ = poll(&mut descriptors, patience.unwrap_or(PollTimeout::NONE));
        // somebody serves, or this loop would have ended
        if let Some(watchdog) = &mut watchdog {
            watchdog.beat(Instant::now());
        }
        while let Some(signal) = signals.next() {
            match signal {
                Signal::SIGUSR2 | Signal::SIGHUP if master.program.was_replaced() => {
                    notify.reloading();
                    master.upgrade();
                    notify.ready(std::process::id(), "Ready.");
                }
                Signal::SIGUSR2 | Signal::SIGHUP => match master.reload() {
                    Ok(text) => console::notice(&format!("Reload: {}", text.trim())),
                    Err(text) => console::alert(&format!("Reload refused: {}", text.trim())),
                },
                Signal::SIGUSR1 | Signal::SIGINT | Signal::SIGTERM => {
                    if ending.is_none() {
                        console::warning("Exiting Master process...");
                        notify.stopping();
                    }
                    ending = Some(signal);
                    let living = ended.is_none().then_some(master.worker);
                    master.pass_on(signal, living);
                }
                _ => {}
            }
            master.bury();
            if ended.is_none() {
                ended = worker_end(master.worker);
                if let Some(status) = ended.filter(|_| ending.is_none()) {
                    master.lost(status);
                }
            }
            if let Some(status) = ended
                && (ending.is_some() || !master.is_waiting())
            {
                return farewell(master.worker, status, ending);
            }
        }
    }
}

/// The worker's exit status, once it has one.
fn worker_end(worker: Pid) -> Option<i32> {
    match waitpid(worker, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, status)) => Some(status),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(128 + signal as i32),
        Ok(_) => None,
        Err(_) => Some(1),
    }
}

fn farewell(worker: Pid, status: i32, ending: Option<Signal>) -> ExitCode {
    if ending.is_some() {
        console::warning(&format!(
            "Current worker ({worker}) exited with code {status}"
        ));
    }
    let status = match ending {
        Some(Signal::SIGINT) => 130,
        Some(_) => 0,
        None => status,
    };
    console::warning(&format!("All workers exited. Exiting... ({status})"));
    ExitCode::from(status as u8)
}
