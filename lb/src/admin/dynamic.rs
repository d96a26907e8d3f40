//! `add server`, `del server`, `wait`: servers that come and go at run time.
//!
//! A server added here is like one of the file, in maintenance (unless it is `enabled`) and with
//! its checks switched off, until a reload: the file does not have it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use conf::lb::model::{AdminLevel, Back, Balance, Config, HashType, Server as Settings};
use tokio::time::{Instant, sleep};

use super::command::{Answer, Call, Command, Severity};
use super::limits::delay;
use super::servers::find;
use super::{Control, targets};
use crate::state::{Endpoint, Proxy, Server};

/// The commands of this file.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["add", "server"],
        "<bk>/<srv> <address> [<options>]",
        AdminLevel::Admin,
        "add a server, in maintenance and unchecked, until the next reload",
        add,
    ),
    Command::new(
        &["del", "server"],
        "<bk>/<srv>",
        AdminLevel::Admin,
        "remove a server that is in maintenance and has no sessions",
        del,
    ),
    Command::new(
        &["wait"],
        "<delay> [srv-removable <bk>/<srv>]",
        AdminLevel::User,
        "wait, at most until a server can be removed",
        wait,
    ),
];

/// How often a condition of `wait` is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Longest wait.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Servers of a backend, more than which none is added.
const SERVERS: usize = 4095;

fn add(call: &mut Call<'_>) -> Answer {
    let Some((backend, name)) = call.argument(0).split_once('/') else {
        return Answer::error("Require 'backend/server'.");
    };
    let generation = call.control.runtime.generation();
    let Some(proxy) = generation.backend(backend) else {
        return Answer::error("No such backend.");
    };
    let Some(back) = &proxy.conf.back else {
        return Answer::error("No such backend.");
    };
    if is_static(&back.balance, &back.hash) {
        return Answer::error(
            "Backend must use a dynamic load balancing to support dynamic servers.",
        );
    }
    if proxy.server(name).is_some() || name.is_empty() {
        return Answer::error("Already exists a server with the same name in backend.");
    }
    let mut words = vec![name.to_owned()];
    words.extend_from_slice(&call.arguments[1..]);
    let mut server = match conf::lb::dynamic::server(&words, &back.check.kind) {
        Ok(server) => server,
        Err(text) => return Answer::error(text),
    };
    if let Err(text) = fit(&mut server, proxy, call.control) {
        return Answer::error(text);
    }
    let (backend, name) = (backend.to_owned(), name.to_owned());
    let result = call.control.amend(&mut |config| {
        change_back(config, &backend, |back| {
            back.servers.push(Arc::new(server.clone()));
        })
    });
    if let Err(text) = result {
        return Answer::error(text);
    }
    let full = format!("{backend}/{name}");
    if let Ok((_, server)) = find(call.control, &full) {
        rest(&server);
        let quoted: Vec<String> = words.iter().map(|w| conf::lb::dynamic::quote(w)).collect();
        call.control.server_added(&full, quoted.join(" "));
        if *server.endpoint() == Endpoint::Unresolved {
            return looked_up(call.control.clone(), backend, server);
        }
    }
    say(call.control, &backend, &name, "New server registered.")
}

/// A server that was added by a name gets the name's address.
fn looked_up(control: Arc<Control>, backend: String, server: Arc<Server>) -> Answer {
    Answer::Later(Box::pin(async move {
        let name = server.fqdn().unwrap_or_default();
        let text = match targets::look_up(&control, &server, &name).await {
            true => "New server registered.".to_owned(),
            false => format!(
                "New server registered, but '{name}' has no address: it rests until 'set server \
                 {backend}/{} addr' or 'fqdn' gives it one.",
                server.name()
            ),
        };
        say(&control, &backend, server.name(), &text)
    }))
}

/// Checks of a new server rest until `enable health` and `enable agent`.
fn rest(server: &Server) {
    let lock = |health: &std::sync::Mutex<crate::core::health::Health>| {
        health.lock().unwrap_or_else(|e| e.into_inner()).enabled = false;
    };
    lock(&server.health);
    lock(&server.agent);
}

/// Algorithms whose table is made once, in HAProxy.
fn is_static(balance: &Balance, hash: &HashType) -> bool {
    match balance {
        Balance::StaticRr => true,
        Balance::RoundRobin | Balance::LeastConn | Balance::First | Balance::Random(_) => false,
        Balance::Source
        | Balance::Hash(_)
        | Balance::Uri(_)
        | Balance::UrlParam(_)
        | Balance::Header(..)
        | Balance::RdpCookie(_) => !hash.consistent,
    }
}

/// Gives the server a number and looks up the server that it tracks.
fn fit(server: &mut Settings, proxy: &Proxy, control: &Control) -> Result<(), String> {
    if proxy.servers.len() >= SERVERS {
        return Err(format!("a backend has at most {SERVERS} servers"));
    }
    let taken = |id: u32| proxy.servers.iter().find(|other| other.conf.id == id);
    if server.id_forced {
        if let Some(other) = taken(server.id) {
            return Err(format!(
                "'id' : custom id {} already used by server '{}'.",
                server.id,
                other.name()
            ));
        }
    } else {
        server.id = (1..).find(|id| taken(*id).is_none()).unwrap_or(u32::MAX);
    }
    if let Some(track) = &mut server.track {
        if track.backend.is_empty() {
            proxy.name().clone_into(&mut track.backend);
        }
        let name = format!("{}/{}", track.backend, track.server);
        let tracked = find(control, &name);
        let checked = tracked.is_ok_and(|(_, tracked)| tracked.conf.check.enabled);
        if !checked {
            return Err(format!(
                "'track' : server '{name}' is unknown or has no checks"
            ));
        }
    }
    Ok(())
}

fn change_back(
    config: &mut Config,
    name: &str,
    change: impl FnOnce(&mut Back),
) -> Result<(), String> {
    let proxies = &mut config.proxies;
    let found = proxies
        .iter_mut()
        .find(|proxy| proxy.name == name && proxy.back.is_some());
    let back = found.and_then(|proxy| Arc::make_mut(proxy).back.as_mut());
    change(back.ok_or("No such backend.")?);
    Ok(())
}

fn say(control: &Control, backend: &str, server: &str, text: &str) -> Answer {
    control.events.add(
        &format!("{backend}/{server}"),
        &format!("{backend}/{server}: {text}"),
    );
    Answer::Say(Severity::Info, text.to_owned())
}

fn del(call: &mut Call<'_>) -> Answer {
    let (proxy, server) = match find(call.control, call.argument(0)) {
        Ok(found) => found,
        Err(text) => return Answer::error(text),
    };
    if is_referred_to(call.control, &proxy, &server) {
        return Answer::error(
            "This server cannot be removed at runtime due to other configuration elements \
             pointing to it.",
        );
    }
    if let Err(text) = removable(&server) {
        return Answer::error(text);
    }
    let (backend, name) = (proxy.name().to_owned(), server.name().to_owned());
    let result = call.control.amend(&mut |config| {
        change_back(config, &backend, |back| {
            back.servers.retain(|server| server.name != name);
        })
    });
    match result {
        Ok(()) => {
            call.control.server_deleted(&format!("{backend}/{name}"));
            say(call.control, &backend, &name, "Server deleted.")
        }
        Err(text) => Answer::error(text),
    }
}

/// Rules and other servers name it.
fn is_referred_to(control: &Control, proxy: &Proxy, server: &Server) -> bool {
    let rules = proxy.conf.back.iter().flat_map(|back| &back.use_server);
    let by_rule = rules.into_iter().any(|rule| match &rule.server {
        conf::lb::model::BackendName::Fixed(name) => name == server.name(),
        conf::lb::model::BackendName::Format(_) => false,
    });
    let generation = control.runtime.generation();
    let tracks = |other: &Server| {
        let track = other.conf.track.as_ref();
        track.is_some_and(|t| t.backend == proxy.name() && t.server == server.name())
    };
    let tracked = generation.servers().any(|(_, other)| tracks(other));
    by_rule || tracked
}

/// Whether nothing holds a server any more.
fn removable(server: &Server) -> Result<(), &'static str> {
    if !server.status().admin.in_maintenance() {
        return Err("Only servers in maintenance mode can be deleted.");
    }
    let busy = server.sessions.get() > 0 || server.served.load(Relaxed) > 0;
    if busy || !server.queue.is_empty() {
        return Err("Server still has connections attached to it, cannot remove it.");
    }
    Ok(())
}

const USAGE: &str = "Usage: wait <delay> [srv-removable <backend>/<server>]\n\
    Waits for the delay (milliseconds unless it has a unit), or until the server is in \
    maintenance and has no sessions.";

fn wait(call: &mut Call<'_>) -> Answer {
    let word = call.argument(0);
    let time = match word.bytes().all(|b| b.is_ascii_digit()) {
        true => word.parse().ok().map(Duration::from_millis),
        false => delay(word),
    };
    let Some(time) = time else {
        return Answer::error(USAGE);
    };
    let until = Instant::now() + time.min(LONGEST);
    match call.argument(1) {
        "" => Answer::Later(Box::pin(async move {
            sleep(until - Instant::now()).await;
            Answer::Say(Severity::Info, "Done.".to_owned())
        })),
        "srv-removable" => {
            let name = call.argument(2).to_owned();
            let control = call.control.clone();
            Answer::Later(Box::pin(async move {
                until_removable(&control, &name, until).await
            }))
        }
        _ => Answer::error(USAGE),
    }
}

async fn until_removable(control: &Control, name: &str, until: Instant) -> Answer {
    loop {
        let (proxy, server) = match find(control, name) {
            Ok(found) => found,
            Err(text) => return Answer::error(text),
        };
        if is_referred_to(control, &proxy, &server) {
            return Answer::error(
                "This server cannot be removed at runtime due to other configuration elements \
                 pointing to it.",
            );
        }
        if removable(&server).is_ok() {
            return Answer::Say(Severity::Info, "Done.".to_owned());
        }
        if Instant::now() >= until {
            return Answer::error("Wait delay expired.");
        }
        sleep(LOOK).await;
    }
}
