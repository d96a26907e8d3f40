//! What a check says to a server and what it makes of the answers.
//!
//! Every kind of check is a [`Dialogue`]: events in, one [`Step`] out, no
//! socket and no clock. `attempt` does what the steps ask for.

use super::agent::Agent;
use super::amqp::Amqp;
use super::mysql::Mysql;
use super::script::Script;
use crate::core::agent::Report;
use crate::core::health::CheckStatus;
use crate::state::{Proxy, Runtime, Server};
use conf::lb::model::{CheckConnect, CheckKind};
use std::sync::Arc;

/// What happened on the connection.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connection that was asked for is established.
    Connected,
    /// Everything given to [`Step::Send`] is on its way.
    Sent,
    /// Bytes came (possibly none), and perhaps the end of the stream with them.
    Received(&'a [u8], bool),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Open a connection, after closing the one there is.
    Connect(CheckConnect),
    /// Send this.
    Send(Vec<u8>),
    /// Wait for bytes.
    Receive,
    /// The check is over.
    Done(Finding),
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Status.
    pub status: CheckStatus,
    /// The application's code.
    pub code: u32,
    /// More in words; empty for none.
    pub text: String,
    /// What an agent said.
    pub agent: Option<Box<Report>>,
}

impl Finding {
    /// A finding with a text.
    pub fn new(status: CheckStatus, code: u32, text: impl Into<String>) -> Finding {
        Finding {
            status,
            code,
            text: text.into(),
            agent: None,
        }
    }

    /// A finding that its status says completely.
    pub fn bare(status: CheckStatus) -> Finding {
        Finding::new(status, 0, "")
    }
}

/// What a script may mention about the server that it checks.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The backend's name.
    pub backend: String,
    /// The server's name.
    pub server: String,
    /// The address that is checked.
    pub address: String,
    /// The port that is checked.
    pub port: u16,
    /// The name of this balancer (`node` or the host's name).
    pub node: String,
    /// A 404 means: no new sessions (`http-check disable-on-404`).
    pub disable_on_404: bool,
    /// State and load for `http-check send-state`.
    pub state: String,
    /// Where counters and names are looked up.
    pub surroundings: Option<Surroundings>,
}

/// The process around a check.
#[derive(Clone)]
pub struct Surroundings {
    /// The process.
    pub runtime: Arc<Runtime>,
    /// The backend of the server.
    pub backend: Arc<Proxy>,
    /// The server that is checked.
    pub server: Arc<Server>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.backend.name(), self.server.name())
    }
}

/// The kinds of check.
#[derive(Clone, Debug)]
pub enum Dialogue {
    /// Connect, nothing else.
    Connect,
    /// `tcp-check` and `http-check` scripts.
    Script(Box<Script>),
    /// `option amqp-check`.
    Amqp(Box<Amqp>),
    /// `option mysql-check`.
    Mysql(Box<Mysql>),
    /// `agent-check`.
    Agent(Box<Agent>),
}

impl Dialogue {
    /// The start of a check of this kind; nothing for a kind that is not a
    /// dialogue over a socket.
    pub fn new(kind: &CheckKind, facts: &Facts) -> Option<Dialogue> {
        Some(match kind {
            CheckKind::Connect => Dialogue::Connect,
            CheckKind::Tcp(steps) => Dialogue::Script(Box::new(Script::tcp(steps, facts))),
            CheckKind::Protocol(steps) => {
                Dialogue::Script(Box::new(Script::protocol(steps, facts)))
            }
            CheckKind::Http(steps) => Dialogue::Script(Box::new(Script::http(steps, facts))),
            CheckKind::Amqp(settings) => Dialogue::Amqp(Box::new(Amqp::new(settings.clone()))),
            CheckKind::Mysql(settings) => Dialogue::Mysql(Box::new(Mysql::new(settings.clone()))),
            CheckKind::External(_) => return None,
        })
    }

    /// How the first connection is to be opened.
    pub fn first_connect(&mut self) -> CheckConnect {
        match self {
            Dialogue::Script(script) => script.first_connect(),
            Dialogue::Connect | Dialogue::Amqp(_) | Dialogue::Mysql(_) | Dialogue::Agent(_) => {
                CheckConnect::default()
            }
        }
    }

    /// Takes an event.
    pub fn step(&mut self, event: Event<'_>) -> Step {
        match self {
            Dialogue::Connect => Step::Done(Finding::bare(CheckStatus::L4Ok)),
            Dialogue::Script(script) => script.step(event),
            Dialogue::Amqp(amqp) => amqp.step(event),
            Dialogue::Mysql(mysql) => mysql.step(event),
            Dialogue::Agent(agent) => agent.step(event),
        }
    }

    /// The finding when a connection is there but nothing happened in time.
    pub fn timed_out(&self) -> Finding {
        match self {
            Dialogue::Connect => Finding::bare(CheckStatus::L4Timeout),
            Dialogue::Script(script) => script.timed_out(),
            Dialogue::Amqp(amqp) => amqp.timed_out(),
            Dialogue::Mysql(_) | Dialogue::Agent(_) => Finding::bare(CheckStatus::L7Timeout),
        }
    }

    /// Where the check stands, to follow the reason of a failed connection:
    /// ` at step 2 of tcp-check (send)`; mostly empty.
    pub fn position(&self) -> String {
        match self {
            Dialogue::Script(script) => script.position(),
            Dialogue::Connect | Dialogue::Amqp(_) | Dialogue::Mysql(_) | Dialogue::Agent(_) => {
                String::new()
            }
        }
    }

    /// Whether bytes are there that it has not judged yet.
    pub fn has_input(&self) -> bool {
        match self {
            Dialogue::Script(script) => script.has_input(),
            Dialogue::Connect | Dialogue::Amqp(_) | Dialogue::Mysql(_) | Dialogue::Agent(_) => {
                false
            }
        }
    }

    /// Whether the last byte is followed by a proper close rather than a reset.
    pub fn closes_properly(&self) -> bool {
        match self {
            Dialogue::Connect | Dialogue::Agent(_) => false,
            Dialogue::Script(script) => script.lingers(),
            Dialogue::Amqp(_) | Dialogue::Mysql(_) => true,
        }
    }
}
