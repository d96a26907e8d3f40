//! Rebalancing at work: looks at the backends that ask for it, lets the core
//! decide, and tells data threads which sessions to end. The data path knows
//! nothing of it: counters that are there anyway are read a few times a second.

use crate::core::rebalance::{Action, Policy, Rebalance, Seen, State, Why, bound};
use crate::core::server::{Admin, Operation, Status};
use crate::state::{Cause, Dismissal, Message, Proxy, Runtime, Server};
use conf::lb::model::{DrainStates, Farewell, Mode};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Between two looks, at least; the same again at random on top.
const STEP: Duration = Duration::from_millis(150);
/// Between two looks when no backend asks for it.
const REST: Duration = Duration::from_secs(1);

/// Told what an operator may want to read.
pub type Teller = Box<dyn Fn(&Proxy, &str) + Send + Sync>;

/// The rebalancing of all backends.
pub struct Rebalancer {
    runtime: Arc<Runtime>,
    backends: Mutex<BTreeMap<String, Rebalance>>,
    tell: Teller,
}

/// A backend as `show rebalance`, the page and the exporter show it.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name.
    pub backend: String,
    /// `idle`, `settling`, `moving`, `waiting`, or `off` when it only drains.
    pub state: &'static str,
    /// Why it is in that state; empty when idle.
    pub cause: String,
    /// Most sessions ended in a minute, in percent and at the moment.
    pub bound: Option<(u32, u32)>,
    /// Sessions ended in the last minute.
    pub last_minute: u32,
    /// Its servers.
    pub servers: Vec<ServerView>,
}

/// A server of a [`View`].
#[derive(Clone, Debug)]
pub struct ServerView {
    /// Its name.
    pub name: String,
    /// Its sessions.
    pub sessions: u32,
    /// Those of them that were told to leave.
    pub leaving: u32,
    /// Its even share.
    pub share: f64,
    /// It is being emptied.
    pub draining: bool,
    /// What its emptying waits for: this server should work and does not.
    pub waits_for: Option<String>,
    /// Sessions ended so far to even the servers out.
    pub rebalanced: u64,
    /// Sessions ended so far to empty it.
    pub drained: u64,
}

impl Rebalancer {
    /// For the backends of this process.
    pub fn new(runtime: Arc<Runtime>, tell: Teller) -> Arc<Rebalancer> {
        Arc::new(Rebalancer {
            runtime,
            backends: Mutex::default(),
            tell,
        })
    }

    /// Looks after the backends for ever.
    pub async fn run(self: Arc<Rebalancer>) {
        loop {
            let busy = self.look(dice());
            let jitter = STEP.mul_f64(dice());
            tokio::time::sleep(if busy { STEP + jitter } else { REST }).await;
        }
    }

    /// One look at all backends; false when none asks for anything.
    fn look(&self, jitter: f64) -> bool {
        let generation = self.runtime.generation();
        let now_ms = self.runtime.now_ms();
        let stopping = self.runtime.process.stopping.load(Relaxed);
        let mut backends = self.lock();
        backends.retain(|name, _| generation.backend(name).is_some_and(|p| asks(p)));
        let mut out = Vec::new();
        for proxy in generation.proxies.iter().filter(|p| asks(p) && !stopping) {
            let core = backends.entry(proxy.name().to_owned()).or_default();
            core.step(
                now_ms,
                policy(proxy).as_ref(),
                &seen(proxy),
                jitter,
                &mut out,
            );
            for action in out.drain(..) {
                self.perform(proxy, action);
            }
        }
        !backends.is_empty()
    }

    fn perform(&self, proxy: &Arc<Proxy>, action: Action) {
        match action {
            Action::Tell(text) => (self.tell)(proxy, &text),
            Action::End { server, count, why } => {
                if let Some(server) = ours(proxy).nth(server) {
                    self.dismiss(proxy, server, count, why);
                }
            }
        }
    }

    /// A thread is chosen by chance, busy ones more often; it asks the others if need be.
    fn dismiss(&self, proxy: &Proxy, server: &Arc<Server>, count: u32, why: Why) {
        let Some((cause, farewell)) = way(proxy, why) else {
            return;
        };
        let threads = self.runtime.threads();
        let all: u32 = threads.iter().map(|t| t.load.load(Relaxed)).sum();
        let mut point = dice() * f64::from(all);
        let hit = threads.iter().find(|t| {
            point -= f64::from(t.load.load(Relaxed));
            point < 0.0
        });
        let Some(thread) = hit.or(threads.first()) else {
            return;
        };
        server.leaving.fetch_add(count, Relaxed);
        thread.post(Message::Dismiss(Dismissal {
            server: server.live.clone(),
            count,
            hops: threads.len() as u16 - 1,
            cause,
            wait_ms: farewell.wait.as_millis() as u64,
            reason: farewell.reason.as_str().into(),
            start: (dice() * f64::from(u32::MAX)) as u32,
        }));
    }

    /// Begins to even a backend out as if a server had come; false when it does not ask for it.
    pub fn begin(&self, backend: &str) -> bool {
        let generation = self.runtime.generation();
        let asks = generation
            .backend(backend)
            .is_some_and(|p| policy(p).is_some());
        if asks {
            let mut backends = self.lock();
            let core = backends.entry(backend.to_owned()).or_default();
            core.begin(self.runtime.now_ms(), "asked for by an operator");
        }
        asks
    }

    /// What there is to show, of one backend where it is given.
    pub fn views(&self, only: Option<&str>) -> Vec<View> {
        let generation = self.runtime.generation();
        let backends = self.lock();
        let wanted = |p: &&Arc<Proxy>| asks(p) && only.is_none_or(|name| name == p.name());
        let proxies = generation.proxies.iter().filter(wanted);
        proxies
            .map(|proxy| view(proxy, backends.get(proxy.name())))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Rebalance>> {
        self.backends.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A number between 0 and 1.
fn dice() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / (f64::from(u32::MAX) + 1.0)
}

fn asks(proxy: &Proxy) -> bool {
    let back = proxy.conf.back.as_ref();
    let asks = back.is_some_and(|b| b.rebalance.is_some() || b.drain_sessions.is_some());
    asks && proxy.conf.mode == Mode::Tcp
}

fn policy(proxy: &Proxy) -> Option<Policy> {
    let back = proxy.conf.back.as_ref().filter(|_| asks(proxy))?;
    let rebalance = back.rebalance.as_ref()?;
    Some(Policy {
        rate_percent: rebalance.rate_percent,
        within_percent: rebalance.within_percent,
        settle: rebalance.settle,
    })
}

fn way(proxy: &Proxy, why: Why) -> Option<(Cause, &Farewell)> {
    let back = proxy.conf.back.as_ref()?;
    match why {
        Why::Uneven => Some((Cause::Rebalanced, &back.rebalance.as_ref()?.farewell)),
        Why::Drain => Some((Cause::Drained, &back.drain_sessions.as_ref()?.farewell)),
    }
}

/// The servers that share a backend's sessions: backups have none while others work.
fn ours(proxy: &Proxy) -> impl Iterator<Item = &Arc<Server>> {
    proxy.servers.iter().filter(|s| !s.conf.backup)
}

fn seen(proxy: &Proxy) -> Vec<Seen> {
    let drain = proxy
        .conf
        .back
        .as_ref()
        .and_then(|b| b.drain_sessions.as_ref());
    let look = |server: &Arc<Server>| {
        let status = server.status().clone();
        Seen {
            name: server.name().to_owned(),
            weight: server.weight(),
            user_weight: status.weight,
            starting: status.operation == Operation::Starting,
            sessions: server.sessions.get(),
            leaving: server.leaving.load(Relaxed),
            broken: is_broken(&status),
            drain_percent: drain
                .filter(|d| is_in(&status, d.states))
                .map(|d| d.rate_percent),
        }
    };
    ours(proxy).map(look).collect()
}

/// It should work, as far as the file and operators say, and does not.
fn is_broken(status: &Status) -> bool {
    let by_operator = status.admin.in_drain()
        || [
            Admin::FORCED_MAINT,
            Admin::INHERITED_MAINT,
            Admin::CONFIG_MAINT,
        ]
        .into_iter()
        .any(|flag| status.admin.has(flag));
    !status.usable() && !by_operator && status.weight > 0
}

fn is_in(status: &Status, states: DrainStates) -> bool {
    let down = status.operation == Operation::Stopped && !status.admin.in_maintenance();
    states.drain && status.admin.in_drain()
        || states.maint && status.admin.in_maintenance()
        || states.nolb && status.operation == Operation::Stopping
        || states.down && down
}

fn view(proxy: &Proxy, core: Option<&Rebalance>) -> View {
    let servers = seen(proxy);
    let usable = || servers.iter().filter(|s| s.weight > 0);
    let total: u32 = usable().map(|s| s.sessions).sum();
    let weights: u32 = usable().map(|s| s.weight).sum();
    let policy = policy(proxy);
    let (state, cause) = words(policy.is_some(), core);
    View {
        backend: proxy.name().to_owned(),
        state,
        cause,
        bound: policy.map(|p| {
            let all = servers.iter().map(|s| s.sessions).sum();
            (p.rate_percent, bound(all, p.rate_percent))
        }),
        last_minute: core.map_or(0, Rebalance::last_minute),
        servers: servers
            .iter()
            .zip(ours(proxy))
            .map(|(seen, server)| {
                let totals = server.counters.totals();
                ServerView {
                    name: seen.name.clone(),
                    sessions: seen.sessions,
                    leaving: seen.leaving,
                    share: f64::from(total) * f64::from(seen.weight) / f64::from(weights.max(1)),
                    draining: seen.drain_percent.is_some(),
                    waits_for: servers
                        .iter()
                        .find(|s| s.broken && s.name != seen.name && seen.drain_percent.is_some())
                        .map(|s| s.name.clone()),
                    rebalanced: totals.rebalanced,
                    drained: totals.drained,
                }
            })
            .collect(),
    }
}

fn words(rebalances: bool, core: Option<&Rebalance>) -> (&'static str, String) {
    let waits = core.and_then(Rebalance::held_back_by);
    match (core.map(Rebalance::state), waits) {
        _ if !rebalances => ("off", String::new()),
        (None | Some(State::Idle), _) => ("idle", String::new()),
        (Some(_), Some(name)) => ("waiting", format!("{name} is not usable")),
        (Some(State::Settling { cause, .. }), None) => ("settling", cause.clone()),
        (Some(State::Moving { cause, .. }), None) => ("moving", cause.clone()),
    }
}
