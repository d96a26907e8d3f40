//! Keyword tables: one row per keyword, read by the parser, by "did you mean",
//! by the check mode and by the generated reference page.

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest;
use std::borrow::Cow;

/// A word of the source after quotes and escapes were resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

impl Word {
    /// A part of the word, given as bytes of its text, with its own place
    /// where the source shows the text as it is (in quotes or without).
    pub fn part(&self, start: usize, end: usize) -> Word {
        let quotes = ((self.span.end - self.span.start) as usize).checked_sub(self.text.len());
        let span = match quotes {
            Some(extra @ (0 | 2)) => {
                let first = self.span.start + (extra / 2) as u32;
                Span {
                    start: first + start as u32,
                    end: first + end as u32,
                    ..self.span
                }
            }
            _ => self.span,
        };
        Word {
            text: self.text[start..end].to_owned(),
            span,
        }
    }
}

/// One row: a keyword, its form, and what it does to the context `C`.
pub struct Keyword<C: 'static> {
    /// One word or several: `balance`, `timeout client`.
    pub name: &'static str,
    /// The form of the arguments, as the reference shows it: `<algorithm> [args]`.
    pub args: &'static str,
    /// What it does, with unit, range and default.
    pub doc: &'static str,
    /// A line that must parse; a test walks all of them.
    pub example: &'static str,
    /// Checks and stores, nothing else.
    pub apply: fn(&mut C, &mut Args<'_>) -> Result<(), Diagnostic>,
}

impl<C> Keyword<C> {
    /// Applies the row to a line whose first `count` words are its name.
    pub fn run(&self, context: &mut C, words: &[Word], count: usize) -> Result<(), Diagnostic> {
        let head = words[0].span.to(words[count - 1].span);
        let mut args = Args::new(self.name, self.args, head, &words[count..]);
        (self.apply)(context, &mut args)
    }
}

/// The words behind a keyword, taken one by one.
#[derive(Debug)]
pub struct Args<'a> {
    keyword: &'a str,
    form: &'a str,
    head: Span,
    words: &'a [Word],
    next: usize,
}

impl<'a> Args<'a> {
    /// Arguments of `keyword` (at `head`), whose whole form is `form`.
    pub fn new(keyword: &'a str, form: &'a str, head: Span, words: &'a [Word]) -> Args<'a> {
        Args {
            keyword,
            form,
            head,
            words,
            next: 0,
        }
    }

    /// Where the keyword itself stands.
    pub fn head(&self) -> Span {
        self.head
    }

    /// The keyword's name.
    pub fn keyword(&self) -> &'a str {
        self.keyword
    }

    /// The next word, if there is one; stays in place.
    pub fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.next)
    }

    /// Takes the next word if there is one.
    pub fn take(&mut self) -> Option<&'a Word> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// Takes the next word if it is exactly this.
    pub fn take_if(&mut self, text: &str) -> Option<&'a Word> {
        if self.peek()?.text == text {
            return self.take();
        }
        None
    }

    /// Takes the next word or says that `what` is missing (E0003).
    pub fn expect(&mut self, what: &str) -> Result<&'a Word, Diagnostic> {
        let end = self.end();
        let (keyword, form) = (self.keyword, self.form);
        self.take().ok_or_else(|| {
            Diagnostic::error("E0003", end, format!("`{keyword}` needs {what}"))
                .label(format!("{what} is missing here"))
                .help(format!("the form is: {keyword} {form}"))
        })
    }

    /// Takes a word and parses it; on failure says what was wanted (E0005).
    pub fn parse<T>(
        &mut self,
        what: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Diagnostic> {
        let word = self.expect(what)?;
        parse(&word.text).ok_or_else(|| wrong(word, what))
    }

    /// Takes one word of a fixed list; a miss suggests the nearest (E0005).
    pub fn choose<T: Copy>(
        &mut self,
        what: &str,
        choices: &[(&'static str, T)],
    ) -> Result<T, Diagnostic> {
        let word = self.expect(what)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word.text) {
            return Ok(*value);
        }
        let names = choices.iter().map(|(name, _)| *name);
        let near = suggest::nearest(&word.text, names.clone());
        let list = names.collect::<Vec<_>>().join("`, `");
        Err(wrong(word, what)
            .help(format!("accepted are: `{list}`"))
            .maybe_suggest(word.span, near))
    }

    /// All words not yet taken, and takes them.
    pub fn rest(&mut self) -> &'a [Word] {
        let rest = &self.words[self.next.min(self.words.len())..];
        self.next = self.words.len();
        rest
    }

    /// Fails (E0004) if a word is left.
    pub fn finish(&self) -> Result<(), Diagnostic> {
        let Some(word) = self.peek() else {
            return Ok(());
        };
        let message = format!("`{}` takes no more than this", self.keyword);
        let form = format!("the form is: {} {}", self.keyword, self.form);
        let error = Diagnostic::error("E0004", word.span, message)
            .label(format!("`{}` is too much", shown(&word.text)));
        let error = match self.form.contains("if | unless") {
            true => error.label(format!(
                "expected `if`, `unless` or the end of the line instead of `{}`",
                shown(&word.text)
            )),
            false => error,
        };
        Err(error.help(form.trim_end().to_owned()))
    }

    /// How many words were taken.
    pub fn taken(&self) -> usize {
        self.next
    }

    /// The place behind the last word.
    pub fn end(&self) -> Span {
        let last = self.words.last().map_or(self.head, |w| w.span);
        last.after()
    }
}

/// The error for a word that is not `what` (E0005).
pub fn wrong(word: &Word, what: &str) -> Diagnostic {
    let text = format!("`{}` is not {what}", shown(&word.text));
    Diagnostic::error("E0005", word.span, text).label(format!("expected {what}"))
}

/// Most characters of a word that a message repeats.
const SHOWN: usize = 80;

/// A word as messages repeat it: the beginning of a long one.
pub fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

/// Finds the row whose name is the longest prefix of `words`; gives the row
/// and how many words its name has.
pub fn lookup<'t, C>(table: &'t [Keyword<C>], words: &[Word]) -> Option<(&'t Keyword<C>, usize)> {
    table
        .iter()
        .filter_map(|row| {
            let mut count = 0;
            for part in row.name.split(' ') {
                if words.get(count).is_none_or(|w| w.text != part) {
                    return None;
                }
                count += 1;
            }
            Some((row, count))
        })
        .max_by_key(|&(_, count)| count)
}

/// The error for a word that starts no keyword (E0002), with the nearest name.
pub fn unknown<'n>(
    word: &Word,
    place: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    let near = suggest::nearest(&word.text, names);
    Diagnostic::error(
        "E0002",
        word.span,
        format!("unknown keyword `{}` in {place}", shown(&word.text)),
    )
    .label(match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => "not a keyword here".to_owned(),
    })
    .maybe_suggest(word.span, near)
}
