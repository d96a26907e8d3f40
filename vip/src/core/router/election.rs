//! What adverts do to a router: following, yielding, answering, succeeding.

use super::super::advert::Heard;
use super::super::cause::{Cause, Evidence};
use super::super::time::Time;
use super::{Action, Aim, Router, State};
use conf::vip::model::Version;
use std::net::IpAddr;
use std::time::Duration;

impl Router {
    pub(super) fn received(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
        if !heard.same_addresses {
            out.push(Action::Report(Evidence::OtherAddresses {
                by: heard.sender,
            }));
        }
        if heard.priority > 0 {
            self.rival = Some((heard.sender, heard.priority));
        }
        match self.state.clone() {
            State::Backup { .. } => self.received_as_backup(now, heard, out),
            State::Active { .. } if self.overslept(now) && heard.priority > 0 => {
                self.woke_late(now, out);
                self.received_as_backup(now, heard, out);
            }
            State::Active { .. } => self.received_as_active(now, heard, out),
            State::Leaving { aim, why, .. } if heard.priority > 0 => {
                self.succeeded(now, heard, aim, why, out);
            }
            State::Leaving { .. }
            | State::Initialize
            | State::Ending { .. }
            | State::Fault
            | State::Stopped => {}
        }
    }

    pub(super) fn received_as_backup(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
        if self.maintenance {
            self.follow(now, &heard);
        } else if heard.priority == 0 {
            let wait = if self.only_backup_of(heard.sender) {
                Duration::ZERO
            } else {
                self.skew()
            };
            if wait.is_zero() {
                self.become_active(now, Cause::Resigned { by: heard.sender }, out);
            } else {
                self.resigned = Some(heard.sender);
                self.wait(now + wait);
            }
        } else if self.follows(now, &heard) {
            self.follow(now, &heard);
        }
    }

    /// Whether this advert resets the timer (RFC 9568 §6.4.2).
    pub(super) fn follows(&mut self, now: Time, heard: &Heard) -> bool {
        if heard.priority >= self.priority {
            self.preempt_from = None;
            self.worse = None;
            return true;
        }
        self.worse = Some((now, heard.sender, heard.priority));
        let settles = self.settled_at.is_some_and(|at| now < at);
        if !self.settings.preempt || self.demoted || settles {
            return true;
        }
        if self.settings.preempt_delay.is_zero() {
            return false;
        }
        let delay = self.settings.preempt_delay;
        now < *self.preempt_from.get_or_insert(now + delay)
    }

    pub(super) fn follow(&mut self, now: Time, heard: &Heard) {
        if self.settings.version == Version::V3 {
            self.master_interval = heard.interval;
        }
        self.master = Some(heard.sender);
        self.resigned = None;
        self.wait(now + self.master_down_interval());
    }

    pub(super) fn wait(&mut self, until: Time) {
        if let State::Backup { down_at, .. } = &mut self.state {
            *down_at = until;
        }
    }

    /// The master that this backup does not hear any more lives and serves whoever hears the
    /// witness: as good as an advert of it.
    pub(super) fn witnessed(&mut self, now: Time, by: IpAddr, priority: u8) {
        let heard = Heard {
            sender: by,
            priority,
            interval: self.master_interval,
            same_addresses: true,
        };
        let waits = matches!(self.state, State::Backup { .. }) && self.resigned.is_none();
        if waits && self.master == Some(by) && self.follows(now, &heard) {
            self.wait(now + self.master_down_interval());
        }
    }

    /// Whether this backup follows that master and has missed so many of its adverts that the next
    /// one decides. Until then nothing but adverts counts.
    pub fn misses(&self, now: Time, master: IpAddr) -> bool {
        let waits = self.resigned.is_none() && self.master == Some(master);
        waits
            && matches!(self.state, State::Backup { down_at, .. } if down_at - now < self.master_interval)
    }

    /// The missed master lives and serves, as it says itself on the same link: something between
    /// drops adverts. Two intervals more; it says so again before they are over.
    pub(super) fn served(&mut self, now: Time, by: IpAddr, priority: u8, out: &mut Vec<Action>) {
        let heard = Heard {
            sender: by,
            priority,
            interval: self.master_interval,
            same_addresses: true,
        };
        if self.misses(now, by) && self.follows(now, &heard) {
            self.wait(now + self.master_interval * 2);
            out.push(Action::Report(Evidence::AdvertsMissing { by }));
        }
    }

    /// Skew only sorts several backups; in a pair there is one.
    pub(super) fn only_backup_of(&self, sender: IpAddr) -> bool {
        self.peer.is_some_and(|p| p.sole && p.address == sender)
    }

    pub(super) fn received_as_active(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
        let wins = heard.priority > self.priority
            || (heard.priority == self.priority && greater(heard.sender, self.settings.address));
        if self.owns_addresses() {
            if heard.priority == 255 {
                out.push(Action::Report(Evidence::SecondOwner { by: heard.sender }));
            }
            self.answer(now, out);
        } else if heard.priority == 0 {
            self.answer(now, out);
        } else if wins {
            self.yield_to(now, heard, out);
        } else {
            if !self.is_new(now) {
                out.push(Action::Report(Evidence::Rival {
                    by: heard.sender,
                    priority: heard.priority,
                }));
            }
            self.answer(now, out);
        }
    }

    /// Whether the role began less than an interval ago: the one before may still speak.
    pub(super) fn is_new(&self, now: Time) -> bool {
        matches!(self.state, State::Active { since, .. } if now - since < self.settings.interval)
    }

    /// One last advert makes the winner announce the addresses again, whoever heard whom first.
    pub(super) fn yield_to(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
        if self.in_pair && !self.peer_waited && !self.is_new(now) {
            // it never stood in line: it was active all the time, out of our hearing
            out.push(Action::Report(Evidence::Rival {
                by: heard.sender,
                priority: heard.priority,
            }));
        }
        if self.settings.last_advert {
            self.advertise(now, self.priority, out);
        }
        let cause = if heard.priority > self.priority {
            Cause::Higher {
                by: heard.sender,
                priority: heard.priority,
                own: self.priority,
            }
        } else {
            Cause::GreaterAddress { by: heard.sender }
        };
        self.become_backup(now, self.grace_end(now), cause, out);
        self.follow(now, &heard);
    }

    /// An advert at once and a new announcement, at most one of each per interval;
    /// what comes too early is answered with an announcement when the interval is over,
    /// so that the last word to the clients is always this router's. Each of the next adverts brings
    /// one more: a network that let a rival through for a moment may have lost the first.
    pub(super) fn answer(&mut self, now: Time, out: &mut Vec<Action>) {
        let (interval, burst) = (self.settings.interval, self.settings.lower_burst);
        let State::Active {
            answer_from,
            owed,
            insist,
            second_burst,
            ..
        } = &mut self.state
        else {
            return;
        };
        if now < *answer_from {
            *owed = true;
            return;
        }
        *answer_from = now + interval;
        *insist = self.settings.insistence();
        if second_burst.is_none() && burst > 0 {
            *second_burst = self.settings.lower_second.map(|after| (now + after, burst));
        }
        if self.settings.answer_lower {
            self.advertise(now, self.priority, out);
        }
        out.push(Action::Announce { repeat: burst });
    }

    pub(super) fn defend(&mut self, now: Time, evidence: Evidence, out: &mut Vec<Action>) {
        if self.is_active() {
            out.push(Action::Report(evidence));
            self.answer(now, out);
        }
    }

    /// In the first interval the one before may still announce: no evidence, but an answer.
    pub(super) fn claimed(&mut self, now: Time, evidence: Evidence, out: &mut Vec<Action>) {
        if self.is_new(now) && self.took_over {
            self.answer(now, out);
        } else {
            self.defend(now, evidence, out);
        }
    }

    /// The successor of a hand-over speaks.
    pub(super) fn succeeded(
        &mut self,
        now: Time,
        heard: Heard,
        aim: Aim,
        why: Cause,
        out: &mut Vec<Action>,
    ) {
        let handed = Cause::HandedOver {
            to: heard.sender,
            why: Box::new(why),
        };
        match aim {
            Aim::Stop => {
                let from = self.phase();
                let until = now + self.settings.grace;
                self.state = State::Ending { until };
                self.changed(from, handed, out);
                if self.settings.grace.is_zero() {
                    self.end(Cause::Stop, out);
                }
            }
            Aim::Weight if heard.priority < self.priority && self.settings.preempt => {
                let cause = Cause::WorseSuccessor {
                    by: heard.sender,
                    priority: heard.priority,
                };
                self.become_active(now, cause, out);
            }
            Aim::Demote | Aim::Maintain | Aim::Weight => {
                self.demoted = aim == Aim::Demote;
                self.become_backup(now, self.grace_end(now), handed, out);
                self.follow(now, &heard);
            }
        }
    }
}

/// Compares addresses as unsigned big-endian numbers (RFC 9568 §6.4.3).
fn greater(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets() > b.octets(),
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets() > b.octets(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
