//! Full disks, failing syncs, and that nothing is reported durable too early.

use super::*;

#[test]
fn nothing_is_durable_before_the_sync() {
    let mut rig = Rig::new(1);
    rig.publish(1, 1, b"message");
    let position = rig.store.position();
    rig.store.want(position);
    rig.store.flush();
    assert!(rig.store.written() < position && rig.store.durable() < position);
    assert_eq!(rig.committer.turn(false), Health::Good);
    assert!(rig.store.durable() >= position);
}

#[test]
fn what_nobody_waits_for_is_written_and_not_synced_at_once() {
    let mut rig = Rig::new(1);
    rig.publish(1, 1, b"message");
    rig.store.flush();
    rig.committer.turn(false);
    assert!(rig.store.written() >= rig.store.position());
    assert!(rig.store.durable() < rig.store.position());
    rig.committer.turn(true);
    assert!(rig.store.durable() >= rig.store.position());
}

#[test]
fn a_full_disk_holds_back_and_goes_on_by_itself() {
    let mut rig = Rig::new(1);
    rig.publish(1, 1, b"before");
    assert_eq!(rig.work(), Health::Good);
    rig.disk.0.set_space(Some(0));
    let mut stored = Vec::new();
    for seq in 2..100 {
        stored.push((seq, rig.publish(1, seq, &[7; 1000])));
    }
    let position = rig.store.position();
    assert!(matches!(rig.work(), Health::Full(_)));
    assert!(matches!(rig.store.health(), Health::Full(_)));
    assert!(rig.store.durable() < position);
    // Consumers go on: what is not written yet is read from memory.
    for (_, stored) in &stored {
        assert_eq!(rig.store.fetch(*stored, take).unwrap(), [7; 1000]);
    }
    rig.disk.0.set_space(None);
    assert_eq!(rig.work(), Health::Good);
    assert_eq!(rig.store.health(), Health::Good);
    assert!(rig.store.durable() >= position);
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    assert_eq!(
        Rig::open(&disk).unwrap().recovered_seqs(1),
        (1..100).collect::<Vec<_>>()
    );
}

#[test]
fn settling_frees_room_on_a_full_disk() {
    let mut rig = Rig::new(1);
    let stored: Vec<Stored> = (1..200)
        .map(|seq| rig.publish(1, seq, &[7; 1000]))
        .collect();
    rig.work();
    rig.disk.0.set_space(Some(0));
    let used = rig.store.usage().segments;
    for (at, stored) in stored.iter().enumerate() {
        rig.store.settle(QueueKey(1), at as u64 + 1, *stored);
    }
    rig.work();
    rig.work();
    assert!(rig.store.usage().segments < used);
    // The files given up are used again, so there is room although the disk is still full.
    for seq in 200..260 {
        rig.publish(1, seq, &[7; 1000]);
    }
    assert_eq!(rig.work(), Health::Good);
}

#[test]
fn a_failed_sync_ends_all_confirming_for_good() {
    let mut rig = Rig::new(1);
    rig.publish(1, 1, b"before");
    rig.work();
    rig.publish(1, 2, b"message");
    let position = rig.store.position();
    rig.disk.0.fail_syncs();
    assert!(matches!(rig.work(), Health::Failed(_)));
    assert!(rig.store.durable() < position);
    let Health::Failed(reason) = rig.store.health() else {
        panic!("still good")
    };
    assert!(reason.contains("sync"), "{reason}");
    rig.disk.0.kill();
    rig.work();
    assert!(matches!(rig.store.health(), Health::Failed(_)));
}

#[test]
fn a_publisher_faster_than_the_disk_is_told_to_wait() {
    let mut rig = Rig::new(1);
    let mut seq = 0;
    while rig.store.congestion() == Congestion::None {
        seq += 1;
        rig.publish(1, seq, &[0; 1 << 20]);
        rig.store.flush();
        assert!(seq < 100);
    }
    rig.work();
    assert_eq!(rig.store.congestion(), Congestion::None);
}
