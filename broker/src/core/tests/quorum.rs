//! What quorum queues refuse, in the words of RabbitMQ 3.10.8.

use super::kit::{Bench, durable_declare, table, text};
use super::refusals::refusal;
use crate::core::field::FieldValue;
use crate::core::method::Method;

#[test]
fn the_server_names_no_quorum_queue() {
    let mut bench = Bench::new();
    let client = bench.connect();
    assert_eq!(
        refusal(
            &mut bench,
            client,
            &durable_declare("", table([("x-queue-type", text("quorum"))]))
        ),
        "406 PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue"
    );
}

#[test]
fn an_argument_that_is_wrong_is_told_before_one_that_is_foreign() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-max-priority", FieldValue::I32(1)),
        ("x-dead-letter-routing-key", text("k")),
    ];
    assert_eq!(
        refusal(&mut bench, client, &durable_declare("Q", table(arguments))),
        "406 PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue 'Q' in vhost '/': \
         routing_key_but_no_dlx_defined"
    );
}

#[test]
fn one_active_consumer_leaves_nothing_to_get() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-single-active-consumer", FieldValue::Bool(true)),
    ];
    bench.ask(client, &durable_declare("Q", table(arguments)));
    let get = Method::BasicGet {
        ticket: 0,
        queue: "Q",
        no_ack: true,
    };
    assert_eq!(
        refusal(&mut bench, client, &get),
        "405 RESOURCE_LOCKED - cannot obtain access to locked queue 'Q' in vhost '/'. basic.get operations are not \
         supported by quorum queues with single active consumer"
    );
}
