//! Reads `broker.toml`: tables and keys with their places, looked up in
//! [`SETTINGS`].

use super::draft::Draft;
use super::settings::{SECTIONS, SETTINGS, Setting};
use super::value::{Given, Item};
use crate::diagnostic::{Diagnostic, Report};
use crate::source::{FileId, Span};
use crate::suggest;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the TOML reader says of a key that stands twice.
const DUPLICATE: &str = "duplicate key";

/// Reads a file of the report's sources into the draft; findings go into the
/// report.
pub(super) fn read(report: &mut Report, file: FileId, draft: &mut Draft) {
    let text = report.sources.file(file).text().to_owned();
    let (root, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let range = error.span().unwrap_or(0..0);
        let message = error.message().replace('\n', "; ");
        let mut diagnostic = Diagnostic::error("E3001", place(file, range.clone()), message);
        if error.message() == DUPLICATE
            && let Some(first) = earlier(&text, range)
        {
            diagnostic = diagnostic.also(place(file, first), "first here");
        }
        report.push(diagnostic);
    }
    let mut entries: Vec<_> = root.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        match value.get_ref() {
            DeValue::Table(table) => section(report, file, key, table, draft),
            _ => report.push(outside(place(file, key.span()), key.get_ref())),
        }
    }
}

/// The nearest line ahead that begins as this key's does: the reader keeps only one of two.
fn earlier(text: &str, again: Range<usize>) -> Option<Range<usize>> {
    let line = text[..again.start].rfind('\n').map_or(0, |at| at + 1);
    let key = text[line..again.end].trim_start();
    let begins = |line: &str| {
        let rest = line.strip_prefix(key);
        rest.is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || "-_".contains(c))
        })
    };
    let mut end = line;
    for ahead in text[..line].split_inclusive('\n').rev() {
        let start = end - ahead.len();
        let indent = ahead.len() - ahead.trim_start().len();
        if begins(ahead.trim_start()) {
            return Some(start + indent..start + indent + key.len());
        }
        end = start;
    }
    None
}

fn place(file: FileId, range: Range<usize>) -> Span {
    Span {
        file,
        start: range.start as u32,
        end: range.end as u32,
    }
}

fn outside(span: Span, key: &str) -> Diagnostic {
    let home = SETTINGS.iter().find(|s| s.key == key);
    let error = Diagnostic::error(
        "E0002",
        span,
        format!("`{key}` stands outside of a section"),
    );
    match home {
        Some(setting) => error.label(format!("belongs into `[{}]`", setting.section)),
        None => error.label("not a keyword here"),
    }
}

fn section(
    report: &mut Report,
    file: FileId,
    name: &Spanned<toml::de::DeString<'_>>,
    table: &DeTable<'_>,
    draft: &mut Draft,
) {
    let known: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
    let section = name.get_ref().as_ref();
    if !known.contains(&section) {
        let span = place(file, name.span());
        let near = suggest::nearest(section, known.iter().copied());
        let error = Diagnostic::error("E0002", span, format!("unknown section `[{section}]`"))
            .label(near.map_or("not a section".to_owned(), |n| {
                format!("did you mean `[{n}]`?")
            }))
            .help(format!("sections are: `{}`", known.join("`, `")))
            .maybe_suggest(span, near);
        return report.push(error);
    }
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let span = place(file, key.span());
        let word = key.get_ref().as_ref();
        let Some(setting) = find(section, word) else {
            report.push(unknown(section, word, span));
            continue;
        };
        if section == "tls" || setting.key == "tls" {
            draft.tls_at.get_or_insert(span);
        }
        if let Err(error) = (setting.apply)(draft, &given(file, value)) {
            let form = format!("the form is: {} = {}", setting.key, setting.form);
            report.push(error.help(form));
        }
    }
}

fn find(section: &str, key: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|s| s.section == section && s.key == key)
}

fn unknown(section: &str, key: &str, span: Span) -> Diagnostic {
    let here = SETTINGS.iter().filter(|s| s.section == section);
    let near = suggest::nearest(key, here.map(|s| s.key));
    let elsewhere = SETTINGS.iter().find(|s| s.key == key);
    let message = format!("unknown setting `{key}` in `[{section}]`");
    let error = Diagnostic::error("E0002", span, message);
    match (near, elsewhere) {
        (Some(near), _) => error
            .label(format!("did you mean `{near}`?"))
            .suggest(span, near),
        (None, Some(other)) => error.label(format!("belongs into `[{}]`", other.section)),
        (None, None) => error.label("not a setting here"),
    }
}

fn given(file: FileId, value: &Spanned<DeValue<'_>>) -> Given {
    let item = match value.get_ref() {
        DeValue::String(text) => Item::Text(text.to_string()),
        DeValue::Integer(n) => {
            let number = i64::from_str_radix(n.as_str(), n.radix());
            number.map_or(Item::Other, Item::Integer)
        }
        DeValue::Float(n) => n.as_str().parse().map_or(Item::Other, Item::Float),
        DeValue::Boolean(b) => Item::Bool(*b),
        DeValue::Array(items) => Item::List(items.iter().map(|item| given(file, item)).collect()),
        DeValue::Datetime(_) | DeValue::Table(_) => Item::Other,
    };
    Given {
        item,
        span: place(file, value.span()),
    }
}
