//! What a process knows and a later one may want: counters, states set at run
//! time, weights, last checks, events.
//!
//! Kept by names of proxies and servers, each changeable value beside what the
//! configuration said: a value of the new configuration that differs from
//! that wins. Written for a successor (`takeover`) and for `--state-dir`
//! ([`file`]); [`table`] reads HAProxy's server state file instead.

pub mod file;
pub mod keeping;
mod load;
mod restore;
pub mod table;
mod take;

pub use load::SavedLoad;
pub use restore::restore;
pub use take::take;

use crate::counters::Totals;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Sums of the process.
    pub process: Totals,
    /// Proxies with a frontend side.
    pub frontends: Vec<SavedFront>,
    /// Proxies with a backend side.
    pub backends: Vec<SavedBack>,
    /// The latest events, oldest first.
    pub events: Vec<SavedEvent>,
    /// The figures behind the charts; only in the first report to a successor,
    /// in a file of their own otherwise.
    pub history: Vec<SavedHistory>,
}

impl Saved {
    /// Leaves out what a successor took over once and goes on with by itself.
    pub fn forget_what_stays(&mut self) {
        self.events.clear();
        self.history.clear();
        for back in &mut self.backends {
            back.load.times = Default::default();
            for server in &mut back.servers {
                server.load.times = Default::default();
            }
        }
    }
}

/// A frontend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedFront {
    /// Name of the proxy.
    pub name: String,
    /// Counters.
    pub totals: Totals,
    /// Connections at that moment.
    pub connections: u32,
    /// The most at once.
    pub connections_max: u32,
    /// The most sessions, connections and requests in a second.
    pub rates_max: [u32; 3],
    /// `maxconn` as configured and at work.
    pub maxconn: Tuned,
    /// `rate-limit sessions` as configured and at work.
    pub max_session_rate: Tuned,
    /// `disable frontend`.
    pub paused: bool,
    /// Its addresses.
    pub listeners: Vec<SavedListener>,
}

/// One address of a frontend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedListener {
    /// As messages write it.
    pub address: String,
    /// Counters.
    pub totals: Totals,
    /// The most connections at once.
    pub connections_max: u32,
}

/// A backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedBack {
    /// Name of the proxy.
    pub name: String,
    /// What it has counted.
    #[serde(flatten)]
    pub load: SavedLoad,
    /// Milliseconds since the last change between up and down.
    pub changed_ago_ms: u64,
    /// Time down before that.
    pub down_ms: u64,
    /// Its servers.
    pub servers: Vec<SavedServer>,
}

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedServer {
    /// Its name.
    pub name: String,
    /// What it has counted.
    #[serde(flatten)]
    pub load: SavedLoad,
    /// Operational state, by the number of `show servers state`.
    pub operation: u8,
    /// Administrative state, by the bits of `show servers state`.
    pub admin: u8,
    /// Weight as configured and at work.
    pub weight: Tuned,
    /// Address as configured and at work.
    pub address: TunedText,
    /// `maxconn` as configured and at work.
    pub maxconn: Tuned,
    /// Milliseconds since the last change between up and down.
    pub changed_ago_ms: u64,
    /// Time down before that.
    pub down_ms: u64,
    /// Its health check.
    pub health: SavedCheck,
    /// Its agent check.
    pub agent: SavedCheck,
    /// The file said `disabled`.
    pub disabled: bool,
    /// Where its checks went.
    pub targets: SavedTargets,
}

/// What operators said at run time about names and about where checks go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedTargets {
    /// What the configuration said about all of this.
    pub configured: String,
    /// The host name behind the address.
    pub name: Option<String>,
    /// Address of health checks.
    pub check_ip: Option<IpAddr>,
    /// Port of health checks.
    pub check_port: Option<u16>,
    /// Address of agent checks.
    pub agent_ip: Option<IpAddr>,
    /// Port of agent checks.
    pub agent_port: Option<u16>,
    /// What the agent is told first.
    pub agent_send: Option<String>,
}

/// A check's counter and last result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedCheck {
    /// The configuration had it.
    pub configured: bool,
    /// It was not disabled by an operator.
    pub enabled: bool,
    /// It let the server run.
    pub up: bool,
    /// The counter.
    pub value: u32,
    /// The last result, by the number of `show servers state`.
    pub status: u8,
    /// Its code.
    pub code: u32,
    /// Its text.
    pub description: String,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// An event of the timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedEvent {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub text: String,
}

/// What `--state-dir` keeps beside the state, less often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Charts {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// All subjects.
    pub subjects: Vec<SavedHistory>,
}

/// The history of one proxy's side or of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedHistory {
    /// `f`, `b` or `s`: frontend, backend, server.
    pub kind: char,
    /// Name of the proxy.
    pub proxy: String,
    /// Name of the server.
    pub server: String,
    /// Sessions, new ones in ten seconds, bytes per second, errors, duration of a
    /// check in milliseconds; oldest first, ten seconds apart.
    pub points: Vec<[u32; 5]>,
}

/// A number that an operator may change at run time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// What the configuration said.
    pub configured: u32,
    /// What held.
    pub now: u32,
}

impl Tuned {
    /// What holds where the configuration says `configured`: an operator's
    /// value as long as the configuration did not change.
    pub fn kept(self, configured: u32) -> Option<u32> {
        (self.configured == configured && self.now != configured).then_some(self.now)
    }
}

/// The same for an address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TunedText {
    /// What the configuration said.
    pub configured: String,
    /// What held.
    pub now: String,
}

/// Milliseconds since 1970.
pub fn wall_ms(at: std::time::SystemTime) -> u64 {
    let since = at.duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_millis() as u64)
}

#[cfg(test)]
mod tests;
