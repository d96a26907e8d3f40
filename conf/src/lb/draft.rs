//! Sections in the making: what the keyword tables write into.

use super::env::Env;
use super::model::{
    Back, CheckStep, ExternalCheck, Front, HttpSend, LogTarget, Mode, Place, Proxy, ProxyKind,
    RuleLine, SendProxy, Server, ServerAddress, ServerPort, UnixAccess,
};
use super::proxy::server;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// `no option x`, `default option x` or just `option x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Negation {
    /// Plain.
    #[default]
    Plain,
    /// With `no`.
    No,
    /// With `default`.
    Default,
}

/// What a section may know of the lines before it.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Variables.
    pub env: Env,
    /// Targets of `global` so far, for `log global`.
    pub global_logs: Vec<LogTarget>,
    /// `unix-bind` of `global` so far.
    pub unix_bind: UnixBind,
    /// The line that is being read.
    pub line: RuleLine,
    /// What relative paths of files that are read start from, by `default-path`;
    /// nothing: the working directory.
    pub base: Option<PathBuf>,
}

impl Surroundings {
    /// Where a file is that a line names.
    pub fn path(&self, name: &str) -> PathBuf {
        match &self.base {
            Some(base) => base.join(name),
            None => PathBuf::from(name),
        }
    }
}

/// `unix-bind`: what `bind` lines with a path of a socket start from.
#[derive(Clone, Debug, Default)]
pub struct UnixBind {
    /// What stands ahead of their paths.
    pub prefix: String,
    /// Owner and permissions unless they say otherwise.
    pub access: UnixAccess,
}

/// A name that must exist in the end.
#[derive(Clone, Debug)]
pub struct Reference {
    /// What it should name.
    pub to: Referred,
    /// The name as written.
    pub name: String,
    /// Where.
    pub span: Span,
    /// The keyword that refers, for the message.
    pub by: &'static str,
}

/// What a [`Reference`] should name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referred {
    /// A backend of the same mode that sessions go to.
    Backend,
    /// A backend that is only looked at.
    AnyBackend,
    /// A frontend that is only looked at.
    AnyFrontend,
    /// `[backend/]server`.
    Server,
    /// A server of the same section.
    OwnServer,
    /// A server to track: it must be checked itself.
    Tracked,
    /// A userlist.
    Userlist,
    /// A `healthcheck` section.
    HealthCheck,
    /// A `ring` section.
    Ring,
}

/// A `defaults`, `listen`, `frontend` or `backend` section in the making. Both
/// sides are always there; [`Draft::finish`] drops the one that does not apply.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The result so far.
    pub proxy: Proxy,
    /// `None` in `defaults`.
    pub kind: Option<ProxyKind>,
    /// What `default-server` says so far.
    pub default_server: DefaultServer,
    /// Prefix of the current line.
    pub negation: Negation,
    /// Keywords of this section that may stand once, and where they stood.
    pub seen: BTreeMap<&'static str, Span>,
    /// The timeouts of the section, and those that it began with.
    pub timeouts: BTreeMap<&'static str, Option<Duration>>,
    pub inherited_timeouts: BTreeMap<&'static str, Option<Duration>>,
    /// Names to look up in the end.
    pub references: Vec<Reference>,
    /// What the final checks look at besides the result.
    pub marks: Marks,
    /// Health checks so far.
    pub checks: CheckDraft,
    /// Findings of the current line besides the one that `apply` returns.
    pub diagnostics: Vec<Diagnostic>,
    /// What was read before.
    pub around: Rc<Surroundings>,
    /// Name of the `defaults` section that this one starts from; empty: anonymous or none.
    pub from: String,
}

/// What every server of a section starts from.
#[derive(Clone, Debug)]
pub struct DefaultServer {
    /// The server itself.
    pub server: Server,
    /// The names in it: `track`, `healthcheck`.
    pub references: Vec<Reference>,
    /// `proxy-v2-options`.
    pub proxy_v2_options: SendProxy,
    /// `check-send-proxy`.
    pub check_send_proxy: bool,
}

impl Default for DefaultServer {
    fn default() -> DefaultServer {
        DefaultServer {
            server: server::blank(),
            references: Vec::new(),
            proxy_v2_options: SendProxy::default(),
            check_send_proxy: false,
        }
    }
}

/// Places that the final checks want to point at.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// `option httplog` and others that need `mode http`: keyword and place.
    pub http_only: Vec<(&'static str, Span)>,
    /// Those of them that are not there yet: what to say in a section that has that mode.
    pub http_later: Vec<(&'static str, Diagnostic)>,
    /// There is a `bind` line, good or bad.
    pub binds: bool,
    /// The `balance` line.
    pub balance: Option<Span>,
    /// The `rebalance` line.
    pub rebalance: Option<Span>,
    /// The `drain-sessions` line.
    pub drain_sessions: Option<Span>,
    /// The `retries` line.
    pub retries: Option<Span>,
    /// `retry-on` without `conn-failure`.
    pub never_retries: bool,
    /// An event of answers in `retry-on`.
    pub retry_on_answer: Option<Span>,
    /// The `timeout client` line.
    pub timeout_client: Option<Span>,
    /// The `default_backend` name.
    pub default_backend: Option<Span>,
    /// The rule of the highest rank in evaluation so far in this section.
    pub latest_rule: Option<(u8, &'static str, Span)>,
    /// The first rule that looks at contents which arrive later.
    pub needs_inspection: Option<Span>,
    /// The first rule that captures contents.
    pub captures_contents: Option<Span>,
    /// The `log-format` line.
    pub log_format: Option<Span>,
    /// `mode` stands in the section itself.
    pub mode: Option<Span>,
    /// `option transparent`.
    pub transparent: Option<Span>,
    /// `dispatch`.
    pub dispatch: Option<(ServerAddress, Span)>,
}

/// What a section says of its health checks, before its kind of check is sure.
#[derive(Clone, Debug, Default)]
pub struct CheckDraft {
    /// `tcp-check` rules.
    pub tcp: Vec<CheckStep>,
    /// `http-check` rules.
    pub http: Vec<CheckStep>,
    /// Rules of either came from `defaults`: rules of the section replace them.
    pub inherited: [bool; 2],
    /// The first of either that stands where the check of that time does not run it, and
    /// no other kind of check was chosen since.
    pub unused: [Option<Span>; 2],
    /// The request of `option httpchk`.
    pub request: Option<HttpSend>,
    /// `http-check send-state`.
    pub send_state: bool,
    /// Lines that one kind of check uses, the option that chooses it, and their places.
    pub needs_option: Vec<(&'static str, &'static str, Span)>,
    /// `external-check command` and `path`.
    pub external: ExternalCheck,
    /// The `option external-check` line.
    pub external_option: Option<Span>,
}

impl Draft {
    /// An empty section.
    pub fn new(kind: Option<ProxyKind>, name: &str, place: Span) -> Draft {
        Draft {
            proxy: Proxy {
                name: name.to_owned(),
                kind: kind.unwrap_or(ProxyKind::Listen),
                id: 0,
                id_forced: false,
                place: Place(place),
                mode: Mode::Tcp,
                disabled: false,
                description: None,
                acls: Vec::new(),
                logging: Default::default(),
                http: Default::default(),
                stats: None,
                tcp: Default::default(),
                front: Some(Front::default()),
                back: Some(Back {
                    retries: 3,
                    ..Back::default()
                }),
            },
            kind,
            default_server: DefaultServer::default(),
            negation: Negation::Plain,
            seen: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            inherited_timeouts: BTreeMap::new(),
            references: Vec::new(),
            marks: Marks::default(),
            checks: CheckDraft::default(),
            diagnostics: Vec::new(),
            around: Rc::default(),
            from: String::new(),
        }
    }

    /// A section that starts from these defaults.
    pub fn from_defaults(&self, kind: Option<ProxyKind>, name: &str, place: Span) -> Draft {
        let mut draft = self.clone();
        draft.kind = kind;
        draft.from = self.proxy.name.clone();
        draft.proxy.name = name.to_owned();
        draft.proxy.kind = kind.unwrap_or(ProxyKind::Listen);
        draft.proxy.place = Place(place);
        draft.proxy.id = 0;
        draft.proxy.description = None;
        draft.seen.clear();
        // rules of the defaults go on with their ACLs, but nobody else sees those
        draft.proxy.acls.iter_mut().for_each(|acl| acl.name.clear());
        draft.rules_to_their_side();
        draft.inherited_timeouts.clone_from(&self.timeouts);
        draft.marks.mode = None;
        draft.marks.latest_rule = None;
        draft.checks.inherited = [true; 2];
        draft.checks.unused = [None; 2];
        draft
    }

    /// Rules of both sides are kept with the clients' in `defaults`.
    fn rules_to_their_side(&mut self) {
        if self.has_front() {
            return;
        }
        self.back().content_rules = std::mem::take(&mut self.front().content_rules);
        self.back().inspect_delay = self.front().inspect_delay.take();
    }

    /// A copy that has both sides, to try a line on.
    pub fn as_listen(&self) -> Draft {
        let mut draft = self.clone();
        draft.kind = draft.kind.and(Some(ProxyKind::Listen));
        draft.proxy.kind = ProxyKind::Listen;
        draft
    }

    /// The side of the clients.
    pub fn front(&mut self) -> &mut Front {
        self.proxy.front.get_or_insert_default()
    }

    /// The side of the servers.
    pub fn back(&mut self) -> &mut Back {
        self.proxy.back.get_or_insert_default()
    }

    /// Whether the section has a side of clients (so has `defaults`).
    pub fn has_front(&self) -> bool {
        self.kind != Some(ProxyKind::Backend)
    }

    /// Whether the section has a side of servers (so has `defaults`).
    pub fn has_back(&self) -> bool {
        self.kind != Some(ProxyKind::Frontend)
    }

    /// The keyword that started the section.
    pub fn word(&self) -> &'static str {
        self.kind.map_or("defaults", ProxyKind::word)
    }

    /// Sets a switch as the line's prefix says.
    pub fn switch(&self, slot: &mut bool) {
        *slot = self.negation == Negation::Plain;
    }

    /// Remembers where a keyword stood; a second time in one section is a
    /// note with both places, since the later one wins silently.
    pub fn once(&mut self, keyword: &'static str, span: Span) {
        if let Some(first) = self.seen.insert(keyword, span) {
            self.diagnostics.push(
                Diagnostic::note(
                    "E1101",
                    span,
                    format!("`{keyword}` is set twice in this section"),
                )
                .label("this one counts")
                .also(first, "this one has no effect"),
            );
        }
    }

    /// As `once` for what HAProxy warns about when it stands twice in a section that runs.
    pub fn once_or_warn(&mut self, keyword: &'static str, span: Span) {
        if self.kind.is_none() {
            return self.once(keyword, span);
        }
        if let Some(first) = self.seen.insert(keyword, span) {
            let text = format!("overwriting `{keyword}` which was already specified");
            self.diagnostics.push(
                Diagnostic::warning("E1101", span, text)
                    .label("this one counts")
                    .also(first, "this one has no effect"),
            );
        }
    }

    /// Records a name that must exist in the end.
    pub fn refer(&mut self, to: Referred, by: &'static str, name: &str, span: Span) {
        let name = name.to_owned();
        self.references.push(Reference { to, name, span, by });
    }
}

/// An address that no server line replaced yet.
pub fn no_address() -> ServerAddress {
    ServerAddress::Tcp {
        host: super::model::Host::Ip(std::net::Ipv4Addr::UNSPECIFIED.into()),
        fqdn: None,
        port: ServerPort::Mapped(0),
    }
}
