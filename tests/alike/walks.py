"""Random walks: methods that mean something to one another, in an order that chance gives. The seed is in the case's name.

Each walk has a virtual host of its own and waits after each step until nothing comes any more; what is compared is what
came in each step, since in which order two queues deliver to one channel is left to chance.
"""
import random
import re
import time
from decimal import Decimal

from pika.spec import Basic, BasicProperties, Channel, Confirm, Exchange, Queue, Tx

from frames import CASES
from wire import Wire

QUIET = 0.1
STEPS = 60
SEEDS = range(1, 7)
CHANNELS = (1, 2, 3)
QUEUES = ("q0", "q1", "q2", "q3")
EXCHANGES = ("x0", "x1", "x2")
SYSTEM = ("amq.direct", "amq.topic", "amq.headers", "amq.fanout")
KINDS = ("direct", "fanout", "topic", "headers")
KEYS = ("a", "a.b", "a.b.c", "", "*.b", "#", "a.#", "*", "q0", "q1")
PATTERNS = KEYS + ("#.b", "a.*.c", "*.*")
TAGS = ("t1", "t2", "t3")
# how often each step is taken, relative to the others
WEIGHTS = {"declare": 8, "passive": 3, "publish": 26, "get": 10, "consume": 7, "cancel": 3, "settle": 16, "qos": 4, "recover": 1,
           "delete": 1.5, "purge": 1, "bind": 4, "unbind": 1.5, "exchange": 3, "exchange_delete": 1, "exchange_bind": 1.5,
           "exchange_unbind": 0.7, "confirm": 0.6, "transaction": 0.3, "commit": 1.5, "close": 0.6, "pause": 2}


class Chance:
    """What the steps are made of. A flavour leans towards one subject."""

    def __init__(self, seed, flavour):
        self.random, self.flavour = random.Random(f"{flavour} {seed}"), flavour

    def one(self, *choices):
        return self.random.choice(choices)

    def happens(self, share):
        return self.random.random() < share

    def value(self):
        return self.one(1, 2, "a", "b", True, None, [1, "x"], {"k": 1}, Decimal("1.25"), 2**40, -1)

    def of_queue(self):
        """The arguments of a queue, now and then a wrong one."""
        pool = {"x-max-length": (0, 1, 2, 3), "x-max-length-bytes": (0, 2, 5), "x-dead-letter-exchange": ("", "x0", "x1", "amq.direct"),
                "x-dead-letter-routing-key": ("q0", "q1", "a"), "x-overflow": ("drop-head", "reject-publish", "reject-publish-dlx"),
                "x-single-active-consumer": (True, False), "x-expires": (60000,)}
        pool |= {"x-max-priority": (1, 2, 5)} if self.flavour == "priorities" else {"x-message-ttl": (0, 1, 60000, 100000)}
        names = self.random.sample(list(pool), self.one(0, 0, 1, 1, 2, 3))
        arguments = {name: self.one(*pool[name]) for name in names}
        if self.flavour == "quorum" and self.happens(0.6):
            arguments["x-queue-type"] = "quorum"
            if self.happens(0.5):
                arguments["x-delivery-limit"] = self.one(0, 1, 2)
        if self.happens(0.05):
            wrong = self.one("x-max-length", "x-message-ttl", "x-expires", "x-max-priority", "x-overflow", "x-single-active-consumer", "x-queue-mode")
            arguments[wrong] = self.one(-1, "x", 1.5, None, 256, 2**40, [1], {"a": 1})
        return arguments

    def of_binding(self):
        if self.happens(0.5):
            return {}
        arguments = {"x-match": self.one("all", "any", "all-with-x", "any-with-x")} if self.happens(0.7) else {}
        return arguments | {name: self.value() for name in self.random.sample(("h1", "h2", "x-h"), self.random.randrange(3))}

    def of_exchange(self):
        return {"alternate-exchange": self.one(*EXCHANGES, "amq.fanout", "", "none")} if self.happens(0.3) else {}

    def properties(self):
        fields = {}
        if self.happens(0.3):
            fields["priority"] = self.one(0, 1, 2, 3, 9, 255)
        if self.flavour != "priorities" and self.happens(0.15):
            fields["expiration"] = self.one("0", "1", "60000", "x", "", "-1", "1.5")
        if self.happens(0.4):
            headers = {name: self.value() for name in self.random.sample(("h1", "h2", "x-h"), self.random.randrange(3))}
            if self.happens(0.3):
                headers["CC"] = self.one(["q2"], ["q0", "q3"], ["a"], "no", [1], [])
            if self.happens(0.2):
                headers["BCC"] = self.one(["q1"], ["a.b"], 5)
            fields["headers"] = headers
        if self.happens(0.5):
            fields["delivery_mode"] = self.one(1, 2, 2, 2, 3)
        return fields

    def step(self):
        """The name of a step and what it is done with."""
        weights = WEIGHTS | ({"transaction": 2, "commit": 5} if self.flavour == "transactions" else {})
        name = self.random.choices(list(weights), list(weights.values()))[0]
        queue, exchange = self.one(*QUEUES), self.one(*EXCHANGES, *SYSTEM)
        quorum = self.flavour == "quorum"
        made = {
            "declare": lambda: (queue, self.of_queue(), self.happens(0.9 if quorum else 0.3), self.happens(0.1), self.happens(0.06)),
            # a quorum queue counts who holds what basic.get gave as a consumer there
            "passive": lambda: (queue,) if not quorum else None,
            "publish": lambda: (*self.one(("", queue), ("", queue), (exchange, self.one(*KEYS)), (exchange, self.one(*KEYS))),
                                self.one(b"", b"1", b"22", b"333"), self.properties(), self.happens(0.2)),
            "get": lambda: (queue, self.happens(0.4)),
            # quorum queues do not know exclusive consumers there
            "consume": lambda: (queue, self.one(*TAGS), self.happens(0.25), self.happens(0.08) and not quorum, self.one({}, {}, {"x-priority": self.one(-1, 1, 5)})),
            "cancel": lambda: (self.one(*TAGS),),
            "settle": lambda: (self.one(Basic.Ack, Basic.Ack, Basic.Nack, Basic.Reject), self.one("first", "first", "last", "middle", "all", "none"),
                               self.happens(0.3), self.happens(0.5)),
            "qos": lambda: (self.one(0, 1, 1, 2, 3), self.happens(0.25)),
            "recover": lambda: (self.happens(0.9),),
            "delete": lambda: (queue, self.happens(0.3) and not quorum, self.happens(0.3) and not quorum),
            "purge": lambda: (queue,),
            "bind": lambda: (queue, exchange, self.one(*PATTERNS), self.of_binding()),
            "unbind": lambda: (queue, exchange, self.one(*PATTERNS)),
            "exchange": lambda: (self.one(*EXCHANGES), self.one(*KINDS), self.of_exchange(), self.happens(0.3), self.happens(0.15), self.happens(0.05)),
            "exchange_delete": lambda: (self.one(*EXCHANGES), self.happens(0.4)),
            "exchange_bind": lambda: (self.one(*EXCHANGES), exchange, self.one(*PATTERNS)),
            "exchange_unbind": lambda: (self.one(*EXCHANGES), exchange, self.one(*PATTERNS)),
            "commit": lambda: (self.happens(0.7),),
        }
        what = made.get(name, tuple)()
        return (name, self.one(1, 1, 2, 2, 3), what) if what is not None else ("pause", 1, ())


class Walk:
    """A connection with three channels; those that are closed are opened anew."""

    def __init__(self, place, vhost):
        self.place, self.vhost = place, vhost
        self.begin()

    def begin(self):
        self.out = {channel: [] for channel in CHANNELS}
        self.closed, self.came = [], []
        self.wire = Wire(self.place.port, self.came, vhost=self.vhost).open(*CHANNELS)
        heard = self.wire.hear

        def hear(found):
            heard(found)
            method = getattr(found, "method", None)
            if isinstance(method, (Basic.Deliver, Basic.GetOk)):
                self.out[found.channel_number].append(method.delivery_tag)
            if isinstance(method, Channel.Close):
                self.closed.append(found.channel_number)
        self.wire.hear = hear

    def take(self, name, channel, what):
        getattr(self, name)(channel, *what)
        self.wire.quiet(QUIET)
        for closed in self.closed:
            self.wire.send(closed, Channel.CloseOk())
            self.open_anew(closed)
        self.closed.clear()
        self.place.log.append(f"{name} {channel} {what}")
        self.place.log.extend(self.seen())
        if self.wire.over or any("Connection.Close " in line for line in self.place.log[-3:]):
            self.wire.close()
            time.sleep(3 * QUIET)
            self.begin()

    def open_anew(self, channel):
        self.wire.call(channel, Channel.Open())
        self.out[channel] = []
        self.wire.quiet(QUIET)

    def seen(self):
        """What came: content with its method; confirms as the last of a kind; without order between queues."""
        lines, confirms = [], {}
        for line in self.came:
            confirm = re.match(r"(\d+: Basic\.(?:Ack|Nack) ){'delivery_tag': (\d+)", line)
            if confirm:
                confirms[confirm[1]] = max(int(confirm[2]), confirms.get(confirm[1], 0))
            elif re.match(r"\d+: (header|body) ", line) and lines:
                lines[-1] += " " + line
            else:
                lines.append(re.sub(r"(Basic\.Deliver .*)'delivery_tag': \d+, ", r"\1", line))
        self.came.clear()
        return sorted(lines) + [f"{method}up to {tag}" for method, tag in sorted(confirms.items())]

    def declare(self, channel, queue, arguments, durable, auto_delete, exclusive):
        self.wire.send(channel, Queue.Declare(0, queue, False, durable, exclusive, auto_delete, arguments=arguments))

    def passive(self, channel, queue):
        self.wire.send(channel, Queue.Declare(0, queue, passive=True))

    def publish(self, channel, exchange, key, body, properties, mandatory):
        self.wire.publish(channel, exchange, key, body, BasicProperties(**properties), mandatory)

    def get(self, channel, queue, no_ack):
        self.wire.send(channel, Basic.Get(0, queue, no_ack))

    def consume(self, channel, queue, tag, no_ack, exclusive, arguments):
        self.wire.send(channel, Basic.Consume(0, queue, tag, no_ack=no_ack, exclusive=exclusive, arguments=arguments))

    def cancel(self, channel, tag):
        self.wire.send(channel, Basic.Cancel(tag))

    def settle(self, channel, method, which, multiple, requeue):
        out = self.out[channel]
        if not out and which not in ("all", "none"):
            return
        tag = {"all": lambda: 0, "none": lambda: 9999, "first": lambda: out[0], "last": lambda: out[-1], "middle": lambda: out[len(out) // 2]}[which]()
        several = multiple and method is not Basic.Reject
        self.out[channel] = [other for other in out if not (other == tag or several and (other < tag or tag == 0))]
        arguments = {Basic.Ack: (several,), Basic.Nack: (several, requeue), Basic.Reject: (requeue,)}[method]
        self.wire.send(channel, method(tag, *arguments))

    def qos(self, channel, count, shared):
        self.wire.send(channel, Basic.Qos(0, count, shared))

    def recover(self, channel, requeue):
        self.out[channel] = [] if requeue else self.out[channel]
        self.wire.send(channel, Basic.Recover(requeue))

    def delete(self, channel, queue, if_unused, if_empty):
        self.wire.send(channel, Queue.Delete(0, queue, if_unused, if_empty))

    def purge(self, channel, queue):
        self.wire.send(channel, Queue.Purge(0, queue))

    def bind(self, channel, queue, exchange, key, arguments):
        self.wire.send(channel, Queue.Bind(0, queue, exchange, key, arguments=arguments))

    def unbind(self, channel, queue, exchange, key):
        self.wire.send(channel, Queue.Unbind(0, queue, exchange, key))

    def exchange(self, channel, name, kind, arguments, durable, auto_delete, internal):
        self.wire.send(channel, Exchange.Declare(0, name, kind, False, durable, auto_delete, internal, arguments=arguments))

    def exchange_delete(self, channel, name, if_unused):
        self.wire.send(channel, Exchange.Delete(0, name, if_unused))

    def exchange_bind(self, channel, destination, source, key):
        self.wire.send(channel, Exchange.Bind(0, destination, source, key))

    def exchange_unbind(self, channel, destination, source, key):
        self.wire.send(channel, Exchange.Unbind(0, destination, source, key))

    def confirm(self, channel):
        self.wire.send(channel, Confirm.Select())

    def transaction(self, channel):
        self.wire.send(channel, Tx.Select())

    def commit(self, channel, commits):
        self.wire.send(channel, Tx.Commit() if commits else Tx.Rollback())

    def close(self, channel):
        self.wire.call(channel, Channel.Close(200, "", 0, 0))
        self.open_anew(channel)

    def pause(self, _channel):
        time.sleep(QUIET / 2)


def walk(flavour, seed):
    def run(place):
        vhost = f"walk-{flavour}-{seed}"
        for path, body in ((f"vhosts/{vhost}", {}), (f"permissions/{vhost}/guest", {"configure": ".*", "write": ".*", "read": ".*"})):
            place.broker.http("PUT", f"/api/{path}", body)
        chance, going = Chance(seed, flavour), Walk(place, vhost)
        for queue in QUEUES[:3]:
            going.take("declare", 1, (queue, chance.of_queue(), flavour == "quorum", False, False))
        for exchange in EXCHANGES[:2]:
            going.take("exchange", 1, (exchange, chance.one(*KINDS), chance.of_exchange(), False, False, False))
        for queue in QUEUES[:3]:
            going.take("bind", 1, (queue, chance.one(*EXCHANGES[:2]), chance.one(*PATTERNS), chance.of_binding()))
        for _ in range(STEPS):
            going.take(*chance.step())
        going.wire.close()
        place.broker.http("DELETE", f"/api/vhosts/{vhost}")
    return run


for name in ("plain", "priorities", "quorum", "transactions"):
    CASES |= {f"walk_{name}_{seed}": walk(name, seed) for seed in SEEDS}
