//! The packet points of RFC 9568 and RFC 3768 against the real daemon: what it
//! sends, what it drops, and that nothing dropped moves a timer.

mod kit;

use kit::stage::{FROM_OTHER, GROUP, LONG, OURS, Stage, VIP, lines};
use kit::vrrp::{Around, Injector, Seen, checksum, mend, packet, v2, v3};
use kit::{Daemon, wait_until};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

// Points 1, 3, 4, 5, 7, 35.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_v2_master_sends_what_the_rfc_says() {
    kit::sandboxed(|| {
        let auth = " authentication {\n auth_type PASS\n auth_pass 1111\n }\n";
        let text = format!(
            "{auth}{}",
            lines(2, "1", 100, "10.77.0.50/24\n10.77.0.51/24")
        );
        let mut stage = Stage::up(&text);
        let Seen::Advert {
            to_mac,
            from,
            to,
            ttl,
            body,
            ..
        } = stage.advert()
        else {
            panic!("an advert")
        };
        assert_eq!(to_mac, [1, 0, 0x5e, 0, 0, 0x12]);
        assert_eq!((from, to, ttl), (OURS.into(), GROUP.into(), 255));
        assert_eq!(body[..6], [0x21, 51, 100, 2, 1, 1]);
        assert_eq!(body[8..16], [10, 77, 0, 50, 10, 77, 0, 51]);
        assert_eq!(body[16..], *b"1111\0\0\0\0");
        assert_eq!(checksum(&body), 0);
        let announced = |s: &Seen| matches!(s, Seen::Announcement { address, .. } if *address == IpAddr::V4(VIP));
        stage.sniffer.wait("a gratuitous ARP", announced);
        stage.daemon.signal(nix::sys::signal::Signal::SIGTERM);
        stage
            .sniffer
            .wait("priority 0", |s| s.priority() == Some(0));
        stage.daemon.wait_exit(LONG);
        let zeros = stage
            .sniffer
            .all()
            .into_iter()
            .filter(|(_, s)| s.priority() == Some(0));
        assert_eq!(zeros.count(), 1, "priority 0 is said once");
    });
}

// Points 3, 5, 6.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_v3_master_sends_centiseconds_and_keeps_its_rhythm() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.1", 100, "10.77.0.50/24"));
        let Seen::Advert { body, .. } = stage.advert() else {
            panic!("an advert")
        };
        assert_eq!(body[..6], [0x31, 51, 100, 1, 0, 10]);
        let mut pseudo = vec![10, 77, 0, 11, 224, 0, 0, 18, 0, 112, 0, body.len() as u8];
        pseudo.extend(&body);
        assert_eq!(
            checksum(&pseudo),
            0,
            "with the pseudo-header, as keepalived sends it"
        );
        let from = IpAddr::V4(OURS);
        wait_until("fifty adverts", LONG, || {
            stage.sniffer.adverts_of(from).len() > 50
        });
        let times = stage.sniffer.adverts_of(from);
        // a busy machine is late now and then: where most adverts stand in their interval counts
        let place = |at: &Instant| {
            let since = at.duration_since(times[0]).as_millis() as i64;
            (since + 50).rem_euclid(100) - 50
        };
        let middle = |half: &[Instant]| {
            let mut places: Vec<i64> = half.iter().map(place).collect();
            places.sort();
            places[places.len() / 2]
        };
        let (first, second) = times.split_at(times.len() / 2);
        let drift = middle(second) - middle(first);
        assert!(drift.abs() < 30, "no drift: {drift} ms in 2.5 s");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn v3_checksum_as_v2_leaves_the_pseudo_header_out() {
    kit::sandboxed(|| {
        let text = format!(
            " v3_checksum_as_v2\n{}",
            lines(3, "0.1", 100, "10.77.0.50/24")
        );
        let stage = Stage::up(&text);
        let Seen::Advert { body, .. } = stage.advert() else {
            panic!("an advert")
        };
        assert_eq!(checksum(&body), 0);
    });
}

// Points 2, 35.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_ipv6_master_speaks_from_its_link_local_address() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.1", 100, "fe80::51/64\nfd77::50/64"));
        let Seen::Advert {
            to_mac,
            from,
            to,
            ttl,
            body,
            ..
        } = stage.advert()
        else {
            panic!("an advert")
        };
        let IpAddr::V6(source) = from else {
            panic!("IPv6")
        };
        assert_eq!(source.segments()[0], 0xfe80);
        assert_eq!(to_mac, [0x33, 0x33, 0, 0, 0, 0x12]);
        assert_eq!((to.to_string(), ttl), ("ff02::12".to_owned(), 255));
        assert_eq!(
            body[8..10],
            [0xfe, 0x80],
            "the link-local address comes first"
        );
        let na = |s: &Seen| matches!(s, Seen::Announcement { address, .. } if address.to_string() == "fd77::50");
        let (_, announced) = stage.sniffer.wait("an unsolicited NA", na);
        let Seen::Announcement { flags, .. } = announced else {
            panic!("an announcement")
        };
        assert_eq!(flags, 0b101, "router and override, not solicited");
    });
}

// Point 8.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn with_a_virtual_mac_adverts_and_announcements_carry_it() {
    kit::sandboxed(|| {
        let cases = [
            ("10.77.0.50/24", [0, 0, 0x5e, 0, 1, 51]),
            ("fe80::51/64", [0, 0, 0x5e, 0, 2, 51]),
        ];
        let (addresses, wanted) = cases[0];
        // without a refresh nothing but the kernel's answers tells who has the address
        let still = " garp_master_refresh 0\n garp_master_delay 0\n";
        let text = format!(" use_vmac\n{still}{}", lines(3, "0.1", 100, addresses));
        let stage = Stage::up(&text);
        let Seen::Advert { mac, .. } = stage.advert() else {
            panic!("an advert")
        };
        assert_eq!(mac, wanted);
        let (_, announced) = stage.sniffer.wait("an announcement", |s| {
            matches!(s, Seen::Announcement { .. })
        });
        assert!(matches!(announced, Seen::Announcement { mac, .. } if mac == wanted));
        let flush = ["neighbour", "flush", "to", "10.77.0.50", "dev", "eth0"];
        stage.other.run("ip", &flush);
        let ping = ["-c3", "-i0.2", "-W5", "-q", "10.77.0.50"];
        let answers = stage.other.run("ping", &ping);
        assert!(answers.contains(" 0% packet loss"), "{answers}");
        let neighbour = stage.other.run("ip", &["neighbour", "show", "10.77.0.50"]);
        assert!(neighbour.contains("00:00:5e:00:01:33"), "{neighbour}");
    });
}

/// Both hosts have the same link-layer address there: an address made of it would be a duplicate.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_virtual_mac_with_an_excluded_ipv6_address_has_no_other_one() {
    kit::sandboxed(|| {
        let excluded = " virtual_ipaddress_excluded {\n fd77::50/64\n }\n";
        let text = format!(
            " use_vmac\n{excluded}{}",
            lines(3, "0.1", 100, "10.77.0.50/24")
        );
        let stage = Stage::up(&text);
        stage.wait_state("MASTER");
        let addresses = || {
            stage
                .host
                .run("ip", &["-6", "-o", "address", "show", "vrrp.51"])
        };
        wait_until("the address", LONG, || addresses().contains("fd77::50/64"));
        let found = addresses();
        assert_eq!(found.lines().count(), 1, "{found}");
        let ping = ["-6", "-c3", "-i0.2", "-W5", "-q", "fd77::50"];
        let answers = stage.other.run("ping", &ping);
        assert!(answers.contains(" 0% packet loss"), "{answers}");
    });
}

/// A bad packet and the counter that it must raise.
fn bad_packets() -> Vec<(&'static str, Around, Vec<u8>)> {
    let good = v3(51, 200, 20, &[VIP]);
    let changed = |at: usize, value: u8| {
        let mut body = good.clone();
        body[at] = value;
        mend(body)
    };
    let mut flipped = good.clone();
    flipped[7] ^= 1;
    let mut long = good.clone();
    long.push(0);
    let mut lying = good.clone();
    lying[3] = 9;
    vec![
        (
            "hop_limit",
            Around {
                ttl: 254,
                ..FROM_OTHER
            },
            good.clone(),
        ),
        ("version", FROM_OTHER, v2(51, 200, 1, "", &[VIP])),
        ("version", FROM_OTHER, changed(0, 0x41)),
        ("type", FROM_OTHER, changed(0, 0x32)),
        ("checksum", FROM_OTHER, flipped),
        ("length", FROM_OTHER, good[..7].to_vec()),
        ("length", FROM_OTHER, mend(long)),
        ("length", FROM_OTHER, mend(lying)),
        ("unknown_vrid", FROM_OTHER, v3(52, 200, 20, &[VIP])),
        ("interval", FROM_OTHER, v3(51, 200, 0, &[VIP])),
        (
            "own_address",
            Around {
                from: OURS,
                ..FROM_OTHER
            },
            good.clone(),
        ),
        (
            "address_list",
            FROM_OTHER,
            v3(51, 200, 20, &[Ipv4Addr::new(10, 77, 0, 99)]),
        ),
    ]
}

// Points 10-15, 18, 19, 21, 22, 44.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn bad_packets_are_counted_by_reason_and_move_no_timer() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.2", 100, "10.77.0.50/24"));
        stage.wait_state("MASTER");
        let injector = Injector::new(&stage.other);
        for (reason, around, body) in bad_packets() {
            let before = stage.refused(reason);
            if reason == "own_address" {
                // the kernel drops what claims our own source unless told otherwise
                stage
                    .host
                    .run("sysctl", &["-qw", "net.ipv4.conf.eth0.accept_local=1"]);
            }
            injector.send(around, &body);
            wait_until(&format!("{reason} is counted"), LONG, || {
                stage.refused(reason) > before
            });
            assert_eq!(stage.state(), "MASTER", "{reason}");
        }
        // a flood of them: the longest gap stays near the interval
        stage.sniffer.clear();
        let bodies = bad_packets();
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            for (_, around, body) in bodies.iter().filter(|b| b.0 != "own_address") {
                injector.send(*around, body);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let times = stage.sniffer.adverts_of(OURS.into());
        let gaps = times.windows(2).map(|w| w[1] - w[0]);
        let longest = gaps.max().expect("adverts were sent");
        assert!(longest < Duration::from_millis(1200), "{longest:?}");
        assert!(times.len() >= 12, "{} adverts in 3 s", times.len());
        assert_eq!(stage.state(), "MASTER");
    });
}

// Point 17.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_v2_instance_obeys_the_right_password_only() {
    kit::sandboxed(|| {
        let auth = " authentication {\n auth_type PASS\n auth_pass 1111\n }\n";
        let text = format!("{auth}{}", lines(2, "1", 100, "10.77.0.50/24"));
        let stage = Stage::up(&text);
        stage.wait_state("MASTER");
        let injector = Injector::new(&stage.other);
        for (reason, body) in [
            ("password", v2(51, 200, 1, "2222", &[VIP])),
            ("auth_type", v2(51, 200, 1, "", &[VIP])),
            ("interval", v2(51, 200, 2, "1111", &[VIP])),
        ] {
            injector.send(FROM_OTHER, &body);
            wait_until(reason, LONG, || stage.refused(reason) > 0);
            assert_eq!(stage.state(), "MASTER");
        }
        injector.send(FROM_OTHER, &v2(51, 200, 1, "1111", &[VIP]));
        stage.wait_state("BACKUP");
    });
}

/// With `auth_type AH` and `auth_pass 1111`, priority 100, captured from keepalived 2.2.7.
const SEALED: [u8; 64] = [
    0x45, 0xc0, 0x00, 0x40, 0x00, 0x01, 0x00, 0x00, 0xff, 0x33, 0xd0, 0x06, 0x0a, 0x4d, 0x00, 0x64,
    0xe0, 0x00, 0x00, 0x12, 0x70, 0x04, 0x00, 0x00, 0x0a, 0x4d, 0x00, 0x64, 0x00, 0x00, 0x13, 0x89,
    0xc6, 0x0f, 0xde, 0xfd, 0xe1, 0xe6, 0x7c, 0x59, 0x57, 0x90, 0x6c, 0x1f, 0x21, 0x33, 0x64, 0x01,
    0x02, 0x01, 0x6e, 0x4b, 0x0a, 0x4d, 0x00, 0x32, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_advert_in_an_authentication_header_counts_once_and_only_as_it_was_made() {
    kit::sandboxed(|| {
        let auth = " authentication {\n auth_type AH\n auth_pass 1111\n }\n";
        let text = format!("{auth}{}", lines(2, "1", 150, "10.77.0.50/24"));
        let stage = Stage::up(&text);
        stage.wait_state("MASTER");
        let injector = Injector::new(&stage.other);
        let heard = || stage.status()["instances"][0]["counters"]["adverts_received"].as_u64();
        injector.send_whole(GROUP, &SEALED);
        wait_until("it is heard", LONG, || heard() == Some(1));
        let mut other = SEALED;
        other[33] ^= 1;
        let mut short = SEALED[..43].to_vec();
        short[3] = 43;
        let bare = packet(FROM_OTHER, &v2(51, 200, 1, "1111", &[VIP]));
        for (reason, packet) in [
            ("sequence", &SEALED[..]),
            ("icv", &other),
            ("length", &short),
            ("auth_type", &bare),
        ] {
            injector.send_whole(GROUP, packet);
            wait_until(reason, LONG, || stage.refused(reason) == 1);
            assert_eq!(stage.state(), "MASTER", "{reason}");
        }
        assert_eq!(heard(), Some(1));
    });
}

/// As keepalived of VRRPv2, which runs an instance without an address for its notify scripts.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_v2_instance_without_addresses_speaks_and_obeys_who_lists_none_either() {
    kit::sandboxed(|| {
        let listed = lines(2, "1", 100, "10.77.0.50/24");
        let (bare, _) = listed.split_once(" virtual_ipaddress").expect("a list");
        let excluded = " virtual_ipaddress_excluded {\n 10.77.0.50/24\n }\n";
        let stage = Stage::up(&format!("{bare}{excluded}"));
        stage.wait_state("MASTER");
        let Seen::Advert { body, .. } = stage.advert() else {
            unreachable!("adverts only");
        };
        assert_eq!((body[3], body.len()), (0, 16), "no address, no password");
        let injector = Injector::new(&stage.other);
        injector.send(FROM_OTHER, &v2(51, 200, 1, "", &[VIP]));
        wait_until("another list", LONG, || stage.refused("address_list") > 0);
        assert_eq!(stage.state(), "MASTER");
        injector.send(FROM_OTHER, &v2(51, 200, 1, "", &[]));
        stage.wait_state("BACKUP");
    });
}

// Points 5, 28, 30, 31 and the rate limit.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn worse_adverts_are_answered_once_per_interval_and_better_ones_obeyed() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "1", 100, "10.77.0.50/24"));
        stage.wait_state("MASTER");
        let injector = Injector::new(&stage.other);
        stage.sniffer.clear();
        let begin = Instant::now();
        for _ in 0..300 {
            injector.send(FROM_OTHER, &v3(51, 50, 100, &[VIP]));
            std::thread::sleep(Duration::from_millis(3));
        }
        let seconds = begin.elapsed().as_secs() as usize + 1;
        let sent = stage.sniffer.adverts_of(OURS.into()).len();
        assert!(sent <= 2 * seconds + 2, "{sent} adverts in {seconds} s");
        let all = stage.sniffer.all();
        let announced = all
            .iter()
            .filter(|(_, s)| matches!(s, Seen::Announcement { .. }));
        assert!(
            announced.count() <= 12 * (seconds + 1),
            "answers are limited"
        );
        assert_eq!(stage.state(), "MASTER");
        // in its first interval a master's predecessor may still speak: no evidence yet
        wait_until("the rival is reported", LONG, || {
            injector.send(FROM_OTHER, &v3(51, 50, 100, &[VIP]));
            stage.status()["instances"][0]["split_brain"] == true
        });
        injector.send(FROM_OTHER, &v3(51, 200, 100, &[VIP]));
        stage.wait_state("BACKUP");
    });
}

// Points 23-27: the times of a backup.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_backup_takes_over_a_master_down_interval_after_the_last_advert() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "1", 100, "10.77.0.50/24"));
        let injector = Injector::new(&stage.other);
        stage.wait_state("BACKUP");
        // the interval of 0.1 s is learnt
        let mut last = Instant::now();
        for _ in 0..20 {
            last = Instant::now();
            injector.send(FROM_OTHER, &v3(51, 200, 10, &[VIP]));
            std::thread::sleep(Duration::from_millis(100));
        }
        let (at, _) = stage.sniffer.wait("the takeover", |s| {
            s.from() == Some(OURS.into()) && s.priority() == Some(100)
        });
        let silence = at - last;
        let formula = Duration::from_micros(360_937);
        assert!(silence >= formula - Duration::from_millis(2), "{silence:?}");
        assert!(
            silence < formula + Duration::from_millis(300),
            "{silence:?}"
        );
        stage.wait_state("MASTER");
    });
}

// Point 9: membership again after the link came back.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn the_group_is_joined_again_after_the_link_came_back() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.1", 100, "10.77.0.50/24"));
        stage.wait_state("MASTER");
        stage.host.run("ip", &["link", "set", "eth0", "down"]);
        stage.wait_state("FAULT");
        stage.host.run("ip", &["link", "set", "eth0", "up"]);
        stage.wait_state("MASTER");
        let groups = stage.host.run("ip", &["maddress", "show", "dev", "eth0"]);
        assert!(groups.contains("224.0.0.18"), "{groups}");
        let injector = Injector::new(&stage.other);
        injector.send(FROM_OTHER, &v3(51, 200, 10, &[VIP]));
        wait_until("the advert is heard", LONG, || {
            stage.status()["instances"][0]["counters"]["adverts_received"] != 0
        });
    });
}

// Point 34: the address that others deleted comes back.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_deleted_address_comes_back() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.1", 100, "10.77.0.50/24"));
        stage.wait_state("MASTER");
        let held = || {
            !stage
                .host
                .run("ip", &["-o", "address", "show", "to", "10.77.0.50"])
                .is_empty()
        };
        wait_until("the address is there", LONG, held);
        stage
            .host
            .run("ip", &["address", "del", "10.77.0.50/24", "dev", "eth0"]);
        wait_until("the address is back", LONG, held);
    });
}

// Points 36, 38: a backup neither holds nor answers for the address.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_address_left_behind_is_removed_at_start_and_a_backup_never_answers() {
    kit::sandboxed(|| {
        let mut stage = Stage::up(&lines(3, "1", 100, "10.77.0.50/24"));
        stage.daemon.stop();
        stage
            .host
            .run("ip", &["address", "add", "10.77.0.50/24", "dev", "eth0"]);
        let file = stage.folder.path().join("vrrp.conf").display().to_string();
        let run = stage.folder.path().join("run").display().to_string();
        let mut command = stage.host.command(kit::binary().to_str().expect("a path"));
        command.args(["vip", "-n", "-l", "-f", &file, "--run-dir", &run]);
        stage.daemon = Daemon::start("A", &mut command);
        wait_until("the address is gone", LONG, || {
            stage
                .host
                .run("ip", &["-o", "address", "show", "to", "10.77.0.50"])
                .is_empty()
        });
        assert_eq!(stage.state(), "BACKUP");
    });
}

// Points 14, 22: any bytes.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn any_bytes_leave_memory_flat_and_the_daemon_running() {
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "0.1", 100, "10.77.0.50/24"));
        stage.wait_state("MASTER");
        let injector = Injector::new(&stage.other);
        let worker = stage.status()["pid"].as_u64().expect("a pid");
        let resident = || {
            let text = std::fs::read_to_string(format!("/proc/{worker}/statm")).expect("it runs");
            let pages = text
                .split_whitespace()
                .nth(1)
                .and_then(|p| p.parse::<u64>().ok());
            pages.expect("a number") * 4
        };
        let mut state = 7u64;
        let mut noise = |length: usize| -> Vec<u8> {
            let next = |_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 33) as u8
            };
            (0..length).map(next).collect()
        };
        let mut send = |count: usize| {
            for i in 0..count {
                let mut body = noise(i % 300);
                if let Some(first) = body.first_mut().filter(|_| i % 2 == 0) {
                    *first = 0x31;
                }
                if let Some(vrid) = body.get_mut(1).filter(|_| i % 3 > 0) {
                    *vrid = 51;
                }
                let body = if i % 5 == 0 { mend(body) } else { body };
                injector.send(FROM_OTHER, &body);
            }
        };
        send(2_000);
        let before = resident();
        send(20_000);
        assert_eq!(stage.state(), "MASTER");
        let grown = resident().saturating_sub(before);
        assert!(grown < 2_000, "{grown} kB more");
    });
}

// Unicast: senders outside the list are refused by default.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn unicast_refuses_senders_that_are_not_listed() {
    kit::sandboxed(|| {
        let unicast = " unicast_src_ip 10.77.0.11\n unicast_peer {\n 10.77.0.12\n }\n";
        let text = format!("{unicast}{}", lines(3, "0.1", 100, "10.77.0.50/24"));
        let stage = Stage::up(&text);
        stage.wait_state("MASTER");
        let injector = Injector::new(&stage.other);
        let around = Around {
            to: OURS,
            ..FROM_OTHER
        };
        injector.send(around, &v3(51, 200, 10, &[VIP]));
        wait_until("the sender is refused", LONG, || {
            stage.refused("sender") > 0
        });
        let around = Around {
            from: Ipv4Addr::new(10, 77, 0, 12),
            ..around
        };
        injector.send(around, &v3(51, 200, 10, &[VIP]));
        stage.wait_state("BACKUP");
    });
}
