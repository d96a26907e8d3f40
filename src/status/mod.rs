//! `evenkeel status`: the daemons of this host, one way to look at them all.
//! Each daemon's own JSON with the words that all share (`docs/watching.md`),
//! or a few lines for people.

pub mod ask;

use clap::{CommandFactory, Parser};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// The daemons of this host: who they are, what they hold and serve.
#[derive(Parser, Debug)]
#[command(name = "evenkeel status", disable_version_flag = true)]
struct Options {
    /// Where the daemons keep their sockets.
    #[arg(long, value_name = "DIR", default_value = "/run/evenkeel")]
    run_dir: PathBuf,

    /// The broker's metrics listener.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:15692")]
    broker: String,

    /// One JSON object: `host`, `at`, `daemons`.
    #[arg(long)]
    json: bool,
}

/// Its options, for the manual.
pub fn parser() -> clap::Command {
    Options::command()
}

/// `evenkeel status`: 0 when a daemon answers, 1 when none does.
pub fn command(args: Vec<String>) -> ExitCode {
    let all = std::iter::once("evenkeel status".to_owned()).chain(args);
    let options = match Options::try_parse_from(all) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let daemons = look(&options);
    if options.json {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let whole = json!({
            "host": host.to_string_lossy(),
            "at": service::wall_time(),
            "daemons": daemons,
        });
        println!("{whole:#}");
    } else {
        for daemon in &daemons {
            print!("{}", lines(daemon));
        }
        if daemons.is_empty() {
            println!(
                "no daemon of Evenkeel answers in {} or on {}; `evenkeel doctor` says more",
                options.run_dir.display(),
                options.broker
            );
        }
    }
    ExitCode::from(u8::from(daemons.is_empty()))
}

fn look(options: &Options) -> Vec<Value> {
    let mut daemons = Vec::new();
    for socket in ask::balancers(&options.run_dir) {
        daemons.extend(ask::balancer(&socket));
    }
    daemons.extend(ask::vrrp(&options.run_dir));
    daemons.extend(ask::broker(&options.broker));
    daemons
}

/// A daemon's status for people.
fn lines(status: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut out = format!(
        "{} {} on {}, pid {}, up {} s, {} MB, {} of {} files\n",
        text(&status["daemon"]),
        text(&status["version"]),
        text(&status["host"]),
        status["pid"],
        status["uptime_ms"].as_u64().unwrap_or(0) / 1000,
        status["memory_bytes"].as_u64().unwrap_or(0) >> 20,
        status["open_files"],
        status["open_files_limit"],
    );
    for backend in list(&status["backends"]) {
        let (name, state) = (text(&backend["name"]), text(&backend["state"]));
        out.push_str(&format!(
            "  backend {name}: {state}, {} sessions\n",
            backend["sessions"]
        ));
        for server in list(&backend["servers"]) {
            out.push_str(&format!(
                "    server {} {}: {}, {} sessions ({})\n",
                text(&server["name"]),
                text(&server["address"]),
                text(&server["state"]),
                server["sessions"],
                text(&server["reason"]),
            ));
        }
    }
    for instance in list(&status["instances"]) {
        let addresses: Vec<String> = list(&instance["addresses"]).iter().map(text).collect();
        out.push_str(&format!(
            "  {} is {} with priority {}, {}: {}\n",
            text(&instance["name"]),
            text(&instance["state"]),
            instance["priority"],
            if instance["holds_addresses"] == true {
                "holds"
            } else {
                "does not hold"
            },
            addresses.join(", "),
        ));
    }
    for peer in list(&status["pair"]["peers"]) {
        let alive = peer["alive"] == true;
        let word = if alive { "alive" } else { "silent" };
        out.push_str(&format!("  peer {}: {word}\n", text(&peer["address"])));
    }
    if status["daemon"] == "broker" {
        out.push_str(&format!(
            "  {} connections, {} channels, {} queues, {} messages ready, {} unacknowledged\n",
            status["connections"],
            status["channels"],
            status["queues"],
            status["messages_ready"],
            status["messages_unacknowledged"],
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_daemon_has_its_lines() {
        let vip = json!({"daemon": "vip", "version": "1", "host": "a", "pid": 3, "uptime_ms": 5000,
            "memory_bytes": 9 << 20, "open_files": 7, "open_files_limit": 64,
            "instances": [{"name": "V", "state": "MASTER", "priority": 254,
                "holds_addresses": true, "addresses": ["192.0.2.1/24"]}],
            "pair": {"peers": [{"address": "192.0.2.12", "alive": false}]}});
        let said = lines(&vip);
        assert!(said.starts_with("vip 1 on a, pid 3, up 5 s, 9 MB, 7 of 64 files\n"));
        assert!(said.contains("V is MASTER with priority 254, holds: 192.0.2.1/24"));
        assert!(said.contains("peer 192.0.2.12: silent"));
        let lb = json!({"daemon": "lb", "backends": [{"name": "amqp", "state": "UP", "sessions": 2,
            "servers": [{"name": "mq1", "address": "192.0.2.21:5672", "state": "UP",
                "sessions": 2, "reason": "L7OK"}]}]});
        assert!(lines(&lb).contains("server mq1 192.0.2.21:5672: UP, 2 sessions (L7OK)"));
    }
}
