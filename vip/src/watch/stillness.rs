//! Whether a process does nothing at all: no thread of it had a processor
//! between two looks, and none waits for one or for a disk. A process that owes an answer and
//! is still hangs (stopped, or all its threads wait for each other); one that
//! works, or that a busy machine keeps waiting, is slow. What cannot be seen
//! (another user's process under `hidepid`, another process namespace) counts
//! as working.

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The process at the other end of an admin socket, and what was seen of it since a question.
#[derive(Debug, Default)]
pub struct Watched {
    /// Who opened the socket, as the kernel says.
    owner: Option<i32>,
    /// Whether it says the same of itself: only then it is this process that answers.
    certain: bool,
    /// Processor time of all threads at the last look, nanoseconds.
    seen: Option<u64>,
    looks: u32,
}

impl Watched {
    /// The process that opened the socket at the other end.
    pub fn behind(stream: &UnixStream) -> Watched {
        Watched {
            owner: getsockopt(stream, PeerCredentials).ok().map(|c| c.pid()),
            ..Watched::default()
        }
    }

    /// Reads the process id of `show info`.
    pub fn says(&mut self, answer: &str) {
        let pid = answer.lines().find_map(|l| l.strip_prefix("Pid: "));
        if let Some(pid) = pid {
            self.certain = pid.trim().parse().ok() == self.owner;
        }
    }

    /// A question was asked: what was seen before does not count.
    pub fn forget(&mut self) {
        self.seen = None;
        self.looks = 0;
    }

    /// Looks since the question.
    pub fn looks(&self) -> u32 {
        self.looks
    }

    /// Looks at it; whether it did nothing since the look before.
    pub fn look(&mut self) -> bool {
        self.looks += 1;
        let pid = self.owner.filter(|_| self.certain);
        let now = pid.and_then(|pid| worked(&Path::new("/proc").join(pid.to_string())));
        let before = std::mem::replace(&mut self.seen, now);
        now.is_some() && now == before
    }
}

/// Processor time of all threads of a process, nanoseconds; nothing if a thread wants more now,
/// waits for a disk, or cannot be seen.
fn worked(process: &Path) -> Option<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(process.join("task")).ok()? {
        let thread = thread.ok()?.path();
        let stat = std::fs::read_to_string(thread.join("stat")).ok()?;
        let state = stat.rsplit_once(") ")?.1.chars().next()?;
        if matches!(state, 'R' | 'D') {
            return None;
        }
        let times = std::fs::read_to_string(thread.join("schedstat")).ok()?;
        sum += times.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn watched(child: &Child) -> Watched {
        let owner = i32::try_from(child.id()).ok();
        let mut watched = Watched {
            owner,
            ..Watched::default()
        };
        watched.says(&format!("Name: HAProxy\nPid: {}\nUptime: 1\n", child.id()));
        watched
    }

    fn start(script: &str) -> Child {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped());
        shell.stdout(Stdio::piped()).spawn().expect("a shell")
    }

    #[test]
    fn a_process_that_waits_is_still_and_one_that_works_is_not() {
        for (script, still) in [("read x", true), ("echo; while :; do :; done", false)] {
            let mut child = start(script);
            let mut watched = watched(&child);
            assert!(!watched.look(), "the first look has nothing to compare");
            // the start itself is work: wait until it is over
            let found = (0..200).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                watched.look()
            });
            assert_eq!(found, still, "{script}");
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    #[test]
    fn a_process_that_is_not_certain_is_never_still() {
        let mut child = start("read x");
        let mut watched = watched(&child);
        watched.says("Pid: 1\n");
        assert!((0..20).all(|_| !watched.look()));
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}
