//! The present state, to be kept.

use super::load::Load;
use super::{
    Saved, SavedBack, SavedCheck, SavedEvent, SavedFront, SavedListener, SavedServer, SavedTargets,
    Tuned, TunedText, wall_ms,
};
use crate::admin::{Control, address};
use crate::core::health::Health;
use crate::state::{BackLive, Endpoint, FrontLive, Proxy, Server};
use conf::lb::model::ServerAddress;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// Most events kept.
const EVENTS: usize = 200;

/// The state at this moment.
pub fn take(control: &Control) -> Saved {
    let runtime = &control.runtime;
    let generation = runtime.generation();
    let now_ms = runtime.now_ms();
    let fronts = generation.proxies.iter();
    let backs = generation.proxies.iter();
    let events = control.events.latest(|_| true, EVENTS);
    Saved {
        at_ms: wall_ms(SystemTime::now()),
        process: runtime.process.counters.totals(),
        frontends: fronts
            .filter_map(|proxy| Some(front(control, proxy, proxy.front.as_ref()?)))
            .collect(),
        backends: backs
            .filter_map(|proxy| Some(back(proxy, proxy.back.as_ref()?, now_ms)))
            .collect(),
        events: events
            .into_iter()
            .rev()
            .map(|event| SavedEvent {
                at_ms: wall_ms(event.at),
                subject: event.subject,
                text: event.text,
            })
            .collect(),
        history: Vec::new(),
    }
}

fn front(control: &Control, proxy: &Proxy, live: &FrontLive) -> SavedFront {
    let conf = proxy.conf.front.as_ref();
    let listeners = control.listeners();
    let own = listeners.iter().filter(|l| l.proxy.name() == proxy.name());
    SavedFront {
        name: proxy.name().to_owned(),
        totals: live.counters.totals(),
        connections: live.connections.get(),
        connections_max: live.connections.max(),
        rates_max: [
            live.session_rate.max(),
            live.connection_rate.max(),
            live.request_rate.max(),
        ],
        maxconn: Tuned {
            configured: front_maxconn(control, proxy),
            now: live.maxconn.load(Relaxed),
        },
        max_session_rate: Tuned {
            configured: conf.and_then(|c| c.rate_limit_sessions).unwrap_or(0),
            now: live.max_session_rate.load(Relaxed),
        },
        paused: live.paused.load(Relaxed),
        listeners: own
            .map(|listener| SavedListener {
                address: listener.bound.name(),
                totals: listener.live.counters.totals(),
                connections_max: listener.live.connections.max(),
            })
            .collect(),
    }
}

/// The limit of a frontend that the configuration gives.
pub(super) fn front_maxconn(control: &Control, proxy: &Proxy) -> u32 {
    let global = control.runtime.generation().conf.global.maxconn;
    let own = proxy.conf.front.as_ref().and_then(|front| front.maxconn);
    own.or(global).unwrap_or(u32::MAX)
}

fn back(proxy: &Proxy, live: &BackLive, now_ms: u64) -> SavedBack {
    SavedBack {
        name: proxy.name().to_owned(),
        load: Load::from(live).take(now_ms),
        changed_ago_ms: now_ms.saturating_sub(live.changed_ms.load(Relaxed)),
        down_ms: live.down_ms.load(Relaxed),
        servers: proxy.servers.iter().map(|s| server(s, now_ms)).collect(),
    }
}

fn server(server: &Server, now_ms: u64) -> SavedServer {
    let status = server.status().clone();
    SavedServer {
        name: server.name().to_owned(),
        load: Load::from(&*server.live).take(now_ms),
        operation: status.operation as u8,
        admin: status.admin.0,
        weight: Tuned {
            configured: status.initial_weight,
            now: status.weight,
        },
        address: TunedText {
            configured: configured_address(server),
            now: address::endpoint(&server.endpoint()),
        },
        maxconn: Tuned {
            configured: server.conf.maxconn.unwrap_or(0),
            now: server.maxconn.load(Relaxed),
        },
        changed_ago_ms: now_ms.saturating_sub(status.changed_ms),
        down_ms: status.down_ms,
        health: check(&server.health),
        agent: check(&server.agent),
        disabled: server.conf.disabled,
        targets: targets(server),
    }
}

fn targets(server: &Server) -> SavedTargets {
    let at = server.check_at.load_full().unwrap_or_default();
    SavedTargets {
        configured: configured_targets(server),
        name: server.name_now.load_full().map(|name| (*name).clone()),
        check_ip: at.ip,
        check_port: at.port,
        agent_ip: at.agent_ip,
        agent_port: at.agent_port,
        agent_send: server.agent_send.load_full().map(|text| (*text).clone()),
    }
}

/// All that the configuration says about the server's name and about where its checks go.
pub(super) fn configured_targets(server: &Server) -> String {
    let (check, agent) = (&server.conf.check, &server.conf.check.agent);
    let name = match &server.conf.address {
        ServerAddress::Tcp { fqdn, .. } => fqdn.as_deref(),
        ServerAddress::Unix(_) | ServerAddress::Abstract(_) => None,
    };
    let (at, told) = (
        (&check.addr, check.port),
        (&agent.addr, agent.port, &agent.send),
    );
    format!("{name:?} {at:?} {told:?}")
}

/// The address that the configuration gives, names looked up.
pub(super) fn configured_address(server: &Server) -> String {
    address::endpoint(&Endpoint::configured(&server.conf.address))
}

fn check(health: &Mutex<Health>) -> SavedCheck {
    let health = health.lock().unwrap_or_else(|e| e.into_inner());
    let last = health.last();
    SavedCheck {
        configured: health.configured,
        enabled: health.enabled,
        up: health.is_up(),
        value: health.value(),
        status: last.status.number(),
        code: last.code,
        description: last.description,
        duration_ms: last.duration.map(|d| d.as_millis() as u64),
    }
}
