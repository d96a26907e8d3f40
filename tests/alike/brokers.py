"""The two brokers that are compared: the built binary and Debian's RabbitMQ, each in a directory of its own."""
import base64
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

LIMIT = 180


class Broker:
    """A node that runs. `ctl` is how its tools are called."""

    def __init__(self, directory, amqp, management, prometheus):
        self.directory, self.amqp, self.management, self.prometheus = pathlib.Path(directory), amqp, management, prometheus
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = None

    def launch(self, command, environment):
        with open(self.directory / "output", "ab") as output:
            self.process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def wait(self):
        end = time.monotonic() + LIMIT
        for port in (self.amqp, self.management):
            while True:
                assert self.process.poll() is None, (self.directory / "output").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < end, (self.directory / "output").read_text()
                    time.sleep(0.1)
        return self

    def http(self, method, path, body=None, login="guest:guest", headers=None, port=None):
        """Status, headers and body of a request."""
        headers = dict(headers or {})
        if login is not None:
            headers["authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        if data is not None:
            headers.setdefault("content-type", "application/json")
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.management}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def ctl(self, *words, tool="rabbitmqctl", standard_input=None):
        """Exit code, standard output and standard error of a tool."""
        command, environment = self.tool(tool)
        ended = subprocess.run([*command, *words], env=os.environ | environment, capture_output=True, text=True, timeout=120,
                               input=standard_input if standard_input is not None else "")
        return ended.returncode, ended.stdout, ended.stderr

    def neutral(self, text):
        """A text without what differs between two nodes: ports, directory, process identifiers."""
        for port, word in ((self.amqp, "AMQP"), (self.management, "MANAGEMENT"), (self.prometheus, "PROMETHEUS"), (self.amqp + 20000, "CLUSTER")):
            text = re.sub(rf"\b{port}\b", word, text)
        text = re.sub(r"<(rabbit@localhost\.)?[\d.]+>", "<PID>", text)
        text = re.sub(r"127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\w+", "CONNECTION", text)
        return text.replace(self.directory.as_posix(), "DIRECTORY")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class Ours(Broker):
    def __init__(self, binary, directory, amqp=5672, management=15672, prometheus=15692):
        super().__init__(directory, amqp, management, prometheus)
        self.binary, self.name = binary, "ours"
        for link in ("rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-plugins", "rabbitmq-queues", "rabbitmq-streams", "rabbitmq-upgrade", "rabbitmq-server"):
            if not (self.directory / link).is_symlink():
                (self.directory / link).symlink_to(binary)

    def tool(self, name):
        return [str(self.directory / name)], {"EVENKEEL_RUN_DIR": str(self.directory), "RABBITMQ_NODENAME": "rabbit@localhost"}

    def start(self, *more):
        self.launch([self.binary, "broker", "--listen", f"127.0.0.1:{self.amqp}", "--management", f"127.0.0.1:{self.management}",
                     "--prometheus", f"127.0.0.1:{self.prometheus}", "--node", "rabbit@localhost",
                     "--data-dir", str(self.directory / "data"), "--run-dir", str(self.directory), *more], {})
        return self


class Rabbit(Broker):
    BIN = "/usr/lib/rabbitmq/bin"

    def __init__(self, directory, amqp=5673, management=15673, prometheus=15693):
        super().__init__(directory, amqp, management, prometheus)
        self.name = "rabbitmq"

    def environment(self):
        place = self.directory
        return {
            "HOME": str(place), "RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_NODE_PORT": str(self.amqp),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": "14369", "RABBITMQ_DIST_PORT": str(self.amqp + 20000),
            "RABBITMQ_MNESIA_BASE": str(place / "mnesia"), "RABBITMQ_LOG_BASE": str(place / "log"),
            "RABBITMQ_CONF_ENV_FILE": str(place / "none"), "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(place / "none.config"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
            "RABBITMQ_PID_FILE": str(place / "pid"), "RABBITMQ_GENERATED_CONFIG_DIR": str(place / "generated"), "LANG": "C.UTF-8",
        }

    def tool(self, name):
        return [f"{self.BIN}/{name}"], self.environment()

    def start(self):
        (self.directory / "plugins").write_text("[rabbitmq_management,rabbitmq_prometheus].")
        (self.directory / "rabbitmq.conf").write_text(
            f"management.tcp.port = {self.management}\nmanagement.tcp.ip = 127.0.0.1\n"
            f"prometheus.tcp.port = {self.prometheus}\nprometheus.tcp.ip = 127.0.0.1\n")
        for name in ("mnesia", "log"):
            (self.directory / name).mkdir(exist_ok=True)
        self.launch([f"{self.BIN}/rabbitmq-server"], self.environment())
        return self
