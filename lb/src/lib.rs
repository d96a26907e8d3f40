//! The crate's front page; see its modules.

use std::process::ExitCode;

/// `evenkeel lb`: runs with the arguments behind the subcommand.
pub fn command(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel lb: not built yet");
    ExitCode::from(69)
}
