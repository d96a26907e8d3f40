//! Dead letters: messages that expired, were rejected, or did not fit, on their way to another exchange.

use super::Core;
use super::deliver::BURIED;
use super::field::{FieldTable, FieldValue};
use super::journal::Stored;
use super::message::Message;
use super::properties::Properties;
use super::queue::Entry;
use super::vhost::{Envelope, QueueId, Routes};
use std::sync::Arc;

/// Why a message left its queue undelivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Expired,
    Rejected,
    MaxLength,
    DeliveryLimit,
}

/// How many messages left queues undelivered: of classic and of quorum queues, without and with a dead-letter
/// exchange, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deaths([[[u64; 4]; 2]; 2]);

impl Deaths {
    /// Messages of one kind of queue that died for a reason, with a dead-letter exchange or without.
    pub fn count(&self, quorum: bool, lettered: bool, reason: Reason) -> u64 {
        self.0[usize::from(quorum)][usize::from(lettered)][reason as usize]
    }

    fn note(&mut self, quorum: bool, lettered: bool, reason: Reason) {
        self.0[usize::from(quorum)][usize::from(lettered)][reason as usize] += 1;
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 4] = [
        Reason::Expired,
        Reason::MaxLength,
        Reason::Rejected,
        Reason::DeliveryLimit,
    ];

    /// The word for it in `x-death` and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Expired => "expired",
            Reason::Rejected => "rejected",
            Reason::MaxLength => "maxlen",
            Reason::DeliveryLimit => "delivery_limit",
        }
    }
}

/// A message to be published again.
#[derive(Debug)]
pub(super) struct Letter {
    vhost: Arc<str>,
    queue: Arc<str>,
    exchange: Arc<str>,
    key: Option<Arc<str>>,
    message: Message,
    reason: Reason,
    /// What to settle once the letter is on its way.
    settles: Option<(QueueId, u64, Stored)>,
}

impl Core {
    /// A message leaves its queue undelivered: to the dead-letter exchange, where there is one.
    pub(super) fn bury(&mut self, id: QueueId, mut entry: Entry, reason: Reason) {
        let Some(queue) = self.queue_mut(id) else {
            return;
        };
        queue.persistent -= usize::from(entry.is_persistent());
        if queue.settings.dead_letter_exchange.is_none() {
            let (key, quorum) = (queue.key, queue.quorum);
            self.statistics.deaths.note(quorum, false, reason);
            if let Some(stored) = entry.stored {
                self.journal.settle(key, entry.seq, stored);
            }
            return;
        }
        let Some(message) = super::deliver::bytes_of(&mut *self.journal, &mut entry) else {
            return;
        };
        self.letter(
            id,
            message,
            reason,
            entry.stored.map(|stored| (id, entry.seq, stored)),
        );
    }

    /// The same for a message that may be on the disk only: then it waits for that beside the queue.
    pub(super) fn condemn(&mut self, id: QueueId, entry: Entry, reason: Reason) {
        let others_wait = self
            .queue(id)
            .is_some_and(|queue| !queue.condemned.is_empty());
        if !others_wait && self.can_bury(id, entry.cold()) {
            return self.bury(id, entry, reason);
        }
        if let Some(queue) = self.queue_mut(id) {
            queue.condemned.push_back((entry, reason));
        }
    }

    /// Buries those that waited for the disk, as far as it has given them.
    pub(super) fn bury_condemned(&mut self, id: QueueId) {
        for _ in 0..BURIED {
            let first = self.queue(id).and_then(|queue| queue.condemned.front());
            let Some(cold) = first.map(|(entry, _)| entry.cold()) else {
                return;
            };
            if !self.can_bury(id, cold) {
                return;
            }
            let first = self
                .queue_mut(id)
                .and_then(|queue| queue.condemned.pop_front());
            if let Some((entry, reason)) = first {
                self.bury(id, entry, reason);
            }
        }
        self.later.push(id);
    }

    /// Writes a letter; it is posted at the turn's end.
    pub(super) fn letter(
        &mut self,
        id: QueueId,
        message: Message,
        reason: Reason,
        settles: Option<(QueueId, u64, Stored)>,
    ) {
        let Some(queue) = self.queue(id) else { return };
        let Some(exchange) = queue.settings.dead_letter_exchange.clone() else {
            return;
        };
        let (vhost, name, key) = (
            queue.vhost.clone(),
            queue.name.clone(),
            queue.settings.dead_letter_key.clone(),
        );
        let quorum = queue.quorum;
        self.statistics.deaths.note(quorum, true, reason);
        self.letters.push_back(Letter {
            vhost,
            queue: name,
            exchange,
            key,
            message,
            reason,
            settles,
        });
    }

    /// Publishes the dead letters that have gathered, and settles each where it came from. What this adds waits for the next turn.
    pub(super) fn post_letters(&mut self) {
        for _ in 0..self.letters.len() {
            let Some(letter) = self.letters.pop_front() else {
                return;
            };
            self.post(&letter);
            if let Some((id, seq, stored)) = letter.settles
                && let Some(key) = self.queue(id).map(|queue| queue.key)
            {
                self.journal.settle(key, seq, stored);
            }
        }
    }

    fn post(&mut self, letter: &Letter) {
        let Ok(properties) = Properties::decode(letter.message.header()) else {
            return;
        };
        let now_s = self.clock.wall_ms / 1000;
        let mut headers = properties.header_table();
        note_death(&mut headers, letter, &properties, now_s);
        let routes = self.letter_routes(letter, &headers);
        if letter.key.is_some() {
            headers.remove("CC");
        }
        let table = headers.to_bytes();
        let changed = Properties {
            headers: Some(&table[4..]),
            expiration: None,
            ..properties
        };
        let key = match &letter.key {
            Some(key) => key.as_bytes(),
            None => letter.message.routing_key(),
        };
        let mut route = vec![letter.exchange.len().min(255) as u8];
        route.extend_from_slice(&letter.exchange.as_bytes()[..letter.exchange.len().min(255)]);
        route.push(key.len().min(255) as u8);
        route.extend_from_slice(&key[..key.len().min(255)]);
        let old = &letter.message;
        let header = changed.encode(old.size() as u64);
        let (persistent, priority) = (old.is_persistent(), old.priority());
        let message = Message::new(
            &route,
            &header,
            old.body(),
            persistent,
            priority,
            &mut Vec::new(),
        );
        self.enqueue(message, &routes, None);
    }

    /// Where a letter goes, by its headers with this death in them: not back to a queue that it has been through
    /// without anybody rejecting it.
    fn letter_routes(&self, letter: &Letter, headers: &FieldTable) -> Routes {
        let Some(vhost) = self.metadata.vhost(&letter.vhost) else {
            return Routes::new();
        };
        let keys = match &letter.key {
            Some(key) => vec![key.as_bytes().to_vec()],
            None => {
                let copies = super::publish::copies(headers).unwrap_or_default();
                std::iter::once(letter.message.routing_key().to_vec())
                    .chain(copies)
                    .collect()
            }
        };
        let table = || headers.clone();
        let mut routes = Routes::new();
        for key in &keys {
            routes.extend(vhost.route(
                &letter.exchange,
                &Envelope {
                    key,
                    headers: &table,
                },
            ));
        }
        routes.sort_unstable();
        routes.dedup();
        if letter.reason != Reason::Rejected {
            routes.retain(|id| {
                self.queue(*id)
                    .is_some_and(|queue| !is_cycle(headers, &letter.queue, &queue.name))
            });
        }
        routes
    }
}

/// Whether a letter from `from` to `to` would go round again without ever having been rejected.
fn is_cycle(headers: &FieldTable, from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else {
        return false;
    };
    let of = |death: &FieldValue, name: &str| match death {
        FieldValue::Table(table) => table
            .get(name)
            .and_then(FieldValue::as_str)
            .map(str::to_owned),
        _ => None,
    };
    let Some(last) = deaths
        .iter()
        .position(|death| of(death, "queue").as_deref() == Some(to))
    else {
        return false;
    };
    deaths[..=last]
        .iter()
        .all(|death| of(death, "reason").as_deref() != Some("rejected"))
}

/// Enters a death into `x-death`: one table per queue and reason, the latest first.
fn note_death(headers: &mut FieldTable, letter: &Letter, properties: &Properties<'_>, now_s: u64) {
    let (is_first, mut deaths) = match headers.remove("x-death") {
        Some(FieldValue::Array(deaths)) => (false, deaths),
        Some(_) => (false, Vec::new()),
        None => (true, Vec::new()),
    };
    let reason = letter.reason.word();
    let exchange = String::from_utf8_lossy(letter.message.exchange()).into_owned();
    let same = |death: &FieldValue| match death {
        FieldValue::Table(table) => {
            table.get("queue").and_then(FieldValue::as_str) == Some(&letter.queue)
                && table.get("reason").and_then(FieldValue::as_str) == Some(reason)
        }
        _ => false,
    };
    let death = match deaths
        .iter()
        .position(same)
        .map(|index| deaths.remove(index))
    {
        Some(FieldValue::Table(mut table)) => {
            let count = table
                .get("count")
                .and_then(FieldValue::as_integer)
                .unwrap_or(0);
            table.set("count", FieldValue::I64(count + 1));
            table
        }
        _ => new_death(letter, properties, &exchange, now_s),
    };
    if is_first {
        headers.set("x-first-death-exchange", FieldValue::string(exchange));
        headers.set("x-first-death-queue", FieldValue::string(&*letter.queue));
        headers.set("x-first-death-reason", FieldValue::string(reason));
    }
    deaths.insert(0, FieldValue::Table(death));
    headers.set("x-death", FieldValue::Array(deaths));
}

fn new_death(
    letter: &Letter,
    properties: &Properties<'_>,
    exchange: &str,
    now_s: u64,
) -> FieldTable {
    let text = |bytes: &[u8]| FieldValue::LongString(bytes.to_vec());
    let cc = match properties.header_table().get("CC") {
        Some(FieldValue::Array(keys)) => keys.clone(),
        _ => Vec::new(),
    };
    let cc = (cc.into_iter()).filter(|key| matches!(key, FieldValue::LongString(_)));
    let keys = std::iter::once(text(letter.message.routing_key()))
        .chain(cc)
        .collect();
    let mut death = FieldTable::from([
        ("count", FieldValue::I64(1)),
        ("exchange", FieldValue::string(exchange)),
        ("queue", FieldValue::string(&*letter.queue)),
        ("reason", FieldValue::string(letter.reason.word())),
        ("routing-keys", FieldValue::Array(keys)),
        ("time", FieldValue::Timestamp(now_s)),
    ]);
    if let Some(expiration) = properties.expiration {
        death.set("original-expiration", text(expiration));
    }
    death
}
