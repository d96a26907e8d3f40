//! Very many deliveries that go back at once: some in a turn, with others served in between, and in their old order.

use super::kit::{
    Bench, Client, basic_consume, bodies, encoded, queue_declare, queue_delete, table, text,
};
use crate::core::Effect;
use crate::core::field::{FieldTable, FieldValue};
use crate::core::method::Method;
use crate::core::properties::Properties;
use crate::core::returning::RETURNED;

/// More than two turns take back.
const MANY: usize = 2 * RETURNED + 100;

/// A queue with messages "0", "1" and so on, all out to the consumer of the client that is answered; one more is ready.
fn all_out(bench: &mut Bench, declare: &Method<'_>) -> Client {
    let client = bench.connect();
    bench.ask(client, declare);
    bench.ask(client, &qos(MANY as u16));
    bench.consume(client, "q", "t", false);
    for number in 0..=MANY {
        bench.publish(client, "", "q", &number.to_string());
    }
    while !bench.answers(client).is_empty() {}
    assert_eq!((unacked(bench), bench.ready("q")), (MANY, 1));
    client
}

fn qos(prefetch_count: u16) -> Method<'static> {
    Method::BasicQos {
        prefetch_size: 0,
        prefetch_count,
        global: false,
    }
}

fn plain() -> Method<'static> {
    queue_declare("q", FieldTable::new())
}

fn unacked(bench: &Bench) -> usize {
    bench.core.find_queue("/", "q").expect("there").unacked
}

/// Lets one turn pass; answers how many deliveries came back in it.
fn turn(bench: &mut Bench) -> usize {
    let before = unacked(bench);
    bench.core.end_turn();
    before - unacked(bench)
}

fn get() -> Method<'static> {
    Method::BasicGet {
        ticket: 0,
        queue: "q",
        no_ack: true,
    }
}

/// What a new consumer is given, in order, and whether each was out before.
fn drain(bench: &mut Bench, queue: &str) -> Vec<(usize, bool)> {
    let client = bench.connect();
    let mut answers = bench.consume(client, queue, "", true);
    let mut found = Vec::new();
    while !answers.is_empty() {
        let with_body = answers.iter().filter(|answer| answer.body.is_some());
        found.extend(with_body.map(|answer| {
            let number = answer.body.as_ref().expect("it has one").parse();
            let again = answer.text.contains("redelivered: true");
            (number.expect("a number"), again)
        }));
        answers = bench.answers(client);
    }
    found
}

/// All that was out before, then the one that was not.
fn in_order() -> Vec<(usize, bool)> {
    (0..=MANY).map(|number| (number, number < MANY)).collect()
}

#[test]
fn others_are_served_while_a_consumers_many_deliveries_go_back() {
    let mut bench = Bench::new();
    let client = all_out(&mut bench, &plain());
    let other = bench.connect();
    bench.core.disconnected(client.0);
    assert_eq!(
        unacked(&bench),
        MANY,
        "nothing is done outside of a turn's end"
    );
    let mut turns = 0;
    while unacked(&bench) > 0 {
        let ping = encoded(1, &[queue_declare("other", FieldTable::new())]);
        assert_eq!(bench.core.receive(other.0, &ping), ping.len());
        assert!(turn(&mut bench) <= RETURNED);
        assert!(!bench.core.connections[other.0 as usize].output.is_empty());
        while bench.core.next_dirty().is_some() {}
        assert_eq!(bench.core.has_work(), unacked(&bench) > 0);
        turns += 1;
    }
    assert_eq!(turns, 3);
    assert_eq!(bench.answers(other).len(), turns);
    assert_eq!(drain(&mut bench, "q"), in_order());
}

#[test]
fn what_goes_back_in_several_turns_comes_again_in_its_old_order() {
    let nack = Method::BasicNack {
        delivery_tag: MANY as u64,
        multiple: true,
        requeue: true,
    };
    let recover = Method::BasicRecoverAsync { requeue: true };
    for method in [nack, recover] {
        let mut bench = Bench::new();
        let client = all_out(&mut bench, &plain());
        bench.core.receive(client.0, &encoded(1, &[method]));
        let mut again = Vec::new();
        let mut answers = Vec::new();
        while again.len() < MANY {
            bench.core.end_turn();
            let more = bench.answers(client);
            again.extend(bodies(&more).into_iter().map(str::to_owned));
            answers.extend(more);
        }
        let expected: Vec<_> = (0..MANY).map(|number| number.to_string()).collect();
        assert_eq!(again, expected);
        let again = |answer: &super::kit::Answer| answer.text.contains("redelivered: true");
        assert!(answers.iter().all(again));
        assert_eq!((unacked(&bench), bench.ready("q")), (MANY, 1));
    }
}

#[test]
fn a_get_waits_for_what_belongs_ahead() {
    let mut bench = Bench::new();
    let client = all_out(&mut bench, &plain());
    let other = bench.connect();
    bench.core.disconnected(client.0);
    let bytes = encoded(1, &[get()]);
    assert_eq!(bench.core.receive(other.0, &bytes), 0);
    while unacked(&bench) > 0 {
        assert!(bench.core.connections[other.0 as usize].output.is_empty());
        turn(&mut bench);
    }
    let resumed = |effect: &Effect| matches!(effect, Effect::Resume { .. });
    assert!(bench.core.take_effects().iter().any(resumed));
    bench.bytes(other, &bytes);
    assert_eq!(bodies(&bench.answers(other)), ["0"]);
}

#[test]
fn who_asks_meanwhile_finds_them_all_there() {
    let mut bench = Bench::new();
    let client = all_out(&mut bench, &plain());
    let other = bench.connect();
    bench.core.disconnected(client.0);
    let purge = Method::QueuePurge {
        ticket: 0,
        queue: "q",
        nowait: false,
    };
    bench.core.receive(other.0, &encoded(1, &[plain(), purge]));
    let answers = bench.answers(other);
    let count = MANY + 1;
    let declared = format!("message_count: {count}, consumer_count: 0");
    assert!(answers[0].text.contains(&declared), "{}", answers[0].text);
    let purged = format!("QueuePurgeOk {{ message_count: {count} }}");
    assert_eq!(answers[1].text, purged);
    assert_eq!((unacked(&bench), bench.ready("q")), (0, 0));
}

#[test]
fn a_queue_that_is_deleted_meanwhile_takes_them_with_it_and_whoever_waits_hears_of_it() {
    let mut bench = Bench::new();
    let client = all_out(&mut bench, &plain());
    let (other, third) = (bench.connect(), bench.connect());
    bench.core.disconnected(client.0);
    let bytes = encoded(1, &[get()]);
    assert_eq!(bench.core.receive(third.0, &bytes), 0);
    let delete = queue_delete("q");
    let deleted = format!("QueueDeleteOk {{ message_count: {} }}", MANY + 1);
    assert_eq!(bench.ask(other, &delete), deleted);
    assert_eq!(
        bench.ask(other, &plain()).split(',').nth(1),
        Some(" message_count: 0")
    );
    for _ in 0..3 {
        bench.core.end_turn();
    }
    assert_eq!(
        bench.ready("q"),
        0,
        "the new queue of that name has none of them"
    );
    bench.bytes(third, &bytes);
    assert!(bench.answers(third)[0].text.starts_with("BasicGetEmpty"));
}

#[test]
fn a_channel_that_ends_meanwhile_leaves_its_successor_alone() {
    let mut bench = Bench::new();
    let client = all_out(&mut bench, &plain());
    let mut bytes = encoded(
        1,
        &[
            Method::BasicRecoverAsync { requeue: true },
            Method::ChannelClose {
                reply_code: 200,
                reply_text: "",
                class_id: 0,
                method_id: 0,
            },
            Method::ChannelOpen { out_of_band: "" },
            queue_declare("other", FieldTable::new()),
            qos(1),
            basic_consume("other", "t", false, false, FieldTable::new()),
        ],
    );
    for body in ["a", "b"] {
        let with = Properties::default();
        bytes.extend(bench.publish_bytes(1, ("", "other"), body, &with, false));
    }
    assert_eq!(bench.core.receive(client.0, &bytes), bytes.len());
    turn(&mut bench);
    assert!(unacked(&bench) > 0);
    assert_eq!(bodies(&bench.answers(client)), ["a"]);
    while unacked(&bench) > 0 {
        turn(&mut bench);
    }
    assert!(bench.answers(client).is_empty(), "its own one is still out");
    assert_eq!(drain(&mut bench, "q"), in_order());
}

#[test]
fn a_bounded_queue_drops_its_head_once_all_are_back() {
    let arguments = table([
        ("x-max-length", FieldValue::I32(2)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
    ]);
    let mut bench = Bench::new();
    let client = all_out(&mut bench, &queue_declare("q", arguments));
    bench.ask(client, &queue_declare("dead", FieldTable::new()));
    bench.core.disconnected(client.0);
    while turn(&mut bench) > 0 {
        assert!(unacked(&bench) == 0 || bench.ready("dead") == 0);
    }
    let dead: Vec<_> = (0..MANY - 1).map(|number| (number, false)).collect();
    assert_eq!(drain(&mut bench, "dead"), dead);
    assert_eq!(drain(&mut bench, "q"), [(MANY - 1, true), (MANY, false)]);
}
