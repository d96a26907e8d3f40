"""Runs the same cases against the built binary and Debian's RabbitMQ and prints where they differ.

usage: compare.py frames|api|tools BINARY DIRECTORY [CASE ...]

Differences that are meant stand in different_KIND.json with their reasons: a case's name for frames and tools, a pattern
of lines for the API. Exit 1 on a difference that is not there, and on an entry there that no difference needs any more.
RabbitMQ does much after it has answered, so a case that surprises runs again, alone between two brokers started anew:
only what differs RUNS times, and a difference that never comes in RUNS, counts.
"""
import concurrent.futures
import difflib
import functools
import json
import pathlib
import re
import sys
import traceback

import api
import askers  # noqa: F401 -- adds its cases to api's
import corners  # noqa: F401 -- adds its cases to those of frames
import frames
import living  # noqa: F401 -- adds its cases to those of frames
import margins  # noqa: F401 -- adds its cases to both
import tools
import walks  # noqa: F401 -- adds its cases to those of frames
from brokers import Ours, Rabbit

HERE = pathlib.Path(__file__).parent
RUNS = 3


def prepare(broker):
    """The user, vhost and permissions that the cases expect."""
    for path, body in (
            ("/api/vhosts/other", {}),
            ("/api/users/limited", {"password": "limited", "tags": ""}),
            ("/api/permissions/%2f/limited", {"configure": "^mine", "write": "^(mine|amq.topic)", "read": "^(mine|amq.topic)"}),
            ("/api/topic-permissions/%2f/limited", {"exchange": "amq.topic", "write": "^allowed", "read": "^allowed"}),
            ("/api/cluster-name", {"name": "alike"})):
        status, _, answer = broker.http("PUT", path, body)
        assert status in (201, 204), (path, status, answer)


def frames_of(broker, names, at_once):
    def one(name):
        place = frames.Place(broker)
        try:
            frames.CASES[name](place)
        except Exception:
            place.note("the case ended early: " + traceback.format_exc().splitlines()[-1])
        return place.log

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return dict(zip(names, pool.map(one, names)))


def api_of(broker, names):
    logs = {}
    for name in names:
        place = api.Place(broker)
        try:
            api.CASES[name](place)
        except Exception:
            place.log.append("-- the case ended early: " + traceback.format_exc().splitlines()[-1])
        logs[name] = [broker.neutral(line) for line in place.log]
    return logs


def missing(theirs, mine):
    """What RabbitMQ says in answer to a request and ours does not; more than RabbitMQ says is no difference."""
    def blocks(log):
        found, key = {}, ""
        for line in log:
            if line.startswith("--"):
                key = line
            found.setdefault(key, []).append(line)
        return found
    own = blocks(mine)
    return [f"{key.split(' -> ')[0][3:80]}: {line.strip()}" for key, lines in blocks(theirs).items()
            for line in lines if line not in own.get(key, [])]


def diff(theirs, mine):
    return list(difflib.unified_diff(theirs, mine, "rabbitmq", "ours", n=2, lineterm=""))


def run_both(kind, binary, place, names, at_once=6):
    """What both brokers, started anew in `place`, say in each case: ours and RabbitMQ's logs by name."""
    brokers = [Ours(binary, place / "ours").start(), Rabbit(place / "rabbitmq").start()]
    for broker in brokers:
        prepare(broker.wait())
    run = {"frames": functools.partial(frames_of, at_once=at_once), "api": api_of, "tools": tools.of}[kind]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        logs = list(pool.map(lambda broker: run(broker, names), brokers))
    for broker in brokers:
        broker.stop()
    return logs


class Known:
    """The differences that are meant, and which of them were needed."""

    def __init__(self, kind):
        self.kind, self.used = kind, set()
        self.entries = json.loads((HERE / f"different_{kind}.json").read_text())

    def unexpected(self, name, theirs, mine):
        """The lines of a case in which the two differ and are not meant to."""
        lines = (missing if self.kind == "api" else diff)(theirs, mine)
        if self.kind == "api":
            meant = {line: next((p for p in self.entries if re.search(p, line)), None) for line in lines}
            self.used |= set(meant.values())
            return [line for line in lines if not meant[line]]
        if lines and name in self.entries:
            self.used.add(name)
            print(f"-- {name} differs as it is meant to: {self.entries[name]}")
            return []
        return lines

    def unused(self):
        return [entry for entry in self.entries if entry not in self.used]

    def cases_of_unused(self, names):
        """The cases that may still need an entry that none has needed: a pattern of the API may be any case's."""
        unused = self.unused()
        return (names if self.kind == "api" else [name for name in names if name in unused]) if unused else []


def main():
    kind, binary, directory, *wanted = sys.argv[1:]
    place = pathlib.Path(directory)
    cases = {"frames": frames.CASES, "api": api.CASES, "tools": tools.CASES}[kind]
    names, known = wanted or list(cases), Known(kind)
    different, again, count = [], names, 0
    while again and count < RUNS:
        mine, theirs = run_both(kind, binary, place / str(count), again, at_once=1 if count else 6)
        found = {name: known.unexpected(name, theirs[name], mine[name]) for name in again}
        different = [name for name in again if found[name]]
        for name in different:
            print(f"== {name}: NOT EXPECTED", *found[name], sep="\n  ")
        again = list(dict.fromkeys(different + ([] if wanted else known.cases_of_unused(names))))
        count += 1
        if again and count < RUNS:
            print(f"once more, one after the other, between two started anew: {', '.join(again)}")
    gone = [] if wanted else known.unused()
    print(f"{len(names)} cases, {len(different)} differ unexpectedly each time; entries that nothing needs: {gone}")
    sys.exit(bool(different or gone))


if __name__ == "__main__":
    main()
