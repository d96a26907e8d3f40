//! Compares our judgement of many lines with that of the real `haproxy -c`:
//! accepted or refused, with or without a warning. `haproxy/lines.txt` names
//! the differences that are meant; one that went away fails too.

use conf::diagnostic::Severity;
use conf::lb::{self, Env};
use std::path::Path;
use std::process::Command;

const TIMEOUTS: &str = " timeout connect 5s\n timeout client 5s\n timeout server 5s\n";

#[derive(Debug, PartialEq, Eq)]
struct Judgement {
    accepted: bool,
    warned: bool,
}

/// A whole file around the lines of a case.
fn file(section: &str, case: &str) -> String {
    let lines: String = case.split("\\N").map(|line| format!(" {line}\n")).collect();
    let proxies = |mode: &str, lines: &str| {
        format!(
            "defaults\n mode tcp\n{TIMEOUTS}listen l\n bind :1\n{mode}{lines} server s0 1.1.1.1:1\n\
             backend other\n{mode} server s1 1.1.1.2:1\n"
        )
    };
    let around = |defaults: &str, front: &str, back: &str| {
        format!(
            "defaults\n mode tcp\n{TIMEOUTS}{defaults}frontend f\n bind :1\n{front} default_backend b\n\
             backend b\n{back} server s0 1.1.1.1:1\nbackend other\n server s1 1.1.1.2:1\n"
        )
    };
    match section {
        "defaults" => around(&lines, "", ""),
        "frontend" => around("", &lines, ""),
        "backend" => around("", "", &lines),
        "http" => proxies(" mode http\n", &lines),
        "global" => format!("global\n{lines}{}", proxies("", "")),
        _ => proxies("", &lines),
    }
}

fn ours(path: &Path) -> Judgement {
    let env: Env = [("V", "val"), ("W", "one two")].into_iter().collect();
    let (config, report) = lb::load(&[path.to_owned()], env);
    Judgement {
        accepted: config.is_some(),
        warned: config.is_some() && report.count(Severity::Warning) > 0,
    }
}

fn theirs(path: &Path) -> Judgement {
    let output = Command::new("haproxy")
        .args(["-c", "-f"])
        .arg(path)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("V", "val")
        .env("W", "one two")
        .output()
        .expect("haproxy can be run");
    let accepted = output.status.success();
    Judgement {
        accepted,
        warned: accepted && String::from_utf8_lossy(&output.stderr).contains("[WARNING]"),
    }
}

/// A line of the list: section, case, and why the judgements differ.
type Case<'a> = (&'a str, &'a str, Option<&'a str>);

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut section = "";
    let mut out = Vec::new();
    for line in text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name;
            continue;
        }
        match line.split_once("  ~ ") {
            Some((case, reason)) => out.push((section, case, Some(reason))),
            None => out.push((section, line, None)),
        }
    }
    out
}

/// What is not as the list says.
fn surprises(cases: &[Case<'_>]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("case.cfg");
    let mut out = Vec::new();
    for (section, case, reason) in cases {
        std::fs::write(&path, file(section, case)).expect("a file");
        let (our, their) = (ours(&path), theirs(&path));
        match (our == their, reason) {
            (true, Some(reason)) => out.push(format!("{case}: no longer differs ({reason})")),
            (false, None) => out.push(format!("{case}: ours {our:?}, haproxy {their:?}")),
            _ => {}
        }
    }
    out
}

#[test]
#[ignore = "needs haproxy; tests/run installs it and runs this"]
fn lines_are_judged_as_haproxy_judges_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/haproxy/lines.txt");
    let text = std::fs::read_to_string(path).expect("the cases");
    let cases = cases(&text);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = cases
            .chunks(cases.len().div_ceil(8))
            .map(|part| scope.spawn(|| surprises(part)))
            .collect();
        let results = parts.into_iter().map(|part| part.join());
        results.flat_map(|r| r.expect("no panic")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
