package trireme.interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Every way to consume without order: push and pull, by tag, in a group or each for itself, from where it is said. */
final class ConsumeScenarios {
    private ConsumeScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("push", ConsumeScenarios::push);
        all.put("tags", ConsumeScenarios::tags);
        all.put("broadcast", ConsumeScenarios::broadcast);
        all.put("long-poll", ConsumeScenarios::longPoll);
        all.put("from-where", ConsumeScenarios::fromWhere);
        all.put("lite-subscribe", ConsumeScenarios::liteSubscribe);
        all.put("lite-assign", ConsumeScenarios::liteAssign);
    }

    /** Two members share eight queues; all messages arrive, each once; the broker knows how far the group is. */
    private static void push(World world, Report report) throws Exception {
        String topic = world.topic("t", 8);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer a = world.consuming("g", topic, "*", ledger);
        DefaultMQPushConsumer b = world.consuming("g", topic, "*", ledger);
        World.until("two members with four queues each",
            () -> Rebalanced.queues(a, topic).size() == 4 && Rebalanced.queues(b, topic).size() == 4);
        Set<String> sent = world.send(world.producer(), topic, "*", 800);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "group");
        ledger.expectNoRepeats(report, "group");
        Set<String> members = new HashSet<>();
        ledger.all().forEach(seen -> members.add(seen.by()));
        report.equal(2, members.size(), "members that got messages");
        a.shutdown();
        b.shutdown();
        World.until("the group's offsets to reach the broker", () -> behind(world, world.name("g"), topic) == 0);
        report.equal(800L, consumed(world, world.name("g"), topic), "offsets of the group, added up");
    }

    static long behind(World world, String group, String topic) throws Exception {
        long behind = 0;
        for (var entry : world.admin().examineConsumeStats(group, topic).getOffsetTable().entrySet()) {
            behind += entry.getValue().getBrokerOffset() - entry.getValue().getConsumerOffset();
        }
        return behind;
    }

    static long consumed(World world, String group, String topic) throws Exception {
        long consumed = 0;
        for (var entry : world.admin().examineConsumeStats(group, topic).getOffsetTable().entrySet()) {
            if (entry.getKey().getTopic().equals(topic)) {
                consumed += entry.getValue().getConsumerOffset();
            }
        }
        return consumed;
    }

    /** "Aa" and "BB" have one hash: the broker lets both through, and the client still tells them apart. */
    private static void tags(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        DefaultMQProducer producer = world.producer();
        Ledger one = world.ledger();
        Ledger two = world.ledger();
        Ledger all = world.ledger();
        world.consuming("g-one", topic, "Aa", one);
        world.consuming("g-two", topic, "Aa || Отдел", two);
        world.consuming("g-all", topic, "*", all);
        Set<String> aa = world.send(producer, topic, "Aa", 40, "aa");
        Set<String> bb = world.send(producer, topic, "BB", 40, "bb");
        Set<String> script = world.send(producer, topic, "Отдел", 40, "script");
        Set<String> none = world.send(producer, topic, null, 40, "none");
        Set<String> aaToo = world.send(producer, topic, "Aa", 5, "last");
        aa.addAll(aaToo);
        Set<String> both = union(aa, script);
        Set<String> every = union(union(both, bb), none);
        World.within(World.PATIENCE_MS, () -> one.holdsAll(aa) && two.holdsAll(both) && all.holdsAll(every));
        one.expectExactly(aa, report, "Aa");
        two.expectExactly(both, report, "Aa || Отдел");
        all.expectExactly(every, report, "*");
        two.expectNoRepeats(report, "Aa || Отдел");
        filteredOnTheBroker(world, report, topic, script.size());
    }

    /** A pull by tag answers with no other hash, so the filter is the broker's and not only the client's. */
    private static void filteredOnTheBroker(World world, Report report, String topic, int expected) throws Exception {
        DefaultMQPullConsumer puller = world.puller("g-pull");
        int found = 0;
        for (MessageQueue queue : World.queues(puller, topic)) {
            long offset = 0;
            long end = puller.maxOffset(queue);
            while (offset < end) {
                var result = puller.pull(queue, "Отдел", offset, 32);
                found += result.getMsgFoundList() == null ? 0 : result.getMsgFoundList().size();
                report.expect(result.getNextBeginOffset() > offset, "a filtered pull moves on from " + offset);
                offset = Math.max(result.getNextBeginOffset(), offset + 1);
            }
        }
        report.equal(expected, found, "messages of one tag found by pulling");
    }

    static Set<String> union(Set<String> a, Set<String> b) {
        Set<String> both = new LinkedHashSet<>(a);
        both.addAll(b);
        return both;
    }

    private static void broadcast(World world, Report report) throws Exception {
        String topic = world.topic("t", 4);
        List<Ledger> ledgers = new ArrayList<>();
        List<DefaultMQPushConsumer> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Ledger ledger = world.ledger();
            DefaultMQPushConsumer member = world.consumer("g", topic, "*");
            broadcasting(member);
            member.registerMessageListener(World.listener(ledger, "member " + i));
            member.start();
            ledgers.add(ledger);
            members.add(member);
        }
        World.until("each member to have all queues",
            () -> members.stream().allMatch(member -> Rebalanced.queues(member, topic).size() == 4));
        Set<String> sent = world.send(world.producer(), topic, "*", 200);
        for (Ledger ledger : ledgers) {
            World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
            ledger.expectExactly(sent, report, "each member");
            ledger.expectNoRepeats(report, "each member");
        }
    }

    /** MessageModel moved between packages from 4.9 to 5.x, so it is reached by name. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    static void broadcasting(DefaultMQPushConsumer consumer) throws Exception {
        for (var method : DefaultMQPushConsumer.class.getMethods()) {
            if (method.getName().equals("setMessageModel")) {
                method.invoke(consumer, Enum.valueOf((Class<Enum>) method.getParameterTypes()[0], "BROADCASTING"));
            }
        }
    }

    /** A waiting consumer is woken by the message, not by the next poll. */
    private static void longPoll(World world, Report report) throws Exception {
        String topic = world.topic("t", 1);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consuming("g", topic, "*", ledger);
        World.until("the queue", () -> Rebalanced.queues(consumer, topic).size() == 1);
        DefaultMQProducer producer = world.producer();
        Set<String> sent = new TreeSet<>();
        List<Long> waits = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            String id = "m" + i;
            long began = System.nanoTime();
            producer.send(World.message(topic, "*", id, 100));
            sent.add(id);
            if (World.within(20_000, () -> ledger.holds(id)) && i > 1) {
                waits.add((System.nanoTime() - began) / 1_000_000);
            }
        }
        ledger.expectExactly(sent, report, "consumer");
        waits.sort(null);
        report.saw("delivery-ms", waits);
        report.expect(!waits.isEmpty() && waits.get(waits.size() / 2) < 1_000, "half of the messages arrive within 1 s: " + waits);
    }

    private static void fromWhere(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        DefaultMQProducer producer = world.producer();
        Set<String> early = world.send(producer, topic, "*", 40, "early");
        long second = 1_000;
        long boundary = (System.currentTimeMillis() / second + 1) * second;
        World.until("the next full second", () -> System.currentTimeMillis() > boundary + 50);
        Set<String> late = world.send(producer, topic, "*", 40, "late");

        Ledger first = world.ledger();
        world.consuming("g-first", topic, "*", first);
        World.within(World.PATIENCE_MS, () -> first.holdsAll(early) && first.holdsAll(late));
        first.expectExactly(union(early, late), report, "from the first offset");
        offsetsByTime(world, report, topic, boundary, early.size());
    }

    private static void offsetsByTime(World world, Report report, String topic, long boundary, int early) throws Exception {
        DefaultMQPullConsumer puller = world.puller("g-pull");
        long sum = 0;
        for (MessageQueue queue : World.queues(puller, topic)) {
            sum += puller.searchOffset(queue, boundary);
            report.equal(0L, puller.searchOffset(queue, 0), "offset at the beginning of time in " + queue.getQueueId());
            report.equal(0L, puller.minOffset(queue), "min offset of " + queue.getQueueId());
            report.expect(puller.earliestMsgStoreTime(queue) < boundary, "earliest store time lies before the boundary");
        }
        report.equal((long) early, sum, "offsets at the boundary, added up");
    }

    private static void liteSubscribe(World world, Report report) throws Exception {
        String topic = world.topic("t", 4);
        Set<String> sent = world.send(world.producer(), topic, "TagA", 300);
        world.send(world.producer(), topic, "TagB", 10, "b");
        Ledger ledger = world.ledger();
        DefaultLitePullConsumer consumer = world.litePull("g");
        consumer.subscribe(topic, "TagA");
        consumer.setAutoCommit(false);
        consumer.start();
        poll(consumer, ledger, sent, "first life");
        ledger.expectExactly(sent, report, "lite pull");
        consumer.commitSync();
        World.until("the committed offsets to be at the broker",
            () -> ConsumeScenarios.consumed(world, world.name("g"), topic) >= 300);
        consumer.shutdown();

        Set<String> later = world.send(world.producer(), topic, "TagA", 20, "later");
        Ledger second = world.ledger();
        DefaultLitePullConsumer next = world.litePull("g");
        next.subscribe(topic, "TagA");
        next.start();
        poll(next, second, later, "second life");
        second.expectExactly(later, report, "second life of the group goes on where the first committed");
    }

    private static void poll(DefaultLitePullConsumer consumer, Ledger ledger, Set<String> wanted, String by)
        throws Exception {
        World.within(World.PATIENCE_MS, () -> {
            for (MessageExt message : consumer.poll(200)) {
                ledger.take(message, by);
            }
            return ledger.holdsAll(wanted);
        });
    }

    private interface Seek {
        void run() throws Exception;
    }

    /** A seek interrupts the pulls under way, and a 5.x client then may close the connection that the seek needs. */
    private static void seek(Seek seek) throws Exception {
        World.patiently(() -> {
            seek.run();
            return null;
        });
    }

    /** Queues taken by hand, with seeks, and offsets committed by hand. */
    private static void liteAssign(World world, Report report) throws Exception {
        String topic = world.topic("t", 3);
        DefaultMQProducer producer = world.producer();
        Set<String> sent = world.send(producer, topic, "*", 150);
        DefaultLitePullConsumer consumer = world.litePull("g");
        consumer.setAutoCommit(false);
        consumer.start();
        Collection<MessageQueue> queues = consumer.fetchMessageQueues(topic);
        report.equal(3, queues.size(), "queues of the topic");
        consumer.assign(queues);
        for (MessageQueue queue : queues) {
            seek(() -> consumer.seekToBegin(queue));
        }
        Ledger ledger = world.ledger();
        poll(consumer, ledger, sent, "assigned");
        ledger.expectExactly(sent, report, "assigned queues");
        Map<Integer, Long> perQueue = new HashMap<>();
        ledger.all().forEach(seen -> perQueue.merge(seen.queue(), seen.offset() + 1, Math::max));
        for (MessageQueue queue : queues) {
            // A seek may take effect after the first messages came; then the client reads, and counts, from there again.
            boolean there = World.within(World.PATIENCE_MS, () -> {
                consumer.poll(20);
                consumer.commitSync();
                return perQueue.get(queue.getQueueId()).equals(consumer.committed(queue));
            });
            report.expect(there, "committed offset of queue " + queue.getQueueId() + ": expected "
                + perQueue.get(queue.getQueueId()) + ", got " + consumer.committed(queue));
        }
        MessageQueue one = queues.iterator().next();
        seek(() -> consumer.seek(one, 5));
        Ledger again = world.ledger();
        Set<String> expected = new TreeSet<>();
        ledger.all().stream().filter(seen -> seen.queue() == one.getQueueId() && seen.offset() >= 5)
            .forEach(seen -> expected.add(String.valueOf(seen.id())));
        poll(consumer, again, expected, "sought");
        again.expectExactly(expected, report, "after seeking offset 5");
        report.expect(again.all().stream().allMatch(seen -> seen.offset() >= 5), "nothing before the offset sought");
        report.equal(0L, consumer.offsetForTimestamp(one, 0L), "offset for timestamp 0");
    }
}
