//! Edges of sessions' sockets: collected, so that the calls of several sessions are made together.

use super::Worker;
use crate::session::{Event, Ready};
use crate::uring::MOST;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

/// An edge of a session's socket.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    /// The session's place.
    index: usize,
    of_client: bool,
    ready: Ready,
    /// Its move in the batch.
    number: Option<usize>,
}

impl Edge {
    pub(super) fn new(event: &mio::event::Event) -> Edge {
        let token = event.token().0;
        Edge {
            index: token / 2,
            of_client: token.is_multiple_of(2),
            ready: Ready {
                readable: event.is_readable(),
                writable: event.is_writable(),
                ending: event.is_read_closed(),
                error: event.is_error(),
            },
            number: None,
        }
    }
}

impl Worker {
    /// Takes an edge; it is handled at [`Worker::step_edges`] at the latest.
    pub(super) fn note_edge(&mut self, edge: Edge) {
        self.edges.push(edge);
        if self.edges.len() == MOST {
            self.step_edges();
        }
    }

    /// Handles the edges that were noted.
    pub(super) fn step_edges(&mut self) {
        if self.edges.len() > 1 {
            self.move_ahead();
        }
        let mut edges = std::mem::take(&mut self.edges);
        for edge in edges.drain(..) {
            if let (Some(number), Some(batch)) = (edge.number, &mut self.shop.batch) {
                batch.begin(number);
            }
            let event = match edge.of_client {
                true => Event::Client(edge.ready),
                false => Event::Server(edge.ready),
            };
            self.step(edge.index, event);
            if let (Some(_), Some(batch)) = (edge.number, &mut self.shop.batch) {
                batch.end();
            }
        }
        self.edges = edges;
    }

    /// Receives and sends for all sessions of which only that is asked. One that somebody watches
    /// makes its calls itself, and so does a session at its second edge: the first may end it.
    fn move_ahead(&mut self) {
        let together = self.calls_go_together() && self.tracer.is_none();
        let Some(batch) = self.shop.batch.as_mut().filter(|_| together) else {
            return;
        };
        batch.clear();
        // Places seen, by their last bits: most are seen once, so few need a look at all before.
        let mut seen = 0_u64;
        for n in 0..self.edges.len() {
            let Edge {
                index,
                of_client,
                ready,
                ..
            } = self.edges[n];
            let bit = 1 << (index % 64);
            if seen & bit != 0 && self.edges[..n].iter().any(|earlier| earlier.index == index) {
                continue;
            }
            seen |= bit;
            let session = self.sessions.get(index);
            let one = session.and_then(|session| session.next_move(of_client, ready));
            self.edges[n].number = one.map(|one| batch.add(one));
        }
        match batch.run() {
            Ok(0) => {}
            Ok(moves) => {
                let sum = &self.mailbox.moves_ahead;
                sum.fetch_add(moves as u64, Relaxed);
            }
            Err(e) => self.batch_failed(&e),
        }
    }

    /// There is a ring, and the file in force does not forbid it (`nouring`).
    fn calls_go_together(&self) -> bool {
        self.shop.batch.is_some() && !self.generation.conf.global.disable.uring
    }

    /// Frees what ended in this turn: closes its sockets.
    pub(super) fn bury(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let together = self.calls_go_together();
        while let Some(index) = self.ended.pop() {
            let session = self.sessions.try_remove(index);
            if let Some(session) = session.filter(|_| together) {
                session.give_sockets(&mut self.closing);
            }
            // a session has two
            if self.closing.len() > MOST - 2 || self.ended.is_empty() {
                self.close_sockets();
            }
        }
        self.mailbox.load.store(self.sessions.len() as u32, Relaxed);
    }

    fn close_sockets(&mut self) {
        let batch = self.shop.batch.as_mut();
        if let Some(Err(e)) = batch.map(|batch| batch.close(&mut self.closing)) {
            self.batch_failed(&e);
        }
    }

    fn batch_failed(&self, error: &io::Error) {
        self.runtime.warn(&format!(
            "io_uring failed, each session makes its own calls now: {error}"
        ));
    }
}
