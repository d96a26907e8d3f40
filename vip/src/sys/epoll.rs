//! `epoll_pwait2`, which no crate used here wraps. Nothing else.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::epoll::EpollEvent;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits for events like `epoll_wait`, but counts nanoseconds; gives how many there are.
///
/// # Errors
/// `ENOSYS` before Linux 5.11.
pub fn epoll_wait(
    epoll: BorrowedFd<'_>,
    events: &mut [EpollEvent],
    most: Option<Duration>,
) -> nix::Result<usize> {
    let most = most.map(|most| libc::timespec {
        tv_sec: libc::time_t::try_from(most.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: most.subsec_nanos().into(),
    });
    let room = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: `EpollEvent` is a transparent epoll_event, of which there is room for so many; the
    // time is null or lives until the call returns; no signal mask.
    let count = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            room,
            most.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            std::ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    usize::try_from(count).map_err(|_| Errno::last())
}
