//! Definitions: everything that is declared, as one JSON document in RabbitMQ's
//! form, out and in.
//!
//! Reading gives commands and changes nothing; who imports applies them in
//! order. What RabbitMQ has and is not here is refused by name.

mod export;
pub mod json;

pub use export::{
    export, export_vhost, permission_value, topic_value, user_value, vhost_limits_value,
};

use super::access::{Password, Permission, TopicPermission};
use super::field::FieldValue;
use super::journal::QueueKey;
use super::limits::{Limits, UserLimits, VhostLimits};
use super::metadata::{Command, PolicySpec};
use super::policy;
use super::vhost::{Binding, Destination, ExchangeSpec, QueueSpec, VhostSpec};
use serde_json::{Map, Value};

/// Why a document is refused; names the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// An entry lacks a key, or has it in the wrong form.
    Malformed {
        /// `queues`, `users`, ...
        section: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The entry breaks a rule; the text is the one that operators know.
    Invalid(String),
    /// An entry names a virtual host that is neither here nor in the document.
    NoSuchVhost(String),
    /// A password hash is not Base64.
    NotBase64(String),
}

impl std::fmt::Display for ImportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImportError::Malformed { section, reason } => write!(f, "{section}: {reason}"),
            ImportError::Invalid(text) => f.write_str(text),
            ImportError::NoSuchVhost(name) => write!(f, "virtual host '{name}' does not exist"),
            ImportError::NotBase64(text) => write!(f, "password hash '{text}' is not Base64"),
        }
    }
}

impl std::error::Error for ImportError {}

/// Exchange types that can be declared.
pub const EXCHANGE_TYPES: [&str; 4] = ["direct", "fanout", "topic", "headers"];

/// Reads a document. Entries without a virtual host belong to `vhost` (the
/// form of one virtual host's export); `known` tells which exist already.
pub fn import(
    document: &Map<String, Value>,
    vhost: Option<&str>,
    known: &dyn Fn(&str) -> bool,
) -> Result<Vec<Command>, ImportError> {
    let mut reader = Reader {
        vhost,
        known,
        new_vhosts: Vec::new(),
        commands: Vec::new(),
    };
    // the order in which entries need each other
    reader.each(document, "vhosts", Reader::vhost)?;
    reader.each(document, "users", Reader::user)?;
    reader.each(document, "permissions", Reader::permission)?;
    reader.each(document, "topic_permissions", Reader::topic_permission)?;
    reader.each(document, "policies", Reader::policy)?;
    reader.each(document, "parameters", Reader::parameter)?;
    reader.each(document, "global_parameters", Reader::global_parameter)?;
    reader.each(document, "exchanges", Reader::exchange)?;
    reader.each(document, "queues", Reader::queue)?;
    reader.each(document, "bindings", Reader::binding)?;
    Ok(reader.commands)
}

struct Reader<'a> {
    vhost: Option<&'a str>,
    known: &'a dyn Fn(&str) -> bool,
    new_vhosts: Vec<String>,
    commands: Vec<Command>,
}

/// One entry of a section.
struct Entry<'a> {
    section: &'static str,
    map: &'a Map<String, Value>,
}

type Done = Result<(), ImportError>;

impl Entry<'_> {
    fn malformed(&self, reason: String) -> ImportError {
        let section = self.section;
        ImportError::Malformed { section, reason }
    }

    fn text(&self, key: &str) -> Result<String, ImportError> {
        match self.map.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.malformed(format!("\"{key}\" is not a string"))),
            None => Err(self.malformed(format!("\"{key}\" is missing"))),
        }
    }

    fn text_or(&self, key: &str, default: &str) -> Result<String, ImportError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(default.to_owned()),
            Some(_) => self.text(key),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ImportError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => Err(self.malformed(format!("\"{key}\" is not a boolean"))),
        }
    }

    fn object(&self, key: &str) -> Result<Map<String, Value>, ImportError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(Value::Array(items)) => {
                pairs(items).ok_or_else(|| self.malformed(format!("\"{key}\" is not an object")))
            }
            Some(_) => Err(self.malformed(format!("\"{key}\" is not an object"))),
        }
    }

    fn tags(&self) -> Result<Vec<String>, ImportError> {
        parse_tags(self.map.get("tags"))
            .ok_or_else(|| self.malformed("\"tags\" is not a list".into()))
    }
}

/// Tags as a list or as `a,b`.
pub fn parse_tags(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::String(text)) => Some(
            text.split(',')
                .map(|tag| tag.trim().to_owned())
                .filter(|tag| !tag.is_empty())
                .collect(),
        ),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        Some(_) => None,
    }
}

/// A table as `rabbitmqctl export_definitions` writes some: a list of pairs.
fn pairs(items: &[Value]) -> Option<Map<String, Value>> {
    let pair = |item: &Value| match item.as_array()?.as_slice() {
        [Value::String(key), value] => Some((key.clone(), value.clone())),
        _ => None,
    };
    items.iter().map(pair).collect()
}

/// The text that follows "Validation failed".
fn validation(text: impl std::fmt::Display) -> ImportError {
    ImportError::Invalid(format!("Validation failed\n\n{text}\n"))
}

impl Reader<'_> {
    fn each(
        &mut self,
        document: &Map<String, Value>,
        section: &'static str,
        read: fn(&mut Self, &Entry<'_>) -> Done,
    ) -> Done {
        let reason = |reason: &str| ImportError::Malformed {
            section,
            reason: reason.to_owned(),
        };
        let items = match document.get(section) {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(reason("is not a list")),
        };
        for item in items {
            let map = item
                .as_object()
                .ok_or_else(|| reason("an entry is not an object"))?;
            read(self, &Entry { section, map })?;
        }
        Ok(())
    }

    fn vhost_of(&self, entry: &Entry<'_>) -> Result<String, ImportError> {
        let name = match (entry.map.get("vhost"), self.vhost) {
            (_, Some(vhost)) => vhost.to_owned(),
            (_, None) => entry.text("vhost")?,
        };
        if !(self.known)(&name) && !self.new_vhosts.contains(&name) {
            return Err(ImportError::NoSuchVhost(name));
        }
        Ok(name)
    }

    fn vhost(&mut self, entry: &Entry<'_>) -> Done {
        let name = entry.text("name")?;
        let metadata = entry.object("metadata")?;
        let from = |key: &str| entry.map.get(key).or_else(|| metadata.get(key));
        let text = |key: &str| from(key).and_then(Value::as_str).map(str::to_owned);
        self.new_vhosts.push(name.clone());
        self.commands.push(Command::PutVhost(VhostSpec {
            name,
            description: text("description").unwrap_or_default(),
            tags: parse_tags(from("tags")).unwrap_or_default(),
            default_queue_type: text("default_queue_type").filter(|t| t != "undefined"),
            tracing: from("tracing").and_then(Value::as_bool).unwrap_or(false),
        }));
        Ok(())
    }

    fn user(&mut self, entry: &Entry<'_>) -> Done {
        let name = entry.text("name")?;
        let hash = entry.text_or("password_hash", "")?;
        let algorithm = entry.map.get("hashing_algorithm").and_then(Value::as_str);
        let password = Password::import(&hash, algorithm).map_err(|error| match error {
            crate::core::access::PasswordError::Malformed => ImportError::NotBase64(hash.clone()),
            other => ImportError::Invalid(format!("user '{name}': {other}")),
        })?;
        self.commands.push(Command::PutUser {
            name: name.clone(),
            password_hash: password.export_hash(),
            hashing_algorithm: password.export_algorithm().to_owned(),
            tags: entry.tags()?,
        });
        let limits = entry.object("limits")?;
        if !limits.is_empty() {
            UserLimits::from_json(&limits).map_err(validation)?;
            self.commands
                .push(Command::SetUserLimits { user: name, limits });
        }
        Ok(())
    }

    fn permission(&mut self, entry: &Entry<'_>) -> Done {
        let vhost = self.vhost_of(entry)?;
        let [user, configure, write, read] = [
            entry.text("user")?,
            entry.text("configure")?,
            entry.text("write")?,
            entry.text("read")?,
        ];
        Permission::new(&configure, &write, &read)
            .map_err(|e| ImportError::Invalid(e.to_string()))?;
        self.commands.push(Command::SetPermission {
            user,
            vhost,
            configure,
            write,
            read,
        });
        Ok(())
    }

    fn topic_permission(&mut self, entry: &Entry<'_>) -> Done {
        let vhost = self.vhost_of(entry)?;
        let [user, exchange] = [entry.text("user")?, entry.text("exchange")?];
        let [write, read] = [entry.text("write")?, entry.text("read")?];
        TopicPermission::new(&write, &read).map_err(|e| ImportError::Invalid(e.to_string()))?;
        self.commands.push(Command::SetTopicPermission {
            user,
            vhost,
            exchange,
            write,
            read,
        });
        Ok(())
    }

    fn policy(&mut self, entry: &Entry<'_>) -> Done {
        let vhost = self.vhost_of(entry)?;
        let policy = policy_spec(entry.text("name")?, entry.map, false)?;
        self.commands.push(Command::SetPolicy { vhost, policy });
        Ok(())
    }

    fn parameter(&mut self, entry: &Entry<'_>) -> Done {
        let vhost = self.vhost_of(entry)?;
        let [component, name] = [entry.text("component")?, entry.text("name")?];
        match component.as_str() {
            "operator_policy" => {
                let policy = policy_spec(name, &entry.object("value")?, true)?;
                self.commands
                    .push(Command::SetOperatorPolicy { vhost, policy });
            }
            "vhost-limits" => {
                let limits = entry.object("value")?;
                VhostLimits::from_json(&limits).map_err(validation)?;
                self.commands
                    .push(Command::SetVhostLimits { vhost, limits });
            }
            other => return Err(validation(format!("component {other} not found"))),
        }
        Ok(())
    }

    fn global_parameter(&mut self, entry: &Entry<'_>) -> Done {
        let name = entry.text("name")?;
        let value = entry.map.get("value").cloned().unwrap_or(Value::Null);
        // each cluster has its own identity
        if name != "internal_cluster_id" {
            self.commands
                .push(Command::SetGlobalParameter { name, value });
        }
        Ok(())
    }

    fn exchange(&mut self, entry: &Entry<'_>) -> Done {
        let vhost = self.vhost_of(entry)?;
        let kind = entry.text("type")?;
        if !EXCHANGE_TYPES.contains(&kind.as_str()) {
            return Err(ImportError::Invalid(format!(
                "unknown exchange type '{kind}'"
            )));
        }
        let exchange = ExchangeSpec {
            name: entry.text("name")?,
            kind,
            durable: entry.flag("durable", true)?,
            auto_delete: entry.flag("auto_delete", false)?,
            internal: entry.flag("internal", false)?,
            arguments: json::from_json(&entry.object("arguments")?),
        };
        self.commands
            .push(Command::DeclareExchange { vhost, exchange });
        Ok(())
    }

    fn queue(&mut self, entry: &Entry<'_>) -> Done {
        let vhost = self.vhost_of(entry)?;
        let mut arguments = json::from_json(&entry.object("arguments")?);
        let kind = entry.map.get("type").and_then(Value::as_str);
        let given = arguments.get("x-queue-type").and_then(FieldValue::as_str);
        let is_stream = kind == Some("stream") || given == Some("stream");
        let name = entry.text("name")?;
        if is_stream {
            let text =
                format!("queue '{name}' in vhost '{vhost}' is a stream; streams are not there");
            return Err(ImportError::Invalid(text));
        }
        if let (Some(kind), None) = (kind.filter(|k| *k != "classic"), given) {
            let value = FieldValue::string(kind);
            arguments.0.push(("x-queue-type".to_owned(), value));
        }
        let queue = QueueSpec {
            name,
            durable: entry.flag("durable", true)?,
            auto_delete: entry.flag("auto_delete", false)?,
            owner: None,
            arguments,
            // who applies the command gives the real one
            key: QueueKey(0),
        };
        self.commands.push(Command::DeclareQueue { vhost, queue });
        Ok(())
    }

    fn binding(&mut self, entry: &Entry<'_>) -> Done {
        let vhost = self.vhost_of(entry)?;
        let name = entry.text("destination")?;
        let destination = match entry.text("destination_type")?.as_str() {
            "queue" => Destination::Queue(name),
            "exchange" => Destination::Exchange(name),
            other => {
                return Err(entry.malformed(format!("\"{other}\" is not a destination type")));
            }
        };
        let binding = Binding {
            source: entry.text("source")?,
            destination,
            routing_key: entry.text_or("routing_key", "")?,
            arguments: json::from_json(&entry.object("arguments")?),
        };
        if !binding.source.is_empty() {
            self.commands.push(Command::Bind { vhost, binding });
        }
        Ok(())
    }
}

/// Reads and checks a policy's entry; what is left out has its default. What is wrong with it is told as a whole, behind
/// "Validation failed".
pub fn policy_spec(
    name: String,
    map: &Map<String, Value>,
    operator: bool,
) -> Result<PolicySpec, ImportError> {
    let section = "policies";
    let entry = Entry { section, map };
    let definition = entry.object("definition")?;
    let written = policy::Entry {
        pattern: map.get("pattern").unwrap_or(&Value::Null),
        apply_to: map.get("apply-to"),
        definition: &definition,
        priority: map.get("priority"),
    };
    let complaints = written.complaints(operator);
    if !complaints.is_empty() {
        return Err(validation(complaints.join("\n")));
    }
    Ok(PolicySpec {
        name,
        pattern: entry.text("pattern")?,
        apply_to: entry.text_or("apply-to", "all")?,
        priority: map.get("priority").and_then(Value::as_i64).unwrap_or(0),
        definition,
    })
}

#[cfg(test)]
mod tests;
