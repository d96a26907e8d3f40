//! The signals that guardian and worker take, by keepalived's names for what
//! they do and with its numbers.

use crate::sys;
use nix::sys::signal::{SigSet, Signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Leave.
    Stop,
    /// Read the file again.
    Reload,
    /// Write the state to a file.
    WriteState,
    /// The same, then count from zero.
    ClearCounters,
}

/// Names, numbers and meanings.
fn table() -> [(&'static str, i32, Wish); 7] {
    let (first, last) = sys::real_time_signals();
    [
        ("STOP", libc::SIGTERM, Wish::Stop),
        ("", libc::SIGINT, Wish::Stop),
        ("RELOAD", libc::SIGHUP, Wish::Reload),
        ("DATA", libc::SIGUSR1, Wish::WriteState),
        ("STATS", libc::SIGUSR2, Wish::WriteState),
        ("JSON", first + 2, Wish::WriteState),
        ("STATS_CLEAR", last - 1, Wish::ClearCounters),
    ]
}

impl Wish {
    /// What the signal of this number asks for.
    pub fn of(number: i32) -> Option<Wish> {
        let row = table().into_iter().find(|(_, n, _)| *n == number)?;
        Some(row.2)
    }
}

/// The number of the signal of this name.
pub fn number(name: &str) -> Option<i32> {
    let named = |(n, _, _): &(&str, i32, Wish)| *n == name && !n.is_empty();
    table().into_iter().find(named).map(|(_, number, _)| number)
}

/// Signals that the loops read. They must be blocked before any thread starts: a thread that does
/// not block them would let them end the process.
pub fn watched() -> SigSet {
    let (mut set, mut unnamed) = (SigSet::empty(), Vec::new());
    for (_, number, _) in table() {
        match Signal::try_from(number) {
            Ok(signal) => set.add(signal),
            Err(_) => unnamed.push(number),
        }
    }
    sys::with_signals(set, &unnamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_keepaliveds() {
        let numbers = ["STOP", "RELOAD", "DATA", "STATS", "JSON", "STATS_CLEAR"].map(number);
        assert_eq!(numbers, [15, 1, 10, 12, 36, 63].map(Some));
        assert_eq!(number("TDATA"), None);
        assert_eq!(number(""), None);
        assert_eq!(Wish::of(2), Some(Wish::Stop));
        assert_eq!(Wish::of(63), Some(Wish::ClearCounters));
        assert_eq!(Wish::of(35), None);
    }
}
