//! The few calls that no safe wrapper has: options and figures of sockets,
//! adopting a descriptor that was inherited or came through a socket, watching
//! a child.
#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// `setsockopt` with a value of the option's own type.
fn set_option<T: Copy>(
    socket: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and its length describe a live value, of which the kernel
    // takes a copy; the descriptor stays open while `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set_tcp_option(
    socket: &impl AsRawFd,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, option, &value)
}

/// `TCP_DEFER_ACCEPT`: connections appear once the client sent data, at most after this long.
pub fn set_defer_accept(socket: &impl AsRawFd, seconds: i32) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_DEFER_ACCEPT, seconds)
}

/// `TCP_FASTOPEN`: so many connections may wait whose SYN carried data.
pub fn set_fast_open(socket: &impl AsRawFd, waiting: i32) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_FASTOPEN, waiting)
}

/// `TCP_REPAIR`: closing tells the peer nothing.
pub fn set_repair(socket: &impl AsRawFd) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_REPAIR, 1)
}

/// A name in the abstract name space as HAProxy binds it: filled with zeros to
/// the end, so that both find each other there.
pub fn abstract_name(name: &str) -> Vec<u8> {
    const LENGTH: usize = 107;
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(LENGTH.max(bytes.len()), 0);
    bytes
}

/// The same as a path that begins with a zero.
pub fn abstract_path(name: &str) -> PathBuf {
    let bytes = [&[0], abstract_name(name).as_slice()].concat();
    PathBuf::from(OsString::from_vec(bytes))
}

/// New connections of the group of sockets that share this one's port all go to
/// the group's first socket.
///
/// # Errors
/// The system refuses, or it is in no group.
pub fn steer_to_first(socket: &impl AsRawFd) -> io::Result<()> {
    // "return 0": the index of the socket in the group
    let mut program = [libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    let filter = libc::sock_fprog {
        len: 1,
        filter: program.as_mut_ptr(),
    };
    set_option(
        socket,
        libc::SOL_SOCKET,
        libc::SO_ATTACH_REUSEPORT_CBPF,
        &filter,
    )
}

/// Takes that back.
///
/// # Errors
/// Nothing was there to be taken back.
pub fn steer_no_more(socket: &impl AsRawFd) -> io::Result<()> {
    let ignored: libc::c_int = 0;
    set_option(
        socket,
        libc::SOL_SOCKET,
        libc::SO_DETACH_REUSEPORT_BPF,
        &ignored,
    )
}

/// A descriptor of our own for one that was inherited under this number; the
/// inherited one stays open.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: duplicating any number is sound; a number that is not open gives an error.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fcntl gave a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Receives bytes and at most `most` descriptors that came with them.
///
/// # Errors
/// Nothing comes, or more descriptors than that (they are closed).
pub fn receive(
    socket: &impl AsRawFd,
    bytes: &mut [u8],
    most: usize,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut parts = [IoSliceMut::new(bytes)];
    // room for whole messages of descriptors; each of them is closed by its owner
    let mut control = vec![0; 64 + most * size_of::<RawFd>()];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let got = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let mut descriptors = Vec::new();
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            for number in numbers {
                // SAFETY: the kernel has just made this descriptor for us, nobody else owns it.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    match got.flags.contains(MsgFlags::MSG_CTRUNC) {
        true => Err(io::Error::other(
            "more descriptors came than were announced",
        )),
        false => Ok((got.bytes, descriptors)),
    }
}

/// A descriptor that becomes readable when a child of ours has ended.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call gave a fresh descriptor (close-on-exec) that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Gives a signal back its default action.
pub fn default_action(number: Signal) -> nix::Result<()> {
    // SAFETY: the default action runs no code of this process.
    unsafe { signal(number, SigHandler::SigDfl) }.map(drop)
}

/// Gives memory that is free inside the allocator back to the system.
#[cfg(target_env = "gnu")]
pub fn trim_memory() {
    // SAFETY: the call takes the allocator's own locks and touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries do it by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn trim_memory() {}
