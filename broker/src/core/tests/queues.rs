//! Order, limits, priorities, prefetch, exclusivity: what a queue promises its users.

use super::kit::{
    Bench, Client, basic_consume, bodies, durable_declare, queue_declare, queue_delete, table, text,
};
use crate::core::field::{FieldTable, FieldValue};
use crate::core::metadata::{Command, PolicySpec};
use crate::core::method::Method;
use crate::core::properties::Properties;

fn number(value: i32) -> FieldValue {
    FieldValue::I32(value)
}

fn filled(bench: &mut Bench, client: Client, queue: &str, arguments: FieldTable, bodies: &[&str]) {
    bench.declare(client, queue, arguments);
    for body in bodies {
        bench.publish(client, "", queue, body);
    }
}

fn drain(bench: &mut Bench, client: Client, queue: &str) -> Vec<String> {
    std::iter::from_fn(|| bench.get(client, queue)?.body).collect()
}

fn qos(bench: &mut Bench, client: Client, prefetch_count: u16, global: bool) {
    assert_eq!(
        bench.ask(
            client,
            &Method::BasicQos {
                prefetch_size: 0,
                prefetch_count,
                global
            }
        ),
        "BasicQosOk"
    );
}

#[test]
fn a_requeued_message_goes_to_its_old_place() {
    let mut bench = Bench::new();
    let client = bench.connect();
    filled(
        &mut bench,
        client,
        "q",
        FieldTable::new(),
        &["0", "1", "2", "3", "4"],
    );
    for _ in 0..3 {
        bench.call(
            client,
            &Method::BasicGet {
                ticket: 0,
                queue: "q",
                no_ack: false,
            },
        );
    }
    bench.call(
        client,
        &Method::BasicNack {
            delivery_tag: 2,
            multiple: false,
            requeue: true,
        },
    );
    let first = bench.get(client, "q").expect("the second again");
    assert_eq!(first.body.as_deref(), Some("1"));
    assert!(first.text.contains("redelivered: true"));
    assert_eq!(drain(&mut bench, client, "q"), ["3", "4"]);
}

#[test]
fn a_closed_connection_gives_everything_back_in_order() {
    let mut bench = Bench::new();
    let (worker, other) = (bench.connect(), bench.connect());
    filled(&mut bench, other, "q", FieldTable::new(), &["0", "1", "2"]);
    assert_eq!(
        bodies(&bench.consume(worker, "q", "t", false)),
        ["0", "1", "2"]
    );
    bench.core.disconnected(worker.0);
    assert_eq!(drain(&mut bench, other, "q"), ["0", "1", "2"]);
}

#[test]
fn a_full_queue_drops_its_head() {
    let mut bench = Bench::new();
    let client = bench.connect();
    filled(
        &mut bench,
        client,
        "q",
        table([("x-max-length", number(2))]),
        &["1", "2", "3", "4"],
    );
    assert_eq!(drain(&mut bench, client, "q"), ["3", "4"]);
    filled(
        &mut bench,
        client,
        "b",
        table([("x-max-length-bytes", number(5))]),
        &["12", "34", "56"],
    );
    assert_eq!(drain(&mut bench, client, "b"), ["34", "56"]);
}

#[test]
fn a_full_queue_that_rejects_nacks_the_publisher() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.ask(client, &Method::ConfirmSelect { nowait: false });
    let arguments = [
        ("x-max-length", number(2)),
        ("x-overflow", text("reject-publish")),
    ];
    bench.declare(client, "q", table(arguments));
    let mut seen = Vec::new();
    for body in ["1", "2", "3", "4"] {
        bench.publish(client, "", "q", body);
        seen.extend(
            bench
                .answers(client)
                .into_iter()
                .map(|answer| answer.text[..9].to_owned()),
        );
    }
    assert_eq!(seen, ["BasicAck ", "BasicAck ", "BasicNack", "BasicNack"]);
    assert_eq!(drain(&mut bench, client, "q"), ["1", "2"]);
}

#[test]
fn a_queue_of_length_zero_hands_over_to_who_waits_unless_it_rejects() {
    let mut bench = Bench::new();
    let client = bench.connect();
    for (overflow, seen) in [("drop-head", vec!["seen"]), ("reject-publish", vec![])] {
        let arguments = [("x-max-length", number(0)), ("x-overflow", text(overflow))];
        filled(&mut bench, client, overflow, table(arguments), &["lost"]);
        assert_eq!(
            bodies(&bench.consume(client, overflow, overflow, true)),
            [""; 0]
        );
        bench.publish(client, "", overflow, "seen");
        assert_eq!(bodies(&bench.answers(client)), seen);
    }
}

#[test]
fn higher_priorities_go_first_and_keep_their_order() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([("x-max-priority", number(5))]));
    for (body, priority) in [("a", 1), ("b", 5), ("c", 0), ("d", 9), ("e", 1)] {
        let with = Properties {
            priority: Some(priority),
            ..Properties::default()
        };
        bench.publish_with(client, "", "q", body, &with);
    }
    assert_eq!(drain(&mut bench, client, "q"), ["b", "d", "a", "e", "c"]);
}

#[test]
fn prefetch_bounds_what_is_out_and_acknowledging_lets_more_through() {
    let mut bench = Bench::new();
    let client = bench.connect();
    filled(
        &mut bench,
        client,
        "q",
        FieldTable::new(),
        &["1", "2", "3", "4"],
    );
    qos(&mut bench, client, 2, false);
    assert_eq!(bodies(&bench.consume(client, "q", "t", false)), ["1", "2"]);
    let ack = Method::BasicAck {
        delivery_tag: 1,
        multiple: false,
    };
    assert_eq!(bodies(&bench.call(client, &ack)), ["3"]);
    let ack = Method::BasicAck {
        delivery_tag: 3,
        multiple: true,
    };
    assert_eq!(bodies(&bench.call(client, &ack)), ["4"]);
}

#[test]
fn a_global_prefetch_is_shared_by_the_channels_consumers() {
    let mut bench = Bench::new();
    let client = bench.connect();
    filled(&mut bench, client, "a", FieldTable::new(), &["1", "2", "3"]);
    filled(&mut bench, client, "b", FieldTable::new(), &["4", "5"]);
    qos(&mut bench, client, 3, true);
    bench.send(
        client,
        1,
        &basic_consume("a", "a", false, false, FieldTable::new()),
    );
    bench.send(
        client,
        1,
        &basic_consume("b", "b", false, false, FieldTable::new()),
    );
    assert_eq!(bodies(&bench.answers(client)).len(), 3);
    let ack = Method::BasicAck {
        delivery_tag: 0,
        multiple: true,
    };
    assert_eq!(bodies(&bench.call(client, &ack)).len(), 2);
}

#[test]
fn consumers_take_turns_and_higher_priorities_come_first() {
    let mut bench = Bench::new();
    let (first, second, third) = (bench.connect(), bench.connect(), bench.connect());
    bench.declare(first, "q", FieldTable::new());
    bench.consume(first, "q", "1", true);
    bench.consume(second, "q", "2", true);
    for body in ["a", "b", "c", "d"] {
        bench.publish(third, "", "q", body);
    }
    assert_eq!(bodies(&bench.answers(first)), ["a", "c"]);
    assert_eq!(bodies(&bench.answers(second)), ["b", "d"]);
    qos(&mut bench, third, 1, false);
    let eager = table([("x-priority", number(10))]);
    bench.call(third, &basic_consume("q", "3", false, false, eager));
    bench.publish(first, "", "q", "e");
    bench.publish(first, "", "q", "f");
    assert_eq!(bodies(&bench.answers(third)), ["e"]);
    assert_eq!(
        bodies(&bench.answers(first)).len() + bodies(&bench.answers(second)).len(),
        1
    );
}

#[test]
fn only_the_active_one_of_several_consumers_gets_messages() {
    let mut bench = Bench::new();
    let (first, second) = (bench.connect(), bench.connect());
    bench.declare(
        first,
        "q",
        table([("x-single-active-consumer", FieldValue::Bool(true))]),
    );
    bench.consume(first, "q", "1", false);
    bench.consume(second, "q", "2", false);
    bench.publish(first, "", "q", "a");
    bench.publish(first, "", "q", "b");
    assert_eq!(bodies(&bench.answers(first)), ["a", "b"]);
    bench.core.disconnected(first.0);
    bench.core.end_turn();
    assert_eq!(bodies(&bench.answers(second)), ["a", "b"]);
}

#[test]
fn an_exclusive_consumer_excludes_others_both_ways() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    bench.call(
        client,
        &basic_consume("q", "1", false, true, FieldTable::new()),
    );
    let refused = bench.ask(
        client,
        &basic_consume("q", "2", false, false, FieldTable::new()),
    );
    assert!(
        refused.contains("ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"),
        "{refused}"
    );
}

#[test]
fn deleting_a_queue_tells_its_consumers() {
    let mut bench = Bench::new();
    let (client, other) = (bench.connect(), bench.connect());
    bench.declare(client, "q", FieldTable::new());
    bench.consume(client, "q", "t", false);
    let delete = queue_delete("q");
    bench.call(other, &delete);
    assert_eq!(
        bench.answers(client)[0].text,
        "BasicCancel { consumer_tag: \"t\", nowait: true }"
    );
}

#[test]
fn an_auto_delete_queue_ends_with_its_last_consumer() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let mut declare = queue_declare("q", FieldTable::new());
    if let Method::QueueDeclare { auto_delete, .. } = &mut declare {
        *auto_delete = true;
    }
    bench.call(client, &declare);
    bench.consume(client, "q", "t", true);
    bench.call(
        client,
        &Method::BasicCancel {
            consumer_tag: "t",
            nowait: false,
        },
    );
    assert!(bench.core.find_queue("/", "q").is_none());
}

/// Sets a policy for the queue `q`, and lets a turn pass.
fn short(bench: &mut Bench, definition: serde_json::Value) {
    let policy = PolicySpec {
        name: "short".to_owned(),
        pattern: "^q".to_owned(),
        apply_to: "queues".to_owned(),
        definition: definition.as_object().cloned().expect("an object"),
        priority: 0,
    };
    bench.core.execute(Command::SetPolicy {
        vhost: "/".to_owned(),
        policy,
    });
    bench.core.end_turn();
}

#[test]
fn a_limit_that_comes_with_a_refusing_overflow_takes_what_is_over_it() {
    let mut bench = Bench::new();
    let client = bench.connect();
    filled(&mut bench, client, "q", FieldTable::new(), &["1", "2", "3"]);
    let refusing =
        |limit: u32| serde_json::json!({"max-length": limit, "overflow": "reject-publish"});
    short(&mut bench, refusing(2));
    assert_eq!(bench.ready("q"), 2);
    // the queue refuses already when this one comes: nothing that it took is dropped
    short(&mut bench, refusing(1));
    bench.publish(client, "", "q", "refused");
    assert_eq!(drain(&mut bench, client, "q"), ["2", "3"]);
}

#[test]
fn a_policy_applies_to_queues_that_are_there_and_is_taken_back() {
    let mut bench = Bench::new();
    let client = bench.connect();
    filled(&mut bench, client, "q", FieldTable::new(), &["1", "2", "3"]);
    short(&mut bench, serde_json::json!({"max-length": 1}));
    assert_eq!(bench.ready("q"), 1);
    bench.core.execute(Command::ClearPolicy {
        vhost: "/".to_owned(),
        name: "short".to_owned(),
    });
    bench.publish(client, "", "q", "4");
    assert_eq!(drain(&mut bench, client, "q"), ["3", "4"]);
}

#[test]
fn a_quorum_queue_counts_deliveries_and_gives_up_at_its_limit() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "dead", FieldTable::new());
    let arguments = table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", number(1)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
    ]);
    bench.call(client, &durable_declare("q", arguments));
    bench.publish(client, "", "q", "m");
    let seen = bench.consume(client, "q", "t", false);
    assert_eq!(bodies(&seen), ["m"]);
    let again = bench.call(
        client,
        &Method::BasicReject {
            delivery_tag: 1,
            requeue: true,
        },
    );
    assert_eq!(
        again[0].headers.get("x-delivery-count"),
        Some(&FieldValue::I64(1))
    );
    bench.call(
        client,
        &Method::BasicReject {
            delivery_tag: 2,
            requeue: true,
        },
    );
    let dead = bench.get(client, "dead").expect("given up");
    assert_eq!(
        dead.headers.get("x-first-death-reason"),
        Some(&text("delivery_limit"))
    );
}

#[test]
fn a_transaction_shows_nothing_before_its_commit() {
    let mut bench = Bench::new();
    let (client, other) = (bench.connect(), bench.connect());
    filled(&mut bench, client, "q", FieldTable::new(), &["old"]);
    bench.ask(client, &Method::TxSelect);
    bench.call(
        client,
        &Method::BasicGet {
            ticket: 0,
            queue: "q",
            no_ack: false,
        },
    );
    bench.publish(client, "", "q", "new");
    bench.call(
        client,
        &Method::BasicAck {
            delivery_tag: 1,
            multiple: false,
        },
    );
    assert_eq!(bench.get(other, "q"), None);
    assert_eq!(bench.ask(client, &Method::TxRollback), "TxRollbackOk");
    bench.publish(client, "", "q", "newer");
    bench.call(
        client,
        &Method::BasicAck {
            delivery_tag: 1,
            multiple: false,
        },
    );
    assert_eq!(bench.ask(client, &Method::TxCommit), "TxCommitOk");
    assert_eq!(
        bench.core.find_queue("/", "q").map(|queue| queue.unacked),
        Some(0)
    );
    assert_eq!(drain(&mut bench, other, "q"), ["newer"]);
}

#[test]
fn a_consumer_that_does_not_read_gets_a_bounded_amount() {
    let mut bench = Bench::new();
    let (slow, publisher) = (bench.connect(), bench.connect());
    bench.declare(slow, "q", FieldTable::new());
    bench.consume(slow, "q", "t", true);
    let body = "x".repeat(100_000);
    for _ in 0..50 {
        bench.publish(publisher, "", "q", &body);
    }
    let waiting = bench.core.connections[slow.0 as usize].output.len();
    assert!(waiting < 1 << 20, "{waiting}");
    assert!(bench.ready("q") > 30);
    let mut seen = 0;
    while seen < 50 {
        let now = bodies(&bench.answers(slow)).len();
        assert!(now > 0, "stuck after {seen}");
        seen += now;
    }
}

#[test]
fn an_alarm_holds_back_publishers_and_tells_them() {
    use crate::core::alarm::Alarm;
    let mut bench = Bench::new();
    let (publisher, consumer) = (bench.connect(), bench.connect());
    bench.declare(publisher, "q", FieldTable::new());
    bench.publish(publisher, "", "q", "m");
    bench.core.set_alarm(Alarm::Memory, true);
    assert_eq!(
        bench.answers(publisher)[0].text,
        "ConnectionBlocked { reason: \"low on memory\" }"
    );
    assert!(!bench.core.wants_input(publisher.0));
    assert!(bench.core.wants_input(consumer.0));
    assert_eq!(bench.answers(consumer), []);
    bench.core.set_alarm(Alarm::Memory, false);
    assert_eq!(bench.answers(publisher)[0].text, "ConnectionUnblocked");
    assert!(bench.core.wants_input(publisher.0));
}

#[test]
fn an_orderly_stop_tells_every_client_320() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.core.stop();
    let text = &bench.answers(client)[0].text;
    assert!(text.contains("reply_code: 320"), "{text}");
    assert!(
        text.contains(
            "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
        ),
        "{text}"
    );
}
