//! The daemon's hands: what it does to links, addresses and routes, and the
//! announcements of them.

use crate::core::Time;
use crate::core::pace::Pace;
use crate::filter::Filter;
use crate::frame::{self, Mac};
use crate::link::Links;
use crate::netlink::{Change, Hop, Netlink, NewAddress, NewRoute, PROTO_VRRP, Request};
use crate::packet::Sender;
use crate::renewals::Renewals;
use crate::vmac::Parameters;
use conf::vip::model::{Broadcast, RouteKind, VirtualAddress, VirtualRoute};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// Kernel sockets that instances share.
#[derive(Debug)]
pub struct Net {
    /// Requests.
    pub netlink: Netlink,
    /// Requests that nobody waits for.
    pub renewals: Renewals,
    /// What the kernel last said.
    pub links: Links,
    /// Announcements that wait for their turn.
    pub pace: Pace,
    /// The kernel's packet filter.
    pub filter: Filter,
    /// What `use_vmac` changed of base interfaces.
    pub parameters: Parameters,
    senders: BTreeMap<u32, Sender>,
    holders: BTreeSet<(u32, IpAddr, u64)>,
}

/// An instance by its number, and an address that it holds on an interface.
type Holder = (u64, u32, IpAddr);

impl Net {
    /// Opens the sockets and reads links and addresses.
    pub fn new(renewals: Renewals) -> io::Result<Net> {
        let mut netlink = Netlink::new()?;
        let links = Links::read(&mut netlink)?;
        Ok(Net {
            netlink,
            renewals,
            links,
            pace: Pace::default(),
            filter: Filter::default(),
            parameters: Parameters::default(),
            senders: BTreeMap::new(),
            holders: BTreeSet::new(),
        })
    }

    /// Sets or removes a virtual address.
    pub fn address(
        &mut self,
        change: Change,
        address: &VirtualAddress,
        index: u32,
        lease_s: Option<u32>,
    ) -> io::Result<()> {
        let request = address_request(change, address, index, lease_s);
        self.netlink.perform(request)
    }

    /// An instance holds an address on an interface from now on.
    pub fn hold(&mut self, holder: Holder) {
        let (number, index, address) = holder;
        self.holders.insert((index, address, number));
    }

    /// It holds it no more; whether nobody else does, so that it may be taken away. After a
    /// reload the successor of an instance may hold what that one has not let go yet.
    pub fn release(&mut self, holder: Holder) -> bool {
        let (number, index, address) = holder;
        self.holders.remove(&(index, address, number));
        self.is_last(holder)
    }

    /// Whether nobody else holds it.
    pub fn is_last(&self, (number, index, address): Holder) -> bool {
        let of = (index, address, 0)..=(index, address, u64::MAX);
        self.holders.range(of).all(|holder| holder.2 == number)
    }

    /// Sets or removes a virtual route.
    pub fn route(&mut self, change: Change, route: &VirtualRoute, own: u32) -> io::Result<()> {
        let request = self.route_request(change, route, own)?;
        self.netlink.perform(request)
    }

    /// The request that sets or removes a virtual route.
    pub fn route_request(
        &self,
        change: Change,
        route: &VirtualRoute,
        own: u32,
    ) -> io::Result<Request> {
        let index = match &route.dev {
            Some(name) => Some(self.index(name)?),
            None if route.kind == RouteKind::Unicast && route.hops.is_empty() => {
                (own > 0).then_some(own)
            }
            None => None,
        };
        let mut hops = Vec::with_capacity(route.hops.len());
        for hop in &route.hops {
            let index = match &hop.dev {
                Some(name) => self.index(name)?,
                None => own,
            };
            hops.push(Hop {
                via: hop.via,
                index,
                weight: hop.weight,
                onlink: hop.onlink,
            });
        }
        let new = NewRoute {
            to: Some((route.to, route.prefix)),
            via: route.via,
            index,
            source: route.src,
            metric: route.metric,
            table: route.table,
            scope: route.scope,
            onlink: route.onlink,
            tos: route.tos,
            metrics: &route.metrics,
            kind: match route.kind {
                RouteKind::Unicast => 1,
                RouteKind::Blackhole => 6,
                RouteKind::Unreachable => 7,
                RouteKind::Prohibit => 8,
            },
            hops,
        };
        Ok(Request::route(change, &new))
    }

    /// The number of a link.
    pub fn index(&self, name: &str) -> io::Result<u32> {
        let link = self.links.by_name(name);
        link.map(|l| l.index).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("there is no interface {name}"),
            )
        })
    }

    /// Sends a frame on an interface.
    pub fn send_frame(&mut self, index: u32, frame: &[u8]) -> io::Result<()> {
        if let Some(sender) = self.senders.get(&index) {
            return sender.send(frame);
        }
        let sender = Sender::new(index)?;
        let result = sender.send(frame);
        self.senders.insert(index, sender);
        result
    }

    /// Forgets the socket of a link that went away.
    pub fn forget(&mut self, index: u32) {
        self.senders.remove(&index);
    }

    /// Announces an address, now or when its interface's pause is over.
    pub fn announce(&mut self, now: Time, index: u32, address: IpAddr) -> io::Result<()> {
        if self.pace.ask(now, index, address) {
            return self.announce_now(index, address);
        }
        Ok(())
    }

    /// Sends the announcements whose turn has come.
    pub fn tick(&mut self, now: Time) {
        while let Some((index, address)) = self.pace.due(now) {
            if let Err(error) = self.announce_now(index, address) {
                tracing::debug!(%address, %error, "a delayed announcement");
            }
        }
    }

    fn announce_now(&mut self, index: u32, address: IpAddr) -> io::Result<()> {
        let mac = self.mac(index)?;
        let frame = frame::announcement(address, mac, address.is_ipv6());
        self.send_frame(index, &frame)
    }

    /// The link-layer address of a link.
    pub fn mac(&self, index: u32) -> io::Result<Mac> {
        let mac = self.links.get(index).and_then(|l| l.mac);
        mac.ok_or_else(|| io::Error::other("the interface has no Ethernet address"))
    }
}

/// The request that sets or removes a virtual address.
pub fn address_request(
    change: Change,
    address: &VirtualAddress,
    index: u32,
    lease_s: Option<u32>,
) -> Request {
    let new = NewAddress {
        index,
        address: address.address,
        prefix: address.prefix,
        scope: address.scope,
        broadcast: broadcast(address),
        label: address.label.as_deref(),
        lease_s,
        noprefixroute: address.noprefixroute,
        deprecated: address.deprecated,
        home: address.home,
        peer: address.peer,
        mngtmpaddr: address.mngtmpaddr,
        autojoin: address.autojoin,
        protocol: PROTO_VRRP,
    };
    Request::address(change, &new)
}

/// The broadcast address to set, if any.
fn broadcast(address: &VirtualAddress) -> Option<IpAddr> {
    let IpAddr::V4(v4) = address.address else {
        return None;
    };
    let host = u32::MAX.checked_shr(u32::from(address.prefix)).unwrap_or(0);
    let all = match address.broadcast? {
        Broadcast::Address(given) => return Some(IpAddr::V4(given)),
        Broadcast::Plus => u32::from(v4) | host,
        Broadcast::Minus => u32::from(v4) & !host,
    };
    Some(IpAddr::V4(Ipv4Addr::from(all)))
}
