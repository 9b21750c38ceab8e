package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// instance is unlike all others: clients of one instance share connections and registrations.
func (w *world) instance() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.clients++
	return fmt.Sprintf("%s-%s-%d", w.prefix, w.name, w.clients)
}

func (w *world) producer(more ...producer.Option) rocketmq.Producer {
	options := append([]producer.Option{
		producer.WithNameServer([]string{w.namesrv}), producer.WithGroupName(w.called("p")),
		producer.WithInstanceName(w.instance()), producer.WithRetry(2),
	}, more...)
	made, err := rocketmq.NewProducer(options...)
	w.must(err, "making a producer")
	w.must(made.Start(), "starting a producer")
	w.later(func() { _ = made.Shutdown() })
	return made
}

func (w *world) consumerOptions(group string, more ...consumer.Option) []consumer.Option {
	return append([]consumer.Option{
		consumer.WithNameServer([]string{w.namesrv}), consumer.WithGroupName(w.called(group)),
		consumer.WithInstance(w.instance()), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, more...)
}

// consuming is a running push consumer that hands each message to the listener.
func (w *world) consuming(
	group, topic, expression string,
	listener func(*primitive.MessageExt) consumer.ConsumeResult,
	more ...consumer.Option,
) rocketmq.PushConsumer {
	made, err := rocketmq.NewPushConsumer(w.consumerOptions(group, more...)...)
	w.must(err, "making a push consumer")
	all := func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		result := consumer.ConsumeSuccess
		for _, message := range messages {
			if one := listener(message); one != consumer.ConsumeSuccess {
				result = one
			}
		}
		return result, nil
	}
	w.must(made.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: expression}, all), "subscribing")
	w.must(made.Start(), "starting a push consumer")
	w.later(func() { _ = made.Shutdown() })
	return made
}

func (w *world) admin() admin.Admin {
	made, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{w.namesrv})))
	w.must(err, "making an admin client")
	w.later(func() { _ = made.Close() })
	return made
}

// topic creates a topic with so many queues.
func (w *world) topic(what string, queues int) string {
	topic := w.called(what)
	err := w.admin().CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(w.broker),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues))
	w.must(err, "creating "+topic)
	return topic
}

func message(topic, id string) *primitive.Message {
	made := primitive.NewMessage(topic, []byte("body of "+id))
	made.WithProperty("id", id)
	made.WithKeys([]string{id})
	return made
}

// send sends so many messages, each acknowledged, and answers their ids.
func (w *world) send(by rocketmq.Producer, topic, stem string, count int) []string {
	ids := make([]string, 0, count)
	for i := 0; i < count; i++ {
		id := fmt.Sprintf("%s%d", stem, i)
		result, err := by.SendSync(context.Background(), message(topic, id))
		w.must(err, "sending "+id)
		w.expect(result.Status == primitive.SendOK, "%s was answered %v", id, result.Status)
		ids = append(ids, id)
	}
	return ids
}

// ledger is what was consumed.
type ledger struct {
	mutex sync.Mutex
	ids   []string
	times map[string]int
	bad   []string
}

func newLedger() *ledger {
	return &ledger{times: map[string]int{}}
}

func (l *ledger) take(message *primitive.MessageExt) {
	id := message.GetProperty("id")
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.ids = append(l.ids, id)
	l.times[id]++
	if string(message.Body) != "body of "+id {
		l.bad = append(l.bad, id)
	}
}

func (l *ledger) listener() func(*primitive.MessageExt) consumer.ConsumeResult {
	return func(message *primitive.MessageExt) consumer.ConsumeResult {
		l.take(message)
		return consumer.ConsumeSuccess
	}
}

func (l *ledger) count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.times)
}

func (l *ledger) all() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]string{}, l.ids...)
}

// expectExactly says what is missing, foreign or not what was sent.
func (l *ledger) expectExactly(w *world, wanted []string, who string) {
	w.until(who+" to have all", func() bool { return l.count() >= len(wanted) })
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var missing []string
	known := map[string]bool{}
	for _, id := range wanted {
		known[id] = true
		if l.times[id] == 0 {
			missing = append(missing, id)
		}
	}
	w.expect(len(missing) == 0, "%s: missing %d, first %s", who, len(missing), strings.Join(missing[:min(3, len(missing))], " "))
	for id := range l.times {
		w.expect(known[id], "%s: %q was never sent", who, id)
	}
	w.expect(len(l.bad) == 0, "%s: other bodies than were sent: %v", who, l.bad)
}
