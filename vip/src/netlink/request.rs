//! Requests about links, addresses and routes, as the kernel wants them
//! (`rtnetlink(7)`).

use super::Message;
use std::net::IpAddr;

/// Protocol number that marks routes and addresses as a VRRP daemon's.
pub const PROTO_VRRP: u8 = 18;

/// Whether a request makes or takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Makes it, or replaces what is there.
    Put,
    /// The same for an address that is there: a monitor that overlooks renewals hears nothing.
    Renew,
    /// Takes it away.
    Remove,
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
    /// The other end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// IPv6: temporary addresses are made from it.
    pub mngtmpaddr: bool,
    /// The interface joins the group that the address is.
    pub autojoin: bool,
    /// Who set it (`proto` of `ip address`): 0 for nobody in particular.
    pub protocol: u8,
}

impl NewAddress<'_> {
    /// An address of an interface with nothing special about it.
    pub fn plain(index: u32, address: IpAddr, prefix: u8) -> Self {
        NewAddress {
            index,
            address,
            prefix,
            scope: 0,
            broadcast: None,
            label: None,
            lease_s: None,
            noprefixroute: false,
            deprecated: false,
            home: false,
            peer: None,
            mngtmpaddr: false,
            autojoin: false,
            protocol: 0,
        }
    }
}

/// A route to be set.
#[derive(Clone, Debug, Default)]
pub struct NewRoute<'a> {
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
    /// Type of service.
    pub tos: u8,
    /// Metrics of the path by their numbers.
    pub metrics: &'a [(u16, u32)],
    /// Kernel's route type: 1 unicast, 6 blackhole, 7 unreachable, 8 prohibit.
    pub kind: u8,
    /// Ways that share the traffic, instead of a gateway and an interface.
    pub hops: Vec<Hop>,
}

/// One of several ways of a route (`struct rtnexthop`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Interface, if any is meant.
    pub index: u32,
    /// Its share, 1 to 256.
    pub weight: u16,
    /// The gateway counts as on the link.
    pub onlink: bool,
}

impl Message {
    /// Header of a link (`struct ifinfomsg`): its number, its flags, and which
    /// of them to change.
    pub fn link_header(&mut self, index: u32, flags: u32, changed: u32) {
        self.bytes.extend([0; 4]);
        self.bytes.extend(index.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(changed.to_ne_bytes());
    }

    /// Header and attributes of an address.
    pub fn address(&mut self, change: Change, new: &NewAddress<'_>) {
        let v4 = new.address.is_ipv4();
        self.bytes
            .extend([family(new.address), new.prefix, 0, new.scope]);
        self.bytes.extend(new.index.to_ne_bytes());
        self.ip(2, new.address);
        self.ip(1, new.peer.unwrap_or(new.address));
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
            (new.mngtmpaddr && !v4, 0x100),
            (new.autojoin, 0x400),
        ] {
            flags |= if set { bit } else { 0 };
        }
        self.attribute(8, &flags.to_ne_bytes());
        self.attribute(11, &[new.protocol]);
    }

    /// Header and attributes of a route.
    pub fn route(&mut self, route: &NewRoute<'_>) {
        let gateway = route.via.or(route.hops.iter().find_map(|hop| hop.via));
        let any = route.to.map(|t| t.0).or(gateway).or(route.source);
        let family = any.map_or(libc::AF_INET as u8, family);
        let prefix = route.to.map_or(0, |t| t.1);
        let table = route.table.unwrap_or(254);
        let scope = match (route.scope, gateway) {
            (Some(scope), _) => scope,
            (None, None) if route.kind == 1 && family == libc::AF_INET as u8 => 253,
            (None, _) => 0,
        };
        let short = u8::try_from(table).unwrap_or(0);
        self.bytes.extend([
            family, prefix, 0, route.tos, short, PROTO_VRRP, scope, route.kind,
        ]);
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
        if !route.hops.is_empty() {
            self.nested(9, |ways| route.hops.iter().for_each(|hop| ways.hop(hop)));
        }
        if !route.metrics.is_empty() {
            self.nested(8, |metrics| {
                for (kind, value) in route.metrics {
                    metrics.attribute(*kind, &value.to_ne_bytes());
                }
            });
        }
    }
}

impl Message {
    fn hop(&mut self, hop: &Hop) {
        let start = self.bytes.len();
        let share = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        self.bytes
            .extend([0, 0, if hop.onlink { 4 } else { 0 }, share]);
        self.bytes.extend(hop.index.to_ne_bytes());
        if let Some(via) = hop.via {
            self.ip(5, via);
        }
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}
