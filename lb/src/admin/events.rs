//! What happened lately: state changes of servers and other events, kept in a bounded ring and
//! passed on to those who watch.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::time;
use crate::saved::SavedEvent;

/// Most events kept.
const KEPT: usize = 1000;
/// Most watchers at once; further ones only see the past.
const WATCHERS: usize = 32;
/// Events that a slow watcher may be behind before it loses some.
const BEHIND: usize = 256;
/// Longest text kept of an event.
const TEXT_MAX: usize = 1024;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: SystemTime,
    /// What it is about, as `backend/server`; empty for the process.
    pub subject: String,
    pub text: String,
}

impl Event {
    fn line(&self) -> String {
        format!("{} {}\n", time::stamp_ms(self.at), self.text)
    }
}

#[derive(Default)]
struct Inner {
    kept: VecDeque<Event>,
    watchers: Vec<mpsc::Sender<String>>,
}

/// The ring.
#[derive(Default)]
pub struct Events {
    inner: Mutex<Inner>,
}

impl Events {
    /// Adds an event.
    pub fn add(&self, subject: &str, text: &str) {
        let mut text = text.replace(['\n', '\r'], " ");
        if text.len() > TEXT_MAX {
            let end = (0..=TEXT_MAX)
                .rev()
                .find(|end| text.is_char_boundary(*end))
                .unwrap_or(0);
            text.truncate(end);
        }
        let event = Event {
            at: SystemTime::now(),
            subject: subject.to_owned(),
            text,
        };
        let mut inner = self.lock();
        inner.watchers.retain(|watcher| {
            // a watcher that is too slow loses this event, one that left is forgotten
            !matches!(
                watcher.try_send(event.line()),
                Err(mpsc::error::TrySendError::Closed(_))
            )
        });
        if inner.kept.len() == KEPT {
            inner.kept.pop_front();
        }
        inner.kept.push_back(event);
    }

    /// Puts events of another process before those of this one.
    pub fn restore(&self, earlier: &[SavedEvent]) {
        let mut inner = self.lock();
        let room = KEPT - inner.kept.len();
        for event in earlier.iter().rev().take(room) {
            inner.kept.push_front(Event {
                at: SystemTime::UNIX_EPOCH
                    .checked_add(Duration::from_millis(event.at_ms))
                    .unwrap_or(SystemTime::UNIX_EPOCH),
                subject: event.subject.clone(),
                text: event
                    .text
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(TEXT_MAX)
                    .collect(),
            });
        }
    }

    /// All kept events, a line each.
    pub fn text(&self) -> String {
        self.lock().kept.iter().map(Event::line).collect()
    }

    /// The newest events whose subject is wanted, newest first.
    pub fn latest(&self, wants: impl Fn(&str) -> bool, count: usize) -> Vec<Event> {
        self.lock()
            .kept
            .iter()
            .rev()
            .filter(|event| wants(&event.subject))
            .take(count)
            .cloned()
            .collect()
    }

    /// What was `seen` already, then each new event as it comes.
    pub fn follow(&self, seen: String) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel(BEHIND);
        // the channel is empty, so this cannot fail
        let _ = sender.try_send(seen);
        let mut inner = self.lock();
        inner.watchers.retain(|watcher| !watcher.is_closed());
        if inner.watchers.len() < WATCHERS {
            inner.watchers.push(sender);
        }
        receiver
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_events_make_room_for_new_ones() {
        let events = Events::default();
        for number in 0..KEPT + 10 {
            events.add("b/s", &format!("event {number}\nx"));
        }
        assert_eq!(events.text().lines().count(), KEPT);
        assert!(
            events
                .text()
                .lines()
                .next()
                .unwrap()
                .ends_with("event 10 x")
        );
        assert_eq!(
            events.latest(|subject| subject == "b/s", 1)[0].text,
            format!("event {} x", KEPT + 9)
        );
        assert!(events.latest(|subject| subject == "other", 9).is_empty());
    }

    #[test]
    fn a_watcher_sees_what_comes_and_one_that_is_slow_is_no_burden() {
        let events = Events::default();
        let mut watcher = events.follow("before\n".to_owned());
        for number in 0..BEHIND * 2 {
            events.add("", &number.to_string());
        }
        assert_eq!(watcher.try_recv().unwrap(), "before\n");
        assert!(watcher.try_recv().unwrap().ends_with(" 0\n"));
    }
}
