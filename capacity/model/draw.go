package model

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// stream returns the random numbers of one purpose. Each purpose has its own, so
// that an operation's service times don't change when another one is added.
func stream(seed uint64, purpose ...string) *rand.PCG {
	return rand.NewPCG(seed, hash(purpose...))
}

// uniform draws from [0, 1).
func uniform(p *rand.PCG) float64 { return float64(int64(p.Uint64()<<11>>11)) / (1 << 53) }

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

// MeanSeconds returns the mean in seconds.
func (d Distribution) MeanSeconds() float64 {
	if d.Shape == Lognormal {
		sigma := math.Log(float64(d.P99)/float64(d.P50)) / z99
		return d.P50.Seconds() * math.Exp(sigma*sigma/2)
	}
	return d.Mean.Seconds()
}

// Quantile returns the duration that a part p, above 0 and below 1, of the
// requests doesn't exceed.
func (d Distribution) Quantile(p float64) time.Duration {
	switch d.Shape {
	case Exponential:
		return time.Duration(min(-float64(d.Mean)*math.Log1p(-p), float64(longest)))
	case Lognormal:
		sigma := math.Log(float64(d.P99)/float64(d.P50)) / z99
		return time.Duration(min(float64(d.P50)*math.Exp(sigma*math.Sqrt2*math.Erfinv(2*p-1)), float64(longest)))
	}
	return d.Mean
}

// String describes a distribution: "80ms", "exponential, mean 80ms", "p50 80ms,
// p99 400ms".
func (d Distribution) String() string {
	switch d.Shape {
	case Exponential:
		return "exponential, mean " + unit.FormatDuration(d.Mean)
	case Lognormal:
		return "p50 " + unit.FormatDuration(d.P50) + ", p99 " + unit.FormatDuration(d.P99)
	}
	return unit.FormatDuration(d.Mean)
}

// z99 is the 99 % quantile of the standard normal distribution.
const z99 = 2.3263478740408408

// sampler draws from a Distribution.
type sampler struct {
	constant    time.Duration
	exponential *rand.Rand
	mean        float64    // of an exponential, in nanoseconds
	lognormal   *lognormal // in nanoseconds
}

func (d Distribution) sampler(pcg *rand.PCG) sampler {
	switch d.Shape {
	case Exponential:
		return sampler{exponential: rand.New(pcg), mean: float64(d.Mean)}
	case Lognormal:
		return sampler{lognormal: newLognormal(float64(d.P50), float64(d.P99), pcg)}
	}
	return sampler{constant: d.Mean}
}

func (s *sampler) draw() time.Duration {
	switch {
	case s.lognormal != nil:
		return time.Duration(min(s.lognormal.draw(), float64(longest)))
	case s.exponential != nil:
		return time.Duration(min(s.mean*s.exponential.ExpFloat64(), float64(longest)))
	}
	return s.constant
}

// longest bounds a drawn duration, so that an instant plus a service time can't
// overflow.
const longest = 10 * 365 * 24 * time.Hour

// lognormal draws from a lognormal distribution by its inverse: 1,024 slices of
// equal probability, each taken as uniform but for the outermost two, which are
// computed. Its quantiles are right to a part in 5,000, at a quarter of the time
// of exp(NormFloat64()).
type lognormal struct {
	p50, sigma float64 // sigma: standard deviation of the logarithm
	random     *rand.PCG
	at         [sliceCount + 1]float64 // quantiles
}

const (
	sliceBits  = 10
	sliceCount = 1 << sliceBits
)

func newLognormal(p50, p99 float64, random *rand.PCG) *lognormal {
	l := &lognormal{p50: p50, sigma: math.Log(p99/p50) / z99, random: random}
	for i := 1; i < sliceCount; i++ {
		l.at[i] = l.quantile(float64(i) / sliceCount)
	}
	return l
}

func (l *lognormal) quantile(p float64) float64 {
	return l.p50 * math.Exp(l.sigma*math.Sqrt2*math.Erfinv(2*p-1))
}

func (l *lognormal) draw() float64 {
	u := l.random.Uint64()
	i := u >> (64 - sliceBits)
	within := (float64(int64(u<<sliceBits>>11)) + 0.5) / (1 << 53)
	if i == 0 || i == sliceCount-1 {
		return l.quantile((float64(i) + within) / sliceCount)
	}
	return l.at[i] + within*(l.at[i+1]-l.at[i])
}

// amounts draws what the requests of an operation charge.
type amounts struct {
	drawn        bool // or else one of the next two
	cold, warmed float64
	mixture      []Part
	mixed        chooser
	random       *rand.PCG
	lognormal    *lognormal
	most         float64 // that the limiter admits at once
}

func (a Amount) amounts(most float64, random *rand.PCG) amounts {
	x := amounts{cold: a.Cold, warmed: a.Warm, most: most, random: random}
	switch {
	case a.P50 > 0:
		x.lognormal, x.drawn = newLognormal(a.P50, a.P99, random), true
	case len(a.Mixture) > 0:
		shares := make([]float64, len(a.Mixture))
		for i, p := range a.Mixture {
			shares[i] = p.Share
		}
		x.mixture, x.mixed, x.drawn = a.Mixture, newChooser(shares), true
	}
	return x
}

// draw returns the next amount; warm says whether After has passed.
func (x *amounts) draw(warm bool) float64 {
	switch {
	case x.drawn:
		return x.varied()
	case warm:
		return x.warmed
	}
	return x.cold
}

func (x *amounts) varied() float64 {
	if x.lognormal != nil {
		return min(x.lognormal.draw(), x.most)
	}
	return x.mixture[x.mixed.draw(uniform(x.random))].Amount
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

// Spread returns the share of requests that goes to each of the limiter's
// partitions or nodes. Key k lies in partition hash(k) mod n of a table, and on
// the node of the slot of "key:k" of a queue.
func (l Limiter) Spread(k Keys) []float64 {
	if l.Kind != Queue || k.Kind == EvenKeys {
		return newPlaces(l.Partitions).shares(k)
	}
	shares := make([]float64, l.Partitions)
	total := 0.0
	for key := 1; key <= k.N; key++ {
		weight := k.weight(key)
		shares[limiter.Node(limiter.Slot("key:"+strconv.Itoa(key)), l.Partitions)] += weight
		total += weight
	}
	for i := range shares {
		shares[i] /= total
	}
	return shares
}

// weight returns how often a key is asked for, of those from 1 to N.
func (k Keys) weight(key int) float64 {
	if k.Kind == ZipfKeys {
		return 1 / float64(key)
	}
	return 1
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
	cells []cell
}

type cell struct {
	keep  float64 // probability of staying with the index drawn
	alias int     // the index to take otherwise
}

func newChooser(shares []float64) chooser {
	n := len(shares)
	c := chooser{make([]cell, n)}
	var small, large []int
	for i, p := range shares {
		c.cells[i] = cell{p * float64(n), i}
		if c.cells[i].keep < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		c.cells[s].alias = l
		c.cells[l].keep -= 1 - c.cells[s].keep
		if c.cells[l].keep < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		c.cells[i].keep = 1 // what is left differs from 1 by rounding only
	}
	return c
}

// draw returns the index that a draw from [0, 1) stands for.
func (c *chooser) draw(u float64) int {
	u *= float64(len(c.cells))
	i := min(int(u), len(c.cells)-1)
	drawn := &c.cells[i]
	chosen := drawn.alias
	if u-float64(i) < drawn.keep { // as often as not: this way it is no branch
		chosen = i
	}
	return chosen
}
