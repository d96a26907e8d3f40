//! What a host says of itself.

use super::Options;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Settings of the kernel that matter here.
const SYSCTLS: &[&str] = &[
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_nonlocal_bind",
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
    /// What an AMQP handshake gave: `amqp`, `tcp` (connects, but no AMQP) or the error.
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

/// One host.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    /// The balancer's `show info`, or why not.
    pub lb_info: Option<Result<String, String>>,
    /// The VRRP daemon's status in JSON, or why not.
    pub vip_status: Option<Result<String, String>>,
    /// The servers of the balancer's file.
    pub brokers: Vec<Broker>,
}

impl Facts {
    /// Looks at this host.
    pub fn gather(options: &Options) -> Facts {
        let (interfaces, addresses) = interfaces();
        let lb = ConfigFile::read(&options.lb);
        let vip = ConfigFile::read(&options.vip);
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
            kernel: one_line("/proc/sys/kernel/osrelease"),
            open_files: nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
                .unwrap_or((0, 0)),
            sysctls: sysctls.collect(),
            brokers: lb.text.as_deref().map_or(Vec::new(), brokers),
            lb_info: lb
                .text
                .is_some()
                .then(|| ask(&options.run_dir.join("lb.sock"), "show info\n")),
            vip_status: vip.text.is_some().then(|| vip_status(&options.run_dir)),
            addresses,
            interfaces,
            lb,
            vip,
        }
    }
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

fn one_line(path: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
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

/// One request to a socket that closes after its answer.
fn ask(socket: &Path, request: &str) -> Result<String, String> {
    let say = |e: std::io::Error| format!("{}: {e}", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(say)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .map_err(say)?;
    stream.write_all(request.as_bytes()).map_err(say)?;
    let mut text = String::new();
    stream
        .take(1 << 20)
        .read_to_string(&mut text)
        .map_err(say)?;
    Ok(text)
}

fn vip_status(run_dir: &Path) -> Result<String, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = std::process::Command::new(own)
        .args(["vip", "status", "--json", "--run-dir"])
        .arg(run_dir)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Tries every server of the proxies that speak AMQP by their port or check.
fn brokers(text: &str) -> Vec<Broker> {
    let mut found: Vec<Broker> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["server", name, address, ..] = words[..] else {
            continue;
        };
        let port = address
            .rsplit_once(':')
            .and_then(|(_, p)| p.parse::<u16>().ok());
        if !matches!(port, Some(5671 | 5672)) || found.iter().any(|b| b.address == address) {
            continue;
        }
        found.push(Broker {
            name: name.to_owned(),
            address: address.to_owned(),
            answer: handshake(address).unwrap_or_else(|reason| reason),
        });
    }
    found
}

fn handshake(address: &str) -> Result<String, String> {
    let limit = Duration::from_secs(2);
    let to = address
        .to_socket_addrs()
        .map_err(|e| e.to_string())?
        .next()
        .ok_or("the name has no address")?;
    let mut stream = TcpStream::connect_timeout(&to, limit).map_err(|e| e.to_string())?;
    stream
        .set_read_timeout(Some(limit))
        .map_err(|e| e.to_string())?;
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
        assert!(
            brokers("server a 127.0.0.1:1\n").is_empty(),
            "not an AMQP port"
        );
    }
}
