//! What concerns several instances or the whole host: sync groups and the pair channel.

use super::{Finding, partner};
use crate::vip::model::{Config, Instance, SyncGroup};

fn finding(fatal: bool, about: &str, message: String, help: &str) -> Finding {
    Finding {
        fatal,
        instance: about.to_owned(),
        message,
        help: help.to_owned(),
    }
}

/// The members of a group, by number and family: names may differ between the hosts.
fn members<'c>(config: &'c Config, group: &'c SyncGroup) -> Vec<&'c Instance> {
    let named = |name: &String| config.instances.iter().find(|i| i.name == *name);
    group.members.iter().filter_map(named).collect()
}

/// Groups that do not hold the same instances, and groups in which each host is the better one
/// for some.
pub fn groups(a: &Config, b: &Config, out: &mut Vec<Finding>) {
    let help = "members move together on one host and one by one on the other: \
                write the same vrrp_sync_group on both";
    for group in &a.groups {
        let all = members(a, group);
        let ours: Vec<_> = all
            .iter()
            .filter_map(|i| Some((*i, partner(i, b)?)))
            .collect();
        let Some((_, first)) = ours.first() else {
            continue;
        };
        let theirs = b.groups.iter().find(|g| g.members.contains(&first.name));
        let Some(theirs) = theirs else {
            let text = "only the first file has this sync group".to_owned();
            out.push(finding(true, &group.name, text, help));
            continue;
        };
        let kept = |(_, there): &&(&Instance, &Instance)| theirs.members.contains(&there.name);
        if ours.iter().filter(kept).count() != all.len() || theirs.members.len() != all.len() {
            let text = format!(
                "its members are {} and {}",
                group.members.join(" "),
                theirs.members.join(" ")
            );
            out.push(finding(true, &group.name, text, help));
        }
        crossed(&group.name, &ours, out);
    }
    for group in &b.groups {
        let known = |i: &&Instance| {
            let there = partner(i, a).map(|i| &i.name);
            there.is_some_and(|name| a.groups.iter().any(|g| g.members.contains(name)))
        };
        let all = members(b, group);
        if !all.is_empty() && !all.iter().any(known) {
            let text = "only the second file has this sync group".to_owned();
            out.push(finding(true, &group.name, text, help));
        }
    }
}

fn crossed(group: &str, pairs: &[(&Instance, &Instance)], out: &mut Vec<Finding>) {
    let first = pairs
        .iter()
        .find(|(here, there)| here.priority > there.priority);
    let second = pairs
        .iter()
        .find(|(here, there)| here.priority < there.priority);
    if let (Some((one, _)), Some((other, _))) = (first, second) {
        let text = format!(
            "the first host is preferred for {}, the second for {}",
            one.name, other.name
        );
        let help =
            "the group stays where it is, whoever comes back: prefer one host for all members";
        out.push(finding(false, group, text, help));
    }
}

/// The channel between two of ours; keepalived knows nothing of it.
pub fn channel(a: &Config, b: &Config, out: &mut Vec<Finding>) {
    let (left, right) = (&a.global.pair_channel, &b.global.pair_channel);
    let help = "two of ours hear each other's heartbeats only with the same on both hosts";
    let mut differs = |text: String| out.push(finding(false, "global_defs", text, help));
    if left.enabled != right.enabled {
        differs("pair_channel is off on one host only".to_owned());
        return;
    }
    if !left.enabled {
        return;
    }
    if left.port != right.port {
        differs(format!(
            "pair_channel port {} and {}",
            left.port, right.port
        ));
    }
    if left.key != right.key {
        differs("pair_key differs".to_owned());
    }
    if left.witnesses.is_empty() != right.witnesses.is_empty() {
        let text = "pair_witness is written on one host only".to_owned();
        let help = "both hosts need the line";
        out.push(finding(false, "global_defs", text, help));
    }
}
