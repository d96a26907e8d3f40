//! The scenarios of the system tests with our proxies and with haproxy and
//! keepalived in turn, in one run; prints a table and, with `--write FILE`,
//! writes it.
//!
//!     cargo bench --bench failover -- [--runs N] [--rabbit-runs N] [--only NAME] [--write docs/results.md]
//!
//! Needs root, haproxy, keepalived, RabbitMQ, pika and the Java client, all of
//! which `tests/peers` installs. Three runs of the scenarios
//! with our broker take a quarter of an hour, one of those with RabbitMQ seven
//! minutes more.

#[path = "../tests/kit/peers.rs"]
mod peers;
#[path = "../tests/system/scenario.rs"]
mod scenario;

use scenario::{Brokers, Decider, Outcome, Proxies, SCENARIOS, Scenario};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

struct Wish {
    runs: usize,
    rabbit_runs: usize,
    only: Option<String>,
    write: Option<String>,
}

fn wish() -> Wish {
    let mut wish = Wish {
        runs: 3,
        rabbit_runs: 1,
        only: None,
        write: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} takes a value"));
        let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{text}: a number"));
        match arg.as_str() {
            "--runs" => wish.runs = number(value()),
            "--rabbit-runs" => wish.rabbit_runs = number(value()),
            "--only" => wish.only = Some(value()),
            "--write" => wish.write = Some(value()),
            "--bench" => {}
            other => panic!("there is no option {other}"),
        }
    }
    wish
}

/// Sums and medians of one scenario with one kind of proxies.
#[derive(Default)]
struct Figures {
    gaps: Vec<u64>,
    lost: u64,
    unflagged: u64,
    duplicates: u64,
    reconnects: u64,
    confirmed: u64,
    runs: usize,
    broken: usize,
}

impl Figures {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        if outcome.books.is_empty() {
            self.broken += 1;
            return;
        }
        self.gaps.push(outcome.gap_ms());
        for books in &outcome.books {
            self.lost += books.lost;
            self.unflagged += books.unflagged;
            self.duplicates += books.duplicates;
            self.reconnects += books.reconnects;
            self.confirmed += books.confirmed;
        }
    }

    fn median(&self) -> Option<u64> {
        let mut gaps = self.gaps.clone();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied()
    }

    fn cells(&self) -> String {
        let Some(median) = self.median() else {
            return format!("{} of {} runs failed | - | - | -", self.broken, self.runs);
        };
        let mut all: Vec<String> = self.gaps.iter().map(u64::to_string).collect();
        all.extend((0..self.broken).map(|_| "failed".to_owned()));
        format!(
            "**{median}** ({}) | {} of {} | {} ({}) | {}",
            all.join(", "),
            self.lost,
            self.confirmed,
            self.duplicates,
            self.unflagged,
            self.reconnects
        )
    }
}

/// A scenario with both kinds of proxies.
struct Row {
    scenario: &'static Scenario,
    ours: Figures,
    peers: Figures,
}

fn main() {
    let wish = wish();
    let started = Instant::now();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_evenkeel"));
    let chosen = |s: &&Scenario| wish.only.as_deref().is_none_or(|only| s.name == only);
    let mut rows: Vec<Row> = SCENARIOS
        .iter()
        .filter(chosen)
        .map(|scenario| Row {
            scenario,
            ours: Figures::default(),
            peers: Figures::default(),
        })
        .collect();
    for round in 0..wish.runs.max(wish.rabbit_runs) {
        for row in &mut rows {
            let runs = match row.scenario.brokers {
                Brokers::Ours => wish.runs,
                Brokers::Rabbit => wish.rabbit_runs,
            };
            if round < runs {
                row.run(round, &binary);
            }
        }
    }
    let table = table(&rows);
    println!("{table}");
    eprintln!("{} s in all", started.elapsed().as_secs());
    if let Some(path) = &wish.write {
        let page = page(&table, &wish);
        std::fs::write(path, page).unwrap_or_else(|e| panic!("{path}: {e}"));
        let handbook = Path::new(path).with_file_name("failures.md");
        if let Ok(text) = std::fs::read_to_string(&handbook) {
            let text = with_figures(text, &rows);
            std::fs::write(&handbook, text).unwrap_or_else(|e| panic!("{handbook:?}: {e}"));
        }
    }
}

/// The handbook with these medians: a cell of its table is "`scenario`: ours / peers".
fn with_figures(mut text: String, rows: &[Row]) -> String {
    for row in rows {
        let start = format!("| `{}`: ", row.scenario.name);
        let Some(at) = text.find(&start).map(|at| at + start.len()) else {
            continue;
        };
        let Some(end) = text[at..].find(" |").map(|end| at + end) else {
            continue;
        };
        let figure = |f: &Figures| f.median().map_or("failed".to_owned(), |ms| ms.to_string());
        let figures = format!("{} / {}", figure(&row.ours), figure(&row.peers));
        text.replace_range(at..end, &figures);
    }
    text
}

impl Row {
    /// Both kinds of proxies once, in alternating order.
    fn run(&mut self, round: usize, binary: &Path) {
        let mut order = [Proxies::Ours, Proxies::Peers];
        if round % 2 == 1 {
            order.reverse();
        }
        for proxies in order {
            let outcome = scenario::run(self.scenario, proxies, binary);
            let name = self.scenario.name;
            let gaps: Vec<String> = outcome
                .books
                .iter()
                .map(|b| format!("{} {} ms, {} lost", b.client, b.gap_ms, b.lost))
                .collect();
            eprintln!("{name} {proxies:?} {}: {}", round + 1, gaps.join("; "));
            if outcome.books.len() < 2 {
                eprintln!("{}", outcome.output);
            }
            match proxies {
                Proxies::Ours => self.ours.add(&outcome),
                Proxies::Peers => self.peers.add(&outcome),
            }
        }
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| scenario | proxies | longest client gap, ms: median (each run) | confirmed lost | duplicates (unflagged) | sessions lost |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Scenario { name, what, .. } = row.scenario;
        for (proxies, figures) in [
            ("Evenkeel", &row.ours),
            ("haproxy + keepalived", &row.peers),
        ] {
            if figures.runs > 0 {
                let cells = figures.cells();
                let _ = writeln!(table, "| {name}: {what} | {proxies} | {cells} |");
            }
        }
    }
    table + "\n" + &verdict(rows)
}

/// What the table says about the goal: shorter wherever a proxy decides, nothing lost.
fn verdict(rows: &[Row]) -> String {
    let mut decided = rows
        .iter()
        .filter(|r| r.scenario.decider == Decider::Proxy)
        .peekable();
    if decided.peek().is_none() {
        return String::new();
    }
    let mut shorter = Vec::new();
    let mut not = Vec::new();
    for row in decided {
        let (Some(ours), Some(peers)) = (row.ours.median(), row.peers.median()) else {
            continue;
        };
        let list = if ours < peers { &mut shorter } else { &mut not };
        list.push(row.scenario.name);
    }
    let lost: u64 = rows.iter().map(|r| r.ours.lost + r.ours.unflagged).sum();
    let none = |list: &[&str]| match list {
        [] => "none".to_owned(),
        list => list.join(", "),
    };
    format!(
        "Of the scenarios that a proxy decides, the median gap is shorter with Evenkeel in: {}; not shorter in: {}.\n\
         Confirmed messages lost or duplicated without the flag with Evenkeel, all scenarios: {lost}.\n",
        none(&shorter),
        none(&not)
    )
}

/// What a command prints, in one line.
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "?".to_owned())
}

fn page(table: &str, wish: &Wish) -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let kernel = said("uname", &["-r"]);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "# Results under faults\n\n\
         Written by `cargo bench --bench failover -- --runs {} --rabbit-runs {} --write docs/results.md`\n\
         at commit {commit}, on {cores} cores, Linux {kernel}.\n\n\
         Two clients (pika and RabbitMQ's Java client), each with a publisher with confirms and a consumer with manual\n\
         acknowledgement, know one address, the virtual one, and reconnect at once. Both kinds of proxies stand in the\n\
         same namespaces with the same adverts (0.1 s), the same priorities and the same check intervals, started by the\n\
         same code in one run, in alternating order. The gap is the longest silence that any client saw (publishing or\n\
         consuming), so it includes the client's own detection: mostly its kernel's first retransmissions, 0.2 s and 0.6 s\n\
         after the last packet. Brokers: one node of ours, or a three-node RabbitMQ cluster with mirrored queues where the\n\
         scenario is about RabbitMQ.\n\n{table}",
        wish.runs, wish.rabbit_runs
    )
}
