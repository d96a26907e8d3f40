//! Text to a tree of statements: comments, quotes, escapes, braces, `$NAME`
//! definitions, `@id` lines, `~SEQ` and `~LST` lines and `include`.

mod include;
mod line;
mod random;
mod repeat;

use crate::diagnostic::{Diagnostic, Report};
use crate::keyword::Word;
use crate::source::{FileId, Span};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use line::{
    Char, chars, definition, escape, reference, strip_backslash, trim_value, whole_reference,
};
use random::Random;

/// Files that include each other, and definitions inside of definitions, may
/// nest this deep.
const MAX_DEPTH: usize = 16;
/// Statements of one run, so that definitions cannot explode.
const MAX_STATEMENTS: usize = 200_000;

/// A statement: its words and, where one was opened, its block.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// At least one word.
    pub words: Vec<Word>,
    /// The statements between its braces.
    pub block: Option<Vec<Node>>,
}

impl Node {
    /// The first word.
    pub fn keyword(&self) -> &Word {
        &self.words[0]
    }
}

/// Reads `path`, or the files of that pattern as if they were one, and what they include into a
/// tree; problems go to the report.
pub fn read(path: &Path, config_id: &str, report: &mut Report) -> Vec<Node> {
    let mut reader = Reader::new(config_id, report);
    for file in include::of_pattern(path) {
        reader.file(&file, None, 0);
    }
    reader.finish()
}

/// Reads a text as if it were the file `path`.
pub fn read_text(path: &Path, text: &str, config_id: &str, report: &mut Report) -> Vec<Node> {
    let mut reader = Reader::new(config_id, report);
    let file = reader.report.sources.add(path, text);
    reader.lines(file, path, 0);
    reader.finish()
}

struct Open {
    nodes: Vec<Node>,
    brace: Option<Span>,
}

struct Reader<'r> {
    report: &'r mut Report,
    config_id: String,
    definitions: HashMap<String, Vec<String>>,
    stack: Vec<Open>,
    /// Braces open beyond `MAX_DEPTH`; what stands in them is passed over.
    beyond: usize,
    statements: usize,
    /// Lines that `~SEQ` and `~LST` made so far.
    repeated: usize,
    random: Random,
}

impl<'r> Reader<'r> {
    fn new(config_id: &str, report: &'r mut Report) -> Reader<'r> {
        Reader {
            report,
            config_id: config_id.to_owned(),
            definitions: HashMap::new(),
            stack: vec![Open {
                nodes: Vec::new(),
                brace: None,
            }],
            beyond: 0,
            statements: 0,
            repeated: 0,
            random: Random::default(),
        }
    }

    fn finish(mut self) -> Vec<Node> {
        while self.stack.len() > 1 {
            if let Some(brace) = self.stack.last().and_then(|open| open.brace) {
                let text = "this `{` is never closed";
                self.report
                    .push(Diagnostic::error("E0008", brace, text).label("opened here"));
            }
            self.close();
        }
        self.stack.pop().map(|open| open.nodes).unwrap_or_default()
    }

    fn file(&mut self, path: &Path, from: Option<Span>, depth: usize) {
        match std::fs::read(path) {
            Ok(bytes) => {
                // old encodings stand in comments; a word with one is refused by `word`
                let text = String::from_utf8_lossy(&bytes);
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                let file = self.report.sources.add(path, text);
                self.lines(file, path, depth);
            }
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                self.report.push(match from {
                    Some(span) => Diagnostic::error("E0001", span, message),
                    None => Diagnostic::general("E0001", message),
                });
            }
        }
    }

    fn lines(&mut self, file: FileId, path: &Path, depth: usize) {
        let count = self.report.sources.file(file).line_count();
        let mut line = 1;
        while line <= count {
            let start = self.report.sources.file(file).line_start(line);
            let text = self.report.sources.file(file).line(line).to_owned();
            line += 1;
            if let Some((name, mut value)) = definition(&text) {
                while value.last().is_some_and(|l| l.ends_with('\\')) && line <= count {
                    strip_backslash(&mut value);
                    value.push(self.report.sources.file(file).line(line).to_owned());
                    line += 1;
                }
                self.definitions.insert(name, trim_value(value));
                continue;
            }
            self.line(chars(&text, start), file, path, depth);
        }
    }

    fn line(&mut self, line: Vec<Char>, file: FileId, path: &Path, depth: usize) {
        if self.statements > MAX_STATEMENTS {
            return;
        }
        // the names of a `~SEQ` line have no values before it is taken apart
        let Some(line) = self.conditional(line) else {
            return;
        };
        let begin = line.iter().position(|c| !c.c.is_whitespace());
        if let Some(rest) = begin.map(|at| &line[at..]).filter(|l| repeat::begins(l)) {
            return self.repeat(rest, file, path, depth);
        }
        if let Some((name, span)) = whole_reference(&line)
            && let Some(lines) = self.definitions.get(&name).filter(|v| v.len() > 1).cloned()
        {
            return self.expand_lines(&lines, span, file, path, depth);
        }
        let line = self.expand(line, path, 0);
        let Some(line) = self.conditional(line) else {
            return;
        };
        let text: String = line.iter().map(|c| c.c).collect();
        if let Some((name, value)) = definition(&text) {
            self.definitions.insert(name, trim_value(value));
            return;
        }
        self.tokens(&line, file, path, depth);
    }

    /// A definition of several lines, used alone on a line.
    fn expand_lines(
        &mut self,
        lines: &[String],
        at: (u32, u32),
        file: FileId,
        path: &Path,
        depth: usize,
    ) {
        if depth >= MAX_DEPTH {
            let span = self.report.sources.span(file, at.0 as usize, at.1 as usize);
            let text = "definitions are nested too deeply";
            self.report.push(Diagnostic::error("E0006", span, text));
            return;
        }
        for line in lines {
            let chars = line.chars().map(|c| Char {
                c,
                start: at.0,
                end: at.1,
                literal: false,
            });
            self.line(chars.collect(), file, path, depth + 1);
        }
    }

    /// A line that begins with `~SEQ` or `~LST`.
    fn repeat(&mut self, line: &[Char], file: FileId, path: &Path, depth: usize) {
        let end = line.iter().position(|c| c.c == ')').unwrap_or(line.len());
        let (head, rest) = line.split_at((end + 1).min(line.len()));
        let (start, end) = (head[0].start, head[head.len() - 1].end);
        let at = Span { file, start, end };
        if depth >= MAX_DEPTH {
            let text = "lines are repeated too deeply";
            self.report.push(Diagnostic::error("E0006", at, text));
            return;
        }
        let repeat = match repeat::read(&self.expand(head.to_vec(), path, 0)) {
            Ok(repeat) => repeat,
            Err(text) => {
                let forms = "~SEQ(NAME, [first, [step,]] last) ... or ~LST(NAME, value, ...) ...";
                let finding = Diagnostic::error("E0005", at, text);
                self.report
                    .push(finding.help(format!("the form is: {forms}")));
                return;
            }
        };
        for round in repeat.rounds {
            self.repeated += 1;
            if self.repeated > MAX_STATEMENTS || self.statements > MAX_STATEMENTS {
                return self.too_long(at);
            }
            let values = round.into_iter().map(|value| vec![value]);
            self.definitions
                .extend(repeat.names.iter().cloned().zip(values));
            self.line(rest.to_vec(), file, path, depth + 1);
        }
        for name in &repeat.names {
            self.definitions.remove(name);
        }
    }

    /// Said once.
    fn too_long(&mut self, at: Span) {
        let text = "the file is too long";
        if self.report.diagnostics.iter().any(|d| d.message == text) {
            return;
        }
        let limit = format!("at most {MAX_STATEMENTS} statements, definitions counted as used");
        self.report
            .push(Diagnostic::error("E0006", at, text).help(limit));
    }

    /// `@id rest` and `@^id rest`: the rest, or nothing when the id does not fit.
    fn conditional(&self, mut line: Vec<Char>) -> Option<Vec<Char>> {
        let first = line.iter().position(|c| !c.c.is_whitespace());
        let Some(first) = first.filter(|at| line[*at].c == '@') else {
            return Some(line);
        };
        let rest: Vec<Char> = line.split_off(first + 1);
        let end = rest
            .iter()
            .position(|c| c.c.is_whitespace())
            .unwrap_or(rest.len());
        let word: String = rest[..end].iter().map(|c| c.c).collect();
        // a missing name is nobody's, also where this host has none
        let named = |id: &str| !id.is_empty() && id == self.config_id;
        let fits = match word.strip_prefix('^') {
            Some(id) => !named(id),
            None => named(&word),
        };
        fits.then(|| rest[end..].to_vec())
    }

    /// Replaces `$NAME` and `${NAME}` where they are defined.
    fn expand(&mut self, line: Vec<Char>, path: &Path, depth: usize) -> Vec<Char> {
        let mut out = Vec::with_capacity(line.len());
        let mut at = 0;
        while at < line.len() {
            if line[at].c != '$' {
                out.push(line[at]);
                at += 1;
                continue;
            }
            let Some((name, length)) = reference(&line[at..]) else {
                out.push(line[at]);
                at += 1;
                continue;
            };
            let (start, end) = (line[at].start, line[at + length - 1].end);
            match self.value(&name, path) {
                Some(value) if depth < MAX_DEPTH => {
                    let value = value.chars().map(|c| Char {
                        c,
                        start,
                        end,
                        literal: name == "_HASH" || name == "_BANG",
                    });
                    out.extend(self.expand(value.collect(), path, depth + 1));
                }
                _ => {
                    let kept = line[at..at + length].iter();
                    out.extend(kept.map(|&c| Char { literal: true, ..c }));
                }
            }
            at += length;
        }
        out
    }

    fn value(&mut self, name: &str, path: &Path) -> Option<String> {
        if let Some(lines) = self.definitions.get(name) {
            return Some(lines.join(" "));
        }
        match name {
            "_PWD" => Some(directory(path).display().to_string()),
            "_INSTANCE" => Some(self.config_id.clone()),
            "_HASH" => Some("#".to_owned()),
            "_BANG" => Some("!".to_owned()),
            _ => match name.strip_prefix("_RANDOM") {
                Some(range) => self.random.between(range),
                None => name
                    .strip_prefix("_ENV_")
                    .or_else(|| name.strip_prefix("_ENV "))
                    .and_then(|variable| std::env::var(variable.trim()).ok()),
            },
        }
    }

    fn tokens(&mut self, line: &[Char], file: FileId, path: &Path, depth: usize) {
        let mut words: Vec<Word> = Vec::new();
        let mut at = 0;
        while at < line.len() {
            let Char {
                c,
                start,
                end,
                literal,
            } = line[at];
            let here = Span { file, start, end };
            // of a pattern such as `conf.d/{a,b}.conf`
            let pattern = words.len() == 1 && include::is_include(&words[0]);
            match c {
                _ if c.is_whitespace() => at += 1,
                '#' | '!' if !literal => break,
                '{' | '}' if pattern => {
                    let (word, next) = self.word(line, at, file, pattern);
                    words.push(word);
                    at = next;
                }
                '{' if !literal => {
                    at += 1;
                    self.open(std::mem::take(&mut words), here);
                }
                '}' if !literal => {
                    at += 1;
                    self.statement(std::mem::take(&mut words), path, depth);
                    self.close_at(here);
                }
                _ => {
                    let (word, next) = self.word(line, at, file, pattern);
                    words.push(word);
                    at = next;
                }
            }
        }
        self.statement(words, path, depth);
    }

    /// The word at `from`, and where it ends; braces belong to it in a pattern.
    fn word(&mut self, line: &[Char], from: usize, file: FileId, pattern: bool) -> (Word, usize) {
        let mut text = String::new();
        let mut quote: Option<(char, Span)> = None;
        let mut at = from;
        while at < line.len() {
            let Char {
                c,
                start,
                end,
                literal,
            } = line[at];
            let here = Span { file, start, end };
            match (c, &quote) {
                ('\\', _) if at + 1 < line.len() => {
                    let (escaped, used) = escape(&line[at + 1..]);
                    text.extend(escaped);
                    at += 1 + used;
                    continue;
                }
                (_, Some((open, _))) if c == *open => quote = None,
                (_, Some(_)) => text.push(c),
                ('"' | '\'', None) => quote = Some((c, here)),
                (_, None) if c.is_whitespace() => break,
                ('{' | '}', None) if !literal && !pattern => break,
                ('#' | '!', None) if !literal => break,
                (_, None) => text.push(c),
            }
            at += 1;
        }
        if let Some((_, open)) = quote {
            let message = "this quote is not closed on its line";
            self.report.push(Diagnostic::error("E0008", open, message));
        }
        let last = line[at.max(from + 1) - 1].end;
        let span = Span {
            file,
            start: line[from].start,
            end: last,
        };
        if text.contains(char::REPLACEMENT_CHARACTER) {
            let message = "this word is not UTF-8";
            let finding = Diagnostic::error("E0005", span, message);
            self.report.push(finding.help("save the file as UTF-8"));
        }
        (Word { text, span }, at)
    }

    fn statement(&mut self, words: Vec<Word>, path: &Path, depth: usize) {
        let Some(first) = words.first() else { return };
        self.statements += 1;
        if self.statements == MAX_STATEMENTS {
            return self.too_long(first.span);
        }
        if include::is_include(first) {
            return self.include(&words, path, depth);
        }
        if let ("random_seed", Some(seed)) = (first.text.as_str(), words.get(1)) {
            self.random.seed(&seed.text);
        }
        self.push(Node { words, block: None });
    }

    fn push(&mut self, node: Node) {
        if let (0, Some(open)) = (self.beyond, self.stack.last_mut()) {
            open.nodes.push(node);
        }
    }

    /// A brace opens the block of the words before it, or of the statement on
    /// the line above when it stands alone.
    fn open(&mut self, words: Vec<Word>, brace: Span) {
        if self.stack.len() > MAX_DEPTH {
            if self.beyond == 0 {
                let text = "blocks are nested too deeply";
                self.report.push(Diagnostic::error("E0006", brace, text));
            }
            self.beyond += 1;
            return;
        }
        let node = if words.is_empty() {
            let previous = self.stack.last_mut().and_then(|open| open.nodes.pop());
            match previous.filter(|node| node.block.is_none()) {
                Some(node) => node,
                None => {
                    let text = "this `{` belongs to no keyword";
                    self.report.push(Diagnostic::error("E0008", brace, text));
                    Node {
                        words: vec![Word {
                            text: String::new(),
                            span: brace,
                        }],
                        block: None,
                    }
                }
            }
        } else {
            Node { words, block: None }
        };
        self.push(node);
        self.stack.push(Open {
            nodes: Vec::new(),
            brace: Some(brace),
        });
    }

    fn close_at(&mut self, brace: Span) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        if self.stack.len() > 1 {
            return self.close();
        }
        let text = "this `}` closes nothing";
        self.report
            .push(Diagnostic::error("E0008", brace, text).label("one brace too many"));
    }

    fn close(&mut self) {
        let Some(done) = self.stack.pop() else { return };
        let owner = self.stack.last_mut().and_then(|open| open.nodes.last_mut());
        if let Some(node) = owner {
            node.block = Some(done.nodes);
        }
    }
}

fn directory(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_path_buf()
}

#[cfg(test)]
mod tests;
