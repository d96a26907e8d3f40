//! Addresses as tools expect to read them.

use conf::lb::model::{BindAddress, Host};

use crate::state::{Endpoint, Peer};

/// A server's address: `10.0.0.1:5672`, `[::1]:5672`, `unix`, or `?` without one.
pub fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Inet(address) => address.to_string(),
        Endpoint::Mapped(ip, offset) => format!("{ip}:{offset:+}"),
        Endpoint::Unix(path) => format!("unix@{}", path.display()),
        Endpoint::Abstract(name) => format!("abns@{name}"),
        Endpoint::Unresolved => "?".to_owned(),
    }
}

/// Address and port apart, `-` where there is none.
pub fn parts(endpoint: &Endpoint) -> (String, String) {
    match endpoint {
        Endpoint::Inet(address) => (address.ip().to_string(), address.port().to_string()),
        Endpoint::Mapped(ip, offset) => (ip.to_string(), offset.to_string()),
        Endpoint::Unix(path) => (path.display().to_string(), "0".to_owned()),
        Endpoint::Abstract(name) => (format!("abns@{name}"), "0".to_owned()),
        Endpoint::Unresolved => ("-".to_owned(), "0".to_owned()),
    }
}

/// A listening address as written: `127.0.0.1:5672`, `unix@/run/x`.
pub fn bind(address: &BindAddress) -> String {
    match address {
        BindAddress::Tcp { host, first, last } => {
            let host = match host {
                Host::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
                Host::Ip(ip) => ip.to_string(),
                Host::Name(name, _) => name.clone(),
            };
            if first == last {
                format!("{host}:{first}")
            } else {
                format!("{host}:{first}-{last}")
            }
        }
        BindAddress::Unix(path) => format!("unix@{}", path.display()),
        BindAddress::Abstract(name) => format!("abns@{name}"),
        BindAddress::Fd(fd) => format!("fd@{fd}"),
    }
}

/// One end of a session: `10.0.0.7:41230`, `unix:1`, or `?`.
pub fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Inet(address) => {
            let ip = address.ip().to_canonical();
            if ip.is_ipv6() {
                format!("[{ip}]:{}", address.port())
            } else {
                format!("{ip}:{}", address.port())
            }
        }
        Peer::Unix(id) => format!("unix:{id}"),
        Peer::None => "?".to_owned(),
    }
}

/// The protocol's name in `show sess`.
pub fn protocol(peer: &Peer) -> &'static str {
    match peer {
        Peer::Inet(address) if address.ip().to_canonical().is_ipv6() => "tcpv6",
        Peer::Inet(_) => "tcpv4",
        Peer::Unix(_) => "unix_stream",
        Peer::None => "?",
    }
}
