import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A durable queue, persistent messages, confirms, a consumer and the error paths. Argument: the port. */
public class Tutorials {
    static void check(boolean good, String what) {
        if (!good) {
            throw new AssertionError(what);
        }
    }

    interface Action {
        void run(Channel channel) throws Exception;
    }

    /** The text with which a request is refused. */
    static String refused(Channel channel, Action action) throws Exception {
        try {
            action.run(channel);
        } catch (IOException e) {
            Object reason = ((ShutdownSignalException) e.getCause()).getReason();
            return reason instanceof AMQP.Channel.Close
                ? ((AMQP.Channel.Close) reason).getReplyCode() + " " + ((AMQP.Channel.Close) reason).getReplyText()
                : ((AMQP.Connection.Close) reason).getReplyCode() + " " + ((AMQP.Connection.Close) reason).getReplyText();
        }
        throw new AssertionError("not refused");
    }

    static void same(String found, String wanted) {
        check(found.equals(wanted), found + " instead of " + wanted);
    }

    /** Transactions, dead letters, priorities, direct reply-to, exclusive queues, and what is refused. */
    static void more(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        channel.queueDeclare("java_tx", false, false, true, null);
        channel.txSelect();
        channel.basicPublish("", "java_tx", null, "kept".getBytes());
        channel.txCommit();
        channel.basicPublish("", "java_tx", null, "dropped".getBytes());
        channel.txRollback();
        check(channel.queueDeclarePassive("java_tx").getMessageCount() == 1, "transaction");

        Channel plain = connection.createChannel();
        plain.queueDeclare("java_dead", false, false, false, null);
        Map<String, Object> limits = new HashMap<>();
        limits.put("x-max-length", 1);
        limits.put("x-dead-letter-exchange", "");
        limits.put("x-dead-letter-routing-key", "java_dead");
        plain.queueDeclare("java_short", false, false, false, limits);
        plain.basicPublish("", "java_short", null, "old".getBytes());
        plain.basicPublish("", "java_short", null, "new".getBytes());
        GetResponse dead = null;
        for (int n = 0; n < 1000 && dead == null; n++) {
            Thread.sleep(10);
            dead = plain.basicGet("java_dead", true);
        }
        check(dead != null && new String(dead.getBody()).equals("old"), "dead letter");
        same(dead.getProps().getHeaders().get("x-first-death-reason").toString(), "maxlen");

        plain.queueDeclare("java_priority", false, false, false, Collections.singletonMap("x-max-priority", (Object) 5));
        for (int priority : new int[] {1, 5, 3}) {
            plain.basicPublish("", "java_priority", new AMQP.BasicProperties.Builder().priority(priority).build(), ("p" + priority).getBytes());
        }
        same(new String(plain.basicGet("java_priority", true).getBody()), "p5");

        LinkedBlockingQueue<String> answers = new LinkedBlockingQueue<>();
        plain.basicConsume("amq.rabbitmq.reply-to", true, new DefaultConsumer(plain) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties p, byte[] body) {
                answers.add(p.getCorrelationId() + new String(body));
            }
        });
        plain.queueDeclare("java_rpc", false, false, false, null);
        plain.basicPublish("", "java_rpc", new AMQP.BasicProperties.Builder().replyTo("amq.rabbitmq.reply-to").correlationId("7").build(), "q".getBytes());
        GetResponse question = connection.createChannel().basicGet("java_rpc", true);
        connection.createChannel().basicPublish("", question.getProps().getReplyTo(),
            new AMQP.BasicProperties.Builder().correlationId("7").build(), "a".getBytes());
        same(answers.poll(20, TimeUnit.SECONDS), "7a");

        plain.queueDeclare("java_own", false, true, false, null);
        Connection other = factory.newConnection();
        same(refused(other.createChannel(), ch -> ch.basicConsume("java_own", true, new DefaultConsumer(ch))),
            "405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'java_own' in vhost '/'. It could be originally "
            + "declared on another connection or the exclusive property value does not match that of the original declaration.");
        same(refused(other.createChannel(), ch -> ch.queueDeclarePassive("java_none")), "404 NOT_FOUND - no queue 'java_none' in vhost '/'");
        same(refused(other.createChannel(), ch -> ch.queueDeclare("amq.java", false, false, false, null)),
            "403 ACCESS_REFUSED - queue name 'amq.java' contains reserved prefix 'amq.*'");
        same(refused(other.createChannel(), ch -> ch.basicQos(10, 1, false)), "540 NOT_IMPLEMENTED - prefetch_size!=0 (10)");
        check(!other.isOpen(), "540 closes the connection");
        same(refused(factory.newConnection().createChannel(), ch -> ch.exchangeDeclare("java_odd", "odd")),
            "503 COMMAND_INVALID - unknown exchange type 'odd'");
    }

    static final ConnectionFactory factory = new ConnectionFactory();

    public static void main(String[] args) throws Exception {
        factory.setHost("127.0.0.1");
        factory.setPort(Integer.parseInt(args[0]));
        factory.setAutomaticRecoveryEnabled(false);
        Connection connection = factory.newConnection("java-tutorials");
        check("RabbitMQ".equals(connection.getServerProperties().get("product").toString()), "product");
        Channel channel = connection.createChannel();
        channel.queueDeclare("java_durable", true, false, false, Collections.emptyMap());
        channel.confirmSelect();
        for (int n = 0; n < 100; n++) {
            channel.basicPublish("", "java_durable", MessageProperties.PERSISTENT_TEXT_PLAIN, ("m" + n).getBytes());
        }
        channel.waitForConfirmsOrDie(20000);
        check(channel.queueDeclarePassive("java_durable").getMessageCount() == 100, "count");

        LinkedBlockingQueue<String> seen = new LinkedBlockingQueue<>();
        channel.basicQos(10);
        channel.basicConsume("java_durable", false, "tag", new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties p, byte[] body)
                    throws IOException {
                seen.add(new String(body));
                getChannel().basicAck(envelope.getDeliveryTag(), false);
            }
        });
        for (int n = 0; n < 100; n++) {
            check(("m" + n).equals(seen.poll(20, TimeUnit.SECONDS)), "message " + n);
        }
        channel.basicCancel("tag");

        channel.exchangeDeclare("java_x", "headers", false, true, Collections.emptyMap());
        String queue = channel.queueDeclare().getQueue();
        channel.queueBind(queue, "java_x", "", Collections.singletonMap("kind", (Object) "good"));
        AMQP.BasicProperties good =
            new AMQP.BasicProperties.Builder().headers(Collections.singletonMap("kind", (Object) "good")).build();
        channel.basicPublish("java_x", "", good, "h".getBytes());
        channel.waitForConfirmsOrDie(20000);
        GetResponse got = channel.basicGet(queue, true);
        check(got != null && new String(got.getBody()).equals("h"), "headers exchange");

        more(connection);
        Channel refused = connection.createChannel();
        try {
            refused.queueDeclare("java_durable", false, false, false, null);
            check(false, "a different declaration was accepted");
        } catch (IOException e) {
            String text = ((AMQP.Channel.Close) ((ShutdownSignalException) e.getCause()).getReason()).getReplyText();
            check(text.equals("PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'java_durable' in vhost "
                + "'/': received 'false' but current is 'true'"), text);
        }
        channel.queueDelete("java_durable");
        connection.close();
        System.out.println("ok java");
    }
}
