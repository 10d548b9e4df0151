package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Ratio is one series of a ratio of sums: for each block of time, the sum of
// what was charged and the number of what charged it. Both have one entry for
// each block.
type Ratio struct{ Num, Den []float64 }

// Interval is a range with its two ends.
type Interval struct{ Low, High float64 }

// BlockLength returns how many of n consecutive seconds make one block: of the
// order of the cube root of n, which is what block resampling needs, but never
// so many that fewer than 20 blocks remain while n allows them.
func BlockLength(n int) int {
	return max(1, min(int(math.Round(math.Cbrt(float64(n)))), n/20))
}

// Resample is the draws of a bootstrap over blocks of time: how often each draw
// has each block. Series that are estimated from the same Resample move together
// as they do in time, so their estimates of one draw belong together.
type Resample struct {
	blocks int
	times  []uint16 // of block b in draw d at d*blocks+b
}

// NewResample draws blocks out of so many, as often as there are, draws times
// over. There must be from 2 to 65,535.
func NewResample(blocks, draws int, seed uint64) *Resample {
	r := &Resample{blocks: blocks, times: make([]uint16, blocks*draws)}
	rng := rand.New(rand.NewPCG(seed, 0x6865616472))
	for at := 0; at < len(r.times); at += blocks {
		row := r.times[at : at+blocks]
		for range blocks {
			row[rng.IntN(blocks)]++
		}
	}
	return r
}

// Ratios returns the weighted sum of several ratios of sums,
//
//	weights[0]*sum(Num0)/sum(Den0) + weights[1]*sum(Num1)/sum(Den1) + ...
//
// and what it is in each draw. A series none of whose counts lie in a draw's
// blocks keeps its ratio over all of them. Every series needs a sum of Den above
// 0, and as many blocks as the Resample.
func (r *Resample) Ratios(series []Ratio, weights []float64) (value float64, draws []float64) {
	draws = make([]float64, len(r.times)/r.blocks)
	for i, s := range series {
		whole := sum(s.Num) / sum(s.Den)
		value += weights[i] * whole
		for d := range draws {
			var num, den float64
			for b, n := range r.times[d*r.blocks : (d+1)*r.blocks] {
				num += float64(n) * s.Num[b]
				den += float64(n) * s.Den[b]
			}
			if den > 0 {
				draws[d] += weights[i] * (num / den)
			} else {
				draws[d] += weights[i] * whole
			}
		}
	}
	return value, draws
}

// Interval returns the 95 % interval that the draws of a figure tell.
//
// It is the expanded percentile interval: the percentiles are moved outwards so
// that with normal errors it is as wide as Student's, which few blocks need
// (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015).
func (r *Resample) Interval(draws []float64) Interval {
	sorted := slices.Sorted(slices.Values(draws))
	tail := expandedTail(r.blocks)
	return Interval{quantile(sorted, tail), quantile(sorted, 1-tail)}
}

// expandedTail returns the share of bootstrap estimates left out on each side
// for a 95 % interval from n blocks.
func expandedTail(n int) float64 {
	t := distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}.Quantile(0.975)
	return distuv.UnitNormal.CDF(-t * math.Sqrt(float64(n)/float64(n-1)))
}

// quantile interpolates between the order statistics of a sorted sample.
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-2)
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func sum(v []float64) float64 {
	var total float64
	for _, x := range v {
		total += x
	}
	return total
}
