//! How ACLs compare a value with their patterns.

use super::Sample;
use conf::lb::model::{Matcher, TextMatch};
use memchr::memmem;

/// Whether the value matches any of the patterns.
pub(super) fn matches(matcher: &Matcher, value: &Sample) -> bool {
    match matcher {
        Matcher::Found => true,
        Matcher::Bool => value.to_bool(),
        Matcher::Int(ranges) => value
            .to_int()
            .is_some_and(|n| ranges.iter().any(|r| r.contains(n))),
        Matcher::Len(ranges) => {
            let length = match value {
                Sample::Bytes(bytes) | Sample::Text(bytes) => bytes.len(),
                other => other.to_text().len(),
            };
            ranges.iter().any(|r| r.contains(length as i64))
        }
        Matcher::Ip(networks) => value
            .to_ip()
            .is_some_and(|ip| networks.iter().any(|n| n.contains(ip))),
        Matcher::Text {
            how,
            ignore_case,
            patterns,
        } => {
            let fold = |text: &[u8]| match ignore_case {
                true => text.to_ascii_lowercase(),
                false => text.to_vec(),
            };
            let text = fold(&text_of(value));
            patterns
                .iter()
                .any(|p| compare(*how, &text, &fold(p.as_bytes())))
        }
        Matcher::Bin(patterns) => {
            let bytes = value.to_bytes();
            patterns.contains(&bytes)
        }
        Matcher::Regex(patterns) => {
            let text = text_of(value);
            patterns.iter().any(|p| p.compiled.is_match(&text))
        }
    }
}

/// Payload bytes are compared as they are.
fn text_of(value: &Sample) -> Vec<u8> {
    match value {
        Sample::Bytes(bytes) => bytes.clone(),
        other => other.to_text(),
    }
}

fn compare(how: TextMatch, text: &[u8], pattern: &[u8]) -> bool {
    match how {
        TextMatch::Equal => text == pattern,
        TextMatch::Begin => text.starts_with(pattern),
        TextMatch::End => text.ends_with(pattern),
        TextMatch::Contains => memmem::find(text, pattern).is_some(),
        TextMatch::Dir => contains_part(text, pattern, b"/?"),
        TextMatch::Dom => contains_part(text, pattern, b"/?.:"),
    }
}

/// The pattern stands in the text between delimiters (or its ends).
fn contains_part(text: &[u8], pattern: &[u8], delimiters: &[u8]) -> bool {
    let is_delimiter = |b: &u8| delimiters.contains(b);
    let first = pattern.iter().position(|b| !is_delimiter(b));
    let last = pattern.iter().rposition(|b| !is_delimiter(b));
    let (Some(first), Some(last)) = (first, last) else {
        return false;
    };
    let pattern = &pattern[first..=last];
    memmem::find_iter(text, pattern).any(|at| {
        let before = at == 0 || is_delimiter(&text[at - 1]);
        let after = text.get(at + pattern.len()).is_none_or(is_delimiter);
        before && after
    })
}
