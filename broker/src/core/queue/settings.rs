//! What a queue does beyond keeping order: its arguments, checked, and joined with what policies say.

use crate::core::field::{FieldTable, FieldValue};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What happens to a publish that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    #[default]
    DropHead,
    RejectPublish,
    RejectPublishDlx,
}

impl Overflow {
    fn parse(word: &str) -> Option<Overflow> {
        Some(match word {
            "drop-head" => Overflow::DropHead,
            "reject-publish" => Overflow::RejectPublish,
            "reject-publish-dlx" => Overflow::RejectPublishDlx,
            _ => return None,
        })
    }
}

/// When a persistent message in a durable queue counts as safe, and is confirmed. The later, the higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// At once: it is kept in memory only, as a transient one is.
    Memory,
    /// When the operating system has it: it outlives the process, not the machine.
    Replicated,
    /// When the disk has it.
    #[default]
    Fsync,
}

impl Durability {
    fn parse(word: &str) -> Option<Durability> {
        Some(match word {
            "memory" => Durability::Memory,
            "replicated" => Durability::Replicated,
            "fsync" => Durability::Fsync,
            _ => return None,
        })
    }
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueueSettings {
    pub message_ttl_ms: Option<u64>,
    pub expires_ms: Option<u64>,
    pub max_length: Option<u64>,
    pub max_length_bytes: Option<u64>,
    pub overflow: Overflow,
    pub dead_letter_exchange: Option<Arc<str>>,
    pub dead_letter_key: Option<Arc<str>>,
    pub max_priority: u8,
    pub single_active: bool,
    pub delivery_limit: Option<u32>,
    pub consumer_timeout_ms: Option<u64>,
    pub durability: Durability,
}

impl QueueSettings {
    /// Arguments first; limits are the lower of argument and policy.
    pub fn new(arguments: &FieldTable, policy: &Map<String, Value>, quorum: bool) -> QueueSettings {
        let number = |argument: &str, key: &str| {
            let given = arguments
                .get(argument)
                .and_then(FieldValue::as_integer)
                .and_then(|n| u64::try_from(n).ok());
            let by_policy = policy.get(key).and_then(Value::as_u64);
            match (given, by_policy) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        };
        let word = |argument: &str, key: &str| {
            let given = arguments.get(argument).and_then(FieldValue::as_str);
            given
                .or_else(|| policy.get(key).and_then(Value::as_str))
                .map(str::to_owned)
        };
        let priority = arguments
            .get("x-max-priority")
            .and_then(FieldValue::as_integer);
        let overflow = word("x-overflow", "overflow");
        QueueSettings {
            message_ttl_ms: number("x-message-ttl", "message-ttl"),
            expires_ms: number("x-expires", "expires"),
            max_length: number("x-max-length", "max-length"),
            max_length_bytes: number("x-max-length-bytes", "max-length-bytes"),
            overflow: overflow
                .and_then(|word| Overflow::parse(&word))
                .unwrap_or_default(),
            dead_letter_exchange: word("x-dead-letter-exchange", "dead-letter-exchange")
                .map(Arc::from),
            dead_letter_key: word("x-dead-letter-routing-key", "dead-letter-routing-key")
                .map(Arc::from),
            max_priority: priority.unwrap_or(0).clamp(0, 255) as u8,
            single_active: arguments.get("x-single-active-consumer")
                == Some(&FieldValue::Bool(true)),
            delivery_limit: number("x-delivery-limit", "delivery-limit")
                .filter(|_| quorum)
                .map(|n| n as u32),
            consumer_timeout_ms: number("x-consumer-timeout", "consumer-timeout"),
            durability: word("x-durability", "durability")
                .and_then(|word| Durability::parse(&word))
                .unwrap_or_default(),
        }
    }
}

/// Arguments that only the other queue type knows.
const NOT_FOR_QUORUM: [&str; 6] = [
    "x-max-priority",
    "x-queue-mode",
    "x-queue-version",
    "x-queue-master-locator",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
];
const NOT_FOR_CLASSIC: [&str; 8] = [
    "x-delivery-limit",
    "x-quorum-initial-group-size",
    "x-dead-letter-strategy",
    "x-queue-leader-locator",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
];

/// Arguments that a queue of this type does not have.
fn foreign_arguments(quorum: bool) -> &'static [&'static str] {
    match quorum {
        true => &NOT_FOR_QUORUM,
        false => &NOT_FOR_CLASSIC,
    }
}

/// The first argument that a queue of this type does not have.
pub fn foreign_argument(arguments: &FieldTable, quorum: bool) -> Option<&'static str> {
    let mut foreign = foreign_arguments(quorum).iter().copied();
    foreign.find(|name| arguments.get(name).is_some())
}

/// Checks `x-queue-type` by itself, which decides what else may be given.
pub fn check_type(arguments: &FieldTable) -> Result<(), (&'static str, String)> {
    match arguments.get("x-queue-type") {
        Some(value) => kind(value, arguments).map_err(|detail| ("x-queue-type", detail)),
        None => Ok(()),
    }
}

/// The longest time to live, of a queue and of a message: ten years.
pub const LONGEST_MS: i64 = 315_360_000_000;

/// What a check of one argument finds wrong, in the words that clients know.
type Check = fn(&FieldValue, &FieldTable) -> Result<(), String>;

const CHECKS: [(&str, Check); 19] = [
    ("x-expires", expires),
    ("x-message-ttl", period),
    ("x-dead-letter-exchange", string),
    ("x-dead-letter-routing-key", dead_letter_key),
    ("x-dead-letter-strategy", strategy),
    ("x-max-length", natural),
    ("x-max-length-bytes", natural),
    ("x-max-in-memory-length", natural),
    ("x-max-in-memory-bytes", natural),
    ("x-max-priority", priority),
    ("x-overflow", overflow),
    ("x-queue-mode", mode),
    ("x-queue-version", version),
    ("x-single-active-consumer", boolean),
    ("x-queue-type", kind),
    ("x-quorum-initial-group-size", positive),
    ("x-delivery-limit", any_integer),
    ("x-queue-leader-locator", locator),
    ("x-durability", durability),
];

/// Checks the arguments that a queue of this type has; names the first bad one and says what is wrong with it.
pub fn check_arguments(arguments: &FieldTable, quorum: bool) -> Result<(), (&'static str, String)> {
    let foreign = foreign_arguments(quorum);
    for (name, check) in CHECKS {
        if let (false, Some(value)) = (foreign.contains(&name), arguments.get(name)) {
            check(value, arguments).map_err(|detail| (name, detail))?;
        }
    }
    Ok(())
}

fn wrong_type(wanted: &str, value: &FieldValue) -> String {
    format!("\"expected {wanted}, got {}\"", value.type_name())
}

fn integer(value: &FieldValue) -> Result<i64, String> {
    value
        .as_integer()
        .ok_or_else(|| wrong_type("integer", value))
}

fn natural(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        n if n < 0 => Err(format!("{{value_negative,{n}}}")),
        _ => Ok(()),
    }
}

fn any_integer(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    integer(value).map(drop)
}

fn positive(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => natural(value, arguments),
    }
}

/// A time to live in milliseconds.
fn period(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        n if n > LONGEST_MS => Err(format!("{{value_too_large,{n}}}")),
        _ => natural(value, arguments),
    }
}

fn expires(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    positive(value, arguments)?;
    period(value, arguments)
}

fn locator(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    string(value, arguments)?;
    match value.as_str() {
        Some("client-local" | "balanced" | "random" | "least-leaders") => Ok(()),
        _ => Err("invalid_queue_locator_arg".to_owned()),
    }
}

fn priority(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        n if n > 255 => Err(format!("{{max_value_exceeded,{n}}}")),
        _ => natural(value, arguments),
    }
}

fn string(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match value {
        FieldValue::LongString(_) => Ok(()),
        other => Err(format!("{{unacceptable_type,{}}}", other.type_name())),
    }
}

fn dead_letter_key(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    string(value, arguments)?;
    if arguments.get("x-dead-letter-exchange").is_none() {
        return Err("routing_key_but_no_dlx_defined".to_owned());
    }
    Ok(())
}

fn strategy(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    string(value, arguments)?;
    match value.as_str() {
        Some("at-most-once" | "at-least-once") => Ok(()),
        _ => Err("invalid_dlx_strategy".to_owned()),
    }
}

fn overflow(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    string(value, arguments)?;
    let known = value.as_str().and_then(Overflow::parse).is_some();
    if known {
        Ok(())
    } else {
        Err("invalid_overflow".to_owned())
    }
}

fn durability(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    string(value, &FieldTable::new())?;
    match value.as_str().and_then(Durability::parse) {
        Some(_) => Ok(()),
        None => Err("invalid_durability".to_owned()),
    }
}

fn mode(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match value {
        FieldValue::LongString(word) if word == b"default" || word == b"lazy" => Ok(()),
        FieldValue::LongString(word) => Err(format!(
            "\"unsupported queue mode '{}'\"",
            String::from_utf8_lossy(word)
        )),
        other => Err(format!("{{unacceptable_type,{}}}", other.type_name())),
    }
}

fn version(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    natural(value, arguments)?;
    match integer(value)? {
        1 | 2 => Ok(()),
        n => Err(format!("\"unsupported queue version '{n}'\"")),
    }
}

fn boolean(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match value {
        FieldValue::Bool(_) => Ok(()),
        other => Err(format!("{{unacceptable_type,{}}}", other.type_name())),
    }
}

fn kind(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match value {
        FieldValue::LongString(word) if word == b"classic" || word == b"quorum" => Ok(()),
        FieldValue::LongString(word) => Err(format!(
            "\"unsupported queue type '{}'\"",
            String::from_utf8_lossy(word)
        )),
        other => Err(format!("{{unacceptable_type,{}}}", other.type_name())),
    }
}
