//! Reloads while sessions flow: every byte is accounted for.

mod kit;

use kit::Balancer;
use kit::balancer::{LIMIT, address, echo};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

const CLIENTS: usize = 6;
/// So many reloads at least, and as many as it takes for so many sessions.
const RELOADS: usize = 100;
const SESSIONS: u64 = 10_000;

/// Opens sessions one after the other; each sends some bytes and wants them
/// back. Gives the number of sessions and of bytes.
fn client(
    bind: String,
    seed: u64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> JoinHandle<(u64, u64)> {
    std::thread::spawn(move || {
        let (mut sessions, mut bytes) = (0, 0);
        let mut random = seed | 1;
        while !stop.load(Relaxed) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let length = (random % 40_000) as usize + 1;
            let sent: Vec<u8> = (0..length)
                .map(|i| (i as u64).wrapping_mul(random) as u8)
                .collect();
            let mut stream = TcpStream::connect(&bind).expect("the listener is never closed");
            stream.set_read_timeout(Some(LIMIT)).expect("a socket");
            let mut writer = stream.try_clone().expect("a second descriptor");
            let outgoing = sent.clone();
            let writing = std::thread::spawn(move || {
                writer.write_all(&outgoing).expect("the session is not cut");
                writer
                    .shutdown(std::net::Shutdown::Write)
                    .expect("the session is not cut");
            });
            let mut back = Vec::new();
            stream
                .read_to_end(&mut back)
                .expect("the session is not cut");
            writing.join().expect("all was sent");
            assert_eq!(back.len(), sent.len(), "bytes are missing (seed {seed})");
            assert!(back == sent, "bytes are damaged (seed {seed})");
            sessions += 1;
            bytes += length as u64;
            done.fetch_add(1, Relaxed);
        }
        (sessions, bytes)
    })
}

#[test]
fn reloads_under_load_lose_no_byte_of_ten_thousand_sessions() {
    let (first, second) = (echo(), echo());
    let bind = format!("{}:1", address());
    let extra = format!("{}:1", address());
    let text = |turn: usize| {
        let mut text =
            format!("listen a\n    bind {bind}\n    server s1 {first} check inter 50ms\n");
        if turn % 2 == 1 {
            text.push_str(&format!(
                "    server s2 {second} weight {}\n    bind {extra}\n",
                turn % 7 + 1
            ));
        }
        text
    };
    let balancer = Balancer::new("", &text(0));
    let mut daemon = balancer.start(&["-db"]);
    let mut long = TcpStream::connect(&bind).expect("it listens");
    long.set_read_timeout(Some(LIMIT)).expect("a socket");
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| client(bind.clone(), n as u64 * 77 + 5, stop.clone(), done.clone()))
        .collect();
    let mut reloads = 0;
    while reloads < RELOADS || done.load(Relaxed) < SESSIONS {
        reloads += 1;
        let turn = reloads;
        balancer.write("", &text(turn));
        let answer = balancer.ask("reload");
        assert!(answer.contains("server a/s2"), "reload {turn}: {answer}");
        let word = format!("turn {turn}");
        long.write_all(word.as_bytes())
            .expect("the long session lives");
        let mut back = vec![0; word.len()];
        long.read_exact(&mut back).expect("the long session lives");
        assert_eq!(back, word.as_bytes());
        let so_far = done.load(Relaxed);
        kit::wait_until("a session ends between reloads", LIMIT, || {
            done.load(Relaxed) > so_far
        });
    }
    stop.store(true, Relaxed);
    let mut total = (1, 0);
    for client in clients {
        let (sessions, bytes) = client.join().expect("a client lost something");
        total = (total.0 + sessions, total.1 + bytes);
    }
    drop(long);
    let counted = |column: &str| balancer.stat("a", "FRONTEND", column);
    kit::wait_until("all sessions ended", LIMIT, || counted("scur") == "0");
    assert_eq!(
        counted("stot"),
        total.0.to_string(),
        "sessions are counted across reloads"
    );
    let turns: usize = (1..=reloads).map(|turn| format!("turn {turn}").len()).sum();
    let expected = total.1 + turns as u64;
    assert_eq!(
        counted("bin"),
        expected.to_string(),
        "bytes in are counted across reloads"
    );
    assert_eq!(
        counted("bout"),
        expected.to_string(),
        "bytes out are counted across reloads"
    );
    daemon.stop();
}

#[test]
fn a_broken_file_changes_nothing_and_says_why() {
    let server = echo();
    let bind = format!("{}:1", address());
    let good = format!("listen a\n    bind {bind}\n    server s1 {server}");
    let balancer = Balancer::new("", &good);
    let mut daemon = balancer.start(&["-db"]);
    let mistakes = [
        (format!("{good}\n    blance roundrobin"), "blance"),
        (
            format!("{good}\n    server s2 no-such-host.invalid:1"),
            "no-such-host.invalid",
        ),
        (
            format!("{good}\nlisten b\n    bind {server}"),
            server.as_str(),
        ),
    ];
    for (text, why) in mistakes {
        balancer.write("", &text);
        let answer = balancer.ask("reload");
        assert!(answer.contains(why), "{why} is missing in {answer}");
        assert!(
            balancer
                .ask("show stat")
                .lines()
                .filter(|l| l.contains(",s1,"))
                .count()
                == 1
        );
        assert!(!balancer.ask("show stat").contains("s2"));
        assert!(TcpStream::connect(&bind).is_ok());
    }
    daemon.wait_line("Reload refused, nothing changed", LIMIT);
    daemon.stop();
}

#[test]
fn sessions_under_old_rules_are_listed_as_such() {
    let server = echo();
    let (first, second) = (format!("{}:1", address()), format!("{}:2", address()));
    let listen = |name: &str, bind: &str, line: &str| {
        format!("listen {name}\n    bind {bind}\n    server s1 {server}\n    {line}\n")
    };
    let kept = listen("kept", &first, "");
    let balancer = Balancer::new("", &format!("{kept}{}", listen("other", &second, "")));
    let mut daemon = balancer.start(&["-db"]);
    let mut sessions: Vec<_> = [&first, &second]
        .map(|bind| TcpStream::connect(bind).expect("a listener"))
        .into();
    let mut exchange = || {
        for session in &mut sessions {
            session.write_all(b"x").expect("the session flows on");
            session.read_exact(&mut [0]).expect("the session flows on");
        }
    };
    exchange();
    let line = |frontend: &str| {
        let sessions = balancer.ask("show sess");
        let wanted = format!(" fe={frontend} ");
        let found = sessions.lines().find(|line| line.contains(&wanted));
        found.expect("the session is listed").to_owned()
    };
    assert!(!line("other").contains("rules="));
    balancer.write(
        "",
        &format!("{kept}{}", listen("other", &second, "retries 1")),
    );
    balancer.ask("reload");
    exchange();
    assert!(line("other").ends_with(" rules=old"));
    assert!(!line("kept").contains("rules="));
    balancer.write("", &kept);
    balancer.ask("reload");
    exchange();
    assert!(line("other").ends_with(" rules=old"));
    assert!(!line("kept").contains("rules="));
    daemon.stop();
}

#[test]
fn state_set_at_run_time_survives_a_reload() {
    let server = echo();
    let bind = format!("{}:1", address());
    let text = format!(
        "listen a\n    bind {bind}\n    server s1 {server} weight 10\n    server s2 {server}\n    server s3 127.0.0.1:1 check inter 20ms\n"
    );
    let balancer = Balancer::new("", &text);
    let mut daemon = balancer.start(&["-db"]);
    let status = |server: &str| balancer.stat("a", server, "status");
    kit::wait_until("s3 is down", LIMIT, || status("s3") == "DOWN");
    balancer.ask("set server a/s1 weight 77");
    balancer.ask("set server a/s2 state maint");
    balancer.write("", &format!("{text}    server s4 {server}\n"));
    assert!(balancer.ask("reload").contains("+ server a/s4"));
    assert_eq!(balancer.stat("a", "s1", "weight"), "77");
    assert_eq!(status("s2"), "MAINT");
    assert_eq!(status("s3"), "DOWN");
    daemon.stop();
}

#[test]
fn a_dry_run_shows_what_a_reload_would_change() {
    let server = echo();
    let bind = format!("{}:1", address());
    let balancer = Balancer::new(
        "",
        &format!("listen a\n    bind {bind}\n    server s1 {server}\n"),
    );
    let mut daemon = balancer.start(&["-db"]);
    let (socket, file) = (
        balancer.socket().display().to_string(),
        balancer.file().display().to_string(),
    );
    let diff = |more: &[&str]| {
        let mut args = vec!["lb", "diff", "--socket", &socket];
        args.extend(more);
        args.push(&file);
        kit::evenkeel(&args)
    };
    assert_eq!(diff(&[]), (0, "no difference\n".to_owned(), String::new()));
    balancer.write(
        "",
        &format!("listen a\n    bind {bind}\n    server s2 {server}\n"),
    );
    let (status, text, _) = diff(&[]);
    assert_eq!(
        (status, text),
        (1, format!("+ server a/s2 ({server})\n- server a/s1\n"))
    );
    let (_, json, _) = diff(&["--json"]);
    assert!(json.contains("\"removed\": [\n      \"a/s1\""), "{json}");
    daemon.stop();
}

#[test]
fn sockets_of_the_cli_come_and_go_with_a_reload() {
    let listen = format!("listen a\n    bind {}:1\n", address());
    let balancer = Balancer::new("", &listen);
    let mut daemon = balancer.start(&["-db"]);
    let second = balancer.path("second.sock");
    let asks = |command: &str| {
        let mut cli = std::os::unix::net::UnixStream::connect(&second).ok()?;
        cli.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        cli.read_to_string(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    };
    assert_eq!(asks("show cli level"), None);
    let with = |level: &str| format!("    stats socket {} level {level}\n", second.display());
    balancer.write(&with("user"), &listen);
    balancer.ask("reload");
    assert_eq!(asks("show cli level").as_deref(), Some("user"));
    balancer.write(&with("operator"), &listen);
    balancer.ask("reload");
    assert_eq!(asks("show cli level").as_deref(), Some("operator"));
    balancer.write("    stats socket /nowhere/at/all.sock\n", &listen);
    let answer = balancer.ask("reload");
    assert!(answer.contains("/nowhere/at/all.sock"), "{answer}");
    assert_eq!(asks("show cli level").as_deref(), Some("operator"));
    balancer.write("", &listen);
    balancer.ask("reload");
    assert_eq!(asks("show cli level"), None);
    assert!(!second.exists(), "its file is gone");
    daemon.stop();
}
