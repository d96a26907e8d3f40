//! All hosts of a file: each is asked for its facts by a command of its own.

use super::facts::{Facts, now_ms};
use super::{Finding, Level, Options, checks};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest wait for one host; a dead one may keep ssh waiting for minutes.
const PATIENCE: Duration = Duration::from_secs(20);

/// From a look that finds an address on no host or on two to the look that counts.
const SETTLING: Duration = Duration::from_secs(1);

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

/// Asks every host, all at once, and compares.
pub fn look(file: &Path, options: &Options) -> Result<Vec<Finding>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let hosts: File = toml::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    if hosts.host.is_empty() {
        return Err(format!(
            "{} names no host: write a [[host]] with `name` and `run` for each",
            file.display()
        ));
    }
    let (mut findings, mut all) = ask_and_judge(&hosts.host, options);
    if checks::in_motion(&all) {
        // a planned switch takes less than that, and an election little more
        std::thread::sleep(SETTLING);
        (findings, all) = ask_and_judge(&hosts.host, options);
    }
    findings.extend(checks::together(&all));
    Ok(findings)
}

/// The findings about each host alone, and the hosts that answered.
fn ask_and_judge(hosts: &[Host], options: &Options) -> (Vec<Finding>, Vec<checks::Host>) {
    let mut findings = Vec::new();
    let mut all = Vec::new();
    for (host, answer) in hosts.iter().zip(ask_all(hosts, options)) {
        match answer {
            Ok((asked, mut facts, answered)) => {
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
                mend: format!("{} {} doctor  # what does it say?", host.run, host.evenkeel),
            }),
        }
    }
    (findings, all)
}

/// The facts of one host, between the times of the question and of the answer.
type Answer = Result<(u64, Facts, u64), String>;

/// What each host answers, in the order of the hosts.
fn ask_all(hosts: &[Host], options: &Options) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let question = |host| {
            scope.spawn(move || {
                let asked = now_ms();
                ask(host, options).map(|facts| (asked, facts, now_ms()))
            })
        };
        let questions: Vec<_> = hosts.iter().map(question).collect();
        let broken = |_| Err("the question failed".to_owned());
        let answers = questions
            .into_iter()
            .map(|q| q.join().unwrap_or_else(broken));
        answers.collect()
    })
}

fn ask(host: &Host, options: &Options) -> Result<Facts, String> {
    if host.run.is_empty() {
        return Ok(Facts::gather(options));
    }
    let mut words = host.run.split_whitespace();
    let program = words.next().ok_or("`run` is empty")?;
    let mut command = Command::new(program);
    command
        .args(words)
        .args([&host.evenkeel, "doctor", "--facts"])
        .arg("--lb")
        .arg(&options.lb)
        .arg("--vip")
        .arg(&options.vip)
        .arg("--run-dir")
        .arg(&options.run_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = within(PATIENCE, &mut command).map_err(|e| format!("{program}: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or("no answer").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("not facts: {e}"))
}

/// Runs a command, and kills it when that takes longer.
fn within(limit: Duration, command: &mut Command) -> Result<Output, String> {
    let child = command.spawn().map_err(|e| e.to_string())?;
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let (done, output) = mpsc::channel();
    // what the command started may hold its output open; nobody waits for that
    std::thread::spawn(move || done.send(child.wait_with_output()));
    match output.recv_timeout(limit) {
        Ok(output) => output.map_err(|e| e.to_string()),
        Err(_) => {
            // a child that nobody has waited for yet
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            Err(format!("no answer within {} s", limit.as_secs()))
        }
    }
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
    use clap::Parser;

    #[test]
    fn a_file_that_names_no_host_is_no_clean_bill() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, "host = []").expect("written");
        let options = Options::try_parse_from(["evenkeel doctor"]).expect("defaults");
        let refused = look(file.path(), &options);
        assert!(refused.is_err_and(|e| e.contains("names no host")));
    }

    #[test]
    fn a_host_that_says_nothing_is_given_up() {
        let soon = Duration::from_millis(50);
        let silent = within(soon, Command::new("sleep").arg("60"));
        assert!(silent.is_err_and(|e| e.contains("no answer within")));
        assert!(within(PATIENCE, &mut Command::new("true")).is_ok_and(|o| o.status.success()));
    }

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
