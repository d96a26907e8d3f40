//! The same as clients ask for it: permissions first, then the declaration, then the answer.

use super::super::Core;
use super::super::access::Right;
use super::super::connection::{At, refusal_text};
use super::super::exchange::Kind;
use super::super::field::{FieldTable, FieldValue};
use super::super::metadata::Command;
use super::super::method::Method;
use super::super::refusal::Refusal;
use super::super::vhost::{Binding, Destination, QueueId};
use super::rules::{locked, not_default, reserved, without_newlines};
use super::{DeleteIf, ExchangeDeclaration, QueueDeclaration};
use std::sync::Arc;

/// What a request does with a binding.
#[derive(Clone, Copy)]
enum BindingChange {
    Add,
    Remove,
}

impl Core {
    pub(in crate::core) fn user_and_vhost(&self, at: At) -> (Arc<str>, Arc<str>) {
        let connection = &self.connections[at.connection as usize];
        (connection.user.clone(), connection.vhost.clone())
    }

    /// Checks a permission of the channel's user.
    pub(in crate::core) fn permit(
        &self,
        at: At,
        right: Right,
        kind: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let (user, vhost) = self.user_and_vhost(at);
        if self.metadata.access.allows(&user, &vhost, right, name) {
            return Ok(());
        }
        Err(Refusal::access(refusal_text(
            kind, name, &vhost, &user, right,
        )))
    }

    /// Checks the permission for a topic exchange's key.
    pub(in crate::core) fn permit_topic(
        &self,
        at: At,
        right: Right,
        exchange: &str,
        key: &str,
    ) -> Result<(), Refusal> {
        let (user, vhost) = self.user_and_vhost(at);
        let access = &self.metadata.access;
        if !access.has_topic_rule(&user, &vhost, exchange) {
            return Ok(());
        }
        let found = self
            .metadata
            .vhost(&vhost)
            .and_then(|v| v.exchanges.get(exchange));
        let is_topic = found.is_some_and(|exchange| exchange.kind == Kind::Topic);
        if !is_topic || access.allows_topic(&user, &vhost, exchange, right, key) {
            return Ok(());
        }
        Err(Refusal::access(format!(
            "access to topic '{key}' in exchange '{exchange}' in vhost '{vhost}' refused for user '{user}'"
        )))
    }

    /// Refuses a queue that belongs to another connection.
    pub(in crate::core) fn not_locked(&self, at: At, name: &str) -> Result<(), Refusal> {
        let connection = &self.connections[at.connection as usize];
        let owner = self
            .find_queue(&connection.vhost, name)
            .and_then(|queue| queue.owner);
        match owner {
            Some(owner) if owner != connection.serial => Err(locked(&connection.vhost, name)),
            _ => Ok(()),
        }
    }

    /// The queue that a method names: an empty name means the last one declared on the channel.
    pub(in crate::core) fn named_queue(&self, at: At, name: &str) -> Result<Arc<str>, Refusal> {
        if !name.is_empty() {
            return Ok(without_newlines(name).as_str().into());
        }
        let channel = self.connections[at.connection as usize].channel(at.channel);
        let last = channel
            .map(|channel| channel.last_queue.clone())
            .unwrap_or_default();
        if last.is_empty() {
            return Err(Refusal::not_found("no previously declared queue"));
        }
        Ok(last)
    }

    pub(in crate::core) fn on_declaration(
        &mut self,
        at: At,
        method: Method<'_>,
    ) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
        self.begin_request();
        match method {
            Method::ExchangeDeclare { .. } => self.on_exchange_declare(at, method),
            Method::ExchangeDelete {
                exchange,
                if_unused,
                nowait,
                ..
            } => {
                let name = without_newlines(exchange);
                not_default(&name)?;
                self.permit(at, Right::Configure, "exchange", &name)?;
                self.delete_exchange(&vhost, &name, if_unused)?;
                self.answer_when_kept(at, nowait, &Method::ExchangeDeleteOk);
                Ok(())
            }
            Method::ExchangeBind {
                destination,
                source,
                routing_key,
                nowait,
                arguments,
                ..
            } => {
                let destination = Destination::Exchange(without_newlines(destination));
                let change = BindingChange::Add;
                self.on_bind(at, change, source, destination, routing_key, arguments)?;
                self.answer_when_kept(at, nowait, &Method::ExchangeBindOk);
                Ok(())
            }
            Method::ExchangeUnbind {
                destination,
                source,
                routing_key,
                nowait,
                arguments,
                ..
            } => {
                let destination = Destination::Exchange(without_newlines(destination));
                let change = BindingChange::Remove;
                self.on_bind(at, change, source, destination, routing_key, arguments)?;
                self.answer_when_kept(at, nowait, &Method::ExchangeUnbindOk);
                Ok(())
            }
            Method::QueueDeclare { .. } => self.on_queue_declare(at, method),
            Method::QueueBind {
                queue,
                exchange,
                routing_key,
                nowait,
                arguments,
                ..
            } => {
                let name = self.named_queue(at, queue)?;
                let key = if queue.is_empty() && routing_key.is_empty() {
                    &name
                } else {
                    routing_key
                };
                let destination = Destination::Queue(name.to_string());
                let change = BindingChange::Add;
                self.on_bind(at, change, exchange, destination, key, arguments)?;
                self.answer_when_kept(at, nowait, &Method::QueueBindOk);
                Ok(())
            }
            Method::QueueUnbind {
                queue,
                exchange,
                routing_key,
                arguments,
                ..
            } => {
                let name = self.named_queue(at, queue)?;
                let destination = Destination::Queue(name.to_string());
                let change = BindingChange::Remove;
                self.on_bind(at, change, exchange, destination, routing_key, arguments)?;
                self.answer_when_kept(at, false, &Method::QueueUnbindOk);
                Ok(())
            }
            Method::QueuePurge { queue, nowait, .. } => self.on_queue_purge(at, queue, nowait),
            Method::QueueDelete {
                queue,
                if_unused,
                if_empty,
                nowait,
                ..
            } => {
                let only_if = DeleteIf {
                    unused: if_unused,
                    empty: if_empty,
                };
                self.on_queue_delete(at, queue, only_if, nowait)
            }
            other => unreachable!("{} declares nothing", other.name()),
        }
    }

    pub(in crate::core) fn answer(&mut self, at: At, nowait: bool, method: &Method<'_>) {
        if !nowait {
            self.reply(at, method);
        }
    }

    fn on_queue_purge(&mut self, at: At, queue: &str, nowait: bool) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
        let name = self.named_queue(at, queue)?;
        self.permit(at, Right::Read, "queue", &name)?;
        self.not_locked(at, &name)?;
        let count = self.purge_queue(&vhost, &name)?;
        let purged = Method::QueuePurgeOk {
            message_count: count as u32,
        };
        self.answer(at, nowait, &purged);
        Ok(())
    }

    fn on_queue_delete(
        &mut self,
        at: At,
        queue: &str,
        only_if: DeleteIf,
        nowait: bool,
    ) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
        let name = self.named_queue(at, queue)?;
        self.permit(at, Right::Configure, "queue", &name)?;
        self.not_locked(at, &name)?;
        let count = self.may_be_deleted(&vhost, &name, only_if)?;
        let delete = Command::DeleteQueue {
            vhost: vhost.to_string(),
            name: name.to_string(),
        };
        match count {
            Some(_) => self.note_change(&delete),
            None => self.rest_on_changes(true),
        }
        // its consumers are told afterwards
        let deleted = Method::QueueDeleteOk {
            message_count: count.unwrap_or(0) as u32,
        };
        self.answer_when_kept(at, nowait, &deleted);
        if count.is_some() {
            self.replay(&delete);
        }
        Ok(())
    }

    fn on_exchange_declare(&mut self, at: At, method: Method<'_>) -> Result<(), Refusal> {
        let Method::ExchangeDeclare {
            exchange,
            kind,
            passive,
            durable,
            auto_delete,
            internal,
            nowait,
            arguments,
            ..
        } = method
        else {
            unreachable!("called with exchange.declare only")
        };
        let (_, vhost) = self.user_and_vhost(at);
        let name = without_newlines(exchange);
        if passive {
            not_default(&name)?;
            let found = self.the_vhost(&vhost)?.exchanges.get(name.as_str());
            let Some(found) = found else {
                return Err(Refusal::no_exchange(&vhost, &name));
            };
            let kept = found.spec.durable;
            self.rest_on_changes(kept);
        } else {
            self.check_exchange_kind(kind)?;
            not_default(&name)?;
            self.permit(at, Right::Configure, "exchange", &name)?;
            if let Some(alternate) = arguments
                .get("alternate-exchange")
                .and_then(FieldValue::as_str)
            {
                self.permit(at, Right::Read, "exchange", &name)?;
                self.permit(at, Right::Write, "exchange", alternate)?;
            }
            let kind = kind.to_owned();
            let wanted = ExchangeDeclaration {
                name,
                kind,
                durable,
                auto_delete,
                internal,
                arguments,
            };
            self.declare_exchange(&vhost, wanted)?;
        }
        self.answer_when_kept(at, nowait, &Method::ExchangeDeclareOk);
        Ok(())
    }

    fn on_queue_declare(&mut self, at: At, method: Method<'_>) -> Result<(), Refusal> {
        let Method::QueueDeclare {
            queue,
            passive,
            durable,
            exclusive,
            auto_delete,
            nowait,
            arguments,
            ..
        } = method
        else {
            unreachable!("called with queue.declare only")
        };
        let (_, vhost) = self.user_and_vhost(at);
        if super::super::reply::is_queue(queue.as_bytes()) {
            let method = Method::QueueDeclareOk {
                queue,
                message_count: 0,
                consumer_count: 1,
            };
            self.answer_when_kept(at, nowait, &method);
            return Ok(());
        }
        if passive && super::super::reply::is_address(queue.as_bytes()) {
            return self.on_declare_reply_queue(at, queue, nowait);
        }
        if super::super::reply::is_claimed(queue.as_bytes()) {
            return Err(Refusal::no_queue(&vhost, queue));
        }
        let name: Arc<str> = if passive {
            let name: Arc<str> = without_newlines(queue).as_str().into();
            let Some(found) = self.the_vhost(&vhost)?.queues.get(&*name) else {
                return Err(Refusal::no_queue(&vhost, &name));
            };
            let kept = found.spec.is_kept();
            self.not_locked(at, &name)?;
            self.rest_on_changes(kept);
            name
        } else {
            let serial = self.connections[at.connection as usize].serial;
            let wanted = QueueDeclaration {
                name: without_newlines(queue),
                durable,
                auto_delete,
                owner: exclusive.then_some(serial),
                arguments,
            };
            let wanted = self.permitted_queue(at, wanted)?;
            let name: Arc<str> = wanted.name.as_str().into();
            let owned = wanted.owner.is_some();
            let created = self.declare_queue(&vhost, wanted)?.created;
            if let (true, true, Some(id)) = (
                owned,
                created,
                self.find_queue(&vhost, &name).map(|queue| queue.id),
            ) {
                self.connections[at.connection as usize]
                    .exclusive_queues
                    .push(id);
            }
            name
        };
        self.declared(at, &name, nowait);
        Ok(())
    }

    /// Checks that the client may declare this queue; one without a name gets one.
    fn permitted_queue(
        &mut self,
        at: At,
        mut wanted: QueueDeclaration,
    ) -> Result<QueueDeclaration, Refusal> {
        if wanted.name.is_empty() {
            let kind = wanted.arguments.get("x-queue-type");
            if kind.and_then(FieldValue::as_str) == Some("quorum") {
                return Err(Refusal::precondition(
                    "Cannot declare a server-named queue for type rabbit_quorum_queue",
                ));
            }
            wanted.name = self.names.name("amq.gen-");
        } else {
            reserved("queue", &wanted.name)?;
        }
        let name = &wanted.name;
        self.permit(at, Right::Configure, "queue", name)?;
        let connection = &self.connections[at.connection as usize];
        let is_new = self.find_queue(&connection.vhost, name).is_none();
        let letters = wanted.arguments.get("x-dead-letter-exchange");
        if is_new && let Some(target) = letters.and_then(FieldValue::as_str) {
            self.permit(at, Right::Read, "queue", name)?;
            self.permit(at, Right::Write, "exchange", target)?;
        }
        Ok(wanted)
    }

    /// Remembers the queue as the channel's last one and answers with its counts.
    fn declared(&mut self, at: At, name: &Arc<str>, nowait: bool) {
        let (_, vhost) = self.user_and_vhost(at);
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            channel.last_queue = name.clone();
        }
        if let Some(id) = self.find_queue(&vhost, name).map(|queue| queue.id) {
            self.run_queue(id);
        }
        let now_ms = self.clock.now_ms;
        let id = self.find_queue(&vhost, name).map(|queue| queue.id);
        let Some(queue) = id.and_then(|id: QueueId| self.queue_mut(id)) else {
            return;
        };
        queue.used_ms = now_ms;
        let (messages, consumers) = (queue.waiting() as u32, queue.consumers.len() as u32);
        let method = Method::QueueDeclareOk {
            queue: name,
            message_count: messages,
            consumer_count: consumers,
        };
        self.answer_when_kept(at, nowait, &method);
    }

    fn on_bind(
        &mut self,
        at: At,
        change: BindingChange,
        source: &str,
        destination: Destination,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
        let source = without_newlines(source);
        not_default(&source)?;
        match &destination {
            Destination::Queue(name) => {
                self.permit(at, Right::Write, "queue", name)?;
                match change {
                    BindingChange::Add => self.not_locked(at, name)?,
                    BindingChange::Remove => {}
                }
            }
            Destination::Exchange(name) => {
                not_default(name)?;
                self.permit(at, Right::Write, "exchange", name)?;
            }
        }
        self.permit(at, Right::Read, "exchange", &source)?;
        self.permit_topic(at, Right::Read, &source, routing_key)?;
        let binding = Binding {
            source,
            destination,
            routing_key: routing_key.to_owned(),
            arguments,
        };
        match change {
            BindingChange::Add => self.bind(&vhost, binding)?,
            BindingChange::Remove => self.unbind(&vhost, binding)?,
        };
        Ok(())
    }
}
