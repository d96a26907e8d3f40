//! Commands that change limits, frontends and counters, and end sessions.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use conf::lb::model::{AdminLevel, SeverityOutput};

use super::command::{Answer, Call, Command, Session, Severity};
use super::frontends::frontend;
use super::servers::with_server;
use super::show_sess::{collect, parse_id};
use crate::state::{Cause, Kill, Victims};

/// The commands of this file.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["clear", "counters"],
        "[all]",
        AdminLevel::Operator,
        "forget maxima, or with 'all' all counters",
        clear,
    ),
    Command::new(
        &["experimental-mode"],
        "[on|off]",
        AdminLevel::Admin,
        "on: 'set var' is allowed",
        |call| switch(call, "experimental-mode", |s| &mut s.experimental),
    ),
    Command::new(
        &["expert-mode"],
        "[on|off]",
        AdminLevel::Admin,
        "accepted for scripts: no command needs it",
        |call| switch(call, "expert-mode", |s| &mut s.expert),
    ),
    Command::new(
        &["operator"],
        "",
        AdminLevel::Operator,
        "lower this connection's level to operator",
        |call| {
            call.session.level = AdminLevel::Operator;
            Answer::Done
        },
    ),
    Command::new(
        &["reload"],
        "",
        AdminLevel::Admin,
        "read the configuration again and use it; sessions go on",
        reload,
    ),
    Command::new(
        &["set", "maxconn", "frontend"],
        "<frontend> <value>",
        AdminLevel::Admin,
        "change a frontend's maxconn",
        maxconn_frontend,
    ),
    Command::new(
        &["set", "maxconn", "global"],
        "<value>",
        AdminLevel::Admin,
        "change the process's maxconn",
        maxconn_global,
    ),
    Command::new(
        &["set", "maxconn", "server"],
        "<bk>/<srv> <value>",
        AdminLevel::Admin,
        "change a server's maxconn",
        maxconn_server,
    ),
    Command::new(
        &["set", "rate-limit"],
        "<setting> global <value>",
        AdminLevel::Admin,
        "change the limit of connections or sessions per second",
        rate_limit,
    ),
    Command::new(
        &["set", "severity-output"],
        "none|number|string",
        AdminLevel::User,
        "mark messages with their severity",
        severity_output,
    ),
    Command::new(
        &["set", "timeout"],
        "cli <delay>",
        AdminLevel::User,
        "change this connection's time-out",
        set_timeout,
    ),
    Command::new(
        &["shutdown", "session"],
        "<id>",
        AdminLevel::Admin,
        "end a session (see 'show sess')",
        shutdown_session,
    ),
    Command::new(
        &["user"],
        "",
        AdminLevel::User,
        "lower this connection's level to user",
        |call| {
            call.session.level = AdminLevel::User;
            Answer::Done
        },
    ),
];

fn switch(call: &mut Call<'_>, name: &str, mode: fn(&mut Session) -> &mut bool) -> Answer {
    let wanted = match call.argument(0) {
        "" => None,
        word => Some(word == "on"),
    };
    let mode = mode(call.session);
    match wanted {
        None => {
            let state = if *mode { "ON" } else { "OFF" };
            Answer::Say(Severity::Info, format!("{name} is {state}"))
        }
        Some(on) => {
            *mode = on;
            Answer::Done
        }
    }
}

fn clear(call: &mut Call<'_>) -> Answer {
    let all = call.argument(0) == "all";
    if all && let Err(refused) = call.require(AdminLevel::Admin) {
        return refused;
    }
    call.control.clear_counters(all);
    Answer::Done
}

fn shutdown_session(call: &mut Call<'_>) -> Answer {
    let word = call.argument(0);
    let Some(id) = parse_id(word) else {
        return Answer::error("Session pointer expected (use 'show sess').");
    };
    let control = call.control.clone();
    Answer::Later(Box::pin(async move {
        let views = collect(&control).await;
        if !views.iter().any(|view| view.id == id) {
            return Answer::error("No such session (use 'show sess').");
        }
        control.kill(Kill {
            victims: Victims::One(id),
            cause: Cause::Killed,
        });
        Answer::Done
    }))
}

fn reload(call: &mut Call<'_>) -> Answer {
    match call.control.reload() {
        Ok(text) => Answer::Text(text),
        Err(text) => Answer::error(text),
    }
}

/// A number as C's atoi reads it: leading digits, else 0.
fn leading_number(text: &str) -> i64 {
    let digits = text
        .char_indices()
        .take_while(|(index, c)| c.is_ascii_digit() || (*index == 0 && *c == '-'))
        .count();
    text[..digits].parse().unwrap_or(0)
}

fn maxconn_global(call: &mut Call<'_>) -> Answer {
    let word = call.argument(0);
    if word.is_empty() {
        return Answer::error("Expects an integer value.");
    }
    let hard = call.control.hard_maxconn();
    let value = leading_number(word);
    match u32::try_from(value) {
        Ok(0) => call.control.set_maxconn(hard),
        Ok(value) if value <= hard => call.control.set_maxconn(value),
        _ => return Answer::error("Value out of range."),
    }
    Answer::Done
}

fn maxconn_frontend(call: &mut Call<'_>) -> Answer {
    let proxy = match frontend(call) {
        Ok(proxy) => proxy,
        Err(refused) => return refused,
    };
    let word = call.argument(1);
    if word.is_empty() {
        return Answer::error("Integer value expected.");
    }
    let (Ok(value), Some(front)) = (u32::try_from(leading_number(word)), &proxy.front) else {
        return Answer::error("Value out of range.");
    };
    front.maxconn.store(value, Relaxed);
    call.control.resume_accept();
    Answer::Done
}

fn maxconn_server(call: &mut Call<'_>) -> Answer {
    with_server(call, |call, _, server| {
        let word = call.argument(1);
        if word.is_empty() {
            return Answer::error("Require <maxconn>.");
        }
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            return Answer::error("maxconn string empty or preceded by garbage");
        }
        match word.parse::<u32>() {
            Ok(value) => {
                server.maxconn.store(value, Relaxed);
                call.control.serve_waiting(server);
                Answer::Done
            }
            Err(_) => Answer::error("Trailing garbage in maxconn string"),
        }
    })
}

const RATE_LIMITS: &str = "'set rate-limit' only supports :\n   \
    - 'connections global' to set the per-process maximum connection rate\n   \
    - 'sessions global' to set the per-process maximum session rate\n   \
    - 'ssl-sessions global' to set the per-process maximum SSL session rate\n   \
    - 'http-compression global' to set the per-process maximum compression speed in kB/s";

fn rate_limit(call: &mut Call<'_>) -> Answer {
    let process = &call.control.runtime.process;
    let limit = match (call.argument(0), call.argument(1)) {
        ("connections", "global") => &process.max_connection_rate,
        ("sessions", "global") => &process.max_session_rate,
        ("ssl-sessions" | "http-compression", "global") => {
            return Answer::error("neither TLS nor compression is there: nothing to limit");
        }
        _ => return Answer::error(RATE_LIMITS),
    };
    let word = call.argument(2);
    if word.is_empty() {
        return Answer::error("Expects an integer value.");
    }
    match u32::try_from(leading_number(word)) {
        Ok(value) => limit.store(value, Relaxed),
        Err(_) => return Answer::error("Value out of range."),
    }
    call.control.resume_accept();
    Answer::Done
}

fn severity_output(call: &mut Call<'_>) -> Answer {
    call.session.severity = match call.argument(0) {
        "none" => SeverityOutput::None,
        "number" => SeverityOutput::Number,
        "string" => SeverityOutput::String,
        _ => return Answer::error("one of 'none', 'number', 'string' is a required argument"),
    };
    Answer::Done
}

fn set_timeout(call: &mut Call<'_>) -> Answer {
    if call.argument(0) != "cli" {
        return Answer::error("'set timeout' only supports 'cli'.");
    }
    match call.argument(1) {
        "" => Answer::error("Expects an integer value."),
        word => match delay(word) {
            Some(delay) => {
                call.session.timeout = delay;
                Answer::Done
            }
            None => Answer::error("Invalid timeout value."),
        },
    }
}

/// A time with a unit, seconds without; at most 24 days, as a 32-bit clock of milliseconds holds.
pub(super) fn delay(word: &str) -> Option<Duration> {
    let digits = word
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(word.len());
    let number: u64 = word[..digits].parse().ok()?;
    let ms = match &word[digits..] {
        "us" => number / 1000,
        "ms" => number,
        "" | "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        "d" => number.checked_mul(86_400_000)?,
        _ => return None,
    };
    (1..=i32::MAX as u64)
        .contains(&ms)
        .then(|| Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_seconds_unless_a_unit_says_otherwise() {
        assert_eq!(delay("10"), Some(Duration::from_secs(10)));
        assert_eq!(delay("2m"), Some(Duration::from_secs(120)));
        assert_eq!(delay("0"), None);
        assert_eq!(delay("10x"), None);
        assert_eq!(delay("100000d"), None);
    }

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        assert_eq!(leading_number("12x"), 12);
        assert_eq!(leading_number("-1"), -1);
        assert_eq!(leading_number("x"), 0);
    }
}
