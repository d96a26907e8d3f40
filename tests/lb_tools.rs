//! `lb check --live`, `lb trace` and `lb convert` on the built binary.

mod kit;

use kit::balancer::{LIMIT, address};
use kit::{Balancer, Daemon, evenkeel};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

/// A server that takes connections and keeps them.
fn silent() -> (String, TcpListener) {
    let listener = TcpListener::bind((address(), 2)).expect("an address of our own");
    (listener.local_addr().expect("bound").to_string(), listener)
}

/// A server that sends back what it gets.
fn echo() -> String {
    let (at, listener) = silent();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = stream.try_clone().expect("a second descriptor");
                let _ = std::io::copy(&mut reader, &mut stream);
            });
        }
    });
    at
}

#[test]
fn live_checks_try_every_server_once_and_say_what_came_of_it() {
    let (good, _listener) = silent();
    let (mute, _other) = silent();
    let balancer = Balancer::new(
        "",
        &format!(
            "listen a\n    bind {}:1\n    server s1 {good} check inter 1s\n    server s2 {}:9 check inter 1s\n    \
             server s3 {good}\n    server s4 {good} check disabled\nbackend b\n    mode tcp\n    timeout check 300ms\n    \
             option tcp-check\n    tcp-check expect string hello\n    server s1 {mute} check inter 1s\n",
            address(),
            address()
        ),
    );
    let file = balancer.file().display().to_string();
    let (status, out, err) = evenkeel(&["lb", "check", "--live", "-f", &file]);
    assert_eq!(status, 1, "{out}{err}");
    let row = |name: &str| {
        out.lines()
            .find(|l| l.starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {out}"))
    };
    assert!(
        row("a/s1").contains(" ok ") && row("a/s1").contains("L4OK"),
        "{out}"
    );
    assert!(
        row("a/s2").contains("FAILED") && row("a/s2").contains("refused"),
        "{out}"
    );
    assert!(row("a/s3").contains("no check is configured"), "{out}");
    assert!(row("a/s4").contains("in maintenance"), "{out}");
    assert!(row("b/s1").contains("L7TOUT"), "{out}");
    assert!(
        out.contains("1 passed, 2 failed, 2 without a check"),
        "{out}"
    );
    let (status, out, _) = evenkeel(&["lb", "check", "--live", "--format", "json", "-f", &file]);
    let rows: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, rows[0]["passed"].as_bool()), (1, Some(true)));
    balancer.write(
        "",
        &format!(
            "listen a\n    bind {}:1\n    server s1 {good} check",
            address()
        ),
    );
    assert_eq!(evenkeel(&["lb", "check", "--live", "-f", &file]).0, 0);
    balancer.write("", "listen a\n    frob");
    let (status, _, err) = evenkeel(&["lb", "check", "--live", "-f", &file]);
    assert!(status == 2 && err.contains("frob"), "{status} {err}");
}

fn amqp_method(channel: u8, class: u8, number: u8, arguments: &[u8]) -> Vec<u8> {
    let mut frame = vec![
        1,
        0,
        channel,
        0,
        0,
        0,
        arguments.len() as u8 + 4,
        0,
        class,
        0,
        number,
    ];
    frame.extend(arguments);
    frame.push(0xCE);
    frame
}

#[test]
fn a_trace_shows_phases_bytes_and_methods_of_the_sessions_that_it_asks_for() {
    let (bind, server) = (format!("{}:1", address()), echo());
    let balancer = Balancer::new(
        "",
        &format!("listen a\n    bind {bind}\n    server s1 {server}"),
    );
    let mut daemon = balancer.start(&["-db"]);
    let pid = daemon.pid();
    let socket = balancer
        .path(&format!("run/lb-{pid}.sock"))
        .display()
        .to_string();
    let tracing = |words: &[&str]| {
        let mut command = Command::new(kit::binary());
        command.args(["lb", "trace", "-s", &socket]).args(words);
        Daemon::start("trace", &mut command)
    };
    let mut all = tracing(&["127.0.0.0/8"]);
    let mut others = tracing(&["src", "10.9.9.9"]);
    // until it is watched, a session tells nothing
    kit::wait_until("the trace begins", LIMIT, || {
        drop(TcpStream::connect(&bind).expect("it listens"));
        all.output().contains("session from")
    });
    let mut stream = TcpStream::connect(&bind).expect("it listens");
    let mut bytes = b"AMQP\x00\x00\x09\x01".to_vec();
    bytes.extend(amqp_method(1, 60, 40, b"\x00\x00\x02ex\x06orders\x00"));
    stream.write_all(&bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    drop(stream);
    let method = "[1] basic.publish exchange=\"ex\" key=\"orders\"";
    all.wait_line(&format!("->   {method}"), LIMIT);
    let line = all.wait_line(&format!("<-   {method}"), LIMIT);
    let id = line
        .split(' ')
        .find(|word| word.starts_with("0x"))
        .expect("an id")
        .to_owned();
    let end = format!("{id} end -- after");
    let end = all.wait_line(&end, LIMIT);
    assert!(
        end.ends_with(&format!("{} bytes in, {} out", bytes.len(), bytes.len())),
        "{end}"
    );
    let output = all.output();
    for what in [
        "protocol header",
        "phase connect",
        "phase relay",
        &format!("server a/s1 at {server}"),
    ] {
        assert!(
            output.lines().any(|l| l.contains(&id) && l.contains(what)),
            "{what}: {output}"
        );
    }
    assert_eq!(others.output(), "", "another network");
    assert!(others.runs());
    let mut wrong = tracing(&["src", "nowhere"]);
    assert_eq!(wrong.wait_exit(LIMIT).code(), Some(1));
    assert!(
        wrong.output().contains("no address or network"),
        "{}",
        wrong.output()
    );
    daemon.stop();
}

#[test]
fn a_trace_shows_requests_of_http_sessions_the_page_and_the_cli() {
    let (web, page, server) = (
        format!("{}:1", address()),
        format!("{}:1", address()),
        TcpListener::bind((address(), 2)).expect("an address of our own"),
    );
    let at = server.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in server.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    let balancer = Balancer::new(
        "",
        &format!(
            "frontend web\n    mode http\n    bind {web}\n    default_backend app\n\
             backend app\n    mode http\n    server s1 {at}\n\
             listen page\n    mode http\n    bind {page}\n    stats enable\n    stats uri /"
        ),
    );
    let mut daemon = balancer.start(&["-db"]);
    let socket = balancer.path(&format!("run/lb-{}.sock", daemon.pid()));
    let socket = socket.display().to_string();
    let tracing = |words: &[&str]| {
        let mut command = Command::new(kit::binary());
        command.args(["lb", "trace", "-s", &socket]).args(words);
        Daemon::start("trace", &mut command)
    };
    let get = |bind: &str, path: &str| {
        let mut stream = TcpStream::connect(bind).expect("it listens");
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let mut all = tracing(&[]);
    let mut of_cli = tracing(&["frontend", "GLOBAL"]);
    kit::wait_until("the trace begins", LIMIT, || {
        get(&page, "/;csv");
        all.output().contains(" on page")
    });
    kit::wait_until("the CLI's trace begins", LIMIT, || {
        balancer.ask("show version");
        of_cli.output().contains("-> show version")
    });
    assert!(get(&web, "/secret?x=1").ends_with("hello"));
    let line = all.wait_line("-> request GET /secret?x=1 HTTP/1.0", LIMIT);
    let id = line.split(' ').find(|word| word.starts_with("0x"));
    let id = id.expect("an id").to_owned();
    all.wait_line(&format!("{id} end after "), LIMIT);
    let output = all.output();
    for what in [
        "session from 127.",
        "phase request",
        "-> 28 bytes",
        "backend app",
        &format!("server app/s1 at {at}"),
        "phase connect",
        "phase headers",
        "<- status 200 of the server",
        "request done -- status 200, ",
        " 28 bytes in, ",
    ] {
        let found = output.lines().any(|l| l.contains(&id) && l.contains(what));
        assert!(found, "{what}: {output}");
    }
    assert!(output.contains("status 200, made here"), "{output}");
    assert!(!output.contains("show version"), "{output}");
    let mut wrong = tracing(&["frontend", "nowhere"]);
    assert_eq!(wrong.wait_exit(LIMIT).code(), Some(1));
    assert!(wrong.output().contains("There is no frontend 'nowhere'"));
    of_cli.stop();
    daemon.stop();
}

const NGINX: &str = "events { worker_connections 1024; }\nstream {\n    upstream mq {\n        least_conn;\n        \
    server 10.0.0.1:5672 weight=2 max_fails=3 fail_timeout=30s;\n        server 10.0.0.2:5672 backup max_conns=10;\n        \
    server [2001:db8::1]:5672 down;\n    }\n    map $ssl_preread_server_name $to {\n        .example.org mq;\n        \
    ~^x[0-9]+$ mq;\n        default 10.0.0.9:5671;\n    }\n    server {\n        listen 5672;\n        listen [::1]:5673;\n        \
    proxy_pass mq;\n        proxy_timeout 10m;\n        proxy_connect_timeout 2s;\n        proxy_protocol on;\n        \
    allow 10.0.0.0/8;\n        deny all;\n        proxy_upload_rate 1k;\n    }\n    server {\n        listen 127.0.0.1:5671;\n        \
    ssl_preread on;\n        proxy_pass $to;\n    }\n}\n";

fn converted(folder: &Path, text: &str) -> (i32, String, String) {
    let (from, to) = (folder.join("from.conf"), folder.join("to.cfg"));
    std::fs::write(&from, text).unwrap();
    let to_path = to.display().to_string();
    let (status, out, err) =
        evenkeel(&["lb", "convert", "-o", &to_path, &from.display().to_string()]);
    assert!(err.is_empty(), "{err}");
    let (checked, _, problems) = evenkeel(&["lb", "-c", "-f", &to_path]);
    assert_eq!(
        checked,
        0,
        "{problems}\n{}",
        std::fs::read_to_string(&to).unwrap()
    );
    (status, out, to_path)
}

#[test]
fn what_is_converted_passes_the_check_and_what_is_left_out_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let (status, out, _) = converted(folder.path(), NGINX);
    assert_eq!(status, 1, "{out}");
    assert!(
        out.contains(":23: LEFT OUT proxy_upload_rate 1k: "),
        "{out}"
    );
    assert_eq!(out.matches("LEFT OUT").count(), 1, "{out}");
    let (status, out, path) = converted(
        folder.path(),
        "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n\
         listen a\n  bind :1\n  frobnicate on\n  server s 10.0.0.1:1 check\n",
    );
    assert_eq!(status, 1, "{out}");
    assert!(
        out.contains("from.conf:8: LEFT OUT frobnicate on: "),
        "{out}"
    );
    assert!(
        std::fs::read_to_string(path)
            .unwrap()
            .contains("# frobnicate on    # left out: ")
    );
    assert_eq!(evenkeel(&["lb", "convert", "/nonexistent"]).0, 2);
}

#[test]
#[ignore = "needs haproxy; tests/run installs it and runs this"]
fn what_is_converted_from_nginx_passes_haproxy_s_check_too() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, path) = converted(folder.path(), NGINX);
    kit::run("haproxy", &["-c", "-f", &path]);
}
