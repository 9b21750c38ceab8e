package trireme.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What comes later: delay levels, retries of failed messages, and the queue of the dead. */
final class LaterScenarios {
    /** How much later than promised a message may be on a busy machine. */
    private static final long LATE_MS = 4_000;

    private LaterScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("delay", LaterScenarios::delay);
        all.put("retry-dlq", LaterScenarios::retryUntilDead);
        all.put("retry-once", LaterScenarios::retryOnce);
        all.put("dlq-at-once", LaterScenarios::deadAtOnce);
    }

    /** The delays of the broker's levels in milliseconds, as the runner configured them; level 1 is first. */
    static long[] levels(World world) {
        String[] words = world.option("delay-levels").split("_");
        long[] levels = new long[words.length];
        for (int i = 0; i < words.length; i++) {
            TimeUnit unit = switch (words[i].charAt(words[i].length() - 1)) {
                case 's' -> TimeUnit.SECONDS;
                case 'm' -> TimeUnit.MINUTES;
                default -> TimeUnit.HOURS;
            };
            levels[i] = unit.toMillis(Long.parseLong(words[i].substring(0, words[i].length() - 1)));
        }
        return levels;
    }

    static Message delayed(String topic, String id, int level) {
        Message message = World.message(topic, "Late", id, 120);
        message.setDelayTimeLevel(level);
        return message;
    }

    private static void delay(World world, Report report) throws Exception {
        long[] levels = levels(world);
        String topic = world.topic("t", 2);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consuming("g", topic, "Late", ledger);
        World.until("the queues", () -> Rebalanced.queues(consumer, topic).size() == 2);
        DefaultMQProducer producer = world.producer();
        Map<String, Integer> levelOf = new HashMap<>();
        for (int level : new int[] {1, 2, 3, 5}) {
            for (int i = 0; i < 5; i++) {
                String id = "level" + level + "-" + i;
                producer.send(delayed(topic, id, level));
                levelOf.put(id, level);
            }
        }
        // A level past the last one means the last one, and no level means now.
        producer.send(World.message(topic, "Late", "now", 100));
        Set<String> all = new TreeSet<>(levelOf.keySet());
        all.add("now");
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(all));
        ledger.expectExactly(all, report, "consumer");
        ledger.expectNoRepeats(report, "consumer");
        for (Ledger.Seen seen : ledger.all()) {
            Integer level = levelOf.get(String.valueOf(seen.id()));
            report.equal(topic, seen.topic(), "topic of " + seen.id());
            report.equal("Late", seen.tags(), "tags of " + seen.id());
            if (level != null) {
                long took = seen.seenAt() - seen.bornAt();
                long promised = levels[level - 1];
                report.expect(took >= promised - 100 && took <= promised + LATE_MS,
                    seen.id() + " came after " + took + " ms, level " + level + " means " + promised + " ms");
            }
        }
    }

    private static void retryUntilDead(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        Ledger ledger = world.ledger();
        String group = world.name("g");
        world.metBefore("g", topic, report);
        DefaultMQPushConsumer consumer = world.consumer("g", topic, "*");
        consumer.setMaxReconsumeTimes(2);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> ledger.take(message, "one"));
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        Set<String> sent = world.send(world.producer(), topic, "TagX", 6);
        World.within(World.PATIENCE_MS, () -> ledger.size() >= 18);
        List<MessageExt> dead = dead(world, group, 6);
        Map<String, TreeSet<Integer>> times = new HashMap<>();
        for (Ledger.Seen seen : ledger.all()) {
            report.expect(times.computeIfAbsent(String.valueOf(seen.id()), id -> new TreeSet<>()).add(seen.reconsume()),
                seen.id() + " came twice as attempt " + seen.reconsume());
            report.equal(topic, seen.topic(), "topic of " + seen.id() + " in attempt " + seen.reconsume());
            report.equal("TagX", seen.tags(), "tags of " + seen.id() + " in attempt " + seen.reconsume());
        }
        ledger.expectExactly(sent, report, "attempts");
        for (String id : sent) {
            report.equal("[0, 1, 2]", times.get(id), "attempts of " + id);
        }
        expectDead(report, dead, sent, topic, ledger);
    }

    private static List<MessageExt> dead(World world, String group, int expected) throws Exception {
        String dlq = "%DLQ%" + group;
        DefaultMQPullConsumer puller = world.puller("g-dead");
        List<MessageExt> dead = new ArrayList<>();
        World.within(World.PATIENCE_MS, () -> {
            dead.clear();
            try {
                for (MessageQueue queue : World.queues(puller, dlq)) {
                    var found = puller.pull(queue, "*", 0, 32).getMsgFoundList();
                    dead.addAll(found == null ? List.of() : found);
                }
            } catch (org.apache.rocketmq.client.exception.MQClientException noRouteYet) {
                return false;
            }
            return dead.size() >= expected;
        });
        return dead;
    }

    private static void expectDead(Report report, List<MessageExt> dead, Set<String> sent, String topic, Ledger ledger) {
        Set<String> ids = new TreeSet<>();
        Map<String, String> firstId = new HashMap<>();
        ledger.all().forEach(seen -> {
            if (seen.reconsume() == 0) {
                firstId.put(seen.id(), seen.msgId());
            }
        });
        for (MessageExt message : dead) {
            String id = Bodies.idOf(message.getBody());
            ids.add(String.valueOf(id));
            report.equal(topic, message.getProperty("RETRY_TOPIC"), "RETRY_TOPIC of the dead " + id);
            report.equal(firstId.get(id), message.getMsgId(), "unique key of the dead " + id);
            report.expect(message.getProperty("ORIGIN_MESSAGE_ID") != null, "ORIGIN_MESSAGE_ID of the dead " + id);
            report.equal("TagX", message.getTags(), "tags of the dead " + id);
        }
        report.equal(sent.size(), dead.size(), "messages in the queue of the dead");
        report.equal(new TreeSet<>(sent), ids, "who is in the queue of the dead");
    }

    /** A message that fails once comes again, later, to any member, with its attempt counted. */
    private static void retryOnce(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        Ledger failed = world.ledger();
        Ledger done = world.ledger();
        world.metBefore("g", topic, report);
        DefaultMQPushConsumer consumer = world.consumer("g", topic, "TagX");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            boolean later = messages.get(0).getReconsumeTimes() == 0;
            messages.forEach(message -> (later ? failed : done).take(message, "one"));
            return later ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Set<String> sent = world.send(world.producer(), topic, "TagX", 20);
        World.within(World.PATIENCE_MS, () -> done.holdsAll(sent));
        failed.expectExactly(sent, report, "first attempts");
        done.expectExactly(sent, report, "second attempts");
        done.expectNoRepeats(report, "second attempts");
        Map<String, Long> first = new HashMap<>();
        failed.all().forEach(seen -> first.put(seen.id(), seen.seenAt()));
        long promised = levels(world)[2];
        for (Ledger.Seen seen : done.all()) {
            report.equal(1, seen.reconsume(), "attempts before " + seen.id());
            long took = seen.seenAt() - first.getOrDefault(String.valueOf(seen.id()), 0L);
            report.expect(took >= promised - 100 && took < promised + 2 * LATE_MS,
                seen.id() + " came again after " + took + " ms, level 3 means " + promised);
        }
    }

    /** A negative delay level sends a message to the dead without a second try. */
    private static void deadAtOnce(World world, Report report) throws Exception {
        String topic = world.topic("t", 1);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consumer("g", topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> ledger.take(message, "one"));
            context.setDelayLevelWhenNextConsume(-1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        Set<String> sent = world.send(world.producer(), topic, "TagX", 4);
        List<MessageExt> dead = dead(world, world.name("g"), 4);
        ledger.expectExactly(sent, report, "attempts");
        ledger.expectNoRepeats(report, "attempts");
        expectDead(report, dead, sent, topic, ledger);
    }
}
