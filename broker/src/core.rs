//! The broker's engine: what the protocol, the exchanges and the queues decide, free of sockets, files and clocks.
//!
//! [`Core`] is the root. Bytes of connections and the time go in ([`Core::receive`], [`Core::tick`],
//! [`Core::end_turn`]); bytes for connections, records for the journal and [`Effect`]s come out. Connections, queues and
//! the journal meet only through numbers (places, sequence numbers, positions), so that queues can move to cores of
//! their own.

pub mod access;
pub mod alarm;
mod answers;
pub mod browse;
pub mod channel;
mod cold;
mod confirm;
pub mod connection;
mod consume;
mod declare;
pub mod definitions;
mod deliver;
mod dispatch;
pub mod exchange;
pub mod field;
pub mod frame;
mod handshake;
pub mod journal;
mod leaving;
pub mod letters;
mod lifecycle;
pub mod limits;
pub mod message;
pub mod metadata;
pub mod method;
mod names;
pub mod output;
mod paging;
pub mod policy;
pub mod properties;
mod publish;
pub mod queue;
pub mod refusal;
mod reply;
mod restore;
mod returning;
mod serving;
pub mod settings;
mod settle;
#[cfg(test)]
mod tests;
mod timers;
mod trace;
pub mod traffic;
mod transaction;
mod unfinished;
pub mod vhost;
pub mod wire;

use access::{LoginCache, PasswordCheck};
use alarm::Alarms;
use answers::Owed;
use connection::{At, Connection};
use handshake::Greeting;
use journal::{Journal, Position};
use leaving::Leaving;
use letters::{Deaths, Letter};
use metadata::{Command, Metadata};
use names::Names;
use queue::{Queue, QueueCounters};
use returning::{RETURNED, Returning};
use settings::Settings;
use slab::Slab;
use std::collections::VecDeque;
use timers::Timers;
use trace::Tap;
use traffic::Taken;
use vhost::QueueId;

pub use declare::{Declared, DeleteIf, ExchangeDeclaration, QueueDeclaration, name_fits};
pub use publish::Published;

/// The time of the current turn, given from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// Milliseconds since the node started, never going back.
    pub now_ms: u64,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
}

/// What the engine asks of the world around it, besides writing output and the journal.
#[derive(Debug)]
pub enum Effect {
    /// Write what waits for this connection, then close its socket.
    Close { connection: u32, serial: u64 },
    /// Check a password where blocking is allowed, then call [`Core::verified`].
    Verify {
        connection: u32,
        serial: u64,
        check: Box<PasswordCheck>,
    },
    /// Give the bytes that were not used to [`Core::receive`] again: it was not ready for them.
    Resume { connection: u32 },
}

/// What has happened on this node since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    pub connections_created: u64,
    pub connections_closed: u64,
    pub channels_created: u64,
    pub channels_closed: u64,
    pub queues_declared: u64,
    pub queues_created: u64,
    pub queues_deleted: u64,
    pub publish: u64,
    pub confirm: u64,
    pub return_unroutable: u64,
    pub drop_unroutable: u64,
    pub taken: Taken,
    /// Publishes on channels in confirm mode.
    pub publish_confirm: u64,
    /// AMQP logins that were granted, and refused.
    pub logins: (u64, u64),
    /// Messages that left queues undelivered.
    pub deaths: Deaths,
    /// What deleted queues had counted: without it the sums over queues would fall.
    pub gone_classic: QueueCounters,
    pub gone_quorum: QueueCounters,
    /// Stored messages that could not be read back.
    pub unreadable: u64,
}

/// The engine.
pub struct Core {
    pub settings: Settings,
    pub clock: Clock,
    pub metadata: Metadata,
    pub journal: Box<dyn Journal>,
    pub connections: Slab<Connection>,
    pub alarms: Alarms,
    pub statistics: Statistics,
    pub logins: LoginCache,
    /// Live queues by the place in their id.
    queues: Vec<Option<Box<Queue>>>,
    effects: Vec<Effect>,
    /// Connections with something to write.
    dirty: Vec<u32>,
    /// Queues to deliver from, trim or expire at the turn's end.
    scheduled: Vec<QueueId>,
    /// Queues whose next message is being read beside, the longest waiting first.
    reading: Vec<QueueId>,
    /// Connections whose `basic.get` waits for the same.
    getting: Vec<(u32, u64)>,
    /// Queues that had more to do than one turn allows.
    later: Vec<QueueId>,
    /// Channels with confirms to send or waiting for the journal.
    confirming: Vec<At>,
    /// Answers to declarations that are not on the disk yet, in the journal's order.
    owed: VecDeque<Owed>,
    /// Behind the last change of the metadata in the journal.
    changed: Position,
    /// What the answer to the request at hand says is there once the journal has come so far.
    rests_on: Position,
    letters: VecDeque<Letter>,
    /// Deliveries on their way back to their queues, too many for one turn.
    returning: VecDeque<Returning>,
    /// Messages that are gone, but not yet settled.
    leaving: Leaving,
    /// How many more this turn takes back.
    takes_back: usize,
    /// Copies for the firehose, posted at the turn's end.
    taps: Vec<Tap>,
    /// Whether any virtual host is traced.
    traced: bool,
    timers: Timers,
    names: Names,
    next_serial: u64,
    greeting: Greeting,
    /// Where messages are assembled.
    scratch: Vec<u8>,
    /// Bytes of messages held in queues' memory.
    resident: u64,
    stopping: bool,
    /// Stopped on an operator's word, with the process still there: clients are turned away.
    suspended: bool,
    /// Who is here is served, and nobody else.
    closed_to_new: bool,
}

/// The queue that has the place of this one, beside the other parts of the core: for ids that are known to be in use.
#[inline]
fn in_place(queues: &mut [Option<Box<Queue>>], id: QueueId) -> Option<&mut Queue> {
    queues.get_mut(id.index as usize)?.as_deref_mut()
}

impl Core {
    /// An engine without any vhost or user. `seed` makes generated names and keys unguessable.
    pub fn new(settings: Settings, journal: Box<dyn Journal>, seed: [u8; 32]) -> Core {
        Core {
            settings,
            clock: Clock::default(),
            metadata: Metadata::default(),
            journal,
            connections: Slab::new(),
            alarms: Alarms::default(),
            statistics: Statistics::default(),
            logins: LoginCache::new(seed),
            queues: Vec::new(),
            effects: Vec::new(),
            dirty: Vec::new(),
            scheduled: Vec::new(),
            reading: Vec::new(),
            getting: Vec::new(),
            later: Vec::new(),
            confirming: Vec::new(),
            owed: VecDeque::new(),
            changed: Position::default(),
            rests_on: Position::default(),
            letters: VecDeque::new(),
            returning: VecDeque::new(),
            leaving: Leaving::default(),
            takes_back: RETURNED,
            taps: Vec::new(),
            traced: false,
            timers: Timers::default(),
            names: Names::new(seed),
            next_serial: 1,
            greeting: Greeting::default(),
            scratch: Vec::new(),
            resident: 0,
            stopping: false,
            suspended: false,
            closed_to_new: false,
        }
    }

    /// Makes a change: writes it to the journal where it must survive, applies it, and lets live queues follow.
    ///
    /// The checks that may refuse it come before; see for example [`Core::declare_queue`].
    pub fn execute(&mut self, command: Command) {
        self.note_change(&command);
        self.replay(&command);
    }

    /// Writes a change to the journal where it must survive.
    fn note_change(&mut self, command: &Command) {
        if self.metadata.is_kept(command) {
            self.changed = self.journal.command(command);
            self.rests_on = self.changed;
        }
    }

    /// Applies a change that the journal already has.
    pub fn replay(&mut self, command: &Command) {
        let gone = self.ends_with(command);
        self.metadata.apply(command);
        self.follow(command, gone);
        if let Command::PutVhost(_) | Command::DeleteVhost { .. } = command {
            self.note_tracing();
        }
    }

    /// The queue at `id`, unless it has been deleted.
    #[inline]
    pub fn queue(&self, id: QueueId) -> Option<&Queue> {
        self.queues
            .get(id.index as usize)?
            .as_deref()
            .filter(|queue| queue.id == id)
    }

    /// The same, to change it.
    #[inline]
    pub fn queue_mut(&mut self, id: QueueId) -> Option<&mut Queue> {
        self.queues
            .get_mut(id.index as usize)?
            .as_deref_mut()
            .filter(|queue| queue.id == id)
    }

    /// The queue of that name.
    pub fn find_queue(&self, vhost: &str, name: &str) -> Option<&Queue> {
        self.queue(self.metadata.vhost(vhost)?.queues.get(name)?.id)
    }

    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().flatten().map(|queue| &**queue)
    }

    /// Takes the effects gathered so far.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The next connection that has something to write.
    pub fn next_dirty(&mut self) -> Option<u32> {
        while let Some(index) = self.dirty.pop() {
            if let Some(connection) = self.connections.get_mut(index as usize) {
                connection.dirty = false;
                return Some(index);
            }
        }
        None
    }

    /// Whether another turn has something to do at once.
    pub fn has_work(&self) -> bool {
        !self.scheduled.is_empty()
            || !self.later.is_empty()
            || !self.letters.is_empty()
            || !self.returning.is_empty()
            || !self.leaving.is_empty()
            || !self.taps.is_empty()
            || !self.effects.is_empty()
            || !self.dirty.is_empty()
    }

    #[inline]
    fn touch(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Puts a queue on the list of those to look after at the turn's end.
    #[inline]
    fn schedule(&mut self, id: QueueId) {
        if let Some(queue) = in_place(&mut self.queues, id)
            && !queue.scheduled
        {
            queue.scheduled = true;
            self.scheduled.push(id);
        }
    }

    /// Delivers, dead-letters, confirms: everything that follows from the events of this turn.
    pub fn end_turn(&mut self) {
        self.deliver_all();
        self.confirm_all();
    }

    /// The first half of a turn's end: what can be delivered is, before anybody waits for the journal.
    pub fn deliver_all(&mut self) {
        self.run_timers();
        self.take_arrived();
        self.take_some_back();
        self.let_some_go();
        for id in std::mem::take(&mut self.later) {
            self.schedule(id);
        }
        loop {
            while let Some(id) = self.scheduled.pop() {
                self.run_queue(id);
            }
            if self.letters.is_empty() && self.taps.is_empty() {
                break;
            }
            self.post_letters();
            self.post_taps();
        }
    }

    /// The second half: the journal gets what was appended, and clients the confirms and answers that are due.
    pub fn confirm_all(&mut self) {
        self.journal.flush();
        self.send_confirms();
        self.send_owed();
    }

    /// Whether any client waits for the journal.
    pub fn awaits_journal(&self) -> bool {
        !self.confirming.is_empty() || !self.owed.is_empty()
    }

    /// Whether anybody is to be written to.
    pub fn has_output(&self) -> bool {
        !self.dirty.is_empty()
    }
}
