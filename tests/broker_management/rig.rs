//! A broker, and requests to its API.

use crate::kit::Daemon;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(60);

pub struct Broker {
    pub api: String,
    pub metrics: String,
    pub amqp: String,
    pub daemon: Daemon,
    pub directory: tempfile::TempDir,
}

pub fn broker_with(more: &[&str]) -> Broker {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = directory.path().display().to_string();
    let any = "127.0.0.1:0";
    let mut args = vec![
        "broker",
        "--listen",
        any,
        "--management",
        any,
        "--prometheus",
        any,
    ];
    args.extend([
        "--data-dir",
        &place,
        "--run-dir",
        &place,
        "--node",
        "rabbit@test",
    ]);
    args.extend(more);
    let mut daemon = Daemon::evenkeel(&args);
    let after = |line: String| {
        line.rsplit(' ')
            .next()
            .expect("an address ends the line")
            .to_owned()
    };
    let amqp = after(daemon.wait_line("listening on ", LIMIT));
    let api = after(daemon.wait_line("management on ", LIMIT));
    let metrics = after(daemon.wait_line("metrics on ", LIMIT));
    Broker {
        api,
        metrics,
        amqp,
        daemon,
        directory,
    }
}

pub fn broker() -> Broker {
    broker_with(&[])
}

/// Status, head and body of one request.
pub fn request(
    address: &str,
    login: Option<&str>,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).expect("the listener accepts");
    stream
        .set_read_timeout(Some(LIMIT))
        .expect("a timeout can be set");
    let login = login
        .map(|l| format!("authorization: Basic {l}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{login}content-length: {length}\r\n\r\n"
    );
    stream
        .write_all(head.as_bytes())
        .expect("the request goes out");
    // a server that refuses early may close before it has read the body
    let _ = stream.write_all(body.as_bytes());
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {text:?}"));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

pub const GUEST: &str = "Z3Vlc3Q6Z3Vlc3Q=";
pub const ALICE: &str = "YWxpY2U6d29uZGVybGFuZA==";

impl Broker {
    pub fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, _, body) = request(
            &self.api,
            Some(GUEST),
            method,
            &format!("/api{path}"),
            &body,
        );
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path, Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub fn put(&self, path: &str, body: Value) -> u16 {
        self.ask("PUT", path, body).0
    }
}
