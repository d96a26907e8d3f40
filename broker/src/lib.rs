//! Evenkeel's AMQP 0-9-1 broker.
//!
//! [`core`] is the engine, free of I/O. Around it: the core thread with its sockets, the store, the management
//! interface and the command line.

pub mod core;
pub mod handle;
pub mod store;

use std::process::ExitCode;

/// Entry point `command`, with the arguments behind the program's name.
pub fn command(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker command: not built yet");
    ExitCode::from(69)
}

/// Entry point `ctl`, with the arguments behind the program's name.
pub fn ctl(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker ctl: not built yet");
    ExitCode::from(69)
}

/// Entry point `diagnostics`, with the arguments behind the program's name.
pub fn diagnostics(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker diagnostics: not built yet");
    ExitCode::from(69)
}

/// Entry point `plugins`, with the arguments behind the program's name.
pub fn plugins(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker plugins: not built yet");
    ExitCode::from(69)
}

/// Entry point `server`, with the arguments behind the program's name.
pub fn server(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker server: not built yet");
    ExitCode::from(69)
}
