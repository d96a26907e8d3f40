"""What the management interface answers: every case is a list of requests; answers are reduced to status and shape.

The shape of a JSON value is its keys and the kinds of its values; values themselves count where a case says so.
"""
import json
import re
import time

from pika.spec import Basic, BasicProperties, Confirm, Queue

from wire import Wire

CASES = {}
# Values that tools read and that do not depend on time, machine or load.
FIRM = {"name", "vhost", "durable", "auto_delete", "exclusive", "arguments", "type", "internal", "source", "destination", "destination_type",
        "routing_key", "properties_key", "pattern", "apply-to", "definition", "priority", "configure", "write", "read", "user", "tags", "error",
        "reason", "routed", "payload", "payload_encoding", "redelivered", "exchange", "payload_bytes", "message_count", "properties", "status",
        "state", "consumers", "messages", "messages_ready", "messages_unacknowledged", "hashing_algorithm", "limits", "value", "component", "tag",
        "policy", "operator_policy", "effective_policy_definition", "consumer_tag", "ack_required", "prefetch_count", "active", "activity_status",
        "number", "confirm", "transactional", "consumer_count", "messages_unconfirmed", "global_prefetch_count", "protocol", "auth_mechanism",
        "ssl", "channel_max", "frame_max", "timeout", "peer_host", "host", "user_who_performed_action", "port", "ports", "missing", "protocols",
        "rates_mode", "product_name", "rabbitmq_version", "management_version", "message_bytes", "message_bytes_ready", "queue",
        "message_bytes_persistent", "message_bytes_unacknowledged", "messages_persistent", "single_active_consumer_tag", "filtered_count",
        "item_count", "page", "page_count", "page_size", "total_count", "exclusive_consumer_tag", "owner_pid_details_none", "metadata", "description",
        "stability", "provided_by", "is_auth_user", "login_session_timeout", "auth_backends", "ok", "hash_none", "default_queue_type", "tracing", "cluster_name"}


def case(run):
    CASES[run.__name__] = run
    return run


def kind(value):
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "null" if value is None else "string" if isinstance(value, str) else "?"


def settled(value):
    text = json.dumps(value, sort_keys=True)
    text = re.sub(r"127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+", "CONNECTION", text)
    return re.sub(r"amq\.(gen|ctag)-[\w-]{22}", r"amq.\1-NAME", text)


def shape(value, path="", key=None):
    """Lines `path: kind or value`, sorted; every element of a list counts once."""
    if isinstance(value, dict) and not (key in ("arguments", "definition", "properties", "effective_policy_definition", "limits", "value")):
        lines = {f"{path}: {{}}"} if not value else set()
        for name, item in value.items():
            lines |= shape(item, f"{path}.{name}", name)
        return lines
    if isinstance(value, list) and key not in ("tags", "definition", "ports", "protocols"):
        lines = {f"{path}: []"} if not value else set()
        for item in value:
            lines |= shape(item, f"{path}[]", key)
        return lines
    firm = key in FIRM and not (key == "confirm" and kind(value) == "number")
    return {f"{path}: {settled(value)}" if firm else f"{path}: {kind(value)}"}


class Place:
    def __init__(self, broker):
        self.broker, self.log = broker, []

    def ask(self, method, path, body=None, login="guest:guest", values=False, headers=(), **options):
        status, answered, data = self.broker.http(method, path, body, login, **options)
        self.log.append(f"-- {method} {path} {body if body is not None else ''} -> {status}")
        for name in headers:
            self.log.append(f"   {name}: {answered.get(name) or answered.get(name.title())}")
        try:
            value = json.loads(data) if data else None
        except ValueError:
            self.log.append(f"   {data[:200]!r}")
            return None
        if value is not None:
            self.log.extend([f"   {settled(value)}"] if values else sorted("   " + line for line in shape(value)))
        return value

    def get(self, path, **options):
        return self.ask("GET", path, **options)


@case
def logins(place):
    for login in (None, "guest:wrong", "nobody:x", "guest:guest"):
        place.get("/api/whoami", login=login, headers=("www-authenticate",), values=True)
    for path in ("/api/nothing", "/api/queues/none", "/api/queues/%2f/none", "/api/exchanges/%2f/none", "/api/vhosts/none", "/api/users/none", "/api/policies/%2f/none",
                 "/api/connections/none", "/api/channels/none", "/api/nodes/none", "/api/bindings/none", "/api/permissions/none/guest", "/api/permissions/%2f/none",
                 "/api/parameters/none", "/api/global-parameters/none", "/api/consumers/none", "/api/connections/none/channels", "/api/vhosts/none/connections"):
        place.get(path, values=True)
    place.ask("POST", "/api/overview", {}, values=True)
    place.ask("DELETE", "/api/overview", values=True)
    place.ask("OPTIONS", "/api/overview", values=True, headers=("allow",))


@case
def overview(place):
    for path in ("/api/overview", "/api/nodes", "/api/nodes/rabbit@localhost", "/api/nodes/rabbit@localhost/memory", "/api/whoami", "/api/cluster-name", "/api/extensions",
                 "/api/feature-flags", "/api/vhosts", "/api/vhosts/%2f", "/api/vhosts/%2f/permissions", "/api/vhosts/%2f/topic-permissions", "/api/users", "/api/users/guest",
                 "/api/users/guest/permissions", "/api/users/guest/topic-permissions", "/api/permissions", "/api/permissions/%2f/guest",
                 "/api/topic-permissions", "/api/users/without-permissions", "/api/parameters", "/api/global-parameters", "/api/policies", "/api/operator-policies",
                 "/api/vhost-limits", "/api/user-limits", "/api/auth", "/api/deprecated-features", "/api/nodes/rabbit@localhost/memory/ets"):
        place.get(path)


@case
def ranges(place):
    place.ask("PUT", "/api/queues/%2f/api.r", {"durable": True})
    for path in ("/api/overview", "/api/nodes", "/api/queues", "/api/queues/%2f", "/api/queues/%2f/api.r", "/api/exchanges", "/api/exchanges/%2f/amq.topic", "/api/vhosts",
                 "/api/vhosts/%2f", "/api/vhosts/%2f/channels", "/api/connections", "/api/connections/none", "/api/channels"):
        for kind, age, step in (("lengths", 60, 0), ("msg_rates", -60, 5), ("data_rates", 0, 5), ("node_stats", 1002, 2)):
            place.get(f"{path}?{kind}_age={age}&{kind}_incr={step}", values=True)
    for part in ("60&lengths_incr=0", "500&msg_rates_incr=1", "x&msg_rates_incr=0"):
        place.get(f"/api/users?msg_rates_age={part}")
    place.ask("DELETE", "/api/queues/%2f/api.r")


@case
def health(place):
    for path in ("/api/healthchecks/node", "/api/healthchecks/node/rabbit@localhost", "/api/health/checks/alarms", "/api/health/checks/local-alarms",
                 "/api/health/checks/certificate-expiration/1/months", "/api/health/checks/certificate-expiration/1/zzz", f"/api/health/checks/port-listener/{place.broker.amqp}",
                 "/api/health/checks/port-listener/9999", "/api/health/checks/port-listener/abc",
                 "/api/health/checks/protocol-listener/amqp", "/api/health/checks/protocol-listener/mqtt", "/api/health/checks/protocol-listener/amqp091",
                 "/api/health/checks/virtual-hosts", "/api/health/checks/node-is-mirror-sync-critical", "/api/health/checks/node-is-quorum-critical",
                 "/api/aliveness-test/%2f", "/api/aliveness-test/none"):
        place.get(path, values=not path.endswith(("9999", "mqtt", "amqp")))


@case
def exchanges(place):
    place.ask("PUT", "/api/exchanges/%2f/api.x", {"type": "topic", "durable": True, "arguments": {}}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/api.x", {"type": "topic", "durable": True}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/api.x", {"type": "fanout"}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/api.y", {"type": "unheard-of"}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/api.y", {}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/amq.y", {"type": "direct"}, values=True)
    place.ask("PUT", "/api/exchanges/none/api.y", {"type": "direct"}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/api.y", b"{not json", values=True)
    place.ask("PUT", "/api/exchanges/%2f/api.y", b"[]", values=True)
    place.get("/api/exchanges/%2f/api.x")
    place.get("/api/exchanges")
    place.get("/api/exchanges/%2f/amq.default")
    place.get("/api/exchanges/%2f/api.x/bindings/source")
    place.get("/api/exchanges/%2f/amq.default/bindings/source")
    place.ask("POST", "/api/exchanges/%2f/api.x/publish", {"properties": {}, "routing_key": "k", "payload": "x", "payload_encoding": "string"}, values=True)
    place.ask("POST", "/api/exchanges/%2f/api.x/publish", {"routing_key": "k"}, values=True)
    place.ask("POST", "/api/exchanges/%2f/api.x/publish", {"properties": {"delivery_mode": "x"}, "routing_key": "k", "payload": "x", "payload_encoding": "string"}, values=True)
    place.ask("POST", "/api/exchanges/%2f/api.x/publish", {"properties": {}, "routing_key": "k", "payload": "x", "payload_encoding": "zzz"}, values=True)
    place.ask("POST", "/api/exchanges/%2f/api.x/publish", {"properties": {}, "routing_key": "k", "payload": "!!", "payload_encoding": "base64"}, values=True)
    place.ask("POST", "/api/exchanges/%2f/none/publish", {"properties": {}, "routing_key": "k", "payload": "x", "payload_encoding": "string"}, values=True)
    place.ask("DELETE", "/api/exchanges/%2f/api.x?if-unused=true", values=True)
    place.ask("DELETE", "/api/exchanges/%2f/api.x", values=True)
    place.ask("DELETE", "/api/exchanges/%2f/amq.direct", values=True)


@case
def queues(place):
    place.ask("PUT", "/api/queues/%2f/api.q", {"durable": True, "arguments": {"x-max-length": 10}}, values=True)
    place.ask("PUT", "/api/queues/%2f/api.q", {"durable": True, "arguments": {"x-max-length": 10}}, values=True)
    place.ask("PUT", "/api/queues/%2f/api.q", {"durable": False}, values=True)
    place.ask("PUT", "/api/queues/%2f/api.quorum", {"durable": True, "arguments": {"x-queue-type": "quorum"}}, values=True)
    place.ask("PUT", "/api/queues/%2f/api.bad", {"durable": True, "arguments": {"x-max-length": -1}}, values=True)
    place.ask("PUT", "/api/queues/%2f/api.bad", {"durable": "maybe"}, values=True)
    place.ask("PUT", "/api/queues/%2f/amq.bad", {}, values=True)
    place.ask("PUT", "/api/queues/%2f/api.none", b"", values=True)
    place.ask("DELETE", "/api/queues/%2f/api.none", values=True)
    place.ask("PUT", "/api/queues/none/api.q", {}, values=True)
    properties = {"content_type": "text/plain", "headers": {"a": 1, "b": [1, "x"], "c": {"d": True}}, "delivery_mode": 2, "priority": 3, "message_id": "m", "timestamp": 5}
    for payload, encoding in (("hello", "string"), ("AP8=", "base64"), ("", "string")):
        place.ask("POST", "/api/exchanges/%2f/amq.default/publish", {"properties": properties, "routing_key": "api.q", "payload": payload, "payload_encoding": encoding}, values=True)
    for body in ({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}, {"count": 5, "ackmode": "ack_requeue_true", "encoding": "base64"},
                 {"count": 5, "ackmode": "reject_requeue_true", "encoding": "auto", "truncate": 2}, {"count": 1, "ackmode": "zzz", "encoding": "auto"},
                 {"count": 1, "encoding": "auto"}, {"count": "x", "ackmode": "ack_requeue_true", "encoding": "auto"},
                 {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}, {"count": 9, "ackmode": "reject_requeue_false", "encoding": "auto"},
                 {"count": 1, "requeue": True, "encoding": "auto"}):
        place.ask("POST", "/api/queues/%2f/api.q/get", body)
    place.get("/api/queues/%2f/api.q/bindings", values=True)
    place.ask("POST", "/api/queues/%2f/api.q/actions", {"action": "sync"}, values=True)
    place.ask("POST", "/api/queues/%2f/api.q/actions", {"action": "cancel_sync"}, values=True)
    place.ask("POST", "/api/queues/%2f/api.q/actions", {"action": "zzz"}, values=True)
    place.ask("DELETE", "/api/queues/%2f/api.q/contents", values=True)
    place.ask("DELETE", "/api/queues/%2f/none/contents", values=True)
    place.ask("POST", "/api/exchanges/%2f/amq.default/publish", {"properties": {}, "routing_key": "api.q", "payload": "x", "payload_encoding": "string"}, values=True)
    place.ask("DELETE", "/api/queues/%2f/api.q?if-empty=true", values=True)
    place.ask("DELETE", "/api/queues/%2f/api.q", values=True)
    place.ask("DELETE", "/api/queues/%2f/api.quorum", values=True)


@case
def bindings(place):
    place.ask("PUT", "/api/queues/%2f/api.b", {}, values=True)
    place.ask("POST", "/api/bindings/%2f/e/amq.direct/q/api.b", {"routing_key": "k", "arguments": {}}, values=True, headers=("location",))
    place.ask("POST", "/api/bindings/%2f/e/amq.direct/q/api.b", {"routing_key": "a/b c", "arguments": {"x": 1}}, values=True, headers=("location",))
    place.ask("POST", "/api/bindings/%2f/e/amq.direct/q/api.b", {}, values=True, headers=("location",))
    place.ask("POST", "/api/bindings/%2f/e/amq.direct/e/amq.topic", {"routing_key": "e2e"}, values=True, headers=("location",))
    place.ask("POST", "/api/bindings/%2f/e/none/q/api.b", {}, values=True)
    place.ask("POST", "/api/bindings/%2f/e/amq.direct/q/none", {}, values=True)
    for path in ("/api/bindings/%2f", "/api/bindings", "/api/bindings/%2f/e/amq.direct/q/api.b", "/api/bindings/%2f/e/amq.direct/q/api.b/k", "/api/bindings/%2f/e/amq.direct/q/api.b/none",
                 "/api/bindings/%2f/e/amq.direct/e/amq.topic", "/api/queues/%2f/api.b/bindings", "/api/exchanges/%2f/amq.direct/bindings/source",
                 "/api/exchanges/%2f/amq.topic/bindings/destination", "/api/exchanges/%2f/none/bindings/source", "/api/exchanges/%2f/none/bindings/destination",
                 "/api/exchanges/none/none/bindings/source", "/api/queues/none/none/bindings", "/api/bindings/none/e/none/q/none",
                 "/api/bindings/%2f/e/amq.default/q/none/none", "/api/bindings/%2f/e/amq.default/q/api.b/api.b"):
        place.get(path)
    place.ask("DELETE", "/api/bindings/%2f/e/amq.direct/q/api.b/k", values=True)
    place.ask("DELETE", "/api/bindings/%2f/e/amq.direct/q/api.b/none", values=True)
    place.ask("DELETE", "/api/bindings/%2f/e/amq.direct/q/api.b/~", values=True)
    place.ask("DELETE", "/api/bindings/%2f/e/amq.direct/e/amq.topic/e2e", values=True)
    place.ask("DELETE", "/api/queues/%2f/api.b", values=True)


@case
def users(place):
    place.ask("PUT", "/api/users/api-user", {"password": "secret", "tags": "monitoring,management"}, values=True)
    place.ask("PUT", "/api/users/api-user", {"password": "secret", "tags": ["monitoring"]}, values=True)
    place.ask("PUT", "/api/users/api-user", {"tags": "monitoring"}, values=True)
    place.ask("PUT", "/api/users/api-user", {"password": "secret"}, values=True)
    place.ask("PUT", "/api/users/api-hash", {"password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "tags": ""}, values=True)
    place.ask("PUT", "/api/users/api-hash", {"password_hash": "!!", "tags": ""}, values=True)
    place.ask("PUT", "/api/users/api-hash", {"password_hash": "", "tags": ""}, values=True)
    place.ask("PUT", "/api/users/api-user", {"password": "secret", "tags": "monitoring,policymaker"}, values=True)
    place.get("/api/users/api-user")
    place.get("/api/whoami", login="api-user:secret", values=True)
    for path in ("/api/overview", "/api/users", "/api/nodes", "/api/vhosts", "/api/queues", "/api/definitions", "/api/permissions"):
        place.log.append(f"as monitoring: {path} {place.broker.http('GET', path, login='api-user:secret')[0]}")
    place.ask("PUT", "/api/permissions/%2f/api-user", {"configure": ".*", "write": ".*", "read": "^$"}, values=True)
    place.ask("PUT", "/api/permissions/%2f/api-user", {"configure": ".*", "write": ".*"}, values=True)
    place.ask("PUT", "/api/permissions/%2f/api-user", {"configure": "[", "write": ".*", "read": ".*"}, values=True)
    place.ask("PUT", "/api/permissions/%2f/none", {"configure": ".*", "write": ".*", "read": ".*"}, values=True)
    place.ask("PUT", "/api/permissions/none/api-user", {"configure": ".*", "write": ".*", "read": ".*"}, values=True)
    place.get("/api/users/api-user/permissions", values=True)
    place.ask("PUT", "/api/topic-permissions/%2f/api-user", {"exchange": "amq.topic", "write": "^a", "read": "^b"}, values=True)
    place.ask("PUT", "/api/topic-permissions/%2f/api-user", {"write": "^a", "read": "^b"}, values=True)
    place.get("/api/topic-permissions/%2f/api-user", values=True)
    place.ask("DELETE", "/api/topic-permissions/%2f/api-user", values=True)
    place.ask("PUT", "/api/user-limits/api-user/max-connections", {"value": 5}, values=True)
    place.ask("PUT", "/api/user-limits/api-user/max-zzz", {"value": 5}, values=True)
    place.ask("PUT", "/api/user-limits/none/max-connections", {"value": 5}, values=True)
    place.ask("PUT", "/api/user-limits/api-user/max-channels", {"value": "x"}, values=True)
    place.get("/api/user-limits", values=True)
    place.get("/api/user-limits/api-user", values=True)
    place.ask("DELETE", "/api/user-limits/api-user/max-connections", values=True)
    place.ask("DELETE", "/api/permissions/%2f/api-user", values=True)
    place.ask("DELETE", "/api/permissions/%2f/api-user", values=True)
    place.ask("POST", "/api/users/bulk-delete", {"users": ["api-hash"]}, values=True)
    place.ask("POST", "/api/users/bulk-delete", {}, values=True)
    place.ask("DELETE", "/api/users/api-user", values=True)
    place.ask("DELETE", "/api/users/api-user", values=True)
    place.ask("GET", "/api/auth/hash_password/secret")


@case
def virtual_hosts(place):
    place.ask("PUT", "/api/vhosts/api-v", {"description": "mine", "tags": "a,b"}, values=True)
    place.ask("PUT", "/api/vhosts/api-v", {}, values=True)
    place.ask("PUT", "/api/vhosts/api-w", b"", values=True)
    place.get("/api/vhosts/api-v")
    place.get("/api/vhosts/api-v/permissions", values=True)
    place.ask("PUT", "/api/vhost-limits/api-v/max-queues", {"value": 1}, values=True)
    place.ask("PUT", "/api/vhost-limits/api-v/max-connections", {"value": -1}, values=True)
    place.ask("PUT", "/api/vhost-limits/api-v/max-zzz", {"value": 1}, values=True)
    place.ask("PUT", "/api/vhost-limits/none/max-queues", {"value": 1}, values=True)
    place.get("/api/vhost-limits", values=True)
    place.get("/api/vhost-limits/api-v", values=True)
    place.ask("PUT", "/api/queues/api-v/one", {}, values=True)
    place.ask("PUT", "/api/queues/api-v/two", {}, values=True)
    place.ask("DELETE", "/api/vhost-limits/api-v/max-queues", values=True)
    place.ask("POST", "/api/vhosts/api-v/start/rabbit@localhost", {}, values=True)
    place.ask("DELETE", "/api/vhosts/api-v", values=True)
    place.ask("DELETE", "/api/vhosts/api-w", values=True)
    place.ask("DELETE", "/api/vhosts/api-v", values=True)


@case
def policies(place):
    for name, body in (("one", {"pattern": "^p\\.", "definition": {"max-length": 5}, "priority": 1, "apply-to": "queues"}),
                       ("ha", {"pattern": "^ha", "definition": {"ha-mode": "exactly", "ha-params": 2, "ha-sync-mode": "automatic"}}),
                       ("bad1", {"pattern": "x", "definition": {"ha-mode": "exactly"}}), ("bad2", {"pattern": "x", "definition": {"ha-mode": "zzz"}}),
                       ("bad3", {"pattern": "x", "definition": {"foo": 1}}), ("bad4", {"pattern": "x", "definition": {"ha-params": 1}}),
                       ("bad5", {"pattern": "[", "definition": {"max-length": 1}}), ("bad6", {"definition": {"max-length": 1}}), ("bad7", {"pattern": "x"}),
                       ("bad8", {"pattern": "x", "definition": {}}), ("bad9", {"pattern": "x", "definition": {"max-length": "5"}}),
                       ("bad10", {"pattern": "x", "definition": {"max-length": 5}, "apply-to": "zzz"}), ("bad11", {"pattern": "x", "definition": {"max-length": 5}, "priority": "high"}),
                       ("bad12", {"pattern": "x", "definition": {"message-ttl": -1}}), ("bad13", {"pattern": "x", "definition": {"overflow": "zzz"}}),
                       ("bad14", {"pattern": "x", "definition": {"dead-letter-exchange": 5}}), ("bad15", {"pattern": "x", "definition": {"expires": 0}}),
                       ("bad16", {"pattern": "x", "definition": {"queue-mode": "zzz"}}), ("bad17", {"pattern": "x", "definition": {"ha-mode": "nodes", "ha-params": []}}),
                       ("bad18", {"pattern": "x", "definition": {"ha-mode": "all", "ha-sync-mode": "zzz"}}), ("bad19", {"pattern": "x", "definition": {"queue-master-locator": "zzz"}}),
                       ("bad20", {"pattern": "x", "definition": {"delivery-limit": -1}}), ("bad21", {"pattern": "x", "definition": {"alternate-exchange": 5}}),
                       ("bad22", {"pattern": "x", "definition": {"max-length-bytes": -1, "max-length": "x"}}), ("bad23", {"pattern": "x", "definition": []}),
                       ("ok2", {"pattern": "x$", "definition": {"federation-upstream-set": "all"}}), ("ok3", {"pattern": "x$", "definition": {"queue-version": 2}})):
        place.ask("PUT", f"/api/policies/%2f/{name}", body, values=True)
    place.ask("PUT", "/api/queues/%2f/p.q", {}, values=True)
    place.get("/api/policies", values=True)
    place.get("/api/policies/%2f/one", values=True)
    place.ask("PUT", "/api/operator-policies/%2f/op", {"pattern": "^p", "definition": {"max-length": 3}, "apply-to": "queues"}, values=True)
    place.ask("PUT", "/api/operator-policies/%2f/bad", {"pattern": "^p", "definition": {"ha-mode": "all"}}, values=True)
    place.ask("PUT", "/api/operator-policies/%2f/bad2", {"pattern": "^p", "definition": {"dead-letter-exchange": "x"}}, values=True)
    place.get("/api/operator-policies", values=True)
    place.ask("DELETE", "/api/operator-policies/%2f/op", values=True)
    for name in ("one", "ha", "none", "ok2", "ok3"):
        place.ask("DELETE", f"/api/policies/%2f/{name}", values=True)
    place.ask("DELETE", "/api/queues/%2f/p.q", values=True)


@case
def parameters(place):
    place.ask("PUT", "/api/global-parameters/mine", {"value": {"a": 1}}, values=True)
    place.ask("PUT", "/api/global-parameters/mine", {}, values=True)
    place.get("/api/global-parameters/mine", values=True)
    place.ask("DELETE", "/api/global-parameters/mine", values=True)
    place.ask("DELETE", "/api/global-parameters/mine", values=True)
    place.ask("PUT", "/api/parameters/none/%2f/x", {"value": {}}, values=True)
    place.ask("PUT", "/api/cluster-name", {"name": "renamed"}, values=True)
    place.get("/api/cluster-name", values=True)
    place.ask("PUT", "/api/cluster-name", {"name": "rabbit@localhost"}, values=True)
    place.ask("POST", "/api/rebalance/queues", {}, values=True)


@case
def definitions(place):
    place.ask("PUT", "/api/queues/%2f/def.q", {"durable": True, "arguments": {"x-max-length": 3}}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/def.x", {"type": "fanout", "durable": True}, values=True)
    place.ask("POST", "/api/bindings/%2f/e/def.x/q/def.q", {"routing_key": "k"}, values=True)
    place.get("/api/definitions")
    place.get("/api/definitions/%2f")
    place.get("/api/definitions/none")
    place.ask("POST", "/api/definitions", {"queues": [{"name": "imported", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}]}, values=True)
    place.ask("POST", "/api/definitions", {"queues": [{"name": "imported2", "vhost": "none", "durable": True, "auto_delete": False, "arguments": {}}]}, values=True)
    place.ask("POST", "/api/definitions/%2f", {"queues": [{"name": "imported3", "durable": True, "auto_delete": False, "arguments": {}}]}, values=True)
    place.ask("POST", "/api/definitions", b"nonsense", values=True)
    for name in ("imported", "imported3", "def.q"):
        place.ask("DELETE", f"/api/queues/%2f/{name}", values=True)
    place.ask("DELETE", "/api/exchanges/%2f/def.x", values=True)


@case
def lists(place):
    for number in range(7):
        place.broker.http("PUT", f"/api/queues/%2f/list.{number}", {})
    for path in ("/api/queues?page=1&page_size=3", "/api/queues?page=2&page_size=3&name=list", "/api/queues?page=1&page_size=3&name=^list.[12]&use_regex=true",
                 "/api/queues?page=9&page_size=3", "/api/queues?page=0", "/api/queues?page=x", "/api/queues?page=1&page_size=501", "/api/queues?page=1&page_size=x", "/api/queues?page=1&name=[&use_regex=true",
                 "/api/queues?sort=name&sort_reverse=true&columns=name", "/api/queues?columns=name,vhost,message_stats.publish", "/api/queues?sort=none&columns=name",
                 "/api/queues/%2f?page=1&page_size=2&sort=name&pagination=true&columns=name", "/api/exchanges?page=1&page_size=2&sort=name&columns=name,type",
                 "/api/queues?disable_stats=true&enable_queue_totals=true&columns=name,messages"):
        place.get(path)
    for number in range(7):
        place.broker.http("DELETE", f"/api/queues/%2f/list.{number}")


@case
def clients(place):
    wire = Wire(place.broker.amqp, [], client={"connection_name": "a name", "product": "alike", "capabilities": {
        "authentication_failure_close": True, "consumer_cancel_notify": True}}).open(1, 2)
    wire.call(1, Queue.Declare(0, "live.q", durable=True, arguments={"x-max-priority": 3}))
    wire.call(2, Confirm.Select())
    wire.call(1, Basic.Qos(0, 7, False))
    wire.call(1, Basic.Consume(0, "live.q", "tag", arguments={"x-priority": 2}))
    for number in range(3):
        for _ in range(4):
            wire.publish(2, "", "live.q", b"x" * 10, BasicProperties(delivery_mode=2))
            wire.publish(2, "amq.topic", "nowhere", b"x", mandatory=True)
        wire.quiet()
        wire.send(1, Basic.Ack(0, True))
        if number < 2:
            time.sleep(3)
    for _ in range(4):
        wire.publish(2, "", "live.q", b"x" * 10, BasicProperties(delivery_mode=2))
    wire.quiet()
    wire.send(1, Basic.Ack(0, True))
    wire.quiet(6)
    connections = json.loads(place.broker.http("GET", "/api/connections")[2])
    name = next((c["name"] for c in connections if c.get("client_properties", {}).get("connection_name") == "a name"), "none").replace(" ", "%20").replace(">", "%3E")
    for path in (f"/api/connections/{name}", f"/api/connections/{name}/channels", f"/api/channels/{name}%20(1)", f"/api/channels/{name}%20(2)", "/api/consumers/%2f", "/api/queues/%2f/live.q",
                 "/api/vhosts/%2f/connections", "/api/vhosts/%2f/channels", "/api/exchanges/%2f/amq.topic", "/api/queues/%2f/live.q?lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=5",
                 "/api/connections/username/guest", "/api/overview", "/api/nodes/rabbit@localhost"):
        answer = json.loads(place.broker.http("GET", path)[2])
        if path.endswith("/guest"):
            # RabbitMQ's own connection for a publish by the API stays a while
            answer = [connection for connection in answer if not connection["name"].startswith("<")]
        place.log.append("-- GET " + re.sub(r"127[^/?]*", "NAME", path))
        place.log.extend(sorted("   " + line for line in shape(answer)))
    status = place.broker.http("DELETE", f"/api/connections/{name}", headers={"X-Reason": "because"})[0]
    wire.log.clear()
    wire.quiet(2)
    place.log.append(f"-- closed: {status} {wire.log}")
    place.ask("DELETE", "/api/queues/%2f/live.q", values=True)
