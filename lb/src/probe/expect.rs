//! Matching of `expect` rules, and the words for what did not match.

use super::http_answer::Answer;
use super::text::Scope;
use crate::core::health::CheckStatus;
use conf::lb::model::{self, ExpectHeader, ExpectPattern, HeaderMatch};

/// Whether a rule is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It matches.
    Yes,
    /// It does not.
    No,
    /// The answer ended without the body that the rule looks at.
    NoBody,
    /// More of the answer is needed.
    More,
}

impl From<bool> for Match {
    fn from(found: bool) -> Match {
        if found { Match::Yes } else { Match::No }
    }
}

/// A rule on raw bytes (`tcp-check expect`).
pub fn matches(pattern: &ExpectPattern, input: &[u8], scope: &Scope) -> bool {
    match pattern {
        ExpectPattern::String(bytes) | ExpectPattern::Binary(bytes) => contains(input, bytes),
        ExpectPattern::Regex(regex) => regex.compiled.is_match(input),
        ExpectPattern::HexRegex(regex) => regex.compiled.is_match(hex(input).as_bytes()),
        ExpectPattern::StringFormat(format) => contains(input, &scope.render(format)),
        ExpectPattern::BinaryFormat(format) => contains(input, &unhex(&scope.render(format))),
        ExpectPattern::Status(_)
        | ExpectPattern::StatusRegex(_)
        | ExpectPattern::Header(_)
        | ExpectPattern::Custom => false,
    }
}

/// A rule on an HTTP answer (`http-check expect`).
pub fn answer_matches(pattern: &ExpectPattern, answer: &Answer<'_>, scope: &Scope) -> Match {
    match pattern {
        ExpectPattern::Status(ranges) => ranges
            .iter()
            .any(|&(low, high)| (low..=high).contains(&answer.status))
            .into(),
        ExpectPattern::StatusRegex(regex) => regex
            .compiled
            .is_match(answer.status.to_string().as_bytes())
            .into(),
        ExpectPattern::Header(rule) => header_matches(rule, answer, scope).into(),
        _ => match &answer.body {
            None => Match::More,
            Some(body) if body.is_empty() => Match::NoBody,
            Some(body) => matches(pattern, body, scope).into(),
        },
    }
}

fn header_matches(rule: &ExpectHeader, answer: &Answer<'_>, scope: &Scope) -> bool {
    let name = scope.render(&rule.name.1).to_ascii_lowercase();
    let named = answer
        .headers
        .iter()
        .filter(|(key, _)| text_matches(&rule.name.0, &name, key.to_ascii_lowercase().as_bytes()));
    let Some((how, wanted)) = &rule.value else {
        return named.count() > 0;
    };
    let wanted = scope.render(wanted);
    let mut named = named;
    named.any(|(_, value)| match rule.full {
        true => text_matches(how, &wanted, value),
        false => value
            .split(|b| *b == b',')
            .any(|part| text_matches(how, &wanted, part.trim_ascii())),
    })
}

fn text_matches(how: &HeaderMatch, wanted: &[u8], value: &[u8]) -> bool {
    match how {
        HeaderMatch::Equal => value == wanted,
        HeaderMatch::Begin => value.starts_with(wanted),
        HeaderMatch::End => value.ends_with(wanted),
        HeaderMatch::Contains => contains(value, wanted),
        HeaderMatch::Regex(regex) => regex.compiled.is_match(value),
    }
}

fn contains(input: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(input, needle).is_some()
}

/// What a mismatch calls the pattern: `content 'abc'`, `content (regex)`.
pub fn mismatch_words(pattern: &ExpectPattern) -> String {
    match pattern {
        ExpectPattern::String(bytes) => format!("content '{}'", String::from_utf8_lossy(bytes)),
        ExpectPattern::Binary(_) => "content (binary)".to_owned(),
        ExpectPattern::Regex(_) => "content (regex)".to_owned(),
        ExpectPattern::HexRegex(_) => "content (binary regex)".to_owned(),
        ExpectPattern::StringFormat(_) => "content (log-format string)".to_owned(),
        ExpectPattern::BinaryFormat(_) => "content (log-format binary)".to_owned(),
        ExpectPattern::Status(_)
        | ExpectPattern::StatusRegex(_)
        | ExpectPattern::Header(_)
        | ExpectPattern::Custom => "content".to_owned(),
    }
}

/// What a position calls the pattern: `string 'abc'`, `regex`.
pub fn position_words(pattern: &ExpectPattern) -> String {
    match pattern {
        ExpectPattern::String(bytes) => format!("string '{}'", String::from_utf8_lossy(bytes)),
        ExpectPattern::Binary(bytes) => format!("binary '{}'", String::from_utf8_lossy(bytes)),
        ExpectPattern::Regex(_) => "regex".to_owned(),
        ExpectPattern::HexRegex(_) => "binary regex".to_owned(),
        ExpectPattern::StringFormat(_) => "log-format string".to_owned(),
        ExpectPattern::BinaryFormat(_) => "log-format binary".to_owned(),
        ExpectPattern::Status(_) => "HTTP status codes".to_owned(),
        ExpectPattern::StatusRegex(_) => "HTTP status regex".to_owned(),
        ExpectPattern::Header(_) => "HTTP header pattern".to_owned(),
        ExpectPattern::Custom => "custom function".to_owned(),
    }
}

/// The status that a rule names (`error-status`, `ok-status`, `tout-status`).
pub fn status(named: model::CheckStatus) -> CheckStatus {
    match named {
        model::CheckStatus::L7Ok => CheckStatus::L7Ok,
        model::CheckStatus::L7Okc => CheckStatus::L7OkConditional,
        model::CheckStatus::L7Rsp => CheckStatus::L7Response,
        model::CheckStatus::L7Sts => CheckStatus::L7Status,
        model::CheckStatus::L7Tout => CheckStatus::L7Timeout,
        model::CheckStatus::L6Ok => CheckStatus::L6Ok,
        model::CheckStatus::L6Rsp => CheckStatus::L6Response,
        model::CheckStatus::L6Tout => CheckStatus::L6Timeout,
        model::CheckStatus::L4Ok => CheckStatus::L4Ok,
        model::CheckStatus::L4Con => CheckStatus::L4Connection,
        model::CheckStatus::L4Tout => CheckStatus::L4Timeout,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Bytes of hexadecimal text; ends at the first pair that is none.
pub fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    text.chunks(2).map_while(pair).collect()
}
