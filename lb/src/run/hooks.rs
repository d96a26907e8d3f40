//! What the parts of a running process are to each other: the data path tells logs, checks
//! and events; the runtime CLI gets what only this process can do.

use crate::access_log::{AccessLog, change};
use crate::admin::{Amendment, Control};
use crate::console;
use crate::core::server::Change;
use crate::data_path::DataPath;
use crate::probe::{self, Prober};
use crate::rebalance::Rebalancer;
use crate::reload::Reloader;
use crate::state::{Proxy, StateChange};
use conf::lb::Level;
use std::sync::{Arc, OnceLock};

/// Connects the data path with logs, checks and events.
pub(super) fn hook(
    data: &Arc<DataPath>,
    log: &Arc<AccessLog>,
    control: &Arc<Control>,
    prober: &Arc<Prober>,
) {
    log.look_at(data.runtime().clone());
    let hooks = &data.runtime().hooks;
    let sessions = log.clone();
    set(
        &hooks.log,
        Box::new(move |record: &_| sessions.session(record)),
    );
    let names = log.clone();
    set(
        &hooks.unique_id,
        Box::new(move |record: &_| names.unique_id(record)),
    );
    let (states, events) = (log.clone(), control.clone());
    set(
        &hooks.on_change,
        Box::new(move |change: &StateChange| on_change(&states, &events, change)),
    );
    let (runtime, checks) = (data.runtime().clone(), prober.clone());
    set(
        &hooks.observed,
        Box::new(move |server: &_, failed| probe::observed(&runtime, &checks, server, failed)),
    );
    let (warnings, events) = (log.clone(), control.clone());
    set(
        &hooks.warn,
        Box::new(move |text: &str| {
            console::warning(text);
            warnings.process(Level::Warning, text);
            events.events.add("process", text);
        }),
    );
}

/// Moves sessions between servers where the file asks for it.
pub(super) fn rebalancer(
    data: &Arc<DataPath>,
    log: &Arc<AccessLog>,
    control: &Arc<Control>,
) -> Arc<Rebalancer> {
    let (log, events) = (log.clone(), control.clone());
    let tell = Box::new(move |proxy: &Proxy, text: &str| {
        let text = format!("Backend {}: {text}.", proxy.name());
        log.proxy(proxy, Level::Notice, &text);
        console::notice(&text);
        events.events.add(proxy.name(), &text);
    });
    let rebalancer = Rebalancer::new(data.runtime().clone(), tell);
    set(&control.rebalancer, rebalancer.clone());
    rebalancer
}

/// Fills a hook.
pub(super) fn set<T>(hook: &OnceLock<T>, call: T) {
    let fresh = hook.set(call).is_ok();
    debug_assert!(fresh, "each hook is set once, here");
}

fn on_change(log: &AccessLog, control: &Control, change: &StateChange) {
    if let Some((level, text)) = change::words(change) {
        log.proxy(&change.backend, level, &text);
        console::warning(&text);
        let subject = format!("{}/{}", change.backend.name(), change.server.name());
        control.events.add(&subject, &text);
    }
    if let Some(text) = change::still_draining(change) {
        log.proxy(&change.backend, Level::Notice, &text);
    }
    if let Some((text, shown)) =
        change::backend_down(change).filter(|_| change.change != Change::Tick)
    {
        log.proxy(&change.backend, Level::Emerg, &text);
        console::alert(&shown);
        control.events.add(change.backend.name(), &text);
    }
}

/// Gives the runtime CLI what only this process can do.
pub(super) fn offer(control: &Arc<Control>, data: &Arc<DataPath>, reloader: &Arc<Reloader>) {
    let calls = &control.calls;
    let reload = reloader.clone();
    set(&calls.reload, Box::new(move || reload.reload()));
    let amender = reloader.clone();
    set(
        &calls.amend,
        Box::new(move |amendment: &mut Amendment<'_>| amender.amend(amendment)),
    );
    let data = data.clone();
    set(
        &calls.stop_frontend,
        Box::new(move |proxy: &Arc<Proxy>| data.stop_frontend(proxy.name())),
    );
    let texts = reloader.clone();
    set(
        &calls.running_texts,
        Box::new(move || texts.running_texts()),
    );
    let files = reloader.clone();
    set(&calls.files, Box::new(move || files.files()));
}
