//! What an instance holds while it is active: addresses with their leases, routes
//! and rules, and the announcements of the addresses.

use super::Instance;
use crate::core::Time;
use crate::net::{Net, address_request};
use crate::netlink::{Change, Request};
use crate::sockets;
use conf::vip::model::{self, VirtualAddress};
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tracing::info;

impl Instance {
    /// Takes addresses away of which more changed than the kernel changes in place: only their
    /// lifetime is. They are set anew at once.
    pub(super) fn take_changed(&self, old: &model::Instance, net: &mut Net) {
        net.renewals.cancel(self.number);
        let new = || self.conf.addresses.iter().chain(&self.conf.excluded);
        for address in old.addresses.iter().chain(&old.excluded) {
            let same = |a: &&VirtualAddress| {
                (a.address, a.prefix, &a.dev) == (address.address, address.prefix, &address.dev)
            };
            let changed = new().find(same).is_some_and(|a| a != address);
            if let Some(index) = self.device(net, address).filter(|_| changed)
                && net.is_last((self.number, index, address.address))
            {
                let _ = net.address(Change::Remove, address, index, None);
            }
        }
    }

    pub(super) fn remove_missing(&self, old: &model::Instance, net: &mut Net) {
        net.renewals.cancel(self.number);
        let kept = |a: &VirtualAddress| {
            let same = |b: &VirtualAddress| {
                b.address == a.address && b.prefix == a.prefix && b.dev == a.dev
            };
            self.conf
                .addresses
                .iter()
                .chain(&self.conf.excluded)
                .any(same)
        };
        for address in old.addresses.iter().chain(&old.excluded) {
            if let Some(index) = self.device(net, address).filter(|_| !kept(address))
                && net.release((self.number, index, address.address))
            {
                let _ = net.address(Change::Remove, address, index, None);
            }
        }
        for rule in old.rules.iter().filter(|r| !self.conf.rules.contains(r)) {
            let _ = net.netlink.rule(Change::Remove, rule);
        }
        for route in old.routes.iter().filter(|r| !self.conf.routes.contains(r)) {
            let _ = net.route(Change::Remove, route, self.out_index.unwrap_or(0));
        }
    }

    /// How many slices of the addresses are renewed one after the other: a long list at once would
    /// keep adverts waiting.
    fn slices(&self) -> usize {
        let count = self.conf.addresses.len() + self.conf.excluded.len();
        count.div_ceil(SLICE).max(1)
    }

    /// Seconds after which the kernel removes an address that nobody renews.
    pub(super) fn lease_s(&self) -> Option<u32> {
        self.lease
            .then(|| lease_s(self.router.master_down_interval(), self.slices()))
    }

    /// A quarter of the lease between renewals of an address. Half of it where what is left then is
    /// still more than the time after which a backup takes over: whoever is late for that long has
    /// lost anyway. A slice of them each time.
    fn renewal(&self) -> Duration {
        let whole = renewal(
            self.lease_s().unwrap_or(1),
            self.router.master_down_interval(),
        );
        whole / u32::try_from(self.slices()).unwrap_or(u32::MAX)
    }

    /// When what was set or renewed now is renewed.
    pub(super) fn next_renewal(&self, now: Time) -> Due {
        let after = self.renewal();
        Due {
            from: now + after * 3 / 4,
            by: now + after,
        }
    }

    /// Whether what is held is the same as before, and for as long.
    pub(super) fn leases_as(&self, old: &model::Instance, lease_s: Option<u32>) -> bool {
        let new = &self.conf;
        let addresses = old.addresses == new.addresses && old.excluded == new.excluded;
        let paths = old.routes == new.routes && old.rules == new.rules;
        addresses && paths && old.vmac == new.vmac && lease_s == self.lease_s()
    }

    /// Renews everything at once: what somebody took away comes back.
    pub(super) fn renew_all(&mut self, net: &Net) {
        let addresses = self.requests(Change::Renew, net, 0, usize::MAX);
        self.renew_these(addresses, true, net);
    }

    fn renew_these(&mut self, mut requests: Vec<(String, Request)>, paths: bool, net: &Net) {
        let paths = paths.then(|| self.path_requests(Change::Renew, net));
        for (what, request) in paths.into_iter().flatten() {
            match request {
                Ok(request) => requests.push((what, request)),
                Err(error) => self.journal.trouble(&what, &error),
            }
        }
        for (what, error) in net.renewals.ask(self.number, requests) {
            self.journal.trouble(&what, &error);
        }
    }

    /// Renews the leases when it is time. The kernel may take long for a change of an address,
    /// as everybody's changes wait for each other there, and adverts must not wait for it.
    pub fn renew(&mut self, now: Time, net: &Net) {
        if self.renew.is_none_or(|due| now < due.from) {
            return;
        }
        self.renew = Some(self.next_renewal(now));
        if !self.router.holds_addresses() {
            return;
        }
        let first = self.next_slice * SLICE;
        let addresses = self.requests(Change::Renew, net, first, SLICE);
        self.renew_these(addresses, self.next_slice == 0, net);
        self.next_slice = (self.next_slice + 1) % self.slices();
    }

    /// The interface of an address.
    pub fn device(&self, net: &Net, address: &VirtualAddress) -> Option<u32> {
        match &address.dev {
            Some(name) if *name != self.conf.interface || self.conf.vmac.is_none() => {
                net.index(name).ok()
            }
            Some(_) | None => self.out_index,
        }
    }

    /// Every held address with its interface.
    pub fn placed(&self, net: &Net) -> Vec<(u32, VirtualAddress)> {
        let all = self.conf.addresses.iter().chain(&self.conf.excluded);
        all.filter_map(|a| self.device(net, a).map(|i| (i, a.clone())))
            .collect()
    }

    /// Sets addresses, routes and rules, and waits until they are there.
    pub(super) fn put_addresses(&mut self, net: &mut Net) {
        net.renewals.cancel(self.number);
        for (index, address) in self.placed(net) {
            net.hold((self.number, index, address.address));
        }
        for (what, request) in self.requests(Change::Put, net, 0, usize::MAX) {
            if let Err(error) = net.netlink.perform(request) {
                self.journal.trouble(&what, &error);
            }
        }
        self.put_paths(net);
    }

    /// What sets `count` addresses from the one at `first`, each with the words for its failure.
    fn requests(
        &self,
        change: Change,
        net: &Net,
        first: usize,
        count: usize,
    ) -> Vec<(String, Request)> {
        let lease = self.lease_s();
        let placed = self.placed(net).into_iter().skip(first).take(count);
        let request = |(index, address): (u32, VirtualAddress)| {
            let what = format!("cannot set {}", address.address);
            (what, address_request(change, &address, index, lease))
        };
        placed.map(request).collect()
    }

    /// Sets routes and rules.
    pub fn put_paths(&mut self, net: &mut Net) {
        for (what, request) in self.path_requests(Change::Put, net) {
            if let Err(error) = request.and_then(|r| net.netlink.perform(r)) {
                self.journal.trouble(&what, &error);
            }
        }
    }

    /// What sets routes and rules, each with the words for its failure.
    fn path_requests(&self, change: Change, net: &Net) -> Vec<(String, io::Result<Request>)> {
        let own = self.out_index.unwrap_or(0);
        let routes = self.conf.routes.iter().map(|route| {
            let what = format!("cannot set the route to {}/{}", route.to, route.prefix);
            (what, net.route_request(change, route, own))
        });
        let rules = self.conf.rules.iter().enumerate().map(|(at, rule)| {
            let what = format!("cannot set virtual rule {}", at + 1);
            (what, Ok(Request::rule(change, rule)))
        });
        routes.chain(rules).collect()
    }

    /// Ends the connections of the addresses that leave this host: another one answers for
    /// them now, and what waits here for a packet would wait for ever.
    pub(super) fn end_connections(&mut self, net: &Net) {
        for (index, address) in self.placed(net) {
            let address = address.address;
            if !net.is_last((self.number, index, address)) {
                continue;
            }
            match sockets::end_connections(address) {
                Ok(0) => {}
                Ok(count) => info!(
                    vrrp_instance = self.conf.name,
                    count, "ended {count} connections of {address}, which another host has now"
                ),
                Err(error) => {
                    let what = format!("cannot end the connections of {address}");
                    self.journal.trouble(&what, &error);
                }
            }
        }
    }

    /// Takes all addresses, routes and rules away, whether set by this process or left behind.
    pub fn remove_addresses(&mut self, net: &mut Net) {
        net.renewals.cancel(self.number);
        for rule in &self.conf.rules {
            let _ = net.netlink.rule(Change::Remove, rule);
        }
        for route in &self.conf.routes {
            let _ = net.route(Change::Remove, route, self.out_index.unwrap_or(0));
        }
        for (index, address) in self.placed(net) {
            if net.release((self.number, index, address.address))
                && let Err(error) = net.address(Change::Remove, &address, index, None)
            {
                let what = format!("cannot remove {}", address.address);
                self.journal.trouble(&what, &error);
            }
        }
    }

    /// Every address once, then every address again: the first round tells all clients.
    pub(super) fn announce(&mut self, now: Time, net: &mut Net, repeat: u32) {
        let placed = self.placed(net);
        for _ in 0..repeat {
            for (index, address) in &placed {
                self.announce_one(now, net, *index, address.address);
            }
        }
    }

    pub(super) fn announce_one(&mut self, now: Time, net: &mut Net, index: u32, address: IpAddr) {
        match net.announce(now, index, address) {
            Ok(()) => self.journal.announced(1),
            Err(error) => {
                let what = format!("cannot announce {address}");
                self.journal.trouble(&what, &error);
            }
        }
    }
}

/// When leases are renewed next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// Beside an advert: a little early costs no wake-up of its own.
    pub(super) from: Time,
    /// At the latest.
    pub(super) by: Time,
}

/// Addresses that are renewed together.
const SLICE: usize = 64;

/// Whole seconds of a Master_Down_Interval, or one for each slice.
fn lease_s(down: Duration, slices: usize) -> u32 {
    let seconds = down.as_nanos().div_ceil(1_000_000_000).max(slices as u128);
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}

fn renewal(lease_s: u32, down: Duration) -> Duration {
    let quarter = Duration::from_millis(250) * lease_s;
    if quarter * 2 > down {
        quarter * 2
    } else {
        quarter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_before_a_backup_would_take_over() {
        let ms = Duration::from_millis;
        assert_eq!(renewal(4, ms(3609)), ms(1000));
        assert_eq!(renewal(1, ms(361)), ms(500), "half a second is left");
        assert_eq!(renewal(1, ms(722)), ms(250));
    }

    #[test]
    fn a_long_list_has_a_longer_lease_and_is_renewed_in_slices() {
        let down = Duration::from_millis(722);
        assert_eq!((lease_s(down, 1), lease_s(down, 32)), (1, 32));
        let between = renewal(32, down) / 32;
        assert_eq!(
            between,
            Duration::from_millis(500),
            "64 addresses each time"
        );
    }
}
