//! One virtual router: RFC 9568 §6.4 with the make-before-break hand-over.
//!
//! [`Router::step`] is the whole behaviour. Deadlines live in the states they
//! belong to. Packets arrive as [`Heard`] only, so nothing unchecked moves a
//! timer. Actions come out in the order in which they must be performed.

use super::advert::Heard;
use super::cause::{Cause, Evidence};
use super::time::Time;
use conf::vip::model::Version;
use std::net::IpAddr;
use std::time::Duration;

/// After the successor was heard, how long the addresses stay for what is in flight.
pub const GRACE: Duration = Duration::from_millis(50);
/// How long a hand-over may last when the guardian is gone.
const ORPHAN_GRACE: Duration = Duration::from_millis(40);

/// What a router is told once; a reload replaces it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// 2 or 3: decides the unit of the skew time.
    pub version: Version,
    /// Priority as configured, before any weight.
    pub priority: u8,
    /// Own advertisement interval.
    pub interval: Duration,
    /// How many missed adverts make a master dead; 3 by RFC.
    pub down_adverts: u32,
    /// Whether a better router takes the role from a worse one.
    pub preempt: bool,
    /// How long a worse master is left alone before.
    pub preempt_delay: Duration,
    /// Own address, for the tie-break.
    pub address: IpAddr,
    /// Announcements in a burst.
    pub burst: u32,
    /// From the election to the second burst.
    pub second_burst: Option<Duration>,
    /// Between refreshes while active.
    pub refresh: Option<Duration>,
    /// Between refreshes once the other host is known to be one of ours: it says a last
    /// advert when it yields, and two that refresh fast would fight for the clients of a
    /// parted network.
    pub refresh_in_pair: Option<Duration>,
    /// Announcements in a refresh.
    pub refresh_burst: u32,
    /// Announcements in answer to a worse router.
    pub lower_burst: u32,
    /// Whether a worse router's advert is answered with one (RFC 9568 §6.4.3).
    pub answer_lower: bool,
    /// Whether the loser of an election says so with one last advert.
    pub last_advert: bool,
    /// How long the addresses stay after the successor was heard. Zero with a virtual
    /// link-layer address: a late frame from it would pull the switch back to this host.
    pub grace: Duration,
}

/// What happens to a router.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The daemon is ready.
    Startup,
    /// Leave for good, make-before-break.
    Shutdown(Cause),
    /// Leave for good at once.
    Kill,
    /// A deadline may have passed.
    Timeout,
    /// A checked advert.
    Received(Heard),
    /// The tracked things give this priority, or a fault.
    Health(Health),
    /// The operator wants the other host to be active.
    Demote,
    /// The operator wants this host out of the election.
    Maintenance,
    /// The operator takes `demote` and `maintenance` back.
    Resume,
    /// What the pair channel knows about the other host.
    Peer(Option<PeerView>),
    /// The pair channel and a probe say that this host is dead.
    PeerDead(IpAddr),
    /// Another link-layer address claims a virtual address.
    ForeignClaim {
        /// The virtual address.
        address: IpAddr,
        /// Who claims it.
        mac: [u8; 6],
    },
    /// Somebody deleted a virtual address.
    AddressDeleted,
    /// A member of the sync group became active.
    GroupActive(String),
    /// A member of the sync group gave the role up.
    GroupBackup(String),
}

/// What the tracked things say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// In the election with this priority; `because` names the last change.
    Fit {
        /// 1-255.
        priority: u8,
        /// What changed.
        because: String,
    },
    /// Out of the election.
    Fault(String),
}

/// What the pair channel knows about the other host's router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its address on this link.
    pub address: IpAddr,
    /// Its effective priority; 0 when it is out of the election.
    pub priority: u8,
    /// Whether it is active.
    pub active: bool,
    /// Whether it is the only other router of this VRID.
    pub sole: bool,
    /// Whether it is backup, so that its next advert would be an ordinary takeover.
    pub waiting: bool,
}

/// What the daemon must do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send one advert.
    Advertise {
        /// 0 resigns.
        priority: u8,
    },
    /// Put the addresses on the interface and wait for the kernel's word.
    AddAddresses,
    /// Take them away.
    RemoveAddresses,
    /// Gratuitous ARP / unsolicited NA, so many per address.
    Announce {
        /// Packets per address.
        repeat: u32,
    },
    /// The role changed; scripts and logs hear of it.
    Changed {
        /// Before.
        from: Phase,
        /// Now.
        to: Phase,
        /// Why.
        cause: Cause,
    },
    /// Something to report.
    Report(Evidence),
    /// A shutdown is complete.
    Gone,
}

/// The role as the outside sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not started.
    Init,
    /// Waiting.
    Backup,
    /// Active.
    Master,
    /// Out of the election.
    Fault,
    /// Left for good.
    Stop,
}

impl Phase {
    /// The word that notify scripts get.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Init => "INIT",
            Phase::Backup => "BACKUP",
            Phase::Master => "MASTER",
            Phase::Fault => "FAULT",
            Phase::Stop => "STOP",
        }
    }
}

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
        second_burst_at: Option<Time>,
        /// No answer to a worse router before; `owed`: one is due then.
        answer_from: Time,
        owed: bool,
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
    demoted: bool,
    maintenance: bool,
    last_sent: Time,
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
            demoted: false,
            maintenance: false,
            last_sent: Time::default(),
        }
    }

    /// Takes event and time, changes the state, pushes what must be done.
    pub fn step(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Startup => self.start(now, out),
            Event::Shutdown(why) => self.shut_down(now, why, out),
            Event::Kill => self.stop(out),
            Event::Timeout => self.timeout(now, out),
            Event::Received(heard) => self.received(now, heard, out),
            Event::Health(health) => self.health(now, health, out),
            Event::Demote => self.demote(now, out),
            Event::Maintenance => self.maintain(now, out),
            Event::Resume => self.resume(now, out),
            Event::Peer(view) => self.peer(now, view, out),
            Event::PeerDead(peer) => self.peer_dead(now, peer, out),
            Event::ForeignClaim { address, mac } => {
                self.defend(now, Evidence::ForeignClaim { address, mac }, out);
            }
            Event::AddressDeleted => self.address_deleted(now, out),
            Event::GroupActive(member) => self.group_active(now, member, out),
            Event::GroupBackup(member) => self.group_backup(now, member, out),
        }
    }

    // --- what others may ask -------------------------------------------------

    /// When [`Event::Timeout`] is due next.
    pub fn deadline(&self) -> Option<Time> {
        match &self.state {
            State::Backup { down_at, grace } => match (self.maintenance, grace) {
                (true, grace) => *grace,
                (false, None) => Some(*down_at),
                (false, Some(grace)) => Some((*down_at).min(*grace)),
            },
            State::Active {
                next_advert,
                refresh_at,
                second_burst_at,
                answer_from,
                owed,
                ..
            } => [
                Some(*next_advert),
                *refresh_at,
                *second_burst_at,
                owed.then_some(*answer_from),
            ]
            .into_iter()
            .flatten()
            .min(),
            State::Leaving { until, .. } | State::Ending { until } => Some(*until),
            State::Initialize | State::Fault | State::Stopped => None,
        }
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

    /// Longest time that any backup may wait after priority 0, and one advert more.
    fn succession(&self) -> Duration {
        let unit = match self.settings.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.settings.interval,
        };
        unit + self.settings.interval
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
            Some(fault) => self.become_fault(Cause::Fault(fault), out),
            None if self.owns_addresses() => self.become_active(now, Cause::Owner, out),
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
            out.push(Action::RemoveAddresses);
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
            refresh_at: refresh.map(|after| now + after),
            second_burst_at: s.second_burst.map(|after| now + after),
            answer_from: now,
            owed: false,
        };
        self.master_interval = s.interval;
        self.master = None;
        self.resigned = None;
        self.peer_waited = self.peer.is_some_and(|p| p.waiting);
        self.demoted = false;
        self.advertise(now, self.priority, out);
        out.push(Action::AddAddresses);
        out.push(Action::Announce {
            repeat: self.settings.burst,
        });
        self.changed(from, cause, out);
    }

    fn become_fault(&mut self, cause: Cause, out: &mut Vec<Action>) {
        let from = self.phase();
        let (held, active) = (self.holds_addresses(), self.is_active());
        self.state = State::Fault;
        self.master = None;
        self.preempt_from = None;
        if active {
            out.push(Action::Advertise { priority: 0 });
        }
        if held {
            out.push(Action::RemoveAddresses);
        }
        self.changed(from, cause, out);
    }

    fn leave(&mut self, now: Time, aim: Aim, why: Cause, out: &mut Vec<Action>) {
        let until = match why {
            Cause::GuardianLost => now + ORPHAN_GRACE,
            _ => now + self.succession(),
        };
        self.state = State::Leaving { until, aim, why };
        self.advertise(now, 0, out);
    }

    fn stop(&mut self, out: &mut Vec<Action>) {
        let from = self.phase();
        let (held, active) = (self.holds_addresses(), self.is_active());
        if self.is_gone() {
            return;
        }
        self.state = State::Stopped;
        if active {
            out.push(Action::Advertise { priority: 0 });
        }
        if held {
            out.push(Action::RemoveAddresses);
        }
        if from != Phase::Stop {
            self.changed(from, Cause::Stop, out);
        }
        out.push(Action::Gone);
    }

    fn shut_down(&mut self, now: Time, why: Cause, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Active { .. } => self.leave(now, Aim::Stop, why, out),
            State::Leaving { aim, .. } if *aim != Aim::Stop => *aim = Aim::Stop,
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
            | State::Stopped => self.stop(out),
        }
    }

    fn changed(&self, from: Phase, cause: Cause, out: &mut Vec<Action>) {
        let to = self.phase();
        if from != to {
            out.push(Action::Changed { from, to, cause });
        }
    }

    fn advertise(&mut self, now: Time, priority: u8, out: &mut Vec<Action>) {
        self.last_sent = now;
        out.push(Action::Advertise { priority });
    }

    fn owns_addresses(&self) -> bool {
        self.settings.priority == 255
    }

    // --- time ----------------------------------------------------------------

    fn timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.state.clone() {
            State::Backup { down_at, grace } => {
                if grace.is_some_and(|at| now >= at) {
                    self.end_grace(out);
                }
                if now >= down_at && !self.maintenance {
                    let cause = match self.resigned {
                        Some(by) => Cause::Resigned { by },
                        None => Cause::Silence {
                            master: self.master,
                            waited: self.master_down_interval(),
                        },
                    };
                    self.become_active(now, cause, out);
                }
            }
            State::Active { next_advert, .. } => {
                let silent = now - self.last_sent;
                let lost = self.settings.interval * self.settings.down_adverts;
                if now >= next_advert && silent > lost {
                    self.woke_late(now, silent, out);
                } else {
                    self.active_timeout(now, out);
                }
            }
            State::Leaving { until, aim, why } if now >= until => match aim {
                Aim::Stop => self.stop(out),
                Aim::Maintain => self.become_backup(now, None, why, out),
                Aim::Demote | Aim::Weight => self.stay(now, why, out),
            },
            State::Ending { until } if now >= until => self.stop(out),
            State::Leaving { .. }
            | State::Ending { .. }
            | State::Initialize
            | State::Fault
            | State::Stopped => {}
        }
    }

    fn end_grace(&mut self, out: &mut Vec<Action>) {
        if let State::Backup { grace, .. } = &mut self.state {
            *grace = None;
            out.push(Action::RemoveAddresses);
        }
    }

    /// Adverts keep the phase of the first one: a late wake-up shifts nothing.
    fn active_timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        let settings = self.settings.clone();
        let refresh = self.refresh();
        let State::Active {
            next_advert,
            refresh_at,
            second_burst_at,
            answer_from,
            owed,
            ..
        } = &mut self.state
        else {
            return;
        };
        let mut announcements = 0;
        if *owed && now >= *answer_from {
            *owed = false;
            *answer_from = now + settings.interval;
            announcements = settings.lower_burst;
        }
        let due = now >= *next_advert;
        while now >= *next_advert {
            *next_advert = *next_advert + settings.interval;
        }
        if second_burst_at.is_some_and(|at| now >= at) {
            *second_burst_at = None;
            announcements = announcements.max(settings.burst);
        }
        if let (Some(at), Some(every)) = (*refresh_at, refresh)
            && now >= at
        {
            *refresh_at = Some(if at + every > now {
                at + every
            } else {
                now + every
            });
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

    /// The backup's timer has run out meanwhile: give the addresses up first, then
    /// listen for one of its adverts, and only then stand again.
    fn woke_late(&mut self, now: Time, silent: Duration, out: &mut Vec<Action>) {
        self.become_backup(now, None, Cause::WokeLate { silent }, out);
        if let State::Backup { down_at, .. } = &mut self.state {
            *down_at = now + self.settings.interval + self.settings.interval / 2;
        }
    }

    /// Nobody took over: on with the adverts; the addresses never left.
    fn stay(&mut self, now: Time, why: Cause, out: &mut Vec<Action>) {
        let cause = Cause::NoSuccessor { why: Box::new(why) };
        self.become_active(now, cause.clone(), out);
        out.push(Action::Changed {
            from: Phase::Master,
            to: Phase::Master,
            cause,
        });
    }

    // --- adverts -------------------------------------------------------------

    fn received(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
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

    fn received_as_backup(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
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
    fn follows(&mut self, now: Time, heard: &Heard) -> bool {
        if heard.priority >= self.priority {
            self.preempt_from = None;
            return true;
        }
        if !self.settings.preempt || self.demoted {
            return true;
        }
        if self.settings.preempt_delay.is_zero() {
            return false;
        }
        let delay = self.settings.preempt_delay;
        now < *self.preempt_from.get_or_insert(now + delay)
    }

    fn follow(&mut self, now: Time, heard: &Heard) {
        if self.settings.version == Version::V3 {
            self.master_interval = heard.interval;
        }
        self.master = Some(heard.sender);
        self.resigned = None;
        self.wait(now + self.master_down_interval());
    }

    fn wait(&mut self, until: Time) {
        if let State::Backup { down_at, .. } = &mut self.state {
            *down_at = until;
        }
    }

    /// Skew only sorts several backups; in a pair there is one.
    fn only_backup_of(&self, sender: IpAddr) -> bool {
        self.peer.is_some_and(|p| p.sole && p.address == sender)
    }

    fn received_as_active(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
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
    fn is_new(&self, now: Time) -> bool {
        matches!(self.state, State::Active { since, .. } if now - since < self.settings.interval)
    }

    /// One last advert makes the winner announce the addresses again, whoever heard whom first.
    fn yield_to(&mut self, now: Time, heard: Heard, out: &mut Vec<Action>) {
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
    /// so that the last word to the clients is always this router's.
    fn answer(&mut self, now: Time, out: &mut Vec<Action>) {
        let (interval, burst) = (self.settings.interval, self.settings.lower_burst);
        let State::Active {
            answer_from, owed, ..
        } = &mut self.state
        else {
            return;
        };
        if now < *answer_from {
            *owed = true;
            return;
        }
        *answer_from = now + interval;
        if self.settings.answer_lower {
            self.advertise(now, self.priority, out);
        }
        out.push(Action::Announce { repeat: burst });
    }

    fn defend(&mut self, now: Time, evidence: Evidence, out: &mut Vec<Action>) {
        if self.is_active() {
            out.push(Action::Report(evidence));
            self.answer(now, out);
        }
    }

    /// The successor of a hand-over speaks.
    fn succeeded(&mut self, now: Time, heard: Heard, aim: Aim, why: Cause, out: &mut Vec<Action>) {
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
                    self.stop(out);
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

    // --- health, operator, peer, group ---------------------------------------

    fn health(&mut self, now: Time, health: Health, out: &mut Vec<Action>) {
        match health {
            Health::Fault(what) => {
                self.fault = Some(what.clone());
                match self.state {
                    State::Backup { .. } | State::Active { .. } | State::Leaving { .. } => {
                        let stopping = matches!(self.state, State::Leaving { aim: Aim::Stop, .. });
                        if stopping {
                            self.stop(out);
                        } else {
                            self.become_fault(Cause::Fault(what), out);
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

    fn recover(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.owns_addresses() {
            self.become_active(now, Cause::Owner, out);
        } else {
            self.become_backup(now, None, Cause::Recovered, out);
        }
    }

    /// Known peers decide; of an unknown one a single priority-0 advert finds out.
    fn worth_a_hand_over(&self) -> bool {
        if self.owns_addresses() {
            return false;
        }
        match (self.peer, self.rival) {
            (Some(peer), _) => peer.priority > self.priority,
            (None, Some((_, priority))) => priority > self.priority,
            (None, None) => true,
        }
    }

    fn demote(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.state {
            State::Active { .. } => self.leave(now, Aim::Demote, Cause::Demoted, out),
            State::Backup { .. } => self.demoted = true,
            State::Initialize
            | State::Leaving { .. }
            | State::Ending { .. }
            | State::Fault
            | State::Stopped => {}
        }
    }

    fn maintain(&mut self, now: Time, out: &mut Vec<Action>) {
        self.maintenance = true;
        let ending = matches!(self.state, State::Leaving { aim: Aim::Stop, .. });
        if (self.is_active() || self.is_leaving()) && !ending {
            self.leave(now, Aim::Maintain, Cause::Maintenance, out);
        }
    }

    fn resume(&mut self, now: Time, out: &mut Vec<Action>) {
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

    fn peer(&mut self, now: Time, view: Option<PeerView>, out: &mut Vec<Action>) {
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
            self.defend(now, evidence, out);
        }
    }

    fn peer_dead(&mut self, now: Time, peer: IpAddr, out: &mut Vec<Action>) {
        let followed = self.master == Some(peer);
        if matches!(self.state, State::Backup { .. }) && followed && !self.maintenance {
            self.become_active(now, Cause::PeerDead { peer }, out);
        }
    }

    fn address_deleted(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.is_active() {
            out.push(Action::Report(Evidence::AddressDeleted));
            out.push(Action::AddAddresses);
            self.answer(now, out);
        }
    }

    fn group_active(&mut self, now: Time, member: String, out: &mut Vec<Action>) {
        if matches!(self.state, State::Backup { .. }) && !self.maintenance {
            self.become_active(now, Cause::Group { member }, out);
        }
    }

    fn group_backup(&mut self, now: Time, member: String, out: &mut Vec<Action>) {
        if self.is_active() {
            self.advertise(now, 0, out);
            let cause = Cause::Group { member };
            self.become_backup(now, self.grace_end(now), cause, out);
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

#[cfg(test)]
mod tests;
