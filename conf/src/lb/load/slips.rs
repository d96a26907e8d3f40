//! What no keyword can know: bytes and habits from elsewhere that make a line go wrong.
//!
//! Nothing here decides whether a line is right. It only tells more about one that was found wrong,
//! and tells once what would otherwise be found on every line of a file.

use super::{Loader, SECTIONS};
use crate::diagnostic::{Diagnostic, Severity};
use crate::keyword::Word;
use crate::lb::value::raw_byte;
use crate::source::{FileId, Span};

/// The mark that some editors put ahead of the first line.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a version control system leaves around lines that it could not merge.
const CONFLICT: &[&str] = &["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

impl Loader {
    /// Tells about a mark at the beginning of a file. Gives where its first line starts, or
    /// nothing for a file in which no line can be read.
    pub(super) fn beginning(&mut self, file: FileId) -> Option<u32> {
        let text = self.report.sources.file(file).text();
        let mark = |end: usize| Span {
            file,
            start: 0,
            end: end as u32,
        };
        if text.starts_with(BYTE_ORDER_MARK) {
            let end = BYTE_ORDER_MARK.len_utf8();
            self.report.push(
                Diagnostic::error("E1044", mark(end), "the file begins with a byte order mark")
                    .label("three bytes that most editors do not show")
                    .help("save the file as UTF-8 without a byte order mark"),
            );
            return Some(end as u32);
        }
        let wide = [[0xff, 0xfe], [0xfe, 0xff]].iter().find_map(|bytes| {
            let start: String = bytes.iter().map(|byte| raw_byte(*byte)).collect();
            text.starts_with(&start).then_some(start.len())
        });
        if let Some(end) = wide {
            self.report.push(
                Diagnostic::error("E1044", mark(end), "the file is written in UTF-16")
                    .label("not read any further")
                    .help("save the file as UTF-8 without a byte order mark"),
            );
            return None;
        }
        Some(0)
    }

    /// The first line that a merge left behind is told, the others of the file are passed over.
    pub(super) fn conflict(&mut self, words: &[Word]) -> bool {
        let first = &words[0];
        if !CONFLICT.contains(&first.text.as_str()) {
            return false;
        }
        if self.marked_lines.replace(first.span.file) != Some(first.span.file) {
            self.report.push(
                Diagnostic::error("E1045", first.span, "a merge was left unfinished here")
                    .label("the line is from the version control system")
                    .help(format!(
                        "keep what is right of both versions and remove the lines with `{}`",
                        CONFLICT.join("`, `")
                    )),
            );
        }
        true
    }

    /// The first NUL byte of a file is told: a file that is no text has many.
    pub(super) fn unreadable(&mut self, error: Diagnostic, file: FileId) {
        if error.code == "E0009" && self.nul_in.replace(file) == Some(file) {
            return;
        }
        self.report.push(error);
    }

    /// Adds to the first new error of a line what is likely to be its cause.
    pub(super) fn explain(&mut self, before: usize, line: &str, words: &[Word]) {
        let new = self.report.diagnostics.get_mut(before..).unwrap_or(&mut []);
        let Some(error) = new.iter_mut().find(|d| d.severity == Severity::Error) else {
            return;
        };
        error.help.extend(invisible(line).or_else(|| habit(words)));
    }
}

/// Characters that look like a space or a quote and are none.
fn invisible(line: &str) -> Option<String> {
    let place = |c: char, what: &str, instead: &str| {
        let column = line.chars().position(|other| other == c).unwrap_or(0) + 1;
        let code = u32::from(c);
        format!("column {column} holds {what} (U+{code:04X}), {instead}")
    };
    line.chars().find_map(|c| match c {
        '\u{a0}' | '\u{202f}' | '\u{2007}' => Some(place(
            c,
            "a no-break space",
            "which parts no words: write an ordinary space",
        )),
        '\u{200b}'..='\u{200f}' | '\u{2060}' | BYTE_ORDER_MARK => Some(place(
            c,
            "a character that is not shown",
            "which is part of its word: remove it",
        )),
        '\u{2018}' | '\u{2019}' | '\u{201c}'..='\u{201e}' => Some(place(
            c,
            "a typographic quote",
            "which quotes nothing: write `\"` or `'`",
        )),
        c if c.is_whitespace() && !c.is_ascii() => Some(place(
            c,
            "a space of another kind",
            "which parts no words: write an ordinary space",
        )),
        _ => None,
    })
}

/// Punctuation of other languages.
fn habit(words: &[Word]) -> Option<String> {
    let last = words.last()?.text.as_str();
    let text = if last == "\\" {
        "a line cannot go on in the next one, whatever ends it"
    } else if words.get(1).is_some_and(|w| w.text == "=") {
        "there is no `=` between a keyword and its value, only a space"
    } else if last == "}" && words.len() == 1
        || last == "{" && SECTIONS.contains(&words[0].text.as_str())
    {
        "sections have no braces: one ends where the next begins"
    } else if last.ends_with(';') {
        "a line ends without a semicolon"
    } else if words[0].text.ends_with(':') {
        "keywords have no colon behind them"
    } else {
        return None;
    };
    Some(text.to_owned())
}

/// A variable that leaves nothing where something was meant to stand.
pub(super) fn unset(name: &Word) -> Diagnostic {
    let text = format!("the variable `{}` is not set", name.text);
    Diagnostic::note("E1114", name.span, text)
        .label("leaves nothing here")
        .help(format!(
            "write `${{{}-value}}` for a value in that case",
            name.text
        ))
}
