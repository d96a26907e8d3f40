//! `static_ipaddress`, `static_routes`, `static_rules`: what stays on the host
//! whatever the routers do; and `track_group`, which makes routers depend on it.

use super::address;
use super::lexer::Node;
use super::model::{Config, Place, VirtualAddress, VirtualRoute, VirtualRule};
use super::rule;
use super::section::missing_name;
use crate::diagnostic::Diagnostic;
use crate::keyword::Word;

/// One static thing and the `track_group` that depends on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Static<T> {
    /// Address, route or rule.
    pub what: T,
    /// The group's name and where it stands.
    pub group: Option<(String, Place)>,
}

/// Everything static, in file order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statics {
    /// `static_ipaddress`.
    pub addresses: Vec<Static<VirtualAddress>>,
    /// `static_routes`.
    pub routes: Vec<Static<VirtualRoute>>,
    /// `static_rules`.
    pub rules: Vec<Static<VirtualRule>>,
    /// `default_interface`, if written.
    pub usual: Option<String>,
}

/// `track_group`: its members are in FAULT while something static of the group cannot be set.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackGroup {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// Names of instances, and where they stand.
    pub members: Vec<(String, Place)>,
}

/// Reads a block of static things.
pub fn read(word: &str, block: Vec<Node>, statics: &mut Statics, findings: &mut Vec<Diagnostic>) {
    for node in block {
        let result = match word {
            "static_ipaddress" => line(node, address::address).map(|s| statics.addresses.push(s)),
            "static_routes" => line(node, address::route).map(|s| statics.routes.push(s)),
            _ => line(node, rule::rule).map(|s| statics.rules.push(s)),
        };
        findings.extend(result.err());
    }
}

/// A line without its `track_group NAME`, which only static things have.
fn line<T>(
    mut node: Node,
    read: fn(&Node) -> Result<T, Diagnostic>,
) -> Result<Static<T>, Diagnostic> {
    let at = node.words.iter().position(|w| w.text == "track_group");
    let mut group = None;
    if let Some(at) = at.filter(|at| *at > 0) {
        let Some(name) = node.words.get(at + 1).cloned() else {
            let text = "`track_group` needs a name";
            let finding = Diagnostic::error("E0003", node.words[at].span.after(), text);
            return Err(finding.label("the name is missing here"));
        };
        node.words.drain(at..at + 2);
        group = Some((name.text, Place(name.span)));
    }
    let what = read(&node)?;
    Ok(Static { what, group })
}

/// Reads `track_group NAME { group { INSTANCE ... } }`.
pub fn track_group(name: &Word, block: Vec<Node>, findings: &mut Vec<Diagnostic>) -> TrackGroup {
    let mut members = Vec::new();
    for node in block {
        let head = node.keyword().clone();
        if head.text != "group" {
            let text = format!("unknown keyword `{}` in track_group", head.text);
            findings.push(Diagnostic::error("E0002", head.span, text).help("`group { ... }` is"));
            continue;
        }
        let inside = node.block.iter().flatten().flat_map(|n| &n.words);
        let named = node.words[1..].iter().chain(inside);
        members.extend(named.map(|w| (w.text.clone(), Place(w.span))));
    }
    TrackGroup {
        name: name.text.clone(),
        place: Place(name.span),
        members,
    }
}

/// References between static things, groups and instances.
pub fn check(config: &Config, findings: &mut Vec<Diagnostic>) {
    let s = &config.statics;
    let used = s.addresses.iter().filter_map(|a| a.group.as_ref());
    let used = used.chain(s.routes.iter().filter_map(|r| r.group.as_ref()));
    let used = used.chain(s.rules.iter().filter_map(|r| r.group.as_ref()));
    let groups = || config.track_groups.iter().map(|g| g.name.as_str());
    for (name, place) in used.filter(|(name, _)| !groups().any(|g| g == name)) {
        findings.push(missing_name(place.0, "track_group", name, groups()));
    }
    let instances = || config.instances.iter().map(|i| i.name.as_str());
    let members = config.track_groups.iter().flat_map(|g| &g.members);
    for (name, place) in members.filter(|(name, _)| !instances().any(|i| i == name)) {
        findings.push(missing_name(place.0, "vrrp_instance", name, instances()));
    }
}

#[cfg(test)]
mod tests {
    use crate::vip::{Options, load_str};

    const ROUTER: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n \
                          virtual_ipaddress {\n 192.0.2.50/24\n }\n}\n";

    #[test]
    fn static_things_are_read_like_virtual_ones_with_their_group() {
        let text = format!(
            "static_ipaddress {{\n 192.0.2.9/24 dev eth1 track_group G\n}}\n\
             static_routes {{\n 198.51.100.0/24 via 192.0.2.1 dev eth1\n}}\n\
             static_rules {{\n from 192.0.2.9 table 9 priority 90 track_group G\n}}\n\
             track_group G {{\n group {{\n VI_1\n }}\n}}\n{ROUTER}"
        );
        let (config, report) = load_str("x", &text, &Options::default());
        let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        let s = &config.statics;
        assert_eq!(
            (s.addresses.len(), s.routes.len(), s.rules.len()),
            (1, 1, 1)
        );
        let group = |g: &Option<(String, _)>| g.as_ref().map(|(name, _)| name.clone());
        assert_eq!(group(&s.addresses[0].group).as_deref(), Some("G"));
        assert_eq!(group(&s.routes[0].group), None);
        assert_eq!(group(&s.rules[0].group).as_deref(), Some("G"));
        assert_eq!(config.track_groups[0].members[0].0, "VI_1");
    }

    #[test]
    fn groups_and_members_that_do_not_exist_are_errors() {
        let text = format!(
            "static_ipaddress {{\n 192.0.2.9/24 dev eth1 track_group F\n 192.0.2.300\n}}\n\
             track_group G {{\n group {{\n VI_2\n }}\n}}\n{ROUTER}"
        );
        let (config, report) = load_str("x", &text, &Options::default());
        assert!(config.is_none());
        let text = report.human(false);
        for wanted in ["track_group `F`", "did you mean `VI_1`?", "192.0.2.300"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }
}
