//! Words of the form `name(argument,argument)`.

use crate::diagnostic::Diagnostic;
use crate::keyword::Word;
use crate::source::Span;

/// A word taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'a> {
    /// What stands before the parenthesis.
    pub name: &'a str,
    /// There were parentheses.
    pub has_parentheses: bool,
    /// The arguments; one empty argument for `()` is none.
    pub args: Vec<String>,
    /// The whole word.
    pub span: Span,
}

impl<'a> Call<'a> {
    /// Takes a word apart; E0008 when the parenthesis is never closed.
    pub fn of(word: &'a Word) -> Result<Call<'a>, Diagnostic> {
        let Some((name, rest)) = word.text.split_once('(') else {
            return Ok(Call {
                name: &word.text,
                has_parentheses: false,
                args: Vec::new(),
                span: word.span,
            });
        };
        let (args, used) = arguments(rest).ok_or_else(|| {
            Diagnostic::error("E0008", word.span, "unmatched parenthesis")
                .label("this `(` is never closed")
        })?;
        if used < rest.len() {
            return Err(Diagnostic::error(
                "E0005",
                word.span,
                format!("unexpected `{}` behind `)`", &rest[used..]),
            ));
        }
        Ok(Call {
            name,
            has_parentheses: true,
            args,
            span: word.span,
        })
    }

    /// An argument, if it is there and not empty.
    pub fn optional(&self, index: usize) -> Option<&str> {
        self.args
            .get(index)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// An argument as a word at the place of the whole.
    pub fn word(&self, index: usize) -> Option<Word> {
        self.optional(index).map(|text| Word {
            text: text.to_owned(),
            span: self.span,
        })
    }

    /// The single argument that there must be (E0003).
    pub fn one(&self, what: &str) -> Result<String, Diagnostic> {
        self.optional(0).map(str::to_owned).ok_or_else(|| {
            Diagnostic::error("E0003", self.span, format!("`{}` needs {what}", self.name))
                .label(format!("expected `{}(<{what}>)`", self.name))
        })
    }
}

/// Reads arguments up to the closing parenthesis: gives them and how many
/// bytes they took, parenthesis included. Inside, quotes and backslashes
/// protect commas and parentheses as they protect spaces in a line.
pub fn arguments(text: &str) -> Option<(Vec<String>, usize)> {
    let mut args = Vec::new();
    let mut current = String::new();
    let mut quote = None;
    let mut any = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('"' | '\'', None) => {
                quote = Some(c);
                any = true;
            }
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => current.push(escaped(&mut chars)),
            (')', None) => {
                if any || !current.is_empty() || !args.is_empty() {
                    args.push(current);
                }
                return Some((args, at + 1));
            }
            (',', None) => args.push(std::mem::take(&mut current)),
            (c, _) => current.push(c),
        }
    }
    None
}

fn escaped(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> char {
    let Some(&(_, next)) = chars.peek() else {
        return '\\';
    };
    let meant = match next {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        ' ' | '\\' | '"' | '\'' | ',' | ')' | '(' | '#' => next,
        _ => return '\\',
    };
    chars.next();
    meant
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str) -> Option<(String, Vec<String>)> {
        let word = Word {
            text: text.to_owned(),
            span: Span::default(),
        };
        Call::of(&word).ok().map(|c| (c.name.to_owned(), c.args))
    }

    #[test]
    fn arguments_are_separated_by_commas_and_protected_by_quotes() {
        let is = |text: &str, name: &str, args: &[&str]| {
            let args = args.iter().map(|a| a.to_string()).collect();
            assert_eq!(call(text), Some((name.to_owned(), args)), "{text}");
        };
        is("src", "src", &[]);
        is("rand()", "rand", &[]);
        is("payload(0,10)", "payload", &["0", "10"]);
        is("field(2,',')", "field", &["2", ","]);
        is(r"word(1,\,)", "word", &["1", ","]);
        is("x(,a)", "x", &["", "a"]);
        assert_eq!(call("x(a"), None);
        assert_eq!(call("x(a)b"), None);
    }
}
