//! The operator's tools: they talk to the admin socket and print.

mod order;
mod watch;

use crate::WITNESS_SILENT_MS;
use crate::options::Options;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs a tool; 0 when it went well, 1 when not, 64 for a wrong call.
pub fn run(name: &str, arguments: &[String], options: &Options) -> ExitCode {
    let result = match name {
        "lint" => return lint(arguments, options),
        "status" => status(options),
        "watch" => watch::watch(options),
        "explain" => explain(arguments.first(), options),
        _ => order::order(name, arguments.first(), options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel vip {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends a question to the daemon; gives its answer.
fn ask(options: &Options, question: &Value) -> Result<Value, String> {
    let path = options.socket();
    let stream = UnixStream::connect(&path).map_err(|e| {
        format!(
            "no daemon answers at {} ({e}); with another --run-dir, name it here too",
            path.display()
        )
    })?;
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    (&stream)
        .write_all(format!("{question}\n").as_bytes())
        .map_err(|e| e.to_string())?;
    let mut line = String::new();
    BufReader::new(&stream)
        .read_line(&mut line)
        .map_err(|e| format!("the daemon does not answer: {e}"))?;
    serde_json::from_str(&line).map_err(|e| format!("the answer is no JSON: {e}"))
}

fn get_status(options: &Options) -> Result<Value, String> {
    ask(options, &json!({"command": "status"}))
}

fn status(options: &Options) -> Result<(), String> {
    let status = get_status(options)?;
    if options.json {
        println!("{status:#}");
    } else {
        print!("{}", table(&status));
    }
    Ok(())
}

fn table(status: &Value) -> String {
    let mut rows = vec![
        [
            "INSTANCE",
            "STATE",
            "PRIORITY",
            "MASTER",
            "SINCE",
            "ADDRESSES",
        ]
        .map(str::to_owned),
    ];
    for i in status["instances"].as_array().into_iter().flatten() {
        let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
        let mut state = text(&i["state"]);
        for (flag, word) in [
            ("leaving", "leaving"),
            ("maintenance", "maintenance"),
            ("demoted", "demoted"),
            ("split_brain", "SPLIT BRAIN"),
        ] {
            if i[flag] == true {
                state.push_str(&format!(" ({word})"));
            }
        }
        let addresses = i["addresses"].as_array().into_iter().flatten();
        let addresses: Vec<&str> = addresses.filter_map(Value::as_str).collect();
        let since = i["since_ms"]
            .as_u64()
            .map_or("-".to_owned(), |ms| format!("{} s", ms / 1000));
        let master = if i["state"] == "MASTER" {
            "this host".to_owned()
        } else {
            text(&i["master"])
        };
        rows.push([
            text(&i["name"]),
            state,
            i["priority"].to_string(),
            master,
            since,
            addresses.join(" "),
        ]);
    }
    let mut out = columns(&rows);
    for p in status["pair"]["peers"].as_array().into_iter().flatten() {
        let alive = if p["alive"] == true {
            "alive"
        } else if p["witnessed"] == true {
            "not heard, but alive: a witness brings its heartbeats; mend the network between the hosts"
        } else if p["other_key"] == true {
            "speaks with another key: `evenkeel vip lint` with both files shows more"
        } else {
            "silent"
        };
        let drift = if p["alive"] == true && p["same_configuration"] == false {
            ", its configuration does not fit"
        } else {
            ""
        };
        out.push_str(&format!(
            "peer {}: {alive}{drift}\n",
            p["address"].as_str().unwrap_or("-")
        ));
    }
    for w in status["pair"]["witnesses"].as_array().into_iter().flatten() {
        let word = match w["silent_ms"].as_u64() {
            Some(silent) if silent < WITNESS_SILENT_MS => "carries",
            Some(_) => "carries nothing any more",
            None => {
                "has carried nothing yet (does it answer pings, does the peer's file name it, \
                     may this network carry a packet with the peer's address?)"
            }
        };
        let address = w["address"].as_str().unwrap_or("-");
        out.push_str(&format!("witness {address}: {word}\n"));
    }
    let clients = &status["pair"]["clients"];
    let count = |field: &str| clients[field].as_u64().unwrap_or(0);
    if count("told") + count("known") > 0 {
        out.push_str(&format!(
            "clients: the peer knows {} of this host, this host {} of the peer\n",
            count("told"),
            count("known")
        ));
    }
    out
}

fn columns(rows: &[[String; 6]]) -> String {
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, w)| format!("{cell:w$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn explain(name: Option<&String>, options: &Options) -> Result<(), String> {
    let status = get_status(options)?;
    let all = status["instances"].as_array().cloned().unwrap_or_default();
    let meant: Vec<&Value> = all
        .iter()
        .filter(|i| name.is_none_or(|n| i["name"] == n.as_str()))
        .collect();
    if meant.is_empty() {
        let names: Vec<&str> = all.iter().filter_map(|i| i["name"].as_str()).collect();
        return Err(format!(
            "there is no such instance; there are: {}",
            names.join(", ")
        ));
    }
    for i in meant {
        println!(
            "{} is {}",
            i["name"].as_str().unwrap_or("-"),
            i["state"].as_str().unwrap_or("-")
        );
        for line in i["why"].as_array().into_iter().flatten() {
            println!("  {}", line.as_str().unwrap_or(""));
        }
        println!("  transitions, oldest first:");
        for (at, line) in timeline(i) {
            println!("    {at}  {line}");
        }
        for r in i["reports"].as_array().into_iter().flatten() {
            println!(
                "  seen {} times since {}: {}",
                r["count"],
                r["at"].as_str().unwrap_or("-"),
                r["text"].as_str().unwrap_or("-")
            );
        }
    }
    Ok(())
}

/// Changes of role and moments at which the daemon was late, with their times, oldest first.
fn timeline(instance: &Value) -> Vec<(String, String)> {
    let list = |name: &str| instance[name].as_array().into_iter().flatten();
    let text = |v: &Value, k: &str| v[k].as_str().unwrap_or("-").to_owned();
    let mut lines = Vec::new();
    for l in list("late") {
        let line = format!("late by {} ms: {}", l["by_ms"], text(l, "reason"));
        lines.push((text(l, "at"), line));
    }
    for t in list("transitions") {
        let (from, to, why) = (text(t, "from"), text(t, "to"), text(t, "reason"));
        lines.push((text(t, "at"), format!("{from} -> {to}: {why}")));
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

/// `FILE`, or `FILE@ID`: the file as the host with `-i ID` reads it.
fn on_host(text: &str, options: &Options) -> (PathBuf, conf::vip::Options) {
    let mut reading = options.reading();
    let whole = PathBuf::from(text);
    match text.rsplit_once('@').filter(|_| !whole.exists()) {
        Some((file, id)) => {
            reading.config_id = id.to_owned();
            (PathBuf::from(file), reading)
        }
        None => (whole, reading),
    }
}

/// Compares the files of both hosts.
fn lint(files: &[String], options: &Options) -> ExitCode {
    let [a, b] = files else {
        eprintln!("usage: evenkeel vip lint FILE-A[@ID] FILE-B[@ID]");
        return ExitCode::from(64);
    };
    let mut configs = Vec::new();
    for file in [a, b] {
        let (file, reading) = on_host(file, options);
        let (config, report) = conf::vip::load(&file, &reading);
        eprint!("{}", report.human(false));
        configs.extend(config);
    }
    let [a, b] = &configs[..] else {
        return ExitCode::from(5);
    };
    let findings = conf::vip::pair::compare(a, b);
    for finding in &findings {
        let kind = if finding.fatal { "error" } else { "hint" };
        println!(
            "{kind}: {}: {}\n  {}",
            finding.instance, finding.message, finding.help
        );
    }
    if findings.iter().any(|f| f.fatal) {
        return ExitCode::FAILURE;
    }
    println!("the two files fit together");
    ExitCode::SUCCESS
}
