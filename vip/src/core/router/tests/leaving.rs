//! Leaving: the hand-over, demotion and maintenance, weights and faults.

use super::*;

// Points 7, 32 and the make-before-break hand-over.

#[test]
fn leaving_says_zero_once_and_keeps_the_addresses_until_the_successor_speaks() {
    let (mut router, now) = active(settings(110));
    let out = step(&mut router, now, Event::Shutdown(Cause::Stop));
    let hasten = Action::Hasten { priority: 110 };
    assert_eq!(out, [hasten, Action::Advertise { priority: 0 }]);
    assert!(router.holds_addresses());
    let later = now + Duration::from_millis(600);
    let out = step(&mut router, later, heard(12, 100));
    assert!(!out.contains(&Action::RemoveAddresses));
    assert_eq!(router.phase(), Phase::Stop);
    let out = step(&mut router, later + GRACE, Event::Timeout);
    let last = [
        Action::EndConnections,
        Action::RemoveAddresses,
        Action::Gone,
    ];
    assert_eq!(out, last);
}

#[test]
fn leaving_without_a_successor_ends_after_the_longest_skew_and_an_advert() {
    let (mut router, now) = active(settings(110));
    step(&mut router, now, Event::Shutdown(Cause::Stop));
    assert_eq!(router.deadline(), Some(now + ADV * 2));
    let out = step(&mut router, now + ADV * 2, Event::Timeout);
    assert_eq!(out[0], Action::RemoveAddresses);
    assert!(router.is_gone());
}

#[test]
fn a_second_stop_ends_at_once() {
    let (mut router, now) = active(settings(110));
    step(&mut router, now, Event::Shutdown(Cause::Stop));
    let out = step(&mut router, now, Event::Shutdown(Cause::Stop));
    assert!(out.contains(&Action::RemoveAddresses) && router.is_gone());
}

#[test]
fn a_router_that_another_one_replaces_says_nothing() {
    let (mut router, now) = active(settings(110));
    let out = step(&mut router, now, Event::Replaced);
    let changed = Action::Changed {
        from: Phase::Master,
        to: Phase::Stop,
        cause: Cause::Removed,
    };
    assert_eq!(out, [Action::RemoveAddresses, changed, Action::Gone]);
}

#[test]
fn a_backup_stops_in_silence() {
    let mut router = backup(settings(100));
    let out = step(&mut router, at(10), Event::Shutdown(Cause::Stop));
    assert!(adverts(&out).is_empty());
    assert!(router.is_gone());
}

#[test]
fn a_demoted_router_follows_the_worse_one_until_resumed() {
    let (mut router, now) = active(settings(110));
    step(&mut router, now, Event::Demote);
    step(&mut router, now, heard(12, 100));
    assert_eq!(router.phase(), Phase::Backup);
    step(&mut router, now + GRACE, Event::Timeout);
    step(&mut router, now + ADV, heard(12, 100));
    assert_eq!(
        router.deadline(),
        Some(now + ADV + router.master_down_interval())
    );
    step(&mut router, now + ADV, Event::Resume);
    let before = router.deadline();
    step(&mut router, now + ADV * 2, heard(12, 100));
    assert_eq!(router.deadline(), before, "resumed: it preempts again");
}

#[test]
fn a_demotion_that_nobody_follows_keeps_the_role() {
    let (mut router, now) = active(settings(110));
    step(&mut router, now, Event::Demote);
    let out = step(&mut router, now + ADV * 2, Event::Timeout);
    assert!(router.is_active());
    assert!(!out.contains(&Action::RemoveAddresses));
}

#[test]
fn maintenance_leaves_the_election_until_resumed() {
    let mut router = backup(settings(110));
    step(&mut router, at(0), Event::Maintenance);
    assert_eq!(router.deadline(), None);
    step(&mut router, at(60_000), Event::Timeout);
    assert_eq!(router.phase(), Phase::Backup);
    step(&mut router, at(60_000), Event::Resume);
    assert_eq!(
        router.deadline(),
        Some(at(60_000) + router.master_down_interval())
    );
}

// Weights and faults.

#[test]
fn a_lowered_priority_is_offered_to_the_unknown_peer_by_one_advert() {
    let (mut router, now) = active(settings(110));
    let out = step(&mut router, now, fit(90));
    let hasten = Action::Hasten { priority: 110 };
    assert_eq!(out, [hasten, Action::Advertise { priority: 0 }]);
    let out = step(&mut router, now + ADV / 2, heard(12, 100));
    assert_eq!(router.phase(), Phase::Backup);
    assert!(!out.contains(&Action::RemoveAddresses), "grace first");
}

#[test]
fn a_backup_that_learns_the_shortest_interval_takes_over_within_milliseconds() {
    let mut router = backup(settings(100));
    step(&mut router, at(500), heard(12, 110));
    let hastened = Heard {
        sender: v4(12),
        priority: 110,
        interval: SHORTEST,
        same_addresses: true,
    };
    step(&mut router, at(600), Event::Received(hastened));
    step(&mut router, at(600), heard(12, 0));
    let due = router.deadline().expect("a backup has a deadline");
    assert!(due - at(600) < SHORTEST, "{due:?}");
}

#[test]
fn nobody_is_hastened_by_v2_or_in_a_pair_that_waits_no_skew_time() {
    let v2 = Settings {
        version: Version::V2,
        ..settings(110)
    };
    let zero = [Action::Advertise { priority: 0 }];
    let (mut router, now) = active(v2);
    assert_eq!(step(&mut router, now, Event::Demote), zero);
    let (mut router, now) = active(settings(110));
    let view = PeerView {
        address: v4(12),
        priority: 100,
        active: false,
        sole: true,
        waiting: true,
    };
    step(&mut router, now, Event::Peer(Some(view)));
    assert_eq!(step(&mut router, now, Event::Demote), zero);
}

#[test]
fn a_lowered_priority_without_a_live_peer_keeps_the_address() {
    let (mut router, now) = active(settings(110));
    step(&mut router, now, fit(90));
    let out = step(&mut router, now + ADV * 2, Event::Timeout);
    assert_eq!(adverts(&out), [90]);
    assert!(!out.contains(&Action::RemoveAddresses));
}

#[test]
fn a_priority_that_stays_above_the_known_peer_changes_nothing() {
    let (mut router, now) = active(settings(110));
    let view = PeerView {
        address: v4(12),
        priority: 100,
        active: false,
        sole: true,
        waiting: false,
    };
    step(&mut router, now, Event::Peer(Some(view)));
    assert_eq!(step(&mut router, now, fit(105)), []);
    assert_eq!(adverts(&step(&mut router, now, fit(95))), [0]);
}

#[test]
fn a_worse_successor_is_overruled_and_remembered() {
    let (mut router, now) = active(settings(110));
    step(&mut router, now, fit(95));
    step(&mut router, now, heard(12, 90));
    assert!(router.is_active());
    assert_eq!(
        step(&mut router, now, fit(92)),
        [],
        "the peer is known to be worse"
    );
}

#[test]
fn a_fault_says_zero_and_removes_the_addresses_at_once() {
    let (mut router, now) = active(settings(110));
    let fault = Event::Health(Health::Fault("script chk failed".to_owned()));
    let out = step(&mut router, now, fault);
    let zero = Action::Advertise { priority: 0 };
    let hasten = Action::Hasten { priority: 110 };
    assert_eq!(out[..3], [hasten, zero, Action::RemoveAddresses]);
    assert_eq!(router.phase(), Phase::Fault);
    step(&mut router, now, fit(110));
    assert_eq!(
        router.phase(),
        Phase::Backup,
        "point 33: back through Backup"
    );
    assert_eq!(router.deadline(), Some(now + router.master_down_interval()));
}

#[test]
fn a_router_that_starts_with_a_fault_stays_out() {
    let mut router = Router::new(settings(110));
    let fault = Event::Health(Health::Fault("eth0 is down".to_owned()));
    step(&mut router, at(0), fault);
    step(&mut router, at(0), Event::Startup);
    assert_eq!((router.phase(), router.deadline()), (Phase::Fault, None));
}

#[test]
fn orders_that_come_before_the_start_hold_from_the_start() {
    for priority in [100, 255] {
        let mut router = Router::new(settings(priority));
        step(&mut router, at(0), Event::Maintenance);
        step(&mut router, at(0), Event::Startup);
        assert_eq!(router.phase(), Phase::Backup, "no owner either");
        assert_eq!(router.deadline(), None);
        step(
            &mut router,
            at(10),
            Event::Health(Health::Fault("x".to_owned())),
        );
        step(&mut router, at(20), fit(priority));
        assert_eq!(router.phase(), Phase::Backup);
    }
    let mut router = Router::new(settings(100));
    step(&mut router, at(0), Event::Demote);
    step(&mut router, at(0), Event::Startup);
    step(&mut router, at(10), heard(12, 50));
    let deadline = at(10) + router.master_down_interval();
    assert_eq!(router.deadline(), Some(deadline), "a worse one is followed");
}
