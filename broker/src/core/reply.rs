//! Direct reply-to: answers go straight to the requester's channel, without a queue.
//!
//! The pseudo-queue `amq.rabbitmq.reply-to` is consumed from without acknowledgements. A publish naming it in
//! `reply-to` gets an address there that says which channel asked; publishing to that address on the default exchange
//! is a delivery to the channel, as long as it lives.

use super::Core;
use super::channel::ReplyConsumer;
use super::connection::{At, State};
use super::message::Message;
use super::method::Method;
use super::refusal::Refusal;
use super::{frame, wire};

const QUEUE: &[u8] = b"amq.rabbitmq.reply-to";

/// Whether this is the pseudo-queue's name.
pub(super) fn is_queue(name: &[u8]) -> bool {
    name == QUEUE
}

/// Whether no queue may have this name, because it begins like the addresses.
pub(super) fn is_claimed(name: &[u8]) -> bool {
    name.starts_with(QUEUE)
}

/// Whether this is the address of somebody who waits for an answer.
pub(super) fn is_address(name: &[u8]) -> bool {
    name.len() > QUEUE.len() + 1 && name.starts_with(QUEUE) && name[QUEUE.len()] == b'.'
}

/// The channel and the secret in an address.
fn parse(address: &[u8]) -> Option<(At, u64)> {
    let rest = std::str::from_utf8(address.get(QUEUE.len() + 1..)?).ok()?;
    let mut parts = rest.splitn(3, '.');
    let mut part = || u64::from_str_radix(parts.next()?, 16).ok();
    let (connection, channel, secret) = (part()?, part()?, part()?);
    let at = At {
        connection: u32::try_from(connection).ok()?,
        channel: u16::try_from(channel).ok()?,
    };
    Some((at, secret))
}

impl Core {
    pub(super) fn on_consume_replies(
        &mut self,
        at: At,
        tag: &str,
        no_ack: bool,
        nowait: bool,
    ) -> Result<(), Refusal> {
        if !no_ack {
            return Err(Refusal::precondition("reply consumer cannot acknowledge"));
        }
        let secret = self.names.number();
        let tag = if tag.is_empty() {
            self.names.name("amq.ctag-")
        } else {
            tag.to_owned()
        };
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return Ok(());
        };
        if channel.reply.is_some() {
            return Err(Refusal::precondition("reply consumer already set"));
        }
        channel.reply = Some(Box::new(ReplyConsumer {
            tag: tag.as_str().into(),
            secret,
        }));
        self.answer(at, nowait, &Method::BasicConsumeOk { consumer_tag: &tag });
        Ok(())
    }

    /// The address that a request from this channel carries.
    pub(super) fn reply_address(&self, at: At) -> Result<String, Refusal> {
        let channel = self.connections[at.connection as usize].channel(at.channel);
        let reply = channel.and_then(|channel| channel.reply.as_ref());
        let reply =
            reply.ok_or_else(|| Refusal::precondition("fast reply consumer does not exist"))?;
        Ok(format!(
            "amq.rabbitmq.reply-to.{:x}.{:x}.{:016x}",
            at.connection, at.channel, reply.secret
        ))
    }

    fn reply_consumer(&mut self, address: &[u8]) -> Option<At> {
        let (at, secret) = parse(address)?;
        let connection = self.connections.get_mut(at.connection as usize)?;
        if connection.state != State::Running {
            return None;
        }
        let reply = connection.channel(at.channel)?.reply.as_ref()?;
        (reply.secret == secret).then_some(at)
    }

    /// Whether a message on the default exchange is an answer to somebody here.
    pub(super) fn is_reply(&mut self, message: &Message) -> bool {
        message.exchange().is_empty()
            && is_address(message.routing_key())
            && self.reply_consumer(message.routing_key()).is_some()
    }

    pub(super) fn deliver_reply(&mut self, message: &Message) {
        let Some(at) = self.reply_consumer(message.routing_key()) else {
            return;
        };
        let connection = &mut self.connections[at.connection as usize];
        let frame_max = connection.frame_max;
        if connection.output.len() >= super::deliver::OUTPUT_STOP * 8 {
            // nobody reads the answers: they are dropped rather than kept without bound
            return;
        }
        let Some((channel, output)) = connection.channel_and_output(at.channel) else {
            return;
        };
        let tag = channel.unacked.skip_tag();
        let Some(reply) = &channel.reply else {
            return;
        };
        frame::write(output.buffer(), frame::METHOD, at.channel, |out| {
            out.extend_from_slice(&wire::begin::BASIC_DELIVER);
            wire::shortstr(out, &reply.tag);
            wire::longlong(out, tag);
            out.push(0);
            out.extend_from_slice(message.route());
        });
        output.content(at.channel, message, frame_max);
        self.touch(at.connection);
    }

    /// A passive declaration of an address tells whether the requester still waits.
    pub(super) fn on_declare_reply_queue(
        &mut self,
        at: At,
        name: &str,
        nowait: bool,
    ) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
        if self.reply_consumer(name.as_bytes()).is_none() {
            return Err(Refusal::no_queue(&vhost, name));
        }
        let method = Method::QueueDeclareOk {
            queue: name,
            message_count: 0,
            consumer_count: 1,
        };
        self.answer(at, nowait, &method);
        Ok(())
    }
}
