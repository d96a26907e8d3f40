//! Long-lived sessions move to a server that came back, and leave one that is
//! taken out: at the bounded rate, without a cut frame.

use crate::kit::balancer::{LIMIT, address};
use crate::kit::{self, Balancer};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What moving some dozens of sessions may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server; each of its connections runs `talk`. Gives its address.
fn server(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind((address(), 2)).expect("an address of our own");
    let at = listener.local_addr().expect("bound").to_string();
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = talk.clone();
            std::thread::spawn(move || talk(stream));
        }
    });
    at
}

/// Greets and then sends back what it gets.
fn echo() -> String {
    server(|mut stream| {
        let _ = stream.write_all(b"hello\n");
        let mut reader = stream.try_clone().expect("a second descriptor");
        let _ = std::io::copy(&mut reader, &mut stream);
    })
}

/// How the sessions of some clients ended.
#[derive(Default)]
struct Ends {
    stop: AtomicBool,
    by_fin: AtomicU64,
    by_error: AtomicU64,
}

/// Clients that come back whenever their session ends.
fn clients(count: usize, at: &str, ends: &Arc<Ends>) -> Vec<JoinHandle<()>> {
    let client = |_| {
        let (at, ends) = (at.to_owned(), ends.clone());
        std::thread::spawn(move || {
            while !ends.stop.load(Relaxed) {
                let mut stream = TcpStream::connect(&at).expect("the balancer listens");
                let pause = Duration::from_millis(200);
                stream.set_read_timeout(Some(pause)).expect("a socket");
                stream
                    .write_all(b"hi\n")
                    .expect("a fresh session takes bytes");
                while !ends.stop.load(Relaxed) {
                    match stream.read(&mut [0; 64]) {
                        Ok(0) => {
                            ends.by_fin.fetch_add(1, Relaxed);
                            break;
                        }
                        Ok(_) => {}
                        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => {
                            ends.by_error.fetch_add(1, Relaxed);
                            break;
                        }
                    }
                }
            }
        })
    };
    (0..count).map(client).collect()
}

fn number(balancer: &Balancer, server: &str, column: &str) -> u64 {
    balancer.stat("b", server, column).parse().unwrap_or(0)
}

#[test]
fn plain_sessions_move_to_a_server_that_came_back_and_then_it_is_quiet() {
    let bind = format!("{}:1", address());
    let balancer = Balancer::new(
        "    nbthread 2",
        &format!(
            "listen b\n    bind {bind}\n    balance leastconn\n    rebalance 100% within 10% settle 1s\n\
             \x20   server s1 {}\n    server s2 {}\n    server s3 {} disabled\n",
            echo(),
            echo(),
            echo()
        ),
    );
    let daemon = balancer.start(&["-db"]);
    let ends = Arc::new(Ends::default());
    let threads = clients(60, &bind, &ends);
    let all = |balancer: &Balancer| -> u64 {
        ["s1", "s2", "s3"]
            .iter()
            .map(|s| number(balancer, s, "scur"))
            .sum()
    };
    kit::wait_until("60 sessions", LIMIT, || all(&balancer) == 60);
    let begun = Instant::now();
    balancer.ask("set server b/s3 state ready");
    let settled = || {
        let sessions = ["s1", "s2", "s3"].map(|s| number(&balancer, s, "scur"));
        let idle = balancer
            .ask("show rebalance b")
            .lines()
            .nth(1)
            .is_some_and(|l| l.starts_with("b idle "));
        sessions.iter().sum::<u64>() == 60 && sessions.iter().all(|n| (18..=22).contains(n)) && idle
    };
    kit::wait_until("sessions are even", PATIENCE, settled);
    let moved = ends.by_fin.load(Relaxed);
    assert_eq!(
        ends.by_error.load(Relaxed),
        0,
        "an end is a FIN, not a reset"
    );
    assert!(
        (16..=26).contains(&moved),
        "{moved} sessions were moved, 20 had to be"
    );
    let seconds = begun.elapsed().as_secs();
    assert!(
        moved <= seconds + 1,
        "100% a minute is one a second: {moved} in {seconds} s"
    );
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(ends.by_fin.load(Relaxed), moved, "nothing swings");
    let metrics = balancer.ask("show rebalance");
    assert!(metrics.contains("b idle 100 60 "), "{metrics}");
    let events = balancer.ask("show events buf0");
    assert!(
        events.contains("rebalancing begins: s3 came back"),
        "{events}"
    );
    assert!(
        events.contains("rebalancing ends: servers are even"),
        "{events}"
    );
    ends.stop.store(true, Relaxed);
    for thread in threads {
        thread.join().expect("a client");
    }
    let said = daemon.output();
    assert!(said.contains(" B- "), "{said}");
    assert!(!said.contains(" BD "), "{said}");
}

#[test]
fn a_server_in_drain_is_emptied_and_one_that_is_broken_holds_everything_back() {
    let bind = format!("{}:1", address());
    let silent = format!("{}:9", address());
    let balancer = Balancer::new(
        "    nbthread 2",
        &format!(
            "listen b\n    bind {bind}\n    balance leastconn\n    drain-sessions 600%\n\
             \x20   server s1 {}\n    server s2 {}\n    server s3 {silent} check inter 200ms\n",
            echo(),
            echo(),
        ),
    );
    let _daemon = balancer.start(&["-db"]);
    kit::wait_until("s3 is down", LIMIT, || {
        balancer.stat("b", "s3", "status") == "DOWN"
    });
    let ends = Arc::new(Ends::default());
    let threads = clients(20, &bind, &ends);
    kit::wait_until("20 sessions", LIMIT, || {
        number(&balancer, "s1", "scur") == 10 && number(&balancer, "s2", "scur") == 10
    });
    balancer.ask("set server b/s1 state drain");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(number(&balancer, "s1", "scur"), 10, "s3 is broken");
    balancer.ask("disable server b/s3");
    kit::wait_until("s1 is empty", PATIENCE, || {
        number(&balancer, "s1", "scur") == 0 && number(&balancer, "s2", "scur") == 20
    });
    assert_eq!(ends.by_fin.load(Relaxed), 10);
    assert_eq!(ends.by_error.load(Relaxed), 0);
    let shown = balancer.ask("show rebalance b");
    assert!(shown.contains(" s1 0 0 0.0 yes 0 10 "), "{shown}");
    ends.stop.store(true, Relaxed);
    for thread in threads {
        thread.join().expect("a client");
    }
}

fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind, 0, channel];
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(0xCE);
    frame
}

const START: [u8; 4] = [0, 10, 0, 10];
const OPEN_OK: [u8; 5] = [0, 10, 0, 41, 0];
const CLOSE: [u8; 4] = [0, 10, 0, 50];
const CLOSE_OK: [u8; 4] = [0, 10, 0, 51];

/// Reads one frame: kind, channel, payload.
fn read_frame(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    let mut payload = vec![0; size + 1];
    stream.read_exact(&mut payload)?;
    assert_eq!(payload.pop(), Some(0xCE), "a frame was cut");
    Ok((head[0], payload))
}

/// Sends frames of all sizes without end, so that they pass by copies and by splices; notes what
/// the client says at the end.
fn streaming_broker(goodbyes: Arc<Mutex<Vec<Vec<u8>>>>) -> String {
    server(move |mut stream| {
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).expect("a greeting");
        let mut writer = stream.try_clone().expect("a second descriptor");
        writer.write_all(&frame(1, 0, &START)).expect("a client");
        writer.write_all(&frame(1, 0, &OPEN_OK)).expect("a client");
        let writing = std::thread::spawn(move || {
            for size in [131_000, 40, 131_000, 131_000, 9000, 0, 131_000]
                .into_iter()
                .cycle()
            {
                if writer.write_all(&frame(3, 1, &vec![7; size])).is_err() {
                    return;
                }
            }
        });
        while let Ok((kind, payload)) = read_frame(&mut stream) {
            if kind == 1 {
                goodbyes.lock().unwrap().push(payload);
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
        let _ = writing.join();
    })
}

/// Reads whole frames until it is told to go; gives the reason, and whether a FIN came then.
fn streaming_client(at: &str) -> (String, u64) {
    let mut stream = TcpStream::connect(at).expect("the balancer listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(b"AMQP\0\0\x09\x01").expect("a session");
    let mut bytes = 0;
    loop {
        let (kind, payload) = read_frame(&mut stream).expect("frames until a goodbye");
        bytes += payload.len() as u64;
        if kind == 1 && payload.starts_with(&CLOSE) {
            assert_eq!(payload[4..6], 320_u16.to_be_bytes(), "CONNECTION-FORCED");
            let length = usize::from(payload[6]);
            let reason = String::from_utf8(payload[7..7 + length].to_vec()).expect("a text");
            stream
                .write_all(&frame(3, 1, b"last words"))
                .expect("the session is open");
            stream
                .write_all(&frame(1, 0, &CLOSE_OK))
                .expect("the session is open");
            assert_eq!(
                stream.read(&mut [0; 9]).unwrap_or(0),
                0,
                "nothing after close"
            );
            return (reason, bytes);
        }
    }
}

#[test]
fn amqp_sessions_under_full_load_are_closed_between_two_frames() {
    let goodbyes = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (
        streaming_broker(goodbyes.clone()),
        streaming_broker(goodbyes.clone()),
    );
    let bind = format!("{}:1", address());
    let balancer = Balancer::new(
        "    nbthread 2",
        &format!(
            "listen b\n    bind {bind}\n    drain-sessions 6000% reason \"going down\"\n\
             \x20   server s1 {first}\n    server s2 {second} disabled\n"
        ),
    );
    let daemon = balancer.start(&["-db"]);
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let bind = bind.clone();
            std::thread::spawn(move || streaming_client(&bind))
        })
        .collect();
    let flowing =
        || number(&balancer, "s1", "scur") == 6 && number(&balancer, "s1", "bout") > 100_000_000;
    kit::wait_until("frames flow", PATIENCE, flowing);
    balancer.ask("set server b/s2 state ready");
    balancer.ask("set server b/s1 state drain");
    for client in clients {
        let (reason, bytes) = client.join().expect("a client that saw whole frames");
        assert_eq!(reason, "going down");
        assert!(bytes > 1_000_000, "{bytes}");
    }
    kit::wait_until("servers were told", LIMIT, || {
        goodbyes.lock().unwrap().len() == 6
    });
    for goodbye in goodbyes.lock().unwrap().iter() {
        assert!(goodbye.starts_with(&CLOSE), "{goodbye:?}");
    }
    kit::wait_until("six lines", LIMIT, || {
        daemon.output().matches("] b b/s1 ").count() == 6
    });
    assert_eq!(
        daemon.output().matches(" G- ").count(),
        6,
        "{}",
        daemon.output()
    );
}

#[test]
fn a_client_that_does_not_answer_is_cut_after_the_wait() {
    let goodbyes = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (streaming_broker(goodbyes.clone()), echo());
    let bind = format!("{}:1", address());
    let balancer = Balancer::new(
        "",
        &format!(
            "listen b\n    bind {bind}\n    drain-sessions 6000% wait 500ms\n\
             \x20   server s1 {first}\n    server s2 {second} disabled\n"
        ),
    );
    let daemon = balancer.start(&["-db"]);
    let mut stream = TcpStream::connect(&bind).expect("the balancer listens");
    stream.write_all(b"AMQP\0\0\x09\x01").expect("a session");
    kit::wait_until("a session", LIMIT, || number(&balancer, "s1", "scur") == 1);
    balancer.ask("set server b/s2 state ready");
    balancer.ask("set server b/s1 state drain");
    kit::wait_until("it is cut", PATIENCE, || {
        number(&balancer, "s1", "scur") == 0
    });
    kit::wait_until("a line", LIMIT, || daemon.output().contains(" GD "));
    drop(stream);
}

#[test]
#[ignore = "needs root, RabbitMQ and pika; tests/run installs them and runs this"]
fn pika_clients_of_a_rabbitmq_cluster_follow_a_node_that_comes_back() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = kit::peers::python();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let client = format!(
        "{python} {} {} {state}",
        root.join("tests/system/rebalance.py").display(),
        kit::binary().display(),
    );
    let said = kit::with_client(&state, &["--with-rabbitmq"], &client);
    assert!(said.contains("rebalance: ok"), "{said}");
}
