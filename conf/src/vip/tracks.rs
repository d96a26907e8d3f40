//! Rules of what routers track: every entry names something that is there, once.

use super::Options;
use super::model::{Config, Instance, Track, Tracks};
use super::section::{missing_name, replaced};
use crate::diagnostic::{Diagnostic, Severity};

/// Checks the lists of all instances and groups; what keepalived would drop is dropped.
pub fn check(config: &mut Config, options: &Options, findings: &mut Vec<Diagnostic>) {
    let known = Known {
        scripts: names(config.scripts.iter().map(|s| &s.name)),
        processes: names(config.processes.iter().map(|s| &s.name)),
        files: names(config.files.iter().map(|s| &s.name)),
        balancers: names(config.balancers.iter().map(|s| &s.name)),
    };
    for i in &mut config.instances {
        known.check(&mut i.tracks, options, findings);
        own_interface(i, options, findings);
    }
    for g in &mut config.groups {
        known.check(&mut g.tracks, options, findings);
    }
}

/// What can be tracked, by name.
struct Known {
    scripts: Vec<String>,
    processes: Vec<String>,
    files: Vec<String>,
    balancers: Vec<String>,
}

impl Known {
    /// Checks the lists of an instance or a group.
    fn check(&self, tracks: &mut Tracks, options: &Options, findings: &mut Vec<Diagnostic>) {
        for (kind, known, tracks) in [
            ("vrrp_script", &self.scripts, &mut tracks.scripts),
            ("vrrp_track_process", &self.processes, &mut tracks.processes),
            ("vrrp_track_file", &self.files, &mut tracks.files),
            ("track_lb", &self.balancers, &mut tracks.balancers),
        ] {
            check_names(kind, known, tracks, options, findings);
            once(tracks, options, findings);
        }
        once(&mut tracks.interfaces, options, findings);
    }
}

fn check_names(
    kind: &str,
    known: &[String],
    tracks: &mut Vec<Track>,
    options: &Options,
    findings: &mut Vec<Diagnostic>,
) {
    tracks.retain(|track| {
        if known.contains(&track.name) {
            return true;
        }
        let names = known.iter().map(String::as_str);
        let mut finding = missing_name(track.place.0, kind, &track.name, names)
            .help("keepalived would drop the entry and track nothing");
        if options.lenient {
            finding.severity = Severity::Warning;
        }
        findings.push(finding);
        false
    });
}

/// Of two entries of a list for the same thing the first one counts.
fn once(tracks: &mut Vec<Track>, options: &Options, findings: &mut Vec<Diagnostic>) {
    let mut kept: Vec<Track> = Vec::new();
    for track in tracks.drain(..) {
        let Some(first) = kept.iter().find(|t| t.name == track.name) else {
            kept.push(track);
            continue;
        };
        let text = format!("`{}` is tracked twice", track.name);
        let finding = if first.weight == track.weight {
            Diagnostic::warning("E2003", track.place.0, text)
        } else {
            let finding = replaced(options, track.place.0, text, "the first entry");
            Diagnostic {
                code: "E2003",
                ..finding
            }
        };
        findings.push(finding.also(first.place.0, "the first one"));
    }
    *tracks = kept;
}

/// The loss of an instance's own interface is its fault already; a weight of it would be another
/// priority than with keepalived.
fn own_interface(i: &mut Instance, options: &Options, findings: &mut Vec<Diagnostic>) {
    let interface = &i.interface;
    i.tracks.interfaces.retain(|track| {
        let weight = track.weight.map_or(0, |w| w.value);
        if track.name != *interface || weight == 0 {
            return true;
        }
        let text = format!("`{interface}` is the instance's own interface and can have no weight");
        findings.push(replaced(options, track.place.0, text, "the other entries"));
        false
    });
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}
