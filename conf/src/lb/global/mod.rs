//! Keywords of `global`, by subject.

pub mod files;
pub mod limits;
pub mod process;
pub mod tune;
pub mod variables;

use super::env::Env;
use super::model::{Global, RuleLine};
use crate::diagnostic::Diagnostic;
use crate::keyword::Keyword;
use crate::lb::draft::{Negation, Surroundings, UnixBind};
use crate::source::Span;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

/// The `global` sections in the making; all of a run write into one.
#[derive(Debug, Default)]
pub struct GlobalDraft {
    /// The result so far.
    pub global: Global,
    /// Variables, which this section can change.
    pub env: Env,
    /// Findings of the current line besides the one that `apply` returns.
    pub diagnostics: Vec<Diagnostic>,
    /// Prefix of the current line.
    pub negation: Negation,
    /// Keywords that may stand once, and where they stood.
    pub seen: BTreeMap<&'static str, Span>,
    /// `unix-bind`.
    pub unix_bind: UnixBind,
    /// `default-path`.
    pub default_path: DefaultPath,
    /// The file that is being read, as it was named.
    pub file: PathBuf,
    /// The line of it.
    pub line: RuleLine,
}

/// `default-path`: what relative paths of files that are read start from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultPath {
    /// The working directory.
    #[default]
    Current,
    /// The directory of the configuration file.
    Config,
    /// The one above that.
    Parent,
    /// This one.
    Origin(PathBuf),
}

impl GlobalDraft {
    /// What the lines that follow may know of those before.
    pub fn surroundings(&self) -> Rc<Surroundings> {
        Rc::new(Surroundings {
            env: self.env.clone(),
            global_logs: self.global.logs.clone(),
            unix_bind: self.unix_bind.clone(),
            line: self.line.clone(),
            base: self.base(),
        })
    }

    fn base(&self) -> Option<PathBuf> {
        let directory = || self.file.parent().map(PathBuf::from).unwrap_or_default();
        match &self.default_path {
            DefaultPath::Current => None,
            DefaultPath::Config => Some(directory()),
            DefaultPath::Parent => Some(directory().join("..")),
            DefaultPath::Origin(path) => Some(path.clone()),
        }
    }

    /// Remembers where a keyword stood; a second time is a note.
    pub fn once(&mut self, keyword: &'static str, span: Span) {
        if let Some(first) = self.seen.insert(keyword, span) {
            self.diagnostics.push(
                Diagnostic::note("E1101", span, format!("`{keyword}` is set twice"))
                    .label("this one counts")
                    .also(first, "this one has no effect"),
            );
        }
    }

    /// For keywords whose first line counts: gives false the second time,
    /// with a note.
    pub fn first(&mut self, keyword: &'static str, span: Span) -> bool {
        let Some(first) = self.seen.get(keyword) else {
            self.seen.insert(keyword, span);
            return true;
        };
        self.diagnostics.push(
            Diagnostic::note("E1008", span, format!("`{keyword}` already specified"))
                .label("this one has no effect")
                .also(*first, "this one counts"),
        );
        false
    }
}

/// All tables with their headings.
pub static TABLES: &[(&str, &[Keyword<GlobalDraft>])] = &[
    ("Process", process::KEYWORDS),
    ("Limits and logs", limits::KEYWORDS),
    ("Environment and variables", variables::KEYWORDS),
    ("Files and unix sockets", files::KEYWORDS),
    ("Tuning", tune::KEYWORDS),
];
