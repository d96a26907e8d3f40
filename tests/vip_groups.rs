//! Routers that move together: sync groups, and many routers that change hosts in one moment.

mod kit;

use kit::pair::{Ours, Pair, Site, V3};
use kit::stage::{FROM_OTHER, LONG, Stage, VIP, lines};
use kit::vrrp::{Injector, v3};
use kit::wait_until;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const SECOND: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 52);

/// A further instance with this number, its address ending in it.
fn router(id: u8, priority: u8, adv: &str) -> String {
    format!(
        "vrrp_instance VI_{id} {{\n state BACKUP\n interface eth0\n virtual_router_id {id}\n\
         {}\n}}\n",
        lines(3, adv, priority, &format!("10.77.0.{id}/24"))
    )
}

/// A group of two that ends where the stage's instance would end.
const GROUP: &str = "vrrp_sync_group G {\n group {\n VI_1\n VI_52\n }\n";

/// The counter of every instance.
fn counts(status: &Value, name: &str) -> Vec<u64> {
    let all = status["instances"].as_array().into_iter().flatten();
    all.map(|i| i["counters"][name].as_u64().expect("a counter"))
        .collect()
}

fn states(status: &Value) -> Vec<&str> {
    let all = status["instances"].as_array().into_iter().flatten();
    all.map(|i| i["state"].as_str().expect("a state")).collect()
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_group_takes_over_when_each_of_its_members_would() {
    kit::sandboxed(|| {
        let second = router(52, 250, "0.3");
        let first = lines(3, "0.3", 100, "10.77.0.50/24");
        let stage = Stage::up(&format!("{first}\n}}\n{second}{GROUP}"));
        let injector = Injector::new(&stage.other);
        // a network that loses the second router's adverts, then a master that is worse for it:
        // ten times its Master_Down_Interval
        for worse in [None, Some(v3(52, 200, 30, &[SECOND]))] {
            let end = Instant::now() + Duration::from_secs(4);
            while Instant::now() < end {
                injector.send(FROM_OTHER, &v3(51, 200, 30, &[VIP]));
                if let Some(advert) = &worse {
                    injector.send(FROM_OTHER, advert);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            let status = stage.status();
            assert_eq!(states(&status), ["BACKUP"; 2]);
            assert_eq!(counts(&status, "became_master"), [0; 2]);
        }
        wait_until("the master is gone for both", LONG, || {
            states(&stage.status()) == ["MASTER"; 2]
        });
        injector.send(FROM_OTHER, &v3(51, 200, 30, &[VIP]));
        wait_until("the group follows its first member", LONG, || {
            states(&stage.status()) == ["BACKUP"; 2]
        });
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn what_one_member_waits_to_hear_is_no_fault_of_the_others() {
    kit::sandboxed(|| {
        let second = router(52, 100, "0.1");
        let first = lines(3, "0.1", 100, "10.77.0.50/24");
        let script = "vrrp_script slow {\n script \"/bin/sh -c 'sleep 0.7'\"\n interval 2\n}\n";
        let mut stage = Stage::up(&format!(
            "{first}\n track_script {{\n slow\n }}\n}}\n{script}{second}{GROUP}"
        ));
        stage.daemon.wait_line("VI_52: BACKUP -> MASTER", LONG);
        let told = stage.daemon.output();
        assert!(!told.contains("FAULT"), "{told}");
        assert!(told.contains("VI_52: INIT -> BACKUP"), "{told}");
    });
}

/// Two of ours with further instances and blocks; A is better for all.
fn pair(top: impl Fn(u8) -> String) -> Pair {
    let mut pair = Pair::quiet((Ours, Ours), V3);
    pair.a.configure(V3, &top(110), "");
    pair.b.configure(V3, &top(100), "");
    pair.a.start();
    pair.b.start();
    pair.settled_on_a();
    pair
}

fn status(site: &Site) -> Value {
    serde_json::from_str(&site.tool(&["status", "--json"])).expect("JSON")
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn an_order_for_a_member_is_one_for_its_group() {
    kit::sandboxed(|| {
        let pair = pair(|priority| format!("{}{GROUP}}}\n", router(52, priority, "0.1")));
        let said = pair.a.tool(&["demote", "VI_52"]);
        for name in ["VI_1", "VI_52"] {
            assert!(
                said.contains(&format!("{name}: 10.77.0.12 is master")),
                "{said}"
            );
        }
        let before = counts(&status(&pair.a), "adverts_received");
        // several Master_Down_Intervals, in which a router that may would take the role back
        wait_until("twenty adverts of each", LONG, || {
            let now = counts(&status(&pair.a), "adverts_received");
            now.iter()
                .zip(&before)
                .all(|(now, before)| *now >= before + 20)
        });
        assert_eq!(states(&status(&pair.a)), ["BACKUP"; 2]);
        pair.a.tool(&["resume", "VI_1"]);
        pair.settled_on_a();
        wait_until("both are back", LONG, || {
            states(&status(&pair.a)) == ["MASTER"; 2]
        });
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_planned_return_of_many_routers_is_no_split_brain() {
    kit::sandboxed(|| {
        let pair = pair(|priority| (60..75).map(|id| router(id, priority, "0.1")).collect());
        for _ in 0..4 {
            pair.a.tool(&["demote"]);
            pair.holder("B");
            pair.a.tool(&["resume"]);
            pair.settled_on_a();
            wait_until("all are back", LONG, || {
                states(&status(&pair.a)).iter().all(|s| *s == "MASTER")
            });
        }
        for site in [&pair.a, &pair.b] {
            let evidence = counts(&status(site), "split_brain_evidence");
            assert_eq!(evidence, [0; 16], "{}", site.host.name);
        }
    });
}
