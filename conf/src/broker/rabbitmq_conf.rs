//! Reads `rabbitmq.conf`: `key = value` lines. A key either means something
//! here, or is accepted because nothing depends on it (with a note why), or is
//! known and refused (E0007), or is unknown.

use super::draft::Draft;
use super::model::{ClientAuth, DiskLimit, LoginFrom, MemoryLimit, everywhere};
use super::settings::{formatter, level, node_name, version};
use super::value::{Given, Item};
use crate::diagnostic::{Diagnostic, Report};
use crate::source::{FileId, Span};
use crate::suggest;
use std::net::SocketAddr;
use std::time::Duration;

type Apply = fn(&mut State<'_>, &Line) -> Result<(), Diagnostic>;

/// A key of `rabbitmq.conf`; a part `*` stands for any one word, a last part `**` for one or more.
pub struct Key {
    /// `listeners.tcp.*`.
    pub pattern: &'static str,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a key.
pub enum Fate {
    /// It sets what it sets there.
    Applied(Apply),
    /// Accepted, with the reason why it has no effect.
    NoEffect(&'static str),
    /// Known, refused, with the reason.
    Refused(&'static str),
}

/// One line with its key's words.
pub struct Line {
    words: Vec<String>,
    key: Span,
    value: Given,
}

/// The draft, and what is put together from several lines.
pub struct State<'d> {
    draft: &'d mut Draft,
    tcp: Option<Vec<SocketAddr>>,
    tls: Option<Vec<SocketAddr>>,
    loopback: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    versions: Vec<String>,
    management: (Option<std::net::IpAddr>, Option<u16>),
    prometheus: (Option<std::net::IpAddr>, Option<u16>),
    verify_peer: Option<bool>,
    need_certificate: bool,
}

macro_rules! key {
    ($pattern:literal, $apply:expr) => {
        Key {
            pattern: $pattern,
            fate: Fate::Applied($apply),
        }
    };
    ($pattern:literal, no effect: $why:literal) => {
        Key {
            pattern: $pattern,
            fate: Fate::NoEffect($why),
        }
    };
    ($pattern:literal, refused: $why:literal) => {
        Key {
            pattern: $pattern,
            fate: Fate::Refused($why),
        }
    };
}

/// All keys that are known. The first that matches counts.
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    key!("listeners.tcp", |s, l| { l.is_none()?; s.tcp = Some(Vec::new()); Ok(()) }),
    key!("listeners.tcp.*", |s, l| { let at = s.address(l, 5672)?; add(&mut s.tcp, at); Ok(()) }),
    key!("listeners.ssl", |s, l| { l.is_none()?; s.tls = Some(Vec::new()); Ok(()) }),
    key!("listeners.ssl.*", |s, l| { let at = s.address(l, 5671)?; add(&mut s.tls, at); Ok(()) }),
    key!("num_acceptors.*", no effect: "connections are accepted by the core thread itself"),
    key!("proxy_protocol", |s, l| { s.draft.config.proxy_protocol = l.value.boolean()?; Ok(()) }),
    key!("handshake_timeout", |s, l| { s.draft.config.handshake_timeout = l.ms()?; Ok(()) }),
    key!("ssl_handshake_timeout", no effect: "handshake_timeout covers the TLS handshake"),
    key!("reverse_dns_lookups", |_, l| l.only(false, "peers are shown by address")),
    key!("tcp_listen_options.backlog", |s, l| { s.draft.config.backlog = l.value.integer(1..=65_535)? as u32; Ok(()) }),
    key!("tcp_listen_options.nodelay", no effect: "always on"),
    key!("tcp_listen_options", no effect: "the system's default serves"),
    key!("tcp_listen_options.**", no effect: "the system's default serves"),
    key!("loopback_users", |s, l| { l.is_none()?; s.loopback = Some(Vec::new()); Ok(()) }),
    key!("loopback_users.*", loopback_user),
    key!("ssl_options", no effect: "the files are named by `ssl_options.certfile` and `ssl_options.keyfile`"),
    key!("ssl_options.certfile", |s, l| { s.draft.certificate = Some(l.value.name()?.into()); Ok(()) }),
    key!("ssl_options.keyfile", |s, l| { s.draft.key = Some(l.value.name()?.into()); Ok(()) }),
    key!("ssl_options.cacertfile", |s, l| { s.draft.client_ca = Some(l.value.name()?.into()); Ok(()) }),
    key!("ssl_options.verify", |s, l| { s.verify_peer = Some(l.value.choose(&[("verify_peer", true), ("verify_none", false)])?); Ok(()) }),
    key!("ssl_options.fail_if_no_peer_cert", |s, l| { s.need_certificate = l.value.boolean()?; Ok(()) }),
    key!("ssl_options.versions.*", |s, l| { let v = l.value.name()?; s.versions.push(v); Ok(()) }),
    key!("ssl_options.depth", no effect: "chains are checked up to the authority"),
    key!("ssl_options.password", refused: "encrypted private keys are not read; decrypt the key file"),
    key!("ssl_options.**", no effect: "suites and options are those that rustls has found safe"),
    key!("ssl_cert_login_from", |s, l| {
        let choices = [("distinguished_name", LoginFrom::DistinguishedName), ("common_name", LoginFrom::CommonName), ("subject_alternative_name", LoginFrom::SubjectAlternativeName)];
        s.draft.login_from = Some(l.value.choose(&choices)?);
        Ok(())
    }),
    key!("ssl_cert_login_san_type", no effect: "the first DNS or mail name is taken"),
    key!("ssl_cert_login_san_index", no effect: "the first DNS or mail name is taken"),
    key!("ssl_allow_poodle_attack", no effect: "there is no SSL 3"),
    key!("trust_store.**", refused: "client certificates are checked against ssl_options.cacertfile"),
    key!("auth_backends.*", |_, l| match l.value.text()?.as_str() {
        "internal" | "rabbit_auth_backend_internal" => Ok(()),
        other => Err(Diagnostic::error("E0007", l.value.span, format!("the authentication backend `{other}` is not there")).label("only `internal` is")),
    }),
    key!("auth_backends.*.*", refused: "only the internal authentication backend is there"),
    key!("auth_mechanisms.*", no effect: "PLAIN and AMQPLAIN are offered, EXTERNAL with client certificates"),
    key!("auth_ldap.**", refused: "only the internal authentication backend is there"),
    key!("auth_http.**", refused: "only the internal authentication backend is there"),
    key!("auth_oauth2.**", refused: "only the internal authentication backend is there"),
    key!("auth_cache.**", refused: "only the internal authentication backend is there"),
    key!("credential_validator.**", refused: "passwords are taken as they are; what gives them out must judge them"),
    key!("password_hashing_module", no effect: "new passwords are argon2id; imported hashes are kept as they are"),
    key!("default_vhost", |s, l| { s.draft.config.default_vhost = l.value.name()?; Ok(()) }),
    key!("default_user", |s, l| { s.draft.config.default_user.name = l.value.name()?; Ok(()) }),
    key!("default_pass", |s, l| { s.draft.config.default_user.password = l.value.text()?; Ok(()) }),
    key!("default_permissions.configure", |s, l| { s.draft.config.default_user.permissions[0] = l.value.text()?; Ok(()) }),
    key!("default_permissions.write", |s, l| { s.draft.config.default_user.permissions[1] = l.value.text()?; Ok(()) }),
    key!("default_permissions.read", |s, l| { s.draft.config.default_user.permissions[2] = l.value.text()?; Ok(()) }),
    key!("default_user_tags.*", |s, l| { if l.value.boolean()? { s.tags.get_or_insert_default().push(l.word(1)); } Ok(()) }),
    key!("default_consumer_prefetch", refused: "write `prefetch` into `[limits]` of broker.toml"),
    key!("heartbeat", |s, l| { s.draft.config.heartbeat = Duration::from_secs(l.value.integer(0..=65_535)? as u64); Ok(()) }),
    key!("frame_max", |s, l| { s.draft.config.frame_max = l.value.byte_size(4096..=1 << 30)? as u32; Ok(()) }),
    key!("initial_frame_max", no effect: "a frame before connection.tune is at most 4096 bytes"),
    key!("channel_max", |s, l| { s.draft.config.channel_max = l.value.integer(0..=65_535)? as u16; Ok(()) }),
    key!("connection_max", |s, l| {
        s.draft.config.connection_max = match l.value.text()?.as_str() { "infinity" => None, _ => Some(l.value.integer(0..=10_000_000)? as u64) };
        Ok(())
    }),
    key!("max_message_size", |s, l| { s.draft.config.max_message_size = l.value.integer(0..=i64::MAX)? as u64; Ok(()) }),
    key!("consumer_timeout", |s, l| {
        s.draft.config.consumer_timeout = match l.value.text()?.as_str() { "undefined" => None, _ => Some(l.ms()?) };
        Ok(())
    }),
    key!("channel_operation_timeout", no effect: "no operation waits for another node"),
    key!("vm_memory_high_watermark.relative", |s, l| { s.draft.config.memory = MemoryLimit::Ratio(l.value.ratio(1.0)?); Ok(()) }),
    key!("vm_memory_high_watermark.absolute", |s, l| { s.draft.config.memory = MemoryLimit::Absolute(l.value.size()?); Ok(()) }),
    key!("vm_memory_high_watermark_paging_ratio", no effect: "message bodies leave memory as soon as they are on disk"),
    key!("vm_memory_calculation_strategy", no effect: "memory is the process's resident set"),
    key!("memory_monitor_interval", no effect: "memory is looked at each second"),
    key!("total_memory_available_override_value", refused: "write an absolute limit: vm_memory_high_watermark.absolute"),
    key!("disk_free_limit.absolute", |s, l| { s.draft.config.disk = DiskLimit::Absolute(l.value.size()?); Ok(()) }),
    key!("disk_free_limit.relative", |s, l| { s.draft.config.disk = DiskLimit::MemoryRatio(l.value.ratio(1000.0)?); Ok(()) }),
    key!("disk_monitor_failure_retries", no effect: "free space is one system call"),
    key!("disk_monitor_failure_retry_interval", no effect: "free space is one system call"),
    key!("load_definitions", |s, l| { s.draft.config.load_definitions = Some(l.value.name()?.into()); Ok(()) }),
    key!("definitions.import_backend", |_, l| l.only_word("local_filesystem")),
    key!("definitions.local.path", |s, l| { s.draft.config.load_definitions = Some(l.value.name()?.into()); Ok(()) }),
    key!("definitions.skip_if_unchanged", no effect: "an unchanged definition changes nothing"),
    key!("definitions.**", refused: "definitions come from a local file"),
    key!("management.load_definitions", |s, l| { s.draft.config.load_definitions = Some(l.value.name()?.into()); Ok(()) }),
    key!("management.tcp.port", |s, l| { s.management.1 = Some(l.port()?); Ok(()) }),
    key!("management.tcp.ip", |s, l| { s.management.0 = Some(l.ip()?); Ok(()) }),
    key!("management.listener.port", |s, l| { s.management.1 = Some(l.port()?); Ok(()) }),
    key!("management.listener.ip", |s, l| { s.management.0 = Some(l.ip()?); Ok(()) }),
    key!("management.listener.ssl_opts.**", refused: "the management listener does not speak TLS; put a balancer before it"),
    key!("management.listener.ssl", |_, l| l.only(false, "the management listener does not speak TLS; put a balancer before it")),
    key!("management.ssl.**", refused: "the management listener does not speak TLS; put a balancer before it"),
    key!("management.tcp.*", no effect: "the default serves"),
    key!("management.rates_mode", no effect: "rates are always kept, in bounded memory"),
    key!("management.sample_retention_policies.**", no effect: "samples are kept for ten minutes"),
    key!("management.http_log_dir", refused: "requests are in the log at debug level"),
    key!("management.cors.**", refused: "other origins are not served"),
    key!("management.disable_basic_auth", |_, l| l.only(false, "the interface's login is basic authentication")),
    key!("management.enable_uaa", |_, l| l.only(false, "only the internal authentication backend is there")),
    key!("management.path_prefix", refused: "the interface is at the root"),
    key!("management.**", no effect: "the default serves"),
    key!("management_agent.*", no effect: "statistics are always there"),
    key!("collect_statistics", no effect: "statistics are always there"),
    key!("collect_statistics_interval", |s, l| { s.draft.config.sample_interval = l.ms()?.max(Duration::from_millis(100)); Ok(()) }),
    key!("prometheus.tcp.port", |s, l| { s.prometheus.1 = Some(l.port()?); Ok(()) }),
    key!("prometheus.tcp.ip", |s, l| { s.prometheus.0 = Some(l.ip()?); Ok(()) }),
    key!("prometheus.path", |_, l| l.only_word("/metrics")),
    key!("prometheus.return_per_object_metrics", refused: "ask for /metrics/per-object or /metrics/detailed"),
    key!("prometheus.ssl.**", refused: "the metrics listener does not speak TLS"),
    key!("prometheus.**", no effect: "the default serves"),
    key!("cluster_name", |s, l| { s.draft.config.cluster_name = Some(l.value.name()?); Ok(()) }),
    key!("cluster_partition_handling", no effect: "a single node has no partitions"),
    key!("cluster_partition_handling.**", no effect: "a single node has no partitions"),
    key!("cluster_keepalive_interval", no effect: "a single node has no peers"),
    key!("cluster_formation.**", refused: "clustering is not there yet; this is one node"),
    key!("net_ticktime", no effect: "a single node has no peers"),
    key!("mirroring_sync_batch_size", no effect: "a single node has no mirrors"),
    key!("mirroring_sync_max_throughput", no effect: "a single node has no mirrors"),
    key!("mirroring_flow_control", no effect: "a single node has no mirrors"),
    key!("queue_master_locator", no effect: "a single node leads all queues"),
    key!("queue_leader_locator", no effect: "a single node leads all queues"),
    key!("quorum_commands_soft_limit", no effect: "a quorum queue has one member here"),
    key!("raft.*", no effect: "a quorum queue has one member here"),
    key!("quorum_queue.compute_checksums", no effect: "every record has a checksum"),
    key!("classic_queue.default_version", no effect: "there is one kind of storage"),
    key!("message_store_shutdown_timeout", no effect: "what is confirmed is on disk already"),
    key!("queue_index_embed_msgs_below", no effect: "all messages are in one log"),
    key!("msg_store_file_size_limit", no effect: "the log's segments have a size of their own"),
    key!("lazy_queue_explicit_gc_run_operation_threshold", no effect: "there is no garbage to collect"),
    key!("queue_explicit_gc_run_operation_threshold", no effect: "there is no garbage to collect"),
    key!("background_gc_enabled", no effect: "there is no garbage to collect"),
    key!("background_gc_target_interval", no effect: "there is no garbage to collect"),
    key!("log.file", |s, l| { s.draft.config.log.file = match l.value.text()?.as_str() { "false" => None, path => Some(path.into()) }; Ok(()) }),
    key!("log.dir", no effect: "the log goes to standard error or to log.file"),
    key!("log.file.level", |s, l| { s.draft.config.log.level = level(&l.value)?; Ok(()) }),
    key!("log.file.formatter", |s, l| { s.draft.config.log.json = formatter(&l.value)?; Ok(()) }),
    key!("log.console.formatter", |s, l| { s.draft.config.log.json = formatter(&l.value)?; Ok(()) }),
    key!("log.console", no effect: "the log goes to standard error or to log.file"),
    key!("log.console.level", |s, l| { s.draft.config.log.level = level(&l.value)?; Ok(()) }),
    key!("log.default.level", |s, l| { s.draft.config.log.level = level(&l.value)?; Ok(()) }),
    key!("log.**", no effect: "the log goes to standard error or to log.file"),
    key!("motd_file", no effect: "there is no banner"),
    key!("product.name", |s, l| { s.draft.config.product = l.value.name()?; Ok(()) }),
    key!("product.version", |s, l| { s.draft.config.version = version(&l.value)?; Ok(()) }),
    key!("vhost_restart_strategy", no effect: "virtual hosts do not fail one by one"),
    key!("nodename", |s, l| { s.draft.config.node = Some(node_name(&l.value)?); Ok(()) }),
    key!("distributed_cookie", no effect: "tools are let in by the cookie file in the run directory"),
    key!("delegate_count", no effect: "it tunes the Erlang runtime, which is not here"),
    key!("default_worker_pool_size", no effect: "it tunes the Erlang runtime, which is not here"),
    key!("socket_writer.gc_threshold", no effect: "there is no garbage to collect"),
    key!("hipe_compile", no effect: "it tunes the Erlang runtime, which is not here"),
    key!("mnesia_table_loading_retry_timeout", no effect: "a single node has no peers"),
    key!("mnesia_table_loading_retry_limit", no effect: "a single node has no peers"),
    key!("erlang.**", no effect: "it tunes the Erlang runtime, which is not here"),
    key!("distribution.**", no effect: "it tunes the Erlang runtime, which is not here"),
    key!("sysmon_handler.**", no effect: "it tunes the Erlang runtime, which is not here"),
    key!("trace_vhosts.*", refused: "turn tracing on with `ctl trace_on`"),
    key!("mqtt.**", refused: "MQTT is not there"),
    key!("stomp.**", refused: "STOMP is not there"),
    key!("stream.**", refused: "streams are not there"),
    key!("web_mqtt.**", refused: "MQTT is not there"),
    key!("web_stomp.**", refused: "STOMP is not there"),
    key!("event_exchange.**", refused: "there is no exchange of events; the log tells them"),
    key!("aws.**", refused: "clustering is not there yet; this is one node"),
    key!("amqp1_0.**", refused: "AMQP 1.0 is not there"),
];

fn add(list: &mut Option<Vec<SocketAddr>>, address: SocketAddr) {
    list.get_or_insert_default().push(address);
}

fn loopback_user(state: &mut State<'_>, line: &Line) -> Result<(), Diagnostic> {
    let name = line.word(1);
    let list = state
        .loopback
        .get_or_insert_with(|| state.draft.config.loopback_users.clone());
    list.retain(|known| *known != name);
    if line.value.boolean()? {
        list.push(name);
    }
    Ok(())
}

impl Line {
    fn word(&self, index: usize) -> String {
        self.words.get(index).cloned().unwrap_or_default()
    }

    fn is_none(&self) -> Result<(), Diagnostic> {
        match self.value.text()?.as_str() {
            "none" => Ok(()),
            _ => Err(self
                .value
                .wrong("`none`; one by one they are `.1`, `.2`, ...")),
        }
    }

    fn ms(&self) -> Result<Duration, Diagnostic> {
        let number = self.value.integer(0..=i64::from(u32::MAX) * 1000)?;
        Ok(Duration::from_millis(number as u64))
    }

    fn port(&self) -> Result<u16, Diagnostic> {
        self.value.integer(0..=65_535).map(|n| n as u16)
    }

    fn ip(&self) -> Result<std::net::IpAddr, Diagnostic> {
        let text = self.value.text()?;
        text.parse().map_err(|_| self.value.wrong("an IP address"))
    }

    fn only(&self, accepted: bool, why: &str) -> Result<(), Diagnostic> {
        if self.value.boolean()? == accepted {
            return Ok(());
        }
        let message = format!("`{}` can only be `{accepted}`: {why}", self.words.join("."));
        Err(Diagnostic::error("E0007", self.value.span, message).label("not there"))
    }

    fn only_word(&self, accepted: &str) -> Result<(), Diagnostic> {
        if self.value.text()? == accepted {
            return Ok(());
        }
        let message = format!("`{}` can only be `{accepted}`", self.words.join("."));
        Err(Diagnostic::error("E0007", self.value.span, message).label("not there"))
    }
}

/// Reads a file of the report's sources into the draft; findings go into the
/// report.
pub(super) fn read(report: &mut Report, file: FileId, draft: &mut Draft) {
    let text = report.sources.file(file).text().to_owned();
    let mut state = State {
        draft,
        tcp: None,
        tls: None,
        loopback: None,
        tags: None,
        versions: Vec::new(),
        management: (None, None),
        prometheus: (None, None),
        verify_peer: None,
        need_certificate: false,
    };
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        let line_start = start;
        start += raw.len();
        match split(file, raw, line_start) {
            Ok(None) => {}
            Ok(Some(line)) => apply(report, &mut state, &line),
            Err(error) => report.push(error),
        }
    }
    state.finish();
}

/// One line's key and value; nothing for an empty line or a comment.
fn split(file: FileId, raw: &str, start: usize) -> Result<Option<Line>, Diagnostic> {
    let code = raw.split('#').next().unwrap_or("");
    let trimmed = code.trim();
    let span = |part: &str| {
        let at = start + (part.as_ptr() as usize - raw.as_ptr() as usize);
        Span {
            file,
            start: at as u32,
            end: (at + part.len()) as u32,
        }
    };
    if trimmed.is_empty() {
        return Ok(None);
    }
    let Some((key, value)) = trimmed.split_once('=') else {
        let message = "a line is `key = value`";
        return Err(Diagnostic::error("E3001", span(trimmed), message).label("no `=` here"));
    };
    let (key, value) = (key.trim(), value.trim());
    let text = value.trim_matches(|c| c == '\'' || c == '"').to_owned();
    Ok(Some(Line {
        words: key.split('.').map(str::to_owned).collect(),
        key: span(key),
        value: Given {
            item: Item::Text(text),
            span: span(value),
        },
    }))
}

fn apply(report: &mut Report, state: &mut State<'_>, line: &Line) {
    let key = line.words.join(".");
    let Some(row) = KEYS.iter().find(|row| row.matches(&line.words)) else {
        return report.push(unknown(&key, line.key));
    };
    match row.fate {
        Fate::Applied(apply) => {
            if key.starts_with("ssl_options.") || key.starts_with("listeners.ssl.") {
                state.draft.tls_at.get_or_insert(line.key);
            }
            if let Err(error) = apply(state, line) {
                report.push(error);
            }
        }
        Fate::NoEffect(why) => report.push(
            Diagnostic::note("E3002", line.key, format!("`{key}` has no effect here"))
                .label(why.to_owned()),
        ),
        Fate::Refused(why) => report.push(
            Diagnostic::error("E0007", line.key, format!("`{key}` is not there"))
                .label(why.to_owned()),
        ),
    }
}

/// Whether a key has a row.
#[cfg(test)]
pub(super) fn is_known(words: &[String]) -> bool {
    KEYS.iter().any(|row| row.matches(words))
}

fn unknown(key: &str, span: Span) -> Diagnostic {
    let words: Vec<&str> = key.split('.').collect();
    let names: Vec<String> = KEYS.iter().filter_map(|row| row.likened(&words)).collect();
    let near = suggest::nearest(key, names.iter().map(String::as_str));
    Diagnostic::error("E0002", span, format!("unknown key `{key}`"))
        .label(near.map_or("not a key".to_owned(), |n| format!("did you mean `{n}`?")))
        .maybe_suggest(span, near)
}

impl Key {
    /// The key that the words could have meant: any word of theirs where the pattern takes any.
    fn likened(&self, words: &[&str]) -> Option<String> {
        let parts: Vec<&str> = self.pattern.split('.').collect();
        let fits = !parts.contains(&"**") && (parts.len() == words.len() || !parts.contains(&"*"));
        let mut given = words.iter();
        let meant = parts.into_iter().map(|part| {
            let word = given.next();
            word.filter(|_| part == "*").map_or(part, |word| word)
        });
        fits.then(|| meant.collect::<Vec<_>>().join("."))
    }

    fn matches(&self, words: &[String]) -> bool {
        let (pattern, has_rest) = match self.pattern.strip_suffix(".**") {
            Some(family) => (family, true),
            None => (self.pattern, false),
        };
        let parts: Vec<_> = pattern.split('.').collect();
        let begins = words.len() >= parts.len()
            && parts
                .iter()
                .zip(words)
                .all(|(part, word)| *part == "*" || part == word);
        begins && (words.len() > parts.len()) == has_rest
    }
}

impl State<'_> {
    fn address(&mut self, line: &Line, port: u16) -> Result<SocketAddr, Diagnostic> {
        let address = line.value.address(port)?;
        self.draft.listeners.push((address, line.value.span));
        Ok(address)
    }

    fn finish(self) {
        let config = &mut self.draft.config;
        if let Some(tcp) = self.tcp {
            config.listen = tcp;
        }
        if let Some(tls) = self.tls {
            config.listen_tls = tls;
        }
        if let Some(loopback) = self.loopback {
            config.loopback_users = loopback;
        }
        if let Some(tags) = self.tags {
            config.default_user.tags = tags;
        }
        let listener = |(ip, port): (Option<std::net::IpAddr>, Option<u16>), default: u16| {
            let any = everywhere(port.unwrap_or(default));
            ip.map_or(any, |ip| SocketAddr::new(ip, any.port()))
        };
        if self.management != (None, None) {
            config.management = vec![listener(self.management, 15_672)];
        }
        if self.prometheus != (None, None) {
            config.prometheus = vec![listener(self.prometheus, 15_692)];
        }
        if !self.versions.is_empty() {
            self.draft.only_1_3 = !self.versions.iter().any(|v| v == "tlsv1.2");
        }
        self.draft.client_auth = Some(match (self.verify_peer, self.need_certificate) {
            (Some(true), true) => ClientAuth::Required,
            (Some(true), false) => ClientAuth::Optional,
            _ => ClientAuth::None,
        });
    }
}
