//! A ledger of numbered messages while the broker is killed with `kill -9` at random moments: whatever was confirmed
//! is delivered, whatever comes twice or comes from an earlier life of the broker is flagged as redelivered.
//!
//! `EVENKEEL_SEED=N cargo test --test broker_ledger` repeats the moments of a run.

mod kit;

#[path = "broker_store/client.rs"]
#[allow(dead_code)]
mod client;

use client::{Client, Event};
use kit::node::start;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIMIT: Duration = Duration::from_secs(60);
const LIVES: u64 = 8;
const QUEUES: [&str; 3] = ["ledger.a", "ledger.b", "ledger.c"];
const WINDOW: u64 = 200;

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(8 + (number as usize * 131) % 6000, number as u8);
    body
}

fn number(bytes: &[u8]) -> u64 {
    let number = u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"));
    assert_eq!(bytes, body(number), "a message changed on disk");
    number
}

/// What came of the numbers.
#[derive(Default)]
struct Ledger {
    confirmed: BTreeSet<u64>,
    /// How often each number came, and how often unflagged.
    came: BTreeMap<u64, (u32, u32)>,
}

impl Ledger {
    fn delivered(&mut self, number: u64, redelivered: bool) {
        let (times, unflagged) = self.came.entry(number).or_default();
        *times += 1;
        *unflagged += u32::from(!redelivered);
    }

    fn add(&mut self, other: Ledger) {
        self.confirmed.extend(other.confirmed);
        for (number, (times, unflagged)) in other.came {
            let entry = self.came.entry(number).or_default();
            *entry = (entry.0 + times, entry.1 + unflagged);
        }
    }

    fn check(&self) {
        let lost: Vec<_> = self
            .confirmed
            .iter()
            .filter(|number| !self.came.contains_key(number))
            .collect();
        assert!(lost.is_empty(), "confirmed and never delivered: {lost:?}");
        let twice = self
            .came
            .iter()
            .filter(|(_, (_, unflagged))| *unflagged > 1);
        let twice: Vec<_> = twice.map(|(number, _)| number).collect();
        assert!(twice.is_empty(), "again without the flag: {twice:?}");
    }
}

/// Publishes from `next` on until the connection ends. A queue has one publisher, so its numbers rise.
fn publish(port: u16, queue: &str, next: &AtomicU64) -> Ledger {
    let mut ledger = Ledger::default();
    let Ok(mut client) = Client::connect(port) else {
        return ledger;
    };
    if client.confirm_mode().is_err() {
        return ledger;
    }
    let (mut sent, mut answered) = (Vec::new(), 0);
    loop {
        while (sent.len() as u64) < answered + WINDOW {
            let number = next.fetch_add(1, Ordering::Relaxed);
            sent.push(number);
            if client.publish(queue, &body(number), true).is_err() {
                return ledger;
            }
        }
        let Ok(Event::Confirm { number, multiple }) = client.next() else {
            return ledger;
        };
        let from = if multiple { answered } else { number - 1 };
        ledger
            .confirmed
            .extend(&sent[from as usize..number as usize]);
        answered = answered.max(number);
    }
}

/// Consumes and acknowledges until the connection ends. What an earlier life published must be flagged.
fn consume(port: u16, queue: &str, first_of_life: u64) -> Ledger {
    let mut ledger = Ledger::default();
    let Ok(mut client) = Client::connect(port) else {
        return ledger;
    };
    if client.consume(queue, 50).is_err() {
        return ledger;
    }
    while let Ok(event) = client.next() {
        let Event::Delivery {
            tag,
            redelivered,
            body,
        } = event
        else {
            continue;
        };
        let number = number(&body);
        assert!(
            redelivered || number >= first_of_life,
            "{number} is of an earlier life and comes without the flag"
        );
        ledger.delivered(number, redelivered);
        // every seventh stays out, so that the broker dies with messages in flight
        if !number.is_multiple_of(7) && client.ack(tag).is_err() {
            break;
        }
    }
    ledger
}

/// Takes everything that is left.
fn drain(port: u16, ledger: &mut Ledger) {
    for queue in QUEUES {
        let mut client = Client::connect(port).expect("a broker");
        let count = client.ready(queue).expect("a queue");
        client.consume(queue, 0).expect("a consumer");
        let mut last = 0;
        for _ in 0..count {
            let Event::Delivery {
                redelivered, body, ..
            } = client.next().expect("a delivery")
            else {
                panic!("not a delivery");
            };
            let number = number(&body);
            assert!(redelivered, "{number} was recovered and is not flagged");
            assert!(number > last, "{queue}: {number} comes after {last}");
            last = number;
            ledger.delivered(number, redelivered);
        }
    }
}

#[test]
fn kill_9_at_random_moments_loses_nothing_confirmed_and_flags_what_comes_again() {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let seed = std::env::var("EVENKEEL_SEED").map_or(clock.as_nanos() as u64, |text| {
        text.parse().expect("EVENKEEL_SEED is a number")
    });
    println!("EVENKEEL_SEED={seed}");
    let mut random = seed | 1;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (next, mut ledger) = (AtomicU64::new(1), Ledger::default());
    for life in 0..LIVES {
        let (mut daemon, port) = start(directory.path());
        let mut client = Client::connect(port).expect("a broker");
        QUEUES
            .iter()
            .for_each(|queue| client.declare(queue).expect("declared"));
        let first = next.load(Ordering::Relaxed);
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let wait = Duration::from_millis(50 + (random >> 33) % 1500);
        let found = thread::scope(|scope| {
            let publishers = QUEUES.map(|queue| {
                let next = &next;
                scope.spawn(move || publish(port, queue, next))
            });
            let consumers = QUEUES.map(|queue| scope.spawn(move || consume(port, queue, first)));
            thread::sleep(wait);
            daemon.signal(Signal::SIGKILL);
            daemon.wait_exit(LIMIT);
            let all = publishers.into_iter().chain(consumers);
            all.map(|t| t.join().expect("a client does not panic"))
                .collect::<Vec<_>>()
        });
        found.into_iter().for_each(|part| ledger.add(part));
        println!(
            "life {life}: killed after {wait:?}, {} confirmed in all",
            ledger.confirmed.len()
        );
    }
    let (_daemon, port) = start(directory.path());
    drain(port, &mut ledger);
    assert!(
        ledger.confirmed.len() > 100,
        "hardly anything was published"
    );
    ledger.check();
}
