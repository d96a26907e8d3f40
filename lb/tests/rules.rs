//! Rules at work: what they let in, where they send sessions, what they refuse.

mod rig;

use rig::{Rig, ends_of, serve};
use std::io::{ErrorKind, Write};

#[test]
fn a_rejected_content_is_pr_and_a_rejected_connection_has_no_line() {
    let rig = Rig::with(
        "  tcp-request inspect-delay 100\n  tcp-request content reject\n  server s1 127.0.0.1:9",
    );
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.server.as_str()), ("PR", "<NOSRV>"));
    let rig = Rig::with("  tcp-request connection reject\n  server s1 127.0.0.1:9");
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    assert!(!rig.has_line());
}

#[test]
fn a_listener_that_speaks_proxy_takes_the_address_from_the_header() {
    let rig = Rig::load(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         listen l\n  bind 127.0.0.1:1 accept-proxy\n  tcp-request content reject if { src 192.0.2.7 }\n",
        1,
    );
    let mut client = rig.connect();
    client
        .write_all(b"PROXY TCP4 192.0.2.7 192.0.2.8 1000 2000\r\n")
        .expect("header");
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let generation = rig.runtime().generation();
    let front = generation.frontend("l").and_then(|p| p.front.clone());
    let denied = front.expect("frontend").counters.totals().denied_requests;
    assert_eq!(denied, 1);
    // Garbage instead of a header ends the connection.
    let mut client = rig.connect();
    client.write_all(b"AMQP\0\0\x09\x01").expect("send");
    // The bytes were not read, so the end may be a RST.
    let nothing = |end| {
        matches!(end, Ok(ref b) if Vec::is_empty(b)) || end == Err(ErrorKind::ConnectionReset)
    };
    assert!(nothing(ends_of(&mut client)));
}

#[test]
fn contents_choose_the_backend_once_enough_of_them_came() {
    let amqp = serve(|server| server.write_all(b"amqp").expect("send"));
    let other = serve(|server| server.write_all(b"other").expect("send"));
    let rig = Rig::load(
        &format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             frontend f\n  bind 127.0.0.1:1\n  tcp-request inspect-delay 10s\n  \
             acl is_amqp req.payload(0,4) -m bin 414d5150\n  \
             tcp-request content accept if is_amqp\n  \
             tcp-request content accept if {{ req.len gt 4 }}\n  \
             use_backend amqp if is_amqp\n  default_backend other\n\
             backend amqp\n  server s1 {amqp}\nbackend other\n  server s1 {other}\n"
        ),
        1,
    );
    for (bytes, answer) in [(b"AMQP\0", b"amqp".to_vec()), (b"hello", b"other".to_vec())] {
        let mut client = rig.connect();
        client.write_all(&bytes[..2]).expect("first part");
        client.write_all(&bytes[2..]).expect("second part");
        assert_eq!(ends_of(&mut client), Ok(answer));
    }
}
