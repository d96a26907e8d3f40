"""More cases of frames: what changes under those who work. Policies over queues that hold messages, people and virtual hosts that go."""
import time

from pika.spec import Basic, BasicProperties, Channel, Exchange, Queue, Tx

from frames import case, each


def numbered(wire, queue, count, start=0):
    for number in range(start, start + count):
        wire.publish(1, "", queue, b"%d" % number)
    wire.quiet()


def drained(wire, queue, count):
    for _ in range(count):
        wire.get(1, queue)


def policy(place, pattern, definition, kind="policies", **more):
    place.ask("PUT", f"/api/{kind}/%2f/{pattern}", {"pattern": f"^{pattern}", "definition": definition} | more)


def without(place, pattern, kind="policies"):
    place.ask("DELETE", f"/api/{kind}/%2f/{pattern}")


@case
def limits_that_come_late(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "dead-ll"))
    wire.call(1, Queue.Declare(0, "ll.q", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead-ll"}))
    numbered(wire, "ll.q", 6)
    for definition in ({"max-length": 4, "overflow": "reject-publish"}, {"max-length": 3, "overflow": "reject-publish"}, {"max-length": 2},
                       {"max-length": 1, "overflow": "reject-publish-dlx"}, {"max-length-bytes": 3}, {"overflow": "reject-publish"}):
        policy(place, "ll.", definition)
        wire.call(1, Queue.Declare(0, "ll.q", passive=True))
        numbered(wire, "ll.q", 2, 10)
        wire.call(1, Queue.Declare(0, "ll.q", passive=True))
        wire.call(1, Queue.Declare(0, "dead-ll", passive=True))
    without(place, "ll.")
    drained(wire, "ll.q", 6)
    drained(wire, "dead-ll", 9)


@case
def times_that_come_late(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "dead-lt"))
    for queue in ("lt.q", "lt.unused"):
        wire.call(1, Queue.Declare(0, queue))
    numbered(wire, "lt.q", 3)
    policy(place, "lt.q", {"message-ttl": 100, "dead-letter-exchange": "", "dead-letter-routing-key": "dead-lt"})
    wire.call(1, Queue.Declare(0, "lt.q", passive=True))
    numbered(wire, "lt.q", 2, 10)
    time.sleep(0.5)
    drained(wire, "lt.q", 4)
    drained(wire, "dead-lt", 3)
    policy(place, "lt.q", {"message-ttl": 60000})
    numbered(wire, "lt.q", 1, 20)
    policy(place, "lt.q", {"message-ttl": 50})
    wire.call(1, Queue.Declare(0, "lt.q", passive=True))
    without(place, "lt.q")
    policy(place, "lt.unused", {"expires": 200})
    time.sleep(0.7)
    each(place, Queue.Declare(0, "lt.unused", passive=True))
    without(place, "lt.unused")


@case
def ways_out_by_policy(place):
    wire = place.channel()
    for queue in ("out-a", "out-b", "wo.none"):
        wire.call(1, Queue.Declare(0, queue))
    wire.call(1, Queue.Declare(0, "wo.both", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "out-a"}))
    wire.call(1, Queue.Declare(0, "wo.half", arguments={"x-dead-letter-exchange": ""}))
    for definition in ({"dead-letter-exchange": "", "dead-letter-routing-key": "out-b"}, {"dead-letter-routing-key": "out-b"}, {"dead-letter-exchange": "missing"}):
        policy(place, "wo.", definition)
        for queue in ("wo.both", "wo.half", "wo.none"):
            wire.publish(1, "", queue, queue.encode())
            wire.send(1, Basic.Reject(wire.get(1, queue, no_ack=False).delivery_tag, False))
            wire.quiet()
        drained(wire, "out-a", 2)
        drained(wire, "out-b", 4)
    without(place, "wo.")
    for exchange, arguments in (("wx.plain", {}), ("wx.own", {"alternate-exchange": "amq.fanout"})):
        wire.call(1, Exchange.Declare(0, exchange, "direct", arguments=arguments))
    wire.call(1, Exchange.Declare(0, "out-x", "fanout"))
    wire.call(1, Queue.Bind(0, "out-a", "out-x", ""))
    policy(place, "wx.", {"alternate-exchange": "out-x"})
    for exchange in ("wx.plain", "wx.own"):
        wire.publish(1, exchange, "nowhere", exchange.encode(), mandatory=True)
        wire.quiet()
    drained(wire, "out-a", 2)
    without(place, "wx.")
    wire.publish(1, "wx.plain", "nowhere", b"no way", mandatory=True)
    wire.quiet()


@case
def the_least_of_argument_policy_and_operator(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "lo.q", arguments={"x-max-length": 5, "x-message-ttl": 60000}))
    policy(place, "lo.q", {"max-length": 3, "message-ttl": 100000})
    numbered(wire, "lo.q", 8)
    wire.call(1, Queue.Declare(0, "lo.q", passive=True))
    policy(place, "lo.q", {"max-length": 2, "message-ttl": 200}, "operator-policies", **{"apply-to": "queues"})
    wire.call(1, Queue.Declare(0, "lo.q", passive=True))
    without(place, "lo.q")
    without(place, "lo.q", "operator-policies")
    numbered(wire, "lo.q", 7)
    wire.call(1, Queue.Declare(0, "lo.q", passive=True))


@case
def priorities_with_limits(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "pw.dead"))
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "pw.dead", "x-max-priority": 3}
    for number, limits in enumerate(({"x-max-length": 2}, {"x-max-length-bytes": 7}, {"x-max-length": 2, "x-overflow": "reject-publish"}, {"x-max-length": 2, "x-overflow": "reject-publish-dlx"})):
        queue = f"pw.{number}"
        place.note(limits)
        wire.call(1, Queue.Declare(0, queue, arguments=dead | limits))
        for priority in (3, 0, 2, 1, 3):
            wire.publish(1, "", queue, b"of %d" % priority, BasicProperties(priority=priority))
            # an answer between two of them: each is dealt with by itself
            wire.call(1, Basic.Qos(0, 0, False))
        drained(wire, queue, 6)
        drained(wire, "pw.dead", 6)
    wire.call(1, Queue.Declare(0, "pw.back", arguments={"x-max-priority": 3}))
    for priority in (0, 1, 2, 3, 0, 1):
        wire.publish(1, "", "pw.back", b"of %d" % priority, BasicProperties(priority=priority))
    wire.quiet()
    wire.call(1, Basic.Qos(0, 4, False))
    wire.call(1, Basic.Consume(0, "pw.back", "t"))
    wire.quiet()
    wire.send(1, Basic.Nack(2, True, True))
    wire.quiet()
    wire.call(1, Basic.Cancel("t"))
    wire.send(1, Basic.Nack(0, True, True))
    wire.quiet()
    drained(wire, "pw.back", 7)


@case
def settled_before(place):
    """Several at once up to a delivery that is settled already, or that was never out."""
    for first, then in (((3, False), 3), ((3, True), 2), ((2, True), 6), ((2, False), 4), ((0, True), 0), ((5, True), 5)):
        for kind in (Basic.Ack, Basic.Nack):
            place.note((kind.NAME, first, then))
            wire = place.channel()
            queue = wire.call(1, Queue.Declare(0, "", exclusive=True)).queue
            numbered(wire, queue, 5)
            wire.call(1, Basic.Consume(0, queue, "t"))
            wire.quiet()
            more = {"requeue": False} if kind is Basic.Nack else {}
            wire.send(1, kind(first[0], first[1], **more))
            wire.send(1, kind(then, True, **more))
            wire.quiet()
            wire.close()


@case
def returned_by_two_channels(place):
    wire = place.channel()
    wire.open(2, 3)
    wire.call(1, Queue.Declare(0, "rt.q"))
    numbered(wire, "rt.q", 9)
    for channel in (2, 3):
        wire.call(channel, Basic.Qos(0, 3, False))
        wire.call(channel, Basic.Consume(0, "rt.q", f"t{channel}"))
        wire.quiet()
    for channel in (3, 2):
        wire.call(channel, Basic.Cancel(f"t{channel}"))
    wire.send(3, Basic.Nack(0, True, True))
    wire.quiet()
    wire.send(2, Basic.Nack(2, True, True))
    wire.quiet()
    drained(wire, "rt.q", 3)
    wire.call(2, Channel.Close(200, "", 0, 0))
    wire.quiet()
    drained(wire, "rt.q", 8)


@case
def copies_and_returns(place):
    wire = place.channel()
    for queue in ("cw.a", "cw.b"):
        wire.call(1, Queue.Declare(0, queue))
    for headers in ({"CC": ["cw.b", "cw.b", "none"]}, {"CC": []}, {"BCC": ["cw.b"]}, {"CC": ["cw.a"]}, {"CC": ["none"], "BCC": ["nobody"]}):
        for key in ("cw.a", "nowhere"):
            place.note((key, headers))
            wire.publish(1, "", key, b"x", BasicProperties(headers=headers), mandatory=True)
            wire.quiet()
            drained(wire, "cw.a", 3)
            drained(wire, "cw.b", 3)


@case
def what_was_not_asked_for(place):
    wire = place.channel()
    wire.send(1, Channel.FlowOk(True))
    wire.quiet()


@case
def people_and_places_that_go(place):
    anything = {"configure": ".*", "write": ".*", "read": ".*"}
    place.ask("PUT", "/api/users/leaver", {"password": "leaver", "tags": ""})
    place.ask("PUT", "/api/permissions/%2f/leaver", anything)
    wire = place.channel(user="leaver", password="leaver")
    wire.call(1, Queue.Declare(0, "pg.q"))
    place.ask("PUT", "/api/users/leaver", {"password": "another", "tags": ""})
    wire.call(1, Queue.Declare(0, "pg.q"))
    place.wire(user="leaver", password="leaver")
    place.ask("DELETE", "/api/permissions/%2f/leaver")
    place.wire(user="leaver", password="another")
    place.ask("DELETE", "/api/users/leaver")
    wire.quiet(2)
    place.ask("PUT", "/api/vhosts/leaving", {})
    place.ask("PUT", "/api/permissions/leaving/guest", anything)
    wire = place.channel(vhost="leaving")
    place.ask("DELETE", "/api/vhosts/leaving")
    wire.quiet(2)
    # which of two messages is there first is left to chance
    wire.log[:] = [line.replace("is down", "is deleted") for line in wire.log if line != "end"]
    wire.close()
    place.wire(vhost="leaving")


@case
def a_queue_that_goes_before_the_commit(place):
    wire = place.channel()
    wire.open(2)
    wire.call(1, Queue.Declare(0, "tg.q"))
    wire.call(1, Tx.Select())
    wire.publish(1, "", "tg.q", b"lost", mandatory=True)
    wire.publish(1, "", "tg.q", b"lost")
    wire.call(2, Basic.Consume(0, "tg.q", "t"))
    wire.call(2, Queue.Delete(0, "tg.q"))
    wire.quiet()
    wire.call(1, Tx.Commit())
    wire.quiet()


@case
def limits_of_channels_and_consumers(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "cc.q"))
    numbered(wire, "cc.q", 6)
    wire.call(1, Basic.Qos(0, 2, True))
    wire.call(1, Basic.Consume(0, "cc.q", "a"))
    wire.quiet()
    wire.call(1, Basic.Qos(0, 1, False))
    wire.quiet()
    wire.call(1, Basic.Qos(0, 1, True))
    wire.call(1, Basic.Consume(0, "cc.q", "b"))
    wire.send(1, Basic.Nack(0, True, True))
    wire.quiet()


@case
def deaths_by_headers(place):
    wire = place.channel()
    wire.call(1, Queue.Declare(0, "dh.dead"))
    wire.call(1, Queue.Bind(0, "dh.dead", "amq.headers", "", arguments={"x-match": "any-with-x", "x-first-death-reason": "rejected", "mine": 1}))
    wire.call(1, Queue.Declare(0, "dh.q", arguments={"x-dead-letter-exchange": "amq.headers"}))
    for headers in ({"mine": 1}, {"mine": 2}, None):
        wire.publish(1, "", "dh.q", b"x", BasicProperties(headers=headers))
        wire.send(1, Basic.Reject(wire.get(1, "dh.q", no_ack=False).delivery_tag, False))
        wire.quiet()
    drained(wire, "dh.dead", 4)
