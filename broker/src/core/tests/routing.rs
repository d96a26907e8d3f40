//! Exchanges of each kind, chains of them, and what happens to what nobody takes.

use super::kit::{Bench, Client, bodies, exchange_declare, queue_delete, table, text};
use crate::core::field::{FieldTable, FieldValue};
use crate::core::method::Method;
use crate::core::properties::Properties;

fn drain(bench: &mut Bench, client: Client, queue: &str) -> Vec<String> {
    std::iter::from_fn(|| bench.get(client, queue)?.body).collect()
}

fn bind_exchange(
    bench: &mut Bench,
    client: Client,
    destination: &str,
    source: &str,
    routing_key: &str,
) {
    let arguments = FieldTable::new();
    let method = Method::ExchangeBind {
        ticket: 0,
        destination,
        source,
        routing_key,
        nowait: false,
        arguments,
    };
    assert_eq!(bench.ask(client, &method), "ExchangeBindOk");
}

#[test]
fn a_message_reaches_each_queue_once_however_many_bindings_match() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    for key in ["a.*", "#", "a.b"] {
        bench.bind(client, "q", "amq.topic", key, FieldTable::new());
    }
    bench.publish(client, "amq.topic", "a.b", "once");
    assert_eq!(drain(&mut bench, client, "q"), ["once"]);
}

#[test]
fn exchanges_bound_in_a_ring_end() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    for name in ["a", "b", "c"] {
        bench.ask(client, &exchange_declare(name, "fanout", FieldTable::new()));
    }
    for (destination, source) in [("b", "a"), ("c", "b"), ("a", "c")] {
        bind_exchange(&mut bench, client, destination, source, "");
    }
    bench.bind(client, "q", "c", "", FieldTable::new());
    bench.publish(client, "a", "", "round");
    assert_eq!(drain(&mut bench, client, "q"), ["round"]);
}

#[test]
fn the_alternate_exchange_takes_what_nobody_takes() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    bench.declare(client, "rest", FieldTable::new());
    let alternate = table([("alternate-exchange", text("amq.fanout"))]);
    bench.ask(client, &exchange_declare("x", "direct", alternate));
    bench.bind(client, "q", "x", "known", FieldTable::new());
    bench.bind(client, "rest", "amq.fanout", "", FieldTable::new());
    bench.publish(client, "x", "known", "1");
    bench.publish(client, "x", "unknown", "2");
    assert_eq!(drain(&mut bench, client, "q"), ["1"]);
    assert_eq!(drain(&mut bench, client, "rest"), ["2"]);
}

#[test]
fn headers_decide_also_behind_another_exchange() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    bench.ask(
        client,
        &exchange_declare("front", "fanout", FieldTable::new()),
    );
    bind_exchange(&mut bench, client, "amq.headers", "front", "");
    bench.bind(
        client,
        "q",
        "amq.headers",
        "",
        table([("kind", text("good"))]),
    );
    for kind in ["good", "bad", "good"] {
        let headers = table([("kind", text(kind))]).to_bytes();
        let with = Properties {
            headers: Some(&headers[4..]),
            ..Properties::default()
        };
        bench.publish_with(client, "front", "", kind, &with);
    }
    assert_eq!(drain(&mut bench, client, "q"), ["good", "good"]);
}

#[test]
fn an_unroutable_mandatory_message_comes_back_before_its_confirm() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.ask(client, &Method::ConfirmSelect { nowait: false });
    bench.publish_on(
        client,
        1,
        ("", "nowhere"),
        "m",
        &Properties::default(),
        true,
    );
    bench.publish_on(
        client,
        1,
        ("", "nowhere"),
        "m",
        &Properties::default(),
        false,
    );
    let answers = bench.answers(client);
    assert!(
        answers[0]
            .text
            .starts_with("BasicReturn { reply_code: 312, reply_text: \"NO_ROUTE\""),
        "{answers:?}"
    );
    assert_eq!(
        answers[1].text,
        "BasicAck { delivery_tag: 1, multiple: false }"
    );
    assert_eq!(
        answers[2].text,
        "BasicAck { delivery_tag: 2, multiple: false }"
    );
}

#[test]
fn carbon_copies_go_along_and_blind_ones_leave_no_trace() {
    let mut bench = Bench::new();
    let client = bench.connect();
    for queue in ["a", "b", "c"] {
        bench.declare(client, queue, FieldTable::new());
    }
    let list = |name: &str| FieldValue::Array(vec![text(name)]);
    let headers = table([("CC", list("b")), ("BCC", list("c"))]).to_bytes();
    let with = Properties {
        headers: Some(&headers[4..]),
        ..Properties::default()
    };
    bench.publish_with(client, "", "a", "m", &with);
    for queue in ["a", "b", "c"] {
        let answer = bench.get(client, queue).expect("a copy");
        assert!(answer.headers.get("CC").is_some());
        assert_eq!(answer.headers.get("BCC"), None);
    }
}

#[test]
fn unbinding_and_deleting_take_effect_on_cached_routes() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    bench.bind(client, "q", "amq.direct", "k", FieldTable::new());
    bench.publish(client, "amq.direct", "k", "1");
    let arguments = FieldTable::new();
    let unbind = Method::QueueUnbind {
        ticket: 0,
        queue: "q",
        exchange: "amq.direct",
        routing_key: "k",
        arguments,
    };
    bench.ask(client, &unbind);
    bench.publish(client, "amq.direct", "k", "2");
    assert_eq!(drain(&mut bench, client, "q"), ["1"]);
}

#[test]
fn an_auto_delete_exchange_ends_with_its_last_binding() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    let mut declare = exchange_declare("x", "fanout", FieldTable::new());
    if let Method::ExchangeDeclare { auto_delete, .. } = &mut declare {
        *auto_delete = true;
    }
    bench.ask(client, &declare);
    bench.bind(client, "q", "x", "", FieldTable::new());
    let delete = queue_delete("q");
    bench.ask(client, &delete);
    assert!(!bench.core.metadata.vhosts["/"].exchanges.contains_key("x"));
}

#[test]
fn an_answer_goes_straight_to_the_channel_that_asked() {
    let mut bench = Bench::new();
    let (asker, server) = (bench.connect(), bench.connect());
    bench.declare(server, "rpc", FieldTable::new());
    bench.consume(server, "rpc", "s", true);
    bench.consume(asker, "amq.rabbitmq.reply-to", "r", true);
    let with = Properties {
        reply_to: Some(b"amq.rabbitmq.reply-to"),
        ..Properties::default()
    };
    bench.publish_with(asker, "", "rpc", "question", &with);
    let channel = bench.core.connections[asker.0 as usize]
        .channel(1)
        .expect("open");
    let secret = channel.reply.as_ref().expect("consuming").secret;
    let address = format!("amq.rabbitmq.reply-to.{:x}.1.{secret:016x}", asker.0);
    assert_eq!(bodies(&bench.answers(server)), ["question"]);
    bench.publish(server, "", &address, "answer");
    assert_eq!(bodies(&bench.answers(asker)), ["answer"]);
    bench.publish(server, "", "amq.rabbitmq.reply-to.0.1.0", "forged");
    assert_eq!(bodies(&bench.answers(asker)), [""; 0]);
}
