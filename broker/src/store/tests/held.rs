//! Batches that the engine's thread commits by itself: as durable as the others, and never held without need.

use super::*;

/// Appends a message that somebody waits for, and offers it to be held.
fn offer(rig: &mut Rig, seq: u64, message: &[u8]) -> u64 {
    rig.publish(1, seq, message);
    let position = rig.store.position();
    rig.store.want(position);
    rig.store.may_hold(true);
    rig.store.flush();
    position
}

#[test]
fn what_was_held_is_durable_when_the_commit_returns_and_not_before() {
    let mut rig = Rig::new(1);
    rig.rest();
    let position = offer(&mut rig, 1, b"message");
    assert!(rig.store.holds());
    assert!(rig.store.written() < position && rig.store.durable() < position);
    rig.store.commit_held();
    assert!(!rig.store.holds() && rig.store.durable() >= position);
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    assert_eq!(Rig::open(&disk).unwrap().recovered_seqs(1), [1]);
}

#[test]
fn nothing_is_held_when_it_is_not_allowed_or_not_wanted_or_much_or_the_committer_works() {
    let mut rig = Rig::new(1);
    offer(&mut rig, 1, b"the committer works");
    assert!(!rig.store.holds());
    rig.work();
    rig.rest();
    offer(&mut rig, 2, &vec![0; 100_000]);
    assert!(!rig.store.holds(), "much");
    rig.work();
    rig.rest();
    rig.publish(1, 3, b"nobody waits");
    rig.store.flush();
    assert!(!rig.store.holds());
    rig.work();
    rig.rest();
    rig.publish(1, 4, b"not allowed");
    let position = rig.store.position();
    rig.store.want(position);
    rig.store.may_hold(false);
    rig.store.flush();
    assert!(!rig.store.holds());
}

#[test]
fn more_that_is_not_to_be_held_takes_what_was_held_along_to_the_committer() {
    let mut rig = Rig::new(1);
    rig.rest();
    let position = offer(&mut rig, 1, b"held");
    rig.publish(1, 2, &vec![0; 100_000]);
    rig.store.flush();
    assert!(!rig.store.holds());
    rig.store.commit_held();
    assert!(rig.store.durable() < position);
    assert_eq!(rig.committer.turn(false), Health::Good);
    assert!(rig.store.durable() >= position);
}

#[test]
fn a_sync_that_fails_on_the_engines_thread_ends_all_confirming_on_every_thread() {
    let mut rig = Rig::new(1);
    rig.rest();
    let position = offer(&mut rig, 1, b"message");
    rig.disk.0.fail_syncs();
    rig.store.commit_held();
    assert!(matches!(rig.store.health(), Health::Failed(_)));
    // The disk works again; what it has dropped it has dropped.
    rig.disk.0.kill();
    assert!(matches!(rig.committer.turn(true), Health::Failed(_)));
    assert!(rig.store.durable() < position);
}

#[test]
fn a_full_disk_is_left_to_the_committer_to_try_again() {
    let mut rig = Rig::new(1);
    rig.work();
    rig.rest();
    rig.disk.0.set_space(Some(0));
    for seq in 1..60 {
        rig.publish(1, seq, &[7; 1000]);
    }
    let position = offer(&mut rig, 60, b"message");
    rig.store.commit_held();
    assert!(matches!(rig.store.health(), Health::Full(_)));
    assert!(!rig.store.holds() && rig.store.durable() < position);
    rig.disk.0.set_space(None);
    assert_eq!(rig.committer.turn(false), Health::Good);
    assert!(rig.store.durable() >= position);
}
