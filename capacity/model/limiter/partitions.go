package limiter

import "time"

// Partitions is a table split into equal partitions, each with a rate of its
// own that the others can't lend it. A partition saves up unused capacity, as
// many seconds of its rate as the burst is long (DynamoDB: up to 300 s), and is
// exhausted when the savings are spent; then a charge on it is refused even if
// the table as a whole is idle. The savings are full at the start, as those of
// a table that was idle before.
//
// A partition that goes on refusing may be split in two, each with the whole rate
// ("split for heat"); which keys go where is the caller's to say.
type Partitions struct {
	buckets []TokenBucket
	heat    []heat
}

// heat is since when a partition has refused charges, with no minute's pause.
type heat struct{ since, last time.Duration }

// cool is the heat of a partition that has refused nothing.
var cool = heat{-time.Hour, -time.Hour}

// NewPartitions returns n full partitions of the given rate per second. burst
// is the time whose unused capacity a partition keeps; see PartitionBurst.
func NewPartitions(n int, rate float64, burst time.Duration) *Partitions {
	p := &Partitions{buckets: make([]TokenBucket, n), heat: make([]heat, n)}
	for i := range p.buckets {
		p.buckets[i], p.heat[i] = *NewTokenBucket(rate, PartitionBurst(rate, burst)), cool
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
	if p.buckets[partition].Admit(at, cost) {
		return true
	}
	h := &p.heat[partition]
	if at-h.last > time.Minute {
		h.since = at
	}
	h.last = at
	return false
}

// Hot returns for how long a partition has refused charges, with no minute's
// pause, at its last refusal.
func (p *Partitions) Hot(partition int) time.Duration {
	return p.heat[partition].last - p.heat[partition].since
}

// Split adds a partition beside one. It begins without savings, and both begin
// cool.
func (p *Partitions) Split(at time.Duration, partition int) {
	b := p.buckets[partition]
	b.level, b.last = 0, at
	p.buckets = append(p.buckets, b)
	p.heat = append(p.heat, cool)
	p.Cool(partition)
}

// Cool forgets a partition's heat.
func (p *Partitions) Cool(partition int) { p.heat[partition] = cool }
