//! `garp_group`: interfaces whose announcements share one pause, because they
//! lead to the same switch.

use super::model::GarpGroup;
use super::section::{self, Others, Section, Table};
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword};
use std::time::Duration;

/// Nothing else is known.
pub static OTHERS: Others = Others {
    passive: &[],
    missing: &[],
};

type Here = Section<GarpGroup>;

/// The keywords of `garp_group`.
pub static TABLE: Table<GarpGroup> = &[
    Keyword {
        name: "garp_interval",
        args: "<seconds>",
        doc: "Pause between two gratuitous ARPs on all interfaces of the group together.",
        example: "garp_interval 0.01",
        apply: |s, a| {
            s.draft.garp_interval = Some(pause(s, a)?);
            Ok(())
        },
    },
    Keyword {
        name: "gna_interval",
        args: "<seconds>",
        doc: "Pause between two unsolicited neighbour advertisements on all interfaces of the group together.",
        example: "gna_interval 0.01",
        apply: |s, a| {
            s.draft.gna_interval = Some(pause(s, a)?);
            Ok(())
        },
    },
    Keyword {
        name: "interface",
        args: "<name>",
        doc: "An interface of the group.",
        example: "interface eth0",
        apply: |s, a| {
            let name = a.expect("an interface")?.text.clone();
            s.draft.interfaces.push(name);
            Ok(())
        },
    },
    Keyword {
        name: "interfaces",
        args: "{ <name> ... }",
        doc: "The interfaces of the group.",
        example: "interfaces { eth0 eth1 }",
        apply: interfaces,
    },
];

/// A pause between two announcements, which may be none.
pub fn pause<T>(s: &mut Section<T>, a: &mut Args<'_>) -> Result<Duration, Diagnostic> {
    let written = a.peek().map(|word| word.span);
    let pause = section::seconds(a, 0.0, 1000.0)?;
    if let Some(span) = written.filter(|_| pause.is_zero()) {
        s.findings.push(
            Diagnostic::note("E2008", span, "0 is no pause, as without this line").help(
                "keepalived's `-t` calls it invalid; the daemon goes on without a pause, too",
            ),
        );
    }
    Ok(pause)
}

fn interfaces(s: &mut Here, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    for node in s.block(a)? {
        let names = node.words.iter().map(|w| w.text.clone());
        s.draft.interfaces.extend(names);
    }
    Ok(())
}
