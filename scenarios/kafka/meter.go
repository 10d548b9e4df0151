package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// produceKey is the produce request's in the Kafka protocol.
const produceKey = 0

// meter counts what the producers of a load see of the cluster, for each second.
type meter struct {
	accounts *Accounts

	mu      sync.Mutex
	closed  bool
	brokers map[int32]*broker
	topics  map[string]*topic
	notices []load.Notice
	noticed map[string]bool // in this second
	untold  int64           // acknowledged records of batches whose bytes are not known yet
}

type broker struct {
	throttles       int64
	longest         time.Duration
	quotas          []float64 // bytes a second that throttles tell of
	bytes, requests int64

	down  bool
	heard time.Time // its last answer to a produce request
	muted time.Time // until when it asked to wait
}

// silence is how long a broker may leave requests unanswered before that is an
// event.
const silence = time.Second

// topic is what was produced to a topic, by partition.
type topic struct {
	acknowledged []int64 // records
	written      []int64 // bytes
	leaders      map[int32]int32
}

// reach makes room for the counts of a partition.
func (t *topic) reach(partition int32) {
	for int(partition) >= len(t.acknowledged) {
		t.acknowledged, t.written = append(t.acknowledged, 0), append(t.written, 0)
	}
}

// batchOverhead is what a record batch has beside its records, in bytes (Kafka
// protocol, record batch).
const batchOverhead = 61

var (
	_ kgo.HookBrokerThrottle   = (*meter)(nil)
	_ kgo.HookBrokerConnect    = (*meter)(nil)
	_ kgo.HookBrokerDisconnect = (*meter)(nil)
	_ kgo.HookBrokerE2E        = (*meter)(nil)

	_ kgo.HookProduceBatchWritten = (*meter)(nil)
)

func newMeter(accounts *Accounts) *meter {
	return &meter{accounts: accounts, brokers: map[int32]*broker{}, topics: map[string]*topic{}, noticed: map[string]bool{}}
}

func (m *meter) closing() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
}

// broker returns the counts of a broker. m.mu is held.
func (m *meter) broker(id int32) *broker {
	b := m.brokers[id]
	if b == nil {
		b = new(broker)
		m.brokers[id] = b
	}
	return b
}

// topic returns the counts of a topic. m.mu is held.
func (m *meter) topic(name string) *topic {
	t := m.topics[name]
	if t == nil {
		t = &topic{leaders: map[int32]int32{}}
		m.topics[name] = t
	}
	return t
}

// notice notes an event of now, once in a second. m.mu is held.
func (m *meter) notice(kind, text string) { m.noticeAt(time.Now(), 0, kind, text) }

// noticeAt notes an event that lasted, once in a second. m.mu is held.
func (m *meter) noticeAt(at time.Time, lasted time.Duration, kind, text string) {
	if m.closed || m.noticed[text] {
		return
	}
	m.noticed[text] = true
	m.notices = append(m.notices, load.Notice{At: at, For: lasted, Kind: kind, Text: text})
}

// countsOf returns the counts of a topic.
func (m *meter) countsOf(name string) *topic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.topic(name)
}

// acknowledged counts a record.
func (m *meter) acknowledged(t *topic, partition int32) {
	m.mu.Lock()
	t.reach(partition)
	t.acknowledged[partition]++
	m.untold++
	m.mu.Unlock()
}

// OnProduceBatchWritten implements kgo.HookProduceBatchWritten. It is called beside
// the acknowledgements of the batch's records, before them or after.
func (m *meter) OnProduceBatchWritten(_ kgo.BrokerMetadata, name string, partition int32, batch kgo.ProduceBatchMetrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.topic(name)
	t.reach(partition)
	t.written[partition] += int64(batch.CompressedBytes + batchOverhead)
	m.untold -= int64(batch.NumRecords)
}

// toldWait is how long the bytes of a batch may come after its last acknowledgement.
const toldWait = 100 * time.Millisecond

// told returns when the bytes of all acknowledged records are known, so that a second
// has both, or after toldWait: a batch that was written twice may tell none.
func (m *meter) told() {
	for end := time.Now().Add(toldWait); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		missing, late := m.untold > 0, !time.Now().Before(end)
		if missing && late {
			m.untold = 0
		}
		m.mu.Unlock()
		if !missing || late {
			return
		}
	}
}

// led notes who leads a partition.
func (m *meter) led(name string, partition, leader int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.topic(name)
	t.reach(partition) // what none of it falls on counts too
	if before, ok := t.leaders[partition]; ok && before != leader {
		m.notice("leader", fmt.Sprintf("partition %d of %s: leader %d after %d", partition, name, leader, before))
	}
	t.leaders[partition] = leader
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (m *meter) OnBrokerThrottle(meta kgo.BrokerMetadata, interval time.Duration, _ bool) {
	quota := m.accounts.quota(meta.NodeID, time.Now(), interval)
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.broker(meta.NodeID)
	b.throttles++
	if until := time.Now().Add(interval); until.After(b.muted) {
		b.muted = until
	}
	b.longest = max(b.longest, interval)
	if quota > 0 {
		b.quotas = append(b.quotas, quota)
	}
}

// OnBrokerE2E implements kgo.HookBrokerE2E. A request counts when it is answered:
// what was written to a broker that throttles may wait there, unread. One that was
// given up tells of silence alone.
func (m *meter) OnBrokerE2E(meta kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	answered, givenUp := e2e.Err() == nil, errors.Is(e2e.Err(), os.ErrDeadlineExceeded)
	if key != produceKey || !answered && !givenUp {
		return
	}
	now := time.Now()
	if answered {
		m.accounts.count(meta.NodeID, now, e2e.BytesWritten)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.broker(meta.NodeID)
	// What it asked to wait, and what waited behind other requests, is no silence.
	since := now.Add(-e2e.ReadWait - e2e.TimeToRead)
	if e2e.WriteErr != nil {
		since = now.Add(-e2e.TimeToWrite) // nor did it read
	}
	for _, t := range []time.Time{b.heard, b.muted} {
		if t.After(since) {
			since = t
		}
	}
	if d := now.Sub(since); d >= silence {
		m.noticeAt(since, d, "broker", fmt.Sprintf("broker %d: no answer for %s", meta.NodeID, unit.HumanSeconds(d.Seconds())))
	}
	if answered {
		b.heard = now
		b.bytes += int64(e2e.BytesWritten)
		b.requests++
	}
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (m *meter) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if meta.NodeID < 0 {
		return // an address to find the cluster by, not a broker yet
	}
	m.accounts.connections.met(net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port))), meta.NodeID)
	b := m.broker(meta.NodeID)
	switch {
	case errors.Is(err, context.Canceled):
		return // nobody waits for it any more
	case err != nil && !b.down:
		m.notice("broker", fmt.Sprintf("broker %d can't be reached: %s", meta.NodeID, network(err)))
	case err == nil && b.down:
		m.notice("broker", fmt.Sprintf("broker %d is connected again", meta.NodeID))
	}
	b.down = err != nil
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect. It is called before the
// client closes its end.
func (m *meter) OnBrokerDisconnect(meta kgo.BrokerMetadata, conn net.Conn) {
	if c, ok := conn.(*counted); meta.NodeID < 0 || ok && !c.ended.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notice("broker", fmt.Sprintf("broker %d: a connection was closed", meta.NodeID))
	m.broker(meta.NodeID).down = true
}

// Watch implements load.Watcher.
func (d *Driver) Watch(at time.Time, period time.Duration) ([]measure.Series, []load.Notice) {
	m := d.meter
	for _, o := range d.operations {
		m.mu.Lock()
		partitions := slices.Sorted(maps.Keys(m.topic(o.topic).leaders))
		m.mu.Unlock()
		for _, p := range partitions {
			if leader, _, err := o.producer.PartitionLeader(o.topic, p); err == nil && leader >= 0 {
				m.led(o.topic, p, leader)
			}
		}
	}

	m.told()
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []measure.Series
	add := func(metric, statistic, unit string, labels map[string]string, v float64) {
		all = append(all, measure.Series{
			Source: measure.KafkaClient, Metric: metric, Labels: maps.Clone(labels), Statistic: statistic, Unit: unit, Period: period,
			Points: measure.PointsOf(measure.Point{At: at, Value: v}),
		})
	}
	for _, id := range slices.Sorted(maps.Keys(m.brokers)) {
		b := m.brokers[id]
		labels := map[string]string{"broker": strconv.Itoa(int(id))}
		add(measure.KafkaThrottles, "Sum", "count", labels, float64(b.throttles))
		add(measure.KafkaThrottleTime, "Maximum", "seconds", labels, b.longest.Seconds())
		if len(b.quotas) > 0 {
			slices.Sort(b.quotas)
			add(measure.KafkaThrottledTo, "p50", "bytes per second", labels, b.quotas[len(b.quotas)/2])
		}
		add(measure.KafkaProducedBytes, "Sum", "bytes", labels, float64(b.bytes))
		add(measure.KafkaRequests, "Sum", "count", labels, float64(b.requests))
		*b = broker{down: b.down, heard: b.heard, muted: b.muted}
	}
	open, most := m.accounts.connections.of()
	for _, id := range slices.Sorted(maps.Keys(open)) {
		labels := map[string]string{"broker": strconv.Itoa(int(id))}
		add(measure.KafkaConnections, "Maximum", "connections", labels, float64(open[id]))
		add(measure.KafkaNewConnections, "Maximum", "connections per second", labels, float64(most[id]))
	}
	for _, name := range slices.Sorted(maps.Keys(m.topics)) {
		t := m.topics[name]
		for p, n := range t.acknowledged {
			labels := map[string]string{"topic": name, "partition": strconv.Itoa(p)}
			add(measure.KafkaAcknowledged, "Sum", "records", labels, float64(n))
			add(measure.KafkaWritten, "Sum", "bytes", labels, float64(t.written[p]))
			t.acknowledged[p], t.written[p] = 0, 0
		}
	}
	notices := m.notices
	m.notices = nil
	clear(m.noticed)
	return all, notices
}
