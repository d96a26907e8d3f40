//! What the node tells of itself: status, cluster status, environment, report.

use super::App::{Any, Running};
use super::Command;
use crate::ctl::tool::{Done, End, Run, version};
use crate::management::api::nodes::FEATURE_FLAGS;
use serde_json::{Value, json};

const CLUSTER: &str = "Cluster";
const CONFIGURATION: &str = "Configuration and Environment";
const MONITORING: &str = "Monitoring, observability and health checks";

/// Words of both `rabbitmqctl` and `rabbitmq-diagnostics`.
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
        "Generate a server status report containing a concatenation of all server status information for support purposes",
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
        "kb" => 1e3,
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
    if !["bytes", "kb", "mb", "gb", "tb"].contains(&unit.to_lowercase().as_str()) {
        let text =
            format!("\"unit '{unit}' is not supported. Please use one of: bytes, kb, mb, gb, tb\"");
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
