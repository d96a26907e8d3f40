//! How a router gives its role up: the hand-over, and the end.

use super::super::cause::Cause;
use super::super::time::Time;
use super::{Action, Aim, Phase, Router, SHORTEST, State};
use conf::vip::model::Version;
use std::time::Duration;

/// How long a hand-over may last when the guardian is gone.
const ORPHAN_GRACE: Duration = Duration::from_millis(40);

impl Router {
    pub(super) fn leave(&mut self, now: Time, aim: Aim, why: Cause, out: &mut Vec<Action>) {
        let until = match why {
            Cause::GuardianLost => now + ORPHAN_GRACE,
            _ => now + self.succession(),
        };
        self.state = State::Leaving { until, aim, why };
        self.resign(now, out);
    }

    /// Priority 0. A backup waits its skew time then, up to a whole interval; one that learns the
    /// shortest interval first waits some milliseconds.
    pub(super) fn resign(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.hastens() {
            let priority = self.said;
            out.push(Action::Hasten { priority });
        }
        self.advertise(now, 0, out);
    }

    /// Whether backups may have to be hastened: an only peer of ours waits no skew time.
    pub fn hastens(&self) -> bool {
        self.settings.version == Version::V3
            && self.settings.interval > SHORTEST
            && !self.peer.is_some_and(|p| p.sole)
    }

    pub(super) fn stop(&mut self, now: Time, why: Cause, out: &mut Vec<Action>) {
        if self.is_active() {
            self.resign(now, out);
        }
        self.end(why, out);
    }

    pub(super) fn end(&mut self, why: Cause, out: &mut Vec<Action>) {
        let (from, held, succeeded) = (self.phase(), self.holds_addresses(), self.is_in_grace());
        if self.is_gone() {
            return;
        }
        self.state = State::Stopped;
        if held {
            self.let_go(succeeded, out);
        }
        if from != Phase::Stop {
            self.changed(from, why, out);
        }
        out.push(Action::Gone);
    }

    pub(super) fn shut_down(&mut self, now: Time, why: Cause, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Active { .. } => self.leave(now, Aim::Stop, why, out),
            State::Leaving { aim, why: was, .. } if *aim != Aim::Stop => {
                (*aim, *was) = (Aim::Stop, why);
            }
            State::Backup {
                grace: Some(grace), ..
            } => {
                let until = *grace;
                let from = self.phase();
                self.state = State::Ending { until };
                self.changed(from, why, out);
            }
            State::Leaving { .. }
            | State::Backup { .. }
            | State::Initialize
            | State::Fault
            | State::Ending { .. }
            | State::Stopped => self.stop(now, why, out),
        }
    }

    pub(super) fn end_grace(&mut self, out: &mut Vec<Action>) {
        if let State::Backup { grace, .. } = &mut self.state {
            *grace = None;
            self.let_go(true, out);
        }
    }

    /// The addresses go; the clients of a host that has a successor are told at once.
    pub(super) fn let_go(&self, succeeded: bool, out: &mut Vec<Action>) {
        if succeeded {
            out.push(Action::EndConnections);
        }
        out.push(Action::RemoveAddresses);
    }

    /// How long an offered role waits for a successor: the longest time that any backup may wait
    /// after priority 0, and one advert more.
    pub fn succession(&self) -> Duration {
        let unit = match self.settings.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.settings.interval,
        };
        unit + self.settings.interval
    }
}
