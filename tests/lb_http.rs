//! HTTP mode of the built binary: what is not HTTP, and what lines capture.

mod kit;

use kit::balancer::LIMIT;
use kit::{Balancer, Daemon, sandboxed};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// A server that answers each connection's first bytes with these, and closes.
fn answering(port: u16, answer: &'static [u8]) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free in here");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
}

/// What comes back for these bytes and the end of the client's side.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    stream.write_all(bytes).expect("it takes bytes");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn start(lines: &str) -> (Balancer, Daemon) {
    let balancer = Balancer::new(
        "",
        &format!(
            "listen l\n    mode http\n    option httplog\n    bind 127.0.0.1:7001\n{lines}\n    \
             server s 127.0.0.1:6000\n"
        ),
    );
    let daemon = balancer.start(&[]);
    (balancer, daemon)
}

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: second.example\r\nCookie: x=1; SID=abcdefgh\r\nConnection: close\r\n\r\n";

#[test]
fn an_answer_that_is_not_http_is_the_proxys_502_and_kept() {
    sandboxed(|| {
        answering(6000, b"SSH-2.0-OpenSSH\r\n\r\n");
        let (balancer, mut daemon) = start("");
        assert!(exchange(7001, REQUEST).starts_with("HTTP/1.1 502 "));
        let line = daemon.wait_line("\"GET /a HTTP/1.1\"", LIMIT);
        assert!(line.contains(" 502 ") && line.contains(" PH-- "), "{line}");
        let kept = balancer.ask("show errors");
        assert!(
            kept.contains("backend l: invalid response") && kept.contains("SSH-2.0-OpenSSH"),
            "{kept}"
        );
    });
}

#[test]
fn an_unfinished_request_of_a_client_that_still_reads_gets_400() {
    sandboxed(|| {
        answering(6000, b"HTTP/1.1 200 OK\r\n\r\n");
        let (_balancer, mut daemon) = start("");
        assert!(exchange(7001, b"GET /a HTTP/1.1\r\nHo").starts_with("HTTP/1.1 400 "));
        let line = daemon.wait_line("<BADREQ>", LIMIT);
        assert!(line.contains(" 400 ") && line.contains(" CR-- "), "{line}");
    });
}

#[test]
fn a_kept_connection_that_the_server_closed_costs_the_client_nothing() {
    sandboxed(|| {
        // it says that the connection stays and closes it
        answering(6000, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let (_balancer, _daemon) = start("");
        let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
        let answers = exchange(7001, request.repeat(3).as_bytes());
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
        assert!(!answers.contains("502"), "{answers}");
    });
}

#[test]
fn hosts_that_contradict_each_other_are_refused() {
    sandboxed(|| {
        answering(6000, b"HTTP/1.1 200 OK\r\n\r\n");
        let (_balancer, _daemon) = start("");
        let two = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
        assert!(exchange(7001, two).starts_with("HTTP/1.1 400 "));
        let same = b"GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n";
        assert!(exchange(7001, same).starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn lines_show_the_headers_and_cookies_that_are_captured() {
    sandboxed(|| {
        answering(
            6000,
            b"HTTP/1.1 200 OK\r\nServer: origin\r\nSet-Cookie: SID=new; path=/\r\nContent-Length: 0\r\n\r\n",
        );
        let (_balancer, mut daemon) = start(
            "    capture request header Host len 6\n    capture request header X-None len 6\n    \
             capture response header Server len 20\n    capture cookie SID= len 8",
        );
        assert!(exchange(7001, REQUEST).starts_with("HTTP/1.1 200 "));
        let line = daemon.wait_line("\"GET /a HTTP/1.1\"", LIMIT);
        assert!(line.contains(" {second|} {origin} \"GET"), "{line}");
        assert!(line.contains(" SID=abcd SID=new "), "{line}");
    });
}
