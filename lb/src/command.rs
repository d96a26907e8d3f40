//! `evenkeel lb`: from the command line to a running process or an answer.

use crate::console;
use crate::listing;
use crate::loading::{self, Loaded, Startup};
use crate::options::Options;
use crate::{convert, daemon, diff, live_check, version};
use conf::diagnostic::Severity;
use conf::lb::Voice;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Status of a configuration that is fine but listens nowhere.
const NO_LISTENER: u8 = 2;

/// Status of a condition that cannot be evaluated.
const UNREADABLE: u8 = 2;

/// Runs with the arguments behind the subcommand.
pub fn command(args: Vec<String>) -> ExitCode {
    match args.first().map(String::as_str) {
        Some("diff") => return diff::command(&args[1..]),
        Some("check") => return live_check::command(&args[1..]),
        Some("convert") => return convert::command(&args[1..]),
        Some("trace") => return crate::admin::client::trace(&args[1..]),
        Some("ctl") => return crate::admin::client::command(&args[1..]),
        _ => {}
    }
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(problem) => {
            eprint!("evenkeel lb: {problem}\n\n{}", version::usage());
            return ExitCode::FAILURE;
        }
    };
    answer(&options).unwrap_or_else(|| start(&options))
}

/// What only asks something.
fn answer(options: &Options) -> Option<ExitCode> {
    if options.help {
        print!("{}", version::usage());
        return Some(ExitCode::SUCCESS);
    }
    if options.version > 0 {
        print!("{}", version::text(options.version > 1));
        return Some(ExitCode::SUCCESS);
    }
    if let Some(condition) = &options.condition {
        return Some(evaluate(condition, options));
    }
    if options.files.is_empty() {
        eprint!("evenkeel lb: no configuration file\n\n{}", version::usage());
        return Some(ExitCode::FAILURE);
    }
    None
}

fn evaluate(condition: &str, options: &Options) -> ExitCode {
    match conf::lb::predicate::evaluate(condition, &loading::environment(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if !options.quiet {
                console::alert(&format!(
                    "config : Failed to evaluate condition: {}",
                    error.text()
                ));
            }
            ExitCode::from(UNREADABLE)
        }
    }
}

fn start(options: &Options) -> ExitCode {
    crate::takeover::reexec::remember_directory();
    if let Some(directory) = &options.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        console::alert(&format!(
            "Could not change to directory {}: {error}",
            directory.display()
        ));
        return ExitCode::FAILURE;
    }
    let loaded = loading::load(options);
    tell(options, &loaded);
    if !options.quiet {
        options
            .remarks
            .iter()
            .for_each(|text| console::notice(text));
    }
    let lacks_master = loaded.lacks_master(options);
    if lacks_master && !options.quiet {
        console::warning(
            "config : a master CLI socket was defined, but master-worker mode (-W) is not enabled.",
        );
    }
    let warned = loaded.report.count(Severity::Warning) > 0 || lacks_master;
    let fails = warned && loaded.warnings_are_fatal(options);
    let texts = crate::reload::texts_of(&loaded);
    let Some(config) = loaded.config else {
        return ExitCode::FAILURE;
    };
    if let Some(classes) = &options.list_keywords {
        print!("{}", listing::keywords(classes));
    }
    if options.list_objects {
        print!("{}", listing::object_files());
    }
    if fails {
        console::alert("config : Some warnings were found and 'zero-warning' is set. Aborting.");
        return ExitCode::FAILURE;
    }
    let listens = loading::has_listeners(&config);
    if options.check {
        return checked(options, warned, listens);
    }
    if !listens {
        console::alert(
            "[evenkeel] No enabled listener found (check for 'bind' directives) ! Exiting.",
        );
        return ExitCode::FAILURE;
    }
    if options.quiet || config.global.process.quiet && !options.verbose {
        console::hush(true);
    }
    daemon::launch(options, Startup { config, texts })
}

fn checked(options: &Options, warned: bool, listens: bool) -> ExitCode {
    if !listens {
        if !options.quiet {
            println!(
                "Configuration file has no error but will not start (no listener) => exit(2)."
            );
        }
        return ExitCode::from(NO_LISTENER);
    }
    if !options.quiet && warned {
        println!("Warnings were found.");
    }
    if options.verbose {
        println!("Configuration file is valid");
    }
    ExitCode::SUCCESS
}

/// Prints what there is to say about the files.
fn tell(options: &Options, loaded: &Loaded) {
    if options.json {
        eprint!("{}", loaded.report.json());
        return;
    }
    if options.quiet && !options.verbose {
        return;
    }
    eprint!(
        "{}",
        findings(options, loaded, std::io::stderr().is_terminal())
    );
}

/// The findings as text.
pub fn findings(options: &Options, loaded: &Loaded, color: bool) -> String {
    let executable = std::env::current_exe().unwrap_or_default();
    let voice = Voice {
        program: "evenkeel",
        version: env!("CARGO_PKG_VERSION"),
        executable: &executable,
        pid: std::process::id(),
        notes: options.verbose || options.diagnostics,
        snippets: true,
        color,
    };
    voice.findings(&loaded.report)
}
