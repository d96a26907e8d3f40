//! Namespaces: entering fresh ones, and what must be set up inside.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, getgid, getuid, sethostname};
use std::io;
use std::process::{Command, Stdio};

/// Enters fresh network, mount, UTS and (for children) process namespaces; for
/// others than root inside of a fresh user namespace where they are root.
pub fn enter(hostname: &str, own_user: bool) -> io::Result<()> {
    let mut flags = CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWPID;
    if own_user {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    let (uid, gid) = (getuid(), getgid());
    unshare(flags)?;
    if own_user {
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    sethostname(hostname)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    Ok(())
}

/// A `/proc` of the own process namespace; for the first process in it.
pub fn mount_proc() -> io::Result<()> {
    let none: Option<&str> = None;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)?;
    Ok(())
}

/// Shows `from` in place of `over` to this mount namespace.
pub fn overlay(from: &str, over: &str) -> io::Result<()> {
    let none: Option<&str> = None;
    mount(Some(from), over, none, MsFlags::MS_BIND, none)?;
    Ok(())
}

/// Ends this process when its parent ends, however that happens.
pub fn die_with_parent() -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

/// The oldest kernel that everything here works on (pidfd_open is of 5.3).
pub const OLDEST_KERNEL: (u32, u32) = (5, 4);

/// Release of the running kernel.
pub fn kernel() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| String::new(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// Whether a release is known to be older than [`OLDEST_KERNEL`].
pub fn is_old(release: &str) -> bool {
    let mut parts = release.split(['.', '-']).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST_KERNEL,
        _ => false,
    }
}

/// Whether this user can make the namespaces that `up` needs; the reason and
/// the command that helps if not. Tries it in a child, so nothing stays.
pub fn possible() -> Result<(), String> {
    let release = kernel();
    if is_old(&release) {
        let (major, minor) = OLDEST_KERNEL;
        return Err(format!(
            "kernel {release} is older than {major}.{minor}, whose process descriptors the VRRP daemon needs: \
             install a newer kernel, or run `evenkeel up --no-vip` (balancer and broker on loopback)"
        ));
    }
    let root = Uid::effective().is_root();
    let status = std::env::current_exe()
        .and_then(|exe| {
            Command::new(exe)
                .args(["up", "--role=probe"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .output()
        })
        .map_err(|error| format!("cannot start itself: {error}"))?;
    if status.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&status.stderr).trim().to_owned();
    Err(refusal(root, &why, &exhausted()))
}

/// What says why there are no namespaces, and which command helps.
fn refusal(root: bool, why: &str, exhausted: &str) -> String {
    match (root, exhausted) {
        (true, "") => format!(
            "root may not make namespaces here ({why}): the container lacks CAP_SYS_ADMIN; \
             start it with --privileged or --cap-add SYS_ADMIN --cap-add NET_ADMIN, \
             or run `evenkeel up --no-vip`"
        ),
        (true, limits) => format!(
            "the limits of this system allow no namespaces ({why}); raise them with \
             `sysctl -w{limits}`, or run `evenkeel up --no-vip`"
        ),
        (false, limits) => format!(
            "this system refuses namespaces to users other than root ({why}); allow them with \
             `sudo sysctl kernel.unprivileged_userns_clone=1{limits}` \
             (on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0), run `sudo evenkeel up`, \
             or run `evenkeel up --no-vip`"
        ),
    }
}

/// The limits of namespaces that allow none, as assignments for `sysctl`.
fn exhausted() -> String {
    let kinds = ["user", "net", "mnt", "uts", "ipc", "pid"];
    let none = |kind: &&&str| {
        let limit = std::fs::read_to_string(format!("/proc/sys/user/max_{kind}_namespaces"));
        limit.is_ok_and(|limit| limit.trim() == "0")
    };
    let names = kinds.iter().filter(none);
    names
        .map(|kind| format!(" user.max_{kind}_namespaces=15000"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_allow_no_namespaces_are_named_to_root_and_others() {
        let limit = " user.max_net_namespaces=15000";
        assert!(refusal(true, "full", limit).contains("`sysctl -w user.max_net_namespaces=15000`"));
        assert!(refusal(false, "full", limit).contains(limit));
        assert!(refusal(true, "EPERM", "").contains("CAP_SYS_ADMIN"));
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(is_old("4.19.0-27-amd64") && is_old("2.6.78") && is_old("5.3.1"));
        assert!(!is_old("5.4.0") && !is_old("6.1.0-9-amd64") && !is_old("10.0"));
        assert!(
            !is_old("of our own"),
            "what is not understood is not refused"
        );
    }
}
