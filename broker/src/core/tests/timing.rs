//! Time to live, expiry of queues, heartbeats, the handshake's limit, and deliveries kept too long.

use super::kit::{Bench, Client, bodies, table, text};
use crate::core::Effect;
use crate::core::alarm::Alarm;
use crate::core::field::{FieldTable, FieldValue};
use crate::core::method::Method;
use crate::core::properties::Properties;

fn number(value: i32) -> FieldValue {
    FieldValue::I32(value)
}

fn is_closed(bench: &mut Bench) -> bool {
    bench
        .core
        .take_effects()
        .iter()
        .any(|effect| matches!(effect, Effect::Close { .. }))
}

#[test]
fn a_message_expires_after_the_shorter_of_both_times() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([("x-message-ttl", number(100))]));
    let short = Properties {
        expiration: Some(b"50"),
        ..Properties::default()
    };
    bench.publish_with(client, "", "q", "short", &short);
    bench.publish(client, "", "q", "long");
    bench.pass(60);
    assert_eq!(bench.ready("q"), 1);
    assert_eq!(bench.core.next_deadline_ms(), Some(101));
    bench.pass(50);
    assert_eq!(bench.ready("q"), 0);
}

#[test]
fn what_expired_behind_others_is_not_delivered_with_them() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let arguments = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
    ];
    bench.declare(client, "q", table(arguments));
    bench.declare(client, "dead", FieldTable::new());
    let short = Properties {
        expiration: Some(b"50"),
        ..Properties::default()
    };
    for n in 0..3 {
        bench.publish(client, "", "q", &format!("stays {n}"));
        bench.publish_with(client, "", "q", "goes", &short);
        bench.publish_with(client, "", "q", "goes, too", &short);
    }
    bench.pass(60);
    assert_eq!(bench.ready("q"), 9, "the first one holds them");
    let delivered = bench.consume(client, "q", "t", true);
    assert_eq!(bodies(&delivered), ["stays 0", "stays 1", "stays 2"]);
    assert_eq!((bench.ready("q"), bench.ready("dead")), (0, 6));
}

#[test]
fn a_time_to_live_of_zero_delivers_to_who_waits_and_keeps_nothing() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([("x-message-ttl", number(0))]));
    bench.publish(client, "", "q", "lost");
    assert_eq!(bench.ready("q"), 0);
    bench.consume(client, "q", "t", true);
    bench.publish(client, "", "q", "seen");
    assert_eq!(bodies(&bench.answers(client)), ["seen"]);
}

#[test]
fn an_expired_message_goes_to_the_dead_letter_exchange_with_its_history() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "dead", FieldTable::new());
    let arguments = [
        ("x-message-ttl", number(10)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
    ];
    bench.declare(client, "q", table(arguments));
    bench.publish(client, "", "q", "m");
    bench.pass(20);
    let answer = bench.get(client, "dead").expect("a dead letter");
    let Some(FieldValue::Array(deaths)) = answer.headers.get("x-death") else {
        panic!("{answer:?}")
    };
    let [FieldValue::Table(death)] = &deaths[..] else {
        panic!("{deaths:?}")
    };
    assert_eq!(death.get("count"), Some(&FieldValue::I64(1)));
    assert_eq!(death.get("reason"), Some(&text("expired")));
    assert_eq!(death.get("queue"), Some(&text("q")));
    assert_eq!(
        death.get("routing-keys"),
        Some(&FieldValue::Array(vec![text("q")]))
    );
    assert_eq!(
        answer.headers.get("x-first-death-reason"),
        Some(&text("expired"))
    );
}

#[test]
fn a_cycle_of_expiries_ends_and_one_with_a_rejection_goes_on() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let to = |other: &str| {
        [
            ("x-message-ttl", number(10)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(other)),
        ]
    };
    bench.declare(client, "a", table(to("b")));
    bench.declare(client, "b", table(to("a")));
    bench.publish(client, "", "a", "m");
    bench.pass(11);
    assert_eq!((bench.ready("a"), bench.ready("b")), (0, 1));
    bench.pass(11);
    assert_eq!(
        (bench.ready("a"), bench.ready("b")),
        (0, 0),
        "nobody rejected it: it may not go round"
    );
    bench.publish(client, "", "a", "m");
    bench.call(
        client,
        &Method::BasicGet {
            ticket: 0,
            queue: "a",
            no_ack: false,
        },
    );
    bench.call(
        client,
        &Method::BasicReject {
            delivery_tag: 1,
            requeue: false,
        },
    );
    assert_eq!(bench.ready("b"), 1);
    bench.pass(11);
    assert_eq!(bench.ready("a"), 1);
}

#[test]
fn an_unused_queue_expires_and_use_puts_it_off() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", table([("x-expires", number(100))]));
    bench.pass(80);
    bench.get(client, "q");
    bench.pass(80);
    assert!(bench.core.find_queue("/", "q").is_some());
    bench.consume(client, "q", "t", true);
    bench.pass(500);
    assert!(bench.core.find_queue("/", "q").is_some());
    bench.call(
        client,
        &Method::BasicCancel {
            consumer_tag: "t",
            nowait: false,
        },
    );
    bench.pass(101);
    assert!(bench.core.find_queue("/", "q").is_none());
}

/// A client that promises a heartbeat every four seconds.
fn with_heartbeats(bench: &mut Bench) -> Client {
    let client = bench.connect_raw();
    bench.bytes(client, b"AMQP\0\0\x09\x01");
    bench.login(client, b"\0guest\0guest");
    bench.send(
        client,
        0,
        &Method::ConnectionTuneOk {
            channel_max: 10,
            frame_max: 4096,
            heartbeat: 4,
        },
    );
    bench.send(
        client,
        0,
        &Method::ConnectionOpen {
            virtual_host: "/",
            capabilities: "",
            insist: false,
        },
    );
    bench.answers(client);
    client
}

#[test]
fn a_publisher_that_an_alarm_holds_back_is_not_taken_for_silent() {
    let mut bench = Bench::new();
    let client = with_heartbeats(&mut bench);
    bench.open_channel(client, 1);
    bench.publish(client, "", "nowhere", "x");
    bench.core.set_alarm(Alarm::Disk, true);
    for _ in 0..60 {
        bench.pass(1000);
        bench.answers(client);
    }
    assert!(!is_closed(&mut bench), "its heartbeats are not read");
    bench.core.set_alarm(Alarm::Disk, false);
    for _ in 0..12 {
        bench.pass(1000);
        bench.answers(client);
    }
    assert!(is_closed(&mut bench), "now it is silent");
}

#[test]
fn a_consumer_that_does_not_read_is_not_silent_while_it_sends() {
    let mut bench = Bench::new();
    let client = with_heartbeats(&mut bench);
    bench.open_channel(client, 1);
    bench.declare(client, "q", FieldTable::new());
    bench.consume(client, "q", "t", true);
    let publisher = bench.connect();
    while bench.core.wants_input(client.0) {
        bench.publish(publisher, "", "q", &"x".repeat(60_000));
    }
    for _ in 0..30 {
        bench.pass(1000);
        bench.core.heard(client.0);
    }
    assert!(!is_closed(&mut bench), "it sends heartbeats");
    for _ in 0..12 {
        bench.pass(1000);
    }
    assert!(is_closed(&mut bench), "it sends nothing");
}

#[test]
fn a_silent_client_is_dropped_and_a_quiet_server_sends_heartbeats() {
    let mut bench = Bench::new();
    let client = with_heartbeats(&mut bench);
    let sent = bench.core.connections[client.0 as usize]
        .counters
        .sent_frames;
    for _ in 0..4 {
        bench.pass(2000);
        bench.answers(client);
    }
    assert_eq!(
        bench.core.connections[client.0 as usize]
            .counters
            .sent_frames,
        sent + 4
    );
    assert!(!is_closed(&mut bench));
    bench.pass(2000);
    assert!(is_closed(&mut bench));
}

#[test]
fn a_client_is_not_silent_because_the_broker_stood_still() {
    let mut bench = Bench::new();
    let client = with_heartbeats(&mut bench);
    // suspended: what the client sent meanwhile is read after the first turn
    bench.pass(60_000);
    assert!(!is_closed(&mut bench));
    bench.core.heard(client.0);
    bench.pass(2000);
    assert!(!is_closed(&mut bench));
    for _ in 0..5 {
        bench.pass(2000);
    }
    assert!(is_closed(&mut bench), "now it is silent");
}

#[test]
fn a_handshake_that_takes_too_long_is_cut() {
    let mut bench = Bench::new();
    let client = bench.connect_raw();
    assert_eq!(bench.core.receive(client.0, b"AM"), 0);
    bench.pass(9_999);
    assert!(!is_closed(&mut bench));
    bench.pass(2);
    assert!(is_closed(&mut bench));
}

#[test]
fn a_delivery_kept_too_long_closes_its_channel_and_comes_back() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    bench.publish(client, "", "q", "m");
    bench.consume(client, "q", "t", false);
    bench.pass(30 * 60 * 1000 + 10_000);
    let answers = bench.answers(client);
    let text = &answers[0].text;
    assert!(
        text.contains(
            "delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms"
        ),
        "{text}"
    );
    assert_eq!(bench.ready("q"), 1);
}
