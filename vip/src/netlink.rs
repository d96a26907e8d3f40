//! Route netlink, as much as the daemon needs: addresses, routes, macvlan
//! links, dumps and change messages. Blocking, with the kernel's answer awaited;
//! no runtime, because the router thread calls it between two deadlines.

mod message;
mod request;
mod rule;
mod socket;

#[cfg(test)]
mod tests;

pub use message::{ACK, CREATE, Message, NLMSG_ERROR, REQUEST, error_of, messages};
pub use request::{Change, Hop, NewAddress, NewRoute, PROTO_VRRP};
pub use socket::{DUMP, dump, open};

use conf::vip::model::VirtualRule;
use message::attributes;
use nix::sys::socket::{
    MsgFlags, NetlinkAddr, SockFlag, SockProtocol, getsockname, recv, send, setsockopt, sockopt,
};
use socket2::{SockFilter, SockRef};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;

/// One address as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Interface.
    pub index: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Length of the prefix.
    pub prefix: u8,
    /// Scope: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Whether duplicate detection is not over or failed.
    pub tentative: bool,
}

/// One link as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Link-layer address, if it is an Ethernet one.
    pub mac: Option<[u8; 6]>,
    /// Administratively up.
    pub up: bool,
    /// Up with a carrier.
    pub running: bool,
    /// Whether it is a macvlan interface, the kind that `use_vmac` makes.
    pub macvlan: bool,
    /// Bytes of the largest packet.
    pub mtu: u32,
}

/// A change message of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A link appeared or changed.
    Link(Link),
    /// A link went away.
    LinkGone(u32),
    /// An address appeared or changed.
    Address(Address),
    /// An address went away.
    AddressGone(Address),
    /// A route of a VRRP daemon or a rule went away.
    PathGone,
    /// Messages were lost; everything must be read again.
    Overrun,
}

/// Bit of a request's sequence number, and so of what a monitor hears of it: a renewal.
const RENEWAL: u32 = 1 << 31;

/// A request about an address, a route or a rule, ready to be sent.
#[derive(Debug)]
pub struct Request {
    message: Message,
    /// Refusals that say that it is so already.
    fine: &'static [i32],
    renews: bool,
}

impl Request {
    /// Sets or removes an address.
    pub fn address(change: Change, new: &NewAddress<'_>) -> Request {
        let mut request = Request::new(change, 20, REPLACE);
        request.message.address(change, new);
        request
    }

    /// Sets or removes a route.
    pub fn route(change: Change, route: &NewRoute<'_>) -> Request {
        let mut request = Request::new(change, 24, REPLACE);
        request.message.route(route);
        request
    }

    /// Sets or removes a routing rule.
    pub fn rule(change: Change, rule: &VirtualRule) -> Request {
        let mut request = Request::new(change, 32, EXCLUSIVE);
        rule::write(rule, &mut request.message);
        request.fine = match change {
            Change::Put | Change::Renew => &[libc::EEXIST],
            Change::Remove => &[libc::ENOENT],
        };
        request
    }

    /// `kind` makes the thing, the next one takes it away.
    fn new(change: Change, kind: u16, how: u16) -> Request {
        let (message, fine): (_, &[i32]) = match change {
            Change::Put | Change::Renew => (Message::new(kind, REQUEST | ACK | CREATE | how), &[]),
            Change::Remove => (Message::new(kind + 1, REQUEST | ACK), GONE),
        };
        Request {
            message,
            fine,
            renews: change == Change::Renew,
        }
    }
}

/// A netlink socket for requests.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket for requests.
    pub fn new() -> io::Result<Netlink> {
        let fd = open(SockProtocol::NetlinkRoute, 0, SockFlag::empty())?;
        Ok(Netlink { fd, sequence: 0 })
    }

    /// Sets or removes an address and waits for the kernel's word. Removing what is
    /// not there is no error.
    pub fn address(&mut self, change: Change, new: &NewAddress<'_>) -> io::Result<()> {
        self.perform(Request::address(change, new))
    }

    /// Sets or removes a routing rule. Setting what is there and removing what is not there are
    /// no errors.
    pub fn rule(&mut self, change: Change, rule: &VirtualRule) -> io::Result<()> {
        self.perform(Request::rule(change, rule))
    }

    /// Sends a request and waits for the kernel's word.
    pub fn perform(&mut self, request: Request) -> io::Result<()> {
        let mark = if request.renews { RENEWAL } else { 0 };
        match self.marked_request(request.message, mark) {
            Err(e) if e.raw_os_error().is_some_and(|e| request.fine.contains(&e)) => Ok(()),
            result => result,
        }
    }

    /// Makes a macvlan link (private mode) on `base` with this link-layer address, up.
    pub fn add_macvlan(&mut self, name: &str, base: u32, mac: [u8; 6]) -> io::Result<()> {
        let mut message = Message::new(16, REQUEST | ACK | CREATE | EXCLUSIVE);
        message.link_header(0, 0, 0);
        message.text(3, name);
        message.attribute(5, &base.to_ne_bytes());
        message.attribute(1, &mac);
        message.nested(18, |info| {
            info.text(1, "macvlan");
            info.nested(2, |data| data.attribute(1, &1u32.to_ne_bytes()));
        });
        self.request(message)
    }

    /// Sets a link up.
    pub fn link_up(&mut self, index: u32) -> io::Result<()> {
        let mut message = Message::new(16, REQUEST | ACK);
        message.link_header(index, 1, 1);
        self.request(message)
    }

    /// Removes a link; its absence is no error.
    pub fn remove_link(&mut self, index: u32) -> io::Result<()> {
        let mut message = Message::new(17, REQUEST | ACK);
        message.link_header(index, 0, 0);
        match self.request(message) {
            Err(e) if e.raw_os_error().is_some_and(|e| GONE.contains(&e)) => Ok(()),
            result => result,
        }
    }

    /// All links.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let mut message = Message::new(18, REQUEST | DUMP);
        message.link_header(0, 0, 0);
        let notices = self.dump(message)?;
        Ok(notices
            .into_iter()
            .filter_map(|n| match n {
                Notice::Link(link) => Some(link),
                _ => None,
            })
            .collect())
    }

    /// All addresses of both families.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let mut message = Message::new(22, REQUEST | DUMP);
        message.bytes.extend([0; 8]);
        let notices = self.dump(message)?;
        Ok(notices
            .into_iter()
            .filter_map(|n| match n {
                Notice::Address(address) => Some(address),
                _ => None,
            })
            .collect())
    }

    /// Sends a request with `ACK` and waits for the kernel's answer.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn request(&mut self, message: Message) -> io::Result<()> {
        self.marked_request(message, 0)
    }

    fn marked_request(&mut self, mut message: Message, mark: u32) -> io::Result<()> {
        let sequence = self.next_sequence() | mark;
        message.finish(sequence);
        send(self.fd.as_raw_fd(), &message.bytes, MsgFlags::empty())?;
        let mut buffer = [0; 8192];
        loop {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for (kind, number, body) in messages(&buffer[..length]) {
                if number == sequence && kind == NLMSG_ERROR {
                    return error_of(body);
                }
            }
        }
    }

    fn dump(&mut self, message: Message) -> io::Result<Vec<Notice>> {
        let sequence = self.next_sequence();
        let mut found = Vec::new();
        dump(&self.fd, message, sequence, |kind, body| {
            found.extend(notice(kind, body));
        })?;
        Ok(found)
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = (self.sequence + 1) % RENEWAL;
        self.sequence
    }

    /// The number by which the kernel knows this socket.
    pub fn port(&self) -> io::Result<u32> {
        let own: NetlinkAddr = getsockname(self.fd.as_raw_fd())?;
        Ok(own.pid())
    }
}

/// Errors that say that the thing was not there in the first place.
const GONE: &[i32] = &[libc::EADDRNOTAVAIL, libc::ESRCH, libc::ENODEV];

/// A netlink socket that hears of changes of links and addresses.
#[derive(Debug)]
pub struct Monitor {
    fd: OwnedFd,
}

impl Monitor {
    /// Opens it; not blocking.
    pub fn new() -> io::Result<Monitor> {
        // links, addresses, routes and rules (IPv4, IPv6)
        let groups = 0x1 | 0x10 | 0x100 | 0x40 | 0x400 | 0x80 | 0x40000;
        let fd = open(SockProtocol::NetlinkRoute, groups, SockFlag::SOCK_NONBLOCK)?;
        let _ = setsockopt(&fd, sockopt::RcvBuf, &(1 << 20));
        Ok(Monitor { fd })
    }

    /// Hears no more of the addresses that the socket of this number ([`Netlink::port`]) renews
    /// ([`Change::Renew`]): each would wake the process, and be no news to it. Nor of routes that
    /// come, or that others set.
    pub fn overlook_renewals(&self, port: u32) -> io::Result<()> {
        SockRef::from(&self.fd).attach_filter(&news(port))
    }

    /// The changes that came since the last call.
    pub fn read(&self) -> Vec<Notice> {
        let mut found = Vec::new();
        let mut buffer = [0; 16_384];
        loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(0) | Err(nix::errno::Errno::EAGAIN) => return found,
                Ok(length) => {
                    for (kind, _, body) in messages(&buffer[..length]) {
                        found.extend(notice(kind, body));
                    }
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => {
                    found.push(Notice::Overrun);
                    return found;
                }
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Classic BPF: no new addresses (20) after a request of this port that is marked as a renewal, no
/// new routes and rules (24, 32), and of routes that went (25) those of this protocol. It reads
/// big-endian what stands there in the host's order.
fn news(port: u32) -> [SockFilter; 13] {
    let kind = |number: u16| u32::from(number.to_be());
    let equals =
        |value: u32, then: u8, otherwise: u8| SockFilter::new(0x15, then, otherwise, value);
    [
        SockFilter::new(0x28, 0, 0, 4),
        equals(kind(20), 0, 4),
        SockFilter::new(0x20, 0, 0, 12),
        equals(port.to_be(), 0, 7),
        SockFilter::new(0x20, 0, 0, 8),
        SockFilter::new(0x45, 6, 5, RENEWAL.to_be()),
        equals(kind(24), 5, 0),
        equals(kind(32), 4, 0),
        equals(kind(25), 0, 2),
        SockFilter::new(0x30, 0, 0, 21),
        equals(u32::from(PROTO_VRRP), 0, 1),
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}

fn notice(kind: u16, body: &[u8]) -> Option<Notice> {
    match kind {
        16 => link(body).map(Notice::Link),
        17 => link(body).map(|l| Notice::LinkGone(l.index)),
        20 => address(body).map(Notice::Address),
        21 => address(body).map(Notice::AddressGone),
        25 | 33 => Some(Notice::PathGone),
        _ => None,
    }
}

fn link(body: &[u8]) -> Option<Link> {
    let head: &[u8; 16] = body.first_chunk()?;
    let flags = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]);
    let mut link = Link {
        index: u32::from_ne_bytes([head[4], head[5], head[6], head[7]]),
        name: String::new(),
        mac: None,
        up: flags & libc::IFF_UP as u32 != 0,
        running: flags & libc::IFF_RUNNING as u32 != 0,
        macvlan: false,
        mtu: 1500,
    };
    for (kind, value) in attributes(&body[16..]) {
        match kind {
            1 => link.mac = value.try_into().ok(),
            3 => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                link.name = String::from_utf8_lossy(text).into_owned();
            }
            4 => link.mtu = value.try_into().map_or(link.mtu, u32::from_ne_bytes),
            18 => link.macvlan = attributes(value).any(|a| a == (1, b"macvlan\0".as_slice())),
            _ => {}
        }
    }
    Some(link)
}

fn address(body: &[u8]) -> Option<Address> {
    let head: &[u8; 8] = body.first_chunk()?;
    let mut flags = u32::from(head[2]);
    let (mut local, mut remote) = (None, None);
    for (kind, value) in attributes(&body[8..]) {
        match kind {
            1 => remote = ip(value),
            2 => local = ip(value),
            8 => flags = value.try_into().map_or(flags, u32::from_ne_bytes),
            _ => {}
        }
    }
    Some(Address {
        index: u32::from_ne_bytes([head[4], head[5], head[6], head[7]]),
        address: local.or(remote)?,
        prefix: head[1],
        scope: head[3],
        tentative: flags & (0x40 | 0x08) != 0,
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
