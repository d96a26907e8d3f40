//! The exporter beside haproxy's own: every series and label of theirs is in
//! ours, with the same type.

mod kit;

use kit::{Daemon, sandboxed, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// The same for both; the port of the metrics differs.
fn config(port: u16) -> String {
    let base = port - 100;
    format!(
        "defaults
    mode tcp
    retries 1
    maxconn 2000
    option socket-stats
    timeout connect 500ms
    timeout client 20s
    timeout server 20s
listen rabbit
    bind 127.0.0.1:{base}
    rate-limit sessions 1000
    server n1 127.0.0.1:6001 check inter 100ms rise 1 fall 1
    server n2 127.0.0.1:6002 check inter 100ms rise 1 fall 1 maxconn 10 maxqueue 5 slowstart 10s
    server n3 127.0.0.1:6001 backup disabled
frontend web
    bind 127.0.0.1:{}
    mode http
    default_backend pages
backend pages
    mode http
    server w1 127.0.0.1:6003
frontend metrics
    bind 127.0.0.1:{port}
    mode http
    http-request use-service prometheus-exporter if {{ path /metrics }}
",
        base + 1
    )
}

fn get(port: u16, target: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return String::new();
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let request = format!("GET {target} HTTP/1.0\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Series by name: their labels without those that only we have.
type Series = BTreeMap<String, BTreeSet<String>>;

fn series(answer: &str) -> Series {
    let mut found = Series::new();
    for line in answer.lines().filter(|line| line.starts_with("haproxy_")) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        assert!(value.parse::<f64>().is_ok(), "no number: {line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels
            .trim_end_matches('}')
            .split("\",")
            .map(|l| l.trim_end_matches('"'));
        let own = ["address=", "mode=", "version="];
        let shared = labels.filter(|l| !own.iter().any(|own| l.starts_with(own)));
        let labels: Vec<&str> = shared.collect();
        found
            .entry(name.to_owned())
            .or_default()
            .insert(labels.join(","));
    }
    found
}

fn types(answer: &str) -> BTreeMap<String, String> {
    let lines = answer
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

fn sink() {
    let listener = TcpListener::bind("127.0.0.1:6001").expect("the port is free");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
}

fn start(folder: &Path) -> [Daemon; 2] {
    sink();
    let (theirs, ours) = (folder.join("theirs.cfg"), folder.join("ours.cfg"));
    std::fs::write(&theirs, config(7100)).expect("the folder is ours");
    std::fs::write(&ours, config(7300)).expect("the folder is ours");
    let run_dir = folder.to_str().expect("a text").to_owned();
    let path = ours.to_str().expect("a text").to_owned();
    let daemons = [
        Daemon::start(
            "haproxy",
            Command::new("haproxy").args(["-db", "-f"]).arg(&theirs),
        ),
        Daemon::evenkeel(&["lb", "-db", "--run-dir", &run_dir, "-f", &path]),
    ];
    for port in [7100, 7300] {
        wait_until("checks were made", PATIENCE, || {
            get(port, "/metrics").contains("haproxy_server_check_status")
                && TcpStream::connect(("127.0.0.1", port - 100)).is_ok()
        });
        wait_until("a session was counted", PATIENCE, || {
            let metrics = get(port, "/metrics");
            let backend = "haproxy_backend_sessions_total{proxy=\"rabbit\"";
            let mut counts = metrics.lines().filter(|line| line.starts_with(backend));
            counts.any(|line| !line.ends_with(" 0"))
        });
    }
    daemons
}

#[test]
#[ignore = "needs haproxy 2.6; tests/run installs it and runs this"]
fn every_series_of_haproxy_is_ours_with_the_same_labels_and_type() {
    sandboxed(|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let _daemons = start(folder.path());
        for target in [
            "/metrics",
            "/metrics?scope=server",
            "/metrics?scope=server&no-maint",
            "/metrics?scope=global&scope=frontend",
            "/metrics?scope=backend&scope=listener",
        ] {
            let (theirs, ours) = (get(7100, target), get(7300, target));
            let (known, have) = (series(&theirs), series(&ours));
            assert!(!known.is_empty(), "{theirs:.300}");
            let mut missing = Vec::new();
            for (name, labels) in &known {
                let here = have.get(name).cloned().unwrap_or_default();
                missing.extend(labels.difference(&here).map(|l| format!("{name}{{{l}}}")));
            }
            let said = missing.join("\n");
            assert!(
                missing.is_empty(),
                "{target}: {} missing\n{said}",
                missing.len()
            );
            let (known, have) = (types(&theirs), types(&ours));
            // a counter there, whose name promtool refuses for one
            let odd = "haproxy_process_failed_resolutions";
            for (name, kind) in known.iter().filter(|(name, _)| *name != odd) {
                assert_eq!(have.get(name), Some(kind), "{target}: type of {name}");
            }
            let narrow = target.contains("no-maint");
            assert_eq!(
                ours.contains("server=\"n3\""),
                !narrow && !target.contains("global") && !target.contains("backend")
            );
        }
        let ours = get(7300, "/metrics");
        for line in ours
            .lines()
            .filter(|line| line.starts_with("haproxy_server_"))
        {
            assert!(
                line.contains(",address=\"") && line.contains(",mode=\""),
                "{line}"
            );
        }
        let helps = ours.matches("# HELP ").count();
        assert_eq!(helps, ours.matches("# TYPE ").count());
    });
}

#[test]
#[ignore = "needs promtool (package prometheus); tests/run installs it and runs this"]
fn promtool_finds_nothing_wrong_with_extra_counters_either() {
    sandboxed(|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        sink();
        let file = folder.path().join("lb.cfg");
        let text = config(7300).replace(
            "    rate-limit",
            "    rebalance 10%\n    drain-sessions 10%\n    rate-limit",
        );
        std::fs::write(&file, text).expect("the folder is ours");
        let (run_dir, path) = (
            folder.path().display().to_string(),
            file.display().to_string(),
        );
        let _daemon = Daemon::evenkeel(&["lb", "-db", "--run-dir", &run_dir, "-f", &path]);
        wait_until("it answers", PATIENCE, || {
            get(7300, "/metrics").contains("haproxy_")
        });
        let plain = get(7300, "/metrics");
        let answer = get(7300, "/metrics?extra-counters");
        assert!(!plain.contains("haproxy_frontend_h1_total_connections"));
        assert!(answer.contains("haproxy_frontend_h1_total_connections{proxy=\"web\""));
        assert!(
            answer
                .contains("evenkeel_backend_rebalance_state{proxy=\"rabbit\",state=\"idle\"} 1\n")
        );
        assert!(answer.contains(
            "evenkeel_server_sessions_rebalanced_total{proxy=\"rabbit\",server=\"n1\"} 0\n"
        ));
        let (_, metrics) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let (_, said) = kit::promtool::check_metrics(metrics);
        // names are those of HAProxy's modules, which promtool would like to end in _total
        let wrong = said
            .lines()
            .filter(|l| !l.is_empty() && !l.ends_with("should have \"_total\" suffix"));
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&str>::new());
    });
}
