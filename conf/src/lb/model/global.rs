//! What concerns the process: the merged `global` sections.

use super::{ByteSize, Format, Place};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The merged `global` sections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// `log` lines, in order.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; the program's name when absent.
    pub log_tag: Option<String>,
    /// `log-send-hostname`: the name to put into log headers.
    pub log_send_hostname: Option<LogHostname>,
    /// `maxconn`: sessions of the whole process; derived from the limits when absent.
    pub maxconn: Option<u32>,
    /// `maxconnrate`: connections a second, `maxsessrate`: sessions a second; 0 = no limit.
    pub maxconnrate: u32,
    /// See `maxconnrate`.
    pub maxsessrate: u32,
    /// `maxpipes`: pipes for splicing; a quarter of maxconn when absent.
    pub maxpipes: Option<u32>,
    /// Who the process becomes and where it lives.
    pub process: Process,
    /// `server-state-base`: where relative state files are.
    pub server_state_base: Option<PathBuf>,
    /// `server-state-file`.
    pub server_state_file: Option<PathBuf>,
    /// `nbthread`.
    pub nbthread: Option<u32>,
    /// `cpu-map`: thread (from 1; thread group 1) to the CPUs that it may use.
    pub cpu_map: BTreeMap<u32, Vec<u32>>,
    /// `stats socket`, `stats timeout`, `stats maxconn`.
    pub stats: StatsSockets,
    /// `spread-checks`: by how many percent (0..=50) check intervals vary.
    pub spread_checks: u32,
    /// `max-spread-checks`: bound of the first checks' spread.
    pub max_spread_checks: Option<Duration>,
    /// `tune.*`.
    pub tune: Tune,
    /// `node`: name of this instance on the statistics page.
    pub node: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `localpeer`.
    pub localpeer: Option<String>,
    /// `external-check` was allowed.
    pub external_check: bool,
    /// `external-check preserve-env`: their programs see the process's environment.
    pub external_check_env: bool,
    /// `insecure-fork-wanted`.
    pub insecure_fork_wanted: bool,
    /// `zero-warning`: warnings are fatal at start.
    pub zero_warning: bool,
    /// `strict-limits` (default true): a limit that cannot be set is fatal.
    pub strict_limits: bool,
    /// `noepoll`, `nosplice`, `noreuseport`, `nogetaddrinfo` ...
    pub disable: Disable,
    /// `set-var`, `set-var-fmt`: variables that every session sees, in order.
    pub variables: Vec<ProcessVariable>,
    /// `prometheus bind`: where metrics are served without HTTP rules (Evenkeel's own).
    pub prometheus: Option<super::Bind>,
}

/// A variable of the process, set when the configuration starts to work.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessVariable {
    /// Its full name, `proc.` included.
    pub name: String,
    /// What it is set to.
    pub value: VariableValue,
}

/// What a variable is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum VariableValue {
    /// The value of an expression.
    Expr(super::Expr),
    /// A format's text.
    Format(Format),
}

/// Facilities switched off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disable {
    /// `nosplice` / `-dS`.
    pub splice: bool,
    /// `noreuseport` / `-dR`.
    pub reuseport: bool,
    /// `nouring` (Evenkeel's own).
    pub uring: bool,
}

/// Who the process becomes and where it lives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// `daemon`.
    pub daemon: bool,
    /// `master-worker`: the inner option says whether `no-exit-on-failure` stands.
    pub master_worker: Option<MasterWorker>,
    /// `pidfile`.
    pub pidfile: Option<PathBuf>,
    /// `chroot`.
    pub chroot: Option<(PathBuf, Place)>,
    /// `uid` or `user`.
    pub user: Option<(Account, Place)>,
    /// `gid` or `group`.
    pub group: Option<(Account, Place)>,
    /// `ulimit-n`.
    pub ulimit_n: Option<u32>,
    /// `fd-hard-limit`.
    pub fd_hard_limit: Option<u32>,
    /// `hard-stop-after`.
    pub hard_stop_after: Option<Duration>,
    /// `quiet`.
    pub quiet: bool,
}

/// `master-worker [no-exit-on-failure]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MasterWorker {
    /// Workers of programs before go on when the worker dies.
    pub no_exit_on_failure: bool,
}

/// A user or group.
#[derive(Clone, Debug, PartialEq)]
pub enum Account {
    /// By number (`uid`, `gid`).
    Id(u32),
    /// By name (`user`, `group`), looked up at start.
    Name(String),
}

/// The runtime CLI's sockets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsSockets {
    /// `stats socket` lines.
    pub sockets: Vec<StatsSocket>,
    /// `stats timeout`, 10 s when absent.
    pub timeout: Option<Duration>,
    /// `stats maxconn`, 10 when absent.
    pub maxconn: Option<u32>,
}

/// One `stats socket`.
#[derive(Clone, Debug, PartialEq)]
pub struct StatsSocket {
    /// Address and the options it shares with `bind` (mode, user, group, ...).
    pub bind: super::Bind,
    /// `level`.
    pub level: AdminLevel,
    /// `expose-fd listeners`.
    pub expose_fd_listeners: bool,
}

/// What a runtime CLI connection may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdminLevel {
    /// Reads what is not sensitive.
    User,
    /// Reads everything, changes nothing of weight.
    #[default]
    Operator,
    /// Everything.
    Admin,
}

/// `tune.*` keywords that mean something here; accepted ones that do not are
/// in the tables only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tune {
    /// `tune.bufsize`, 16384 when absent: limit of what inspection and HTTP headers may hold.
    pub bufsize: Option<ByteSize>,
    /// `tune.maxrewrite`.
    pub maxrewrite: Option<ByteSize>,
    /// `tune.pipesize`: size of a splicing pipe.
    pub pipesize: Option<ByteSize>,
    /// `tune.rcvbuf.client`, `tune.sndbuf.client`.
    pub client_buffers: SocketBuffers,
    /// `tune.rcvbuf.server`, `tune.sndbuf.server`.
    pub server_buffers: SocketBuffers,
    /// `no-memory-trimming`.
    pub keep_memory: bool,
}

/// Bytes that the kernel is asked to keep for a connection; nothing said: it adapts them itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketBuffers {
    /// `SO_RCVBUF`.
    pub receive: Option<u32>,
    /// `SO_SNDBUF`.
    pub send: Option<u32>,
}

/// `log-send-hostname [name]`.
#[derive(Clone, Debug, PartialEq)]
pub enum LogHostname {
    /// The machine's.
    Own,
    /// This one.
    Named(String),
}

/// One `log` line: where session and event lines go.
#[derive(Clone, Debug, PartialEq)]
pub struct LogTarget {
    /// Where to.
    pub address: LogAddress,
    /// `len`: longest line in bytes (default 1024).
    pub max_len: u32,
    /// `format`; nothing said: that of the ring, else `local`.
    pub format: Option<LogHeader>,
    /// `sample <ranges>:<size>`.
    pub sample: Option<LogSample>,
    /// Syslog facility.
    pub facility: Facility,
    /// Lines less important than this are dropped (default debug: none).
    pub max_level: Level,
    /// Lines are never sent as more important than this (default emerg).
    pub min_level: Level,
    /// Where it stands.
    pub place: Place,
}

/// A `ring` section: lines kept in memory and passed on over TCP.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub place: Place,
    /// `description`.
    pub description: Option<String>,
    /// `format`: header of the lines kept, where the `log` line says none.
    pub format: LogHeader,
    /// `maxlen`: longest line kept in bytes.
    pub max_len: u32,
    /// `size`: bytes of lines kept.
    pub size: u64,
    /// `backing-file`: a file with the latest lines.
    pub backing_file: Option<PathBuf>,
    /// `timeout connect`.
    pub connect_timeout: Option<Duration>,
    /// `timeout server`.
    pub server_timeout: Option<Duration>,
    /// Where lines are passed on to.
    pub servers: Vec<RingServer>,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring {
            name: String::new(),
            place: Place::default(),
            description: None,
            format: LogHeader::Raw,
            max_len: 1024,
            backing_file: None,
            size: 16384,
            connect_timeout: None,
            server_timeout: None,
            servers: Vec::new(),
        }
    }
}

/// A `server` of a ring.
#[derive(Clone, Debug, PartialEq)]
pub struct RingServer {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: super::Host,
    /// Its port.
    pub port: u16,
    /// `log-proto octet-count`: a length in front of each line rather than a line feed behind it.
    pub octet_count: bool,
    /// Where it stands.
    pub place: Place,
}

/// Where a log line goes.
#[derive(Clone, Debug, PartialEq)]
pub enum LogAddress {
    /// UDP datagrams.
    Udp {
        /// The host.
        host: super::Host,
        /// The port, 514 by default.
        port: u16,
    },
    /// A datagram socket in the file system, such as `/dev/log`.
    Unix(PathBuf),
    /// A datagram socket of the abstract name space.
    Abstract(String),
    /// `fd@N`, `stdout` (1), `stderr` (2).
    Fd(i32),
    /// `ring@name`.
    Ring(String),
}

/// Header of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogHeader {
    /// `local`: rfc3164 without host name unless `log-send-hostname` (the default).
    #[default]
    Local,
    /// `rfc3164`.
    Rfc3164,
    /// `rfc5424`.
    Rfc5424,
    /// `priority`: `<13>` and the text.
    Priority,
    /// `short`: `<level>` and the text.
    Short,
    /// `timed`: time stamp, `<level>` and the text.
    Timed,
    /// `iso`: ISO 8601 time and the text.
    Iso,
    /// `raw`: the text alone.
    Raw,
}

/// Counts lines of one `log` line, whoever repeats it by `log global`; equal to every other.
#[derive(Clone, Debug, Default)]
pub struct LineCounter(pub Arc<AtomicU64>);

impl PartialEq for LineCounter {
    fn eq(&self, _: &LineCounter) -> bool {
        true
    }
}

/// `sample 1,3:4`: which lines of each `size` are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSample {
    /// Ranges from 1, both ends included.
    pub ranges: Vec<(u32, u32)>,
    /// Lines so far.
    pub seen: LineCounter,
    /// Lines a turn.
    pub size: u32,
}

/// Syslog severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Emerg = 0,
    Alert = 1,
    Crit = 2,
    Err = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// What `set-log-level` says about a session's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// `silent`: there is none.
    Silent,
    /// It has this severity.
    At(Level),
}

/// Syslog facility; the number is that of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

/// What the configuration says about the lines that a proxy logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logging {
    /// Targets; `log global` is already replaced by those of `global`.
    pub targets: Vec<LogTarget>,
    /// The form of session lines.
    pub format: SessionFormat,
    /// `error-log-format`.
    pub error_format: Option<Format>,
    /// `log-format-sd` (structured data of rfc5424).
    pub structured_data: Option<Format>,
    /// `log-tag`.
    pub tag: Option<String>,
    /// `option dontlognull`.
    pub dont_log_null: bool,
    /// `option dontlog-normal`.
    pub dont_log_normal: bool,
    /// `option log-separate-errors`.
    pub separate_errors: bool,
    /// `option logasap`.
    pub as_soon_as_possible: bool,
    /// `option log-start-end`: a line at the session's start, too, both with its id.
    pub start_and_end: bool,
    /// The formats or `option json-log tcp-info` ask for what the kernel knows of a session's
    /// connections.
    pub wants_tcp_info: bool,
    /// `option log-health-checks`.
    pub health_checks: bool,
    /// `unique-id-format`.
    pub unique_id: Option<Format>,
}

/// The form of a session's line.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SessionFormat {
    /// `Connect from ... to ...` when the session starts.
    #[default]
    Connect,
    /// `option tcplog`.
    Tcp,
    /// `option httplog`.
    Http,
    /// `option httplog clf`.
    HttpClf,
    /// `option json-log`; true: with `tcp-info`.
    Json(bool),
    /// `log-format`.
    Custom(Format),
}

/// An address family that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `ipv4@`.
    V4,
    /// `ipv6@`.
    V6,
}

/// An address or a name that is looked up at start.
#[derive(Clone, Debug, PartialEq)]
pub enum Host {
    /// A literal address, or a name after it was resolved by [`crate::lb::resolve`].
    Ip(IpAddr),
    /// A name not resolved yet, with the family that was asked for.
    Name(String, Option<Family>),
}
