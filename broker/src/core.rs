//! The broker's engine: what the protocol, the exchanges and the queues decide, free of sockets, files and clocks.
//!
//! [`Core`] is the root. Bytes of connections and the time go in, bytes for connections, records for the journal and
//! [`Effect`]s come out.

pub mod access;
pub mod definitions;
pub mod exchange;
pub mod field;
pub mod journal;
pub mod limits;
pub mod message;
pub mod metadata;
pub mod policy;
pub mod refusal;
pub mod settings;
pub mod vhost;

use journal::Journal;
use metadata::{Command, Metadata};
use settings::Settings;

/// The time of the current turn, given from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// Milliseconds since the node started, never going back.
    pub now_ms: u64,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
}

/// The engine.
pub struct Core {
    pub settings: Settings,
    pub clock: Clock,
    pub metadata: Metadata,
    pub journal: Box<dyn Journal>,
}

impl Core {
    pub fn new(settings: Settings, journal: Box<dyn Journal>) -> Core {
        Core {
            settings,
            clock: Clock::default(),
            metadata: Metadata::default(),
            journal,
        }
    }

    /// Makes a change: writes it to the journal where it must survive, applies it, and lets live queues follow.
    pub fn execute(&mut self, command: Command) {
        if self.metadata.is_kept(&command) {
            self.journal.command(&command);
        }
        self.metadata.apply(&command);
    }
}
