package trireme.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** RocketMQ's own mqadmin, command by command, as an operator would type it; answers what it printed. */
final class MqAdmin {
    private final World world;
    private final Report report;
    final String brokerName;
    final String brokerAddr;
    final String cluster;
    /** Whether these are the tools of 4.9, which know fewer options and end the process over an unknown one. */
    final boolean old;

    MqAdmin(World world, Report report) throws Exception {
        this.world = world;
        this.report = report;
        Map.Entry<String, String> master = world.masters().entrySet().iterator().next();
        this.brokerName = master.getKey();
        this.brokerAddr = master.getValue();
        var clusters = world.admin().examineBrokerClusterInfo().getClusterAddrTable();
        this.old = packaged("org.apache.rocketmq.common.protocol.route.TopicRouteData");
        this.cluster = new TreeMap<>(clusters).firstKey();
    }

    private static boolean packaged(String name) {
        try {
            Class.forName(name);
            return true;
        } catch (ClassNotFoundException absent) {
            return false;
        }
    }

    /** Looks up a message by its offsetMsgId; 5.x wants to know the topic too. */
    List<String> byId(String offsetMsgId, String topic, String... more) {
        List<String> words = new ArrayList<>(List.of("queryMsgById", "-i", offsetMsgId));
        if (!old) {
            words.addAll(List.of("-t", topic));
        }
        words.addAll(List.of(more));
        return words;
    }

    /** Runs a command, and takes any stack trace in its output for a failure. */
    String run(String... words) {
        String said = attempt(words);
        report.expect(!said.contains("Exception:"), String.join(" ", words) + " said: " + Report.shorten(said));
        return said;
    }

    String attempt(String... words) {
        List<String> all = new ArrayList<>(List.of(words));
        all.add("-n");
        all.add(world.namesrv);
        // Commands name their clients after the millisecond, so two at once would collide.
        synchronized (MqAdmin.class) {
            String said = Console.during(() -> MQAdminStartup.main0(all.toArray(new String[0]), null));
            return world.lie.equals("none") ? said : "";
        }
    }

    /** Runs a command and expects these words in what it prints. */
    String says(List<String> words, String... expected) {
        String said = run(words.toArray(new String[0]));
        for (String one : expected) {
            report.has(said, one, String.join(" ", words));
        }
        return said;
    }

    /** Runs a command until it prints what is expected; for what a broker or name server shows a moment later. */
    String saysSoon(List<String> words, String expected) throws Exception {
        String[] last = {""};
        boolean found = World.within(world.lie.equals("none") ? 15_000 : 10, () -> {
            last[0] = attempt(words.toArray(new String[0]));
            return last[0].contains(expected);
        });
        report.expect(found, String.join(" ", words) + ": expected to find \"" + expected + "\" in: "
            + Report.shorten(last[0]));
        return last[0];
    }
}
