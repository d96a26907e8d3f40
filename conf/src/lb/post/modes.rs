//! Keywords that need `mode http`: ignored with a warning in TCP mode.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::format::TAGS;
use crate::lb::known;
use crate::lb::model::{FormatPart, LogTarget, Mode, SessionFormat, Tag};

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        if draft.proxy.mode == Mode::Tcp {
            http_only(draft, found);
            http_tags(draft, found);
            cookies(draft, found);
        } else {
            tcp_only(draft, found);
            let later = draft.marks.http_later.iter();
            found.extend(later.map(|(_, refusal)| refusal.clone()));
        }
        unlogged(draft, &draft.proxy.logging.targets, found);
    }
}

fn http_only(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let mut seen = Vec::new();
    let marks = draft.marks.http_only.iter().copied();
    let later = draft.marks.http_later.iter();
    let later = later.filter_map(|(keyword, e)| Some((*keyword, e.primary.as_ref()?.span)));
    for (keyword, span) in marks.chain(later) {
        // one warning a subject and section; the log format of defaults is for those that log,
        // rules of defaults for those that run them
        if seen.contains(&keyword)
            || keyword == "option httplog" && !(draft.has_front() || within(draft, span))
            || matches!(keyword, "http-request" | "http-response") && !within(draft, span)
        {
            continue;
        }
        seen.push(keyword);
        let name = &draft.proxy.name;
        let text = match keyword {
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
        let finding = match known::HTTP_ONLY.contains(&(keyword, false)) {
            true => Diagnostic::note,
            false => Diagnostic::warning,
        };
        let finding = finding("E1027", span, text).label("needs `mode http`");
        found.push(match draft.marks.mode {
            Some(mode) => finding.also(mode, "the mode is set here"),
            None => finding.help("`mode tcp` is the default"),
        });
    }
}

/// Moving sessions is for those that last: requests of HTTP are spread anyway. What HTTP sessions
/// cannot do yet.
fn tcp_only(draft: &Draft, found: &mut Vec<Diagnostic>) {
    if let Some(span) = draft.marks.retry_on_answer.filter(|_| draft.has_back()) {
        found.push(known::not_yet(span, "this event in `mode http`"));
    }
    let marks = [
        ("rebalance", draft.marks.rebalance),
        ("drain-sessions", draft.marks.drain_sessions),
    ];
    let own = |span: &crate::source::Span| draft.has_back() && within(draft, *span);
    for (keyword, span) in marks {
        let Some(span) = span.filter(own) else {
            continue;
        };
        let name = &draft.proxy.name;
        let text = format!("`{keyword}` ignored for proxy `{name}` (needs `mode tcp`)");
        found.push(Diagnostic::warning("E1037", span, text).label("needs `mode tcp`"));
    }
}

/// Tags that only HTTP sessions have.
const HTTP_TAGS: &[Tag] = &[
    Tag::RequestCookie,
    Tag::ResponseCookie,
    Tag::HttpMethod,
    Tag::HttpPath,
    Tag::HttpPathOnly,
    Tag::HttpQuery,
    Tag::HttpUri,
    Tag::HttpVersion,
    Tag::RequestDate,
    Tag::RequestDateGmt,
    Tag::RequestDateLocal,
    Tag::ActiveTime,
    Tag::IdleTime,
    Tag::QueryTime,
    Tag::RequestTime,
    Tag::ResponseTime,
    Tag::RequestLine,
];

fn http_tags(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let SessionFormat::Custom(format) = &draft.proxy.logging.format else {
        return;
    };
    let place = draft.marks.log_format.filter(|_| draft.has_front());
    for part in &format.parts {
        let (FormatPart::Tag(tag, _), Some(span)) = (part, place) else {
            continue;
        };
        if !HTTP_TAGS.contains(tag) {
            continue;
        }
        let name = TAGS
            .iter()
            .find(|(_, t, _)| t == tag)
            .map_or("", |(n, ..)| n);
        found.push(
            Diagnostic::error(
                "E1027",
                span,
                format!(
                    "format tag `%{name}` needs `mode http` (proxy `{}`)",
                    draft.proxy.name
                ),
            )
            .label("used in a TCP proxy"),
        );
    }
}

fn cookies(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let servers = draft.proxy.back.iter().flat_map(|back| &back.servers);
    for server in servers.filter(|s| s.cookie.is_some() && draft.has_back()) {
        found.push(
            Diagnostic::warning(
                "E1027",
                server.place.0,
                format!("the cookie of server `{}` is ignored", server.name),
            )
            .label("needs `mode http`"),
        );
    }
}

/// Whether a place is in the section itself, not in its defaults.
fn within(draft: &Draft, span: crate::source::Span) -> bool {
    let header = draft.proxy.place.0;
    span.file == header.file && span.start > header.start
}

/// A format without a target.
fn unlogged(draft: &Draft, targets: &[LogTarget], found: &mut Vec<Diagnostic>) {
    let logging = &draft.proxy.logging;
    let formatted = logging.format != SessionFormat::Connect || logging.structured_data.is_some();
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
