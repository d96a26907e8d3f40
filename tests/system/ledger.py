"""Numbered confirmed messages through one address with pika.

Usage: ledger.py SECONDS [RATE [QUEUE]]      (the address is in EVENKEEL_VIP)

A publisher with confirms and a consumer with manual acknowledgement, each in a
thread with a connection of its own, which it opens again at once when it goes.
Prints one JSON object; exit status 1 when a confirmed message was lost or a
duplicate came without the redelivered flag.
"""

import json
import os
import sys
import threading
import time

import pika
import pika.exceptions

SECONDS = float(sys.argv[1])
RATE = float(sys.argv[2]) if len(sys.argv) > 2 else 100.0
QUEUE = sys.argv[3] if len(sys.argv) > 3 else "system.pika"
LOCK = threading.Lock()


class Ledger:
    def __init__(self):
        self.confirmed = set()
        self.delivered = {}
        self.unflagged = 0
        self.reconnects = 0
        self.sessions_lost = 0
        self.gaps = {"publish": 0.0, "consume": 0.0}
        self.last = {}

    def event(self, kind):
        now = time.monotonic()
        last = self.last.get(kind)
        if last is not None:
            self.gaps[kind] = max(self.gaps[kind], now - last)
        self.last[kind] = now

    def gave_up(self, connection, error):
        """A connection is given up; of one that worked and that the far side ended a session was lost."""
        self.reconnects += 1
        told = isinstance(error, (pika.exceptions.ConnectionClosedByBroker, pika.exceptions.ChannelClosedByBroker))
        lost = isinstance(error, pika.exceptions.StreamLostError) and ("reset" in str(error) or "EOF" in str(error))
        self.sessions_lost += bool(connection and (told or lost))

    def stop_clocks(self):
        for kind in list(self.last):
            self.event(kind)
        self.last = {}
        self.frozen = dict(self.gaps)


LEDGER = Ledger()
STOP = threading.Event()


def connect():
    parameters = pika.ConnectionParameters(
        os.environ["EVENKEEL_VIP"],
        5672,
        "/",
        pika.PlainCredentials("guest", "guest"),
        heartbeat=4,
        socket_timeout=1.0,
        stack_timeout=2.0,
        blocked_connection_timeout=5.0,
        tcp_options={"TCP_USER_TIMEOUT": 1000},
    )
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True)
    return connection, channel


def publisher():
    number = 0
    properties = pika.BasicProperties(delivery_mode=2)
    while not STOP.is_set():
        connection = None
        try:
            connection, channel = connect()
            channel.confirm_delivery()
            while not STOP.is_set():
                started = time.monotonic()
                number += 1
                channel.basic_publish("", QUEUE, str(number), properties, mandatory=True)
                with LOCK:
                    LEDGER.event("publish")
                    LEDGER.confirmed.add(number)
                rest = 1 / RATE - (time.monotonic() - started)
                if rest > 0:
                    time.sleep(rest)
            connection.close()
        except Exception as error:  # pika has several families of them; any means: connect again
            with LOCK:
                LEDGER.gave_up(connection, error)
            time.sleep(0.02)


def deliver(channel, method, _properties, body):
    number = int(body)
    with LOCK:
        LEDGER.event("consume")
        times = LEDGER.delivered.get(number, 0)
        if times and not method.redelivered:
            LEDGER.unflagged += 1
        LEDGER.delivered[number] = times + 1
    channel.basic_ack(method.delivery_tag)


def lost():
    with LOCK:
        return len([n for n in LEDGER.confirmed if n not in LEDGER.delivered])


def consumer(until):
    while True:
        if STOP.is_set() and (lost() == 0 or time.monotonic() > until()):
            return
        connection = None
        try:
            connection, channel = connect()
            channel.basic_qos(prefetch_count=50)
            channel.basic_consume(QUEUE, deliver)
            while not (STOP.is_set() and (lost() == 0 or time.monotonic() > until())):
                connection.process_data_events(time_limit=0.1)
            connection.close()
        except Exception as error:  # pika has several families of them; any means: connect again
            with LOCK:
                LEDGER.gave_up(connection, error)
            time.sleep(0.02)


def main():
    ended = [float("inf")]
    threads = [
        threading.Thread(target=publisher, daemon=True),
        threading.Thread(target=consumer, args=(lambda: ended[0],), daemon=True),
    ]
    for thread in threads:
        thread.start()
    # On a busy machine the first connection takes its time: the clock starts with it.
    first = time.monotonic() + 20
    while not LEDGER.confirmed and time.monotonic() < first:
        time.sleep(0.01)
    time.sleep(SECONDS)
    with LOCK:
        LEDGER.stop_clocks()
    ended[0] = time.monotonic() + 25
    STOP.set()
    for thread in threads:
        thread.join(40)
    duplicates = sum(times - 1 for times in LEDGER.delivered.values())
    result = {
        "client": "pika",
        "confirmed": len(LEDGER.confirmed),
        "delivered": len(LEDGER.delivered),
        "lost": lost(),
        "duplicates": duplicates,
        "unflagged": LEDGER.unflagged,
        "reconnects": LEDGER.reconnects,
        "sessions_lost": LEDGER.sessions_lost,
        "publish_gap_ms": round(LEDGER.frozen.get("publish", 0) * 1000),
        "consume_gap_ms": round(LEDGER.frozen.get("consume", 0) * 1000),
    }
    print(json.dumps(result), flush=True)
    bad = result["lost"] or result["unflagged"] or not result["confirmed"]
    sys.exit(1 if bad else 0)


main()
