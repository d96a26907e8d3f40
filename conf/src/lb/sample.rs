//! Expressions: a fetch and its converters.

use super::draft::Draft;
use super::known;
use super::model::Expr;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word};

/// When an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At accept.
    Connection,
    /// While contents are inspected.
    Content,
    /// When a line is logged.
    Log,
}

/// Takes an expression from the arguments of a line.
pub fn take(_: &mut Draft, a: &mut Args<'_>, _: When) -> Result<Expr, Diagnostic> {
    let word = a.expect("an expression")?;
    Err(known::not_yet(word.span, "expressions"))
}

/// Parses an expression that is one word.
pub fn parse_text(_: &mut Draft, word: &Word, _: When) -> Result<Expr, Diagnostic> {
    Err(known::not_yet(word.span, "expressions"))
}
