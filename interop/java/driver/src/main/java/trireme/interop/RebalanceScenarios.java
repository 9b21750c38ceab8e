package trireme.interop;

import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Members of a group come and go, and the others hear of it from the broker at once. */
final class RebalanceScenarios {
    /** Clients look by themselves every 20 s only; sooner than this means that the broker told them. */
    private static final long TOLD_MS = 9_000;

    private RebalanceScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("rebalance", RebalanceScenarios::rebalance);
    }

    private static void rebalance(World world, Report report) throws Exception {
        String topic = world.topic("t", 8);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer first = world.consuming("g", topic, "*", ledger);
        World.until("the first member to hold all eight queues", () -> Rebalanced.queues(first, topic).size() == 8);
        DefaultMQProducer producer = world.producer();
        Set<String> sent = new LinkedHashSet<>();
        ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
        AtomicBoolean stop = new AtomicBoolean();
        Thread sender = sender(producer, topic, sent, failures, stop);
        try {
            DefaultMQPushConsumer second = world.consuming("g", topic, "*", ledger);
            long joined = System.nanoTime();
            boolean shared = World.within(TOLD_MS, () -> shared(first, second, topic));
            report.expect(shared, "within " + TOLD_MS + " ms of a member's joining both hold four queues each: "
                + Rebalanced.queues(first, topic).size() + " and " + Rebalanced.queues(second, topic).size());
            report.saw("join-ms", (System.nanoTime() - joined) / 1_000_000);
            report.expect(World.within(World.PATIENCE_MS, () -> ledger.all().stream()
                .anyMatch(seen -> seen.by().equals(second.getInstanceName()))), "the second member gets messages");
            var connection = world.admin().examineConsumerConnectionInfo(world.name("g"));
            report.equal(2, connection.getConnectionSet().size(), "members that the broker knows");
            second.shutdown();
            long left = System.nanoTime();
            report.expect(World.within(TOLD_MS, () -> Rebalanced.queues(first, topic).size() == 8),
                "within " + TOLD_MS + " ms of a member's leaving the other holds all queues, it holds "
                    + Rebalanced.queues(first, topic).size());
            report.saw("leave-ms", (System.nanoTime() - left) / 1_000_000);
        } finally {
            stop.set(true);
            sender.join();
        }
        report.expect(failures.isEmpty(), failures.size() + " sends failed: " + failures.peek());
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "both members");
        report.saw("sent", sent.size());
        report.saw("repeats", ledger.repeats());
    }

    private static boolean shared(DefaultMQPushConsumer first, DefaultMQPushConsumer second, String topic) {
        Set<MessageQueue> a = Rebalanced.queues(first, topic);
        Set<MessageQueue> b = Rebalanced.queues(second, topic);
        Set<MessageQueue> both = new HashSet<>(a);
        both.addAll(b);
        return a.size() == 4 && b.size() == 4 && both.size() == 8;
    }

    /** Sends until told to stop; what was acknowledged is in sent, what failed in failures. */
    static Thread sender(DefaultMQProducer producer, String topic, Set<String> sent,
                         ConcurrentLinkedQueue<String> failures, AtomicBoolean stop) {
        Thread sender = new Thread(() -> {
            for (int i = 0; !stop.get(); i++) {
                String id = "m" + i;
                try {
                    producer.send(World.message(topic, "*", id, 80));
                    synchronized (sent) {
                        sent.add(id);
                    }
                    Thread.sleep(3);
                } catch (Exception error) {
                    failures.add(id + ": " + error);
                }
            }
        }, "sender");
        sender.start();
        return sender;
    }
}
