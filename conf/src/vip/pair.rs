//! Do the files of the two hosts of a pair fit together?

mod together;
mod weights;

use super::model::{Config, Family, Instance, Version, VirtualAddress};

/// One disagreement, or a hint that only shows in the pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the pair cannot work so (a hint otherwise).
    pub fatal: bool,
    /// The instance concerned.
    pub instance: String,
    /// What is wrong, with both values.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Compares the files of two hosts; instances belong together by
/// virtual_router_id and family, or by name.
pub fn compare(a: &Config, b: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for left in &a.instances {
        match partner(left, b) {
            Some(right) => {
                instance(left, right, &mut findings);
                weights::check((a, left), (b, right), &mut findings);
            }
            None => findings.push(fatal(
                left,
                "only the first file has it",
                "add it to the second",
            )),
        }
    }
    for right in &b.instances {
        if partner(right, a).is_none() {
            findings.push(fatal(
                right,
                "only the second file has it",
                "add it to the first",
            ));
        }
    }
    together::groups(a, b, &mut findings);
    together::channel(a, b, &mut findings);
    findings
}

fn partner<'c>(of: &Instance, config: &'c Config) -> Option<&'c Instance> {
    let by_id = |i: &&Instance| i.vrid == of.vrid && i.family == of.family;
    let by_name = |i: &&Instance| i.name == of.name && i.family == of.family;
    let list = || config.instances.iter();
    list().find(by_id).or_else(|| list().find(by_name))
}

fn fatal(of: &Instance, message: impl Into<String>, help: &str) -> Finding {
    Finding {
        fatal: true,
        instance: of.name.clone(),
        message: message.into(),
        help: help.to_owned(),
    }
}

fn instance(a: &Instance, b: &Instance, out: &mut Vec<Finding>) {
    if a.vrid != b.vrid {
        let text = format!("virtual_router_id {} and {}", a.vrid.0, b.vrid.0);
        out.push(fatal(
            a,
            text,
            "both hosts need the same number, or both become master",
        ));
    }
    if a.version != b.version {
        let text = format!("version {} and {}", number(a.version), number(b.version));
        out.push(fatal(
            a,
            text,
            "they cannot read each other's adverts: write the same version",
        ));
    }
    if a.advert_int != b.advert_int {
        let text = format!("advert_int {:?} and {:?}", a.advert_int, b.advert_int);
        if a.version == Version::V2 {
            out.push(fatal(
                a,
                text,
                "VRRPv2 drops adverts of another interval: two masters",
            ));
        } else {
            out.push(hint(
                a,
                text,
                "VRRPv3 learns the master's interval; write the same",
            ));
        }
    }
    if a.auth != b.auth {
        let text = "authentication differs".to_owned();
        out.push(fatal(
            a,
            text,
            "adverts of another password are dropped: two masters",
        ));
    }
    if listed(&a.addresses) != listed(&b.addresses) {
        let text = format!(
            "virtual_ipaddress {} and {}",
            listed(&a.addresses).join(" "),
            listed(&b.addresses).join(" ")
        );
        out.push(fatal(
            a,
            text,
            "adverts with another list are dropped: write the same addresses",
        ));
    }
    if listed(&a.excluded) != listed(&b.excluded) {
        let text = "virtual_ipaddress_excluded differs".to_owned();
        out.push(hint(a, text, "some addresses move to one host only"));
    }
    if prefixes(a) != prefixes(b) && listed(&a.addresses) == listed(&b.addresses) {
        let text = format!(
            "prefixes {} and {}",
            prefixes(a).join(" "),
            prefixes(b).join(" ")
        );
        out.push(hint(
            a,
            text,
            "the address reaches other neighbours on each host",
        ));
    }
    priorities(a, b, out);
    on_the_wire(a, b, out);
    if a.peers.is_empty() != b.peers.is_empty() {
        let text = "one host uses unicast_peer, the other multicast".to_owned();
        out.push(fatal(
            a,
            text,
            "they do not hear each other: write the same kind",
        ));
    }
    if a.preempt != b.preempt {
        let text = "nopreempt is written on one host only".to_owned();
        out.push(hint(
            a,
            text,
            "fail-back then depends on which host returns",
        ));
    }
    unicast(a, b, out);
    unicast(b, a, out);
}

/// What the other host, a switch or a client sees of an advert or an address.
fn on_the_wire(a: &Instance, b: &Instance, out: &mut Vec<Finding>) {
    let multicast = a.peers.is_empty() && b.peers.is_empty();
    if multicast && a.group != b.group {
        let text = format!("adverts go to {} and {}", a.group, b.group);
        out.push(fatal(
            a,
            text,
            "they do not hear each other: write the same group",
        ));
    }
    let pseudo = a.family == Family::V4 && a.version == Version::V3;
    if pseudo && a.v3_checksum_as_v2 != b.v3_checksum_as_v2 {
        let text = "v3_checksum_as_v2 is written on one host only".to_owned();
        let help = "we read both kinds, keepalived drops the other one: write the same";
        out.push(hint(a, text, help));
    }
    if a.vmac.is_some() != b.vmac.is_some() {
        let text = "use_vmac is written on one host only".to_owned();
        let help = "the addresses then change their link-layer address with the host";
        out.push(hint(a, text, help));
    }
    if a.accept != b.accept {
        let text = "no_accept is written on one host only".to_owned();
        out.push(hint(
            a,
            text,
            "the addresses take packets on the other host only",
        ));
    }
    let routes = |i: &Instance| {
        let mut all: Vec<_> = i.routes.iter().map(|r| (r.to, r.prefix)).collect();
        all.sort();
        all
    };
    if routes(a) != routes(b) {
        let text = "virtual_routes differ".to_owned();
        out.push(hint(a, text, "some routes are there with one master only"));
    }
}

fn priorities(a: &Instance, b: &Instance, out: &mut Vec<Finding>) {
    let (low, high) = (a.priority.min(b.priority), a.priority.max(b.priority));
    if low == high && low.0 == 255 {
        let text = "both have priority 255: each owns the addresses, and is master".to_owned();
        out.push(fatal(a, text, "255 is for one host; write 254 and 250"));
    } else if low == high {
        let text = format!("both have priority {}", low.0);
        out.push(hint(
            a,
            text,
            "the address decides then; give the preferred host more",
        ));
    }
    let skew_ms = (256 - u32::from(low.0)) * 1000 / 256;
    if skew_ms > 100 {
        let text = format!("high skew: the backup has priority {}", low.0);
        let help = format!(
            "when keepalived is the master its planned stop costs {skew_ms} ms per second of interval; \
             254 and 250 cost 23"
        );
        out.push(hint(a, text, &help));
    }
}

fn unicast(a: &Instance, b: &Instance, out: &mut Vec<Finding>) {
    let Some(source) = b.source.filter(|_| !a.peers.is_empty()) else {
        return;
    };
    if !a.peers.iter().any(|peer| peer.address == source) {
        let text = format!("{source} sends, but is no unicast_peer of the other host");
        out.push(fatal(a, text, "add it to unicast_peer"));
    }
}

fn hint(of: &Instance, message: String, help: &str) -> Finding {
    Finding {
        fatal: false,
        ..fatal(of, message, help)
    }
}

fn number(version: Version) -> u8 {
    match version {
        Version::V2 => 2,
        Version::V3 => 3,
    }
}

fn listed(addresses: &[VirtualAddress]) -> Vec<String> {
    let mut list: Vec<_> = addresses.iter().map(|a| a.address.to_string()).collect();
    list.sort();
    list
}

fn prefixes(of: &Instance) -> Vec<String> {
    let all = of.addresses.iter();
    let mut list: Vec<_> = all.map(|a| format!("{}/{}", a.address, a.prefix)).collect();
    list.sort();
    list
}

#[cfg(test)]
mod tests;
