//! `healthcheck` sections: checks with a name that several backends share.
//!
//! The lines are those of health checks in a backend; `type` stands for
//! `option`, so that `type httpchk GET /` reads as what it is.

use super::draft::Draft;
use super::lines::{apply_row, check_variable, find};
use super::model::HealthCheck;
use super::proxy::{check_kinds, checks, timeouts};
use crate::diagnostic::Report;
use crate::keyword::{Keyword, Word};

/// A section that was read.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What its lines said.
    pub draft: Draft,
}

impl Named {
    /// The check, once its rules were put together.
    pub fn check(&mut self) -> HealthCheck {
        let disables = self.draft.back().disable_on_404;
        HealthCheck {
            disable_on_404: disables,
            ..self.draft.back().check.clone()
        }
    }
}

/// Rows of the section that backends have too.
fn tables() -> impl Iterator<Item = &'static [Keyword<Draft>]> + Clone {
    [checks::BACK, check_kinds::BACK, CHOICE].into_iter()
}

/// Lines of the section itself.
pub static CHOICE: &[Keyword<Draft>] = &[
    Keyword {
        name: "type",
        args: "<kind> [<arguments>]",
        doc: "The kind of check, named as its `option` is in a backend: `httpchk`, `tcp-check`, \
              `redis-check`, `external-check` ...",
        example: "type httpchk GET /api/health/checks/alarms",
        // read as the `option` line that it stands for
        apply: |_, a| a.finish(),
    },
    Keyword {
        name: "timeout check",
        args: "<time>",
        doc: "As in a backend.",
        example: "timeout check 3s",
        apply: timeouts::check,
    },
];

/// Reads a line of the section.
pub(super) fn line(draft: &mut Draft, words: &[Word], place: &str, report: &mut Report) {
    let mut words = words.to_vec();
    if words[0].text == "type" && words.len() > 1 {
        words[0].text = "option".to_owned();
    }
    if let Some(result) = check_variable(draft, &words) {
        report.diagnostics.append(&mut draft.diagnostics);
        if let Err(e) = result {
            report.push(e);
        }
        return;
    }
    match find(tables(), &words) {
        Some((row, count)) => apply_row(draft, row, count, &words, report),
        None => {
            let names = tables().flat_map(|rows| rows.iter().map(|row| row.name));
            report.push(super::lines::unknown_line(&words, place, names, &[]));
        }
    }
}

/// Where the section's own words come from, for suggestions.
pub(super) fn first_words() -> Vec<&'static str> {
    let first = |name: &'static str| name.split(' ').next().unwrap_or(name);
    tables()
        .flat_map(|rows| rows.iter().map(|row| first(row.name)))
        .collect()
}
