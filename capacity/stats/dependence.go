package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

const (
	waves      = 7    // slow ones, that the run is held against
	minBlocks  = 20   // fewer say nothing of how values hang together
	sureBlocks = 30   // must be independent, as far as is known
	mostBlocks = 1024 // more are joined two by two
)

// EffectiveSize returns how many independent values would know a quantile as
// well as the dependent ones at hand. Of each block of time, in order, it takes
// the number of values and how many of them lie above the quantile of all: what
// counts is how the exceedances cluster, and not how the values do. A block may
// be a single value.
//
// It is 0 of fewer than twenty blocks. It isn't to be relied on where times is
// above 1: the blocks may hang together so long that they are worth less than
// thirty independent ones, and the run would have to be about so many times as
// long. What they may is told by the upper end of what their correlation with the
// next is known to be, as a short run looks independent by chance too often: of
// the intervals of a minute's run, over all kinds of dependence that end within
// it, one in six was wrong without that, and one in ten is with it.
//
// The smaller of two readings counts. One adds up the autocorrelation of the
// exceedances from block to block until a pair of lags is no longer positive
// (Geyer, "Practical Markov Chain Monte Carlo", 1992). The other takes how much of
// them goes in the seven slowest cosine waves of the run (Lazarus, Lewis, Stock and
// Watson, "HAR Inference: Recommendations for Practice", 2018): what hangs together
// for long shows there, however weakly, which cuts into sections hide. Both are
// reduced by the width of Student's t over the normal, for the few degrees of
// freedom that the variance rests on. Neither can see a dependence that lasts about
// as long as what is there.
func EffectiveSize(above, n []float64) (size, times float64) {
	for len(n) > mostBlocks {
		above, n = pairs(above), pairs(n)
	}
	blocks := len(n)
	total := sum(n)
	share := sum(above) / total
	if blocks < minBlocks || total == 0 {
		return 0, 0
	}
	excess := make([]float64, blocks) // exceedances beyond the expected number
	for i := range excess {
		excess[i] = above[i] - share*n[i]
	}
	alone := product(excess, 0)
	if alone == 0 {
		return total, 1
	}
	serial := initialPositive(excess)
	width := student(float64(blocks)*alone/serial - 1)
	width2 := student(waves)
	variance := max(serial*width*width, slow(excess)*width2*width2)
	independent := float64(blocks) / max(serial/alone, most(product(excess, 1)/alone, blocks))
	return min(total, total*total*share*(1-share)/variance), max(sureBlocks/independent, 1)
}

// most returns how many times the variance of the sum of n values is that of
// independent ones if they are a first-order autoregressive process: by the upper
// end, at two standard errors, of what their correlation with the next one is,
// whose estimate is a little low (Kendall, "Note on bias in the estimation of
// autocorrelation", 1954).
func most(next float64, n int) float64 {
	size := float64(n)
	high := next + (1+3*next)/size + 2*math.Sqrt((1-next*next)/size)
	high = min(max(high, 0), 0.99)
	return (1 + high) / (1 - high)
}

// initialPositive returns the variance of the sum of a stationary series with
// mean 0 by Geyer's initial positive sequence.
func initialPositive(x []float64) float64 {
	alone := product(x, 0)
	v := -alone
	for lag := 0; lag+1 < len(x); lag += 2 {
		pair := product(x, lag) + product(x, lag+1)
		if pair <= 0 {
			break
		}
		v += 2 * pair
	}
	return max(v, alone/2)
}

// slow returns the variance of the sum of a stationary series with mean 0 by the
// mean square of its slowest cosine transforms, all weighing alike.
func slow(x []float64) float64 {
	var squares float64
	for wave := 1; wave <= waves; wave++ {
		step := math.Pi * float64(wave) / float64(len(x))
		var c float64
		for i, v := range x {
			c += v * math.Cos(step*(float64(i)+.5))
		}
		squares += 2 * c * c
	}
	return squares / waves
}

// product returns the sum of the products of values that lie lag apart.
func product(x []float64, lag int) float64 {
	var s float64
	for i := lag; i < len(x); i++ {
		s += x[i] * x[i-lag]
	}
	return s
}

// student returns how much wider the 95 % interval of Student's t is than the
// normal one.
func student(df float64) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: max(df, 1)}.Quantile(0.975) / distuv.UnitNormal.Quantile(0.975)
}

// pairs adds up each two neighbours.
func pairs(v []float64) []float64 {
	half := make([]float64, (len(v)+1)/2)
	for i, x := range v {
		half[i/2] += x
	}
	return half
}

// Precise is the effective number of values beyond a percentile from which on an
// interval for it holds what it promises.
const Precise = 20

// QuantileInterval returns the fractions of the sorted values that enclose the
// quantile p with 95 %, for values that tell as much as size independent ones.
// ok is false where the run does not carry an interval: size(1-p) < Precise, and
// the same below the median.
func QuantileInterval(size, p float64) (low, high float64, ok bool) {
	if size*min(p, 1-p) < Precise*(1-1e-9) {
		return 0, 0, false
	}
	n := int64(math.Floor(size + 1e-9))
	l, h, ok := QuantileRanks(n, p)
	return float64(l) / float64(n), float64(h) / float64(n), ok
}
