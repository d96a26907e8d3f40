//! Sessions over real sockets: what a client and a server see through the balancer.

mod rig;

use proptest::prelude::*;
use rig::peer::{Plan, plan, play};
use rig::{PATIENCE, Rig, SessionLine, serve, until};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::channel;

#[test]
fn bytes_pass_both_ways_and_the_line_counts_them() {
    let rig = Rig::start("", |server| {
        let mut request = [0; 5];
        server.read_exact(&mut request).expect("request");
        assert_eq!(&request, b"hello");
        server.write_all(b"welcome").expect("answer");
    });
    let mut client = rig.connect();
    client.write_all(b"hello").expect("send");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("answer and end");
    assert_eq!(answer, b"welcome");
    drop(client);
    let line = rig.next_line();
    assert_eq!(
        (line.end.as_str(), line.bytes_in, line.bytes_out),
        ("--", 5, 7)
    );
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let rig = Rig::start("", |server| {
        let mut request = Vec::new();
        server
            .read_to_end(&mut request)
            .expect("request and its end");
        server.write_all(&request).expect("echo");
    });
    let mut client = rig.connect();
    client.write_all(b"all of it").expect("send");
    client.shutdown(Shutdown::Write).expect("half-close");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("answer");
    assert_eq!(answer, b"all of it");
    drop(client);
    let SessionLine { end, .. } = rig.next_line();
    assert_eq!(end, "--");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_is_lost_in_either_direction_at_any_closing_order(client in plan(), server in plan()) {
        // Both waiting for the other would wait for ever.
        let server = Plan { waits_for_end: server.waits_for_end && !client.waits_for_end, ..server };
        let (tell, served) = channel();
        let (of_server, of_client) = (server.clone(), client.clone());
        let rig = Rig::start("", move |stream| {
            play(stream, &of_server, 7, 99, of_client.size);
            tell.send(()).expect("the test waits");
        });
        let mut stream = rig.connect();
        play(&mut stream, &client, 99, 7, server.size);
        served.recv_timeout(PATIENCE).expect("the server's side went well");
        let line = rig.next_line();
        let counted = (line.bytes_in as usize, line.bytes_out as usize);
        prop_assert_eq!((line.end.as_str(), counted), ("--", (client.size, server.size)));
    }
}

#[test]
fn a_reader_that_stops_stops_its_writer_within_bounded_memory() {
    let (tell, sent) = channel();
    let rig = Rig::start("", move |server| {
        server.set_nonblocking(true).expect("option");
        let mut total = 0_usize;
        let chunk = [0; 65_536];
        let mut blocked = 0;
        // Blocked for many looks in a row: the way is full.
        while blocked < 2_000 {
            match server.write(&chunk) {
                Ok(size) => (total, blocked) = (total + size, 0),
                Err(_) => {
                    blocked += 1;
                    std::thread::yield_now();
                }
            }
        }
        tell.send(total).expect("the test waits");
    });
    let _client = rig.connect();
    let total = sent.recv_timeout(PATIENCE).expect("the server is stopped");
    // Socket buffers of four sockets, one pipe and one buffer.
    assert!(total < 64 << 20, "{total} bytes went nowhere");
}

#[test]
fn many_sessions_at_once_on_two_threads_all_get_their_answers() {
    let address = serve(|server| {
        let mut request = [0; 8];
        while server.read_exact(&mut request).is_ok() {
            server.write_all(&request).expect("echo");
        }
    });
    let rig = Rig::load(
        &format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             listen l\n  bind 127.0.0.1:1\n  balance leastconn\n  server s1 {address}\n  server s2 {address}\n"
        ),
        2,
    );
    for round in 0..4_u64 {
        let mut clients: Vec<_> = (0..150).map(|_| rig.connect()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client
                .write_all(&(round << 32 | n as u64).to_be_bytes())
                .expect("send");
        }
        for (n, client) in clients.iter_mut().enumerate() {
            let mut answer = [0; 8];
            client.read_exact(&mut answer).expect("answer");
            assert_eq!(u64::from_be_bytes(answer), round << 32 | n as u64);
        }
    }
    until("all sessions have ended", || {
        rig.runtime().process.connections.get() == 0
    });
    let generation = rig.runtime().generation();
    let of = |name| {
        generation
            .server("l", name)
            .expect("configured")
            .counters
            .totals()
    };
    assert_eq!(of("s1").sessions + of("s2").sessions, 600);
    assert!(of("s1").sessions.abs_diff(of("s2").sessions) <= 60);
    assert_eq!(of("s1").bytes_in + of("s2").bytes_in, 600 * 8);
    assert_eq!(of("s1").bytes_out + of("s2").bytes_out, 600 * 8);
}
