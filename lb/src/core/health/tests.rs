use super::*;

fn passed() -> Outcome {
    Outcome::new(CheckStatus::L4Ok, Duration::from_millis(1))
}

fn failed() -> Outcome {
    Outcome::new(CheckStatus::L4Connection, Duration::ZERO)
}

fn conditional() -> Outcome {
    Outcome {
        code: 404,
        ..Outcome::new(CheckStatus::L7OkConditional, Duration::ZERO)
    }
}

#[test]
fn the_first_failure_at_start_takes_a_server_down() {
    let mut health = Health::new(2, 3, InitState::Up);
    assert!(health.is_up());
    let recorded = health.record(&failed());
    assert_eq!(recorded.verdict, Verdict::Stop);
    assert_eq!((health.value(), health.fraction()), (0, (0, 2)));
}

#[test]
fn a_check_begins_anew_behind_a_maintenance() {
    let mut health = Health::new(2, 3, InitState::Up);
    health.record(&passed());
    health.rest();
    assert_eq!((health.value(), health.state_bits()), (0, 14));
    health.wake();
    assert_eq!((health.fraction(), health.state_bits()), ((1, 3), 6));
    assert_eq!(health.record(&failed()).verdict, Verdict::Stop);
    let mut careful = Health::new(2, 3, InitState::Down);
    careful.rest();
    careful.wake();
    assert!(!careful.is_up());
}

#[test]
fn a_check_that_is_switched_off_stays_so_behind_a_maintenance() {
    let mut health = Health::new(2, 3, InitState::Up);
    health.enabled = false;
    health.rest();
    assert_eq!(health.state_bits(), 2);
    health.wake();
    assert_eq!(health.value(), 0);
}

#[test]
fn the_first_success_at_start_fills_the_counter() {
    let mut health = Health::new(2, 3, InitState::Up);
    assert_eq!(health.record(&passed()).verdict, Verdict::Run);
    assert_eq!((health.value(), health.fraction()), (4, (3, 3)));
}

#[test]
fn fall_failures_in_a_row_take_a_full_server_down() {
    let mut health = Health::new(2, 3, InitState::FullyUp);
    assert_eq!(health.record(&failed()).verdict, Verdict::Wait);
    assert_eq!(health.fraction(), (2, 3));
    assert_eq!(health.record(&failed()).verdict, Verdict::Wait);
    assert_eq!(health.fraction(), (1, 3));
    assert_eq!(health.record(&failed()).verdict, Verdict::Stop);
    assert_eq!(health.value(), 0);
}

#[test]
fn one_success_forgets_the_failures_before_it() {
    let mut health = Health::new(2, 3, InitState::FullyUp);
    health.record(&failed());
    health.record(&failed());
    health.record(&passed());
    assert_eq!(health.fraction(), (3, 3));
}

#[test]
fn rise_successes_in_a_row_bring_a_server_up() {
    let mut health = Health::new(2, 3, InitState::FullyDown);
    assert_eq!(health.record(&passed()).verdict, Verdict::Wait);
    assert_eq!(health.fraction(), (1, 2));
    assert_eq!(health.record(&passed()).verdict, Verdict::Run);
    assert_eq!(health.value(), 4);
}

#[test]
fn one_failure_forgets_the_successes_before_it() {
    let mut health = Health::new(3, 3, InitState::FullyDown);
    health.record(&passed());
    health.record(&passed());
    let recorded = health.record(&failed());
    assert_eq!(recorded.verdict, Verdict::Stop);
    assert_eq!(health.fraction(), (0, 3));
}

#[test]
fn a_failure_at_the_bottom_is_not_counted_again() {
    let mut health = Health::new(2, 3, InitState::FullyDown);
    health.record(&failed());
    let recorded = health.record(&failed());
    assert!(!recorded.counts_as_failure && !recorded.changed);
}

#[test]
fn another_reason_is_a_change_even_when_the_counter_stays() {
    let mut health = Health::new(2, 3, InitState::FullyDown);
    health.record(&failed());
    let timeout = Outcome::new(CheckStatus::L4Timeout, Duration::from_secs(1));
    assert!(health.record(&timeout).changed);
}

#[test]
fn init_states_differ_in_what_is_left() {
    let value = |start| Health::new(2, 3, start).value();
    assert_eq!(value(InitState::FullyDown), 0);
    assert_eq!(value(InitState::Down), 1);
    assert_eq!(value(InitState::Up), 2);
    assert_eq!(value(InitState::FullyUp), 4);
}

#[test]
fn a_conditional_pass_drains_a_server_that_is_up() {
    let mut health = Health::new(2, 3, InitState::FullyUp);
    assert_eq!(health.record(&conditional()).verdict, Verdict::Drain);
    let mut down = Health::new(2, 3, InitState::FullyDown);
    assert_eq!(down.record(&conditional()).verdict, Verdict::Wait);
    assert_eq!(down.record(&conditional()).verdict, Verdict::Drain);
}

#[test]
fn an_agent_that_cannot_be_reached_takes_nothing_down() {
    let mut agent = Health::agent(1, 1);
    let recorded = agent.record(&failed());
    assert_eq!((recorded.verdict, agent.is_up()), (Verdict::Wait, true));
    let down = Outcome::new(CheckStatus::L7Status, Duration::ZERO);
    assert_eq!(agent.record(&down).verdict, Verdict::Stop);
}

#[test]
fn observed_errors_are_as_severe_as_asked() {
    let seen = Outcome {
        duration: None,
        ..Outcome::new(CheckStatus::Analysis, Duration::ZERO)
    };
    let after = |mode| {
        let mut health = Health::new(2, 5, InitState::FullyUp);
        let recorded = health.record_observed(mode, &seen);
        (health.value(), recorded.verdict)
    };
    assert_eq!(after(OnError::Fastinter), (6, Verdict::Wait));
    assert_eq!(after(OnError::FailCheck), (5, Verdict::Wait));
    assert_eq!(after(OnError::SuddenDeath), (2, Verdict::Wait));
    assert_eq!(after(OnError::MarkDown), (0, Verdict::Stop));
}

#[test]
fn the_interval_follows_the_counter() {
    let second = Duration::from_secs(1);
    let intervals = Intervals {
        inter: 5 * second,
        fast: Some(second),
        down: Some(10 * second),
    };
    assert_eq!(intervals.shortest(), second);
    let mut health = Health::new(2, 2, InitState::FullyUp);
    assert_eq!(intervals.current(&health, false), 5 * second);
    health.record(&failed());
    assert_eq!(intervals.current(&health, false), second);
    health.record(&failed());
    assert_eq!(intervals.current(&health, true), 10 * second);
    assert_eq!(intervals.current(&health, false), second);
}

#[test]
fn first_checks_are_spread_over_the_interval() {
    let five = Duration::from_secs(5);
    let at = |position| first_check_after(position, 5, five, five, None);
    assert_eq!(at(0), Duration::ZERO);
    assert_eq!(at(3), Duration::from_secs(3));
    let limited = first_check_after(4, 5, five, five, Some(Duration::from_secs(1)));
    assert_eq!(limited, Duration::from_millis(800));
}

#[test]
fn spread_checks_moves_an_interval_both_ways() {
    let ten = Duration::from_secs(10);
    assert_eq!(spread(ten, 50, 0.0), Duration::from_secs(15));
    assert_eq!(spread(ten, 50, 1.0), Duration::from_secs(5));
    assert_eq!(spread(ten, 0, 0.3), ten);
}

#[test]
fn carrying_over_keeps_the_failures_left() {
    let mut old = Health::new(2, 3, InitState::FullyUp);
    old.record(&failed());
    let mut new = Health::new(2, 3, InitState::Up);
    new.carry_over(&old);
    assert_eq!(new.fraction(), (2, 3));
    assert_eq!(new.status(), CheckStatus::L4Connection);
}

#[test]
fn carrying_over_a_down_server_leaves_it_down() {
    let old = Health::new(2, 3, InitState::FullyDown);
    let mut new = Health::new(1, 1, InitState::Up);
    new.carry_over(&old);
    assert!(!new.is_up());
}

#[test]
fn a_reason_reads_as_operators_know_it() {
    let mut health = Health::new(2, 3, InitState::Up);
    health.record(&Outcome {
        status: CheckStatus::L7Status,
        code: 503,
        description: "Service Unavailable".into(),
        duration: Some(Duration::from_millis(2)),
    });
    let expected = ", reason: Layer7 wrong status, code: 503, \
                    info: \"Service Unavailable\", check duration: 2ms";
    assert_eq!(health.reason(), expected);
}

#[test]
fn numbers_are_those_of_the_state_file() {
    assert_eq!(
        (CheckStatus::L4Ok.number(), CheckResult::Passed as u8),
        (6, 3)
    );
    assert_eq!(
        (
            CheckStatus::L4Connection.number(),
            CheckResult::Failed as u8
        ),
        (8, 2)
    );
    assert_eq!(Health::new(2, 3, InitState::Up).state_bits(), 6);
}
