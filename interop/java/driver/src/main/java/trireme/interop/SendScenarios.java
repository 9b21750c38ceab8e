package trireme.interop;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Every way to send, what the producer is told, and what is then stored. */
final class SendScenarios {
    private SendScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("sync", SendScenarios::sync);
        all.put("bodies", SendScenarios::bodies);
        all.put("auto-create", SendScenarios::autoCreate);
        all.put("async", SendScenarios::async);
        all.put("one-way", SendScenarios::oneWay);
        all.put("batch", SendScenarios::batch);
        all.put("fast-port", SendScenarios::fastPort);
        all.put("refusals", SendScenarios::refusals);
    }

    private static void sync(World world, Report report) throws Exception {
        String topic = world.topic("t", 4);
        DefaultMQProducer producer = world.producer();
        Map<String, SendResult> results = new HashMap<>();
        Map<Integer, Long> next = new HashMap<>();
        for (int i = 0; i < 200; i++) {
            String id = "m" + i;
            SendResult result = producer.send(World.message(topic, "TagA", id, 64 + i * 11));
            results.put(id, result);
            report.equal(SendStatus.SEND_OK, result.getSendStatus(), "status of " + id);
            int queue = result.getMessageQueue().getQueueId();
            report.equal(next.getOrDefault(queue, 0L), result.getQueueOffset(), "offset of " + id + " in queue " + queue);
            next.put(queue, result.getQueueOffset() + 1);
            report.expect(result.getMsgId() != null && result.getMsgId().matches("[0-9A-F]{32}|[0-9A-F]{56}"),
                "msgId is the client's unique key: " + result.getMsgId());
            // Only 5.x reads this field of the answer.
            report.expect(result.getTransactionId() == null || result.getTransactionId().equals(result.getMsgId()),
                "transactionId is the unique key: " + result.getTransactionId());
            report.equal("DefaultRegion", result.getRegionId(), "region");
        }
        report.equal(4, next.size(), "queues used");
        Ledger ledger = world.ledger();
        world.drain(world.puller("g"), topic, results.size(), ledger);
        ledger.expectExactly(results.keySet(), report, "drain");
        ledger.expectNoRepeats(report, "drain");
        for (Ledger.Seen seen : ledger.all()) {
            SendResult sent = results.get(seen.id());
            if (sent == null) {
                continue;
            }
            report.equal(sent.getQueueOffset(), seen.offset(), "offset of " + seen.id() + " when read");
            report.equal(sent.getMessageQueue().getQueueId(), seen.queue(), "queue of " + seen.id() + " when read");
            report.equal(sent.getOffsetMsgId(), seen.offsetMsgId(), "offsetMsgId of " + seen.id() + " when read");
            report.equal(sent.getMsgId(), seen.msgId(), "msgId of " + seen.id() + " when read");
            report.equal("TagA", seen.tags(), "tags of " + seen.id());
            report.equal(seen.id(), seen.keys(), "keys of " + seen.id());
        }
        viewed(world, report, topic, results.get("m7"));
    }

    /** The offsetMsgId names the broker and the place in its log; the broker finds the message by it. */
    private static void viewed(World world, Report report, String topic, SendResult sent) throws Exception {
        var id = MessageDecoder.decodeMessageId(sent.getOffsetMsgId());
        InetSocketAddress host = (InetSocketAddress) id.getAddress();
        report.expect(world.masters().containsValue(host.getAddress().getHostAddress() + ":" + host.getPort()),
            "offsetMsgId names a master: " + host);
        MessageExt found = world.admin().viewMessage(topic, sent.getOffsetMsgId());
        report.equal("m7", Bodies.idOf(found.getBody()), "message found by its offsetMsgId");
        report.equal(id.getOffset(), found.getCommitLogOffset(), "physical offset in the offsetMsgId");
    }

    /** Bodies of every kind of size, compressed ones, and properties in any script, come back as they went in. */
    private static void bodies(World world, Report report) throws Exception {
        String topic = world.topic("t", 1);
        DefaultMQProducer producer = world.producer();
        List<Message> sent = new ArrayList<>();
        for (int size : new int[] {1, 2, 4095, 4096, 65_536, 262_144, 1_048_576, 4_000_000}) {
            sent.add(new Message(topic, null, "k" + size, size < 20 ? new byte[size] : Bodies.make("raw" + size, size)));
        }
        sent.add(new Message(topic, null, "zip", Bodies.makeCompressible("zip", 2_000_000)));
        Message dressed = new Message(topic, "Тег-标签", "ключ 键 two-keys", Bodies.make("dressed", 300));
        dressed.putUserProperty("name", "значение \u00e9 漢字 \ud83d\udea3");
        dressed.putUserProperty("equals=&colon:", "a=b;c:d,{\"json\":1}");
        dressed.setFlag(0x1234567);
        sent.add(dressed);
        for (Message message : sent) {
            report.equal(SendStatus.SEND_OK, producer.send(message).getSendStatus(), "status of " + message.getKeys());
        }
        DefaultMQPullConsumer puller = world.puller("g");
        MessageQueue queue = World.queues(puller, topic).get(0);
        for (int i = 0; i < sent.size(); i++) {
            Message expected = sent.get(i);
            var found = puller.pull(queue, "*", i, 1).getMsgFoundList();
            if (!report.expect(found != null && found.size() == 1, "message " + i + " is there")) {
                continue;
            }
            MessageExt got = found.get(0);
            report.expect(Arrays.equals(expected.getBody(), world.read(got)),
                "body " + i + " of " + expected.getBody().length + " bytes came back unchanged");
            report.equal(expected.getKeys(), got.getKeys(), "keys of " + i);
            report.equal(expected.getTags(), got.getTags(), "tags of " + i);
            report.equal(expected.getFlag(), got.getFlag(), "flag of " + i);
            report.equal(expected.getUserProperty("name"), got.getUserProperty("name"), "property of " + i);
            report.equal(expected.getUserProperty("equals=&colon:"), got.getUserProperty("equals=&colon:"),
                "odd property of " + i);
        }
    }

    /** A topic nobody made comes into being with the producer's number of queues. */
    private static void autoCreate(World world, Report report) throws Exception {
        String topic = world.name("never-made");
        DefaultMQProducer producer = world.producer();
        producer.setDefaultTopicQueueNums(3);
        Set<String> sent = world.send(producer, topic, "*", 30);
        World.until("a route to " + topic, () -> world.admin().examineTopicRouteInfo(topic).getQueueDatas().size() > 0);
        var queue = world.admin().examineTopicRouteInfo(topic).getQueueDatas().get(0);
        report.equal(3, queue.getReadQueueNums(), "read queues of the topic");
        report.equal(3, queue.getWriteQueueNums(), "write queues of the topic");
        report.equal(6, queue.getPerm(), "permission of the topic (TBW102's without inherit)");
        Ledger ledger = world.ledger();
        world.drain(world.puller("g"), topic, sent.size(), ledger);
        ledger.expectExactly(sent, report, "drain");
    }

    private static void async(World world, Report report) throws Exception {
        int count = 1_000;
        String topic = world.topic("t", 4);
        DefaultMQProducer producer = world.producer();
        Set<String> ids = new LinkedHashSet<>();
        Set<String> places = ConcurrentHashMap.newKeySet();
        ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
        CountDownLatch answered = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            ids.add("m" + i);
            producer.send(World.message(topic, "*", "m" + i, 200), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    if (result.getSendStatus() != SendStatus.SEND_OK) {
                        failures.add(result.getSendStatus().toString());
                    }
                    places.add(result.getMessageQueue() + "@" + result.getQueueOffset());
                    answered.countDown();
                }

                @Override
                public void onException(Throwable error) {
                    failures.add(error.toString());
                    answered.countDown();
                }
            });
        }
        report.expect(answered.await(World.PATIENCE_MS, TimeUnit.MILLISECONDS), "every callback was called");
        report.expect(failures.isEmpty(), failures.size() + " async sends failed: " + failures.peek());
        report.equal(count, places.size(), "distinct places told to callbacks");
        Ledger ledger = world.ledger();
        world.drain(world.puller("g"), topic, ids.size(), ledger);
        ledger.expectExactly(ids, report, "drain");
        ledger.expectNoRepeats(report, "drain");
    }

    private static void oneWay(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        DefaultMQProducer producer = world.producer();
        DefaultMQPullConsumer puller = world.puller("g");
        Set<String> ids = new LinkedHashSet<>();
        for (int i = 0; i < 200; i++) {
            ids.add("m" + i);
            producer.sendOneway(World.message(topic, "*", "m" + i, 100));
        }
        World.until("200 one-way messages to be stored", () -> {
            long total = 0;
            for (MessageQueue queue : World.queues(puller, topic)) {
                total += puller.maxOffset(queue);
            }
            return total >= 200;
        });
        Ledger ledger = world.ledger();
        world.drain(puller, topic, ids.size(), ledger);
        ledger.expectExactly(ids, report, "drain");
        ledger.expectNoRepeats(report, "drain");
    }

    private static void batch(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        DefaultMQProducer producer = world.producer();
        Set<String> ids = new LinkedHashSet<>();
        Map<Integer, Long> next = new HashMap<>();
        Map<String, String> offsetIds = new HashMap<>();
        for (int b = 0; b < 8; b++) {
            List<Message> batch = new ArrayList<>();
            for (int i = 0; i < 10 + b; i++) {
                Message message = World.message(topic, i % 2 == 0 ? "Even" : "Odd", "b" + b + "-" + i, 50 + i * 30);
                batch.add(message);
                ids.add("b" + b + "-" + i);
            }
            SendResult result = producer.send(batch);
            report.equal(SendStatus.SEND_OK, result.getSendStatus(), "status of batch " + b);
            int queue = result.getMessageQueue().getQueueId();
            report.equal(next.getOrDefault(queue, 0L), result.getQueueOffset(), "first offset of batch " + b);
            next.put(queue, result.getQueueOffset() + batch.size());
            String[] each = result.getOffsetMsgId().split(",");
            report.equal(batch.size(), each.length, "offsetMsgIds of batch " + b);
            report.equal(batch.size(), result.getMsgId().split(",").length, "msgIds of batch " + b);
            for (int i = 0; i < Math.min(each.length, batch.size()); i++) {
                offsetIds.put("b" + b + "-" + i, each[i]);
            }
        }
        Ledger ledger = world.ledger();
        world.drain(world.puller("g"), topic, ids.size(), ledger);
        ledger.expectExactly(ids, report, "drain");
        ledger.expectNoRepeats(report, "drain");
        for (Ledger.Seen seen : ledger.all()) {
            if (seen.id() != null) {
                report.equal(offsetIds.get(seen.id()), seen.offsetMsgId(), "offsetMsgId of " + seen.id());
                int nth = Integer.parseInt(seen.id().substring(seen.id().indexOf('-') + 1));
                report.equal(nth % 2 == 0 ? "Even" : "Odd", seen.tags(), "tags of " + seen.id());
            }
        }
    }

    /** The same broker also answers on listenPort − 2, for clients that use the "VIP channel". */
    private static void fastPort(World world, Report report) throws Exception {
        String topic = world.topic("t", 1);
        DefaultMQProducer producer = world.freshProducer();
        producer.setVipChannelEnabled(true);
        producer.start();
        Set<String> sent = world.send(producer, topic, "*", 20);
        Ledger ledger = world.ledger();
        world.drain(world.puller("g"), topic, sent.size(), ledger);
        ledger.expectExactly(sent, report, "drain");
    }

    /** What must not be stored is refused with the code a client knows, and leaves the connection usable. */
    private static void refusals(World world, Report report) throws Exception {
        DefaultMQProducer producer = world.freshProducer();
        producer.setMaxMessageSize(16 << 20);
        producer.setCompressMsgBodyOverHowmuch(32 << 20);
        producer.setRetryTimesWhenSendFailed(0);
        producer.start();
        String open = world.topic("open", 1);
        String closed = world.topic("closed", 1, 4);
        MessageQueue writable = producer.fetchPublishMessageQueues(open).get(0);

        refused(report, "a body of 5 MiB", Set.of(13),
            () -> producer.send(World.message(open, "*", "big", 5 << 20), writable));
        refused(report, "a queue that is not there", Set.of(1, 29),
            () -> producer.send(World.message(open, "*", "x", 50), new MessageQueue(open, writable.getBrokerName(), 99)));
        boolean refusedByClient = false;
        try {
            producer.send(World.message(closed, "*", "x", 50));
        } catch (MQClientException noWritableQueue) {
            refusedByClient = true;
        }
        report.expect(refusedByClient, "a topic without write permission offers a producer no queue");
        boolean lost = false;
        try {
            world.admin().viewMessage(open, "7F0000010000ABCD00000000FFFFFFFF".replace("0000ABCD",
                String.format("%08X", port(world))));
        } catch (MQBrokerException | MQClientException notThere) {
            lost = true;
        }
        report.expect(lost, "a message id that points past the log finds nothing");
        SendResult after = producer.send(World.message(open, "*", "after", 100), writable);
        report.equal(SendStatus.SEND_OK, after.getSendStatus(), "a good send after all the refusals");
        report.equal(0L, after.getQueueOffset(), "nothing refused was stored");
        Ledger ledger = world.ledger();
        producer.send(World.message(open, "*", "after2", 100), writable);
        producer.send(World.message(open, "*", "after3", 100), writable);
        world.drain(world.puller("g"), open, 3, ledger);
        ledger.expectExactly(new TreeSet<>(Set.of("after", "after2", "after3")), report, "drain");
    }

    private static int port(World world) throws Exception {
        String address = world.masters().values().iterator().next();
        return Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
    }

    interface Deed {
        Object run() throws Exception;
    }

    static void refused(Report report, String what, Set<Integer> codes, Deed deed) throws Exception {
        try {
            Object result = deed.run();
            report.expect(false, what + " was accepted: " + result);
        } catch (MQBrokerException refusal) {
            report.expect(codes.contains(refusal.getResponseCode()), what + " was refused with code "
                + refusal.getResponseCode() + " (" + refusal.getErrorMessage() + "), expected one of " + codes);
        }
    }
}
