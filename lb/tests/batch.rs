//! Calls that are made together for the sessions of a turn: what comes of them is what comes of each
//! session's own calls.

mod rig;

use lb::state::Message;
use lb::uring::Ring;
use proptest::prelude::*;
use rig::peer::{Plan, plan, play};
use rig::{PATIENCE, Rig, SessionLine, serve, until};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// More than one call may hold.
const SESSIONS: usize = 40;
/// What is received of a socket together with others.
const SLICE: usize = lb::batch::SLICE;

/// A balancer of one thread whose sessions' calls are made together, or not.
fn rig_to(server: SocketAddr, together: bool) -> Rig {
    let global = if together { "" } else { "global\n  nouring\n" };
    Rig::load(
        &format!(
            "{global}defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             log 127.0.0.1:9 local0\n  option tcplog\n\
             listen l\n  bind 127.0.0.1:1\n  server s1 {server}\n"
        ),
        1,
    )
}

/// Stops the data thread until what is given back is dropped: what happens meanwhile is one turn.
fn hold(rig: &Rig) -> Sender<()> {
    let (release, released) = channel::<()>();
    let (tell, held) = channel();
    let wait = move |_| {
        tell.send(()).expect("the test waits");
        // an error is the release
        let _ = released.recv_timeout(PATIENCE);
    };
    rig.runtime().threads()[0].post(Message::Sessions(Box::new(wait)));
    held.recv_timeout(PATIENCE).expect("the thread is held");
    release
}

fn moves_ahead(rig: &Rig) -> u64 {
    rig.runtime().threads()[0].moves_ahead.load(Relaxed)
}

/// Whether this system lets us have a ring; said where not, because less is tested then.
fn has_ring() -> bool {
    match Ring::open() {
        Ok(_) => true,
        Err(e) => {
            println!("no io_uring here ({e}): each session makes its own calls");
            false
        }
    }
}

fn echo(server: &mut TcpStream) {
    let mut buffer = vec![0; 300_000];
    while let Ok(size) = server.read(&mut buffer) {
        if size == 0 || server.write_all(&buffer[..size]).is_err() {
            return;
        }
    }
}

/// Clients that have got an answer, so that their sessions relay.
fn greeted(rig: &Rig) -> Vec<TcpStream> {
    let connect = |_| {
        let mut client = rig.connect();
        let mut byte = [b'?'];
        client.write_all(&byte).expect("send");
        client.read_exact(&mut byte).expect("answer");
        client
    };
    (0..SESSIONS).map(connect).collect()
}

fn payload(n: usize) -> Vec<u8> {
    let sizes = [
        1,
        128,
        5_000,
        SLICE - 1,
        SLICE,
        SLICE + 1,
        2 * SLICE,
        60_000,
    ];
    (0..sizes[n % sizes.len()])
        .map(|at| (at * 7 + n) as u8)
        .collect()
}

fn send_payloads(clients: &mut [TcpStream]) {
    for (n, client) in clients.iter_mut().enumerate() {
        client.write_all(&payload(n)).expect("send");
    }
}

fn expect_answer(n: usize, client: &mut TcpStream) {
    let mut answer = vec![0; payload(n).len()];
    client.read_exact(&mut answer).expect("answer");
    assert!(answer == payload(n), "session {n}");
}

/// All lines of the sessions, in an order of their own.
fn lines(rig: &Rig) -> Vec<(String, u64, u64)> {
    let mut lines: Vec<_> = (0..SESSIONS)
        .map(|_| rig.next_line())
        .map(
            |SessionLine {
                 end,
                 bytes_in,
                 bytes_out,
                 ..
             }| (end, bytes_in, bytes_out),
        )
        .collect();
    lines.sort();
    lines
}

fn together_or_not(scene: impl Fn(&Rig) -> Vec<(String, u64, u64)>) {
    let server = serve(echo);
    let alone = rig_to(server, false);
    let expected = scene(&alone);
    assert_eq!(moves_ahead(&alone), 0, "nouring");
    let together = rig_to(server, true);
    assert_eq!(scene(&together), expected);
    if has_ring() {
        assert!(
            moves_ahead(&together) >= SESSIONS as u64,
            "{}",
            moves_ahead(&together)
        );
    }
}

#[test]
fn what_comes_at_once_is_moved_together_whatever_its_size() {
    together_or_not(|rig| {
        let mut clients = greeted(rig);
        let held = hold(rig);
        send_payloads(&mut clients);
        drop(held);
        for (n, client) in clients.iter_mut().enumerate() {
            expect_answer(n, client);
        }
        drop(clients);
        lines(rig)
    });
}

#[test]
fn ends_that_come_with_the_last_bytes_are_passed_on() {
    together_or_not(|rig| {
        let mut clients = greeted(rig);
        let held = hold(rig);
        send_payloads(&mut clients);
        for client in &clients {
            client.shutdown(Shutdown::Write).expect("half-close");
        }
        drop(held);
        for (n, client) in clients.iter_mut().enumerate() {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("answer and end");
            assert!(answer == payload(n), "session {n}");
        }
        drop(clients);
        lines(rig)
    });
}

#[test]
fn resets_among_them_end_only_their_own_session() {
    together_or_not(|rig| {
        let mut clients = greeted(rig);
        let held = hold(rig);
        send_payloads(&mut clients);
        let (gone, mut left): (Vec<_>, Vec<_>) = clients
            .into_iter()
            .enumerate()
            .partition(|(n, _)| n % 3 == 0);
        for (_, client) in gone {
            SockRef::from(&client)
                .set_linger(Some(Duration::ZERO))
                .expect("linger");
        }
        drop(held);
        for (n, client) in &mut left {
            expect_answer(*n, client);
        }
        drop(left);
        // how far the answer had come when it was noticed is a matter of luck
        let by_whom = |(end, read, _): (String, u64, u64)| (end[..1].to_owned(), read, 0);
        let mut ends: Vec<_> = lines(rig).into_iter().map(by_whom).collect();
        ends.sort();
        ends
    });
}

/// A reader that does not read: what was not taken waits, and nothing is lost.
#[test]
fn what_a_target_does_not_take_waits_for_it() {
    // more than the buffers of four sockets and a pipe hold
    const TOTAL: usize = 16_000_000;
    let server = serve(|server| {
        let mut byte = [0];
        server.read_exact(&mut byte).expect("request");
        let bytes: Vec<u8> = (0..TOTAL).map(|at| (at % 251) as u8).collect();
        // pieces smaller than a slice, so that they go by single moves
        for piece in bytes.chunks(10_000) {
            server
                .write_all(piece)
                .expect("the client reads in the end");
            std::thread::yield_now();
        }
    });
    let rig = rig_to(server, true);
    let mut clients: Vec<_> = (0..4).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.write_all(b"?").expect("send");
    }
    // until the way is full nothing is read
    let sent = |rig: &Rig| {
        let generation = rig.runtime().generation();
        let server = generation.server("l", "s1").expect("configured");
        server.counters.totals().bytes_out
    };
    let mut before = 0;
    until("the way is full", || {
        std::thread::sleep(Duration::from_millis(50));
        let now = sent(&rig);
        now > 0 && now == std::mem::replace(&mut before, now)
    });
    for client in &mut clients {
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("all of it");
        assert_eq!(all.len(), TOTAL);
        assert!(
            all.iter()
                .enumerate()
                .all(|(at, byte)| *byte == (at % 251) as u8)
        );
    }
}

/// The first bytes of a client name the plan of its server.
fn by_plans(plans: Vec<(Plan, Plan)>) {
    let of_servers = plans.clone();
    let server = serve(move |server| {
        let mut number = [0; 2];
        server.read_exact(&mut number).expect("number");
        let (client, own) = &of_servers[usize::from(u16::from_be_bytes(number))];
        play(server, own, 7, 99, client.size);
    });
    let rig = rig_to(server, true);
    std::thread::scope(|scope| {
        for (n, (client, server)) in plans.iter().enumerate() {
            let rig = &rig;
            scope.spawn(move || {
                let mut stream = rig.connect();
                stream.write_all(&(n as u16).to_be_bytes()).expect("number");
                play(&mut stream, client, 99, 7, server.size);
            });
        }
    });
    let sum = |of: fn(&(Plan, Plan)) -> usize| plans.iter().map(of).sum::<usize>() as u64;
    let lines: Vec<_> = plans.iter().map(|_| rig.next_line()).collect();
    assert!(lines.iter().all(|line| line.end == "--"), "{lines:?}");
    let counted = |of: fn(&SessionLine) -> u64| lines.iter().map(of).sum::<u64>();
    assert_eq!(counted(|l| l.bytes_in), sum(|p| p.0.size + 2));
    assert_eq!(counted(|l| l.bytes_out), sum(|p| p.1.size));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_of_many_sessions_at_once_is_lost(plans in prop::collection::vec((plan(), plan()), 24)) {
        let both = |(client, server): (Plan, Plan)| {
            // Both waiting for the other would wait for ever.
            let waits_for_end = server.waits_for_end && !client.waits_for_end;
            (client, Plan { waits_for_end, ..server })
        };
        by_plans(plans.into_iter().map(both).collect());
    }
}
