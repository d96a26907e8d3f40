"""Starts Prometheus on the client host of `evenkeel up`, lets it scrape every
daemon, and asks it every query of the dashboard and every expression of the
alert rules. Prints what has no data; exit status 1 if anything has none.

Usage: dashboard.py DASHBOARD ALERTS DIRECTORY
"""

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

dashboard, alerts, directory = sys.argv[1:]
config = f"""
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files:
  - {alerts}
scrape_configs:
  - job_name: evenkeel-lb
    static_configs:
      - targets: ["10.77.0.11:8100", "10.77.0.12:8100"]
  - job_name: evenkeel-vip
    static_configs:
      - targets: ["10.77.0.11:8110", "10.77.0.12:8110"]
  - job_name: broker
    static_configs:
      - targets: ["10.77.0.21:15692"]
"""
with open(f"{directory}/prometheus.yml", "w") as file:
    file.write(config)
server = subprocess.Popen(
    ["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
     "--web.listen-address=127.0.0.1:9090"],
    stdout=subprocess.DEVNULL,
    stderr=open(f"{directory}/prometheus.log", "w"),
)


def ask(path):
    with urllib.request.urlopen(f"http://127.0.0.1:9090{path}", timeout=5) as answer:
        return json.load(answer)["data"]


def query(text):
    return ask("/api/v1/query?" + urllib.parse.urlencode({"query": text}))["result"]


def down():
    targets = ask("/api/v1/targets")["activeTargets"]
    return [t["scrapeUrl"] + ": " + t["lastError"] for t in targets if t["health"] != "up"]


queries = [t["expr"] for p in json.load(open(dashboard))["panels"] for t in p["targets"]]
# What an alert compares must have data, also while the alert does not fire.
for line in open(alerts):
    match = re.match(r"\s+expr: (.+)", line)
    for part in match.group(1).split(" or ") if match else []:
        if not part.startswith("absent("):
            queries.append(re.sub(r"\s*(==|>|<)\s*[0-9.]+\s*$", "", part))
missing, unreachable = queries, ["not asked yet"]
end = time.monotonic() + 60
while time.monotonic() < end and (missing or unreachable):
    time.sleep(1)
    try:
        unreachable = down()
        missing = [q for q in queries if not query(q)]
    except OSError:
        pass
server.terminate()
server.wait(10)
for text in unreachable:
    print(f"not scraped: {text}")
for text in missing:
    print(f"no data: {text}")
print(f"{len(queries)} queries, {len(missing)} without data")
sys.exit(1 if missing or unreachable else 0)
