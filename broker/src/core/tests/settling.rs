//! Settlements, also those that an open transaction holds; what channels may have out; who may consume alone.

use super::kit::{
    Bench, Client, basic_consume, bodies, durable_declare, queue_delete, table, text,
};
use crate::core::field::FieldValue;
use crate::core::frame;
use crate::core::method::Method;
use crate::core::properties::Properties;

fn ack(delivery_tag: u64, multiple: bool) -> Method<'static> {
    Method::BasicAck {
        delivery_tag,
        multiple,
    }
}

/// A queue of five messages, all out to a channel with a transaction.
fn transaction() -> (Bench, Client) {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([]));
    for body in ["1", "2", "3", "4", "5"] {
        bench.publish(client, "", "q", body);
    }
    bench.ask(client, &Method::TxSelect);
    bench.consume(client, "q", "c", false);
    (bench, client)
}

#[test]
fn a_delivery_is_settled_once_even_in_an_open_transaction() {
    for (tag, multiple) in [(2, false), (2, true), (9, true)] {
        let (mut bench, client) = transaction();
        assert_eq!(bench.call(client, &ack(2, true)), []);
        let closed = bench.ask(client, &ack(tag, multiple));
        assert!(closed.contains(&format!("unknown delivery tag {tag}")));
        assert_eq!(bench.ready("q"), 5, "nothing was committed");
    }
}

#[test]
fn settling_several_ends_with_one_that_is_out() {
    for (first, then) in [
        ((2, false), 2),
        ((3, true), 2),
        ((5, true), 5),
        ((1, false), 6),
    ] {
        let mut bench = Bench::new();
        let client = bench.connect();
        bench.declare(client, "q", table([]));
        for body in ["1", "2", "3", "4", "5"] {
            bench.publish(client, "", "q", body);
        }
        bench.consume(client, "q", "c", false);
        assert_eq!(bench.call(client, &ack(first.0, first.1)), []);
        let closed = bench.ask(client, &ack(then, true));
        assert!(closed.contains(&format!("unknown delivery tag {then}")));
    }
}

#[test]
fn a_rollback_makes_deliveries_unsettled_again() {
    let (mut bench, client) = transaction();
    bench.call(client, &ack(3, true));
    assert_eq!(bench.ask(client, &Method::TxRollback), "TxRollbackOk");
    bench.call(client, &ack(2, false));
    assert_eq!(bench.ask(client, &Method::TxCommit), "TxCommitOk");
    bench.call(client, &Method::BasicRecover { requeue: true });
    let queue = bench.core.find_queue("/", "q").expect("there");
    assert_eq!(queue.counters.taken.ack, 1);
}

#[test]
fn all_means_all_that_are_out_now_and_recovery_leaves_them_alone() {
    let (mut bench, client) = transaction();
    bench.call(client, &ack(3, true));
    let again = bench.call(client, &Method::BasicRecover { requeue: true });
    assert_eq!(bodies(&again), ["4", "5"]);
    bench.call(client, &ack(0, true));
    bench.publish(client, "", "q", "6");
    let committed = bench.call(client, &Method::TxCommit);
    assert_eq!(bodies(&committed[1..]), ["6"]);
    let queue = bench.core.find_queue("/", "q").expect("there");
    assert_eq!((queue.counters.taken.ack, queue.unacked), (5, 1));
}

#[test]
fn a_commit_leaves_out_queues_that_have_gone() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([]));
    bench.ask(client, &Method::TxSelect);
    bench.publish(client, "", "q", "for nobody");
    let other = bench.connect();
    bench.call(other, &queue_delete("q"));
    assert_eq!(bench.ask(client, &Method::TxCommit), "TxCommitOk");
}

#[test]
fn who_deletes_a_queue_is_answered_before_its_consumers_hear_of_it() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([]));
    bench.consume(client, "q", "t", false);
    let answers = bench.call(client, &queue_delete("q"));
    let texts: Vec<_> = answers.iter().map(|answer| answer.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "QueueDeleteOk { message_count: 0 }",
            "BasicCancel { consumer_tag: \"t\", nowait: true }"
        ]
    );
}

#[test]
fn a_limit_of_each_consumer_takes_the_place_of_the_channels() {
    let (mut bench, client) = limited_to_two();
    let qos = Method::BasicQos {
        prefetch_size: 0,
        prefetch_count: 0,
        global: false,
    };
    let answers = bench.call(client, &qos);
    assert_eq!(bodies(&answers), ["3", "4"]);
}

/// Four messages for a consumer on a channel that takes two.
fn limited_to_two() -> (Bench, Client) {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([]));
    for body in ["1", "2", "3", "4"] {
        bench.publish(client, "", "q", body);
    }
    let qos = Method::BasicQos {
        prefetch_size: 0,
        prefetch_count: 2,
        global: true,
    };
    bench.call(client, &qos);
    assert_eq!(bodies(&bench.consume(client, "q", "t", false)), ["1", "2"]);
    (bench, client)
}

#[test]
fn a_dead_letter_is_routed_by_what_is_told_of_its_death() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "dead", table([]));
    let of_death = table([
        ("x-match", text("any-with-x")),
        ("x-first-death-reason", text("maxlen")),
    ]);
    bench.bind(client, "dead", "amq.headers", "", of_death);
    let arguments = [
        ("x-max-length", FieldValue::I32(0)),
        ("x-dead-letter-exchange", text("amq.headers")),
    ];
    bench.declare(client, "q", table(arguments));
    bench.publish(client, "", "q", "dropped");
    bench.core.end_turn();
    assert_eq!(bench.ready("dead"), 1);
}

#[test]
fn nobody_has_a_queue_with_a_single_active_consumer_alone() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let single = [("x-single-active-consumer", FieldValue::Bool(true))];
    bench.declare(client, "q", table(single));
    let closed = bench.ask(client, &basic_consume("q", "t", false, true, table([])));
    assert!(
        closed.contains("queue 'q' in vhost '/' in exclusive use"),
        "{closed}"
    );
}

#[test]
fn names_that_begin_like_addresses_of_answers_are_of_no_queue() {
    let mut bench = Bench::new();
    for name in ["amq.rabbitmq.reply-to.x", "amq.rabbitmq.reply-tox"] {
        let client = bench.connect();
        let closed = bench.declare(client, name, table([]));
        assert!(closed.contains(&format!("no queue '{name}'")), "{closed}");
    }
}

#[test]
fn what_comes_back_to_a_full_queue_goes_before_consumers_are_served() {
    for (kind, seen) in [("classic", ["3", "4"]), ("quorum", ["1", "2"])] {
        let mut bench = Bench::new();
        let client = bench.connect();
        let arguments = table([
            ("x-queue-type", text(kind)),
            ("x-max-length", FieldValue::I32(2)),
        ]);
        bench.ask(client, &durable_declare("q", arguments));
        let qos = Method::BasicQos {
            prefetch_size: 0,
            prefetch_count: 2,
            global: false,
        };
        bench.ask(client, &qos);
        bench.consume(client, "q", "c", false);
        for body in ["1", "2", "3", "4"] {
            bench.publish(client, "", "q", body);
        }
        assert_eq!(bodies(&bench.answers(client)), ["1", "2"]);
        let back = Method::BasicNack {
            delivery_tag: 2,
            multiple: true,
            requeue: true,
        };
        assert_eq!(bodies(&bench.call(client, &back)), seen, "{kind}");
    }
}

#[test]
fn what_a_free_consumer_is_to_get_does_not_make_way_for_what_comes_back() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([("x-max-length", FieldValue::I32(1))]));
    bench.publish(client, "", "q", "1");
    let qos = Method::BasicQos {
        prefetch_size: 0,
        prefetch_count: 3,
        global: false,
    };
    bench.ask(client, &qos);
    bench.consume(client, "q", "c", false);
    // in one turn: two more, then the first comes back
    let mut bytes = Vec::new();
    for body in ["2", "3"] {
        let with = Properties::default();
        bytes.extend(bench.publish_bytes(1, ("", "q"), body, &with, false));
    }
    let back = Method::BasicNack {
        delivery_tag: 1,
        multiple: false,
        requeue: true,
    };
    frame::write(&mut bytes, frame::METHOD, 1, |out| back.encode(out));
    bench.bytes(client, &bytes);
    assert_eq!(bodies(&bench.answers(client)), ["2", "3", "1"]);
}
