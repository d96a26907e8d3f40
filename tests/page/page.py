"""Uses the broker's web page in a headless Chromium as an operator would.

usage: page.py BASE-URL [DIRECTORY FOR PICTURES]
The node must have user guest/guest. Ends with "page: ok", or with what is wrong.
"""

import base64
import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chromium import Browser  # noqa: E402

BASE = sys.argv[1].rstrip("/")
PICTURES = sys.argv[2] if len(sys.argv) > 2 else None
MANY = 10_000


def api(method, path, body=None):
    request = urllib.request.Request(f"{BASE}/api{path}", method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def prepare():
    queues = [{"name": f"load.{i:05}", "vhost": "/", "durable": False, "auto_delete": False, "arguments": {}} for i in range(MANY)]
    queues.append({"name": "orders", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-max-length": 100000}})
    queues.append({"name": "other", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}})
    exchange = {"name": "shop", "vhost": "/", "type": "topic", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    bindings = [{"source": "shop", "vhost": "/", "destination": q, "destination_type": "queue", "routing_key": k, "arguments": {}}
                for q, k in (("orders", "order.#"), ("other", "other.*"))]
    api("POST", "/definitions", {"queues": queues, "exchanges": [exchange], "bindings": bindings})


class Page:
    def __init__(self):
        self.browser = Browser()

    def go(self, path, has):
        self.browser.run(f"location.hash = {json.dumps(path)}")
        self.sees(has)

    def sees(self, text):
        self.browser.until(f"document.body.innerText.includes({json.dumps(text)})", f"the text {text!r}")

    def click(self, text):
        self.browser.until(f"""(() => {{ const b = [...document.querySelectorAll("button")].filter((b) => b.textContent.trim() === {json.dumps(text)} && b.offsetParent).at(-1);
            if (b) b.click(); return Boolean(b); }})()""", f"the button {text!r}")

    def fill(self, selector, value):
        self.browser.until(f"""(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return false;
            e.value = {json.dumps(value)}; e.dispatchEvent(new Event("input")); return true; }})()""", selector)

    def labelled(self, label, value):
        self.browser.until(f"""(() => {{ const l = [...document.querySelectorAll("label")].filter((l) => l.textContent === {json.dumps(label)} && l.offsetParent).at(0);
            const e = l && document.getElementById(l.htmlFor); if (!e) return false; e.value = {json.dumps(value)}; return true; }})()""", label)

    def picture(self, name):
        if PICTURES:
            self.browser.run("new Promise((r) => setTimeout(r, 250))")
            self.browser.picture(os.path.join(PICTURES, f"{name}.png"))


def login(page):
    page.browser.open(BASE + "/")
    page.fill("input[name=user]", "guest")
    page.fill("input[name=password]", "wrong")
    page.click("Log in")
    page.sees("Login failed")
    page.picture("login")
    page.fill("input[name=password]", "guest")
    page.click("Log in")
    page.sees("Message rates")


def overview(page):
    page.sees("Listeners")
    page.browser.until("document.querySelectorAll('svg.chart').length === 5", "five charts")
    page.picture("overview")


def many_queues(page):
    page.go("#/queues", "10,002 rows")
    rows = page.browser.run("document.querySelectorAll('tbody tr').length")
    assert rows < 100, f"{rows} rows are elements; the table should hold those in sight only"
    spent = page.browser.run("""(() => { const start = performance.now(); const scroll = document.querySelector(".scroll");
        for (let i = 0; i < 50; i += 1) { scroll.scrollTop = i * 6000; scroll.dispatchEvent(new Event("scroll")); } return performance.now() - start; })()""")
    assert spent < 50 * 1000, f"50 steps through 10 000 rows took {spent:.0f} ms"
    page.fill("input[type=search]", "load.0999")
    page.sees("10 of 10,002 rows")
    page.fill("input[type=search]", "")
    page.click("Ready")
    page.browser.key("j")
    page.browser.run("document.querySelector('.scroll').focus()")
    page.picture("queues")
    print(f"50 steps through 10 000 rows: {spent:.0f} ms")


def one_queue(page):
    page.go("#/queue/%2F/orders", "Publish a message")
    page.labelled("Body", '{"id": 7}')
    page.labelled("Headers", '{"kind": "test"}')
    page.click("Publish")
    page.sees("Published")
    assert api("GET", "/queues/%2F/orders")["messages_ready"] == 1
    page.click("Get")
    page.sees('"id": 7')
    page.picture("queue")
    page.fill("input[aria-label=Destination]", "other")
    page.click("Move")
    page.sees("1 moved")
    assert api("GET", "/queues/%2F/other")["messages_ready"] == 1
    page.go("#/queue/%2F/other", "Consumers")
    page.click("Purge")
    page.sees("Remove all ready messages of other?")
    page.browser.run("document.querySelector('dialog[open] button[value=yes]').click()")
    page.sees("Purged")
    assert api("GET", "/queues/%2F/other")["messages_ready"] == 0


def exchange(page):
    page.go("#/exchanges", "amq.topic")
    page.go("#/exchange/%2F/shop", "order.#")
    page.browser.until("document.querySelectorAll('svg .box').length === 3", "the picture of the bindings")
    page.picture("exchange")


def policy(page):
    page.go("#/policies", "New or changed policy")
    page.labelled("Name", "cap")
    page.labelled("Pattern", "^orders$")
    page.labelled("Definition", '{"max-length": 5}')
    page.click("What would this change?")
    page.sees("One object would change")
    page.sees("max-length: 5")
    page.picture("policies")
    assert not api("GET", "/policies"), "a preview sets nothing"
    page.click("Set policy")
    page.sees("Policy cap is set")
    assert api("GET", "/queues/%2F/orders")["policy"] == "cap"
    page.labelled("Definition", '{"max-length": "x"}')
    page.click("What would this change?")
    page.sees('<<"x">> is not a valid maximum length')
    page.labelled("Kind", "operator policy")
    page.labelled("Name", "limit")
    page.labelled("Definition", '{"max-length": 3}')
    page.click("What would this change?")
    page.sees("max-length: 5 3")
    page.click("Set policy")
    page.sees("Operator policy limit is set")
    assert api("GET", "/operator-policies/%2F/limit")["definition"] == {"max-length": 3}
    assert api("GET", "/queues/%2F/orders")["operator_policy"] == "limit"


def users(page):
    page.go("#/users", "administrator")
    page.fill("input[aria-label=Name]", "alice")
    page.fill("input[aria-label=Password]", "wonderland")
    page.click("New user")
    page.sees("Give a permission")
    page.labelled("Virtual host", "/")
    page.click("Set")
    page.sees("Permission is set")
    assert api("GET", "/permissions/%2F/alice")["read"] == ".*"
    page.picture("user")
    page.go("#/vhosts", "Default virtual host")


def clients(page):
    page.go("#/connections", "Connections")
    page.go("#/channels", "Channels")
    page.picture("channels")


def node(page):
    page.go("#/node", "Open files")
    page.picture("node")


def dark_and_keys(page):
    page.go("#/", "Message rates")
    before = page.browser.run("document.documentElement.dataset.theme")
    page.browser.run("document.activeElement.blur()")
    page.browser.key("t")
    after = page.browser.run("document.documentElement.dataset.theme")
    assert before != after, "the key t changes between light and dark"
    page.browser.until("document.querySelectorAll('svg.chart').length === 5", "the charts")
    page.picture("dark")
    page.browser.key("g")
    page.browser.key("q")
    page.sees("10,002 rows")
    page.picture("dark-queues")
    page.browser.key("?")
    page.sees("This help")


def main():
    prepare()
    page = Page()
    try:
        for part in (login, overview, many_queues, one_queue, exchange, policy, users, clients, node, dark_and_keys):
            part(page)
        expected = [c for c in page.browser.complaints if "401" not in c and "400" not in c]
        assert not expected, f"the browser complained: {expected}"
    except BaseException:
        if PICTURES:
            page.browser.picture(os.path.join(PICTURES, "failed.png"))
        print("complaints:", page.browser.complaints)
        raise
    finally:
        page.browser.close()
    print("page: ok")


main()
