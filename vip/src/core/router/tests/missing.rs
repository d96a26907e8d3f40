//! A master whose adverts do not arrive, and a master whose clients know another link-layer
//! address.

use super::*;

fn serves(last: u8, priority: u8) -> Event {
    Event::Serves {
        by: v4(last),
        priority,
    }
}

/// A backup (priority 100) that heard its master's last advert at zero, and when it would take over.
fn follower() -> (Router, Time) {
    let mut router = backup(settings(100));
    step(&mut router, at(0), heard(12, 110));
    let down_at = router.deadline().expect("a backup has a deadline");
    (router, down_at)
}

#[test]
fn heartbeats_of_a_master_count_only_once_its_adverts_are_missed() {
    let (mut router, down_at) = follower();
    let early = at(2000);
    assert!(!router.misses(early, v4(12)));
    assert_eq!(step(&mut router, early, serves(12, 110)), []);
    assert_eq!(router.deadline(), Some(down_at), "nothing moved");
    let late = at(3000);
    let report = Action::Report(Evidence::AdvertsMissing { by: v4(12) });
    assert_eq!(step(&mut router, late, serves(12, 110)), [report]);
    assert_eq!(router.deadline(), Some(late + ADV * 2));
    step(&mut router, late + ADV * 2, Event::Timeout);
    assert!(router.is_active(), "it said so no more");
}

#[test]
fn heartbeats_of_others_or_of_a_worse_master_hold_nobody_back() {
    for said in [serves(13, 110), serves(12, 90)] {
        let (mut router, down_at) = follower();
        step(&mut router, at(3000), said);
        assert_eq!(router.deadline(), Some(down_at));
    }
    let (mut router, _) = follower();
    step(&mut router, at(3000), heard(12, 0));
    let down_at = router.deadline();
    step(&mut router, at(3001), serves(12, 110));
    assert_eq!(router.deadline(), down_at, "it resigned");
}

#[test]
fn clients_are_told_of_another_link_layer_address_at_once_and_with_the_next_adverts() {
    let (mut router, now) = active(settings(100));
    let told = step(&mut router, now, Event::Readdressed);
    assert_eq!(told, [Action::Announce { repeat: 5 }]);
    let next = now + ADV;
    let actions = step(&mut router, next, Event::Timeout);
    assert!(actions.contains(&Action::Announce { repeat: 1 }));
    let mut router = backup(settings(100));
    assert_eq!(step(&mut router, at(1), Event::Readdressed), []);
}
