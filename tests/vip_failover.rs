//! Two hosts and a client on a bridge: every failover, ours with ours and ours
//! with keepalived in both roles. Asserts what must never happen, with bounds
//! ten times the goals.

mod kit;

use kit::pair::*;
use kit::wait_until;
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::{Duration, Instant};

/// The planned and unplanned ways of the role, once round.
fn round(kinds: (Kind, Kind), flavour: Flavour) {
    kit::sandboxed(|| {
        let mut pair = Pair::up(kinds, flavour, "", "");
        let mdi = Duration::from_secs_f64(flavour.adv.parse::<f64>().expect("a number") * 4.0);
        let slack = Duration::from_millis(500);

        // stop: with ours as master nobody waits
        let mut a = pair.a.daemon.take().expect("started");
        let (outage, _) = pair.moves_to("B", || a.signal(Signal::SIGTERM));
        a.wait_exit(LONG);
        // the kernel speaks for keepalived's macvlan in its first seconds (IGMP, MLD, router
        // solicitations) and turns the switch to the backup until the master's next frame
        let turned = flavour.vmac && kinds.1 == Keepalived;
        let bound = if kinds.0 == Ours && !turned {
            Duration::from_millis(150)
        } else {
            mdi
        };
        assert!(outage < bound + slack, "stop: {outage:?}");

        // fail-back
        let (outage, _) = {
            pair.a.start();
            pair.moves_to("A", || ())
        };
        // a new macvlan joins its group from the virtual MAC, ours too: see above
        let turned = if flavour.vmac { mdi.max(slack) } else { slack };
        assert!(
            outage < Duration::from_millis(200) + turned,
            "fail-back: {outage:?}"
        );

        // the port is cut: B takes over; healed: exactly one again
        pair.sniffer.clear();
        let (outage, _) = {
            let since = Instant::now();
            pair.lab.cut(&pair.a.host, true);
            pair.client.wait_answer(since, b'B', LONG);
            pair.client.outage(since)
        };
        assert!(outage < mdi + slack * 2, "dead host: {outage:?}");
        let (outage, _) = pair.moves_to("A", || pair.lab.cut(&pair.a.host, false));
        let bound = Duration::from_secs(2) + mdi;
        assert!(outage < bound, "heal: {outage:?}");

        // the carrier is lost and comes back
        let (outage, _) = pair.moves_to("B", || pair.lab.carrier(&pair.a.host, false));
        assert!(outage < mdi + slack * 2, "carrier: {outage:?}");
        pair.moves_to("A", || pair.lab.carrier(&pair.a.host, true));
        pair.b.stop();
        pair.a.stop();
        assert!(
            !pair.a.holds(pair.address),
            "the address outlives its daemon"
        );
    });
}

macro_rules! rounds {
    ($($name:ident: $kinds:expr, $flavour:expr;)*) => {
        $(
            #[test]
            #[ignore = "needs root and keepalived; tests/run installs it and runs this"]
            fn $name() {
                round($kinds, $flavour);
            }
        )*
    };
}

rounds! {
    ours_with_ours_v3: (Ours, Ours), V3;
    ours_with_keepalived_v3: (Ours, Keepalived), V3;
    keepalived_with_ours_v3: (Keepalived, Ours), V3;
    ours_with_ours_v2_password: (Ours, Ours), V2;
    ours_with_keepalived_v2_password: (Ours, Keepalived), V2;
    keepalived_with_ours_v2_password: (Keepalived, Ours), V2;
    ours_with_ours_v2_ah: (Ours, Ours), V2_AH;
    ours_with_keepalived_v2_ah: (Ours, Keepalived), V2_AH;
    keepalived_with_ours_v2_ah: (Keepalived, Ours), V2_AH;
    ours_with_keepalived_v2_ah_unicast: (Ours, Keepalived), V2_AH_UNICAST;
    keepalived_with_ours_v2_ah_unicast: (Keepalived, Ours), V2_AH_UNICAST;
    ours_with_keepalived_v2_ah_vmac: (Ours, Keepalived), V2_AH_VMAC;
    keepalived_with_ours_v2_ah_vmac: (Keepalived, Ours), V2_AH_VMAC;
    ours_with_ours_unicast: (Ours, Ours), UNICAST;
    ours_with_keepalived_unicast: (Ours, Keepalived), UNICAST;
    keepalived_with_ours_unicast: (Keepalived, Ours), UNICAST;
    ours_with_ours_vmac: (Ours, Ours), VMAC;
    ours_with_keepalived_vmac: (Ours, Keepalived), VMAC;
    keepalived_with_ours_vmac: (Keepalived, Ours), VMAC;
    ours_with_ours_ipv6: (Ours, Ours), IPV6;
    ours_with_keepalived_ipv6: (Ours, Keepalived), IPV6;
    keepalived_with_ours_ipv6: (Keepalived, Ours), IPV6;
    ours_with_keepalived_v2_unicast: (Ours, Keepalived), V2_UNICAST;
    keepalived_with_ours_v2_unicast: (Keepalived, Ours), V2_UNICAST;
    ours_with_keepalived_v2_vmac: (Ours, Keepalived), V2_VMAC;
    keepalived_with_ours_v2_vmac: (Keepalived, Ours), V2_VMAC;
    ours_with_keepalived_ipv6_unicast: (Ours, Keepalived), IPV6_UNICAST;
    keepalived_with_ours_ipv6_unicast: (Keepalived, Ours), IPV6_UNICAST;
    ours_with_keepalived_ipv6_vmac: (Ours, Keepalived), IPV6_VMAC;
    keepalived_with_ours_ipv6_vmac: (Keepalived, Ours), IPV6_VMAC;
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn killing_one_process_never_leaves_the_address_behind() {
    kit::sandboxed(|| {
        let mut pair = Pair::up((Ours, Ours), V3, "", "");
        for role in ["worker", "helper", "guardian"] {
            let pid = match role {
                "guardian" => pair.a.daemon.as_ref().expect("started").pid(),
                role => pair.a.child(role),
            };
            let killed = Instant::now();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL)
                .expect("it runs");
            if role == "helper" {
                // the role stays, another helper comes
                wait_until("another helper", LONG, || {
                    pair.a.children().len() == 2 && pair.a.child("helper") != pid
                });
                assert!(pair.a.holds(VIP));
                continue;
            }
            wait_until("the address is gone", LONG, || {
                !pair.a.holds(VIP) || pair.b.holds(VIP)
            });
            wait_until("only B holds it", LONG, || {
                !pair.a.holds(VIP) && pair.b.holds(VIP)
            });
            assert!(killed.elapsed() < Duration::from_secs(3), "{role}");
            if role == "worker" {
                // the guardian starts another one, which takes the role back
                pair.settled_on_a();
            }
        }
        pair.a.daemon = None;
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn killing_all_processes_lets_the_lease_end_the_address() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        let since = Instant::now();
        freeze(&pair.a, true);
        wait_until("the lease ends", LONG, || !pair.a.holds(VIP));
        assert!(since.elapsed() < Duration::from_secs(13));
        pair.holder("B");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_hung_daemon_loses_the_address_and_comes_back_as_backup_first() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        let pids = freeze(&pair.a, false);
        wait_until("the lease ends", LONG, || !pair.a.holds(VIP));
        pair.holder("B");
        for pid in pids {
            let _ = nix::sys::signal::kill(pid, Signal::SIGCONT);
        }
        pair.settled_on_a();
        assert!(pair.a.tool(&["explain"]).contains("without an advert"));
    });
}

/// Both adverts and heartbeats of a master would be a wake-up each: at intervals so short the
/// adverts say that the host lives.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn adverts_of_a_short_interval_stand_for_heartbeats() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        wait_until("both know each other as ours", LONG, || {
            let knows = |site: &Site| site.tool(&["status"]).contains(": alive");
            knows(&pair.a) && knows(&pair.b)
        });
        let sent = || -> u32 {
            let counters = pair.a.host.run("cat", &["/proc/net/snmp"]);
            let udp = counters.lines().rfind(|l| l.starts_with("Udp:"));
            let mut words = udp.expect("its counters").split_whitespace();
            let sent = words.nth(4).expect("OutDatagrams");
            sent.parse().expect("a number")
        };
        wait_until("two seconds of few heartbeats", LONG, || {
            let before = sent();
            std::thread::sleep(Duration::from_secs(2));
            sent() - before < 20
        });
        assert!(pair.a.tool(&["status"]).contains(": alive"));
        assert!(pair.b.tool(&["status"]).contains(": alive"));
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn demote_resume_and_maintenance_move_the_role_without_a_lost_connection() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        let (outage, _) = pair.moves_to("B", || {
            pair.a.tool(&["demote"]);
        });
        assert!(outage < Duration::from_millis(650), "demote: {outage:?}");
        assert!(pair.a.tool(&["status"]).contains("demoted"));
        assert!(
            pair.a
                .tool(&["explain"])
                .contains("demoted by the operator")
        );
        let (outage, _) = pair.moves_to("A", || {
            pair.a.tool(&["resume"]);
        });
        assert!(outage < Duration::from_millis(650), "resume: {outage:?}");
        pair.moves_to("B", || {
            pair.a.tool(&["maintenance", "VI_1"]);
        });
        let status: serde_json::Value =
            serde_json::from_str(&pair.a.tool(&["status", "--json"])).expect("JSON");
        assert_eq!(status["instances"][0]["maintenance"], true);
        pair.moves_to("A", || {
            pair.a.tool(&["resume"]);
        });
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_dead_proxy_moves_the_role_at_once_whatever_interval_and_fall_say() {
    kit::sandboxed(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let proxy = folder.path().join("proxyundertest");
        std::os::unix::fs::symlink("/bin/sleep", &proxy).expect("a link");
        let pid_file = folder.path().join("proxy-under-test.pid");
        let top = format!(
            "vrrp_script chk {{\n script \"/bin/kill -0 $(cat {})\"\n \
             interval 30\n fall 3\n rise 1\n weight -20\n}}\n",
            pid_file.display()
        );
        let mut process = Command::new("/bin/sleep")
            .arg("600")
            .spawn()
            .expect("sleep runs");
        std::fs::write(&pid_file, process.id().to_string()).expect("writable");
        let mut pair = Pair::quiet((Ours, Ours), V2);
        pair.a.configure(V2, &top, " track_script {\n chk\n }\n");
        pair.b.configure(V2, "", "");
        pair.a.start();
        pair.b.start();
        pair.settled_on_a();
        wait_until("the pair knows each other", LONG, || {
            pair.a.tool(&["status"]).contains("alive")
        });
        let since = Instant::now();
        process.kill().expect("own child");
        process.wait().expect("own child");
        pair.client.wait_answer(since, b'B', LONG);
        assert!(
            since.elapsed() < Duration::from_secs(2),
            "{:?}",
            since.elapsed()
        );
        assert!(
            pair.a
                .tool(&["explain"])
                .contains("script chk lost its last process")
        );
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_reload_keeps_the_role_and_a_broken_file_changes_nothing() {
    kit::sandboxed(|| {
        let mut pair = Pair::up((Ours, Ours), V3, "", "");
        wait_until("the pair knows each other", LONG, || {
            pair.a.tool(&["status"]).contains("alive")
        });
        let since = Instant::now();
        let text = std::fs::read_to_string(pair.a.path("vrrp.conf")).expect("readable");
        let more = text.replace(" 10.77.0.50/24\n", " 10.77.0.50/24\n 10.77.0.51/24\n");
        std::fs::write(pair.a.path("vrrp.conf"), &more).expect("writable");
        pair.a.signal(Signal::SIGHUP);
        wait_until("the new address is there", LONG, || {
            pair.a.holds("10.77.0.51")
        });
        let other = std::fs::read_to_string(pair.b.path("vrrp.conf")).expect("readable");
        let other = other.replace(" 10.77.0.50/24\n", " 10.77.0.50/24\n 10.77.0.51/24\n");
        std::fs::write(pair.b.path("vrrp.conf"), other).expect("writable");
        pair.b.signal(Signal::SIGHUP);
        let mut b = pair.b.daemon.take().expect("started");
        b.wait_line("reloaded", LONG);
        pair.b.daemon = Some(b);

        std::fs::write(pair.a.path("vrrp.conf"), "vrrp_instance VI_1 {\n").expect("writable");
        pair.a.signal(Signal::SIGHUP);
        let mut a = pair.a.daemon.take().expect("started");
        a.wait_line("the file is refused", LONG);
        pair.a.daemon = Some(a);
        assert!(pair.a.holds(VIP) && pair.a.holds("10.77.0.51") && !pair.b.holds(VIP));

        std::fs::write(pair.a.path("vrrp.conf"), &text).expect("writable");
        pair.a.signal(Signal::SIGHUP);
        wait_until("the address is taken away", LONG, || {
            !pair.a.holds("10.77.0.51")
        });
        let (outage, _) = pair.client.outage(since);
        assert!(outage < Duration::from_secs(1), "{outage:?}");
        let answers = pair.client.since(since);
        assert!(
            answers.iter().all(|a| a.answer != Some(b'B')),
            "the role moved"
        );
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn maintenance_and_demotion_outlive_a_worker() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        for (order, words) in [("maintenance", "(maintenance)"), ("demote", "(demoted)")] {
            pair.moves_to("B", || drop(pair.a.tool(&[order])));
            let worker = pair.a.child("worker");
            let killed = nix::unistd::Pid::from_raw(worker);
            nix::sys::signal::kill(killed, Signal::SIGKILL).expect("it runs");
            wait_until("another worker", LONG, || pair.a.child("worker") != worker);
            wait_until("it follows B", LONG, || {
                let line = pair.a.try_tool(&["status"]).unwrap_or_default();
                line.contains(words) && line.contains("10.77.0.12")
            });
            let since = Instant::now();
            wait_until("time to take over", LONG, || {
                assert!(!pair.a.holds(VIP));
                since.elapsed() > Duration::from_secs(1)
            });
            pair.moves_to("A", || drop(pair.a.tool(&["resume"])));
        }
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_run_directory_that_takes_no_file_costs_a_new_worker_its_socket_only() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        let run = pair.a.path("run");
        let worker = pair.a.child("worker");
        // guardian and worker have given up the right to write regardless
        for (path, mode) in [(run.join("vip-worker.pid"), 0o400), (run, 0o500)] {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("own file");
        }
        let killed = nix::unistd::Pid::from_raw(worker);
        pair.moves_to("B", || {
            nix::sys::signal::kill(killed, Signal::SIGKILL).expect("it runs");
        });
        pair.settled_on_a();
        assert_ne!(pair.a.child("worker"), worker);
        let log = pair.a.daemon.as_ref().expect("started").output();
        assert!(log.contains("no admin socket"), "{log}");
    });
}

/// Sets the soft limit of a process's open files.
fn limit_files(pid: i32, most: usize) {
    let (pid, most) = (pid.to_string(), format!("--nofile={most}:"));
    let mut command = Command::new("prlimit");
    command.args(["--pid", &pid, &most]);
    assert!(command.status().expect("prlimit runs").success());
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_script_helper_that_cannot_be_started_costs_no_role() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        let guardian = pair.a.daemon.as_ref().expect("started").pid();
        // as many as it waits for: the numbers of the helper that dies do for no other one
        limit_files(guardian, 4);
        let helper = pair.a.child("helper");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(helper), Signal::SIGKILL)
            .expect("it runs");
        wait_until("the guardian tries and cannot", LONG, || {
            let log = pair.a.daemon.as_ref().expect("started").output();
            log.contains("cannot start a script helper")
        });
        assert!(pair.a.holds(VIP) && !pair.b.holds(VIP));
        limit_files(guardian, 1024);
        let another = pair.a.child("helper");
        assert_ne!(another, helper);
        assert!(pair.a.holds(VIP) && !pair.b.holds(VIP));
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_split_brain_is_reported_and_healed() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        wait_until("both know each other as ours", LONG, || {
            let knows = |site: &Site| site.tool(&["status"]).contains(": alive");
            knows(&pair.a) && knows(&pair.b)
        });
        // the two cannot hear each other, the client hears both
        for site in [&pair.a, &pair.b] {
            let other = if site.number == 11 { 12 } else { 11 };
            let rules = format!(
                "table inet t {{ chain i {{ type filter hook input priority 0; \
                 ip saddr 10.77.0.{other} drop; }}; }}"
            );
            let file = site.path("rules.nft");
            std::fs::write(&file, rules).expect("writable");
            site.host.run("nft", &["-f", &file.display().to_string()]);
        }
        wait_until("both hold the address", LONG, || {
            pair.a.holds(VIP) && pair.b.holds(VIP)
        });
        wait_until("A sees that somebody else claims it", LONG, || {
            pair.a.tool(&["status"]).contains("SPLIT BRAIN")
        });
        for site in [&pair.a, &pair.b] {
            site.host.run("nft", &["flush", "ruleset"]);
        }
        pair.holder("A");
        pair.client
            .wait_answer(Instant::now(), b'A', Duration::from_secs(3));
        wait_until("the loser reports it, too", LONG, || {
            let text = pair.b.tool(&["explain"]);
            text.contains("10.77.0.11 is active too") || text.contains("is claimed by")
        });
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_backup_that_was_late_takes_nothing_from_a_living_master() {
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), V3, "", "");
        let counter = |name: &str| {
            let status = pair.b.tool(&["status", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
            let count = &status["instances"][0]["counters"][name];
            count.as_u64().expect("a counter")
        };
        let before = counter("became_master");
        let worker = nix::unistd::Pid::from_raw(pair.b.child("worker"));
        let of_a = "10.77.0.11".parse().expect("an address");
        for _ in 0..3 {
            nix::sys::signal::kill(worker, Signal::SIGSTOP).expect("it runs");
            pair.sniffer.clear();
            wait_until("adverts for longer than a backup waits", LONG, || {
                pair.sniffer.adverts_of(of_a).len() >= 10
            });
            nix::sys::signal::kill(worker, Signal::SIGCONT).expect("it runs");
            let heard = counter("adverts_received");
            wait_until("B goes on", LONG, || {
                counter("adverts_received") > heard + 2
            });
        }
        assert_eq!(counter("became_master"), before);
        assert!(counter("late") >= 3, "it knows that it was late");
        let told = pair.b.tool(&["explain"]);
        assert!(told.contains("ms: the process did not run"), "{told}");
    });
}
