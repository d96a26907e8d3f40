//! What the longer commands ask and answer.

use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::Fault;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Asks the node for a sign of life.
pub fn ping(r: &Run) -> Done {
    let node = &r.node.name;
    r.banner(format!("Will ping {node}. This only checks if the node's process is running and answers. Timeout: 60000 ms."));
    r.perform("running", &[])?;
    match r.is_json() {
        true => r.say("{\"message\":\"Ping succeeded\"}"),
        false => r.say("Ping succeeded"),
    }
    Ok(())
}

pub(super) fn failed(text: String) -> End {
    End::Fault(Fault::failed(text))
}

pub(super) fn running(r: &Run) -> Done {
    match r.perform("running", &[])?["running"] == true {
        true => Ok(()),
        false => Err(failed(format!(
            "RabbitMQ on node {} is not running or has not fully booted yet (check with is_booting)",
            r.node.name
        ))),
    }
}

pub(super) fn names(status: &Value) -> Vec<String> {
    let items = status["alarms"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let line = |a: &Value| match a["resource"].as_str() {
        Some("memory") => format!("Memory alarm on node {}", a["node"].as_str().unwrap_or("")),
        _ => format!(
            "Free disk space alarm on node {}",
            a["node"].as_str().unwrap_or("")
        ),
    };
    items.iter().map(line).collect()
}

/// What is so or not, as a sentence or, for scripts, with a flag beside it.
pub(super) fn told(r: &Run, text: String, result: bool) -> String {
    match r.is_json() {
        true => json!({"message": text, "result": result}).to_string(),
        false => text,
    }
}

pub(super) fn alarms(r: &Run, none: &str) -> Done {
    let node = &r.node.name;
    r.banner(format!(
        "Asking node {node} to report any local resource alarms ..."
    ));
    let status = r.perform("status", &[])?;
    match names(&status).as_slice() {
        [] => {
            r.pass(format!("Node {node} reported {none}"));
            Ok(())
        }
        set => Err(failed(format!(
            "Error: resource alarm(s) in effect:\n{}",
            set.join("\n")
        ))),
    }
}

pub(super) fn sockets(status: &Value) -> Vec<(u16, String, String)> {
    let items = status["listeners"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of = |l: &Value| {
        (
            l["port"].as_u64().unwrap_or(0) as u16,
            l["protocol"].as_str().unwrap_or("").to_owned(),
            l["interface"].as_str().unwrap_or("").to_owned(),
        )
    };
    let mut all: Vec<_> = items.iter().map(of).collect();
    all.sort();
    all
}

pub(super) fn listed(ports: &[(u16, String, String)]) -> String {
    ports
        .iter()
        .map(|(p, _, _)| p.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn check_port_connectivity(r: &Run) -> Done {
    let node = &r.node.name;
    r.banner(format!(
        "Testing TCP connections to all active listeners on node {node} ..."
    ));
    let status = r.perform("status", &[])?;
    let all = sockets(&status);
    for (port, _, interface) in &all {
        let ip = interface
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>();
        let ip = match ip {
            Ok(ip) if !ip.is_unspecified() => ip,
            Ok(std::net::IpAddr::V6(_)) => std::net::Ipv6Addr::LOCALHOST.into(),
            _ => std::net::Ipv4Addr::LOCALHOST.into(),
        };
        let address = SocketAddr::new(ip, *port);
        if let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            return Err(failed(format!(
                "Connection to port {port} on node {node} failed: {error}"
            )));
        }
    }
    r.say(format!(
        "Successfully connected to ports {} on node {node}.",
        listed(&all)
    ));
    Ok(())
}

pub(super) fn check_port_listener(r: &Run) -> Done {
    let (port, node) = (r.line.arg(0), &r.node.name);
    if port.parse::<u16>().is_err() {
        let text = "Bad argument: Argument must be a positive integer";
        return Err(End::Usage(65, text.to_owned()));
    }
    r.banner(format!(
        "Asking node {node} if there's an active listener on port {port} ..."
    ));
    let status = r.perform("status", &[])?;
    let all = sockets(&status);
    if all.iter().any(|(p, _, _)| p.to_string() == port) {
        r.say(format!(
            "A listener for port {port} is running on node {node}."
        ));
        return Ok(());
    }
    eprintln!(
        "No listener for port {port} is active on node {node}. Found listeners that use the following ports: {}",
        listed(&all)
    );
    Err(End::Code(69))
}

pub(super) fn check_protocol_listener(r: &Run) -> Done {
    let (protocol, node) = (r.line.arg(0), &r.node.name);
    r.banner(format!(
        "Asking node {node} if there's an active listener for protocol {protocol} ..."
    ));
    let status = r.perform("status", &[])?;
    let mut known: Vec<_> = sockets(&status).into_iter().map(|(_, p, _)| p).collect();
    known.sort();
    known.dedup();
    let wanted = match protocol.to_lowercase().as_str() {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" => "amqp".to_owned(),
        "amqps" | "amqp-ssl" => "amqp/ssl".to_owned(),
        "prometheus" => "http/prometheus".to_owned(),
        other => other.to_owned(),
    };
    if known.contains(&wanted) {
        r.say(format!(
            "A listener for protocol {protocol} is running on node {node}."
        ));
        return Ok(());
    }
    Err(failed(format!(
        "No listener for protocol {wanted} is active on node {node}. Found listeners for the following protocols: {}",
        known.join(", ")
    )))
}

pub(super) fn critical(r: &Run, what: &str) -> Done {
    let node = &r.node.name;
    r.banner(format!(
        "Checking if node {node} is critical for {what} ..."
    ));
    r.perform("running", &[])?;
    r.say(format!(
        "Node {node} seems to be the only one in a single node cluster, the check does not apply"
    ));
    Ok(())
}

pub(super) fn check_certificates(r: &Run) -> Done {
    let within = r.line.option("within").unwrap_or("4");
    let unit = r.line.option("unit").unwrap_or("weeks");
    if within.parse::<u32>().is_err() {
        let text = format!("Invalid options for this command:\n--within : {within}");
        return Err(End::Usage(64, text));
    }
    if !["days", "weeks", "months", "years"].contains(&unit) {
        let text = format!(
            "\"unit '{unit}' is not supported. Please use one of: days, weeks, months, years\""
        );
        return Err(End::Usage(64, text));
    }
    let node = &r.node.name;
    r.banner(format!(
        "Checking certificate expiration on node {node} ..."
    ));
    match r.get(&format!(
        "/api/health/checks/certificate-expiration/{within}/{unit}"
    )) {
        Ok(_) => {
            r.say(format!(
                "No certificates are expiring within {within} {unit}."
            ));
            Ok(())
        }
        Err(End::Fault(_)) => Err(failed(format!(
            "Certificates expire within {within} {unit}"
        ))),
        Err(end) => Err(end),
    }
}

pub(super) fn log_tail(r: &Run) -> Done {
    let count: usize = r
        .line
        .option("number")
        .and_then(|n| n.parse().ok())
        .unwrap_or(50);
    r.banner(format!(
        "Last {count} log lines on node {} ...",
        r.node.name
    ));
    let status = r.perform("status", &[])?;
    let Some(path) = status["log_file"].as_str() else {
        return Err(failed(
            "the log goes to standard error; a service manager keeps it (journalctl)".to_owned(),
        ));
    };
    let text = std::fs::read_to_string(path).map_err(|e| failed(format!("{path}: {e}")))?;
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..]
        .iter()
        .for_each(|line| r.say(line));
    Ok(())
}
