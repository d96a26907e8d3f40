//! Files of unix sockets: bound beside their place and moved there when they
//! are ready, so that a client never sees one without a listener or with the
//! wrong rights.

use conf::lb::model::{Account, UnixAccess};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A socket at `path` with these rights; `open` binds and listens at the path
/// that it is given. The kernel goes on calling the socket by that one, which
/// looks as HAProxy's do.
///
/// # Errors
/// What `open` fails with, or the file's rights cannot be set; nothing is left.
pub fn in_place<T>(
    path: &Path,
    access: &UnixAccess,
    open: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}.tmp", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let _ = std::fs::remove_file(&fresh);
    let finish = || {
        let socket = open(&fresh)?;
        grant(&fresh, access)?;
        std::fs::rename(&fresh, path)?;
        Ok(socket)
    };
    finish().inspect_err(|_| {
        let _ = std::fs::remove_file(&fresh);
    })
}

/// Sets mode and owner of a socket's file.
///
/// # Errors
/// No such user or group, or the system refuses.
pub fn grant(path: &Path, access: &UnixAccess) -> io::Result<()> {
    if let Some(mode) = access.mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    let user = access.user.as_ref().map(user_id).transpose()?;
    let group = access.group.as_ref().map(group_id).transpose()?;
    if user.is_some() || group.is_some() {
        std::os::unix::fs::chown(path, user, group)?;
    }
    Ok(())
}

fn user_id(account: &Account) -> io::Result<u32> {
    match account {
        Account::Id(id) => Ok(*id),
        Account::Name(name) => nix::unistd::User::from_name(name)?
            .map(|user| user.uid.as_raw())
            .ok_or_else(|| io::Error::other(format!("no user `{name}`"))),
    }
}

fn group_id(account: &Account) -> io::Result<u32> {
    match account {
        Account::Id(id) => Ok(*id),
        Account::Name(name) => nix::unistd::Group::from_name(name)?
            .map(|group| group.gid.as_raw())
            .ok_or_else(|| io::Error::other(format!("no group `{name}`"))),
    }
}
