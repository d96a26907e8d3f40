//! `observe`: what live traffic says about a server.

use super::engine::Prober;
use super::plan::Plan;
use super::verdict::apply;
use crate::core::health::{CheckStatus, Outcome, Verdict};
use crate::state::{Runtime, Server};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A session saw this server fail or work.
pub fn observed(runtime: &Runtime, prober: &Prober, server: &Arc<Server>, failed: bool) {
    let conf = &server.conf;
    if conf.observe.is_none() {
        return;
    }
    if !failed {
        server.errors_in_row.store(0, Relaxed);
        return;
    }
    let errors = server.errors_in_row.fetch_add(1, Relaxed) + 1;
    if errors < conf.error_limit.max(1) {
        return;
    }
    server.errors_in_row.store(0, Relaxed);
    server.counters.shared().observed_errors.add_shared(1);
    let Some(backend) = server.proxy() else {
        return;
    };
    let Some(plan) = Plan::of(&backend, server) else {
        return;
    };
    let outcome = Outcome {
        status: CheckStatus::Analysis,
        code: 0,
        description: format!(
            "Detected {errors} consecutive errors, last one was: L4 unsuccessful connection"
        ),
        duration: None,
    };
    let (recorded, reason) = {
        let mut health = plan.health();
        let recorded = health.record_observed(conf.on_error, &outcome);
        (recorded, health.reason())
    };
    if recorded.counts_as_failure {
        server.counters.shared().failed_checks.add_shared(1);
    }
    if recorded.verdict == Verdict::Stop {
        apply(runtime, &plan, Verdict::Stop, &reason);
    }
    prober.sooner(server.clone());
}
