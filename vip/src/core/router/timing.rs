//! What a deadline that has passed does to a router.

use super::super::cause::Cause;
use super::super::time::Time;
use super::{Action, Aim, EARLY_REFRESH, Phase, Router, State};
use std::net::IpAddr;
use std::time::Duration;

impl Router {
    pub(super) fn timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.state.clone() {
            State::Backup { grace, .. } => {
                if grace.is_some_and(|at| now >= at) {
                    self.end_grace(out);
                }
                if self.takes_over_at().is_some_and(|at| now >= at) {
                    let cause = self.why_now(now);
                    self.become_active(now, cause, out);
                }
            }
            State::Active { .. } => self.active_timeout(now, out),
            State::Leaving { until, aim, why } if now >= until => match aim {
                Aim::Stop => self.stop(now, why, out),
                Aim::Maintain => self.become_backup(now, None, why, out),
                Aim::Demote | Aim::Weight => self.stay(now, why, out),
            },
            State::Ending { until } if now >= until => self.end(Cause::Stop, out),
            State::Leaving { .. }
            | State::Ending { .. }
            | State::Initialize
            | State::Fault
            | State::Stopped => {}
        }
    }

    pub(super) fn why_now(&self, now: Time) -> Cause {
        let alive = |(at, ..): &(Time, IpAddr, u8)| {
            now - *at <= self.settings.interval * self.settings.down_adverts
        };
        match (self.resigned, self.worse.filter(alive)) {
            (Some(by), _) => Cause::Resigned { by },
            (None, Some((_, than, priority))) => Cause::Better {
                than,
                priority,
                own: self.priority,
            },
            (None, None) => Cause::Silence {
                master: self.master,
                waited: self.master_down_interval(),
            },
        }
    }

    /// When the next advert of an active router is due.
    pub fn next_beat(&self) -> Option<Time> {
        match self.state {
            State::Active { next_advert, .. } => Some(next_advert),
            State::Initialize
            | State::Backup { .. }
            | State::Leaving { .. }
            | State::Ending { .. }
            | State::Fault
            | State::Stopped => None,
        }
    }

    /// When [`Router::deadline`] is for another reason than the next advert.
    pub fn other_deadline(&self) -> Option<Time> {
        match &self.state {
            State::Active {
                refresh_at,
                second_burst,
                answer_from,
                owed,
                ..
            } => {
                let second = second_burst.map(|(at, _)| at);
                let answer = owed.then_some(*answer_from);
                [*refresh_at, second, answer].into_iter().flatten().min()
            }
            State::Initialize
            | State::Backup { .. }
            | State::Leaving { .. }
            | State::Ending { .. }
            | State::Fault
            | State::Stopped => self.deadline(),
        }
    }

    /// The priority of the advert that is due, where [`Event::Timeout`] would do nothing but send
    /// it: the router is then as after that. Nothing, and nothing happened, otherwise.
    ///
    /// [`Event::Timeout`]: super::Event::Timeout
    pub fn beat(&mut self, now: Time) -> Option<u8> {
        let others = self.other_deadline().is_some_and(|at| now >= at);
        let State::Active {
            next_advert,
            insist: 0,
            ..
        } = &mut self.state
        else {
            return None;
        };
        let following = *next_advert + self.settings.interval;
        if others || now < *next_advert || now >= following {
            return None;
        }
        *next_advert = following;
        self.last_sent = now;
        self.said = self.priority;
        Some(self.priority)
    }

    /// Adverts keep the phase of the first one: a late wake-up shifts nothing.
    pub(super) fn active_timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        let settings = self.settings.clone();
        let refresh = self.refresh();
        let State::Active {
            since,
            next_advert,
            refresh_at,
            second_burst,
            answer_from,
            owed,
            insist,
        } = &mut self.state
        else {
            return;
        };
        let mut announcements = 0;
        if *owed && now >= *answer_from {
            *owed = false;
            *answer_from = now + settings.interval;
            *insist = settings.insistence();
            announcements = settings.lower_burst;
        }
        let due = now >= *next_advert;
        if due && *insist > 0 && !*owed && announcements == 0 {
            *insist -= 1;
            announcements = 1;
        }
        while now >= *next_advert {
            *next_advert = *next_advert + settings.interval;
        }
        if let Some((_, count)) = second_burst.take_if(|(at, _)| now >= *at) {
            announcements = announcements.max(count);
        }
        if let (Some(at), Some(every)) = (*refresh_at, refresh)
            && now >= at
        {
            // the early ones apart they keep the phase of the adverts
            let early = *since + EARLY_REFRESH.min(every);
            let next = match at {
                _ if at < early => early,
                _ if at < *since + every => *since + every,
                _ => at + every,
            };
            *refresh_at = Some(if next > now { next } else { now + every });
            announcements = announcements.max(settings.refresh_burst);
        }
        if due {
            self.advertise(now, self.priority, out);
        }
        if announcements > 0 {
            out.push(Action::Announce {
                repeat: announcements,
            });
        }
    }

    /// Whether the process slept so long that a backup's timer has run out meanwhile. Its adverts
    /// wait in the socket then: they are to be read before the timer fires. If there is none,
    /// nobody took over, and the router goes on.
    pub fn overslept(&self, now: Time) -> bool {
        let lost = self.settings.interval * self.settings.down_adverts;
        self.is_active() && self.is_due(now) && now - self.last_sent > lost
    }

    /// How long ago the router should have spoken (a backup: taken over), where others may have
    /// noticed: a peer misses so many adverts, or a client so much of a takeover.
    pub fn lateness(&self, now: Time) -> Option<Duration> {
        let (due, interval) = match &self.state {
            State::Active { next_advert, .. } => (*next_advert, self.settings.interval),
            State::Backup { .. } => (self.takes_over_at()?, self.master_interval),
            State::Leaving { .. }
            | State::Ending { .. }
            | State::Initialize
            | State::Fault
            | State::Stopped => return None,
        };
        let late = now - due;
        let most = interval * (self.settings.down_adverts.max(2) - 1);
        (late > most).then_some(late)
    }

    /// A backup took over meanwhile: give the addresses up first, then listen for more
    /// of its adverts, and only then stand again.
    pub(super) fn woke_late(&mut self, now: Time, out: &mut Vec<Action>) {
        let silent = now - self.last_sent;
        self.become_backup(now, None, Cause::WokeLate { silent }, out);
        if let State::Backup { down_at, .. } = &mut self.state {
            *down_at = now + self.settings.interval + self.settings.interval / 2;
        }
    }

    /// Nobody took over: on with the adverts; the addresses never left.
    pub(super) fn stay(&mut self, now: Time, why: Cause, out: &mut Vec<Action>) {
        let cause = Cause::NoSuccessor { why: Box::new(why) };
        self.become_active(now, cause.clone(), out);
        out.push(Action::Changed {
            from: Phase::Master,
            to: Phase::Master,
            cause,
        });
    }
}
