//! What the CLI and the statistics page read and act on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use conf::lb::model::{AdminLevel, Config};

use super::calls::{Amendment, Calls, Files};
use super::capture::Captures;
use super::command::Answer;
use super::events::Events;
use super::history::History;
use super::ports::Ports;
use super::present::Present;
use super::sample::Samples;
use crate::access_log::AccessLog;
use crate::core::server::Change;
use crate::listener::Listener;
use crate::process::host_name;
use crate::rebalance::Rebalancer;
use crate::state::{CheckAt, Kill, Proxy, Runtime, Server, SessionView};
use crate::stats::info::Info;
use crate::stats::row::Rate;
use crate::takeover::old::Old;
use crate::trace::beside::Watchers;

/// The process as the CLI and the page see it: its state, and what only others can
/// do.
pub struct Control {
    /// Who this process is, in the words that all daemons share.
    pub identity: service::Identity,
    pub runtime: Arc<Runtime>,
    /// State changes and warnings, for `show events` and the page's timeline.
    pub events: Events,
    /// The last invalid request and answer of each proxy.
    pub captures: Captures,
    /// What a sample per second knows: rates, idle time, history.
    pub samples: Samples,
    /// An hour of figures of every proxy and server.
    pub history: History,
    /// What only others can do.
    pub calls: Calls,
    /// The logs, for lines dropped and for rings.
    pub log: OnceLock<Arc<AccessLog>>,
    /// Processes that this one took over from.
    pub old: Old,
    /// Moves sessions between servers.
    pub rebalancer: OnceLock<Arc<Rebalancer>>,
    /// Who watches sessions that no data thread holds.
    pub watchers: Watchers,
    /// Connections to the CLI.
    pub(super) present: Arc<Present>,
    /// The configuration as its files say, without what was added and deleted since.
    filed: ArcSwapOption<Config>,
    /// Servers added since, by `backend/server`: what stood behind `add server`.
    added: Mutex<HashMap<String, String>>,
    /// Sockets with a port of CLI and exporter, for a successor.
    pub ports: Ports,
    listeners: ArcSwap<Vec<Arc<Listener>>>,
    cli_sockets: Mutex<Vec<(String, AdminLevel)>>,
    hard_maxconn: OnceLock<u32>,
}

impl Control {
    pub fn new(runtime: Arc<Runtime>) -> Arc<Self> {
        Arc::new(Self {
            identity: service::Identity::new("lb", env!("CARGO_PKG_VERSION")),
            runtime,
            events: Events::default(),
            captures: Captures::default(),
            samples: Samples::default(),
            history: History::default(),
            calls: Calls::default(),
            log: OnceLock::new(),
            old: Old::default(),
            rebalancer: OnceLock::new(),
            watchers: Watchers::default(),
            present: Arc::default(),
            filed: ArcSwapOption::default(),
            added: Mutex::default(),
            ports: Ports::default(),
            listeners: ArcSwap::default(),
            cli_sockets: Mutex::default(),
            hard_maxconn: OnceLock::new(),
        })
    }

    /// The listeners of the present generation.
    pub fn listeners(&self) -> Arc<Vec<Arc<Listener>>> {
        self.listeners.load_full()
    }

    /// Tells which listeners there are, at start and after each reload.
    pub fn set_listeners(&self, listeners: Arc<Vec<Arc<Listener>>>) {
        self.listeners.store(listeners);
    }

    /// What the files say, at start and after each reload; servers added before are gone.
    pub fn set_filed(&self, config: Arc<Config>) {
        self.filed.store(Some(config));
        self.lock_added().clear();
    }

    /// What the files say.
    pub fn filed(&self) -> Option<Arc<Config>> {
        self.filed.load_full()
    }

    /// A server was added by a command with these words behind the backend's name.
    pub fn server_added(&self, name: &str, words: String) {
        self.lock_added().insert(name.to_owned(), words);
    }

    /// A server is there no more.
    pub fn server_deleted(&self, name: &str) {
        self.lock_added().remove(name);
    }

    /// The words of a server that was added.
    pub fn added(&self, name: &str) -> Option<String> {
        self.lock_added().get(name).cloned()
    }

    fn lock_added(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.added.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The files of the configuration at work with their texts.
    pub fn texts(&self) -> Files {
        self.calls
            .files
            .get()
            .map_or_else(Files::default, |files| files())
    }

    /// What was said while the process started.
    pub fn startup_log(&self) -> String {
        crate::console::said_at_start()
    }

    /// The CLI's sockets with their levels.
    pub fn cli_sockets(&self) -> Vec<(String, AdminLevel)> {
        lock(&self.cli_sockets).clone()
    }

    pub(super) fn no_cli_sockets(&self) {
        lock(&self.cli_sockets).clear();
        self.ports.forget_cli();
    }

    pub(super) fn add_cli_socket(&self, address: String, level: AdminLevel) {
        lock(&self.cli_sockets).push((address, level));
    }

    /// The highest maxconn that the process's limits allow; what `set maxconn global` may set.
    pub fn hard_maxconn(&self) -> u32 {
        *self
            .hard_maxconn
            .get_or_init(|| self.runtime.process.maxconn.load(Relaxed))
    }

    /// Sets the process's maxconn.
    pub fn set_maxconn(&self, value: u32) {
        self.hard_maxconn();
        self.runtime.process.maxconn.store(value, Relaxed);
        self.resume_accept();
    }

    /// Lets listeners look again at what held them back.
    pub fn resume_accept(&self) {
        self.runtime.process.accept_paused.store(true, Relaxed);
        self.runtime.resume_accept();
    }

    /// Changes a server's state or weight, with everything that follows from it.
    pub fn change(&self, server: &Arc<Server>, change: Change, reason: &str) -> bool {
        self.runtime.change(server, change, reason)
    }

    /// Gives waiting sessions the slots that a server has now.
    pub fn serve_waiting(&self, server: &Arc<Server>) {
        // a slot taken and given back is what serves the queue
        drop(crate::state::Slot::take(server.clone()));
    }

    /// Ends sessions, of data threads and of HTTP frontends.
    pub fn kill(&self, kill: Kill) {
        self.runtime.kill(&kill);
    }

    /// Sessions of HTTP frontends.
    pub fn http_sessions(&self) -> Vec<SessionView> {
        self.calls
            .http_sessions
            .get()
            .map_or_else(Vec::new, |call| call())
    }

    /// Reads the configuration again.
    pub fn reload(&self) -> Result<String, String> {
        match self.calls.reload.get() {
            Some(reload) => reload(),
            None => Err("this process cannot reload".to_owned()),
        }
    }

    /// Changes the configuration at work without its files.
    ///
    /// # Errors
    /// Why nothing changed.
    pub fn amend(&self, amendment: &mut Amendment<'_>) -> Result<(), String> {
        match self.calls.amend.get() {
            Some(amend) => amend(amendment),
            None => Err("this process cannot change its configuration".to_owned()),
        }
    }

    /// Closes a frontend's listeners for good.
    pub fn shutdown_frontend(&self, proxy: &Arc<Proxy>) {
        if let Some(front) = &proxy.front {
            front.stopped.store(true, Relaxed);
        }
        if let Some(stop) = self.calls.stop_frontend.get() {
            stop(proxy);
        }
        // a socket is open as long as anybody holds its listener
        let stays = |listener: &&Arc<Listener>| listener.proxy.conf.id != proxy.conf.id;
        let listeners = self.listeners();
        self.set_listeners(Arc::new(listeners.iter().filter(stays).cloned().collect()));
    }

    /// Where a server's health checks go from now on.
    pub fn check_target(&self, server: &Server, ip: Option<IpAddr>, port: Option<u16>) -> Answer {
        let old = server.check_at.load_full().unwrap_or_default();
        server.check_at.store(Some(Arc::new(CheckAt {
            ip: ip.or(old.ip),
            port: port.or(old.port),
            ..*old
        })));
        Answer::Done
    }

    /// Where a server's agent checks go from now on.
    pub fn agent_target(&self, server: &Server, ip: Option<IpAddr>, port: Option<u16>) -> Answer {
        let old = server.check_at.load_full().unwrap_or_default();
        server.check_at.store(Some(Arc::new(CheckAt {
            agent_ip: ip.or(old.agent_ip),
            agent_port: port.or(old.agent_port),
            ..*old
        })));
        Answer::Done
    }

    /// `clear counters`: maxima, or everything.
    pub fn clear_counters(&self, all: bool) {
        let process = &self.runtime.process;
        process.connections.clear_max();
        process.connection_rate.clear_max();
        process.session_rate.clear_max();
        if all {
            process.counters.clear();
        }
        for proxy in &self.runtime.generation().proxies {
            clear_proxy(proxy, all);
        }
        for listener in self.listeners().iter() {
            listener.live.connections.clear_max();
            if all {
                listener.live.counters.clear();
            }
        }
    }

    /// Facts about the process.
    pub fn info(&self) -> Info {
        let runtime = &self.runtime;
        let process = &runtime.process;
        let now_ms = runtime.now_ms();
        let generation = runtime.generation();
        let global = &generation.conf.global;
        let totals = process.counters.totals();
        let listeners = self.listeners().len() as u32;
        let started = runtime
            .started
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let rate = |rate: &crate::counters::Rate, limit: u32| Rate {
            cur: rate.per_second(now_ms),
            max: rate.max(),
            limit,
        };
        let connections = process.connections.get();
        let checks = generation
            .servers()
            .filter(|(_, server)| server.conf.check.enabled)
            .count() as u32;
        Info {
            threads: runtime.threads().len() as u32,
            pid: std::process::id(),
            exact: false,
            uptime_us: runtime.started.elapsed().unwrap_or_default().as_micros() as u64,
            start_time_us: started.as_micros() as u64,
            memory_limit_mb: super::sample::memory_limit_mb(),
            memory_used: self.samples.memory(),
            file_limit: super::sample::file_limit(),
            max_sockets: super::sample::file_limit(),
            max_connections: process.maxconn.load(Relaxed),
            hard_max_connections: self.hard_maxconn(),
            connections,
            connections_total: totals.connections,
            requests_total: totals.requests.max(totals.sessions),
            max_pipes: global
                .maxpipes
                .unwrap_or_else(|| process.maxconn.load(Relaxed) / 4),
            pipes_used: process.pipes.get(),
            pipes_free: 0,
            connection_rate: rate(
                &process.connection_rate,
                process.max_connection_rate.load(Relaxed),
            ),
            session_rate: rate(
                &process.session_rate,
                process.max_session_rate.load(Relaxed),
            ),
            tasks: connections + checks + listeners,
            run_queue: 0,
            idle_percent: self.samples.idle_percent(),
            node: Some(global.node.clone().unwrap_or_else(host_name)),
            description: global.description.clone(),
            stopping: process.stopping.load(Relaxed),
            jobs: connections + listeners,
            listeners,
            dropped_logs: self.log.get().map_or(0, |log| log.dropped() as u32),
            bytes_out: super::sample::bytes_out(runtime),
            bytes_spliced: crate::splice::sent(),
            bytes_out_rate: self.samples.bytes_out_rate(),
            old: self.old.processes(),
        }
    }
}

fn clear_proxy(proxy: &Proxy, all: bool) {
    if let Some(front) = &proxy.front {
        front.connections.clear_max();
        front.session_rate.clear_max();
        front.connection_rate.clear_max();
        front.request_rate.clear_max();
        if all {
            front.counters.clear();
        }
    }
    if let Some(back) = &proxy.back {
        back.sessions.clear_max();
        back.session_rate.clear_max();
        back.queue.clear_max();
        clear_times(&back.times);
        if all {
            // HAProxy keeps them with the backend's state, not with its counters
            back.counters.clear_but_downs();
        }
    }
    for server in &proxy.servers {
        server.sessions.clear_max();
        server.session_rate.clear_max();
        server.queue.clear_max();
        clear_times(&server.times);
        if all {
            server.counters.clear();
        }
    }
}

fn clear_times(times: &crate::counters::Times) {
    for average in [&times.queue, &times.connect, &times.response, &times.total] {
        average.clear_max();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
