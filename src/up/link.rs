//! Interfaces of the laboratory, by netlink: the bridge, a pair of interfaces
//! for each host, addresses. Every call acts in the network namespace of the
//! calling thread.

use std::io;
use std::net::IpAddr;
use vip::netlink::{ACK, CREATE, Change, Message, Netlink, NewAddress, REQUEST};

/// `RTM_NEWLINK` (linux/rtnetlink.h): makes a link or changes it.
const NEW_LINK: u16 = 16;
/// Attributes of a link and of what kind it is (linux/if_link.h).
const NAME: u16 = 3;
const MASTER: u16 = 10;
const INFO: u16 = 18;
const NAMESPACE_OF: u16 = 19;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const INFO_PORT_KIND: u16 = 4;
const INFO_PORT_DATA: u16 = 5;
const PEER: u16 = 1;
const PORT_ISOLATED: u16 = 33;
/// Flag of a link: administratively on.
const UP: u32 = 1;

fn about(what: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Index of an interface.
pub fn index(name: &str) -> io::Result<u32> {
    let links = Netlink::new()?.links().map_err(about(name))?;
    let link = links.into_iter().find(|link| link.name == name);
    link.map(|link| link.index)
        .ok_or_else(|| io::Error::other(format!("{name}: no such interface")))
}

/// Changes an interface: its flags (which of them, and to what) and attributes.
fn change(name: &str, flags: u32, of: u32, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
    let mut message = Message::new(NEW_LINK, REQUEST | ACK);
    message.link_header(index(name)?, flags, of);
    fill(&mut message);
    Netlink::new()?.request(message).map_err(about(name))
}

/// Makes a link that is on from the start.
fn add(name: &str, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
    let mut message = Message::new(NEW_LINK, REQUEST | ACK | CREATE);
    message.link_header(0, UP, UP);
    message.text(NAME, name);
    message.nested(INFO, fill);
    Netlink::new()?.request(message).map_err(about(name))
}

/// Switches an interface on or off.
pub fn set_up(name: &str, up: bool) -> io::Result<()> {
    change(name, if up { UP } else { 0 }, UP, |_| {})
}

/// Adds a bridge and switches it on.
pub fn bridge(name: &str) -> io::Result<()> {
    add(name, |info| info.text(INFO_KIND, "bridge"))
}

/// Adds a pair: `port` on `bridge`, the other end as `eth0` in the network
/// namespace of process `pid`.
pub fn pair(port: &str, bridge: &str, pid: u32) -> io::Result<()> {
    add(port, |info| {
        info.text(INFO_KIND, "veth");
        info.nested(INFO_DATA, |data| {
            data.nested(PEER, |peer| {
                peer.link_header(0, 0, 0);
                peer.text(NAME, "eth0");
                peer.attribute(NAMESPACE_OF, &pid.to_ne_bytes());
            });
        });
    })?;
    master(port, Some(bridge))
}

/// Puts a port on a bridge or takes it off; its carrier stays.
pub fn master(port: &str, bridge: Option<&str>) -> io::Result<()> {
    let bridge = bridge.map_or(Ok(0), index)?;
    change(port, 0, 0, |link| {
        link.attribute(MASTER, &bridge.to_ne_bytes());
    })
}

/// Ports that are set apart reach every other port, but not each other.
pub fn apart(port: &str, apart: bool) -> io::Result<()> {
    change(port, 0, 0, |link| {
        link.nested(INFO, |info| {
            info.text(INFO_PORT_KIND, "bridge");
            info.nested(INFO_PORT_DATA, |data| {
                data.attribute(PORT_ISOLATED, &[apart.into()]);
            });
        });
    })
}

/// The IPv4 addresses of an interface, separated by spaces.
pub fn addresses(name: &str) -> io::Result<String> {
    let index = index(name)?;
    let all = Netlink::new()?.addresses().map_err(about(name))?;
    let list: Vec<String> = all
        .iter()
        .filter(|a| a.index == index && a.address.is_ipv4())
        .map(|a| a.address.to_string())
        .collect();
    Ok(list.join(" "))
}

/// Adds an address with its prefix length (`10.77.0.11/24`).
pub fn address(name: &str, address: &str) -> io::Result<()> {
    let wrong = || io::Error::other(format!("{address}: not an address with a prefix length"));
    let (ip, prefix) = address.split_once('/').ok_or_else(wrong)?;
    let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
    let new = NewAddress::plain(index(name)?, ip, prefix.parse().map_err(|_| wrong())?);
    let put = Netlink::new()?.address(Change::Put, &new);
    put.map_err(about(address))
}
