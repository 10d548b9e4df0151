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

// Trend returns by which share of its mean a series changes from its first to its
// last value along the least-squares line, and whether noise alone would give
// such a slope less than once in a hundred times (Student's t). Of fewer than
// four values nothing is said.
func Trend(z []float64) (share float64, significant bool) {
	n := float64(len(z))
	if n < 4 {
		return 0, false
	}
	mean, middle := sum(z)/n, (n-1)/2
	var xx, xy, yy float64
	for i, v := range z {
		x, y := float64(i)-middle, v-mean
		xx += x * x
		xy += x * y
		yy += y * y
	}
	slope := xy / xx
	noise := math.Sqrt(max(0, yy-slope*xy) / (n - 2) / xx)
	t := distuv.StudentsT{Sigma: 1, Nu: n - 2}.Quantile(0.995)
	return slope * (n - 1) / mean, math.Abs(slope) > t*noise
}
