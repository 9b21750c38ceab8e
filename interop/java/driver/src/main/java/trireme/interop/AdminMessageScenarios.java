package trireme.interop;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageQueue;

/** mqadmin on messages and on where groups stand. */
final class AdminMessageScenarios {
    private AdminMessageScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("admin-messages", AdminMessageScenarios::messages);
        all.put("admin-offsets", AdminMessageScenarios::offsets);
        all.put("admin-offline-offsets", AdminMessageScenarios::offlineOffsets);
    }

    private static void messages(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String topic = world.topic("t", 2);
        DefaultMQProducer producer = world.producer();
        MessageQueue queue = new MessageQueue(topic, admin.brokerName, 1);
        SendResult sent = null;
        for (int i = 0; i < 5; i++) {
            sent = producer.send(World.message(topic, "TagQ", "needle" + i, 90), queue);
        }
        String uniqueKey = sent.getMsgId();
        admin.saysSoon(List.of("queryMsgByKey", "-t", topic, "-k", "needle4"), uniqueKey);
        admin.saysSoon(List.of("queryMsgByUniqueKey", "-t", topic, "-i", uniqueKey), "needle4");
        admin.says(admin.byId(sent.getOffsetMsgId(), topic), topic, "needle4", "TagQ",
            sent.getOffsetMsgId());
        admin.says(List.of("queryMsgByOffset", "-t", topic, "-b", admin.brokerName, "-i", "1", "-o", "4"), topic,
            "needle4", "TagQ");
        admin.says(List.of("printMsg", "-t", topic, "-d", "true"), "needle0", "needle4", "TagQ");
        admin.says(List.of("printMsgByQueue", "-t", topic, "-a", admin.brokerName, "-i", "1", "-p", "true", "-d", "true",
            "-f", "true"), "needle0", "needle4", "TagQ");
        admin.says(List.of("queryCq", "-t", topic, "-q", "1", "-i", "0", "-c", "10", "-b", admin.brokerAddr),
            "max: 5, min: 0", "idx: 0", "idx: 4");
        admin.says(List.of("sendMessage", "-t", topic, "-p", "said by mqadmin", "-k", "admin-key", "-c", "TagS",
            "-b", admin.brokerName, "-i", "0"), "SEND_OK");
        admin.saysSoon(List.of("queryMsgByKey", "-t", topic, "-k", "admin-key"), "0");
        admin.says(List.of("consumeMessage", "-t", topic, "-b", admin.brokerName, "-i", "0", "-o", "0", "-c", "1"),
            "said by mqadmin");
        admin.says(List.of("checkMsgSendRT", "-t", topic, "-a", "4", "-s", "32"), "Avg RT");
        directly(world, report, admin, topic, sent);
    }

    /** The broker hands one message straight to one consumer and tells what the consumer made of it. */
    private static void directly(World world, Report report, MqAdmin admin, String topic, SendResult sent)
        throws Exception {
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consuming("g", topic, "TagQ", ledger);
        World.until("the consumer to have had its messages", () -> ledger.size() >= 4);
        String client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
        int before = ledger.size();
        String said = admin.says(admin.byId(sent.getOffsetMsgId(), topic, "-g", world.name("g"), "-d", client));
        report.has(said, "CR_SUCCESS", "queryMsgById to a consumer directly");
        report.expect(World.within(5_000, () -> ledger.size() > before), "the message reached the consumer directly");
    }

    private static void offsets(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String topic = world.topic("t", 2);
        String group = world.name("g");
        DefaultMQProducer producer = world.producer();
        Set<String> sent = world.send(producer, topic, "*", 60);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consuming("g", topic, "*", ledger);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "before the reset");
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        World.until("the offsets to reach the broker", () -> ConsumeScenarios.behind(world, group, topic) == 0);

        admin.says(List.of("resetOffsetByTime", "-g", group, "-t", topic, "-s", "0"), topic);
        boolean again = World.within(World.PATIENCE_MS, () -> ledger.size() >= 2 * sent.size());
        report.expect(again, "after resetOffsetByTime to the beginning all come again: " + ledger.size() + " deliveries of "
            + sent.size() + " messages");
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        admin.saysSoon(List.of("consumerProgress", "-g", group), "Diff Total: 0");
        String stats = admin.says(List.of("brokerConsumeStats", "-b", admin.brokerAddr));
        report.has(stats, group.length() > 30 ? group.substring(0, 20) : group, "brokerConsumeStats");
        admin.says(List.of("skipAccumulatedMessage", "-g", group, "-t", topic), admin.brokerName);
    }

    /** Groups that are not online are moved too. */
    private static void offlineOffsets(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String topic = world.topic("t", 2);
        String group = world.name("g");
        DefaultMQProducer producer = world.producer();
        Set<String> sent = world.send(producer, topic, "*", 40);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consuming("g", topic, "*", ledger);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "first life");
        consumer.shutdown();
        World.until("the offsets to reach the broker", () -> ConsumeScenarios.behind(world, group, topic) == 0);

        String twin = world.name("twin");
        admin.says(List.of("updateSubGroup", "-c", admin.cluster, "-g", twin), "success");
        // Whoever asks where a group stands looks for it by its retry topic.
        MqAdminTopic.make(world, "%RETRY%" + twin, 1);
        admin.says(List.of("cloneGroupOffset", "-s", group, "-d", twin, "-t", topic, "-o", "true"), "success");
        report.equal(40L, ConsumeScenarios.consumed(world, twin, topic), "offsets of the cloned group, added up");

        admin.attempt("resetOffsetByTime", "-g", group, "-t", topic, "-s", "0");
        report.expect(World.within(10_000, () -> ConsumeScenarios.behind(world, group, topic) == 40),
            "an offline group reset to the beginning is 40 behind, it is "
                + ConsumeScenarios.behind(world, group, topic));
        Ledger again = world.ledger();
        world.consuming("g", topic, "*", again);
        World.within(World.PATIENCE_MS, () -> again.holdsAll(sent));
        again.expectExactly(sent, report, "after the reset");
    }
}
