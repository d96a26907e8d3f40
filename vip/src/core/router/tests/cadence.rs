//! When adverts leave, and announcements with them.

use super::*;

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
