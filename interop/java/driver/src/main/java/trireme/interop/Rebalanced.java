package trireme.interop;

import java.util.Collection;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Which queues a push consumer holds right now. */
final class Rebalanced {
    private Rebalanced() {
    }

    static Set<MessageQueue> queues(DefaultMQPushConsumer consumer, String topic) {
        Set<MessageQueue> mine = new HashSet<>();
        Map<MessageQueue, ?> all = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable();
        for (MessageQueue queue : all.keySet()) {
            if (queue.getTopic().equals(topic)) {
                mine.add(queue);
            }
        }
        return mine;
    }

    static int total(Collection<DefaultMQPushConsumer> consumers, String topic) {
        return consumers.stream().mapToInt(one -> queues(one, topic).size()).sum();
    }
}
