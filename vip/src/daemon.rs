//! All instances together: who hears which event, and what follows for the
//! others. The loop in `run` feeds it.

use crate::clock::Clock;
use crate::core::advert::{Envelope, peek_vrid};
use crate::core::cause::Cause;
use crate::core::group::Group;
use crate::core::heartbeat::{Role, RouterView};
use crate::core::router::{Event, Health, Phase};
use crate::core::track::Level;
use crate::core::{Refusal, Time};
use crate::frame::Claim;
use crate::guardian::Ward;
use crate::instance::{Effect, Instance};
use crate::link::Links;
use crate::mailbox::Post;
use crate::net::Net;
use crate::netlink::Notice;
use crate::notify;
use crate::pair::{Order, Pair};
use crate::plan;
use crate::raw::Listener;
use crate::vmac;
use crate::watch::{Key, ToWatch};
use conf::vip::model::{Config, Family};
use std::collections::VecDeque;
use std::net::IpAddr;
use tracing::{info, warn};

/// A listener and where it listens.
#[derive(Debug)]
pub struct Heard {
    /// Interface.
    pub index: u32,
    /// Address family.
    pub family: Family,
    /// The socket.
    pub listener: Listener,
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
    /// Packets for VRIDs that are not configured on their interface.
    pub unknown_vrid: u64,
    /// Whether the end was asked for.
    pub stopping: bool,
    /// What the guardian must know.
    pub ward: Ward,
    groups: Vec<Group>,
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
            unknown_vrid: 0,
            stopping: false,
            ward,
            groups: Vec::new(),
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
        daemon
    }

    /// After a configuration or a change of links: sockets, groups, trackers, guardian.
    pub fn settle(&mut self) {
        for instance in &mut self.instances {
            instance.attach(&mut self.net);
        }
        self.groups = self.config.groups.iter().map(|g| self.group(g)).collect();
        self.listen();
        self.tell_guardian();
        let pauses = plan::pauses(&self.config, &self.places());
        self.net.pace.configure(pauses);
        if let Some(pair) = &mut self.pair {
            let own = |i: &Instance| Some((i.index?, i.source?));
            pair.sources = self.instances.iter().filter_map(own).collect();
        }
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

    /// One listener per interface and family. A frame that carries our virtual link-layer
    /// address as its source arrives at the macvlan interface: that one listens, too.
    fn listen(&mut self) {
        let links = &self.net.links;
        self.listeners.retain(|h| links.get(h.index).is_some());
        for instance in &mut self.instances {
            let mut indices: Vec<u32> = instance.index.into_iter().collect();
            indices.extend(instance.out_index.filter(|o| Some(*o) != instance.index));
            for index in indices {
                let name = self.net.links.get(index).map(|l| l.name.clone());
                let name = name.unwrap_or_default();
                if let Err(error) = listen_on(&mut self.listeners, instance, &name, index) {
                    let what = format!("cannot listen on {name}");
                    instance.journal.trouble(&what, &error);
                }
            }
        }
    }

    /// Tells the guardian which addresses and last words belong to which instance.
    pub fn tell_guardian(&mut self) {
        let mut addresses = Vec::new();
        let mut goodbyes = Vec::new();
        for instance in &self.instances {
            for (index, address) in instance.placed(&self.net) {
                addresses.push((index, address.address, address.prefix));
            }
            if instance.router.is_active() {
                for (from, to, bytes) in instance.goodbye() {
                    goodbyes.push((instance.conf.interface.clone(), from, to, bytes));
                }
            }
        }
        self.ward.tell(addresses, goodbyes);
    }

    /// The earliest deadline of all.
    pub fn deadline(&self) -> Option<Time> {
        let instances = self.instances.iter().filter_map(Instance::deadline);
        let pair = self.pair.as_ref().and_then(Pair::deadline);
        instances.chain(pair).chain(self.net.pace.deadline()).min()
    }

    /// Fires what is due, when everything that came was read.
    pub fn tick(&mut self) {
        self.fire();
        self.tick_pair(self.clock.now());
        self.drop_departed();
    }

    /// Fires the routers' timers: before any packet is read. The pair channel judges later:
    /// a heartbeat or an answer that waits in a socket is a sign of life.
    pub fn fire(&mut self) {
        let now = self.clock.now();
        for i in 0..self.instances.len() {
            let instance = &mut self.instances[i];
            if !instance.started && (instance.all_known() || now >= instance.start_by) {
                instance.started = true;
                self.dispatch(i, Event::Startup);
            }
            if self.instances[i]
                .router
                .deadline()
                .is_some_and(|at| now >= at)
            {
                self.dispatch(i, Event::Timeout);
            }
            self.instances[i].renew(now, &mut self.net);
        }
        self.net.tick(now);
    }

    fn drop_departed(&mut self) {
        let gone = |i: &Instance| i.departing && i.router.is_gone();
        if !self.instances.iter().any(gone) {
            return;
        }
        for instance in self.instances.iter().filter(|i| gone(i)) {
            if instance.conf.vmac.is_some() {
                vmac::remove(&instance.conf, &mut self.net);
            }
        }
        self.instances.retain(|i| !gone(i));
        self.settle();
    }

    fn tick_pair(&mut self, now: Time) {
        let Some(mut pair) = self.pair.take() else {
            return;
        };
        let own: Vec<RouterView> = self.instances.iter().map(router_view).collect();
        for order in pair.tick(now, own, self.stopping) {
            match order {
                Order::Probe(peer) => self.probe(peer),
                Order::Dead(peer) => {
                    for i in 0..self.instances.len() {
                        self.dispatch(i, Event::PeerDead(peer));
                    }
                }
            }
        }
        let living = pair.living(now);
        for i in 0..self.instances.len() {
            let instance = &mut self.instances[i];
            if instance.admission.trusted != living {
                instance.admission.trusted.clone_from(&living);
            }
            let heard = instance.journal.last_heard.map(|(h, _)| h.sender);
            let view = pair.view(now, instance.conf.family, instance.conf.vrid.0, heard);
            if instance.peer_told != view {
                instance.peer_told = view;
                self.dispatch(i, Event::Peer(view));
            }
        }
        self.pair = Some(pair);
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

    /// One event for one instance, and what follows for its group.
    pub fn dispatch(&mut self, instance: usize, event: Event) {
        let mut queue = VecDeque::from([(instance, event)]);
        // a group of n members settles within n rounds each
        let mut budget = 64 * (self.instances.len() + 1);
        while let Some((i, event)) = queue.pop_front().filter(|_| budget > 0) {
            budget -= 1;
            let now = self.clock.now();
            let effects = self.instances[i].step(now, event, &mut self.net);
            for effect in effects {
                match effect {
                    Effect::Changed { from, to, cause } => {
                        self.changed(i, from, to, &cause, &mut queue);
                    }
                    Effect::HeardLower => self.heard_lower(i),
                    Effect::Gone => {}
                }
            }
        }
    }

    fn changed(
        &mut self,
        i: usize,
        from: Phase,
        to: Phase,
        cause: &Cause,
        queue: &mut VecDeque<(usize, Event)>,
    ) {
        self.tell_guardian();
        if from == to {
            return;
        }
        if let Some(pair) = &mut self.pair {
            pair.hurry();
        }
        let name = self.instances[i].conf.name.clone();
        let priority = self.instances[i].router.priority();
        let conf = &self.instances[i].conf;
        let mut orders = notify::instance(&self.config, conf, to, priority);
        for (at, group) in self.groups.iter().enumerate() {
            if !group.members.contains(&i) {
                continue;
            }
            queue.extend(group.follow(i, &name, from, to));
            let together = |m: &usize| self.instances[*m].router.phase() == to;
            if group.members.iter().all(together) {
                orders.extend(notify::group(&self.config, &self.config.groups[at], to));
            }
        }
        if !matches!(cause, Cause::Removed) || self.instances[i].conf.notify.deleted {
            self.order(orders);
        }
        service::Notify::from_environment().status(&self.summary());
    }

    fn order(&self, orders: Vec<notify::Order>) {
        if !orders.is_empty() && !self.watch.send(ToWatch::Notify(orders)) {
            warn!("the queue of notify scripts is full: some are not run");
        }
    }

    fn heard_lower(&self, i: usize) {
        let conf = &self.instances[i].conf;
        if let Some(command) = &conf.notify.master_rx_lower {
            self.order(vec![notify::Order::Run(command.clone(), Vec::new())]);
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
        for instance in &mut self.instances {
            for (known, item) in &mut instance.tracked {
                if known == key && item.level != *level {
                    item.level = level.clone();
                    news = true;
                }
            }
        }
        // a balancer is asked twice a second, and says the same for months
        if !news {
            return;
        }
        info!(tracked = %key, level = ?level, "{because}");
        self.reassess(&because);
    }

    /// A VRRP packet from an interface.
    pub fn packet(&mut self, index: u32, family: Family, envelope: &Envelope, bytes: &[u8]) {
        let vrid = peek_vrid(bytes);
        let wanted = |i: &Instance| {
            (i.index == Some(index) || i.out_index == Some(index))
                && i.conf.family == family
                && i.started
                && vrid.is_none_or(|v| v == i.conf.vrid.0)
        };
        let found: Vec<usize> = (0..self.instances.len())
            .filter(|i| wanted(&self.instances[*i]))
            .collect();
        if found.is_empty() {
            self.unknown_vrid += 1;
        }
        for i in found {
            if vrid.is_none() {
                self.instances[i].refuse(envelope, Refusal::Length);
            } else if let Some(heard) = self.instances[i].admit(envelope, bytes) {
                if let Some(pair) = &mut self.pair {
                    pair.met(heard.sender, self.instances[i].index.unwrap_or(index));
                }
                self.dispatch(i, Event::Received(heard));
            }
        }
    }

    /// Somebody claims an address on an interface.
    pub fn claim(&mut self, index: u32, claim: Claim) {
        let own = self.net.links.get(index).and_then(|l| l.mac);
        let concerned = |i: &Instance| i.virtuals().contains(&claim.address);
        if !self.instances.iter().any(concerned) {
            return;
        }
        if let Some(pair) = self.pair.as_mut().filter(|_| Some(claim.mac) != own) {
            pair.claimed();
        }
        for i in 0..self.instances.len() {
            let instance = &self.instances[i];
            let here = instance.index == Some(index) || instance.out_index == Some(index);
            let virtual_mac =
                crate::core::advert::virtual_mac(instance.conf.family, instance.conf.vrid.0);
            let ours = Some(claim.mac) == own
                || (instance.conf.vmac.is_some() && claim.mac == virtual_mac)
                || instance
                    .out_index
                    .and_then(|o| self.net.links.get(o))
                    .and_then(|l| l.mac)
                    == Some(claim.mac);
            if here
                && !ours
                && instance.router.is_active()
                && instance.virtuals().contains(&claim.address)
            {
                let event = Event::ForeignClaim {
                    address: claim.address,
                    mac: claim.mac,
                };
                self.dispatch(i, event);
            }
        }
    }

    /// The kernel says that links or addresses changed.
    pub fn notices(&mut self, notices: &[Notice]) {
        let mut matters = false;
        let mut deleted = Vec::new();
        let mut back = Vec::new();
        for notice in notices {
            match notice {
                Notice::Overrun => {
                    if let Ok(links) = Links::read(&mut self.net.netlink) {
                        self.net.links = links;
                    }
                    matters = true;
                }
                Notice::AddressGone(a) => deleted.push((a.index, a.address)),
                Notice::Link(link) => {
                    let before = self.net.links.get(link.index).is_some_and(|l| l.running);
                    if link.running && !before {
                        back.push(link.index);
                    }
                }
                Notice::Address(_) | Notice::LinkGone(_) => {}
            }
            matters |= !self.is_own_address(notice);
            self.net.links.apply(notice);
            if let Notice::LinkGone(index) = notice {
                self.link_gone(*index);
            }
        }
        self.addresses_deleted(&deleted);
        if matters {
            self.settle();
            for heard in self.listeners.iter().filter(|h| back.contains(&h.index)) {
                heard.listener.rejoin();
            }
            self.reassess("a link changed");
        }
    }

    fn link_gone(&mut self, index: u32) {
        self.net.forget(index);
        for instance in &mut self.instances {
            if instance.index == Some(index) || instance.out_index == Some(index) {
                instance.detach();
            }
        }
    }

    fn is_own_address(&self, notice: &Notice) -> bool {
        let address = match notice {
            Notice::Address(a) | Notice::AddressGone(a) => a.address,
            Notice::Link(_) | Notice::LinkGone(_) | Notice::Overrun => return false,
        };
        self.instances
            .iter()
            .any(|i| i.virtuals().contains(&address))
    }

    fn addresses_deleted(&mut self, deleted: &[(u32, IpAddr)]) {
        for (index, address) in deleted {
            for i in 0..self.instances.len() {
                let instance = &self.instances[i];
                let placed = || instance.placed(&self.net);
                let concerned = instance.router.is_active()
                    && !self.net.links.has(*index, *address)
                    && placed()
                        .iter()
                        .any(|(at, a)| at == index && a.address == *address);
                if concerned {
                    self.dispatch(i, Event::AddressDeleted);
                }
            }
        }
    }

    /// The end was asked for: everybody leaves, make-before-break.
    pub fn stop(&mut self, why: &Cause) {
        self.stopping = true;
        for i in 0..self.instances.len() {
            self.dispatch(i, Event::Shutdown(why.clone()));
        }
    }

    /// Whether nobody holds an address any more after [`Daemon::stop`].
    pub fn is_over(&self) -> bool {
        self.stopping && self.instances.iter().all(|i| i.router.is_gone())
    }

    /// Instances that an operator means: by name, or all.
    pub fn select(&self, name: Option<&str>) -> Vec<usize> {
        let meant = |i: &usize| name.is_none_or(|n| self.instances[*i].conf.name == n);
        (0..self.instances.len()).filter(meant).collect()
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

fn listen_on(
    listeners: &mut Vec<Heard>,
    instance: &Instance,
    name: &str,
    index: u32,
) -> std::io::Result<()> {
    let family = instance.conf.family;
    let same = |h: &&mut Heard| h.index == index && h.family == family;
    if let Some(heard) = listeners.iter_mut().find(same) {
        return join(instance, &mut heard.listener);
    }
    let mut listener = Listener::new(family, name, index)?;
    join(instance, &mut listener)?;
    listeners.push(Heard {
        index,
        family,
        listener,
    });
    Ok(())
}

fn join(instance: &Instance, listener: &mut Listener) -> std::io::Result<()> {
    if let Some(bytes) = instance.conf.rx_buffer {
        listener.set_buffer(bytes)?;
    }
    if instance.conf.peers.is_empty() {
        listener.join(instance.conf.group)?;
    }
    Ok(())
}
