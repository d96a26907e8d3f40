//! Instances that a reload took out of the file: when they leave, and what goes with them.

use super::Daemon;
use crate::core::cause::Cause;
use crate::core::router::{Event, Phase};
use crate::instance::Instance;
use crate::vmac;

impl Daemon {
    /// Instances that a reload took out of the file leave, but not before an heir of their
    /// addresses (such as the same instance with another `virtual_router_id`) has found its role.
    /// One whose heir is active with the same number (such as the same instance with `use_vmac`)
    /// says nothing: the virtual router has not left, and a backup must not take over.
    pub fn bid_farewell(&mut self) {
        for i in 0..self.instances.len() {
            let instance = &self.instances[i];
            let leaves = instance.departing && !instance.dismissed;
            if leaves && !self.instances.iter().any(|heir| waits_for(instance, heir)) {
                let replaced = self.instances.iter().any(|heir| replaces(heir, instance));
                self.instances[i].dismissed = true;
                let event = match replaced {
                    true => Event::Replaced,
                    false => Event::Shutdown(Cause::Removed),
                };
                self.dispatch(i, event);
            }
        }
    }

    /// Takes the virtual interfaces of instances that are gone away, unless another instance goes
    /// on with them, and gives their base interfaces back as they were.
    pub fn remove_virtual_links(&mut self) {
        let all = self.instances.iter().filter(|i| i.conf.vmac.is_some());
        let (gone, staying): (Vec<_>, Vec<_>) = all.partition(|i| i.router.is_gone());
        for instance in gone {
            let conf = &instance.conf;
            let name = vmac::name(conf);
            if !staying.iter().any(|i| vmac::name(&i.conf) == name) {
                vmac::remove(conf, &mut self.net);
            }
            let base = |i: &&Instance| i.conf.interface == conf.interface;
            if !staying.iter().any(base) {
                self.net.parameters.restore(&conf.interface);
            }
        }
    }

    /// Ends instances whose virtual interface stands in the way of another one's.
    pub fn drop_displaced(&mut self) {
        for i in 0..self.instances.len() {
            let old = &self.instances[i];
            let displaces =
                |new: &Instance| !new.departing && vmac::displaces(&new.conf, &old.conf);
            if old.departing && self.instances.iter().any(displaces) {
                self.dispatch(i, Event::Kill);
            }
        }
        self.drop_departed();
    }

    pub(super) fn drop_departed(&mut self) {
        let gone = |i: &Instance| i.departing && i.router.is_gone();
        if !self.instances.iter().any(gone) {
            return;
        }
        self.remove_virtual_links();
        self.instances.retain(|i| !gone(i));
        self.settle();
    }
}

/// Whether an active instance that departs serves until this heir has found its role.
fn waits_for(departing: &Instance, heir: &Instance) -> bool {
    let undecided = match heir.router.phase() {
        Phase::Init => true,
        Phase::Backup => heir.router.master().is_none() && !heir.router.in_maintenance(),
        Phase::Master | Phase::Fault | Phase::Stop => false,
    };
    let old = departing.virtuals();
    let inherits = || heir.virtuals().iter().any(|a| old.contains(a));
    departing.router.is_active() && !heir.departing && undecided && inherits()
}

/// Whether this active instance goes on as the virtual router of a departing one.
fn replaces(heir: &Instance, departing: &Instance) -> bool {
    let (new, old) = (&heir.conf, &departing.conf);
    let same = (new.vrid, new.family) == (old.vrid, old.family) && new.interface == old.interface;
    same && !heir.departing && heir.router.is_active()
}
