//! Health checks: what a server says about them and what its backend says.

use super::{Expr, Format, Host, Place, Regex, SendProxy};
use std::path::PathBuf;
use std::time::Duration;

/// A server's check settings.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSettings {
    /// `check`.
    pub enabled: bool,
    /// `inter`, 2 s by default.
    pub inter: Duration,
    /// `fastinter`; `inter` when absent.
    pub fastinter: Option<Duration>,
    /// `downinter`; `inter` when absent.
    pub downinter: Option<Duration>,
    /// `rise`, 2 by default.
    pub rise: u32,
    /// `fall`, 3 by default.
    pub fall: u32,
    /// `addr`: check another address.
    pub addr: Option<Host>,
    /// `port`: check another port.
    pub port: Option<u16>,
    /// `check-send-proxy`, or the server's `send-proxy` where the check goes to the same address and port.
    pub send_proxy: Option<SendProxy>,
    /// `init-state`.
    pub init_state: InitState,
    /// `agent-check` and its options.
    pub agent: AgentCheck,
    /// `healthcheck <name>`: the section whose check this server gets instead of its backend's.
    pub section: Option<String>,
    /// What that section says.
    pub own: Option<HealthCheck>,
}

impl CheckSettings {
    /// The check that holds for the server: its section's, else its backend's.
    pub fn effective<'a>(&'a self, backend: &'a HealthCheck) -> &'a HealthCheck {
        self.own.as_ref().unwrap_or(backend)
    }
}

impl Default for CheckSettings {
    fn default() -> CheckSettings {
        CheckSettings {
            enabled: false,
            inter: Duration::from_secs(2),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            addr: None,
            port: None,
            send_proxy: None,
            init_state: InitState::Up,
            agent: AgentCheck::default(),
            section: None,
            own: None,
        }
    }
}

/// `init-state`: what a server is before its first check ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitState {
    /// Up with one failure left (the default).
    #[default]
    Up,
    /// Up with all of `fall` left.
    FullyUp,
    /// Down with one success missing.
    Down,
    /// Down with all of `rise` missing.
    FullyDown,
}

/// `agent-check` and the options that go with it.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentCheck {
    /// `agent-check` stands.
    pub enabled: bool,
    /// `agent-port`; an agent without a port is not asked.
    pub port: Option<u16>,
    /// `agent-addr`; the server's when absent.
    pub addr: Option<Host>,
    /// `agent-inter`, 2 s by default.
    pub inter: Duration,
    /// `agent-send`: what the agent is told first.
    pub send: Option<String>,
}

impl AgentCheck {
    /// An agent is asked.
    pub fn is_used(&self) -> bool {
        self.enabled && self.port.is_some()
    }
}

impl Default for AgentCheck {
    fn default() -> AgentCheck {
        AgentCheck {
            enabled: false,
            port: None,
            addr: None,
            inter: Duration::from_secs(2),
            send: None,
        }
    }
}

/// What a backend checks with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthCheck {
    /// The kind.
    pub kind: CheckKind,
    /// `timeout check`: bound of what follows the connect; see the manual.
    pub timeout: Option<Duration>,
    /// `http-check disable-on-404` of a `healthcheck` section; a backend has its own.
    pub disable_on_404: bool,
}

/// Kind of a health check.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum CheckKind {
    /// Connect, nothing else.
    #[default]
    Connect,
    /// `option tcp-check` with its rules (none: connect).
    Tcp(Vec<CheckStep>),
    /// A protocol that HAProxy knows (`option redis-check` and others), as a script.
    Protocol(Vec<CheckStep>),
    /// `option httpchk` with its rules; a `Send` step always stands there.
    Http(Vec<CheckStep>),
    /// `option amqp-check`.
    Amqp(AmqpCheck),
    /// `option mysql-check`.
    Mysql(MysqlCheck),
    /// `option external-check`.
    External(ExternalCheck),
}

/// `option mysql-check [user <name> [post-41 | pre-41]]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MysqlCheck {
    /// Logs in as this user; only the greeting is read without.
    pub user: Option<String>,
    /// `pre-41`: the log-in of MySQL before 4.1.
    pub old: bool,
}

/// `external-check command` and `external-check path`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExternalCheck {
    /// The program.
    pub command: PathBuf,
    /// Its `PATH`; the process's own when absent.
    pub path: Option<String>,
}

/// A step of a `tcp-check` or `http-check` script.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckStep {
    /// What to do.
    pub action: CheckAction,
    /// `comment`, reported when the step fails.
    pub comment: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckAction {
    /// `connect`.
    Connect(CheckConnect),
    /// `send` / `send-binary` and the `-lf` forms.
    Send(CheckPayload),
    /// `http-check send` (or what `option httpchk` says).
    HttpSend(HttpSend),
    /// `expect`.
    Expect(CheckExpect),
    /// `comment`: describes the steps that follow.
    Comment(String),
    /// `set-var(name) expr` and `set-var-fmt`.
    SetVar(String, Box<Expr>),
    /// `set-var-fmt(name) format`.
    SetVarFormat(String, Format),
    /// `unset-var(name)`.
    UnsetVar(String),
}

/// `connect` step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckConnect {
    /// `default`: options of the server's `check` apply.
    pub default: bool,
    /// `port`.
    pub port: Option<u16>,
    /// `addr`.
    pub addr: Option<Host>,
    /// `send-proxy`.
    pub send_proxy: bool,
    /// `linger`: close properly rather than by RST.
    pub linger: bool,
}

/// Bytes to send.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckPayload {
    /// Fixed bytes.
    Bytes(Vec<u8>),
    /// `send-lf`: a log-format string.
    Format(Format),
    /// `send-binary-lf`: a log-format string that gives hexadecimal digits.
    HexFormat(Format),
}

/// An HTTP request of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSend {
    /// `meth`, OPTIONS by default.
    pub method: String,
    /// `uri`, `/` by default.
    pub uri: Format,
    /// `ver`, HTTP/1.0 by default.
    pub version: String,
    /// `hdr <name> <value>`.
    pub headers: Vec<(String, Format)>,
    /// `body` / `body-lf`.
    pub body: Option<Format>,
    /// `http-check send-state`.
    pub send_state: bool,
}

/// An `expect` step.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckExpect {
    /// `!`: the pattern must not be there.
    pub negated: bool,
    /// What to look for.
    pub pattern: ExpectPattern,
    /// `min-recv`: wait for this many bytes before matching; -1 or absent: match at once.
    pub min_recv: Option<u32>,
    /// `ok-status`, a check status such as `L7OK`.
    pub ok_status: Option<CheckStatus>,
    /// `error-status`.
    pub error_status: Option<CheckStatus>,
    /// `tout-status`.
    pub timeout_status: Option<CheckStatus>,
    /// `on-success`: text of the log line.
    pub on_success: Option<Format>,
    /// `on-error`.
    pub on_error: Option<Format>,
    /// `status-code <expr>`.
    pub status_code: Option<Box<Expr>>,
    /// `http-check disable-on-404` applies to this check.
    pub disable_on_404: bool,
}

impl CheckExpect {
    /// Looks for this, without any option.
    pub fn new(pattern: ExpectPattern) -> CheckExpect {
        CheckExpect {
            negated: false,
            pattern,
            min_recv: None,
            ok_status: None,
            error_status: None,
            timeout_status: None,
            on_success: None,
            on_error: None,
            status_code: None,
            disable_on_404: false,
        }
    }
}

/// What an `expect` step looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectPattern {
    /// `string`: the bytes somewhere in the answer (for HTTP: in the body).
    String(Vec<u8>),
    /// `rstring`: the regular expression.
    Regex(Regex),
    /// `string-lf`.
    StringFormat(Format),
    /// `binary`.
    Binary(Vec<u8>),
    /// `rbinary`: the expression matches the answer's hexadecimal form.
    HexRegex(Regex),
    /// `binary-lf`.
    BinaryFormat(Format),
    /// `status 200,300-399` (HTTP).
    Status(Vec<(u16, u16)>),
    /// `rstatus` (HTTP).
    StatusRegex(Regex),
    /// `hdr` / `fhdr` (HTTP).
    Header(ExpectHeader),
    /// Nothing in particular: any answer.
    Custom,
}

/// `expect hdr name <match> value <match>`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectHeader {
    /// `fhdr`: the header's value as a whole rather than its comma separated parts.
    pub full: bool,
    /// How the name matches.
    pub name: (HeaderMatch, Format),
    /// How the value matches; any value without.
    pub value: Option<(HeaderMatch, Format)>,
}

/// `-m str|beg|end|sub|reg`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HeaderMatch {
    /// Equal.
    #[default]
    Equal,
    /// Begins with.
    Begin,
    /// Ends with.
    End,
    /// Contains.
    Contains,
    /// Regular expression.
    Regex(Regex),
}

/// Status names that a step may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CheckStatus {
    L7Ok,
    L7Okc,
    L7Rsp,
    L7Sts,
    L7Tout,
    L6Ok,
    L6Rsp,
    L6Tout,
    L4Ok,
    L4Con,
    L4Tout,
}

/// `option amqp-check [user <name> password <secret>] [vhost <name>]`.
#[derive(Clone, Default, PartialEq)]
pub struct AmqpCheck {
    /// Logs in as this user with PLAIN; only the greeting is read without.
    pub user: Option<String>,
    /// The password, `guest` style secrets included.
    pub password: Option<String>,
    /// Opens this vhost after the log-in (`/` by default).
    pub vhost: Option<String>,
}

impl std::fmt::Debug for AmqpCheck {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmqpCheck")
            .field("user", &self.user)
            .field("vhost", &self.vhost)
            .finish_non_exhaustive()
    }
}
