#!/usr/bin/env python3
"""When do clients that only wait hear that the host of their connection died?

  idle.py [--runs N] [--clients N] [--limit SECONDS] [--binary PATH] [--adv LIST]

Each run: clients connect to the virtual address and wait, as AMQP consumers between
two messages do. The master's host goes off the network at once, with all it runs. The
time from then until each client's connection ends is printed, for keepalived on both
hosts and for ours; a client that hears nothing within the limit counts as `never`.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import viplab

PORT = 82
SERVER = ("import socket\n"
          "s=socket.create_server(('::',%d),family=socket.AF_INET6,dualstack_ipv6=True,backlog=4096)\n"
          "kept=[]\n"
          "while 1: kept.append(s.accept())\n" % PORT)
CLIENT = ("import resource,select,socket,sys,time\n"
          "vip,port,n=sys.argv[1],int(sys.argv[2]),int(sys.argv[3])\n"
          "resource.setrlimit(resource.RLIMIT_NOFILE,(20000,20000))\n"
          "p=select.epoll();c={}\n"
          "for _ in range(n):\n"
          " s=socket.create_connection((vip,port),5);s.setblocking(False);c[s.fileno()]=s;p.register(s,select.EPOLLIN)\n"
          "print('connected',flush=True)\n"
          "while c:\n"
          " for fd,_ in p.poll():\n"
          "  p.unregister(fd);c.pop(fd).close();print(time.monotonic(),flush=True)\n")


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--clients", type=int, default=500)
    p.add_argument("--limit", type=float, default=15)
    p.add_argument("--adv", default="0.1,1", help="advert intervals, seconds")
    p.add_argument("--binary", default=os.path.join(viplab.HERE, "../../target/release/evenkeel"))
    return p.parse_args()


def one_run(command, adv, o):
    """Seconds from the death of the host for each client that heard of it."""
    profile = viplab.parse_profile("adv=%s,server=python" % adv)
    with tempfile.TemporaryDirectory(prefix="idle-") as work:
        lab = viplab.Lab(command, command, profile, work)
        started = []
        try:
            for host in "AB":
                lab.daemon[host].start()
                started.append(getattr(lab, host).popen([viplab.PY, "-c", SERVER]))
            if not lab.steady("A", 1.0, 30, "A"):
                raise RuntimeError("no master: see the daemons' logs")
            client = lab.C.popen([viplab.PY, "-c", CLIENT, lab.vip, str(PORT), str(o.clients)],
                                 stdout=subprocess.PIPE, text=True)
            started.append(client)
            if client.stdout.readline().strip() != "connected":
                raise RuntimeError("the clients cannot connect")
            heard = viplab.Reader(client, float)
            # consumers live for hours; this is long enough for every list to have been told
            time.sleep(6)
            died = time.monotonic()
            lab.br.sh("ip link set pA nomaster")
            while len(heard.rows) < o.clients and time.monotonic() - died < o.limit:
                time.sleep(0.05)
            return [at - died for at in heard.rows]
        finally:
            for process in started:
                process.kill()
            lab.close()


def main():
    o = options()
    ours = os.path.abspath(o.binary) + " vip -n -l -D -f {conf} --run-dir {run}/run"
    print("| adverts | daemon on both hosts | clients that heard | first / median / last, ms (each run) |")
    print("|---|---|---|---|")
    for adv in o.adv.split(","):
        rows = {"keepalived": [], "Evenkeel": []}
        for run in range(o.runs):
            kinds = [("keepalived", viplab.KEEPALIVED), ("Evenkeel", ours)]
            for name, command in kinds if run % 2 == 0 else reversed(kinds):
                rows[name].append(one_run(command, adv, o))
        for name, runs in rows.items():
            heard = sum(map(len, runs))
            cells = []
            for times in runs:
                ms = sorted(1000 * t for t in times)
                cells.append("%.0f / %.0f / %.0f" % (ms[0], statistics.median(ms), ms[-1]) if ms else "never")
            print("| %s s | %s | %d of %d | %s |" % (adv, name, heard, o.runs * o.clients, "; ".join(cells)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
