//! Values that more than one file's keys take, or that need a check of their own.

use crate::broker::value::Given;
use crate::diagnostic::Diagnostic;
use std::time::Duration;

/// A node's name: `rabbit@host` or `rabbit`.
pub fn node_name(value: &Given) -> Result<String, Diagnostic> {
    let text = value.name()?;
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match text.split_once('@') {
        Some((name, host)) if plain(name) && plain(host) => Ok(text),
        None if plain(&text) => Ok(text),
        _ => Err(value.wrong("a node's name such as `rabbit@host`")),
    }
}

/// The largest frame: 4096 bytes to 1 GiB.
pub fn frame_max(value: &Given) -> Result<u32, Diagnostic> {
    let size = value.size()?;
    if (4096..=1 << 30).contains(&size) {
        return Ok(size as u32);
    }
    let message = format!("{size} is out of range: 4096 to 1 GiB");
    Err(Diagnostic::error("E0006", value.span, message).label("out of range"))
}

/// How long a delivery may stay without an ack; `false` is for ever.
pub fn consumer_timeout(value: &Given) -> Result<Option<Duration>, Diagnostic> {
    if value.boolean().is_ok_and(|on| !on) {
        return Ok(None);
    }
    some_time(value, "a time above zero, or `false` for never").map(Some)
}

/// A time above zero.
pub fn some_time(value: &Given, what: &str) -> Result<Duration, Diagnostic> {
    match value.duration()? {
        Duration::ZERO => Err(value.wrong(what)),
        time => Ok(time),
    }
}

/// Three numbers, which clients take apart.
pub fn version(value: &Given) -> Result<String, Diagnostic> {
    let text = value.name()?;
    let parts = text.split('.');
    let number = |part: &str| part.parse::<u32>().is_ok();
    match parts.clone().count() == 3 && parts.clone().all(number) {
        true => Ok(text),
        false => Err(value.wrong("a version such as `3.10.8`")),
    }
}

/// The form of log lines, by our words and by RabbitMQ's.
pub fn formatter(value: &Given) -> Result<bool, Diagnostic> {
    value.choose(&[("text", false), ("plaintext", false), ("json", true)])
}

/// Log levels, RabbitMQ's words included.
pub fn level(value: &Given) -> Result<String, Diagnostic> {
    let choices = [
        ("error", "error"),
        ("critical", "error"),
        ("alert", "error"),
        ("emergency", "error"),
        ("warn", "warn"),
        ("warning", "warn"),
        ("notice", "info"),
        ("info", "info"),
        ("debug", "debug"),
        ("trace", "trace"),
        ("none", "off"),
    ];
    value.choose(&choices).map(str::to_owned)
}
