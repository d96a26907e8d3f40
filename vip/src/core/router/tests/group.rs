//! Members of a sync group: who waits for the others, and who does not.

use super::*;

#[test]
fn a_group_moves_its_members() {
    let mut router = backup(settings(100));
    step(&mut router, at(5), Event::GroupActive("V4".to_owned()));
    assert!(router.is_active());
    let out = step(&mut router, at(6), Event::GroupBackup("V4".to_owned()));
    assert_eq!(adverts(&out), [0]);
    assert_eq!(router.phase(), Phase::Backup);
}

#[test]
fn a_member_takes_over_by_silence_when_the_last_of_its_group_would() {
    let mut router = backup(settings(100));
    let own = router.deadline().expect("a timer");
    assert_eq!(router.down_at(), Some(own));
    router.hold(Some(own + ADV));
    assert_eq!(router.deadline(), Some(own + ADV));
    assert!(step(&mut router, own, Event::Timeout).is_empty());
    assert_eq!(router.phase(), Phase::Backup);
    assert_eq!(router.lateness(own + ADV * 3), None, "it waits, as it must");
    step(&mut router, own + ADV, Event::Timeout);
    assert!(router.is_active());
}

#[test]
fn a_better_member_takes_nothing_while_another_one_follows_its_master() {
    let mut router = backup(settings(200));
    let own = router.deadline().expect("a timer");
    for adverts in 1..10 {
        let now = at(0) + ADV * adverts;
        step(&mut router, now, heard(12, 100));
        // the other member hears the same master, and is worse than it
        router.hold(Some(now + ADV * 4));
        step(&mut router, now.max(own), Event::Timeout);
        assert_eq!(router.phase(), Phase::Backup, "advert {adverts}");
    }
    router.hold(None);
    step(&mut router, at(10_000), Event::Timeout);
    assert!(router.is_active());
}

#[test]
fn a_member_that_heard_its_master_resign_waits_for_nobody() {
    let mut router = backup(settings(100));
    router.hold(Some(at(60_000)));
    step(&mut router, at(500), heard(12, 0));
    let skewed = at(500) + router.skew();
    assert_eq!(router.deadline(), Some(skewed));
    step(&mut router, skewed, Event::Timeout);
    assert!(router.is_active());
}

#[test]
fn a_member_without_a_timer_holds_nobody() {
    let (router, _) = active(settings(100));
    assert_eq!(router.down_at(), None);
    let mut router = backup(settings(100));
    step(&mut router, at(10), Event::Maintenance);
    assert_eq!(router.down_at(), None);
    assert_eq!(router.deadline(), None);
}
