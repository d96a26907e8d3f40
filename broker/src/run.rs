//! Puts the broker together: listeners, the core thread, and the orderly stop.

use crate::certificates::Serving;
use crate::core::Core;
use crate::core_thread::{CoreThread, Seat};
use crate::handle::Handle;
use crate::listeners::Listener;
use conf::broker::LoginFrom;
use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

/// What makes a listener a TLS one.
#[derive(Clone)]
pub struct Secure {
    pub serving: Serving,
    /// What of a client's certificate is its user's name for EXTERNAL.
    pub login_from: LoginFrom,
}

/// An address to listen on.
#[derive(Clone)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Option<Secure>,
    pub proxy_protocol: bool,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
}

/// A running broker.
pub struct Running {
    pub handle: Handle,
    /// Where it listens, in the order asked for, with the ports that the kernel chose.
    pub addresses: Vec<SocketAddr>,
    thread: JoinHandle<Core>,
}

impl Running {
    /// Begins an orderly stop and waits for its end; gives the engine back, for its journal to be closed.
    pub fn stop(self) -> Option<Core> {
        let _ = self.handle.start(Core::stop);
        self.thread.join().ok()
    }
}

/// Opens the listeners and starts the core thread. The error names the address.
pub fn start(seat: Seat, core: Core, listens: &[Listen]) -> io::Result<Running> {
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for listen in listens {
        let socket = open(listen.address, listen.backlog).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("listening on {}: {error}", listen.address),
            )
        })?;
        addresses.push(socket.local_addr()?);
        listeners.push(Listener {
            socket,
            tls: listen.tls.clone(),
            proxy_protocol: listen.proxy_protocol,
            backlog: listen.backlog,
        });
    }
    let handle = seat.handle.clone();
    let core_thread = CoreThread::new(seat, core, listeners)?;
    let thread = std::thread::Builder::new()
        .name("core".to_owned())
        .spawn(move || core_thread.run())?;
    Ok(Running {
        handle,
        addresses,
        thread,
    })
}

/// Listens at an address; port 0 is any.
pub(crate) fn open(mut address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    // A port that the kernel chose is given up when listening pauses, one that was asked for is not.
    let chosen = match address.port() {
        0 => Some(bound(address)?),
        _ => None,
    };
    if let Some(port) = chosen.as_ref().map(Socket::local_addr).transpose()? {
        address.set_port(port.as_socket().map_or(0, |at| at.port()));
    }
    let socket = bound(address)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    // those accepted from it have it, too
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn accepted_sockets_send_at_once() {
        let listener = open("127.0.0.1:0".parse().expect("an address"), 8).expect("listening");
        let at = listener.local_addr().expect("bound");
        let _client = std::net::TcpStream::connect(at).expect("connected");
        let accepted = std::iter::repeat_with(|| listener.accept()).find_map(Result::ok);
        let (stream, _) = accepted.expect("accepts until there is one");
        assert!(stream.nodelay().expect("an option"));
    }

    #[test]
    fn no_more_clients_wait_to_be_accepted_than_the_backlog_allows() {
        let connect = |backlog| {
            let at = "127.0.0.1:0".parse().expect("an address");
            let listener = open(at, backlog).expect("listening");
            let at = listener.local_addr().expect("bound");
            let within = Duration::from_millis(500);
            let all = std::iter::repeat_with(|| std::net::TcpStream::connect_timeout(&at, within));
            // held, so that none leaves the listener's queue
            let held: Vec<_> = all.take(8).map_while(Result::ok).collect();
            held.len()
        };
        assert!(connect(1) < 8);
        assert_eq!(connect(64), 8);
    }
}
