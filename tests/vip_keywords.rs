//! Keywords about the host: where things are put that name no interface, what comes back
//! when somebody takes it away, and what is a fault when it is lost.

mod kit;

use kit::stage::{LONG, Stage, lines};
use kit::wait_until;
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn routes_and_rules_that_somebody_deletes_come_back_at_once() {
    kit::sandboxed(|| {
        // an interval so long that no renewal of a lease is near
        let statics = " virtual_routes {\n 203.0.113.0/24 dev eth0\n 192.0.2.0/24 table 9 nexthop via \
                       10.77.0.1 dev eth0 weight 2 nexthop via 10.77.0.2 dev eth0\n }\n}\n\
                       static_routes {\n 198.51.100.0/24 via 10.77.0.1 dev eth0\n}\n\
                       static_rules {\n from 10.88.0.0/24 table 88 priority 500\n \
                       not from 10.89.0.0/16 nop priority 501\n from 10.87.0.0/16 table 87\n";
        let instance = lines(3, "30", 255, "10.77.0.50/24");
        let stage = Stage::with("address_lease off", &format!("{instance}\n{statics}"));
        stage.wait_state("MASTER");
        let shows = |what: &[&str], text: &str| stage.host.run("ip", what).contains(text);
        let ways = || {
            let table = ["route", "show", "table", "9"];
            shows(&table, "via 10.77.0.1 dev eth0 weight 2") && shows(&table, "via 10.77.0.2")
        };
        wait_until("several ways", LONG, ways);
        let inverted = "not from 10.89.0.0/16 nop";
        wait_until("a rule for the rest", LONG, || shows(&["rule"], inverted));
        for (delete, shown, text) in [
            (
                vec!["route", "del", "198.51.100.0/24"],
                "route",
                "198.51.100.0/24",
            ),
            (
                vec!["route", "del", "203.0.113.0/24"],
                "route",
                "203.0.113.0/24",
            ),
            (vec!["rule", "del", "priority", "500"], "rule", "lookup 88"),
        ] {
            assert!(shows(&[shown], text), "{text}");
            let began = Instant::now();
            stage.host.run("ip", &delete);
            wait_until("it is back", LONG, || shows(&[shown], text));
            assert!(began.elapsed() < Duration::from_secs(5), "{text}");
        }
        stage
            .host
            .run("ip", &["route", "del", "192.0.2.0/24", "table", "9"]);
        wait_until("several ways again", LONG, ways);
        let rules = stage.host.run("ip", &["rule"]);
        assert_eq!(rules.matches("lookup 87").count(), 1, "{rules}");
        assert!(rules.contains("16384:"), "{rules}");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_interface_that_an_address_needs_is_a_fault_when_it_is_lost() {
    kit::sandboxed(|| {
        let instance = lines(
            3,
            "0.1",
            100,
            "10.77.0.50/24\n10.99.0.50/24 dev extra\n10.98.0.50/24 dev other no_track",
        );
        let stage = Stage::up(&instance);
        let ip = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            stage.host.run("ip", &words)
        };
        stage.wait_state("FAULT");
        ip("link add extra type bridge");
        ip("link set extra up");
        stage.wait_state("MASTER");
        let on_extra = || ip("-o address show dev extra").contains("10.99.0.50/24");
        wait_until("the address is there", LONG, on_extra);
        ip("address del 10.99.0.50/24 dev extra");
        wait_until("it is back", LONG, on_extra);
        let instance = &stage.status()["instances"][0];
        assert_eq!(instance["split_brain"], false, "nobody else is active");
        ip("link set extra down");
        stage.wait_state("FAULT");
        ip("link set extra up");
        stage.wait_state("MASTER");
        ip("link del extra");
        stage.wait_state("FAULT");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn names_of_interfaces_come_from_global_defs_and_a_reload_tells_the_states_again() {
    kit::sandboxed(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo").display().to_string();
        let global = format!(
            "vmac_prefix vv\n default_interface lo\n fifo_write_vrrp_states_on_reload\n notify_fifo {fifo}"
        );
        let instance = lines(3, "0.1", 100, "10.77.0.50/24");
        let statics = "}\nstatic_ipaddress {\n 10.99.0.1/32\n";
        let stage = Stage::with(&global, &format!(" use_vmac\n{instance}\n{statics}"));
        stage.wait_state("MASTER");
        let shown = stage.host.run("ip", &["-o", "address"]);
        let on = |text: &str| shown.lines().find(|l| l.contains(text)).unwrap_or_default();
        assert!(on("10.77.0.50/24").contains(" vv.51 "), "{shown}");
        assert!(on("10.99.0.1/32").contains(" lo "), "{shown}");
        let reader = std::fs::File::open(&fifo).expect("a fifo");
        stage.daemon.signal(Signal::SIGHUP);
        let mut lines = BufReader::new(reader).lines();
        let told = "INSTANCE \"VI_1\" MASTER 100";
        let mut times = 0;
        while times < 2 {
            let line = lines.next().expect("the fifo stays open").expect("text");
            times += u32::from(line == told);
        }
    });
}

/// In FAULT until the host has the source address, and again when it is lost.
fn needs_source(source: &str, lost: &str, addresses: &str) {
    let stage = Stage::up(&format!("{source}{}", lines(3, "0.1", 100, addresses)));
    stage.wait_state("FAULT");
    let add = ["address", "add", lost, "dev", "eth0", "nodad"];
    let words = if lost.contains(':') { 6 } else { 5 };
    stage.host.run("ip", &add[..words]);
    stage.wait_state("MASTER");
    stage
        .host
        .run("ip", &["address", "del", lost, "dev", "eth0"]);
    stage.wait_state("FAULT");
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn without_its_tracked_source_address_an_instance_is_in_fault() {
    kit::sandboxed(|| {
        let source = " mcast_src_ip 10.77.0.12\n track_src_ip\n";
        needs_source(source, "10.77.0.12/24", "10.77.0.50/24");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn without_the_address_that_peers_send_to_an_instance_is_in_fault() {
    kit::sandboxed(|| {
        let source = " unicast_src_ip 10.77.0.12\n unicast_peer {\n 10.77.0.100\n }\n";
        needs_source(source, "10.77.0.12/24", "10.77.0.50/24");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn without_its_ipv6_source_address_an_instance_is_in_fault() {
    kit::sandboxed(|| {
        let source = " unicast_src_ip fd77::12\n unicast_peer {\n fd77::100\n }\n";
        needs_source(source, "fd77::12/64", "fe80::50\n fd77::50/64");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn the_daemon_goes_to_the_network_namespace_that_the_file_names() {
    kit::sandboxed(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("vrrp.conf");
        let text = "net_namespace nobody-made-this\nvrrp_instance V {\n interface lo\n \
                    virtual_router_id 1\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n";
        std::fs::write(&file, text).expect("writable");
        let check = |status: i32, says: &str| {
            let output = std::process::Command::new(kit::binary())
                .args(["vip", "-t", "-f"])
                .arg(&file)
                .output()
                .expect("the binary runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(status), "{said}");
            assert!(said.contains(says), "{said}");
        };
        check(5, "`ip netns add nobody-made-this` makes it");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_reload_refuses_what_a_start_refuses_and_tells_what_needs_a_restart() {
    kit::sandboxed(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("told.sh");
        let mark = folder.path().join("mark");
        let text = format!(
            "#!/bin/sh\necho CHATTER\necho CHATTER >&2\ntouch {}\n",
            mark.display()
        );
        std::fs::write(&script, text).expect("writable");
        let mode = |m| std::fs::set_permissions(&script, std::fs::Permissions::from_mode(m));
        mode(0o755).expect("own file");
        let instance = lines(3, "0.1", 100, "10.77.0.50/24");
        let notify = format!(" notify_master {}\n", script.display());
        let mut stage = Stage::with("enable_script_security", &format!("{notify}{instance}"));
        stage.wait_state("MASTER");
        wait_until("the script ran", LONG, || mark.exists());
        let file = stage.folder.path().join("vrrp.conf");
        let text = std::fs::read_to_string(&file).expect("readable");
        mode(0o777).expect("own file");
        stage.daemon.signal(Signal::SIGHUP);
        stage.daemon.wait_line("the file is refused", LONG);
        stage.daemon.wait_line("can be written by everybody", LONG);
        mode(0o755).expect("own file");
        let other = text.replace(
            "router_id a",
            "router_id a\n status_page off\n vrrp_priority -5\n pair_channel port 8999",
        );
        std::fs::write(&file, other).expect("writable");
        stage.daemon.signal(Signal::SIGHUP);
        stage.daemon.wait_line("status_page changed", LONG);
        stage.daemon.wait_line("vrrp_priority changed", LONG);
        let sockets = || stage.host.run("ss", &["-Hlnu"]);
        wait_until("the pair channel's new port", LONG, || {
            sockets().contains("0.0.0.0:8999") && !sockets().contains(":8112")
        });
        assert_eq!(stage.state(), "MASTER");
        assert!(
            !stage.daemon.output().contains("CHATTER"),
            "a script's output"
        );
    });
}
