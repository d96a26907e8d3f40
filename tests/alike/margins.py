"""More of both tables: settlements in transactions, who has a queue alone, statuses of refusals, the names of metrics."""
import re

from pika.spec import Basic, BasicProperties, Channel, Confirm, Queue, Tx

import api
import frames
from frames import each
from wire import Wire


@frames.case
def settlements_in_transactions(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "ms.q"))
    for number in range(6):
        wire.publish(1, "", "ms.q", b"%d" % number)
    wire.call(1, Tx.Select())
    first = wire.get(1, "ms.q", no_ack=False)
    wire.send(1, Basic.Ack(first.delivery_tag))
    wire.call(1, Tx.Rollback())
    wire.send(1, Basic.Ack(first.delivery_tag))
    wire.call(1, Tx.Commit())
    second = wire.get(1, "ms.q", no_ack=False)
    wire.send(1, Basic.Reject(second.delivery_tag, True))
    wire.call(1, Basic.Recover(True))
    wire.get(1, "ms.q")
    wire.call(1, Tx.Commit())
    wire.get(1, "ms.q")
    third = wire.get(1, "ms.q", no_ack=False)
    wire.send(1, Basic.Ack(0, True))
    fourth = wire.get(1, "ms.q", no_ack=False)
    wire.call(1, Tx.Commit())
    wire.send(1, Basic.Ack(fourth.delivery_tag))
    wire.send(1, Basic.Ack(third.delivery_tag))
    wire.quiet()
    wire = place.channel()
    wire.call(1, Tx.Select())
    again = wire.get(1, "ms.q", no_ack=False)
    wire.send(1, Basic.Ack(again.delivery_tag))
    wire.send(1, Basic.Ack(again.delivery_tag))
    wire.quiet()
    wire.send(1, Channel.CloseOk())
    wire.quiet(1)
    each(place, Queue.Declare(0, "ms.q", passive=True))


@frames.case
def queues_for_one_alone(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "mo.single", arguments={"x-single-active-consumer": True}))
    each(place, Basic.Consume(0, "mo.single", exclusive=True), Queue.Declare(0, "amq.rabbitmq.reply-to.x"), Queue.Declare(0, "amq.rabbitmq.reply-tox"))


@frames.case
def what_does_not_fit_and_who_waits(place):
    wire = place.channel()
    wire.call(1, Confirm.Select())
    for name, limit in (("none", {"x-max-length": 0}), ("small", {"x-max-length-bytes": 3})):
        wire.call(1, Queue.Declare(0, f"mf.{name}", arguments=limit | {"x-overflow": "reject-publish"}))
        wire.call(1, Basic.Consume(0, f"mf.{name}", name))
        for number, body in enumerate((b"1234", b"1")):
            wire.log, keep = [], wire.log
            wire.publish(1, "", f"mf.{name}", body)
            wire.quiet(0.3)
            seen = sorted(re.sub(r"'(delivery_tag|multiple)': \w+,? ?", "", line) for line in wire.log)
            wire.log = keep
            place.note((name, number, seen))
        wire.call(1, Basic.Cancel(name))


@frames.case
def refusals_of_queues_that_others_have(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "mq.own", exclusive=True))
    each(place, Queue.Bind(0, "mq.own", "amq.fanout", ""), Queue.Unbind(0, "mq.own", "amq.fanout", ""), Queue.Delete(0, "mq.own"), Basic.Get(0, "mq.own"))
    wire.call(1, Channel.Close(200, "", 0, 0))


@api.case
def exclusive_queues(place):
    wire = Wire(place.broker.amqp, []).open(1)
    wire.call(1, Queue.Declare(0, "mx.q", exclusive=True))
    wire.publish(1, "", "mx.q")
    wire.quiet()
    place.ask("PUT", "/api/queues/%2f/mx.q", {}, values=True)
    place.ask("POST", "/api/queues/%2f/mx.q/get", {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}, values=True)
    place.ask("DELETE", "/api/queues/%2f/mx.q/contents", values=True)
    place.ask("DELETE", "/api/queues/%2f/mx.q", values=True)
    wire.close()


@api.case
def refusals(place):
    place.broker.http("PUT", "/api/vhosts/mr", {})
    place.broker.http("PUT", "/api/users/mr", {"password": "x", "tags": ""})
    place.broker.http("PUT", "/api/exchanges/mr/inside", {"type": "direct", "internal": True})
    place.broker.http("PUT", "/api/permissions/mr/guest", {"configure": ".*", "write": ".*", "read": ".*"})
    message = {"properties": {}, "routing_key": "k", "payload": "x", "payload_encoding": "string"}
    node = "rabbit@localhost"
    for method, path, body in (
            ("GET", "vhosts/none/permissions", None), ("GET", "vhosts/none/topic-permissions", None), ("GET", "vhost-limits/none", None), ("GET", "user-limits/none", None),
            ("GET", "parameters/vhost-limits/none", None), ("PUT", "policies/none/p", {"pattern": "x", "definition": {"max-length": 1}}),
            ("PUT", "policies/mr/p", {"pattern": "x", "definition": {"max-length": 1}, "priority": None}),
            ("DELETE", "vhost-limits/mr/zzz", None), ("DELETE", "user-limits/mr/zzz", None), ("DELETE", "parameters/vhost-limits/mr/limits", None),
            ("PUT", "user-limits/mr/max-channels", {"value": "x"}), ("PUT", "vhost-limits/mr/max-queues", {"value": "x"}), ("PUT", "user-limits/mr/max-zzz", {"value": 1}),
            ("PUT", "parameters/policy/mr/x", {"value": {}}), ("PUT", "users/both", {"password": "x", "password_hash": "", "tags": ""}), ("POST", "users/bulk-delete", {"users": ["nobody"]}),
            ("POST", f"vhosts/mr/start/{node}", None), ("POST", "vhosts/mr/start/none", None), ("POST", f"vhosts/none/start/{node}", None),
            ("PUT", "feature-flags/quorum_queue/enable", {}), ("PUT", "feature-flags/nonsense/enable", {}), ("GET", f"auth/attempts/{node}/source", None), ("GET", "auth/attempts/none", None), ("DELETE", "reset/none", None),
            ("POST", "exchanges/mr/inside/publish", message), ("POST", "exchanges/mr/amq.topic/publish", message | {"properties": {"user_id": "other"}}), ("POST", "exchanges/mr/amq.topic/publish", message | {"payload": 5}), ("POST", "exchanges/mr/amq.topic/publish", {}),
            ("PUT", "exchanges/mr/amq.default", {"type": "direct"}), ("PUT", "queues/mr/" + "z" * 256, {}), ("PUT", "queues/mr/q", {"node": "other@localhost"}), ("PUT", "queues/mr/q", {}),
            ("POST", "queues/mr/q/get", {}), ("POST", "queues/mr/q/get", {"count": 1, "ackmode": "ack_requeue_true", "encoding": "zzz"}), ("PUT", "permissions/mr/mr", {}),
            ("POST", "bindings/none/e/amq.topic/q/q", {}), ("POST", "bindings/mr/e/amq.topic/q/q", {"routing_key": "~"}), ("POST", "bindings/mr/e/amq.topic/q/q", {"routing_key": "a~b"}), ("GET", "bindings/mr/e/amq.topic/q/q/a%257Eb", None), ("DELETE", "bindings/mr/e/amq.topic/q/q/%257E", None)):
        place.ask(method, f"/api/{path}", body, values=True, headers=("location",) if path.startswith("bindings") else ())
    place.broker.http("DELETE", "/api/users/mr")
    place.broker.http("DELETE", "/api/vhosts/mr")


@api.case
def metrics(place):
    """Every series' type and labels, of every page; values are other cases' business."""
    wire = Wire(place.broker.amqp, []).open(1, 2)
    wire.call(1, Queue.Declare(0, "mm.q"))
    wire.call(1, Queue.Declare(0, "mm.quorum", durable=True, arguments={"x-queue-type": "quorum"}))
    wire.call(1, Queue.Declare(0, "mm.short", arguments={"x-max-length": 1, "x-dead-letter-exchange": "amq.fanout"}))
    wire.call(2, Confirm.Select())
    wire.call(1, Basic.Consume(0, "mm.q", "t"))
    for queue in ("mm.q", "mm.quorum", "mm.short", "mm.short", "mm.none"):
        wire.publish(2, "", queue, b"x", BasicProperties(delivery_mode=2))
    wire.get(1, "mm.quorum")
    wire.quiet(7)
    pages = ("/metrics", "/metrics/per-object", "/metrics/detailed?family=queue_coarse_metrics&family=queue_metrics&family=queue_consumer_count",
             "/metrics/detailed?family=connection_churn_metrics&family=connection_coarse_metrics&family=connection_metrics", "/metrics/detailed?family=channel_metrics&family=channel_process_metrics",
             "/metrics/detailed?family=channel_exchange_metrics&family=channel_queue_metrics&family=channel_queue_exchange_metrics", "/metrics/detailed?family=node_metrics&family=node_coarse_metrics&family=node_persister_metrics",
             "/metrics/detailed?family=auth_attempt_metrics&family=ra_metrics", "/metrics/detailed?family=vhost_status&family=exchange_names&family=exchange_bindings", "/metrics/detailed?family=queue_coarse_metrics&vhost=none")
    for path in pages:
        status, _, text = place.broker.http("GET", path, login=None, port=place.broker.prometheus)
        place.log.append(f"-- GET {path} -> {status}")
        lines = set()
        for line in text.decode().splitlines():
            if kind := re.match(r"# TYPE (\S+) (\S+)", line):
                lines.add(f"{kind[1]} is a {kind[2]}")
            elif series := re.match(r"([\w:]+)(\{.*\})? ", line):
                labels = re.findall(r'(\w+)="', series[2] or "")
                kinds = re.findall(r'(?:protocol|queue_type|dead_letter_strategy)="([^"]*)"', series[2] or "")
                lines |= {f"{series[1]} has {label}" for label in labels} | {f"{series[1]} of {' '.join(kinds)}"}
        place.log.extend(sorted(f"   {line}" for line in lines if not line.startswith(("erlang_", "telemetry_", "process_"))))
    wire.close()
    for queue in ("mm.q", "mm.quorum", "mm.short"):
        place.broker.http("DELETE", f"/api/queues/%2f/{queue}")


@frames.case
def opened_again_while_closing(place):
    """A number is free again after channel.close-ok, not before."""
    for answers in ((), (Channel.Close(200, "bye", 0, 0),), (Channel.CloseOk(),)):
        wire = place.channel()
        wire.call(1, Queue.Declare(0, "none.here", passive=True))
        for answer in answers:
            wire.send(1, answer)
        wire.send(1, Channel.Open())
        wire.quiet()


@frames.case
def compared_by_the_queues_type(place):
    """Which arguments must be the same again depends on the type of the queue that is there; the first that differs is told."""
    more = {"x-queue-leader-locator": "client-local", "x-dead-letter-strategy": "at-least-once", "x-max-in-memory-length": 3, "x-max-in-memory-bytes": 4,
            "x-max-priority": 3, "x-queue-mode": "lazy", "x-queue-version": 2, "x-queue-master-locator": "random", "x-delivery-limit": 2,
            "x-quorum-initial-group-size": 1, "x-message-ttl": 1, "x-overflow": "reject-publish", "x-expires": 9000, "x-max-length": 3}
    for kind in ("classic", "quorum"):
        base = {"x-queue-type": kind}
        place.channel().call(1, Queue.Declare(0, f"mc.{kind}", durable=True, arguments=base))
        each(place, *(Queue.Declare(0, f"mc.{kind}", durable=True, arguments=base | {name: value}) for name, value in more.items()),
             *(Queue.Declare(0, f"mc.{kind}", durable=True, arguments=base | {name: value, "x-message-ttl": 1, "x-max-length": 3}) for name, value in more.items()))
