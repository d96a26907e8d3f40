//! A new process takes over from an old one: listening sockets ([`wire`]),
//! what it counted and what operators had set ([`crate::saved`]), and a view
//! of the sessions that end there ([`old`]).
//!
//! The old process is found by `-x`, or by the pids of `-sf` and `-st` through
//! its admin socket in the run directory. HAProxy's processes are asked in the
//! same words and give their sockets, nothing more.

pub mod old;
pub mod reexec;
pub mod report;
pub mod wire;

use crate::admin::socket;
use crate::listener::Inherited;
use crate::options::Options;
use conf::lb::{BindAddress, Config};
use old::Link;
use std::io;
use std::path::{Path, PathBuf};

/// What came over.
#[derive(Default)]
pub struct Takeover {
    /// Sockets to listen on.
    pub inherited: Inherited,
    /// The processes that they came from, as far as they tell about themselves.
    pub links: Vec<Link>,
    /// What an operator should know.
    pub told: Vec<String>,
}

impl Takeover {
    /// Processes that the old ones had taken over from report to us from now on.
    fn links_to_those_before(&mut self, run_dir: &Path) {
        let mut known: Vec<u32> = self.links.iter().map(|link| link.first.pid).collect();
        let mut more = Vec::new();
        for link in &mut self.links {
            for before in std::mem::take(&mut link.first.before) {
                let pid = before.pid;
                if known.contains(&pid) {
                    continue;
                }
                known.push(pid);
                match Link::to_before(&socket::default_path(run_dir, pid), before) {
                    Ok(found) => more.push(found),
                    // it has ended meanwhile: who told of it knows its last numbers
                    Err(_) => drop(link.leave_with(pid)),
                }
            }
        }
        self.links.extend(more);
    }
}

/// Takes what the old processes give.
///
/// # Errors
/// The process named by `-x` gives nothing: a sentence.
pub fn begin(options: &Options, config: &Config, run_dir: &Path) -> Result<Takeover, String> {
    let mut takeover = Takeover::default();
    let mut offers = Vec::new();
    let named = options.takeover.as_ref();
    if let Some(path) = named.filter(|path| *path != Path::new("/dev/null")) {
        let taken = wire::receive(path).map_err(|error| {
            format!(
                "Failed to get the sockets from the old process! ({}: {error}; the socket needs \
                 `expose-fd listeners` and `level admin`)",
                path.display()
            )
        })?;
        offers.extend(taken);
        takeover.links.extend(Link::open(path).ok());
    } else if named.is_none() {
        for path in sockets_of(options, config, run_dir) {
            match wire::receive(&path) {
                Ok(taken) => {
                    offers.extend(taken);
                    takeover.links.extend(Link::open(&path).ok());
                }
                Err(error) => takeover.told.push(format!(
                    "no listeners come from {}: {error}; the old process is asked to let go",
                    path.display()
                )),
            }
        }
    }
    takeover.links_to_those_before(run_dir);
    takeover.inherited = Inherited::new(offers);
    Ok(takeover)
}

/// CLI sockets of the processes that `-sf` and `-st` name: the one in the run
/// directory of each of them or of its worker; or, of a process that has none
/// there, those of the configuration that hand out listeners.
fn sockets_of(options: &Options, config: &Config, run_dir: &Path) -> Vec<PathBuf> {
    let pids = options.old_pids.iter();
    let mut found = Vec::new();
    for pid in pids.filter_map(|pid| u32::try_from(*pid).ok()) {
        match admin_socket(run_dir, pid) {
            Some(path) => found.push(path),
            None => found.extend(configured(config).filter(|path| speaks_for(path, pid))),
        }
    }
    found
}

/// The admin socket of a process or, if it is a master, of its worker.
pub fn admin_socket(run_dir: &Path, pid: u32) -> Option<PathBuf> {
    let own = socket::default_path(run_dir, pid);
    if own.exists() {
        return Some(own);
    }
    let alive = socket::alive(run_dir).into_iter();
    let is_child = |path: &PathBuf| pid_of(path).and_then(parent) == Some(pid);
    // the youngest, when an older one still has sessions
    alive
        .filter(is_child)
        .max_by_key(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
}

fn configured(config: &Config) -> impl Iterator<Item = PathBuf> + '_ {
    let exposing = config.global.stats.sockets.iter();
    exposing
        .filter(|socket| socket.expose_fd_listeners)
        .filter_map(|socket| match &socket.bind.address {
            BindAddress::Unix(path) => Some(path.clone()),
            BindAddress::Abstract(_) | BindAddress::Fd(_) | BindAddress::Tcp { .. } => None,
        })
}

/// Whether this process, or its child, listens on the socket.
fn speaks_for(path: &Path, pid: u32) -> bool {
    listener_of(path).is_ok_and(|listener| listener == pid || parent(listener) == Some(pid))
}

fn listener_of(path: &Path) -> io::Result<u32> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    let credentials = getsockopt(&stream, PeerCredentials)?;
    Ok(credentials.pid() as u32)
}

/// The pid in `lb-<pid>.sock`.
fn pid_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("lb-")?
        .strip_suffix(".sock")?
        .parse()
        .ok()
}

/// The parent of a process.
fn parent(pid: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_is_read_from_the_sockets_name_and_the_parent_from_the_system() {
        assert_eq!(pid_of(Path::new("/run/evenkeel/lb-4711.sock")), Some(4711));
        assert_eq!(pid_of(Path::new("/run/evenkeel/lb-x.sock")), None);
        assert_eq!(
            parent(std::process::id()),
            Some(std::os::unix::process::parent_id())
        );
    }
}
