//! The conformance points that need a whole host: links, neighbour discovery,
//! several instances. And the list of all points, which must name a test each.

mod kit;

use kit::stage::{FROM_OTHER, LONG, OURS, Stage, VIP, lines};
use kit::vrrp::{Around, Injector, Seen, v2, v3};
use kit::wait_until;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

const TABLE: &str = "docs/vip-conformance.md";

/// Rows of the table: the point's number and the tests that it names.
fn points() -> Vec<(u32, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join(TABLE)).expect("the table is there");
    let rows = page.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix('|')?.split_once('|')?;
        let number = number.trim().parse().ok()?;
        let (_, tests) = rest.trim_end().trim_end_matches('|').rsplit_once('|')?;
        let tests = tests.split('`').skip(1).step_by(2);
        Some((number, tests.map(str::to_owned).collect()))
    });
    rows.collect()
}

fn sources(under: &Path, out: &mut String) {
    for entry in std::fs::read_dir(under).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

#[test]
fn every_conformance_point_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for folder in ["tests", "vip/src", "vip/tests"] {
        sources(&root.join(folder), &mut text);
    }
    let points = points();
    let numbers: BTreeSet<u32> = points.iter().map(|(n, _)| *n).collect();
    let missing: Vec<u32> = (1..=45).filter(|n| !numbers.contains(n)).collect();
    assert!(missing.is_empty(), "{TABLE} has no row for {missing:?}");
    for (number, tests) in &points {
        assert!(!tests.is_empty(), "point {number} names no test");
        for test in tests {
            assert!(
                text.contains(&format!("fn {test}(")),
                "point {number}: there is no test `{test}`"
            );
        }
    }
}

// Point 16.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn another_ip_protocol_is_not_vrrp() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.1", 100, "10.77.0.50/24"));
        stage.wait_state("MASTER");
        let injector = Injector::new(&stage.other);
        let other = Around {
            protocol: 111,
            ..FROM_OTHER
        };
        let better = v3(51, 200, 10, &[VIP]);
        for _ in 0..20 {
            injector.send(other, &better);
        }
        stage.sniffer.clear();
        wait_until("ten adverts more", LONG, || {
            stage.sniffer.adverts_of(OURS.into()).len() > 10
        });
        assert_eq!(stage.state(), "MASTER");
        injector.send(FROM_OTHER, &better);
        stage.wait_state("BACKUP");
    });
}

// Point 33.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_lost_carrier_or_address_is_a_fault_and_the_way_back_leads_through_backup() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.1", 100, "10.77.0.50/24"));
        let held = || {
            let shown = stage
                .host
                .run("ip", &["-o", "address", "show", "to", "10.77.0.50"]);
            !shown.is_empty()
        };
        stage.wait_state("MASTER");
        stage.lab.carrier(&stage.host, false);
        stage.wait_state("FAULT");
        wait_until("the address is gone", LONG, || !held());
        stage.lab.carrier(&stage.host, true);
        stage.wait_state("MASTER");
        // the own address goes: with it the source of the adverts
        stage
            .host
            .run("ip", &["address", "del", "10.77.0.11/24", "dev", "eth0"]);
        stage.wait_state("FAULT");
        wait_until("the address is gone", LONG, || !held());
        stage
            .host
            .run("ip", &["address", "add", "10.77.0.11/24", "dev", "eth0"]);
        stage.wait_state("MASTER");
        let status = stage.status();
        let transitions = status["instances"][0]["transitions"].as_array().cloned();
        let roles: Vec<String> = transitions
            .unwrap_or_default()
            .iter()
            .filter_map(|t| t["to"].as_str().map(str::to_owned))
            .collect();
        let wanted = ["BACKUP", "MASTER", "FAULT"];
        for pair in roles.windows(2).filter(|p| p[0] == "FAULT") {
            assert_eq!(pair[1], "BACKUP", "{roles:?}");
        }
        assert!(
            wanted.iter().all(|w| roles.iter().any(|r| r == w)),
            "{roles:?}"
        );
    });
}

// Points 36, 37, 39.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_active_router_takes_packets_for_the_address_and_a_backup_stays_mute() {
    kit::sandboxed(|| {
        let text = lines(3, "0.1", 100, "10.77.0.50/24");
        let six = "vrrp_instance VI_6 {\n interface eth0\n virtual_router_id 51\n version 3\n \
                   advert_int 0.1\n priority 100\n virtual_ipaddress {\n fe80::51/64\n fd77::50/64\n }\n";
        // closes the first instance and leaves the second one open for Stage
        let stage = Stage::up(&format!("{text}\n}}\n{six}"));
        let both = |role: &str| {
            let status = stage.status();
            let all = status["instances"].as_array().cloned().unwrap_or_default();
            all.len() == 2 && all.iter().all(|i| i["state"] == role)
        };
        wait_until("both are master", LONG, || both("MASTER"));
        let shown = stage
            .host
            .run("ip", &["-6", "address", "show", "to", "fd77::50"]);
        assert!(
            !shown.contains("tentative") && !shown.contains("dadfailed"),
            "{shown}"
        );
        let groups = stage.host.run("ip", &["maddress", "show", "dev", "eth0"]);
        assert!(groups.contains("ff02::1:ff00:50"), "{groups}");
        let ping = |address: &str| {
            let script = format!("ping -c1 -W1 -q {address} >/dev/null && echo yes || echo no");
            stage.other.run("sh", &["-c", &script]).trim() == "yes"
        };
        wait_until("both addresses answer", LONG, || {
            ping("10.77.0.50") && ping("fd77::50")
        });
        // a better router on each: backup, and not a word for the addresses
        let injector = Injector::new(&stage.other);
        injector.send(FROM_OTHER, &v3(51, 200, 4000, &[VIP]));
        wait_until("the IPv4 instance is backup", LONG, || {
            stage.status()["instances"][0]["state"] == "BACKUP"
        });
        // the grace of a hand-over passes
        wait_until("the address is gone", LONG, || {
            stage
                .host
                .run("ip", &["-o", "address", "show", "to", "10.77.0.50"])
                .is_empty()
        });
        stage
            .other
            .run("ip", &["neighbour", "flush", "dev", "eth0"]);
        assert!(!ping("10.77.0.50"), "a backup answered");
        assert!(ping("fd77::50"), "the IPv6 instance is independent");
    });
}

// Point 40.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn instances_with_the_same_number_are_independent_by_family_and_version() {
    kit::sandboxed(|| {
        let text = lines(2, "1", 100, "10.77.0.50/24");
        let six = "vrrp_instance VI_6 {\n interface eth0\n virtual_router_id 51\n version 3\n \
                   advert_int 0.1\n priority 90\n virtual_ipaddress {\n fe80::51/64\n }\n";
        let stage = Stage::up(&format!("{text}\n}}\n{six}"));
        let state = |at: usize| {
            let status = stage.status();
            status["instances"][at]["state"]
                .as_str()
                .unwrap_or("")
                .to_owned()
        };
        wait_until("both are master", LONG, || {
            state(0) == "MASTER" && state(1) == "MASTER"
        });
        stage.sniffer.wait(
            "a v2 advert over IPv4",
            |s| matches!(s, Seen::Advert { from: IpAddr::V4(_), body, .. } if body[0] == 0x21),
        );
        stage.sniffer.wait(
            "a v3 advert over IPv6",
            |s| matches!(s, Seen::Advert { from: IpAddr::V6(_), body, .. } if body[0] == 0x31),
        );
        let injector = Injector::new(&stage.other);
        // a v3 packet of a better router means nothing to the v2 instance
        injector.send(FROM_OTHER, &v3(51, 200, 100, &[VIP]));
        wait_until("it is refused", LONG, || stage.refused("version") > 0);
        assert_eq!(state(0), "MASTER");
        injector.send(FROM_OTHER, &v2(51, 200, 1, "", &[VIP]));
        wait_until("the v2 instance is backup", LONG, || state(0) == "BACKUP");
        stage.sniffer.clear();
        wait_until("five adverts more over IPv6", LONG, || {
            let six = |s: &Seen| matches!(s.from(), Some(IpAddr::V6(_)));
            stage.sniffer.all().iter().filter(|(_, s)| six(s)).count() >= 5
        });
        assert_eq!(state(1), "MASTER", "the IPv6 instance heard nothing");
    });
}

// Point 32.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_backup_leaves_in_silence() {
    kit::sandboxed(|| {
        let mut stage = Stage::up(&lines(3, "1", 100, "10.77.0.50/24"));
        let injector = Injector::new(&stage.other);
        stage.wait_state("BACKUP");
        injector.send(FROM_OTHER, &v3(51, 200, 100, &[VIP]));
        stage.daemon.signal(nix::sys::signal::Signal::SIGTERM);
        stage.daemon.wait_exit(LONG);
        let said = stage.sniffer.adverts_of(OURS.into());
        assert!(said.is_empty(), "a backup spoke {} times", said.len());
    });
}
