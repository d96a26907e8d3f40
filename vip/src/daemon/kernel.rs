//! What comes from the kernel: VRRP packets, claims of addresses, changes of
//! links and addresses; and the sockets that they come through.

use super::{Daemon, Heard};
use crate::core::Refusal;
use crate::core::advert::{peek_vrid, virtual_mac};
use crate::core::ah::Wrap;
use crate::core::router::Event;
use crate::frame::Claim;
use crate::instance::Instance;
use crate::link::Links;
use crate::netlink::Notice;
use crate::poller::Ticket;
use crate::raw::{Kind, Listener, Packet};
use std::net::IpAddr;

impl Daemon {
    /// One listener per interface and family. A frame that carries our virtual link-layer
    /// address as its source arrives at the macvlan interface: that one listens, too.
    pub(super) fn listen(&mut self) {
        let (links, instances) = (&self.net.links, &self.instances);
        let wanted = |h: &Heard| instances.iter().any(|i| hears(i, h));
        self.listeners
            .retain(|h| links.get(h.index).is_some() && wanted(h));
        for instance in &mut self.instances {
            let mut indices: Vec<u32> = instance.index.into_iter().collect();
            indices.extend(instance.out_index.filter(|o| Some(*o) != instance.index));
            for index in indices {
                // its virtual interface may be gone already
                let Some(link) = links.get(index) else {
                    continue;
                };
                let name = &link.name;
                // without a header, too: a peer that does not send it is to be reported
                let sealed = instance.seals().then_some(Kind::Sealed);
                for kind in [Kind::Bare(instance.conf.family)].into_iter().chain(sealed) {
                    if let Err(error) = listen_on(&mut self.listeners, instance, kind, name, index)
                    {
                        let what = format!("cannot listen on {name}");
                        instance.journal.trouble(&what, &error);
                    }
                }
            }
        }
    }

    /// A VRRP packet from an interface.
    pub fn packet(&mut self, index: u32, kind: Kind, packet: &Packet<'_>) {
        let vrid = peek_vrid(packet.vrrp);
        let sealed = !matches!(packet.wrap, Wrap::Bare);
        let wanted = |i: &Instance| {
            (i.index == Some(index) || i.out_index == Some(index))
                && i.conf.family == kind.family()
                && i.started
                && vrid.map_or(i.seals() == sealed, |v| v == i.conf.vrid.0)
        };
        let mut known = false;
        for i in 0..self.instances.len() {
            if !wanted(&self.instances[i]) {
                continue;
            }
            known = true;
            if vrid.is_none() {
                self.instances[i].refuse(&packet.envelope, Refusal::Length);
            } else if let Some(heard) = self.instances[i].admit(index, packet) {
                let now = self.clock.now();
                if let Some(pair) = &mut self.pair {
                    pair.met(now, self.instances[i].index.unwrap_or(index), &heard);
                }
                self.dispatch(i, Event::Received(heard));
            }
        }
        self.unknown_vrid += u64::from(!known);
    }

    /// Somebody claims an address on an interface.
    pub fn claim(&mut self, index: u32, claim: Claim) {
        let own = self.net.links.get(index).and_then(|l| l.mac);
        let concerned = |i: &Instance| i.moves(claim.address);
        if !self.instances.iter().any(concerned) {
            return;
        }
        if let Some(pair) = self.pair.as_mut().filter(|_| Some(claim.mac) != own) {
            pair.claimed();
        }
        for i in 0..self.instances.len() {
            let instance = &self.instances[i];
            let here = instance.index == Some(index) || instance.out_index == Some(index);
            let virtual_mac = virtual_mac(instance.conf.family, instance.conf.vrid.0);
            let ours = Some(claim.mac) == own
                || (instance.conf.vmac.is_some() && claim.mac == virtual_mac)
                || instance
                    .out_index
                    .and_then(|o| self.net.links.get(o))
                    .and_then(|l| l.mac)
                    == Some(claim.mac);
            if here && !ours && instance.router.is_active() && instance.moves(claim.address) {
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
        let mut readdressed = Vec::new();
        let mut path_gone = false;
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
                    let before = self.net.links.get(link.index);
                    if link.running && !before.is_some_and(|l| l.running) {
                        back.push(link.index);
                    }
                    let mac = before.and_then(|l| l.mac);
                    if mac.is_some_and(|mac| link.mac.is_some_and(|new| new != mac)) {
                        readdressed.push(link.index);
                    }
                }
                Notice::PathGone => path_gone = true,
                Notice::Address(_) | Notice::LinkGone(_) => {}
            }
            if *notice == Notice::PathGone {
                continue;
            }
            matters |= !self.is_own_address(notice);
            self.net.links.apply(notice);
            if let Notice::LinkGone(index) = notice {
                self.link_gone(*index);
            }
        }
        self.addresses_deleted(&deleted);
        self.readdressed(&readdressed);
        if path_gone && !matters {
            self.restore_paths();
        }
        if matters {
            self.settle();
            for heard in self.listeners.iter().filter(|h| back.contains(&h.index)) {
                heard.listener.rejoin();
            }
            self.reassess("a link changed");
        }
    }

    /// A route or rule of ours may be gone: those that must be there are set again.
    fn restore_paths(&mut self) {
        if !self.stopping {
            self.statics.restore(&mut self.net);
        }
        for instance in &mut self.instances {
            if instance.router.holds_addresses() {
                instance.put_paths(&mut self.net);
            }
        }
        // the members of a track_group depend on it
        self.reassess("a route or rule went");
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
            // one that somebody deleted is set again
            Notice::Address(a) if self.statics.has(a.address) => return true,
            Notice::Address(a) | Notice::AddressGone(a) => a.address,
            Notice::Link(_) | Notice::LinkGone(_) | Notice::PathGone | Notice::Overrun => {
                return false;
            }
        };
        self.instances.iter().any(|i| i.moves(address))
    }

    /// Interfaces have another link-layer address: a bridge takes that of its smallest port, a bond
    /// that of its active one.
    fn readdressed(&mut self, indices: &[u32]) {
        for i in 0..self.instances.len() {
            let instance = &self.instances[i];
            let here = |(at, _): &(u32, _)| indices.contains(at);
            if instance.router.is_active() && instance.placed(&self.net).iter().any(here) {
                self.dispatch(i, Event::Readdressed);
            }
        }
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
}

/// Whether it is for this instance that somebody listens there.
fn hears(instance: &Instance, heard: &Heard) -> bool {
    let here = [instance.index, instance.out_index].contains(&Some(heard.index));
    let fits = match heard.kind {
        Kind::Bare(family) => family == instance.conf.family,
        Kind::Sealed => instance.seals(),
    };
    here && fits
}

fn listen_on(
    listeners: &mut Vec<Heard>,
    instance: &Instance,
    kind: Kind,
    name: &str,
    index: u32,
) -> std::io::Result<()> {
    let same = |h: &&mut Heard| h.index == index && h.kind == kind;
    if let Some(heard) = listeners.iter_mut().find(same) {
        return join(instance, &mut heard.listener);
    }
    let mut listener = Listener::new(kind, name, index)?;
    join(instance, &mut listener)?;
    listeners.push(Heard {
        index,
        kind,
        listener,
        ticket: Ticket::new(),
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
