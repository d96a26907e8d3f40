//! SIGHUP: the new file is read; what stays keeps its state, timers and
//! sockets. A broken or unsafe file is refused and nothing changes; what only a
//! restart can change is told.

use crate::daemon::Daemon;
use crate::instance::Instance;
use crate::options::Options;
use crate::pair::Pair;
use crate::{safety, vmac};
use conf::vip::model;
use tracing::{error, info, warn};

/// Reads the file again and takes it over; gives one line about the outcome.
pub fn reload(daemon: &mut Daemon, options: &Options) -> String {
    daemon.notify.reloading();
    let (config, report) = conf::vip::load(&options.file, &options.reading());
    let outcome = match config {
        Some(config) => take(daemon, options, config),
        None => refuse(&report.human(false)),
    };
    let main = std::os::unix::process::parent_id();
    daemon.notify.ready(main, &daemon.summary());
    outcome
}

/// Takes a file without errors over, unless root would run a script of it that others can change.
fn take(daemon: &mut Daemon, options: &Options, config: model::Config) -> String {
    let findings = safety::findings(&config);
    if !findings.is_empty() {
        let lines: Vec<String> = findings.into_iter().map(|f| f.message).collect();
        return refuse(&lines.join("\n"));
    }
    for finding in safety::absences(&config) {
        warn!("{}", finding.message);
    }
    for line in after_restart(&daemon.config, &config) {
        warn!("{line}");
    }
    apply(daemon, config);
    info!("reloaded {}", options.file.display());
    "reloaded".to_owned()
}

fn refuse(why: &str) -> String {
    error!("the file is refused, the running instances go on:\n{why}");
    format!("refused\n{why}")
}

/// One sentence per setting that changed and that a running daemon cannot change.
fn after_restart(old: &model::Config, new: &model::Config) -> Vec<String> {
    let (from, to) = (&old.global, &new.global);
    let changed = [
        ("net_namespace", old.net_namespace != new.net_namespace),
        ("status_page", from.status_page != to.status_page),
        ("vrrp_priority", from.nice != to.nice),
        ("vrrp_rt_priority", from.rt_priority != to.rt_priority),
    ];
    let told = changed.into_iter().filter(|(_, changed)| *changed);
    told.map(|(name, _)| format!("{name} changed: it has an effect after a restart only"))
        .collect()
}

/// Whether an instance can go on as this one.
fn same(running: &model::Instance, new: &model::Instance) -> bool {
    running.vrid == new.vrid
        && running.family == new.family
        && running.interface == new.interface
        && running.version == new.version
        && running.vmac.is_some() == new.vmac.is_some()
        && (new.vmac.is_none() || vmac::name(running) == vmac::name(new))
        && running.peers.is_empty() == new.peers.is_empty()
        && running.group == new.group
}

fn apply(daemon: &mut Daemon, config: model::Config) {
    let now = daemon.clock.now();
    daemon.config = config;
    let config = daemon.config.clone();
    let mut old = std::mem::take(&mut daemon.instances);
    for conf in config.instances.clone() {
        let running = old
            .iter()
            .position(|i| !i.departing && same(&i.conf, &conf));
        match running {
            Some(at) => {
                let mut instance = old.remove(at);
                instance.reconfigure(now, conf, &config, &mut daemon.net);
                daemon.instances.push(instance);
            }
            None => daemon.instances.push(Instance::new(conf, &config, now)),
        }
    }
    for mut instance in old {
        instance.departing = true;
        daemon.instances.push(instance);
    }
    daemon.drop_displaced();
    daemon.settle();
    match (&mut daemon.pair, config.global.pair_channel.enabled) {
        (Some(pair), true) if pair.port() == config.global.pair_channel.port => {
            pair.configure(&config);
        }
        (pair @ Some(_), false) => *pair = None,
        // the old sockets go first: one of them may be in the way
        (pair @ Some(_), true) => {
            *pair = None;
            *pair = Pair::new(&config);
        }
        (pair @ None, _) => *pair = Pair::new(&config),
    }
    daemon.settle();
    daemon.tell_watchers();
    daemon.reassess("reload");
    daemon.bid_farewell();
    if daemon.config.global.states_on_reload {
        daemon.tell_states();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> model::Config {
        let (config, report) = conf::vip::load_str("x", text, &conf::vip::Options::default());
        config.unwrap_or_else(|| panic!("{}", report.human(false)))
    }

    #[test]
    fn what_only_a_restart_changes_is_told() {
        let plain = read("global_defs {\n router_id a\n}\n");
        let other = read(
            "net_namespace blue\nglobal_defs {\n router_id b\n status_page off\n vrrp_priority -5\n vrrp_rt_priority 9\n}\n",
        );
        let told = after_restart(&plain, &other);
        let names = [
            "net_namespace",
            "status_page",
            "vrrp_priority",
            "vrrp_rt_priority",
        ];
        assert_eq!(told.len(), names.len());
        for (line, name) in told.iter().zip(names) {
            assert!(line.starts_with(name), "{line}");
        }
        assert!(after_restart(&other, &other).is_empty());
    }
}
