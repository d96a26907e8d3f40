//! One node from start to end: engine, core thread, management thread, control
//! socket, alarms.

use crate::certificates::Files;
use crate::config::NodeConfig;
use crate::core::Core;
use crate::core::access::Password;
use crate::core::metadata::Command;
use crate::core::vhost::VhostSpec;
use crate::data;
use crate::handle::Handle;
use crate::management::{self, Listener, Management, NodeFacts, system};
use crate::pressure::{Pressure, processor_time};
use crate::run::{self, Listen, Running, Secure};
use crate::store::{Health, Monitor};
use crate::{Seat, admin, ctl};
use conf::broker::DiskLimit;
use service::Notify;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often memory and disk are looked at.
const WATCH: Duration = Duration::from_secs(1);
/// How often the certificates' files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Runs a node until it is told to stop.
pub fn run(config: NodeConfig) -> ExitCode {
    crate::log::start(&config.config.log);
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel broker: {error}");
            ExitCode::from(69)
        }
    }
}

fn serve(config: NodeConfig) -> io::Result<()> {
    crate::allocator::return_large_blocks();
    raise_file_limit();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let seat = Seat::new()?;
    let (mut core, data, found) =
        data::open(&config.data_dir, config.settings(), seed, seat.wake.clone())
            .map_err(|error| io::Error::other(error.to_string()))?;
    tracing::info!(path = %data.path.display(), messages = found.messages, "data directory opened");
    prepare(&mut core, &config)?;
    let certificates = config.config.tls.as_ref().map(Files::open).transpose()?;
    let running = run::start(seat, core, &listens(&config, certificates.as_ref())?)?;
    let management = Arc::new(Management::new(running.handle.clone(), facts(&config)));
    announce(&config, &running, &management);
    let ended = supervise(
        &config,
        &running.handle,
        &management,
        &data.monitor,
        certificates,
    );
    if let Some(core) = running.stop() {
        data.close(core);
    }
    ended
}

/// What the core thread listens on, TLS behind the plain ones.
fn listens(config: &NodeConfig, certificates: Option<&Files>) -> io::Result<Vec<Listen>> {
    let c = &config.config;
    let tls = c.tls.as_ref().zip(certificates).map(|(tls, files)| Secure {
        serving: files.serving(),
        login_from: tls.login_from,
    });
    if tls.is_none() && !c.listen_tls.is_empty() {
        return Err(io::Error::other(
            "a TLS listener needs a certificate and key in [tls] of the configuration file",
        ));
    }
    let listen = |address: &SocketAddr, tls| Listen {
        address: *address,
        tls,
        proxy_protocol: c.proxy_protocol,
        backlog: c.backlog,
    };
    let plain = c.listen.iter().map(|at| listen(at, None));
    let secure = c.listen_tls.iter().map(|at| listen(at, tls.clone()));
    Ok(plain.chain(secure).collect())
}

/// As many open files as the system lets this process have.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, "the limit of open files stays as it is");
    }
}

/// What a node has before the first client comes.
fn prepare(core: &mut Core, config: &NodeConfig) -> io::Result<()> {
    if core.metadata.vhosts.is_empty() && core.metadata.access.users.is_empty() {
        first_start(core, config)?;
    }
    let loopback = config.config.loopback_users.iter().cloned();
    core.metadata.access.loopback_users = loopback.collect();
    if let Some(name) = core
        .metadata
        .global_parameters
        .get("cluster_name")
        .and_then(|n| n.as_str())
    {
        core.settings.cluster_name = name.to_owned();
    }
    if let Some(path) = &config.config.load_definitions {
        let named =
            |error: String| io::Error::other(format!("definitions {}: {error}", path.display()));
        let text = std::fs::read(path).map_err(|e| named(e.to_string()))?;
        let document = serde_json::from_slice(&text).map_err(|e| named(e.to_string()))?;
        admin::import(core, &document, None).map_err(|e| named(e.to_string()))?;
        tracing::info!(path = %path.display(), "definitions imported");
    }
    Ok(())
}

/// What a node without any data begins with: the default virtual host, and its
/// user with all rights there.
pub fn first_start(core: &mut Core, config: &NodeConfig) -> io::Result<()> {
    let c = &config.config;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    let user = &c.default_user;
    let password = Password::hash(user.password.as_bytes(), salt);
    core.execute(Command::PutVhost(VhostSpec {
        name: c.default_vhost.clone(),
        description: "Default virtual host".to_owned(),
        ..VhostSpec::default()
    }));
    admin::put_user(core, user.name.clone(), password, user.tags.clone());
    admin::set_global_parameter(core, "internal_cluster_id".into(), cluster_id()?.into());
    let permissions = user.permissions.clone();
    admin::set_permission(
        core,
        user.name.clone(),
        c.default_vhost.clone(),
        permissions,
    )
    .map(drop)
    .map_err(|error| io::Error::other(format!("the default user's permissions: {error}")))
}

/// A cluster's identity, which stays when its name changes.
fn cluster_id() -> io::Result<String> {
    use base64::Engine;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    Ok(format!("rabbitmq-cluster-id-{text}"))
}

fn facts(config: &NodeConfig) -> NodeFacts {
    let total = system::memory_total();
    let (memory_limit, memory_setting) = config.memory_limit(total);
    let settings = config.settings();
    let c = &config.config;
    NodeFacts {
        identity: service::Identity::new("broker", env!("CARGO_PKG_VERSION")),
        name: config.node.clone(),
        product: settings.product,
        version: settings.version,
        our_version: env!("CARGO_PKG_VERSION"),
        data_dir: config.data_dir.clone(),
        run_dir: config.run_dir.clone(),
        pid_files: config.pid_files.clone(),
        config_files: config.config_file.iter().cloned().collect(),
        log_file: c.log.file.clone(),
        started_ms: management::now_ms(),
        certificates: c.tls.iter().map(|tls| tls.certificate.clone()).collect(),
        memory_limit,
        memory_setting,
        disk_limit: match c.disk {
            DiskLimit::Absolute(bytes) => bytes,
            DiskLimit::MemoryRatio(ratio) => (total as f64 * ratio) as u64,
        },
    }
}

fn announce(config: &NodeConfig, running: &Running, management: &Management) {
    let plain = config.config.listen.len();
    for (index, address) in running.addresses.iter().enumerate() {
        let (protocol, purpose) = match index < plain {
            true => ("amqp", "AMQP 0-9-1"),
            false => ("amqp/ssl", "AMQP 0-9-1 over TLS"),
        };
        tracing::info!(%address, protocol, "listening");
        println!("listening on {address}");
        management.add_listener(Listener {
            protocol,
            purpose,
            address: *address,
        });
    }
}

/// Everything beside the core thread: management, control socket, alarms, and
/// the wait for the end.
fn supervise(
    config: &NodeConfig,
    handle: &Handle,
    management: &Arc<Management>,
    store: &Monitor,
    certificates: Option<Files>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_name("management")
        .build()?;
    let options = management::Options {
        listen: config.config.management.clone(),
        prometheus: config.config.prometheus.clone(),
        sample_interval: config.config.sample_interval,
    };
    let ended = runtime.block_on(async {
        let control = ctl::server::open(management.clone())?;
        tokio::spawn(management::run(management.clone(), options));
        let failed = tokio::spawn(watch(management.clone(), store.clone()));
        tokio::spawn(tend(signal(SignalKind::hangup())?, certificates));
        let stop = control.serve();
        tracing::info!(node = config.node, "the node is up");
        let notify = Notify::from_environment();
        notify.ready(std::process::id(), "Serving.");
        let ended = wait(stop, handle, failed).await;
        notify.stopping();
        ended
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Waits for a signal, or for `ctl stop`.
async fn wait(
    stop: impl Future<Output = ()>,
    handle: &Handle,
    failed: tokio::task::JoinHandle<String>,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
        () = stop => tracing::info!("stopping on an operator's word"),
        failed = failed => {
            let reason = failed.unwrap_or_else(|error| error.to_string());
            return Err(io::Error::other(format!("{reason}; stopping, for nothing can be confirmed any more")));
        }
        () = gone(handle) => return Err(io::Error::other("the core thread has ended")),
    }
    Ok(())
}

/// On SIGHUP the log's file is opened anew and the certificates are read again; changed ones are found without it, too.
async fn tend(mut hangup: Signal, mut certificates: Option<Files>) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = ticks.tick() => false,
        };
        if asked {
            crate::log::reopen();
            tracing::info!("SIGHUP: the log's file is opened anew, certificates are read again");
        }
        let Some(files) = &mut certificates else {
            continue;
        };
        if asked || files.changed() {
            match files.renew() {
                Ok(()) => tracing::info!("the certificates were read again"),
                Err(error) => tracing::error!(%error, "the certificates stay as they were"),
            }
        }
    }
}

/// Ends when the core thread has ended.
async fn gone(handle: &Handle) {
    loop {
        tokio::time::sleep(WATCH).await;
        if handle.with(|_| ()).await == Err(crate::handle::HandleError::Stopped) {
            return;
        }
    }
}

/// Sets and clears the alarms of memory and disk; ends with the reason when the store has failed.
async fn watch(management: Arc<Management>, store: Monitor) -> String {
    use crate::core::alarm::Alarm;
    let mut ticks = tokio::time::interval(WATCH);
    let mut set = (false, false);
    let mut pressure = Pressure::default();
    loop {
        ticks.tick().await;
        let health = store.health();
        if let Health::Failed(reason) = health {
            return reason;
        }
        let limits = management.limits();
        let resident = ease(&mut pressure, limits.memory).await;
        let memory = limits.memory > 0 && resident > limits.memory;
        let low = system::disk_free(&management.facts.data_dir) < limits.disk;
        let disk = low || health != Health::Good;
        if let (Health::Full(reason), false) = (&health, set.1) {
            tracing::error!(reason, "publishers wait");
        }
        if (memory, disk) == set {
            continue;
        }
        let told = management
            .with(move |core| {
                core.set_alarm(Alarm::Memory, memory);
                core.set_alarm(Alarm::Disk, disk);
            })
            .await;
        if told.is_ok() {
            set = (memory, disk);
        }
    }
}

/// Resident memory, after what is free has been given back if it is time for that.
async fn ease(pressure: &mut Pressure, limit: u64) -> u64 {
    let resident = service::resident_memory();
    if !pressure.wants(resident, limit, processor_time()) {
        return resident;
    }
    // it may take a while when there is much
    let _ = tokio::task::spawn_blocking(crate::allocator::return_free_pages).await;
    let resident = service::resident_memory();
    pressure.given_back(resident);
    resident
}
