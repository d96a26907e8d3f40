//! `vrrp_instance`: its keywords and the draft that they fill.

mod table;
mod values;

use super::model::{
    Auth, InitialState, Notify, Peer, Tracks, Version, VirtualAddress, VirtualRoute, VirtualRule,
    Vmac,
};
use super::section::Others;
use crate::keyword::Word;
use crate::source::Span;
use std::net::IpAddr;
use std::time::Duration;

pub use table::TABLE;

/// Accepted without effect, and not there yet.
pub static OTHERS: Others = Others {
    passive: &[
        "smtp_alert",
        "linkbeat_use_polling",
        "lvs_sync_daemon_interface",
        "vmac_addr",
        "garp_extra_if",
        "garp_extra_if_vmac",
        "no_email_faults",
        "old_unicast_checksum",
        "checksum_compatibility",
    ],
    missing: &[
        "use_ipvlan",
        "use_vmac_addr",
        "vrf",
        "track_bfd",
        "no_virtual_ipaddress",
        "auth_hmac",
        "thread_timer_expired",
    ],
};

/// Announcement values that an instance writes itself.
#[derive(Default)]
pub struct AnnounceDraft {
    pub delay: Option<Duration>,
    pub repeat: Option<u32>,
    pub refresh: Option<Duration>,
    pub refresh_repeat: Option<u32>,
    pub lower_prio_repeat: Option<u32>,
    pub lower_prio_delay: Option<Duration>,
}

/// `auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// A password in clear.
    Pass,
    /// A header of IPsec.
    Ah,
}

/// An instance while its keywords are applied; values with the place that set them.
pub struct Draft {
    pub name: Word,
    pub state: Option<(InitialState, Span)>,
    pub interface: Option<Word>,
    pub vrid: Option<(u8, Span)>,
    /// The keyword is there, with whatever value.
    pub vrid_is_written: bool,
    pub priority: Option<(i64, Span)>,
    pub advert: Option<(Duration, Span)>,
    pub down_timer_adverts: Option<u8>,
    pub nopreempt: Option<Span>,
    pub preempt_delay: Option<(Duration, Span)>,
    pub version: Option<(Version, Span)>,
    pub native_ipv6: Option<Span>,
    pub auth_type: Option<(AuthType, Span)>,
    pub auth: Option<(String, Span)>,
    pub source: Option<(IpAddr, Span)>,
    pub track_source: bool,
    pub group: Option<(IpAddr, Span)>,
    pub peers: Vec<Peer>,
    pub unicast_ttl: Option<(u8, Span)>,
    /// Keywords of unicast, wherever they stand.
    pub unicast_words: Vec<Span>,
    pub fault_no_peer: bool,
    pub promote_secondaries: bool,
    pub check_unicast_src: Option<bool>,
    pub addresses: Vec<VirtualAddress>,
    /// The keyword is there, with whatever lines.
    pub addresses_are_written: bool,
    /// It is there and has no lines.
    pub addresses_are_empty: bool,
    pub excluded: Vec<VirtualAddress>,
    pub routes: Vec<VirtualRoute>,
    pub rules: Vec<VirtualRule>,
    pub accept: bool,
    pub vmac: Option<Vmac>,
    pub vmac_xmit_base: Option<Span>,
    pub strict: Option<(bool, Span)>,
    pub dont_track_primary: bool,
    pub tracks: Tracks,
    pub announce: AnnounceDraft,
    pub skip_check_adv_addr: Option<bool>,
    pub lower_prio_no_advert: Option<bool>,
    pub higher_prio_send_advert: Option<bool>,
    pub v3_checksum_as_v2: bool,
    pub notify: Notify,
    pub rx_buffer: Option<u32>,
    pub debug: u8,
}

impl Draft {
    /// An instance of which only the name is known.
    pub fn new(name: &Word) -> Draft {
        Draft {
            name: name.clone(),
            state: None,
            interface: None,
            vrid: None,
            vrid_is_written: false,
            priority: None,
            advert: None,
            down_timer_adverts: None,
            nopreempt: None,
            preempt_delay: None,
            version: None,
            native_ipv6: None,
            auth_type: None,
            auth: None,
            source: None,
            track_source: false,
            group: None,
            peers: Vec::new(),
            unicast_ttl: None,
            unicast_words: Vec::new(),
            fault_no_peer: false,
            promote_secondaries: false,
            check_unicast_src: None,
            addresses: Vec::new(),
            addresses_are_written: false,
            addresses_are_empty: false,
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            accept: true,
            vmac: None,
            vmac_xmit_base: None,
            strict: None,
            dont_track_primary: false,
            tracks: Tracks::default(),
            announce: AnnounceDraft::default(),
            skip_check_adv_addr: None,
            lower_prio_no_advert: None,
            higher_prio_send_advert: None,
            v3_checksum_as_v2: false,
            notify: Notify::default(),
            rx_buffer: None,
            debug: 0,
        }
    }

    /// The password, if a kind of authentication was asked for, too.
    pub fn password(&self) -> Option<Auth> {
        let (password, _) = self.auth.clone()?;
        let (kind, _) = self.auth_type?;
        Some(match kind {
            AuthType::Ah => Auth::Ah(password),
            AuthType::Pass => Auth::Pass(password),
        })
    }
}
