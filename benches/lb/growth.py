#!/usr/bin/env python3
"""Sessions opened and closed for long: does the balancer's memory grow?

  benches/lb/growth.py [--binary target/release/evenkeel] [--seconds 3600] [--rate 100]

One listener, one checked echo server, sessions of 64 bytes each way. After a
warm-up (70 s, until histories of the last minute and pools have their size)
and then once a minute it prints sessions, anonymous memory, resident memory and
open descriptors of the process; the last line compares the first with the last.
`tests/lb_long/growth.rs` is the same for two minutes. Exit status 1 when anonymous
memory grew by more than 512 KiB or descriptors by more than two.
"""
import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import procs


def echo(listener):
    """Sends back what it gets, one connection after the other."""
    while True:
        client, _ = listener.accept()
        with client:
            try:
                while data := client.recv(256):
                    client.sendall(data)
            except OSError:
                pass


def session(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"x" * 64)
        left = 64
        while left:
            left -= len(client.recv(left)) or sys.exit("a session ended early")


def figures(pid):
    """KiB of anonymous memory, KiB resident, descriptors."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line and "kB" in line)
    kib = [int(lines[name].split()[0]) for name in ("Anonymous", "Rss")]
    return kib + [len(os.listdir(f"/proc/{pid}/fd"))]


def run(port, rate, seconds):
    """Sessions at the rate for so long; how many there were."""
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        session(port)
        count += 1
        time.sleep(max(0.0, begin + count / rate - time.monotonic()))
    return count


def measure(args, pid, port):
    run(port, args.rate, min(args.seconds / 4, 70))
    first, sessions, end = figures(pid), 0, time.monotonic() + args.seconds
    print("sessions  anonymous KiB  resident KiB  descriptors")
    print("%8d  %13d  %12d  %11d" % (0, *first), flush=True)
    while (left := end - time.monotonic()) > 0:
        sessions += run(port, args.rate, min(60, left))
        last = figures(pid)
        print("%8d  %13d  %12d  %11d" % (sessions, *last), flush=True)
    grown = [after - before for before, after in zip(first, last)]
    print("after %d sessions: %+d KiB anonymous, %+d KiB resident, %+d descriptors" % (sessions, *grown))
    return grown[0] <= 512 and grown[2] <= 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--binary", default=os.path.join(here, "../../target/release/evenkeel"))
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=float, default=100)
    args = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    threading.Thread(target=echo, args=(listener,), daemon=True).start()
    server, (port,) = listener.getsockname()[1], procs.free_ports(1)
    with tempfile.TemporaryDirectory() as directory:
        cfg = os.path.join(directory, "growth.cfg")
        with open(cfg, "w") as out:
            out.write(
                "defaults\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                f"listen a\n bind 127.0.0.1:{port}\n server s1 127.0.0.1:{server} check inter 1s\n")
        command = [args.binary, "lb", "-db", "--run-dir", directory, "-f", cfg]
        balancer = subprocess.Popen(command)
        try:
            for _ in range(200):
                time.sleep(0.05)
                if not socket.socket().connect_ex(("127.0.0.1", port)):
                    break
            good = measure(args, balancer.pid, port)
        finally:
            balancer.terminate()
            balancer.wait()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
