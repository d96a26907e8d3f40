//! The node as a whole: starting, stopping, feature flags, limits.

use super::App::{Any, Running, Stopped};
use super::{Command, MANY};
use crate::ctl::output::Rows;
use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::{Fault, FaultKind};
use crate::management::api::nodes::FEATURE_FLAGS;
use serde_json::json;
use std::time::{Duration, Instant};

const NODES: &str = "Nodes";
const CONFIGURATION: &str = "Configuration and Environment";
const MONITORING: &str = "Monitoring, observability and health checks";

/// Words of `rabbitmqctl` about the node.
pub static COMMANDS: &[Command] = &[
    command!(
        "autocomplete",
        "[prefix]",
        "Help",
        "Provides command name autocomplete variants",
        (0, 1),
        &[],
        Any,
        |r| {
            let mut names: Vec<_> = super::names(r.tool)
                .filter(|n| n.starts_with(r.line.arg(0)))
                .collect();
            names.sort_unstable();
            r.say(names.join("\n"));
            Ok(())
        }
    ),
    command!(
        "await_startup",
        "[--timeout <timeout>]",
        NODES,
        "Waits for the RabbitMQ application to start on the target node",
        (0, 0),
        &[],
        Any,
        |r| wait_until_up(r, 300)
    ),
    command!(
        "wait",
        "[<pidfile>] [--pid|-P <pid>] [--timeout <timeout>]",
        NODES,
        "Waits for the node whose process a pid file names; see also await_startup",
        (0, 1),
        &["pid"],
        Any,
        super::wait::wait
    ),
    command!(
        "stop",
        "[<pidfile>]",
        NODES,
        "Stops the node",
        (0, 1),
        &["idempotent"],
        Any,
        |r| stop(r, "Stopping and halting node")
    ),
    command!(
        "shutdown",
        "[--wait]",
        NODES,
        "Stops the node and waits for its end",
        (0, 0),
        &["wait"],
        Any,
        |r| stop(r, "Shutting down RabbitMQ node")
    ),
    command!(
        "stop_app",
        "",
        NODES,
        "Stops the broker but leaves the process running",
        (0, 0),
        &[],
        Any,
        |r| {
            r.banner(format!(
                "Stopping rabbit application on node {} ...",
                r.node.name
            ));
            r.change("stop_app", &[])
        }
    ),
    command!(
        "start_app",
        "",
        NODES,
        "Starts the broker in the running process",
        (0, 0),
        &[],
        Any,
        |r| {
            r.banner(format!("Starting node {} ...", r.node.name));
            r.change("start_app", &[])
        }
    ),
    command!(
        "reset",
        "",
        NODES,
        "Returns the node to its virgin state",
        (0, 0),
        &[],
        Stopped,
        |r| {
            r.banner(format!("Resetting node {} ...", r.node.name));
            r.change("reset", &[])
        }
    ),
    command!(
        "rotate_logs",
        "",
        NODES,
        "Does nothing [deprecated]",
        (0, 0),
        &[],
        Running,
        |_| {
            Err(End::Fault(Fault::failed(
                "This command does not rotate logs anymore [deprecated]",
            )))
        }
    ),
    command!(
        "ping",
        "[--timeout <timeout>]",
        MONITORING,
        "Checks that the node is up and that this tool can authenticate with it",
        (0, 0),
        &[],
        Any,
        super::diagnostics::ping
    ),
    command!(
        "node_health_check",
        "[--timeout <timeout>]",
        MONITORING,
        "DEPRECATED. Use check_running and check_alarms",
        (0, 0),
        &[],
        Running,
        |r| {
            r.banner("This command is DEPRECATED and will be removed in a future version.");
            r.banner("Use check_running and check_alarms instead.");
            r.banner(format!("Checking health of node {} ...", r.node.name));
            r.say("Health check passed");
            Ok(())
        }
    ),
    command!(
        "list_node_auth_attempt_stats",
        "[--by-source]",
        MONITORING,
        "Lists authentication attempts on the target node",
        (0, 0),
        &["by-source"],
        Running,
        |r| {
            r.banner(format!(
                "Listing authentication\n attempts for node \"{}\" ...",
                r.node.name
            ));
            let items = r.items(&format!("/api/auth/attempts/{}", r.node.name))?;
            r.list(Rows::pick(
                &items,
                &[
                    "protocol",
                    "auth_attempts",
                    "auth_attempts_failed",
                    "auth_attempts_succeeded",
                ],
            ))
        }
    ),
    command!(
        "list_feature_flags",
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        CONFIGURATION,
        "Lists feature flags",
        (0, MANY),
        &[],
        Running,
        |r| {
            let known = [
                "name",
                "state",
                "stability",
                "provided_by",
                "desc",
                "doc_url",
            ];
            let columns = super::lists::columns(r, &known, &["name", "state"])?;
            r.banner("Listing feature flags ...");
            let items = r.items("/api/feature-flags")?;
            r.list(Rows::pick(&items, &columns))
        }
    ),
    command!(
        "enable_feature_flag",
        "<all | feature_flag>",
        CONFIGURATION,
        "Enables a feature flag; all are",
        (1, 1),
        &[],
        Running,
        |r| {
            let name = r.line.arg(0);
            r.banner(match name {
                "all" => "Enabling all feature flags ...".to_owned(),
                name => format!("Enabling feature flag \"{name}\" ..."),
            });
            match name == "all" || FEATURE_FLAGS.iter().any(|(known, _, _)| *known == name) {
                true => Ok(()),
                false => {
                    let node = &r.node.name;
                    let text = format!("This feature flag is not supported by node {node}");
                    Err(End::Fault(Fault::new(FaultKind::Absent, text)))
                }
            }
        }
    ),
    command!(
        "set_vm_memory_high_watermark",
        "<fraction> | absolute <value>",
        CONFIGURATION,
        "Sets the vm_memory_high_watermark setting",
        (1, 2),
        &[],
        Running,
        set_memory
    ),
    command!(
        "set_disk_free_limit",
        "<disk_limit> | mem_relative <fraction>",
        CONFIGURATION,
        "Sets the disk_free_limit setting",
        (1, 2),
        &[],
        Running,
        set_disk
    ),
];

pub fn seconds(r: &Run, usual: u64) -> Duration {
    let given = r.line.option("timeout").and_then(|t| t.parse::<f64>().ok());
    given.map_or(Duration::from_secs(usual), Duration::from_secs_f64)
}

pub fn wait_until_up(r: &Run, usual: u64) -> Done {
    let until = Instant::now() + seconds(r, usual);
    loop {
        let up = r.perform("running", &[]);
        match up {
            Ok(state) if state["running"] == true => return Ok(()),
            Err(end) if Instant::now() >= until => return Err(end),
            Ok(_) if Instant::now() >= until => {
                return Err(End::Fault(Fault::failed("rabbit_is_not_running")));
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn stop(r: &Run, doing: &str) -> Done {
    r.banner(format!("{doing} {} ...", r.node.name));
    r.change("stop", &[])?;
    // the socket goes with the node
    let until = Instant::now() + seconds(r, 60);
    while Instant::now() < until && r.perform("running", &[]).is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A size as operators write it, in bytes.
fn size(text: &str) -> Option<u64> {
    conf::broker::parse_size(text)
}

fn set_memory(r: &Run) -> Done {
    let bad = || End::Usage(65, "Bad argument.".to_owned());
    let node = &r.node.name;
    match r.line.args.as_slice() {
        [word] if word == "absolute" => Err(End::Usage(64, "not enough arguments.".to_owned())),
        [word, value] if word == "absolute" => {
            let bytes = size(value).ok_or_else(bad)?;
            r.banner(format!(
                "Setting memory threshold on {node} to {value} bytes ..."
            ));
            r.change(
                "set_memory",
                &[("setting", json!(value)), ("bytes", json!(bytes))],
            )
        }
        [value] => {
            let ratio: f64 = value.parse().map_err(|_| bad())?;
            if !(0.0..=1.0).contains(&ratio) {
                let text = "Bad argument: The threshold should be a fraction between 0.0 and 1.0";
                return Err(End::Usage(65, text.to_owned()));
            }
            r.banner(format!("Setting memory threshold on {node} to {value} ..."));
            r.change("set_memory", &[("setting", json!(value))])
        }
        _ => Err(bad()),
    }
}

fn set_disk(r: &Run) -> Done {
    let bad = || End::Usage(65, "Bad argument.".to_owned());
    let node = &r.node.name;
    match r.line.args.as_slice() {
        [word, value] if word == "mem_relative" => {
            let ratio: f64 = value.parse().map_err(|_| bad())?;
            r.banner(format!(
                "Setting disk free limit on {node} to {value} times the total RAM ..."
            ));
            r.change("set_disk", &[("ratio", json!(ratio))])
        }
        [value] => {
            let bytes = size(value).ok_or_else(bad)?;
            r.banner(format!(
                "Setting disk free limit on {node} to {value} bytes ..."
            ));
            r.change("set_disk", &[("bytes", json!(bytes))])
        }
        _ => Err(bad()),
    }
}
