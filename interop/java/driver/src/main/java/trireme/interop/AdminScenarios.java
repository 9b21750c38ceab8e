package trireme.interop;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** mqadmin on clusters, topics, groups, clients, configuration and permissions. */
final class AdminScenarios {
    private AdminScenarios() {
    }

    static void into(Map<String, Scenario> all) {
        all.put("admin-cluster", AdminScenarios::cluster);
        all.put("admin-topics", AdminScenarios::topics);
        all.put("admin-groups", AdminScenarios::groups);
        all.put("admin-clients", AdminScenarios::clients);
        all.put("admin-config", AdminScenarios::config);
        all.put("admin-namesrv", AdminScenarios::namesrv);
        all.put("admin-write-perm", AdminScenarios::writePerm);
    }

    private static void cluster(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String list = admin.says(List.of("clusterList"), admin.cluster, admin.brokerName, admin.brokerAddr);
        String row = list.lines().filter(line -> line.contains(admin.brokerAddr)).findFirst().orElse("");
        report.expect(!list.contains("ACTIVATED") || row.contains("true"), "clusterList shows that the broker is activated: " + row);
        report.expect(row.matches(".*\\d+[._]\\d+[._]\\d+ .*"), "clusterList shows a broker version in: " + row);
        admin.says(List.of("clusterList", "-m"), admin.cluster, admin.brokerName);
        admin.says(List.of("brokerStatus", "-b", admin.brokerAddr), "putTps", "getTotalTps", "brokerVersionDesc",
            "bootTimestamp", "runtime", "msgPutTotalTodayNow", "commitLogMinOffset", "commitLogMaxOffset",
            "commitLogDiskRatio", "sendThreadPoolQueueSize", "dispatchBehindBytes", "earliestMessageTimeStamp");
        admin.says(List.of("brokerStatus", "-c", admin.cluster), admin.brokerAddr);
        admin.says(List.of("cleanExpiredCQ", "-b", admin.brokerAddr), "success");
        admin.says(List.of("cleanUnusedTopic", "-b", admin.brokerAddr), "success");
        admin.says(List.of("deleteExpiredCommitLog", "-b", admin.brokerAddr), "success");
        // This one sends to the topic named after the broker, which every broker has.
        String sent = admin.run("sendMsgStatus", "-b", admin.brokerName, "-c", "3", "-s", "64");
        report.expect(sent.split("SEND_OK").length == 4, "sendMsgStatus sent three messages: " + Report.shorten(sent));
    }

    private static void topics(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String topic = world.name("made");
        admin.says(List.of("updateTopic", "-b", admin.brokerAddr, "-t", topic, "-r", "6", "-w", "6"), "success");
        admin.saysSoon(List.of("topicList"), topic);
        admin.saysSoon(List.of("topicList", "-c"), topic);
        String route = admin.saysSoon(List.of("topicRoute", "-t", topic), "readQueueNums");
        String flat = route.replaceAll("\\s", "");
        report.has(flat, "\"readQueueNums\":6", "topicRoute");
        report.has(flat, "\"writeQueueNums\":6", "topicRoute");
        report.has(flat, "\"perm\":6", "topicRoute");
        report.has(flat, admin.brokerAddr, "topicRoute");
        admin.says(List.of("topicClusterList", "-t", topic), admin.cluster);

        DefaultMQProducer producer = world.producer();
        Set<String> sent = world.send(producer, topic, "TagA", 60);
        admin.says(List.of("topicStatus", "-t", topic), admin.brokerName);
        // RocketMQ's broker fills its queues a moment after it acknowledged; what is missing later is missing.
        World.within(World.PATIENCE_MS, () -> ends(admin, topic) == sent.size());
        report.equal((long) sent.size(), ends(admin, topic), "max offsets of topicStatus, added up");
        // Statistics are counted once a minute; what is asserted is that the table can be asked for.
        admin.says(List.of("statsAll", "-t", topic), topic);

        admin.says(List.of("updateTopic", "-c", admin.cluster, "-t", topic, "-r", "8", "-w", "4"), "success");
        World.within(15_000, () -> admin.attempt("topicRoute", "-t", topic).contains("\"readQueueNums\":8"));
        String grown = admin.run("topicRoute", "-t", topic).replaceAll("\\s", "");
        report.has(grown, "\"readQueueNums\":8", "topicRoute after updateTopic");
        report.has(grown, "\"writeQueueNums\":4", "topicRoute after updateTopic");
        admin.says(List.of("updateTopicPerm", "-b", admin.brokerAddr, "-t", topic, "-p", "4"), "success");
        admin.saysSoon(List.of("topicRoute", "-t", topic), "\"perm\":4");

        admin.says(List.of("updateTopicPerm", "-c", admin.cluster, "-t", topic, "-p", "6"), "success");
        deleted(world, report, admin, topic);
        String bad = admin.attempt("updateTopic", "-b", admin.brokerAddr, "-t", "no blanks allowed");
        report.expect(!bad.contains("success"), "a topic name with blanks is refused: " + Report.shorten(bad));
        admin.says(List.of("allocateMQ", "-t", "TBW102", "-i", "10.0.0.1,10.0.0.2"), "10.0.0.1", "10.0.0.2");
        admin.says(List.of("updateOrderConf", "-t", topic, "-v", admin.brokerName + ":8", "-m", "put"), "success");
        admin.saysSoon(List.of("updateOrderConf", "-t", topic, "-m", "get"), admin.brokerName + ":8");
        admin.says(List.of("updateOrderConf", "-t", topic, "-m", "delete"), "success");
    }

    /** Deleting takes the data along: the same name made again begins at offset 0. */
    private static void deleted(World world, Report report, MqAdmin admin, String topic) throws Exception {
        admin.says(List.of("deleteTopic", "-c", admin.cluster, "-t", topic), "success");
        boolean gone = World.within(15_000, () -> {
            try {
                world.admin().examineTopicRouteInfo(topic);
                return false;
            } catch (MQClientException noRoute) {
                return noRoute.getResponseCode() == 17;
            }
        });
        report.expect(gone, "a deleted topic has no route (code 17)");
        String again = world.topic("made", 2);
        report.equal(topic, again, "name of the topic made again");
        MessageQueue queue = new MessageQueue(topic, admin.brokerName, 0);
        var first = world.producer().send(World.message(topic, "*", "again", 100), queue);
        report.equal(0L, first.getQueueOffset(), "first offset of a topic deleted and made again");
    }

    /** The max offsets of a topic's queues as topicStatus shows them, added up. */
    private static long ends(MqAdmin admin, String topic) throws Exception {
        long sum = 0;
        for (String line : admin.run("topicStatus", "-t", topic).lines().toList()) {
            String[] words = line.trim().split("\\s+");
            if (words.length >= 4 && words[0].equals(admin.brokerName)) {
                sum += Long.parseLong(words[3]);
            }
        }
        return sum;
    }

    private static void groups(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String group = world.name("made");
        admin.says(List.of("updateSubGroup", "-b", admin.brokerAddr, "-g", group, "-r", "5", "-q", "2", "-d", "false",
            "-m", "true", "-i", "0", "-w", "1", "-a", "true", "-s", "true"), "success");
        String config = admin.saysSoon(List.of("getConsumerConfig", "-g", group), group);
        report.expect(config.matches("(?s).*retryMaxTimes\\s*=\\s*5.*"), "getConsumerConfig shows retryMaxTimes 5: "
            + Report.shorten(config));
        report.expect(config.matches("(?s).*retryQueueNums\\s*=\\s*2.*"), "getConsumerConfig shows retryQueueNums 2");
        report.expect(config.matches("(?s).*consumeBroadcastEnable\\s*=\\s*false.*"),
            "getConsumerConfig shows consumeBroadcastEnable false");
        admin.says(List.of("updateSubGroup", "-c", admin.cluster, "-g", group, "-r", "7"), "success");
        World.within(10_000, () -> admin.attempt("getConsumerConfig", "-g", group).matches("(?s).*retryMaxTimes\\s*=\\s*7.*"));
        String changed = admin.run("getConsumerConfig", "-g", group);
        report.expect(changed.matches("(?s).*retryMaxTimes\\s*=\\s*7.*"), "getConsumerConfig after the change");
        admin.says(List.of("deleteSubGroup", "-b", admin.brokerAddr, "-g", group, "-r", "true"), "success");
        String gone = admin.attempt("getConsumerConfig", "-g", group);
        report.expect(!gone.contains("retryMaxTimes") && world.lie.equals("none"), "a deleted group is gone: "
            + Report.shorten(gone));
    }

    private static void clients(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String topic = world.topic("t", 4);
        Ledger ledger = world.ledger();
        DefaultMQPushConsumer consumer = world.consuming("g", topic, "TagA || TagB", ledger);
        String group = world.name("g");
        String client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
        DefaultMQProducer producer = world.freshProducer();
        // One client instance for both: its next heartbeat tells of the producer too.
        producer.setInstanceName(consumer.getInstanceName());
        producer.start();
        Set<String> sent = world.send(producer, topic, "TagA", 50);
        World.within(World.PATIENCE_MS, () -> ledger.holdsAll(sent));
        ledger.expectExactly(sent, report, "consumer");

        admin.says(List.of("consumerConnection", "-g", group), client, topic, "TagA || TagB", "CONSUME_PASSIVELY",
            "CLUSTERING", "CONSUME_FROM_FIRST_OFFSET", "JAVA");
        String producers = admin.saysSoon(List.of("producerConnection", "-g", world.name("p"), "-t", topic), "JAVA");
        report.has(producers, producer.getInstanceName(), "producerConnection");
        admin.says(List.of("producer", "-b", admin.brokerAddr), world.name("p"));
        admin.says(List.of("consumerStatus", "-g", group), client, "Same subscription", "Rebalance OK");
        String running = admin.says(List.of("consumerStatus", "-g", group, "-i", client), topic);
        report.has(running, "Consumer RT&TPS", "consumerStatus of one client");
        admin.saysSoon(List.of("consumerProgress"), group.length() > 32 ? group.substring(0, 20) : group);
        String progress = admin.saysSoon(List.of("consumerProgress", "-g", group), "Diff Total: 0");
        report.has(progress, topic, "consumerProgress");
        String nobody = admin.attempt("consumerConnection", "-g", world.name("nobody"));
        report.expect(nobody.contains("CODE: 206") || nobody.contains("CODE: 17"),
            "consumerConnection of a group that is not online: " + Report.shorten(nobody));
    }

    private static void config(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        admin.says(List.of("getBrokerConfig", "-b", admin.brokerAddr), "brokerName", admin.brokerName, "listenPort",
            "fileReservedTime", "flushDiskType", "brokerClusterName", "maxMessageSize");
        admin.says(List.of("updateBrokerConfig", "-b", admin.brokerAddr, "-k", "fileReservedTime", "-v", "71"), "success");
        String after = admin.run("getBrokerConfig", "-b", admin.brokerAddr);
        report.expect(after.matches("(?s).*fileReservedTime\\s*=\\s*71\\s.*"), "the changed value shows: "
            + after.lines().filter(line -> line.contains("fileReservedTime")).toList());
        admin.says(List.of("updateBrokerConfig", "-b", admin.brokerAddr, "-k", "autoCreateTopicEnable", "-v", "false"),
            "success");
        String closed = world.name("closed-to-new-topics");
        try {
            SendScenarios.refused(report, "a topic nobody made, while autoCreateTopicEnable is false", Set.of(17),
                () -> {
                    DefaultMQProducer producer = world.producer();
                    return producer.send(World.message(closed, "*", "x", 50),
                        new MessageQueue(closed, admin.brokerName, 0));
                });
        } finally {
            admin.run("updateBrokerConfig", "-b", admin.brokerAddr, "-k", "autoCreateTopicEnable", "-v", "true");
        }
    }

    private static void namesrv(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        admin.says(List.of("getNamesrvConfig"), "kvConfigPath", "listenPort");
        admin.says(List.of("updateNamesrvConfig", "-k", "productEnvName", "-v", "interop"), "success");
        admin.saysSoon(List.of("getNamesrvConfig"), "interop");
        String space = world.name("space");
        admin.says(List.of("updateKvConfig", "-s", space, "-k", "key", "-v", "a value"), "success");
        report.equal("a value", world.lie.equals("none") ? world.admin().getKVConfig(space, "key") : "a lie",
            "KV config read back");
        admin.says(List.of("deleteKvConfig", "-s", space, "-k", "key"), "success");
        boolean gone = false;
        try {
            world.admin().getKVConfig(space, "key");
        } catch (MQClientException notFound) {
            gone = notFound.getResponseCode() == 22;
        }
        report.expect(gone, "a deleted KV config answers code 22");
        boolean unknown = false;
        try {
            world.admin().examineTopicRouteInfo(world.name("nowhere"));
        } catch (MQClientException noRoute) {
            unknown = noRoute.getResponseCode() == 17;
        }
        report.expect(unknown, "the route of an unknown topic answers code 17");
    }

    /** A broker taken out of writing offers producers no queue, until it is put back. Disturbs others: runs alone. */
    private static void writePerm(World world, Report report) throws Exception {
        MqAdmin admin = new MqAdmin(world, report);
        String topic = world.topic("t", 2);
        admin.says(List.of("wipeWritePerm", "-b", admin.brokerName), "wipe write perm of broker");
        try {
            admin.saysSoon(List.of("topicRoute", "-t", topic), "\"perm\":4");
            boolean refused = false;
            try {
                world.producer().send(World.message(topic, "*", "x", 50));
            } catch (MQClientException noQueue) {
                refused = true;
            }
            report.expect(refused, "no queue for a producer while the broker's write permission is wiped");
        } finally {
            admin.says(List.of("addWritePerm", "-b", admin.brokerName), "add write perm of broker");
        }
        admin.saysSoon(List.of("topicRoute", "-t", topic), "\"perm\":6");
        world.send(world.producer(), topic, "*", 5);
        report.expect(true, "sends work again");
    }
}
