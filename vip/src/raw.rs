//! Raw VRRP sockets: one to listen per interface and family, one to speak per
//! virtual router. They carry bytes; what the bytes mean is `core::advert`'s.

use crate::core::advert::{Envelope, PROTOCOL};
use crate::core::ah::{self, Seal, Wrap};
use conf::vip::model::Family;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, SockFilter, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Largest packet that is looked at; more than 255 IPv6 addresses need.
pub const LARGEST: usize = 8192;
const NETWORK_CONTROL: u32 = 0xc0;
/// Bytes that may wait to be read: all 255 virtual routers of a link may speak at once, as when
/// their host stops, and what is lost then costs a Master_Down_Interval.
const BURST: usize = 1 << 20;

fn open(family: Family, interface: &str, protocol: i32) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    Ok(socket)
}

/// A packet that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'b> {
    /// What the IP layer said.
    pub envelope: Envelope,
    /// What is around the VRRP part.
    pub wrap: Wrap<'b>,
    /// The VRRP part; empty if there is none, which no check passes.
    pub vrrp: &'b [u8],
}

/// What a listener listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Protocol 112.
    Bare(Family),
    /// Protocol 51 with 112 in it, over IPv4.
    Sealed,
}

impl Kind {
    /// Of its packets.
    pub fn family(self) -> Family {
        match self {
            Kind::Bare(family) => family,
            Kind::Sealed => Family::V4,
        }
    }

    fn protocol(self) -> i32 {
        i32::from(match self {
            Kind::Bare(_) => PROTOCOL,
            Kind::Sealed => ah::PROTOCOL,
        })
    }
}

/// Listens for adverts on one interface.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    kind: Kind,
    index: u32,
    groups: Vec<IpAddr>,
}

impl Listener {
    /// Opens a listener on an interface.
    pub fn new(kind: Kind, interface: &str, index: u32) -> io::Result<Listener> {
        let socket = open(kind.family(), interface, kind.protocol())?;
        if kind == Kind::Sealed {
            socket.attach_filter(&adverts_in_headers())?;
        }
        match kind.family() {
            Family::V4 => socket.set_multicast_all_v4(false)?,
            Family::V6 => {
                socket.set_multicast_all_v6(false)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                socket.set_recv_hoplimit_v6(true)?;
            }
        }
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &BURST);
        Ok(Listener {
            socket,
            kind,
            index,
            groups: Vec::new(),
        })
    }

    /// Sets the size of the kernel's buffer.
    pub fn set_buffer(&self, bytes: u32) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes as usize)
    }

    /// Joins a multicast group, once.
    pub fn join(&mut self, group: IpAddr) -> io::Result<()> {
        if self.groups.contains(&group) {
            return Ok(());
        }
        self.join_now(group)?;
        self.groups.push(group);
        Ok(())
    }

    fn join_now(&self, group: IpAddr) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => self
                .socket
                .join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(self.index)),
            IpAddr::V6(group) => self.socket.join_multicast_v6(&group, self.index),
        }
    }

    /// Leaves and joins all groups again: after the link came back.
    pub fn rejoin(&self) {
        for group in &self.groups {
            let index = InterfaceIndexOrAddress::Index(self.index);
            let _ = match group {
                IpAddr::V4(g) => self.socket.leave_multicast_v4_n(g, &index),
                IpAddr::V6(g) => self.socket.leave_multicast_v6(g, self.index),
            };
            if let Err(error) = self.join_now(*group) {
                tracing::warn!(%group, %error, "cannot join the multicast group again");
            }
        }
    }

    /// The next packet. Nothing when none is there.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Packet<'b>>> {
        match self.kind.family() {
            Family::V4 => self.receive_v4(buffer),
            Family::V6 => self.receive_v6(buffer),
        }
    }

    fn receive_v4<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Packet<'b>>> {
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, None, MsgFlags::empty());
        let length = match message {
            Ok(message) => message.bytes,
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(self.split_v4(&buffer[..length])))
    }

    /// A packet of IPv4 with what its listener is for taken apart.
    fn split_v4<'b>(&self, packet: &'b [u8]) -> Packet<'b> {
        let (envelope, payload) = split_v4(packet);
        let (wrap, vrrp) = match self.kind {
            Kind::Bare(_) => (Wrap::Bare, payload),
            Kind::Sealed => ah::unwrap(packet),
        };
        Packet {
            envelope,
            wrap,
            vrrp,
        }
    }

    fn receive_v6<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Packet<'b>>> {
        let mut space = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrIn6>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::empty(),
        );
        let message = match message {
            Ok(message) => message,
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let unknown = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);
        let mut envelope = Envelope {
            source: message.address.map_or(unknown, |a| IpAddr::V6(a.ip())),
            destination: unknown,
            hop_limit: 0,
        };
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    envelope.destination = IpAddr::from(info.ipi6_addr.s6_addr);
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => {
                    envelope.hop_limit = u8::try_from(limit).unwrap_or(0);
                }
                _ => {}
            }
        }
        let length = message.bytes;
        Ok(Some(Packet {
            envelope,
            wrap: Wrap::Bare,
            vrrp: &buffer[..length],
        }))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Classic BPF: IPv4 packets whose authentication header holds an advert. Others are of IPsec.
fn adverts_in_headers() -> [SockFilter; 5] {
    [
        SockFilter::new(0xb1, 0, 0, 0),
        SockFilter::new(0x50, 0, 0, 0),
        SockFilter::new(0x15, 0, 1, u32::from(PROTOCOL)),
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}

/// Takes the IPv4 header apart. A runt gives an empty VRRP part, which no check passes.
fn split_v4(packet: &[u8]) -> (Envelope, &[u8]) {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut envelope = Envelope {
        source: unknown,
        destination: unknown,
        hop_limit: 0,
    };
    let Some(header) = packet.first_chunk::<20>() else {
        return (envelope, &[]);
    };
    let at = |i: usize| IpAddr::from([header[i], header[i + 1], header[i + 2], header[i + 3]]);
    envelope.hop_limit = header[8];
    envelope.source = at(12);
    envelope.destination = at(16);
    let length = usize::from(header[0] & 0x0f) * 4;
    (envelope, packet.get(length..).unwrap_or_default())
}

/// Speaks for one virtual router.
#[derive(Debug)]
pub struct Speaker {
    socket: Socket,
    index: u32,
    frame: Vec<u8>,
    packet_id: NonZeroU16,
    /// Where the last one went, as the kernel wants it.
    to: Option<(Ipv4Addr, SockAddr)>,
}

impl Speaker {
    /// Opens a speaker on an interface (the macvlan one with a virtual MAC).
    pub fn new(family: Family, interface: &str, index: u32) -> io::Result<Speaker> {
        // a speaker never reads: with a header of its own it needs no protocol to hear, and
        // otherwise whatever arrives is dropped early
        let protocol = match family {
            Family::V4 => libc::IPPROTO_RAW,
            Family::V6 => i32::from(PROTOCOL),
        };
        let socket = open(family, interface, protocol)?;
        match family {
            Family::V4 => {
                socket.set_header_included_v4(true)?;
                socket.set_multicast_loop_v4(false)?;
            }
            Family::V6 => {
                socket.set_multicast_all_v6(false)?;
                socket.set_multicast_if_v6(index)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_hops_v6(255)?;
                socket.set_unicast_hops_v6(255)?;
                socket.set_tclass_v6(NETWORK_CONTROL)?;
            }
        }
        let _ = socket.set_recv_buffer_size(0);
        Ok(Speaker {
            socket,
            index,
            frame: Vec::with_capacity(128),
            packet_id: NonZeroU16::MIN,
            to: None,
        })
    }

    /// Sends a VRRP message, over IPv4 within a seal if there is one.
    pub fn send(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        hop_limit: u8,
        vrrp: &[u8],
        seal: Option<Seal>,
    ) -> io::Result<()> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.frame_v4(source, destination, hop_limit, vrrp, seal);
                if self.to.as_ref().is_none_or(|(to, _)| *to != destination) {
                    let to = SocketAddrV4::new(destination, 0);
                    self.to = Some((destination, SockAddr::from(to)));
                }
                if let Some((_, to)) = &self.to {
                    self.socket.send_to(&self.frame, to)?;
                }
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, self.index));
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: source.octets(),
                    },
                    ipi6_ifindex: self.index,
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                let parts = [IoSlice::new(vrrp)];
                let fd = self.socket.as_raw_fd();
                sendmsg(fd, &parts, &control, MsgFlags::empty(), Some(&to))?;
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
        Ok(())
    }

    /// Sends the last IPv4 packet once more, with another identification; nothing where there is none.
    pub fn again(&mut self) -> Option<io::Result<()>> {
        let (_, to) = self.to.as_ref()?;
        let id = next(self.packet_id);
        self.packet_id = id;
        self.frame
            .get_mut(4..6)?
            .copy_from_slice(&id.get().to_be_bytes());
        Some(self.socket.send_to(&self.frame, to).map(drop))
    }

    /// Puts an IPv4 header before the message; the kernel fills in the checksum.
    fn frame_v4(&mut self, from: Ipv4Addr, to: Ipv4Addr, ttl: u8, vrrp: &[u8], seal: Option<Seal>) {
        self.packet_id = next(self.packet_id);
        let id = self.packet_id.get().to_be_bytes();
        let (protocol, around) = around(seal);
        let total = ((around + vrrp.len()) as u16).to_be_bytes();
        let out = &mut self.frame;
        out.clear();
        out.extend([0x45, NETWORK_CONTROL as u8, total[0], total[1]]);
        out.extend([id[0], id[1], 0, 0, ttl, protocol, 0, 0]);
        out.extend(from.octets());
        out.extend(to.octets());
        match seal {
            None => out.extend(vrrp),
            Some(seal) => seal.append(out, vrrp),
        }
    }
}

/// The next identification: never 0, which the kernel would replace, and takes long over it.
fn next(id: NonZeroU16) -> NonZeroU16 {
    id.checked_add(1).unwrap_or(NonZeroU16::MIN)
}

/// The protocol in the IPv4 header, and how much stands before the message.
pub fn around(seal: Option<Seal>) -> (u8, usize) {
    match seal {
        None => (PROTOCOL, 20),
        Some(_) => (ah::PROTOCOL, 20 + ah::LENGTH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runt_or_a_lying_header_gives_an_empty_message() {
        assert!(split_v4(&[0x45; 19]).1.is_empty());
        assert!(split_v4(&[0x4f; 20]).1.is_empty());
        let mut packet = vec![0; 24];
        packet[0] = 0x45;
        packet[8] = 255;
        let (envelope, rest) = split_v4(&packet);
        assert_eq!((envelope.hop_limit, rest.len()), (255, 4));
    }
}
