//! `timeout ...` of proxies.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword};
use crate::lb::draft::Draft;
use crate::lb::value::{TimeError, Unit, bad_time, time};
use std::time::Duration;

/// Takes the time of `timeout <which>` and notes a bare number and a repetition.
fn take(d: &mut Draft, a: &mut Args<'_>) -> Result<Option<Duration>, Diagnostic> {
    let word = a.expect("a time")?;
    let value = time(&word.text, Unit::Millis).map_err(|e| {
        let overflow = e == TimeError::Overflow;
        let found = bad_time(word, e);
        if overflow {
            return found.help("write 0 for no limit at all");
        }
        found
    })?;
    a.finish()?;
    if word.text.bytes().all(|b| b.is_ascii_digit()) && !value.is_zero() {
        let ms = value.as_millis();
        let note = Diagnostic::note(
            "E1102",
            word.span,
            format!("a time without a unit counts milliseconds: this is {ms} ms"),
        )
        .label(format!("{ms} milliseconds"));
        d.diagnostics.push(if ms < 1000 {
            note.help(format!("write `{ms}s` if seconds are meant"))
        } else {
            note.help(format!("write `{ms}ms` to say so"))
        });
    }
    let span = a.head();
    let value = (!value.is_zero()).then_some(value);
    if let Some(row) = ALL.iter().find(|n| **n == a.keyword()) {
        // HAProxy notices a second line by a value that is no longer that of the defaults
        let before = d.timeouts.insert(row, value).flatten();
        match before != d.inherited_timeouts.get(row).copied().flatten() {
            true => d.once_or_warn(row, span),
            false => d.once(row, span),
        }
    }
    Ok(value)
}

const ALL: &[&str] = &[
    "timeout client",
    "timeout client-fin",
    "timeout http-request",
    "timeout http-keep-alive",
    "timeout connect",
    "timeout server",
    "timeout server-fin",
    "timeout tunnel",
    "timeout queue",
    "timeout check",
    "timeout tarpit",
];

/// Those of the side of the clients.
pub static FRONT: &[Keyword<Draft>] = &[
    Keyword {
        name: "timeout client",
        args: "<time>",
        doc: "Longest silence of a client before its session ends (state `cD`). 0 or nothing: \
              never. Long-lived message connections without heartbeats are cut by it.",
        example: "timeout client 120s",
        apply: |d, a| {
            d.marks.timeout_client = Some(a.head());
            let value = take(d, a)?;
            d.front().timeouts.client = value;
            Ok(())
        },
    },
    Keyword {
        name: "timeout client-fin",
        args: "<time>",
        doc: "Longest silence of a client after its side was half-closed; `timeout client` \
              when absent.",
        example: "timeout client-fin 10s",
        apply: |d, a| {
            d.front().timeouts.client_fin = take(d, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout http-request",
        args: "<time>",
        doc: "Longest time for a complete HTTP request header to arrive (408, state `cR`).",
        example: "timeout http-request 10s",
        apply: |d, a| {
            d.front().timeouts.http_request = take(d, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout http-keep-alive",
        args: "<time>",
        doc: "Longest wait for the next HTTP request on a kept connection; `timeout \
              http-request` when absent.",
        example: "timeout http-keep-alive 5s",
        apply: |d, a| {
            d.front().timeouts.http_keep_alive = take(d, a)?;
            Ok(())
        },
    },
];

/// Those of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "timeout connect",
        args: "<time>",
        doc: "Longest time for a connection to a server to be established, for each try.",
        example: "timeout connect 5s",
        apply: |d, a| {
            d.back().timeouts.connect = take(d, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout server",
        args: "<time>",
        doc: "Longest silence of a server before the session ends (state `sD`). 0 or nothing: \
              never.",
        example: "timeout server 120s",
        apply: |d, a| {
            d.back().timeouts.server = take(d, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout server-fin",
        args: "<time>",
        doc: "Longest silence of a server after its side was half-closed; `timeout server` \
              when absent.",
        example: "timeout server-fin 10s",
        apply: |d, a| {
            d.back().timeouts.server_fin = take(d, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout tunnel",
        args: "<time>",
        doc: "Longest silence on both sides once data flowed in both directions; replaces \
              `timeout client` and `timeout server` from then on.",
        example: "timeout tunnel 1h",
        apply: |d, a| {
            d.back().timeouts.tunnel = take(d, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout queue",
        args: "<time>",
        doc: "Longest wait in a queue for a server's slot (state `sQ`); `timeout connect` when \
              absent.",
        example: "timeout queue 30s",
        apply: |d, a| {
            d.back().timeouts.queue = take(d, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout check",
        args: "<time>",
        doc: "Longest time for a health check's answer after its connection stands. When \
              absent, `inter` bounds the whole check.",
        example: "timeout check 3s",
        apply: check,
    },
];

/// `timeout check`, also of `healthcheck` sections.
pub fn check(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    d.back().check.timeout = take(d, a)?;
    Ok(())
}

/// Those that both sides take.
pub static BOTH: &[Keyword<Draft>] = &[Keyword {
    name: "timeout tarpit",
    args: "<time>",
    doc: "Accepted: no rule holds a request here (`http-request tarpit` is not there).",
    example: "timeout tarpit 1m",
    apply: |d, a| {
        d.back().timeouts.tarpit = take(d, a)?;
        Ok(())
    },
}];
