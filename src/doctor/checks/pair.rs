//! What only a look at several hosts shows: whether their files fit together,
//! who holds the virtual addresses.

use super::{Doctor, Host, counted};
use crate::doctor::Level;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

impl Doctor {
    pub(super) fn versions(&mut self, all: &[Host]) {
        let Some(first) = all.first().map(Host::facts) else {
            return;
        };
        for other in all.iter().map(Host::facts) {
            if other.version != first.version {
                let text = format!(
                    "{} has version {}, {} has {}",
                    first.host, first.version, other.host, other.version
                );
                self.say(Level::Warning, text, "install the same binary on both");
            }
        }
    }

    pub(super) fn pairs(&mut self, all: &[Host]) {
        let configs: Vec<_> = all
            .iter()
            .filter_map(|host| Some((&host.facts().host, host.vip()?)))
            .collect();
        for (at, (a, left)) in configs.iter().enumerate() {
            for (b, right) in &configs[at + 1..] {
                let findings = conf::vip::pair::compare(left, right);
                if findings.is_empty() {
                    self.good(format!("the VRRP files of {a} and {b} fit together"));
                }
                for finding in findings {
                    let level = if finding.fatal {
                        Level::Error
                    } else {
                        Level::Note
                    };
                    let text = format!("{a} and {b}: {}: {}", finding.instance, finding.message);
                    self.say(level, text, finding.help);
                }
            }
        }
    }

    pub(super) fn balancer_files(&mut self, all: &[Host]) {
        let mut with: Vec<(&str, &str)> = Vec::new();
        for facts in all.iter().map(Host::facts) {
            with.extend(facts.lb.text.as_deref().map(|t| (facts.host.as_str(), t)));
        }
        for pair in with.windows(2) {
            let [(a, left), (b, right)] = pair else {
                continue;
            };
            match first_difference(left, right) {
                None => self.good(format!("the balancer's files on {a} and {b} are the same")),
                Some((line, l, r)) => {
                    let count = counted(lines_apart(left, right), "line");
                    let text = format!(
                        "the balancer's files on {a} and {b} differ in {count}, first in line {line}: `{l}` and `{r}`"
                    );
                    let mend = "make them the same; clients see another service after a fail-over otherwise";
                    self.say(Level::Warning, text, mend);
                }
            }
        }
    }

    pub(super) fn holders(&mut self, all: &[Host]) {
        for (address, holders) in held(all) {
            match holders[..] {
                [] => self.say(
                    Level::Error,
                    format!("nobody holds the virtual address {address}"),
                    "evenkeel vip explain on each proxy host says why",
                ),
                [one] => self.good(format!("{one} holds {address}")),
                _ => self.say(
                    Level::Error,
                    format!(
                        "{} hold {address} at once: they do not hear each other",
                        holders.join(" and ")
                    ),
                    "check the network between them (protocol 112), then evenkeel vip explain",
                ),
            }
        }
    }
}

/// Every virtual address and the hosts that hold it.
fn held(all: &[Host]) -> Vec<(IpAddr, Vec<&str>)> {
    let configs = all.iter().filter_map(Host::vip);
    let addresses = configs
        .flat_map(|c| &c.instances)
        .flat_map(|i| &i.addresses);
    let addresses: BTreeSet<IpAddr> = addresses.map(|a| a.address).collect();
    let holders = |address: &IpAddr| {
        let facts = all.iter().map(Host::facts);
        let holders = facts.filter(|f| f.addresses.contains(address));
        holders.map(|f| f.host.as_str()).collect()
    };
    addresses.iter().map(|a| (*a, holders(a))).collect()
}

/// Whether an address is held by nobody or by several: it may be on its way just now.
pub fn in_motion(all: &[Host]) -> bool {
    held(all).iter().any(|(_, holders)| holders.len() != 1)
}

/// A line with its number, comments and blanks aside.
fn bare_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate();
    let bare = numbered.map(|(n, l)| (n + 1, l.split('#').next().unwrap_or_default().trim()));
    bare.filter(|(_, l)| !l.is_empty())
}

/// The first line in which two texts differ.
fn first_difference<'a>(left: &'a str, right: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut left, mut right) = (bare_lines(left), bare_lines(right));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return None,
            (Some((_, l)), Some((_, r))) if l == r => {}
            (l, r) => {
                let line = l.or(r).map_or(0, |(n, _)| n);
                let text = |side: Option<(usize, &'a str)>| side.map_or("(nothing)", |(_, t)| t);
                return Some((line, text(l), text(r)));
            }
        }
    }
}

/// How many lines of one text the other does not have; the larger number of both ways.
fn lines_apart(left: &str, right: &str) -> usize {
    let lacking = |from: &str, of: &str| {
        let known: HashSet<&str> = bare_lines(of).map(|(_, l)| l).collect();
        bare_lines(from).filter(|(_, l)| !known.contains(l)).count()
    };
    lacking(left, right).max(lacking(right, left)).max(1)
}
