//! Requests that are refused: statuses, reasons, and no harm done.

use super::rig::{GUEST, LIMIT, broker, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn refusals_have_the_known_statuses_and_reasons() {
    let b = broker();
    b.put(
        "/exchanges/%2f/inside",
        json!({"type": "direct", "internal": true}),
    );
    let message =
        json!({"properties": {}, "routing_key": "k", "payload": "x", "payload_encoding": "string"});
    let mut claimed = message.clone();
    claimed["properties"]["user_id"] = "other".into();
    let long = format!("/queues/%2f/{}", "z".repeat(256));
    for (method, path, body, status, reason) in [
        (
            "PUT",
            long.as_str(),
            json!({}),
            400,
            "queue should be less than 255 bytes, actually was 256",
        ),
        (
            "POST",
            "/exchanges/%2f/inside/publish",
            message.clone(),
            400,
            "cannot publish to internal exchange",
        ),
        (
            "POST",
            "/exchanges/%2f/amq.topic/publish",
            claimed,
            400,
            "user_id property set to 'other'",
        ),
        (
            "PUT",
            "/users/x",
            json!({"password": "x", "password_hash": "", "tags": ""}),
            400,
            "both_password_and",
        ),
        (
            "GET",
            "/vhosts/none/permissions",
            Value::Null,
            404,
            "Not Found",
        ),
        ("GET", "/vhost-limits/none", Value::Null, 404, "Not Found"),
        (
            "PUT",
            "/parameters/policy/%2f/x",
            json!({"value": {}}),
            400,
            "policies may not be set",
        ),
        (
            "POST",
            "/vhosts/%2f/start/none",
            Value::Null,
            400,
            "failed with nodedown",
        ),
        (
            "POST",
            "/bindings/none/e/amq.topic/q/q",
            json!({}),
            404,
            "vhost_not_found",
        ),
        (
            "POST",
            "/users/bulk-delete",
            json!({"users": ["nobody"]}),
            400,
            "no_such_user",
        ),
        (
            "PUT",
            "/vhost-limits/%2f/max-queues",
            json!({"value": "x"}),
            400,
            "max-queues should be a number",
        ),
    ] {
        let (found, value) = b.ask(method, path, body);
        assert_eq!(found, status, "{method} {path}: {value}");
        let shown = value["reason"].to_string();
        assert!(shown.contains(reason), "{method} {path}: {shown}");
    }
}

#[test]
fn rubbish_requests_and_large_bodies_do_no_harm() {
    let b = broker();
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&b.api).expect("accepts");
        stream.write_all(bytes).expect("goes out");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("shuts down");
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
    }
    let deep = "[".repeat(100_000);
    assert_eq!(
        request(&b.api, Some(GUEST), "PUT", "/api/queues/%2f/x", &deep).0,
        400
    );
    let mut stream = TcpStream::connect(&b.api).expect("accepts");
    let head = format!(
        "POST /api/definitions HTTP/1.1\r\nhost: x\r\nauthorization: Basic {GUEST}\r\ncontent-length: 99999999999\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("goes out");
    let mut text = String::new();
    stream
        .set_read_timeout(Some(LIMIT))
        .expect("a timeout can be set");
    let _ = stream.read_to_string(&mut text);
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert_eq!(b.get("/whoami")["name"], "guest");
}
