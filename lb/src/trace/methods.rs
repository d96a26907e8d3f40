//! Names of AMQP 0-9-1's methods, and which of their arguments say most.

/// A method: class, number, name, and for each argument up to the last that
/// is shown its type and name (no name: skipped).
pub struct Method {
    pub class: u16,
    pub number: u16,
    pub name: &'static str,
    pub arguments: &'static [(Kind, &'static str)],
}

/// Types of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Short,
    Long,
    LongLong,
    ShortText,
}

use Kind::{Long, LongLong, Short, ShortText};

const fn m(
    class: u16,
    number: u16,
    name: &'static str,
    arguments: &'static [(Kind, &'static str)],
) -> Method {
    Method {
        class,
        number,
        name,
        arguments,
    }
}

const CLOSE: &[(Kind, &str)] = &[(Short, "code"), (ShortText, "text")];
const QUEUE: &[(Kind, &str)] = &[(Short, ""), (ShortText, "queue")];
const EXCHANGE: &[(Kind, &str)] = &[(Short, ""), (ShortText, "exchange")];
const TUNE: &[(Kind, &str)] = &[
    (Short, "channel_max"),
    (Long, "frame_max"),
    (Short, "heartbeat"),
];
const TAG: &[(Kind, &str)] = &[(LongLong, "tag")];

/// All of them.
pub static METHODS: &[Method] = &[
    m(10, 10, "connection.start", &[]),
    m(10, 11, "connection.start-ok", &[]),
    m(10, 20, "connection.secure", &[]),
    m(10, 21, "connection.secure-ok", &[]),
    m(10, 30, "connection.tune", TUNE),
    m(10, 31, "connection.tune-ok", TUNE),
    m(10, 40, "connection.open", &[(ShortText, "vhost")]),
    m(10, 41, "connection.open-ok", &[]),
    m(10, 50, "connection.close", CLOSE),
    m(10, 51, "connection.close-ok", &[]),
    m(10, 60, "connection.blocked", &[(ShortText, "reason")]),
    m(10, 61, "connection.unblocked", &[]),
    m(10, 70, "connection.update-secret", &[]),
    m(10, 71, "connection.update-secret-ok", &[]),
    m(20, 10, "channel.open", &[]),
    m(20, 11, "channel.open-ok", &[]),
    m(20, 20, "channel.flow", &[]),
    m(20, 21, "channel.flow-ok", &[]),
    m(20, 40, "channel.close", CLOSE),
    m(20, 41, "channel.close-ok", &[]),
    m(
        40,
        10,
        "exchange.declare",
        &[(Short, ""), (ShortText, "exchange"), (ShortText, "type")],
    ),
    m(40, 11, "exchange.declare-ok", &[]),
    m(40, 20, "exchange.delete", EXCHANGE),
    m(40, 21, "exchange.delete-ok", &[]),
    m(40, 30, "exchange.bind", &[]),
    m(40, 31, "exchange.bind-ok", &[]),
    m(40, 40, "exchange.unbind", &[]),
    m(40, 51, "exchange.unbind-ok", &[]),
    m(50, 10, "queue.declare", QUEUE),
    m(
        50,
        11,
        "queue.declare-ok",
        &[
            (ShortText, "queue"),
            (Long, "messages"),
            (Long, "consumers"),
        ],
    ),
    m(
        50,
        20,
        "queue.bind",
        &[
            (Short, ""),
            (ShortText, "queue"),
            (ShortText, "exchange"),
            (ShortText, "key"),
        ],
    ),
    m(50, 21, "queue.bind-ok", &[]),
    m(50, 30, "queue.purge", QUEUE),
    m(50, 31, "queue.purge-ok", &[(Long, "messages")]),
    m(50, 40, "queue.delete", QUEUE),
    m(50, 41, "queue.delete-ok", &[(Long, "messages")]),
    m(
        50,
        50,
        "queue.unbind",
        &[
            (Short, ""),
            (ShortText, "queue"),
            (ShortText, "exchange"),
            (ShortText, "key"),
        ],
    ),
    m(50, 51, "queue.unbind-ok", &[]),
    m(60, 10, "basic.qos", &[(Long, ""), (Short, "prefetch")]),
    m(60, 11, "basic.qos-ok", &[]),
    m(
        60,
        20,
        "basic.consume",
        &[(Short, ""), (ShortText, "queue"), (ShortText, "consumer")],
    ),
    m(60, 21, "basic.consume-ok", &[(ShortText, "consumer")]),
    m(60, 30, "basic.cancel", &[(ShortText, "consumer")]),
    m(60, 31, "basic.cancel-ok", &[(ShortText, "consumer")]),
    m(
        60,
        40,
        "basic.publish",
        &[(Short, ""), (ShortText, "exchange"), (ShortText, "key")],
    ),
    m(60, 50, "basic.return", CLOSE),
    m(
        60,
        60,
        "basic.deliver",
        &[(ShortText, "consumer"), (LongLong, "tag")],
    ),
    m(60, 70, "basic.get", QUEUE),
    m(60, 71, "basic.get-ok", TAG),
    m(60, 72, "basic.get-empty", &[]),
    m(60, 80, "basic.ack", TAG),
    m(60, 90, "basic.reject", TAG),
    m(60, 100, "basic.recover-async", &[]),
    m(60, 110, "basic.recover", &[]),
    m(60, 111, "basic.recover-ok", &[]),
    m(60, 120, "basic.nack", TAG),
    m(85, 10, "confirm.select", &[]),
    m(85, 11, "confirm.select-ok", &[]),
    m(90, 10, "tx.select", &[]),
    m(90, 11, "tx.select-ok", &[]),
    m(90, 20, "tx.commit", &[]),
    m(90, 21, "tx.commit-ok", &[]),
    m(90, 30, "tx.rollback", &[]),
    m(90, 31, "tx.rollback-ok", &[]),
];
