//! What a finished check does to its server, and what is said about it.

use super::dialogue::Finding;
use super::plan::Plan;
use crate::core::health::{CheckResult, Outcome, Verdict};
use crate::core::server::{Change, Operation};
use crate::state::{Proxy, Runtime};
use conf::lb::model::Level;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Logs a line for a proxy at a level.
pub type Teller = Arc<dyn Fn(&Proxy, Level, &str) + Send + Sync>;

/// Records a finding and changes the server as the counter asks.
pub fn conclude(runtime: &Runtime, tell: &Teller, plan: &Plan, finding: Finding, took: Duration) {
    let outcome = Outcome {
        status: finding.status,
        code: finding.code,
        description: finding.text,
        duration: Some(took),
    };
    let (recorded, reason, line) = {
        let mut health = plan.health();
        health.running = false;
        let recorded = health.record(&outcome);
        let reason = health.reason();
        let (have, of) = health.fraction();
        let word = match (health.is_up(), plan.server.status().weight) {
            (false, _) => "DOWN",
            (true, 0) => "DRAIN",
            (true, _) => "UP",
        };
        (recorded, reason, format!("status: {have}/{of} {word}"))
    };
    if recorded.counts_as_failure {
        plan.server.counters.shared().failed_checks.add_shared(1);
    }
    if outcome.status.result() != CheckResult::Failed {
        plan.server.errors_in_row.store(0, Relaxed);
    }
    let logs_checks = plan.backend.conf.logging.health_checks;
    if logs_checks && recorded.changed {
        let text = check_line(plan, &outcome, &reason, &line);
        tell(&plan.backend, Level::Notice, &text);
    }
    // with log-health-checks the line before has already said why
    let reason = if logs_checks { "" } else { reason.as_str() };
    apply(runtime, plan, recorded.verdict, reason);
}

/// Changes the server as a verdict asks.
pub fn apply(runtime: &Runtime, plan: &Plan, verdict: Verdict, reason: &str) {
    let server = &plan.server;
    let change = match verdict {
        Verdict::Wait => return,
        Verdict::Stop => Change::Down,
        Verdict::Run if server.is_healthy() => Change::Up,
        Verdict::Run => return,
        Verdict::Drain => {
            let running = server.status().operation != Operation::Stopped;
            if !running && server.is_healthy() {
                runtime.change(server, Change::Up, reason);
            }
            Change::Stopping
        }
    };
    runtime.change(server, change, reason);
}

fn check_line(plan: &Plan, outcome: &Outcome, reason: &str, line: &str) -> String {
    let result = outcome.status.result();
    let conditionally = match result {
        CheckResult::ConditionallyPassed => "conditionally ",
        CheckResult::Unknown | CheckResult::Failed | CheckResult::Passed => "",
    };
    let verb = match result {
        CheckResult::Failed | CheckResult::Unknown => "failed",
        CheckResult::Passed | CheckResult::ConditionallyPassed => "succeeded",
    };
    format!(
        "Health check for {}server {}/{} {conditionally}{verb}{reason}, {line}.",
        if plan.server.conf.backup {
            "backup "
        } else {
            ""
        },
        plan.backend.name(),
        plan.server.name(),
    )
}
