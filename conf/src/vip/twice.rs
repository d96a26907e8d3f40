//! Blocks of which one name has two, and routers that share a number on a link. Of two blocks
//! with one name keepalived takes the first, mostly without a word.

use super::Options;
use super::model::{Config, Instance};
use super::section::replaced;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Checks every kind of block that has a name; in lenient mode the first one of a name stays.
pub fn names(config: &mut Config, options: &Options, findings: &mut Vec<Diagnostic>) {
    let mut twice = Twice { options, findings };
    twice.check("vrrp_script", &mut config.scripts, |s| (&s.name, s.place.0));
    twice.check("vrrp_track_process", &mut config.processes, |p| {
        (&p.name, p.place.0)
    });
    twice.check("vrrp_track_file", &mut config.files, |f| {
        (&f.name, f.place.0)
    });
    twice.check("track_lb", &mut config.balancers, |b| (&b.name, b.place.0));
    twice.check("track_group", &mut config.track_groups, |g| {
        (&g.name, g.place.0)
    });
    twice.check("vrrp_sync_group", &mut config.groups, |g| {
        (&g.name, g.place.0)
    });
    twice.check("vrrp_instance", &mut config.instances, |i| {
        (&i.name, i.place.0)
    });
}

struct Twice<'a> {
    options: &'a Options,
    findings: &'a mut Vec<Diagnostic>,
}

impl Twice<'_> {
    fn check<T>(&mut self, kind: &str, blocks: &mut Vec<T>, of: fn(&T) -> (&String, Span)) {
        let mut kept: Vec<T> = Vec::new();
        for block in blocks.drain(..) {
            let (name, span) = of(&block);
            let Some(first) = kept.iter().map(of).find(|(known, _)| *known == name) else {
                kept.push(block);
                continue;
            };
            let text = format!("two {kind} blocks are named `{name}`");
            let mut finding = replaced(self.options, span, text, "the first one");
            finding.code = "E2003";
            self.findings.push(finding.also(first.1, "the first one"));
            // the file counts for nothing then, but all that is wrong with it is told
            if !self.options.lenient {
                kept.push(block);
            }
        }
        *blocks = kept;
    }
}

/// Two routers of one number on one link would not tell each other's adverts from their own.
/// keepalived does not start either.
pub fn numbers(config: &Config, findings: &mut Vec<Diagnostic>) {
    let numbered = config.instances.iter().enumerate();
    for (at, i) in numbered.filter(|(_, i)| i.vrid.0 > 0) {
        let same = |o: &&Instance| {
            (o.vrid, o.family, &o.interface) == (i.vrid, i.family, &i.interface)
                && o.peers.is_empty() == i.peers.is_empty()
        };
        if let Some(other) = config.instances[..at].iter().find(same) {
            let text = format!(
                "`{}` and `{}` both use virtual_router_id {} on {}",
                other.name, i.name, i.vrid.0, i.interface
            );
            let finding = Diagnostic::error("E2003", i.place.0, text);
            findings.push(finding.also(other.place.0, "the first one"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Severity;
    use crate::vip::{Options, load_str};

    fn router(name: &str, vrid: u8) -> String {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n \
             virtual_ipaddress {{\n 192.0.2.{vrid}/24\n }}\n}}\n"
        )
    }

    #[test]
    fn of_two_blocks_of_a_name_the_first_counts_under_lenient() {
        let routers = format!("{}{}", router("V", 5), router("W", 6));
        for (kind, first, second) in [
            ("vrrp_script", "script /bin/true", "script /bin/false"),
            ("vrrp_track_process", "process a", "process b"),
            ("track_file", "file /run/a", "file /run/b"),
            ("track_lb", "socket /run/a", "socket /run/b"),
            ("track_group", "group { V }", "group { W }"),
            (
                "vrrp_sync_group",
                "group {\n V\n W\n }",
                "group {\n W\n V\n }",
            ),
        ] {
            let text = format!("{kind} x {{\n {first}\n}}\n{kind} x {{\n {second}\n}}\n{routers}");
            told_once(&text, kind);
        }
        let text = format!("{}{}", router("V", 5), router("V", 6));
        let config = told_once(&text, "vrrp_instance");
        assert_eq!(config.instances.len(), 1);
        assert_eq!(config.instances[0].vrid.0, 5);
    }

    /// An error; with `lenient` a warning, and what remains.
    fn told_once(text: &str, kind: &str) -> crate::vip::model::Config {
        let told = |report: crate::diagnostic::Report, severity: Severity| {
            let of = report.diagnostics.into_iter();
            of.filter(|d| d.severity == severity)
                .map(|d| d.code)
                .collect::<Vec<_>>()
        };
        let (config, report) = load_str("k.conf", text, &Options::default());
        assert!(config.is_none(), "{kind}");
        let errors = told(report, Severity::Error);
        assert!(errors.contains(&"E2003"), "{kind}");
        assert!(errors.iter().all(|code| *code == "E2003"), "{kind}");
        let lenient = Options {
            lenient: true,
            ..Options::default()
        };
        let (config, report) = load_str("k.conf", text, &lenient);
        let config = config.unwrap_or_else(|| panic!("{kind}: {}", report.human(false)));
        assert_eq!(told(report, Severity::Warning), ["E2003"], "{kind}");
        config
    }
}
