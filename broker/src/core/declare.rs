//! Declaring, deleting and binding exchanges and queues: the checks, their order and their words.
//!
//! The functions on names and declarations are for everybody (channels, the management interface); those with an
//! [`At`] check the user's permissions first and answer the client.

use super::Core;
use super::access::Right;
use super::connection::{At, refusal_text};
use super::exchange::Kind;
use super::field::{FieldTable, FieldValue};
use super::metadata::Command;
use super::method::Method;
use super::queue::{check_arguments, check_type, foreign_argument};
use super::refusal::{Code, Refusal};
use super::vhost::{Binding, Destination, ExchangeSpec, PREDECLARED, QueueId, QueueSpec, Vhost};
use std::sync::Arc;

/// What a client wants a queue to be.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueDeclaration {
    pub name: String,
    pub durable: bool,
    pub auto_delete: bool,
    /// The serial number of the connection that alone may use it.
    pub owner: Option<u64>,
    pub arguments: FieldTable,
}

/// What a client wants an exchange to be.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeDeclaration {
    pub name: String,
    pub kind: String,
    pub durable: bool,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: FieldTable,
}

/// What became of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Whether it was not there before.
    pub created: bool,
}

/// The arguments that a repeated declaration of a queue must repeat.
const COMPARED: [&str; 14] = [
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
    "x-delivery-limit",
    "x-quorum-initial-group-size",
];

impl Core {
    fn the_vhost(&self, name: &str) -> Result<&Vhost, Refusal> {
        self.metadata
            .vhost(name)
            .ok_or_else(|| Refusal::new(Code::NotAllowed, format!("vhost {name} not found")))
    }

    /// Declares a queue, or checks that the one of that name is the same.
    pub fn declare_queue(
        &mut self,
        vhost: &str,
        wanted: QueueDeclaration,
    ) -> Result<Declared, Refusal> {
        self.statistics.queues_declared += 1;
        let found = self.the_vhost(vhost)?;
        if let Some(record) = found.queues.get(wanted.name.as_str()) {
            same_queue(vhost, &record.spec, &wanted)?;
            return Ok(Declared { created: false });
        }
        let mut arguments = wanted.arguments;
        if let (None, Some(kind)) = (
            arguments.get("x-queue-type"),
            &found.spec.default_queue_type,
        ) {
            arguments.set("x-queue-type", FieldValue::string(kind.as_str()));
        }
        if let Some(limit) = found.limits.max_queues
            && found.queues.len() as u64 >= limit
        {
            let text = format!(
                "cannot declare queue '{}': queue limit in vhost '{vhost}' ({limit}) is reached",
                wanted.name
            );
            return Err(Refusal::precondition(text));
        }
        let key = self.metadata.new_key();
        let QueueDeclaration {
            name,
            durable,
            auto_delete,
            owner,
            ..
        } = wanted;
        let mut queue = QueueSpec {
            name,
            durable,
            auto_delete,
            owner,
            arguments,
            key,
        };
        check_new_queue(vhost, &queue)?;
        queue.durable &= owner.is_none();
        self.execute(Command::DeclareQueue {
            vhost: vhost.to_owned(),
            queue,
        });
        Ok(Declared { created: true })
    }

    /// Deletes a queue; answers how many messages were ready. A missing one is no error.
    pub fn delete_queue(
        &mut self,
        vhost: &str,
        name: &str,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<usize, Refusal> {
        let Some(id) = self
            .the_vhost(vhost)?
            .queues
            .get(name)
            .map(|record| record.id)
        else {
            return Ok(0);
        };
        self.run_queue(id);
        let Some(queue) = self.queue(id) else {
            return Ok(0);
        };
        let count = queue.ready.len();
        if if_unused && !queue.consumers.is_empty() {
            return Err(Refusal::precondition(format!(
                "queue '{name}' in vhost '{vhost}' in use"
            )));
        }
        if if_empty && count > 0 {
            return Err(Refusal::precondition(format!(
                "queue '{name}' in vhost '{vhost}' not empty"
            )));
        }
        self.execute(Command::DeleteQueue {
            vhost: vhost.to_owned(),
            name: name.to_owned(),
        });
        Ok(count)
    }

    /// Removes what is ready; answers how much that was.
    pub fn purge_queue(&mut self, vhost: &str, name: &str) -> Result<usize, Refusal> {
        let record = self.the_vhost(vhost)?.queues.get(name);
        let id = record
            .map(|record| record.id)
            .ok_or_else(|| Refusal::no_queue(vhost, name))?;
        self.run_queue(id);
        let now_ms = self.clock.now_ms;
        let Some(queue) = self.queue_mut(id) else {
            return Ok(0);
        };
        queue.used_ms = now_ms;
        let key = queue.key;
        let mut seqs = Vec::new();
        let mut count = 0;
        while let Some(entry) = queue.ready.pop() {
            count += 1;
            queue.persistent -= usize::from(entry.is_persistent());
            seqs.extend(entry.stored.map(|stored| (entry.seq, stored)));
        }
        if !seqs.is_empty() {
            self.journal.purge(key, &seqs);
        }
        self.arm_expiry(id);
        Ok(count)
    }

    /// Declares an exchange, or checks that the one of that name is the same.
    pub fn declare_exchange(
        &mut self,
        vhost: &str,
        wanted: ExchangeDeclaration,
    ) -> Result<Declared, Refusal> {
        self.check_exchange_kind(&wanted.kind)?;
        let found = self.the_vhost(vhost)?;
        if let Some(exchange) = found.exchanges.get(wanted.name.as_str()) {
            same_exchange(vhost, &exchange.spec, &wanted)?;
            return Ok(Declared { created: false });
        }
        reserved("exchange", &wanted.name)?;
        let ExchangeDeclaration {
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments,
        } = wanted;
        if let Some(value) = arguments.get("alternate-exchange")
            && value.as_str().is_none()
        {
            let text = format!(
                "invalid type '{}' for arg 'alternate-exchange' in exchange '{name}' in vhost '{vhost}'",
                value.type_name()
            );
            return Err(Refusal::precondition(text));
        }
        let exchange = ExchangeSpec {
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments,
        };
        self.execute(Command::DeclareExchange {
            vhost: vhost.to_owned(),
            exchange,
        });
        Ok(Declared { created: true })
    }

    fn check_exchange_kind(&self, kind: &str) -> Result<(), Refusal> {
        if Kind::parse(kind).is_some() {
            return Ok(());
        }
        let text = format!("unknown exchange type '{kind}'");
        let code = if self.settings.compat_4 {
            Code::PreconditionFailed
        } else {
            Code::CommandInvalid
        };
        Err(Refusal::new(code, text))
    }

    /// Deletes an exchange. A missing one is no error.
    pub fn delete_exchange(
        &mut self,
        vhost: &str,
        name: &str,
        if_unused: bool,
    ) -> Result<(), Refusal> {
        not_default(name)?;
        if PREDECLARED.iter().any(|(reserved, _)| *reserved == name) || name.starts_with("amq.") {
            let text =
                format!("deletion of system exchange '{name}' in vhost '{vhost}' not allowed");
            return Err(Refusal::access(text));
        }
        let Some(exchange) = self.the_vhost(vhost)?.exchanges.get(name) else {
            return Ok(());
        };
        if if_unused && exchange.bindings() > 0 {
            return Err(Refusal::precondition(format!(
                "exchange '{name}' in vhost '{vhost}' in use"
            )));
        }
        self.execute(Command::DeleteExchange {
            vhost: vhost.to_owned(),
            name: name.to_owned(),
        });
        Ok(())
    }

    /// Binds; answers whether the binding is new.
    pub fn bind(&mut self, vhost: &str, binding: Binding) -> Result<bool, Refusal> {
        not_default(&binding.source)?;
        let found = self.the_vhost(vhost)?;
        let source = found.exchanges.get(binding.source.as_str());
        let kind = source
            .ok_or_else(|| Refusal::no_exchange(vhost, &binding.source))?
            .kind;
        destination_exists(found, &binding.destination)?;
        if kind == Kind::Headers {
            check_match(&binding.arguments)?;
        }
        if found.has_binding(&binding) {
            return Ok(false);
        }
        self.execute(Command::Bind {
            vhost: vhost.to_owned(),
            binding,
        });
        Ok(true)
    }

    /// Removes a binding; answers whether it was there. What is missing is no error.
    pub fn unbind(&mut self, vhost: &str, binding: Binding) -> Result<bool, Refusal> {
        not_default(&binding.source)?;
        let found = self.the_vhost(vhost)?;
        if !found.has_binding(&binding) {
            return Ok(false);
        }
        self.execute(Command::Unbind {
            vhost: vhost.to_owned(),
            binding,
        });
        Ok(true)
    }

    pub(super) fn user_and_vhost(&self, at: At) -> (Arc<str>, Arc<str>) {
        let connection = &self.connections[at.connection as usize];
        (connection.user.clone(), connection.vhost.clone())
    }

    /// Checks a permission of the channel's user.
    pub(super) fn permit(
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
    pub(super) fn permit_topic(
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
    pub(super) fn not_locked(&self, at: At, name: &str) -> Result<(), Refusal> {
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
    pub(super) fn named_queue(&self, at: At, name: &str) -> Result<Arc<str>, Refusal> {
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

    pub(super) fn on_declaration(&mut self, at: At, method: Method<'_>) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
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
                self.answer(at, nowait, &Method::ExchangeDeleteOk);
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
                self.on_bind(at, source, destination, routing_key, arguments, true)?;
                self.answer(at, nowait, &Method::ExchangeBindOk);
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
                self.on_bind(at, source, destination, routing_key, arguments, false)?;
                self.answer(at, nowait, &Method::ExchangeUnbindOk);
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
                self.on_bind(
                    at,
                    exchange,
                    Destination::Queue(name.to_string()),
                    key,
                    arguments,
                    true,
                )?;
                self.answer(at, nowait, &Method::QueueBindOk);
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
                self.on_bind(at, exchange, destination, routing_key, arguments, false)?;
                self.answer(at, false, &Method::QueueUnbindOk);
                Ok(())
            }
            Method::QueuePurge { queue, nowait, .. } => {
                let name = self.named_queue(at, queue)?;
                self.permit(at, Right::Read, "queue", &name)?;
                self.not_locked(at, &name)?;
                let count = self.purge_queue(&vhost, &name)?;
                self.answer(
                    at,
                    nowait,
                    &Method::QueuePurgeOk {
                        message_count: count as u32,
                    },
                );
                Ok(())
            }
            Method::QueueDelete {
                queue,
                if_unused,
                if_empty,
                nowait,
                ..
            } => {
                let name = self.named_queue(at, queue)?;
                self.permit(at, Right::Configure, "queue", &name)?;
                self.not_locked(at, &name)?;
                let count = self.delete_queue(&vhost, &name, if_unused, if_empty)?;
                self.answer(
                    at,
                    nowait,
                    &Method::QueueDeleteOk {
                        message_count: count as u32,
                    },
                );
                Ok(())
            }
            other => unreachable!("{} declares nothing", other.name()),
        }
    }

    pub(super) fn answer(&mut self, at: At, nowait: bool, method: &Method<'_>) {
        if !nowait {
            self.reply(at, method);
        }
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
            let found = self
                .the_vhost(&vhost)?
                .exchanges
                .contains_key(name.as_str());
            if !found {
                return Err(Refusal::no_exchange(&vhost, &name));
            }
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
        self.answer(at, nowait, &Method::ExchangeDeclareOk);
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
        if super::reply::is_queue(queue.as_bytes()) {
            let method = Method::QueueDeclareOk {
                queue,
                message_count: 0,
                consumer_count: 1,
            };
            self.answer(at, nowait, &method);
            return Ok(());
        }
        if passive && super::reply::is_address(queue.as_bytes()) {
            return self.on_declare_reply_queue(at, queue, nowait);
        }
        let name: Arc<str> = if passive {
            let name: Arc<str> = without_newlines(queue).as_str().into();
            if self.find_queue(&vhost, &name).is_none() {
                return Err(Refusal::no_queue(&vhost, &name));
            }
            self.not_locked(at, &name)?;
            name
        } else {
            let wanted =
                self.wanted_queue(at, queue, (durable, exclusive, auto_delete), arguments)?;
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

    fn wanted_queue(
        &mut self,
        at: At,
        queue: &str,
        (durable, exclusive, auto_delete): (bool, bool, bool),
        arguments: FieldTable,
    ) -> Result<QueueDeclaration, Refusal> {
        let name = match without_newlines(queue) {
            name if name.is_empty() => self.names.name("amq.gen-"),
            name => {
                reserved("queue", &name)?;
                name
            }
        };
        self.permit(at, Right::Configure, "queue", &name)?;
        let connection = &self.connections[at.connection as usize];
        let is_new = self.find_queue(&connection.vhost, &name).is_none();
        if let (true, Some(target)) = (
            is_new,
            arguments
                .get("x-dead-letter-exchange")
                .and_then(FieldValue::as_str),
        ) {
            self.permit(at, Right::Read, "queue", &name)?;
            self.permit(at, Right::Write, "exchange", target)?;
        }
        let owner = exclusive.then_some(connection.serial);
        Ok(QueueDeclaration {
            name,
            durable,
            auto_delete,
            owner,
            arguments,
        })
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
        let (messages, consumers) = (queue.ready.len() as u32, queue.consumers.len() as u32);
        let method = Method::QueueDeclareOk {
            queue: name,
            message_count: messages,
            consumer_count: consumers,
        };
        self.answer(at, nowait, &method);
    }

    fn on_bind(
        &mut self,
        at: At,
        source: &str,
        destination: Destination,
        routing_key: &str,
        arguments: FieldTable,
        add: bool,
    ) -> Result<(), Refusal> {
        let (_, vhost) = self.user_and_vhost(at);
        let source = without_newlines(source);
        not_default(&source)?;
        match &destination {
            Destination::Queue(name) => {
                self.permit(at, Right::Write, "queue", name)?;
                if add {
                    self.not_locked(at, name)?;
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
        if add {
            self.bind(&vhost, binding)?
        } else {
            self.unbind(&vhost, binding)?
        };
        Ok(())
    }
}

fn without_newlines(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

fn locked(vhost: &str, name: &str) -> Refusal {
    Refusal::new(
        Code::ResourceLocked,
        format!(
            "cannot obtain exclusive access to locked queue '{name}' in vhost '{vhost}'. It could be originally \
             declared on another connection or the exclusive property value does not match that of the original \
             declaration."
        ),
    )
}

fn not_default(exchange: &str) -> Result<(), Refusal> {
    if exchange.is_empty() {
        return Err(Refusal::access(
            "operation not permitted on the default exchange",
        ));
    }
    Ok(())
}

fn reserved(kind: &str, name: &str) -> Result<(), Refusal> {
    if name.starts_with("amq.") {
        return Err(Refusal::access(format!(
            "{kind} name '{name}' contains reserved prefix 'amq.*'"
        )));
    }
    Ok(())
}

fn destination_exists(vhost: &Vhost, destination: &Destination) -> Result<(), Refusal> {
    match destination {
        Destination::Queue(name) if !vhost.queues.contains_key(name.as_str()) => {
            Err(Refusal::no_queue(vhost.name(), name))
        }
        Destination::Exchange(name) if !vhost.exchanges.contains_key(name.as_str()) => {
            Err(Refusal::no_exchange(vhost.name(), name))
        }
        _ => Ok(()),
    }
}

fn check_match(arguments: &FieldTable) -> Result<(), Refusal> {
    let Some(value) = arguments.get("x-match") else {
        return Ok(());
    };
    let known = matches!(
        value.as_str(),
        Some("all" | "any" | "all-with-x" | "any-with-x")
    );
    match value {
        _ if known => Ok(()),
        FieldValue::LongString(word) => {
            let word = String::from_utf8_lossy(word);
            Err(Refusal::precondition(format!(
                "Invalid x-match field value <<\"{word}\">>; expected all, any, all-with-x, or any-with-x"
            )))
        }
        other => Err(Refusal::precondition(format!(
            "Invalid x-match field type {} (value {}); expected longstr",
            other.type_name(),
            shown(other)
        ))),
    }
}

fn check_new_queue(vhost: &str, spec: &QueueSpec) -> Result<(), Refusal> {
    let name = &spec.name;
    if let Some(value) = spec.arguments.get("x-dead-letter-exchange")
        && value.as_str().is_none()
    {
        return Err(Refusal::precondition(format!(
            "invalid type '{}' for arg 'x-dead-letter-exchange' in queue '{name}' in vhost '{vhost}'",
            value.type_name()
        )));
    }
    let invalid = |(argument, detail)| {
        let text =
            format!("invalid arg '{argument}' for queue '{name}' in vhost '{vhost}': {detail}");
        Refusal::precondition(text)
    };
    check_type(&spec.arguments).map_err(invalid)?;
    let quorum = spec.is_quorum();
    if let Some(argument) = foreign_argument(&spec.arguments, quorum) {
        let kind = if quorum {
            "rabbit_quorum_queue"
        } else {
            "rabbit_classic_queue"
        };
        return Err(Refusal::precondition(format!(
            "invalid arg '{argument}' for queue '{name}' in vhost '{vhost}' of queue type {kind}"
        )));
    }
    check_arguments(&spec.arguments).map_err(invalid)?;
    let property = |word: &str| {
        Err(Refusal::precondition(format!(
            "invalid property '{word}' for queue '{name}' in vhost '{vhost}'"
        )))
    };
    match () {
        () if quorum && spec.owner.is_some() => property("exclusive-owner"),
        () if quorum && spec.auto_delete => property("auto-delete"),
        () if quorum && !spec.durable => property("non-durable"),
        () => Ok(()),
    }
}

fn same_queue(vhost: &str, is: &QueueSpec, wanted: &QueueDeclaration) -> Result<(), Refusal> {
    let what = format!("queue '{}' in vhost '{vhost}'", is.name);
    if is.owner != wanted.owner {
        return Err(locked(vhost, &is.name));
    }
    same_flag(
        "durable",
        &what,
        is.durable,
        wanted.durable && wanted.owner.is_none(),
    )?;
    same_flag("auto_delete", &what, is.auto_delete, wanted.auto_delete)?;
    COMPARED
        .iter()
        .try_for_each(|name| same_argument(name, &what, &is.arguments, &wanted.arguments))
}

fn same_exchange(
    vhost: &str,
    is: &ExchangeSpec,
    wanted: &ExchangeDeclaration,
) -> Result<(), Refusal> {
    let what = format!("exchange '{}' in vhost '{vhost}'", is.name);
    if is.kind != wanted.kind {
        return Err(inequivalent(
            "type",
            &what,
            &format!("'{}'", wanted.kind),
            &format!("'{}'", is.kind),
        ));
    }
    same_flag("durable", &what, is.durable, wanted.durable)?;
    same_flag("auto_delete", &what, is.auto_delete, wanted.auto_delete)?;
    same_flag("internal", &what, is.internal, wanted.internal)?;
    same_argument(
        "alternate-exchange",
        &what,
        &is.arguments,
        &wanted.arguments,
    )
}

fn same_flag(name: &str, what: &str, is: bool, wanted: bool) -> Result<(), Refusal> {
    if is == wanted {
        return Ok(());
    }
    Err(inequivalent(
        name,
        what,
        &format!("'{wanted}'"),
        &format!("'{is}'"),
    ))
}

fn same_argument(
    name: &str,
    what: &str,
    is: &FieldTable,
    wanted: &FieldTable,
) -> Result<(), Refusal> {
    let (is, wanted) = (is.get(name), wanted.get(name));
    let same = match (is, wanted) {
        (Some(a), Some(b)) => {
            a == b || (a.as_integer().is_some() && a.as_integer() == b.as_integer())
        }
        (None, None) => true,
        // the type that a queue has anyway
        (None, Some(value)) => name == "x-queue-type" && value.as_str() == Some("classic"),
        (Some(value), None) => name == "x-queue-type" && value.as_str() == Some("classic"),
    };
    if same {
        return Ok(());
    }
    let describe = |value: Option<&FieldValue>| match value {
        None => "none".to_owned(),
        Some(value) => format!(
            "the value '{}' of type '{}'",
            shown(value),
            value.type_name()
        ),
    };
    Err(inequivalent(name, what, &describe(wanted), &describe(is)))
}

fn inequivalent(name: &str, what: &str, wanted: &str, is: &str) -> Refusal {
    Refusal::precondition(format!(
        "inequivalent arg '{name}' for {what}: received {wanted} but current is {is}"
    ))
}

fn shown(value: &FieldValue) -> String {
    match value {
        FieldValue::LongString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => value.to_string(),
        FieldValue::F64(value) => value.to_string(),
        other => other
            .as_integer()
            .map_or_else(|| other.type_name().to_owned(), |n| n.to_string()),
    }
}
