//! sd_notify: readiness and a status line for systemd, without its library.

use std::os::unix::net::UnixDatagram;

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
