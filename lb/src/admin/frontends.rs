//! Commands that pause, resume and close frontends; signals do the first two to all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use conf::lb::model::AdminLevel;

use super::Control;
use super::command::{Answer, Call, Command};
use crate::dump;
use crate::state::{FrontLive, Proxy};

/// The commands of this file.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["disable", "frontend"],
        "<frontend>",
        AdminLevel::Admin,
        "refuse connections to a frontend until it is enabled",
        |call| with_frontend(call, disable),
    ),
    Command::new(
        &["enable", "frontend"],
        "<frontend>",
        AdminLevel::Admin,
        "accept on a disabled frontend again",
        |call| with_frontend(call, enable),
    ),
    Command::new(
        &["shutdown", "frontend"],
        "<frontend>",
        AdminLevel::Admin,
        "close a frontend's listeners for good",
        |call| with_frontend(call, shutdown),
    ),
];

/// The frontend that the first argument names.
pub fn frontend(call: &Call<'_>) -> Result<Arc<Proxy>, Answer> {
    match call.argument(0) {
        "" => Err(Answer::error("A frontend name is expected.")),
        name => {
            let generation = call.control.runtime.generation();
            let by_id = name.strip_prefix('#').and_then(|_| generation.proxy(name));
            by_id
                .or_else(|| generation.frontend(name))
                .filter(|proxy| proxy.front.is_some())
                .cloned()
                .ok_or_else(|| Answer::error("No such frontend."))
        }
    }
}

fn with_frontend(
    call: &mut Call<'_>,
    then: fn(&Control, &Arc<Proxy>, &FrontLive) -> Result<(), &'static str>,
) -> Answer {
    let proxy = match frontend(call) {
        Ok(proxy) => proxy,
        Err(refused) => return refused,
    };
    match &proxy.front {
        None => Answer::error("No such frontend."),
        Some(front) => match then(call.control, &proxy, front) {
            Ok(()) => Answer::Done,
            Err(text) => Answer::error(text),
        },
    }
}

fn disable(control: &Control, proxy: &Arc<Proxy>, front: &FrontLive) -> Result<(), &'static str> {
    if front.stopped.load(Relaxed) {
        return Err("Frontend was previously shut down, cannot disable.");
    }
    match pause(control, proxy, front) {
        true => Ok(()),
        false => Err("All sockets are already disabled."),
    }
}

fn enable(control: &Control, proxy: &Arc<Proxy>, front: &FrontLive) -> Result<(), &'static str> {
    if front.stopped.load(Relaxed) {
        return Err("Frontend was previously shut down, cannot enable.");
    }
    match resume(control, proxy, front) {
        true => Ok(()),
        false => Err("All sockets are already enabled."),
    }
}

fn shutdown(control: &Control, proxy: &Arc<Proxy>, front: &FrontLive) -> Result<(), &'static str> {
    if front.stopped.load(Relaxed) {
        return Err("Frontend was already shut down.");
    }
    control.shutdown_frontend(proxy);
    control.runtime.warn(&dump::stopped_line(proxy));
    Ok(())
}

/// Its addresses refuse connections; `false`: they do already.
fn pause(control: &Control, proxy: &Arc<Proxy>, front: &FrontLive) -> bool {
    if front.paused.swap(true, Relaxed) {
        return false;
    }
    let listeners = control.listeners();
    for listener in listeners.iter().filter(|l| l.proxy.name() == proxy.name()) {
        listener.bound.pause();
    }
    control
        .runtime
        .warn(&format!("Paused {} {}.", proxy.word(), proxy.name()));
    true
}

fn resume(control: &Control, proxy: &Arc<Proxy>, front: &FrontLive) -> bool {
    if !front.paused.swap(false, Relaxed) {
        return false;
    }
    let listeners = control.listeners();
    for listener in listeners.iter().filter(|l| l.proxy.name() == proxy.name()) {
        if let Err(error) = listener.bound.resume() {
            let name = listener.bound.name();
            control
                .runtime
                .warn(&format!("cannot listen on {name} again: {error}"));
        }
    }
    control.resume_accept();
    control
        .runtime
        .warn(&format!("Resumed {} {}.", proxy.word(), proxy.name()));
    true
}

/// SIGTTOU: all frontends pause, so that another process can have their addresses.
pub fn pause_all(control: &Control) {
    for_all(control, pause);
}

/// SIGTTIN: all frontends accept again.
pub fn resume_all(control: &Control) {
    for_all(control, resume);
}

fn for_all(control: &Control, change: fn(&Control, &Arc<Proxy>, &FrontLive) -> bool) {
    for proxy in &control.runtime.generation().proxies {
        if let Some(front) = proxy.front.as_ref().filter(|f| !f.stopped.load(Relaxed)) {
            change(control, proxy, front);
        }
    }
}
