//! `rabbitmq-diagnostics`: health checks and what else is asked of a node.

mod checks;

pub use checks::ping;

use super::App::{Any, Running};
use super::Command;
use super::status::{in_unit, listeners};
use crate::ctl::output::Rows;
use crate::ctl::tool::End;
use crate::ctl::wire::{Fault, FaultKind};
use checks::{
    alarms, check_certificates, check_port_connectivity, check_port_listener,
    check_protocol_listener, critical, log_tail, names, running, told,
};
use serde_json::json;

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
