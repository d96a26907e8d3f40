#!/usr/bin/env python3
"""Measures the failover goals with keepalived beside ours in one run and
prints a table: goal, keepalived, ours with ours, ours with keepalived.

  goals.py [--runs N] [--only NAME,...] [--binary PATH] [--out FILE]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LAB = os.path.join(HERE, "viplab.py")
KEEPALIVED = "keepalived -n -l -D -P -f {conf} -p {run}/main.pid -r {run}/vrrp.pid"
SLOW, FAST = "ver=3,adv=1,track=script", "ver=3,adv=0.1,track=script"

# name, profile, scenarios, event, goal ours/ours (ms), goal with ours as master and keepalived as backup (ms)
GOALS = [
    ("G2 stop, adv 1 s", "stop", SLOW, "stop", "stop", 15, 15),
    ("G3 stop, adv 0.1 s", "stopfast", FAST, "stop", "stop", 15, 15),
    ("G4 demote, adv 1 s", "demote", SLOW, "demote", "demote", 15, 15),
    ("G5 proxy killed, adv 1 s", "proxy", SLOW, "proxydie", "proxydie", 50, 650),
    ("G6 proxy killed, adv 0.1 s", "proxyfast", FAST, "proxydie", "proxydie", 50, 90),
    ("G7 host dead, adv 1 s", "host", SLOW, "hostcrash", "hostcrash", 300, None),
    ("G8 heal after isolation, adv 1 s", "isolate", SLOW, "isolate", "heal.isolate", 1050, 2000),
    ("G8 heal after split brain, adv 1 s", "split", SLOW, "splitbrain", "heal.splitbrain", 1050, 2000),
    ("G9 kill -9 of all, address stays (runs)", "kill", SLOW, "sigkill", "sigkill", 0, 0),
    ("G13 fail-back, adv 1 s", "failback", SLOW, "stop", "failback", 10, 20),
    ("G14 reload, adv 1 s", "reload", SLOW, "reload", "reload", 15, 15),
    ("G16 CPU percent of a core, adv 0.1 s", "idle", FAST, "idle", "idle", 0.2, 0.2),
]


def pairs(ours, scenario):
    kinds = [("k/k", KEEPALIVED, KEEPALIVED), ("o/o", ours, ours), ("o/k", ours, KEEPALIVED), ("k/o", KEEPALIVED, ours)]
    # keepalived has no command for a planned switch
    return [k for k in kinds if scenario != "demote" or k[0][0] == "o"]


def lab(a, b, profile, scenario, binary):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, LAB, "run", "--a", a, "--b", b, "--profile", profile, "--scenarios", scenario,
                   "--out", out.name, "--max-seconds", "170", "--ctl-demote", binary + " vip demote --run-dir {run}"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        try:
            with open(out.name) as f:
                return json.load(f)["results"][0]["events"]
        except (ValueError, LookupError):
            return []


def value(event, name):
    if name == "kill":
        return 1 if event.get("stale_vip") else 0
    if name == "idle":
        return event.get("cpu_pct_A")
    return event.get("outage_ms")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--only", default="")
    ap.add_argument("--binary", default=os.path.join(ROOT, "target", "dist", "evenkeel"))
    ap.add_argument("--out")
    args = ap.parse_args()
    if os.geteuid():
        raise SystemExit("goals.py needs root for network namespaces")
    if not os.path.exists(args.binary):
        raise SystemExit("%s is not there: cargo build --profile dist" % args.binary)
    ours = args.binary + " vip -n -l -f {conf} --run-dir {run}"
    only = [w for w in args.only.split(",") if w]
    record, cache = {}, {}
    print("%-42s %-22s %-22s %-22s %-22s %s" % ("median (worst) ms [failed]", "keepalived", "ours/ours", "ours/keepalived",
                                               "keepalived/ours", "goal"))
    for title, name, profile, scenario, event, goal, mixed in GOALS:
        if only and name not in only:
            continue
        cells = {}
        for label, a, b in pairs(ours, scenario):
            key = (label, profile, scenario)
            if key not in cache:
                cache[key] = [e for _ in range(args.runs) for e in lab(a, b, profile, scenario, args.binary)]
            found = [e for e in cache[key] if e["event"] == event]
            values = [v for v in (value(e, name) for e in found) if v is not None]
            failed = [e.get("failed") or 0 for e in found]
            record[name + " " + label] = {"values": values, "failed": failed}
            if values:
                cells[label] = (statistics.median(values), max(values), statistics.median(failed))
        show = {k: "%.1f (%.1f) [%d]" % v for k, v in cells.items()}
        met = "o/o" in cells and cells["o/o"][0] <= goal
        met_mixed = mixed is None or ("o/k" in cells and cells["o/k"][0] <= mixed)
        print("%-42s %-22s %-22s %-22s %-22s %s" % (
            title, show.get("k/k", "-"), show.get("o/o", "-"), show.get("o/k", "-"), show.get("k/o", "-"),
            "<= %s / %s: %s" % (goal, "-" if mixed is None else mixed, "met" if met and met_mixed else "MISSED")))
        sys.stdout.flush()
    if args.out:
        with open(args.out, "w") as f:
            json.dump(record, f)


main()
