"""Uses the balancer's statistics page in a headless Chromium as an operator would, with 500 servers and 5 000 sessions.

usage: stats.py EVENKEEL DIRECTORY [DIRECTORY FOR PICTURES]
Starts the balancer itself. Ends with "page: ok", or with what is wrong.
"""

import os
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chromium import Browser, wait  # noqa: E402

EVENKEEL, FOLDER = sys.argv[1:3]
PICTURES = sys.argv[3] if len(sys.argv) > 3 else None
SERVERS, SESSIONS = 500, 5000
PAGE = "http://127.0.0.1:8100/stats"

CONFIG = f"""global
    stats socket {FOLDER}/cli.sock level admin
    maxconn 9000
defaults
    mode tcp
    maxconn 8000
    timeout connect 2s
    timeout client 1h
    timeout server 1h
listen rabbitmq
    bind 127.0.0.1:5672
    balance leastconn
    rebalance 10% within 10% settle 1s
    drain-sessions 100%
    server rmq1 127.0.0.1:7001 check inter 500ms weight 100 maxconn 3000 # the first
    server rmq2 127.0.0.1:7001 check inter 500ms weight 100
    server rmq3 127.0.0.1:7003 check inter 500ms fall 1
backend many
    balance roundrobin
""" + "".join(
    f"    server s{n} 127.0.0.1:{7002 if n % 10 == 0 else 7001} check inter 2s\n" for n in range(1, SERVERS + 1)
) + """frontend spread
    bind 127.0.0.1:5673
    default_backend many
listen monitor
    bind 127.0.0.1:8100
    mode http
    stats enable
    stats uri /stats
    stats refresh 1s
    stats show-legends
    stats admin if TRUE
"""


KEPT = []


def sink(port, stop):
    """Accepts and keeps what comes, also when it has stopped."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.settimeout(0.2)

    def run():
        chosen = selectors.DefaultSelector()
        chosen.register(listener, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in chosen.select(0.2):
                if key.fileobj is listener:
                    connection = listener.accept()[0]
                    KEPT.append(connection)
                    chosen.register(connection, selectors.EVENT_READ)
                    continue
                try:
                    gone = not key.fileobj.recv(65536)
                except OSError:
                    gone = True
                if gone:
                    chosen.unregister(key.fileobj)
                    key.fileobj.close()
        listener.close()

    threading.Thread(target=run, daemon=True).start()


def ask(command):
    with socket.socket(socket.AF_UNIX) as cli:
        cli.connect(f"{FOLDER}/cli.sock")
        cli.sendall(command.encode() + b"\n")
        answer = b""
        while data := cli.recv(65536):
            answer += data
    return answer.decode()


def fetch(path):
    with urllib.request.urlopen(PAGE + path, timeout=60) as answer:
        return answer.read().decode()


def picture(browser, name):
    if PICTURES:
        browser.run("new Promise((r) => setTimeout(r, 250))")
        browser.picture(os.path.join(PICTURES, f"{name}.png"))


VISIBLE = "[...document.querySelectorAll('table.rows tbody tr')].filter((r) => /^S/.test(r.dataset.k) && r.offsetParent)"


def main_page(browser):
    begun = time.monotonic()
    browser.open(PAGE)
    browser.until("document.getElementById('live') && !document.getElementById('live').hidden", "the script")
    print(f"{SERVERS} servers, {SESSIONS} sessions: shown after {time.monotonic() - begun:.1f} s")
    assert browser.run(f"{VISIBLE}.length") == SERVERS + 3
    picture(browser, "main")
    # keyboard: / searches, Escape gives everything back
    browser.key("/")
    assert browser.run("document.activeElement.type") == "search"
    for letter in "s499":
        browser.key(letter)
    browser.until(f"{VISIBLE}.length === 1", "the search")
    picture(browser, "search")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    browser.until(f"{VISIBLE}.length === {SERVERS + 3}", "all servers again")
    # keyboard: a heading sorts
    browser.run("""[...document.querySelector('section[data-proxy=many] table.rows').tHead.rows[1].cells]
        .find((c) => c.textContent === 'Status').focus()""")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    browser.until("document.querySelectorAll('th[aria-sort]').length === 1", "a sorted column")
    # values change in place: the page is not loaded again
    browser.run("window.mark = 1")
    ask("set server many/s7 weight 77")
    browser.until("document.getElementById('many/s7').closest('tr').textContent.includes('77/77')", "the new weight")
    assert browser.run("window.mark") == 1, "the page was loaded again"
    browser.key("p")
    browser.until("document.querySelector('#live span').textContent === 'paused'", "the pause")


def rebalancing(browser):
    assert "Rebalancing:" in browser.run("document.querySelector('.moves').textContent")
    browser.run("document.querySelector('section[data-proxy=rabbitmq]').scrollIntoView()")
    picture(browser, "rebalancing")


def history(browser):
    browser.run("document.querySelector('section[data-proxy=rabbitmq] details').open = true")
    assert browser.run("document.querySelectorAll('section[data-proxy=rabbitmq] svg').length") == 5
    browser.run("document.querySelector('section[data-proxy=rabbitmq] details').scrollIntoView()")
    picture(browser, "history")


def one_server(browser):
    browser.open(PAGE + ";server=rabbitmq/rmq3")
    browser.until("document.querySelectorAll('svg').length === 5", "five charts")
    browser.until("document.body.innerText.includes('Connection refused')", "the failed check's reason")
    picture(browser, "server")


def changes(browser):
    for command in (
        "set server rabbitmq/rmq1 weight 50",
        "set maxconn server rabbitmq/rmq1 2500",
        "set server rabbitmq/rmq2 state drain",
        "set server many/s1 addr 127.0.0.1 port 7003",
        "set maxconn frontend spread 100",
    ):
        ask(command)
    browser.open(PAGE + ";changes")
    text = browser.run("document.body.innerText")
    line = "server rmq1 127.0.0.1:7001 check inter 500ms weight 50 maxconn 2500 # the first"
    assert line in text, text
    assert "server s1 127.0.0.1:7003 check inter 2s" in text
    assert "set server rabbitmq/rmq2 state ready" in text and "set maxconn frontend spread 8000" in text
    assert f"{FOLDER}/lb.cfg:" in text
    assert line in ask("show changes")
    picture(browser, "changes")


def sessions(browser):
    begun = time.monotonic()
    browser.open(PAGE + ";sessions")
    rows = browser.run("[...document.querySelectorAll('tr[data-k^=T]')].filter((r) => r.cells[2].textContent !== 'monitor').length")
    print(f"{rows} sessions shown after {time.monotonic() - begun:.1f} s")
    assert rows == SESSIONS, rows
    picture(browser, "sessions")
    count = int(ask("show stat").split("\nspread,FRONTEND,")[1].split(",")[2])
    browser.run("""(() => { const row = [...document.querySelectorAll('tr[data-k^=T]')].find((r) => r.cells[2].textContent === 'spread');
        row.querySelector('input').checked = true; row.closest('form').requestSubmit(); })()""")
    browser.until("document.body && document.body.innerText.includes('The action was applied.')", "the kill")
    wait(lambda: int(ask("show stat").split("\nspread,FRONTEND,")[1].split(",")[2]) == count - 1, "one session less")


def looks(browser):
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.open(PAGE)
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert sum(int(n) for n in paper.strip("rgb()").split(",")) < 150, paper
    picture(browser, "dark")
    browser.call("Emulation.setEmulatedMedia", features=[])
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    for path in ("", ";server=rabbitmq/rmq3", ";sessions", ";events", ";changes"):
        browser.open(PAGE + path)
        wide = browser.run("document.documentElement.scrollWidth")
        assert wide <= 392, f"{path}: {wide} pixels wide on a phone of 390"
        picture(browser, "phone" + path.replace(";", "-").split("=")[0])
    browser.call("Emulation.clearDeviceMetricsOverride")


def without_scripts():
    text = fetch("")
    assert text.count('data-k="S') == SERVERS + 3
    assert "<svg" in text and 'type="submit"' in text and ";changes" in text
    assert fetch(";sessions").count('data-k="T') > SESSIONS * 9 // 10
    assert "Connection refused" in fetch(";events")


resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
stop, gone = threading.Event(), threading.Event()
sink(7001, stop)
sink(7003, gone)
with open(f"{FOLDER}/lb.cfg", "w") as file:
    file.write(CONFIG)
balancer = subprocess.Popen(
    [EVENKEEL, "lb", "-db", "-f", f"{FOLDER}/lb.cfg", "--run-dir", FOLDER],
    stdout=subprocess.DEVNULL, stderr=open(f"{FOLDER}/lb.err", "w"))
browser = None
try:
    wait(lambda: os.path.exists(f"{FOLDER}/cli.sock"), "the balancer", 60)
    wait(lambda: sum(",DOWN," in line for line in ask("show stat").split("\n")) == SERVERS // 10, "checks", 60)
    clients = [socket.create_connection(("127.0.0.1", 5672 if n % 10 == 0 else 5673)) for n in range(SESSIONS)]
    for client in clients:
        client.sendall(b"hello")
    gone.set()
    wait(lambda: ",DOWN," in ask("show stat").split("\nrabbitmq,rmq3,")[1].split("\n")[0], "rmq3 to fail", 60)
    # two points of history
    time.sleep(21)
    browser = Browser()
    main_page(browser)
    rebalancing(browser)
    history(browser)
    one_server(browser)
    sessions(browser)
    changes(browser)
    looks(browser)
    without_scripts()
    assert not browser.complaints, browser.complaints
    print("page: ok")
finally:
    if browser:
        browser.close()
    stop.set()
    balancer.terminate()
    balancer.wait(10)
