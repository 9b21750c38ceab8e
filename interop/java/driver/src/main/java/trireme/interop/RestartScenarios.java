package trireme.interop;

import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageQueue;

/** The broker goes away in the middle, and returns; asks the runner to do it. */
final class RestartScenarios {
    private RestartScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("restart-clean", (world, report) -> restart(world, report, "stop"));
        all.put("restart-kill", (world, report) -> restart(world, report, "kill"));
        all.put("namesrv-restart", RestartScenarios::namesrvRestart);
    }

    private static void restart(World world, Report report, String how) throws Exception {
        String topic = world.topic("offsets", 2);
        String group = world.name("g-offsets");
        DefaultMQProducer producer = world.producer();
        Set<String> before = world.send(producer, topic, "*", 80, "before");
        Ledger first = world.ledger();
        DefaultMQPushConsumer early = world.consuming("g-offsets", topic, "*", first);
        World.within(World.PATIENCE_MS, () -> first.holdsAll(before));
        first.expectExactly(before, report, "before the restart");
        early.shutdown();
        World.until("the offsets to reach the broker", () -> ConsumeScenarios.behind(world, group, topic) == 0);
        SendResult old = producer.send(World.message(topic, "*", "old-key", 200));

        String later = world.topic("later", 1);
        Ledger late = world.ledger();
        Traffic traffic = new Traffic(world);
        long sentAt = System.currentTimeMillis();
        for (int i = 0; i < 5; i++) {
            producer.send(LaterScenarios.delayed(later, "late" + i, 2));
        }
        if (how.equals("kill")) {
            // Group offsets reach the disk on a five-second clock; what is promised for a kill is what was on disk.
            world.ask("wait-offsets-on-disk broker " + topic + "@" + group + " 80");
        }
        world.ask(how + " broker");
        long down = System.nanoTime();
        world.ask("start broker");
        report.saw("down-ms", (System.nanoTime() - down) / 1_000_000);
        report.saw("first-ack-ms-after-ready", traffic.untilAcked(60_000));
        traffic.untilFlowing(60_000);

        Set<String> after = world.send(producer, topic, "*", 30, "after");
        Ledger second = world.ledger();
        world.consuming("g-offsets", topic, "*", second);
        Set<String> expected = ConsumeScenarios.union(after, Set.of("old-key"));
        World.within(World.PATIENCE_MS, () -> second.holdsAll(expected));
        second.expectExactly(expected, report, "the group goes on where it was");
        report.equal("old-key", Bodies.idOf(world.admin().viewMessage(topic, old.getOffsetMsgId()).getBody()),
            "a message from before, by its offsetMsgId");
        boolean found = World.within(15_000, () -> {
            var result = world.admin().queryMessage(topic, "old-key", 8, 0, Long.MAX_VALUE);
            return result.getMessageList().size() == 1;
        });
        report.expect(found, "a message from before, by its key");
        world.consuming("g-later", later, "*", late);
        Set<String> lates = Set.of("late0", "late1", "late2", "late3", "late4");
        World.within(World.PATIENCE_MS, () -> late.holdsAll(lates));
        late.expectExactly(lates, report, "delayed messages over the restart");
        long promised = LaterScenarios.levels(world)[1];
        late.all().forEach(seen -> report.expect(seen.storedAt() >= sentAt + promised - 200,
            seen.id() + " was delivered " + (seen.storedAt() - sentAt) + " ms after its sending, too early"));
        traffic.settle(report, World.PATIENCE_MS);
    }

    /** A name server forgets everything, and hears it all again from the brokers; clients notice nothing. */
    private static void namesrvRestart(World world, Report report) throws Exception {
        Traffic traffic = new Traffic(world);
        world.ask("kill namesrv");
        traffic.untilFlowing(60_000);
        world.ask("start namesrv");
        World.until("the broker to register again", 60_000, () -> {
            try {
                return !world.masters().isEmpty();
            } catch (Exception notYet) {
                return false;
            }
        });
        var route = world.admin().examineTopicRouteInfo(traffic.topic);
        report.equal(1, route.getQueueDatas().size(), "brokers in the route after the name server's return");
        traffic.untilFlowing(60_000);
        report.equal(0, traffic.unknownCount(), "sends that failed while the name server was away");
        MessageQueue queue = new MessageQueue(traffic.topic, world.masters().keySet().iterator().next(), 0);
        report.expect(world.puller("g-new").maxOffset(queue) > 0, "a new client finds the topic");
        traffic.settle(report, World.PATIENCE_MS);
    }
}
