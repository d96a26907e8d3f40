//! Live traces of sessions (`follow sessions`, `evenkeel lb trace`): phases,
//! bytes and, where they speak AMQP, their methods.
//!
//! A data thread has a [`Tracer`] only while somebody watches; without one the
//! data path asks one question for each event and one for each read. A watcher
//! who is slow loses lines and is told how many. Sessions that no data thread
//! holds are traced by [`beside`].

mod amqp;
pub mod beside;
mod methods;

use crate::session::Session;
use crate::state::{End, Peer, Phase, SessionId};
use amqp::Frames;
use conf::lb::model::IpNet;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// Sessions traced at once by a thread.
const SESSIONS: usize = 256;
/// Lines of one session in one turn.
const LINES: usize = 64;

/// What somebody watches.
pub struct Order {
    /// Names it.
    pub number: u64,
    /// Sessions of clients in any of these; all when empty.
    pub sources: Vec<IpNet>,
    /// Only this session.
    pub session: Option<u64>,
    /// Only sessions of this frontend.
    pub frontend: Option<String>,
    /// Where lines go.
    pub lines: Sender<String>,
    /// Lines that found no room since the last that did.
    pub lost: AtomicU64,
}

impl Order {
    fn wants(&self, id: SessionId, client: &Peer, frontend: &str) -> bool {
        let from = self.sources.is_empty()
            || client
                .ip()
                .is_some_and(|ip| self.sources.iter().any(|n| n.contains(ip)));
        // whoever watches is a session of the CLI itself: those are shown only by name
        from && self.session.is_none_or(|wanted| wanted == id.number())
            && match &self.frontend {
                Some(wanted) => wanted == frontend,
                None => frontend != beside::CLI || self.session.is_some(),
            }
    }

    fn send(&self, line: &str) {
        let lost = self.lost.load(Relaxed);
        let text = match lost {
            0 => line.to_owned(),
            lost => format!("... {lost} lines lost\n{line}"),
        };
        match self.lines.try_send(text) {
            Ok(()) if lost > 0 => drop(self.lost.fetch_sub(lost, Relaxed)),
            Err(TrySendError::Full(_)) => drop(self.lost.fetch_add(1, Relaxed)),
            // whoever left is taken off the list by others
            Ok(()) | Err(TrySendError::Closed(_)) => {}
        }
    }
}

/// What a step of a traced session shows to its tracer.
#[derive(Default)]
pub struct Tap {
    /// The flow at work is that from the client.
    pub upstream: bool,
    /// How it ended.
    pub end: Option<End>,
    frames: [Frames; 2],
    bytes: [u64; 2],
    seen: Vec<(bool, String)>,
}

impl Tap {
    /// Bytes that the flow at work has read.
    pub fn read(&mut self, bytes: &[u8]) {
        let side = usize::from(!self.upstream);
        self.bytes[side] += bytes.len() as u64;
        let (upstream, seen) = (self.upstream, &mut self.seen);
        self.frames[side].read(bytes, &mut |text| {
            if seen.len() < LINES {
                seen.push((upstream, text));
            }
        });
    }
}

/// One thread's traced sessions.
#[derive(Default)]
pub struct Tracer {
    orders: Vec<Arc<Order>>,
    sessions: HashMap<usize, Traced>,
}

struct Traced {
    serial: u32,
    orders: Vec<Arc<Order>>,
    phase: Option<Phase>,
    backend: Option<String>,
    server: Option<String>,
    tap: Box<Tap>,
}

impl Tracer {
    /// One more watcher.
    pub fn add(&mut self, order: Arc<Order>) {
        self.orders.push(order);
        // sessions that others watch are looked at anew
        self.sessions.clear();
    }

    /// One watcher left; false when it was the last.
    pub fn remove(&mut self, number: u64) -> bool {
        self.orders.retain(|order| order.number != number);
        self.sessions.clear();
        !self.orders.is_empty()
    }

    /// The tap for a session that is about to take a step, if it is watched.
    pub fn before(&mut self, id: SessionId, session: &Session) -> Option<Box<Tap>> {
        let index = id.index();
        if let Some(traced) = self.sessions.get_mut(&index) {
            if traced.serial == session.serial {
                return Some(std::mem::take(&mut traced.tap));
            }
            self.sessions.remove(&index);
        }
        let (client, frontend) = session.origin();
        let wants = |o: &&Arc<Order>| o.wants(id, client, frontend);
        let orders: Vec<_> = self.orders.iter().filter(wants).cloned().collect();
        if orders.is_empty() || self.sessions.len() >= SESSIONS {
            return None;
        }
        let traced = Traced {
            serial: session.serial,
            orders,
            phase: None,
            backend: None,
            server: None,
            tap: Box::default(),
        };
        self.sessions.insert(index, traced);
        Some(Box::default())
    }

    /// Tells what the step did.
    pub fn after(&mut self, id: SessionId, session: &Session, mut tap: Box<Tap>, now_ms: u64) {
        let Some(traced) = self.sessions.get_mut(&id.index()) else {
            return;
        };
        let mut lines = Vec::new();
        traced.phases(session, &mut lines);
        for (side, arrow) in ["->", "<-"].into_iter().enumerate() {
            let bytes = std::mem::take(&mut tap.bytes[side]);
            if bytes > 0 {
                lines.push(format!("{arrow} {bytes} bytes"));
            }
            let own = tap
                .seen
                .iter()
                .filter(|(upstream, _)| *upstream == (side == 0));
            lines.extend(own.map(|(_, text)| format!("{arrow}   {text}")));
        }
        tap.seen.clear();
        if let Some(end) = tap.end.take() {
            let (bytes_in, bytes_out, age_ms) = session.sums(now_ms);
            lines.push(format!(
                "end {end} after {age_ms} ms, {bytes_in} bytes in, {bytes_out} out"
            ));
        }
        let mut text = String::new();
        let stamp = crate::admin::time::stamp_ms(std::time::SystemTime::now());
        for line in lines {
            let _ = writeln!(text, "{stamp} 0x{:x} {line}", id.number());
        }
        if !text.is_empty() {
            traced.orders.iter().for_each(|order| order.send(&text));
        }
        match session.is_over() {
            true => drop(self.sessions.remove(&id.index())),
            false => traced.tap = tap,
        }
    }
}

impl Traced {
    /// Lines for what changed since the step before.
    fn phases(&mut self, session: &Session, lines: &mut Vec<String>) {
        let place = session.place();
        if self.phase.is_none() {
            let (client, frontend) = session.origin();
            let client = crate::admin::address::peer(client);
            lines.push(format!("session from {client} on {frontend}"));
        }
        if place.backend != self.backend {
            if let Some(backend) = &place.backend {
                lines.push(format!("backend {backend}"));
            }
            self.backend = place.backend;
        }
        if place.server != self.server {
            if let Some(server) = &place.server {
                lines.push(format!("server {server}"));
                // a near server answers within the step that connects
                if place.phase == Phase::Data {
                    lines.push(format!("phase {}", word(Phase::Connect)));
                }
            }
            self.server = place.server;
        }
        if self.phase != Some(place.phase) {
            lines.push(format!("phase {}", word(place.phase)));
            self.phase = Some(place.phase);
        }
    }
}

/// Where a session stands, for a trace.
pub struct Place {
    /// What it does.
    pub phase: Phase,
    /// Where it was routed.
    pub backend: Option<String>,
    /// Its server with the address.
    pub server: Option<String>,
}

/// A phase in a word.
pub fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Done => "done",
        Phase::Request => "inspect",
        Phase::Queue => "queue",
        Phase::Connect => "connect",
        Phase::Headers => "headers",
        Phase::Data => "relay",
        Phase::Last => "last data",
        Phase::Tarpit => "tarpit",
    }
}
