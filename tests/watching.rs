//! One way to look at it all: the daemons use the words of `docs/watching.md`,
//! in their JSON, their metrics and their logs.

mod kit;

use kit::{Balancer, Daemon};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The head of every status, in order.
const HEAD: &[&str] = &[
    "daemon",
    "version",
    "host",
    "pid",
    "at",
    "uptime_ms",
    "cpu_ms",
    "memory_bytes",
    "open_files",
    "open_files_limit",
];

const SERIES: &[&str] = &[
    "evenkeel_build_info",
    "evenkeel_uptime_seconds",
    "evenkeel_cpu_seconds_total",
    "evenkeel_memory_bytes",
    "evenkeel_open_files",
    "evenkeel_open_files_limit",
];

fn vocabulary() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/watching.md");
    std::fs::read_to_string(path).expect("docs/watching.md is there")
}

/// Every name in a JSON value.
fn names(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                found.push(name.clone());
                names(inner, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| names(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn check_head(daemon: &str, status: &Value) {
    let found: Vec<&String> = status.as_object().expect("an object").keys().collect();
    assert_eq!(found[..HEAD.len()], *HEAD, "{daemon}");
    assert_eq!(status["daemon"], daemon);
    assert!(status["pid"].is_u64() && status["memory_bytes"].as_u64() > Some(0));
    let at = status["at"].as_str().unwrap_or_default();
    assert!(at.len() == 24 && at.ends_with('Z'), "{daemon}: {at}");
}

#[test]
fn the_page_names_the_head_and_the_series() {
    let page = vocabulary();
    for name in HEAD.iter().chain(SERIES) {
        assert!(page.contains(&format!("`{name}")), "{name}");
    }
}

#[test]
#[ignore = "needs network namespaces and curl; tests/run installs it and runs this"]
fn the_daemons_share_their_words_in_json_metrics_and_logs() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let out = dir.path().display().to_string();
    let ask = format!(
        "set -e; cd {out}; b={}
         curl -sf 'http://10.77.0.11:8100/stats;status' >lb.json
         curl -sf http://10.77.0.11:8100/metrics >lb.metrics
         curl -sf http://10.77.0.11:8110/status >vip.json
         curl -sf http://10.77.0.11:8110/metrics >vip.metrics
         curl -sf http://10.77.0.21:15692/status >broker.json
         curl -sf http://10.77.0.21:15692/metrics >broker.metrics
         $b status --json --run-dir {state}/a/run --broker 10.77.0.21:15692 >all.json
         $b status --run-dir {state}/a/run --broker 10.77.0.21:15692 >all.txt
         $b lb ctl --run-dir {state}/a/run show status >cli.json",
        kit::binary().display()
    );
    kit::with_client(&state, &[], &ask);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("written");
    let page = vocabulary();
    for daemon in ["lb", "vip", "broker"] {
        let status = json(&read(&format!("{daemon}.json")));
        check_head(daemon, &status);
        let metrics = read(&format!("{daemon}.metrics"));
        for series in SERIES {
            let labelled = format!("\n{series}{{daemon=\"{daemon}\"");
            assert!(metrics.contains(&labelled), "{daemon}: {series}");
        }
    }
    // what the balancer and the broker call their things stands on the page, each of it
    for daemon in ["lb", "broker"] {
        let mut found = Vec::new();
        names(&json(&read(&format!("{daemon}.json"))), &mut found);
        for name in found {
            let there = page.contains(&format!("`{name}`"));
            assert!(there, "{daemon} says `{name}`, docs/watching.md does not");
        }
    }
    let metrics = read("vip.metrics");
    assert!(metrics.contains("evenkeel_vip_state{vrrp_instance=\"VIP\",state=\"MASTER\"} 1"));
    assert_eq!(json(&read("cli.json"))["daemon"], "lb");
    let all = json(&read("all.json"));
    let daemons: Vec<&str> = all["daemons"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|d| d["daemon"].as_str())
        .collect();
    assert_eq!(daemons, ["lb", "vip", "broker"], "{all}");
    let text = read("all.txt");
    for part in ["server n1 10.77.0.21:5672: UP", "VIP is MASTER", "queues"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn log_lines_are_objects_when_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let config = at("broker.toml");
    std::fs::write(&config, "[log]\nformat = \"json\"\n").expect("written");
    let mut command = Command::new(kit::binary());
    command.args(["broker", "--config", &config, "--data-dir", &at("data")]);
    command.args(["--run-dir", &at("run"), "--listen", "127.0.0.1:0"]);
    command.args(["--management", "127.0.0.1:0"]);
    let mut broker = Daemon::start("evenkeel broker", &mut command);
    broker.wait_line("the node is up", Duration::from_secs(30));
    broker.signal(nix::sys::signal::Signal::SIGTERM);
    broker.wait_exit(Duration::from_secs(30));
    let text = broker.output();
    let mut count = 0;
    assert!(!text.contains(" INFO "), "{text}");
    // the first line on standard output, where it listens, is no log line
    for line in text.lines().filter(|l| l.starts_with('{')) {
        let line = json(line);
        assert_eq!(line["daemon"], "broker");
        assert!(
            line["at"].is_string() && line["level"].is_string(),
            "{line}"
        );
        assert!(line["message"].is_string(), "{line}");
        count += 1;
    }
    assert!(count >= 2, "{text}");
}

#[test]
fn doctor_reads_the_file_that_the_running_balancer_was_started_with() {
    let listen = format!("{}:1", kit::balancer::address());
    let server = kit::balancer::echo();
    let text =
        format!("listen echo\n    bind {listen}\n    server s1 {server} check inter 100ms\n");
    let balancer = Balancer::new("", &text);
    let _daemon = balancer.start(&["-db"]);
    let (file, run) = (balancer.file(), balancer.path("run"));
    let (run, nowhere) = (run.display().to_string(), balancer.path("none"));
    let nowhere = nowhere.display().to_string();
    let ask = [
        "doctor",
        "--run-dir",
        &run,
        "--lb",
        &nowhere,
        "--vip",
        &nowhere,
        "--facts",
    ];
    let (_, facts, _) = kit::evenkeel(&ask);
    assert_eq!(json(&facts)["lb"]["path"], file.display().to_string());
    let (status, findings, _) = kit::evenkeel(&ask[..7]);
    let expected = format!("no VRRP daemon here: {nowhere}");
    assert!(
        findings.contains(&expected) && !findings.contains("no balancer"),
        "{findings}"
    );
    assert_eq!(status, 0, "{findings}");
}
