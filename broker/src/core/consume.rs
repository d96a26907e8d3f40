//! `basic.qos`, `basic.consume`, `basic.cancel`, `basic.get`.

use super::access::Right;
use super::channel::{BY_GET, Consumer, Held};
use super::connection::At;
use super::field::{FieldTable, FieldValue};
use super::method::Method;
use super::queue::ConsumerKey;
use super::refusal::{Code, Refusal};
use super::traffic::Taken;
use super::vhost::QueueId;
use super::wire;
use super::{Core, in_place};

/// A `basic.consume`, taken apart.
struct Subscription<'a> {
    tag: &'a str,
    no_ack: bool,
    exclusive: bool,
    arguments: FieldTable,
}

impl Core {
    pub(super) fn on_consuming(&mut self, at: At, method: Method<'_>) -> Result<(), Refusal> {
        match method {
            Method::BasicQos {
                prefetch_size: 0,
                prefetch_count,
                global,
            } => {
                self.on_qos(at, prefetch_count, global);
                Ok(())
            }
            Method::BasicQos { prefetch_size, .. } => Err(Refusal::new(
                Code::NotImplemented,
                format!("prefetch_size!=0 ({prefetch_size})"),
            )),
            Method::BasicConsume {
                queue,
                consumer_tag,
                no_ack,
                exclusive,
                nowait,
                arguments,
                ..
            } => {
                let wanted = Subscription {
                    tag: consumer_tag,
                    no_ack,
                    exclusive,
                    arguments,
                };
                self.on_consume(at, queue, wanted, nowait)
            }
            Method::BasicCancel {
                consumer_tag,
                nowait,
            } => {
                self.on_cancel(at, consumer_tag);
                self.answer(at, nowait, &Method::BasicCancelOk { consumer_tag });
                Ok(())
            }
            Method::BasicGet { queue, no_ack, .. } => self.on_get(at, queue, no_ack),
            // clients may answer a cancel of ours
            _ => Ok(()),
        }
    }

    fn on_qos(&mut self, at: At, count: u16, global: bool) {
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            match global {
                true => channel.global_prefetch = count,
                // RabbitMQ takes the channel's own limit away with it
                false => (channel.prefetch, channel.global_prefetch) = (count, 0),
            }
        }
        self.reply(at, &Method::BasicQosOk);
        self.wake_consumers(at);
    }

    fn on_consume(
        &mut self,
        at: At,
        queue: &str,
        wanted: Subscription<'_>,
        nowait: bool,
    ) -> Result<(), Refusal> {
        if super::reply::is_queue(queue.as_bytes()) {
            return self.on_consume_replies(at, wanted.tag, wanted.no_ack, nowait);
        }
        let (_, vhost) = self.user_and_vhost(at);
        let name = self.named_queue(at, queue)?;
        self.unused_tag(at, wanted.tag)?;
        self.permit(at, Right::Read, "queue", &name)?;
        let found = self
            .find_queue(&vhost, &name)
            .ok_or_else(|| Refusal::no_queue(&vhost, &name))?;
        let (id, quorum) = (found.id, found.quorum);
        let shared = !found.consumers.is_empty() || found.consumers.is_single_active();
        let in_use = found.consumers.is_exclusive() || (wanted.exclusive && shared);
        self.not_locked(at, &name)?;
        let channel = self.connections[at.connection as usize].channel(at.channel);
        if quorum && channel.is_some_and(|channel| channel.global_prefetch != 0) {
            let text = format!("queue '{name}' in vhost '{vhost}' does not support global qos");
            return Err(Refusal::new(Code::NotImplemented, text));
        }
        if in_use {
            return Err(Refusal::access(format!(
                "queue '{name}' in vhost '{vhost}' in exclusive use"
            )));
        }
        let priority = consumer_arguments(&wanted.arguments, quorum, &vhost, &name)?;
        let tag = if wanted.tag.is_empty() {
            self.names.name("amq.ctag-")
        } else {
            wanted.tag.to_owned()
        };
        self.add_consumer(at, id, &tag, priority, wanted);
        self.answer(at, nowait, &Method::BasicConsumeOk { consumer_tag: &tag });
        Ok(())
    }

    fn unused_tag(&self, at: At, tag: &str) -> Result<(), Refusal> {
        let channel = self.connections[at.connection as usize].channel(at.channel);
        let used = channel.is_some_and(|channel| {
            channel.consumer_by_tag(tag).is_some()
                || channel
                    .reply
                    .as_ref()
                    .is_some_and(|reply| &*reply.tag == tag)
        });
        if used && !tag.is_empty() {
            return Err(Refusal::new(
                Code::NotAllowed,
                format!("attempt to reuse consumer tag '{tag}'"),
            ));
        }
        Ok(())
    }

    fn add_consumer(
        &mut self,
        at: At,
        id: QueueId,
        tag: &str,
        priority: i32,
        wanted: Subscription<'_>,
    ) {
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return;
        };
        let number = channel.next_consumer;
        channel.next_consumer += 1;
        let mut prefix = wire::begin::BASIC_DELIVER.to_vec();
        wire::shortstr(&mut prefix, tag);
        channel.consumers.push(Consumer {
            number,
            tag: tag.into(),
            queue: id,
            no_ack: wanted.no_ack,
            exclusive: wanted.exclusive,
            priority,
            prefetch: channel.prefetch,
            unacked: 0,
            parked: false,
            arguments: (!wanted.arguments.is_empty()).then(|| Box::new(wanted.arguments)),
            prefix: prefix.into(),
        });
        let now_ms = self.clock.now_ms;
        if let Some(queue) = self.queue_mut(id) {
            queue.used_ms = now_ms;
            queue
                .consumers
                .add(ConsumerKey { at, number }, priority, wanted.exclusive);
        }
        self.arm_unused(id);
        self.schedule(id);
    }

    fn on_cancel(&mut self, at: At, tag: &str) {
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return;
        };
        if channel
            .reply
            .as_ref()
            .is_some_and(|reply| &*reply.tag == tag)
        {
            channel.reply = None;
            return;
        }
        let Some(index) = channel
            .consumers
            .iter()
            .position(|consumer| &*consumer.tag == tag)
        else {
            return;
        };
        let consumer = channel.consumers.remove(index);
        self.remove_consumer(
            consumer.queue,
            ConsumerKey {
                at,
                number: consumer.number,
            },
        );
    }

    fn on_get(&mut self, at: At, queue: &str, no_ack: bool) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
        let name = self.named_queue(at, queue)?;
        self.permit(at, Right::Read, "queue", &name)?;
        let found = self
            .find_queue(&vhost, &name)
            .ok_or_else(|| Refusal::no_queue(&vhost, &name))?;
        let id = found.id;
        if found.consumers.is_single_active() && found.quorum {
            let text = format!(
                "cannot obtain access to locked queue '{name}' in vhost '{vhost}'. basic.get operations are not \
                 supported by quorum queues with single active consumer"
            );
            return Err(Refusal::new(Code::ResourceLocked, text));
        }
        self.not_locked(at, &name)?;
        self.run_queue(id);
        match self.is_next_at_hand(id) {
            true => self.get(at, id, no_ack),
            false => self.hold_get(at.connection),
        }
        Ok(())
    }

    fn get(&mut self, at: At, id: QueueId, no_ack: bool) {
        let now_ms = self.clock.now_ms;
        let fetched = self.take_ready(id);
        // what has expired behind it does not count any more
        self.expire(id, now_ms);
        let Some(queue) = in_place(&mut self.queues, id) else {
            return;
        };
        queue.used_ms = now_ms;
        let connection = &mut self.connections[at.connection as usize];
        let frame_max = connection.frame_max;
        let Some((channel, output)) = connection.channel_and_output(at.channel) else {
            return;
        };
        let Some((entry, message)) = fetched else {
            let taken = Taken {
                get_empty: 1,
                ..Taken::default()
            };
            self.note_taken(id, Some(at), &taken);
            self.reply(at, &Method::BasicGetEmpty { cluster_id: "" });
            return;
        };
        let message = match queue.quorum {
            true => super::deliver::counted(message, entry.returns),
            false => message,
        };
        let redelivered = entry.redelivered;
        let traced = self
            .traced
            .then(|| (queue.vhost.clone(), queue.name.clone()));
        let count = queue.ready.len() as u32;
        let held = Held {
            queue: id,
            consumer: BY_GET,
            pledged: false,
            delivered_ms: now_ms,
            entry,
        };
        let tag = super::deliver::hand_out(&mut *self.journal, queue, channel, held, no_ack);
        super::frame::write(output.buffer(), super::frame::METHOD, at.channel, |out| {
            out.extend_from_slice(&wire::begin::BASIC_GET_OK);
            wire::longlong(out, tag);
            out.push(u8::from(redelivered));
            out.extend_from_slice(message.route());
            wire::long(out, count);
        });
        output.content(at.channel, &message, frame_max);
        connection.counters.sent_frames += 3;
        let taken = Taken {
            get: u64::from(!no_ack),
            get_no_ack: u64::from(no_ack),
            redeliver: u64::from(redelivered),
            ..Taken::default()
        };
        self.note_taken(id, Some(at), &taken);
        self.touch(at.connection);
        if let Some((vhost, name)) = traced
            && self.is_traced(&vhost, &message)
        {
            self.tap_deliver(&vhost, at, &name, &message, redelivered);
        }
        self.arm_expiry(id);
        self.arm_unused(id);
    }
}

/// Checks a consumer's arguments; answers its priority.
fn consumer_arguments(
    arguments: &FieldTable,
    quorum: bool,
    vhost: &str,
    name: &str,
) -> Result<i32, Refusal> {
    let foreign = if quorum {
        "x-cancel-on-ha-failover"
    } else {
        "x-stream-offset"
    };
    if arguments.get(foreign).is_some() {
        let kind = if quorum {
            "rabbit_quorum_queue"
        } else {
            "rabbit_classic_queue"
        };
        let text = format!(
            "invalid arg '{foreign}' for queue '{name}' in vhost '{vhost}' of queue type {kind}"
        );
        return Err(Refusal::precondition(text));
    }
    if let Some(value) = arguments.get("x-cancel-on-ha-failover")
        && value.as_bool().is_none()
    {
        return Err(Refusal::precondition(format!(
            "invalid arg 'x-cancel-on-ha-failover' for queue '{name}' in vhost '{vhost}': {{unacceptable_type,{}}}",
            value.type_name()
        )));
    }
    match arguments.get("x-priority") {
        None => Ok(0),
        Some(value) => match value.as_integer() {
            Some(priority) => Ok(priority.clamp(i32::MIN.into(), i32::MAX.into()) as i32),
            None => Err(Refusal::precondition(format!(
                "invalid arg 'x-priority' for queue '{name}' in vhost '{vhost}': \"expected integer, got {}\"",
                FieldValue::type_name(value)
            ))),
        },
    }
}
