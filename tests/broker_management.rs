//! The broker's HTTP API, metrics and page, asked over real sockets; and the same definitions and page with a real
//! RabbitMQ and a real browser.

mod kit;
#[path = "broker_management/real.rs"]
mod real;
#[path = "broker_management/refusals.rs"]
mod refusals;
#[path = "broker_management/rig.rs"]
mod rig;

use kit::Daemon;
use rig::{ALICE, GUEST, LIMIT, broker, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn logins_are_wanted_checked_and_answered_as_tools_expect() {
    let b = broker();
    let (status, head, body) = request(&b.api, None, "GET", "/api/overview", "");
    assert_eq!((status, body.as_str()), (401, ""));
    assert!(
        head.contains("www-authenticate: basic realm=\"rabbitmq management\""),
        "{head}"
    );
    let (status, _, body) = request(&b.api, Some("Z3Vlc3Q6eA=="), "GET", "/api/overview", "");
    assert_eq!(status, 401);
    assert_eq!(
        body,
        r#"{"error":"not_authorized","reason":"Login failed"}"#
    );
    assert_eq!(
        b.get("/whoami"),
        json!({"name": "guest", "tags": ["administrator"]})
    );
    let (status, value) = b.ask("GET", "/nope", Value::Null);
    assert_eq!(
        (status, value),
        (
            404,
            json!({"error": "Object Not Found", "reason": "Not Found"})
        )
    );
    let (status, head, _) = request(&b.api, Some(GUEST), "POST", "/api/overview", "");
    assert_eq!(status, 405);
    assert!(head.contains("allow: head, get, options"), "{head}");
}

#[test]
fn queues_are_declared_used_and_deleted() {
    let b = broker();
    assert_eq!(
        b.put(
            "/queues/%2f/q1",
            json!({"durable": true, "arguments": {"x-max-length": 5}})
        ),
        201
    );
    assert_eq!(
        b.put(
            "/queues/%2f/q1",
            json!({"durable": true, "arguments": {"x-max-length": 5}})
        ),
        204
    );
    let (status, value) = b.ask(
        "PUT",
        "/queues/%2f/q1",
        json!({"durable": false, "arguments": {"x-max-length": 5}}),
    );
    assert_eq!(status, 400);
    let text = "inequivalent arg 'durable' for queue 'q1' in vhost '/': received 'false' but current is 'true'";
    assert_eq!(value, json!({"error": "bad_request", "reason": text}));
    let message = json!({"properties": {"delivery_mode": 2, "headers": {"x": 1}, "content_type": "text/plain"},
        "routing_key": "q1", "payload": "hello", "payload_encoding": "string"});
    let (_, said) = b.ask("POST", "/exchanges/%2f/amq.default/publish", message);
    assert_eq!(said, json!({"routed": true}));
    let look = json!({"count": 5, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let (_, got) = b.ask("POST", "/queues/%2f/q1/get", look.clone());
    assert_eq!(got[0]["payload"], "hello");
    assert_eq!(got[0]["properties"]["headers"], json!({"x": 1}));
    assert_eq!(got[0]["redelivered"], false);
    let (_, again) = b.ask("POST", "/queues/%2f/q1/get", look);
    assert_eq!(again[0]["redelivered"], true);
    let q = b.get("/queues/%2f/q1");
    assert_eq!(
        (q["messages"].as_u64(), q["message_bytes"].as_u64()),
        (Some(1), Some(5))
    );
    let (status, _) = b.ask("DELETE", "/queues/%2f/q1?if-empty=true", Value::Null);
    assert_eq!(status, 400);
    assert_eq!(
        b.ask("DELETE", "/queues/%2f/q1/contents", Value::Null).0,
        204
    );
    assert_eq!(
        b.ask("DELETE", "/queues/%2f/q1?if-empty=true", Value::Null)
            .0,
        204
    );
    assert_eq!(b.ask("DELETE", "/queues/%2f/q1", Value::Null).0, 404);
}

#[test]
fn bindings_of_what_is_not_there_are_an_empty_list() {
    let b = broker();
    for path in [
        "/queues/%2f/none/bindings",
        "/queues/none/none/bindings",
        "/exchanges/%2f/none/bindings/source",
        "/exchanges/none/none/bindings/destination",
        "/bindings/none/e/none/q/none",
    ] {
        assert_eq!(b.ask("GET", path, Value::Null), (200, json!([])), "{path}");
    }
    assert_eq!(b.put("/queues/%2f/q", json!({"durable": true})), 201);
    assert_eq!(b.get("/queues/%2f/q/bindings")[0]["routing_key"], "q");
    let implied = |queue: &str| {
        let path = format!("/bindings/%2f/e/amq.default/q/{queue}/{queue}");
        b.ask("GET", &path, Value::Null).0
    };
    assert_eq!(implied("q"), 200);
    assert_eq!(implied("none"), 404);
    assert_eq!(b.ask("GET", "/bindings/none", Value::Null).0, 404);
}

#[test]
fn messages_move_to_another_queue_and_none_is_lost() {
    let b = broker();
    for q in ["from", "to"] {
        assert_eq!(
            b.put(&format!("/queues/%2f/{q}"), json!({"durable": true})),
            201
        );
    }
    for i in 0..5 {
        let message = json!({"properties": {}, "routing_key": "from", "payload": i.to_string(), "payload_encoding": "string"});
        b.ask("POST", "/exchanges/%2f/amq.default/publish", message);
    }
    let (_, moved) = b.ask(
        "POST",
        "/queues/%2f/from/move",
        json!({"destination": "to", "count": 3}),
    );
    assert_eq!(moved, json!({"moved": 3}));
    let (_, moved) = b.ask(
        "POST",
        "/queues/%2f/from/move",
        json!({"destination": "nobody"}),
    );
    assert_eq!(
        moved,
        json!({"moved": 0}),
        "a queue that is not there takes nothing"
    );
    let depth = |q: &str| b.get(&format!("/queues/%2f/{q}"))["messages"].as_u64();
    assert_eq!((depth("from"), depth("to")), (Some(2), Some(3)));
    let take = json!({"count": 9, "ackmode": "ack_requeue_false", "encoding": "auto"});
    let (_, got) = b.ask("POST", "/queues/%2f/to/get", take);
    let order: Vec<_> = got
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| m["payload"].clone())
        .collect();
    assert_eq!(order, ["0", "1", "2"]);
}

#[test]
fn bindings_have_a_key_by_which_they_are_removed() {
    let b = broker();
    b.put("/queues/%2f/q", json!({}));
    b.put(
        "/exchanges/%2f/e",
        json!({"type": "topic", "durable": true}),
    );
    let (status, head, _) = request(
        &b.api,
        Some(GUEST),
        "POST",
        "/api/bindings/%2f/e/e/q/q",
        r#"{"routing_key":"a.#","arguments":{"x":1}}"#,
    );
    assert_eq!(status, 201);
    let location = head
        .lines()
        .find_map(|l| l.strip_prefix("location: "))
        .expect("says where")
        .to_owned();
    let all = b.get("/bindings/%2f/e/e/q/q");
    let key = all[0]["properties_key"].as_str().expect("a key").to_owned();
    let part = key.replace('%', "%25");
    // the helper has headers in small letters
    assert!(location.ends_with(&part.to_lowercase()), "{location} {key}");
    assert!(
        key.ends_with("~9nmLZQ"),
        "RabbitMQ's digest of x = 1: {key}"
    );
    let path = format!("/bindings/%2f/e/e/q/q/{part}");
    assert_eq!(b.ask("DELETE", &path, Value::Null).0, 204);
    assert_eq!(b.get("/bindings/%2f/e/e/q/q"), json!([]));
}

#[test]
fn policies_apply_at_once_and_wrong_ones_get_the_known_texts() {
    let b = broker();
    b.put("/queues/%2f/orders", json!({"durable": true}));
    let policy =
        json!({"pattern": "^(?!amq\\.).*", "definition": {"max-length": 5}, "apply-to": "queues"});
    let (_, preview) = b.ask("POST", "/policies/preview/%2f", {
        let mut p = policy.clone();
        p["name"] = json!("cap");
        p
    });
    assert_eq!(preview["total"], 1);
    assert_eq!(b.get("/policies"), json!([]), "a preview sets nothing");
    let limit =
        json!({"name": "limit", "operator": true, "pattern": "", "definition": {"max-length": 3}});
    let (_, preview) = b.ask("POST", "/policies/preview/%2f", limit);
    assert_eq!(
        preview["changes"][0]["definition"]["after"]["max-length"],
        3
    );
    let wrong =
        json!({"name": "limit", "operator": true, "pattern": "", "definition": {"ha-mode": "all"}});
    assert_eq!(
        b.ask("POST", "/policies/preview/%2f", wrong).0,
        400,
        "not for operators"
    );
    assert_eq!(b.put("/policies/%2f/cap", policy), 201);
    let q = b.get("/queues/%2f/orders");
    assert_eq!(q["policy"], "cap");
    assert_eq!(q["effective_policy_definition"], json!({"max-length": 5}));
    let operator = json!({"pattern": "^o", "definition": {"max-length": 3}, "apply-to": "queues"});
    assert_eq!(b.put("/operator-policies/%2f/limit", operator), 201);
    let q = b.get("/queues/%2f/orders");
    assert_eq!(q["operator_policy"], "limit");
    assert_eq!(q["effective_policy_definition"], json!({"max-length": 3}));
    b.ask("DELETE", "/operator-policies/%2f/limit", Value::Null);
    let ha = json!({"pattern": "", "definition": {"ha-mode": "exactly"}});
    let (status, value) = b.ask("PUT", "/policies/%2f/ha", ha);
    assert_eq!(status, 400);
    assert_eq!(
        value["reason"],
        "Validation failed\n\nha-mode=\"exactly\" takes an integer, none given\n"
    );
    assert_eq!(
        b.put(
            "/policies/%2f/ha",
            json!({"pattern": "^x", "definition": {"ha-mode": "all"}})
        ),
        201
    );
    assert_eq!(b.ask("DELETE", "/policies/%2f/cap", Value::Null).0, 204);
    assert_eq!(b.get("/queues/%2f/orders")["policy"], Value::Null);
}

#[test]
fn tags_decide_what_a_user_may_see_and_do() {
    let b = broker();
    assert_eq!(
        b.put(
            "/users/alice",
            json!({"password": "wonderland", "tags": "management"})
        ),
        201
    );
    let as_alice = |method: &str, path: &str, body: &str| {
        request(&b.api, Some(ALICE), method, &format!("/api{path}"), body)
    };
    assert_eq!(as_alice("GET", "/whoami", "").0, 200);
    assert_eq!(
        as_alice("GET", "/vhosts", "").2,
        "[]",
        "no permission, no virtual host"
    );
    let (status, _, body) = as_alice("GET", "/users", "");
    assert_eq!(
        (status, body.as_str()),
        (
            401,
            r#"{"error":"not_authorised","reason":"Not administrator user"}"#
        )
    );
    let (_, _, body) = as_alice("GET", "/nodes", "");
    assert_eq!(
        body,
        r#"{"error":"not_authorised","reason":"Not monitor user"}"#
    );
    assert_eq!(as_alice("PUT", "/queues/%2f/mine", "{}").0, 401);
    let rules = json!({"configure": "^mine", "write": "", "read": ".*"});
    assert_eq!(b.put("/permissions/%2f/alice", rules), 201);
    assert_eq!(as_alice("PUT", "/queues/%2f/mine.1", "{}").0, 201);
    assert_eq!(as_alice("PUT", "/queues/%2f/other", "{}").0, 401);
    let (_, users) = b.ask("GET", "/users/alice", Value::Null);
    assert_eq!(users["hashing_algorithm"], "argon2id");
    assert_eq!(
        b.put("/users/alice", json!({"password": "x", "tags": ""})),
        204
    );
    assert_eq!(
        as_alice("GET", "/whoami", "").0,
        401,
        "the old password is gone at once"
    );
}

#[test]
fn a_real_export_comes_in_and_its_users_log_in() {
    let b = broker();
    let export = include_str!("../broker/tests/data/rabbitmq-3.10-definitions.json");
    let (status, _, body) = request(&b.api, Some(GUEST), "POST", "/api/definitions", export);
    assert_eq!(status, 204, "{body}");
    let (status, _, body) = request(&b.api, Some(ALICE), "GET", "/api/whoami", "");
    assert_eq!(
        (status, body.as_str()),
        (
            200,
            r#"{"name":"alice","tags":["management","policymaker"]}"#
        )
    );
    assert_eq!(b.get("/queues/shop/orders")["policy"], "ha-all");
    assert_eq!(b.get("/queues/shop/audit")["type"], "quorum");
    assert_eq!(
        b.get("/policies/shop/ha-all")["definition"]["ha-mode"],
        "all"
    );
    let out = b.get("/definitions");
    assert_eq!(
        b.ask("POST", "/definitions", out.clone()).0,
        204,
        "our own export comes in too"
    );
    assert_eq!(b.get("/definitions"), out);
    let (status, value) = b.ask(
        "POST",
        "/definitions",
        json!({"queues": [{"name": "x", "vhost": "nov"}]}),
    );
    assert_eq!(
        (status, value),
        (
            400,
            json!({"error": "bad_request", "reason": ["no_such_vhost", "nov"]})
        )
    );
}

#[test]
fn health_checks_say_200_or_503() {
    let b = broker();
    let port = b.amqp.rsplit(':').next().expect("a port");
    for good in [
        "alarms",
        "local-alarms",
        "virtual-hosts",
        "node-is-quorum-critical",
        "protocol-listener/amqp",
        "ready-to-serve-clients",
    ] {
        assert_eq!(
            b.get(&format!("/health/checks/{good}"))["status"],
            "ok",
            "{good}"
        );
    }
    assert_eq!(
        b.get(&format!("/health/checks/port-listener/{port}"))["status"],
        "ok"
    );
    assert_eq!(b.get("/aliveness-test/%2f"), json!({"status": "ok"}));
    let (status, value) = b.ask("GET", "/health/checks/port-listener/1", Value::Null);
    assert_eq!(status, 503);
    assert_eq!(
        (value["status"].as_str(), value["missing"].as_u64()),
        (Some("failed"), Some(1))
    );
    let ctl = |word: &str| {
        let mut command = std::process::Command::new(kit::binary());
        command.env("EVENKEEL_RUN_DIR", b.directory.path());
        let status = command.args(["ctl", "-n", "rabbit@test", word]).status();
        assert!(status.expect("the tool runs").success(), "{word}");
    };
    ctl("stop_app");
    for check in [
        "/health/checks/alarms",
        "/health/checks/virtual-hosts",
        "/aliveness-test/%2f",
    ] {
        let (status, value) = b.ask("GET", check, Value::Null);
        assert_eq!(status, 503, "{check} of a node that serves nobody: {value}");
    }
    ctl("start_app");
    assert_eq!(b.get("/health/checks/alarms"), json!({"status": "ok"}));
    assert_eq!(
        b.ask("GET", "/health/checks/protocol-listener/mqtt", Value::Null)
            .0,
        503
    );
    assert_eq!(
        b.ask("GET", "/health/checks/port-listener/x", Value::Null)
            .0,
        400
    );
}

#[test]
fn metrics_have_the_known_names_and_each_family_once() {
    let b = broker();
    b.put("/queues/%2f/q", json!({}));
    let metrics = |address: &str, path: &str| {
        let (status, _, body) = request(address, None, "GET", path, "");
        assert_eq!(status, 200, "{path}");
        body
    };
    for address in [&b.metrics, &b.api] {
        let text = metrics(address, "/metrics");
        for name in [
            "rabbitmq_queues 1",
            "rabbitmq_connections 0",
            "rabbitmq_alarms_memory_used_watermark 0",
            "rabbitmq_identity_info{rabbitmq_node=\"rabbit@test\"",
        ] {
            assert!(text.contains(name), "{name}\n{text}");
        }
    }
    let detailed = metrics(
        &b.metrics,
        "/metrics/detailed?family=queue_coarse_metrics&vhost=/",
    );
    assert!(
        detailed.contains("rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"q\"} 0"),
        "{detailed}"
    );
    for page in [
        metrics(&b.metrics, "/metrics"),
        metrics(&b.metrics, "/metrics/per-object"),
    ] {
        let mut families: Vec<_> = page
            .lines()
            .filter_map(|l| l.strip_prefix("# TYPE "))
            .collect();
        let count = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), count, "a family stands in a page once");
    }
    assert_eq!(
        request(&b.metrics, None, "GET", "/api/overview", "").0,
        404,
        "this port has metrics only"
    );
}

#[test]
fn metrics_tell_objects_and_deaths_apart() {
    let b = broker();
    b.put("/queues/%2f/q", json!({"arguments": {"x-max-length": 1}}));
    let message =
        json!({"properties": {}, "routing_key": "q", "payload": "x", "payload_encoding": "string"});
    for _ in 0..2 {
        b.ask(
            "POST",
            "/exchanges/%2f/amq.default/publish",
            message.clone(),
        );
    }
    let metrics = |path: &str| request(&b.metrics, None, "GET", path, "").2;
    let whole = metrics("/metrics");
    for line in [
        "rabbitmq_queue_messages_ready 1\n",
        "rabbitmq_queue_messages_published_total 2\n",
        "rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type=\"rabbit_classic_queue\",dead_letter_strategy=\"disabled\"} 1\n",
        "rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type=\"rabbit_classic_queue\",dead_letter_strategy=\"at_most_once\"} 0\n",
        "rabbitmq_auth_attempts_total{protocol=\"amqp091\"} 0\n",
    ] {
        assert!(whole.contains(line), "{line}\n{whole}");
    }
    let all = "/metrics/detailed?family=queue_metrics&family=queue_consumer_count&family=channel_queue_exchange_metrics&family=node_metrics&family=exchange_bindings";
    let detailed = metrics(all);
    for line in [
        "rabbitmq_detailed_queue_messages_ram{vhost=\"/\",queue=\"q\"} 1\n",
        "rabbitmq_detailed_queue_head_message_timestamp{vhost=\"/\",queue=\"q\"} NaN\n",
        "queue_vhost=\"/\",queue=\"q\",exchange_vhost=\"/\",exchange=\"\"} 2\n",
        "rabbitmq_detailed_erlang_net_ticktime_seconds 60\n",
        "rabbitmq_cluster_exchange_bindings{vhost=\"/\",exchange=\"amq.direct\",type=\"direct\"} 0\n",
        "rabbitmq_identity_info{",
    ] {
        assert!(detailed.contains(line), "{line}\n{detailed}");
    }
    assert_eq!(
        detailed
            .matches("TYPE rabbitmq_detailed_queue_consumers ")
            .count(),
        1
    );
}

#[test]
fn pages_columns_and_order_work_on_lists() {
    let b = broker();
    for i in 0..7 {
        b.put(&format!("/queues/%2f/q{i}"), json!({}));
    }
    let page = b.get("/queues?page=2&page_size=3&columns=name&sort=name&sort_reverse=true");
    assert_eq!(
        page["items"],
        json!([{"name": "q3"}, {"name": "q2"}, {"name": "q1"}])
    );
    assert_eq!(
        (page["page_count"].as_u64(), page["total_count"].as_u64()),
        (Some(3), Some(7))
    );
    assert_eq!(
        b.ask("GET", "/queues?page=9&page_size=3", Value::Null).1["error"],
        "page_out_of_range"
    );
}

#[test]
fn a_taken_management_port_is_reported_and_amqp_is_served() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = directory.path().display().to_string();
    let mut daemon = Daemon::evenkeel(&[
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--management",
        &address,
        "--prometheus",
        "none",
        "--data-dir",
        &place,
        "--run-dir",
        &place,
    ]);
    let line = daemon.wait_line("listening on ", LIMIT);
    daemon.wait_line("cannot listen", LIMIT);
    let amqp = line.rsplit(' ').next().expect("an address");
    let mut stream = TcpStream::connect(amqp).expect("AMQP is served");
    stream
        .write_all(b"AMQP\0\0\x09\x01")
        .expect("the header goes out");
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(first[0], 1, "a method frame");
}
