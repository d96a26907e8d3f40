//! The scenarios of the system tests with our proxies and with haproxy and
//! keepalived in turn, in one run; prints a table and, with `--write FILE`,
//! writes it.
//!
//!     cargo bench --bench failover -- [--runs N] [--only NAME] [--write docs/results.md]
//!
//! Needs root, haproxy, keepalived, RabbitMQ, pika (EVENKEEL_PYTHON) and the
//! Java client, all of which `tests/run` installs.

#[path = "../tests/system/scenario.rs"]
mod scenario;

use scenario::{Outcome, Proxies, SCENARIOS, SWITCH, Scenario};
use std::fmt::Write as _;
use std::path::Path;

struct Wish {
    runs: usize,
    only: Option<String>,
    write: Option<String>,
}

fn wish() -> Wish {
    let mut wish = Wish {
        runs: 3,
        only: None,
        write: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--runs" => wish.runs = args.next().and_then(|n| n.parse().ok()).unwrap_or(3),
            "--only" => wish.only = args.next(),
            "--write" => wish.write = args.next(),
            _ => {}
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
        let worst = self.gaps.iter().max().copied().unwrap_or(0);
        format!(
            "{median} ({worst}) | {} of {} | {} ({}) | {}",
            self.lost, self.confirmed, self.duplicates, self.unflagged, self.reconnects
        )
    }
}

fn main() {
    let wish = wish();
    let binary = Path::new(env!("CARGO_BIN_EXE_evenkeel"));
    let chosen = |s: &&Scenario| wish.only.as_deref().is_none_or(|only| s.name == only);
    let mut table = String::from(
        "| scenario | proxies | longest client gap, ms: median (worst) | confirmed lost | duplicates (unflagged) | reconnects |\n\
         |---|---|---|---|---|---|\n",
    );
    for scenario in SCENARIOS.iter().chain([&SWITCH]).filter(chosen) {
        let mut figures = [Figures::default(), Figures::default()];
        for run in 0..wish.runs {
            let mut order = [Proxies::Ours, Proxies::Peers];
            if run % 2 == 1 {
                order.reverse();
            }
            for proxies in order {
                if scenario.name == SWITCH.name && proxies == Proxies::Peers {
                    continue;
                }
                let outcome = scenario::run(scenario, proxies, binary);
                eprintln!(
                    "{} {proxies:?} run {run}: gap {} ms",
                    scenario.name,
                    outcome.gap_ms()
                );
                figures[usize::from(proxies == Proxies::Peers)].add(&outcome);
            }
        }
        for (name, figures) in ["Evenkeel", "haproxy + keepalived"].iter().zip(&figures) {
            if figures.runs > 0 {
                let _ = writeln!(
                    table,
                    "| {}: {} | {name} | {} |",
                    scenario.name,
                    scenario.what,
                    figures.cells()
                );
            }
        }
    }
    println!("{table}");
    if let Some(path) = wish.write {
        let page = page(&table, wish.runs);
        std::fs::write(&path, page).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
}

fn page(table: &str, runs: usize) -> String {
    format!(
        "# Results under faults\n\n\
         Written by `cargo bench --bench failover -- --runs {runs} --write docs/results.md`.\n\n\
         Two clients (pika and RabbitMQ's Java client), each with a publisher with confirms and a consumer with manual\n\
         acknowledgement, know one address, the virtual one, and reconnect at once. Both kinds of proxies stand in the\n\
         same namespaces with the same adverts (0.1 s) and the same checks, started by the same code in one run, in\n\
         alternating order. The gap is the longest silence that any client saw (publishing or consuming), so it includes\n\
         the client's own detection. Brokers: one node of ours, or a three-node RabbitMQ cluster with mirrored queues\n\
         where the scenario is about RabbitMQ.\n\n{table}"
    )
}
