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
/// How long a killed script may take to die. One that hangs in the kernel (a file server that is
/// away) does not.
const DEATH: Duration = Duration::from_secs(1);
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
    words: Vec<String>,
    child: Child,
    pidfd: OwnedFd,
    /// When it is killed, or given up once it was.
    end: Option<Instant>,
    timeout: Duration,
    killed: bool,
    /// Its order was answered, because it does not die.
    given_up: bool,
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
            if !done.given_up {
                answer(&line, done.id, failure);
            }
        }
        kill_late(&line, &mut running);
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
    let waits = running.iter().filter_map(|r| r.end);
    let wait = waits.map(|end| end.saturating_duration_since(now)).min()?;
    Some(PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX))
}

fn kill_late(line: &OwnedFd, running: &mut [Running]) {
    let now = Instant::now();
    for late in running
        .iter_mut()
        .filter(|r| r.end.is_some_and(|e| now >= e))
    {
        if late.killed {
            late.given_up = true;
            late.end = None;
            let after = late.timeout.as_millis();
            let why = format!("was killed after {after} ms and does not die");
            answer(line, late.id, Some(why));
        } else {
            late.killed = true;
            late.end = Some(now + DEATH);
            kill_group(&late.child);
        }
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
    if running.iter().any(|r| r.given_up && r.words == job.words) {
        let why = "an earlier run of it was killed and does not die";
        answer(line, job.id, Some(why.to_owned()));
        return Ok(true);
    }
    match start(&job) {
        Ok(started) => running.push(started),
        Err(error) => answer(line, job.id, Some(error)),
    }
    Ok(true)
}

/// Starts what is ordered; what it says is nobody's, as in keepalived: an output that nobody reads
/// would stop or kill a check.
fn start(job: &Job) -> Result<Running, String> {
    let (program, arguments) = job.words.split_first().ok_or("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
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
        words: job.words.clone(),
        child,
        pidfd,
        end: job.timeout.map(|t| Instant::now() + t),
        timeout: job.timeout.unwrap_or_default(),
        killed: false,
        given_up: false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    fn told(line: &UnixDatagram) -> Answer {
        let mut buffer = vec![0; LARGEST];
        let length = line.recv(&mut buffer).expect("an answer");
        serde_json::from_slice(&buffer[..length]).expect("an answer's form")
    }

    fn order(line: &UnixDatagram, id: u64, words: &[&str]) {
        let job = Job {
            id,
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            user: None,
            group: None,
            timeout: Some(Duration::from_secs(60)),
        };
        line.send(&serde_json::to_vec(&job).expect("a form"))
            .expect("sent");
    }

    #[test]
    fn a_script_that_does_not_die_counts_as_failed_and_is_not_started_again() {
        let (worker, own) = UnixDatagram::pair().expect("a pair");
        let (own, mut running): (OwnedFd, _) = (own.into(), Vec::new());
        let mut buffer = vec![0; LARGEST];
        let hanging = ["/bin/sleep", "1000"];
        order(&worker, 1, &hanging);
        take_order(&own, &mut buffer, &mut running).expect("taken");
        // as if it had been killed and hung in the kernel
        running[0].killed = true;
        running[0].end = Some(Instant::now());
        kill_late(&own, &mut running);
        let answer = told(&worker);
        assert_eq!(answer.id, 1);
        assert!(answer.failure.is_some_and(|f| f.contains("does not die")));
        assert!(patience(&running).is_none(), "nothing more is waited for");
        order(&worker, 2, &hanging);
        take_order(&own, &mut buffer, &mut running).expect("taken");
        assert_eq!(told(&worker).id, 2);
        assert_eq!(running.len(), 1);
        kill_group(&running[0].child);
        running[0].child.wait().expect("reaped");
    }
}
