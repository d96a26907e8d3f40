//! One virtual router: RFC 9568 §6.4 with the make-before-break hand-over.
//!
//! [`Router::step`] is the whole behaviour. Deadlines live in the states they
//! belong to. Packets arrive as [`Heard`] only, so nothing unchecked moves a
//! timer. Actions come out in the order in which they must be performed.

mod election;
mod leaving;
mod orders;
mod timing;
mod types;

pub use types::{Action, Event, Health, PeerView, Phase, Settings};

use super::cause::{Cause, Evidence};
use super::time::Time;
use conf::vip::model::Version;
use std::net::IpAddr;
use std::time::Duration;

/// After the successor was heard, how long the addresses stay for what is in flight.
pub const GRACE: Duration = Duration::from_millis(50);
/// After the role began, when its addresses are announced once more in any case.
const EARLY_REFRESH: Duration = Duration::from_millis(100);
/// The shortest interval that VRRPv3 carries: a hundredth of a second.
pub const SHORTEST: Duration = Duration::from_millis(10);

/// What a router that offered to hand over wants.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Aim {
    /// To end.
    Stop,
    /// To be backup; without a successor it stays active.
    Demote,
    /// To be backup and stay so, successor or not.
    Maintain,
    /// To find out whether a peer is better than the weighted priority.
    Weight,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Initialize,
    /// `grace`: the addresses of a lost or given up role stay until then.
    Backup {
        down_at: Time,
        grace: Option<Time>,
    },
    Active {
        since: Time,
        next_advert: Time,
        refresh_at: Option<Time>,
        /// When announcements are repeated, and how many of each.
        second_burst: Option<(Time, u32)>,
        /// No answer to a worse router before; `owed`: one is due then.
        answer_from: Time,
        owed: bool,
        /// Adverts of which each is followed by an announcement: somebody contested the addresses,
        /// and what was said to the clients then may have been lost.
        insist: u32,
    },
    /// Priority 0 was said; the addresses stay and answer until a successor speaks.
    Leaving {
        until: Time,
        aim: Aim,
        why: Cause,
    },
    /// A successor was heard on the way to the end.
    Ending {
        until: Time,
    },
    Fault,
    Stopped,
}

/// A virtual router.
#[derive(Clone, Debug)]
pub struct Router {
    settings: Settings,
    state: State,
    /// Effective priority: the configured one moved by weights.
    priority: u8,
    fault: Option<String>,
    /// The master's interval: learnt in v3, the own one otherwise.
    master_interval: Duration,
    master: Option<IpAddr>,
    /// Who said priority 0 while this router waits its skew time.
    resigned: Option<IpAddr>,
    /// Best rival ever heard and its priority: what a weight is compared with.
    rival: Option<(IpAddr, u8)>,
    peer: Option<PeerView>,
    /// The only other router was one of ours when it was last heard by the pair channel.
    in_pair: bool,
    /// The peer was seen as backup while this router was active.
    peer_waited: bool,
    preempt_from: Option<Time>,
    /// When the last member of the sync group would take over.
    hold: Option<Time>,
    /// Until when a worse master is left alone, whatever `preempt_delay` says.
    settled_at: Option<Time>,
    /// The worse master that is not followed, and when it was last heard.
    worse: Option<(Time, IpAddr, u8)>,
    /// The role was taken from a router that was heard: it may still announce.
    took_over: bool,
    demoted: bool,
    maintenance: bool,
    last_sent: Time,
    /// The last priority above 0 that was advertised.
    said: u8,
}

impl Router {
    /// A router that waits for [`Event::Startup`].
    pub fn new(settings: Settings) -> Router {
        Router {
            priority: settings.priority,
            master_interval: settings.interval,
            settings,
            state: State::Initialize,
            fault: None,
            master: None,
            resigned: None,
            rival: None,
            peer: None,
            in_pair: false,
            peer_waited: false,
            preempt_from: None,
            hold: None,
            settled_at: None,
            worse: None,
            took_over: false,
            demoted: false,
            maintenance: false,
            last_sent: Time::default(),
            said: 0,
        }
    }

    /// Takes event and time, changes the state, pushes what must be done.
    pub fn step(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Startup => self.start(now, out),
            Event::Shutdown(why) => self.shut_down(now, why, out),
            Event::Kill => self.stop(now, Cause::Stop, out),
            Event::Replaced => self.end(Cause::Removed, out),
            Event::Timeout => self.timeout(now, out),
            Event::Received(heard) => self.received(now, heard, out),
            Event::Health(health) => self.health(now, health, out),
            Event::Settle(after) => self.settled_at = Some(now + after),
            Event::Demote => self.demote(now, out),
            Event::Maintenance => self.maintain(now, out),
            Event::Resume => self.resume(now, out),
            Event::Peer(view) => self.peer(now, view, out),
            Event::PeerDead(peer) => self.peer_dead(now, peer, out),
            Event::Witnessed { by, priority } => self.witnessed(now, by, priority),
            Event::Serves { by, priority } => self.served(now, by, priority, out),
            Event::ForeignClaim { address, mac } => {
                self.claimed(now, Evidence::ForeignClaim { address, mac }, out);
            }
            Event::AddressDeleted => self.address_deleted(now, out),
            Event::Readdressed => self.readdressed(now, out),
            Event::GroupActive(member) => self.group_active(now, member, out),
            Event::GroupBackup(member) => self.group_backup(now, member, out),
        }
    }

    // --- what others may ask -------------------------------------------------

    /// Whether [`Event::Timeout`] is due.
    pub fn is_due(&self, now: Time) -> bool {
        self.deadline().is_some_and(|at| now >= at)
    }

    /// What was asked for took so long to do. It was not sleep: whoever took over meanwhile hears
    /// the next advert, which is late.
    pub fn held_up(&mut self, by: Duration) {
        self.last_sent = self.last_sent + by;
    }

    /// When [`Event::Timeout`] is due next.
    pub fn deadline(&self) -> Option<Time> {
        match &self.state {
            State::Backup { grace, .. } => self.takes_over_at().into_iter().chain(*grace).min(),
            State::Active {
                next_advert,
                refresh_at,
                second_burst,
                answer_from,
                owed,
                ..
            } => [
                Some(*next_advert),
                *refresh_at,
                second_burst.map(|(at, _)| at),
                owed.then_some(*answer_from),
            ]
            .into_iter()
            .flatten()
            .min(),
            State::Leaving { until, .. } | State::Ending { until } => Some(*until),
            State::Initialize | State::Fault | State::Stopped => None,
        }
    }

    /// When a backup's timer runs out.
    pub fn down_at(&self) -> Option<Time> {
        match self.state {
            State::Backup { down_at, .. } if !self.maintenance => Some(down_at),
            State::Backup { .. }
            | State::Active { .. }
            | State::Leaving { .. }
            | State::Ending { .. }
            | State::Initialize
            | State::Fault
            | State::Stopped => None,
        }
    }

    /// A member of a sync group takes over by itself when every other one would, too: where one
    /// of several networks loses the adverts, the master is not dead. One that heard its master
    /// resign waits for nobody.
    pub fn hold(&mut self, until: Option<Time>) {
        self.hold = until;
    }

    /// When a backup takes over unless it hears something.
    fn takes_over_at(&self) -> Option<Time> {
        let down_at = self.down_at()?;
        let hold = self.hold.filter(|_| self.resigned.is_none());
        Some(hold.map_or(down_at, |hold| hold.max(down_at)))
    }

    /// The role as the outside sees it.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Initialize => Phase::Init,
            State::Backup { .. } => Phase::Backup,
            State::Active { .. } | State::Leaving { .. } => Phase::Master,
            State::Fault => Phase::Fault,
            State::Ending { .. } | State::Stopped => Phase::Stop,
        }
    }

    /// Whether adverts are sent.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Whether the role was offered and no successor is heard yet.
    pub fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving { .. })
    }

    /// Whether the addresses are on the interface.
    pub fn holds_addresses(&self) -> bool {
        match self.state {
            State::Active { .. } | State::Leaving { .. } | State::Ending { .. } => true,
            State::Backup { grace, .. } => grace.is_some(),
            State::Initialize | State::Fault | State::Stopped => false,
        }
    }

    /// Whether the addresses stay only for what is in flight: a successor was heard.
    pub fn is_in_grace(&self) -> bool {
        match self.state {
            State::Ending { .. } => true,
            State::Backup { grace, .. } => grace.is_some(),
            State::Active { .. }
            | State::Leaving { .. }
            | State::Initialize
            | State::Fault
            | State::Stopped => false,
        }
    }

    /// Whether [`Action::Gone`] was given.
    pub fn is_gone(&self) -> bool {
        self.state == State::Stopped
    }

    /// Effective priority.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// The fault that keeps it out of the election.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The master last heard.
    pub fn master(&self) -> Option<IpAddr> {
        self.master
    }

    /// Whether an operator demoted it.
    pub fn is_demoted(&self) -> bool {
        self.demoted
    }

    /// Whether an operator put it into maintenance.
    pub fn in_maintenance(&self) -> bool {
        self.maintenance
    }

    /// The configured part.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Skew time for the effective priority (RFC 9568 §6.1, RFC 3768 §6.1).
    pub fn skew(&self) -> Duration {
        let unit = match self.settings.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.master_interval,
        };
        unit * (256 - u32::from(self.priority)) / 256
    }

    /// Time without adverts before takeover: 3 × advert interval + skew time (RFC 9568 §6.1).
    pub fn master_down_interval(&self) -> Duration {
        self.master_interval * self.settings.down_adverts + self.skew()
    }

    /// New settings from a reload; role and timers stay.
    pub fn reconfigure(&mut self, settings: Settings) {
        if self.master.is_none() || settings.version == Version::V2 {
            self.master_interval = settings.interval;
        }
        self.settings = settings;
        if let State::Active { refresh_at, .. } = &mut self.state
            && self.settings.refresh.is_none()
        {
            *refresh_at = None;
        }
    }

    // --- state changes -------------------------------------------------------

    fn start(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.state != State::Initialize {
            return;
        }
        match self.fault.clone() {
            Some(fault) => self.become_fault(now, Cause::Fault(fault), out),
            None if self.owns_addresses() && !self.maintenance => {
                self.become_active(now, Cause::Owner, out);
            }
            None => self.become_backup(now, None, Cause::Startup, out),
        }
    }

    fn become_backup(
        &mut self,
        now: Time,
        grace: Option<Time>,
        cause: Cause,
        out: &mut Vec<Action>,
    ) {
        let held = self.holds_addresses();
        let from = self.phase();
        self.state = State::Backup {
            down_at: now + self.master_down_interval(),
            grace,
        };
        self.preempt_from = None;
        self.resigned = None;
        if held && grace.is_none() {
            self.let_go(cause.names_successor(), out);
        }
        self.changed(from, cause, out);
    }

    fn refresh(&self) -> Option<Duration> {
        if self.in_pair {
            self.settings.refresh_in_pair
        } else {
            self.settings.refresh
        }
    }

    /// A virtual link-layer address is where a switch saw it last, and the one before may have
    /// used it until it heard of this router.
    fn first_refresh(&self) -> Duration {
        match self.settings.grace.is_zero() {
            true => SHORTEST,
            false => EARLY_REFRESH,
        }
    }

    fn grace_end(&self, now: Time) -> Option<Time> {
        let grace = self.settings.grace;
        (!grace.is_zero()).then(|| now + grace)
    }

    fn become_active(&mut self, now: Time, cause: Cause, out: &mut Vec<Action>) {
        let from = self.phase();
        let refresh = self.refresh();
        let s = &self.settings;
        self.state = State::Active {
            since: now,
            next_advert: now + s.interval,
            // soon once more: a client may have asked the one before in its last moments
            refresh_at: refresh.map(|after| now + after.min(self.first_refresh())),
            second_burst: s.second_burst.map(|after| (now + after, s.burst)),
            answer_from: now,
            owed: false,
            insist: 0,
        };
        self.master_interval = s.interval;
        self.master = None;
        self.resigned = None;
        self.peer_waited = self.peer.is_some_and(|p| p.waiting);
        self.demoted = false;
        self.took_over = !matches!(cause, Cause::Silence { .. } | Cause::PeerDead { .. });
        self.worse = None;
        if matches!(cause, Cause::Better { .. }) {
            // a living master lets go when it hears the advert: be ready before
            out.push(Action::AddAddresses);
            self.advertise(now, self.priority, out);
        } else {
            self.advertise(now, self.priority, out);
            out.push(Action::AddAddresses);
        }
        out.push(Action::Announce {
            repeat: self.settings.burst,
        });
        self.changed(from, cause, out);
    }

    fn become_fault(&mut self, now: Time, cause: Cause, out: &mut Vec<Action>) {
        let from = self.phase();
        let (held, active) = (self.holds_addresses(), self.is_active());
        self.state = State::Fault;
        self.master = None;
        self.preempt_from = None;
        if active {
            self.resign(now, out);
        }
        if held {
            out.push(Action::RemoveAddresses);
        }
        self.changed(from, cause, out);
    }

    fn changed(&self, from: Phase, cause: Cause, out: &mut Vec<Action>) {
        let to = self.phase();
        if from != to {
            out.push(Action::Changed { from, to, cause });
        }
    }

    fn advertise(&mut self, now: Time, priority: u8, out: &mut Vec<Action>) {
        self.last_sent = now;
        if priority > 0 {
            self.said = priority;
        }
        out.push(Action::Advertise { priority });
    }

    fn owns_addresses(&self) -> bool {
        self.settings.priority == 255
    }
}

#[cfg(test)]
mod tests;
