//! What a finished check does to its server, and what is said about it.

use super::dialogue::Finding;
use super::plan::{Plan, Role};
use crate::core::agent::{Administration, Report};
use crate::core::health::{CheckResult, CheckStatus, Outcome, Verdict};
use crate::core::order;
use crate::core::server::{Change, Operation};
use crate::state::{Administered, Proxy, Runtime, Slot};
use conf::lb::model::Level;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Logs a line for a proxy at a level.
pub type Teller = Arc<dyn Fn(&Proxy, Level, &str) + Send + Sync>;

/// Records a finding and changes the server as the counter asks.
pub fn conclude(runtime: &Runtime, tell: &Teller, plan: &Plan, finding: Finding, took: Duration) {
    let mut outcome = Outcome {
        status: finding.status,
        code: finding.code,
        description: finding.text,
        duration: Some(took),
    };
    if let Some(report) = finding.agent {
        obey(runtime, plan, &report, &mut outcome);
    }
    let (recorded, reason, state) = {
        let mut health = plan.health();
        health.running = false;
        let recorded = health.record(&outcome);
        let reason = health.reason();
        (recorded, reason, (health.fraction(), health.is_up()))
    };
    if recorded.counts_as_failure {
        plan.server.counters.shared().failed_checks.add_shared(1);
    }
    if plan.role == Role::Health && outcome.status.result() != CheckResult::Failed {
        plan.server.errors_in_row.store(0, Relaxed);
    }
    let logs_checks = plan.backend.conf.logging.health_checks;
    if logs_checks && recorded.changed {
        let text = check_line(plan, &outcome, &reason, state);
        tell(&plan.backend, Level::Notice, &text);
    }
    // with log-health-checks the line before has already said why
    let reason = if logs_checks { "" } else { reason.as_str() };
    apply(runtime, plan, recorded.verdict, reason);
}

/// Does what an agent asks for, and turns its words into the outcome of its check.
fn obey(runtime: &Runtime, plan: &Plan, report: &Report, outcome: &mut Outcome) {
    let server = &plan.server;
    match report.administration {
        Some(Administration::Ready) => runtime.administer(server, Administered::Ready),
        Some(Administration::Drain) => runtime.administer(server, Administered::Drain),
        Some(Administration::Maint) => runtime.administer(server, Administered::Maint),
        None => {}
    }
    let mut warning = None;
    if let Some(word) = &report.weight {
        let initial = server.status().initial_weight;
        match order::weight(word, initial) {
            Ok(weight) => {
                runtime.change(server, Change::Weight(weight), "");
            }
            Err(text) => warning = Some(text),
        }
    }
    if let Some(word) = &report.maxconn {
        match order::maxconn(word) {
            Ok(limit) => {
                server.maxconn.store(limit, Relaxed);
                // a slot taken and given back is what serves the queue
                drop(Slot::take(server.clone()));
            }
            Err(text) => warning = warning.or(Some(text)),
        }
    }
    outcome.description = report.text(warning);
    match &report.health {
        Some((true, _)) => {
            plan.health().force_up();
            outcome.status = CheckStatus::L7Ok;
        }
        Some((false, _)) => {
            plan.health().force_down();
            outcome.status = CheckStatus::L7Status;
        }
        None => {}
    }
}

/// Changes the server as a verdict asks.
pub fn apply(runtime: &Runtime, plan: &Plan, verdict: Verdict, reason: &str) {
    let server = &plan.server;
    let change = match verdict {
        Verdict::Wait => return,
        Verdict::Stop => Change::Down,
        // an agent does not take back what a health check said (404)
        Verdict::Run
            if plan.role == Role::Agent && server.status().operation == Operation::Stopping =>
        {
            return;
        }
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

fn check_line(plan: &Plan, outcome: &Outcome, reason: &str, state: ((u32, u32), bool)) -> String {
    let ((have, of), is_up) = state;
    let word = match (is_up, plan.server.status().weight) {
        (false, _) => "DOWN",
        (true, 0) => "DRAIN",
        (true, _) => "UP",
    };
    let result = outcome.status.result();
    let conditionally = match result {
        CheckResult::ConditionallyPassed => "conditionally ",
        CheckResult::Unknown | CheckResult::Neutral | CheckResult::Failed | CheckResult::Passed => {
            ""
        }
    };
    let verb = match result {
        CheckResult::Failed | CheckResult::Unknown | CheckResult::Neutral => "failed",
        CheckResult::Passed | CheckResult::ConditionallyPassed => "succeeded",
    };
    format!(
        "{} check for {}server {}/{} {conditionally}{verb}{reason}, status: {have}/{of} {word}.",
        match plan.role {
            Role::Health => "Health",
            Role::Agent => "Agent",
        },
        if plan.server.conf.backup {
            "backup "
        } else {
            ""
        },
        plan.backend.name(),
        plan.server.name(),
    )
}
