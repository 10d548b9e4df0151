package sandbox

import (
	"strconv"
	"sync"
	"time"

	"github.com/headroom-load/headroom/capacity/sandbox/awsapi"
)

// brokerMeters turns what the brokers do into the metrics that CloudWatch has of a
// provisioned MSK cluster. A rate is the mean of its UTC minute, to which a minute
// that is still going on comes closer with each request. All brokers have points
// in each minute in which one of them took something.
type brokerMeters struct {
	mu      sync.Mutex
	brokers []brokerMeter
}

type brokerMeter struct {
	bytesIn, messagesIn, connectionCount, partitionCount, throttleTime *awsapi.Metric

	connections, partitions int
	minute                  int64 // that the following are of, in minutes of Unix time
	bytes, records          int
	most                    int           // connections
	longest                 time.Duration // that a sender was held back
}

func newBrokerMeters(brokers int, m *awsapi.Metrics) *brokerMeters {
	all := &brokerMeters{brokers: make([]brokerMeter, brokers)}
	for id := range all.brokers {
		metric := func(name, unit string) *awsapi.Metric {
			return m.Metric("AWS/Kafka", name, unit, awsapi.Dimension{Name: "Cluster Name", Value: Cluster}, awsapi.Dimension{Name: "Broker ID", Value: strconv.Itoa(id)})
		}
		all.brokers[id] = brokerMeter{
			bytesIn: metric("BytesInPerSec", "Bytes/Second"), messagesIn: metric("MessagesInPerSec", "Count/Second"),
			connectionCount: metric("ConnectionCount", "Count"), partitionCount: metric("PartitionCount", "Count"),
			throttleTime: metric("ProduceThrottleTime", "Milliseconds"),
		}
	}
	return all
}

// Holds implements broker.Meter.
func (m *brokerMeters) Holds(id, partitions int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.brokers[id].partitions = partitions
}

// Connected implements broker.Meter.
func (m *brokerMeters) Connected(id, connections int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := &m.brokers[id]
	b.connections, b.most = connections, max(b.most, connections)
}

// Took implements broker.Meter.
func (m *brokerMeters) Took(id int, at time.Time, bytes, records int, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.brokers {
		b := &m.brokers[i]
		if minute := at.Unix() / 60; minute != b.minute {
			b.minute, b.bytes, b.records, b.most, b.longest = minute, 0, 0, b.connections, 0
		}
		if i == id {
			b.bytes += bytes
			b.records += records
			b.longest = max(b.longest, wait)
		}
		b.bytesIn.Set(at, float64(b.bytes)/60)
		b.messagesIn.Set(at, float64(b.records)/60)
		b.connectionCount.Set(at, float64(b.most))
		b.partitionCount.Set(at, float64(b.partitions))
		b.throttleTime.Set(at, float64(b.longest.Milliseconds()))
	}
}
