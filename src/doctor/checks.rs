//! Facts in, findings out.

use super::facts::Facts;
use super::{Finding, Level};
use conf::diagnostic::{Report, Severity};
use std::net::IpAddr;

/// Findings about one host.
pub fn host(facts: &Facts) -> Vec<Finding> {
    let mut doctor = Doctor {
        host: facts.host.clone(),
        findings: Vec::new(),
    };
    doctor.limits(facts);
    doctor.balancer(facts);
    doctor.vrrp(facts);
    doctor.brokers(facts);
    doctor.findings
}

struct Doctor {
    host: String,
    findings: Vec<Finding>,
}

impl Doctor {
    fn say(&mut self, level: Level, text: impl Into<String>, mend: impl Into<String>) {
        self.findings.push(Finding {
            level,
            host: self.host.clone(),
            text: text.into(),
            mend: mend.into(),
        });
    }

    fn limits(&mut self, facts: &Facts) {
        let (_, hard) = facts.open_files;
        if hard < 20_000 {
            self.say(
                Level::Warning,
                format!(
                    "at most {hard} open files: about {} sessions, two files each",
                    hard / 2
                ),
                "LimitNOFILE=40000 in the unit, or `ulimit -Hn 40000` in the shell that starts it",
            );
        } else {
            self.say(Level::Good, format!("{hard} open files allowed"), "");
        }
        let number = |name: &str| facts.sysctls.get(name).and_then(|v| v.parse::<u64>().ok());
        if number("net.core.somaxconn").is_some_and(|n| n < 1024) {
            self.say(
                Level::Warning,
                "the kernel queues fewer than 1024 connections that wait to be accepted",
                "sysctl -w net.core.somaxconn=4096 (and in /etc/sysctl.d/)",
            );
        }
        let range = facts.sysctls.get("net.ipv4.ip_local_port_range");
        let ports = range.and_then(|v| {
            let (low, high) = v.split_once(' ')?;
            Some(high.parse::<u32>().ok()? - low.parse::<u32>().ok()?)
        });
        if ports.is_some_and(|n| n < 20_000) {
            self.say(
                Level::Warning,
                "few local ports: a proxy needs one for each session and server",
                "sysctl -w net.ipv4.ip_local_port_range='1024 65000'",
            );
        }
    }

    /// Findings of a file's diagnostics; whether it is usable.
    fn file(&mut self, what: &str, path: &str, report: &Report, check: &str) -> bool {
        let (errors, warnings) = (
            report.count(Severity::Error),
            report.count(Severity::Warning),
        );
        if errors > 0 {
            let text = format!("{what} {path} has {errors} errors");
            self.say(Level::Error, text, check);
        } else if warnings > 0 {
            let text = format!("{what} {path} has {warnings} warnings");
            self.say(Level::Warning, text, check);
        } else {
            self.say(Level::Good, format!("{what} {path} is sound"), "");
        }
        errors == 0
    }

    fn balancer(&mut self, facts: &Facts) {
        let path = &facts.lb.path;
        let Some(text) = &facts.lb.text else {
            let text = format!("no balancer here: {path}: {}", facts.lb.problem);
            return self.say(Level::Note, text, "`--lb FILE` names another place");
        };
        let (_, report) = conf::lb::load_str(text);
        self.file(
            "the balancer's file",
            path,
            &report,
            &format!("evenkeel check {path}"),
        );
        match &facts.lb_info {
            Some(Ok(info)) => {
                let field = |name: &str| {
                    let line = info.lines().find(|l| l.starts_with(&format!("{name}: ")));
                    line.and_then(|l| l.split_once(": "))
                        .map_or("?", |(_, v)| v)
                        .to_owned()
                };
                let text = format!(
                    "the balancer runs for {} with {} of {} connections",
                    field("Uptime"),
                    field("CurrConns"),
                    field("Maxconn")
                );
                self.say(Level::Good, text, "");
            }
            Some(Err(reason)) => {
                let text = format!("the balancer does not answer ({reason})");
                self.say(
                    Level::Error,
                    text,
                    "systemctl start evenkeel-lb; journalctl -u evenkeel-lb",
                );
            }
            None => {}
        }
    }

    fn vrrp(&mut self, facts: &Facts) {
        let path = &facts.vip.path;
        let Some(text) = &facts.vip.text else {
            let text = format!("no VRRP daemon here: {path}: {}", facts.vip.problem);
            return self.say(Level::Note, text, "`--vip FILE` names another place");
        };
        let (config, report) = conf::vip::load_str(path, text, &Default::default());
        self.file(
            "the VRRP daemon's file",
            path,
            &report,
            &format!("evenkeel check {path}"),
        );
        if let Some(Err(reason)) = &facts.vip_status {
            let text = format!("the VRRP daemon does not answer ({reason})");
            self.say(
                Level::Error,
                text,
                "systemctl start evenkeel-vip; journalctl -u evenkeel-vip",
            );
        }
        for instance in config.iter().flat_map(|c| &c.instances) {
            if !facts.interfaces.contains(&instance.interface) {
                let text = format!(
                    "{}: there is no interface {}",
                    instance.name, instance.interface
                );
                let mend = format!("write one of: {}", facts.interfaces.join(", "));
                self.say(Level::Error, text, mend);
            }
            let held = held(instance, &facts.addresses);
            if held > 0 {
                let text = format!("{}: this host holds the virtual addresses", instance.name);
                self.say(Level::Good, text, "");
            }
        }
    }

    fn brokers(&mut self, facts: &Facts) {
        for broker in &facts.brokers {
            let name = format!("broker {} ({})", broker.name, broker.address);
            match broker.answer.as_str() {
                "amqp" => self.say(Level::Good, format!("{name} speaks AMQP"), ""),
                "tcp" => self.say(
                    Level::Error,
                    format!("{name} takes connections but does not speak AMQP"),
                    "rabbitmq-diagnostics check_running on that host (or `evenkeel ctl status`)",
                ),
                reason => self.say(
                    Level::Error,
                    format!("{name} cannot be reached: {reason}"),
                    "is it running, and does a filter stand between?",
                ),
            }
        }
    }
}

fn held(instance: &conf::vip::model::Instance, addresses: &[IpAddr]) -> usize {
    let virtual_ones = instance.addresses.iter();
    virtual_ones
        .filter(|a| addresses.contains(&a.address))
        .count()
}

/// Findings about several hosts together.
pub fn together(all: &[Facts]) -> Vec<Finding> {
    let mut doctor = Doctor {
        host: "all hosts".to_owned(),
        findings: Vec::new(),
    };
    if let Some(first) = all.first() {
        for other in all.iter().filter(|f| f.version != first.version) {
            let text = format!(
                "{} has version {}, {} has {}",
                first.host, first.version, other.host, other.version
            );
            doctor.say(Level::Warning, text, "install the same binary on both");
        }
    }
    doctor.pairs(all);
    doctor.holders(all);
    doctor.findings
}

impl Doctor {
    fn pairs(&mut self, all: &[Facts]) {
        let configs: Vec<_> = all
            .iter()
            .filter_map(|facts| {
                let text = facts.vip.text.as_ref()?;
                let (config, _) = conf::vip::load_str(&facts.vip.path, text, &Default::default());
                Some((facts, config?))
            })
            .collect();
        for (at, (a, left)) in configs.iter().enumerate() {
            for (b, right) in &configs[at + 1..] {
                for finding in conf::vip::pair::compare(left, right) {
                    let level = if finding.fatal {
                        Level::Error
                    } else {
                        Level::Note
                    };
                    let text = format!(
                        "{} and {}: {}: {}",
                        a.host, b.host, finding.instance, finding.message
                    );
                    self.say(level, text, finding.help);
                }
            }
        }
        let balancers: Vec<_> = all.iter().filter(|f| f.lb.text.is_some()).collect();
        for pair in balancers.windows(2) {
            if pair[0].lb.text != pair[1].lb.text {
                let text = format!(
                    "the balancer's files on {} and {} differ",
                    pair[0].host, pair[1].host
                );
                let mend = "diff them; clients see another service after a fail-over otherwise";
                self.say(Level::Warning, text, mend);
            }
        }
    }

    fn holders(&mut self, all: &[Facts]) {
        let mut seen = Vec::new();
        for facts in all {
            let Some(text) = &facts.vip.text else {
                continue;
            };
            let (config, _) = conf::vip::load_str(&facts.vip.path, text, &Default::default());
            for instance in config.iter().flat_map(|c| &c.instances) {
                for address in &instance.addresses {
                    if !seen.contains(&address.address) {
                        seen.push(address.address);
                    }
                }
            }
        }
        for address in seen {
            let holders: Vec<&str> = all
                .iter()
                .filter(|f| f.addresses.contains(&address))
                .map(|f| f.host.as_str())
                .collect();
            match holders[..] {
                [] => self.say(
                    Level::Error,
                    format!("nobody holds the virtual address {address}"),
                    "evenkeel vip explain on each proxy host says why",
                ),
                [one] => self.say(Level::Good, format!("{one} holds {address}"), ""),
                _ => self.say(
                    Level::Error,
                    format!(
                        "{} hold {address} at once: they do not hear each other",
                        holders.join(" and ")
                    ),
                    "check the network between them (protocol 112), then evenkeel vip explain",
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::ConfigFile;
    use super::*;

    fn proxy(name: &str, priority: u8, addresses: &[&str]) -> Facts {
        let text = format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n priority {priority}\n \
             virtual_ipaddress {{ 192.0.2.100 }}\n}}\n"
        );
        Facts {
            host: name.to_owned(),
            version: "1".to_owned(),
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

    fn errors(findings: &[Finding]) -> Vec<&str> {
        let wrong = findings.iter().filter(|f| f.level == Level::Error);
        wrong.map(|f| f.text.as_str()).collect()
    }

    #[test]
    fn two_holders_and_none_are_errors_and_one_is_good() {
        let (a, b) = (proxy("a", 254, &["192.0.2.100"]), proxy("b", 250, &[]));
        assert_eq!(
            errors(&together(&[a.clone(), b.clone()])),
            Vec::<&str>::new()
        );
        let both = together(&[a, proxy("b", 250, &["192.0.2.100"])]);
        assert!(errors(&both)[0].contains("at once"));
        let none = together(&[proxy("a", 254, &[]), b]);
        assert!(errors(&none)[0].contains("nobody"));
    }

    #[test]
    fn a_missing_interface_and_a_small_limit_are_named_with_their_mend() {
        let mut facts = proxy("a", 254, &[]);
        facts.interfaces = vec!["ens3".to_owned()];
        facts.open_files = (1024, 4096);
        let findings = host(&facts);
        assert!(errors(&findings)[0].contains("no interface eth0"));
        let limit = findings
            .iter()
            .find(|f| f.text.contains("open files"))
            .expect("looked at");
        assert!(limit.level == Level::Warning && limit.mend.contains("LimitNOFILE"));
    }
}
