package limiter

import (
	"slices"
	"time"
)

// KafkaQuota is a broker's quota of bytes a second for one client: it refuses
// nothing and makes the client wait. Bytes are counted in samples that begin with a
// request and last a second or longer, until the next one; a sample counts until
// eleven seconds after its last request. The window W begins with the oldest sample
// and is filled up to ten seconds and what has passed of the present one, so that
// what a client sends after a pause passes until it is full. Where the rate O over
// the window is above the quota T the broker answers at once and then reads nothing
// more from the connection for
//
//	(O - T) / T * W
//
// (Kafka 4, SampledStat, Rate and ClientQuotaManager; quota.window.num 11,
// quota.window.size.seconds 1). So the long-run rate comes down to T.
type KafkaQuota struct {
	rate    float64
	samples []kafkaSample
	muted   time.Duration // until when Admit's connection isn't read
}

const (
	kafkaSamples = 11
	kafkaSize    = time.Second
)

type kafkaSample struct {
	first, last time.Duration
	bytes       float64
}

// NewKafkaQuota returns the quota of a client that has sent nothing.
func NewKafkaQuota(perSecond float64) *KafkaQuota { return &KafkaQuota{rate: perSecond} }

// Admit takes a request of cost bytes that comes at an instant by the client's only
// connection, and returns how long it waits until the broker reads it.
func (q *KafkaQuota) Admit(at time.Duration, cost float64) (wait time.Duration) {
	read := max(at, q.muted)
	q.muted = read + q.Throttle(read, cost)
	return read - at
}

// Throttle takes a request of cost bytes that the broker reads at an instant,
// whichever of the client's connections it comes by, and returns for how long it
// then reads nothing more from that connection.
func (q *KafkaQuota) Throttle(read time.Duration, cost float64) time.Duration {
	q.samples = slices.DeleteFunc(q.samples, func(s kafkaSample) bool { return read-s.last >= kafkaSamples*kafkaSize })
	if n := len(q.samples); n == 0 || read-q.samples[n-1].first >= kafkaSize {
		q.samples = append(q.samples, kafkaSample{first: read})
	}
	s := &q.samples[len(q.samples)-1]
	s.last = read
	s.bytes += cost
	var sum float64
	for _, s := range q.samples {
		sum += s.bytes
	}
	window := read - q.samples[0].first
	window = max(window, (kafkaSamples-1)*kafkaSize+window%kafkaSize)
	if over := sum/window.Seconds() - q.rate; over > 0 {
		return time.Duration(over / q.rate * float64(window))
	}
	return 0
}
