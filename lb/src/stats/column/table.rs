//! The table: a row per column, in the order of the outputs.

use super::Column;
use super::take::*;
use crate::stats::row::Kind;
use crate::stats::value::Value;
use crate::stats::value::tags::{
    CGS, CLP, CNS, KGP, KGS, KNS, MAP, MAVG, MCP, MDP, MGP, MMP, MOP, MRP, SGP,
};

/// The columns, in order.
pub static COLUMNS: &[Column] = &[
    Column::new("pxname", KNS, "name of the proxy", |r| {
        Value::text(&r.proxy)
    }),
    Column::new(
        "svname",
        KNS,
        "FRONTEND, BACKEND, or the name of the server or listener",
        |r| Value::text(&r.name),
    ),
    Column::new("qcur", MGP, "sessions waiting in the queue now", |r| {
        back(r, |b| n32(b.queue.cur))
    }),
    Column::new(
        "qmax",
        MMP,
        "most sessions that ever waited in the queue",
        |r| back(r, |b| n32(b.queue.max)),
    ),
    Column::new("scur", MGP, "sessions now", |r| n32(r.traffic.sessions.cur)),
    Column::new("smax", MMP, "most sessions at once", |r| {
        n32(r.traffic.sessions.max)
    }),
    Column::new("slim", CLP, "limit of sessions at once", slim),
    Column::new("stot", MCP, "sessions since the start", |r| {
        n64(r.traffic.sessions_total)
    }),
    Column::new("bin", MCP, "bytes received from clients", |r| {
        n64(r.traffic.bytes_in)
    }),
    Column::new("bout", MCP, "bytes sent to clients", |r| {
        n64(r.traffic.bytes_out)
    }),
    Column::new("dreq", MCP, "requests or sessions denied by rules", |r| {
        only(r.kind != Kind::Server, n64(r.traffic.denied_requests))
    }),
    Column::new("dresp", MCP, "responses denied by rules", |r| {
        n64(r.traffic.denied_responses)
    }),
    Column::new(
        "ereq",
        MCP,
        "requests that were invalid, cut short or timed out",
        |r| front(r, |f| n64(f.request_errors)),
    ),
    Column::new("econ", MCP, "failed connections to a server", |r| {
        back(r, |b| n64(b.connect_errors))
    }),
    Column::new("eresp", MCP, "failed responses", |r| {
        back(r, |b| n64(b.response_errors))
    }),
    Column::new("wretr", MCP, "connections tried again", |r| {
        back(r, |b| n64(b.retries))
    }),
    Column::new(
        "wredis",
        MCP,
        "sessions sent to another server after a failure",
        |r| back(r, |b| n64(b.redispatches)),
    ),
    Column::new(
        "status",
        SGP,
        "OPEN, UP, DOWN, MAINT, DRAIN, NOLB, no check",
        |r| Value::text(&r.status),
    ),
    Column::new("weight", MAVG, "effective weight", |r| {
        back(r, |b| n32(b.weight))
    }),
    Column::new(
        "act",
        SGP,
        "usable active servers; 1 for an active server",
        |r| back(r, |b| n32(b.active)),
    )
    .backend(MGP),
    Column::new(
        "bck",
        SGP,
        "usable backup servers; 1 for a backup server",
        |r| back(r, |b| n32(b.backup)),
    )
    .backend(MGP),
    Column::new(
        "chkfail",
        MCP,
        "checks that failed while the server was up",
        |r| server(r, |s| s.failed_checks.map_or(Value::None, n64)),
    ),
    Column::new("chkdown", MCP, "transitions from UP to DOWN", |r| {
        back(r, |b| b.times_down.map_or(Value::None, n64))
    }),
    Column::new(
        "lastchg",
        MAP,
        "seconds since the last change of state",
        |r| back(r, |b| n32(b.last_change_s)),
    ),
    Column::new("downtime", MCP, "seconds spent down", |r| {
        back(r, |b| Value::some_u32(b.downtime_s))
    }),
    Column::new("qlimit", CGS, "limit of the queue", |r| {
        server(r, |s| Value::some_u32(s.queue_limit))
    }),
    Column::new(
        "pid",
        KGP,
        "relative number of the process, always 1",
        |_| n32(1),
    ),
    Column::new("iid", KGS, "number of the proxy", |r| n32(r.proxy_id)),
    Column::new(
        "sid",
        KGS,
        "number of the server or listener in its proxy",
        |r| n32(r.id),
    ),
    Column::new(
        "throttle",
        MAVG,
        "percentage of the weight during slow start",
        |r| server(r, |s| Value::some_u32(s.throttle_percent)),
    ),
    Column::new("lbtot", MCP, "times that balancing chose the server", |r| {
        back(r, |b| n64(b.chosen_total))
    }),
    Column::new(
        "tracked",
        CNS,
        "backend/server whose state this one follows",
        |r| server(r, |s| s.tracked.as_deref().map_or(Value::None, Value::text)),
    ),
    Column::new(
        "type",
        CGS,
        "0 frontend, 1 backend, 2 server, 3 listener",
        |r| n32(r.kind as u32),
    ),
    Column::new("rate", MRP, "new sessions in the last second", |r| {
        Value::some_u32(rate(r).map(|rate| rate.cur))
    })
    .backend(MGP),
    Column::new("rate_lim", CLP, "limit of new sessions per second", |r| {
        only(
            is_frontend(r),
            Value::some_u32(rate(r).map(|rate| rate.limit)),
        )
    }),
    Column::new("rate_max", MMP, "most new sessions in a second", |r| {
        Value::some_u32(rate(r).map(|rate| rate.max))
    })
    .backend(MGP),
    Column::new("check_status", MOP, "result of the last check", |r| {
        check(r, |c| Value::text(&c.status))
    }),
    Column::new("check_code", MOP, "layer 5-7 code of the last check", |r| {
        check(r, |c| Value::some_u32(c.code))
    }),
    Column::new(
        "check_duration",
        MDP,
        "milliseconds that the last check took",
        |r| check(r, |c| c.duration_ms.map_or(Value::None, n64)),
    ),
    Column::new("hrsp_1xx", MCP, "answers with a 1xx code", |r| {
        response(r, 0)
    }),
    Column::new("hrsp_2xx", MCP, "answers with a 2xx code", |r| {
        response(r, 1)
    }),
    Column::new("hrsp_3xx", MCP, "answers with a 3xx code", |r| {
        response(r, 2)
    }),
    Column::new("hrsp_4xx", MCP, "answers with a 4xx code", |r| {
        response(r, 3)
    }),
    Column::new("hrsp_5xx", MCP, "answers with a 5xx code", |r| {
        response(r, 4)
    }),
    Column::new("hrsp_other", MCP, "answers with any other code", |r| {
        response(r, 5)
    }),
    Column::new("hanafail", MCP, "failures seen by watching traffic", |r| {
        server(r, |s| s.observed_failures.map_or(Value::None, n64))
    }),
    Column::new("req_rate", MRP, "HTTP requests in the last second", |r| {
        Value::some_u32(request_rate(r).map(|rate| rate.cur))
    }),
    Column::new("req_rate_max", MMP, "most HTTP requests in a second", |r| {
        Value::some_u32(request_rate(r).map(|rate| rate.max))
    }),
    Column::new(
        "req_tot",
        MCP,
        "HTTP requests since the start",
        requests_total,
    ),
    Column::new(
        "cli_abrt",
        MCP,
        "transfers that the client cut short",
        |r| back(r, |b| n64(b.client_aborts)),
    ),
    Column::new(
        "srv_abrt",
        MCP,
        "transfers that the server cut short",
        |r| back(r, |b| n64(b.server_aborts)),
    ),
    Column::new("comp_in", MCP, "bytes given to the HTTP compressor", |r| {
        only(is_proxy(r), n64(0))
    }),
    Column::new(
        "comp_out",
        MCP,
        "bytes that the HTTP compressor made",
        |r| only(is_proxy(r), n64(0)),
    ),
    Column::new(
        "comp_byp",
        MCP,
        "bytes that passed by the HTTP compressor",
        |r| only(is_proxy(r), n64(0)),
    ),
    Column::new("comp_rsp", MCP, "answers that were compressed", |r| {
        only(is_proxy(r), n64(0))
    }),
    Column::new(
        "lastsess",
        MAP,
        "seconds since the last session, -1 before the first",
        |r| back(r, |b| Value::S32(b.last_session_s)),
    ),
    Column::new("last_chk", MOP, "what the last check saw", |r| {
        check(r, |c| Value::text(&c.output))
    }),
    Column::new("last_agt", MOP, "what the last agent check saw", |r| {
        agent(r, |c| Value::text(&c.output))
    }),
    Column::new(
        "qtime",
        MAVG,
        "average milliseconds in the queue, last 1024 sessions",
        |r| back(r, |b| n32(b.queue_time.average_ms)),
    ),
    Column::new(
        "ctime",
        MAVG,
        "average milliseconds to connect, last 1024 sessions",
        |r| back(r, |b| n32(b.connect_time.average_ms)),
    ),
    Column::new(
        "rtime",
        MAVG,
        "average milliseconds to the answer, last 1024 sessions",
        |r| back(r, |b| n32(b.response_time.average_ms)),
    ),
    Column::new(
        "ttime",
        MAVG,
        "average milliseconds in total, last 1024 sessions",
        |r| back(r, |b| n32(b.total_time.average_ms)),
    ),
    Column::new("agent_status", MOP, "result of the last agent check", |r| {
        agent(r, |c| Value::text(&c.status))
    }),
    Column::new("agent_code", MOP, "code of the last agent check", |r| {
        agent(r, |c| Value::some_u32(c.code))
    }),
    Column::new(
        "agent_duration",
        MDP,
        "milliseconds that the last agent check took",
        |r| agent(r, |c| c.duration_ms.map_or(Value::None, n64)),
    ),
    Column::new("check_desc", MOP, "check_status in words", |r| {
        check(r, |c| Value::text(&c.description))
    }),
    Column::new("agent_desc", MOP, "agent_status in words", |r| {
        agent(r, |c| Value::text(&c.description))
    }),
    Column::new(
        "check_rise",
        CGS,
        "good checks that bring a server up",
        |r| check(r, |c| n32(c.rise)),
    ),
    Column::new(
        "check_fall",
        CGS,
        "failed checks that take a server down",
        |r| check(r, |c| n32(c.fall)),
    ),
    Column::new(
        "check_health",
        CGS,
        "0 to rise-1 down, rise to rise+fall-1 up",
        |r| check(r, |c| n32(c.health)),
    ),
    Column::new(
        "agent_rise",
        CGS,
        "good agent checks that bring a server up",
        |r| agent(r, |c| n32(c.rise)),
    ),
    Column::new(
        "agent_fall",
        CGS,
        "failed agent checks that take a server down",
        |r| agent(r, |c| n32(c.fall)),
    ),
    Column::new("agent_health", CGS, "the agent's health counter", |r| {
        agent(r, |c| n32(c.health))
    }),
    Column::new("addr", CGS, "address and port", address),
    Column::new(
        "cookie",
        CNS,
        "cookie value of a server, cookie name of a backend",
        |r| back(r, |b| b.cookie.as_deref().map_or(Value::None, Value::text)),
    ),
    Column::new("mode", CGS, "tcp or http", |r| Value::text(r.mode)),
    Column::new("algo", CGS, "balancing algorithm", |r| {
        r.backend
            .as_ref()
            .map_or(Value::None, |b| Value::text(&b.algorithm))
    }),
    Column::new(
        "conn_rate",
        MRP,
        "connections accepted in the last second",
        |r| only(is_frontend(r), front(r, |f| n32(f.connection_rate.cur))),
    ),
    Column::new(
        "conn_rate_max",
        MMP,
        "most connections accepted in a second",
        |r| only(is_frontend(r), front(r, |f| n32(f.connection_rate.max))),
    ),
    Column::new(
        "conn_tot",
        MCP,
        "connections accepted since the start",
        |r| only(is_frontend(r), front(r, |f| n64(f.connections_total))),
    ),
    Column::new(
        "intercepted",
        MCP,
        "requests answered here, as the statistics page",
        |r| {
            only(
                is_frontend(r),
                r.http.as_ref().map_or(Value::None, |h| n64(h.intercepted)),
            )
        },
    ),
    Column::new("dcon", MCP, "connections denied by rules", |r| {
        front(r, |f| n64(f.denied_connections))
    }),
    Column::new("dses", MCP, "sessions denied by rules", |r| {
        front(r, |f| n64(f.denied_sessions))
    }),
    Column::new("wrew", MCP, "header rewrites that failed", |r| {
        n64(r.traffic.failed_rewrites)
    }),
    Column::new("connect", MCP, "connections opened to servers", |r| {
        back(r, |b| n64(b.connections_opened))
    }),
    Column::new("reuse", MCP, "connections to servers used again", |r| {
        back(r, |b| n64(b.connections_reused))
    }),
    Column::new("cache_lookups", MCP, "lookups in the HTTP cache", |r| {
        only(is_proxy(r) && r.http.is_some(), n64(0))
    }),
    Column::new("cache_hits", MCP, "hits in the HTTP cache", |r| {
        only(is_proxy(r) && r.http.is_some(), n64(0))
    }),
    Column::new("srv_icur", MGP, "idle connections to the server", |r| {
        server(r, |s| n32(s.idle_connections))
    }),
    Column::new("src_ilim", CLP, "limit of idle connections", |r| {
        server(r, |s| Value::some_u32(s.idle_limit))
    }),
    Column::new("qtime_max", MMP, "most milliseconds in the queue", |r| {
        back(r, |b| n32(b.queue_time.max_ms))
    }),
    Column::new("ctime_max", MMP, "most milliseconds to connect", |r| {
        back(r, |b| n32(b.connect_time.max_ms))
    }),
    Column::new("rtime_max", MMP, "most milliseconds to the answer", |r| {
        back(r, |b| n32(b.response_time.max_ms))
    }),
    Column::new("ttime_max", MMP, "most milliseconds in total", |r| {
        back(r, |b| n32(b.total_time.max_ms))
    }),
    Column::new("eint", MCP, "internal errors", |r| {
        n64(r.traffic.internal_errors)
    }),
    Column::new(
        "idle_conn_cur",
        MGP,
        "idle connections that only the same client may use",
        |r| server(r, |_| n32(0)),
    ),
    Column::new(
        "safe_conn_cur",
        MGP,
        "idle connections that anybody may use",
        |r| server(r, |s| n32(s.idle_connections)),
    ),
    Column::new("used_conn_cur", MGP, "connections in use", |r| {
        server(r, |s| n32(s.used_connections))
    }),
    Column::new(
        "need_conn_est",
        MGP,
        "estimate of the connections needed",
        |r| server(r, |s| n32(s.needed_connections)),
    ),
    Column::new("uweight", MAVG, "weight that the operator set", |r| {
        back(r, |b| n32(b.user_weight))
    }),
    Column::new(
        "agg_server_status",
        MGP,
        "filled by the Prometheus exporter",
        |r| only(r.kind == Kind::Backend, n32(0)),
    ),
    Column::new(
        "agg_server_check_status",
        MGP,
        "filled by the Prometheus exporter",
        |r| only(r.kind == Kind::Backend, n32(0)),
    ),
    Column::new(
        "agg_check_status",
        MGP,
        "filled by the Prometheus exporter",
        |r| only(r.kind == Kind::Backend, n32(0)),
    ),
    // Module columns: names and positions as a 2.6 with its default modules has them. TLS and
    // HTTP/2 are not spoken here, so theirs are zero.
    Column::new("ssl_sess", MCP, "TLS sessions", |_| n64(0)),
    Column::new("ssl_reused_sess", MCP, "TLS sessions resumed", |_| n64(0)),
    Column::new(
        "ssl_failed_handshake",
        MCP,
        "TLS handshakes that failed",
        |_| n64(0),
    ),
    Column::new("h2_headers_rcvd", MCP, "HTTP/2 HEADERS frames", proxy_zero),
    Column::new("h2_data_rcvd", MCP, "HTTP/2 DATA frames", proxy_zero),
    Column::new(
        "h2_settings_rcvd",
        MCP,
        "HTTP/2 SETTINGS frames",
        proxy_zero,
    ),
    Column::new(
        "h2_rst_stream_rcvd",
        MCP,
        "HTTP/2 RST_STREAM frames",
        proxy_zero,
    ),
    Column::new("h2_goaway_rcvd", MCP, "HTTP/2 GOAWAY frames", proxy_zero),
    Column::new(
        "h2_detected_conn_protocol_errors",
        MCP,
        "HTTP/2 connection errors",
        proxy_zero,
    ),
    Column::new(
        "h2_detected_strm_protocol_errors",
        MCP,
        "HTTP/2 stream errors",
        proxy_zero,
    ),
    Column::new(
        "h2_rst_stream_resp",
        MCP,
        "HTTP/2 RST_STREAM sent",
        proxy_zero,
    ),
    Column::new("h2_goaway_resp", MCP, "HTTP/2 GOAWAY sent", proxy_zero),
    Column::new(
        "h2_open_connections",
        MGP,
        "HTTP/2 connections now",
        proxy_zero,
    ),
    Column::new(
        "h2_backend_open_streams",
        MGP,
        "HTTP/2 streams now",
        proxy_zero,
    ),
    Column::new(
        "h2_total_connections",
        MCP,
        "HTTP/2 connections",
        proxy_zero,
    ),
    Column::new(
        "h2_backend_total_streams",
        MCP,
        "HTTP/2 streams",
        proxy_zero,
    ),
    Column::new("h1_open_connections", MGP, "HTTP/1 connections now", |r| {
        h1(r, |r| u64::from(r.traffic.sessions.cur))
    }),
    Column::new("h1_open_streams", MGP, "HTTP/1 requests now", |r| {
        h1(r, |r| u64::from(r.traffic.sessions.cur))
    }),
    Column::new("h1_total_connections", MCP, "HTTP/1 connections", |r| {
        h1(r, h1_connections)
    }),
    Column::new("h1_total_streams", MCP, "HTTP/1 requests", |r| {
        h1(r, |r| r.http.as_ref().map_or(0, |h| h.requests_total))
    }),
    Column::new("h1_bytes_in", MCP, "HTTP/1 bytes received", |r| {
        h1(r, |r| r.traffic.bytes_in)
    }),
    Column::new("h1_bytes_out", MCP, "HTTP/1 bytes sent", |r| {
        h1(r, |r| r.traffic.bytes_out)
    }),
    Column::new(
        "h1_spliced_bytes_in",
        MCP,
        "HTTP/1 bytes received through a kernel pipe",
        proxy_zero,
    ),
    Column::new(
        "h1_spliced_bytes_out",
        MCP,
        "HTTP/1 bytes sent through a kernel pipe",
        proxy_zero,
    ),
];
