//! Sessions that wait for a server: in the order of their priority, then of
//! their arrival. Not here: who wakes them.

use std::collections::BTreeMap;

/// Place of an entry: class first, then the (offset) time of arrival, then a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    class: i16,
    time_ms: i64,
    serial: u64,
}

impl Place {
    /// Whether this one is served before the other.
    pub fn before(self, other: Place) -> bool {
        self < other
    }
}

/// A queue of waiting sessions.
#[derive(Debug)]
pub struct Queue<T> {
    entries: BTreeMap<Place, T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue {
            entries: BTreeMap::new(),
        }
    }
}

/// `set-priority-class` and `set-priority-offset` of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priority {
    /// Lower classes are served first, -2047..=2047.
    pub class: i16,
    /// Added to the time of arrival, in milliseconds.
    pub offset_ms: i32,
}

impl<T> Queue<T> {
    /// Appends an entry; `serial` must be unique, e.g. from a process-wide counter.
    pub fn push(&mut self, now_ms: u64, priority: Priority, serial: u64, entry: T) -> Place {
        let place = Place {
            class: priority.class,
            time_ms: now_ms as i64 + i64::from(priority.offset_ms),
            serial,
        };
        self.entries.insert(place, entry);
        place
    }

    /// The first place, if anybody waits.
    pub fn first(&self) -> Option<Place> {
        self.entries.first_key_value().map(|(place, _)| *place)
    }

    /// Takes the first entry.
    pub fn pop(&mut self) -> Option<T> {
        self.entries.pop_first().map(|(_, entry)| entry)
    }

    /// Takes one entry out (timeout, abort); nothing if it has been served already.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        self.entries.remove(&place)
    }

    /// Takes all entries out.
    pub fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.entries).into_values().collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_classes_come_first_then_earlier_arrivals() {
        let mut queue = Queue::default();
        let low = Priority {
            class: 5,
            offset_ms: 0,
        };
        let early = Priority {
            class: 0,
            offset_ms: -500,
        };
        queue.push(1000, low, 1, "low class");
        queue.push(1001, Priority::default(), 2, "first");
        let gone = queue.push(1002, Priority::default(), 3, "second");
        queue.push(1003, early, 4, "moved ahead");
        assert_eq!(queue.remove(gone), Some("second"));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["moved ahead", "first", "low class"]);
    }
}
