//! Keywords of `global`, by subject.

pub mod limits;
pub mod process;
pub mod tune;
pub mod variables;

use super::env::Env;
use super::model::Global;
use crate::diagnostic::Diagnostic;
use crate::keyword::Keyword;
use crate::lb::draft::Negation;
use crate::source::Span;
use std::collections::BTreeMap;

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
}

impl GlobalDraft {
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
    ("Environment", variables::KEYWORDS),
    ("Tuning", tune::KEYWORDS),
];
