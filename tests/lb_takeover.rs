//! A new process takes over from an old one: no connection is lost, sessions
//! stay where they are, numbers go on.

mod kit;

use kit::balancer::{LIMIT, address, echo};
use kit::{Balancer, Daemon};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

const TAKEOVERS: u32 = 10;
const CLIENTS: usize = 4;

fn listen(bind: &str, server: &str) -> String {
    format!("listen a\n    bind {bind}\n    server s1 {server}\n    server s2 {server} backup")
}

/// Opens sessions one after the other until told to stop; gives how many there
/// were. Any failure is a lost connection.
struct Clients {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(bind: &str) -> Clients {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let threads = (0..CLIENTS).map(|_| {
            let (bind, stop) = (bind.to_owned(), stop.clone());
            let done: Arc<AtomicU64> = Arc::clone(&done);
            std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let mut stream = TcpStream::connect(&bind).expect("somebody listens");
                    exchange(&mut stream, "short");
                    done.fetch_add(1, Relaxed);
                }
            })
        });
        Clients {
            threads: threads.collect(),
            stop,
            done,
        }
    }

    /// Waits for a few more sessions.
    fn go_on(&self) {
        let so_far = self.done.load(Relaxed);
        kit::wait_until("sessions end", LIMIT, || {
            self.done.load(Relaxed) > so_far + 8
        });
    }

    fn end(self) -> u64 {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            thread.join().expect("no connection was lost");
        }
        self.done.load(Relaxed)
    }
}

fn exchange(stream: &mut TcpStream, word: &str) {
    stream.set_read_timeout(Some(LIMIT)).expect("a socket");
    stream
        .write_all(word.as_bytes())
        .expect("the session lives");
    let mut back = vec![0; word.len()];
    stream.read_exact(&mut back).expect("the session lives");
    assert_eq!(back, word.as_bytes());
}

fn pid_at(balancer: &Balancer) -> Option<i32> {
    let info = balancer.try_ask("show info").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid: "))?;
    line.trim().parse().ok()
}

/// Starts a successor with these options and waits until it answers.
fn succeed(balancer: &Balancer, options: &[&str]) -> Daemon {
    let daemon = Daemon::start("successor", &mut balancer.command(options));
    kit::wait_until("the successor serves", LIMIT, || {
        pid_at(balancer) == Some(daemon.pid())
    });
    daemon
}

#[test]
fn takeovers_under_load_lose_no_connection_whatever_the_threads_are() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new("    nbthread 1", &listen(&bind, &server));
    let mut daemon = balancer.start(&["-db"]);
    let first = daemon.pid();
    let mut long = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut long, "before");
    let clients = Clients::start(&bind);
    let mut old = Vec::new();
    for turn in 1..=TAKEOVERS {
        let threads = format!("    nbthread {}", [3, 1, 4, 2][turn as usize % 4]);
        balancer.write(&threads, &listen(&bind, &server));
        clients.go_on();
        let pid = daemon.pid().to_string();
        let successor = succeed(&balancer, &["-db", "-sf", &pid]);
        old.push(std::mem::replace(&mut daemon, successor));
        exchange(&mut long, &format!("takeover {turn}"));
    }
    clients.go_on();
    let total = clients.end() + 1;
    // the processes between end with their sessions, the first has one
    for mut between in old.drain(1..) {
        assert!(between.wait_exit(LIMIT).success());
    }
    assert!(old[0].runs());
    let scur = || balancer.stat("a", "FRONTEND", "scur");
    kit::wait_until("short sessions have ended", LIMIT, || scur() == "0");
    assert_eq!(balancer.stat("a", "FRONTEND", "stot"), total.to_string());
    drop(long);
    assert!(old[0].wait_exit(LIMIT).success());
    assert_ne!(first, daemon.pid());
    daemon.stop();
}

#[test]
fn sessions_of_an_old_process_are_seen_and_counted_in_the_new_one_until_they_end() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let page = format!("{}:1", address());
    let text = format!(
        "{}\nlisten stats\n    mode http\n    timeout http-request 5s\n    bind {page}\n    stats enable\n    stats uri /",
        listen(&bind, &server)
    );
    let balancer = Balancer::new("    hard-stop-after 60s", &text);
    let mut old = balancer.start(&["-db"]);
    let mut long = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut long, "12345");
    balancer.ask("set server a/s1 weight 77; set server a/s2 state maint");
    let pid = old.pid().to_string();
    let mut new = succeed(&balancer, &["-db", "-sf", &pid]);
    kit::wait_until("the old process stops", LIMIT, || {
        let text = balancer.ask("show old");
        let line = text
            .lines()
            .find(|line| line.starts_with(&pid))
            .map(str::to_owned);
        line.is_some_and(|line| line.split(' ').nth(2) == Some("1"))
    });
    let line = balancer.ask("show old");
    assert!(
        line.contains(" 1 1 "),
        "stopping with one connection: {line}"
    );
    assert!(line.contains("a=1"), "{line}");
    let json: serde_json::Value =
        serde_json::from_str(balancer.ask("show old json").trim()).unwrap();
    assert_eq!(json[0]["connections"], 1);
    assert!(json[0]["ends_within_s"].as_u64().unwrap() <= 60, "{json}");
    let info = balancer.ask("show info");
    assert!(info.contains("OldProcesses: 1\nOldConns: 1\n"), "{info}");
    let mut http = TcpStream::connect(&page).expect("the page listens");
    http.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut html = String::new();
    http.read_to_string(&mut html).expect("a page");
    assert!(html.contains(&format!("old process {pid}")), "{html}");
    // bytes of the old process' session arrive in the new one's counters
    exchange(&mut long, "67890");
    kit::wait_until("ten bytes are counted", LIMIT, || {
        balancer.stat("a", "s1", "bin") == "10"
    });
    assert_eq!(balancer.stat("a", "s1", "weight"), "77");
    assert!(balancer.stat("a", "s2", "status").starts_with("MAINT"));
    drop(long);
    assert!(old.wait_exit(LIMIT).success());
    kit::wait_until("it is shown no more", LIMIT, || {
        balancer.ask("show old").lines().count() <= 2
    });
    assert_eq!(balancer.stat("a", "FRONTEND", "stot"), "1");
    new.stop();
}

#[test]
fn a_frontend_that_was_paused_refuses_connections_in_the_new_process() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new("", &listen(&bind, &server));
    let mut old = balancer.start(&["-db"]);
    exchange(&mut TcpStream::connect(&bind).expect("it listens"), "once");
    balancer.ask("disable frontend a");
    assert!(TcpStream::connect(&bind).is_err());
    let mut new = succeed(&balancer, &["-db", "-sf", &old.pid().to_string()]);
    assert!(old.wait_exit(LIMIT).success());
    kit::wait_until("the state is there", LIMIT, || {
        balancer.stat("a", "FRONTEND", "stot") == "1"
    });
    assert!(TcpStream::connect(&bind).is_err());
    balancer.ask("enable frontend a");
    exchange(&mut TcpStream::connect(&bind).expect("it listens"), "again");
    new.stop();
}

#[test]
fn x_takes_over_through_a_named_socket_and_refuses_to_start_without() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new("", &listen(&bind, &server));
    let other = balancer.path("takeover.sock");
    let path = other.display().to_string();
    let global = format!("    stats socket {path} level admin expose-fd listeners");
    balancer.write(&global, &listen(&bind, &server));
    let mut old = balancer.start(&["-db"]);
    let unix = balancer.path("front.sock");
    let both = listen(&format!("{bind},unix@{}", unix.display()), &server);
    balancer.write(&global, &both);
    balancer.ask("reload");
    let pid = old.pid().to_string();
    // a socket that does not hand out listeners
    let plain = balancer.socket().display().to_string();
    for wrong in [plain.as_str(), "/nonexistent.sock"] {
        let output = balancer
            .command(&["-db", "-x", wrong, "-sf", &pid])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("Failed to get the sockets from the old process!"),
            "{text}"
        );
    }
    assert!(old.runs());
    // another run directory: only -x can find the old process
    let elsewhere = balancer.path("elsewhere").display().to_string();
    let file = balancer.file().display().to_string();
    let mut command = Command::new(kit::binary());
    command.args([
        "lb",
        "-db",
        "--run-dir",
        &elsewhere,
        "-x",
        &path,
        "-sf",
        &pid,
        "-f",
        &file,
    ]);
    let mut new = Daemon::start("successor", &mut command);
    kit::wait_until("it serves", LIMIT, || pid_at(&balancer) == Some(new.pid()));
    assert!(old.wait_exit(LIMIT).success());
    exchange(&mut TcpStream::connect(&bind).expect("it listens"), "inet");
    let mut stream =
        std::os::unix::net::UnixStream::connect(&unix).expect("the path is still there");
    stream.write_all(b"unix").unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).expect("served");
    new.stop();
}

#[test]
fn connections_that_wait_in_the_queue_go_to_the_new_process() {
    let (bind, server) = (format!("{}:1", address()), echo());
    // at its limit a listener leaves connections in the queue
    let (global, free) = ("    nbthread 2", listen(&bind, &server));
    let balancer = Balancer::new(global, &format!("{free}\n    maxconn 1\n    backlog 100"));
    let mut old = balancer.start(&["-db"]);
    let mut first = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut first, "fills the limit");
    let waiting: Vec<_> = (0..50)
        .map(|_| TcpStream::connect(&bind).expect("queued"))
        .collect();
    balancer.write(global, &free);
    let pid = old.pid().to_string();
    let mut new = succeed(&balancer, &["-db", "-sf", &pid]);
    for mut stream in waiting {
        exchange(&mut stream, "was in the queue");
    }
    drop(first);
    assert!(old.wait_exit(LIMIT).success());
    new.stop();
}

/// A line to a TCP socket of the CLI or of the exporter, and what comes back.
fn ask_port(at: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("somebody listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a whole answer");
    answer
}

#[test]
fn ports_of_cli_and_exporter_are_handed_over_without_a_gap() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let (cli, metrics) = (format!("{}:3", address()), format!("{}:4", address()));
    let global = format!("    stats socket {cli} level admin\n    prometheus bind {metrics}");
    let balancer = Balancer::new(&global, &listen(&bind, &server));
    let mut daemon = balancer.start(&["-db"]);
    let stop = Arc::new(AtomicBool::new(false));
    let asked: Arc<AtomicU64> = Arc::default();
    let askers = ["show version\n", "GET /metrics HTTP/1.0\r\n\r\n"].map(|request| {
        let at = if request.starts_with("GET") {
            metrics.clone()
        } else {
            cli.clone()
        };
        let (stop, asked) = (stop.clone(), asked.clone());
        std::thread::spawn(move || {
            while !stop.load(Relaxed) {
                let answer = ask_port(&at, request);
                assert!(answer.len() > 5, "{request}: {answer}");
                asked.fetch_add(1, Relaxed);
            }
        })
    });
    for _ in 0..5 {
        let so_far = asked.load(Relaxed);
        kit::wait_until("ports are asked", LIMIT, || {
            asked.load(Relaxed) > so_far + 4
        });
        let pid = daemon.pid().to_string();
        let successor = succeed(&balancer, &["-db", "-sf", &pid]);
        let mut old = std::mem::replace(&mut daemon, successor);
        assert!(old.wait_exit(LIMIT).success());
    }
    let so_far = asked.load(Relaxed);
    kit::wait_until("ports are asked", LIMIT, || {
        asked.load(Relaxed) > so_far + 4
    });
    stop.store(true, Relaxed);
    for asker in askers {
        asker.join().expect("no question was lost");
    }
    let info = ask_port(&cli, "show info\n");
    assert!(info.contains(&format!("Pid: {}\n", daemon.pid())), "{info}");
    // a reload moves the exporter; the old port is closed
    let other = format!("{}:4", address());
    balancer.write(&global.replace(&metrics, &other), &listen(&bind, &server));
    balancer.ask("reload");
    let text = ask_port(&other, "GET /metrics HTTP/1.0\r\n\r\n");
    assert!(text.contains("haproxy_process_uptime_seconds"), "{text}");
    kit::wait_until("the old port is closed", LIMIT, || {
        TcpStream::connect(&metrics).is_err()
    });
    daemon.stop();
}

fn replace(program: &Path, with: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let fresh = program.with_extension("new");
    std::fs::write(&fresh, with).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&fresh, program).unwrap();
}

#[test]
fn a_master_becomes_the_program_that_replaced_it_on_disk() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new("", &listen(&bind, &server));
    let program = balancer.path("evenkeel");
    std::fs::copy(kit::binary(), &program).unwrap();
    let cli = balancer.path("master.sock");
    let mut command = Command::new(&program);
    command.args(["lb", "-W", "-S", &cli.display().to_string()]);
    command
        .arg("--run-dir")
        .arg(balancer.path("run"))
        .arg("-f")
        .arg(balancer.file());
    let mut master = Daemon::start("master", &mut command);
    kit::wait_until("the worker serves", LIMIT, || pid_at(&balancer).is_some());
    let worker = pid_at(&balancer).unwrap();
    let mut long = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut long, "before");
    let clients = Clients::start(&bind);
    // a program that does not work changes nothing
    replace(&program, b"#!/bin/sh\nexit 3\n");
    master.signal(Signal::SIGUSR2);
    master.wait_line("Reload refused", LIMIT);
    assert_eq!(pid_at(&balancer), Some(worker));
    clients.go_on();
    let good = std::fs::read(kit::binary()).unwrap();
    replace(&program, &good);
    master.signal(Signal::SIGUSR2);
    kit::wait_until("another worker serves", LIMIT, || {
        pid_at(&balancer).is_some_and(|pid| pid != worker)
    });
    clients.go_on();
    exchange(&mut long, "after");
    let mut stream = kit::wait_for("the master's CLI answers", LIMIT, || {
        std::os::unix::net::UnixStream::connect(&cli).ok()
    });
    stream.write_all(b"show proc\n").unwrap();
    let mut processes = String::new();
    stream.read_to_string(&mut processes).unwrap();
    let fresh = pid_at(&balancer).unwrap();
    assert!(
        processes.contains(&format!("# workers\n{fresh}")),
        "{processes}"
    );
    assert!(
        processes.contains(&format!("# old workers\n{worker}")),
        "{processes}"
    );
    assert!(
        processes.contains(&format!("{} ", master.pid())),
        "the master is the same process"
    );
    clients.end();
    drop(long);
    master.wait_line(
        &format!("Former worker ({worker}) exited with code 0"),
        LIMIT,
    );
    assert!(master.stop().success());
}

/// The worker of the program before has a session when the worker dies.
fn lose_the_worker(keyword: &str) -> (Daemon, TcpStream, String) {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new(&format!("    {keyword}"), &listen(&bind, &server));
    let program = balancer.path("evenkeel");
    std::fs::copy(kit::binary(), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg("lb").arg("--run-dir").arg(balancer.path("run"));
    let master = Daemon::start("master", command.arg("-f").arg(balancer.file()));
    kit::wait_until("the worker serves", LIMIT, || pid_at(&balancer).is_some());
    let worker = pid_at(&balancer);
    let mut long = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut long, "before");
    replace(&program, &std::fs::read(kit::binary()).unwrap());
    master.signal(Signal::SIGUSR2);
    kit::wait_until("another worker serves", LIMIT, || {
        pid_at(&balancer).is_some_and(|pid| Some(pid) != worker)
    });
    exchange(&mut long, "after");
    let fresh = pid_at(&balancer).expect("it serves");
    kill(Pid::from_raw(fresh), Signal::SIGKILL).expect("it is ours");
    let lost = format!("Current worker ({fresh}) exited with code 137");
    (master, long, lost)
}

#[test]
fn former_workers_end_with_the_worker() {
    let (mut master, mut long, lost) = lose_the_worker("master-worker");
    match long.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        other => panic!("the session lives: {other:?}"),
    }
    assert_eq!(master.wait_exit(LIMIT).code(), Some(137));
    assert!(master.output().contains(&lost));
}

#[test]
fn former_workers_keep_their_sessions_if_a_failure_is_no_exit() {
    let (mut master, mut long, lost) = lose_the_worker("master-worker no-exit-on-failure");
    master.wait_line(&lost, LIMIT);
    exchange(&mut long, "still");
    assert!(master.runs());
    drop(long);
    assert_eq!(master.wait_exit(LIMIT).code(), Some(137));
}

#[test]
fn a_master_in_a_relative_directory_becomes_the_new_program_there() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new("", &listen(&bind, &server));
    let folder = balancer.file().parent().expect("a folder").to_owned();
    let program = balancer.path("evenkeel");
    std::fs::copy(kit::binary(), &program).unwrap();
    std::fs::create_dir(folder.join("etc")).unwrap();
    std::fs::copy(balancer.file(), folder.join("etc/lb.cfg")).unwrap();
    let mut command = Command::new("./evenkeel");
    command.current_dir(&folder).args([
        "lb",
        "-W",
        "-C",
        "etc",
        "-f",
        "lb.cfg",
        "--run-dir",
        "run",
    ]);
    let mut master = Daemon::start("master", &mut command);
    kit::wait_until("the worker serves", LIMIT, || pid_at(&balancer).is_some());
    let worker = pid_at(&balancer).unwrap();
    replace(&program, &std::fs::read(kit::binary()).unwrap());
    master.signal(Signal::SIGUSR2);
    kit::wait_until("another worker serves", LIMIT, || {
        pid_at(&balancer).is_some_and(|pid| pid != worker)
    });
    exchange(&mut TcpStream::connect(&bind).expect("it listens"), "after");
    assert!(folder.join("etc/run").is_dir(), "relative to -C");
    assert!(master.stop().success());
}

/// Real haproxy with a socket that hands out its listeners.
fn haproxy(balancer: &Balancer, bind: &str, server: &str, options: &[&str]) -> Daemon {
    let file = balancer.path("haproxy.cfg");
    let text = format!(
        "global\n    stats socket {} level admin expose-fd listeners\ndefaults\n    mode tcp\n    \
         timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n{}\n",
        balancer.path("haproxy.sock").display(),
        listen(bind, server)
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").args(options).arg("-f").arg(&file);
    Daemon::start("haproxy", &mut command)
}

#[test]
#[ignore = "needs haproxy; tests/run installs it and runs this"]
fn haproxy_hands_over_to_evenkeel_and_takes_back() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new("    nbthread 2", &listen(&bind, &server));
    let mut theirs = haproxy(&balancer, &bind, &server, &[]);
    kit::wait_until("haproxy listens", LIMIT, || {
        TcpStream::connect(&bind).is_ok()
    });
    let clients = Clients::start(&bind);
    clients.go_on();
    let path = balancer.path("haproxy.sock").display().to_string();
    let pid = theirs.pid().to_string();
    let mut ours = succeed(&balancer, &["-db", "-x", &path, "-sf", &pid]);
    theirs.wait_exit(LIMIT);
    clients.go_on();
    let path = balancer.path(&format!("run/lb-{}.sock", ours.pid()));
    let pid = ours.pid().to_string();
    let back = path.display().to_string();
    let mut theirs = haproxy(&balancer, &bind, &server, &["-x", &back, "-sf", &pid]);
    assert!(ours.wait_exit(LIMIT).success());
    clients.go_on();
    assert!(clients.end() > 20);
    // the signal goes to a process that this test started
    kill(Pid::from_raw(theirs.pid()), Signal::SIGTERM).unwrap();
    theirs.wait_exit(LIMIT);
}
