//! What is refused, with which code and which words. The texts were compared with RabbitMQ 3.10.8's.

use super::kit::{
    Bench, Client, basic_consume, durable_declare, exchange_declare, queue_declare, queue_delete,
    table, text,
};
use crate::core::field::{FieldTable, FieldValue};
use crate::core::frame;
use crate::core::method::Method;
use crate::core::properties::Properties;

pub(super) fn refusal(bench: &mut Bench, client: Client, method: &Method<'_>) -> String {
    code_and_text(&bench.ask(client, method))
}

/// `404 NOT_FOUND - ...` out of a close method's text.
fn code_and_text(answer: &str) -> String {
    let scope = if answer.starts_with("ConnectionClose") {
        "connection "
    } else {
        ""
    };
    let after = |label: &str| answer.split(label).nth(1).unwrap_or_default();
    let code = after("reply_code: ").split(',').next().unwrap_or_default();
    let words = after("reply_text: \"")
        .split("\", class_id")
        .next()
        .unwrap_or_default();
    format!("{scope}{code} {}", words.replace("\\\"", "\""))
}

pub(super) fn passive(queue: &str) -> Method<'_> {
    Method::QueueDeclare {
        ticket: 0,
        queue,
        passive: true,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: FieldTable::new(),
    }
}

#[test]
fn a_missing_queue_or_exchange_is_404() {
    let mut bench = Bench::new();
    let none = FieldTable::new;
    let missing = [
        (passive("Q"), "404 NOT_FOUND - no queue 'Q' in vhost '/'"),
        (
            basic_consume("Q", "", false, false, none()),
            "404 NOT_FOUND - no queue 'Q' in vhost '/'",
        ),
        (
            Method::BasicGet {
                ticket: 0,
                queue: "Q",
                no_ack: true,
            },
            "404 NOT_FOUND - no queue 'Q' in vhost '/'",
        ),
        (
            Method::QueuePurge {
                ticket: 0,
                queue: "Q",
                nowait: false,
            },
            "404 NOT_FOUND - no queue 'Q' in vhost '/'",
        ),
        (
            Method::QueueBind {
                ticket: 0,
                queue: "Q",
                exchange: "amq.direct",
                routing_key: "",
                nowait: false,
                arguments: none(),
            },
            "404 NOT_FOUND - no queue 'Q' in vhost '/'",
        ),
        (
            Method::QueueBind {
                ticket: 0,
                queue: "Q",
                exchange: "X",
                routing_key: "",
                nowait: false,
                arguments: none(),
            },
            "404 NOT_FOUND - no exchange 'X' in vhost '/'",
        ),
    ];
    for (method, expected) in missing {
        let client = bench.connect();
        assert_eq!(refusal(&mut bench, client, &method), expected);
    }
    let client = bench.connect();
    bench.publish(client, "X", "k", "body");
    assert_eq!(
        code_and_text(&bench.answers(client)[0].text),
        "404 NOT_FOUND - no exchange 'X' in vhost '/'"
    );
}

#[test]
fn deleting_what_is_missing_succeeds() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let queue = queue_delete("Q");
    assert_eq!(
        bench.ask(client, &queue),
        "QueueDeleteOk { message_count: 0 }"
    );
    let exchange = Method::ExchangeDelete {
        ticket: 0,
        exchange: "X",
        if_unused: false,
        nowait: false,
    };
    assert_eq!(bench.ask(client, &exchange), "ExchangeDeleteOk");
}

#[test]
fn a_declaration_that_differs_names_what_differs() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "Q", FieldTable::new());
    let durable = durable_declare("Q", FieldTable::new());
    let five = table([("x-max-length", FieldValue::I32(5))]);
    let cases = [
        (
            durable,
            "406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'Q' in vhost '/': received 'true' but \
             current is 'false'",
        ),
        (
            queue_declare("Q", five),
            "406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'Q' in vhost '/': received the \
             value '5' of type 'signedint' but current is none",
        ),
        (
            exchange_declare("amq.direct", "fanout", FieldTable::new()),
            "406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': received \
             'fanout' but current is 'direct'",
        ),
    ];
    for (method, expected) in cases {
        let client = bench.connect();
        assert_eq!(refusal(&mut bench, client, &method), expected);
    }
}

#[test]
fn bad_arguments_are_refused_with_the_known_details() {
    let mut bench = Bench::new();
    let cases = [
        (
            "x-max-priority",
            FieldValue::I32(300),
            "{max_value_exceeded,300}",
        ),
        ("x-max-length", FieldValue::I32(-1), "{value_negative,-1}"),
        (
            "x-queue-version",
            FieldValue::I32(-1),
            "{value_negative,-1}",
        ),
        ("x-expires", FieldValue::I32(0), "{value_zero,0}"),
        ("x-overflow", text("zz"), "invalid_overflow"),
        (
            "x-dead-letter-routing-key",
            text("k"),
            "routing_key_but_no_dlx_defined",
        ),
        (
            "x-message-ttl",
            text("a"),
            "\"expected integer, got longstr\"",
        ),
        (
            "x-queue-type",
            text("zzz"),
            "\"unsupported queue type 'zzz'\"",
        ),
        (
            "x-queue-mode",
            text("zzz"),
            "\"unsupported queue mode 'zzz'\"",
        ),
        (
            "x-single-active-consumer",
            text("a"),
            "{unacceptable_type,longstr}",
        ),
    ];
    for (name, value, detail) in cases {
        let client = bench.connect();
        let expected = format!(
            "406 PRECONDITION_FAILED - invalid arg '{name}' for queue 'Q' in vhost '/': {detail}"
        );
        assert_eq!(
            refusal(
                &mut bench,
                client,
                &queue_declare("Q", table([(name, value)]))
            ),
            expected
        );
    }
}

#[test]
fn reserved_names_and_the_default_exchange_are_403() {
    let mut bench = Bench::new();
    let client = bench.connect();
    assert_eq!(
        refusal(
            &mut bench,
            client,
            &queue_declare("amq.foo", FieldTable::new())
        ),
        "403 ACCESS_REFUSED - queue name 'amq.foo' contains reserved prefix 'amq.*'"
    );
    let client = bench.connect();
    let delete = Method::ExchangeDelete {
        ticket: 0,
        exchange: "amq.direct",
        if_unused: false,
        nowait: false,
    };
    assert_eq!(
        refusal(&mut bench, client, &delete),
        "403 ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed"
    );
    let client = bench.connect();
    assert_eq!(
        refusal(
            &mut bench,
            client,
            &exchange_declare("", "direct", FieldTable::new())
        ),
        "403 ACCESS_REFUSED - operation not permitted on the default exchange"
    );
}

#[test]
fn an_exclusive_queue_is_locked_for_other_connections() {
    let mut bench = Bench::new();
    let (owner, other) = (bench.connect(), bench.connect());
    let mut declare = queue_declare("Q", FieldTable::new());
    if let Method::QueueDeclare { exclusive, .. } = &mut declare {
        *exclusive = true;
    }
    assert!(bench.ask(owner, &declare).starts_with("QueueDeclareOk"));
    assert!(bench.ask(owner, &declare).starts_with("QueueDeclareOk"));
    assert_eq!(
        refusal(&mut bench, other, &passive("Q")),
        "405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'Q' in vhost '/'. It could be \
         originally declared on another connection or the exclusive property value does not match that of the \
         original declaration."
    );
    bench.core.disconnected(owner.0);
    assert!(
        bench.core.find_queue("/", "Q").is_none(),
        "it ends with its connection"
    );
}

#[test]
fn an_unknown_delivery_tag_is_406_also_the_second_time() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "Q", FieldTable::new());
    bench.publish(client, "", "Q", "m");
    bench.call(
        client,
        &Method::BasicGet {
            ticket: 0,
            queue: "Q",
            no_ack: false,
        },
    );
    let ack = Method::BasicAck {
        delivery_tag: 1,
        multiple: false,
    };
    assert_eq!(bench.call(client, &ack), []);
    assert_eq!(
        refusal(&mut bench, client, &ack),
        "406 PRECONDITION_FAILED - unknown delivery tag 1"
    );
}

#[test]
fn publishing_with_wrong_properties_is_406() {
    let mut bench = Bench::new();
    let cases = [
        (
            Properties {
                expiration: Some(b"abc"),
                ..Properties::default()
            },
            "406 PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
        ),
        (
            Properties {
                user_id: Some(b"other"),
                ..Properties::default()
            },
            "406 PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'",
        ),
        (
            Properties {
                reply_to: Some(b"amq.rabbitmq.reply-to"),
                ..Properties::default()
            },
            "406 PRECONDITION_FAILED - fast reply consumer does not exist",
        ),
    ];
    for (properties, expected) in cases {
        let client = bench.connect();
        bench.publish_with(client, "", "Q", "m", &properties);
        assert_eq!(code_and_text(&bench.answers(client)[0].text), expected);
    }
}

#[test]
fn what_breaks_the_protocol_closes_the_connection() {
    let mut bench = Bench::new();
    let none = FieldTable::new;
    let cases = [
        (
            1,
            Method::ChannelOpen { out_of_band: "" },
            "connection 504 CHANNEL_ERROR - second 'channel.open' seen",
        ),
        (
            7,
            Method::TxSelect,
            "connection 504 CHANNEL_ERROR - expected 'channel.open'",
        ),
        (
            1,
            exchange_declare("X", "T", none()),
            "connection 503 COMMAND_INVALID - unknown exchange type 'T'",
        ),
        (
            1,
            Method::BasicQos {
                prefetch_size: 10,
                prefetch_count: 0,
                global: false,
            },
            "connection 540 NOT_IMPLEMENTED - prefetch_size!=0 (10)",
        ),
        (
            1,
            Method::ChannelFlow { active: false },
            "connection 540 NOT_IMPLEMENTED - active=false",
        ),
        (
            1,
            Method::BasicPublish {
                ticket: 0,
                exchange: "",
                routing_key: "",
                mandatory: false,
                immediate: true,
            },
            "connection 540 NOT_IMPLEMENTED - immediate=true",
        ),
        (
            1,
            Method::TxSelectOk,
            "connection 503 COMMAND_INVALID - unimplemented method",
        ),
    ];
    for (channel, method, expected) in cases {
        let client = bench.connect();
        bench.send(client, channel, &method);
        assert_eq!(code_and_text(&bench.answers(client)[0].text), expected);
    }
}

#[test]
fn a_consumer_tag_cannot_be_used_twice() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "Q", FieldTable::new());
    bench.consume(client, "Q", "T", false);
    assert_eq!(
        refusal(
            &mut bench,
            client,
            &basic_consume("Q", "T", false, false, FieldTable::new())
        ),
        "connection 530 NOT_ALLOWED - attempt to reuse consumer tag 'T'"
    );
}

#[test]
fn frames_out_of_place_close_the_connection() {
    let mut bench = Bench::new();
    let frames = [
        (
            frame::BODY,
            1,
            "connection 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead",
        ),
        (
            frame::BODY,
            0,
            "connection 505 UNEXPECTED_FRAME - type 3, all octets = <<\"abc\">>",
        ),
        (
            frame::HEARTBEAT,
            1,
            "connection 505 UNEXPECTED_FRAME - type 8, all octets = <<\"abc\">>",
        ),
        (
            5,
            1,
            "connection 501 FRAME_ERROR - type 5, all octets = <<\"abc\">>: unknown_frame",
        ),
    ];
    for (kind, channel, expected) in frames {
        let client = bench.connect();
        let mut bytes = Vec::new();
        frame::write(&mut bytes, kind, channel, |out| out.extend(b"abc"));
        bench.bytes(client, &bytes);
        assert_eq!(code_and_text(&bench.answers(client)[0].text), expected);
    }
}

#[test]
fn transactions_and_confirms_exclude_each_other() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.ask(client, &Method::TxSelect);
    assert_eq!(
        refusal(&mut bench, client, &Method::ConfirmSelect { nowait: false }),
        "406 PRECONDITION_FAILED - cannot switch from tx to confirm mode"
    );
    let client = bench.connect();
    bench.ask(client, &Method::ConfirmSelect { nowait: false });
    assert_eq!(
        refusal(&mut bench, client, &Method::TxSelect),
        "406 PRECONDITION_FAILED - cannot switch from confirm to tx mode"
    );
    let client = bench.connect();
    assert_eq!(
        refusal(&mut bench, client, &Method::TxCommit),
        "406 PRECONDITION_FAILED - channel is not transactional"
    );
}

#[test]
fn a_closed_channel_ignores_what_comes_until_its_close_is_answered() {
    let mut bench = Bench::new();
    let client = bench.connect();
    refusal(&mut bench, client, &passive("Q"));
    assert_eq!(
        bench.call(client, &queue_declare("Q", FieldTable::new())),
        []
    );
    assert_eq!(bench.call(client, &Method::ChannelCloseOk), []);
    assert!(bench.core.find_queue("/", "Q").is_none());
    assert_eq!(
        bench
            .call(client, &Method::ChannelOpen { out_of_band: "" })
            .len(),
        1
    );
}

#[test]
fn a_wrong_password_is_told_to_clients_that_can_take_it() {
    let mut bench = Bench::new();
    let client = bench.connect_raw();
    bench.bytes(client, b"AMQP\0\0\x09\x01");
    bench.answers(client);
    bench.login(client, b"\0guest\0wrong");
    assert_eq!(
        code_and_text(&bench.answers(client)[0].text),
        "connection 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the \
         broker logfile."
    );
}

#[test]
fn a_missing_vhost_and_a_forbidden_one_are_530() {
    let mut bench = Bench::new();
    let put = crate::core::vhost::VhostSpec {
        name: "private".to_owned(),
        ..Default::default()
    };
    bench
        .core
        .execute(crate::core::metadata::Command::PutVhost(put));
    for (vhost, expected) in [
        ("X", "connection 530 NOT_ALLOWED - vhost X not found"),
        (
            "private",
            "connection 530 NOT_ALLOWED - access to vhost 'private' refused for user 'guest'",
        ),
    ] {
        let client = bench.connect_raw();
        bench.bytes(client, b"AMQP\0\0\x09\x01");
        bench.login(client, b"\0guest\0guest");
        bench.send(
            client,
            0,
            &Method::ConnectionTuneOk {
                channel_max: 10,
                frame_max: 4096,
                heartbeat: 0,
            },
        );
        bench.answers(client);
        bench.send(
            client,
            0,
            &Method::ConnectionOpen {
                virtual_host: vhost,
                capabilities: "",
                insist: false,
            },
        );
        assert_eq!(code_and_text(&bench.answers(client)[0].text), expected);
    }
}

#[test]
fn any_bytes_get_an_error_or_a_close_and_never_a_panic() {
    use proptest::prelude::*;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let strategy = proptest::collection::vec(
        (
            1u8..10,
            0u16..3,
            0u16..100,
            0u16..130,
            proptest::collection::vec(any::<u8>(), 0..60),
        ),
        1..12,
    );
    let outcome = runner.run(&strategy, |frames| {
        let mut bench = Bench::new();
        let client = bench.connect();
        for (kind, channel, class, method, rest) in frames {
            let mut bytes = Vec::new();
            frame::write(&mut bytes, kind, channel, |out| {
                out.extend(class.to_be_bytes());
                out.extend(method.to_be_bytes());
                out.extend(&rest);
            });
            if bench.core.connections.contains(client.0 as usize) {
                bench.core.receive(client.0, &bytes);
                bench.core.end_turn();
            }
        }
        Ok(())
    });
    outcome.expect("no panic");
}
