//! One line of a section: the row that takes it, or what is wrong with it.

use super::draft::{Draft, Negation};
use super::known;
use super::proxy::check_rules::{self, Script};
use super::proxy::{self, Side};
use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::keyword::{self, Args, Keyword, Word};
use crate::source::Span;
use crate::suggest;

/// `words` are those of the keyword.
pub(super) fn no_negation(words: &[Word]) -> Diagnostic {
    let names: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
    Diagnostic::error(
        "E1004",
        words[0].span.to(words[words.len() - 1].span),
        format!("`{}` cannot be negated", names.join(" ")),
    )
    .label("`no` and `default` go with most of `option` and few others")
}

/// Options that choose one of several or stand for several cannot be switched off, nor can
/// keywords that are no options.
fn may_be_negated(name: &str) -> bool {
    let Some(option) = name.strip_prefix("option ") else {
        return name == "log";
    };
    let format = matches!(option, "tcplog" | "httplog" | "httpslog" | "json-log");
    let check = option.ends_with("-check") || option.ends_with("chk");
    !format && !check && !matches!(option, "tcpka" | "forwardfor" | "originalto")
}

/// An option without effect takes no words either.
fn surplus(words: &[Word]) -> Option<Diagnostic> {
    let (option, rest) = words.split_at_checked(2)?;
    let head = option[0].span.to(option[1].span);
    let name = known::PROXY_WITHOUT_EFFECT
        .iter()
        .find(|name| name.split(' ').eq(option.iter().map(|w| w.text.as_str())))?;
    Args::new(name, "", head, rest).finish().err()
}

/// The row with the longest name that the line starts with, of all tables.
pub(super) fn find<'t, C>(
    tables: impl Iterator<Item = &'t [Keyword<C>]>,
    words: &[Word],
) -> Option<(&'t Keyword<C>, usize)> {
    tables
        .filter_map(|rows| keyword::lookup(rows, words))
        .max_by_key(|&(_, count)| count)
}

/// Whether a line starts with the words of a keyword.
fn starts_with(words: &[Word], name: &str) -> bool {
    let count = name.split(' ').count();
    count <= words.len() && name.split(' ').zip(words).all(|(n, w)| n == w.text)
}

/// The note for a line that may stand but does nothing.
pub(super) fn without_effect(words: &[Word], names: &[&str]) -> Option<Diagnostic> {
    let name = names.iter().find(|name| starts_with(words, name))?;
    let count = name.split(' ').count();
    let span = words[0].span.to(words[count - 1].span);
    Some(known::without_effect(span, name))
}

/// The error for a line that no row takes. Where the first word is known (as
/// in `option tcplogg`), the second is the wrong one.
pub(super) fn unknown_line<'n>(
    words: &[Word],
    place: &str,
    names: impl Iterator<Item = &'n str> + Clone,
    not_yet: &'n [&'n str],
) -> Diagnostic {
    if let Some(name) = not_yet.iter().find(|name| starts_with(words, name)) {
        let count = name.split(' ').count();
        let span = words[0].span.to(words[count - 1].span);
        return known::not_yet(span, &format!("`{name}`"));
    }
    let first = words[0].text.as_str();
    let seconds: Vec<&str> = names
        .clone()
        .chain(not_yet.iter().copied())
        .filter_map(|name| name.split_once(' '))
        .filter(|(start, _)| *start == first)
        .map(|(_, second)| second.split(' ').next().unwrap_or(second))
        .collect();
    if seconds.is_empty() {
        let firsts: Vec<&str> = names.map(|n| n.split(' ').next().unwrap_or(n)).collect();
        return keyword::unknown(&words[0], place, firsts.iter().copied());
    }
    let Some(second) = words.get(1) else {
        return Diagnostic::error(
            "E0003",
            words[0].span.after(),
            format!("`{first}` needs more"),
        )
        .label("a word is missing here")
        .help(format!("it goes on with one of: {}", seconds.join(", ")));
    };
    let near = suggest::nearest(&second.text, seconds.iter().copied());
    Diagnostic::error(
        "E0002",
        second.span,
        format!("unknown keyword `{first} {}` in {place}", second.text),
    )
    .label(match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("not something that `{first}` goes on with"),
    })
    .maybe_suggest(second.span, near)
}

pub(super) fn proxy_line(draft: &mut Draft, words: &[Word], place: &str, report: &mut Report) {
    if let Some(result) = check_variable(draft, words) {
        report.diagnostics.append(&mut draft.diagnostics);
        if let Err(e) = result {
            report.push(e);
        }
        return;
    }
    let tables = proxy::TABLES.iter().map(|(_, _, rows)| *rows);
    let Some((row, count)) = find(tables.clone(), words) else {
        if let Some(note) = without_effect(words, known::PROXY_WITHOUT_EFFECT) {
            let found = surplus(words).or_else(|| misses_side(draft, words));
            report.push(found.unwrap_or(note));
            return;
        }
        if let Some(gone) = known::removed(words) {
            report.push(gone);
            return;
        }
        if let Some(name) = http_later(words) {
            keep_for_later(draft, words, name, report);
            return;
        }
        let names: Vec<_> = tables
            .flat_map(|rows| rows.iter().map(|r| r.name))
            .chain(known::HTTP_ONLY.iter().map(|(name, _)| *name))
            .collect();
        report.push(unknown_line(
            words,
            place,
            names.iter().copied(),
            known::PROXY,
        ));
        return;
    };
    let head = words[0].span.to(words[count - 1].span);
    if draft.negation != Negation::Plain && !may_be_negated(row.name) {
        report.push(no_negation(&words[..count]));
        return;
    }
    let side = proxy::TABLES
        .iter()
        .find(|(_, _, rows)| rows.iter().any(|r| std::ptr::eq(r, row)))
        .map_or(Side::Both, |(side, _, _)| *side);
    let missing = match side {
        Side::Front if !draft.has_front() => Some("frontend"),
        Side::Back if !draft.has_back() => Some("backend"),
        _ => None,
    };
    if let Some(capability) = missing {
        let found = wrong_side(draft, row.name, head, capability);
        let ignored = found.severity != Severity::Error;
        report.push(found);
        if ignored {
            judge_ignored(draft, row, count, words, report);
        }
        return;
    }
    misplaced(draft, row.name, head, report);
    apply_row(draft, row, count, words, report);
}

/// The keyword of a line that only HTTP sessions would use and that is not there yet.
fn http_later(words: &[Word]) -> Option<&'static str> {
    let mut names = known::HTTP_ONLY.iter().map(|(name, _)| *name);
    names.find(|name| starts_with(words, name))
}

/// Whether such a line matters shows when the mode of all proxies that have it is known.
fn keep_for_later(draft: &mut Draft, words: &[Word], name: &'static str, report: &mut Report) {
    let words = &words[..name.split(' ').count()];
    let marks = &mut draft.marks.http_later;
    if draft.negation == Negation::Plain {
        let head = words[0].span.to(words[words.len() - 1].span);
        marks.push((name, known::not_yet(head, &format!("`{name}`"))));
    } else if may_be_negated(name) {
        marks.retain(|(other, _)| *other != name);
    } else {
        report.push(no_negation(words));
    }
}

/// A keyword without effect that stands on the wrong side: HAProxy warns of that.
fn misses_side(draft: &Draft, words: &[Word]) -> Option<Diagnostic> {
    let (name, of_front) = known::SIDE_WITHOUT_EFFECT
        .iter()
        .find(|(name, _)| starts_with(words, name))?;
    let capability = match of_front {
        true if !draft.has_front() => "frontend",
        false if !draft.has_back() => "backend",
        true | false => return None,
    };
    let last = &words[name.split(' ').count() - 1];
    Some(wrong_side(
        draft,
        name,
        words[0].span.to(last.span),
        capability,
    ))
}

/// What is ignored must be well-formed all the same: only its errors are told.
fn judge_ignored(
    draft: &Draft,
    row: &Keyword<Draft>,
    count: usize,
    words: &[Word],
    report: &mut Report,
) {
    let mut aside = draft.as_listen();
    let before = report.diagnostics.len();
    apply_row(&mut aside, row, count, words, report);
    let found = report.diagnostics.split_off(before).into_iter();
    let errors = found.filter(|d| d.severity == Severity::Error);
    report.diagnostics.extend(errors);
}

/// Runs a row on the words behind its name.
pub(super) fn apply_row(
    draft: &mut Draft,
    row: &Keyword<Draft>,
    count: usize,
    words: &[Word],
    report: &mut Report,
) {
    let result = row.run(draft, words, count);
    report.diagnostics.append(&mut draft.diagnostics);
    if let Err(e) = result {
        report.push(e);
    }
}

/// Rules in the order in which they are evaluated.
const RANKS: &[&str] = &[
    "tcp-request connection",
    "tcp-request session",
    "tcp-request content",
    "monitor fail",
    "http-request",
    "use_backend",
    "use-server",
];

/// Warns about a rule behind one that is evaluated later.
fn misplaced(draft: &mut Draft, name: &'static str, head: Span, report: &mut Report) {
    let Some(rank) = RANKS.iter().position(|rule| *rule == name) else {
        return;
    };
    let rank = rank as u8;
    match draft.marks.latest_rule {
        // HAProxy says nothing about these two
        Some((_, "use-server", _)) if name == "use_backend" => {}
        Some((latest, other, place)) if latest > rank => report.push(
            Diagnostic::warning(
                "E1032",
                head,
                format!("a `{name}` rule behind a `{other}` rule is still evaluated before it"),
            )
            .label("evaluated first")
            .also(place, "evaluated after it"),
        ),
        _ => draft.marks.latest_rule = Some((rank, name, head)),
    }
}

/// `tcp-check set-var(name) ...`: a keyword with its argument in one word.
pub(super) fn check_variable(draft: &mut Draft, words: &[Word]) -> Option<Result<(), Diagnostic>> {
    let script = match words.first()?.text.as_str() {
        "tcp-check" => Script::Tcp,
        "http-check" => Script::Http,
        _ => return None,
    };
    let (name, _) = words.get(1)?.text.split_once('(')?;
    if !matches!(name, "set-var" | "set-var-fmt" | "unset-var") {
        return None;
    }
    let head = words[0].span.to(words[1].span);
    let form =
        "{ set-var(<name>) <expression> | set-var-fmt(<name>) <format> | unset-var(<name>) }";
    let mut args = Args::new("tcp-check", form, head, &words[1..]);
    Some(check_rules::variable(draft, &mut args, script))
}

/// Keywords that one cannot do without where one wrote them: they are refused in a section
/// that has not the side they belong to; others are ignored with a warning.
const NEEDED: &[&str] = &[
    "server",
    "default-server",
    "retry-on",
    "tcp-request connection",
    "tcp-request session",
    "tcp-response content",
    "tcp-response inspect-delay",
];

/// Keywords that HAProxy passes over in silence on the wrong side.
const PASSED_OVER: &[&str] = &[
    "hash-balance-factor",
    "persist",
    "timeout http-keep-alive",
    "timeout http-request",
    "unique-id-format",
];

fn wrong_side(draft: &Draft, name: &str, head: Span, capability: &str) -> Diagnostic {
    let (word, section) = (draft.word(), &draft.proxy.name);
    let fatal = NEEDED.contains(&name);
    let text = if fatal {
        format!("`{name}` not allowed because {word} `{section}` has no {capability} capability")
    } else {
        format!("`{name}` ignored because {word} `{section}` has no {capability} capability")
    };
    let found = if fatal {
        Diagnostic::error("E1011", head, text)
    } else if PASSED_OVER.contains(&name) {
        Diagnostic::note("E1011", head, text)
    } else {
        Diagnostic::warning("E1011", head, text)
    };
    found.label(format!("belongs into a {capability} or listen section"))
}
