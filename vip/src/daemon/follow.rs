//! One event for one instance, and what follows: its sync group, scripts, the
//! guardian, the packet filter.

use super::{Daemon, router_view};
use crate::core::Time;
use crate::core::router::{Event, Phase, Router};
use crate::filter::Wanted;
use crate::instance::{Effect, Instance};
use crate::notify;
use crate::watch::ToWatch;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;
use tracing::{info, warn};

/// An event whose consequences take longer holds up the adverts of all instances.
const HELD_UP: Duration = Duration::from_millis(10);

impl Daemon {
    /// One event for one instance, and what follows for its group.
    pub fn dispatch(&mut self, instance: usize, event: Event) {
        let now = self.clock.now();
        let mut queue = VecDeque::new();
        let mut next = Some((instance, event));
        // a group of n members settles within n rounds each
        let mut budget = 64 * (self.instances.len() + 1);
        while let Some((i, event)) = next.take().filter(|_| budget > 0) {
            budget -= 1;
            let held = posture(&self.instances[i]);
            let before = router_view(&self.instances[i]);
            let effects = self.instances[i].step(now, event, &mut self.net);
            let after = router_view(&self.instances[i]);
            self.refilter |= posture(&self.instances[i]) != held;
            if let Some(pair) = self.pair.as_mut().filter(|_| after != before) {
                pair.hurry();
            }
            if after.priority != before.priority {
                self.priority_changed(i);
            }
            for effect in effects {
                match effect {
                    Effect::Changed { from, to } => {
                        self.changed(i, from, to, &mut queue);
                    }
                    Effect::HeardLower => self.heard_lower(i, now),
                    Effect::Will => self.tell_guardian(),
                    Effect::Gone => {}
                }
            }
            next = queue.pop_front();
        }
        self.hold_groups();
        let took = self.clock.now() - now;
        if took > HELD_UP {
            for instance in &mut self.instances {
                instance.router.held_up(took);
            }
        }
    }

    /// Tells every member of a sync group when the last of them would take over.
    pub(super) fn hold_groups(&mut self) {
        for group in &self.groups {
            let routers = group.members.iter().map(|m| &self.instances[*m].router);
            let last = routers.filter_map(Router::down_at).max();
            for member in &group.members {
                self.instances[*member].router.hold(last);
            }
        }
    }

    /// Addresses in their grace stay mute, or a client that asks for one now would learn the host
    /// that it is leaving. With `use_vmac` a successor's announcement is not answered. Addresses of
    /// `no_accept` instances take no packets.
    pub(super) fn filter(&mut self) {
        let of = |which: &dyn Fn(&&Instance) -> bool| -> Vec<IpAddr> {
            let instances = self.instances.iter().filter(which);
            instances.flat_map(Instance::virtuals).collect()
        };
        let wanted = Wanted {
            mute: of(&|i| i.router.is_in_grace()),
            shared: of(&|i| i.conf.vmac.is_some()),
            closed: of(&|i| !i.conf.accept && i.conf.priority.0 != 255),
            silent: self.instances.iter().filter_map(silent).collect(),
        };
        let closes = !wanted.closed.is_empty();
        match self.net.filter.set(wanted) {
            Ok(()) => {}
            Err(error) if closes => {
                warn!(%error, "no_accept has no effect: the kernel's packet filter refuses its rules");
            }
            Err(error) => {
                info!(%error, "no packet filter: addresses answer until they are removed after a hand-over");
            }
        }
    }

    fn changed(&mut self, i: usize, from: Phase, to: Phase, queue: &mut VecDeque<(usize, Event)>) {
        self.tell_guardian();
        self.tell_tickle();
        if from == to {
            return;
        }
        if to == Phase::Master {
            self.ask_clients(i);
        }
        let name = self.instances[i].conf.name.clone();
        let priority = self.instances[i].router.priority();
        let conf = &self.instances[i].conf;
        let dropped = self.instances[i].departing;
        let mut orders = notify::instance(conf, to, priority, dropped);
        for (at, group) in self.groups.iter().enumerate() {
            if !group.members.contains(&i) {
                continue;
            }
            queue.extend(group.follow(i, &name, from, to));
            let together = |m: &usize| self.instances[*m].router.phase() == to;
            if group.members.iter().all(together) {
                orders.extend(notify::group(&self.config.groups[at], to));
            }
        }
        self.order(orders);
        self.notify.status(&self.summary());
    }

    fn order(&self, orders: Vec<notify::Order>) {
        if !orders.is_empty() && !self.watch.send(ToWatch::Notify(orders)) {
            warn!("the queue of notify scripts is full: some are not run");
        }
    }

    /// Tells the fifos the state of every instance and group, after a reload that asks for it.
    pub fn tell_states(&self) {
        let mut orders = Vec::new();
        for instance in self.instances.iter().filter(|i| !i.departing) {
            let router = &instance.router;
            if router.phase() != Phase::Init {
                let word = router.phase().word();
                orders.push(notify::event(&instance.conf, word, router.priority()));
            }
        }
        for (conf, group) in self.config.groups.iter().zip(&self.groups) {
            let mut phases = group
                .members
                .iter()
                .map(|m| self.instances[*m].router.phase());
            if let Some(first) = phases.next().filter(|p| *p != Phase::Init)
                && phases.all(|p| p == first)
            {
                orders.push(notify::group_event(conf, first.word()));
            }
        }
        self.order(orders);
    }

    /// Told once per interval, whatever arrives: a flood must not fill the scripts' queue.
    fn heard_lower(&mut self, i: usize, now: Time) {
        let instance = &mut self.instances[i];
        let told = instance.lower_told.replace(now);
        if let Some(told) = told.filter(|at| now - *at < instance.conf.advert_int) {
            instance.lower_told = Some(told);
            return;
        }
        let conf = &self.instances[i].conf;
        let mut orders = Vec::new();
        if let Some(command) = &conf.notify.master_rx_lower {
            orders.push(notify::Order::Run(command.clone(), Vec::new()));
        }
        let priority = self.instances[i].router.priority();
        orders.push(notify::event(conf, "MASTER_RX_LOWER_PRI", priority));
        self.order(orders);
    }

    /// `notify_priority_changes`: the fifos hear of the effective priority.
    fn priority_changed(&self, i: usize) {
        let instance = &self.instances[i];
        let word = match instance.router.phase() {
            Phase::Master => "MASTER_PRIORITY",
            Phase::Backup => "BACKUP_PRIORITY",
            Phase::Init | Phase::Fault | Phase::Stop => return,
        };
        let usual = self.config.global.notify_priority_changes;
        if instance.conf.notify.priority_changes.unwrap_or(usual) {
            let priority = instance.router.priority();
            self.order(vec![notify::event(&instance.conf, word, priority)]);
        }
    }
}

/// What the packet filter depends on.
fn posture(instance: &Instance) -> (bool, bool) {
    let router = &instance.router;
    (router.holds_addresses(), router.is_in_grace())
}

/// The virtual interface of an instance that is not master.
fn silent(instance: &Instance) -> Option<u32> {
    let own = instance.out_index.filter(|_| instance.conf.vmac.is_some());
    own.filter(|_| !instance.router.holds_addresses())
}
