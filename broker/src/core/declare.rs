//! Declaring, deleting and binding exchanges and queues: the checks, their order and their words.
//!
//! The functions on names and declarations are for everybody (channels, the management interface); those with an
//! [`At`] check the user's permissions first and answer the client.

mod requests;
mod rules;

use super::Core;
use super::exchange::Kind;
use super::field::{FieldTable, FieldValue};
use super::limits::most;
use super::metadata::Command;
use super::refusal::{Code, Refusal};
use super::vhost::{Binding, Destination, ExchangeSpec, PREDECLARED, QueueSpec, Vhost};
pub use rules::fits as name_fits;
use rules::{
    check_match, check_new_queue, destination_exists, not_default, reserved, same_exchange,
    same_queue,
};

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

/// What a queue must be for a deletion to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteIf {
    /// Without consumers.
    pub unused: bool,
    /// Without ready messages.
    pub empty: bool,
}

/// What became of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Whether it was not there before.
    pub created: bool,
}

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
            let kept = record.spec.is_kept();
            self.rest_on_changes(kept);
            return Ok(Declared { created: false });
        }
        rules::fits("queue", &wanted.name)?;
        let mut arguments = wanted.arguments;
        if let (None, Some(kind)) = (
            arguments.get("x-queue-type"),
            &found.spec.default_queue_type,
        ) {
            arguments.set("x-queue-type", FieldValue::string(kind.as_str()));
        }
        if let Some(limit) = found.limits.max_queues.and_then(most)
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

    /// Refuses what concerns a queue that one connection has for itself, for who has no connection.
    pub fn not_exclusive(&self, vhost: &str, name: &str) -> Result<(), Refusal> {
        match self.find_queue(vhost, name) {
            Some(queue) if queue.owner.is_some() => Err(rules::locked(vhost, name)),
            _ => Ok(()),
        }
    }

    /// Deletes a queue; answers how many messages were ready. A missing one is no error.
    pub fn delete_queue(
        &mut self,
        vhost: &str,
        name: &str,
        only_if: DeleteIf,
    ) -> Result<usize, Refusal> {
        let count = self.may_be_deleted(vhost, name, only_if)?;
        if count.is_some() {
            self.execute(Command::DeleteQueue {
                vhost: vhost.to_owned(),
                name: name.to_owned(),
            });
        }
        Ok(count.unwrap_or(0))
    }

    /// How many messages a queue has that may be deleted; `None` when there is no such queue.
    fn may_be_deleted(
        &mut self,
        vhost: &str,
        name: &str,
        only_if: DeleteIf,
    ) -> Result<Option<usize>, Refusal> {
        let Some(id) = self
            .the_vhost(vhost)?
            .queues
            .get(name)
            .map(|record| record.id)
        else {
            return Ok(None);
        };
        self.run_queue(id);
        let Some(queue) = self.queue(id) else {
            return Ok(None);
        };
        let count = queue.waiting();
        if only_if.unused && !queue.consumers.is_empty() {
            return Err(Refusal::precondition(format!(
                "queue '{name}' in vhost '{vhost}' in use"
            )));
        }
        if only_if.empty && count > 0 {
            return Err(Refusal::precondition(format!(
                "queue '{name}' in vhost '{vhost}' not empty"
            )));
        }
        Ok(Some(count))
    }

    /// Removes what is ready; answers how much that was.
    pub fn purge_queue(&mut self, vhost: &str, name: &str) -> Result<usize, Refusal> {
        let record = self.the_vhost(vhost)?.queues.get(name);
        let id = record
            .map(|record| record.id)
            .ok_or_else(|| Refusal::no_queue(vhost, name))?;
        self.take_back_all_of(id);
        self.run_queue(id);
        let now_ms = self.clock.now_ms;
        let Some(queue) = self.queue_mut(id) else {
            return Ok(0);
        };
        queue.used_ms = now_ms;
        let key = queue.key;
        let ready = queue.ready.take();
        let count = ready.len();
        queue.persistent -= ready.persistent();
        self.let_go(key, ready);
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
        rules::fits("exchange", &wanted.name)?;
        let found = self.the_vhost(vhost)?;
        if let Some(exchange) = found.exchanges.get(wanted.name.as_str()) {
            same_exchange(vhost, &exchange.spec, &wanted)?;
            let kept = exchange.spec.durable;
            self.rest_on_changes(kept);
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
        let text = match kind {
            "" => "invalid exchange type ''".to_owned(),
            kind => format!("unknown exchange type '{kind}'"),
        };
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
            self.rest_on_changes(true);
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

    /// Refuses a binding one of whose ends is not there; answers the kind of its source.
    pub fn ends_exist(
        &self,
        vhost: &str,
        source: &str,
        destination: &Destination,
    ) -> Result<Kind, Refusal> {
        let found = self.the_vhost(vhost)?;
        let exchange = found.exchanges.get(source);
        let kind = exchange
            .ok_or_else(|| Refusal::no_exchange(vhost, source))?
            .kind;
        destination_exists(found, destination)?;
        Ok(kind)
    }

    /// Binds; answers whether the binding is new.
    pub fn bind(&mut self, vhost: &str, binding: Binding) -> Result<bool, Refusal> {
        not_default(&binding.source)?;
        let kind = self.ends_exist(vhost, &binding.source, &binding.destination)?;
        let found = self.the_vhost(vhost)?;
        if kind == Kind::Headers {
            check_match(&binding.arguments)?;
        }
        let is_there = found.has_binding(&binding);
        let bind = Command::Bind {
            vhost: vhost.to_owned(),
            binding,
        };
        if is_there {
            self.rest_on_changes(self.metadata.is_kept(&bind));
            return Ok(false);
        }
        self.execute(bind);
        Ok(true)
    }

    /// Removes a binding; answers whether it was there. What is missing is no error.
    pub fn unbind(&mut self, vhost: &str, binding: Binding) -> Result<bool, Refusal> {
        not_default(&binding.source)?;
        let found = self.the_vhost(vhost)?;
        if !found.has_binding(&binding) {
            self.rest_on_changes(true);
            return Ok(false);
        }
        self.execute(Command::Unbind {
            vhost: vhost.to_owned(),
            binding,
        });
        Ok(true)
    }
}
