//! Processes by name, pid file or unit: found in /proc of the own pid
//! namespace, watched by pidfd, so a death is known in the moment it happens.

use super::recognise::Question;
use crate::sys;
use conf::vip::model::{ParamMatch, TrackedProcess};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Which processes count.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// From a recognised script.
    Script(Question),
    /// From `vrrp_track_process`.
    Tracked(TrackedProcess),
}

/// Processes watched at the same time for one question.
const MOST: usize = 256;

/// The living processes of one question.
#[derive(Debug)]
pub struct Herd {
    wanted: Wanted,
    members: Vec<(i32, OwnedFd)>,
}

impl Herd {
    /// An empty herd; [`Herd::gather`] fills it.
    pub fn new(wanted: Wanted) -> Herd {
        Herd {
            wanted,
            members: Vec::new(),
        }
    }

    /// The pidfds, each readable once its process is dead.
    pub fn pidfds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.members.iter().map(|(_, fd)| fd)
    }

    /// How many live.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Forgets the dead and finds the new ones.
    pub fn gather(&mut self) {
        let found = find(&self.wanted);
        self.members.retain(|(pid, _)| found.contains(pid));
        for pid in found {
            let room = self.members.len() < MOST;
            if room && !self.members.iter().any(|(known, _)| *known == pid)
                // a process that died meanwhile has no pidfd: it does not count
                && let Ok(fd) = sys::pidfd_open(pid)
            {
                self.members.push((pid, fd));
            }
        }
    }
}

/// Whether systemd's folder of a unit is there, so that its processes can be watched.
pub fn unit_is_visible(unit: &str) -> bool {
    unit_folder(unit).is_some()
}

/// Whether /proc hides other users' processes from this one (`hidepid`).
pub fn others_are_hidden() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    hides(&mounts)
}

fn hides(mounts: &str) -> bool {
    let proc = |l: &&str| l.split(' ').nth(1) == Some("/proc");
    let options = mounts.lines().rfind(proc).and_then(|l| l.split(' ').nth(3));
    let hiding = |o: &str| o.starts_with("hidepid=") && o != "hidepid=0" && o != "hidepid=off";
    options.is_some_and(|o| o.split(',').any(hiding))
}

fn find(wanted: &Wanted) -> Vec<i32> {
    match wanted {
        Wanted::Script(Question::Name(name)) => scan(|pid| has_name(pid, name)),
        Wanted::Script(Question::PidFile(path)) => {
            let pid = fs::read_to_string(path).ok();
            let pid = pid.and_then(|text| text.split_whitespace().next()?.parse().ok());
            pid.filter(|pid| is_alive(*pid)).into_iter().collect()
        }
        Wanted::Script(Question::Unit(unit)) => unit_pids(unit),
        Wanted::Tracked(process) => scan(|pid| is_tracked(pid, process)),
    }
}

/// Every process that fits and is no zombie.
fn scan(fits: impl Fn(i32) -> bool) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pid = |e: std::io::Result<fs::DirEntry>| e.ok()?.file_name().to_str()?.parse().ok();
    let pids = entries.filter_map(pid);
    pids.filter(|pid| fits(*pid) && is_alive(*pid)).collect()
}

/// Whether a process runs; a zombie does not.
fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|s| s != 'Z' && s != 'X')
}

/// The short name, or the name of the program for names beyond 15 bytes.
fn has_name(pid: i32, name: &str) -> bool {
    let Ok(comm) = fs::read(format!("/proc/{pid}/comm")) else {
        return false;
    };
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    let base = name.rsplit('/').next().unwrap_or(name);
    if comm == base.as_bytes() {
        return true;
    }
    // cut at 15 bytes, or started through a link of that name
    base.len() >= 15
        && comm == &base.as_bytes()[..15]
        && command_line(pid)
            .first()
            .is_some_and(|program| file_name(program) == base)
}

fn is_tracked(pid: i32, process: &TrackedProcess) -> bool {
    let name_fits = if process.full_command || process.program.contains('/') {
        let program = command_line(pid).into_iter().next();
        program.is_some_and(|p| p == process.program)
    } else {
        has_name(pid, &process.program)
    };
    name_fits && parameters_fit(pid, process)
}

fn parameters_fit(pid: i32, process: &TrackedProcess) -> bool {
    if process.param_match == ParamMatch::Any {
        return true;
    }
    let line = command_line(pid);
    let given = line.get(1..).unwrap_or_default();
    let wanted = &process.parameters;
    match process.param_match {
        ParamMatch::Any => true,
        ParamMatch::Exact => given == wanted,
        ParamMatch::Initial => given.starts_with(wanted),
        ParamMatch::Partial => match wanted.split_last() {
            None => true,
            Some((last, first)) => {
                let at = first.len();
                given.starts_with(first) && given.get(at).is_some_and(|g| g.starts_with(last))
            }
        },
    }
}

fn command_line(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes
        .split(|b| *b == 0)
        .map(|w| String::from_utf8_lossy(w).into_owned());
    words.filter(|w| !w.is_empty()).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn unit_folder(unit: &str) -> Option<PathBuf> {
    let name = if unit.contains('.') {
        unit.to_owned()
    } else {
        format!("{unit}.service")
    };
    let slices = [
        "/sys/fs/cgroup/system.slice",
        "/sys/fs/cgroup/systemd/system.slice",
    ];
    let folders = slices.iter().map(|s| Path::new(s).join(&name));
    folders.into_iter().find(|f| f.is_dir())
}

fn unit_pids(unit: &str) -> Vec<i32> {
    let Some(folder) = unit_folder(unit) else {
        return Vec::new();
    };
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|l| l.parse().ok());
    pids.filter(|pid| is_alive(*pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    use std::process::Command;

    #[test]
    fn the_death_of_a_process_is_seen_by_its_pidfd() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("watched-by-test");
        std::os::unix::fs::symlink("/bin/sleep", &program).expect("a link");
        let mut child = Command::new(&program)
            .arg("60")
            .spawn()
            .expect("sleep exists");
        let file = folder.path().join("pid");
        fs::write(&file, format!("{}\n", child.id())).expect("writable");
        let mut herd = Herd::new(Wanted::Script(Question::PidFile(file)));
        herd.gather();
        assert_eq!(herd.count(), 1);
        child.kill().expect("own child");
        {
            let fd = herd.pidfds().next().expect("one member");
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::from(5000u16)), Ok(1));
        }
        herd.gather();
        assert_eq!(herd.count(), 0, "a zombie does not count");
        child.wait().expect("own child");
    }

    #[test]
    fn a_proc_that_hides_other_users_is_noticed() {
        assert!(!hides("proc /proc proc rw,nosuid 0 0\n"));
        assert!(hides("proc /proc proc rw,nosuid,hidepid=2 0 0\n"));
        assert!(hides("proc /proc proc rw,hidepid=invisible 0 0\n"));
        assert!(!hides(
            "proc /proc proc rw,hidepid=0 0 0\nx /mnt proc hidepid=2 0 0\n"
        ));
    }

    #[test]
    fn the_own_process_is_found_by_its_name() {
        let comm = fs::read_to_string("/proc/self/comm").expect("proc is mounted");
        let pid = std::process::id() as i32;
        assert!(has_name(pid, comm.trim_end()));
        assert!(!has_name(pid, "no-such-name"));
    }
}
