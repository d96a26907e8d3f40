//! Work on queues and connections, and what is refused with a pointer.

use super::App::Running;
use super::Command;
use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::{Fault, FaultKind};
use serde_json::json;

const OPERATIONS: &str = "Operations";
const REPLICATION: &str = "Replication";

/// Work on queues and connections.
pub static COMMANDS: &[Command] = &[
    running!(
        "purge_queue",
        "[--vhost <vhost>] <queue>",
        OPERATIONS,
        "Purges a queue (removes all messages in it)",
        (1, 1),
        &[],
        |r| {
            let (queue, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!("Purging queue '{queue}' in vhost '{vhost}' ..."));
            r.change(
                "purge_queue",
                &[("vhost", json!(vhost)), ("queue", json!(queue))],
            )
        }
    ),
    running!(
        "delete_queue",
        "[--vhost <vhost>] <queue_name> [--if-empty|-e] [--if-unused|-u]",
        OPERATIONS,
        "Deletes a queue",
        (1, 1),
        &["if-empty", "if-unused"],
        delete_queue
    ),
    running!(
        "sync_queue",
        "[--vhost <vhost>] <queue>",
        REPLICATION,
        "Instructs a mirrored queue with unsynchronised mirrors to synchronise them",
        (1, 1),
        &[],
        |r| {
            let (queue, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!(
                "Synchronising queue '{queue}' in vhost '{vhost}' ..."
            ));
            r.change(
                "sync_queue",
                &[("vhost", json!(vhost)), ("queue", json!(queue))],
            )
        }
    ),
    running!(
        "cancel_sync_queue",
        "[--vhost <vhost>] <queue>",
        REPLICATION,
        "Instructs a synchronising mirrored queue to stop synchronising itself",
        (1, 1),
        &[],
        |r| {
            let (queue, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!(
                "Stopping synchronising queue '{queue}' in vhost '{vhost}' ..."
            ));
            let with = [("vhost", json!(vhost)), ("queue", json!(queue))];
            match r.change("sync_queue", &with) {
                Err(End::Fault(fault)) if fault.text == "not_mirrored" => {
                    r.say("not_syncing");
                    Ok(())
                }
                other => other,
            }
        }
    ),
    running!(
        "close_connection",
        "<connection pid> <explanation>",
        OPERATIONS,
        "Closes the connection with this pid (as list_connections shows it) or name",
        (2, 2),
        &[],
        close_connection
    ),
    running!(
        "close_all_connections",
        "[--vhost <vhost> --limit <limit>] [--global] [--per-connection-delay <delay>] <explanation>",
        OPERATIONS,
        "Closes all connections of a vhost or of the node",
        (1, 1),
        &["limit", "global", "per-connection-delay"],
        |r| {
            let reason = r.line.arg(0);
            let vhost = (!r.line.has("global")).then(|| r.line.vhost());
            r.banner(match vhost {
                Some(vhost) => {
                    format!("Closing all connections in vhost {vhost}, reason: {reason}...")
                }
                None => format!(
                    "Closing all connections to node {} (across all vhosts), reason: {reason}...",
                    r.node.name
                ),
            });
            let mut with = vec![("reason", json!(reason))];
            with.extend(vhost.map(|vhost| ("vhost", json!(vhost))));
            let closed = r.perform("close_connections", &with)?;
            r.say(format!("Closed {} connections", closed["closed"]));
            Ok(())
        }
    ),
    running!(
        "close_all_user_connections",
        "<username> <explanation>",
        OPERATIONS,
        "Closes all connections of a user",
        (2, 2),
        &[],
        |r| {
            let (user, reason) = (r.line.arg(0), r.line.arg(1));
            r.banner(format!(
                "Closing connections of user {user}, reason: {reason}..."
            ));
            r.change(
                "close_connections",
                &[("user", json!(user)), ("reason", json!(reason))],
            )
        }
    ),
    running!(
        "force_gc",
        "[--timeout <timeout>]",
        OPERATIONS,
        "Does nothing: there is no garbage to collect",
        (0, 0),
        &[],
        |r| {
            r.banner(format!(
                "Will ask all processes on node {} to schedule a full sweep GC",
                r.node.name
            ));
            Ok(())
        }
    ),
    refused!(
        "eval",
        "<expression>",
        "there is no Erlang here. What scripts use it for has a command or a path of the HTTP API: list_queues, list_connections, set_vm_memory_high_watermark, close_connection, `/api/...`"
    ),
    refused!(
        "eval_file",
        "<file path>",
        "there is no Erlang here; see the commands and the HTTP API"
    ),
    refused!(
        "exec",
        "<expression>",
        "there is no Elixir here; see the commands and the HTTP API"
    ),
    refused!(
        "remote_shell",
        "",
        "there is no Erlang here; see the commands and the HTTP API"
    ),
    refused!(
        "encode",
        "<value> <passphrase>",
        "the configuration has no encrypted values; protect the file by its mode"
    ),
    refused!(
        "decode",
        "<value> <passphrase>",
        "the configuration has no encrypted values; protect the file by its mode"
    ),
    running!(
        "suspend_listeners",
        "",
        OPERATIONS,
        "Refuses new client connections; those that are open stay",
        (0, 0),
        &[],
        |r| {
            r.banner(format!(
                "Will suspend client connection listeners on node {}. The node will no longer accept client connections!",
                r.node.name
            ));
            r.change("suspend_listeners", &[])
        }
    ),
    running!(
        "resume_listeners",
        "",
        OPERATIONS,
        "Accepts client connections again",
        (0, 0),
        &[],
        |r| {
            r.banner(format!(
                "Will resume client connection listeners on node {}. The node will now accept client connections",
                r.node.name
            ));
            r.change("resume_listeners", &[])
        }
    ),
    refused!(
        "list_ciphers",
        "",
        "they are for encrypted values in the configuration, of which there are none"
    ),
    refused!(
        "list_hashes",
        "",
        "they are for encrypted values in the configuration, of which there are none"
    ),
    refused!("hipe_compile", "<directory>", "there is no Erlang here"),
    refused!(
        "schema_info",
        "",
        "there is no Mnesia here; export_definitions shows what is declared"
    ),
    Command {
        name: "set_log_level",
        usage: "<log_level>",
        about: "Sets log level in the running node",
        group: "Configuration and Environment",
        args: (1, 1),
        options: &[],
        app: Running,
        run: |r| {
            let level = r.line.arg(0);
            r.change("set_log_level", &[("level", json!(level))])?;
            r.banner(format!("Setting log level to \"{level}\" ..."));
            Ok(())
        },
    },
];

fn delete_queue(r: &Run) -> Done {
    let (queue, vhost) = (r.line.arg(0), r.line.vhost());
    let (empty, unused) = (r.line.has("if-empty"), r.line.has("if-unused"));
    let when = match (empty, unused) {
        (true, true) => " if queue is empty and if queue is unused",
        (true, false) => " if queue is empty",
        (false, true) => " if queue is unused",
        (false, false) => "",
    };
    let place = if when.is_empty() { "on" } else { "in" };
    r.banner(match when {
        "" => format!("Deleting queue '{queue}' {place} vhost '{vhost}' ..."),
        when => format!("Deleting queue '{queue}' on vhost '{vhost}'{when} ..."),
    });
    let with = [
        ("vhost", json!(vhost)),
        ("queue", json!(queue)),
        ("if_empty", json!(empty)),
        ("if_unused", json!(unused)),
    ];
    match r.perform("delete_queue", &with) {
        Ok(done) => {
            r.say(format!(
                "Queue was successfully deleted with {} ready messages",
                done["messages"]
            ));
            Ok(())
        }
        Err(End::Fault(fault)) if fault.text == "not_found" => {
            Err(End::Fault(Fault::new(FaultKind::Usage, "Queue not found")))
        }
        Err(end) => Err(end),
    }
}

fn close_connection(r: &Run) -> Done {
    let (pid, reason) = (r.line.arg(0), r.line.arg(1));
    r.banner(format!("Closing connection {pid}, reason: {reason}..."));
    let connections = r.items("/api/connections")?;
    let meant = connections
        .iter()
        .find(|c| c["pid"] == pid || c["name"] == pid);
    let Some(meant) = meant else {
        if pid.starts_with('<') {
            // one that is gone already is closed
            return Ok(());
        }
        return Err(End::Fault(Fault::failed(format!(
            "Error:\n{{:invalid_pid_syntax, \"{pid}\"}}"
        ))));
    };
    r.change(
        "close_connections",
        &[("name", meant["name"].clone()), ("reason", json!(reason))],
    )
}
