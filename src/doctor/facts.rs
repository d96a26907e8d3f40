//! What a host says of itself.

use super::Options;
use crate::holders;
use crate::status::ask;
use conf::lb::model::{BindAddress, CheckKind, Config, Host, Server, ServerAddress, ServerPort};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Settings of the kernel that matter here.
const SYSCTLS: &[&str] = &[
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv6.ip_nonlocal_bind",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.rp_filter",
    "fs.file-max",
    "fs.nr_open",
];

/// A broker as this host reaches it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broker {
    /// Name of the server.
    pub name: String,
    /// Address and port.
    pub address: String,
    /// What an AMQP handshake gave: `amqp`, `tcp` (connects, but no AMQP), `tls` (connects
    /// where TLS is spoken) or the error.
    pub answer: String,
}

/// A configuration file of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// Where it is.
    pub path: String,
    /// What it says, if it can be read.
    pub text: Option<String>,
    /// Why it cannot be read.
    pub problem: String,
}

impl ConfigFile {
    /// The file at this place, or the one that a running daemon was started with if there is none.
    fn find(path: &Path, status: &Result<Value, String>) -> ConfigFile {
        let running = || started_with(status.as_ref().ok()?.get("pid")?.as_u64()?);
        match path.exists() {
            true => ConfigFile::read(path),
            false => ConfigFile::read(&running().unwrap_or_else(|| path.to_owned())),
        }
    }

    fn read(path: &Path) -> ConfigFile {
        let (text, problem) = match std::fs::read_to_string(path) {
            Ok(text) => (Some(text), String::new()),
            Err(error) => (None, error.to_string()),
        };
        ConfigFile {
            path: path.display().to_string(),
            text,
            problem,
        }
    }
}

/// Another program that stands where one of our daemons belongs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub at: SocketAddr,
}

/// One host; what a binary of another version does not know of is left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Host name.
    pub host: String,
    /// Version of this binary.
    pub version: String,
    /// Milliseconds since 1970 when it looked.
    pub time_ms: u64,
    /// Kernel release.
    pub kernel: String,
    /// Open files of this user: soft and hard limit.
    pub open_files: (u64, u64),
    /// Settings of the kernel.
    pub sysctls: BTreeMap<String, String>,
    /// Addresses of all interfaces.
    pub addresses: Vec<IpAddr>,
    /// Interfaces.
    pub interfaces: Vec<String>,
    /// The balancer's file.
    pub lb: ConfigFile,
    /// The VRRP daemon's file.
    pub vip: ConfigFile,
    /// The balancer's status, or why there is none.
    pub lb_status: Option<Result<Value, String>>,
    /// The VRRP daemon's status, or why there is none.
    pub vip_status: Option<Result<Value, String>>,
    /// The status of a broker of ours, if one answers here.
    pub broker_status: Option<Value>,
    /// The servers of the balancer's file.
    pub brokers: Vec<Broker>,
    /// Other programs that listen where the balancer's file binds.
    pub rivals: Vec<Rival>,
    /// The process of a keepalived that runs here.
    pub keepalived: Option<u32>,
    /// The units of daemons whose binary was replaced since they started.
    pub replaced: Vec<String>,
}

impl Facts {
    /// Looks at this host.
    pub fn gather(options: &Options) -> Facts {
        let (interfaces, addresses) = interfaces();
        let lb_status = balancer(&options.run_dir);
        let vip_status = ask::vrrp(&options.run_dir);
        let lb = ConfigFile::find(&options.lb, &lb_status);
        let vip = ConfigFile::find(&options.vip, &vip_status);
        let broker_status = ask::broker("127.0.0.1:15692").ok();
        let daemons = [
            ("evenkeel-lb", lb_status.as_ref().ok()),
            ("evenkeel-vip", vip_status.as_ref().ok()),
            ("evenkeel-broker", broker_status.as_ref()),
        ];
        let replaced = daemons
            .into_iter()
            .filter(|(_, s)| s.is_some_and(is_replaced));
        let replaced = replaced.map(|(unit, _)| unit.to_owned()).collect();
        let sysctls = SYSCTLS.iter().filter_map(|name| {
            let path = format!("/proc/sys/{}", name.replace('.', "/"));
            let value = std::fs::read_to_string(path).ok()?;
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(((*name).to_owned(), value))
        });
        Facts {
            host: hostname(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time_ms: now_ms(),
            kernel: crate::up::kernel(),
            open_files: nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
                .unwrap_or((0, 0)),
            sysctls: sysctls.collect(),
            brokers: lb.text.as_deref().map_or(Vec::new(), brokers),
            lb_status: lb.text.is_some().then_some(lb_status),
            vip_status: vip.text.is_some().then_some(vip_status),
            broker_status,
            rivals: lb.text.as_deref().map_or(Vec::new(), rivals),
            keepalived: keepalived(),
            replaced,
            addresses,
            interfaces,
            lb,
            vip,
        }
    }
}

/// The one file that a process was started with (`-f FILE`).
fn started_with(pid: u64) -> Option<PathBuf> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = line
        .split(|b| *b == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let mut files = words
        .windows(2)
        .filter(|pair| pair[0] == "-f")
        .map(|pair| &pair[1]);
    let (file, more) = (files.next()?, files.next());
    let place = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    more.is_none().then(|| place.join(file.as_ref()))
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_millis() as u64)
}

fn hostname() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "this host".to_owned(),
        |n| n.to_string_lossy().into_owned(),
    )
}

fn interfaces() -> (Vec<String>, Vec<IpAddr>) {
    let Ok(all) = nix::ifaddrs::getifaddrs() else {
        return Default::default();
    };
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for one in all {
        if !names.contains(&one.interface_name) {
            names.push(one.interface_name.clone());
        }
        let Some(storage) = one.address else { continue };
        if let Some(v4) = storage.as_sockaddr_in() {
            addresses.push(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = storage.as_sockaddr_in6() {
            addresses.push(IpAddr::V6(v6.ip()));
        }
    }
    (names, addresses)
}

fn balancer(run_dir: &Path) -> Result<Value, String> {
    match ask::balancers(run_dir).first() {
        Some(socket) => ask::balancer(socket),
        None => Err(format!("no living socket of it in {}", run_dir.display())),
    }
}

/// Other programs that listen at an address of this balancer's file, or at one that keeps it from
/// binding there; each once, however many sockets and processes it has there.
fn rivals(text: &str) -> Vec<Rival> {
    let (config, _) = conf::lb::load_str(text);
    let proxies = config.iter().flat_map(|c| &c.proxies);
    let binds: Vec<&BindAddress> = proxies
        .filter_map(|p| p.front.as_ref())
        .flat_map(|front| front.binds.iter().map(|b| &b.address))
        .collect();
    let mut sockets = holders::sockets();
    sockets.retain(|s| s.listens && binds.iter().any(|bind| is_at(bind, s.local)));
    let mut found: Vec<Rival> = Vec::new();
    for socket in sockets {
        let holders = holders::of(&[socket]).into_iter();
        for other in holders.filter(|process| !process.is_evenkeel()) {
            let is_it = |r: &Rival| r.name == other.name && r.at == socket.local;
            if !found.iter().any(is_it) {
                found.push(Rival {
                    name: other.name,
                    pid: other.pid,
                    at: socket.local,
                });
            }
        }
    }
    found
}

/// Whether a socket at this address and one that is bound so meet.
fn is_at(bind: &BindAddress, at: SocketAddr) -> bool {
    let BindAddress::Tcp { host, first, last } = bind else {
        return false;
    };
    let meets = match host {
        Host::Ip(ip) => *ip == at.ip() || ip.is_unspecified() || at.ip().is_unspecified(),
        Host::Name(..) => at.ip().is_unspecified(),
    };
    meets && (*first..=*last).contains(&at.port())
}

/// Whether the daemon that says this of itself runs a binary that is no more.
fn is_replaced(status: &Value) -> bool {
    let pid = status["pid"].as_u64().and_then(|pid| pid.try_into().ok());
    pid.and_then(holders::process)
        .is_some_and(|p| p.is_replaced())
}

fn keepalived() -> Option<u32> {
    let mut named = holders::processes().filter(|p| p.name == "keepalived" && !p.is_evenkeel());
    named.find(|p| holders::is_here(p.pid)).map(|p| p.pid)
}

/// Tries every server that speaks AMQP by its port or by its check.
fn brokers(text: &str) -> Vec<Broker> {
    let (config, _) = conf::lb::load_str(text);
    let mut found: Vec<Broker> = Vec::new();
    for (server, port) in config.iter().flat_map(amqp_servers) {
        let ServerAddress::Tcp { host, .. } = &server.address else {
            continue;
        };
        let address = match host {
            Host::Ip(ip) => SocketAddr::new(*ip, port).to_string(),
            Host::Name(name, _) => format!("{name}:{port}"),
        };
        if found.iter().any(|b| b.address == address) {
            continue;
        }
        let answer = match port {
            5671 => connects(&address).map(|_| "tls".to_owned()),
            _ => handshake(&address),
        };
        found.push(Broker {
            name: server.name.clone(),
            address,
            answer: answer.unwrap_or_else(|reason| reason),
        });
    }
    found
}

/// The servers of a configuration that speak AMQP, with their ports.
fn amqp_servers(config: &Config) -> Vec<(Arc<Server>, u16)> {
    let mut found = Vec::new();
    for back in config.proxies.iter().filter_map(|p| p.back.as_ref()) {
        for server in &back.servers {
            let port = match &server.address {
                ServerAddress::Tcp {
                    port: ServerPort::Fixed(port),
                    ..
                } => *port,
                _ => continue,
            };
            let checked = matches!(back.check.kind, CheckKind::Amqp(_));
            if checked || matches!(port, 5671 | 5672) {
                found.push((server.clone(), port));
            }
        }
    }
    found
}

fn connects(address: &str) -> Result<TcpStream, String> {
    let limit = Duration::from_secs(2);
    let to = address
        .to_socket_addrs()
        .map_err(|e| e.to_string())?
        .next()
        .ok_or("the name has no address")?;
    let stream = TcpStream::connect_timeout(&to, limit).map_err(|e| e.to_string())?;
    stream
        .set_read_timeout(Some(limit))
        .map_err(|e| e.to_string())?;
    Ok(stream)
}

fn handshake(address: &str) -> Result<String, String> {
    let mut stream = connects(address)?;
    stream
        .write_all(b"AMQP\x00\x00\x09\x01")
        .map_err(|e| e.to_string())?;
    let mut first = [0u8; 1];
    match stream.read_exact(&mut first) {
        Ok(()) if first[0] == 1 => Ok("amqp".to_owned()),
        _ => Ok("tcp".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_refuses_is_told_apart_from_one_that_is_silent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let open = listener.local_addr().expect("bound").to_string();
        let closed = {
            let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            other.local_addr().expect("bound").to_string()
        };
        assert!(handshake(&closed).is_err());
        let thread = std::thread::spawn(move || drop(listener.accept()));
        assert_eq!(handshake(&open), Ok("tcp".to_owned()));
        thread.join().expect("no panic");
    }

    #[test]
    fn servers_are_brokers_by_their_port_or_by_their_check() {
        let names = |text: &str| -> Vec<(String, u16)> {
            let (config, report) = conf::lb::load_str(text);
            let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
            let servers = amqp_servers(&config);
            servers.iter().map(|(s, p)| (s.name.clone(), *p)).collect()
        };
        let base =
            "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n";
        let by_port =
            format!("{base}backend b\n server x 192.0.2.1:5672\n server y 192.0.2.1:80\n");
        assert_eq!(names(&by_port), [("x".to_owned(), 5672)]);
        let by_check =
            format!("{base}backend b\n option amqp-check\n server x 192.0.2.1:7000 check\n");
        assert_eq!(names(&by_check), [("x".to_owned(), 7000)]);
    }

    #[test]
    fn a_program_in_the_balancers_place_is_seen_by_its_address_and_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("bound");
        let binds = [format!("*:{}", at.port()), at.to_string()];
        let file = |bind: &str| format!("frontend f\n mode tcp\n bind {bind}\n");
        // as long as it is this program's, it is no rival's
        for bind in &binds {
            assert_eq!(rivals(&file(bind)), []);
        }
        let second = listener.try_clone().expect("the same listener");
        let mut others = [listener, second].map(|held| {
            let mut sleep = std::process::Command::new("sleep");
            sleep.arg("60").stdin(std::os::fd::OwnedFd::from(held));
            sleep.spawn().expect("a program that holds the listener")
        });
        let found: Vec<_> = binds.iter().map(|bind| rivals(&file(bind))).collect();
        let elsewhere = rivals(&file(&format!("192.0.2.1:{}", at.port())));
        for other in &mut others {
            other.kill().expect("it runs");
            other.wait().expect("it ends");
        }
        let pids = others.map(|other| other.id());
        for found in found {
            assert_eq!((found.len(), found[0].at), (1, at));
            assert!(pids.contains(&found[0].pid), "{found:?}");
        }
        assert_eq!(elsewhere, []);
    }

    #[test]
    fn facts_of_another_version_are_read_as_far_as_they_go() {
        let facts: Facts = serde_json::from_str(r#"{"host": "a", "later": 1}"#).expect("facts");
        assert_eq!((facts.host.as_str(), facts.rivals.len()), ("a", 0));
    }
}
