//! Lines that tell the state of everything: on SIGHUP and when stopping.

use crate::access_log::AccessLog;
use crate::console;
use crate::core::server::Operation;
use crate::state::{Proxy, Runtime};
use conf::lb::Level;
use std::sync::atomic::Ordering::Relaxed;

/// SIGHUP: the state of every server and proxy.
pub fn states(runtime: &Runtime, log: &AccessLog) {
    for proxy in &runtime.generation().proxies {
        let name = proxy.name();
        log.proxy(
            proxy,
            Level::Notice,
            &format!("SIGHUP received, dumping servers states for proxy {name}."),
        );
        for server in &proxy.servers {
            let up = server.status().operation != Operation::Stopped;
            let text = format!(
                "SIGHUP: Server {name}/{} is {}. Conn: {} act, {} pend, {} tot.",
                server.name(),
                if up { "UP" } else { "DOWN" },
                server.sessions.get(),
                server.queue.len(),
                server.counters.totals().sessions,
            );
            say(log, proxy, Level::Notice, &text);
        }
        say(log, proxy, Level::Notice, &summary(proxy));
    }
}

fn summary(proxy: &Proxy) -> String {
    let (active, backups) = proxy.back.as_ref().map_or((0, 0), |back| {
        (back.active.load(Relaxed), back.backups.load(Relaxed))
    });
    let what = match (proxy.servers.is_empty(), active + backups) {
        (true, _) => "has no servers".to_owned(),
        (false, 0) => "has no server available !".to_owned(),
        (false, _) => {
            let on_backup = if active == 0 {
                "is running on backup servers !"
            } else {
                ""
            };
            match on_backup {
                "" => format!("has {active} active servers and {backups} backup servers available"),
                words => words.to_owned(),
            }
        }
    };
    let stop = if what.ends_with('!') { "" } else { "." };
    let front = proxy.front.as_ref().map_or((0, 0), |front| {
        (front.connections.get(), front.counters.totals().connections)
    });
    let back = proxy.back.as_ref().map_or((0, 0), |back| {
        (back.sessions.get(), back.counters.totals().sessions)
    });
    let unassigned = proxy.back.as_ref().map_or(0, |back| back.queue.len());
    format!(
        "SIGHUP: Proxy {} {what}{stop} Conn: act(FE+BE): {}+{}, {} pend ({unassigned} unass), tot(FE+BE): {}+{}.",
        proxy.name(),
        front.0,
        back.0,
        proxy.waiting(),
        front.1,
        back.1,
    )
}

/// A soft stop: a line for each proxy.
pub fn stopped(runtime: &Runtime, log: &AccessLog) {
    for proxy in &runtime.generation().proxies {
        say(log, proxy, Level::Warning, &stopped_line(proxy));
    }
}

/// That a proxy accepts nothing any more, and what it had.
pub fn stopped_line(proxy: &Proxy) -> String {
    let front = proxy
        .front
        .as_ref()
        .map_or(0, |front| front.counters.totals().connections);
    let back = proxy
        .back
        .as_ref()
        .map_or(0, |back| back.counters.totals().sessions);
    format!(
        "Proxy {} stopped (cumulated conns: FE: {front}, BE: {back}).",
        proxy.name()
    )
}

/// `hard-stop-after` is over: a line for each proxy that still has connections.
pub fn hard_stopped(runtime: &Runtime, log: &AccessLog) {
    for proxy in &runtime.generation().proxies {
        let left = match (&proxy.front, &proxy.back) {
            (Some(front), _) => front.connections.get(),
            (None, Some(back)) => back.sessions.get(),
            (None, None) => 0,
        };
        if left > 0 {
            let text = format!(
                "Proxy {} hard-stopped ({left} remaining conns will be closed).",
                proxy.name()
            );
            say(log, proxy, Level::Warning, &text);
        }
    }
}

fn say(log: &AccessLog, proxy: &Proxy, level: Level, text: &str) {
    log.proxy(proxy, level, text);
    console::warning(text);
}
