//! What a proxy is, and its limits.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, wrong};
use crate::lb::call::Call;
use crate::lb::draft::{Draft, Referred};
use crate::lb::model::{Mode, StateSource};
use crate::lb::value::{self, Unit};
use std::path::PathBuf;
use std::time::Duration;

type Applied = Result<(), Diagnostic>;

fn mode(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if let Some(word) = a.peek().filter(|w| w.text == "health") {
        return Err(Diagnostic::error(
            "E0005",
            word.span,
            "`mode health` is gone from the language",
        )
        .help("answer probes with `monitor-uri` in `mode http`"));
    }
    let span = a.peek().map_or(a.head(), |w| w.span);
    d.proxy.mode = a.choose("a mode", &[("tcp", Mode::Tcp), ("http", Mode::Http)])?;
    d.marks.mode = Some(span);
    a.finish()
}

/// What `retry-on` names.
#[derive(Clone, Copy, PartialEq)]
enum RetryOn {
    Never,
    Connect,
    Answer,
    All,
}

const RETRY_ON: &[(&str, RetryOn)] = &[
    ("none", RetryOn::Never),
    ("conn-failure", RetryOn::Connect),
    ("empty-response", RetryOn::Answer),
    ("junk-response", RetryOn::Answer),
    ("response-timeout", RetryOn::Answer),
    ("0rtt-rejected", RetryOn::Answer),
    ("all-retryable-errors", RetryOn::All),
    ("401", RetryOn::Answer),
    ("403", RetryOn::Answer),
    ("404", RetryOn::Answer),
    ("408", RetryOn::Answer),
    ("425", RetryOn::Answer),
    ("500", RetryOn::Answer),
    ("501", RetryOn::Answer),
    ("502", RetryOn::Answer),
    ("503", RetryOn::Answer),
    ("504", RetryOn::Answer),
];

fn retry_on(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    d.marks.retry_on_answer = None;
    let mut events = Vec::new();
    while events.is_empty() || a.peek().is_some() {
        let span = a.peek().map_or(a.head(), |word| word.span);
        let event = a.choose("an event", RETRY_ON)?;
        events.push(event);
        if events.len() > 1 && events.contains(&RetryOn::Never) {
            let text = "`none` stands alone in `retry-on`";
            return Err(Diagnostic::error("E0005", span, text));
        }
        if matches!(event, RetryOn::Answer | RetryOn::All) {
            d.marks.retry_on_answer.get_or_insert(span);
        }
    }
    let connects = |event: &RetryOn| matches!(event, RetryOn::Connect | RetryOn::All);
    d.marks.never_retries = !events.iter().any(connects);
    Ok(())
}

fn id(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if d.kind.is_none() {
        return Err(not_in_defaults(a));
    }
    let id = value::take_number(a, "a proxy's id", 1, i64::from(i32::MAX))? as u32;
    a.finish()?;
    if d.proxy.id_forced {
        let text = format!("`{}` has an id already", d.proxy.name);
        return Err(Diagnostic::error("E1012", a.head(), text).label("a second one"));
    }
    d.proxy.id = id;
    d.proxy.id_forced = true;
    Ok(())
}

/// As if there were one process.
fn bind_process(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let set =
        |text: &str| matches!(text, "all" | "odd" | "even" | "1" | "1-" | "1-1").then_some(());
    while a.peek().is_some() {
        a.parse("`1`, `all`, `odd` or `even`", set)?;
    }
    let text = "`bind-process` has no effect, is deprecated, and will be removed in version 2.7";
    d.diagnostics
        .push(Diagnostic::warning("E1104", a.head(), text).label("there is one process"));
    Ok(())
}

fn description(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if d.kind.is_none() {
        return Err(not_in_defaults(a));
    }
    a.peek()
        .map(|_| ())
        .map_or_else(|| a.expect("a text").map(|_| ()), Ok)?;
    let words: Vec<_> = a.rest().iter().map(|w| w.text.as_str()).collect();
    d.proxy.description = Some(words.join(" "));
    Ok(())
}

/// The error for a keyword that must not stand in `defaults`.
pub fn not_in_defaults(a: &Args<'_>) -> Diagnostic {
    let sections = match a.keyword() {
        "bind" | "use_backend" | "monitor fail" => "a frontend or listen section",
        "server" | "dispatch" | "use-server" => "a backend or listen section",
        _ => "a frontend, backend or listen section",
    };
    Diagnostic::error(
        "E1005",
        a.head(),
        format!("`{}` not allowed in a `defaults` section", a.keyword()),
    )
    .label(format!("belongs into {sections}"))
}

fn persist(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("a kind of persistence")?;
    let call = Call::of(word)?;
    if call.name != "rdp-cookie" {
        return Err(wrong(word, "a kind of persistence").label("there is `rdp-cookie`"));
    }
    a.finish()?;
    d.back().persist_rdp_cookie = Some(call.optional(0).unwrap_or("msts").to_owned());
    Ok(())
}

/// Takes a time of `*tcpka-*` keywords, whose bare numbers count seconds.
fn seconds(a: &mut Args<'_>) -> Result<Duration, Diagnostic> {
    let time = value::take_time(a, "a time", Unit::Seconds)?;
    a.finish()?;
    Ok(time)
}

/// Of both sides.
pub static BOTH: &[Keyword<Draft>] = &[
    Keyword {
        name: "mode",
        args: "{ tcp | http }",
        doc: "What flows: bytes, or HTTP/1.1 requests. Default `tcp`.",
        example: "mode tcp",
        apply: mode,
    },
    Keyword {
        name: "id",
        args: "<number>",
        doc: "The proxy's number in statistics; given in order from 2 when absent.",
        example: "id 100",
        apply: id,
    },
    Keyword {
        name: "bind-process",
        args: "[all | odd | even | 1]...",
        doc: "Has no effect: there is one process.",
        example: "bind-process all",
        apply: bind_process,
    },
    Keyword {
        name: "description",
        args: "<text>",
        doc: "A remark, shown on the statistics page with `stats show-desc`.",
        example: "description \"message cluster\"",
        apply: description,
    },
    Keyword {
        name: "disabled",
        args: "",
        doc: "The section is read and checked but not started.",
        example: "disabled",
        apply: |d, a| {
            d.proxy.disabled = true;
            a.finish()
        },
    },
    Keyword {
        name: "enabled",
        args: "",
        doc: "Undoes a `disabled` of `defaults`.",
        example: "enabled",
        apply: |d, a| {
            d.proxy.disabled = false;
            a.finish()
        },
    },
];

/// Of the side of the clients.
pub static FRONT: &[Keyword<Draft>] = &[
    Keyword {
        name: "maxconn",
        args: "<connections>",
        doc: "Most concurrent connections; further ones wait in the kernel's backlog. 0: the \
              process's limit.",
        example: "maxconn 2000",
        apply: |d, a| {
            let count = value::take_u32(a, "a number of connections")?;
            a.finish()?;
            d.once("maxconn", a.head());
            d.front().maxconn = (count > 0).then_some(count);
            Ok(())
        },
    },
    Keyword {
        name: "backlog",
        args: "<connections>",
        doc: "Size of the kernel's queue of connections not yet accepted; `maxconn` when absent.",
        example: "backlog 1024",
        apply: |d, a| {
            d.front().backlog = Some(value::take_u32(a, "a number of connections")?);
            a.finish()
        },
    },
    Keyword {
        name: "rate-limit sessions",
        args: "<rate>",
        doc: "Most new sessions a second; further ones wait in the kernel's backlog.",
        example: "rate-limit sessions 100",
        apply: |d, a| {
            let rate = value::take_u32(a, "a number of sessions a second")?;
            a.finish()?;
            d.once_or_warn("rate-limit sessions", a.head());
            d.front().rate_limit_sessions = (rate > 0).then_some(rate);
            Ok(())
        },
    },
    Keyword {
        name: "default_backend",
        args: "<backend>",
        doc: "Where sessions go that no `use_backend` rule took.",
        example: "default_backend amqp",
        apply: |d, a| {
            let word = a.expect("a backend's name")?;
            a.finish()?;
            d.once("default_backend", a.head());
            d.marks.default_backend = Some(word.span);
            d.front().default_backend = Some(word.text.clone());
            d.references.retain(|r| r.by != "default_backend");
            d.refer(Referred::Backend, "default_backend", &word.text, word.span);
            Ok(())
        },
    },
    Keyword {
        name: "clitcpka-cnt",
        args: "<count>",
        doc: "Unanswered keep-alives after which a client is dead.",
        example: "clitcpka-cnt 3",
        apply: |d, a| {
            d.proxy.tcp.client_keepalive_count = Some(value::take_u32(a, "a number of probes")?);
            a.finish()
        },
    },
    Keyword {
        name: "clitcpka-idle",
        args: "<time>",
        doc: "Silence before the first keep-alive to a client; a bare number counts seconds.",
        example: "clitcpka-idle 60s",
        apply: |d, a| {
            d.proxy.tcp.client_keepalive_idle = Some(seconds(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "clitcpka-intvl",
        args: "<time>",
        doc: "Time between keep-alives to a client; a bare number counts seconds.",
        example: "clitcpka-intvl 10s",
        apply: |d, a| {
            d.proxy.tcp.client_keepalive_interval = Some(seconds(a)?);
            Ok(())
        },
    },
];

/// Of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "retries",
        args: "<count>",
        doc: "How many times a failed connection to a server is tried again. Default 3. One \
              second passes between tries on one server.",
        example: "retries 3",
        apply: |d, a| {
            d.back().retries = value::take_u32(a, "a number of tries")?;
            d.marks.retries = Some(a.head());
            a.finish()
        },
    },
    Keyword {
        name: "retry-on",
        args: "{ none | <event>... }",
        doc: "After what a try is made again: `conn-failure` (the default: the connection failed) \
              or `none`. Events of answers (`empty-response`, `response-timeout`, a status ...) \
              are of HTTP: sessions of `mode tcp` do not look at them, and `mode http` does not \
              have them yet.",
        example: "retry-on conn-failure",
        apply: retry_on,
    },
    Keyword {
        name: "fullconn",
        args: "<connections>",
        doc: "Load of the backend at which servers with `minconn` reach their `maxconn`. When \
              absent a tenth of the `maxconn` of all frontends that lead here.",
        example: "fullconn 1000",
        apply: |d, a| {
            let count = value::take_u32(a, "a number of connections")?;
            d.back().fullconn = count;
            d.back().fullconn_set = count > 0;
            a.finish()
        },
    },
    Keyword {
        name: "persist",
        args: "rdp-cookie[(<name>)]",
        doc: "A client whose RDP cookie (`msts` unless another is named) holds the address and port \
              of a server goes there, unless that is down and `option persist` is off. The cookie \
              must have come by then: see `tcp-request inspect-delay` and `req.rdp_cookie`.",
        example: "persist rdp-cookie",
        apply: persist,
    },
    Keyword {
        name: "source",
        args: "<address>[:<port>[-<port>]] [usesrc <whose>] [interface <name>]",
        doc: "Own address towards servers. `usesrc` uses the client's and needs TPROXY.",
        example: "source 192.0.2.10",
        apply: |d, a| {
            let source = super::server_options::source(a, &d.around.env.clone())?;
            a.finish()?;
            d.back().source = source;
            Ok(())
        },
    },
    Keyword {
        name: "srvtcpka-cnt",
        args: "<count>",
        doc: "Unanswered keep-alives after which a server's connection is dead.",
        example: "srvtcpka-cnt 3",
        apply: |d, a| {
            d.proxy.tcp.server_keepalive_count = Some(value::take_u32(a, "a number of probes")?);
            a.finish()
        },
    },
    Keyword {
        name: "srvtcpka-idle",
        args: "<time>",
        doc: "Silence before the first keep-alive to a server; a bare number counts seconds.",
        example: "srvtcpka-idle 60s",
        apply: |d, a| {
            d.proxy.tcp.server_keepalive_idle = Some(seconds(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "srvtcpka-intvl",
        args: "<time>",
        doc: "Time between keep-alives to a server; a bare number counts seconds.",
        example: "srvtcpka-intvl 10s",
        apply: |d, a| {
            d.proxy.tcp.server_keepalive_interval = Some(seconds(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "load-server-state-from-file",
        args: "global|local|none",
        doc: "Takes the states of the servers from a file at the start: from `server-state-file`, or \
              from the backend's own file in `server-state-base`.",
        example: "load-server-state-from-file global",
        apply: |d, a| {
            d.back().state_source = a.choose(
                "where states come from",
                &[
                    ("global", StateSource::Global),
                    ("local", StateSource::Local),
                    ("none", StateSource::None),
                ],
            )?;
            a.finish()
        },
    },
    Keyword {
        name: "server-state-file-name",
        args: "[use-backend-name|<file>]",
        doc: "The file for `load-server-state-from-file local`; by default it has the backend's name.",
        example: "server-state-file-name rabbitmq.state",
        apply: |d, a| {
            let word = a.take();
            a.finish()?;
            d.back().state_file_name = word
                .map(|word| word.text.clone())
                .filter(|name| name != "use-backend-name")
                .map(PathBuf::from);
            Ok(())
        },
    },
];
