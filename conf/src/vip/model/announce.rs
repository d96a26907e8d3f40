//! How addresses are announced.

use std::time::Duration;

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
