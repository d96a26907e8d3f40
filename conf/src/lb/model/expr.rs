//! Sample expressions: a fetch, and converters behind it.

use super::{Converter, Fetch, Format};
use std::fmt;

/// A fetch with the converters behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where the value comes from.
    pub fetch: Fetch,
    /// What is done to it, in order.
    pub converters: Vec<Converter>,
    /// The text as written, for logs and `show`.
    pub text: String,
}

/// A compiled regular expression that compares by its text.
#[derive(Clone)]
pub struct Regex {
    /// The compiled form, over bytes.
    pub compiled: regex::bytes::Regex,
    /// `-i`.
    pub ignore_case: bool,
}

impl Regex {
    /// Compiles; the error is one line for the operator.
    pub fn new(text: &str, ignore_case: bool) -> Result<Regex, String> {
        let compiled = regex::bytes::RegexBuilder::new(text)
            .case_insensitive(ignore_case)
            .unicode(false)
            .size_limit(1 << 20)
            .build()
            .map_err(|e| match e {
                regex::Error::Syntax(text) => {
                    let line = text.lines().last().unwrap_or_default();
                    line.trim_start_matches("error: ").to_owned()
                }
                other => other.to_string(),
            })?;
        Ok(Regex {
            compiled,
            ignore_case,
        })
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.compiled.as_str() == other.compiled.as_str() && self.ignore_case == other.ignore_case
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.compiled.as_str())
    }
}

/// A text that may be a fixed string or a format: `str` or `lf` arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// As it is.
    Fixed(String),
    /// To be evaluated.
    Format(Format),
}
