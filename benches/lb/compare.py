#!/usr/bin/env python3
"""The table of docs/performance.md: evenkeel beside Debian's haproxy, in one run.

  benches/lb/compare.py [--binary target/release/evenkeel] [--reps 3] [--budget 300]

Every figure is a ratio (ours / haproxy's) inside one run of both; the table
shows the median. Figures that move most between runs have several runs in a
repetition. User CPU is what `perf record` says of the run time where it may
(else the clock ticks of /proc, which are too few for a ratio). Checks, counters
and timeouts are on in both. Exit status 1 when a goal is missed.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# workload, metric, what it is, unit, peer, goal, stretch
ROWS = [
    ("conn", "cpu_us_per_op", "new connection: CPU", "us", "haproxy", 0.90, 0.82),
    ("user_conn", "user_us_per_op", "new connection: user CPU", "us", "haproxy", 0.45, 0.30),
    ("msg", "cpu_us_per_op", "small message, 200 connections: CPU", "us", "haproxy", 0.92, 0.85),
    ("user_msg", "user_us_per_op", "small message: user CPU", "us", "haproxy", 0.40, 0.25),
    ("sys_msg", "per_op", "small message: system calls", "", "haproxy", 0.61, None),
    ("pipe", "cpu_us_per_op", "pipelined message: CPU", "us", "haproxy", 0.92, 0.85),
    ("lat1", "cpu_us_per_op", "ping-pong on one connection: CPU", "us", "haproxy", 0.85, 0.76),
    ("sys_conn", "per_op", "new connection: system calls", "", "haproxy", 0.80, None),
    ("bulk1", "cpu_us_per_op", "bulk, 1 connection: CPU per GB", "us", "haproxy", 0.30, 0.20),
    ("bulk16", "cpu_us_per_op", "bulk, 16 connections: CPU per GB", "us", "haproxy", 0.30, 0.20),
    ("bulk1", "cpu_us_per_op", "the same, haproxy with splice forced", "us", "haproxy_splice", 1.0, 0.9),
    ("bulk16", "cpu_us_per_op", "the same, haproxy with splice forced", "us", "haproxy_splice", 0.65, 0.55),
    ("sys_bulk", "per_op", "bulk: system calls per GB", "", "haproxy", 0.10, None),
    ("idle", "bytes_per_conn", "idle connection: memory", "B", "haproxy", 0.35, 0.15),
]
# Runs in a repetition, for figures that move most between runs.
RUNS = {"lat1": 5, "conn": 2, "user_conn": 2, "msg": 2}


def workloads():
    """All workloads, those with several runs spread over the repetition."""
    names = list(dict.fromkeys(row[0] for row in ROWS))
    turns = range(max(RUNS.values()))
    return [name for turn in turns for name in names if RUNS.get(name, 1) > turn]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--binary", default=os.path.join(HERE, "../../target/release/evenkeel"))
    ap.add_argument("--reps", type=int, default=3)
    ap.add_argument("--scale", type=float, default=0.35)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--budget", type=float, default=300)
    args = ap.parse_args()
    binary = os.path.abspath(args.binary)
    work = ",".join(workloads())
    out = subprocess.run(
        [sys.executable, os.path.join(HERE, "lbbench.py"), "--sut", f"{binary} lb -db -f {{cfg}}",
         "--splice", "--raw", "--work", work, "--reps", str(args.reps), "--scale", str(args.scale),
         "--threads", str(args.threads), "--budget", str(args.budget)],
        stdout=subprocess.PIPE, check=False).stdout
    result = json.loads(out)
    if "error" in result:
        print(result["error"], file=sys.stderr)
        return 2
    print(f"threads {args.threads}, repetitions {args.reps}, {result['seconds']} s,"
          f" load {os.getloadavg()[0]:.1f}, truncated: {result['truncated']}\n")
    print("| figure | haproxy | evenkeel | ratio (min-max) | goal | stretch | |")
    print("|---|---|---|---|---|---|---|")
    missed = False
    for workload, metric, what, unit, peer, goal, stretch in ROWS:
        theirs, ours, ratios = [], [], []
        for rep in result["runs"][workload]:
            a, b = rep.get(peer, {}).get(metric), rep.get("sut", {}).get(metric)
            if a and b is not None:
                theirs.append(a)
                ours.append(b)
                ratios.append(b / a)
        if not ratios:
            print(f"| {what} | - | - | no figure | {goal} | {stretch or ''} | |")
            missed = True
            continue
        ratio = statistics.median(ratios)
        verdict = "missed" if ratio > goal else "stretch" if stretch and ratio <= stretch else "met"
        missed |= ratio > goal
        name = f"{what}, {peer}" if peer != "haproxy" else what
        print(f"| {name} | {statistics.median(theirs):,.4g} {unit} | {statistics.median(ours):,.4g} {unit} |"
              f" {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {goal} | {stretch or ''} | {verdict} |")
    errors = sum(r.get("sut", {}).get("errors", 0) for reps in result["runs"].values() for r in reps)
    print(f"\nerrors: {errors}")
    return 1 if missed or errors else 0


if __name__ == "__main__":
    sys.exit(main())
