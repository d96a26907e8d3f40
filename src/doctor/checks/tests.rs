use super::super::facts::{ConfigFile, Rival};
use super::*;
use serde_json::json;

fn proxy(name: &str, priority: u8, addresses: &[&str]) -> Facts {
    let text = format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n priority {priority}\n \
         virtual_ipaddress {{ 192.0.2.100 }}\n}}\n"
    );
    Facts {
        host: name.to_owned(),
        version: "1".to_owned(),
        kernel: "6.1.0-9-amd64".to_owned(),
        vip: ConfigFile {
            path: "k.conf".to_owned(),
            text: Some(text),
            problem: String::new(),
        },
        interfaces: vec!["eth0".to_owned()],
        addresses: addresses
            .iter()
            .map(|a| a.parse().expect("an address"))
            .collect(),
        open_files: (1024, 40_000),
        ..Facts::default()
    }
}

fn with_balancer(mut facts: Facts, text: &str) -> Facts {
    facts.lb = ConfigFile {
        path: "haproxy.cfg".to_owned(),
        text: Some(text.to_owned()),
        problem: String::new(),
    };
    facts
}

fn of_level(findings: &[Finding], level: Level) -> Vec<&str> {
    let those = findings.iter().filter(|f| f.level == level);
    those.map(|f| f.text.as_str()).collect()
}

fn errors(findings: &[Finding]) -> Vec<&str> {
    of_level(findings, Level::Error)
}

fn all(facts: &[&Facts]) -> Vec<Finding> {
    let hosts: Vec<Host> = facts.iter().map(|f| Host::new((*f).clone())).collect();
    together(&hosts)
}

#[test]
fn two_holders_and_none_are_errors_and_one_is_good() {
    let (a, b) = (proxy("a", 254, &["192.0.2.100"]), proxy("b", 250, &[]));
    assert_eq!(errors(&all(&[&a, &b])), Vec::<&str>::new());
    let both = all(&[&a, &proxy("b", 250, &["192.0.2.100"])]);
    assert!(errors(&both)[0].contains("at once"));
    let none = all(&[&proxy("a", 254, &[]), &b]);
    assert!(errors(&none)[0].contains("nobody"));
    let moving = |a: &[&str], b: &[&str]| {
        let hosts = [proxy("a", 254, a), proxy("b", 250, b)].map(Host::new);
        in_motion(&hosts)
    };
    let held = &["192.0.2.100"];
    assert!(!moving(held, &[]) && moving(held, held) && moving(&[], &[]));
}

#[test]
fn a_missing_interface_a_small_limit_and_an_old_kernel_are_named_with_their_mend() {
    let mut facts = proxy("a", 254, &[]);
    facts.interfaces = vec!["ens3".to_owned()];
    facts.open_files = (1024, 4096);
    facts.kernel = "4.19.0".to_owned();
    let findings = host(&Host::new(facts));
    assert!(errors(&findings)[0].contains("4.19.0 is older than"));
    assert!(errors(&findings)[1].contains("no interface eth0"));
    let limit = findings.iter().find(|f| f.text.contains("open files"));
    let limit = limit.expect("looked at");
    assert!(limit.level == Level::Warning && limit.mend.contains("LimitNOFILE"));
}

#[test]
fn the_first_line_in_which_the_balancers_files_differ_is_shown() {
    let base = "# host a\nlisten amqp\n    bind 0.0.0.0:5672\n    maxconn 10\n";
    let same = base.replace("host a", "host b");
    let other = base.replace("maxconn 10", "maxconn 20");
    let a = with_balancer(proxy("a", 254, &["192.0.2.100"]), base);
    let b = with_balancer(proxy("b", 250, &[]), &same);
    assert_eq!(
        of_level(&all(&[&a, &b]), Level::Warning),
        Vec::<&str>::new()
    );
    let b = with_balancer(b, &other);
    let findings = all(&[&a, &b]);
    let warning = of_level(&findings, Level::Warning)[0];
    assert!(
        warning.contains("in 1 line, first in line 4: `maxconn 10` and `maxconn 20`"),
        "{warning}"
    );
    let more = format!("{other}    retries 1\n    timeout check 1s\n");
    let findings = all(&[&a, &with_balancer(b, &more)]);
    let warning = of_level(&findings, Level::Warning)[0];
    assert!(warning.contains("in 3 lines, first in line 4"), "{warning}");
}

#[test]
fn settings_of_the_kernel_that_hurt_are_named_with_the_command() {
    let mut facts = proxy("a", 254, &[]);
    for (name, value) in [
        ("net.core.somaxconn", "128"),
        ("net.ipv4.tcp_syncookies", "0"),
        ("net.ipv4.ip_local_port_range", "32768 40000"),
        ("fs.file-max", "9000"),
        ("fs.nr_open", "9000"),
    ] {
        facts.sysctls.insert(name.to_owned(), value.to_owned());
    }
    let findings = host(&Host::new(facts));
    let mends: Vec<_> = findings.iter().map(|f| f.mend.as_str()).collect();
    let mends = mends.join("\n");
    for name in [
        "somaxconn",
        "tcp_syncookies",
        "ip_local_port_range",
        "file-max",
        "nr_open",
    ] {
        assert!(mends.contains(name), "{name}: {mends}");
    }
}

#[test]
fn an_address_that_only_the_master_has_cannot_be_bound_by_the_backup() {
    let text = "listen amqp\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n \
                bind 192.0.2.100:5672\n server a 192.0.2.21:1\n";
    let holder = with_balancer(proxy("a", 254, &["192.0.2.100"]), text);
    assert_eq!(errors(&host(&Host::new(holder))), Vec::<&str>::new());
    let mut backup = with_balancer(proxy("b", 250, &[]), text);
    let findings = host(&Host::new(backup.clone()));
    assert!(errors(&findings)[0].contains("cannot start here"));
    backup
        .sysctls
        .insert("net.ipv4.ip_nonlocal_bind".to_owned(), "1".to_owned());
    assert_eq!(errors(&host(&Host::new(backup))), Vec::<&str>::new());
}

#[test]
fn what_the_daemons_say_of_themselves_becomes_findings() {
    let text = "listen amqp\n bind 0.0.0.0:5672\n";
    let mut facts = with_balancer(proxy("a", 254, &[]), text);
    facts.lb_status = Some(Ok(
        json!({"uptime_ms": 9000, "connections": 3, "connections_limit": 4000,
        "open_files_limit": 1024, "backends": [{"name": "amqp", "servers": [
            {"name": "mq1", "address": "192.0.2.21:5672", "state": "DOWN", "reason": "L4CON: refused"}]}]}),
    ));
    facts.vip_status = Some(Ok(json!({"instances": [
        {"name": "V", "state": "FAULT", "fault": "track_lb proxy", "split_brain": true, "maintenance": true}],
        "pair": {"peers": [{"address": "192.0.2.12", "alive": false}]}})));
    facts.broker_status = Some(json!({"connections": 1, "queues": 2, "alarms": {"disk": true}}));
    let findings = host(&Host::new(facts));
    let said = |level| of_level(&findings, level).join("\n");
    let (wrong, warned) = (said(Level::Error), said(Level::Warning));
    for part in [
        "no server of amqp",
        "V is in FAULT: track_lb proxy",
        "split brain",
        "disk alarm",
    ] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
    for part in [
        "may open 1024 files",
        "amqp/mq1 is down: L4CON: refused",
        "maintenance",
        "192.0.2.12 is silent",
    ] {
        assert!(warned.contains(part), "{part}: {warned}");
    }
    let unmended = findings
        .iter()
        .filter(|f| f.level >= Level::Warning && f.mend.is_empty());
    assert_eq!(unmended.count(), 0, "everything wrong has a command");
}

#[test]
fn a_daemon_that_hangs_is_restarted_and_one_that_is_not_there_started() {
    let mend = |reason: &str| {
        let facts = Facts {
            vip_status: Some(Err(reason.to_owned())),
            ..proxy("a", 254, &[])
        };
        let findings = host(&Host::new(facts));
        let silent = findings.iter().find(|f| f.text.contains("does not answer"));
        silent.expect("a finding").mend.clone()
    };
    assert!(mend("vip.sock: no answer within 2 s").starts_with("systemctl restart"));
    assert!(mend("vip.sock: Connection refused").starts_with("systemctl start "));
}

#[test]
fn who_listens_in_the_balancers_place_or_moves_the_address_too_is_named_with_what_stops_it() {
    let text = "listen a\n mode tcp\n bind :5672\n server s 192.0.2.1:1\n";
    let mut facts = with_balancer(proxy("a", 254, &[]), text);
    facts.rivals = vec![Rival {
        name: "haproxy".to_owned(),
        pid: 12,
        at: "0.0.0.0:5672".parse().expect("an address"),
    }];
    facts.keepalived = Some(13);
    facts.replaced = vec!["evenkeel-lb".to_owned()];
    let stopped = || Some(Err("no living socket".to_owned()));
    (facts.lb_status, facts.vip_status) = (stopped(), stopped());
    let said = |facts: &Facts, part: &str| {
        let findings = host(&Host::new(facts.clone()));
        let one = findings.into_iter().find(|f| f.text.contains(part));
        let one = one.unwrap_or_else(|| panic!("nothing of {part}"));
        assert!(one.mend.starts_with("systemctl "));
        one.level
    };
    assert_eq!(said(&facts, "cannot start there"), Level::Error);
    assert_eq!(said(&facts, "VRRP daemon's place"), Level::Note);
    (facts.lb_status, facts.vip_status) = (Some(Ok(json!({}))), Some(Ok(json!({}))));
    assert_eq!(said(&facts, "as well"), Level::Error);
    assert_eq!(said(&facts, "was replaced"), Level::Warning);
    assert_eq!(said(&facts, "beside the VRRP daemon"), Level::Error);
}
