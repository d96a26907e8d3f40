//! `rabbitmq-queues`, `rabbitmq-streams` and `rabbitmq-upgrade`: what they ask about members and maintenance has a
//! simple answer on one node, and what would change members is refused.

use super::App::Running;
use super::Command;
use crate::ctl::output::Rows;
use crate::ctl::tool::{Done, End, Run, encoded};
use crate::ctl::wire::Fault;
use serde_json::json;

const REPLICATION: &str = "Replication";
const OPERATIONS: &str = "Operations";
/// What scripts read when there is nothing to wait for.
const ALONE: &str =
    "Target node seems to be the only one in a single node cluster, the command does not apply";

/// The words of `rabbitmq-queues`.
pub static QUEUES: &[Command] = &[
    command!(
        "quorum_status",
        "[--vhost <vhost>] <queue>",
        REPLICATION,
        "Displays quorum status of a quorum queue",
        (1, 1),
        &[],
        Running,
        quorum_status
    ),
    command!(
        "rebalance",
        "< all | classic | quorum | stream > [--vhost-pattern <pattern>] [--queue-pattern <pattern>]",
        REPLICATION,
        "Rebalances leaders; one node has them all",
        (1, 1),
        &["vhost-pattern", "queue-pattern"],
        Running,
        rebalance
    ),
    command!(
        "reclaim_quorum_memory",
        "[--vhost <vhost>] <queue>",
        OPERATIONS,
        "Flushes quorum queue processes WAL, performs a full sweep GC on all of its local Erlang processes",
        (1, 1),
        &[],
        Running,
        |r| {
            r.banner(format!(
                "Will flush Raft WAL of quorum queue {} ...",
                r.line.arg(0)
            ));
            quorum(r, "This operation is not applicable to classic queues").map(drop)
        }
    ),
    refused!(
        "peek",
        "[--vhost <vhost>] <queue> <position>",
        "the queue's page and `POST /api/queues/VHOST/NAME/get` with `ack_requeue_true` show the messages at its head"
    ),
    refused!(
        "add_member",
        "[--vhost <vhost>] <queue> <node>",
        "this is one node: a quorum queue has one member, which stays"
    ),
    refused!(
        "delete_member",
        "[--vhost <vhost>] <queue> <node>",
        "this is one node: a quorum queue has one member, which stays"
    ),
    refused!(
        "grow",
        "<node> < all | even > [--vhost-pattern <pattern>] [--queue-pattern <pattern>]",
        "this is one node: a quorum queue has one member, which stays"
    ),
    refused!(
        "shrink",
        "<node> [--errors-only]",
        "this is one node: a quorum queue has one member, which stays"
    ),
];

/// The words of `rabbitmq-streams`.
pub static STREAMS: &[Command] = &[
    refused!(
        "add_replica",
        "[--vhost <vhost>] <queue> <node>",
        "there are no streams"
    ),
    refused!(
        "delete_replica",
        "[--vhost <vhost>] <queue> <node>",
        "there are no streams"
    ),
    refused!(
        "stream_status",
        "[--vhost <vhost>] <queue>",
        "there are no streams"
    ),
    refused!(
        "set_stream_retention_policy",
        "<name> <policy>",
        "there are no streams; a policy with max-length or message-ttl limits a queue"
    ),
];

/// The words of `rabbitmq-upgrade`.
pub static UPGRADE: &[Command] = &[
    command!(
        "await_online_quorum_plus_one",
        "[--timeout <timeout>]",
        "Upgrade",
        "Waits for all quorum queues to have an above minimum online quorum; one node has no other to wait for",
        (0, 0),
        &[],
        Running,
        |r| {
            r.banner("Will wait for a quorum + 1 of nodes to be online for all quorum queues for 120 seconds...");
            r.say(ALONE);
            Ok(())
        }
    ),
    command!(
        "await_online_synchronized_mirror",
        "[--timeout <timeout>]",
        "Upgrade",
        "Waits for all classic mirrored queues hosted on the target node to have at least one synchronized mirror online; one node has none",
        (0, 0),
        &[],
        Running,
        |r| {
            r.banner("Will wait for a synchronised mirror be online for all classic mirrored queues for 120 seconds...");
            r.say(ALONE);
            Ok(())
        }
    ),
    command!(
        "post_upgrade",
        "",
        "Upgrade",
        "Runs post-upgrade tasks: there are none",
        (0, 0),
        &[],
        Running,
        |r| {
            r.banner(format!(
                "Executing post upgrade tasks...\nRebalancing queue masters on node {}",
                r.node.name
            ));
            Ok(())
        }
    ),
    refused!(
        "drain",
        "",
        "use stop_app, which closes the connections that are open; no other node takes over"
    ),
    refused!("revive", "", "use start_app"),
];

/// The rows that describe a quorum queue's one member; a queue of another kind is refused.
fn quorum(r: &Run, refusal: &str) -> Result<Vec<serde_json::Value>, End> {
    let at = format!("{}/{}", r.vhost_path(), encoded(r.line.arg(0)));
    let queue = r.get(&format!("/api/queues/{at}"));
    match queue {
        Ok(queue) if queue["type"] == "quorum" => {
            r.items(&format!("/api/queues/quorum/{at}/status"))
        }
        Ok(_) => Err(End::Fault(Fault::failed(refusal))),
        Err(end) => Err(end),
    }
}

fn quorum_status(r: &Run) -> Done {
    r.banner(format!(
        "Status of quorum queue {} on node {} ...",
        r.line.arg(0),
        r.node.name
    ));
    let mut rows = quorum(r, "Cannot get quorum status of a classic queue")?;
    for row in &mut rows {
        row["Machine Version"] = json!(0);
    }
    let columns = [
        "Node Name",
        "Raft State",
        "Log Index",
        "Commit Index",
        "Snapshot Index",
        "Term",
        "Machine Version",
    ];
    r.boxes(Rows::pick(&rows, &columns))
}

fn rebalance(r: &Run) -> Done {
    let kind = r.line.arg(0);
    if !["all", "classic", "quorum", "stream"].contains(&kind) {
        let text = format!("type {kind} is not supported. Try one of all, classic, quorum.");
        return Err(End::Fault(Fault::failed(text)));
    }
    r.banner(format!("Re-balancing leaders of {kind} queues..."));
    let queues = r.items("/api/queues")?;
    let quorum = queues
        .iter()
        .filter(|queue| queue["type"] == "quorum")
        .count();
    let row = json!({
        "Node name": r.node.name,
        "Number of quorum queues": quorum,
        "Number of replicated classic queues": 0,
    });
    let columns = [
        "Node name",
        "Number of quorum queues",
        "Number of replicated classic queues",
    ];
    r.boxes(Rows::pick(&[row], &columns))
}
