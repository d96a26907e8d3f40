"""More cases of frames: what is asked for rarely. They stand in the table of `frames` with the others."""
import struct
import time
from decimal import Decimal

from pika import frame
from pika.spec import Basic, BasicProperties, Channel, Confirm, Exchange, Queue, Tx

from frames import case, each
from wire import frame_of


def numbered(wire, queue, count, **properties):
    for number in range(count):
        wire.publish(1, "", queue, b"%d" % number, BasicProperties(**properties))


# -- declared again, differently

@case
def queue_arguments_inequivalent(place):
    wire = place.channel()
    values = {"x-expires": (60000, 70000), "x-message-ttl": (1000, 2000), "x-max-length": (1, 2), "x-max-length-bytes": (10, 20),
              "x-dead-letter-exchange": ("a", "b"), "x-max-priority": (1, 2), "x-overflow": ("drop-head", "reject-publish"), "x-queue-mode": ("lazy", "default"),
              "x-single-active-consumer": (True, False), "x-queue-type": ("classic", "quorum"), "x-queue-version": (1, 2), "x-queue-master-locator": ("random", "min-masters"),
              "mine": (1, "one"), "nested": ({"a": 1}, {"a": 2}), "listed": ([1, 2], [1]), "fraction": (Decimal("1.5"), Decimal("2.5")), "none": (None, 1)}
    for number, (key, (first, second)) in enumerate(values.items()):
        place.note(key)
        wire.call(1, Queue.Declare(0, f"ineq.{number}", durable=True, arguments={key: first}))
        each(place, Queue.Declare(0, f"ineq.{number}", durable=True, arguments={key: second}), Queue.Declare(0, f"ineq.{number}", durable=True),
             Queue.Declare(0, f"ineq.{number}", durable=True, arguments={key: first, "more": 1}), Queue.Declare(0, f"ineq.{number}", durable=True, arguments={key: [1]}),
             Queue.Declare(0, f"ineq.{number}", arguments={key: second}), Queue.Declare(0, f"ineq.{number}", durable=True, auto_delete=True, arguments={key: first}))
    wire.call(1, Queue.Declare(0, "ineq.dlx", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "k"}))
    each(place, Queue.Declare(0, "ineq.dlx", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "other"}),
         Queue.Declare(0, "ineq.dlx", arguments={"x-dead-letter-exchange": ""}))
    wire.call(1, Queue.Declare(0, "ineq.quorum", durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 5}))
    each(place, Queue.Declare(0, "ineq.quorum", durable=True), Queue.Declare(0, "ineq.quorum", durable=True, arguments={"x-queue-type": "classic"}),
         Queue.Declare(0, "ineq.quorum", durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 6}),
         Queue.Declare(0, "ineq.quorum", durable=True, arguments={"x-queue-type": "quorum"}), Queue.Declare(0, "ineq.quorum", passive=True))


@case
def equivalent_numbers(place):
    """The same number in another width."""
    def declare(kind, data, queue):
        table = b"\x0cx-max-length" + kind + data
        return frame_of(1, 1, struct.pack(">HHHB", 50, 10, 0, len(queue)) + queue + b"\x00" + struct.pack(">I", len(table)) + table)
    for number, (kind, data) in enumerate([(b"b", b"\x05"), (b"s", b"\x00\x05"), (b"I", b"\0\0\0\x05"), (b"l", b"\0" * 7 + b"\x05"), (b"B", b"\x05"), (b"u", b"\x00\x05"),
                                           (b"i", b"\0\0\0\x05"), (b"L", b"\0" * 7 + b"\x05"), (b"U", b"\x00\x05"), (b"D", b"\x00\0\0\0\x05"), (b"T", b"\0" * 7 + b"\x05"), (b"d", struct.pack(">d", 5))]):
        place.note((kind, number))
        wire = place.channel()
        wire.raw(declare(kind, data, b"width.%d" % number))
        wire.quiet()
        wire.close()
        each(place, Queue.Declare(0, f"width.{number}", arguments={"x-max-length": 5}), Queue.Declare(0, f"width.{number}", arguments={"x-max-length": 2 ** 33}))


@case
def exchange_arguments_inequivalent(place):
    wire = place.channel()
    wire.call(1, Exchange.Declare(0, "ineq.x", "direct", durable=True, arguments={"alternate-exchange": "amq.fanout", "mine": 1}))
    each(place, Exchange.Declare(0, "ineq.x", "direct", durable=True), Exchange.Declare(0, "ineq.x", "direct", durable=True, arguments={"alternate-exchange": "amq.direct"}),
         Exchange.Declare(0, "ineq.x", "direct", durable=True, arguments={"alternate-exchange": "amq.fanout"}),
         Exchange.Declare(0, "ineq.x", "direct", durable=True, arguments={"alternate-exchange": "amq.fanout", "mine": 2}),
         Exchange.Declare(0, "ineq.x", "topic"), Exchange.Declare(0, "ineq.x", "direct", arguments={"alternate-exchange": "amq.fanout"}),
         Exchange.Declare(0, "ineq.x", "direct", auto_delete=True, durable=True, internal=True), Exchange.Declare(0, "ineq.x", "x-delayed-message", durable=True, arguments={"x-delayed-type": "direct"}),
         Exchange.Declare(0, "ineq.y", "x-delayed-message", durable=True, arguments={"x-delayed-type": "direct"}), Exchange.Declare(0, "ineq.y", "x-consistent-hash"))


# -- exclusive, automatic, internal

@case
def exclusive_of_one_connection(place):
    wire = place.channel()
    wire.open(2)
    wire.call(1, Queue.Declare(0, "own.q", exclusive=True))
    wire.call(2, Queue.Declare(0, "own.q", passive=True))
    wire.call(2, Queue.Declare(0, "own.q", exclusive=True))
    wire.call(2, Queue.Declare(0, "own.q"))
    wire.open(3)
    wire.call(3, Queue.Declare(0, "own.q", exclusive=True, durable=True))
    wire.open(4)
    wire.call(4, Queue.Declare(0, "own.q", exclusive=True, auto_delete=True))
    wire.call(1, Basic.Consume(0, "own.q", "t"))
    each(place, Basic.Consume(0, "own.q", exclusive=True), Queue.Delete(0, "own.q", if_unused=True), Queue.Declare(0, "own.q", passive=True, exclusive=True))
    wire.call(1, Basic.Cancel("t"))
    wire.call(1, Queue.Delete(0, "own.q"))


@case
def automatic_deletion_of_exchanges(place):
    wire = place.channel()
    wire.call(1, Exchange.Declare(0, "ad.source", "fanout", auto_delete=True))
    wire.call(1, Exchange.Declare(0, "ad.middle", "fanout", auto_delete=True))
    wire.call(1, Queue.Declare(0, "ad.q"))
    wire.call(1, Exchange.Bind(0, "ad.middle", "ad.source", ""))
    wire.call(1, Queue.Bind(0, "ad.q", "ad.middle", ""))
    wire.publish(1, "ad.source", "", b"through")
    wire.get(1, "ad.q")
    wire.call(1, Queue.Delete(0, "ad.q"))
    each(place, Exchange.Declare(0, "ad.middle", "fanout", passive=True), Exchange.Declare(0, "ad.source", "fanout", passive=True))
    wire.call(1, Exchange.Declare(0, "ad.in", "fanout", internal=True))
    wire.call(1, Exchange.Bind(0, "ad.in", "amq.direct", "ad.key"))
    wire.call(1, Queue.Declare(0, "ad.p"))
    wire.call(1, Queue.Bind(0, "ad.p", "ad.in", ""))
    wire.publish(1, "amq.direct", "ad.key", b"into an internal one")
    wire.get(1, "ad.p")
    wire.call(1, Queue.Declare(0, "ad.dead", arguments={"x-dead-letter-exchange": "ad.in", "x-message-ttl": 10}))
    wire.publish(1, "", "ad.dead", b"dead into an internal one")
    wire.quiet()
    wire.get(1, "ad.p")
    each(place, Exchange.Delete(0, "ad.in", if_unused=True))
    wire.call(1, Exchange.Delete(0, "ad.in"))
    each(place, Exchange.Declare(0, "ad.never", "fanout", auto_delete=True), Exchange.Declare(0, "ad.never", "fanout", passive=True))


@case
def automatic_deletion_of_queues(place):
    for how in ("cancel", "channel", "connection", "delete"):
        place.note(how)
        wire = place.channel()
        wire.open(2)
        wire.call(2, Queue.Declare(0, "aq.q", auto_delete=True))
        wire.call(2, Basic.Consume(0, "aq.q", "t"))
        wire.publish(1, "", "aq.q", b"unacked")
        wire.quiet()
        if how == "cancel":
            wire.call(2, Basic.Cancel("t"))
        elif how == "channel":
            wire.call(2, Channel.Close(200, "", 0, 0))
        elif how == "connection":
            wire.close()
        else:
            place.channel().call(1, Queue.Delete(0, "aq.q"))
        if how != "connection":
            wire.quiet()
        time.sleep(0.5)
        each(place, Queue.Declare(0, "aq.q", passive=True))
    each(place, Queue.Declare(0, "aq.unused", auto_delete=True), Queue.Declare(0, "aq.unused", passive=True))


@case
def alternates_in_a_circle(place):
    wire = place.channel()
    wire.call(1, Exchange.Declare(0, "ring.a", "direct", arguments={"alternate-exchange": "ring.b"}))
    wire.call(1, Exchange.Declare(0, "ring.b", "direct", arguments={"alternate-exchange": "ring.c"}))
    wire.call(1, Exchange.Declare(0, "ring.c", "direct", arguments={"alternate-exchange": "ring.a"}))
    wire.publish(1, "ring.a", "nowhere", b"round", mandatory=True)
    wire.quiet()
    wire.call(1, Queue.Declare(0, "ring.q"))
    wire.call(1, Queue.Bind(0, "ring.q", "ring.c", "k"))
    wire.publish(1, "ring.a", "k", b"the third", mandatory=True)
    wire.get(1, "ring.q")
    wire.call(1, Exchange.Declare(0, "ring.default", "fanout", arguments={"alternate-exchange": ""}))
    wire.publish(1, "ring.default", "ring.q", b"to the default exchange", mandatory=True)
    wire.quiet()
    wire.get(1, "ring.q")


# -- limits and times

@case
def overflow(place):
    wire = place.channel()
    wire.call(1, Confirm.Select())
    wire.call(1, Queue.Declare(0, "of.dead"))
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "of.dead"}
    for name, more in (("of.r", {"x-overflow": "reject-publish"}), ("of.d", {"x-overflow": "reject-publish-dlx"}), ("of.h", {"x-overflow": "drop-head"})):
        for limit in ({"x-max-length": 1}, {"x-max-length-bytes": 3}, {"x-max-length": 0}, {"x-max-length": 2, "x-max-length-bytes": 3}):
            queue = f"{name}.{'.'.join(map(str, limit.values()))}.{len(limit)}"
            place.note((queue, limit, more))
            wire.call(1, Queue.Declare(0, queue, arguments=limit | more | dead))
            for body in (b"aa", b"b", b"cccc", b"d"):
                wire.publish(1, "", queue, body)
                wire.quiet(0.15)
            for _ in range(3):
                wire.get(1, queue)
            for _ in range(5):
                wire.get(1, "of.dead")
            wire.call(1, Queue.Delete(0, queue))
    place.note("one that refuses among others that take it")
    wire.call(1, Queue.Declare(0, "of.full", arguments={"x-max-length": 0, "x-overflow": "reject-publish"}))
    wire.call(1, Queue.Declare(0, "of.free"))
    for queue in ("of.full", "of.free"):
        wire.call(1, Queue.Bind(0, queue, "amq.direct", "of.both"))
    wire.publish(1, "amq.direct", "of.both", b"half", mandatory=True)
    wire.quiet()
    wire.get(1, "of.free")
    place.note("length 0 with a consumer")
    wire.call(1, Queue.Declare(0, "of.zero", arguments={"x-max-length": 0}))
    wire.call(1, Basic.Consume(0, "of.zero", "z"))
    wire.publish(1, "", "of.zero", b"straight through")
    wire.quiet()
    wire.send(1, Basic.Nack(1, False, True))
    wire.quiet()


@case
def length_with_unacknowledged(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "lu.q", arguments={"x-max-length": 2}))
    wire.call(1, Basic.Qos(0, 2, False))
    numbered(wire, "lu.q", 2)
    wire.call(1, Basic.Consume(0, "lu.q", "t"))
    numbered(wire, "lu.q", 4)
    wire.quiet()
    wire.call(1, Queue.Declare(0, "lu.q", passive=True, arguments={}))
    wire.call(1, Basic.Cancel("t"))
    wire.send(1, Basic.Nack(0, True, True))
    wire.quiet()
    for _ in range(4):
        wire.get(1, "lu.q")


@case
def expiry_at_the_head_only(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "eh.dead"))
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "eh.dead"}
    wire.call(1, Queue.Declare(0, "eh.q", arguments=dead))
    wire.publish(1, "", "eh.q", b"lives on")
    wire.publish(1, "", "eh.q", b"short", BasicProperties(expiration="20"))
    wire.quiet()
    wire.get(1, "eh.dead")
    wire.call(1, Queue.Declare(0, "eh.q", passive=True))
    wire.get(1, "eh.q")
    wire.quiet()
    wire.get(1, "eh.dead")
    place.note("the smaller of both")
    wire.call(1, Queue.Declare(0, "eh.both", arguments=dead | {"x-message-ttl": 20}))
    wire.publish(1, "", "eh.both", b"of the queue", BasicProperties(expiration="60000"))
    wire.quiet()
    wire.get(1, "eh.dead")
    place.note("0 with a consumer")
    wire.call(1, Queue.Declare(0, "eh.zero", arguments=dead | {"x-message-ttl": 0}))
    wire.publish(1, "", "eh.zero", b"nobody there")
    wire.quiet()
    wire.get(1, "eh.dead")
    wire.call(1, Basic.Consume(0, "eh.zero", "t"))
    wire.publish(1, "", "eh.zero", b"somebody there")
    wire.quiet()
    wire.send(1, Basic.Nack(wire.method.delivery_tag, False, True))
    wire.quiet()
    place.note("while it is out")
    wire.call(1, Queue.Declare(0, "eh.out", arguments=dead | {"x-message-ttl": 100}))
    wire.publish(1, "", "eh.out", b"out")
    answer = wire.get(1, "eh.out", no_ack=False)
    time.sleep(0.3)
    wire.send(1, Basic.Nack(answer.delivery_tag, False, True))
    wire.quiet()
    wire.get(1, "eh.out")
    wire.get(1, "eh.dead")


@case
def unused_queues(place):
    wire = place.channel()
    for name in ("un.used", "un.got", "un.declared"):
        wire.call(1, Queue.Declare(0, name, arguments={"x-expires": 400}))
    wire.call(1, Basic.Consume(0, "un.used", "t"))
    for _ in range(4):
        time.sleep(0.2)
        wire.get(1, "un.got")
        wire.call(1, Queue.Declare(0, "un.declared", arguments={"x-expires": 400}))
    wire.call(1, Queue.Declare(0, "un.used", passive=True))
    wire.call(1, Basic.Cancel("t"))
    time.sleep(1)
    each(place, *[Queue.Declare(0, name, passive=True) for name in ("un.used", "un.got", "un.declared")])


# -- dead letters

@case
def deaths_in_order(place):
    """Three queues in a ring, by three causes: the order and the counts of x-death."""
    wire = place.channel()
    wire.call(1, Exchange.Declare(0, "death.x", "topic"))
    to = {"x-dead-letter-exchange": "death.x"}
    wire.call(1, Queue.Declare(0, "death.reject", arguments=to | {"x-dead-letter-routing-key": "to.expire"}))
    wire.call(1, Queue.Declare(0, "death.expire", arguments=to | {"x-dead-letter-routing-key": "to.full", "x-message-ttl": 30}))
    wire.call(1, Queue.Declare(0, "death.full", arguments=to | {"x-dead-letter-routing-key": "to.reject", "x-max-length": 0}))
    for name in ("reject", "expire", "full"):
        wire.call(1, Queue.Bind(0, f"death.{name}", "death.x", f"to.{name}"))
    wire.publish(1, "death.x", "to.reject", b"round and round", BasicProperties(headers={"mine": "kept", "CC": ["to.nowhere"], "BCC": ["hidden"]}, expiration="50000", delivery_mode=2, message_id="m"))
    for _ in range(3):
        wire.quiet()
        answer = wire.get(1, "death.reject", no_ack=False)
        if isinstance(answer, Basic.GetOk):
            wire.send(1, Basic.Nack(answer.delivery_tag, False, False))
    wire.quiet()
    wire.get(1, "death.reject")


@case
def deaths_claimed_by_clients(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "claim.dead"))
    wire.call(1, Queue.Declare(0, "claim.q", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "claim.dead", "x-message-ttl": 10}))
    for headers in ({"x-death": "text"}, {"x-death": []}, {"x-death": [{"queue": "claim.q", "reason": "expired", "count": 5}]}, {"x-death": [{"queue": "other", "reason": "rejected", "count": 2, "exchange": "e"}]},
                    {"x-death": [1, 2]}, {"x-first-death-queue": "mine"}, {"x-death": [{"queue": "claim.q", "reason": "expired"}]}, {"CC": ["claim.dead"]}, None):
        place.note(repr(headers))
        wire.publish(1, "", "claim.q", b"x", BasicProperties(headers=headers))
        wire.quiet()
        wire.get(1, "claim.dead")
        wire.get(1, "claim.dead")


@case
def dead_letters_in_circles(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "circ.a", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "circ.b", "x-message-ttl": 20}))
    wire.call(1, Queue.Declare(0, "circ.b", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "circ.a", "x-message-ttl": 20}))
    wire.publish(1, "", "circ.a", b"expires in both")
    wire.quiet()
    for queue in ("circ.a", "circ.b"):
        wire.get(1, queue)
    wire.call(1, Queue.Declare(0, "circ.self", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "circ.self"}))
    wire.publish(1, "", "circ.self", b"rejected into itself")
    for _ in range(3):
        answer = wire.get(1, "circ.self", no_ack=False)
        if isinstance(answer, Basic.GetOk):
            wire.send(1, Basic.Reject(answer.delivery_tag, False))
        wire.quiet()
    wire.get(1, "circ.self")
    wire.call(1, Queue.Declare(0, "circ.max", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "circ.max", "x-max-length": 1}))
    for number in range(3):
        wire.publish(1, "", "circ.max", b"%d" % number)
    wire.quiet()
    for _ in range(3):
        wire.get(1, "circ.max")


# -- consumers

@case
def turns_of_consumers(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "turn.q"))
    for tag in ("a", "b", "c"):
        wire.call(1, Basic.Consume(0, "turn.q", tag, no_ack=True))
    for number in range(7):
        wire.publish(1, "", "turn.q", b"%d" % number)
        wire.quiet(0.1)
    wire.call(1, Basic.Cancel("b"))
    for number in range(3):
        wire.publish(1, "", "turn.q", b"%d" % number)
        wire.quiet(0.1)


@case
def priorities_of_consumers(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "rank.q"))
    wire.call(1, Basic.Qos(0, 1, False))
    for tag, priority in (("none", None), ("low", -5), ("high", 5), ("higher", 9), ("alike", 5)):
        wire.call(1, Basic.Consume(0, "rank.q", tag, arguments={} if priority is None else {"x-priority": priority}))
    for number in range(7):
        wire.publish(1, "", "rank.q", b"%d" % number)
        wire.quiet(0.15)
    wire.send(1, Basic.Ack(1))
    wire.quiet()
    each(place, *[Basic.Consume(0, "rank.q", arguments={"x-priority": value}) for value in (2 ** 40, -2 ** 31, Decimal("1.5"), None, True, "1", [1])])


@case
def the_active_consumer_changes(place):
    wire = place.channel()
    wire.open(2, 3)
    wire.call(1, Queue.Declare(0, "act.q", arguments={"x-single-active-consumer": True}))
    for channel, tag in ((1, "first"), (2, "second"), (3, "third")):
        wire.call(channel, Basic.Consume(0, "act.q", tag, arguments={"x-priority": channel}))
    numbered(wire, "act.q", 3)
    wire.quiet()
    wire.call(1, Channel.Close(200, "", 0, 0))
    wire.quiet()
    # whether the answer comes before the next consumer's deliveries is left to chance
    wire.log.remove("1: Channel.CloseOk {}")
    wire.open(1)
    numbered(wire, "act.q", 1)
    wire.quiet()
    wire.send(2, Basic.Ack(0, True))
    wire.call(2, Basic.Cancel("second"))
    numbered(wire, "act.q", 1)
    wire.quiet()
    each(place, Basic.Get(0, "act.q"), Basic.Consume(0, "act.q", "x", exclusive=True))
    other = place.channel()
    other.call(1, Queue.Declare(0, "act.quorum", durable=True, arguments={"x-single-active-consumer": True, "x-queue-type": "quorum"}))
    for tag in ("first", "second"):
        other.call(1, Basic.Consume(0, "act.quorum", tag))
    other.publish(1, "", "act.quorum", b"0")
    other.quiet()
    other.send(1, Basic.Ack(1))
    other.call(1, Basic.Cancel("first"))
    other.publish(1, "", "act.quorum", b"1")
    other.quiet()


@case
def cancelled_by_the_server(place):
    for capabilities in ({"consumer_cancel_notify": True}, {"consumer_cancel_notify": False}, {}):
        place.note(capabilities)
        wire = place.wire(client={"capabilities": capabilities}).open(1)
        wire.call(1, Queue.Declare(0, "gone.q"))
        wire.call(1, Basic.Consume(0, "gone.q", "t"))
        wire.publish(1, "", "gone.q", b"out")
        wire.quiet()
        other = place.channel()
        other.call(1, Queue.Delete(0, "gone.q"))
        wire.quiet()
        wire.send(1, Basic.Ack(1))
        wire.quiet()
        wire.call(1, Basic.Qos(0, 1, False))
        wire.close()


@case
def tags_of_consumers(place):
    wire = place.channel()
    wire.open(2)
    wire.call(1, Queue.Declare(0, "tag.q"))
    wire.call(1, Basic.Consume(0, "tag.q", "same"))
    wire.call(2, Basic.Consume(0, "tag.q", "same"))
    wire.call(1, Basic.Cancel("same"))
    wire.call(1, Basic.Consume(0, "tag.q", "same"))
    wire.call(2, Basic.Cancel("other"))
    wire.call(1, Basic.Consume(0, "tag.q", "t" * 255))
    wire.call(1, Basic.Consume(0, "tag.q", "ü"))
    wire.call(1, Basic.Consume(0, "", ""))


@case
def prefetch_of_a_channel(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "pc.q"))
    wire.call(1, Queue.Declare(0, "pc.r"))
    wire.call(1, Basic.Qos(0, 3, True))
    wire.call(1, Basic.Qos(0, 2, False))
    wire.call(1, Basic.Consume(0, "pc.q", "q"))
    wire.call(1, Basic.Consume(0, "pc.r", "r"))
    for queue, count in (("pc.q", 3), ("pc.r", 1)):
        numbered(wire, queue, count)
        wire.quiet()
    wire.call(1, Basic.Qos(0, 5, True))
    wire.quiet()
    wire.call(1, Basic.Qos(0, 0, True))
    wire.quiet()
    wire.send(1, Basic.Ack(0, True))
    wire.quiet()


# -- settlements

@case
def recovery(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "rec.q"))
    numbered(wire, "rec.q", 4)
    wire.call(1, Basic.Qos(0, 2, False))
    wire.call(1, Basic.Consume(0, "rec.q", "t"))
    wire.quiet()
    wire.call(1, Basic.Recover(True))
    wire.quiet()
    wire.send(1, Basic.Nack(0, True, True))
    wire.quiet()
    wire.send(1, Basic.Nack(0, True, False))
    wire.quiet()
    wire.send(1, Basic.Ack(0, True))
    wire.quiet()
    wire.send(1, Basic.Ack(0, True))
    wire.quiet()
    wire.call(1, Basic.Recover(True))
    other = place.channel()
    other.call(1, Basic.Recover(False))
    other.quiet()


@case
def transactions_with_settlements(place):
    wire = place.channel()
    wire.open(2)
    wire.call(1, Queue.Declare(0, "ts.q", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "ts.dead"}))
    wire.call(1, Queue.Declare(0, "ts.dead"))
    numbered(wire, "ts.q", 4)
    wire.quiet()
    wire.call(2, Tx.Select())
    for _ in range(4):
        wire.get(2, "ts.q", no_ack=False)
    wire.send(2, Basic.Ack(1))
    wire.send(2, Basic.Reject(2, False))
    wire.send(2, Basic.Nack(3, False, True))
    wire.publish(2, "", "ts.q", b"published inside")
    wire.quiet()
    wire.call(1, Queue.Declare(0, "ts.q", passive=True))
    wire.call(1, Queue.Declare(0, "ts.dead", passive=True))
    wire.call(2, Tx.Commit())
    wire.quiet()
    wire.call(1, Queue.Declare(0, "ts.q", passive=True))
    wire.get(1, "ts.dead")
    wire.send(2, Basic.Ack(4))
    wire.call(2, Tx.Rollback())
    wire.send(2, Basic.Ack(4))
    wire.call(2, Tx.Commit())
    wire.send(2, Basic.Ack(4))
    wire.call(2, Tx.Commit())
    other = place.channel()
    other.call(1, Tx.Select())
    other.publish(1, "", "ts.none", b"returned at commit", mandatory=True)
    other.publish(1, "", "ts.q", b"routed", mandatory=True)
    other.quiet()
    other.call(1, Tx.Commit())
    other.quiet()
    other.send(1, Basic.Ack(99))
    other.quiet()
    another = place.channel()
    another.call(1, Tx.Select())
    another.publish(1, "", "ts.q", b"lost with the channel")
    another.call(1, Channel.Close(200, "", 0, 0))
    wire.get(1, "ts.q")
    wire.get(1, "ts.q")
    wire.get(1, "ts.q")


@case
def confirms_and_returns(place):
    wire = place.channel()
    wire.call(1, Confirm.Select())
    wire.call(1, Queue.Declare(0, "cr.q", durable=True))
    for number in range(4):
        wire.publish(1, "", "cr.q" if number % 2 else "cr.none", b"%d" % number, BasicProperties(delivery_mode=2), mandatory=True)
        wire.quiet(0.2)
    wire.publish(1, "amq.fanout", "", b"no binding", mandatory=True)
    wire.quiet()
    wire.publish(1, "cr.missing", "k", b"no exchange")
    wire.quiet()
    wire.send(1, Channel.CloseOk())
    wire.open(1)
    wire.call(1, Confirm.Select())
    wire.publish(1, "", "cr.q", b"first of the new channel")
    wire.quiet()


@case
def claims_of_users(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "user.q"))
    wire.publish(1, "", "user.q", b"own", BasicProperties(user_id="guest"))
    wire.get(1, "user.q")
    wire.publish(1, "", "user.q", b"nobody", BasicProperties(user_id=""))
    wire.quiet()


# -- priorities of messages

@case
def many_priorities(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "mp.q", arguments={"x-max-priority": 255}))
    for priority in (0, 255, 128, 1, 254, None, 200):
        wire.publish(1, "", "mp.q", str(priority).encode(), BasicProperties(priority=priority))
    wire.quiet()
    answer = wire.get(1, "mp.q", no_ack=False)
    other = wire.get(1, "mp.q", no_ack=False)
    wire.send(1, Basic.Nack(answer.delivery_tag, False, True))
    wire.send(1, Basic.Nack(other.delivery_tag, False, True))
    wire.quiet()
    for _ in range(8):
        wire.get(1, "mp.q")
    place.note("which one goes when there are too many")
    wire.call(1, Queue.Declare(0, "mp.limited", arguments={"x-max-priority": 5, "x-max-length": 3}))
    for number, priority in enumerate((5, 1, 3, 1, 5, 0)):
        wire.publish(1, "", "mp.limited", b"%d of %d" % (number, priority), BasicProperties(priority=priority))
    wire.quiet()
    for _ in range(4):
        wire.get(1, "mp.limited")
    place.note("times to live by priority")
    wire.call(1, Queue.Declare(0, "mp.ttl", arguments={"x-max-priority": 5}))
    wire.publish(1, "", "mp.ttl", b"high stays", BasicProperties(priority=5))
    wire.publish(1, "", "mp.ttl", b"low goes", BasicProperties(priority=1, expiration="20"))
    wire.quiet()
    wire.call(1, Queue.Declare(0, "mp.ttl", passive=True))


# -- direct reply-to

@case
def direct_reply_answers(place):
    asker, server = place.channel(), place.channel()
    asker.call(1, Basic.Consume(0, "amq.rabbitmq.reply-to", "r", no_ack=True))
    server.call(1, Queue.Declare(0, "rpc.q"))
    asker.publish(1, "", "rpc.q", b"ask", BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="7"), mandatory=True)
    asker.quiet()
    server.call(1, Basic.Get(0, "rpc.q", no_ack=True))
    server.quiet()
    raw = Listener(place)
    asker.publish(1, "", raw.queue, b"ask", BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    address = raw.address()
    place.note(bool(address) and address.startswith("amq.rabbitmq.reply-to."))
    server.quiet()
    server.call(1, Queue.Declare(0, address, passive=True))
    server.publish(1, "", address, b"answer", BasicProperties(correlation_id="7", headers={"a": 1}), mandatory=True)
    server.quiet()
    asker.quiet()
    server.publish(1, "", address + "x", b"wrong", mandatory=True)
    server.quiet()
    server.publish(1, "amq.direct", address, b"not through another exchange", mandatory=True)
    server.quiet()
    asker.call(1, Channel.Close(200, "", 0, 0))
    server.publish(1, "", address, b"too late", mandatory=True)
    server.quiet()
    server.call(1, Queue.Declare(0, address, passive=True))


class Listener:
    """A queue that is read without a log, to learn the address of a direct reply."""

    def __init__(self, place):
        from wire import Wire
        self.wire = Wire(place.port, []).open(1)
        self.queue = self.wire.call(1, Queue.Declare(0, "", exclusive=True)).queue

    def address(self):
        for _ in range(20):
            if isinstance(self.wire.call(1, Basic.Get(0, self.queue, no_ack=True)), Basic.GetOk):
                seen = []
                hear = self.wire.hear
                self.wire.hear = lambda found: seen.append(found)
                self.wire.read(2)
                self.wire.hear = hear
                return seen[0].properties.reply_to
            time.sleep(0.05)
        return None


# -- tables

KINDS = {
    b"t": b"\x01", b"b": b"\xff", b"B": b"\xff", b"s": b"\xff\xfe", b"u": b"\xff\xfe", b"I": b"\xff\xff\xff\xfe", b"i": b"\xff\xff\xff\xfe", b"l": b"\xff" * 8,
    b"L": b"\x00" * 8, b"U": b"\x00\x01", b"f": struct.pack(">f", 1.5), b"d": struct.pack(">d", 1.5), b"D": b"\x02" + struct.pack(">I", 12345), b"S": b"\x00\x00\x00\x02ab",
    b"x": b"\x00\x00\x00\x02\x00\xff", b"A": b"\x00\x00\x00\x02t\x01", b"T": b"\x00" * 7 + b"\x05", b"F": b"\x00\x00\x00\x04\x01at\x01", b"V": b"", b"z": b"",
}


def header_frame(table, size=1):
    return frame_of(2, 1, struct.pack(">HHQH", 60, 0, size, 0x2000) + struct.pack(">I", len(table)) + table)


@case
def kinds_of_fields(place):
    """Every kind in a message's headers, in a queue's arguments and in those of a binding to amq.headers."""
    for kind, data in KINDS.items():
        place.note(kind)
        table = b"\x01k" + kind + data
        wire = place.channel()
        queue = b"kind." + kind.hex().encode()
        wire.call(1, Queue.Declare(0, queue.decode(), exclusive=True))
        wire.raw(frame_of(1, 1, struct.pack(">HHHB", 50, 20, 0, len(queue)) + queue + b"\x0bamq.headers\x01k\x00" + struct.pack(">I", len(table)) + table))
        wire.quiet(0.2)
        wire.raw(frame.Method(1, Basic.Publish(0, "amq.headers", "k", True, False)).marshal() + header_frame(table) + frame_of(3, 1, b"x"))
        wire.quiet(0.2)
        wire.get(1, queue.decode())
        wire.close()
    wire = place.channel()
    for table in (b"\x00t\x01", b"\x01kt\x01\x01kt\x00", b"\x01bS\x00\x00\x00\x01\xff", b"\xc3" + b"a" * 195 + b"t\x01"):
        place.note(table[:10])
        wire = place.channel()
        wire.call(1, Queue.Declare(0, "kind.more"))
        wire.raw(frame.Method(1, Basic.Publish(0, "", "kind.more", True, False)).marshal() + header_frame(table) + frame_of(3, 1, b"x"))
        wire.quiet(0.2)
        wire.get(1, "kind.more")
        wire.close()


@case
def headers_of_equal_numbers(place):
    """Numbers of different widths against each other in a headers exchange."""
    numbers = {b"b": b"\x01", b"s": b"\0\x01", b"I": b"\0\0\0\x01", b"l": b"\0" * 7 + b"\x01", b"d": struct.pack(">d", 1), b"f": struct.pack(">f", 1), b"T": b"\0" * 7 + b"\x01", b"S": b"\0\0\0\x011", b"t": b"\x01"}
    wire = place.channel()
    for kind, data in numbers.items():
        table, queue = b"\x01n" + kind + data, b"num." + kind
        wire.call(1, Queue.Declare(0, queue.decode(), exclusive=True))
        wire.raw(frame_of(1, 1, struct.pack(">HHHB", 50, 20, 0, len(queue)) + queue + b"\x0bamq.headers\x00\x00" + struct.pack(">I", len(table)) + table))
        wire.quiet(0.2)
    for kind, data in numbers.items():
        wire.raw(frame.Method(1, Basic.Publish(0, "amq.headers", "", True, False)).marshal() + header_frame(b"\x01n" + kind + data) + frame_of(3, 1, kind))
    wire.quiet()
    for kind in numbers:
        place.note(kind)
        for _ in range(4):
            wire.get(1, "num." + kind.decode())


# -- the connection

@case
def names_of_virtual_hosts(place):
    for vhost in ("/", "other", "a/b", "/none", "ü"):
        place.note(vhost)
        place.wire(vhost=vhost).close()
    place.wire(vhost="other", user="guest").close()


@case
def amqplain(place):
    def login(table):
        return struct.pack(">HH", 10, 11) + struct.pack(">I", 0) + b"\x08AMQPLAIN" + struct.pack(">I", len(table)) + table + b"\x05en_US"
    def text(key, value):
        return bytes([len(key)]) + key + b"S" + struct.pack(">I", len(value)) + value
    for name, table in {"good": text(b"LOGIN", b"guest") + text(b"PASSWORD", b"guest"), "other order": text(b"PASSWORD", b"guest") + text(b"LOGIN", b"guest"),
                        "bad": text(b"LOGIN", b"guest") + text(b"PASSWORD", b"no"), "incomplete": text(b"LOGIN", b"guest")}.items():
        place.note(name)
        wire = place.wire(begin=False)
        wire.begin()
        wire.raw(frame_of(1, 0, login(table)))
        wire.quiet(4 if name != "good" and name != "other order" else 0.4)
        wire.close()


@case
def frames_of_every_size(place):
    for size in (4096, 5000, 131072):
        wire = place.wire(tune=(2047, size, 0)).open(1)
        wire.call(1, Queue.Declare(0, f"size.{size}"))
        body = b"y" * (size - 8)
        wire.raw(frame.Method(1, Basic.Publish(0, "", f"size.{size}", False, False)).marshal() + frame.Header(1, len(body), BasicProperties()).marshal() + frame.Body(1, body).marshal())
        wire.quiet()
        wire.call(1, Queue.Declare(0, f"size.{size}", passive=True))
        wire.raw(frame.Method(1, Basic.Publish(0, "", f"size.{size}", False, False)).marshal() + frame.Header(1, len(body) + 1, BasicProperties()).marshal() + frame.Body(1, body + b"z").marshal())
        wire.quiet()
        wire.close()
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "size.pieces"))
    wire.raw(frame.Method(1, Basic.Publish(0, "", "size.pieces", False, False)).marshal() + frame.Header(1, 4, BasicProperties()).marshal()
             + frame_of(3, 1, b"") + frame_of(3, 1, b"ab") + frame_of(8, 0, b"") + frame_of(3, 1, b"") + frame_of(3, 1, b"cd"))
    wire.get(1, "size.pieces")
    wire.open(2)
    wire.raw(frame.Method(1, Basic.Publish(0, "", "size.pieces", False, False)).marshal() + frame.Header(1, 2, BasicProperties()).marshal() + frame_of(3, 1, b"a"))
    wire.call(2, Queue.Declare(0, "size.pieces", passive=True))
    wire.raw(frame_of(3, 1, b"b"))
    wire.get(1, "size.pieces")
    wire.raw(frame.Method(1, Basic.Publish(0, "", "size.pieces", False, False)).marshal())
    wire.call(1, Channel.Close(200, "in the middle", 0, 0))
    wire.quiet()


@case
def channels_reused(place):
    wire = place.wire()
    for _ in range(3):
        wire.call(1, Channel.Open())
        wire.call(1, Queue.Declare(0, "re.none", passive=True))
        wire.send(1, Channel.CloseOk())
    wire.call(1, Channel.Open())
    wire.call(1, Queue.Declare(0, "re.none", passive=True))
    wire.send(1, Basic.Qos(0, 1, False))
    wire.publish(1, "", "re.none", b"ignored while it closes")
    wire.call(1, Channel.Close(200, "", 0, 0))
    wire.quiet()
