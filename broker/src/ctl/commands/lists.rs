//! Lists with columns: queues, exchanges, bindings, connections, channels,
//! consumers.

use super::{App::Running, Command, MANY};
use crate::ctl::output::Rows;
use crate::ctl::tool::{Done, End, Run};
use serde_json::{Value, json};

const GROUP: &str = "Monitoring, observability and health checks";

const QUEUE: [&str; 39] = [
    "arguments",
    "auto_delete",
    "consumer_capacity",
    "consumer_utilisation",
    "consumers",
    "disk_reads",
    "disk_writes",
    "durable",
    "exclusive",
    "exclusive_consumer_pid",
    "exclusive_consumer_tag",
    "head_message_timestamp",
    "leader",
    "members",
    "memory",
    "message_bytes",
    "message_bytes_persistent",
    "message_bytes_ram",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "messages",
    "messages_persistent",
    "messages_ram",
    "messages_ready",
    "messages_ready_ram",
    "messages_unacknowledged",
    "messages_unacknowledged_ram",
    "mirror_pids",
    "name",
    "online",
    "owner_pid",
    "pid",
    "policy",
    "slave_pids",
    "state",
    "synchronised_mirror_pids",
    "synchronised_slave_pids",
    "type",
    "vhost",
];
const EXCHANGE: [&str; 7] = [
    "arguments",
    "auto_delete",
    "durable",
    "internal",
    "name",
    "policy",
    "type",
];
const BINDING: [&str; 6] = [
    "source_name",
    "source_kind",
    "destination_name",
    "destination_kind",
    "routing_key",
    "arguments",
];
const CONNECTION: [&str; 38] = [
    "pid",
    "name",
    "port",
    "host",
    "peer_port",
    "peer_host",
    "ssl",
    "ssl_protocol",
    "ssl_key_exchange",
    "ssl_cipher",
    "ssl_hash",
    "peer_cert_subject",
    "peer_cert_issuer",
    "peer_cert_validity",
    "state",
    "channels",
    "protocol",
    "auth_mechanism",
    "user",
    "vhost",
    "timeout",
    "frame_max",
    "channel_max",
    "client_properties",
    "recv_oct",
    "recv_cnt",
    "send_oct",
    "send_cnt",
    "send_pend",
    "connected_at",
    "user_provided_name",
    "node",
    "type",
    "connection_state",
    "reductions",
    "garbage_collection",
    "auth_mechanisms",
    "ssl_details",
];
const CHANNEL: [&str; 21] = [
    "pid",
    "connection",
    "name",
    "number",
    "user",
    "vhost",
    "transactional",
    "confirm",
    "consumer_count",
    "messages_unacknowledged",
    "messages_uncommitted",
    "acks_uncommitted",
    "messages_unconfirmed",
    "prefetch_count",
    "global_prefetch_count",
    "node",
    "state",
    "reductions",
    "garbage_collection",
    "interceptors",
    "idle_since",
];
const CONSUMER: [&str; 9] = [
    "queue_name",
    "channel_pid",
    "consumer_tag",
    "ack_required",
    "prefetch_count",
    "active",
    "arguments",
    "activity_status",
    "exclusive",
];

macro_rules! list {
    ($name:literal, $usage:literal, $about:literal, $run:expr) => {
        Command {
            name: $name,
            usage: $usage,
            about: $about,
            group: GROUP,
            args: (0, MANY),
            options: &["online", "offline", "local", "queue-timeout"],
            app: Running,
            run: $run,
        }
    };
}

/// The lists.
pub static COMMANDS: &[Command] = &[
    list!(
        "list_queues",
        "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] [<column>, ...] [--timeout <timeout>]",
        "Lists queues and their properties",
        list_queues
    ),
    list!(
        "list_exchanges",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists exchanges",
        list_exchanges
    ),
    list!(
        "list_bindings",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists all bindings on a vhost",
        list_bindings
    ),
    list!(
        "list_connections",
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists AMQP 0.9.1 connections for the node",
        list_connections
    ),
    list!(
        "list_channels",
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists all channels in the node",
        list_channels
    ),
    list!(
        "list_consumers",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists all consumers for a vhost",
        list_consumers
    ),
    list!(
        "list_unresponsive_queues",
        "[--local] [--queue-timeout <queue-timeout>] [<column> ...] [--no-table-headers] [--timeout <timeout>]",
        "Tests queues to respond within timeout. Lists those which did not respond",
        |r| {
            columns(r, &QUEUE, &["name"])?;
            r.banner(format!(
                "Listing unresponsive queues for vhost {} ...",
                r.line.vhost()
            ));
            // a queue is no process here: a node that answers has queues that answer
            r.perform("running", &[])?;
            r.list(Rows::default())
        }
    ),
];

/// The columns that were asked for, or the usual ones.
pub fn columns<'a>(
    r: &'a Run,
    known: &[&'static str],
    usual: &[&'a str],
) -> Result<Vec<&'a str>, End> {
    let given: Vec<&str> = r
        .line
        .args
        .iter()
        .flat_map(|arg| arg.split([',', ' ']))
        .filter(|word| !word.is_empty())
        .collect();
    let wrong: Vec<_> = given
        .iter()
        .copied()
        .filter(|word| !known.contains(word))
        .collect();
    if !wrong.is_empty() {
        return Err(End::Usage(
            64,
            format!("Info key(s) {} are not supported", wrong.join(",")),
        ));
    }
    Ok(if given.is_empty() {
        usual.to_vec()
    } else {
        given
    })
}

fn in_vhost(r: &Run, kind: &str) -> Result<Vec<Value>, End> {
    let known = r.items("/api/vhosts")?;
    // a virtual host that is not there has nothing, and is no error here
    if !known.iter().any(|vhost| vhost["name"] == r.line.vhost()) {
        return Ok(Vec::new());
    }
    r.items(&format!("/api/{kind}/{}", r.vhost_path()))
}

fn list_queues(r: &Run) -> Done {
    let columns = columns(r, &QUEUE, &["name", "messages"])?;
    let seconds = r.line.option("timeout").unwrap_or("60.0");
    let seconds = if seconds.contains('.') {
        seconds.to_owned()
    } else {
        format!("{seconds}.0")
    };
    r.banner(format!("Timeout: {seconds} seconds ..."));
    r.banner(format!("Listing queues for vhost {} ...", r.line.vhost()));
    if r.line.has("offline") {
        return r.list(Rows::default());
    }
    let mut items = in_vhost(r, "queues")?;
    for item in &mut items {
        let quorum = item["type"] == "quorum";
        for key in [
            "slave_pids",
            "synchronised_slave_pids",
            "mirror_pids",
            "synchronised_mirror_pids",
        ] {
            item[key] = json!("");
        }
        item["owner_pid"] = item["owner_pid_details"]["name"].clone();
        item["disk_reads"] = json!(0);
        item["disk_writes"] = json!(0);
        item["exclusive_consumer_pid"] = json!("");
        if quorum {
            item["exclusive"] = json!("");
        }
        let unused = item["consumers"] == 0;
        if unused {
            item["consumer_utilisation"] = json!("");
        }
    }
    r.list(Rows::pick(&items, &columns))
}

fn list_exchanges(r: &Run) -> Done {
    let columns = columns(r, &EXCHANGE, &["name", "type"])?;
    r.banner(format!(
        "Listing exchanges for vhost {} ...",
        r.line.vhost()
    ));
    let items = in_vhost(r, "exchanges")?;
    r.list(Rows::pick(&items, &columns))
}

fn list_bindings(r: &Run) -> Done {
    let columns = columns(r, &BINDING, &BINDING)?;
    r.banner(format!("Listing bindings for vhost {}...", r.line.vhost()));
    let mut items = in_vhost(r, "bindings")?;
    for item in &mut items {
        item["source_name"] = item["source"].clone();
        item["source_kind"] = json!("exchange");
        item["destination_name"] = item["destination"].clone();
        item["destination_kind"] = item["destination_type"].clone();
    }
    r.list(Rows::pick(&items, &columns))
}

fn list_connections(r: &Run) -> Done {
    let columns = columns(r, &CONNECTION, &["user", "peer_host", "peer_port", "state"])?;
    r.banner("Listing connections ...");
    let mut items = r.items("/api/connections")?;
    for item in &mut items {
        item["protocol"] = match r.is_json() {
            true => json!([0, 9, 1]),
            false => json!("{0,9,1}"),
        };
    }
    r.list(Rows::pick(&items, &columns))
}

fn list_channels(r: &Run) -> Done {
    let usual = ["pid", "user", "consumer_count", "messages_unacknowledged"];
    let columns = columns(r, &CHANNEL, &usual)?;
    r.banner("Listing channels ...");
    let mut items = r.items("/api/channels")?;
    for item in &mut items {
        item["connection"] = item["connection_details"]["pid"].clone();
    }
    r.list(Rows::pick(&items, &columns))
}

fn list_consumers(r: &Run) -> Done {
    let columns = columns(r, &CONSUMER, &CONSUMER[..7])?;
    r.banner(format!("Listing consumers in vhost {} ...", r.line.vhost()));
    let mut items = in_vhost(r, "consumers")?;
    for item in &mut items {
        item["queue_name"] = item["queue"]["name"].clone();
        item["channel_pid"] = item["channel_details"]["pid"].clone();
    }
    r.list(Rows::pick(&items, &columns))
}
