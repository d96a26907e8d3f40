//! The engine's side of keeping house: which segments go, whose messages are moved, what is logged again.

use super::Store;
use super::keeper::{Job, Outcome, Victim};

/// Segments whose settlements are logged again at a time.
const RELOGGED: usize = 8;

/// What is under way.
pub(super) struct House {
    /// The number of the next segment that messages are moved to.
    next_cold: u32,
    /// The tail segment when messages began to be moved, while they are.
    moving: Option<u32>,
    /// Segments whose settlements are logged again, and the position that must be durable before they go.
    relogged: Vec<(u32, u64)>,
    /// Segments whose settlements are being looked for.
    asked: usize,
}

impl House {
    /// Nothing is under way.
    pub(super) fn new(next_cold: u32) -> House {
        House {
            next_cold,
            moving: None,
            relogged: Vec::new(),
            asked: 0,
        }
    }
}

impl Store {
    /// Takes in what the keeper has done, and asks it for more.
    pub(super) fn keep_house(&mut self) {
        for outcome in self.outcomes.take() {
            self.settle_outcome(outcome);
        }
        let durable = self.shared.durable();
        while let Some(&(segment, position)) = self.house.relogged.first()
            && position <= durable
        {
            self.house.relogged.remove(0);
            self.segments.unblock(segment);
        }
        let going = self.segments.sweep(self.shared.hot());
        if !going.is_empty() {
            going
                .iter()
                .for_each(|&segment| self.reader.forget(segment));
            if !self.ask(Job::Retire(going.clone())) {
                going
                    .iter()
                    .for_each(|&segment| self.segments.get_mut(segment).leaving = false);
                self.segments.mark_unswept();
            }
            self.move_sparse();
        }
    }

    fn settle_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Retired(segments) => {
                self.segments.gone(&segments);
                self.move_sparse();
            }
            Outcome::Moved {
                cold,
                moves,
                seen,
                untouched,
            } => {
                let since = self.house.moving.take().unwrap_or(0);
                if self.segments.apply_moves(cold, &moves, &seen) {
                    // What was settled meanwhile was so in one of these.
                    self.segments.depend_since(since, cold);
                    self.tail.depend_on(cold);
                }
                untouched
                    .iter()
                    .for_each(|&segment| self.segments.get_mut(segment).leaving = false);
            }
            Outcome::Settlements {
                segment,
                holders,
                ranges,
            } => {
                self.house.asked = self.house.asked.saturating_sub(1);
                if !ranges.is_empty() {
                    holders
                        .iter()
                        .for_each(|&holder| self.tail.depend_on(holder));
                    self.tail.settle(&ranges, 0);
                    holders
                        .iter()
                        .for_each(|&holder| self.tail.depend_on(holder));
                }
                self.house.relogged.push((segment, self.tail.position()));
            }
            Outcome::NotFound { segment, reason } => {
                tracing::warn!(segment, reason, "settlements stay in a settled segment");
                self.house.asked = self.house.asked.saturating_sub(1);
                self.segments.get_mut(segment).leaving = false;
            }
            Outcome::NotMoved { victims, reason } => {
                tracing::warn!(reason, "messages stay in mostly settled segments");
                self.house.moving = None;
                victims
                    .iter()
                    .for_each(|&segment| self.segments.get_mut(segment).leaving = false);
            }
        }
    }

    /// Makes segments able to go when they take too much room: moves messages out of mostly settled ones, and logs
    /// again what settled ones say of others.
    fn move_sparse(&mut self) {
        let (bytes, live) = self.segments.totals();
        if bytes <= live * 2 + self.options.slack_segments * self.options.segment_bytes {
            return;
        }
        if self.house.asked == 0 && self.house.relogged.is_empty() {
            for (segment, holders) in self.segments.blocked(self.shared.hot(), RELOGGED) {
                if self.ask(Job::Settlements { segment, holders }) {
                    self.house.asked += 1;
                } else {
                    self.segments.get_mut(segment).leaving = false;
                }
            }
        }
        if self.house.moving.is_some() {
            return;
        }
        let chosen = self
            .segments
            .sparse(self.shared.hot(), self.options.segment_bytes);
        if chosen.is_empty() {
            return;
        }
        let mut victims = Vec::with_capacity(chosen.len());
        for &number in &chosen {
            let segment = self.segments.get_mut(number);
            segment.leaving = true;
            victims.push(Victim {
                segment: number,
                dead: segment.dead.clone(),
                partly: segment.partly.clone(),
            });
        }
        if self.ask(Job::Move {
            cold: self.house.next_cold,
            victims,
        }) {
            self.house.next_cold += 1;
            self.house.moving = Some(self.tail.segment());
        } else {
            chosen
                .iter()
                .for_each(|&number| self.segments.get_mut(number).leaving = false);
        }
    }
}
