//! `bind` lines.

use super::{Account, Family, Host, Place};
use std::path::PathBuf;
use std::time::Duration;

/// One address of a `bind` line. A line with several addresses, separated by
/// commas, gives one `Bind` each; a port range stays one `Bind`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    /// Where to listen.
    pub address: BindAddress,
    /// `name`.
    pub name: Option<String>,
    /// `id`.
    pub id: Option<u32>,
    /// `id`, or one that was free; of a port range the first port's, the others follow.
    pub number: u32,
    /// `interface`.
    pub interface: Option<String>,
    /// `namespace`.
    pub namespace: Option<String>,
    /// `backlog`.
    pub backlog: Option<u32>,
    /// `maxconn`: connections through this address.
    pub maxconn: Option<u32>,
    /// `accept-proxy`.
    pub accept_proxy: bool,
    /// `defer-accept`.
    pub defer_accept: bool,
    /// `transparent`.
    pub transparent: bool,
    /// `v4v6` and `v6only`; the system's default when absent.
    pub v6only: Option<bool>,
    /// `mode`, `user`/`uid`, `group`/`gid` of a unix socket.
    pub unix: UnixAccess,
    /// `nice`: -1024..=1024.
    pub nice: i32,
    /// `mss`; negative: that much less than the advertised one.
    pub mss: Option<i32>,
    /// `tcp-ut`.
    pub tcp_user_timeout: Option<Duration>,
    /// `tfo`.
    pub fast_open: bool,
    /// `severity-output` of a CLI socket.
    pub severity_output: SeverityOutput,
    /// Where it stands.
    pub place: Place,
}

impl Bind {
    /// A bind of this address with every option at its default.
    pub fn new(address: BindAddress, place: Place) -> Bind {
        Bind {
            address,
            name: None,
            id: None,
            number: 0,
            interface: None,
            namespace: None,
            backlog: None,
            maxconn: None,
            accept_proxy: false,
            defer_accept: false,
            transparent: false,
            v6only: None,
            unix: UnixAccess::default(),
            nice: 0,
            mss: None,
            tcp_user_timeout: None,
            fast_open: false,
            severity_output: SeverityOutput::None,
            place,
        }
    }
}

/// `severity-output` of a CLI socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeverityOutput {
    /// No prefix.
    #[default]
    None,
    /// `[4]:`.
    Number,
    /// `[warning]:`.
    String,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq)]
pub enum BindAddress {
    /// A TCP port or range of ports.
    Tcp {
        /// The address; `*` and nothing are 0.0.0.0.
        host: Host,
        /// First port.
        first: u16,
        /// Last port, equal to `first` without a range.
        last: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
    /// A socket of the abstract name space.
    Abstract(String),
    /// An inherited, listening descriptor.
    Fd(i32),
}

impl BindAddress {
    /// How many addresses it stands for: the ports of a range.
    pub fn count(&self) -> u32 {
        match self {
            BindAddress::Tcp { first, last, .. } => u32::from(last.saturating_sub(*first)) + 1,
            BindAddress::Unix(_) | BindAddress::Abstract(_) | BindAddress::Fd(_) => 1,
        }
    }
}

/// Access to a unix socket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnixAccess {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub user: Option<Account>,
    /// Group.
    pub group: Option<Account>,
}

/// `source <addr>[:port[-port]] [usesrc ...] [interface ...]` of a server or backend.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceAddress {
    /// The local address; `None` lets the system choose (`0.0.0.0`, `*`).
    pub host: Host,
    /// Ports to use in turn; `None`: the system's choice.
    pub ports: Option<(u16, u16)>,
    /// `usesrc`.
    pub usesrc: Option<UseSource>,
    /// `interface`.
    pub interface: Option<String>,
}

/// `usesrc`: whose address the server sees (needs TPROXY).
#[derive(Clone, Debug, PartialEq)]
pub enum UseSource {
    /// `client`: address and port.
    Client,
    /// `clientip`: address only.
    ClientIp,
    /// A fixed address.
    Address(Host, u16),
}

/// Which family an address belongs to, if it is one of IP.
pub fn family(host: &Host) -> Option<Family> {
    match host {
        Host::Ip(std::net::IpAddr::V4(_)) => Some(Family::V4),
        Host::Ip(std::net::IpAddr::V6(_)) => Some(Family::V6),
        Host::Name(_, family) => *family,
    }
}
