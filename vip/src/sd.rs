//! sd_notify: readiness, a status line and signs of life for systemd, without
//! its library.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// Tells systemd something; silently nothing without systemd.
fn tell(message: &str) {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else {
        return;
    };
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    let _ = match path.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            std::os::unix::net::SocketAddr::from_abstract_name(name)
                .and_then(|address| socket.send_to_addr(message.as_bytes(), &address))
        }
        None => socket.send_to(message.as_bytes(), path),
    };
}

/// The daemon runs; `pid` is the process that systemd shall watch.
pub fn ready(pid: u32) {
    tell(&format!("READY=1\nMAINPID={pid}"));
}

/// A reload begins.
pub fn reloading() {
    tell("RELOADING=1");
}

/// The end begins.
pub fn stopping() {
    tell("STOPPING=1");
}

/// One line about the state.
pub fn status(line: &str) {
    tell(&format!("STATUS={line}"));
}

/// Signs of life for a unit with `WatchdogSec`: two in each of its periods.
pub struct Watchdog {
    every: Duration,
    next: Instant,
}

impl Watchdog {
    /// What systemd asks for in `WATCHDOG_USEC`; nothing without it.
    pub fn asked_for() -> Option<Watchdog> {
        let period_us = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
        Watchdog::new(Duration::from_micros(period_us))
    }

    fn new(period: Duration) -> Option<Watchdog> {
        (!period.is_zero()).then(|| Watchdog {
            every: period / 2,
            next: Instant::now(),
        })
    }

    /// Gives a sign if one is due; the time until the next.
    pub fn turn(&mut self) -> Duration {
        let now = Instant::now();
        if now >= self.next {
            tell("WATCHDOG=1");
            self.next = now + self.every;
        }
        self.next - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_comes_twice_in_a_period() {
        assert!(Watchdog::new(Duration::ZERO).is_none());
        let mut dog = Watchdog::new(Duration::from_secs(10)).expect("a period");
        assert_eq!(dog.turn(), Duration::from_secs(5));
        assert!(dog.turn() <= Duration::from_secs(5));
    }
}
