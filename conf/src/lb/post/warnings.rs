//! What HAProxy warns about.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::model::{CheckKind, Mode, ProxyKind, StateSource};

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        binds(draft, found);
        precedence(draft, found);
        unused_rules(draft, found);
        unused_lines(draft, found);
        direct(draft, found);
        states(whole, draft, found);
        captures(draft, found);
    }
}

/// Warns about timeouts that are not set.
pub(super) fn timeouts(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        missing_timeouts(draft, found);
    }
}

fn missing_timeouts(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let mut missing = Vec::new();
    if let Some(front) = draft.proxy.front.as_ref().filter(|_| draft.has_front())
        && front.timeouts.client.is_none()
    {
        missing.push("client");
    }
    if let Some(back) = draft.proxy.back.as_ref().filter(|_| draft.has_back())
        && !back.servers.is_empty()
    {
        let tunnel = back.timeouts.tunnel.is_some() && draft.proxy.mode != Mode::Http;
        if back.timeouts.connect.is_none() {
            missing.push("connect");
        }
        if back.timeouts.server.is_none() && !tunnel {
            missing.push("server");
        }
    }
    if missing.is_empty() {
        return;
    }
    let (word, name) = (draft.word(), &draft.proxy.name);
    let list = missing
        .iter()
        .map(|which| format!("`timeout {which}`"))
        .collect::<Vec<_>>()
        .join(", ");
    found.push(
        Diagnostic::warning(
            "E1029",
            draft.proxy.place.0,
            format!("missing timeouts for {word} `{name}`: {list}"),
        )
        .label("sessions that die silently are kept for ever")
        .help("set them here or in the defaults, above 0"),
    );
}

fn binds(draft: &Draft, found: &mut Vec<Diagnostic>) {
    if draft.has_front() && !draft.marks.binds {
        let (word, name) = (draft.word(), &draft.proxy.name);
        found.push(
            Diagnostic::warning(
                "E1030",
                draft.proxy.place.0,
                format!("{word} `{name}` has no `bind` line"),
            )
            .label("nobody can connect to it")
            .help("declare it as a `backend` if this was intended"),
        );
    }
}

/// In a listen section a default backend wins over its own servers.
fn precedence(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let own = draft
        .proxy
        .back
        .as_ref()
        .and_then(|back| back.servers.first());
    let (Some(ProxyKind::Listen), Some(span), Some(server)) =
        (draft.kind, draft.marks.default_backend, own)
    else {
        return;
    };
    found.push(
        Diagnostic::warning(
            "E1031",
            span,
            format!(
                "in `{}` the `default_backend` goes before the section's own servers, which are \
                 never used",
                draft.proxy.name
            ),
        )
        .label("all sessions go there")
        .also(server.place.0, "never used"),
    );
}

/// Check rules that no check runs.
fn unused_rules(draft: &Draft, found: &mut Vec<Diagnostic>) {
    if !draft.has_back() {
        return;
    }
    let [tcp, http] = draft.checks.unused;
    let unused = [
        ("tcp-check", "option tcp-check", tcp),
        ("http-check", "option httpchk", http),
    ];
    for (rules, option, first) in unused {
        if let Some(span) = first {
            found.push(
                Diagnostic::warning(
                    "E1033",
                    span,
                    format!("`{rules}` rules of `{}` are ignored", draft.proxy.name),
                )
                .label(format!("there is no `{option}`")),
            );
        }
    }
}

/// What only another kind of check does.
fn unused_lines(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let back = draft.proxy.back.as_ref().filter(|_| draft.has_back());
    let chosen = match back.map(|back| &back.check.kind) {
        Some(CheckKind::Http(_)) => "option httpchk",
        Some(CheckKind::External(_)) => "option external-check",
        _ => "",
    };
    let unused = |(_, option, _): &&(&str, &str, _)| *option != chosen;
    for (keyword, option, span) in draft.checks.needs_option.iter().filter(unused) {
        let (word, name) = (draft.word(), &draft.proxy.name);
        let text = format!("`{keyword}` will be ignored for {word} `{name}`");
        let warning = Diagnostic::warning("E1033", *span, text);
        found.push(warning.label(format!("there is no `{option}`")));
    }
}

/// One address for all sessions, and an algorithm that chooses.
fn direct(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let Some(balance) = draft.marks.balance.filter(|_| draft.has_back()) else {
        return;
    };
    let name = &draft.proxy.name;
    if let Some(span) = draft.marks.transparent {
        let text = format!("`{name}` has both `option transparent` and `balance`");
        let error = Diagnostic::error("E1042", span, text).label("chooses no server");
        found.push(error.also(balance, "chooses one"));
    } else if let Some((_, span)) = &draft.marks.dispatch {
        let text = format!("the `dispatch` address of `{name}` is ignored where `balance` stands");
        let warning = Diagnostic::warning("E1042", *span, text).label("not used");
        found.push(warning.also(balance, "chooses a server"));
    }
}

/// States are to come from a file that is not named.
fn states(whole: &Whole<'_>, draft: &Draft, found: &mut Vec<Diagnostic>) {
    let back = draft.proxy.back.as_ref().filter(|_| draft.has_back());
    let wanted = back.is_some_and(|back| back.state_source == StateSource::Global);
    if wanted && whole.global.global.server_state_file.is_none() {
        let name = &draft.proxy.name;
        let text = format!("backend `{name}` has no file to take the states of its servers from");
        let warning = Diagnostic::warning("E1043", draft.proxy.place.0, text);
        found.push(
            warning
                .label("`load-server-state-from-file global` holds here")
                .help("name the file by `server-state-file` in the `global` section"),
        );
    }
}

fn captures(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let Some(span) = draft.marks.captures_contents else {
        return;
    };
    let delay = draft.proxy.front.as_ref().and_then(|f| f.inspect_delay);
    if draft.proxy.mode == Mode::Tcp && delay.is_none() {
        found.push(
            Diagnostic::warning(
                "E1034",
                span,
                "this captures contents without waiting for them",
            )
            .label("no `tcp-request inspect-delay` in this section"),
        );
    }
}
