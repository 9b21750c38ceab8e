package trireme.interop;

import java.io.BufferedReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Where a scenario runs: the name server, names of its own, clients that are closed afterwards, and the runner's ear. */
final class World implements AutoCloseable {
    /** How long a thing that works may take on a busy machine. */
    static final long PATIENCE_MS = Long.getLong("interop.patience.ms", 40_000);
    private static final AtomicInteger INSTANCES = new AtomicInteger();

    final String namesrv;
    final String prefix;
    final String scenario;
    final String lie;
    final Map<String, String> options;
    private final Asks asks;
    private final List<Runnable> closing = Collections.synchronizedList(new ArrayList<>());
    private DefaultMQAdminExt admin;

    World(String namesrv, String prefix, String scenario, String lie, Map<String, String> options, Asks asks) {
        this.namesrv = namesrv;
        this.prefix = prefix;
        this.scenario = scenario;
        this.lie = lie;
        this.options = options;
        this.asks = asks;
    }

    /** Requests to the runner, one at a time: a line of JSON out, a line of text back. */
    static final class Asks {
        private final PrintStream out;
        private final BufferedReader in;

        Asks(PrintStream out, BufferedReader in) {
            this.out = out;
            this.in = in;
        }

        synchronized String ask(String what) throws Exception {
            say(Report.json(Map.of("ask", what)));
            String answer = in.readLine();
            if (answer == null || !answer.startsWith("ok")) {
                throw new IllegalStateException("the runner could not " + what + ": " + answer);
            }
            return answer.substring(2).strip();
        }

        void say(String line) {
            synchronized (out) {
                out.println(line);
                out.flush();
            }
        }
    }

    String ask(String what) throws Exception {
        return asks.ask(what);
    }

    Ledger ledger() {
        return new Ledger(lie);
    }

    /** The body that was read, unless this world lies. */
    byte[] read(MessageExt message) {
        return lie.equals("none") ? message.getBody() : new byte[] {7};
    }

    String name(String what) {
        return prefix + "-" + scenario + "-" + what;
    }

    String option(String name) {
        String value = options.get(name);
        if (value == null) {
            throw new IllegalArgumentException(scenario + " needs --" + name);
        }
        return value;
    }

    /** A client that knows the name server and has a name of its own. */
    <T extends ClientConfig> T dressed(T client) {
        client.setNamesrvAddr(namesrv);
        client.setClientIP("127.0.0.1");
        // A 5.x client whose first heartbeat loses a race inside it is unknown to the broker until its next one.
        client.setHeartbeatBrokerInterval(3_000);
        client.setInstanceName(prefix + "-" + scenario + "-" + INSTANCES.incrementAndGet());
        return client;
    }

    /** Done when the scenario is over. */
    void later(Runnable deed) {
        closing.add(deed);
    }

    DefaultMQProducer producer() throws MQClientException {
        DefaultMQProducer producer = freshProducer();
        producer.start();
        return producer;
    }

    DefaultMQProducer freshProducer() {
        DefaultMQProducer producer = dressed(new DefaultMQProducer(name("p")));
        producer.setSendMsgTimeout(10_000);
        closing.add(producer::shutdown);
        return producer;
    }

    /** A push consumer that has everything set but its listener. */
    DefaultMQPushConsumer consumer(String group, String topic, String tags) throws MQClientException {
        DefaultMQPushConsumer consumer = dressed(new DefaultMQPushConsumer(name(group)));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.subscribe(topic, tags);
        closing.add(consumer::shutdown);
        return consumer;
    }

    /** A running concurrent consumer that writes all it gets into the ledger. */
    DefaultMQPushConsumer consuming(String group, String topic, String tags, Ledger ledger) throws MQClientException {
        DefaultMQPushConsumer consumer = consumer(group, topic, tags);
        consumer.registerMessageListener(listener(ledger, consumer.getInstanceName()));
        consumer.start();
        return consumer;
    }

    /**
     * Lets the broker make the group's retry topic: a client that starts before there is one finds it only with its
     * next poll of routes, 30 s later.
     */
    void metBefore(String group, String topic, Report report) throws Exception {
        DefaultMQPushConsumer first = consuming(group, topic, "nothing-has-this-tag", new Ledger("none"));
        String retry = "%RETRY%" + name(group);
        boolean there = within(10_000, () -> routed(retry) > 0);
        report.expect(there, "a heartbeat makes " + retry + " and its route");
        first.shutdown();
    }

    static MessageListenerConcurrently listener(Ledger ledger, String by) {
        return (messages, context) -> {
            messages.forEach(message -> ledger.take(message, by));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        };
    }

    DefaultLitePullConsumer litePull(String group) {
        DefaultLitePullConsumer consumer = dressed(new DefaultLitePullConsumer(name(group)));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPullBatchSize(32);
        closing.add(consumer::shutdown);
        return consumer;
    }

    DefaultMQPullConsumer puller(String group) throws MQClientException {
        DefaultMQPullConsumer consumer = dressed(new DefaultMQPullConsumer(name(group)));
        closing.add(consumer::shutdown);
        consumer.start();
        return consumer;
    }

    synchronized DefaultMQAdminExt admin() throws MQClientException {
        if (admin == null) {
            admin = dressed(new DefaultMQAdminExt(20_000));
            admin.setAdminExtGroup(name("admin"));
            admin.start();
            closing.add(admin::shutdown);
        }
        return admin;
    }

    /** Broker name → address of its id 0, as the name server tells it. */
    Map<String, String> masters() throws Exception {
        Map<String, String> masters = new TreeMap<>();
        var brokers = admin().examineBrokerClusterInfo().getBrokerAddrTable();
        for (var broker : brokers.values()) {
            String address = broker.getBrokerAddrs().get(0L);
            if (address != null) {
                masters.put(broker.getBrokerName(), address);
            }
        }
        return masters;
    }

    /** Creates the topic on every master and waits until the name server routes to it. */
    String topic(String what, int queues) throws Exception {
        return topic(what, queues, 6);
    }

    String topic(String what, int queues, int perm) throws Exception {
        return topicNamed(name(what), queues, perm);
    }

    /** The same under a name that is whole already. */
    String topicNamed(String topic, int queues) throws Exception {
        return topicNamed(topic, queues, 6);
    }

    private String topicNamed(String topic, int queues, int perm) throws Exception {
        Map<String, String> masters = masters();
        for (String address : masters.values()) {
            patiently(() -> {
                admin().createAndUpdateTopicConfig(address, new TopicConfig(topic, queues, queues, perm));
                return null;
            });
        }
        until("a route to " + topic, () -> routed(topic) == masters.size());
        return topic;
    }

    private int routed(String topic) throws Exception {
        try {
            return admin().examineTopicRouteInfo(topic).getQueueDatas().size();
        } catch (MQClientException absent) {
            return 0;
        }
    }

    /** Sets up what a scenario stands on; while servers start side by side, one refusal is no news. */
    static <T> T patiently(Callable<T> deed) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (true) {
            try {
                return deed.call();
            } catch (MQBrokerException | MQClientException
                     | org.apache.rocketmq.remoting.exception.RemotingException error) {
                if (System.currentTimeMillis() > end) {
                    throw error;
                }
                Thread.sleep(100);
            }
        }
    }

    static Message message(String topic, String tags, String id, int size) {
        Message message = new Message(topic, tags, id, Bodies.make(id, size));
        message.putUserProperty("id", id);
        return message;
    }

    /** Sends count messages, one after another, each acknowledged; answers their ids in order. */
    Set<String> send(DefaultMQProducer producer, String topic, String tags, int count) throws Exception {
        return send(producer, topic, tags, count, "m");
    }

    Set<String> send(DefaultMQProducer producer, String topic, String tags, int count, String stem) throws Exception {
        Set<String> ids = new LinkedHashSet<>();
        for (int i = 0; i < count; i++) {
            String id = stem + i;
            SendResult result = producer.send(message(topic, tags, id, 100 + i % 400));
            if (result.getSendStatus() != SendStatus.SEND_OK) {
                throw new IllegalStateException("send of " + id + " answered " + result.getSendStatus());
            }
            ids.add(id);
        }
        return ids;
    }

    /** Reads every queue of a topic from first to last with plain pulls, once it holds as many messages as expected. */
    void drain(DefaultMQPullConsumer puller, String topic, int expected, Ledger into) throws Exception {
        // A broker may show a message a moment after it acknowledged it; what is missing later is missing.
        within(PATIENCE_MS, () -> {
            long total = 0;
            for (MessageQueue queue : queues(puller, topic)) {
                total += puller.maxOffset(queue) - puller.minOffset(queue);
            }
            return total >= expected;
        });
        for (MessageQueue queue : queues(puller, topic)) {
            long end = puller.maxOffset(queue);
            long offset = puller.minOffset(queue);
            long deadline = System.currentTimeMillis() + PATIENCE_MS;
            while (offset < end && System.currentTimeMillis() < deadline) {
                PullResult result = puller.pull(queue, "*", offset, 32);
                if (result.getPullStatus() == PullStatus.FOUND) {
                    for (MessageExt message : result.getMsgFoundList()) {
                        into.take(message, "puller");
                    }
                }
                if (result.getNextBeginOffset() <= offset) {
                    throw new IllegalStateException(queue + " at " + offset + " of " + end + " answered "
                        + result.getPullStatus() + " and next offset " + result.getNextBeginOffset());
                }
                offset = result.getNextBeginOffset();
            }
        }
    }

    static List<MessageQueue> queues(DefaultMQPullConsumer puller, String topic) throws MQClientException {
        List<MessageQueue> queues = new ArrayList<>(puller.fetchSubscribeMessageQueues(topic));
        Collections.sort(queues);
        return queues;
    }

    static void until(String what, Callable<Boolean> holds) throws Exception {
        until(what, PATIENCE_MS, holds);
    }

    static void until(String what, long patienceMs, Callable<Boolean> holds) throws Exception {
        if (!within(patienceMs, holds)) {
            throw new IllegalStateException("waited " + patienceMs + " ms in vain for " + what);
        }
    }

    /** Whether the condition comes true in time; it is looked at every few milliseconds. */
    static boolean within(long patienceMs, Callable<Boolean> holds) throws Exception {
        long end = System.nanoTime() + patienceMs * 1_000_000;
        while (true) {
            if (holds.call()) {
                return true;
            }
            if (System.nanoTime() > end) {
                return false;
            }
            Thread.sleep(15);
        }
    }

    @Override
    public void close() {
        List<Runnable> all = new ArrayList<>(closing);
        Collections.reverse(all);
        for (Runnable one : all) {
            try {
                one.run();
            } catch (RuntimeException ignored) {
                // A client that never started has nothing to close.
            }
        }
    }
}
