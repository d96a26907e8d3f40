//! All instances together: who hears which event, and what follows for the
//! others. The loop in `run` feeds it.

mod cadence;
mod clients;
mod departure;
mod follow;
mod kernel;

use crate::clock::Clock;
use crate::core::Time;
use crate::core::cause::Cause;
use crate::core::group::Group;
use crate::core::heartbeat::{Role, RouterView};
use crate::core::router::{Event, Health, Phase, Router};
use crate::core::track::Level;
use crate::guardian::Ward;
use crate::instance::Instance;
use crate::journal::Lateness;
use crate::mailbox::Post;
use crate::net::Net;
use crate::options::Held;
use crate::pair::{Order, Own, Pair, Sources};
use crate::plan;
use crate::poller::Ticket;
use crate::raw::{Kind, Listener};
use crate::statics::Set;
use crate::tickle::Tickle;
use crate::watch::{Key, ToWatch};
use conf::vip::model::{Config, Family};
use std::net::IpAddr;
use std::time::Duration;
use tracing::{info, warn};

/// How long a balancer that recovers leaves a living master alone: what was wrong (all brokers
/// were away) is over for the other host's balancer within its own check interval, 2 s by default.
const SETTLING: Duration = Duration::from_millis(2500);

/// Whether this is a balancer's good news after bad ones.
fn recovers(key: &Key, before: &Level, after: &Level) -> bool {
    matches!(key, Key::Balancer(_)) && matches!(before, Level::Bad(_)) && *after == Level::Good
}

/// A listener and where it listens.
#[derive(Debug)]
pub struct Heard {
    /// Interface.
    pub index: u32,
    /// To what.
    pub kind: Kind,
    /// The socket.
    pub listener: Listener,
    /// Its own.
    pub ticket: Ticket,
}

/// Everything that the router thread owns, sockets of the loop apart.
#[derive(Debug)]
pub struct Daemon {
    /// Who this process is, in the words that all daemons share.
    pub identity: service::Identity,
    /// The clock.
    pub clock: Clock,
    /// The configuration in force.
    pub config: Config,
    /// Kernel sockets.
    pub net: Net,
    /// The instances in file order; departing ones stay until they are gone.
    pub instances: Vec<Instance>,
    /// VRRP sockets.
    pub listeners: Vec<Heard>,
    /// The pair channel, unless off.
    pub pair: Option<Pair>,
    /// Who asks the clients of a dead host, unless there is no thread for it.
    pub tickle: Option<Tickle>,
    /// Packets for VRIDs that are not configured on their interface.
    pub unknown_vrid: u64,
    /// Whether the end was asked for.
    pub stopping: bool,
    /// What the guardian must know.
    pub ward: Ward,
    /// What systemd is told, by way of the guardian.
    pub notify: service::Notify,
    groups: Vec<Group>,
    /// Static addresses, routes and rules.
    pub statics: Set,
    /// The packet filter waits for the end of the turn: a change of it costs milliseconds.
    refilter: bool,
    /// Times in which nothing but adverts happened; see [`Daemon::calm`].
    calms: u64,
    watch: Post<ToWatch>,
}

impl Daemon {
    /// Makes the instances of a configuration; nothing is sent yet.
    pub fn new(config: Config, net: Net, watch: Post<ToWatch>, ward: Ward) -> Daemon {
        let clock = Clock::new();
        let mut daemon = Daemon {
            identity: service::Identity::new("vip", env!("CARGO_PKG_VERSION")),
            clock,
            instances: Vec::new(),
            listeners: Vec::new(),
            pair: None,
            tickle: None,
            unknown_vrid: 0,
            stopping: false,
            notify: ward.notify(),
            ward,
            groups: Vec::new(),
            statics: Set::default(),
            refilter: false,
            calms: 0,
            watch,
            config,
            net,
        };
        let now = clock.now();
        for conf in daemon.config.instances.clone() {
            let instance = Instance::new(conf, &daemon.config, now);
            daemon.instances.push(instance);
        }
        daemon.settle();
        // what a dead predecessor left behind has no election behind it
        for instance in &mut daemon.instances {
            instance.remove_addresses(&mut daemon.net);
        }
        daemon.reassess("start");
        daemon.start_from(now);
        daemon
    }

    /// Goes on with what operators asked of the worker before.
    pub fn hold(&mut self, all: &[Held]) {
        for held in all {
            let event = if held.maintenance {
                Event::Maintenance
            } else {
                Event::Demote
            };
            for i in self.select(Some(&held.instance)) {
                self.dispatch(i, event.clone());
            }
        }
        self.tell_guardian();
    }

    /// Instances take part from then on, or `vrrp_startup_delay` later.
    pub fn start_from(&mut self, from: Time) {
        for instance in &mut self.instances {
            instance.start_from(from + self.config.global.startup_delay);
        }
        self.wait_for_fellows();
    }

    /// After a configuration or a change of links: sockets, groups, trackers, guardian.
    pub fn settle(&mut self) {
        for instance in &mut self.instances {
            instance.attach(&mut self.net);
        }
        if !self.stopping {
            self.statics.settle(&self.config.statics, &mut self.net);
        }
        self.groups = self.config.groups.iter().map(|g| self.group(g)).collect();
        for instance in &mut self.instances {
            instance.router.hold(None);
        }
        self.hold_groups();
        self.wait_for_fellows();
        self.listen();
        self.tell_guardian();
        let pauses = plan::pauses(&self.config, &self.places());
        self.net.pace.configure(pauses);
        self.filter();
        if let Some(pair) = &mut self.pair {
            let own = |i: &Instance| Some((i.index?, i.source?));
            let moves = |a: &IpAddr| self.instances.iter().any(|i| i.moves(*a));
            pair.sources = Sources {
                adverts: self.instances.iter().filter_map(own).collect(),
                global: self
                    .net
                    .links
                    .global()
                    .filter(|a| !moves(&IpAddr::V6(*a)))
                    .collect(),
            };
        }
        self.tell_tickle();
    }

    /// The interfaces on which addresses are announced, by name and number.
    fn places(&self) -> Vec<(String, u32)> {
        let mut places = Vec::new();
        for instance in &self.instances {
            for (index, address) in instance.placed(&self.net) {
                // a macvlan counts as the interface below it
                let name = match &address.dev {
                    Some(dev) if instance.out_index != Some(index) => dev,
                    Some(_) | None => &instance.conf.interface,
                };
                let place = (name.clone(), index);
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    fn group(&self, group: &conf::vip::model::SyncGroup) -> Group {
        let member = |name: &String| self.instances.iter().position(|i| i.conf.name == *name);
        Group {
            name: group.name.clone(),
            members: group.members.iter().filter_map(member).collect(),
        }
    }

    /// Members of a sync group start together: what one waits to hear is no fault of the others.
    fn wait_for_fellows(&mut self) {
        for group in &self.groups {
            let waiting = |m: &&usize| self.instances[**m].waits_for_answers();
            let by = group.members.iter().filter(waiting);
            let by = by.map(|m| self.instances[*m].start_by()).max();
            for member in &group.members {
                self.instances[*member].wait_for_fellows(by);
            }
        }
    }

    /// Tells the guardian which addresses and last words belong to which instance.
    pub fn tell_guardian(&mut self) {
        let mut addresses = Vec::new();
        let mut goodbyes = Vec::new();
        let mut held = Vec::new();
        for instance in &self.instances {
            held.extend(instance.held());
            for (index, address) in instance.placed(&self.net) {
                addresses.push((index, address.address, address.prefix));
            }
            if instance.router.is_active() {
                goodbyes.extend(instance.goodbye());
            }
        }
        self.ward.tell(addresses, goodbyes, held);
    }

    /// The earliest deadline of all.
    pub fn deadline(&self) -> Option<Time> {
        let instances = self.instances.iter().filter_map(Instance::deadline);
        let pair = self.pair.as_ref().and_then(Pair::deadline);
        instances.chain(pair).chain(self.net.pace.deadline()).min()
    }

    /// What follows when everything that came was read.
    pub fn tick(&mut self) {
        self.tick_pair(self.clock.now());
        self.learn_connections();
        if self.instances.iter().any(|i| i.departing) {
            self.bid_farewell();
            self.drop_departed();
        }
        if std::mem::take(&mut self.refilter) {
            self.filter();
        }
    }

    /// Fires the routers' timers: before any packet is read, but for those of backups and of
    /// masters that were late, which [`Daemon::take_over`] fires; whether there is one. The pair channel judges later, too:
    /// a heartbeat or an answer that waits in a socket is a sign of life. `idle_from`: when the
    /// thread began to wait, to tell why it is late.
    pub fn fire(&mut self, idle_from: Time, now: Time) -> bool {
        let mut suspects = false;
        for i in 0..self.instances.len() {
            let instance = &mut self.instances[i];
            if instance.starts(now) {
                instance.started = true;
                self.dispatch(i, Event::Startup);
            }
            let instance = &mut self.instances[i];
            let router = &instance.router;
            if router.is_due(now) {
                if let Some(by) = router.lateness(now) {
                    let at_work = now - idle_from < by;
                    let because = if at_work {
                        Lateness::AT_WORK
                    } else {
                        Lateness::NOT_RUNNING
                    };
                    instance.journal.late(&instance.conf.name, by, because);
                }
                if waits_for_packets(router, now) {
                    suspects = true;
                    // what another host may have by now is not set again
                    continue;
                }
                self.dispatch(i, Event::Timeout);
            }
            self.instances[i].renew(now, &self.net);
        }
        self.net.tick(now);
        suspects
    }

    /// Fires the other timers once it is read what came: when this thread was late, the adverts
    /// of a living master, or of who took over from this one, wait in the socket.
    pub fn take_over(&mut self, now: Time) {
        for i in 0..self.instances.len() {
            if waits_for_packets(&self.instances[i].router, now) {
                self.dispatch(i, Event::Timeout);
            }
        }
    }

    fn tick_pair(&mut self, now: Time) {
        if !self.pair.as_ref().is_some_and(|p| p.is_due(now)) {
            return;
        }
        let own = self.own_view();
        let orders = self.pair.as_mut().map(|p| p.tick(now, own));
        for order in orders.into_iter().flatten() {
            match order {
                Order::Probe(peer) => self.probe(peer),
                Order::Dead(peer) => {
                    for i in 0..self.instances.len() {
                        self.dispatch(i, Event::PeerDead(peer));
                    }
                }
                Order::Witnessed(by, router) => self.witnessed(by, router),
                Order::Serves(by, router) => self.served(now, by, router),
            }
        }
        for i in 0..self.instances.len() {
            let Some(pair) = &self.pair else {
                return;
            };
            let instance = &mut self.instances[i];
            pair.living(now, &mut instance.admission.trusted);
            let heard = instance.journal.last_heard.map(|(h, _)| h.sender);
            let view = pair.view(now, instance.conf.family, instance.conf.vrid.0, heard);
            if instance.peer_told != view {
                instance.peer_told = view;
                self.dispatch(i, Event::Peer(view));
            }
        }
        self.watch_for_readers(now);
    }

    /// A witness says that this host's router is active.
    fn witnessed(&mut self, by: IpAddr, router: RouterView) {
        let priority = router.priority;
        for i in 0..self.instances.len() {
            let own = router_view(&self.instances[i]);
            if (own.vrid, own.v6) == (router.vrid, router.v6) {
                self.dispatch(i, Event::Witnessed { by, priority });
            }
        }
    }

    /// A host says by the pair channel that its router is active: news where its adverts are missed.
    fn served(&mut self, now: Time, by: IpAddr, router: RouterView) {
        let priority = router.priority;
        for i in 0..self.instances.len() {
            let own = router_view(&self.instances[i]);
            let same = (own.vrid, own.v6) == (router.vrid, router.v6);
            if same && self.instances[i].router.misses(now, by) {
                self.dispatch(i, Event::Serves { by, priority });
            }
        }
    }

    fn own_view(&self) -> Own {
        let active = self.instances.iter().filter(|i| i.router.is_active());
        Own {
            routers: self.instances.iter().map(router_view).collect(),
            advert: active.map(|i| i.conf.advert_int).min(),
            leaving: self.stopping,
        }
    }

    /// Asks the link who has the addresses of routers that follow this master.
    fn probe(&mut self, peer: IpAddr) {
        for i in 0..self.instances.len() {
            let instance = &self.instances[i];
            if instance.router.master() != Some(peer) {
                continue;
            }
            let (Some(index), Some(own)) = (instance.index, instance.source) else {
                continue;
            };
            let Some(address) = instance.virtuals().first().copied() else {
                continue;
            };
            let Ok(mac) = self.net.mac(index) else {
                continue;
            };
            if let Some(frame) = crate::frame::probe(address, mac, own) {
                let _ = self.net.send_frame(index, &frame);
            }
        }
    }

    /// One line about all roles, for sd_notify.
    pub fn summary(&self) -> String {
        let one = |i: &Instance| format!("{} {}", i.conf.name, i.router.phase().word());
        self.instances
            .iter()
            .map(one)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Works out everybody's health again; tells those for whom it changed.
    pub fn reassess(&mut self, because: &str) {
        self.levels_of_interfaces();
        let own: Vec<Health> = self
            .instances
            .iter()
            .map(|i| i.health(&self.net, because))
            .collect();
        for i in 0..self.instances.len() {
            let mut health = own[i].clone();
            for group in self.groups.iter().filter(|g| g.members.contains(&i)) {
                let others: Vec<Health> = group.members.iter().map(|m| own[*m].clone()).collect();
                health = Group::share(health, &others);
            }
            if self.instances[i].is_news(&health) {
                self.dispatch(i, Event::Health(health));
            }
        }
    }

    fn levels_of_interfaces(&mut self) {
        let links = &self.net.links;
        for instance in &mut self.instances {
            for (key, item) in &mut instance.tracked {
                if let Key::Statics(group) = key {
                    item.level = match self.statics.failure(group) {
                        Some(why) => Level::Bad(why.to_owned()),
                        None => Level::Good,
                    };
                }
                if let Key::Interface(name) = key {
                    item.level = match links.by_name(name) {
                        Some(link) if link.up && link.running => Level::Good,
                        Some(_) => Level::Bad("is down".to_owned()),
                        None => Level::Bad("does not exist".to_owned()),
                    };
                }
            }
        }
    }

    /// A tracked thing says something new.
    pub fn tracked(&mut self, key: &Key, level: &Level) {
        let mut because = key.to_string();
        if let Level::Bad(why) = level {
            because = format!("{key} {why}");
        }
        let mut news = false;
        let mut settling = Vec::new();
        for (i, instance) in self.instances.iter_mut().enumerate() {
            for (known, item) in &mut instance.tracked {
                if known == key && item.level != *level {
                    if recovers(key, &item.level, level) {
                        settling.push(i);
                    }
                    item.level = level.clone();
                    news = true;
                }
            }
        }
        // a balancer is asked twice a second, and says the same for months
        if !news {
            return;
        }
        self.wait_for_fellows();
        info!(tracked = %key, level = ?level, "{because}");
        for i in settling {
            self.dispatch(i, Event::Settle(SETTLING));
        }
        self.reassess(&because);
    }

    /// The end was asked for: everybody leaves, make-before-break.
    pub fn stop(&mut self, why: &Cause) {
        self.stopping = true;
        if let Some(pair) = &mut self.pair {
            pair.hurry();
        }
        for i in 0..self.instances.len() {
            self.dispatch(i, Event::Shutdown(why.clone()));
        }
    }

    /// Whether nobody holds an address any more after [`Daemon::stop`].
    pub fn is_over(&self) -> bool {
        self.stopping && self.instances.iter().all(|i| i.router.is_gone())
    }

    /// Instances that an operator means: by name, with those of its sync group, or all.
    pub fn select(&self, name: Option<&str>) -> Vec<usize> {
        let named = |i: usize| name.is_none_or(|n| self.instances[i].conf.name == n);
        let along = |i: usize| {
            let groups = self.groups.iter().filter(|g| g.members.contains(&i));
            groups.flat_map(|g| &g.members).any(|m| named(*m))
        };
        let meant = |i: &usize| named(*i) || along(*i);
        (0..self.instances.len()).filter(meant).collect()
    }

    /// Counts from zero; what was remembered stays.
    pub fn clear_counters(&mut self) {
        self.unknown_vrid = 0;
        for instance in &mut self.instances {
            instance.journal.clear_counters();
        }
    }

    /// What the watchers must watch, now and after a reload.
    pub fn tell_watchers(&self) {
        let told = self
            .watch
            .send(ToWatch::Configure(Box::new(self.config.clone())));
        if !told {
            warn!("the health thread does not take its configuration");
        }
    }

    /// The queue of the health thread.
    pub fn watch(&self) -> &Post<ToWatch> {
        &self.watch
    }
}

/// Whether a timer is due that what waits in the sockets may still call off.
fn waits_for_packets(router: &Router, now: Time) -> bool {
    router.overslept(now) || (router.phase() == Phase::Backup && router.is_due(now))
}

/// What the pair channel says about an instance.
fn router_view(instance: &Instance) -> RouterView {
    let router = &instance.router;
    RouterView {
        vrid: instance.conf.vrid.0,
        v6: instance.conf.family == Family::V6,
        role: match router.phase() {
            Phase::Master if router.is_active() => Role::Active,
            Phase::Backup if !router.in_maintenance() => Role::Backup,
            Phase::Init | Phase::Backup | Phase::Master | Phase::Fault | Phase::Stop => Role::Out,
        },
        priority: router.priority(),
    }
}
