package model

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"
)

// stream returns the random numbers of one purpose. Each purpose has its own, so
// that an operation's service times don't change when another one is added.
func stream(seed uint64, purpose ...string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, hash(purpose...)))
}

func hash(words ...string) uint64 {
	h := fnv.New64a()
	for _, w := range words {
		h.Write([]byte(w))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// Shape is the family of a distribution.
type Shape string

// The shapes of a Distribution.
const (
	Constant    Shape = "constant"
	Exponential Shape = "exponential"
	Lognormal   Shape = "lognormal"
)

// Distribution is a distribution of durations. The zero Distribution is the
// constant 0.
type Distribution struct {
	Shape    Shape
	Mean     time.Duration // of a constant, the constant
	P50, P99 time.Duration // of a lognormal
}

// z99 is the 99 % quantile of the standard normal distribution.
const z99 = 2.3263478740408408

// sampler draws from a Distribution.
type sampler struct {
	Distribution
	sigma  float64 // of a lognormal: standard deviation of the logarithm
	random *rand.Rand
}

func (d Distribution) sampler(random *rand.Rand) sampler {
	s := sampler{Distribution: d, random: random}
	if d.Shape == Lognormal {
		s.sigma = math.Log(float64(d.P99)/float64(d.P50)) / z99
	}
	return s
}

func (s *sampler) draw() time.Duration {
	var ns float64
	switch s.Shape {
	case Exponential:
		ns = float64(s.Mean) * s.random.ExpFloat64()
	case Lognormal:
		ns = float64(s.P50) * math.Exp(s.sigma*s.random.NormFloat64())
	default:
		return s.Mean
	}
	return time.Duration(min(ns, float64(longest)))
}

// longest bounds a drawn duration, so that an instant plus a service time can't
// overflow.
const longest = 10 * 365 * 24 * time.Hour

// amounts draws what the requests of an operation charge.
type amounts struct {
	Amount
	mixed  chooser
	sigma  float64 // of a lognormal
	most   float64 // that the limiter admits at once
	random *rand.Rand
}

func (a Amount) amounts(most float64, random *rand.Rand) amounts {
	x := amounts{Amount: a, most: most, random: random}
	if a.P50 > 0 {
		x.sigma = math.Log(a.P99/a.P50) / z99
	}
	if len(a.Mixture) > 0 {
		shares := make([]float64, len(a.Mixture))
		for i, p := range a.Mixture {
			shares[i] = p.Share
		}
		x.mixed = newChooser(shares)
	}
	return x
}

// draw returns the next amount; warm says whether After has passed.
func (x *amounts) draw(warm bool) float64 {
	switch {
	case x.sigma > 0:
		return min(x.P50*math.Exp(x.sigma*x.random.NormFloat64()), x.most)
	case len(x.Mixture) > 0:
		return x.Mixture[x.mixed.draw(x.random)].Amount
	case x.P50 > 0:
		return x.P50
	case warm:
		return x.Warm
	}
	return x.Cold
}

// Keys is how the partition keys of an operation's requests are distributed.
type Keys struct {
	Kind KeyKind
	N    int // number of keys; 0 for EvenKeys
}

// KeyKind is the family of a key distribution.
type KeyKind string

// The kinds of Keys.
const (
	EvenKeys    KeyKind = ""        // a new key for every request: all partitions are equally likely
	UniformKeys KeyKind = "uniform" // N keys, all equally likely
	ZipfKeys    KeyKind = "zipf"    // N keys, key k with weight 1/k
)

// shares returns the share of requests that goes to each of n partitions. Key k
// lies in partition hash(k) mod n.
func (k Keys) shares(n int) []float64 {
	shares := make([]float64, n)
	if k.Kind == EvenKeys {
		for i := range shares {
			shares[i] = 1 / float64(n)
		}
		return shares
	}
	total := 0.0
	for key := 1; key <= k.N; key++ {
		weight := 1.0
		if k.Kind == ZipfKeys {
			weight = 1 / float64(key)
		}
		shares[scatter(uint64(key))%uint64(n)] += weight
		total += weight
	}
	for i := range shares {
		shares[i] /= total
	}
	return shares
}

// scatter hashes a key (SplitMix64's finaliser).
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chooser draws an index with given probabilities in constant time, by Vose's
// alias method.
type chooser struct {
	keep  []float64 // probability of staying with the index drawn
	alias []int     // the index to take otherwise
}

func newChooser(shares []float64) chooser {
	n := len(shares)
	c := chooser{make([]float64, n), make([]int, n)}
	var small, large []int
	for i, p := range shares {
		c.keep[i], c.alias[i] = p*float64(n), i
		if c.keep[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		c.alias[s] = l
		c.keep[l] -= 1 - c.keep[s]
		if c.keep[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		c.keep[i] = 1 // what is left differs from 1 by rounding only
	}
	return c
}

func (c chooser) draw(r *rand.Rand) int {
	u := r.Float64() * float64(len(c.keep))
	i := min(int(u), len(c.keep)-1)
	if u-float64(i) < c.keep[i] {
		return i
	}
	return c.alias[i]
}
