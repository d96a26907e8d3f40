"""The configuration that operators start from, with addresses filled in, in
front of a real RabbitMQ cluster: a balancer on the client host of `evenkeel
up --with-rabbitmq`, pika clients, nodes killed, hung, drained, back.

Usage: cluster.py EVENKEEL EXAMPLE STATE_DIR
"""

import collections
import subprocess
import sys
import time

import pika

evenkeel, example, state = sys.argv[1:]
NODES = {"n1": "10.77.0.21", "n2": "10.77.0.22", "n3": "10.77.0.23"}
# Seven servers on three nodes: each node stands behind two or three of them.
BEHIND = {f"rmq_node{i}": f"n{(i - 1) % 3 + 1}" for i in range(1, 8)}


def say(text):
    print(text, flush=True)


def config():
    text = open(example).read()
    for i in range(1, 8):
        text = text.replace(f"ip{i}:", NODES[BEHIND[f"rmq_node{i}"]] + ":")
    drop = ("chroot", "uid", "gid", "daemon", "pidfile", "log 127.0.0.1")
    lines = [line for line in text.splitlines() if not line.strip().startswith(drop)]
    path = f"{state}/c/example.cfg"
    with open(path, "w") as file:
        file.write("\n".join(lines).replace("inter 5000", "inter 500") + "\n")
    return path


def ctl(*words):
    command = [evenkeel, "lb", "ctl", "--run-dir", f"{state}/c/run", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout


def rows():
    out = ctl("show", "stat")
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# pxname"))
    names = lines[start][2:].split(",")
    found = {}
    for line in lines[start + 1 :]:
        values = dict(zip(names, line.split(",")))
        if values.get("pxname") == "rabbitmq_cluster":
            found[values["svname"]] = values
    return found


def wait(what, condition, limit=40):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (StopIteration, OSError, KeyError):
            pass
        time.sleep(0.1)
    say(f"waited {limit} s in vain: {what}\n{ctl('show', 'servers', 'state')}")
    sys.exit(1)


def usable():
    return {name for name in BEHIND if rows()[name]["status"].startswith("UP")}


def node_state(node, up):
    servers = {name for name, on in BEHIND.items() if on == node}
    wait(f"{node} {'up' if up else 'down'}", lambda: (usable() & servers) == (servers if up else set()))


def do(*words):
    done = subprocess.run([evenkeel, "up", "--state-dir", state, "--do", *words], capture_output=True, text=True)
    say(f"{' '.join(words)}: {done.stdout.strip()}")


def connect():
    parameters = pika.ConnectionParameters(
        "127.0.0.1", 5672, socket_timeout=5, stack_timeout=10, heartbeat=10, blocked_connection_timeout=10
    )
    return pika.BlockingConnection(parameters)


def round_trip(connection, number):
    channel = connection.channel()
    channel.queue_declare("cluster.test", durable=True)
    channel.confirm_delivery()
    channel.basic_publish("", "cluster.test", str(number), pika.BasicProperties(delivery_mode=2), mandatory=True)
    channel.close()


def spread(count):
    """Opens and uses connections one after the other; sessions by server."""
    before = {name: int(row["stot"]) for name, row in rows().items()}
    for number in range(count):
        connection = connect()
        round_trip(connection, number)
        connection.close()
    after = {name: int(row["stot"]) for name, row in rows().items()}
    by = collections.Counter({name: after[name] - before[name] for name in BEHIND})
    say(f"sessions by server: {dict(by)}")
    return by


def need(good, text):
    if not good:
        say(f"FAILED: {text}")
        sys.exit(1)


balancer = subprocess.Popen(
    [evenkeel, "lb", "-db", "-f", config(), "--run-dir", f"{state}/c/run"],
    stdout=open(f"{state}/c/lb.out", "w"),
    stderr=subprocess.STDOUT,
)
try:
    wait("every server up", lambda: len(usable()) == 7)
    by = spread(21)
    need(set(by.values()) == {3}, "round robin gives each of seven servers three of 21 sessions")

    do("kill-node", "n2")
    node_state("n2", False)
    by = spread(10)
    dead = {name for name, on in BEHIND.items() if on == "n2"}
    need(sum(by[name] for name in dead) == 0, "a dead node gets no session")
    need(sum(by.values()) == 10, "the others take all")
    do("start-node", "n2")
    node_state("n2", True)

    do("hang", "n3")
    # A connect check passes on a hung node, as with HAProxy: its kernel still accepts. Drain it.
    hung = {name for name, on in BEHIND.items() if on == "n3"}
    for name in hung:
        ctl("set", "server", f"rabbitmq_cluster/{name}", "state", "drain")
    wait("drained", lambda: all(rows()[name]["status"] == "DRAIN" for name in hung))
    by_server = collections.Counter()
    before = {name: int(row["stot"]) for name, row in rows().items()}
    connections = [connect() for _ in range(8)]
    after = {name: int(row["stot"]) for name, row in rows().items()}
    for name in BEHIND:
        by_server[name] = after[name] - before[name]
    need(sum(by_server[name] for name in hung) == 0, "a drained server gets no session")
    for connection in connections:
        connection.close()
    do("heal", "n3")
    for name in hung:
        ctl("set", "server", f"rabbitmq_cluster/{name}", "state", "ready")
    wait("every server up again", lambda: len(usable()) == 7)

    by = spread(14)
    # Servers come back into the round at different places, so a round may begin in its middle.
    need(min(by.values()) >= 1 and max(by.values()) <= 3, "afterwards every server takes its share again")
    say("cluster: ok")
finally:
    balancer.terminate()
    balancer.wait(10)
