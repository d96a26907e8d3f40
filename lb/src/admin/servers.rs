//! Commands that change one server: `set server`, `set weight`, `enable`, `disable`.

use std::sync::Arc;

use conf::lb::model::AdminLevel;

use super::command::{Answer, Call, Command};
use super::{Control, targets};
use crate::core::health::Health;
use crate::core::order;
use crate::core::server::Change;
pub use crate::state::Administered as State;
use crate::state::{Cause, Kill, Proxy, Server, Victims};

/// The commands of this file.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["disable", "agent"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "stop agent checks of a server",
        |call| {
            with_server(call, |_, _, server| {
                lock(&server.agent).enabled = false;
                Answer::Done
            })
        },
    ),
    Command::new(
        &["disable", "health"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "stop health checks of a server",
        |call| {
            with_server(call, |_, _, server| {
                lock(&server.health).enabled = false;
                Answer::Done
            })
        },
    ),
    Command::new(
        &["disable", "server"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "put a server into maintenance (as 'set server <bk>/<srv> state maint')",
        |call| {
            with_server(call, |call, _, server| {
                set_state(call.control, server, State::Maint)
            })
        },
    ),
    Command::new(
        &["enable", "agent"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "run agent checks of a server again",
        |call| with_server(call, |_, _, server| enable_agent(server)),
    ),
    Command::new(
        &["enable", "health"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "run health checks of a server again",
        |call| with_server(call, |_, _, server| enable_health(server)),
    ),
    Command::new(
        &["enable", "server"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "end a server's maintenance (as 'set server <bk>/<srv> state ready')",
        |call| {
            with_server(call, |call, _, server| {
                set_state(call.control, server, State::Ready)
            })
        },
    ),
    Command::new(
        &["get", "weight"],
        "<bk>/<srv>",
        AdminLevel::User,
        "a server's weight and the one of the file",
        |call| {
            with_server(call, |_, _, server| {
                let status = server.status();
                Answer::Text(format!(
                    "{} (initial {})\n",
                    status.weight, status.initial_weight
                ))
            })
        },
    ),
    Command::new(
        &["set", "server"],
        "<bk>/<srv> <what> <value>",
        AdminLevel::Admin,
        "change a server's state, weight, address, name, health, agent or check port",
        set_server,
    ),
    Command::new(
        &["set", "weight"],
        "<bk>/<srv> <weight>[%]",
        AdminLevel::Admin,
        "change a server's weight",
        |call| {
            with_server(call, |call, _, server| {
                set_weight(call.control, server, call.argument(1))
            })
        },
    ),
    Command::new(
        &["shutdown", "sessions", "server"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "end the sessions of a server",
        |call| {
            with_server(call, |call, _, server| {
                kill_sessions(call.control, server);
                Answer::Done
            })
        },
    ),
];

fn lock(health: &std::sync::Mutex<Health>) -> std::sync::MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(|e| e.into_inner())
}

/// Runs `then` with the server that the first argument names.
pub fn with_server(
    call: &mut Call<'_>,
    then: fn(&mut Call<'_>, &Arc<Proxy>, &Arc<Server>) -> Answer,
) -> Answer {
    match find(call.control, call.argument(0)) {
        Ok((proxy, server)) => then(call, &proxy, &server),
        Err(text) => Answer::error(text),
    }
}

/// The server named `backend/server`; either may be `#<number>`.
pub fn find(control: &Control, name: &str) -> Result<(Arc<Proxy>, Arc<Server>), &'static str> {
    let (backend, server) = name
        .split_once('/')
        .filter(|(_, server)| !server.is_empty())
        .ok_or("Require 'backend/server'.")?;
    let generation = control.runtime.generation();
    let proxy = match backend.starts_with('#') {
        true => generation.proxy(backend),
        false => generation.backend(backend),
    }
    .ok_or("No such backend.")?;
    let server = proxy.server(server).ok_or("No such server.")?;
    Ok((proxy.clone(), server.clone()))
}

/// Sets a server's administrative state.
pub fn set_state(control: &Control, server: &Arc<Server>, state: State) -> Answer {
    control.runtime.administer(server, state);
    Answer::Done
}

/// What an operator says about a server's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    Up,
    Stopping,
    Down,
}

/// Overrides what health checks found; the next checks go on from there.
pub fn force_health(control: &Control, server: &Arc<Server>, forced: Forced) -> Answer {
    if server.conf.track.is_some() {
        return Answer::error("cannot change health on a tracking server.");
    }
    let change = {
        let mut health = lock(&server.health);
        match forced {
            Forced::Up => {
                health.force_up();
                Change::Up
            }
            Forced::Stopping => {
                health.force_up();
                Change::Stopping
            }
            Forced::Down => {
                health.force_down();
                Change::Down
            }
        }
    };
    control.change(server, change, "changed from CLI");
    Answer::Done
}

/// Overrides what the agent said.
pub fn force_agent(control: &Control, server: &Arc<Server>, up: bool) -> Answer {
    let mut agent = lock(&server.agent);
    if !agent.configured || !agent.enabled {
        return Answer::error("agent checks are not enabled on this server.");
    }
    let change = if up {
        agent.force_up();
        Change::Up
    } else {
        agent.force_down();
        Change::Down
    };
    drop(agent);
    control.change(server, change, "changed from CLI");
    Answer::Done
}

/// Lets health checks run again.
pub fn enable_health(server: &Server) -> Answer {
    let mut health = lock(&server.health);
    if !health.configured {
        return Answer::error("Health check was not configured on this server, cannot enable.");
    }
    health.enabled = true;
    Answer::Done
}

/// Lets health checks rest.
pub fn disable_health(server: &Server) -> Answer {
    lock(&server.health).enabled = false;
    Answer::Done
}

/// Lets agent checks rest.
pub fn disable_agent(server: &Server) -> Answer {
    lock(&server.agent).enabled = false;
    Answer::Done
}

/// Lets agent checks run again.
pub fn enable_agent(server: &Server) -> Answer {
    let mut agent = lock(&server.agent);
    if !agent.configured {
        return Answer::error("Agent was not configured on this server, cannot enable.");
    }
    agent.enabled = true;
    Answer::Done
}

/// Ends a server's sessions; their lines say `K`.
pub fn kill_sessions(control: &Control, server: &Server) {
    control.kill(Kill {
        victims: Victims::OfServer(server.live.clone()),
        cause: Cause::Killed,
    });
}

/// The algorithm of the server's backend can follow weights that change.
fn takes_weights(server: &Server) -> bool {
    let Some(backend) = server.proxy() else {
        return true;
    };
    backend.follows_weights()
}

fn set_weight(control: &Control, server: &Arc<Server>, text: &str) -> Answer {
    let initial = server.status().initial_weight;
    match order::weight(text, initial) {
        Ok(weight) if weight != 0 && weight != initial && !takes_weights(server) => Answer::error(
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.",
        ),
        Ok(weight) => {
            control.change(server, Change::Weight(weight), "");
            Answer::Done
        }
        Err(text) => Answer::error(text),
    }
}

const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | \
    agent-send | check-addr | check-port | fqdn | health | ssl | state | weight";

fn set_server(call: &mut Call<'_>) -> Answer {
    with_server(call, |call, _, server| {
        let control = call.control.clone();
        let value = call.argument(2);
        match call.argument(1) {
            "state" => match value {
                "ready" => set_state(&control, server, State::Ready),
                "drain" => set_state(&control, server, State::Drain),
                "maint" => set_state(&control, server, State::Maint),
                _ => {
                    Answer::error("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
                }
            },
            "weight" => set_weight(&control, server, value),
            "health" => match value {
                "up" => force_health(&control, server, Forced::Up),
                "stopping" => force_health(&control, server, Forced::Stopping),
                "down" => force_health(&control, server, Forced::Down),
                _ => {
                    Answer::error("'set server <srv> health' expects 'up', 'stopping', or 'down'.")
                }
            },
            "agent" => agent_word(&control, server, value),
            "addr" => targets::set_address(&control, server, call.arguments),
            "check-port" => targets::check_port(&control, server, value),
            "check-addr" => targets::check_address(&control, server, call.arguments),
            "agent-addr" => targets::agent_address(&control, server, call.arguments),
            "agent-port" => targets::agent_port(&control, server, value),
            "agent-send" => targets::agent_send(server, value),
            "fqdn" => targets::set_name(control, call.argument(0), server.clone(), value),
            "ssl" => Answer::error(
                "'set server <srv> ssl' cannot be set.  default-server should define ssl settings",
            ),
            _ => Answer::error(USAGE),
        }
    })
}

fn agent_word(control: &Control, server: &Arc<Server>, value: &str) -> Answer {
    if !lock(&server.agent).configured {
        return Answer::error("agent checks are not enabled on this server.");
    }
    match value {
        "up" => force_agent(control, server, true),
        "down" => force_agent(control, server, false),
        _ => Answer::error("'set server <srv> agent' expects 'up' or 'down'."),
    }
}
