// Package broker is the Kafka side of a sandbox: an embedded cluster, which is a
// stand-in (kfake: the protocol with its topics, groups and offsets in one process,
// without replication, disk and timeouts), made truthful where a rehearsal looks.
//
// Between its clients and the cluster stands a wire that does what kfake doesn't:
// it keeps the System's byte rate by throttle time, as Kafka does, stands still
// while the System says that the brokers stall, and answers nothing meanwhile.
// Consumer groups are real clients of it that take their time for each record.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/limiter"
)

// Network is how brokers and consumers reach each other.
type Network struct {
	Listen func(network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Loopback is this machine's own.
var Loopback = Network{net.Listen, new(net.Dialer).DialContext}

// Meter is told what the brokers do, from several goroutines. Brokers are numbered
// from 0, which is their node id too.
type Meter interface {
	// Holds says how many partitions a broker has, replicas included.
	Holds(broker, partitions int)
	// Connected says how many connections a broker has now.
	Connected(broker, connections int)
	// Took says what a request to produce held, in bytes and records without the
	// request's own, and for how long its sender is held back.
	Took(broker int, at time.Time, bytes, records int, wait time.Duration)
}

// Broker is a running cluster with its consumers.
type Broker struct {
	system    *model.System
	cluster   *kfake.Cluster
	network   Network
	meter     Meter // nil: nobody is told
	addresses []string
	start     time.Time
	members   []*member

	mu     sync.Mutex
	open   map[int]int // connections, by broker
	quotas map[client]*limiter.KafkaQuota
	first  time.Time // when the first record came; zero: none yet
	timers []*time.Timer
	closed bool
}

// client is whom a quota is of.
type client struct {
	broker int
	id     string
}

// Start starts the brokers of a System that has Kafka, and its consumer groups.
// Meter may be nil.
func Start(system *model.System, n Network, meter Meter) (*Broker, error) {
	b := &Broker{system: system, network: n, meter: meter, start: time.Now(), open: map[int]int{}, quotas: map[client]*limiter.KafkaQuota{}}
	listening := 0
	options := []kfake.Opt{
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			l, err := n.Listen(network, address)
			if err != nil {
				return nil, err
			}
			listening++
			b.addresses = append(b.addresses, l.Addr().String())
			return &listener{Listener: l, broker: b, node: listening - 1}, nil
		}),
		kfake.NumBrokers(system.Kafka.Brokers),
	}
	for _, t := range system.Kafka.Topics {
		options = append(options, kfake.SeedTopics(int32(t.Partitions), t.Name))
	}
	var err error
	if b.cluster, err = kfake.NewCluster(options...); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if err := b.stateQuota(); err != nil {
		b.Close()
		return nil, fmt.Errorf("start broker: %w", err)
	}
	for _, t := range system.Kafka.Topics {
		for p := range t.Partitions {
			if err := b.cluster.MoveTopicPartition(t.Name, int32(p), int32(p%system.Kafka.Brokers)); err != nil {
				b.Close()
				return nil, fmt.Errorf("start broker: %w", err)
			}
		}
	}
	if err := b.count(); err != nil {
		b.Close()
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if err := b.consume(); err != nil {
		b.Close()
		return nil, fmt.Errorf("start consumers: %w", err)
	}
	return b, nil
}

// Addresses returns those of the brokers, each host:port.
func (b *Broker) Addresses() []string { return b.addresses }

// stateQuota lets the cluster say which byte rate the wire keeps, to whoever asks
// for the quotas of clients.
func (b *Broker) stateQuota() error {
	rate := b.system.ByteRate()
	if rate == 0 {
		return nil
	}
	value := kmsg.NewAlterClientQuotasRequestEntryOp()
	value.Key, value.Value = "producer_byte_rate", rate
	every := kmsg.NewAlterClientQuotasRequestEntryEntity()
	every.Type = "client-id" // without a name: whichever
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	entry.Entity, entry.Ops = append(entry.Entity, every), append(entry.Ops, value)
	request := kmsg.NewPtrAlterClientQuotasRequest()
	request.Entries = append(request.Entries, entry)

	return b.ask(func(ctx context.Context, c *kgo.Client) error {
		answer, err := request.RequestWith(ctx, c)
		if err == nil && (len(answer.Entries) != 1 || answer.Entries[0].ErrorCode != 0) {
			err = errors.New("the quota is refused")
		}
		return err
	})
}

// ask asks the cluster something, as one of its clients, before anybody else does.
func (b *Broker) ask(question func(context.Context, *kgo.Client) error) error {
	c, err := b.connect("headroom-sandbox")
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	return question(ctx, c)
}

// count tells the meter which partitions the brokers have.
func (b *Broker) count() error {
	if b.meter == nil {
		return nil
	}
	return b.ask(func(ctx context.Context, c *kgo.Client) error {
		cluster, err := kadm.NewClient(c).Metadata(ctx)
		if err != nil {
			return err
		}
		held := make([]int, b.system.Kafka.Brokers)
		cluster.Topics.EachPartition(func(p kadm.PartitionDetail) {
			for _, id := range p.Replicas {
				held[id]++
			}
		})
		for id, n := range held {
			b.meter.Holds(id, n)
		}
		return nil
	})
}

// connected counts connections that are opened or, with -1, closed.
func (b *Broker) connected(node, more int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[node] += more
	if b.meter != nil {
		b.meter.Connected(node, b.open[node])
	}
}

// produced is called for each produce request that a broker has read, with what is
// in it, and returns for how long it then reads nothing more from the connection.
func (b *Broker) produced(node int, id string, request []byte) time.Duration {
	wait := b.throttle(node, id, len(request))
	if b.meter != nil {
		bytes, records := contents(request)
		b.meter.Took(node, time.Now(), bytes, records, wait)
	}
	return wait
}

func (b *Broker) throttle(node int, id string, bytes int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.first.IsZero() && !b.closed {
		b.first = now
		for _, m := range b.system.Kafka.Moves {
			b.timers = append(b.timers, time.AfterFunc(m.At, func() { b.move(m) }))
		}
	}
	who := client{node, id}
	if b.quotas[who] == nil {
		if b.quotas[who] = b.system.StartByteRate(); b.quotas[who] == nil {
			return 0
		}
	}
	// The broker tells of whole milliseconds, and keeps to what it tells.
	return b.quotas[who].Throttle(now.Sub(b.start), float64(bytes)).Round(time.Millisecond)
}

func (b *Broker) move(m model.Move) {
	leader := b.cluster.LeaderFor(m.Topic, int32(m.Partition))
	_ = b.cluster.MoveTopicPartition(m.Topic, int32(m.Partition), (leader+1)%int32(b.system.Kafka.Brokers)) // both are there
}

// stalled returns how long the brokers stand still from now on.
func (b *Broker) stalled() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first.IsZero() {
		return 0
	}
	at := time.Since(b.first)
	for _, s := range b.system.Kafka.Stalls {
		if at >= s.At && at < s.At+s.For {
			return s.At + s.For - at
		}
	}
	return 0
}

// Close ends the consumers and the brokers.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	for _, t := range b.timers {
		t.Stop()
	}
	b.mu.Unlock()
	for _, m := range b.members {
		m.close()
	}
	b.cluster.Close()
}
