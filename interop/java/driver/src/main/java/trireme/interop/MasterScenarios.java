package trireme.interop;

import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Two masters, with a slave each or without; one master is killed in the middle and returns. */
final class MasterScenarios {
    /** A client asks for routes every 30 s, and until then knocks at the dead master's door. */
    private static final long ROUTES_MS = 90_000;
    private static final int BACKLOG = 200;
    private static final String DEAD = "broker-a";
    private static final String OTHER = "broker-b";

    private MasterScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("master-away", MasterScenarios::masterAway);
    }

    private static void masterAway(World world, Report report) throws Exception {
        boolean slaves = world.option("slaves").equals("yes");
        boolean sync = world.option("sync").equals("yes");
        String backlog = world.topic("backlog", 2);
        Traffic traffic = new Traffic(world);
        report.equal(List.of(DEAD, OTHER), List.copyOf(world.masters().keySet()), "masters");
        Ledger late = world.ledger();
        DefaultMQPushConsumer sleeper = world.consuming("g-late", backlog, "*", late);
        sleeper.suspend();
        Set<String> waiting = fill(world, backlog);
        if (slaves) {
            for (String topic : Set.of(backlog, traffic.topic, traffic.ordered)) {
                world.ask("wait-topic " + DEAD + "-s " + topic);
            }
        }

        world.ask("kill " + DEAD);
        Set<String> lastWords = traffic.ackedBy(DEAD);
        long died = System.nanoTime();
        report.saw("ms-to-first-ack", traffic.untilAcked(World.PATIENCE_MS));
        int others = traffic.ackedBy(OTHER).size();
        World.until("sends to " + OTHER, () -> traffic.ackedBy(OTHER).size() > others + 200);
        report.expect(!world.masters().containsKey(DEAD), "nobody is promoted in the place of " + DEAD);
        sleeper.resume();
        if (slaves) {
            World.within(ROUTES_MS, () -> late.holdsAll(waiting));
            late.expectExactly(waiting, report, "what waited, from the slave");
            // What only the master had is served when it returns; nothing of it was acknowledged by a SYNC_MASTER.
            boolean there = World.within(sync ? ROUTES_MS : 0, () -> traffic.concurrent.holdsAll(lastWords));
            report.expect(there || !sync, "what a SYNC_MASTER acknowledged comes from its slave");
        }
        report.saw("ms-until-consumers-go-on", (System.nanoTime() - died) / 1_000_000);

        world.ask("start " + DEAD);
        int before = traffic.ackedBy(DEAD).size();
        World.until("sends to " + DEAD + " again", ROUTES_MS, () -> traffic.ackedBy(DEAD).size() > before + 100);
        traffic.untilFlowing(ROUTES_MS);
        World.within(ROUTES_MS, () -> late.holdsAll(waiting));
        late.expectExactly(waiting, report, "what waited, in the end");
        traffic.settle(report, ROUTES_MS);
        offsetsAreRight(world, report, world.name("g-free"), traffic.topic, slaves);
        offsetsAreRight(world, report, world.name("g-late"), backlog, slaves);
    }

    /** As many messages into every queue of the master that will die; the consumer looks away. */
    private static Set<String> fill(World world, String topic) throws Exception {
        Set<String> ids = new LinkedHashSet<>();
        DefaultMQProducer producer = world.producer();
        for (int i = 0; i < BACKLOG; i++) {
            producer.send(World.message(topic, "*", "waits" + i, 200), new MessageQueue(topic, DEAD, i % 2));
            ids.add("waits" + i);
        }
        return ids;
    }

    /** All that is stored has been consumed, on every broker name, and the slaves' files say so too. */
    private static void offsetsAreRight(World world, Report report, String group, String topic, boolean slaves)
        throws Exception {
        World.within(ROUTES_MS, () -> ends(world, group, topic, true).equals(ends(world, group, topic, false)));
        Map<String, Long> stored = ends(world, group, topic, true);
        report.equal(stored, ends(world, group, topic, false), "offsets of " + group);
        for (var end : stored.entrySet()) {
            Set<String> brokers = new HashSet<>(Set.of(end.getKey()));
            if (slaves) {
                brokers.add(end.getKey() + "-s");
            }
            for (String broker : brokers) {
                world.ask("wait-offsets-on-disk " + broker + " " + topic + "@" + group + " " + end.getValue());
            }
        }
    }

    /** Broker name → the ends of its queues added up, or how far the group is. */
    private static Map<String, Long> ends(World world, String group, String topic, boolean stored) throws Exception {
        Map<String, Long> ends = new TreeMap<>();
        for (var entry : world.admin().examineConsumeStats(group, topic).getOffsetTable().entrySet()) {
            if (entry.getKey().getTopic().equals(topic)) {
                long one = stored ? entry.getValue().getBrokerOffset() : entry.getValue().getConsumerOffset();
                ends.merge(entry.getKey().getBrokerName(), one, Long::sum);
            }
        }
        return ends;
    }
}
