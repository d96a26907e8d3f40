use super::*;
use crate::vip::{Options, load_str};

fn read(text: &str) -> Config {
    let (config, report) = load_str("k.conf", text, &Options::default());
    config.unwrap_or_else(|| panic!("{}", report.human(false)))
}

fn router(name: &str, id: u8, priority: u8, lines: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n version 3\n virtual_router_id {id}\n \
         priority {priority}\n virtual_ipaddress {{\n 192.0.2.{id}/24\n }}\n {lines}\n}}\n"
    )
}

/// What is found, without the skew of low priorities.
fn found(a: &str, b: &str) -> Vec<(bool, String)> {
    let found = compare(&read(a), &read(b)).into_iter();
    let found = found.filter(|f| !f.message.starts_with("high skew"));
    found.map(|f| (f.fatal, f.message)).collect()
}

fn one(a: &str, b: &str) -> (bool, String) {
    let all = found(a, b);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[test]
fn a_weight_that_moves_nothing_is_told() {
    let file = |priority, weight: i32| {
        let script = format!("vrrp_script chk {{\n script /bin/true\n weight {weight}\n}}\n");
        script + &router("V", 9, priority, "track_script {\n chk\n }")
    };
    for weight in [-20, 20, -5, 5, 0] {
        assert_eq!(found(&file(104, weight), &file(100, weight)), []);
    }
    let (fatal, text) = one(&file(104, -2), &file(100, -2));
    assert!(!fatal && text.contains("priority 102 is still above the other's 100"));
    let (_, text) = one(&file(100, 4), &file(104, 4));
    assert!(text.contains("script chk") && text.contains("equal to the other's 104"));
    let untracked = router("V", 9, 100, "");
    let (_, text) = one(&file(104, -2), &untracked);
    assert!(
        text.contains("102 is still above the other's 100"),
        "{text}"
    );
}

#[test]
fn sync_groups_must_hold_the_same_instances() {
    let group = |members: &str| format!("vrrp_sync_group G {{\n group {{\n {members}\n }}\n}}\n");
    let routers = |p, q| router("V1", 1, p, "") + &router("V2", 2, q, "");
    let (a, b) = (routers(254, 254), routers(250, 250));
    let both = group("V1\n V2");
    assert_eq!(found(&(both.clone() + &a), &(both.clone() + &b)), []);
    let (fatal, text) = one(&(both.clone() + &a), &b);
    assert!(fatal && text.contains("only the first file"), "{text}");
    let (fatal, text) = one(&a, &(both.clone() + &b));
    assert!(fatal && text.contains("only the second file"), "{text}");
    let (fatal, text) = one(&(both.clone() + &a), &(group("V1") + &b));
    assert!(fatal && text.contains("V1 V2 and V1"), "{text}");
    let (fatal, text) = one(&(both.clone() + &routers(254, 240)), &(both + &b));
    assert!(!fatal && text.contains("preferred for V1, the second for V2"));
}

#[test]
fn what_the_wire_and_the_clients_see_is_compared() {
    let plain = |lines: &str| router("V", 9, 254, lines);
    let other = router("V", 9, 250, "");
    for (lines, fatal, expected) in [
        ("mcast_dst_ip 224.0.0.20", true, "224.0.0.20 and 224.0.0.18"),
        ("v3_checksum_as_v2", false, "v3_checksum_as_v2"),
        ("use_vmac", false, "use_vmac"),
        ("no_accept", false, "no_accept"),
        (
            "virtual_routes {\n 10.0.0.0/8 via 192.0.2.1\n }",
            false,
            "virtual_routes",
        ),
    ] {
        let (is_fatal, text) = one(&plain(lines), &other);
        assert!(is_fatal == fatal && text.contains(expected), "{text}");
    }
    let (fatal, text) = one(&plain("").replace("/24", "/32"), &other);
    assert!(
        !fatal && text.contains("192.0.2.9/32 and 192.0.2.9/24"),
        "{text}"
    );
    let owner = router("V", 9, 255, "");
    let (fatal, text) = one(&owner, &owner);
    assert!(fatal && text.contains("each owns the addresses"), "{text}");
}

#[test]
fn the_pair_channel_needs_the_same_on_both_hosts() {
    let with = |line: &str, priority| {
        format!("global_defs {{\n router_id x\n {line}\n}}\n") + &router("V", 9, priority, "")
    };
    for (line, expected) in [
        ("pair_channel off", "off on one host"),
        ("pair_channel port 8113", "port 8113 and 8112"),
        ("pair_key one", "pair_key differs"),
        ("pair_witness 192.0.2.30", "pair_witness"),
    ] {
        let (fatal, text) = one(&with(line, 254), &with("", 250));
        assert!(!fatal && text.contains(expected), "{text}");
    }
}
