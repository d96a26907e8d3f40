//! Two hosts and a client on a bridge: every failover, ours with ours and ours
//! with keepalived in both roles. Asserts what must never happen, with bounds
//! ten times the goals.

mod kit;

use kit::vrrp::{Client, Sniffer, serve};
use kit::{Daemon, Host, Lab, wait_until};
use nix::sys::signal::Signal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const VIP: &str = "10.77.0.50";
const VIP6: &str = "fd77::50";

/// Which daemon runs on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ours,
    Keepalived,
}
use Kind::{Keepalived, Ours};

/// What the files say.
#[derive(Clone, Copy)]
struct Flavour {
    version: u8,
    adv: &'static str,
    v6: bool,
    unicast: bool,
    vmac: bool,
    auth: bool,
}

const V3: Flavour = Flavour {
    version: 3,
    adv: "0.1",
    v6: false,
    unicast: false,
    vmac: false,
    auth: false,
};

struct Site {
    host: Host,
    kind: Kind,
    daemon: Option<Daemon>,
    folder: tempfile::TempDir,
    number: u8,
}

impl Site {
    fn new(lab: &mut Lab, name: &str, number: u8, kind: Kind) -> Site {
        let v4 = format!("10.77.0.{number}/24");
        let v6 = format!("fd77::{number}/64");
        let host = lab.host(name, &[&v4, &v6]);
        serve(&host, name.as_bytes()[0]);
        Site {
            host,
            kind,
            daemon: None,
            folder: tempfile::tempdir().expect("a folder"),
            number,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, flavour: Flavour, extra_top: &str, extra: &str) {
        let priority = if self.number == 11 { 110 } else { 100 };
        let peer = if self.number == 11 { 12 } else { 11 };
        let net = if flavour.v6 { "fd77::" } else { "10.77.0." };
        let mut lines = format!(
            "global_defs {{\n router_id r{}\n script_user root\n}}\n{extra_top}\n\
             vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
             version {}\n priority {priority}\n advert_int {}\n",
            self.number, flavour.version, flavour.adv
        );
        if flavour.auth {
            lines += " authentication {\n auth_type PASS\n auth_pass 1111\n }\n";
        }
        if flavour.unicast {
            lines += &format!(
                " unicast_src_ip {net}{}\n unicast_peer {{\n {net}{peer}\n }}\n",
                self.number
            );
        }
        if flavour.vmac {
            lines += " use_vmac\n";
        }
        lines += extra;
        let addresses = if flavour.v6 {
            format!(" fe80::77:50/64\n {VIP6}/64\n")
        } else {
            format!(" {VIP}/24\n")
        };
        lines += &format!(" virtual_ipaddress {{\n{addresses} }}\n}}\n");
        std::fs::write(self.path("vrrp.conf"), lines).expect("writable");
    }

    fn start(&mut self) {
        let config = self.path("vrrp.conf").display().to_string();
        let run = self.path("run").display().to_string();
        let mut command: Command;
        match self.kind {
            Ours => {
                command = self.host.command(kit::binary().to_str().expect("a path"));
                command.args(["vip", "-n", "-l", "-D", "-f", &config, "--run-dir", &run]);
            }
            Keepalived => {
                command = self.host.command("keepalived");
                command.args(["-n", "-l", "-D", "-P", "-f", &config]);
                command.args(["-p", &format!("{run}-m.pid"), "-r", &format!("{run}-v.pid")]);
            }
        }
        self.daemon = Some(Daemon::start(&self.host.name, &mut command));
    }

    fn signal(&self, signal: Signal) {
        self.daemon.as_ref().expect("it was started").signal(signal);
    }

    fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        daemon.stop();
    }

    fn holds(&self, address: &str) -> bool {
        let shown = self
            .host
            .run("ip", &["-o", "address", "show", "to", address]);
        !shown.trim().is_empty()
    }

    fn tool(&self, words: &[&str]) -> String {
        let run = self.path("run").display().to_string();
        let mut all = vec!["vip"];
        all.extend(words);
        all.extend(["--run-dir", &run]);
        let output = self
            .host
            .command(kit::binary().to_str().expect("a path"))
            .args(all)
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{words:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// Process ids of the guardian's children.
    fn children(&self) -> Vec<i32> {
        let pid = self.daemon.as_ref().expect("it was started").pid();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .filter_map(|p| p.parse().ok())
            .collect()
    }

    fn child(&self, role: &str) -> i32 {
        let wanted = format!("--role={role}");
        kit::wait_for("the child process", Duration::from_secs(5), || {
            self.children().into_iter().find(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(&wanted)
            })
        })
    }
}

struct Pair {
    lab: Lab,
    a: Site,
    b: Site,
    client: Client,
    sniffer: Sniffer,
    address: &'static str,
    _c: Host,
}

const LONG: Duration = Duration::from_secs(20);

impl Pair {
    /// Both daemons started and A settled as master.
    fn up(kinds: (Kind, Kind), flavour: Flavour, top: &str, extra: &str) -> Pair {
        let mut lab = Lab::new();
        let a = Site::new(&mut lab, "A", 11, kinds.0);
        let b = Site::new(&mut lab, "B", 12, kinds.1);
        let c = lab.host("C", &["10.77.0.100/24", "fd77::100/64"]);
        let address = if flavour.v6 { VIP6 } else { VIP };
        let ip: IpAddr = address.parse().expect("an address");
        let mut pair = Pair {
            client: Client::start(&c, ip),
            sniffer: Sniffer::start(&c),
            lab,
            a,
            b,
            address,
            _c: c,
        };
        pair.a.configure(flavour, top, extra);
        pair.b.configure(flavour, top, extra);
        pair.a.start();
        pair.b.start();
        pair.settled_on_a();
        pair
    }

    fn settled_on_a(&self) {
        self.holder("A");
        self.client.wait_answer(Instant::now(), b'A', LONG);
    }

    fn holder(&self, name: &str) {
        let wanted = (name == "A", name == "B");
        wait_until(&format!("only {name} holds {}", self.address), LONG, || {
            (self.a.holds(self.address), self.b.holds(self.address)) == wanted
        });
    }

    /// Runs `event`, waits until `name` answers the client, and gives the outage.
    fn moves_to(&self, name: &str, event: impl FnOnce()) -> (Duration, usize) {
        let since = Instant::now();
        event();
        let letter = name.as_bytes()[0];
        self.client.wait_answer(since, letter, LONG);
        self.holder(name);
        self.client.wait_answer(Instant::now(), letter, LONG);
        self.client.outage(since)
    }
}

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
        let bound = if kinds.0 == Ours {
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
        assert!(
            outage < Duration::from_millis(200) + slack,
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

const V2: Flavour = Flavour {
    version: 2,
    adv: "1",
    auth: true,
    ..V3
};
const UNICAST: Flavour = Flavour {
    unicast: true,
    ..V3
};
const VMAC: Flavour = Flavour { vmac: true, ..V3 };
const IPV6: Flavour = Flavour { v6: true, ..V3 };

rounds! {
    ours_with_ours_v3: (Ours, Ours), V3;
    ours_with_keepalived_v3: (Ours, Keepalived), V3;
    keepalived_with_ours_v3: (Keepalived, Ours), V3;
    ours_with_ours_v2_password: (Ours, Ours), V2;
    ours_with_keepalived_v2_password: (Ours, Keepalived), V2;
    keepalived_with_ours_v2_password: (Keepalived, Ours), V2;
    ours_with_ours_unicast: (Ours, Ours), UNICAST;
    ours_with_keepalived_unicast: (Ours, Keepalived), UNICAST;
    keepalived_with_ours_unicast: (Keepalived, Ours), UNICAST;
    ours_with_ours_vmac: (Ours, Ours), VMAC;
    ours_with_keepalived_vmac: (Ours, Keepalived), VMAC;
    keepalived_with_ours_vmac: (Keepalived, Ours), VMAC;
    ours_with_ours_ipv6: (Ours, Ours), IPV6;
    ours_with_keepalived_ipv6: (Ours, Keepalived), IPV6;
    keepalived_with_ours_ipv6: (Keepalived, Ours), IPV6;
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

/// Stops (or kills) every process of A at once; gives the pids.
fn freeze(site: &Site, kill: bool) -> Vec<nix::unistd::Pid> {
    let mut pids = vec![site.daemon.as_ref().expect("started").pid()];
    pids.extend(site.children());
    let pids: Vec<_> = pids.into_iter().map(nix::unistd::Pid::from_raw).collect();
    for pid in &pids {
        let _ = nix::sys::signal::kill(*pid, Signal::SIGSTOP);
    }
    for pid in pids.iter().filter(|_| kill) {
        let _ = nix::sys::signal::kill(*pid, Signal::SIGKILL);
    }
    pids
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
        let top = "vrrp_script chk {\n script \"/bin/kill -0 $(cat /tmp/proxy-under-test.pid)\"\n \
                   interval 30\n fall 3\n rise 1\n weight -20\n}\n";
        kit::run("mount", &["-t", "tmpfs", "tmpfs", "/tmp"]);
        let mut process = Command::new("/bin/sleep")
            .arg("600")
            .spawn()
            .expect("sleep runs");
        std::fs::write("/tmp/proxy-under-test.pid", process.id().to_string()).expect("writable");
        let mut pair = {
            let mut lab = Lab::new();
            let a = Site::new(&mut lab, "A", 11, Ours);
            let b = Site::new(&mut lab, "B", 12, Ours);
            let c = lab.host("C", &["10.77.0.100/24"]);
            let ip: IpAddr = VIP.parse().expect("an address");
            Pair {
                client: Client::start(&c, ip),
                sniffer: Sniffer::start(&c),
                lab,
                a,
                b,
                address: VIP,
                _c: c,
            }
        };
        pair.a.configure(V2, top, " track_script {\n chk\n }\n");
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
