//! What is asked for a second time: a queue that is there, a channel's number that is still in use.

use super::kit::{Bench, table, text};
use super::refusals::{passive, refusal};
use crate::core::field::FieldValue;
use crate::core::method::Method;

#[test]
fn what_must_be_declared_again_as_it_was_depends_on_the_queues_type() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let declare = |kind: &str, more: (&str, FieldValue)| Method::QueueDeclare {
        ticket: 0,
        queue: "Q",
        passive: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: table([("x-queue-type", text(kind)), more]),
    };
    bench.ask(client, &declare("quorum", ("mine", text("1"))));
    let answer = bench.ask(client, &declare("quorum", ("x-queue-mode", text("lazy"))));
    assert!(answer.starts_with("QueueDeclareOk"), "{answer}");
    let other = declare("quorum", ("x-queue-leader-locator", text("balanced")));
    assert_eq!(
        refusal(&mut bench, client, &other),
        "406 PRECONDITION_FAILED - inequivalent arg 'x-queue-leader-locator' for queue 'Q' in vhost '/': received the \
         value 'balanced' of type 'longstr' but current is none"
    );
}

#[test]
fn a_number_is_not_opened_again_before_its_close_is_answered() {
    let mut bench = Bench::new();
    let client = bench.connect();
    refusal(&mut bench, client, &passive("Q"));
    assert_eq!(
        refusal(&mut bench, client, &Method::ChannelOpen { out_of_band: "" }),
        "connection 504 CHANNEL_ERROR - second 'channel.open' seen"
    );
}
