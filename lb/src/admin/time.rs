//! Times as the CLI and the page show them.

use std::time::{Duration, SystemTime};

/// `[21/Nov/2026:01:13:16.389569]`-style: date, time and microseconds of the local zone.
pub fn stamp(at: SystemTime) -> String {
    let zoned = jiff::Timestamp::try_from(at)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%d/%b/%Y:%H:%M:%S%.6f").to_string()
}

/// The same, to the millisecond.
pub fn stamp_ms(at: SystemTime) -> String {
    let mut stamp = stamp(at);
    stamp.truncate(stamp.len().saturating_sub(3));
    stamp
}

/// Seconds since 1970 with microseconds.
pub fn epoch_us(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}

/// A remaining or elapsed time in its two largest units: `1m59s`, `4s`, `250ms`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 if ms > 0 => format!("{ms}ms"),
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}
