//! The channel's sockets.

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn6, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
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

/// The hosts' own addresses: never a virtual one, which moves, may be the source.
#[derive(Debug, Default)]
pub struct Sources {
    /// Of the instances' adverts, by interface.
    pub adverts: Vec<(u32, IpAddr)>,
    /// All of IPv6 that are not link-local.
    pub global: Vec<Ipv6Addr>,
}

impl Sources {
    /// The address of the adverts, by which the peer knows this host, or the one nearest to the
    /// peer's. Nothing where the kernel must choose.
    fn towards(&self, to: SocketAddrV6) -> Option<Ipv6Addr> {
        let v6 = self
            .adverts
            .iter()
            .filter_map(|(index, source)| match source {
                IpAddr::V6(v6) => Some((*index, *v6)),
                IpAddr::V4(_) => None,
            });
        if to.ip().is_unicast_link_local() {
            let mut here = v6.filter(|(index, _)| *index == to.scope_id());
            return here.next().map(|(_, v6)| v6);
        }
        let adverts = v6.map(|(_, v6)| v6).filter(|a| !a.is_unicast_link_local());
        let own = self.global.iter().copied();
        let in_common = |a: &Ipv6Addr| (a.to_bits() ^ to.ip().to_bits()).leading_zeros();
        // of two that are equally near the last one counts
        own.chain(adverts).max_by_key(in_common)
    }
}

/// Sends from one of the host's own addresses: the kernel might pick a virtual one.
pub fn send_v6(
    socket: &UdpSocket,
    sources: &Sources,
    to: SocketAddrV6,
    bytes: &[u8],
) -> io::Result<()> {
    let Some(local) = sources.towards(to) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_heartbeat_comes_from_the_address_of_the_adverts_or_the_nearest_own_one() {
        let sources = Sources {
            adverts: vec![
                (2, IpAddr::V6(v6("fd77::11"))),
                (2, IpAddr::from([192, 0, 2, 1])),
                (3, IpAddr::V6(v6("fe80::1"))),
            ],
            global: vec![v6("fd99::11"), v6("fd77::11"), v6("2001:db8::1")],
        };
        let towards = |to: &str, scope| sources.towards(SocketAddrV6::new(v6(to), 8112, 0, scope));
        assert_eq!(towards("fd77::12", 0), Some(v6("fd77::11")));
        assert_eq!(towards("fd99::12", 0), Some(v6("fd99::11")));
        assert_eq!(towards("fe80::2", 3), Some(v6("fe80::1")));
        assert_eq!(towards("fe80::2", 4), None);
        assert_eq!(
            Sources::default().towards(SocketAddrV6::new(v6("fd77::12"), 1, 0, 0)),
            None
        );
    }
}
