//! Keywords that need `mode http`: ignored with a warning in TCP mode.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::model::{LogTarget, Mode, SessionFormat};

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        if draft.proxy.mode == Mode::Tcp {
            http_only(draft, found);
        }
        unlogged(draft, &draft.proxy.logging.targets, found);
    }
}

fn http_only(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let mut seen = Vec::new();
    for (keyword, span) in &draft.marks.http_only {
        // one warning a subject and section; lines of defaults are general
        let inherited = !within(draft, *span);
        let for_others = inherited && matches!(*keyword, "option httplog");
        if seen.contains(keyword) || for_others {
            continue;
        }
        seen.push(keyword);
        let name = &draft.proxy.name;
        let text = match *keyword {
            "option httplog" => format!(
                "`option httplog` not usable with proxy `{name}` (needs `mode http`): falling \
                 back to `option tcplog`"
            ),
            "balance" => format!(
                "this algorithm is not possible for proxy `{name}` (needs `mode http`): falling \
                 back to roundrobin"
            ),
            _ => format!("`{keyword}` ignored for proxy `{name}` (needs `mode http`)"),
        };
        let warning = Diagnostic::warning("E1027", *span, text).label("needs `mode http`");
        found.push(match draft.marks.mode {
            Some(mode) => warning.also(mode, "the mode is set here"),
            None => warning.help("`mode tcp` is the default"),
        });
    }
}

/// Whether a place is in the section itself, not in its defaults.
fn within(draft: &Draft, span: crate::source::Span) -> bool {
    let header = draft.proxy.place.0;
    span.file == header.file && span.start > header.start
}

/// A format without a target.
fn unlogged(draft: &Draft, targets: &[LogTarget], found: &mut Vec<Diagnostic>) {
    let formatted = draft.proxy.logging.format != SessionFormat::Connect;
    if draft.has_front() && formatted && targets.is_empty() {
        let name = &draft.proxy.name;
        found.push(
            Diagnostic::warning(
                "E1028",
                draft.proxy.place.0,
                format!("log format ignored for proxy `{name}` since it has no log address"),
            )
            .label("nothing is logged")
            .help("write `log global` here or in the defaults, and `log <address> <facility>` in the global section"),
        );
    }
}
