//! Reads rows from the running process. The only part of the statistics that knows its state.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use conf::lb::model::{Balance, Mode};

use super::row::{
    Back, Backend, Check, Colour, Front, Http, Kind, Level, Rate, Row, Server as ServerRow, Timing,
    Traffic,
};
use crate::core::health::Health;
use crate::core::server::{Admin, Operation, Status};
use crate::counters::{self, Average, Gauge, Times, Totals};
use crate::listener::Listener;
use crate::state::{BackLive, Endpoint, FrontLive, Proxy, Runtime, Server};

/// Which rows and details are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Proxy's number; any when absent.
    pub proxy_id: Option<u32>,
    /// Bits of [`Kind::bit`].
    pub kinds: u32,
    /// Server's or listener's number; any when absent.
    pub id: Option<u32>,
    /// Addresses, cookies and algorithms are shown.
    pub legends: bool,
    /// Servers that are down are left out.
    pub hide_down: bool,
    /// Servers in maintenance are left out.
    pub hide_maintenance: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            proxy_id: None,
            kinds: u32::MAX,
            id: None,
            legends: true,
            hide_down: false,
            hide_maintenance: false,
        }
    }
}

impl Wanted {
    /// Whether rows of this proxy are wanted.
    pub fn proxy(&self, proxy: &Proxy) -> bool {
        self.proxy_id.is_none_or(|id| id == proxy.conf.id)
    }

    fn kind(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    fn subject(&self, id: u32) -> bool {
        self.id.is_none_or(|wanted| wanted == id)
    }
}

/// One row to be read when its turn comes, so that a slow reader of many rows holds one.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Frontend,
    Listener(usize),
    Server(usize),
    Backend,
}

/// What rows are read from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub runtime: &'a Runtime,
    pub listeners: &'a [Arc<Listener>],
}

impl<'a> Source<'a> {
    fn listeners_of(self, proxy: &'a Proxy) -> impl Iterator<Item = &'a Arc<Listener>> {
        self.listeners
            .iter()
            .filter(|listener| listener.proxy.conf.id == proxy.conf.id)
    }
}

/// The rows of a proxy that are wanted, in order.
pub fn places(source: Source<'_>, proxy: &Proxy, wanted: &Wanted) -> Vec<Place> {
    let mut places = Vec::with_capacity(proxy.servers.len() + 2);
    if !wanted.proxy(proxy) {
        return places;
    }
    if proxy.front.is_some() && wanted.kind(Kind::Frontend) {
        places.push(Place::Frontend);
    }
    if proxy.conf.tcp.socket_stats && wanted.kind(Kind::Listener) {
        let listeners = source.listeners_of(proxy).enumerate();
        places.extend(
            listeners
                .filter(|(_, listener)| wanted.subject(listener.number))
                .map(|(index, _)| Place::Listener(index)),
        );
    }
    if wanted.kind(Kind::Server) {
        let servers = proxy.servers.iter().enumerate();
        places.extend(
            servers
                .filter(|(_, server)| wanted.subject(server.conf.id))
                .map(|(index, _)| Place::Server(index)),
        );
    }
    if proxy.back.is_some() && wanted.kind(Kind::Backend) {
        places.push(Place::Backend);
    }
    places
}

/// Reads a row; nothing when it is of those to leave out.
pub fn row(source: Source<'_>, proxy: &Arc<Proxy>, place: Place, wanted: &Wanted) -> Option<Row> {
    let runtime = source.runtime;
    let row = match place {
        Place::Frontend => frontend(runtime, proxy, proxy.front.as_ref()?),
        Place::Listener(index) => listener_row(proxy, source.listeners_of(proxy).nth(index)?),
        Place::Server(index) => server(runtime, proxy, proxy.servers.get(index)?, wanted.legends),
        Place::Backend => backend(runtime, proxy, proxy.back.as_ref()?, wanted),
    };
    let hidden =
        (wanted.hide_down && row.is_down()) || (wanted.hide_maintenance && row.is_maintenance());
    (!hidden).then_some(row)
}

fn mode(proxy: &Proxy) -> &'static str {
    match proxy.conf.mode {
        Mode::Tcp => "tcp",
        Mode::Http => "http",
    }
}

fn rate(rate: &counters::Rate, now_ms: u64, limit: u32) -> Rate {
    Rate {
        cur: rate.per_second(now_ms),
        max: rate.max(),
        limit,
    }
}

fn level(gauge: &Gauge, limit: Option<u32>) -> Level {
    Level {
        cur: gauge.get(),
        max: gauge.max(),
        limit,
    }
}

fn traffic(totals: &Totals, sessions: Level) -> Traffic {
    Traffic {
        sessions,
        sessions_total: totals.sessions,
        bytes_in: totals.bytes_in,
        bytes_out: totals.bytes_out,
        bytes_spliced: 0,
        denied_requests: totals.denied_requests,
        denied_responses: totals.denied_responses,
        failed_rewrites: totals.failed_rewrites,
        internal_errors: totals.internal_errors,
    }
}

fn http(proxy: &Proxy, totals: &Totals, request_rate: Rate) -> Option<Http> {
    (proxy.conf.mode == Mode::Http).then_some(Http {
        responses: totals.responses,
        requests_total: totals.requests,
        request_rate,
        intercepted: totals.intercepted,
    })
}

fn frontend(runtime: &Runtime, proxy: &Proxy, live: &FrontLive) -> Row {
    let now_ms = runtime.now_ms();
    let totals = live.counters.totals();
    let mut row = Row::new(Kind::Frontend, proxy.name(), "FRONTEND");
    row.proxy_id = proxy.conf.id;
    row.mode = mode(proxy);
    row.status = if live.stopped.load(Relaxed) {
        "STOP"
    } else if live.paused.load(Relaxed) {
        "PAUSED"
    } else {
        "OPEN"
    }
    .to_owned();
    // without a limit of its own, the process's holds
    let limit = match live.maxconn.load(Relaxed) {
        u32::MAX => runtime.process.maxconn.load(Relaxed),
        limit => limit,
    };
    row.traffic = traffic(&totals, level(&live.connections, Some(limit)));
    row.http = http(proxy, &totals, rate(&live.request_rate, now_ms, 0));
    row.front = Some(Front {
        request_errors: totals.bad_requests,
        denied_connections: totals.denied_connections,
        denied_sessions: totals.denied_sessions,
        session_rate: rate(
            &live.session_rate,
            now_ms,
            live.max_session_rate.load(Relaxed),
        ),
        connection_rate: rate(&live.connection_rate, now_ms, 0),
        connections_total: totals.connections,
    });
    row
}

fn listener_row(proxy: &Proxy, listener: &Listener) -> Row {
    let live = &listener.live;
    let totals = live.counters.totals();
    let bind = listener.conf();
    let id = listener.number;
    let name = bind
        .and_then(|bind| bind.name.clone())
        .unwrap_or_else(|| format!("sock-{id}"));
    let mut row = Row::new(Kind::Listener, proxy.name(), &name);
    row.proxy_id = proxy.conf.id;
    row.id = id;
    row.mode = mode(proxy);
    row.status = "OPEN".to_owned();
    let limit = bind.and_then(|bind| bind.maxconn).unwrap_or(0);
    row.traffic = traffic(&totals, level(&live.connections, Some(limit)));
    row.front = Some(Front {
        request_errors: totals.bad_requests,
        denied_connections: totals.denied_connections,
        denied_sessions: totals.denied_sessions,
        ..Front::default()
    });
    row.listen_address = Some(listener.bound.name());
    row
}

fn timing(average: &Average) -> Timing {
    Timing {
        average_ms: average.get(),
        max_ms: average.max(),
    }
}

fn back(totals: &Totals, times: &Times) -> Back {
    Back {
        connect_errors: totals.failed_connects,
        response_errors: totals.failed_responses,
        retries: totals.retries,
        redispatches: totals.redispatches,
        client_aborts: totals.client_aborts,
        server_aborts: totals.server_aborts,
        chosen_total: totals.balanced,
        connections_opened: totals.connects,
        connections_reused: totals.reuses,
        queue_time: timing(&times.queue),
        connect_time: timing(&times.connect),
        response_time: timing(&times.response),
        total_time: timing(&times.total),
        connect_spread: times.connect.spread.get(),
        total_spread: times.total.spread.get(),
        ..Back::default()
    }
}

/// Seconds since a moment of the process clock; -1 when it never came.
fn since(now_ms: u64, then_ms: u64) -> i32 {
    match then_ms {
        0 => -1,
        then => (now_ms.saturating_sub(then) / 1000) as i32,
    }
}

fn seconds(ms: u64) -> u32 {
    (ms / 1000) as u32
}

/// The weight that balancing would use were the server up, in the user's units.
fn shown_weight(proxy: &Proxy, status: &Status, now_ms: u64) -> u32 {
    (status.weight * grown(proxy, status, now_ms)).div_ceil(100)
}

/// How much of a server's weight balancing uses, in percent.
fn grown(proxy: &Proxy, status: &Status, now_ms: u64) -> u32 {
    match proxy.follows_weights() {
        true => status.grown(now_ms),
        false => 100,
    }
}

/// A server's row.
pub fn server(runtime: &Runtime, proxy: &Proxy, server: &Arc<Server>, legends: bool) -> Row {
    let now_ms = runtime.now_ms();
    let totals = server.counters.totals();
    let status = server.status().clone();
    let own = server.health_now();
    let agent = server.agent_now();
    let leader = tracked(runtime, server);
    let followed = leader.as_ref();
    let followed = followed.map_or_else(|| own.clone(), |leader| leader.health_now());
    let (shown, colour) = state(server, &status, &followed, &agent);
    let is_backup = server.conf.backup;
    let mut row = Row::new(Kind::Server, proxy.name(), server.name());
    row.proxy_id = proxy.conf.id;
    row.id = server.conf.id;
    row.mode = mode(proxy);
    row.status = shown;
    let limit = Some(server.maxconn.load(Relaxed)).filter(|limit| *limit > 0);
    row.traffic = traffic(&totals, level(&server.sessions, limit));
    row.http = http(proxy, &totals, Rate::default());
    let checked = own.configured && own.enabled;
    // what is not asked says nothing about now; an agent is asked in maintenance, too
    let resting = status.admin.in_maintenance();
    row.back = Some(Back {
        queue: Level {
            cur: server.queue.len() as u32,
            max: server.queue.max(),
            limit: server.conf.maxqueue,
        },
        session_rate: rate(&server.session_rate, now_ms, 0),
        weight: shown_weight(proxy, &status, now_ms),
        user_weight: status.weight,
        active: u32::from(!is_backup),
        backup: u32::from(is_backup),
        times_down: checked.then_some(totals.went_down),
        last_change_s: seconds(now_ms.saturating_sub(status.changed_ms)),
        downtime_s: checked.then(|| seconds(status.downtime_ms(now_ms))),
        last_session_s: since(now_ms, server.last_session_ms.load(Relaxed)),
        cookie: server.conf.cookie.clone().filter(|_| legends),
        ..back(&totals, &server.times)
    });
    row.server = Some(ServerRow {
        address: if legends {
            crate::admin::address::endpoint(&server.endpoint())
        } else {
            String::new()
        },
        is_backup,
        colour,
        check: (checked && !resting).then(|| check(&own)),
        agent: (agent.configured && agent.enabled).then(|| check(&agent)),
        failed_checks: checked.then_some(totals.failed_checks),
        observed_failures: server.conf.observe.map(|_| totals.observed_errors),
        throttle_percent: (status.operation == Operation::Starting && status.usable())
            .then(|| grown(proxy, &status, now_ms)),
        tracked: server
            .conf
            .track
            .as_ref()
            .map(|track| format!("{}/{}", track.backend, track.server)),
        queue_limit: server.conf.maxqueue,
        idle_connections: 0,
        idle_limit: None,
        used_connections: server.served.load(Relaxed),
        needed_connections: server.sessions.max(),
        differs: differs(server, &status),
    });
    row
}

/// The server whose checks decide: the end of a chain of `track`.
fn tracked(runtime: &Runtime, server: &Arc<Server>) -> Option<Arc<Server>> {
    let generation = runtime.generation();
    let mut leader = None;
    let mut track = server.conf.track.clone();
    // a chain cannot be longer than there are servers; loops were refused when the file was read
    for _ in 0..64 {
        let Some(next) = track.and_then(|t| generation.server(&t.backend, &t.server).cloned())
        else {
            break;
        };
        track = next.conf.track.clone();
        leader = Some(next);
    }
    leader
}

fn check(health: &Health) -> Check {
    let running = if health.running { "* " } else { "" };
    Check {
        status: format!("{running}{}", health.status().name()),
        description: health.status().description().to_owned(),
        code: health.code(),
        duration_ms: health
            .duration()
            .map(|duration| duration.as_millis() as u64),
        output: health.description().to_owned(),
        rise: health.rise(),
        fall: health.fall(),
        health: health.value(),
    }
}

/// A server's state in the words of the `status` column, and its colour.
fn state(server: &Server, status: &Status, health: &Health, agent: &Health) -> (String, Colour) {
    let admin = status.admin;
    if admin.has(Admin::UNRESOLVED) {
        return ("MAINT (resolution)".into(), Colour::Maintenance);
    }
    if admin.has(Admin::INHERITED_MAINT) {
        let text = server.conf.track.as_ref().map_or_else(
            || "MAINT".to_owned(),
            |track| format!("MAINT (via {}/{})", track.backend, track.server),
        );
        return (text, Colour::Maintenance);
    }
    if admin.in_maintenance() {
        return ("MAINT".into(), Colour::Maintenance);
    }
    let checked = health.configured && health.enabled;
    let (part, whole) = health.fraction();
    match status.operation {
        Operation::Stopped => {
            if agent.configured && agent.enabled && !agent.is_up() {
                ("DOWN (agent)".into(), Colour::Down)
            } else if checked && !health.is_settled() && !health.is_up() {
                (format!("DOWN {part}/{whole}"), Colour::GoingUp)
            } else {
                ("DOWN".into(), Colour::Down)
            }
        }
        _ if admin.in_drain() && agent.configured && agent.enabled => {
            ("DRAIN (agent)".into(), Colour::Draining)
        }
        _ if admin.in_drain() && checked && !health.is_settled() => {
            (format!("DRAIN {part}/{whole}"), Colour::Draining)
        }
        _ if admin.in_drain() => ("DRAIN".into(), Colour::Draining),
        Operation::Stopping => {
            if checked && !health.is_settled() {
                (format!("NOLB {part}/{whole}"), Colour::Nolb)
            } else {
                ("NOLB".into(), Colour::Nolb)
            }
        }
        Operation::Starting | Operation::Running => {
            if checked && !health.is_settled() && health.is_up() {
                (format!("UP {part}/{whole}"), Colour::GoingDown)
            } else if checked {
                ("UP".into(), Colour::Up)
            } else {
                ("no check".into(), Colour::NoCheck)
            }
        }
    }
}

/// What runs differently from what the file says.
fn differs(server: &Server, status: &Status) -> Vec<String> {
    let mut differs = Vec::new();
    if status.weight != server.conf.weight {
        differs.push(format!("weight {}", server.conf.weight));
    }
    let maxconn = server.conf.maxconn.unwrap_or(0);
    if server.maxconn.load(Relaxed) != maxconn {
        differs.push(format!("maxconn {maxconn}"));
    }
    let file = Endpoint::configured(&server.conf.address);
    if *server.endpoint() != file && file != Endpoint::Unresolved {
        differs.push(format!(
            "address {}",
            crate::admin::address::endpoint(&file)
        ));
    }
    if status.admin.has(Admin::FORCED_MAINT) && !server.conf.disabled
        || status.admin.has(Admin::FORCED_DRAIN)
    {
        differs.push("state ready".to_owned());
    }
    if server.conf.disabled && !status.admin.in_maintenance() {
        differs.push("disabled".to_owned());
    }
    differs
}

fn backend(runtime: &Runtime, proxy: &Proxy, live: &BackLive, wanted: &Wanted) -> Row {
    let now_ms = runtime.now_ms();
    let totals = live.counters.totals();
    let is_up = proxy.is_up() || proxy.servers.is_empty();
    let mut row = Row::new(Kind::Backend, proxy.name(), "BACKEND");
    row.proxy_id = proxy.conf.id;
    row.mode = mode(proxy);
    row.status = if is_up { "UP" } else { "DOWN" }.to_owned();
    if wanted.hide_maintenance {
        row.status = format!(
            "{} ({}/{})",
            row.status,
            live.active.load(Relaxed) + live.backups.load(Relaxed),
            proxy.servers.len()
        );
    }
    row.traffic = traffic(
        &totals,
        level(&live.sessions, Some(live.fullconn.load(Relaxed))),
    );
    row.http = http(proxy, &totals, Rate::default());
    let has_servers = !proxy.servers.is_empty();
    let (weight, user_weight) = weights(proxy, now_ms);
    let down_ms = live.down_ms.load(Relaxed)
        + if is_up {
            0
        } else {
            now_ms.saturating_sub(live.changed_ms.load(Relaxed))
        };
    row.back = Some(Back {
        queue: Level {
            cur: proxy.waiting() as u32,
            max: live.queue.max(),
            limit: None,
        },
        session_rate: rate(&live.session_rate, now_ms, 0),
        weight,
        user_weight,
        active: live.active.load(Relaxed),
        backup: live.backups.load(Relaxed),
        times_down: Some(totals.went_down),
        last_change_s: seconds(now_ms.saturating_sub(live.changed_ms.load(Relaxed))),
        downtime_s: has_servers.then(|| seconds(down_ms)),
        last_session_s: since(now_ms, live.last_session_ms.load(Relaxed)),
        ..back(&totals, &live.times)
    });
    row.backend = Some(Backend {
        algorithm: if wanted.legends {
            algorithm(proxy).to_owned()
        } else {
            String::new()
        },
        servers_total: proxy.servers.len() as u32,
        is_up,
    });
    row
}

/// Effective and user's weight of the servers that balancing uses: the active ones, else the
/// first backup server or, with `option allbackups`, all of them.
fn weights(proxy: &Proxy, now_ms: u64) -> (u32, u32) {
    let usable = |backup: bool| {
        proxy
            .servers
            .iter()
            .filter(move |server| server.conf.backup == backup && server.is_usable())
    };
    let sum = |servers: &mut dyn Iterator<Item = &Arc<Server>>| {
        servers.fold((0, 0), |(weight, user), server| {
            let status = server.status();
            (
                weight + shown_weight(proxy, &status, now_ms),
                user + status.weight,
            )
        })
    };
    if usable(false).next().is_some() {
        return sum(&mut usable(false));
    }
    let all = proxy.conf.back.as_ref().is_some_and(|back| back.allbackups);
    sum(&mut usable(true).take(if all { usize::MAX } else { 1 }))
}

/// The balancing algorithm's name.
pub fn algorithm(proxy: &Proxy) -> &'static str {
    match proxy.conf.back.as_ref().map(|back| &back.balance) {
        None => "none",
        Some(Balance::RoundRobin) => "roundrobin",
        Some(Balance::StaticRr) => "static-rr",
        Some(Balance::LeastConn) => "leastconn",
        Some(Balance::First) => "first",
        Some(Balance::Source) => "source",
        Some(Balance::Random(_)) => "random",
        Some(Balance::Hash(_)) => "hash",
        Some(Balance::Uri(_)) => "uri",
        Some(Balance::UrlParam(_)) => "url_param",
        Some(Balance::Header(..)) => "hdr",
        Some(Balance::RdpCookie(_)) => "rdp-cookie",
    }
}
