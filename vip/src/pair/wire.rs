//! The channel's sockets.

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn6, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

/// A socket for every address of a family.
pub fn bind(any: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let domain = if any.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if any.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    Ok(socket.into())
}

/// Sends from the interface's own link-local address: the kernel might pick a virtual one,
/// which moves.
pub fn send_v6(
    socket: &UdpSocket,
    sources: &[(u32, IpAddr)],
    to: SocketAddrV6,
    bytes: &[u8],
) -> io::Result<()> {
    let local = sources.iter().find_map(|(index, source)| match source {
        IpAddr::V6(v6) if *index == to.scope_id() => Some(*v6),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    });
    let Some(local) = local else {
        return socket.send_to(bytes, to).map(drop);
    };
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: local.octets(),
        },
        ipi6_ifindex: to.scope_id(),
    };
    let control = [ControlMessage::Ipv6PacketInfo(&info)];
    let parts = [IoSlice::new(bytes)];
    let to = SockaddrIn6::from(to);
    sendmsg(
        socket.as_raw_fd(),
        &parts,
        &control,
        MsgFlags::empty(),
        Some(&to),
    )?;
    Ok(())
}
