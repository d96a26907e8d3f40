//! A kept state becomes the present one, at a start.
//!
//! Only what has the same names now is touched; a value that the
//! configuration changed since stays as configured.

use super::load::Load;
use super::take::{configured_address, configured_targets, front_maxconn};
use super::{Saved, SavedBack, SavedCheck, SavedFront, SavedServer, SavedTargets};
use crate::admin::Control;
use crate::core::health::{CheckStatus, Health, Outcome};
use crate::core::server::{Admin, Change, Operation};
use crate::state::{CheckAt, Endpoint, Proxy, Runtime, Server};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Flags that operators set; the others follow from configuration and tracking.
const BY_OPERATORS: [Admin; 2] = [Admin::FORCED_MAINT, Admin::FORCED_DRAIN];

/// Goes on from `saved`, which is `age_ms` old; before the data threads start.
/// Gives how many proxies and servers were found again.
pub fn restore(control: &Control, saved: &Saved, age_ms: u64) -> usize {
    let runtime = &control.runtime;
    let generation = runtime.generation();
    let mut found = 0;
    runtime.process.counters.carry(&saved.process);
    for kept in &saved.frontends {
        if let Some(proxy) = generation.frontend(&kept.name) {
            front(control, proxy, kept);
            found += 1;
        }
    }
    for kept in &saved.backends {
        let Some(proxy) = generation.backend(&kept.name) else {
            continue;
        };
        found += 1;
        for kept in &kept.servers {
            if let Some(server) = proxy.server(&kept.name) {
                states(runtime, server, kept);
                found += 1;
            }
        }
        // what the changes above counted is in the kept numbers already
        back(runtime, proxy, kept, age_ms);
    }
    control.events.restore(&saved.events);
    control
        .history
        .restore(&saved.history, Duration::from_millis(age_ms));
    found
}

fn front(control: &Control, proxy: &Arc<Proxy>, kept: &SavedFront) {
    let Some(live) = &proxy.front else {
        return;
    };
    live.counters.carry(&kept.totals);
    live.connections.raise_max(kept.connections_max);
    let rates = [
        &live.session_rate,
        &live.connection_rate,
        &live.request_rate,
    ];
    for (rate, max) in rates.into_iter().zip(kept.rates_max) {
        rate.raise_max(max);
    }
    if let Some(maxconn) = kept.maxconn.kept(front_maxconn(control, proxy)) {
        live.maxconn.store(maxconn, Relaxed);
    }
    let conf = proxy.conf.front.as_ref();
    let rate = conf.and_then(|c| c.rate_limit_sessions).unwrap_or(0);
    if let Some(rate) = kept.max_session_rate.kept(rate) {
        live.max_session_rate.store(rate, Relaxed);
    }
    live.paused.store(kept.paused, Relaxed);
    let listeners = control.listeners();
    for listener in listeners.iter().filter(|l| l.proxy.name() == kept.name) {
        if kept.paused {
            listener.bound.pause();
        }
        let name = listener.bound.name();
        if let Some(kept) = kept.listeners.iter().find(|k| k.address == name) {
            listener.live.counters.carry(&kept.totals);
            listener.live.connections.raise_max(kept.connections_max);
        }
    }
}

fn back(runtime: &Runtime, proxy: &Arc<Proxy>, kept: &SavedBack, age_ms: u64) {
    let Some(live) = &proxy.back else {
        return;
    };
    let now_ms = runtime.now_ms();
    Load::from(&**live).restore(&kept.load, now_ms, age_ms);
    live.changed_ms.store(
        now_ms.saturating_sub(kept.changed_ago_ms.saturating_add(age_ms)),
        Relaxed,
    );
    live.down_ms.store(kept.down_ms, Relaxed);
    for kept in &kept.servers {
        if let Some(server) = proxy.server(&kept.name) {
            counts(server, kept, now_ms, age_ms);
        }
    }
}

fn counts(server: &Server, kept: &SavedServer, now_ms: u64, age_ms: u64) {
    Load::from(&*server.live).restore(&kept.load, now_ms, age_ms);
    let mut status = server.status();
    // changed by the configuration since: that was just now
    if status.operation as u8 == kept.operation && status.admin.0 == kept.admin {
        status.changed_ms = now_ms.saturating_sub(kept.changed_ago_ms.saturating_add(age_ms));
    }
    status.down_ms = kept.down_ms;
}

/// State, weight, limits and address as operators and checks had left them.
fn states(runtime: &Runtime, server: &Arc<Server>, kept: &SavedServer) {
    if let Some(maxconn) = kept.maxconn.kept(server.conf.maxconn.unwrap_or(0)) {
        server.maxconn.store(maxconn, Relaxed);
    }
    let configured = configured_address(server);
    let address = &kept.address;
    if address.configured == configured
        && address.now != configured
        && let Some(endpoint) = endpoint(&address.now)
    {
        runtime.relocate(server, endpoint);
    }
    if let Some(weight) = kept.weight.kept(server.conf.weight) {
        runtime.change(server, Change::Weight(weight), "saved state");
    }
    targets(server, &kept.targets);
    let by_file = Admin::CONFIG_MAINT;
    if kept.disabled && server.conf.disabled && !Admin(kept.admin).has(by_file) {
        // an operator had ended that maintenance
        runtime.change(server, Change::Clear(by_file), "saved state");
    }
    check(&server.agent, &kept.agent);
    check(&server.health, &kept.health);
    for flag in BY_OPERATORS {
        if Admin(kept.admin).has(flag) {
            runtime.change(server, Change::Set(flag), "saved state");
        }
    }
    let is_checked = kept.health.configured && server.conf.check.enabled;
    if is_checked && !server.status().admin.in_maintenance() {
        let stopping = kept.operation == Operation::Stopping as u8;
        let change = match (server.is_healthy(), stopping) {
            (false, _) => Change::Down,
            (true, true) => Change::Stopping,
            // `init-state down`, but it was up
            (true, false) => Change::Up,
        };
        runtime.change(server, change, "saved state");
    }
}

/// An address with a port, or with what is added to the client's.
fn endpoint(text: &str) -> Option<Endpoint> {
    if let Ok(at) = text.parse() {
        return Some(Endpoint::Inet(at));
    }
    let (ip, offset) = text.rsplit_once(':')?;
    let signed = offset.starts_with(['+', '-']);
    let offset = offset.parse().ok().filter(|_| signed)?;
    Some(Endpoint::Mapped(ip.parse().ok()?, offset))
}

/// The name and the targets of checks that operators had set.
fn targets(server: &Server, kept: &SavedTargets) {
    if kept.configured != configured_targets(server) {
        return;
    }
    let at = CheckAt {
        ip: kept.check_ip,
        port: kept.check_port,
        agent_ip: kept.agent_ip,
        agent_port: kept.agent_port,
    };
    if at != CheckAt::default() {
        server.check_at.store(Some(Arc::new(at)));
    }
    if let Some(name) = &kept.name {
        server.set_name(name);
    }
    if let Some(text) = &kept.agent_send {
        server.agent_send.store(Some(Arc::new(text.clone())));
    }
}

fn check(health: &Mutex<Health>, kept: &SavedCheck) {
    let mut health = health.lock().unwrap_or_else(|e| e.into_inner());
    if !kept.configured || !health.configured {
        return;
    }
    health.enabled = kept.enabled;
    let lowest_up = health.rise();
    health.set_value(match kept.up {
        true => kept.value.max(lowest_up),
        false => kept.value.min(lowest_up - 1),
    });
    if let Some(status) = CheckStatus::by_number(kept.status) {
        health.set_last(Outcome {
            status,
            code: kept.code,
            description: kept.description.clone(),
            duration: kept.duration_ms.map(Duration::from_millis),
        });
    }
}
