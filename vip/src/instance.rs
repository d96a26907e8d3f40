//! One `vrrp_instance` at work: its router, its sockets, what it counts and
//! remembers. Performs the router's actions; decides nothing itself.

mod addresses;
mod speech;

use crate::core::advert::{Admission, Auth, ChecksumKind, Envelope, Heard, Refusal};
use crate::core::ah::Sequence;
use crate::core::router::{Action, Event, Health, PeerView, Phase, Router, SHORTEST};
use crate::core::track::{self, Level, Tracked};
use crate::core::{Advert, Evidence, Time};
use crate::journal::Journal;
use crate::net::Net;
use crate::plan::{admission, needed_source, room, settings, tracked, unspecified};
use crate::raw::Packet;
use crate::speaker::Speaker;
use crate::vmac;
use crate::watch::Key;
use addresses::Due;
use conf::vip::model::{self, Config, VirtualAddress};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the daemon must do after a step, beyond the instance.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The role changed.
    Changed {
        /// Before.
        from: Phase,
        /// Now.
        to: Phase,
    },
    /// A worse router was heard while active.
    HeardLower,
    /// The guardian must know newer last words.
    Will,
    /// It left for good.
    Gone,
}

/// A running instance.
#[derive(Debug)]
pub struct Instance {
    /// Unlike that of any other instance since the start.
    number: u64,
    /// As configured.
    pub conf: model::Instance,
    /// The state machine.
    pub router: Router,
    /// What it counts and remembers.
    pub journal: Journal,
    /// Tracked things and what they say.
    pub tracked: Vec<(Key, Tracked)>,
    /// The base interface, when it exists.
    pub index: Option<u32>,
    /// Where addresses go by default and adverts leave: macvlan or base.
    pub out_index: Option<u32>,
    /// Source of the adverts, once the interface has one.
    pub source: Option<IpAddr>,
    /// Started: the first results are in or were waited for long enough.
    pub started: bool,
    /// It does not start before.
    start_from: Time,
    /// When it starts even without first results.
    start_by: Time,
    /// Another member of its sync group waits for first results, until then at most.
    fellows_by: Option<Time>,
    /// What the router was last told about its peer.
    pub peer_told: Option<PeerView>,
    /// When scripts were last told of a worse router.
    pub lower_told: Option<Time>,
    /// Removed from the configuration: goes when it is gone.
    pub departing: bool,
    /// Removed and told so.
    pub dismissed: bool,
    health_told: Option<Health>,
    /// What packets must look like.
    pub admission: Admission,
    advertised: Vec<IpAddr>,
    /// Numbers of the authentication header.
    sequence: Sequence,
    speaker: Option<Speaker>,
    lease: bool,
    renew: Option<Due>,
    /// Which slice of the addresses is renewed next.
    next_slice: usize,
    packet: Vec<u8>,
    /// The calm in which it has sent an advert already; see `Daemon::calm`.
    spoke_in: u64,
    /// What one step asks for, empty between two.
    actions: Vec<Action>,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// How long the first results of tracked things are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

impl Instance {
    /// Makes an instance from its configuration; sockets come with [`Instance::attach`].
    pub fn new(conf: model::Instance, config: &Config, now: Time) -> Instance {
        let advertised: Vec<IpAddr> = conf.addresses.iter().map(|a| a.address).collect();
        let settings = settings(&conf, unspecified(&conf));
        let tracked = tracked(&conf, config);
        let patience = if tracked.is_empty() {
            Duration::ZERO
        } else {
            PATIENCE
        };
        Instance {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            admission: admission(&conf, &advertised),
            router: Router::new(settings),
            journal: Journal::default(),
            tracked,
            index: None,
            out_index: None,
            source: None,
            started: false,
            peer_told: None,
            lower_told: None,
            departing: false,
            dismissed: false,
            health_told: None,
            start_from: now,
            start_by: now + patience,
            fellows_by: None,
            advertised,
            sequence: Sequence::default(),
            speaker: None,
            lease: config.global.address_lease,
            renew: None,
            next_slice: 0,
            packet: Vec::new(),
            spoke_in: 0,
            actions: Vec::new(),
            conf,
        }
    }

    /// Takes a new configuration over; addresses are added before others go.
    pub fn reconfigure(
        &mut self,
        now: Time,
        conf: model::Instance,
        config: &Config,
        net: &mut Net,
    ) {
        let before_lease_s = self.lease_s();
        let old = std::mem::replace(&mut self.conf, conf);
        let before = std::mem::take(&mut self.tracked);
        self.tracked = tracked(&self.conf, config);
        for (key, item) in &mut self.tracked {
            match before.iter().find(|(k, _)| k == key) {
                Some((_, known)) => {
                    item.level = known.level.clone();
                    item.trusted = known.trusted;
                }
                None => item.trusted = self.started && self.router.phase() != Phase::Fault,
            }
        }
        self.advertised = self.conf.addresses.iter().map(|a| a.address).collect();
        self.admission = admission(&self.conf, &self.advertised);
        let own = self.source.unwrap_or(unspecified(&self.conf));
        self.router.reconfigure(settings(&self.conf, own));
        self.lease = config.global.address_lease;
        if old.vmac != self.conf.vmac {
            // adverts leave another way
            self.speaker = None;
        }
        if self.router.holds_addresses() {
            if self.leases_as(&old, before_lease_s) {
                self.renew_all(net);
            } else {
                self.take_changed(&old, net);
                self.put_addresses(net);
            }
            for (index, address) in self.placed(net) {
                let known = |a: &VirtualAddress| a.address == address.address;
                if !old.addresses.iter().chain(&old.excluded).any(known) {
                    self.announce_one(now, net, index, address.address);
                }
            }
            self.remove_missing(&old, net);
        }
        self.attach(net);
    }

    /// Finds the interface and its address and opens the speaker, as far as they exist.
    pub fn attach(&mut self, net: &mut Net) {
        if self.router.is_gone() {
            // its virtual interface is taken away, and must not come back
            return;
        }
        let link = net.links.by_name(&self.conf.interface);
        self.index = link.map(|l| l.index);
        let Some(index) = self.index else {
            self.speaker = None;
            self.source = None;
            self.out_index = None;
            return;
        };
        self.fit(link.map_or(0, |l| l.mtu));
        if self.conf.vmac.is_some() && self.out_index.is_none_or(|i| net.links.get(i).is_none()) {
            self.out_index = vmac::ensure(&self.conf, index, net)
                .map_err(|error| self.journal.trouble("use_vmac", &error))
                .ok();
            self.speaker = None;
        } else if self.conf.vmac.is_none() {
            self.out_index = Some(index);
        }
        if self.conf.promote_secondaries {
            vmac::set("ipv4", &self.conf.interface, "promote_secondaries", "1");
        }
        let family = self.conf.family;
        let virtuals = self.virtuals();
        let found = net.links.primary(index, family, &virtuals);
        let source = self.conf.source.or(found);
        if source != self.source {
            self.source = source;
            let own = source.unwrap_or(unspecified(&self.conf));
            self.router.reconfigure(settings(&self.conf, own));
        }
        self.admission.own = net
            .links
            .of_family(family)
            .filter(|a| !virtuals.contains(a))
            .collect();
        if self.speaker.is_none()
            && let Some(out) = self.out_index
        {
            self.speaker = self
                .open_speaker(index, out)
                .map_err(|error| self.journal.trouble("cannot open a socket", &error))
                .ok();
        }
    }

    /// Lists as many addresses as an advert carries on a link of this MTU; the rest moves with them.
    fn fit(&mut self, mtu: u32) {
        let all = &self.conf.addresses;
        let room = room(self.conf.version, self.conf.family, self.seals(), mtu);
        let listed: Vec<IpAddr> = all.iter().take(room).map(|a| a.address).collect();
        if listed == self.advertised {
            return;
        }
        if listed.len() < all.len() {
            let (instance, count) = (&self.conf.name, all.len());
            tracing::warn!(
                vrrp_instance = instance,
                mtu,
                "{instance}: an advert carries {room} of the {count} addresses; the others move unlisted"
            );
        }
        self.admission.addresses.clone_from(&listed);
        self.advertised = listed;
    }

    /// Drops what belongs to a link that went away.
    pub fn detach(&mut self) {
        self.speaker = None;
    }

    /// All virtual addresses, advertised or not.
    pub fn virtuals(&self) -> Vec<IpAddr> {
        let all = self.conf.addresses.iter().chain(&self.conf.excluded);
        all.map(|a| a.address).collect()
    }

    /// Whether it is one of them.
    pub fn moves(&self, address: IpAddr) -> bool {
        let mut all = self.conf.addresses.iter().chain(&self.conf.excluded);
        all.any(|a| a.address == address)
    }

    /// Why the instance itself cannot take part, apart from tracked things.
    fn obstacle(&self, net: &Net) -> Option<String> {
        let name = &self.conf.interface;
        let Some(link) = self.index.and_then(|i| net.links.get(i)) else {
            return Some(format!("interface {name} does not exist"));
        };
        if !link.up || !link.running {
            if self.conf.dont_track_primary {
                return None;
            }
            let what = if link.up { "has no carrier" } else { "is down" };
            return Some(format!("interface {name} {what}"));
        }
        if self.conf.lacks_peer {
            return Some("no unicast_peer, and unicast_fault_no_peer".to_owned());
        }
        if self.source.is_none() {
            let family = match self.conf.family {
                model::Family::V4 => "IPv4",
                model::Family::V6 => "IPv6 link-local",
            };
            return Some(format!("interface {name} has no {family} address"));
        }
        if let Some(source) = needed_source(&self.conf)
            && !net.links.of_family(self.conf.family).any(|a| a == source)
        {
            return Some(format!(
                "this host does not have the source address {source}"
            ));
        }
        if self.speaker.is_none() {
            return Some("no socket to send adverts with".to_owned());
        }
        None
    }

    /// The health of this instance alone.
    pub fn health(&self, net: &Net, because: &str) -> Health {
        if let Some(obstacle) = self.obstacle(net) {
            return Health::Fault(obstacle);
        }
        let items: Vec<Tracked> = self.tracked.iter().map(|(_, t)| t.clone()).collect();
        track::assess(self.conf.priority.0, &items, because)
    }

    /// Whether the router does not know this health yet; it does afterwards. The reason of a
    /// change is no news by itself.
    pub fn is_news(&mut self, health: &Health) -> bool {
        let same = match (&self.health_told, health) {
            (Some(Health::Fit { priority: a, .. }), Health::Fit { priority: b, .. }) => a == b,
            (Some(told), now) => told == now,
            (None, _) => false,
        };
        self.health_told = Some(health.clone());
        !same
    }

    /// Does not start before (`startup_script`, `vrrp_startup_delay`).
    pub fn start_from(&mut self, from: Time) {
        self.start_from = from;
        self.start_by = self.start_by.max(from);
    }

    /// Whether it starts now: all tracked things have answered once, or were waited for.
    pub fn starts(&self, now: Time) -> bool {
        !self.started && now >= self.start_at()
    }

    fn start_at(&self) -> Time {
        let own = match self.all_known() {
            true => self.start_from,
            false => self.start_by.max(self.start_from),
        };
        self.fellows_by.map_or(own, |by| own.max(by))
    }

    /// Whether it has not started for want of an answer.
    pub fn waits_for_answers(&self) -> bool {
        !self.started && !self.all_known()
    }

    /// When it starts even without answers.
    pub fn start_by(&self) -> Time {
        self.start_by
    }

    /// Starts no sooner than another member of its sync group, which waits for answers until then.
    pub fn wait_for_fellows(&mut self, by: Option<Time>) {
        self.fellows_by = by;
    }

    fn all_known(&self) -> bool {
        self.tracked.iter().all(|(_, t)| t.level != Level::Unknown)
    }

    /// A packet for this VRID: checks it and counts it.
    pub fn admit(&mut self, interface: u32, packet: &Packet<'_>) -> Option<Heard> {
        match self.check(interface, packet) {
            Ok(Some((heard, kind))) => {
                self.journal.accepted(kind, &heard);
                Some(heard)
            }
            Ok(None) => None,
            Err(reason) => {
                self.refuse(&packet.envelope, reason);
                None
            }
        }
    }

    /// Nothing for a copy of what was heard.
    fn check(
        &mut self,
        interface: u32,
        packet: &Packet<'_>,
    ) -> Result<Option<(Heard, ChecksumKind)>, Refusal> {
        let number = self.admission.open(&packet.wrap)?;
        let advert = Advert::parse(packet.vrrp, &packet.envelope)?;
        let heard = self.admission.admit(&advert, &packet.envelope)?;
        if let Some(number) = number {
            if self.sequence.is_copy(number, interface) {
                return Ok(None);
            }
            self.sequence.hear(number, interface)?;
        }
        Ok(Some((heard, advert.checksum)))
    }

    /// Whether its adverts have an authentication header around them.
    pub fn seals(&self) -> bool {
        matches!(self.admission.auth, Auth::Header(_))
    }

    /// Counts a packet that was dropped before it was parsed.
    pub fn refuse(&mut self, envelope: &Envelope, reason: Refusal) {
        self.journal
            .refused(&self.conf.name, envelope.source, reason);
    }

    /// When the loop must come back.
    pub fn deadline(&self) -> Option<Time> {
        let start = (!self.started).then(|| self.start_at());
        [self.router.deadline(), self.renew.map(|due| due.by), start]
            .into_iter()
            .flatten()
            .min()
    }

    /// When [`Instance::deadline`] is for another reason than the next advert. Leases are renewed by
    /// the whole turn.
    pub fn other_deadline(&self) -> Option<Time> {
        let renewal = self.renew.map(|due| due.from);
        let router = self.router.other_deadline();
        router.into_iter().chain(renewal).min()
    }

    /// One event through the state machine; performs what it asks for.
    pub fn step(&mut self, now: Time, event: Event, net: &mut Net) -> Vec<Effect> {
        self.router.step(now, event, &mut self.actions);
        self.actions.reverse();
        let mut effects = Vec::new();
        while let Some(action) = self.actions.pop() {
            self.perform(now, action, net, &mut effects);
        }
        effects
    }

    fn perform(&mut self, now: Time, action: Action, net: &mut Net, effects: &mut Vec<Effect>) {
        match action {
            Action::Advertise { priority } => {
                self.advertise(priority, self.conf.advert_int);
                if self.seals() && self.sequence.is_new_block() {
                    effects.push(Effect::Will);
                }
            }
            Action::Hasten { priority } => self.advertise(priority, SHORTEST),
            Action::AddAddresses => {
                if let Some(index) = self.out_index.filter(|_| self.conf.vmac.is_some()) {
                    // refused before, when the interface was made
                    let _ = net.filter.silence(index, false);
                }
                self.put_addresses(net);
                self.next_slice = 0;
                self.renew = self.lease.then(|| self.next_renewal(now));
            }
            Action::EndConnections => self.end_connections(net),
            Action::RemoveAddresses => {
                self.remove_addresses(net);
                self.renew = None;
            }
            Action::Announce { repeat } => self.announce(now, net, repeat),
            Action::Changed { from, to, cause } => {
                if to != Phase::Master {
                    net.pace.cancel(&self.virtuals());
                }
                self.journal.changed(&self.conf.name, from, to, &cause);
                effects.push(Effect::Changed { from, to });
            }
            Action::Report(evidence) => {
                if matches!(evidence, Evidence::Rival { .. }) {
                    effects.push(Effect::HeardLower);
                }
                self.journal.report(&self.conf.name, now, &evidence);
            }
            Action::Gone => effects.push(Effect::Gone),
        }
    }
}
