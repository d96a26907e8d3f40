//! What a process tells its successor while its last sessions end: a JSON text
//! a line, over the CLI (`_follow`).

use crate::admin::Control;
use crate::admin::command::Answer;
use crate::saved::{self, Saved};
use crate::takeover::old::Old;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often the numbers come.
const EVERY: Duration = Duration::from_secs(1);

/// How often the process looks whether it is over.
const TURN: Duration = Duration::from_millis(50);

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Its pid.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// How long it has run.
    pub uptime_s: u64,
    /// It takes no sessions any more.
    pub stopping: bool,
    /// Connections from clients that it still has.
    pub connections: u32,
    /// It ends them after this time at the latest.
    pub ends_within_s: Option<u64>,
    /// Nothing follows.
    pub last: bool,
    /// Processes before it that still have sessions, in the first line.
    pub before: Vec<Before>,
    /// Counters and states.
    pub state: Saved,
}

/// A process before the one that reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Before {
    /// Its pid.
    pub pid: u32,
    /// Its counters as far as the one that reports has carried them over.
    pub known: Saved,
}

/// The report of this moment.
pub fn report(control: &Control) -> Report {
    let runtime = &control.runtime;
    Report {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: runtime.started.elapsed().unwrap_or_default().as_secs(),
        stopping: runtime.process.stopping.load(Relaxed),
        connections: runtime.process.connections.get(),
        ends_within_s: control.old.ends_within().map(|left| left.as_secs()),
        last: false,
        before: Vec::new(),
        state: saved::take(control),
    }
}

/// Reports until the process is over or the successor leaves.
pub fn follow(control: &Arc<Control>) -> Answer {
    let (sender, receiver) = mpsc::channel(2);
    let control = control.clone();
    tokio::spawn(async move {
        let (mut followed, before) = Old::followed(&control);
        let mut before = Some(before);
        let mut told: Option<Instant> = None;
        loop {
            let last = control.runtime.is_spent();
            if last || told.is_none_or(|told| told.elapsed() >= EVERY) {
                let mut line = Report {
                    last,
                    ..report(&control)
                };
                match told.replace(Instant::now()) {
                    None => line.state.history = control.history.keep(),
                    // known since the first line
                    Some(_) => line.state.forget_what_stays(),
                }
                line.before = before.take().unwrap_or_default();
                let mut text = serde_json::to_string(&line).unwrap_or_default();
                text.push('\n');
                if sender.send(text).await.is_err() || last {
                    followed.knows_all = last;
                    // given time to be written before the process ends
                    let left = tokio::time::timeout(Duration::from_secs(1), sender.closed());
                    let _ = left.await;
                    return;
                }
            }
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(TURN) => {}
            }
        }
    });
    Answer::Follow(receiver)
}
