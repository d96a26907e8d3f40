//! More of `rabbitmq-diagnostics`: TLS, the process and its environment; what only Erlang has is refused.

use super::App::Any;
use super::Command;
use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::Fault;
use serde_json::Value;

const GROUP: &str = "Monitoring, observability and health checks";

macro_rules! command {
    ($name:literal, $usage:literal, $about:literal, $options:expr, $run:expr) => {
        Command {
            name: $name,
            usage: $usage,
            about: $about,
            group: GROUP,
            args: (0, 0),
            options: $options,
            app: Any,
            run: $run,
        }
    };
}

/// More words of `rabbitmq-diagnostics`.
pub static COMMANDS: &[Command] = &[
    command!(
        "certificates",
        "[--timeout <timeout>]",
        "Displays certificates (public keys) for every listener on target node that is configured to use TLS",
        &[],
        certificates
    ),
    command!(
        "cipher_suites",
        "[--format <openssl | erlang | map>] [--all] [--timeout <timeout>]",
        "Lists cipher suites enabled on the target node",
        &["format", "all"],
        |r| {
            r.banner("Listing available cipher suites in OpenSSL format");
            crate::tls::suites().for_each(|suite| r.say(suite));
            Ok(())
        }
    ),
    command!(
        "tls_versions",
        "[--timeout <timeout>]",
        "Lists TLS versions supported (but not necessarily allowed) on the target node",
        &[],
        |r| {
            r.banner("Listing all TLS versions supported by the runtime...");
            ["tlsv1.3", "tlsv1.2"]
                .iter()
                .for_each(|version| r.say(version));
            Ok(())
        }
    ),
    command!(
        "command_line_arguments",
        "[--timeout <timeout>]",
        "Displays target node's command-line arguments",
        &[],
        command_line_arguments
    ),
    command!(
        "os_env",
        "[--timeout <timeout>]",
        "Lists the environment variables of the target node that it knows",
        &[],
        os_env
    ),
    command!(
        "maybe_stuck",
        "[--timeout <timeout>]",
        "Detects Erlang processes that may be stuck: there are none",
        &[],
        |r| {
            r.banner(format!(
                "Asking node {} to detect potentially stuck Erlang processes...",
                r.node.name
            ));
            // an answer comes from the thread that serves clients: it is not stuck
            r.perform("status", &[])?;
            r.say("There are no Erlang processes; the thread that serves clients answers");
            Ok(())
        }
    ),
    command!(
        "reset_node_auth_attempt_metrics",
        "[--timeout <timeout>]",
        "Resets auth attempt metrics on the target node",
        &[],
        |r| {
            r.banner(format!(
                "Reset auth attempt metrics on node {} ...",
                r.node.name
            ));
            r.change("reset_logins", &[])
        }
    ),
    refused!(
        "enable_auth_attempt_source_tracking",
        "",
        "logins are counted for the node (list_node_auth_attempt_stats); refused ones stand in the log with their addresses"
    ),
    refused!(
        "disable_auth_attempt_source_tracking",
        "",
        "logins are counted for the node only, never by source"
    ),
    refused!(
        "erlang_cookie_hash",
        "",
        "there is no Erlang; tools are let in by the cookie file in the run directory (status shows it)"
    ),
    refused!(
        "erlang_cookie_sources",
        "",
        "there is no Erlang; tools are let in by the cookie file in the run directory (status shows it)"
    ),
    refused!(
        "list_network_interfaces",
        "",
        "`ip address` shows them; `listeners` shows where the node listens"
    ),
    refused!(
        "resolver_info",
        "",
        "names are resolved by the system's resolver (/etc/resolv.conf, `getent hosts`)"
    ),
    refused!(
        "runtime_thread_stats",
        "",
        "there is no Erlang; `top -H -p PID` shows the threads, `status` the PID"
    ),
    refused!(
        "observer",
        "",
        "there is no Erlang; the page and `/metrics` show what the node does"
    ),
    refused!(
        "consume_event_stream",
        "",
        "the log tells what happens, `/metrics` counts it"
    ),
    refused!(
        "log_tail_stream",
        "",
        "`tail -f` follows the file that log_location shows, `journalctl -f` the service's log"
    ),
];

fn fault(text: String) -> End {
    End::Fault(Fault::failed(text))
}

fn certificates(r: &Run) -> Done {
    r.banner(format!("Certificates of node {} ...", r.node.name));
    let status = r.perform("status", &[])?;
    let files = status["certificates"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for file in files.iter().filter_map(Value::as_str) {
        let text = std::fs::read_to_string(file).map_err(|e| fault(format!("{file}: {e}")))?;
        r.say(text.trim_end());
    }
    if files.is_empty() {
        r.say(format!(
            "Node {} has no listeners that use TLS",
            r.node.name
        ));
    }
    Ok(())
}

/// A file of the process in `/proc`, whose texts end with a 0 byte.
fn texts_of_process(r: &Run, file: &str) -> Result<Vec<String>, End> {
    let status = r.perform("status", &[])?;
    let path = format!("/proc/{}/{file}", status["pid"]);
    let bytes = std::fs::read(&path).map_err(|e| fault(format!("{path}: {e}")))?;
    let texts = bytes.split(|b| *b == 0).filter(|text| !text.is_empty());
    Ok(texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect())
}

fn command_line_arguments(r: &Run) -> Done {
    r.banner(format!(
        "Command line arguments of node {} ...",
        r.node.name
    ));
    texts_of_process(r, "cmdline")?
        .iter()
        .for_each(|word| r.say(word));
    Ok(())
}

fn os_env(r: &Run) -> Done {
    r.banner(format!(
        "Listing RabbitMQ-specific environment variables defined on node {}...",
        r.node.name
    ));
    let ours = |text: &&String| text.starts_with("RABBITMQ_") || text.starts_with("EVENKEEL_");
    texts_of_process(r, "environ")?
        .iter()
        .filter(ours)
        .for_each(|text| r.say(text));
    Ok(())
}
