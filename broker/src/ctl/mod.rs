//! The command line: `evenkeel ctl` and the links `rabbitmqctl`, `rabbitmq-diagnostics`, `rabbitmq-plugins`,
//! `rabbitmq-queues`, `rabbitmq-streams` and `rabbitmq-upgrade`, in RabbitMQ's words, columns and exit codes.
//!
//! The tools talk to a node of the same machine through its control socket
//! ([`server`]); what they print is made here, what they ask is in [`wire`].

mod client;
mod commands;
mod line;
mod ops;
mod output;
pub mod server;
mod tool;
mod wire;

use std::process::ExitCode;
use tool::{Tool, run};

/// `evenkeel ctl`, `rabbitmqctl`.
pub fn ctl(args: Vec<String>) -> ExitCode {
    run(Tool::Ctl, args)
}

/// The commands of `evenkeel ctl`: name, what follows it, what it does.
pub fn ctl_commands() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    commands::all(Tool::Ctl).map(|c| (c.name, c.usage, c.about))
}

/// `rabbitmq-diagnostics`.
pub fn diagnostics(args: Vec<String>) -> ExitCode {
    run(Tool::Diagnostics, args)
}

/// `rabbitmq-plugins`.
pub fn plugins(args: Vec<String>) -> ExitCode {
    run(Tool::Plugins, args)
}

/// `rabbitmq-queues`.
pub fn queues(args: Vec<String>) -> ExitCode {
    run(Tool::Queues, args)
}

/// `rabbitmq-streams`.
pub fn streams(args: Vec<String>) -> ExitCode {
    run(Tool::Streams, args)
}

/// `rabbitmq-upgrade`.
pub fn upgrade(args: Vec<String>) -> ExitCode {
    run(Tool::Upgrade, args)
}
