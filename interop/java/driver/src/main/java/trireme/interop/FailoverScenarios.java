package trireme.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;

/** A group of replicas loses its leader; and a slave serves when its master is away. The runner does the deeds. */
final class FailoverScenarios {
    /** A client tells its offsets every five seconds; a failover may cost no more than that. */
    private static final long OFFSET_LOSS_MS = 5_000;

    private FailoverScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("leader-kill", (world, report) -> failover(world, report, "kill", "start"));
        all.put("leader-pause", (world, report) -> failover(world, report, "pause", "resume"));
        all.put("leader-restart", (world, report) -> failover(world, report, "stop", "start"));
        all.put("rolling-restart", FailoverScenarios::rollingRestart);
        all.put("slave-serves", FailoverScenarios::slaveServes);
    }

    private static void failover(World world, Report report, String away, String back) throws Exception {
        int rounds = Integer.parseInt(world.options.getOrDefault("rounds", "2"));
        long patience = Long.parseLong(world.options.getOrDefault("failover-ms", "60000"));
        Traffic traffic = new Traffic(world);
        TreeMap<Long, Long> history = new TreeMap<>();
        AtomicBoolean stop = new AtomicBoolean();
        Thread sampler = sampler(world, traffic, history, stop);
        List<Long> gaps = new ArrayList<>();
        try {
            World.until("offsets of the group at the broker", () -> latest(history) > 0);
            for (int round = 0; round < rounds; round++) {
                String leader = world.ask("leader");
                long at = System.nanoTime();
                world.ask(away + " " + leader);
                gaps.add(traffic.untilAcked(patience));
                traffic.untilFlowing(patience);
                String next = world.ask("leader");
                report.expect(!next.equals(leader), "the name server tells a new leader, not " + leader + " again");
                expectOffsetsKept(report, history, at, world, traffic);
                world.ask(back + " " + leader);
                traffic.untilFlowing(patience);
            }
        } finally {
            stop.set(true);
            sampler.join();
        }
        report.saw("ms-to-first-ack", gaps);
        traffic.settle(report, World.PATIENCE_MS);
    }

    /** Every replica is stopped in order and started again, one after the other, and no producer sees a failed send. */
    private static void rollingRestart(World world, Report report) throws Exception {
        Traffic traffic = new Traffic(world, true);
        List<Long> stops = new ArrayList<>();
        for (String name : List.of("n0", "n1", "n2")) {
            long began = System.nanoTime();
            world.ask("stop " + name);
            stops.add((System.nanoTime() - began) / 1_000_000);
            traffic.untilFlowing(World.PATIENCE_MS);
            world.ask("start " + name);
            traffic.untilFlowing(World.PATIENCE_MS);
        }
        report.saw("ms-to-stop", stops);
        int failed = traffic.unknownCount();
        report.expect(failed == 0, failed + " sends failed, first " + traffic.firstFailures());
        traffic.settle(report, World.PATIENCE_MS);
    }

    private static Thread sampler(World world, Traffic traffic, TreeMap<Long, Long> history, AtomicBoolean stop) {
        Thread sampler = new Thread(() -> {
            while (!stop.get()) {
                try {
                    long consumed = ConsumeScenarios.consumed(world, world.name("g-free"), traffic.topic);
                    synchronized (history) {
                        history.put(System.nanoTime(), consumed);
                    }
                    Thread.sleep(250);
                } catch (InterruptedException ended) {
                    return;
                } catch (Exception away) {
                    // Nobody answers for the moment; the next sample will.
                    Thread.yield();
                }
            }
        }, "sampler");
        sampler.start();
        return sampler;
    }

    private static long latest(TreeMap<Long, Long> history) {
        synchronized (history) {
            return history.isEmpty() ? 0 : history.lastEntry().getValue();
        }
    }

    private static void expectOffsetsKept(Report report, TreeMap<Long, Long> history, long at, World world,
                                          Traffic traffic) throws Exception {
        long now = ConsumeScenarios.consumed(world, world.name("g-free"), traffic.topic);
        synchronized (history) {
            var before = history.floorEntry(at - OFFSET_LOSS_MS * 1_000_000);
            long floor = before == null ? 0 : before.getValue();
            long low = history.tailMap(at).values().stream().mapToLong(Long::longValue).min().orElse(now);
            report.expect(low >= floor, "offsets of the group fell back to " + low + ", they were " + floor + " "
                + OFFSET_LOSS_MS + " ms before the failover");
        }
    }

    /** The master dies, and its slave goes on serving what was stored. */
    private static void slaveServes(World world, Report report) throws Exception {
        String topic = world.topic("t", 2);
        Set<String> sent = world.send(world.producer(), topic, "*", 100);
        world.ask("wait-slave-has-all slave broker");
        world.ask("wait-topic slave " + topic);
        Ledger before = world.ledger();
        var consumer = world.consuming("g", topic, "*", before);
        World.within(World.PATIENCE_MS, () -> before.holdsAll(sent));
        before.expectExactly(sent, report, "from the master");
        world.ask("kill broker");
        Ledger after = world.ledger();
        world.consuming("g-new", topic, "*", after);
        World.within(90_000, () -> after.holdsAll(sent));
        after.expectExactly(sent, report, "from the slave");
        consumer.shutdown();
        world.ask("start broker");
        Set<String> more = world.send(world.producer(), topic, "*", 20, "more");
        World.within(90_000, () -> after.holdsAll(more));
        after.expectExactly(ConsumeScenarios.union(sent, more), report, "after the master's return");
    }
}
