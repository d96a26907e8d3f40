//! What a keepalived-style file says, typed and checked.

mod global;

pub use global::Global;

use super::statics::{Statics, TrackGroup};
use crate::source::Span;
use std::net::IpAddr;
use std::path::PathBuf;
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
    /// Whether `virtual_server` blocks were skipped by `--skip-lvs`.
    pub skipped_lvs: bool,
}

/// A user and group for scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptUser {
    /// User name or number.
    pub user: String,
    /// Group name or number; the user's own if not given.
    pub group: Option<String>,
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

/// When and how often addresses are announced (gratuitous ARP, unsolicited NA).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// `garp_master_delay`: from the election to the second burst; default 5 s.
    pub delay: Duration,
    /// `garp_master_repeat`: packets in a burst; default 5.
    pub repeat: u32,
    /// `garp_master_refresh`: between refreshes while master; `None` = not
    /// written (Evenkeel then refreshes one packet a second), zero = off.
    pub refresh: Option<Duration>,
    /// `garp_master_refresh_repeat`: packets in a refresh; default 1.
    pub refresh_repeat: u32,
    /// `garp_lower_prio_repeat`: packets after a lower-priority advert.
    pub lower_prio_repeat: Option<u32>,
    /// `garp_lower_prio_delay`: from such an answer to a second one; `delay` if not given.
    pub lower_prio_delay: Option<Duration>,
    /// `vrrp_garp_interval`: between two gratuitous ARPs on one interface.
    pub garp_interval: Duration,
    /// `vrrp_gna_interval`: between two unsolicited NAs on one interface.
    pub gna_interval: Duration,
    /// `vrrp_min_garp`: one packet and no second burst.
    pub minimal: bool,
}

impl Default for Announce {
    fn default() -> Announce {
        Announce {
            delay: Duration::from_secs(5),
            repeat: 5,
            refresh: None,
            refresh_repeat: 1,
            lower_prio_repeat: None,
            lower_prio_delay: None,
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
            minimal: false,
        }
    }
}

/// `garp_group`: interfaces that share a pause between announcements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GarpGroup {
    /// Names.
    pub interfaces: Vec<String>,
    /// Between two gratuitous ARPs; the global one if not given.
    pub garp_interval: Option<Duration>,
    /// Between two unsolicited NAs; the global one if not given.
    pub gna_interval: Option<Duration>,
}

/// A fifo for notifications with the script that reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyFifo {
    /// The keyword that wrote it: `notify_fifo` or `vrrp_notify_fifo`.
    pub keyword: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Path of the fifo; made if missing.
    pub path: PathBuf,
    /// Whose it is when it is made; root's if not given.
    pub owner: Option<ScriptUser>,
    /// Script that is started with the path as its last argument.
    pub script: Option<Command>,
}

/// A command line with the user that runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Where it stands in the file.
    pub place: Place,
    /// The program and its arguments; words as a shell without expansions splits them.
    pub words: Vec<String>,
    /// The line as written, for recognising one-line checks.
    pub line: String,
    /// `user U [G]`, or the global `script_user`.
    pub user: Option<ScriptUser>,
}

/// `vrrp_script`.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `script`.
    pub command: Command,
    /// `interval`; default 1 s.
    pub interval: Duration,
    /// `timeout`; the interval if not given.
    pub timeout: Option<Duration>,
    /// `weight` with `reverse`; 0 means FAULT on failure.
    pub weight: Weight,
    /// `rise`; default 1.
    pub rise: u32,
    /// `fall`; default 1.
    pub fall: u32,
    /// `init_fail`: counts as failed until the first success.
    pub init_fail: bool,
}

/// How a tracked thing moves the priority: -253..253.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Positive: added while good. Negative: subtracted while bad. 0: FAULT while bad.
    pub value: i16,
    /// `reverse`: subtracted while good, added while bad; with 0 FAULT while good.
    pub reverse: bool,
}

/// `vrrp_track_process`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedProcess {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `process`: name of the program, with the parameters that must match.
    pub program: String,
    /// `process` parameters.
    pub parameters: Vec<String>,
    /// `param_match`: how the parameters are compared.
    pub param_match: ParamMatch,
    /// `full_command`: compare the whole command line's program, not its short name.
    pub full_command: bool,
    /// `weight`.
    pub weight: Weight,
    /// `quorum`: processes needed; default 1.
    pub quorum: u32,
    /// `quorum_max`: at most so many.
    pub quorum_max: Option<u32>,
    /// `fork_delay` / `delay`: before growth counts.
    pub fork_delay: Duration,
    /// `terminate_delay` / `delay`: before a loss counts.
    pub terminate_delay: Duration,
}

/// `param_match` of a tracked process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParamMatch {
    /// Parameters are not looked at.
    #[default]
    Any,
    /// Parameters are equal.
    Exact,
    /// The first parameters are equal, more may follow.
    Initial,
    /// The parameters are equal as far as written, the last one by its beginning.
    Partial,
}

/// `vrrp_track_file`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedFile {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `file`.
    pub path: PathBuf,
    /// `weight`: multiplies the number in the file.
    pub weight: Weight,
    /// `init_file VALUE [overwrite]`: what to write when the file is missing.
    pub init: Option<(i64, bool)>,
}

/// `track_lb NAME { socket PATH ... }`: Evenkeel's own balancer.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedBalancer {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `socket`: the balancer's admin socket.
    pub socket: PathBuf,
    /// `backends`: those that must have a usable server; empty = any one backend.
    pub backends: Vec<String>,
    /// `interval` between looks at the servers; default 0.5 s. A closed socket counts at once.
    pub interval: Duration,
    /// `weight` when dead or unfit.
    pub weight: Weight,
}

/// A tracked thing as an instance or group names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Name of the script, process, file, balancer or interface.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// `weight` here, if other than its own.
    pub weight: Option<Weight>,
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
    /// `-nodad` written: duplicate address detection is off in any case.
    pub nodad: bool,
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

/// Scripts that hear of changes, of an instance or a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notify {
    /// `notify`: every change, with arguments TYPE NAME STATE PRIORITY.
    pub any: Option<Command>,
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// `notify_deleted`: a reload that drops the instance says DELETED and not FAULT.
    pub deleted: bool,
    /// The command of `notify_deleted`.
    pub deleted_command: Option<Command>,
    /// `notify_master_rx_lower_pri`.
    pub master_rx_lower: Option<Command>,
    /// `notify_priority_changes`, if written.
    pub priority_changes: Option<bool>,
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
    /// `track_interface`.
    pub track_interfaces: Vec<Track>,
    /// `track_script`.
    pub track_scripts: Vec<Track>,
    /// `track_process`.
    pub track_processes: Vec<Track>,
    /// `track_file`.
    pub track_files: Vec<Track>,
    /// `track_lb` (Evenkeel's).
    pub track_balancers: Vec<Track>,
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
    /// `track_*` of the group, as for an instance.
    pub track_interfaces: Vec<Track>,
    /// `track_script`.
    pub track_scripts: Vec<Track>,
    /// `track_process`.
    pub track_processes: Vec<Track>,
    /// `track_file`.
    pub track_files: Vec<Track>,
    /// `track_lb`.
    pub track_balancers: Vec<Track>,
    /// `global_tracking` / `sync_group_tracking_weight`: members keep weighted priorities.
    pub tracking_weight: bool,
}
