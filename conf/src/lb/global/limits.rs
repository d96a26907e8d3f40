//! Limits of the process, logs, CLI sockets, checks.

use super::GlobalDraft;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, wrong};
use crate::lb::model::{Bind, BindAddress, LogHostname, Place, StatsSocket};
use crate::lb::proxy::{bind, logging};
use crate::lb::value::{self, Unit};

type Applied = Result<(), Diagnostic>;

fn stats_socket(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("an address")?;
    let mut found = bind::addresses(word, &d.env, true)?;
    let blank = Bind::new(BindAddress::Fd(0), Place(word.span));
    let (draft, mut findings) = bind::options(blank, a, true);
    d.diagnostics.append(&mut findings);
    if found.len() != 1 {
        return Err(wrong(word, "one address"));
    }
    d.global.stats.sockets.push(StatsSocket {
        bind: Bind {
            address: found.remove(0),
            ..draft.bind
        },
        level: draft.level,
        expose_fd_listeners: draft.expose_fd,
    });
    Ok(())
}

fn prometheus_bind(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("an address and port")?;
    let mut found = bind::addresses(word, &d.env, false)?;
    if found.len() != 1 || !matches!(found[0], BindAddress::Tcp { .. }) {
        return Err(wrong(word, "one address and port, such as 127.0.0.1:9101"));
    }
    d.global.prometheus = Some(Bind::new(found.remove(0), Place(word.span)));
    a.finish()
}

fn log(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    if d.negation != crate::lb::draft::Negation::Plain {
        d.global.logs.clear();
        return a.finish();
    }
    if let Some(word) = a.peek().filter(|w| w.text == "global") {
        return Err(
            wrong(word, "a log target").label("`log global` belongs into the other sections")
        );
    }
    let target = logging::target(a, &d.env.clone())?;
    d.global.logs.push(target);
    Ok(())
}

fn spread_checks(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("a percentage")?;
    d.global.spread_checks = value::number(word, "a percentage", 0, 50)? as u32;
    a.finish()
}

/// The lines.
pub static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    Keyword {
        name: "prometheus bind",
        args: "<address>:<port>",
        doc: "Answers `/metrics` for Prometheus on this address, without any HTTP frontend. \
              Evenkeel's own; in a frontend, `http-request use-service prometheus-exporter` \
              does the same.",
        example: "prometheus bind 127.0.0.1:9101",
        apply: prometheus_bind,
    },
    Keyword {
        name: "maxconn",
        args: "<connections>",
        doc: "Most concurrent connections of the process; further ones wait in the kernel's \
              backlog. Derived from the limit of open files when absent.",
        example: "maxconn 4096",
        apply: |d, a| {
            let count = value::take_u32(a, "a number of connections")?;
            a.finish()?;
            if d.first("maxconn", a.head()) {
                d.global.maxconn = (count > 0).then_some(count);
            }
            Ok(())
        },
    },
    Keyword {
        name: "maxconnrate",
        args: "<rate>",
        doc: "Most new connections a second; 0: no limit.",
        example: "maxconnrate 1000",
        apply: |d, a| {
            d.global.maxconnrate = value::take_u32(a, "a number of connections a second")?;
            a.finish()
        },
    },
    Keyword {
        name: "maxsessrate",
        args: "<rate>",
        doc: "Most new sessions a second; 0: no limit.",
        example: "maxsessrate 1000",
        apply: |d, a| {
            d.global.maxsessrate = value::take_u32(a, "a number of sessions a second")?;
            a.finish()
        },
    },
    Keyword {
        name: "maxpipes",
        args: "<count>",
        doc: "Most pipes for splicing; a quarter of `maxconn` when absent.",
        example: "maxpipes 1000",
        apply: |d, a| {
            d.global.maxpipes = Some(value::take_u32(a, "a number of pipes")?);
            a.finish()
        },
    },
    Keyword {
        name: "log",
        args: "<address> [len <n>] [format <form>] [sample <ranges>:<n>] <facility> [<max> [<min>]]",
        doc: "Where lines go; proxies join in with `log global`. Several lines add up.",
        example: "log 127.0.0.1 local0 info",
        apply: log,
    },
    Keyword {
        name: "log-tag",
        args: "<text>",
        doc: "The program's name in lines; `haproxy` or `evenkeel`, as called, when absent.",
        example: "log-tag amqp-lb",
        apply: |d, a| {
            d.global.log_tag = Some(a.expect("a text")?.text.clone());
            a.finish()
        },
    },
    Keyword {
        name: "log-send-hostname",
        args: "[<name>]",
        doc: "Puts the host's name, or this one, into lines.",
        example: "log-send-hostname lb-a",
        apply: |d, a| {
            d.global.log_send_hostname = Some(match a.take() {
                Some(word) => LogHostname::Named(word.text.clone()),
                None => LogHostname::Own,
            });
            a.finish()
        },
    },
    Keyword {
        name: "stats socket",
        args: "<address> [level <level>] [mode <octal>] [<options>]",
        doc: "A socket for the runtime CLI: a path, or an address and port.",
        example: "stats socket /run/lb.sock mode 600 level admin",
        apply: stats_socket,
    },
    Keyword {
        name: "stats timeout",
        args: "<time>",
        doc: "Longest silence on a CLI connection. Default 10s.",
        example: "stats timeout 30s",
        apply: |d, a| {
            let word = a.peek();
            let time = value::take_time(a, "a time", Unit::Millis)?;
            if let Some(word) = word.filter(|_| time.is_zero()) {
                return Err(wrong(word, "a time above 0"));
            }
            d.global.stats.timeout = Some(time);
            a.finish()
        },
    },
    Keyword {
        name: "stats maxconn",
        args: "<connections>",
        doc: "Most concurrent CLI connections. Default 10.",
        example: "stats maxconn 20",
        apply: |d, a| {
            let count = value::take_number(a, "a number of connections", 1, i64::from(i32::MAX))?;
            d.global.stats.maxconn = Some(count as u32);
            a.finish()
        },
    },
    Keyword {
        name: "spread-checks",
        args: "<0..50>",
        doc: "By how many percent the time between checks varies at random.",
        example: "spread-checks 5",
        apply: spread_checks,
    },
    Keyword {
        name: "max-spread-checks",
        args: "<time>",
        doc: "First checks are spread over at most this time.",
        example: "max-spread-checks 10s",
        apply: |d, a| {
            d.global.max_spread_checks = value::take_timeout(a, "a time")?;
            a.finish()
        },
    },
];
