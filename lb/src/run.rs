//! The process that serves: everything opened, then rights given up, then
//! threads started, then the loop that waits for signals.

use crate::access_log::{AccessLog, change};
use crate::admin::{Amendment, Control, frontends, socket};
use crate::core::server::Change;
use crate::daemon::Ready;
use crate::data_path::DataPath;
use crate::http::exporter::{self, Exporter};
use crate::keeper::Keeper;
use crate::listener::Inherited;
use crate::loading::Startup;
use crate::options::Options;
use crate::probe::{self, Prober, Teller};
use crate::process::{self, Identity, Refusal};
use crate::rebalance::Rebalancer;
use crate::reload::{self, Reloader};
use crate::saved::file::Store;
use crate::saved::keeping::{self, Keeping};
use crate::signals::{Signals, die_of};
use crate::state::{Proxy, StateChange};
use crate::takeover::{self, Takeover};
use crate::{console, dump, http};
use arc_swap::ArcSwap;
use conf::lb::{Config, Level};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use service::{Notify, Watchdog};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the loop looks around when no signal comes.
const TURN: Duration = Duration::from_millis(1000);

/// The same while the process waits for its last sessions.
const STOPPING_TURN: Duration = Duration::from_millis(50);

/// Time for handshakes under way to a socket that nobody takes over.
const HANDSHAKES: Duration = Duration::from_millis(500);

/// Time for a successor to hear the last numbers.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Tries to bind while an old process still lets its ports go.
const BIND_TRIES: u32 = 100;

/// Serves until told to stop.
pub fn worker(
    options: &Options,
    startup: Startup,
    identity: &Identity,
    signals: Signals,
    ready: Ready,
) -> ExitCode {
    match Balancer::start(options, startup, identity, ready) {
        Ok(balancer) => balancer.serve(&signals),
        Err(refusals) => {
            for refusal in refusals {
                console::alert(&refusal.to_string());
            }
            ExitCode::FAILURE
        }
    }
}

/// A running balancer.
struct Balancer {
    data: Arc<DataPath>,
    reloader: Arc<Reloader>,
    log: Arc<AccessLog>,
    prober: Arc<Prober>,
    /// The thread of the checks, until it was waited for.
    checks: Mutex<Option<JoinHandle<()>>>,
    control: Arc<Control>,
    runtime: tokio::runtime::Runtime,
    notify: Notify,
    watchdog: Option<Watchdog>,
    admin_path: PathBuf,
    stopping_since: Option<Instant>,
    /// Until then it still accepts what was under way to it.
    let_go_at: Option<Instant>,
    /// The last connection of a process that stops ended then.
    empty_since: Option<Instant>,
    /// Turns of the data threads at the last sign of life.
    turns: Vec<u64>,
    /// Keeps the state (`--state-dir`).
    keeping: Option<Keeping>,
}

impl Balancer {
    fn start(
        options: &Options,
        startup: Startup,
        identity: &Identity,
        ready: Ready,
    ) -> Result<Balancer, Vec<Refusal>> {
        let one = |problem: String| vec![refusal(problem)];
        let Startup { mut config, texts } = startup;
        let limits = process::raise_limits(&config, options.memory_mib).map_err(|r| vec![r])?;
        conf::lb::fill_fullconn(&mut config, limits.maxconn);
        if let Some(warning) = &limits.warning {
            console::warning(&format!("[evenkeel] {warning}"));
        }
        let run_dir = options
            .run_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from(socket::RUN_DIR));
        let admin_path = socket::default_path(&run_dir, std::process::id());
        let keeper = identity
            .changes_anything()
            .then(|| Keeper::start(options, &admin_path));
        let keeper = keeper
            .transpose()
            .map_err(|e| one(format!("Cannot start a helper: {e}")))?;
        let config = Arc::new(config);
        let threads = config
            .global
            .nbthread
            .map_or_else(available_threads, |n| n as usize);
        let data = DataPath::prepare(threads)
            .map_err(|e| one(format!("Cannot prepare {threads} threads: {e}")))?;
        let data = Arc::new(data);
        data.runtime()
            .process
            .maxconn
            .store(limits.maxconn, Relaxed);
        let log = AccessLog::open(&config, &program());
        let control = Control::new(data.runtime().clone());
        set(&control.log, log.clone());
        let mut takeover = takeover::begin(options, &config, &run_dir).map_err(one)?;
        bind(&data, &config, options, &mut takeover)?;
        let inherited = &mut takeover.inherited;
        let sockets = socket::bind(&config.global.stats, inherited);
        let mut sockets = sockets.map_err(|e| one(e.to_string()))?;
        let prometheus = config.global.prometheus.as_ref();
        let exporter = exporter::bind(prometheus, |port| inherited.take_port(port));
        let exporter = exporter.map_err(|e| one(e.to_string()))?;
        // what nobody listens on here any more stays with the old process until it stops
        *inherited = Inherited::default();
        control.set_listeners(data.listeners());
        control.set_filed(config.clone());
        let store = keeping::open(options, identity).map_err(one)?;
        keeping::resume(&control, &takeover, store.as_ref());
        match socket::bind_default(&run_dir, std::process::id()) {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                console::notice(&format!("no admin socket in the run directory: {error}"))
            }
        }
        let pidfile = config.global.process.pidfile.as_deref();
        if let Some(path) = pidfile.filter(|_| config.global.process.daemon && !has_master(&config))
        {
            process::write_pid(path, std::process::id()).map_err(|r| vec![r])?;
        }
        end_old(options);
        identity.assume().map_err(|r| vec![r])?;
        let balancer = Balancer::run(
            options,
            &config,
            Parts {
                data,
                log,
                control,
                keeper,
                texts,
                run_dir,
                exporter,
                takeover,
                store,
            },
            sockets,
            ready,
        );
        balancer.map_err(|e| one(format!("Cannot start: {e}")))
    }

    /// Starts the threads: nothing may fork any more.
    fn run(
        options: &Options,
        config: &Arc<Config>,
        parts: Parts,
        sockets: Vec<socket::Socket>,
        ready: Ready,
    ) -> std::io::Result<Balancer> {
        let Parts {
            data,
            log,
            control,
            keeper,
            texts,
            run_dir,
            exporter,
            takeover,
            store,
        } = parts;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("control")
            .enable_all()
            .build()?;
        let teller: Teller = {
            let log = log.clone();
            Arc::new(move |proxy: &Proxy, level: Level, text: &str| {
                log.proxy(proxy, level, text);
                console::warning(text);
            })
        };
        let (prober, checks) = probe::start(data.runtime().clone(), teller)?;
        hook(&data, &log, &control, &prober);
        let source: Box<dyn Fn(&Options) -> crate::loading::Loaded + Send + Sync> = match keeper {
            Some(keeper) => Box::new(move |options| keeper.load(options)),
            None => Box::new(reload::from_files),
        };
        let served = Arc::new(socket::Served::new(runtime.handle(), &control));
        let exporter = Exporter::serve(runtime.handle(), &control, exporter)?;
        let reloader = Arc::new(Reloader {
            sockets: served.clone(),
            exporter,
            options: options.clone(),
            data: data.clone(),
            log: log.clone(),
            prober: prober.clone(),
            control: control.clone(),
            source,
            texts: ArcSwap::from_pointee(texts),
            busy: Mutex::new(()),
        });
        let rebalancer = rebalancer(&data, &log, &control);
        runtime.spawn(rebalancer.run());
        offer(&control, &data, &reloader);
        http::Gate::open(&control, runtime.handle());
        let cpu_map = config.global.cpu_map.clone();
        data.start(move |number| {
            if let Some(cpus) = cpu_map.get(&(number as u32 + 1)) {
                pin(cpus);
            }
        })?;
        prober.follow(data.runtime().generation());
        // commands find everything in place
        socket::serve(&served, sockets, &config.global.stats)?;
        for link in takeover.links {
            link.follow(&control)?;
        }
        let admin_path = socket::default_path(&run_dir, std::process::id());
        let notify = ready.announce();
        let watchdog = notify.watchdog(std::process::id());
        Ok(Balancer {
            data,
            reloader,
            log,
            prober,
            checks: Mutex::new(Some(checks)),
            control,
            runtime,
            notify,
            watchdog,
            admin_path,
            stopping_since: None,
            let_go_at: None,
            empty_since: None,
            turns: Vec::new(),
            keeping: store.map(Keeping::new),
        })
    }

    /// Waits for signals and looks after what needs a regular look.
    fn serve(mut self, signals: &Signals) -> ExitCode {
        let mut next_tick = Instant::now() + TURN;
        loop {
            let turn = if self.stopping_since.is_some() {
                STOPPING_TURN
            } else {
                TURN
            };
            let turn = turn.min(next_tick.saturating_duration_since(Instant::now()));
            let turn = self
                .watchdog
                .as_ref()
                .map_or(turn, |dog| turn.min(dog.every() / 4));
            let timeout = PollTimeout::try_from(turn).unwrap_or(PollTimeout::ZERO);
            let mut descriptors = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            // interrupted or not, the loop looks for signals next
            let _ = poll(&mut descriptors, timeout);
            while let Some(signal) = signals.next() {
                if let Some(status) = self.signal(signal) {
                    return status;
                }
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TURN;
                self.data.runtime().tick();
                if let Some(keeping) = &mut self.keeping {
                    keeping.when_due(&self.control, &self.log);
                }
            }
            self.reassure();
            if self.let_go_at.is_some() {
                self.let_go();
            }
            if self.is_over() {
                self.end();
                return ExitCode::SUCCESS;
            }
        }
    }

    /// The watchdog's sign of life, unless a data thread made no turn since the last one.
    fn reassure(&mut self) {
        let now = Instant::now();
        let Some(watchdog) = self.watchdog.as_mut().filter(|dog| dog.is_due(now)) else {
            return;
        };
        let threads = self.data.runtime().threads();
        let turns: Vec<u64> = threads.iter().map(|t| t.loops.load(Relaxed)).collect();
        let stuck = turns.iter().zip(&self.turns).any(|(now, last)| now == last);
        if !stuck {
            self.turns = turns;
            watchdog.alive(now);
        }
    }

    fn signal(&mut self, signal: Signal) -> Option<ExitCode> {
        match signal {
            Signal::SIGUSR1 => self.stop_softly(),
            Signal::SIGUSR2 => {
                self.notify.reloading();
                let reloader = self.reloader.clone();
                // both outcomes are logged by the reload itself
                self.runtime.spawn_blocking(move || drop(reloader.reload()));
                self.notify.ready(std::process::id(), "Ready.");
            }
            Signal::SIGHUP => {
                self.log.reopen();
                dump::states(self.data.runtime(), &self.log);
            }
            Signal::SIGINT | Signal::SIGTERM => {
                self.notify.stopping();
                self.end();
                return Some(die_of(signal));
            }
            Signal::SIGTTOU => frontends::pause_all(&self.control),
            Signal::SIGTTIN => frontends::resume_all(&self.control),
            Signal::SIGQUIT => {
                let used = self.control.info().memory_used;
                console::notice(&format!("SIGQUIT: {used} bytes of memory are in use."));
            }
            _ => {}
        }
        None
    }

    fn stop_softly(&mut self) {
        if self.stopping_since.is_some() {
            return;
        }
        let now = Instant::now();
        self.stopping_since = Some(now);
        let process = &self.data.runtime().generation().conf.global.process;
        if let Some(limit) = process.hard_stop_after {
            self.control.old.set_hard_stop(now + limit);
        }
        if let Some(keeping) = &self.keeping {
            keeping.all(&self.control, &self.log);
        }
        self.notify.stopping();
        dump::stopped(self.data.runtime(), &self.log);
        self.let_go_at = self.data.steer().then(|| now + HANDSHAKES);
        self.let_go();
    }

    /// Stops listening, once queues that nobody takes over have run dry.
    fn let_go(&mut self) {
        if self.let_go_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.let_go_at = None;
        self.reloader.sockets.let_ports_go();
        self.reloader.exporter.let_go();
        self.data.stop_listening();
        self.control.set_listeners(self.data.listeners());
    }

    /// A soft stop has come to its end: no session left, or no time.
    fn is_over(&mut self) -> bool {
        let Some(since) = self.stopping_since else {
            return false;
        };
        let runtime = self.data.runtime();
        if runtime.process.connections.get() == 0 && self.let_go_at.is_none() {
            // a successor hears the last numbers first
            let empty_since = self.empty_since.get_or_insert_with(Instant::now);
            return !self.control.old.is_followed() || empty_since.elapsed() > LAST_WORD;
        }
        self.empty_since = None;
        let limit = runtime.generation().conf.global.process.hard_stop_after;
        let late = limit.is_some_and(|limit| since.elapsed() >= limit);
        if late {
            console::warning("soft-stop running for too long, performing a hard-stop.");
            self.log.process(
                Level::Warning,
                "soft-stop running for too long, performing a hard-stop.",
            );
            dump::hard_stopped(runtime, &self.log);
        }
        late
    }

    fn end(&self) {
        self.prober.stop();
        // it ends the programs of external checks, which must not outlive us
        let checks = self.checks.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(thread) = checks {
            let _ = thread.join();
        }
        self.data.stop();
        if let Some(keeping) = &self.keeping {
            keeping.all(&self.control, &self.log);
        }
        self.log.drain();
        // inside a chroot the file is out of reach; the next start removes it
        let _ = std::fs::remove_file(&self.admin_path);
    }
}

/// What [`Balancer::start`] has opened.
struct Parts {
    data: Arc<DataPath>,
    log: Arc<AccessLog>,
    control: Arc<Control>,
    keeper: Option<Keeper>,
    texts: Vec<(PathBuf, String)>,
    run_dir: PathBuf,
    exporter: exporter::Bound,
    takeover: Takeover,
    store: Option<Store>,
}

fn refusal(problem: String) -> Refusal {
    Refusal {
        problem: format!("[evenkeel] {problem}"),
        remedy: String::new(),
    }
}

fn has_master(config: &Config) -> bool {
    config.global.process.master_worker.is_some()
}

fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The name under which the program was called: the tag of its log lines.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "evenkeel".to_owned())
}

/// Binds all addresses; while an old process holds one without sharing it,
/// asks that process to pause and tries again.
fn bind(
    data: &DataPath,
    config: &Arc<Config>,
    options: &Options,
    takeover: &mut Takeover,
) -> Result<(), Vec<Refusal>> {
    let mut tries = if options.old_pids.is_empty() {
        1
    } else {
        BIND_TRIES
    };
    loop {
        tries -= 1;
        let errors = match data.apply_with(config.clone(), &mut takeover.inherited) {
            Ok(_) => return Ok(()),
            Err(errors) => errors,
        };
        if tries == 0 {
            tell_old(options, Signal::SIGTTIN);
            let mut all: Vec<Refusal> = errors
                .iter()
                .map(|error| Refusal {
                    problem: error.to_string(),
                    remedy: String::new(),
                })
                .collect();
            all.push(refusal(
                "Some protocols failed to start their listeners! Exiting.".to_owned(),
            ));
            return Err(all);
        }
        if tries == BIND_TRIES - 1 {
            tell_old(options, Signal::SIGTTOU);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends the processes of `-sf` and `-st`.
fn end_old(options: &Options) {
    let signal = if options.terminate_old {
        Signal::SIGTERM
    } else {
        Signal::SIGUSR1
    };
    tell_old(options, signal);
}

fn tell_old(options: &Options, signal: Signal) {
    for pid in &options.old_pids {
        // gone already: what was wanted
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

fn pin(cpus: &[u32]) {
    let mut set = CpuSet::new();
    for cpu in cpus {
        // a number beyond what the system knows cannot be set
        let _ = set.set(*cpu as usize);
    }
    if let Err(error) = sched_setaffinity(Pid::from_raw(0), &set) {
        console::warning(&format!(
            "[evenkeel] Cannot bind a thread to CPUs {cpus:?}: {}",
            error.desc()
        ));
    }
}

/// Connects the data path with logs, checks and events.
fn hook(data: &Arc<DataPath>, log: &Arc<AccessLog>, control: &Arc<Control>, prober: &Arc<Prober>) {
    log.look_at(data.runtime().clone());
    let hooks = &data.runtime().hooks;
    let sessions = log.clone();
    set(
        &hooks.log,
        Box::new(move |record: &_| sessions.session(record)),
    );
    let names = log.clone();
    set(
        &hooks.unique_id,
        Box::new(move |record: &_| names.unique_id(record)),
    );
    let (states, events) = (log.clone(), control.clone());
    set(
        &hooks.on_change,
        Box::new(move |change: &StateChange| on_change(&states, &events, change)),
    );
    let (runtime, checks) = (data.runtime().clone(), prober.clone());
    set(
        &hooks.observed,
        Box::new(move |server: &_, failed| probe::observed(&runtime, &checks, server, failed)),
    );
    let (warnings, events) = (log.clone(), control.clone());
    set(
        &hooks.warn,
        Box::new(move |text: &str| {
            console::warning(text);
            warnings.process(Level::Warning, text);
            events.events.add("process", text);
        }),
    );
}

/// Moves sessions between servers where the file asks for it.
fn rebalancer(
    data: &Arc<DataPath>,
    log: &Arc<AccessLog>,
    control: &Arc<Control>,
) -> Arc<Rebalancer> {
    let (log, events) = (log.clone(), control.clone());
    let tell = Box::new(move |proxy: &Proxy, text: &str| {
        let text = format!("Backend {}: {text}.", proxy.name());
        log.proxy(proxy, Level::Notice, &text);
        console::notice(&text);
        events.events.add(proxy.name(), &text);
    });
    let rebalancer = Rebalancer::new(data.runtime().clone(), tell);
    set(&control.rebalancer, rebalancer.clone());
    rebalancer
}

fn set<T>(hook: &OnceLock<T>, call: T) {
    let fresh = hook.set(call).is_ok();
    debug_assert!(fresh, "each hook is set once, here");
}

fn on_change(log: &AccessLog, control: &Control, change: &StateChange) {
    let (before, after) = (change.transition.from.1, change.transition.to.1);
    if before.in_maintenance() && !after.in_maintenance() {
        // as at start: up, and one failure takes it down
        let mut health = change
            .server
            .health
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        if health.configured && health.is_up() {
            let rise = health.rise();
            health.set_value(rise);
        }
    }
    if let Some((level, text)) = change::words(change) {
        log.proxy(&change.backend, level, &text);
        console::warning(&text);
        let subject = format!("{}/{}", change.backend.name(), change.server.name());
        control.events.add(&subject, &text);
    }
    if let Some(text) = change::still_draining(change) {
        log.proxy(&change.backend, Level::Notice, &text);
    }
    if let Some((text, shown)) =
        change::backend_down(change).filter(|_| change.change != Change::Tick)
    {
        log.proxy(&change.backend, Level::Emerg, &text);
        console::alert(&shown);
        control.events.add(change.backend.name(), &text);
    }
}

/// Gives the runtime CLI what only this process can do.
fn offer(control: &Arc<Control>, data: &Arc<DataPath>, reloader: &Arc<Reloader>) {
    let reload = reloader.clone();
    set(&control.reload, Box::new(move || reload.reload()));
    let amender = reloader.clone();
    set(
        &control.amend,
        Box::new(move |amendment: &mut Amendment<'_>| amender.amend(amendment)),
    );
    let data = data.clone();
    set(
        &control.stop_frontend,
        Box::new(move |proxy: &Arc<Proxy>| data.stop_frontend(proxy.name())),
    );
    let texts = reloader.clone();
    set(
        &control.running_texts,
        Box::new(move || texts.running_texts()),
    );
    let files = reloader.clone();
    set(&control.files, Box::new(move || files.files()));
}
