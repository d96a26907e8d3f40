//! Rules of sync groups: who belongs to them, and what weights mean in them.

use super::Options;
use super::model::{Config, Track, Weight};
use super::section::missing_name;
use crate::diagnostic::{Diagnostic, Severity};

/// Members that are there, each in one group. keepalived goes on without the others, and without
/// a group that has none.
pub fn members(config: &mut Config, options: &Options, findings: &mut Vec<Diagnostic>) {
    missing(config, options, findings);
    let mut owner: Vec<(String, String)> = Vec::new();
    for group in &mut config.groups {
        let (place, name) = (group.place.0, &group.name);
        group.members.retain(|member| {
            let other = owner.iter().find(|(known, _)| known == member);
            if let Some((_, other)) = other {
                let text = format!("`{member}` is in the groups `{other}` and `{name}`");
                let finding = Diagnostic::error("E2003", place, text);
                findings.push(left_out(options, finding));
            }
            let fits = other.is_none();
            owner.push((member.clone(), name.clone()));
            fits || !options.lenient
        });
    }
    config.groups.retain(|group| {
        if group.members.is_empty() {
            let text = format!("vrrp_sync_group `{}` has no members", group.name);
            let finding = Diagnostic::error("E2001", group.place.0, text);
            findings.push(left_out(options, finding));
        }
        if let [alone] = group.members.as_slice() {
            let text = format!("`{alone}` is alone in its group: nothing moves together with it");
            findings.push(Diagnostic::note("E2001", group.place.0, text));
        }
        !group.members.is_empty()
    });
}

/// Members that are not there: an error, and left out in lenient mode.
fn missing(config: &mut Config, options: &Options, findings: &mut Vec<Diagnostic>) {
    let Config {
        instances, groups, ..
    } = config;
    let known = || instances.iter().map(|i| i.name.as_str());
    for group in groups {
        let place = group.place.0;
        group.members.retain(|member| {
            let there = known().any(|name| name == member);
            if !there {
                let finding = missing_name(place, "vrrp_instance", member, known());
                findings.push(left_out(options, finding));
            }
            there || !options.lenient
        });
    }
}

fn left_out(options: &Options, finding: Diagnostic) -> Diagnostic {
    if !options.lenient {
        return finding;
    }
    let severity = Severity::Warning;
    Diagnostic {
        severity,
        ..finding
    }
    .help("keepalived leaves it out; so does this")
}

/// Members must never be of two minds: a weight at a member counts as 0 there, so that what it
/// tracks is a fault of the whole group, unless the group says `sync_group_tracking_weight`.
pub fn weights(config: &mut Config, findings: &mut Vec<Diagnostic>) {
    let Config {
        scripts,
        processes,
        files,
        balancers,
        instances,
        groups,
        ..
    } = config;
    for group in groups.iter().filter(|g| !g.tracking_weight) {
        let members = instances
            .iter_mut()
            .filter(|i| group.members.contains(&i.name));
        for i in members {
            let none = |_: &str| None;
            let script = |n: &str| scripts.iter().find(|s| s.name == n).map(|s| s.weight);
            let process = |n: &str| processes.iter().find(|p| p.name == n).map(|p| p.weight);
            let file = |n: &str| files.iter().find(|f| f.name == n).map(|f| f.weight);
            let balancer = |n: &str| balancers.iter().find(|b| b.name == n).map(|b| b.weight);
            let mut level = |tracks: &mut Vec<Track>, usual: &dyn Fn(&str) -> Option<Weight>| {
                for track in tracks {
                    without_weight(track, usual(&track.name), &group.name, findings);
                }
            };
            level(&mut i.tracks.interfaces, &none);
            level(&mut i.tracks.scripts, &script);
            level(&mut i.tracks.processes, &process);
            level(&mut i.tracks.files, &file);
            level(&mut i.tracks.balancers, &balancer);
        }
    }
}

fn without_weight(
    track: &mut Track,
    usual: Option<Weight>,
    group: &str,
    findings: &mut Vec<Diagnostic>,
) {
    let weight = track.weight.or(usual).unwrap_or_default();
    if weight.value == 0 {
        return;
    }
    track.weight = Some(Weight { value: 0, ..weight });
    let text = format!(
        "in the sync group `{group}` the weight {} of `{}` counts as 0: a failure is a fault of the whole group",
        weight.value, track.name
    );
    let finding = Diagnostic::note("E2005", track.place.0, text);
    findings.push(finding.help("as in keepalived; `sync_group_tracking_weight` keeps the weights"));
}

#[cfg(test)]
mod tests {
    use crate::vip::{Options, load_str};

    #[test]
    fn a_second_group_of_a_member_and_an_empty_one_are_left_out_under_lenient() {
        let router = |name: &str, vrid: u8| {
            format!(
                "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n \
                 virtual_ipaddress {{\n 192.0.2.{vrid}/24\n }}\n}}\n"
            )
        };
        let text = format!(
            "vrrp_sync_group G {{ group {{ A B }} }}\nvrrp_sync_group H {{ group {{ B C }} }}\n\
             vrrp_sync_group E {{ group {{\n }} }}\n{}{}{}",
            router("A", 1),
            router("B", 2),
            router("C", 3)
        );
        let (config, report) = load_str("k.conf", &text, &Options::default());
        assert!(config.is_none() && report.has_errors());
        let lenient = Options {
            lenient: true,
            ..Options::default()
        };
        let (config, report) = load_str("k.conf", &text, &lenient);
        let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        let groups = config.groups.iter().map(|g| (&g.name[..], g.members.len()));
        assert_eq!(groups.collect::<Vec<_>>(), [("G", 2), ("H", 1)]);
    }
}
