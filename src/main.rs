//! The one binary: a subcommand per daemon, and the names of the programs that
//! it stands in for (`haproxy`, `keepalived`, `rabbitmqctl`, ...) as links.

mod check;
mod dispatch;
mod doctor;
mod explain;
mod manual;
mod up;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    dispatch::run(&program, args.collect())
}
