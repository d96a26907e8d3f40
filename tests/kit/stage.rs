//! One daemon of ours on a host, and another host that listens and injects.

use super::vrrp::{Around, Seen, Sniffer};
use super::{Daemon, Host, Lab, binary, wait_until};
use std::net::Ipv4Addr;
use std::time::Duration;

pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);
pub const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 11);
pub const OTHER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
pub const LONG: Duration = Duration::from_secs(20);

pub const FROM_OTHER: Around = Around {
    from: OTHER,
    to: GROUP,
    ttl: 255,
    protocol: 112,
};

/// One daemon, and another host that listens and injects.
pub struct Stage {
    /// The bridge.
    pub lab: Lab,
    /// The daemon's host.
    pub host: Host,
    /// The other host.
    pub other: Host,
    /// The daemon.
    pub daemon: Daemon,
    /// What the other host hears.
    pub sniffer: Sniffer,
    /// Configuration and run directory.
    pub folder: tempfile::TempDir,
}

impl Stage {
    /// Starts the daemon with these lines in its instance.
    pub fn up(instance: &str) -> Stage {
        Stage::with("", instance)
    }

    /// Starts it with lines in `global_defs`, too.
    pub fn with(global: &str, instance: &str) -> Stage {
        let mut lab = Lab::new();
        let host = lab.host("A", &["10.77.0.11/24", "fd77::11/64"]);
        let other = lab.host("C", &["10.77.0.100/24", "fd77::100/64"]);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("vrrp.conf");
        let text = format!(
            "global_defs {{\n router_id a\n script_user root\n {global}\n}}\n\
             vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n{instance}\n}}\n"
        );
        std::fs::write(&file, text).expect("writable");
        let sniffer = Sniffer::start(&other);
        let run = folder.path().join("run");
        let mut command = host.command(binary().to_str().expect("a path"));
        command.args(["vip", "-n", "-l", "-f", &file.display().to_string()]);
        command.args(["--run-dir", &run.display().to_string()]);
        let daemon = Daemon::start("A", &mut command);
        Stage {
            lab,
            host,
            other,
            daemon,
            sniffer,
            folder,
        }
    }

    /// What `vip status --json` says.
    pub fn status(&self) -> serde_json::Value {
        let run = self.folder.path().join("run").display().to_string();
        let output = self
            .host
            .command(binary().to_str().expect("a path"))
            .args(["vip", "status", "--json", "--run-dir", &run])
            .output()
            .expect("the binary runs");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// The instance's role.
    pub fn state(&self) -> String {
        let status = self.status();
        status["instances"][0]["state"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    }

    /// Waits for a role.
    pub fn wait_state(&self, state: &str) {
        wait_until(&format!("the state is {state}"), LONG, || {
            self.state() == state
        });
    }

    /// How many packets were refused for this reason.
    pub fn refused(&self, reason: &str) -> u64 {
        let status = self.status();
        if reason == "unknown_vrid" {
            return status["unknown_vrid_packets"].as_u64().unwrap_or(0);
        }
        let counters = &status["instances"][0]["counters"]["refused"];
        counters[reason].as_u64().unwrap_or(0)
    }

    /// The next advert that is not a farewell.
    pub fn advert(&self) -> Seen {
        let fits = |s: &Seen| s.priority() > Some(0);
        self.sniffer.wait("an advert", fits).1
    }
}

/// The lines of an instance.
pub fn lines(version: u8, adv: &str, priority: u8, addresses: &str) -> String {
    format!(
        " version {version}\n advert_int {adv}\n priority {priority}\n virtual_ipaddress {{\n{addresses}\n }}"
    )
}
