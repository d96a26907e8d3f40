//! The one binary: a subcommand per daemon, and the names of the programs that
//! it stands in for (`haproxy`, `keepalived`, `rabbitmqctl`, ...) as links.

mod check;
mod dispatch;
mod doctor;
mod explain;
mod holders;
mod manual;
mod status;
mod up;

use std::panic::{catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status of a program whose reader went away, as a shell shows SIGPIPE.
const READER_GONE: u8 = 141;

/// Whoever read what the main thread prints has gone.
static ALONE: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    end_quietly_without_reader();
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    match catch_unwind(|| dispatch::run(&program, args.collect())) {
        Ok(code) => code,
        Err(_) if ALONE.load(Ordering::Relaxed) => ExitCode::from(READER_GONE),
        Err(panic) => resume_unwind(panic),
    }
}

/// `evenkeel explain | head` is no bug: a closed pipe ends the program without
/// a report, and what the main thread made is taken away. Any other panic is reported as ever.
fn end_quietly_without_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text
            .is_some_and(|t| t.starts_with("failed printing to std") && t.contains("Broken pipe"))
        {
            if std::thread::current().name() != Some("main") {
                std::process::exit(i32::from(READER_GONE));
            }
            ALONE.store(true, Ordering::Relaxed);
            return;
        }
        report(panic);
    }));
}
