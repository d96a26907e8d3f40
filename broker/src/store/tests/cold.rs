//! Messages that are not in memory any more are read beside.

use super::*;

/// A store with some messages on a disk where every read has to wait.
fn cold(count: u64) -> (Rig, Vec<Stored>) {
    let mut rig = Rig::new(1);
    let stored = (1..=count)
        .map(|seq| rig.publish(1, seq, &[seq as u8; 1000]))
        .collect();
    rig.work();
    rig.disk.1.wait.store(true, Ordering::Relaxed);
    (rig, stored)
}

#[test]
fn what_must_be_waited_for_is_not_at_hand_until_it_was_read_beside() {
    let (mut rig, stored) = cold(3);
    assert!(!rig.store.at_hand(stored[0]));
    assert!(!rig.store.arrived() && !rig.store.at_hand(stored[0]));
    assert!(rig.cold.turn());
    assert!(!rig.cold.turn(), "asked for twice");
    assert!(rig.store.arrived());
    // What stands behind it came along.
    for (at, stored) in stored.iter().enumerate() {
        assert!(rig.store.at_hand(*stored), "{at}");
        assert_eq!(
            rig.store.fetch(*stored, take).unwrap(),
            [at as u8 + 1; 1000]
        );
    }
    assert!(!rig.store.arrived());
}

#[test]
fn what_is_appended_or_on_its_way_to_the_disk_or_cached_is_at_hand() {
    let (mut rig, _) = cold(1);
    let stored = rig.publish(1, 2, b"appended");
    assert!(rig.store.at_hand(stored));
    rig.store.flush();
    assert!(rig.store.at_hand(stored));
    rig.work();
    assert!(!rig.store.at_hand(stored));
    rig.disk.1.wait.store(false, Ordering::Relaxed);
    assert!(rig.store.at_hand(stored));
}

#[test]
fn many_places_at_once_are_read_by_and_by() {
    let (mut rig, stored) = cold(200);
    let mut left: Vec<Stored> = stored.iter().copied().step_by(7).rev().collect();
    let mut rounds = 0;
    while !left.is_empty() {
        left.retain(|stored| !rig.store.at_hand(*stored));
        while rig.cold.turn() {}
        rig.store.arrived();
        rounds += 1;
        assert!(rounds < 100);
    }
}

#[test]
fn a_place_that_cannot_be_read_is_reported_instead_of_waited_for() {
    let (mut rig, stored) = cold(1);
    assert!(!rig.store.at_hand(stored[0]));
    rig.disk.1.fail.store(true, Ordering::Relaxed);
    assert!(rig.cold.turn());
    assert!(rig.store.arrived());
    assert!(rig.store.at_hand(stored[0]));
    assert!(rig.store.fetch(stored[0], take).is_err());
}

#[test]
fn damage_is_at_hand_and_reported() {
    let (mut rig, stored) = cold(2);
    let name = rig
        .disk
        .0
        .list()
        .into_iter()
        .filter(|name| name.starts_with("segment"))
        .find(|name| rig.disk.0.contents(name).windows(8).any(|w| w == [1; 8]))
        .unwrap();
    rig.disk.0.rot(&name, stored[0].offset as usize + 500);
    assert!(!rig.store.at_hand(stored[0]));
    assert!(rig.cold.turn());
    assert!(rig.store.arrived());
    for _ in 0..3 {
        if rig.store.at_hand(stored[0]) {
            assert!(rig.store.fetch(stored[0], take).is_err());
            return;
        }
        rig.cold.turn();
        rig.store.arrived();
    }
    panic!("waited for without end");
}
