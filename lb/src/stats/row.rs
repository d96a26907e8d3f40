//! One row of the statistics: a frontend, a listener, a server or a backend at one moment.
//!
//! Rows hold plain values so that every output (page, CSV, JSON, typed, Prometheus) is a function
//! of them and is tested without a running process. How rows are read from the running process is
//! [`super::read`].

use crate::counters::Spread;

/// What a row is about; the number is the `type` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Frontend = 0,
    Backend = 1,
    Server = 2,
    Listener = 3,
}

impl Kind {
    /// The letter that starts a line of the typed output.
    pub fn letter(self) -> char {
        match self {
            Kind::Frontend => 'F',
            Kind::Backend => 'B',
            Kind::Server => 'S',
            Kind::Listener => 'L',
        }
    }

    /// The object type of the JSON output.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Frontend => "Frontend",
            Kind::Backend => "Backend",
            Kind::Server => "Server",
            Kind::Listener => "Listener",
        }
    }

    /// The bit that selects rows of this kind in `show stat <iid> <type> <sid>`.
    pub fn bit(self) -> u32 {
        match self {
            Kind::Frontend => 1,
            Kind::Backend => 2,
            Kind::Server => 4,
            Kind::Listener => 8,
        }
    }
}

/// A level, its highest since the counters were cleared, and its limit where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    pub cur: u32,
    pub max: u32,
    pub limit: Option<u32>,
}

/// Events per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    pub cur: u32,
    pub max: u32,
    pub limit: u32,
}

/// What every row counts.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub sessions: Level,
    pub sessions_total: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub bytes_spliced: u64,
    pub denied_requests: u64,
    pub denied_responses: u64,
    pub failed_rewrites: u64,
    pub internal_errors: u64,
}

/// HTTP counters, present where the proxy's mode is http.
#[derive(Clone, Debug, Default)]
pub struct Http {
    /// Answers by class: 1xx to 5xx, then others.
    pub responses: [u64; 6],
    pub requests_total: u64,
    pub request_rate: Rate,
    pub intercepted: u64,
}

/// What only a frontend or a listener counts.
#[derive(Clone, Debug, Default)]
pub struct Front {
    pub request_errors: u64,
    pub denied_connections: u64,
    pub denied_sessions: u64,
    pub session_rate: Rate,
    pub connection_rate: Rate,
    pub connections_total: u64,
}

/// Average and maximum of one phase's duration, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub average_ms: u32,
    pub max_ms: u32,
}

/// What a backend and a server count.
#[derive(Clone, Debug, Default)]
pub struct Back {
    pub queue: Level,
    pub session_rate: Rate,
    pub connect_errors: u64,
    pub response_errors: u64,
    pub retries: u64,
    pub redispatches: u64,
    pub client_aborts: u64,
    pub server_aborts: u64,
    /// Effective weight, then the operator's.
    pub weight: u32,
    pub user_weight: u32,
    /// Usable active and backup servers of a backend; of a server, which of both it is.
    pub active: u32,
    pub backup: u32,
    pub times_down: Option<u64>,
    pub last_change_s: u32,
    pub downtime_s: Option<u32>,
    pub chosen_total: u64,
    /// Seconds since the last session, -1 before the first.
    pub last_session_s: i32,
    pub connections_opened: u64,
    pub connections_reused: u64,
    pub queue_time: Timing,
    pub connect_time: Timing,
    pub response_time: Timing,
    pub total_time: Timing,
    pub connect_spread: Spread,
    pub total_spread: Spread,
    pub cookie: Option<String>,
}

/// The last health or agent check of a server.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// `L4OK`, with `* ` in front while a check runs.
    pub status: String,
    /// The status in words.
    pub description: String,
    pub code: Option<u32>,
    pub duration_ms: Option<u64>,
    /// What the check saw, as the broker's greeting or an error's text.
    pub output: String,
    pub rise: u32,
    pub fall: u32,
    pub health: u32,
}

/// A server's state as the page colours it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    #[default]
    NoCheck,
    Up,
    GoingDown,
    Down,
    GoingUp,
    /// Health says to stop balancing to it.
    Nolb,
    /// The operator drains it.
    Draining,
    Maintenance,
}

/// What only a server has.
#[derive(Clone, Debug, Default)]
pub struct Server {
    pub address: String,
    pub is_backup: bool,
    pub colour: Colour,
    pub check: Option<Check>,
    pub agent: Option<Check>,
    pub failed_checks: Option<u64>,
    /// Failures seen by watching traffic, where that is configured.
    pub observed_failures: Option<u64>,
    pub throttle_percent: Option<u32>,
    pub tracked: Option<String>,
    pub queue_limit: Option<u32>,
    pub idle_connections: u32,
    pub idle_limit: Option<u32>,
    pub used_connections: u32,
    /// Most connections used at once of late: how many will be needed.
    pub needed_connections: u32,
    /// What the file says where the running value differs, as `weight 10`.
    pub differs: Vec<String>,
}

/// What only a backend has.
#[derive(Clone, Debug, Default)]
pub struct Backend {
    pub algorithm: String,
    pub servers_total: u32,
    pub is_up: bool,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: Kind,
    pub proxy: String,
    pub name: String,
    pub proxy_id: u32,
    /// The server's or listener's number; 0 for a frontend or backend.
    pub id: u32,
    pub mode: &'static str,
    pub status: String,
    pub traffic: Traffic,
    pub http: Option<Http>,
    pub front: Option<Front>,
    pub back: Option<Back>,
    pub server: Option<Server>,
    pub backend: Option<Backend>,
    /// A listener's address.
    pub listen_address: Option<String>,
}

impl Row {
    /// An empty row of a kind.
    pub fn new(kind: Kind, proxy: &str, name: &str) -> Self {
        Self {
            kind,
            proxy: proxy.to_owned(),
            name: name.to_owned(),
            proxy_id: 0,
            id: 0,
            mode: "tcp",
            status: String::new(),
            traffic: Traffic::default(),
            http: None,
            front: None,
            back: None,
            server: None,
            backend: None,
            listen_address: None,
        }
    }

    /// Whether a server row is hidden where only usable servers are asked for.
    pub fn is_down(&self) -> bool {
        self.server.as_ref().is_some_and(|server| {
            matches!(
                server.colour,
                Colour::Down | Colour::GoingUp | Colour::Maintenance
            )
        })
    }

    /// Whether a server row is in maintenance.
    pub fn is_maintenance(&self) -> bool {
        self.server
            .as_ref()
            .is_some_and(|server| server.colour == Colour::Maintenance)
    }
}
