//! What clients begin and do not finish: bounded for each connection, and nobody else's business.

use super::kit::{Answer, Bench, queue_declare};
use crate::core::alarm::Alarm;
use crate::core::channel::Settlement;
use crate::core::field::FieldTable;
use crate::core::frame;
use crate::core::method::Method;
use crate::core::properties::Properties;
use crate::core::settings::Settings;

const LARGEST: usize = 10_000;

fn bench() -> Bench {
    Bench::with(Settings {
        max_message_size: LARGEST as u64,
        ..Settings::default()
    })
}

/// All of a publish but the last byte of its body, or that byte.
fn publish_in_two(bench: &Bench, channel: u16, size: usize) -> [Vec<u8>; 2] {
    let body = "x".repeat(size);
    let mut bytes = bench.publish_bytes(channel, ("", "q"), &body, &Properties::default(), false);
    // the body's frame is written anew, as two
    bytes.truncate(bytes.len() - size - frame::OVERHEAD);
    let mut last = Vec::new();
    for (out, length) in [(&mut bytes, size - 1), (&mut last, 1)] {
        frame::write(out, frame::BODY, channel, |out| {
            out.extend_from_slice(&body.as_bytes()[..length])
        });
    }
    [bytes, last]
}

fn closed_with(answers: &[Answer], text: &str) -> bool {
    matches!(answers, [answer] if answer.text.starts_with("ChannelClose") && answer.text.contains(text))
}

const TOO_MUCH: &str = "open transactions of a connection may hold 10000 bytes at most";

#[test]
fn an_open_transaction_holds_as_much_as_the_largest_message() {
    let mut bench = bench();
    let (client, other) = (bench.connect(), bench.connect());
    bench.call(client, &queue_declare("q", FieldTable::new()));
    bench.ask(client, &Method::TxSelect);
    let body = "x".repeat(LARGEST / 5);
    for _ in 0..4 {
        bench.publish(client, "", "q", &body);
        assert_eq!(bench.answers(client), []);
    }
    bench.publish(client, "", "q", &body);
    assert!(closed_with(&bench.answers(client), TOO_MUCH));
    assert_eq!(bench.ready("q"), 0);
    bench.call(client, &Method::ChannelCloseOk);
    // the connection goes on, and what was held is free again
    bench.open_channel(client, 1);
    bench.ask(client, &Method::TxSelect);
    bench.publish(client, "", "q", &"x".repeat(LARGEST));
    assert_eq!(bench.ask(client, &Method::TxCommit), "TxCommitOk");
    bench.publish(other, "", "q", &body);
    assert_eq!(bench.ready("q"), 2);
}

#[test]
fn the_transactions_of_a_connections_channels_count_together() {
    let mut bench = bench();
    let client = bench.connect();
    bench.call(client, &queue_declare("q", FieldTable::new()));
    let body = "x".repeat(LARGEST / 2);
    bench.open_channel(client, 2);
    for channel in [1, 2] {
        bench.send(client, channel, &Method::TxSelect);
        bench.answers(client);
        let properties = Properties::default();
        bench.publish_on(client, channel, ("", "q"), &body, &properties, false);
    }
    assert!(closed_with(&bench.answers(client), TOO_MUCH));
    assert_eq!(bench.ask(client, &Method::TxCommit), "TxCommitOk");
    assert_eq!(bench.ready("q"), 1);
}

#[test]
fn settlements_in_a_transaction_count_too() {
    let mut bench = bench();
    let client = bench.connect();
    bench.call(client, &queue_declare("q", FieldTable::new()));
    let most = LARGEST / size_of::<Settlement>();
    for _ in 0..=most {
        bench.publish(client, "", "q", "x");
    }
    bench.ask(client, &Method::TxSelect);
    bench.consume(client, "q", "c", false);
    let mut answers = Vec::new();
    for delivery_tag in 1..=most as u64 + 1 {
        assert_eq!(answers, []);
        let ack = Method::BasicAck {
            delivery_tag,
            multiple: false,
        };
        answers = bench.call(client, &ack);
    }
    assert!(closed_with(&answers, TOO_MUCH));
    assert_eq!(bench.ready("q"), most + 1);
}

#[test]
fn publishes_that_never_end_are_bounded_and_the_others_end() {
    let mut bench = bench();
    let client = bench.connect();
    bench.call(client, &queue_declare("q", FieldTable::new()));
    let mut ends = Vec::new();
    (2..=5).for_each(|channel| bench.open_channel(client, channel));
    for channel in 1..=4 {
        let [begin, end] = publish_in_two(&bench, channel, LARGEST - 100);
        bench.bytes(client, &begin);
        assert_eq!(bench.answers(client), []);
        ends.push(end);
    }
    let [begin, _] = publish_in_two(&bench, 5, LARGEST - 100);
    bench.bytes(client, &begin);
    let text = "publishes under way of a connection may hold 40000 bytes at most";
    assert!(closed_with(&bench.answers(client), text));
    for end in ends {
        bench.bytes(client, &end);
    }
    assert_eq!(bench.ready("q"), 4);
}

#[test]
fn an_alarm_holds_back_who_has_only_begun_to_publish() {
    let mut bench = bench();
    let client = bench.connect();
    let [begin, _] = publish_in_two(&bench, 1, 100);
    bench.bytes(client, &begin);
    bench.core.set_alarm(Alarm::Memory, true);
    assert!(!bench.core.wants_input(client.0));
}
