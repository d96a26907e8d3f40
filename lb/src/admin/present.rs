//! Connections to the runtime CLI, so that `show sess` lists them with the others, as HAProxy does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use super::{address, time};
use crate::state::{Peer, SessionId};
use crate::trace::beside::CLI;

/// Connections that are open.
#[derive(Default)]
pub struct Present {
    open: Mutex<BTreeMap<u64, Visitor>>,
}

/// Who speaks, since when, and when it is shown out unless it says something.
struct Visitor {
    peer: Peer,
    since: Instant,
    spoke: Instant,
    patience: Duration,
}

/// Keeps a connection in the list.
pub struct Entry {
    all: Arc<Present>,
    id: u64,
}

impl Present {
    /// A connection that lasts as long as its entry.
    pub fn enter(self: &Arc<Self>, id: SessionId, peer: Peer, patience: Duration) -> Entry {
        let id = id.number();
        let now = Instant::now();
        let visitor = Visitor {
            peer,
            since: now,
            spoke: now,
            patience,
        };
        self.lock().insert(id, visitor);
        Entry {
            all: self.clone(),
            id,
        }
    }

    /// A line for each.
    pub fn short(&self) -> Vec<String> {
        let open = self.lock();
        open.iter().map(|(id, one)| one.short(*id)).collect()
    }

    /// Several lines for each, or for that one.
    pub fn full(&self, only: Option<SessionId>) -> Vec<String> {
        let open = self.lock();
        let wanted = |id: &u64| only.is_none_or(|only| only.number() == *id);
        let wanted = open.iter().filter(|(id, _)| wanted(id));
        wanted.map(|(id, one)| one.full(*id)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Visitor>> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Entry {
    /// It said something; it may be silent for so long now.
    pub fn speaks(&self, patience: Duration) {
        if let Some(visitor) = self.all.lock().get_mut(&self.id) {
            visitor.spoke = Instant::now();
            visitor.patience = patience;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Visitor {
    /// Age, silence and time left, in milliseconds.
    fn times(&self) -> [u64; 3] {
        let idle = self.spoke.elapsed();
        [
            self.since.elapsed(),
            idle,
            self.patience.saturating_sub(idle),
        ]
        .map(|t| t.as_millis() as u64)
    }

    fn short(&self, id: u64) -> String {
        let [age, idle, left] = self.times();
        let whole = |ms: u64| time::span(ms / 1000 * 1000);
        format!(
            "{id:#x}: proto={} src={} fe={CLI} be=<NONE> srv=<none> ts=REQ age={} idle={} exp={}\n",
            address::protocol(&self.peer),
            address::peer(&self.peer),
            whole(age),
            whole(idle),
            time::span(left),
        )
    }

    fn full(&self, id: u64) -> String {
        let [age, idle, left] = self.times();
        let accepted = SystemTime::now() - Duration::from_millis(age);
        let mut out = format!(
            "{id:#x}: [{}] id={id} proto={} source={}\n",
            time::stamp(accepted),
            address::protocol(&self.peer),
            address::peer(&self.peer)
        );
        let _ = write!(
            out,
            "  frontend={CLI} (id=0 mode=tcp), listener=?\n  backend=<NONE> (id=-1 mode=-)\n  \
             server=<NONE> (id=-1)\n  state=REQ age={} idle={} exp={}\n",
            time::span(age),
            time::span(idle),
            time::span(left)
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Thread;

    #[test]
    fn a_connection_is_listed_as_long_as_it_lasts() {
        let all = Arc::new(Present::default());
        let id = |serial| SessionId::new(Thread(1), 0, serial);
        let one = all.enter(id(7), Peer::Unix(1), Duration::from_secs(10));
        let two = all.enter(id(8), Peer::Unix(1), Duration::from_secs(10));
        let listed = all.short();
        assert_eq!(listed.len(), 2);
        assert!(
            listed[0].contains(" src=unix:1 fe=GLOBAL be=<NONE> "),
            "{listed:?}"
        );
        assert_eq!(all.full(Some(id(8))).len(), 1);
        drop(one);
        assert_eq!(all.full(None).len(), 1);
        drop(two);
        assert!(all.short().is_empty());
    }
}
