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

// RatioOfSums returns the weighted sum of several ratios of sums,
//
//	weights[0]*sum(Num0)/sum(Den0) + weights[1]*sum(Num1)/sum(Den1) + ...
//
// with its 95 % interval from a bootstrap over the blocks. The same blocks are
// drawn for all series, so that what moves together in time stays together. A
// series none of whose counts lie in the drawn blocks keeps its ratio over all
// of them.
//
// The interval is the expanded percentile interval: the percentiles are moved
// outwards so that with normal errors it is as wide as Student's, which few
// blocks need (Hesterberg, "What Teachers Should Know About the Bootstrap",
// 2015). Every series needs a sum of Den above 0; there must be at least two
// blocks.
func RatioOfSums(series []Ratio, weights []float64, draws int, seed uint64) (float64, Interval) {
	whole := make([]float64, len(series))
	var value float64
	for i, s := range series {
		whole[i] = sum(s.Num) / sum(s.Den)
		value += weights[i] * whole[i]
	}
	blocks := len(series[0].Num)
	rng := rand.New(rand.NewPCG(seed, 0x6865616472))
	times := make([]float64, blocks)
	estimates := make([]float64, draws)
	for d := range estimates {
		clear(times)
		for range blocks {
			times[rng.IntN(blocks)]++
		}
		for i, s := range series {
			var num, den float64
			for b, n := range times {
				num += n * s.Num[b]
				den += n * s.Den[b]
			}
			ratio := whole[i]
			if den > 0 {
				ratio = num / den
			}
			estimates[d] += weights[i] * ratio
		}
	}
	slices.Sort(estimates)
	tail := expandedTail(blocks)
	return value, Interval{quantile(estimates, tail), quantile(estimates, 1-tail)}
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
