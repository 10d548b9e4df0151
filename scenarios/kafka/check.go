package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// checkTime bounds the questions that are asked before the load for each of its
// producers.
const checkTime = 15 * time.Second

// Check returns every fault of the scenario's records that shape alone doesn't show:
// such as can't be gathered into the batches that they are produced in.
func Check(s *scenarios.Scenario) (faults strict.Faults) {
	for i, l := range s.Loads {
		for j, op := range l.Operations {
			if op.Kafka == nil {
				continue
			}
			o, err := newOperation(l, op)
			if err != nil {
				continue // shape has shown it
			}
			p := op.Kafka.Producer
			fault := func(key, problem, hint string) {
				faults = append(faults, s.Fault(fmt.Sprintf("loads[%d].operations[%d].kafka.%s", i, j, key), problem, hint))
			}
			if needs := o.alone + listOverhead; int64(needs) > p.BatchBytes {
				fault("batch", fmt.Sprintf("batches of up to %d bytes don't hold a record of %d", p.BatchBytes, o.largest), fmt.Sprintf("write batch: %dB or more, as far as the topic's max.message.bytes goes", needs))
			}
			if int64(o.largest) > p.BufferBytes {
				fault("buffer", fmt.Sprintf("%d bytes don't hold a record of %d", p.BufferBytes, o.largest), "leave it out for 256MiB")
			}
			if p.Linger >= l.Timeout {
				fault("linger", fmt.Sprintf("is no shorter than the load's timeout, %s, so that every record would time out in its batch", unit.FormatDuration(l.Timeout)), "")
			}
		}
	}
	return faults
}

// listOverhead is what a request has in front of a batch, which the producer counts in.
const listOverhead = 4

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
	ours := slices.DeleteFunc(slices.Clone(d.operations), func(o operation) bool { return o.producer != client })
	for _, o := range ours {
		topics = append(topics, o.topic)
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
	for _, o := range ours {
		if o.compressed {
			continue // how large it is then, shows when it is sent
		}
		c, err := configs.On(o.topic, nil)
		if err != nil {
			continue
		}
		for _, e := range c.Configs {
			most, err := strconv.ParseInt(e.MaybeValue(), 10, 64)
			switch {
			case e.Key != "max.message.bytes" || err != nil:
			case int64(o.alone) > most:
				return fmt.Errorf("records of up to %d bytes are larger than topic %s takes: its max.message.bytes is %d", o.largest, o.topic, most)
			case o.batch > most:
				return fmt.Errorf("batches of up to %d bytes are larger than topic %s takes: write batch: %dB, its max.message.bytes", o.batch, o.topic, most)
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
