"""Rebalancing in front of a real RabbitMQ cluster: pika consumers that come
back follow a node that returns, and leave one that is drained; each is told
to go by connection.close with code 320, and the nodes' logs stay clean.

Usage: rebalance.py EVENKEEL STATE_DIR
"""

import collections
import glob
import socket
import subprocess
import sys
import threading
import time

import pika

evenkeel, state = sys.argv[1:]
NODES = {"n1": "10.77.0.21", "n2": "10.77.0.22", "n3": "10.77.0.23"}
CLIENTS = 45


def say(text):
    print(text, flush=True)


def need(good, text):
    if not good:
        say(f"FAILED: {text}\n{ctl('show', 'rebalance')}{ctl('show', 'events')}")
        sys.exit(1)


def config():
    servers = "".join(f"    server {name} {ip}:5672 check inter 500ms rise 2 fall 2\n" for name, ip in NODES.items())
    text = (
        "global\n    log stdout format raw local0\n"
        "defaults\n    log global\n    option tcplog\n    option redispatch\n    retries 3\n    timeout connect 5s\n"
        "    timeout client 5m\n    timeout server 5m\n"
        "listen rabbit\n    bind 127.0.0.1:5672\n    balance leastconn\n"
        "    rebalance 150% within 10% settle 3s reason \"moving you\"\n"
        "    drain-sessions 300% reason \"going down\"\n" + servers
    )
    path = f"{state}/c/rebalance.cfg"
    with open(path, "w") as file:
        file.write(text)
    return path


def ctl(*words):
    command = [evenkeel, "lb", "ctl", "--run-dir", f"{state}/c/run", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout


def rows():
    lines = ctl("show", "stat").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# pxname"))
    names = lines[start][2:].split(",")
    found = {}
    for line in lines[start + 1 :]:
        values = dict(zip(names, line.split(",")))
        if values.get("pxname") == "rabbit":
            found[values["svname"]] = values
    return found


def sessions():
    found = rows()
    return {name: int(found[name]["scur"]) for name in NODES}


def wait(what, condition, limit=120):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (StopIteration, OSError, KeyError):
            pass
        time.sleep(0.2)
    need(False, f"waited {limit} s in vain: {what}; sessions {sessions()}")


def do(*words):
    done = subprocess.run([evenkeel, "up", "--state-dir", state, "--do", *words], capture_output=True, text=True)
    say(f"{' '.join(words)}: {done.stdout.strip()}")


stop = threading.Event()
ends = collections.Counter()
guard = threading.Lock()


def consume(number):
    """A consumer as the pika documentation recommends it: connect again whenever the connection ends."""
    while not stop.is_set():
        try:
            parameters = pika.ConnectionParameters(
                "127.0.0.1", 5672, socket_timeout=5, stack_timeout=15, heartbeat=20, blocked_connection_timeout=20
            )
            connection = pika.BlockingConnection(parameters)
            channel = connection.channel()
            channel.queue_declare("", exclusive=True)
            while not stop.is_set():
                connection.process_data_events(0.5)
            connection.close()
            return
        except pika.exceptions.ConnectionClosedByBroker as error:
            with guard:
                ends[f"{error.reply_code} {error.reply_text}"] += 1
        except pika.exceptions.AMQPError as error:
            with guard:
                ends[type(error).__name__] += 1
            time.sleep(0.3)


def logs():
    text = {}
    for name in NODES:
        for path in glob.glob(f"{state}/{name}/log/*.log"):
            with open(path, errors="replace") as file:
                text[path] = file.read()
    return text


def noise(before):
    """Warnings and errors about connections since `before`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((NODES["n1"], 9))
        own = probe.getsockname()[0]
    found = []
    for path, text in logs().items():
        fresh = text[len(before.get(path, "")) :].splitlines()
        # lines of one connection have its process in common; other balancers check these nodes, too
        ours = {line.split()[3] for line in fresh if f"({own}:" in line}
        found += [line for line in fresh if line.split()[3:4] and line.split()[3] in ours]
    need(any("accepting AMQP" in line for line in found), "connections of this balancer stand in the logs")
    return [line for line in found if "[warning]" in line or "[error]" in line]


balancer = subprocess.Popen(
    [evenkeel, "lb", "-db", "-f", config(), "--run-dir", f"{state}/c/run"],
    stdout=open(f"{state}/c/lb.out", "w"),
    stderr=subprocess.STDOUT,
)
try:
    up = lambda: {name for name in NODES if rows()[name]["status"].startswith("UP")}
    wait("every node up", lambda: up() == set(NODES))
    do("kill-node", "n3")
    wait("n3 down", lambda: up() == {"n1", "n2"})
    threads = [threading.Thread(target=consume, args=(n,), daemon=True) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    wait("all connected", lambda: sum(sessions().values()) == CLIENTS)
    say(f"without n3: {sessions()}")

    ends.clear()
    do("start-node", "n3")
    wait("n3 up", lambda: up() == set(NODES))
    before = logs()
    even = lambda: all(13 <= n <= 17 for n in sessions().values()) and sum(sessions().values()) == CLIENTS
    wait("even", even)
    wait("idle", lambda: "rabbit idle" in ctl("show", "rebalance"))
    wait("all are back", even)
    say(f"with n3 again: {sessions()}, ends {dict(ends)}")
    moved = ends["320 moving you"]
    need(set(ends) == {"320 moving you"}, "clients are told to go, and nothing else ends")
    need(12 <= moved <= 22, f"15 had to move, {moved} were")

    do_drain = ctl("set", "server", "rabbit/n1", "state", "drain")
    wait("n1 is empty", lambda: sessions()["n1"] == 0 and sum(sessions().values()) == CLIENTS)
    say(f"n1 drained: {sessions()}, ends {dict(ends)}")
    need(set(ends) == {"320 moving you", "320 going down"}, "drained clients are told so")
    need(not noise(before), "the nodes' logs stay clean: " + "\n".join(noise(before)[:5]))
    text = open(f"{state}/c/lb.out").read()
    need(" B- " in text and " G- " in text and " BD " not in text and " GD " not in text, "every goodbye was answered")
    stop.set()
    for thread in threads:
        thread.join(20)
    say("rebalance: ok")
finally:
    balancer.terminate()
    balancer.wait(10)
