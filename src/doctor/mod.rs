//! `evenkeel doctor`: looks at this host, or at all hosts named in a file, and
//! says in plain words what is wrong and which command mends it. It only looks;
//! it changes nothing.

mod checks;
mod facts;
mod hosts;

use clap::{CommandFactory, Parser};
use facts::Facts;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Looks at this host, or at all hosts named in a file.
#[derive(Parser, Debug)]
#[command(name = "evenkeel doctor", disable_version_flag = true)]
pub struct Options {
    /// A file that names the hosts: [[host]] with `name` and `run`, such as run = "ssh root@proxy-a".
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,

    /// The balancer's configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/evenkeel/haproxy.cfg")]
    lb: PathBuf,

    /// The VRRP daemon's configuration.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/evenkeel/keepalived.conf"
    )]
    vip: PathBuf,

    /// Where the daemons keep their sockets.
    #[arg(long, value_name = "DIR", default_value = "/run/evenkeel")]
    run_dir: PathBuf,

    /// Findings as JSON.
    #[arg(long)]
    json: bool,

    /// Only the facts of this host as JSON; what `--hosts` asks other hosts for.
    #[arg(long)]
    facts: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Looked at, and well.
    Good,
    /// Worth knowing.
    Note,
    /// Works, but will hurt.
    Warning,
    /// Does not work.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// The host.
    pub host: String,
    /// What is so, in plain words.
    pub text: String,
    /// The command or line that mends it.
    pub mend: String,
}

/// Its options, for the manual.
pub fn parser() -> clap::Command {
    Options::command()
}

/// `evenkeel doctor`: 0 when nothing is wrong, 1 with errors, 2 when it could not look.
pub fn command(args: Vec<String>) -> ExitCode {
    let all = std::iter::once("evenkeel doctor".to_owned()).chain(args);
    let options = match Options::try_parse_from(all) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    if options.facts {
        let facts = Facts::gather(&options);
        println!("{}", serde_json::to_string(&facts).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let findings = match &options.hosts {
        None => checks::host(&checks::Host::new(Facts::gather(&options))),
        Some(file) => match hosts::look(file, &options) {
            Ok(findings) => findings,
            Err(reason) => {
                eprintln!("evenkeel doctor: {reason}");
                return ExitCode::from(2);
            }
        },
    };
    print(&findings, options.json);
    let wrong = findings.iter().any(|f| f.level == Level::Error);
    ExitCode::from(u8::from(wrong))
}

fn print(findings: &[Finding], json: bool) {
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(findings).unwrap_or_default()
        );
        return;
    }
    for finding in findings {
        let word = match finding.level {
            Level::Good => "good   ",
            Level::Note => "note   ",
            Level::Warning => "WARNING",
            Level::Error => "ERROR  ",
        };
        println!("{word}  {}: {}", finding.host, finding.text);
        if !finding.mend.is_empty() {
            println!("         -> {}", finding.mend);
        }
    }
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    println!(
        "\n{} errors, {} warnings, {} notes, {} good",
        count(Level::Error),
        count(Level::Warning),
        count(Level::Note),
        count(Level::Good)
    );
}
