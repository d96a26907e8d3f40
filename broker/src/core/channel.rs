//! One channel: consumers, what is out unacknowledged, the publish under way, confirms or a transaction.

use super::field::FieldTable;
use super::journal::Position;
use super::message::Message;
use super::queue::Entry;
use super::traffic::{Taken, Traffic};
use super::vhost::{QueueId, Routes};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A channel of a connection.
#[derive(Debug, Default)]
pub struct Channel {
    /// `channel.close` was sent: everything but its answer is ignored.
    pub closing: bool,
    pub consumers: Vec<Consumer>,
    pub unacked: Unacked,
    /// Prefetch for consumers to come; 0 = no limit.
    pub prefetch: u16,
    /// Prefetch of all consumers together; 0 = no limit.
    pub global_prefetch: u16,
    /// Messages out through consumers (not through `basic.get`).
    pub consumer_unacked: u32,
    pub mode: Mode,
    /// The publish whose header or body is still to come.
    pub content: Option<Box<Content>>,
    /// The last queue declared here, meant by an empty name.
    pub last_queue: Arc<str>,
    /// Where recent publishes went.
    pub routes: RouteCache,
    /// Direct reply-to: the consumer's tag and the secret in its address.
    pub reply: Option<Box<ReplyConsumer>>,
    pub counters: ChannelCounters,
    pub traffic: Traffic,
    pub next_consumer: u32,
    /// Whether it stands in the engine's list of channels with confirms to send.
    pub confirming: bool,
    /// An answer to a declaration is owed: what comes next waits for it.
    pub owed: bool,
}

/// Messages by what was done with them on a channel, since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChannelCounters {
    pub publish: u64,
    pub confirm: u64,
    pub return_unroutable: u64,
    pub drop_unroutable: u64,
    pub taken: Taken,
}

/// What a channel was switched to.
#[derive(Debug, Default)]
pub enum Mode {
    #[default]
    Plain,
    Confirm(Box<Confirms>),
    Transaction(Box<Transaction>),
}

/// How far the journal must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    Durable(Position),
    Written(Position),
}

impl Awaited {
    /// Whether it has come so far.
    #[inline]
    pub fn is_met(self, reached: Reached) -> bool {
        match self {
            Awaited::Durable(position) => position <= reached.durable,
            Awaited::Written(position) => position <= reached.written,
        }
    }
}

/// How far the journal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    pub durable: Position,
    pub written: Position,
}

/// Publisher confirms: numbers given and what is still owed.
#[derive(Debug, Default)]
pub struct Confirms {
    /// Number of the last publish.
    pub last: u64,
    /// Everything up to here has been answered.
    pub answered: u64,
    /// Everything up to here may be answered.
    pub ready: u64,
    /// Waiting for the journal, in order.
    pub pending: VecDeque<(u64, Awaited)>,
    /// Good already, although something older waits.
    pub ahead: Vec<u64>,
    /// Refused.
    pub nacks: Vec<u64>,
    /// Answered already, although something older waits: not to be counted again.
    pub early: BTreeSet<u64>,
}

/// Publishes and settlements that wait for `tx.commit`.
#[derive(Debug, Default)]
pub struct Transaction {
    pub publishes: Vec<Pending>,
    pub settlements: Vec<Settlement>,
    /// Bytes that both hold.
    pub bytes: u64,
    /// `tx.commit-ok` is owed once the journal is durable up to here, one for each.
    pub committing: VecDeque<Position>,
}

/// A publish held back by a transaction.
#[derive(Debug)]
pub struct Pending {
    pub message: Message,
    pub routes: Routes,
    pub ttl_ms: Option<u64>,
    pub mandatory: bool,
}

impl Pending {
    /// Bytes that it holds in memory, itself included.
    pub fn footprint(&self) -> u64 {
        (size_of::<Pending>() + self.message.footprint() + self.routes.len() * size_of::<QueueId>())
            as u64
    }
}

/// An acknowledgement held back by a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    pub tag: u64,
    pub multiple: bool,
    pub action: Action,
}

/// What a client does with deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Ack,
    Requeue,
    Reject,
}

/// A `basic.publish` whose content is still arriving.
#[derive(Debug)]
pub struct Content {
    pub route: Box<[u8]>,
    pub mandatory: bool,
    pub header: Option<Box<[u8]>>,
    pub size: u64,
    pub body: Vec<u8>,
}

impl Content {
    /// Bytes that have come so far.
    pub fn bytes(&self) -> u64 {
        let header = self.header.as_ref().map_or(0, |header| header.len());
        (self.route.len() + header + self.body.len()) as u64
    }
}

/// The consumer of `amq.rabbitmq.reply-to`.
#[derive(Debug)]
pub struct ReplyConsumer {
    pub tag: Box<str>,
    pub secret: u64,
}

/// A consumer on a channel.
#[derive(Debug)]
pub struct Consumer {
    pub number: u32,
    pub tag: Box<str>,
    pub queue: QueueId,
    pub no_ack: bool,
    pub exclusive: bool,
    pub priority: i32,
    /// 0 = no limit.
    pub prefetch: u16,
    pub unacked: u32,
    /// Passed over by its queue until it can take messages again.
    pub parked: bool,
    pub arguments: Option<Box<FieldTable>>,
    /// Class, method and consumer tag: how each of its deliveries begins.
    pub prefix: Box<[u8]>,
}

impl Consumer {
    #[inline]
    pub fn has_room(&self) -> bool {
        self.no_ack || self.prefetch == 0 || self.unacked < u32::from(self.prefetch)
    }
}

/// No consumer: fetched by `basic.get`.
pub const BY_GET: u32 = u32::MAX;

/// A delivery that is not acknowledged yet.
#[derive(Debug)]
pub struct Held {
    pub queue: QueueId,
    /// The consumer's number, or [`BY_GET`].
    pub consumer: u32,
    /// Settled in a transaction that is still open.
    pub pledged: bool,
    pub delivered_ms: u64,
    pub entry: Entry,
}

/// What is out, by delivery tag. Tags rise by one, so a tag's place is known.
#[derive(Debug, Default)]
pub struct Unacked {
    slots: VecDeque<Option<Held>>,
    /// Tag of the first slot.
    first: u64,
    live: usize,
    last: u64,
}

impl Unacked {
    pub fn len(&self) -> usize {
        self.live
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        self.slots.iter_mut().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The next delivery tag, for something that needs no acknowledgement.
    #[inline]
    pub fn skip_tag(&mut self) -> u64 {
        self.last += 1;
        if self.slots.is_empty() {
            self.first = self.last + 1;
        } else {
            self.slots.push_back(None);
        }
        self.last
    }

    /// Keeps a delivery; answers its tag.
    #[inline]
    pub fn hold(&mut self, held: Held) -> u64 {
        self.last += 1;
        if self.slots.is_empty() {
            self.first = self.last;
        }
        self.slots.push_back(Some(held));
        self.live += 1;
        self.last
    }

    fn index(&self, tag: u64) -> Option<usize> {
        usize::try_from(tag.checked_sub(self.first)?).ok()
    }

    /// The delivery of a tag that is out.
    pub fn get(&self, tag: u64) -> Option<&Held> {
        self.slots.get(self.index(tag)?)?.as_ref()
    }

    fn get_mut(&mut self, tag: u64) -> Option<&mut Held> {
        let index = self.index(tag)?;
        self.slots.get_mut(index)?.as_mut()
    }

    /// Takes one delivery; `None` when the tag is not out.
    #[inline]
    pub fn take(&mut self, tag: u64) -> Option<Held> {
        let index = self.index(tag)?;
        let held = self.slots.get_mut(index)?.take()?;
        self.live -= 1;
        if index == 0 {
            self.trim();
        }
        Some(held)
    }

    /// Takes the first delivery whose tag is at most `upto`.
    pub fn take_first(&mut self, upto: u64) -> Option<Held> {
        self.trim();
        if self.live == 0 || self.first > upto {
            return None;
        }
        let held = self.slots.pop_front().flatten();
        self.first += 1;
        self.live -= 1;
        self.trim();
        held
    }

    /// Marks one delivery as settled in an open transaction; whether it was out and not marked.
    pub fn pledge(&mut self, tag: u64) -> bool {
        let held = self.get_mut(tag).filter(|held| !held.pledged);
        held.map(|held| held.pledged = true).is_some()
    }

    /// The same for all up to a tag, which must be such a one itself (0: all there are); answers the tag of the last one,
    /// if there was any.
    pub fn pledge_upto(&mut self, tag: u64) -> Option<u64> {
        let upto = if tag == 0 { self.last } else { tag };
        let mut last = None;
        if tag != 0 && self.get(tag).is_none_or(|held| held.pledged) {
            return None;
        }
        for (tag, slot) in (self.first..=upto).zip(&mut self.slots) {
            if let Some(held) = slot.as_mut().filter(|held| !held.pledged) {
                held.pledged = true;
                last = Some(tag);
            }
        }
        last
    }

    /// The transaction was rolled back: nothing is settled in it.
    pub fn redeem(&mut self) {
        self.iter_mut().for_each(|held| held.pledged = false);
    }

    /// Takes all deliveries whose tags are at most `upto`.
    pub fn take_upto(&mut self, upto: u64) -> Unacked {
        let count = match upto.checked_sub(self.first) {
            Some(behind) => usize::try_from(behind).map_or(usize::MAX, |n| n.saturating_add(1)),
            None => 0,
        };
        let taken = match count < self.slots.len() {
            true => Unacked::of(self.slots.drain(..count).collect()),
            false => Unacked {
                slots: std::mem::take(&mut self.slots),
                live: self.live,
                ..Unacked::default()
            },
        };
        self.first += taken.slots.len() as u64;
        self.live -= taken.live;
        self.trim();
        taken
    }

    /// Takes what no open transaction settles.
    pub fn take_unpledged(&mut self) -> Unacked {
        if !self.iter().any(|held| held.pledged) {
            return self.take_upto(u64::MAX);
        }
        let slots = self.slots.iter_mut();
        let free = slots.map(|slot| slot.take_if(|held| !held.pledged));
        let taken = Unacked::of(free.collect());
        self.live -= taken.live;
        self.trim();
        taken
    }

    /// Deliveries that no channel holds any more.
    fn of(slots: VecDeque<Option<Held>>) -> Unacked {
        Unacked {
            live: slots.iter().flatten().count(),
            slots,
            ..Unacked::default()
        }
    }

    /// Takes the last delivery, to give everything back in reverse order.
    pub fn take_last(&mut self) -> Option<Held> {
        while let Some(slot) = self.slots.pop_back() {
            if let Some(held) = slot {
                self.live -= 1;
                return Some(held);
            }
        }
        None
    }

    /// The oldest delivery.
    pub fn oldest(&self) -> Option<&Held> {
        self.slots.iter().flatten().next()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.slots.iter().flatten()
    }

    #[inline]
    fn trim(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        if self.slots.is_empty() {
            self.first = self.last + 1;
            if self.slots.capacity() > 1024 {
                self.slots = VecDeque::new();
            }
        }
    }
}

/// The last few places that a channel published to.
#[derive(Debug, Default)]
pub struct RouteCache {
    entries: Vec<Route>,
}

/// Where one exchange and routing key lead, as of one version of the metadata.
#[derive(Debug)]
pub struct Route {
    pub route: Box<[u8]>,
    pub version: u64,
    pub queues: Routes,
    /// Publishes that took this way since they were last asked for.
    pub count: u64,
}

const CACHED_ROUTES: usize = 16;

impl RouteCache {
    /// The cached queues for this exchange and key, as long as the metadata is still of this version; counts a publish.
    #[inline]
    pub fn publish(&mut self, route: &[u8], version: u64) -> Option<&Routes> {
        let index = match self.entries.len() {
            0 | 1 => 0,
            _ => Self::slot(route),
        };
        let slot = self.entries.get_mut(index)?;
        if slot.version != version || *slot.route != *route {
            return None;
        }
        slot.count += 1;
        Some(&slot.queues)
    }

    /// Gives the publishes counted since the last time: exchange, queues, how many.
    pub fn take_counts(&mut self, mut found: impl FnMut(&[u8], &[QueueId], u64)) {
        for slot in self.entries.iter_mut().filter(|slot| slot.count > 0) {
            let exchange = &slot.route[1..1 + usize::from(slot.route[0])];
            found(exchange, &slot.queues, std::mem::take(&mut slot.count));
        }
    }

    /// Keeps the way of a publish, which counts.
    pub fn put(&mut self, route: &[u8], version: u64, queues: Routes) {
        let entry = Route {
            route: route.into(),
            version,
            queues,
            count: 1,
        };
        if self.entries.is_empty() {
            self.entries.push(entry);
            return;
        }
        if self.entries.len() == 1 && *self.entries[0].route == *route {
            self.entries[0] = entry;
            return;
        }
        while self.entries.len() < CACHED_ROUTES {
            self.entries.push(Route {
                route: Box::default(),
                version: 0,
                queues: Routes::new(),
                count: 0,
            });
        }
        self.entries[Self::slot(route)] = entry;
    }

    fn slot(route: &[u8]) -> usize {
        let mixed = route
            .iter()
            .rev()
            .take(8)
            .fold(route.len(), |hash, b| hash.wrapping_mul(31) ^ *b as usize);
        mixed % CACHED_ROUTES
    }
}

impl Channel {
    #[inline]
    pub fn consumer_mut(&mut self, number: u32) -> Option<&mut Consumer> {
        let index = match &self.consumers[..] {
            [only] if only.number == number => 0,
            consumers => consumers.binary_search_by_key(&number, |c| c.number).ok()?,
        };
        Some(&mut self.consumers[index])
    }

    pub fn consumer_by_tag(&self, tag: &str) -> Option<&Consumer> {
        self.consumers.iter().find(|consumer| &*consumer.tag == tag)
    }

    /// Bytes that its open transaction holds.
    pub fn transaction_bytes(&self) -> u64 {
        match &self.mode {
            Mode::Transaction(transaction) => transaction.bytes,
            Mode::Plain | Mode::Confirm(_) => 0,
        }
    }

    /// Bytes of the publish under way.
    pub fn content_bytes(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.bytes())
    }

    /// Whether the channel as a whole may have one more delivery out.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.global_prefetch == 0 || self.consumer_unacked < u32::from(self.global_prefetch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn held(seq: u64) -> Held {
        let entry = Entry {
            seq,
            message: None,
            stored: None,
            spilled: false,
            expires_ms: 0,
            returns: 0,
            size: 0,
            priority: 0,
            redelivered: false,
        };
        Held {
            queue: QueueId {
                index: 0,
                generation: 0,
            },
            consumer: 0,
            pledged: false,
            delivered_ms: 0,
            entry,
        }
    }

    proptest! {
        #[test]
        fn tags_behave_like_a_map(steps in proptest::collection::vec((0u8..6, 0u64..40), 0..200)) {
            let mut unacked = Unacked::default();
            let mut oracle = BTreeMap::new();
            let mut last = 0;
            for (kind, tag) in steps {
                match kind {
                    0 | 1 => {
                        last += 1;
                        oracle.insert(last, last);
                        prop_assert_eq!(unacked.hold(held(last)), last);
                    }
                    2 => {
                        last += 1;
                        prop_assert_eq!(unacked.skip_tag(), last);
                    }
                    3 => {
                        let pledged = unacked.pledge(tag);
                        prop_assert_eq!(pledged, oracle.contains_key(&tag));
                        prop_assert!(!unacked.pledge(tag), "once only");
                        prop_assert_eq!(unacked.take(tag).map(|h| h.entry.seq), oracle.remove(&tag));
                    }
                    4 => {
                        let behind = oracle.split_off(&(tag + 1));
                        let upto = std::mem::replace(&mut oracle, behind);
                        let mut taken = unacked.take_upto(tag);
                        prop_assert_eq!(taken.len(), upto.len());
                        for seq in upto.into_values().rev() {
                            prop_assert_eq!(taken.take_last().map(|h| h.entry.seq), Some(seq));
                        }
                    }
                    _ => {
                        let first = oracle.keys().next().copied().filter(|first| *first <= tag);
                        let expected = first.and_then(|first| oracle.remove(&first));
                        prop_assert_eq!(unacked.take_first(tag).map(|h| h.entry.seq), expected);
                    }
                }
                prop_assert_eq!(unacked.len(), oracle.len());
            }
        }
    }
}
