//! Hosts on a bridge, each a set of namespaces of its own. Use inside of
//! [`super::sandboxed`], so that all of it dies with the test.

use super::run;
use std::process::{Child, Command, Stdio};

/// A bridge in the sandbox's namespace with hosts on it.
pub struct Lab {
    hosts: Vec<String>,
}

impl Lab {
    /// An empty bridge `br0`.
    pub fn new() -> Lab {
        run(
            "ip",
            &["link", "add", "br0", "type", "bridge", "forward_delay", "0"],
        );
        run("ip", &["link", "set", "br0", "up"]);
        Lab { hosts: Vec::new() }
    }

    /// Gives the sandbox itself an address on the bridge, such as `10.77.0.254/24`.
    pub fn address(&self, address: &str) {
        run("ip", &["address", "add", address, "dev", "br0"]);
    }

    /// Adds a host with one interface `eth0` and these addresses (with prefix length).
    /// Its port on the bridge is named after it.
    pub fn host(&mut self, name: &str, addresses: &[&str]) -> Host {
        let holder = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--pid",
                "--uts",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args([
                "sh",
                "-c",
                &format!("hostname {name}; echo; exec sleep infinity"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) is installed");
        let mut host = Host {
            name: name.to_owned(),
            init: 0,
            holder,
        };
        host.wait_ready();
        let init = host.init.to_string();
        let port = format!("p-{name}");
        run(
            "ip",
            &[
                "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &init,
            ],
        );
        run("ip", &["link", "set", &port, "master", "br0", "up"]);
        host.run("ip", &["link", "set", "lo", "up"]);
        host.run("sysctl", &["-qw", "net.ipv6.conf.eth0.accept_dad=0"]);
        host.run("ip", &["link", "set", "eth0", "up"]);
        for address in addresses {
            let mut args = vec!["address", "add", *address, "dev", "eth0"];
            if address.contains(':') {
                args.push("nodad");
            }
            host.run("ip", &args);
        }
        self.hosts.push(name.to_owned());
        host
    }

    /// Takes a host's port out of the bridge (frames vanish, the carrier stays) or puts it back.
    pub fn cut(&self, host: &Host, cut: bool) {
        let port = format!("p-{}", host.name);
        if cut {
            run("ip", &["link", "set", &port, "nomaster"]);
        } else {
            run("ip", &["link", "set", &port, "master", "br0"]);
        }
    }

    /// Takes a host's carrier away or gives it back.
    pub fn carrier(&self, host: &Host, up: bool) {
        let state = if up { "up" } else { "down" };
        run("ip", &["link", "set", &format!("p-{}", host.name), state]);
    }
}

/// One host: network, mount, process and UTS namespaces.
pub struct Host {
    /// Its name; also the host name inside.
    pub name: String,
    init: i32,
    holder: Child,
}

impl Host {
    fn wait_ready(&mut self) {
        use std::io::Read;
        let mut byte = [0];
        let stdout = self.holder.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut byte).expect("the host starts");
        let pid = self.holder.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .expect("the holder runs");
        self.init = children
            .split_whitespace()
            .next()
            .and_then(|p| p.parse().ok())
            .expect("unshare --fork has a child");
    }

    /// Process id of the host's first process, as the sandbox sees it.
    pub fn init(&self) -> i32 {
        self.init
    }

    /// A command that runs in the host's network, mount and UTS namespaces, but
    /// in the sandbox's process namespace: its pid is that of the child.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.init.to_string();
        command.args(["-t", &target, "-n", "-u", "--", program]);
        command
    }

    /// A command that runs in all namespaces of the host, so that it sees only the
    /// host's processes. The child's pid is nsenter's.
    pub fn command_inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.init.to_string();
        command.args(["-t", &target, "-n", "-m", "-p", "-u", "--", program]);
        command
    }

    /// Runs a command in the host to its end; panics when it fails.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let target = self.init.to_string();
        let mut all = vec!["-t", &target, "-n", "-m", "-p", "-u", "--", program];
        all.extend(args);
        run("nsenter", &all)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
