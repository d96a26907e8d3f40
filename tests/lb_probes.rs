//! Agents, programs and protocols that check servers; where it is installed,
//! beside HAProxy on the same servers.

mod kit;

use kit::balancer::LIMIT;
use kit::{Balancer, Daemon, sandboxed, wait_for, wait_until};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Starts a server that does this with every connection.
fn server(port: u16, act: impl Fn(TcpStream) + Send + Sync + Clone + 'static) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free in here");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = act.clone();
            std::thread::spawn(move || act(stream));
        }
    });
}

fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).unwrap_or(0);
    buffer[..count].to_vec()
}

/// What the agents of the tests say, each on a port of its own from 6200 on.
const AGENTS: &[&[u8]] = &[
    b"up\n",
    b"down # because\n",
    b"drain\n",
    b"maint\n",
    b"ready up\n",
    b"75%\n",
    b"up 50% maxconn:30 # fine\n",
    b"stopped\n",
    b"fail\r\n",
    b"whatever\n",
    b"",
    b"UP, 30%\n",
    b"900%\n",
    b"up maxconn:x\n",
    b"up bogus\n",
    b"\n",
    b"50% drain#x\n",
    b"down bogus\n",
    b"-5%\n",
    b"up 5%x\n",
];

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = (body.len() as u32).to_le_bytes()[..3].to_vec();
    packet.push(number);
    packet.extend_from_slice(body);
    packet
}

/// A MySQL server: greeting, log-in, answer.
fn mysql(mut stream: TcpStream, greeting: &[u8], answer: &[u8]) {
    let _ = stream.write_all(&packet(0, greeting));
    if !hear(&mut stream).is_empty() {
        let _ = stream.write_all(&packet(2, answer));
        hear(&mut stream);
    }
}

const GREETING: &[u8] =
    b"\x0a5.5.5-10.11.6-MariaDB\0\x01\0\0\x0012345678\0\xff\xf7\x21\x02\0\x81\x15";

/// A check, the server's name, its first words, and its answer to each thing said.
type Dialogue = (
    &'static str,
    &'static str,
    &'static [u8],
    &'static [&'static [u8]],
);

/// What servers of other protocols answer, each on a port of its own from
/// 6300 on: first without being asked, then to each thing said.
const PROTOCOLS: &[Dialogue] = &[
    ("redis-check", "good", b"", &[b"+PONG\r\n"]),
    (
        "redis-check",
        "locked",
        b"",
        &[b"-NOAUTH Authentication required.\r\n"],
    ),
    (
        "smtpchk",
        "good",
        b"220 mail ready\r\n",
        &[b"250 hello\r\n", b"221 see you\r\n"],
    ),
    ("smtpchk", "full", b"554 no service\r\n", &[]),
    ("smtpchk", "rude", b"220 mail\r\n", &[b"501 what\r\n"]),
    ("pgsql-check user x", "good", b"", &[b"R\0\0\0\x08\0\0\0\0"]),
    (
        "pgsql-check user x",
        "refuses",
        b"",
        &[b"E\0\0\0\x10SFATAL\0C28000\0"],
    ),
    (
        "pgsql-check user x",
        "strange",
        b"",
        &[b"R\0\0\0\x08\0\0\0\x63"],
    ),
    (
        "ldap-check",
        "good",
        b"",
        &[b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\0\x04\0"],
    ),
    (
        "ldap-check",
        "denies",
        b"",
        &[b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0"],
    ),
    ("ldap-check", "other", b"", &[b"this is not LDAP at all"]),
    (
        "ssl-hello-chk",
        "good",
        b"",
        &[b"\x15\x03\x01\x00\x02\x02\x28"],
    ),
    ("ssl-hello-chk", "plain", b"", &[b"HTTP/1.1 400 Bad\r\n"]),
];

fn start_servers() {
    for (index, (_, _, first, answers)) in PROTOCOLS.iter().enumerate() {
        server(6300 + index as u16, move |mut stream| {
            let _ = stream.write_all(first);
            for answer in *answers {
                if hear(&mut stream).is_empty() || stream.write_all(answer).is_err() {
                    return;
                }
            }
            // what was said last is read, so that no reset overtakes the answer
            let _ = stream.shutdown(std::net::Shutdown::Write);
            while !hear(&mut stream).is_empty() {}
        });
    }
    server(6000, |mut stream| drop(hear(&mut stream)));
    for (index, line) in AGENTS.iter().enumerate() {
        server(6200 + index as u16, move |mut stream| {
            assert_eq!(hear(&mut stream), b"hello\n");
            let _ = stream.write_all(line);
        });
    }
    server(6101, |s| mysql(s, GREETING, b"\0\0\0\x02\0\0\0"));
    server(6102, |s| {
        mysql(s, b"\xff\x6a\x04Host 'x' is not allowed", b"")
    });
    server(6103, |s| {
        mysql(
            s,
            GREETING,
            b"\xff\x15\x04#28000Access denied for user 'bob'",
        );
    });
}

fn backends(script: &Path) -> String {
    let mut text = format!(
        "frontend f\n    bind 127.0.0.1:PORT\n    default_backend agents\n\
         backend greeting\n    option mysql-check\n    default-server check inter 200\n    \
         server ok 127.0.0.1:6101\n    server refused 127.0.0.1:6102\n\
         backend user\n    option mysql-check user bob\n    default-server check inter 200\n    \
         server ok 127.0.0.1:6101\n    server denied 127.0.0.1:6103\n\
         backend programs\n    option external-check\n    external-check command {script}\n    \
         server good 127.0.0.1:6000 check inter 300\n    server bad 127.0.0.1:6000 check inter 300\n    \
         server slow 127.0.0.1:6000 check inter 300\n\
         backend nothing\n    option external-check\n    external-check command /nonexistent\n    \
         server s 127.0.0.1:6000 check inter 300\n\
         backend agents\n    default-server agent-check agent-inter 200\n",
        script = script.display()
    );
    for index in 0..AGENTS.len() {
        let check = if index % 2 == 0 {
            "check inter 200"
        } else {
            ""
        };
        text.push_str(&format!(
            "    server a{index} 127.0.0.1:6000 weight 10 agent-port {} agent-send \"hello\\n\" {check}\n",
            6200 + index
        ));
    }
    text.push_str("    server gone 127.0.0.1:6000 agent-port 6299\n");
    for (index, (kind, name, ..)) in PROTOCOLS.iter().enumerate() {
        text.push_str(&format!(
            "backend p{index}\n    option {kind}\n    server {name} 127.0.0.1:{} check inter 200\n",
            6300 + index
        ));
    }
    text
}

/// Servers whose check's text differs on purpose: ours goes on showing MySQL's
/// version and says why a program could not run.
const OWN_WORDS: &[&str] = &["greeting/ok", "user/ok", "nothing/s"];

/// Columns that both programs must agree on.
const COLUMNS: &[&str] = &[
    "status",
    "weight",
    "act",
    "slim",
    "check_status",
    "check_code",
    "check_desc",
    "last_chk",
    "agent_status",
    "agent_code",
    "agent_desc",
    "last_agt",
    "agent_rise",
    "agent_fall",
    "agent_health",
];

/// The columns of every server, by `backend/server`.
fn table(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ")
        .split(',')
        .collect();
    let rows = lines.filter(|line| !line.is_empty()).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |name: &str| {
            let index = names.iter().position(|n| *n == name).expect("a column");
            cells.get(index).copied().unwrap_or_default()
        };
        // a check that runs just now
        let shown = |name: &&str| cell(name).trim_start_matches("* ").to_owned();
        let key = format!("{}/{}", cell("pxname"), cell("svname"));
        let own_words = OWN_WORDS.contains(&key.as_str());
        let agreed = COLUMNS
            .iter()
            .filter(|name| !own_words || **name != "last_chk");
        let cells = agreed.map(|name| format!("{name}={}", shown(name)));
        (key, cells.collect())
    });
    rows.filter(|(key, _): &(String, Vec<String>)| {
        !key.ends_with("/FRONTEND") && !key.ends_with("/BACKEND")
    })
    .collect()
}

fn script(balancer: &Balancer) -> std::path::PathBuf {
    let path = balancer.path("probe.sh");
    let pids = balancer.path("pids");
    let text = format!(
        "#!/bin/bash\ncase $HAPROXY_SERVER_NAME in\n\
         good) [ \"$3 $4 $HAPROXY_SERVER_PORT\" = '127.0.0.1 6000 6000' ];;\n\
         bad) exit 3;;\n\
         slow) /bin/sleep 300 & echo $! >>{0}; echo $$ >>{0}; trap '' TERM; /bin/sleep 300; wait;;\n\
         esac\n",
        pids.display()
    );
    std::fs::write(&path, text).expect("the directory is ours");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("it is ours");
    path
}

const GLOBAL: &str = "    external-check\n    insecure-fork-wanted\n";

#[test]
#[ignore = "needs haproxy; tests/run installs it and runs this"]
fn checks_of_every_kind_find_what_haproxy_finds() {
    sandboxed(|| {
        start_servers();
        let peer = Balancer::new(GLOBAL, "");
        let ours = Balancer::new(GLOBAL, "");
        let script = script(&ours);
        ours.write(GLOBAL, &backends(&script).replace("PORT", "7001"));
        peer.write(GLOBAL, &backends(&script).replace("PORT", "7002"));
        let mut haproxy = Command::new("haproxy");
        let _haproxy = Daemon::start("haproxy", haproxy.arg("-db").arg("-f").arg(peer.file()));
        let _evenkeel = ours.start(&[]);
        // each server at some moment: a check that runs just now shows less
        let mut agreed = std::collections::BTreeSet::new();
        let mut differing = Vec::new();
        for _ in 0..100 {
            let both = peer
                .try_ask("show stat")
                .ok()
                .zip(ours.try_ask("show stat").ok());
            let (theirs, own) = both.map_or_else(Default::default, |(a, b)| (table(&a), table(&b)));
            differing.clear();
            for (name, row) in theirs {
                let mine = own.get(&name).cloned().unwrap_or_default();
                let checked = !row.iter().any(|cell| cell.ends_with("=INI"));
                if row == mine && checked {
                    agreed.insert(name);
                } else if !agreed.contains(&name) {
                    let cells = row.iter().zip(&mine).filter(|(a, b)| a != b);
                    let cells: Vec<_> = cells.collect();
                    differing.push(format!("{name}: haproxy and evenkeel {cells:?}"));
                }
            }
            if !agreed.is_empty() && differing.is_empty() {
                assert!(agreed.len() > AGENTS.len() + PROTOCOLS.len());
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{}", differing.join("\n"));
    });
}

#[test]
fn an_amqp_check_introduces_itself_by_its_own_addresses() {
    sandboxed(|| {
        let (told, heard) = std::sync::mpsc::channel();
        for port in [6001, 6002] {
            let told = told.clone();
            server(port, move |mut stream| {
                let peer = stream.peer_addr().expect("somebody connected");
                let _ = told.send((port, peer.port(), hear(&mut stream)));
            });
        }
        let balancer = Balancer::new(
            "",
            "backend amqp\n    option amqp-check\n    \
             server s 127.0.0.1:6001 send-proxy-v2 check inter 100ms\n\
             backend script\n    option tcp-check\n    tcp-check expect string x\n    \
             server s 127.0.0.1:6002 send-proxy-v2 check inter 100ms\n\
             listen a\n    bind 127.0.0.1:7001\n",
        );
        let _balancer = balancer.start(&[]);
        let header = |port: u16| {
            let of = |heard: &(u16, u16, Vec<u8>)| heard.0 == port;
            heard.iter().find(of).expect("a check comes")
        };
        // a check of HAProxy's kinds says that no client is behind it
        let (_, _, script) = header(6002);
        assert_eq!(script[12..], [0x20, 0, 0, 0]);
        let (_, from, amqp) = header(6001);
        let mut expected = vec![0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1];
        expected.extend(from.to_be_bytes());
        expected.extend(6001_u16.to_be_bytes());
        assert_eq!(amqp[12..28], expected);
    });
}

fn runs(pid: &str) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
        && std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

#[test]
fn a_program_that_hangs_is_killed_with_all_that_it_started() {
    sandboxed(|| {
        let balancer = Balancer::new(GLOBAL, "");
        let script = script(&balancer);
        let text = format!(
            "listen l\n    bind 127.0.0.1:7001\n    option external-check\n    \
             external-check command {}\n    server slow 127.0.0.1:6000 check inter 200\n",
            script.display()
        );
        balancer.write(GLOBAL, &text);
        let mut daemon = balancer.start(&[]);
        wait_until("the check has failed", LIMIT, || {
            balancer
                .stat("l", "slow", "check_status")
                .contains("PROCTOUT")
        });
        assert!(balancer.stat("l", "slow", "status").starts_with("DOWN"));
        let pids = std::fs::read_to_string(balancer.path("pids")).expect("the script wrote it");
        let first: Vec<&str> = pids.lines().take(2).collect();
        assert_eq!(first.len(), 2, "{pids}");
        wait_until("the first program and its child are gone", LIMIT, || {
            first.iter().all(|pid| !runs(pid))
        });
        // at the end nothing stays behind either
        daemon.stop();
        let pids = std::fs::read_to_string(balancer.path("pids")).expect("still there");
        wait_until("no program outlives the balancer", LIMIT, || {
            pids.lines().all(|pid| !runs(pid))
        });
    });
}

#[test]
fn an_agent_steers_its_server_and_goes_on_in_maintenance() {
    sandboxed(|| {
        let word = std::sync::Arc::new(std::sync::Mutex::new("up\n"));
        let said = word.clone();
        server(6000, |mut stream| drop(hear(&mut stream)));
        server(6200, move |mut stream| {
            let _ = stream.write_all(said.lock().expect("no test panics here").as_bytes());
        });
        let balancer = Balancer::new(
            "",
            "listen l\n    bind 127.0.0.1:7001\n    \
             server s 127.0.0.1:6000 weight 100 check inter 100 agent-check agent-port 6200 agent-inter 100\n",
        );
        let _daemon = balancer.start(&[]);
        let becomes = |words: &'static str, column: &str, value: &str| {
            *word.lock().expect("no test panics here") = words;
            let what = format!("{column} is {value} after {words:?}");
            wait_until(&what, LIMIT, || balancer.stat("l", "s", column) == value);
        };
        becomes("up\n", "agent_status", "L7OK");
        becomes("40%\n", "weight", "40");
        becomes("maxconn:7\n", "slim", "7");
        becomes("drain\n", "status", "DRAIN (agent)");
        becomes("maint\n", "status", "MAINT");
        becomes("ready up 100%\n", "status", "UP");
        becomes("down\n", "status", "DOWN (agent)");
        becomes("up\n", "status", "UP");
        // an operator can do without it
        assert_eq!(balancer.ask("disable agent l/s"), "\n");
        becomes("down\n", "status", "UP");
        assert!(
            balancer
                .ask("set server l/s agent down")
                .contains("not enabled")
        );
        balancer.ask("enable agent l/s");
        becomes("down\n", "status", "DOWN (agent)");
        balancer.ask("set server l/s agent-port 6299");
        balancer.ask("set server l/s agent up");
        becomes("down\n", "agent_status", "L4CON");
        assert_eq!(balancer.stat("l", "s", "status"), "UP");
    });
}

#[test]
fn a_healthcheck_section_serves_several_backends_and_its_variables_reach_the_log() {
    sandboxed(|| {
        server(6000, |mut stream| {
            hear(&mut stream);
            let _ = stream.write_all(b"+node-7 ready\r\n");
            hear(&mut stream);
        });
        let text = "healthcheck greeting\n    type tcp-check\n    \
             tcp-check set-var(check.me) str(balancer),upper\n    \
             tcp-check send-lf \"hello from %[var(check.me)]\\r\\n\"\n    \
             tcp-check expect rstring ready on-success \"node %[check.payload(1,6)] for %[var(check.me)]\"\n\
             listen a\n    bind 127.0.0.1:7001\n    option log-health-checks\n    \
             server s 127.0.0.1:6000 check inter 100 healthcheck greeting\n\
             backend b\n    server s 127.0.0.1:6000 check inter 100 healthcheck greeting\n    \
             server plain 127.0.0.1:6000 check inter 100\n";
        let balancer = Balancer::new("", text);
        let daemon = balancer.start(&[]);
        for backend in ["a", "b"] {
            wait_until("the section's check passes", LIMIT, || {
                balancer.stat(backend, "s", "check_status") == "L7OK"
            });
            assert_eq!(
                balancer.stat(backend, "s", "last_chk"),
                "node node-7 for BALANCER"
            );
        }
        wait_until("the backend's own check passes", LIMIT, || {
            balancer.stat("b", "plain", "check_status") == "L4OK"
        });
        assert!(
            daemon
                .output()
                .contains("info: \"node node-7 for BALANCER\"")
        );
    });
}

/// A real server of Debian and the check that is for it.
#[test]
#[ignore = "needs redis-server; tests/run installs it and runs this"]
fn a_real_redis_passes_its_check_and_fails_one_for_others() {
    sandboxed(|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut redis = Command::new("redis-server");
        redis
            .args(["--port", "6379", "--save", "", "--dir"])
            .arg(folder.path());
        let _redis = Daemon::start("redis-server", &mut redis);
        wait_for("redis listens", LIMIT, || {
            TcpStream::connect("127.0.0.1:6379").ok()
        });
        let balancer = Balancer::new(
            "",
            "listen r\n    bind 127.0.0.1:7001\n    option redis-check\n    \
             server s 127.0.0.1:6379 check inter 100\n\
             backend m\n    option mysql-check\n    timeout check 300ms\n    \
             server s 127.0.0.1:6379 check inter 300\n",
        );
        let _daemon = balancer.start(&[]);
        wait_until("redis is up", LIMIT, || {
            balancer.stat("r", "s", "check_status") == "L7OK"
        });
        wait_until("redis is no MySQL", LIMIT, || {
            balancer.stat("m", "s", "check_status").ends_with("L7TOUT")
        });
    });
}
