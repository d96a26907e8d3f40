use super::super::amqp_wire::{method_frame, short};
use super::*;

fn properties(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (key, value) in pairs {
        fields.extend_from_slice(&short(key));
        fields.push(b'S');
        fields.extend_from_slice(&(value.len() as u32).to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    let mut out = (fields.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&fields);
    out
}

fn start() -> Vec<u8> {
    let mut arguments = vec![0, 9];
    arguments.extend_from_slice(&properties(&[
        ("product", "RabbitMQ"),
        ("version", "3.10.8"),
        ("cluster_name", "rabbit@a"),
    ]));
    for text in ["AMQPLAIN PLAIN", "en_US"] {
        arguments.extend_from_slice(&(text.len() as u32).to_be_bytes());
        arguments.extend_from_slice(text.as_bytes());
    }
    method_frame(0, id::CONNECTION_START, &arguments)
}

fn with_user() -> Amqp {
    Amqp::new(AmqpCheck {
        user: Some("u".into()),
        password: Some("p".into()),
        vhost: None,
    })
}

fn sent(step: Step) -> Vec<u8> {
    match step {
        Step::Send(bytes) => bytes,
        other => panic!("expected bytes to send, got {other:?}"),
    }
}

fn found(step: Step) -> Finding {
    match step {
        Step::Done(finding) => finding,
        other => panic!("expected an end, got {other:?}"),
    }
}

/// Plays the broker up to the open channel; gives also what is sent then.
fn opened() -> (Amqp, Vec<u8>) {
    let mut amqp = with_user();
    amqp.step(Event::Connected);
    amqp.step(Event::Sent);
    sent(amqp.step(Event::Received(&start(), false)));
    amqp.step(Event::Sent);
    let tune = method_frame(0, id::CONNECTION_TUNE, &[7, 255, 0, 2, 0, 0, 0, 60]);
    sent(amqp.step(Event::Received(&tune, false)));
    amqp.step(Event::Sent);
    sent(amqp.step(Event::Received(
        &method_frame(0, id::CONNECTION_OPEN_OK, &[0]),
        false,
    )));
    amqp.step(Event::Sent);
    let last = sent(amqp.step(Event::Received(
        &method_frame(1, id::CHANNEL_OPEN_OK, &[0; 4]),
        false,
    )));
    assert_eq!(amqp.step(Event::Sent), Step::Receive);
    (amqp, last)
}

#[test]
fn without_a_user_a_start_is_enough_and_names_the_broker() {
    let mut amqp = Amqp::new(AmqpCheck::default());
    assert_eq!(sent(amqp.step(Event::Connected)), PROTOCOL_HEADER);
    let finding = found(amqp.step(Event::Received(&start(), false)));
    assert_eq!(
        finding,
        Finding::new(CheckStatus::L7Ok, 0, "RabbitMQ 3.10.8 (rabbit@a)")
    );
}

#[test]
fn a_start_may_come_byte_by_byte() {
    let mut amqp = Amqp::new(AmqpCheck::default());
    amqp.step(Event::Connected);
    let bytes = start();
    let (last, head) = bytes.split_last().unwrap();
    for byte in head {
        assert_eq!(amqp.step(Event::Received(&[*byte], false)), Step::Receive);
    }
    assert_eq!(
        found(amqp.step(Event::Received(&[*last], false))).status,
        CheckStatus::L7Ok
    );
}

#[test]
fn a_log_in_ends_with_a_proper_close() {
    let (mut amqp, last) = opened();
    let close = method_frame(
        0,
        id::CONNECTION_CLOSE,
        &[
            200u16.to_be_bytes().as_slice(),
            &short("check done"),
            &[0; 4],
        ]
        .concat(),
    );
    assert!(last.ends_with(&close));
    let finding = found(amqp.step(Event::Received(
        &method_frame(0, id::CONNECTION_CLOSE_OK, &[]),
        false,
    )));
    assert_eq!(finding.status, CheckStatus::L7Ok);
}

#[test]
fn a_blocked_broker_gets_no_new_sessions() {
    let (mut amqp, _) = opened();
    let blocked = method_frame(0, id::CONNECTION_BLOCKED, &short("low on memory"));
    let finding = found(amqp.step(Event::Received(&blocked, false)));
    assert_eq!(finding.status, CheckStatus::L7OkConditional);
    assert_eq!(
        finding.text,
        "blocked: low on memory, RabbitMQ 3.10.8 (rabbit@a)"
    );
}

#[test]
fn a_refused_log_in_is_told_with_its_code() {
    let mut amqp = with_user();
    amqp.step(Event::Connected);
    amqp.step(Event::Received(&start(), false));
    let mut arguments = 403u16.to_be_bytes().to_vec();
    arguments.extend_from_slice(&short("ACCESS_REFUSED"));
    arguments.extend_from_slice(&[0; 4]);
    let close = method_frame(0, id::CONNECTION_CLOSE, &arguments);
    sent(amqp.step(Event::Received(&close, false)));
    let finding = found(amqp.step(Event::Sent));
    assert_eq!(
        finding,
        Finding::new(CheckStatus::L7Status, 403, "ACCESS_REFUSED")
    );
}

#[test]
fn a_node_that_goes_away_on_purpose_is_drained() {
    let mut amqp = with_user();
    amqp.step(Event::Connected);
    let mut arguments = 320u16.to_be_bytes().to_vec();
    arguments.extend_from_slice(&short("CONNECTION_FORCED"));
    arguments.extend_from_slice(&[0; 4]);
    sent(amqp.step(Event::Received(
        &method_frame(0, id::CONNECTION_CLOSE, &arguments),
        false,
    )));
    assert_eq!(
        found(amqp.step(Event::Sent)).status,
        CheckStatus::L7OkConditional
    );
}

#[test]
fn another_protocol_version_is_named() {
    let mut amqp = Amqp::new(AmqpCheck::default());
    amqp.step(Event::Connected);
    let finding = found(amqp.step(Event::Received(b"AMQP\x00\x01\x00\x00", true)));
    assert_eq!(finding.text, "peer offers AMQP 1.0.0");
}

#[test]
fn garbage_and_an_early_end_fail_the_check() {
    for (bytes, closed) in [
        (&b"HTTP/1.1 400 Bad"[..], false),
        (b"", true),
        (b"\x01\x00\x00", true),
    ] {
        let mut amqp = Amqp::new(AmqpCheck::default());
        amqp.step(Event::Connected);
        let finding = found(amqp.step(Event::Received(bytes, closed)));
        assert_eq!(finding.status, CheckStatus::L7Response, "{bytes:?}");
    }
}

#[test]
fn silence_says_what_was_waited_for() {
    let mut amqp = with_user();
    amqp.step(Event::Connected);
    assert_eq!(amqp.timed_out().text, "no connection.start");
    amqp.step(Event::Received(&start(), false));
    assert_eq!(amqp.timed_out().text, "no connection.tune");
}

#[test]
fn a_broker_that_does_not_answer_the_goodbye_is_not_well() {
    let (amqp, _) = opened();
    assert_eq!(amqp.timed_out().text, "no connection.close-ok");
}

mod properties_of_any_input {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_panic(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..16)) {
            let (mut amqp, _) = opened();
            for chunk in &chunks {
                if matches!(amqp.step(Event::Received(chunk, false)), Step::Done(_)) {
                    break;
                }
            }
            amqp.step(Event::Received(&[], true));
        }
    }
}
