"""Runs the cases of frames.py against both brokers and prints where they differ.

usage: frames_alike.py BINARY DIRECTORY [CASE ...]     exit 1 on a difference that is not named in different_frames.json
"""
import concurrent.futures
import difflib
import json
import pathlib
import sys
import traceback

import frames
from brokers import Ours, Rabbit


def prepare(broker):
    """The user, vhost and permissions that the cases expect."""
    for path, body in (
            ("/api/vhosts/other", {}),
            ("/api/users/limited", {"password": "limited", "tags": ""}),
            ("/api/permissions/%2f/limited", {"configure": "^mine", "write": "^(mine|amq.topic)", "read": "^(mine|amq.topic)"}),
            ("/api/topic-permissions/%2f/limited", {"exchange": "amq.topic", "write": "^allowed", "read": "^allowed"})):
        status, _, answer = broker.http("PUT", path, body)
        assert status in (201, 204), (path, status, answer)


def transcript(broker, name):
    place = frames.Place(broker.amqp)
    try:
        frames.CASES[name](place)
    except Exception:
        place.note("the case ended early: " + traceback.format_exc().splitlines()[-1])
    return place.log


def transcripts(broker, names):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return dict(zip(names, pool.map(lambda name: transcript(broker, name), names)))


def compare(ours, rabbit, wanted):
    """The cases that differ, with their differences."""
    names = wanted or list(frames.CASES)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(lambda broker: transcripts(broker, names), (ours, rabbit))
    return {name: [line for line in difflib.unified_diff(theirs[name], mine[name], "rabbitmq", "ours", n=2, lineterm="")]
            for name in names if mine[name] != theirs[name]}


def main():
    binary, directory, *wanted = sys.argv[1:]
    place = pathlib.Path(directory)
    brokers = [Ours(binary, place / "ours").start(), Rabbit(place / "rabbitmq").start()]
    for broker in brokers:
        prepare(broker.wait())
    known = json.loads((pathlib.Path(__file__).parent / "different_frames.json").read_text())
    found = compare(*brokers, wanted)
    for name, lines in found.items():
        print(f"== {name}" + (f" (known: {known[name]})" if name in known else ""))
        print("\n".join(lines))
    for broker in brokers:
        broker.stop()
    surprises = [name for name in found if name not in known]
    gone = [name for name in known if name not in found and (not wanted or name in wanted)]
    print(f"{len(wanted or frames.CASES)} cases, {len(found)} differ, of these unexpected: {surprises}, named but equal: {gone}")
    sys.exit(bool(surprises or gone))


if __name__ == "__main__":
    main()
