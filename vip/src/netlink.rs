//! Route netlink, as much as the daemon needs: addresses, routes, macvlan
//! links, dumps and change messages. Blocking, with the kernel's answer awaited;
//! no runtime, because the router thread calls it between two deadlines.

mod message;
mod rule;

pub use message::{ACK, CREATE, Message, NLMSG_ERROR, REQUEST, error_of, messages};

use conf::vip::model::VirtualRule;
use message::{NLMSG_DONE, attributes};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;

/// Protocol number that marks routes and addresses as a VRRP daemon's.
const PROTO_VRRP: u8 = 18;

/// Whether a request makes or takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Makes it, or replaces what is there.
    Put,
    /// Takes it away.
    Remove,
}

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

/// An address to be set.
#[derive(Clone, Debug)]
pub struct NewAddress<'a> {
    /// Interface.
    pub index: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Length of the prefix.
    pub prefix: u8,
    /// Scope.
    pub scope: u8,
    /// Broadcast address.
    pub broadcast: Option<IpAddr>,
    /// Label, IPv4 only.
    pub label: Option<&'a str>,
    /// Ends by itself after so many seconds.
    pub lease_s: Option<u32>,
    /// No route for the prefix.
    pub noprefixroute: bool,
    /// IPv6: not for outgoing connections.
    pub deprecated: bool,
    /// IPv6: home address.
    pub home: bool,
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
}

/// A route to be set.
#[derive(Clone, Debug, Default)]
pub struct NewRoute {
    /// Destination and its prefix length.
    pub to: Option<(IpAddr, u8)>,
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Interface.
    pub index: Option<u32>,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// Metric.
    pub metric: Option<u32>,
    /// Table; main if not given.
    pub table: Option<u32>,
    /// Scope; from the gateway if not given.
    pub scope: Option<u8>,
    /// The gateway counts as on the link.
    pub onlink: bool,
    /// Kernel's route type: 1 unicast, 6 blackhole, 7 unreachable, 8 prohibit.
    pub kind: u8,
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
    /// Messages were lost; everything must be read again.
    Overrun,
}

/// A netlink socket for requests.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

fn open(groups: u32, flags: SockFlag) -> io::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags | SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(fd)
}

impl Netlink {
    /// Opens a socket for requests.
    pub fn new() -> io::Result<Netlink> {
        let fd = open(0, SockFlag::empty())?;
        Ok(Netlink { fd, sequence: 0 })
    }

    /// Sets or removes an address and waits for the kernel's word. Removing what is
    /// not there is no error.
    pub fn address(&mut self, change: Change, new: &NewAddress<'_>) -> io::Result<()> {
        let (kind, flags) = match change {
            Change::Put => (20, REQUEST | ACK | CREATE | REPLACE),
            Change::Remove => (21, REQUEST | ACK),
        };
        let mut message = Message::new(kind, flags);
        message.address(change, new);
        match (self.request(message), change) {
            (Err(e), Change::Remove) if gone(&e) => Ok(()),
            (result, _) => result,
        }
    }

    /// Sets or removes a route. Removing what is not there is no error.
    pub fn route(&mut self, change: Change, route: &NewRoute) -> io::Result<()> {
        let (kind, flags) = match change {
            Change::Put => (24, REQUEST | ACK | CREATE | REPLACE),
            Change::Remove => (25, REQUEST | ACK),
        };
        let mut message = Message::new(kind, flags);
        message.route(route);
        match (self.request(message), change) {
            (Err(e), Change::Remove) if gone(&e) => Ok(()),
            (result, _) => result,
        }
    }

    /// Sets or removes a routing rule. Setting what is there and removing what is not there are
    /// no errors.
    pub fn rule(&mut self, change: Change, rule: &VirtualRule) -> io::Result<()> {
        let (kind, flags) = match change {
            Change::Put => (32, REQUEST | ACK | CREATE | EXCLUSIVE),
            Change::Remove => (33, REQUEST | ACK),
        };
        let mut message = Message::new(kind, flags);
        rule::write(rule, &mut message);
        match (self.request(message), change) {
            (Err(e), Change::Put) if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            (Err(e), Change::Remove) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            (result, _) => result,
        }
    }

    /// Makes a macvlan link (private mode) on `base` with this link-layer address, up.
    pub fn add_macvlan(&mut self, name: &str, base: u32, mac: [u8; 6]) -> io::Result<()> {
        let mut message = Message::new(16, REQUEST | ACK | CREATE | EXCLUSIVE);
        message.link_header(0, 0);
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
        message.link_header(index, 1);
        self.request(message)
    }

    /// Removes a link; its absence is no error.
    pub fn remove_link(&mut self, index: u32) -> io::Result<()> {
        let mut message = Message::new(17, REQUEST | ACK);
        message.link_header(index, 0);
        match self.request(message) {
            Err(e) if gone(&e) => Ok(()),
            result => result,
        }
    }

    /// All links.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let mut message = Message::new(18, REQUEST | DUMP);
        message.link_header(0, 0);
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

    fn request(&mut self, message: Message) -> io::Result<()> {
        let sequence = self.send(message)?;
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
        let sequence = self.send(message)?;
        let mut found = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for (kind, number, body) in messages(&buffer[..length]) {
                match kind {
                    _ if number != sequence => {}
                    NLMSG_DONE => return Ok(found),
                    NLMSG_ERROR => {
                        error_of(body)?;
                    }
                    _ => found.extend(notice(kind, body)),
                }
            }
        }
    }

    fn send(&mut self, mut message: Message) -> io::Result<u32> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        message.finish(self.sequence);
        send(self.fd.as_raw_fd(), &message.bytes, MsgFlags::empty())?;
        Ok(self.sequence)
    }
}

/// Whether an error says that the thing was not there in the first place.
fn gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::ESRCH | libc::ENODEV)
    )
}

/// A netlink socket that hears of changes of links and addresses.
#[derive(Debug)]
pub struct Monitor {
    fd: OwnedFd,
}

impl Monitor {
    /// Opens it; not blocking.
    pub fn new() -> io::Result<Monitor> {
        let fd = open(0x1 | 0x10 | 0x100, SockFlag::SOCK_NONBLOCK)?;
        let _ = setsockopt(&fd, sockopt::RcvBuf, &(1 << 20));
        Ok(Monitor { fd })
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

fn notice(kind: u16, body: &[u8]) -> Option<Notice> {
    match kind {
        16 => link(body).map(Notice::Link),
        17 => link(body).map(|l| Notice::LinkGone(l.index)),
        20 => address(body).map(Notice::Address),
        21 => address(body).map(Notice::AddressGone),
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
    };
    for (kind, value) in attributes(&body[16..]) {
        match kind {
            1 => link.mac = value.try_into().ok(),
            3 => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                link.name = String::from_utf8_lossy(text).into_owned();
            }
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

impl Message {
    fn link_header(&mut self, index: u32, up: u32) {
        self.bytes.extend([0; 4]);
        self.bytes.extend(index.to_ne_bytes());
        self.bytes.extend(up.to_ne_bytes());
        self.bytes.extend(up.to_ne_bytes());
    }

    fn address(&mut self, change: Change, new: &NewAddress<'_>) {
        let v4 = new.address.is_ipv4();
        self.bytes
            .extend([family(new.address), new.prefix, 0, new.scope]);
        self.bytes.extend(new.index.to_ne_bytes());
        self.ip(2, new.address);
        self.ip(1, new.address);
        if change == Change::Remove {
            return;
        }
        if let Some(label) = new.label.filter(|_| v4) {
            self.text(3, label);
        }
        if let Some(broadcast) = new.broadcast {
            self.ip(4, broadcast);
        }
        let valid = new.lease_s.unwrap_or(u32::MAX);
        let preferred = if new.deprecated { 0 } else { valid };
        let mut cache = [0; 16];
        cache[0..4].copy_from_slice(&preferred.to_ne_bytes());
        cache[4..8].copy_from_slice(&valid.to_ne_bytes());
        self.attribute(6, &cache);
        let mut flags = 0u32;
        for (set, bit) in [
            (!v4, 0x02),
            (new.home && !v4, 0x10),
            (new.noprefixroute, 0x200),
        ] {
            flags |= if set { bit } else { 0 };
        }
        self.attribute(8, &flags.to_ne_bytes());
        self.attribute(11, &[PROTO_VRRP]);
    }

    fn route(&mut self, route: &NewRoute) {
        let any = route.to.map(|t| t.0).or(route.via).or(route.source);
        let family = any.map_or(libc::AF_INET as u8, family);
        let prefix = route.to.map_or(0, |t| t.1);
        let table = route.table.unwrap_or(254);
        let scope = match (route.scope, route.via) {
            (Some(scope), _) => scope,
            (None, None) if route.kind == 1 && family == libc::AF_INET as u8 => 253,
            (None, _) => 0,
        };
        let short = u8::try_from(table).unwrap_or(0);
        self.bytes
            .extend([family, prefix, 0, 0, short, PROTO_VRRP, scope, route.kind]);
        let flags = if route.onlink { 4u32 } else { 0 };
        self.bytes.extend(flags.to_ne_bytes());
        if let Some((to, _)) = route.to.filter(|t| t.1 > 0) {
            self.ip(1, to);
        }
        if let Some(via) = route.via {
            self.ip(5, via);
        }
        if let Some(index) = route.index {
            self.attribute(4, &index.to_ne_bytes());
        }
        if let Some(source) = route.source {
            self.ip(7, source);
        }
        if let Some(metric) = route.metric {
            self.attribute(6, &metric.to_ne_bytes());
        }
        self.attribute(15, &table.to_ne_bytes());
    }
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_link_and_its_address_are_found() {
        let mut netlink = Netlink::new().expect("netlink sockets need no privilege");
        let links = netlink.links().expect("dump");
        let lo = links.iter().find(|l| l.name == "lo").expect("lo exists");
        let addresses = netlink.addresses().expect("dump");
        if lo.up {
            assert!(addresses.iter().any(|a| a.index == lo.index));
        }
    }

    #[test]
    fn malformed_messages_end_the_reading() {
        assert_eq!(messages(&[0; 15]).count(), 0);
        assert_eq!(messages(&[0xff; 40]).count(), 0);
        assert_eq!(attributes(&[2, 0, 1, 0, 9]).count(), 0);
        assert_eq!(link(&[0; 3]), None);
        assert_eq!(address(&[0; 8]), None);
    }
}
