//! Sessions that come and go leave nothing behind: the balancer's memory does
//! not grow. Two minutes here; an hour by hand with
//! `EVENKEEL_GROWTH_SECONDS=3600 cargo test --release --test lb_long growth -- --ignored --nocapture`.

use crate::kit::Balancer;
use crate::kit::balancer::{LIMIT, address};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Sessions a second.
const RATE: u32 = 100;
/// What an allocator may round up to, and tables that reach their size late.
const ALLOWED_KIB: u64 = 512;

fn seconds() -> u64 {
    let asked = std::env::var("EVENKEEL_GROWTH_SECONDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(120)
}

/// A server that sends back what it gets, one connection after the other.
fn echo() -> String {
    let listener = TcpListener::bind((address(), 2)).expect("an address of our own");
    let at = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 256];
            while let Ok(size @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..size]).is_err() {
                    break;
                }
            }
        }
    });
    at
}

/// Anonymous memory that is really there; the program's own file does not count.
fn memory_kib(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let line = text.lines().find(|line| line.starts_with("Anonymous:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    number
        .and_then(|n| n.parse().ok())
        .expect("a number of KiB")
}

fn session(bind: &str) {
    let mut stream = TcpStream::connect(bind).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket");
    stream.write_all(&[7; 64]).expect("the session lives");
    let mut back = [0; 64];
    stream.read_exact(&mut back).expect("the session lives");
}

/// Opens and closes sessions at the rate for so long.
fn run(bind: &str, time: Duration) -> u64 {
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < time {
        session(bind);
        count += 1;
        let due = Duration::from_secs(1) / RATE * count;
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
    }
    u64::from(count)
}

#[test]
#[ignore = "two minutes; tests/run runs it"]
fn sessions_that_come_and_go_leave_no_memory_behind() {
    let (server, bind) = (echo(), format!("{}:1", address()));
    let text = format!("listen a\n    bind {bind}\n    server s1 {server} check inter 1s\n");
    let balancer = Balancer::new("", &text);
    let mut daemon = balancer.start(&["-db"]);
    let time = Duration::from_secs(seconds());
    // histories of the last minute and pools reach their size
    let warm = run(&bind, (time / 4).min(Duration::from_secs(70)));
    let before = memory_kib(daemon.pid());
    let sessions = run(&bind, time);
    let after = memory_kib(daemon.pid());
    println!("{sessions} sessions after {warm} to warm up: {before} KiB, then {after} KiB");
    assert!(
        after <= before + ALLOWED_KIB,
        "{before} KiB became {after} KiB in {sessions} sessions"
    );
    daemon.stop();
}
