//! Which processes hold a TCP port of this network namespace, read from /proc (proc(5): net/tcp).

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// `TCP_LISTEN` as /proc/net/tcp writes it.
const LISTEN: &str = "0A";

/// A TCP socket of this namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own address and port.
    pub local: SocketAddr,
    /// Whether it listens.
    pub listens: bool,
    /// Its inode.
    pub inode: u64,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// The file that it runs, where this user may see it.
    pub program: Option<PathBuf>,
}

/// What the kernel writes behind the name of a file that is no more (proc(5): exe).
const GONE: &str = " (deleted)";

impl Process {
    /// Whether it runs this binary, under whatever name, or one that an upgrade replaced. The file may have its version
    /// in its name, for links lead to it.
    pub fn is_evenkeel(&self) -> bool {
        let program = Path::new(self.program().trim_end_matches(GONE));
        let file = program.file_name().and_then(|name| name.to_str());
        let version = file.and_then(|name| name.strip_prefix(env!("CARGO_PKG_NAME")));
        version.is_some_and(|v| v.is_empty() || v.starts_with('-'))
            || std::env::current_exe().is_ok_and(|own| own == program)
    }

    /// Whether the file that it runs was replaced since it started.
    pub fn is_replaced(&self) -> bool {
        self.program().ends_with(GONE)
    }

    fn program(&self) -> &str {
        let program = self.program.as_deref();
        program.and_then(Path::to_str).unwrap_or_default()
    }
}

/// Every TCP socket of this namespace that belongs to a process.
pub fn sockets() -> Vec<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let tables = tables.iter().flatten();
    tables
        .flat_map(|t| t.lines().skip(1).filter_map(socket))
        .collect()
}

/// A line of /proc/net/tcp or tcp6.
fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let inode = fields.get(9)?.parse().ok().filter(|inode| *inode != 0)?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Socket {
        local: SocketAddr::new(address(ip)?, port),
        listens: *fields.get(3)? == LISTEN,
        inode,
    })
}

/// An address as the kernel prints it: words of 32 bits in the order of this host.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok();
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into());
    }
    let mut bytes = [0; 16];
    for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
        chunk.copy_from_slice(&word(at)?.to_ne_bytes());
    }
    Some(Ipv6Addr::from(bytes).into())
}

/// The processes that hold one of these sockets, as far as this user may see.
pub fn of(sockets: &[Socket]) -> Vec<Process> {
    let wanted: HashSet<String> = sockets
        .iter()
        .map(|s| format!("socket:[{}]", s.inode))
        .collect();
    let holds = |process: &Path| {
        let files = std::fs::read_dir(process.join("fd")).into_iter().flatten();
        let mut links = files
            .flatten()
            .filter_map(|f| std::fs::read_link(f.path()).ok());
        links.any(|to| to.to_str().is_some_and(|to| wanted.contains(to)))
    };
    processes().filter(|p| holds(&place(p.pid))).collect()
}

/// Every process.
pub fn processes() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?))
}

/// The process of this number.
pub fn process(pid: u32) -> Option<Process> {
    let name = std::fs::read_to_string(place(pid).join("comm")).ok()?;
    Some(Process {
        pid,
        name: name.trim().to_owned(),
        program: std::fs::read_link(place(pid).join("exe")).ok(),
    })
}

/// Whether a process is in this network namespace.
pub fn is_here(pid: u32) -> bool {
    let namespace = |process: &Path| std::fs::read_link(process.join("ns/net")).ok();
    namespace(&place(pid)).is_some_and(|there| namespace(Path::new("/proc/self")) == Some(there))
}

fn place(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_with_their_addresses_and_processes() {
        let here = std::process::id();
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(any).expect("a free port");
            let at = listener.local_addr().expect("bound");
            let mut found = sockets();
            found.retain(|s| s.local == at && s.listens);
            assert_eq!(found.len(), 1);
            let pids: Vec<u32> = of(&found).iter().map(|p| p.pid).collect();
            assert_eq!(pids, [here]);
        }
        assert!(is_here(here));
    }

    #[test]
    fn a_binary_is_known_by_its_file_also_when_that_was_replaced() {
        let run = |program: &str| Process {
            pid: 1,
            name: "haproxy".to_owned(),
            program: Some(PathBuf::from(program)),
        };
        let (ours, old) = (run("/usr/bin/evenkeel"), run("/usr/bin/evenkeel (deleted)"));
        assert!(ours.is_evenkeel() && !ours.is_replaced());
        assert!(old.is_evenkeel() && old.is_replaced());
        assert!(run("/opt/evenkeel-0.2.0").is_evenkeel());
        assert!(!run("/usr/bin/evenkeels").is_evenkeel());
        let own = std::env::current_exe().expect("this test is a program");
        assert!(run(own.to_str().expect("UTF-8")).is_evenkeel());
        assert!(!run("/usr/sbin/haproxy").is_evenkeel());
    }

    #[test]
    fn lines_that_are_no_sockets_are_passed_over() {
        assert_eq!(socket(""), None);
        assert_eq!(socket("0: 0100007F:XYZ 0 0A 0 0 0 0 0 5"), None);
        // a connection that waits for its end belongs to nobody
        assert_eq!(socket("0: 0100007F:0016 0 06 0 0 0 0 0 0"), None);
    }
}
