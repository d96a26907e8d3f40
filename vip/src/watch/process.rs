//! Processes by name, pid file or unit: found in /proc of the own pid
//! namespace, watched by pidfd, so a death is known in the moment it happens.

use super::recognise::Question;
use crate::sys;
use conf::vip::model::{ParamMatch, TrackedProcess};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
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
        let proc = Proc::default();
        let found = find(&proc, &self.wanted);
        self.keep(&found, proc.blind.get());
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

    /// Forgets who was not found; where the look was blind, who has died.
    fn keep(&mut self, found: &[i32], blind: bool) {
        self.members
            .retain(|(pid, fd)| found.contains(pid) || (blind && lives(fd)));
    }
}

/// A look at /proc. One that fails for want of descriptors or memory says nothing about who lives.
#[derive(Default)]
struct Proc {
    blind: Cell<bool>,
}

impl Proc {
    fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.note(fs::read(path))
    }

    fn note<T>(&self, result: io::Result<T>) -> Option<T> {
        let want = |e: &io::Error| {
            let code = e.raw_os_error();
            matches!(code, Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
        };
        self.blind
            .set(self.blind.get() || result.as_ref().is_err_and(want));
        result.ok()
    }
}

/// Whether a process that is watched has not died, as its pidfd says.
fn lives(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) == Ok(0)
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

fn find(proc: &Proc, wanted: &Wanted) -> Vec<i32> {
    match wanted {
        Wanted::Script(Question::Name(name)) => scan(proc, |pid| has_name(proc, pid, name)),
        Wanted::Script(Question::PidFile(path)) => {
            let text = proc.read(path).and_then(|t| String::from_utf8(t).ok());
            let pid = text.and_then(|text| text.split_whitespace().next()?.parse().ok());
            pid.filter(|pid| is_alive(proc, *pid)).into_iter().collect()
        }
        Wanted::Script(Question::Unit(unit)) => unit_pids(proc, unit),
        Wanted::Tracked(process) => scan(proc, |pid| is_tracked(proc, pid, process)),
    }
}

/// Every process that fits and is no zombie.
fn scan(proc: &Proc, fits: impl Fn(i32) -> bool) -> Vec<i32> {
    let Some(entries) = proc.note(fs::read_dir("/proc")) else {
        return Vec::new();
    };
    let pid = |e: std::io::Result<fs::DirEntry>| e.ok()?.file_name().to_str()?.parse().ok();
    let pids = entries.filter_map(pid);
    pids.filter(|pid| fits(*pid) && is_alive(proc, *pid))
        .collect()
}

/// Whether a process runs; a zombie does not.
fn is_alive(proc: &Proc, pid: i32) -> bool {
    let Some(stat) = proc.read(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // behind the name, which may be any bytes
    let end = stat.iter().rposition(|b| *b == b')');
    let state = end.and_then(|end| stat.get(end + 2));
    state.is_some_and(|s| !matches!(s, b'Z' | b'X'))
}

/// The short name, or the name of the program for names beyond 15 bytes.
fn has_name(proc: &Proc, pid: i32, name: &str) -> bool {
    let Some(comm) = proc.read(format!("/proc/{pid}/comm")) else {
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
        && command_line(proc, pid)
            .first()
            .is_some_and(|program| file_name(program) == base)
}

fn is_tracked(proc: &Proc, pid: i32, process: &TrackedProcess) -> bool {
    let name_fits = if process.full_command || process.program.contains('/') {
        let program = command_line(proc, pid).into_iter().next();
        program.is_some_and(|p| p == process.program)
    } else {
        has_name(proc, pid, &process.program)
    };
    name_fits && parameters_fit(proc, pid, process)
}

fn parameters_fit(proc: &Proc, pid: i32, process: &TrackedProcess) -> bool {
    if process.param_match == ParamMatch::Any {
        return true;
    }
    let line = command_line(proc, pid);
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

fn command_line(proc: &Proc, pid: i32) -> Vec<String> {
    let bytes = proc
        .read(format!("/proc/{pid}/cmdline"))
        .unwrap_or_default();
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

fn unit_pids(proc: &Proc, unit: &str) -> Vec<i32> {
    let Some(folder) = unit_folder(unit) else {
        return Vec::new();
    };
    let text = proc.read(folder.join("cgroup.procs")).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let pids = text.lines().filter_map(|l| l.parse().ok());
    pids.filter(|pid| is_alive(proc, *pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_blind_look_loses_the_dead_only() {
        let proc = Proc::default();
        let gone = proc.note::<()>(Err(io::Error::from_raw_os_error(libc::ENOENT)));
        assert!(gone.is_none() && !proc.blind.get(), "who is gone is gone");
        proc.note::<()>(Err(io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(proc.blind.get());
        let mut child = Command::new("/bin/sleep").arg("60").spawn().expect("sleep");
        let pid = i32::try_from(child.id()).expect("a pid");
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), format!("{pid}\n")).expect("writable");
        let wanted = Question::PidFile(file.path().to_owned());
        let mut herd = Herd::new(Wanted::Script(wanted));
        herd.gather();
        herd.keep(&[], true);
        assert_eq!(herd.count(), 1, "it lives, though nobody saw it");
        child.kill().expect("own child");
        child.wait().expect("own child");
        herd.keep(&[], true);
        assert_eq!(herd.count(), 0);
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
        let proc = Proc::default();
        assert!(has_name(&proc, pid, comm.trim_end()));
        assert!(!has_name(&proc, pid, "no-such-name"));
    }
}
