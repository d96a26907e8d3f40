//! From a configuration that was read to a process that serves: sockets opened and taken
//! over, rights given up, threads started.

use super::Balancer;
use super::hooks::{hook, offer, rebalancer, set};
use crate::access_log::AccessLog;
use crate::admin::{Control, socket};
use crate::daemon::Ready;
use crate::data_path::DataPath;
use crate::http::exporter::{self, Exporter};
use crate::keeper::Keeper;
use crate::listener::Inherited;
use crate::loading::{Loaded, Startup};
use crate::options::Options;
use crate::probe::{self, Teller};
use crate::process::{self, Identity, Refusal};
use crate::reload::{self, Reloader};
use crate::saved::file::Store;
use crate::saved::keeping::{self, Keeping};
use crate::state::Proxy;
use crate::takeover::{self, Takeover};
use crate::{console, http};
use arc_swap::ArcSwap;
use conf::lb::{Config, Level};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Tries to bind while an old process still lets its ports go.
const BIND_TRIES: u32 = 100;

impl Balancer {
    /// Opens, takes over and starts all that `startup` asks for.
    ///
    /// # Errors
    /// What the system or a peer refuses, each with what helps; nothing goes on running then.
    pub(super) fn start(
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
        let source: Box<dyn Fn(&Options) -> Loaded + Send + Sync> = match keeper {
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
        for link in takeover.links {
            link.follow(&control)?;
        }
        // commands find everything in place, a successor all processes before this one
        socket::serve(&served, sockets, &config.global.stats)?;
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
            notify: Arc::new(notify),
            watchdog,
            admin_path,
            stopping_since: None,
            let_go_at: None,
            steered: Vec::new(),
            empty_since: None,
            turns: Vec::new(),
            keeping: store.map(Keeping::new),
            ebb: Default::default(),
        })
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
