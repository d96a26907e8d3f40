//! The script helper: a small process that keeps the rights that running
//! scripts as another user needs, so that the worker need not. It runs what it
//! is told, one process group per script, and kills what takes too long.

use crate::quiet::Quiet;
use crate::{rights, sys};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::unistd::{Group, Pid, User};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tracing::warn;

/// Scripts that may run at the same time.
const MOST_JOBS: usize = 64;
/// Largest order or answer.
pub const LARGEST: usize = 64 * 1024;

/// An order to run a script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Comes back with the answer.
    pub id: u64,
    /// Program and arguments.
    pub words: Vec<String>,
    /// User to run it as; the helper's own if not given.
    pub user: Option<String>,
    /// Group to run it as; the user's if not given.
    pub group: Option<String>,
    /// Killed after so long.
    pub timeout: Option<Duration>,
}

/// How a script ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Of the order.
    pub id: u64,
    /// What is wrong; nothing when the exit status was 0.
    pub failure: Option<String>,
}

struct Running {
    id: u64,
    child: Child,
    pidfd: OwnedFd,
    end: Option<Instant>,
    timeout: Duration,
    killed: bool,
}

/// Serves until the other end of standard input closes.
pub fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn!(%error, "the script helper ends");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // a stop signal to the whole service must not keep notify_stop from running
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        sys::shrug_off(signal)?;
    }
    SigSet::empty().thread_set_mask()?;
    rights::helper();
    let _ = sys::let_go_of_startup_pages();
    let line = io::stdin().as_fd().try_clone_to_owned()?;
    let mut running: Vec<Running> = Vec::new();
    let mut buffer = vec![0; LARGEST];
    let mut quiet = Quiet::stirred();
    loop {
        let mut fds = vec![PollFd::new(line.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            running
                .iter()
                .map(|r| PollFd::new(r.pidfd.as_fd(), PollFlags::POLLIN)),
        );
        let wait = patience(&running).unwrap_or_else(|| quiet.patience());
        match poll(&mut fds, wait) {
            Ok(ready) => quiet.waited(ready > 0 || !running.is_empty()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds
            .iter()
            .map(|f| f.revents().is_some_and(|r| !r.is_empty()))
            .collect();
        for at in (0..running.len()).rev().filter(|at| ready[at + 1]) {
            let mut done = running.swap_remove(at);
            let failure = match done.child.wait() {
                Ok(status) => judge(status, done.killed.then_some(done.timeout)),
                Err(error) => Some(error.to_string()),
            };
            answer(&line, done.id, failure);
        }
        kill_late(&mut running);
        if ready[0] && !take_order(&line, &mut buffer, &mut running)? {
            for late in &running {
                kill_group(&late.child);
            }
            return Ok(());
        }
    }
}

/// Until the first script takes too long.
fn patience(running: &[Running]) -> Option<PollTimeout> {
    let now = Instant::now();
    let waits = running.iter().filter(|r| !r.killed).filter_map(|r| r.end);
    let wait = waits.map(|end| end.saturating_duration_since(now)).min()?;
    Some(PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX))
}

fn kill_late(running: &mut [Running]) {
    let now = Instant::now();
    for late in running
        .iter_mut()
        .filter(|r| !r.killed && r.end.is_some_and(|e| now >= e))
    {
        late.killed = true;
        kill_group(&late.child);
    }
}

fn kill_group(child: &Child) {
    let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
}

/// False when the other end closed.
fn take_order(line: &OwnedFd, buffer: &mut [u8], running: &mut Vec<Running>) -> io::Result<bool> {
    let length = match recv(line.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
        Ok(0) => return Ok(false),
        Ok(length) => length,
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(true),
        Err(nix::errno::Errno::ECONNRESET) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let Ok(job) = serde_json::from_slice::<Job>(&buffer[..length]) else {
        warn!("the helper got an order that it cannot read");
        return Ok(true);
    };
    if running.len() >= MOST_JOBS {
        answer(
            line,
            job.id,
            Some(format!("{MOST_JOBS} scripts are running already")),
        );
        return Ok(true);
    }
    match start(&job) {
        Ok(started) => running.push(started),
        Err(error) => answer(line, job.id, Some(error)),
    }
    Ok(true)
}

fn start(job: &Job) -> Result<Running, String> {
    let (program, arguments) = job.words.split_first().ok_or("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(user) = &job.user {
        let (uid, gid) = identity(user, job.group.as_deref())?;
        if uid != nix::unistd::geteuid().as_raw() || gid != nix::unistd::getegid().as_raw() {
            command.uid(uid).gid(gid);
        }
    }
    let child = command
        .spawn()
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    let pidfd = sys::pidfd_open(child.id() as i32).map_err(|e| e.to_string())?;
    Ok(Running {
        id: job.id,
        child,
        pidfd,
        end: job.timeout.map(|t| Instant::now() + t),
        timeout: job.timeout.unwrap_or_default(),
        killed: false,
    })
}

/// Numbers of a user and a group, given by name or number.
pub fn identity(user: &str, group: Option<&str>) -> Result<(u32, u32), String> {
    let known = match user.parse::<u32>() {
        Ok(uid) => User::from_uid(uid.into()),
        Err(_) => User::from_name(user),
    };
    let known = known.map_err(|e| format!("cannot look up the user {user}: {e}"))?;
    let uid = match (&known, user.parse()) {
        (Some(user), _) => user.uid.as_raw(),
        (None, Ok(uid)) => uid,
        (None, Err(_)) => return Err(format!("there is no user {user}")),
    };
    let gid = match group {
        None => known.map_or(uid, |u| u.gid.as_raw()),
        Some(name) => match (name.parse(), Group::from_name(name)) {
            (Ok(gid), _) => gid,
            (Err(_), Ok(Some(group))) => group.gid.as_raw(),
            (Err(_), Ok(None) | Err(_)) => return Err(format!("there is no group {name}")),
        },
    };
    Ok((uid, gid))
}

fn judge(status: ExitStatus, killed_after: Option<Duration>) -> Option<String> {
    if let Some(timeout) = killed_after {
        return Some(format!("was killed after {} ms", timeout.as_millis()));
    }
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("ended with status {code}")),
        (None, Some(signal)) => Some(format!("was ended by signal {signal}")),
        (None, None) => Some("ended".to_owned()),
    }
}

fn answer(line: &OwnedFd, id: u64, failure: Option<String>) {
    if let Ok(bytes) = serde_json::to_vec(&Answer { id, failure }) {
        let _ = send(line.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT);
    }
}
