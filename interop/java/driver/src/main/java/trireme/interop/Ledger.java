package trireme.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * What consumers saw, in the order they saw it. Every scenario looks at messages through a ledger, so that a lie told
 * here (see {@link World#lie}) must make every one of them fail.
 */
final class Ledger {
    /** One delivery. A null id means that the body was not the one that was sent. */
    record Seen(String id, String topic, String broker, int queue, long offset, String msgId, String offsetMsgId,
                String keys, String tags, int reconsume, long storedAt, long bornAt, long seenAt, String by) {
        /** A queue's number means something only together with its broker's name. */
        String where() {
            return topic + "@" + broker + "@" + queue;
        }

        String place() {
            return where() + "@" + offset;
        }
    }

    private final List<Seen> seen = new ArrayList<>();
    private final Set<String> ids = ConcurrentHashMap.newKeySet();
    private final AtomicInteger count = new AtomicInteger();
    private final String lie;
    private Seen heldBack;

    Ledger(String lie) {
        this.lie = lie;
    }

    void take(MessageExt message, String by) {
        String offsetMsgId = message instanceof org.apache.rocketmq.common.message.MessageClientExt client
            ? client.getOffsetMsgId() : message.getMsgId();
        take(new Seen(Bodies.idOf(message.getBody()), message.getTopic(), message.getBrokerName(),
            message.getQueueId(), message.getQueueOffset(), message.getMsgId(), offsetMsgId, message.getKeys(), message.getTags(),
            message.getReconsumeTimes(), message.getStoreTimestamp(), message.getBornTimestamp(),
            System.currentTimeMillis(), by));
    }

    private synchronized void take(Seen one) {
        int nth = count.incrementAndGet();
        if (lie.equals("lose") && nth == 3) {
            return;
        }
        if (lie.equals("swap") && nth == 3) {
            heldBack = one;
            return;
        }
        if (lie.equals("corrupt") && nth == 3) {
            one = new Seen(null, one.topic, one.broker, one.queue, one.offset, one.msgId, one.offsetMsgId, one.keys, one.tags,
                one.reconsume, one.storedAt, one.bornAt, one.seenAt, one.by);
        }
        add(one);
        if (heldBack != null && heldBack.where().equals(one.where())) {
            add(heldBack);
            heldBack = null;
        }
        if (lie.equals("repeat") && nth == 3) {
            add(one);
        }
    }

    private void add(Seen one) {
        seen.add(one);
        if (one.id != null) {
            ids.add(one.id);
        }
    }

    synchronized List<Seen> all() {
        return new ArrayList<>(seen);
    }

    synchronized int size() {
        return seen.size();
    }

    boolean holds(String id) {
        return ids.contains(id);
    }

    int distinct() {
        return ids.size();
    }

    boolean holdsAll(Iterable<String> wanted) {
        for (String id : wanted) {
            if (!ids.contains(id)) {
                return false;
            }
        }
        return true;
    }

    /** All that were sent came, with the bodies they were sent with, and nothing else came. */
    void expectExactly(Set<String> sent, Report report, String who) {
        Set<String> missing = new LinkedHashSet<>(sent);
        Set<String> foreign = new LinkedHashSet<>();
        int spoilt = 0;
        for (Seen one : all()) {
            if (one.id == null) {
                spoilt++;
            } else if (!sent.contains(one.id)) {
                foreign.add(one.id);
            }
            missing.remove(one.id);
        }
        report.expect(missing.isEmpty(), who + ": " + missing.size() + " of " + sent.size() + " never came: "
            + first(missing));
        report.expect(spoilt == 0, who + ": " + spoilt + " bodies differ from what was sent");
        report.expect(foreign.isEmpty(), who + ": " + foreign.size() + " messages nobody sent: " + first(foreign));
    }

    int repeats() {
        Map<String, Integer> times = new HashMap<>();
        all().forEach(one -> times.merge(one.id + "#" + one.reconsume, 1, Integer::sum));
        return times.values().stream().mapToInt(n -> n - 1).sum();
    }

    void expectNoRepeats(Report report, String who) {
        report.equal(0, repeats(), who + ": messages delivered more than once");
    }

    /** In each queue, offsets came in rising order; repeats of old ones are allowed only when said so. */
    void expectOrder(Report report, String who, boolean repeatsAllowed) {
        Map<String, Long> last = new HashMap<>();
        for (Seen one : all()) {
            String queue = one.where();
            Long before = last.get(queue);
            boolean fits = before == null || (repeatsAllowed ? one.offset <= before + 1 : one.offset == before + 1);
            report.expect(fits, who + ": " + queue + " showed offset " + one.offset + " after " + before);
            if (before == null || one.offset > before) {
                last.put(queue, one.offset);
            }
        }
    }

    static String first(Iterable<String> names) {
        List<String> some = new ArrayList<>();
        for (String name : names) {
            some.add(name);
            if (some.size() == 4) {
                break;
            }
        }
        return String.join(", ", some);
    }
}
