//! Files to a configuration that can run: read, checked, overridden by the
//! command line, names resolved.

use crate::options::Options;
use crate::process::host_name;
use conf::diagnostic::{Diagnostic, Report, Severity};
use conf::lb::{Account, Config, Env, Family, ResolveOptions};
use conf::source::Span;
use nix::unistd::{Group, User};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

/// What came of the files.
pub struct Loaded {
    /// The configuration, unless something is wrong.
    pub config: Option<Config>,
    /// What there is to say about it.
    pub report: Report,
}

/// A configuration to start with, and the texts that it was read from.
pub struct Startup {
    /// The configuration.
    pub config: Config,
    /// Paths and contents of its files.
    pub texts: Vec<(PathBuf, String)>,
}

impl Loaded {
    /// Warnings are there and count as errors.
    pub fn fails_on_warnings(&self, options: &Options) -> bool {
        self.warnings_are_fatal(options) && self.report.count(Severity::Warning) > 0
    }

    /// `-dW` or `zero-warning`.
    pub fn warnings_are_fatal(&self, options: &Options) -> bool {
        options.zero_warning || self.config.as_ref().is_some_and(|c| c.global.zero_warning)
    }

    /// `-S` opens the CLI of a master, and there will be none.
    pub fn lacks_master(&self, options: &Options) -> bool {
        let master = |c: &Config| c.global.process.master_worker.is_some();
        !options.master_cli.is_empty() && self.config.as_ref().is_some_and(|c| !master(c))
    }
}

/// Reads the files of the command line.
pub fn load(options: &Options) -> Loaded {
    let mut loaded = finish(
        conf::lb::load(&options.files, environment(options)),
        options,
        &mut look_up,
    );
    check_accounts(&mut loaded);
    loaded
}

/// Reads the files of the command line, and gives also the names that were
/// looked up on the way.
pub fn load_recording(options: &Options) -> (Loaded, Vec<(String, IpAddr)>) {
    let mut names = Vec::new();
    let mut recording = |name: &str, family: Option<Family>| {
        let found = look_up(name, family);
        names.extend(found.map(|ip| (key(name, family), ip)));
        found
    };
    let mut loaded = finish(
        conf::lb::load(&options.files, environment(options)),
        options,
        &mut recording,
    );
    check_accounts(&mut loaded);
    (loaded, names)
}

/// Reads files that somebody else fetched, with names that somebody else
/// looked up.
pub fn load_texts(
    options: &Options,
    texts: Vec<(PathBuf, String)>,
    names: &[(String, IpAddr)],
) -> Loaded {
    let mut known = |name: &str, family: Option<Family>| {
        let key = key(name, family);
        names
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, ip)| *ip)
    };
    finish(
        conf::lb::load_texts(texts, environment(options)),
        options,
        &mut known,
    )
}

/// Nothing could be read at all.
pub fn failed(problem: String) -> Loaded {
    let mut report = Report::default();
    report.push(Diagnostic::general("E0001", problem));
    Loaded {
        config: None,
        report,
    }
}

fn key(name: &str, family: Option<Family>) -> String {
    match family {
        None => name.to_owned(),
        Some(Family::V4) => format!("ipv4@{name}"),
        Some(Family::V6) => format!("ipv6@{name}"),
    }
}

fn finish(
    (config, mut report): (Option<Config>, Report),
    options: &Options,
    resolver: &mut conf::lb::Resolver<'_>,
) -> Loaded {
    let Some(mut config) = config.filter(|_| !report.has_errors()) else {
        return Loaded {
            config: None,
            report,
        };
    };
    override_by(&mut config, options);
    let settings = ResolveOptions {
        ignore_server_failures: options.ignore_resolution,
    };
    for error in conf::lb::resolve(&mut config, settings, resolver) {
        report.push(error);
    }
    let config = (!report.has_errors()).then_some(config);
    Loaded { config, report }
}

/// Users and groups that the system does not know are refused.
fn check_accounts(loaded: &mut Loaded) {
    let Some(config) = &loaded.config else {
        return;
    };
    let named = |account: &Account| match account {
        Account::Name(name) => Some(name.clone()),
        Account::Id(_) => None,
    };
    let process = &config.global.process;
    let mut users = Vec::new();
    let mut groups = Vec::new();
    users.extend(process.user.iter().map(|(a, place)| (named(a), place.0)));
    groups.extend(process.group.iter().map(|(a, place)| (named(a), place.0)));
    let fronts = config.proxies.iter().filter_map(|p| p.front.as_ref());
    let binds = fronts.flat_map(|front| &front.binds);
    let sockets = config.global.stats.sockets.iter().map(|s| &s.bind);
    for bind in binds.chain(sockets) {
        users.extend(bind.unix.user.iter().map(|a| (named(a), bind.place.0)));
        groups.extend(bind.unix.group.iter().map(|a| (named(a), bind.place.0)));
    }
    let no_user = |name: &str| matches!(User::from_name(name), Ok(None));
    let no_group = |name: &str| matches!(Group::from_name(name), Ok(None));
    for (name, place) in users {
        if let Some(name) = name.filter(|name| no_user(name)) {
            loaded.report.push(no_account(place, "user", &name));
        }
    }
    for (name, place) in groups {
        if let Some(name) = name.filter(|name| no_group(name)) {
            loaded.report.push(no_account(place, "group", &name));
        }
    }
    if loaded.report.has_errors() {
        loaded.config = None;
    }
}

fn no_account(place: Span, kind: &str, name: &str) -> Diagnostic {
    let tool = format!("{kind}add --system {name}");
    Diagnostic::error("E1010", place, format!("cannot find {kind} `{name}`"))
        .label("not known to this system")
        .help(format!("`{tool}` creates it"))
}

/// The variables that a configuration may use.
pub fn environment(options: &Options) -> Env {
    let mut env = Env::of_process();
    let files: Vec<String> = options
        .files
        .iter()
        .map(|f| f.display().to_string())
        .collect();
    env.set("HAPROXY_CFGFILES", files.join(";"));
    if options.master_worker {
        env.set("HAPROXY_MWORKER", "1");
    }
    let host = || Some(host_name()).filter(|name| !name.is_empty());
    let peer = options.local_peer.clone().or_else(host);
    env.set(
        "HAPROXY_LOCALPEER",
        peer.unwrap_or_else(|| "localhost".to_owned()),
    );
    env
}

fn override_by(config: &mut Config, options: &Options) {
    let global = &mut config.global;
    if options.maxconn.is_some() {
        global.maxconn = options.maxconn;
    }
    if options.pidfile.is_some() {
        global.process.pidfile.clone_from(&options.pidfile);
    }
    global.process.daemon |= options.daemon;
    if options.foreground {
        global.process.daemon = false;
        global.process.master_worker = None;
    }
    if options.master_worker && global.process.master_worker.is_none() {
        global.process.master_worker = Some(conf::lb::MasterWorker::default());
    }
    global.disable.splice |= options.no_splice;
    global.disable.reuseport |= options.no_reuseport;
    if options.local_peer.is_some() {
        global.localpeer.clone_from(&options.local_peer);
    }
    if let Some(maxconn) = options.proxy_maxconn {
        for proxy in &mut config.proxies {
            let front = Arc::make_mut(proxy).front.as_mut();
            if let Some(front) = front.filter(|front| front.maxconn.is_none()) {
                front.maxconn = Some(maxconn);
            }
        }
    }
}

/// The system's resolver: the first address of the family that was asked for.
fn look_up(name: &str, family: Option<Family>) -> Option<IpAddr> {
    let wanted = |ip: &IpAddr| match family {
        Some(Family::V4) => ip.is_ipv4(),
        Some(Family::V6) => ip.is_ipv6(),
        None => true,
    };
    let found = (name, 0).to_socket_addrs().ok()?;
    found.map(|address| address.ip()).find(wanted)
}

/// Whether the configuration listens anywhere.
pub fn has_listeners(config: &Config) -> bool {
    let binds = |front: &conf::lb::model::Front| !front.binds.is_empty();
    let mut proxies = config.proxies.iter();
    // a CLI alone is enough, as for HAProxy
    !config.global.stats.sockets.is_empty()
        || proxies.any(|proxy| !proxy.disabled && proxy.front.as_ref().is_some_and(binds))
}
