//! What a server's change of state is called in the log.

use crate::core::server::{Admin, Change, Operation};
use crate::state::StateChange;
use conf::lb::model::Level;

/// The line about a change, if there is one.
pub fn words(change: &StateChange) -> Option<(Level, String)> {
    let transition = &change.transition;
    let ((from, before), (to, after)) = (transition.from, transition.to);
    let who = who(change);
    if before.in_maintenance() && after.in_maintenance() {
        // drain or not, nobody sees a difference before it is over
        return None;
    }
    if after.in_maintenance() {
        return Some(enters_maintenance(change, &who, from, before));
    }
    if before.in_maintenance() {
        let state = if to == Operation::Stopped {
            "DOWN"
        } else {
            "UP"
        };
        let mode = if after.in_drain() { "DRAIN" } else { "READY" };
        let why = match before {
            _ if before.has(Admin::INHERITED_MAINT) => "leaving maintenance",
            _ if before.has(Admin::UNRESOLVED) => "resolves again",
            _ => "leaving forced maintenance",
        };
        let text = format!("{who} is {state}/{mode} ({why}).");
        return Some((Level::Notice, text));
    }
    if after.in_drain() && !before.in_drain() {
        let rest = match to {
            Operation::Stopped => left(change),
            Operation::Starting | Operation::Running | Operation::Stopping => online(change),
        };
        let text = format!("{who} enters drain state{}{rest}", via(change));
        return Some((Level::Notice, text));
    }
    if before.in_drain() && !after.in_drain() {
        let state = if to == Operation::Stopped {
            "DOWN"
        } else {
            "UP"
        };
        return Some((
            Level::Notice,
            format!("{who} is {state} (leaving forced drain)."),
        ));
    }
    operation(change, &who, from, to)
}

fn operation(
    change: &StateChange,
    who: &str,
    from: Operation,
    to: Operation,
) -> Option<(Level, String)> {
    if from == to {
        return None;
    }
    let reason = reason(change);
    Some(match to {
        Operation::Stopped => {
            // it had no new sessions anyway
            let level = if from == Operation::Stopping {
                Level::Notice
            } else {
                Level::Alert
            };
            (level, format!("{who} is DOWN{reason}{}", left(change)))
        }
        Operation::Stopping => (
            Level::Notice,
            format!("{who} is stopping{reason}{}", online(change)),
        ),
        Operation::Starting | Operation::Running => (
            Level::Notice,
            format!("{who} is UP{reason}{}", online(change)),
        ),
    })
}

fn enters_maintenance(
    change: &StateChange,
    who: &str,
    from: Operation,
    before: Admin,
) -> (Level, String) {
    let via = via(change);
    if from == Operation::Stopped {
        return (
            Level::Notice,
            format!("{who} was DOWN and now enters maintenance{via}."),
        );
    }
    let quiet = from == Operation::Stopping || before.in_drain();
    let level = if quiet { Level::Notice } else { Level::Alert };
    (
        level,
        format!("{who} is going DOWN for maintenance{via}{}", left(change)),
    )
}

/// A second line about a server that comes from maintenance into drain.
pub fn still_draining(change: &StateChange) -> Option<String> {
    let (before, after) = (change.transition.from.1, change.transition.to.1);
    if !before.in_maintenance() || after.in_maintenance() || !after.in_drain() {
        return None;
    }
    let who = who(change);
    Some(match &change.server.conf.track {
        Some(leader) if !after.has(Admin::FORCED_DRAIN) => format!(
            "{who} is leaving forced drain but remains in drain mode via {}/{}.",
            leader.backend, leader.server
        ),
        Some(_) | None => format!("{who} remains in forced drain mode."),
    })
}

/// The line about a backend that lost its last server: for the log and for
/// the terminal.
pub fn backend_down(change: &StateChange) -> Option<(String, String)> {
    let kind = change.backend.word();
    let name = change.backend.name();
    change.backend_down.then(|| {
        (
            format!("{kind} {name} has no server available!"),
            format!("{kind} '{name}' has no server available!"),
        )
    })
}

fn who(change: &StateChange) -> String {
    let backup = if change.server.conf.backup {
        "Backup "
    } else {
        ""
    };
    format!(
        "{backup}Server {}/{}",
        change.backend.name(),
        change.server.name()
    )
}

fn via(change: &StateChange) -> String {
    let inherited = matches!(
        change.change,
        Change::Set(Admin::INHERITED_MAINT | Admin::INHERITED_DRAIN)
            | Change::Up
            | Change::Down
            | Change::Stopping
            | Change::Tick
    );
    match &change.server.conf.track {
        Some(tracked) if inherited => format!(" via {}/{}", tracked.backend, tracked.server),
        Some(_) | None => String::new(),
    }
}

fn reason(change: &StateChange) -> String {
    if change.server.conf.track.is_some() {
        return via(change);
    }
    match change.reason.as_str() {
        "" => String::new(),
        text if text.starts_with([',', ' ']) => text.to_owned(),
        text => format!(", {text}"),
    }
}

fn on_backup(change: &StateChange) -> &'static str {
    match (change.active, change.backups) {
        (0, 1..) => " Running on backup.",
        _ => "",
    }
}

fn left(change: &StateChange) -> String {
    format!(
        ". {} active and {} backup servers left.{} {} sessions active, {} requeued, {} remaining in queue.",
        change.active,
        change.backups,
        on_backup(change),
        change.sessions,
        change.requeued,
        change.waiting
    )
}

fn online(change: &StateChange) -> String {
    format!(
        ". {} active and {} backup servers online.{} {} sessions requeued, {} total in queue.",
        change.active,
        change.backups,
        on_backup(change),
        change.requeued,
        change.waiting
    )
}
