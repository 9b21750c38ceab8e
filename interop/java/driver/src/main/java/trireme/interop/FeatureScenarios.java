package trireme.interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What applications use beside sending and consuming: requests with replies, traces, namespaces, times, pauses. */
final class FeatureScenarios {
    private FeatureScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("request-reply", FeatureScenarios::requestReply);
        all.put("trace", FeatureScenarios::trace);
        all.put("namespace", FeatureScenarios::namespace);
        all.put("strategies", FeatureScenarios::strategies);
        all.put("pause", FeatureScenarios::pause);
        all.put("from-timestamp", FeatureScenarios::fromTimestamp);
    }

    /** A producer asks and waits for the answer, or is called back with it; an answer that nobody gives is missed in time. */
    private static void requestReply(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        DefaultMQProducer answering = world.producer();
        Ledger asked = world.ledger();
        ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = world.consumer("g", topic, "*");
        consumer.registerMessageListener(
            (org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently) (messages, context) -> {
                for (MessageExt message : messages) {
                    asked.take(message, "answering");
                    try {
                        if (!"mute".equals(message.getUserProperty("id"))) {
                            byte[] body = ("answer to " + message.getUserProperty("id")).getBytes(StandardCharsets.UTF_8);
                            answering.send(MessageUtil.createReplyMessage(message, body));
                        }
                    } catch (Exception failed) {
                        failures.add(failed.toString());
                    }
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        consumer.start();
        DefaultMQProducer asking = world.producer();
        Set<String> sent = new LinkedHashSet<>();
        for (int i = 0; i < 5; i++) {
            String id = "q" + i;
            sent.add(id);
            Message answer = asking.request(World.message(topic, "*", id, 100), 20_000);
            report.equal("answer to " + id, new String(answer.getBody(), StandardCharsets.UTF_8), "the answer");
        }
        CompletableFuture<String> called = new CompletableFuture<>();
        sent.add("called");
        asking.request(World.message(topic, "*", "called", 100), new RequestCallback() {
            @Override
            public void onSuccess(Message answer) {
                called.complete(new String(answer.getBody(), StandardCharsets.UTF_8));
            }

            @Override
            public void onException(Throwable failed) {
                called.completeExceptionally(failed);
            }
        }, 20_000);
        report.equal("answer to called", called.get(30, TimeUnit.SECONDS), "the answer by callback");
        sent.add("mute");
        try {
            asking.request(World.message(topic, "*", "mute", 100), 1_500);
            report.expect(false, "a request without an answer came back");
        } catch (org.apache.rocketmq.client.exception.RequestTimeoutException expected) {
            report.saw("without-answer", "timed out");
        }
        World.within(World.PATIENCE_MS, () -> asked.holdsAll(sent));
        asked.expectExactly(sent, report, "who answers");
        report.expect(failures.isEmpty(), "answers failed: " + failures.peek());
    }

    /** With the trace switched on, what happened to each message can be read in the trace topic. */
    private static void trace(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        String traces = world.topic("traces", 1);
        DefaultMQProducer producer = world.dressed(new DefaultMQProducer(world.name("p"), true, traces));
        world.later(producer::shutdown);
        producer.start();
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.dressed(new DefaultMQPushConsumer(world.name("g"), true, traces));
        world.later(consumer::shutdown);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(World.listener(ledger, "traced"));
        consumer.start();
        Set<String> sent = world.send(producer, topic, "*", 5);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "consumer");
        Set<String> ids = ConcurrentHashMap.newKeySet();
        ledger.all().forEach(seen -> ids.add(seen.msgId()));
        StringBuffer written = new StringBuffer();
        DefaultMQPushConsumer reader = world.consumer("g-traces", traces, "*");
        reader.registerMessageListener(
            (org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently) (messages, context) -> {
                messages.forEach(message -> written.append(new String(message.getBody(), StandardCharsets.UTF_8)));
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        reader.start();
        for (String kind : List.of("Pub", "SubBefore", "SubAfter")) {
            report.expect(World.within(World.PATIENCE_MS, () -> traced(written.toString(), kind).containsAll(ids)),
                "the trace holds " + kind + " of every message");
        }
    }

    /** The records of one kind name messages somewhere among their fields. */
    private static Set<String> traced(String text, String kind) {
        Set<String> found = new LinkedHashSet<>();
        for (String one : text.split("\u0002")) {
            List<String> fields = List.of(one.split("\u0001"));
            if (fields.get(0).equals(kind)) {
                found.addAll(fields);
            }
        }
        return found;
    }

    /** A client with a namespace sees its own topics and groups under their short names. */
    private static void namespace(World world, Report report) throws Exception {
        String shortName = world.name("t");
        String topic = world.topicNamed("Space%" + shortName, 2);
        DefaultMQProducer producer = world.freshProducer();
        producer.setNamespace("Space");
        producer.start();
        Ledger inside = world.ledger();
        DefaultMQPushConsumer consumer = world.dressed(new DefaultMQPushConsumer(world.name("g")));
        world.later(consumer::shutdown);
        consumer.setNamespace("Space");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(shortName, "*");
        consumer.registerMessageListener(World.listener(inside, "inside"));
        consumer.start();
        Set<String> sent = world.send(producer, shortName, "*", 20);
        World.within(World.PATIENCE_MS, () -> inside.holdsAll(sent));
        inside.expectExactly(sent, report, "inside the namespace");
        report.expect(inside.all().stream().allMatch(seen -> seen.topic().equals(shortName)), "topics are short inside");
        Ledger outside = world.ledger();
        world.consuming("g-outside", topic, "*", outside);
        World.within(World.PATIENCE_MS, () -> outside.holdsAll(sent));
        outside.expectExactly(sent, report, "outside the namespace");
        String group = "Space%" + world.name("g");
        report.expect(!world.admin().examineConsumerConnectionInfo(group).getConnectionSet().isEmpty(), group + " is online");
    }

    /** Two members share a topic by other rules than the default. */
    private static void strategies(World world, Report report) throws Exception {
        List<AllocateMessageQueueStrategy> strategies =
            List.of(new AllocateMessageQueueAveragelyByCircle(), new AllocateMessageQueueConsistentHash());
        for (AllocateMessageQueueStrategy strategy : strategies) {
            String name = strategy.getName();
            String topic = world.topic(name, 8);
            Ledger ledger = world.ledger();
            List<DefaultMQPushConsumer> members = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                DefaultMQPushConsumer member = world.consumer("g-" + name, topic, "*");
                member.setAllocateMessageQueueStrategy(strategy);
                member.registerMessageListener(World.listener(ledger, member.getInstanceName()));
                member.start();
                members.add(member);
            }
            World.until("all eight queues to be shared by " + name, () -> {
                Set<MessageQueue> one = Rebalanced.queues(members.get(0), topic);
                Set<MessageQueue> two = Rebalanced.queues(members.get(1), topic);
                return one.size() + two.size() == 8 && java.util.Collections.disjoint(one, two);
            });
            Set<String> sent = world.send(world.producer(), topic, "*", 80);
            World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
            ledger.expectExactly(sent, report, name);
        }
    }

    /** A consumer that is suspended gets nothing new, and goes on where it was when it is resumed. */
    private static void pause(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        DefaultMQProducer producer = world.producer();
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consuming("g", topic, "*", ledger);
        Set<String> before = world.send(producer, topic, "*", 20, "before");
        World.until("messages before the pause", () -> ledger.holdsAll(before));
        consumer.suspend();
        // A pull that waited at the broker when the pause began brings one answer more; a second one would be new.
        Set<String> first = world.send(producer, topic, "*", 2, "first");
        boolean went = World.within(2_000, () -> ledger.holdsAll(first));
        Set<String> second = world.send(producer, topic, "*", 20, "second");
        report.expect(!World.within(2_000, () -> ledger.holdsAll(second)), "not everything comes during the pause");
        report.saw("the pull under way brought", went);
        Set<String> during = ConsumeScenarios.union(first, second);
        consumer.resume();
        Set<String> all = ConsumeScenarios.union(before, during);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(all));
        ledger.expectExactly(all, report, "after the pause");
    }

    /** A pull consumer finds the offset of a time and reads from there. */
    private static void fromTimestamp(World world, Report report) throws Exception {
        String topic = world.topic("t", 1);
        DefaultMQProducer producer = world.producer();
        world.send(producer, topic, "*", 10, "old");
        long time = System.currentTimeMillis() + 50;
        World.until("that time", () -> System.currentTimeMillis() > time);
        Set<String> young = world.send(producer, topic, "*", 10, "young");
        Ledger ledger = world.ledger();
        DefaultLitePullConsumer puller = world.litePull("g");
        puller.start();
        Collection<MessageQueue> queues = puller.fetchMessageQueues(topic);
        puller.assign(queues);
        for (MessageQueue queue : queues) {
            report.equal(0L, puller.offsetForTimestamp(queue, 0L), "offset of the beginning of time");
            long offset = puller.offsetForTimestamp(queue, time);
            report.equal(10L, offset, "offset of the time between");
            puller.seek(queue, offset);
        }
        World.within(World.PATIENCE_MS, () -> {
            puller.poll(200).forEach(message -> ledger.take(message, "from a time"));
            return ledger.holdsAll(young);
        });
        ledger.expectExactly(young, report, "from a time");
    }
}
