package trireme.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Order: messages of one key in one queue, and one consumer at a time that sees a queue in order. */
final class OrderScenarios {
    private OrderScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("ordered", OrderScenarios::ordered);
        all.put("push-orderly", OrderScenarios::pushOrderly);
        all.put("orderly-suspend", OrderScenarios::suspend);
        all.put("orderly-locks", OrderScenarios::locks);
    }

    /** Sends count messages of each key to the queue its key selects; answers all ids. */
    static Set<String> sendByKey(DefaultMQProducer producer, String topic, int keys, int count, Report report)
        throws Exception {
        Set<String> ids = new LinkedHashSet<>();
        Map<Integer, Integer> queueOfKey = new HashMap<>();
        for (int i = 0; i < count; i++) {
            for (int key = 0; key < keys; key++) {
                String id = "k" + key + "-" + i;
                SendResult result = producer.send(World.message(topic, "*", id, 80),
                    (List<MessageQueue> queues, org.apache.rocketmq.common.message.Message m, Object k) ->
                        queues.get((Integer) k % queues.size()), key);
                ids.add(id);
                Integer before = queueOfKey.put(key, result.getMessageQueue().getQueueId());
                report.expect(before == null || before == result.getMessageQueue().getQueueId(),
                    "key " + key + " stays in queue " + before);
            }
        }
        return ids;
    }

    /** What was sent of one key comes back in the order it was sent. */
    static void expectKeysInOrder(Ledger ledger, Report report) {
        Map<String, Integer> last = new HashMap<>();
        Set<String> met = new HashSet<>();
        for (Ledger.Seen seen : ledger.all()) {
            if (seen.id() == null || !met.add(seen.id())) {
                continue;
            }
            int dash = seen.id().indexOf('-');
            String key = seen.id().substring(0, dash);
            int nth = Integer.parseInt(seen.id().substring(dash + 1));
            int before = last.getOrDefault(key, -1);
            report.expect(nth == before + 1, "key " + key + " showed message " + nth + " after " + before);
            last.put(key, nth);
        }
    }

    private static void ordered(World world, Report report) throws Exception {
        String topic = world.topic("t", 4);
        Set<String> sent = sendByKey(world.producer(), topic, 6, 40, report);
        Ledger ledger = world.ledger();
        world.drain(world.puller("g"), topic, sent.size(), ledger);
        ledger.expectExactly(sent, report, "drain");
        ledger.expectOrder(report, "drain", false);
        expectKeysInOrder(ledger, report);
    }

    /** An orderly listener that also watches that no queue is ever with two threads at once. */
    static MessageListenerOrderly orderly(Ledger ledger, String by, ConcurrentHashMap<MessageQueue, String> holders,
                                          ConcurrentLinkedQueue<String> clashes) {
        return (messages, context) -> {
            MessageQueue queue = context.getMessageQueue();
            String other = holders.putIfAbsent(queue, by);
            if (other != null) {
                clashes.add(queue.getQueueId() + " was with " + other + " when " + by + " got it");
            }
            messages.forEach(message -> ledger.take(message, by));
            if (other == null) {
                holders.remove(queue);
            }
            return ConsumeOrderlyStatus.SUCCESS;
        };
    }

    private static void pushOrderly(World world, Report report) throws Exception {
        String topic = world.topic("t", 4);
        Ledger ledger = world.ledger();
        ConcurrentHashMap<MessageQueue, String> holders = new ConcurrentHashMap<>();
        ConcurrentLinkedQueue<String> clashes = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = world.consumer("g", topic, "*");
        consumer.registerMessageListener(orderly(ledger, "one", holders, clashes));
        consumer.start();
        Set<String> sent = sendByKey(world.producer(), topic, 8, 60, report);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "orderly");
        ledger.expectNoRepeats(report, "orderly");
        ledger.expectOrder(report, "orderly", false);
        expectKeysInOrder(ledger, report);
        report.expect(clashes.isEmpty(), clashes.size() + " times a queue was with two threads: " + clashes.peek());
    }

    /** A message that fails stays in front of its queue until it is done. */
    private static void suspend(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        Ledger ledger = world.ledger();
        AtomicInteger failures = new AtomicInteger();
        AtomicBoolean overtaken = new AtomicBoolean();
        Set<String> failing = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = world.consumer("g", topic, "*");
        consumer.setSuspendCurrentQueueTimeMillis(100);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            MessageExt message = messages.get(0);
            String queue = String.valueOf(message.getQueueId());
            boolean mustFail = message.getQueueOffset() == 5 && message.getReconsumeTimes() < 2;
            if (message.getQueueOffset() > 5 && failing.contains(queue)) {
                overtaken.set(true);
            }
            if (mustFail) {
                failing.add(queue);
                failures.incrementAndGet();
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            failing.remove(queue);
            ledger.take(message, "one");
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        Set<String> sent = sendByKey(world.producer(), topic, 2, 20, report);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "orderly");
        ledger.expectOrder(report, "orderly", false);
        report.equal(4, failures.get(), "failures of the sixth message in each queue");
        report.expect(!overtaken.get(), "no message overtakes one that failed");
    }

    /** Members come and go while messages flow; the broker's locks keep each queue with one of them, in order. */
    private static void locks(World world, Report report) throws Exception {
        String topic = world.topic("t", 4);
        Ledger ledger = world.ledger();
        ConcurrentHashMap<MessageQueue, String> holders = new ConcurrentHashMap<>();
        ConcurrentLinkedQueue<String> clashes = new ConcurrentLinkedQueue<>();
        List<DefaultMQPushConsumer> members = new ArrayList<>();
        for (String by : List.of("first", "second")) {
            DefaultMQPushConsumer member = world.consumer("g", topic, "*");
            member.registerMessageListener(orderly(ledger, by, holders, clashes));
            members.add(member);
        }
        members.get(0).start();
        DefaultMQProducer producer = world.producer();
        Set<String> sent = new LinkedHashSet<>();
        AtomicBoolean stop = new AtomicBoolean();
        List<Exception> failed = new ArrayList<>();
        Thread sender = new Thread(() -> {
            try {
                for (int i = 0; !stop.get(); i++) {
                    for (int key = 0; key < 4; key++) {
                        String id = "k" + key + "-" + i;
                        producer.send(World.message(topic, "*", id, 60),
                            (queues, m, k) -> queues.get((Integer) k % queues.size()), key);
                        synchronized (sent) {
                            sent.add(id);
                        }
                    }
                    Thread.sleep(2);
                }
            } catch (Exception error) {
                failed.add(error);
            }
        });
        sender.start();
        try {
            World.until("the first member to hold all queues", () -> by(ledger, "first") > 100);
            members.get(1).start();
            World.until("the second member to get messages", 60_000, () -> by(ledger, "second") > 100);
            members.get(1).shutdown();
            int soFar = by(ledger, "first");
            World.until("the first member to take over again", 60_000, () -> by(ledger, "first") > soFar + 200);
        } finally {
            stop.set(true);
            sender.join();
        }
        report.expect(failed.isEmpty(), "sends while members came and went: " + failed);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "both members");
        ledger.expectOrder(report, "both members", true);
        report.expect(clashes.isEmpty(), clashes.size() + " times a queue was with two members: " + clashes.peek());
        report.saw("repeats", ledger.repeats());
    }

    private static int by(Ledger ledger, String by) {
        return (int) ledger.all().stream().filter(seen -> seen.by().equals(by)).count();
    }
}
