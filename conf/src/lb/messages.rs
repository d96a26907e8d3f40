//! The report in the shape that scripts around HAProxy know: one bracketed
//! level, the process id and `config : parsing [file:line] : text` a finding,
//! with the column and the source line behind it.

use crate::diagnostic::{Diagnostic, Report, Severity};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Who speaks.
#[derive(Clone, Debug)]
pub struct Voice<'a> {
    /// Name of the program in the first line: `haproxy` or `evenkeel`.
    pub program: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its executable file.
    pub executable: &'a Path,
    /// Its process id.
    pub pid: u32,
    /// Show notes also (`-V`, `-dD`); never when false.
    pub notes: bool,
    /// Show the source line with a caret under each finding.
    pub snippets: bool,
    /// Escape sequences for a terminal.
    pub color: bool,
}

impl Voice<'_> {
    /// Everything that the report has to say on standard error; nothing for a
    /// clean one.
    pub fn findings(&self, report: &Report) -> String {
        let shown: Vec<_> = report
            .diagnostics
            .iter()
            .filter(|d| self.notes || d.severity != Severity::Note || is_said(d))
            .collect();
        let mut out = String::new();
        if !shown.iter().all(|d| is_said(d)) {
            out = self.introduction();
        }
        for diagnostic in shown {
            self.one(report, diagnostic, &mut out);
        }
        if report.has_errors() {
            for file in files_with_errors(report) {
                let text = format!("config : Error(s) found in configuration file : {file}");
                out.push_str(&self.line(Severity::Error, &text));
            }
            let text = "config : Fatal errors found in configuration.";
            out.push_str(&self.line(Severity::Error, text));
        }
        out
    }

    /// The two lines ahead of the first finding.
    pub fn introduction(&self) -> String {
        let version = format!("{} version is {}", self.program, self.version);
        let path = format!("path to executable is {}", self.executable.display());
        self.line(Severity::Note, &version) + &self.line(Severity::Note, &path)
    }

    /// One line, such as `[ALERT]    (42) : text`.
    pub fn line(&self, severity: Severity, text: &str) -> String {
        let label = match severity {
            Severity::Error => "[ALERT]",
            Severity::Warning => "[WARNING]",
            Severity::Note => "[NOTICE]",
        };
        let pid = self.pid;
        let (start, end) = match (self.color, severity) {
            (false, _) => ("", ""),
            (true, Severity::Error) => ("\x1b[1;31m", "\x1b[0m"),
            (true, Severity::Warning) => ("\x1b[1;33m", "\x1b[0m"),
            (true, Severity::Note) => ("\x1b[1;32m", "\x1b[0m"),
        };
        format!("{start}{label:<10}{end} ({pid}) : {text}\n")
    }

    fn one(&self, report: &Report, diagnostic: &Diagnostic, out: &mut String) {
        let message = &diagnostic.message;
        let text = match &diagnostic.primary {
            Some(primary) => {
                let file = report.sources.file(primary.span.file).path().display();
                let at = report.sources.position(primary.span);
                format!("config : parsing [{file}:{}] : {message}", at.line)
            }
            None => format!("config : {message}"),
        };
        out.push_str(&self.line(diagnostic.severity, &text));
        if self.snippets && !is_said(diagnostic) {
            let rendered = report.human_one(diagnostic, self.color);
            for line in rendered.lines().skip(1) {
                let _ = writeln!(out, "  {line}");
            }
            if diagnostic.primary.is_some() {
                let code = diagnostic.code;
                let _ = writeln!(out, "   = explained by: evenkeel explain {code}");
            }
        }
    }
}

/// `.notice`: the file's author wants it read by whoever starts the program.
fn is_said(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Note && diagnostic.code == "E1014"
}

fn files_with_errors(report: &Report) -> Vec<String> {
    let mut seen = BTreeSet::new();
    report
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .filter_map(|d| d.primary.as_ref())
        .filter(|label| seen.insert(label.span.file))
        .map(|label| {
            report
                .sources
                .file(label.span.file)
                .path()
                .display()
                .to_string()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lb::load_str;

    fn voice(notes: bool) -> Voice<'static> {
        Voice {
            program: "evenkeel",
            version: "1",
            executable: Path::new("/usr/bin/evenkeel"),
            pid: 42,
            notes,
            snippets: true,
            color: false,
        }
    }

    #[test]
    fn an_error_has_level_place_snippet_and_two_closing_alerts() {
        let (_, report) = load_str("listen a\n  bind :1\n  balence rr\n");
        let text = voice(false).findings(&report);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "[NOTICE]   (42) : evenkeel version is 1");
        assert!(
            text.contains("\n[ALERT]    (42) : config : parsing [test.cfg:3] : unknown keyword"),
            "{text}"
        );
        assert!(text.contains("--> test.cfg:3:3"), "{text}");
        assert!(text.contains("^^^^^^^"), "{text}");
        assert!(
            text.ends_with("[ALERT]    (42) : config : Fatal errors found in configuration.\n"),
            "{text}"
        );
    }

    #[test]
    fn a_notice_of_the_file_is_shown_alone_and_diag_only_when_asked_for() {
        let (_, report) = load_str("global\n .notice \"node 1\"\n .diag deep\n");
        let told = "[NOTICE]   (42) : config : parsing [test.cfg:2] : node 1\n";
        assert_eq!(voice(false).findings(&report), told);
        let all = voice(true).findings(&report);
        assert!(all.contains(told) && all.contains(": deep\n"), "{all}");
    }

    #[test]
    fn notes_are_silent_unless_asked_for() {
        let clean = "defaults\n timeout connect 5000\n timeout client 5s\n timeout server 5s\n\
                     listen a\n bind :1\n server s 127.0.0.1:1 check\n option redispatch\n";
        let (config, report) = load_str(clean);
        assert!(config.is_some());
        assert_eq!(voice(false).findings(&report), "");
        assert!(voice(true).findings(&report).contains("[NOTICE]"));
    }
}
