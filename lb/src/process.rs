//! What the process is: limits, user, root directory, pid file.

use conf::lb::model::{Account, Config, Process};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::{Gid, Group, Uid, User};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Descriptors beside those of sessions: logs, pollers, the control side.
const SPARE_DESCRIPTORS: u64 = 100;

/// Descriptors that a session needs: two sockets, and two pipes while it
/// splices.
const DESCRIPTORS_PER_SESSION: u64 = 2;

/// The host's name; empty when it has none.
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Why the process cannot become what the configuration asks for, with the
/// command that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub problem: String,
    /// What to do about it; empty when there is nothing simple.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remedy.is_empty() {
            true => f.write_str(&self.problem),
            false => write!(f, "{} (try: {})", self.problem, self.remedy),
        }
    }
}

impl Refusal {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        Refusal {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// Who the process becomes: looked up before anything starts, so that a wrong
/// name is told while somebody still listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Directory that becomes the root.
    pub chroot: Option<PathBuf>,
    /// User.
    pub uid: Option<Uid>,
    /// Group.
    pub gid: Option<Gid>,
}

impl Identity {
    /// Looks up names and checks the directory.
    ///
    /// # Errors
    /// The first thing that is not there.
    pub fn of(process: &Process) -> Result<Identity, Refusal> {
        let chroot = process.chroot.as_ref().map(|(path, _)| path.clone());
        if let Some(path) = &chroot {
            check_chroot(path)?;
        }
        Ok(Identity {
            chroot,
            uid: process
                .user
                .as_ref()
                .map(|(account, _)| uid(account))
                .transpose()?,
            gid: process
                .group
                .as_ref()
                .map(|(account, _)| gid(account))
                .transpose()?,
        })
    }

    /// Whether anything changes.
    pub fn changes_anything(&self) -> bool {
        self.chroot.is_some() || self.uid.is_some() || self.gid.is_some()
    }

    /// Enters the root directory and becomes user and group, in that order.
    ///
    /// # Errors
    /// The system refuses a step.
    pub fn assume(&self) -> Result<(), Refusal> {
        if let Some(path) = &self.chroot {
            let failed = |e: nix::Error| {
                let text = format!("Cannot chroot({}): {}", path.display(), e.desc());
                Refusal::new(
                    text,
                    "start as root, or remove 'chroot' from the global section",
                )
            };
            nix::unistd::chroot(path).map_err(failed)?;
            std::env::set_current_dir("/")
                .map_err(|e| Refusal::new(format!("Cannot enter the new root: {e}"), ""))?;
        }
        if let Some(gid) = self.gid.filter(|gid| *gid != Gid::effective()) {
            let failed = |e: nix::Error| {
                Refusal::new(
                    format!("Cannot set gid {gid}: {}", e.desc()),
                    "start as root",
                )
            };
            nix::unistd::setgroups(&[gid]).map_err(failed)?;
            nix::unistd::setgid(gid).map_err(failed)?;
        }
        if let Some(uid) = self.uid.filter(|uid| *uid != Uid::effective()) {
            // without it a reload could not open a port below 1024
            let keeps = nix::sys::prctl::set_keepcaps(true).is_ok();
            let failed = |e: nix::Error| {
                Refusal::new(
                    format!("Cannot set uid {uid}: {}", e.desc()),
                    "start as root",
                )
            };
            if self.gid.is_none() && Uid::effective().is_root() {
                nix::unistd::setgroups(&[]).map_err(failed)?;
            }
            nix::unistd::setuid(uid).map_err(failed)?;
            if keeps {
                keep_low_ports();
            }
        }
        Ok(())
    }
}

fn check_chroot(path: &Path) -> Result<(), Refusal> {
    let remedy = || format!("mkdir -p {}", path.display());
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Refusal::new(
            format!("Cannot chroot({}): Not a directory", path.display()),
            "",
        )),
        Err(e) => {
            let reason = match e.kind() {
                std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
                _ => e.to_string(),
            };
            Err(Refusal::new(
                format!("Cannot chroot({}): {reason}", path.display()),
                remedy(),
            ))
        }
    }
}

fn uid(account: &Account) -> Result<Uid, Refusal> {
    match account {
        Account::Id(id) => Ok(Uid::from_raw(*id)),
        Account::Name(name) => match User::from_name(name) {
            Ok(Some(user)) => Ok(user.uid),
            Ok(None) | Err(_) => Err(Refusal::new(
                format!("cannot find user id for '{name}'"),
                format!("useradd --system --shell /usr/sbin/nologin {name}"),
            )),
        },
    }
}

fn gid(account: &Account) -> Result<Gid, Refusal> {
    match account {
        Account::Id(id) => Ok(Gid::from_raw(*id)),
        Account::Name(name) => match Group::from_name(name) {
            Ok(Some(group)) => Ok(group.gid),
            Ok(None) | Err(_) => Err(Refusal::new(
                format!("cannot find group id for '{name}'"),
                format!("groupadd --system {name}"),
            )),
        },
    }
}

/// Descriptors that so many sessions need.
pub fn descriptors_for(maxconn: u64) -> u64 {
    maxconn * DESCRIPTORS_PER_SESSION + SPARE_DESCRIPTORS
}

/// Sessions that so many descriptors allow: at least one, and under a small limit what half
/// of it allows.
pub fn sessions_within(descriptors: u64) -> u64 {
    let spare = SPARE_DESCRIPTORS.min(descriptors / 2);
    ((descriptors - spare) / DESCRIPTORS_PER_SESSION).max(1)
}

/// What was found out about the limit of open files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of the process.
    pub maxconn: u32,
    /// Open files allowed now.
    pub descriptors: u64,
    /// Something to tell the operator.
    pub warning: Option<String>,
}

/// Raises the limit of open files to what `maxconn` or `ulimit-n` needs;
/// without a `maxconn` the limit decides how many sessions there may be.
///
/// # Errors
/// The limit cannot be raised and `strict-limits` holds.
pub fn raise_limits(config: &Config, memory_mib: Option<u64>) -> Result<Limits, Refusal> {
    let global = &config.global;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let ceiling = global
        .process
        .fd_hard_limit
        .map_or(hard, |limit| hard.min(rlim_t::from(limit)));
    let wanted = match (global.process.ulimit_n, global.maxconn) {
        (Some(limit), _) => rlim_t::from(limit),
        (None, Some(maxconn)) => descriptors_for(u64::from(maxconn)).max(soft),
        (None, None) => ceiling,
    };
    let mut warning = None;
    let mut granted = soft;
    if wanted != soft {
        granted = match setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted.max(hard)) {
            Ok(()) => wanted,
            Err(_) => {
                let fallback = wanted.min(hard);
                // lowering below the hard limit is always allowed
                let _ = setrlimit(Resource::RLIMIT_NOFILE, fallback, hard);
                fallback
            }
        };
    }
    if granted < wanted {
        let text = format!(
            "FD limit ({granted}) too low for maxconn={}/ulimit-n={wanted}. \
             Please raise 'ulimit-n' to {wanted} or more to avoid any trouble.",
            global.maxconn.unwrap_or_default()
        );
        if global.strict_limits {
            return Err(Refusal::new(text, format!("ulimit -n {wanted}")));
        }
        warning = Some(text);
    }
    if let Some(mib) = memory_mib {
        let bytes = mib.saturating_mul(1 << 20);
        setrlimit(Resource::RLIMIT_AS, bytes, bytes).map_err(|e| {
            Refusal::new(
                format!("Cannot limit memory to {mib} MiB: {}", e.desc()),
                "",
            )
        })?;
    }
    let derived = || u32::try_from(sessions_within(granted)).unwrap_or(u32::MAX);
    Ok(Limits {
        maxconn: global.maxconn.unwrap_or_else(derived),
        descriptors: granted,
        warning,
    })
}

/// Writes the pid and a line feed, whatever stood there before.
///
/// # Errors
/// The file cannot be written.
pub fn write_pid(path: &Path, pid: u32) -> Result<(), Refusal> {
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| writeln!(file, "{pid}"));
    written.map_err(|e| {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let remedy = match e.kind() {
            std::io::ErrorKind::NotFound => format!("mkdir -p {}", folder.display()),
            _ => String::new(),
        };
        Refusal::new(
            format!("Cannot create pidfile {}: {e}", path.display()),
            remedy,
        )
    })
}

/// Gives up every right of root but that of listening on ports below 1024,
/// which a reload may need. A process that cannot even do that has none left.
fn keep_low_ports() {
    use caps::{CapSet, Capability, CapsHashSet};
    let only: CapsHashSet = [Capability::CAP_NET_BIND_SERVICE].into_iter().collect();
    let kept = caps::set(None, CapSet::Effective, &only)
        .and_then(|()| caps::set(None, CapSet::Permitted, &only));
    if kept.is_err() {
        let none = CapsHashSet::new();
        for set in [CapSet::Effective, CapSet::Permitted] {
            // nothing there to be cleared
            let _ = caps::set(None, set, &none);
        }
    }
}

/// What standard input, output and error become in the background. Opened
/// early: there is no /dev/null in a chroot.
pub struct Nowhere(File);

impl Nowhere {
    /// Opens it.
    ///
    /// # Errors
    /// There is no /dev/null.
    pub fn open() -> std::io::Result<Nowhere> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map(Nowhere)
    }

    /// Leaves the terminal.
    pub fn replace_streams(&self) {
        // a stream that cannot be replaced keeps the terminal: harmless
        let _ = nix::unistd::dup2_stdin(&self.0);
        let _ = nix::unistd::dup2_stdout(&self.0);
        let _ = nix::unistd::dup2_stderr(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_chroot_directory_is_refused_with_the_command_that_helps() {
        let refusal = check_chroot(Path::new("/nonexistent/root")).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("No such file or directory"), "{text}");
        assert!(text.contains("mkdir -p /nonexistent/root"), "{text}");
    }

    #[test]
    fn an_unknown_user_is_refused_with_the_command_that_helps() {
        let refusal = uid(&Account::Name("nobody-has-this-name".into())).unwrap_err();
        assert!(refusal.remedy.starts_with("useradd"), "{refusal}");
    }

    #[test]
    fn a_pid_file_is_a_number_and_a_line_feed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lb.pid");
        write_pid(&path, 4711).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "4711\n");
    }

    #[test]
    fn descriptors_and_sessions_are_each_others_inverse() {
        assert_eq!(sessions_within(descriptors_for(4096)), 4096);
    }

    #[test]
    fn a_small_limit_of_descriptors_leaves_room_for_sessions() {
        assert_eq!([64, 100, 200].map(sessions_within), [16, 25, 50]);
        assert_eq!(sessions_within(1), 1);
    }
}
