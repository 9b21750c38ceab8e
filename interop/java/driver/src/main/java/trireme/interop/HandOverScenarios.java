package trireme.interop;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A store written by one broker and read by another: "store-write" sends and writes down what it was told in a file,
 * "store-check" reads that file and compares everything with what the next broker serves.
 *
 * <p>The file has one line a fact, words separated by tabs: {@code m id queue offset offsetMsgId msgId tags},
 * {@code d id due}, {@code o queue offset}.
 */
final class HandOverScenarios {
    private static final int DELAY_LEVEL = 6;

    private HandOverScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("store-write", HandOverScenarios::write);
        all.put("store-check", HandOverScenarios::check);
        all.put("load", HandOverScenarios::load);
    }

    private static String topic(World world) {
        return world.prefix + "-store-t";
    }

    private static String late(World world) {
        return world.prefix + "-store-late";
    }

    private static void write(World world, Report report) throws Exception {
        MqAdminTopic.make(world, topic(world), 3);
        MqAdminTopic.make(world, late(world), 1);
        DefaultMQProducer producer = world.producer();
        List<String> facts = new ArrayList<>();
        Map<Integer, Long> ends = new HashMap<>();
        for (int i = 0; i < 300; i++) {
            String id = "s" + i;
            int size = i % 50 == 0 ? 100_000 : 60 + i;
            Message message = World.message(topic(world), i % 3 == 0 ? "TagA" : "TagB", id, size);
            note(facts, ends, id, producer.send(message), message.getTags(), 0, 1);
        }
        for (int b = 0; b < 10; b++) {
            List<Message> batch = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                batch.add(World.message(topic(world), "TagC", "b" + b + "-" + i, 90));
            }
            SendResult result = producer.send(batch);
            for (int i = 0; i < 10; i++) {
                note(facts, ends, "b" + b + "-" + i, result, "TagC", i, 10);
            }
        }
        consumeSome(world, report, facts);
        long due = System.currentTimeMillis() + LaterScenarios.levels(world)[DELAY_LEVEL - 1];
        for (int i = 0; i < 8; i++) {
            producer.send(LaterScenarios.delayed(late(world), "late" + i, DELAY_LEVEL));
            facts.add("d\tlate" + i + "\t" + due);
        }
        Files.write(Path.of(world.option("manifest")), facts, StandardCharsets.UTF_8);
        report.saw("messages", facts.size());
        report.expect(ends.size() == 3, "all three queues hold messages");
    }

    private static void note(List<String> facts, Map<Integer, Long> ends, String id, SendResult result, String tags,
                             int nth, int of) {
        int queue = result.getMessageQueue().getQueueId();
        long offset = result.getQueueOffset() + nth;
        String offsetMsgId = of == 1 ? result.getOffsetMsgId() : result.getOffsetMsgId().split(",")[nth];
        // RocketMQ's broker gives every message of a batch the unique key of the batch as well.
        String msgId = of == 1 ? result.getMsgId() : "of-a-batch";
        facts.add(String.join("\t", "m", id, "" + queue, "" + offset, offsetMsgId, msgId, tags));
        ends.put(queue, offset + 1);
    }

    /** A group that has read part of the topic and said so. */
    private static void consumeSome(World world, Report report, List<String> facts) throws Exception {
        MqAdminTopic.make(world, "%RETRY%" + world.prefix + "-store-g", 1);
        DefaultLitePullConsumer consumer = world.litePull("unused");
        consumer.setConsumerGroup(world.prefix + "-store-g");
        consumer.setAutoCommit(false);
        consumer.start();
        List<MessageQueue> queues = new ArrayList<>(consumer.fetchMessageQueues(topic(world)));
        consumer.assign(queues);
        int[] seen = {0};
        World.until("half of the messages", () -> {
            seen[0] += consumer.poll(100).size();
            return seen[0] >= 120;
        });
        consumer.commitSync();
        World.until("the offsets to reach the broker",
            () -> ConsumeScenarios.consumed(world, world.prefix + "-store-g", topic(world)) >= 120);
        for (MessageQueue queue : queues) {
            facts.add("o\t" + queue.getQueueId() + "\t" + Math.max(0, consumer.committed(queue)));
        }
        report.expect(seen[0] >= 120, "the group read part of the topic");
    }

    private record Fact(String id, int queue, long offset, String offsetMsgId, String msgId, String tags) {
    }

    private static void check(World world, Report report) throws Exception {
        Map<String, Fact> facts = new HashMap<>();
        Map<String, Long> due = new HashMap<>();
        Map<Integer, Long> committed = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(world.option("manifest")), StandardCharsets.UTF_8)) {
            String[] words = line.split("\t");
            switch (words[0]) {
                case "m" -> facts.put(words[1], new Fact(words[1], Integer.parseInt(words[2]),
                    Long.parseLong(words[3]), words[4], words[5], words[6]));
                case "d" -> due.put(words[1], Long.parseLong(words[2]));
                default -> committed.put(Integer.parseInt(words[1]), Long.parseLong(words[2]));
            }
        }
        World.until("a route to the topic", () -> {
            try {
                return world.admin().examineTopicRouteInfo(topic(world)).getQueueDatas().size() > 0;
            } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
                return false;
            }
        });
        drained(world, report, facts);
        found(world, report, facts);
        offsetsGoOn(world, report, facts, committed);
        latecomers(world, report, due);
        sendsGoOn(world, report, facts);
    }

    private static void drained(World world, Report report, Map<String, Fact> facts) throws Exception {
        Ledger ledger = world.ledger();
        DefaultMQPullConsumer puller = world.puller("drain");
        world.drain(puller, topic(world), facts.size(), ledger);
        ledger.expectExactly(facts.keySet(), report, "what the next broker serves");
        ledger.expectNoRepeats(report, "what the next broker serves");
        for (Ledger.Seen seen : ledger.all()) {
            Fact fact = facts.get(String.valueOf(seen.id()));
            if (fact != null) {
                report.equal(fact, new Fact(seen.id(), seen.queue(), seen.offset(), seen.offsetMsgId(),
                    fact.msgId.equals("of-a-batch") ? fact.msgId : seen.msgId(), seen.tags()), "place of " + seen.id());
                report.equal(fact.id, seen.keys(), "keys of " + seen.id());
            }
        }
    }

    private static void found(World world, Report report, Map<String, Fact> facts) throws Exception {
        for (Fact fact : facts.values()) {
            if (fact.id.endsWith("7")) {
                MessageExt message = world.admin().viewMessage(topic(world), fact.offsetMsgId);
                report.equal(fact.id, Bodies.idOf(message.getBody()), "message by its offsetMsgId");
            }
        }
        if (world.options.getOrDefault("keys", "yes").equals("yes")) {
            for (String id : List.of("s3", "s299", "b4-4")) {
                boolean there = World.within(10_000, () -> keyed(world, id));
                report.expect(there, "message " + id + " by its key, from the index");
            }
        }
    }

    private static boolean keyed(World world, String id) throws InterruptedException {
        try {
            return world.admin().queryMessage(topic(world), id, 8, 0, Long.MAX_VALUE).getMessageList().stream()
                .anyMatch(message -> id.equals(Bodies.idOf(message.getBody())));
        } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
            return false;
        }
    }

    private static void offsetsGoOn(World world, Report report, Map<String, Fact> facts, Map<Integer, Long> committed)
        throws Exception {
        boolean clean = world.option("stop").equals("stop");
        String group = world.prefix + "-store-g";
        Map<Integer, Long> now = new HashMap<>();
        for (var entry : world.admin().examineConsumeStats(group, topic(world)).getOffsetTable().entrySet()) {
            if (entry.getKey().getTopic().equals(topic(world))) {
                now.put(entry.getKey().getQueueId(), entry.getValue().getConsumerOffset());
            }
        }
        committed.forEach((queue, offset) -> {
            long is = now.getOrDefault(queue, 0L);
            report.expect(clean ? is == offset : is <= offset,
                "offset of the group in queue " + queue + " was " + offset + ", is " + is);
        });
        Set<String> rest = new LinkedHashSet<>();
        facts.values().forEach(fact -> {
            if (fact.offset >= now.getOrDefault(fact.queue, 0L)) {
                rest.add(fact.id);
            }
        });
        Ledger ledger = world.ledger();
        var consumer = world.consumer("unused", topic(world), "*");
        consumer.setConsumerGroup(group);
        consumer.registerMessageListener(World.listener(ledger, "next"));
        consumer.start();
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(rest));
        ledger.expectExactly(rest, report, "the rest, to the same group");
        consumer.shutdown();
    }

    private static void latecomers(World world, Report report, Map<String, Long> due) throws Exception {
        Ledger ledger = world.ledger();
        var consumer = world.consumer("late", late(world), "*");
        consumer.registerMessageListener(World.listener(ledger, "late"));
        consumer.start();
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(due.keySet()));
        ledger.expectExactly(due.keySet(), report, "delayed messages, delivered by the next broker");
        for (Ledger.Seen seen : ledger.all()) {
            long expected = due.getOrDefault(String.valueOf(seen.id()), 0L);
            boolean early = seen.storedAt() < expected - 300;
            if (early && world.options.getOrDefault("early", "no").equals("yes")) {
                report.saw("came-early-ms", expected - seen.storedAt());
            } else {
                report.expect(!early, seen.id() + " came " + (expected - seen.storedAt()) + " ms too early");
            }
        }
        consumer.shutdown();
    }

    private static void sendsGoOn(World world, Report report, Map<String, Fact> facts) throws Exception {
        Map<Integer, Long> ends = new HashMap<>();
        facts.values().forEach(fact -> ends.merge(fact.queue, fact.offset + 1, Math::max));
        String brokerName = world.masters().keySet().iterator().next();
        DefaultMQProducer producer = world.producer();
        for (var end : ends.entrySet()) {
            SendResult result = producer.send(World.message(topic(world), "*", "next" + end.getKey(), 100),
                new MessageQueue(topic(world), brokerName, end.getKey()));
            report.equal(end.getValue(), result.getQueueOffset(), "offset of the next message in queue " + end.getKey());
        }
    }

    /** Only sends, for comparisons that are made outside: --count messages of about --size bytes. */
    private static void load(World world, Report report) throws Exception {
        String topic = world.topic("t", 4);
        DefaultMQProducer producer = world.producer();
        int count = Integer.parseInt(world.option("count"));
        int size = Integer.parseInt(world.option("size"));
        for (int i = 0; i < count; i++) {
            producer.send(World.message(topic, "TagA", "l" + i, size + i % 97));
        }
        Ledger ledger = world.ledger();
        world.drain(world.puller("drain"), topic, count, ledger);
        report.equal(count, ledger.size(), "messages stored");
    }
}
