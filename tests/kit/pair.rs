//! Two hosts with a VRRP daemon each, ours or keepalived, and a client.

use super::vrrp::{Client, Sniffer, serve};
use super::{Daemon, Host, Lab, binary, wait_for, wait_until};
use nix::sys::signal::Signal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

pub const VIP: &str = "10.77.0.50";
pub const VIP6: &str = "fd77::50";

/// Which daemon runs on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Keepalived,
}
pub use Kind::{Keepalived, Ours};

/// What the files say.
#[derive(Clone, Copy)]
pub struct Flavour {
    pub version: u8,
    pub adv: &'static str,
    pub v6: bool,
    pub unicast: bool,
    pub vmac: bool,
    /// `auth_type`, if any.
    pub auth: Option<&'static str>,
}

pub const V3: Flavour = Flavour {
    version: 3,
    adv: "0.1",
    v6: false,
    unicast: false,
    vmac: false,
    auth: None,
};

pub struct Site {
    pub host: Host,
    pub kind: Kind,
    pub daemon: Option<Daemon>,
    pub folder: tempfile::TempDir,
    pub number: u8,
}

impl Site {
    pub fn new(lab: &mut Lab, name: &str, number: u8, kind: Kind) -> Site {
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

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn configure(&self, flavour: Flavour, extra_top: &str, extra: &str) {
        let priority = if self.number == 11 { 110 } else { 100 };
        let peer = if self.number == 11 { 12 } else { 11 };
        let net = if flavour.v6 { "fd77::" } else { "10.77.0." };
        let mut lines = format!(
            "global_defs {{\n router_id r{}\n script_user root\n}}\n{extra_top}\n\
             vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
             version {}\n priority {priority}\n advert_int {}\n",
            self.number, flavour.version, flavour.adv
        );
        if let Some(kind) = flavour.auth {
            lines += &format!(" authentication {{\n auth_type {kind}\n auth_pass 1111\n }}\n");
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

    pub fn start(&mut self) {
        let config = self.path("vrrp.conf").display().to_string();
        let run = self.path("run").display().to_string();
        let mut command: Command;
        match self.kind {
            Ours => {
                command = self.host.command(binary().to_str().expect("a path"));
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

    pub fn signal(&self, signal: Signal) {
        self.daemon.as_ref().expect("it was started").signal(signal);
    }

    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        daemon.stop();
    }

    pub fn holds(&self, address: &str) -> bool {
        let shown = self
            .host
            .run("ip", &["-o", "address", "show", "to", address]);
        !shown.trim().is_empty()
    }

    pub fn tool(&self, words: &[&str]) -> String {
        let told = self.try_tool(words);
        told.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// What the tool says; as an error where it fails.
    pub fn try_tool(&self, words: &[&str]) -> Result<String, String> {
        let run = self.path("run").display().to_string();
        let mut all = vec!["vip"];
        all.extend(words);
        all.extend(["--run-dir", &run]);
        let output = self
            .host
            .command(binary().to_str().expect("a path"))
            .args(all)
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }

    /// Process ids of the guardian's children.
    pub fn children(&self) -> Vec<i32> {
        let pid = self.daemon.as_ref().expect("it was started").pid();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .filter_map(|p| p.parse().ok())
            .collect()
    }

    pub fn child(&self, role: &str) -> i32 {
        let wanted = format!("--role={role}");
        wait_for("the child process", Duration::from_secs(5), || {
            self.children().into_iter().find(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(&wanted)
            })
        })
    }
}

pub struct Pair {
    pub lab: Lab,
    pub a: Site,
    pub b: Site,
    pub client: Client,
    pub sniffer: Sniffer,
    pub address: &'static str,
    pub c: Host,
}

pub const LONG: Duration = Duration::from_secs(20);

impl Pair {
    /// Both daemons started and A settled as master.
    pub fn up(kinds: (Kind, Kind), flavour: Flavour, top: &str, extra: &str) -> Pair {
        let mut pair = Pair::quiet(kinds, flavour);
        pair.a.configure(flavour, top, extra);
        pair.b.configure(flavour, top, extra);
        pair.a.start();
        pair.b.start();
        pair.settled_on_a();
        pair
    }

    /// Hosts and client; no daemon is configured yet.
    pub fn quiet(kinds: (Kind, Kind), flavour: Flavour) -> Pair {
        let mut lab = Lab::new();
        let a = Site::new(&mut lab, "A", 11, kinds.0);
        let b = Site::new(&mut lab, "B", 12, kinds.1);
        let c = lab.host("C", &["10.77.0.100/24", "fd77::100/64"]);
        let address = if flavour.v6 { VIP6 } else { VIP };
        let ip: IpAddr = address.parse().expect("an address");
        Pair {
            client: Client::start(&c, ip),
            sniffer: Sniffer::start(&c),
            lab,
            a,
            b,
            address,
            c,
        }
    }

    pub fn settled_on_a(&self) {
        self.holder("A");
        self.client.wait_answer(Instant::now(), b'A', LONG);
    }

    pub fn holder(&self, name: &str) {
        let wanted = (name == "A", name == "B");
        wait_until(&format!("only {name} holds {}", self.address), LONG, || {
            (self.a.holds(self.address), self.b.holds(self.address)) == wanted
        });
    }

    /// Runs `event`, waits until `name` answers the client, and gives the outage.
    pub fn moves_to(&self, name: &str, event: impl FnOnce()) -> (Duration, usize) {
        let since = Instant::now();
        event();
        let letter = name.as_bytes()[0];
        self.client.wait_answer(since, letter, LONG);
        self.holder(name);
        self.client.wait_answer(Instant::now(), letter, LONG);
        self.client.outage(since)
    }
}

pub const V2: Flavour = Flavour {
    version: 2,
    adv: "1",
    auth: Some("PASS"),
    ..V3
};
pub const V2_AH: Flavour = Flavour {
    auth: Some("AH"),
    ..V2
};
pub const V2_AH_UNICAST: Flavour = Flavour {
    unicast: true,
    ..V2_AH
};
pub const V2_AH_VMAC: Flavour = Flavour {
    vmac: true,
    ..V2_AH
};
pub const V2_UNICAST: Flavour = Flavour {
    unicast: true,
    ..V2
};
pub const V2_VMAC: Flavour = Flavour { vmac: true, ..V2 };
pub const UNICAST: Flavour = Flavour {
    unicast: true,
    ..V3
};
pub const VMAC: Flavour = Flavour { vmac: true, ..V3 };
pub const IPV6: Flavour = Flavour { v6: true, ..V3 };
pub const IPV6_UNICAST: Flavour = Flavour {
    unicast: true,
    ..IPV6
};
pub const IPV6_VMAC: Flavour = Flavour { vmac: true, ..IPV6 };

/// Stops (or kills) every process of A at once; gives the pids.
pub fn freeze(site: &Site, kill: bool) -> Vec<nix::unistd::Pid> {
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
