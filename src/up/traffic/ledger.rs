//! What was confirmed, what was delivered, and what that says.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Default)]
struct Entry {
    confirmed: bool,
    delivered: u32,
}

/// The books of one run.
pub struct Ledger {
    entries: HashMap<u64, Entry>,
    next: u64,
    confirmed: u64,
    nacked: u64,
    delivered: u64,
    duplicates: u64,
    unflagged: u64,
    waiting: u64,
    reconnects: u64,
    publish_gap: Gap,
    delivery_gap: Gap,
}

/// The longest silence between two events.
#[derive(Default)]
struct Gap {
    last: Option<Instant>,
    longest: Duration,
    stopped: bool,
}

impl Gap {
    fn event(&mut self) {
        let now = Instant::now();
        if self.stopped {
            return;
        }
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
    }

    fn longest(&self) -> Duration {
        if self.stopped {
            return self.longest;
        }
        let open = self.last.map_or(Duration::ZERO, |last| last.elapsed());
        self.longest.max(open)
    }
}

/// The figures of a ledger.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Balance {
    /// Confirmed by the broker.
    pub confirmed: u64,
    /// Delivered at least once.
    pub delivered: u64,
    /// Confirmed and not delivered: lost, once the run is over.
    pub lost: u64,
    /// The run is over: what has not arrived does not arrive any more.
    pub over: bool,
    /// Delivered again.
    pub duplicates: u64,
    /// Of these, without the redelivered flag.
    pub unflagged: u64,
    /// Refused by the broker.
    pub nacked: u64,
    /// Sent, with no answer before the connection went.
    pub unknown: u64,
    /// Times that a client had to connect again.
    pub reconnects: u64,
    /// Longest time between two confirms.
    pub publish_gap_ms: u64,
    /// Longest time between two deliveries.
    pub delivery_gap_ms: u64,
}

impl Balance {
    /// Nothing confirmed was lost, and no duplicate came without its flag.
    pub fn is_whole(&self) -> bool {
        self.lost == 0 && self.unflagged == 0 && self.confirmed > 0
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "confirmed {} delivered {} {} {} duplicates {} (unflagged {}) unknown {} \
             reconnects {} longest gap {} ms publishing, {} ms consuming",
            self.confirmed,
            self.delivered,
            if self.over { "lost" } else { "waiting" },
            self.lost,
            self.duplicates,
            self.unflagged,
            self.unknown,
            self.reconnects,
            self.publish_gap_ms,
            self.delivery_gap_ms
        )
    }
}

impl Ledger {
    /// Empty books.
    pub fn new() -> Ledger {
        Ledger {
            entries: HashMap::new(),
            next: 0,
            confirmed: 0,
            nacked: 0,
            delivered: 0,
            duplicates: 0,
            unflagged: 0,
            waiting: 0,
            reconnects: 0,
            publish_gap: Gap::default(),
            delivery_gap: Gap::default(),
        }
    }

    /// A number for the next message.
    pub fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The broker answered for a message.
    pub fn confirmed(&mut self, number: u64, good: bool) {
        if !good {
            self.nacked += 1;
            return;
        }
        self.publish_gap.event();
        let entry = self.entries.entry(number).or_default();
        entry.confirmed = true;
        self.confirmed += 1;
        if entry.delivered == 0 {
            self.waiting += 1;
        }
    }

    /// A message arrived.
    pub fn delivered(&mut self, number: u64, redelivered: bool) {
        self.delivery_gap.event();
        let entry = self.entries.entry(number).or_default();
        entry.delivered += 1;
        if entry.delivered > 1 {
            self.duplicates += 1;
            self.unflagged += u64::from(!redelivered);
            return;
        }
        self.delivered += 1;
        if entry.confirmed {
            self.waiting -= 1;
        }
    }

    /// Everything confirmed was delivered.
    pub fn is_drained(&self) -> bool {
        self.waiting == 0
    }

    /// Something confirmed waits, and nothing came for so long.
    pub fn behind_for(&self, time: Duration) -> bool {
        self.waiting > 0
            && self
                .delivery_gap
                .last
                .is_none_or(|last| last.elapsed() > time)
    }

    /// The publisher's connection went.
    pub fn publisher_lost(&mut self) {
        self.reconnects += 1;
    }

    /// The publisher has a connection.
    pub fn publisher_connected(&mut self) {
        self.publish_gap.last.get_or_insert_with(Instant::now);
    }

    /// The consumer's connection went.
    pub fn consumer_lost(&mut self) {
        self.reconnects += 1;
    }

    /// The consumer has a connection.
    pub fn consumer_connected(&mut self) {
        self.delivery_gap.last.get_or_insert_with(Instant::now);
    }

    /// The end of publishing: later silence is no gap.
    pub fn stop_clocks(&mut self) {
        for gap in [&mut self.publish_gap, &mut self.delivery_gap] {
            gap.longest = gap.longest();
            gap.last = None;
            gap.stopped = true;
        }
    }

    /// The figures.
    pub fn balance(&self) -> Balance {
        let sent_without_answer = self.next - self.confirmed - self.nacked;
        Balance {
            confirmed: self.confirmed,
            delivered: self.delivered,
            lost: self.waiting,
            over: self.publish_gap.stopped,
            duplicates: self.duplicates,
            unflagged: self.unflagged,
            nacked: self.nacked,
            unknown: sent_without_answer,
            reconnects: self.reconnects,
            publish_gap_ms: self.publish_gap.longest().as_millis() as u64,
            delivery_gap_ms: self.delivery_gap.longest().as_millis() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_duplicates_are_counted() {
        let mut ledger = Ledger::new();
        for _ in 0..3 {
            let number = ledger.next();
            ledger.confirmed(number, true);
        }
        ledger.delivered(1, false);
        ledger.delivered(1, true);
        ledger.delivered(2, false);
        let books = ledger.balance();
        assert_eq!((books.confirmed, books.lost, books.duplicates), (3, 1, 1));
        assert!(!books.is_whole() && !ledger.is_drained());
        ledger.delivered(3, true);
        assert!(ledger.balance().is_whole() && ledger.is_drained());
        ledger.delivered(2, false);
        assert_eq!(ledger.balance().unflagged, 1);
        assert!(!ledger.balance().is_whole());
    }

    #[test]
    fn silence_after_the_end_is_no_gap_and_what_waits_then_is_lost() {
        let mut ledger = Ledger::new();
        let number = ledger.next();
        ledger.confirmed(number, true);
        assert!(ledger.balance().to_string().contains("waiting 1"));
        ledger.stop_clocks();
        let before = ledger.balance().delivery_gap_ms;
        ledger.consumer_connected();
        std::thread::sleep(Duration::from_millis(20));
        ledger.delivered(number, true);
        assert_eq!(ledger.balance().delivery_gap_ms, before);
        ledger.delivered(number, true);
        let another = ledger.next();
        ledger.confirmed(another, true);
        assert!(ledger.balance().to_string().contains("lost 1"));
    }

    #[test]
    fn a_delivery_before_its_confirm_is_no_loss() {
        let mut ledger = Ledger::new();
        let number = ledger.next();
        ledger.delivered(number, false);
        ledger.confirmed(number, true);
        assert!(ledger.balance().is_whole() && ledger.is_drained());
    }
}
