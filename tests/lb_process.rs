//! The balancer as a process: statuses, signals, background, master.

mod kit;

use kit::balancer::{LIMIT, address};
use kit::{Balancer, Daemon};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

/// A listen section on an address of its own, without servers.
fn empty_listen() -> String {
    format!("listen a\n    bind {}:1", address())
}

/// A server that sends back what it gets.
fn echo() -> (String, TcpListener) {
    let listener = TcpListener::bind((address(), 2)).expect("an address of our own");
    let at = listener.local_addr().expect("bound").to_string();
    let accepting = listener.try_clone().expect("a second descriptor");
    std::thread::spawn(move || {
        for mut stream in accepting.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = stream.try_clone().expect("a second descriptor");
                let _ = std::io::copy(&mut reader, &mut stream);
            });
        }
    });
    (at, listener)
}

fn listen_with(bind: &str, server: &str) -> String {
    format!("listen a\n    bind {bind}\n    server s1 {server}")
}

fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary runs");
    let both = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&both).into_owned())
}

#[test]
fn checking_and_starting_have_the_statuses_that_scripts_expect() {
    let taken = TcpListener::bind((address(), 3)).expect("an address of our own");
    let taken = taken.local_addr().expect("bound");
    let table: [(&str, &str, String, Option<i32>, &str); 7] = [
        ("-c", "", empty_listen(), Some(0), ""),
        (
            "-c",
            "",
            "listen a\n    bind nonsense:x:y".into(),
            Some(1),
            "[ALERT]",
        ),
        // the CLI's socket is enough to start
        ("-c", "", "frontend a".into(), Some(0), "nobody can connect"),
        (
            "-db",
            "    chroot /nonexistent/dir",
            empty_listen(),
            Some(1),
            "mkdir -p /nonexistent/dir",
        ),
        (
            "-db",
            "    user no-such-user-here",
            empty_listen(),
            Some(1),
            "useradd",
        ),
        (
            "-c",
            "",
            listen_with("127.0.0.1:1", "no-such-host.invalid:1"),
            Some(1),
            "could not resolve",
        ),
        (
            "-db",
            "",
            format!("listen a\n    bind {taken}"),
            Some(1),
            &taken.to_string(),
        ),
    ];
    for (option, global, text, status, said) in table {
        let balancer = Balancer::new(global, &text);
        let (found, printed) = output(&mut balancer.command(&[option]));
        assert_eq!(found, status, "{option} {global} {text}\n{printed}");
        assert!(printed.contains(said), "{said:?} is missing in {printed}");
    }
    let nothing = Balancer::new("", "frontend a");
    std::fs::write(nothing.file(), "frontend a\n    timeout client 1s\n").expect("a file");
    let table = [
        ("-c", 2, "no listener"),
        ("-db", 1, "No enabled listener found"),
    ];
    for (option, status, said) in table {
        let (found, printed) = output(&mut nothing.command(&[option]));
        assert_eq!(found, Some(status), "{printed}");
        assert!(printed.contains(said), "{printed}");
    }
}

#[test]
fn options_that_do_less_than_in_haproxy_are_told() {
    let balancer = Balancer::new("", &empty_listen());
    let file = balancer.file().display().to_string();
    let (status, _, said) = kit::evenkeel(&["lb", "-c", "-d", "-dV", "-f", &file]);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("`evenkeel lb trace` tells sessions"),
        "{said}"
    );
    assert!(
        said.contains("'-dV' is accepted, but has no effect here"),
        "{said}"
    );
    let (_, _, said) = kit::evenkeel(&["lb", "-c", "-q", "-dV", "-f", &file]);
    assert!(!said.contains("-dV"), "{said}");
}

#[test]
fn conditions_are_answered_by_the_status() {
    for (condition, status) in [
        ("version_atleast(2.4)", 0),
        ("version_atleast(99)", 1),
        ("streq(a,b)", 1),
    ] {
        let (found, _, printed) = kit::evenkeel(&["lb", "-cc", condition]);
        assert_eq!(found, status, "{condition}: {printed}");
    }
    let (found, _, printed) = kit::evenkeel(&["lb", "-cc", "nonsense("]);
    assert!(
        found == 2 && printed.contains("Failed to evaluate condition"),
        "{printed}"
    );
}

#[test]
fn a_link_named_haproxy_is_the_balancer() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let link = folder.path().join("haproxy");
    std::os::unix::fs::symlink(kit::binary(), &link).expect("the directory is ours");
    let (status, printed) = output(Command::new(link).arg("-v"));
    assert_eq!(status, Some(0));
    assert!(printed.contains("HAProxy version 2."), "{printed}");
}

#[test]
fn without_a_master_the_process_ends_by_the_signal() {
    for (signal, code, by) in [
        (Signal::SIGINT, None, Some(2)),
        (Signal::SIGTERM, None, Some(15)),
        (Signal::SIGUSR1, Some(0), None),
    ] {
        let balancer = Balancer::new("", &empty_listen());
        let mut daemon = balancer.start(&["-db"]);
        daemon.signal(signal);
        let status = daemon.wait_exit(LIMIT);
        assert_eq!((status.code(), status.signal()), (code, by), "{signal}");
        let left = std::fs::read_dir(balancer.path("run"))
            .expect("was made")
            .count();
        assert_eq!(left, 0, "the admin socket is removed at {signal}");
    }
}

#[test]
fn under_a_master_the_statuses_are_those_of_haproxy() {
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 0),
        (Signal::SIGUSR1, 0),
    ] {
        let balancer = Balancer::new("", &empty_listen());
        let mut daemon = balancer.start(&["-W"]);
        daemon.wait_line("Loading success.", LIMIT);
        daemon.signal(signal);
        assert_eq!(daemon.wait_exit(LIMIT).code(), Some(code), "{signal}");
    }
}

#[test]
fn a_master_ends_with_its_worker() {
    let balancer = Balancer::new("", &empty_listen());
    let mut daemon = balancer.start(&["-W"]);
    daemon.wait_line("Loading success.", LIMIT);
    let worker = balancer.ask("show info");
    let worker = worker
        .lines()
        .find_map(|line| line.strip_prefix("Pid: "))
        .expect("a pid");
    let worker = Pid::from_raw(worker.parse().expect("a number"));
    kill(worker, Signal::SIGKILL).expect("the worker is ours");
    assert_eq!(daemon.wait_exit(LIMIT).code(), Some(137));
}

#[test]
fn systemd_is_told_of_reloads_however_they_are_ordered() {
    let balancer = Balancer::new("", &empty_listen());
    let (cli, place) = (balancer.path("master.sock"), balancer.path("notify"));
    let socket = UnixDatagram::bind(&place).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let told = || {
        let mut buffer = [0; 4096];
        let size = socket.recv(&mut buffer).expect("something is told");
        String::from_utf8_lossy(&buffer[..size]).into_owned()
    };
    let mut command = balancer.command(&["-Ws", "-S", &cli.display().to_string()]);
    let mut daemon = Daemon::start("master", command.env("NOTIFY_SOCKET", &place));
    assert!(told().starts_with("READY=1\nMAINPID="));
    daemon.signal(Signal::SIGUSR2);
    assert!(told().starts_with("RELOADING=1\n"));
    assert!(told().ends_with("STATUS=Ready."));
    let file = std::fs::read_to_string(balancer.file()).expect("it is there");
    std::fs::write(balancer.file(), file + "    nonsense\n").expect("it can be written");
    let mut stream = std::os::unix::net::UnixStream::connect(&cli).expect("the master's CLI");
    stream.write_all(b"reload\n").expect("it listens");
    assert!(told().starts_with("RELOADING=1\n"));
    assert!(told().ends_with("STATUS=Ready. The latest reload was refused."));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(told(), "STOPPING=1");
    daemon.wait_exit(LIMIT);
}

#[test]
fn the_master_cli_shows_processes_passes_commands_on_and_reloads() {
    let balancer = Balancer::new("", &empty_listen());
    let cli = balancer.path("master.sock");
    let option = format!("{},mode,600", cli.display());
    let mut daemon = balancer.start(&["-W", "-S", &option]);
    daemon.wait_line("Loading success.", LIMIT);
    let ask = |command: &str| {
        let mut stream = kit::wait_for("the master's CLI", LIMIT, || {
            std::os::unix::net::UnixStream::connect(&cli).ok()
        });
        stream
            .write_all(format!("{command}\n").as_bytes())
            .expect("it listens");
        // the connection stays open for more
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    let processes = ask("show proc");
    assert!(
        processes.contains(&format!("{} ", daemon.pid())),
        "{processes}"
    );
    assert!(ask("@1 show info").contains("Uptime_sec"));
    let worker = ask("@1 show info");
    let worker = worker.lines().find_map(|line| line.strip_prefix("Pid: "));
    let worker = worker.expect("the worker's pid").to_owned();
    for prefix in [format!("@!{worker}"), format!("!{worker}"), "@1".to_owned()] {
        let answer = ask(&format!("{prefix}; show info; @master show info"));
        assert!(answer.contains(&format!("Pid: {worker}\n")), "{answer}");
        assert!(
            answer.contains(&format!("Pid: {}\n", daemon.pid())),
            "{answer}"
        );
    }
    for nobody in ["@2", "@!999999", "@@1"] {
        let answer = ask(&format!("{nobody} show info"));
        assert!(answer.starts_with("Can't find the target PID"), "{answer}");
    }
    assert_eq!(
        ask("@1 show cli level\noperator\nshow cli level\n@1 show cli level"),
        "admin\n\noperator\n\noperator\n\n"
    );
    assert_eq!(
        ask("user; reload; @1 disable frontend none; operator; show version"),
        "Permission denied\n\nPermission denied\n\nPermission denied!\n"
    );
    let path = cli.display().to_string();
    let (status, stdout, stderr) = kit::evenkeel(&["lb", "ctl", "-s", &path, "show", "proc"]);
    assert!(
        status == 0 && stdout.starts_with("#<PID>"),
        "{stdout}{stderr}"
    );
    let stream = std::os::unix::net::UnixStream::connect(&cli).expect("it listens");
    (&stream)
        .write_all(b"@1 show events buf0 -w\n")
        .expect("it reads");
    let mut events = BufReader::new(&stream);
    ask("@1 reload");
    let mut line = String::new();
    while !line.contains("Reload done") {
        line.clear();
        assert!(events.read_line(&mut line).expect("events as they come") > 0);
    }
    drop(events);
    assert!(ask("reload").contains("Success=1"));
    std::fs::write(balancer.file(), "nonsense\n").expect("the file is ours");
    assert!(ask("reload").contains("Success=0"));
    assert!(ask("show proc").contains("1 [failed: 1]"));
    assert!(ask("nonsense").contains("Unknown command"));
    daemon.stop();
}

#[test]
fn a_soft_stop_waits_for_the_last_session_and_listens_no_more() {
    let (server, _keep) = echo();
    let bind = format!("{}:1", address());
    let balancer = Balancer::new("", &listen_with(&bind, &server));
    let mut daemon = balancer.start(&["-db"]);
    let mut session = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut session, b"before");
    daemon.signal(Signal::SIGUSR1);
    kit::wait_until("the port is closed", LIMIT, || {
        TcpStream::connect(&bind).is_err()
    });
    exchange(&mut session, b"after");
    assert!(daemon.runs());
    drop(session);
    assert_eq!(daemon.wait_exit(LIMIT).code(), Some(0));
}

#[test]
fn hard_stop_after_ends_what_a_soft_stop_waits_for() {
    let (server, _keep) = echo();
    let bind = format!("{}:1", address());
    let balancer = Balancer::new("    hard-stop-after 200ms", &listen_with(&bind, &server));
    let mut daemon = balancer.start(&["-db"]);
    let mut session = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut session, b"x");
    daemon.signal(Signal::SIGUSR1);
    assert_eq!(daemon.wait_exit(LIMIT).code(), Some(0));
}

#[test]
fn after_a_kill_it_listens_again_at_once() {
    let (server, _keep) = echo();
    let bind = format!("{}:1", address());
    let balancer = Balancer::new("", &listen_with(&bind, &server));
    let mut first = balancer.start(&["-db"]);
    let mut session = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut session, b"x");
    first.signal(Signal::SIGKILL);
    first.wait_exit(LIMIT);
    let mut second = balancer.start(&["-db"]);
    exchange(
        &mut TcpStream::connect(&bind).expect("it listens again"),
        b"y",
    );
    second.stop();
}

#[test]
fn a_daemon_leaves_its_pid_and_is_there_when_its_parent_ends() {
    let (server, _keep) = echo();
    let bind = format!("{}:1", address());
    let balancer = Balancer::new("", &listen_with(&bind, &server));
    let pidfile = balancer.path("lb.pid");
    let mut command = balancer.command(&["-D", "-p"]);
    let (status, printed) = output(reorder(&mut command, &pidfile));
    assert_eq!(status, Some(0), "{printed}");
    exchange(
        &mut TcpStream::connect(&bind).expect("it listens already"),
        b"x",
    );
    let pid = std::fs::read_to_string(&pidfile).expect("it was written");
    let pid: i32 = pid
        .strip_suffix('\n')
        .expect("a line feed")
        .parse()
        .expect("a number");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it runs");
    kit::wait_until("the daemon ends", LIMIT, || {
        kill(Pid::from_raw(pid), None).is_err()
    });
}

#[test]
fn a_daemon_that_cannot_start_says_so_in_its_status() {
    let taken = TcpListener::bind((address(), 3)).expect("an address of our own");
    let bind = taken.local_addr().expect("bound");
    let balancer = Balancer::new("", &format!("listen a\n    bind {bind}"));
    let (status, printed) = output(&mut balancer.command(&["-D"]));
    assert_eq!(status, Some(1), "{printed}");
    assert!(printed.contains(&bind.to_string()), "{printed}");
}

#[test]
fn sf_ends_the_old_process_once_the_new_one_listens() {
    let (server, _keep) = echo();
    let bind = format!("{}:1", address());
    let balancer = Balancer::new("", &listen_with(&bind, &server));
    let mut old = balancer.start(&["-db"]);
    let mut session = TcpStream::connect(&bind).expect("it listens");
    exchange(&mut session, b"x");
    let pid = old.pid().to_string();
    let mut command = balancer.command(&["-db", "-sf", &pid]);
    let mut new = Daemon::start("the new one", &mut command);
    kit::wait_until("the new one answers", LIMIT, || {
        balancer
            .try_ask("show info")
            .is_ok_and(|info| info.contains(&format!("Pid: {}", new.pid())))
    });
    exchange(&mut session, b"the old session goes on");
    drop(session);
    assert_eq!(old.wait_exit(LIMIT).code(), Some(0));
    exchange(
        &mut TcpStream::connect(&bind).expect("the new one listens"),
        b"y",
    );
    new.stop();
}

#[test]
#[ignore = "needs root to change user and root directory; tests/run runs it"]
fn inside_a_chroot_a_reload_still_reads_files_names_and_opens_low_ports() {
    kit::sandboxed(|| {
        let (server, _keep) = echo();
        let bind = format!("{}:1001", address());
        let root = tempfile::tempdir().expect("a temporary directory");
        let global = format!(
            "    chroot {}\n    uid 99\n    gid 99\n    daemon",
            root.path().display()
        );
        let balancer = Balancer::new(&global, &listen_with(&bind, &server));
        let pidfile = balancer.path("lb.pid");
        let mut command = balancer.command(&["-p"]);
        let (status, printed) = output(reorder(&mut command, &pidfile));
        assert_eq!(status, Some(0), "{printed}");
        let pid = std::fs::read_to_string(&pidfile).expect("it was written");
        let pid = pid.trim().to_owned();
        let facts = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        assert!(facts.contains("Uid:\t99\t99"), "{facts}");
        let other = format!("{}:842", address());
        let more = format!(
            "{}\n    bind {other}\n    server s2 localhost:1",
            listen_with(&bind, &server)
        );
        balancer.write(&global, &more);
        let answer = balancer.ask("reload");
        assert!(answer.contains(&format!("+ listener {other}")), "{answer}");
        exchange(
            &mut TcpStream::connect(&other).expect("the new port is open"),
            b"x",
        );
        let pid = Pid::from_raw(pid.parse().expect("a number"));
        kill(pid, Signal::SIGTERM).expect("it runs");
    });
}

/// Puts the pid file behind the `-p` that stands last among the options.
fn reorder<'a>(command: &'a mut Command, pidfile: &std::path::Path) -> &'a mut Command {
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut fresh = Command::new(kit::binary());
    for arg in args {
        let is_pid_option = arg == "-p";
        fresh.arg(arg);
        if is_pid_option {
            fresh.arg(pidfile);
        }
    }
    *command = fresh;
    command
}

fn exchange(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_read_timeout(Some(LIMIT)).expect("a socket");
    stream.write_all(bytes).expect("the session is open");
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("the session is open");
    assert_eq!(back, bytes);
}

#[test]
fn without_descriptors_accept_pauses_says_so_once_and_goes_on() {
    let (server, _listener) = echo();
    let bind = format!("{}:1", address());
    let balancer = Balancer::new("", &listen_with(&bind, &server));
    let daemon = balancer.start(&["-db"]);
    let limit = ["--nofile=64:64", "--pid", &daemon.pid().to_string()];
    let limited = Command::new("prlimit").args(limit).status();
    assert!(limited.expect("util-linux").success());
    for _ in 0..3 {
        let connect = |_| TcpStream::connect(&bind).expect("the backlog has room");
        let clients: Vec<TcpStream> = (0..80).map(connect).collect();
        kit::wait_until("accept pauses", LIMIT, || {
            daemon.output().contains("accept pauses with")
        });
        // each end makes room for one that waits
        for client in clients {
            drop(client);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    let mut client = TcpStream::connect(&bind).expect("it goes on");
    client.set_read_timeout(Some(LIMIT)).expect("timeout");
    client.write_all(b"hello").expect("send");
    let mut answer = [0; 5];
    client.read_exact(&mut answer).expect("served");
    let output = daemon.output();
    // on stderr, beside the log
    let told = output.lines().filter(|line| line.starts_with("[WARNING]"));
    let told = told.filter(|line| line.contains("accept pauses")).count();
    assert_eq!(told, 1, "{output}");
}
