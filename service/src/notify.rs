//! Telling systemd how things are (`sd_notify`), without its library: readiness,
//! reloads, the end, a line of text, and the watchdog's signs of life.

use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The socket that systemd listens on, if it asked to be told.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
}

impl Notify {
    /// Connects to `NOTIFY_SOCKET`; without it every message goes nowhere.
    pub fn from_environment() -> Notify {
        let address = std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from);
        Notify {
            socket: address.and_then(connect),
        }
    }

    /// Says everything into the line to the service's main process, which must
    /// [pass it on](Notify::pass_on): unless the unit says otherwise systemd listens to that
    /// process only. Says nothing if nobody asked to be told.
    pub fn through(line: OwnedFd) -> Notify {
        let asked = std::env::var_os("NOTIFY_SOCKET").is_some();
        Notify {
            socket: asked.then(|| UnixDatagram::from(line)),
        }
    }

    /// Passes on what another process of the service said.
    pub fn pass_on(&self, said: &[u8]) {
        if let Some(socket) = &self.socket {
            // systemd went away: nobody to tell
            let _ = socket.send(said);
        }
    }

    /// A notifier that says nothing.
    pub fn silent() -> Notify {
        Notify { socket: None }
    }

    /// The service is up; `main` is the process to watch.
    pub fn ready(&self, main: u32, status: &str) {
        self.send(&format!("READY=1\nMAINPID={main}\nSTATUS={status}"));
    }

    /// A reload began; [`Notify::ready`] says that it is over.
    pub fn reloading(&self) {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
        let micros = now.map_or(0, |t| t.tv_sec() * 1_000_000 + t.tv_nsec() / 1000);
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reloading."
        ));
    }

    /// One line about how it stands.
    pub fn status(&self, line: &str) {
        self.send(&format!("STATUS={line}"));
    }

    /// The service ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The watchdog, if systemd asked for one (`WATCHDOG_USEC`) and watches
    /// `main` (`WATCHDOG_PID`): this process, or the one in whose place it works.
    pub fn watchdog(&self, main: u32) -> Option<Watchdog> {
        let socket = self.socket.as_ref()?.try_clone().ok()?;
        let every = interval(|name| std::env::var(name).ok(), main)?;
        Some(Watchdog {
            notify: Notify {
                socket: Some(socket),
            },
            every,
            due: Instant::now(),
        })
    }

    fn send(&self, text: &str) {
        self.pass_on(text.as_bytes());
    }
}

fn connect(path: PathBuf) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    match path.to_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => {
            let address = SocketAddr::from_abstract_name(name).ok()?;
            socket.connect_addr(&address).ok()?;
        }
        None => socket.connect(&path).ok()?,
    }
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// The signs of life that systemd waits for (`WatchdogSec`), two in each of its
/// periods, given by the loop that must not hang.
#[derive(Debug)]
pub struct Watchdog {
    notify: Notify,
    every: Duration,
    due: Instant,
}

impl Watchdog {
    /// When the next sign is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The next sign is due.
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Half of systemd's time: the time from one sign to the next.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Gives a sign now, whether or not it is due.
    pub fn alive(&mut self, now: Instant) {
        self.notify.send("WATCHDOG=1");
        self.due = now + self.every;
    }

    /// Gives a sign if one is due.
    pub fn beat(&mut self, now: Instant) {
        if self.is_due(now) {
            self.alive(now);
        }
    }
}

/// Half of `WATCHDOG_USEC`; nothing when it is another process that systemd watches.
fn interval(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Option<Duration> {
    let micros: u64 = variable("WATCHDOG_USEC")?.trim().parse().ok()?;
    let other = variable("WATCHDOG_PID").is_some_and(|of| of.trim() != pid.to_string());
    (micros > 1 && !other).then(|| Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_told_at_half_of_its_time_and_only_by_its_process() {
        let with = |usec: Option<&'static str>, pid: Option<&'static str>| {
            move |name: &str| match name {
                "WATCHDOG_USEC" => usec.map(str::to_owned),
                _ => pid.map(str::to_owned),
            }
        };
        let half = Some(Duration::from_millis(1500));
        assert_eq!(interval(with(Some("3000000"), None), 7), half);
        assert_eq!(interval(with(Some("3000000"), Some("7")), 7), half);
        assert_eq!(interval(with(Some("3000000"), Some("8")), 7), None);
        assert_eq!(interval(with(None, None), 7), None);
        assert_eq!(interval(with(Some("soon"), None), 7), None);
        assert_eq!(interval(with(Some("0"), None), 7), None);
    }

    #[test]
    fn a_sign_of_life_is_sent_once_every_interval() {
        let (here, there) = UnixDatagram::pair().expect("a pair of sockets");
        there.set_nonblocking(true).expect("set");
        let every = Duration::from_secs(5);
        let start = Instant::now();
        let mut dog = Watchdog {
            notify: Notify { socket: Some(here) },
            every,
            due: start,
        };
        let mut turn = |now| {
            dog.beat(now);
            let mut buffer = [0; 64];
            let size = there.recv(&mut buffer).ok()?;
            Some(buffer[..size].to_vec())
        };
        let sign = Some(b"WATCHDOG=1".to_vec());
        assert_eq!(turn(start), sign);
        assert_eq!(turn(start + every / 2), None);
        assert_eq!(turn(start + every), sign);
    }

    #[test]
    fn a_reload_says_when_it_began_and_readiness_names_the_main_process() {
        let (here, there) = UnixDatagram::pair().expect("a pair of sockets");
        let notify = Notify { socket: Some(here) };
        let said = || {
            let mut buffer = [0; 256];
            let size = there.recv(&mut buffer).expect("a message");
            String::from_utf8_lossy(&buffer[..size]).into_owned()
        };
        notify.ready(7, "Ready.");
        assert_eq!(said(), "READY=1\nMAINPID=7\nSTATUS=Ready.");
        notify.reloading();
        assert!(said().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        notify.status("A is MASTER");
        assert_eq!(said(), "STATUS=A is MASTER");
        notify.stopping();
        assert_eq!(said(), "STOPPING=1");
        Notify::silent().stopping();
    }
}
