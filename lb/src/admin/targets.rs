//! `set server` as far as it is about addresses: the server's own, and where its health and agent
//! checks go.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use conf::lb::model::{ServerAddress, ServerPort};

use super::Control;
use super::command::{Answer, Severity};
use crate::core::health::Health;
use crate::state::{Endpoint, Server};

const BY: &str = "by 'stats socket command'";
const NOT_IP: &str = "the server's address is not one of IP and cannot be changed";

fn lock(health: &Mutex<Health>) -> MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(|e| e.into_inner())
}

/// A port as it is written: a number, or with a sign what is added to the one that the client
/// connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Fixed(u16),
    Shift(i32),
}

impl Port {
    fn parse(text: &str) -> Option<Port> {
        let number = |text: &str| text.parse::<u16>().ok();
        match text.chars().next()? {
            '+' => number(&text[1..]).map(|n| Port::Shift(i32::from(n))),
            '-' => number(&text[1..]).map(|n| Port::Shift(-i32::from(n))),
            _ => number(text).map(Port::Fixed),
        }
    }

    fn at(self, ip: IpAddr) -> Endpoint {
        match self {
            Port::Fixed(port) => Endpoint::Inet(SocketAddr::new(ip, port)),
            Port::Shift(offset) => Endpoint::Mapped(ip, offset),
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Port::Fixed(port) => write!(f, "{port}"),
            Port::Shift(offset) => write!(f, "{offset:+}"),
        }
    }
}

/// The port of the file; nothing for a socket of the file system.
fn configured(server: &Server) -> Option<Port> {
    match &server.conf.address {
        ServerAddress::Tcp { port, .. } => Some(match port {
            ServerPort::Fixed(port) => Port::Fixed(*port),
            ServerPort::Mapped(offset) => Port::Shift(*offset),
        }),
        ServerAddress::Unix(_) | ServerAddress::Abstract(_) => None,
    }
}

/// The port of the file when it is a number: that of a server whose name has no address yet.
pub fn configured_port(server: &Server) -> Option<u16> {
    match configured(server)? {
        Port::Fixed(port) => Some(port),
        Port::Shift(_) => None,
    }
}

/// Where sessions go now; nothing for a socket of the file system.
fn now(server: &Server) -> Option<(Option<IpAddr>, Port)> {
    match &*server.endpoint() {
        Endpoint::Inet(at) => Some((Some(at.ip()), Port::Fixed(at.port()))),
        Endpoint::Mapped(ip, offset) => Some((Some(*ip), Port::Shift(*offset))),
        Endpoint::Unresolved => Some((None, configured(server)?)),
        Endpoint::Unix(_) | Endpoint::Abstract(_) => None,
    }
}

/// What is asked for, as far as it can be done, and what is said about it.
fn moved(
    from: (Option<IpAddr>, Port),
    ip: IpAddr,
    port: Option<&str>,
    checks_follow: bool,
) -> (Port, String) {
    let (old_ip, old_port) = from;
    let said = match old_ip {
        Some(old) if old == ip => "no need to change the addr".to_owned(),
        Some(old) => format!("IP changed from '{old}' to '{ip}'"),
        None => format!("IP changed from '(none)' to '{ip}'"),
    };
    let Some(text) = port else {
        return (old_port, said);
    };
    match Port::parse(text) {
        None => (
            old_port,
            format!("{said}, problem converting port '{text}' to an int"),
        ),
        Some(port) if port == old_port => (port, format!("{said}, no need to change the port")),
        // a port that follows the client's is none that a check could go to
        Some(Port::Shift(_)) if checks_follow => (
            old_port,
            format!(
                "{said}, can't change <port> to port map because it is incompatible with current \
                 health check port configuration (use 'port' statement from the 'server' directive."
            ),
        ),
        Some(port) => (
            port,
            format!("{said}, port changed from '{old_port}' to '{port}'"),
        ),
    }
}

/// `set server <b>/<s> addr <ip> [port <port>]`.
pub fn set_address(control: &Control, server: &Arc<Server>, arguments: &[String]) -> Answer {
    let word = |index: usize| arguments.get(index).map_or("", String::as_str);
    let address = word(2);
    if address.is_empty() {
        return Answer::error("set server <b>/<s> addr requires an address and optionally a port.");
    }
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Answer::error(format!("Invalid addr '{address}' {BY}"));
    };
    let Some(from) = now(server) else {
        return Answer::error(NOT_IP);
    };
    let port = match word(3) {
        "" => None,
        "port" => Some(word(4)),
        _ => return Answer::error("set server <b>/<s> addr expects 'port' after the address."),
    };
    let check = &server.conf.check;
    let own_port = server.check_at.load().as_ref().and_then(|at| at.port);
    let checks_follow = own_port.or(check.port).is_none();
    let (port, said) = moved(from, ip, port, checks_follow);
    if port.at(ip) != *server.endpoint() {
        control.runtime.relocate(server, port.at(ip));
    }
    Answer::Say(Severity::Warning, format!("{said} {BY}"))
}

/// Why a port cannot be taken.
fn not_a_port(text: &str) -> Answer {
    Answer::error(match text.parse::<i64>() {
        Ok(_) => "provided port is invalid",
        Err(_) => "provided port is not an integer",
    })
}

fn missing(what: &str, needs: &str) -> Answer {
    Answer::error(format!("set server <b>/<s> {what} requires {needs}."))
}

/// `set server <b>/<s> check-port <port>`.
pub fn check_port(control: &Control, server: &Arc<Server>, value: &str) -> Answer {
    if value.is_empty() {
        return missing("check-port", "a port");
    }
    if !lock(&server.health).configured {
        return Answer::error("health checks are not enabled on this server");
    }
    match value.parse::<u16>() {
        Ok(port) => control.check_target(server, None, Some(port)),
        Err(_) => not_a_port(value),
    }
}

/// The address and the port, if there is one, behind `set server <b>/<s> check-addr` or `agent-addr`.
fn address_and_port(arguments: &[String]) -> Result<(IpAddr, Option<u16>), Answer> {
    let word = |index: usize| arguments.get(index).map_or("", String::as_str);
    let Ok(ip) = word(2).parse::<IpAddr>() else {
        return Err(Answer::error(format!("invalid addr '{}'", word(2))));
    };
    match (word(3), word(4).parse::<u16>()) {
        ("", _) => Ok((ip, None)),
        ("port", Ok(port)) => Ok((ip, Some(port))),
        _ => Err(not_a_port(word(4))),
    }
}

/// `set server <b>/<s> check-addr <ip> [port <port>]`.
pub fn check_address(control: &Control, server: &Arc<Server>, arguments: &[String]) -> Answer {
    if arguments.get(2).is_none_or(String::is_empty) {
        return missing("check-addr", "an address and optionally a port");
    }
    if !lock(&server.health).configured {
        return Answer::error("health checks are not enabled on this server");
    }
    match address_and_port(arguments) {
        Ok((ip, port)) => control.check_target(server, Some(ip), port),
        Err(refusal) => refusal,
    }
}

/// `set server <b>/<s> agent-addr <ip> [port <port>]`.
pub fn agent_address(control: &Control, server: &Arc<Server>, arguments: &[String]) -> Answer {
    if arguments.get(2).is_none_or(String::is_empty) {
        return missing("agent-addr", "an address and optionally a port");
    }
    if !lock(&server.agent).configured {
        return Answer::error("agent checks are not enabled on this server");
    }
    match address_and_port(arguments) {
        Ok((_, Some(0))) => not_a_port("0"),
        Ok((ip, port)) => control.agent_target(server, Some(ip), port),
        Err(refusal) => refusal,
    }
}

/// `set server <b>/<s> agent-port <port>`.
pub fn agent_port(control: &Control, server: &Arc<Server>, value: &str) -> Answer {
    if value.is_empty() {
        return missing("agent-port", "a port");
    }
    if !lock(&server.agent).configured {
        return Answer::error("agent checks are not enabled on this server");
    }
    match value.parse::<u16>() {
        Ok(port) => control.agent_target(server, None, Some(port)),
        Err(_) => not_a_port(value),
    }
}

/// `set server <b>/<s> agent-send <text>`.
pub fn agent_send(server: &Server, value: &str) -> Answer {
    if !lock(&server.agent).configured {
        return Answer::error("agent checks are not enabled on this server");
    }
    server.agent_send.store(Some(Arc::new(value.to_owned())));
    Answer::Done
}

/// Gives a server the address of another name.
pub fn set_name(control: Arc<Control>, who: &str, server: Arc<Server>, name: &str) -> Answer {
    if name.is_empty() {
        return missing("fqdn", "a FQDN");
    }
    if now(&server).is_none() {
        return Answer::error(NOT_IP);
    }
    let (who, name) = (who.to_owned(), name.to_owned());
    Answer::Later(Box::pin(async move {
        let before = server.fqdn();
        if !look_up(&control, &server, &name).await {
            return Answer::error(format!(
                "set server <b>/<s> fqdn failed because '{name}' has no address."
            ));
        }
        Answer::Say(
            Severity::Warning,
            format!(
                "{who} changed its FQDN from {} to {name} {BY}",
                before.as_deref().unwrap_or("(null)")
            ),
        )
    }))
}

/// Looks a name up for a server, once, now: there are no resolvers that would do so again. False:
/// it has no address.
pub async fn look_up(control: &Control, server: &Arc<Server>, name: &str) -> bool {
    let Some((_, port)) = now(server) else {
        return false;
    };
    let found = tokio::net::lookup_host((name, 0)).await;
    let Some(address) = found.ok().and_then(|mut all| all.next()) else {
        return false;
    };
    server.set_name(name);
    control.runtime.relocate(server, port.at(address.ip()));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Port, port: &str, checks_follow: bool) -> (Port, String) {
        let ip = IpAddr::from([10, 0, 0, 1]);
        moved((Some(ip), from), ip, Some(port), checks_follow)
    }

    #[test]
    fn a_port_with_a_sign_follows_the_clients() {
        let fixed = Port::Fixed(5672);
        assert_eq!(asked(fixed, "+5", false).0, Port::Shift(5));
        assert_eq!(asked(fixed, "-5", false).0, Port::Shift(-5));
        assert_eq!(asked(Port::Shift(5), "5", false).0, Port::Fixed(5));
        for none in ["", "x", "+", "+x", "--1", "65536", "5x"] {
            let (port, said) = asked(fixed, none, false);
            assert_eq!(port, fixed, "{none}");
            assert!(said.contains("problem converting port"), "{said}");
        }
    }

    #[test]
    fn a_check_without_a_port_of_its_own_forbids_one_that_follows() {
        let (port, said) = asked(Port::Fixed(5672), "+5", true);
        assert_eq!(port, Port::Fixed(5672));
        assert!(said.contains("can't change <port> to port map"), "{said}");
        assert_eq!(asked(Port::Shift(7), "5672", true).0, Port::Fixed(5672));
    }
}
