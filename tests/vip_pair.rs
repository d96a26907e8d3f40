//! Two of ours that know each other by the pair channel: where something is lost
//! between them (everything in one direction, or only the adverts), and what the
//! clients hear when link-layer addresses matter.

mod kit;

use kit::pair::*;
use kit::wait_until;
use std::time::{Duration, Instant};

/// Adverts so seldom that they are no heartbeats themselves.
const SLOW: Flavour = Flavour { adv: "1", ..V3 };

fn drop_at(site: &Site, rules: &str) {
    let file = site.path("rules.nft");
    std::fs::write(&file, rules).expect("writable");
    site.host.run("nft", &["-f", &file.display().to_string()]);
}

fn knows(site: &Site, words: &str) {
    wait_until(words, LONG, || site.tool(&["status"]).contains(words));
}

/// Neither holds the address together with the other, nor does it move, for so long.
fn stays_on_a(pair: &Pair, time: Duration) {
    let since = Instant::now();
    wait_until("time", LONG, || {
        assert!(pair.a.holds(VIP), "{}", pair.a.tool(&["explain"]));
        assert!(!pair.b.holds(VIP), "{}", pair.b.tool(&["explain"]));
        since.elapsed() > time
    });
}

fn became_master(site: &Site) -> u64 {
    let status = site.tool(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let count = &status["instances"][0]["counters"]["became_master"];
    count.as_u64().expect("a counter")
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_master_that_does_not_hear_its_backup_is_not_taken_for_dead() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), SLOW, "", "");
        knows(&pair.a, "10.77.0.12: alive");
        knows(&pair.b, "10.77.0.11: alive");
        let before = became_master(&pair.b);
        drop_at(
            &pair.a,
            "table ip t { chain i { type filter hook input priority 0; ip saddr 10.77.0.12 drop; }; }\n\
             table arp t { chain i { type filter hook input priority 0; arp saddr ip 10.77.0.12 drop; }; }",
        );
        // from then on its heartbeats are as rare as those to a dead host
        knows(&pair.a, "10.77.0.12: silent");
        stays_on_a(&pair, Duration::from_secs(6));
        pair.a.host.run("nft", &["flush", "ruleset"]);
        knows(&pair.a, "10.77.0.12: alive");
        assert_eq!(became_master(&pair.b), before);
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_master_whose_heartbeats_arrive_is_followed_without_its_adverts() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        knows(&pair.a, "10.77.0.12: alive");
        knows(&pair.b, "10.77.0.11: alive");
        let before = became_master(&pair.b);
        for site in [&pair.a, &pair.b] {
            drop_at(
                site,
                "table ip t { chain i { type filter hook input priority 0; ip protocol 112 drop; }; }",
            );
        }
        stays_on_a(&pair, Duration::from_secs(3));
        let told = pair.b.tool(&["explain"]);
        assert!(
            told.contains("the adverts of 10.77.0.11 do not arrive"),
            "{told}"
        );
        assert_eq!(became_master(&pair.b), before);
        // it dies now: nobody says that it lives, and the backup takes over as ever
        let since = Instant::now();
        pair.lab.cut(&pair.a.host, true);
        pair.client.wait_answer(since, b'B', Duration::from_secs(3));
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn clients_hear_of_an_interface_s_new_link_layer_address_at_once() {
    kit::sandboxed(|| {
        // nothing else is announced again
        let once = " garp_master_refresh 0\n garp_master_delay 0\n";
        let pair = Pair::up((Ours, Ours), SLOW, "", once);
        knows(&pair.a, "10.77.0.12: alive");
        pair.client.wait_answer(Instant::now(), b'A', LONG);
        let since = Instant::now();
        // as a bridge does when a port with a smaller one joins it
        let set = ["link", "set", "eth0", "address", "02:00:00:00:00:01"];
        pair.a.host.run("ip", &set);
        pair.client.wait_answer(Instant::now(), b'A', LONG);
        let (outage, _) = pair.client.outage(since);
        assert!(outage < Duration::from_secs(1), "{outage:?}");
        assert!(pair.a.holds(VIP) && !pair.b.holds(VIP));
    });
}

/// Who heard a heartbeat from an address that moves would not know whose it is.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_ipv6_unicast_pair_knows_each_other_by_their_own_addresses() {
    kit::sandboxed(|| {
        let slow = Flavour {
            adv: "1",
            ..IPV6_UNICAST
        };
        let pair = Pair::up((Ours, Ours), slow, "", "");
        knows(&pair.a, "fd77::12: alive");
        knows(&pair.b, "fd77::11: alive");
        assert!(!pair.b.tool(&["status"]).contains("peer fd77::50"));
        // no skew time (0.6 s) in a pair
        let since = Instant::now();
        pair.a.tool(&["demote"]);
        let answered = pair.client.wait_answer(since, b'B', LONG);
        let took = answered - since;
        assert!(took < Duration::from_millis(400), "{took:?}");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn with_a_virtual_mac_nobody_answers_an_announcement() {
    const ASK: &str = "import socket, struct, time\n\
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x806))\n\
        s.bind(('eth0', 0))\n\
        own = s.getsockname()[4]\n\
        def answers(sender):\n\
        \x20   arp = struct.pack('!HHBBH', 1, 0x800, 6, 4, 1) + own + socket.inet_aton(sender)\n\
        \x20   arp += bytes(6) + socket.inet_aton('10.77.0.50')\n\
        \x20   s.send(b'\\xff' * 6 + own + struct.pack('!H', 0x806) + arp)\n\
        \x20   end = time.monotonic() + 0.5\n\
        \x20   while (left := end - time.monotonic()) > 0:\n\
        \x20       s.settimeout(left)\n\
        \x20       try: frame = s.recv(100)\n\
        \x20       except OSError: break\n\
        \x20       if frame[:6] == own and frame[20:22] == bytes([0, 2]) and frame[28:32] == socket.inet_aton('10.77.0.50'): return True\n\
        \x20   return False\n\
        print(answers('10.77.0.100'), answers('10.77.0.50'))\n";
    kit::sandboxed(|| {
        let slow = Flavour { adv: "1", ..VMAC };
        let pair = Pair::up((Ours, Ours), slow, "", "");
        // whoever asks is answered; who announces the address has it
        let told = pair.c.run("python3", &["-c", ASK]);
        assert_eq!(told.trim(), "True False");
    });
}
