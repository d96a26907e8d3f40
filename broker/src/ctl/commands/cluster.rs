//! The cluster, of which there is one node: what means something on it works, the rest says that it is not there yet.

use super::App::{Any, Running, Stopped};
use super::node::seconds;
use super::{Command, MANY};
use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::{Fault, FaultKind};

const CLUSTER: &str = "Cluster";

/// Words of `rabbitmqctl` about the cluster.
pub static COMMANDS: &[Command] = &[
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
];

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
