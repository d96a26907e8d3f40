//! What `global_defs` says.

use super::{Announce, Command, GarpGroup, NotifyFifo, PairChannel, ScriptUser, Version};
use std::time::Duration;

/// `global_defs` with keepalived's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// `router_id`; the host name if not given.
    pub router_id: Option<String>,
    /// `vrrp_version`: for instances that name none.
    pub version: Version,
    /// `script_user`.
    pub script_user: Option<ScriptUser>,
    /// `enable_script_security`: refuse scripts that others than root can change.
    pub script_security: bool,
    /// Announcement defaults (`vrrp_garp_*`, `vrrp_min_garp`).
    pub announce: Announce,
    /// `garp_group` blocks.
    pub garp_groups: Vec<GarpGroup>,
    /// `vrrp_skip_check_adv_addr`.
    pub skip_check_adv_addr: bool,
    /// `vrrp_check_unicast_src`; here the sender is checked unless `false`.
    pub check_unicast_src: Option<bool>,
    /// `vrrp_lower_prio_no_advert`.
    pub lower_prio_no_advert: bool,
    /// `vrrp_higher_prio_send_advert`; on by default here.
    pub higher_prio_send_advert: bool,
    /// `vrrp_strict`.
    pub strict: bool,
    /// `vrrp_mcast_group4`.
    pub mcast_group4: std::net::Ipv4Addr,
    /// `vrrp_mcast_group6`.
    pub mcast_group6: std::net::Ipv6Addr,
    /// `notify_fifo` and `vrrp_notify_fifo`: both get every line.
    pub notify_fifos: Vec<NotifyFifo>,
    /// `vrrp_down_timer_adverts`: for instances that write none.
    pub down_timer_adverts: u8,
    /// `vrrp_startup_delay`: from the daemon's start to the instances'.
    pub startup_delay: Duration,
    /// `vrrp_notify_priority_changes`: for instances that do not say.
    pub notify_priority_changes: bool,
    /// `startup_script`.
    pub startup_script: Option<Command>,
    /// `startup_script_timeout`.
    pub startup_timeout: Duration,
    /// `shutdown_script`.
    pub shutdown_script: Option<Command>,
    /// `shutdown_script_timeout`.
    pub shutdown_timeout: Duration,
    /// `default_interface`: of static addresses and routes that name none.
    pub default_interface: Option<String>,
    /// `vmac_prefix`: how names of virtual interfaces begin; `vrrp` if not given.
    pub vmac_prefix: Option<String>,
    /// `fifo_write_vrrp_states_on_reload`: the fifos hear all states again.
    pub states_on_reload: bool,
    /// `vrrp_rt_priority` / `vrrp_no_swap`: real-time priority, if asked for.
    pub rt_priority: Option<u8>,
    /// `vrrp_priority`: nice value of the router thread, -20 (first) to 19; default -20.
    pub nice: i8,
    /// `address_lease` (Evenkeel's): addresses end by themselves when not renewed.
    pub address_lease: bool,
    /// `pair_channel` (Evenkeel's).
    pub pair_channel: PairChannel,
    /// `status_page ADDR:PORT | off` (Evenkeel's); default 127.0.0.1:8110.
    pub status_page: Option<std::net::SocketAddr>,
}

impl Default for Global {
    fn default() -> Global {
        Global {
            router_id: None,
            version: Version::V2,
            script_user: None,
            script_security: false,
            announce: Announce::default(),
            garp_groups: Vec::new(),
            skip_check_adv_addr: false,
            check_unicast_src: None,
            lower_prio_no_advert: false,
            higher_prio_send_advert: true,
            strict: false,
            mcast_group4: std::net::Ipv4Addr::new(224, 0, 0, 18),
            mcast_group6: std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            notify_fifos: Vec::new(),
            down_timer_adverts: 3,
            startup_delay: Duration::ZERO,
            notify_priority_changes: false,
            startup_script: None,
            startup_timeout: Duration::from_secs(10),
            shutdown_script: None,
            shutdown_timeout: Duration::from_secs(10),
            default_interface: None,
            vmac_prefix: None,
            states_on_reload: false,
            rt_priority: None,
            nice: -20,
            address_lease: true,
            pair_channel: PairChannel::default(),
            status_page: Some(std::net::SocketAddr::from(([127, 0, 0, 1], 8110))),
        }
    }
}
