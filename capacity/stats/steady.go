package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Batches returns the means of each m values in a row, without those that make
// no whole batch at the end.
func Batches(x []float64, m int) []float64 {
	z := make([]float64, len(x)/m)
	for i := range z {
		z[i] = sum(x[i*m:(i+1)*m]) / float64(m)
	}
	return z
}

// WarmUp returns how many batch means at the beginning of a series are warm-up
// and should be cut, by the MSER rule (MSER-5 with batches of five: White, Cobb
// and Spratt, 2000): the cut at which the variance of the mean of what remains is
// least, looked for in the first half. settled is false where it lies at the end
// of that half: the series may never have settled.
func WarmUp(z []float64) (cut int, settled bool) {
	half := len(z) / 2
	best := math.Inf(1)
	for d := 0; d <= half && d < len(z); d++ {
		// Sums round: a later cut must be better by more than that.
		if s := mser(z[d:]); s < best*(1-1e-12) {
			best, cut = s, d
		}
	}
	return cut, cut < half
}

// mser returns the sum of squared differences from the mean over the square of
// the number.
func mser(z []float64) float64 {
	mean := sum(z) / float64(len(z))
	var squares float64
	for _, v := range z {
		squares += (v - mean) * (v - mean)
	}
	return squares / float64(len(z)) / float64(len(z))
}

// Shift returns by which share of its first half's mean the second half of a
// series of batch means differs, and whether that is more than chance would do
// once in a thousand times by Student's t. Below four values nothing is.
func Shift(z []float64) (share float64, significant bool) {
	k := len(z) / 2
	if k < 2 {
		return 0, false
	}
	a, b := z[:k], z[len(z)-k:]
	from, to := sum(a)/float64(k), sum(b)/float64(k)
	// mser is k-1 over k of the variance of a mean.
	spread := math.Sqrt((mser(a) + mser(b)) * float64(k) / float64(k-1))
	t := distuv.StudentsT{Sigma: 1, Nu: float64(2*k - 2)}.Quantile(0.9995)
	return (to - from) / from, math.Abs(to-from) > t*spread
}
