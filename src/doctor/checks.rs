//! Facts in, findings out.

mod balancer;
mod pair;
mod rivals;
mod vrrp;

pub use pair::in_motion;

use super::facts::Facts;
use super::{Finding, Level};
use conf::diagnostic::{Report, Severity};

/// A host with its files read once.
pub struct Host {
    facts: Facts,
    lb: Option<(Option<conf::lb::Config>, Report)>,
    vip: Option<(Option<conf::vip::model::Config>, Report)>,
}

impl Host {
    /// Reads the files of these facts.
    pub fn new(facts: Facts) -> Host {
        let lb = facts.lb.text.as_deref().map(conf::lb::load_str);
        let path = facts.vip.path.clone();
        let vip = facts.vip.text.as_deref();
        let vip = vip.map(|text| conf::vip::load_str(&path, text, &Default::default()));
        Host { facts, lb, vip }
    }

    /// What was found out.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    fn lb(&self) -> Option<&conf::lb::Config> {
        self.lb.as_ref()?.0.as_ref()
    }

    fn vip(&self) -> Option<&conf::vip::model::Config> {
        self.vip.as_ref()?.0.as_ref()
    }
}

/// Findings about one host.
pub fn host(host: &Host) -> Vec<Finding> {
    let mut doctor = Doctor::of(&host.facts.host);
    doctor.kernel(&host.facts);
    doctor.limits(&host.facts);
    doctor.balancer(host);
    doctor.vrrp(host);
    doctor.rivals(host);
    doctor.brokers(&host.facts);
    doctor.replaced(&host.facts);
    doctor.findings
}

/// Findings about several hosts together.
pub fn together(all: &[Host]) -> Vec<Finding> {
    let mut doctor = Doctor::of("all hosts");
    doctor.versions(all);
    doctor.pairs(all);
    doctor.balancer_files(all);
    doctor.holders(all);
    doctor.findings
}

/// What helps when a daemon gives this reason instead of its status: one that takes questions and
/// does not answer them hangs.
fn start_or_restart(unit: &str, reason: &str) -> String {
    let verb = match reason.contains(crate::status::ask::SILENT) {
        true => "restart",
        false => "start",
    };
    format!("systemctl {verb} {unit}; journalctl -u {unit}")
}

struct Doctor {
    host: String,
    findings: Vec<Finding>,
}

impl Doctor {
    fn of(host: &str) -> Doctor {
        Doctor {
            host: host.to_owned(),
            findings: Vec::new(),
        }
    }

    fn say(&mut self, level: Level, text: impl Into<String>, mend: impl Into<String>) {
        self.findings.push(Finding {
            level,
            host: self.host.clone(),
            text: text.into(),
            mend: mend.into(),
        });
    }

    fn good(&mut self, text: impl Into<String>) {
        self.say(Level::Good, text, "");
    }

    fn kernel(&mut self, facts: &Facts) {
        if crate::up::is_old(&facts.kernel) {
            let (a, b) = crate::up::OLDEST_KERNEL;
            let text = format!("kernel {} is older than {a}.{b}", facts.kernel);
            let mend = "install a newer kernel: processes are watched by file descriptors (pidfd)";
            self.say(Level::Error, text, mend);
        }
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
            self.good(format!("{hard} open files allowed"));
        }
        let number = |name: &str| facts.sysctls.get(name).and_then(|v| v.parse::<u64>().ok());
        if number("net.core.somaxconn").is_some_and(|n| n < 1024) {
            self.say(
                Level::Warning,
                "the kernel queues fewer than 1024 connections that wait to be accepted",
                "sysctl -w net.core.somaxconn=4096  # and in /etc/sysctl.d/",
            );
        }
        if number("net.ipv4.tcp_syncookies") == Some(0) {
            self.say(
                Level::Warning,
                "SYN cookies are off: a flood of half-open connections shuts clients out",
                "sysctl -w net.ipv4.tcp_syncookies=1  # and in /etc/sysctl.d/",
            );
        }
        for (name, whose) in [
            ("fs.file-max", "all processes"),
            ("fs.nr_open", "a process"),
        ] {
            if let Some(most) = number(name).filter(|most| *most < 40_000) {
                self.say(
                    Level::Warning,
                    format!("the kernel allows {whose} at most {most} open files"),
                    format!("sysctl -w {name}=1048576  # and in /etc/sysctl.d/"),
                );
            }
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
                "sysctl -w net.ipv4.ip_local_port_range='1024 65000'  # and in /etc/sysctl.d/",
            );
        }
    }

    fn replaced(&mut self, facts: &Facts) {
        for unit in &facts.replaced {
            let text = format!("{unit} runs a binary that was replaced since it started");
            self.say(Level::Warning, text, format!("systemctl restart {unit}"));
        }
    }

    /// Findings of a file's diagnostics.
    fn file(&mut self, what: &str, path: &str, report: &Report) {
        let count = |severity| report.count(severity);
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let check = format!("evenkeel check {path}");
        if errors > 0 {
            let text = format!("{what} {path} has {}", counted(errors, "error"));
            self.say(Level::Error, text, check);
        } else if warnings > 0 {
            let text = format!("{what} {path} has {}", counted(warnings, "warning"));
            self.say(Level::Warning, text, check);
        } else {
            self.good(format!("{what} {path} is sound"));
        }
    }

    fn brokers(&mut self, facts: &Facts) {
        for broker in &facts.brokers {
            let name = format!("broker {} ({})", broker.name, broker.address);
            match broker.answer.as_str() {
                "amqp" => self.good(format!("{name} speaks AMQP")),
                "tls" => self.good(format!("{name} takes connections (AMQP over TLS)")),
                "tcp" => self.say(
                    Level::Error,
                    format!("{name} takes connections but does not speak AMQP"),
                    "there: rabbitmq-diagnostics check_running  # or evenkeel ctl status",
                ),
                reason => {
                    let mend = format!(
                        "there: systemctl status rabbitmq-server (or evenkeel-broker); from here: \
                         evenkeel lb check --live -f {}",
                        facts.lb.path
                    );
                    let text = format!("{name} cannot be reached: {reason}");
                    self.say(Level::Error, text, mend);
                }
            }
        }
        let Some(status) = &facts.broker_status else {
            return;
        };
        for (alarm, mend) in [
            (
                "memory",
                "raise [limits] memory, or let consumers catch up (evenkeel ctl list_queues)",
            ),
            ("disk", "make room on the disk of the data directory"),
        ] {
            if status["alarms"][alarm] == true {
                let text = format!("the broker here is in {alarm} alarm: publishers wait");
                self.say(Level::Error, text, mend);
            }
        }
        self.good(format!(
            "the broker here runs, with {} connections and {} queues",
            status["connections"], status["queues"]
        ));
    }
}

/// `1 error`, `2 errors`.
fn counted(n: usize, word: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {word}{plural}")
}

#[cfg(test)]
mod tests;
