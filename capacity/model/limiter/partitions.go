package limiter

import "time"

// Partitions is a table split into equal partitions, each with a rate of its
// own that the others can't lend it. A partition saves up unused capacity, as
// many seconds of its rate as the burst is long (DynamoDB: up to 300 s), and is
// exhausted when the savings are spent; then a charge on it is refused even if
// the table as a whole is idle. The savings are full at the start, as those of
// a table that was idle before.
type Partitions struct {
	buckets []TokenBucket
}

// NewPartitions returns n full partitions of the given rate per second. burst
// is the time whose unused capacity a partition keeps; see PartitionBurst.
func NewPartitions(n int, rate float64, burst time.Duration) *Partitions {
	p := &Partitions{buckets: make([]TokenBucket, n)}
	for i := range p.buckets {
		p.buckets[i] = *NewTokenBucket(rate, PartitionBurst(rate, burst))
	}
	return p
}

// PartitionBurst returns the capacity of one partition: burst seconds of its
// rate, and at least one, since capacity is granted per second.
func PartitionBurst(rate float64, burst time.Duration) float64 {
	return rate * max(burst, time.Second).Seconds()
}

// Admit charges cost to one partition, counted from 0, if it has it left.
func (p *Partitions) Admit(at time.Duration, partition int, cost float64) bool {
	return p.buckets[partition].Admit(at, cost)
}
