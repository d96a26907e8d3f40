//! Which hosts there are, their addresses, and the files that they start from.

use super::options::Options;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Balancer and VRRP daemon.
    Proxy,
    /// A broker of ours.
    Broker,
    /// A node of the real RabbitMQ cluster.
    Rabbit,
    /// Clients.
    Client,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    /// `a`, `b`, `n1`, ...
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its address in 10.77.0.0/24.
    pub address: Ipv4Addr,
    /// Its directory.
    pub dir: PathBuf,
}

impl Host {
    fn new(dir: &Path, name: String, role: Role, last: u8) -> Host {
        Host {
            role,
            address: Ipv4Addr::new(10, 77, 0, last),
            dir: dir.join(&name),
            name,
        }
    }

    /// A file of this host.
    pub fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// The address with its prefix length.
    pub fn cidr(&self) -> String {
        format!("{}/24", self.address)
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The two proxy hosts.
    pub proxies: Vec<Host>,
    /// The broker hosts.
    pub brokers: Vec<Host>,
    /// Where clients run.
    pub client: Host,
    /// Whether haproxy and keepalived take the proxies' places.
    pub peers: bool,
    /// The laboratory's side of the gate.
    pub gate: PathBuf,
}

impl Plan {
    /// The plan for these options, with files below `dir`.
    pub fn new(options: &Options, dir: &Path) -> Plan {
        let (role, count) = match options.with_rabbitmq {
            true => (Role::Rabbit, 3),
            false => (Role::Broker, options.brokers),
        };
        let proxy = |(name, last): (&str, u8)| Host::new(dir, name.to_owned(), Role::Proxy, last);
        let broker = |n: u8| Host::new(dir, format!("n{n}"), role, 20 + n);
        Plan {
            proxies: [("a", 11), ("b", 12)].map(proxy).to_vec(),
            brokers: (1..=count).map(broker).collect(),
            client: Host::new(dir, "c".to_owned(), Role::Client, 200),
            peers: options.peers,
            gate: dir.join("gate.sock"),
        }
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        let client = std::iter::once(&self.client);
        self.proxies.iter().chain(&self.brokers).chain(client)
    }

    /// A host by its name in either case.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts().find(|h| h.name.eq_ignore_ascii_case(name))
    }

    /// A port of the virtual address.
    pub fn at_vip(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(VIP), port)
    }

    /// The balancer's file of a proxy host.
    pub fn balancer_file(&self, host: &Host) -> String {
        let mut text = format!(
            "# Written by `evenkeel up` for proxy host {name}.\n\
             global\n    log stdout format raw local0 info\n    maxconn 4096\n    \
             stats socket {socket} mode 600 level admin\n\n\
             defaults\n    log global\n    mode tcp\n    option tcplog\n    option dontlognull\n    \
             option redispatch 1\n    retries 3\n    maxconn 2000\n    timeout connect 2s\n    \
             timeout client 120s\n    timeout server 120s\n\n\
             listen amqp\n    bind 0.0.0.0:5672\n    balance roundrobin\n",
            name = host.name,
            socket = host.file("lb.sock"),
        );
        text.push_str(if self.peers {
            "    option tcp-check\n    tcp-check send-binary 414d515000000901\n    \
             tcp-check expect binary 000a000a\n"
        } else {
            "    option amqp-check\n"
        });
        for broker in &self.brokers {
            let _ = writeln!(
                text,
                "    server {} {}:5672 check inter 500 rise 2 fall 2 on-marked-down shutdown-sessions",
                broker.name, broker.address
            );
        }
        text.push_str("\nlisten management\n    bind 0.0.0.0:15672\n    balance first\n");
        for broker in &self.brokers {
            let _ = writeln!(
                text,
                "    server {} {}:15672 check inter 1000",
                broker.name, broker.address
            );
        }
        text.push_str(
            "\nlisten monitor\n    bind 0.0.0.0:8100\n    mode http\n    option httplog\n    \
             stats enable\n    stats uri /stats\n    stats refresh 5s\n    \
             http-request use-service prometheus-exporter if { path /metrics }\n",
        );
        text
    }

    /// The VRRP daemon's file of a proxy host.
    pub fn vrrp_file(&self, host: &Host) -> String {
        let priority = if host.name == "a" { 254 } else { 250 };
        let tracked = if self.peers {
            "vrrp_script proxy {\n    script \"/usr/bin/killall -0 haproxy\"\n    interval 1\n    \
             weight 0\n}\n"
                .to_owned()
        } else {
            format!(
                "track_lb proxy {{\n    socket {}\n    backend amqp\n}}\n",
                host.file("lb.sock")
            )
        };
        let track = if self.peers {
            "track_script"
        } else {
            "track_lb"
        };
        format!(
            "# Written by `evenkeel up` for proxy host {name}.\n\
             global_defs {{\n    router_id {name}\n    vrrp_version 3\n{own}}}\n\n{tracked}\n\
             vrrp_instance VIP {{\n    state BACKUP\n    interface eth0\n    virtual_router_id 51\n    \
             priority {priority}\n    advert_int 0.1\n    virtual_ipaddress {{\n        {VIP}/24\n    }}\n    \
             {track} {{\n        proxy{weight}\n    }}\n}}\n",
            name = host.name,
            // a host without brokers gives the address to one that has some, but when
            // nobody has any it stays where it is, and clients are refused at once
            weight = if self.peers { "" } else { " weight -100" },
            own = if self.peers {
                "    script_user root\n".to_owned()
            } else {
                let brokers = self.brokers.iter().map(|b| format!(" {}", b.address));
                let witnesses: String = brokers.collect();
                format!(
                    "    status_page {}:8110\n    pair_witness{witnesses}\n",
                    host.address
                )
            },
        )
    }

    /// The broker's file of a broker host.
    pub fn broker_file(&self, host: &Host) -> String {
        format!(
            "# Written by `evenkeel up` for broker host {name}.\n\
             [node]\nname = \"rabbit@{name}\"\n\n[users]\n\
             # The network behind the virtual address is this machine's own.\n\
             loopback-users = []\n",
            name = host.name,
        )
    }

    /// Makes the directories and writes the files.
    pub fn write(&self) -> std::io::Result<()> {
        for host in self.hosts() {
            std::fs::create_dir_all(host.dir.join("run"))?;
        }
        for host in &self.proxies {
            std::fs::write(host.dir.join("haproxy.cfg"), self.balancer_file(host))?;
            std::fs::write(host.dir.join("keepalived.conf"), self.vrrp_file(host))?;
        }
        for host in self.brokers.iter().filter(|h| h.role == Role::Broker) {
            std::fs::write(host.dir.join("broker.toml"), self.broker_file(host))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vrrp_files_fit_together_and_load_without_a_warning() {
        let options =
            super::super::options::parse(Vec::new()).unwrap_or_else(|_| panic!("defaults"));
        let plan = Plan::new(&options, Path::new("/nowhere"));
        let load = |host: &Host| {
            let text = plan.vrrp_file(host);
            let (config, report) = conf::vip::load_str("k.conf", &text, &Default::default());
            assert!(report.diagnostics.is_empty(), "{}", report.human(false));
            config.expect("no error")
        };
        let (a, b) = (load(&plan.proxies[0]), load(&plan.proxies[1]));
        assert_eq!(conf::vip::pair::compare(&a, &b), []);
    }
}
