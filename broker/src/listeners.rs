//! The sockets that clients connect to: how many clients there is room for, and how listening pauses.
//!
//! While a node takes no clients (`stop_app`, `suspend_listeners`) connecting is refused, so that a balancer's check sees it. The
//! sockets stay bound; like RabbitMQ's, the port may be taken by somebody else meanwhile, and listening again fails.

use crate::run::Secure;
use mio::net::TcpListener;
use socket2::SockRef;
use std::io;

/// Files that clients may not take: the log's, the management interface's and its clients', the control socket's.
const OWN_FILES: u64 = 256;

/// A listener and what it expects of its clients.
pub struct Listener {
    pub socket: TcpListener,
    pub tls: Option<Secure>,
    pub proxy_protocol: bool,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
}

impl Listener {
    /// Refuses whoever connects from now on, and those who wait to be accepted. The address stays bound.
    pub fn pause(&self) -> io::Result<()> {
        SockRef::from(&self.socket).shutdown(std::net::Shutdown::Both)
    }

    /// Listens, for the first time or again.
    pub fn listen(&self) -> io::Result<()> {
        let backlog = i32::try_from(self.backlog).unwrap_or(i32::MAX);
        SockRef::from(&self.socket).listen(backlog)
    }
}

/// Lets all listen, or pauses all; what fails is told in the log.
pub fn set_listening(listeners: &[Listener], listening: bool) {
    for listener in listeners {
        let done = match listening {
            true => listener.listen(),
            false => listener.pause(),
        };
        let address = listener.socket.local_addr().ok();
        match done {
            Ok(()) => tracing::info!(?address, listening, "listener"),
            Err(error) => tracing::error!(?address, listening, %error, "listener"),
        }
    }
}

/// How many clients the limit of open files has room for.
pub fn most_clients() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    // a system that does not tell refuses by itself
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    limit.saturating_sub(OWN_FILES.min(limit / 4)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpStream};

    #[test]
    fn a_paused_listener_refuses_and_listens_again_at_its_port() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener {
            socket: crate::run::open(any, 8).expect("bound"),
            tls: None,
            proxy_protocol: false,
            backlog: 8,
        };
        let at = listener.socket.local_addr().expect("bound");
        for _ in 0..2 {
            assert!(TcpStream::connect(at).is_ok());
            listener.pause().expect("paused");
            let refused = TcpStream::connect(at).expect_err("nobody listens");
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            listener.listen().expect("listens again");
        }
    }
}
