//! SIGHUP: the new file is read; what stays keeps its state, timers and
//! sockets. A broken file is refused and nothing changes.

use crate::daemon::Daemon;
use crate::instance::Instance;
use crate::options::Options;
use crate::pair::Pair;
use crate::vmac;
use conf::vip::model;
use tracing::{error, info};

/// Reads the file again and takes it over; gives one line about the outcome.
pub fn reload(daemon: &mut Daemon, options: &Options) -> String {
    daemon.notify.reloading();
    let (config, report) = conf::vip::load(&options.file, &options.reading());
    let outcome = match config {
        Some(config) => {
            apply(daemon, config);
            info!("reloaded {}", options.file.display());
            "reloaded".to_owned()
        }
        None => {
            error!(
                "the file is refused, the running instances go on:\n{}",
                report.human(false)
            );
            format!("refused\n{}", report.human(false))
        }
    };
    let main = std::os::unix::process::parent_id();
    daemon.notify.ready(main, &daemon.summary());
    outcome
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
        (Some(pair), true) => pair.configure(&config),
        (pair @ Some(_), false) => *pair = None,
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
