//! Telling systemd how things are (`sd_notify`): readiness, the end, and the watchdog's beat.

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
        let path = std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from);
        Notify {
            socket: path.and_then(connect),
        }
    }

    /// The node listens and its control socket answers.
    pub fn ready(&self, status: &str) {
        self.send(&format!(
            "READY=1\nMAINPID={}\nSTATUS={status}",
            std::process::id()
        ));
    }

    /// The end begins.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // systemd went away: nobody to tell
            let _ = socket.send(text.as_bytes());
        }
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

/// The beat that systemd's watchdog waits for, sent by the thread that must not hang.
#[derive(Debug)]
pub struct Watchdog {
    notify: Notify,
    every: Duration,
    next: Instant,
}

impl Watchdog {
    /// Nothing unless `WATCHDOG_USEC` is set, and meant for this process.
    pub fn from_environment() -> Option<Watchdog> {
        let variable = |name| std::env::var(name).ok();
        let every = period(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        )?;
        Some(Watchdog {
            notify: Notify::from_environment(),
            every,
            next: Instant::now(),
        })
    }

    /// When the next beat is due.
    pub fn due(&self) -> Instant {
        self.next
    }

    /// Beats when it is time.
    pub fn beat(&mut self, now: Instant) {
        if now >= self.next {
            self.notify.send("WATCHDOG=1");
            self.next = now + self.every;
        }
    }
}

/// Half of the time that systemd waits for.
fn period(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let mine = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let usec: u64 = usec?.parse().ok()?;
    (mine && usec > 1).then(|| Duration::from_micros(usec / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beat_comes_at_half_of_the_time_and_only_from_the_process_that_is_watched() {
        let second = Some(Duration::from_millis(500));
        assert_eq!(period(Some("1000000"), None, 7), second);
        assert_eq!(period(Some("1000000"), Some("7"), 7), second);
        assert_eq!(period(Some("1000000"), Some("8"), 7), None);
        assert_eq!(period(None, None, 7), None);
        assert_eq!(period(Some("soon"), None, 7), None);
        assert_eq!(period(Some("0"), None, 7), None);
    }
}
