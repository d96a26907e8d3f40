//! Very many messages that leave at once: gone for everybody, settled some in a turn, with others served in between.

use super::cold::{Slow, bench};
use super::kit::{Bench, Client, encoded, queue_declare, queue_delete};
use crate::core::field::FieldTable;
use crate::core::leaving::LEAVING;
use crate::core::method::Method;

/// More than two turns let go.
const MANY: usize = 2 * LEAVING + 100;

fn purge() -> Method<'static> {
    Method::QueuePurge {
        ticket: 0,
        queue: "q",
        nowait: false,
    }
}

/// A queue full of messages that the journal has.
fn full() -> (Bench, Client, Slow) {
    let (mut bench, client, slow) = bench();
    bench.call(client, &queue_declare("q", FieldTable::new()));
    for _ in 0..MANY {
        bench.publish(client, "", "q", "m");
    }
    assert_eq!(bench.ready("q"), MANY);
    (bench, client, slow)
}

/// Asks for something that empties the queue, and serves another client until all is settled; gives the answer.
fn emptied_by(bench: &mut Bench, client: Client, slow: &Slow, method: &Method<'_>) -> String {
    let other = bench.connect();
    bench
        .core
        .receive(client.0, &encoded(1, std::slice::from_ref(method)));
    let mut settled = slow.purged();
    let mut turns = 0;
    while settled < MANY {
        let ping = encoded(1, &[queue_declare("other", FieldTable::new())]);
        assert_eq!(bench.core.receive(other.0, &ping), ping.len());
        bench.core.end_turn();
        let now = slow.purged();
        assert!(now - settled <= LEAVING, "{settled} to {now}");
        assert!(!bench.core.connections[other.0 as usize].output.is_empty());
        while bench.core.next_dirty().is_some() {}
        assert_eq!(bench.core.has_work(), now < MANY);
        settled = now;
        turns += 1;
    }
    assert_eq!((settled, turns), (MANY, 3));
    bench.answers(client)[0].text.clone()
}

#[test]
fn others_are_served_while_a_purge_settles_many() {
    let (mut bench, client, slow) = full();
    let answer = emptied_by(&mut bench, client, &slow, &purge());
    assert_eq!(answer, format!("QueuePurgeOk {{ message_count: {MANY} }}"));
    assert_eq!(bench.ready("q"), 0);
}

#[test]
fn others_are_served_while_a_deleted_queues_messages_are_settled() {
    let (mut bench, client, slow) = full();
    let answer = emptied_by(&mut bench, client, &slow, &queue_delete("q"));
    assert_eq!(answer, format!("QueueDeleteOk {{ message_count: {MANY} }}"));
    assert!(bench.core.find_queue("/", "q").is_none());
}

#[test]
fn what_comes_behind_a_purge_stays() {
    let (mut bench, client, slow) = full();
    bench.core.receive(client.0, &encoded(1, &[purge()]));
    bench.publish(client, "", "q", "new");
    assert_eq!(bench.ready("q"), 1);
    bench.core.let_all_go();
    assert_eq!((slow.purged(), bench.ready("q")), (MANY, 1));
    let found = bench.core.find_queue("/", "q").expect("there");
    assert_eq!(found.persistent, found.ready.persistent());
}
