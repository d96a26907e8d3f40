// Numbered confirmed messages through one address with RabbitMQ's Java client.
//
// Usage: java -cp ... Ledger SECONDS [RATE [QUEUE]]     (the address is in EVENKEEL_VIP)
//
// Prints one JSON object; exit status 1 when a confirmed message was lost or a
// duplicate came without the redelivered flag. Automatic recovery is off: each
// side opens its connection again at once, so that the gap is the path's.

import com.rabbitmq.client.*;
import java.util.*;
import java.util.concurrent.*;

public class Ledger {
    static final Set<Long> confirmed = ConcurrentHashMap.newKeySet();
    static final Map<Long, Integer> delivered = new ConcurrentHashMap<>();
    static volatile boolean stop = false;
    static int unflagged = 0, reconnects = 0, sessionsLost = 0;
    static long[] last = {-1, -1}, gap = {0, 0};

    static synchronized void event(int kind) {
        long now = System.nanoTime();
        if (last[kind] >= 0 && !stop) gap[kind] = Math.max(gap[kind], now - last[kind]);
        last[kind] = now;
    }

    /** A connection is given up; of one that worked and that the far side ended a session was lost. */
    static synchronized void reconnect(Connection connection) {
        reconnects++;
        ShutdownSignalException why = connection == null ? null : connection.getCloseReason();
        if (why != null && !why.isInitiatedByApplication() && !(why.getCause() instanceof MissedHeartbeatException)) {
            sessionsLost++;
        }
    }

    static Connection connect(String queue) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost(System.getenv("EVENKEEL_VIP"));
        factory.setAutomaticRecoveryEnabled(false);
        factory.setRequestedHeartbeat(4);
        factory.setConnectionTimeout(1000);
        factory.setHandshakeTimeout(2000);
        factory.setChannelRpcTimeout(2000);
        Connection connection = factory.newConnection();
        try (Channel channel = connection.createChannel()) {
            channel.queueDeclare(queue, true, false, false, null);
        }
        return connection;
    }

    static void publish(String queue, double rate) {
        long number = 0;
        while (!stop) {
            Connection connection = null;
            try {
                connection = connect(queue);
                Channel channel = connection.createChannel();
                channel.confirmSelect();
                while (!stop) {
                    number++;
                    byte[] body = Long.toString(number).getBytes();
                    channel.basicPublish("", queue, MessageProperties.MINIMAL_PERSISTENT_BASIC, body);
                    if (channel.waitForConfirms(2000)) {
                        confirmed.add(number);
                        event(0);
                    }
                    Thread.sleep((long) (1000 / rate));
                }
            } catch (Exception e) {
                if (!stop) reconnect(connection);
                pause();
            } finally {
                if (connection != null) connection.abort(200);
            }
        }
    }

    static long lost() { return confirmed.stream().filter(n -> !delivered.containsKey(n)).count(); }

    static void consume(String queue, long[] end) {
        while (!stop || (lost() > 0 && System.nanoTime() < end[0])) {
            Connection connection = null;
            try {
                connection = connect(queue);
                Channel channel = connection.createChannel();
                channel.basicQos(50);
                channel.basicConsume(queue, false, new DefaultConsumer(channel) {
                    public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties p, byte[] body)
                            throws java.io.IOException {
                        event(1);
                        int times = delivered.merge(Long.parseLong(new String(body)), 1, Integer::sum);
                        if (times > 1 && !envelope.isRedeliver()) synchronized (Ledger.class) { unflagged++; }
                        getChannel().basicAck(envelope.getDeliveryTag(), false);
                    }
                });
                while (channel.isOpen() && (!stop || (lost() > 0 && System.nanoTime() < end[0]))) Thread.sleep(20);
                if (!stop) reconnect(connection);
            } catch (Exception e) {
                if (!stop) reconnect(connection);
                pause();
            } finally {
                if (connection != null) connection.abort(200);
            }
        }
    }

    static void pause() {
        try { Thread.sleep(20); } catch (InterruptedException e) { }
    }

    public static void main(String[] args) throws Exception {
        long seconds = (long) Double.parseDouble(args[0]);
        double rate = args.length > 1 ? Double.parseDouble(args[1]) : 100;
        String queue = args.length > 2 ? args[2] : "system.java";
        long[] end = {Long.MAX_VALUE};
        Thread consumer = new Thread(() -> consume(queue, end));
        Thread publisher = new Thread(() -> publish(queue, rate));
        consumer.start();
        publisher.start();
        // On a busy machine the first connection takes its time: the clock starts with it.
        long first = System.nanoTime() + 20_000_000_000L;
        while (confirmed.isEmpty() && System.nanoTime() < first) Thread.sleep(10);
        Thread.sleep(seconds * 1000);
        event(0);
        event(1);
        end[0] = System.nanoTime() + 25_000_000_000L;
        stop = true;
        publisher.join(40_000);
        consumer.join(40_000);
        long duplicates = delivered.values().stream().mapToLong(n -> n - 1).sum();
        boolean bad = lost() > 0 || unflagged > 0 || confirmed.isEmpty();
        System.out.printf("{\"client\":\"java\",\"confirmed\":%d,\"delivered\":%d,\"lost\":%d,\"duplicates\":%d,"
                + "\"unflagged\":%d,\"reconnects\":%d,\"sessions_lost\":%d,\"publish_gap_ms\":%d,\"consume_gap_ms\":%d}%n",
                confirmed.size(), delivered.size(), lost(), duplicates, unflagged, reconnects, sessionsLost,
                gap[0] / 1_000_000, gap[1] / 1_000_000);
        System.exit(bad ? 1 : 0);
    }
}
