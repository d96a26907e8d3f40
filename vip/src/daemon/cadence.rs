//! Adverts while nothing else happens: what a turn of the loop does for an advert, without
//! looking at what cannot have changed. Between two adverts the processor forgets, and every page
//! that is not touched saves its part of what an advert costs.

use super::Daemon;
use crate::core::Time;
use crate::instance::Instance;
use crate::pair::Pair;

impl Daemon {
    /// Until when nothing is due but adverts, and when the first of them is. Nothing, unless the
    /// routers only keep their places.
    pub fn calm(&mut self) -> Option<(Option<Time>, Time)> {
        let steady = |i: &Instance| i.started && !i.departing;
        if self.stopping || self.refilter || !self.instances.iter().all(steady) {
            return None;
        }
        let next = self.next_beat()?;
        self.calms += 1;
        let others = self.instances.iter().filter_map(Instance::other_deadline);
        let pair = self.pair.as_ref().and_then(Pair::calm_until);
        let until = others.chain(pair).chain(self.net.pace.deadline()).min();
        Some((until, next))
    }

    /// When the next advert is due.
    pub fn next_beat(&self) -> Option<Time> {
        let beats = self.instances.iter().filter_map(|i| i.router.next_beat());
        beats.min()
    }

    /// Sends the adverts that are due. False if one of them needs the whole turn.
    pub fn beat(&mut self, now: Time) -> bool {
        let calm = self.calms;
        self.instances.iter_mut().all(|i| i.beat(now, calm))
    }
}
