use super::*;
use crate::core::expr::Sample;
use crate::core::queue::Priority;
use crate::state::{Connections, End, Generation, HttpRecord, Peer, Phase, Runtime, Timers};
use conf::lb::Format;
use std::time::{Duration, UNIX_EPOCH};

const CONFIG: &str = "defaults\n mode tcp\n log 127.0.0.1:1 local0\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n";

fn generation(section: &str) -> Arc<Generation> {
    let (config, report) = conf::lb::load_str(&format!("{CONFIG}{section}"));
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    Generation::next(&Runtime::new(Vec::new()), Arc::new(config))
}

/// A session of the reference's length on the first proxy and its first server.
fn record(generation: &Generation) -> SessionRecord {
    let proxy = generation.proxies[0].clone();
    SessionRecord {
        id: 1,
        at_start: false,
        frontend: proxy.clone(),
        listener: 0,
        server: proxy.servers.first().cloned(),
        backend: proxy,
        client: Peer::Inet("192.0.2.7:40000".parse().unwrap()),
        socket: (None, None),
        local: Peer::Inet("192.0.2.1:5672".parse().unwrap()),
        outgoing: Peer::Inet("192.0.2.1:50000".parse().unwrap()),
        remote: Peer::Inet("192.0.2.9:5672".parse().unwrap()),
        accepted: UNIX_EPOCH + Duration::from_millis(1_795_224_863_193),
        timers: Timers {
            handshake_ms: 0,
            queue_ms: Some(0),
            connect_ms: Some(2),
            total_ms: 345,
        },
        bytes_in: 11,
        bytes_out: 22,
        end: End::default(),
        connections: Connections {
            process: 4,
            frontend: 3,
            backend: 2,
            server: 1,
        },
        retries: 0,
        redispatched: false,
        server_queue: 5,
        backend_queue: 6,
        level: None,
        captures: Vec::new(),
        proxied: None,
        unique_id: None,
        priority: Priority::default(),
        variables: vec![("txn.name".into(), Sample::Text(b"va\nlue".to_vec()))],
        http: None,
        tcp_info: None,
        failure: None,
        last_rule: None,
    }
}

const PLAIN: &str = "listen a\n bind 127.0.0.1:1\n server s1 192.0.2.9:5672\n";

fn context() -> line::Context<'static> {
    line::Context {
        host: "vm",
        pid: 30,
        log_counter: 7,
        request_counter: 2,
        unique_id: "",
        so_far: false,
        runtime: None,
    }
}

/// The line without its date.
fn tcp_line(record: &SessionRecord, context: &line::Context<'_>) -> String {
    let mut out = String::new();
    line::tcp(&mut out, record, context);
    let (start, rest) = out.split_once(" [").unwrap();
    let (_, rest) = rest.split_once("] ").unwrap();
    format!("{start} {rest}")
}

#[test]
fn a_tcp_line_has_the_fields_of_the_reference() {
    let generation = generation(PLAIN);
    let mut record = record(&generation);
    assert_eq!(
        tcp_line(&record, &context()),
        "192.0.2.7:40000 a a/s1 1/2/345 22 -- 4/3/2/1/0 5/6"
    );
    record.server = None;
    record.timers.queue_ms = None;
    record.timers.connect_ms = None;
    record.end = End {
        cause: Cause::Server,
        phase: Phase::Connect,
    };
    assert_eq!(
        tcp_line(&record, &context()),
        "192.0.2.7:40000 a a/<NOSRV> -1/-1/345 22 SC 4/3/2/1/0 5/6"
    );
}

#[test]
fn a_redispatch_and_a_line_before_the_end_carry_a_plus() {
    let generation = generation(PLAIN);
    let mut record = record(&generation);
    record.retries = 3;
    record.redispatched = true;
    let early = line::Context {
        so_far: true,
        ..context()
    };
    assert_eq!(
        tcp_line(&record, &early),
        "192.0.2.7:40000 a a/s1 1/2/+345 +22 -- 4/3/2/1/+3 5/6"
    );
}

fn custom(format: &str) -> String {
    let section = format!("{PLAIN} log-format \"{format}\"\n");
    let generation = generation(&section);
    let record = record(&generation);
    let format: &Format = match &record.frontend.conf.logging.format {
        SessionFormat::Custom(format) => format,
        other => panic!("{other:?}"),
    };
    let mut out = String::new();
    let runtime = Runtime::new(Vec::new());
    let context = line::Context {
        runtime: Some(&runtime),
        ..context()
    };
    line::format(&mut out, format, &record, &context);
    out
}

#[test]
fn tags_and_flags_write_what_haproxy_writes() {
    for (format, expected) in [
        (
            "%ci:%cp|%fi:%fp|%bi:%bp|%si:%sp",
            "192.0.2.7:40000|192.0.2.1:5672|192.0.2.1:50000|192.0.2.9:5672",
        ),
        (
            "%{+X}ci|%{+X}cp|%{+X}pid|%{+X}rt|%rt|%lc",
            "C0000207|9C40|001E|0002|2|7",
        ),
        (
            "%{+Q}s|%{+Q}b|%ID|%{+Q}ID|%f|%ft",
            "\\\"s1\\\"|\\\"a\\\"|-|\\\"-\\\"|a|a",
        ),
        (
            "%Ts|%ms|%H|%U|%B|%ts|%Tw|%Tc|%Td|%Tt",
            "1795224863|193|vm|11|22|--|1|2|343|345",
        ),
        (
            "%[src]|%[dst_port]|%[fe_name]|%[be_name]|%[srv_name]",
            "192.0.2.7|5672|a|a|s1",
        ),
        ("%ac/%fc/%bc/%sc/%rc %sq/%bq", "4/3/2/1/0 5/6"),
    ] {
        assert_eq!(custom(format), expected.replace('\\', ""), "{format}");
    }
}

#[test]
fn a_value_can_never_start_a_new_line() {
    assert_eq!(custom("%[var(txn.name)]"), "va#0Alue");
}

#[test]
fn an_http_line_has_the_fields_of_the_reference() {
    let generation = generation(PLAIN);
    let mut record = record(&generation);
    record.http = Some(Box::new(HttpRecord {
        request_line: b"GET /a HTTP/1.1".to_vec(),
        status: Some(200),
        requested: record.accepted,
        idle_ms: 0,
        request_ms: Some(9),
        response_ms: Some(8),
        active_ms: 77,
        cookie_letters: ['-', '-'],
        request_cookie: None,
        response_cookie: None,
        request_headers: vec![Some(b"h".to_vec()), None],
        response_headers: Vec::new(),
    }));
    let mut out = String::new();
    line::http(&mut out, &record, &context());
    let tail = out.split_once("] ").unwrap().1;
    let expected = "a a/s1 9/0/2/8/77 200 22 - - ---- 4/3/2/1/0 5/6 {h|} \"GET /a HTTP/1.1\"";
    assert_eq!(tail, expected);
    record.http.as_mut().unwrap().request_line.clear();
    out.clear();
    line::http(&mut out, &record, &context());
    assert!(out.ends_with("\"<BADREQ>\""), "{out}");
}

fn level(option: &str, change: impl FnOnce(&mut SessionRecord)) -> Option<Level> {
    let generation = generation(&format!("{PLAIN} option tcplog\n{option}"));
    let mut record = record(&generation);
    change(&mut record);
    level_of(&record, &record.frontend.conf.logging)
}

#[test]
fn options_decide_whether_and_how_loud_a_session_is_logged() {
    let failed = |record: &mut SessionRecord| record.end.cause = Cause::Server;
    let silent = |record: &mut SessionRecord| record.bytes_in = 0;
    assert_eq!(level("", |_| {}), Some(Level::Info));
    assert_eq!(
        level(" option log-separate-errors\n", failed),
        Some(Level::Err)
    );
    assert_eq!(
        level(" option log-separate-errors\n", |_| {}),
        Some(Level::Info)
    );
    assert_eq!(level(" option dontlog-normal\n", |_| {}), None);
    assert_eq!(level(" option dontlog-normal\n", failed), Some(Level::Info));
    assert_eq!(level(" option dontlognull\n", silent), None);
    assert_eq!(level("", silent), Some(Level::Info));
    assert_eq!(
        level("", |record| record.level = Some(LogLevel::Silent)),
        None
    );
    assert_eq!(
        level("", |record| record.level = Some(LogLevel::At(Level::Debug))),
        Some(Level::Debug)
    );
    assert_eq!(level(" option logasap\n", |_| {}), None);
    assert_eq!(
        level(" option logasap\n", |record| record.at_start = true),
        Some(Level::Info)
    );
}

#[test]
fn a_sample_takes_its_share_of_the_lines() {
    let section = "listen a\n bind 127.0.0.1:1\n log 127.0.0.1:2 sample 1,3:4 local0\n";
    let generation = generation(section);
    let target = generation.proxies[0]
        .conf
        .logging
        .targets
        .iter()
        .find(|t| t.sample.is_some());
    let target = target.expect("the line was taken");
    let taken: Vec<u64> = (0..8).filter(|_| sampled(target)).collect();
    assert_eq!(taken, [0, 2, 4, 6]);
}

#[test]
fn a_full_or_absent_target_drops_lines_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let address = conf::lb::LogAddress::Unix(path.clone());
    let absent = sink::Sink::open(&address, &[]);
    absent.send("lost".into());
    assert_eq!(absent.dropped(), 1);
    let reader = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    absent.send("found".into());
    let mut buffer = [0; 16];
    let size = reader.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..size], b"found\n");
    for _ in 0..10_000 {
        absent.send("nobody reads this".into());
    }
    assert!(absent.dropped() > 1, "sending never waits");
}
