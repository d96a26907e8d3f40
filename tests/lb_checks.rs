//! Health checks against servers that misbehave in each way.

mod kit;

use kit::Balancer;
use kit::balancer::{LIMIT, address};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Starts a server that does this with every connection; gives its address.
fn server(act: fn(TcpStream)) -> String {
    let listener = TcpListener::bind((address(), 7)).expect("an address of our own");
    let at = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || act(stream));
        }
    });
    at
}

fn silent(mut stream: TcpStream) {
    // until the check gives up
    let mut buffer = [0; 64];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

fn answers(mut stream: TcpStream, answer: &[u8]) {
    let mut buffer = [0; 1024];
    if stream.read(&mut buffer).is_ok() && stream.write_all(answer).is_ok() {
        silent(stream);
    }
}

fn resets(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer);
    let socket = nix::sys::socket::sockopt::Linger;
    let now = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    nix::sys::socket::setsockopt(&stream, socket, &now).expect("a socket");
}

fn closes(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer);
}

fn garbage(stream: TcpStream) {
    answers(stream, &[0xC8; 300]);
}

fn good(stream: TcpStream) {
    answers(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

fn missing(stream: TcpStream) {
    answers(
        stream,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    );
}

fn failing(stream: TcpStream) {
    answers(
        stream,
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    );
}

fn half(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer);
    let _ = stream.write_all(b"HTTP/1.1 200 O");
}

fn drips(mut stream: TcpStream) {
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        .iter()
        .cycle()
    {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        // slow on purpose: longer than the check has in all
        std::thread::sleep(Duration::from_millis(60));
    }
}

fn pong(stream: TcpStream) {
    answers(stream, b"+PONG\r\n");
}

/// A kind of check, and per server what it finds: status, short name, text.
type Row = (
    &'static str,
    fn(TcpStream),
    &'static str,
    &'static str,
    &'static str,
);

const HTTP: &str = "option httpchk GET /";
const NO_404: &str = "option httpchk\n    http-check disable-on-404";
const BODY: &str = "option httpchk GET /\n    http-check expect string hello";
const PING: &str =
    "option tcp-check\n    tcp-check send PING\\r\\n\n    tcp-check expect string +PONG";
const AMQP: &str = "option amqp-check";

#[test]
fn every_misbehaviour_has_its_status_and_its_words() {
    let rows: &[Row] = &[
        ("", silent, "UP", "L4OK", ""),
        ("", resets, "UP", "L4OK", ""),
        (HTTP, good, "UP", "L7OK", ""),
        (HTTP, silent, "DOWN", "L7TOUT", ""),
        (HTTP, resets, "DOWN", "SOCKERR", "Connection reset by peer"),
        (HTTP, closes, "DOWN", "L7RSP", ""),
        (HTTP, garbage, "DOWN", "L7RSP", ""),
        (HTTP, half, "DOWN", "L7RSP", ""),
        (HTTP, drips, "DOWN", "L7TOUT", ""),
        (HTTP, missing, "DOWN", "L7STS", "Not Found"),
        (HTTP, failing, "DOWN", "L7STS", "Service Unavailable"),
        (NO_404, missing, "NOLB", "L7OKC", ""),
        (BODY, good, "UP", "L7OK", ""),
        (BODY, pong, "DOWN", "L7RSP", ""),
        (PING, pong, "UP", "L7OK", "(tcp-check)"),
        (
            PING,
            silent,
            "DOWN",
            "L7TOUT",
            " at step 2 of tcp-check (expect string '+PONG')",
        ),
        (
            PING,
            closes,
            "DOWN",
            "L7RSP",
            "TCPCHK got an empty response at step 2",
        ),
        (
            PING,
            half,
            "DOWN",
            "L7RSP",
            "TCPCHK did not match content '+PONG' at step 2",
        ),
        (AMQP, silent, "DOWN", "L7TOUT", "no connection.start"),
        (AMQP, good, "DOWN", "L7RSP", "answer is not AMQP"),
        (
            AMQP,
            closes,
            "DOWN",
            "L7RSP",
            "closed while waiting for connection.start",
        ),
    ];
    let mut text = String::new();
    for (number, (kind, act, ..)) in rows.iter().enumerate() {
        let at = server(*act);
        text.push_str(&format!(
            "backend b{number}\n    timeout check 300ms\n    {kind}\n    server s {at} check inter 400ms\n"
        ));
    }
    text.push_str(&format!("listen l\n    bind {}:1\n", address()));
    let balancer = Balancer::new("", &text);
    let mut daemon = balancer.start(&["-db"]);
    for (number, (kind, _, status, name, words)) in rows.iter().enumerate() {
        let proxy = format!("b{number}");
        let found = || {
            let column = |column: &str| balancer.stat(&proxy, "s", column);
            let check = column("check_status");
            let check = check.trim_start_matches("* ").to_owned();
            (
                column("status"),
                check,
                column("last_chk").trim_matches('"').to_owned(),
            )
        };
        let wanted = (
            (*status).to_owned(),
            (*name).to_owned(),
            (*words).to_owned(),
        );
        kit::wait_until(
            &format!("{kind:?}: {wanted:?}, found {:?}", found()),
            LIMIT,
            || found() == wanted,
        );
    }
    daemon.stop();
}

#[test]
fn a_refused_connection_takes_a_server_down_at_start_and_rise_brings_it_back() {
    let at = format!("{}:7", address());
    let text = format!(
        "listen a\n    bind {}:1\n    option log-health-checks\n    server s1 {at} check inter 50ms rise 2 fall 3\n",
        address()
    );
    let balancer = Balancer::new("", &text);
    let mut daemon = balancer.start(&["-db"]);
    daemon.wait_line("Health check for server a/s1 failed, reason: Layer4 connection problem, info: \"Connection refused\"", LIMIT);
    daemon.wait_line("status: 0/2 DOWN.", LIMIT);
    daemon.wait_line(
        "<1>Server a/s1 is DOWN. 0 active and 0 backup servers left.",
        LIMIT,
    );
    daemon.wait_line("<0>proxy a has no server available!", LIMIT);
    let _listener = TcpListener::bind(&at).expect("an address of our own");
    daemon.wait_line("succeeded, reason: Layer4 check passed", LIMIT);
    daemon.wait_line("status: 1/2 DOWN.", LIMIT);
    daemon.wait_line("status: 3/3 UP.", LIMIT);
    daemon.wait_line(
        "<5>Server a/s1 is UP. 1 active and 0 backup servers online.",
        LIMIT,
    );
    daemon.stop();
}

#[test]
fn a_tracking_server_follows_and_says_whom() {
    let at = format!("{}:7", address());
    let text = format!(
        "backend b\n    server s1 {at} check inter 50ms\nbackend c\n    server t1 {at} track b/s1\nlisten l\n    bind {}:1\n",
        address()
    );
    let balancer = Balancer::new("", &text);
    let mut daemon = balancer.start(&["-db"]);
    daemon.wait_line("Server c/t1 is DOWN via b/s1.", LIMIT);
    let _listener = TcpListener::bind(&at).expect("an address of our own");
    daemon.wait_line("Server c/t1 is UP via b/s1.", LIMIT);
    daemon.stop();
}
