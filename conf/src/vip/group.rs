//! `vrrp_sync_group`, and the notify keywords that it shares with instances.

use super::model::{Notify, Place, SyncGroup, Tracks};
use super::section::{self, Others, Section, Table};
use super::track;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word};

/// Accepted without effect.
pub static OTHERS: Others = Others {
    passive: &["smtp_alert"],
    missing: &["track_bfd"],
};

/// An empty group.
pub fn new(name: &Word) -> SyncGroup {
    SyncGroup {
        name: name.text.clone(),
        place: Place(name.span),
        members: Vec::new(),
        notify: Notify::default(),
        tracks: Tracks::default(),
        tracking_weight: false,
    }
}

/// Stores a notify command of this keyword.
pub fn notify(notify: &mut Notify, args: &mut Args<'_>) -> Result<(), Diagnostic> {
    if args.keyword() == "notify_deleted" {
        notify.deleted = true;
        if args.peek().is_none() {
            return Ok(());
        }
    }
    if args.keyword() == "notify_priority_changes" {
        notify.priority_changes = Some(section::switch(args)?);
        return Ok(());
    }
    let command = Some(section::command(args)?);
    match args.keyword() {
        "notify_master" => notify.master = command,
        "notify_backup" => notify.backup = command,
        "notify_fault" => notify.fault = command,
        "notify_stop" => notify.stop = command,
        "notify_master_rx_lower_pri" => notify.master_rx_lower = command,
        "notify_deleted" => notify.deleted_command = command,
        _ => notify.any = command,
    }
    Ok(())
}

/// The keywords of `vrrp_sync_group`.
pub static TABLE: Table<SyncGroup> = &[
    Keyword {
        name: "group",
        args: "{ <instance> ... }",
        doc: "The instances that move together.",
        example: "group { V1 }",
        apply: |s, a| {
            for node in s.block(a)? {
                s.draft
                    .members
                    .extend(node.words.into_iter().map(|w| w.text));
            }
            Ok(())
        },
    },
    Keyword {
        name: "notify",
        args: "<command> [user [group]]",
        doc: "Run after every change, with GROUP, the name, the state and the priority behind its own arguments.",
        example: "notify /usr/local/bin/notify.sh",
        apply: notify_group,
    },
    Keyword {
        name: "notify_master",
        args: "<command> [user [group]]",
        doc: "Run when the group becomes master.",
        example: "notify_master \"/usr/local/bin/notify.sh master\"",
        apply: notify_group,
    },
    Keyword {
        name: "notify_backup",
        args: "<command> [user [group]]",
        doc: "Run when the group becomes backup.",
        example: "notify_backup \"/usr/local/bin/notify.sh backup\"",
        apply: notify_group,
    },
    Keyword {
        name: "notify_fault",
        args: "<command> [user [group]]",
        doc: "Run when the group goes to FAULT.",
        example: "notify_fault \"/usr/local/bin/notify.sh fault\"",
        apply: notify_group,
    },
    Keyword {
        name: "notify_stop",
        args: "<command> [user [group]]",
        doc: "Run when the daemon stops.",
        example: "notify_stop \"/usr/local/bin/notify.sh stop\"",
        apply: notify_group,
    },
    Keyword {
        name: "notify_priority_changes",
        args: "[on|off]",
        doc: "Also tells the fifo of priority changes.",
        example: "notify_priority_changes on",
        apply: notify_group,
    },
    Keyword {
        name: "track_interface",
        args: "{ <interface> [weight <n>] ... }",
        doc: "Interfaces whose loss concerns the whole group.",
        example: "track_interface { eth1 }",
        apply: tracked,
    },
    Keyword {
        name: "track_script",
        args: "{ <script> [weight <n>] ... }",
        doc: "Scripts that concern the whole group.",
        example: "track_script { chk }",
        apply: tracked,
    },
    Keyword {
        name: "track_process",
        args: "{ <process> [weight <n>] ... }",
        doc: "Processes that concern the whole group.",
        example: "track_process { px }",
        apply: tracked,
    },
    Keyword {
        name: "track_file",
        args: "{ <file> [weight <n>] ... }",
        doc: "Files that concern the whole group.",
        example: "track_file { f }",
        apply: tracked,
    },
    Keyword {
        name: "track_lb",
        args: "{ <name> [weight <n>] ... }",
        doc: "Evenkeel's own: balancers that concern the whole group.",
        example: "track_lb { proxy }",
        apply: tracked,
    },
    Keyword {
        name: "global_tracking",
        args: "",
        doc: "Old form of sync_group_tracking_weight.",
        example: "global_tracking",
        apply: |s, _| {
            s.draft.tracking_weight = true;
            Ok(())
        },
    },
    Keyword {
        name: "sync_group_tracking_weight",
        args: "",
        doc: "Weights at the members count; without it they are 0, and what a member tracks is a fault of the whole group.",
        example: "sync_group_tracking_weight",
        apply: |s, _| {
            s.draft.tracking_weight = true;
            Ok(())
        },
    },
];

fn tracked(s: &mut Section<SyncGroup>, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    track::block(s, a, |group| &mut group.tracks)
}

fn notify_group(s: &mut Section<SyncGroup>, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    notify(&mut s.draft.notify, a)
}
