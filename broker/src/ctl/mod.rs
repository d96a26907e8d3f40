//! The command line: `evenkeel ctl` and the links `rabbitmqctl`,
//! `rabbitmq-diagnostics` and `rabbitmq-plugins`, in RabbitMQ's words, columns
//! and exit codes.

mod ops;
pub mod server;
mod wire;

use std::process::ExitCode;

/// `evenkeel ctl`, `rabbitmqctl`.
pub fn ctl(_args: Vec<String>) -> ExitCode {
    ExitCode::from(69)
}
/// `rabbitmq-diagnostics`.
pub fn diagnostics(_args: Vec<String>) -> ExitCode {
    ExitCode::from(69)
}
/// `rabbitmq-plugins`.
pub fn plugins(_args: Vec<String>) -> ExitCode {
    ExitCode::from(69)
}
