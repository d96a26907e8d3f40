#!/usr/bin/env python3
"""The lab of viplab.py with what the goals need beyond it: same options, more
scenarios (`goallab.py list`) and profile keys.

  pair=0        `pair_channel off` in ours (plain VRRP: what the formula says)
  lease=0       `address_lease off`
  tuned=1       the options that a good operator of keepalived would set
"""
import datetime
import json
import os
import random
import signal
import socket
import sys
import threading
import time

import viplab
import vrrpkt

mono = time.monotonic
STRANGER = "10.77.0.77"
RHYTHM = 0.005                  # of the client, unless --interval says otherwise


# -- profiles ---------------------------------------------------------------

OWN_KEYS = {"pair": "1", "lease": "1", "tuned": "0"}
plain_profile, plain_conf = viplab.parse_profile, viplab.conf


def parse_profile(text):
    own, rest = dict(OWN_KEYS), []
    for kv in filter(None, (text or "").split(",")):
        k, _, v = kv.partition("=")
        if k in own:
            own[k] = v
        else:
            rest.append(kv)
    return dict(plain_profile(",".join(rest)), **own)


def conf(p, host):
    text = plain_conf(p, host)
    top, inside = [], []
    if p.get("pair") == "0":
        top.append("    pair_channel off")
    if p.get("lease") == "0":
        top.append("    address_lease off")
    if p.get("tuned") == "1":
        top += ["    vrrp_higher_prio_send_advert", "    vrrp_garp_master_refresh 1"]
    text = text.replace("global_defs {\n", "global_defs {\n" + "".join(line + "\n" for line in top), 1)
    return text.replace("    interface eth0\n", "    interface eth0\n" + "".join(line + "\n" for line in inside), 1)


# -- packets ----------------------------------------------------------------

def v4_advert(p, prio, src, **k):
    vips = ["10.77.0." + str(int(viplab.SUFFIX["V"]) + i) for i in range(int(p["nvip"]))]
    if p["ver"] == "2":
        return vrrpkt.v2_body(int(p["vrid"]), prio, vips, adv=int(float(p["adv"])), **k)
    k.setdefault("dst", vrrpkt.MCAST4)
    return vrrpkt.v3_body(int(p["vrid"]), prio, vips, adv_cs=int(round(float(p["adv"]) * 100)), src=src, **k)


def wrong_frames(p):
    """One of each kind of packet that must move no timer."""
    good = lambda **k: v4_advert(p, 200, STRANGER, **k)
    frame = lambda body, **k: vrrpkt.ip_frame(body, STRANGER, vrrpkt.MCAST4, **k)
    other = v4_advert(dict(p, nvip="2"), 50, STRANGER)
    return [frame(good(checksum=0x1234)), frame(good(), ttl=64), frame(good(vtype=0x41)), frame(good(vtype=0x32)),
            frame(good()[:7]), frame(good(count=9)), frame(other)]


def flood(space, frames, rate, seconds):
    """Sends frames from a host at `rate` per second, in a process of its namespace."""
    work = {"frames": [f.hex() for f in frames], "rate": rate, "seconds": seconds}
    code = ("import json,sys,time,socket\n"
            "w=json.load(sys.stdin);f=[bytes.fromhex(x) for x in w['frames']]\n"
            "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,0);s.bind(('eth0',0))\n"
            "n=int(w['rate']*w['seconds']);t0=time.monotonic()\n"
            "for i in range(n):\n"
            " d=t0+i/w['rate']-time.monotonic()\n"
            " if d>0: time.sleep(d)\n"
            " try: s.send(f[i%len(f)])\n"
            " except OSError: pass\n"
            "print(n)\n")
    import subprocess
    q = space.popen([viplab.PY, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out, _ = q.communicate(json.dumps(work))
    return int(out or 0)


def memory_kb(pids):
    """Memory of a daemon's processes together, each page once: what would be free without them if nobody else
    ran the same program (the proportional size would depend on the labs beside this one)."""
    anonymous, files = 0, {}
    for x in pids:
        here, rss = None, 0
        try:
            with open("/proc/%d/smaps" % x) as f:
                for line in f:
                    word = line.split()
                    if not word[0].endswith(":"):
                        here = (word[5], word[2]) if len(word) > 5 else None
                    elif word[0] == "Rss:":
                        rss = int(word[1])
                    elif word[0] == "Anonymous:":
                        anonymous += int(word[1])
                        if here:
                            files[here] = max(files.get(here, 0), rss - int(word[1]))
        except OSError:
            pass
    return anonymous + sum(files.values())


# -- taking down ------------------------------------------------------------

plain_close = viplab.Lab.close


def close(lab):
    """With HOLD=1 only once standard input ends: taking namespaces down costs the kernel time (and its one lock
    for links and addresses) that labs beside this one need."""
    if os.environ.get("HOLD") == "1":
        signal.alarm(0)
        print("done", flush=True)
        sys.stdin.read()
    plain_close(lab)


# -- the outage at the move itself --------------------------------------------

plain_window = viplab.Lab.window


def client_late(starts, begin, end, rhythm):
    """Seconds by which the client itself was late in [begin, end]: it opens a connection each `rhythm` seconds whatever
    happens to those before, so a longest pause between two starts beyond that is no daemon's."""
    within = [begin] + [t for t in starts if begin < t < end] + [end]
    return max(0.0, max(b - a for a, b in zip(within, within[1:])) - rhythm)


def window(lab, name, t0, t1, who, ok, old, t_done=None):
    """The window of viplab.py takes the longest gap of several seconds, which on a busy machine is any hiccup of
    the client. `move_ms` is the longest one that touches the move, from the trigger (for a fail-back from 20 ms
    before the first sign of the new master) until 20 ms after the client saw it and the old one let go, without
    the time in which the client itself was late; `late_ms` is what was taken off."""
    d = plain_window(lab, name, t0, t1, who, ok, old, t_done)
    if not name.startswith(("stop", "demote", "proxydie", "hostcrash", "failback")):
        return d
    known = lambda *names: [t0 + d[n] / 1e3 for n in names if d.get(n) is not None]
    begin = t0
    if name.startswith("failback"):
        begin = min(known("adv_first_ms", "vip_add_ms", "garp_first_ms"), default=t0) - 0.02
    end = max(known("takeover_ms", "vip_del_ms"), default=t1) + 0.02
    rows = [r for r in list(lab.probe.rows) if t0 - 0.5 <= r[1] <= t1]
    starts = sorted(r[0] for r in rows)
    good = sorted(r[1] for r in rows if not r[2].startswith("-"))
    gaps = [(b - a, client_late(starts, a, b, RHYTHM)) for a, b in zip(good, good[1:] + [t1]) if b > begin and a < end]
    gap, late = max(gaps, key=lambda g: g[0] - g[1], default=(d["outage_ms"] / 1e3, 0.0))
    d["move_ms"], d["late_ms"] = round((gap - late) * 1e3, 1), round(late * 1e3, 1)
    return d


# -- scenarios --------------------------------------------------------------

class Runner(viplab.Runner):
    def gone(self, t0):
        """Milliseconds from t0 until A held the address no more; None if it still holds it."""
        lab = self.lab
        limit = t0 + int(self.mdi + 0.999) + 1.5
        while lab.held("A") and mono() < limit:
            time.sleep(0.01)
        if lab.held("A"):
            return None
        gone = [r["t"] for r in list(lab.addr["A"].rows) if r["kind"] == "addr" and r["ev"] == "del" and r["t"] >= t0]
        return round((gone[0] - t0) * 1e3, 1) if gone else 0.0

    def adverts(self, t0, t1, port="pA"):
        rows, patience = self.lab.pkts.rows, mono() + 10
        while rows[-1]["t"] < t1 and mono() < patience:
            time.sleep(0.01)            # the observer has a flood to read before
        return [r["t"] for r in list(self.lab.pkts.rows)
                if r.get("kind") == "vrrp" and r["port"] == port and t0 <= r["t"] <= t1 and r.get("prio") != 0]

    def lease(self):
        """kill -9 of every process at once: how long does the address stay?"""
        lab = self.lab
        self.phase()
        t0 = mono()
        lab.daemon["A"].sigkill()
        gone = self.gone(t0)
        self.rec({"event": "lease", "ok": lab.steady("B", self.settle, self.limit), "outage_ms": 0.0, "gone_ms": gone})
        self.back_to_a("failback.lease", lab.daemon["A"].start)

    def frozen(self):
        """SIGSTOP of every process: how long does the address stay?"""
        lab = self.lab
        self.phase()
        t = viplab.tree(lab.daemon["A"].p.pid)
        t0 = mono()
        for x in t:
            os.kill(x, signal.SIGSTOP)
        gone = self.gone(t0)
        ok = lab.steady("B", self.settle, self.limit)
        self.rec({"event": "frozen", "ok": ok, "outage_ms": 0.0, "gone_ms": gone})
        for x in reversed([lab.daemon["A"].p.pid] + t):
            os.kill(x, signal.SIGCONT)
        self.back_to_a("failback.frozen", lambda: None, limit=75)

    def kill_one(self, role, name):
        lab = self.lab
        self.phase()
        main = lab.daemon["A"].main()
        victim = main
        if role:
            for x in viplab.children(main):
                with open("/proc/%d/cmdline" % x, "rb") as f:
                    if ("--role=" + role).encode() in f.read():
                        victim = x
        t0 = mono()
        os.kill(victim, signal.SIGKILL)
        gone = self.gone(t0)
        self.rec({"event": name, "ok": True, "outage_ms": 0.0, "gone_ms": gone})
        if role is None:
            lab.daemon["A"].wait(5)
            lab.daemon["A"].start()
        lab.steady("A", self.settle, self.limit + 8, "A")

    def killworker(self):
        self.kill_one("worker", "killworker")

    def killguardian(self):
        self.kill_one(None, "killguardian")

    def invalid(self):
        """Wrong packets of every kind, 10 to 4000 a second: the longest gap between adverts."""
        frames = wrong_frames(self.lab.p)
        for rate in (10, 100, 1000, 4000):
            t0 = mono()
            flood(self.lab.C, frames, rate, max(2.0, 8 * self.adv))
            t1 = mono()
            adv = self.adverts(t0, t1)
            gaps = [b - a for a, b in zip([t0] + adv, adv + [t1])]
            self.rec({"event": "invalid", "ok": True, "outage_ms": 0.0, "rate": rate, "adverts": len(adv),
                      "gap_ratio": round(max(gaps) / self.adv, 3)})
        self.lab.steady("A", self.settle, self.limit + 8, "A")

    def lower(self):
        """300 adverts of a lower priority in one second: what does the master send?"""
        lab = self.lab
        self.quiet()
        frame = vrrpkt.ip_frame(v4_advert(lab.p, 20, STRANGER), STRANGER, vrrpkt.MCAST4)
        t0 = mono()
        flood(lab.C, [frame], 300, 1.0)
        time.sleep(0.05)
        t1 = mono()
        adv = self.adverts(t0, t1)
        arps = sum(1 for r in list(lab.pkts.rows) if r.get("garp") and r["port"] == "pA" and t0 <= r["t"] <= t1)
        extra = max(0, len(adv) - int((t1 - t0) / self.adv) - 1)
        self.rec({"event": "lower", "ok": True, "outage_ms": 0.0, "adverts": len(adv), "extra": extra, "arps": arps,
                  "intervals": round((t1 - t0) / self.adv, 2)})

    def rewrite(self, n, change):
        path = os.path.join(self.lab.work, n, "vrrp.conf")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(change(text))

    def reloads(self):
        """Host by host: an address more, one less, another priority, another script."""
        lab = self.lab
        vip = "        " + lab.vip + ("/64" if lab.v6 else "/24") + "\n"
        more = vip + vip.replace(lab.vip, lab.vip[:-2] + "60")
        changes = [("add", lambda t: t.replace(vip, more)), ("remove", lambda t: t.replace(more, vip)),
                   ("priority", lambda t: t.replace("priority 110", "priority 112")),
                   ("script", lambda t: t.replace("    fall 2\n", "    fall 3\n"))]
        for what, change in changes:
            t0 = mono()
            moved = 0
            for n in "AB":
                self.rewrite(n, change)
                d = lab.measure("reloads." + what, lambda n=n: lab.daemon[n].signal(signal.SIGHUP), "A", self.settle,
                                self.limit + 20, None, self.mdi + 0.5)
                moved += d["flips"]
                self.rec(d, host=n, dual_ms=lab.dual_ms(t0, mono()))

    def soak(self):
        """Ports toggle at random; whatever happens, in the end A alone is master."""
        lab = self.lab
        span = float(os.environ.get("SOAK_SECONDS", "60"))
        seed = int(os.environ.get("SOAK_SEED", "1"))
        rng = random.Random(seed)
        end = mono() + span
        faults = unexplained = explained = late = 0
        calm_from = mono()
        while mono() < end:
            calm = rng.uniform(0.5, 4.0)
            before, from_ = len(self.moves()), time.time()
            time.sleep(calm)
            moved = self.moves()[before:]
            if moved:
                told = self.lateness(from_ - 1)
                unexplained += 0 if told else len(moved)
                explained += len(moved) if told else 0
                sys.stderr.write("soak seed %d: %r without a fault%s\n" % (seed, moved, told))
            self.fault(rng)
            faults += 1
            t0 = mono()
            if not lab.steady("A", 0.2, self.mdi + self.adv + 2.0, "A"):
                late += 1
                rows = self.lab.probe.rows[-40:]
                sys.stderr.write("soak seed %d: A not alone %.1f s after fault %d at %s: %s answered of 40, addresses on %s%s\n" % (
                    seed, mono() - t0, faults, time.strftime("%H:%M:%S", time.gmtime()),
                    "".join(sorted({r[2][0] for r in rows})), lab.holders(), self.lateness(from_)))
                lab.steady("A", 0.2, 60, "A")
            time.sleep(self.adv * 2)
        self.rec({"event": "soak", "ok": True, "outage_ms": 0.0, "seed": seed, "faults": faults,
                  "unexplained": unexplained, "daemon_was_late": explained, "late": late, "seconds": round(mono() - calm_from)})

    def lateness(self, since):
        """When our daemons were late since then, by their own account: then a change of role without a fault has its cause."""
        told = []
        for n in "AB":
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(2)
                    s.connect(os.path.join(self.lab.work, n, "vip.sock"))
                    s.sendall(b"status\n")
                    late = json.loads(s.makefile().readline())["instances"][0]["late"]
                told += ["; %s late by %d ms at %s: %s" % (n, l["by_ms"], l["at"], l["reason"]) for l in late
                         if datetime.datetime.fromisoformat(l["at"].replace("Z", "+00:00")).timestamp() >= since]
            except (OSError, ValueError, KeyError, IndexError):
                pass
        return "".join(told)

    def moves(self):
        """Role changes as the network sees them: an address that came or went."""
        seen, out = {}, []
        for n in "AB":
            for r in list(self.lab.addr[n].rows):
                if r["kind"] == "addr" and seen.get(n) != r["ev"]:
                    seen[n] = r["ev"]
                    out.append((n, r["ev"]))
        return out

    def fault(self, rng):
        lab = self.lab
        kind = rng.choice(["flap", "cut", "split", "drop"])
        port = rng.choice(["pA", "pB"])
        length = rng.uniform(0.02, 3.0)
        if kind == "flap":
            lab.br.sh("ip link set %s down" % port)
            time.sleep(length)
            lab.br.sh("ip link set %s up" % port)
        elif kind == "cut":
            lab.br.sh("ip link set %s nomaster" % port)
            time.sleep(length)
            lab.br.sh("ip link set %s master br0" % port)
        elif kind == "split":
            for v in ("on", "off"):
                for p in ("pA", "pB"):
                    lab.br.sh("bridge link set dev %s isolated %s" % (p, v))
                time.sleep(length if v == "on" else 0)
        else:
            for _ in range(rng.randrange(3, 12)):
                lab.br.sh("ip link set %s nomaster" % port)
                time.sleep(rng.uniform(0.0, 0.1))
                lab.br.sh("ip link set %s master br0" % port)
                time.sleep(rng.uniform(0.0, 0.1))

    def loaded(self):
        """Busy loops on every core, twice over: false takeovers of a living host."""
        lab = self.lab
        span = float(os.environ.get("LOAD_SECONDS", "60"))
        busy = [viplab.subprocess.Popen([viplab.PY, "-c", "while 1: pass"], preexec_fn=viplab._pdeath)
                for _ in range(int(os.environ.get("LOAD_LOOPS", 2 * (os.cpu_count() or 1))))]
        before = len(self.moves())
        t0 = mono()
        try:
            time.sleep(span)
        finally:
            for b in busy:
                b.kill()
                b.wait()
        moved = self.moves()[before:]
        adv = self.adverts(t0, mono())
        gaps = [b - a for a, b in zip(adv, adv[1:])]
        self.rec({"event": "loaded", "ok": True, "outage_ms": 0.0, "seconds": round(mono() - t0), "moves": len(moved),
                  "longest_gap_ms": round(max(gaps) * 1e3, 1) if gaps else None})

    def idle(self):
        super().idle()
        for n in "AB":
            self.out[-1]["memory_kb_" + n] = memory_kb(viplab.tree(self.lab.daemon[n].p.pid))
        if os.environ.get("BARE_LOOP") and self.adv <= 0.1:
            loop = [os.environ["BARE_LOOP"], viplab.NET4 + viplab.SUFFIX["A"], str(round(self.adv * 1000)), "5"]
            self.out[-1]["bare_pct"] = float(self.lab.A.sh(loop))


viplab.parse_profile, viplab.conf, viplab.Runner, viplab.Lab.close = parse_profile, conf, Runner, close
viplab.Lab.window = window
viplab.NAMES += ["lease", "frozen", "killworker", "killguardian", "invalid", "lower", "reloads", "soak", "loaded"]

if __name__ == "__main__":
    sys.exit(viplab.main())
