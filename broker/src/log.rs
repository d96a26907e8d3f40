//! The node's log: where it goes, and how much is said, which an operator may change while the node runs.

use conf::broker::Log;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::{EnvFilter, reload};

/// Puts another filter in place of the present one.
type Change = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// The log's file, where it has one.
static FILE: OnceLock<LogFile> = OnceLock::new();

struct LogFile {
    path: PathBuf,
    open: Mutex<File>,
}

/// Writes to the log's file, whichever is open.
struct ToFile;

impl io::Write for ToFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match FILE.get() {
            Some(file) => file
                .open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write(line),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
    let (writer, ansi) = match log.file.as_deref().is_some_and(open) {
        true => (BoxMakeWriter::new(|| ToFile), false),
        false => (
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

/// Whether the log's file could be opened; why not goes to standard error.
fn open(path: &Path) -> bool {
    let file = match append_to(path) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("evenkeel broker: log file {}: {error}", path.display());
            return false;
        }
    };
    let file = LogFile {
        path: path.to_owned(),
        open: Mutex::new(file),
    };
    // only the first log is in use
    let _ = FILE.set(file);
    true
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Opens the log's file anew, for what rotates logs has moved it away; one that cannot be opened leaves the old one in use.
pub fn reopen() {
    let Some(file) = FILE.get() else { return };
    match append_to(&file.path) {
        Ok(anew) => *file.open.lock().unwrap_or_else(PoisonError::into_inner) = anew,
        Err(error) => {
            tracing::error!(path = %file.path.display(), %error, "the log's file stays as it was")
        }
    }
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
