//! `evenkeel up`: the whole picture on one machine. Two proxy hosts with a
//! balancer and a VRRP daemon each, one virtual address, broker hosts; every
//! host a set of namespaces. Not here: anything that the daemons do themselves;
//! this module only starts them, breaks them and shows what happens.

mod action;
mod agent;
mod clients;
mod ending;
mod gate;
mod keys;
mod lab;
mod link;
mod local;
mod options;
mod order;
mod perform;
mod plan;
mod programs;
mod rabbit;
mod requests;
mod rolling;
mod run;
mod serve;
mod space;
mod state;
mod traffic;
mod view;
mod watch;

use std::process::ExitCode;

pub use action::WORDS;
pub use options::parser;
pub use space::{OLDEST_KERNEL, is_old, kernel};

/// `evenkeel up`, and the roles that it starts itself in for its namespaces.
pub fn command(args: Vec<String>) -> ExitCode {
    if let Some((role, rest)) = args
        .split_first()
        .filter(|(first, _)| first.starts_with("--role="))
    {
        return agent::role(role.trim_start_matches("--role="), rest);
    }
    match options::parse(args) {
        Ok(options) => run::command(options),
        Err(status) => status,
    }
}
