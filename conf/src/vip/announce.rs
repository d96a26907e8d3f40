//! `garp_group`: interfaces whose announcements share one pause, because they
//! lead to the same switch.

use super::model::GarpGroup;
use super::section::{self, Others, Section, Table};
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword};

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
            s.draft.garp_interval = Some(section::seconds(a, 0.0, 1000.0)?);
            Ok(())
        },
    },
    Keyword {
        name: "gna_interval",
        args: "<seconds>",
        doc: "Pause between two unsolicited neighbour advertisements on all interfaces of the group together.",
        example: "gna_interval 0.01",
        apply: |s, a| {
            s.draft.gna_interval = Some(section::seconds(a, 0.0, 1000.0)?);
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

fn interfaces(s: &mut Here, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    for node in s.block(a)? {
        let names = node.words.iter().map(|w| w.text.clone());
        s.draft.interfaces.extend(names);
    }
    Ok(())
}
