//! Many things at once: addresses in one advert, adverts in one moment.

mod kit;

use kit::stage::{FROM_OTHER, LONG, Stage, VIP, lines};
use kit::vrrp::{Injector, Seen, v3};
use kit::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{IpAddr, Ipv6Addr};

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_advert_lists_what_fits_into_a_packet_and_the_rest_moves_unlisted() {
    kit::sandboxed(|| {
        let global = |at: u16| format!("2001:db8::{at:x}/64");
        let more: Vec<String> = (1..120).map(global).collect();
        let list = format!("fe80::50/64\n{}", more.join("\n"));
        let stage = Stage::up(&lines(3, "0.2", 100, &list));
        stage.wait_state("MASTER");
        let Seen::Advert { body, .. } = stage.advert() else {
            unreachable!("an announcement is no advert");
        };
        // header and as many addresses as keepalived counts at an MTU of 1500
        assert_eq!(body.len(), 8 + 89 * 16);
        let last = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 119));
        let shown = stage
            .host
            .run("ip", &["-6", "address", "show", "dev", "eth0"]);
        assert!(shown.contains(&last.to_string()), "{shown}");
    });
}

/// The process of the stage's daemon that hears adverts.
fn worker(stage: &Stage) -> Pid {
    let main = stage.daemon.pid();
    let children = format!("/proc/{main}/task/{main}/children");
    let children = std::fs::read_to_string(children).expect("the daemon runs");
    let is_worker = |pid: &&str| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|line| line.contains("--role=worker"))
    };
    let pid = children.split_whitespace().find(is_worker);
    Pid::from_raw(pid.expect("a worker").parse().expect("a number"))
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn adverts_that_come_in_one_moment_are_all_heard() {
    const MANY: u64 = 600;
    kit::sandboxed(|| {
        let stage = Stage::up(&lines(3, "30", 100, "10.77.0.50/24"));
        stage.wait_state("BACKUP");
        let injector = Injector::new(&stage.other);
        let advert = v3(51, 200, 3000, &[VIP]);
        let worker = worker(&stage);
        kill(worker, Signal::SIGSTOP).expect("it runs");
        for _ in 0..MANY {
            injector.send(FROM_OTHER, &advert);
        }
        kill(worker, Signal::SIGCONT).expect("it is there");
        let heard = || {
            let status = stage.status();
            status["instances"][0]["counters"]["adverts_received"].as_u64()
        };
        wait_until("all are heard", LONG, || heard() == Some(MANY));
    });
}
