//! The admin form of the statistics: what was posted, and what it does.

use std::sync::Arc;

use crate::admin::Control;
use crate::admin::command::Answer as Said;
use crate::admin::servers::{self, Forced, State};
use crate::admin::show_sess::parse_id;
use crate::core::server::{Admin, Change};
use crate::state::{Cause, Generation, Kill, Server, Victims};
use crate::stats::page::Outcome;
use crate::stats::page::table::ACTIONS;

/// Actions of the form of HAProxy 1.4, which scripts still post.
const OLD_ACTIONS: &[&str] = &["disable", "enable", "stop", "start"];

/// Carries out a posted form.
pub fn act(control: &Control, generation: &Generation, form: &str) -> Outcome {
    let mut action = String::new();
    let mut backend = String::new();
    let mut names = Vec::new();
    for pair in form.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "action" => action = decode(value),
            "b" => backend = decode(value),
            "s" => names.push(decode(value)),
            _ => {}
        }
    }
    if action.is_empty() || names.is_empty() {
        return Outcome::Nothing;
    }
    if action == "kill" {
        return kill(control, &names);
    }
    let offered = ACTIONS.iter().map(|(value, _)| value);
    let known = offered.chain(OLD_ACTIONS).any(|name| *name == action);
    let Some(proxy) = generation
        .proxy(&backend)
        .filter(|proxy| known && proxy.back.is_some())
    else {
        return Outcome::Invalid;
    };
    let mut applied = 0;
    let mut refused = 0;
    for name in &names {
        match proxy.server(name).map(|it| act_on(control, it, &action)) {
            Some(Effect::Applied) => applied += 1,
            Some(Effect::Refused) | None => refused += 1,
            Some(Effect::Nothing) => {}
        }
    }
    match (applied, refused) {
        (0, 0) => Outcome::Nothing,
        (_, 0) => Outcome::Done,
        (0, _) => Outcome::Invalid,
        (_, _) => Outcome::Partial,
    }
}

/// What an action did to one server.
enum Effect {
    Applied,
    Refused,
    /// It is so already, or the server has no such checks.
    Nothing,
}

fn act_on(control: &Control, server: &Arc<Server>, action: &str) -> Effect {
    if !concerns(server, action) {
        return Effect::Nothing;
    }
    let said = match action {
        "disable" => flag(control, server, Change::Set(Admin::FORCED_MAINT)),
        "enable" => flag(control, server, Change::Clear(Admin::FORCED_MAINT)),
        "stop" => flag(control, server, Change::Set(Admin::FORCED_DRAIN)),
        "start" => flag(control, server, Change::Clear(Admin::FORCED_DRAIN)),
        "ready" => servers::set_state(control, server, State::Ready),
        "drain" => servers::set_state(control, server, State::Drain),
        "maint" => servers::set_state(control, server, State::Maint),
        "dhlth" => servers::disable_health(server),
        "ehlth" => servers::enable_health(server),
        "hrunn" => servers::force_health(control, server, Forced::Up),
        "hnolb" => servers::force_health(control, server, Forced::Stopping),
        "hdown" => servers::force_health(control, server, Forced::Down),
        "dagent" => servers::disable_agent(server),
        "eagent" => servers::enable_agent(server),
        "arunn" => servers::force_agent(control, server, true),
        "adown" => servers::force_agent(control, server, false),
        "shutdown" => {
            servers::kill_sessions(control, server);
            Said::Done
        }
        _ => return Effect::Refused,
    };
    match said {
        Said::Done => Effect::Applied,
        _ => Effect::Refused,
    }
}

fn flag(control: &Control, server: &Arc<Server>, change: Change) -> Said {
    control.change(server, change, "");
    Said::Done
}

/// Whether an action has something to change on a server.
fn concerns(server: &Server, action: &str) -> bool {
    let admin = server.status().admin;
    match action {
        "disable" => !admin.has(Admin::FORCED_MAINT),
        "enable" => admin.has(Admin::FORCED_MAINT),
        "stop" => !admin.has(Admin::FORCED_DRAIN),
        "start" => admin.has(Admin::FORCED_DRAIN),
        "dhlth" | "ehlth" => server.health_now().configured,
        "dagent" | "eagent" => server.agent_now().configured,
        _ => true,
    }
}

/// A form's value: `+` and `%xx` decoded.
fn decode(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let code = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|code| code.len() == 2);
                out.extend(code.and_then(|code| u8::from_str_radix(code, 16).ok()));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Ends the sessions with these ids.
fn kill(control: &Control, ids: &[String]) -> Outcome {
    let parsed: Vec<_> = ids.iter().map(|id| parse_id(id)).collect();
    if parsed.iter().any(Option::is_none) {
        return Outcome::Invalid;
    }
    for id in parsed.into_iter().flatten() {
        control.kill(Kill {
            victims: Victims::One(id),
            cause: Cause::Killed,
        });
    }
    Outcome::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_values_are_decoded() {
        assert_eq!(decode("%232"), "#2");
        assert_eq!(decode("a+b%2"), "a b");
        assert_eq!(decode("%zz%"), "");
    }
}
