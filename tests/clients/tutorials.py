"""RabbitMQ's tutorials and the error paths, with pika. Argument: the port."""
import sys
import threading

import pika
from pika.exceptions import ChannelClosedByBroker, NackError, UnroutableError

PORT = int(sys.argv[1])


def connect():
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT, blocked_connection_timeout=20))


connection = connect()
channel = connection.channel()


def take(queue, count):
    """The bodies of `count` deliveries, each acknowledged."""
    bodies = []
    for method, _, body in channel.consume(queue, inactivity_timeout=20):
        assert method is not None, f"only {bodies} from {queue}"
        channel.basic_ack(method.delivery_tag)
        bodies.append(body)
        if len(bodies) == count:
            channel.cancel()
            return bodies


def hello_world():
    channel.queue_declare("hello")
    channel.basic_publish("", "hello", b"Hello World!")
    assert take("hello", 1) == [b"Hello World!"]


def work_queues():
    channel.queue_declare("task_queue", durable=True)
    persistent = pika.BasicProperties(delivery_mode=2)
    for task in range(10):
        channel.basic_publish("", "task_queue", b"%d" % task, persistent)
    channel.basic_qos(prefetch_count=1)
    assert take("task_queue", 10) == [b"%d" % task for task in range(10)]


def publish_subscribe():
    channel.exchange_declare("logs", "fanout")
    queues = [channel.queue_declare("", exclusive=True).method.queue for _ in range(2)]
    for queue in queues:
        assert queue.startswith("amq.gen-")
        channel.queue_bind(queue, "logs")
    channel.basic_publish("logs", "", b"entry")
    assert [take(queue, 1) for queue in queues] == [[b"entry"]] * 2


def routing_and_topics():
    channel.exchange_declare("direct_logs", "direct")
    channel.exchange_declare("topic_logs", "topic")
    queue = channel.queue_declare("", exclusive=True).method.queue
    for severity in ("error", "warning"):
        channel.queue_bind(queue, "direct_logs", severity)
    channel.queue_bind(queue, "topic_logs", "kern.*")
    channel.queue_bind(queue, "topic_logs", "#.critical")
    for exchange, key in [("direct_logs", "info"), ("direct_logs", "error"), ("topic_logs", "kern.info"),
                          ("topic_logs", "cron.info"), ("topic_logs", "a.b.critical")]:
        channel.basic_publish(exchange, key, key.encode())
    assert take(queue, 3) == [b"error", b"kern.info", b"a.b.critical"]


def rpc():
    def serve():
        own = connect()
        served = own.channel()
        served.basic_qos(prefetch_count=1)

        def answer(ch, method, properties, body):
            ch.basic_publish("", properties.reply_to, body * 2,
                             pika.BasicProperties(correlation_id=properties.correlation_id))
            ch.basic_ack(method.delivery_tag)
            if body == b"last":
                ch.stop_consuming()

        served.basic_consume("rpc_queue", answer)
        served.start_consuming()
        own.close()

    channel.queue_declare("rpc_queue")
    server = threading.Thread(target=serve)
    server.start()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_publish("", "rpc_queue", b"ab", pika.BasicProperties(reply_to=queue, correlation_id="1"))
    assert take(queue, 1) == [b"abab"]
    answers = []
    channel.basic_consume("amq.rabbitmq.reply-to", lambda *delivery: answers.append(delivery[3]), auto_ack=True)
    channel.basic_publish("", "rpc_queue", b"last", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    while not answers:
        connection.process_data_events(20)
    assert answers == [b"lastlast"]
    server.join()


def publisher_confirms():
    confirmed = connection.channel()
    confirmed.confirm_delivery()
    confirmed.queue_declare("bounded", arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
    outcomes = []
    for _ in range(4):
        try:
            confirmed.basic_publish("", "bounded", b"x")
            outcomes.append("ack")
        except NackError:
            outcomes.append("nack")
    assert outcomes == ["ack", "ack", "nack", "nack"], outcomes
    try:
        confirmed.basic_publish("", "nowhere", b"x", mandatory=True)
        raise AssertionError("an unroutable mandatory message was not returned")
    except UnroutableError as error:
        assert error.messages[0].method.reply_text == "NO_ROUTE"


def dead_letters():
    channel.queue_declare("dead")
    channel.queue_declare("short", arguments={
        "x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    channel.basic_publish("", "short", b"late")
    for method, properties, body in channel.consume("dead", auto_ack=True, inactivity_timeout=20):
        assert body == b"late"
        assert properties.headers["x-death"][0]["reason"] == "expired"
        break
    channel.cancel()


def transactions():
    other = connection.channel()
    other.tx_select()
    other.queue_declare("transacted")
    other.basic_publish("", "transacted", b"1")
    assert channel.queue_declare("transacted", passive=True).method.message_count == 0
    other.tx_commit()
    assert channel.queue_declare("transacted", passive=True).method.message_count == 1


def large_messages():
    body = bytes(range(256)) * 8192
    channel.queue_declare("large")
    channel.basic_publish("", "large", body)
    assert take("large", 1) == [body]


def refusals():
    expected = [
        (lambda ch: ch.queue_declare("missing", passive=True), 404, "NOT_FOUND - no queue 'missing' in vhost '/'"),
        (lambda ch: ch.queue_declare("hello", durable=True), 406,
         "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'hello' in vhost '/': "
         "received 'true' but current is 'false'"),
        (lambda ch: ch.queue_declare("amq.mine"), 403,
         "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"),
        (lambda ch: ch.queue_bind("hello", "missing"), 404, "NOT_FOUND - no exchange 'missing' in vhost '/'"),
    ]
    for action, code, text in expected:
        try:
            action(connection.channel())
            raise AssertionError(f"not refused: {text}")
        except ChannelClosedByBroker as error:
            assert (error.reply_code, error.reply_text) == (code, text), error


for step in (hello_world, work_queues, publish_subscribe, routing_and_topics, rpc, publisher_confirms, dead_letters,
             transactions, large_messages, refusals):
    step()
    print("ok", step.__name__, flush=True)
connection.close()
