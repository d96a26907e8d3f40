//! Regular expressions as operators of RabbitMQ write them.
//!
//! They search (they are not anchored unless written so), an empty pattern
//! means the empty name only where permissions are concerned, and look-around
//! as in `^(?!amq\.).*` must work. Matching is bounded: a pattern that
//! backtracks beyond the limit does not match.

use fancy_regex::{Regex, RegexBuilder};
use std::fmt;

/// Backtracking steps after which a look-around pattern counts as no match.
const BACKTRACK_LIMIT: usize = 50_000;

/// A compiled pattern together with its text.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Everything,
    Nothing,
    EmptyName,
    Search(Box<Regex>),
}

/// Why a pattern is refused: the reason and the byte where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The reason in a few words.
    pub reason: String,
    /// Offset in the pattern.
    pub position: usize,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"{}\",{}}}", self.reason, self.position)
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Compiles a policy's pattern; an empty one matches every name.
    pub fn policy(text: &str) -> Result<Pattern, PatternError> {
        Pattern::compile(text, Kind::Everything)
    }

    /// Compiles a permission's pattern; an empty one matches the empty name only.
    pub fn permission(text: &str) -> Result<Pattern, PatternError> {
        Pattern::compile(text, Kind::EmptyName)
    }

    /// A pattern that cannot be compiled any more (an older file): never matches.
    pub fn never(text: &str) -> Pattern {
        Pattern {
            text: text.to_owned(),
            kind: Kind::Nothing,
        }
    }

    fn compile(text: &str, empty: Kind) -> Result<Pattern, PatternError> {
        let kind = match text {
            "" => empty,
            ".*" | "^.*" | "^.*$" | ".*$" | "^" => Kind::Everything,
            _ => {
                let built = RegexBuilder::new(text)
                    .backtrack_limit(BACKTRACK_LIMIT)
                    .build();
                Kind::Search(Box::new(built.map_err(|e| explain(text, &e))?))
            }
        };
        Ok(Pattern {
            text: text.to_owned(),
            kind,
        })
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is found in `name`.
    pub fn matches(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Everything => true,
            Kind::Nothing => false,
            Kind::EmptyName => name.is_empty(),
            Kind::Search(regex) => regex.is_match(name).unwrap_or(false),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// The compiler's reason in the words that operators know from PCRE.
fn explain(text: &str, error: &fancy_regex::Error) -> PatternError {
    if let Some((reason, position)) = unpaired(text, error) {
        return PatternError {
            reason: reason.to_owned(),
            position,
        };
    }
    let position = match error {
        fancy_regex::Error::ParseError(at, _) => *at,
        _ => 0,
    };
    let reason = error.to_string().lines().last().unwrap_or("").to_owned();
    PatternError {
        reason: reason.replace('"', "'"),
        position,
    }
}

/// What PCRE says of brackets without their partner, and of signs that stand for nothing.
fn unpaired(text: &str, error: &fancy_regex::Error) -> Option<(&'static str, usize)> {
    let mut opened = 0_usize;
    let (mut escaped, mut class) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' if !class => class = true,
            ']' if class => class = false,
            '(' if !class => opened += 1,
            ')' if !class && opened == 0 => return Some(("unmatched parentheses", at)),
            ')' if !class => opened -= 1,
            _ => {}
        }
    }
    let end = text.len();
    match error {
        _ if escaped => Some(("\\\\ at end of pattern", end)),
        _ if class => Some(("missing terminating ] for character class", end)),
        _ if opened > 0 => Some(("missing )", end)),
        fancy_regex::Error::ParseError(at, fancy_regex::ParseError::TargetNotRepeatable) => {
            Some(("nothing to repeat", *at))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_searches_and_is_not_anchored_by_itself() {
        let pattern = Pattern::policy("ab").expect("compiles");
        assert!(pattern.matches("xabx"));
        assert!(!Pattern::policy("^ab$").expect("compiles").matches("xab"));
    }

    #[test]
    fn an_empty_permission_allows_the_empty_name_only() {
        let pattern = Pattern::permission("").expect("compiles");
        assert!(pattern.matches(""));
        assert!(!pattern.matches("q"));
        assert!(Pattern::policy("").expect("compiles").matches("q"));
    }

    #[test]
    fn look_ahead_works_as_in_the_usual_policy_for_all_but_amq() {
        let pattern = Pattern::policy(r"^(?!amq\.).*").expect("compiles");
        assert!(pattern.matches("orders"));
        assert!(!pattern.matches("amq.gen-1"));
    }

    #[test]
    fn an_open_bracket_is_reported_as_pcre_does() {
        let error = Pattern::policy("^(q").expect_err("must fail");
        assert_eq!(error.to_string(), "{\"missing )\",3}");
    }

    #[test]
    fn other_slips_are_reported_as_pcre_does() {
        let told = |text: &str| Pattern::policy(text).expect_err("must fail").to_string();
        assert_eq!(
            told("ab(c["),
            r#"{"missing terminating ] for character class",5}"#
        );
        assert_eq!(told("a)"), r#"{"unmatched parentheses",1}"#);
        assert_eq!(told("*"), r#"{"nothing to repeat",0}"#);
        assert_eq!(told(r"a\"), r#"{"\\ at end of pattern",2}"#);
    }

    #[test]
    fn a_pattern_that_explodes_does_not_match_and_comes_back() {
        let pattern = Pattern::policy(r"^(?=(a+)+$)(a|aa)+\1$").expect("compiles");
        assert!(!pattern.matches(&format!("{}b", "a".repeat(60))));
    }
}
