// Package stats is the room of the arithmetic behind intervals and bounds:
// ratios of sums over blocks of time with their bootstrap interval, the index
// of dispersion, Erlang's loss formula, intervals of percentiles and how many
// values they need, where a series has settled, and how groups and series of
// several runs differ.
//
// Load comes in time, and what happens in one second resembles what happens in
// the next, so intervals resample blocks of time and never single requests.
// Everything is deterministic: a seed goes in, and equal input gives equal
// bytes.
package stats

import "math"

// Earned reports whether a percentile p (0.99 for the 99th) of n values may be
// printed as a figure of this run: at least ten values must lie beyond it.
func Earned(n int64, p float64) bool { return float64(n)*(1-p) >= 10-1e-6 }

// Dispersion returns the index of dispersion of counts around what was expected
// of each: the sum of their squared differences over the sum expected. It is 0
// where every count is as expected and about 1 for Poisson counts around their
// means. NaN where nothing was expected. Both have the same length.
func Dispersion(counts, expected []float64) float64 {
	var squares, total float64
	for i, c := range counts {
		squares += (c - expected[i]) * (c - expected[i])
		total += expected[i]
	}
	if total == 0 {
		return math.NaN()
	}
	return squares / total
}
