//! Room is given back, messages that stay are moved, and what is needed for a start stays.

use super::*;

#[test]
fn a_queue_that_keeps_up_uses_the_same_files_again() {
    let mut rig = Rig::new(1);
    for seq in 1..=2000 {
        let stored = rig.publish(1, seq, &[3; 1000]);
        rig.store.settle(QueueKey(1), seq, stored);
        if seq % 10 == 0 {
            rig.work();
        }
    }
    assert!(rig.store.usage().segments <= 4, "{:?}", rig.store.usage());
    let files = rig
        .disk
        .0
        .list()
        .iter()
        .filter(|name| name.starts_with("segment-"))
        .count();
    assert!(files <= 8, "{files}");
}

#[test]
fn one_message_that_stays_does_not_hold_the_disk() {
    let mut rig = Rig::new(2);
    let first = rig.publish(1, 1, b"stays");
    for seq in 2..=4000 {
        let stored = rig.publish(1, seq, &[3; 1000]);
        rig.store.settle(QueueKey(1), seq, stored);
        if seq % 10 == 0 {
            rig.work();
        }
    }
    assert!(rig.store.usage().segments <= 10, "{:?}", rig.store.usage());
    assert_eq!(rig.store.fetch(first, take).unwrap(), b"stays");
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    let mut rig = Rig::open(&disk).unwrap();
    assert_eq!(rig.recovered_seqs(1), [1]);
    let moved = rig.recovered.messages[&QueueKey(1)][0].stored;
    assert_eq!(rig.store.fetch(moved, take).unwrap(), b"stays");
    rig.store.settle(QueueKey(1), 1, moved);
    rig.work();
    rig.work();
    assert!(rig.store.usage().segments <= 2, "{:?}", rig.store.usage());
    drop(rig);
    disk.0.crash();
    assert!(Rig::open(&disk).unwrap().recovered.messages.is_empty());
}

#[test]
fn a_message_settled_while_it_is_moved_stays_settled() {
    let mut rig = Rig::new(3);
    let mut kept = Vec::new();
    for seq in 1..=1200 {
        let stored = rig.publish(1, seq, &[3; 1000]);
        if seq % 20 == 1 {
            kept.push((seq, stored));
        } else {
            rig.store.settle(QueueKey(1), seq, stored);
        }
        rig.store.flush();
        rig.committer.turn(true);
        // Jobs are done late: settle between asking and having moved.
        if seq % 100 == 0 {
            while let Ok(job) = rig.jobs.try_recv() {
                rig.keeper.perform(job);
                if let Some((seq, stored)) = (!kept.is_empty()).then(|| kept.remove(0)) {
                    rig.store.settle(QueueKey(1), seq, stored);
                }
            }
        }
    }
    rig.work();
    for (_, stored) in &kept {
        assert_eq!(rig.store.fetch(*stored, take).unwrap(), [3; 1000]);
    }
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    let expected: Vec<u64> = kept.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(Rig::open(&disk).unwrap().recovered_seqs(1), expected);
}

#[test]
fn spilled_messages_do_not_come_back() {
    let mut rig = Rig::new(4);
    let spilled = rig
        .store
        .publish(content(b"spilled", true), &[reference(1, 1)]);
    rig.publish(1, 2, b"kept");
    rig.work();
    assert_eq!(rig.store.fetch(spilled, take).unwrap(), b"spilled");
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    assert_eq!(Rig::open(&disk).unwrap().recovered_seqs(1), [2]);
}

#[test]
fn returns_are_counted_over_a_restart() {
    let mut rig = Rig::new(5);
    rig.publish(1, 1, b"x");
    rig.store.returned(QueueKey(1), 1, 1);
    rig.store.returned(QueueKey(1), 1, 2);
    rig.work();
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    assert_eq!(
        Rig::open(&disk).unwrap().recovered.messages[&QueueKey(1)][0].returns,
        2
    );
}

#[test]
fn a_metadata_log_that_has_grown_long_is_shortened() {
    let mut rig = Rig::new(6);
    for n in 0..70 {
        let mut command = vec![b' '; 100_000];
        command.push(n);
        rig.store.command(command);
        rig.work();
    }
    let file = rig
        .disk
        .0
        .list()
        .into_iter()
        .find(|name| name.starts_with("metadata-"))
        .unwrap();
    assert_ne!(file, "metadata-1.log");
    assert!(rig.disk.0.contents(&file).len() < 5 << 20);
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    // The rig's squash keeps the last command only.
    let recovered = Rig::open(&disk).unwrap().recovered.commands;
    assert!(recovered.len() < 70);
    assert_eq!(recovered.last().unwrap().last(), Some(&69));
}

#[test]
fn the_threads_make_messages_durable_and_end_when_closed() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = Arc::new(Directory::open(temporary.path()).unwrap());
    let (sender, woken) = std::sync::mpsc::channel();
    let options = Options {
        segment_bytes: 1 << 20,
        ..Options::default()
    };
    let measure = |bytes: &[u8]| Some((bytes.len() as u32, 0));
    let wake = Box::new(move || {
        let _ = sender.send(());
    });
    let (mut store, threads, _) = Store::open(disk.clone(), options, measure, wake).unwrap();
    let stored = store.publish(content(b"hello", false), &[reference(1, 1)]);
    store.want(store.position());
    store.flush();
    while store.durable() < store.position() {
        woken
            .recv_timeout(std::time::Duration::from_secs(20))
            .unwrap();
    }
    assert_eq!(store.fetch(stored, take).unwrap(), b"hello");
    store.publish(content(b"last", false), &[reference(1, 2)]);
    store.close();
    threads.join();
    drop(store);
    let (_, _, recovered) = Store::assemble(disk, options, measure, Box::new(|| {})).unwrap();
    assert_eq!(recovered.messages[&QueueKey(1)].len(), 2);
}

#[test]
fn the_end_of_a_large_unit_does_not_stay_for_what_is_left_of_its_beginning() {
    let mut rig = Rig::new(1);
    let (mut seq, mut left) = (0, Vec::new());
    for _ in 0..4 {
        rig.store.begin_unit();
        let stored: Vec<(u64, Stored)> = (0..60)
            .map(|_| {
                seq += 1;
                (seq, rig.publish(1, seq, &[7; 1000]))
            })
            .collect();
        rig.store.end_unit();
        rig.work();
        // Most of the unit's first segment stays, all of the others goes.
        for (at, (seq, stored)) in stored.into_iter().enumerate() {
            match at < 20 {
                true => left.push(seq),
                false => rig.store.settle(QueueKey(1), seq, stored),
            }
        }
        rig.work();
    }
    for _ in 0..20 {
        seq += 1;
        let stored = rig.publish(2, seq, &vec![0; SEGMENT as usize / 2]);
        rig.work();
        rig.store.settle(QueueKey(2), seq, stored);
        rig.work();
    }
    let usage = rig.store.usage();
    assert!(
        usage.bytes <= usage.live_bytes * 2 + 2 * SEGMENT,
        "{usage:?}"
    );
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.crash();
    assert_eq!(Rig::open(&disk).unwrap().recovered_seqs(1), left);
}

#[test]
fn a_unit_without_an_end_is_not_ended_by_the_first_unit_of_the_next_life() {
    let mut rig = Rig::new(1);
    rig.store.begin_unit();
    rig.publish(1, 1, b"half");
    rig.work();
    let disk = rig.disk.clone();
    drop(rig);
    disk.0.kill();
    let mut rig = Rig::open(&disk).unwrap();
    assert!(rig.recovered.messages.is_empty());
    rig.store.begin_unit();
    rig.publish(1, 2, b"whole");
    rig.store.end_unit();
    rig.work();
    drop(rig);
    disk.0.kill();
    assert_eq!(Rig::open(&disk).unwrap().recovered_seqs(1), [2]);
}
