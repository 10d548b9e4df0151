package stats

import (
	"math"
	"math/rand/v2"
	"slices"
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

// Resample is a bootstrap over blocks of time: each draw has as many blocks as there
// are, some of them several times. Series that are estimated from an equal Resample
// move together as they do in time, so their estimates of one draw belong together.
type Resample struct {
	Blocks, Draws int // at least 2 and 1
	Seed          uint64
}

// each yields how often each draw has each block, in memory that the next one takes.
func (r Resample) each(yield func(draw int, times []uint16) bool) {
	rng := rand.New(rand.NewPCG(r.Seed, 0x6865616472))
	times := make([]uint16, r.Blocks) // none has a block so often, by far
	for d := range r.Draws {
		clear(times)
		for range times {
			times[rng.IntN(r.Blocks)]++
		}
		if !yield(d, times) {
			return
		}
	}
}

// Ratios returns the weighted sum of several ratios of sums,
//
//	weights[0]*sum(Num0)/sum(Den0) + weights[1]*sum(Num1)/sum(Den1) + ...
//
// what it is in each draw, and its 95 % interval. A series none of whose counts
// lie in a draw's blocks keeps its ratio over all of them. Every series needs a sum
// of Den above 0, and as many blocks as the Resample.
//
// The interval is the bootstrap-t: how far each draw lies from the whole, in
// standard errors of its own, has quantiles that hold for skewed charges too, where
// plain percentiles miss the truth above (Efron and Tibshirani, "An Introduction to
// the Bootstrap", 12.5). The standard error is that of the ratios' linear parts.
//
// Where more than one draw in forty shows no variation, of which it has no standard
// error, the interval is that of the draws' own percentiles; where so many show next to
// none, and lie wildly far off by it, it is that or Student's, whichever is wider.
func (r Resample) Ratios(series []Ratio, weights []float64) (value float64, draws []float64, iv Interval) {
	n := r.Draws
	draws = make([]float64, n)
	whole := make([]float64, len(series))
	linear := make([]float64, r.Blocks) // of the whole, by block
	for i, s := range series {
		den := sum(s.Den)
		whole[i] = sum(s.Num) / den
		value += weights[i] * whole[i]
		for b := range linear {
			linear[b] += weights[i] * (s.Num[b] - whole[i]*s.Den[b]) / den
		}
	}
	away := make([]float64, 0, n)
	parts := make([]float64, r.Blocks)
	for d, times := range r.each {
		clear(parts)
		for i, s := range series {
			var num, den float64
			for b, k := range times {
				num += float64(k) * s.Num[b]
				den += float64(k) * s.Den[b]
			}
			ratio := whole[i]
			if den > 0 {
				ratio = num / den
				for b, k := range times {
					if k > 0 {
						parts[b] += weights[i] * (s.Num[b] - ratio*s.Den[b]) / den
					}
				}
			}
			draws[d] += weights[i] * ratio
		}
		var squares float64
		for b, k := range times {
			squares += float64(k) * parts[b] * parts[b]
		}
		if se := math.Sqrt(squares); se > dust*math.Abs(value) {
			away = append(away, (draws[d]-value)/se)
		}
	}
	return value, draws, studentized(value, draws, away, linear)
}

// studentized returns the interval of the bootstrap-t from how many of their own standard
// errors draws lie away from the value, those that have one, and the value's linear
// parts by block.
func studentized(value float64, draws, away, linear []float64) Interval {
	var squares float64
	for _, p := range linear {
		squares += p * p
	}
	se := math.Sqrt(squares)
	if slices.Sort(away); len(draws)-len(away) <= len(draws)/40 {
		low, high := quantile(away, 0.025), quantile(away, 0.975)
		if -low <= wild && high <= wild {
			return Interval{value - high*se, value - low*se}
		}
		t := 1.96 * student(float64(len(linear)-1)) * se
		low, high = Percentiles(draws)
		return Interval{min(value-t, low), max(value+t, high)}
	}
	// Draws that don't vary themselves have no such distance: those of charges that
	// don't vary at all, or but in a stretch that a draw may well miss.
	low, high := Percentiles(draws)
	return Interval{min(value, low), max(value, high)}
}

// Percentiles returns the range that holds 95 % of the draws, as many below it as above.
func Percentiles(draws []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(draws))
	return quantile(sorted, 0.025), quantile(sorted, 0.975)
}

// wild is how many of their own standard errors draws lie away where they have missed
// what makes the sums vary: chance alone takes no charges as far.
const wild = 10

// dust is the variation, as a share of the value, that floating point makes by itself.
const dust = 1e-9

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
