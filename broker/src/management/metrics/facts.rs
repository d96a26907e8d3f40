//! What the node tells of itself, by the families of `/metrics/detailed`.

use super::{Kind, Page};
use crate::management::engine;
use crate::management::reply::Reply;
use crate::management::state::{Management, now_ms};
use crate::management::system;
use crate::management::view::NodeView;
use Kind::{Counter, Gauge};

/// The node's series of the families that are named.
pub async fn families(
    page: &mut Page,
    m: &Management,
    prefix: &str,
    named: &[&str],
) -> Result<(), Reply> {
    if !named.iter().any(|family| FAMILIES.contains(family)) {
        return Ok(());
    }
    let view = m.with(|core| engine::node(core)).await?;
    let all = facts(m, &view);
    for fact in all.iter().filter(|fact| named.contains(&fact.family)) {
        fact.write(page, prefix);
    }
    Ok(())
}

const FAMILIES: [&str; 6] = [
    "node_coarse_metrics",
    "node_metrics",
    "node_persister_metrics",
    "ra_metrics",
    "auth_attempt_metrics",
    "connection_churn_metrics",
];

/// One series of the node, or one for each protocol.
pub struct Fact {
    family: &'static str,
    kind: Kind,
    name: &'static str,
    help: &'static str,
    /// Protocol, or nothing, and the value.
    values: Vec<(&'static str, f64)>,
}

impl Fact {
    /// Writes it under a prefix.
    pub fn write(&self, page: &mut Page, prefix: &str) {
        let name = format!("{prefix}_{}", self.name);
        page.family(self.kind, &name, self.help);
        for (protocol, value) in &self.values {
            match *protocol {
                "" => page.series(&name, &[], value),
                protocol => page.series(&name, &[("protocol", protocol)], value),
            }
        }
    }
}

/// What RabbitMQ's node tells of itself. Of what there is none here (garbage collection, a scheduler's queue, a schema
/// database, seeking, a consensus) the series stay at zero, so that nothing that reads them breaks.
pub fn facts(m: &Management, view: &NodeView) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut family = |family: &'static str, rows: &[(Kind, &'static str, &'static str, f64)]| {
        facts.extend(rows.iter().map(|(kind, name, help, value)| Fact {
            family,
            kind: *kind,
            name,
            help,
            values: vec![("", *value)],
        }));
    };
    churn(&mut family, view);
    machine(&mut family, m, view);
    persister(&mut family, m, view);
    family(
        "ra_metrics",
        &[
            (Counter, "raft_term_total", "Current Raft term number", 0.0),
            (
                Gauge,
                "raft_log_snapshot_index",
                "Raft log snapshot index",
                0.0,
            ),
            (
                Gauge,
                "raft_log_last_applied_index",
                "Raft log last applied index",
                0.0,
            ),
            (Gauge, "raft_log_commit_index", "Raft log commit index", 0.0),
            (
                Gauge,
                "raft_log_last_written_index",
                "Raft log last written index",
                0.0,
            ),
            (
                Gauge,
                "raft_entry_commit_latency_seconds",
                "Time taken for a log entry to be committed",
                0.0,
            ),
        ],
    );
    let (http, amqp) = (m.login_counts(), view.logins);
    let logins = |name, help, of: fn((u64, u64)) -> u64| Fact {
        family: "auth_attempt_metrics",
        kind: Counter,
        name,
        help,
        values: vec![("http", of(http) as f64), ("amqp091", of(amqp) as f64)],
    };
    facts.extend([
        logins(
            "auth_attempts_total",
            "Total number of authorization attempts",
            |(good, bad)| good + bad,
        ),
        logins(
            "auth_attempts_succeeded_total",
            "Total number of successful authentication attempts",
            |(good, _)| good,
        ),
        logins(
            "auth_attempts_failed_total",
            "Total number of failed authentication attempts",
            |(_, bad)| bad,
        ),
    ]);
    facts
}

type Family<'a> = dyn FnMut(&'static str, &[(Kind, &'static str, &'static str, f64)]) + 'a;

fn churn(family: &mut Family<'_>, view: &NodeView) {
    family(
        "connection_churn_metrics",
        &[
            (
                Counter,
                "connections_opened_total",
                "Total number of connections opened",
                view.churn.connections_created as f64,
            ),
            (
                Counter,
                "connections_closed_total",
                "Total number of connections closed or terminated",
                view.churn.connections_closed as f64,
            ),
            (
                Counter,
                "channels_opened_total",
                "Total number of channels opened",
                view.churn.channels_created as f64,
            ),
            (
                Counter,
                "channels_closed_total",
                "Total number of channels closed",
                view.churn.channels_closed as f64,
            ),
            (
                Counter,
                "queues_declared_total",
                "Total number of queues declared",
                view.churn.queues_declared as f64,
            ),
            (
                Counter,
                "queues_created_total",
                "Total number of queues created",
                view.churn.queues_created as f64,
            ),
            (
                Counter,
                "queues_deleted_total",
                "Total number of queues deleted",
                view.churn.queues_deleted as f64,
            ),
        ],
    );
}

fn machine(family: &mut Family<'_>, m: &Management, view: &NodeView) {
    let process = system::process();
    let limits = m.limits();
    let uptime = now_ms().saturating_sub(m.facts.started_ms) as f64 / 1000.0;
    let free = system::disk_free(&m.facts.data_dir) as f64;
    family(
        "node_coarse_metrics",
        &[
            (
                Gauge,
                "process_open_fds",
                "Open file descriptors",
                process.files as f64,
            ),
            (
                Gauge,
                "process_open_tcp_sockets",
                "Open TCP sockets",
                view.open.connections as f64,
            ),
            (
                Gauge,
                "process_resident_memory_bytes",
                "Memory used in bytes",
                process.memory as f64,
            ),
            (
                Gauge,
                "disk_space_available_bytes",
                "Disk space available in bytes",
                free,
            ),
            (
                Gauge,
                "erlang_processes_used",
                "Threads of the process",
                process.threads as f64,
            ),
            (
                Counter,
                "erlang_gc_runs_total",
                "Total number of Erlang garbage collector runs",
                0.0,
            ),
            (
                Counter,
                "erlang_gc_reclaimed_bytes_total",
                "Total number of bytes of memory reclaimed by Erlang garbage collector",
                0.0,
            ),
            (
                Counter,
                "erlang_scheduler_context_switches_total",
                "Total number of Erlang scheduler context switches",
                0.0,
            ),
        ],
    );
    family(
        "node_metrics",
        &[
            (
                Gauge,
                "process_max_fds",
                "Open file descriptors limit",
                process.files_max as f64,
            ),
            (
                Gauge,
                "process_max_tcp_sockets",
                "Open TCP sockets limit",
                process.files_max as f64,
            ),
            (
                Gauge,
                "resident_memory_limit_bytes",
                "Memory high watermark in bytes",
                limits.memory as f64,
            ),
            (
                Gauge,
                "disk_space_available_limit_bytes",
                "Free disk space low watermark in bytes",
                limits.disk as f64,
            ),
            (
                Gauge,
                "erlang_processes_limit",
                "Threads limit",
                1_048_576.0,
            ),
            (
                Gauge,
                "erlang_scheduler_run_queue",
                "Erlang scheduler run queue",
                0.0,
            ),
            (
                Gauge,
                "erlang_net_ticktime_seconds",
                "Inter-node heartbeat interval",
                60.0,
            ),
            (Gauge, "erlang_uptime_seconds", "Node uptime", uptime),
        ],
    );
}

fn persister(family: &mut Family<'_>, m: &Management, view: &NodeView) {
    let store = system::store(&m.facts.data_dir);
    let (reads, writes) = (
        view.counters.disk_reads as f64,
        view.counters.disk_writes as f64,
    );
    family(
        "node_persister_metrics",
        &[
            (
                Counter,
                "io_read_ops_total",
                "Total number of read calls of the process",
                store.read_calls as f64,
            ),
            (
                Counter,
                "io_read_bytes_total",
                "Total number of I/O bytes read",
                store.read as f64,
            ),
            (
                Counter,
                "io_write_ops_total",
                "Total number of write calls of the process",
                store.write_calls as f64,
            ),
            (
                Counter,
                "io_write_bytes_total",
                "Total number of I/O bytes written",
                store.written as f64,
            ),
            (
                Counter,
                "io_seek_ops_total",
                "Total number of I/O seek operations",
                0.0,
            ),
            (
                Counter,
                "io_reopen_ops_total",
                "Total number of times files have been reopened",
                0.0,
            ),
            (
                Counter,
                "io_seek_time_seconds_total",
                "Total I/O seek time",
                0.0,
            ),
            (
                Counter,
                "schema_db_ram_tx_total",
                "Total number of Schema DB memory transactions",
                0.0,
            ),
            (
                Counter,
                "schema_db_disk_tx_total",
                "Total number of Schema DB disk transactions",
                0.0,
            ),
            (
                Counter,
                "msg_store_read_total",
                "Total number of messages read from the log",
                reads,
            ),
            (
                Counter,
                "msg_store_write_total",
                "Total number of messages written to the log",
                writes,
            ),
            (
                Counter,
                "queue_index_read_ops_total",
                "Total number of Queue Index read operations",
                0.0,
            ),
            (
                Counter,
                "queue_index_write_ops_total",
                "Total number of Queue Index write operations",
                0.0,
            ),
        ],
    );
}
