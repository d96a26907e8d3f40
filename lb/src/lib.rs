//! The TCP load balancer: reads an haproxy-style configuration and acts on it.
//!
//! `core` decides; everything beside it acts.

pub mod access_log;
pub mod admin;
pub mod console;
pub mod core;
pub mod counters;
pub mod data_path;
pub mod fork;
pub mod http;
pub mod listener;
pub mod notify;
pub mod options;
pub mod probe;
pub mod process;
pub mod relay;
pub mod session;
pub mod splice;
pub mod state;
pub mod stats;
pub mod sys;
pub mod wheel;
pub mod worker;

use std::process::ExitCode;

/// `evenkeel lb`: runs with the arguments behind the subcommand.
pub fn command(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel lb: not built yet");
    ExitCode::from(69)
}
