//! How sessions end: for each cause the two letters and the counts of the log line.

mod rig;

use rig::{PATIENCE, Rig, ends_of, refused, reset, serve, until};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::channel;

/// Holds connections open and says nothing.
fn mute(stream: &mut TcpStream) {
    let mut sink = Vec::new();
    // Until the balancer closes or resets.
    let _ = stream.read_to_end(&mut sink);
}

/// Holds connections open whatever the client does.
fn deaf(_: &mut TcpStream) {
    loop {
        std::thread::park();
    }
}

/// An address where connections are neither accepted nor refused.
struct Unanswering {
    _listener: socket2::Socket,
    _fill: Vec<TcpStream>,
    address: SocketAddr,
}

fn unanswering() -> Unanswering {
    let listener = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )
    .expect("socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("address");
    listener.bind(&any.into()).expect("bind");
    listener.listen(0).expect("listen");
    let address = listener.local_addr().expect("bound");
    let address = address.as_socket().expect("tcp");
    // A full backlog drops every further SYN.
    let short = std::time::Duration::from_millis(300);
    let fill = std::iter::from_fn(|| TcpStream::connect_timeout(&address, short).ok());
    let fill = fill.take(16).collect();
    Unanswering {
        _listener: listener,
        _fill: fill,
        address,
    }
}

#[test]
fn a_client_that_resets_in_mid_session_is_cd_and_the_server_sees_the_reset() {
    let (tell, seen) = channel();
    let rig = Rig::start("", move |server| {
        let mut byte = [0; 1];
        server.read_exact(&mut byte).expect("first byte");
        server.write_all(b"y").expect("answer");
        let _ = tell.send(ends_of(server));
    });
    let mut client = rig.connect();
    client.write_all(b"x").expect("send");
    client.read_exact(&mut [0; 1]).expect("answer");
    reset(client);
    assert_eq!(rig.next_line().end, "CD");
    let seen = seen.recv_timeout(PATIENCE).expect("the server's view");
    assert_eq!(seen, Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_server_that_resets_is_sd_and_the_client_sees_the_reset() {
    let rig = Rig::start("", |server| {
        server.read_exact(&mut [0; 1]).expect("first byte");
        // The script's end closes the last handle.
        reset(server.try_clone().expect("clone"));
    });
    let mut client = rig.connect();
    client.write_all(b"x").expect("send");
    assert_eq!(ends_of(&mut client), Err(ErrorKind::ConnectionReset));
    assert_eq!(rig.next_line().end, "SD");
}

#[test]
fn a_server_that_closes_first_is_a_normal_end() {
    let rig = Rig::start("", |server| {
        server.write_all(b"bye").expect("send");
    });
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(b"bye".to_vec()));
    drop(client);
    assert_eq!(rig.next_line().end, "--");
}

#[test]
fn silence_ends_with_the_letter_of_the_side_whose_timeout_came_first() {
    for (client_ms, server_ms, end) in [(200, 9000, "cD"), (9000, 200, "sD"), (200, 200, "cD")] {
        let lines = format!("  timeout client {client_ms}\n  timeout server {server_ms}");
        let rig = Rig::start(&lines, mute);
        let mut client = rig.connect();
        assert_eq!(ends_of(&mut client), Ok(Vec::new()));
        let line = rig.next_line();
        assert_eq!(line.end, end);
        assert!(line.total_ms >= 200, "{line:?}");
    }
}

#[test]
fn a_half_closed_session_is_bounded_by_its_fin_timeouts() {
    let rig = Rig::start("  timeout server-fin 200", deaf);
    let client = rig.connect();
    client.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(rig.next_line().end, "sD");
    let rig = Rig::start("  timeout client-fin 200", |server| {
        server.shutdown(Shutdown::Write).expect("half-close");
        deaf(server);
    });
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    assert_eq!(rig.next_line().end, "cD");
}

#[test]
fn a_tunnel_timeout_replaces_both_sides_while_both_are_open() {
    let rig = Rig::start(
        "  timeout client 100\n  timeout server 100\n  timeout tunnel 600",
        mute,
    );
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    assert!(rig.next_line().total_ms >= 600);
}

#[test]
fn a_refused_connect_is_tried_again_after_rests_and_ends_as_sc() {
    let address = refused();
    let rig = Rig::with(&format!("  timeout connect 50\n  server s1 {address}"));
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!(
        (line.end.as_str(), line.retries, line.redispatched),
        ("SC", 3, false)
    );
    assert_eq!((line.queue_ms.is_some(), line.connect_ms), (true, None));
    // Three rests of min(1 s, timeout connect).
    assert!(line.total_ms >= 150, "{line:?}");
}

#[test]
fn with_redispatch_the_next_server_is_tried_without_a_rest() {
    let (a, b) = (refused(), refused());
    let rig = Rig::with(&format!(
        "  option redispatch\n  server s1 {a}\n  server s2 {b}"
    ));
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!(
        (line.end.as_str(), line.retries, line.redispatched),
        ("SC", 3, true)
    );
    assert!(line.total_ms < 900, "{line:?}");
}

#[test]
fn redispatch_finds_the_server_that_works() {
    let dead = refused();
    let alive = serve(|server| server.write_all(b"here").expect("send"));
    let rig = Rig::with(&format!(
        "  option redispatch\n  server s1 {dead}\n  server s2 {alive}"
    ));
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(b"here".to_vec()));
    drop(client);
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.server.as_str()), ("--", "s2"));
    assert!(line.redispatched);
}

#[test]
fn a_connect_without_answer_is_sc_with_a_small_s() {
    let hole = unanswering();
    let rig = Rig::with(&format!(
        "  timeout connect 100\n  retries 2\n  server s1 {}",
        hole.address
    ));
    let mut client = rig.connect();
    client.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!(
        (line.end.as_str(), line.retries, line.connect_ms),
        ("sC", 2, None)
    );
    assert!(line.total_ms >= 300, "{line:?}");
}

#[test]
fn a_client_that_resets_while_connecting_is_cd_at_once() {
    let hole = unanswering();
    let rig = Rig::with(&format!("  server s1 {}", hole.address));
    let client = rig.connect();
    until("the session tries to connect", || {
        rig.runtime().process.counters.totals().sessions == 1
    });
    reset(client);
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.connect_ms), ("CD", None));
}

#[test]
fn a_client_that_resets_between_two_tries_counts_at_the_server_too() {
    // nobody listens there: a second between two tries at one server
    let rig = Rig::with("  retries 5\n  server s1 127.0.0.1:9");
    let client = rig.connect();
    let generation = rig.runtime().generation();
    let server = generation.server("l", "s1").expect("configured");
    until("the first try was made", || {
        rig.runtime().process.counters.totals().sessions == 1
    });
    reset(client);
    assert_eq!(rig.next_line().end, "CD");
    assert_eq!(server.counters.totals().client_aborts, 1);
}

#[test]
fn abortonclose_ends_a_session_whose_client_left_before_a_server_was_there() {
    let hole = unanswering();
    let rig = Rig::with(&format!(
        "  option abortonclose\n  server s1 {}",
        hole.address
    ));
    drop(rig.connect());
    assert_eq!(rig.next_line().end, "CC");
}

#[test]
fn without_a_usable_server_the_session_ends_at_once_as_sc() {
    let rig = Rig::with("  server s1 127.0.0.1:9 disabled");
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.server.as_str()), ("SC", "<NOSRV>"));
    assert_eq!((line.queue_ms, line.connect_ms), (None, None));
}

#[test]
fn a_wait_in_the_queue_ends_as_sq_or_when_the_client_resets() {
    let address = serve(mute);
    let rig = Rig::with(&format!(
        "  timeout queue 200\n  server s1 {address} maxconn 1"
    ));
    let first = rig.connect();
    until("the first session has the slot", || {
        let generation = rig.runtime().generation();
        let server = generation.server("l", "s1").expect("configured");
        server.sessions.get() == 1
    });
    let mut second = rig.connect();
    assert_eq!(ends_of(&mut second), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.server.as_str()), ("sQ", "<NOSRV>"));
    assert!(line.queue_ms >= Some(200), "{line:?}");
    let third = rig.connect();
    until("the third waits", || {
        let generation = rig.runtime().generation();
        generation.backend("l").expect("configured").waiting() == 1
    });
    reset(third);
    assert_eq!(rig.next_line().end, "CD");
    drop(first);
    assert_eq!(rig.next_line().end, "--");
}

#[test]
fn a_slot_that_gets_free_serves_the_first_in_the_queue() {
    let address = serve(|server| {
        let mut byte = [0; 1];
        if server.read_exact(&mut byte).is_ok() {
            server.write_all(&byte).expect("echo");
        }
    });
    let rig = Rig::with(&format!("  server s1 {address} maxconn 1"));
    let mut clients: Vec<_> = (0..5).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x").expect("send");
    }
    for client in &mut clients {
        assert_eq!(ends_of(client), Ok(b"x".to_vec()));
        client.shutdown(Shutdown::Both).ok();
    }
    drop(clients);
    for _ in 0..5 {
        assert_eq!(rig.next_line().end, "--");
    }
    let generation = rig.runtime().generation();
    let server = generation.server("l", "s1").expect("configured");
    assert_eq!(server.sessions.max(), 1);
}

#[test]
fn a_connection_closed_without_data_leaves_no_line_under_dontlognull() {
    let rig = Rig::start("  option dontlognull", mute);
    drop(rig.connect());
    until("the session ended", || {
        rig.runtime().process.counters.totals().sessions == 1
            && rig.runtime().process.connections.get() == 0
    });
    assert!(!rig.has_line());
}

#[test]
fn sessions_ended_from_outside_say_by_whom() {
    use lb::core::server::{Admin, Change};
    use lb::state::{Cause, Kill, Victims};
    let rig = Rig::start("", mute);
    let _client = rig.connect();
    until("the session is connected", || {
        let generation = rig.runtime().generation();
        let server = generation.server("l", "s1").expect("configured");
        server.sessions.get() == 1
    });
    rig.runtime().kill(&Kill {
        victims: Victims::OfFrontend("l".to_owned()),
        cause: Cause::Killed,
    });
    assert_eq!(rig.next_line().end, "K-");

    let address = serve(mute);
    let lines = format!("  server s1 {address} on-marked-down shutdown-sessions");
    let rig = Rig::with(&lines);
    let mut client = rig.connect();
    let generation = rig.runtime().generation();
    let server = generation.server("l", "s1").expect("configured");
    // Connected, not only trying: a byte has passed.
    client.write_all(b"x").expect("send");
    until("a byte has passed", || {
        server.counters.totals().bytes_in == 1
    });
    let drain = Change::Set(Admin::FORCED_MAINT);
    assert!(rig.runtime().change(server, drain, "test"));
    assert_eq!(rig.next_line().end, "D-");
}

#[test]
fn what_a_client_sent_before_a_server_was_there_is_counted_and_no_reset_answers_it() {
    let address = refused();
    let rig = Rig::with(&format!(
        "  option dontlognull\n  timeout connect 200\n  retries 1\n  server s1 {address}"
    ));
    let mut client = rig.connect();
    client.write_all(b"AMQP\0\0\x09\x01").expect("send");
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.bytes_in), ("SC", 8));
}

#[test]
fn a_client_that_resets_while_rules_wait_for_it_is_cr() {
    let lines = "  tcp-request inspect-delay 20s\n  tcp-request content accept if { req.len gt 5 }";
    let rig = Rig::start(lines, mute);
    let mut client = rig.connect();
    client.write_all(b"abc").expect("send");
    until("the session is inspected", || {
        rig.runtime().process.counters.totals().sessions == 1
    });
    reset(client);
    assert_eq!(rig.next_line().end, "CR");
}

#[test]
fn a_refused_connection_is_reset_and_a_refused_session_is_closed() {
    let rig = Rig::start("  tcp-request connection reject", mute);
    let mut client = rig.connect();
    assert_eq!(ends_of(&mut client), Err(ErrorKind::ConnectionReset));
    assert!(!rig.has_line());
    let lines = "  tcp-request inspect-delay 100ms\n  tcp-request content reject if WAIT_END";
    let rig = Rig::start(lines, mute);
    let mut client = rig.connect();
    client.write_all(b"x").expect("send");
    assert_eq!(ends_of(&mut client), Ok(Vec::new()));
    let line = rig.next_line();
    assert_eq!((line.end.as_str(), line.bytes_in), ("PR", 1));
}

#[test]
fn a_response_that_a_rule_closes_behind_arrives_and_one_that_it_rejects_does_not() {
    for (action, end, arrives) in [("close", "--", "hello"), ("reject", "PD", "")] {
        let lines = format!(
            "  tcp-response inspect-delay 5s\n  \
             tcp-response content {action} if {{ res.payload(0,5) -m str hello }}"
        );
        let rig = Rig::start(&lines, |server| server.write_all(b"hello").expect("send"));
        let mut client = rig.connect();
        assert_eq!(ends_of(&mut client), Ok(arrives.as_bytes().to_vec()));
        let line = rig.next_line();
        assert_eq!((line.end.as_str(), line.bytes_out), (end, 5));
    }
}

#[test]
fn a_server_gets_the_proxy_header_before_the_client_s_bytes() {
    let (tell, seen) = channel();
    let address = serve(move |server| {
        let _ = tell.send(ends_of(server));
    });
    let rig = Rig::with(&format!("  server s1 {address} send-proxy"));
    let mut client = rig.connect();
    let own = client.local_addr().expect("address");
    client.write_all(b"AMQP").expect("send");
    client.shutdown(Shutdown::Write).expect("half-close");
    let bytes = seen
        .recv_timeout(PATIENCE)
        .expect("bytes")
        .expect("clean end");
    let want = format!(
        "PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nAMQP",
        own.port(),
        rig.address().port()
    );
    assert_eq!(String::from_utf8_lossy(&bytes), want);
    let line = rig.next_line();
    // The header is ours, not the client's.
    assert_eq!(line.bytes_in, 4);
}

#[test]
fn a_listener_at_its_limit_lets_clients_wait_until_one_leaves() {
    let rig = Rig::start("  maxconn 2", |server| {
        let mut byte = [0; 1];
        while server.read_exact(&mut byte).is_ok() {
            server.write_all(&byte).expect("echo");
        }
    });
    let ping = |client: &mut TcpStream| {
        client.write_all(b"p").expect("ping");
        client.read_exact(&mut [0; 1]).expect("pong");
    };
    let (mut a, mut b, mut c) = (rig.connect(), rig.connect(), rig.connect());
    ping(&mut a);
    ping(&mut b);
    let generation = rig.runtime().generation();
    let front = generation.frontend("l").and_then(|p| p.front.clone());
    assert_eq!(front.expect("frontend").connections.get(), 2);
    drop(a);
    ping(&mut c);
    ping(&mut b);
}

#[test]
fn a_reload_keeps_listeners_sessions_and_counters() {
    let echo = || {
        serve(|server| {
            let mut byte = [0; 1];
            while server.read_exact(&mut byte).is_ok() {
                server.write_all(&byte).expect("echo");
            }
        })
    };
    let text = |address: SocketAddr| {
        format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             listen l\n  bind 127.0.0.1:1\n  server s1 {address}\n"
        )
    };
    let rig = Rig::load(&text(echo()), 2);
    let mut old = rig.connect();
    let ping = |client: &mut TcpStream| {
        client.write_all(b"p").expect("ping");
        client.read_exact(&mut [0; 1]).expect("pong");
    };
    ping(&mut old);
    for round in 1..=20 {
        rig.reload(&text(echo()));
        let mut new = rig.connect();
        ping(&mut new);
        ping(&mut old);
        let generation = rig.runtime().generation();
        assert_eq!(generation.number, round + 1);
        let server = generation.server("l", "s1").expect("configured");
        assert_eq!(server.counters.totals().sessions, u64::from(round) + 1);
    }
}
