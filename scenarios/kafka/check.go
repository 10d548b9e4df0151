package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios"
)

// checkTime bounds the questions that are asked before the load for each of its
// producers.
const checkTime = 15 * time.Second

// recordOverhead is at least what a batch of one record has beside its key and
// value (Kafka protocol, record batch).
const recordOverhead = 70

// check asks the cluster for what can be known before the load begins, and opens
// the connections that records go by.
func (d *Driver) check(ctx context.Context, target scenarios.Kafka) error {
	for _, client := range d.producers {
		if err := d.checkProducer(ctx, client, target); err != nil {
			return fmt.Errorf("kafka: %s: %w", strings.Join(target.Brokers, ", "), err)
		}
	}
	return nil
}

func (d *Driver) checkProducer(ctx context.Context, client *kgo.Client, target scenarios.Kafka) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	// Any answer will do. Other questions are asked again and again.
	if err := client.Ping(ctx); err != nil {
		return errors.New(Explain(err, target))
	}
	if err := d.checkTopics(ctx, client, target); err != nil {
		return err
	}
	if err := client.EnsureProduceConnectionIsOpen(ctx); err != nil {
		return errors.New("not every broker can be reached: " + Explain(err, target))
	}
	return nil
}

func (d *Driver) checkTopics(ctx context.Context, client *kgo.Client, target scenarios.Kafka) error {
	admin := kadm.NewClient(client)
	var topics []string
	largest := map[string]int{}
	for _, o := range d.operations {
		if o.producer != client {
			continue
		}
		topics = append(topics, o.topic)
		largest[o.topic] = max(largest[o.topic], o.largest)
	}
	listed, err := admin.ListTopics(ctx, topics...)
	if err != nil {
		return errors.New(Explain(err, target))
	}
	for _, topic := range topics {
		t, ok := listed[topic]
		switch {
		case !ok || errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			return fmt.Errorf("there is no topic %s", topic)
		case t.Err != nil:
			return fmt.Errorf("topic %s: %s", topic, Explain(t.Err, target))
		}
		for _, p := range t.Partitions.Sorted() {
			d.meter.led(topic, p.Partition, p.Leader)
		}
	}
	configs, err := admin.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil // not everyone may read them; what is too large is counted then
	}
	for _, c := range configs {
		for _, e := range c.Configs {
			most, err := strconv.Atoi(e.MaybeValue())
			if e.Key == "max.message.bytes" && err == nil && largest[c.Name]+recordOverhead > most {
				return fmt.Errorf("records of up to %d bytes are larger than topic %s takes: its max.message.bytes is %d", largest[c.Name], c.Name, most)
			}
		}
	}
	return nil
}

// Explain says why the cluster can't be talked to, in words.
func Explain(err error, target scenarios.Kafka) string {
	var known *kerr.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "the credentials are wrong"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "the broker doesn't know the SASL mechanism"
	case errors.As(err, &known):
		return known.Message
	case errors.As(err, &untrusted):
		return fmt.Sprintf("the broker's certificate is not trusted: %v; does target.kafka.tls.ca name its authority?", untrusted.Err)
	case strings.Contains(err.Error(), "tls alert record"): // the library has only words for it
		return "the broker speaks TLS: set target.kafka.tls"
	}
	if why := network(err); why != "other" {
		switch {
		case why == "connection closed" && target.SASL.Mechanism != "":
			return "the broker closed the connection: are the credentials and the mechanism right, and TLS as it wants it?"
		case why == "connection closed":
			return "the broker closed the connection: does it want TLS, or SASL?"
		}
		return why
	}
	return err.Error()
}
