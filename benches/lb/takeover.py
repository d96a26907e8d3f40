#!/usr/bin/env python3
"""Takeovers by new processes under load: how many connections fail.

  benches/lb/takeover.py [--binary target/release/evenkeel] [--takeovers 50] [--clients 8]
                         [--long 50] [--haproxy]

Clients open connections as fast as they can (connect, 64 bytes there and
back, close) while processes follow each other by `-sf PID`, with one to four
threads in turn. Besides, some long sessions began in the first process. A
connection that is refused, reset or not answered counts as failed. With
--haproxy the same is done with haproxy (`-x`, `expose-fd listeners`).
Exit status 1 when anything failed.
"""
import argparse
import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ADDRESS = "127.77.%d.%d" % (os.getpid() >> 8 & 255, os.getpid() & 255)
FRONT, BACK = (ADDRESS, 7001), (ADDRESS, 7002)
PATIENCE = 20


async def serve():
    async def echo(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(echo, *BACK, backlog=4096)
    await server.serve_forever()


def server():
    asyncio.run(serve())


def exchange(stream, size=64):
    stream.sendall(b"x" * size)
    left = size
    while left:
        got = stream.recv(left)
        if not got:
            raise ConnectionError("closed early")
        left -= len(got)


def client(stop, results):
    done, failures = 0, []
    while not stop.is_set():
        try:
            with socket.create_connection(FRONT, PATIENCE) as stream:
                exchange(stream)
            done += 1
        except OSError as error:
            failures.append(repr(error))
            time.sleep(0.01)
    results.put((done, failures))


def config(path, threads, directory):
    with open(path, "w") as out:
        out.write(
            f"global\n    nbthread {threads}\n    maxconn 4000\n"
            f"    stats socket {directory}/cli.sock level admin expose-fd listeners\n"
            "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n"
            f"listen a\n    bind {FRONT[0]}:{FRONT[1]}\n    server s1 {BACK[0]}:{BACK[1]}\n"
        )


def pid_at(directory):
    try:
        with socket.socket(socket.AF_UNIX) as cli:
            cli.settimeout(2)
            cli.connect(f"{directory}/cli.sock")
            cli.sendall(b"show info\n")
            text = b""
            while piece := cli.recv(65536):
                text += piece
    except OSError:
        return None
    for line in text.decode().splitlines():
        if line.startswith("Pid: "):
            return int(line[5:])
    return None


def wait(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited in vain: {what}")
        time.sleep(0.005)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--binary", default=os.path.join(HERE, "../../target/release/evenkeel"))
    ap.add_argument("--takeovers", type=int, default=50)
    ap.add_argument("--clients", type=int, default=8)
    ap.add_argument("--long", type=int, default=50)
    ap.add_argument("--haproxy", action="store_true")
    args = ap.parse_args()
    directory = tempfile.mkdtemp(prefix="takeover")
    file = f"{directory}/lb.cfg"
    log = open(f"{directory}/log", "ab")

    def start(turn, old):
        config(file, [1, 3, 2, 4][turn % 4], directory)
        follow = ["-sf", str(old)] if old else []
        if args.haproxy:
            take = ["-x", f"{directory}/cli.sock"] if old else []
            command = ["haproxy", "-db", "-f", file, *take, *follow]
        else:
            command = [os.path.abspath(args.binary), "lb", "-db", "--run-dir", f"{directory}/run", "-f", file, *follow]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        wait("the process serves", lambda: pid_at(directory) == process.pid)
        return process

    back = multiprocessing.Process(target=server, daemon=True)
    back.start()
    processes = [start(0, None)]
    wait("sessions pass", lambda: not socket.socket().connect_ex(BACK))
    long = [socket.create_connection(FRONT, PATIENCE) for _ in range(args.long)]
    for stream in long:
        exchange(stream)
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    clients = [multiprocessing.Process(target=client, args=(stop, results)) for _ in range(args.clients)]
    for one in clients:
        one.start()
    begin = time.monotonic()
    longest = 0.0
    for turn in range(1, args.takeovers + 1):
        before = time.monotonic()
        processes.append(start(turn, processes[-1].pid))
        longest = max(longest, time.monotonic() - before)
        time.sleep(0.05)
    lost = 0
    for stream in long:
        try:
            exchange(stream)
        except OSError:
            lost += 1
    stop.set()
    seconds = time.monotonic() - begin
    done, failures = 0, []
    for _ in clients:
        count, problems = results.get(timeout=PATIENCE * 2)
        done += count
        failures += problems
    for stream in long:
        stream.close()
    running = lambda: [p for p in processes[:-1] if p.poll() is None]
    wait("old processes end with their sessions", lambda: not running())
    processes[-1].send_signal(signal.SIGTERM)
    processes[-1].wait()
    back.terminate()
    name = "haproxy" if args.haproxy else "evenkeel"
    print(f"{name}: {args.takeovers} takeovers in {seconds:.1f} s (slowest {longest * 1000:.0f} ms, load"
          f" {os.getloadavg()[0]:.0f}): {done} connections, {len(failures)} failed;"
          f" {args.long} long sessions, {lost} lost")
    for problem in sorted(set(failures))[:10]:
        print(f"  {failures.count(problem)} x {problem}")
    return 1 if failures or lost else 0


if __name__ == "__main__":
    sys.exit(main())
