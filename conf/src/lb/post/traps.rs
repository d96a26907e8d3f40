//! Classic traps: notes, which never count as warnings.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::model::{
    Back, Balance, Bind, BindAddress, Host, LogAddress, Mode, ServerAddress, ServerPort,
};

/// Ports of AMQP, without and with TLS.
const AMQP_PORTS: [u16; 2] = [5672, 5671];

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        if let Some(back) = draft.proxy.back.as_ref().filter(|_| draft.has_back()) {
            redispatch(draft, back, found);
            slowstart(draft, back, found);
            by_key(draft, back, found);
        }
        heartbeats(draft, found);
        inspection(draft, found);
    }
    chrooted_log(whole, found);
    same_address(whole, found);
}

fn redispatch(draft: &Draft, back: &Back, found: &mut Vec<Diagnostic>) {
    let several = back.servers.len() > 1;
    if !several || back.retries == 0 || back.redispatch != 0 || draft.proxy.mode != Mode::Tcp {
        return;
    }
    let place = draft.marks.retries.unwrap_or(draft.proxy.place.0);
    found.push(
        Diagnostic::note(
            "E1106",
            place,
            format!(
                "`{}` retries a failed connection on the same server only",
                draft.proxy.name
            ),
        )
        .label(format!("{} tries, one second apart, on one server", back.retries))
        .help("`option redispatch` sends the last try to another server: until a dead one is noticed, clients that meet it wait and fail"),
    );
}

fn slowstart(draft: &Draft, back: &Back, found: &mut Vec<Diagnostic>) {
    let checked = back.servers.iter().filter(|s| s.check.enabled).count();
    let slow = back.servers.iter().any(|s| s.slowstart.is_some());
    if back.balance != Balance::LeastConn || checked < 2 || slow {
        return;
    }
    let place = draft.marks.balance.unwrap_or(draft.proxy.place.0);
    found.push(
        Diagnostic::note(
            "E1109",
            place,
            format!(
                "a server of `{}` that comes back gets every new session",
                draft.proxy.name
            ),
        )
        .label("`leastconn` without `slowstart`")
        .help("`default-server slowstart 60s` brings it in gently"),
    );
}

fn by_key(draft: &Draft, back: &Back, found: &mut Vec<Diagnostic>) {
    let by_key = matches!(
        back.balance,
        Balance::Source | Balance::Hash(_) | Balance::RdpCookie(_)
    );
    let Some(place) = draft.marks.rebalance.filter(|_| by_key) else {
        return;
    };
    if back.rebalance.is_none() || draft.proxy.mode != Mode::Tcp {
        return;
    }
    let note = Diagnostic::note(
        "E1112",
        place,
        "clients come back to the server that their key names",
    )
    .label("ends sessions that mostly come back to where they were")
    .help("`balance leastconn` sends them where there is room");
    found.push(match draft.marks.balance {
        Some(balance) => note.also(balance, "the choice by key"),
        None => note,
    });
}

fn is_amqp(draft: &Draft) -> bool {
    let binds = draft.proxy.front.iter().flat_map(|front| &front.binds);
    let listens = binds.clone().any(|bind| match bind.address {
        BindAddress::Tcp { first, last, .. } => {
            AMQP_PORTS.iter().any(|port| (first..=last).contains(port))
        }
        _ => false,
    });
    let servers = draft.proxy.back.iter().flat_map(|back| &back.servers);
    let sends = servers.clone().any(|server| match server.address {
        ServerAddress::Tcp {
            port: ServerPort::Fixed(port),
            ..
        } => AMQP_PORTS.contains(&port),
        _ => false,
    });
    listens || (sends && draft.has_front())
}

fn heartbeats(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let Some(front) = draft.proxy.front.as_ref().filter(|_| draft.has_front()) else {
        return;
    };
    let tunnel = draft.proxy.back.as_ref().and_then(|b| b.timeouts.tunnel);
    let Some(client) = front
        .timeouts
        .client
        .filter(|_| is_amqp(draft) && tunnel.is_none())
    else {
        return;
    };
    if draft.proxy.mode != Mode::Tcp {
        return;
    }
    let place = draft.marks.timeout_client.unwrap_or(draft.proxy.place.0);
    let time = if client.subsec_millis() == 0 {
        format!("{} s", client.as_secs())
    } else {
        format!("{} ms", client.as_millis())
    };
    found.push(
        Diagnostic::note(
            "E1107",
            place,
            format!(
                "clients of `{}` that are silent for {time} are cut off",
                draft.proxy.name
            ),
        )
        .label("an AMQP consumer without heartbeats is silent while its queue is empty")
        .help("let clients ask for heartbeats below half of this time, or raise it together with `option clitcpka`"),
    );
}

fn inspection(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let Some(span) = draft.marks.needs_inspection else {
        return;
    };
    let of = |delay: Option<std::time::Duration>| delay.is_some();
    let front = draft
        .proxy
        .front
        .as_ref()
        .is_some_and(|f| of(f.inspect_delay));
    let back = draft
        .proxy
        .back
        .as_ref()
        .is_some_and(|b| of(b.inspect_delay));
    if front || back || draft.proxy.mode != Mode::Tcp {
        return;
    }
    found.push(
        Diagnostic::note(
            "E1110",
            span,
            "this looks at bytes that have not arrived yet, and matches nothing",
        )
        .label("no `tcp-request inspect-delay` in this section")
        .help("add `tcp-request inspect-delay 5s` and a `tcp-request content` rule that ends the wait"),
    );
}

fn chrooted_log(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    let Some((directory, place)) = &whole.global.global.process.chroot else {
        return;
    };
    for log in &whole.global.global.logs {
        if let LogAddress::Unix(path) = &log.address {
            found.push(
                Diagnostic::note(
                    "E1108",
                    log.place.0,
                    format!(
                        "`{}` cannot be reached from inside the chroot",
                        path.display()
                    ),
                )
                .label("a socket outside")
                .also(place.0, "the root becomes this directory")
                .help(format!(
                    "let the log daemon listen on {}{}, or log to 127.0.0.1",
                    directory.display(),
                    path.display()
                )),
            );
        }
    }
}

/// Two lines that listen on one address share its connections at random.
fn same_address(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    let mut seen: Vec<&Bind> = Vec::new();
    for draft in whole.running().filter(|d| d.has_front()) {
        for bind in draft.proxy.front.iter().flat_map(|front| &front.binds) {
            if let Some(first) = seen.iter().find(|other| overlap(other, bind)) {
                found.push(
                    Diagnostic::note("E1111", bind.place.0, "this address is listened on twice")
                        .label("connections are shared at random")
                        .also(first.place.0, "also here"),
                );
            }
            seen.push(bind);
        }
    }
}

fn overlap(a: &Bind, b: &Bind) -> bool {
    if a.interface != b.interface || a.namespace != b.namespace {
        return false;
    }
    match (&a.address, &b.address) {
        (
            BindAddress::Tcp { host, first, last },
            BindAddress::Tcp {
                host: other,
                first: from,
                last: to,
            },
        ) => same_host(host, other) && first <= to && from <= last,
        (BindAddress::Unix(path), BindAddress::Unix(other)) => path == other,
        (BindAddress::Abstract(name), BindAddress::Abstract(other)) => name == other,
        (BindAddress::Fd(fd), BindAddress::Fd(other)) => fd == other,
        _ => false,
    }
}

fn same_host(a: &Host, b: &Host) -> bool {
    match (a, b) {
        (Host::Ip(a), Host::Ip(b)) => {
            a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
        }
        _ => a == b,
    }
}
