//! Which columns and process facts are series, under which names.

use crate::stats::column::COLUMNS;

/// How a series looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Gauge,
    Counter,
    /// One series per state, 1 for the present one.
    States,
    /// One series per result of checks, 1 for the last one.
    Checks,
    /// One series per class of HTTP answers.
    Classes,
    Histogram,
}

/// A series of rows.
pub struct Series {
    /// The name behind `haproxy_<kind>_`.
    pub name: &'static str,
    /// The column that it shows; empty where the shape says what.
    pub column: &'static str,
    pub shape: Shape,
    /// Bits of the kinds that have it.
    pub kinds: u32,
    /// The column is in milliseconds, the series in seconds.
    pub milliseconds: bool,
    /// What is shown where the column has no value.
    pub absent: Absent,
}

/// What stands for a value that is not there, as in HAProxy's exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// No series.
    Nothing,
    /// `NaN`: a limit that is not set, a counter that cannot count.
    NaN,
    /// 0 for servers that are checked: their check has no code.
    ZeroWhereChecked,
}

impl Series {
    /// What it means.
    pub fn doc(&self) -> &'static str {
        let column = COLUMNS.iter().find(|column| column.name == self.column);
        match (column, self.shape) {
            (Some(column), _) => column.doc,
            (None, Shape::States) => {
                "state, 1 for the present one; with agg_: servers in each state"
            }
            (None, Shape::Checks) => "result of the last check, 1 for the present one",
            (None, Shape::Classes) => "HTTP answers by class",
            (None, _) => "distribution over all sessions",
        }
    }
}

const F: u32 = 1;
const B: u32 = 2;
const S: u32 = 4;
const L: u32 = 8;

const fn plain(name: &'static str, column: &'static str, shape: Shape, kinds: u32) -> Series {
    Series {
        name,
        column,
        shape,
        kinds,
        milliseconds: false,
        absent: Absent::Nothing,
    }
}

const fn time(name: &'static str, column: &'static str, kinds: u32) -> Series {
    Series {
        name,
        column,
        shape: Shape::Gauge,
        kinds,
        milliseconds: true,
        absent: Absent::Nothing,
    }
}

const fn limit(name: &'static str, column: &'static str, kinds: u32) -> Series {
    Series {
        name,
        column,
        shape: Shape::Gauge,
        kinds,
        milliseconds: false,
        absent: Absent::NaN,
    }
}

/// A counter of checks, which servers without any cannot count.
const fn checked(name: &'static str, column: &'static str, kinds: u32) -> Series {
    Series {
        shape: Shape::Counter,
        ..limit(name, column, kinds)
    }
}

/// The code of a check.
const fn code(name: &'static str, column: &'static str, kinds: u32) -> Series {
    Series {
        absent: Absent::ZeroWhereChecked,
        ..limit(name, column, kinds)
    }
}

/// The series of frontends, listeners, backends and servers.
pub static ROWS: &[Series] = &[
    plain("current_sessions", "scur", Shape::Gauge, B | F | L | S),
    plain("max_sessions", "smax", Shape::Gauge, B | F | L | S),
    limit("limit_sessions", "slim", B | F | L | S),
    plain("sessions_total", "stot", Shape::Counter, B | F | L | S),
    plain("bytes_in_total", "bin", Shape::Counter, B | F | L | S),
    plain("bytes_out_total", "bout", Shape::Counter, B | F | L | S),
    plain("requests_denied_total", "dreq", Shape::Counter, B | F | L),
    plain(
        "responses_denied_total",
        "dresp",
        Shape::Counter,
        B | F | L | S,
    ),
    plain("request_errors_total", "ereq", Shape::Counter, F | L),
    plain("status", "", Shape::States, B | F | L | S),
    plain("limit_session_rate", "rate_lim", Shape::Gauge, F),
    plain("max_session_rate", "rate_max", Shape::Gauge, B | F | S),
    plain("http_responses_total", "", Shape::Classes, B | F | S),
    plain("http_requests_rate_max", "req_rate_max", Shape::Gauge, F),
    plain("http_requests_total", "req_tot", Shape::Counter, B | F),
    plain("http_comp_bytes_in_total", "comp_in", Shape::Counter, B | F),
    plain(
        "http_comp_bytes_out_total",
        "comp_out",
        Shape::Counter,
        B | F,
    ),
    plain(
        "http_comp_bytes_bypassed_total",
        "comp_byp",
        Shape::Counter,
        B | F,
    ),
    plain(
        "http_comp_responses_total",
        "comp_rsp",
        Shape::Counter,
        B | F,
    ),
    plain("connections_rate_max", "conn_rate_max", Shape::Gauge, F),
    plain("connections_total", "conn_tot", Shape::Counter, F),
    plain(
        "intercepted_requests_total",
        "intercepted",
        Shape::Counter,
        F,
    ),
    plain("denied_connections_total", "dcon", Shape::Counter, F | L),
    plain("denied_sessions_total", "dses", Shape::Counter, F | L),
    plain(
        "failed_header_rewriting_total",
        "wrew",
        Shape::Counter,
        B | F | L | S,
    ),
    plain(
        "http_cache_lookups_total",
        "cache_lookups",
        Shape::Counter,
        B | F,
    ),
    plain("http_cache_hits_total", "cache_hits", Shape::Counter, B | F),
    plain(
        "internal_errors_total",
        "eint",
        Shape::Counter,
        B | F | L | S,
    ),
    plain("current_queue", "qcur", Shape::Gauge, B | S),
    plain("max_queue", "qmax", Shape::Gauge, B | S),
    plain("connection_errors_total", "econ", Shape::Counter, B | S),
    plain("response_errors_total", "eresp", Shape::Counter, B | S),
    plain("retry_warnings_total", "wretr", Shape::Counter, B | S),
    plain("redispatch_warnings_total", "wredis", Shape::Counter, B | S),
    plain("weight", "weight", Shape::Gauge, B | S),
    plain("active_servers", "act", Shape::Gauge, B),
    plain("backup_servers", "bck", Shape::Gauge, B),
    checked("check_up_down_total", "chkdown", B | S),
    plain("check_last_change_seconds", "lastchg", Shape::Gauge, B | S),
    checked("downtime_seconds_total", "downtime", B | S),
    plain("loadbalanced_total", "lbtot", Shape::Counter, B | S),
    plain("client_aborts_total", "cli_abrt", Shape::Counter, B | S),
    plain("server_aborts_total", "srv_abrt", Shape::Counter, B | S),
    plain("last_session_seconds", "lastsess", Shape::Gauge, B | S),
    time("queue_time_average_seconds", "qtime", B | S),
    time("connect_time_average_seconds", "ctime", B | S),
    time("response_time_average_seconds", "rtime", B | S),
    time("total_time_average_seconds", "ttime", B | S),
    plain(
        "connection_attempts_total",
        "connect",
        Shape::Counter,
        B | S,
    ),
    plain("connection_reuses_total", "reuse", Shape::Counter, B | S),
    time("max_queue_time_seconds", "qtime_max", B | S),
    time("max_connect_time_seconds", "ctime_max", B | S),
    time("max_response_time_seconds", "rtime_max", B | S),
    time("max_total_time_seconds", "ttime_max", B | S),
    plain("uweight", "uweight", Shape::Gauge, B | S),
    plain("agg_server_status", "", Shape::States, B),
    plain("agg_server_check_status", "", Shape::States, B),
    plain("agg_check_status", "", Shape::Checks, B),
    checked("check_failures_total", "chkfail", S),
    limit("queue_limit", "qlimit", S),
    limit("current_throttle", "throttle", S),
    plain("check_status", "", Shape::Checks, S),
    code("check_code", "check_code", S),
    time("check_duration_seconds", "check_duration", S),
    plain("idle_connections_current", "srv_icur", Shape::Gauge, S),
    limit("idle_connections_limit", "src_ilim", S),
    plain(
        "unsafe_idle_connections_current",
        "idle_conn_cur",
        Shape::Gauge,
        S,
    ),
    plain(
        "safe_idle_connections_current",
        "safe_conn_cur",
        Shape::Gauge,
        S,
    ),
    plain("used_connections_current", "used_conn_cur", Shape::Gauge, S),
    plain("need_connections_current", "need_conn_est", Shape::Gauge, S),
    plain("connect_time_seconds", "", Shape::Histogram, B | S),
    plain("total_time_seconds", "", Shape::Histogram, B | S),
];

/// Process facts: field of `show info`, name behind `haproxy_process_`, shape.
pub static PROCESS: &[(&str, &str, Shape)] = &[
    ("Nbthread", "nbthread", Shape::Gauge),
    ("Nbproc", "nbproc", Shape::Gauge),
    ("Process_num", "relative_process_id", Shape::Gauge),
    ("Uptime_sec", "uptime_seconds", Shape::Gauge),
    ("PoolFailed", "pool_failures_total", Shape::Counter),
    ("Ulimit-n", "max_fds", Shape::Gauge),
    ("Maxsock", "max_sockets", Shape::Gauge),
    ("Maxconn", "max_connections", Shape::Gauge),
    ("Hard_maxconn", "hard_max_connections", Shape::Gauge),
    ("CurrConns", "current_connections", Shape::Gauge),
    ("CumConns", "connections_total", Shape::Counter),
    ("CumReq", "requests_total", Shape::Counter),
    ("MaxSslConns", "max_ssl_connections", Shape::Gauge),
    ("CurrSslConns", "current_ssl_connections", Shape::Gauge),
    ("CumSslConns", "ssl_connections_total", Shape::Counter),
    ("Maxpipes", "max_pipes", Shape::Gauge),
    ("PipesUsed", "pipes_used_total", Shape::Counter),
    ("PipesFree", "pipes_free_total", Shape::Counter),
    ("ConnRate", "current_connection_rate", Shape::Gauge),
    ("ConnRateLimit", "limit_connection_rate", Shape::Gauge),
    ("MaxConnRate", "max_connection_rate", Shape::Gauge),
    ("SessRate", "current_session_rate", Shape::Gauge),
    ("SessRateLimit", "limit_session_rate", Shape::Gauge),
    ("MaxSessRate", "max_session_rate", Shape::Gauge),
    ("SslRate", "current_ssl_rate", Shape::Gauge),
    ("SslRateLimit", "limit_ssl_rate", Shape::Gauge),
    ("MaxSslRate", "max_ssl_rate", Shape::Gauge),
    (
        "SslFrontendKeyRate",
        "current_frontend_ssl_key_rate",
        Shape::Gauge,
    ),
    (
        "SslFrontendMaxKeyRate",
        "max_frontend_ssl_key_rate",
        Shape::Gauge,
    ),
    (
        "SslFrontendSessionReuse_pct",
        "frontend_ssl_reuse",
        Shape::Gauge,
    ),
    (
        "SslBackendKeyRate",
        "current_backend_ssl_key_rate",
        Shape::Gauge,
    ),
    (
        "SslBackendMaxKeyRate",
        "max_backend_ssl_key_rate",
        Shape::Gauge,
    ),
    ("SslCacheLookups", "ssl_cache_lookups_total", Shape::Counter),
    ("SslCacheMisses", "ssl_cache_misses_total", Shape::Counter),
    ("CompressBpsIn", "http_comp_bytes_in_total", Shape::Counter),
    (
        "CompressBpsOut",
        "http_comp_bytes_out_total",
        Shape::Counter,
    ),
    ("CompressBpsRateLim", "limit_http_comp", Shape::Gauge),
    ("Tasks", "current_tasks", Shape::Gauge),
    ("Run_queue", "current_run_queue", Shape::Gauge),
    ("Idle_pct", "idle_time_percent", Shape::Gauge),
    ("Stopping", "stopping", Shape::Gauge),
    ("Jobs", "jobs", Shape::Gauge),
    ("Unstoppable Jobs", "unstoppable_jobs", Shape::Gauge),
    ("Listeners", "listeners", Shape::Gauge),
    ("ActivePeers", "active_peers", Shape::Gauge),
    ("ConnectedPeers", "connected_peers", Shape::Gauge),
    ("DroppedLogs", "dropped_logs_total", Shape::Counter),
    ("BusyPolling", "busy_polling_enabled", Shape::Gauge),
    ("FailedResolutions", "failed_resolutions", Shape::Gauge),
    ("TotalBytesOut", "bytes_out_total", Shape::Counter),
    (
        "TotalSplicdedBytesOut",
        "spliced_bytes_out_total",
        Shape::Counter,
    ),
    ("BytesOutRate", "bytes_out_rate", Shape::Gauge),
    ("CumRecvLogs", "recv_logs_total", Shape::Counter),
    ("Memmax_bytes", "max_memory_bytes", Shape::Gauge),
    ("PoolAlloc_bytes", "pool_allocated_bytes", Shape::Gauge),
    ("PoolUsed_bytes", "pool_used_bytes", Shape::Gauge),
    ("Start_time_sec", "start_time_seconds", Shape::Gauge),
    ("OldProcesses", "old_processes", Shape::Gauge),
];
