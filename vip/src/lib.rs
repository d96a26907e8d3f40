//! The crate's front page; see its modules.

use std::process::ExitCode;

/// `evenkeel vip`: runs with the arguments behind the subcommand.
pub fn command(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel vip: not built yet");
    ExitCode::from(69)
}
