//! What an operator sets and watches: the node's limits, durability levels, the firehose, counters.

use super::kit::{
    Answer, Bench, Client, basic_consume, durable_declare, queue_declare, queue_delete, table, text,
};
use super::stepped::Stepped;
use crate::core::field::{FieldTable, FieldValue};
use crate::core::letters::Reason;
use crate::core::metadata::Command;
use crate::core::method::Method;
use crate::core::properties::Properties;
use crate::core::settings::Settings;
use crate::core::vhost::VhostSpec;
use crate::management::engine;
use crate::management::flows::Flows;
use std::sync::atomic::Ordering;

fn publish_persistent(bench: &mut Bench, client: Client, queue: &str) -> Vec<Answer> {
    let persistent = Properties {
        delivery_mode: Some(2),
        ..Properties::default()
    };
    bench.publish_with(client, "", queue, "x", &persistent);
    bench.answers(client)
}

#[test]
fn a_confirm_waits_for_what_the_queues_durability_promises() {
    for (level, after_write) in [("memory", false), ("replicated", true), ("fsync", false)] {
        let mut bench = Bench::new();
        let journal = Stepped::default();
        bench.core.journal = Box::new(journal.clone());
        let client = bench.connect();
        let arguments = table([("x-durability", text(level))]);
        bench.call(client, &durable_declare("q", arguments));
        bench.call(client, &Method::ConfirmSelect { nowait: false });
        let at_once = !publish_persistent(&mut bench, client, "q").is_empty();
        assert_eq!(at_once, level == "memory", "{level}");
        assert_eq!(bench.ready("q"), 1);
        let appended = journal.appended.load(Ordering::Relaxed);
        assert_eq!(appended, u64::from(level != "memory"), "{level}");
        journal.written.store(1, Ordering::Relaxed);
        bench.pass(1);
        assert_eq!(!bench.answers(client).is_empty(), after_write, "{level}");
        journal.durable.store(1, Ordering::Relaxed);
        bench.pass(1);
        let after_sync = !bench.answers(client).is_empty();
        assert_eq!(after_sync, level == "fsync", "{level}");
    }
}

#[test]
fn each_commit_is_answered_once_it_is_durable_however_soon_the_next_comes() {
    let mut bench = Bench::new();
    let journal = Stepped::default();
    bench.core.journal = Box::new(journal.clone());
    let client = bench.connect();
    bench.call(client, &durable_declare("q", FieldTable::new()));
    bench.ask(client, &Method::TxSelect);
    for _ in 0..2 {
        publish_persistent(&mut bench, client, "q");
        assert_eq!(bench.call(client, &Method::TxCommit), []);
    }
    assert_eq!(bench.ask(client, &Method::TxRollback), "TxRollbackOk");
    for (durable, expected) in [
        (1, vec!["TxCommitOk"]),
        (2, vec!["TxCommitOk"]),
        (3, vec![]),
    ] {
        journal.durable.store(durable, Ordering::Relaxed);
        bench.pass(1);
        let answers = bench.answers(client);
        let texts: Vec<&str> = answers.iter().map(|answer| &*answer.text).collect();
        assert_eq!(texts, expected, "durable up to {durable}");
    }
}

#[test]
fn a_publisher_faster_than_the_disk_waits_and_others_do_not() {
    let mut bench = Bench::new();
    let journal = Stepped::default();
    bench.core.journal = Box::new(journal.clone());
    let [fast, slow, reader] = [(); 3].map(|()| bench.connect());
    bench.call(fast, &durable_declare("q", FieldTable::new()));
    publish_persistent(&mut bench, slow, "q");
    bench.consume(reader, "q", "t", true);
    journal.written.store(1, Ordering::Relaxed);
    for _ in 0..3 {
        assert!(bench.core.wants_input(fast.0));
        publish_persistent(&mut bench, fast, "q");
    }
    let waits = |bench: &Bench| [fast, slow, reader].map(|c| !bench.core.wants_input(c.0));
    assert_eq!(waits(&bench), [true, false, false]);
    publish_persistent(&mut bench, slow, "q");
    assert_eq!(waits(&bench), [true, true, false]);
    journal.written.store(4, Ordering::Relaxed);
    assert_eq!(waits(&bench), [false, false, false]);
    for _ in 0..6 {
        publish_persistent(&mut bench, fast, "q");
    }
    journal.written.store(5, Ordering::Relaxed);
    assert_eq!(
        waits(&bench),
        [true, true, false],
        "too much of one is too much for all"
    );
}

#[test]
fn who_makes_messages_leave_the_memory_waits_and_others_do_not() {
    let mut bench = Bench::with(Settings {
        message_memory: 100,
        ..Settings::default()
    });
    let journal = Stepped::default();
    bench.core.journal = Box::new(journal.clone());
    let [fast, slow] = [(); 2].map(|()| bench.connect());
    // a limit, so that the queue is looked after at each message
    let arguments = table([("x-max-length", FieldValue::I32(1000))]);
    bench.call(fast, &queue_declare("long", arguments));
    bench.call(slow, &queue_declare("short", FieldTable::new()));
    bench.consume(slow, "short", "t", true);
    let waits = |bench: &Bench| [fast, slow].map(|c| !bench.core.wants_input(c.0));
    for _ in 0..5 {
        bench.publish(fast, "", "long", &"x".repeat(200));
        bench.publish(slow, "", "short", "x");
        assert_eq!(bench.answers(slow).len(), 1);
    }
    assert_eq!(waits(&bench), [true, false]);
    journal.written.store(4, Ordering::Relaxed);
    assert_eq!(waits(&bench), [false, false]);
}

#[test]
fn the_strictest_of_a_messages_queues_decides_when_it_is_confirmed() {
    let mut bench = Bench::new();
    let journal = Stepped::default();
    bench.core.journal = Box::new(journal.clone());
    let client = bench.connect();
    for level in ["memory", "replicated", "fsync"] {
        let arguments = table([("x-durability", text(level))]);
        bench.call(client, &durable_declare(level, arguments));
        bench.bind(client, level, "amq.fanout", "", FieldTable::new());
    }
    bench.call(client, &Method::ConfirmSelect { nowait: false });
    let persistent = Properties {
        delivery_mode: Some(2),
        ..Properties::default()
    };
    bench.publish_with(client, "amq.fanout", "", "x", &persistent);
    journal.written.store(1, Ordering::Relaxed);
    bench.pass(1);
    assert_eq!(bench.answers(client), []);
    journal.durable.store(1, Ordering::Relaxed);
    bench.pass(1);
    assert_eq!(bench.answers(client).len(), 1);
}

#[test]
fn an_unknown_durability_is_refused() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let arguments = table([("x-durability", text("hope"))]);
    let answer = bench.ask(client, &queue_declare("q", arguments));
    assert!(answer.contains("invalid_durability"), "{answer}");
}

#[test]
fn a_channel_that_sets_no_prefetch_has_the_nodes() {
    let mut bench = Bench::with(Settings {
        default_prefetch: 2,
        ..Settings::default()
    });
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    for _ in 0..5 {
        bench.publish(client, "", "q", "x");
    }
    bench.consume(client, "q", "c", false);
    assert_eq!(bench.ready("q"), 3);
    let none = Method::BasicQos {
        prefetch_size: 0,
        prefetch_count: 0,
        global: false,
    };
    bench.call(client, &none);
    bench.consume(client, "q", "d", false);
    assert_eq!(bench.ready("q"), 0, "asked for no limit: no limit");
}

#[test]
fn the_node_takes_no_more_connections_than_its_limit() {
    let mut bench = Bench::with(Settings {
        connection_max: Some(1),
        ..Settings::default()
    });
    let first = bench.connect();
    let second = bench.connect_raw();
    bench.bytes(second, b"AMQP\0\0\x09\x01");
    bench.login(second, b"\0guest\0guest");
    let tune = Method::ConnectionTuneOk {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 0,
    };
    bench.send(second, 0, &tune);
    let open = Method::ConnectionOpen {
        virtual_host: "/",
        capabilities: "",
        insist: false,
    };
    bench.send(second, 0, &open);
    let answers = bench.answers(second);
    let last = &answers.last().expect("an answer").text;
    assert!(last.contains("530"), "{last}");
    assert!(
        last.contains("node connection limit (1) is reached"),
        "{last}"
    );
    bench.core.disconnected(second.0);
    bench.core.disconnected(first.0);
    bench.connect();
}

fn trace(bench: &mut Bench, tracing: bool) {
    bench.core.execute(Command::PutVhost(VhostSpec {
        name: "/".to_owned(),
        tracing,
        ..VhostSpec::default()
    }));
}

#[test]
fn a_traced_vhost_copies_what_is_published_and_delivered() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    bench.declare(client, "copies", FieldTable::new());
    bench.bind(
        client,
        "copies",
        "amq.rabbitmq.trace",
        "#",
        FieldTable::new(),
    );
    bench.publish(client, "", "q", "before");
    assert!(bench.get(client, "q").is_some());
    assert_eq!(bench.ready("copies"), 0);
    trace(&mut bench, true);
    bench.publish(client, "", "q", "hello");
    assert!(bench.get(client, "q").is_some());
    bench.publish(client, "amq.topic", "nowhere", "lost");
    bench.call(
        client,
        &basic_consume("q", "c", true, false, FieldTable::new()),
    );
    bench.publish(client, "", "q", "again");
    bench.answers(client);
    let mut seen = Vec::new();
    while let Some(copy) = bench.get(client, "copies") {
        assert_eq!(copy.headers.get("vhost"), Some(&text("/")));
        assert_eq!(copy.headers.get("user"), Some(&text("guest")));
        let route = copy.text.split("routing_key: ").nth(1).expect("a key");
        let key = route.split('"').nth(1).expect("quoted").to_owned();
        if key == "publish." && copy.body.as_deref() == Some("hello") {
            let queues = FieldValue::Array(vec![text("q")]);
            assert_eq!(copy.headers.get("routed_queues"), Some(&queues));
        }
        if key == "deliver.q" {
            assert_eq!(copy.headers.get("redelivered"), Some(&FieldValue::I32(0)));
        }
        seen.push((key, copy.body.unwrap_or_default()));
    }
    let want = [
        ("publish.", "hello"),
        ("deliver.q", "hello"),
        ("publish.amq.topic", "lost"),
        ("publish.", "again"),
        ("deliver.q", "again"),
    ];
    let seen: Vec<_> = seen.iter().map(|(k, b)| (k.as_str(), b.as_str())).collect();
    assert_eq!(seen, want);
    trace(&mut bench, false);
    bench.publish(client, "", "q", "after");
    assert_eq!(bench.ready("copies"), 0);
}

#[test]
fn counters_tell_the_types_apart_and_do_not_fall_when_queues_go() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let quorum = table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", FieldValue::I32(0)),
    ]);
    bench.call(client, &durable_declare("quorum", quorum));
    bench.declare(client, "classic", FieldTable::new());
    for queue in ["quorum", "classic"] {
        bench.publish(client, "", queue, "x");
        let get = Method::BasicGet {
            ticket: 0,
            queue,
            no_ack: false,
        };
        bench.call(client, &get);
    }
    for delivery_tag in [1, 2] {
        let reject = Method::BasicReject {
            delivery_tag,
            requeue: delivery_tag == 1,
        };
        bench.call(client, &reject);
    }
    let before = engine::node(&bench.core);
    assert_eq!((before.counters.get, before.quorum.get), (2, 1));
    let of = |quorum, reason| before.deaths.count(quorum, false, reason);
    assert_eq!(of(true, Reason::DeliveryLimit), 1);
    assert_eq!(of(false, Reason::Rejected), 1);
    for queue in ["quorum", "classic"] {
        let delete = queue_delete(queue);
        bench.call(client, &delete);
    }
    let after = engine::node(&bench.core);
    assert_eq!(after.open.queues, 0);
    assert_eq!(after.quorum, before.quorum);
    assert_eq!(after.deaths, before.deaths);
}

#[test]
fn a_queues_capacity_falls_while_messages_wait_for_its_consumers() {
    let mut bench = Bench::with(Settings {
        default_prefetch: 1,
        ..Settings::default()
    });
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    let capacity = |bench: &Bench| engine::queue(&bench.core, "/", "q").map(|(_, q)| q.capacity);
    assert_eq!(capacity(&bench), Some(0.0), "nobody consumes");
    bench.consume(client, "q", "c", false);
    bench.pass(1_000);
    assert_eq!(capacity(&bench), Some(1.0));
    bench.publish(client, "", "q", "taken");
    bench.publish(client, "", "q", "waits");
    bench.pass(3_000);
    assert_eq!(capacity(&bench), Some(0.25));
}

#[test]
fn traffic_is_told_apart_by_exchange_queue_and_channel() {
    let mut bench = Bench::new();
    let client = bench.connect();
    for queue in ["a", "b"] {
        bench.declare(client, queue, FieldTable::new());
        bench.bind(client, queue, "amq.direct", "k", FieldTable::new());
        bench.bind(client, queue, "amq.headers", "", FieldTable::new());
    }
    for key in ["k", "k", "nowhere"] {
        bench.publish(client, "amq.direct", key, "x");
    }
    bench.publish(client, "", "a", "x");
    bench.publish(client, "amq.headers", "", "x");
    bench.consume(client, "b", "t", true);
    bench.get(client, "a");
    let flows = Flows::of(&mut bench.core);
    let passed: Vec<_> = flows
        .exchanges()
        .map(|(_, name, passed)| (name.to_string(), passed.published_in, passed.published_out))
        .collect();
    for wanted in [("amq.direct", 3, 4), ("amq.headers", 1, 2), ("", 1, 1)] {
        let wanted = (wanted.0.to_owned(), wanted.1, wanted.2);
        assert!(passed.contains(&wanted), "{wanted:?} in {passed:?}");
    }
    let (incoming, deliveries) = flows.of_queue("/", "b");
    let from: u64 = incoming.iter().map(|flow| flow.counters.publish).sum();
    assert_eq!((incoming.len(), from), (2, 3));
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].counters.deliver_no_ack, 3);
    let (publishers, queues) = flows.of_exchange("/", "amq.direct");
    assert_eq!((publishers.len(), publishers[0].counters.publish), (1, 3));
    assert_eq!(queues.len(), 2);
    assert!(queues.iter().all(|flow| flow.counters.publish == 2));
}
