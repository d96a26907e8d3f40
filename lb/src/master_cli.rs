//! The master's CLI (`-S`): `show proc`, `show info`, `reload`, and `@1
//! <command>` for the worker. Not here: what a worker answers.

use crate::admin::show::level_word;
use crate::admin::socket::default_path;
use crate::master::Master;
use conf::lb::model::AdminLevel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Connections at once.
const CONNECTION_LIMIT: u32 = 16;

/// Longest command line.
const LINE_LIMIT: usize = 16 * 1024;

/// Patience with a silent operator.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Rest when a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The socket of the CLI and the level that its connections begin with.
pub struct Cli {
    listener: UnixListener,
    level: AdminLevel,
}

/// Opens the socket that `-S` names: a path (with `unix@` or not), then
/// options such as `mode,600` or `level,operator`.
///
/// # Errors
/// The address is none that is known here, or cannot be bound.
pub fn bind(words: &[String]) -> Result<Option<Cli>, String> {
    let Some((address, options)) = words.split_first() else {
        return Ok(None);
    };
    let path = address.strip_prefix("unix@").unwrap_or(address);
    if !path.starts_with('/') {
        return Err(format!(
            "'{address}' is not a path; only unix sockets are offered here"
        ));
    }
    // what an earlier master left behind
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(|e| format!("{path}: {e}"))?;
    let mut level = AdminLevel::Admin;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let value = options.next().map(String::as_str).unwrap_or_default();
        match option.as_str() {
            "mode" => set_mode(Path::new(path), value)?,
            "level" => {
                level = level_named(value).ok_or_else(|| format!("'{value}' is no level"))?;
            }
            other => return Err(format!("option '{other}' is not known for the master CLI")),
        }
    }
    Ok(Some(Cli { listener, level }))
}

fn level_named(word: &str) -> Option<AdminLevel> {
    match word {
        "admin" => Some(AdminLevel::Admin),
        "operator" => Some(AdminLevel::Operator),
        "user" => Some(AdminLevel::User),
        _ => None,
    }
}

fn set_mode(path: &Path, value: &str) -> Result<(), String> {
    let mode = u32::from_str_radix(value, 8).map_err(|_| format!("'{value}' is no mode"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())
}

/// The connections as they come, with a rest after one that could not be taken: without a free
/// descriptor the next try fails as fast.
fn taken(
    incoming: impl Iterator<Item = io::Result<UnixStream>>,
    rest: impl Fn(),
) -> impl Iterator<Item = UnixStream> {
    incoming.filter_map(move |stream| stream.inspect_err(|_| rest()).ok())
}

/// Serves the socket on a thread of its own, and each connection on another.
///
/// # Errors
/// The system gives no thread.
pub fn serve(cli: Cli, master: Arc<Master>) -> io::Result<()> {
    let open = Arc::new(AtomicU32::new(0));
    std::thread::Builder::new()
        .name("master-cli".into())
        .spawn(move || {
            let rest = || std::thread::sleep(ACCEPT_PAUSE);
            for stream in taken(cli.listener.incoming(), rest) {
                if open.fetch_add(1, Relaxed) >= CONNECTION_LIMIT {
                    open.fetch_sub(1, Relaxed);
                    continue;
                }
                let (master, mine) = (master.clone(), open.clone());
                let talk = move || {
                    // whoever hangs up in the middle hears nothing more
                    let _ = converse(&stream, &master, cli.level);
                    mine.fetch_sub(1, Relaxed);
                };
                if std::thread::Builder::new().spawn(talk).is_err() {
                    open.fetch_sub(1, Relaxed);
                }
            }
        })?;
    Ok(())
}

/// Reads lines until the operator leaves, says nothing for too long, or asks for what ends the
/// connection; `prompt` or not, as HAProxy's master does.
fn converse(stream: &UnixStream, master: &Master, level: AdminLevel) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(io::Read::take(stream.try_clone()?, LINE_LIMIT as u64));
    let mut talk = Talk {
        out: stream.try_clone()?,
        target: Target::Master,
        level,
    };
    let mut prompt = false;
    let mut line = String::new();
    loop {
        if prompt {
            let name = match talk.target {
                Target::Master => "master".to_owned(),
                Target::Worker(pid) => pid.to_string(),
            };
            talk.out.write_all(format!("{name}> ").as_bytes())?;
        }
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        reader.get_mut().set_limit(LINE_LIMIT as u64);
        for command in line.trim().split(';').map(str::trim) {
            match command {
                "prompt" => prompt = !prompt,
                "quit" | "exit" => return Ok(()),
                _ if talk.answer(command, master)?.is_break() => return Ok(()),
                _ => {}
            }
        }
    }
}

/// Who answers commands without a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Master,
    Worker(i32),
}

impl Target {
    /// What a first word such as `@1`, `@!<pid>`, `!<pid>` or `@master` names, the present worker
    /// being the first of these; nothing for a process that is not there.
    fn named(word: &str, workers: &[i32]) -> Option<Target> {
        let pid = word.strip_prefix("@!").or(word.strip_prefix('!'));
        match (word, pid) {
            ("@" | "@master" | "@0", _) => Some(Target::Master),
            ("@1", _) => workers.first().copied().map(Target::Worker),
            (_, pid) => {
                let pid = pid?.parse().ok()?;
                workers.contains(&pid).then_some(Target::Worker(pid))
            }
        }
    }
}

/// What a connection carries from command to command.
struct Talk {
    out: UnixStream,
    target: Target,
    level: AdminLevel,
}

impl Talk {
    /// Answers one command, the answer ended by an empty line as HAProxy does. A prefix without a
    /// command sends those that follow there. `Break`: nothing more is heard.
    fn answer(&mut self, command: &str, master: &Master) -> io::Result<ControlFlow<()>> {
        let (first, rest) = command.split_once(' ').unwrap_or((command, ""));
        if let Some(level @ (AdminLevel::Operator | AdminLevel::User)) = level_named(command) {
            return self.lower(level);
        }
        let (target, command) = match first.starts_with(['@', '!']) {
            false => (self.target, command),
            true => {
                let Some(target) = Target::named(first, &workers(master)) else {
                    let text = format!("Can't find the target PID matching the prefix '{first}'\n");
                    self.out.write_all(text.as_bytes())?;
                    return Ok(ControlFlow::Break(()));
                };
                if rest.trim().is_empty() {
                    self.target = target;
                    return Ok(ControlFlow::Continue(()));
                }
                (target, rest.trim())
            }
        };
        match target {
            Target::Master => {
                let text = own(command, master, self.level) + "\n";
                self.out.write_all(text.as_bytes())?;
            }
            Target::Worker(pid) => {
                let path = socket_of(master, pid);
                if let Err(error) = pass_on(&path, command, self.level, &mut self.out) {
                    let path = path.display();
                    let text = format!("the worker cannot be asked at {path}: {error}\n\n");
                    self.out.write_all(text.as_bytes())?;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A level is lowered for the rest of the connection; who asks for more is shown out.
    fn lower(&mut self, level: AdminLevel) -> io::Result<ControlFlow<()>> {
        if level > self.level {
            self.out.write_all(b"Permission denied!\n")?;
            return Ok(ControlFlow::Break(()));
        }
        self.level = level;
        Ok(ControlFlow::Continue(()))
    }
}

/// The present worker, then those of the programs before it.
fn workers(master: &Master) -> Vec<i32> {
    let old = master.old_workers.lock().unwrap_or_else(|e| e.into_inner());
    let all = [&master.worker].into_iter().chain(old.iter());
    all.map(|worker| worker.as_raw()).collect()
}

fn socket_of(master: &Master, worker: i32) -> PathBuf {
    let run_dir = master.socket.parent().unwrap_or(Path::new("/"));
    default_path(run_dir, worker as u32)
}

/// Sends a command to a worker and passes on what it answers as it comes, until the answer ends or
/// the operator leaves (`show events -w`). The worker is told a level below its own socket's.
fn pass_on(path: &Path, command: &str, level: AdminLevel, out: &mut UnixStream) -> io::Result<()> {
    let mut worker = UnixStream::connect(path)?;
    let lowered = match level {
        AdminLevel::Admin => "",
        AdminLevel::Operator => "operator;",
        AdminLevel::User => "user;",
    };
    worker.write_all(format!("{lowered}{command}\n").as_bytes())?;
    if !lowered.is_empty() {
        // the empty line that answers it
        worker.read_exact(&mut [0])?;
    }
    let mut piece = [0; 16 * 1024];
    loop {
        let mut both = [
            PollFd::new(worker.as_fd(), PollFlags::POLLIN),
            // one who only ended his side still reads
            PollFd::new(out.as_fd(), PollFlags::empty()),
        ];
        poll(&mut both, PollTimeout::NONE)?;
        let left = both[1].any().unwrap_or(false) && !both[0].any().unwrap_or(false);
        if left {
            return Ok(());
        }
        match worker.read(&mut piece)? {
            0 => return Ok(()),
            read => out.write_all(&piece[..read])?,
        }
    }
}

/// Commands of the master itself.
fn own(command: &str, master: &Master, level: AdminLevel) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        [] => String::new(),
        ["show", "proc"] => processes(master),
        ["show", "info"] => own_info(master),
        ["show", "version"] => format!("{}\n", env!("CARGO_PKG_VERSION")),
        ["show", "startup-logs"] => crate::console::said_at_start(),
        ["show", "cli", "level"] => format!("{}\n", level_word(level)),
        ["reload"] | ["show", "env"] if level < AdminLevel::Operator => {
            "Permission denied\n".to_owned()
        }
        ["reload"] => match master.reload() {
            Ok(text) => format!("Success=1\n--\n{}\n", text.trim_end()),
            Err(text) => format!("Success=0\n--\n{}\n", text.trim_end()),
        },
        ["show", "env"] => environment(),
        ["expert-mode" | "experimental-mode", ..] => String::new(),
        // what the master says has no severity
        ["set", "severity-output", _] => String::new(),
        ["mcli-debug-mode" | "show", ..] if is_absent(&words) => {
            format!("'{command}' is not available at the master; ask the worker: @1 {command}\n")
        }
        ["help", ..] => HELP.to_owned(),
        _ => format!("Unknown command: '{command}'\n{HELP}"),
    }
}

/// What HAProxy's master answers and this one does not.
fn is_absent(words: &[&str]) -> bool {
    matches!(
        words,
        ["mcli-debug-mode", ..] | ["show", "fd", ..] | ["show", "cli", "sockets"]
    )
}

fn environment() -> String {
    let all = std::env::vars_os();
    let line = |(name, value): (OsString, OsString)| {
        format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy())
    };
    all.map(line).collect()
}

const HELP: &str = "The following commands are valid at this level:\n\
    \x20 @<relative pid> <command>  send a command to the worker: @1, or all that follow\n\
    \x20 @!<pid> <command>          the same by process id; also !<pid>\n\
    \x20 @master <command>          send a command to the master\n\
    \x20 show proc                  show the processes\n\
    \x20 show info                  facts about the master\n\
    \x20 show version               the version\n\
    \x20 show env                   variables of the master\n\
    \x20 show startup-logs          what was said at start\n\
    \x20 reload                     reload the configuration\n\
    \x20 operator, user             lower the level of this connection\n\
    \x20 show cli level             its level\n\
    \x20 prompt                     toggle interactive mode\n\
    \x20 quit                       leave\n\
    \x20 help                       this list\n";

fn processes(master: &Master) -> String {
    let uptime = master.started.elapsed().as_secs();
    let (days, hours, minutes, seconds) = (
        uptime / 86400,
        uptime / 3600 % 24,
        uptime / 60 % 60,
        uptime % 60,
    );
    let uptime = format!("{days}d{hours:02}h{minutes:02}m{seconds:02}s");
    let version = env!("CARGO_PKG_VERSION");
    let reloads = format!(
        "{} [failed: {}]",
        master.reloads.load(Relaxed),
        master.failed.load(Relaxed)
    );
    let row = |pid: String, kind: &str, reloads: &str| {
        format!("{pid:<15} {kind:<15} {reloads:<15} {uptime:<15} {version:<15}\n")
    };
    let header = format!(
        "{:<15} {:<15} {:<15} {:<15} {:<15}\n",
        "#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"
    );
    header
        + &row(std::process::id().to_string(), "master", &reloads)
        + "# workers\n"
        + &row(master.worker.to_string(), "worker", "0")
        + &old_workers(master, row)
        + "# programs\n"
}

/// Workers of the programs before an upgrade, while they have sessions.
fn old_workers(master: &Master, row: impl Fn(String, &str, &str) -> String) -> String {
    let old = master.old_workers.lock().unwrap_or_else(|e| e.into_inner());
    let rows: String = old
        .iter()
        .map(|worker| row(worker.to_string(), "worker", "1"))
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("# old workers\n{rows}"),
    }
}

fn own_info(master: &Master) -> String {
    format!(
        "Name: Evenkeel\nVersion: {}\nPid: {}\nUptime_sec: {}\nWorker: {}\nReloads: {}\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        master.started.elapsed().as_secs(),
        master.worker,
        master.reloads.load(Relaxed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_names_the_master_the_worker_or_one_of_before() {
        let named = |word| Target::named(word, &[7, 5]);
        assert_eq!(named("@master"), Some(Target::Master));
        assert_eq!(named("@1"), Some(Target::Worker(7)));
        assert_eq!(named("@!5"), Some(Target::Worker(5)));
        assert_eq!(named("!7"), Some(Target::Worker(7)));
        for nobody in ["@2", "@!6", "!x", "@@1", "!"] {
            assert_eq!(named(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn after_a_connection_that_could_not_be_taken_it_rests() {
        let rests = AtomicU32::new(0);
        let rest = || {
            rests.fetch_add(1, Relaxed);
        };
        let pair = || UnixStream::pair().expect("a pair of sockets").0;
        let full = || Err(io::Error::from_raw_os_error(libc::EMFILE));
        let incoming = [Ok(pair()), full(), full(), Ok(pair())];
        assert_eq!(taken(incoming.into_iter(), rest).count(), 2);
        assert_eq!(rests.load(Relaxed), 2);
    }
}
