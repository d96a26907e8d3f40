//! The TCP load balancer: reads an haproxy-style configuration and acts on it.
//!
//! `core` decides; everything beside it acts.

pub mod admin;
pub mod core;
pub mod counters;
pub mod listener;
pub mod options;
pub mod probe;
pub mod state;
pub mod stats;
pub mod sys;

use std::process::ExitCode;

/// `evenkeel lb`: runs with the arguments behind the subcommand.
pub fn command(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel lb: not built yet");
    ExitCode::from(69)
}
