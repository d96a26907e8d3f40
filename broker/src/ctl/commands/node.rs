//! The node as a whole: starting, stopping, status, cluster words, limits.

use super::App::{Any, Running, Stopped};
use super::{Command, MANY};
use crate::ctl::output::Rows;
use crate::ctl::tool::{Done, End, Run, version};
use crate::ctl::wire::{Fault, FaultKind};
use crate::management::api::nodes::FEATURE_FLAGS;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NODES: &str = "Nodes";
const CLUSTER: &str = "Cluster";
const CONFIGURATION: &str = "Configuration and Environment";
const MONITORING: &str = "Monitoring, observability and health checks";

macro_rules! command {
    ($name:literal, $usage:literal, $group:expr, $about:literal, $args:expr, $options:expr, $app:expr, $run:expr) => {
        Command {
            name: $name,
            usage: $usage,
            about: $about,
            group: $group,
            args: $args,
            options: $options,
            app: $app,
            run: $run,
        }
    };
}

/// Words of `rabbitmqctl` about the node.
pub static COMMANDS: &[Command] = &[
    command!(
        "version",
        "",
        "Help",
        "Displays CLI tools version",
        (0, 0),
        &[],
        Any,
        |r| {
            r.say(version());
            Ok(())
        }
    ),
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
        "force_reset",
        "",
        CLUSTER,
        "Forcefully returns the node to its virgin state",
        (0, 0),
        &[],
        Stopped,
        |r| {
            r.banner(format!("Forcefully resetting node {} ...", r.node.name));
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
        "cluster_status",
        "[--timeout <timeout>]",
        CLUSTER,
        "Displays all the nodes in the cluster grouped by node type, together with the currently running nodes",
        (0, 0),
        &[],
        Running,
        cluster_status
    ),
    command!(
        "join_cluster",
        "[--disc|--ram] <existing_cluster_member>",
        CLUSTER,
        "Not there yet: this is one node",
        (1, 1),
        &["disc", "ram"],
        Stopped,
        |r| {
            r.banner(format!(
                "Clustering node {} with {}",
                r.node.name,
                r.line.arg(0)
            ));
            Err(End::Fault(Fault::failed(
                "clustering is not there yet: this node stays alone. Its queues and definitions are untouched; start it again with start_app",
            )))
        }
    ),
    command!(
        "forget_cluster_node",
        "[--offline] <existing_cluster_member>",
        CLUSTER,
        "Removes a node from the cluster",
        (1, 1),
        &["offline"],
        Any,
        |r| {
            r.banner(format!("Removing node {} from the cluster", r.line.arg(0)));
            Err(End::Fault(Fault::failed(
                "{:not_a_cluster_node, 'The node selected is not in the cluster.'}",
            )))
        }
    ),
    command!(
        "change_cluster_node_type",
        "<disc | ram>",
        CLUSTER,
        "Changes the type of the cluster node",
        (1, 1),
        &[],
        Stopped,
        |r| {
            r.banner(format!(
                "Turning {} into a {} node",
                r.node.name,
                r.line.arg(0)
            ));
            Err(End::Fault(Fault::failed(
                "{:not_clustered, 'Non-clustered nodes can only be disc nodes.'}",
            )))
        }
    ),
    command!(
        "update_cluster_nodes",
        "<seed_node>",
        CLUSTER,
        "Instructs a cluster member node to sync the list of known cluster members",
        (1, 1),
        &[],
        Stopped,
        |_| {
            Err(End::Fault(Fault::failed(
                "clustering is not there yet: this is one node",
            )))
        }
    ),
    command!(
        "rename_cluster_node",
        "<oldnode1> <newnode1> [oldnode2] [newnode2] ...",
        CLUSTER,
        "Renames cluster nodes in the local database",
        (2, MANY),
        &[],
        Any,
        |_| {
            Err(End::Fault(Fault::failed(
                "clustering is not there yet; a single node takes the name that --node gives",
            )))
        }
    ),
    command!(
        "force_boot",
        "",
        CLUSTER,
        "Does nothing: a single node waits for no other",
        (0, 0),
        &[],
        Stopped,
        |r| {
            r.banner(format!("Forcing boot for node {}", r.node.name));
            Ok(())
        }
    ),
    command!(
        "await_online_nodes",
        "<count> [--timeout <timeout>]",
        CLUSTER,
        "Waits for <count> nodes to join the cluster",
        (1, 1),
        &[],
        Running,
        await_online_nodes
    ),
    command!(
        "report",
        "[--timeout <timeout>]",
        MONITORING,
        "Generate a server status report containing a concatenation of all server status information for support purposes",
        (0, 0),
        &[],
        Running,
        report
    ),
    command!(
        "status",
        "[--unit <unit>] [--timeout <timeout>]",
        MONITORING,
        "Displays status of a node",
        (0, 0),
        &["unit"],
        Running,
        status
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
        "environment",
        "[--timeout <timeout>]",
        CONFIGURATION,
        "Displays what the node runs with",
        (0, 0),
        &[],
        Any,
        environment
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

/// Those that `rabbitmq-diagnostics` has too.
pub static SHARED: &[Command] = &[
    command!(
        "status",
        "[--unit <unit>] [--timeout <timeout>]",
        MONITORING,
        "Displays status of a node",
        (0, 0),
        &["unit"],
        Running,
        status
    ),
    command!(
        "cluster_status",
        "[--timeout <timeout>]",
        CLUSTER,
        "Displays all the nodes in the cluster grouped by node type, together with the currently running nodes",
        (0, 0),
        &[],
        Running,
        cluster_status
    ),
    command!(
        "environment",
        "[--timeout <timeout>]",
        CONFIGURATION,
        "Displays what the node runs with",
        (0, 0),
        &[],
        Any,
        environment
    ),
    command!(
        "report",
        "[--timeout <timeout>]",
        MONITORING,
        "Generate a server status report",
        (0, 0),
        &[],
        Running,
        report
    ),
    command!(
        "version",
        "",
        "Help",
        "Displays CLI tools version",
        (0, 0),
        &[],
        Any,
        |r| {
            r.say(version());
            Ok(())
        }
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

fn await_online_nodes(r: &Run) -> Done {
    let Ok(count) = r.line.arg(0).parse::<u32>() else {
        return Err(End::Usage(
            65,
            "Bad argument: Argument must be a positive integer".to_owned(),
        ));
    };
    let (node, limit) = (&r.node.name, seconds(r, 300));
    r.banner(format!(
        "Will wait for at least {count} nodes to join the cluster of {node}. Timeout: {} seconds.",
        limit.as_secs()
    ));
    if count <= 1 {
        return Ok(());
    }
    std::thread::sleep(limit);
    let text = format!("Error: timed out while waiting. Not enough nodes joined {node}'s cluster.");
    Err(End::Fault(Fault::new(FaultKind::Exists, text)))
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// `[1mHeading[0m`, then its lines.
fn section(r: &Run, heading: &str, lines: &[String]) {
    r.say(format!("\u{1b}[1m{heading}\u{1b}[0m\n"));
    for line in lines {
        r.say(line);
    }
}

fn sections(r: &Run, parts: &[(&str, Vec<String>)]) {
    for (index, (heading, lines)) in parts.iter().enumerate() {
        section(r, heading, lines);
        if index + 1 < parts.len() {
            r.say("");
        }
    }
}

fn alarms(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    match items {
        [] => vec!["(none)".to_owned()],
        items => items
            .iter()
            .map(|a| match a["resource"].as_str() {
                Some("memory") => format!("Memory alarm on node {}", text(&a["node"])),
                _ => format!("Free disk space alarm on node {}", text(&a["node"])),
            })
            .collect(),
    }
}

/// A listener's line, with the node's name where that is wanted.
pub fn listener_line(l: &Value, with_node: bool) -> String {
    let line = format!(
        "nterface: {}, port: {}, protocol: {}, purpose: {}",
        text(&l["interface"]),
        l["port"],
        text(&l["protocol"]),
        text(&l["purpose"])
    );
    match with_node {
        true => format!("Node: {}, i{line}", text(&l["node"])),
        false => format!("I{line}"),
    }
}

/// The listeners in a status.
pub fn listeners(status: &Value, with_node: bool) -> Vec<String> {
    let items = status["listeners"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    items.iter().map(|l| listener_line(l, with_node)).collect()
}

fn cluster_status(r: &Run) -> Done {
    let c = r.perform("cluster", &[])?;
    let node = text(&c["node"]);
    if r.is_json() {
        let flags: Vec<_> = FEATURE_FLAGS
            .iter()
            .map(|(name, desc, by)| json!({"desc": desc, "doc_url": "", "name": name, "provided_by": by, "stability": "stable", "state": "enabled"}))
            .collect();
        let of_node =
            |value: Value| Value::Object(serde_json::Map::from_iter([(node.clone(), value)]));
        r.say(
            json!({
                "alarms": c["alarms"],
                "cluster_name": c["cluster_name"],
                "disk_nodes": [node],
                "feature_flags": flags,
                "listeners": of_node(c["listeners"].clone()),
                "maintenance_status": of_node(json!("not under maintenance")),
                "partitions": {},
                "ram_nodes": [],
                "running_nodes": [node],
                "versions": of_node(json!({"erlang_version": "none", "evenkeel_version": c["our_version"], "rabbitmq_name": "RabbitMQ", "rabbitmq_version": c["version"]})),
            })
            .to_string(),
        );
        return Ok(());
    }
    r.banner(format!("Cluster status of node {node} ..."));
    let flags = FEATURE_FLAGS
        .iter()
        .map(|(name, _, _)| format!("Flag: {name}, state: enabled"));
    sections(
        r,
        &[
            (
                "Basics",
                vec![format!("Cluster name: {}", text(&c["cluster_name"]))],
            ),
            ("Disk Nodes", vec![node.clone()]),
            ("Running Nodes", vec![node.clone()]),
            (
                "Versions",
                vec![format!(
                    "{node}: RabbitMQ {} on Evenkeel {}",
                    text(&c["version"]),
                    text(&c["our_version"])
                )],
            ),
            (
                "Maintenance status",
                vec![format!("Node: {node}, status: not under maintenance")],
            ),
            ("Alarms", alarms(&c["alarms"])),
            ("Network Partitions", vec!["(none)".to_owned()]),
            ("Listeners", listeners(&c, true)),
            ("Feature flags", flags.collect()),
        ],
    );
    Ok(())
}

/// Bytes in a unit: `0.1395 gb`.
pub fn in_unit(bytes: &Value, unit: &str) -> String {
    let factor = match unit.to_lowercase().as_str() {
        "bytes" => 1.0,
        "mb" => 1e6,
        "tb" => 1e12,
        _ => 1e9,
    };
    let scaled = bytes.as_f64().unwrap_or(0.0) / factor;
    format!("{} {unit}", (scaled * 10_000.0).round() / 10_000.0)
}

fn paths(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    match items {
        [] => vec!["(none)".to_owned()],
        items => items.iter().map(|p| format!(" * {}", text(p))).collect(),
    }
}

fn status(r: &Run) -> Done {
    let unit = r.line.option("unit").unwrap_or("gb");
    if !["bytes", "mb", "gb", "tb"].contains(&unit.to_lowercase().as_str()) {
        let text = format!("unit '{unit}' is not supported. Please use one of: bytes, mb, gb, tb");
        return Err(End::Usage(64, text));
    }
    let s = r.perform("status", &[])?;
    if r.is_json() {
        r.say(status_json(&s).to_string());
        return Ok(());
    }
    r.banner(format!("Status of node {} ...", text(&s["node"])));
    sections(r, &status_sections(&s, unit));
    Ok(())
}

fn status_sections(s: &Value, unit: &str) -> Vec<(&'static str, Vec<String>)> {
    let log = match &s["log_file"] {
        Value::Null => " * <stderr>".to_owned(),
        path => format!(" * {}", text(path)),
    };
    let (total, messages) = (
        s["memory"].as_f64().unwrap_or(0.0),
        s["message_memory"].as_f64().unwrap_or(0.0),
    );
    let part = |name: &str, bytes: f64| {
        let percent = (bytes / total.max(1.0) * 10_000.0).round() / 100.0;
        format!("{name}: {} ({percent} %)", in_unit(&json!(bytes), unit))
    };
    vec![
        (
            "Runtime",
            vec![
                format!("OS PID: {}", s["pid"]),
                "OS: Linux".to_owned(),
                format!("Uptime (seconds): {}", s["uptime"]),
                "Is under maintenance?: false".to_owned(),
                format!("RabbitMQ version: {}", text(&s["version"])),
                format!("Node name: {}", text(&s["node"])),
                format!("Evenkeel version: {}", text(&s["our_version"])),
                format!("Threads: {} used", s["threads"]),
                "Cluster heartbeat timeout (net_ticktime): 60".to_owned(),
            ],
        ),
        (
            "Plugins",
            vec![
                "Enabled plugin file: (built in)".to_owned(),
                "Enabled plugins:\n".to_owned(),
                " * rabbitmq_management".to_owned(),
                " * rabbitmq_prometheus".to_owned(),
            ],
        ),
        (
            "Data directory",
            vec![format!("Node data directory: {}", text(&s["data_dir"]))],
        ),
        ("Config files", paths(&s["config_files"])),
        ("Log file(s)", vec![log]),
        ("Alarms", alarms(&s["alarms"])),
        (
            "Memory",
            vec![
                format!("Total memory used: {}", in_unit(&s["memory"], unit)),
                "Calculation strategy: rss".to_owned(),
                format!(
                    "Memory high watermark setting: {} of available memory, computed to: {}",
                    text(&s["memory_setting"]),
                    in_unit(&s["memory_limit"], unit)
                ),
                String::new(),
                part("binary", messages.min(total)),
                part("other_proc", (total - messages).max(0.0)),
            ],
        ),
        (
            "File Descriptors",
            vec![
                format!("Total: {}, limit: {}", s["files"], s["files_max"]),
                format!("Sockets: {}, limit: {}", s["connections"], s["files_max"]),
            ],
        ),
        (
            "Free Disk Space",
            vec![
                format!(
                    "Low free disk space watermark: {}",
                    in_unit(&s["disk_limit"], unit)
                ),
                format!("Free disk space: {}", in_unit(&s["disk_free"], unit)),
            ],
        ),
        (
            "Totals",
            vec![
                format!("Connection count: {}", s["connections"]),
                format!("Queue count: {}", s["queues"]),
                format!("Virtual host count: {}", s["vhosts"]),
            ],
        ),
        ("Listeners", listeners(s, false)),
    ]
}

fn status_json(s: &Value) -> Value {
    json!({
        "active_plugins": ["rabbitmq_management", "rabbitmq_prometheus"],
        "alarms": s["alarms"],
        "config_files": s["config_files"],
        "data_directory": s["data_dir"],
        "disk_free": s["disk_free"],
        "disk_free_limit": s["disk_limit"],
        "erlang_version": "none",
        "evenkeel_version": s["our_version"],
        "file_descriptors": {"total_limit": s["files_max"], "total_used": s["files"], "sockets_limit": s["files_max"], "sockets_used": s["connections"]},
        "is_under_maintenance": false,
        "listeners": s["listeners"],
        "log_files": [s["log_file"]],
        "memory": {"binary": s["message_memory"], "total": {"allocated": s["memory"], "erlang": 0, "rss": s["memory"]}},
        "net_ticktime": 60,
        "os": "Linux",
        "pid": s["pid"],
        "processes": {"limit": 1_048_576, "used": s["threads"]},
        "rabbitmq_version": s["version"],
        "run_queue": 0,
        "totals": {"connection_count": s["connections"], "queue_count": s["queues"], "virtual_host_count": s["vhosts"]},
        "uptime": s["uptime"],
        "vm_memory_calculation_strategy": "rss",
        "vm_memory_high_watermark_limit": s["memory_limit"],
        "vm_memory_high_watermark_setting": {"relative": s["memory_setting"]},
    })
}

fn environment(r: &Run) -> Done {
    r.banner(format!(
        "Application environment of node {} ...",
        r.node.name
    ));
    let s = r.perform("status", &[])?;
    r.say(serde_json::to_string_pretty(&s).unwrap_or_default());
    Ok(())
}

fn report(r: &Run) -> Done {
    r.banner(format!(
        "Reporting server status of node {} ...\n",
        r.node.name
    ));
    status(r)?;
    r.say("");
    cluster_status(r)?;
    for name in [
        "list_connections",
        "list_channels",
        "list_queues",
        "list_exchanges",
        "list_bindings",
        "list_permissions",
        "list_policies",
        "list_global_parameters",
    ] {
        r.say("");
        if let Some(command) = super::find(crate::ctl::tool::Tool::Ctl, name) {
            (command.run)(r)?;
        }
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
