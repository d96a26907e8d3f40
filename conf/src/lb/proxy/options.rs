//! `option <name>`; most are switched off by `no option <name>`.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword};
use crate::lb::address::network;
use crate::lb::draft::{Draft, Negation};
use crate::lb::model::{ConnectionMode, ForwardFor, Proxy, SessionFormat};
use crate::lb::value;

type Applied = Result<(), Diagnostic>;

/// A plain switch.
fn switch(d: &mut Draft, a: &mut Args<'_>, slot: fn(&mut Proxy) -> &mut bool) -> Applied {
    a.finish()?;
    let on = d.negation == Negation::Plain;
    *slot(&mut d.proxy) = on;
    Ok(())
}

fn keep_alive_mode(d: &mut Draft, a: &mut Args<'_>, mode: ConnectionMode) -> Applied {
    a.finish()?;
    let slot = &mut d.proxy.http.connection;
    match d.negation {
        Negation::Plain => *slot = mode,
        Negation::No | Negation::Default if *slot == mode => *slot = ConnectionMode::KeepAlive,
        Negation::No | Negation::Default => {}
    }
    Ok(())
}

fn httplog(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let clf = a.take_if("clf").is_some();
    a.finish()?;
    if d.has_front() {
        d.marks.http_only.push(("option httplog", a.head()));
    }
    let format = if clf {
        SessionFormat::HttpClf
    } else {
        SessionFormat::Http
    };
    set_format(d, a, format)
}

/// The last one of a section counts; HAProxy warns of the others in `defaults` only.
pub(super) fn set_format(d: &mut Draft, a: &Args<'_>, format: SessionFormat) -> Applied {
    if !d.has_front() {
        let text = format!("`{}` ignored: a backend logs no sessions", a.keyword());
        d.diagnostics.push(
            Diagnostic::warning("E1011", a.head(), text)
                .label("belongs into a frontend or listen section"),
        );
        return Ok(());
    }
    if let Some(first) = d.seen.insert("log-format", a.head()) {
        let text = format!(
            "`{}` overrides the log format that the section had",
            a.keyword()
        );
        let found = match d.kind {
            None => Diagnostic::warning("E1103", a.head(), text),
            Some(_) => Diagnostic::note("E1103", a.head(), text),
        };
        d.diagnostics
            .push(found.also(first, "this one has no effect"));
    }
    if !matches!(format, SessionFormat::Http | SessionFormat::HttpClf) {
        let others = |(keyword, _): &(&str, _)| *keyword != "option httplog";
        d.marks.http_only.retain(others);
    }
    d.proxy.logging.format = format;
    Ok(())
}

fn forwardfor(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let mut value = ForwardFor {
        except: None,
        header: "X-Forwarded-For".to_owned(),
        if_none: false,
    };
    loop {
        if a.take_if("except").is_some() {
            value.except = Some(a.parse("an address or a network", network)?);
        } else if a.take_if("header").is_some() {
            value.header = a.expect("a header's name")?.text.clone();
        } else if a.take_if("if-none").is_some() {
            value.if_none = true;
        } else {
            break;
        }
    }
    a.finish()?;
    d.marks.http_only.push(("option forwardfor", a.head()));
    d.proxy.http.forwardfor = Some(value);
    Ok(())
}

fn redispatch(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let every = match a.peek() {
        Some(_) => value::take_number(a, "an interval", -1000, 1000)? as i32,
        None => -1,
    };
    a.finish()?;
    d.back().redispatch = if d.negation == Negation::Plain {
        every
    } else {
        0
    };
    Ok(())
}

/// Of both sides.
pub static BOTH: &[Keyword<Draft>] = &[
    Keyword {
        name: "option tcplog",
        args: "",
        doc: "Session lines in the TCP format: times, bytes, termination state, counters, queues.",
        example: "option tcplog",
        apply: |d, a| {
            a.finish()?;
            set_format(d, a, SessionFormat::Tcp)
        },
    },
    Keyword {
        name: "option httplog",
        args: "[clf]",
        doc: "Session lines in the HTTP format, or in the common log format of web servers.",
        example: "option httplog",
        apply: httplog,
    },
    Keyword {
        name: "option json-log",
        args: "[tcp-info]",
        doc: "Session lines as one JSON object each, whose fields have the names that HAProxy's \
              manual gives those of the TCP and HTTP formats; also the session's id, bytes both \
              ways and the reason of its end in words, with `tcp-info` round trips and \
              retransmits of both connections. Own keyword.",
        example: "option json-log tcp-info",
        apply: |d, a| {
            let tcp_info = a.take_if("tcp-info").is_some();
            a.finish()?;
            set_format(d, a, SessionFormat::Json(tcp_info))
        },
    },
    Keyword {
        name: "option log-start-end",
        args: "",
        doc: "A line when a session begins and one when it ends, both with the session's id (that \
              of `show sess`). In `mode tcp`; replaces `option logasap`. Own keyword.",
        example: "option log-start-end",
        apply: |d, a| switch(d, a, |p| &mut p.logging.start_and_end),
    },
    Keyword {
        name: "option tcpka",
        args: "",
        doc: "TCP keep-alives on both sides, at the system's pace unless `clitcpka-*` and \
              `srvtcpka-*` say otherwise.",
        example: "option tcpka",
        apply: |d, a| {
            switch(d, a, |p| &mut p.tcp.client_keepalive)?;
            switch(d, a, |p| &mut p.tcp.server_keepalive)
        },
    },
    Keyword {
        name: "option splice-auto",
        args: "",
        doc: "Lets the kernel move data between both sockets where it pays.",
        example: "option splice-auto",
        apply: |d, a| {
            d.proxy.tcp.splice_forbidden = d.negation == Negation::No;
            switch(d, a, |p| &mut p.tcp.splice_auto)
        },
    },
    Keyword {
        name: "option splice-request",
        args: "",
        doc: "Accepted: the kernel moves what clients send wherever it pays, unless `no option splice-auto` forbids it.",
        example: "option splice-request",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.splice_request),
    },
    Keyword {
        name: "option splice-response",
        args: "",
        doc: "Accepted: the kernel moves what servers send wherever it pays, unless `no option splice-auto` forbids it.",
        example: "option splice-response",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.splice_response),
    },
    Keyword {
        name: "option independent-streams",
        args: "",
        doc: "Bytes sent to a side do not count as a sign of life of that side: its timeout \
              counts from the last bytes received.",
        example: "option independent-streams",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.independent_streams),
    },
    Keyword {
        name: "option nolinger",
        args: "",
        doc: "Closes with a reset at once instead of lingering; data in flight is lost.",
        example: "option nolinger",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.nolinger),
    },
    Keyword {
        name: "option http-keep-alive",
        args: "",
        doc: "Connections stay open for further requests (the default).",
        example: "option http-keep-alive",
        apply: |d, a| keep_alive_mode(d, a, ConnectionMode::KeepAlive),
    },
    Keyword {
        name: "option http-server-close",
        args: "",
        doc: "Closes towards the server after each answer, keeps the client's connection.",
        example: "option http-server-close",
        apply: |d, a| keep_alive_mode(d, a, ConnectionMode::ServerClose),
    },
    Keyword {
        name: "option httpclose",
        args: "",
        doc: "Closes both connections after each answer.",
        example: "option httpclose",
        apply: |d, a| keep_alive_mode(d, a, ConnectionMode::Close),
    },
    Keyword {
        name: "option forwardfor",
        args: "[except <network>] [header <name>] [if-none]",
        doc: "Adds the client's address to requests in X-Forwarded-For.",
        example: "option forwardfor except 127.0.0.0/8",
        apply: forwardfor,
    },
];

/// Of the side of the clients.
pub static FRONT: &[Keyword<Draft>] = &[
    Keyword {
        name: "option dontlognull",
        args: "",
        doc: "No line for connections on which nothing was sent, such as port probes.",
        example: "option dontlognull",
        apply: |d, a| switch(d, a, |p| &mut p.logging.dont_log_null),
    },
    Keyword {
        name: "option dontlog-normal",
        args: "",
        doc: "No line for sessions that went well.",
        example: "option dontlog-normal",
        apply: |d, a| switch(d, a, |p| &mut p.logging.dont_log_normal),
    },
    Keyword {
        name: "option log-separate-errors",
        args: "",
        doc: "Lines of sessions with errors or retries are logged at level err instead of info.",
        example: "option log-separate-errors",
        apply: |d, a| switch(d, a, |p| &mut p.logging.separate_errors),
    },
    Keyword {
        name: "option logasap",
        args: "",
        doc: "Logs a session as soon as its server is connected; times and bytes carry a `+`.",
        example: "option logasap",
        apply: |d, a| switch(d, a, |p| &mut p.logging.as_soon_as_possible),
    },
    Keyword {
        name: "option clitcpka",
        args: "",
        doc: "TCP keep-alives towards clients.",
        example: "option clitcpka",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.client_keepalive),
    },
    Keyword {
        name: "option contstats",
        args: "",
        doc: "Counters go on during a session instead of jumping at its end (they always do here).",
        example: "option contstats",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.contstats),
    },
    Keyword {
        name: "option socket-stats",
        args: "",
        doc: "A row of statistics for each listening address.",
        example: "option socket-stats",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.socket_stats),
    },
    Keyword {
        name: "option http-ignore-probes",
        args: "",
        doc: "Connections closed before a request was sent are neither logged nor answered.",
        example: "option http-ignore-probes",
        apply: |d, a| {
            if d.negation == Negation::Plain {
                let mark = ("option http-ignore-probes", a.head());
                d.marks.http_only.push(mark);
            }
            switch(d, a, |p| &mut p.http.ignore_probes)
        },
    },
];

fn back(p: &mut Proxy) -> &mut crate::lb::model::Back {
    p.back.get_or_insert_default()
}

/// Of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "option redispatch",
        args: "[<interval>]",
        doc: "Another server is chosen at the last retry; with n at every n-th, with -n at the \
              n-th from the last. Without it all retries go to the same, perhaps dead, server.",
        example: "option redispatch",
        apply: redispatch,
    },
    Keyword {
        name: "option allbackups",
        args: "",
        doc: "All backup servers share the load once no other is left, not only the first.",
        example: "option allbackups",
        apply: |d, a| switch(d, a, |p| &mut back(p).allbackups),
    },
    Keyword {
        name: "option abortonclose",
        args: "",
        doc: "Sessions whose client left while they wait in a queue are dropped.",
        example: "option abortonclose",
        apply: |d, a| switch(d, a, |p| &mut back(p).abortonclose),
    },
    Keyword {
        name: "option persist",
        args: "",
        doc: "Sessions bound to a server that is down still try it.",
        example: "option persist",
        apply: |d, a| switch(d, a, |p| &mut back(p).persist),
    },
    Keyword {
        name: "transparent",
        args: "",
        doc: "The old form of `option transparent`.",
        example: "transparent",
        apply: |d, a| {
            a.finish()?;
            d.marks.transparent = Some(a.head());
            Ok(())
        },
    },
    Keyword {
        name: "option transparent",
        args: "",
        doc: "In a section without servers: sessions go on to the address that the client wanted to \
              reach, which a redirection by the packet filter or a `transparent` bind let us see.",
        example: "option transparent",
        apply: |d, a| {
            a.finish()?;
            d.marks.transparent = (d.negation == Negation::Plain).then_some(a.head());
            Ok(())
        },
    },
    Keyword {
        name: "option srvtcpka",
        args: "",
        doc: "TCP keep-alives towards servers.",
        example: "option srvtcpka",
        apply: |d, a| switch(d, a, |p| &mut p.tcp.server_keepalive),
    },
    Keyword {
        name: "option log-health-checks",
        args: "",
        doc: "A line for every change of a health check's result, not only for state changes.",
        example: "option log-health-checks",
        apply: |d, a| switch(d, a, |p| &mut p.logging.health_checks),
    },
];
