//! What goes into a router and what comes out of it.

use super::super::advert::Heard;
use super::super::cause::{Cause, Evidence};
use conf::vip::model::Version;
use std::net::IpAddr;
use std::time::Duration;

/// What a router is told once; a reload replaces it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// 2 or 3: decides the unit of the skew time.
    pub version: Version,
    /// Priority as configured, before any weight.
    pub priority: u8,
    /// Own advertisement interval.
    pub interval: Duration,
    /// How many missed adverts make a master dead; 3 by RFC.
    pub down_adverts: u32,
    /// Whether a better router takes the role from a worse one.
    pub preempt: bool,
    /// How long a worse master is left alone before.
    pub preempt_delay: Duration,
    /// Own address, for the tie-break.
    pub address: IpAddr,
    /// Announcements in a burst.
    pub burst: u32,
    /// From the election to the second burst.
    pub second_burst: Option<Duration>,
    /// Between refreshes while active.
    pub refresh: Option<Duration>,
    /// Between refreshes once the other host is known to be one of ours: it says a last
    /// advert when it yields, and two that refresh fast would fight for the clients of a
    /// parted network.
    pub refresh_in_pair: Option<Duration>,
    /// Announcements in a refresh.
    pub refresh_burst: u32,
    /// Announcements in answer to a worse router.
    pub lower_burst: u32,
    /// From such an answer to a second one.
    pub lower_second: Option<Duration>,
    /// Whether a worse router's advert is answered with one (RFC 9568 §6.4.3).
    pub answer_lower: bool,
    /// Whether the loser of an election says so with one last advert.
    pub last_advert: bool,
    /// How long the addresses stay after the successor was heard. Zero with a virtual
    /// link-layer address: a late frame from it would pull the switch back to this host.
    pub grace: Duration,
}

impl Settings {
    /// Adverts that bring an announcement after the addresses were contested: until a rival that
    /// heard none of them would stand again, and be answered again.
    pub(super) fn insistence(&self) -> u32 {
        match self.lower_burst {
            0 => 0,
            _ => self.down_adverts + 1,
        }
    }
}

/// What happens to a router.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The daemon is ready.
    Startup,
    /// Leave for good, make-before-break.
    Shutdown(Cause),
    /// Leave for good at once.
    Kill,
    /// Another router of this host goes on with this number: leave for good, and say nothing.
    Replaced,
    /// A deadline may have passed.
    Timeout,
    /// A checked advert.
    Received(Heard),
    /// The tracked things give this priority, or a fault.
    Health(Health),
    /// What made this router worse is over, and may be over for the others, too: a living
    /// master is left alone for so long.
    Settle(Duration),
    /// The operator wants the other host to be active.
    Demote,
    /// The operator wants this host out of the election.
    Maintenance,
    /// The operator takes `demote` and `maintenance` back.
    Resume,
    /// What the pair channel knows about the other host.
    Peer(Option<PeerView>),
    /// The pair channel and a probe say that this host is dead.
    PeerDead(IpAddr),
    /// The pair channel does not hear this host, but a witness does: its router is active.
    Witnessed {
        /// Whose router.
        by: IpAddr,
        /// Its effective priority.
        priority: u8,
    },
    /// This master, whose adverts are missed, says by the pair channel that it is active.
    Serves {
        /// Whose router.
        by: IpAddr,
        /// Its effective priority.
        priority: u8,
    },
    /// Another link-layer address claims a virtual address.
    ForeignClaim {
        /// The virtual address.
        address: IpAddr,
        /// Who claims it.
        mac: [u8; 6],
    },
    /// Somebody deleted a virtual address.
    AddressDeleted,
    /// An interface of the addresses has another link-layer address now.
    Readdressed,
    /// A member of the sync group became active.
    GroupActive(String),
    /// A member of the sync group gave the role up.
    GroupBackup(String),
}

/// What the tracked things say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// In the election with this priority; `because` names the last change.
    Fit {
        /// 1-255.
        priority: u8,
        /// What changed.
        because: String,
    },
    /// Out of the election.
    Fault(String),
}

/// What the pair channel knows about the other host's router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its address on this link.
    pub address: IpAddr,
    /// Its effective priority; 0 when it is out of the election.
    pub priority: u8,
    /// Whether it is active.
    pub active: bool,
    /// Whether it is the only other router of this VRID.
    pub sole: bool,
    /// Whether it is backup, so that its next advert would be an ordinary takeover.
    pub waiting: bool,
}

/// What the daemon must do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send one advert.
    Advertise {
        /// 0 resigns.
        priority: u8,
    },
    /// Send one advert that names [`SHORTEST`](super::SHORTEST) as the interval. A VRRPv3 backup
    /// learns it, and with it a skew time of milliseconds (RFC 9568 §6.4.2).
    Hasten {
        /// The priority that was advertised so far: a lower one would not be learnt from.
        priority: u8,
    },
    /// Put the addresses on the interface and wait for the kernel's word.
    AddAddresses,
    /// End the TCP connections of the addresses, which another host has now: a client that only
    /// waits would not hear of it.
    EndConnections,
    /// Take them away.
    RemoveAddresses,
    /// Gratuitous ARP / unsolicited NA, so many per address.
    Announce {
        /// Packets per address.
        repeat: u32,
    },
    /// The role changed; scripts and logs hear of it.
    Changed {
        /// Before.
        from: Phase,
        /// Now.
        to: Phase,
        /// Why.
        cause: Cause,
    },
    /// Something to report.
    Report(Evidence),
    /// A shutdown is complete.
    Gone,
}

/// The role as the outside sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not started.
    Init,
    /// Waiting.
    Backup,
    /// Active.
    Master,
    /// Out of the election.
    Fault,
    /// Left for good.
    Stop,
}

impl Phase {
    /// The word that notify scripts get.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Init => "INIT",
            Phase::Backup => "BACKUP",
            Phase::Master => "MASTER",
            Phase::Fault => "FAULT",
            Phase::Stop => "STOP",
        }
    }
}
