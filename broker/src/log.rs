//! The node's log: where it goes, and how much is said, which an operator may change while the node runs.

use conf::broker::Log;
use std::io;
use std::sync::{Arc, OnceLock};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::{EnvFilter, reload};

/// Puts another filter in place of the present one.
type Change = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// The levels in RabbitMQ's words, and what they are called here.
const LEVELS: [(&str, &str); 6] = [
    ("debug", "debug"),
    ("info", "info"),
    ("warning", "warn"),
    ("error", "error"),
    ("critical", "error"),
    ("none", "off"),
];

/// Starts the log. A second start in one process (tests) keeps the first one.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&log.level));
    let file = log.file.as_ref().map(|path| {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        file.map_err(|error| eprintln!("evenkeel broker: log file {}: {error}", path.display()))
    });
    let (writer, ansi) = match file {
        Some(Ok(file)) => (BoxMakeWriter::new(Arc::new(file)), false),
        _ => (
            BoxMakeWriter::new(io::stderr),
            io::IsTerminal::is_terminal(&io::stderr()),
        ),
    };
    let builder = tracing_subscriber::fmt()
        .with_ansi(ansi && !log.json)
        .with_writer(writer);
    let _ = if log.json {
        let builder = builder
            .event_format(service::JsonLines { daemon: "broker" })
            .with_env_filter(filter)
            .with_filter_reloading();
        keep(builder.reload_handle());
        builder.try_init()
    } else {
        let builder = builder.with_env_filter(filter).with_filter_reloading();
        keep(builder.reload_handle());
        builder.try_init()
    };
}

fn keep<S: 'static>(handle: reload::Handle<EnvFilter, S>) {
    let change = move |filter| handle.reload(filter).map_err(|error| error.to_string());
    // only the first log is in use
    let _ = CHANGE.set(Box::new(change));
}

/// Changes how much is said, by one of RabbitMQ's words; the error is for the operator.
pub fn set_level(word: &str) -> Result<(), String> {
    let Some((_, level)) = LEVELS.iter().find(|(known, _)| *known == word) else {
        let known = LEVELS.map(|(known, _)| known).join(", ");
        return Err(format!("level {word} is not supported. Try one of {known}"));
    };
    match CHANGE.get() {
        Some(change) => change(EnvFilter::new(level)),
        None => Err("the log was not started by this node".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_level_names_the_known_ones() {
        let text =
            "level zzz is not supported. Try one of debug, info, warning, error, critical, none";
        assert_eq!(set_level("zzz"), Err(text.to_owned()));
    }
}
