//! From a queue to its consumers, as far as they have room; then what has expired or is too much goes.

use super::channel::{BY_GET, Channel, Held};
use super::connection::At;
use super::field::FieldValue;
use super::frame;
use super::journal::{Journal, Stored};
use super::letters::Reason;
use super::message::Message;
use super::properties::Properties;
use super::queue::{ConsumerKey, Entry, Queue};
use super::refusal::Refusal;
use super::traffic::Taken;
use super::vhost::QueueId;
use super::wire;
use super::{Core, in_place};
use std::time::Duration;

/// A connection with this much to write gets no more deliveries and is not read.
pub(super) const OUTPUT_STOP: usize = 512 * 1024;
/// A channel's deliveries beyond this many are held by the journal, not in memory.
const HELD_IN_MEMORY: usize = 2048;
/// Messages that one turn expires or drops of a queue.
pub(super) const BURIED: usize = 4096;
/// Below this much its consumers are served again.
const OUTPUT_RESUME: usize = 256 * 1024;

impl Core {
    /// Does for a queue all that can be done now.
    pub(super) fn run_queue(&mut self, id: QueueId) {
        let Some(queue) = self.queue_mut(id) else {
            return;
        };
        queue.scheduled = false;
        if queue.rests() {
            return;
        }
        let now_ms = self.clock.now_ms;
        self.expire(id, now_ms.saturating_sub(1));
        self.deliver(id);
        self.expire(id, now_ms);
        self.drop_excess(id);
        self.bury_condemned(id);
        if let Some(queue) = self.queue_mut(id) {
            queue.note_capacity(now_ms);
        }
        self.arm_expiry(id);
        self.page(id);
    }

    /// Buries what has expired by then, a bounded number at once; the rest is left for later turns.
    pub(super) fn expire(&mut self, id: QueueId, upto_ms: u64) {
        for _ in 0..BURIED {
            let Some(queue) = self.queue(id) else {
                return;
            };
            let cold = queue.ready.expired(upto_ms).and_then(Entry::cold);
            if !self.can_bury(id, cold) {
                return;
            }
            let Some(queue) = self.queue_mut(id) else {
                return;
            };
            let Some(entry) = queue.ready.pop_expired(upto_ms) else {
                return;
            };
            self.bury(id, entry, Reason::Expired);
        }
        self.later.push(id);
    }

    /// Whether a message can go to the dead-letter exchange, where there is one, without waiting for the disk.
    pub(super) fn can_bury(&mut self, id: QueueId, cold: Option<Stored>) -> bool {
        let Some(stored) = cold else { return true };
        let is_wanted = self
            .queue(id)
            .is_some_and(|queue| queue.settings.dead_letter_exchange.is_some());
        !is_wanted || self.is_at_hand(id, stored)
    }

    /// Takes what is over the queue's limits from its head, a bounded number at once.
    pub(super) fn drop_excess(&mut self, id: QueueId) {
        for _ in 0..BURIED {
            let Some(queue) = self.queue_mut(id) else {
                return;
            };
            if queue.rests() || !queue.drops_from_head() {
                return;
            }
            let cold = queue.ready.front().and_then(Entry::cold);
            if !self.can_bury(id, cold) {
                return;
            }
            let Some(queue) = self.queue_mut(id) else {
                return;
            };
            let Some(entry) = queue.ready.pop() else {
                return;
            };
            self.bury(id, entry, Reason::MaxLength);
        }
        self.later.push(id);
    }

    /// Takes the next ready message with its bytes; one that cannot be read any more is counted and passed over.
    pub(super) fn take_ready(&mut self, id: QueueId) -> Option<(Entry, Message)> {
        loop {
            let queue = in_place(&mut self.queues, id)?;
            let mut entry = queue.ready.pop()?;
            queue.counters.disk_reads += u64::from(entry.message.is_none());
            if let Some(message) = bytes_of(&mut *self.journal, &mut entry) {
                return Some((entry, message));
            }
            queue.persistent -= usize::from(entry.is_persistent());
            self.statistics.unreadable += 1;
        }
    }

    fn deliver(&mut self, id: QueueId) {
        // what expires in this very moment is still for a consumer that waits
        let upto_ms = self.clock.now_ms.saturating_sub(1);
        while let Some(queue) = in_place(&mut self.queues, id) {
            if queue.ready.is_empty() {
                return;
            }
            let Some(key) = queue.consumers.next() else {
                return;
            };
            if front_has_expired(queue, upto_ms) {
                self.expire(id, upto_ms);
                match self.queue(id) {
                    Some(queue) if !front_has_expired(queue, upto_ms) => continue,
                    _ => return,
                }
            }
            let alone = queue.consumers.is_alone();
            if !self.is_next_at_hand(id) {
                return;
            }
            let delivered = self.deliver_to(id, key, if alone { usize::MAX } else { 1 });
            // what could not be read was passed over, and what is behind it is not there yet
            if delivered == 0 && !self.is_next_at_hand(id) {
                return;
            }
            let Some(queue) = in_place(&mut self.queues, id) else {
                return;
            };
            if delivered == 0 {
                if queue.ready.is_empty() {
                    return;
                }
                if front_has_expired(queue, upto_ms) {
                    continue;
                }
                queue.consumers.put_aside();
            } else {
                queue.consumers.rotate();
            }
        }
    }

    /// Gives one consumer up to `most` messages; answers how many it took. 0 with messages left: it has no room.
    fn deliver_to(&mut self, id: QueueId, key: ConsumerKey, most: usize) -> usize {
        let now_ms = self.clock.now_ms;
        let at = key.at;
        let mut count = 0;
        let traced = self.traced;
        let mut tapped = Vec::new();
        let mut taken = Taken::default();
        while count < most {
            let Some(queue) = self.queues[id.index as usize].as_deref_mut() else {
                break;
            };
            let Some(connection) = self.connections.get_mut(at.connection as usize) else {
                break;
            };
            let frame_max = connection.frame_max;
            if connection.output.len() >= OUTPUT_STOP {
                connection.starved = true;
            }
            let full = connection.starved;
            let Some((channel, output)) = connection.channel_and_output(at.channel) else {
                break;
            };
            let channel_has_room = channel.has_room();
            let Some(consumer) = channel.consumer_mut(key.number) else {
                break;
            };
            if full || !consumer.has_room() || (!consumer.no_ack && !channel_has_room) {
                consumer.parked = true;
                break;
            }
            // one behind those that were taken may have expired while it waited
            if front_has_expired(queue, now_ms.saturating_sub(1)) {
                break;
            }
            if let Some(stored) = queue.ready.front().and_then(Entry::cold)
                && !self.journal.at_hand(stored)
            {
                break;
            }
            let Some(mut entry) = queue.ready.pop() else {
                break;
            };
            queue.counters.disk_reads += u64::from(entry.message.is_none());
            let Some(message) = bytes_of(&mut *self.journal, &mut entry) else {
                queue.persistent -= usize::from(entry.is_persistent());
                self.statistics.unreadable += 1;
                continue;
            };
            let message = if queue.quorum && entry.returns > 0 {
                counted(message, entry.returns)
            } else {
                message
            };
            let (redelivered, no_ack) = (entry.redelivered, consumer.no_ack);
            consumer.unacked += u32::from(!no_ack);
            let held = Held {
                queue: id,
                consumer: consumer.number,
                pledged: false,
                delivered_ms: now_ms,
                entry,
            };
            let tag = hand_out(&mut *self.journal, queue, channel, held, no_ack);
            let Some(consumer) = channel.consumer_mut(key.number) else {
                break;
            };
            write_delivery(
                output,
                at.channel,
                &consumer.prefix,
                tag,
                redelivered,
                &message,
                frame_max,
            );
            if traced {
                tapped.push((message, redelivered));
            }
            match no_ack {
                true => taken.deliver_no_ack += 1,
                false => taken.deliver += 1,
            }
            taken.redeliver += u64::from(redelivered);
            count += 1;
        }
        if !tapped.is_empty() {
            self.tap_deliveries(id, at, tapped);
        }
        if count > 0 {
            self.note_taken(id, Some(at), &taken);
            let connection = &mut self.connections[at.connection as usize];
            connection.counters.sent_frames += 3 * count as u64;
            self.touch(at.connection);
        }
        count
    }

    #[cold]
    fn tap_deliveries(&mut self, id: QueueId, at: At, tapped: Vec<(Message, bool)>) {
        let Some(queue) = self.queue(id) else { return };
        let (vhost, name) = (queue.vhost.clone(), queue.name.clone());
        for (message, redelivered) in tapped {
            if self.is_traced(&vhost, &message) {
                self.tap_deliver(&vhost, at, &name, &message, redelivered);
            }
        }
    }

    /// A connection's output has been written: consumers that waited for that are served again.
    pub fn written(&mut self, index: u32, bytes: usize) {
        let now_ms = self.clock.now_ms;
        let Some(connection) = self.connections.get_mut(index as usize) else {
            return;
        };
        connection.output.advance(bytes);
        connection.counters.sent_bytes += bytes as u64;
        connection.sent_ms = now_ms;
        if !connection.starved || connection.output.len() >= OUTPUT_RESUME {
            return;
        }
        connection.starved = false;
        let numbers: Vec<u16> = connection.channels().map(|(number, _)| number).collect();
        for channel in numbers {
            self.wake_consumers(At {
                connection: index,
                channel,
            });
        }
    }

    /// Lets the channel's consumers try again.
    pub(super) fn wake_consumers(&mut self, at: At) {
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return;
        };
        let parked: Vec<(u32, QueueId)> = channel
            .consumers
            .iter_mut()
            .filter_map(|consumer| {
                std::mem::take(&mut consumer.parked).then_some((consumer.number, consumer.queue))
            })
            .collect();
        for (number, id) in parked {
            self.wake_consumer(id, ConsumerKey { at, number });
        }
    }

    /// A consumer has room again: it takes its turn with the others.
    pub(super) fn wake_consumer(&mut self, id: QueueId, key: ConsumerKey) {
        if let Some(queue) = self.queue_mut(id) {
            queue.consumers.wake(key);
            self.schedule(id);
        }
    }

    /// Closes channels that have kept a delivery for longer than they may.
    pub(super) fn close_overdue_channels(&mut self) {
        let now_ms = self.clock.now_ms;
        let default = self
            .settings
            .consumer_timeout
            .map(|timeout| timeout.as_millis() as u64);
        let mut overdue = Vec::new();
        for (index, connection) in &self.connections {
            for (number, channel) in connection.channels() {
                let Some(held) = channel.unacked.oldest() else {
                    continue;
                };
                if held.consumer == BY_GET {
                    continue;
                }
                let own = self
                    .queue(held.queue)
                    .and_then(|queue| queue.settings.consumer_timeout_ms);
                let Some(limit) = own.or(default) else {
                    continue;
                };
                if now_ms.saturating_sub(held.delivered_ms) >= limit {
                    overdue.push((
                        At {
                            connection: index as u32,
                            channel: number,
                        },
                        limit,
                    ));
                }
            }
        }
        for (at, limit) in overdue {
            let text = format!(
                "delivery acknowledgement on channel {} timed out. Timeout value used: {} ms. This timeout value can \
                 be configured, see consumers doc guide to learn more",
                at.channel,
                Duration::from_millis(limit).as_millis()
            );
            self.fail(at, &Refusal::precondition(text), (0, 0));
        }
    }
}

/// Whether what would be delivered next is to go instead.
fn front_has_expired(queue: &Queue, upto_ms: u64) -> bool {
    let front = queue.ready.front();
    front.is_some_and(|entry| entry.has_expired(upto_ms))
}

/// Takes a message out of its queue to a channel, which holds it unless nobody is going to
/// acknowledge it; answers its delivery tag.
#[inline]
pub(super) fn hand_out(
    journal: &mut dyn Journal,
    queue: &mut Queue,
    channel: &mut Channel,
    mut held: Held,
    no_ack: bool,
) -> u64 {
    let entry = &mut held.entry;
    if no_ack {
        queue.persistent -= usize::from(entry.is_persistent());
        if let Some(stored) = entry.stored {
            journal.settle(queue.key, entry.seq, stored);
        }
        return channel.unacked.skip_tag();
    }
    channel.consumer_unacked += u32::from(held.consumer != BY_GET);
    queue.went_out(entry);
    // what the journal has need not stay in memory until it is acknowledged, and much else must not
    if entry.stored.is_some() || channel.unacked.len() >= HELD_IN_MEMORY {
        super::paging::let_go(journal, queue.key, entry, 0);
    }
    channel.unacked.hold(held)
}

#[inline]
fn write_delivery(
    output: &mut super::output::Output,
    channel: u16,
    prefix: &[u8],
    tag: u64,
    redelivered: bool,
    message: &Message,
    frame_max: u32,
) {
    let route = message.route();
    let out = output.buffer();
    frame::head(out, frame::METHOD, channel, prefix.len() + 9 + route.len());
    out.extend_from_slice(prefix);
    wire::longlong(out, tag);
    out.push(u8::from(redelivered));
    out.extend_from_slice(route);
    out.push(frame::END);
    output.content(channel, message, frame_max);
}

/// The entry's message, read back from the journal where it must be; `None` when it is lost.
#[inline]
pub(super) fn bytes_of(journal: &mut dyn Journal, entry: &mut Entry) -> Option<Message> {
    if let Some(message) = &entry.message {
        return Some(message.clone());
    }
    match journal.fetch(entry.stored?) {
        Ok(message) => {
            entry.message = Some(message.clone());
            Some(message)
        }
        Err(damage) => {
            tracing::error!(
                seq = entry.seq,
                damage = damage.0,
                "a stored message cannot be read and is passed over until the next start"
            );
            None
        }
    }
}

/// A quorum queue's message carries how often it came back.
pub(super) fn counted(message: Message, returns: u32) -> Message {
    let Ok(properties) = Properties::decode(message.header()) else {
        return message;
    };
    let mut headers = properties.header_table();
    headers.set("x-delivery-count", FieldValue::I64(returns.into()));
    let table = headers.to_bytes();
    let changed = Properties {
        headers: Some(&table[4..]),
        ..properties
    };
    message.with_header(&changed.encode(message.size() as u64))
}
