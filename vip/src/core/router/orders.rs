//! What health, operators, the pair channel and the sync group do to a router.

use super::super::cause::{Cause, Evidence};
use super::super::time::Time;
use super::{Action, Aim, Health, PeerView, Router, State};
use std::net::IpAddr;

impl Router {
    pub(super) fn health(&mut self, now: Time, health: Health, out: &mut Vec<Action>) {
        match health {
            Health::Fault(what) => {
                self.fault = Some(what.clone());
                match self.state {
                    State::Backup { .. } | State::Active { .. } | State::Leaving { .. } => {
                        let stopping = matches!(self.state, State::Leaving { aim: Aim::Stop, .. });
                        if stopping {
                            self.stop(now, Cause::Stop, out);
                        } else {
                            self.become_fault(now, Cause::Fault(what), out);
                        }
                    }
                    State::Initialize | State::Ending { .. } | State::Fault | State::Stopped => {}
                }
            }
            Health::Fit { priority, because } => {
                let before = self.priority;
                self.priority = if self.owns_addresses() { 255 } else { priority };
                self.fault = None;
                if self.state == State::Fault {
                    self.recover(now, out);
                } else if self.is_active() && self.priority < before && self.worth_a_hand_over() {
                    let why = Cause::Weight {
                        from: before,
                        to: priority,
                        by: because,
                    };
                    self.leave(now, Aim::Weight, why, out);
                }
            }
        }
    }

    pub(super) fn recover(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.owns_addresses() && !self.maintenance {
            self.become_active(now, Cause::Owner, out);
        } else {
            self.become_backup(now, None, Cause::Recovered, out);
        }
    }

    /// Known peers decide; of an unknown one a single priority-0 advert finds out.
    pub(super) fn worth_a_hand_over(&self) -> bool {
        if self.owns_addresses() {
            return false;
        }
        match (self.peer, self.rival) {
            (Some(peer), _) => peer.priority > self.priority,
            (None, Some((_, priority))) => priority > self.priority,
            (None, None) => true,
        }
    }

    pub(super) fn demote(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.state {
            State::Active { .. } => self.leave(now, Aim::Demote, Cause::Demoted, out),
            State::Initialize | State::Backup { .. } => self.demoted = true,
            State::Leaving { .. } | State::Ending { .. } | State::Fault | State::Stopped => {}
        }
    }

    pub(super) fn maintain(&mut self, now: Time, out: &mut Vec<Action>) {
        self.maintenance = true;
        let ending = matches!(self.state, State::Leaving { aim: Aim::Stop, .. });
        if (self.is_active() || self.is_leaving()) && !ending {
            self.leave(now, Aim::Maintain, Cause::Maintenance, out);
        }
    }

    pub(super) fn resume(&mut self, now: Time, out: &mut Vec<Action>) {
        let was_out = self.maintenance;
        (self.demoted, self.maintenance) = (false, false);
        match self.state.clone() {
            State::Leaving {
                aim: Aim::Demote | Aim::Maintain,
                ..
            } => self.become_active(now, Cause::Resumed, out),
            State::Backup { .. } if was_out => self.wait(now + self.master_down_interval()),
            State::Backup { .. }
            | State::Leaving { .. }
            | State::Initialize
            | State::Active { .. }
            | State::Ending { .. }
            | State::Fault
            | State::Stopped => {}
        }
    }

    pub(super) fn peer(&mut self, now: Time, view: Option<PeerView>, out: &mut Vec<Action>) {
        self.peer = view;
        if let Some(peer) = view {
            self.in_pair = peer.sole;
            self.peer_waited |= peer.waiting;
        }
        if let Some(peer) = view
            && peer.active
            && self.is_active()
        {
            let evidence = Evidence::PeerActiveToo { peer: peer.address };
            self.claimed(now, evidence, out);
        }
    }

    pub(super) fn peer_dead(&mut self, now: Time, peer: IpAddr, out: &mut Vec<Action>) {
        let followed = self.master == Some(peer);
        if matches!(self.state, State::Backup { .. }) && followed && !self.maintenance {
            self.become_active(now, Cause::PeerDead { peer }, out);
        }
    }

    pub(super) fn address_deleted(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.is_active() {
            out.push(Action::Report(Evidence::AddressDeleted));
            out.push(Action::AddAddresses);
            self.answer(now, out);
        }
    }

    /// The clients know the old link-layer address: said at once and, as a switch may still learn the
    /// new one, with the next adverts.
    pub(super) fn readdressed(&mut self, now: Time, out: &mut Vec<Action>) {
        let (repeat, again) = (self.settings.burst, self.settings.insistence());
        let State::Active {
            insist,
            second_burst,
            ..
        } = &mut self.state
        else {
            return;
        };
        *insist = again.max(*insist);
        *second_burst = self
            .settings
            .second_burst
            .map(|after| (now + after, repeat));
        out.push(Action::Announce { repeat });
    }

    pub(super) fn group_active(&mut self, now: Time, member: String, out: &mut Vec<Action>) {
        if matches!(self.state, State::Backup { .. }) && !self.maintenance {
            self.become_active(now, Cause::Group { member }, out);
        }
    }

    pub(super) fn group_backup(&mut self, now: Time, member: String, out: &mut Vec<Action>) {
        if self.is_active() {
            self.resign(now, out);
            let cause = Cause::Group { member };
            self.become_backup(now, self.grace_end(now), cause, out);
        }
    }
}
