//! Which processes there are: one in the foreground, one in the background,
//! or a master with its worker.

use crate::fork::{Side, split};
use crate::loading::Startup;
use crate::options::Options;
use crate::process::{Identity, Nowhere};
use crate::signals::Signals;
use crate::{console, master, run};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use service::Notify;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::ExitCode;

/// How a process tells whoever started it that it serves.
pub struct Ready {
    pipe: Option<PipeWriter>,
    notify: Notify,
    nowhere: Option<Nowhere>,
}

impl Ready {
    /// For a process in the foreground.
    pub fn foreground() -> Ready {
        Ready {
            pipe: None,
            notify: Notify::from_environment(),
            nowhere: None,
        }
    }

    /// For a child whose parent waits at the other end of the pipe.
    pub fn to_parent(pipe: PipeWriter, nowhere: Option<Nowhere>) -> Ready {
        Ready {
            pipe: Some(pipe),
            notify: Notify::silent(),
            nowhere,
        }
    }

    /// The process serves: tells so and, in the background, leaves the terminal.
    pub fn announce(self) -> Notify {
        if let Some(nowhere) = &self.nowhere {
            nowhere.replace_streams();
            console::hush(true);
        }
        if let Some(mut pipe) = self.pipe {
            // a parent that is gone need not know
            let _ = pipe.write_all(b"1");
        }
        self.notify.ready(std::process::id(), "Ready.");
        self.notify
    }
}

/// Starts the processes that the configuration asks for.
pub fn launch(options: &Options, startup: Startup) -> ExitCode {
    let identity = match Identity::of(&startup.config.global.process) {
        Ok(identity) => identity,
        Err(refusal) => {
            console::alert(&format!("[evenkeel] {refusal}."));
            return ExitCode::FAILURE;
        }
    };
    let background = startup.config.global.process.daemon;
    let with_master = startup.config.global.process.master_worker.is_some();
    if !with_master && !options.master_cli.is_empty() {
        console::warning(
            "config : a master CLI socket was defined, but master-worker mode (-W) is not enabled.",
        );
    }
    let launched = match (background, with_master) {
        (false, false) => foreground(options, startup, &identity),
        (true, false) => in_background(|ready| {
            let signals = Signals::block()?;
            Ok(run::worker(options, startup, &identity, signals, ready))
        }),
        (false, true) => master::run(options, startup, &identity, Ready::foreground()),
        // a master with a new program is in the background already
        (true, true) if options.successor_of.is_some() => {
            console::hush(true);
            master::run(options, startup, &identity, Ready::foreground())
        }
        (true, true) => in_background(|ready| master::run(options, startup, &identity, ready)),
    };
    launched.unwrap_or_else(|error| {
        console::alert(&format!("[evenkeel] Cannot start: {error}."));
        ExitCode::FAILURE
    })
}

fn foreground(options: &Options, startup: Startup, identity: &Identity) -> io::Result<ExitCode> {
    let signals = Signals::block()?;
    Ok(run::worker(
        options,
        startup,
        identity,
        signals,
        Ready::foreground(),
    ))
}

/// Runs a child in a session of its own; the parent leaves once it serves, or
/// with its status when it does not come so far.
fn in_background(child: impl FnOnce(Ready) -> io::Result<ExitCode>) -> io::Result<ExitCode> {
    let (reader, writer) = io::pipe()?;
    match split()? {
        Side::Parent(pid) => {
            drop(writer);
            Ok(outcome_of(pid, reader))
        }
        Side::Child => {
            drop(reader);
            nix::unistd::setsid()?;
            let nowhere = Nowhere::open()?;
            child(Ready::to_parent(writer, Some(nowhere)))
        }
    }
}

/// Waits until a child serves or ends.
pub fn outcome_of(child: Pid, mut pipe: PipeReader) -> ExitCode {
    let mut byte = [0];
    if matches!(pipe.read(&mut byte), Ok(1)) {
        return ExitCode::SUCCESS;
    }
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, status)) => ExitCode::from(status as u8),
        Ok(WaitStatus::Signaled(_, signal, _)) => ExitCode::from((128 + signal as i32) as u8),
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}
