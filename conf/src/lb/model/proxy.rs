//! `listen`, `frontend` and `backend` sections with their defaults applied.

use super::{
    Acl, Bind, DrainSessions, Expr, HashFunction, HealthCheck, Http, Logging, Place, Rebalance,
    Server, SourceAddress, Stats, TcpRule, UseBackend, UseServer,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A proxy section.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// The keyword that it was written with.
    pub kind: ProxyKind,
    /// `id`, or the number that it got: the first one is 2.
    pub id: u32,
    /// `id` stands in the file.
    pub id_forced: bool,
    /// The section's header line.
    pub place: Place,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`.
    pub disabled: bool,
    /// `description`.
    pub description: Option<String>,
    /// ACLs; conditions refer to them by index.
    pub acls: Vec<Acl>,
    /// Logging.
    pub logging: Logging,
    /// What `mode http` needs.
    pub http: Http,
    /// `stats ...`.
    pub stats: Option<Stats>,
    /// Socket options towards clients and servers.
    pub tcp: TcpOptions,
    /// The side of the clients; a `backend` has none.
    pub front: Option<Front>,
    /// The side of the servers; a `frontend` has none.
    pub back: Option<Back>,
}

/// The keyword that started a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ProxyKind {
    Listen,
    Frontend,
    Backend,
}

impl ProxyKind {
    /// The keyword.
    pub fn word(self) -> &'static str {
        match self {
            ProxyKind::Listen => "listen",
            ProxyKind::Frontend => "frontend",
            ProxyKind::Backend => "backend",
        }
    }
}

/// `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mode {
    #[default]
    Tcp,
    Http,
}

impl Mode {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        }
    }
}

/// Socket options of a proxy's connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpOptions {
    /// `option tcpka` or `option clitcpka`: keep-alives towards clients.
    pub client_keepalive: bool,
    /// `clitcpka-cnt`.
    pub client_keepalive_count: Option<u32>,
    /// `clitcpka-idle`.
    pub client_keepalive_idle: Option<Duration>,
    /// `clitcpka-intvl`.
    pub client_keepalive_interval: Option<Duration>,
    /// `option tcpka` or `option srvtcpka`: towards servers.
    pub server_keepalive: bool,
    /// `srvtcpka-cnt`.
    pub server_keepalive_count: Option<u32>,
    /// `srvtcpka-idle`.
    pub server_keepalive_idle: Option<Duration>,
    /// `srvtcpka-intvl`.
    pub server_keepalive_interval: Option<Duration>,
    /// `option splice-auto`.
    pub splice_auto: bool,
    /// `option splice-request`.
    pub splice_request: bool,
    /// `option splice-response`.
    pub splice_response: bool,
    /// `no option splice-auto` was said: splicing is not even tried where it would pay.
    pub splice_forbidden: bool,
    /// `option independent-streams`.
    pub independent_streams: bool,
    /// `option nolinger`.
    pub nolinger: bool,
    /// `option contstats`.
    pub contstats: bool,
    /// `option socket-stats`.
    pub socket_stats: bool,
}

/// The side of the clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Front {
    /// Listening addresses.
    pub binds: Vec<Bind>,
    /// `maxconn`; the process's when absent.
    pub maxconn: Option<u32>,
    /// `backlog`.
    pub backlog: Option<u32>,
    /// `rate-limit sessions`, a second.
    pub rate_limit_sessions: Option<u32>,
    /// `timeout client` and others.
    pub timeouts: FrontTimeouts,
    /// `tcp-request connection`: accept, reject, expect-proxy, silent-drop, set-src.., set-var.
    pub connection_rules: Vec<TcpRule>,
    /// `tcp-request session`.
    pub session_rules: Vec<TcpRule>,
    /// `tcp-request content` (in a `listen`, those of [`Back`] are empty and all stand here).
    pub content_rules: Vec<TcpRule>,
    /// `tcp-request inspect-delay`.
    pub inspect_delay: Option<Duration>,
    /// `use_backend` in order.
    pub use_backend: Vec<UseBackend>,
    /// `default_backend`; in a `listen` without one: its own servers.
    pub default_backend: Option<String>,
    /// Number of capture slots of the rules.
    pub captures: usize,
}

/// Timeouts towards clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrontTimeouts {
    /// `timeout client`.
    pub client: Option<Duration>,
    /// `timeout client-fin`.
    pub client_fin: Option<Duration>,
    /// `timeout http-request`.
    pub http_request: Option<Duration>,
    /// `timeout http-keep-alive`.
    pub http_keep_alive: Option<Duration>,
}

/// The side of the servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Back {
    /// Servers in order.
    pub servers: Vec<Arc<Server>>,
    /// `dispatch` or `option transparent` of a section without servers: where
    /// sessions go.
    pub direct: Option<Arc<Server>>,
    /// `balance`.
    pub balance: Balance,
    /// `hash-type`.
    pub hash: HashType,
    /// `hash-balance-factor`: percent above average that a server may carry; 0: no bound.
    pub hash_balance_factor: u32,
    /// `fullconn`; a tenth of the frontends' maxconn that lead here when absent (already computed).
    pub fullconn: u32,
    /// `fullconn` stands in the file.
    pub fullconn_set: bool,
    /// `retries`, 3 by default.
    pub retries: u32,
    /// `option redispatch [n]`: 0 off; n > 0: at every n-th retry; n < 0: at the |n|-th from the last.
    pub redispatch: i32,
    /// `timeout connect` and others.
    pub timeouts: BackTimeouts,
    /// `option allbackups`.
    pub allbackups: bool,
    /// `option abortonclose`.
    pub abortonclose: bool,
    /// `option persist`.
    pub persist: bool,
    /// `persist rdp-cookie`: the cookie's name.
    pub persist_rdp_cookie: Option<String>,
    /// `source` for all servers without one.
    pub source: Option<SourceAddress>,
    /// `tcp-request content` of a `backend`.
    pub content_rules: Vec<TcpRule>,
    /// `tcp-request inspect-delay` of a `backend`.
    pub inspect_delay: Option<Duration>,
    /// `tcp-response content`.
    pub response_rules: Vec<TcpRule>,
    /// `tcp-response inspect-delay`.
    pub response_inspect_delay: Option<Duration>,
    /// `use-server` in order.
    pub use_server: Vec<UseServer>,
    /// Health checks.
    pub check: HealthCheck,
    /// `http-check disable-on-404`.
    pub disable_on_404: bool,
    /// `load-server-state-from-file`.
    pub state_source: StateSource,
    /// `server-state-file-name`; the backend's name when absent.
    pub state_file_name: Option<PathBuf>,
    /// The file that server states are taken from at the start (already computed).
    pub state_file: Option<PathBuf>,
    /// `rebalance`.
    pub rebalance: Option<Rebalance>,
    /// `drain-sessions`.
    pub drain_sessions: Option<DrainSessions>,
}

impl Back {
    /// The algorithm follows weights that change while it runs: of a server that starts slowly, or
    /// by an operator. The others deal out places that were counted beforehand.
    pub fn follows_weights(&self) -> bool {
        match self.balance {
            Balance::StaticRr => false,
            Balance::Source
            | Balance::Hash(_)
            | Balance::Uri(_)
            | Balance::UrlParam(_)
            | Balance::Header(..)
            | Balance::RdpCookie(_) => self.hash.consistent,
            Balance::RoundRobin | Balance::LeastConn | Balance::First | Balance::Random(_) => true,
        }
    }
}

/// Timeouts towards servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackTimeouts {
    /// `timeout connect`.
    pub connect: Option<Duration>,
    /// `timeout server`.
    pub server: Option<Duration>,
    /// `timeout server-fin`.
    pub server_fin: Option<Duration>,
    /// `timeout tunnel`.
    pub tunnel: Option<Duration>,
    /// `timeout queue`; `timeout connect` when absent.
    pub queue: Option<Duration>,
    /// `timeout tarpit`.
    pub tarpit: Option<Duration>,
}

/// `load-server-state-from-file`: where server states are taken from at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateSource {
    /// `none` (the default).
    #[default]
    None,
    /// `global`: from `server-state-file`.
    Global,
    /// `local`: from the backend's own file in `server-state-base`.
    Local,
}

/// `balance`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Balance {
    /// `roundrobin` (the default): smooth, weighted.
    #[default]
    RoundRobin,
    /// `static-rr`.
    StaticRr,
    /// `leastconn`.
    LeastConn,
    /// `first`.
    First,
    /// `source`.
    Source,
    /// `random(draws)`, 2 by default.
    Random(u32),
    /// `hash <expr>`.
    Hash(Box<Expr>),
    /// `uri [whole] [len n] [depth n] [path-only]` (HTTP).
    Uri(BalanceUri),
    /// `url_param <name>` (HTTP).
    UrlParam(String),
    /// `hdr(<name>) [use_domain_only]` (HTTP).
    Header(String, bool),
    /// `rdp-cookie(<name>)`.
    RdpCookie(String),
}

/// Options of `balance uri`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BalanceUri {
    /// `whole`: with the query.
    pub whole: bool,
    /// `len`, 0: no bound.
    pub len: u32,
    /// `depth`, 0: no bound.
    pub depth: u32,
    /// `path-only`: without scheme and host, where the request names them.
    pub path_only: bool,
}

/// `hash-type <method> [<function> [<modifier>]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashType {
    /// `consistent` rather than `map-based`.
    pub consistent: bool,
    /// The function.
    pub function: HashFunction,
    /// `avalanche`.
    pub avalanche: bool,
}
