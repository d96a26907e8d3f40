//! `rabbitmq-diagnostics`: health checks and what else is asked of a node.

use super::App::{Any, Running};
use super::Command;
use super::status::{in_unit, listeners};
use crate::ctl::output::Rows;
use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::{Fault, FaultKind};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const GROUP: &str = "Monitoring, observability and health checks";

macro_rules! check {
    ($name:literal, $usage:literal, $about:literal, $args:expr, $run:expr) => {
        check!(Any, $name, $usage, $about, $args, $run)
    };
    ($app:ident, $name:literal, $usage:literal, $about:literal, $args:expr, $run:expr) => {
        Command {
            name: $name,
            usage: $usage,
            about: $about,
            group: GROUP,
            args: $args,
            options: &["within", "unit", "number", "all"],
            app: $app,
            run: $run,
        }
    };
}

/// The words of `rabbitmq-diagnostics`.
pub static COMMANDS: &[Command] = &[
    check!(
        "ping",
        "[--timeout <timeout>]",
        "Checks that the node is up and that this tool can authenticate with it",
        (0, 0),
        ping
    ),
    check!(
        "check_running",
        "[--timeout <timeout>]",
        "Health check that exits with a non-zero code if the broker on the target node is not running",
        (0, 0),
        |r| {
            let node = &r.node.name;
            r.banner(format!(
                "Checking if RabbitMQ is running on node {node} ..."
            ));
            running(r)?;
            let text = format!("RabbitMQ on node {node} is fully booted and running");
            match r.is_json() {
                true => r.say(json!({"message": text}).to_string()),
                false => r.pass(text),
            }
            Ok(())
        }
    ),
    check!(
        "is_running",
        "[--timeout <timeout>]",
        "Checks if RabbitMQ is fully booted and running on the target node",
        (0, 0),
        |r| {
            let node = &r.node.name;
            r.banner(format!("Asking node {node} for its status ..."));
            let up = r.perform("running", &[])?["running"] == true;
            let text = match up {
                true => format!("RabbitMQ on node {node} is fully booted and running"),
                false => format!(
                    "RabbitMQ on node {node} is not running or has not fully booted yet (check with is_booting)"
                ),
            };
            r.say(told(r, text, up));
            Ok(())
        }
    ),
    check!(
        "is_booting",
        "[--timeout <timeout>]",
        "Checks if RabbitMQ is still booting on the target node",
        (0, 0),
        |r| {
            let node = &r.node.name;
            r.banner(format!("Asking node {node} for its boot status ..."));
            r.perform("running", &[])?;
            let text = format!(
                "RabbitMQ on node {node} is fully booted (check with is_running), stopped or has not started booting yet"
            );
            r.say(told(r, text, false));
            Ok(())
        }
    ),
    check!(
        Running,
        "check_local_alarms",
        "[--timeout <timeout>]",
        "Health check that exits with a non-zero code if the target node reports any local alarms",
        (0, 0),
        |r| alarms(r, "no local alarms")
    ),
    check!(
        Running,
        "check_alarms",
        "[--timeout <timeout>]",
        "Health check that exits with a non-zero code if the target node reports any alarms",
        (0, 0),
        |r| alarms(r, "no alarms, local or clusterwide")
    ),
    check!(
        Running,
        "alarms",
        "[--timeout <timeout>]",
        "Lists resource alarms (local or cluster-wide) in effect on the target node",
        (0, 0),
        |r| {
            let node = &r.node.name;
            r.banner(format!(
                "Asking node {node} to report any known resource alarms ..."
            ));
            let status = r.perform("status", &[])?;
            if r.is_json() {
                let all = &status["alarms"];
                r.say(json!({"alarms": all, "node": node, "result": "ok"}).to_string());
                return Ok(());
            }
            match names(&status).as_slice() {
                [] => r.say(format!(
                    "Node {node} reported no alarms, local or clusterwide"
                )),
                set => set.iter().for_each(|line| r.say(line)),
            }
            Ok(())
        }
    ),
    check!(
        Running,
        "check_port_connectivity",
        "[--timeout <timeout>]",
        "Basic TCP connectivity health check for each listener's port on the target node",
        (0, 0),
        check_port_connectivity
    ),
    check!(
        Running,
        "check_port_listener",
        "<port> [--timeout <timeout>]",
        "Health check that exits with a non-zero code if target node does not have an active listener for given port",
        (1, 1),
        check_port_listener
    ),
    check!(
        Running,
        "check_protocol_listener",
        "<protocol> [--timeout <timeout>]",
        "Health check that exits with a non-zero code if target node does not have an active listener for given protocol",
        (1, 1),
        check_protocol_listener
    ),
    check!(
        Running,
        "check_virtual_hosts",
        "[--timeout <timeout>]",
        "Health check that checks if all vhosts are running in the target node",
        (0, 0),
        |r| {
            let node = &r.node.name;
            r.banner(format!(
                "Checking if all vhosts are running on node {node} ..."
            ));
            running(r)?;
            r.pass(format!("Node {node} reported all vhosts as running"));
            Ok(())
        }
    ),
    check!(
        "check_certificate_expiration",
        "[--within <period>] [--unit <unit>] [--timeout <timeout>]",
        "Checks the expiration date on the certificates for every listener configured to use TLS",
        (0, 0),
        check_certificates
    ),
    check!(
        Running,
        "listeners",
        "[--timeout <timeout>]",
        "Lists active connection listeners (bound interface, port, protocol) on the target node",
        (0, 0),
        |r| {
            let status = r.perform("status", &[])?;
            if r.is_json() {
                r.say(
                    json!({"listeners": status["listeners"], "node": r.node.name, "result": "ok"})
                        .to_string(),
                );
                return Ok(());
            }
            r.banner(format!(
                "Asking node {} to report its protocol listeners ...",
                r.node.name
            ));
            listeners(&status, false)
                .iter()
                .for_each(|line| r.say(line));
            Ok(())
        }
    ),
    check!(
        Running,
        "memory_breakdown",
        "[--unit <unit>] [--timeout <timeout>]",
        "Provides a memory usage breakdown on the target node",
        (0, 0),
        |r| {
            let unit = r.line.option("unit").unwrap_or("gb");
            if !["bytes", "mb", "gb"].contains(&unit.to_lowercase().as_str()) {
                let text =
                    format!("\"unit '{unit}' is not supported. Please use one of: bytes, mb, gb\"");
                return Err(End::Usage(64, text));
            }
            r.banner(format!(
                "Reporting memory breakdown on node {}...",
                r.node.name
            ));
            let s = r.perform("status", &[])?;
            let (total, messages) = (
                s["memory"].as_f64().unwrap_or(1.0),
                s["message_memory"].as_f64().unwrap_or(0.0),
            );
            for (name, bytes) in [
                ("other_proc", (total - messages).max(0.0)),
                ("binary", messages.min(total)),
            ] {
                let percent = (bytes / total.max(1.0) * 10_000.0).round() / 100.0;
                r.say(format!(
                    "{name}: {} ({percent}%)",
                    in_unit(&json!(bytes), unit)
                ));
            }
            r.say("");
            Ok(())
        }
    ),
    check!(
        "server_version",
        "[--timeout <timeout>]",
        "Displays server version on the target node",
        (0, 0),
        |r| {
            r.banner(format!(
                "Asking node {} for its RabbitMQ version...",
                r.node.name
            ));
            let s = r.perform("status", &[])?;
            r.say(s["version"].as_str().unwrap_or(""));
            Ok(())
        }
    ),
    check!(
        "erlang_version",
        "[--timeout <timeout>]",
        "Says that there is no Erlang",
        (0, 0),
        |r| {
            r.banner(format!(
                "Asking node {} for its Erlang/OTP version...",
                r.node.name
            ));
            let s = r.perform("status", &[])?;
            r.say(format!(
                "Evenkeel {} (no Erlang)",
                s["our_version"].as_str().unwrap_or("")
            ));
            Ok(())
        }
    ),
    check!(
        "log_location",
        "[--all] [--timeout <timeout>]",
        "Shows log file location(s) on target node",
        (0, 0),
        |r| {
            r.banner(format!("Log file location(s) on node {} ...", r.node.name));
            let s = r.perform("status", &[])?;
            r.say(s["log_file"].as_str().unwrap_or("<stderr>"));
            Ok(())
        }
    ),
    check!(
        "log_tail",
        "[--number|-N <number>] [--timeout <timeout>]",
        "Prints the last N lines of the log on the node",
        (0, 0),
        log_tail
    ),
    check!(
        "discover_peers",
        "[--timeout <timeout>]",
        "Performs peer discovery and lists discovered nodes, if any",
        (0, 0),
        |r| {
            r.banner("Discovering peers nodes ...");
            r.say("No peers discovered");
            Ok(())
        }
    ),
    check!(
        "resolve_hostname",
        "<hostname> [--timeout <timeout>]",
        "Resolves a hostname to a set of addresses",
        (1, 1),
        |r| {
            use std::net::ToSocketAddrs;
            let host = r.line.arg(0);
            r.banner(format!(
                "Asking node {} to resolve hostname {host} to IPv4 addresses...",
                r.node.name
            ));
            let found = (host, 0).to_socket_addrs().map_err(|error| {
                let text = format!("Hostname does not resolve ({error})");
                End::Fault(Fault::new(FaultKind::Data, text))
            })?;
            let found = found.filter(|at| at.is_ipv4());
            found.for_each(|at| r.say(at.ip().to_string()));
            Ok(())
        }
    ),
    Command {
        name: "list_users",
        usage: "[--no-table-headers] [--timeout <timeout>]",
        about: "List user names and tags",
        group: "Users",
        args: (0, 0),
        options: &[],
        app: Running,
        run: |r| {
            r.banner("Listing users ...");
            let mut items = r.items("/api/users")?;
            for item in &mut items {
                item["user"] = item["name"].clone();
            }
            r.list(Rows::pick(&items, &["user", "tags"]))
        },
    },
];

/// Those that `rabbitmq-queues` has too.
pub static CRITICAL: &[Command] = &[
    check!(
        Running,
        "check_if_node_is_quorum_critical",
        "[--timeout <timeout>]",
        "Health check that exits with a non-zero code if there are queues with minimum online quorum",
        (0, 0),
        |r| { critical(r, "quorum of any quorum queues") }
    ),
    check!(
        Running,
        "check_if_node_is_mirror_sync_critical",
        "[--timeout <timeout>]",
        "Health check that exits with a non-zero code if there are classic mirrored queues without online synchronised mirrors",
        (0, 0),
        |r| { critical(r, "data safety of any classic mirrored queues") }
    ),
];

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

fn failed(text: String) -> End {
    End::Fault(Fault::failed(text))
}

fn running(r: &Run) -> Done {
    match r.perform("running", &[])?["running"] == true {
        true => Ok(()),
        false => Err(failed(format!(
            "RabbitMQ on node {} is not running or has not fully booted yet (check with is_booting)",
            r.node.name
        ))),
    }
}

fn names(status: &Value) -> Vec<String> {
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
fn told(r: &Run, text: String, result: bool) -> String {
    match r.is_json() {
        true => json!({"message": text, "result": result}).to_string(),
        false => text,
    }
}

fn alarms(r: &Run, none: &str) -> Done {
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

fn sockets(status: &Value) -> Vec<(u16, String, String)> {
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

fn listed(ports: &[(u16, String, String)]) -> String {
    ports
        .iter()
        .map(|(p, _, _)| p.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn check_port_connectivity(r: &Run) -> Done {
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

fn check_port_listener(r: &Run) -> Done {
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

fn check_protocol_listener(r: &Run) -> Done {
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

fn critical(r: &Run, what: &str) -> Done {
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

fn check_certificates(r: &Run) -> Done {
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

fn log_tail(r: &Run) -> Done {
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
