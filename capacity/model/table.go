package model

import (
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
)

// table is the partitions of a DynamoDB table, which all charges share.
type table struct {
	*limiter.Partitions
	split  time.Duration // after which a partition that is exhausted all the time is split; 0: never
	splits int
	places places
}

// place is where the keys of a partition lie: those of one part of n equal ones,
// and of that, after so many halvings, those whose next bits are path.
type place struct {
	n, part uint64
	depth   uint
	path    uint64
}

// deepest is how often a partition is split.
const deepest = 16

func (p place) holds(key int) bool {
	h := scatter(uint64(key))
	return h%p.n == p.part && scatter(h)>>(64-deepest)&(1<<p.depth-1) == p.path
}

// places are those of all partitions.
type places []place

func newPlaces(n int) places {
	p := make(places, n)
	for i := range p {
		p[i] = place{n: uint64(n), part: uint64(i)}
	}
	return p
}

// find returns the partition of a key. Splits are few, and behind the parts that
// there were first.
func (p places) find(key int) int {
	first := int(scatter(uint64(key)) % p[0].n)
	if p[first].holds(key) {
		return first
	}
	for i := int(p[0].n); i < len(p); i++ {
		if p[i].holds(key) {
			return i
		}
	}
	return first
}

// shares returns the share of requests that goes to each partition.
func (p places) shares(k Keys) []float64 {
	shares := make([]float64, len(p))
	if k.Kind == EvenKeys {
		for i, x := range p {
			shares[i] = 1 / float64(x.n) / float64(uint64(1)<<x.depth)
		}
		return shares
	}
	total := 0.0
	for key := 1; key <= k.N; key++ {
		weight := k.weight(key)
		total += weight
		shares[p.find(key)] += weight
	}
	for i := range shares {
		shares[i] /= total
	}
	return shares
}

// divide splits a partition that is hot by the requests of the given keys. One
// that holds a single key of them can't be helped: that isn't divided ("split for
// heat" doesn't split an item).
func (t *table) divide(at time.Duration, partition int, k Keys) {
	here := t.places[partition]
	held := 2
	if k.Kind != EvenKeys {
		held = 0
		for key := 1; key <= k.N && held < 2; key++ {
			if here.holds(key) {
				held++
			}
		}
	}
	if held < 2 || here.depth == deepest {
		t.Cool(partition)
		return
	}
	other := here
	here.depth++
	other.depth, other.path = here.depth, other.path|1<<(here.depth-1)
	t.places[partition] = here
	t.places = append(t.places, other)
	t.Split(at, partition)
	t.splits++
}
