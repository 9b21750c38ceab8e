package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// sends: synchronous, with a callback and one-way, to a topic that the first send creates.
func sends(w *world) {
	by, topic := w.producer(), w.called("t")
	wanted := w.send(by, topic, "sync", 50)
	var done sync.WaitGroup
	for i := 0; i < 50; i++ {
		id := fmt.Sprintf("async%d", i)
		wanted = append(wanted, id)
		done.Add(1)
		err := by.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			defer done.Done()
			w.expect(err == nil && result.Status == primitive.SendOK, "%s: %v %v", id, result, err)
		}, message(topic, id))
		w.must(err, "sending "+id)
	}
	done.Wait()
	for i := 0; i < 20; i++ {
		id := fmt.Sprintf("oneway%d", i)
		wanted = append(wanted, id)
		w.must(by.SendOneWay(context.Background(), message(topic, id)), "sending "+id)
	}
	seen := newLedger()
	w.consuming("g", topic, "*", seen.listener())
	seen.expectExactly(w, wanted, "consumer")
}

// batches: the messages of one call get neighbouring places in one queue.
func batches(w *world) {
	topic := w.topic("t", 4)
	by := w.producer()
	var wanted []string
	var batch []*primitive.Message
	for i := 0; i < 32; i++ {
		id := fmt.Sprintf("b%d", i)
		wanted = append(wanted, id)
		batch = append(batch, message(topic, id))
	}
	result, err := by.SendSync(context.Background(), batch...)
	w.must(err, "sending a batch")
	w.expect(result.Status == primitive.SendOK, "the batch was answered %v", result.Status)
	w.expect(len(strings.Split(result.OffsetMsgID, ",")) == len(batch), "offset ids: %s", result.OffsetMsgID)
	seen := newLedger()
	w.consuming("g", topic, "*", seen.listener())
	seen.expectExactly(w, wanted, "consumer")
}

// ordered: messages of one sharding key stay in one queue and in order.
func ordered(w *world) {
	topic := w.topic("t", 4)
	by := w.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	var wanted []string
	queueOf := map[string]int{}
	for i := 0; i < 60; i++ {
		key, id := fmt.Sprintf("k%d", i%3), fmt.Sprintf("k%d-%02d", i%3, i)
		one := message(topic, id)
		one.WithShardingKey(key)
		result, err := by.SendSync(context.Background(), one)
		w.must(err, "sending "+id)
		if queue, known := queueOf[key]; known {
			w.expect(queue == result.MessageQueue.QueueId, "%s left its queue", key)
		}
		queueOf[key] = result.MessageQueue.QueueId
		wanted = append(wanted, id)
	}
	seen := newLedger()
	w.consuming("g", topic, "*", seen.listener(), consumer.WithConsumerOrder(true))
	seen.expectExactly(w, wanted, "orderly consumer")
	last := map[string]string{}
	for _, id := range seen.all() {
		key := id[:2]
		w.expect(last[key] <= id, "%s came after %s", id, last[key])
		last[key] = id
	}
}

// delays: a delayed message comes when it is due and not before.
func delays(w *world) {
	topic := w.topic("t", 1)
	by := w.producer()
	var early atomic.Int64
	seen := newLedger()
	w.consuming("g", topic, "*", func(message *primitive.MessageExt) consumer.ConsumeResult {
		if message.StoreTimestamp-message.BornTimestamp < 2_900 {
			early.Add(1)
		}
		seen.take(message)
		return consumer.ConsumeSuccess
	})
	var wanted []string
	for i := 0; i < 5; i++ {
		id := fmt.Sprintf("d%d", i)
		one := message(topic, id)
		// The second level is three seconds here.
		one.WithDelayTimeLevel(2)
		_, err := by.SendSync(context.Background(), one)
		w.must(err, "sending "+id)
		wanted = append(wanted, id)
	}
	seen.expectExactly(w, wanted, "consumer")
	w.expect(early.Load() == 0, "%d messages came early", early.Load())
}

// tags: a consumer gets the tags that it asked for.
func tags(w *world) {
	topic := w.topic("t", 4)
	by := w.producer()
	var wanted []string
	for i := 0; i < 60; i++ {
		tag, id := []string{"TagA", "TagB", "TagC"}[i%3], fmt.Sprintf("m%d", i)
		one := message(topic, id)
		one.WithTag(tag)
		_, err := by.SendSync(context.Background(), one)
		w.must(err, "sending "+id)
		if tag != "TagB" {
			wanted = append(wanted, id)
		}
	}
	seen := newLedger()
	w.consuming("g", topic, "TagA || TagC", seen.listener())
	seen.expectExactly(w, wanted, "consumer of two tags")
}

// pushes: two consumers of a group share a topic, and one goes on alone.
func pushes(w *world) {
	topic := w.topic("t", 8)
	by := w.producer()
	seen, one, two := newLedger(), newLedger(), newLedger()
	both := func(own *ledger) func(*primitive.MessageExt) consumer.ConsumeResult {
		return func(message *primitive.MessageExt) consumer.ConsumeResult {
			own.take(message)
			seen.take(message)
			return consumer.ConsumeSuccess
		}
	}
	w.consuming("g", topic, "*", both(one))
	second := w.consuming("g", topic, "*", both(two))
	var wanted []string
	for round := 0; one.count() == 0 || two.count() == 0; round++ {
		wanted = append(wanted, w.send(by, topic, fmt.Sprintf("r%d-", round), 16)...)
		time.Sleep(200 * time.Millisecond)
		if round > 200 {
			panic("the two consumers do not share")
		}
	}
	seen.expectExactly(w, wanted, "both consumers")
	w.must(second.Shutdown(), "stopping the second consumer")
	wanted = append(wanted, w.send(by, topic, "after", 40)...)
	seen.expectExactly(w, wanted, "the consumer that is left")
}

// broadcasts: each consumer gets everything.
func broadcasts(w *world) {
	topic := w.topic("t", 4)
	by := w.producer()
	one, two := newLedger(), newLedger()
	for _, seen := range []*ledger{one, two} {
		w.consuming("g", topic, "*", seen.listener(), consumer.WithConsumerModel(consumer.BroadCasting))
	}
	wanted := w.send(by, topic, "m", 40)
	one.expectExactly(w, wanted, "first consumer")
	two.expectExactly(w, wanted, "second consumer")
}

// orderly: a queue is consumed in order although the consumer asks for a pause in between.
func orderly(w *world) {
	topic := w.topic("t", 1)
	wanted := w.send(w.producer(), topic, "m", 30)
	seen := newLedger()
	var pauses atomic.Int64
	w.consuming("g", topic, "*", func(message *primitive.MessageExt) consumer.ConsumeResult {
		if message.GetProperty("id") == "m7" && pauses.Add(1) < 3 {
			return consumer.SuspendCurrentQueueAMoment
		}
		seen.take(message)
		return consumer.ConsumeSuccess
	}, consumer.WithConsumerOrder(true), consumer.WithConsumeMessageBatchMaxSize(1))
	seen.expectExactly(w, wanted, "orderly consumer")
	place := map[string]int{}
	for i, id := range wanted {
		place[id] = i
	}
	highest := -1
	for _, id := range seen.all() {
		w.expect(place[id] >= highest, "%s came too late", id)
		highest = max(highest, place[id])
	}
	w.expect(pauses.Load() >= 3, "the pause was asked for %d times", pauses.Load())
}

// pulls: the pull consumer polls and acknowledges.
func pulls(w *world) {
	topic := w.topic("t", 4)
	wanted := w.send(w.producer(), topic, "m", 60)
	options := w.consumerOptions("g")
	made, err := consumer.NewPullConsumer(options...)
	w.must(err, "making a pull consumer")
	w.must(made.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}), "subscribing")
	w.must(made.Start(), "starting a pull consumer")
	w.later(func() { _ = made.Shutdown() })
	seen := newLedger()
	for end := time.Now().Add(patience); seen.count() < len(wanted) && time.Now().Before(end); {
		request, err := made.Poll(context.Background(), time.Second)
		if consumer.IsNoNewMsgError(err) {
			continue
		}
		w.must(err, "polling")
		for _, message := range request.GetMsgList() {
			seen.take(message)
		}
		made.ACK(context.Background(), request, consumer.ConsumeSuccess)
	}
	seen.expectExactly(w, wanted, "pull consumer")
}

// retries: what fails comes again, later, and in the end goes to the queue of the dead.
func retries(w *world) {
	topic := w.topic("t", 2)
	by := w.producer()
	seen, dead := newLedger(), newLedger()
	var times atomic.Int64
	w.consuming("g", topic, "*", func(message *primitive.MessageExt) consumer.ConsumeResult {
		if message.GetProperty("id") == "bad0" {
			w.expect(message.Topic == topic, "a retried message came from %s", message.Topic)
			times.Add(1)
			return consumer.ConsumeRetryLater
		}
		seen.take(message)
		return consumer.ConsumeSuccess
	}, consumer.WithMaxReconsumeTimes(2))
	w.send(by, topic, "bad", 1)
	wanted := w.send(by, topic, "good", 10)
	seen.expectExactly(w, wanted, "consumer")
	w.until("two more tries", func() bool { return times.Load() >= 3 })
	dlq := "%DLQ%" + w.called("g")
	w.until("a route to "+dlq, func() bool {
		queues, err := w.admin().FetchPublishMessageQueues(context.Background(), dlq)
		return err == nil && len(queues) > 0
	})
	w.consuming("g-dlq", dlq, "*", dead.listener())
	dead.expectExactly(w, []string{"bad0"}, "consumer of the dead")
	w.expect(times.Load() == 3, "it was tried %d times", times.Load())
}

// requests: a producer asks, a consumer answers.
func requests(w *world) {
	topic := w.topic("t", 2)
	asking, answering := w.producer(), w.producer(producer.WithGroupName(w.called("answers")))
	w.consuming("g", topic, "*", func(asked *primitive.MessageExt) consumer.ConsumeResult {
		// This client takes a body that is given here for properties, and forgets it.
		reply, err := consumer.CreateReplyMessage(asked, nil)
		w.expect(err == nil, "making an answer: %v", err)
		reply.Body = []byte("answer to " + asked.GetProperty("id"))
		// This client tells brokers of its producers a moment after it has let them send.
		w.until("the answer to arrive", func() bool {
			_, err := answering.SendSync(context.Background(), reply)
			return err == nil
		})
		return consumer.ConsumeSuccess
	})
	for i := 0; i < 3; i++ {
		id := fmt.Sprintf("q%d", i)
		answer, err := asking.Request(context.Background(), 20*time.Second, message(topic, id))
		w.must(err, "asking "+id)
		w.expect(string(answer.Body) == "answer to "+id, "%s was answered %q", id, answer.Body)
	}
}

// admins: topics come and go.
func admins(w *world) {
	topic := w.topic("t", 3)
	tool := w.admin()
	queues, err := tool.FetchPublishMessageQueues(context.Background(), topic)
	w.must(err, "asking for queues")
	w.expect(len(queues) == 3, "queues: %v", queues)
	listed := func() bool {
		all, err := tool.FetchAllTopicList(context.Background())
		w.must(err, "asking for topics")
		for _, one := range all.TopicList {
			if one == topic {
				return true
			}
		}
		return false
	}
	w.expect(listed(), "the topic is not listed")
	groups, err := tool.GetAllSubscriptionGroup(context.Background(), w.broker, 5*time.Second)
	w.must(err, "asking for groups")
	_, known := groups.SubscriptionGroupTable["TOOLS_CONSUMER"]
	w.expect(known, "groups: %v", groups.SubscriptionGroupTable)
	err = tool.DeleteTopic(context.Background(), admin.WithTopicDelete(topic), admin.WithBrokerAddrDelete(w.broker),
		admin.WithNameSrvAddr([]string{w.namesrv}))
	w.must(err, "deleting the topic")
	w.until("the topic to be gone", func() bool { return !listed() })
}

// rollingRestart: every replica is restarted, and no send fails.
func rollingRestart(w *world) {
	topic := w.topic("t", 4)
	by := w.producer()
	seen := newLedger()
	w.consuming("g", topic, "*", seen.listener())
	var stop atomic.Bool
	var acked atomic.Int64
	var wanted []string
	var running sync.WaitGroup
	running.Add(1)
	go func() {
		defer running.Done()
		for i := 0; !stop.Load(); i++ {
			id := fmt.Sprintf("m%d", i)
			result, err := by.SendSync(context.Background(), message(topic, id))
			w.expect(err == nil && result.Status == primitive.SendOK, "%s: %v", id, err)
			wanted = append(wanted, id)
			acked.Add(1)
			time.Sleep(4 * time.Millisecond)
		}
	}()
	flows := func() {
		from := acked.Load()
		w.until("sends to flow", func() bool { return acked.Load() > from+100 })
	}
	flows()
	for _, name := range []string{"n0", "n1", "n2"} {
		w.ask("stop " + name)
		flows()
		w.ask("start " + name)
		flows()
	}
	stop.Store(true)
	running.Wait()
	w.note("acked", acked.Load())
	seen.expectExactly(w, wanted, "consumer")
}
