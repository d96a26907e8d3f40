"""What a broker answers to frames: every case runs on connections of its own and gives the lines that came back."""
import struct
import time

from pika import frame
from pika.spec import Basic, BasicProperties, Channel, Confirm, Connection, Exchange, Queue, Tx

from wire import Wire, frame_of

CASES = {}


def case(run):
    CASES[run.__name__] = run
    return run


class Place:
    """Where a broker listens, and the log of the case that runs."""

    def __init__(self, broker):
        self.broker, self.port, self.log = broker, broker.amqp, []

    def wire(self, **options):
        return Wire(self.port, self.log, **options)

    def channel(self, **options):
        return self.wire(**options).open(1)

    def note(self, text):
        self.log.append(f"-- {text}")

    def ask(self, method, path, body=None):
        """A request to the API; what it changes may take a moment."""
        self.note(f"{method} {path} -> {self.broker.http(method, path, body)[0]}")
        time.sleep(1.5)


def each(place, *methods):
    """Each method on a channel of its own, so that a refusal of one does not hide the next."""
    for method in methods:
        wire = place.channel()
        wire.call(1, method)
        wire.close()


# -- the connection

@case
def headers(place):
    for header in (b"AMQP\x00\x00\x09\x01", b"AMQP\x01\x01\x08\x00", b"AMQP\x01\x01\x09\x01", b"AMQP\x01\x01\x00\x09",
                   b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00", b"GET / HTTP/1.1\r\n\r\n", b"AMQP\x00\x00\x09\x02",
                   b"AMQP\x00\x00\x08\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01"):
        place.note(repr(header))
        wire = place.wire(begin=False)
        wire.raw(header)
        wire.quiet()
        wire.close()


@case
def logins(place):
    for name, word in (("guest", "wrong"), ("nobody", "guest"), ("guest", "")):
        place.wire(user=name, password=word).close()
    wire = place.wire(user="guest", password="wrong", client={})
    wire.quiet(3)
    wire = place.wire(begin=False)
    wire.begin()
    wire.send(0, Connection.StartOk({"capabilities": {"authentication_failure_close": True}}, "NOPE", "x", "en_US"))
    wire.quiet()
    for response in ("guest", "\0guest", "\0guest\0guest\0more", ""):
        wire = place.wire(begin=False)
        wire.begin()
        wire.send(0, Connection.StartOk({"capabilities": {"authentication_failure_close": True}}, "PLAIN", response, "en_US"))
        wire.quiet(2)


@case
def virtual_hosts(place):
    place.wire(vhost="missing")
    place.wire(vhost="other", user="limited", password="limited")
    place.wire(vhost="")


@case
def tuning(place):
    for tune in ((100, 4096, 10), (0, 0, 0), (2048, 131072, 60), (2047, 131073, 60), (2047, 1000, 60), (0, 4096, 0)):
        place.note(tune)
        wire = place.wire(tune=tune)
        wire.quiet()
        wire.close()


@case
def handshake_out_of_order(place):
    wire = place.wire(begin=False)
    wire.begin()
    wire.send(0, Connection.Open("/"))
    wire.quiet(2)
    wire = place.wire(begin=False)
    wire.begin()
    wire.send(1, Channel.Open())
    wire.quiet(2)
    wire = place.wire()
    wire.send(0, Connection.Open("/"))
    wire.quiet(2)
    wire = place.wire()
    wire.send(0, Connection.TuneOk(0, 0, 0))
    wire.quiet(2)
    wire = place.wire()
    wire.send(0, Connection.CloseOk())
    wire.quiet(2)


@case
def closing(place):
    wire = place.channel()
    wire.call(0, Connection.Close(200, "bye", 0, 0))
    wire.quiet()
    wire = place.channel()
    wire.call(1, Channel.Close(200, "bye", 0, 0))
    wire.open(1)
    wire.call(1, Basic.Qos(0, 1, False))
    wire.send(1, Channel.CloseOk())
    wire.quiet()
    wire = place.wire()
    wire.send(1, Channel.Close(200, "bye", 0, 0))
    wire.quiet()
    wire = place.wire()
    wire.send(1, Channel.CloseOk())
    wire.quiet()


@case
def secrets(place):
    place.wire().call(0, Connection.UpdateSecret(b"new", "because"))


@case
def channels(place):
    wire = place.wire(tune=(2, 131072, 0))
    for number in (1, 2, 3):
        wire.call(number, Channel.Open())
    wire = place.wire()
    wire.call(5000, Channel.Open())
    wire = place.wire(tune=(100, 131072, 0))
    wire.call(101, Channel.Open())
    wire.quiet()
    wire = place.channel()
    wire.call(1, Channel.Open())
    wire = place.wire()
    wire.call(1, Queue.Declare(0, "q"))
    wire = place.channel()
    wire.call(1, Channel.Flow(True))
    wire.call(1, Channel.Flow(False))


# -- frames that are wrong

@case
def wrong_frames(place):
    opened = frame.Method(1, Basic.Qos(0, 1, False)).marshal()[7:-1]
    for name, data in {
        "end": frame_of(1, 1, opened, end=0),
        "large": struct.pack(">BHI", 3, 1, 200000) + b"x" * 200001,
        "large method": struct.pack(">BHI", 1, 1, 200000) + b"x" * 200001,
        "kind 4": frame_of(4, 1, b""),
        "kind 9": frame_of(9, 1, b"abc"),
        "kind 5 on channel 0": frame_of(5, 0, b"abc"),
        "heartbeat on a channel": frame_of(8, 1, b""),
        "heartbeat with a payload": frame_of(8, 0, b"abc"),
        "empty method": frame_of(1, 1, b""),
        "short method": frame_of(1, 1, b"\x00"),
        "class only": frame_of(1, 1, b"\x00\x3c"),
        "class 99": frame_of(1, 1, b"\x00\x63\x00\x01"),
        "method 99": frame_of(1, 1, b"\x00\x3c\x00\x63"),
        "half of the arguments": frame_of(1, 1, opened[:6]),
        "too many arguments": frame_of(1, 1, opened + b"abc"),
        "body first": frame_of(3, 1, b"abc"),
        "header first": frame_of(2, 1, b"\x00\x3c\x00\x00" + b"\0" * 10),
        "body on channel 0": frame_of(3, 0, b"abc"),
        "header on channel 0": frame_of(2, 0, b"\x00\x3c\x00\x00" + b"\0" * 10),
        "body on a closed channel": frame_of(3, 7, b"abc"),
        "header on a closed channel": frame_of(2, 7, b"\x00\x3c\x00\x00" + b"\0" * 10),
        "method of a channel on 0": frame.Method(0, Basic.Qos(0, 1, False)).marshal(),
        "method of the connection on 1": frame.Method(1, Connection.Close(200, "", 0, 0)).marshal(),
        "answer of a server": frame.Method(1, Queue.DeclareOk("q", 0, 0)).marshal(),
        "delivery of a server": frame.Method(1, Basic.Deliver("t", 1, False, "", "")).marshal(),
        "bad table": frame_of(1, 1, struct.pack(">HHH", 50, 10, 0) + b"\x01q\x00" + struct.pack(">I", 4) + b"\x01a!x"),
    }.items():
        place.note(name)
        wire = place.channel()
        wire.raw(data)
        wire.quiet()
        wire.close()


@case
def wrong_contents(place):
    publish = frame.Method(1, Basic.Publish(0, "", "nowhere", False, False)).marshal()
    for name, data in {
        "body after publish": publish + frame_of(3, 1, b"abc"),
        "method after publish": publish + frame.Method(1, Basic.Qos(0, 1, False)).marshal(),
        "class of another": publish + frame_of(2, 1, struct.pack(">HHQH", 50, 0, 3, 0)),
        "weight": publish + frame_of(2, 1, struct.pack(">HHQH", 60, 1, 3, 0)),
        "short header": publish + frame_of(2, 1, struct.pack(">HHQ", 60, 0, 3)),
        "flags without values": publish + frame_of(2, 1, struct.pack(">HHQH", 60, 0, 3, 0xF000)),
        "second header": publish + frame_of(2, 1, struct.pack(">HHQH", 60, 0, 3, 0)) * 2,
        "method for a body": publish + frame_of(2, 1, struct.pack(">HHQH", 60, 0, 3, 0)) + publish,
        "long body": publish + frame_of(2, 1, struct.pack(">HHQH", 60, 0, 3, 0)) + frame_of(3, 1, b"abcdef"),
        "huge size": publish + frame_of(2, 1, struct.pack(">HHQH", 60, 0, 1 << 40, 0)),
        "size over the limit": publish + frame_of(2, 1, struct.pack(">HHQH", 60, 0, 134217729, 0)),
    }.items():
        place.note(name)
        wire = place.channel()
        wire.raw(data)
        wire.quiet()
        wire.close()


# -- exchanges

@case
def exchange_declarations(place):
    wire = place.channel()
    for name, kind in (("x.d", "direct"), ("x.f", "fanout"), ("x.t", "topic"), ("x.h", "headers")):
        wire.call(1, Exchange.Declare(0, name, kind))
        wire.call(1, Exchange.Declare(0, name, kind))
        wire.call(1, Exchange.Declare(0, name, "ignored", passive=True))
    each(place, Exchange.Declare(0, "x.d", "fanout"), Exchange.Declare(0, "x.d", "direct", durable=True),
         Exchange.Declare(0, "x.d", "direct", auto_delete=True), Exchange.Declare(0, "x.d", "direct", internal=True),
         Exchange.Declare(0, "x.d", "direct", arguments={"alternate-exchange": "amq.fanout"}),
         Exchange.Declare(0, "x.d", "direct", arguments={"other": 1}),
         Exchange.Declare(0, "x.none", "direct", passive=True), Exchange.Declare(0, "x.none", "unheard"),
         Exchange.Declare(0, "x.none", ""), Exchange.Declare(0, "amq.mine", "direct"),
         Exchange.Declare(0, "amq.direct", "direct", durable=True), Exchange.Declare(0, "amq.direct", "direct"),
         Exchange.Declare(0, "amq.nothing", "direct", passive=True),
         Exchange.Declare(0, "", "direct"), Exchange.Declare(0, "", "direct", passive=True),
         Exchange.Declare(0, "x.ae", "direct", arguments={"alternate-exchange": 5}),
         Exchange.Declare(0, "x.long." + "y" * 240, "direct"), Exchange.Declare(0, "x\r\nlines", "direct"),
         Exchange.Declare(0, "x ünïcode", "direct"))
    for method in (Exchange.Delete(0, "x.none"), Exchange.Delete(0, ""), Exchange.Delete(0, "amq.direct"),
                   Exchange.Delete(0, "amq.other")):
        each(place, method)
    wire.call(1, Queue.Declare(0, "x.q"))
    wire.call(1, Queue.Bind(0, "x.q", "x.d", "k"))
    each(place, Exchange.Delete(0, "x.d", if_unused=True))
    wire.call(1, Exchange.Delete(0, "x.d"))
    wire.call(1, Exchange.Declare(0, "x.auto", "fanout", auto_delete=True))
    wire.call(1, Queue.Bind(0, "x.q", "x.auto", ""))
    wire.call(1, Queue.Unbind(0, "x.q", "x.auto", ""))
    each(place, Exchange.Declare(0, "x.auto", "fanout", passive=True))
    wire.call(1, Queue.Delete(0, "x.q"))


@case
def exchange_bindings(place):
    wire = place.channel()
    for name in ("b.one", "b.two"):
        wire.call(1, Exchange.Declare(0, name, "fanout"))
    wire.call(1, Exchange.Bind(0, "b.two", "b.one", "k"))
    wire.call(1, Exchange.Bind(0, "b.two", "b.one", "k"))
    wire.call(1, Queue.Declare(0, "b.q"))
    wire.call(1, Queue.Bind(0, "b.q", "b.two", ""))
    wire.publish(1, "b.one", "any", b"through both")
    wire.get(1, "b.q")
    wire.call(1, Exchange.Unbind(0, "b.two", "b.one", "k"))
    wire.call(1, Exchange.Unbind(0, "b.two", "b.one", "k"))
    wire.publish(1, "b.one", "any", b"nowhere", mandatory=True)
    wire.quiet()
    wire.call(1, Exchange.Bind(0, "b.one", "b.one", "loop"))
    wire.publish(1, "b.one", "any", b"loop", mandatory=True)
    wire.quiet()
    each(place, Exchange.Bind(0, "b.none", "b.one", ""), Exchange.Bind(0, "b.one", "b.none", ""),
         Exchange.Bind(0, "", "b.one", ""), Exchange.Bind(0, "b.one", "", ""), Exchange.Unbind(0, "b.none", "b.one", ""),
         Exchange.Unbind(0, "b.one", "b.none", ""), Exchange.Unbind(0, "b.one", "b.two", "never"))


@case
def publishing_to_exchanges(place):
    wire = place.channel()
    wire.call(1, Exchange.Declare(0, "p.in", "fanout", internal=True))
    for exchange in ("p.in", "p.none"):
        other = place.channel()
        other.publish(1, exchange, "k")
        other.quiet()
    wire.publish(1, "", "p.nowhere", b"body", mandatory=True)
    wire.quiet()
    wire.publish(1, "amq.direct", "p.nowhere", b"body", BasicProperties(headers={"a": 1}, content_type="text/plain"), mandatory=True)
    wire.quiet()
    other = place.channel()
    other.publish(1, "", "q", b"x", immediate=True)
    other.quiet()


@case
def routing_with_topics(place):
    wire = place.channel()
    patterns = ["#", "*", "a.*", "a.#", "#.b", "*.*", "a.*.c", "#.b.#", "", "a", "a..c", ".", "*.#", "#.#", "#.*"]
    for number, pattern in enumerate(patterns):
        wire.call(1, Queue.Declare(0, f"t.{number}"))
        wire.call(1, Queue.Bind(0, f"t.{number}", "amq.topic", pattern))
    keys = ["", "a", "b", "a.b", "a.b.c", "a..c", ".", "..", "a.", ".b", "a.b.b.c", "x.y.z.b"]
    for key in keys:
        wire.publish(1, "amq.topic", key, key.encode() or b"-")
    wire.quiet()
    for number, pattern in enumerate(patterns):
        place.note(repr(pattern))
        answer = wire.call(1, Queue.Declare(0, f"t.{number}", passive=True))
        for _ in range(answer.message_count):
            wire.get(1, f"t.{number}")
        wire.call(1, Queue.Delete(0, f"t.{number}"))


@case
def routing_by_headers(place):
    wire = place.channel()
    tables = [{"x-match": "all", "a": 1, "b": "two"}, {"x-match": "any", "a": 1, "b": "two"}, {"a": 1}, {}, {"x-match": "any"},
              {"x-match": "all"}, {"x-match": "all-with-x", "x-a": 1}, {"x-match": "any-with-x", "x-a": 1}, {"x-match": "any", "x-a": 1},
              {"a": None}, {"x-match": "all", "a": "1"}, {"a": True}, {"a": {"t": 1}}, {"a": [1, 2]}]
    for number, table in enumerate(tables):
        wire.call(1, Queue.Declare(0, f"h.{number}"))
        wire.call(1, Queue.Bind(0, f"h.{number}", "amq.headers", "", arguments=table))
    for headers in ({}, {"a": 1}, {"a": 1, "b": "two"}, {"b": "two"}, {"x-a": 1}, {"a": "1"}, {"a": None}, {"a": 2}, {"a": True},
                    {"a": {"t": 1}}, {"a": [1, 2]}, {"a": 1.0}, {"a": 1 << 40}):
        wire.publish(1, "amq.headers", "", repr(headers).encode(), BasicProperties(headers=headers))
    wire.publish(1, "amq.headers", "", b"no properties")
    wire.quiet()
    for number, table in enumerate(tables):
        place.note(repr(table))
        answer = wire.call(1, Queue.Declare(0, f"h.{number}", passive=True))
        for _ in range(answer.message_count):
            wire.get(1, f"h.{number}")
        wire.call(1, Queue.Delete(0, f"h.{number}"))
    each(place, Queue.Declare(0, "h.bad"), *[Queue.Bind(0, "h.bad", "amq.headers", "", arguments={"x-match": value, "a": 1})
                                             for value in ("some", 5, "all", "any-with-x", "all-with-x", None)])


@case
def alternate_exchanges(place):
    wire = place.channel()
    wire.call(1, Exchange.Declare(0, "ae.lost", "fanout"))
    wire.call(1, Exchange.Declare(0, "ae.main", "direct", arguments={"alternate-exchange": "ae.lost"}))
    wire.publish(1, "ae.main", "none", b"no queue", mandatory=True)
    wire.quiet()
    wire.call(1, Queue.Declare(0, "ae.q"))
    wire.call(1, Queue.Bind(0, "ae.q", "ae.lost", ""))
    wire.publish(1, "ae.main", "none", b"found", mandatory=True)
    wire.get(1, "ae.q")
    wire.call(1, Exchange.Declare(0, "ae.gone", "direct", arguments={"alternate-exchange": "ae.missing"}))
    wire.publish(1, "ae.gone", "none", b"alternate is missing", mandatory=True)
    wire.quiet()


# -- queues

@case
def queue_declarations(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "q.plain"))
    wire.call(1, Queue.Declare(0, ""))
    wire.call(1, Queue.Declare(0, "", passive=True))
    wire.call(1, Queue.Declare(0, "q.plain"))
    wire.call(1, Queue.Declare(0, "q.args", durable=True, arguments={"x-max-length": 5, "x-message-ttl": 60000, "mine": "yes"}))
    each(place, Queue.Declare(0, "q.plain", durable=True), Queue.Declare(0, "q.plain", auto_delete=True),
         Queue.Declare(0, "q.plain", exclusive=True), Queue.Declare(0, "q.plain", arguments={"x-max-length": 5}),
         Queue.Declare(0, "q.plain", arguments={"mine": 5}), Queue.Declare(0, "q.none", passive=True),
         Queue.Declare(0, "", passive=True), Queue.Declare(0, "amq.foo"), Queue.Declare(0, "amq.foo", passive=True),
         Queue.Declare(0, "q.args", durable=True), Queue.Declare(0, "q.args", durable=True, arguments={"x-max-length": 6, "x-message-ttl": 60000}),
         Queue.Declare(0, "q.args", durable=True, arguments={"x-max-length": 5, "x-message-ttl": 60000}),
         Queue.Declare(0, "q.args", durable=True, arguments={"x-max-length": "5", "x-message-ttl": 60000}),
         Queue.Declare(0, "q.args", durable=True, arguments={"x-max-length": 5}),
         Queue.Declare(0, "q\r\nlines"), Queue.Declare(0, "q ünïcode"), Queue.Declare(0, "q" * 255))


@case
def queue_arguments(place):
    good = [{"x-expires": 60000}, {"x-message-ttl": 0}, {"x-message-ttl": 2 ** 31}, {"x-max-length": 0}, {"x-max-length-bytes": 0},
            {"x-dead-letter-exchange": "amq.fanout", "x-dead-letter-routing-key": "k"}, {"x-dead-letter-exchange": ""},
            {"x-max-priority": 0}, {"x-max-priority": 255}, {"x-overflow": "drop-head"}, {"x-overflow": "reject-publish"},
            {"x-overflow": "reject-publish-dlx"}, {"x-queue-mode": "lazy"}, {"x-queue-mode": "default"}, {"x-queue-version": 1},
            {"x-queue-version": 2}, {"x-single-active-consumer": True}, {"x-queue-type": "classic"}, {"x-queue-master-locator": "min-masters"},
            {"x-queue-leader-locator": "client-local"}, {"x-queue-leader-locator": "balanced"}, {"x-unknown": 5},
            {"x-quorum-initial-group-size": 3}, {"x-max-in-memory-length": 5}, {"x-max-in-memory-bytes": 5},
            {"x-delivery-limit": 5}, {"x-dead-letter-strategy": "at-most-once"}, {"x-max-age": "1D"}, {"x-consumer-timeout": 5}]
    bad = [{"x-expires": 0}, {"x-expires": -1}, {"x-expires": "60"}, {"x-expires": 2 ** 32}, {"x-expires": 2 ** 40}, {"x-message-ttl": -1}, {"x-message-ttl": "5"},
           {"x-message-ttl": 2 ** 32}, {"x-message-ttl": 2 ** 63 - 1}, {"x-message-ttl": True}, {"x-message-ttl": None}, {"x-max-length": -1}, {"x-max-length": "5"}, {"x-max-length": 1.5},
           {"x-max-length-bytes": -1}, {"x-max-length-bytes": "1"}, {"x-dead-letter-exchange": 5}, {"x-dead-letter-routing-key": "k"},
           {"x-dead-letter-exchange": "e", "x-dead-letter-routing-key": 5}, {"x-max-priority": -1}, {"x-max-priority": 256}, {"x-max-priority": 300},
           {"x-max-priority": "5"}, {"x-overflow": "none"}, {"x-overflow": 5}, {"x-queue-mode": "zzz"}, {"x-queue-mode": 5}, {"x-queue-version": 3},
           {"x-queue-version": "1"}, {"x-single-active-consumer": "yes"}, {"x-single-active-consumer": 1}, {"x-queue-type": "zzz"}, {"x-queue-type": 5},
           {"x-queue-leader-locator": "zzz"}, {"x-queue-master-locator": 5}, {"x-quorum-initial-group-size": 0},
           {"x-max-in-memory-length": "x"}, {"x-delivery-limit": "x"}, {"x-delivery-limit": -1}, {"x-dead-letter-strategy": "zzz"}, {"x-dead-letter-strategy": 5},
           {"x-max-age": "zzz"}]
    for number, arguments in enumerate(good + bad):
        place.note(repr(arguments))
        each(place, Queue.Declare(0, f"args.{number}", arguments=arguments))


@case
def quorum_queues(place):
    wire = place.channel()
    quorum = {"x-queue-type": "quorum"}
    wire.call(1, Queue.Declare(0, "quorum.q", durable=True, arguments=quorum))
    each(place, Queue.Declare(0, "quorum.n", arguments=quorum), Queue.Declare(0, "quorum.n", durable=True, exclusive=True, arguments=quorum),
         Queue.Declare(0, "quorum.n", durable=True, auto_delete=True, arguments=quorum))
    for number, more in enumerate([{"x-max-priority": 5}, {"x-queue-mode": "lazy"}, {"x-message-ttl": 5000}, {"x-expires": 5000}, {"x-max-length": 5},
                                   {"x-max-length-bytes": 5}, {"x-delivery-limit": 5}, {"x-delivery-limit": -1}, {"x-delivery-limit": 0}, {"x-overflow": "reject-publish"},
                                   {"x-overflow": "reject-publish-dlx"}, {"x-overflow": "drop-head"}, {"x-dead-letter-exchange": ""},
                                   {"x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"},
                                   {"x-single-active-consumer": True}, {"x-quorum-initial-group-size": 3}, {"x-quorum-initial-group-size": 0},
                                   {"x-max-in-memory-length": 5}, {"x-queue-leader-locator": "client-local"}, {"x-queue-leader-locator": "zzz"},
                                   {"x-queue-master-locator": "random"}, {"x-queue-version": 2}, {"x-unknown": 1}]):
        place.note(repr(more))
        each(place, Queue.Declare(0, f"quorum.{number}", durable=True, arguments=quorum | more))
    each(place, Basic.Consume(0, "quorum.q", arguments={"x-cancel-on-ha-failover": True}), Basic.Consume(0, "quorum.q", exclusive=True),
         Basic.Consume(0, "quorum.q", arguments={"x-priority": 5}))
    other = place.channel()
    other.call(1, Basic.Qos(0, 5, True))
    other.call(1, Basic.Consume(0, "quorum.q"))
    wire.publish(1, "", "quorum.q", b"one")
    wire.quiet()
    for _ in range(3):
        answer = wire.get(1, "quorum.q", no_ack=False)
        wire.send(1, Basic.Nack(answer.delivery_tag, False, True))
        wire.quiet()
    each(place, Queue.Delete(0, "quorum.q", if_unused=True), Queue.Delete(0, "quorum.q", if_empty=True))
    wire.call(1, Queue.Purge(0, "quorum.q"))
    wire.call(1, Queue.Delete(0, "quorum.q"))


@case
def delivery_limit(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "dl.dead"))
    wire.call(1, Queue.Declare(0, "dl.q", durable=True, arguments={
        "x-queue-type": "quorum", "x-delivery-limit": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dl.dead"}))
    wire.publish(1, "", "dl.q", b"poison")
    wire.quiet()
    for _ in range(4):
        answer = wire.get(1, "dl.q", no_ack=False)
        if isinstance(answer, Basic.GetOk):
            wire.send(1, Basic.Reject(answer.delivery_tag, True))
        wire.quiet()
    wire.quiet(1)
    wire.get(1, "dl.dead")


@case
def streams(place):
    each(place, Queue.Declare(0, "stream.q", arguments={"x-queue-type": "stream"}),
         Queue.Declare(0, "stream.q", durable=True, exclusive=True, arguments={"x-queue-type": "stream"}))


@case
def queue_bindings(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "qb.q"))
    wire.call(1, Queue.Bind(0, "", "amq.direct", ""))
    wire.publish(1, "amq.direct", "qb.q", b"by the last name")
    wire.get(1, "qb.q")
    each(place, Queue.Bind(0, "qb.q", "qb.none", ""), Queue.Bind(0, "qb.none", "amq.direct", ""), Queue.Bind(0, "qb.q", "", "k"),
         Queue.Bind(0, "", "amq.direct", "k"), Queue.Unbind(0, "qb.q", "amq.direct", "never"), Queue.Unbind(0, "qb.q", "qb.none", ""),
         Queue.Unbind(0, "qb.none", "amq.direct", ""), Queue.Unbind(0, "qb.q", "", "k"))
    wire.call(1, Queue.Bind(0, "qb.q", "amq.direct", "twice"))
    wire.call(1, Queue.Bind(0, "qb.q", "amq.direct", "twice"))
    wire.call(1, Queue.Bind(0, "qb.q", "amq.direct", "twice", arguments={"different": 1}))
    wire.publish(1, "amq.direct", "twice", b"once")
    wire.get(1, "qb.q")
    wire.get(1, "qb.q")
    wire.call(1, Queue.Delete(0, "qb.q"))


@case
def queue_deletion_and_purge(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "del.q"))
    for number in range(3):
        wire.publish(1, "", "del.q", b"%d" % number)
    wire.get(1, "del.q", no_ack=False)
    each(place, Queue.Delete(0, "del.q", if_empty=True), Queue.Delete(0, "del.none"), Queue.Purge(0, "del.none"), Queue.Delete(0, ""), Queue.Purge(0, ""))
    wire.call(1, Queue.Purge(0, "del.q"))
    wire.call(1, Queue.Purge(0, "del.q"))
    wire.call(1, Basic.Consume(0, "del.q", "tag"))
    each(place, Queue.Delete(0, "del.q", if_unused=True))
    other = place.channel()
    other.call(1, Queue.Delete(0, "del.q"))
    wire.quiet()
    wire.call(1, Basic.Cancel("tag"))


@case
def auto_delete(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "auto.q", auto_delete=True))
    wire.call(1, Basic.Consume(0, "auto.q", "a"))
    wire.call(1, Basic.Consume(0, "auto.q", "b"))
    wire.call(1, Basic.Cancel("a"))
    each(place, Queue.Declare(0, "auto.q", passive=True))
    wire.call(1, Basic.Cancel("b"))
    each(place, Queue.Declare(0, "auto.q", passive=True))


@case
def exclusive_queues(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "ex.q", exclusive=True))
    each(place, Queue.Declare(0, "ex.q", passive=True), Queue.Declare(0, "ex.q", exclusive=True), Queue.Declare(0, "ex.q"),
         Basic.Consume(0, "ex.q"), Basic.Get(0, "ex.q"), Queue.Purge(0, "ex.q"), Queue.Delete(0, "ex.q"),
         Queue.Bind(0, "ex.q", "amq.direct", "k"), Queue.Unbind(0, "ex.q", "amq.direct", "k"))
    other = place.channel()
    other.publish(1, "", "ex.q", b"anyone may publish")
    other.quiet()
    wire.get(1, "ex.q")
    wire.close()
    time.sleep(0.5)
    each(place, Queue.Declare(0, "ex.q", passive=True))


# -- messages

@case
def consuming(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "c.q"))
    wire.call(1, Basic.Consume(0, "c.q"))
    wire.call(1, Basic.Consume(0, "c.q", "mine", arguments={"x-priority": 5}))
    wire.publish(1, "", "c.q", b"one", BasicProperties(
        content_type="a", content_encoding="b", headers={"k": [1, "x", {"y": None}], "f": 1.5, "big": 2 ** 40}, delivery_mode=2, priority=3, correlation_id="c",
        reply_to="r", expiration="60000", message_id="m", timestamp=5, type="t", user_id="guest", app_id="app", cluster_id="cl"))
    wire.quiet()
    wire.send(1, Basic.Ack(1))
    wire.call(1, Basic.Cancel("mine"))
    wire.call(1, Basic.Cancel("mine"))
    wire.call(1, Basic.Cancel("unknown"))
    each(place, Basic.Consume(0, "c.none"), Basic.Consume(0, "c.q", exclusive=True), Basic.Consume(0, ""),
         Basic.Consume(0, "c.q", "t", no_local=True), Basic.Consume(0, "c.q", arguments={"x-priority": "high"}),
         Basic.Consume(0, "c.q", arguments={"x-cancel-on-ha-failover": 5}), Basic.Consume(0, "c.q", arguments={"x-unknown": 5}))
    other = place.channel()
    other.call(1, Basic.Consume(0, "c.q", "same"))
    other.call(1, Basic.Consume(0, "c.q", "same"))
    wire.call(1, Queue.Declare(0, "c.ex"))
    wire.call(1, Basic.Consume(0, "c.ex", "x", exclusive=True))
    each(place, Basic.Consume(0, "c.ex"), Basic.Consume(0, "c.ex", exclusive=True), Basic.Get(0, "c.ex"))


@case
def prefetch(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "pf.q"))
    wire.call(1, Basic.Qos(0, 2, False))
    wire.call(1, Basic.Consume(0, "pf.q", "a"))
    for number in range(5):
        wire.publish(1, "", "pf.q", b"%d" % number)
    wire.quiet()
    wire.send(1, Basic.Ack(2, True))
    wire.quiet()
    wire.call(1, Basic.Cancel("a"))
    wire.call(1, Basic.Qos(0, 3, True))
    wire.call(1, Basic.Consume(0, "pf.q", "b"))
    wire.quiet()
    each(place, Basic.Qos(10, 1, False), Basic.Qos(0, 65535, False), Basic.Qos(0, 0, True))


@case
def settling(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "s.q"))
    for number in range(6):
        wire.publish(1, "", "s.q", b"%d" % number)
    for _ in range(3):
        wire.get(1, "s.q", no_ack=False)
    wire.send(1, Basic.Nack(2, False, True))
    wire.quiet()
    wire.get(1, "s.q", no_ack=False)
    wire.send(1, Basic.Nack(0, True, True))
    wire.quiet()
    for _ in range(7):
        wire.get(1, "s.q", no_ack=False)
    wire.call(1, Basic.Recover(True))
    wire.get(1, "s.q", no_ack=False)
    wire.send(1, Basic.Ack(0, True))
    wire.quiet()
    for method in (Basic.Ack(99), Basic.Nack(99), Basic.Reject(99), Basic.Ack(0, False), Basic.Ack(99, True), Basic.Ack(0, True), Basic.Recover(False),
                   Basic.RecoverAsync(True), Basic.RecoverAsync(False), Basic.Reject(0)):
        place.note(method)
        other = place.channel()
        other.send(1, method)
        other.quiet()
        other.close()
    other = place.channel()
    other.call(1, Queue.Declare(0, "s.two"))
    other.publish(1, "", "s.two", b"twice")
    other.get(1, "s.two", no_ack=False)
    other.send(1, Basic.Ack(1))
    other.send(1, Basic.Ack(1))
    other.quiet()


@case
def redelivery_after_close(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "r.q"))
    for number in range(4):
        wire.publish(1, "", "r.q", b"%d" % number)
    wire.open(2)
    wire.call(2, Basic.Consume(0, "r.q", "a"))
    wire.quiet()
    wire.call(2, Channel.Close(200, "", 0, 0))
    wire.quiet()
    for _ in range(5):
        wire.get(1, "r.q")


@case
def properties_refused(place):
    for properties in (BasicProperties(expiration="abc"), BasicProperties(expiration="-1"), BasicProperties(expiration=""), BasicProperties(expiration="1.5"),
                       BasicProperties(expiration="5 "), BasicProperties(expiration="4294967296"), BasicProperties(expiration="99999999999999999999"),
                       BasicProperties(user_id="other"), BasicProperties(user_id="guest"), BasicProperties(headers={"CC": "text"}),
                       BasicProperties(headers={"BCC": 5}), BasicProperties(headers={"CC": [1, 2]}), BasicProperties(delivery_mode=7), BasicProperties(priority=255)):
        place.note(properties)
        wire = place.channel()
        wire.publish(1, "", "nowhere", b"x", properties)
        wire.quiet()
        wire.close()


@case
def copies(place):
    wire = place.channel()
    for name in ("cc.a", "cc.b", "cc.c"):
        wire.call(1, Queue.Declare(0, name))
    wire.publish(1, "", "cc.a", b"copied", BasicProperties(headers={"CC": ["cc.b"], "BCC": ["cc.c", "cc.b"], "more": 1}))
    for name in ("cc.a", "cc.b", "cc.c"):
        wire.get(1, name)
        wire.get(1, name)


@case
def confirms(place):
    wire = place.channel()
    wire.call(1, Confirm.Select())
    wire.call(1, Confirm.Select())
    wire.call(1, Queue.Declare(0, "cf.q", arguments={"x-max-length": 2, "x-overflow": "reject-publish"}))
    for _ in range(4):
        wire.publish(1, "", "cf.q")
        wire.quiet(0.2)
    wire.publish(1, "", "cf.none")
    wire.quiet()
    wire.publish(1, "", "cf.none", mandatory=True)
    wire.quiet()
    wire.call(1, Tx.Select())
    other = place.channel()
    other.call(1, Tx.Select())
    other.call(1, Confirm.Select())
    each(place, Tx.Commit(), Tx.Rollback())


@case
def transactions(place):
    wire = place.channel()
    wire.open(2)
    wire.call(1, Tx.Select())
    wire.call(1, Tx.Select())
    wire.call(1, Queue.Declare(0, "tx.q"))
    for number in range(3):
        wire.publish(1, "", "tx.q", b"%d" % number)
    wire.get(2, "tx.q")
    wire.call(1, Tx.Commit())
    wire.get(1, "tx.q", no_ack=False)
    wire.send(1, Basic.Ack(1))
    wire.call(1, Tx.Rollback())
    wire.send(1, Basic.Nack(1, False, True))
    wire.call(1, Tx.Commit())
    wire.quiet()
    wire.call(2, Queue.Declare(0, "tx.q", passive=True))
    wire.get(2, "tx.q")
    wire.publish(1, "", "tx.none", b"unroutable", mandatory=True)
    wire.quiet()
    wire.call(1, Tx.Commit())
    wire.quiet()
    wire.publish(1, "tx.none", "k", b"no exchange")
    wire.quiet()


@case
def length_limits(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "ll.dead"))
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "ll.dead"}
    for name, arguments in (("ll.head", {"x-max-length": 2}), ("ll.bytes", {"x-max-length-bytes": 5}), ("ll.zero", {"x-max-length": 0}),
                            ("ll.rdlx", {"x-max-length": 2, "x-overflow": "reject-publish-dlx"})):
        place.note(name)
        wire.call(1, Queue.Declare(0, name, arguments=arguments | dead))
        for number in range(4):
            wire.publish(1, "", name, b"%d%d" % (number, number))
        wire.quiet()
        for queue in (name, name, "ll.dead", "ll.dead", "ll.dead", "ll.dead"):
            wire.get(1, queue)


@case
def expiry(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "ttl.dead"))
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "ttl.dead"}
    wire.call(1, Queue.Declare(0, "ttl.q", arguments={"x-message-ttl": 50} | dead))
    wire.call(1, Queue.Declare(0, "ttl.m", arguments=dead))
    wire.publish(1, "", "ttl.q", b"of the queue", BasicProperties(headers={"mine": 1}))
    wire.quiet()
    wire.get(1, "ttl.q")
    wire.get(1, "ttl.dead")
    wire.publish(1, "", "ttl.m", b"of the message", BasicProperties(expiration="50", delivery_mode=2))
    wire.quiet()
    wire.get(1, "ttl.m")
    wire.get(1, "ttl.dead")
    wire.publish(1, "", "ttl.m", b"at once", BasicProperties(expiration="0"))
    wire.quiet()
    wire.get(1, "ttl.dead")
    wire.call(1, Queue.Declare(0, "ttl.x", arguments={"x-expires": 100}))
    time.sleep(1)
    each(place, Queue.Declare(0, "ttl.x", passive=True))


@case
def dead_letters(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "d.dead"))
    wire.call(1, Queue.Declare(0, "d.back", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d.q", "x-message-ttl": 50}))
    wire.call(1, Queue.Declare(0, "d.q", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d.back"}))
    wire.publish(1, "amq.direct", "none")
    wire.call(1, Queue.Bind(0, "d.q", "amq.direct", "d.key"))
    wire.publish(1, "amq.direct", "d.key", b"round", BasicProperties(headers={"CC": ["cc.key"], "x": 1}))
    for _ in range(3):
        wire.quiet()
        answer = wire.get(1, "d.q", no_ack=False)
        wire.send(1, Basic.Reject(answer.delivery_tag, False))
    wire.quiet()
    wire.get(1, "d.q")
    wire.call(1, Queue.Declare(0, "d.same", arguments={"x-dead-letter-exchange": "amq.fanout"}))
    wire.call(1, Queue.Bind(0, "d.dead", "amq.fanout", ""))
    wire.publish(1, "", "d.same", b"own key", BasicProperties(headers={"BCC": ["hidden"]}, expiration="20"))
    wire.quiet()
    wire.get(1, "d.dead")
    wire.call(1, Queue.Unbind(0, "d.dead", "amq.fanout", ""))
    wire.call(1, Queue.Declare(0, "d.cycle", arguments={"x-dead-letter-exchange": "", "x-message-ttl": 20}))
    wire.publish(1, "", "d.cycle", b"for ever")
    wire.quiet()
    wire.get(1, "d.cycle")
    wire.call(1, Queue.Declare(0, "d.missing", arguments={"x-dead-letter-exchange": "d.none", "x-message-ttl": 20}))
    wire.publish(1, "", "d.missing", b"nowhere to go")
    wire.quiet()
    wire.get(1, "d.missing")


@case
def priorities(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "prio.q", arguments={"x-max-priority": 5}))
    for priority in (None, 1, 5, 9, 0, 3):
        wire.publish(1, "", "prio.q", b"%d" % (priority or 0), BasicProperties(priority=priority))
    wire.quiet()
    for _ in range(6):
        wire.get(1, "prio.q")


@case
def single_active_consumer(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "sac.q", arguments={"x-single-active-consumer": True}))
    wire.call(1, Basic.Consume(0, "sac.q", "first"))
    wire.call(1, Basic.Consume(0, "sac.q", "second"))
    each(place, Basic.Consume(0, "sac.q", exclusive=True))
    for number in range(2):
        wire.publish(1, "", "sac.q", b"%d" % number)
    wire.quiet()
    wire.call(1, Basic.Cancel("first"))
    wire.publish(1, "", "sac.q", b"next")
    wire.quiet()


@case
def consumer_priorities(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "cp.q"))
    wire.call(1, Basic.Qos(0, 1, False))
    wire.call(1, Basic.Consume(0, "cp.q", "low", arguments={"x-priority": -1}))
    wire.call(1, Basic.Consume(0, "cp.q", "high", arguments={"x-priority": 10}))
    for number in range(3):
        wire.publish(1, "", "cp.q", b"%d" % number)
        wire.quiet(0.2)
    wire.quiet()


@case
def direct_reply(place):
    wire = place.channel()
    wire.publish(1, "", "amq.direct", b"x", BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    wire.quiet()
    each(place, Basic.Consume(0, "amq.rabbitmq.reply-to"), Queue.Declare(0, "amq.rabbitmq.reply-to"),
         Queue.Declare(0, "amq.rabbitmq.reply-to", passive=True), Basic.Get(0, "amq.rabbitmq.reply-to"),
         Queue.Declare(0, "amq.rabbitmq.reply-to.nothing", passive=True), Queue.Delete(0, "amq.rabbitmq.reply-to"))
    wire = place.channel()
    wire.call(1, Basic.Consume(0, "amq.rabbitmq.reply-to", "r", no_ack=True))
    wire.call(1, Queue.Declare(0, "dr.q"))
    wire.publish(1, "", "dr.q", b"ask", BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="7"))
    wire.get(1, "dr.q")
    wire.call(1, Basic.Consume(0, "amq.rabbitmq.reply-to", "s", no_ack=True))
    wire = place.channel()
    wire.call(1, Basic.Consume(0, "amq.rabbitmq.reply-to", "r", no_ack=True))
    wire.call(1, Basic.Cancel("r"))
    wire.call(1, Basic.Consume(0, "amq.rabbitmq.reply-to", "r2", no_ack=True))


@case
def permissions(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "perm.q"))
    wire.call(1, Exchange.Declare(0, "perm.x", "topic"))
    for method in (Queue.Declare(0, "perm.new"), Queue.Declare(0, "perm.q", passive=True), Queue.Delete(0, "perm.q"), Queue.Purge(0, "perm.q"), Basic.Get(0, "perm.q"),
                   Basic.Consume(0, "perm.q"), Queue.Bind(0, "perm.q", "perm.x", "k"), Exchange.Declare(0, "perm.y", "fanout"), Exchange.Delete(0, "perm.x"),
                   Exchange.Bind(0, "perm.x", "amq.topic", "k"), Queue.Declare(0, "mine.q", arguments={"x-dead-letter-exchange": "perm.x"}),
                   Exchange.Declare(0, "mine.x", "direct", arguments={"alternate-exchange": "perm.x"}), Queue.Declare(0, "mine.q"),
                   Queue.Bind(0, "mine.q", "perm.x", "k"), Queue.Declare(0, "")):
        place.note(method)
        limited = place.channel(user="limited", password="limited")
        limited.call(1, method)
        limited.close()
    for exchange, key in (("perm.x", "k"), ("", "perm.q"), ("", "mine.q"), ("amq.topic", "allowed.k"), ("amq.topic", "denied.k")):
        place.note((exchange, key))
        limited = place.channel(user="limited", password="limited")
        limited.publish(1, exchange, key)
        limited.quiet()
        limited.close()
    for key in ("allowed.k", "denied.k", "allowed.#"):
        place.note(key)
        limited = place.channel(user="limited", password="limited")
        limited.call(1, Queue.Bind(0, "mine.q", "amq.topic", key))
        limited.close()


@case
def large_bodies(place):
    wire = place.channel(tune=(2047, 4096, 0))
    wire.call(1, Queue.Declare(0, "big.q"))
    body = bytes(range(256)) * 40
    wire.send(1, Basic.Publish(0, "", "big.q", False, False))
    wire.raw(frame.Header(1, len(body), BasicProperties()).marshal())
    for start in range(0, len(body), 4088):
        wire.raw(frame.Body(1, body[start:start + 4088]).marshal())
    wire.get(1, "big.q")
    wire.quiet()
    wire.publish(1, "", "big.q", b"")
    wire.get(1, "big.q")
    wire.send(1, Basic.Publish(0, "", "big.q", False, False))
    wire.raw(frame.Header(1, len(body), BasicProperties()).marshal())
    wire.raw(frame.Body(1, body).marshal())
    wire.quiet()


@case
def no_wait(place):
    wire = place.channel()
    wire.send(1, Queue.Declare(0, "nw.q", nowait=True))
    wire.send(1, Exchange.Declare(0, "nw.x", "fanout", nowait=True))
    wire.send(1, Queue.Bind(0, "nw.q", "nw.x", "", nowait=True))
    wire.send(1, Basic.Consume(0, "nw.q", "t", nowait=True))
    wire.publish(1, "nw.x", "", b"delivered")
    wire.quiet()
    wire.send(1, Basic.Cancel("t", nowait=True))
    wire.send(1, Queue.Purge(0, "nw.q", nowait=True))
    wire.send(1, Queue.Delete(0, "nw.q", nowait=True))
    wire.send(1, Exchange.Delete(0, "nw.x", nowait=True))
    wire.send(1, Confirm.Select(nowait=True))
    wire.send(1, Basic.Consume(0, "nw.none", "", nowait=True))
    wire.quiet()
