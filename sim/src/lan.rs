//! A model LAN: stations that hear each other's broadcasts after a delay,
//! unless a frame is lost or the two are parted. Frames from one station to
//! another arrive in order, as on a switch. Time is virtual; the order of
//! everything follows from the seed.

use crate::rng::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A frame on its way to one station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<F> {
    /// When it arrives.
    pub at: Duration,
    /// Who sent it.
    pub from: usize,
    /// Who gets it.
    pub to: usize,
    /// What it carries.
    pub frame: F,
}

/// How the LAN treats frames.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Shortest time on the way.
    pub delay_min: Duration,
    /// Longest time on the way; frames of different senders may overtake each other.
    pub delay_max: Duration,
    /// Frames lost, per hundred and receiver.
    pub loss_percent: u64,
}

/// Stations on one segment, numbered from 0.
#[derive(Debug)]
pub struct Lan<F> {
    rng: Rng,
    weather: Weather,
    /// `parted[a][b]`: what `a` sends does not reach `b`.
    parted: Vec<Vec<bool>>,
    queue: BinaryHeap<Reverse<(Duration, u64, usize, usize)>>,
    frames: Vec<Option<F>>,
    free: Vec<usize>,
    count: u64,
    slots: std::collections::HashMap<u64, usize>,
    /// When the last frame from one station to another arrives.
    last: Vec<Vec<Duration>>,
}

impl<F: Clone> Lan<F> {
    /// A LAN of `stations` that all hear each other.
    pub fn new(stations: usize, weather: Weather, seed: u64) -> Lan<F> {
        Lan {
            rng: Rng::new(seed),
            weather,
            parted: vec![vec![false; stations]; stations],
            queue: BinaryHeap::new(),
            frames: Vec::new(),
            free: Vec::new(),
            count: 0,
            slots: std::collections::HashMap::new(),
            last: vec![vec![Duration::ZERO; stations]; stations],
        }
    }

    /// Changes delays and loss for frames sent from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Whether frames from `from` reach `to` at all.
    pub fn hears(&self, from: usize, to: usize) -> bool {
        !self.parted[from][to]
    }

    /// Parts or joins one direction between two stations.
    pub fn part(&mut self, from: usize, to: usize, parted: bool) {
        self.parted[from][to] = parted;
    }

    /// Joins everybody and ends all loss.
    pub fn heal(&mut self) {
        for row in &mut self.parted {
            row.fill(false);
        }
        self.weather.loss_percent = 0;
    }

    /// Sends a frame to all others.
    pub fn broadcast(&mut self, now: Duration, from: usize, frame: &F) {
        for to in 0..self.parted.len() {
            if to == from || self.parted[from][to] || self.rng.chance(self.weather.loss_percent) {
                continue;
            }
            let spread = self
                .weather
                .delay_max
                .saturating_sub(self.weather.delay_min);
            let extra = self.rng.below(spread.as_nanos() as u64 + 1);
            let at = now + self.weather.delay_min + Duration::from_nanos(extra);
            let at = at.max(self.last[from][to]);
            self.last[from][to] = at;
            self.enqueue(at, from, to, frame.clone());
        }
    }

    fn enqueue(&mut self, at: Duration, from: usize, to: usize, frame: F) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.frames[slot] = Some(frame);
                slot
            }
            None => {
                self.frames.push(Some(frame));
                self.frames.len() - 1
            }
        };
        self.count += 1;
        self.slots.insert(self.count, slot);
        self.queue.push(Reverse((at, self.count, from, to)));
    }

    /// When the next frame arrives.
    pub fn next_at(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next frame that arrives; a parting does not stop what is on its way.
    pub fn next_delivery(&mut self) -> Option<Delivery<F>> {
        let Reverse((at, number, from, to)) = self.queue.pop()?;
        let slot = self.slots.remove(&number)?;
        self.free.push(slot);
        let frame = self.frames[slot].take()?;
        Some(Delivery {
            at,
            from,
            to,
            frame,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Weather {
        Weather {
            delay_min: Duration::from_micros(50),
            delay_max: Duration::from_micros(500),
            loss_percent: 0,
        }
    }

    #[test]
    fn a_broadcast_reaches_all_others_in_order_of_arrival() {
        let mut lan = Lan::new(3, calm(), 1);
        lan.broadcast(Duration::ZERO, 0, &"a");
        lan.broadcast(Duration::ZERO, 1, &"b");
        let mut last = Duration::ZERO;
        let mut seen = 0;
        while let Some(delivery) = lan.next_delivery() {
            assert!(delivery.at >= last && delivery.to != delivery.from);
            last = delivery.at;
            seen += 1;
        }
        assert_eq!(seen, 4);
    }

    #[test]
    fn a_parting_is_one_way_and_healing_ends_it() {
        let mut lan = Lan::new(2, calm(), 1);
        lan.part(0, 1, true);
        lan.broadcast(Duration::ZERO, 0, &());
        assert_eq!(lan.next_at(), None);
        lan.broadcast(Duration::ZERO, 1, &());
        assert!(lan.next_delivery().is_some());
        lan.heal();
        assert!(lan.hears(0, 1));
    }
}
