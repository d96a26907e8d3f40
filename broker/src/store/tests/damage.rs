//! Bits that rot: noticed, told, and kept to the queue they belong to.

use super::*;

/// Writes to two queues, syncs, writes a mark behind it, and stops.
fn written(seed: u64) -> (SimDisk, Vec<(u64, u64, Stored)>) {
    let mut rig = Rig::new(seed);
    let mut stored = Vec::new();
    for seq in 1..=10 {
        for queue in 1..=2 {
            stored.push((queue, seq, rig.publish(queue, seq, &[queue as u8; 300])));
        }
    }
    rig.work();
    // The next write tells that the ones before are durable.
    rig.publish(3, 1, b"later");
    rig.work();
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    (disk, stored)
}

fn segment_file(disk: &SimDisk) -> String {
    disk.0
        .list()
        .into_iter()
        .find(|name| name.starts_with("segment-"))
        .unwrap()
}

#[test]
fn a_rotten_message_is_told_with_its_queue_and_the_rest_serves() {
    let (disk, stored) = written(1);
    let (_, seq, place) = stored[8];
    disk.0.rot(
        &segment_file(&disk),
        (place.offset + place.length - 5) as usize,
    );
    let mut rig = Rig::open(&disk).unwrap();
    let damage = Damage {
        segment: place.segment,
        offset: place.offset,
        queue: Some(QueueKey(1)),
        messages: 1,
    };
    assert_eq!(rig.recovered.damage, [damage]);
    assert_eq!(
        rig.recovered_seqs(1),
        (1..=10).filter(|n| *n != seq).collect::<Vec<_>>()
    );
    assert_eq!(rig.recovered_seqs(2), (1..=10).collect::<Vec<_>>());
    for message in rig.recovered.messages[&QueueKey(1)].clone() {
        assert_eq!(rig.store.fetch(message.stored, take).unwrap(), [1; 300]);
    }
}

#[test]
fn a_rotten_head_is_told_by_the_number_that_is_missing() {
    let (disk, stored) = written(2);
    let (_, seq, place) = stored[9];
    disk.0.rot(&segment_file(&disk), place.offset as usize + 20);
    let rig = Rig::open(&disk).unwrap();
    assert_eq!(
        rig.recovered_seqs(2),
        (1..=10).filter(|n| *n != seq).collect::<Vec<_>>()
    );
    assert_eq!(rig.recovered_seqs(1), (1..=10).collect::<Vec<_>>());
    let told: Vec<_> = rig
        .recovered
        .damage
        .iter()
        .map(|damage| (damage.queue, damage.messages))
        .collect();
    assert_eq!(told, [(None, 0), (Some(QueueKey(2)), 1)]);
}

#[test]
fn rot_behind_the_durable_end_is_a_torn_tail() {
    let mut rig = Rig::new(3);
    rig.publish(1, 1, b"durable");
    rig.work();
    let torn = rig.publish(1, 2, b"not durable");
    rig.publish(1, 3, b"behind it");
    rig.store.flush();
    rig.committer.turn(false);
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.kill();
    disk.0.rot(&segment_file(&disk), torn.offset as usize + 30);
    let rig = Rig::open(&disk).unwrap();
    assert!(rig.recovered.damage.is_empty());
    assert_eq!(rig.recovered_seqs(1), [1]);
}

#[test]
fn rot_in_a_sealed_segment_is_found_when_the_message_is_read() {
    let mut rig = Rig::new(4);
    let stored: Vec<Stored> = (1..=100)
        .map(|seq| rig.publish(1, seq, &[9; 1000]))
        .collect();
    rig.work();
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    disk.0
        .rot(&segment_file(&disk), stored[3].offset as usize + 500);
    let mut rig = Rig::open(&disk).unwrap();
    assert_eq!(rig.recovered_seqs(1).len(), 100);
    assert!(
        rig.store
            .fetch(stored[3], take)
            .unwrap_err()
            .0
            .contains("damaged")
    );
    assert!(rig.store.fetch(stored[4], take).is_ok());
}

#[test]
fn a_lost_summary_is_made_again_from_the_records() {
    let mut rig = Rig::new(5);
    for seq in 1..=100 {
        rig.publish(1, seq, &[9; 1000]);
    }
    rig.work();
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    disk.0.rot(&segment_file(&disk), 1024 + 9);
    let rig = Rig::open(&disk).unwrap();
    assert_eq!(rig.recovered_seqs(1), (1..=100).collect::<Vec<_>>());
    assert!(rig.recovered.damage.is_empty());
}

#[test]
fn a_file_that_says_nothing_is_put_aside_and_told() {
    let (disk, _) = written(6);
    let name = segment_file(&disk);
    disk.0.rot(&name, 3);
    disk.0.rot(&name, 2048 + 3);
    let rig = Rig::open(&disk).unwrap();
    assert_eq!(rig.recovered.aside, [format!("{name}.damaged")]);
    assert!(disk.0.list().contains(&format!("{name}.damaged")));
}

#[test]
fn a_file_that_is_gone_is_told_once_and_the_rest_serves() {
    let (disk, _) = written(8);
    let name = segment_file(&disk);
    disk.0.remove(&name).unwrap();
    disk.0.sync_names().unwrap();
    let mut rig = Rig::open(&disk).unwrap();
    assert_eq!(rig.recovered.missing, [name]);
    rig.publish(1, 1000, b"goes on");
    rig.work();
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    let rig = Rig::open(&disk).unwrap();
    assert!(rig.recovered.missing.is_empty());
    assert_eq!(rig.recovered_seqs(1), [1000]);
}

#[test]
fn a_rotten_metadata_log_is_refused() {
    let mut rig = Rig::new(7);
    rig.store.command(b"first".to_vec());
    rig.work();
    rig.store.command(b"second".to_vec());
    rig.work();
    let disk = rig.disk.clone();
    drop(rig);
    let name = disk
        .0
        .list()
        .into_iter()
        .find(|name| name.starts_with("metadata-"))
        .unwrap();
    disk.0.rot(&name, 64 + 32 + 17);
    let Err(error) = Rig::open(&disk) else {
        panic!("opened")
    };
    assert!(error.to_string().contains("damaged at byte"), "{error}");
}
