//! `show rebalance` and `rebalance`.

use super::command::{Answer, Call, Command, Severity};
use crate::rebalance::View;
use conf::lb::model::AdminLevel;
use std::fmt::Write as _;

/// What concerns moving sessions.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["show", "rebalance"],
        "[<backend>]",
        AdminLevel::User,
        "show how sessions are moved between servers (rebalance, drain-sessions)",
        show,
    ),
    Command::new(
        &["rebalance"],
        "<backend>",
        AdminLevel::Operator,
        "even the servers of a backend out as if one had come back",
        begin,
    ),
];

fn show(call: &mut Call<'_>) -> Answer {
    let only = Some(call.argument(0)).filter(|name| !name.is_empty());
    let generation = call.control.runtime.generation();
    if only.is_some_and(|name| generation.backend(name).is_none()) {
        return Answer::error("No such backend.");
    }
    let views = call.control.rebalancer.get().map(|r| r.views(only));
    let mut out = String::from(
        "# backend state bound_percent bound last_minute server sessions leaving share draining \
         rebalanced drained cause\n",
    );
    for view in views.iter().flatten() {
        lines(view, &mut out);
    }
    Answer::Text(out)
}

fn lines(view: &View, out: &mut String) {
    let (percent, bound) = view.bound.unwrap_or_default();
    for server in &view.servers {
        let _ = writeln!(
            out,
            "{} {} {percent} {bound} {} {} {} {} {:.1} {} {} {} {}",
            view.backend,
            view.state,
            view.last_minute,
            server.name,
            server.sessions,
            server.leaving,
            server.share,
            match (server.draining, &server.waits_for) {
                (false, _) => "no",
                (true, None) => "yes",
                (true, Some(_)) => "waits",
            },
            server.rebalanced,
            server.drained,
            if view.cause.is_empty() {
                "-"
            } else {
                &view.cause
            },
        );
    }
}

fn begin(call: &mut Call<'_>) -> Answer {
    let name = call.argument(0);
    if name.is_empty() {
        return Answer::error("Expects a backend's name.");
    }
    let found = call.control.rebalancer.get().is_some_and(|r| r.begin(name));
    match found {
        true => Answer::Say(
            Severity::Info,
            format!("{name}: rebalancing begins when it has settled."),
        ),
        false => Answer::error("No such backend, or it has no `rebalance` line."),
    }
}
