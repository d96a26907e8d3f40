//! `evenkeel up` itself: what it leaves behind, what it says when it cannot start.

mod kit;

use kit::Daemon;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

fn start(state: &str, more: &[&str]) -> Daemon {
    Daemon::start("evenkeel up", kit::up(state).args(more))
}

/// What `up --do WORDS` answers: exit status and output.
fn ask(state: &str, words: &[&str]) -> (i32, String) {
    let all: Vec<&str> = ["up", "--state-dir", state, "--do"]
        .iter()
        .chain(words)
        .copied()
        .collect();
    let (status, stdout, _) = kit::evenkeel(&all);
    (status, stdout)
}

#[test]
fn a_bad_option_and_a_bad_action_are_named() {
    let (status, _, stderr) = kit::evenkeel(&["up", "--trafic"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("--traffic"), "{stderr}");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let place = dir.path().join("none").display().to_string();
    let (status, _, stderr) = kit::evenkeel(&["up", "--state-dir", &place, "--do", "heal"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("is `evenkeel up` running?"), "{stderr}");
}

#[test]
fn a_taken_port_is_named_with_its_owner_and_another_offered() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let others = ["--stats-port", "0", "--management-port", "0"];
    let own = ["up", "--plain", "--state-dir", &state, "--amqp-port", &port];
    let words = [&own[..], &others].concat();
    let (status, _, stderr) = kit::evenkeel(&words);
    assert_eq!(status, 2, "{stderr}");
    // Without namespaces the reason is another one, also with what helps.
    let named = stderr.contains(&port) && stderr.contains("--amqp-port");
    assert!(named || stderr.contains("--no-vip"), "{stderr}");
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn it_is_ready_answers_actions_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let mut up = start(&state, &["--traffic"]);
    up.wait_line("ready after", Duration::from_secs(60));
    let (status, stdout) = ask(&state, &["status"]);
    assert_eq!(status, 0);
    assert!(stdout.contains("virtual address"), "{stdout}");
    kit::wait_until("messages are confirmed", Duration::from_secs(30), || {
        let (_, stdout) = ask(&state, &["status"]);
        stdout.contains("ledger: confirmed ") && !stdout.contains("ledger: confirmed 0 ")
    });
    let mut second = start(&state, &[]);
    assert_eq!(second.wait_exit(Duration::from_secs(20)).code(), Some(2));
    assert!(
        second.output().contains("another `evenkeel up`"),
        "{}",
        second.output()
    );
    let (status, stdout) = ask(&state, &["kil-lb", "a"]);
    assert_eq!(status, 1);
    assert!(stdout.contains("did you mean `kill-lb`?"), "{stdout}");
    let (_, stdout) = ask(&state, &["quit"]);
    assert_eq!(stdout, "done\n");
    let status = up.wait_exit(Duration::from_secs(60));
    assert_eq!(status.code(), Some(0), "{}", up.output());
    assert!(
        up.output()
            .contains("every confirmed message was delivered"),
        "{}",
        up.output()
    );
    assert!(
        !std::path::Path::new(&state).exists(),
        "its directory is gone"
    );
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn a_broken_ledger_is_told_and_is_status_1() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let mut up = start(&state, &["--traffic", "--rate", "2000"]);
    let line = up.wait_line("the broker's management", Duration::from_secs(60));
    let port = line.split("localhost:").nth(1).and_then(|rest| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        digits?.parse::<u16>().ok()
    });
    let port = port.expect("the port of the management page");
    // what is confirmed while there is no queue goes nowhere
    kit::wait_until("messages are lost", Duration::from_secs(30), || {
        let _ = delete_queue(port);
        let (_, status) = ask(&state, &["status"]);
        status.contains(" waiting ") && !status.contains(" waiting 0 ")
    });
    let (_, stdout) = ask(&state, &["quit"]);
    assert_eq!(stdout, "done\n");
    up.wait_line("Ctrl-C ends at once", Duration::from_secs(30));
    up.signal(Signal::SIGINT);
    let status = up.wait_exit(Duration::from_secs(60));
    assert_eq!(status.code(), Some(1), "{}", up.output());
    assert!(up.output().contains("the ledger is BROKEN"));
}

fn delete_queue(port: u16) -> std::io::Result<()> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(
        b"DELETE /api/queues/%2F/evenkeel.traffic HTTP/1.0\r\n\
          Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n",
    )?;
    stream.read_to_string(&mut String::new()).map(|_| ())
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn each_of_several_brokers_has_a_consumer_of_the_traffic() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let mut up = start(&state, &["--traffic", "--brokers", "3"]);
    up.wait_line("ready after", Duration::from_secs(60));
    kit::wait_until("every broker has a client", Duration::from_secs(30), || {
        let (_, status) = ask(&state, &["status"]);
        let brokers = status.lines().filter(|line| line.starts_with("broker N"));
        let busy = brokers.filter(|line| line.contains("answers, ") && !line.contains(" 0 conn"));
        busy.count() == 3
    });
    ask(&state, &["quit"]);
    let status = up.wait_exit(Duration::from_secs(60));
    assert_eq!(status.code(), Some(0), "{}", up.output());
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn killed_it_leaves_no_process_and_the_next_run_clears_its_files() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let mut up = start(&state, &[]);
    up.wait_line("ready after", Duration::from_secs(60));
    assert!(!processes_of(&state).is_empty());
    up.signal(Signal::SIGKILL);
    kit::wait_until("every process of it ends", Duration::from_secs(10), || {
        processes_of(&state).is_empty()
    });
    let mut next = start(&state, &["--for", "0s"]);
    let status = next.wait_exit(Duration::from_secs(60));
    assert_eq!(status.code(), Some(0), "{}", next.output());
}

/// Starts it on a terminal of this kind.
fn on_a_terminal(state: &str, kind: &str, more: &[&str]) -> std::process::Child {
    let command = kit::up(state);
    let words = command.get_args().map(|word| word.to_string_lossy());
    let words: Vec<_> = words.filter(|word| word != "--plain").collect();
    let (words, more) = (words.join(" "), more.join(" "));
    let binary = kit::binary();
    let line = format!("stty cols 90 rows 30; {} {words} {more}", binary.display());
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().expect("script(1) is part of every Debian")
}

#[test]
#[ignore = "needs network namespaces and script(1); tests/run runs it"]
fn the_live_view_takes_keys_and_gives_the_terminal_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let mut child = on_a_terminal(&state, "xterm", &[]);
    kit::wait_until("it is ready", Duration::from_secs(60), || {
        let (status, _) = ask(&state, &["status"]);
        status == 0
    });
    let mut keys = child.stdin.take().expect("piped");
    keys.write_all(b"q").expect("it reads keys");
    let output = child.wait_with_output().expect("own child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("Brokers"), "{text}");
    let (_, after) = text
        .rsplit_once("\u{1b}[?1049l")
        .expect("the screen is left");
    assert!(after.contains("ended after"), "{after}");
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn a_terminal_that_moves_no_cursor_gets_plain_lines() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let child = on_a_terminal(&state, "dumb", &["--for", "1s"]);
    let output = child.wait_with_output().expect("own child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("ready after"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_bad_timetable_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    for (entry, help) in [
        ("3s:kil-lb a", "kill-lb"),
        ("3s:kill-node a", "it is for N1"),
        ("soon", "TIME:ACTION"),
    ] {
        let (status, _, stderr) = kit::evenkeel(&["up", "--state-dir", &state, "--at", entry]);
        assert_eq!(status, 2, "{entry}: {stderr}");
        assert!(stderr.contains(help), "{entry}: {stderr}");
    }
}

/// Processes whose command line names the state directory.
#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn without_its_laboratory_it_ends_and_says_so() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let mut up = start(&state, &[]);
    up.wait_line("ready after", Duration::from_secs(60));
    let gate = format!("{state}/gate.sock");
    let inside = processes_of(&gate)
        .into_iter()
        .find(|p| p.contains("lab-inside"));
    let pid = inside.and_then(|p| p.split_whitespace().next()?.parse().ok());
    let pid = nix::unistd::Pid::from_raw(pid.expect("the laboratory's process"));
    nix::sys::signal::kill(pid, Signal::SIGKILL).expect("it runs");
    let status = up.wait_exit(Duration::from_secs(30));
    assert_eq!(status.code(), Some(2), "{}", up.output());
    assert!(up.output().contains("start `evenkeel up` again"));
}

fn processes_of(state: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten();
    let lines = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (pid != std::process::id() && line.contains(state)).then(|| format!("{pid} {line}"))
    });
    lines.collect()
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn proxy_hosts_that_do_not_hear_each_other_leave_the_clients_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let mut up = start(&state, &["--traffic"]);
    up.wait_line("ready after", Duration::from_secs(60));
    let log = dir.path().join("up/b/vip.log");
    let says = |what: &str| std::fs::read_to_string(&log).is_ok_and(|text| text.contains(what));
    let (_, answer) = ask(&state, &["partition"]);
    assert_eq!(answer, "done\n");
    kit::wait_until("a witness speaks for A", Duration::from_secs(30), || {
        says("a witness brings the peer's heartbeats")
    });
    let (_, answer) = ask(&state, &["heal"]);
    assert_eq!(answer, "done\n");
    kit::wait_until("B hears A again", Duration::from_secs(30), || {
        says("the hosts hear each other again")
    });
    let (_, answer) = ask(&state, &["quit"]);
    assert_eq!(answer, "done\n");
    up.wait_exit(Duration::from_secs(60));
    let output = up.output();
    assert!(output.contains(" reconnects 0 "), "{output}");
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn a_signal_before_it_is_ready_leaves_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = dir.path().join("up");
        let mut up = start(&state.display().to_string(), &[]);
        // the broker's data are among the last things that are made
        kit::wait_until("the broker starts", Duration::from_secs(60), || {
            state.join("n1/broker.log").exists()
        });
        up.signal(signal);
        let status = up.wait_exit(Duration::from_secs(60));
        assert!(!state.exists(), "{signal}: {}", up.output());
        // on a quick machine it may have been ready
        assert!(matches!(status.code(), Some(0 | 2)), "{signal}: {status}");
    }
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn it_ends_with_its_reader_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up");
    let mut up = kit::up(&state.display().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut reader = up.stdout.take().expect("piped");
    reader.read_exact(&mut [0; 1]).expect("a first line");
    drop(reader);
    let status = up.wait().expect("own child");
    assert_eq!(status.code(), Some(141), "as a shell shows SIGPIPE");
    assert!(!state.exists());
}
