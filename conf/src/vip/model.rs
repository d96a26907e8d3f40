//! What a keepalived-style file says, typed and checked.

mod address;
mod announce;
mod command;
mod global;
mod track;

pub use address::{
    Broadcast, NextHop, RouteKind, RuleAction, VirtualAddress, VirtualRoute, VirtualRule,
};
pub use announce::{Announce, GarpGroup};
pub use command::{Command, Notify, NotifyFifo, ScriptUser};
pub use global::Global;
pub use track::{
    ParamMatch, Script, Track, TrackedBalancer, TrackedFile, TrackedProcess, Tracks, Weight,
};

use super::statics::{Statics, TrackGroup};
use crate::source::Span;
use std::net::IpAddr;
use std::time::Duration;

/// Priority of a router: 1-254, 255 for the owner of the address (RFC 9568 §5.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u8);

/// Virtual router identifier, 1-255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(pub u8);

/// VRRP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, optional password.
    V2,
    /// RFC 9568: IPv4 and IPv6, centiseconds.
    V3,
}

/// Address family of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A span that does not count when configurations are compared.
#[derive(Clone, Copy, Debug)]
pub struct Place(pub Span);

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `net_namespace`: where the daemon runs, if not where it was started.
    pub net_namespace: Option<String>,
    /// `global_defs`.
    pub global: Global,
    /// `vrrp_script` blocks in file order.
    pub scripts: Vec<Script>,
    /// `vrrp_track_process` blocks.
    pub processes: Vec<TrackedProcess>,
    /// `vrrp_track_file` (and `track_file`) blocks.
    pub files: Vec<TrackedFile>,
    /// `track_lb` blocks (Evenkeel's own).
    pub balancers: Vec<TrackedBalancer>,
    /// `vrrp_instance` blocks.
    pub instances: Vec<Instance>,
    /// `vrrp_sync_group` blocks.
    pub groups: Vec<SyncGroup>,
    /// `static_ipaddress`, `static_routes`, `static_rules`.
    pub statics: Statics,
    /// `track_group` blocks.
    pub track_groups: Vec<TrackGroup>,
}

/// The authenticated channel between two Evenkeel hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairChannel {
    /// `pair_channel off` turns it off.
    pub enabled: bool,
    /// UDP port.
    pub port: u16,
    /// `pair_key`: the secret; derived from the instances' passwords otherwise.
    pub key: Option<String>,
    /// Time between heartbeats.
    pub interval: Duration,
    /// `pair_peer`: further addresses of the peer (a second network).
    pub peers: Vec<IpAddr>,
    /// `pair_tickle`: whether the clients of a dead host are asked whether they are still connected.
    pub tickle: bool,
    /// `pair_witness`: hosts by which two that do not hear each other still do.
    pub witnesses: Vec<std::net::Ipv4Addr>,
}

impl Default for PairChannel {
    fn default() -> PairChannel {
        PairChannel {
            enabled: true,
            port: 8112,
            key: None,
            interval: Duration::from_millis(50),
            peers: Vec::new(),
            tickle: true,
            witnesses: Vec::new(),
        }
    }
}

/// The state an instance starts in (`state`); MASTER only shortens the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialState {
    /// Becomes master without waiting if no better router is heard.
    Master,
    /// Waits its Master_Down_Interval.
    #[default]
    Backup,
}

/// `authentication` of VRRPv2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `auth_type PASS`: 1 to 8 bytes in clear.
    Pass(String),
    /// `auth_type AH`: the key, 1 to 8 bytes, of a header of IPsec around each advert.
    Ah(String),
}

/// A peer of `unicast_peer`.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Where it stands.
    pub place: Place,
    /// `min_ttl`.
    pub min_ttl: Option<u8>,
    /// `max_ttl`.
    pub max_ttl: Option<u8>,
}

/// `use_vmac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmac {
    /// Name of the macvlan interface; `vrrp.VRID` if not given.
    pub name: Option<String>,
    /// `vmac_xmit_base`: adverts leave by the base interface.
    pub xmit_base: bool,
}

/// `vrrp_instance`.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `state`.
    pub state: InitialState,
    /// `interface`.
    pub interface: String,
    /// Address family, from the addresses or `native_ipv6`.
    pub family: Family,
    /// `version`, or the global one, or 3 where IPv6 needs it.
    pub version: Version,
    /// `virtual_router_id`.
    pub vrid: Vrid,
    /// `priority`; default 100.
    pub priority: Priority,
    /// `advert_int`; default 1 s; whole seconds 1-255 in v2, 0.01-40.95 s in v3.
    pub advert_int: Duration,
    /// `down_timer_adverts`; default 3.
    pub down_timer_adverts: u8,
    /// `nopreempt` gives false.
    pub preempt: bool,
    /// `preempt_delay`: after start or return, before taking over; 0-1000 s.
    pub preempt_delay: Duration,
    /// `authentication`.
    pub auth: Option<Auth>,
    /// `mcast_src_ip` / `unicast_src_ip`.
    pub source: Option<IpAddr>,
    /// `track_src_ip`: without `source` on this host the instance is in FAULT.
    pub track_source: bool,
    /// `unicast_peer`; empty = multicast.
    pub peers: Vec<Peer>,
    /// `unicast_fault_no_peer` with no peer: out of the election rather than multicast.
    pub lacks_peer: bool,
    /// `unicast_ttl`.
    pub unicast_ttl: Option<u8>,
    /// `check_unicast_src` resolved with the global one; default true.
    pub check_unicast_src: bool,
    /// `mcast_dst_ip`, or the global group of the family.
    pub group: IpAddr,
    /// `virtual_ipaddress`: in the adverts.
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`: set but not in the adverts.
    pub excluded: Vec<VirtualAddress>,
    /// `virtual_routes`.
    pub routes: Vec<VirtualRoute>,
    /// `virtual_rules`.
    pub rules: Vec<VirtualRule>,
    /// `promote_secondaries`.
    pub promote_secondaries: bool,
    /// `use_vmac`.
    pub vmac: Option<Vmac>,
    /// `dont_track_primary`: the interface's own state does not count.
    pub dont_track_primary: bool,
    /// `track_*`.
    pub tracks: Tracks,
    /// `garp_*` resolved with the global ones.
    pub announce: Announce,
    /// `skip_check_adv_addr` resolved with the global one.
    pub skip_check_adv_addr: bool,
    /// `lower_prio_no_advert` resolved.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert` resolved.
    pub higher_prio_send_advert: bool,
    /// `v3_checksum_as_v2`: no pseudo-header in IPv4 v3 checksums sent (RFC 9568);
    /// default false = with pseudo-header, as keepalived.
    pub v3_checksum_as_v2: bool,
    /// `accept` (true unless `no_accept`).
    pub accept: bool,
    /// `notify*`.
    pub notify: Notify,
    /// `kernel_rx_buf_size` in bytes.
    pub rx_buffer: Option<u32>,
    /// `debug` level.
    pub debug: u8,
}

/// `vrrp_sync_group`.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// Names of its instances.
    pub members: Vec<String>,
    /// `notify*`.
    pub notify: Notify,
    /// `track_*` of the group.
    pub tracks: Tracks,
    /// `global_tracking` / `sync_group_tracking_weight`: members keep weighted priorities.
    pub tracking_weight: bool,
}
