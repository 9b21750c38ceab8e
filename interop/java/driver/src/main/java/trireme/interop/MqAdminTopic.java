package trireme.interop;

import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.TopicConfig;

/** Topics with names that outlive a scenario. */
final class MqAdminTopic {
    private MqAdminTopic() {
    }

    static void make(World world, String topic, int queues) throws Exception {
        for (String address : world.masters().values()) {
            World.patiently(() -> {
                world.admin().createAndUpdateTopicConfig(address, new TopicConfig(topic, queues, queues, 6));
                return null;
            });
        }
        World.until("a route to " + topic, () -> {
            try {
                return world.admin().examineTopicRouteInfo(topic).getQueueDatas().size() > 0;
            } catch (MQClientException notYet) {
                return false;
            }
        });
    }
}
