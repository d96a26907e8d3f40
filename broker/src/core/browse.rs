//! Reading, moving and publishing for somebody who has no connection: the management interface.
//!
//! Reading and moving go step by step. Whoever wants them calls again until they are done, and others are served
//! meanwhile, also while the disk reads what is not in memory.

use super::Core;
use super::letters::Reason;
use super::message::Message;
use super::properties::{Properties, glance};
use super::queue::{Entry, Place, Queue};
use super::refusal::{Code, Refusal};
use super::traffic::Taken;
use super::vhost::{Envelope, QueueId};

/// One step of the work takes so many messages at most, and reads so many bytes: others are served between two steps.
const STEP: usize = 256;
const STEP_BYTES: usize = 1 << 20;
/// Bodies that one reading holds: it ends with the message that reaches this.
const MOST_BYTES: usize = 32 << 20;

/// What becomes of messages that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// They stay in their places, to be flagged when they go out again.
    Back,
    /// They are gone.
    Gone,
    /// They are rejected: to the dead-letter exchange, where there is one.
    Rejected,
}

/// A message that was read.
#[derive(Debug, Clone)]
pub struct Browsed {
    /// The message.
    pub message: Message,
    /// Whether it had been out before.
    pub redelivered: bool,
    /// Messages ready behind it.
    pub left: usize,
}

/// How far such work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// Go on whenever you like.
    More,
    /// The next message is being read from the disk, or on its way back: go on in a moment.
    Waits,
}

/// Reading of the first ready messages of a queue, in their order.
#[derive(Debug)]
pub struct Browse {
    pub vhost: String,
    pub name: String,
    pub leave: Leave,
    /// How many at most.
    pub wanted: usize,
    /// Bytes after which it ends, however many are wanted.
    pub most_bytes: usize,
    /// What was read so far.
    pub read: Vec<Browsed>,
    bytes: usize,
    /// The place of the last one that stayed.
    last: Option<Place>,
}

impl Browse {
    pub fn new(vhost: &str, name: &str, wanted: usize, leave: Leave) -> Browse {
        Browse {
            vhost: vhost.to_owned(),
            name: name.to_owned(),
            leave,
            wanted,
            most_bytes: MOST_BYTES,
            read: Vec::new(),
            bytes: 0,
            last: None,
        }
    }
}

/// Moving of ready messages to an exchange. Each leaves its queue only after another has it; the first that finds none
/// ends the moving.
#[derive(Debug)]
pub struct Moving {
    pub vhost: String,
    pub name: String,
    pub exchange: String,
    pub key: String,
    /// How many are still to go at most; those that come meanwhile stay.
    pub wanted: usize,
    pub moved: usize,
}

impl Core {
    fn browsed_queue(&self, vhost: &str, name: &str) -> Result<QueueId, Refusal> {
        let found = self
            .metadata
            .vhost(vhost)
            .ok_or_else(|| Refusal::new(Code::NotAllowed, format!("vhost {vhost} not found")))?;
        let record = found.queues.get(name);
        record
            .map(|record| record.id)
            .ok_or_else(|| Refusal::no_queue(vhost, name))
    }

    /// Reads some more messages.
    pub fn browse(&mut self, browse: &mut Browse) -> Result<Progress, Refusal> {
        let id = self.browsed_queue(&browse.vhost, &browse.name)?;
        if self.queue(id).is_some_and(Queue::rests) {
            return Ok(Progress::Waits);
        }
        self.run_queue(id);
        let (mut count, before) = (0, browse.bytes);
        let progress = loop {
            if browse.read.len() >= browse.wanted || browse.bytes >= browse.most_bytes {
                break Progress::Done;
            }
            if count >= STEP || browse.bytes - before >= STEP_BYTES {
                break Progress::More;
            }
            let step = match browse.leave {
                Leave::Back => self.read_in_place(id, browse),
                Leave::Gone | Leave::Rejected => self.read_and_take(id, browse),
            };
            if let Err(progress) = step {
                break progress;
            }
            count += 1;
        };
        if progress == Progress::Done && browse.read.is_empty() {
            let taken = Taken {
                get_empty: 1,
                ..Taken::default()
            };
            self.note_taken(id, None, &taken);
        }
        self.schedule(id);
        Ok(progress)
    }

    /// Reads the next message where it is.
    fn read_in_place(&mut self, id: QueueId, browse: &mut Browse) -> Result<(), Progress> {
        let mut entry = self
            .next_after(id, browse.last)
            .map(|entry| entry.clone())
            .ok_or(Progress::Done)?;
        if let Some(stored) = entry.cold()
            && !self.is_at_hand(id, stored)
        {
            return Err(Progress::Waits);
        }
        let found = super::deliver::bytes_of(&mut *self.journal, &mut entry);
        if let Some(entry) = self.next_after(id, browse.last) {
            browse.last = Some(Place::of(entry));
            if found.is_some() {
                entry.redelivered = true;
                entry.returns += 1;
            }
        }
        // what cannot be read any more is for a consumer to come upon
        if let (Some(message), Some(queue)) = (found, self.queue(id)) {
            let left = queue.ready.len().saturating_sub(browse.read.len() + 1);
            self.note_browsed(id, browse, message, entry.redelivered, left);
        }
        Ok(())
    }

    fn next_after(&mut self, id: QueueId, last: Option<Place>) -> Option<&mut Entry> {
        self.queue_mut(id)?.ready.after(last)
    }

    /// Takes the next message out of its queue for good.
    fn read_and_take(&mut self, id: QueueId, browse: &mut Browse) -> Result<(), Progress> {
        if !self.is_next_at_hand(id) {
            return Err(Progress::Waits);
        }
        let (mut entry, message) = self.take_ready(id).ok_or(Progress::Done)?;
        let left = self.queue(id).map_or(0, |queue| queue.ready.len());
        self.note_browsed(id, browse, message.clone(), entry.redelivered, left);
        if browse.leave == Leave::Rejected {
            entry.message = Some(message);
            self.bury(id, entry, Reason::Rejected);
        } else if let Some(queue) = self.queue_mut(id) {
            queue.counters.taken.ack += 1;
            self.statistics.taken.ack += 1;
            self.forget_entry(id, entry.seq, entry.stored);
        }
        Ok(())
    }

    fn note_browsed(
        &mut self,
        id: QueueId,
        browse: &mut Browse,
        message: Message,
        redelivered: bool,
        left: usize,
    ) {
        let taken = Taken {
            get: 1,
            redeliver: u64::from(redelivered),
            ..Taken::default()
        };
        self.note_taken(id, None, &taken);
        browse.bytes += message.size();
        browse.read.push(Browsed {
            message,
            redelivered,
            left,
        });
    }

    fn forget_entry(&mut self, id: QueueId, seq: u64, stored: Option<super::journal::Stored>) {
        let (Some(stored), Some(queue)) = (stored, self.queue_mut(id)) else {
            return;
        };
        queue.persistent = queue.persistent.saturating_sub(1);
        let key = queue.key;
        self.journal.settle(key, seq, stored);
    }

    /// Publishes a message; says whether it went to any queue.
    pub fn inject(
        &mut self,
        user: &str,
        vhost: &str,
        exchange: &str,
        key: &str,
        header: &[u8],
        body: &[u8],
    ) -> Result<bool, Refusal> {
        let too_long =
            |name: &str| Refusal::precondition(format!("{name} is longer than 255 bytes"));
        if exchange.len() > 255 {
            return Err(too_long("the exchange's name"));
        }
        if key.len() > 255 {
            return Err(too_long("the routing key"));
        }
        let malformed = |_| Refusal::precondition("the properties cannot be read");
        let seen = glance(header).map_err(malformed)?;
        let decoded = Properties::decode(header).map_err(malformed)?;
        let ttl_ms = decoded.expiration.map(expiration).transpose()?;
        if let Some(claimed) = decoded.user_id {
            self.check_claim(user, claimed)?;
        }
        let found = self.metadata.vhost(vhost);
        let found = found.and_then(|vhost| vhost.exchanges.get(exchange));
        if found.is_some_and(|exchange| exchange.spec.internal) {
            return Err(Refusal::internal_exchange(vhost, exchange));
        }
        let mut route = Vec::with_capacity(exchange.len() + key.len() + 2);
        for part in [exchange, key] {
            route.push(part.len() as u8);
            route.extend_from_slice(part.as_bytes());
        }
        let scratch = &mut Vec::new();
        let message = Message::new(
            &route,
            header,
            body,
            seen.persistent,
            seen.priority,
            scratch,
        );
        self.statistics.publish += 1;
        self.inject_message(vhost, exchange, key.as_bytes(), message, ttl_ms)
    }

    fn inject_message(
        &mut self,
        vhost: &str,
        exchange: &str,
        key: &[u8],
        message: Message,
        ttl_ms: Option<u64>,
    ) -> Result<bool, Refusal> {
        let found = self.metadata.vhost(vhost);
        let known = found.filter(|v| v.exchanges.contains_key(exchange));
        let known = known.ok_or_else(|| Refusal::no_exchange(vhost, exchange))?;
        let headers = || {
            Properties::decode(message.header())
                .map(|p| p.header_table())
                .unwrap_or_default()
        };
        let envelope = Envelope {
            key,
            headers: &headers,
        };
        let routes = known.route(exchange, &envelope);
        self.note_publish(None, vhost, exchange, &routes);
        if self.is_traced(vhost, &message) {
            self.tap_publish(vhost, None, &message, &routes);
        }
        if routes.is_empty() {
            self.statistics.drop_unroutable += 1;
            return Ok(false);
        }
        let published = self.enqueue(message, &routes, ttl_ms);
        Ok(!published.refused)
    }

    /// Moves some more messages.
    pub fn move_ready(&mut self, moving: &mut Moving) -> Result<Progress, Refusal> {
        let id = self.browsed_queue(&moving.vhost, &moving.name)?;
        if self.queue(id).is_some_and(Queue::rests) {
            return Ok(Progress::Waits);
        }
        self.run_queue(id);
        let ready = self.queue(id).map_or(0, |queue| queue.ready.len());
        moving.wanted = moving.wanted.min(ready);
        let (mut count, mut bytes) = (0, 0);
        let outcome = loop {
            if moving.wanted == 0 {
                break Ok(Progress::Done);
            }
            if count >= STEP || bytes >= STEP_BYTES {
                break Ok(Progress::More);
            }
            match self.move_one(id, moving) {
                Ok(size) => bytes += size,
                Err(outcome) => break outcome,
            }
            (moving.wanted, moving.moved) = (moving.wanted - 1, moving.moved + 1);
            count += 1;
        };
        self.schedule(id);
        outcome
    }

    /// Moves the next message; answers its size, or why there is an end of it.
    fn move_one(
        &mut self,
        id: QueueId,
        moving: &Moving,
    ) -> Result<usize, Result<Progress, Refusal>> {
        if !self.is_next_at_hand(id) {
            return Err(Ok(Progress::Waits));
        }
        let (mut entry, message) = self.take_ready(id).ok_or(Ok(Progress::Done))?;
        let left_ms = match entry.expires_ms {
            0 => None,
            at => Some(at.saturating_sub(self.clock.now_ms)),
        };
        let Moving {
            vhost,
            exchange,
            key,
            ..
        } = moving;
        let taken = self.inject_message(vhost, exchange, key.as_bytes(), message.clone(), left_ms);
        if matches!(taken, Ok(true)) {
            self.forget_entry(id, entry.seq, entry.stored);
            return Ok(message.size());
        }
        entry.message = Some(message);
        if let Some(queue) = self.queue_mut(id) {
            queue.ready.put_back(entry);
        }
        Err(taken.map(|_| Progress::Done))
    }
}

fn expiration(text: &[u8]) -> Result<u64, Refusal> {
    let shown = String::from_utf8_lossy(text);
    shown
        .parse()
        .map_err(|_| Refusal::precondition(format!("invalid expiration '{shown}': no_integer")))
}
