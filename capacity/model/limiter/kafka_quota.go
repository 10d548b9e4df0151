package limiter

import "time"

// KafkaQuota is a broker's quota of bytes a second for one client: it refuses
// nothing and makes the client wait. The rate is measured over the last eleven
// samples of a second, ten whole ones and the one that goes on, so that the window W
// is 10 to 11 s long; windows without traffic count as zero, and what a client sends
// after a pause passes unthrottled until they are full. Where the rate O is above the
// quota T the broker answers at once and then reads nothing more from the
// connection for
//
//	(O - T) / T * W
//
// (Kafka, ClientQuotaManager and Rate; quota.window.num 11, quota.window.size.seconds
// 1). So the long-run rate comes down to T.
type KafkaQuota struct {
	rate    float64
	samples [kafkaSamples]kafkaSample
	muted   time.Duration // until when the connection isn't read
}

const (
	kafkaSamples = 11
	kafkaSize    = time.Second
)

type kafkaSample struct {
	second int64 // from 1; 0: empty
	bytes  float64
}

// NewKafkaQuota returns the quota of a client that has sent nothing.
func NewKafkaQuota(perSecond float64) *KafkaQuota { return &KafkaQuota{rate: perSecond} }

// Admit takes a request of cost bytes that comes at an instant, and returns how
// long it waits until the broker reads it.
func (q *KafkaQuota) Admit(at time.Duration, cost float64) (wait time.Duration) {
	read := max(at, q.muted)
	second := int64(read/kafkaSize) + 1
	s := &q.samples[second%kafkaSamples]
	if s.second != second {
		*s = kafkaSample{second: second}
	}
	s.bytes += cost
	var sum float64
	for _, s := range q.samples {
		if s.second > second-kafkaSamples {
			sum += s.bytes
		}
	}
	// Ten whole samples count even where the client is younger than that.
	window := (kafkaSamples-1)*kafkaSize + read%kafkaSize
	if over := sum/window.Seconds() - q.rate; over > 0 {
		q.muted = read + time.Duration(over/q.rate*float64(window))
	}
	return read - at
}
