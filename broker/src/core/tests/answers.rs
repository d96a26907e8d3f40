//! Answers to declarations while the disk is slow.

use super::kit::{
    Bench, Client, basic_consume, durable_declare, encoded, exchange_declare, queue_declare,
    queue_delete,
};
use super::stepped::Stepped;
use crate::core::Effect;
use crate::core::field::FieldTable;
use crate::core::method::Method;
use std::sync::atomic::Ordering;

/// A bench over a disk that moves only when the test says so, and a client.
fn stepped() -> (Bench, Stepped, Client) {
    let mut bench = Bench::new();
    let journal = Stepped {
        counts_commands: true,
        ..Stepped::default()
    };
    bench.core.journal = Box::new(journal.clone());
    let client = bench.connect();
    (bench, journal, client)
}

fn sync(bench: &mut Bench, journal: &Stepped, position: u64) {
    journal.durable.store(position, Ordering::Relaxed);
    bench.pass(1);
}

fn texts(bench: &mut Bench, client: Client) -> Vec<String> {
    let answers = bench.answers(client);
    let name = |text: &str| text.split([' ', '{']).next().unwrap_or(text).to_owned();
    answers.iter().map(|answer| name(&answer.text)).collect()
}

#[test]
fn a_durable_queue_is_answered_once_it_is_on_the_disk_and_a_transient_one_at_once() {
    let (mut bench, journal, client) = stepped();
    bench.declare(client, "transient", FieldTable::new());
    assert_eq!(
        bench.call(client, &durable_declare("q", FieldTable::new())),
        []
    );
    sync(&mut bench, &journal, 1);
    assert_eq!(texts(&mut bench, client), ["QueueDeclareOk"]);
    bench.ask(client, &durable_declare("q", FieldTable::new()));
}

#[test]
fn whoever_finds_a_queue_that_is_not_on_the_disk_yet_waits_like_its_maker() {
    let (mut bench, journal, client) = stepped();
    let second = bench.connect();
    bench.call(client, &durable_declare("q", FieldTable::new()));
    assert_eq!(
        bench.call(second, &durable_declare("q", FieldTable::new())),
        []
    );
    let third = bench.connect();
    bench.declare(third, "transient", FieldTable::new());
    sync(&mut bench, &journal, 1);
    assert_eq!(texts(&mut bench, client), ["QueueDeclareOk"]);
    assert_eq!(texts(&mut bench, second), ["QueueDeclareOk"]);
}

#[test]
fn exchanges_bindings_and_deletions_are_waited_for_too() {
    let (mut bench, journal, client) = stepped();
    let mut exchange = exchange_declare("x", "topic", FieldTable::new());
    if let Method::ExchangeDeclare { durable, .. } = &mut exchange {
        *durable = true;
    }
    let bind = Method::QueueBind {
        ticket: 0,
        queue: "q",
        exchange: "x",
        routing_key: "k",
        nowait: false,
        arguments: FieldTable::new(),
    };
    let steps = [
        (exchange, "ExchangeDeclareOk"),
        (durable_declare("q", FieldTable::new()), "QueueDeclareOk"),
        (bind, "QueueBindOk"),
        (queue_delete("q"), "QueueDeleteOk"),
    ];
    for (step, (method, answer)) in (1..).zip(steps) {
        assert_eq!(bench.call(client, &method), [], "{answer}");
        sync(&mut bench, &journal, step);
        assert_eq!(texts(&mut bench, client), [answer]);
    }
}

#[test]
fn a_channel_goes_on_behind_its_answer_and_other_channels_before_it() {
    let (mut bench, journal, client) = stepped();
    bench.open_channel(client, 2);
    bench.declare(client, "transient", FieldTable::new());
    let other = encoded(
        2,
        &[basic_consume(
            "transient",
            "t",
            true,
            false,
            FieldTable::new(),
        )],
    );
    let first = encoded(1, &[durable_declare("q", FieldTable::new())]);
    let behind = encoded(1, &[Method::ConfirmSelect { nowait: false }]);
    bench.bytes(client, &[first, other].concat());
    assert_eq!(texts(&mut bench, client), ["BasicConsumeOk"]);
    assert_eq!(bench.core.receive(client.0, &behind), 0, "it waits");
    assert!(!bench.core.wants_input(client.0));
    sync(&mut bench, &journal, 1);
    let resumed = bench.core.take_effects();
    assert!(matches!(&resumed[..], [Effect::Resume { connection }] if *connection == client.0));
    assert!(bench.core.wants_input(client.0));
    bench.bytes(client, &behind);
    assert_eq!(
        texts(&mut bench, client),
        ["QueueDeclareOk", "ConfirmSelectOk"]
    );
}

#[test]
fn declarations_without_an_answer_wait_for_nothing() {
    let (mut bench, _, client) = stepped();
    let names: Vec<String> = (0..100).map(|number| format!("q{number}")).collect();
    let mut all = Vec::new();
    for name in &names {
        let mut method = durable_declare(name, FieldTable::new());
        if let Method::QueueDeclare { nowait, .. } = &mut method {
            *nowait = true;
        }
        all.extend(encoded(1, &[method]));
    }
    bench.bytes(client, &all);
    assert!(bench.core.find_queue("/", "q99").is_some());
    assert!(bench.core.wants_input(client.0));
}

#[test]
fn consumers_hear_of_a_deletion_behind_its_answer() {
    let (mut bench, journal, client) = stepped();
    bench.call(client, &durable_declare("q", FieldTable::new()));
    sync(&mut bench, &journal, 1);
    bench.answers(client);
    bench.consume(client, "q", "t", true);
    assert_eq!(bench.call(client, &queue_delete("q")), []);
    sync(&mut bench, &journal, 2);
    assert_eq!(texts(&mut bench, client), ["QueueDeleteOk", "BasicCancel"]);
}

#[test]
fn who_goes_without_the_answer_is_owed_nothing() {
    let (mut bench, journal, client) = stepped();
    bench.call(client, &durable_declare("q", FieldTable::new()));
    bench.core.disconnected(client.0);
    assert!(!bench.core.awaits_journal());
    let next = bench.connect();
    sync(&mut bench, &journal, 1);
    assert_eq!(bench.answers(next), []);
    bench.declare(next, "transient", FieldTable::new());
    assert_eq!(
        bench.ask(next, &queue_declare("transient", FieldTable::new())),
        "QueueDeclareOk { queue: \"transient\", message_count: 0, consumer_count: 0 }"
    );
}
