//! TCP rules and the choice of a backend.

use super::{Condition, Expr, Format, LogLevel, Place};
use std::sync::Arc;

/// A `tcp-request` or `tcp-response` rule.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpRule {
    /// What to do.
    pub action: TcpAction,
    /// When; always without.
    pub condition: Option<Condition>,
    /// Where it stands.
    pub place: Place,
    /// Its line, for `last_rule_line`; nothing in rules ahead of a session.
    pub line: Option<RuleLine>,
}

/// The line of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleLine {
    /// The configuration file as it was named.
    pub file: Arc<str>,
    /// From 1.
    pub number: u32,
}

/// What a TCP rule does. Which actions a list may hold is checked: see the
/// fields of the proxy.
#[derive(Clone, Debug, PartialEq)]
pub enum TcpAction {
    /// `accept`: no further rule of this list is looked at.
    Accept,
    /// `reject`: the session ends (connection: without a log line; content: `PR`).
    Reject,
    /// `close` (tcp-response): the server side ends.
    Close,
    /// `silent-drop`: the client is left without an answer.
    SilentDrop,
    /// `expect-proxy layer4` (connection).
    ExpectProxy,
    /// `set-src <expr>`.
    SetSrc(Expr),
    /// `set-src-port <expr>`.
    SetSrcPort(Expr),
    /// `set-dst <expr>`.
    SetDst(Expr),
    /// `set-dst-port <expr>`.
    SetDstPort(Expr),
    /// `set-mark <mark>`.
    SetMark(u32),
    /// `set-tos <tos>`.
    SetTos(u8),
    /// `set-nice <nice>`.
    SetNice(i32),
    /// `set-log-level <level>`.
    SetLogLevel(LogLevel),
    /// `set-priority-class <expr>`.
    SetPriorityClass(Expr),
    /// `set-priority-offset <expr>`.
    SetPriorityOffset(Expr),
    /// `set-var(<name>) <expr>`.
    SetVar(String, Expr),
    /// `set-var-fmt(<name>) <format>`.
    SetVarFormat(String, Format),
    /// `unset-var(<name>)`.
    UnsetVar(String),
    /// `capture <expr> len <n>`: index of the capture slot and the bound.
    Capture {
        /// What to keep.
        expr: Expr,
        /// Index among the frontend's captures.
        slot: usize,
        /// Longest kept, bytes.
        len: usize,
    },
}

/// A `use_backend` rule.
#[derive(Clone, Debug, PartialEq)]
pub struct UseBackend {
    /// Name of the backend.
    pub backend: BackendName,
    /// When; always without.
    pub condition: Option<Condition>,
    /// Where it stands.
    pub place: Place,
}

/// A backend by its name, or by a name that is computed.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendName {
    /// Checked to exist.
    Fixed(String),
    /// Evaluated for each session; the rule is passed over when no backend has that name.
    Format(Format),
}

/// A `use-server` rule.
#[derive(Clone, Debug, PartialEq)]
pub struct UseServer {
    /// Name of a server of the same backend, checked to exist unless computed.
    pub server: BackendName,
    /// When; always without.
    pub condition: Option<Condition>,
    /// Where it stands.
    pub place: Place,
}
