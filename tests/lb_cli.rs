//! The runtime CLI of the built binary and `evenkeel lb ctl`.

mod kit;

use kit::{Daemon, evenkeel, sandboxed, wait_until};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "
global
    stats socket DIR/admin.sock level admin mode 600
    stats socket DIR/user.sock level user
    stats socket ipv4@127.0.0.1:9999 level operator
    stats timeout 2s
defaults
    mode tcp
    timeout connect 1s
    timeout client 60s
    timeout server 60s
listen rabbit
    bind 127.0.0.1:5672
    server n1 127.0.0.1:6001 check inter 100ms rise 2 fall 3 weight 10
    server n2 127.0.0.1:6001 weight 1
    server n3 127.0.0.1:6001 track n1
frontend fe
    bind 127.0.0.1:5673
    default_backend rabbit
";

struct Running {
    daemon: Daemon,
    directory: PathBuf,
}

fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:6001").expect("the port is free in here");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0u8; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    // the sandbox has its own process numbers, but not its own /tmp
    let directory = tempfile::tempdir()
        .expect("a temporary directory can be made")
        .keep();
    let shown = directory.to_str().expect("the path is text");
    let file = directory.join("lb.cfg");
    std::fs::write(&file, CONFIG.replace("DIR", shown)).expect("the file can be written");
    let file = file.to_str().expect("the path is text");
    let daemon = Daemon::evenkeel(&["lb", "-db", "--run-dir", shown, "-f", file]);
    let running = Running { daemon, directory };
    wait_until("the CLI answers and n1 is up", PATIENCE, || {
        UnixStream::connect(running.directory.join("admin.sock")).is_ok()
            && running.admin("show stat").contains(",L4OK,")
    });
    running
}

impl Running {
    fn admin(&self, line: &str) -> String {
        self.socket("admin.sock", line)
    }

    fn socket(&self, name: &str, line: &str) -> String {
        let path = self.directory.join(name);
        let stream = UnixStream::connect(path).expect("the socket listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
        talk(stream, line)
    }

    fn ctl(&self, command: &[&str]) -> (i32, String, String) {
        let directory = self.directory.to_str().expect("the path is text");
        let arguments: Vec<&str> = ["lb", "ctl", "--run-dir", directory]
            .into_iter()
            .chain(command.iter().copied())
            .collect();
        evenkeel(&arguments)
    }
}

fn talk(mut stream: impl Read + Write, line: &str) -> String {
    stream
        .write_all(format!("{line}\n").as_bytes())
        .expect("it takes a line");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it closes");
    answer
}

#[test]
fn every_command_answers_with_the_words_that_scripts_know() {
    sandboxed(|| {
        let running = start();
        // command and answer, without the empty line at the end
        let table = include_str!("lb_cli/answers.txt");
        for case in table.split("\n---\n").filter(|case| !case.starts_with('#')) {
            let (command, expected) = case.split_once('\n').unwrap_or((case, ""));
            let answer = running.admin(command.trim_start_matches("> "));
            assert_eq!(answer.trim_end(), expected.trim_end(), "{command}");
        }
    });
}

#[test]
fn what_is_shown_is_selected_by_names_and_numbers() {
    sandboxed(|| {
        let running = start();
        let rows = |command: &str| -> Vec<String> {
            let answer = running.admin(command);
            let rows = answer.lines().skip(1).filter(|line| !line.is_empty());
            let name = |row: &str| row.split(',').nth(1).unwrap_or(row).to_owned();
            rows.map(name).collect()
        };
        // what is no number counts as 0, the number of a proxy's own rows
        assert_eq!(rows("show stat rabbit 2 n1"), ["BACKEND"]);
        assert_eq!(rows("show stat rabbit 4 2x"), ["n2"]);
        assert_eq!(rows("show stat 2 5 -1"), ["FRONTEND", "n1", "n2", "n3"]);
        let states = |command: &str| {
            let answer = running.admin(command);
            answer.lines().filter(|line| !line.is_empty()).count()
        };
        assert_eq!(states("show servers state rabbit"), 5);
        assert_eq!(states("show servers state #2"), 5);
        assert_eq!(states("show servers state #3"), 1);
        let none = running.admin("show errors 99");
        assert!(none.starts_with("Total events captured on"), "{none}");
    });
}

/// As haproxy 2.6.12 shows the same.
#[test]
fn what_was_set_at_run_time_is_shown_and_counters_are_cleared_but_a_backends_downs() {
    sandboxed(|| {
        let running = start();
        running.admin("set server rabbit/n1 check-addr 127.0.0.1 port 6001");
        let states = running.admin("show servers state rabbit");
        assert!(states.contains(" 6001 127.0.0.1 - 0\n"), "{states}");
        assert!(running.admin("show errors -1").starts_with("Total events"));
        let downs = || {
            let table = running.admin("show stat rabbit 6 1");
            let rows: Vec<Vec<&str>> = table.lines().map(|l| l.split(',').collect()).collect();
            let index = rows[0].iter().position(|name| *name == "chkdown");
            // the number of a server does not leave out the backend
            let backend = rows.iter().find(|row| row.get(1) == Some(&"BACKEND"));
            backend.expect("a row")[index.expect("a column")].to_owned()
        };
        assert_eq!(downs(), "0");
        for server in ["n1", "n2", "n3"] {
            running.admin(&format!("disable server rabbit/{server}"));
        }
        running.admin("clear counters all");
        assert_eq!(downs(), "1");
    });
}

#[test]
fn a_frontend_that_is_disabled_or_paused_by_a_signal_refuses_connections() {
    sandboxed(|| {
        let running = start();
        let connects = || TcpStream::connect("127.0.0.1:5673").is_ok();
        let mut before = TcpStream::connect("127.0.0.1:5673").expect("it listens");
        let mut exchange = || {
            before.write_all(b"x").expect("the session lives");
            before.read_exact(&mut [0]).expect("the session lives");
        };
        // what still waits in the queue would be refused, too
        exchange();
        running.admin("disable frontend fe");
        assert!(!connects() && TcpStream::connect("127.0.0.1:5672").is_ok());
        exchange();
        running.admin("enable frontend fe");
        assert!(connects());
        running.daemon.signal(Signal::SIGTTOU);
        wait_until("it pauses", PATIENCE, || !connects());
        running.daemon.signal(Signal::SIGQUIT);
        running.daemon.signal(Signal::SIGTTIN);
        wait_until("it accepts again", PATIENCE, connects);
        let again = || TcpStream::connect("127.0.0.1:5673").map(|mut s| s.write_all(b"x"));
        assert!(matches!(again(), Ok(Ok(()))));
    });
}

#[test]
fn levels_bound_what_a_socket_may_do() {
    sandboxed(|| {
        let running = start();
        for refused in [
            "set weight rabbit/n1 1",
            "show sess",
            "show env",
            "show errors",
            "clear counters",
            "disable frontend fe",
            "operator",
            "reload",
            "get var proc.x",
        ] {
            let answer = running.socket("user.sock", refused);
            assert_eq!(answer, "Permission denied\n\n", "{refused}");
        }
        let user = running.socket("user.sock", "show stat");
        assert!(user.contains("rabbit,n1,") && !user.contains("127.0.0.1:6001"));
        let tcp = || TcpStream::connect("127.0.0.1:9999").expect("it listens");
        assert_eq!(talk(tcp(), "show cli level"), "operator\n\n");
        assert_eq!(talk(tcp(), "clear counters all"), "Permission denied\n\n");
        assert_eq!(talk(tcp(), "clear counters"), "\n");
        let mode = std::fs::metadata(running.directory.join("admin.sock"))
            .expect("it exists")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    });
}

#[test]
fn a_server_is_changed_and_the_statistics_say_so() {
    sandboxed(|| {
        let running = start();
        let column = |server: &str, name: &str| {
            let csv = running.admin("show stat");
            let mut lines = csv.lines();
            let head = lines.next().expect("there is a head");
            let place = head
                .trim_start_matches("# ")
                .split(',')
                .position(|column| column == name)
                .expect("the column exists");
            let line = lines
                .find(|line| line.starts_with(&format!("rabbit,{server},")))
                .expect("the row exists");
            line.split(',').nth(place).unwrap_or("").to_owned()
        };
        assert_eq!(column("n1", "status"), "UP");
        assert_eq!(running.admin("set server rabbit/n1 state drain"), "\n");
        assert_eq!(column("n1", "status"), "DRAIN");
        assert_eq!(column("n3", "status"), "DRAIN", "it follows n1");
        running.admin("set server rabbit/n1 state maint");
        assert_eq!(column("n3", "status"), "MAINT (via rabbit/n1)");
        running.admin("set server rabbit/n1 state ready");
        running.admin("set weight rabbit/n1 50%");
        assert_eq!(column("n1", "weight"), "5");
        running.admin("set maxconn server rabbit/n2 7");
        assert_eq!(column("n2", "slim"), "7");
        running.admin("set server rabbit/n2 addr 127.0.0.9 port 99");
        assert_eq!(column("n2", "addr"), "127.0.0.9:99");
        running.admin("set server rabbit/n1 check-port 1");
        wait_until("checks go to the new port", PATIENCE, || {
            column("n1", "status") == "DOWN"
        });
        assert_eq!(column("n1", "check_status"), "L4CON");
        let events = running.admin("show events buf0");
        assert!(events.contains("Server rabbit/n1 is DOWN"), "{events}");
    });
}

#[test]
fn sessions_are_listed_and_ended() {
    sandboxed(|| {
        let running = start();
        let mut client = TcpStream::connect("127.0.0.1:5672").expect("it listens");
        client.write_all(b"hello").expect("it takes bytes");
        let mut echo = [0u8; 5];
        client.read_exact(&mut echo).expect("it answers");
        let line = running.admin("show sess");
        assert!(line.contains("fe=rabbit be=rabbit srv=n"), "{line}");
        let id = line.split(':').next().expect("a line starts with the id");
        let full = running.admin(&format!("show sess {id}"));
        assert!(full.contains("  frontend=rabbit (id=2 mode=tcp)"), "{full}");
        assert_eq!(running.admin(&format!("shutdown session {id}")), "\n");
        assert_eq!(
            client.read(&mut echo).unwrap_or(0),
            0,
            "the session is over"
        );
        wait_until("the session is gone", PATIENCE, || {
            !running.admin("show sess").contains("fe=rabbit")
        });
        // who asks is listed, too, as in HAProxy
        let asking = running.admin("show sess");
        assert!(asking.contains("proto=unix_stream src=unix:"), "{asking}");
        let answer = running.admin(&format!("shutdown session {id}"));
        assert_eq!(answer, "No such session (use 'show sess').\n\n");
    });
}

#[test]
fn a_frontend_is_disabled_enabled_and_shut_down() {
    sandboxed(|| {
        let running = start();
        assert_eq!(running.admin("disable frontend fe"), "\n");
        assert!(running.admin("show stat").contains("fe,FRONTEND,,,0,0,"));
        assert!(running.admin("show stat").contains(",PAUSED,"));
        assert_eq!(running.admin("enable frontend fe"), "\n");
        assert_eq!(running.admin("shutdown frontend fe"), "\n");
        wait_until("nothing listens", PATIENCE, || {
            TcpStream::connect("127.0.0.1:5673").is_err()
        });
    });
}

#[test]
fn the_client_finds_the_socket_and_tells_success_by_its_status() {
    sandboxed(|| {
        let running = start();
        let (status, out, err) = running.ctl(&["show", "version"]);
        assert_eq!((status, err.as_str()), (0, ""), "{out}");
        assert_eq!(out.lines().count(), 1);
        let (status, out, err) = running.ctl(&["set", "weight", "rabbit/nope", "1"]);
        assert_eq!((status, out.as_str()), (1, ""));
        assert_eq!(err, "No such server.\n");
        let (status, _, err) = running.ctl(&["shwo", "stat"]);
        assert_eq!(status, 1);
        assert!(err.contains("show stat"), "{err}");
        let (status, table, _) = running.ctl(&["--table", "show", "stat"]);
        assert_eq!(status, 0);
        assert!(table.starts_with("PROXY "), "{table}");
        let (status, _, err) =
            evenkeel(&["lb", "ctl", "--run-dir", "/nonexistent", "show", "info"]);
        assert_eq!(status, 3);
        assert!(err.contains("no running balancer"), "{err}");
        let pidfile = running.directory.join("pid");
        std::fs::write(&pidfile, format!("{}\n", running.daemon.pid())).expect("it can be written");
        let pidfile = pidfile.to_str().expect("the path is text");
        let (status, ..) = running.ctl(&["-p", pidfile, "show", "version"]);
        assert_eq!(status, 0);
    });
}

#[test]
fn garbage_slow_and_silent_operators_are_disconnected() {
    sandboxed(|| {
        let mut running = start();
        let path = running.directory.join("admin.sock");
        let mut garbage = UnixStream::connect(&path).expect("it listens");
        let _ = garbage.write_all(&[0xff; 100_000]);
        let mut rest = Vec::new();
        let _ = garbage.read_to_end(&mut rest);
        assert!(rest.is_empty());
        // more than are served at once, all silent: their time-out frees the places
        let silent: Vec<_> = (0..15).map(|_| UnixStream::connect(&path)).collect();
        assert!(running.admin("show info").starts_with("Name: "));
        drop(silent);
        assert!(running.daemon.runs());
    });
}
