//! Traces of sessions that no data thread holds: those of HTTP frontends (the
//! statistics page among them) and of the runtime CLI. They tell what they do
//! themselves; while nobody watches that costs one look at a flag.

use super::Order;
use crate::state::{Peer, SessionId};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

/// The name under which sessions of the runtime CLI are watched, as `show sess` of HAProxy has it.
pub const CLI: &str = "GLOBAL";
/// Most bytes of a line of a client's making.
const SHOWN: usize = 300;

/// Who watches.
#[derive(Default)]
pub struct Watchers {
    orders: Mutex<Vec<Arc<Order>>>,
    some: AtomicBool,
    /// Counts those who came.
    round: AtomicU32,
}

/// A session that tells what it does.
pub struct Teller {
    id: SessionId,
    client: Peer,
    frontend: String,
    /// Those who came up to this round know who the session is.
    introduced: AtomicU32,
}

impl Watchers {
    /// One more watcher.
    pub fn add(&self, order: Arc<Order>) {
        self.orders().push(order);
        self.round.fetch_add(1, Relaxed);
        self.some.store(true, Relaxed);
    }

    /// One watcher left.
    pub fn remove(&self, number: u64) {
        let mut orders = self.orders();
        orders.retain(|order| order.number != number);
        self.some.store(!orders.is_empty(), Relaxed);
    }

    /// A line for those who watch this session; made only if there are any.
    pub fn tell(&self, session: &Teller, line: impl FnOnce() -> String) {
        if !self.some.load(Relaxed) {
            return;
        }
        let orders = self.orders();
        let wants = |o: &&Arc<Order>| o.wants(session.id, &session.client, &session.frontend);
        let mut watching = orders.iter().filter(wants).peekable();
        if watching.peek().is_none() {
            return;
        }
        let stamp = crate::admin::time::stamp_ms(std::time::SystemTime::now());
        let (id, mut text) = (session.id.number(), String::new());
        let round = self.round.load(Relaxed);
        if session.introduced.swap(round, Relaxed) != round {
            let client = crate::admin::address::peer(&session.client);
            let frontend = &session.frontend;
            let _ = writeln!(text, "{stamp} 0x{id:x} session from {client} on {frontend}");
        }
        let _ = writeln!(text, "{stamp} 0x{id:x} {}", line());
        watching.for_each(|order| order.send(&text));
    }

    fn orders(&self) -> MutexGuard<'_, Vec<Arc<Order>>> {
        self.orders.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Teller {
    /// A session of this frontend.
    pub fn new(id: SessionId, client: Peer, frontend: &str) -> Teller {
        Teller {
            id,
            client,
            frontend: frontend.to_owned(),
            introduced: AtomicU32::new(0),
        }
    }
}

/// What a client sent, as part of one line: without control characters, and not too long.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => drop(write!(out, "#{:02X}", u32::from(c))),
            false => out.push(c),
        }
    }
    if bytes.len() > SHOWN {
        out.push_str(" ...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Thread;
    use std::sync::atomic::AtomicU64;
    use tokio::sync::mpsc;

    fn order(number: u64, frontend: Option<&str>) -> (Arc<Order>, mpsc::Receiver<String>) {
        let (lines, receiver) = mpsc::channel(8);
        let order = Order {
            number,
            sources: Vec::new(),
            session: None,
            frontend: frontend.map(str::to_owned),
            lines,
            lost: AtomicU64::new(0),
        };
        (Arc::new(order), receiver)
    }

    #[test]
    fn a_watcher_hears_first_who_a_session_is_and_only_of_what_it_asked_for() {
        let (watchers, id) = (Watchers::default(), SessionId::new(Thread(1), 0, 7));
        let web = Teller::new(id, Peer::None, "web");
        watchers.tell(&web, || unreachable!("nobody watches"));
        let (all, mut of_all) = order(1, None);
        let (other, mut of_other) = order(2, Some("other"));
        watchers.add(all);
        watchers.add(other);
        watchers.tell(&web, || "one".to_owned());
        watchers.tell(&web, || "two".to_owned());
        let first = of_all.try_recv().unwrap();
        assert!(
            first.contains("session from") && first.ends_with(" one\n"),
            "{first}"
        );
        assert!(of_all.try_recv().unwrap().ends_with(" two\n"));
        assert!(of_other.try_recv().is_err());
        watchers.remove(1);
        watchers.tell(&web, || unreachable!("nobody watches this one"));
    }

    #[test]
    fn runtime_cli_sessions_are_told_to_those_who_name_them() {
        let watchers = Watchers::default();
        let cli = Teller::new(SessionId::new(Thread(1), 0, 8), Peer::None, CLI);
        let (all, mut of_all) = order(1, None);
        let (named, mut of_named) = order(2, Some(CLI));
        watchers.add(all);
        watchers.add(named);
        watchers.tell(&cli, || "-> show info".to_owned());
        assert!(
            of_all.try_recv().is_err(),
            "a watcher is a CLI session itself"
        );
        assert!(of_named.try_recv().unwrap().ends_with("-> show info\n"));
    }

    #[test]
    fn what_clients_send_stays_in_one_line_and_is_bounded() {
        assert_eq!(shown(b"GET /\r\n\x1b[2J"), "GET /#0D#0A#1B[2J");
        assert_eq!(shown(&[b'x'; 1000]).len(), SHOWN + 4);
    }
}
