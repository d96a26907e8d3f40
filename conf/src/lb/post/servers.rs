//! What the options of a server say together.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::model::{CheckAction, CheckKind, Server, ServerAddress, ServerPort};

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        let Some(back) = draft.proxy.back.as_ref().filter(|_| draft.has_back()) else {
            continue;
        };
        for server in &back.servers {
            check_port(draft, server, &back.check.kind, found);
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

/// A check must know its port.
fn check_port(draft: &Draft, server: &Server, kind: &CheckKind, found: &mut Vec<Diagnostic>) {
    let mapped = matches!(
        server.address,
        ServerAddress::Tcp {
            port: ServerPort::Mapped(_),
            ..
        }
    );
    if !server.check.enabled || !mapped || server.check.port.is_some() || connects_to_port(kind) {
        return;
    }
    found.push(
        Diagnostic::error(
            "E1026",
            server.place.0,
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
