//! HAProxy's language is ours: a line that is refused becomes a comment with
//! the reason, until the rest is accepted.

use super::{Converted, Finding, Outcome};
use conf::diagnostic::{Diagnostic, Report, Severity};
use conf::lb::Env;
use std::collections::BTreeMap;
use std::path::Path;

/// Rounds of leaving out what is refused; each shows what the one before hid.
const ROUNDS: usize = 50;

/// Translates.
///
/// # Errors
/// Something is wrong that is in no line.
pub fn convert(text: &str, file: &Path) -> Result<Converted, String> {
    let original: Vec<&str> = text.lines().collect();
    let mut refused: BTreeMap<usize, String> = BTreeMap::new();
    let mut notes = BTreeMap::new();
    for round in 0.. {
        let texts = vec![(file.to_owned(), joined(&original, &refused))];
        let (_, report) = conf::lb::load_texts(texts, Env::of_process());
        let errors: Vec<_> = of(&report, Severity::Error).collect();
        if errors.is_empty() {
            notes = warnings(&report);
            break;
        }
        let known = refused.len();
        for error in &errors {
            let Some(line) = line_of(&report, error) else {
                return Err(error.message.clone());
            };
            refused.entry(line).or_insert_with(|| reason(error));
        }
        refuse_sections(&original, &mut refused);
        if refused.len() == known || round == ROUNDS {
            return Err("no part of it is accepted".to_owned());
        }
    }
    let findings = original.iter().enumerate();
    let findings = findings.filter(|(_, line)| is_content(line));
    Ok(Converted {
        findings: findings
            .map(|(index, line)| Finding {
                line: index as u32 + 1,
                text: line.trim().to_owned(),
                outcome: match (refused.get(&index), notes.get(&index)) {
                    (Some(reason), _) => Outcome::LeftOut(reason.clone()),
                    (None, Some(note)) => Outcome::Roughly(String::clone(note)),
                    (None, None) => Outcome::Kept,
                },
            })
            .collect(),
        text: joined(&original, &refused),
    })
}

/// A section's head that is left out takes all that follows it along, or its
/// lines would go to the section before.
fn refuse_sections(lines: &[&str], refused: &mut BTreeMap<usize, String>) {
    let mut left_out: Option<&str> = None;
    for (index, line) in lines.iter().enumerate() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if conf::lb::SECTIONS.contains(&first) || conf::lb::known::SECTIONS.contains(&first) {
            left_out = refused.contains_key(&index).then(|| line.trim());
        } else if let Some(head) = left_out.filter(|_| is_content(line)) {
            refused.insert(index, format!("it belongs to `{head}`, which is left out"));
        }
    }
}

/// The file with refused lines as comments.
fn joined(lines: &[&str], refused: &BTreeMap<usize, String>) -> String {
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        match refused.get(&index) {
            Some(reason) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                out.push_str(&format!(
                    "{indent}# {}    # left out: {reason}\n",
                    line.trim()
                ));
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn of(report: &Report, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
    report
        .diagnostics
        .iter()
        .filter(move |d| d.severity == severity)
}

/// The line that a finding is about, from 0.
fn line_of(report: &Report, diagnostic: &Diagnostic) -> Option<usize> {
    let primary = diagnostic.primary.as_ref()?;
    let position = report.sources.position(primary.span);
    Some(position.line as usize - 1)
}

fn reason(diagnostic: &Diagnostic) -> String {
    let message = diagnostic.message.replace(['\n', '\r'], " ");
    format!("{message} [{}]", diagnostic.code)
}

/// Warnings, and notes about what has no effect.
fn warnings(report: &Report) -> BTreeMap<usize, String> {
    let telling = report
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Warning || d.message.contains("no effect"));
    telling
        .filter_map(|d| Some((line_of(report, d)?, reason(d))))
        .collect()
}
