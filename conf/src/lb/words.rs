//! Splits a line into words: quotes, escapes, variables, comments.
//!
//! The rules are the language's own and matter byte for byte: variables
//! expand only inside double quotes, single quotes keep everything, a
//! backslash means something before space, `\`, `#`, `'`, `"`, `n`, `r`, `t`,
//! `xHH` (and before `$` inside double quotes) and is an ordinary character
//! otherwise.

use super::env::Env;
use super::value::raw_byte;
use crate::diagnostic::Diagnostic;
use crate::keyword::Word;
use crate::source::{FileId, Span};

/// Most words on one line.
const MAX_WORDS: usize = 64;

/// Where a line stands, for spans and for `${.LINE}` and its kin.
#[derive(Clone, Copy, Debug)]
pub struct LinePlace<'a> {
    /// The file.
    pub file: FileId,
    /// Byte offset of the line in the file.
    pub start: u32,
    /// Number of the line, from 1.
    pub number: u32,
    /// Path as given.
    pub path: &'a str,
    /// The section that the line is in.
    pub section: &'a str,
}

/// The words of a line, none for an empty one, and the variables in it that are not set.
#[derive(Debug, Default)]
pub struct Line {
    /// The words.
    pub words: Vec<Word>,
    /// Variables without a value that leave a word with other text in it.
    pub unset: Vec<Word>,
}

/// Splits a line.
pub fn split(line: &str, place: LinePlace<'_>, env: &Env) -> Result<Line, Diagnostic> {
    let mut splitter = Splitter {
        line,
        at: 0,
        place,
        env,
        words: Vec::new(),
        text: String::new(),
        word_start: 0,
        unset: Vec::new(),
    };
    if let Some(at) = line.find('\0') {
        return Err(splitter
            .error(at, at + 1, "E0009", "a NUL byte in the line")
            .label("remove it"));
    }
    splitter.run()?;
    let Splitter {
        words, mut unset, ..
    } = splitter;
    let rest = |word: &Word, unset: &Word| {
        let within = word.span.start <= unset.span.start && unset.span.end <= word.span.end;
        within && !word.text.is_empty()
    };
    unset.retain(|name| words.iter().any(|word| rest(word, name)));
    Ok(Line { words, unset })
}

struct Splitter<'a> {
    line: &'a str,
    at: usize,
    place: LinePlace<'a>,
    env: &'a Env,
    words: Vec<Word>,
    text: String,
    word_start: usize,
    unset: Vec<Word>,
}

impl Splitter<'_> {
    fn run(&mut self) -> Result<(), Diagnostic> {
        self.skip_space();
        self.word_start = self.at;
        let mut quote: Option<(char, usize)> = None;
        while let Some(c) = self.peek() {
            match (c, quote) {
                ('\n' | '\r', _) => break,
                ('#', None) => break,
                ('"' | '\'', None) => {
                    quote = Some((c, self.at));
                    self.at += 1;
                }
                ('"' | '\'', Some((open, _))) if c == open => {
                    quote = None;
                    self.at += 1;
                }
                ('\\', None | Some(('"', _))) => self.escape(quote.is_some())?,
                (' ' | '\t' | '\x0b' | '\x0c', None) => self.separate()?,
                ('$', Some(('"', _))) => self.variable()?,
                _ => {
                    self.text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        if let Some((_, open)) = quote {
            return Err(self
                .error(open, open + 1, "E0008", "unmatched quote")
                .label("this quote is never closed"));
        }
        // a last word that is empty does not count, as after trailing spaces
        if !self.text.is_empty() {
            self.end_word(self.at)?;
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.line[self.at..].chars().next()
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.line
            .as_bytes()
            .get(self.at + ahead)
            .copied()
            .unwrap_or(0)
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(0), b' ' | b'\t' | 0x0b | 0x0c) {
            self.at += 1;
        }
    }

    fn separate(&mut self) -> Result<(), Diagnostic> {
        self.end_word(self.at)?;
        self.skip_space();
        self.word_start = self.at;
        Ok(())
    }

    fn end_word(&mut self, end: usize) -> Result<(), Diagnostic> {
        let span = self.span(self.word_start, end);
        if self.words.len() >= MAX_WORDS {
            return Err(Diagnostic::error(
                "E0004",
                span,
                format!("a line has at most {MAX_WORDS} words"),
            ));
        }
        let text = std::mem::take(&mut self.text);
        self.words.push(Word { text, span });
        Ok(())
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            file: self.place.file,
            start: self.place.start + start as u32,
            end: self.place.start + end as u32,
        }
    }

    fn error(&self, start: usize, end: usize, code: &'static str, text: &str) -> Diagnostic {
        let end = end.min(self.line.len());
        Diagnostic::error(code, self.span(start.min(end), end), text)
    }

    fn escape(&mut self, in_double: bool) -> Result<(), Diagnostic> {
        let (c, length) = match self.byte(1) {
            b @ (b' ' | b'\\' | b'#' | b'\'' | b'"') => (b as char, 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'$' if in_double => ('$', 2),
            b'x' => (self.hex_byte()?, 4),
            _ => ('\\', 1),
        };
        self.text.push(c);
        self.at += length;
        Ok(())
    }

    fn hex_byte(&self) -> Result<char, Diagnostic> {
        let digit = |b: u8| (b as char).to_digit(16);
        match (digit(self.byte(2)), digit(self.byte(3))) {
            (Some(high), Some(low)) => Ok(raw_byte((high * 16 + low) as u8)),
            _ => Err(self
                .error(
                    self.at,
                    self.at + 2,
                    "E1002",
                    "truncated or invalid hexadecimal sequence",
                )
                .label("expected two hexadecimal digits behind `\\x`")),
        }
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}`.
    fn variable(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        self.at += 1;
        let brace = self.byte(0) == b'{';
        if brace {
            self.at += 1;
        }
        let name_start = self.at;
        if !matches!(self.byte(0), b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.') {
            return Err(self
                .error(
                    name_start,
                    name_start + 1,
                    "E1003",
                    "forbidden first character in a variable's name",
                )
                .label("a name starts with a letter, `_` or `.`")
                .help("write `\\$` for a dollar sign inside double quotes"));
        }
        while matches!(self.byte(0), b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.') {
            self.at += 1;
        }
        let name = &self.line[name_start..self.at];
        let mut value = self.lookup(name, name_start)?;
        let split = brace && self.byte(0) == b'[';
        if split {
            if !self.line[self.at..].starts_with("[*]") {
                return Err(self
                    .error(start, self.at + 1, "E1003", "invalid word expansion")
                    .label("expected `[*]` behind the name"));
            }
            self.at += 3;
        }
        if brace {
            let default = self.close_brace(start)?;
            value = value.or(default);
        }
        if value.is_none() {
            let name = name.to_owned();
            let span = self.span(start, self.at);
            self.unset.push(Word { text: name, span });
        }
        self.insert(&value.unwrap_or_default(), split)
    }

    /// Takes `}` or `-default}`.
    fn close_brace(&mut self, start: usize) -> Result<Option<String>, Diagnostic> {
        let rest = &self.line[self.at..];
        let (default, length) = match rest.as_bytes().first() {
            Some(b'}') => (None, Some(1)),
            Some(b'-') => match rest.find('}') {
                Some(end) => (Some(rest[1..end].to_owned()), Some(end + 1)),
                None => (None, None),
            },
            _ => (None, None),
        };
        let Some(length) = length else {
            return Err(self
                .error(
                    start + 1,
                    start + 2,
                    "E0008",
                    "unmatched brace in a variable's name",
                )
                .label("this brace is never closed"));
        };
        self.at += length;
        Ok(default)
    }

    fn lookup(&self, name: &str, start: usize) -> Result<Option<String>, Diagnostic> {
        Ok(match name {
            ".LINE" => Some(self.place.number.to_string()),
            ".FILE" => Some(self.place.path.to_owned()),
            ".SECTION" => Some(self.place.section.to_owned()),
            _ if name.starts_with('.') => {
                return Err(self
                    .error(
                        start,
                        start + name.len(),
                        "E1003",
                        "unknown internal variable",
                    )
                    .label("known are `.LINE`, `.FILE` and `.SECTION`"));
            }
            _ => self.env.get(name).map(str::to_owned),
        })
    }

    fn insert(&mut self, value: &str, split: bool) -> Result<(), Diagnostic> {
        if !split {
            self.text.push_str(value);
            return Ok(());
        }
        let mut rest = value;
        while let Some(at) = rest.find(|c: char| c.is_ascii_whitespace()) {
            self.text.push_str(&rest[..at]);
            self.end_word(self.at)?;
            rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_whitespace());
        }
        self.text.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, String> {
        let env: Env = [("A", "one two"), ("B", "b")].into_iter().collect();
        let place = LinePlace {
            file: FileId::default(),
            start: 0,
            number: 7,
            path: "x.cfg",
            section: "global",
        };
        split(line, place, &env)
            .map(|line| line.words.into_iter().map(|w| w.text).collect())
            .map_err(|d| d.message)
    }

    #[track_caller]
    fn gives(line: &str, expected: &[&str]) {
        assert_eq!(words(line).expect(line), expected, "{line}");
    }

    #[test]
    fn spaces_quotes_and_comments_separate_words() {
        gives("  a\tb  c # d", &["a", "b", "c"]);
        gives("a#b", &["a"]);
        gives(r#"a "b # c" 'd "e'"#, &["a", "b # c", "d \"e"]);
        gives(r#"a"b c"d"#, &["ab cd"]);
        gives("a \"\" b", &["a", "", "b"]);
        gives("a \"\"", &["a"]);
        gives("", &[]);
        gives("# only a comment", &[]);
    }

    #[test]
    fn escapes_are_those_of_the_language() {
        gives(
            r"a\ b \\ \# \' \n \x41",
            &["a b", "\\", "#", "'", "\n", "A"],
        );
        gives(r"\d+\.\w", &[r"\d+\.\w"]);
        gives(r#""\"" "\$A""#, &["\"", "$A"]);
        gives(r"'\n'", &[r"\n"]);
        gives(r"\$A $A", &[r"\$A", "$A"]);
    }

    #[test]
    fn variables_expand_only_inside_double_quotes() {
        gives(r#"$B "$B" '$B' "x${B}y""#, &["$B", "b", "$B", "xby"]);
        gives(r#""$A" "${A[*]}" z"#, &["one two", "one", "two", "z"]);
        gives(r#""${NO-default value}" "${B-x}""#, &["default value", "b"]);
        gives(
            r#""${NO}x" "${.LINE}" "${.FILE}" "${.SECTION}""#,
            &["x", "7", "x.cfg", "global"],
        );
    }

    #[test]
    fn what_is_never_closed_is_refused() {
        assert!(words("a \"b").is_err());
        assert!(words("a 'b").is_err());
        assert!(words("\"${A\"").is_err());
        assert!(words("\"$1\"").is_err());
        assert!(words("\"${A[x]}\"").is_err());
        assert!(words("\\xZZ").is_err());
        assert!(words("\"${.NOPE}\"").is_err());
        assert!(words("a\0b").is_err());
        assert!(words("a # \0").is_err());
    }
}
