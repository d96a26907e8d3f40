//! Log lines: of sessions, of servers, of the process.
//!
//! The data thread that ends a session formats its line and sends it: over
//! UDP and unix sockets with a call that never waits, to descriptors by way
//! of a bounded queue. Whatever a target cannot take at once is counted and
//! dropped, so that a slow or absent log never delays traffic.

mod backing;
pub mod change;
pub mod clock;
mod expression;
mod header;
mod json;
mod line;
mod ring;
mod sink;

use crate::process::host_name;
use crate::state::{Cause, ConnectionError, Proxy, Runtime, SessionRecord};
use arc_swap::ArcSwap;
use clock::Moment;
use conf::lb::model::{
    Config, Level, LogAddress, LogHostname, LogLevel, LogTarget, Logging, Ring as RingSettings,
    SessionFormat,
};
use header::Sender;
pub use ring::Ring;
use sink::Sink;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// The open targets and what their headers say.
pub struct AccessLog {
    sinks: ArcSwap<Vec<Arc<Sink>>>,
    settings: ArcSwap<Settings>,
    rings: ArcSwap<Vec<Arc<Ring>>>,
    requests: AtomicU64,
    program: String,
    runtime: OnceLock<Arc<Runtime>>,
}

/// What a reload may change.
#[derive(Debug, Default)]
struct Settings {
    targets: Vec<LogTarget>,
    tag: Option<String>,
    host: String,
    send_host: bool,
    pid: u32,
}

impl AccessLog {
    /// Opens the targets of a configuration. `program` is the tag where none
    /// is set.
    pub fn open(config: &Config, program: &str) -> Arc<AccessLog> {
        clock::prepare();
        let log = AccessLog {
            sinks: ArcSwap::default(),
            settings: ArcSwap::default(),
            rings: ArcSwap::default(),
            requests: AtomicU64::new(0),
            program: program.to_owned(),
            runtime: OnceLock::new(),
        };
        log.apply(config);
        Arc::new(log)
    }

    /// Where expressions in lines look up counters and names.
    pub fn look_at(&self, runtime: Arc<Runtime>) {
        let _ = self.runtime.set(runtime);
    }

    /// Opens what a new configuration names in addition. Targets that it no
    /// longer names stay open: sessions of generations before still log there.
    pub fn apply(&self, config: &Config) {
        let proxies = config
            .proxies
            .iter()
            .flat_map(|proxy| &proxy.logging.targets);
        self.apply_rings(&config.rings);
        let rings = self.rings.load();
        let mut sinks: Vec<Arc<Sink>> = self.sinks.load().to_vec();
        for target in config.global.logs.iter().chain(proxies) {
            if !sinks.iter().any(|sink| sink.address == target.address) {
                sinks.push(Arc::new(Sink::open(&target.address, &rings)));
            }
        }
        self.sinks.store(Arc::new(sinks));
        let host = match &config.global.log_send_hostname {
            Some(LogHostname::Named(name)) => name.clone(),
            Some(LogHostname::Own) | None => host_name(),
        };
        self.settings.store(Arc::new(Settings {
            targets: config.global.logs.clone(),
            tag: config.global.log_tag.clone(),
            host,
            send_host: config.global.log_send_hostname.is_some(),
            pid: std::process::id(),
        }));
    }

    /// A session's line, if its proxy wants one.
    pub fn session(&self, record: &SessionRecord) {
        let logging = &record.frontend.conf.logging;
        if let Some(failure) = record.failure {
            return self.failure(record, logging, failure);
        }
        if record.at_start && logging.start_and_end {
            return self.start(record, logging);
        }
        let Some(level) = level_of(record, logging) else {
            return;
        };
        let settings = self.settings.load();
        let number = self.requests.fetch_add(1, Relaxed);
        let unique_id = record.unique_id.clone();
        let unique_id = unique_id.or_else(|| self.named(record, number));
        let counter = record
            .frontend
            .front
            .as_ref()
            .map_or(0, |f| f.log_counter.fetch_add(1, Relaxed));
        let unique_id = unique_id.unwrap_or_default();
        let context = settings.context(
            [u64::from(counter), number],
            &unique_id,
            record.at_start && logging.as_soon_as_possible,
            self.runtime(),
        );
        let mut text = String::with_capacity(256);
        let failed = is_error(record);
        match (&logging.error_format, &logging.format) {
            (Some(format), _) if failed && !record.at_start => {
                line::format(&mut text, format, record, &context);
            }
            (_, SessionFormat::Connect) if record.at_start => line::connect(&mut text, record),
            (_, SessionFormat::Connect) => line::tcp(&mut text, record, &context),
            (_, SessionFormat::Json(_)) => text.push_str(&json::session(record, &context)),
            (_, SessionFormat::Tcp) => line::tcp(&mut text, record, &context),
            (_, SessionFormat::Http) => line::http(&mut text, record, &context),
            (_, SessionFormat::HttpClf) => line::clf(&mut text, record, &context),
            (_, SessionFormat::Custom(format)) => line::format(&mut text, format, record, &context),
        }
        if logging.start_and_end && !matches!(logging.format, SessionFormat::Json(_)) {
            text.push_str(&format!(" end id={:#x}", record.id));
        }
        let mut structured = String::new();
        if let Some(format) = &logging.structured_data {
            line::format(&mut structured, format, record, &context);
        }
        self.send(
            &logging.targets,
            logging.tag.as_deref(),
            level,
            &structured,
            &text,
        );
    }

    /// What `unique-id-format` gives for a session that is told to its server.
    pub fn unique_id(&self, record: &SessionRecord) -> Option<String> {
        self.named(record, self.requests.load(Relaxed))
    }

    fn named(&self, record: &SessionRecord, number: u64) -> Option<String> {
        let format = record.frontend.conf.logging.unique_id.as_ref()?;
        let settings = self.settings.load();
        let mut text = String::new();
        let context = settings.context([0, number], "", false, self.runtime());
        line::format(&mut text, format, record, &context);
        Some(text)
    }

    fn runtime(&self) -> Option<&Runtime> {
        self.runtime.get().map(AsRef::as_ref)
    }

    /// The first of a session's two lines (`option log-start-end`).
    fn start(&self, record: &SessionRecord, logging: &Logging) {
        let mut text = String::with_capacity(128);
        match logging.format {
            SessionFormat::Json(_) => text.push_str(&json::start(record)),
            _ => line::start(&mut text, record),
        }
        let level = match record.level {
            Some(LogLevel::Silent) => return,
            Some(LogLevel::At(level)) => level,
            None => Level::Info,
        };
        self.send(&logging.targets, logging.tag.as_deref(), level, "", &text);
    }

    /// A connection that ended before it was a session.
    fn failure(&self, record: &SessionRecord, logging: &Logging, failure: ConnectionError) {
        let level = match logging.separate_errors {
            true => Level::Err,
            false => Level::Info,
        };
        let mut text = String::with_capacity(128);
        match &logging.error_format {
            Some(format) => {
                let settings = self.settings.load();
                let number = self.requests.fetch_add(1, Relaxed);
                let unique_id = self.named(record, number).unwrap_or_default();
                let context = settings.context([0, number], &unique_id, false, self.runtime());
                line::format(&mut text, format, record, &context);
            }
            None => line::failure(&mut text, record, failure.words()),
        }
        self.send(&logging.targets, logging.tag.as_deref(), level, "", &text);
    }

    /// A line about a proxy or one of its servers.
    pub fn proxy(&self, proxy: &Proxy, level: Level, text: &str) {
        let logging = &proxy.conf.logging;
        self.send(&logging.targets, logging.tag.as_deref(), level, "", text);
    }

    /// A line about the process, to the targets of `global`.
    pub fn process(&self, level: Level, text: &str) {
        let settings = self.settings.load();
        self.send(&settings.targets, None, level, "", text);
    }

    /// Lines that no target could take at once.
    pub fn dropped(&self) -> u64 {
        self.sinks.load().iter().map(|sink| sink.dropped()).sum()
    }

    /// Rings keep their lines as long as a section has their name. Those that
    /// go stay open for sessions of generations before, but forward no more.
    fn apply_rings(&self, settings: &[Arc<RingSettings>]) {
        let old = self.rings.load();
        let mut rings = Vec::new();
        for settings in settings {
            match old.iter().find(|ring| ring.name == settings.name) {
                Some(ring) => {
                    ring.follow(settings);
                    rings.push(ring.clone());
                }
                None => rings.push(Ring::new(settings)),
            }
        }
        for ring in old.iter() {
            if !rings.iter().any(|other| Arc::ptr_eq(other, ring)) {
                ring.retire();
            }
        }
        self.rings.store(Arc::new(rings));
    }

    /// The ring of this name.
    pub fn ring(&self, name: &str) -> Option<Arc<Ring>> {
        self.rings
            .load()
            .iter()
            .find(|ring| ring.name == name)
            .cloned()
    }

    /// Everything that lines can go to, as `show events` lists it.
    pub fn list_sinks(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, kind: &str, dropped: u64, what: &str| {
            out.push_str(&format!(
                "    {name:<10} : type={kind}, {dropped} dropped, {what}\n"
            ));
        };
        let sinks = self.sinks.load();
        let of_fd = |fd: i32| {
            let found = sinks.iter().find(|s| s.address == LogAddress::Fd(fd));
            found.map_or(0, |sink| sink.dropped())
        };
        row("stdout", "fd", of_fd(1), "standard output (fd#1)");
        row("stderr", "fd", of_fd(2), "standard output (fd#2)");
        for ring in self.rings.load().iter() {
            row(&ring.name, "buffer", ring.dropped(), &ring.description());
        }
        out
    }

    /// Opens every target anew, for after its reader was moved or restarted.
    pub fn reopen(&self) {
        let rings = self.rings.load();
        let fresh = self
            .sinks
            .load()
            .iter()
            .map(|sink| Arc::new(Sink::open(&sink.address, &rings)))
            .collect();
        self.drain();
        self.sinks.store(Arc::new(fresh));
    }

    /// Waits a moment for lines that are still on their way to a descriptor.
    pub fn drain(&self) {
        for sink in self.sinks.load().iter() {
            sink.drain();
        }
        for ring in self.rings.load().iter() {
            ring.flush();
        }
    }

    fn send(
        &self,
        targets: &[LogTarget],
        tag: Option<&str>,
        level: Level,
        structured: &str,
        text: &str,
    ) {
        if targets.is_empty() {
            return;
        }
        let settings = self.settings.load();
        let tag = tag.or(settings.tag.as_deref()).unwrap_or(&self.program);
        let sender = Sender {
            tag,
            pid: settings.pid,
            host: &settings.host,
            send_host: settings.send_host,
        };
        let now = Moment::now();
        let sinks = self.sinks.load();
        for target in targets.iter().filter(|target| level <= target.max_level) {
            if !sampled(target) {
                continue;
            }
            if let Some(sink) = sinks.iter().find(|sink| sink.address == target.address) {
                let format = target.format.unwrap_or_else(|| sink.header());
                sink.send(header::line(
                    target, format, level, &sender, structured, text, now,
                ));
            }
        }
    }
}

impl Settings {
    fn context<'a>(
        &'a self,
        [log_counter, request_counter]: [u64; 2],
        unique_id: &'a str,
        so_far: bool,
        runtime: Option<&'a Runtime>,
    ) -> line::Context<'a> {
        line::Context {
            host: &self.host,
            pid: self.pid,
            log_counter,
            request_counter,
            unique_id,
            so_far,
            runtime,
        }
    }
}

/// Whether the next line of a `log` line belongs to its sample.
fn sampled(target: &LogTarget) -> bool {
    let Some(sample) = &target.sample else {
        return true;
    };
    let number = sample.seen.0.fetch_add(1, Relaxed);
    let place = (number % u64::from(sample.size.max(1))) as u32 + 1;
    sample
        .ranges
        .iter()
        .any(|&(first, last)| (first..=last).contains(&place))
}

/// Something went wrong, in the sense of `log-separate-errors`.
fn is_error(record: &SessionRecord) -> bool {
    let failed = !matches!(record.end.cause, Cause::Normal | Cause::Local);
    let bad_answer = record
        .http
        .as_ref()
        .and_then(|http| http.status)
        .is_some_and(|s| s >= 500);
    failed || record.redispatched || record.retries > 0 || bad_answer
}

/// The level of a session's line; nothing when there is to be none.
fn level_of(record: &SessionRecord, logging: &Logging) -> Option<Level> {
    let connect_only = logging.format == SessionFormat::Connect && !logging.start_and_end;
    let at_start = connect_only || (logging.as_soon_as_possible && !logging.start_and_end);
    if record.at_start != at_start || logging.targets.is_empty() {
        return None;
    }
    let failed = is_error(record);
    if !record.at_start && logging.dont_log_null && record.bytes_in == 0 && record.http.is_none() {
        return None;
    }
    if logging.dont_log_normal && !failed {
        return None;
    }
    match record.level {
        Some(LogLevel::Silent) => None,
        Some(LogLevel::At(level)) => Some(level),
        None if failed && logging.separate_errors => Some(Level::Err),
        None => Some(Level::Info),
    }
}

#[cfg(test)]
mod tests;
