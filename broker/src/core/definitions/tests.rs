//! A real export of RabbitMQ 3.10 comes in and goes out again.

use super::*;
use crate::core::metadata::Metadata;
use serde_json::json;

/// Written by `rabbitmqctl export_definitions` of RabbitMQ 3.10.8 (Debian 12).
const EXPORT: &str = include_str!("../../../tests/data/rabbitmq-3.10-definitions.json");

fn document(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("the file is JSON")
}

fn state(commands: Vec<Command>) -> Metadata {
    let mut metadata = Metadata::default();
    for mut command in commands {
        if let Command::DeclareQueue { queue, .. } = &mut command {
            queue.key = metadata.new_key();
        }
        metadata.apply(&command);
    }
    metadata
}

#[test]
fn an_export_of_a_real_node_comes_in_with_its_passwords() {
    let commands = import(&document(EXPORT), None, &|_| false).expect("imports");
    let metadata = state(commands);
    let alice = &metadata.access.users["alice"];
    assert!(alice.password.verify(b"wonderland"));
    assert_eq!(alice.tags, ["management", "policymaker"]);
    assert_eq!(alice.limits.max_connections, Some(100));
    let shop = metadata.vhost("shop").expect("the virtual host came in");
    assert_eq!(shop.limits.max_queues, Some(500));
    assert!(shop.policies.contains_key("ha-all"));
    assert!(shop.operator_policies.contains_key("cap"));
    let orders = &shop.queues["orders"];
    assert_eq!(orders.policy.policy.as_deref(), Some("ha-all"));
    assert_eq!(shop.bindings().count(), 2);
    let quorum = &shop.queues["audit"];
    assert!(quorum.spec.is_quorum());
}

#[test]
fn what_goes_out_comes_in_again_as_the_same() {
    let commands = import(&document(EXPORT), None, &|_| false).expect("imports");
    let first = export(&state(commands), "RabbitMQ", "3.10.8");
    let again = import(first.as_object().expect("object"), None, &|_| false).expect("imports");
    assert_eq!(export(&state(again), "RabbitMQ", "3.10.8"), first);
}

#[test]
fn one_virtual_hosts_export_can_move_to_another() {
    let metadata = state(import(&document(EXPORT), None, &|_| false).expect("imports"));
    let shop = metadata.vhost("shop").expect("the virtual host came in");
    let part = export_vhost(shop, "3.10.8");
    assert_eq!(part["policies"][0]["vhost"], "shop");
    assert_eq!(part["queues"][0].get("vhost"), None);
    let commands = import(part.as_object().expect("object"), Some("new"), &|v| {
        v == "new"
    });
    let declared = commands.expect("imports").into_iter().any(|command| {
        matches!(command, Command::DeclareQueue { vhost, queue } if vhost == "new" && queue.name == "orders")
    });
    assert!(declared);
}

#[test]
fn faults_are_named() {
    let refuse = |value: Value| {
        import(value.as_object().expect("object"), None, &|_| false).expect_err("must be refused")
    };
    assert_eq!(
        refuse(json!({"queues": [{"name": "q", "vhost": "nov"}]})),
        ImportError::NoSuchVhost("nov".into())
    );
    assert_eq!(
        refuse(json!({"users": [{"name": "u", "password_hash": "x", "tags": "a"}]})),
        ImportError::NotBase64("x".into())
    );
    let text = refuse(json!({
        "vhosts": [{"name": "/"}],
        "policies": [{"vhost": "/", "name": "p", "pattern": "", "definition": {"ha-mode": "x"}}],
    }))
    .to_string();
    assert_eq!(
        text,
        "Validation failed\n\n<<\"x\">> is not a valid ha-mode value\n"
    );
    let text = refuse(json!({
        "vhosts": [{"name": "/"}],
        "queues": [{"vhost": "/", "name": "s", "arguments": {"x-queue-type": "stream"}}],
    }))
    .to_string();
    assert!(text.contains("streams are not there"), "{text}");
    let text = refuse(json!({"queues": [{"vhost": 5}]})).to_string();
    assert_eq!(text, "queues: \"vhost\" is not a string");
}

#[test]
fn tags_of_old_exports_are_one_string() {
    let tags = parse_tags(Some(&json!("administrator, monitoring")));
    assert_eq!(
        tags,
        Some(vec!["administrator".into(), "monitoring".into()])
    );
}
