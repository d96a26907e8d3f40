//! `server` lines with `default-server` already applied.

use super::{CheckSettings, Host, Place, SourceAddress};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One server of a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// `id`, or the number that it got.
    pub id: u32,
    /// `id` stands in the file.
    pub id_forced: bool,
    /// Where it is.
    pub address: ServerAddress,
    /// Where that is said.
    pub address_place: Place,
    /// `init-addr`: how the name becomes an address at start, in order.
    pub init_addr: Vec<InitAddr>,
    /// `weight`, 0..=256.
    pub weight: u32,
    /// `backup`.
    pub backup: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// Added by a command and without `enabled`: starts in maintenance, as if an operator had
    /// ordered it.
    pub added: bool,
    /// `maxconn`; `None`: no limit.
    pub maxconn: Option<u32>,
    /// `minconn`: with fullconn, the limit follows the load between minconn and maxconn.
    pub minconn: Option<u32>,
    /// `maxqueue`; `None`: no limit.
    pub maxqueue: Option<u32>,
    /// `slowstart`.
    pub slowstart: Option<Duration>,
    /// `track [backend/]server`, checked to exist.
    pub track: Option<ServerRef>,
    /// `source`.
    pub source: Option<SourceAddress>,
    /// `send-proxy`, `send-proxy-v2` and its options.
    pub send_proxy: Option<SendProxy>,
    /// `on-marked-down shutdown-sessions`.
    pub on_marked_down_shutdown: bool,
    /// `on-marked-up shutdown-backup-sessions`.
    pub on_marked_up_shutdown_backup: bool,
    /// `observe`.
    pub observe: Option<Observe>,
    /// `error-limit`, 10 by default.
    pub error_limit: u32,
    /// `on-error`.
    pub on_error: OnError,
    /// Health checks: settings stand here whether or not they are enabled.
    pub check: CheckSettings,
    /// `cookie`: shown on the statistics page.
    pub cookie: Option<String>,
    /// `tcp-ut`.
    pub tcp_user_timeout: Option<Duration>,
    /// `tfo`.
    pub fast_open: bool,
    /// `namespace`.
    pub namespace: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerAddress {
    /// TCP.
    Tcp {
        /// Host as written, or resolved.
        host: Host,
        /// The name as written when it was one; kept for `srv_fqdn`.
        fqdn: Option<String>,
        /// Port.
        port: ServerPort,
    },
    /// A socket in the file system.
    Unix(PathBuf),
    /// A socket of the abstract name space.
    Abstract(String),
}

/// Port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPort {
    /// This one.
    Fixed(u16),
    /// The port that the client connected to, plus this (`+1000`, `-10`, or 0 without a port).
    Mapped(i32),
}

/// A step of `init-addr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitAddr {
    /// The state file's.
    Last,
    /// The resolver of the C library.
    Libc,
    /// Start without an address, in maintenance.
    None,
    /// This one.
    Ip(IpAddr),
}

/// A server of some backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRef {
    /// Backend's name.
    pub backend: String,
    /// Server's name.
    pub server: String,
}

/// `send-proxy` and `send-proxy-v2` with `proxy-v2-options`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendProxy {
    /// Version 2 (binary) rather than 1 (text).
    pub v2: bool,
    /// `crc32c`.
    pub crc32c: bool,
    /// `unique-id`.
    pub unique_id: bool,
    /// `ssl`, `cert-cn` ...: sent with what is known (no TLS here: client not over TLS).
    pub ssl: bool,
    /// `authority`: the SNI that the client sent, if it was inspected.
    pub authority: bool,
}

/// `observe`: what counts as an error of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observe {
    /// Failed connections.
    Layer4,
    /// Bad HTTP answers also.
    Layer7,
}

/// `on-error`: what happens at `error-limit` errors in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Check at `fastinter`.
    Fastinter,
    /// Count as one failed check (the default).
    #[default]
    FailCheck,
    /// One more failed check takes it down.
    SuddenDeath,
    /// Down at once.
    MarkDown,
}
