//! The broker's configuration as the daemon reads it: typed, checked, complete.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Which RabbitMQ the node behaves as where its versions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// 3.10, the default.
    V3,
    /// 4.x.
    V4,
}

/// Whether clients of a TLS listener must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Not asked for.
    None,
    /// Asked for; a client without one is let in and logs in by password.
    Optional,
    /// A client without one is refused.
    Required,
}

/// What of a client certificate is the user's name for EXTERNAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFrom {
    /// The whole subject: `CN=app,O=Shop`.
    DistinguishedName,
    /// The subject's common name.
    CommonName,
    /// The first DNS or mail name of the subject alternative names.
    SubjectAlternativeName,
}

/// Certificates of the TLS listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities of client certificates.
    pub client_ca: Option<PathBuf>,
    /// Whether clients must show one.
    pub client_auth: ClientAuth,
    /// The user's name for EXTERNAL.
    pub login_from: LoginFrom,
    /// Only TLS 1.3.
    pub only_1_3: bool,
}

/// When memory is short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MemoryLimit {
    /// Part of the machine's (or the control group's) memory, 0 to 1.
    Ratio(f64),
    /// Bytes.
    Absolute(u64),
}

/// When the disk is short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DiskLimit {
    /// Free bytes at least.
    Absolute(u64),
    /// Free bytes at least this many times the machine's memory.
    MemoryRatio(f64),
}

/// The user that a new node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultUser {
    /// Name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Configure, write, read in the default virtual host.
    pub permissions: [String; 3],
}

/// Log output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub level: String,
    /// A file to append to; standard error without one.
    pub file: Option<PathBuf>,
    /// Each line is a JSON object.
    pub json: bool,
}

/// The broker's whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `rabbit@host`; from the host's name without one.
    pub node: Option<String>,
    /// The cluster's name; the node's without one.
    pub cluster_name: Option<String>,
    /// Where messages and metadata are kept; a default of the system without one.
    pub data_dir: Option<PathBuf>,
    /// Where the control socket and the cookie are; the data directory without one.
    pub run_dir: Option<PathBuf>,
    /// Behaviour where RabbitMQ's versions differ.
    pub compat: Compat,
    /// `product` that clients are told.
    pub product: String,
    /// `version` that clients are told.
    pub version: String,
    /// AMQP listeners.
    pub listen: Vec<SocketAddr>,
    /// AMQP listeners with TLS.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificates; present when `listen_tls` is not empty.
    pub tls: Option<Tls>,
    /// The AMQP listeners expect a PROXY protocol header (v1 or v2).
    pub proxy_protocol: bool,
    /// Pending connections of a listener.
    pub backlog: u32,
    /// Time for the handshake until `connection.open`.
    pub handshake_timeout: Duration,
    /// Management listeners; empty = off.
    pub management: Vec<SocketAddr>,
    /// Metrics listeners; empty = off (the metrics are on the management port too).
    pub prometheus: Vec<SocketAddr>,
    /// How often rates are sampled.
    pub sample_interval: Duration,
    /// A definitions file to import at each start.
    pub load_definitions: Option<PathBuf>,
    /// Heartbeat offered to clients; zero = none.
    pub heartbeat: Duration,
    /// Bytes of a frame at most, as offered.
    pub frame_max: u32,
    /// Channels of a connection at most, as offered.
    pub channel_max: u16,
    /// Connections at most; none = until files run out.
    pub connection_max: Option<u64>,
    /// Bytes of a message at most.
    pub max_message_size: u64,
    /// Time until an acknowledgement is overdue; none = never.
    pub consumer_timeout: Option<Duration>,
    /// Memory alarm.
    pub memory: MemoryLimit,
    /// Disk alarm.
    pub disk: DiskLimit,
    /// Prefetch of consumers that ask for none; 0 = unlimited.
    pub default_prefetch: u16,
    /// Virtual host that a new node has.
    pub default_vhost: String,
    /// User that a new node has.
    pub default_user: DefaultUser,
    /// Users that may come from loopback addresses only.
    pub loopback_users: Vec<String>,
    /// Log output.
    pub log: Log,
}

/// Both wildcards, so that IPv4 and IPv6 clients find the port.
pub fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// Loopback at a port.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Default for Config {
    fn default() -> Config {
        Config {
            node: None,
            cluster_name: None,
            data_dir: None,
            run_dir: None,
            compat: Compat::V3,
            product: "RabbitMQ".to_owned(),
            version: "3.10.8".to_owned(),
            listen: vec![everywhere(5672)],
            listen_tls: Vec::new(),
            tls: None,
            proxy_protocol: false,
            backlog: 1024,
            handshake_timeout: Duration::from_secs(10),
            management: vec![everywhere(15672)],
            prometheus: vec![everywhere(15692)],
            sample_interval: Duration::from_secs(5),
            load_definitions: None,
            heartbeat: Duration::from_secs(60),
            frame_max: 131_072,
            channel_max: 2047,
            connection_max: None,
            max_message_size: 134_217_728,
            consumer_timeout: Some(Duration::from_secs(1800)),
            memory: MemoryLimit::Ratio(0.4),
            disk: DiskLimit::Absolute(50_000_000),
            default_prefetch: 0,
            default_vhost: "/".to_owned(),
            default_user: DefaultUser {
                name: "guest".to_owned(),
                password: "guest".to_owned(),
                tags: vec!["administrator".to_owned()],
                permissions: [".*".to_owned(), ".*".to_owned(), ".*".to_owned()],
            },
            loopback_users: vec!["guest".to_owned()],
            log: Log {
                level: "info".to_owned(),
                file: None,
                json: false,
            },
        }
    }
}
