//! Sockets towards servers: address, options, source.

use super::{Context, Session};
use crate::state::{Endpoint, Peer, Server};
use conf::lb::model::{Host, SocketBuffers, SourceAddress, UseSource};
use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, set_tcp_quickack};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

impl Session {
    /// A socket on its way to the server.
    pub(super) fn open_socket(&self, cx: &Context<'_>, server: &Server) -> io::Result<Socket> {
        let endpoint = server.endpoint();
        let kind = Type::STREAM.nonblocking().cloexec();
        let address = match &*endpoint {
            Endpoint::Unix(path) => {
                let socket = Socket::new(Domain::UNIX, kind, None)?;
                socket.connect(&SockAddr::unix(path)?)?;
                return Ok(socket);
            }
            Endpoint::Abstract(name) => {
                let socket = Socket::new(Domain::UNIX, kind, None)?;
                let path = crate::sys::abstract_path(name);
                socket.connect(&SockAddr::unix(path)?)?;
                return Ok(socket);
            }
            Endpoint::Inet(_) | Endpoint::Mapped(..) => endpoint.inet(|| self.dialled()),
            Endpoint::Unresolved => None,
        };
        let Some(address) = address else {
            return Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL));
        };
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        set_tcp_nodelay(&socket, true)?;
        // The handshake's last segment waits for the client's first bytes, see `connected`.
        set_tcp_quickack(&socket, false)?;
        size_buffers(&socket, cx.generation.conf.global.tune.server_buffers);
        self.set_options(&socket, server, address)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(e) => Err(e.into()),
        }
    }

    fn set_options(&self, socket: &Socket, server: &Server, to: SocketAddr) -> io::Result<()> {
        let options = &self.backend().conf.tcp;
        if options.server_keepalive {
            socket.set_keepalive(true)?;
            let mut probes = TcpKeepalive::new();
            if let Some(idle) = options.server_keepalive_idle {
                probes = probes.with_time(idle);
            }
            if let Some(interval) = options.server_keepalive_interval {
                probes = probes.with_interval(interval);
            }
            if let Some(count) = options.server_keepalive_count {
                probes = probes.with_retries(count);
            }
            socket.set_tcp_keepalive(&probes)?;
        }
        if let Some(timeout) = server.conf.tcp_user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        let back = self.backend().conf.back.as_ref();
        let own = server.conf.source.as_ref();
        match own.or(back.and_then(|b| b.source.as_ref())) {
            Some(source) => self.bind_source(socket, source, to),
            None => Ok(()),
        }
    }

    fn bind_source(
        &self,
        socket: &Socket,
        source: &SourceAddress,
        to: SocketAddr,
    ) -> io::Result<()> {
        if let Some(interface) = &source.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        let any = match to {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let client = || self.client_peer.inet();
        let from = match &source.usesrc {
            Some(UseSource::Client) => client(),
            Some(UseSource::ClientIp) => client().map(|a| SocketAddr::new(a.ip(), 0)),
            Some(UseSource::Address(Host::Ip(ip), port)) => Some(SocketAddr::new(*ip, *port)),
            Some(UseSource::Address(Host::Name(..), _)) => None,
            None => {
                let ip = match &source.host {
                    Host::Ip(ip) if ip.is_ipv4() == to.is_ipv4() => *ip,
                    Host::Ip(_) | Host::Name(..) => any,
                };
                Some(SocketAddr::new(ip, 0))
            }
        };
        let Some(from) = from else {
            return Ok(());
        };
        if source.usesrc.is_some() {
            socket.set_ip_transparent_v4(true)?;
        }
        let Some((first, last)) = source.ports else {
            if from.port() == 0 && from.ip().is_unspecified() {
                return Ok(());
            }
            socket.set_reuse_address(true)?;
            return socket.bind(&from.into());
        };
        socket.set_reuse_address(true)?;
        // Ports in turn, starting anywhere, until one is free.
        let count = u32::from(last - first) + 1;
        let start = self.serial % count;
        let mut result = Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
        for n in 0..count {
            let port = first + ((start + n) % count) as u16;
            result = socket.bind(&SocketAddr::new(from.ip(), port).into());
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// The address that the client connected to.
    pub(super) fn local_address(&self) -> Option<Peer> {
        if let Some(local) = self.extra.as_ref().and_then(|e| e.local.clone()) {
            return Some(local);
        }
        self.admission.listener().local_of(&self.client.socket)
    }

    /// Where the client wanted to go: ahead of a redirection by the packet
    /// filter, if there was one.
    pub(super) fn dialled(&self) -> Option<SocketAddr> {
        let told = self.extra.as_ref().and_then(|e| e.local.as_ref());
        let redirected = || self.client.socket.original_dst_v4().ok()?.as_socket();
        told.and_then(Peer::inet)
            .or_else(redirected)
            .or_else(|| self.local_address()?.inet())
    }
}

/// `tune.rcvbuf` and `tune.sndbuf`; the kernel takes what it can of them.
pub(crate) fn size_buffers(socket: &Socket, sizes: SocketBuffers) {
    if let Some(bytes) = sizes.receive {
        let _ = socket.set_recv_buffer_size(bytes as usize);
    }
    if let Some(bytes) = sizes.send {
        let _ = socket.set_send_buffer_size(bytes as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_the_sizes_that_the_file_says() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let before = socket.send_buffer_size().unwrap();
        let sizes = SocketBuffers {
            receive: Some(20_000),
            send: None,
        };
        size_buffers(&socket, sizes);
        // the kernel doubles what is asked for
        assert_eq!(socket.recv_buffer_size().unwrap(), 40_000);
        assert_eq!(socket.send_buffer_size().unwrap(), before);
    }
}
