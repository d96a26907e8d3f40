//! Ending long-lived sessions so that their clients come back elsewhere.

use std::time::Duration;

/// `rebalance`: evens servers out after one came back, was added or weighs more.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebalance {
    /// Most sessions of the backend that are ended in a minute, in percent.
    pub rate_percent: u32,
    /// Servers are even when all are within this of their share, in percent.
    pub within_percent: u32,
    /// Time without a change of a server's state before it begins.
    pub settle: Duration,
    /// How a session is ended.
    pub farewell: Farewell,
}

/// `drain-sessions`: empties a server that is taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainSessions {
    /// Most sessions of the server that are ended in a minute, in percent of those that it
    /// had when it was taken out.
    pub rate_percent: u32,
    /// States in which it is emptied.
    pub states: DrainStates,
    /// How a session is ended.
    pub farewell: Farewell,
}

/// States of a server in which its sessions are ended one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainStates {
    /// In drain.
    pub drain: bool,
    /// In maintenance.
    pub maint: bool,
    /// Its checks say that it wants no new sessions.
    pub nolb: bool,
    /// Its checks fail.
    pub down: bool,
}

/// How a session is ended: `connection.close` where it speaks AMQP 0-9-1, else FIN.
#[derive(Clone, Debug, PartialEq)]
pub struct Farewell {
    /// Time for goodbyes of both sides: after that it is cut.
    pub wait: Duration,
    /// What the client is told.
    pub reason: String,
}
