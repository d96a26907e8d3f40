//! The VRRP daemon: reads keepalived's configuration, keeps virtual addresses
//! on exactly one of several hosts, and moves them without an outage.
//!
//! `core` decides; everything beside it acts. Three processes: the guardian
//! (parent), the worker (sockets and addresses) and the script helper.

pub mod core;
pub mod netlink;

mod ask;
mod clock;
mod daemon;
mod filter;
mod frame;
mod guardian;
mod helper;
mod instance;
mod journal;
mod link;
mod log;
mod mailbox;
mod metrics;
mod namespace;
mod net;
mod notify;
mod options;
mod packet;
mod pair;
mod pidfile;
mod plan;
mod poller;
mod quiet;
mod raw;
mod reload;
mod renewals;
mod rights;
mod run;
mod safety;
mod serve;
mod signals;
mod sockets;
mod speaker;
mod statics;
mod sys;
mod tickle;
mod tool;
mod vmac;
mod watch;

use options::{Mode, Options};
use std::process::ExitCode;
use std::time::Duration;

/// A witness brings a heartbeat every two seconds; three missing ones in a row are a finding.
pub const WITNESS_SILENT_MS: u64 = 7000;
/// How long after the last evidence a split brain counts as present.
pub const SPLIT_FOR: Duration = Duration::from_secs(10);
/// Exit status of keepalived's `-t` for a file with errors.
const EXIT_CONFIG: u8 = 5;
/// Exit status of keepalived's `-t` for scripts that others than root can change.
const EXIT_SECURITY: u8 = 6;
/// A wrong command line.
const EXIT_USAGE: u8 = 64;

/// Runs `evenkeel vip` (or `keepalived`) with these arguments.
pub fn command(args: Vec<String>) -> ExitCode {
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("evenkeel vip: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    sys::share_one_heap();
    match &options.mode {
        Mode::Help => {
            print!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Mode::Version => {
            eprintln!("evenkeel vip {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Mode::Signum(name) => signum(name),
        Mode::Test => ExitCode::from(test(&options)),
        Mode::Tool(name, arguments) => tool::run(name, arguments, &options),
        Mode::Worker => {
            own_name();
            run::worker(&options)
        }
        Mode::Helper => {
            own_name();
            log::start(&options);
            let code = helper::run();
            log::finish();
            code
        }
        Mode::Run => start(&options),
    }
}

/// How a file is read on this host when no option says otherwise.
pub fn reading() -> conf::vip::Options {
    conf::vip::Options {
        config_id: options::short_name(),
        ..conf::vip::Options::default()
    }
}

/// The program's name for `ps`: it was started by way of /proc.
fn own_name() {
    let _ = nix::sys::prctl::set_name(c"evenkeel");
}

/// `-t`: tells the findings where they are wanted; gives keepalived's exit status for them.
fn test(options: &Options) -> u8 {
    let (text, code) = check(options);
    match &options.findings {
        None => eprint!("{text}"),
        Some(path) => {
            if let Err(error) = std::fs::write(path, &text) {
                eprint!("{text}");
                eprintln!("evenkeel vip: cannot write {}: {error}", path.display());
            }
        }
    }
    code
}

/// Goes to the network namespace that the file names; gives the findings about the file and
/// keepalived's exit status for them.
fn check(options: &Options) -> (String, u8) {
    let (config, mut report) = conf::vip::load(&options.file, &options.reading());
    let Some(config) = config else {
        return (report.human(false), EXIT_CONFIG);
    };
    let name = options.namespace.as_ref().or(config.net_namespace.as_ref());
    if let Some(name) = name
        && let Err(error) = namespace::enter(name)
    {
        let text = report.human(false);
        let text = format!("{text}error: net_namespace {name}: {error}\n");
        return (text, EXIT_CONFIG);
    }
    report.diagnostics.extend(safety::absences(&config));
    report.diagnostics.extend(safety::findings(&config));
    let code = if report.has_errors() {
        EXIT_SECURITY
    } else {
        0
    };
    (report.human(false), code)
}

fn start(options: &Options) -> ExitCode {
    let (findings, code) = check(options);
    eprint!("{findings}");
    if code == EXIT_CONFIG || code == EXIT_SECURITY {
        return ExitCode::from(code);
    }
    // who starts it looks at this process, not at the one in the background
    let lock = match guardian::claim(options) {
        Ok(lock) => lock,
        Err(error) => return refuse(options, &error),
    };
    if !options.foreground
        && let Err(error) = nix::unistd::daemon(true, options.console)
    {
        eprintln!("evenkeel vip: cannot go to the background: {error}");
        return ExitCode::FAILURE;
    }
    if let Err(error) = signals::watched().thread_block() {
        eprintln!("evenkeel vip: cannot block signals: {error}");
        return ExitCode::FAILURE;
    }
    log::start(options);
    let code = guardian::run(options, lock);
    log::finish();
    code
}

/// Says why it does not start, in the log and to whoever started it.
fn refuse(options: &Options, error: &std::io::Error) -> ExitCode {
    log::start(options);
    tracing::error!(%error, "cannot start");
    log::finish();
    if !log::on_console(options) {
        eprintln!("evenkeel vip: cannot start: {error}");
    }
    ExitCode::FAILURE
}

/// Prints the number of a signal; keepalived's exit status for a name that is none.
fn signum(name: &str) -> ExitCode {
    match signals::number(name) {
        Some(number) => {
            println!("{number}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!(
                "evenkeel vip: --signum knows STOP, RELOAD, DATA, STATS, STATS_CLEAR and JSON, not `{name}`"
            );
            ExitCode::FAILURE
        }
    }
}
