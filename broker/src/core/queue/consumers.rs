//! A queue's consumers and whose turn it is.
//!
//! Consumers that could take a message wait in rings, one per priority, highest first. One that cannot (its prefetch
//! is used up, its connection's output is full) leaves the ring and comes back when it says so.

use crate::core::connection::At;
use std::collections::VecDeque;

/// A consumer by its channel and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerKey {
    pub at: At,
    pub number: u32,
}

#[derive(Debug)]
struct Member {
    key: ConsumerKey,
    priority: i32,
    waiting: bool,
}

/// A queue's consumers, by priority.
#[derive(Debug, Default)]
pub struct Consumers {
    members: Vec<Member>,
    rings: Vec<(i32, VecDeque<ConsumerKey>)>,
    /// With single active consumer: the one.
    active: Option<ConsumerKey>,
    single_active: bool,
    exclusive: bool,
}

impl Consumers {
    pub fn new(single_active: bool) -> Consumers {
        Consumers {
            single_active,
            ..Consumers::default()
        }
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether one consumer has claimed the queue for itself.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// The active one of a queue with single active consumer.
    pub fn active(&self) -> Option<ConsumerKey> {
        self.active
    }

    pub fn is_single_active(&self) -> bool {
        self.single_active
    }

    pub fn keys(&self) -> impl Iterator<Item = ConsumerKey> {
        self.members.iter().map(|member| member.key)
    }

    pub fn add(&mut self, key: ConsumerKey, priority: i32, exclusive: bool) {
        self.exclusive |= exclusive;
        self.members.push(Member {
            key,
            priority,
            waiting: false,
        });
        if self.single_active && self.active.is_none() {
            self.active = Some(key);
        }
        self.wake(key);
    }

    /// Removes a consumer; of those left the first to have come of the highest priority becomes the single active one.
    pub fn remove(&mut self, key: ConsumerKey) -> bool {
        let Some(index) = self.members.iter().position(|member| member.key == key) else {
            return false;
        };
        let member = self.members.remove(index);
        self.exclusive = false;
        if member.waiting {
            for (_, ring) in &mut self.rings {
                ring.retain(|other| *other != key);
            }
        }
        self.rings.retain(|(_, ring)| !ring.is_empty());
        if self.active == Some(key) {
            // of equals the last is the greatest, so the first to have come is looked for from the end
            let next = self
                .members
                .iter()
                .rev()
                .max_by_key(|member| member.priority);
            self.active = next.map(|member| member.key);
            if let Some(next) = self.active {
                self.wake(next);
            }
        }
        true
    }

    /// Says that a consumer may be able to take a message.
    pub fn wake(&mut self, key: ConsumerKey) {
        if self.single_active && self.active != Some(key) {
            return;
        }
        let Some(member) = self.members.iter_mut().find(|member| member.key == key) else {
            return;
        };
        if member.waiting {
            return;
        }
        member.waiting = true;
        let priority = member.priority;
        self.ring(priority).push_back(key);
    }

    fn ring(&mut self, priority: i32) -> &mut VecDeque<ConsumerKey> {
        let index = match self.rings.binary_search_by(|(p, _)| priority.cmp(p)) {
            Ok(index) => index,
            Err(index) => {
                self.rings.insert(index, (priority, VecDeque::new()));
                index
            }
        };
        &mut self.rings[index].1
    }

    /// Whose turn it is.
    pub fn next(&self) -> Option<ConsumerKey> {
        self.rings
            .iter()
            .find_map(|(_, ring)| ring.front().copied())
    }

    /// Whether any waits besides the next of equal priority.
    pub fn is_alone(&self) -> bool {
        self.rings
            .iter()
            .find(|(_, ring)| !ring.is_empty())
            .is_some_and(|(_, ring)| ring.len() == 1)
    }

    /// The next one took a message: it goes behind the others of its priority.
    pub fn rotate(&mut self) {
        if let Some((_, ring)) = self.rings.iter_mut().find(|(_, ring)| !ring.is_empty()) {
            ring.rotate_left(1);
        }
    }

    /// The next one cannot take a message now.
    pub fn put_aside(&mut self) {
        let Some((_, ring)) = self.rings.iter_mut().find(|(_, ring)| !ring.is_empty()) else {
            return;
        };
        let Some(key) = ring.pop_front() else { return };
        if let Some(member) = self.members.iter_mut().find(|member| member.key == key) {
            member.waiting = false;
        }
    }
}
