package trireme.interop;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Producers and consumers that go on while servers die and return. A send that failed is "unknown": it may show up
 * later or never; a send that was acknowledged must show up, and must stay where the acknowledgement said.
 */
final class Traffic {
    final String topic;
    final String ordered;
    final Ledger concurrent;
    final Ledger orderly;
    final DefaultMQPushConsumer consumer;
    private final World world;
    private final Set<String> acked = ConcurrentHashMap.newKeySet();
    private final Set<String> unknown = ConcurrentHashMap.newKeySet();
    private final ConcurrentHashMap<String, String> placeOf = new ConcurrentHashMap<>();
    private final ConcurrentLinkedQueue<String> clashes = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicLong ackedCount = new AtomicLong();
    private final AtomicLong lastAck = new AtomicLong();
    private final ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
    private final AtomicLong open = new AtomicLong();
    private final List<Thread> senders;

    Traffic(World world) throws Exception {
        this(world, false);
    }

    /** With callbacks, one more thread sends without waiting for answers. */
    Traffic(World world, boolean callbacks) throws Exception {
        this.world = world;
        topic = world.topic("free", 4);
        ordered = world.topic("ordered", 4);
        concurrent = world.ledger();
        orderly = world.ledger();
        consumer = world.consuming("g-free", topic, "*", concurrent);
        DefaultMQPushConsumer inOrder = world.consumer("g-ordered", ordered, "*");
        inOrder.registerMessageListener(OrderScenarios.orderly(orderly, "one", new ConcurrentHashMap<>(), clashes));
        inOrder.start();
        DefaultMQProducer producer = world.freshProducer();
        producer.setSendMsgTimeout(3_000);
        producer.start();
        List<Thread> all = new ArrayList<>(
            List.of(sender(producer, topic, null), sender(producer, ordered, 0), sender(producer, ordered, 1)));
        if (callbacks) {
            all.add(caller(producer));
        }
        senders = all;
        senders.forEach(Thread::start);
        World.until("the first acknowledgements", () -> ackedCount.get() > 60);
    }

    private Thread sender(DefaultMQProducer producer, String to, Integer key) {
        return new Thread(() -> {
            for (int i = 0; !stop.get(); i++) {
                String id = (key == null ? "free" : "k" + key) + "-" + i;
                try {
                    SendResult result = key == null ? producer.send(World.message(to, "*", id, 120))
                        : producer.send(World.message(to, "*", id, 120),
                            (queues, m, k) -> queues.get((Integer) k % queues.size()), key);
                    note(id, result);
                    Thread.sleep(4);
                } catch (InterruptedException ended) {
                    return;
                } catch (Exception failed) {
                    fail(id, failed);
                    pause();
                }
            }
        }, "sender");
    }

    private Thread caller(DefaultMQProducer producer) {
        return new Thread(() -> {
            for (int i = 0; !stop.get(); i++) {
                String id = "free-callback-" + i;
                open.incrementAndGet();
                try {
                    producer.send(World.message(topic, "*", id, 120), new SendCallback() {
                        @Override
                        public void onSuccess(SendResult result) {
                            note(id, result);
                            open.decrementAndGet();
                        }

                        @Override
                        public void onException(Throwable failed) {
                            fail(id, failed);
                            open.decrementAndGet();
                        }
                    });
                    Thread.sleep(4);
                } catch (InterruptedException ended) {
                    return;
                } catch (Exception failed) {
                    fail(id, failed);
                    open.decrementAndGet();
                    pause();
                }
            }
        }, "caller");
    }

    private void fail(String id, Throwable failed) {
        unknown.add(id);
        failures.add(id + ": " + failed);
    }

    private static void pause() {
        try {
            Thread.sleep(20);
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    private void note(String id, SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            unknown.add(id);
            return;
        }
        MessageQueue queue = result.getMessageQueue();
        placeOf.put(id, queue.getTopic() + "@" + queue.getBrokerName() + "@" + queue.getQueueId() + "@"
            + result.getQueueOffset());
        acked.add(id);
        lastAck.set(System.nanoTime());
        ackedCount.incrementAndGet();
    }

    long ackedCount() {
        return ackedCount.get();
    }

    /** Acknowledged messages of the free topic that are in queues of this broker name. */
    Set<String> ackedBy(String broker) {
        Set<String> its = new LinkedHashSet<>();
        placeOf.forEach((id, place) -> {
            if (place.startsWith(topic + "@" + broker + "@")) {
                its.add(id);
            }
        });
        return its;
    }

    int unknownCount() {
        return unknown.size();
    }

    /** What went wrong first. */
    String firstFailures() {
        return failures.stream().limit(5).toList().toString();
    }

    /** Milliseconds from now until sends are acknowledged again; fails after the patience given. */
    long untilAcked(long patienceMs) throws Exception {
        long began = System.nanoTime();
        World.until("a new acknowledged send", patienceMs, () -> lastAck.get() > began);
        return (lastAck.get() - began) / 1_000_000;
    }

    void untilFlowing(long patienceMs) throws Exception {
        long from = ackedCount.get();
        World.until("sends to flow", patienceMs, () -> ackedCount.get() > from + 100);
        int seen = concurrent.size();
        World.until("consumption to flow", patienceMs, () -> concurrent.size() > seen + 20);
    }

    /** Ends the sending and compares what was acknowledged with what was consumed. */
    void settle(Report report, long patienceMs) throws Exception {
        stop.set(true);
        for (Thread sender : senders) {
            sender.join();
        }
        World.until("all callbacks", patienceMs, () -> open.get() == 0);
        Set<String> all = new LinkedHashSet<>(acked);
        Set<String> free = new LinkedHashSet<>(all);
        free.removeIf(id -> !id.startsWith("free"));
        Set<String> keyed = new LinkedHashSet<>(all);
        keyed.removeAll(free);
        World.within(patienceMs, () -> concurrent.holdsAll(free) && orderly.holdsAll(keyed));
        expectAcked(report, concurrent, free, "concurrent consumer");
        expectAcked(report, orderly, keyed, "orderly consumer");
        orderly.expectOrder(report, "orderly consumer", true);
        report.expect(clashes.isEmpty(), "a queue was with two threads: " + clashes.peek());
        report.saw("acked", acked.size());
        report.saw("unknown", unknown.size());
        report.saw("repeats", concurrent.repeats() + orderly.repeats());
        Ledger stored = world.ledger();
        var puller = world.puller("g-drain");
        world.drain(puller, topic, free.size(), stored);
        world.drain(puller, ordered, keyed.size(), stored);
        expectAcked(report, stored, all, "what is stored");
    }

    private void expectAcked(Report report, Ledger ledger, Set<String> wanted, String who) {
        Set<String> known = new LinkedHashSet<>(wanted);
        // A failed send may be there all the same, but nothing else may.
        ledger.all().forEach(seen -> {
            if (seen.id() != null && unknown.contains(seen.id())) {
                known.add(seen.id());
            }
            String told = placeOf.get(String.valueOf(seen.id()));
            if (told != null && !told.equals(seen.place())) {
                // A retried send may be stored twice; then one of the two is where the acknowledgement said.
                report.saw("second-copies", who);
            }
        });
        ledger.expectExactly(known, report, who);
        Set<String> places = ConcurrentHashMap.newKeySet();
        ledger.all().forEach(seen -> places.add(seen.place() + "=" + seen.id()));
        ConcurrentHashMap<String, String> idAt = new ConcurrentHashMap<>();
        ledger.all().forEach(seen -> {
            String before = idAt.putIfAbsent(seen.place(), String.valueOf(seen.id()));
            report.expect(before == null || before.equals(String.valueOf(seen.id())),
                who + ": " + seen.place() + " showed " + before + " and later " + seen.id());
        });
        int elsewhere = 0;
        for (String id : wanted) {
            if (!places.contains(placeOf.get(id) + "=" + id)) {
                elsewhere++;
            }
        }
        report.equal(0, elsewhere, who + ": acknowledged messages that are not where the acknowledgement said");
    }
}
