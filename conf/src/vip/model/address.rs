//! What an instance sets on its host while it is master: addresses, routes, rules.

use super::{Family, Place};
use std::net::IpAddr;

/// One virtual address.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualAddress {
    /// Where it stands.
    pub place: Place,
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix; 32 or 128 if not written.
    pub prefix: u8,
    /// `dev`; the instance's interface if not written.
    pub dev: Option<String>,
    /// `brd`: broadcast address; `+` gives the network's.
    pub broadcast: Option<Broadcast>,
    /// `label`.
    pub label: Option<String>,
    /// `scope` as the kernel's number: 0 global, 253 link, 254 host, 200 site.
    pub scope: u8,
    /// `home` (IPv6).
    pub home: bool,
    /// `no_track`: the state of `dev` is no fault of the instance.
    pub no_track: bool,
    /// `noprefixroute`.
    pub noprefixroute: bool,
    /// `preferred_lft 0` ("deprecated", IPv6): not used for outgoing traffic.
    pub deprecated: bool,
    /// `peer`: the other end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// `mngtmpaddr` (IPv6): the kernel makes temporary addresses from it.
    pub mngtmpaddr: bool,
    /// `autojoin`: the interface joins the group that the address is.
    pub autojoin: bool,
}

/// `brd` of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// `brd ADDRESS`.
    Address(std::net::Ipv4Addr),
    /// `brd +`: all host bits set.
    Plus,
    /// `brd -`: all host bits clear.
    Minus,
}

/// One virtual route; what is not written stays out of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualRoute {
    /// Where it stands.
    pub place: Place,
    /// Destination; `default` is the zero prefix.
    pub to: IpAddr,
    /// Length of the destination's prefix.
    pub prefix: u8,
    /// `via`.
    pub via: Option<IpAddr>,
    /// `dev`.
    pub dev: Option<String>,
    /// `src`.
    pub src: Option<IpAddr>,
    /// `metric` / `preference`.
    pub metric: Option<u32>,
    /// `table`.
    pub table: Option<u32>,
    /// `scope`.
    pub scope: Option<u8>,
    /// `onlink`.
    pub onlink: bool,
    /// `tos`.
    pub tos: u8,
    /// Metrics of the path (`mtu`, `advmss`, ...) by the kernel's numbers (<linux/rtnetlink.h>).
    pub metrics: Vec<(u16, u32)>,
    /// `blackhole` / `unreachable` / `prohibit` in front.
    pub kind: RouteKind,
    /// `no_track`: the state of its interfaces is no fault of the instance.
    pub no_track: bool,
    /// `nexthop ...`: the ways that share the traffic, instead of `via` and `dev`.
    pub hops: Vec<NextHop>,
}

/// One of several ways of a route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NextHop {
    /// `via`.
    pub via: Option<IpAddr>,
    /// `dev`.
    pub dev: Option<String>,
    /// `weight`: its share, 1 to 256.
    pub weight: u16,
    /// `onlink`.
    pub onlink: bool,
}

/// One virtual rule; what is not written stays out of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualRule {
    /// Where it stands.
    pub place: Place,
    /// From the addresses, or `inet6`.
    pub family: Family,
    /// `not`: for what the rest does not fit.
    pub inverted: bool,
    /// `from`, with the prefix length.
    pub from: Option<(IpAddr, u8)>,
    /// `to`, with the prefix length.
    pub to: Option<(IpAddr, u8)>,
    /// `iif`.
    pub iif: Option<String>,
    /// `oif`.
    pub oif: Option<String>,
    /// `fwmark` and its mask.
    pub mark: Option<(u32, u32)>,
    /// `tos`.
    pub tos: u8,
    /// `no_track`: the state of its interfaces is no fault of the instance.
    pub no_track: bool,
    /// `ipproto`.
    pub protocol: Option<u8>,
    /// `sport`, first and last.
    pub sport: Option<(u16, u16)>,
    /// `dport`, first and last.
    pub dport: Option<(u16, u16)>,
    /// `uidrange`, first and last.
    pub uids: Option<(u32, u32)>,
    /// `priority`, `preference`; the whole file's check fills in those that are not written.
    pub priority: Option<u32>,
    /// `suppress_prefixlength`.
    pub suppress: Option<u32>,
    /// `suppress_ifgroup`.
    pub suppress_group: Option<u32>,
    /// `tun_id`.
    pub tunnel: Option<u32>,
    /// What it does: looks into a table, or refuses.
    pub action: RuleAction,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// `table N`.
    Table(u32),
    /// `goto N`: on with the rule of this priority.
    Goto(u32),
    /// On with the next rule.
    Nop,
    /// Silently dropped.
    Blackhole,
    /// Answered with "unreachable".
    Unreachable,
    /// Answered with "prohibited".
    Prohibit,
}

/// Kind of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteKind {
    /// An ordinary route.
    #[default]
    Unicast,
    /// Silently dropped.
    Blackhole,
    /// Answered with "unreachable".
    Unreachable,
    /// Answered with "prohibited".
    Prohibit,
}
