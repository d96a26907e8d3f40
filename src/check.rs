//! `evenkeel check`: reads configuration files and says what is wrong with
//! them; starts nothing, resolves nothing.

use clap::{CommandFactory, Parser, ValueEnum};
use conf::diagnostic::{Report, Severity};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads configuration files and says what is wrong with them.
#[derive(Parser, Debug)]
#[command(name = "evenkeel check", disable_version_flag = true)]
pub struct Options {
    /// Text for people, or one JSON object a line for editors.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The files' language; by default told from name and contents.
    #[arg(long, value_enum)]
    lang: Option<Language>,

    /// Nothing but errors and warnings.
    #[arg(long)]
    no_notes: bool,

    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,

    /// Files; those of the balancer are read together, as with several `-f`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// A configuration language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    /// The balancer's.
    #[value(alias = "lb")]
    Haproxy,
    /// The VRRP daemon's.
    #[value(alias = "vip")]
    Keepalived,
    /// The broker's: broker.toml or rabbitmq.conf.
    #[value(aliases = ["rabbitmq", "toml"])]
    Broker,
}

/// Its options, for the manual.
pub fn parser() -> clap::Command {
    Options::command()
}

/// Entry of the subcommand.
pub fn command(args: Vec<String>) -> ExitCode {
    let words = std::iter::once("evenkeel check".to_owned()).chain(args);
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let mut good = true;
    for (name, mut report) in reports(&options) {
        if options.no_notes {
            report.diagnostics.retain(|d| d.severity != Severity::Note);
        }
        let warned = options.strict && report.count(Severity::Warning) > 0;
        good &= !report.has_errors() && !warned;
        match options.format {
            Format::Json => print!("{}", report.json()),
            Format::Human => show(&name, &report),
        }
    }
    ExitCode::from(u8::from(!good))
}

fn show(name: &str, report: &Report) {
    eprint!("{}", report.human(std::io::stderr().is_terminal()));
    let counts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .map(|severity| (report.count(severity), severity.word()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    let verdict = if report.has_errors() {
        "refused"
    } else {
        "valid"
    };
    match counts.as_slice() {
        [] => eprintln!("{name}: {verdict}"),
        counts => eprintln!("{name}: {verdict}, {}", counts.join(", ")),
    }
    let codes = |d: &conf::diagnostic::Diagnostic| d.severity == Severity::Error;
    if let Some(first) = report.diagnostics.iter().find(|d| codes(d)) {
        eprintln!("`evenkeel explain {}` tells more", first.code);
    }
}

/// The reports of all files: one for all of the balancer's, one for each other.
fn reports(options: &Options) -> Vec<(String, Report)> {
    let language = |file: &Path| options.lang.unwrap_or_else(|| detect(file));
    let (balancer, others): (Vec<_>, Vec<_>) = options
        .files
        .iter()
        .cloned()
        .partition(|file| language(file) == Language::Haproxy);
    let mut out = Vec::new();
    if !balancer.is_empty() {
        let (_, report) = conf::lb::load(&balancer, conf::lb::Env::of_process());
        let names: Vec<_> = balancer.iter().map(|f| f.display().to_string()).collect();
        out.push((names.join(", "), report));
    }
    for file in others {
        let (_, report) = match language(&file) {
            Language::Broker => {
                let (config, report) = conf::broker::load(&file);
                (config.map(|_| ()), report)
            }
            Language::Keepalived | Language::Haproxy => {
                let (config, report) = conf::vip::load(&file, &vip::reading());
                (config.map(|_| ()), report)
            }
        };
        out.push((file.display().to_string(), report));
    }
    out
}

/// Tells the language from the file's name, else from the words that lines
/// start with.
fn detect(file: &Path) -> Language {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".toml") || name.contains("rabbitmq.conf") {
        return Language::Broker;
    }
    if name.starts_with("keepalived") {
        return Language::Keepalived;
    }
    if name.ends_with(".cfg") || file.is_dir() {
        return Language::Haproxy;
    }
    let text = std::fs::read(file).unwrap_or_default();
    of_text(&String::from_utf8_lossy(&text))
}

fn of_text(text: &str) -> Language {
    for line in text.lines() {
        let line = line.trim_start();
        let word = line
            .split(|c: char| c.is_whitespace() || c == '{')
            .next()
            .unwrap_or("");
        if conf::vip::begins_line(word) {
            return Language::Keepalived;
        }
        if conf::lb::SECTIONS.contains(&word) {
            return Language::Haproxy;
        }
        let key = line.split('=').next().unwrap_or("").trim_end();
        let is_key = !key.is_empty() && !key.contains(char::is_whitespace);
        if line.contains('=') && is_key && !line.starts_with(['#', '!']) {
            return Language::Broker;
        }
    }
    Language::Haproxy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_from_its_first_words() {
        assert_eq!(of_text("# x\nglobal\n  daemon\n"), Language::Haproxy);
        assert_eq!(of_text("! x\nglobal_defs {\n}\n"), Language::Keepalived);
        assert_eq!(of_text("listeners.tcp.1 = 5672\n"), Language::Broker);
        assert_eq!(of_text("\nvrrp_instance VI_1 {\n"), Language::Keepalived);
        assert_eq!(of_text("track_lb proxy {\n"), Language::Keepalived);
        assert_eq!(of_text("$VIP=10.0.0.9\n"), Language::Keepalived);
        assert_eq!(of_text("@a vrrp_instance V {\n"), Language::Keepalived);
        assert_eq!(of_text("~SEQ(N, 1, 2) x=1\n"), Language::Keepalived);
        assert_eq!(of_text("include other.conf\n"), Language::Keepalived);
        assert_eq!(of_text(""), Language::Haproxy);
        let named = |name: &str| detect(Path::new(name));
        assert_eq!(named("/none/keepalived-a.conf"), Language::Keepalived);
        assert_eq!(named("/none/proxy.cfg"), Language::Haproxy);
    }
}
