//! A sample per second of what only differences tell: bytes per second, idle time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::resource::{RLIM_INFINITY, Resource, UsageWho, getrlimit, getrusage};

use super::Control;

/// What the last sample found.
pub struct Samples {
    bytes_out_rate: AtomicU64,
    idle_percent: AtomicU32,
    last: Mutex<Option<Last>>,
    /// Kept open because `/proc` is out of reach after chroot.
    statm: Option<std::fs::File>,
}

struct Last {
    at: Instant,
    bytes_out: u64,
    busy_us: Vec<u64>,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            bytes_out_rate: AtomicU64::new(0),
            idle_percent: AtomicU32::new(100),
            last: Mutex::new(None),
            statm: std::fs::File::open("/proc/self/statm").ok(),
        }
    }
}

impl Samples {
    /// Bytes sent to clients in the last second.
    pub fn bytes_out_rate(&self) -> u64 {
        self.bytes_out_rate.load(Relaxed)
    }

    /// How much of the last second the data threads waited.
    pub fn idle_percent(&self) -> u32 {
        self.idle_percent.load(Relaxed)
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        use std::os::unix::fs::FileExt as _;
        let resident = self.statm.as_ref().and_then(|file| {
            let mut text = [0u8; 128];
            let read = file.read_at(&mut text, 0).ok()?;
            service::resident_in(std::str::from_utf8(&text[..read]).ok()?)
        });
        let peak =
            || getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss() as u64 * 1024);
        resident.unwrap_or_else(peak)
    }

    /// Takes a sample; call it about once a second.
    pub fn take(&self, control: &Control) {
        let runtime = &control.runtime;
        let now = Last {
            at: Instant::now(),
            bytes_out: bytes_out(runtime),
            busy_us: runtime
                .threads()
                .iter()
                .map(|thread| thread.busy_us.load(Relaxed))
                .collect(),
        };
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(before) = last.as_ref() {
            let elapsed = now
                .at
                .duration_since(before.at)
                .max(Duration::from_millis(1));
            let bytes = now.bytes_out.saturating_sub(before.bytes_out);
            let rate = u128::from(bytes) * 1_000_000 / elapsed.as_micros();
            self.bytes_out_rate.store(rate as u64, Relaxed);
            let idle = idle_percent(&before.busy_us, &now.busy_us, elapsed);
            self.idle_percent.store(idle, Relaxed);
        }
        *last = Some(now);
    }
}

/// Bytes sent to clients by all frontends.
pub fn bytes_out(runtime: &crate::state::Runtime) -> u64 {
    let generation = runtime.generation();
    let fronts = generation
        .proxies
        .iter()
        .filter_map(|proxy| proxy.front.as_ref());
    fronts.map(|front| front.counters.totals().bytes_out).sum()
}

fn idle_percent(before: &[u64], now: &[u64], elapsed: Duration) -> u32 {
    let busy: u64 = before
        .iter()
        .zip(now)
        .map(|(before, now)| now.saturating_sub(*before))
        .sum();
    let whole = elapsed.as_micros() as u64 * before.len().max(1) as u64;
    100 - (busy * 100 / whole.max(1)).min(100) as u32
}

/// The limit of memory in MiB (`-m`), 0 without one.
pub fn memory_limit_mb() -> u32 {
    match getrlimit(Resource::RLIMIT_AS) {
        Ok((limit, _)) if limit != RLIM_INFINITY => (limit >> 20) as u32,
        _ => 0,
    }
}

/// The limit of open files.
pub fn file_limit() -> u32 {
    getrlimit(Resource::RLIMIT_NOFILE)
        .map_or(0, |(soft, _)| u32::try_from(soft).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_what_the_threads_did_not_work() {
        let second = Duration::from_secs(1);
        assert_eq!(idle_percent(&[0, 0], &[0, 0], second), 100);
        assert_eq!(idle_percent(&[0, 0], &[1_000_000, 0], second), 50);
        assert_eq!(idle_percent(&[5], &[9_000_000], second), 0);
    }

    #[test]
    fn memory_is_what_every_daemon_says_of_itself() {
        let (ours, theirs) = (Samples::default().memory(), service::resident_memory());
        // other tests run meanwhile
        assert!(
            ours > theirs / 2 && ours < theirs * 2,
            "{ours} and {theirs}"
        );
    }
}
