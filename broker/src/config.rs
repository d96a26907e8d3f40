//! The configuration of one start: the file, the command line over it, and
//! what the system has to say about directories and names.

use crate::core::settings::Settings;
use conf::broker::{Compat, Config, MemoryLimit};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What was given on the command line or in the environment; wins over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// AMQP listeners.
    pub listen: Vec<SocketAddr>,
    /// AMQP listeners with TLS.
    pub tls: Vec<SocketAddr>,
    /// Management listeners; an empty list given = off.
    pub management: Option<Vec<SocketAddr>>,
    /// Metrics listeners; an empty list given = off.
    pub prometheus: Option<Vec<SocketAddr>>,
    /// `rabbit@host`.
    pub node: Option<String>,
    /// Where messages and metadata are kept.
    pub data_dir: Option<PathBuf>,
    /// Where the control socket is.
    pub run_dir: Option<PathBuf>,
    /// A further file for the process identifier.
    pub pid_file: Option<PathBuf>,
}

/// Everything that a start needs to know.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// File and command line together.
    pub config: Config,
    /// `rabbit@host`.
    pub node: String,
    /// Where messages and metadata are kept.
    pub data_dir: PathBuf,
    /// Where the control socket and the cookie are.
    pub run_dir: PathBuf,
    /// Where the process identifier is written, for `ctl wait`.
    pub pid_files: Vec<PathBuf>,
    /// The configuration file that was read.
    pub config_file: Option<PathBuf>,
}

impl NodeConfig {
    /// Puts file, command line and system together.
    pub fn new(mut config: Config, over: Overrides, config_file: Option<PathBuf>) -> NodeConfig {
        if !over.listen.is_empty() {
            config.listen = over.listen;
        }
        if !over.tls.is_empty() {
            config.listen_tls = over.tls;
        }
        if let Some(management) = over.management {
            // metrics on their own port go with the interface unless asked for
            if over.prometheus.is_none() && config.prometheus == Config::default().prometheus {
                config.prometheus = neighbours(&management);
            }
            config.management = management;
        }
        if let Some(prometheus) = over.prometheus {
            config.prometheus = prometheus;
        }
        let node = over.node.or_else(|| config.node.clone());
        let node = full_name(node.as_deref());
        let data_dir = over.data_dir.or_else(|| config.data_dir.clone());
        let data_dir = data_dir.unwrap_or_else(default_data_dir);
        let run_dir = over.run_dir.or_else(|| config.run_dir.clone());
        let run_dir = run_dir.unwrap_or_else(default_run_dir);
        let own = pid_path(&run_dir, &node);
        NodeConfig {
            config,
            node,
            data_dir,
            run_dir,
            pid_files: std::iter::once(own).chain(over.pid_file).collect(),
            config_file,
        }
    }

    /// What the engine needs of it.
    pub fn settings(&self) -> Settings {
        let c = &self.config;
        Settings {
            node: self.node.clone(),
            cluster_name: c.cluster_name.clone().unwrap_or_else(|| self.node.clone()),
            product: c.product.clone(),
            version: match c.compat {
                Compat::V4 if c.version == Config::default().version => "4.0.5".to_owned(),
                _ => c.version.clone(),
            },
            compat_4: c.compat == Compat::V4,
            heartbeat_s: c.heartbeat.as_secs().min(65_535) as u16,
            frame_max: c.frame_max,
            channel_max: c.channel_max,
            connection_max: c.connection_max,
            default_prefetch: c.default_prefetch,
            handshake_timeout: c.handshake_timeout,
            consumer_timeout: c.consumer_timeout,
            max_message_size: c.max_message_size,
            message_memory: Settings::default().message_memory,
            default_vhost: c.default_vhost.clone(),
            default_user: c.default_user.name.clone(),
            default_pass: c.default_user.password.clone(),
        }
    }

    /// Bytes of memory from which publishers wait, and the setting in words.
    pub fn memory_limit(&self, total: u64) -> (u64, String) {
        match self.config.memory {
            MemoryLimit::Ratio(ratio) => ((total as f64 * ratio) as u64, ratio.to_string()),
            MemoryLimit::Absolute(bytes) => (bytes, bytes.to_string()),
        }
    }
}

/// The metrics' usual port beside the management's, 20 above it; any port
/// beside any port.
fn neighbours(management: &[SocketAddr]) -> Vec<SocketAddr> {
    let beside = |at: &SocketAddr| {
        let port = match at.port() {
            0 => 0,
            port => port.checked_add(20)?,
        };
        Some(SocketAddr::new(at.ip(), port))
    };
    management.iter().filter_map(beside).collect()
}

/// A node's name with its host: `rabbit` becomes `rabbit@host`.
pub fn full_name(given: Option<&str>) -> String {
    match given {
        Some(name) if name.contains('@') => name.to_owned(),
        Some(name) => format!("{name}@{}", host_name()),
        None => format!("rabbit@{}", host_name()),
    }
}

/// The host's short name.
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok();
    let name = name.and_then(|n| n.into_string().ok()).unwrap_or_default();
    match name.split('.').next() {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => "localhost".to_owned(),
    }
}

fn home(variable: &str, below_home: &str) -> Option<PathBuf> {
    let of = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    of(variable).or_else(|| Some(of("HOME")?.join(below_home)))
}

/// `/var/lib/evenkeel/broker` for root, below the home directory for others.
pub fn default_data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return "/var/lib/evenkeel/broker".into();
    }
    let base = home("XDG_DATA_HOME", ".local/share");
    base.unwrap_or_else(|| "/var/tmp".into())
        .join("evenkeel/broker")
}

/// `/run/evenkeel/broker` for root, below `$XDG_RUNTIME_DIR` or the data
/// directory for others.
pub fn default_run_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return "/run/evenkeel/broker".into();
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|v| Path::new(v).is_dir()) {
        Some(base) => Path::new(&base).join("evenkeel/broker"),
        None => default_data_dir().join("run"),
    }
}

/// The control socket of a node.
pub fn socket_path(run_dir: &Path, node: &str) -> PathBuf {
    run_dir.join(format!("{node}.sock"))
}

/// The secret that the control socket's clients must show; readable by the
/// node's user alone.
pub fn cookie_path(run_dir: &Path, node: &str) -> PathBuf {
    run_dir.join(format!("{node}.cookie"))
}

fn pid_path(run_dir: &Path, node: &str) -> PathBuf {
    run_dir.join(format!("{node}.pid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = Config {
            node: Some("rabbit@file".into()),
            ..Config::default()
        };
        let over = Overrides {
            listen: vec![conf::broker::loopback(1)],
            node: Some("x@y".into()),
            management: Some(Vec::new()),
            ..Overrides::default()
        };
        let node = NodeConfig::new(file, over, None);
        assert_eq!(node.node, "x@y");
        assert_eq!(node.config.listen, [conf::broker::loopback(1)]);
        assert!(node.config.management.is_empty());
        assert!(node.config.prometheus.is_empty(), "off with the interface");
    }

    #[test]
    fn a_name_without_host_gets_this_one() {
        assert_eq!(full_name(Some("a@b")), "a@b");
        assert!(full_name(Some("a")).starts_with("a@"));
        assert!(full_name(None).starts_with("rabbit@"));
    }

    #[test]
    fn the_engine_is_told_what_the_file_says() {
        let file = Config {
            compat: Compat::V4,
            heartbeat: std::time::Duration::from_secs(7),
            connection_max: Some(9),
            default_prefetch: 250,
            ..Config::default()
        };
        let settings = NodeConfig::new(file, Overrides::default(), None).settings();
        assert!(settings.compat_4);
        assert_eq!(settings.heartbeat_s, 7);
        assert_eq!(settings.connection_max, Some(9));
        assert_eq!(settings.default_prefetch, 250);
        assert!(settings.version.starts_with("4."));
    }
}
