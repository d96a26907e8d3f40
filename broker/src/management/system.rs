//! What the operating system says about this process and its disk.

use super::view::StoreView;
use std::path::Path;

/// Numbers of the process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Resident memory in bytes.
    pub memory: u64,
    /// Open files.
    pub files: u64,
    /// Open files at most.
    pub files_max: u64,
    /// Sockets among the open files.
    pub sockets: u64,
    /// Threads.
    pub threads: u64,
}

/// Looks at this process. What cannot be read is 0.
pub fn process() -> Process {
    let (files, sockets) = descriptors();
    Process {
        memory: service::resident_memory(),
        files,
        files_max: files_max(),
        sockets,
        threads: status_field("Threads:").unwrap_or(0),
    }
}

fn status_field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn descriptors() -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return (0, 0);
    };
    let mut counts = (0, 0);
    for entry in entries.flatten() {
        counts.0 += 1;
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        counts.1 += u64::from(target.to_string_lossy().starts_with("socket:"));
    }
    counts
}

fn files_max() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft)
}

/// Free bytes for this user on the file system that holds `path` or the
/// nearest directory above that exists.
pub fn disk_free(path: &Path) -> u64 {
    path.ancestors()
        .find_map(|at| nix::sys::statvfs::statvfs(at).ok())
        .map_or(0, |s| s.blocks_available() * s.fragment_size())
}

/// What the store has on disk, and what the process read and wrote.
pub fn store(data_dir: &Path) -> StoreView {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    };
    let mut view = StoreView {
        written: field("write_bytes:"),
        read: field("read_bytes:"),
        write_calls: field("syscw:"),
        read_calls: field("syscr:"),
        ..StoreView::default()
    };
    let files = std::fs::read_dir(data_dir.join("log"));
    for file in files.into_iter().flatten().flatten() {
        let size = file.metadata().map_or(0, |m| m.len());
        view.files += 1;
        view.disk_bytes += size;
    }
    view
}

/// Memory of the machine, or of the control group when that has less.
pub fn memory_total() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kib| kib * 1024);
    match group_limit() {
        Some(limit) if limit < machine => limit,
        _ => machine,
    }
}

fn group_limit() -> Option<u64> {
    let group = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    let file = format!("/sys/fs/cgroup{path}/memory.max");
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Processors that this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_files_and_a_disk() {
        let process = process();
        assert!(process.memory > 100_000);
        assert!(process.files >= 3);
        assert!(process.files_max >= process.files);
        assert!(process.threads >= 1);
        assert!(disk_free(Path::new("/tmp/does/not/exist")) > 0);
        assert!(memory_total() > 1 << 20);
    }
}
