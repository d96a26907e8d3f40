//! What the management threads share: the way to the engine, facts about the
//! node, and rates.

use super::reply::Reply;
use super::sampler::Sampler;
use crate::core::Core;
use crate::core::browse::Progress;
use crate::core::refusal::Refusal;
use crate::handle::Handle;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How soon it is looked again whether the disk has given a message.
const DISK_PAUSE: Duration = Duration::from_millis(2);
/// How long one message is waited for.
const DISK_WITHIN: Duration = Duration::from_secs(30);

/// A socket on which the node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `amqp`, `amqp/ssl`, `http`, `http/prometheus`.
    pub protocol: &'static str,
    /// What it is for, in words.
    pub purpose: &'static str,
    /// Where.
    pub address: SocketAddr,
}

/// What does not change while the node runs.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Who this process is, in the words that all daemons share.
    pub identity: service::Identity,
    /// `rabbit@host`.
    pub name: String,
    /// What clients are told.
    pub product: String,
    /// What clients are told.
    pub version: String,
    /// Our own version.
    pub our_version: &'static str,
    /// Where messages and metadata are.
    pub data_dir: PathBuf,
    /// Where the control socket is.
    pub run_dir: PathBuf,
    /// Where the process identifier is written.
    pub pid_files: Vec<PathBuf>,
    /// The configuration file.
    pub config_files: Vec<PathBuf>,
    /// The log file; none = standard error.
    pub log_file: Option<PathBuf>,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// Certificates of the TLS listeners, for the expiry check.
    pub certificates: Vec<PathBuf>,
    /// Bytes of memory from which publishers wait.
    pub memory_limit: u64,
    /// As the operator wrote it: `0.4` or bytes.
    pub memory_setting: String,
    /// Free bytes below which publishers wait.
    pub disk_limit: u64,
}

/// What the management threads share.
pub struct Management {
    handle: Handle,
    /// Facts about the node.
    pub facts: NodeFacts,
    /// Rates.
    sampler: Mutex<Sampler>,
    listeners: Mutex<Vec<Listener>>,
    limits: Mutex<Limits>,
    logins_good: AtomicU64,
    logins_bad: AtomicU64,
    /// Whether `stop_app` has stopped the broker inside of the process.
    stopped: AtomicBool,
}

/// Watermarks, which can be changed while the node runs.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Bytes of memory from which publishers wait.
    pub memory: u64,
    /// As the operator wrote it.
    pub memory_setting: String,
    /// Free bytes below which publishers wait.
    pub disk: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // a panic while rates were computed leaves them merely old
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| d.as_millis() as u64)
}

impl Management {
    /// For a node of which these are the facts.
    pub fn new(handle: Handle, facts: NodeFacts) -> Management {
        let limits = Limits {
            memory: facts.memory_limit,
            memory_setting: facts.memory_setting.clone(),
            disk: facts.disk_limit,
        };
        Management {
            handle,
            facts,
            sampler: Mutex::default(),
            listeners: Mutex::default(),
            limits: Mutex::new(limits),
            logins_good: AtomicU64::new(0),
            logins_bad: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Runs on the core thread; a node that cannot answer gives 503.
    pub async fn with<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<R, Reply> {
        self.handle.with(action).await.map_err(Reply::unavailable)
    }

    /// Runs `step` on the core thread again and again until its work is done; others are served between two steps.
    pub async fn steps<W: Send + 'static>(
        &self,
        mut work: W,
        step: impl Fn(&mut Core, &mut W) -> Result<Progress, Refusal> + Clone + Send + 'static,
    ) -> Result<Result<W, Refusal>, Reply> {
        let mut waited = Duration::ZERO;
        loop {
            let step = step.clone();
            let (returned, progress) = self
                .with(move |core| {
                    let progress = step(core, &mut work);
                    (work, progress)
                })
                .await?;
            work = returned;
            match progress {
                Err(refusal) => return Ok(Err(refusal)),
                Ok(Progress::Done) => return Ok(Ok(work)),
                Ok(Progress::More) => waited = Duration::ZERO,
                Ok(Progress::Waits) if waited >= DISK_WITHIN => {
                    return Err(Reply::unavailable("the disk does not answer"));
                }
                Ok(Progress::Waits) => {
                    tokio::time::sleep(DISK_PAUSE).await;
                    waited += DISK_PAUSE;
                }
            }
        }
    }

    /// The rates.
    pub fn sampler(&self) -> MutexGuard<'_, Sampler> {
        locked(&self.sampler)
    }

    /// Counts a login.
    pub fn count_login(&self, good: bool) {
        let counter = if good {
            &self.logins_good
        } else {
            &self.logins_bad
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Logins that were good and bad.
    pub fn login_counts(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.logins_good), load(&self.logins_bad))
    }

    /// Counts logins anew.
    pub fn reset_logins(&self) {
        self.logins_good.store(0, Ordering::Relaxed);
        self.logins_bad.store(0, Ordering::Relaxed);
    }

    /// Adds a socket to the list.
    pub fn add_listener(&self, listener: Listener) {
        locked(&self.listeners).push(listener);
    }

    /// Where the node listens.
    pub fn listeners(&self) -> Vec<Listener> {
        locked(&self.listeners).clone()
    }

    /// The watermarks.
    pub fn limits(&self) -> Limits {
        locked(&self.limits).clone()
    }

    /// Changes the watermarks that are shown.
    pub fn set_limits(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut locked(&self.limits));
    }

    /// Whether `stop_app` was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Notes that the broker was stopped or started inside of the process.
    pub fn set_stopped(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Relaxed);
    }
}
