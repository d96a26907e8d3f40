//! Commands that change one server: `set server`, `set weight`, `enable`, `disable`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use conf::lb::model::{AdminLevel, Balance};

use super::Control;
use super::command::{Answer, Call, Command, Severity};
use crate::core::health::Health;
use crate::core::order;
use crate::core::server::Change;
pub use crate::state::Administered as State;
use crate::state::{Cause, Endpoint, Kill, Proxy, Server, Victims};

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
    backend
        .conf
        .back
        .as_ref()
        .is_none_or(|back| match back.balance {
            Balance::StaticRr => false,
            Balance::Source
            | Balance::Hash(_)
            | Balance::Uri(_)
            | Balance::UrlParam(_)
            | Balance::Header(..)
            | Balance::RdpCookie(_) => back.hash.consistent,
            Balance::RoundRobin | Balance::LeastConn | Balance::First | Balance::Random(_) => true,
        })
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
            "addr" => set_address(server, call.arguments),
            "check-port" => check_port(&control, server, value),
            "check-addr" => check_address(&control, server, call.arguments),
            "agent-addr" => agent_address(&control, server, call.arguments),
            "agent-port" => agent_port(&control, server, value),
            "agent-send" => agent_send(server, value),
            "fqdn" => set_name(call.argument(0), server.clone(), value),
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

fn set_address(server: &Server, arguments: &[String]) -> Answer {
    let word = |index: usize| arguments.get(index).map_or("", String::as_str);
    let (address, port_word) = (word(2), word(3));
    if address.is_empty() {
        return Answer::error("set server <b>/<s> addr requires an address and optionally a port.");
    }
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Answer::error(format!(
            "Invalid addr '{address}' by 'stats socket command'"
        ));
    };
    let before = server.endpoint();
    let (old_ip, old_port) = match &*before {
        Endpoint::Inet(old) => (Some(old.ip()), Some(old.port())),
        Endpoint::Mapped(old, _) => (Some(*old), None),
        Endpoint::Unix(_) | Endpoint::Abstract(_) => {
            return Answer::error("the server's address is not one of IP and cannot be changed");
        }
        Endpoint::Unresolved => (None, configured_port(server)),
    };
    let mut said = if old_ip == Some(ip) {
        "no need to change the addr".to_owned()
    } else {
        let old = old_ip.map_or_else(|| "(none)".to_owned(), |old| old.to_string());
        format!("IP changed from '{old}' to '{ip}'")
    };
    let port = match port_word {
        "" => None,
        "port" => match word(4).parse::<u16>() {
            Ok(port) => Some(port),
            Err(_) => {
                let text = format!(
                    "{said}, problem converting port '{}' to an int by 'stats socket command'",
                    word(4)
                );
                return Answer::Say(Severity::Warning, text);
            }
        },
        _ => return Answer::error("set server <b>/<s> addr expects 'port' after the address."),
    };
    match (port, old_port) {
        (None, _) => {}
        (Some(port), Some(old)) if port == old => said.push_str(", no need to change the port"),
        (Some(port), Some(old)) => {
            said.push_str(&format!(", port changed from '{old}' to '{port}'"));
        }
        (Some(port), None) => said.push_str(&format!(", port changed to '{port}'")),
    }
    let endpoint = match (port.or(old_port), &*before) {
        (None, Endpoint::Mapped(_, offset)) => Endpoint::Mapped(ip, *offset),
        (port, _) => Endpoint::Inet(SocketAddr::new(ip, port.unwrap_or(0))),
    };
    if endpoint != *before {
        server.set_endpoint(endpoint);
    }
    said.push_str(" by 'stats socket command'");
    Answer::Say(Severity::Warning, said)
}

fn configured_port(server: &Server) -> Option<u16> {
    use conf::lb::model::{ServerAddress, ServerPort};
    match &server.conf.address {
        ServerAddress::Tcp {
            port: ServerPort::Fixed(port),
            ..
        } => Some(*port),
        _ => None,
    }
}

fn check_port(control: &Control, server: &Arc<Server>, value: &str) -> Answer {
    if !lock(&server.health).configured {
        return Answer::error("health checks are not enabled on this server");
    }
    match value.parse::<u16>() {
        Ok(port) => control.check_target(server, None, Some(port)),
        Err(_) if value.parse::<i64>().is_ok() => Answer::error("provided port is not valid"),
        Err(_) => Answer::error("provided port is not an integer"),
    }
}

fn check_address(control: &Control, server: &Arc<Server>, arguments: &[String]) -> Answer {
    if !lock(&server.health).configured {
        return Answer::error("health checks are not enabled on this server");
    }
    let word = |index: usize| arguments.get(index).map_or("", String::as_str);
    let Ok(ip) = word(2).parse::<IpAddr>() else {
        return Answer::error("Invalid addr format");
    };
    match (word(3), word(4).parse::<u16>()) {
        ("", _) => control.check_target(server, Some(ip), None),
        ("port", Ok(port)) => control.check_target(server, Some(ip), Some(port)),
        _ => Answer::error("provided port is not an integer"),
    }
}

fn agent_address(control: &Control, server: &Arc<Server>, arguments: &[String]) -> Answer {
    if !lock(&server.agent).configured {
        return Answer::error("agent checks are not enabled on this server");
    }
    let word = |index: usize| arguments.get(index).map_or("", String::as_str);
    let Ok(ip) = word(2).parse::<IpAddr>() else {
        return Answer::error(format!("invalid addr '{}'", word(2)));
    };
    match (word(3), word(4).parse::<u16>()) {
        ("", _) => control.agent_target(server, Some(ip), None),
        ("port", Ok(port)) if port > 0 => control.agent_target(server, Some(ip), Some(port)),
        _ => Answer::error("provided port is not an integer"),
    }
}

fn agent_port(control: &Control, server: &Arc<Server>, value: &str) -> Answer {
    if !lock(&server.agent).configured {
        return Answer::error("agent checks are not enabled on this server");
    }
    match value.parse::<u16>() {
        Ok(port) => control.agent_target(server, None, Some(port)),
        Err(_) if value.parse::<i64>().is_ok() => Answer::error("provided port is not valid"),
        Err(_) => Answer::error("provided port is not an integer"),
    }
}

fn agent_send(server: &Server, value: &str) -> Answer {
    if !lock(&server.agent).configured {
        return Answer::error("agent checks are not enabled on this server");
    }
    server.agent_send.store(Some(Arc::new(value.to_owned())));
    Answer::Done
}

/// Gives a server the address of another name. Names are looked up once, now:
/// there are no resolvers that would do so again.
fn set_name(who: &str, server: Arc<Server>, name: &str) -> Answer {
    if name.is_empty() {
        return Answer::error("set server <b>/<s> fqdn requires a FQDN.");
    }
    let port = match &*server.endpoint() {
        Endpoint::Inet(old) => Some(old.port()),
        Endpoint::Mapped(..) => None,
        Endpoint::Unresolved => configured_port(&server),
        Endpoint::Unix(_) | Endpoint::Abstract(_) => {
            return Answer::error("the server's address is not one of IP and cannot be changed");
        }
    };
    let (who, name) = (who.to_owned(), name.to_owned());
    Answer::Later(Box::pin(async move {
        let found = tokio::net::lookup_host((name.as_str(), port.unwrap_or(0))).await;
        let Some(address) = found.ok().and_then(|mut all| all.next()) else {
            return Answer::error(format!(
                "set server <b>/<s> fqdn failed because '{name}' has no address."
            ));
        };
        let before = server.fqdn();
        server.set_name(&name, address, port.is_some());
        Answer::Say(
            Severity::Warning,
            format!(
                "{who} changed its FQDN from {} to {name} by 'stats socket command'",
                before.as_deref().unwrap_or("(null)")
            ),
        )
    }))
}
