//! Who a daemon is and what it uses of its host: the head of every JSON status
//! and the `evenkeel_*` series that all daemons have in common.

use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// A running daemon.
#[derive(Clone, Debug)]
pub struct Identity {
    daemon: &'static str,
    version: &'static str,
    started: Instant,
}

/// What a daemon uses of its host.
struct Uses {
    open_files: u64,
    open_files_limit: u64,
    memory_bytes: u64,
    cpu: Duration,
}

impl Default for Identity {
    /// A process of no daemon, for tests.
    fn default() -> Identity {
        Identity::new("none", "0")
    }
}

impl Identity {
    /// The daemon `lb`, `vip` or `broker`, started now.
    pub fn new(daemon: &'static str, version: &'static str) -> Identity {
        Identity {
            daemon,
            version,
            started: Instant::now(),
        }
    }

    /// The head of a JSON status; the daemon adds what only it has.
    pub fn head(&self) -> Map<String, Value> {
        let uses = Uses::read();
        let head = json!({
            "daemon": self.daemon,
            "version": self.version,
            "host": host(),
            "pid": std::process::id(),
            "at": wall_time(),
            "uptime_ms": self.started.elapsed().as_millis() as u64,
            "cpu_ms": uses.cpu.as_millis() as u64,
            "memory_bytes": uses.memory_bytes,
            "open_files": uses.open_files,
            "open_files_limit": uses.open_files_limit,
        });
        match head {
            Value::Object(head) => head,
            _ => Map::new(),
        }
    }

    /// The head as Prometheus text.
    pub fn prometheus(&self) -> String {
        series(&self.head().into())
    }
}

/// Common series: name, kind, help, field of the head, divisor to the base unit.
const SERIES: &[(&str, &str, &str, &str, f64)] = &[
    (
        "uptime_seconds",
        "gauge",
        "Time since the daemon started.",
        "uptime_ms",
        1000.0,
    ),
    (
        "cpu_seconds_total",
        "counter",
        "Processor time used.",
        "cpu_ms",
        1000.0,
    ),
    (
        "memory_bytes",
        "gauge",
        "Resident memory.",
        "memory_bytes",
        1.0,
    ),
    (
        "open_files",
        "gauge",
        "Files and sockets that are open.",
        "open_files",
        1.0,
    ),
    (
        "open_files_limit",
        "gauge",
        "Files and sockets that may be open.",
        "open_files_limit",
        1.0,
    ),
];

/// The series that all daemons have, from the head of a status.
pub fn series(status: &Value) -> String {
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    let (daemon, version) = (text("daemon"), text("version"));
    let mut out = format!(
        "# HELP evenkeel_build_info What runs.\n# TYPE evenkeel_build_info gauge\n\
         evenkeel_build_info{{daemon=\"{daemon}\",version=\"{version}\"}} 1\n"
    );
    for (name, kind, help, field, divisor) in SERIES {
        let value = status[*field].as_f64().unwrap_or(0.0) / divisor;
        let _ = write!(
            out,
            "# HELP evenkeel_{name} {help}\n# TYPE evenkeel_{name} {kind}\n\
             evenkeel_{name}{{daemon=\"{daemon}\"}} {value}\n"
        );
    }
    out
}

impl Uses {
    fn read() -> Uses {
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let cpu = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
        Uses {
            // the directory itself was open while it was counted
            open_files: (files as u64).saturating_sub(1),
            open_files_limit: limit.map_or(0, |(soft, _)| soft),
            memory_bytes: resident_memory(),
            cpu: cpu.map_or(Duration::ZERO, Duration::from),
        }
    }
}

/// Resident memory of this process in bytes; 0 where /proc does not say it.
pub fn resident_memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    resident_in(&statm).unwrap_or(0)
}

/// Resident memory in bytes, as `/proc/PID/statm` says it in the kernel's pages (proc(5)).
pub fn resident_in(statm: &str) -> Option<u64> {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = page.ok().flatten().map_or(4096, |size| size as u64);
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page)
}

fn host() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The wall clock as every status and log gives it: UTC, milliseconds.
pub fn wall_time() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_what_the_kernel_says_in_kilobytes() {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let words = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = words.expect("VmRSS").parse().expect("a number");
        let ours = resident_memory() / 1024;
        // both are counted some pages late, and other tests run meanwhile
        assert!(ours > kib / 2 && ours < kib * 2, "{ours} and {kib} KiB");
    }

    #[test]
    fn resident_memory_is_counted_in_pages() {
        let one = resident_in("9 1 1 1 0 1 0").expect("a page");
        assert!(one >= 4096 && one.is_power_of_two());
        assert_eq!(resident_in("9 3 1 1 0 1 0"), Some(3 * one));
        assert_eq!(resident_in("9"), None);
    }

    #[test]
    fn the_head_and_the_series_name_the_same_things() {
        let identity = Identity::new("lb", "1.2.3");
        let head = identity.head();
        assert_eq!(head["daemon"], "lb");
        assert!(head["memory_bytes"].as_u64().is_some_and(|n| n > 100_000));
        assert!(head["open_files"].as_u64() <= head["open_files_limit"].as_u64());
        let text = identity.prometheus();
        assert!(text.contains("evenkeel_build_info{daemon=\"lb\",version=\"1.2.3\"} 1\n"));
        for name in ["memory_bytes", "open_files", "open_files_limit"] {
            assert!(head.contains_key(name));
            assert!(text.contains(&format!("\nevenkeel_{name}{{daemon=\"lb\"}} ")));
        }
        assert!(head["at"].as_str().is_some_and(|at| at.ends_with('Z')));
    }
}
