//! `watch`: every change of role and priority, also those between two looks.

use super::get_status;
use crate::options::Options;
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// Between two looks at the daemon.
const LOOK: Duration = Duration::from_millis(250);

/// Prints changes as they happen, until interrupted.
pub fn watch(options: &Options) -> Result<(), String> {
    let mut last = Value::Null;
    loop {
        let status = get_status(options)?;
        if options.json {
            println!("{status}");
        } else {
            for line in news(&last, &status) {
                println!("{line}");
            }
        }
        let _ = std::io::stdout().flush();
        last = status;
        std::thread::sleep(LOOK);
    }
}

fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of[key].as_str().unwrap_or("-")
}

/// A line per change since the last look; what an instance is when it is new.
fn news(last: &Value, status: &Value) -> Vec<String> {
    let list = |v: &Value, key: &str| v[key].as_array().cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for now in list(status, "instances") {
        let known = list(last, "instances");
        let before = known.iter().find(|b| b["name"] == now["name"]);
        let (name, priority) = (text(&now, "name"), &now["priority"]);
        let changes = list(&now, "transitions");
        let told = before.and_then(|b| list(b, "transitions").pop());
        let from = told.and_then(|told| changes.iter().rposition(|c| *c == told));
        let fresh = from.map_or(0, |at| at + 1);
        let same = before.is_some_and(|b| b["state"] == now["state"] && b["priority"] == *priority);
        if before.is_none() || (fresh == changes.len() && !same) {
            let why = changes.last().map_or("", |c| text(c, "reason"));
            let (at, state) = (text(status, "at"), text(&now, "state"));
            lines.push(format!("{at} {name} {state} priority {priority}: {why}"));
            continue;
        }
        for change in &changes[fresh..] {
            let (at, from, to) = (text(change, "at"), text(change, "from"), text(change, "to"));
            let why = text(change, "reason");
            lines.push(format!(
                "{at} {name} {from} -> {to} priority {priority}: {why}"
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(at: &str, state: &str, priority: u8, changes: &[(&str, &str)]) -> Value {
        let change =
            |(at, to): &(&str, &str)| json!({"at": at, "from": "X", "to": to, "reason": "because"});
        let changes: Vec<Value> = changes.iter().map(change).collect();
        json!({"at": at, "instances": [
            {"name": "V", "state": state, "priority": priority, "transitions": changes}
        ]})
    }

    #[test]
    fn changes_between_two_looks_are_all_told() {
        let first = status("1", "BACKUP", 100, &[("0", "BACKUP")]);
        assert_eq!(
            news(&Value::Null, &first),
            ["1 V BACKUP priority 100: because"]
        );
        assert!(news(&first, &status("2", "BACKUP", 100, &[("0", "BACKUP")])).is_empty());
        let changes = [("0", "BACKUP"), ("3", "MASTER"), ("3", "BACKUP")];
        let later = status("4", "BACKUP", 100, &changes);
        let expected = [
            "3 V X -> MASTER priority 100: because",
            "3 V X -> BACKUP priority 100: because",
        ];
        assert_eq!(news(&first, &later), expected);
        // the oldest are forgotten, the newest known one is still there
        let shifted = status("5", "BACKUP", 80, &changes[1..]);
        assert_eq!(news(&later, &shifted), ["5 V BACKUP priority 80: because"]);
    }
}
