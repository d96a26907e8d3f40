//! `demote`, `maintenance`, `resume`: gives the order, waits for what comes of
//! it and says so.

use super::{ask, get_status};
use crate::options::Options;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Between two looks at the daemon.
const LOOK: Duration = Duration::from_millis(5);
/// How much later than promised the daemon may decide on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// What came of an order for one instance.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Whether it is what the operator wanted.
    good: bool,
    text: String,
    took_ms: Option<u64>,
}

/// Gives an order and prints the outcome of every instance that it concerns; an error when one
/// of them is not what was wanted.
pub fn order(word: &str, name: Option<&String>, options: &Options) -> Result<(), String> {
    let given = Instant::now();
    let answer = ask(options, &json!({"command": word, "instance": name}))?;
    if answer["ok"] != true {
        return Err(answer["error"].as_str().unwrap_or("refused").to_owned());
    }
    let told = answer["instances"].as_array().cloned().unwrap_or_default();
    let mut failures = Vec::new();
    let mut results = Vec::new();
    for before in &told {
        let (after, elapsed) = settled(before, given, options)?;
        let outcome = judge(word, before, &after, elapsed);
        results.push(json!({
            "name": before["name"], "ok": outcome.good, "text": outcome.text,
            "state": after["state"], "master": after["master"], "took_ms": outcome.took_ms,
        }));
        if outcome.good && !options.json {
            println!("{}", outcome.text);
        } else if !outcome.good {
            failures.push(outcome.text);
        }
    }
    if options.json {
        println!(
            "{:#}",
            json!({"ok": failures.is_empty(), "instances": results})
        );
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("; "))
    }
}

/// Waits until the role that was offered is taken or kept; gives the instance and the time since
/// the order.
fn settled(before: &Value, given: Instant, options: &Options) -> Result<(Value, Duration), String> {
    let within = Duration::from_millis(before["within_ms"].as_u64().unwrap_or(0)) + SLACK;
    let mut leaves = before["leaving"] == true;
    loop {
        let status = get_status(options)?;
        let all = status["instances"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|i| i["name"] == before["name"]);
        let name = before["name"].as_str().unwrap_or("-");
        let now = found.ok_or_else(|| format!("{name} is no longer there"))?;
        leaves &= now["leaving"] == true;
        if !leaves {
            return Ok((now, given.elapsed()));
        }
        if given.elapsed() > within {
            return Err(format!(
                "{name} has not decided yet; see `evenkeel vip status`"
            ));
        }
        std::thread::sleep(LOOK);
    }
}

/// What an instance that was so `before` and is so `after` means to the operator.
fn judge(word: &str, before: &Value, after: &Value, elapsed: Duration) -> Outcome {
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let (name, state) = (text(&before["name"]), text(&after["state"]));
    let offered = before["leaving"] == true;
    let within = before["within_ms"].as_u64().unwrap_or(0);
    let master = after["master"].as_str();
    let since = after["since_ms"].as_u64().map(Duration::from_millis);
    let took = since.map_or(elapsed, |since| elapsed.saturating_sub(since));
    let took_ms = (offered && state == "BACKUP").then_some(took.as_millis() as u64);
    let (good, text) = match (word, state.as_str(), offered) {
        ("resume", _, _) => {
            let down = after["master_down_ms"].as_u64().unwrap_or(0);
            (
                true,
                format!(
                    "{name} is {state} and takes part in the election; where it is the better router it is master within {down} ms"
                ),
            )
        }
        (_, "MASTER", _) => (
            false,
            format!("{name}: nobody took over within {within} ms; this host stays master"),
        ),
        (_, "BACKUP", true) => match (master, took_ms) {
            (Some(master), Some(ms)) => {
                (true, format!("{name}: {master} is master, after {ms} ms"))
            }
            _ => (
                false,
                format!(
                    "{name}: nobody took over within {within} ms; no host has the addresses (`resume` takes them back)"
                ),
            ),
        },
        (_, "BACKUP", false) => {
            let who = master.map_or("no master is known".to_owned(), |m| {
                format!("{m} is master")
            });
            (
                true,
                format!(
                    "{name} was backup already ({who}); it leaves the role there until `resume`"
                ),
            )
        }
        _ => (
            true,
            format!("{name} is {state}: it had no role to give away"),
        ),
    };
    Outcome {
        good,
        text,
        took_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(word: &str, leaving: bool, after: &Value) -> Outcome {
        let before = json!({"name": "VI_1", "leaving": leaving, "within_ms": 2000});
        judge(word, &before, after, Duration::from_millis(90))
    }

    #[test]
    fn a_successor_is_named_with_the_time_that_it_took() {
        let after = json!({"state": "BACKUP", "master": "10.77.0.12", "since_ms": 70});
        let found = outcome("demote", true, &after);
        assert_eq!(found.text, "VI_1: 10.77.0.12 is master, after 20 ms");
        assert!(found.good && found.took_ms == Some(20));
    }

    #[test]
    fn without_a_successor_the_order_failed_and_says_who_serves() {
        let found = outcome("demote", true, &json!({"state": "MASTER", "master": null}));
        assert!(!found.good && found.text.contains("nobody took over within 2000 ms"));
        let found = outcome(
            "maintenance",
            true,
            &json!({"state": "BACKUP", "master": null}),
        );
        assert!(!found.good && found.text.contains("no host has the addresses"));
    }

    #[test]
    fn a_backup_and_a_faulty_router_have_no_role_to_give_away() {
        let after = json!({"state": "BACKUP", "master": "10.77.0.12"});
        let found = outcome("demote", false, &after);
        assert!(found.good && found.text.contains("10.77.0.12 is master"));
        assert!(outcome("demote", false, &json!({"state": "FAULT"})).good);
    }
}
