"""A Celery worker runs tasks, and kombu's simple queue. Argument: the port."""
import os
import subprocess
import sys

from celery import Celery
from kombu import Connection

PORT = os.environ.setdefault("AMQP_PORT", sys.argv[-1])
URL = f"amqp://guest:guest@127.0.0.1:{PORT}//"

app = Celery("celery_tasks", broker=URL, backend="rpc://")
app.conf.task_acks_late = True
app.conf.worker_hijack_root_logger = False


@app.task(name="add")
def add(x, y):
    return x + y


@app.task(name="stubborn", bind=True, max_retries=2, default_retry_delay=0)
def stubborn(self, answer):
    if self.request.retries < 2:
        raise self.retry()
    return answer


def tasks():
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--pool", "solo", "-l", "WARNING"]
    worker = subprocess.Popen(command, cwd=here, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        assert add.delay(4, 4).get(timeout=40) == 8
        assert [add.s(n, n).apply_async().get(timeout=30) for n in range(5)] == [0, 2, 4, 6, 8]
        assert stubborn.delay("done").get(timeout=30) == "done"
    finally:
        worker.kill()
        worker.wait()
    print("ok celery", flush=True)


def simple_queue():
    with Connection(URL) as connection:
        queue = connection.SimpleQueue("kombu_demo")
        queue.put({"hello": "world"}, serializer="json", compression="zlib")
        message = queue.get(block=True, timeout=20)
        assert message.payload == {"hello": "world"}
        message.ack()
        queue.close()
    print("ok kombu", flush=True)


if __name__ == "__main__":
    tasks()
    simple_queue()
