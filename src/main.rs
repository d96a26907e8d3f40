//! The one binary: a subcommand per daemon, and the names of the programs that
//! it stands in for (`haproxy`, `keepalived`, `rabbitmqctl`, ...) as links.

mod check;
mod dispatch;
mod doctor;
mod explain;
mod manual;
mod status;
mod up;

use std::process::ExitCode;

/// Exit status of a program whose reader went away, as a shell shows SIGPIPE.
const READER_GONE: i32 = 141;

fn main() -> ExitCode {
    end_quietly_without_reader();
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    dispatch::run(&program, args.collect())
}

/// `evenkeel explain | head` is no bug: a closed pipe ends the program without
/// a report. Any other panic is reported as ever.
fn end_quietly_without_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text
            .is_some_and(|t| t.starts_with("failed printing to std") && t.contains("Broken pipe"))
        {
            std::process::exit(READER_GONE);
        }
        report(panic);
    }));
}
