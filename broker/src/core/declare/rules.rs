//! What a declaration must meet: names, arguments, and sameness with what is there.

use super::super::field::{FieldTable, FieldValue};
use super::super::queue::{check_arguments, check_type, foreign_argument};
use super::super::refusal::{Code, Refusal};
use super::super::vhost::{Destination, ExchangeSpec, QueueSpec, Vhost};
use super::{ExchangeDeclaration, QueueDeclaration};

/// Arguments that a classic queue must be declared with again as it was, in the order in which they are looked at.
const COMPARED: [&str; 13] = [
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
    "x-queue-master-locator",
];

/// The same of a quorum queue.
const COMPARED_OF_QUORUM: [&str; 15] = [
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
];

/// A name as RabbitMQ keeps it: line ends in it are lost.
pub(super) fn without_newlines(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

/// What those are told who want a queue that is exclusive to another connection.
pub(super) fn locked(vhost: &str, name: &str) -> Refusal {
    Refusal::new(
        Code::ResourceLocked,
        format!(
            "cannot obtain exclusive access to locked queue '{name}' in vhost '{vhost}'. It could be originally \
             declared on another connection or the exclusive property value does not match that of the original \
             declaration."
        ),
    )
}

/// Refuses what would change or bind the default exchange.
pub(super) fn not_default(exchange: &str) -> Result<(), Refusal> {
    if exchange.is_empty() {
        return Err(Refusal::access(
            "operation not permitted on the default exchange",
        ));
    }
    Ok(())
}

/// Refuses a name that no frame could carry.
pub fn fits(kind: &str, name: &str) -> Result<(), Refusal> {
    if name.len() > 255 {
        let text = format!(
            "{kind} should be less than 255 bytes, actually was {}\n",
            name.len()
        );
        return Err(Refusal::precondition(text));
    }
    Ok(())
}

/// Refuses names that only the server gives.
pub(super) fn reserved(kind: &str, name: &str) -> Result<(), Refusal> {
    if name.starts_with("amq.") {
        return Err(Refusal::access(format!(
            "{kind} name '{name}' contains reserved prefix 'amq.*'"
        )));
    }
    Ok(())
}

/// Refuses a binding to a queue or an exchange that is not there.
pub(super) fn destination_exists(vhost: &Vhost, destination: &Destination) -> Result<(), Refusal> {
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

/// Refuses a binding to a headers exchange whose `x-match` is none of the four.
pub(super) fn check_match(arguments: &FieldTable) -> Result<(), Refusal> {
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
            other.printed()
        ))),
    }
}

/// What is wrong with a queue that is not there yet: its type, its arguments, its properties, in the order in which
/// RabbitMQ complains.
pub(super) fn check_new_queue(vhost: &str, spec: &QueueSpec) -> Result<(), Refusal> {
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
    check_arguments(&spec.arguments, quorum).map_err(invalid)?;
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

/// Refuses a declaration that is not equivalent to the queue that is there.
pub(super) fn same_queue(
    vhost: &str,
    is: &QueueSpec,
    wanted: &QueueDeclaration,
) -> Result<(), Refusal> {
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
    let compared = match is.is_quorum() {
        true => &COMPARED_OF_QUORUM[..],
        false => &COMPARED,
    };
    compared
        .iter()
        .try_for_each(|name| same_argument(name, &what, &is.arguments, &wanted.arguments))
}

/// Refuses a declaration that is not equivalent to the exchange that is there.
pub(super) fn same_exchange(
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

/// Refuses a flag, of what is named by `what`, that is not as declared before.
pub(super) fn same_flag(name: &str, what: &str, is: bool, wanted: bool) -> Result<(), Refusal> {
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

/// The same for an argument; numbers of different width mean the same.
pub(super) fn same_argument(
    name: &str,
    what: &str,
    is: &FieldTable,
    wanted: &FieldTable,
) -> Result<(), Refusal> {
    let (is, wanted) = (is.get(name), wanted.get(name));
    let same = match (is, wanted) {
        (Some(a), Some(b)) => a.means(b),
        (None, None) => true,
        // the type that a queue has anyway
        (None, Some(value)) => name == "x-queue-type" && value.as_str() == Some("classic"),
        (Some(value), None) => name == "x-queue-type" && value.as_str() == Some("classic"),
    };
    if same {
        return Ok(());
    }
    let both = is.is_some() && wanted.is_some();
    let describe = |value: Option<&FieldValue>| match value {
        None => "none".to_owned(),
        Some(value) if both => format!("'{}'", value.printed()),
        Some(value) => format!(
            "the value '{}' of type '{}'",
            value.printed(),
            value.type_name()
        ),
    };
    Err(inequivalent(name, what, &describe(wanted), &describe(is)))
}

/// PRECONDITION_FAILED in RabbitMQ's words: what was received, and what is.
pub(super) fn inequivalent(name: &str, what: &str, wanted: &str, is: &str) -> Refusal {
    Refusal::precondition(format!(
        "inequivalent arg '{name}' for {what}: received {wanted} but current is {is}"
    ))
}
