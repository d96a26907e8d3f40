//! What `mode http` needs: the statistics page, monitoring, rules.

use super::{Condition, Format, Place, RuleLine};
use std::time::Duration;

/// `stats ...` of a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// `stats uri`, `/haproxy?stats` by default.
    pub uri: String,
    /// `stats refresh`.
    pub refresh: Option<Duration>,
    /// `stats realm`.
    pub realm: Option<String>,
    /// `stats auth` users.
    pub auth: Vec<StatsUser>,
    /// `stats scope`: only these proxies (`.` already replaced by the proxy's name); all when empty.
    pub scope: Vec<String>,
    /// `stats hide-version`.
    pub hide_version: bool,
    /// `stats show-legends`.
    pub show_legends: bool,
    /// `stats show-node`: the name.
    pub show_node: Option<String>,
    /// `stats show-node` without a name shows the host's.
    pub show_hostname: bool,
    /// `stats show-desc`.
    pub show_desc: Option<String>,
    /// `stats admin`: the first that holds grants it.
    pub admin: Vec<Condition>,
    /// `stats http-request` rules.
    pub rules: Vec<HttpRule>,
    /// Where the first line stands.
    pub place: Place,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            uri: "/haproxy?stats".to_owned(),
            refresh: None,
            realm: None,
            auth: Vec::new(),
            scope: Vec::new(),
            hide_version: false,
            show_legends: false,
            show_node: None,
            show_hostname: false,
            show_desc: None,
            admin: Vec::new(),
            rules: Vec::new(),
            place: Place::default(),
        }
    }
}

/// `stats auth user:password`.
#[derive(Clone, PartialEq)]
pub struct StatsUser {
    /// Log-in name.
    pub name: String,
    /// Password in plain text.
    pub password: String,
}

impl std::fmt::Debug for StatsUser {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StatsUser({})", self.name)
    }
}

/// HTTP settings of a proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// What happens to a connection after an answer.
    pub connection: ConnectionMode,
    /// `option forwardfor`.
    pub forwardfor: Option<ForwardFor>,
    /// `option http-ignore-probes`.
    pub ignore_probes: bool,
    /// `monitor-uri`.
    pub monitor_uri: Option<String>,
    /// `monitor fail` conditions.
    pub monitor_fail: Vec<Condition>,
    /// `http-request` rules.
    pub request_rules: Vec<HttpRule>,
    /// `http-response` rules.
    pub response_rules: Vec<HttpRule>,
    /// `capture cookie`, `capture request header`, `capture response header`.
    pub captures: HttpCaptures,
    /// `errorfile <code> <file>`: the whole answer, read at load time.
    pub error_files: Vec<ErrorFile>,
}

/// What log lines of an HTTP frontend show besides: `capture ...`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpCaptures {
    /// `capture request header`, by slot.
    pub request: Vec<HttpCapture>,
    /// `capture response header`, by slot.
    pub response: Vec<HttpCapture>,
    /// `capture cookie`: the first cookie whose name starts so.
    pub cookie: Option<HttpCapture>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCapture {
    /// Name of the header or start of the cookie's.
    pub name: String,
    /// Bytes kept.
    pub len: usize,
}

/// `errorfile`.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorFile {
    /// The status that it replaces.
    pub status: u16,
    /// Path as written.
    pub path: std::path::PathBuf,
    /// Status line, headers and body.
    pub content: Vec<u8>,
}

/// What happens to a connection after an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionMode {
    /// `option http-keep-alive` (the default): both sides stay.
    #[default]
    KeepAlive,
    /// `option http-server-close`: only the client's stays.
    ServerClose,
    /// `option httpclose`: both end.
    Close,
}

/// `option forwardfor [except <net>] [header <name>] [if-none]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardFor {
    /// Not for clients of this network.
    pub except: Option<super::IpNet>,
    /// `X-Forwarded-For` by default.
    pub header: String,
    /// Only where the request has none.
    pub if_none: bool,
}

/// An `http-request` or `http-response` rule.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRule {
    /// What to do.
    pub action: HttpAction,
    /// When.
    pub condition: Option<Condition>,
    /// Where it stands.
    pub place: Place,
    /// Its line, for `last_rule_line`.
    pub line: RuleLine,
}

/// What an HTTP rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpAction {
    /// `allow`: no further rule is looked at.
    Allow,
    /// `deny`, `tarpit` is refused; status 403 by default.
    Deny(HttpAnswer),
    /// `auth [realm <text>]`: 401 with a challenge.
    Auth(Option<String>),
    /// `return`.
    Return(HttpAnswer),
    /// `reject`: close without an answer.
    Reject,
    /// `set-header name format`.
    SetHeader(String, Format),
    /// `add-header name format`.
    AddHeader(String, Format),
    /// `del-header name`.
    DelHeader(String),
    /// `set-log-level`.
    SetLogLevel(super::LogLevel),
    /// `use-service prometheus-exporter`.
    PrometheusExporter,
}

impl HttpAction {
    /// No further rule of the list is looked at.
    pub fn is_final(&self) -> bool {
        match self {
            HttpAction::Allow
            | HttpAction::Deny(_)
            | HttpAction::Auth(_)
            | HttpAction::Return(_)
            | HttpAction::Reject
            | HttpAction::PrometheusExporter => true,
            HttpAction::SetHeader(..)
            | HttpAction::AddHeader(..)
            | HttpAction::DelHeader(_)
            | HttpAction::SetLogLevel(_) => false,
        }
    }
}

/// A locally made answer.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// `content-type`.
    pub content_type: Option<String>,
    /// The body; the default one of the status when absent.
    pub body: Option<Format>,
    /// `hdr <name> <format>`.
    pub headers: Vec<(String, Format)>,
}
