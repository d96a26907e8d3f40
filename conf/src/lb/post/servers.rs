//! What the options of a server say together.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::model::{CheckAction, CheckKind, Server, ServerAddress, ServerPort};

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for named in whole.healthchecks {
        external(whole, &named.draft, found);
    }
    for draft in whole.running() {
        external(whole, draft, found);
        let Some(back) = draft.proxy.back.as_ref().filter(|_| draft.has_back()) else {
            continue;
        };
        for server in &back.servers {
            let kind = &server.check.effective(&back.check).kind;
            check_port(draft, server, kind, found);
            agent_port(server, found);
            if server.check.enabled && server.track.is_some() {
                found.push(
                    Diagnostic::error(
                        "E1025",
                        server.place.0,
                        format!("server `{}` has `check` and `track` at once", server.name),
                    )
                    .label("one of both decides about its state"),
                );
            }
        }
    }
}

/// External checks must be allowed and have a program.
fn external(whole: &Whole<'_>, draft: &Draft, found: &mut Vec<Diagnostic>) {
    let Some(span) = draft.checks.external_option else {
        return;
    };
    let Some(CheckKind::External(check)) = draft.proxy.back.as_ref().map(|b| &b.check.kind) else {
        return;
    };
    let missing = |what: &str, help: &str| {
        Diagnostic::error(
            "E1036",
            span,
            format!("`option external-check` is without {what}"),
        )
        .label("cannot run")
        .help(help.to_owned())
    };
    if !whole.global.global.external_check {
        found.push(missing(
            "`external-check` in `global`",
            "write `external-check` into the `global` section to allow it",
        ));
    }
    if check.command.as_os_str().is_empty() {
        found.push(missing(
            "its program",
            "write `external-check command <program>` into this section",
        ));
    }
}

/// An agent is asked on a port of its own.
fn agent_port(server: &Server, found: &mut Vec<Diagnostic>) {
    let agent = &server.check.agent;
    if agent.enabled && agent.port.is_none() {
        found.push(
            Diagnostic::error(
                "E1026",
                server.place.0,
                format!("server `{}` has `agent-check` without a port", server.name),
            )
            .label("its agent cannot be asked")
            .help("write `agent-port <number>` behind `agent-check`"),
        );
    }
}

/// A check must know its port.
fn check_port(draft: &Draft, server: &Server, kind: &CheckKind, found: &mut Vec<Diagnostic>) {
    let mapped = matches!(
        server.address,
        ServerAddress::Tcp {
            port: ServerPort::Mapped(_),
            ..
        }
    );
    let without = matches!(kind, CheckKind::External(_)) || connects_to_port(kind);
    if !server.check.enabled || !mapped || server.check.port.is_some() || without {
        return;
    }
    found.push(
        Diagnostic::error(
            "E1026",
            server.address_place.0,
            format!(
                "server `{}/{}` has neither a port nor a port for its checks",
                draft.proxy.name, server.name
            ),
        )
        .label("which port should be checked?")
        .help("write `port <number>` behind `check`"),
    );
}

fn connects_to_port(kind: &CheckKind) -> bool {
    let (CheckKind::Tcp(steps) | CheckKind::Http(steps)) = kind else {
        return false;
    };
    steps.iter().any(|step| match &step.action {
        CheckAction::Connect(connect) => connect.port.is_some(),
        _ => false,
    })
}
