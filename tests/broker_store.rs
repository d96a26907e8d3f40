//! What the broker confirmed is there after `kill -9`, whatever the moment.

mod kit;

#[path = "broker_store/client.rs"]
mod client;

use client::{Client, Event};
use kit::node::{start, start_by};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(8 + (number as usize * 37) % 900, number as u8);
    body
}

fn number(body: &[u8]) -> u64 {
    u64::from_be_bytes(body[..8].try_into().unwrap())
}

/// Publishes `from` on, a hundred unconfirmed at most, until `confirms` are; gives the confirmed and the last one sent.
fn publish_until(client: &mut Client, from: u64, confirms: u64) -> (BTreeSet<u64>, u64) {
    let (mut confirmed, mut sent, mut answered) = (BTreeSet::new(), 0, 0);
    while answered < confirms {
        while sent - answered < 100 {
            client.publish("ledger", &body(from + sent), true).unwrap();
            sent += 1;
        }
        match client.next().unwrap() {
            Event::Confirm {
                number,
                multiple: true,
            } => {
                confirmed.extend((answered..number).map(|n| from + n));
                answered = number;
            }
            Event::Confirm {
                number,
                multiple: false,
            } => {
                confirmed.insert(from + number - 1);
                answered = answered.max(number);
            }
            other => panic!("{other:?}"),
        }
    }
    (confirmed, from + sent)
}

/// The same for a queue that must hold so many.
fn drain_all(port: u16, count: usize) -> Vec<u64> {
    let found = drain(port);
    assert_eq!(found.len(), count);
    found
}

/// Takes everything ready; gives the numbers in the order of their coming. All must be flagged.
fn drain(port: u16) -> Vec<u64> {
    let mut client = Client::connect(port).unwrap();
    let count = client.ready("ledger").unwrap();
    client.consume("ledger", 0).unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        match client.next().unwrap() {
            Event::Delivery {
                redelivered,
                body: bytes,
                ..
            } => {
                assert!(
                    redelivered,
                    "a recovered message without the redelivered flag"
                );
                assert_eq!(bytes, body(number(&bytes)), "a message changed on disk");
                found.push(number(&bytes));
            }
            other => panic!("{other:?}"),
        }
    }
    found
}

#[test]
fn everything_confirmed_survives_kill_9_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let mut next = 1;
    let mut owed = BTreeSet::new();
    // The moment: after so many confirms, with a hundred messages on their way.
    for confirms in [1, 7, 150, 1200, 4000] {
        let (mut daemon, port) = start(directory.path());
        let mut client = Client::connect(port).unwrap();
        client.declare("ledger").unwrap();
        client.confirm_mode().unwrap();
        let (confirmed, last) = publish_until(&mut client, next, confirms);
        daemon.signal(Signal::SIGKILL);
        daemon.wait_exit(LIMIT);
        owed.extend(confirmed);
        next = last;
        let (mut daemon, port) = start(directory.path());
        let found = drain(port);
        assert!(found.is_sorted(), "the order is lost");
        let there: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(there.len(), found.len(), "a message is there twice");
        let lost: Vec<_> = owed.difference(&there).collect();
        assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
        daemon.signal(Signal::SIGKILL);
        daemon.wait_exit(LIMIT);
    }
}

#[test]
fn every_queue_that_was_answered_survives_kill_9_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let mut answered: Vec<String> = Vec::new();
    for (life, after) in [1, 3, 10, 40, 150].into_iter().enumerate() {
        let (mut daemon, port) = start(directory.path());
        let mut client = Client::connect(port).unwrap();
        let names: Vec<String> = (0..400)
            .map(|number| format!("q.{life}.{number}"))
            .collect();
        client.declare_all(&names).unwrap();
        for name in names.iter().take(after) {
            let Event::Method(50, 11, answer) = client.next().unwrap() else {
                panic!("no answer to the declaration of {name}")
            };
            assert_eq!(&answer[1..1 + usize::from(answer[0])], name.as_bytes());
            answered.push(name.clone());
        }
        daemon.signal(Signal::SIGKILL);
        daemon.wait_exit(LIMIT);
    }
    let (_daemon, port) = start(directory.path());
    for name in &answered {
        let mut client = Client::connect(port).unwrap();
        let there = client.ready(name);
        assert!(there.is_ok(), "{name} was answered and lost: {there:?}");
    }
}

#[test]
fn what_was_acknowledged_stays_away_after_an_orderly_stop_and_the_rest_is_flagged() {
    let directory = tempfile::tempdir().unwrap();
    let (mut daemon, port) = start(directory.path());
    let mut client = Client::connect(port).unwrap();
    client.declare("ledger").unwrap();
    client.confirm_mode().unwrap();
    let (_, last) = publish_until(&mut client, 1, 500);
    client.publish("ledger", b"transient", false).unwrap();
    let mut consumer = Client::connect(port).unwrap();
    consumer.consume("ledger", 50).unwrap();
    for _ in 0..200 {
        let Event::Delivery {
            tag, redelivered, ..
        } = consumer.next().unwrap()
        else {
            panic!("no delivery")
        };
        assert!(!redelivered);
        consumer.ack(tag).unwrap();
    }
    // An answer on the channel shows that the acknowledgements before it have been taken.
    consumer.ready("ledger").unwrap();
    daemon.signal(Signal::SIGTERM);
    daemon.wait_exit(LIMIT);
    let (_daemon, port) = start(directory.path());
    let found = drain(port);
    assert_eq!(found.first(), Some(&201));
    assert!(found.iter().all(|number| *number < last));
    assert!(found.is_sorted());
}

#[test]
fn a_transaction_is_there_as_a_whole_once_it_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut daemon, port) = start(directory.path());
    let mut client = Client::connect(port).unwrap();
    client.declare("ledger").unwrap();
    client.transact().unwrap();
    for number in 1..=20 {
        client.publish("ledger", &body(number), true).unwrap();
    }
    client.commit().unwrap();
    for number in 21..=40 {
        client.publish("ledger", &body(number), true).unwrap();
    }
    // What follows is not committed.
    client.ready("ledger").unwrap();
    daemon.signal(Signal::SIGKILL);
    daemon.wait_exit(LIMIT);
    let (_daemon, port) = start(directory.path());
    assert_eq!(drain(port), (1..=20).collect::<Vec<_>>());
}

#[test]
fn acknowledgements_are_on_disk_when_their_transaction_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut daemon, port) = start(directory.path());
    let mut client = Client::connect(port).unwrap();
    client.declare("ledger").unwrap();
    client.transact().unwrap();
    for number in 1..=20 {
        client.publish("ledger", &body(number), true).unwrap();
    }
    client.commit().unwrap();
    client.consume("ledger", 50).unwrap();
    for _ in 1..=5 {
        let Event::Delivery { tag, .. } = client.next().unwrap() else {
            panic!("no delivery")
        };
        client.ack(tag).unwrap();
    }
    client.commit().unwrap();
    daemon.signal(Signal::SIGKILL);
    daemon.wait_exit(LIMIT);
    let (_daemon, port) = start(directory.path());
    assert_eq!(drain(port), (6..=20).collect::<Vec<_>>());
}

#[test]
fn one_message_at_a_time_is_confirmed_only_when_it_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut confirmed = BTreeSet::new();
    for round in 0..3 {
        let (mut daemon, port) = start(directory.path());
        let mut client = Client::connect(port).unwrap();
        client.declare("ledger").unwrap();
        client.confirm_mode().unwrap();
        for number in round * 100..round * 100 + 50 {
            client.publish("ledger", &body(number), true).unwrap();
            assert!(matches!(client.next().unwrap(), Event::Confirm { .. }));
            confirmed.insert(number);
        }
        daemon.signal(Signal::SIGKILL);
        daemon.wait_exit(LIMIT);
    }
    let (_daemon, port) = start(directory.path());
    let there: BTreeSet<u64> = drain_all(port, confirmed.len()).into_iter().collect();
    assert_eq!(there, confirmed);
}

#[test]
fn at_the_limit_of_open_files_accepting_rests_and_the_log_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 200; exec "$0" "$@""#]);
    command.arg(kit::binary());
    let (mut daemon, port) = start_by(command, directory.path());
    let mut publisher = Client::connect(port).unwrap();
    publisher.declare("ledger").unwrap();
    publisher.confirm_mode().unwrap();
    let connect = || std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut crowd: Vec<_> = (0..180).map(|_| connect()).collect();
    daemon.wait_line("accepting rests", LIMIT);
    // Segments more, each with a file of its own, while clients wait for files.
    for number in 0..900 {
        let body = vec![number as u8; 120_000];
        publisher.publish("ledger", &body, true).unwrap();
        assert!(matches!(publisher.next().unwrap(), Event::Confirm { .. }));
    }
    crowd.drain(..100);
    daemon.wait_line("accepting clients again", LIMIT);
    Client::connect(port).unwrap();
    assert!(daemon.runs());
}

#[test]
fn a_second_node_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (_daemon, _) = start(directory.path());
    let data = directory.path().join("data");
    let (code, _, error) = kit::evenkeel(&[
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    assert_eq!(code, 69, "{error}");
    assert!(error.contains("another node is running on it"), "{error}");
}
