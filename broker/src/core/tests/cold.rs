//! Messages that only a slow disk has: who waits for it, and who does not.

use super::kit::{Bench, Client, bodies, queue_declare, queue_delete, table, text};
use crate::core::Effect;
use crate::core::browse::{Browse, Leave, Moving, Progress};
use crate::core::field::{FieldTable, FieldValue};
use crate::core::frame;
use crate::core::journal::{Damaged, Journal, Position, QueueKey, Reference, Stored};
use crate::core::message::Message;
use crate::core::metadata::Command;
use crate::core::method::Method;
use crate::core::properties::Properties;
use crate::core::settings::Settings;
use crate::management::engine;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A journal that keeps every message, on a disk that gives one at a time and only when the test lets it.
#[derive(Clone, Default)]
pub(super) struct Slow(Arc<Disk>);

#[derive(Default)]
struct Disk {
    messages: Mutex<Vec<Message>>,
    /// Read and waiting to be fetched.
    read: Mutex<Option<Stored>>,
    asked: Mutex<Option<Stored>>,
    arrived: AtomicBool,
    /// Messages fetched that were not at hand.
    blocked: AtomicUsize,
    /// Messages settled because their queue went.
    purged: AtomicUsize,
    /// The first message cannot be read any more.
    damaged: AtomicBool,
}

impl Slow {
    /// Messages settled because their queue was emptied or went.
    pub(super) fn purged(&self) -> usize {
        self.0.purged.load(Ordering::Relaxed)
    }

    /// The disk gives what was asked for; false when that is nothing.
    fn give(&self) -> bool {
        let asked = self.0.asked.lock().unwrap().take();
        let any = asked.is_some();
        if any {
            *self.0.read.lock().unwrap() = asked;
            self.0.arrived.store(true, Ordering::Relaxed);
        }
        any
    }
}

impl Journal for Slow {
    fn publish(&mut self, message: &Message, _: &[Reference]) -> (Position, Stored) {
        let mut messages = self.0.messages.lock().unwrap();
        messages.push(message.clone());
        let stored = Stored {
            segment: 0,
            offset: messages.len() as u32 - 1,
            length: 1,
        };
        (Position(0), stored)
    }

    fn spill(&mut self, message: &Message, reference: Reference) -> Option<Stored> {
        Some(self.publish(message, &[reference]).1)
    }

    fn at_hand(&mut self, stored: Stored) -> bool {
        if *self.0.read.lock().unwrap() == Some(stored) {
            return true;
        }
        self.0.asked.lock().unwrap().get_or_insert(stored);
        false
    }

    fn arrived(&mut self) -> bool {
        self.0.arrived.swap(false, Ordering::Relaxed)
    }

    fn fetch(&mut self, stored: Stored) -> Result<Message, Damaged> {
        if *self.0.read.lock().unwrap() != Some(stored) {
            self.0.blocked.fetch_add(1, Ordering::Relaxed);
        }
        if stored.offset == 0 && self.0.damaged.load(Ordering::Relaxed) {
            return Err(Damaged("damaged by the test".to_owned()));
        }
        Ok(self.0.messages.lock().unwrap()[stored.offset as usize].clone())
    }

    fn settle(&mut self, _: QueueKey, _: u64, _: Stored) {}

    fn returned(&mut self, _: QueueKey, _: u64, _: u32) {}

    fn purge(&mut self, _: QueueKey, seqs: &[(u64, Stored)]) {
        self.0.purged.fetch_add(seqs.len(), Ordering::Relaxed);
    }

    fn forget(&mut self, _: QueueKey) {}

    fn command(&mut self, _: &Command) -> Position {
        Position(0)
    }

    fn begin_unit(&mut self) {}

    fn end_unit(&mut self) -> Position {
        Position(0)
    }

    fn flush(&mut self) {}

    fn durable(&self) -> Position {
        Position(u64::MAX)
    }

    fn written(&self) -> Position {
        Position(u64::MAX)
    }

    fn await_written(&mut self, _: Position) {}

    fn appended(&self) -> Position {
        Position(0)
    }

    fn close(&mut self) {}
}

/// An engine that keeps no message of a queue in memory, a client, and what the disk does.
pub(super) fn bench() -> (Bench, Client, Slow) {
    let settings = Settings {
        message_memory: 0,
        ..Settings::default()
    };
    let mut bench = Bench::with(settings);
    let slow = Slow::default();
    bench.core.journal = Box::new(slow.clone());
    let client = bench.connect();
    (bench, client, slow)
}

fn fill(bench: &mut Bench, client: Client, queue: &str, arguments: FieldTable) {
    bench.call(client, &queue_declare(queue, arguments));
    for body in ["a", "b", "c"] {
        bench.publish(client, "", queue, body);
    }
}

/// A round trip through another queue.
fn round_trip(bench: &mut Bench, client: Client) {
    bench.publish(client, "", "other", "ping");
    assert_eq!(bodies(&bench.answers(client)), ["ping"]);
}

#[test]
fn a_queue_that_waits_for_the_disk_delays_nobody_else() {
    let (mut bench, publisher, slow) = bench();
    // a limit, so that the queue is looked after at each message
    let arguments = table([("x-max-length", FieldValue::I32(100))]);
    fill(&mut bench, publisher, "cold", arguments);
    bench.call(publisher, &queue_declare("other", FieldTable::new()));
    let other = bench.connect();
    bench.consume(other, "other", "t", true);
    let drainer = bench.connect();
    let answers = bench.consume(drainer, "cold", "t", true);
    assert!(bodies(&answers).is_empty(), "{answers:?}");
    let mut drained = Vec::new();
    for _ in 0..3 {
        round_trip(&mut bench, other);
        assert!(bench.answers(drainer).is_empty());
        assert!(slow.give());
        bench.pass(1);
        let answers = bench.answers(drainer);
        drained.extend(bodies(&answers).into_iter().map(str::to_owned));
    }
    assert_eq!(drained, ["a", "b", "c"]);
    assert_eq!(slow.0.blocked.load(Ordering::Relaxed), 0);
    assert!(!slow.give());
}

#[test]
fn a_message_that_cannot_be_read_is_passed_over_and_counted() {
    let (mut bench, client, slow) = bench();
    // a limit, so that the queue is looked after at each message
    let arguments = table([("x-max-length", FieldValue::I32(100))]);
    fill(&mut bench, client, "cold", arguments);
    slow.0.damaged.store(true, Ordering::Relaxed);
    let answers = bench.consume(client, "cold", "t", true);
    assert!(bodies(&answers).is_empty(), "{answers:?}");
    let mut read = Vec::new();
    while slow.give() {
        bench.pass(1);
        read.extend(
            bodies(&bench.answers(client))
                .into_iter()
                .map(str::to_owned),
        );
    }
    assert_eq!(read, ["b", "c"]);
    assert_eq!(engine::node(&bench.core).unreadable, 1);
}

#[test]
fn a_get_that_waits_for_the_disk_holds_only_its_own_connection() {
    let (mut bench, client, slow) = bench();
    fill(&mut bench, client, "cold", FieldTable::new());
    bench.call(client, &queue_declare("other", FieldTable::new()));
    let other = bench.connect();
    bench.consume(other, "other", "t", true);
    let mut bytes = Vec::new();
    for method in [
        Method::BasicGet {
            ticket: 0,
            queue: "cold",
            no_ack: true,
        },
        Method::QueuePurge {
            ticket: 0,
            queue: "cold",
            nowait: false,
        },
    ] {
        frame::write(&mut bytes, frame::METHOD, 1, |out| method.encode(out));
    }
    assert_eq!(bench.core.receive(client.0, &bytes), 0);
    assert!(!bench.core.wants_input(client.0));
    bench.pass(1);
    assert!(bench.answers(client).is_empty());
    round_trip(&mut bench, other);
    assert!(slow.give());
    bench.pass(1);
    let resumed = |effect: &Effect| matches!(effect, Effect::Resume { connection } if *connection == client.0);
    assert!(bench.core.take_effects().iter().any(resumed));
    bench.bytes(client, &bytes);
    let answers = bench.answers(client);
    assert_eq!(bodies(&answers), ["a"]);
    assert_eq!(answers[1].text, "QueuePurgeOk { message_count: 2 }");
    assert_eq!(slow.0.blocked.load(Ordering::Relaxed), 0);
}

#[test]
fn expired_messages_on_their_way_to_another_exchange_wait_for_the_disk_one_by_one() {
    let (mut bench, client, slow) = bench();
    bench.call(client, &queue_declare("dead", FieldTable::new()));
    let arguments = table([
        ("x-message-ttl", FieldValue::I32(50)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
    ]);
    fill(&mut bench, client, "cold", arguments);
    bench.pass(100);
    assert_eq!((bench.ready("cold"), bench.ready("dead")), (3, 0));
    for left in [2, 1, 0] {
        assert!(slow.give());
        bench.pass(1);
        assert_eq!((bench.ready("cold"), bench.ready("dead")), (left, 3 - left));
    }
    assert_eq!(slow.0.blocked.load(Ordering::Relaxed), 0);
}

#[test]
fn many_expired_messages_are_not_one_turn() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let arguments = table([("x-message-ttl", FieldValue::I32(50))]);
    bench.call(client, &queue_declare("short", arguments));
    let one = bench.publish_bytes(1, ("", "short"), "x", &Properties::default(), false);
    bench.bytes(client, &one.repeat(10_000));
    assert_eq!(bench.ready("short"), 10_000);
    bench.pass(100);
    let left = bench.ready("short");
    assert!(left > 0 && left < 10_000, "{left}");
    for _ in 0..3 {
        bench.pass(0);
    }
    assert_eq!(bench.ready("short"), 0);
}

/// Three messages, out to a consumer that has not acknowledged them; rejected ones go to the queue `dead`.
fn three_out(bench: &mut Bench, client: Client, slow: &Slow) {
    for queue in ["dead", "other"] {
        bench.call(client, &queue_declare(queue, FieldTable::new()));
    }
    // a limit, so that the queue is looked after at each message
    let arguments = table([
        ("x-max-length", FieldValue::I32(100)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
    ]);
    fill(bench, client, "cold", arguments);
    bench.consume(client, "cold", "t", false);
    for _ in 0..3 {
        assert!(slow.give());
        bench.pass(1);
    }
    assert_eq!(bodies(&bench.answers(client)), ["a", "b", "c"]);
    let reject_all = Method::BasicNack {
        delivery_tag: 0,
        multiple: true,
        requeue: false,
    };
    assert_eq!(bench.call(client, &reject_all), []);
}

#[test]
fn rejected_messages_on_their_way_to_another_exchange_wait_for_the_disk_beside_the_queue() {
    let (mut bench, client, slow) = bench();
    three_out(&mut bench, client, &slow);
    let other = bench.connect();
    bench.consume(other, "other", "t", true);
    for buried in 0..3 {
        assert_eq!((bench.ready("cold"), bench.ready("dead")), (0, buried));
        round_trip(&mut bench, other);
        assert!(slow.give());
        bench.pass(1);
    }
    assert_eq!(bench.ready("dead"), 3);
    assert_eq!(slow.0.blocked.load(Ordering::Relaxed), 0);
}

#[test]
fn rejected_messages_that_wait_for_the_disk_go_with_their_queue() {
    let (mut bench, client, slow) = bench();
    three_out(&mut bench, client, &slow);
    let delete = queue_delete("cold");
    bench.call(client, &delete);
    assert_eq!(slow.purged(), 3);
    slow.give();
    bench.pass(1);
    assert_eq!(bench.ready("dead"), 0);
}

#[test]
fn browsing_waits_for_the_disk_step_by_step_and_leaves_the_messages_where_they_are() {
    let (mut bench, client, slow) = bench();
    fill(&mut bench, client, "cold", FieldTable::new());
    let mut browse = Browse::new("/", "cold", 2, Leave::Back);
    for read in 0..2 {
        assert_eq!(bench.core.browse(&mut browse), Ok(Progress::Waits));
        assert_eq!(browse.read.len(), read);
        assert!(slow.give());
        bench.pass(1);
    }
    assert_eq!(bench.core.browse(&mut browse), Ok(Progress::Done));
    let seen: Vec<_> = browse
        .read
        .iter()
        .map(|read| (read.message.body(), read.redelivered, read.left))
        .collect();
    assert_eq!(seen, [(&b"a"[..], false, 2), (&b"b"[..], false, 1)]);
    assert_eq!(bench.ready("cold"), 3);
    assert_eq!(slow.0.blocked.load(Ordering::Relaxed), 0);
}

#[test]
fn taking_and_moving_wait_for_the_disk_too() {
    let (mut bench, client, slow) = bench();
    fill(&mut bench, client, "cold", FieldTable::new());
    bench.call(client, &queue_declare("to", FieldTable::new()));
    let mut browse = Browse::new("/", "cold", 1, Leave::Gone);
    assert_eq!(bench.core.browse(&mut browse), Ok(Progress::Waits));
    assert!(slow.give());
    bench.pass(1);
    assert_eq!(bench.core.browse(&mut browse), Ok(Progress::Done));
    assert_eq!(bench.ready("cold"), 2);
    let mut moving = Moving {
        vhost: "/".to_owned(),
        name: "cold".to_owned(),
        exchange: String::new(),
        key: "to".to_owned(),
        wanted: 10,
        moved: 0,
    };
    for moved in 0..2 {
        assert_eq!(bench.core.move_ready(&mut moving), Ok(Progress::Waits));
        assert_eq!(moving.moved, moved);
        assert!(slow.give());
        bench.pass(1);
    }
    assert_eq!(bench.core.move_ready(&mut moving), Ok(Progress::Done));
    assert_eq!((bench.ready("cold"), bench.ready("to")), (0, 2));
    assert_eq!(slow.0.blocked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_long_browse_is_not_one_turn_and_sees_priorities_and_what_came_back_in_order() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let arguments = table([("x-max-priority", FieldValue::I32(2))]);
    bench.call(client, &queue_declare("q", arguments));
    for number in 0..1000u32 {
        let with = Properties {
            priority: Some((number % 3) as u8),
            ..Properties::default()
        };
        bench.publish_with(client, "", "q", &number.to_string(), &with);
    }
    // the first two of the highest priority were out and came back
    bench.call(
        client,
        &Method::BasicQos {
            prefetch_size: 0,
            prefetch_count: 2,
            global: false,
        },
    );
    bench.consume(client, "q", "t", false);
    let cancel = Method::BasicCancel {
        consumer_tag: "t",
        nowait: true,
    };
    bench.call(client, &cancel);
    bench.call(client, &Method::BasicRecover { requeue: true });
    let mut browse = Browse::new("/", "q", 2000, Leave::Back);
    let mut steps = 1;
    while bench.core.browse(&mut browse) == Ok(Progress::More) {
        steps += 1;
    }
    assert!(steps > 2, "{steps}");
    let seen: Vec<String> = browse
        .read
        .iter()
        .map(|read| String::from_utf8_lossy(read.message.body()).into_owned())
        .collect();
    let expected = [2, 1, 0].map(|first| (first..1000).step_by(3).map(|n| n.to_string()));
    assert_eq!(seen, expected.into_iter().flatten().collect::<Vec<_>>());
    let flagged: Vec<usize> = (0..1000).filter(|&n| browse.read[n].redelivered).collect();
    assert_eq!(flagged, [0, 1]);
    assert_eq!(bench.ready("q"), 1000);
}

#[test]
fn reading_ends_with_the_message_that_is_enough() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.declare(client, "q", FieldTable::new());
    for body in ["12345", "12345", "12345"] {
        bench.publish(client, "", "q", body);
    }
    for (most, expected) in [(1, 1), (6, 2), (100, 3)] {
        let mut browse = Browse::new("/", "q", 10, Leave::Back);
        browse.most_bytes = most;
        assert_eq!(bench.core.browse(&mut browse), Ok(Progress::Done));
        assert_eq!(browse.read.len(), expected);
    }
}
