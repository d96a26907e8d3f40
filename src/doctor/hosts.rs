//! All hosts of a file: each is asked for its facts by a command of its own.

use super::facts::{Facts, now_ms};
use super::{Finding, Level, Options, checks};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};

/// Clocks further apart than this are a finding.
const CLOCK_LIMIT_MS: u64 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    host: Vec<Host>,
}

/// One host of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    /// Its name in the findings.
    name: String,
    /// What runs a command there: `ssh root@proxy-a`; empty for this host.
    #[serde(default)]
    run: String,
    /// The binary there.
    #[serde(default = "binary")]
    evenkeel: String,
}

fn binary() -> String {
    "evenkeel".to_owned()
}

/// Asks every host and compares.
pub fn look(file: &Path, options: &Options) -> Result<Vec<Finding>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let hosts: File = toml::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut findings = Vec::new();
    let mut all = Vec::new();
    for host in &hosts.host {
        let asked = now_ms();
        match ask(host, options) {
            Ok(mut facts) => {
                let answered = now_ms();
                facts.host.clone_from(&host.name);
                findings.extend(clock(&facts, asked, answered));
                let host = checks::Host::new(facts);
                findings.extend(checks::host(&host));
                all.push(host);
            }
            Err(reason) => findings.push(Finding {
                level: Level::Error,
                host: host.name.clone(),
                text: format!("cannot be asked: {reason}"),
                mend: format!("try: {} {} doctor", host.run, host.evenkeel),
            }),
        }
    }
    findings.extend(checks::together(&all));
    Ok(findings)
}

fn ask(host: &Host, options: &Options) -> Result<Facts, String> {
    if host.run.is_empty() {
        return Ok(Facts::gather(options));
    }
    let mut words = host.run.split_whitespace();
    let program = words.next().ok_or("`run` is empty")?;
    let output = Command::new(program)
        .args(words)
        .args([&host.evenkeel, "doctor", "--facts"])
        .arg("--lb")
        .arg(&options.lb)
        .arg("--vip")
        .arg(&options.vip)
        .arg("--run-dir")
        .arg(&options.run_dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or("no answer").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("not facts: {e}"))
}

/// Its clock against ours, as far as the time of the question allows.
fn clock(facts: &Facts, asked: u64, answered: u64) -> Option<Finding> {
    let early = asked.saturating_sub(facts.time_ms);
    let late = facts.time_ms.saturating_sub(answered);
    let apart = early.max(late);
    (apart > CLOCK_LIMIT_MS).then(|| Finding {
        level: Level::Warning,
        host: facts.host.clone(),
        text: format!(
            "its clock is {:.1} s away from this host's",
            apart as f64 / 1000.0
        ),
        mend: "timedatectl set-ntp true (or start chrony)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_only_as_far_as_the_question_allows() {
        let facts = |time_ms| Facts {
            time_ms,
            ..Facts::default()
        };
        assert_eq!(clock(&facts(5_500), 5_000, 9_000), None);
        assert!(clock(&facts(2_000), 5_000, 9_000).is_some());
        assert!(clock(&facts(20_000), 5_000, 9_000).is_some());
    }
}
