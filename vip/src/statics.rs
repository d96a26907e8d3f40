//! Static addresses, routes and rules: set at the start, again when something
//! took them away, and removed at the end. Not here: what a `track_group` does
//! with a failure (the daemon tells its members).

use crate::net::Net;
use crate::netlink::Change;
use conf::vip::model::{VirtualAddress, VirtualRoute, VirtualRule};
use conf::vip::statics::{Static, Statics};
use std::io;
use std::net::IpAddr;
use tracing::warn;

/// The interface of a static address or route that names none, unless `default_interface` does.
const USUAL: &str = "eth0";

/// Something that could not be set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    group: Option<String>,
    why: String,
}

/// What is set now.
#[derive(Debug, Default)]
pub struct Set {
    now: Statics,
    failures: Vec<Failure>,
}

impl Set {
    /// Sets what is wanted and not there, and removes what is no longer wanted.
    pub fn settle(&mut self, wanted: &Statics, net: &mut Net) {
        let old = std::mem::replace(&mut self.now, wanted.clone());
        for rule in old.rules.iter().filter(|r| !contains(&wanted.rules, r)) {
            let _ = net.netlink.rule(Change::Remove, &rule.what);
        }
        for route in old.routes.iter().filter(|r| !contains(&wanted.routes, r)) {
            let _ = put_route(Change::Remove, &route.what, usual(&old), net);
        }
        let gone = |a: &&Static<VirtualAddress>| !contains(&wanted.addresses, a);
        for address in old.addresses.iter().filter(gone) {
            let _ = put_address(Change::Remove, &address.what, usual(&old), net);
        }
        let mut failures = Vec::new();
        let mut note = |group: &Option<(String, _)>, what: String, result: io::Result<()>| {
            if let Err(error) = result {
                failures.push(Failure {
                    group: group.as_ref().map(|(name, _)| name.clone()),
                    why: format!("cannot set {what}: {error}"),
                });
            }
        };
        for Static { what, group } in &wanted.addresses {
            let name = format!("{}/{}", what.address, what.prefix);
            note(
                group,
                name,
                put_address(Change::Put, what, usual(wanted), net),
            );
        }
        for Static { what, group } in &wanted.routes {
            let name = format!("the route to {}/{}", what.to, what.prefix);
            note(
                group,
                name,
                put_route(Change::Put, what, usual(wanted), net),
            );
        }
        for (at, Static { what, group }) in wanted.rules.iter().enumerate() {
            let name = format!("static rule {}", at + 1);
            note(group, name, put_rule(what, net));
        }
        for new in failures.iter().filter(|f| !self.failures.contains(f)) {
            warn!("{}", new.why);
        }
        self.failures = failures;
    }

    /// Why the members of a `track_group` cannot take part, if they cannot.
    pub fn failure(&self, group: &str) -> Option<&str> {
        let of = |f: &&Failure| f.group.as_deref() == Some(group);
        self.failures.iter().find(of).map(|f| f.why.as_str())
    }

    /// Sets again what somebody may have taken away.
    pub fn restore(&mut self, net: &mut Net) {
        let wanted = self.now.clone();
        self.settle(&wanted, net);
    }

    /// Whether this is one of the addresses.
    pub fn has(&self, address: IpAddr) -> bool {
        self.now.addresses.iter().any(|a| a.what.address == address)
    }
}

fn contains<T: PartialEq>(list: &[Static<T>], one: &Static<T>) -> bool {
    list.iter().any(|other| other.what == one.what)
}

fn usual(statics: &Statics) -> &str {
    statics.usual.as_deref().unwrap_or(USUAL)
}

fn put_address(
    change: Change,
    address: &VirtualAddress,
    usual: &str,
    net: &mut Net,
) -> io::Result<()> {
    let index = net.index(address.dev.as_deref().unwrap_or(usual))?;
    if change == Change::Put && net.links.has(index, address.address) {
        return Ok(());
    }
    net.address(change, address, index, None)
}

fn put_route(change: Change, route: &VirtualRoute, usual: &str, net: &mut Net) -> io::Result<()> {
    let index = net.index(usual);
    match (&route.dev, route.via, index) {
        // the kernel finds the interface by the gateway
        (None, Some(_), _) => net.route(change, route, 0),
        (None, None, Ok(index)) => net.route(change, route, index),
        (Some(_), _, _) | (None, None, Err(_)) => net.route(change, route, 0),
    }
}

fn put_rule(rule: &VirtualRule, net: &mut Net) -> io::Result<()> {
    net.netlink.rule(Change::Put, rule)
}
