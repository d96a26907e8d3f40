//! A session from accept to log line: the phases in order, as one state
//! machine.
//!
//! ```text
//! greet    a PROXY header, where one is expected          -> inspect
//! inspect  content rules, choice of the backend           -> queue
//! queue    a server's slot, at most `timeout queue`       -> connect
//! connect  retries, rests between them, redispatch        -> relay
//! relay    both ways until both sides have ended          -> log
//! leave    told to go (`rebalance`): goodbyes both ways     -> log
//! ```
//!
//! [`Session::step`] is the only entry: an event of a socket, a deadline, the
//! end of a wait in a queue, or a kill. The data thread (`worker`) owns the
//! sessions; what costs memory only for some of them is in [`Extra`].

mod connect;
mod dial;
mod end;
mod facts;
mod leave;
mod pass;
mod route;
mod view;

pub(crate) use self::dial::size_buffers;
use crate::core::amqp_frames::Talk;
use crate::core::expr::Sample;
use crate::core::queue::Priority;
use crate::counters::Thread;
use crate::listener::{Accepted, Admission};
use crate::relay::{Flow, Side, Workshop};
use crate::state::{
    Answer, BackLive, Cause, Dismissal, End, Generation, Mailbox, Peer, Phase, Proxy, Runtime,
    Server, SessionId, Slot, Ticket,
};
use conf::lb::model::{LogLevel, RuleLine};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// What a step may use of its thread.
pub struct Context<'a> {
    /// The process.
    pub runtime: &'a Arc<Runtime>,
    /// What new sessions are routed by.
    pub generation: &'a Arc<Generation>,
    /// The thread's mailbox, for answers.
    pub mailbox: &'a Arc<Mailbox>,
    /// Where sockets are registered.
    pub registry: &'a Registry,
    /// Buffer and pipes.
    pub shop: &'a mut Workshop,
    /// Process clock.
    pub now_ms: u64,
    /// The session's own id.
    pub id: SessionId,
}

impl Context<'_> {
    fn thread(&self) -> Thread {
        self.mailbox.thread
    }
}

/// What happened.
pub enum Event<'a> {
    /// The client's socket changed.
    Client(Ready),
    /// The server's socket changed.
    Server(Ready),
    /// The wheel asks: is a deadline over?
    Deadline,
    /// The wait in a queue ended.
    Queue(Answer),
    /// It is to end.
    Kill(Cause),
    /// It is to end politely.
    Dismiss(&'a Dismissal),
    /// It asked for another turn.
    Turn,
    /// The server has waited long enough for the client's first bytes.
    EndHandshake,
}

/// Edges that a poll reported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    /// Data, or the end.
    pub readable: bool,
    /// Room.
    pub writable: bool,
    /// The peer's FIN.
    pub ending: bool,
    /// An error, such as a RST.
    pub error: bool,
}

/// What the thread does with the session next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Wait for an event.
    Wait,
    /// As `Wait`, and its deadline may be earlier than before.
    Rearm,
    /// Come back after others had their turn.
    Again,
    /// As `Rearm`, and come back in a moment: the handshake with the server waits for bytes.
    HoldHandshake,
    /// It ended: everything is closed, counted and logged.
    Over,
}

/// Where a session stands; the deadline of a stage lives in it.
enum Stage {
    Greet {
        until: Option<u64>,
    },
    Inspect {
        until: Option<u64>,
        of_backend: bool,
    },
    Queue {
        ticket: Ticket,
        until: Option<u64>,
    },
    Connect {
        until: Option<u64>,
    },
    Rest {
        until: u64,
    },
    Relay,
    Leave(Box<leave::Leaving>),
    Over,
}

/// One session.
pub struct Session {
    /// Distinguishes it from the one that had its place before.
    pub serial: u32,
    stage: Stage,
    client: Side,
    server: Option<Side>,
    /// From the client to the server.
    upstream: Flow,
    /// From the server to the client.
    downstream: Flow,
    admission: Admission,
    routed: Option<Routed>,
    slot: Option<Slot>,
    attached: Option<Attached>,
    accepted_ms: u64,
    client_ms: u64,
    server_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
    queued_ms: Option<u32>,
    connected_ms: Option<u32>,
    retries: u16,
    redispatched: bool,
    logged: bool,
    hold_response: bool,
    client_peer: Peer,
    /// Frames are followed (`rebalance`, `drain-sessions`).
    talk: Option<Box<Talk>>,
    extra: Option<Box<Extra>>,
}

/// What only some sessions need.
#[derive(Default)]
pub struct Extra {
    pub(crate) local: Option<Peer>,
    pub(crate) pinned: Option<Arc<Server>>,
    pub(crate) avoid: Option<Arc<Server>>,
    pub(crate) server: Option<Arc<Server>>,
    pub(crate) server_queue: u32,
    pub(crate) backend_queue: u32,
    pub(crate) response_until: Option<u64>,
    /// The connection's own addresses, once a PROXY header or a later rule gave the session others.
    pub(crate) socket: (Option<Peer>, Option<Peer>),
    /// `set-src` and `set-src-port`, until they are applied.
    pub(crate) source: Option<Peer>,
    pub(crate) variables: Vec<(String, Sample)>,
    pub(crate) captures: Vec<Option<Vec<u8>>>,
    /// The rule that ended the last list of content rules.
    pub(crate) last_rule: Option<RuleLine>,
    pub(crate) priority: Priority,
    pub(crate) level: Option<LogLevel>,
    /// A PROXY header is expected by a rule, and one came.
    pub(crate) expects_header: bool,
    pub(crate) greeted: bool,
    pub(crate) authority: Option<Vec<u8>>,
    pub(crate) unique_id: Option<Vec<u8>>,
    /// What `unique-id-format` gave, once somebody was told.
    pub(crate) name: Option<String>,
    /// Time that the PROXY header took.
    pub(crate) handshake_ms: u32,
    /// The date of the accept, once a line at the start has told it.
    pub(crate) accepted: Option<std::time::SystemTime>,
}

/// A session counted in a backend.
struct Routed {
    proxy: Arc<Proxy>,
}

impl Routed {
    fn new(proxy: Arc<Proxy>, thread: Thread, now_ms: u64) -> Routed {
        if let Some(back) = &proxy.back {
            back.sessions.up();
            back.session_rate.add(now_ms);
            back.counters.of(thread).sessions.add(1);
        }
        Routed { proxy }
    }

    fn back(&self) -> Option<&Arc<BackLive>> {
        self.proxy.back.as_ref()
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        if let Some(back) = &self.proxy.back {
            back.sessions.down();
        }
    }
}

/// A session counted at a server.
struct Attached {
    server: Arc<Server>,
}

impl Attached {
    fn new(server: Arc<Server>) -> Attached {
        server.sessions.up();
        Attached { server }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.server.sessions.down();
    }
}

impl Session {
    /// A session for an accepted connection; give it [`Session::begin`] next.
    pub fn new(accepted: Accepted, serial: u32, now_ms: u64) -> Session {
        Session {
            serial,
            stage: Stage::Rest { until: now_ms },
            client: Side::new(accepted.socket),
            server: None,
            upstream: Flow::default(),
            downstream: Flow::default(),
            admission: accepted.admission,
            routed: None,
            slot: None,
            attached: None,
            accepted_ms: accepted.at_ms,
            client_ms: now_ms,
            server_ms: now_ms,
            bytes_in: 0,
            bytes_out: 0,
            queued_ms: None,
            connected_ms: None,
            retries: 0,
            redispatched: false,
            logged: false,
            hold_response: false,
            client_peer: accepted.client,
            talk: None,
            extra: None,
        }
    }

    /// The client's socket, to be registered.
    pub fn client_socket(&self) -> &socket2::Socket {
        &self.client.socket
    }

    /// All that is left of a session that has ended: sockets to be closed.
    pub fn give_sockets(self, to: &mut Vec<OwnedFd>) {
        to.push(self.client.socket.into());
        to.extend(self.server.map(|server| OwnedFd::from(server.socket)));
    }

    fn frontend(&self) -> &Arc<Proxy> {
        &self.admission.listener().proxy
    }

    fn backend(&self) -> &Arc<Proxy> {
        match &self.routed {
            Some(routed) => &routed.proxy,
            None => self.frontend(),
        }
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The whole behaviour: what happens at an event.
    pub fn step(&mut self, cx: &mut Context<'_>, event: Event<'_>) -> Turn {
        let turn = self.act(cx, event);
        self.watch_room(cx, turn)
    }

    /// Asks the poll to tell when a socket that took less than it was given has room again.
    /// Most sockets never need it, so they are not registered for it from the start.
    fn watch_room(&mut self, cx: &mut Context<'_>, turn: Turn) -> Turn {
        let stuck_server = self.server.as_ref().is_some_and(Side::is_stuck);
        if !(self.client.is_stuck() || stuck_server) || turn == Turn::Over {
            return turn;
        }
        let token = cx.id.index() * 2;
        let client = hear_room(&mut self.client, cx.registry, Token(token));
        let server = match &mut self.server {
            Some(server) => hear_room(server, cx.registry, Token(token + 1)),
            None => Ok(()),
        };
        if client.and(server).is_ok() {
            return turn;
        }
        let end = End {
            cause: Cause::Resource,
            phase: self.phase(),
        };
        self.finish(cx, end)
    }

    fn act(&mut self, cx: &mut Context<'_>, event: Event<'_>) -> Turn {
        match event {
            Event::Client(ready) => self.client_ready(cx, ready),
            Event::Server(ready) => self.server_ready(cx, ready),
            Event::Deadline => self.deadline_passed(cx),
            Event::Queue(answer) => self.wait_ended(cx, answer),
            Event::Kill(cause) => {
                let phase = match self.phase() {
                    Phase::Data => Phase::Done,
                    phase => phase,
                };
                self.finish(cx, End { cause, phase })
            }
            Event::Dismiss(dismissal) => self.dismiss(cx, dismissal),
            Event::Turn => match self.stage {
                Stage::Relay => self.relay(cx),
                Stage::Leave(_) => self.leave(cx),
                _ => Turn::Wait,
            },
            Event::EndHandshake => self.end_handshake(),
        }
    }

    fn client_ready(&mut self, cx: &mut Context<'_>, ready: Ready) -> Turn {
        note(&mut self.client, ready);
        match self.stage {
            Stage::Relay => self.relay(cx),
            Stage::Leave(_) => self.leave(cx),
            Stage::Over => Turn::Wait,
            _ if ready.error => self.client_reset(cx),
            Stage::Inspect { .. } => self.route(cx),
            Stage::Greet { .. } => self.greet(cx),
            Stage::Queue { .. } | Stage::Connect { .. } | Stage::Rest { .. } => {
                match ready.ending && self.left_early(cx.now_ms) {
                    true => self.client_closed_early(cx),
                    false => Turn::Wait,
                }
            }
        }
    }

    fn server_ready(&mut self, cx: &mut Context<'_>, ready: Ready) -> Turn {
        let Some(server) = &mut self.server else {
            return Turn::Wait;
        };
        match self.stage {
            Stage::Connect { .. } if ready.error || ready.ending && !ready.writable => {
                match server.socket.take_error() {
                    // The server had accepted: another try would find it the same.
                    Ok(Some(error)) if error.kind() == ErrorKind::ConnectionReset => {
                        self.reset_at_once(cx, error)
                    }
                    _ => self.connect_failed(cx, connect::Failure::Refused),
                }
            }
            Stage::Connect { .. } if ready.writable => {
                note(server, ready);
                self.connected(cx)
            }
            Stage::Relay => {
                note(server, ready);
                self.relay(cx)
            }
            Stage::Leave(_) => {
                note(server, ready);
                self.leave(cx)
            }
            Stage::Connect { .. }
            | Stage::Greet { .. }
            | Stage::Inspect { .. }
            | Stage::Queue { .. }
            | Stage::Rest { .. }
            | Stage::Over => Turn::Wait,
        }
    }

    fn deadline_passed(&mut self, cx: &mut Context<'_>) -> Turn {
        let over = |until: Option<u64>| until.is_some_and(|u| u <= cx.now_ms);
        match &self.stage {
            Stage::Leave(leaving) if over(Some(leaving.until_ms)) => return self.leave_late(cx),
            _ => {}
        }
        match self.stage {
            Stage::Greet { until } if over(until) => self.greeting_late(cx),
            Stage::Inspect { until, .. } if over(until) => self.route(cx),
            Stage::Queue { until, .. } if over(until) => self.queued_too_long(cx),
            Stage::Connect { until } if over(until) => {
                self.connect_failed(cx, connect::Failure::Timeout)
            }
            Stage::Rest { until } if over(Some(until)) => self.connect(cx),
            Stage::Relay => self.relay_deadline(cx),
            Stage::Greet { .. }
            | Stage::Inspect { .. }
            | Stage::Queue { .. }
            | Stage::Connect { .. }
            | Stage::Rest { .. }
            | Stage::Leave(_)
            | Stage::Over => Turn::Rearm,
        }
    }

    /// When the wheel should ask next.
    pub fn deadline_ms(&self) -> Option<u64> {
        match &self.stage {
            Stage::Greet { until }
            | Stage::Inspect { until, .. }
            | Stage::Queue { until, .. }
            | Stage::Connect { until } => *until,
            Stage::Rest { until } => Some(*until),
            Stage::Relay => {
                let (client, server) = self.relay_timers();
                let response = self.extra.as_ref().and_then(|e| e.response_until);
                [client, server, response].into_iter().flatten().min()
            }
            Stage::Leave(leaving) => Some(leaving.until_ms),
            Stage::Over => None,
        }
    }

    /// It has ended, and only its place is still taken.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn phase(&self) -> Phase {
        match self.stage {
            Stage::Greet { .. } | Stage::Inspect { .. } => Phase::Request,
            Stage::Queue { .. } => Phase::Queue,
            Stage::Connect { .. } | Stage::Rest { .. } => Phase::Connect,
            Stage::Relay if self.upstream.passed_on && self.downstream.ended => Phase::Last,
            Stage::Relay | Stage::Leave(_) => Phase::Data,
            Stage::Over => Phase::Done,
        }
    }
}

fn note(side: &mut Side, ready: Ready) {
    side.readable |= ready.readable || ready.error || ready.ending;
    side.writable |= ready.writable || ready.error;
    side.ending |= ready.ending;
}

fn hear_room(side: &mut Side, registry: &Registry, token: Token) -> io::Result<()> {
    if !side.is_stuck() {
        return Ok(());
    }
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.reregister(&mut SourceFd(&side.socket.as_raw_fd()), token, both)?;
    side.hears_room = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Session;

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 360, "{}", size_of::<Session>());
    }
}
