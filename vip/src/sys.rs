//! The system calls without a safe wrapper in the crates used here.
//! Nothing else of this package is unsafe.
#![allow(unsafe_code)]

mod epoll;

pub use epoll::epoll_wait;

use nix::sys::signal::SigSet;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Binds a packet socket to an interface; `ethertype` 0 means send only.
pub fn bind_packet(socket: BorrowedFd<'_>, index: u32, ethertype: u16) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain data, for which all-zero bytes are valid.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length are those of one live sockaddr_ll.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A descriptor that becomes readable when the process ends.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match RawFd::try_from(fd) {
        // SAFETY: the kernel just made this descriptor for us alone.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes a descriptor that arrived in an SCM_RIGHTS message, once.
pub fn received_fd(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel made the descriptor for this message; the caller takes it once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Runs the calling thread, and none that it starts, with a real-time priority (SCHED_RR).
pub fn real_time(priority: u8) -> io::Result<()> {
    set_policy(libc::SCHED_RR, priority)
}

/// Runs the calling thread before others of the same kind (`nice`, -20 first to 19 last); threads
/// that it starts are as usual again.
pub fn go_ahead(nice: i8) -> io::Result<()> {
    // SAFETY: takes integers; 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, i32::from(nice)) } != 0 {
        return Err(io::Error::last_os_error());
    }
    set_policy(libc::SCHED_OTHER, 0)
}

fn set_policy(policy: i32, priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: i32::from(priority),
    };
    // SAFETY: the pointer is to a live sched_param; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, policy | libc::SCHED_RESET_ON_FORK, &parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Unmaps the pages of code and constants, of this program and its libraries, that starting up
/// touched. They stay in the page cache; those that are needed again come back by themselves.
/// Gives how many bytes of address space were let go.
pub fn let_go_of_startup_pages() -> io::Result<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut freed = 0;
    // this program last, or going on would bring it back
    for (start, length) in constant_mappings(&maps).into_iter().rev() {
        // SAFETY: a private mapping of a file that is never written (no relocation reaches it):
        // the next access reads the same bytes from the file again.
        match unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) } {
            0 => freed += length,
            _ => return Err(io::Error::last_os_error()),
        }
    }
    Ok(freed)
}

/// Start and length of the mappings of every file up to its code: what follows (constants that
/// the loader relocated, then read-only again) exists in memory alone.
fn constant_mappings(maps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    // of the file at hand: certain once its code is seen
    let (mut file, mut pending, mut past_code) = ("", Vec::new(), false);
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(range), Some(rights), Some(path)) = (words.first(), words.get(1), words.get(5))
        else {
            continue;
        };
        let Some((start, end)) = range.split_once('-') else {
            continue;
        };
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let (Some(start), Some(end)) = (number(start), number(end)) else {
            continue;
        };
        if *path != file {
            (file, past_code) = (*path, !path.starts_with('/'));
            pending.clear();
        }
        match *rights {
            "r--p" if !past_code => pending.push((start, end - start)),
            "r-xp" if !past_code => {
                found.append(&mut pending);
                found.push((start, end - start));
                past_code = true;
            }
            _ => past_code = true,
        }
    }
    found
}

/// One heap for all threads of this process: they allocate little, and each of its own would
/// have pages of its own.
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two integers; called before the process has a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
}

/// The first and the last real-time signal that programs may use.
pub fn real_time_signals() -> (libc::c_int, libc::c_int) {
    (libc::SIGRTMIN(), libc::SIGRTMAX())
}

/// The set with more signals, for which `nix` has no names.
pub fn with_signals(set: SigSet, numbers: &[libc::c_int]) -> SigSet {
    let mut raw = *set.as_ref();
    for number in numbers {
        // SAFETY: the pointer is to a live set; a number that is no signal is refused.
        unsafe { libc::sigaddset(&raw mut raw, *number) };
    }
    // SAFETY: a set that the C library made of one that it made.
    unsafe { SigSet::from_sigset_t_unchecked(raw) }
}

/// Sends a signal, by its number, to a process.
pub fn send_signal(pid: i32, number: libc::c_int) -> io::Result<()> {
    // SAFETY: takes two integers.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn do_nothing(_: libc::c_int) {}

/// Catches a signal and does nothing, so that it neither ends this process nor, being a
/// handler, survives into the programs that it runs.
pub fn shrug_off(signal: nix::sys::signal::Signal) -> io::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, sigaction};
    let handler = SigHandler::Handler(do_nothing);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler touches nothing, so it is safe at any moment.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_constants_and_code_are_let_go_never_what_was_relocated() {
        let maps = "\
1000-3000 r--p 00000000 fe:00 7 /bin/x
3000-9000 r-xp 00002000 fe:00 7 /bin/x
9000-a000 r--p 00008000 fe:00 7 /bin/x
a000-b000 rw-p 00009000 fe:00 7 /bin/x
c000-d000 r-xp 00000000 fe:00 8 /lib/c
";
        let found = constant_mappings(maps);
        let wanted = [(0x1000, 0x2000), (0x3000, 0x6000), (0xc000, 0x1000)];
        assert_eq!(found, wanted);
        let without_code = "1000-3000 r--p 00000000 fe:00 7 /usr/lib/locale\n\
                            3000-4000 rw-p 00002000 fe:00 7 /usr/lib/locale\n\
                            4000-5000 r-xp 00000000 00:00 0 [vdso]\n";
        assert!(constant_mappings(without_code).is_empty());
    }

    #[test]
    fn a_thread_keeps_its_place_for_itself() {
        let nice_of = |stat: &str| -> i32 {
            let words = stat.rsplit(')').next().unwrap_or_default();
            words.split_whitespace().nth(16).unwrap().parse().unwrap()
        };
        let own = move || nice_of(&std::fs::read_to_string("/proc/thread-self/stat").unwrap());
        let before = own();
        let went = std::thread::spawn(move || {
            go_ahead(5).expect("whoever may go back may do this");
            own()
        });
        assert_eq!(went.join().unwrap(), 5.max(before));
        assert_eq!(own(), before, "only that thread");
    }

    #[test]
    fn the_program_runs_on_after_its_startup_pages_are_gone() {
        let freed = let_go_of_startup_pages().expect("Linux");
        assert!(freed > 0);
        assert_eq!(format!("{:?}", [1, 2, 3]), "[1, 2, 3]");
    }
}
