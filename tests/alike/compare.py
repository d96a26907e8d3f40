"""Runs the same cases against the built binary and Debian's RabbitMQ and prints where they differ.

usage: compare.py frames|api|tools BINARY DIRECTORY [CASE ...]

Differences that are meant stand in different_KIND.json with their reasons: a case's name for frames and tools, a pattern
of lines for the API. Exit 1 on a difference that is not there, and on an entry there that no difference needs any more.
"""
import concurrent.futures
import difflib
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
from brokers import Ours, Rabbit

HERE = pathlib.Path(__file__).parent


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


def frames_of(broker, names):
    def one(name):
        place = frames.Place(broker)
        try:
            frames.CASES[name](place)
        except Exception:
            place.note("the case ended early: " + traceback.format_exc().splitlines()[-1])
        return place.log

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
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


def main():
    kind, binary, directory, *wanted = sys.argv[1:]
    place = pathlib.Path(directory)
    brokers = [Ours(binary, place / "ours").start(), Rabbit(place / "rabbitmq").start()]
    for broker in brokers:
        prepare(broker.wait())
    run, cases = {"frames": (frames_of, frames.CASES), "api": (api_of, api.CASES), "tools": (tools.of, tools.CASES)}[kind]
    names = wanted or list(cases)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(lambda broker: run(broker, names), brokers)
    for broker in brokers:
        broker.stop()
    known = json.loads((HERE / f"different_{kind}.json").read_text())
    used, surprises = set(), 0
    for name in names:
        lines = (missing if kind == "api" else diff)(theirs[name], mine[name])
        if kind == "api":
            meant = {line: next((p for p in known if re.search(p, line)), None) for line in lines}
            used |= set(meant.values())
            lines = [line for line in lines if not meant[line]]
        elif lines and name in known:
            used.add(name)
            print(f"== {name}: {known[name]}", *lines, sep="\n  ")
            lines = []
        if lines:
            surprises += 1
            print(f"== {name}: NOT EXPECTED", *lines, sep="\n  ")
    gone = [] if wanted else [entry for entry in known if entry not in used]
    print(f"{len(names)} cases, {surprises} differ unexpectedly; entries that nothing needs: {gone}")
    sys.exit(bool(surprises or gone))


if __name__ == "__main__":
    main()
