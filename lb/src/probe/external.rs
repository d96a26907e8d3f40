//! `option external-check`: a program says how a server is.
//!
//! It runs as the process's user in a process group of its own and is watched
//! by a pidfd. After the check's time the group is asked to end and shortly
//! after killed, so that a script that hangs leaves nothing behind. So many
//! may run at once; others wait for their turn.

use super::attempt::Target;
use super::dialogue::Finding;
use super::engine::Running;
use super::plan::Plan;
use crate::core::health::CheckStatus;
use conf::lb::model::{BindAddress, ExternalCheck, Global, Host};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Programs that run at once.
const RUNNING_LIMIT: usize = 64;

/// How long a check that finds so many waits before it tries again.
pub const WAIT: Duration = Duration::from_millis(20);

/// Between the request to end and the end by force.
const GRACE: Duration = Duration::from_millis(500);

/// What HAProxy shows as the code of a program that a signal ended.
const CODE_OF_SIGNAL: u32 = u32::MAX;

/// What it shows for a program that could not be run.
const CODE_OF_NO_PROGRAM: u32 = 255;

/// A program under way.
pub struct Program {
    child: Child,
    pidfd: OwnedFd,
    started: Instant,
}

impl Program {
    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Wakes the poller when it ends.
    ///
    /// # Errors
    /// The poller takes no more.
    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let fd = self.pidfd.as_raw_fd();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE)
    }

    /// What it said by its status; nothing while it runs.
    pub fn finding(&mut self) -> Option<Finding> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(judge(status)),
            Err(error) => Some(Finding::new(
                CheckStatus::ProcessError,
                CODE_OF_NO_PROGRAM,
                error.to_string(),
            )),
        }
    }
}

/// The finding for a program that took too long.
pub fn timed_out() -> Finding {
    Finding::bare(CheckStatus::ProcessTimeout)
}

fn judge(status: ExitStatus) -> Finding {
    match (status.code(), status.signal()) {
        (Some(0), _) => Finding::bare(CheckStatus::ProcessOk),
        (Some(code), _) => Finding::new(CheckStatus::ProcessError, code as u32, ""),
        (None, Some(signal)) => Finding::new(
            CheckStatus::ProcessError,
            CODE_OF_SIGNAL,
            format!("ended by signal {signal}"),
        ),
        (None, None) => Finding::new(CheckStatus::ProcessError, CODE_OF_SIGNAL, ""),
    }
}

/// A program that was given up and asked to end.
struct Leaving {
    child: Child,
    kill_at: Instant,
}

/// All programs of the checks.
#[derive(Default)]
pub struct Programs {
    running: usize,
    leaving: Vec<Leaving>,
    forbidden: bool,
    keeps_env: bool,
}

impl Programs {
    /// Follows what `global` allows.
    pub fn allow(&mut self, global: &Global) {
        // root may always; HAProxy forbids others to fork unless asked
        self.forbidden = !global.insecure_fork_wanted && !nix::unistd::geteuid().is_root();
        self.keeps_env = global.external_check_env;
    }

    /// As many run as may run at once.
    pub fn are_many(&self) -> bool {
        self.running + self.leaving.len() >= RUNNING_LIMIT
    }

    /// Starts a check's program.
    ///
    /// # Errors
    /// The finding, where it cannot be started.
    pub fn start(
        &mut self,
        plan: &Plan,
        settings: &ExternalCheck,
        target: &Target,
        now: Instant,
    ) -> Result<Program, Finding> {
        if self.forbidden {
            return Err(Finding::new(
                CheckStatus::SocketError,
                0,
                "`insecure-fork-wanted` is not set",
            ));
        }
        let mut command = command(plan, settings, target, self.keeps_env);
        let child = command.spawn().map_err(|error| not_run(&error))?;
        match crate::sys::pidfd_open(child.id()) {
            Ok(pidfd) => {
                self.running += 1;
                Ok(Program {
                    child,
                    pidfd,
                    started: now,
                })
            }
            Err(error) => {
                self.leave(child, now);
                Err(not_run(&error))
            }
        }
    }

    /// A program ended by itself.
    pub fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Gives a check up that is under way: a program and all that it started must end.
    pub fn abandon(&mut self, running: Running) {
        if let Running::Program(program) = running {
            self.ended();
            self.leave(program.child, Instant::now());
        }
    }

    fn leave(&mut self, child: Child, now: Instant) {
        signal(&child, Signal::SIGTERM);
        self.leaving.push(Leaving {
            child,
            kill_at: now + GRACE,
        });
    }

    /// Kills what did not end in time. Gives the next such moment. The group's
    /// leader is not reaped before, so its number still means this group.
    pub fn tidy(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.leaving.retain_mut(|leaving| {
            if leaving.kill_at > now {
                return true;
            }
            signal(&leaving.child, Signal::SIGKILL);
            let gone = !matches!(leaving.child.try_wait(), Ok(None));
            if !gone {
                leaving.kill_at = now + WAIT;
            }
            !gone
        });
        self.leaving.iter().map(|leaving| leaving.kill_at).min()
    }

    /// Kills everything at once, at the end of the process.
    pub fn kill_all(&mut self) {
        for leaving in &mut self.leaving {
            signal(&leaving.child, Signal::SIGKILL);
        }
    }
}

/// To the whole group of a child that was not reaped yet.
fn signal(child: &Child, signal: Signal) {
    if let Ok(group) = i32::try_from(child.id()) {
        // nobody left in the group: just what is wanted
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

fn not_run(error: &io::Error) -> Finding {
    let status = match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => CheckStatus::SocketError,
        _ => CheckStatus::ProcessError,
    };
    let text = match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    };
    Finding::new(status, CODE_OF_NO_PROGRAM, text)
}

/// Four arguments and the variables that HAProxy's manual lists.
fn command(plan: &Plan, settings: &ExternalCheck, target: &Target, keeps_env: bool) -> Command {
    let server = &plan.server;
    let (address, port) = match target {
        Target::Inet(address) => (address.ip().to_string(), address.port().to_string()),
        Target::Unix(path) => (path.display().to_string(), "NOT_USED".to_owned()),
        Target::Abstract(name) => (format!("abns@{name}"), "NOT_USED".to_owned()),
    };
    let (proxy_address, proxy_port) = proxy_address(plan);
    let used = |text: &str| match text {
        "" => "NOT_USED".to_owned(),
        text => text.to_owned(),
    };
    let mut command = Command::new(&settings.command);
    command
        .args([used(&proxy_address), used(&proxy_port)])
        .args([&address, &port])
        .stdin(Stdio::null())
        .process_group(0);
    if !keeps_env {
        command.env_clear();
    }
    let number = |number: u32| number.to_string();
    let maxconn = server.maxconn.load(std::sync::atomic::Ordering::Relaxed);
    let variables = [
        ("HAPROXY_PROXY_ADDR", proxy_address),
        ("HAPROXY_PROXY_PORT", proxy_port),
        ("HAPROXY_PROXY_ID", number(plan.backend.conf.id)),
        ("HAPROXY_PROXY_NAME", plan.backend.name().to_owned()),
        ("HAPROXY_SERVER_ADDR", address),
        ("HAPROXY_SERVER_PORT", port.replace("NOT_USED", "")),
        ("HAPROXY_SERVER_ID", number(server.conf.id)),
        ("HAPROXY_SERVER_NAME", server.name().to_owned()),
        ("HAPROXY_SERVER_MAXCONN", number(maxconn)),
        ("HAPROXY_SERVER_CURCONN", number(server.sessions.get())),
        ("HAPROXY_SERVER_SSL", number(0)),
        ("HAPROXY_SERVER_PROTO", "tcp".to_owned()),
    ];
    command.envs(variables);
    match (&settings.path, keeps_env) {
        (Some(path), _) => drop(command.env("PATH", path)),
        (None, false) => drop(command.env("PATH", "")),
        (None, true) => {}
    }
    command
}

/// Address and port of the proxy's first listener; empty where it has none.
fn proxy_address(plan: &Plan) -> (String, String) {
    let front = plan.backend.conf.front.as_ref();
    match front
        .and_then(|front| front.binds.first())
        .map(|b| &b.address)
    {
        Some(BindAddress::Tcp {
            host: Host::Ip(ip),
            first,
            ..
        }) => (ip.to_string(), first.to_string()),
        Some(BindAddress::Tcp { first, .. }) => (String::new(), first.to_string()),
        Some(BindAddress::Unix(path)) => (path.display().to_string(), String::new()),
        Some(BindAddress::Abstract(name)) => (format!("abns@{name}"), String::new()),
        Some(BindAddress::Fd(_)) | None => (String::new(), String::new()),
    }
}
