//! Why a router changed its state, and what it saw that should not be: the
//! words of logs, `explain` and the status page.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Why a router changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The daemon started.
    Startup,
    /// Priority 255: the addresses are this router's own.
    Owner,
    /// No advert for the whole Master_Down_Interval.
    Silence {
        /// Who was followed before, if anybody.
        master: Option<IpAddr>,
        /// The Master_Down_Interval that passed.
        waited: Duration,
    },
    /// A worse router is master, and this one may preempt it.
    Better {
        /// The master.
        than: IpAddr,
        /// Its priority.
        priority: u8,
        /// The own priority.
        own: u8,
    },
    /// The other router said priority 0.
    Resigned {
        /// Who said so.
        by: IpAddr,
    },
    /// A router with a higher priority was heard.
    Higher {
        /// Who it is.
        by: IpAddr,
        /// Its priority.
        priority: u8,
        /// The own priority at that moment.
        own: u8,
    },
    /// A router with the same priority and a greater address was heard.
    GreaterAddress {
        /// Who it is.
        by: IpAddr,
    },
    /// The pair channel and a probe of the address say that the host is dead.
    PeerDead {
        /// Who died.
        peer: IpAddr,
    },
    /// The successor was heard after this router offered to hand over.
    HandedOver {
        /// Who took over.
        to: IpAddr,
        /// Why it was offered.
        why: Box<Cause>,
    },
    /// Nobody took what was offered, so the role stays.
    NoSuccessor {
        /// Why it was offered.
        why: Box<Cause>,
    },
    /// The one that took over is worse than this router.
    WorseSuccessor {
        /// Who it is.
        by: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Something tracked failed with weight 0, or a link is down.
    Fault(String),
    /// Everything tracked is well again.
    Recovered,
    /// A tracked weight moved the priority below a peer's.
    Weight {
        /// Priority before.
        from: u8,
        /// Priority now.
        to: u8,
        /// What failed.
        by: String,
    },
    /// An operator said `demote`.
    Demoted,
    /// An operator said `maintenance`.
    Maintenance,
    /// An operator said `resume`.
    Resumed,
    /// The daemon was told to stop.
    Stop,
    /// The process that watches over this one died.
    GuardianLost,
    /// The process slept so long that another router has taken over.
    WokeLate {
        /// For how long nothing was sent.
        silent: Duration,
    },
    /// A router of the same sync group went first.
    Group {
        /// Name of the member that went first.
        member: String,
    },
    /// The instance is no longer in the file.
    Removed,
}

impl Cause {
    /// Whether it names the router that is active instead.
    pub fn names_successor(&self) -> bool {
        matches!(
            self,
            Cause::Higher { .. } | Cause::GreaterAddress { .. } | Cause::HandedOver { .. }
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Startup => write!(f, "started"),
            Cause::Owner => write!(f, "owns the addresses (priority 255)"),
            Cause::Silence {
                master: Some(m),
                waited,
            } => {
                write!(f, "no advert from {m} for {} ms", waited.as_millis())
            }
            Cause::Silence {
                master: None,
                waited,
            } => {
                write!(f, "no router heard for {} ms", waited.as_millis())
            }
            Cause::Better {
                than,
                priority,
                own,
            } => write!(f, "own priority {own} is above {than}'s {priority}"),
            Cause::Resigned { by } => write!(f, "{by} resigned (priority 0)"),
            Cause::Higher { by, priority, own } => {
                write!(f, "{by} has priority {priority}, own is {own}")
            }
            Cause::GreaterAddress { by } => {
                write!(f, "{by} has the same priority and the greater address")
            }
            Cause::PeerDead { peer } => write!(
                f,
                "{peer} is dead: no heartbeat on any path and no answer to a probe"
            ),
            Cause::HandedOver { to, why } => write!(f, "handed over to {to}: {why}"),
            Cause::NoSuccessor { why } => write!(f, "nobody took over ({why})"),
            Cause::WorseSuccessor { by, priority } => {
                write!(
                    f,
                    "{by} offered to take over with the lower priority {priority}"
                )
            }
            Cause::Fault(what) => write!(f, "fault: {what}"),
            Cause::Recovered => write!(f, "no fault any more"),
            Cause::Weight { from, to, by } => {
                write!(f, "priority fell from {from} to {to}: {by}")
            }
            Cause::Demoted => write!(f, "demoted by the operator"),
            Cause::Maintenance => write!(f, "maintenance by the operator"),
            Cause::Resumed => write!(f, "resumed by the operator"),
            Cause::Stop => write!(f, "told to stop"),
            Cause::GuardianLost => write!(f, "the guardian process died"),
            Cause::WokeLate { silent } => {
                write!(
                    f,
                    "woke up after {} ms without an advert",
                    silent.as_millis()
                )
            }
            Cause::Group { member } => write!(f, "with {member} of its sync group"),
            Cause::Removed => write!(f, "removed from the configuration"),
        }
    }
}

/// Something seen that an operator should know of, though no state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Another router advertises the same addresses while this one is active.
    Rival {
        /// Who it is.
        by: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Another router also claims priority 255.
    SecondOwner {
        /// Who it is.
        by: IpAddr,
    },
    /// The advertised address list differs from the own one.
    OtherAddresses {
        /// Whose list it is.
        by: IpAddr,
    },
    /// The addresses are claimed by a foreign link-layer address.
    ForeignClaim {
        /// The virtual address.
        address: IpAddr,
        /// Who claims it.
        mac: [u8; 6],
    },
    /// The pair channel says that the peer is active too.
    PeerActiveToo {
        /// Who it is.
        peer: IpAddr,
    },
    /// The master's heartbeats arrive and its adverts do not.
    AdvertsMissing {
        /// Who it is.
        by: IpAddr,
    },
    /// Someone else deleted a virtual address.
    AddressDeleted,
}

impl Evidence {
    /// Whether it says that two routers are active: a list that differs does not, nor does an address
    /// that somebody deleted here.
    pub fn is_of_split(&self) -> bool {
        match self {
            Evidence::Rival { .. }
            | Evidence::SecondOwner { .. }
            | Evidence::ForeignClaim { .. }
            | Evidence::PeerActiveToo { .. } => true,
            Evidence::OtherAddresses { .. }
            | Evidence::AdvertsMissing { .. }
            | Evidence::AddressDeleted => false,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Rival { by, priority } => {
                write!(f, "{by} is active too, with priority {priority}")
            }
            Evidence::SecondOwner { by } => write!(f, "{by} claims priority 255 as well"),
            Evidence::OtherAddresses { by } => {
                write!(f, "{by} advertises another address list")
            }
            Evidence::ForeignClaim { address, mac } => {
                let [a, b, c, d, e, g] = mac;
                write!(
                    f,
                    "{address} is claimed by {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"
                )
            }
            Evidence::PeerActiveToo { peer } => {
                write!(f, "the pair channel says that {peer} is active too")
            }
            Evidence::AdvertsMissing { by } => write!(
                f,
                "the adverts of {by} do not arrive or are refused, its heartbeats say that it serves: does a switch or packet filter drop multicast or IP protocol 112?"
            ),
            Evidence::AddressDeleted => write!(f, "a virtual address was deleted by others"),
        }
    }
}
