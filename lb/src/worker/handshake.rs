//! Handshakes with servers whose last segment waits for the client's first bytes (ADR 0190).

use std::collections::VecDeque;

/// How long a server may wait to be told that the connection stands. One of a backend whose
/// servers speak first does not wait.
const PATIENCE_MS: u64 = 5;

/// Sessions (by index) whose client has said nothing yet, and until when they wait; oldest first.
#[derive(Default)]
pub(super) struct Held {
    waiting: VecDeque<(usize, u64)>,
}

impl Held {
    pub(super) fn add(&mut self, index: usize, now_ms: u64) {
        self.waiting.push_back((index, now_ms + PATIENCE_MS));
    }

    /// When the oldest of the handshakes is to end that are `still_held`; the others before it
    /// are forgotten, so that nobody wakes up for them.
    pub(super) fn next_ms(&mut self, still_held: impl Fn(usize) -> bool) -> Option<u64> {
        while let Some(&(index, until_ms)) = self.waiting.front() {
            if still_held(index) {
                return Some(until_ms);
            }
            self.waiting.pop_front();
        }
        None
    }

    /// One that has waited long enough.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<usize> {
        let due = self.waiting.front().filter(|(_, until)| *until <= now_ms);
        due?;
        self.waiting.pop_front().map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_held_for_a_moment_and_no_longer() {
        let mut held = Held::default();
        held.add(7, 100);
        held.add(8, 101);
        assert_eq!(held.next_ms(|_| true), Some(100 + PATIENCE_MS));
        assert_eq!(held.take_due(99 + PATIENCE_MS), None);
        assert_eq!(held.take_due(100 + PATIENCE_MS), Some(7));
        assert_eq!(held.take_due(100 + PATIENCE_MS), None);
        assert_eq!(held.take_due(1_000), Some(8));
        assert_eq!(held.take_due(1_000), None);
    }

    #[test]
    fn nobody_wakes_up_for_clients_that_have_spoken() {
        let mut held = Held::default();
        for index in 0..3 {
            held.add(index, 100 + index as u64);
        }
        assert_eq!(held.next_ms(|index| index == 1), Some(101 + PATIENCE_MS));
        assert_eq!(held.next_ms(|_| false), None);
        assert_eq!(held.take_due(1_000), None);
    }
}
