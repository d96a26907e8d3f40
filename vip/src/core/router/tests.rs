use super::super::advert::Heard;
use super::*;

mod cadence;
mod group;
mod leaving;
mod missing;

const ADV: Duration = Duration::from_secs(1);

fn at(ms: u64) -> Time {
    Time::new(Duration::from_millis(ms))
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, last])
}

fn settings(priority: u8) -> Settings {
    Settings {
        version: Version::V3,
        priority,
        interval: ADV,
        down_adverts: 3,
        preempt: true,
        preempt_delay: Duration::ZERO,
        address: v4(11),
        burst: 5,
        second_burst: Some(Duration::from_secs(5)),
        refresh: Some(ADV),
        refresh_in_pair: Some(Duration::from_secs(30)),
        refresh_burst: 1,
        lower_burst: 5,
        lower_second: Some(Duration::from_secs(5)),
        answer_lower: true,
        last_advert: true,
        grace: GRACE,
    }
}

fn heard(last: u8, priority: u8) -> Event {
    Event::Received(Heard {
        sender: v4(last),
        priority,
        interval: ADV,
        same_addresses: true,
    })
}

fn step(router: &mut Router, now: Time, event: Event) -> Vec<Action> {
    let mut out = Vec::new();
    router.step(now, event, &mut out);
    out
}

fn backup(settings: Settings) -> Router {
    let mut router = Router::new(settings);
    step(&mut router, at(0), Event::Startup);
    assert_eq!(router.phase(), Phase::Backup);
    router
}

/// A router that became active at its deadline, and when that was.
fn active(settings: Settings) -> (Router, Time) {
    let mut router = backup(settings);
    let now = router.deadline().expect("a backup has a deadline");
    step(&mut router, now, Event::Timeout);
    assert!(router.is_active());
    (router, now)
}

fn fit(priority: u8) -> Event {
    Event::Health(Health::Fit {
        priority,
        because: "script chk failed".to_owned(),
    })
}

fn adverts(actions: &[Action]) -> Vec<u8> {
    let sent = |a: &Action| match a {
        Action::Advertise { priority } => Some(*priority),
        _ => None,
    };
    actions.iter().filter_map(sent).collect()
}

// Point 23.

#[test]
fn a_router_starts_as_backup_for_its_master_down_interval() {
    let router = backup(settings(100));
    assert_eq!(
        router.deadline(),
        Some(at(0) + Duration::from_nanos(3_609_375_000))
    );
}

#[test]
fn the_owner_starts_active() {
    let mut router = Router::new(settings(255));
    let out = step(&mut router, at(0), Event::Startup);
    assert!(router.is_active());
    assert_eq!(adverts(&out), [255]);
}

// Point 24.

#[test]
fn takeover_comes_exactly_a_master_down_interval_after_the_last_advert() {
    let mut router = backup(settings(100));
    step(&mut router, at(500), heard(12, 110));
    let due = at(500) + Duration::from_nanos(3_609_375_000);
    assert_eq!(router.deadline(), Some(due));
    let early = Time::new(due.since_start() - Duration::from_nanos(1));
    assert_eq!(step(&mut router, early, Event::Timeout), []);
    let out = step(&mut router, due, Event::Timeout);
    assert_eq!(out[0], Action::Advertise { priority: 100 });
    assert_eq!(out[1], Action::AddAddresses);
    assert_eq!(out[2], Action::Announce { repeat: 5 });
}

#[test]
fn v2_skew_is_a_fraction_of_a_second_and_v3_skew_of_the_interval() {
    let interval = Duration::from_secs(4);
    let v3 = backup(Settings {
        interval,
        ..settings(128)
    });
    assert_eq!(v3.skew(), Duration::from_secs(2));
    let v2 = backup(Settings {
        interval,
        version: Version::V2,
        ..settings(128)
    });
    assert_eq!(v2.skew(), Duration::from_millis(500));
    assert_eq!(v2.master_down_interval(), Duration::from_millis(12_500));
}

// Point 25.

#[test]
fn priority_zero_makes_a_backup_wait_its_skew_time() {
    let mut router = backup(settings(100));
    step(&mut router, at(500), heard(12, 0));
    assert_eq!(router.deadline(), Some(at(500) + router.skew()));
}

#[test]
fn the_only_backup_of_a_pair_takes_over_on_priority_zero_at_once() {
    let mut router = backup(settings(100));
    let view = PeerView {
        address: v4(12),
        priority: 110,
        active: true,
        sole: true,
        waiting: false,
    };
    step(&mut router, at(100), Event::Peer(Some(view)));
    let out = step(&mut router, at(500), heard(12, 0));
    assert!(router.is_active());
    assert_eq!(adverts(&out), [100]);
}

// Points 26 and 27.

#[test]
fn a_preempting_backup_ignores_a_worse_master() {
    let mut router = backup(settings(100));
    let before = router.deadline();
    step(&mut router, at(500), heard(12, 90));
    assert_eq!(router.deadline(), before);
}

#[test]
fn without_preempt_a_worse_master_is_followed() {
    let mut router = backup(Settings {
        preempt: false,
        ..settings(100)
    });
    step(&mut router, at(500), heard(12, 90));
    assert_eq!(
        router.deadline(),
        Some(at(500) + router.master_down_interval())
    );
}

#[test]
fn an_equal_or_better_master_is_followed_and_its_interval_learnt_first() {
    for priority in [100, 110] {
        let mut router = backup(settings(100));
        let event = Event::Received(Heard {
            sender: v4(12),
            priority,
            interval: Duration::from_millis(100),
            same_addresses: true,
        });
        step(&mut router, at(500), event);
        let down =
            Duration::from_millis(300) + Duration::from_micros(60_937) + Duration::from_nanos(500);
        assert_eq!(router.deadline(), Some(at(500) + down));
    }
}

#[test]
fn a_worse_master_is_left_alone_for_the_preempt_delay() {
    let mut router = backup(Settings {
        preempt_delay: Duration::from_secs(10),
        ..settings(100)
    });
    for second in 1..=10 {
        step(&mut router, at(second * 1000), heard(12, 90));
        assert_eq!(router.phase(), Phase::Backup);
    }
    let deadline = router.deadline();
    step(&mut router, at(11_000), heard(12, 90));
    assert_eq!(
        router.deadline(),
        deadline,
        "the delay is over: ignored from now on"
    );
}

#[test]
fn who_recovers_leaves_a_living_master_alone_that_may_recover_as_well() {
    let settle = Duration::from_millis(2500);
    // the master recovers in time: nothing moves
    let mut router = backup(settings(250));
    step(&mut router, at(900), Event::Settle(settle));
    step(&mut router, at(900), fit(250));
    for (ms, priority) in [(1000, 154), (2000, 154), (3000, 254), (4000, 254)] {
        step(&mut router, at(ms), heard(12, priority));
        let due = at(ms) + router.master_down_interval();
        assert_eq!(router.deadline(), Some(due), "at {ms} ms");
    }
    // it does not: it is ignored from then on
    let mut router = backup(settings(250));
    step(&mut router, at(900), Event::Settle(settle));
    step(&mut router, at(3000), heard(12, 154));
    let due = router.deadline();
    step(&mut router, at(4000), heard(12, 154));
    assert_eq!(router.deadline(), due);
}

// Point 28.

#[test]
fn an_active_router_yields_to_a_better_one_with_one_last_advert() {
    let (mut router, now) = active(settings(100));
    let out = step(&mut router, now + ADV / 2, heard(12, 110));
    assert_eq!(
        adverts(&out),
        [100],
        "the last advert makes the winner announce again"
    );
    assert_eq!(router.phase(), Phase::Backup);
    let end = now + ADV / 2 + GRACE;
    let out = step(&mut router, end, Event::Timeout);
    assert_eq!(out, [Action::EndConnections, Action::RemoveAddresses]);
    assert_eq!(
        router.deadline(),
        Some(now + ADV / 2 + router.master_down_interval())
    );
}

// Point 29.

#[test]
fn between_equals_the_greater_address_wins_as_an_unsigned_number() {
    let mut greater = settings(100);
    greater.address = IpAddr::from([9, 255, 255, 255]);
    let (mut router, now) = active(greater);
    let out = step(&mut router, now, heard(1, 100));
    assert_eq!(
        router.phase(),
        Phase::Backup,
        "10.x is greater than 9.x: {out:?}"
    );
    let (mut router, now) = active(settings(100));
    step(&mut router, now, heard(10, 100));
    assert!(router.is_active(), ".10 is smaller than .11");
    step(&mut router, now, heard(200, 100));
    assert_eq!(
        router.phase(),
        Phase::Backup,
        "200 does not count as negative"
    );
}

// Points 30 and 31.

#[test]
fn an_active_router_answers_priority_zero_and_worse_routers_at_once() {
    for priority in [0, 90] {
        let (mut router, now) = active(settings(100));
        let later = now + ADV + ADV / 2;
        step(&mut router, now + ADV, Event::Timeout);
        let out = step(&mut router, later, heard(12, priority));
        assert_eq!(adverts(&out), [100]);
        assert!(router.is_active());
    }
}

#[test]
fn answers_are_limited_to_one_per_interval_whatever_arrives() {
    let (mut router, now) = active(settings(100));
    step(&mut router, now + ADV, Event::Timeout);
    let mut sent = Vec::new();
    for i in 0..300 {
        sent.extend(step(&mut router, now + ADV + ADV * i / 300, heard(12, 90)));
    }
    assert_eq!(adverts(&sent).len(), 1);
    let bursts = sent.iter().filter(|a| matches!(a, Action::Announce { .. }));
    assert_eq!(bursts.count(), 1);
    let owed = step(&mut router, now + ADV * 2, Event::Timeout);
    let burst = Action::Announce { repeat: 5 };
    assert!(owed.contains(&burst), "the last word is ours: {owed:?}");
}

// Point 44, for valid packets; invalid ones cannot become an event.

#[test]
fn no_worse_advert_moves_the_next_own_advert() {
    let (mut router, now) = active(settings(100));
    for i in 1..10 {
        step(&mut router, now + ADV * i / 10, heard(12, 90));
        step(&mut router, now + ADV * i / 10, heard(12, 0));
    }
    let out = step(&mut router, now + ADV, Event::Timeout);
    assert_eq!(adverts(&out), [100]);
}

// Point 6.

#[test]
fn adverts_keep_their_phase_when_the_process_wakes_late() {
    let (mut router, now) = active(Settings {
        refresh: None,
        second_burst: None,
        ..settings(100)
    });
    step(&mut router, now + ADV + ADV / 4, Event::Timeout);
    assert_eq!(router.deadline(), Some(now + ADV * 2));
}

// Point 20.

#[test]
fn the_owner_ignores_adverts_and_reports_a_second_owner() {
    let mut router = Router::new(settings(255));
    step(&mut router, at(0), Event::Startup);
    let out = step(&mut router, at(100), heard(12, 255));
    assert!(router.is_active());
    assert!(out.contains(&Action::Report(Evidence::SecondOwner { by: v4(12) })));
}

// Point 34, hang, split brain.

#[test]
fn an_address_that_others_deleted_comes_back() {
    let (mut router, now) = active(settings(100));
    let out = step(&mut router, now + ADV, Event::AddressDeleted);
    assert!(out.contains(&Action::AddAddresses));
}

#[test]
fn a_router_that_slept_through_its_own_funeral_gives_the_addresses_up_first() {
    let (mut router, now) = active(settings(110));
    let late = now + Duration::from_secs(10);
    assert!(router.overslept(late));
    let out = step(&mut router, late, heard(12, 100));
    assert_eq!(out[0], Action::RemoveAddresses);
    assert!(adverts(&out).is_empty());
    assert!(router.deadline().is_some_and(|d| d - late <= ADV * 2));
}

#[test]
fn a_router_that_slept_while_nobody_took_over_goes_on() {
    let (mut router, now) = active(settings(110));
    let late = now + Duration::from_secs(10);
    let out = step(&mut router, late, Event::Timeout);
    assert!(!out.contains(&Action::RemoveAddresses));
    assert_eq!(adverts(&out), [110]);
    assert!(router.is_active() && !router.overslept(late));
}

#[test]
fn a_better_router_that_took_over_from_a_sleeper_is_followed() {
    let (mut router, now) = active(settings(110));
    let late = now + Duration::from_secs(10);
    step(&mut router, late, heard(12, 120));
    let down = router.master_down_interval();
    assert_eq!(router.deadline(), Some(late + down));
}

#[test]
fn a_router_whose_orders_took_long_goes_on_with_a_late_advert() {
    let (mut router, now) = active(settings(110));
    let long = Duration::from_secs(10);
    router.held_up(long);
    let out = step(&mut router, now + long + ADV, Event::Timeout);
    assert_eq!(adverts(&out), [110]);
    assert!(router.is_active());
}

#[test]
fn a_worse_or_foreign_claim_is_reported_and_answered_with_an_announcement() {
    let (mut router, now) = active(settings(110));
    let claim = Event::ForeignClaim {
        address: v4(50),
        mac: [2, 0, 0, 0, 0, 1],
    };
    // the one before may still have announced
    let mut new = backup(settings(110));
    let since = new.deadline().expect("a timer");
    step(&mut new, since, heard(12, 100));
    step(&mut new, since, Event::Timeout);
    let out = step(&mut new, since + ADV / 2, claim.clone());
    assert!(!out.iter().any(|a| matches!(a, Action::Report(_))));
    assert!(out.contains(&Action::Announce { repeat: 5 }));
    let out = step(&mut router, now + ADV, claim);
    assert!(matches!(
        out[0],
        Action::Report(Evidence::ForeignClaim { .. })
    ));
    assert!(out.contains(&Action::Announce { repeat: 5 }));
}

#[test]
fn a_dead_peer_is_replaced_at_once_if_it_was_the_master() {
    let mut router = backup(settings(100));
    step(&mut router, at(100), Event::PeerDead(v4(12)));
    assert_eq!(router.phase(), Phase::Backup, "it was not the master");
    step(&mut router, at(500), heard(12, 110));
    let out = step(&mut router, at(800), Event::PeerDead(v4(12)));
    assert!(router.is_active());
    assert_eq!(adverts(&out), [100]);
}

// Point 35 and the refresh.

#[test]
fn announcements_come_at_once_again_after_five_seconds_and_one_each_second() {
    let (mut router, start) = active(settings(100));
    let mut repeats = Vec::new();
    for _ in 0..12 {
        let now = router.deadline().expect("active");
        for action in step(&mut router, now, Event::Timeout) {
            if let Action::Announce { repeat } = action {
                repeats.push(((now - start).as_secs(), repeat));
            }
        }
    }
    // the early one corrects who asked the host before in its last moments
    let each_second = (1..12).map(|s| (s, if s == 5 { 5 } else { 1 }));
    let expected: Vec<(u64, u32)> = [(0, 1)].into_iter().chain(each_second).collect();
    assert_eq!(repeats, expected);
}

#[test]
fn beside_one_of_ours_the_refresh_is_slow_even_after_it_fell_silent() {
    let mut router = backup(Settings {
        second_burst: None,
        ..settings(100)
    });
    let view = PeerView {
        address: v4(12),
        priority: 110,
        active: false,
        sole: true,
        waiting: false,
    };
    step(&mut router, at(10), Event::Peer(Some(view)));
    step(&mut router, at(20), Event::Peer(None));
    let start = router.deadline().expect("a backup has a deadline");
    step(&mut router, start, Event::Timeout);
    let mut refreshed = Vec::new();
    for second in 1..=61 {
        let now = start + ADV * second;
        let out = step(&mut router, now, Event::Timeout);
        if out.contains(&Action::Announce { repeat: 1 }) {
            refreshed.push(second);
        }
    }
    assert_eq!(refreshed, [1, 30, 60], "the first one is early");
}

#[test]
fn the_loser_of_a_healed_partition_reports_it_and_an_ordinary_fail_back_is_no_news() {
    for (waiting, reports) in [(false, 1), (true, 0)] {
        let (mut router, now) = active(settings(100));
        let view = PeerView {
            address: v4(12),
            priority: 110,
            active: false,
            sole: true,
            waiting,
        };
        step(&mut router, now, Event::Peer(Some(view)));
        let out = step(&mut router, now + ADV * 2, heard(12, 110));
        let rival = |a: &&Action| matches!(a, Action::Report(Evidence::Rival { .. }));
        assert_eq!(out.iter().filter(rival).count(), reports);
    }
}

#[test]
fn a_preempting_router_has_its_addresses_before_the_living_master_lets_go() {
    let mut router = backup(settings(110));
    let down = at(0) + router.master_down_interval();
    for second in 0..4 {
        step(&mut router, at(0) + ADV * second, heard(12, 100));
    }
    let out = step(&mut router, down, Event::Timeout);
    let add = out.iter().position(|a| *a == Action::AddAddresses);
    let advert = out
        .iter()
        .position(|a| matches!(a, Action::Advertise { .. }));
    assert!(add < advert, "{out:?}");
    assert!(
        out.iter().any(|a| matches!(
            a,
            Action::Changed {
                cause: Cause::Better {
                    priority: 100,
                    own: 110,
                    ..
                },
                ..
            }
        )),
        "{out:?}"
    );
}

#[test]
fn a_second_answer_follows_a_worse_advert_after_its_delay() {
    let (mut router, now) = active(Settings {
        second_burst: None,
        refresh: None,
        lower_burst: 3,
        lower_second: Some(ADV * 2),
        ..settings(100)
    });
    let heard_at = now + ADV / 2;
    let out = step(&mut router, heard_at, heard(12, 90));
    assert!(out.contains(&Action::Announce { repeat: 3 }));
    let quiet = step(&mut router, heard_at + ADV, Event::Timeout);
    assert!(
        !quiet.contains(&Action::Announce { repeat: 3 }),
        "{quiet:?}"
    );
    let second = step(&mut router, heard_at + ADV * 2, Event::Timeout);
    assert!(
        second.contains(&Action::Announce { repeat: 3 }),
        "{second:?}"
    );
}

#[test]
fn a_backup_waits_on_while_a_witness_tells_of_its_master() {
    let mut router = backup(settings(100));
    step(&mut router, at(100), heard(12, 110));
    let down = router.master_down_interval();
    let told = |by, priority| Event::Witnessed { by, priority };
    step(&mut router, at(2000), told(v4(12), 110));
    assert_eq!(router.deadline(), Some(at(2000) + down));
    // another host, or a master that is worse by now, is no reason to wait
    step(&mut router, at(3000), told(v4(13), 110));
    step(&mut router, at(3000), told(v4(12), 90));
    assert_eq!(router.deadline(), Some(at(2000) + down));
    let out = step(&mut router, at(2000) + down, Event::Timeout);
    assert_eq!(adverts(&out), [100]);
    step(&mut router, at(9000), told(v4(12), 110));
    assert!(
        router.is_active(),
        "an active router yields to adverts only"
    );
}
