//! Ours beside keepalived in both roles when things break: the proxy is killed,
//! strangers send wrong adverts, the daemon hangs, the daemon is killed. For each
//! version, family, way of sending, and with virtual MACs.

mod kit;

use kit::pair::*;
use kit::stage::FROM_OTHER;
use kit::vrrp::{Injector, mend, v3};
use kit::wait_until;
use nix::sys::signal::{Signal, kill};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

fn proxy(site: &Site) -> Child {
    let process = Command::new("/bin/sleep")
        .arg("600")
        .spawn()
        .expect("sleep runs");
    std::fs::write(site.path("proxy.pid"), process.id().to_string()).expect("writable");
    process
}

/// A check of the host's own proxy. keepalived has no shell for its scripts, so it is a file;
/// ours is asked in the tutorials' line, which it watches instead of polling.
fn check(site: &Site) -> String {
    let pid = site.path("proxy.pid").display().to_string();
    let file = site.path("check.sh");
    std::fs::write(&file, format!("#!/bin/sh\nkill -0 $(cat {pid})\n")).expect("writable");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&file, executable).expect("own file");
    let line = match site.kind {
        Ours => format!("/bin/kill -0 $(cat {pid})"),
        Keepalived => file.display().to_string(),
    };
    format!(
        "vrrp_script chk {{\n script \"{line}\"\n interval 1\n fall 1\n rise 1\n weight -20\n}}\n"
    )
}

fn killed_proxy(pair: &Pair, running: &mut Child) {
    let since = Instant::now();
    running.kill().expect("own child");
    running.wait().expect("own child");
    pair.client.wait_answer(since, b'B', LIMIT);
    pair.holder("B");
    *running = proxy(&pair.a);
    pair.settled_on_a();
}

/// Adverts with a wrong checksum, faster than the master's own: it must not fall silent.
fn wrong_adverts(pair: &Pair) {
    let injector = Injector::new(&pair.c);
    let mut wrong = v3(51, 200, 10, &[Ipv4Addr::new(10, 77, 0, 50)]);
    wrong[7] ^= 1;
    let mut other_type = v3(51, 200, 10, &[Ipv4Addr::new(10, 77, 0, 50)]);
    other_type[0] = 0x32;
    let other_type = mend(other_type);
    pair.sniffer.clear();
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        injector.send(FROM_OTHER, &wrong);
        injector.send(FROM_OTHER, &other_type);
        std::thread::sleep(Duration::from_millis(40));
    }
    let own = Ipv4Addr::new(10, 77, 0, 11).into();
    let adverts = pair.sniffer.adverts_of(own).len();
    assert!(adverts >= 8, "{adverts} adverts in 2 s of wrong packets");
    assert!(pair.a.holds(pair.address) && !pair.b.holds(pair.address));
}

/// Frozen or killed as a whole: B takes over, and ours lets the address go by its lease.
fn frozen(pair: &mut Pair, for_good: bool) {
    let since = Instant::now();
    let pids = freeze(&pair.a, for_good);
    wait_until("B holds the address", LIMIT, || pair.b.holds(pair.address));
    if pair.a.kind == Ours {
        wait_until("A holds it no more", LIMIT, || !pair.a.holds(pair.address));
        pair.client.wait_answer(since, b'B', LIMIT);
    }
    if !for_good {
        for pid in pids {
            let _ = kill(pid, Signal::SIGCONT);
        }
        return pair.settled_on_a();
    }
    pair.a.daemon = None;
    // keepalived takes a killed process that nobody reaped for a running one
    for file in ["run-m.pid", "run-v.pid"] {
        let _ = std::fs::remove_file(pair.a.path(file));
    }
    pair.a.start();
    pair.settled_on_a();
}

fn breakages(kinds: (Kind, Kind), flavour: Flavour) {
    kit::sandboxed(|| {
        let mut pair = Pair::quiet(kinds, flavour);
        let mut proxies = (proxy(&pair.a), proxy(&pair.b));
        let tracked = " track_script {\n chk\n }\n";
        pair.a.configure(flavour, &check(&pair.a), tracked);
        pair.b.configure(flavour, &check(&pair.b), tracked);
        pair.a.start();
        pair.b.start();
        pair.settled_on_a();
        killed_proxy(&pair, &mut proxies.0);
        // the observer hears multicast only, and writes IPv4
        if kinds.0 == Ours && flavour.version == 3 && !flavour.v6 && !flavour.unicast {
            wrong_adverts(&pair);
        }
        frozen(&mut pair, false);
        frozen(&mut pair, true);
        pair.a.stop();
        pair.holder("B");
        let _ = (proxies.0.kill(), proxies.0.wait());
        let _ = (proxies.1.kill(), proxies.1.wait());
    });
}

macro_rules! pairs {
    ($($name:ident: $kinds:expr, $flavour:expr;)*) => {
        $(
            #[test]
            #[ignore = "needs root and keepalived; tests/run installs it and runs this"]
            fn $name() {
                breakages($kinds, $flavour);
            }
        )*
    };
}

pairs! {
    breaking_ours_beside_keepalived_v3: (Ours, Keepalived), V3;
    breaking_keepalived_beside_ours_v3: (Keepalived, Ours), V3;
    breaking_ours_beside_keepalived_v2: (Ours, Keepalived), V2;
    breaking_keepalived_beside_ours_v2: (Keepalived, Ours), V2;
    breaking_ours_beside_keepalived_v2_ah: (Ours, Keepalived), V2_AH;
    breaking_keepalived_beside_ours_v2_ah: (Keepalived, Ours), V2_AH;
    breaking_ours_beside_keepalived_unicast: (Ours, Keepalived), UNICAST;
    breaking_keepalived_beside_ours_unicast: (Keepalived, Ours), UNICAST;
    breaking_ours_beside_keepalived_vmac: (Ours, Keepalived), VMAC;
    breaking_keepalived_beside_ours_vmac: (Keepalived, Ours), VMAC;
    breaking_ours_beside_keepalived_ipv6: (Ours, Keepalived), IPV6;
    breaking_keepalived_beside_ours_ipv6: (Keepalived, Ours), IPV6;
    breaking_ours_beside_keepalived_ipv6_unicast: (Ours, Keepalived), IPV6_UNICAST;
    breaking_keepalived_beside_ours_ipv6_unicast: (Keepalived, Ours), IPV6_UNICAST;
    breaking_ours_beside_keepalived_ipv6_vmac: (Ours, Keepalived), IPV6_VMAC;
    breaking_keepalived_beside_ours_ipv6_vmac: (Keepalived, Ours), IPV6_VMAC;
}
