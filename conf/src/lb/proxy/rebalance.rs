//! Ending long-lived sessions so that their clients come back elsewhere.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::draft::Draft;
use crate::lb::model::{DrainSessions, DrainStates, Farewell, Rebalance};
use crate::lb::value::{self, Unit};
use std::time::Duration;

type Applied = Result<(), Diagnostic>;

/// Longest reason: what fits AMQP's short string.
const REASON_MAX: usize = 255;
/// Percent a minute: 100 is all within a minute, the most is all within a second.
const RATE: (i64, i64) = (1, 6000);
/// Time for goodbyes when none is given.
const WAIT: Duration = Duration::from_secs(10);

fn percent(word: &Word, what: &str, range: (i64, i64)) -> Result<u32, Diagnostic> {
    let digits = match word.text.strip_suffix('%') {
        Some(digits) => word.part(0, digits.len()),
        None => word.clone(),
    };
    value::number(&digits, what, range.0, range.1).map(|n| n as u32)
}

fn reason(a: &mut Args<'_>) -> Result<String, Diagnostic> {
    let word = a.expect("a text")?;
    match word.text.len() {
        0..=REASON_MAX => Ok(word.text.clone()),
        _ => Err(wrong(word, "a text of at most 255 bytes")),
    }
}

fn wait(a: &mut Args<'_>) -> Result<Duration, Diagnostic> {
    value::take_time(a, "a time", Unit::Millis)
}

fn rebalance(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if a.take_if("off").is_some() {
        d.back().rebalance = None;
        return a.finish();
    }
    let what = "a percentage of sessions a minute";
    let mut chosen = Rebalance {
        rate_percent: percent(a.expect(what)?, what, RATE)?,
        within_percent: 10,
        settle: Duration::from_secs(10),
        farewell: Farewell {
            wait: WAIT,
            reason: "rebalancing, please reconnect".to_owned(),
        },
    };
    while let Some(word) = a.take() {
        match word.text.as_str() {
            "within" => {
                let what = "a percentage of a server's share";
                chosen.within_percent = percent(a.expect(what)?, what, (0, 100))?;
            }
            "settle" => chosen.settle = value::take_time(a, "a time", Unit::Millis)?,
            "wait" => chosen.farewell.wait = wait(a)?,
            "reason" => chosen.farewell.reason = reason(a)?,
            _ => return Err(wrong(word, "`within`, `settle`, `wait` or `reason`")),
        }
    }
    d.once("rebalance", a.head());
    d.marks.rebalance = Some(a.head());
    d.back().rebalance = Some(chosen);
    Ok(())
}

fn drain_sessions(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if a.take_if("off").is_some() {
        d.back().drain_sessions = None;
        return a.finish();
    }
    let what = "a percentage of sessions a minute";
    let mut chosen = DrainSessions {
        rate_percent: percent(a.expect(what)?, what, RATE)?,
        states: DrainStates {
            drain: true,
            maint: true,
            nolb: false,
            down: false,
        },
        farewell: Farewell {
            wait: WAIT,
            reason: "server is being drained, please reconnect".to_owned(),
        },
    };
    while let Some(word) = a.take() {
        match word.text.as_str() {
            "on" => chosen.states = states(a.expect("states of a server")?)?,
            "wait" => chosen.farewell.wait = wait(a)?,
            "reason" => chosen.farewell.reason = reason(a)?,
            _ => return Err(wrong(word, "`on`, `wait` or `reason`")),
        }
    }
    d.once("drain-sessions", a.head());
    d.marks.drain_sessions = Some(a.head());
    d.back().drain_sessions = Some(chosen);
    Ok(())
}

fn states(word: &Word) -> Result<DrainStates, Diagnostic> {
    let mut states = DrainStates {
        drain: false,
        maint: false,
        nolb: false,
        down: false,
    };
    for name in word.text.split(',') {
        match name {
            "drain" => states.drain = true,
            "maint" => states.maint = true,
            "nolb" => states.nolb = true,
            "down" => states.down = true,
            _ => return Err(wrong(word, "`drain`, `maint`, `nolb`, `down`, with commas")),
        }
    }
    Ok(states)
}

/// Of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "rebalance",
        args: "{ off | <percent>% [within <percent>%] [settle <time>] [wait <time>] [reason <text>] }",
        doc: "After a server came back, was added or weighs more, sessions of servers above their \
              share are ended, at most this percentage of the backend's sessions in a minute, until \
              all servers are within so much (default 10%) of their share by weight. It begins when \
              nothing changed for `settle` (10s) and waits while a server that should work does \
              not. A session that speaks AMQP 0-9-1 is ended between two frames by \
              `connection.close` with code 320 and the reason, any other one by FIN; who has not \
              answered after `wait` (10s) is cut. Log state `B`. TCP mode only. Put it under `.if \
              feature(REBALANCE)` in files that HAProxy reads too.",
        example: "rebalance 10% within 5% settle 30s reason \"a node came back\"",
        apply: rebalance,
    },
    Keyword {
        name: "drain-sessions",
        args: "{ off | <percent>% [on <state>[,<state>...]] [wait <time>] [reason <text>] }",
        doc: "A server in one of these states (`drain`, `maint`, `nolb`, `down`; default \
              drain,maint) is emptied: at most this percentage of the sessions that it had at first \
              is ended in a minute, as by `rebalance`. It waits while no other server takes \
              sessions or another one that should work does not. Log state `G`. TCP mode only.",
        example: "drain-sessions 20% on drain,maint",
        apply: drain_sessions,
    },
];
