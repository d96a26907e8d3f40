//! Expressions: a fetch and the converters behind it, `src,ipmask(24)`.

pub mod convert;
pub mod fetch;

use super::call::Call;
use super::draft::Draft;
use super::model::Expr;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word};
use crate::suggest;

/// When an expression is evaluated, which decides what it may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `tcp-request connection`: only the connection is there.
    Connection,
    /// `tcp-request session`: the PROXY header was read.
    Session,
    /// `tcp-request content`, `use_backend`, `balance`: what the client sent so far.
    Content,
    /// `use-server`: a backend was chosen.
    Backend,
    /// `tcp-response content`: what the server sent so far.
    Response,
    /// `http-request`.
    HttpRequest,
    /// `http-response`.
    HttpResponse,
    /// When a line is logged: everything but contents.
    Log,
    /// `tcp-check`, `http-check`.
    Check,
    /// While the configuration is read: constants only.
    Load,
}

impl When {
    /// For messages.
    pub fn place(self) -> &'static str {
        match self {
            When::Connection => "a `tcp-request connection` rule",
            When::Session => "a `tcp-request session` rule",
            When::Content => "a content rule",
            When::Backend => "a `use-server` rule",
            When::Response => "a `tcp-response content` rule",
            When::HttpRequest => "an `http-request` rule",
            When::HttpResponse => "an `http-response` rule",
            When::Log => "a format",
            When::Check => "a health check",
            When::Load => "the global section",
        }
    }
}

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Any,
    Bool,
    Int,
    Ip,
    Str,
    Bin,
    Method,
}

/// An expression with what the reader of ACLs wants to know.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The expression.
    pub expr: Expr,
    /// Type of its value.
    pub kind: Kind,
    /// The fetch's row.
    pub row: &'static fetch::Row,
}

/// Takes an expression from the arguments of a line: one word, or several
/// when commas stand between them.
pub fn take(d: &mut Draft, a: &mut Args<'_>, when: When) -> Result<Expr, Diagnostic> {
    let word = a.expect("an expression")?;
    parse_text(d, word, when)
}

/// Parses an expression that is one word and refuses what is not available then.
pub fn parse_text(d: &mut Draft, word: &Word, when: When) -> Result<Expr, Diagnostic> {
    let parsed = parse(d, word)?;
    if !parsed.row.available(when) {
        return Err(Diagnostic::error(
            "E1017",
            word.span,
            format!("`{}` is not available in {}", parsed.row.name, when.place()),
        )
        .label("nothing to look at at that time"));
    }
    Ok(parsed.expr)
}

/// Parses an expression.
pub fn parse(d: &mut Draft, word: &Word) -> Result<Parsed, Diagnostic> {
    let mut parts = pieces(word).into_iter();
    let first = parts.next().unwrap_or_else(|| word.clone());
    let call = Call::of(&first)?;
    let row = fetch::find(call.name).ok_or_else(|| unknown_fetch(&first, call.name))?;
    let fetch = (row.make)(d, &call)?;
    let mut kind = row.kind;
    let mut converters = Vec::new();
    for part in parts {
        let call = Call::of(&part)?;
        let row = convert::find(call.name).ok_or_else(|| unknown_converter(&part, call.name))?;
        if !accepts(row.takes, kind) {
            return Err(Diagnostic::error(
                "E1018",
                part.span,
                format!(
                    "converter `{}` cannot take what stands ahead of it",
                    row.name
                ),
            )
            .label(format!("takes {:?}, gets {kind:?}", row.takes)));
        }
        converters.push((row.make)(&call)?);
        if row.gives != Kind::Any {
            kind = row.gives;
        }
    }
    let expr = Expr {
        fetch,
        converters,
        text: word.text.clone(),
    };
    Ok(Parsed { expr, kind, row })
}

/// Which types convert by themselves.
fn accepts(takes: Kind, gets: Kind) -> bool {
    match (takes, gets) {
        (Kind::Any, _) | (_, Kind::Any) => true,
        (Kind::Bool | Kind::Int, Kind::Ip) => takes == Kind::Int,
        (Kind::Bool | Kind::Int, Kind::Bin | Kind::Method) => false,
        (Kind::Ip, Kind::Bool | Kind::Bin | Kind::Method) => false,
        _ => true,
    }
}

/// Splits at commas outside of parentheses.
fn pieces(word: &Word) -> Vec<Word> {
    let mut out = Vec::new();
    let mut start = 0;
    for (at, _) in outside(&word.text).filter(|(_, c)| *c == ',') {
        out.push(piece(word, start, at));
        start = at + 1;
    }
    out.push(piece(word, start, word.text.len()));
    out
}

/// The characters outside of parentheses and of the quotes in them, without escaped ones.
pub(super) fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().filter(move |&(_, c)| {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            ('"' | '\'', None) if depth > 0 => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('(', None) => depth += 1,
            (')', None) => depth = depth.saturating_sub(1),
            (_, None) => return depth == 0,
        }
        false
    })
}

/// A part without the spaces around it.
pub(super) fn piece(word: &Word, start: usize, end: usize) -> Word {
    let text = &word.text[start..end];
    let left = text.len() - text.trim_start().len();
    let length = text.trim().len();
    word.part(start + left, start + left + length)
}

fn unknown_fetch(word: &Word, name: &str) -> Diagnostic {
    if fetch::is_known(name) {
        return super::known::not_yet(word.span, &format!("fetch `{name}`"));
    }
    let near = suggest::nearest(name, fetch::TABLE.iter().map(|row| row.name));
    Diagnostic::error("E1019", word.span, format!("unknown fetch method `{name}`")).label(
        match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not a fetch".to_owned(),
        },
    )
}

fn unknown_converter(word: &Word, name: &str) -> Diagnostic {
    if convert::is_known(name) {
        return super::known::not_yet(word.span, &format!("converter `{name}`"));
    }
    let near = suggest::nearest(name, convert::TABLE.iter().map(|row| row.name));
    Diagnostic::error("E1019", word.span, format!("unknown converter `{name}`")).label(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "not a converter".to_owned(),
    })
}
