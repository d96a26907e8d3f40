#!/usr/bin/env python3
"""Measures the failover goals with keepalived beside ours in the same minutes
and prints a table: goal, keepalived, a tuned keepalived, ours with ours, ours
as master with a keepalived backup, keepalived as master with ours as backup.

  goals.py                 what fits into 12 minutes: 5 rounds of the ordinary events, the rest once
  goals.py --all           5 rounds of everything, 20 heals (about 70 minutes)
  goals.py --only slow,fast   some jobs only (--list names them)
  goals.py --load MINUTES  G7: two busy loops per core beside a pair, false takeovers
  goals.py --soak MINUTES  G19: ports of the bridge toggle at random, adverts 0.1 s

  [--rounds N] [--minutes M] [--binary PATH] [--out FILE]
  [--apart]                one pair at a time, with nothing beside it (four times as long; what is left of the noise
                           is in the first row)
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LAB = os.path.join(HERE, "goallab.py")
KEEPALIVED = "keepalived -n -l -D -P -f {conf} -p {run}/main.pid -r {run}/vrrp.pid"
TUNED = "prioa=254,priob=250,weight=0,tuned=1"
PAIRS = {"k/k": "kk", "tuned": "kk", "o/o": "oo", "o/k": "ok", "k/o": "ko"}
ALL = ["k/k", "o/o", "o/k", "k/o"]

# name: (profile, scenarios, kinds, rounds in 12 minutes, rounds with --all)
JOBS = {
    "slow": ("ver=3,adv=1,track=script", "idle,stop,proxydie,hostcrash,demote", ALL, 5, 5),
    "fast": ("ver=3,adv=0.1,track=script", "stop,proxydie,hostcrash,idle", ALL + ["tuned"], 5, 5),
    "formula": ("ver=3,adv=0.1,track=none,pair=0", "hostcrash", ALL, 1, 5),
    "formula1": ("ver=3,adv=1,track=none,pair=0", "hostcrash", ALL, 1, 5),
    "tiny": ("ver=3,adv=0.01,track=none,pair=0", "hostcrash,idle", ALL, 1, 5),
    "heal": ("ver=3,adv=1,track=none", "isolate,splitbrain", ALL, 1, 10),
    "crash": ("ver=3,adv=1,track=none", "lease,frozen,killworker,killguardian", ["o/o", "o/k"], 1, 5),
    "crashk": ("ver=3,adv=1,track=none", "lease,frozen", ["k/k"], 1, 2),
    "wrong": ("ver=3,adv=0.2,track=none", "invalid,lower", ["k/k", "o/o", "o/k"], 1, 5),
    "reload": ("ver=3,adv=0.3,track=script", "reloads", ["k/k", "o/o"], 1, 3),
}


class Row:
    """One line: which events of which job, the value in them, and the goals (None: no goal)."""

    def __init__(self, title, job, event, value, ours, mixed=None, reverse=None, worst=False, most=False, unit="ms"):
        self.title, self.job, self.event, self.value = title, job, event, value
        self.goals = {"o/o": ours, "o/k": mixed, "k/o": reverse}
        self.worst, self.most, self.unit = worst or most, most, unit


def key(name):
    return lambda e: e.get(name)


def outage(e):
    """The longest gap that touches the move; where something else ended the run, that of the whole window."""
    return e.get("move_ms", e["outage_ms"])


def gone(e):
    return math.inf if e["gone_ms"] is None else e["gone_ms"]


def off(formula):
    return lambda e: None if e["silence_ms"] is None else abs(e["silence_ms"] - formula)


def ahead(e):
    if e.get("garp_first_ms") is None or e.get("adv_first_ms") is None:
        return None
    return e["garp_first_ms"] - e["adv_first_ms"]


def megabytes(e):
    return e["memory_kb_A"] / 1024.0


GAP, LOST = key("outage_ms"), key("failed")
ROWS = [
    Row("(noise: longest gap of 5 s without an event)", "slow", "idle", GAP, None),
    Row("G1 silence minus formula, adv 1 s", "formula1", "hostcrash", off(3609.4), 2, 2, 2),
    Row("G1 silence minus formula, adv 0.1 s", "formula", "hostcrash", off(360.9), 2, 2, 2),
    Row("G1 silence minus formula, adv 0.01 s", "tiny", "hostcrash", off(36.1), 3, 3, 3),
    Row("G2 stop, adv 1 s", "slow", "stop", outage, 15, 15),
    Row("G2 stop, adv 1 s, lost", "slow", "stop", LOST, 0, 1, unit=""),
    Row("G3 stop, adv 0.1 s", "fast", "stop", outage, 15, 15),
    Row("G4 demote, adv 1 s", "slow", "demote", outage, 15, 15),
    Row("G4 demote, adv 1 s, lost", "slow", "demote", LOST, 0, unit=""),
    Row("G5 proxy killed, adv 1 s", "slow", "proxydie", outage, 50, 650),
    Row("G6 proxy killed, adv 0.1 s", "fast", "proxydie", outage, 50, 90),
    Row("G7 host dead, adv 1 s", "slow", "hostcrash", outage, 300),
    Row("G7 host dead, adv 0.1 s", "fast", "hostcrash", outage, 370),
    Row("G8 heal after isolation, worst", "heal", "heal.isolate", outage, 1050, 2000, 2000, worst=True),
    Row("G8 heal after split brain, worst", "heal", "heal.splitbrain", outage, 1050, 2000, 2000, worst=True),
    Row("G9 kill -9 of all: address gone", "crash", "lease", gone, 4300, 4300, worst=True),
    Row("G9 kill -9 of the worker: gone", "crash", "killworker", gone, 100, 100, worst=True),
    Row("G9 kill -9 of the guardian: gone", "crash", "killguardian", gone, 100, 100, worst=True),
    Row("G10 hang: address gone", "crash", "frozen", gone, 4300, 4300, worst=True),
    Row("G9 kill -9, keepalived", "crashk", "lease", gone, None, worst=True),
    Row("G10 hang, keepalived", "crashk", "frozen", gone, None, worst=True),
    Row("G11 wrong packets: longest gap / adv", "wrong", "invalid", key("gap_ratio"), 1.2, 1.2, most=True, unit=""),
    Row("G12 300 lower adverts: extra adverts", "wrong", "lower", lambda e: e["extra"] / e["intervals"], 1, 1, unit="/adv"),
    Row("G12 300 lower adverts: ARPs", "wrong", "lower", lambda e: e["arps"] / e["intervals"], 6, 6, unit="/adv"),
    Row("G13 fail-back, adv 1 s", "slow", "failback", outage, 10, 20, 20),
    Row("G13 fail-back, adv 1 s, lost", "slow", "failback", LOST, 0, unit=""),
    Row("G13 fail-back, adv 0.1 s", "fast", "failback", outage, 10, 20, 20),
    Row("G14 address added, host by host, lost", "reload", "reloads.add", LOST, 0, worst=True, unit=""),
    Row("G14 address removed, lost", "reload", "reloads.remove", LOST, 0, worst=True, unit=""),
    Row("G14 priority changed, lost", "reload", "reloads.priority", LOST, 0, worst=True, unit=""),
    Row("G14 script changed, lost", "reload", "reloads.script", LOST, 0, worst=True, unit=""),
    # ours takes over: from ours, from keepalived that stops, from keepalived that lives
    Row("G15 first ARP after the advert, stop", "slow", "stop", ahead, 1, None, 1),
    Row("G15 first ARP after the advert, fail-back", "slow", "failback", ahead, 1, 1),
    Row("G16 CPU of a core, adv 0.1 s", "fast", "idle", key("cpu_pct_A"), 0.2, unit="%"),
    Row("G16 CPU of a core, adv 0.01 s", "tiny", "idle", key("cpu_pct_A"), 0.5, unit="%"),
    Row("G16 CPU of a loop that only waits and sends, adv 0.1 s", "fast", "idle", key("bare_pct"), None, unit="%"),
    Row("G16 CPU of a loop that only waits and sends, adv 0.01 s", "tiny", "idle", key("bare_pct"), None, unit="%"),
    Row("G16 memory of all processes, each page once", "fast", "idle", megabytes, 8, unit="MB"),
    Row("G16 memory, resident, summed", "fast", "idle", lambda e: e["rss_kb_A"] / 1024.0, None, unit="MB"),
]


def command(letter, ours):
    return KEEPALIVED if letter == "k" else ours


def start(job, kind, ours, binary, seconds, environment=None):
    profile, scenarios = JOBS[job][:2]
    if kind == "tuned":
        profile += "," + TUNED
    if kind[0] != "o":
        scenarios = ",".join(s for s in scenarios.split(",") if s != "demote")
    out = tempfile.NamedTemporaryFile(suffix=".json")
    a, b = PAIRS[kind]
    line = [sys.executable, LAB, "run", "--a", command(a, ours), "--b", command(b, ours), "--profile", profile,
            "--scenarios", scenarios, "--out", out.name, "--max-seconds", str(seconds), "--ctl-demote",
            binary + " vip demote --run-dir {run}"]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, HOLD="1", **(environment or {})))
    return process, out


def wait_for(handles):
    """Until every lab has measured what it had to; only then the first is taken down."""
    for process, _ in handles:
        process.stdout.readline()


def finish(process, out):
    _, errors = process.communicate()
    for line in errors.splitlines()[-3:]:
        sys.stderr.write("  " + line + "\n")
    try:
        with open(out.name) as f:
            return json.load(f)["results"][0]["events"]
    except (ValueError, LookupError):
        return []


def build_bare_loop(place):
    """The yardstick of G16, for the labs that follow; without a C compiler its rows are empty."""
    if not shutil.which("cc"):
        sys.stderr.write("no C compiler: no loop beside G16\n")
        return
    out = os.path.join(place, "bare_loop")
    subprocess.run(["cc", "-O2", "-o", out, os.path.join(HERE, "bare_loop.c")], check=True)
    os.environ["BARE_LOOP"] = out


def measure(jobs, rounds, end, ours, binary, seconds, apart):
    """All kinds of a job run side by side, so that they see the same machine, or one after the other."""
    found = {}
    most = max(rounds[j] for j in jobs)
    for turn in range(most):
        for job in jobs:
            if turn >= rounds[job] or time.monotonic() > end:
                continue
            began = time.monotonic()
            kinds = JOBS[job][2]
            for group in ([[k] for k in kinds] if apart else [kinds]):
                running = [(kind, start(job, kind, ours, binary, seconds)) for kind in group]
                wait_for([handle for _, handle in running])
                for kind, handle in running:
                    found.setdefault((job, kind), []).extend(finish(*handle))
            sys.stderr.write("round %d, %s: %.0f s\n" % (turn + 1, job, time.monotonic() - began))
    return found


def values_of(row, events):
    for event in events:
        if event["event"] == row.event:
            try:
                value = row.value(event)
            except KeyError:        # the time limit cut this one short
                continue
            if value is not None:
                yield value


def cell(row, events):
    values = list(values_of(row, events))
    if not values:
        return None
    return (max(values) if row.worst else statistics.median(values)), max(values), len(values)


def show(row, found):
    cells = {kind: cell(row, found.get((row.job, kind), [])) for kind in PAIRS}
    if not any(cells.values()):
        return None
    def text(kind):
        c = cells[kind]
        if c is None:
            return "-"
        digits = lambda v: "stays" if v == math.inf else ("%.2f" % v if v < 10 and v != int(v) else "%.0f" % v)
        return "%s (%s) n%d" % (digits(c[0]), digits(c[1]), c[2])
    verdicts = []
    for kind, goal in row.goals.items():
        if goal is not None and cells[kind] is not None:
            verdicts.append("%s <= %g: %s" % (kind, goal, "met" if cells[kind][0] <= goal else "MISSED"))
    title = row.title + (" [%s]" % row.unit if row.unit else "")
    return [title] + [text(k) for k in PAIRS] + ["; ".join(verdicts) or "no goal"]


LONG = {
    "loaded": ("G7 takeovers of a living host under load", "ver=3,adv=1,track=script", ("moves",)),
    "soak": ("G19 transitions without a fault, and faults after which the best was not alone in time",
             "ver=3,adv=0.1,track=none", ("unexplained", "late")),
}


def long_run(scenario, minutes, ours, binary, variable):
    """One long scenario of ours with ours, beside keepalived with keepalived. The exit status: 0 met, 1 missed,
    2 nothing measured."""
    title, profile, counts = LONG[scenario]
    JOBS["long"] = (profile, scenario, [], 1, 1)
    end = time.strftime("%H:%M", time.localtime(time.time() + minutes * 60))
    print("%s: %g minutes, until about %s" % (title, minutes, end), flush=True)
    running = [(kind, start("long", kind, ours, binary, int(minutes * 60 + 600), {variable: str(minutes * 60)}))
               for kind in ("o/o", "k/k")]
    wait_for([handle for _, handle in running])
    status = 2
    for kind, handle in running:
        event = next((e for e in finish(*handle) if e["event"] == scenario), None)
        if event is None:
            print("%s %s: nothing measured" % (scenario, kind))
            continue
        shown = {k: v for k, v in event.items() if k not in ("event", "ok", "outage_ms")}
        found = sum(event[c] for c in counts)
        verdict = "0 wanted: %s" % ("MISSED" if found else "met") if kind == "o/o" else "no goal"
        print("%s %s: %s; %d, %s" % (scenario, kind, json.dumps(shown), found, verdict))
        if kind == "o/o":
            status = 1 if found else 0
    return status


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--all", action="store_true")
    ap.add_argument("--only", default="")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--load", type=float)
    ap.add_argument("--soak", type=float)
    ap.add_argument("--apart", action="store_true")
    ap.add_argument("--rounds", type=int)
    ap.add_argument("--minutes", type=float)
    ap.add_argument("--binary", default=os.path.join(ROOT, "target", "release", "evenkeel"))
    ap.add_argument("--out")
    args = ap.parse_args()
    if args.list:
        for name, job in JOBS.items():
            print("%-9s %-36s %s" % (name, job[0], job[1]))
        return
    if os.geteuid():
        raise SystemExit("goals.py needs root for network namespaces")
    if not os.path.exists(args.binary):
        raise SystemExit("%s is not there: cargo build --release" % args.binary)
    binary = os.path.abspath(args.binary)
    ours = binary + " vip -n -l -f {conf} --run-dir {run}"
    if args.load:
        return long_run("loaded", args.load, ours, binary, "LOAD_SECONDS")
    if args.soak:
        return long_run("soak", args.soak, ours, binary, "SOAK_SECONDS")
    jobs = [j for j in args.only.split(",") if j] or list(JOBS)
    unknown = [j for j in jobs if j not in JOBS]
    if unknown:
        raise SystemExit("no job %s; there are: %s" % (", ".join(unknown), ", ".join(JOBS)))
    rounds = {j: args.rounds or JOBS[j][4 if args.all else 3] for j in jobs}
    minutes = args.minutes or (150 if args.all else 11)
    # the ordinary events once, then everything else once, then the ordinary events again: whatever
    # the time limit cuts off, every goal has a value
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        build_bare_loop(place)
        found = measure(jobs, rounds, began + minutes * 60 - 45, ours, binary, 170 if args.all else 90,
                        args.apart)
    print("goals of the VRRP daemon: median (worst) nCOUNT; %s; %d minutes; load %.1f at the end" % (
        binary, (time.monotonic() - began) / 60, os.getloadavg()[0]))
    table = [["goal", "keepalived", "tuned keepalived", "ours/ours", "ours/keepalived", "keepalived/ours", "verdict"]]
    table += [line for line in (show(row, found) for row in ROWS) if line]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    print("G17: tests/run --test vip_points (docs/vip-conformance.md); G18: tests/run --test vip_tools; "
          "G7's hour: --load 60; G19: --soak 60")
    if args.out:
        with open(args.out, "w") as f:
            json.dump({"%s %s" % k: v for k, v in found.items()}, f)


sys.exit(main())
