//! Telling systemd how things are (`sd_notify`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The socket that systemd listens on, if it asked to be told.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    watchdog: Option<Watchdog>,
}

/// The sign of life that systemd awaits (`WatchdogSec`).
#[derive(Debug)]
struct Watchdog {
    /// Half of the time after which it takes us for hung.
    every: Duration,
    last: Option<Instant>,
}

impl Notify {
    /// Connects to `NOTIFY_SOCKET`; without it every message goes nowhere.
    pub fn from_environment() -> Notify {
        let address = std::env::var_os("NOTIFY_SOCKET");
        Notify {
            socket: address.and_then(|address| connect(PathBuf::from(address))),
            watchdog: interval(|name| std::env::var(name).ok(), std::process::id())
                .map(|every| Watchdog { every, last: None }),
        }
    }

    /// A notifier that says nothing.
    pub fn silent() -> Notify {
        Notify {
            socket: None,
            watchdog: None,
        }
    }

    /// The service is up; `main` is the process to watch.
    pub fn ready(&self, main: u32, status: &str) {
        self.send(&format!("READY=1\nMAINPID={main}\nSTATUS={status}"));
    }

    /// A reload began.
    pub fn reloading(&self) {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
        let micros = now.map_or(0, |t| t.tv_sec() * 1_000_000 + t.tv_nsec() / 1000);
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reloading."
        ));
    }

    /// The service ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Half of the watchdog's time is over since the last sign of life.
    pub fn is_due(&self, now: Instant) -> bool {
        self.watchdog.as_ref().is_some_and(|watchdog| {
            let over = |last| now.saturating_duration_since(last) >= watchdog.every;
            watchdog.last.is_none_or(over)
        })
    }

    /// The sign of life, for a watchdog that waits for it.
    pub fn alive(&mut self, now: Instant) {
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.last = Some(now);
            self.send("WATCHDOG=1");
        }
    }

    /// How long a loop may rest so that no sign of life is much late; nothing without a watchdog.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| watchdog.every / 4)
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // systemd went away: nobody to tell
            let _ = socket.send(text.as_bytes());
        }
    }
}

/// Half of `WATCHDOG_USEC`; nothing when it is another process that systemd watches.
fn interval(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Option<Duration> {
    let micros: u64 = variable("WATCHDOG_USEC")?.trim().parse().ok()?;
    let other = variable("WATCHDOG_PID").is_some_and(|of| of.trim() != pid.to_string());
    (micros > 0 && !other).then(|| Duration::from_micros(micros) / 2)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_told_at_half_of_its_time_and_only_by_its_process() {
        let with = |pid: Option<&'static str>| {
            move |name: &str| match name {
                "WATCHDOG_USEC" => Some("3000000".to_owned()),
                _ => pid.map(str::to_owned),
            }
        };
        let half = Some(Duration::from_millis(1500));
        assert_eq!(interval(with(None), 7), half);
        assert_eq!(interval(with(Some("7")), 7), half);
        assert_eq!(interval(with(Some("8")), 7), None);
        assert_eq!(interval(|_| None, 7), None);
    }

    #[test]
    fn a_sign_of_life_is_sent_once_every_interval() {
        let (here, there) = UnixDatagram::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let every = Duration::from_secs(5);
        let mut notify = Notify {
            socket: Some(here),
            watchdog: Some(Watchdog { every, last: None }),
        };
        let received = || {
            let mut buffer = [0; 64];
            let size = there.recv(&mut buffer).ok()?;
            Some(buffer[..size].to_vec())
        };
        let turn = |notify: &mut Notify, now| {
            if notify.is_due(now) {
                notify.alive(now);
            }
            received()
        };
        let start = Instant::now();
        let sign = Some(b"WATCHDOG=1".to_vec());
        assert_eq!(turn(&mut notify, start), sign);
        assert_eq!(turn(&mut notify, start + every / 2), None);
        assert_eq!(turn(&mut notify, start + every), sign);
    }
}
