//! Weights that move nothing: the check fails on the preferred host, and its priority is still
//! not below the other's.

use super::{Finding, hint};
use crate::vip::model::{Config, Instance, Track, Tracks, Weight};

/// What an instance tracks with a weight, apart from files, whose numbers are not in the
/// configuration.
fn weighted(config: &Config, of: &Instance) -> Vec<(String, i32)> {
    let groups = config
        .groups
        .iter()
        .filter(|g| g.members.contains(&of.name));
    let lists = std::iter::once(&of.tracks).chain(groups.map(|g| &g.tracks));
    let mut found: Vec<(String, i32)> = Vec::new();
    for list in lists {
        for (kind, track, weight) in resolved(config, list) {
            let name = format!("{kind} {}", track.name);
            let counts = weight.value != 0 && !weight.reverse;
            if counts && !found.iter().any(|(known, _)| *known == name) {
                found.push((name, i32::from(weight.value)));
            }
        }
    }
    found
}

fn resolved<'c>(config: &Config, list: &'c Tracks) -> Vec<(&'static str, &'c Track, Weight)> {
    let mut out = Vec::new();
    let mut add = |kind, track: &'c Track, usual: Option<Weight>| {
        out.push((kind, track, track.weight.or(usual).unwrap_or_default()));
    };
    for t in &list.interfaces {
        add("interface", t, None);
    }
    for t in &list.scripts {
        let block = config.scripts.iter().find(|s| s.name == t.name);
        add("script", t, block.map(|s| s.weight));
    }
    for t in &list.processes {
        let block = config.processes.iter().find(|p| p.name == t.name);
        add("process", t, block.map(|p| p.weight));
    }
    for t in &list.balancers {
        let block = config.balancers.iter().find(|b| b.name == t.name);
        add("track_lb", t, block.map(|b| b.weight));
    }
    out
}

/// The priority while all is well.
fn well(of: &Instance, weights: &[(String, i32)]) -> i32 {
    let gains = weights.iter().map(|(_, weight)| (*weight).max(0));
    (i32::from(of.priority.0) + gains.sum::<i32>()).min(254)
}

/// Tells what fails on the preferred host without moving the role.
pub fn check(a: (&Config, &Instance), b: (&Config, &Instance), out: &mut Vec<Finding>) {
    let owner = |(_, i): (&Config, &Instance)| i.priority.0 == 255;
    if owner(a) || owner(b) {
        return;
    }
    let weights = [a, b].map(|(config, of)| weighted(config, of));
    let wells = [well(a.1, &weights[0]), well(b.1, &weights[1])];
    let better = usize::from(wells[1] > wells[0]);
    let other = wells[1 - better];
    for (name, weight) in &weights[better] {
        let left = (wells[better] - weight.abs()).max(1);
        if left < other {
            continue;
        }
        let relation = if left > other { "above" } else { "equal to" };
        let message = format!(
            "when {name} fails on the preferred host, its priority {left} is still {relation} the other's {other}"
        );
        let help = format!(
            "the role stays there: a weight of more than {} moves it, and so does weight 0",
            wells[better] - other
        );
        out.push(hint(a.1, message, &help));
    }
}
