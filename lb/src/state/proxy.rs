//! Proxies: one generation's view and the live parts behind it.

use super::slot::WaitingRoom;
use super::{Generation, Runtime, Server};
use crate::core::balance::Balancer;
use crate::counters::{Counters, Gauge, Rate, Times};
use conf::lb::model::{self, ProxyKind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// A `listen`, `frontend` or `backend` of one generation.
pub struct Proxy {
    /// Its configuration.
    pub conf: Arc<model::Proxy>,
    /// The generation that it belongs to.
    pub generation: u32,
    /// The clients' side.
    pub front: Option<Arc<FrontLive>>,
    /// The servers' side.
    pub back: Option<Arc<BackLive>>,
    /// Its servers in the order of the file.
    pub servers: Vec<Arc<Server>>,
    /// Where sessions go when it has none of its own (`dispatch`, `option transparent`).
    pub direct: Option<Arc<Server>>,
    pub(super) balancer: Option<Mutex<Balancer>>,
}

/// Live part of a frontend; survives reloads.
#[derive(Debug)]
pub struct FrontLive {
    /// Counters since the start or the last clear.
    pub counters: Counters,
    /// Connections now.
    pub connections: Gauge,
    /// Limit of `connections`; changeable at run time.
    pub maxconn: AtomicU32,
    /// Sessions a second.
    pub session_rate: Rate,
    /// Connections a second.
    pub connection_rate: Rate,
    /// HTTP requests a second.
    pub request_rate: Rate,
    /// Limit of `session_rate` (`rate-limit sessions`, 0: none); changeable at run time.
    pub max_session_rate: AtomicU32,
    /// `disable frontend`: connections wait in the backlog.
    pub paused: AtomicBool,
    /// `shutdown frontend` or the process ends: no listener any more.
    pub stopped: AtomicBool,
    /// Number of the next session line (`%lc`).
    pub log_counter: AtomicU32,
}

/// Live part of one listening address; survives reloads.
#[derive(Debug)]
pub struct ListenerLive {
    /// Counters since the start or the last clear.
    pub counters: Counters,
    /// Connections now.
    pub connections: Gauge,
}

/// Live part of a backend; survives reloads.
#[derive(Debug)]
pub struct BackLive {
    /// Counters since the start or the last clear.
    pub counters: Counters,
    /// Sessions now.
    pub sessions: Gauge,
    /// Sessions a second.
    pub session_rate: Rate,
    /// Times of its sessions.
    pub times: Times,
    /// Sessions that wait for any of its servers.
    pub queue: WaitingRoom,
    /// `fullconn`; changeable by a reload.
    pub fullconn: AtomicU32,
    /// Its algorithm follows weights; changeable by a reload.
    pub follows_weights: AtomicBool,
    /// Usable servers that are not backups.
    pub active: AtomicU32,
    /// Usable backup servers.
    pub backups: AtomicU32,
    /// Counts changes of states and weights: whoever keeps a table of servers
    /// rebuilds it when this differs.
    pub epoch: AtomicU64,
    /// Process clock of the last change between up and down.
    pub changed_ms: AtomicU64,
    /// Time spent down before `changed_ms`.
    pub down_ms: AtomicU64,
    /// Process clock of the last session, 0: never.
    pub last_session_ms: AtomicU64,
    /// In the last session whose first bytes came, they came from the server.
    pub servers_speak_first: AtomicBool,
}

impl Proxy {
    /// See [`model::Back::follows_weights`]; true without servers.
    pub fn follows_weights(&self) -> bool {
        let back = self.conf.back.as_ref();
        back.is_none_or(model::Back::follows_weights)
    }

    pub(super) fn build(
        runtime: &Runtime,
        generation: u32,
        conf: Arc<model::Proxy>,
        config: &model::Config,
        old: &Generation,
    ) -> Arc<Proxy> {
        let front = conf.front.as_ref().map(|front| {
            let before = old.frontend(&conf.name).and_then(|p| {
                let front = p.conf.front.as_ref()?;
                Some((front, p.front.as_ref()?))
            });
            FrontLive::build(runtime, front, config, before)
        });
        let before = old.backend(&conf.name);
        let back = conf.back.as_ref().map(|back| {
            let live = before.and_then(|p| p.back.clone());
            let live = live.unwrap_or_else(|| BackLive::new(runtime));
            live.fullconn.store(back.fullconn, Relaxed);
            live.follows_weights.store(back.follows_weights(), Relaxed);
            live
        });
        Arc::new_cyclic(|weak| Proxy {
            servers: back
                .as_ref()
                .zip(conf.back.as_ref())
                .map(|(live, back)| {
                    let server = |s: &Arc<model::Server>| {
                        let old = before.and_then(|p| p.server(&s.name));
                        Server::build(runtime, s.clone(), weak.clone(), live, old)
                    };
                    back.servers.iter().map(server).collect()
                })
                .unwrap_or_default(),
            direct: back
                .as_ref()
                .zip(conf.back.as_ref())
                .and_then(|(live, back)| {
                    let old = before.and_then(|p| p.direct.as_ref());
                    let server = back.direct.clone()?;
                    Some(Server::build(runtime, server, weak.clone(), live, old))
                }),
            balancer: conf.back.as_ref().map(|back| {
                let seed = getrandom::u64().unwrap_or(u64::from(conf.id));
                Mutex::new(Balancer::new(back, seed))
            }),
            conf,
            generation,
            front,
            back,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.conf.name
    }

    /// What log lines call it.
    pub fn word(&self) -> &'static str {
        match self.conf.kind {
            ProxyKind::Listen => "proxy",
            ProxyKind::Frontend => "frontend",
            ProxyKind::Backend => "backend",
        }
    }

    /// A server by its name or, written `#<number>`, by its id.
    pub fn server(&self, name: &str) -> Option<&Arc<Server>> {
        if let Some(id) = name.strip_prefix('#').and_then(|n| n.parse::<u32>().ok()) {
            return self.servers.iter().find(|s| s.conf.id == id);
        }
        self.servers.iter().find(|s| s.conf.name == name)
    }

    /// Sessions that wait, at the backend and at its servers.
    pub fn waiting(&self) -> usize {
        let back = self.back.as_ref().map_or(0, |b| b.queue.len());
        back + self.servers.iter().map(|s| s.queue.len()).sum::<usize>()
    }

    /// Counts usable servers anew; gives (active, backups) before and after.
    pub(super) fn count_usable(&self, now_ms: u64) -> ((u32, u32), (u32, u32)) {
        let Some(back) = &self.back else {
            return ((0, 0), (0, 0));
        };
        let count = |backup: bool| {
            let usable = self.servers.iter().filter(|s| s.conf.backup == backup);
            usable.filter(|s| s.weight() > 0).count() as u32
        };
        let after = (count(false), count(true));
        let before = (
            back.active.swap(after.0, Relaxed),
            back.backups.swap(after.1, Relaxed),
        );
        back.epoch.fetch_add(1, Relaxed);
        let (was_up, is_up) = (before != (0, 0), after != (0, 0));
        if was_up && !is_up {
            back.changed_ms.store(now_ms, Relaxed);
            back.counters.shared().went_down.add_shared(1);
        } else if !was_up && is_up && back.epoch.load(Relaxed) > 1 {
            let down = now_ms.saturating_sub(back.changed_ms.swap(now_ms, Relaxed));
            back.down_ms.fetch_add(down, Relaxed);
        }
        (before, after)
    }

    /// A server can take sessions (or there is none and the backend is none of servers).
    pub fn is_up(&self) -> bool {
        let usable = |b: &Arc<BackLive>| b.active.load(Relaxed) + b.backups.load(Relaxed) > 0;
        self.direct.is_some() || self.back.as_ref().is_some_and(usable)
    }
}

impl FrontLive {
    fn build(
        runtime: &Runtime,
        front: &model::Front,
        config: &model::Config,
        before: Option<(&model::Front, &Arc<FrontLive>)>,
    ) -> Arc<FrontLive> {
        let process_max = || config.global.maxconn.unwrap_or(u32::MAX);
        let maxconn = front.maxconn.unwrap_or_else(process_max);
        let rate = front.rate_limit_sessions.unwrap_or(0);
        if let Some((old, live)) = before {
            if old.maxconn != front.maxconn {
                live.maxconn.store(maxconn, Relaxed);
            }
            if old.rate_limit_sessions != front.rate_limit_sessions {
                live.max_session_rate.store(rate, Relaxed);
            }
            live.stopped.store(false, Relaxed);
            return live.clone();
        }
        Arc::new(FrontLive {
            counters: Counters::new(runtime.threads().len()),
            connections: Gauge::default(),
            maxconn: AtomicU32::new(maxconn),
            session_rate: Rate::default(),
            connection_rate: Rate::default(),
            request_rate: Rate::default(),
            max_session_rate: AtomicU32::new(rate),
            paused: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            log_counter: AtomicU32::new(0),
        })
    }
}

impl ListenerLive {
    /// A fresh one.
    pub fn new(runtime: &Runtime) -> Arc<ListenerLive> {
        Arc::new(ListenerLive {
            counters: Counters::new(runtime.threads().len()),
            connections: Gauge::default(),
        })
    }
}

impl BackLive {
    fn new(runtime: &Runtime) -> Arc<BackLive> {
        Arc::new(BackLive {
            counters: Counters::new(runtime.threads().len()),
            sessions: Gauge::default(),
            session_rate: Rate::default(),
            times: Times::default(),
            queue: WaitingRoom::default(),
            fullconn: AtomicU32::new(0),
            follows_weights: AtomicBool::new(true),
            active: AtomicU32::new(0),
            backups: AtomicU32::new(0),
            epoch: AtomicU64::new(0),
            changed_ms: AtomicU64::new(runtime.now_ms()),
            down_ms: AtomicU64::new(0),
            last_session_ms: AtomicU64::new(0),
            servers_speak_first: AtomicBool::new(false),
        })
    }
}
