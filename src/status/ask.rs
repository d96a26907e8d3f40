//! Asking the daemons of this host how they stand: the balancer and the VRRP
//! daemon by their admin sockets, the broker by its metrics listener.

use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Part of the reason when a daemon takes the question and does not answer.
pub const SILENT: &str = "no answer";
/// Longest answer that is read.
const LIMIT: u64 = 16 << 20;

/// One request to a socket that closes after its answer, or after a line of it.
pub fn socket(path: &Path, request: &str) -> Result<String, String> {
    let say = |e: std::io::Error| match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!(
                "{}: {SILENT} within {} s",
                path.display(),
                PATIENCE.as_secs()
            )
        }
        _ => format!("{}: {e}", path.display()),
    };
    let mut stream = UnixStream::connect(path).map_err(say)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(say)?;
    stream.write_all(request.as_bytes()).map_err(say)?;
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut text = String::new();
    let read = stream.take(LIMIT).read_to_string(&mut text);
    match read {
        // an answer that came before the socket went on waiting is one
        Err(error) if text.is_empty() => Err(say(error)),
        _ => Ok(text),
    }
}

/// The admin sockets of the balancers that run here: `lb-<pid>.sock`, which each
/// has, or else `lb.sock`, where the file names one so. Sockets that nobody
/// listens on any more are left out.
pub fn balancers(run_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(run_dir) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("lb-") && name.ends_with(".sock")
        })
        .map(|entry| entry.path())
        .filter(|path| UnixStream::connect(path).is_ok())
        .collect();
    found.sort();
    let named = run_dir.join("lb.sock");
    if found.is_empty() && UnixStream::connect(&named).is_ok() {
        found.push(named);
    }
    found
}

/// The status of one balancer.
pub fn balancer(socket_path: &Path) -> Result<Value, String> {
    parse(&socket(socket_path, "show status\n")?)
}

/// The status of the VRRP daemon.
pub fn vrrp(run_dir: &Path) -> Result<Value, String> {
    parse(&socket(&run_dir.join("vip.sock"), "status\n")?)
}

/// The status of a broker by its metrics or management listener.
pub fn broker(address: &str) -> Result<Value, String> {
    let say = |e: std::io::Error| format!("{address}: {e}");
    let to = address.to_socket_addrs().map_err(say)?.next();
    let to = to.ok_or_else(|| format!("{address}: no address"))?;
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).map_err(say)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(say)?;
    let request = format!("GET /status HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(say)?;
    let mut text = String::new();
    stream.take(LIMIT).read_to_string(&mut text).map_err(say)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    if !head.lines().next().unwrap_or_default().contains(" 200") {
        return Err(format!("{address}: not the status of an Evenkeel broker"));
    }
    parse(body)
}

fn parse(text: &str) -> Result<Value, String> {
    let line = text.trim();
    serde_json::from_str(line).map_err(|_| {
        let first = line.lines().next().unwrap_or("no answer");
        format!("not a status: {first}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_that_a_dead_balancer_left_is_none() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        drop(UnixListener::bind(at("lb-1.sock")).expect("bound"));
        assert!(balancers(dir.path()).is_empty());
        let named = UnixListener::bind(at("lb.sock")).expect("bound");
        assert_eq!(balancers(dir.path()), [at("lb.sock")]);
        let own = UnixListener::bind(at("lb-7.sock")).expect("bound");
        assert_eq!(balancers(dir.path()), [at("lb-7.sock")]);
        drop((named, own));
    }
}
