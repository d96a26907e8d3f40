//! The table of `show info`: a row per field, with its promised position.

use super::{Info, PRODUCT, RELEASE_DATE, VERSION, seconds, uptime};
use crate::stats::value::tags::{CGS, CLP, COS, KGP, MAVG, MCP, MDP, MGP, MMP, MRP, POS, SGP};
use crate::stats::value::{Tags, Value};

/// One line of `show info`.
pub struct Field {
    pub name: &'static str,
    pub doc: &'static str,
    pub tags: Tags,
    value: fn(&Info) -> Value<'_>,
}

impl Field {
    const fn new(
        name: &'static str,
        tags: Tags,
        doc: &'static str,
        value: fn(&Info) -> Value<'_>,
    ) -> Self {
        Self {
            name,
            doc,
            tags,
            value,
        }
    }

    pub fn value<'a>(&self, info: &'a Info) -> Value<'a> {
        (self.value)(info)
    }
}

fn n(number: u32) -> Value<'static> {
    Value::U32(number)
}

/// The kernel's 32-bit counters wrap; ours are cut to the field's type the same way.
fn low(number: u64) -> Value<'static> {
    Value::U32(number as u32)
}

fn optional(text: &Option<String>) -> Value<'_> {
    Value::text(text.as_deref().unwrap_or(""))
}

/// The fields in their promised order; positions 45 and 46 belong to builds with zlib.
pub static FIELDS: &[(usize, Field)] = &[
    (
        0,
        Field::new("Name", POS, "product", |_| Value::text(PRODUCT)),
    ),
    (
        1,
        Field::new("Version", POS, "version", |_| Value::text(VERSION)),
    ),
    (
        2,
        Field::new("Release_date", POS, "date of the sources", |_| {
            Value::text(RELEASE_DATE)
        }),
    ),
    (
        3,
        Field::new("Nbthread", CGS, "data threads", |i| n(i.threads)),
    ),
    (
        4,
        Field::new("Nbproc", CGS, "worker processes, always 1", |_| n(1)),
    ),
    (
        5,
        Field::new(
            "Process_num",
            KGP,
            "number of this worker, always 1",
            |_| n(1),
        ),
    ),
    (6, Field::new("Pid", SGP, "process id", |i| n(i.pid))),
    (
        7,
        Field::new("Uptime", MDP, "time since the start", |i| {
            Value::Str(uptime(seconds(i.uptime_us)).into())
        }),
    ),
    (
        8,
        Field::new("Uptime_sec", MDP, "seconds since the start", |i| {
            i.time(i.uptime_us)
        }),
    ),
    (
        9,
        Field::new("Memmax_MB", CLP, "limit of memory in MB, 0 without", |i| {
            n(i.memory_limit_mb)
        }),
    ),
    (
        10,
        Field::new("PoolAlloc_MB", MGP, "memory held, in MB", |i| {
            n((i.memory_used >> 20) as u32)
        }),
    ),
    (
        11,
        Field::new("PoolUsed_MB", MGP, "memory used, in MB", |i| {
            n((i.memory_used >> 20) as u32)
        }),
    ),
    (
        12,
        Field::new("PoolFailed", MCP, "allocations that failed", |_| n(0)),
    ),
    (
        13,
        Field::new("Ulimit-n", CLP, "limit of open files", |i| n(i.file_limit)),
    ),
    (
        14,
        Field::new("Maxsock", CLP, "limit of sockets", |i| n(i.max_sockets)),
    ),
    (
        15,
        Field::new("Maxconn", CLP, "limit of connections", |i| {
            n(i.max_connections)
        }),
    ),
    (
        16,
        Field::new(
            "Hard_maxconn",
            CLP,
            "limit of connections that the start-up computed",
            |i| n(i.hard_max_connections),
        ),
    ),
    (
        17,
        Field::new("CurrConns", MGP, "connections now", |i| n(i.connections)),
    ),
    (
        18,
        Field::new("CumConns", MCP, "connections since the start", |i| {
            low(i.connections_total)
        }),
    ),
    (
        19,
        Field::new("CumReq", MCP, "requests since the start", |i| {
            low(i.requests_total)
        }),
    ),
    (
        20,
        Field::new("MaxSslConns", MMP, "limit of TLS connections", |_| n(0)),
    ),
    (
        21,
        Field::new("CurrSslConns", MGP, "TLS connections now", |_| n(0)),
    ),
    (
        22,
        Field::new(
            "CumSslConns",
            MCP,
            "TLS connections since the start",
            |_| n(0),
        ),
    ),
    (
        23,
        Field::new("Maxpipes", CLP, "limit of kernel pipes", |i| n(i.max_pipes)),
    ),
    (
        24,
        Field::new("PipesUsed", MGP, "kernel pipes in use", |i| n(i.pipes_used)),
    ),
    (
        25,
        Field::new("PipesFree", MGP, "kernel pipes kept ready", |i| {
            n(i.pipes_free)
        }),
    ),
    (
        26,
        Field::new("ConnRate", MRP, "connections in the last second", |i| {
            n(i.connection_rate.cur)
        }),
    ),
    (
        27,
        Field::new(
            "ConnRateLimit",
            CLP,
            "limit of connections per second",
            |i| n(i.connection_rate.limit),
        ),
    ),
    (
        28,
        Field::new("MaxConnRate", MMP, "most connections in a second", |i| {
            n(i.connection_rate.max)
        }),
    ),
    (
        29,
        Field::new("SessRate", MRP, "sessions in the last second", |i| {
            n(i.session_rate.cur)
        }),
    ),
    (
        30,
        Field::new("SessRateLimit", CLP, "limit of sessions per second", |i| {
            n(i.session_rate.limit)
        }),
    ),
    (
        31,
        Field::new("MaxSessRate", MRP, "most sessions in a second", |i| {
            n(i.session_rate.max)
        }),
    ),
    (
        32,
        Field::new("SslRate", MRP, "TLS connections in the last second", |_| {
            n(0)
        }),
    ),
    (
        33,
        Field::new(
            "SslRateLimit",
            CLP,
            "limit of TLS connections per second",
            |_| n(0),
        ),
    ),
    (
        34,
        Field::new(
            "MaxSslRate",
            MMP,
            "most TLS connections in a second",
            |_| n(0),
        ),
    ),
    (
        35,
        Field::new(
            "SslFrontendKeyRate",
            MGP,
            "TLS keys made for clients in the last second",
            |_| n(0),
        ),
    ),
    (
        36,
        Field::new(
            "SslFrontendMaxKeyRate",
            MMP,
            "most TLS keys made for clients in a second",
            |_| n(0),
        ),
    ),
    (
        37,
        Field::new(
            "SslFrontendSessionReuse_pct",
            MGP,
            "percentage of resumed TLS sessions",
            |_| n(0),
        ),
    ),
    (
        38,
        Field::new(
            "SslBackendKeyRate",
            MRP,
            "TLS keys made for servers in the last second",
            |_| n(0),
        ),
    ),
    (
        39,
        Field::new(
            "SslBackendMaxKeyRate",
            MMP,
            "most TLS keys made for servers in a second",
            |_| n(0),
        ),
    ),
    (
        40,
        Field::new(
            "SslCacheLookups",
            MCP,
            "lookups in the TLS session cache",
            |_| n(0),
        ),
    ),
    (
        41,
        Field::new(
            "SslCacheMisses",
            MCP,
            "misses of the TLS session cache",
            |_| n(0),
        ),
    ),
    (
        42,
        Field::new(
            "CompressBpsIn",
            MRP,
            "bytes per second into the compressor",
            |_| n(0),
        ),
    ),
    (
        43,
        Field::new(
            "CompressBpsOut",
            MRP,
            "bytes per second out of the compressor",
            |_| n(0),
        ),
    ),
    (
        44,
        Field::new(
            "CompressBpsRateLim",
            CLP,
            "limit of the compressor's output",
            |_| n(0),
        ),
    ),
    (
        47,
        Field::new("Tasks", MGP, "tasks: sessions, checks, listeners", |i| {
            n(i.tasks)
        }),
    ),
    (
        48,
        Field::new("Run_queue", MGP, "tasks ready to run", |i| n(i.run_queue)),
    ),
    (
        49,
        Field::new(
            "Idle_pct",
            MAVG,
            "percentage of the last second spent waiting",
            |i| n(i.idle_percent),
        ),
    ),
    (
        50,
        Field::new("node", COS, "name of the node", |i| optional(&i.node)),
    ),
    (
        51,
        Field::new("description", COS, "description of the node", |i| {
            i.description.as_deref().map_or(Value::None, Value::text)
        }),
    ),
    (
        52,
        Field::new("Stopping", MGP, "1 while the process stops", |i| {
            n(u32::from(i.stopping))
        }),
    ),
    (
        53,
        Field::new(
            "Jobs",
            MGP,
            "listeners and sessions that keep the process alive",
            |i| n(i.jobs),
        ),
    ),
    (
        54,
        Field::new(
            "Unstoppable Jobs",
            MGP,
            "jobs that a soft stop does not wait for",
            |_| n(0),
        ),
    ),
    (
        55,
        Field::new("Listeners", MGP, "listeners", |i| n(i.listeners)),
    ),
    (
        56,
        Field::new("ActivePeers", MGP, "peers connected and verified", |_| n(0)),
    ),
    (
        57,
        Field::new("ConnectedPeers", MGP, "peers connected", |_| n(0)),
    ),
    (
        58,
        Field::new(
            "DroppedLogs",
            MGP,
            "log lines dropped since the start",
            |i| n(i.dropped_logs),
        ),
    ),
    (
        59,
        Field::new(
            "BusyPolling",
            MGP,
            "1 where threads poll without waiting",
            |_| n(0),
        ),
    ),
    (
        60,
        Field::new(
            "FailedResolutions",
            MGP,
            "names that could not be resolved",
            |_| n(0),
        ),
    ),
    (
        61,
        Field::new("TotalBytesOut", MGP, "bytes sent since the start", |i| {
            Value::U64(i.bytes_out)
        }),
    ),
    // the misspelling is HAProxy 2.6's and tools look for it
    (
        62,
        Field::new(
            "TotalSplicdedBytesOut",
            MGP,
            "bytes sent through kernel pipes",
            |i| Value::U64(i.bytes_spliced),
        ),
    ),
    (
        63,
        Field::new("BytesOutRate", MRP, "bytes sent in the last second", |i| {
            Value::U64(i.bytes_out_rate)
        }),
    ),
    (
        64,
        Field::new(
            "DebugCommandsIssued",
            MGP,
            "debug commands run on this process",
            |_| n(0),
        ),
    ),
    (
        65,
        Field::new(
            "CumRecvLogs",
            MCP,
            "log lines received for forwarding",
            |_| n(0),
        ),
    ),
    (
        66,
        Field::new("Build info", POS, "build", |_| Value::text(VERSION)),
    ),
    (
        67,
        Field::new(
            "Memmax_bytes",
            CLP,
            "limit of memory in bytes, 0 without",
            |i| n(i.memory_limit_mb.saturating_mul(1 << 20)),
        ),
    ),
    (
        68,
        Field::new("PoolAlloc_bytes", MGP, "memory held, in bytes", |i| {
            Value::U64(i.memory_used)
        }),
    ),
    (
        69,
        Field::new("PoolUsed_bytes", MGP, "memory used, in bytes", |i| {
            Value::U64(i.memory_used)
        }),
    ),
    (
        70,
        Field::new(
            "Start_time_sec",
            MDP,
            "when the process started, in seconds since 1970",
            |i| i.time(i.start_time_us),
        ),
    ),
    (
        71,
        Field::new("Tainted", SGP, "experimental features used", |_| {
            Value::text("0")
        }),
    ),
    (
        72,
        Field::new(
            "OldProcesses",
            MGP,
            "processes that this one took over from and that still have sessions",
            |i| n(i.old.len() as u32),
        ),
    ),
    (
        73,
        Field::new(
            "OldConns",
            MGP,
            "connections from clients that old processes still have",
            |i| n(i.old.iter().map(|old| old.connections).sum()),
        ),
    ),
];
