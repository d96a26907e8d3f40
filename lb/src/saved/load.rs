//! What backends and servers have counted, which is the same for both.

use crate::counters::{Average, Counters, Gauge, KeptAverage, Rate, Times, Totals};
use crate::state::{BackLive, ServerLive, WaitingRoom};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counts at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedLoad {
    /// Counters.
    pub totals: Totals,
    /// Sessions at that moment.
    pub sessions: u32,
    /// The most sessions at once.
    pub sessions_max: u32,
    /// The most sessions in a second.
    pub rate_max: u32,
    /// The most that waited at once.
    pub queue_max: u32,
    /// Queue, connect, response and total times.
    pub times: [KeptAverage; 4],
    /// Milliseconds since the last session, if there was one.
    pub last_session_ago_ms: Option<u64>,
}

/// The living counts.
pub struct Load<'a> {
    counters: &'a Counters,
    sessions: &'a Gauge,
    session_rate: &'a Rate,
    queue: &'a WaitingRoom,
    times: &'a Times,
    last_session_ms: &'a AtomicU64,
}

impl<'a> From<&'a BackLive> for Load<'a> {
    fn from(live: &'a BackLive) -> Load<'a> {
        Load {
            counters: &live.counters,
            sessions: &live.sessions,
            session_rate: &live.session_rate,
            queue: &live.queue,
            times: &live.times,
            last_session_ms: &live.last_session_ms,
        }
    }
}

impl<'a> From<&'a ServerLive> for Load<'a> {
    fn from(live: &'a ServerLive) -> Load<'a> {
        Load {
            counters: &live.counters,
            sessions: &live.sessions,
            session_rate: &live.session_rate,
            queue: &live.queue,
            times: &live.times,
            last_session_ms: &live.last_session_ms,
        }
    }
}

impl Load<'_> {
    /// The counts now.
    pub fn take(&self, now_ms: u64) -> SavedLoad {
        let last_ms = self.last_session_ms.load(Relaxed);
        SavedLoad {
            totals: self.counters.totals(),
            sessions: self.sessions.get(),
            sessions_max: self.sessions.max(),
            rate_max: self.session_rate.max(),
            queue_max: self.queue.max(),
            times: averages(self.times).map(|t| t.keep()),
            last_session_ago_ms: (last_ms > 0).then(|| now_ms.saturating_sub(last_ms)),
        }
    }

    /// Goes on from counts that are `age_ms` old.
    pub fn restore(&self, kept: &SavedLoad, now_ms: u64, age_ms: u64) {
        self.counters.clear();
        self.counters.carry(&kept.totals);
        self.sessions.raise_max(kept.sessions_max);
        self.session_rate.raise_max(kept.rate_max);
        self.queue.raise_max(kept.queue_max);
        for (average, kept) in averages(self.times).into_iter().zip(&kept.times) {
            average.resume(kept);
        }
        if let Some(ago_ms) = kept.last_session_ago_ms {
            let then_ms = now_ms.saturating_sub(ago_ms.saturating_add(age_ms));
            self.last_session_ms.store(then_ms, Relaxed);
        }
    }
}

fn averages(times: &Times) -> [&Average; 4] {
    [&times.queue, &times.connect, &times.response, &times.total]
}
