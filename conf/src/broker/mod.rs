//! The broker's configuration: `broker.toml`, and `rabbitmq.conf` where its
//! keys mean something here.

mod codes;
mod draft;
mod model;
mod rabbitmq_conf;
mod reference;
mod settings;
mod toml_file;
mod value;

pub use codes::CODES;
pub use model::{
    ClientAuth, Compat, Config, DefaultUser, DiskLimit, Log, LoginFrom, MemoryLimit, Tls,
    everywhere, loopback,
};
pub use reference::page as reference_page;
pub use value::{parse_address, parse_duration, parse_size};

use crate::diagnostic::{Diagnostic, Report};
use crate::source::FileId;
use draft::Draft;
use std::path::Path;

/// Reads a configuration file. The configuration is there when no finding is
/// an error.
pub fn load(path: &Path) -> (Option<Config>, Report) {
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse(path, text),
            Err(error) => (None, no_text(path, &error)),
        },
        Err(error) => {
            let mut report = Report::default();
            let message = format!("cannot read {}: {error}", path.display());
            report.push(Diagnostic::general("E0001", message));
            (None, report)
        }
    }
}

/// Reads a configuration that is in memory; `path` names it and tells its form.
pub fn parse(path: &Path, text: String) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let form = Form::of(path, &text);
    let file = report.sources.add(path, text);
    let mut draft = Draft::default();
    match form {
        Form::Toml => toml_file::read(&mut report, file, &mut draft),
        Form::RabbitmqConf => rabbitmq_conf::read(&mut report, file, &mut draft),
        Form::ErlangTerms => {
            let span = report.sources.span(file, 0, 1);
            let message = "this is a configuration in Erlang terms";
            report.push(
                Diagnostic::error("E3004", span, message)
                    .label("a list begins here")
                    .help("write its settings as `key = value` lines (rabbitmq.conf) or as broker.toml"),
            );
        }
    }
    let config = finish(&mut report, file, draft);
    let config = config.filter(|_| !report.has_errors());
    (config, report)
}

/// The file is not UTF-8: where it stops being.
fn no_text(path: &Path, error: &std::string::FromUtf8Error) -> Report {
    let mut report = Report::default();
    let at = error.utf8_error().valid_up_to();
    let file = report
        .sources
        .add(path, String::from_utf8_lossy(error.as_bytes()).into_owned());
    let span = report
        .sources
        .span(file, at, at + char::REPLACEMENT_CHARACTER.len_utf8());
    let message = "the file is not text in UTF-8";
    report.push(Diagnostic::error("E3001", span, message).label("a byte that is no character"));
    report
}

fn finish(report: &mut Report, file: FileId, draft: Draft) -> Option<Config> {
    if let Some((address, later, earlier)) = draft.clash() {
        let message = format!("{address} is listened on already");
        report.push(
            Diagnostic::error("E3005", later, message)
                .label("the second listener at this port")
                .also(earlier, "the first"),
        );
    }
    let tls_at = draft.tls_at;
    match draft.finish() {
        Ok(config) => Some(config),
        Err(missing) => {
            let span = tls_at.unwrap_or_else(|| report.sources.span(file, 0, 0));
            let message = format!("TLS is configured without {missing}");
            report.push(Diagnostic::error("E3003", span, message));
            None
        }
    }
}

enum Form {
    Toml,
    RabbitmqConf,
    ErlangTerms,
}

impl Form {
    fn of(path: &Path, text: &str) -> Form {
        let lines = text.lines().map(str::trim);
        let first = lines
            .clone()
            .find(|line| !line.is_empty() && !line.starts_with(['#', '%']))
            .unwrap_or("");
        let extension = path.extension().and_then(|e| e.to_str());
        let erlang = first == "[" || first.starts_with("[{") || first == "[].";
        match extension {
            Some("toml") => Form::Toml,
            _ if erlang => Form::ErlangTerms,
            Some("conf") => Form::RabbitmqConf,
            _ if first.starts_with('[') => Form::Toml,
            _ => Form::RabbitmqConf,
        }
    }
}

#[cfg(test)]
mod tests;
