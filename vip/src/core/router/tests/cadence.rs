//! When adverts leave, and announcements with them.

use super::*;

#[test]
fn a_contested_address_is_announced_with_the_next_adverts_too() {
    let (mut router, now) = active(Settings {
        refresh: None,
        second_burst: None,
        lower_second: None,
        ..settings(100)
    });
    step(&mut router, now + ADV, Event::Timeout);
    let contested = now + ADV + ADV / 2;
    assert!(announces(&step(&mut router, contested, heard(12, 90)), 5));
    for i in 2..=5 {
        let out = step(&mut router, now + ADV * i, Event::Timeout);
        assert!(announces(&out, 1), "advert {i}: {out:?}");
    }
    let out = step(&mut router, now + ADV * 6, Event::Timeout);
    assert_eq!(out.len(), 1, "a rival would have stood again: {out:?}");
}

fn announces(actions: &[Action], repeat: u32) -> bool {
    actions.contains(&Action::Announce { repeat })
}

#[test]
fn a_beat_is_a_timeout_that_only_sends_an_advert() {
    let (mut router, now) = active(Settings {
        refresh: Some(ADV * 5),
        ..settings(100)
    });
    step(&mut router, now + ADV / 2, heard(12, 90));
    let (mut beats, mut turns) = (0, 0);
    for ms in (0..20_000).step_by(50) {
        let now = now + ADV / 2 + Duration::from_millis(ms);
        let (mut whole, before) = (router.clone(), format!("{router:?}"));
        let out = step(&mut whole, now, Event::Timeout);
        match router.beat(now) {
            Some(priority) => {
                assert_eq!(out, [Action::Advertise { priority }]);
                beats += 1;
            }
            None => {
                assert_eq!(format!("{router:?}"), before);
                turns += usize::from(!out.is_empty());
                router = whole.clone();
            }
        }
        assert_eq!(format!("{router:?}"), format!("{whole:?}"));
    }
    assert!(beats > 0 && turns > 0, "{beats} beats, {turns} turns");
}

#[test]
fn a_router_says_how_late_it_is_once_others_may_notice() {
    let router = backup(settings(100));
    let due = router.deadline().expect("a timer");
    let after = |ms| due + Duration::from_millis(ms);
    assert_eq!(router.lateness(after(0)), None);
    assert_eq!(router.lateness(after(2000)), None, "two intervals");
    let late = Some(Duration::from_millis(2001));
    assert_eq!(router.lateness(after(2001)), late);
    let (mut router, now) = active(settings(100));
    let due = now + ADV;
    assert_eq!(router.lateness(due + ADV), None);
    assert_eq!(router.lateness(due + ADV * 3), Some(ADV * 3));
    step(&mut router, due + ADV * 3, Event::Timeout);
    assert_eq!(router.lateness(due + ADV * 3), None, "told once");
}

#[test]
fn a_virtual_link_layer_address_is_announced_again_before_a_client_misses_it() {
    let (mut router, start) = active(Settings {
        grace: Duration::ZERO,
        refresh: Some(ADV * 30),
        second_burst: None,
        ..settings(100)
    });
    let mut told = Vec::new();
    while told.len() < 4 {
        let now = router.deadline().expect("active");
        if announces(&step(&mut router, now, Event::Timeout), 1) {
            told.push((now - start).as_millis());
        }
    }
    assert_eq!(told, [10, 100, 30_000, 60_000]);
}
