//! Clients of virtual addresses that come from another host: whose connections
//! are listed for whom, and when clients are asked (`tickle` does it).

use super::Daemon;
use crate::core::Time;
use crate::core::connections::Part;
use std::net::IpAddr;
use std::time::Duration;

/// A former master that lives ends the connections itself, a moment after the hand-over.
const BY_ITSELF: Duration = Duration::from_millis(500);

impl Daemon {
    /// Roles, addresses or peers changed: whose connections are listed, and for anybody.
    pub(super) fn tell_tickle(&mut self) {
        let wanted = self.lists_are_wanted(self.clock.now());
        if let Some(tickle) = &mut self.tickle {
            let active = self.instances.iter().filter(|i| i.router.is_active());
            tickle.serve(active.flat_map(|i| i.virtuals()).collect(), wanted);
        }
    }

    fn lists_are_wanted(&self, now: Time) -> bool {
        self.pair.as_ref().is_some_and(|p| p.wants_lists(now))
    }

    /// A peer that takes lists came or went.
    pub(super) fn watch_for_readers(&mut self, now: Time) {
        let told = self.tickle.as_ref().is_some_and(|t| t.is_wanted());
        if told != self.lists_are_wanted(now) {
            self.tell_tickle();
        }
    }

    /// An instance became master: clients that its predecessor had are asked.
    pub(super) fn ask_clients(&self, instance: usize) {
        let instance = &self.instances[instance];
        let before = instance.journal.last_heard.map(|(h, _)| h.sender);
        let speaks = |sender: IpAddr| {
            let pair = self.pair.as_ref();
            pair.is_some_and(|p| p.speaks(self.clock.now(), sender))
        };
        let after = match before {
            Some(sender) if speaks(sender) => BY_ITSELF,
            Some(_) | None => Duration::ZERO,
        };
        let asks = self.config.global.pair_channel.tickle;
        if let Some(tickle) = self.tickle.as_ref().filter(|_| asks) {
            tickle.took(instance.virtuals(), after);
        }
    }

    /// A part of this host's list, for the peers.
    pub fn tell_connections(&self, part: &Part) {
        if let Some(pair) = &self.pair {
            pair.tell(self.clock.now(), part);
        }
    }

    /// What peers told of their connections.
    pub(super) fn learn_connections(&mut self) {
        let (Some(pair), Some(tickle)) = (&mut self.pair, &self.tickle) else {
            return;
        };
        for (boot, part) in pair.take_parts() {
            tickle.heard(boot, part);
        }
    }
}
