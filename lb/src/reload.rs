//! Reload inside the process: read, check, compare, swap.
//!
//! Nothing changes until everything that the new configuration needs is
//! there: a file that does not parse, a name without an address or a port
//! that is taken leave all as it was. Sessions go on under the rules that
//! they began with; listeners that stay are never closed.

use crate::access_log::AccessLog;
use crate::admin::socket::Served;
use crate::admin::{Amendment, Control};
use crate::data_path::DataPath;
use crate::diff::Difference;
use crate::http::exporter::Exporter;
use crate::loading::{self, Loaded};
use crate::options::Options;
use crate::probe::Prober;
use crate::state::Proxy;
use crate::{command, console};
use arc_swap::ArcSwap;
use conf::lb::{Config, Level};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

/// Everything that a reload touches.
pub struct Reloader {
    /// The command line.
    pub options: Options,
    /// The data threads.
    pub data: Arc<DataPath>,
    /// Logs.
    pub log: Arc<AccessLog>,
    /// Health checks.
    pub prober: Arc<Prober>,
    /// The runtime CLI's view.
    pub control: Arc<Control>,
    /// Reads the files, from wherever that is still possible.
    pub source: Box<dyn Fn(&Options) -> Loaded + Send + Sync>,
    /// The runtime CLI's sockets.
    pub sockets: Arc<Served>,
    /// The exporter on an address of its own.
    pub exporter: Exporter,
    /// The texts that the present configuration was read from.
    pub texts: ArcSwap<Vec<(PathBuf, String)>>,
    /// One at a time.
    pub busy: Mutex<()>,
}

impl Reloader {
    /// Reloads; gives what changed.
    ///
    /// # Errors
    /// What is wrong; nothing has changed then.
    pub fn reload(&self) -> Result<String, String> {
        let Ok(_only) = self.busy.try_lock() else {
            return Err("a reload is under way already".to_owned());
        };
        let result = self.try_reload();
        let (level, text) = match &result {
            Ok(text) => (Level::Notice, format!("Reload done: {}", first_line(text))),
            Err(text) => (
                Level::Err,
                format!("Reload refused, nothing changed: {}", first_line(text)),
            ),
        };
        self.log.process(level, &text);
        self.control.events.add("process", &text);
        console::notice(&text);
        result
    }

    fn try_reload(&self) -> Result<String, String> {
        let loaded = (self.source)(&self.options);
        let findings = command::findings(&self.options, &loaded, false);
        let texts = texts_of(&loaded);
        let refused = loaded.fails_on_warnings(&self.options);
        let Some(mut config) = loaded.config.filter(|_| !refused) else {
            return Err(findings);
        };
        let admitted = self.data.runtime().process.maxconn.load(Relaxed);
        let admitted = config.global.maxconn.unwrap_or(admitted);
        conf::lb::fill_fullconn(&mut config, admitted);
        let config = Arc::new(config);
        let old = self.data.runtime().generation().conf.clone();
        let difference = Difference::between(&old, &config);
        let stats = (old.global.stats != config.global.stats).then_some(&config.global.stats);
        let sockets = stats.map(|stats| self.sockets.prepare(stats)).transpose();
        let sockets = sockets.map_err(|e| e.to_string())?;
        let exporter = self.exporter.prepare(config.global.prometheus.as_ref());
        let exporter = match exporter {
            Ok(exporter) => exporter,
            Err(error) => {
                self.sockets.forget(sockets.unwrap_or_default());
                return Err(error.to_string());
            }
        };
        let generation = match self.data.apply(config.clone()) {
            Ok(generation) => generation,
            Err(errors) => {
                self.sockets.forget(sockets.unwrap_or_default());
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                return Err(lines.join("\n"));
            }
        };
        if let (Some(sockets), Some(stats)) = (sockets, stats)
            && let Err(error) = self.sockets.follow(sockets, stats)
        {
            console::warning(&format!("A socket of the CLI cannot be served: {error}"));
        }
        if old.global.prometheus != config.global.prometheus
            && let Err(error) = self.exporter.follow(exporter)
        {
            console::warning(&format!("The exporter cannot be served: {error}"));
        }
        self.texts.store(Arc::new(texts));
        self.control.set_filed(config.clone());
        self.log.apply(&config);
        if let Some(maxconn) = config.global.maxconn {
            self.data.runtime().process.maxconn.store(maxconn, Relaxed);
        }
        self.control.set_listeners(self.data.listeners());
        self.prober.follow(generation);
        Ok(report(&findings, &difference))
    }

    /// Changes the configuration at work, without its files; the next reload undoes it.
    ///
    /// # Errors
    /// What is wrong; nothing has changed then.
    pub fn amend(&self, amendment: &mut Amendment<'_>) -> Result<(), String> {
        let Ok(_only) = self.busy.try_lock() else {
            return Err("a reload is under way".to_owned());
        };
        if self.data.runtime().process.stopping.load(Relaxed) {
            return Err("the process is stopping".to_owned());
        }
        let old = self.data.runtime().generation();
        let mut config = (*old.conf).clone();
        amendment(&mut config)?;
        let is_shut = |p: &&Arc<Proxy>| p.front.as_ref().is_some_and(|f| f.stopped.load(Relaxed));
        let shut: Vec<_> = old.proxies.iter().filter(is_shut).cloned().collect();
        let generation = self.data.apply(Arc::new(config)).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            lines.join("\n")
        })?;
        // what an operator shut stays shut
        for proxy in shut {
            self.data.stop_frontend(proxy.name());
        }
        self.control.set_listeners(self.data.listeners());
        self.prober.follow(generation);
        Ok(())
    }

    /// The files of the configuration at work with their texts.
    pub fn files(&self) -> Arc<Vec<(PathBuf, String)>> {
        self.texts.load_full()
    }

    /// The texts of the configuration at work, each behind a line with its
    /// path and length.
    pub fn running_texts(&self) -> String {
        let mut out = String::new();
        for (path, text) in self.texts.load().iter() {
            out.push_str(&format!("# file {} {}\n{text}", text.len(), path.display()));
        }
        out
    }
}

/// The texts behind a configuration.
pub fn texts_of(loaded: &Loaded) -> Vec<(PathBuf, String)> {
    let files = loaded.report.sources.files();
    files
        .map(|(_, file)| (file.path().to_owned(), file.text().to_owned()))
        .collect()
}

/// Reads the files of the command line as they are now.
pub fn from_files(options: &Options) -> Loaded {
    loading::load(options)
}

fn report(findings: &str, difference: &Difference) -> String {
    let mut out = difference.text();
    if !findings.is_empty() {
        out.push('\n');
        out.push_str(findings.trim_end());
    }
    out
}

fn first_line(text: &str) -> &str {
    // the findings begin with who speaks; the first problem says more
    let telling = |line: &&str| !line.trim().is_empty() && !line.starts_with("[NOTICE]");
    text.lines().find(telling).unwrap_or("no difference").trim()
}

/// Whether two configurations differ in what only a start can change.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (a, b) = (&old.global, &new.global);
    let pairs = [
        ("nbthread", a.nbthread != b.nbthread),
        ("cpu-map", a.cpu_map != b.cpu_map),
        ("chroot", a.process.chroot != b.process.chroot),
        ("user", a.process.user != b.process.user),
        ("group", a.process.group != b.process.group),
        ("daemon", a.process.daemon != b.process.daemon),
        (
            "master-worker",
            a.process.master_worker != b.process.master_worker,
        ),
        ("pidfile", a.process.pidfile != b.process.pidfile),
        ("ulimit-n", a.process.ulimit_n != b.process.ulimit_n),
    ];
    pairs
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}
