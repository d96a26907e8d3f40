//! Files in, configuration and report out.

mod header;
mod slips;

use super::draft::{Draft, Negation};
use super::env::Env;
use super::finish;
use super::global::{self, GlobalDraft};
use super::healthcheck::{self, Named};
use super::heirs::Heirs;
use super::known;
use super::lines::{find, no_negation, proxy_line, unknown_line, without_effect};
use super::model::{Config, Ring, Userlist};
use super::proxy;
use super::ring::{self, RingDraft};
use super::userlist::{self, UserlistDraft};
use super::words::{Line, LinePlace, split};
use crate::diagnostic::{Diagnostic, Report};
use crate::keyword::{self, Word};
use crate::source::{FileId, Span};
use crate::suggest;
use std::path::{Path, PathBuf};

/// Most files of one run.
const MAX_FILES: usize = 4096;

/// What `no` goes with in `global`.
const NEGATABLE: &[&str] = &[
    "log",
    "busy-polling",
    "strict-limits",
    "numa-cpu-mapping",
    "set-dumpable",
    "insecure-fork-wanted",
];

/// What the section keywords are.
pub const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "listen",
    "frontend",
    "backend",
    "userlist",
    "ring",
    "healthcheck",
];

/// Loads files and directories (their `*.cfg` in lexical order) as one
/// configuration. Without errors in the report there is a configuration.
pub fn load(paths: &[PathBuf], env: Env) -> (Option<Config>, Report) {
    let mut loader = Loader::new(env);
    for path in paths {
        loader.path(path);
    }
    loader.nothing_read(paths);
    loader.finish()
}

/// Loads files that were read already: their paths and contents, in order.
pub fn load_texts(texts: Vec<(PathBuf, String)>, env: Env) -> (Option<Config>, Report) {
    let mut loader = Loader::new(env);
    for (path, text) in texts {
        let file = loader.report.sources.add(path, text);
        loader.file(file);
    }
    loader.finish()
}

/// Loads a text, for tests.
pub fn load_str(text: &str) -> (Option<Config>, Report) {
    let mut loader = Loader::new(Env::empty());
    let file = loader.report.sources.add("test.cfg", text);
    loader.file(file);
    loader.finish()
}

/// The section that lines belong to.
enum Section {
    None,
    Global,
    Proxy(Box<Draft>),
    Userlist(Box<UserlistDraft>),
    Ring(Box<RingDraft>),
    HealthCheck(Box<Named>),
    /// A section that is refused as a whole; its lines say nothing more.
    Skipped,
}

pub(super) struct Loader {
    pub(super) report: Report,
    pub(super) global: GlobalDraft,
    pub(super) branches: super::branch::Branches,
    section: Section,
    section_word: String,
    /// The latest `defaults`, and all named ones.
    defaults: Option<Box<Draft>>,
    named_defaults: Vec<Draft>,
    heirs: Heirs,
    pub(super) proxies: Vec<Draft>,
    pub(super) userlists: Vec<Userlist>,
    pub(super) rings: Vec<Ring>,
    pub(super) healthchecks: Vec<Named>,
    /// The latest file in which lines of an unfinished merge were told, and a NUL byte.
    marked_lines: Option<FileId>,
    nul_in: Option<FileId>,
}

impl Loader {
    fn new(env: Env) -> Loader {
        let mut global = GlobalDraft {
            env,
            ..GlobalDraft::default()
        };
        global.global.strict_limits = true;
        Loader {
            report: Report::default(),
            global,
            branches: Default::default(),
            section: Section::None,
            section_word: String::new(),
            defaults: None,
            named_defaults: Vec::new(),
            heirs: Heirs::default(),
            proxies: Vec::new(),
            userlists: Vec::new(),
            rings: Vec::new(),
            healthchecks: Vec::new(),
            marked_lines: None,
            nul_in: None,
        }
    }

    fn path(&mut self, path: &Path) {
        let unreadable = |error: std::io::Error| {
            let text = format!("cannot read `{}`: {error}", path.display());
            Diagnostic::general("E0001", text)
        };
        if path.is_dir() {
            match directory(path) {
                Ok(files) => files.iter().for_each(|file| self.path(file)),
                Err(e) => self.report.push(unreadable(e)),
            }
            return;
        }
        match std::fs::read(path) {
            Ok(bytes) if self.report.sources.files().count() < MAX_FILES => {
                let text = text_of(bytes);
                let file = self.report.sources.add(path, text);
                self.file(file);
            }
            Ok(_) => self.report.push(Diagnostic::general(
                "E0001",
                format!("more than {MAX_FILES} files"),
            )),
            Err(e) => self.report.push(unreadable(e)),
        }
    }

    /// Directories without a file are no configuration: nothing would be an error in them.
    fn nothing_read(&mut self, paths: &[PathBuf]) {
        if self.report.sources.files().count() == 0 && !self.report.has_errors() {
            let names: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
            let text = format!("there is no `*.cfg` file in `{}`", names.join("`, `"));
            self.report.push(Diagnostic::general("E0001", text));
        }
    }

    fn file(&mut self, file: FileId) {
        let source = self.report.sources.file(file).clone();
        let path = source.path().to_string_lossy().into_owned();
        self.global.file = source.path().to_owned();
        self.global.line.file = path.as_str().into();
        let Some(mut start) = self.beginning(file) else {
            return;
        };
        let text = &source.text()[start as usize..];
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let place = LinePlace {
                file,
                start,
                number: index as u32 + 1,
                path: &path,
                section: &self.section_word.clone(),
            };
            self.global.line.number = place.number;
            let before = self.report.diagnostics.len();
            let words = self.line(line, place);
            self.explain(before, line, &words);
            start += line.len() as u32;
        }
        if !source.text().is_empty() && !source.text().ends_with('\n') {
            self.no_line_feed(file, start);
        }
        self.end_section();
        self.section = Section::None;
        self.branches.end_of_file(file, start, &mut self.report);
    }

    fn no_line_feed(&mut self, file: FileId, end: u32) {
        let span = Span {
            file,
            start: end,
            end,
        };
        self.report.push(
            Diagnostic::error("E1009", span, "missing LF on last line")
                .label("the file might have been truncated here")
                .help("end the last line with a line feed"),
        );
    }

    /// Takes a line and gives its words.
    fn line(&mut self, line: &str, place: LinePlace<'_>) -> Vec<Word> {
        let Line { words, unset } = match split(line, place, &self.global.env) {
            Ok(line) => line,
            Err(e) => {
                // also in a block that is not read: where its line ends is unclear
                self.unreadable(e, place.file);
                return Vec::new();
            }
        };
        let Some(first) = words.first() else {
            return words;
        };
        if first.text.starts_with('.') {
            let env = &self.global.env;
            self.branches.line(&words, env, &mut self.report);
            return words;
        }
        if !self.branches.active() || self.conflict(&words) {
            return words;
        }
        if first.text.starts_with('[') {
            self.report.diagnostics.extend(bad_scope(&words));
        } else {
            self.words(&words);
        }
        self.report
            .diagnostics
            .extend(unset.iter().map(slips::unset));
        words
    }

    fn words(&mut self, words: &[Word]) {
        let words = self.up_to_empty(words);
        let Some(first) = words.first() else {
            return;
        };
        let text = first.text.as_str();
        if SECTIONS.contains(&text) {
            self.open(text, words);
        } else if known::SECTIONS.contains(&text) {
            self.end_section();
            self.report
                .push(known::not_yet(first.span, &format!("section `{text}`")));
            self.section = Section::Skipped;
        } else if let Some(section) = self.mistyped_header(words) {
            let error = keyword::unknown(first, self.place_name().as_str(), [section]);
            self.report.push(error.help(format!(
                "the lines that follow are read as those of a `{section}` section"
            )));
            self.open(section, words);
        } else {
            self.keyword(words);
        }
    }

    /// An empty word ends the line, as the language has it.
    fn up_to_empty<'w>(&mut self, words: &'w [Word]) -> &'w [Word] {
        let Some(at) = words.iter().position(|w| w.text.is_empty()) else {
            return words;
        };
        let span = words[at].span;
        self.report.push(
            Diagnostic::note(
                "E1105",
                span,
                format!("argument number {at} is empty and ends the line"),
            )
            .label("nothing behind this is read")
            .help("an unset variable is the usual cause: write \"${NAME-default}\""),
        );
        &words[..at]
    }

    /// A line that no keyword of the section takes and whose first word is
    /// nearly a section's.
    fn mistyped_header(&self, words: &[Word]) -> Option<&'static str> {
        let first = words.first()?;
        let known: Vec<&str> = self.names();
        if known.contains(&first.text.as_str()) || words.len() > 4 {
            return None;
        }
        let section = suggest::nearest(&first.text, SECTIONS.iter().copied())?;
        let distance = |name: &str| strsim::damerau_levenshtein(name, &first.text);
        let nearer = known.iter().any(|name| distance(name) < distance(section));
        let at_start = self.report.sources.position(first.span).column == 1;
        let takes_name = !matches!(section, "global" | "defaults");
        let named = !takes_name || words.len() >= 2;
        (!nearer && named && (at_start || matches!(self.section, Section::None))).then_some(section)
    }

    /// First words of all keywords of the current section.
    fn names(&self) -> Vec<&'static str> {
        let first = |name: &'static str| name.split(' ').next().unwrap_or(name);
        match &self.section {
            Section::None | Section::Skipped => Vec::new(),
            Section::Userlist(_) => vec!["user", "group"],
            Section::Ring(_) => ring::KEYWORDS.iter().map(|row| first(row.name)).collect(),
            Section::HealthCheck(_) => healthcheck::first_words(),
            Section::Global => global::TABLES
                .iter()
                .flat_map(|(_, rows)| rows.iter().map(|row| first(row.name)))
                .chain(known::GLOBAL.iter().copied())
                .chain(known::GLOBAL_WITHOUT_EFFECT.iter().copied())
                .chain(["no"])
                .collect(),
            Section::Proxy(_) => proxy::TABLES
                .iter()
                .flat_map(|(_, _, rows)| rows.iter().map(|row| first(row.name)))
                .chain(known::PROXY.iter().map(|name| first(name)))
                .chain(known::HTTP_ONLY.iter().map(|(name, _)| first(name)))
                .chain(known::PROXY_WITHOUT_EFFECT.iter().map(|name| first(name)))
                .chain(["no", "default"])
                .collect(),
        }
    }

    fn place_name(&self) -> String {
        match &self.section {
            Section::None => "the file ahead of any section".to_owned(),
            _ => format!("a `{}` section", self.section_word),
        }
    }

    fn end_section(&mut self) {
        match std::mem::replace(&mut self.section, Section::None) {
            Section::Proxy(draft) if draft.kind.is_none() => {
                if !draft.proxy.name.is_empty() {
                    self.named_defaults.push((*draft).clone());
                }
                self.defaults = Some(draft);
            }
            Section::Proxy(draft) => self.proxies.push(*draft),
            Section::Userlist(draft) => self.userlists.push(draft.finish(&mut self.report)),
            Section::Ring(draft) => self.rings.push(draft.ring),
            Section::HealthCheck(named) => self.healthchecks.push(*named),
            Section::None | Section::Global | Section::Skipped => {}
        }
    }

    fn keyword(&mut self, words: &[Word]) {
        let (negation, words) = match words {
            [first, rest @ ..] if first.text == "no" && !rest.is_empty() => (Negation::No, rest),
            [first, rest @ ..] if first.text == "default" && !rest.is_empty() => {
                (Negation::Default, rest)
            }
            _ => (Negation::Plain, words),
        };
        if negation == Negation::Plain && self.lacks_header(&words[0]) {
            self.open_unnamed(&words[0]);
        }
        let place = self.place_name();
        let lists = matches!(self.section, Section::Userlist(_) | Section::Ring(_));
        if negation != Negation::Plain && lists {
            self.report.push(no_negation(&words[..1]));
            return;
        }
        match &mut self.section {
            Section::Skipped => {}
            Section::None => {
                let names = SECTIONS.iter().copied();
                let error = keyword::unknown(&words[0], &place, names);
                self.report
                    .push(error.help(format!("sections are: `{}`", SECTIONS.join("`, `"))));
            }
            Section::Userlist(draft) => {
                if let Err(e) = userlist::line(draft, words) {
                    self.report.push(e);
                }
            }
            Section::Ring(draft) => ring::line(draft, words, &mut self.report),
            Section::HealthCheck(named) => {
                named.draft.negation = negation;
                healthcheck::line(&mut named.draft, words, &place, &mut self.report);
            }
            Section::Global => {
                self.global.negation = negation;
                self.global_line(words, &place);
            }
            Section::Proxy(draft) => {
                draft.negation = negation;
                draft.around = self.global.surroundings();
                proxy_line(draft, words, &place, &mut self.report);
            }
        }
    }

    fn global_line(&mut self, words: &[Word], place: &str) {
        let tables = global::TABLES.iter().map(|(_, rows)| *rows);
        let Some((row, count)) = find(tables.clone(), words) else {
            if let Some(note) = without_effect(words, known::GLOBAL_WITHOUT_EFFECT) {
                let negated = self.global.negation != Negation::Plain;
                let refused = negated && !NEGATABLE.contains(&words[0].text.as_str());
                self.report.push(match refused {
                    true => no_negation(&words[..1]),
                    false => note,
                });
                return;
            }
            let names = tables.flat_map(|rows| rows.iter().map(|row| row.name));
            let error = unknown_line(words, place, names, known::GLOBAL);
            self.report.push(error);
            return;
        };
        if self.global.negation != Negation::Plain && !NEGATABLE.contains(&row.name) {
            self.report.push(no_negation(&words[..count]));
            return;
        }
        let result = row.run(&mut self.global, words, count);
        self.report.diagnostics.append(&mut self.global.diagnostics);
        if let Err(e) = result {
            self.report.push(e);
        }
    }

    fn finish(self) -> (Option<Config>, Report) {
        finish::finish(self)
    }
}

/// `[name]` alone on a line: HAProxy reads such a scope and does nothing with it.
fn bad_scope(words: &[Word]) -> Option<Diagnostic> {
    let first = &words[0];
    let name = first.text.strip_prefix('[')?.strip_suffix(']');
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    let (span, text) = match (name, words.get(1)) {
        (Some(name), None) if !name.is_empty() && name.chars().all(good) => return None,
        (Some(name), Some(word)) if name.chars().all(good) => {
            (word.span, "a scope stands alone on its line")
        }
        _ => (first.span, "this is not the name of a scope"),
    };
    let label = "expected letters, digits, `_`, `-`, `.` and `:` in brackets, and nothing else";
    Some(Diagnostic::error("E0005", span, text).label(label))
}

/// The `*.cfg` files of a directory in lexical order; hidden ones are left out.
fn directory(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let wanted = name.ends_with(".cfg") && !name.starts_with('.') && file.is_file();
        if wanted {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// A file's bytes as text: what is not UTF-8 becomes one character a byte.
pub fn text_of(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let mut text = String::new();
            for chunk in error.as_bytes().utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|b| super::value::raw_byte(*b)));
            }
            text
        }
    }
}
