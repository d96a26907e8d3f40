//! Rules at work: what they let in, where they send sessions, what they refuse.

mod rig;

use lb::state::Administered;
use rig::{Rig, ends_of, serve, until};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;

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
    assert_eq!(ends_of(&mut client), Err(ErrorKind::ConnectionReset));
    assert!(!rig.has_line());
}

#[test]
fn a_listener_that_speaks_proxy_takes_the_address_from_the_header() {
    let rig = Rig::load(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         listen l\n  bind 127.0.0.1:1 accept-proxy\n  tcp-request content reject if { src 192.0.2.7 } { fc_src 127.0.0.1 } { fc_dst 127.0.0.1 }\n",
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
    client.write_all(&[b'A'; 40]).expect("send");
    // The bytes were not read, so the end may be a RST.
    let nothing = |end| {
        matches!(end, Ok(ref b) if Vec::is_empty(b)) || end == Err(ErrorKind::ConnectionReset)
    };
    assert!(nothing(ends_of(&mut client)));
}

/// Takes the request of five bytes, then answers and closes.
fn answer(server: &mut TcpStream, bytes: &[u8]) {
    server.read_exact(&mut [0; 5]).expect("request");
    server.write_all(bytes).expect("answer");
}

#[test]
fn contents_choose_the_backend_once_enough_of_them_came() {
    let amqp = serve(|server| answer(server, b"amqp"));
    let other = serve(|server| answer(server, b"other"));
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

#[test]
fn use_server_pins_and_hash_keys_follow_the_expression() {
    let server = |name: &'static str| serve(move |s| answer(s, name.as_bytes()));
    let (a, b) = (server("a"), server("b"));
    let rig = Rig::with(&format!(
        "  tcp-request inspect-delay 10s\n  tcp-request content accept if {{ req.len ge 5 }}\n  \
         use-server s2 if {{ req.payload(0,1) -m str x }}\n  \
         balance hash req.payload(0,5)\n  server s1 {a}\n  server s2 {b}"
    ));
    let ask = |bytes: &[u8; 5]| {
        let mut client = rig.connect();
        client.write_all(bytes).expect("send");
        ends_of(&mut client).expect("answer")
    };
    for round in 0..3 {
        assert_eq!(ask(b"x1234"), b"b", "round {round}");
        assert_eq!(ask(b"hello"), ask(b"hello"));
    }
}

#[test]
fn a_rejected_response_is_pd_and_never_reaches_the_client() {
    let address = serve(|s| answer(s, b"secret"));
    let rig = Rig::with(&format!(
        "  tcp-response inspect-delay 10s\n  tcp-response content reject if {{ res.payload(0,6) -m str secret }}\n  \
         server s1 {address}"
    ));
    let mut client = rig.connect();
    client.write_all(b"hello").expect("send");
    let seen = ends_of(&mut client);
    assert!(matches!(seen, Ok(ref b) if b.is_empty()) || seen == Err(ErrorKind::ConnectionReset));
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.bytes_out), ("PD", 6));
}

#[test]
fn variables_and_priorities_are_set_by_rules_and_read_by_conditions() {
    let address = serve(|s| answer(s, b"ok"));
    let rig = Rig::with(&format!(
        "  tcp-request connection set-var(sess.port) src_port\n  \
         tcp-request content set-var(txn.n) int(40),add(2)\n  \
         tcp-request content reject unless {{ var(txn.n) -m int 42 }} {{ var(sess.port) -m found }}\n  \
         server s1 {address}"
    ));
    let mut client = rig.connect();
    client.write_all(b"hello").expect("send");
    assert_eq!(ends_of(&mut client), Ok(b"ok".to_vec()));
}

#[test]
fn a_thread_without_work_still_turns_so_that_far_deadlines_are_met() {
    use std::sync::atomic::Ordering::Relaxed;
    let rig = Rig::with("  server s1 127.0.0.1:9");
    let turns = || rig.runtime().threads()[0].loops.load(Relaxed);
    let before = turns();
    let start = std::time::Instant::now();
    while turns() < before + 5 {
        assert!(start.elapsed().as_secs() < 20, "{} turns", turns() - before);
        std::thread::yield_now();
    }
}

#[test]
fn without_servers_sessions_go_where_dispatch_says() {
    let address = serve(|s| answer(s, b"ok"));
    let rig = Rig::with(&format!("  dispatch {address}"));
    let mut client = rig.connect();
    client.write_all(b"hello").expect("send");
    assert_eq!(ends_of(&mut client), Ok(b"ok".to_vec()));
    drop(client);
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.server.as_str()), ("--", "<NOSRV>"));
}

#[test]
fn a_transparent_backend_and_the_any_address_follow_the_client() {
    let address = serve(|s| answer(s, b"ok"));
    let port = address.port();
    let transparent = format!(
        "  option transparent\n  tcp-request content set-dst ipv4(127.0.0.1)\n  \
         tcp-request content set-dst-port int({port})"
    );
    let any = format!("  server s1 0.0.0.0:{port}");
    for lines in [transparent, any] {
        let rig = Rig::with(&lines);
        let mut client = rig.connect();
        client.write_all(b"hello").expect("send");
        assert_eq!(ends_of(&mut client), Ok(b"ok".to_vec()), "{lines}");
    }
}

#[test]
fn an_rdp_cookie_leads_to_the_server_that_it_names() {
    let named = |name: &'static [u8]| {
        serve(move |s| {
            s.read_exact(&mut [0; 5]).expect("request");
            s.write_all(name).expect("answer");
        })
    };
    let (a, b) = (named(b"a"), named(b"b"));
    let rig = Rig::with(&format!(
        "  tcp-request inspect-delay 10s\n  tcp-request content accept if {{ req.rdp_cookie_cnt gt 0 }}\n  \
         persist rdp-cookie\n  balance first\n  server s1 {a}\n  server s2 {b}"
    ));
    let ip = u32::from_le_bytes([127, 0, 0, 1]);
    for (server, name) in [(b, "s2"), (a, "s1"), (b, "s2")] {
        let port = server.port().swap_bytes();
        let request = format!("TPKT-and-X2Cookie: msts={ip}.{port}.0000\r\n");
        let mut client = rig.connect();
        client.write_all(request.as_bytes()).expect("send");
        client.read_exact(&mut [0; 1]).expect("answer");
        drop(client);
        assert_eq!(rig.next_line().server, name);
    }
}

#[test]
fn variables_of_the_process_are_there_from_the_start_and_shared() {
    let address = serve(|s| answer(s, b"ok"));
    let rig = Rig::load(
        &format!(
            "global\n  set-var proc.open bool(true)\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
             timeout client 20s\n  timeout server 20s\n  log 127.0.0.1:9 local0\n  option tcplog\n\
             listen l\n  bind 127.0.0.1:1\n  \
             tcp-request content reject unless {{ var(proc.open) -m bool }}\n  \
             tcp-request content set-var(proc.open) bool(false)\n  server s1 {address}\n"
        ),
        1,
    );
    for expected in [b"ok".to_vec(), Vec::new()] {
        let mut client = rig.connect();
        client.write_all(b"hello").expect("send");
        assert_eq!(ends_of(&mut client), Ok(expected));
    }
}

#[test]
fn a_backend_remembers_who_spoke_first_and_silent_clients_are_served() {
    let greeter = serve(|server| {
        server.write_all(b"220 hello").expect("greeting");
        // only then what the client says, if it says anything
        let _ = server.read(&mut [0; 5]);
    });
    let rig = Rig::with(&format!("  server s1 {greeter}"));
    let speaks_first = || {
        let generation = rig.runtime().generation();
        let back = generation.backend("l").and_then(|p| p.back.clone());
        back.expect("backend").servers_speak_first.load(Relaxed)
    };
    assert!(!speaks_first());
    for _ in 0..2 {
        let mut client = rig.connect();
        let mut greeting = [0; 9];
        client.read_exact(&mut greeting).expect("a greeting");
        assert_eq!(&greeting, b"220 hello");
        until("it is remembered", &speaks_first);
    }
}

#[test]
fn a_server_that_drains_is_still_one_that_use_server_names() {
    let (first, second) = (
        serve(|s| answer(s, b"first")),
        serve(|s| answer(s, b"second")),
    );
    let rig = Rig::with(&format!(
        "  use-server s2 if {{ src 127.0.0.0/8 }}\n  server s1 {first}\n  server s2 {second}"
    ));
    let answered = || {
        let mut client = rig.connect();
        client.write_all(b"hello").expect("request");
        String::from_utf8(ends_of(&mut client).expect("an answer")).expect("text")
    };
    let generation = rig.runtime().generation();
    let server = generation.proxies[0].server("s2").expect("there");
    rig.runtime().administer(server, Administered::Drain);
    assert_eq!(answered(), "second");
    rig.runtime().administer(server, Administered::Maint);
    assert_eq!(answered(), "first");
}

#[test]
fn what_rules_drop_or_refuse_is_counted_at_the_frontend() {
    let counted = |rule: &str| {
        let rig = Rig::with(&format!("  {rule}\n  server s1 127.0.0.1:9"));
        let end = ends_of(&mut rig.connect());
        let generation = rig.runtime().generation();
        let proxy = &generation.proxies[0];
        let totals = proxy.front.as_ref().expect("a frontend").counters.totals();
        let behind = proxy.back.as_ref().expect("a backend").counters.totals();
        assert_eq!(behind.denied_requests, 0);
        let denied = [
            totals.denied_requests,
            totals.denied_connections,
            totals.denied_sessions,
        ];
        (end, denied)
    };
    let reset = Err(ErrorKind::ConnectionReset);
    assert_eq!(counted("tcp-request connection reject"), (reset, [0, 1, 0]));
    assert_eq!(
        counted("tcp-request session reject"),
        (Ok(Vec::new()), [0, 0, 1])
    );
    assert_eq!(
        counted("tcp-request content reject"),
        (Ok(Vec::new()), [1, 0, 0])
    );
}
