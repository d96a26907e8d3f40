//! Diagnostics: what is wrong, where, and what would be right.
//!
//! A [`Diagnostic`] holds spans only; [`Report`] has the sources beside it and
//! renders them for people (as rustc does) or for editors (JSON lines).

use crate::source::{SourceMap, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use serde_json::{Value, json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A hint; never counts against the file.
    Note,
    /// Runs, but is probably not what is meant; fatal under `-dW`.
    Warning,
    /// The file is refused.
    Error,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A place with a remark.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What to say there; may be empty.
    pub text: String,
}

/// A change that would mend it.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// What to replace; of no width for an insertion.
    pub span: Span,
    /// The new text.
    pub replacement: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// A code of [`crate::code`].
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// Where; nothing only when no file is concerned.
    pub primary: Option<Label>,
    /// Other places that matter, such as the first of two conflicting lines.
    pub secondary: Vec<Label>,
    /// What would be accepted or what to do.
    pub help: Vec<String>,
    /// A mechanical mend.
    pub suggestion: Option<Suggestion>,
}

impl Diagnostic {
    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            help: Vec::new(),
            suggestion: None,
        }
    }

    /// An error at a place.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, message).at(span, "")
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, message).at(span, "")
    }

    /// A note at a place.
    pub fn note(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Note, code, message).at(span, "")
    }

    /// An error that belongs to no place in a file.
    pub fn general(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, message)
    }

    /// Sets the primary place and the remark at it.
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.primary = Some(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Sets the remark at the primary place.
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        if let Some(primary) = &mut self.primary {
            primary.text = text.into();
        }
        self
    }

    /// Adds another place that matters.
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds a line of help.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help.push(text.into());
        self
    }

    /// Proposes a replacement.
    pub fn suggest(mut self, span: Span, replacement: impl Into<String>) -> Diagnostic {
        self.suggestion = Some(Suggestion {
            span,
            replacement: replacement.into(),
        });
        self
    }

    /// Proposes a replacement if there is one.
    pub fn maybe_suggest(self, span: Span, replacement: Option<&str>) -> Diagnostic {
        match replacement {
            Some(text) => self.suggest(span, text),
            None => self,
        }
    }
}

/// Findings of one line that are shown to a person.
const SHOWN_OF_LINE: usize = 50;

/// The findings of one run with the files they are about.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The files.
    pub sources: SourceMap,
    /// The findings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// How many findings are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        let of = |d: &&Diagnostic| d.severity == severity;
        self.diagnostics.iter().filter(of).count()
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Widens every span to whole characters of its file.
    pub fn align(&mut self) {
        let sources = &self.sources;
        for diagnostic in &mut self.diagnostics {
            let labels = diagnostic
                .primary
                .iter_mut()
                .chain(&mut diagnostic.secondary);
            for label in labels {
                label.span = sources.whole_characters(label.span);
            }
            if let Some(suggestion) = &mut diagnostic.suggestion {
                suggestion.span = sources.whole_characters(suggestion.span);
            }
        }
    }

    /// Everything for a person, as rustc prints it; what is found on one line beyond `SHOWN_OF_LINE` is counted.
    pub fn human(&self, color: bool) -> String {
        let mut out = String::new();
        let place = |d: &Diagnostic| {
            let span = d.primary.as_ref()?.span;
            Some((span.file, self.sources.file(span.file).line_of(span.start)))
        };
        for of_line in self
            .diagnostics
            .chunk_by(|a, b| place(a).is_some() && place(a) == place(b))
        {
            for diagnostic in of_line.iter().take(SHOWN_OF_LINE) {
                out.push_str(&self.human_one(diagnostic, color));
                out.push_str("\n\n");
            }
            if let more @ 1.. = of_line.len().saturating_sub(SHOWN_OF_LINE) {
                out.push_str(&format!("... and {more} more on this line\n\n"));
            }
        }
        out
    }

    /// One finding for a person, without a line feed at the end.
    pub fn human_one(&self, diagnostic: &Diagnostic, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&self.groups(diagnostic)).to_string()
    }

    fn groups<'a>(&'a self, diagnostic: &'a Diagnostic) -> Vec<Group<'a>> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code);
        let mut group = Group::with_title(title);
        if let Some(primary) = &diagnostic.primary {
            group = self.snippets(group, primary, &diagnostic.secondary);
        }
        for help in &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let mut groups = vec![group];
        if let Some(suggestion) = &diagnostic.suggestion {
            let file = self.sources.file(suggestion.span.file);
            let window = file.window(suggestion.span.start, suggestion.span.end);
            let range = window.range(suggestion.span);
            groups.push(
                Group::with_title(Level::HELP.secondary_title("write")).element(
                    Snippet::source(window.text)
                        .line_start(window.first_line as usize)
                        .path(file.path().to_string_lossy())
                        .patch(Patch::new(range, suggestion.replacement.as_str())),
                ),
            );
        }
        groups
    }

    fn snippets<'a>(
        &'a self,
        mut group: Group<'a>,
        primary: &'a Label,
        secondary: &'a [Label],
    ) -> Group<'a> {
        let mut files = vec![primary.span.file];
        for label in secondary {
            if !files.contains(&label.span.file) {
                files.push(label.span.file);
            }
        }
        for id in files {
            let file = self.sources.file(id);
            let marks = std::iter::once((AnnotationKind::Primary, primary))
                .chain(secondary.iter().map(|l| (AnnotationKind::Context, l)))
                .filter(|(_, l)| l.span.file == id);
            let spans = || marks.clone().map(|(_, l)| l.span);
            let window = file.window(
                spans().map(|s| s.start).min().unwrap_or(0),
                spans().map(|s| s.end).max().unwrap_or(0),
            );
            let mut snippet = Snippet::source(window.text)
                .line_start(window.first_line as usize)
                .path(file.path().to_string_lossy());
            for (kind, label) in marks {
                let range = window.range(label.span);
                snippet = snippet.annotation(kind.span(range).label(label.text.as_str()));
            }
            group = group.element(snippet);
        }
        group
    }

    /// One JSON object a line, for editors. Lines and columns count from 1,
    /// `end` is the place behind the last character.
    pub fn json(&self) -> String {
        let line = |d: &Diagnostic| format!("{}\n", self.json_one(d));
        self.diagnostics.iter().map(line).collect()
    }

    fn json_one(&self, diagnostic: &Diagnostic) -> Value {
        json!({
            "severity": diagnostic.severity.word(),
            "code": diagnostic.code,
            "message": diagnostic.message,
            "place": diagnostic.primary.as_ref().map(|l| self.json_label(l)),
            "also": diagnostic.secondary.iter().map(|l| self.json_label(l)).collect::<Vec<_>>(),
            "help": diagnostic.help,
            "suggestion": diagnostic.suggestion.as_ref().map(|s| json!({
                "range": self.json_span(s.span),
                "replacement": s.replacement,
            })),
        })
    }

    fn json_label(&self, label: &Label) -> Value {
        json!({ "range": self.json_span(label.span), "text": label.text })
    }

    fn json_span(&self, span: Span) -> Value {
        let (start, end) = (self.sources.position(span), self.sources.end_position(span));
        json!({
            "file": self.sources.file(span.file).path().to_string_lossy(),
            "start": { "line": start.line, "column": start.column },
            "end": { "line": end.line, "column": end.column },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Report {
        let mut report = Report::default();
        let file = report.sources.add("a.cfg", "listen x\n  balence rr\n");
        let span = report.sources.span(file, 11, 18);
        let first = report.sources.span(file, 0, 6);
        report.push(
            Diagnostic::error("E0002", span, "unknown keyword `balence`")
                .label("not a keyword of `listen`")
                .also(first, "in this section")
                .suggest(span, "balance"),
        );
        report
    }

    #[test]
    fn a_person_sees_file_line_column_caret_and_mend() {
        let text = example().human(false);
        assert!(
            text.contains("error[E0002]: unknown keyword `balence`"),
            "{text}"
        );
        assert!(text.contains("a.cfg:2:3"), "{text}");
        assert!(text.contains("^^^^^^^ not a keyword of `listen`"), "{text}");
        assert!(text.contains("balance rr"), "{text}");
    }

    #[test]
    fn an_editor_gets_one_object_a_line() {
        let text = example().json();
        let value: Value = serde_json::from_str(text.trim()).expect("one JSON object");
        assert_eq!(value["place"]["range"]["start"]["line"], 2);
        assert_eq!(value["place"]["range"]["end"]["column"], 10);
        assert_eq!(value["suggestion"]["replacement"], "balance");
    }

    #[test]
    fn many_findings_of_one_line_are_counted() {
        let mut report = Report::default();
        let file = report
            .sources
            .add("a.cfg", format!("{}\nx\n", "}".repeat(5000)).as_str());
        for place in 0..5000 {
            let span = report.sources.span(file, place, place + 1);
            report.push(Diagnostic::error("E0008", span, "closes nothing"));
        }
        let span = report.sources.span(file, 5001, 5002);
        report.push(Diagnostic::error("E0002", span, "unknown"));
        let shown = report.human(false);
        assert_eq!(shown.matches("closes nothing").count(), SHOWN_OF_LINE);
        assert!(shown.contains("... and 4950 more on this line"));
        assert!(shown.contains("unknown"));
    }
}
