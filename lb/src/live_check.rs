//! `evenkeel lb check --live -f FILE`: every server's check once, and a table
//! of what came of it, before anything takes traffic.
//!
//! The checks are those of the running balancer, by the same thread; nothing
//! listens and nothing is changed.

use crate::core::health::CheckResult;
use crate::loading;
use crate::options::Options;
use crate::probe::{self, Teller};
use crate::state::{Endpoint, Generation, Proxy, Runtime, Server};
use conf::lb::Config;
use serde_json::json;
use std::process::ExitCode;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

/// Beyond the longest check's own time-outs.
const MARGIN: Duration = Duration::from_secs(1);
/// How often the results are looked at.
const TURN: Duration = Duration::from_millis(5);
/// Status when the configuration cannot be used.
const TROUBLE: u8 = 2;

/// Runs the command.
pub fn command(args: &[String]) -> ExitCode {
    let live = args.iter().any(|arg| arg == "--live");
    let rest = args.iter().filter(|arg| *arg != "--live").cloned();
    let options = match Options::parse(rest) {
        Ok(options) if !options.files.is_empty() => options,
        Ok(_) => return trouble("no configuration file"),
        Err(problem) => return trouble(&problem),
    };
    if !live {
        let arguments = std::iter::once("-c".to_owned()).chain(args.iter().cloned());
        return crate::command::command(arguments.collect());
    }
    let loaded = loading::load(&options);
    let Some(config) = loaded.config else {
        eprint!("{}", loaded.report.human(false));
        return ExitCode::from(TROUBLE);
    };
    match run(config) {
        Ok(rows) => answer(&rows, options.json),
        Err(error) => trouble(&format!("no checks: {error}")),
    }
}

fn trouble(problem: &str) -> ExitCode {
    eprintln!(
        "evenkeel lb check: {problem}\n\nUsage: evenkeel lb check --live -f FILE [--format json]\n\n\
         Runs every server's check once and prints the results.\n\
         Status: 0 all passed, 1 some failed, 2 trouble. Without --live as `evenkeel lb -c`."
    );
    ExitCode::from(TROUBLE)
}

/// What is known about one server in the end.
struct Row {
    name: String,
    address: String,
    verdict: Verdict,
    result: &'static str,
    code: Option<u32>,
    time: Option<Duration>,
    reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "-",
        }
    }
}

fn run(mut config: Config) -> std::io::Result<Vec<Row>> {
    // all at once rather than spread over the interval
    config.global.max_spread_checks = Some(Duration::ZERO);
    let runtime = Runtime::new(Vec::new());
    let generation = Generation::next(&runtime, Arc::new(config));
    runtime.install(generation.clone());
    crate::facts::set_variables(&runtime);
    let quiet: Teller = Arc::new(|_: &Proxy, _, _: &str| {});
    let until = Instant::now() + patience(&generation);
    let (prober, _) = probe::start(runtime, quiet)?;
    prober.follow(generation.clone());
    while Instant::now() < until && generation.servers().any(|(_, server)| is_open(server)) {
        std::thread::sleep(TURN);
    }
    prober.stop();
    Ok(generation
        .servers()
        .map(|(backend, server)| row(backend, server))
        .collect())
}

/// The longest time that a check may take by its own settings.
fn patience(generation: &Generation) -> Duration {
    let checks = generation
        .servers()
        .filter(|(_, server)| server.conf.check.enabled);
    let longest = checks.map(|(backend, server)| {
        let check = backend.conf.back.as_ref().map(|back| &back.check);
        let answer = check.and_then(|check| check.timeout).unwrap_or_default();
        server.conf.check.inter + answer
    });
    longest.max().unwrap_or_default() + MARGIN
}

fn health(server: &Server) -> MutexGuard<'_, crate::core::health::Health> {
    server.health.lock().unwrap_or_else(|e| e.into_inner())
}

fn is_checked(server: &Server) -> bool {
    server.conf.check.enabled && !server.status().admin.in_maintenance()
}

/// Its check has no result yet.
fn is_open(server: &Server) -> bool {
    is_checked(server) && health(server).status().result() == CheckResult::Unknown
}

fn row(backend: &Proxy, server: &Server) -> Row {
    let name = format!("{}/{}", backend.name(), server.name());
    let address = crate::admin::address::endpoint(&server.endpoint());
    if !is_checked(server) {
        let reason = match (&server.conf.track, server.conf.check.enabled) {
            (Some(track), _) => format!("follows {}/{}", track.backend, track.server),
            (None, true) if *server.endpoint() == Endpoint::Unresolved => {
                "its name has no address".to_owned()
            }
            (None, true) => "in maintenance by the configuration".to_owned(),
            (None, false) => "no check is configured".to_owned(),
        };
        return Row {
            name,
            address,
            verdict: Verdict::Skipped,
            result: "-",
            code: None,
            time: None,
            reason,
        };
    }
    let health = health(server);
    let (verdict, reason) = match health.status().result() {
        CheckResult::Passed => (Verdict::Passed, health.description().to_owned()),
        CheckResult::ConditionallyPassed => (
            Verdict::Failed,
            with_text("wants no new sessions", health.description()),
        ),
        CheckResult::Failed => (
            Verdict::Failed,
            with_text(health.status().description(), health.description()),
        ),
        CheckResult::Unknown => (Verdict::Failed, "no result in time".to_owned()),
        CheckResult::Neutral => (
            Verdict::Skipped,
            with_text("neither good nor bad", health.description()),
        ),
    };
    Row {
        name,
        address,
        verdict,
        result: health.status().name(),
        code: health.code(),
        time: health.duration(),
        reason,
    }
}

fn with_text(what: &str, text: &str) -> String {
    match text.is_empty() {
        true => what.to_owned(),
        false => format!("{what}: {text}"),
    }
}

fn answer(rows: &[Row], json: bool) -> ExitCode {
    match json {
        true => println!("{}", as_json(rows)),
        false => print!("{}", table(rows)),
    }
    let failed = rows.iter().any(|row| row.verdict == Verdict::Failed);
    ExitCode::from(u8::from(failed))
}

fn as_json(rows: &[Row]) -> serde_json::Value {
    let one = |row: &Row| {
        json!({
            "server": row.name,
            "address": row.address,
            "passed": match row.verdict {
                Verdict::Passed => Some(true),
                Verdict::Failed => Some(false),
                Verdict::Skipped => None,
            },
            "result": row.result,
            "code": row.code,
            "time_us": row.time.map(|time| time.as_micros() as u64),
            "reason": row.reason,
        })
    };
    rows.iter().map(one).collect()
}

fn table(rows: &[Row]) -> String {
    let head = ["SERVER", "ADDRESS", "CHECK", "RESULT", "TIME", "REASON"].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        let result = match row.code {
            Some(code) if code > 0 => format!("{}/{code}", row.result),
            _ => row.result.to_owned(),
        };
        let time = row.time.map_or("-".to_owned(), |time| {
            format!("{:.1}ms", time.as_secs_f64() * 1000.0)
        });
        let printable = row
            .reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c });
        [
            row.name.clone(),
            row.address.clone(),
            row.verdict.word().to_owned(),
            result,
            time,
            printable.collect(),
        ]
    });
    let all: Vec<[String; 6]> = std::iter::once(head).chain(lines).collect();
    let width = |column: usize| {
        all.iter()
            .map(|l| l[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut out = String::new();
    for line in &all {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let cells: Vec<String> = cells.collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    out.push_str(&format!(
        "{} passed, {} failed, {} without a check\n",
        count(Verdict::Passed),
        count(Verdict::Failed),
        count(Verdict::Skipped)
    ));
    out
}
