//! The kit does what the other tests rely on.

mod kit;

use kit::vrrp::{Attempt, longest_outage};
use std::time::{Duration, Instant};

#[test]
fn an_unknown_command_names_the_nearest_and_exits_64() {
    let (status, _, stderr) = kit::evenkeel(&["brokr"]);
    assert_eq!(status, 64);
    assert!(stderr.contains("did you mean `broker`?"), "{stderr}");
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn hosts_on_a_bridge_reach_each_other_until_a_port_is_cut() {
    kit::sandboxed(|| {
        let mut lab = kit::Lab::new();
        let a = lab.host("a", &["10.77.0.1/24", "fd77::1/64"]);
        let b = lab.host("b", &["10.77.0.2/24", "fd77::2/64"]);
        let ping = |address: &str| {
            let status = a
                .command_inside("ping")
                .args(["-c1", "-W1", "-q", address])
                .output();
            status.expect("ping runs").status.success()
        };
        kit::wait_until("a reaches b", Duration::from_secs(5), || ping("10.77.0.2"));
        kit::wait_until("also by IPv6", Duration::from_secs(5), || ping("fd77::2"));
        assert_eq!(b.run("hostname", &[]).trim(), "b");
        lab.cut(&b, true);
        assert!(!ping("10.77.0.2"));
        lab.cut(&b, false);
        kit::wait_until("a reaches b again", Duration::from_secs(5), || {
            ping("10.77.0.2")
        });
    });
}

#[test]
fn an_outage_leaves_out_the_time_in_which_the_client_could_not_try() {
    let since = Instant::now();
    let at = |ms| since + Duration::from_millis(ms);
    let attempt = |began, ended, answer| Attempt {
        began: at(began),
        ended: at(ended),
        answer,
    };
    let good = Some(b'A');
    // not scheduled from 10 to 500, then one attempt that failed for 300
    let attempts = [
        attempt(5, 10, good),
        attempt(500, 800, None),
        attempt(805, 810, good),
        attempt(815, 820, good),
    ];
    let outage = longest_outage(since, &attempts);
    assert_eq!(outage, Duration::from_millis(310));
    // an attempt that was under way all the time is an outage, however late it ends
    let waited = [attempt(5, 10, good), attempt(15, 615, good)];
    assert_eq!(longest_outage(since, &waited), Duration::from_millis(605));
}
