package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/capacity/model"
)

const (
	// startTime bounds how long groups may take until every member has its
	// partitions.
	startTime = 30 * time.Second
	// commitEvery is about how much work a member does between two commits.
	commitEvery = 100 * time.Millisecond
)

// connect makes a client of the cluster.
func (b *Broker) connect(id string, more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addresses...), kgo.ClientID(id), kgo.Dialer(b.network.Dial)}, more...)...)
}

// consume starts the members of every group, which has committed the beginning of
// its topic, and waits until they share it.
func (b *Broker) consume() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for _, g := range b.system.Kafka.Groups {
		if err := b.begin(ctx, g); err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
		for i := range g.Members {
			c, err := b.connect(fmt.Sprintf("%s-%d", g.Name, i+1),
				kgo.ConsumerGroup(g.Name), kgo.ConsumeTopics(g.Topic), kgo.DisableAutoCommit(),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.RangeBalancer()),
				kgo.FetchMaxWait(commitEvery), kgo.MetadataMinAge(commitEvery))
			if err != nil {
				return err
			}
			m := &member{client: c, rate: g.Rate}
			working, stop := context.WithCancel(context.Background())
			m.stop = stop
			m.working.Go(func() { m.work(working) })
			b.members = append(b.members, m)
		}
	}
	for _, g := range b.system.Kafka.Groups {
		if _, err := b.cluster.WaitGroupStable(ctx, g.Name, g.Members); err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
	}
	return nil
}

// begin commits the beginning of a group's topic, so that its lag is known before
// its first record.
func (b *Broker) begin(ctx context.Context, g model.Group) error {
	c, err := b.connect("headroom-sandbox")
	if err != nil {
		return err
	}
	defer c.Close()
	var start kadm.Offsets
	for p := range b.system.Kafka.Topic(g.Topic) {
		start.AddOffset(g.Topic, int32(p), 0, -1)
	}
	return kadm.NewClient(c).CommitAllOffsets(ctx, g.Name, start)
}

// member is one of a group, which works off records one after the other.
type member struct {
	client  *kgo.Client
	rate    float64 // records a second
	stop    context.CancelFunc
	working sync.WaitGroup
}

// work takes records, spends their time on them and commits them, until ctx is
// done.
func (m *member) work(ctx context.Context) {
	several := max(1, int(m.rate*commitEvery.Seconds()))
	var free time.Time // when the member has done all that it took
	for ctx.Err() == nil {
		fetched := m.client.PollRecords(ctx, several)
		records := fetched.Records()
		if len(records) == 0 {
			continue
		}
		if now := time.Now(); free.Before(now) {
			free = now
		}
		free = free.Add(time.Duration(float64(len(records)) / m.rate * float64(time.Second)))
		timer := time.NewTimer(time.Until(free))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		// What can't be committed now, the next commit covers, or whoever has the
		// partition next.
		_ = m.client.CommitRecords(ctx, records...)
	}
}

func (m *member) close() {
	m.stop()
	m.working.Wait()
	m.client.Close()
}
