//! What survives a restart, and that nothing does unless it is asked for.

mod kit;

use kit::balancer::{LIMIT, address, echo};
use kit::{Balancer, Daemon};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

fn session(bind: &str) {
    let mut stream = TcpStream::connect(bind).expect("it listens");
    stream.write_all(b"hello").expect("a session");
    let mut back = [0; 5];
    stream.read_exact(&mut back).expect("a session");
}

fn state_file(folder: &std::path::Path) -> PathBuf {
    let mut inside = std::fs::read_dir(folder).expect("the state directory");
    inside
        .next()
        .expect("a folder for the file")
        .unwrap()
        .path()
        .join("state")
}

#[test]
fn a_state_directory_carries_counters_states_and_weights_over_a_restart() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let text = format!(
        "listen a\n    bind {bind}\n    server s1 {server} weight 5\n    server s2 {server} weight 5"
    );
    let balancer = Balancer::new("", &text);
    let kept = balancer.path("kept");
    let folder = kept.display().to_string();
    let options = ["-db", "--state-dir", &folder];
    let mut daemon = balancer.start(&options);
    session(&bind);
    balancer
        .ask("set server a/s1 weight 7; set server a/s2 state maint; set maxconn frontend a 99");
    let stot = || balancer.stat("a", "FRONTEND", "stot");
    kit::wait_until("the session is counted", LIMIT, || stot() == "1");
    daemon.stop();
    let mut daemon = balancer.start(&options);
    assert_eq!(stot(), "1");
    assert_eq!(balancer.stat("a", "s1", "weight"), "7");
    assert_eq!(balancer.stat("a", "FRONTEND", "slim"), "99");
    assert!(balancer.stat("a", "s2", "status").starts_with("MAINT"));
    daemon.stop();
    // the configuration wins where it changed
    balancer.write("", &text.replace("weight 5", "weight 6"));
    let mut daemon = balancer.start(&options);
    assert_eq!(balancer.stat("a", "s1", "weight"), "6");
    assert_eq!(stot(), "1");
    daemon.stop();
    // each process took a point of the charts at least
    let charts = state_file(&kept).with_file_name("charts");
    let text = std::fs::read_to_string(&charts).expect("the charts are kept");
    let body = text.lines().nth(2).expect("two lines of header");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let of_s1 = &body["state"]["subjects"][2];
    assert_eq!(
        (&of_s1["proxy"], &of_s1["server"]),
        (&"a".into(), &"s1".into())
    );
    assert!(
        of_s1["points"].as_array().expect("points").len() >= 3,
        "{text}"
    );
    std::fs::write(&charts, &text[..text.len() / 2]).unwrap();
    let mut daemon = balancer.start(&options);
    daemon.wait_line("charts is ignored: it is damaged or cut short", LIMIT);
    assert_eq!(stot(), "1", "the state is another file");
    daemon.stop();
    // nothing is kept or taken without being asked
    let mut daemon = balancer.start(&["-db"]);
    assert_eq!(stot(), "0");
    assert!(!balancer.stat("a", "s2", "status").starts_with("MAINT"));
    daemon.stop();
    let mut daemon = balancer.start(&options);
    assert_eq!(stot(), "1");
    daemon.stop();
}

#[test]
fn the_state_is_there_even_after_kill_9_and_a_damaged_one_is_told_and_harmless() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new(
        "",
        &format!("listen a\n    bind {bind}\n    server s1 {server}"),
    );
    let kept = balancer.path("kept");
    let folder = kept.display().to_string();
    let options = ["-db", "--state-dir", &folder];
    let daemon = balancer.start(&options);
    session(&bind);
    kit::wait_until("it was kept", LIMIT, || {
        let mut there = std::fs::read_dir(&kept).into_iter().flatten().flatten();
        there.next().is_some_and(|entry| {
            let text = std::fs::read_to_string(entry.path().join("state")).unwrap_or_default();
            text.contains("\"bytes_in\":5")
        })
    });
    daemon.signal(Signal::SIGKILL);
    drop(daemon);
    let mut daemon = balancer.start(&options);
    assert_eq!(balancer.stat("a", "FRONTEND", "bin"), "5");
    daemon.stop();
    let file = state_file(&kept);
    let good = std::fs::read(&file).unwrap();
    let newer =
        String::from_utf8_lossy(&good).replacen("evenkeel-lb-state 1", "evenkeel-lb-state 2", 1);
    for bad in [
        &good[..good.len() / 2],
        b"what is this",
        newer.as_bytes(),
        b"",
    ] {
        std::fs::write(&file, bad).unwrap();
        let mut daemon = balancer.start(&options);
        daemon.wait_line("is ignored: ", LIMIT);
        assert_eq!(balancer.stat("a", "FRONTEND", "bin"), "0");
        daemon.stop();
    }
}

/// Columns of `show servers state` that two programs must agree on, by server.
fn states(text: &str) -> Vec<Vec<String>> {
    let rows = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.split(' ').count() > 20);
    rows.map(|row| {
        let words: Vec<&str> = row.split(' ').collect();
        // names, operational and administrative state, weights
        [1, 3, 5, 6, 7, 8]
            .iter()
            .map(|i| words[*i].to_owned())
            .collect()
    })
    .collect()
}

#[test]
#[ignore = "needs haproxy; tests/run installs it and runs this"]
fn state_files_go_from_haproxy_to_evenkeel_and_back() {
    let server = echo();
    let balancer = Balancer::new("", "");
    let file = balancer.path("server-state");
    let binds = [format!("{}:1", address()), format!("{}:1", address())];
    let body = |bind: &str| {
        format!(
            "listen a\n    bind {bind}\n    load-server-state-from-file global\n    \
             server s1 {server} weight 5 check inter 200ms\n    server s2 {server} weight 5\n    \
             server s3 {server} weight 5 disabled\n    server s4 127.0.0.1:9 check inter 200ms fall 1\n"
        )
    };
    let global = format!("    server-state-file {}", file.display());
    let start_theirs = || {
        let config = balancer.path("haproxy.cfg");
        let text = format!(
            "global\n{global}\n    stats socket {} level admin\ndefaults\n    mode tcp\n    timeout connect 5s\n    \
             timeout client 60s\n    timeout server 60s\n{}",
            balancer.socket().display(),
            body(&binds[0])
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("haproxy");
        let daemon = Daemon::start("haproxy", command.arg("-db").arg("-f").arg(&config));
        kit::wait_until("haproxy serves", LIMIT, || {
            balancer.try_ask("show version").is_ok()
        });
        daemon
    };
    let down = |what: &str| {
        kit::wait_until(what, LIMIT, || balancer.stat("a", "s4", "status") == "DOWN");
    };
    let mut theirs = start_theirs();
    balancer
        .ask("set server a/s1 weight 9; set server a/s2 state maint; set server a/s3 state ready");
    down("its checks fail");
    let written = balancer.ask("show servers state");
    std::fs::write(&file, written.trim_end().to_owned() + "\n").unwrap();
    theirs.stop();
    balancer.write(&global, &body(&binds[1]));
    let mut ours = balancer.start(&["-db"]);
    let read = balancer.ask("show servers state");
    assert_eq!(
        states(&read),
        states(&written),
        "ours:\n{read}\ntheirs:\n{written}"
    );
    balancer.ask("set server a/s1 state drain; set server a/s2 state ready");
    down("our checks fail");
    let written = balancer.ask("show servers state");
    std::fs::write(&file, written.trim_end().to_owned() + "\n").unwrap();
    ours.stop();
    let mut theirs = start_theirs();
    let read = balancer.ask("show servers state");
    assert_eq!(
        states(&read),
        states(&written),
        "theirs:\n{read}\nours:\n{written}"
    );
    theirs.stop();
}
