//! What a command of the runtime CLI is: a row of a table, and the answer it gives.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use conf::lb::model::{AdminLevel, SeverityOutput};

use super::Control;
use crate::state::Peer;

/// How grave a message is, in syslog's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
}

impl Severity {
    /// Its name with `severity-output string`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "err",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// What a command answers. Long answers are made piece by piece, when the reader took the last.
pub enum Answer {
    /// Done, nothing to say.
    Done,
    /// A message to the operator.
    Say(Severity, String),
    /// Output, ending with a newline.
    Text(String),
    /// Output in pieces.
    Pieces(Box<dyn Iterator<Item = String> + Send>),
    /// Output in pieces that come with time, until the reader leaves or types.
    Follow(tokio::sync::mpsc::Receiver<String>),
    /// An answer that others must be asked for.
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// Ends the connection.
    Quit,
}

impl Answer {
    /// An error in one line.
    pub fn error(text: impl Into<String>) -> Self {
        Answer::Say(Severity::Error, text.into())
    }
}

/// What a connection to the CLI carries from command to command.
#[derive(Clone, Debug)]
pub struct Session {
    /// What it may do.
    pub level: AdminLevel,
    /// It shows a prompt and stays open.
    pub prompt: bool,
    /// It ends after this time without input.
    pub timeout: Duration,
    /// How messages are marked.
    pub severity: SeverityOutput,
    /// Who speaks.
    pub peer: Peer,
    /// The connection itself, where listeners may be handed out over it.
    pub stream: Option<Arc<OwnedFd>>,
    /// `expert-mode`: scripts for HAProxy switch it on, and nothing needs it.
    pub expert: bool,
    /// `experimental-mode`: `set var` needs it.
    pub experimental: bool,
}

/// A command being run.
pub struct Call<'a> {
    pub control: &'a Arc<Control>,
    pub session: &'a mut Session,
    /// The words after those that name the command.
    pub arguments: &'a [String],
}

impl Call<'_> {
    /// An argument, empty when it is missing.
    pub fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", String::as_str)
    }

    /// Refuses what a lower level than this may not do.
    pub fn require(&self, level: AdminLevel) -> Result<(), Answer> {
        if self.session.level >= level {
            Ok(())
        } else {
            Err(Answer::error("Permission denied"))
        }
    }
}

/// What running a command means.
pub enum Run {
    Here(fn(&mut Call<'_>) -> Answer),
    /// HAProxy has it and this program does not; why not.
    Absent(&'static str),
}

/// A row of the table.
pub struct Command {
    /// The words that name it.
    pub words: &'static [&'static str],
    /// What follows them, for the help.
    pub arguments: &'static str,
    /// What it does, for the help.
    pub help: &'static str,
    /// Who may run it.
    pub level: AdminLevel,
    pub run: Run,
}

impl Command {
    /// A command that works.
    pub const fn new(
        words: &'static [&'static str],
        arguments: &'static str,
        level: AdminLevel,
        help: &'static str,
        run: fn(&mut Call<'_>) -> Answer,
    ) -> Self {
        Self {
            words,
            arguments,
            help,
            level,
            run: Run::Here(run),
        }
    }

    /// A command that is named so that it can be refused with a reason.
    pub const fn absent(words: &'static [&'static str], why: &'static str) -> Self {
        Self {
            words,
            arguments: "",
            help: "",
            level: AdminLevel::User,
            run: Run::Absent(why),
        }
    }

    /// For programs only: the help does not show it.
    pub fn is_hidden(&self) -> bool {
        self.words.first().is_some_and(|word| word.starts_with('_'))
    }

    /// Whether the line's first words name this command.
    pub fn is_named_by(&self, words: &[String]) -> bool {
        words.len() >= self.words.len() && self.words.iter().zip(words).all(|(a, b)| a == b)
    }

    /// The words and arguments, as the help shows them.
    pub fn usage(&self) -> String {
        let mut usage = self.words.join(" ");
        if !self.arguments.is_empty() {
            usage.push(' ');
            usage.push_str(self.arguments);
        }
        usage
    }
}
