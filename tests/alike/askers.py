"""Requests as other people's tools send them: autoscalers, exporters, provisioning, dashboards. They stand in `api`'s table."""
import json
import time

from pika.spec import Basic, BasicProperties, Exchange, Queue

from api import case, shape
from wire import Wire


@case
def autoscaler(place):
    """KEDA's RabbitMQ scaler over HTTP."""
    place.broker.http("PUT", "/api/queues/%2f/keda.one", {})
    place.broker.http("PUT", "/api/queues/%2f/keda.two", {})
    for path in ("/api/queues/%2F/keda.one", "/api/queues/%2F/keda.none", "/api/queues/%2F?page=1&use_regex=true&pagination=false&name=%5Ekeda..*%24&page_size=100",
                 "/api/queues?page=1&use_regex=true&pagination=false&name=%5Ekeda..*%24&page_size=100", "/api/queues/none?page=1&use_regex=true&pagination=false&name=x&page_size=100",
                 "/api/queues/%2F?page=1&use_regex=true&pagination=false&name=nothing.here&page_size=100"):
        place.get(path)
    for name in ("one", "two"):
        place.broker.http("DELETE", f"/api/queues/%2f/keda.{name}")


@case
def exporters(place):
    """What Prometheus exporters for the management API ask; the answers' kinds are negotiated."""
    for path in ("/api/overview", "/api/exchanges?sort=", "/api/nodes?sort=", "/api/queues?sort=", "/api/connections?sort=", "/api/shovels?sort=", "/api/federation-links?sort=",
                 "/api/aliveness-test/%2F", "/api/queues?disable_stats=true&enable_queue_totals=true", "/api/vhosts", "/api/channels?columns=name,number"):
        place.get(path)
    for accept in ("application/bert, application/json;q=0.1", "text/plain", "application/json", "text/html,application/xhtml+xml,*/*;q=0.8", "application/*"):
        status, headers, _ = place.broker.http("GET", "/api/overview", headers={"accept": accept})
        if "bert" not in accept:
            place.log.append(f"-- accept {accept} -> {status} {headers.get('content-type') if status == 200 else ''}")


@case
def provisioning(place):
    """rabbit-hole's order of requests, which Terraform's provider sends: write, read back, delete."""
    ask = place.ask
    ask("PUT", "/api/vhosts/tf", {}, values=True)
    place.get("/api/vhosts/tf")
    ask("PUT", "/api/users/tf", {"password": "x", "tags": "management"}, values=True)
    place.get("/api/users/tf")
    ask("PUT", "/api/permissions/tf/tf", {"configure": ".*", "write": ".*", "read": ".*"}, values=True)
    place.get("/api/permissions/tf/tf", values=True)
    ask("PUT", "/api/topic-permissions/tf/tf", {"exchange": "amq.topic", "write": ".*", "read": ".*"}, values=True)
    place.get("/api/topic-permissions/tf/tf", values=True)
    place.get("/api/users/tf/topic-permissions", values=True)
    ask("PUT", "/api/exchanges/tf/x", {"type": "fanout", "durable": False, "auto_delete": True, "vhost": "tf", "arguments": {"alternate-exchange": "other", "n": 5}}, values=True)
    place.get("/api/exchanges/tf/x")
    ask("PUT", "/api/queues/tf/q", {"vhost": "tf", "durable": False, "auto_delete": True, "arguments": {"x-max-length": 5, "x-message-ttl": 5000, "x-queue-type": "classic"}}, values=True)
    place.get("/api/queues/tf/q")
    ask("POST", "/api/bindings/tf/e/x/q/q", {"source": "x", "vhost": "tf", "destination": "q", "destination_type": "queue", "routing_key": "#", "arguments": {"a": "b", "n": 300, "big": 5000000000, "t": True, "f": 1.5, "l": [1, "x"]}}, values=True, headers=("location",))
    place.get("/api/bindings/tf/e/x/q/q", values=True)
    listed = json.loads(place.broker.http("GET", "/api/bindings/tf/e/x/q/q")[2])
    for binding in listed:
        key = binding["properties_key"].replace("#", "%23").replace("%", "%25")
        status = [place.broker.http(method, f"/api/bindings/tf/e/x/q/q/{key}")[0] for method in ("GET", "DELETE")]
        place.log.append(f"-- by its properties key: {status}")
    place.get("/api/bindings/tf/e/x/q/q", values=True)
    ask("PUT", "/api/policies/tf/p", {"vhost": "tf", "name": "p", "pattern": ".*", "apply-to": "all", "priority": 0, "definition": {"ha-mode": "all", "max-length": 5}}, values=True)
    place.get("/api/policies/tf/p", values=True)
    place.get("/api/policies/tf", values=True)
    place.get("/api/policies/none", values=True)
    ask("PUT", "/api/operator-policies/tf/p", {"vhost": "tf", "name": "p", "pattern": ".*", "apply-to": "queues", "priority": 0, "definition": {"max-length": 3, "expires": 100000}}, values=True)
    place.get("/api/operator-policies/tf/p", values=True)
    place.get("/api/operator-policies/tf", values=True)
    ask("PUT", "/api/parameters/shovel/tf/s", {"value": {}}, values=True)
    ask("PUT", "/api/parameters/federation-upstream/tf/s", {"value": {"uri": "amqp://x"}}, values=True)
    place.get("/api/parameters/shovel/tf/s", values=True)
    place.get("/api/parameters/shovel", values=True)
    place.get("/api/parameters/shovel/tf", values=True)
    place.get("/api/shovels/tf", values=True)
    place.get("/api/federation-links/tf", values=True)
    for path in ("operator-policies/tf/p", "policies/tf/p", "queues/tf/q", "exchanges/tf/x", "topic-permissions/tf/tf/amq.topic", "topic-permissions/tf/tf", "permissions/tf/tf", "users/tf", "vhosts/tf"):
        ask("DELETE", f"/api/{path}", values=True)


@case
def people_with_less(place):
    """What each tag sees and may do."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    place.broker.http("PUT", "/api/vhosts/seen", {})
    place.broker.http("PUT", "/api/vhosts/unseen", {})
    for tag in ("management", "policymaker", "monitoring", ""):
        user = f"u-{tag or 'none'}"
        place.broker.http("PUT", f"/api/users/{user}", {"password": "x", "tags": tag})
        place.broker.http("PUT", f"/api/permissions/seen/{user}", everything)
        login = f"{user}:x"
        place.log.append(f"-- as {tag or 'nobody'}")
        for path in ("whoami", "overview", "nodes", "nodes/rabbit@localhost", "vhosts", "vhosts/seen", "vhosts/unseen", "vhosts/none", "queues", "queues/seen", "queues/unseen", "queues/unseen/q", "exchanges/unseen", "exchanges/seen",
                     "bindings/unseen", "connections", "channels", "consumers", "users", f"users/{user}", "users/guest", "permissions", "permissions/seen/" + user, "policies", "policies/seen", "policies/unseen", "operator-policies/seen", "parameters",
                     "global-parameters", "definitions", "definitions/seen", "definitions/unseen", "cluster-name", "extensions", "feature-flags", "vhost-limits", "vhost-limits/unseen", "user-limits", "health/checks/alarms", "aliveness-test/seen",
                     "aliveness-test/unseen", "vhosts/seen/permissions", "vhosts/seen/connections", "vhosts/unseen/connections", f"users/{user}/permissions", "topic-permissions", "healthchecks/node"):
            status, _, data = place.broker.http("GET", f"/api/{path}", login=login)
            size = "a list" if data.startswith(b"[") else data.decode()[:120] if status >= 400 else "an object"
            place.log.append(f"   {status} {path} {size}")
        for method, path, body in (("PUT", "queues/seen/q", {}), ("PUT", "queues/unseen/q", {}), ("DELETE", "queues/seen/q", None), ("PUT", "policies/seen/p", {"pattern": "x", "definition": {"max-length": 1}}),
                                   ("PUT", "policies/unseen/p", {"pattern": "x", "definition": {"max-length": 1}}), ("DELETE", "policies/seen/p", None), ("PUT", "operator-policies/seen/p", {"pattern": "x", "definition": {"max-length": 1}}),
                                   ("DELETE", "operator-policies/seen/p", None), ("PUT", "vhosts/new", {}), ("PUT", "users/new", {"password": "x", "tags": ""}), ("PUT", "global-parameters/x", {"value": 1}), ("PUT", "cluster-name", {"name": "x"}),
                                   ("PUT", "vhost-limits/seen/max-queues", {"value": 100}), ("POST", "rebalance/queues", {}), ("POST", "definitions", {}), ("POST", "definitions/seen", {})):
            status, _, data = place.broker.http(method, f"/api/{path}", body, login=login)
            place.log.append(f"   {status} {method} {path} {data.decode()[:120]}")
        place.broker.http("DELETE", f"/api/users/{user}")
    for name in ("seen", "unseen", "new"):
        place.broker.http("DELETE", f"/api/vhosts/{name}")
    place.broker.http("PUT", "/api/cluster-name", {"name": "alike"})


@case
def traffic(place):
    """Exchanges, queues and channels with their traffic by each other; counts are compared."""
    wire = Wire(place.broker.amqp, []).open(1, 2)
    wire.call(1, Exchange.Declare(0, "tr.x", "topic"))
    wire.call(1, Exchange.Declare(0, "tr.h", "headers"))
    for name in ("tr.a", "tr.b"):
        wire.call(1, Queue.Declare(0, name))
        wire.call(1, Queue.Bind(0, name, "tr.x", "k"))
        wire.call(1, Queue.Bind(0, name, "tr.h", ""))
    wire.call(2, Basic.Consume(0, "tr.a", "t"))
    for round_ in range(3):
        for _ in range(5):
            wire.publish(1, "tr.x", "k", b"x", BasicProperties(delivery_mode=2))
            wire.publish(1, "", "tr.b")
            wire.publish(1, "tr.h", "", b"x", BasicProperties(headers={"a": 1}))
            wire.publish(1, "tr.x", "nowhere", mandatory=True)
        wire.quiet(0.3)
        wire.send(2, Basic.Ack(0, True))
        for _ in range(2):
            wire.get(1, "tr.b", no_ack=round_ > 0)
        if round_ < 2:
            time.sleep(5.2)
    wire.get(1, "tr.b")
    wire.quiet(6)
    # a busy machine tells its counts late
    for _ in range(20):
        queue = json.loads(place.broker.http("GET", "/api/queues/%2f/tr.b")[2])
        if (queue.get("messages"), queue.get("messages_ready")) == (40, 38):
            break
        time.sleep(1)
    connection = next(c["name"] for c in json.loads(place.broker.http("GET", "/api/connections")[2]) if c["state"] == "running" and c["user"] == "guest")
    name = connection.replace(" ", "%20").replace(">", "%3E")
    counted = {"publish", "publish_in", "publish_out", "deliver", "deliver_get", "deliver_no_ack", "get", "get_no_ack", "get_empty", "ack", "redeliver", "return_unroutable", "confirm", "drop_unroutable"}

    def numbers(value, path=""):
        if isinstance(value, dict):
            own = {f"{path}.{key}: {item}" for key, item in value.items() if key in counted and isinstance(item, int)}
            where = value.get("exchange", value.get("queue", value.get("channel_details")))
            label = str(where.get("name")).replace(connection, "CONNECTION") if isinstance(where, dict) else ""
            return own | {line for key, item in value.items() for line in numbers(item, f"{path}{f'[{label}]' if label else ''}.{key}")}
        if isinstance(value, list):
            return {line for item in value for line in numbers(item, path)}
        return set()
    for path in ("/api/exchanges/%2f/tr.x", "/api/exchanges/%2f/tr.h", "/api/exchanges/%2f/amq.default", "/api/queues/%2f/tr.a", "/api/queues/%2f/tr.b", f"/api/channels/{name}%20(1)", f"/api/channels/{name}%20(2)"):
        answer = json.loads(place.broker.http("GET", path)[2])
        place.log.append("-- GET " + path.replace(name, "NAME"))
        if "default" not in path:
            place.log.extend(sorted("   " + line for line in numbers(answer)))
        place.log.extend(sorted("   shape" + line for line in shape(answer)))
    wire.close()
    for path in ("exchanges/%2f/tr.x", "exchanges/%2f/tr.h", "queues/%2f/tr.a", "queues/%2f/tr.b"):
        place.broker.http("DELETE", f"/api/{path}")


@case
def wrong_bodies_and_which_complaint_comes_first(place):
    for path in ("policies/none/p", "operator-policies/none/p", "parameters/zz/none/p", "vhost-limits/none/max-queues"):
        place.ask("PUT", f"/api/{path}", {}, values=True)
    for path in ("queues/none/q", "exchanges/none/x"):
        place.ask("PUT", f"/api/{path}", {"durable": 1}, values=True)
    place.ask("PUT", "/api/queues/none/" + "q" * 256, {}, values=True)
    place.ask("PUT", "/api/queues/%2f/api.wrong", {"durable": 1.5, "auto_delete": None}, values=True)
    place.ask("PUT", "/api/exchanges/%2f/api.wrong", {"type": "zz", "durable": "x"}, values=True)
    for path in ("permissions/none/guest", "permissions/%2f/none", "topic-permissions/%2f/none"):
        place.ask("PUT", f"/api/{path}", {"read": 1}, values=True)
    place.ask("PUT", "/api/topic-permissions/%2f/guest", {"exchange": "", "write": "a)", "read": "["}, values=True)
    place.ask("PUT", "/api/users/api-wrong", {"tags": "", "password_hash": [1]}, values=True)
    place.ask("PUT", "/api/users/api-wrong", {"tags": [1], "password_hash": "", "password": ""}, values=True)
    place.ask("PUT", "/api/user-limits/guest/max-zzz", {"value": "\u00e9\u20ac"}, values=True)
    place.ask("PUT", "/api/user-limits/none/max-channels", {"value": ""}, values=True)
    definition = {"zz": 1}
    for pattern in ("(", "[", "a)", "*", "a\\", 1, {}):
        place.ask("PUT", "/api/policies/%2f/api-wrong", {"pattern": pattern, "definition": definition, "priority": "x",
                                                         "apply-to": ["a", "b"]}, values=True)
    place.ask("PUT", "/api/operator-policies/%2f/api-wrong", {"pattern": "(", "definition": {}}, values=True)
    get = {"count": "x", "ackmode": "zz", "encoding": "zz", "truncate": "y"}
    for vhost in ("none", "%2f"):
        place.ask("POST", f"/api/queues/{vhost}/none/get", get, values=True)
        place.ask("POST", f"/api/queues/{vhost}/none/get", {**get, "count": 1}, values=True)
        place.ask("POST", f"/api/exchanges/{vhost}/none/publish", {
            "properties": {"timestamp": "x"}, "routing_key": "", "payload": "", "payload_encoding": 0}, values=True)
    place.ask("POST", "/api/bindings/%2f/e/none/q/none", {"routing_key": 1.5}, values=True)
    place.ask("POST", "/api/definitions/none", {}, values=True)
    for body in (b"null", b'"x"', b"[]", b"{"):
        place.ask("PUT", "/api/queues/%2f/api.null", body, values=True)
        place.ask("POST", "/api/queues/%2f/api.null/get", body, values=True)
    place.ask("DELETE", "/api/queues/%2f/api.null")
    for method, path in (("PUT", "overview"), ("POST", "nonsense"), ("DELETE", "queues"), ("GET", "rebalance/queues")):
        place.ask(method, f"/api/{path}", values=True)
