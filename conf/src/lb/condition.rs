//! `if` and `unless` behind a rule.

use super::acl;
use super::draft::Draft;
use super::model::{Condition, Term};
use super::sample::When;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word};

/// Takes `if ...` or `unless ...` up to the end of the line, if it is there;
/// anything else is too much (E0004).
pub fn optional(
    d: &mut Draft,
    a: &mut Args<'_>,
    when: When,
) -> Result<Option<Condition>, Diagnostic> {
    if a.peek().is_none_or(|w| !is_start(w)) {
        a.finish()?;
        return Ok(None);
    }
    required(d, a, when).map(Some)
}

/// Whether a word starts a condition.
pub fn is_start(word: &Word) -> bool {
    matches!(word.text.as_str(), "if" | "unless")
}

/// Takes `if ...` or `unless ...`, which must be there.
pub fn required(d: &mut Draft, a: &mut Args<'_>, when: When) -> Result<Condition, Diagnostic> {
    let start = a.expect("`if` or `unless` and a condition")?;
    if !is_start(start) {
        return Err(crate::keyword::wrong(start, "`if` or `unless`"));
    }
    let words = a.rest();
    let mut parser = Parser {
        d,
        words,
        at: 0,
        when,
    };
    let any = parser.any(start)?;
    Ok(Condition {
        unless: start.text == "unless",
        any,
    })
}

struct Parser<'a, 'd> {
    d: &'d mut Draft,
    words: &'a [Word],
    at: usize,
    when: When,
}

impl Parser<'_, '_> {
    fn any(&mut self, start: &Word) -> Result<Vec<Vec<Term>>, Diagnostic> {
        let mut any = vec![Vec::new()];
        while let Some(word) = self.words.get(self.at) {
            if matches!(word.text.as_str(), "or" | "||") {
                self.at += 1;
                any.push(Vec::new());
                continue;
            }
            let term = self.term()?;
            if let Some(all) = any.last_mut() {
                all.push(term);
            }
        }
        if any.iter().any(Vec::is_empty) {
            let end = self.words.last().unwrap_or(start).span.after();
            return Err(Diagnostic::error("E0003", end, "a condition is missing")
                .label("expected the name of an ACL or `{ ... }`"));
        }
        Ok(any)
    }

    fn term(&mut self) -> Result<Term, Diagnostic> {
        let mut negated = false;
        let mut word = &self.words[self.at];
        let mut name = word.text.as_str();
        while let Some(rest) = name.strip_prefix('!') {
            negated = !negated;
            name = rest;
            if name.is_empty() {
                self.at += 1;
                word = self.words.get(self.at).ok_or_else(|| {
                    Diagnostic::error("E0003", word.span.after(), "an ACL is missing behind `!`")
                })?;
                name = word.text.as_str();
            }
        }
        let word = word.clone();
        let acl = if name == "{" {
            self.in_place(&word)?
        } else {
            let index = acl::named(self.d, &word, name)?;
            self.at += 1;
            index
        };
        self.check(acl, &word);
        Ok(Term { negated, acl })
    }

    /// `{ criterion values }`.
    fn in_place(&mut self, open: &Word) -> Result<usize, Diagnostic> {
        let rest = &self.words[self.at + 1..];
        let Some(length) = rest.iter().position(|w| w.text == "}") else {
            return Err(Diagnostic::error("E0008", open.span, "missing closing `}`")
                .label("opened here")
                .help("the braces are words of their own: put spaces around them"));
        };
        let test = acl::test(self.d, &rest[..length], open.span)?;
        self.at += length + 2;
        Ok(acl::add(self.d, "", Some(test), open.span))
    }

    /// Warns about an ACL of which nothing is there at that time, and
    /// remembers rules that need contents.
    fn check(&mut self, index: usize, word: &Word) {
        let rows: Vec<_> = self.d.proxy.acls[index]
            .tests
            .iter()
            .filter_map(|test| {
                let text = &test.expr.text;
                let end = text.find(['(', ',']).unwrap_or(text.len());
                super::sample::fetch::find(&text[..end])
            })
            .collect();
        let never = !rows.is_empty() && rows.iter().all(|row| !row.available(self.when));
        if never {
            let place = self.when.place();
            self.d.diagnostics.push(
                Diagnostic::warning(
                    "E1017",
                    word.span,
                    format!("this condition never matches in {place}"),
                )
                .label(format!("`{}` is not available there", rows[0].name)),
            );
        }
        use super::sample::fetch::Needs;
        let inspects = |row: &&super::sample::fetch::Row| {
            row.needs == Needs::Request && row.name != "req.proto_http"
        };
        if self.when == When::Content && rows.iter().any(inspects) {
            self.d.marks.needs_inspection.get_or_insert(word.span);
        }
    }
}
