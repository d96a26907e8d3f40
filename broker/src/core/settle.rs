//! What clients do with deliveries: acknowledge, reject, ask for them again.

use super::channel::{Action, BY_GET, Held, Mode, Settlement};
use super::connection::At;
use super::letters::Reason;
use super::method::Method;
use super::queue::{ConsumerKey, Queue};
use super::refusal::{Code, Refusal};
use super::{Core, in_place};

/// How often a quorum queue of RabbitMQ 4.x delivers a message again unless told otherwise.
const DEFAULT_DELIVERY_LIMIT: u32 = 20;

impl Core {
    #[inline]
    pub(super) fn on_ack(&mut self, at: At, tag: u64, multiple: bool) -> Result<(), Refusal> {
        self.on_settle(
            at,
            Settlement {
                tag,
                multiple,
                action: Action::Ack,
            },
        )
    }

    pub(super) fn on_settlement(&mut self, at: At, method: Method<'_>) -> Result<(), Refusal> {
        let negative = |requeue: bool| {
            if requeue {
                Action::Requeue
            } else {
                Action::Reject
            }
        };
        match method {
            Method::BasicAck {
                delivery_tag: tag,
                multiple,
            } => self.on_ack(at, tag, multiple),
            Method::BasicNack {
                delivery_tag: tag,
                multiple,
                requeue,
            } => self.on_settle(
                at,
                Settlement {
                    tag,
                    multiple,
                    action: negative(requeue),
                },
            ),
            Method::BasicReject {
                delivery_tag: tag,
                requeue,
            } => self.on_settle(
                at,
                Settlement {
                    tag,
                    multiple: false,
                    action: negative(requeue),
                },
            ),
            Method::BasicRecover { requeue: true } => {
                self.recover(at);
                self.reply(at, &Method::BasicRecoverOk);
                Ok(())
            }
            Method::BasicRecoverAsync { requeue: true } => {
                self.recover(at);
                Ok(())
            }
            _ => Err(Refusal::new(Code::NotImplemented, "requeue=false")),
        }
    }

    fn on_settle(&mut self, at: At, settlement: Settlement) -> Result<(), Refusal> {
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return Ok(());
        };
        if let Mode::Transaction(_) = &channel.mode {
            let Settlement { tag, multiple, .. } = settlement;
            let pledged = match multiple {
                true => channel.unacked.pledge_upto(tag),
                false => channel.unacked.pledge(tag).then_some(tag),
            };
            return match pledged {
                Some(tag) => self.hold_back_settlement(at, Settlement { tag, ..settlement }),
                None if multiple && tag == 0 => Ok(()),
                None => Err(unknown_tag(tag)),
            };
        }
        self.settle(at, settlement)
    }

    /// Settles one delivery, or all up to a tag.
    pub(super) fn settle(&mut self, at: At, settlement: Settlement) -> Result<(), Refusal> {
        let Settlement {
            tag,
            multiple,
            action,
        } = settlement;
        if !multiple {
            let channel = self.connections[at.connection as usize].channel_mut(at.channel);
            let Some(held) = channel.and_then(|channel| channel.unacked.take(tag)) else {
                return Err(unknown_tag(tag));
            };
            self.settle_one(at, held, action);
            return Ok(());
        }
        let channel = self.connections[at.connection as usize].channel_mut(at.channel);
        if tag != 0 && channel.is_some_and(|channel| channel.unacked.get(tag).is_none()) {
            return Err(unknown_tag(tag));
        }
        let upto = if tag == 0 { u64::MAX } else { tag };
        while let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            if action == Action::Requeue {
                let returned = channel.unacked.take_upto(upto);
                self.give_back(at, returned);
                break;
            }
            let Some(held) = channel.unacked.take_first(upto) else {
                break;
            };
            self.settle_one(at, held, action);
        }
        Ok(())
    }

    #[inline]
    fn settle_one(&mut self, at: At, held: Held, action: Action) {
        match action {
            Action::Ack => {
                self.free_room(at, &held);
                self.acknowledged(at, held);
            }
            Action::Requeue => self.give_back_at_once(at, std::iter::once(held)),
            Action::Reject => {
                self.free_room(at, &held);
                let Some(queue) = self.queue_mut(held.queue) else {
                    return;
                };
                queue.came_in(&held.entry);
                self.condemn(held.queue, held.entry, Reason::Rejected);
            }
        }
    }

    #[inline]
    fn acknowledged(&mut self, at: At, held: Held) {
        self.statistics.taken.ack += 1;
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            channel.counters.taken.ack += 1;
            channel.traffic.of_queue(held.queue).ack += 1;
        }
        let Some(queue) = in_place(&mut self.queues, held.queue) else {
            return;
        };
        if queue.id != held.queue {
            return;
        }
        queue.came_in(&held.entry);
        queue.counters.taken.ack += 1;
        queue.persistent -= usize::from(held.entry.is_persistent());
        if let Some(stored) = held.entry.stored {
            self.journal.settle(queue.key, held.entry.seq, stored);
        }
    }

    /// A delivery is no longer out: its consumer, and with a shared prefetch the others, may take more.
    #[inline]
    pub(super) fn free_room(&mut self, at: At, held: &Held) {
        if held.consumer == BY_GET {
            return;
        }
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return;
        };
        channel.consumer_unacked = channel.consumer_unacked.saturating_sub(1);
        let shared = channel.global_prefetch != 0;
        let Some(consumer) = channel.consumer_mut(held.consumer) else {
            return;
        };
        consumer.unacked = consumer.unacked.saturating_sub(1);
        if shared {
            self.wake_consumers(at);
        } else if consumer.parked {
            consumer.parked = false;
            let (queue, number) = (consumer.queue, consumer.number);
            self.wake_consumer(queue, ConsumerKey { at, number });
        }
    }

    /// Gives deliveries of a channel back to their queues. Where that makes a queue longer than it may be, its head goes
    /// before consumers are served, and what was for them before is theirs.
    pub(super) fn give_back_at_once(&mut self, at: At, returned: impl Iterator<Item = Held>) {
        let mut bounded = Vec::new();
        for held in returned {
            let id = held.queue;
            if self.queue(id).is_some_and(Queue::drops_returned) && !bounded.contains(&id) {
                self.run_queue(id);
                bounded.push(id);
            }
            self.free_room(at, &held);
            self.put_back(held);
        }
        for id in bounded {
            self.drop_excess(id);
        }
    }

    /// Puts a delivery back to its old place; one that came back too often goes elsewhere.
    pub(super) fn put_back(&mut self, held: Held) {
        let default_limit = self.settings.compat_4.then_some(DEFAULT_DELIVERY_LIMIT);
        let Some(queue) = self.queue_mut(held.queue) else {
            return;
        };
        queue.came_in(&held.entry);
        let returns = held.entry.returns + 1;
        let limit = queue
            .settings
            .delivery_limit
            .or(default_limit.filter(|_| queue.quorum));
        if limit.is_some_and(|limit| returns > limit) {
            self.condemn(held.queue, held.entry, Reason::DeliveryLimit);
            return;
        }
        let (key, seq, kept) = (queue.key, held.entry.seq, held.entry.is_persistent());
        queue.put_back(held.entry);
        if kept {
            self.journal.returned(key, seq, returns);
        }
        self.schedule(held.queue);
    }

    /// `basic.recover`: everything out on the channel goes back to its queues, but for what an open transaction settles.
    fn recover(&mut self, at: At) {
        let channel = self.connections[at.connection as usize].channel_mut(at.channel);
        if let Some(returned) = channel.map(|channel| channel.unacked.take_unpledged()) {
            self.give_back(at, returned);
        }
    }
}

pub(super) fn unknown_tag(tag: u64) -> Refusal {
    Refusal::precondition(format!("unknown delivery tag {tag}"))
}
