//! What a hand-over looks like from outside: to clients that ask in the wrong
//! moment, to a keepalived backup, to the operator who asked for it, to systemd.
//! And what an instance holds beside addresses.

mod kit;

use kit::lab::Host;
use kit::pair::*;
use kit::stage::{FROM_OTHER, Stage, lines};
use kit::vrrp::{Injector, Seen, v3};
use kit::{Daemon, binary, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

const SLOW: Flavour = Flavour { adv: "1", ..V3 };

/// Whether C gets an answer for an address that it has to ask for first.
fn answers(pair: &Pair, address: &str) -> bool {
    pair.c.run("ip", &["neighbour", "flush", "dev", "eth0"]);
    let script = format!("ping -c1 -W1 -q {address} >/dev/null && echo yes || echo no");
    pair.c.run("sh", &["-c", &script]).trim() == "yes"
}

/// Demotes A and stops its worker within the grace, while it is mute for the address; gives the
/// worker's pid.
fn stopped_in_the_grace(pair: &Pair, run: &str) -> Pid {
    let worker = Pid::from_raw(pair.a.child("worker"));
    let mute = || {
        let rules = pair.a.host.run("nft", &["list", "ruleset"]);
        rules.contains("chain mute") && pair.a.holds(pair.address)
    };
    for _ in 0..50 {
        let mut demote = pair.a.host.command(&binary().display().to_string());
        demote.args(["vip", "demote", "--run-dir", run]);
        let mut demote = demote.stdout(Stdio::null()).spawn().expect("it runs");
        let end = Instant::now() + Duration::from_secs(5);
        while !mute() && pair.a.holds(pair.address) && Instant::now() < end {}
        kill(worker, Signal::SIGSTOP).expect("it runs");
        if mute() {
            // it asks a worker that does not answer now
            demote.kill().expect("own child");
            demote.wait().expect("own child");
            return worker;
        }
        kill(worker, Signal::SIGCONT).expect("it runs");
        demote.wait().expect("own child");
        pair.holder("B");
        pair.a.tool(&["resume"]);
        pair.settled_on_a();
    }
    panic!("the grace was never seen");
}

fn mute_in_the_grace(flavour: Flavour, own: &str) {
    kit::sandboxed(|| {
        let lasting = "global_defs {\n address_lease off\n}\n";
        let pair = Pair::up((Ours, Ours), flavour, lasting, "");
        let run = pair.a.path("run").display().to_string();
        let worker = stopped_in_the_grace(&pair, &run);
        // B would answer in A's place
        pair.lab.cut(&pair.b.host, true);
        assert!(!answers(&pair, pair.address), "A told its address");
        assert!(answers(&pair, own), "its own addresses answer");
        assert!(pair.a.holds(pair.address), "the address was there");
        pair.lab.cut(&pair.b.host, false);
        kill(worker, Signal::SIGCONT).expect("it runs");
        pair.holder("B");
        wait_until("the rules are gone", LONG, || {
            pair.a.host.run("nft", &["list", "ruleset"]).is_empty()
        });
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn in_the_grace_the_old_host_answers_no_arp_for_the_address() {
    mute_in_the_grace(SLOW, "10.77.0.11");
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn in_the_grace_the_old_host_answers_no_neighbour_solicitation_for_the_address() {
    let flavour = Flavour { v6: true, ..SLOW };
    mute_in_the_grace(flavour, "fd77::11");
}

#[test]
#[ignore = "needs root and keepalived; tests/run installs it and runs this"]
fn a_keepalived_backup_learns_the_shortest_interval_before_priority_zero() {
    kit::sandboxed(|| {
        let mut pair = Pair::up((Ours, Keepalived), SLOW, "", "");
        pair.sniffer.clear();
        // its skew time would be 609 ms
        let skew = Duration::from_millis(609);
        let (outage, _) = pair.moves_to("B", || pair.a.signal(Signal::SIGTERM));
        assert!(outage < skew, "{outage:?}");
        let (a, b) = (Ipv4Addr::new(10, 77, 0, 11), Ipv4Addr::new(10, 77, 0, 12));
        let seen: Vec<(Instant, IpAddr, u8, u16)> = pair
            .sniffer
            .all()
            .into_iter()
            .filter_map(|(at, seen)| match seen {
                Seen::Advert { from, body, .. } => {
                    Some((at, from, body[2], u16::from_be_bytes([body[4], body[5]])))
                }
                Seen::Announcement { .. } => None,
            })
            .collect();
        let zero = seen.iter().position(|s| s.2 == 0).expect("priority 0");
        assert_eq!((seen[zero].1, seen[zero].3), (a.into(), 100));
        let before = seen[zero - 1];
        assert_eq!((before.1, before.2, before.3), (a.into(), 110, 1));
        let first = seen
            .iter()
            .find(|s| s.1 == IpAddr::V4(b))
            .expect("B took over");
        let waited = first.0 - seen[zero].0;
        assert!(waited < skew, "{waited:?}");
        pair.a.daemon = None;
        pair.b.stop();
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn demote_says_who_took_over_and_fails_when_nobody_does() {
    kit::sandboxed(|| {
        let mut pair = Pair::up((Ours, Ours), V3, "", "");
        let said = pair.a.tool(&["demote"]);
        assert!(
            said.starts_with("VI_1: 10.77.0.12 is master, after "),
            "{said}"
        );
        let said = pair.a.tool(&["demote"]);
        assert!(
            said.contains("was backup already (10.77.0.12 is master)"),
            "{said}"
        );
        let said = pair.a.tool(&["resume"]);
        assert!(said.contains("takes part in the election"), "{said}");
        pair.settled_on_a();
        let said = pair.a.tool(&["maintenance", "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(said["instances"][0]["master"], "10.77.0.12");
        assert!(said["instances"][0]["took_ms"].is_u64(), "{said}");
        pair.a.tool(&["resume"]);
        pair.settled_on_a();
        pair.b.stop();
        let output = pair
            .a
            .host
            .command(&binary().display().to_string())
            .args(["vip", "demote", "--run-dir"])
            .arg(pair.a.path("run"))
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("VI_1: nobody took over within"), "{text}");
        assert!(pair.a.holds(VIP));
    });
}

/// The next message to systemd and the pid of its sender.
fn told(socket: &UnixDatagram) -> (String, i32) {
    let mut text = [0; 1024];
    let mut space = nix::cmsg_space!(nix::libc::ucred);
    let mut parts = [IoSliceMut::new(&mut text)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::empty(),
    )
    .expect("a message");
    let pid = message.cmsgs().expect("whole").find_map(|c| match c {
        ControlMessageOwned::ScmCredentials(of) => Some(of.pid()),
        _ => None,
    });
    let length = message.bytes;
    let pid = pid.expect("credentials");
    (String::from_utf8_lossy(&text[..length]).into_owned(), pid)
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn systemd_hears_everything_from_the_main_process() {
    kit::sandboxed(|| {
        for command in [
            &["link", "add", "eth0", "type", "veth", "peer", "name", "p0"][..],
            &["link", "set", "p0", "up"],
            &["address", "add", "10.77.0.11/24", "dev", "eth0"],
            &["link", "set", "eth0", "up"],
        ] {
            kit::run("ip", command);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("notify");
        let socket = UnixDatagram::bind(&place).expect("a socket");
        socket.set_read_timeout(Some(LONG)).expect("a timeout");
        setsockopt(&socket, sockopt::PassCred, &true).expect("credentials");
        let file = folder.path().join("vrrp.conf");
        let instance = lines(3, "0.1", 100, "10.77.0.50/24");
        let text = format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n{instance}\n}}\n"
        );
        std::fs::write(&file, text).expect("writable");
        let mut command = std::process::Command::new(binary());
        command.args([
            "vip",
            "-n",
            "-l",
            "-f",
            &file.display().to_string(),
            "--run-dir",
        ]);
        command.arg(folder.path().join("run"));
        command
            .env("NOTIFY_SOCKET", &place)
            .env("WATCHDOG_USEC", "400000");
        let mut daemon = Daemon::start("vip", &mut command);
        let main = daemon.pid();
        let until = |wanted: &str| {
            loop {
                let (text, pid) = told(&socket);
                assert_eq!(pid, main, "{text}");
                if text.contains(wanted) {
                    return text;
                }
            }
        };
        assert!(until("READY=1").contains(&format!("MAINPID={main}")));
        until("STATUS=VI_1 MASTER");
        until("WATCHDOG=1");
        daemon.signal(Signal::SIGHUP);
        until("RELOADING=1");
        until("READY=1");
        daemon.signal(Signal::SIGTERM);
        until("STOPPING=1");
        daemon.wait_exit(LONG);
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn without_accept_packets_are_dropped_and_rules_last_as_long_as_the_role() {
    kit::sandboxed(|| {
        let rules = " no_accept\n virtual_rules {\n from 10.77.0.50 table 77 priority 700\n \
                     from fd77::50 table 77 priority 701\n }\n virtual_routes {\n \
                     198.51.100.0/24 dev eth0 table 77\n }\n";
        let instance = lines(3, "0.1", 100, "10.77.0.50/24");
        let stage = Stage::up(&format!("{rules}{instance}"));
        stage.wait_state("MASTER");
        let ping = |address: &str| {
            let script = format!("ping -c1 -W1 -q {address} >/dev/null && echo yes || echo no");
            stage.other.run("sh", &["-c", &script]).trim() == "yes"
        };
        assert!(!ping("10.77.0.50"), "no packet is taken");
        let known = stage.other.run("ip", &["neighbour", "show", "10.77.0.50"]);
        assert!(known.contains("lladdr"), "ARP answers: {known}");
        assert!(ping("10.77.0.11"));
        let shown = || {
            let four = stage.host.run("ip", &["rule"]);
            four + &stage.host.run("ip", &["-6", "rule"])
        };
        let there = shown();
        assert!(there.contains("700:\tfrom 10.77.0.50 lookup 77"), "{there}");
        assert!(there.contains("701:\tfrom fd77::50 lookup 77"), "{there}");
        let injector = Injector::new(&stage.other);
        injector.send(
            FROM_OTHER,
            &v3(51, 200, 4000, &[Ipv4Addr::new(10, 77, 0, 50)]),
        );
        stage.wait_state("BACKUP");
        wait_until("the rules are gone", LONG, || {
            !shown().contains("lookup 77")
        });
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_reload_with_another_number_leaves_no_moment_without_the_address() {
    kit::sandboxed(|| {
        // at 0.1 s a busy machine is late enough for the daemon to give the address up by itself
        let stage = Stage::up(&lines(3, "1", 100, "10.77.0.50/24"));
        stage.wait_state("MASTER");
        let mut monitor = stage.host.command("ip");
        monitor.args(["monitor", "address"]);
        let monitor = Daemon::start("ip monitor", &mut monitor);
        let file = stage.folder.path().join("vrrp.conf");
        let text = std::fs::read_to_string(&file).expect("readable");
        let other = text.replace("virtual_router_id 51", "virtual_router_id 52");
        std::fs::write(&file, other).expect("writable");
        stage.daemon.signal(Signal::SIGHUP);
        stage.sniffer.wait(
            "an advert with the new number",
            |s| matches!(s, Seen::Advert { body, .. } if body[1] == 52 && body[2] == 100),
        );
        wait_until("the old instance is gone", LONG, || {
            stage.status()["instances"].as_array().map(Vec::len) == Some(1)
        });
        assert_eq!(stage.state(), "MASTER");
        assert!(monitor.output().contains("10.77.0.50"), "renewals are seen");
        assert!(
            !monitor.output().contains("Deleted"),
            "{}",
            monitor.output()
        );
    });
}

/// Writes the file anew with a change and reloads it.
fn reload(stage: &Stage, from: &str, to: &str) {
    let file = stage.folder.path().join("vrrp.conf");
    let text = std::fs::read_to_string(&file).expect("readable");
    assert!(text.contains(from), "{text}");
    std::fs::write(&file, text.replace(from, to)).expect("writable");
    stage.daemon.signal(Signal::SIGHUP);
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_reload_closes_the_sockets_that_nobody_needs_any_more() {
    kit::sandboxed(|| {
        let auth = " authentication {\n auth_type AH\n auth_pass 1111\n }\n";
        let instance = lines(2, "1", 100, "10.77.0.50/24");
        let stage = Stage::up(&format!("{auth}{instance}"));
        stage.wait_state("MASTER");
        // protocols 51 and 112
        let listens = |protocol: &str| stage.host.run("cat", &["/proc/net/raw"]).contains(protocol);
        assert!(listens(":0033 ") && listens(":0070 "));
        reload(&stage, "auth_type AH", "auth_type PASS");
        wait_until("no more authentication headers", LONG, || {
            !listens(":0033 ")
        });
        assert!(listens(":0070 "));
        assert_eq!(stage.state(), "MASTER");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_virtual_interface_takes_another_name_and_ends_with_the_daemon() {
    kit::sandboxed(|| {
        let instance = lines(3, "0.1", 100, "10.77.0.50/24 label eth0:a");
        let mut stage = Stage::up(&format!(" use_vmac one\n{instance}"));
        let filter = "/proc/sys/net/ipv4/conf/eth0/arp_ignore";
        let before = stage.host.run("cat", &[filter]);
        let shows = |what: &[&str], text: &str| stage.host.run("ip", what).contains(text);
        let on = |name: &'static str| move || ["-o", "address", "show", "dev", name];
        wait_until("the address is on the interface", LONG, || {
            shows(&["link"], "one@") && shows(&on("one")(), "10.77.0.50")
        });
        reload(&stage, "use_vmac one", "use_vmac two");
        wait_until("the address is on the other one", LONG, || {
            shows(&["link"], "two@") && shows(&on("two")(), "10.77.0.50")
        });
        assert!(!shows(&["link"], "one@"), "the first one is left behind");
        reload(&stage, "use_vmac two", "");
        wait_until("the address has its label", LONG, || {
            !shows(&["link"], "two@") && shows(&on("eth0")(), "eth0:a")
        });
        wait_until("eth0 is as it was", LONG, || {
            stage.host.run("cat", &[filter]) == before
        });
        reload(&stage, "eth0:a", "eth0:b");
        wait_until("the label is another", LONG, || {
            shows(&on("eth0")(), "eth0:b")
        });
        stage.sniffer.clear();
        reload(&stage, " version 3", " use_vmac\n version 3");
        wait_until("the address is on vrrp.51", LONG, || {
            shows(&["link"], "vrrp.51@") && shows(&on("vrrp.51")(), "10.77.0.50")
        });
        wait_until("the old instance is gone", LONG, || {
            stage.status()["instances"].as_array().map(Vec::len) == Some(1)
        });
        stage.advert();
        let seen = stage.sniffer.all();
        let farewell = seen.iter().any(|(_, s)| s.priority() == Some(0));
        assert!(!farewell, "the virtual router has not left: {seen:?}");
        stage.daemon.signal(Signal::SIGTERM);
        stage.daemon.wait_exit(LONG);
        assert!(!shows(&["link"], "vrrp.51"), "it is left behind");
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn static_things_are_there_in_every_role_and_their_loss_is_a_fault_of_the_group() {
    kit::sandboxed(|| {
        let statics = "}\nstatic_ipaddress {\n 10.88.0.1/24 dev eth0\n \
                       10.89.0.1/24 dev extra track_group G\n}\nstatic_routes {\n \
                       198.51.100.0/24 via 10.77.0.1 dev eth0 mtu 1300\n}\nstatic_rules {\n \
                       from 10.88.0.0/24 table 88 priority 500\n}\n\
                       track_group G {\n group {\n VI_1\n }\n";
        let instance = lines(3, "0.1", 100, "10.77.0.50/24");
        let mut stage = Stage::up(&format!("{instance}\n{statics}"));
        let shows = |what: &[&str], text: &str| stage.host.run("ip", what).contains(text);
        let address = || shows(&["-o", "address"], "10.88.0.1/24");
        let others = || shows(&["route"], "mtu 1300") && shows(&["rule"], "lookup 88");
        stage.wait_state("FAULT");
        wait_until("all that can be there is", LONG, || address() && others());
        stage.host.run(
            "ip",
            &[
                "link", "add", "extra", "type", "veth", "peer", "name", "end",
            ],
        );
        stage.wait_state("MASTER");
        assert!(shows(&["-o", "address"], "10.89.0.1/24"));
        stage
            .host
            .run("ip", &["address", "del", "10.88.0.1/24", "dev", "eth0"]);
        wait_until("a deleted address comes back", LONG, address);
        reload(&stage, "10.88.0.1/24", "10.88.0.2/24");
        wait_until("another address takes its place", LONG, || {
            !address() && shows(&["-o", "address"], "10.88.0.2/24")
        });
        assert_eq!(stage.state(), "MASTER");
        stage.daemon.signal(Signal::SIGTERM);
        stage.daemon.wait_exit(LONG);
        assert!(
            !others() && !shows(&["-o", "address"], "10.8"),
            "left behind"
        );
    });
}

/// A python script on a host, after it has printed its first line.
fn script(host: &Host, text: &str) -> (Child, BufReader<ChildStdout>) {
    let mut command = host.command("python3");
    let mut child = command
        .args(["-c", text])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is in the base image");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    lines.read_line(&mut String::new()).expect("its first line");
    (child, lines)
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_client_that_only_waits_is_told_of_the_hand_over() {
    const SERVER: &str = "import socket\n\
        s = socket.create_server(('0.0.0.0', 7000))\n\
        print('listens', flush=True)\n\
        kept = []\n\
        while True: kept.append(s.accept())\n";
    const CLIENT: &str = "import socket\n\
        c = socket.create_connection(('ADDRESS', 7000))\n\
        print('connected', flush=True)\n\
        c.settimeout(30)\n\
        try: print(c.recv(1), flush=True)\n\
        except OSError as e: print(type(e).__name__, flush=True)\n";
    kit::sandboxed(|| {
        let pair = Pair::up((Ours, Ours), SLOW, "", "");
        let (mut server, _listens) = script(&pair.a.host, SERVER);
        let (mut client, mut told) = script(&pair.c, &CLIENT.replace("ADDRESS", pair.address));
        pair.a.tool(&["demote"]);
        let mut line = String::new();
        told.read_line(&mut line).expect("its second line");
        assert_eq!(line.trim(), "ConnectionResetError");
        client.wait().expect("own child");
        server.kill().expect("own child");
        server.wait().expect("own child");
    });
}
