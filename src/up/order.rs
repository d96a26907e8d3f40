//! What the process in front tells the agents in the namespaces, and what they
//! report: one JSON object a line.

use serde::{Deserialize, Serialize};

/// To an agent.
#[derive(Serialize, Deserialize, Debug, Clone)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Order {
    /// To the laboratory: make a host on the bridge.
    Host {
        /// Its name, also its host name.
        name: String,
        /// Its address with prefix length on `eth0`.
        address: String,
    },
    /// Start a process; its output goes to a file.
    Start {
        /// Host, empty for the agent itself.
        host: String,
        /// Name by which it is signalled later; replaces an ended one.
        name: String,
        /// Program and arguments.
        argv: Vec<String>,
        /// Further environment.
        env: Vec<(String, String)>,
        /// File that its output is appended to.
        log: String,
    },
    /// Send a signal to a process (and to its children when `tree`).
    Signal {
        /// Host of the process.
        host: String,
        /// Its name.
        name: String,
        /// Number of the signal.
        signal: i32,
        /// Also to every descendant.
        tree: bool,
    },
    /// To the laboratory: take a host's port off the bridge, or put it back.
    Cut {
        /// The host.
        host: String,
        /// Off or on.
        cut: bool,
    },
    /// To the laboratory: hosts that are set apart do not hear each other; all
    /// others hear them.
    Apart {
        /// The host.
        host: String,
        /// Set apart or not.
        apart: bool,
    },
    /// Say the IPv4 addresses of a host's `eth0`.
    Addresses {
        /// The host.
        host: String,
    },
    /// Mount a file over another in a host's own view.
    Overlay {
        /// The host.
        host: String,
        /// What to show.
        from: String,
        /// Where.
        over: String,
    },
}

/// The name under which the end of a host's own process is reported.
pub const HOST_ITSELF: &str = "host";

/// From an agent.
#[derive(Serialize, Deserialize, Debug, Clone)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The agent is ready for orders.
    Ready,
    /// The order was carried out.
    Done {
        /// Which, counted from 0.
        order: u64,
        /// What the order asked for: a process id, addresses.
        answer: String,
    },
    /// It was not.
    Failed {
        /// Which, counted from 0.
        order: u64,
        /// Why.
        reason: String,
    },
    /// A process ended.
    Exit {
        /// Host of the process.
        host: String,
        /// Its name.
        name: String,
        /// In words: `status 0`, `signal 9`.
        how: String,
    },
}
