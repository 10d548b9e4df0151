//go:build synctests

package broker

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/headroom-load/headroom/capacity/model"
)

// virtual runs f with the Kafka part of a System in virtual time.
func virtual(t *testing.T, system string, f func(t *testing.T, b *Broker)) {
	metered(t, system, nil, f)
}

// metered does so with a meter.
func metered(t *testing.T, system string, meter Meter, f func(t *testing.T, b *Broker)) {
	synctest.Test(t, func(t *testing.T) {
		s, err := model.Parse("system.yaml", []byte("version: 1\nname: events\n"+system))
		if err != nil {
			t.Fatal(err)
		}
		var wires kfake.VirtualNetwork
		port := 9091
		b, err := Start(s, Network{func(network, _ string) (net.Listener, error) {
			port++
			return wires.Listen(network, "127.0.0.1:"+strconv.Itoa(port))
		}, wires.DialContext}, meter)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		f(t, b)
	})
}

// raw is a client that keeps to nothing that a broker asks for.
type raw struct {
	t *testing.T
	net.Conn
}

func (b *Broker) raw(t *testing.T, broker int) raw {
	t.Helper()
	c, err := b.network.Dial(t.Context(), "tcp", b.addresses[broker])
	if err != nil {
		t.Fatal(err)
	}
	return raw{t, c}
}

// produce sends a request to produce, so many bytes long in all after its size, and
// returns what the answer says.
func (r raw) produce(id string, version int16, bytes int) *kmsg.ProduceResponse {
	r.t.Helper()
	size := 0
	var request []byte
	for range 2 { // the first tells how long the rest is
		p := kmsg.NewProduceRequestTopicPartition()
		p.Records = make([]byte, size)
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic, topic.Partitions = "views", append(topic.Partitions, p)
		q := kmsg.NewPtrProduceRequest()
		q.SetVersion(version)
		q.Acks, q.Topics = -1, append(q.Topics, topic)
		request = kmsg.NewRequestFormatter(kmsg.FormatterClientID(id)).AppendRequest(nil, q, 7)
		size = bytes - (len(request) - 4)
	}
	// The length of the records may itself take longer to write.
	if over := len(request) - 4 - bytes; over < 0 || over > 4 {
		r.t.Fatalf("%d bytes of a request are %d too many", len(request), over)
	}
	if _, err := r.Write(request); err != nil {
		r.t.Fatal(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		r.t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(r, body); err != nil {
		r.t.Fatal(err)
	}
	answer := kmsg.NewPtrProduceResponse()
	answer.SetVersion(version)
	reader := kbin.Reader{Src: body}
	if reader.Int32() != 7 {
		r.t.Fatal("not the answer to this request")
	}
	if answer.IsFlexible() {
		kmsg.SkipTags(&reader)
	}
	if err := answer.ReadFrom(reader.Src); err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// What comes above the quota is answered at once with the time (O - T)/T W, and the
// broker reads nothing more from that connection until it is over: not from this
// one, and not from the client's alone.
func TestVirtualThrottle(t *testing.T) {
	virtual(t, "limiters: [{id: kafka.producer-byte-rate, kind: kafka_quota, rate: 10KB/s}]\nkafka: {brokers: 2, topics: [{name: views, partitions: 2}]}\n", func(t *testing.T, b *Broker) {
		for i, version := range []int16{3, 8, 9, 12} { // 9 is the first that is flexible
			id := "client-" + strconv.Itoa(i)
			one, other, elsewhere := b.raw(t, 0), b.raw(t, 0), b.raw(t, 1)
			start := time.Now()
			wait := time.Duration(one.produce(id, version, 150_000).ThrottleMillis) * time.Millisecond
			if (wait-5*time.Second).Abs() > 5*time.Millisecond || time.Since(start) != 0 {
				t.Errorf("version %d: 150 kB are answered after %v and held back for %v, want 5 s", version, time.Since(start), wait)
			}
			if w := other.produce(id, version, 50_000).ThrottleMillis; math.Abs(float64(w)-10_000) > 5 || time.Since(start) != 0 {
				t.Errorf("50 kB more by another connection: held back for %d ms after %v, want 10 s", w, time.Since(start))
			}
			if w := b.raw(t, 0).produce("another "+id, version, 90_000).ThrottleMillis + elsewhere.produce(id, version, 90_000).ThrottleMillis; w != 0 || time.Since(start) != 0 {
				t.Errorf("another client, and another broker: held back for %d ms after %v", w, time.Since(start))
			}
			one.produce(id, version, 1000)
			if got := time.Since(start); got != wait {
				t.Errorf("version %d: the next request is answered after %v, want %v", version, got, wait)
			}
		}
		// Whoever asks for quotas is told of it.
		c, err := b.connect("asks")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		quotas, err := kadm.NewClient(c).DescribeClientQuotas(t.Context(), false, nil)
		if err != nil || len(quotas) != 1 || quotas[0].Values[0].Key != "producer_byte_rate" || quotas[0].Values[0].Value != 10_000 {
			t.Errorf("quotas %v, %v", quotas, err)
		}
	})
}

// account is a Meter.
type account struct {
	mu                                      sync.Mutex
	held, connections, bytes, records, most map[int]int
	longest                                 time.Duration
}

func (a *account) Holds(broker, partitions int) { a.held[broker] = partitions }

func (a *account) Connected(broker, connections int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.connections[broker], a.most[broker] = connections, max(a.most[broker], connections)
}

func (a *account) Took(broker int, _ time.Time, bytes, records int, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes[broker] += bytes
	a.records[broker] += records
	a.longest = max(a.longest, wait)
}

// The meter is told of every record, of the bytes of its batches alone, of the
// partitions with their replicas and of the connections.
func TestVirtualMeter(t *testing.T) {
	a := &account{held: map[int]int{}, connections: map[int]int{}, bytes: map[int]int{}, records: map[int]int{}, most: map[int]int{}}
	metered(t, "limiters: [{id: kafka.producer-byte-rate, kind: kafka_quota, rate: 1KB/s}]\nkafka: {brokers: 4, topics: [{name: views, partitions: 8}, {name: plays, partitions: 1}]}\n", a, func(t *testing.T, b *Broker) {
		// Three replicas of each of 9 partitions.
		if n := a.held[0] + a.held[1] + a.held[2] + a.held[3]; n != 27 || a.held[3] != 6 && a.held[3] != 7 {
			t.Errorf("brokers have %v", a.held)
		}
		c, err := b.connect("producer", kgo.DefaultProduceTopic("views"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(10*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		const value = 100
		for i := range 80 {
			c.Produce(t.Context(), &kgo.Record{Value: make([]byte, value), Partition: int32(i % 8)}, nil)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id := range 4 {
			// 20 records of two partitions, which have 9 bytes beside such a value, in two
			// batches of 61 bytes each (Kafka protocol, record). The client makes more
			// batches where it learns of the topic while records are still coming.
			batches := a.bytes[id] - 20*(9+value)
			if a.records[id] != 20 || batches%61 != 0 || batches < 2*61 || batches > 20*61 {
				t.Errorf("broker %d took %d records in %d bytes", id, a.records[id], a.bytes[id])
			}
			if a.most[id] == 0 {
				t.Errorf("broker %d had no connection", id)
			}
		}
		if a.longest != 0 {
			t.Errorf("held back for %v by the first requests", a.longest)
		}
		c.Close()
		if w := b.raw(t, 0).produce("other", 9, 15_000).ThrottleMillis; w == 0 || time.Duration(w)*time.Millisecond != a.longest {
			t.Errorf("held back for %d ms, and the meter is told of %v", w, a.longest)
		}
		synctest.Wait()
		if a.connections[1] != 0 || a.connections[0] != 1 {
			t.Errorf("%v connections are open", a.connections)
		}
	})
}

// A stall holds every answer, and counts from the first record on; so does a change
// of leader.
func TestVirtualStallAndMove(t *testing.T) {
	virtual(t, "kafka: {brokers: 2, topics: [{name: views, partitions: 2}], stalls: [{at: 2s, for: 3s}], leader_changes: [{at: 4s, topic: views, partition: 1}]}\n", func(t *testing.T, b *Broker) {
		time.Sleep(time.Minute)
		c := b.raw(t, 0)
		start := time.Now()
		at := func(want time.Duration) {
			t.Helper()
			if w := c.produce("c", 9, 1000).ThrottleMillis; time.Since(start) != want || w != 0 {
				t.Errorf("answered after %v, want %v", time.Since(start), want)
			}
		}
		at(0)
		time.Sleep(2500 * time.Millisecond)
		at(5 * time.Second)
		at(5 * time.Second)
		time.Sleep(time.Second)
		at(6 * time.Second)
		if b.cluster.LeaderFor("views", 0) != 0 || b.cluster.LeaderFor("views", 1) != 0 {
			t.Error("partition 1 is led by broker 1 as before")
		}
	})
}

// Two members of 20 records a second fall behind 60 a second by 20 each second, and
// make up for it by 40 a second.
func TestVirtualGroup(t *testing.T) {
	virtual(t, "kafka: {topics: [{name: views, partitions: 4}], groups: [{name: view-consumer, topic: views, members: 2, rate: 20 records/s}]}\n", func(t *testing.T, b *Broker) {
		c, err := b.connect("producer", kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(0), kgo.DefaultProduceTopic("views"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		lag := func() (n float64) {
			all, err := kadm.NewClient(c).Lag(context.Background(), "view-consumer")
			if err != nil {
				t.Fatal(err)
			}
			return float64(all["view-consumer"].Lag.Total())
		}
		if got := lag(); got != 0 {
			t.Errorf("lag of %v before the first record", got)
		}
		commits, err := kadm.NewClient(c).FetchOffsets(t.Context(), "view-consumer")
		if err != nil || len(commits["views"]) != 4 {
			t.Errorf("%v is committed before the first record, %v", commits, err)
		}
		start := time.Now()
		for i := range 60 * 30 {
			time.Sleep(time.Until(start.Add(time.Duration(i+1) * time.Second / 60)))
			c.Produce(context.Background(), kgo.StringRecord("a view"), nil)
			if i+1 == 60*10 && math.Abs(lag()-200) > 12 {
				t.Errorf("lag of %v after 10 s, want 200", lag())
			}
		}
		if got := lag(); math.Abs(got-600) > 12 {
			t.Errorf("lag of %v after 30 s, want 600", got)
		}
		time.Sleep(14 * time.Second)
		if got := lag(); math.Abs(got-40) > 12 {
			t.Errorf("lag of %v one second before it is made up for, want 40", got)
		}
		time.Sleep(2 * time.Second)
		if got := lag(); got != 0 {
			t.Errorf("lag of %v in the end", got)
		}
	})
}
