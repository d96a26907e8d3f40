//! Telling systemd how things are (`sd_notify`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

/// The socket that systemd listens on, if it asked to be told.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
}

impl Notify {
    /// Connects to `NOTIFY_SOCKET`; without it every message goes nowhere.
    pub fn from_environment() -> Notify {
        let address = std::env::var_os("NOTIFY_SOCKET");
        Notify {
            socket: address.and_then(|address| connect(PathBuf::from(address))),
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
