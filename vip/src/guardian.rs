//! The guardian: the parent that starts the worker and the script helper,
//! passes signals on, and cleans up at once when the worker dies.
//!
//! It keeps the worker's last will: which addresses may be on which interface,
//! and the priority-0 adverts to send in its name.

use crate::core::ah::Seal;
use crate::netlink::{Change, Netlink, NewAddress};
use crate::options::{Held, Options};
use crate::quiet::Quiet;
use crate::signals::{self, Wish};
use crate::{pidfile, raw, rights, sys};
use conf::vip::model::Family;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, send, sendmsg, socketpair,
};
use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Largest will: addresses and last words of many instances.
const LARGEST: usize = 256 * 1024;
/// Time a process must have lived for its successor to start at once.
const STABLE: Duration = Duration::from_secs(10);
/// Until the next try to start one: the last one died young, or the kernel gave no process or
/// descriptor.
const RETRY: Duration = Duration::from_secs(1);
/// The same for a helper that died young.
const RETRY_HELPER: Duration = Duration::from_millis(100);

/// What the guardian does when the worker dies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Will {
    /// Interface, address, prefix.
    addresses: Vec<(u32, IpAddr, u8)>,
    /// What is said last.
    goodbyes: Vec<Goodbye>,
    /// What the next worker goes on with.
    #[serde(default)]
    held: Vec<Held>,
}

/// An advert that the guardian sends in the worker's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Of the router.
    pub interface: String,
    /// Its source.
    pub from: IpAddr,
    /// Its destination.
    pub to: IpAddr,
    /// The VRRP message.
    pub message: Vec<u8>,
    /// What is around it.
    pub seal: Option<Seal>,
}

/// The worker's end of the line to its guardian.
#[derive(Debug, Default)]
pub struct Ward {
    fd: Option<OwnedFd>,
    told: Will,
}

impl Ward {
    /// The line that came as standard input.
    pub fn inherited() -> io::Result<Ward> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Ward {
            fd: Some(fd),
            told: Will::default(),
        })
    }

    /// Another handle of the line, to be polled and read.
    pub fn line(&self) -> Option<OwnedFd> {
        self.fd.as_ref()?.try_clone().ok()
    }

    /// A way to systemd, which listens to the guardian.
    pub fn notify(&self) -> service::Notify {
        match self.line() {
            Some(line) => service::Notify::through(line),
            None => service::Notify::silent(),
        }
    }

    /// Leaves a new will, if it is new.
    pub fn tell(
        &mut self,
        addresses: Vec<(u32, IpAddr, u8)>,
        goodbyes: Vec<Goodbye>,
        held: Vec<Held>,
    ) {
        let will = Will {
            addresses,
            goodbyes,
            held,
        };
        let Some(fd) = self.fd.as_ref().filter(|_| will != self.told) else {
            return;
        };
        match serde_json::to_vec(&will) {
            Ok(bytes) => match send(fd.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT) {
                Ok(_) => self.told = will,
                Err(error) => warn!(%error, "the guardian does not listen"),
            },
            Err(error) => warn!(%error, "cannot write the will"),
        }
    }
}

/// A child process with its pidfd and our end of its line.
struct Charge {
    child: Child,
    pidfd: OwnedFd,
    line: OwnedFd,
    born: Instant,
}

impl Charge {
    fn start(role: &str, options: &Options, held: &[Held]) -> io::Result<Charge> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let mut child = Command::new("/proc/self/exe")
            .arg0("evenkeel")
            .args(["vip", &format!("--role={role}")])
            .args(held.iter().map(|h| format!("--held={}", h.word())))
            .args(&options.raw)
            .stdin(Stdio::from(theirs))
            .spawn()?;
        let pidfd = match sys::pidfd_open(child.id() as i32) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        Ok(Charge {
            child,
            pidfd,
            line: ours,
            born: Instant::now(),
        })
    }

    fn signal(&self, number: i32) {
        // one that has died is noticed by its pidfd
        let _ = sys::send_signal(self.child.id() as i32, number);
    }
}

/// What must be there before anything starts: the rights, the run directory, and the pid file for
/// this daemon alone.
///
/// # Errors
/// When one is missing; the text says which and what to do.
pub fn claim(options: &Options) -> io::Result<pidfile::Lock> {
    rights::enough()?;
    let folder = &options.run_dir;
    std::fs::create_dir_all(folder)
        .and_then(|()| {
            let writable = AccessFlags::W_OK | AccessFlags::X_OK;
            access(folder, writable).map_err(io::Error::from)
        })
        .map_err(|error| {
            let folder = folder.display();
            let text =
                format!("the run directory {folder}: {error}; name another one with `--run-dir`");
            io::Error::new(error.kind(), text)
        })?;
    pidfile::Lock::take(&options.pid_file())
}

/// Runs until the worker ended for good; gives its exit status.
pub fn run(options: &Options, lock: pidfile::Lock) -> ExitCode {
    match guard(options, lock) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error!(%error, "cannot start");
            ExitCode::FAILURE
        }
    }
}

fn guard(options: &Options, mut lock: pidfile::Lock) -> io::Result<u8> {
    lock.sign()?;
    let signals = signals::watched();
    let signalfd = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut guardian = Guardian {
        helper: Some(Charge::start("helper", options, &[])?),
        helper_at: None,
        worker: Charge::start("worker", options, &[])?,
        will: Will::default(),
        notify: service::Notify::from_environment(),
        stopping: false,
        options,
    };
    rights::guardian();
    guardian.introduce_helper();
    pidfile::write(&options.vrrp_pid_file(), guardian.worker.child.id())?;
    let _ = sys::let_go_of_startup_pages();
    let code = guardian.watch(&signalfd);
    let _ = std::fs::remove_file(options.vrrp_pid_file());
    code
}

struct Guardian<'a> {
    helper: Option<Charge>,
    /// When the next helper is started, if there is none.
    helper_at: Option<Instant>,
    worker: Charge,
    will: Will,
    notify: service::Notify,
    stopping: bool,
    options: &'a Options,
}

impl Guardian<'_> {
    fn watch(&mut self, signals: &SignalFd) -> io::Result<u8> {
        let mut quiet = Quiet::stirred();
        loop {
            let helper = self.helper.as_ref().map(|h| h.pidfd.as_fd());
            let mut fds = vec![
                PollFd::new(self.worker.pidfd.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.worker.line.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(helper.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            let patience = self.until_helper().unwrap_or_else(|| quiet.patience());
            match poll(&mut fds, patience) {
                Ok(ready) => quiet.waited(ready > 0),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = |f: &PollFd<'_>| f.revents().is_some_and(|r| !r.is_empty());
            let ready: Vec<bool> = fds.iter().map(ready).collect();
            if ready[1] {
                self.read_line();
            }
            if ready[0]
                && let Some(code) = self.worker_died(signals)?
            {
                return Ok(code);
            }
            if ready.get(3) == Some(&true) {
                self.helper_died()?;
            }
            if self.helper_at.is_some_and(|at| Instant::now() >= at) {
                self.start_helper();
            }
            while let Ok(Some(info)) = signals.read_signal() {
                self.pass_on(info.ssi_signo as i32);
            }
        }
    }

    fn pass_on(&mut self, number: i32) {
        if Wish::of(number) == Some(Wish::Stop) {
            self.stopping = true;
            self.notify.stopping();
        }
        self.worker.signal(number);
    }

    /// A will is JSON; everything else is for systemd.
    fn read_line(&mut self) {
        let mut buffer = vec![0; LARGEST];
        let fd = self.worker.line.as_raw_fd();
        while let Ok(length @ 1..) = recv(fd, &mut buffer, MsgFlags::MSG_DONTWAIT) {
            let said = &buffer[..length];
            if !said.starts_with(b"{") {
                self.notify.pass_on(said);
                continue;
            }
            match serde_json::from_slice(said) {
                Ok(will) => self.will = will,
                Err(error) => warn!(%error, "cannot read the worker's will"),
            }
        }
    }

    /// Removes the addresses first, then speaks the last words.
    fn execute_will(&mut self) {
        let will = std::mem::take(&mut self.will);
        if let Ok(mut netlink) = Netlink::new() {
            for (index, address, prefix) in &will.addresses {
                let old = NewAddress::plain(*index, *address, *prefix);
                if let Err(error) = netlink.address(Change::Remove, &old) {
                    error!(%address, %error, "cannot remove an address of the dead worker");
                }
            }
        }
        for goodbye in &will.goodbyes {
            if let Err(error) = goodbye.say() {
                warn!(interface = goodbye.interface, %error, "cannot say priority 0 for the dead worker");
            }
        }
    }

    /// Gives the exit status when this was the end.
    fn worker_died(&mut self, signals: &SignalFd) -> io::Result<Option<u8>> {
        self.read_line();
        let held = self.will.held.clone();
        let status = self.worker.child.wait()?;
        let code = status.code();
        if code == Some(0) || self.stopping {
            if code != Some(0) {
                self.execute_will();
            }
            let code = code.and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
            return Ok(Some(code));
        }
        self.execute_will();
        if self.worker.born.elapsed() < Duration::from_millis(500) && code.is_some() {
            // it refused to start and said why
            return Ok(Some(code.and_then(|c| u8::try_from(c).ok()).unwrap_or(1)));
        }
        error!(%status, "the worker died; its addresses are removed, another one starts");
        if self.worker.born.elapsed() < STABLE && self.is_told_to_stop(signals) {
            return Ok(Some(1));
        }
        self.worker = loop {
            match Charge::start("worker", self.options, &held) {
                Ok(worker) => break worker,
                Err(error) => error!(%error, "cannot start a worker; the next try is in a second"),
            }
            if self.is_told_to_stop(signals) {
                return Ok(Some(1));
            }
        };
        self.introduce_helper();
        if let Err(error) = pidfile::write(&self.options.vrrp_pid_file(), self.worker.child.id()) {
            warn!(%error, "the worker's pid file is out of date");
        }
        Ok(None)
    }

    /// Waits for the next try, while there is no worker; whether it is not to be made any more.
    fn is_told_to_stop(&mut self, signals: &SignalFd) -> bool {
        let until = Instant::now() + RETRY;
        while let Some(rest) = until.checked_duration_since(Instant::now()) {
            let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, whole_milliseconds(rest));
            while let Ok(Some(info)) = signals.read_signal() {
                self.stopping |= Wish::of(info.ssi_signo as i32) == Some(Wish::Stop);
            }
            if self.stopping {
                self.notify.stopping();
                return true;
            }
        }
        false
    }

    fn helper_died(&mut self) -> io::Result<()> {
        let Some(mut helper) = self.helper.take() else {
            return Ok(());
        };
        let status = helper.child.wait()?;
        if !self.stopping {
            warn!(%status, "the script helper died; another one starts");
        }
        let young = helper.born.elapsed() < STABLE;
        let pause = if young { RETRY_HELPER } else { Duration::ZERO };
        self.helper_at = Some(Instant::now() + pause);
        Ok(())
    }

    /// Until [`Guardian::start_helper`] is due.
    fn until_helper(&self) -> Option<PollTimeout> {
        let rest = self.helper_at?.saturating_duration_since(Instant::now());
        Some(whole_milliseconds(rest))
    }

    /// The role does not depend on it: without one no script runs.
    fn start_helper(&mut self) {
        match Charge::start("helper", self.options, &[]) {
            Ok(helper) => {
                self.helper = Some(helper);
                self.helper_at = None;
                self.introduce_helper();
            }
            Err(error) => {
                error!(%error, "cannot start a script helper: no script runs; the next try is in a second");
                self.helper_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Hands the worker our end of the helper's line.
    fn introduce_helper(&self) {
        let Some(helper) = &self.helper else {
            return;
        };
        let fds = [helper.line.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&fds)];
        let parts = [IoSlice::new(b"helper")];
        let fd = self.worker.line.as_raw_fd();
        if let Err(error) = sendmsg::<()>(fd, &parts, &control, MsgFlags::empty(), None) {
            warn!(%error, "cannot give the worker its script helper");
        }
        info!(
            worker = self.worker.child.id(),
            helper = helper.child.id(),
            "processes started"
        );
    }
}

/// Rounded up: who wakes up too soon would only wait again.
fn whole_milliseconds(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}

impl Goodbye {
    fn say(&self) -> io::Result<()> {
        let index = nix::net::if_::if_nametoindex(self.interface.as_str())?;
        let family = match self.from {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        let mut speaker = raw::Speaker::new(family, &self.interface, index)?;
        speaker.send(self.from, self.to, 255, &self.message, self.seal)
    }
}
