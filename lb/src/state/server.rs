//! Servers: one generation's view and the live part behind it.

use super::slot::WaitingRoom;
use super::{BackLive, Proxy, Runtime};
use crate::core::health::Health;
use crate::core::server::{Admin, Change, Load, Operation, Status, slot_limit};
use crate::counters::{Counters, Gauge, Rate, Times};
use arc_swap::{ArcSwap, ArcSwapOption};
use conf::lb::model::{self, Host, ServerAddress, ServerPort};
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// A server of one generation; reaches its live part by deref.
pub struct Server {
    /// Its configuration.
    pub conf: Arc<model::Server>,
    /// The live part, shared with the same server of other generations.
    pub live: Arc<ServerLive>,
    proxy: Weak<Proxy>,
    trackers: Mutex<Vec<Weak<Server>>>,
}

/// Live part of a server; survives reloads.
pub struct ServerLive {
    /// Counters since the start or the last clear.
    pub counters: Counters,
    /// Sessions now.
    pub sessions: Gauge,
    /// Sessions a second.
    pub session_rate: Rate,
    /// Times of its sessions.
    pub times: Times,
    /// Sessions that wait for this server.
    pub queue: WaitingRoom,
    /// Slots taken: sessions that connect to it or are connected.
    pub served: AtomicU32,
    /// Limit of `served`, 0: none; changeable at run time.
    pub maxconn: AtomicU32,
    /// Lower limit with `fullconn`, 0: none.
    pub minconn: AtomicU32,
    /// Its health check.
    pub health: Mutex<Health>,
    /// Its agent check.
    pub agent: Mutex<Health>,
    /// Errors in a row seen by sessions (`observe`).
    pub errors_in_row: AtomicU32,
    /// Process clock of the last session, 0: never.
    pub last_session_ms: AtomicU64,
    /// Sessions that were told to leave and are not gone yet (`rebalance`, `drain-sessions`).
    pub leaving: AtomicU32,
    /// Where its checks go instead, as set at run time.
    pub check_at: ArcSwapOption<CheckAt>,
    /// The name that its address was looked up by, as set at run time.
    pub name_now: ArcSwapOption<String>,
    /// What its agent is told first, as set at run time.
    pub agent_send: ArcSwapOption<String>,
    /// The backend that it belongs to.
    pub backend: Arc<BackLive>,
    status: Mutex<Status>,
    weight: AtomicU32,
    grown: AtomicU32,
    endpoint: ArcSwap<Endpoint>,
}

impl Deref for Server {
    type Target = ServerLive;

    fn deref(&self) -> &ServerLive {
        &self.live
    }
}

/// Where checks go when an operator said so at run time; what is absent is as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckAt {
    /// Address of health checks.
    pub ip: Option<IpAddr>,
    /// Port of health checks.
    pub port: Option<u16>,
    /// Address of agent checks.
    pub agent_ip: Option<IpAddr>,
    /// Port of agent checks.
    pub agent_port: Option<u16>,
}

/// Where a server is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and port.
    Inet(SocketAddr),
    /// An address, and the port that the client connected to plus this.
    Mapped(IpAddr, i32),
    /// A socket in the file system.
    Unix(PathBuf),
    /// A socket of the abstract name space.
    Abstract(String),
    /// The name has no address.
    Unresolved,
}

impl Endpoint {
    /// What the configuration says.
    pub fn configured(address: &ServerAddress) -> Endpoint {
        match address {
            ServerAddress::Unix(path) => Endpoint::Unix(path.clone()),
            ServerAddress::Abstract(name) => Endpoint::Abstract(name.clone()),
            ServerAddress::Tcp { host, port, .. } => match (host, port) {
                (Host::Name(..), _) => Endpoint::Unresolved,
                (Host::Ip(ip), ServerPort::Fixed(port)) => {
                    Endpoint::Inet(SocketAddr::new(*ip, *port))
                }
                (Host::Ip(ip), ServerPort::Mapped(offset)) => Endpoint::Mapped(*ip, *offset),
            },
        }
    }

    /// The address for a client that connected to `dialled`, which is asked for
    /// only where it counts: a mapped port follows the client's, and the
    /// any-address stands for wherever the client wanted to go.
    pub fn inet(&self, dialled: impl FnOnce() -> Option<SocketAddr>) -> Option<SocketAddr> {
        let (ip, port) = match self {
            Endpoint::Inet(address) if !address.ip().is_unspecified() => return Some(*address),
            Endpoint::Inet(address) => (address.ip(), Ok(address.port())),
            Endpoint::Mapped(ip, offset) => (*ip, Err(*offset)),
            Endpoint::Unix(_) | Endpoint::Abstract(_) | Endpoint::Unresolved => return None,
        };
        let dialled = dialled();
        let client_port = dialled.map_or(0, |address| address.port());
        let port = port.unwrap_or_else(|offset| (i32::from(client_port) + offset) as u16);
        let ip = match dialled {
            Some(dialled) if ip.is_unspecified() => dialled.ip(),
            _ => ip,
        };
        Some(SocketAddr::new(ip, port))
    }
}

impl Server {
    pub(super) fn build(
        runtime: &Runtime,
        conf: Arc<model::Server>,
        proxy: Weak<Proxy>,
        backend: &Arc<BackLive>,
        old: Option<&Arc<Server>>,
    ) -> Arc<Server> {
        let live = match old {
            Some(old) => {
                old.hand_over(&conf, runtime.now_ms());
                old.live.clone()
            }
            None => ServerLive::new(runtime, &conf, backend.clone()),
        };
        Arc::new(Server {
            conf,
            live,
            proxy,
            trackers: Mutex::default(),
        })
    }

    /// The live part follows what the new configuration changed.
    fn hand_over(&self, new: &model::Server, now_ms: u64) {
        let live = &self.live;
        if new.address != self.conf.address && !self.keeps_address(new) {
            live.set_endpoint(Endpoint::configured(&new.address));
            live.name_now.store(None);
        }
        if new.maxconn != self.conf.maxconn {
            live.maxconn.store(new.maxconn.unwrap_or(0), Relaxed);
        }
        live.minconn.store(new.minconn.unwrap_or(0), Relaxed);
        if new.check != self.conf.check {
            let mut fresh = fresh_health(new);
            let mut health = lock(&live.health);
            fresh.carry_over(&health);
            *health = fresh;
            let mut fresh = fresh_agent(new);
            let mut agent = lock(&live.agent);
            fresh.carry_over(&agent);
            *agent = fresh;
        }
        let mut status = live.status();
        let mut fresh = fresh_status(new, now_ms);
        fresh.carry_over(&status, new.disabled && !self.conf.disabled);
        if fresh.admin.in_maintenance() && !status.admin.in_maintenance() {
            lock(&live.health).rest();
        }
        if self.conf.track.is_some() && new.track.is_none() {
            let inherited = [Admin::INHERITED_MAINT, Admin::INHERITED_DRAIN];
            for flag in inherited {
                fresh.apply(now_ms, Change::Clear(flag), false);
            }
            if live.is_healthy() {
                fresh.apply(now_ms, Change::Up, true);
            }
        }
        if *live.endpoint() == Endpoint::Unresolved {
            fresh.apply(now_ms, Change::Set(Admin::UNRESOLVED), false);
        }
        *status = fresh;
        live.mirror(&status, now_ms);
    }

    /// Servers that track this one begin as it is; so do those that track them.
    pub(super) fn hand_down(&self, now_ms: u64) {
        let status = self.live.status().clone();
        for tracker in self.trackers() {
            tracker.inherit(&status, now_ms);
            tracker.hand_down(now_ms);
        }
    }

    fn inherit(&self, tracked: &Status, now_ms: u64) {
        let mut status = self.live.status();
        let (maint, drain) = (tracked.admin.in_maintenance(), tracked.admin.in_drain());
        let flags = [
            (Admin::INHERITED_MAINT, maint),
            (Admin::INHERITED_DRAIN, drain),
        ];
        for (flag, holds) in flags {
            let change = match holds {
                true => Change::Set(flag),
                false => Change::Clear(flag),
            };
            status.apply(now_ms, change, true);
        }
        let change = match tracked.operation {
            Operation::Stopped => Change::Down,
            Operation::Starting | Operation::Running => Change::Up,
            Operation::Stopping => Change::Stopping,
        };
        status.apply(now_ms, change, true);
        self.live.mirror(&status, now_ms);
    }

    /// Its name has no address now, and `init-addr last` asks for the one that it had.
    fn keeps_address(&self, new: &model::Server) -> bool {
        let named = |address: &ServerAddress| match address {
            ServerAddress::Tcp { fqdn, port, .. } => Some((fqdn.clone(), *port)),
            ServerAddress::Unix(_) | ServerAddress::Abstract(_) => None,
        };
        Endpoint::configured(&new.address) == Endpoint::Unresolved
            && new.init_addr.contains(&model::InitAddr::Last)
            && named(&new.address) == named(&self.conf.address)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.conf.name
    }

    /// The host name behind its address: set at run time, else the configured one.
    pub fn fqdn(&self) -> Option<String> {
        if let Some(name) = self.live.name_now.load_full() {
            return Some((*name).clone());
        }
        match &self.conf.address {
            ServerAddress::Tcp { fqdn, .. } => fqdn.clone(),
            ServerAddress::Unix(_) | ServerAddress::Abstract(_) => None,
        }
    }

    /// Its address is that of this name from now on.
    pub fn set_name(&self, name: &str) {
        self.live.name_now.store(Some(Arc::new(name.to_owned())));
    }

    /// The proxy that it belongs to; gone when its generation is.
    pub fn proxy(&self) -> Option<Arc<Proxy>> {
        self.proxy.upgrade()
    }

    pub(super) fn tracked_by(&self, tracker: &Arc<Server>) {
        lock(&self.trackers).push(Arc::downgrade(tracker));
    }

    /// Servers that follow this one's state (`track`).
    pub fn trackers(&self) -> Vec<Arc<Server>> {
        lock(&self.trackers)
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// The same server, whatever generation it was reached through.
    pub fn is(&self, other: &Server) -> bool {
        Arc::ptr_eq(&self.live, &other.live)
    }
}

impl ServerLive {
    /// What its health check found so far.
    pub fn health_now(&self) -> Health {
        lock(&self.health).clone()
    }

    /// What its agent said so far.
    pub fn agent_now(&self) -> Health {
        lock(&self.agent).clone()
    }

    fn new(runtime: &Runtime, conf: &model::Server, backend: Arc<BackLive>) -> Arc<ServerLive> {
        let now_ms = runtime.now_ms();
        let status = fresh_status(conf, now_ms);
        let agent = fresh_agent(conf);
        let live = ServerLive {
            counters: Counters::new(runtime.threads().len()),
            sessions: Gauge::default(),
            session_rate: Rate::default(),
            times: Times::default(),
            queue: WaitingRoom::default(),
            served: AtomicU32::new(0),
            maxconn: AtomicU32::new(conf.maxconn.unwrap_or(0)),
            minconn: AtomicU32::new(conf.minconn.unwrap_or(0)),
            health: Mutex::new(fresh_health(conf)),
            agent: Mutex::new(agent),
            errors_in_row: AtomicU32::new(0),
            last_session_ms: AtomicU64::new(0),
            leaving: AtomicU32::new(0),
            check_at: ArcSwapOption::empty(),
            name_now: ArcSwapOption::empty(),
            agent_send: ArcSwapOption::empty(),
            backend,
            weight: AtomicU32::new(0),
            grown: AtomicU32::new(100),
            endpoint: ArcSwap::from_pointee(Endpoint::configured(&conf.address)),
            status: Mutex::new(status.clone()),
        };
        live.mirror(&status, now_ms);
        Arc::new(live)
    }

    /// State and weight; change them through [`Runtime::change`].
    pub fn status(&self) -> MutexGuard<'_, Status> {
        lock(&self.status)
    }

    /// Effective weight in sixteenths; 0: gets no new sessions.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Usable and of some weight.
    pub fn is_usable(&self) -> bool {
        self.weight() > 0
    }

    /// Where it is now.
    pub fn endpoint(&self) -> Arc<Endpoint> {
        self.endpoint.load_full()
    }

    /// Gives it another address (CLI, resolver).
    pub fn set_endpoint(&self, endpoint: Endpoint) {
        self.endpoint.store(Arc::new(endpoint));
    }

    /// Its checks let it run (or there are none).
    pub fn is_healthy(&self) -> bool {
        let settled = |health: &Mutex<Health>| {
            let health = lock(health);
            !health.configured || !health.enabled || health.is_up()
        };
        settled(&self.health) && settled(&self.agent)
    }

    /// Lets its health check rest or begin anew where this change of a server in these
    /// administrative states begins or ends a maintenance.
    pub(super) fn rest_or_wake(&self, admin: Admin, change: Change) {
        match (admin.in_maintenance(), admin.after(change).in_maintenance()) {
            (false, true) => lock(&self.health).rest(),
            (true, false) => lock(&self.health).wake(),
            (true, true) | (false, false) => {}
        }
    }

    /// Slots that it may have taken right now; `None`: no limit.
    pub fn slot_limit(&self) -> Option<u32> {
        let maxconn = self.maxconn.load(Relaxed);
        if maxconn == 0 {
            return None;
        }
        let load = Load {
            sessions: self.backend.sessions.get(),
            full: self.backend.fullconn.load(Relaxed),
            grown: self.grown.load(Relaxed),
        };
        Some(slot_limit(maxconn, self.minconn.load(Relaxed), load))
    }

    pub(super) fn mirror(&self, status: &Status, now_ms: u64) {
        let weight = match self.backend.follows_weights.load(Relaxed) {
            true => status.effective_weight(now_ms),
            false => status.full_weight(),
        };
        self.weight.store(weight, Relaxed);
        self.grown.store(status.grown(now_ms), Relaxed);
        self.backend.epoch.fetch_add(1, Relaxed);
    }
}

fn fresh_status(conf: &model::Server, now_ms: u64) -> Status {
    let mut status = Status::new(conf.weight, conf.slowstart, now_ms);
    if conf.disabled || conf.added {
        status.admin = match conf.disabled {
            true => Admin::CONFIG_MAINT,
            false => Admin::FORCED_MAINT,
        };
        status.operation = Operation::Stopped;
    }
    if Endpoint::configured(&conf.address) == Endpoint::Unresolved {
        status.admin = Admin(status.admin.0 | Admin::UNRESOLVED.0);
        status.operation = Operation::Stopped;
    }
    if conf.check.enabled
        && matches!(
            conf.check.init_state,
            model::InitState::Down | model::InitState::FullyDown
        )
    {
        status.operation = Operation::Stopped;
    }
    status
}

fn fresh_health(conf: &model::Server) -> Health {
    if !conf.check.enabled {
        return Health::unchecked();
    }
    let mut health = Health::new(conf.check.rise, conf.check.fall, conf.check.init_state);
    // one that is added at run time is not checked before somebody asks for it
    health.enabled = !conf.added;
    if conf.disabled || conf.added || Endpoint::configured(&conf.address) == Endpoint::Unresolved {
        health.rest();
    }
    health
}

fn fresh_agent(conf: &model::Server) -> Health {
    match conf.check.agent.is_used() {
        true => Health::agent(1, 1),
        false => Health::unchecked(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
