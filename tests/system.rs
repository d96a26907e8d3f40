//! The whole system under faults: clients that know one address go on, and no
//! confirmed message is lost. Each scenario once, with wide bounds on time; the
//! figures are the benchmark's business (`cargo bench --bench failover`).

mod kit;
#[path = "system/scenario.rs"]
mod scenario;

use kit::peers;
use scenario::{Decider, Outcome, Proxies, SCENARIOS, SOAK, Scenario};

/// No client may be cut off for longer, ten times what is aimed at.
const LONGEST_GAP_MS: u64 = 15_000;

fn check(scenario: &Scenario, outcome: &Outcome) {
    let name = scenario.name;
    let text = &outcome.output;
    assert_eq!(outcome.books.len(), 2, "{name}: pika and java:\n{text}");
    for books in &outcome.books {
        assert!(books.confirmed > 0, "{name}: {books:?}\n{text}");
        assert_eq!(books.lost, 0, "{name}: {books:?}\n{text}");
        assert_eq!(books.unflagged, 0, "{name}: {books:?}\n{text}");
        assert!(books.gap_ms < LONGEST_GAP_MS, "{name}: {books:?}\n{text}");
    }
    assert!(outcome.good, "{name}:\n{text}");
}

fn by_name(name: &str) {
    let scenario = SCENARIOS.iter().find(|s| s.name == name);
    let scenario = scenario.expect("a scenario of this name");
    let outcome = scenario::run(scenario, Proxies::Ours, &kit::binary());
    check(scenario, &outcome);
    if scenario.actions.iter().all(|a| a.ends_with(":reload")) {
        let lost: u64 = outcome.books.iter().map(|b| b.sessions_lost).sum();
        assert_eq!(lost, 0, "no session ends:\n{}", outcome.output);
    }
}

macro_rules! scenarios {
    ($($test:ident $name:literal,)*) => {$(
        #[test]
        #[ignore = "needs root, pika, the Java client and RabbitMQ; tests/run installs them and runs this"]
        fn $test() {
            by_name($name);
        }
    )*};
}

#[test]
fn every_scenario_has_a_test() {
    let own = include_str!("system.rs");
    for scenario in SCENARIOS {
        let quoted = format!("\"{}\",\n", scenario.name);
        assert!(own.contains(&quoted), "{} has no test", scenario.name);
    }
}

#[test]
fn the_handbook_has_a_figure_of_every_scenario_that_a_proxy_decides() {
    let handbook = include_str!("../docs/failures.md");
    for scenario in SCENARIOS.iter().filter(|s| s.decider == Decider::Proxy) {
        let cell = format!("| `{}`: ", scenario.name);
        assert!(handbook.contains(&cell), "{}", scenario.name);
    }
}

scenarios! {
    clients_lose_nothing_when_nothing_happens "calm",
    clients_go_on_when_the_active_proxy_host_dies "proxy-host-dies",
    clients_go_on_when_the_balancer_dies "balancer-dies",
    clients_go_on_when_the_balancer_hangs "balancer-hangs",
    clients_go_on_when_the_vrrp_daemon_dies "vrrp-dies",
    clients_go_on_when_the_vrrp_daemon_hangs "vrrp-hangs",
    clients_go_on_when_the_active_host_s_link_is_cut_and_comes_back "link-cut",
    clients_go_on_through_a_partition_between_the_proxies_and_its_healing "partition",
    clients_go_on_when_both_proxy_hosts_die_in_turn "both-in-turn",
    sessions_survive_reloads "reload",
    a_planned_switch_loses_nothing "planned-switch",
    confirmed_messages_survive_a_killed_broker "broker-restarts",
    clients_go_on_when_a_rabbitmq_node_is_killed "rabbit-killed",
    clients_go_on_when_a_rabbitmq_node_hangs "rabbit-hung",
    clients_go_on_through_a_rolling_restart_of_rabbitmq "rabbit-rolling",
    clients_go_on_when_a_proxy_and_a_node_die_at_once "proxy-and-rabbit-at-once",
}

/// By hand: EVENKEEL_SOAK_SECONDS=7200 EVENKEEL_SEED=7 tests/run --test system a_random_soak
#[test]
#[ignore = "needs root, pika and the Java client; tests/run installs them and runs this"]
fn a_random_soak_loses_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seconds = number("EVENKEEL_SOAK_SECONDS").unwrap_or(120) as u32;
    let seed = number("EVENKEEL_SEED").unwrap_or(1);
    println!("EVENKEEL_SEED={seed} EVENKEEL_SOAK_SECONDS={seconds}");
    let soak = Scenario { seconds, ..SOAK };
    let actions = scenario::random_actions(seed, seconds);
    let outcome = scenario::run_with(&soak, &actions, Proxies::Ours, &kit::binary());
    check(&soak, &outcome);
}
