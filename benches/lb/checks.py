#!/usr/bin/env python3
"""CPU of health checks: evenkeel beside Debian's haproxy, many servers, no traffic.

  benches/lb/checks.py [--binary target/release/evenkeel] [--servers 2000] [--seconds 20] [--reps 3]

Every server is an address of its own in 127/8 in front of one listening socket,
checked every second. Both proxies run at once in each repetition, so that they
share the same machine at the same moments; CPU time comes from schedstat. With
`--kind tcp` (a plain connect), `--kind script` (send and expect a banner), or
`--kind down` (refused). Exit status 1 when evenkeel needs more than haproxy.
"""
import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import procs

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {
    "tcp": "",
    "script": " option tcp-check\n tcp-check expect string READY\n",
    "down": "",
}


def answer(listener):
    """Greets whoever comes to be accepted, until the process ends."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            client.sendall(b"READY\n")
        except OSError:
            pass
        client.close()


def config(path, servers, port, kind, stats, front):
    """One listen section with so many servers, each on its own address."""
    lines = [
        f" server s{n} 127.{1 + n // 62500}.{n // 250 % 250}.{1 + n % 250}:{port}"
        for n in range(servers)
    ]
    with open(path, "w") as out:
        out.write(
            f"global\n nbthread 1\n maxconn 100\n stats socket {stats}\n"
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
            f" default-server check inter 1s\nlisten l\n bind 127.0.0.1:{front}\n"
            + KINDS[kind] + "\n".join(lines) + "\n")


def states(path):
    """How many servers are up, and how many are known at all."""
    with socket.socket(socket.AF_UNIX) as cli:
        cli.connect(path)
        cli.sendall(b"show stat -1 4 -1\n")
        text = b"".join(iter(lambda: cli.recv(65536), b"")).decode()
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    return sum(r[17].startswith("UP") for r in rows), len(rows)


def measure(args, directory, port, rep):
    """Microseconds of CPU for one check, by proxy."""
    commands = [("haproxy", "haproxy -db -f {cfg}"), ("evenkeel", f"{args.binary} lb -db -f {{cfg}}")]
    fronts = procs.free_ports(2)
    if rep % 2:
        commands.reverse()  # who starts first has its checks in the other's wake
    running = []
    for (name, command), front in zip(commands, fronts):
        cfg, stats = (os.path.join(directory, f"{name}{rep}.{end}") for end in ("cfg", "sock"))
        config(cfg, args.servers, port, args.kind, stats, front)
        log = os.path.join(directory, f"{name}{rep}.log")
        running.append((name, procs.Proc(command.format(cfg=cfg), log), stats))
    time.sleep(5)  # first checks are spread over the interval; everything is warm then
    before = {name: proc.cpu_ns() for name, proc, _ in running}
    time.sleep(args.seconds)
    found = {}
    for name, proc, stats in running:
        spent = proc.cpu_ns() - before[name]
        up, known = states(stats)
        wanted = 0 if args.kind == "down" else args.servers
        if known != args.servers or up != wanted:
            sys.exit(f"{name}: {up} of {known} servers are up, {wanted} of {args.servers} should be")
        found[name] = spent / 1000 / (args.servers * args.seconds)
    for _, proc, _ in running:
        proc.stop()
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(HERE, "../../target/release/evenkeel"))
    parser.add_argument("--servers", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--kind", choices=sorted(KINDS), default="tcp")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    if os.getuid() == 0 and not args.inside:
        again = " ".join(map(repr, [sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--inside"]))
        return subprocess.call(
            ["unshare", "-n", "-p", "-f", "-m", "--mount-proc", "--kill-child", "sh", "-c",
             f"ip link set lo up; mount -t tmpfs none /run; exec {again}"])
    procs.raise_nofile()
    ratios, rows = [], []
    with tempfile.TemporaryDirectory() as directory, socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", 0))
        port = listener.getsockname()[1]
        if args.kind != "down":
            listener.listen(4096)
            threading.Thread(target=answer, args=(listener,), daemon=True).start()
        try:
            for rep in range(args.reps):
                found = measure(args, directory, port, rep)
                rows.append(found)
                ratios.append(found["evenkeel"] / found["haproxy"])
        finally:
            procs.stop_all()
    print(f"{args.servers} servers, a check a second ({args.kind}), {args.reps} x {args.seconds:g} s,"
          f" load {os.getloadavg()[0]:.1f}\n")
    print("| CPU for a check | haproxy | evenkeel | ratio (min-max) | goal |\n|---|---|---|---|---|")
    theirs, ours = (statistics.median(row[name] for row in rows) for name in ("haproxy", "evenkeel"))
    ratio = statistics.median(ratios)
    print(f"| {args.kind} | {theirs:.2f} us | {ours:.2f} us | {ratio:.2f}"
          f" ({min(ratios):.2f}-{max(ratios):.2f}) | 1.0 |")
    return 1 if ratio > 1.0 else 0


if __name__ == "__main__":
    sys.exit(main())
