//! The few calls that no safe wrapper has: options of listening sockets, and
//! adopting a descriptor that was inherited.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

fn set_tcp_option(
    socket: &impl AsRawFd,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer and its length describe a live c_int; the descriptor
    // stays open while `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `TCP_DEFER_ACCEPT`: connections appear once the client sent data, at most after this long.
pub fn set_defer_accept(socket: &impl AsRawFd, seconds: i32) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_DEFER_ACCEPT, seconds)
}

/// `TCP_FASTOPEN`: so many connections may wait whose SYN carried data.
pub fn set_fast_open(socket: &impl AsRawFd, waiting: i32) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_FASTOPEN, waiting)
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
