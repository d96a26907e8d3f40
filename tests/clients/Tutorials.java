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
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A durable queue, persistent messages, confirms, a consumer and the error paths. Argument: the port. */
public class Tutorials {
    static void check(boolean good, String what) {
        if (!good) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] args) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
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
