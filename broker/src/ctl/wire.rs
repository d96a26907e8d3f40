//! What the command line and the node say to each other over the control
//! socket: one JSON object each way, then the connection ends.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of a request or answer at most.
pub const LIMIT: u64 = 256 << 20;

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The secret of the node's cookie file.
    pub cookie: String,
    /// What to do.
    #[serde(flatten)]
    pub what: What,
}

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A request of the HTTP API, by an administrator.
    Api {
        /// `GET`, `PUT`, `POST`, `DELETE`.
        method: String,
        /// `/api/queues`.
        path: String,
        /// The body.
        body: Value,
    },
    /// An operation that the HTTP API does not have, or words otherwise.
    Do {
        /// Its name.
        name: String,
        /// What it takes.
        with: Map<String, Value>,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It is done; what was asked for.
    Ok(Value),
    /// It is not done.
    Fault(Fault),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of reason, which decides the exit code.
    pub kind: FaultKind,
    /// The text for the operator.
    pub text: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The cookie is not this node's.
    Cookie,
    /// Wrong in form, or not in this state of the node.
    Usage,
    /// What it is about is not in the state for it: 64 without the usage.
    Absent,
    /// Data that is wrong, such as bad credentials.
    Data,
    /// There is no such user.
    NoUser,
    /// It failed.
    Failed,
    /// It is there already.
    Exists,
}

impl FaultKind {
    /// The exit code, as in sysexits.
    pub fn exit(self) -> u8 {
        match self {
            FaultKind::Usage | FaultKind::Absent => 64,
            FaultKind::Data => 65,
            FaultKind::NoUser => 67,
            FaultKind::Failed | FaultKind::Cookie => 69,
            FaultKind::Exists => 70,
        }
    }
}

impl Fault {
    /// A fault of a kind.
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Fault {
        let text = text.into();
        Fault { kind, text }
    }

    /// It failed.
    pub fn failed(text: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Failed, text)
    }
}
