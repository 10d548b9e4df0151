// Package kafkabroker reads the brokers' side of a run with Kafka records: where
// the partitions of its topics end, how far consumer groups lag behind, and which
// client quotas are in force. It asks under a client id of its own, so that it
// has no part in the quotas of the load's. What a broker doesn't tell has no
// point, and never a zero.
package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/kafka"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// Brokers asks the brokers of one cluster. It is used by one goroutine.
type Brokers struct {
	client *kgo.Client
	admin  *kadm.Client
	target scenarios.Kafka
	topics []string // that the scenario produces to
	groups []string // that it observes
	ends   map[partition]*history
	// counted says that the partitions of the brokers were read, and told that the
	// quotas in force could be.
	counted, told bool
}

// commitWait keeps a group whose coordinator doesn't answer from hiding where
// partitions end.
const commitWait = 2 * time.Second

type partition struct {
	topic string
	id    int32
}

// New makes the reader of a scenario's cluster. It asks nothing yet.
func New(cfg kafka.Config, s *scenarios.Scenario) (*Brokers, error) {
	client, err := kafka.Connect(cfg)
	if err != nil {
		return nil, err
	}
	b := &Brokers{client: client, admin: kadm.NewClient(client), target: cfg.Target, ends: map[partition]*history{}}
	for _, l := range s.Loads {
		for _, op := range l.Operations {
			if op.Kafka != nil && !slices.Contains(b.topics, op.Kafka.Topic) {
				b.topics = append(b.topics, op.Kafka.Topic)
			}
		}
	}
	slices.Sort(b.topics)
	for _, o := range s.Observe {
		if o.KafkaGroup != "" {
			b.groups = append(b.groups, o.KafkaGroup)
		}
	}
	return b, nil
}

// Close closes the connections.
func (b *Brokers) Close() { b.client.Close() }

// nodesWait bounds the question for the brokers themselves.
const nodesWait = 5 * time.Second

// Nodes returns the ids of the cluster's brokers, sorted.
func (b *Brokers) Nodes(ctx context.Context) ([]int32, error) {
	ctx, cancel := context.WithTimeout(ctx, nodesWait)
	defer cancel()
	listed, err := b.admin.ListBrokers(ctx)
	if err != nil {
		return nil, fmt.Errorf("which brokers the cluster has is not known: %s", kafka.Explain(err, b.target))
	}
	return listed.NodeIDs(), nil
}

// Read returns, with one point each as it stands now, the end offset of each
// partition of the topics, and of each group what it has committed there and how
// far it lags. What can't be read is left out, and the error says what and why.
func (b *Brokers) Read(ctx context.Context) ([]measure.Series, error) {
	var faults []error
	fault := func(what string, err error) {
		faults = append(faults, fmt.Errorf("%s: %s", what, kafka.Explain(err, b.target)))
	}
	// Commits come first: offsets that are read later are never behind them.
	first, cancel := context.WithTimeout(ctx, commitWait)
	commits := b.admin.FetchManyOffsets(first, b.groups...)
	cancel()
	asked := time.Now()
	ends, err := b.admin.ListEndOffsets(ctx, b.topics...)
	if err != nil {
		fault("the end offsets could not be read", err)
	}
	// Where a partition ended was so at some instant between the question and the
	// answer.
	now := asked.Add(time.Since(asked) / 2).Round(0).UTC()
	var all []measure.Series
	add := func(metric, unit string, labels map[string]string, v float64) {
		all = append(all, measure.Series{
			Source: measure.KafkaBroker, Metric: metric, Labels: labels, Statistic: "Maximum", Unit: unit, Period: time.Second,
			Points: measure.PointsOf(measure.Point{At: now, Value: v}),
		})
	}
	if !b.counted {
		if cluster, err := b.admin.Metadata(ctx); err != nil {
			fault("the partitions of the brokers could not be read", err)
		} else {
			b.counted = true
			held, all := hold(cluster)
			for _, id := range slices.Sorted(maps.Keys(held)) {
				add(measure.KafkaPartitions, "partitions", map[string]string{"broker": strconv.Itoa(int(id))}, float64(held[id]))
			}
			add(measure.KafkaPartitions, "partitions", nil, float64(all))
		}
	}
	if b.told { // and may change
		inForce, err := b.describe(ctx)
		if err != nil {
			fault("which quotas are in force could not be read again", err)
		}
		for _, q := range inForce {
			if q.Key == quotas.ByteRate {
				add(measure.KafkaInForce, "bytes per second", nil, q.Value)
			}
		}
	}
	for _, topic := range b.topics {
		for _, id := range slices.Sorted(maps.Keys(ends[topic])) {
			end := ends[topic][id]
			switch {
			case end.Err != nil && id < 0:
				fault("the ends of topic "+topic+" could not be read", end.Err)
				continue
			case end.Err != nil:
				fault(fmt.Sprintf("the end of partition %d of %s could not be read", id, topic), end.Err)
				continue
			}
			at := partition{topic, id}
			if b.ends[at] == nil {
				b.ends[at] = new(history)
			}
			b.ends[at].ended(now, end.Offset)
			add(measure.KafkaEnd, "records", labels("", topic, id), float64(end.Offset))
		}
	}
	oldest := map[partition]int64{}
	for _, group := range b.groups {
		c := commits[group]
		if c.Err != nil {
			fault("what group "+group+" has committed could not be read", c.Err)
			continue
		}
		for _, topic := range b.topics {
			if len(c.Fetched[topic]) == 0 {
				faults = append(faults, fmt.Errorf("group %s has committed nothing of topic %s", group, topic))
				continue
			}
			longest, known, uncommitted := time.Duration(0), true, false
			for _, id := range slices.Sorted(maps.Keys(ends[topic])) {
				commit, there := c.Fetched[topic][id]
				end := ends[topic][id]
				if !there && end.Err == nil && end.Offset == 0 {
					continue // nothing was ever there to commit
				}
				if !there || commit.Err != nil || commit.At < 0 || end.Err != nil {
					known = false
					uncommitted = uncommitted || end.Err == nil && (!there || commit.Err == nil)
					if there && commit.Err != nil {
						fault(fmt.Sprintf("what group %s has committed of partition %d of %s could not be read", group, id, topic), commit.Err)
					}
					continue
				}
				lag := max(0, end.Offset-commit.At)
				add(measure.KafkaCommitted, "records", labels(group, topic, id), float64(commit.At))
				add(measure.KafkaLag, "records", labels(group, topic, id), float64(lag))
				at := partition{topic, id}
				since, ok := b.ends[at].since(commit.At)
				known = known && (lag == 0 || ok)
				if lag > 0 && ok {
					longest = max(longest, now.Sub(since))
				}
				if low, seen := oldest[at]; !seen || commit.At < low {
					oldest[at] = commit.At
				}
			}
			if uncommitted {
				faults = append(faults, fmt.Errorf("group %s has not committed every partition of topic %s that holds records", group, topic))
			}
			if known {
				add(measure.KafkaLagTime, "s", map[string]string{"group": group, "topic": topic}, longest.Seconds())
			}
		}
	}
	for at, low := range oldest {
		b.ends[at].forget(low)
	}
	return all, errors.Join(faults...)
}

// hold returns how many partitions each broker has, replicas included, and how many
// there are.
func hold(cluster kadm.Metadata) (held map[int32]int, all int) {
	held = map[int32]int{}
	for _, b := range cluster.Brokers {
		held[b.NodeID] = 0
	}
	cluster.Topics.EachPartition(func(p kadm.PartitionDetail) {
		all++
		for _, id := range p.Replicas {
			held[id]++
		}
	})
	return held, all
}

func labels(group, topic string, partition int32) map[string]string {
	l := map[string]string{"topic": topic, "partition": strconv.Itoa(int(partition))}
	if group != "" {
		l["group"] = group
	}
	return l
}

// history is when a partition ended where, from the first reading on.
type history struct{ ends []end }

type end struct {
	at     time.Time
	offset int64
}

// mostEnds bounds a history: an hour of a partition that grows every second.
// What has lagged for longer has no estimate.
const mostEnds = 3600

// ended notes where the partition ends. Of readings that found the same end, the
// first and the last are kept.
func (h *history) ended(at time.Time, offset int64) {
	n := len(h.ends)
	if n > 1 && h.ends[n-1].offset == offset && h.ends[n-2].offset == offset {
		h.ends[n-1].at = at
		return
	}
	if n == mostEnds {
		h.ends = append(h.ends[:0], h.ends[1:]...)
	}
	h.ends = append(h.ends, end{at, offset})
}

// since returns when the partition's end passed an offset, that is when the
// record that has it was written, in a straight line between two readings. It
// reports false where that was before the first reading, or didn't happen yet.
func (h *history) since(offset int64) (time.Time, bool) {
	i, _ := slices.BinarySearchFunc(h.ends, offset+1, func(e end, target int64) int { return int(min(1, max(-1, e.offset-target))) })
	if i == 0 || i == len(h.ends) {
		return time.Time{}, false
	}
	before, after := h.ends[i-1], h.ends[i]
	share := float64(offset-before.offset) / float64(after.offset-before.offset)
	return before.at.Add(time.Duration(share * float64(after.at.Sub(before.at)))), true
}

// forget drops what tells nothing of offsets from low on.
func (h *history) forget(low int64) {
	keep := 0
	for keep+1 < len(h.ends) && h.ends[keep+1].offset <= low {
		keep++
	}
	h.ends = slices.Delete(h.ends, 0, keep)
}

// quotaWait bounds the question for quotas.
const quotaWait = 5 * time.Second

// InForce returns the client quotas that the brokers hold the load's client
// against, and an event that says which they are and whom the brokers take the
// client for, or why they aren't known.
func (b *Brokers) InForce(ctx context.Context) ([]quotas.ClientQuota, capacity.Event) {
	ctx, cancel := context.WithTimeout(ctx, quotaWait)
	defer cancel()
	user, known := kafka.Principal(b.target)
	who := "client id " + kafka.ClientID
	if known {
		who += ", user " + user
	}
	// Any answer will do. Other questions are asked again and again.
	err := b.client.Ping(ctx)
	var inForce []quotas.ClientQuota
	if err == nil {
		inForce, err = b.describe(ctx)
	}
	if err != nil {
		return nil, capacity.Event{Kind: capacity.ClientQuotas, Text: "Which quotas the brokers have in force for " + who + " is not known: " + kafka.Explain(err, b.target)}
	}
	b.told = true
	texts := make([]string, len(quotas.ClientKeys))
	for i, key := range quotas.ClientKeys {
		texts[i] = "no " + key
		if at := slices.IndexFunc(inForce, func(q quotas.ClientQuota) bool { return q.Key == key }); at >= 0 {
			texts[i] = fmt.Sprintf("%s %.15g (%s)", key, inForce[at].Value, inForce[at].Of)
		}
	}
	return inForce, capacity.Event{Kind: capacity.ClientQuotas, Text: "The brokers have in force for " + who + ": " + strings.Join(texts, ", ")}
}

// describe returns the client quotas that the load's client is held to.
func (b *Brokers) describe(ctx context.Context) ([]quotas.ClientQuota, error) {
	user, known := kafka.Principal(b.target)
	described, err := b.admin.DescribeClientQuotas(ctx, false, nil)
	if err != nil {
		return nil, err
	}
	var inForce []quotas.ClientQuota
	for _, key := range quotas.ClientKeys {
		q, err := resolve(described, key, user, known)
		switch {
		case err != nil:
			return nil, err
		case q != nil:
			inForce = append(inForce, *q)
		}
	}
	return inForce, nil
}

// resolve returns the quota of a key that brokers hold a client against, or nil:
// that of the most specific entity which has the key, in this order (Kafka,
// ClientQuotaManager): user and client id, user and default client id, user;
// default user and client id, default user and default client id, default user;
// client id, default client id.
func resolve(described kadm.DescribedClientQuotas, key, user string, userKnown bool) (*quotas.ClientQuota, error) {
	const named, standard, absent = 0, 1, 2
	var best *quotas.ClientQuota
	first := absent*3 + absent // what names neither is no client's
	for _, d := range described {
		i := slices.IndexFunc(d.Values, func(v kadm.ClientQuotaValue) bool { return v.Key == key })
		if i < 0 {
			continue
		}
		u, c, ours := absent, absent, true
		var of []string
		for _, e := range d.Entity {
			name, level := "default", standard
			if e.Name != nil {
				name, level = *e.Name, named
			}
			of = append(of, e.Type+" "+name)
			switch e.Type {
			case "user":
				if u = level; e.Name != nil && !userKnown {
					return nil, errors.New("some are of users by name, and which of them the brokers take this client for is not known here")
				}
				ours = ours && (e.Name == nil || name == user)
			case "client-id":
				c = level
				ours = ours && (e.Name == nil || name == kafka.ClientID)
			default:
				ours = false
			}
		}
		if rank := u*3 + c; ours && rank < first {
			slices.Sort(of)
			slices.Reverse(of)
			best, first = &quotas.ClientQuota{Key: key, Value: d.Values[i].Value, Of: strings.Join(of, ", ")}, rank
		}
	}
	return best, nil
}
