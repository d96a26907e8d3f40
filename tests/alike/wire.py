"""An AMQP client of single frames that writes down all it hears, so that two brokers can be compared.

pika's encoder and decoder are used; what to send and when is up to the caller.
"""
import re
import socket
import struct

from pika import frame, spec

QUIET = 0.4
LIMIT = 10
ASYNCHRONOUS = (spec.Basic.Deliver, spec.Basic.Ack, spec.Basic.Nack, spec.Basic.Return, spec.Basic.Cancel)


def plain(value):
    """A value as JSON would hold it, with what differs from run to run replaced."""
    if isinstance(value, dict):
        return {str(key): "TIME" if key == "time" else plain(item) for key, item in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        value = re.sub(r"amq\.gen-[\w-]{22}", "amq.gen-NAME", value)
        value = re.sub(r"amq\.ctag-[\w-]{22}", "amq.ctag-NAME", value)
        value = re.sub(r"(amq\.rabbitmq\.reply-to)\.[\w.+/=-]+", r"\1.ADDRESS", value)
        return value[:600]
    return value if isinstance(value, (int, float, bool, type(None))) else str(value)


def said(method):
    """A method in one line: name and fields."""
    fields = {key: plain(value) for key, value in vars(method).items() if not key.startswith("_")}
    return f"{method.NAME} {fields}"


class Wire:
    """A connection. `log` holds what came, in order."""

    def __init__(self, port, log, user="guest", password="guest", vhost="/", client=None, begin=True, tune=(2047, 131072, 0)):
        self.log, self.input, self.over = log, b"", False
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if begin:
            self.login(user, password, vhost, client, tune)

    def login(self, user, password, vhost, client, tune):
        quiet, self.log = self.log, []
        client = client if client is not None else {"capabilities": {
            "authentication_failure_close": True, "connection.blocked": True, "consumer_cancel_notify": True,
            "publisher_confirms": True, "basic.nack": True}}
        self.raw(b"AMQP\x00\x00\x09\x01")
        self.read(1)
        self.send(0, spec.Connection.StartOk(client, "PLAIN", f"\0{user}\0{password}", "en_US"))
        if self.read(1) and self.last is spec.Connection.Tune:
            self.send(0, spec.Connection.TuneOk(*tune))
            self.send(0, spec.Connection.Open(vhost))
            self.read(1)
        if self.last is spec.Connection.OpenOk:
            self.log = quiet
        else:
            quiet.extend(line for line in self.log if "Connection.Start " not in line and "Connection.Tune " not in line)
            self.log = quiet

    def begin(self):
        """The protocol header, and `connection.start` unlogged."""
        keep, self.log = self.log, []
        self.raw(b"AMQP\x00\x00\x09\x01")
        self.read(1)
        self.log = keep

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def send(self, channel, method):
        self.raw(frame.Method(channel, method).marshal())

    def read(self, count=10**9, wait=LIMIT):
        """Reads `count` frames, or what comes until nothing does for `wait` seconds; whether anything came."""
        came = 0
        while came < count and not self.over:
            size, found = frame.decode_frame(self.input) if not self.input.startswith(b"AMQP") else (0, None)
            if found is None:
                if self.input.startswith(b"AMQP") and len(self.input) >= 8:
                    self.log.append(f"header {self.input[:8]!r}")
                    self.input = self.input[8:]
                    continue
                self.socket.settimeout(wait)
                try:
                    data = self.socket.recv(1 << 20)
                except TimeoutError:
                    break
                except OSError:
                    data = b""
                if not data:
                    self.over = True
                    self.log.append("end")
                self.input += data
                continue
            self.input = self.input[size:]
            self.hear(found)
            came += 1
        return came > 0

    def hear(self, found):
        if isinstance(found, frame.Method):
            self.last = type(found.method)
            self.method = found.method
            self.log.append(f"{found.channel_number}: {said(found.method)}")
        elif isinstance(found, frame.Header):
            set_ = {key: plain(value) for key, value in vars(found.properties).items() if value is not None}
            self.log.append(f"{found.channel_number}: header {found.body_size} {set_}")
        elif isinstance(found, frame.Body):
            self.log.append(f"{found.channel_number}: body {plain(found.fragment)!r}")
        elif isinstance(found, frame.Heartbeat):
            self.log.append("heartbeat")

    def call(self, channel, method):
        """Sends, and reads up to the answer."""
        self.send(channel, method)
        while self.read(1):
            if not isinstance(self.method, ASYNCHRONOUS) or self.over:
                break
        return self.method if not self.over else None

    def quiet(self, wait=QUIET):
        """Reads until nothing comes any more."""
        self.read(wait=wait)

    def open(self, *channels):
        for channel in channels or (1,):
            keep, self.log = self.log, []
            self.call(channel, spec.Channel.Open())
            self.log = keep
        return self

    def publish(self, channel, exchange, key, body=b"x", properties=None, mandatory=False, immediate=False):
        properties = properties or spec.BasicProperties()
        self.send(channel, spec.Basic.Publish(0, exchange, key, mandatory, immediate))
        self.raw(frame.Header(channel, len(body), properties).marshal())
        if body:
            self.raw(frame.Body(channel, body).marshal())

    def get(self, channel, queue, no_ack=True):
        """basic.get with its content."""
        answer = self.call(channel, spec.Basic.Get(0, queue, no_ack))
        if isinstance(answer, spec.Basic.GetOk):
            self.read(1)
            if not self.log[-1].split(": header ")[1].startswith("0 "):
                self.read(1)
        return answer

    def close(self):
        self.socket.close()


def frame_of(kind, channel, payload, end=0xCE, size=None):
    """A frame as bytes, whatever is in it."""
    size = len(payload) if size is None else size
    return struct.pack(">BHI", kind, channel, size) + payload + bytes([end])
