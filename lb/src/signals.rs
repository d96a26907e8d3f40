//! Signals as events: they are blocked in every thread and read from a
//! descriptor, so nothing is ever interrupted by one.

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

/// Signals that mean something here.
const HEARD: [Signal; 9] = [
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGCHLD,
    Signal::SIGTTOU,
    Signal::SIGTTIN,
];

/// The signals of this process.
pub struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    /// Blocks the signals in this thread and those it starts, and opens the
    /// descriptor; to be called before any thread is started.
    ///
    /// # Errors
    /// The system gives no descriptor.
    pub fn block() -> io::Result<Signals> {
        let set: SigSet = HEARD.into_iter().collect();
        set.thread_block()?;
        let descriptor =
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { descriptor })
    }

    /// The next signal, if one is there.
    pub fn next(&self) -> Option<Signal> {
        let info = self.descriptor.read_signal().ok()??;
        Signal::try_from(info.ssi_signo as i32).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Ends the process by this signal, as if it had not been caught: whoever
/// waits for it sees 128 + its number.
pub fn die_of(signal: Signal) -> ExitCode {
    let set: SigSet = [signal].into_iter().collect();
    // a parent may have had it ignored
    let acts = crate::sys::default_action(signal);
    if acts.and_then(|()| raise(signal)).is_ok() {
        // pending until unblocked; as process 1 nothing happens even then
        let _ = set.thread_unblock();
    }
    ExitCode::from((128 + signal as i32) as u8)
}
