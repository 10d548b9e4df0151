package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

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

// consume starts the members of every group, and waits until they share their
// topic.
func (b *Broker) consume() error {
	for _, g := range b.system.Kafka.Groups {
		for i := range g.Members {
			c, err := b.connect(fmt.Sprintf("%s-%d", g.Name, i+1),
				kgo.ConsumerGroup(g.Name), kgo.ConsumeTopics(g.Topic), kgo.DisableAutoCommit(),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.RangeBalancer()),
				kgo.FetchMaxWait(commitEvery), kgo.MetadataMinAge(commitEvery))
			if err != nil {
				return err
			}
			m := &member{client: c, rate: g.Rate}
			var ctx context.Context
			ctx, m.stop = context.WithCancel(context.Background())
			m.working.Go(func() { m.work(ctx) })
			b.members = append(b.members, m)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for _, g := range b.system.Kafka.Groups {
		if err := b.shared(ctx, g); err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
	}
	return nil
}

func (b *Broker) shared(ctx context.Context, g model.Group) error {
	_, err := b.cluster.WaitGroupStable(ctx, g.Name, g.Members)
	return err
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
