//! A line of a file: its characters with their places, definitions, references and escapes.

/// A character with the place that it came from.
#[derive(Clone, Copy)]
pub(super) struct Char {
    pub(super) c: char,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Came from a reference that is not defined: never a brace or comment.
    pub(super) literal: bool,
}

pub(super) fn chars(text: &str, start: u32) -> Vec<Char> {
    let place = |(i, c): (usize, char)| Char {
        c,
        start: start + i as u32,
        end: start + (i + c.len_utf8()) as u32,
        literal: false,
    };
    text.char_indices().map(place).collect()
}

/// `$NAME=value` at the start of a line.
pub(super) fn definition(text: &str) -> Option<(String, Vec<String>)> {
    let (name, value) = text.trim_start().strip_prefix('$')?.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), vec![value.trim().to_owned()]))
}

/// Letters, digits and underscores, no digit first.
pub(super) fn is_name(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c| part(c) && !c.is_ascii_digit()) && text.chars().all(part)
}

pub(super) fn strip_backslash(value: &mut [String]) {
    if let Some(last) = value.last_mut() {
        last.pop();
    }
}

pub(super) fn trim_value(mut value: Vec<String>) -> Vec<String> {
    if value.len() > 1 && value[0].trim().is_empty() {
        value.remove(0);
    }
    if let [only] = value.as_mut_slice() {
        *only = only.trim().to_owned();
    }
    value
}

/// The line is nothing but one reference: its name and place.
pub(super) fn whole_reference(line: &[Char]) -> Option<(String, (u32, u32))> {
    let first = line.iter().position(|c| !c.c.is_whitespace())?;
    let (name, length) = reference(&line[first..])?;
    let rest = &line[first + length..];
    let alone = rest.iter().all(|c| c.c.is_whitespace());
    alone.then(|| (name, (line[first].start, line[first + length - 1].end)))
}

/// `${NAME}`, or `$NAME` before a space, at the start: the name and its length in characters.
pub(super) fn reference(line: &[Char]) -> Option<(String, usize)> {
    let is_part = |c: &Char| c.c.is_ascii_alphanumeric() || c.c == '_';
    let rest = line.get(1..)?;
    if rest.first()?.c == '{' {
        let end = rest.iter().position(|c| c.c == '}')?;
        let name: String = rest[1..end].iter().map(|c| c.c).collect();
        return (!name.is_empty()).then_some((name, end + 2));
    }
    let length = rest.iter().take_while(|c| is_part(c)).count();
    let name: String = rest[..length].iter().map(|c| c.c).collect();
    let ends = rest.get(length).is_none_or(|c| c.c.is_whitespace());
    (length > 0 && ends).then_some((name, length + 1))
}

/// What follows a backslash: the character meant and how many were used.
pub(super) fn escape(rest: &[Char]) -> (Option<char>, usize) {
    let c = rest[0].c;
    let digits = |radix: u32, from: usize, most: usize| {
        let used = rest[from..]
            .iter()
            .take(most)
            .take_while(|d| d.c.is_digit(radix))
            .count();
        let text: String = rest[from..from + used].iter().map(|d| d.c).collect();
        (
            u32::from_str_radix(&text, radix)
                .ok()
                .and_then(char::from_u32),
            from + used,
        )
    };
    match c {
        'a' => (Some('\x07'), 1),
        'b' => (Some('\x08'), 1),
        'E' => (Some('\x1b'), 1),
        'f' => (Some('\x0c'), 1),
        'n' => (Some('\n'), 1),
        'r' => (Some('\r'), 1),
        't' => (Some('\t'), 1),
        'v' => (Some('\x0b'), 1),
        '0'..='7' => digits(8, 0, 3),
        'x' if rest.get(1).is_some_and(|d| d.c.is_ascii_hexdigit()) => digits(16, 1, 6),
        other => (Some(other), 1),
    }
}
