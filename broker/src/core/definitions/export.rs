//! What is declared, as a document.

use super::json::to_json;
use crate::core::access::{Permission, TopicPermission, User};
use crate::core::limits::Limits;
use crate::core::metadata::Metadata;
use crate::core::policy::Policy;
use crate::core::vhost::{Binding, Destination, Vhost};
use serde_json::{Map, Value, json};

/// Everything that is declared but connections' own queues, in RabbitMQ's form; `version` is the one that
/// clients are told.
pub fn export(metadata: &Metadata, product: &str, version: &str) -> Value {
    let access = &metadata.access;
    let users = access.users.iter();
    let users = users.map(|(name, user)| user_value(name, user));
    let permissions = access.permissions.iter();
    let permissions = permissions.map(|(key, p)| permission_value(key, p));
    let topic = access.topic_permissions.iter();
    let topic = topic.map(|(key, p)| topic_value(key, p));
    let vhosts = metadata.vhosts.values().map(|vhost| {
        let spec = &vhost.spec;
        let mut map = Map::new();
        map.insert("name".into(), spec.name.clone().into());
        map.insert("description".into(), spec.description.clone().into());
        map.insert("tags".into(), json!(spec.tags));
        if let Some(kind) = &spec.default_queue_type {
            map.insert("default_queue_type".into(), kind.clone().into());
        }
        Value::Object(map)
    });
    let globals = metadata
        .global_parameters
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    let all = |section: fn(&Vhost) -> Vec<Value>| -> Vec<Value> {
        metadata
            .vhosts
            .values()
            .flat_map(|vhost| {
                section(vhost)
                    .into_iter()
                    .map(|v| with_vhost(v, vhost.name()))
            })
            .collect()
    };
    json!({
        "rabbit_version": version,
        "rabbitmq_version": version,
        "product_name": product,
        "product_version": version,
        "users": users.collect::<Vec<_>>(),
        "vhosts": vhosts.collect::<Vec<_>>(),
        "permissions": permissions.collect::<Vec<_>>(),
        "topic_permissions": topic.collect::<Vec<_>>(),
        "parameters": all(parameters),
        "global_parameters": globals.collect::<Vec<_>>(),
        "policies": all(policies),
        "queues": all(queues),
        "exchanges": all(exchanges),
        "bindings": all(bindings),
    })
}

/// A user.
pub fn user_value(name: &str, user: &User) -> Value {
    json!({
        "name": name,
        "password_hash": user.password.portable_hash(),
        "hashing_algorithm": user.password.export_algorithm(),
        "tags": user.tags,
        "limits": user.limits.to_json(),
    })
}

/// What a user may do in a virtual host.
pub fn permission_value((vhost, user): &(String, String), p: &Permission) -> Value {
    json!({
        "user": user,
        "vhost": vhost,
        "configure": p.configure.as_str(),
        "write": p.write.as_str(),
        "read": p.read.as_str(),
    })
}

/// With which keys a user may use a topic exchange.
pub fn topic_value(
    (vhost, user, exchange): &(String, String, String),
    p: &TopicPermission,
) -> Value {
    json!({"user": user, "vhost": vhost, "exchange": exchange, "write": p.write, "read": p.read})
}

/// What is in one virtual host. Like RabbitMQ's, parameters and policies name it, the rest does not.
pub fn export_vhost(vhost: &Vhost, version: &str) -> Value {
    let named = |items: Vec<Value>| -> Vec<Value> {
        let items = items.into_iter();
        items.map(|v| with_vhost(v, vhost.name())).collect()
    };
    json!({
        "rabbit_version": version,
        "parameters": named(parameters(vhost)),
        "policies": named(policies(vhost)),
        "queues": queues(vhost),
        "exchanges": exchanges(vhost),
        "bindings": bindings(vhost),
    })
}

fn with_vhost(value: Value, vhost: &str) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    // the virtual host stands behind the name, as readers expect it
    let mut out = Map::new();
    for (index, (key, value)) in map.into_iter().enumerate() {
        out.insert(key, value);
        if index == 0 {
            out.insert("vhost".to_owned(), vhost.into());
        }
    }
    Value::Object(out)
}

fn policy_value(policy: &Policy) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("pattern".into(), policy.pattern.as_str().into());
    map.insert("apply-to".into(), policy.apply_to.word().into());
    map.insert(
        "definition".into(),
        Value::Object(policy.definition.clone()),
    );
    map.insert("priority".into(), policy.priority.into());
    map
}

/// The limits of a virtual host; an empty object when there are none.
pub fn vhost_limits_value(vhost: &Vhost) -> Value {
    Value::Object(vhost.limits.to_json())
}

fn parameters(vhost: &Vhost) -> Vec<Value> {
    let mut out = Vec::new();
    if !vhost.limits.is_unset() {
        let value = vhost_limits_value(vhost);
        out.push(json!({"name": "limits", "component": "vhost-limits", "value": value}));
    }
    for (name, policy) in &vhost.operator_policies {
        let value = Value::Object(policy_value(policy));
        out.push(json!({"name": name, "component": "operator_policy", "value": value}));
    }
    out
}

fn policies(vhost: &Vhost) -> Vec<Value> {
    let entry = |(name, policy): (&String, &Policy)| {
        let mut map = Map::new();
        map.insert("name".into(), name.clone().into());
        map.extend(policy_value(policy));
        Value::Object(map)
    };
    vhost.policies.iter().map(entry).collect()
}

fn queues(vhost: &Vhost) -> Vec<Value> {
    let mut kept: Vec<_> = vhost
        .queues
        .values()
        .filter(|q| q.spec.owner.is_none())
        .collect();
    kept.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    kept.iter()
        .map(|queue| {
            json!({
                "name": queue.spec.name,
                "durable": queue.spec.durable,
                "auto_delete": queue.spec.auto_delete,
                "arguments": to_json(&queue.spec.arguments),
            })
        })
        .collect()
}

fn exchanges(vhost: &Vhost) -> Vec<Value> {
    let own = |name: &str| name.is_empty() || name.starts_with("amq.");
    let mut kept: Vec<_> = vhost
        .exchanges
        .values()
        .map(|exchange| &exchange.spec)
        .filter(|spec| !own(&spec.name))
        .collect();
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    kept.iter()
        .map(|spec| {
            json!({
                "name": spec.name,
                "type": spec.kind,
                "durable": spec.durable,
                "auto_delete": spec.auto_delete,
                "internal": spec.internal,
                "arguments": to_json(&spec.arguments),
            })
        })
        .collect()
}

fn bindings(vhost: &Vhost) -> Vec<Value> {
    // a connection's own queues are not declared by anyone else
    let kept = |binding: &&Binding| match &binding.destination {
        Destination::Queue(name) => vhost
            .queues
            .get(name.as_str())
            .is_some_and(|queue| queue.spec.owner.is_none()),
        Destination::Exchange(_) => true,
    };
    vhost
        .bindings()
        .filter(kept)
        .map(|binding| {
            let kind = match binding.destination {
                Destination::Queue(_) => "queue",
                Destination::Exchange(_) => "exchange",
            };
            json!({
                "source": binding.source,
                "destination": binding.destination.name(),
                "destination_type": kind,
                "routing_key": binding.routing_key,
                "arguments": to_json(&binding.arguments),
            })
        })
        .collect()
}
